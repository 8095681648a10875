/* notify-render: every provider's request for every kind of a set of messages, as JSON lines: {provider,
 * case, kind, plain, captured, skip, method, url, body}. tests/schemas/test_bodies.py judges them. */
#include <stdio.h>

#include "notify/notify.h"

enum { SIZE = 5000, FIELDS = 15 };
static const char *const destinations[] = {
    "type: slack\ntoken: xoxb-test\nchannel: '#ops'\n",
    "type: slack\nurl: https://hooks.slack.com/services/T1/B1/x\n",
    "type: pagerduty\nrouting_key: 0123456789abcdef0123456789abcdef\n",
    "type: webhook\nurl: https://in.example.com/hook\n",
    "type: console\ncolor: true\n",
};
static const char captured[] = "{\"channel\":\"C024BE91L\",\"ts\":\"1767323045.000200\"}";

/* What every text of a message is filled with. */
struct filling { const char *name, *unit; size_t times; };
static const struct filling fillings[] = {
    { "normal", "render-video: 12 runs CRASHED", 1 },
    { "empty", "", 0 },
    { "huge", "0123456789 ", SIZE / 10 },
    { "mentions", "<!channel> <@U123> @here <https://evil.example|click> & ", 8 },
    { "backticks", "```", 300 },
    { "markup", "*bold* _it_ ~no~ `code` > quote\n", 30 },
    { "unicode", "\xF0\x9F\x94\xA5\xE6\xBC\xA2\xD8\xB9\xCC\x81", 800 },
    { "quotes", "\"\\", 3000 },
    { "controls", "\x1b[31m\x01\x02\x07\r\n\t\xC2\x9B", 500 },
    { "mustache", "{{title}} {{{body}}} {{> x}} ${env:HOME}", 10 },
};

static struct str fill(struct arena *a, const struct filling *f, size_t times)
{
    struct strbuf b;
    struct str out;
    strbuf_init(&b, 1 << 20);
    for (size_t i = 0; i < times; i++) strbuf_c(&b, f->unit);
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static struct message message_of(struct arena *a, const struct filling *f, enum message_kind kind)
{
    struct str text = fill(a, f, f->times), small = fill(a, f, (f->times + 7) / 8);
    bool normal = str_eq_c(STR("normal"), f->name), empty = f->times == 0;
    struct message_field *fields = ARENA_ARRAY(a, struct message_field, FIELDS);
    struct message m = {
        .kind = kind,
        .id = 1 << 20,
        .incident = 2 << 20,
        .severity = (enum severity)((int)kind % 4),
        .resolved = kind == MESSAGE_RESOLVE,
        .acknowledged = kind == MESSAGE_ACK,
        .title = text,
        .body = text,
        .reason = text,
        .status_line = small,
        .rule = small,
        .key = text,
        .dedup = text,
        .project = small,
        .env = small,
        .run = text,
        .task = text,
        .note = text,
        .late = true,
        .late_by = text,
        .at_ms = 1777803401377,
        .opened_ms = 1777803300000,
        .hits = 14,
        .runs = 12,
        .fields = fields,
        .field_count = normal ? 6 : FIELDS,
        .runbook = text,
        .link = empty ? text : STR("https://cloud.trigger.dev/runs/run_1?a=<b>&c=d|e"),
        .incident_link = STR("https://bell.example.com/incidents/inc_1"),
    };
    for (size_t i = 0; i < FIELDS; i++) fields[i] = (struct message_field){ small, small, i % 4 == 3 };
    if (normal) m.runbook = STR("https://wiki.example.com/render"), m.late = false, m.note = STR("");
    return m;
}

static struct json parse(struct arena *a, const struct strbuf *b)
{
    static const struct json_limits limits = { 64 << 20, 1 << 20, 64 };
    struct json v;
    struct err err;
    if (json_parse(a, str_dup(a, strbuf_view(b)), &limits, &v, NULL, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return v;
}

static struct json stored(struct arena *a, const struct message *m)
{
    struct strbuf b;
    struct json_writer w;
    struct json v;
    strbuf_init(&b, 64 << 20);
    json_writer_init(&w, &b);
    message_write(m, &w);
    v = parse(a, &b);
    strbuf_fini(&b);
    return v;
}

static void print(const struct notify_destination *d, const struct notify_request *r, const char *name,
                  enum message_kind kind, bool plain, bool has_captures)
{
    struct strbuf b;
    struct json_writer w;
    strbuf_init(&b, 64 << 20);
    json_writer_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, "provider", notify_provider_name(d->provider));
    json_field_str(&w, "case", str_c(name));
    json_field_str(&w, "kind", str_c(message_kind_name(kind)));
    json_field_bool(&w, "plain", plain);
    json_field_bool(&w, "captured", has_captures);
    json_field_bool(&w, "skip", r->skip);
    json_field_opt(&w, "method", r->method);
    json_field_opt(&w, "url", r->url);
    json_field_opt(&w, "body", r->body);
    json_object_end(&w);
    puts(b.p);
    strbuf_fini(&b);
}

static void render(const struct notify_destination *d, const struct filling *f, enum message_kind kind,
                   bool plain, bool has_captures)
{
    struct arena a = { 0 };
    struct message m = message_of(&a, f, kind);
    struct notify_attempt at = { .delivery = 3 << 20, .now_ms = 1777803402500, .plain = plain };
    struct notify_request r;
    struct json captures = { 0 };
    struct err err;
    if (has_captures && json_parse(&a, str_c(captured), &json_default_limits, &captures, NULL, &err) < 0)
        exit(1);
    if (notify_build(d, stored(&a, &m), (struct json){ 0 }, captures, &at, &a, &r, &err) < 0) {
        fprintf(stderr, STR_FMT " %s: %s\n", STR_ARG(notify_provider_name(d->provider)), f->name, err.msg);
        exit(1);
    }
    print(d, &r, f->name, kind, plain, has_captures);
    arena_fini(&a);
}

/* The kinds that look different from each other. */
static bool is_telling(enum message_kind kind)
{
    return kind == MESSAGE_OPEN || kind == MESSAGE_UPDATE || kind == MESSAGE_RESOLVE ||
           kind == MESSAGE_DIGEST;
}

int main(void)
{
    struct arena a = { 0 };
    struct diags diags;
    struct notify_providers *p;
    diags_init(&diags, &a);
    p = notify_providers_load(&a, &diags);
    for (size_t i = 0; p && i < sizeof destinations / sizeof destinations[0]; i++) {
        struct notify_destination d = { 0 };
        const struct yaml_node *n = yaml_read(&a, "destination", str_c(destinations[i]), &diags);
        if (!n || !notify_destination_decode(p, &a, n, ".", false, &diags, &d)) return 1;
        for (size_t f = 0; f < sizeof fillings / sizeof fillings[0]; f++)
            for (int kind = 0; kind < MESSAGE_KINDS; kind++)
                for (int way = 0; way < 4 && (f == 0 || is_telling((enum message_kind)kind)); way++)
                    render(&d, &fillings[f], (enum message_kind)kind, way & 1, way & 2);
    }
    diags_fini(&diags);
    arena_fini(&a);
    return p ? 0 : 1;
}
