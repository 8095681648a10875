/* The conformance suite of the store: every test runs against memory and SQLite, and a random history is
 * given to both and compared. */
#include "store_fixture.inc"

#include "base/rng.h"

/* --- the tests ------------------------------------------------------------------------------------------ */
static void test_all_comes_back(void **state)
{
    struct fixture *f = *state;
    uint64_t base = new_id(f, AT(0)) + 10;
    struct str before, value;
    struct err err;
    char text[400];
    add_all(f, base);
    commit(f);
    before = dump(f);
    fixture_reopen(f);
    assert_same(before, dump(f));
    snprintf(text, sizeof text,
             "delivery id=%llu message=%llu incident=%llu destination=slack lane=inc_1 params={\"to\":\"x\"} "
             "content={\"kind\":\"open\"} kind=1 state=3 created_ms=%lld due_ms=%lld expires_ms=%lld "
             "done_ms=0 attempts=1 "
             "last_error=busy captures={\"ts\":\"1.2\"}\n",
             (unsigned long long)base + 3, (unsigned long long)base + 1000003, (unsigned long long)base + 2,
             (long long)AT(10), (long long)AT(50), (long long)(AT(10) + DAY));
    assert_true(str_find_str(before, str_c(text)) < before.n);
    snprintf(text, sizeof text,
             "  event %llu 2 %lld %lld source=hook project=p env=prod run=run_1 status=CRASHED state=crashed "
             "body={\"id\":1}\n",
             (unsigned long long)base + 1, (long long)AT(-5), (long long)AT(0));
    assert_true(str_find_str(before, str_c(text)) < before.n);
    assert_true(str_find_str(before, STR("load cell key=cell blob=window\n")) < before.n);
    assert_true(str_find_str(before, STR("state_blob=blob\\00with\\20nul detail={\"d\":1}\n")) < before.n);
    assert_true(str_find_str(before, STR("state_blob=blob\\00with\\20nul detail=(none)\n")) <
                before.n); /* as loaded */
    assert_true(str_find_str(before, STR("reason=no\\20run body=\\ff\\00{\n")) < before.n);
    assert_int_equal(f->store->ops->meta_get(f->store, &f->arena, STR("last_id"), &value, &err), 1);
    assert_str(value, "77");
    assert_int_equal(f->store->ops->meta_get(f->store, &f->arena, STR("nothing"), &value, &err), 0);
    assert_true(str_absent(value));
}

static void test_runs_are_known_by_project_env_and_run(void **state)
{
    struct fixture *f = *state;
    struct store_run ids[] = { { .project = STR("p"), .env = STR("prod"), .run = STR("run_1") },
                               { .project = STR("p"), .env = STR("dev"), .run = STR("run_1") },
                               { .project = STR("q"), .env = STR("prod"), .run = STR("run_1") },
                               { .project = STR("p"), .env = STR("prod"), .run = STR("run_2") } };
    struct str known[4];
    struct err err;
    add_run(f, "run_1", "prod", "old", 1);
    add_run(f, "run_1", "prod", "new", 2);
    commit(f);
    add_run(f, "run_1", "dev", "", 3);
    commit(f);
    assert_int_equal(f->store->ops->fetch_runs(f->store, &f->arena, ids, 4, known, &err), 0);
    assert_str(known[0], "new");
    assert_false(str_absent(known[1]));
    assert_str(known[1], "");
    assert_true(str_absent(known[2]));
    assert_true(str_absent(known[3]));
    assert_int_equal(counts_of(f).runs, 2);
}

static void test_run_is_found_in_every_environment(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct store_run out[4];
    struct err err;
    size_t n;
    add_run(f, "run_1", "prod", "a", 5);
    add_run(f, "run_1", "dev", "b", 6);
    add_run(f, "run_2", "dev", "c", 7);
    commit(f);
    assert_int_equal(r->ops->run(r, &f->arena, STR_NONE, STR_NONE, STR("run_1"), out, 4, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_str(out[0].env, "dev");
    assert_str(out[1].env, "prod");
    assert_int_equal(out[1].last_event, 5);
    assert_int_equal(r->ops->run(r, &f->arena, STR("p"), STR("prod"), STR("run_1"), out, 4, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_str(out[0].known, "a");
    assert_int_equal(r->ops->run(r, &f->arena, STR_NONE, STR_NONE, STR("run_1"), out, 1, &n, &err), 0);
    assert_int_equal(n, 1);
    r->ops->close(&r);
}

static void test_an_absent_text_leaves_what_was_there(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct engine_incident_row *i, row;
    struct err err;
    add_incident(f, 100, INCIDENT_PENDING);
    commit(f);
    i = add_incident(f, 100, INCIDENT_OPEN);
    i->title = i->task = i->last_run = i->detail = STR_NONE;
    i->hits = 9;
    i->label = STR("b");
    i->state_blob = STR("blob 2");
    commit(f);
    fixture_reopen(f);
    r->ops->close(&r);
    r = fixture_reader(f);
    assert_int_equal(r->ops->incident(r, &f->arena, 100, &row, &err), 1);
    assert_str(row.title, "Title");
    assert_str(row.task, "a");
    assert_str(row.last_run, "run_1");
    assert_str(row.label, "b");
    assert_str(row.state_blob, "blob 2");
    assert_int_equal(row.hits, 9);
    assert_int_equal(row.state, INCIDENT_OPEN);
    assert_str(detail_of(f, 100), "{\"d\":1}");
    assert_true(str_absent(detail_of(f, 101)));
    assert_int_equal(r->ops->incident(r, &f->arena, 101, &row, &err), 0);
    assert_int_equal(counts_of(f).incidents, 1);
    r->ops->close(&r);
}

static int count_row(void *ctx, const struct engine_incident_row *row, struct err *err)
{
    int *n = ctx;
    (void)row;
    return ++*n == 2 ? err_set(err, ERR_TYPE, "not ours") : 0;
}

static int no_cell(void *ctx, const struct engine_cell_row *row, struct err *err)
{
    (void)ctx, (void)row, (void)err;
    return 0;
}

static void test_only_unresolved_incidents_are_loaded(void **state)
{
    struct fixture *f = *state;
    int n = 0;
    struct store_load stop = { count_row, no_cell, &n };
    struct err err;
    struct str all;
    add_incident(f, 100, INCIDENT_PENDING);
    add_incident(f, 101, INCIDENT_OPEN);
    add_incident(f, 102, INCIDENT_ACKNOWLEDGED);
    add_incident(f, 103, INCIDENT_RESOLVED);
    add_cell(f, "a", "1");
    add_cell(f, "b", "2");
    commit(f);
    add_incident(f, 101, INCIDENT_RESOLVED);
    add_cell(f, "a", NULL);
    add_cell(f, "nothing", NULL);
    add_cell(f, "b", "3");
    commit(f);
    fixture_reopen(f);
    all = dump(f);
    assert_true(str_find_str(all, STR("load incident id=100")) < all.n);
    assert_true(str_find_str(all, STR("load incident id=101")) == all.n);
    assert_true(str_find_str(all, STR("load incident id=103")) == all.n);
    assert_true(str_find_str(all, STR("load cell key=a")) == all.n);
    assert_true(str_find_str(all, STR("load cell key=b blob=3\n")) < all.n);
    assert_true(str_eq_c(cell_of(f, "b"), "3"));
    assert_true(str_absent(cell_of(f, "a")) && str_absent(cell_of(f, "never")));
    assert_true(str_find_str(all, STR("last_run=run_1 state_blob= detail={\"d\":1}\n")) <
                all.n); /* resolved: no state */
    assert_int_equal(counts_of(f).incidents, 4);
    assert_int_equal(counts_of(f).incidents_open, 1);
    assert_int_equal(f->store->ops->load(f->store, &stop, &err), -1);
    assert_int_equal(n, 2);
    assert_int_equal(err.code, ERR_TYPE);
}

/* Whatever makes a batch fail, nothing of it stays, and the next one works. */
static void test_a_failed_batch_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t base = new_id(f, AT(0)) + 10;
    struct str before;
    struct err err = { 0 };
    add_all(f, base);
    add_delivery(f, base + 50, "slack", "inc_1");
    commit(f);
    before = dump(f);
    for (int kind = 0; kind < 4; kind++) {
        add_all(f, base + 100);
        add_incident(f, base + 2, INCIDENT_RESOLVED);
        add_attempt(f, base + 3, DELIVERY_DEAD, 0);
        *vec_push(&f->batch.redeliver) = base + 3;
        if (kind == 0) add_event(f, base + 1, "run_1");
        if (kind == 1) add_delivery(f, base + 3, "slack", "inc_1");
        if (kind == 2) add_attempt(f, base + 999, DELIVERY_DELIVERED, 0);
        if (kind == 3) add_rejected(f, base + 4);
        assert_int_equal(try_commit(f, &err), -1);
        assert_int_equal(err.code, ERR_CONFLICT);
        assert_same(before, dump(f));
        assert_int_equal(head_of(f, "slack", "inc_1"), base + 3);
    }
    fixture_reopen(f);
    assert_same(before, dump(f));
    add_all(f, base + 100);
    commit(f);
    assert_int_equal(counts_of(f).events, 2);
    assert_int_equal(counts_of(f).newest_event, base + 104); /* the rejected body's */
}

static void test_an_empty_batch_is_fine(void **state)
{
    struct fixture *f = *state;
    struct str before = dump(f);
    commit(f);
    assert_same(before, dump(f));
}

static void test_a_lane_keeps_its_order(void **state)
{
    struct fixture *f = *state;
    for (uint64_t id = 1; id <= 3; id++) add_delivery(f, id, "slack", "a");
    add_delivery(f, 4, "slack", "b")->due_ms = AT(5);
    add_delivery(f, 5, "pager", "a")->due_ms = AT(7);
    commit(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "4 1 next never");
    assert_string_equal(due_text(f, "slack", AT(9), 9), "4 next +10");
    assert_string_equal(due_text(f, NULL, AT(10), 9), "4 5 1 next never");
    assert_string_equal(due_text(f, NULL, AT(10), 2), "4 5 next +10");
    assert_string_equal(due_text(f, "slack", AT(10), 0), "next +5");
    assert_string_equal(due_text(f, "nobody", AT(10), 9), "next never");
    add_attempt(f, 1, DELIVERY_RETRYING, AT(500)); /* the lane waits for it */
    commit(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "4 next +500");
    assert_int_equal(head_of(f, "slack", "a"), 1);
    add_attempt(f, 1, DELIVERY_DELIVERED, 0);
    commit(f);
    fixture_reopen(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "4 2 next never");
    add_attempt(f, 2, DELIVERY_DEAD, 0);
    add_attempt(f, 4, DELIVERY_DELIVERED, 0);
    commit(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "3 next never");
    assert_int_equal(head_of(f, "slack", "a"), 3);
    assert_int_equal(head_of(f, "slack", "b"), 0);
    assert_int_equal(head_of(f, "pager", "a"), 5);
    add_attempt(f, 3, DELIVERY_DELIVERED, 0);
    commit(f);
    assert_int_equal(head_of(f, "slack", "a"), 0);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "next never");
}

static void test_rows_made_in_any_order_and_done_out_of_order(void **state)
{
    struct fixture *f = *state;
    add_delivery(f, 7, "slack", "a");
    add_delivery(f, 5, "slack", "a");
    add_delivery(f, 6, "slack", "a");
    commit(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "5 next never");
    add_attempt(f, 6, DELIVERY_DELIVERED, 0);
    commit(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "5 next never");
    add_attempt(f, 5, DELIVERY_DELIVERED, 0);
    commit(f);
    assert_string_equal(due_text(f, "slack", AT(10), 9), "7 next never");
}

static void test_a_dead_one_goes_again(void **state)
{
    struct fixture *f = *state;
    struct store_delivery d;
    struct err err;
    for (uint64_t id = 1; id <= 2; id++) add_delivery(f, id, "slack", "a");
    add_attempt(f, 1, DELIVERY_RETRYING, AT(30));
    add_attempt(f, 1, DELIVERY_DEAD, 0);
    *vec_push(&f->batch.redeliver) = 2;   /* not dead: left alone */
    *vec_push(&f->batch.redeliver) = 404; /* not there: left alone */
    commit(f);
    assert_int_equal(head_of(f, "slack", "a"), 2);
    assert_int_equal(counts_of(f).deliveries_dead, 1);
    assert_int_equal(counts_of(f).deliveries_undelivered, 1);
    *vec_push(&f->batch.redeliver) = 1;
    f->batch.now_ms = AT(5) + 3 * DAY;
    commit(f);
    fixture_reopen(f);
    assert_int_equal(f->store->ops->lane_head(f->store, &f->arena, STR("slack"), STR("a"), &d, &err), 1);
    assert_int_equal(d.id, 1); /* older than the other: first again */
    assert_int_equal(d.state, DELIVERY_PENDING);
    assert_int_equal(d.attempts, 2);
    assert_int_equal(d.due_ms, AT(5) + 3 * DAY);
    assert_int_equal(d.expires_ms, AT(5) + 4 * DAY);
    assert_int_equal(d.done_ms, 0);
    assert_int_equal(counts_of(f).deliveries_dead, 0);
    assert_int_equal(counts_of(f).deliveries_undelivered, 2);
    assert_string_equal(due_text(f, "slack", AT(5) + 3 * DAY, 9), "1 next never");
}

static void test_what_is_over_stays_over(void **state)
{
    struct fixture *f = *state;
    struct store_counts c;
    struct str all;
    add_delivery(f, 1, "slack", "a");
    add_attempt(f, 1, DELIVERY_DELIVERED, 0);
    add_attempt(f, 1, DELIVERY_RETRYING, AT(30));
    add_attempt(f, 1, DELIVERY_DEAD, 0);
    commit(f);
    c = counts_of(f);
    all = dump(f);
    assert_int_equal(c.deliveries_undelivered, 0);
    assert_int_equal(c.deliveries_dead, 0);
    assert_true(str_find_str(all, STR(" attempts=3 last_error= ")) < all.n);
    assert_string_equal(due_text(f, "slack", AT(100), 9), "next never");
}

static void test_postponing_burns_no_attempt(void **state)
{
    struct fixture *f = *state;
    struct str all;
    add_delivery(f, 1, "slack", "a");
    add_attempt(f, 1, DELIVERY_RETRYING, AT(30));
    commit(f);
    add_attempt(f, 1, DELIVERY_RETRYING, AT(90))->postponed = true;
    f->batch.attempts.v[0].detail = STR("breaker open");
    commit(f);
    all = dump(f);
    assert_true(str_find_str(all, STR(" attempts=1 last_error=busy ")) < all.n);
    assert_string_equal(due_text(f, "slack", AT(89), 9), "next +90");
}

static void test_captures_belong_to_the_lane(void **state)
{
    struct fixture *f = *state;
    struct store_delivery d;
    struct err err;
    add_delivery(f, 1, "slack", "a");
    add_delivery(f, 2, "slack", "a");
    add_delivery(f, 3, "slack", "b");
    commit(f);
    add_attempt(f, 1, DELIVERY_DELIVERED, 0)->captures = STR("{\"ts\":\"1\"}");
    commit(f);
    assert_int_equal(f->store->ops->lane_head(f->store, &f->arena, STR("slack"), STR("a"), &d, &err), 1);
    assert_str(d.captures, "{\"ts\":\"1\"}");
    assert_int_equal(f->store->ops->lane_head(f->store, &f->arena, STR("slack"), STR("b"), &d, &err), 1);
    assert_true(str_absent(d.captures));
    add_attempt(f, 2, DELIVERY_RETRYING, AT(11)); /* says nothing of captures: they stay */
    commit(f);
    assert_int_equal(f->store->ops->lane_head(f->store, &f->arena, STR("slack"), STR("a"), &d, &err), 1);
    assert_str(d.captures, "{\"ts\":\"1\"}");
    add_attempt(f, 2, DELIVERY_RETRYING, AT(12))->captures = STR("{}");
    commit(f);
    assert_int_equal(f->store->ops->lane_head(f->store, &f->arena, STR("slack"), STR("a"), &d, &err), 1);
    assert_true(str_absent(d.captures));
}

static void test_sending_is_never_stored(void **state)
{
    struct fixture *f = *state;
    struct store_delivery d;
    struct err err;
    add_delivery(f, 1, "slack", "a")->state = DELIVERY_SENDING;
    commit(f);
    assert_int_equal(f->store->ops->lane_head(f->store, &f->arena, STR("slack"), STR("a"), &d, &err), 1);
    assert_int_equal(d.state, DELIVERY_PENDING);
}

/* --- one random history for both ------------------------------------------------------------------------ */
static void add_random(struct fixture *f, struct rng *r, int64_t now_ms)
{
    static const char *const names[] = { "run_0", "run_1", "run_2", "run_3" }, *const lanes[] = { "a", "b" };
    static const char *const destinations[] = { "slack", "pager" }, *const captures[] = { "{}", "{\"a\":1}",
                                                                                          NULL };
    static const enum delivery_state outcomes[] = { DELIVERY_RETRYING, DELIVERY_DELIVERED, DELIVERY_DEAD,
                                                    DELIVERY_RETRYING };
    uint64_t id = new_id(f, now_ms), back = rng_below(r, 15) + 1,
             other = back <= f->made.n ? f->made.v[f->made.n - back] : 77;
    struct engine_incident_row *i;
    struct store_attempt *t;
    switch (rng_below(r, 10)) {
    case 0:
        add_event(f, id, names[rng_below(r, 4)]);
        add_run(f, f->batch.events.v[f->batch.events.n - 1].run.p, "prod", "k", id);
        break;
    case 1:
        i = add_incident(f, rng_below(r, 30) + 1, (enum incident_state)rng_below(r, 4));
        if (rng_below(r, 2)) i->title = i->task = i->detail = STR_NONE;
        if (i->state == INCIDENT_RESOLVED) i->resolved_ms = now_ms;
        break;
    case 2:
        add_cell(f, names[rng_below(r, 4)], rng_below(r, 3) ? "blob" : NULL);
        add_note(f, rng_below(r, 30) + 1, "hit");
        break;
    case 3:
    case 4:
    case 5:
        add_delivery(f, id, destinations[rng_below(r, 2)], lanes[rng_below(r, 2)])->incident =
            rng_below(r, 31);
        f->batch.deliveries.v[f->batch.deliveries.n - 1].due_ms = AT((int64_t)rng_below(r, 50));
        *vec_push(&f->made) = id;
        break;
    case 6:
    case 7:
    case 8:
        t = add_attempt(f, other, outcomes[rng_below(r, 4)], AT((int64_t)rng_below(r, 50)));
        t->captures = str_c(captures[rng_below(r, 3)]);
        t->postponed = t->state == DELIVERY_RETRYING && rng_below(r, 3) == 0;
        break;
    default:
        *vec_push(&f->batch.redeliver) = other;
        f->batch.now_ms = now_ms;
    }
}

static void test_a_random_history_looks_the_same_in_all(void **state)
{
    struct err err;
    int worked = 0;
    (void)state;
    print_message("seeds 1 to 12\n");
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct fixture f[2];
        for (int m = 0; m < 2; m++) fixture_make(&f[m], m);
        struct rng r[2] = { { seed }, { seed } };
        for (int step = 0; step < 120; step++) {
            int rc[2];
            for (int m = 0; m < 2; m++) {
                int64_t now = AT(0) + step * DAY / 10;
                size_t made = f[m].made.n;
                for (uint64_t n = rng_below(&r[m], 12); n > 0; n--) add_random(&f[m], &r[m], now);
                rc[m] = try_commit(&f[m], &err);
                if (rc[m]) f[m].made.n = made;
                if (rng_below(&r[m], 20) == 0) fixture_reopen(&f[m]);
                if (rng_below(&r[m], 10) == 0)
                    while (purge(&f[m], 3 * DAY, 4 * DAY, 0, now, 1000) > 0) {
                    }
            }
            assert_int_equal(rc[0], rc[1]);
            worked += rc[0] == 0;
            assert_string_equal(due_text(&f[0], "slack", AT(25), 3), due_text(&f[1], "slack", AT(25), 3));
            assert_string_equal(due_text(&f[0], NULL, AT(25), 3), due_text(&f[1], NULL, AT(25), 3));
            assert_int_equal(head_of(&f[0], "pager", "a"), head_of(&f[1], "pager", "a"));
            if (step % 10 == 9) assert_same(dump(&f[0]), dump(&f[1]));
        }
        for (int m = 0; m < 2; m++) fixture_drop(&f[m]);
    }
    print_message("%d of %d commits worked\n", worked, 12 * 120);
    assert_in_range(worked, 700, 12 * 120 - 20); /* both kinds happen, or this tests little */
}

static void test_a_memory_store_fails_on_request(void **state)
{
    struct fixture f;
    struct err err = { 0 };
    (void)state;
    fixture_make(&f, true);
    store_memory_fail(f.store, ERR_LIMIT, 1);
    add_event(&f, 5, "run_1");
    assert_int_equal(try_commit(&f, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    add_event(&f, 5, "run_1");
    commit(&f);
    fixture_drop(&f);
}

static void test_names_and_addresses(void **state)
{
    static const struct {
        const char *url;
        enum err_code code;
        const char *says;
    } bad[] = {
        { "sqlite:", ERR_SYNTAX, "path" },
        { "mysql:x", ERR_SYNTAX, "expected sqlite:PATH" },
        { "postgresql://db/x", ERR_TYPE, "PostgreSQL" },
        { "sqlite:no/such/folder/x.db", ERR_NOT_FOUND, "folder does not exist" },
    };
    enum delivery_state s;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(store_open(bad[i].url, "/tmp", &err));
        assert_int_equal(err.code, bad[i].code);
        assert_non_null(strstr(err.msg, bad[i].says));
    }
    for (int i = DELIVERY_PENDING; i <= DELIVERY_DEAD; i++) {
        assert_true(delivery_state_parse(str_c(delivery_state_name((enum delivery_state)i)), &s));
        assert_int_equal(s, i);
    }
    assert_false(delivery_state_parse(STR("lost"), &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_all_comes_back),
        BOTH(test_runs_are_known_by_project_env_and_run),
        BOTH(test_run_is_found_in_every_environment),
        BOTH(test_an_absent_text_leaves_what_was_there),
        BOTH(test_only_unresolved_incidents_are_loaded),
        BOTH(test_a_failed_batch_leaves_nothing),
        BOTH(test_an_empty_batch_is_fine),
        BOTH(test_a_lane_keeps_its_order),
        BOTH(test_rows_made_in_any_order_and_done_out_of_order),
        BOTH(test_a_dead_one_goes_again),
        BOTH(test_what_is_over_stays_over),
        BOTH(test_postponing_burns_no_attempt),
        BOTH(test_captures_belong_to_the_lane),
        BOTH(test_sending_is_never_stored),
        cmocka_unit_test(test_a_random_history_looks_the_same_in_all),
        cmocka_unit_test(test_a_memory_store_fails_on_request),
        cmocka_unit_test(test_names_and_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
