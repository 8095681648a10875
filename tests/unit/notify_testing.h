/* notify_testing: providers, destinations and messages for the tests of notify. */
#ifndef NOTIFY_TESTING_H
#define NOTIFY_TESTING_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "notify/notify_internal.h"

struct notify_bench {
    struct arena arena;
    struct diags diags;
    struct notify_providers *providers;
};

static inline void bench_show(struct notify_bench *b)
{
    struct strbuf text;
    strbuf_init(&text, 1 << 20);
    diags_print(&b->diags, &text, false);
    fputs(text.p, stderr);
    strbuf_fini(&text);
}

static inline void bench_open(struct notify_bench *b)
{
    memset(b, 0, sizeof *b);
    diags_init(&b->diags, &b->arena);
    b->providers = notify_providers_load(&b->arena, &b->diags);
    if (!b->providers) bench_show(b);
    assert_non_null(b->providers);
}

static inline void bench_close(struct notify_bench *b)
{
    diags_fini(&b->diags);
    arena_fini(&b->arena);
}

/* false with diagnostics in b when the YAML of the destination is refused. */
static inline bool bench_try(struct notify_bench *b, const char *yaml, struct notify_destination *out)
{
    const struct yaml_node *n = yaml_read(&b->arena, "test.yaml", str_c(yaml), &b->diags);
    *out = (struct notify_destination){ 0 };
    return n && notify_destination_decode(b->providers, &b->arena, n, ".", false, &b->diags, out);
}

static inline struct notify_destination bench_destination(struct notify_bench *b, const char *yaml)
{
    struct notify_destination d;
    if (!bench_try(b, yaml, &d)) {
        bench_show(b);
        fail_msg("refused: %s", yaml);
    }
    return d;
}

static inline struct json bench_json(struct arena *a, struct str text)
{
    struct json v = { 0 };
    struct err err;
    if (text.n && json_parse(a, text, &json_default_limits, &v, NULL, &err) < 0)
        fail_msg("%s in " STR_FMT, err.msg, STR_ARG(text));
    return v;
}

/* An ordinary message. */
static inline struct message bench_message(enum message_kind kind)
{
    static struct message_field fields[] = {
        { STR("Runs"), STR("12 of render-video"), false },
        { STR("Version"), STR("20260503.1"), false },
        { STR("Machine & region"), STR("large-1x <eu>"), false },
        { STR("Tags"), STR("customer:acme, tier:gold"), true },
    };
    struct message m = {
        .kind = kind,
        .id = UINT64_C(1777803401377) << 20,
        .incident = (UINT64_C(1777803300000) << 20) + 7,
        .rule = STR("crash-storm"),
        .key = STR("task=render-video"),
        .dedup = STR("crash-storm/prod/render-video#3"),
        .project = STR("shop"),
        .env = STR("prod"),
        .severity = SEVERITY_ERROR,
        .title = STR("render-video: 12 runs CRASHED in 10m"),
        .body = STR("Error: cannot read frame 17 of <input> & more\n    at decode (src/decode.ts:42:7)"),
        .status_line = STR("OPEN"),
        .reason = STR(""),
        .fields = fields,
        .field_count = 4,
        .run = STR("run_cmabc123"),
        .task = STR("render-video"),
        .link = STR("https://cloud.trigger.dev/orgs/acme/projects/shop/runs/run_cmabc123?a=1&b=2"),
        .incident_link = STR("https://bell.example.com/incidents/inc_1"),
        .runbook = STR("https://wiki.example.com/render"),
        .at_ms = INT64_C(1777803401377),
        .opened_ms = INT64_C(1777803300000),
        .hits = 14,
        .runs = 12,
        .note = STR(""),
        .late_by = STR_NONE,
    };
    if (kind == MESSAGE_RESOLVE) {
        m.resolved = true;
        m.status_line = STR("RESOLVED after 14m");
        m.reason = STR("A later run of render-video succeeded.");
    }
    if (kind == MESSAGE_REMINDER) m.status_line = STR("REMINDER 2h 5m");
    if (kind == MESSAGE_ESCALATION) m.status_line = STR("ESCALATED after 15m");
    if (kind == MESSAGE_DRILL) m.status_line = STR("DRILL");
    return m;
}

static inline struct json bench_stored(struct arena *a, const struct message *m)
{
    struct json_draft d;
    message_write(m, json_draft_begin(&d, 4 << 20));
    return bench_json(a, json_draft_end(&d, a));
}

static const struct notify_attempt bench_attempt = {
    .delivery = (UINT64_C(1777803401400) << 20) + 1,
    .message = UINT64_C(1777803401377) << 20,
    .now_ms = INT64_C(1777803402500),
};

static const char bench_slack_bot[] = "type: slack\ntoken: xoxb-test\nchannel: '#ops'\n";
static const char bench_slack_webhook[] =
    "type: slack\nurl: https://hooks.slack.com/services/T1/B1/s3cr3tpath\n";
static const char bench_pagerduty[] = "type: pagerduty\nrouting_key: 0123456789abcdef0123456789abcdef\n";
static const char bench_webhook[] = "type: webhook\nurl: https://in.example.com/hook?x=1\nsecret: "
                                    "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
static const char bench_console[] = "type: console\n";
#endif
