/* engine: what a busy window writes. Its entries against a plain list, under random changes and restarts; what a batch writes
 * of it; what older versions wrote. SEED, ROUNDS: where the random ones begin and how many there are. */
#include "engine_testing.h"

#include "engine/engine_internal.h"

enum { OWN_MOST = 64 }; /* entries in one cell */
static const char busy_rule[] = "rules: {r: {when: {status: failed}, count: 100000 in 1000h, notify: hook}}";

/* --- what a store holds ----------------------------------------------------------------------------------------------- */
struct cell { char *key, *blob; };
struct shelf {
    VEC(struct cell) cells;
    size_t written, bytes, chunks, deleted; /* by the last batch */
};

static void shelf_put(struct shelf *s, const struct engine_cell_row *row)
{
    size_t k = 0;
    while (k < s->cells.n && !str_eq_c(row->key, s->cells.v[k].key)) k++;
    if (k < s->cells.n) {
        free(s->cells.v[k].key);
        free(s->cells.v[k].blob);
        s->cells.v[k] = s->cells.v[--s->cells.n];
    }
    if (str_absent(row->blob)) {
        s->deleted++;
        return;
    }
    *vec_push(&s->cells) = (struct cell){ strndup(row->key.p, row->key.n), strndup(row->blob.p, row->blob.n) };
    s->written++;
    s->bytes += row->key.n + row->blob.n;
    s->chunks += strstr(s->cells.v[s->cells.n - 1].blob, "\"chunk\":") != NULL;
}

static void batch(struct bench *b, struct shelf *s)
{
    struct arena a = { 0 };
    struct engine_changes c = { .arena = &a };
    s->written = s->bytes = s->chunks = s->deleted = 0;
    engine_collect(b->e, &c);
    for (size_t k = 0; k < c.cells.n; k++) shelf_put(s, &c.cells.v[k]);
    vec_free(&c.incidents);
    vec_free(&c.cells);
    arena_fini(&a);
}

static void shelf_clear(struct shelf *s)
{
    for (size_t k = 0; k < s->cells.n; k++) {
        free(s->cells.v[k].key);
        free(s->cells.v[k].blob);
    }
    vec_free(&s->cells);
}

/* From the cells in any order, as a store may give them. */
static void from_shelf(struct bench *b, struct shelf *s, struct rng *rng)
{
    struct engine_output out;
    struct err err;
    engine_free(&b->e);
    b->e = bench_engine(b, b->rules);
    for (size_t k = s->cells.n; rng && k > 1; k--) {
        size_t other = (size_t)rng_below(rng, k);
        struct cell x = s->cells.v[other];
        s->cells.v[other] = s->cells.v[k - 1];
        s->cells.v[k - 1] = x;
    }
    for (size_t k = 0; k < s->cells.n; k++) {
        struct engine_cell_row row = { str_c(s->cells.v[k].key), str_c(s->cells.v[k].blob) };
        assert_int_equal(engine_restore_cell(b->e, &row, &err), 0);
    }
    engine_output_init(&out, &b->a);
    assert_int_equal(engine_restored(b->e, b->now_ms, &out, &err), 0);
    engine_output_fini(&out);
}

/* --- against a plain list ------------------------------------------------------------------------------------------------ */
struct plain { VEC(struct window_entry) v; };

static struct window *the_window(struct bench *b)
{
    return window_get(b->e, engine_rule_get(b->e, STR("r")), part_get(b->e, STR("default"), STR("prod")), STR("key"));
}

static void plain_remove(struct plain *p, size_t at)
{
    memmove(p->v.v + at, p->v.v + at + 1, (--p->v.n - at) * sizeof *p->v.v);
}

/* Mostly at the end, some a little late, some anywhere. */
static void add_one(struct bench *b, struct plain *p, struct rng *rng)
{
    int64_t late = rng_below(rng, 4) ? 0 : (int64_t)rng_below(rng, rng_below(rng, 3) ? 20 : 5000);
    struct window_entry x = { b->now_ms - late, rng_below(rng, 50), 1 + rng_below(rng, 3) };
    size_t at = p->v.n;
    b->now_ms += (int64_t)rng_below(rng, 3);
    while (at > 0 && p->v.v[at - 1].event_ms > x.event_ms) at--;
    (void)vec_push(&p->v);
    memmove(p->v.v + at + 1, p->v.v + at, (p->v.n - 1 - at) * sizeof x);
    p->v.v[at] = x;
    window_add(b->e, the_window(b), x);
}

static void drop_some(struct bench *b, struct plain *p, struct rng *rng)
{
    size_t n = (size_t)rng_below(rng, rng_below(rng, 8) ? 40 : p->v.n + 1);
    if (n > p->v.n) n = p->v.n;
    for (size_t k = 0; k < n; k++) plain_remove(p, 0);
    entries_drop_first(b->e, the_window(b), n);
}

static void forget_some(struct bench *b, struct plain *p, struct rng *rng)
{
    uint64_t mark = 1 + rng_below(rng, 3);
    for (size_t k = p->v.n; k-- > 0;)
        if (p->v.v[k].mark == mark) plain_remove(p, k);
    window_forget(b->e, the_window(b), mark);
}

/* The newest entry of a run goes, or changes its mark. */
static void change_run(struct bench *b, struct plain *p, struct rng *rng)
{
    uint64_t run = rng_below(rng, 50), mark = 1 + rng_below(rng, 3);
    bool drop = rng_below(rng, 2);
    size_t k = p->v.n;
    while (k > 0 && p->v.v[k - 1].run != run) k--;
    if (drop) window_drop_run(b->e, the_window(b), run);
    else window_put_run(b->e, the_window(b), (struct window_entry){ 0, run, mark }, false);
    if (k == 0) return;
    if (drop) plain_remove(p, k - 1);
    else p->v.v[k - 1].mark = mark;
}

static void same_entries(const struct window *w, const struct plain *p)
{
    assert_int_equal(w->entries.n, p->v.n);
    assert_true(p->v.n == 0 || memcmp(w->entries.v, p->v.v, p->v.n * sizeof *p->v.v) == 0);
}

/* As much in a cell as there may be, and a cell for each chunk and no more. */
static void well_cut(const struct window *w, const struct shelf *s)
{
    size_t chunks = w->chunks ? w->chunks->list.n : 0, all = 0;
    for (size_t k = 0; k < chunks; k++) {
        assert_in_range(w->chunks->list.v[k].n, 1, OWN_MOST);
        assert_true(k == 0 || w->chunks->list.v[k - 1].number < w->chunks->list.v[k].number);
        all += w->chunks->list.v[k].n;
    }
    assert_int_equal(all, w->chunks ? w->chunks->sealed : 0);
    assert_in_range(w->entries.n + (w->chunks ? w->chunks->dead : 0) - all, 0, OWN_MOST);
    assert_int_equal(s->cells.n, chunks + 1);
}

static void play(uint64_t seed)
{
    struct bench b;
    struct shelf s = { 0 };
    struct plain p = { 0 };
    struct rng rng;
    bench_open(&b, busy_rule);
    rng_seed(&rng, seed);
    add_one(&b, &p, &rng);
    for (size_t k = 0; k < 1500; k++) {
        uint64_t what = rng_below(&rng, 100);
        if (what < 90 || p.v.n == 0) add_one(&b, &p, &rng);
        else if (what < 93) drop_some(&b, &p, &rng);
        else if (what < 99) change_run(&b, &p, &rng);
        else if (rng_below(&rng, 6) == 0) forget_some(&b, &p, &rng);
        same_entries(the_window(&b), &p);
        if (rng_below(&rng, 20)) continue;
        window_add(b.e, the_window(&b), (struct window_entry){ b.now_ms, 99, 9 }); /* what was dropped is written with what comes */
        *vec_push(&p.v) = (struct window_entry){ b.now_ms, 99, 9 };
        batch(&b, &s);
        well_cut(the_window(&b), &s);
        if (rng_below(&rng, 2) == 0) from_shelf(&b, &s, &rng);
        same_entries(the_window(&b), &p);
    }
    vec_free(&p.v);
    shelf_clear(&s);
    bench_close(&b);
}

static size_t number_from(const char *name, size_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : fallback;
}

static void test_any_changes_and_restarts(void **state)
{
    size_t seed = number_from("SEED", 1), rounds = number_from("ROUNDS", 20);
    (void)state;
    for (size_t k = 0; k < rounds; k++) play(seed + k);
}

/* --- what a batch writes --------------------------------------------------------------------------------------------------- */
static void fill(struct bench *b, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        b->now_ms += 10;
        window_add(b->e, the_window(b), (struct window_entry){ b->now_ms, k, 0 });
    }
}

static void test_a_batch_writes_what_it_changed(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    size_t sealing = 0, most = 0;
    (void)state;
    bench_open(&b, busy_rule);
    fill(&b, 4096);
    batch(&b, &s);
    assert_in_range(s.chunks, 4096 / OWN_MOST, 4096 * 2 / OWN_MOST);
    for (size_t k = 0; k < 320; k++) {
        fill(&b, 1);
        batch(&b, &s);
        assert_in_range(s.written, 1, 2);
        sealing += s.written == 2;
        if (s.bytes > most) most = s.bytes;
    }
    assert_int_equal(sealing, 320 / (OWN_MOST / 2));
    assert_in_range(most, 1000, 5000); /* and not 140 KB */
    shelf_clear(&s);
    bench_close(&b);
}

static void test_a_late_event_writes_its_chunk(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    (void)state;
    bench_open(&b, busy_rule);
    fill(&b, 4096);
    batch(&b, &s);
    for (size_t k = 1; k <= OWN_MOST; k++) { /* one place takes so many that its chunk becomes two */
        window_add(b.e, the_window(&b), (struct window_entry){ start_ms + 20005, 100000 + k, 0 });
        batch(&b, &s);
        assert_int_equal(s.chunks, k == OWN_MOST / 2 + 1 ? 2 : 1);
        assert_int_equal(s.written, s.chunks + 1);
        assert_in_range(s.bytes, 1000, 10000);
    }
    shelf_clear(&s);
    bench_close(&b);
}

/* A full window drops as many as come: what leaves is not written again, and its chunk goes when all of it has left. */
static void test_what_leaves_is_not_written(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    size_t deleted = 0;
    (void)state;
    bench_open(&b, "rules: {r: {when: {status: failed}, count: 3 in 10m, notify: hook}}"); /* bound: 4096 */
    fill(&b, 5000);
    batch(&b, &s);
    for (size_t k = 0; k < 320; k++) {
        fill(&b, 1);
        batch(&b, &s);
        assert_in_range(s.written, 1, 2);
        deleted += s.deleted;
        assert_int_equal(the_window(&b)->entries.n, 4096);
    }
    assert_int_equal(deleted, 320 / (OWN_MOST / 2));
    from_shelf(&b, &s, NULL);
    assert_int_equal(the_window(&b)->entries.n, 4096);
    assert_int_equal(the_window(&b)->entries.v[0].event_ms, b.now_ms - 4095 * 10);
    shelf_clear(&s);
    bench_close(&b);
}

static void test_a_window_that_ends_leaves_nothing(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    (void)state;
    bench_open(&b, busy_rule);
    fill(&b, 1000);
    batch(&b, &s);
    assert_true(s.cells.n > 10);
    window_drop(b.e, the_window(&b));
    batch(&b, &s);
    assert_int_equal(s.cells.n, 0);
    shelf_clear(&s);
    bench_close(&b);
}

/* --- other versions ----------------------------------------------------------------------------------------------------------- */
static void put_whole(struct bench *b, struct shelf *s, size_t n)
{
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    strbuf_printf(&out, "{\"rule\":\"r\",\"shape\":\"%s\",\"project\":\"default\",\"env\":\"prod\",\"key\":\"key\",\"over\":%lld,\"collapsed\":7,\"entries\":[",
                  b->rules->rules[0]->shape, (long long)(start_ms + 1000 * (int64_t)HOUR));
    for (size_t k = 0; k < n; k++) strbuf_printf(&out, "%s%lld,%zu", k ? "," : "", (long long)(start_ms + (int64_t)k), k);
    strbuf_c(&out, "]}");
    shelf_put(s, &(struct engine_cell_row){ STR("w/r/default/prod/key"), strbuf_view(&out) });
    strbuf_fini(&out);
}

static void test_a_window_in_one_cell_is_read_and_cut(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    (void)state;
    bench_open(&b, busy_rule);
    put_whole(&b, &s, 4096);
    from_shelf(&b, &s, NULL);
    assert_int_equal(the_window(&b)->entries.n, 4096);
    assert_int_equal(the_window(&b)->collapsed, 7);
    b.now_ms = start_ms + 5000;
    fill(&b, 1);
    batch(&b, &s);
    assert_int_equal(s.chunks, (4097 - OWN_MOST + 31) / 32);
    from_shelf(&b, &s, NULL);
    for (size_t k = 0; k < 4096; k++) assert_int_equal(the_window(&b)->entries.v[k].run, k);
    assert_int_equal(the_window(&b)->entries.n, 4097);
    well_cut(the_window(&b), &s);
    shelf_clear(&s);
    bench_close(&b);
}

/* It was written in chunks, then whole by an older version, which left the chunks there: they count no more. */
static void test_left_over_chunks_go(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    struct rng rng;
    (void)state;
    rng_seed(&rng, 3);
    bench_open(&b, busy_rule);
    fill(&b, 500);
    batch(&b, &s);
    put_whole(&b, &s, 300);
    from_shelf(&b, &s, &rng);
    assert_int_equal(the_window(&b)->entries.n, 300);
    for (size_t k = 0; k < 300; k++) assert_int_equal(the_window(&b)->entries.v[k].event_ms, start_ms + (int64_t)k);
    batch(&b, &s);
    assert_int_equal(s.cells.n, 1);
    shelf_clear(&s);
    bench_close(&b);
}

/* A chunk by itself is no window. */
static void test_a_chunk_alone_is_nothing(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    (void)state;
    bench_open(&b, busy_rule);
    fill(&b, 500);
    batch(&b, &s);
    shelf_put(&s, &(struct engine_cell_row){ STR("w/r/default/prod/key"), STR_NONE });
    from_shelf(&b, &s, NULL);
    assert_int_equal(engine_stats(b.e).windows, 0);
    batch(&b, &s);
    assert_int_equal(s.cells.n, 0);
    shelf_clear(&s);
    bench_close(&b);
}

/* Nor are chunks of a rule that has changed since. */
static void test_chunks_of_a_changed_rule_go(void **state)
{
    struct bench b;
    struct shelf s = { 0 };
    (void)state;
    bench_open(&b, busy_rule);
    fill(&b, 500);
    batch(&b, &s);
    b.rules = compile(&b, "rules: {r: {when: {status: failed}, count: 3 in 10m, notify: hook}}");
    from_shelf(&b, &s, NULL);
    assert_int_equal(engine_stats(b.e).windows, 0);
    batch(&b, &s);
    assert_int_equal(s.cells.n, 0);
    shelf_clear(&s);
    bench_close(&b);
}

/* --- decisions ------------------------------------------------------------------------------------------------------------------ */
/* Hundreds of runs of every condition, some late; with restarts and without, what is said and noted is the same. */
static struct str decided(bool restarts, struct arena *a)
{
    struct bench b;
    struct str out;
    struct rng rng;
    rng_seed(&rng, 11);
    bench_open(&b, "defaults: {linger: 0s, wait: 0s}\nrules:\n"
                   "  a: {when: {status: failed}, count: 150 in 10m, resolve: clears, notify: chat}\n"
                   "  b: {when: {status: failed}, count: 90 of metadata.v in 10m, resolve: clears, notify: chat}\n"
                   "  c: {when: {status: failed}, flaps: 70 in 10m, resolve: clears, notify: chat}\n"
                   "  d: {when: {status: failed}, rate: \"over 60% in 10m, min 100\", notify: chat}\n"
                   "  e: {when: {status: failed}, rate: over 55% of last 200 runs, notify: chat}\n"
                   "  f: {when: {status: failed}, count: 200 runs in 10m, resolve: clears, notify: chat}\n");
    for (size_t k = 0; k < 1200; k++) {
        const char *id = str_printf(&b.a, "run_%zu", k).p;
        const char *v = str_printf(&b.a, "{\"v\":%d}", (int)rng_below(&rng, 300)).p;
        bool failed = rng_below(&rng, 10) < (k / 200 % 2 ? 8 : 3);
        int64_t late = rng_below(&rng, 5) ? 0 : (int64_t)rng_below(&rng, 300000);
        int64_t at = (int64_t)k * 2000;
        report(&b, (struct report){ .run = id, .state = failed ? RUN_FAILED : RUN_COMPLETED, .at_ms = at, .event_ms = at > late ? at - late : at, .metadata = v });
        if (restarts && k % 50 == 49) restart(&b, b.rules);
    }
    assert_in_range(count_said(&b, "chat", MESSAGE_OPEN), 6, 100);
    out = str_dup(a, strbuf_view(&b.transcript));
    bench_close(&b);
    return out;
}

static void test_restarts_decide_the_same(void **state)
{
    struct arena a = { 0 };
    struct str one = decided(false, &a), two = decided(true, &a);
    (void)state;
    assert_true(str_eq(one, two));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_changes_and_restarts),
        cmocka_unit_test(test_a_batch_writes_what_it_changed),
        cmocka_unit_test(test_a_late_event_writes_its_chunk),
        cmocka_unit_test(test_what_leaves_is_not_written),
        cmocka_unit_test(test_a_window_that_ends_leaves_nothing),
        cmocka_unit_test(test_a_window_in_one_cell_is_read_and_cut),
        cmocka_unit_test(test_left_over_chunks_go),
        cmocka_unit_test(test_a_chunk_alone_is_nothing),
        cmocka_unit_test(test_chunks_of_a_changed_rule_go),
        cmocka_unit_test(test_restarts_decide_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
