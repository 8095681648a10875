/* One look by the runs list, which can be filtered by creation and state only. So: every active run is listed; what
 * could have finished since the last look was created after the oldest run that was active then, and is found by its
 * final state in that window; the few oldest active runs are followed by id instead, so that the window stays short. */
#include <string.h>

#include "base/log.h"
#include "source/list_page.h"

enum {
    CLOCK_SLACK_MS = 2000, FOLLOW_OLDER_MS = 600000, ASK_LEAST = 5, FAILURES_MOST = 2,
    PENDING_MOST = 2000, ARENA_MOST = 16 << 20,          /* then what was found is handed over before the slice ends */
    SLICE_MS = 3600000, SLICE_LEAST_MS = 60000, SLICE_MOST_MS = 16 * 86400000, SLICE_FEW = 100, SLICE_MANY = 2000
};
#define FIRST_RUN_MS 1577836800000LL /* 2020: no run is older; without a window the server looks through 7 days only */

struct ids { struct str *v; size_t n, cap; }; /* they live with what is recalled */
struct look {
    struct poll *p;
    struct err *err;
    struct ids changed, fresh; /* active runs whose number of attempts may have grown; those never asked about */
    size_t active;
    unsigned failures;         /* to read a run by id */
};

/* --- items --------------------------------------------------------------------------------------------- */
static bool item_decode(struct look *l, struct json item, struct run *run)
{
    static struct log_once once;
    struct err err;
    if (run_decode(&l->p->arena, item, run, &err) == 0) return true;
    log_write_limited(&once, 60000, LOG_WARN, "source.item_passed_over", LOG_FIELDS(LOG_S("source", l->p->name), LOG_E(&err)));
    return false;
}

static void still_there(struct poll *p, struct recalled *k)
{
    k->round = p->round;
    k->seen_ms = p->server_ms;
}

static bool state_wanted(const struct poll *p, enum run_state s)
{
    return p->demand.states >> s & 1;
}

/* Hands over what is ready. with_position: at the end of a look. */
static int hand_over(struct look *l, bool with_position)
{
    struct poll *p = l->p;
    if (p->needy.n && p->found.n && poll_hand_over(p, false, l->err) < 0) return -1;
    if (details_settle(p, l->err) < 0) return -1;
    if ((p->found.n || with_position) && poll_hand_over(p, with_position, l->err) < 0) return -1;
    arena_reset(&p->arena);
    return 0;
}

/* Pages with nothing new leave nothing behind; much that is new does not wait for the rest. */
static int page_done(struct look *l)
{
    struct poll *p = l->p;
    size_t pending = p->found.n + p->needy.n;
    if (pending == 0) arena_reset(&p->arena);
    else if (pending > PENDING_MOST || p->arena.used_bytes > ARENA_MOST) return hand_over(l, false);
    return 0;
}

/* --- active runs --------------------------------------------------------------------------------------- */
static void take_active(struct look *l, struct run *run)
{
    struct poll *p = l->p;
    struct recalled *k = recall_get(&p->recall, run->id);
    bool touched = k && k->updated_ms != run->updated_ms;
    bool changed = !k || k->state != run->state || (touched && run->state == RUN_REATTEMPTING);
    bool attempts = details_attempts(p, run);
    if (k && recalled_is_final(k)) return; /* the index behind the list lags */
    poll_learn_env(p, run->env);
    k = recall_note(&p->recall, run);
    still_there(p, k);
    if (attempts && k->asked_ms != run->updated_ms && run->started_ms != RUN_TIME_NONE) {
        struct ids *ids = touched || k->asked_ms != RUN_TIME_NONE ? &l->changed : &l->fresh;
        *vec_push(ids) = k->id;
    }
    if (changed && (attempts || state_wanted(p, run->state))) details_take(p, run);
}

/* A new source starts now. Rules that are new to it start at its position: the window shows much that ended before. */
static void begin(struct poll *p, int64_t asked_ms)
{
    struct position *at = &p->position;
    int64_t told_ms;
    if (!at->known) {
        at->told_ms = at->from_ms = at->start_ms = asked_ms;
        at->known = true;
        poll_learn_start(p);
    }
    position_rewind(p, asked_ms);
    if (p->floor_ms != RUN_TIME_NONE) return;
    told_ms = at->told_ms - p->source->api.overlap_ms - CLOCK_SLACK_MS;
    p->floor_ms = told_ms > at->start_ms ? told_ms : at->start_ms;
}

static enum api_outcome list_active(struct look *l, int64_t *asked_ms)
{
    struct list_query q = { RUN_CLASS_ACTIVE, ~(uint32_t)0, FIRST_RUN_MS, RUN_TIME_NONE, false };
    struct list_cursor at = { .n = 0 };
    struct json items;
    struct run run;
    while (!at.over) {
        enum api_outcome outcome = list_page(l->p, &q, &at, &items, l->err);
        if (outcome != API_OK) return outcome;
        for (struct json v = json_first(items); json_kind(v) != JSON_ABSENT; v = json_next(v)) {
            if (!item_decode(l, v, &run) || run_state_class(run.state) & RUN_CLASS_FINISHED) continue;
            l->active++;
            take_active(l, &run);
        }
        *asked_ms = at.asked_ms;
        begin(l->p, at.asked_ms);
        if (page_done(l) < 0) return API_INTERRUPTED;
    }
    return API_OK;
}

/* --- finished runs ------------------------------------------------------------------------------------- */
static void take_final(struct look *l, struct run *run, bool whole)
{
    struct poll *p = l->p;
    struct recalled *k = recall_get(&p->recall, run->id);
    if (k && recalled_is_final(k)) return;
    if (!k && run->finished_ms != RUN_TIME_NONE && run->finished_ms < p->floor_ms) return; /* before our time, or that of the rules */
    still_there(p, recall_note(&p->recall, run));
    if (whole) poll_found(p, run);
    else details_take(p, run);
}

static uint32_t final_states(const struct poll *p)
{
    return p->demand.attempts ? ~(uint32_t)0 : p->demand.states; /* a run may have been retried and ended between looks */
}

static enum api_outcome list_slice(struct look *l, int64_t from_ms, int64_t to_ms, size_t *n)
{
    struct list_query q = { RUN_CLASS_FINISHED, final_states(l->p), from_ms, to_ms, false };
    struct list_cursor at = { .n = 0 };
    struct json items;
    struct run run;
    while (!at.over) {
        enum api_outcome outcome = list_page(l->p, &q, &at, &items, l->err);
        if (outcome != API_OK) return outcome;
        for (struct json v = json_first(items); json_kind(v) != JSON_ABSENT; v = json_next(v), ++*n)
            if (item_decode(l, v, &run) && run_state_class(run.state) & RUN_CLASS_FINISHED) take_final(l, &run, false);
        if (page_done(l) < 0) return API_INTERRUPTED;
    }
    return API_OK;
}

/* Oldest creations first, in slices of time of which none is too full. */
static enum api_outcome list_finished(struct look *l, int64_t until_ms)
{
    struct poll *p = l->p;
    int64_t from_ms = p->position.from_ms - p->source->api.overlap_ms, width_ms = SLICE_MS;
    while (final_states(p)) {
        int64_t to_ms = from_ms + width_ms < until_ms ? from_ms + width_ms - 1 : RUN_TIME_NONE;
        size_t n = 0;
        enum api_outcome outcome = list_slice(l, from_ms, to_ms, &n);
        if (outcome != API_OK) return outcome;
        if (hand_over(l, false) < 0) return API_INTERRUPTED;
        if (to_ms == RUN_TIME_NONE) break;
        from_ms = to_ms + 1;
        if (n < SLICE_FEW && width_ms < SLICE_MOST_MS) width_ms *= 4;
        else if (n > SLICE_MANY && width_ms > SLICE_LEAST_MS) width_ms /= 4;
    }
    return API_OK;
}

/* --- by id --------------------------------------------------------------------------------------------- */
static enum api_outcome not_read(struct look *l, struct str id)
{
    static struct log_once once;
    l->failures++;
    log_write_limited(&once, 60000, LOG_WARN, "source.run_not_read", LOG_FIELDS(LOG_S("source", l->p->name), LOG_S("run", id), LOG_E(l->err)));
    return API_OK;
}

static enum api_outcome read_run(struct look *l, const struct recalled *k, struct run *out)
{
    struct run thin;
    run_init(&thin);
    thin.env = k->env.n ? k->env : poll_env(l->p);
    return details_get(l->p, &l->p->arena, k->id, &thin, out, l->err);
}

/* It was older than the window and is not listed as active any more: only its id leads to what became of it. */
static enum api_outcome follow(struct look *l, struct recalled *k)
{
    struct poll *p = l->p;
    struct run run;
    enum api_outcome outcome = read_run(l, k, &run);
    if (outcome == API_NOT_FOUND || outcome == API_BAD_REQUEST) { /* deleted, or no id of a run */
        recall_forget(&p->recall, k);
        return API_OK;
    }
    if (outcome == API_FAILED) { /* asked again next time; the others are not to suffer */
        still_there(p, k);
        return not_read(l, k->id);
    }
    if (outcome != API_OK) return outcome;
    if (run_state_class(run.state) & RUN_CLASS_FINISHED) take_final(l, &run, true);
    else still_there(p, k);
    return API_OK;
}

static enum api_outcome follow_vanished(struct look *l)
{
    struct poll *p = l->p;
    struct map_entry *e;
    size_t at = 0;
    VEC(struct recalled *) gone = { 0 };
    enum api_outcome outcome = API_OK;
    while ((e = map_next(&p->recall.runs, &at))) {
        struct recalled *k = e->value;
        if (!recalled_is_final(k) && k->round < p->round && k->created_ms < p->position.from_ms - p->source->api.overlap_ms) *vec_push(&gone) = k;
    }
    for (size_t i = 0; i < gone.n && outcome == API_OK; i++) {
        if (l->failures >= FAILURES_MOST) still_there(p, gone.v[i]);
        else outcome = follow(l, gone.v[i]);
        if (outcome == API_OK && page_done(l) < 0) outcome = API_INTERRUPTED;
    }
    vec_free(&gone);
    return outcome;
}

static enum api_outcome ask_one(struct look *l, struct recalled *k)
{
    struct poll *p = l->p;
    struct run run;
    enum api_outcome outcome = read_run(l, k, &run);
    if (outcome == API_FAILED) return not_read(l, k->id); /* asked again next time */
    if (outcome != API_OK) return outcome == API_INTERRUPTED || outcome == API_DENIED ? outcome : API_OK;
    if (run_state_class(run.state) & RUN_CLASS_FINISHED) {
        take_final(l, &run, true);
        return API_OK;
    }
    if (run.attempt_count > k->attempt || run.state != k->state) poll_found(p, &run); /* there is no more to be had */
    still_there(p, recall_note(&p->recall, &run));
    k->asked_ms = run.updated_ms;
    return API_OK;
}

/* How often were they tried? What there is no time for comes with the next look: finished runs must not wait for it. */
static enum api_outcome ask_attempts(struct look *l, const struct ids *ids)
{
    struct poll *p = l->p;
    enum api_outcome outcome = API_OK;
    int64_t began = poll_mono(p);
    for (size_t i = 0, asked = 0; i < ids->n && outcome == API_OK && l->failures < FAILURES_MOST; i++) {
        struct recalled *k = recall_get(&p->recall, ids->v[i]);
        if (!k || recalled_is_final(k)) continue;
        if (asked++ >= ASK_LEAST && poll_mono(p) - began >= p->details_left_ms) {
            p->unasked += ids->n - i;
            break;
        }
        outcome = ask_one(l, k);
        if (outcome == API_OK && page_done(l) < 0) outcome = API_INTERRUPTED;
    }
    p->details_left_ms -= poll_mono(p) - began;
    return outcome;
}

/* --- where the next look begins ------------------------------------------------------------------------ */
static int by_creation(const void *x, const void *y)
{
    const struct recalled *a = *(struct recalled *const *)x, *b = *(struct recalled *const *)y;
    return a->created_ms != b->created_ms ? (a->created_ms < b->created_ms ? -1 : 1) : str_cmp(a->id, b->id);
}

/* What ended before this look may be listed by its end only later, within the overlap: until then the windows of these
 * looks are looked through again. Gives the earliest. */
static int64_t window_reaches(struct poll *p, int64_t asked_ms, int64_t next_from_ms)
{
    int64_t reach_ms = next_from_ms;
    size_t kept = 0;
    *vec_push(&p->windows) = (struct list_window){ asked_ms, p->base_from_ms };
    for (size_t k = 0; k < p->windows.n; k++) {
        struct list_window w = p->windows.v[k];
        if (w.asked_ms < asked_ms - p->source->api.overlap_ms - CLOCK_SLACK_MS) continue;
        if (w.from_ms < reach_ms) reach_ms = w.from_ms;
        p->windows.v[kept++] = w;
    }
    p->windows.n = kept;
    p->base_from_ms = next_from_ms;
    return reach_ms;
}

/* Active ones, and those that were a moment ago: their end may not be listed yet. Forgets what is out of reach. */
static void sweep(struct look *l, int64_t asked_ms)
{
    struct poll *p = l->p;
    struct map_entry *e;
    size_t at = 0, followed = 0;
    int64_t overlap_ms = p->source->api.overlap_ms, from_ms = asked_ms;
    bool by_id = str_absent(p->source->api.project_ref);
    VEC(struct recalled *) active = { 0 };
    while ((e = map_next(&p->recall.runs, &at))) {
        struct recalled *k = e->value;
        if (recalled_is_final(k)) continue;
        if (k->round < p->round && k->seen_ms < p->server_ms - overlap_ms - CLOCK_SLACK_MS - p->source->api.every_ms) recall_forget(&p->recall, k);
        else *vec_push(&active) = k;
    }
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements are pointers
    if (active.n > 1) qsort(active.v, active.n, sizeof *active.v, by_creation);
    position_clear_follow(&p->position);
    while (by_id && followed < active.n && followed < FOLLOW_MOST && active.v[followed]->created_ms < asked_ms - FOLLOW_OLDER_MS)
        position_follow(&p->position, active.v[followed++]->id);
    if (followed < active.n && active.v[followed]->created_ms < from_ms) from_ms = active.v[followed]->created_ms;
    p->position.from_ms = window_reaches(p, asked_ms, from_ms - CLOCK_SLACK_MS);
    vec_free(&active);
    for (at = 0; (e = map_next(&p->recall.runs, &at));) {
        struct recalled *k = e->value;
        if (recalled_is_final(k) && k->created_ms < p->position.from_ms - overlap_ms && k->seen_ms < p->server_ms - overlap_ms) recall_forget(&p->recall, k);
    }
}

/* After a start: the runs that were being followed are looked for by id unless the list has them. */
static void remember_followed(struct poll *p)
{
    struct run run;
    run_init(&run);
    run.state = RUN_UNKNOWN; /* whatever the list says of it is told, also to rules that are new */
    for (size_t k = 0; k < p->position.follow.n; k++) {
        run.id = p->position.follow.v[k];
        if (recall_get(&p->recall, run.id)) continue;
        run.created_ms = INT64_MIN / 2; /* before any window */
        recall_note(&p->recall, &run)->seen_ms = INT64_MAX / 2;
    }
}

/* --- a look -------------------------------------------------------------------------------------------- */
static enum api_outcome look(struct look *l)
{
    struct poll *p = l->p;
    int64_t asked_ms = 0;
    enum api_outcome outcome;
    if (p->recall.runs.n == 0) remember_followed(p);
    outcome = list_active(l, &asked_ms);
    if (outcome != API_OK) return outcome;
    if (p->windows.n == 0) p->base_from_ms = p->position.from_ms;
    if (hand_over(l, false) < 0) return API_INTERRUPTED;
    outcome = list_finished(l, asked_ms);
    if (outcome == API_OK) outcome = follow_vanished(l);
    if (outcome == API_OK) outcome = ask_attempts(l, &l->changed);
    if (outcome == API_OK) outcome = ask_attempts(l, &l->fresh);
    if (outcome != API_OK) return outcome;
    sweep(l, asked_ms);
    p->position.told_ms = asked_ms - CLOCK_SLACK_MS;
    return hand_over(l, true) < 0 ? API_INTERRUPTED : API_OK;
}

enum api_outcome list_look(struct poll *p, struct err *err)
{
    struct look l = { .p = p, .err = err };
    enum api_outcome outcome;
    details_begin(p);
    p->unasked = 0;
    position_is_of(&p->position, METHOD_LIST);
    outcome = look(&l);
    p->active = l.active;
    vec_free(&l.changed);
    vec_free(&l.fresh);
    if (outcome == API_OK && p->page_size < (size_t)p->source->api.page_size) p->page_size++; /* large ones may be gone */
    return outcome;
}
