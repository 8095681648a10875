#include "config/config.h"

#include <stdlib.h>

#include "base/glob.h"
#include "base/suggest.h"
#include "config/config_internal.h"

/* The reference count lives beside the configuration, so that config.h needs no atomics. */
struct counted {
    struct config c; /* first */
    atomic_int refs;
};

static struct config *config_new(void)
{
    struct counted *n = xcalloc(1, sizeof *n);
    atomic_init(&n->refs, 1);
    return &n->c;
}

struct config *config_ref(struct config *c)
{
    atomic_fetch_add(&((struct counted *)(void *)c)->refs, 1);
    return c;
}

void config_unref(struct config **config)
{
    struct config *c = *config;
    struct arena arena;
    *config = NULL;
    if (!c || atomic_fetch_sub(&((struct counted *)(void *)c)->refs, 1) != 1) return;
    ruleset_fini(c->rules);
    arena = c->arena;
    free(c);
    arena_fini(&arena);
}

bool config_is_cut(const struct config *c)
{
    for (size_t k = 0; k < c->file_count; k++)
        if (c->files[k].top->cut) return true;
    return false;
}

static void check_keys(struct loader *l, const struct yaml_node *top, bool included)
{
    const struct field_table *table = config_top_table(included);
    for (const struct yaml_node *m = top->first; m; m = m->next) {
        size_t k = 0;
        while (k < table->n && !str_eq_c(m->key, table->fields[k].name)) k++;
        if (k == table->n) fields_unknown(table, m, l->d);
    }
}

static void check_version(struct loader *l, const struct yaml_node *top)
{
    const struct yaml_node *n = yaml_get(top, "version");
    if (!n && top->cut) return;
    if (!n)
        diag_add(l->d, DIAG_ERROR, top->file, 1, 1, "the file needs `version: 1`")->hint = STR("add `version: 1` as its first line");
    else if (!str_eq_c(n->text, "1"))
        yaml_error(l->d, n, "this runbell reads version 1, not `" STR_FMT "`", STR_ARG(n->text));
}

static void suggest_destination(struct loader *l, struct diag *d, struct str name)
{
    struct str *names = ARENA_ARRAY(l->a, struct str, l->c->destination_count + 1), near;
    for (size_t k = 0; k < l->c->destination_count; k++) names[k] = l->c->destinations[k].name;
    near = suggest_nearest(name, names, l->c->destination_count);
    if (near.n) d->hint = str_printf(l->d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near));
}

static void read_operator(struct loader *l, const struct yaml_node *top, struct str *out)
{
    const struct yaml_node *n = yaml_get(top, "operator");
    const struct notify_destination *to;
    *out = STR_NONE;
    if (!n || !yaml_want_text(n, l->d, out)) return;
    to = config_destination(l->c, *out);
    if (to && !str_absent(config_channel(to)) && glob_is(config_channel(to)))
        yaml_error(l->d, n, "the operator needs one channel: `" STR_FMT "` of destination `" STR_FMT "` is a pattern", STR_ARG(config_channel(to)), STR_ARG(*out));
    if (to || config_is_cut(l->c)) return;
    suggest_destination(l, yaml_error(l->d, n, "operator: there is no destination `" STR_FMT "`", STR_ARG(*out)), *out);
}

static void collect_tests(struct loader *l)
{
    struct config *c = l->c;
    c->test_sections = ARENA_ARRAY(l->a, const struct yaml_node *, c->file_count);
    for (size_t k = 0; k < c->file_count; k++) {
        const struct yaml_node *tests = yaml_get(c->files[k].top, "tests");
        if (!tests) continue;
        if (tests->kind != YAML_SEQ && !yaml_is_null(tests)) yaml_error(l->d, tests, "tests is a list");
        else if (tests->kind == YAML_SEQ) c->test_sections[c->test_section_count++] = tests;
    }
}

static void load(struct loader *l, const char *path)
{
    struct config *c = l->c;
    struct rule_world w = { 0 };
    const struct yaml_node *top;
    c->providers = notify_providers_load(l->a, l->d);
    if (!config_read_files(l, path) || c->file_count == 0) return;
    top = c->files[0].top;
    for (size_t k = 0; k < c->file_count; k++) {
        check_keys(l, c->files[k].top, c->files[k].included);
        check_version(l, c->files[k].top);
    }
    config_read_settings(l, top);
    config_read_sources(l, yaml_get(top, "sources"));
    config_read_destinations(l, yaml_get(top, "destinations"));
    config_rule_world(l, &w);
    if (!l->rules_only) read_operator(l, top, &w.operator_destination);
    c->rules = ruleset_compile(l->a, &w, l->d);
    config_check_observable(l);
    config_check_used(l, yaml_get(top, "destinations"));
    collect_tests(l);
}

static struct config *load_with(struct loader *l, const char *path)
{
    l->c = config_new();
    l->a = &l->c->arena;
    load(l, path);
    diags_sort(l->d);
    if (l->d->errors == 0 && l->c->rules) return l->c;
    ruleset_fini(l->c->rules);
    l->c->rules = NULL;
    arena_adopt(l->d->arena, &l->c->arena); /* what the diagnostics point into */
    config_unref(&l->c);
    return NULL;
}

struct config *config_load(const char *path, bool check_only, struct diags *d)
{
    struct loader l = { .d = d, .check_only = check_only };
    return load_with(&l, path);
}

struct config *config_load_rules(const char *path, struct diags *d)
{
    struct loader l = { .d = d, .check_only = true, .rules_only = true };
    return load_with(&l, path);
}

struct config *config_load_with_rules(const char *path, const char *rules_path, struct diags *d)
{
    struct loader l = { .d = d, .check_only = true, .rules_path = rules_path };
    return load_with(&l, path);
}

struct config *config_load_with_rules_text(const char *path, struct str rules, struct diags *d)
{
    struct loader l = { .d = d, .check_only = true, .rules_path = "rules", .rules_text = rules };
    return load_with(&l, path);
}

const struct notify_destination *config_destination(const struct config *c, struct str name)
{
    for (size_t k = 0; k < c->destination_count; k++)
        if (str_eq(c->destinations[k].name, name)) return &c->destinations[k];
    return NULL;
}

const struct config_source *config_source_by_path(const struct config *c, struct str path)
{
    for (size_t k = 0; k < c->source_count; k++)
        if (!str_absent(c->sources[k].path) && str_eq(c->sources[k].path, path)) return &c->sources[k];
    return NULL;
}

bool config_name_ok(struct str name)
{
    if (name.n == 0 || name.n > 63 || name.p[0] < 'a' || name.p[0] > 'z') return false;
    for (size_t k = 0; k < name.n; k++) {
        char c = name.p[k];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

void config_check_url(struct loader *l, const struct yaml_node *map, const char *key, struct str url)
{
    struct str host = STR("");
    if (str_absent(url)) return;
    if (str_starts(url, STR("http://"))) host = str_sub(url, 7, url.n);
    if (str_starts(url, STR("https://"))) host = str_sub(url, 8, url.n);
    if (host.n == 0 || host.p[0] == '/') yaml_error(l->d, yaml_get(map, key), "wants a URL that starts with http:// or https://");
}

static const struct str unresolved = { "unresolved", 10 };

bool config_secret_unresolved(const struct secret *s)
{
    return !str_absent(s->reference) && str_eq(secret_reveal(s), unresolved);
}

bool config_secret(struct loader *l, const struct yaml_node *n, struct secret *out)
{
    struct str text;
    struct err err;
    struct diag *d;
    if (!yaml_want_text(n, l->d, &text)) return false;
    if (secret_resolve(l->a, text, l->c->dir.p, out, &err) == 0) return true;
    if (l->check_only) {
        *out = (struct secret){ unresolved, str_dup(l->a, text) };
        yaml_warning(l->d, n, "%s", err.msg);
        return true;
    }
    d = yaml_error(l->d, n, "%s", err.msg);
    d->hint = STR("set it before starting, or refer to a file: ${file:/path}");
    return false;
}

static void hide(struct loader *l, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR && str_find_str(n->text, STR("${")) == n->text.n) yaml_hide(l->d, n);
}

void config_hide(struct loader *l, const struct yaml_node *map, const char *key)
{
    const struct yaml_node *n = yaml_get(map, key);
    if (n && n->kind == YAML_SEQ)
        for (const struct yaml_node *one = n->first; one; one = one->next) hide(l, one);
    else if (n)
        hide(l, n);
}

void config_warn_literal(struct loader *l, const struct yaml_node *n, const struct secret *s, const char *what)
{
    if (!secret_present(s) || !str_absent(s->reference)) return;
    yaml_warning(l->d, n, "%s is written into the file", what)->hint = STR("refer to it instead: \"${env:NAME}\" or \"${file:/path}\"");
}
