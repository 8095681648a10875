/* What an answer means. */
#include "base/regex.h"
#include "notify/notify_internal.h"

enum { DETAIL_MOST = 200 };

struct str answer_header(const struct notify_response *r, struct str name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (str_ieq(r->headers[i].name, name)) return r->headers[i].value;
    return STR_NONE;
}

/* Compiled anew each time: only refused requests get here, and a compiled one would need an owner. */
static bool fits(struct str re, struct str text)
{
    struct err err;
    struct regex *compiled = regex_new(re, &err);
    bool yes = compiled && regex_match(compiled, text) == REGEX_YES;
    regex_free(&compiled);
    return yes;
}

static bool is_wanted(const struct wanted *w, struct str text, bool is_text)
{
    if (!str_absent(w->re)) return fits(w->re, text);
    for (size_t i = 0; i < w->count; i++)
        if (str_eq(w->any[i], text) && !(w->typed[i] && is_text)) return true;
    return false;
}

bool wanted_holds(const struct wanted *w, struct json v)
{
    struct str text = json_scalar(v);
    if (!json_present(v)) return false;
    return is_wanted(w, str_absent(text) ? json_text(v) : text, json_kind(v) == JSON_STRING);
}

static bool json_holds(const struct json_test *t, struct json root)
{
    struct json v = json_path(root, t->at.parts, t->at.n);
    return t->absent ? json_kind(v) == JSON_ABSENT : wanted_holds(&t->wanted, v);
}

static bool status_holds(const struct answer_test *t, int status)
{
    for (size_t i = 0; i < t->status_count; i++)
        if (status >= t->status[i].least && status <= t->status[i].most) return true;
    return t->status_count == 0;
}

bool answer_matches(const struct answer_test *t, const struct answer *answer)
{
    if (!status_holds(t, answer->response->status)) return false;
    if (t->json_count && json_kind(answer->json) == JSON_ABSENT) return false;
    for (size_t i = 0; i < t->json_count; i++)
        if (!json_holds(&t->json[i], answer->json)) return false;
    for (size_t i = 0; i < t->header_count; i++) {
        struct str v = answer_header(answer->response, t->headers[i].name);
        if (str_absent(v) || !is_wanted(&t->headers[i].wanted, str_trim(v), false)) return false;
    }
    return !t->has_body || is_wanted(&t->body, str_trim(answer->response->body), false);
}

/* The default table of notifier-providers.md section 0.1. */
static enum verdict_class by_status(int status)
{
    if (status == 429) return VERDICT_RATE_LIMITED;
    if (status == 408 || status == 425 || status >= 500) return VERDICT_RETRY;
    if (status == 401 || status == 403 || status == 404 || status == 410) return VERDICT_BAD_CONFIG;
    if (status >= 400) return VERDICT_BAD_PAYLOAD;
    if (status >= 300) return VERDICT_BAD_CONFIG; /* redirects of a POST are never followed */
    return VERDICT_RETRY; /* 2xx that is not the success it should be: some proxy answered */
}

static enum verdict_class classify(const struct action *action, const struct answer *answer)
{
    const struct notify_response *r = answer->response;
    if (r->tls_failed) return VERDICT_BAD_CONFIG;
    if (r->status == 0) return r->sent ? VERDICT_UNCERTAIN : VERDICT_RETRY;
    for (size_t i = 0; i < action->classify_count; i++)
        if (answer_matches(&action->classify[i].test, answer)) return action->classify[i].class;
    return answer_matches(&action->success, answer) ? VERDICT_OK : by_status(r->status);
}

static struct str explanation(const struct action *action, const struct answer *answer)
{
    for (size_t i = 0; i < action->explain_count; i++) {
        struct json v = json_path(answer->json, action->explain[i].parts, action->explain[i].n);
        struct str text = json_scalar(v);
        if (json_present(v)) return str_absent(text) ? json_text(v) : text;
    }
    return answer->response->body;
}

static struct str detail_of(const struct notify_destination *d, const struct action *action,
                            const struct answer *answer, enum verdict_class class, struct arena *a)
{
    const struct notify_response *r = answer->response;
    struct str why, out;
    struct strbuf b;
    if (r->status == 0)
        return notify_mask(d, a, !str_absent(r->transport_error) ? r->transport_error
                                 : r->tls_failed ? STR("TLS failed") : STR("no answer"));
    if (class == VERDICT_OK) return str_printf(a, "HTTP %d", r->status);
    why = notify_mask(d, a, str_trim(explanation(action, answer)));
    strbuf_init(&b, 2 * DETAIL_MOST + 16);
    for (size_t i = 0; i < why.n && i < DETAIL_MOST; i++) {
        unsigned char c = (unsigned char)why.p[i];
        strbuf_char(&b, c < ' ' || c == 127 ? ' ' : (char)c);
    }
    while (b.n && why.n > b.n && ((unsigned char)why.p[b.n] & 0xC0) == 0x80)
        strbuf_cut(&b, b.n - 1); /* whole characters */
    out = b.n ? str_printf(a, "HTTP %d: " STR_FMT, r->status, STR_ARG(strbuf_view(&b)))
              : str_printf(a, "HTTP %d", r->status);
    strbuf_fini(&b);
    return out;
}

static struct str captured(const struct capture *c, const struct answer *answer)
{
    struct str body = answer->response->body;
    size_t from, to;
    if (c->header) return answer_header(answer->response, c->header_name);
    if (str_absent(c->before)) return json_scalar(json_path(answer->json, c->at.parts, c->at.n));
    from = str_find_str(body, c->before);
    if (from == body.n) return STR_NONE;
    body = str_sub(body, from + c->before.n, body.n);
    to = str_find_str(body, c->after);
    return to == body.n ? STR_NONE : str_sub(body, 0, to);
}

static void put_old_captures(const struct action *action, const struct str *fresh, struct json old,
                             struct json_writer *w)
{
    for (struct json m = json_first(old); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        bool replaced = false;
        for (size_t i = 0; i < action->capture_count; i++)
            replaced |= !str_absent(fresh[i]) && str_eq(json_key(m), action->captures[i].name);
        if (replaced) continue;
        json_put_key(w, json_key(m));
        json_put_value(w, m);
    }
}

/* The old captures with the new ones over them; STR_NONE when there is nothing new. */
static struct str merge_captures(const struct action *action, const struct answer *answer, struct json old,
                                 struct arena *a)
{
    struct str *fresh = ARENA_ARRAY(a, struct str, action->capture_count + 1), out = STR_NONE;
    struct json_writer w;
    struct strbuf b;
    bool any = false;
    strbuf_init(&b, 1 << 20);
    json_writer_init(&w, &b);
    json_object_begin(&w);
    for (size_t i = 0; i < action->capture_count; i++) {
        struct str v = captured(&action->captures[i], answer);
        if (v.n == 0 || v.n > CAPTURE_MOST) continue;
        fresh[i] = v;
        json_put_key(&w, action->captures[i].name);
        json_put_str(&w, v);
        any = true;
    }
    put_old_captures(action, fresh, old, &w);
    json_object_end(&w);
    if (any && strbuf_ok(&b)) out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

static void find_wait(const struct notify_destination *d, const struct action *action,
                      const struct answer *answer, int64_t now_ms, struct verdict *out)
{
    if (out->class == VERDICT_OK || out->class == VERDICT_OK_DUPLICATE || answer->response->status == 0)
        return;
    out->wait_ms = answer_wait(action->waits, action->wait_count, answer, now_ms,
                               d->retry_for_ms > 0 ? d->retry_for_ms : 24 * 3600 * INT64_C(1000));
    if (out->wait_ms == 0 && out->class == VERDICT_RATE_LIMITED) out->wait_ms = action->default_wait_ms;
}

void notify_judge(const struct notify_destination *d, const struct notify_request *req, struct json captures,
                  const struct notify_response *res, int64_t now_ms, struct arena *a, struct verdict *out)
{
    static const struct json_limits limits = { 64 * 1024, 16 * 1024, 32 };
    const struct action *action = req->action;
    struct answer answer = { .response = res };
    struct err err;
    *out = (struct verdict){ .status = res->status };
    if (!action || json_parse(a, res->body, &limits, &answer.json, NULL, &err) < 0)
        answer.json = (struct json){ 0 };
    if (!action || d->transport == NOTIFY_CONSOLE) { /* printed, or skipped: nobody could refuse it */
        out->class = res->status == 0 && res->transport_error.n ? VERDICT_RETRY : VERDICT_OK;
        return;
    }
    out->class = classify(action, &answer);
    out->detail = detail_of(d, action, &answer, out->class, a);
    find_wait(d, action, &answer, now_ms, out);
    if (out->class == VERDICT_GONE_TARGET) out->captures = STR("{}");
    else if (out->class == VERDICT_OK || out->class == VERDICT_OK_DUPLICATE)
        out->captures = merge_captures(action, &answer, captures, a);
}
