/* absent_cells: what is waited for as cells of the store, and back. "a/RULE/PROJECT/ENV/KEY" is a key, "b/RULE" when the rule was
 * first loaded, "e/PROJECT/ENV" when the environment was last heard of. */
#include <stdlib.h>

#include "engine/absent.h"

struct str absent_cell_key(struct arena *a, struct str rule, struct str project, struct str env, struct str key)
{
    const struct str parts[] = { STR("a"), rule, project, env, key };
    return name_joined(a, parts, 5);
}

/* --- writing --------------------------------------------------------------------------------------------------- */
static struct str key_blob(struct arena *a, const struct absent_key *k)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
    json_object_begin(w);
    json_field_str(w, "rule", k->group->rule->name);
    json_field_str(w, "shape", str_c(k->group->rule->now->shape));
    json_field_str(w, "project", k->group->part->project);
    json_field_str(w, "env", k->group->part->env);
    json_field_str(w, "key", absent_key_text(k));
    json_field_bool(w, "out", k->state == ABSENT_OUT);
    if (k->hit) json_field_i64(w, "hit", k->since_ms);
    if (k->start_ms) json_field_i64(w, "start", k->start_ms);
    json_field_i64(w, "slot", k->slot_ms);
    if (k->due_ms != ENGINE_NEVER) json_field_i64(w, "due", k->due_ms);
    if (k->named) json_field_bool(w, "named", true);
    json_object_end(w);
    return json_draft_end(&d, a);
}

static void collect_rules(struct engine *e, struct engine_changes *out)
{
    for (size_t k = 0; k < e->absences.dirty_rules.n; k++) {
        struct engine_rule *r = e->absences.dirty_rules.v[k];
        const struct str parts[] = { STR("b"), r->name };
        struct str blob = STR_NONE;
        r->absent->dirty = false;
        if (r->absent->loaded_ms) blob = str_printf(out->arena, "{\"shape\":\"%s\",\"loaded\":%lld}", r->now->shape, (long long)r->absent->loaded_ms);
        put_cell(out, name_joined(out->arena, parts, 2), blob);
    }
    vec_clear(&e->absences.dirty_rules);
}

static void collect_heard(struct engine *e, struct engine_changes *out)
{
    for (size_t k = 0; k < e->absences.dirty_heard.n; k++) {
        struct part *p = e->absences.dirty_heard.v[k];
        const struct str parts[] = { STR("e"), p->project, p->env };
        struct json_draft d;
        struct json_writer *w = json_draft_begin(&d, CONTENT_CEILING);
        p->heard_dirty = false;
        json_object_begin(w);
        json_field_str(w, "project", p->project);
        json_field_str(w, "env", p->env);
        json_field_i64(w, "heard", p->heard_ms);
        json_object_end(w);
        put_cell(out, name_joined(out->arena, parts, 3), p->heard_ms ? json_draft_end(&d, out->arena) : STR_NONE);
        if (!p->heard_ms) strbuf_fini(&d.text);
    }
    vec_clear(&e->absences.dirty_heard);
}

void absent_collect(struct engine *e, struct engine_changes *out)
{
    for (size_t k = 0; k < e->absences.dirty_keys.n; k++) {
        struct absent_key *key = e->absences.dirty_keys.v[k];
        if (!key) continue;
        key->dirty = false;
        put_cell(out, absent_cell_key(out->arena, key->group->rule->name, key->group->part->project, key->group->part->env, absent_key_text(key)),
            key_blob(out->arena, key));
    }
    vec_clear(&e->absences.dirty_keys);
    collect_rules(e, out);
    collect_heard(e, out);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */
static int64_t i64_or(struct json v, int64_t fallback)
{
    int64_t out;
    return json_i64(v, &out) ? out : fallback;
}

static bool same_shape(const struct engine_rule *r, struct json o)
{
    return !r->gone && r->now->condition.kind == RULE_ABSENT && str_eq_c(json_str(json_get_c(o, "shape")), r->now->shape);
}

static void restore_key(struct engine *e, struct json o)
{
    struct engine_rule *r = engine_rule_get(e, json_str(json_get_c(o, "rule")));
    struct part *p = part_get(e, json_str(json_get_c(o, "project")), json_str(json_get_c(o, "env")));
    struct str key = json_str(json_get_c(o, "key"));
    struct absent_key *k = absent_key_new(e, absent_group_get(e, r, p), key);
    k->state = json_bool(json_get_c(o, "out"), false) ? ABSENT_OUT : ABSENT_ARMED;
    k->hit = json_i64(json_get_c(o, "hit"), &k->since_ms);
    k->start_ms = i64_or(json_get_c(o, "start"), 0);
    k->slot_ms = i64_or(json_get_c(o, "slot"), 0);
    k->named = json_bool(json_get_c(o, "named"), false);
    k->dirty = true; /* it is as it is written */
    absent_key_wait(e, k, i64_or(json_get_c(o, "due"), ENGINE_NEVER));
    k->dirty = false;
    if (!same_shape(r, o)) absent_key_drop(e, k);
}

static void restore_rule(struct engine *e, struct str name, struct json o)
{
    struct engine_rule *r = engine_rule_get(e, name);
    absent_rule_get(r)->loaded_ms = same_shape(r, o) ? i64_or(json_get_c(o, "loaded"), 0) : 0;
    if (r->absent->loaded_ms == 0) absent_rule_touch(e, r);
}

static void restore_heard(struct engine *e, struct json o)
{
    struct part *p = part_get(e, json_str(json_get_c(o, "project")), json_str(json_get_c(o, "env")));
    p->heard_ms = i64_or(json_get_c(o, "heard"), 0);
    if (p->heard_ms) *vec_push(&e->absences.heard) = p;
}

bool absent_restore(struct engine *e, struct str key, struct json o)
{
    if (str_starts(key, STR("a/"))) restore_key(e, o);
    else if (str_starts(key, STR("b/"))) restore_rule(e, str_sub(key, 2, key.n), o);
    else if (str_starts(key, STR("e/"))) restore_heard(e, o);
    else return false;
    return true;
}

/* --- for people ---------------------------------------------------------------------------------------------------- */
void engine_describe_absent(struct json cell, struct json_writer *w)
{
    bool out = json_bool(json_get_c(cell, "out"), false);
    int64_t ms;
    json_object_begin(w);
    json_field_str(w, "key", json_str(json_get_c(cell, "key")));
    json_field_str(w, "state", out ? STR("absent, it waits for a hit") : STR("armed"));
    if (json_i64(json_get_c(cell, "hit"), &ms)) json_field_time(w, "last_hit", ms);
    else if (json_i64(json_get_c(cell, "start"), &ms)) json_field_time(w, "watched_since", ms);
    if (json_i64(json_get_c(cell, "slot"), &ms)) json_field_time(w, out ? "was_expected" : "expected", ms);
    if (json_i64(json_get_c(cell, "due"), &ms)) json_field_time(w, out ? "given_up" : "rings", ms);
    json_object_end(w);
}
