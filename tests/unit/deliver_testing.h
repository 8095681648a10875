/* deliver_testing: configurations, jobs and a record of results for the tests of deliver. */
#ifndef DELIVER_TESTING_H
#define DELIVER_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_testing.h"
#include "deliver/deliver_internal.h"

#define COUNT(x) (sizeof(x) / sizeof *(x))

/* A configuration with these destinations: lines of YAML, indented by two. */
static inline struct config *bench_config(const char *destinations)
{
    struct arena a = { 0 };
    struct config *c = config_of(str_printf(&a, "version: 1\ndestinations:\n%s", destinations).p);
    arena_fini(&a);
    return c;
}

/* Copied where a test sets numbers that a file cannot. */
static inline struct notify_destination *bench_destination(struct config *c, const char *name)
{
    return (struct notify_destination *)config_destination(c, str_c(name));
}

static const char bench_content[] =
    "{\"kind\":\"open\",\"id\":\"msg_1\",\"incident\":\"inc_1\",\"rule\":\"crash\",\"key\":\"task=render\","
    "\"dedup\":\"d-1\","
    "\"project\":\"default\",\"env\":\"prod\",\"severity\":\"error\",\"severity_error\":true,\"state\":"
    "\"firing\",\"title\":\"render failed\","
    "\"body\":\"out of "
    "memory\",\"status\":\"OPEN\",\"at\":\"2026-05-03T10:16:41Z\",\"fields\":[],\"hits\":1,\"runs\":1}";

static inline struct deliver_job bench_job(uint64_t id, const char *destination)
{
    return (struct deliver_job){ .delivery = id,
                                 .message = id + 1000000,
                                 .incident = 1,
                                 .destination = str_c(destination),
                                 .lane = STR("inc"),
                                 .params = STR_NONE,
                                 .content = str_c(bench_content),
                                 .captures = STR_NONE };
}

/* A result as it was told, texts cut to what a test looks at. */
struct told {
    uint64_t delivery;
    char destination[32], detail[160], captures[160];
    enum deliver_outcome outcome;
    enum verdict_class class;
    int status;
    bool attempted, plain;
    int64_t at_ms, due_ms, took_ms;
};

static inline void told_fill(struct told *t, const struct deliver_result *r)
{
    *t = (struct told){ .delivery = r->delivery, .outcome = r->outcome, .class = r->verdict.class,
                        .status = r->verdict.status, .attempted = r->attempted, .plain = r->plain,
                        .at_ms = r->at_ms, .due_ms = r->due_ms, .took_ms = r->took_ms };
    snprintf(t->destination, sizeof t->destination, STR_FMT, STR_ARG(r->destination));
    snprintf(t->detail, sizeof t->detail, STR_FMT, STR_ARG(r->verdict.detail));
    snprintf(t->captures, sizeof t->captures, STR_FMT, STR_ARG(r->verdict.captures));
}
#endif
