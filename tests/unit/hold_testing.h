/* hold_testing: what tests of held messages share: silences made, hits of a task. */
#ifndef HOLD_TESTING_H
#define HOLD_TESTING_H
#include "engine_testing.h"

UNUSED int silence_made(struct bench *b, const char *when, const char *rule, int64_t for_ms, bool until_resolved, uint64_t *id)
{
    struct engine_input in = { .kind = ENGINE_COMMAND };
    struct engine_output out;
    struct err err;
    int result;
    in.now_ms = b->now_ms;
    in.u.command.what = ENGINE_SILENCE;
    in.u.command.when = str_c(when);
    in.u.command.rule = str_c(rule);
    in.u.command.who = STR("ann");
    in.u.command.why = STR("known");
    in.u.command.for_ms = for_ms;
    in.u.command.until_resolved = until_resolved;
    engine_output_init(&out, &b->a);
    assert_int_equal(engine_step(b->e, &in, &out, &err), 0);
    result = out.command_result;
    *id = out.command_id;
    take(b, &out);
    engine_output_fini(&out);
    collect(b);
    return result;
}

UNUSED uint64_t silence_of(struct bench *b, const char *when, const char *rule, int64_t for_ms, bool until_resolved)
{
    uint64_t id;
    assert_int_equal(silence_made(b, when, rule, for_ms, until_resolved, &id), 0);
    return id;
}

UNUSED uint64_t silence(struct bench *b, const char *when, int64_t for_ms)
{
    return silence_of(b, when, "", for_ms, false);
}

UNUSED struct report crashed(const char *run, const char *task, int64_t at_ms)
{
    return (struct report){ .run = run, .task = task, .state = RUN_FAILED, .at_ms = at_ms };
}

#define BEHIND \
    "rules:\n  tail:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    unless: platform\n    notify: chat\n    linger: 0s\n" \
    "  platform:\n    when: {status: SYSTEM_FAILURE}\n    by: env\n    notify: pager\n    linger: 0s\n    resolve: manual\n"
#define DOWN(run_, at_) (struct report){ .run = run_, .state = RUN_SYSTEM_FAILURE, .at_ms = at_ }

UNUSED uint64_t id_of(const struct bench *b, const char *rule)
{
    for (size_t k = b->rows.n; k-- > 0;)
        if (str_eq_c(b->rows.v[k].rule, rule)) return b->rows.v[k].id;
    fail_msg("no incident of %s", rule);
    return 0;
}

/* The bench begins on a Monday at 12:00 UTC. */
#define BUSINESS "schedules:\n  business: {days: mon-fri, hours: 09:00-18:00, zone: UTC}\n"
enum { EVENING = 6 * HOUR, MORNING = 21 * HOUR };
#define NIGHTLY \
    "schedules:\n  nightly: {days: all, hours: 01:00-04:00, zone: UTC}\nmutes:\n  rebuild: {when: {task: \"etl-*\"}, during: nightly, why: planned rebuild}\n"
enum { MUTED = 13 * HOUR, UNMUTED = 16 * HOUR };
#endif
