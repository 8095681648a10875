/* Building a request: the action for the message, its view, its body within the budget, its signature. */
#include "base/glob.h"
#include "base/id.h"
#include "base/timefmt.h"
#include "notify/notify_internal.h"

enum { BODY_CEILING = 8 << 20 };
struct build {
    const struct notify_destination *d;
    const struct action *action;
    const struct notify_attempt *at;
    struct json message, params, captures, view;
    struct str id; /* of the delivery: the same at every attempt */
    struct arena *a;
    struct err *err;
};

static bool has_captures(const struct action *action, struct json captures)
{
    for (size_t i = 0; i < action->require_count; i++)
        if (json_str(json_get(captures, action->requires[i])).n == 0) return false;
    return true;
}

/* --- the view ------------------------------------------------------------------------------------------- */
/* What a parameter is for this message: the rule's where the destination lets it, else the destination's. */
static int param_value(const struct build *b, const struct param *q, const struct notify_param *own,
                       struct str *out)
{
    struct json over = json_get(b->params, q->name);
    struct str of = own ? secret_reveal(&own->value) : q->fallback;
    *out = of;
    if (json_present(over)) {
        struct str wanted = json_scalar(over);
        if (!q->settable)
            return err_set(b->err, ERR_TYPE, "a rule cannot set `" STR_FMT "`", STR_ARG(q->name));
        if (str_absent(of) || !glob_match(of, wanted))
            return err_set(b->err, ERR_TYPE,
                           "`" STR_FMT "` is \"" STR_FMT "\", which does not fit the destination's \"" STR_FMT
                           "\"",
                           STR_ARG(q->name), STR_ARG(wanted), STR_ARG(of));
        *out = wanted;
    } else if (q->settable && glob_is(of)) {
        return err_set(b->err, ERR_TYPE,
                       "`" STR_FMT "` is a pattern: the rule has to name one that fits \"" STR_FMT "\"",
                       STR_ARG(q->name), STR_ARG(of));
    }
    return 0;
}

static int put_params(const struct build *b, struct json_writer *w)
{
    const struct notify_provider *p = b->d->provider;
    json_put_key(w, STR("param"));
    json_object_begin(w);
    for (size_t i = 0; i < p->param_count; i++) {
        const struct param *q = &p->params[i];
        struct str v;
        if (param_value(b, q, destination_param(b->d, q->name), &v) < 0) return -1;
        if (str_absent(v)) continue;
        json_put_key(w, q->name);
        if (q->type == PARAM_BOOL) json_put_bool(w, str_eq_c(v, "true"));
        else json_put_str(w, v);
    }
    json_object_end(w);
    return 0;
}

static void put_attempt(const struct build *b, struct json_writer *w)
{
    json_put_key(w, STR("attempt"));
    json_object_begin(w);
    json_field_str(w, "id", b->id);
    json_field_time(w, "at", b->at->now_ms);
    json_field_i64(w, "unix", b->at->now_ms / 1000);
    json_object_end(w);
}

static void put_plain(const struct build *b, struct json_writer *w)
{
    struct strbuf text;
    strbuf_init(&text, 1 << 20);
    message_plain(b->message, &text);
    json_field_str(w, "plain", strbuf_view(&text));
    strbuf_fini(&text);
}

static struct str base_url(const struct notify_destination *d)
{
    struct str s = str_absent(d->base_url) ? d->provider->base_url : d->base_url;
    while (s.n && s.p[s.n - 1] == '/') s.n--;
    return s;
}

static bool is_reserved(struct str name)
{
    return str_eq_c(name, "param") || str_eq_c(name, "capture") || str_eq_c(name, "attempt") ||
           str_eq_c(name, "plain") || str_eq_c(name, "base_url") || str_eq_c(name, "destination") || str_starts(name, STR("is_"));
}

static int put_view(const struct build *b, struct json_writer *w)
{
    json_object_begin(w);
    for (struct json m = json_first(b->message); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        if (is_reserved(json_key(m))) continue;
        json_put_key(w, json_key(m));
        json_put_value(w, m);
    }
    json_put_key(w, str_printf(b->a, "is_" STR_FMT, STR_ARG(json_str(json_get_c(b->message, "kind")))));
    json_put_bool(w, true);
    json_field_opt(w, "base_url", base_url(b->d));
    json_field_opt(w, "destination", b->d->name);
    json_put_key(w, STR("capture"));
    if (json_kind(b->captures) == JSON_OBJECT) json_put_value(w, b->captures);
    else json_put_raw(w, STR("{}"));
    put_attempt(b, w);
    put_plain(b, w);
    if (put_params(b, w) < 0) return -1;
    json_object_end(w);
    return 0;
}

static int make_view(struct build *b)
{
    static const struct json_limits limits = { 16 << 20, 1 << 20, 64 };
    struct json_writer w;
    struct strbuf text;
    int rc;
    strbuf_init(&text, BODY_CEILING);
    json_writer_init(&w, &text);
    rc = put_view(b, &w);
    if (rc == 0 && !strbuf_ok(&text)) rc = err_set(b->err, ERR_LIMIT, "the message is too large");
    if (rc == 0) rc = json_parse(b->a, str_dup(b->a, strbuf_view(&text)), &limits, &b->view, NULL, b->err);
    strbuf_fini(&text);
    return rc;
}

/* --- URL and headers ------------------------------------------------------------------------------------ */
static bool is_safe(struct str s, bool blanks)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 127 || (!blanks && (c == ' ' || c == '\t'))) return false;
    }
    return true;
}

/* Where the path begins: behind scheme and host. */
static size_t path_at(struct str url)
{
    size_t from = str_find_str(url, STR("://"));
    if (from == url.n) return url.n;
    for (from += 3; from < url.n; from++)
        if (url.p[from] == '/' || url.p[from] == '?' || url.p[from] == '#') break;
    return from;
}

static int make_url(const struct build *b, struct notify_request *out)
{
    struct str url, base = base_url(b->d), host;
    size_t at;
    if (text_render(&b->action->url, b->view, b->a, &url, b->err) < 0) return -1;
    at = path_at(url);
    if (b->action->relative) url = str_printf(b->a, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(url));
    else if (!str_absent(b->d->base_url)) /* the user's own URL: a gateway takes the place of its host */
        url = str_printf(b->a, STR_FMT STR_FMT, STR_ARG(base), STR_ARG(str_sub(url, at, url.n - at)));
    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return err_set(b->err, ERR_TYPE, "the URL wants to start with http:// or https://");
    if (!is_safe(url, false))
        return err_set(b->err, ERR_TYPE, "the URL holds a blank, a line end or another control character");
    out->url = url;
    host = str_sub(url, 0, path_at(url));
    at = host.n;
    while (at && host.p[at - 1] != '@' && host.p[at - 1] != '/') at--;
    out->url_shown = str_printf(b->a, "%s" STR_FMT, str_starts(url, STR("https")) ? "https://" : "http://",
                                STR_ARG(str_sub(host, at, host.n - at)));
    return 0;
}

static int make_headers(const struct build *b, struct notify_request *out)
{
    out->headers = ARENA_ARRAY(b->a, struct notify_header, b->action->header_count + SIGN_HEADERS);
    for (size_t i = 0; i < b->action->header_count; i++) {
        const struct header_leaf *h = &b->action->headers[i];
        struct str v;
        if (text_render(&h->value, b->view, b->a, &v, b->err) < 0) return -1;
        if (v.n == 0) continue;
        if (!is_safe(v, true))
            return err_set(b->err, ERR_TYPE,
                           "the header " STR_FMT " holds a line end or another control character",
                           STR_ARG(h->name));
        out->headers[out->header_count++] = (struct notify_header){ h->name, v };
    }
    return 0;
}

/* --- body ----------------------------------------------------------------------------------------------- */
/* An object of scalars as a form. */
static int to_form(const struct build *b, struct strbuf *text)
{
    template_escape_fn escape = notify_escape_by_name(STR("url_query"));
    struct json root;
    bool first = true;
    if (json_parse(b->a, str_dup(b->a, strbuf_view(text)), &json_default_limits, &root, NULL, b->err) < 0)
        return -1;
    strbuf_clear(text);
    for (struct json m = json_first(root); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        struct str v = json_scalar(m);
        if (!first) strbuf_char(text, '&');
        first = false;
        escape(json_key(m), text);
        strbuf_char(text, '=');
        escape(str_absent(v) ? json_text(m) : v, text);
    }
    return 0;
}

static int encode(const struct build *b, const struct body *tree, unsigned level, struct strbuf *out)
{
    struct body_job job = { .view = b->view, .message = b->message, .drop_level = level, .a = b->a };
    strbuf_clear(out);
    if (b->action->encoding == ENCODING_RAW) {
        struct str s;
        if (tree->kind == BODY_LITERAL) return strbuf_str(out, tree->literal), 0;
        if (text_render(&tree->text, b->view, b->a, &s, b->err) < 0) return -1;
        strbuf_str(out, s);
        return 0;
    }
    if (body_render(tree, &job, out, b->err) < 0) return -1;
    return b->action->encoding == ENCODING_FORM ? to_form(b, out) : 0;
}

/* Levels of the drop list are tried until the body fits; the last one is sent in any case. */
static int make_body(const struct build *b, struct notify_request *out)
{
    const struct action *action = b->action;
    const struct body *tree = b->at->plain && action->plain ? action->plain : action->body;
    struct strbuf text;
    int rc = 0;
    if (action->encoding == ENCODING_NONE || !tree) return 0;
    strbuf_init(&text, BODY_CEILING);
    for (unsigned level = 0; level <= action->drop_levels && rc == 0; level++) {
        rc = encode(b, tree, level, &text);
        if (!action->budget_most ||
            text_length(strbuf_view(&text), action->budget_unit) <= action->budget_most)
            break;
    }
    if (rc == 0 && !strbuf_ok(&text)) rc = err_set(b->err, ERR_LIMIT, "the body is larger than 8 MiB");
    if (rc == 0) out->body = str_dup(b->a, strbuf_view(&text));
    strbuf_fini(&text);
    return rc;
}

static int sign(const struct build *b, struct notify_request *out)
{
    const struct notify_param *secret = destination_param(b->d, b->action->sign.secret);
    struct sign_job job = { .id = b->id, .body = out->body, .now_ms = b->at->now_ms };
    if (secret) job.secret = secret_reveal(&secret->value);
    return sign_request(&b->action->sign, &job, b->a, out->headers, &out->header_count, b->err);
}

static const struct action *action_for(const struct notify_destination *d, enum message_kind kind,
                                       struct json captures)
{
    const struct action *action = d->provider->actions[kind];
    return has_captures(action, captures) || !action->otherwise ? action : action->otherwise;
}

int notify_build(const struct notify_destination *d, struct json message, struct json params,
                 struct json captures, const struct notify_attempt *at, struct arena *a,
                 struct notify_request *out, struct err *err)
{
    struct build b = {
        .d = d, .at = at, .message = message, .params = params, .captures = captures, .a = a, .err = err
    };
    struct str name = json_str(json_get_c(message, "kind"));
    char id[ID_SIZE];
    enum message_kind kind;
    *out = (struct notify_request){ 0 };
    if (!message_kind_parse(name, &kind))
        return err_set(err, ERR_TYPE, "unknown kind of message \"" STR_FMT "\"", STR_ARG(name));
    b.action = action_for(d, kind, captures);
    b.id = str_dup(a, id_format("dlv", at->delivery, id));
    out->action = b.action;
    out->skip = b.action->skip;
    if (out->skip) return 0;
    if (make_view(&b) < 0) return -1;
    out->method = b.action->method;
    if (d->transport == NOTIFY_HTTP && make_url(&b, out) < 0) return -1;
    if (make_headers(&b, out) < 0 || make_body(&b, out) < 0) return -1;
    return sign(&b, out);
}
