/* Any bytes as a YAML file: the tree keeps its promises, the diagnostics can be printed, and a tree without
 * errors reads the same when written again. */
#include <stddef.h>
#include <stdint.h>

#include "base/utf8.h"
#include "json/json.h"
#include "yaml/format.h"
#include "yaml/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

struct sample {
    struct str text;
    bool flag;
    int64_t count, wait_ms, size;
    double ratio;
    int level;
    const struct yaml_node *node;
    struct field_texts names;
};
static const char *const levels[] = { "info", "warning", "error", NULL };
static const struct field fields[] = {
    { .name = "a", .type = FIELD_TEXT, .required = true, .offset = offsetof(struct sample, text) },
    { .name = "b", .type = FIELD_BOOL, .offset = offsetof(struct sample, flag), .fallback = "true" },
    { .name = "c", .type = FIELD_INT, .offset = offsetof(struct sample, count), .least = 1, .most = 9 },
    { .name = "d", .type = FIELD_DURATION, .offset = offsetof(struct sample, wait_ms), .most = 60000 },
    { .name = "e", .type = FIELD_SIZE, .offset = offsetof(struct sample, size), .least = 10 },
    { .name = "f", .type = FIELD_NUMBER, .offset = offsetof(struct sample, ratio) },
    { .name = "g", .type = FIELD_ENUM, .offset = offsetof(struct sample, level), .names = levels },
    { .name = "h", .type = FIELD_NODE, .offset = offsetof(struct sample, node) },
    { .name = "i", .type = FIELD_TEXTS, .offset = offsetof(struct sample, names) },
};
static const struct field_table table = { "sample", fields, sizeof fields / sizeof *fields };

static void decode_all_ways(const struct yaml_node *n, struct diags *d)
{
    struct sample s = { 0 };
    size_t errors = d->errors;
    int64_t per;
    bool ok = yaml_want_text(n, d, &s.text);
    must(ok == (errors == d->errors));
    (void)yaml_want_bool(n, d, &s.flag);
    (void)yaml_want_i64(n, d, -5, INT64_MAX, &s.count);
    (void)yaml_want_f64(n, d, 0, 1e9, &s.ratio);
    (void)yaml_want_duration(n, d, &s.wait_ms);
    (void)yaml_want_size(n, d, &s.size);
    if (yaml_want_rate(n, d, &s.count, &per)) must(s.count > 0 && per > 0);
    errors = d->errors;
    ok = fields_decode(&table, d->arena, n, d, &s, NULL, NULL);
    must(ok ? errors == d->errors : errors < d->errors || n->cut);
}

static void check_tree(const struct yaml_node *n, struct diags *d, unsigned depth)
{
    size_t count = 0;
    must(depth <= 33 && n->line > 0 && n->col > 0);
    must(n->kind != YAML_SCALAR || (n->text.p && utf8_invalid_at(n->text) == n->text.n && !n->first));
    decode_all_ways(n, d);
    for (const struct yaml_node *c = n->first; c; c = c->next, count++) {
        if (n->kind == YAML_MAP && count < 50)
            must(c->key_line > 0 && c->key.p);
        check_tree(c, d, depth + 1);
    }
    must(count == n->count);
}

static bool same(const struct yaml_node *a, const struct yaml_node *b)
{
    const struct yaml_node *x = a->first, *y = b->first;
    if (a->kind != b->kind || a->count != b->count || !str_eq(a->text, b->text) || !str_eq(a->key, b->key))
        return false;
    for (; x && y; x = x->next, y = y->next)
        if (!same(x, y)) return false;
    return !x && !y;
}

static void write_text(struct strbuf *out, struct str s)
{
    strbuf_char(out, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t cp = utf8_decode(s, i, &i);
        if (cp >= ' ' && cp < 0x7f && cp != '"' && cp != '\\') strbuf_char(out, (char)cp);
        else strbuf_printf(out, "\\U%08x", cp);
    }
    strbuf_char(out, '"');
}

static void write_node(struct strbuf *out, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR) {
        write_text(out, n->text);
        return;
    }
    strbuf_char(out, n->kind == YAML_MAP ? '{' : '[');
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        if (n->kind == YAML_MAP) { /* the long form: a short key may not pass 1,024 characters */
            strbuf_c(out, "? ");
            write_text(out, c->key);
            strbuf_c(out, "\n: ");
        }
        write_node(out, c);
        strbuf_c(out, ",\n");
    }
    strbuf_char(out, n->kind == YAML_MAP ? '}' : ']');
}

static void check_again(const struct yaml_node *root)
{
    struct arena a = { 0 };
    struct diags d;
    struct strbuf out;
    const struct yaml_node *again;
    diags_init(&d, &a);
    strbuf_init(&out, 64 << 20);
    write_node(&out, root);
    strbuf_char(&out, '\n');
    again = yaml_read(&a, "again.yaml", strbuf_view(&out), &d);
    must(again && d.errors == 0 && same(root, again));
    strbuf_fini(&out);
    diags_fini(&d);
    arena_fini(&a);
}

static void reverse_members(struct yaml_node *n)
{
    struct yaml_node *last = NULL, *next;
    for (struct yaml_node *c = n->first; c; c = c->next) reverse_members(c);
    if (n->kind != YAML_MAP) return;
    for (struct yaml_node *c = n->first; c; last = c, c = next) {
        next = c->next;
        c->next = last;
    }
    n->first = last;
}

/* Laid out anew it says the same, and laid out once more it stays as it is. */
static void check_format(struct arena *a, const struct yaml_node *root, struct str text)
{
    struct diags d;
    struct strbuf once, twice;
    const struct yaml_node *again;
    strbuf_init(&once, 64 << 20);
    strbuf_init(&twice, 64 << 20);
    diags_init(&d, a);
    if (yaml_format(a, root, text, &once)) {
        again = yaml_read(a, "formatted.yaml", strbuf_view(&once), &d);
        must(again && d.errors == 0 && yaml_same(root, again));
        must(yaml_format(a, again, strbuf_view(&once), &twice) && str_eq(strbuf_view(&once), strbuf_view(&twice)));
    }
    diags_fini(&d);
    strbuf_fini(&twice);
    strbuf_fini(&once);
}

static void check_printing(struct diags *d, struct arena *a)
{
    struct strbuf out;
    struct json v;
    struct err err;
    strbuf_init(&out, 64 << 20);
    diags_sort(d);
    diags_print(d, &out, true);
    must(strbuf_ok(&out));
    for (size_t i = 1; i < d->items.n; i++) must(d->items.v[i - 1].line <= d->items.v[i].line);
    strbuf_clear(&out);
    diags_json(d, &out);
    must(json_parse(a, strbuf_view(&out), &json_default_limits, &v, NULL, &err) == 0);
    must(json_count(v) == d->items.n && d->errors + d->warnings == d->items.n + d->held);
    strbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct diags d;
    struct yaml_node *root;
    diags_init(&d, &a);
    root = yaml_read(&a, "fuzz.yaml", (struct str){ (const char *)data, size }, &d);
    must(root || d.errors);
    if (root && d.errors == 0) must(!root->cut);
    if (root && d.errors == 0) check_again(root);
    if (root && d.errors == 0) check_format(&a, root, (struct str){ (const char *)data, size });
    if (root) check_tree(root, &d, 0);
    check_printing(&d, &a);
    if (root && d.errors == 0) {
        reverse_members(root);
        check_format(&a, root, (struct str){ (const char *)data, size });
    }
    diags_fini(&d);
    arena_fini(&a);
    return 0;
}
