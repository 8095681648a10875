/* Reading body trees: YAML that has the shape of the JSON to send, with directives ($if, $each, ...) where
 * something has to be decided. docs/providers.md is the reference. */
#include "notify/notify_internal.h"

typedef bool (*directive_fn)(struct reader *r, const struct yaml_node *n, struct body *out);

struct str *names_split(struct arena *a, struct str dotted, size_t *n)
{
    struct str rest = dotted, part, *out;
    size_t count = 1, at = 0;
    for (size_t i = 0; i < dotted.n; i++) count += dotted.p[i] == '.';
    out = ARENA_ARRAY(a, struct str, count);
    while (str_split(&rest, '.', &part)) out[at++] = part;
    *n = at;
    return out;
}

static bool name_read(struct reader *r, const struct yaml_node *n, struct str text, struct body_path *out)
{
    out->negated = str_starts(text, STR("!"));
    if (out->negated) text = str_sub(text, 1, text.n - 1);
    out->parts = names_split(r->a, text, &out->n);
    if (out->n == 0) return yaml_error(r->d, n, "wants a name"), false;
    return true;
}

static bool path_read(struct reader *r, const struct yaml_node *n, struct body_path *out)
{
    struct str text;
    return yaml_want_text(n, r->d, &text) && name_read(r, n, text, out);
}

/* `{name: value}`: the value must be that, one of those, or fit {re: PATTERN}. Any one member will do. */
static bool tests_read(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->paths = ARENA_ARRAY(r->a, struct body_path, n->count);
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct body_path *p = &out->paths[out->path_count++];
        p->tested = true;
        if (!name_read(r, c, c->key, p) || !wanted_read(r, c, &p->wanted)) return false;
    }
    return true;
}

static bool paths_read(struct reader *r, const struct yaml_node *n, struct body *out)
{
    bool ok = true;
    out->path_count = n->kind == YAML_SEQ ? n->count : 1;
    if (out->path_count == 0) return yaml_error(r->d, n, "wants a name"), false;
    out->paths = ARENA_ARRAY(r->a, struct body_path, out->path_count);
    if (n->kind != YAML_SEQ) return path_read(r, n, out->paths);
    size_t at = 0;
    for (const struct yaml_node *i = n->first; i; i = i->next) ok &= path_read(r, i, &out->paths[at++]);
    return ok;
}

static bool child_read(struct reader *r, const struct yaml_node *n, const char *key, bool required,
                       struct body **out)
{
    const struct yaml_node *c = yaml_get(n, key);
    if (!c && required) return yaml_error(r->d, n, "`%s` is missing", key), false;
    if (!c) return true;
    *out = body_read(r, c);
    return *out != NULL;
}

static bool read_text(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->kind = BODY_TEXT;
    return text_leaf_read(r, n, &out->text);
}

static bool read_typed(struct reader *r, const struct yaml_node *n, const char *key, struct body *out)
{
    return text_source_read(r, yaml_get(n, key), NULL, &out->text);
}

static bool read_int(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->kind = BODY_INT;
    return read_typed(r, n, "$int", out);
}

static bool read_bool(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->kind = BODY_BOOL;
    return read_typed(r, n, "$bool", out);
}

static bool read_raw(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->kind = BODY_RAW;
    return paths_read(r, yaml_get(n, "$raw"), out);
}

static bool read_if(struct reader *r, const struct yaml_node *n, struct body *out)
{
    const struct yaml_node *condition = yaml_get(n, "$if");
    out->kind = BODY_IF;
    return (condition->kind == YAML_MAP ? tests_read : paths_read)(r, condition, out) &&
           child_read(r, n, "then", true, &out->first) && child_read(r, n, "else", false, &out->other);
}

static bool most_read(struct reader *r, const struct yaml_node *n, struct body *out)
{
    const struct yaml_node *most = yaml_get(n, "most");
    int64_t v = 50;
    if (most && !yaml_want_i64(most, r->d, 1, 1000, &v)) return false;
    out->most = (size_t)v;
    return true;
}

static bool read_each(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->kind = BODY_EACH;
    return paths_read(r, yaml_get(n, "$each"), out) && most_read(r, n, out) &&
           child_read(r, n, "do", true, &out->first);
}

static bool read_pick(struct reader *r, const struct yaml_node *n, struct body *out)
{
    const struct yaml_node *of = yaml_get(n, "of");
    struct body **tail = &out->first;
    out->kind = BODY_PICK;
    if (!of || of->kind != YAML_MAP)
        return yaml_error(r->d, n, "`of` wants a map of value to what is sent"), false;
    for (const struct yaml_node *c = of->first; c; c = c->next) {
        if (!(*tail = body_read(r, c))) return false;
        (*tail)->key = c->key;
        tail = &(*tail)->next;
    }
    return paths_read(r, yaml_get(n, "$pick"), out) && child_read(r, n, "else", false, &out->other);
}

static bool read_use(struct reader *r, const struct yaml_node *n, struct body *out)
{
    const struct yaml_node *part = reader_part(r, yaml_get(n, "$use"));
    struct body *used = NULL;
    if (!part) return false;
    if (r->uses++ < USES_MAX) used = body_read(r, part);
    else yaml_error(r->d, n, "parts that use each other in a circle");
    r->uses--;
    if (used) *out = *used;
    out->splice = true;
    return used != NULL;
}

const struct yaml_node *reader_part(struct reader *r, const struct yaml_node *use)
{
    struct str name;
    const struct yaml_node *part = NULL;
    if (!yaml_want_text(use, r->d, &name)) return NULL;
    if (r->provider->parts) part = yaml_get(r->provider->parts, str_dup_c(r->a, name));
    if (!part && r->shares && r->shares->parts) part = yaml_get(r->shares->parts, str_dup_c(r->a, name));
    if (!part) yaml_error(r->d, use, "no part is named `" STR_FMT "`", STR_ARG(name));
    return part;
}

static const struct directive {
    const char *name;
    directive_fn read;
    const char *const *keys;
} directives[] = {
    { "$text", read_text, NULL }, /* checks its own keys */
    { "$int", read_int, (const char *const[]){ NULL } },
    { "$bool", read_bool, (const char *const[]){ NULL } },
    { "$raw", read_raw, (const char *const[]){ NULL } },
    { "$if", read_if, (const char *const[]){ "then", "else", NULL } },
    { "$each", read_each, (const char *const[]){ "most", "do", NULL } },
    { "$pick", read_pick, (const char *const[]){ "of", "else", NULL } },
    { "$use", read_use, (const char *const[]){ NULL } },
};

static const struct directive *directive_of(const struct yaml_node *n)
{
    for (size_t i = 0; n->kind == YAML_MAP && i < sizeof directives / sizeof directives[0]; i++)
        if (yaml_get(n, directives[i].name)) return &directives[i];
    return NULL;
}

static bool is_common(struct str key)
{
    return str_eq_c(key, "$drop") || str_eq_c(key, "$dropped") || str_eq_c(key, "$need");
}

static bool directive_keys_ok(struct reader *r, const struct directive *d, const struct yaml_node *n)
{
    bool ok = true;
    if (!d->keys) return true;
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        bool known = is_common(c->key) || str_eq_c(c->key, d->name);
        for (size_t i = 0; d->keys[i] && !known; i++) known = str_eq_c(c->key, d->keys[i]);
        if (!known)
            yaml_error_key(r->d, c, "unknown key `" STR_FMT "` beside `%s`", STR_ARG(c->key), d->name);
        ok &= known;
    }
    return ok;
}

/* `$copy: [a, b]`: members named as in the message, each with the message's own value. */
static bool copy_read(struct reader *r, const struct yaml_node *n, struct body ***tail)
{
    if (n->kind != YAML_SEQ) return yaml_error(r->d, n, "`$copy` wants a list of names"), false;
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        struct body *b = ARENA_NEW(r->a, struct body);
        b->kind = BODY_RAW;
        if (!paths_read(r, c, b)) return false;
        b->key = b->paths[0].parts[b->paths[0].n - 1];
        **tail = b;
        *tail = &b->next;
    }
    return true;
}

/* `$members: {of: LIST, key: TEMPLATE, value: TREE, most: N}`: one member for each element. */
static struct body *members_read(struct reader *r, const struct yaml_node *n)
{
    struct body *b = ARENA_NEW(r->a, struct body);
    const struct yaml_node *of, *key;
    b->kind = BODY_MEMBERS;
    if (n->kind != YAML_MAP || !(of = yaml_get(n, "of")) || !(key = yaml_get(n, "key")))
        return yaml_error(r->d, n, "`$members` wants of, key and value"), NULL;
    if (!paths_read(r, of, b) || !text_source_read(r, key, NULL, &b->text) || !most_read(r, n, b))
        return NULL;
    b->text.line = true;
    return child_read(r, n, "value", true, &b->first) ? b : NULL;
}

static bool member_read(struct reader *r, const struct yaml_node *c, struct body ***tail)
{
    struct body *b;
    if (is_common(c->key)) return true;
    if (str_eq_c(c->key, "$copy")) return copy_read(r, c, tail);
    b = str_eq_c(c->key, "$members") ? members_read(r, c) : NULL;
    if (!b && str_starts(c->key, STR("$")))
        return yaml_error_key(r->d, c, "unknown directive `" STR_FMT "`", STR_ARG(c->key)), false;
    if (!b && !(b = body_read(r, c))) return false;
    b->key = c->key;
    **tail = b;
    *tail = &b->next;
    return true;
}

static bool container_read(struct reader *r, const struct yaml_node *n, struct body *out)
{
    struct body **tail = &out->first;
    bool ok = true;
    out->kind = n->kind == YAML_SEQ ? BODY_LIST : BODY_OBJECT;
    for (const struct yaml_node *c = n->first; c; c = c->next) {
        if (n->kind == YAML_MAP) {
            ok &= member_read(r, c, &tail);
        } else if ((*tail = body_read(r, c))) {
            tail = &(*tail)->next;
        } else {
            ok = false;
        }
    }
    return ok;
}

static bool is_number(struct str s)
{
    double v;
    return s.n && (s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9')) && str_to_f64(s, &v);
}

static bool scalar_read(struct reader *r, const struct yaml_node *n, struct body *out)
{
    out->kind = BODY_LITERAL;
    out->literal = n->text;
    if (yaml_is_null(n)) out->literal = STR("null");
    else if (!n->plain || !(str_eq_c(n->text, "true") || str_eq_c(n->text, "false") || is_number(n->text)))
        return read_text(r, n, out);
    return true;
}

static bool common_read(struct reader *r, const struct yaml_node *n, struct body *out)
{
    const struct yaml_node *need = yaml_get(n, "$need"), *drop = yaml_get(n, "$drop");
    int64_t level = 0;
    if (need) {
        size_t at = 0;
        out->need_count = need->kind == YAML_SEQ ? need->count : 1;
        out->needs = ARENA_ARRAY(r->a, struct str, out->need_count);
        if (need->kind == YAML_SCALAR) out->needs[0] = need->text;
        for (const struct yaml_node *c = need->first; c; c = c->next) out->needs[at++] = c->text;
    }
    if (drop && !yaml_want_i64(drop, r->d, 1, 9, &level)) return false;
    if (drop) out->drop = (unsigned)level;
    if (out->drop > r->drop_levels) r->drop_levels = out->drop;
    return child_read(r, n, "$dropped", false, &out->dropped);
}

struct body *body_read(struct reader *r, const struct yaml_node *n)
{
    struct body *out = ARENA_NEW(r->a, struct body);
    const struct directive *d = directive_of(n);
    if (n->kind == YAML_SCALAR) return scalar_read(r, n, out) ? out : NULL;
    if (d ? !directive_keys_ok(r, d, n) || !d->read(r, n, out) : !container_read(r, n, out)) return NULL;
    return n->kind != YAML_MAP || common_read(r, n, out) ? out : NULL;
}
