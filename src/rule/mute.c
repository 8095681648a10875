/* The section `mutes`: hours in which messages about some runs are held. */
#include "rule/rule_internal.h"

enum { WHEN_BYTES = 64 << 20 };
static uint64_t hash_of(const struct rule_mute *m)
{
    struct strbuf text;
    uint64_t hash;
    strbuf_init(&text, WHEN_BYTES);
    strbuf_printf(&text, STR_FMT ": ", STR_ARG(m->name));
    match_canonical(m->when, &text);
    hash = str_hash_stable(strbuf_view(&text));
    strbuf_fini(&text);
    return hash;
}

static bool mute_parse(struct compile *c, const struct yaml_node *n, struct rule_mute *out)
{
    struct mute_draft draft = { .why = STR_NONE };
    size_t errors = c->d->errors;
    if (!fields_decode(&rule_tables[RULE_TABLE_MUTE], c->a, n, c->d, &draft, NULL, NULL) && n->kind != YAML_MAP) return false;
    *out = (struct rule_mute){ .name = str_dup(c->a, n->key), .why = str_absent(draft.why) ? STR_NONE : str_dup(c->a, draft.why) };
    if (draft.when) out->when = match_parse(c, draft.when);
    if (out->when && draft.when->count == 0)
        yaml_error(c->d, draft.when, "this mutes every run: name a field, as in {task: sync}")->hint = STR("to mute all on purpose, write {env: \"*\"}");
    if (draft.during) schedule_find(c, draft.during, &out->during);
    if (!str_absent(draft.why) && str_trim(draft.why).n == 0) yaml_error(c->d, yaml_get(n, "why"), "says nothing: whoever misses a message will want to know why");
    if (out->when) mute_never_check(c, draft.when, out->when);
    if (out->when) out->hash = hash_of(out);
    return c->d->errors == errors && out->when && out->during;
}

void mutes_parse(struct compile *c, const struct yaml_node *section)
{
    if (!compile_named(c, section, "mutes")) return;
    for (const struct yaml_node *n = section->first; n; n = n->next) {
        struct rule_mute mute;
        bool first = compile_name(c, &c->mute_names, n, "mute");
        if (mute_parse(c, n, &mute) && first) *vec_push(&c->mutes) = mute;
    }
}

void mutes_take(struct compile *c)
{
    c->rs->mutes = ARENA_ARRAY(c->a, struct rule_mute, c->mutes.n + 1);
    c->rs->mute_count = c->mutes.n;
    for (size_t i = 0; i < c->mutes.n; i++) c->rs->mutes[i] = c->mutes.v[i];
}

uint32_t mutes_read(const struct compile *c, const struct match *when)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < c->mutes.n; i++) {
        const struct match *both[] = { when, c->mutes.v[i].when };
        if (matches_can_meet(both, 2, NULL)) bits |= match_reads(both[1]);
    }
    return bits;
}
