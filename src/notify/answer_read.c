/* Reading what a descriptor says about answers: tests (success, classify), waits and captures. */
#include "base/regex.h"
#include "notify/notify_internal.h"

bool pointer_read(struct reader *r, const struct yaml_node *n, struct str text, struct pointer *out)
{
    struct str rest = text, part;
    size_t count = 0;
    if (!str_starts(text, STR("/")))
        return yaml_error(r->d, n, "wants a JSON pointer like /error/code, got `" STR_FMT "`", STR_ARG(text)),
               false;
    for (size_t i = 0; i < text.n; i++) count += text.p[i] == '/';
    out->parts = ARENA_ARRAY(r->a, struct str, count);
    out->text = text;
    out->n = 0;
    str_split(&rest, '/', &part); /* what is before the first slash: nothing */
    while (out->n < count && str_split(&rest, '/', &part)) {
        struct strbuf b; /* ~1 is "/", ~0 is "~" */
        strbuf_init(&b, part.n + 1);
        for (size_t i = 0; i < part.n; i++) {
            bool escaped = part.p[i] == '~' && i + 1 < part.n;
            strbuf_char(&b, escaped ? (part.p[++i] == '1' ? '/' : '~') : part.p[i]);
        }
        out->parts[out->n++] = str_dup(r->a, strbuf_view(&b));
        strbuf_fini(&b);
    }
    return true;
}

static bool re_read(struct reader *r, const struct yaml_node *n, struct str *out)
{
    struct err err;
    struct regex *re;
    if (!yaml_want_text(n, r->d, out)) return false;
    re = regex_new(*out, &err);
    if (!re) return yaml_error(r->d, n, "%s", err.msg), false;
    regex_free(&re);
    return true;
}

static bool is_typed(const struct yaml_node *n)
{
    double v;
    return n->plain && (str_eq_c(n->text, "true") || str_eq_c(n->text, "false") || str_to_f64(n->text, &v));
}

/* A text, a list of texts, or {re: PATTERN}. */
bool wanted_read(struct reader *r, const struct yaml_node *n, struct wanted *out)
{
    const struct yaml_node *re;
    if (n->kind == YAML_MAP) {
        if (n->count != 1 || !(re = yaml_get(n, "re")))
            return yaml_error(r->d, n, "wants {re: PATTERN}"), false;
        return re_read(r, re, &out->re);
    }
    out->count = n->kind == YAML_SEQ ? n->count : 1;
    out->any = ARENA_ARRAY(r->a, struct str, out->count);
    out->typed = ARENA_ARRAY(r->a, bool, out->count);
    size_t at = 0;
    for (const struct yaml_node *c = n->kind == YAML_SEQ ? n->first : n; c;
         c = n->kind == YAML_SEQ ? c->next : NULL) {
        if (!yaml_want_text(c, r->d, &out->any[at])) return false;
        out->typed[at++] = is_typed(c);
    }
    return true;
}

static bool range_read(struct reader *r, const struct yaml_node *n, struct status_range *out)
{
    struct str s;
    int64_t v;
    if (!yaml_want_text(n, r->d, &s)) return false;
    if (s.n == 3 && str_ends(s, STR("xx")) && s.p[0] >= '1' && s.p[0] <= '5') {
        *out = (struct status_range){ (s.p[0] - '0') * 100, (s.p[0] - '0') * 100 + 99 };
    } else if (str_to_i64(s, &v) && v >= 100 && v <= 599) {
        *out = (struct status_range){ v, v };
    } else {
        return yaml_error(r->d, n, "wants a status like 404 or 4xx, got `" STR_FMT "`", STR_ARG(s)), false;
    }
    return true;
}

static bool status_read(struct reader *r, const struct yaml_node *n, struct answer_test *out)
{
    bool ok = true;
    size_t at = 0;
    out->status_count = n->kind == YAML_SEQ ? n->count : 1;
    out->status = ARENA_ARRAY(r->a, struct status_range, out->status_count);
    if (n->kind != YAML_SEQ) return range_read(r, n, out->status);
    for (const struct yaml_node *c = n->first; c; c = c->next) ok &= range_read(r, c, &out->status[at++]);
    return ok;
}

static bool json_tests_read(struct reader *r, const struct yaml_node *json, const struct yaml_node *absent,
                            struct answer_test *out)
{
    size_t most = (json ? json->count : 0) + (absent ? absent->count : 0);
    out->json = ARENA_ARRAY(r->a, struct json_test, most);
    for (const struct yaml_node *c = json ? json->first : NULL; c; c = c->next) {
        struct json_test *t = &out->json[out->json_count++];
        if (!pointer_read(r, c, c->key, &t->at) || !wanted_read(r, c, &t->wanted)) return false;
    }
    for (const struct yaml_node *c = absent ? absent->first : NULL; c; c = c->next) {
        struct json_test *t = &out->json[out->json_count++];
        t->absent = true;
        if (!pointer_read(r, c, c->text, &t->at)) return false;
    }
    return true;
}

static bool header_tests_read(struct reader *r, const struct yaml_node *n, struct answer_test *out)
{
    out->headers = ARENA_ARRAY(r->a, struct header_test, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct header_test *t = &out->headers[out->header_count++];
        t->name = c->key;
        if (!wanted_read(r, c, &t->wanted)) return false;
    }
    return true;
}

struct test_source { const struct yaml_node *status, *json, *absent, *header, *body, *class, *use; };
#define AT(member) .type = FIELD_NODE, .offset = offsetof(struct test_source, member)
static const struct field test_fields[] = {
    { .name = "status", AT(status), .help = "a status, a class like 4xx, or a list" },
    { .name = "json", AT(json), .help = "JSON pointer: value, list of values or {re: PATTERN}" },
    { .name = "absent", AT(absent), .help = "JSON pointers that must not be there" },
    { .name = "header", AT(header), .help = "header name: value, list of values or {re: PATTERN}" },
    { .name = "body", AT(body), .help = "the whole text: value, list of values or {re: PATTERN}" },
    { .name = "class", AT(class), .help = "what it means" },
    { .name = "use", AT(use), .help = "a part that is a list of rules" },
};
static const struct field_table test_table = { "answer test", test_fields, 5 };
static const struct field_table classify_table = { "classify rule", test_fields, 7 };

static bool test_decode(struct reader *r, const struct test_source *s, struct answer_test *out)
{
    if (s->status && !status_read(r, s->status, out)) return false;
    if (!json_tests_read(r, s->json, s->absent, out)) return false;
    if (s->header && !header_tests_read(r, s->header, out)) return false;
    out->has_body = s->body != NULL;
    return !s->body || wanted_read(r, s->body, &out->body);
}

bool answer_test_read(struct reader *r, const struct yaml_node *n, struct answer_test *out)
{
    struct test_source s = { 0 };
    return fields_decode(&test_table, r->a, n, r->d, &s, NULL, NULL) && test_decode(r, &s, out);
}

static bool rule_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    struct test_source s = { 0 };
    struct classify *c = &out->classify[out->classify_count];
    struct str class;
    if (!fields_decode(&classify_table, r->a, n, r->d, &s, NULL, NULL)) return false;
    if (!s.class) return yaml_error(r->d, n, "`class` is missing"), false;
    if (!yaml_want_text(s.class, r->d, &class) || !test_decode(r, &s, &c->test)) return false;
    if (!verdict_class_parse(class, &c->class))
        return yaml_error(r->d, s.class, "unknown class `" STR_FMT "`", STR_ARG(class)), false;
    out->classify_count++;
    return true;
}

static const struct yaml_node *used_list(struct reader *r, const struct yaml_node *c)
{
    const struct yaml_node *use = yaml_get(c, "use"), *part;
    if (c->kind != YAML_MAP || !use) return NULL;
    part = reader_part(r, use);
    if (part && part->kind != YAML_SEQ) return yaml_error(r->d, use, "this part is no list of rules"), NULL;
    return part;
}

bool classify_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    size_t most = 0;
    bool ok = true;
    if (n->kind != YAML_SEQ) return yaml_error(r->d, n, "`classify` wants a list of rules"), false;
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        const struct yaml_node *list = used_list(r, c);
        if (!list && c->kind == YAML_MAP && yaml_get(c, "use")) return false;
        most += list ? list->count : 1;
    }
    out->classify = ARENA_ARRAY(r->a, struct classify, most);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        const struct yaml_node *list = used_list(r, c);
        if (!list) ok &= rule_read(r, c, out);
        for (const struct yaml_node *i = list ? list->first : NULL; i; i = i->next)
            ok &= rule_read(r, i, out);
    }
    return ok;
}

static const char *const from_names[] = { "header", "json", NULL };
static const char *const unit_names[] = { "s", "ms", NULL };
static const char *const kind_names[] = { "delta", "epoch", "http_date", NULL };
struct wait_fields { int from, unit, kind; struct str name; int64_t cap_ms; };
#undef AT
#define AT(member) .offset = offsetof(struct wait_fields, member)
static const struct field wait_field_list[] = {
    { .name = "from", .type = FIELD_ENUM, .required = true, AT(from), .names = from_names,
      .help = "where it stands" },
    { .name = "name", .type = FIELD_TEXT, .required = true, AT(name), .help = "header name or JSON pointer" },
    { .name = "unit", .type = FIELD_ENUM, AT(unit), .names = unit_names, .help = "of the number" },
    { .name = "kind", .type = FIELD_ENUM, AT(kind), .names = kind_names, .help = "how to read it" },
    { .name = "cap", .type = FIELD_DURATION, AT(cap_ms), .help = "longest wait that is believed" },
};
static const struct field_table wait_table = { "retry_after", wait_field_list, 5 };
enum { WAIT_CAP_MS = 15 * 60 * 1000 };

bool waits_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    if (n->kind != YAML_SEQ) return yaml_error(r->d, n, "`retry_after` wants a list"), false;
    out->waits = ARENA_ARRAY(r->a, struct wait_source, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct wait_source *w = &out->waits[out->wait_count++];
        struct wait_fields f = { .cap_ms = 0 };
        if (!fields_decode(&wait_table, r->a, c, r->d, &f, NULL, NULL)) return false;
        w->header = f.from == 0;
        w->name = f.name;
        w->unit_ms = f.unit == 0 ? 1000 : 1;
        w->kind = (enum wait_kind)f.kind;
        /* Retry-After itself is obeyed up to the delivery's maximum age; other hints are believed less. */
        w->cap_ms = f.cap_ms ? f.cap_ms : w->header && str_ieq(f.name, STR("retry-after")) ? -1 : WAIT_CAP_MS;
        if (!w->header && !pointer_read(r, c, f.name, &w->at)) return false;
    }
    return true;
}

struct capture_fields { struct str json, header; struct field_texts between; };
#undef AT
#define AT(member) .offset = offsetof(struct capture_fields, member)
static const struct field capture_field_list[] = {
    { .name = "json", .type = FIELD_TEXT, AT(json), .help = "JSON pointer into the answer" },
    { .name = "header", .type = FIELD_TEXT, AT(header), .help = "header of the answer" },
    { .name = "between", .type = FIELD_TEXTS, AT(between), .help = "the two texts around it" },
};
static const struct field_table capture_table = { "capture", capture_field_list, 3 };

bool captures_read(struct reader *r, const struct yaml_node *n, struct action *out)
{
    if (n->kind != YAML_MAP) return yaml_error(r->d, n, "`capture` wants a map of name to place"), false;
    out->captures = ARENA_ARRAY(r->a, struct capture, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct capture *k = &out->captures[out->capture_count++];
        struct capture_fields f = { 0 };
        if (!fields_decode(&capture_table, r->a, c, r->d, &f, NULL, NULL)) return false;
        k->name = c->key;
        k->header = !str_absent(f.header);
        k->header_name = f.header;
        if (!str_absent(f.json) + k->header + (f.between.n == 2) != 1)
            return yaml_error(r->d, c, "wants one of json, header, between (two texts)"), false;
        if (!str_absent(f.json) && !pointer_read(r, c, f.json, &k->at)) return false;
        if (f.between.n == 2) k->before = f.between.v[0], k->after = f.between.v[1];
    }
    return true;
}
