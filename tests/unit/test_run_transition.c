#include "base/timefmt.h"
#include "run_support.h"

/* As between two batches: what is known goes through the store. */
static const char *const field_names[] = {
    "task", "tags", "version", "queue", "root", "parent", "machine", "region", "schedule", "batch", "test",
    "attempt", "created", "updated", "started", "finished", "delayed", "cost", "error", "metadata", "state",
};

/* One word per transition: "~" derived, "+" fuller (with what it gained), "=" duplicate; the state; the
 * attempt of a REATTEMPTING; "!" when current; "@seconds" when a new one is not of the report's own time. */
static void describe(const struct transition *t, int64_t at_s, struct strbuf *out)
{
    if (out->n) strbuf_char(out, ' ');
    strbuf_c(out, t->kind == TRANSITION_DUPLICATE ? "="
                  : t->kind == TRANSITION_FULLER  ? "+"
                  : t->derived                    ? "~"
                                                  : "");
    strbuf_c(out, t->state == RUN_UNKNOWN ? "?" : run_state_name(t->state));
    if (t->state == RUN_REATTEMPTING) strbuf_printf(out, "(%d)", (int)t->attempt);
    for (size_t i = 0; i < COUNT_OF(field_names); i++)
        if (t->gained & (1u << i)) strbuf_printf(out, ":%s", field_names[i]);
    if (t->current) strbuf_char(out, '!');
    if (t->kind == TRANSITION_NEW && at_s >= 0 && t->event_ms != BASE_MS + at_s * 1000)
        strbuf_printf(out, "@%d", (int)((t->event_ms - BASE_MS) / 1000));
}

struct step {
    int at_s;           /* updatedAt, and finishedAt of a final state; negative: not told */
    const char *status; /* "failed": a source that knows no more than that */
    const char *more;   /* further members */
    const char *want;   /* NULL ends the story */
};

static struct str report_text(struct arena *a, const struct step *s)
{
    char time[TIMEFMT_SIZE];
    bool vague = strcmp(s->status, "failed") == 0;
    struct str text = str_printf(a, "{'id':'run_1','status':'%s'", vague ? "FAILED" : s->status);
    if (s->at_s >= 0) {
        time_format(BASE_MS + s->at_s * 1000LL, time);
        text = str_printf(a, STR_FMT ",'updatedAt':'%s'", STR_ARG(text), time);
        if (run_state_class(run_state_parse(str_c(s->status))) & RUN_CLASS_FINISHED)
            text = str_printf(a, STR_FMT ",'finishedAt':'%s'", STR_ARG(text), time);
    }
    return str_printf(a, STR_FMT "%s%s}", STR_ARG(text), *s->more ? "," : "", s->more);
}

static void check_step(struct arena *a, struct run_known *k, const char *story, size_t n,
                       const struct step *s)
{
    struct transition out[TRANSITIONS_MAX];
    struct run r = decode(a, parse_text(a, report_text(a, s).p));
    struct strbuf got;
    size_t count;
    if (strcmp(s->status, "failed") == 0) r.present &= ~(uint32_t)RUN_HAS_STATE;
    count = run_transitions(a, &r, k, BASE_MS + ARRIVAL_S * 1000LL, BASE_MS + START_S * 1000LL, n + 1, out);
    strbuf_init(&got, 4096);
    for (size_t i = 0; i < count; i++) describe(&out[i], s->at_s, &got);
    if (strcmp(got.p, s->want) != 0) fail_msg("%s, step %zu: got '%s', want '%s'", story, n, got.p, s->want);
    strbuf_fini(&got);
    store_and_load(a, k);
}

#define CREATED "'createdAt':'2026-05-03T10:00:00Z'"
#define BEFORE_US "'createdAt':'2026-05-03T09:59:59Z'"
#define STARTED "'startedAt':'2026-05-03T10:00:01Z'"
#define F1                                                                                                   \
    "{'status':'FAILED','startedAt':'2026-05-03T10:00:01Z','completedAt':'2026-05-03T10:00:02Z'}"
#define F2                                                                                                   \
    "{'status':'FAILED','startedAt':'2026-05-03T10:00:10Z','completedAt':'2026-05-03T10:00:12Z'}"
#define F3                                                                                                   \
    "{'status':'FAILED','startedAt':'2026-05-03T10:00:20Z','completedAt':'2026-05-03T10:00:22Z'}"
#define N(n) "'attemptCount':" #n

static const struct story {
    const char *name;
    struct step steps[10];
} stories[] = {
    { "a plain run",
      { { 0, "QUEUED", "", "QUEUED!" },
        { 1, "DEQUEUED", "", "DEQUEUED!" },
        { 2, "EXECUTING", "", "EXECUTING!" },
        { 3, "EXECUTING", "", "=EXECUTING!" },
        { 4, "WAITING", "", "WAITING!" },
        { 5, "EXECUTING", "", "EXECUTING!" },
        { 6, "COMPLETED", "", "COMPLETED!" },
        { 6, "COMPLETED_SUCCESSFULLY", "", "=COMPLETED!" } } },
    { "spellings do not matter",
      { { 0, "PENDING", "", "QUEUED!" },
        { 1, "QUEUED", "", "=QUEUED!" },
        { 2, "FROZEN", "", "WAITING!" },
        { 3, "WAITING_TO_RESUME", "", "=WAITING!" },
        { 4, "COMPLETED_WITH_ERRORS", "", "FAILED!" },
        { 9, "FAILED", "", "=FAILED!" } } },
    { "late reports find their place and never move the state back",
      { { 5, "EXECUTING", "", "EXECUTING!" },
        { 1, "QUEUED", "", "QUEUED" },
        { 1, "QUEUED", "", "=QUEUED" },
        { 2, "DEQUEUED", "", "DEQUEUED" },
        { 4, "EXECUTING", "", "=EXECUTING!" },
        { 9, "FAILED", "", "FAILED!" },
        { 3, "DELAYED", "", "DELAYED" },
        { 8, "WAITING", "", "WAITING" } } },
    { "the first final state wins",
      { { 5, "TIMED_OUT", "", "TIMED_OUT!" },
        { 6, "CANCELED", "", "=CANCELED" },
        { 5, "TIMED_OUT", "'metadata':{}", "+TIMED_OUT:metadata!" },
        { 5, "TIMED_OUT", "'metadata':{}", "=TIMED_OUT!" } } },
    { "a final state is the last whatever the clocks say",
      { { 9, "EXECUTING", "", "EXECUTING!" },
        { 5, "COMPLETED", "", "COMPLETED!" },
        { 12, "EXECUTING", "", "=EXECUTING" },
        { -1, "QUEUED", "", "QUEUED" } } },
    { "the exact final state makes a vague one fuller",
      { { 5, "failed", "", "FAILED!" },
        { 5, "failed", "", "=FAILED!" },
        { 5, "CRASHED", "", "+CRASHED:state!" },
        { 5, "TIMED_OUT", "", "=TIMED_OUT" } } },
    { "a vague report is one of the exact state known",
      { { 5, "CRASHED", "", "CRASHED!" },
        { 7, "failed", "'error':'x'", "+CRASHED:error!" },
        { 7, "failed", "", "=CRASHED!" } } },
    { "a vague failure does not contradict a success",
      { { 5, "COMPLETED", "", "COMPLETED!" }, { 7, "failed", "'error':'x'", "=FAILED" } } },
    { "fields gained make a known transition fuller, once",
      { { 1, "EXECUTING", "'task':'t'", "EXECUTING!" },
        { 2, "EXECUTING", "'task':'t','region':'eu','tags':[]", "+EXECUTING:tags:region!" },
        { 3, "EXECUTING", "'region':'us'", "=EXECUTING!" },
        { 4, "FAILED", "'region':'us'", "FAILED!" },
        { 4, "FAILED", "'tags':['a'],'task':'t'",
          "=FAILED!" } } }, /* they were carried over: rules have read them */
    { "unknown states are told apart by their text",
      { { 1, "HIBERNATING", "", "?!" },
        { 2, "HIBERNATING", "", "=?!" },
        { 3, "DREAMING", "", "?!" },
        { 4, "HIBERNATING", "", "?!" } } },

    { "retry with a short delay: the count grows",
      { { 1, "EXECUTING", CREATED "," N(1), "EXECUTING!" },
        { 5, "EXECUTING", CREATED "," N(2), "~REATTEMPTING(2)!" },
        { 6, "EXECUTING", CREATED "," N(2), "=EXECUTING!" },
        { 9, "FAILED", CREATED "," N(3), "~REATTEMPTING(3)! FAILED!" } } },
    { "an increase by n is n events",
      { { 1, "QUEUED", CREATED "," N(0), "QUEUED!" },
        { 5, "EXECUTING", CREATED "," N(4),
          "~REATTEMPTING(2)! ~REATTEMPTING(3)! ~REATTEMPTING(4)! EXECUTING!" } } },
    { "retry with a long delay: queued again",
      { { 1, "EXECUTING", STARTED "," N(1), "EXECUTING!" },
        { 5, "QUEUED", STARTED "," N(1), "~REATTEMPTING(2)! QUEUED!" },
        { 8, "EXECUTING", STARTED "," N(2), "EXECUTING!" },
        { 9, "QUEUED", STARTED "," N(2), "~REATTEMPTING(3)! QUEUED!" },
        { 10, "QUEUED", STARTED "," N(2), "=QUEUED!" },
        { 12, "COMPLETED", STARTED "," N(3), "COMPLETED!" } } },
    { "the same where the list tells no counts",
      { { 1, "EXECUTING", STARTED, "EXECUTING!" },
        { 5, "QUEUED", STARTED, "~REATTEMPTING(2)! QUEUED!" },
        { 8, "EXECUTING", STARTED, "EXECUTING!" },
        { 9, "QUEUED", STARTED, "~REATTEMPTING(3)! QUEUED!" } } },
    { "queued before it ever started is no retry",
      { { 1, "EXECUTING", N(0), "EXECUTING!" }, { 5, "QUEUED", STARTED "," N(0), "QUEUED!" } } },
    { "queued again without a start is no retry",
      { { 1, "EXECUTING", "", "EXECUTING!" }, { 5, "QUEUED", "", "QUEUED!" } } },
    { "the late end of a requeueing",
      { { 5, "QUEUED", STARTED "," N(1), "QUEUED!" },
        { 1, "EXECUTING", STARTED "," N(1), "~REATTEMPTING(2) EXECUTING" },
        { 8, "EXECUTING", STARTED "," N(2), "EXECUTING!" } } },
    { "where counts are told, a late end without one does not guess",
      { { 5, "QUEUED", STARTED "," N(1), "QUEUED!" },
        { 8, "EXECUTING", STARTED "," N(2), "~REATTEMPTING(2)! EXECUTING!" },
        { 1, "EXECUTING", STARTED, "EXECUTING" } } },
    { "where counts are told, a late requeueing without one is counted already",
      { { 1, "EXECUTING", STARTED "," N(1), "EXECUTING!" },
        { 8, "EXECUTING", STARTED "," N(2), "~REATTEMPTING(2)!" },
        { 5, "QUEUED", STARTED, "QUEUED!" },
        { 8, "EXECUTING", STARTED "," N(2), "EXECUTING!" },
        { 9, "QUEUED", STARTED, "~REATTEMPTING(3)! QUEUED!" } } },
    { "what is older comes first",
      { { 1, "EXECUTING", N(1), "EXECUTING!" },
        { 5, "EXECUTING", N(2) ",'region':'eu'", "+EXECUTING:region! ~REATTEMPTING(2)!" } } },
    { "a literal one beside the counts is the same event",
      { { 1, "EXECUTING", STARTED "," N(1), "EXECUTING!" },
        { 3, "REATTEMPTING", "'attempt':2", "REATTEMPTING(2)!" },
        { 4, "QUEUED", STARTED "," N(1), "QUEUED!" },
        { 5, "EXECUTING", STARTED "," N(2), "EXECUTING!" },
        { 6, "EXECUTING", STARTED "," N(3), "~REATTEMPTING(3)!" },
        { 6, "REATTEMPTING", "'attempt':3,'metadata':{}", "+REATTEMPTING(3):metadata" },
        { 6, "REATTEMPTING", "'attempt':3", "=REATTEMPTING(3)" } } },
    { "a literal one without times does not count again at the queue",
      { { 1, "EXECUTING", STARTED, "EXECUTING!" },
        { -1, "REATTEMPTING", "'attempt':2", "REATTEMPTING(2)!" },
        { 4, "QUEUED", STARTED, "QUEUED" } } },

    { "first sight: those before are concluded",
      { { 9, "EXECUTING", CREATED "," N(3), "~REATTEMPTING(2)! ~REATTEMPTING(3)! EXECUTING!" } } },
    { "first sight of a run older than the source: they are not",
      { { 9, "EXECUTING", BEFORE_US "," N(3), "EXECUTING!" },
        { 10, "EXECUTING", BEFORE_US "," N(4), "~REATTEMPTING(4)!" } } },
    { "first sight: a literal one always counts",
      { { 9, "REATTEMPTING", BEFORE_US ",'attempt':4", "REATTEMPTING(4)!" },
        { 8, "REATTEMPTING", BEFORE_US ",'attempt':3", "REATTEMPTING(3)" },
        { 9, "REATTEMPTING", BEFORE_US ",'attempt':4", "=REATTEMPTING(4)!" } } },
    { "first sight: those beside a literal one",
      { { 9, "REATTEMPTING", CREATED ",'attempt':4",
          "~REATTEMPTING(2)! ~REATTEMPTING(3)! REATTEMPTING(4)!" },
        { 8, "REATTEMPTING", CREATED ",'attempt':3", "=REATTEMPTING(3)" } } },
    { "counts first told later are first sight too",
      { { 1, "EXECUTING", BEFORE_US, "EXECUTING!" },
        { 2, "EXECUTING", BEFORE_US "," N(3), "+EXECUTING:attempt!" },
        { 3, "EXECUTING", N(4), "~REATTEMPTING(4)!" } } },

    { "the seed's shape: finished attempts and one",
      { { 2, "REATTEMPTING", CREATED ",'attempts':[" F1 "]", "REATTEMPTING(2)!" },
        { 12, "REATTEMPTING", CREATED ",'attempts':[" F1 "," F2 "]", "REATTEMPTING(3)!" },
        { 22, "REATTEMPTING", CREATED ",'attempts':[" F1 "," F2 "," F3 "]", "REATTEMPTING(4)!" },
        { 12, "REATTEMPTING", CREATED ",'attempts':[" F1 "," F2 "]", "=REATTEMPTING(3)" },
        { 30, "COMPLETED_SUCCESSFULLY", "", "COMPLETED!" } } },
    { "the attempt's start is the time of the event where it is known",
      { { 25, "REATTEMPTING", CREATED ",'attempts':[" F1 "," F2 "," F3 "]",
          "~REATTEMPTING(2)!@10 ~REATTEMPTING(3)!@20 REATTEMPTING(4)!" } } },
    { "the older server's shape",
      { { 9, "REATTEMPTING", CREATED "," N(1) ",'attempts':[" F1 "]", "REATTEMPTING(2)!" },
        { 19, "REATTEMPTING", CREATED "," N(2) ",'attempts':[]", "REATTEMPTING(3)!" } } },
    { "a count without a list: the next one",
      { { 9, "REATTEMPTING", BEFORE_US "," N(3) ",'attempts':[]", "REATTEMPTING(4)!" } } },
    { "the first attempt is never a reattempt",
      { { 9, "REATTEMPTING", BEFORE_US ",'attempts':[{'status':'EXECUTING'}]", "REATTEMPTING(2)!" } } },
    { "without number and time beside a clock that runs ahead",
      { { 2 * ARRIVAL_S, "EXECUTING", "", "EXECUTING!@100300" },
        { -1, "REATTEMPTING", "", "REATTEMPTING(2)" },
        { -1, "REATTEMPTING", "", "=REATTEMPTING(2)" } } },
    { "without any number each later updatedAt is the next",
      { { 1, "REATTEMPTING", "", "REATTEMPTING(2)!" },
        { 1, "REATTEMPTING", "", "=REATTEMPTING(2)!" },
        { 3, "REATTEMPTING", "", "REATTEMPTING(3)!" },
        { 4, "EXECUTING", "", "EXECUTING!" },
        { 5, "RETRYING_AFTER_FAILURE", "", "REATTEMPTING(4)!" },
        { 3, "REATTEMPTING", "", "=REATTEMPTING(3)" } } },
    { "without number and time a change of state is the next",
      { { -1, "REATTEMPTING", "", "REATTEMPTING(2)!" },
        { -1, "REATTEMPTING", "", "=REATTEMPTING(2)!" },
        { -1, "EXECUTING", "", "EXECUTING!" },
        { -1, "REATTEMPTING", "", "REATTEMPTING(3)!" } } },
};

static void stories_are_judged(void **state)
{
    struct arena a = { 0 };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stories); i++) {
        struct run_known k = { 0 };
        for (size_t n = 0; n < COUNT_OF(stories[i].steps) && stories[i].steps[n].want; n++)
            check_step(&a, &k, stories[i].name, n, &stories[i].steps[n]);
        arena_reset(&a);
    }
    arena_fini(&a);
}

/* --- the seed's reattempting run with one, two, three finished attempts ------------------------------ */

static struct run seed_reattempting(struct arena *a, size_t finished)
{
    struct str text = STR_NONE;
    struct err err = { 0 };
    struct json root, attempts;
    struct strbuf out;
    struct json_writer w;
    struct run r;
    if (file_read(a, "tests/fixtures/trigger-dev/seed-run-reattempting.json", 1 << 20, &text, &err))
        fail_msg("%s", err.msg);
    root = parse(a, text);
    attempts = json_get_c(root, "attempts");
    strbuf_init(&out, 1 << 16);
    json_writer_init(&w, &out);
    json_object_begin(&w);
    for (struct json v = json_first(root); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        if (str_eq_c(json_key(v), "attempts") || str_eq_c(json_key(v), "updatedAt")) continue;
        json_put_key(&w, json_key(v));
        json_put_value(&w, v);
    }
    json_field_time(&w, "updatedAt", BASE_MS + (int64_t)finished * 300000);
    json_put_key(&w, STR("attempts"));
    json_array_begin(&w);
    for (size_t i = 0; i < finished; i++) json_put_value(&w, json_at(attempts, i % 2));
    json_array_end(&w);
    json_object_end(&w);
    r = decode_text(a, str_dup(a, strbuf_view(&out)).p);
    strbuf_fini(&out);
    return r;
}

static void the_seed_run_gives_attempts_2_3_4(void **state)
{
    struct arena a = { 0 };
    struct run_known k = { 0 };
    (void)state;
    for (size_t finished = 1; finished <= 3; finished++) {
        struct transition out[TRANSITIONS_MAX];
        struct run r = seed_reattempting(&a, finished);
        assert_int_equal(r.attempts_finished, finished);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(run_transitions(&a, &r, &k, BASE_MS + 9000000, BASE_MS, finished, out), 1);
            assert_int_equal(out[0].kind, again ? TRANSITION_DUPLICATE : TRANSITION_NEW);
            assert_int_equal(out[0].state, RUN_REATTEMPTING);
            assert_int_equal(out[0].attempt, finished + 1);
            assert_int_equal(out[0].event_id, finished);
            assert_true(out[0].current);
            assert_int_equal(r.attempt, finished + 1);
        }
    }
    arena_fini(&a);
}

/* --- what is carried over ---------------------------------------------------------------------------- */

static void identity_is_carried_over(void **state)
{
    struct arena a = { 0 };
    struct run_known k = { 0 };
    struct transition out[TRANSITIONS_MAX];
    struct run full = decode_text(&a, "{'id':'r','status':'EXECUTING','updatedAt':'2026-05-03T10:00:05Z',"
                                      "'taskIdentifier':'t','version':'v','queue':'q','tags':['x','y'],"
                                      "'root':'run_r','parent':'run_p','schedule':'s','batchId':'b',"
                                      "'isTest':true,'region':'eu','attemptCount':2,"
                                      "'createdAt':'2026-05-03T10:00:00Z',"
                                      "'startedAt':'2026-05-03T10:00:01Z'}");
    struct run bare = decode_text(&a, "{'id':'r','status':'CRASHED','finishedAt':'2026-05-03T10:00:09Z'}");
    struct run late = decode_text(&a, "{'id':'r','status':'QUEUED','updatedAt':'2026-05-03T10:00:00Z',"
                                      "'version':'old','tags':[]}");
    uint32_t own = bare.present;
    (void)state;
    run_transitions(&a, &full, &k, BASE_MS + 60000, BASE_MS, 1, out);
    store_and_load(&a, &k);
    assert_int_equal(run_transitions(&a, &bare, &k, BASE_MS + 60000, BASE_MS, 2, out), 1);
    assert_int_equal(bare.present, own);
    assert_true(str_eq_c(bare.task, "t") && str_eq_c(bare.version, "v") && str_eq_c(bare.queue, "q"));
    assert_true(str_eq_c(bare.root, "run_r") && str_eq_c(bare.parent, "run_p"));
    assert_true(str_eq_c(bare.schedule, "s") && str_eq_c(bare.batch, "b"));
    assert_int_equal(bare.tag_count, 2);
    assert_true(str_eq_c(bare.tags[1], "y") && bare.test);
    assert_int_equal(bare.created_ms, BASE_MS);
    assert_int_equal(bare.started_ms, BASE_MS + 1000);
    assert_true(str_absent(bare.region));
    assert_int_equal(bare.attempt, 2);
    assert_int_equal(out[0].attempt, 2);
    /* A late report only fills gaps of what is known. */
    run_transitions(&a, &late, &k, BASE_MS + 60000, BASE_MS, 3, out);
    assert_true(str_eq_c(late.version, "old") && late.tag_count == 0 && str_eq_c(late.task, "t"));
    assert_int_equal(late.attempt, 0);
    assert_true(str_eq_c(k.version, "v"));
    assert_int_equal(k.tag_count, 2);
    arena_fini(&a);
}

static void the_stored_form_is_short(void **state)
{
    struct arena a = { 0 };
    struct run_known k = { 0 };
    struct transition out[TRANSITIONS_MAX];
    struct run r = decode_text(&a, "{'id':'run_cmf7k2n1v000208l4i9j0k1l2','status':'EXECUTING',"
                                   "'taskIdentifier':'send-invoice','version':'20260503.1','isTest':false,"
                                   "'createdAt':'2026-05-03T10:09:30.500Z','tags':['invoice_7719'],"
                                   "'updatedAt':'2026-05-03T10:14:58.002Z','metadata':{},"
                                   "'startedAt':'2026-05-03T10:09:31.000Z'}");
    struct str text;
    (void)state;
    run_transitions(&a, &r, &k, BASE_MS + 9000000, BASE_MS, (uint64_t)(BASE_MS + 9000000) << 20, out);
    text = write_known(&a, &k);
    check_str(
        text,
        "{'t':'send-invoice','v':'20260503.1','g':['invoice_7719'],'c':1777802970500,'u':1777802971000,"
        "'h':21511,'k':[[1777803298002,'EXECUTING',1602567,1864170366566400000]]}");
    assert_true(text.n <= 200);
    arena_fini(&a);
}

static void unheard_of_and_damaged_memory(void **state)
{
    static const char *const damaged[] = { "[]", "{'k':[1]}", "{'k':[[1,2,3,4]]}",
                                           "{'k':[[1,'QUEUED',3]]}" };
    struct arena a = { 0 };
    struct run_known k = { 0 }, back;
    struct err err = { 0 };
    (void)state;
    check_str(write_known(&a, &k), "{}");
    assert_int_equal(run_known_restore(&a, parse_text(&a, "{}"), &back, &err), 0);
    assert_false(back.exists);
    for (size_t i = 0; i < COUNT_OF(damaged); i++)
        assert_int_equal(run_known_restore(&a, parse_text(&a, damaged[i]), &back, &err), -1);
    arena_fini(&a);
}

/* --- bounds ------------------------------------------------------------------------------------------ */

static void memory_stays_bounded(void **state)
{
    struct arena a = { 0 };
    struct run_known k = { 0 };
    struct transition out[TRANSITIONS_MAX];
    (void)state;
    for (int i = 0; i < 200; i++) {
        judge(&a, &k, report(i % 2 ? "WAITING" : "EXECUTING", i, 0), out);
        assert_int_equal(out[0].kind, TRANSITION_NEW);
        assert_true(k.seen_count <= RUN_SEEN_MAX);
    }
    for (int i = 2; i < 300; i++) {
        assert_int_equal(judge(&a, &k, report("REATTEMPTING", 1000 + i, i), out), 1);
        assert_int_equal(out[0].kind, TRANSITION_NEW);
        assert_true(out[0].current);
    }
    assert_int_equal(k.seen_count, RUN_SEEN_MAX);
    judge(&a, &k, report("FAILED", 5000, 299), out);
    assert_int_equal(out[0].kind, TRANSITION_NEW);
    for (int i = 2; i < 300; i++) { /* nothing is counted twice, even what has fallen out */
        assert_int_equal(judge(&a, &k, report("REATTEMPTING", 1000 + i, i), out), 1);
        assert_int_equal(out[0].kind, TRANSITION_DUPLICATE);
        assert_int_equal(out[0].attempt, i);
    }
    judge(&a, &k, report("FAILED", 5000, 299), out);
    assert_int_equal(out[0].kind, TRANSITION_DUPLICATE);
    assert_int_equal(k.seen_count, RUN_SEEN_MAX);
    store_and_load(&a, &k);
    arena_fini(&a);
}

static void the_current_state_is_never_forgotten(void **state)
{
    struct arena a = { 0 };
    struct run_known k = { 0 };
    struct transition out[TRANSITIONS_MAX];
    (void)state;
    judge(&a, &k, report("EXECUTING", 1, 1), out);
    for (int i = 2; i < 200; i++) {
        assert_int_equal(judge(&a, &k, report("EXECUTING", i, i), out), 1);
        assert_true(out[0].derived);
    }
    assert_int_equal(judge(&a, &k, report("EXECUTING", 300, 199), out), 1);
    assert_int_equal(out[0].kind, TRANSITION_DUPLICATE);
    arena_fini(&a);
}

static void one_report_gives_at_most_so_many(void **state)
{
    struct arena a = { 0 };
    struct run_known k = { 0 };
    struct transition out[TRANSITIONS_MAX];
    (void)state;
    assert_int_equal(judge(&a, &k, report("EXECUTING", 1, 250), out), TRANSITIONS_MAX - 1);
    assert_int_equal(out[TRANSITIONS_MAX - 3].attempt, 250);
    assert_int_equal(out[TRANSITIONS_MAX - 2].state, RUN_EXECUTING);
    assert_int_equal(judge(&a, &k, report("EXECUTING", 1, 250), out), 1);
    assert_int_equal(out[0].kind, TRANSITION_DUPLICATE);
    assert_int_equal(judge(&a, &k, report("REATTEMPTING", 1, RUN_ATTEMPT_MAX), out), TRANSITIONS_MAX - 1);
    assert_true(k.seen_count <= RUN_SEEN_MAX);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_are_judged),
        cmocka_unit_test(the_seed_run_gives_attempts_2_3_4),
        cmocka_unit_test(identity_is_carried_over),
        cmocka_unit_test(the_stored_form_is_short),
        cmocka_unit_test(unheard_of_and_damaged_memory),
        cmocka_unit_test(memory_stays_bounded),
        cmocka_unit_test(the_current_state_is_never_forgotten),
        cmocka_unit_test(one_report_gives_at_most_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
