/* The conformance suite of the store, second part: lists, counts and retention. */
#include "store_fixture.inc"

/* --- lists ---------------------------------------------------------------------------------------------- */
static void add_listed(struct fixture *f, uint64_t id, enum incident_state s, const char *rule,
                       const char *task, const char *env, const char *title)
{
    struct engine_incident_row *i = add_incident(f, id, s);
    i->rule = str_c(rule);
    i->task = str_c(task);
    i->env = str_c(env);
    i->title = str_c(title);
}

static void test_incident_filters(void **state)
{
    static const struct {
        struct store_incident_filter f;
        const char *ids;
    } cases[] = {
        { { .limit = 9 }, "5 4 3 2 1 " },
        { { .limit = 2 }, "5 4 " },
        { { .limit = 2, .before = 4 }, "3 2 " },
        { { .limit = 2, .before = 1 }, "" },
        { { .limit = 9, .before = UINT64_MAX }, "5 4 3 2 1 " },
        { { .limit = 0 }, "" },
        { { .limit = 9, .state = { "open", 4 } }, "4 2 " },
        { { .limit = 9, .state = { "resolved", 8 } }, "3 " },
        { { .limit = 9, .state = { "unresolved", 10 } }, "5 4 2 1 " },
        { { .limit = 9, .state = { "burning", 7 } }, "" },
        { { .limit = 9, .rule = { "r1", 2 } }, "3 2 1 " },
        { { .limit = 9, .rule = { "r1", 2 }, .state = { "open", 4 } }, "2 " },
        { { .limit = 9, .task = { "t2", 2 } }, "5 2 " },
        { { .limit = 9, .env = { "dev", 3 } }, "5 " },
        { { .limit = 9, .project = { "p", 1 } }, "5 4 3 2 1 " },
        { { .limit = 9, .project = { "q", 1 } }, "" },
        { { .limit = 9, .q = { "FAILED 10%", 10 } }, "4 " },
        { { .limit = 9, .q = { "failed", 6 } }, "4 1 " },
        { { .limit = 9, .q = { "RUN_1", 5 } }, "5 4 3 2 1 " },
        { { .limit = 9, .q = { "TASK=", 5 } }, "5 4 3 2 1 " },
        { { .limit = 9, .q = { "", 0 } }, "5 4 3 2 1 " },
        { { .limit = 9, .q = { "%", 1 } }, "4 " },
        { { .limit = 9, .key = { "task=k2/run_1", 13 } }, "4 " },
        { { .limit = 9, .key = { "task=k2", 7 } }, "" },
        { { .limit = 9, .key = { "task=k2/run_1", 13 }, .rule = { "r1", 2 } }, "" },
    };
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct engine_incident_row out[9];
    struct err err;
    add_listed(f, 1, INCIDENT_PENDING, "r1", "t1", "prod", "It failed");
    add_listed(f, 2, INCIDENT_OPEN, "r1", "t2", "prod", "Slow");
    add_listed(f, 3, INCIDENT_RESOLVED, "r1", "t1", "prod", "");
    add_listed(f, 4, INCIDENT_OPEN, "r2", "t1", "prod", "Failed 10% of runs");
    f->batch.incidents.v[3].key = STR("task=k2/run_1");
    add_listed(f, 5, INCIDENT_ACKNOWLEDGED, "r2", "t2", "dev", "Queue");
    commit(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char ids[64] = "";
        size_t n, at = 0;
        assert_int_equal(r->ops->incidents(r, &f->arena, &cases[i].f, out, &n, &err), 0);
        for (size_t k = 0; k < n; k++)
            at += (size_t)snprintf(ids + at, sizeof ids - at, "%d ", (int)out[k].id);
        if (strcmp(ids, cases[i].ids) != 0)
            fail_msg("case %zu: got \"%s\", wanted \"%s\"", i, ids, cases[i].ids);
    }
    r->ops->close(&r);
}

/* --- the log ---------------------------------------------------------------------------------------------- */
struct heard { char text[200]; size_t stop_after, n; };

static int hear(void *ctx, const struct store_event *e, struct err *err)
{
    struct heard *h = ctx;
    size_t at = strlen(h->text);
    assert_str(e->source, "hook");
    assert_str(e->project, "p");
    assert_str(e->env, "prod");
    assert_str(e->status, "CRASHED");
    assert_str(e->state, "crashed");
    assert_str(e->body, "{\"id\":1}");
    assert_int_equal(e->attempt, 2);
    assert_int_equal(e->event_ms, e->arrival_ms - 5);
    snprintf(h->text + at, sizeof h->text - at, "%lld" STR_FMT " ", (long long)(e->arrival_ms - AT(0)), STR_ARG(e->run));
    return ++h->n == h->stop_after ? err_set(err, ERR_TYPE, "enough") : 0;
}

static void test_the_log_is_read_in_order_and_in_pages(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct heard h = { "", 0, 0 };
    struct err err;
    uint64_t id[5];
    size_t n = 9;
    assert_int_equal(r->ops->events(r, 0, 9, hear, &h, &n, &err), 0);
    assert_int_equal(n, 0);
    for (int k = 0; k < 5; k++) add_event(f, id[k] = new_id(f, AT(k)), k % 2 ? "b" : "a");
    commit(f);
    assert_int_equal(r->ops->events(r, 0, 2, hear, &h, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(r->ops->events(r, id[1], 9, hear, &h, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(h.text, "0a 1b 2a 3b 4a ");
    assert_int_equal(r->ops->events(r, id[4], 9, hear, &h, &n, &err), 0);
    assert_int_equal(n, 0);
    assert_int_equal(r->ops->events(r, UINT64_MAX, 9, hear, &h, &n, &err), 0);
    assert_int_equal(n, 0);
    h = (struct heard){ "", 0, 0 };
    assert_int_equal(r->ops->events_back(r, UINT64_MAX, 2, hear, &h, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(r->ops->events_back(r, id[3], 9, hear, &h, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_string_equal(h.text, "4a 3b 2a 1b 0a ");
    assert_int_equal(r->ops->events_back(r, id[0], 9, hear, &h, &n, &err), 0);
    assert_int_equal(n, 0);
    h = (struct heard){ "", 2, 0 };
    assert_int_equal(r->ops->events_back(r, id[4], 9, hear, &h, &n, &err), -1);
    assert_string_equal(h.text, "3b 2a ");
    h = (struct heard){ "", 0, 0 };
    assert_int_equal(r->ops->events_of(r, (const uint64_t[]){ id[3], id[0], 7, UINT64_MAX, id[3] }, 5, hear, &h, &err), 0);
    assert_string_equal(h.text, "3b 0a 3b ");
    h = (struct heard){ "", 1, 0 };
    assert_int_equal(r->ops->events_of(r, id, 5, hear, &h, &err), -1);
    assert_string_equal(h.text, "0a ");
    h = (struct heard){ "", 2, 0 };
    assert_int_equal(r->ops->events(r, 0, 9, hear, &h, &n, &err), -1);
    assert_string_equal(err.msg, "enough");
    assert_string_equal(h.text, "0a 1b ");
    r->ops->close(&r);
}

static void test_delivery_filters(void **state)
{
    static const struct {
        struct store_delivery_filter f;
        const char *ids;
    } cases[] = {
        { { .state = -1, .limit = 9 }, "5 4 3 2 1 " },
        { { .state = -1, .limit = 9, .before = 3 }, "2 1 " },
        { { .state = DELIVERY_PENDING, .limit = 9 }, "5 4 " },
        { { .state = DELIVERY_PENDING, .limit = 1 }, "5 " },
        { { .state = DELIVERY_DELIVERED, .limit = 9 }, "1 " },
        { { .state = DELIVERY_RETRYING, .limit = 9 }, "3 " },
        { { .state = DELIVERY_DEAD, .limit = 9 }, "2 " },
        { { .state = -1, .incident = 70, .limit = 9 }, "5 3 1 " },
        { { .state = DELIVERY_PENDING, .incident = 70, .limit = 9 }, "5 " },
        { { .state = -1, .destination = { "pager", 5 }, .limit = 9 }, "5 4 " },
    };
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct store_delivery out[9];
    struct err err;
    for (uint64_t id = 1; id <= 5; id++)
        add_delivery(f, id, id > 3 ? "pager" : "slack", "a")->incident = id % 2 ? 70 : 80;
    add_attempt(f, 1, DELIVERY_DELIVERED, 0);
    add_attempt(f, 2, DELIVERY_DEAD, 0);
    add_attempt(f, 3, DELIVERY_RETRYING, AT(40));
    commit(f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char ids[64] = "";
        size_t n, at = 0;
        assert_int_equal(r->ops->deliveries(r, &f->arena, &cases[i].f, out, &n, &err), 0);
        for (size_t k = 0; k < n; k++)
            at += (size_t)snprintf(ids + at, sizeof ids - at, "%d ", (int)out[k].id);
        if (strcmp(ids, cases[i].ids) != 0)
            fail_msg("case %zu: got \"%s\", wanted \"%s\"", i, ids, cases[i].ids);
    }
    r->ops->close(&r);
}

static void test_long_timelines_show_their_end(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct store_note notes[3];
    struct store_attempt tries[2];
    struct err err;
    size_t n;
    static const char *const what[] = { "opened", "hit", "told", "hit", "resolved" };
    add_incident(f, 9, INCIDENT_OPEN);
    add_delivery(f, 1, "slack", "a");
    for (int i = 0; i < 5; i++) {
        add_note(f, 9, what[i]);
        add_note(f, 10, "other");
        add_attempt(f, 1, DELIVERY_RETRYING, AT(i))->status = i;
        commit(f);
    }
    assert_int_equal(r->ops->notes(r, &f->arena, 9, notes, 3, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_str(notes[0].what, "told");
    assert_str(notes[2].what, "resolved");
    assert_int_equal(notes[2].incident, 9);
    assert_int_equal(r->ops->attempts(r, &f->arena, 1, tries, 2, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(tries[0].status, 3);
    assert_int_equal(tries[1].status, 4);
    r->ops->close(&r);
}

static void test_rejected_list(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct store_rejected out[3];
    struct err err;
    size_t n;
    for (uint64_t id = 1; id <= 4; id++) add_rejected(f, id);
    commit(f);
    assert_int_equal(r->ops->rejected(r, &f->arena, 0, out, 3, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(out[0].id, 4);
    assert_int_equal(r->ops->rejected(r, &f->arena, out[2].id, out, 3, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(out[0].id, 1);
    assert_int_equal(counts_of(f).rejected, 4);
    r->ops->close(&r);
}

static void test_counts_and_the_oldest(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(counts_of(f).oldest_undelivered_ms, 0);
    for (uint64_t id = 1; id <= 3; id++) add_delivery(f, id, "slack", "a")->created_ms = AT((int)id);
    add_attempt(f, 1, DELIVERY_RETRYING, AT(99));
    commit(f);
    assert_int_equal(counts_of(f).oldest_undelivered_ms, AT(1));
    add_attempt(f, 1, DELIVERY_DEAD, AT(99));
    commit(f);
    assert_int_equal(counts_of(f).oldest_undelivered_ms, AT(2));
    assert_int_equal(counts_of(f).deliveries_undelivered, 2);
    assert_int_equal(counts_of(f).deliveries_dead, 1);
    fixture_reopen(f);
    assert_int_equal(counts_of(f).deliveries_undelivered, 2);
}

/* --- retention ------------------------------------------------------------------------------------------ */
static void test_old_events_go_with_their_runs(void **state)
{
    struct fixture *f = *state;
    struct store_counts c;
    uint64_t old = new_id(f, AT(0)), late = new_id(f, AT(0) + 20 * DAY);
    add_event(f, old, "run_1");
    add_event(f, old + 1, "run_2");
    add_run(f, "run_1", "prod", "k", old);
    add_run(f, "run_1", "dev", "k", old);   /* of another event: stays */
    add_run(f, "run_2", "prod", "k", late); /* seen since: stays */
    add_event(f, late, "run_2");
    add_rejected(f, old + 2);
    add_rejected(f, late + 1);
    commit(f);
    assert_int_equal(purge(f, 30 * DAY, 0, 0, AT(0) + 29 * DAY, 100), 0);
    assert_int_equal(purge(f, 0, 0, 0, AT(0) + 900 * DAY, 100), 0);
    assert_int_equal(purge(f, 30 * DAY, 0, 0, AT(0) + 31 * DAY, 100), 4);
    c = counts_of(f);
    assert_int_equal(c.events, 1);
    assert_int_equal(c.runs, 2);
    assert_int_equal(c.rejected, 1);
    assert_int_equal(purge(f, 30 * DAY, 0, 0, AT(0) + 31 * DAY, 100), 0);
    fixture_reopen(f);
    assert_int_equal(counts_of(f).events, 1);
}

static void test_purge_takes_small_bites(void **state)
{
    struct fixture *f = *state;
    size_t total = 0, bite;
    char run[16];
    for (int i = 0; i < 50; i++) {
        uint64_t id = new_id(f, AT(i));
        snprintf(run, sizeof run, "run_%d", i);
        add_event(f, id, run);
        add_run(f, run, "prod", "k", id);
        commit(f);
    }
    do {
        bite = purge(f, DAY, 0, 0, AT(50) + DAY, 8);
        assert_true(bite <= 9);
        total += bite;
    } while (bite > 0);
    assert_int_equal(total, 100);
    assert_int_equal(counts_of(f).runs, 0);
}

static uint64_t add_closed_incident(struct fixture *f, int64_t at_ms, enum incident_state s,
                                    enum delivery_state d)
{
    uint64_t id = new_id(f, at_ms), delivery = id + 500000;
    char lane[32];
    snprintf(lane, sizeof lane, "inc_%llu", (unsigned long long)id);
    add_incident(f, id, s);
    add_note(f, id, "opened");
    add_note(f, id, "resolved");
    add_delivery(f, delivery, "slack", str_dup_c(&f->arena, str_c(lane)))->incident = id;
    add_attempt(f, delivery, d, AT(99))->captures = STR("{\"ts\":\"1\"}");
    return id;
}

static void test_old_incidents_go_whole_and_open_ones_stay(void **state)
{
    struct fixture *f = *state;
    struct store_counts c;
    uint64_t gone, waits;
    gone = add_closed_incident(f, AT(0), INCIDENT_RESOLVED, DELIVERY_DELIVERED);
    add_closed_incident(f, AT(1), INCIDENT_RESOLVED, DELIVERY_DEAD);
    waits = add_closed_incident(f, AT(2), INCIDENT_RESOLVED, DELIVERY_RETRYING);
    add_closed_incident(f, AT(3), INCIDENT_OPEN, DELIVERY_DELIVERED);
    add_closed_incident(f, AT(0) + 100 * DAY, INCIDENT_RESOLVED, DELIVERY_DELIVERED);
    commit(f);
    assert_int_equal(purge(f, 0, 180 * DAY, 0, AT(0) + 179 * DAY, 100), 0);
    /* twice: incident, two notes, delivery, attempt; and what hangs on them (detail, captures) may count, too
     */
    assert_in_range(purge(f, 0, 180 * DAY, 0, AT(0) + 181 * DAY, 100), 10, 14);
    c = counts_of(f);
    assert_int_equal(c.incidents, 3);
    assert_int_equal(c.deliveries_dead, 0);
    assert_int_equal(c.deliveries_undelivered, 1);
    assert_true(str_absent(detail_of(f, gone)));
    assert_false(str_absent(detail_of(f, waits)));
    assert_int_equal(purge(f, 0, 180 * DAY, 0, AT(0) + 181 * DAY, 100), 0);
    add_attempt(f, waits + 500000, DELIVERY_DELIVERED, 0);
    commit(f);
    assert_true(purge(f, 0, 180 * DAY, 0, AT(0) + 181 * DAY, 100) > 0);
    assert_int_equal(counts_of(f).incidents, 2);
}

static void test_a_long_timeline_goes_in_pieces(void **state)
{
    struct fixture *f = *state;
    size_t bite, rounds = 0;
    uint64_t id = add_closed_incident(f, AT(0), INCIDENT_RESOLVED, DELIVERY_DEAD);
    for (int i = 0; i < 100; i++) add_note(f, id, "hit");
    commit(f);
    do {
        bite = purge(f, 0, DAY, 0, AT(5) + DAY, 10);
        if (!f->memory) assert_true(bite <= 16); /* the double takes an incident whole */
    } while (bite > 0 && ++rounds < 100);
    if (!f->memory) assert_true(rounds > 9);
    assert_int_equal(counts_of(f).incidents, 0);
    assert_int_equal(counts_of(f).deliveries_dead, 0);
}

static void test_deliveries_of_no_incident_age_too(void **state)
{
    struct fixture *f = *state;
    uint64_t a = new_id(f, AT(0));
    add_delivery(f, a, "ops", "operator/x");
    add_delivery(f, a + 1, "ops", "operator/y");
    add_delivery(f, a + 2, "ops", "operator/z");
    add_attempt(f, a, DELIVERY_DEAD, 0);
    add_attempt(f, a + 1, DELIVERY_DELIVERED, 0);
    commit(f);
    assert_int_equal(purge(f, 0, 180 * DAY, 0, AT(0) + 181 * DAY, 100), 4);
    assert_int_equal(counts_of(f).deliveries_dead, 0);
    assert_int_equal(head_of(f, "ops", "operator/z"), a + 2);
}

static void test_size_takes_the_oldest_events(void **state)
{
    struct fixture *f = *state;
    static char body[4000];
    struct store_reader *r = fixture_reader(f);
    struct store_event e;
    struct err err;
    uint64_t last = 0;
    int64_t full, half;
    memset(body, 'x', sizeof body);
    for (int i = 0; i < 2000; i++) {
        last = new_id(f, AT(i));
        add_event(f, last, "run_1");
        f->batch.events.v[f->batch.events.n - 1].body = (struct str){ body, sizeof body };
    }
    add_incident(f, 1, INCIDENT_OPEN);
    commit(f);
    full = counts_of(f).size_bytes;
    assert_true(full >= 2000 * 4000);
    while (purge(f, 0, 0, full / 2, AT(5000), 1000) > 0) {
    }
    half = counts_of(f).size_bytes;
    assert_true(half <= full / 2);
    assert_true(half > full / 4);
    assert_int_equal(r->ops->event(r, &f->arena, last, &e, &err), 1);
    assert_int_equal(counts_of(f).incidents, 1);
    while (purge(f, 0, 0, 1, AT(5000), 10000) > 0) {
    }
    assert_int_equal(counts_of(f).events, 0);
    assert_int_equal(counts_of(f).incidents, 1); /* open: stays, whatever the size */
    r->ops->close(&r);
}

static void test_a_cell_by_its_key(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r = fixture_reader(f);
    struct str blob;
    struct err err;
    *vec_push(&f->batch.cells) = (struct engine_cell_row){ STR("a/r/p/prod/sync"), STR("{\"due\":1}") };
    *vec_push(&f->batch.cells) = (struct engine_cell_row){ STR("a/r/p/prod/other"), STR("{}") };
    commit(f);
    assert_int_equal(r->ops->cell(r, &f->arena, STR("a/r/p/prod/sync"), &blob, &err), 1);
    assert_true(str_eq_c(blob, "{\"due\":1}"));
    assert_int_equal(r->ops->cell(r, &f->arena, STR("a/r/p/prod/syn"), &blob, &err), 0);
    assert_true(str_absent(blob));
    *vec_push(&f->batch.cells) = (struct engine_cell_row){ STR("a/r/p/prod/sync"), STR_NONE };
    commit(f);
    assert_int_equal(r->ops->cell(r, &f->arena, STR("a/r/p/prod/sync"), &blob, &err), 0);
    r->ops->close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_incident_filters),
        BOTH(test_the_log_is_read_in_order_and_in_pages),
        BOTH(test_delivery_filters),
        BOTH(test_long_timelines_show_their_end),
        BOTH(test_rejected_list),
        BOTH(test_counts_and_the_oldest),
        BOTH(test_old_events_go_with_their_runs),
        BOTH(test_purge_takes_small_bites),
        BOTH(test_old_incidents_go_whole_and_open_ones_stay),
        BOTH(test_a_long_timeline_goes_in_pieces),
        BOTH(test_deliveries_of_no_incident_age_too),
        BOTH(test_size_takes_the_oldest_events),
        BOTH(test_a_cell_by_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
