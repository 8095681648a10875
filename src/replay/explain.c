#include "replay/explain.h"

#include <string.h>

#include "base/id.h"
#include "replay/history.h"
#include "replay/windows.h"

enum {
    ENVIRONMENTS_MAX = 16, KEYS_MAX = 16, NOTES_MAX = 1000, NOTES_SHOWN = 50, CEILING = 1 << 20
};

struct explain {
    const struct explain_setup *s;
    struct json_writer *w;
    const struct store_run *row;
    struct run_known known;
    struct rule_subject *subject; /* of the transition at hand */
    const struct store_event *event;
    struct windows windows;
};

/* --- windows ------------------------------------------------------------------------------------------------------ */
static int read_windows(struct explain *x, struct err *err)
{
    const struct windows_setup setup = { .config = x->s->config, .reader = x->s->reader, .arena = x->s->arena, .run = x->row, .known = &x->known,
                                         .deadline_ms = x->s->deadline_ms };
    return windows_read(&x->windows, &setup, err);
}

static const struct window_seen *put_windows(struct explain *x, const struct rule *r)
{
    const struct window_seen *seen = windows_find(&x->windows, r->name, x->event->id, x->subject->transition);
    if (r->condition.kind == RULE_EVERY_HIT || r->condition.kind == RULE_ABSENT) return NULL;
    json_put_key(x->w, r->condition.kind == RULE_LASTS ? STR("stays") : STR("windows"));
    json_put_raw(x->w, seen ? seen->text : STR("[]"));
    if (!seen && x->windows.cut_short) json_field_str(x->w, "windows_note", STR("the log is too long to count them again here"));
    return seen;
}

/* --- absences: what the keys of a hit wait for now --------------------------------------------------------------------- */
static int put_key(struct explain *x, const struct rule *r, struct str key, struct err *err)
{
    struct arena *a = x->s->arena;
    struct str cell = absent_cell_key(a, r->name, x->row->project, x->row->env, key), blob;
    struct json root;
    int found = x->s->reader->ops->cell(x->s->reader, a, cell, &blob, err);
    if (found <= 0) return found;
    if (json_parse(a, blob, &json_own_limits, &root, NULL, err) < 0) return -1;
    engine_describe_absent(root, x->w);
    return 1;
}

static int put_keys(struct explain *x, const struct rule *r, struct err *err)
{
    struct rule_key keys[KEYS_MAX];
    size_t n = r->condition.kind == RULE_ABSENT ? rule_keys(r, x->subject, keys, KEYS_MAX) : 0;
    int rc = 0;
    if (n == 0) return 0;
    json_put_key(x->w, STR("waits"));
    json_array_begin(x->w);
    for (size_t k = 0; k < n && rc >= 0; k++) rc = put_key(x, r, keys[k].key, err);
    json_array_end(x->w);
    return rc < 0 ? -1 : 0;
}

/* --- incidents ------------------------------------------------------------------------------------------------------ */
/* A run that is no hit may have completed what a condition asks for. */
static bool note_is_hit(struct arena *a, const struct store_note *n, struct str event)
{
    struct json body;
    struct err err;
    if ((!str_eq_c(n->what, "hit") && !str_eq_c(n->what, "completed the condition")) || n->body.n == 0) return false;
    return json_parse(a, n->body, &json_own_limits, &body, NULL, &err) == 0 && str_eq(json_str(json_get_c(body, "event")), event);
}

/* A long timeline has lost its oldest hits here: then its time tells. */
static bool joined(struct explain *x, const struct rule *r, const struct engine_incident_row *i, const struct store_note *notes, size_t n)
{
    char id[ID_SIZE];
    struct str event = id_format("evt", x->event->id, id);
    int64_t at_ms = id_wall_ms(x->event->id);
    for (size_t k = 0; k < n; k++)
        if (note_is_hit(x->s->arena, &notes[k], event)) return true;
    return n == NOTES_MAX && at_ms < notes[0].at_ms && at_ms >= i->opened_ms && rule_matches(r, x->subject);
}

static void put_timeline(struct explain *x, const struct store_note *notes, size_t n)
{
    size_t shown = 0;
    json_put_key(x->w, STR("timeline"));
    json_array_begin(x->w);
    for (size_t k = 0; k < n && shown < NOTES_SHOWN; k++) {
        if (str_eq_c(notes[k].what, "hit")) continue;
        json_object_begin(x->w);
        json_field_time(x->w, "at", notes[k].at_ms);
        json_field_str(x->w, "what", notes[k].what);
        json_put_key(x->w, STR("detail"));
        if (notes[k].body.n) json_put_raw(x->w, notes[k].body);
        else json_put_null(x->w);
        json_object_end(x->w);
        shown++;
    }
    json_array_end(x->w);
}

/* What an unresolved one waits for stands in its state: an engine is made to read it. */
static void put_waiting(struct explain *x, const struct engine_incident_row *row)
{
    struct engine_setup setup = { .rules = x->s->config->rules, .limits = engine_default_limits, .public_url = STR_NONE };
    struct engine *e;
    struct json_draft d;
    struct str text;
    struct err err;
    int has;
    if (row->state == INCIDENT_RESOLVED) return;
    e = engine_new(&setup);
    has = engine_restore_incident(e, row, &err) == 0 ? engine_describe(e, row->id, json_draft_begin(&d, CEILING)) : -1;
    if (has >= 0) {
        text = json_draft_end(&d, x->s->arena);
        json_put_key(x->w, STR("now"));
        if (has) json_put_raw(x->w, text);
        else json_put_null(x->w);
    }
    engine_free(&e);
}

static void put_incident(struct explain *x, const struct engine_incident_row *i, const struct store_note *notes, size_t n)
{
    char id[ID_SIZE];
    json_object_begin(x->w);
    json_field_str(x->w, "id", id_format("inc", i->id, id));
    json_field_str(x->w, "key", i->key);
    json_field_str(x->w, "state", str_c(incident_state_name(i->state)));
    json_field_str(x->w, "title", i->title);
    json_field_i64(x->w, "hits", i->hits);
    json_field_i64(x->w, "runs", i->runs);
    if (i->opened_ms) json_field_time(x->w, "opened_at", i->opened_ms);
    if (i->resolved_ms) json_field_time(x->w, "resolved_at", i->resolved_ms);
    put_timeline(x, notes, n);
    put_waiting(x, i);
    json_object_end(x->w);
}

/* The last one of this key that was there when the event came, if the event is one of its hits. 1 written, 0, -1. */
static int put_incident_of(struct explain *x, const struct rule *r, struct str key, struct err *err)
{
    struct store_reader *s = x->s->reader;
    struct arena *a = x->s->arena;
    struct store_incident_filter f = { .rule = r->name, .key = key, .project = x->row->project, .env = x->row->env,
                                       .before = history_id_at(id_wall_ms(x->event->id) + 1), .limit = 1 };
    struct engine_incident_row row;
    struct store_note *notes = ARENA_ARRAY(a, struct store_note, NOTES_MAX);
    size_t n = 0;
    int found;
    if (s->ops->incidents(s, a, &f, &row, &n, err) < 0) return -1;
    if (n == 0) return 0;
    found = s->ops->incident(s, a, row.id, &row, err);
    if (found <= 0) return found;
    if (s->ops->notes(s, a, row.id, notes, NOTES_MAX, &n, err) < 0) return -1;
    if (!joined(x, r, &row, notes, n)) return 0;
    put_incident(x, &row, notes, n);
    return 1;
}

static int put_incidents(struct explain *x, const struct rule *r, size_t *n, struct err *err)
{
    struct rule_key keys[KEYS_MAX];
    size_t count = rule_keys(r, x->subject, keys, KEYS_MAX);
    int rc = 0;
    *n = 0;
    json_put_key(x->w, STR("incidents"));
    json_array_begin(x->w);
    for (size_t k = 0; k < count && rc >= 0; k++) {
        rc = put_incident_of(x, r, keys[k].key, err);
        *n += rc == 1;
    }
    if (rc >= 0 && *n == 0 && count > 0) { /* over the bound of keys, hits gather in one */
        rc = put_incident_of(x, r, STR("(overflow)"), err);
        *n += rc == 1;
    }
    json_array_end(x->w);
    return rc < 0 ? -1 : 0;
}

/* --- rules, transitions, environments ---------------------------------------------------------------------------------- */
static struct str verdict_of(const struct rule *r, bool hit, size_t incidents, const struct window_seen *seen)
{
    if (r->condition.kind == RULE_ABSENT) return incidents ? STR("a hit, it ended an absence") : STR("a hit, it set the clock of its key");
    if (incidents) return STR("joined an incident");
    if (r->condition.kind == RULE_LASTS) return STR("a hit, watched: it rings if it lasts");
    if (!hit) return STR("no hit, but one of the runs that the condition looks at");
    if (r->condition.kind == RULE_EVERY_HIT || !seen) return STR("a hit under today's rules; no incident of the store has it");
    if (seen->holds) return STR("a hit, and under today's rules the condition holds; no incident of the store has it");
    return r->condition.kind == RULE_FIRST ? STR("a hit, and not the first: the condition does not hold") : STR("a hit, counted: the condition does not hold");
}

static int put_rule(struct explain *x, const struct rule *r, struct err *err)
{
    struct json_draft d;
    struct json_writer *inner = json_draft_begin(&d, CEILING);
    size_t n = 0;
    struct str verdict = STR("no hit");
    json_object_begin(x->w);
    rule_explain(r, x->subject, inner);
    json_put_key(x->w, STR("match"));
    json_put_raw(x->w, json_draft_end(&d, x->s->arena));
    if (windows_concern(r, x->subject)) {
        const struct window_seen *seen = put_windows(x, r);
        if (put_keys(x, r, err) < 0 || put_incidents(x, r, &n, err) < 0) return -1;
        verdict = verdict_of(r, rule_matches(r, x->subject), n, seen);
    }
    json_field_str(x->w, "verdict", verdict);
    json_object_end(x->w);
    return 0;
}

static int put_rules(struct explain *x, struct run *run, const struct transition *t, struct err *err)
{
    const struct ruleset *rs = x->s->config->rules;
    int rc = 0;
    x->subject = ARENA_NEW(x->s->arena, struct rule_subject);
    rule_subject_init(x->subject, x->s->arena, run, t, x->event->arrival_ms);
    json_put_key(x->w, STR("rules"));
    json_array_begin(x->w);
    for (size_t k = 0; k < rs->rule_count && rc == 0; k++) rc = put_rule(x, rs->rules[k], err);
    json_array_end(x->w);
    x->subject = NULL;
    return rc;
}

/* 1 when the event is kept and run is read from it, 0 when retention took it, -1. */
static int read_event(struct explain *x, uint64_t id, struct store_event *e, struct run *run, struct err *err)
{
    struct store_reader *s = x->s->reader;
    struct json root;
    int found = s->ops->event(s, x->s->arena, id, e, err);
    if (found <= 0) return found;
    x->event = e;
    if (json_parse(x->s->arena, e->body, &json_own_limits, &root, NULL, err) < 0 || run_restore(x->s->arena, root, run, err) < 0) return -1;
    return 1;
}

static void put_times(struct explain *x, const struct run_seen *seen, uint64_t event)
{
    char id[ID_SIZE];
    json_field_str(x->w, "state", str_c(run_state_name(seen->state)));
    if (seen->derived) json_field_bool(x->w, "derived", true);
    if (seen->attempt) json_field_i64(x->w, "attempt", seen->attempt);
    json_field_time(x->w, "at", seen->event_ms);
    json_field_str(x->w, "event", id_format("evt", event, id));
}

/* Why no rule was asked about it at all. */
static void put_ignored(struct explain *x, const struct store_event *e, const struct run_seen *seen)
{
    const struct config *c = x->s->config;
    for (size_t k = 0; k < c->source_count; k++)
        if (str_eq(c->sources[k].name, e->source) && c->sources[k].ignore_older_ms > 0 && id_wall_ms(e->id) - seen->event_ms > c->sources[k].ignore_older_ms)
            json_field_str(x->w, "not_evaluated", STR("older than its source's ignore_older when it came: recorded only"));
}

/* fuller: the last report of the run, when it only told more of its last transition. */
static int put_transition(struct explain *x, const struct run_seen *seen, uint64_t event, bool last, struct err *err)
{
    struct transition t = { .kind = TRANSITION_NEW, .state = seen->state, .derived = seen->derived, .current = last,
                            .attempt = seen->attempt, .event_ms = seen->event_ms, .event_id = seen->event_id };
    struct store_event *e = ARENA_NEW(x->s->arena, struct store_event);
    struct run run;
    int found = read_event(x, event, e, &run, err);
    if (found < 0) return -1;
    json_object_begin(x->w);
    put_times(x, seen, event);
    json_field_bool(x->w, "last_known", last);
    if (event != seen->event_id) json_field_bool(x->w, "fuller", true);
    if (found == 0) {
        json_field_str(x->w, "gone", STR("its event is older than store.keep.events"));
    } else {
        if (t.attempt == 0) t.attempt = e->attempt;
        json_field_str(x->w, "status", seen->derived ? STR("REATTEMPTING") : e->status);
        json_field_str(x->w, "source", e->source);
        json_field_time(x->w, "received_at", e->arrival_ms);
        put_ignored(x, e, seen);
        if (put_rules(x, &run, &t, err) < 0) return -1;
    }
    json_object_end(x->w);
    return 0;
}

/* The state the run is in by all that is known: a final one, else the latest reported. */
static const struct run_seen *last_known(const struct run_known *k)
{
    const struct run_seen *last = NULL;
    for (size_t i = 0; i < k->seen_count; i++) {
        if (k->seen[i].derived) continue;
        if (!last || !(run_state_class(last->state) & RUN_CLASS_FINISHED)) last = &k->seen[i];
    }
    return last;
}

static int put_transitions(struct explain *x, struct err *err)
{
    const struct run_known *k = &x->known;
    const struct run_seen *last = last_known(k);
    bool fuller = last && x->row->last_event > last->event_id, told = false;
    for (size_t i = 0; i < k->seen_count; i++) told |= k->seen[i].event_id == x->row->last_event;
    fuller &= !told;
    json_put_key(x->w, STR("transitions"));
    json_array_begin(x->w);
    for (size_t i = 0; i < k->seen_count; i++)
        if (put_transition(x, &k->seen[i], k->seen[i].event_id, &k->seen[i] == last && !fuller, err) < 0) return -1;
    if (fuller && put_transition(x, last, x->row->last_event, true, err) < 0) return -1;
    json_array_end(x->w);
    return 0;
}

static int put_seen(struct explain *x, struct err *err)
{
    struct json root;
    if (json_parse(x->s->arena, x->row->known, &json_own_limits, &root, NULL, err) < 0 ||
        run_known_restore(x->s->arena, root, &x->known, err) < 0 || read_windows(x, err) < 0)
        return -1;
    json_object_begin(x->w);
    json_field_str(x->w, "project", x->row->project);
    json_field_str(x->w, "env", x->row->env);
    json_field_opt(x->w, "task", x->known.task);
    if (x->windows.from_ms) json_field_time(x->w, "windows_from", x->windows.from_ms);
    if (put_transitions(x, err) < 0) return -1;
    json_object_end(x->w);
    return 0;
}

int explain_run(const struct explain_setup *s, struct json_writer *w, struct err *err)
{
    struct store_run rows[ENVIRONMENTS_MAX];
    size_t n = 0;
    int rc = s->reader->ops->run(s->reader, s->arena, s->project, s->env, s->run, rows, ENVIRONMENTS_MAX, &n, err);
    if (rc < 0 || n == 0) return rc < 0 ? -1 : 0;
    json_object_begin(w);
    json_field_str(w, "id", s->run);
    json_put_key(w, STR("seen"));
    json_array_begin(w);
    for (size_t k = 0; k < n && rc == 0; k++) {
        struct explain x = { .s = s, .w = w, .row = &rows[k] };
        rc = put_seen(&x, err);
        windows_fini(&x.windows);
    }
    json_array_end(w);
    json_object_end(w);
    return rc < 0 ? -1 : 1;
}
