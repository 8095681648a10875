/* persist: state as rows, and back. Blobs are JSON so that a person with a database shell can read them. */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

enum { BLOB_CEILING = 8 * 1024 * 1024 };

/* --- writing --------------------------------------------------------------------------------------------------- */
static void put_due(struct json_writer *w, int64_t due_ms)
{
    if (due_ms == ENGINE_NEVER)
        json_put_null(w);
    else
        json_put_i64(w, due_ms);
}

static void write_told(const struct incident *i, struct json_writer *w)
{
    json_put_key(w, STR("told"));
    json_array_begin(w);
    for (size_t k = 0; k < i->told_count; k++) {
        const struct told *t = &incident_told(i)[k];
        json_array_begin(w);
        json_put_str(w, t->place->name);
        json_put_str(w, str_c(t->params));
        json_put_i64(w, (int64_t)t->digest);
        json_put_i64(w, t->outstanding);
        json_put_i64(w, t->flags);
        if (t->during || t->flags & TOLD_LATER) json_put_str(w, str_c(t->during));
        if (t->flags & TOLD_LATER) json_put_str(w, str_c(t->later));
        if (t->flags & TOLD_LATER) json_put_i64(w, t->later_ms);
        json_array_end(w);
    }
    json_array_end(w);
}

static void write_steps(const struct incident *i, struct json_writer *w)
{
    if (i->step_count == 0) return;
    json_put_key(w, STR("steps"));
    json_array_begin(w);
    for (size_t k = 0; k < i->step_count; k++) {
        const struct step *s = &i->steps[k];
        json_array_begin(w);
        json_put_i64(w, s->due_ms);
        json_put_i64(w, s->after_ms);
        json_put_str(w, s->place->name);
        json_put_str(w, str_c(s->params));
        if (s->during) json_put_str(w, str_c(s->during));
        json_array_end(w);
    }
    json_array_end(w);
    json_field_i64(w, "step_next", i->step_next);
}

static void write_incident(const struct incident *i, struct json_writer *w)
{
    json_object_begin(w);
    json_field_str(w, "shape", str_c(i->rule->now->shape));
    json_field_i64(w, "first", i->first_ms);
    json_field_i64(w, "hit", i->last_hit_ms);
    json_field_i64(w, "event", i->last_event_ms);
    json_field_i64(w, "spoke", i->last_told_ms);
    if (i->paused_ms) json_field_i64(w, "paused", i->paused_ms);
    json_put_key(w, STR("due"));
    json_array_begin(w);
    for (size_t k = 0; k < DUE_KINDS; k++) put_due(w, incident_due_ms(i, (enum due)k));
    json_array_end(w);
    write_told(i, w);
    write_steps(i, w);
    json_field_i64(w, "repeat_next", i->repeat_next);
    json_field_i64(w, "state", i->last_state);
    if (i->criterion) json_field_i64(w, "criterion", i->criterion);
    if (i->successes) json_field_i64(w, "successes", i->successes);
    if (i->still) json_field_i64(w, "still", i->still);
    if (i->unconfirmed) json_field_bool(w, "unconfirmed", true);
    if (i->identity_hash) json_field_i64(w, "identity", i->identity_hash);
    if (i->late) json_field_bool(w, "late", true);
    hold_write(i, w);
    if (i->routed) json_field_bool(w, "routed", true);
    json_field_opt(w, "first_run", str_c(i->first_run));
    json_field_opt(w, "run", str_c(i->last_run));
    json_put_key(w, STR("runs"));
    json_array_begin(w);
    for (size_t k = 0; k < i->runs_kept; k++) json_put_i64(w, (int64_t)incident_runs(i)[k]);
    json_array_end(w);
    json_object_end(w);
}

typedef void (*write_fn)(const void *thing, struct json_writer *w);

static struct str blob_of(struct arena *a, const void *thing, write_fn fn)
{
    struct json_draft d;
    fn(thing, json_draft_begin(&d, BLOB_CEILING));
    return json_draft_end(&d, a);
}

static void write_incident_any(const void *thing, struct json_writer *w)
{
    write_incident(thing, w);
}

static void write_limit(const void *thing, struct json_writer *w)
{
    const struct limit_window *l = thing;
    json_array_begin(w);
    for (size_t k = 0; k < l->times.n; k++) json_put_i64(w, l->times.v[k]);
    json_array_end(w);
}

static void write_digest(const void *thing, struct json_writer *w)
{
    const struct digest *d = thing;
    json_object_begin(w);
    json_field_str(w, "place", d->place->name);
    json_field_opt(w, "params", str_c(d->params));
    json_field_str(w, "project", d->part->project);
    json_field_str(w, "env", d->part->env);
    json_field_str(w, "name", d->name);
    json_field_i64(w, "per", d->per_ms);
    json_field_i64(w, "opened", d->opened_ms);
    json_field_i64(w, "sent", d->last_sent_ms);
    json_field_i64(w, "total", d->total);
    json_field_i64(w, "open", d->open);
    json_field_i64(w, "severity", d->severity);
    json_field_i64(w, "outstanding", d->outstanding);
    json_field_bool(w, "changed", d->changed);
    json_field_bool(w, "spoke", d->spoke);
    if (d->held) json_field_bool(w, "held", true);
    json_put_key(w, STR("due"));
    put_due(w, d->timer.due_ms);
    json_put_key(w, STR("titles"));
    json_array_begin(w);
    for (size_t k = 0; k < d->titles.n; k++) json_put_str(w, d->titles.v[k]);
    json_array_end(w);
    json_object_end(w);
}

static void write_fault(const void *thing, struct json_writer *w)
{
    const struct fault *f = thing;
    json_object_begin(w);
    json_field_i64(w, "last", f->last_ms);
    json_field_i64(w, "held", (int64_t)f->held);
    json_object_end(w);
}

/* --- collecting ------------------------------------------------------------------------------------------------- */
static void collect_incident(struct engine *e, struct incident *i, struct engine_changes *out)
{
    struct engine_incident_row row = {
        .id = i->id, .project = i->part->project, .env = i->part->env, .rule = i->rule->name,
        .key = str_dup(out->arena, incident_key(i)), .state = (enum incident_state)i->state,
        .severity = i->rule->now->severity, .opened_ms = i->opened_ms ? i->opened_ms : i->first_ms,
        .updated_ms = e->now_ms, .resolved_ms = i->state == INCIDENT_RESOLVED ? e->now_ms : 0,
        .hits = i->hits, .runs = i->run_count, .title = STR_NONE, .task = STR_NONE, .last_run = STR_NONE, .detail = STR_NONE,
    };
    row.label = incident_label(out->arena, i);
    row.state_blob = blob_of(out->arena, i, write_incident_any);
    if (i->detail_dirty && i->detail) {
        struct engine_output scratch = { .arena = out->arena };
        struct err err;
        struct step_context c = { .e = e, .out = &scratch, .now_ms = e->now_ms, .err = &err };
        struct detail d;
        uint64_t failures = e->stats.template_failures; /* counted where it is told */
        row.detail = str_dup(out->arena, (struct str){ i->detail, i->detail_bytes });
        row.title = content_title(&c, i);
        e->stats.template_failures = failures;
        if (detail_get(&c, i, &d) == 0) {
            row.task = d.run.task.p ? d.run.task : STR("");
            row.last_run = d.run.id;
        }
        engine_output_fini(&scratch);
    }
    *vec_push(&out->incidents) = row;
    i->dirty = i->detail_dirty = false;
    if (i->ended) incident_free(e, i);
}

void put_cell(struct engine_changes *out, struct str key, struct str blob)
{
    *vec_push(&out->cells) = (struct engine_cell_row){ key, blob };
}

void cell_gone(struct engine *e, struct str key)
{
    char *text = xmalloc(key.n + 1);
    memcpy(text, key.p, key.n);
    *vec_push(&e->gone_cells) = (struct str){ text, key.n };
}

static void collect_gone(struct engine *e, struct engine_changes *out)
{
    for (size_t k = 0; k < e->gone_cells.n; k++) {
        put_cell(out, str_dup(out->arena, e->gone_cells.v[k]), STR_NONE);
        free((char *)(uintptr_t)e->gone_cells.v[k].p);
    }
    vec_clear(&e->gone_cells);
}

static void collect_digests(struct engine *e, struct engine_changes *out)
{
    size_t kept = 0;
    char id[ID_SIZE];
    for (size_t k = 0; k < e->digests.n; k++) {
        struct digest *d = e->digests.v[k];
        struct str text = id_format("dig", d->id, id);
        if (d->dirty) put_cell(out, str_printf(out->arena, "d/" STR_FMT, STR_ARG(text)), d->ended ? STR_NONE : blob_of(out->arena, d, write_digest));
        d->dirty = false;
        if (d->ended)
            digest_free(e, d);
        else
            e->digests.v[kept++] = d;
    }
    e->digests.n = kept;
}

static void write_silence(const void *thing, struct json_writer *w)
{
    silence_write(thing, w);
}

static void write_gates(const void *thing, struct json_writer *w)
{
    const struct engine *e = thing;
    json_array_begin(w);
    json_put_i64(w, e->gates_seen_ms);
    for (size_t k = 0; k < e->muting.n; k++) json_put_i64(w, (int64_t)e->muting.v[k]);
    json_array_end(w);
}

static void collect_gates(struct engine *e, struct engine_changes *out)
{
    for (size_t k = 0; k < e->silences.n; k++) {
        struct silence *s = e->silences.v[k];
        if (s->dirty) put_cell(out, silence_cell_key(out->arena, s), blob_of(out->arena, s, write_silence));
        s->dirty = false;
    }
    if (e->gates_dirty) put_cell(out, STR("gates"), blob_of(out->arena, e, write_gates));
    e->gates_dirty = false;
}

void engine_collect(struct engine *e, struct engine_changes *out)
{
    collect_gone(e, out); /* first: a window may have gone and come again */
    for (size_t k = 0; k < e->dirty.n; k++) collect_incident(e, e->dirty.v[k], out);
    vec_clear(&e->dirty);
    for (size_t k = 0; k < e->dirty_windows.n; k++)
        if (e->dirty_windows.v[k]) collect_window(e->dirty_windows.v[k], out);
    vec_clear(&e->dirty_windows);
    for (size_t k = 0; k < e->dirty_limits.n; k++) {
        struct limit_window *l = e->dirty_limits.v[k];
        l->dirty = false;
        put_cell(out, str_printf(out->arena, "l/" STR_FMT, STR_ARG(l->name)), blob_of(out->arena, l, write_limit));
    }
    vec_clear(&e->dirty_limits);
    for (size_t k = 0; k < e->dirty_faults.n; k++) {
        struct fault *f = e->dirty_faults.v[k];
        f->dirty = false;
        put_cell(out, str_printf(out->arena, "f/" STR_FMT, STR_ARG(f->topic)), blob_of(out->arena, f, write_fault));
    }
    vec_clear(&e->dirty_faults);
    collect_digests(e, out);
    collect_gates(e, out);
    absent_collect(e, out);
    lasts_collect(e, out);
    if (e->ids.last != e->ids_kept) {
        e->ids_kept = e->ids.last;
        put_cell(out, STR("ids"), str_printf(out->arena, "[%llu]", (unsigned long long)e->ids.last));
    }
}

/* --- restoring --------------------------------------------------------------------------------------------------- */
static int64_t i64_or(struct json v, int64_t fallback)
{
    int64_t out;
    return json_i64(v, &out) ? out : fallback;
}

static char *text_or_null(struct json v)
{
    struct str s = json_str(v);
    char *p;
    if (str_absent(s)) return NULL;
    p = xmalloc(s.n + 1);
    memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

static void restore_told(struct engine *e, struct incident *i, struct json list)
{
    size_t n = json_count(list);
    if (n == 0 || n > UINT16_MAX) return;
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        incident_add_told(i, (struct told){
            .place = place_get(e, json_str(json_at(v, 0))),
            .params = text_or_null(json_at(v, 1)),
            .digest = (uint64_t)i64_or(json_at(v, 2), 0),
            .outstanding = (uint32_t)i64_or(json_at(v, 3), 0),
            .flags = (uint32_t)i64_or(json_at(v, 4), 0),
            .during = hours_intern(e, json_str(json_at(v, 5))),
            .later = hours_intern(e, json_str(json_at(v, 6))),
            .later_ms = i64_or(json_at(v, 7), 0),
        });
    }
}

static void restore_steps(struct engine *e, struct incident *i, struct json list)
{
    size_t n = json_count(list);
    if (n == 0 || n > UINT16_MAX) return;
    i->steps = xcalloc(n, sizeof *i->steps);
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        struct step *s = &i->steps[i->step_count++];
        s->due_ms = i64_or(json_at(v, 0), 0);
        s->after_ms = i64_or(json_at(v, 1), 0);
        s->place = place_get(e, json_str(json_at(v, 2)));
        s->params = text_or_null(json_at(v, 3));
        s->during = hours_intern(e, json_str(json_at(v, 4)));
    }
}

static void restore_runs(struct incident *i, struct json list)
{
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v))
        incident_keep_run(i, (uint64_t)i64_or(v, 0));
}

static void count_state(struct engine *e, const struct incident *i)
{
    if (i->state == INCIDENT_PENDING) e->stats.incidents_pending++;
    if (i->state == INCIDENT_OPEN) e->stats.incidents_open++;
    if (i->state == INCIDENT_ACKNOWLEDGED) e->stats.incidents_acknowledged++;
}

static void restore_from(struct engine *e, struct incident *i, struct json o)
{
    struct json due = json_get_c(o, "due");
    int64_t identity = i64_or(json_get_c(o, "identity"), 0);
    i->first_ms = i64_or(json_get_c(o, "first"), 0);
    i->last_hit_ms = i64_or(json_get_c(o, "hit"), 0);
    i->last_event_ms = i64_or(json_get_c(o, "event"), 0);
    i->last_told_ms = i64_or(json_get_c(o, "spoke"), 0);
    i->paused_ms = i64_or(json_get_c(o, "paused"), 0);
    for (size_t k = 0; k < DUE_KINDS; k++) incident_wait_until(i, (enum due)k, i64_or(json_at(due, k), ENGINE_NEVER));
    restore_told(e, i, json_get_c(o, "told"));
    restore_steps(e, i, json_get_c(o, "steps"));
    restore_runs(i, json_get_c(o, "runs"));
    i->step_next = (uint16_t)i64_or(json_get_c(o, "step_next"), 0);
    i->repeat_next = (uint16_t)i64_or(json_get_c(o, "repeat_next"), 0);
    i->last_state = (uint8_t)i64_or(json_get_c(o, "state"), 0);
    i->criterion = (uint8_t)i64_or(json_get_c(o, "criterion"), 0);
    i->successes = (uint32_t)i64_or(json_get_c(o, "successes"), 0);
    i->unconfirmed = json_bool(json_get_c(o, "unconfirmed"), false);
    i->still = (uint32_t)i64_or(json_get_c(o, "still"), 0);
    i->late = json_bool(json_get_c(o, "late"), false);
    hold_restore(i, json_get_c(o, "hold"));
    e->stats.incidents_held += incident_held(i);
    i->routed = json_bool(json_get_c(o, "routed"), false);
    i->first_run = text_or_null(json_get_c(o, "first_run"));
    i->last_run = text_or_null(json_get_c(o, "run"));
    if (identity) incident_link_identity(e, i, (uint32_t)identity);
}

int engine_restore_incident(struct engine *e, const struct engine_incident_row *row, struct err *err)
{
    struct arena a = { 0 };
    struct json o;
    struct incident *i;
    if (json_parse(&a, row->state_blob, &json_own_limits, &o, NULL, err) < 0) {
        arena_fini(&a);
        return -1;
    }
    i = incident_new(e, engine_rule_get(e, row->rule), part_get(e, row->project, row->env), row->key, STR_NONE, row->id);
    i->state = (uint8_t)row->state;
    i->opened_ms = row->state == INCIDENT_PENDING ? 0 : row->opened_ms;
    i->hits = (uint32_t)row->hits;
    i->run_count = (uint32_t)row->runs;
    restore_from(e, i, o);
    count_state(e, i);
    if (row->id > e->ids.last) e->ids.last = row->id;
    /* A shape that is not today's is marked until engine_restored settles it. */
    if (!i->rule->gone && !str_eq_c(json_str(json_get_c(o, "shape")), i->rule->now->shape)) i->timer.kind = UINT8_MAX;
    arena_fini(&a);
    return 0;
}

static void restore_limit(struct engine *e, struct str name, struct json list)
{
    struct limit_window *l = limit_window_get(e, name);
    for (struct json v = json_first(list); json_kind(v) != JSON_ABSENT; v = json_next(v)) *vec_push(&l->times) = i64_or(v, 0);
}

static void restore_digest(struct engine *e, uint64_t id, struct json o)
{
    struct digest *d = xcalloc(1, sizeof *d);
    struct json titles = json_get_c(o, "titles");
    d->id = id;
    d->timer = (struct timer){ ENGINE_NEVER, 0, TIMER_DIGEST };
    d->place = place_get(e, json_str(json_get_c(o, "place")));
    d->params = text_or_null(json_get_c(o, "params"));
    d->part = part_get(e, json_str(json_get_c(o, "project")), json_str(json_get_c(o, "env")));
    d->name = str_dup(&e->names, json_str(json_get_c(o, "name")));
    d->per_ms = i64_or(json_get_c(o, "per"), 60000);
    d->opened_ms = i64_or(json_get_c(o, "opened"), 0);
    d->last_sent_ms = i64_or(json_get_c(o, "sent"), 0);
    d->total = i64_or(json_get_c(o, "total"), 0);
    d->open = i64_or(json_get_c(o, "open"), 0);
    d->severity = (int)i64_or(json_get_c(o, "severity"), SEVERITY_ERROR);
    d->outstanding = (uint32_t)i64_or(json_get_c(o, "outstanding"), 0);
    d->changed = json_bool(json_get_c(o, "changed"), false);
    d->spoke = json_bool(json_get_c(o, "spoke"), false);
    d->held = json_bool(json_get_c(o, "held"), false);
    for (struct json v = json_first(titles); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
        char *text = text_or_null(v);
        if (text) *vec_push(&d->titles) = str_c(text);
    }
    *vec_push(&e->digests) = d;
    timer_set(e, &d->timer, i64_or(json_get_c(o, "due"), ENGINE_NEVER));
}

static void restore_fault(struct engine *e, struct str topic, struct json o)
{
    struct fault *f = xcalloc(1, sizeof *f);
    f->topic = str_dup(&e->names, topic);
    f->last_ms = i64_or(json_get_c(o, "last"), 0);
    f->held = (uint64_t)i64_or(json_get_c(o, "held"), 0);
    map_put(&e->faults, f->topic, f);
}

static void restore_gates(struct engine *e, struct json o)
{
    e->gates_seen_ms = i64_or(json_first(o), 0);
    for (struct json v = json_next(json_first(o)); json_kind(v) != JSON_ABSENT; v = json_next(v)) *vec_push(&e->muting) = (uint64_t)i64_or(v, 0);
    e->gates_kept = true;
}

int engine_restore_cell(struct engine *e, const struct engine_cell_row *row, struct err *err)
{
    struct arena a = { 0 };
    struct json o;
    struct str name = str_sub(row->key, 2, row->key.n);
    uint64_t id;
    int rc = 0;
    if (json_parse(&a, row->blob, &json_own_limits, &o, NULL, err) < 0) {
        arena_fini(&a);
        return -1;
    }
    if (str_eq(row->key, STR("ids"))) {
        id = (uint64_t)i64_or(json_at(o, 0), 0);
        if (id > e->ids.last) e->ids.last = id;
        e->ids_kept = e->ids.last;
    } else if (str_eq(row->key, STR("gates"))) {
        restore_gates(e, o);
    } else if (str_starts(row->key, STR("s/")) || str_starts(row->key, STR("x/"))) {
        rc = silence_restore(e, o, err);
    } else if (str_starts(row->key, STR("w/"))) {
        restore_window(e, row->key, o);
    } else if (str_starts(row->key, STR("r/"))) {
        lasts_restore(e, o);
    } else if (str_eq(row->key, STR("lasts"))) {
        lasts_restore_rules(e, o);
    } else if (str_starts(row->key, STR("l/"))) {
        restore_limit(e, name, o);
    } else if (str_starts(row->key, STR("d/")) && id_parse("dig", name, &id)) {
        restore_digest(e, id, o);
    } else if (str_starts(row->key, STR("f/"))) {
        restore_fault(e, name, o);
    } else {
        (void)absent_restore(e, row->key, o);
    }
    arena_fini(&a);
    return rc;
}
