/* `unless`: whose open incidents hold this rule's messages. Names become indexes once all files are read. */
#include "base/suggest.h"
#include "rule/rule_internal.h"

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool unless_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct unless_ref *ref = ctx;
    if (n->kind != YAML_SCALAR || yaml_is_null(n)) {
        yaml_error(c->d, n, "wants a rule's name");
        return false;
    }
    ref->item = n;
    *vec_push(&c->unless) = *ref;
    return true;
}

void unless_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    struct unless_ref ref = { .rule = r };
    if (n->kind == YAML_SEQ && n->count == 0) return; /* nothing, whatever the default */
    compile_each(c, n, "a rule's name or a list of names", unless_item, &ref);
}

/* Those of the defaults, which are read first; their names are looked at once, as the base's own. */
void unless_inherit(struct compile *c, struct rule *r)
{
    for (size_t i = 0; i < c->unless_base; i++) {
        struct unless_ref ref = c->unless.v[i];
        ref.rule = r;
        ref.inherited = true;
        *vec_push(&c->unless) = ref;
    }
}

/* --- names ------------------------------------------------------------------------------------------------------ */
static void unknown(struct compile *c, const struct yaml_node *n)
{
    struct str *names = ARENA_ARRAY(c->a, struct str, c->names.n + 1);
    struct map_entry *e;
    size_t at = 0, count = 0;
    if (compile_is_cut(c)) return; /* it may stand behind the syntax error */
    while ((e = map_next(&c->names, &at))) names[count++] = e->key;
    qsort(names, count, sizeof *names, by_text); /* of two as near the same one, whatever the map's order */
    compile_nearest(yaml_error(c->d, n, "no rule is called `" STR_FMT "`", STR_ARG(n->text)), c, suggest_nearest(n->text, names, count));
}

static void disabled(struct compile *c, const struct yaml_node *n)
{
    yaml_warning(c->d, n, "rule `" STR_FMT "` is not enabled, so it never holds anything", STR_ARG(n->text))->hint = STR("leave it out here, or enable it");
}

/* Is what ref names a rule that can hold another's messages? */
static bool name_check(struct compile *c, const struct unless_ref *ref, bool in_force, bool clean)
{
    bool own = str_eq(ref->item->text, ref->rule->name);
    if (ref->inherited) return in_force && !own; /* the defaults' own, which is looked at, has said what is wrong */
    if (!map_get(&c->names, ref->item->text)) unknown(c, ref->item);
    else if (own) yaml_error(c->d, ref->item, "rule `" STR_FMT "` would hold its own messages", STR_ARG(ref->rule->name));
    else if (!in_force && clean) disabled(c, ref->item);
    return in_force && !own;
}

static void hold_by(struct rule *r, size_t index)
{
    for (size_t i = 0; i < r->unless_count; i++)
        if (r->unless[i] == index) return;
    r->unless[r->unless_count++] = index;
}

/* Every one that is a rule in force goes into its rule, unless that is not. */
static void resolve_names(struct compile *c, const struct map *in_force, bool clean)
{
    for (size_t i = 0; i < c->unless.n; i++) {
        struct unless_ref *ref = &c->unless.v[i];
        const struct rule *other = map_get(in_force, ref->item->text);
        bool good = name_check(c, ref, other != NULL, clean);
        if (!good || !other || !ref->rule->unless) continue;
        hold_by(ref->rule, other->index);
        if (!ref->inherited) unless_place_check(c, ref->item, ref->rule, other);
    }
}

/* --- circles ------------------------------------------------------------------------------------------------------- */
enum { UNSEEN, ON_PATH, DONE };
struct walk { size_t *path, *next, depth; unsigned char *state; };

static const struct yaml_node *place_of(const struct compile *c, const struct rule *r, struct str name)
{
    for (size_t i = 0; i < c->unless.n; i++)
        if (c->unless.v[i].rule == r && str_eq(c->unless.v[i].item->text, name)) return c->unless.v[i].item;
    return NULL;
}

enum { CIRCLE_SHOWN = 8 };
static void circle(struct compile *c, const struct walk *w, size_t back_to)
{
    const struct rule *first = c->rules.v[back_to], *last = c->rules.v[w->path[w->depth - 1]];
    size_t from = w->depth;
    struct str text = STR("");
    while (w->path[from - 1] != back_to) from--;
    for (size_t k = from - 1; k < w->depth; k++) {
        if (k - (from - 1) == CIRCLE_SHOWN) text = str_printf(c->a, STR_FMT "... -> ", STR_ARG(text));
        if (k - (from - 1) < CIRCLE_SHOWN || k == w->depth - 1)
            text = str_printf(c->a, STR_FMT STR_FMT " -> ", STR_ARG(text), STR_ARG(c->rules.v[w->path[k]]->name));
    }
    yaml_error(c->d, place_of(c, last, first->name), "`unless` goes in a circle: " STR_FMT STR_FMT, STR_ARG(text), STR_ARG(first->name))->hint =
        STR("each would wait for the others: leave one out");
}

static void walk_from(struct compile *c, struct walk *w, size_t start)
{
    w->path[0] = start;
    w->next[0] = 0;
    w->depth = 1;
    w->state[start] = ON_PATH;
    while (w->depth > 0) {
        size_t at = w->path[w->depth - 1], to;
        const struct rule *r = c->rules.v[at];
        if (w->next[w->depth - 1] == r->unless_count) {
            w->state[at] = DONE;
            w->depth--;
            continue;
        }
        to = r->unless[w->next[w->depth - 1]++];
        if (w->state[to] == ON_PATH) circle(c, w, to);
        if (w->state[to] != UNSEEN) continue;
        w->state[to] = ON_PATH;
        w->path[w->depth] = to;
        w->next[w->depth++] = 0;
    }
}

static void find_circles(struct compile *c)
{
    size_t n = c->rules.n + 1;
    struct walk w = { ARENA_ARRAY(c->a, size_t, n), ARENA_ARRAY(c->a, size_t, n), 0, ARENA_ARRAY(c->a, unsigned char, n) };
    for (size_t i = 0; i < c->rules.n; i++)
        if (w.state[i] == UNSEEN) walk_from(c, &w, i);
}

void unless_resolve(struct compile *c, bool clean)
{
    struct map in_force = { 0 };
    size_t *wanted = ARENA_ARRAY(c->a, size_t, c->rules.n + 1);
    if (c->unless.n == 0) return;
    for (size_t i = 0; i < c->rules.n; i++) {
        c->rules.v[i]->index = i;
        (void)map_put(&in_force, c->rules.v[i]->name, c->rules.v[i]);
    }
    for (size_t i = c->unless_base; i < c->unless.n; i++) {
        const struct rule *r = c->unless.v[i].rule;
        if (map_get(&in_force, r->name) == r) wanted[r->index]++;
    }
    for (size_t i = 0; i < c->rules.n; i++) c->rules.v[i]->unless = ARENA_ARRAY(c->a, size_t, wanted[i] + 1);
    resolve_names(c, &in_force, clean);
    find_circles(c);
    map_fini(&in_force);
}
