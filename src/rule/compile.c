/* Files of rules -> a ruleset. All mistakes are told; with any, there is no ruleset. */
#include "base/digest.h"
#include "rule/rule_internal.h"

/* --- helpers of the parse files ------------------------------------------------------------------------ */
bool compile_each(struct compile *c, const struct yaml_node *n, const char *what, compile_item_fn fn,
                  void *ctx)
{
    bool ok = true;
    if (n->kind == YAML_SCALAR) return fn(c, n, ctx);
    if (n->kind == YAML_MAP || n->count == 0) {
        yaml_error(c->d, n, "wants %s%s", what, n->kind == YAML_SEQ ? ", and the list is empty" : "");
        return false;
    }
    for (const struct yaml_node *item = n->first; item; item = item->next) ok = fn(c, item, ctx) && ok;
    return ok;
}

struct diag *compile_nearest(struct diag *at, struct compile *c, struct str nearest)
{
    if (nearest.n > 0) at->hint = str_printf(c->d->arena, "did you mean `" STR_FMT "`?", STR_ARG(nearest));
    return at;
}

bool compile_field(struct compile *c, const struct yaml_node *n, struct str text, bool at_key,
                   struct rule_field *out)
{
    struct err err = { 0 };
    struct str nearest;
    struct diag *d;
    if (rule_field_parse(c->a, str_dup(c->a, text), out, &nearest, &err) == 0) return true;
    d = at_key ? yaml_error_key(c->d, n, "%s", err.msg) : yaml_error(c->d, n, "%s", err.msg);
    compile_nearest(d, c, nearest);
    return false;
}

bool compile_named(struct compile *c, const struct yaml_node *section, const char *name)
{
    if (!section || yaml_is_null(section)) return false;
    if (section->kind == YAML_MAP) return true;
    yaml_error(c->d, section, "`%s` wants a map of names and %s", name, name);
    return false;
}

static bool name_ok(struct str name)
{
    if (name.n < 1 || name.n > 63 || name.p[0] < 'a' || name.p[0] > 'z') return false;
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-')) return false;
    }
    return true;
}

bool compile_name(struct compile *c, struct map *names, const struct yaml_node *n, const char *what)
{
    const struct yaml_node *before = map_get(names, n->key);
    if (!name_ok(n->key))
        yaml_error_key(c->d, n, "`" STR_FMT "` is no %s's name: 1 to 63 of a-z, 0-9 and -, a letter first", STR_ARG(n->key), what);
    if (before)
        yaml_error_key(c->d, n, "%s `" STR_FMT "` exists already, at %s:%u", what, STR_ARG(n->key), before->file ? before->file : "?", (unsigned)before->key_line);
    else
        (void)map_put(names, n->key, (void *)(uintptr_t)n);
    return !before;
}

bool compile_is_cut(const struct compile *c)
{
    for (size_t i = 0; i < c->world->file_count; i++)
        if (c->world->files[i].top && c->world->files[i].top->cut) return true;
    return false;
}

/* --- what follows from a rule's text ------------------------------------------------------------------- */
static void filter_collect(struct rule_filter *f, const struct rule_field *field, const struct match *m)
{
    if (m->kind == MATCH_NOT) return;
    if (m->kind == MATCH_TEST) {
        if (rule_field_same(&m->field, field) && (m->op == OP_IN || m->op == OP_ALL)) f->tests[f->n++] = m;
        return;
    }
    for (size_t i = 0; i < m->child_count; i++) filter_collect(f, field, m->children[i]);
}

static size_t tests_in(const struct match *m)
{
    size_t n = m->kind == MATCH_TEST;
    for (size_t i = 0; i < m->child_count; i++) n += tests_in(m->children[i]);
    return n;
}

static const struct rule_extra *extra_of(struct compile *c, const struct rule *r)
{
    struct rule_extra *e = ARENA_NEW(c->a, struct rule_extra);
    e->filters = ARENA_ARRAY(c->a, struct rule_filter, r->by_count);
    for (size_t i = 0; i < r->by_count; i++) {
        enum field_shape shape = rule_field_shape(r->by[i].id);
        if (shape != SHAPE_LIST && shape != SHAPE_JSON) continue;
        e->filters[i].tests = ARENA_ARRAY(c->a, const struct match *, tests_in(r->when));
        filter_collect(&e->filters[i], &r->by[i], r->when);
    }
    return e;
}

uint32_t match_reads(const struct match *m)
{
    uint32_t bits = m->kind == MATCH_TEST ? rule_field_reads(&m->field) : 0;
    for (size_t i = 0; i < m->child_count; i++) bits |= match_reads(m->children[i]);
    return bits;
}

static uint32_t targets_read(struct compile *c, const struct rule_targets *to)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < to->n; i++)
        for (size_t j = 0; j < to->v[i].param_count; j++) bits |= template_reads(c, to->v[i].params[j].value);
    return bits;
}

static uint32_t reads_of(struct compile *c, const struct rule *r)
{
    uint32_t bits = match_reads(r->when) | mutes_read(c, r->when) | targets_read(c, &r->outside_to) | template_reads(c, r->title) | template_reads(c, r->body);
    if (r->ends) bits |= match_reads(r->ends);
    if (r->condition.of) bits |= rule_field_reads(r->condition.of);
    for (size_t i = 0; i < r->by_count; i++) bits |= rule_field_reads(&r->by[i]);
    for (size_t i = 0; i < r->field_count; i++) bits |= template_reads(c, r->fields[i].value);
    for (size_t i = 0; i < r->label_count; i++) bits |= template_reads(c, r->labels[i].value);
    for (size_t i = 0; i < r->escalate_count; i++) bits |= targets_read(c, &r->escalate[i].to);
    if (r->route) {
        bits |= rule_field_reads(&r->route->field) | targets_read(c, &r->route->otherwise);
        for (size_t i = 0; i < r->route->case_count; i++) bits |= targets_read(c, &r->route->cases[i].to);
    }
    return bits | targets_read(c, &r->notify);
}

enum { SHAPE_BYTES = 64 << 20, SHAPE_DIGEST = 16 };

static void shape_of(struct rule *r)
{
    struct strbuf text, hex;
    unsigned char digest[DIGEST_SIZE];
    strbuf_init(&text, SHAPE_BYTES);
    strbuf_init(&hex, sizeof r->shape);
    match_canonical(r->when, &text);
    for (size_t i = 0; i < r->by_count; i++) {
        strbuf_c(&text, "\nby ");
        strbuf_str(&text, r->by[i].text);
    }
    condition_shape(&r->condition, &text);
    digest_sha256(strbuf_view(&text), digest);
    digest_hex(digest, SHAPE_DIGEST, &hex);
    memcpy(r->shape, hex.p, 2 * SHAPE_DIGEST + 1);
    strbuf_fini(&hex);
    strbuf_fini(&text);
}

enum { LINGER_MS = 5 * 60 * 1000 };

void rule_finish(struct compile *c, struct rule *r)
{
    r->by_run = false;
    r->by_identity = true;
    for (size_t i = 0; i < r->by_count; i++) {
        r->by_run |= r->by[i].id == RULE_RUN;
        r->by_identity &= !rule_field_is_outcome(r->by[i].id);
    }
    if (r->linger_ms < 0) r->linger_ms = r->by_run ? 0 : LINGER_MS;
    r->population = match_population(c->a, r->when);
    r->ends = ends_of(c, r);
    r->extra = extra_of(c, r);
    r->reads = reads_of(c, r);
    shape_of(r);
}

/* --- the set ------------------------------------------------------------------------------------------- */
static void built_in(struct compile *c)
{
    struct rule *b = &c->base;
    b->at_least = 1;
    b->update_ms = 30 * 1000;
    b->linger_ms = -1; /* depends on `by` */
    b->severity = 2;   /* error */
    b->by = ARENA_NEW(c->a, struct rule_field);
    b->by[0] = (struct rule_field){ .id = RULE_TASK, .text = STR("task") };
    b->by_count = 1;
    b->repeat_ms = ARENA_NEW(c->a, int64_t);
    b->repeat_ms[0] = 4 * 3600 * 1000;
    b->repeat_count = 1;
    b->resolve = ARENA_ARRAY(c->a, struct rule_resolve, 2);
    b->resolve[0] = (struct rule_resolve){ .kind = RULE_SUCCESS, .successes = 1 };
    b->resolve[1] = (struct rule_resolve){ .kind = RULE_QUIET, .quiet_ms = 24 * 3600 * 1000 };
    b->resolve_count = 2;
    b->limit = c->rs->limit = (struct rule_limit){ 20, 60 * 1000 };
    c->base_enabled = true;
    c->base_confirm = -1;
}

static void destinations_copy(struct compile *c)
{
    const struct rule_world *w = c->world;
    struct rule_destination *d = ARENA_ARRAY(c->a, struct rule_destination, w->destination_count);
    for (size_t i = 0; i < w->destination_count; i++) {
        d[i] = w->destinations[i];
        d[i].name = str_dup(c->a, d[i].name);
        d[i].type = str_dup(c->a, d[i].type);
        if (!str_absent(d[i].channel_pattern)) d[i].channel_pattern = str_dup(c->a, d[i].channel_pattern);
    }
    c->rs->destinations = d;
    c->rs->destination_count = w->destination_count;
    if (!str_absent(w->operator_destination))
        c->rs->operator_destination = str_dup(c->a, w->operator_destination);
}

static void file_parse(struct compile *c, const struct yaml_node *top)
{
    const struct yaml_node *rules = yaml_get(top, "rules");
    c->file = top->file ? str_dup_c(c->a, str_c(top->file)) : "";
    if (!compile_named(c, rules, "rules")) return;
    for (const struct yaml_node *n = rules->first; n; n = n->next) rule_parse(c, n);
}

static void rules_take(struct compile *c)
{
    struct ruleset *rs = c->rs;
    rs->rule_count = c->rules.n;
    rs->rules = ARENA_ARRAY(c->a, struct rule *, c->rules.n);
    for (size_t i = 0; i < c->rules.n; i++) {
        rs->rules[i] = c->rules.v[i];
        rs->rules[i]->index = i;
    }
    index_build(c->a, rs);
}

/* A section of every file: rules of any of them may name what it holds. */
static void each_section(struct compile *c, const char *name, void (*parse)(struct compile *, const struct yaml_node *))
{
    for (size_t i = 0; i < c->world->file_count; i++) {
        const struct yaml_node *top = c->world->files[i].top;
        if (top && top->kind == YAML_MAP) parse(c, yaml_get(top, name));
    }
}

static void compile_files(struct compile *c)
{
    const struct rule_world *w = c->world;
    const struct yaml_node *defaults = NULL;
    each_section(c, "schedules", schedules_parse);
    each_section(c, "mutes", mutes_parse);
    if (w->file_count > 0 && w->files[0].top) defaults = yaml_get(w->files[0].top, "defaults");
    if (defaults && !yaml_is_null(defaults)) {
        c->file = defaults->file ? str_dup_c(c->a, str_c(defaults->file)) : "";
        defaults_parse(c, defaults);
    }
    for (size_t i = 0; i < w->file_count; i++)
        if (w->files[i].top && w->files[i].top->kind == YAML_MAP) file_parse(c, w->files[i].top);
}

static void compile_fini(struct compile *c)
{
    vec_free(&c->rules);
    vec_free(&c->schedule_entries);
    vec_free(&c->mutes);
    vec_free(&c->unless);
    vec_free(&c->hours_pairs);
    map_fini(&c->names);
    map_fini(&c->schedules);
    map_fini(&c->mute_names);
}

struct ruleset *ruleset_compile(struct arena *a, const struct rule_world *w, struct diags *d)
{
    struct compile c = { .a = a, .d = d, .world = w, .rs = ARENA_NEW(a, struct ruleset) };
    size_t errors = d->errors;
    destinations_copy(&c);
    built_in(&c);
    compile_files(&c);
    unless_resolve(&c, d->errors == errors);
    if (d->errors == errors) {
        overlaps_check(&c);
        unused_check(&c);
        rules_take(&c);
        schedules_take(&c);
        mutes_take(&c);
    } else {
        ruleset_fini(c.rs);
        c.rs = NULL;
    }
    compile_fini(&c);
    return c.rs;
}

void ruleset_fini(struct ruleset *rs)
{
    if (!rs) return;
    for (struct rule_pattern *p = rs->patterns; p; p = p->next) regex_free(&p->re);
    rs->patterns = NULL;
    if (rs->index) map_fini(&rs->index->names);
}

const struct rule *ruleset_find(const struct ruleset *rs, struct str name)
{
    return map_get(&rs->index->names, name);
}
