/* Requests: golden ones under tests/unit/golden/ (written anew with RUNBELL_GOLDEN=write; read the
 * difference before committing it), and the rules that hold for any descriptor. */
#include <stdio.h>

#include "base/file.h"
#include "notify_testing.h"

static const char captured[] = "{\"channel\":\"C024BE91L\",\"ts\":\"1767323045.000200\"}";

static int try_build(struct notify_bench *b, const struct notify_destination *d, const struct message *m,
                     const char *params, const char *captures, bool plain, struct notify_request *req, struct err *err)
{
    struct notify_attempt at = bench_attempt;
    at.plain = plain;
    return notify_build(d, bench_stored(&b->arena, m), bench_json(&b->arena, str_c(params)),
                        bench_json(&b->arena, str_c(captures)), &at, &b->arena, req, err);
}

static struct notify_request build(struct notify_bench *b, const struct notify_destination *d, const struct message *m,
                                   const char *captures, bool plain)
{
    struct notify_request req;
    struct err err;
    if (try_build(b, d, m, "", captures, plain, &req, &err) < 0) fail_msg("%s", err.msg);
    return req;
}

/* --- golden requests ------------------------------------------------------------------------------------ */
static void show_request(const struct notify_request *r, struct strbuf *out)
{
    if (r->skip) strbuf_c(out, "(nothing is sent)\n");
    if (r->url.n) strbuf_printf(out, STR_FMT " " STR_FMT "\n", STR_ARG(r->method), STR_ARG(r->url));
    for (size_t i = 0; i < r->header_count; i++)
        strbuf_printf(out, STR_FMT ": " STR_FMT "\n", STR_ARG(r->headers[i].name), STR_ARG(r->headers[i].value));
    strbuf_char(out, '\n');
    strbuf_str(out, r->body);
    strbuf_char(out, '\n');
}

static void check_golden(const char *name, struct str got)
{
    struct arena a = { 0 };
    struct str path = str_printf(&a, "tests/unit/golden/notify-%s.txt", name), want;
    struct err err;
    if (getenv("RUNBELL_GOLDEN")) {
        FILE *f = fopen(path.p, "w");
        assert_non_null(f);
        fwrite(got.p, 1, got.n, f);
        fclose(f);
    }
    if (file_read(&a, path.p, 1 << 20, &want, &err) < 0) fail_msg("%s", err.msg);
    if (!str_eq(got, want)) fail_msg("%s differs, got:\n" STR_FMT, path.p, STR_ARG(got));
    arena_fini(&a);
}

static void test_golden(void **state)
{
    static const struct { const char *name, *yaml; enum message_kind kind; const char *captures; bool plain; } cases[] = {
        { "slack-bot-open", bench_slack_bot, MESSAGE_OPEN, "{}", false },
        { "slack-bot-update", bench_slack_bot, MESSAGE_UPDATE, captured, false },
        { "slack-bot-resolve", bench_slack_bot, MESSAGE_RESOLVE, captured, false },
        { "slack-bot-reminder-plain", bench_slack_bot, MESSAGE_REMINDER, captured, true },
        { "slack-webhook-open", bench_slack_webhook, MESSAGE_OPEN, "{}", false },
        { "slack-webhook-update", bench_slack_webhook, MESSAGE_UPDATE, "{}", false },
        { "pagerduty-open", bench_pagerduty, MESSAGE_OPEN, "{}", false },
        { "pagerduty-open-plain", bench_pagerduty, MESSAGE_OPEN, "{}", true },
        { "pagerduty-ack", bench_pagerduty, MESSAGE_ACK, "{}", false },
        { "pagerduty-resolve", bench_pagerduty, MESSAGE_RESOLVE, "{}", false },
        { "webhook-open", bench_webhook, MESSAGE_OPEN, "{}", false },
        { "webhook-resolve-plain", bench_webhook, MESSAGE_RESOLVE, "{}", true },
        { "console-open", bench_console, MESSAGE_OPEN, "{}", false },
        { "console-resolve-color", "type: console\ncolor: true\n", MESSAGE_RESOLVE, "{}", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_bench b;
        struct notify_destination d;
        struct notify_request r;
        struct message m = bench_message(cases[i].kind);
        struct strbuf text;
        bench_open(&b);
        d = bench_destination(&b, cases[i].yaml);
        r = build(&b, &d, &m, cases[i].captures, cases[i].plain);
        strbuf_init(&text, 1 << 20);
        show_request(&r, &text);
        check_golden(cases[i].name, strbuf_view(&text));
        strbuf_fini(&text);
        bench_close(&b);
    }
}

/* --- which action --------------------------------------------------------------------------------------- */
static void test_actions(void **state)
{
    static const struct { const char *yaml; enum message_kind kind; const char *captures, *url_end, *holds; } cases[] = {
        { bench_slack_bot, MESSAGE_UPDATE, "{}", "/chat.postMessage", "\"channel\":\"#ops\"" },
        { bench_slack_bot, MESSAGE_UPDATE, "{\"ts\":\"1.2\"}", "/chat.postMessage", "\"channel\":\"#ops\"" },
        { bench_slack_bot, MESSAGE_UPDATE, captured, "/chat.update", "\"ts\":\"1767323045.000200\"" },
        { bench_slack_bot, MESSAGE_REMINDER, captured, "/chat.postMessage", "\"reply_broadcast\":true" },
        { bench_slack_bot, MESSAGE_ESCALATION, captured, "/chat.postMessage", "\"thread_ts\":\"1767323045.000200\"" },
        { bench_slack_bot, MESSAGE_ESCALATION, "{}", "/chat.postMessage", "ESCALATED after 15m" },
        { bench_slack_bot, MESSAGE_RESOLVE, captured, "/chat.postMessage", "\"reply_broadcast\":true" },
        { bench_slack_bot, MESSAGE_DIGEST, captured, "/chat.postMessage", "\"channel\":\"#ops\"" },
        { bench_slack_bot, MESSAGE_ACK, captured, NULL, NULL },
        { bench_slack_bot, MESSAGE_DRILL, captured, "/chat.postMessage", "DRILL" },
        { bench_slack_webhook, MESSAGE_ACK, "{}", NULL, NULL },
        { bench_slack_webhook, MESSAGE_RESOLVE, "{}", "/s3cr3tpath", "RESOLVED after 14m" },
        { bench_pagerduty, MESSAGE_UPDATE, "{}", NULL, NULL },
        { bench_pagerduty, MESSAGE_REMINDER, "{}", NULL, NULL },
        { bench_pagerduty, MESSAGE_ESCALATION, "{}", "/v2/enqueue", "\"event_action\":\"trigger\"" },
        { bench_pagerduty, MESSAGE_ACK, "{}", "/v2/enqueue", "\"event_action\":\"acknowledge\"" },
        { bench_webhook, MESSAGE_RESOLVE, "{}", "/hook?x=1", "\"type\":\"incident.resolved\"" },
        { bench_webhook, MESSAGE_OPERATOR, "{}", "/hook?x=1", "\"type\":\"runbell.operator\"" },
        { bench_webhook, MESSAGE_ACK, "{}", "/hook?x=1", "\"type\":\"incident.acknowledged\"" },
        { bench_console, MESSAGE_UPDATE, "{}", NULL, NULL },
    };
    struct notify_bench b;
    (void)state;
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_destination d = bench_destination(&b, cases[i].yaml);
        struct message m = bench_message(cases[i].kind);
        struct notify_request r = build(&b, &d, &m, cases[i].captures, false);
        assert_int_equal(r.skip, cases[i].url_end == NULL);
        if (r.skip) continue;
        if (!str_ends(r.url, str_c(cases[i].url_end))) fail_msg("case %zu goes to " STR_FMT, i, STR_ARG(r.url));
        if (str_find_str(r.body, str_c(cases[i].holds)) == r.body.n)
            fail_msg("case %zu lacks %s in " STR_FMT, i, cases[i].holds, STR_ARG(r.body));
    }
    bench_close(&b);
}

static void test_pagerduty_dedup(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    struct message m = bench_message(MESSAGE_OPEN), drill = bench_message(MESSAGE_DRILL);
    struct json body;
    struct str key, again;
    char *text = xmalloc(300);
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_pagerduty);
    memset(text, 'k', 300);
    m.dedup = (struct str){ text, 300 };
    body = bench_json(&b.arena, build(&b, &d, &m, "{}", false).body);
    key = json_str(json_get_c(body, "dedup_key"));
    assert_int_equal(key.n, 64); /* hashed, not cut: cut ones could meet */
    m.kind = MESSAGE_RESOLVE;
    again = json_str(json_get_c(bench_json(&b.arena, build(&b, &d, &m, "{}", false).body), "dedup_key"));
    assert_true(str_eq(key, again));
    drill.dedup = STR("");
    body = bench_json(&b.arena, build(&b, &d, &drill, "{}", false).body);
    assert_true(str_starts(json_str(json_get_c(body, "dedup_key")), STR("runbell-drill-msg_")));
    free(text);
    bench_close(&b);
}

/* --- limits --------------------------------------------------------------------------------------------- */
static struct str filled(struct arena *a, const char *unit, size_t times)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, times * strlen(unit) + 1);
    for (size_t i = 0; i < times; i++) strbuf_c(&b, unit);
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static void test_slack_budget(void **state)
{
    static const char *const units[] = { "x", "&", "\"", "\n", "\xF0\x9F\x94\xA5", "`", "\x01" };
    struct notify_bench b;
    struct notify_destination d;
    struct message_field fields[30];
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_slack_bot);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        struct message m = bench_message(MESSAGE_OPEN);
        struct notify_request r;
        m.body = m.title = m.reason = m.note = m.key = filled(&b.arena, units[i], 10000);
        for (size_t k = 0; k < 30; k++) fields[k] = (struct message_field){ m.title, m.body, k % 3 == 0 };
        m.fields = fields;
        m.field_count = 30;
        r = build(&b, &d, &m, "{}", false);
        if (text_length(r.body, TEXT_CHARS) > 12000)
            fail_msg("%zu characters of %s", text_length(r.body, TEXT_CHARS), units[i]);
        bench_json(&b.arena, r.body);
    }
    bench_close(&b);
}

static void test_pagerduty_budget(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    struct message m = bench_message(MESSAGE_OPEN);
    struct notify_request r;
    struct json details;
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_pagerduty);
    m.body = filled(&b.arena, "0123456789", 60000);
    r = build(&b, &d, &m, "{}", false);
    assert_true(r.body.n < 512 * 1024);
    details = json_path(bench_json(&b.arena, r.body), (struct str[]){ STR("payload"), STR("custom_details") }, 2);
    assert_int_equal(json_count(details), 1);
    assert_true(str_find_str(json_str(json_get_c(details, "error")), STR("512 KB")) < 200);
    bench_close(&b);
}

/* --- safety --------------------------------------------------------------------------------------------- */
static void test_params(void **state)
{
    static const struct { const char *channel, *params; bool ok; const char *holds; } cases[] = {
        { "#ops", "", true, "\"channel\":\"#ops\"" },
        { "#cust-*", "{\"to\":\"x\",\"channel\":\"#cust-acme\"}", true, "\"channel\":\"#cust-acme\"" },
        { "#cust-*", "{\"channel\":\"#general\"}", false, "does not fit" },
        { "#cust-*", "", false, "is a pattern" },
        { "#ops", "{\"channel\":\"#general\"}", false, "does not fit" },
        { "#ops", "{\"channel\":\"#ops\"}", true, "\"channel\":\"#ops\"" },
        { "#ops", "{\"token\":\"xoxb-other\"}", false, "cannot set `token`" },
    };
    struct notify_bench b;
    (void)state;
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str yaml = str_printf(&b.arena, "type: slack\ntoken: t\nchannel: '%s'\n", cases[i].channel);
        struct notify_destination d = bench_destination(&b, yaml.p);
        struct message m = bench_message(MESSAGE_OPEN);
        struct notify_request r;
        struct err err = { 0 };
        int rc = try_build(&b, &d, &m, cases[i].params, "{}", false, &r, &err);
        struct str seen = rc == 0 ? r.body : str_c(err.msg);
        assert_int_equal(rc, cases[i].ok ? 0 : -1);
        if (rc < 0) assert_int_equal(err.code, ERR_TYPE);
        if (str_find_str(seen, str_c(cases[i].holds)) == seen.n) fail_msg("case %zu: " STR_FMT, i, STR_ARG(seen));
    }
    bench_close(&b);
}

/* A secret out of the environment may hold anything. */
static void test_unsafe_values(void **state)
{
    static const struct { const char *name; struct str value; } cases[] = {
        { "token", { "xoxb\r\nX-Evil: 1", 15 } },
        { "token", { "xoxb\0", 5 } },
        { "token", { "xoxb\n", 5 } },
        { "token", { "xoxb\x7f", 5 } },
    };
    struct notify_bench b;
    struct notify_destination d;
    struct message m = bench_message(MESSAGE_OPEN);
    (void)state;
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_request r;
        struct err err;
        d = bench_destination(&b, bench_slack_bot);
        ((struct notify_param *)(uintptr_t)destination_param(&d, str_c(cases[i].name)))->value.hidden = cases[i].value;
        assert_int_equal(try_build(&b, &d, &m, "", "{}", false, &r, &err), -1);
        assert_int_equal(err.code, ERR_TYPE);
        assert_null(strstr(err.msg, "xoxb"));
    }
    d = bench_destination(&b, bench_webhook);
    ((struct notify_param *)(uintptr_t)destination_param(&d, STR("url")))->value.hidden = STR("https://a.example/x y");
    struct notify_request r;
    struct err err;
    assert_int_equal(try_build(&b, &d, &m, "", "{}", false, &r, &err), -1);
    ((struct notify_param *)(uintptr_t)destination_param(&d, STR("url")))->value.hidden = STR("file:///etc/passwd");
    assert_int_equal(try_build(&b, &d, &m, "", "{}", false, &r, &err), -1);
    bench_close(&b);
}

static void test_urls(void **state)
{
    static const struct { const char *yaml, *base, *url, *shown; } cases[] = {
        { bench_slack_bot, NULL, "https://slack.com/api/chat.postMessage", "https://slack.com" },
        { bench_slack_bot, "http://127.0.0.1:9/api/", "http://127.0.0.1:9/api/chat.postMessage", "http://127.0.0.1:9" },
        { bench_slack_webhook, NULL, "https://hooks.slack.com/services/T1/B1/s3cr3tpath", "https://hooks.slack.com" },
        { bench_slack_webhook, "http://[::1]:9", "http://[::1]:9/services/T1/B1/s3cr3tpath", "http://[::1]:9" },
        { bench_webhook, "http://gw/x", "http://gw/x/hook?x=1", "http://gw" },
        { "type: webhook\nurl: https://user:pw@h.example:8443?q\n", NULL, "https://user:pw@h.example:8443?q", "https://h.example:8443" },
    };
    struct notify_bench b;
    (void)state;
    bench_open(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_destination d = bench_destination(&b, cases[i].yaml);
        struct message m = bench_message(MESSAGE_OPEN);
        struct notify_request r;
        d.base_url = str_c(cases[i].base);
        r = build(&b, &d, &m, "{}", false);
        if (!str_eq_c(r.url, cases[i].url)) fail_msg("case %zu: " STR_FMT, i, STR_ARG(r.url));
        if (!str_eq_c(r.url_shown, cases[i].shown)) fail_msg("case %zu: " STR_FMT, i, STR_ARG(r.url_shown));
    }
    bench_close(&b);
}

/* The id of a delivery stays the same over its attempts; the time of the attempt is new. */
static void test_attempts(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    struct message m = bench_message(MESSAGE_OPEN);
    struct notify_attempt later = bench_attempt;
    struct notify_request one, two;
    struct err err;
    struct json stored;
    (void)state;
    bench_open(&b);
    d = bench_destination(&b, bench_webhook);
    stored = bench_stored(&b.arena, &m);
    later.now_ms += 60000;
    assert_int_equal(notify_build(&d, stored, (struct json){ 0 }, (struct json){ 0 }, &bench_attempt, &b.arena, &one, &err), 0);
    assert_int_equal(notify_build(&d, stored, (struct json){ 0 }, (struct json){ 0 }, &later, &b.arena, &two, &err), 0);
    assert_int_equal(one.header_count, two.header_count);
    assert_true(str_eq(one.body, two.body));
    for (size_t i = 0; i < one.header_count; i++) {
        bool varies = str_eq_c(one.headers[i].name, "webhook-timestamp") || str_eq_c(one.headers[i].name, "webhook-signature");
        assert_int_equal(str_eq(one.headers[i].value, two.headers[i].value), !varies);
    }
    bench_close(&b);
}

/* --- destinations as written ---------------------------------------------------------------------------- */
static void test_destinations(void **state)
{
    static const struct { const char *yaml, *provider, *says; } cases[] = {
        { bench_slack_bot, "slack-bot", "plain text" },
        { bench_slack_webhook, "slack-webhook", "plain text" },
        { "type: slack\nchannel: '#x'\n", NULL, "a slack destination wants `token`, or `url`" },
        { "type: slack\ntoken: a\nurl: https://x\nchannel: b\n", NULL, "fit two of its APIs" },
        { "type: slack\ntoken: a\n", NULL, "`channel` is missing" },
        { "type: slack\ntoken: a\nchannel: #ops\n", NULL, "needs quotes" },
        { "type: slack\ntoken: a\nchanel: b\nchannel: c\n", NULL, "did you mean `channel`?" },
        { "type: slak\ntoken: a\n", NULL, "did you mean `slack`?" },
        { "token: a\n", NULL, "`type` is missing" },
        { "type: slack\nurl: https://hooks.slack.com/workflows/a/b\n", NULL, "Workflow Builder" },
        { "type: pagerduty\nrouting_key: short\n", NULL, "32 characters" },
        { "type: pagerduty\nrouting_key: '${env:RUNBELL_NO_SUCH}'\n", NULL, "RUNBELL_NO_SUCH" },
        { "type: webhook\nurl: ftp://x\n", NULL, "wants an address" },
        { "type: console\ncolor: yes\n", NULL, "color" },
        { "type: console\nbase_url: x\ntimeout: 1s\nrate: 1 per 1s\nretry: {for: 1h}\ntls: {}\nproxy: x\n", "console", NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_bench b;
        struct notify_destination d;
        struct strbuf said;
        bool ok;
        bench_open(&b);
        ok = bench_try(&b, cases[i].yaml, &d);
        strbuf_init(&said, 1 << 20);
        diags_print(&b.diags, &said, false);
        if (ok != (cases[i].provider != NULL)) fail_msg("%s: %s", cases[i].yaml, said.p);
        if (ok) assert_true(str_eq_c(notify_provider_name(d.provider), cases[i].provider));
        if (cases[i].says && !strstr(said.p, cases[i].says)) fail_msg("%s: %s", cases[i].yaml, said.p);
        strbuf_fini(&said);
        bench_close(&b);
    }
}

static void test_secret_reference(void **state)
{
    struct notify_bench b;
    struct notify_destination d;
    (void)state;
    bench_open(&b);
    setenv("RUNBELL_TEST_TOKEN", "xoxb-env", 1);
    d = bench_destination(&b, "type: slack\ntoken: '${env:RUNBELL_TEST_TOKEN}'\nchannel: C1\n");
    assert_true(str_eq_c(secret_reveal(&destination_param(&d, STR("token"))->value), "xoxb-env"));
    assert_int_equal(b.diags.warnings, 0);
    assert_true(d.edits && !d.acks);
    assert_int_equal(d.in_flight_max, 4);
    assert_int_equal(d.rate_n, 3);
    assert_int_equal(d.rate_per_ms, 3000);
    assert_int_equal(d.timeout_ms, 15000);
    bench_close(&b);
}

/* --- the descriptor language ---------------------------------------------------------------------------- */
static const char head[] = "name: t\ntype: t\nabout: a test\nbase_url: http://h\n"
                           "params: {n: {help: a number, default: '7'}, flag: {type: bool, default: 'true', help: a flag}}\n";
static const char kinds[] = "  update: skip\n  reminder: open\n  escalation: open\n  resolve: open\n  digest: open\n"
                            "  ack: open\n  operator: open\n  drill: open\n";

static void test_body_trees(void **state)
{
    static const struct { const char *body, *want; } cases[] = {
        { "{a: 1, b: -2.5, c: true, d: null, e: '1', f: x, g: ''}", "{\"a\":1,\"b\":-2.5,\"c\":true,\"d\":null,\"e\":\"1\",\"f\":\"x\",\"g\":\"\"}" },
        { "{a: '{{task}}', b: '{{note}}', c: {$text: '{{note}}', empty: keep}}", "{\"a\":\"render-video\",\"c\":\"\"}" },
        { "{a: {$int: '{{param.n}}'}, b: {$bool: '{{param.flag}}'}, c: {$int: '{{note}}'}}", "{\"a\":7,\"b\":true}" },
        { "{a: {$raw: hits}, b: {$raw: fields.0.name}, c: {$raw: nothing}}", "{\"a\":14,\"b\":\"Runs\"}" },
        { "{a: {$if: task, then: 1, else: 2}, b: {$if: '!task', then: 1, else: 2}, c: {$if: [note, task], then: 1}, d: {$if: note, then: 1}}",
          "{\"a\":1,\"b\":2,\"c\":1}" },
        { "{a: {$if: {severity: [info, error]}, then: 1}, b: {$if: {task: {re: '^x'}}, then: 1, else: 2}}", "{\"a\":1,\"b\":2}" },
        { "{a: {$each: fields, most: 2, do: '{{name}}'}, b: {$each: nothing, do: '{{name}}'}}", "{\"a\":[\"Runs\",\"Version\"],\"b\":[]}" },
        { "[a, {$each: fields, most: 1, do: '{{name}}'}, [b], {$use: two}, {$if: task, then: [c, d]}, {$if: note, then: e}]",
          "[\"a\",\"Runs\",[\"b\"],\"p\",\"q\",\"c\",\"d\"]" },
        { "{a: {$pick: severity, of: {error: {x: 1}, info: 2}}, b: {$pick: severity, of: {info: 2}, else: 3}, c: {$pick: note, of: {x: 1}}}",
          "{\"a\":{\"x\":1},\"b\":3}" },
        { "{a: {$need: x, x: '{{note}}', y: 1}, b: {$need: x, x: '{{task}}'}, c: {$need: x, x: []}, d: [{$need: x, x: {$raw: nothing}}]}",
          "{\"b\":{\"x\":\"render-video\"},\"d\":[]}" },
        { "{$copy: [task, hits, nothing], Runs: own, $members: {of: fields, key: '{{name}}', value: '{{value}}', most: 2}}",
          "{\"task\":\"render-video\",\"hits\":14,\"Runs\":\"own\",\"Version\":\"20260503.1\",\"Machine & region\":\"large-1x <eu>\"}" },
        { "{a: {$text: '{{title}}', most: 10}, b: {$text: '{{title}}', most: 10, over: omit}, c: {$text: '{{task}}', most: 3, over: hash}}",
          "{\"a\":\"render-vi…\",\"c\":\"7e9b1f5e\"}" },
        { "{a: {$text: '<{{body}}>', most: 12, escape: html}}", "{\"a\":\"<Error: ca…>\"}" },
        { "{a: {$text: '{{body}}', line: true, most: 60}}", "{\"a\":\"Error: cannot read frame 17 of <input> & more at decode (sr…\"}" },
        { "{a: {$text: [ '<', {text: '{{task}}', escape: url_path}, '>']}}", "{\"a\":\"<render-video>\"}" },
        { "{id: '{{attempt.id}}', at: '{{attempt.unix}}', open: '{{#is_open}}yes{{/is_open}}{{#is_update}}no{{/is_update}}'}",
          "{\"id\":\"dlv_\",\"at\":\"1777803402\",\"open\":\"yes\"}" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_bench b;
        struct notify_destination d;
        struct message m = bench_message(MESSAGE_OPEN);
        struct str yaml, got, hash, id;
        bench_open(&b);
        yaml = str_printf(&b.arena, "%sparts: {two: [p, q]}\nactions:\n  open: {url: /x, body: %s}\n%s", head, cases[i].body, kinds);
        if (notify_providers_add(b.providers, &b.arena, "t.yaml", yaml, &b.diags) < 0) {
            bench_show(&b);
            fail();
        }
        d = bench_destination(&b, "type: t\n");
        got = build(&b, &d, &m, "{}", false).body;
        hash = STR("\"c\":\"7e9b1f5e"); /* what is shown of a hash and an id here is enough */
        id = STR("\"dlv_");
        if (str_find_str(str_c(cases[i].want), hash) < strlen(cases[i].want))
            got = str_printf(&b.arena, STR_FMT "\"c\":\"7e9b1f5e\"}", STR_ARG(str_sub(got, 0, str_find_str(got, STR("\"c\":")))));
        if (str_find_str(got, id) < got.n) {
            size_t at = str_find_str(got, id) + id.n;
            got = str_printf(&b.arena, STR_FMT STR_FMT, STR_ARG(str_sub(got, 0, at)), STR_ARG(str_sub(got, str_find(got, '"', at), got.n)));
        }
        if (!str_eq_c(got, cases[i].want)) fail_msg("%s gave " STR_FMT, cases[i].body, STR_ARG(got));
        bench_close(&b);
    }
}

static void test_encodings(void **state)
{
    static const struct { const char *action, *want; } cases[] = {
        { "{url: /x, encoding: form, body: {a: 'x y', b: 1, c: 'ü&='}}", "a=x%20y&b=1&c=%C3%BC%26%3D" },
        { "{url: /x, encoding: raw, body: 'run {{run}}'}", "run run_cmabc123" },
        { "{url: /x, encoding: raw, body: fixed}", "fixed" },
        { "{url: /x, encoding: none, method: GET}", "" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_bench b;
        struct notify_destination d;
        struct message m = bench_message(MESSAGE_OPEN);
        struct str yaml, got;
        bench_open(&b);
        yaml = str_printf(&b.arena, "%sactions:\n  open: %s\n%s", head, cases[i].action, kinds);
        if (notify_providers_add(b.providers, &b.arena, "t.yaml", yaml, &b.diags) < 0) {
            bench_show(&b);
            fail();
        }
        d = bench_destination(&b, "type: t\n");
        got = build(&b, &d, &m, "{}", false).body;
        if (!str_eq_c(got, cases[i].want)) fail_msg("%s gave " STR_FMT, cases[i].action, STR_ARG(got));
        bench_close(&b);
    }
}

static void test_bad_descriptors(void **state)
{
    static const struct { const char *top, *open, *kinds, *says; } cases[] = {
        { "", "{url: /x, body: {a: '{{titel}}'}}", kinds, "titel" },
        { "", "{url: /x, body: {a: '{{{title}}}'}}", kinds, "escape" },
        { "", "{url: /x, body: {a: '{{param.nope}}'}}", kinds, "param.nope" },
        { "", "{url: /x, body: {a: '{{capture.ts}}'}}", kinds, "capture.ts" },
        { "", "{url: /x, body: {a: {$use: nope}}}", kinds, "no part is named `nope`" },
        { "parts: {a: {$use: b}, b: {$use: a}}\n", "{url: /x, body: {$use: a}}", kinds, "circle" },
        { "", "{url: /x, body: {$iff: a}}", kinds, "unknown directive" },
        { "", "{url: /x, body: {$if: a, than: b}}", kinds, "than" },
        { "", "{url: /x, body: {$if: a}}", kinds, "`then` is missing" },
        { "", "{url: /x, body: {a: {$text: x, most: 5, unit: miles}}}", kinds, "miles" },
        { "", "{url: /x, body: {a: {$text: x, escape: nope}}}", kinds, "unknown escaper" },
        { "", "{url: /x, bodi: {}}", kinds, "bodi" },
        { "", "{body: {}}", kinds, "`url` is missing" },
        { "", "{url: /x, success: {status: 2x}}", kinds, "wants a status" },
        { "", "{url: /x, success: {json: {ok: true}}}", kinds, "JSON pointer" },
        { "", "{url: /x, classify: [{status: 404}]}", kinds, "`class` is missing" },
        { "", "{url: /x, classify: [{status: 404, class: meh}]}", kinds, "meh" },
        { "", "{url: /x, classify: [{body: {re: '('}, class: retry}]}", kinds, "parenthes" },
        { "", "{url: /x, capture: {ts: {}}}", kinds, "one of json, header, between" },
        { "", "{url: /x, requires_capture: ts}", kinds, "wants an `otherwise`" },
        { "", "{url: /x, sign: {scheme: standard_webhooks, secret: nope}}", kinds, "no parameter is named" },
        { "", "{url: /x}", "", "no action for `update`" },
        { "", "{url: /x}\n  opened: skip", kinds, "opened" },
        { "", "open", kinds, "itself" },
        { "shares: nobody\n", "{url: /x}", kinds, "no provider is named" },
        { "when: [nope]\n", "{url: /x}", kinds, "no parameter is named" },
        { "colour: red\n", "{url: /x}", kinds, "colour" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct notify_bench b;
        struct str yaml;
        struct strbuf said;
        bench_open(&b);
        yaml = str_printf(&b.arena, "%s%sactions:\n  open: %s\n%s", head, cases[i].top, cases[i].open, cases[i].kinds);
        if (notify_providers_add(b.providers, &b.arena, "t.yaml", yaml, &b.diags) == 0) fail_msg("taken: %s", yaml.p);
        strbuf_init(&said, 1 << 20);
        diags_print(&b.diags, &said, false);
        if (!strstr(said.p, cases[i].says)) fail_msg("%s: %s", yaml.p, said.p);
        strbuf_fini(&said);
        bench_close(&b);
    }
}

static void test_describe(void **state)
{
    struct notify_bench b;
    const struct notify_provider *list[16];
    size_t n;
    (void)state;
    bench_open(&b);
    n = notify_providers_list(b.providers, list, 16);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) {
        struct strbuf text;
        struct json_writer w;
        struct json v;
        strbuf_init(&text, 1 << 20);
        json_writer_init(&w, &text);
        notify_provider_describe(list[i], &w);
        v = bench_json(&b.arena, strbuf_view(&text));
        assert_true(str_eq(json_str(json_get_c(v, "name")), notify_provider_name(list[i])));
        assert_int_equal(json_count(json_get_c(v, "actions")), MESSAGE_KINDS);
        strbuf_fini(&text);
        assert_int_equal(notify_provider_settable(list[i])->n, str_eq_c(notify_provider_name(list[i]), "slack-bot") ? 1 : 0);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),          cmocka_unit_test(test_actions),      cmocka_unit_test(test_pagerduty_dedup),
        cmocka_unit_test(test_slack_budget),    cmocka_unit_test(test_pagerduty_budget), cmocka_unit_test(test_params),
        cmocka_unit_test(test_unsafe_values),   cmocka_unit_test(test_urls),         cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_destinations),    cmocka_unit_test(test_secret_reference), cmocka_unit_test(test_body_trees),
        cmocka_unit_test(test_encodings),       cmocka_unit_test(test_bad_descriptors),  cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
