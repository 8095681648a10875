/* lasts_testing: runs that are told as a source tells them: what is news of them is judged first. */
#ifndef LASTS_TESTING_H
#define LASTS_TESTING_H
#include "engine_testing.h"

/* --- telling ----------------------------------------------------------------------------------------------------- */
struct tell {
    const char *run;
    enum run_state state;
    int64_t at_ms;      /* since the start: when it arrives */
    int64_t event_ms;   /* updatedAt; 0 = at_ms */
    const char *task, *queue, *tag;
    int64_t attempts;   /* attemptCount; 0 = not told */
    int64_t started_ms;
    bool reread;        /* its source was asked for it */
    bool old;           /* for ignore_older */
};
struct heard { const char *run; struct run_known known; };
static struct heard heard[64];
static size_t heard_count;

UNUSED struct run_known *known_of(const char *run)
{
    for (size_t k = 0; k < heard_count; k++)
        if (strcmp(heard[k].run, run) == 0) return &heard[k].known;
    assert_true(heard_count < 64);
    heard[heard_count] = (struct heard){ .run = run, .known = { .created_ms = RUN_TIME_NONE, .started_ms = RUN_TIME_NONE } };
    return &heard[heard_count++].known;
}

UNUSED void open_bench(struct bench *b, const char *rules)
{
    heard_count = 0;
    bench_open(b, rules);
}

UNUSED void tell(struct bench *b, struct tell r)
{
    struct run run;
    struct transition t[TRANSITIONS_MAX];
    struct engine_input in = { .kind = ENGINE_EVENT };
    struct run_known *known = known_of(r.run);
    struct str tag = str_c(r.tag);
    size_t n;
    until(b, r.at_ms);
    run_init(&run);
    run.id = str_c(r.run);
    run.task = str_c(r.task ? r.task : "sync");
    run.queue = str_c(r.queue);
    run.project = STR("default");
    run.env = STR("prod");
    run.kind = STR("run");
    run.state = r.state;
    run.spelling = str_c(run_state_name(r.state));
    run.updated_ms = start_ms + (r.event_ms ? r.event_ms : r.at_ms);
    run.created_ms = start_ms - 100 * HOUR; /* of no interest */
    if (run_state_class(r.state) & RUN_CLASS_FINISHED) run.finished_ms = run.updated_ms;
    if (r.started_ms) run.started_ms = start_ms + r.started_ms;
    if (r.attempts) run.attempt_count = r.attempts;
    run.tags = &tag;
    run.tag_count = r.tag != NULL;
    run.present = RUN_HAS_TASK | RUN_HAS_STATE | RUN_HAS_UPDATED | RUN_HAS_CREATED | (r.queue ? RUN_HAS_QUEUE : 0) | (r.tag ? RUN_HAS_TAGS : 0) |
                  (r.attempts ? RUN_HAS_ATTEMPT : 0) | (r.started_ms ? RUN_HAS_STARTED : 0);
    in.u.event.run = &run;
    in.u.event.event_id = 1000 + b->events++;
    in.u.event.known = known;
    in.u.event.reread = r.reread;
    in.u.event.recorded_only = r.old;
    n = run_transitions(&b->a, &run, known, b->now_ms, 0, in.u.event.event_id, t);
    for (size_t k = 0; k < n; k++) {
        in.u.event.transition = &t[k];
        in.u.event.since_succeeded = run_succeeded_since(known, &t[k]);
        step(b, &in);
    }
    until(b, r.at_ms);
}

/* Its source was asked for it. */
UNUSED void answer(struct bench *b, struct tell r)
{
    r.reread = true;
    tell(b, r);
}

/* Nobody can read it again. */
UNUSED void unread(struct bench *b, const char *run)
{
    struct engine_input in = { .kind = ENGINE_UNREAD };
    in.u.unread.project = STR("default");
    in.u.unread.env = STR("prod");
    in.u.unread.run = str_c(run);
    step(b, &in);
}

#define STUCK(more) "rules:\n  r:\n    when: {status: EXECUTING}\n    lasts: 30m\n    repeat: never\n    notify: [chat, hook]\n" more
#define EXECUTES(run_, at_) (struct tell){ .run = run_, .state = RUN_EXECUTING, .at_ms = at_ }
#define ENDS(run_, at_) (struct tell){ .run = run_, .state = RUN_COMPLETED, .at_ms = at_ }

UNUSED size_t openings(const struct bench *b)
{
    return count_said(b, "hook", MESSAGE_OPEN);
}

UNUSED bool field_is(struct bench *b, const struct said *s, const char *name, const char *text)
{
    struct str is = said_field(b, s, name);
    if (!str_eq_c(is, text)) print_message("%s is " STR_FMT "\n", name, STR_ARG(is));
    return str_eq_c(is, text);
}

/* What the fields of a message say. */
UNUSED struct str said_value(struct bench *b, const struct said *s, const char *name)
{
    struct json v;
    struct err err;
    assert_int_equal(json_parse(&b->a, s->content, &json_default_limits, &v, NULL, &err), 0);
    for (v = json_first(json_get_c(v, "fields")); json_kind(v) != JSON_ABSENT; v = json_next(v))
        if (str_eq_c(json_str(json_get_c(v, "name")), name)) return json_str(json_get_c(v, "value"));
    return STR("");
}
#endif
