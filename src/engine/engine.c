#include "engine/engine.h"

#include <stdlib.h>

#include "engine/engine_internal.h"

const struct engine_limits engine_default_limits = { 4096, 1000000, 1000, 500000 };

const char *incident_state_name(enum incident_state s)
{
    static const char *const names[] = { "pending", "open", "acknowledged", "resolved" };
    return names[s];
}

static struct engine_limits limits_of(const struct engine_limits *l)
{
    const struct engine_limits *d = &engine_default_limits;
    return (struct engine_limits){
        .window_entries = l->window_entries ? l->window_entries : d->window_entries,
        .keys_per_rule = l->keys_per_rule ? l->keys_per_rule : d->keys_per_rule,
        .runs_per_incident = l->runs_per_incident ? l->runs_per_incident : d->runs_per_incident,
        .watched_runs = l->watched_runs ? l->watched_runs : d->watched_runs,
    };
}

struct engine *engine_new(const struct engine_setup *setup)
{
    struct engine *e = xcalloc(1, sizeof *e);
    e->limits = limits_of(&setup->limits);
    e->detail = setup->detail;
    e->cell = setup->cell;
    e->detail_ctx = setup->detail_ctx;
    e->public_url = str_dup(&e->names, setup->public_url);
    e->gates = (struct timer){ ENGINE_NEVER, 0, TIMER_GATES };
    e->rereads = setup->rereads;
    e->lasts = lasts_new();
    engine_bind_rules(e, setup->rules);
    return e;
}

static void free_windows(struct engine *e)
{
    struct timer *t;
    while ((t = timer_first(e))) { /* digests and windows with a timer; the others are listed elsewhere */
        if (t->kind == TIMER_WINDOW)
            window_drop(e, (struct window *)(void *)t);
        else
            timer_drop(e, t);
    }
    for (size_t k = 0; k < e->gone_cells.n; k++) free((char *)(uintptr_t)e->gone_cells.v[k].p);
}

static void free_maps(struct engine *e)
{
    struct map_entry *m;
    size_t at = 0;
    while ((m = map_next(&e->limit_windows, &at))) {
        struct limit_window *l = m->value;
        vec_free(&l->times);
        free(l);
    }
    at = 0;
    while ((m = map_next(&e->faults, &at))) free(m->value);
    map_fini(&e->limit_windows);
    map_fini(&e->faults);
    map_fini(&e->parts);
    map_fini(&e->places);
    map_fini(&e->hours);
    at = 0;
    while ((m = map_next(&e->engine_rules, &at))) {
        struct engine_rule *r = m->value;
        vec_free(&r->gates);
    }
    map_fini(&e->engine_rules);
}

void engine_free(struct engine **engine)
{
    struct engine *e = *engine;
    if (!e) return;
    *engine = NULL;
    for (size_t k = 0; k < e->dirty.n; k++)
        if (e->dirty.v[k]->ended) incident_free(e, e->dirty.v[k]);
    lasts_free(e); /* with their timers */
    free_windows(e);
    for (size_t k = 0; k < e->by_id.n; k++)
        if (e->by_id.v[k]) incident_free(e, e->by_id.v[k]);
    for (size_t k = 0; k < e->digests.n; k++) digest_free(e, e->digests.v[k]);
    absent_fini(e);
    free_maps(e);
    free(e->incident_keys.slots);
    free(e->incident_identities.slots);
    free(e->windows.slots);
    free(e->by_index);
    vec_free(&e->by_id);
    vec_free(&e->id_slots);
    vec_free(&e->digests);
    vec_free(&e->over);
    vec_free(&e->heap);
    vec_free(&e->dirty);
    vec_free(&e->dirty_windows);
    vec_free(&e->dirty_limits);
    vec_free(&e->dirty_faults);
    vec_free(&e->gone_cells);
    vec_free(&e->detailed);
    for (size_t k = 0; k < e->silences.n; k++) silence_free(e->silences.v[k]);
    vec_free(&e->silences);
    vec_free(&e->confirming);
    vec_free(&e->released);
    vec_free(&e->fresh);
    vec_free(&e->gathers);
    vec_free(&e->muting);
    rule_scratch_fini(&e->scratch);
    rule_scratch_fini(&e->success_scratch);
    arena_fini(&e->names);
    free(e);
}

void engine_output_init(struct engine_output *o, struct arena *a)
{
    *o = (struct engine_output){ .arena = a };
}

void engine_output_fini(struct engine_output *o)
{
    vec_free(&o->messages);
    vec_free(&o->notes);
    vec_free(&o->rereads);
}

int engine_step(struct engine *e, const struct engine_input *in, struct engine_output *out, struct err *err)
{
    struct step_context c = { .e = e, .out = out, .err = err };
    if (in->now_ms > e->now_ms) e->now_ms = in->now_ms;
    c.now_ms = e->now_ms;
    if (lasts_lost(e, err)) return -1;
    if (e->gates_seen_ms == 0) hold_bind(e); /* the first step of all */
    if (e->gates_seen_ms == 0 || e->gates.due_ms <= c.now_ms) gates_due(&c); /* what holds is as of now, whatever comes */
    if (!e->absences.loaded && in->kind != ENGINE_SOURCES) absent_loaded(&c);
    switch (in->kind) {
    case ENGINE_EVENT:
        if (in->u.event.transition->kind == TRANSITION_DUPLICATE || in->u.event.recorded_only) lasts_event(&c, in); /* it may still tell how things stand */
        else engine_event(&c, in);
        if (in->u.event.reread && !c.failed) confirm_run_answered(&c, in);
        break;
    case ENGINE_TICK: engine_tick(&c); break;
    case ENGINE_COMMAND: engine_command_step(&c, in); break;
    case ENGINE_VERDICT: engine_verdict_step(&c, in); break;
    case ENGINE_SOURCES: absent_sources(&c, in->u.sources.v, in->u.sources.n); break;
    case ENGINE_UNREAD:
        confirm_unread(&c, in);
        confirm_run_unread(&c, in);
        break;
    case ENGINE_FAULT: engine_fault(&c, in->u.fault.topic, in->u.fault.title, in->u.fault.body); break;
    }
    hold_fresh(&c);
    hold_speak(&c);
    return c.failed ? -1 : 0;
}

struct engine_stats engine_stats(const struct engine *e)
{
    struct engine_stats s = e->stats;
    s.timers = e->heap.n;
    s.detail_bytes = e->detail_bytes;
    for (size_t k = 0; k < e->silences.n; k++) s.silences += e->silences.v[k]->ended_ms == 0;
    s.absent_unknown = absent_unknown(e);
    s.watched_runs = lasts_runs(e);
    return s;
}

static void field_due(struct json_writer *w, const char *name, int64_t due_ms)
{
    if (due_ms != ENGINE_NEVER) json_field_time(w, name, due_ms);
}

static void describe_told(const struct incident *i, struct json_writer *w)
{
    json_put_key(w, STR("told"));
    json_array_begin(w);
    for (size_t k = 0; k < i->told_count; k++) {
        json_object_begin(w);
        json_field_str(w, "destination", incident_told(i)[k].place->name);
        json_field_bool(w, "told", incident_told(i)[k].flags & TOLD_SPOKE);
        json_field_bool(w, "in_digest", incident_told(i)[k].flags & TOLD_DIGEST);
        json_field_i64(w, "on_the_way", incident_told(i)[k].outstanding);
        json_object_end(w);
    }
    json_array_end(w);
    json_put_key(w, STR("escalations"));
    json_array_begin(w);
    for (size_t k = i->step_next; k < i->step_count; k++) {
        json_object_begin(w);
        json_field_str(w, "destination", i->steps[k].place->name);
        json_field_time(w, "due", i->steps[k].due_ms);
        json_object_end(w);
    }
    json_array_end(w);
}

int engine_describe(const struct engine *e, uint64_t incident, struct json_writer *w)
{
    static const char *const due_names[DUE_KINDS] = { "first_message_at", "update_at", "reminder_at", "linger_until", "quiet_at",
                                                      "clears_at", "snooze_until", "held_target_at" };
    struct incident *i = incident_by_id((struct engine *)(uintptr_t)e, incident);
    char id[ID_SIZE];
    if (!i) return 0;
    json_object_begin(w);
    json_field_str(w, "id", id_format("inc", i->id, id));
    json_field_str(w, "rule", i->rule->name);
    json_field_str(w, "key", incident_key(i));
    json_field_str(w, "project", i->part->project);
    json_field_str(w, "env", i->part->env);
    json_field_str(w, "state", str_c(incident_state_name((enum incident_state)i->state)));
    json_field_i64(w, "hits", i->hits);
    json_field_i64(w, "runs", i->run_count);
    if (i->rule->now->condition.kind == RULE_LASTS) json_field_i64(w, "still", i->still);
    for (size_t k = 0; k < DUE_KINDS; k++) field_due(w, due_names[k], incident_due_in_force(i, (enum due)k));
    hold_describe(i, w);
    describe_told(i, w);
    json_object_end(w);
    return 1;
}

size_t engine_incidents(const struct engine *e, struct str rule, uint64_t *out, size_t max)
{
    size_t n = 0;
    for (size_t k = 0; k < e->by_id.n && n < max; k++) {
        const struct incident *i = e->by_id.v[k];
        if (i && (rule.n == 0 || str_eq(i->rule->name, rule))) out[n++] = i->id;
    }
    return n;
}
