/* The settings of a rule that have a grammar of their own: resolve, repeat, by, limit. */
#include "base/suggest.h"
#include "base/timefmt.h"
#include "rule/rule_internal.h"

/* --- resolve ------------------------------------------------------------------------------------------- */
static bool resolve_map(struct compile *c, const struct yaml_node *n, struct rule_resolve *out)
{
    struct resolve_draft draft = { 0 };
    size_t errors = c->d->errors;
    fields_decode(&rule_tables[RULE_TABLE_RESOLVE], c->a, n, c->d, &draft, NULL, NULL);
    if (c->d->errors > errors) return false;
    if ((draft.successes > 0) + (draft.quiet_ms > 0) + (draft.match != NULL) != 1) {
        yaml_error(c->d, n, "wants one of {successes: 3}, {quiet: 1h} and {match: {status: EXECUTING}}");
        return false;
    }
    out->kind = draft.match ? RULE_MATCH : draft.quiet_ms ? RULE_QUIET : RULE_SUCCESS;
    if (draft.match && !(out->match = match_parse(c, draft.match))) return false;
    out->successes = draft.successes;
    out->quiet_ms = draft.quiet_ms;
    return true;
}

static bool resolve_words(struct str text, struct rule_resolve *out)
{
    struct str w[RULE_WORDS_MAX];
    size_t n = rule_words(text, w);
    if (n != 2) return false;
    if (str_eq_c(w[1], "quiet")) {
        out->kind = RULE_QUIET;
        return duration_parse(w[0], &out->quiet_ms) && out->quiet_ms > 0;
    }
    out->kind = RULE_SUCCESS;
    return (str_eq_c(w[1], "successes") || str_eq_c(w[1], "success")) && str_to_i64(w[0], &out->successes) &&
           out->successes >= 1 && out->successes <= RULE_SUCCESSES_MAX;
}

static bool resolve_one(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct rule *r = ctx;
    struct rule_resolve *out = &r->resolve[r->resolve_count];
    bool ok = true;
    *out = (struct rule_resolve){ .kind = RULE_SUCCESS };
    if (n->kind == YAML_MAP) ok = resolve_map(c, n, out);
    else if (str_eq_c(n->text, "success")) out->successes = 1;
    else if (str_eq_c(n->text, "clears")) out->kind = RULE_CLEARS;
    else if (str_eq_c(n->text, "manual")) out->kind = RULE_MANUAL;
    else if (!resolve_words(n->text, out)) {
        yaml_error(c->d, n, "wants success, `3 successes`, `24h quiet`, clears, manual or {match: ...}, got `" STR_FMT "`",
                   STR_ARG(n->text));
        ok = false;
    }
    if (ok) r->resolve_count++;
    return ok;
}

bool resolve_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    bool ok = true;
    r->resolve = ARENA_ARRAY(c->a, struct rule_resolve, n->kind == YAML_SEQ ? n->count : 1);
    r->resolve_count = 0;
    if (n->kind == YAML_MAP) ok = resolve_one(c, n, r);
    else ok = compile_each(c, n, "success, `24h quiet` and the like, or a list of them", resolve_one, r);
    for (size_t i = 0; ok && r->resolve_count > 1 && i < r->resolve_count; i++) {
        if (r->resolve[i].kind != RULE_MANUAL) continue;
        yaml_error(c->d, n, "`manual` means by hand only: it stands alone");
        return false;
    }
    return ok;
}

/* --- repeat -------------------------------------------------------------------------------------------- */
enum { REPEAT_LEAST_MS = 1000 };

static bool repeat_add(struct compile *c, const struct yaml_node *n, struct str text, struct rule *r)
{
    int64_t ms;
    if (!duration_parse(text, &ms)) {
        yaml_error(c->d, n, "wants durations like `30m then 2h then 1d`, or never, got `" STR_FMT "`",
                   STR_ARG(n->text));
        return false;
    }
    if (ms < REPEAT_LEAST_MS) {
        yaml_error(c->d, n, "a reminder more often than every second");
        return false;
    }
    r->repeat_ms[r->repeat_count++] = ms;
    return true;
}

static bool repeat_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    if (n->kind == YAML_SCALAR) return repeat_add(c, n, n->text, ctx);
    yaml_error(c->d, n, "wants a duration like 30m");
    return false;
}

/* "30m then 2h then 1d" */
static bool repeat_text(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    const struct str then = STR(" then ");
    struct str rest = n->text;
    r->repeat_ms = ARENA_ARRAY(c->a, int64_t, n->text.n / then.n + 1);
    for (;;) {
        size_t at = str_find_str(rest, then);
        if (!repeat_add(c, n, str_trim(str_sub(rest, 0, at)), r)) return false;
        if (at == rest.n) return true;
        rest = str_sub(rest, at + then.n, rest.n);
    }
}

bool repeat_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    r->repeat_ms = NULL;
    r->repeat_count = 0;
    if (n->kind == YAML_SCALAR) return str_eq_c(n->text, "never") || repeat_text(c, n, r);
    r->repeat_ms = ARENA_ARRAY(c->a, int64_t, n->count + 1);
    return compile_each(c, n, "a duration or a list of durations", repeat_item, r);
}

/* --- by, limit ----------------------------------------------------------------------------------------- */
static bool by_item(struct compile *c, const struct yaml_node *n, void *ctx)
{
    struct rule *r = ctx;
    struct rule_field f;
    if (n->kind != YAML_SCALAR) {
        yaml_error(c->d, n, "wants a field's name");
        return false;
    }
    if (!compile_field(c, n, str_dup(c->a, n->text), false, &f)) return false;
    if (f.id == RULE_ENV || f.id == RULE_PROJECT) return true; /* always part of the key */
    for (size_t i = 0; i < r->by_count; i++) {
        if (!rule_field_same(&r->by[i], &f)) continue;
        yaml_error(c->d, n, "`" STR_FMT "` is named twice in `by`", STR_ARG(f.text));
        return false;
    }
    if (r->by_count == RULE_BY_MAX) {
        yaml_error(c->d, n, "`by` takes at most %d fields", RULE_BY_MAX);
        return false;
    }
    r->by[r->by_count++] = f;
    return true;
}

bool by_parse(struct compile *c, const struct yaml_node *n, struct rule *r)
{
    r->by = ARENA_ARRAY(c->a, struct rule_field, RULE_BY_MAX);
    r->by_count = 0;
    if (n->kind == YAML_SEQ && n->count == 0) return true; /* one incident per environment */
    return compile_each(c, n, "a field or a list of fields", by_item, r);
}

bool limit_parse(struct compile *c, const struct yaml_node *n, struct rule_limit *out)
{
    if (!yaml_want_rate(n, c->d, &out->n, &out->per_ms)) return false;
    if (out->n >= 1 && out->per_ms >= 1) return true;
    yaml_error(c->d, n, "a limit of none would hold every message; leave messages out with `enabled: false`");
    return false;
}
