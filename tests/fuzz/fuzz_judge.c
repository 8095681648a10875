/* Fuzzes what an answer means. Input: one byte each for destination, kind of message and flags, three
 * digits of status, a header line "Name: value" (may be empty), the body. Whatever comes back, the verdict
 * is one of the known, its wait is bounded, its captures are a JSON object, its detail fits on one line. */
#include <assert.h>
#include <stdint.h>

#include "notify/notify.h"

enum { DESTINATIONS = 5, FIXED = 6, SENT = 1, TLS_FAILED = 2, TRANSPORT_ERROR = 4, CAPTURED = 8 };
static const char *const texts[DESTINATIONS] = {
    "type: slack\ntoken: xoxb-test\nchannel: '#ops'\n",
    "type: slack\nurl: https://hooks.slack.com/services/T1/B1/x\n",
    "type: pagerduty\nrouting_key: 0123456789abcdef0123456789abcdef\n",
    "type: webhook\nurl: https://in.example.com/hook\n",
    "type: console\n",
};
static struct arena arena;
static struct notify_destination destinations[DESTINATIONS];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(void)
{
    struct diags diags;
    struct notify_providers *p;
    diags_init(&diags, &arena);
    p = notify_providers_load(&arena, &diags);
    assert(p);
    for (size_t i = 0; i < DESTINATIONS; i++) {
        const struct yaml_node *n = yaml_read(&arena, "destination", str_c(texts[i]), &diags);
        bool ok = n && notify_destination_decode(p, &arena, n, ".", false, &diags, &destinations[i]);
        assert(ok);
    }
    diags_fini(&diags);
}

static struct json parse(struct arena *a, struct str text)
{
    struct json v;
    struct err err;
    int rc = json_parse(a, text, &json_default_limits, &v, NULL, &err);
    assert(rc == 0);
    return v;
}

/* The rest of the input: the header line, then the body. */
static void answer(struct str rest, struct notify_header *header, struct notify_response *res)
{
    struct str line;
    size_t colon;
    if (str_split(&rest, '\n', &line) && (colon = str_find(line, ':', 0)) < line.n) {
        header->name = str_sub(line, 0, colon);
        header->value = str_trim(str_sub(line, colon + 1, line.n));
        res->headers = header;
        res->header_count = 1;
    }
    res->body = str_absent(rest) ? STR("") : rest;
}

static void check(struct arena *a, const struct notify_destination *d, const struct verdict *v)
{
    assert(v->class >= 0 && v->class < VERDICT_CLASSES);
    assert(v->wait_ms >= 0 && v->wait_ms <= d->retry_for_ms);
    if (!str_absent(v->captures)) assert(json_kind(parse(a, v->captures)) == JSON_OBJECT);
    for (size_t i = 0; i < v->detail.n; i++) assert((unsigned char)v->detail.p[i] >= ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct notify_response res = { 0 };
    struct notify_header header;
    struct notify_request req;
    struct verdict v;
    struct err err;
    const struct notify_destination *d;
    struct str message, old;
    if (size < FIXED) return 0;
    if (!destinations[0].provider) load();
    d = &destinations[data[0] % DESTINATIONS];
    message = str_printf(&a, "{\"kind\":\"%s\",\"title\":\"t\",\"severity\":\"error\"}",
                         message_kind_name((enum message_kind)(data[1] % MESSAGE_KINDS)));
    old = data[2] & CAPTURED ? STR("{\"channel\":\"C1\",\"ts\":\"1.2\",\"x\":\"y\"}") : STR("{}");
    if (notify_build(d, parse(&a, message), (struct json){ 0 }, parse(&a, old),
                     &(struct notify_attempt){ .delivery = 1, .now_ms = 1 }, &a, &req, &err) < 0)
        abort();
    res.status = (data[3] % 6) * 100 + (data[4] % 10) * 10 + data[5] % 10;
    res.sent = data[2] & SENT;
    res.tls_failed = data[2] & TLS_FAILED;
    if (data[2] & TRANSPORT_ERROR) res.transport_error = STR("connection reset");
    answer((struct str){ (const char *)data + FIXED, size - FIXED }, &header, &res);
    notify_judge(d, &req, parse(&a, old), &res, 1777803402500, &a, &v);
    check(&a, d, &v);
    arena_fini(&a);
    return 0;
}
