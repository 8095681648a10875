/* Filters: {{ field | name: argument | ... }}. Reading them, and the ones that look at values; those that
 * only turn text into text are in filter_words.c. */
#include <math.h>

#include "base/suggest.h"
#include "base/timefmt.h"
#include "template/template_internal.h"

/* --- values ----------------------------------------------------------------------------------------- */
struct str filter_take(struct filter_run *r, struct strbuf *b)
{
    struct str out = str_dup(r->a, strbuf_view(b));
    if (!strbuf_ok(b)) r->too_long = true;
    strbuf_fini(b);
    return out;
}

static struct str json_compact(struct filter_run *r, struct json v)
{
    struct strbuf b;
    struct json_writer w;
    strbuf_init(&b, r->bytes);
    json_writer_init(&w, &b);
    json_put_value(&w, v);
    return filter_take(r, &b);
}

static struct str join_list(struct filter_run *r, struct json list, struct str sep)
{
    struct strbuf b;
    struct json v = json_first(list);
    strbuf_init(&b, r->bytes);
    for (size_t i = 0, n = json_count(list); i < n && strbuf_ok(&b); i++, v = json_next(v)) {
        enum json_kind kind = json_kind(v);
        if (i) strbuf_str(&b, sep);
        strbuf_str(&b, kind == JSON_ARRAY || kind == JSON_OBJECT ? json_compact(r, v) : json_scalar(v));
    }
    return filter_take(r, &b);
}

struct str filter_text(struct filter_run *r, const struct filter_value *v)
{
    if (v->is_text) return v->text;
    switch (json_kind(v->json)) {
    case JSON_ARRAY: return join_list(r, v->json, STR(", "));
    case JSON_OBJECT: return json_compact(r, v->json);
    case JSON_ABSENT:
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_NUMBER:
    case JSON_STRING: break;
    }
    return json_scalar(v->json);
}

int filter_set(struct filter_value *v, struct str text)
{
    v->is_text = true;
    v->text = text;
    return 0;
}

static bool is_empty(const struct filter_value *v)
{
    if (v->is_text) return v->text.n == 0;
    switch (json_kind(v->json)) {
    case JSON_ABSENT:
    case JSON_NULL: return true;
    case JSON_STRING: return json_str(v->json).n == 0;
    case JSON_ARRAY:
    case JSON_OBJECT: return json_count(v->json) == 0;
    case JSON_BOOL:
    case JSON_NUMBER: break;
    }
    return false;
}

static int refuse(struct filter_run *r, const struct filter_call *call, struct str text, const char *what)
{
    return err_set(r->err, ERR_TYPE, "%s: \"" STR_FMT "\" is not %s", call->name,
                   STR_ARG(str_sub(text, 0, 60)), what);
}

/* --- filters on values ------------------------------------------------------------------------------ */
static int apply_default(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    (void)r;
    return is_empty(v) ? filter_set(v, call->arg) : 0;
}

static int apply_join(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    if (v->is_text || json_kind(v->json) != JSON_ARRAY) return 0;
    return filter_set(v, join_list(r, v->json, call->arg.p ? call->arg : STR(", ")));
}

static int apply_first(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    (void)r;
    (void)call;
    if (!v->is_text && json_kind(v->json) == JSON_ARRAY) v->json = json_at(v->json, 0);
    return 0;
}

static int apply_last(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    size_t n = v->is_text ? 0 : json_count(v->json);
    (void)r;
    (void)call;
    if (!v->is_text && json_kind(v->json) == JSON_ARRAY)
        v->json = n ? json_at(v->json, n - 1) : (struct json){ 0 };
    return 0;
}

static int apply_json(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    struct strbuf b;
    struct json_writer w;
    (void)call;
    if (!v->is_text) return filter_set(v, json_compact(r, v->json));
    strbuf_init(&b, r->bytes);
    json_writer_init(&w, &b);
    json_put_str(&w, v->text);
    return filter_set(v, filter_take(r, &b));
}

static int apply_date(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    struct str s = filter_text(r, v), full;
    char buf[TIMEFMT_SIZE];
    int64_t ms;
    if (is_empty(v)) return 0;
    if (!time_parse(s, &ms) && !str_to_i64(s, &ms)) return refuse(r, call, s, "a time");
    full = time_format(ms, buf); /* 2026-05-03T10:16:41.377Z */
    return filter_set(v, str_printf(r->a, "%.10s %.5s UTC", full.p, full.p + 11));
}

static int apply_duration(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    struct str s = filter_text(r, v);
    char buf[TIMEFMT_SIZE];
    double ms;
    if (is_empty(v)) return 0;
    if (!str_to_f64(s, &ms) || fabs(ms) > 1e17) return refuse(r, call, s, "a number of milliseconds");
    return filter_set(v, str_dup(r->a, duration_human((int64_t)ms, buf)));
}

static int put_number(struct filter_run *r, struct filter_value *v, double x, int64_t places,
                      const char *unit)
{
    if (x == 0) x = 0; /* no -0 */
    return filter_set(v, str_printf(r->a, "%.*f%s", (int)places, x, unit));
}

static int apply_round(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    struct str s = filter_text(r, v);
    double scale = pow(10, (double)call->number), x;
    if (is_empty(v)) return 0;
    if (!str_to_f64(s, &x)) return refuse(r, call, s, "a number");
    if (fabs(x) < 1e15 / scale) x = round(x * scale) / scale; /* half away from zero, as people do it */
    return put_number(r, v, x, call->number, "");
}

/* A share of one: 0.254 is 25.4%. Without an argument one decimal, and none where it would be 0. */
static int apply_percent(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    struct str s = filter_text(r, v);
    double x;
    int64_t places = call->arg.p ? call->number : 1;
    if (is_empty(v)) return 0;
    if (!str_to_f64(s, &x)) return refuse(r, call, s, "a number");
    x *= 100;
    if (!call->arg.p && fabs(x) < 1e15) {
        x = round(x * 10) / 10;
        if (x == round(x)) places = 0;
    }
    return put_number(r, v, x, places, "%");
}

/* --- reading ---------------------------------------------------------------------------------------- */
enum arg_kind { ARG_NONE, ARG_TEXT, ARG_TEXT_MAYBE, ARG_NUMBER, ARG_NUMBER_MAYBE };
static const struct {
    const char *name;
    enum arg_kind arg;
    int64_t least, most;
    filter_fn apply;
} filters[] = {
    { "upper", ARG_NONE, 0, 0, filter_upper },
    { "lower", ARG_NONE, 0, 0, filter_lower },
    { "trim", ARG_NONE, 0, 0, filter_trim },
    { "truncate", ARG_NUMBER, 1, 1000000, filter_truncate },
    { "default", ARG_TEXT, 0, 0, apply_default },
    { "date", ARG_NONE, 0, 0, apply_date },
    { "duration", ARG_NONE, 0, 0, apply_duration },
    { "round", ARG_NUMBER_MAYBE, 0, 9, apply_round },
    { "join", ARG_TEXT_MAYBE, 0, 0, apply_join },
    { "first", ARG_NONE, 0, 0, apply_first },
    { "last", ARG_NONE, 0, 0, apply_last },
    { "json", ARG_NONE, 0, 0, apply_json },
    { "percent", ARG_NUMBER_MAYBE, 0, 9, apply_percent },
    { "urlencode", ARG_NONE, 0, 0, filter_urlencode },
};
enum { FILTERS = sizeof filters / sizeof *filters };

/* A quote counts only where a text may begin: first, behind a colon, behind a dot; and it must be closed. */
size_t filter_bar(struct str s)
{
    char quote = 0, before = ':';
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quote && c == '\\') i++;
        else if (quote) quote = c == quote ? '\0' : quote;
        else if ((c == '"' || c == '\'') && (before == ':' || before == '.')) quote = c;
        else if (c == '|') return i;
        if (c != ' ') before = c;
    }
    return quote ? str_find(s, '|', 0) : s.n;
}

/* "..." or '...', where \n, \t and a backslash before anything else mean what they do in JSON. */
static struct str unquote(struct arena *a, struct str s)
{
    char *p;
    size_t n = 0;
    if (s.n < 2 || (s.p[0] != '"' && s.p[0] != '\'') || s.p[s.n - 1] != s.p[0]) return s;
    p = arena_alloc(a, s.n);
    for (size_t i = 1; i + 1 < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' && i + 2 < s.n) {
            c = s.p[++i];
            if (c == 'n') c = '\n';
            if (c == 't') c = '\t';
        }
        p[n++] = c;
    }
    return (struct str){ p, n };
}

static int unknown_filter(struct str name, struct err *err)
{
    struct str names[FILTERS], hint;
    for (size_t i = 0; i < FILTERS; i++) names[i] = str_c(filters[i].name);
    hint = suggest_nearest(name, names, FILTERS);
    if (hint.n)
        return err_set(err, ERR_SYNTAX, "unknown filter \"" STR_FMT "\"; did you mean \"" STR_FMT "\"?",
                       STR_ARG(name), STR_ARG(hint));
    return err_set(err, ERR_SYNTAX, "unknown filter \"" STR_FMT "\"", STR_ARG(name));
}

static int read_arg(size_t which, struct filter_call *call, struct err *err)
{
    bool numeric = filters[which].arg == ARG_NUMBER || filters[which].arg == ARG_NUMBER_MAYBE;
    bool wanted = filters[which].arg == ARG_NUMBER || filters[which].arg == ARG_TEXT;
    if (!call->arg.p && wanted)
        return err_set(err, ERR_SYNTAX, "the filter \"%s\" wants %s: \"%s: ...\"", call->name,
                       numeric ? "a number" : "a text", call->name);
    if (call->arg.p && filters[which].arg == ARG_NONE)
        return err_set(err, ERR_SYNTAX, "the filter \"%s\" takes no argument", call->name);
    if (!call->arg.p || !numeric) return 0;
    if (!str_to_i64(call->arg, &call->number) || call->number < filters[which].least ||
        call->number > filters[which].most)
        return err_set(err, ERR_SYNTAX, "the filter \"%s\" wants a whole number from %lld to %lld",
                       call->name, (long long)filters[which].least, (long long)filters[which].most);
    return 0;
}

static int read_filter(struct arena *a, struct str text, struct filter_call *call, struct err *err)
{
    size_t colon = str_find(text, ':', 0), i = 0;
    struct str name = str_trim(str_sub(text, 0, colon));
    if (name.n == 0) return err_set(err, ERR_SYNTAX, "a filter is missing after \"|\"");
    while (i < FILTERS && !str_eq_c(name, filters[i].name)) i++;
    if (i == FILTERS) return unknown_filter(name, err);
    call->apply = filters[i].apply;
    call->name = filters[i].name;
    if (colon < text.n) call->arg = unquote(a, str_trim(str_sub(text, colon + 1, text.n)));
    return read_arg(i, call, err);
}

int filter_parse(struct arena *a, struct str text, const struct filter_call **first, struct str *bad,
                 struct err *err)
{
    const struct filter_call **tail = first;
    for (bool more = true; more;) {
        size_t bar = filter_bar(text);
        struct filter_call *call = ARENA_NEW(a, struct filter_call);
        *bad = str_trim(str_sub(text, 0, bar));
        if (read_filter(a, *bad, call, err) < 0) return -1;
        *tail = call;
        tail = &call->next;
        more = bar < text.n;
        text = str_sub(text, bar + 1, text.n);
    }
    return 0;
}
