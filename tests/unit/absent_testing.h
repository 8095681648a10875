/* absent_testing: rules that wait, and what a source tells of how far it is. */
#ifndef ABSENT_TESTING_H
#define ABSENT_TESTING_H
#include "engine_testing.h"

enum { DAY = 24 * HOUR };
#define EVERY_2H "rules:\n  quiet:\n    when: {task: sync, status: success}\n    absent: 2h\n    linger: 0s\n    repeat: never\n    notify: hook\n"
#define SEEN_2H "rules:\n  quiet:\n    when: {status: success}\n    absent: 2h\n    linger: 0s\n    repeat: never\n    notify: hook\n"
#define IN_PROD "rules:\n  quiet:\n    when: {task: [sync, import], status: success, env: prod}\n    absent: 2h\n    linger: 0s\n    repeat: never\n    notify: hook\n"
/* The bench begins at 2026-01-05 12:00 UTC. */
#define NIGHTLY "rules:\n  nightly:\n    when: {task: export, status: success, env: prod}\n    absent: {cron: \"0 3 * * *\", grace: 30m, zone: UTC}\n    linger: 0s\n    repeat: never\n    notify: hook\n"

#define HIT(task_, run_, at_) (struct report){ .run = run_, .task = task_, .state = RUN_COMPLETED, .at_ms = at_ }
#define LATE(task_, run_, at_, event_) (struct report){ .run = run_, .task = task_, .state = RUN_COMPLETED, .at_ms = at_, .event_ms = event_ }

UNUSED size_t opened(const struct bench *b)
{
    return count_notes(b, "opened");
}

UNUSED size_t open_now(const struct bench *b)
{
    return engine_stats(b->e).incidents_open;
}

UNUSED size_t keys(const struct bench *b)
{
    return engine_stats(b->e).absent_keys;
}

/* When the next thing is due, since the start. */
UNUSED int64_t due(const struct bench *b)
{
    return engine_next_due(b->e) == ENGINE_NEVER ? -1 : engine_next_due(b->e) - start_ms;
}

UNUSED void sources(struct bench *b, const struct engine_source *v, size_t n)
{
    struct engine_input in = { .kind = ENGINE_SOURCES };
    in.u.sources.v = v;
    in.u.sources.n = n;
    step(b, &in);
    tick(b); /* as every batch ends */
}

enum { EVERY_STATE = (1 << RUN_STATES) - 1, EVERY_FIELD = (RUN_HAS_STATE << 1) - 1 };
#define SOURCE(env_, heard_, told_) \
    (struct engine_source){ STR("s"), STR("default"), env_, EVERY_STATE, EVERY_FIELD, start_ms + (heard_), (told_) == ENGINE_NEVER ? ENGINE_NEVER : start_ms + (told_) }

UNUSED void source(struct bench *b, int64_t heard_ms, int64_t told_ms)
{
    struct engine_source s = SOURCE(STR_NONE, heard_ms, told_ms);
    sources(b, &s, 1);
}

UNUSED struct str title(struct bench *b)
{
    return said_field(b, last_said(b, "hook"), "title");
}
#endif
