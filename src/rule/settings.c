/* The settings of a rule that have a grammar of their own: count, resolve, repeat, by, limit. */
#include "base/suggest.h"
#include "base/timefmt.h"
#include "rule/rule_internal.h"

enum { WORDS_MAX = 8 };

/* Splits at blanks; more than WORDS_MAX words give WORDS_MAX + 1. */
static size_t words_of(struct str text, struct str words[WORDS_MAX])
{
    struct str word;
    size_t n = 0;
    while (str_split(&text, ' ', &word)) {
        if (word.n == 0) continue;
        if (n == WORDS_MAX) return n + 1;
        words[n++] = word;
    }
    return n;
}

/* --- count --------------------------------------------------------------------------------------------- */
static bool count_of(struct compile *c, const struct yaml_node *at, struct str what, bool *runs)
{
    struct rule_field f;
    *runs = str_eq_c(what, "runs");
    if (*runs || str_eq_c(what, "hits")) return true;
    if (!compile_field(c, at, what, false, &f)) return false;
    yaml_error(c->d, at,
               "`count` of a field's distinct values is not available in this version of runbell yet");
    return false;
}

static bool count_shape_wrong(struct compile *c, const struct yaml_node *n)
{
    yaml_error(c->d, n, "wants a count like `3 in 10m` or `10 runs in 5m`, got `" STR_FMT "`",
               STR_ARG(n->text));
    return false;
}

static bool count_text(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct str w[WORDS_MAX];
    size_t count = words_of(n->text, w);
    size_t in = count == 5 ? 3 : count == 4 ? 2 : 1;
    if (count < 3 || count > 5 || !str_eq_c(w[in], "in")) return count_shape_wrong(c, n);
    if (!str_to_i64(w[0], &out->n) || !duration_parse(w[in + 1], &out->window_ms))
        return count_shape_wrong(c, n);
    if (out->n < 1 || out->n > RULE_COUNT_MAX || out->window_ms < 1) {
        yaml_error(c->d, n, "a count is 1 to %d in a time above 0", RULE_COUNT_MAX);
        return false;
    }
    if (count == 4) {
        if (!str_eq_c(w[1], "runs")) return count_shape_wrong(c, n);
        out->of_runs = true;
    }
    if (count < 5) return true;
    return str_eq_c(w[1], "of") ? count_of(c, n, w[2], &out->of_runs) : count_shape_wrong(c, n);
}

static bool count_map(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    struct count_draft draft = { 0 };
    struct str of;
    if (!fields_decode(&rule_tables[RULE_TABLE_COUNT], c->a, n, c->d, &draft, NULL, NULL)) return false;
    out->n = draft.n;
    out->window_ms = draft.in_ms;
    if (!draft.of) return true;
    return yaml_want_text(draft.of, c->d, &of) && count_of(c, draft.of, of, &out->of_runs);
}

bool condition_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out)
{
    *out = (struct rule_condition){ .kind = RULE_COUNT };
    if (n->kind == YAML_MAP) return count_map(c, n, out);
    if (n->kind == YAML_SCALAR) return count_text(c, n, out);
    yaml_error(c->d, n, "wants a count like `3 in 10m` or {n: 3, in: 10m}");
    return false;
}

/* --- resolve ------------------------------------------------------------------------------------------- */
static bool resolve_extra(void *ctx, const struct yaml_node *member)
{
    if (!str_eq_c(member->key, "match")) return false;
    compile_unavailable(ctx, member);
    return true;
}

static bool resolve_map(struct compile *c, const struct yaml_node *n, struct rule_resolve *out)
{
    struct resolve_draft draft = { 0 };
    size_t errors = c->d->errors;
    fields_decode(&rule_tables[RULE_TABLE_RESOLVE], c->a, n, c->d, &draft, resolve_extra, c);
    if (c->d->errors > errors) return false;
    if ((draft.successes > 0) == (draft.quiet_ms > 0)) {
        yaml_error(c->d, n, "wants one of {successes: 3} or {quiet: 1h}");
        return false;
    }
    out->kind = draft.quiet_ms ? RULE_QUIET : RULE_SUCCESS;
    out->successes = draft.successes;
    out->quiet_ms = draft.quiet_ms;
    return true;
}

static bool resolve_words(struct str text, struct rule_resolve *out)
{
    struct str w[WORDS_MAX];
    size_t n = words_of(text, w);
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
        yaml_error(c->d, n, "wants success, `3 successes`, `24h quiet`, clears or manual, got `" STR_FMT "`",
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
