/* reports: run reports of a batch -> transitions -> engine inputs and log rows. */
#include <string.h>

#include "base/log.h"
#include "base/strbuf.h"
#include "pipeline/pipeline_internal.h"

static char *put_part(char *to, struct str part, char end)
{
    if (part.n) memcpy(to, part.p, part.n);
    to[part.n] = end;
    return to + part.n + 1;
}

static struct str run_key(struct arena *a, const struct run *run)
{
    size_t n = run->project.n + run->env.n + run->id.n + 3;
    char *p = arena_alloc(a, n);
    put_part(put_part(put_part(p, run->project, 1), run->env, 1), run->id, '\0');
    return (struct str){ p, n - 1 };
}

static struct batch_run *batch_run_get(struct pipeline *p, const struct run *run)
{
    struct str key = run_key(&p->batch_arena, run);
    struct batch_run *b = map_get(&p->batch_runs, key);
    if (b) return b;
    b = ARENA_NEW(&p->batch_arena, struct batch_run);
    b->row.project = run->project;
    b->row.env = run->env;
    b->row.run = run->id;
    map_put(&p->batch_runs, key, b);
    *vec_push(&p->batch_run_list) = b;
    return b;
}

static int restore_known(struct pipeline *p, struct batch_run *b, struct str text, struct err *err)
{
    struct json root;
    if (str_absent(text)) return 0;
    if (json_parse(&p->batch_arena, text, &json_own_limits, &root, NULL, err) < 0) return -1;
    return run_known_restore(&p->batch_arena, root, &b->known, err);
}

int reports_fetch(struct pipeline *p, struct queue_item *items, struct err *err)
{
    struct store_run *ids;
    struct str *known;
    size_t n;
    for (struct queue_item *i = items; i; i = i->next) {
        struct pipeline_request *r = (struct pipeline_request *)(void *)i;
        if (r->kind != PIPELINE_REPORTS) continue;
        for (size_t k = 0; k < r->report_count; k++) r->reports[k].batch_run = batch_run_get(p, &r->reports[k].run);
    }
    n = p->batch_run_list.n;
    if (n == 0) return 0;
    ids = ARENA_ARRAY(&p->batch_arena, struct store_run, n);
    known = ARENA_ARRAY(&p->batch_arena, struct str, n);
    for (size_t k = 0; k < n; k++) ids[k] = p->batch_run_list.v[k]->row;
    if (p->store->ops->fetch_runs(p->store, &p->batch_arena, ids, n, known, err) < 0) return -1;
    for (size_t k = 0; k < n; k++)
        if (restore_known(p, p->batch_run_list.v[k], known[k], err) < 0) return -1;
    return 0;
}

/* --- one report ------------------------------------------------------------------------------------------------ */
static int note_source(struct pipeline *p, struct str name, struct err *err)
{
    struct arena *a = &p->batch_arena;
    int64_t *at = map_get(&p->source_starts, name);
    struct str key = str_printf(a, "source_start/" STR_FMT, STR_ARG(name)), text;
    int found = p->store->ops->meta_get(p->store, a, key, &text, err);
    if (found < 0) return -1; /* not to be taken for a source that never was */
    if (!at) {
        at = ARENA_NEW(&p->names, int64_t);
        *at = p->now_ms;
        map_put(&p->source_starts, str_dup(&p->names, name), at);
    }
    if (found == 1 && str_to_i64(text, at)) return 0;
    *vec_push(&p->batch.meta) = (struct store_meta){ key, str_printf(a, "%lld", (long long)*at) };
    return 0;
}

int reports_note_sources(struct pipeline *p, const struct config *c, struct err *err)
{
    for (size_t k = 0; k < c->source_count; k++)
        if (note_source(p, c->sources[k].name, err) < 0) return -1;
    return 0;
}

/* Runs older than their source yield no derived transitions at first sight. */
static int64_t source_start(struct pipeline *p, const struct pipeline_request *r)
{
    const int64_t *at;
    if (!r->source || r->start_ms) return r->start_ms;
    at = map_get(&p->source_starts, r->source->name);
    return at ? *at : p->now_ms;
}

static void row_begin(struct pipeline *p, struct json_writer *w)
{
    strbuf_clear(&p->row);
    json_writer_init(w, &p->row);
}

static struct str row_end(struct pipeline *p)
{
    struct str row = str_dup(&p->batch_arena, strbuf_view(&p->row));
    if (p->row.cap > ROW_KEEP_BYTES) strbuf_fini(&p->row);
    return row;
}

static void log_event(struct pipeline *p, const struct pipeline_request *r, const struct pipeline_report *report,
                      const struct transition *t)
{
    struct json_writer w;
    row_begin(p, &w);
    run_write(&report->run, &w);
    *vec_push(&p->batch.events) = (struct store_event){
        .id = report->event_id,
        .source = r->source ? r->source->name : STR(""),
        .project = report->run.project,
        .env = report->run.env,
        .run = report->run.id,
        .status = report->run.spelling,
        .state = str_c(run_state_name(report->run.state)),
        .attempt = t->attempt,
        .event_ms = t->event_ms,
        .arrival_ms = r->arrival_ms,
        .body = row_end(p),
    };
}

/* The first report of what a duplicate repeats; where that fell out of memory, the oldest still known. */
static uint64_t first_event(const struct run_known *k, const struct transition *t)
{
    if (t->event_id) return t->event_id;
    return k->seen_count ? k->seen[0].event_id : 0;
}

static int evaluate(struct pipeline *p, const struct pipeline_request *r, const struct pipeline_report *report,
                    const struct transition *t, const struct run_known *known, struct err *err)
{
    struct engine_input in = { .kind = ENGINE_EVENT, .now_ms = p->now_ms };
    int64_t older_ms = r->source ? r->source->ignore_older_ms : 0;
    if (!str_absent(r->history)) return 0;
    in.u.event.recorded_only = older_ms > 0 && p->now_ms - t->event_ms > older_ms;
    in.u.event.reread = report->reread;
    in.u.event.run = &report->run;
    in.u.event.transition = t;
    in.u.event.event_id = report->event_id;
    in.u.event.dashboard = r->source ? r->source->dashboard : STR_NONE;
    in.u.event.since_succeeded = run_succeeded_since(known, t);
    in.u.event.known = known;
    return engine_step(p->engine, &in, &p->out, err);
}

static void count(struct pipeline *p, const struct pipeline_report *report, const struct transition *t, size_t n)
{
    struct pipeline_stats *s = &p->tally;
    bool fuller = false;
    if (report->duplicate) {
        s->events_duplicate++;
        return;
    }
    for (size_t k = 0; k < n; k++) fuller |= t[k].kind == TRANSITION_FULLER;
    s->events_accepted++;
    s->events_fuller += fuller;
    s->events_late += p->now_ms - t[n - 1].event_ms > 600000;
    s->unknown_states += report->run.state == RUN_UNKNOWN;
}

static int judge(struct pipeline *p, struct pipeline_request *r, struct pipeline_report *report, struct err *err)
{
    struct transition t[TRANSITIONS_MAX];
    struct batch_run *b = report->batch_run;
    size_t n;
    report->event_id = id_next(&p->event_ids, p->now_ms);
    n = run_transitions(&p->batch_arena, &report->run, &b->known, r->arrival_ms,
                        report->attempts_followed ? 0 : source_start(p, r), report->event_id, t);
    report->duplicate = true;
    for (size_t k = 0; k < n; k++)
        if (t[k].kind != TRANSITION_DUPLICATE) report->duplicate = false;
    count(p, report, t, n);
    if (report->duplicate) {
        report->event_id = first_event(&b->known, &t[n - 1]);
        return evaluate(p, r, report, &t[n - 1], &b->known, err);
    }
    b->changed = true;
    b->row.last_event = report->event_id;
    b->row.updated_ms = p->now_ms;
    log_event(p, r, report, &t[n - 1]);
    for (size_t k = 0; k < n; k++)
        if (t[k].kind != TRANSITION_DUPLICATE && evaluate(p, r, report, &t[k], &b->known, err) < 0) return -1;
    return 0;
}

/* Judging fills in what is known of the run, in memory of this batch; one that fails may be judged again in the next. */
static int apply_one(struct pipeline *p, struct pipeline_request *r, struct pipeline_report *report, struct err *err)
{
    struct pipeline_report judged = *report;
    int rc = judge(p, r, &judged, err);
    report->event_id = judged.event_id;
    report->duplicate = judged.duplicate;
    return rc;
}

/* Where a polling source is goes with what it found there. */
static void note_place(struct pipeline *p, const struct pipeline_request *r, const char *what, struct str place)
{
    struct str key;
    if (place.n == 0 || !r->source) return;
    key = str_printf(&p->batch_arena, "%s/" STR_FMT, what, STR_ARG(r->source->name));
    *vec_push(&p->batch.meta) = (struct store_meta){ key, place };
}

int reports_apply(struct pipeline *p, struct pipeline_request *r, struct err *err)
{
    note_place(p, r, "position", r->position);
    note_place(p, r, "import", r->history);
    for (size_t k = 0; k < r->report_count; k++)
        if (apply_one(p, r, &r->reports[k], err) < 0) return -1;
    return heard_position(p, r->source, r->position, err);
}

void reports_write_runs(struct pipeline *p)
{
    struct json_writer w;
    for (size_t k = 0; k < p->batch_run_list.n; k++) {
        struct batch_run *run = p->batch_run_list.v[k];
        if (!run->changed) continue;
        row_begin(p, &w);
        run_known_write(&run->known, &w);
        run->row.known = row_end(p);
        *vec_push(&p->batch.runs) = run->row;
    }
}
