/* Incident keys: the values of `by`, one key per combination of list elements. */
#include "base/utf8.h"
#include "rule/rule_internal.h"

enum { VALUES_MAX = 64, VALUE_BYTES = 256, VALUE_KEPT = 200 };

struct part { struct str v[VALUES_MAX]; size_t n; };

/* A value in a key is bounded: a long one keeps its start and a hash of the whole. */
static struct str bounded(struct arena *a, struct str value)
{
    size_t keep = VALUE_KEPT;
    if (value.n <= VALUE_BYTES) return value;
    while (keep > 0 && ((unsigned char)value.p[keep] & 0xC0) == 0x80) keep--;
    return str_printf(a, STR_FMT "~%016llx", STR_ARG(str_sub(value, 0, keep)),
                      (unsigned long long)str_hash_stable(value));
}

static bool holds(const struct str *v, size_t n, struct str value)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], value)) return true;
    return false;
}

static bool named(const struct rule_filter *f, struct str value)
{
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = 0; j < f->tests[i]->value_count; j++)
            if (match_value_is(&f->tests[i]->values[j], value)) return true;
    return false;
}

/* Only the elements that `when` names; all when it names none of them (it hit by another branch). */
static void filtered(struct part *p, const struct rule_filter *f)
{
    size_t n = 0;
    if (f->n == 0 || p->n < 2) return;
    for (size_t i = 0; i < p->n; i++) {
        struct str value = p->v[i];
        if (!named(f, value)) continue;
        p->v[i] = p->v[n];
        p->v[n++] = value;
    }
    if (n > 0) p->n = n;
}

static void part_fill(const struct rule *r, size_t i, struct rule_subject *s, struct part *p)
{
    size_t n = rule_subject_key_values(&r->by[i], s, p->v, VALUES_MAX);
    p->n = 0;
    for (size_t k = 0; k < n; k++)
        if (!holds(p->v, p->n, p->v[k])) p->v[p->n++] = p->v[k];
    filtered(p, &r->extra->filters[i]);
    for (size_t k = 0; k < p->n; k++) p->v[k] = bounded(s->arena, p->v[k]);
    if (p->n == 0) p->v[p->n++] = STR("(none)");
}

static size_t put_escaped(char *to, struct str value)
{
    size_t n = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '/' || value.p[i] == '\\') to[n++] = '\\';
        to[n++] = value.p[i];
    }
    return n;
}

/* values[i] of the fields of r; identity: only its identity fields. */
static struct str joined(const struct rule *r, struct arena *a, const struct str *values, bool identity)
{
    size_t room = 1, n = 0;
    bool first = true;
    char *p;
    for (size_t i = 0; i < r->by_count; i++) room += 2 * values[i].n + 1;
    p = arena_alloc(a, room);
    for (size_t i = 0; i < r->by_count; i++) {
        if (identity && rule_field_is_outcome(r->by[i].id)) continue;
        if (!first) p[n++] = '/';
        first = false;
        n += put_escaped(p + n, values[i]);
    }
    return (struct str){ p, n };
}

/* Keys are read where they are not made: of an incident only its key is kept. */
struct str rule_identity_of(const struct rule *r, struct arena *a, struct str key)
{
    size_t at = 0, n = 0;
    bool first = true;
    char *p;
    if (r->by_identity) return key;
    p = arena_alloc(a, key.n + RULE_BY_MAX);
    for (size_t i = 0; i < r->by_count; i++) {
        size_t from = at < key.n ? at : key.n;
        at = from;
        while (at < key.n && key.p[at] != '/') at += key.p[at] == '\\' ? 2 : 1;
        if (at > key.n) at = key.n;
        if (!rule_field_is_outcome(r->by[i].id)) {
            if (!first) p[n++] = '/';
            first = false;
            memcpy(p + n, key.p + from, at - from);
            n += at - from;
        }
        at++; /* the border */
    }
    return (struct str){ p, n };
}

/* The part of a key that begins at from, without its escapes. */
static struct str part_at(struct arena *a, struct str key, size_t from)
{
    char *p = arena_alloc(a, key.n - from + 1);
    size_t n = 0;
    for (size_t at = from; at < key.n && key.p[at] != '/'; at++) {
        if (key.p[at] == '\\' && at + 1 < key.n) at++;
        p[n++] = key.p[at];
    }
    return (struct str){ p, n };
}

struct str rule_key_value(const struct rule *r, struct arena *a, struct str key, const struct rule_field *f)
{
    size_t at = 0;
    for (size_t i = 0; i < r->by_count && at <= key.n; i++) {
        if (rule_field_same(&r->by[i], f)) return part_at(a, key, at);
        while (at < key.n && key.p[at] != '/') at += key.p[at] == '\\' ? 2 : 1;
        at++; /* the border */
    }
    return STR_NONE;
}

bool rule_by_has(const struct rule *r, const struct rule_field *f)
{
    for (size_t i = 0; i < r->by_count; i++)
        if (rule_field_same(&r->by[i], f)) return true;
    return false;
}

static struct str label_of(const struct rule *r, struct arena *a, const struct str *values)
{
    size_t room = 1, n = 0;
    char *p;
    for (size_t i = 0; i < r->by_count; i++) room += r->by[i].text.n + values[i].n + 3;
    p = arena_alloc(a, room);
    for (size_t i = 0; i < r->by_count; i++) {
        const struct str parts[] = { i ? STR(", ") : STR(""), r->by[i].text, STR("="), values[i] };
        for (size_t k = 0; k < 4; k++) {
            if (parts[k].n) memcpy(p + n, parts[k].p, parts[k].n);
            n += parts[k].n;
        }
    }
    return (struct str){ p, n };
}

static void key_fill(const struct rule *r, struct arena *a, const struct str *values, struct rule_key *out)
{
    out->key = joined(r, a, values, false);
    out->identity = r->by_identity ? out->key : joined(r, a, values, true);
    out->label = label_of(r, a, values);
}

/* Counts at[] up like a number of mixed base, the last digit first; false behind the last combination. */
static bool next_combination(const struct part *parts, size_t *at, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        if (++at[i] < parts[i].n) return true;
        at[i] = 0;
    }
    return false;
}

size_t rule_keys(const struct rule *r, struct rule_subject *s, struct rule_key *out, size_t max)
{
    struct part parts[RULE_BY_MAX];
    struct str values[RULE_BY_MAX];
    size_t at[RULE_BY_MAX] = { 0 }, n = 0;
    for (size_t i = 0; i < r->by_count; i++) part_fill(r, i, s, &parts[i]);
    while (n < max) {
        for (size_t i = 0; i < r->by_count; i++) values[i] = parts[i].v[at[i]];
        key_fill(r, s->arena, values, &out[n++]);
        if (!next_combination(parts, at, r->by_count)) break;
    }
    return n;
}
