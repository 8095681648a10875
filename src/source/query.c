/* One look by the query endpoint: what has finished since the last look, in order of finishing, and what is active and
 * of interest now (trigger-dev-api.md 2.5). */
#include <string.h>

#include "base/log.h"
#include "source/query_page.h"
#include "source/rows.h"

enum { SURELY_LAST = 100, /* a server may give fewer rows at once than it is asked for, but not so few */
       TASKS_BYTES = 65536 /* a statement has a ceiling of 256 KB */, ROWS_MOST = 10000, ROWS_LEAST = 100, CLOCK_SLACK_MS = 2000 };
#define LOOKBACK_MS (30LL * 86400000) /* longest of any plan */

struct look {
    struct poll *p;
    struct err *err;
    struct strbuf sql;
    int64_t rows;       /* asked for at once; less while answers are too large */
    struct json list;   /* of the page at hand */
    size_t n;
};

/* --- SQL ----------------------------------------------------------------------------------------------- */
static void add_titles(struct look *l, uint32_t states)
{
    bool any = false;
    strbuf_c(&l->sql, "status IN (");
    for (uint32_t s = 0; s < RUN_STATES; s++) {
        const char *const *titles = states >> s & 1 ? row_titles((enum run_state)s) : NULL;
        for (; titles && *titles; titles++, any = true) {
            if (any) strbuf_c(&l->sql, ", ");
            row_quote(&l->sql, str_c(*titles));
        }
    }
    strbuf_c(&l->sql, ")");
}

static void add_tasks(struct look *l)
{
    const struct rule_names *tasks = &l->p->demand.tasks;
    if (tasks->all || names_bytes(tasks) > TASKS_BYTES) return;
    strbuf_c(&l->sql, " AND task_identifier IN (");
    for (size_t k = 0; k < tasks->n; k++) {
        if (k) strbuf_c(&l->sql, ", ");
        row_quote(&l->sql, tasks->v[k]);
    }
    strbuf_c(&l->sql, ")");
}

static uint32_t of_class(uint32_t states, unsigned class)
{
    uint32_t out = 0;
    for (uint32_t s = 0; s < RUN_STATES; s++)
        if (states >> s & 1 && run_state_class((enum run_state)s) & class && row_titles((enum run_state)s)) out |= 1u << s;
    return out;
}

static uint32_t final_states(const struct poll *p)
{
    return of_class(p->demand.states, RUN_CLASS_FINISHED);
}

/* Retries of runs that are over are told by their final rows, whichever state those have. */
static void add_finals(struct look *l)
{
    uint32_t states = final_states(l->p);
    if (!l->p->demand.attempts) {
        add_titles(l, states);
        return;
    }
    strbuf_c(&l->sql, "(");
    if (states) add_titles(l, states);
    if (states) strbuf_c(&l->sql, " OR ");
    strbuf_c(&l->sql, "attempt_count > 1 AND ");
    add_titles(l, of_class(~(uint32_t)0, RUN_CLASS_FINISHED));
    strbuf_c(&l->sql, ")");
}

static uint32_t active_states(const struct poll *p)
{
    return of_class(p->demand.states, RUN_CLASS_ACTIVE) & ~(1u << RUN_REATTEMPTING); /* that one is told by the attempts */
}

/* --- a page -------------------------------------------------------------------------------------------- */
static struct str body_of(struct look *l)
{
    struct poll *p = l->p;
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, 8 << 20);
    json_object_begin(w);
    json_field_str(w, "query", strbuf_view(&l->sql));
    json_field_str(w, "scope", STR("environment"));
    json_field_time(w, "from", api_server_now(&p->api) - LOOKBACK_MS); /* of triggered_at; without it the last 7 days alone are looked through */
    json_field_str(w, "format", STR("json"));
    json_object_end(w);
    return json_draft_end(&d, &p->arena);
}

/* The statement in l->sql, bounded to l->rows. */
static enum api_outcome ask(struct look *l)
{
    struct api_answer answer;
    enum api_outcome outcome;
    strbuf_printf(&l->sql, " LIMIT %lld", (long long)l->rows);
    outcome = api_call(&l->p->api, &l->p->arena, STR("/api/v1/query"), body_of(l), &answer, l->err);
    if (outcome != API_OK) return outcome;
    l->p->server_ms = answer.server_ms;
    l->list = json_get_c(answer.root, "results");
    l->n = json_count(l->list);
    if (json_kind(l->list) == JSON_ARRAY) return API_OK;
    l->p->api.usage.failed++;
    err_set(l->err, ERR_IO, "the query's answer has no `results`");
    return API_FAILED;
}

/* Asks for less at once until the answer fits. write: puts the statement, without LIMIT, into l->sql. */
static enum api_outcome ask_less(struct look *l, void (*write)(struct look *l, void *ctx), void *ctx)
{
    enum api_outcome outcome;
    for (;;) {
        strbuf_clear(&l->sql);
        write(l, ctx);
        outcome = ask(l);
        if (outcome != API_TOO_LARGE || l->rows <= ROWS_LEAST) return outcome;
        l->rows /= 4;
    }
}

/* Was that the last page? One that is short, but could be as much as the server gives at once, is followed by another. */
static bool is_last(const struct look *l)
{
    return l->n == 0 || (l->n < SURELY_LAST && (int64_t)l->n < l->rows);
}

/* --- what has finished --------------------------------------------------------------------------------- */
struct str query_cursor_id(const struct query_cursor *at)
{
    return (struct str){ at->id, at->id_n };
}

void query_cursor_set(struct query_cursor *at, struct str id)
{
    if (id.n >= sizeof at->id) return;
    if (id.n) memcpy(at->id, id.p, id.n);
    at->id_n = id.n;
}

/* Keyset: behind the last row of the page before, or from a time on. */
static void add_cursor(struct look *l, const struct query_cursor *at)
{
    struct str time = row_time(&l->p->arena, at->ms);
    if (at->id_n) {
        strbuf_c(&l->sql, "(completed_at > ");
        row_quote(&l->sql, time);
        strbuf_c(&l->sql, " OR (completed_at = ");
        row_quote(&l->sql, time);
        strbuf_c(&l->sql, " AND run_id > ");
        row_quote(&l->sql, query_cursor_id(at));
        strbuf_c(&l->sql, ")) AND ");
    } else {
        strbuf_c(&l->sql, "completed_at >= ");
        row_quote(&l->sql, time);
        strbuf_c(&l->sql, " AND ");
    }
}

static void write_finished(struct look *l, void *ctx)
{
    const struct query_cursor *at = ctx;
    strbuf_printf(&l->sql, "SELECT %s FROM runs WHERE ", row_columns);
    add_cursor(l, at);
    add_finals(l);
    add_tasks(l);
    strbuf_c(&l->sql, " ORDER BY completed_at, run_id");
}

/* Is it news? A run that a thinner look has told already is none, unless it ended since. */
static bool is_news(const struct recalled *k, const struct run *run)
{
    bool over = run_state_class(run->state) & RUN_CLASS_FINISHED;
    if (recalled_is_final(k) && !over) return false; /* the store behind the endpoint lags */
    return k->state != run->state || k->attempt < run->attempt_count;
}

static void still_there(struct poll *p, struct recalled *k)
{
    k->round = p->round;
    k->seen_ms = p->server_ms;
}

static void take_row(struct look *l, struct json row, struct query_cursor *at)
{
    static struct log_once once;
    struct recalled *k;
    struct run run;
    struct err err;
    run_init(&run);
    if (row_decode(&l->p->arena, row, &run, &err) < 0) {
        log_write_limited(&once, 60000, LOG_WARN, "source.row_passed_over", LOG_FIELDS(LOG_S("source", l->p->name), LOG_E(&err)));
        return;
    }
    query_cursor_set(at, run.id);
    if (run.finished_ms != RUN_TIME_NONE) {
        at->ms = run.finished_ms;
        if (run.finished_ms < l->p->position.start_ms) return; /* before our time */
    }
    poll_learn_env(l->p, run.env);
    k = recall_get(&l->p->recall, run.id);
    if (k) still_there(l->p, k);
    if (k && !is_news(k, &run)) return;
    still_there(l->p, recall_note(&l->p->recall, &run));
    details_take(l->p, &run);
}

/* A full page behind which the next one could not begin would be asked for for ever. */
static enum api_outcome moves_on(struct look *l, const struct query_cursor *before, const struct query_cursor *at)
{
    if (at->ms != before->ms || !str_eq(query_cursor_id(at), query_cursor_id(before))) return API_OK;
    err_set(l->err, ERR_IO, "the query's pages do not move on: no row of %lld could be read", (long long)l->rows);
    return API_FAILED;
}

/* Nothing of a page is needed after it was handed over. */
static void page_done(struct look *l)
{
    arena_reset(&l->p->arena);
}

/* Rows that need nothing more go at once; then those that had to wait for details, and with them the position. */
static int hand_over(struct look *l, int64_t position_ms)
{
    struct poll *p = l->p;
    bool due = p->demand.absent || poll_mono(p) - p->position_stored_ms >= POSITION_EVERY_MS, any = p->found.n + p->needy.n > 0;
    if (p->needy.n && p->found.n && poll_hand_over(p, false, l->err) < 0) return -1;
    if (details_settle(p, l->err) < 0) return -1;
    if (position_ms > p->position.told_ms) p->position.told_ms = position_ms;
    return any || due ? poll_hand_over(p, true, l->err) : 0;
}

static enum api_outcome finished(struct look *l)
{
    struct poll *p = l->p;
    int64_t began_ms = 0;
    struct query_cursor at = { .ms = p->position.told_ms - p->source->api.overlap_ms }, before;
    enum api_outcome outcome;
    bool last, first = true;
    for (;;) {
        outcome = ask_less(l, write_finished, &at);
        if (outcome != API_OK) return outcome;
        if (first) began_ms = p->server_ms;
        if (first && position_rewind(p, began_ms)) {
            at.ms = p->position.told_ms - p->source->api.overlap_ms;
            continue;
        }
        first = false;
        before = at;
        for (struct json row = json_first(l->list); json_kind(row) != JSON_ABSENT; row = json_next(row)) take_row(l, row, &at);
        /* After the last page everything that had finished when the first was asked for has been seen. */
        last = is_last(l);
        if (hand_over(l, last ? began_ms - CLOCK_SLACK_MS : at.ms) < 0) return API_INTERRUPTED;
        page_done(l);
        if (last) return API_OK;
        outcome = moves_on(l, &before, &at);
        if (outcome != API_OK) return outcome;
    }
}

/* --- what is active ------------------------------------------------------------------------------------ */
static void write_active(struct look *l, void *ctx)
{
    const struct query_cursor *at = ctx;
    uint32_t states = active_states(l->p);
    strbuf_printf(&l->sql, "SELECT %s FROM runs WHERE completed_at IS NULL AND (", row_columns);
    if (states) add_titles(l, states);
    if (states && l->p->demand.attempts) strbuf_c(&l->sql, " OR ");
    if (l->p->demand.attempts) strbuf_c(&l->sql, "attempt_count > 1");
    strbuf_c(&l->sql, ")");
    add_tasks(l);
    if (at->id_n) {
        strbuf_c(&l->sql, " AND run_id > ");
        row_quote(&l->sql, query_cursor_id(at));
    }
    strbuf_c(&l->sql, " ORDER BY run_id");
}

static enum api_outcome active(struct look *l)
{
    struct query_cursor at = { 0 }, before;
    enum api_outcome outcome;
    size_t n = 0;
    if (!active_states(l->p) && !l->p->demand.attempts) return API_OK;
    for (bool last = false; !last;) {
        outcome = ask_less(l, write_active, &at);
        if (outcome != API_OK) return outcome;
        before = at;
        for (struct json row = json_first(l->list); json_kind(row) != JSON_ABSENT; row = json_next(row)) take_row(l, row, &at);
        n += l->n;
        last = is_last(l);
        if (hand_over(l, 0) < 0) return API_INTERRUPTED;
        page_done(l);
        outcome = last ? API_OK : moves_on(l, &before, &at);
        if (outcome != API_OK) return outcome;
    }
    l->p->active = n;
    return API_OK;
}

/* --- a look -------------------------------------------------------------------------------------------- */
/* Runs out of reach of the next look: finished before it begins, or not active any more. */
static void forget_old(struct poll *p)
{
    struct map_entry *e;
    size_t at = 0;
    int64_t reach_ms = p->position.told_ms - p->source->api.overlap_ms - CLOCK_SLACK_MS;
    while ((e = map_next(&p->recall.runs, &at))) {
        struct recalled *k = e->value;
        bool old = recalled_is_final(k) ? k->finished_ms < reach_ms : k->round < p->round;
        if (old && k->seen_ms < p->server_ms - p->source->api.overlap_ms) recall_forget(&p->recall, k);
    }
}

/* The smallest question there is: does it answer, and what does its clock say? */
static enum api_outcome ask_one(struct look *l)
{
    enum api_outcome outcome;
    strbuf_clear(&l->sql);
    strbuf_c(&l->sql, "SELECT run_id FROM runs WHERE completed_at IS NULL ORDER BY run_id");
    l->rows = 1;
    outcome = ask(l);
    l->rows = ROWS_MOST;
    return outcome;
}

enum api_outcome query_probe(struct poll *p, struct err *err)
{
    struct look l = { .p = p, .err = err };
    enum api_outcome outcome;
    strbuf_init(&l.sql, 4096);
    outcome = ask_one(&l);
    strbuf_fini(&l.sql);
    return outcome;
}

/* A new source starts now: the server's clock says when that is. */
static enum api_outcome begin(struct look *l)
{
    struct poll *p = l->p;
    enum api_outcome outcome = ask_one(l);
    if (outcome != API_OK) return outcome;
    p->position.told_ms = p->position.from_ms = p->position.start_ms = p->server_ms;
    p->position.known = true;
    poll_learn_start(p);
    return poll_hand_over(p, true, l->err) < 0 ? API_INTERRUPTED : API_OK;
}

/* Nobody asks for anything: that the server answers is still to be known, and rules that come begin then. */
static enum api_outcome pass_time(struct look *l)
{
    struct poll *p = l->p;
    enum api_outcome outcome = ask_one(l);
    if (outcome != API_OK) return outcome;
    p->position.told_ms = p->server_ms - CLOCK_SLACK_MS;
    return hand_over(l, 0) < 0 ? API_INTERRUPTED : API_OK;
}

enum api_outcome query_look(struct poll *p, struct err *err)
{
    struct look l = { .p = p, .err = err, .rows = ROWS_MOST };
    enum api_outcome outcome = API_OK;
    strbuf_init(&l.sql, 4 << 20);
    details_begin(p);
    position_is_of(&p->position, METHOD_QUERY);
    if (!p->position.known) outcome = begin(&l);
    if (outcome == API_OK && p->demand.rules) outcome = active(&l);
    if (outcome == API_OK) outcome = p->demand.attempts || final_states(p) ? finished(&l) : pass_time(&l);
    /* One that this look did not find retried was not: what it finds of it later is new, however long it ran before. */
    if (outcome == API_OK) p->position.attempts = p->demand.rules && p->demand.attempts;
    if (outcome == API_OK) forget_old(p);
    strbuf_fini(&l.sql);
    return outcome;
}

/* --- history ------------------------------------------------------------------------------------------- */
struct span { struct query_cursor *at; int64_t until_ms; };

static void write_history(struct look *l, void *ctx)
{
    const struct span *s = ctx;
    strbuf_printf(&l->sql, "SELECT %s FROM runs WHERE ", row_columns);
    add_cursor(l, s->at);
    strbuf_c(&l->sql, "completed_at < ");
    row_quote(&l->sql, row_time(&l->p->arena, s->until_ms));
    strbuf_c(&l->sql, " ORDER BY completed_at, run_id");
}

enum api_outcome query_history_page(struct poll *p, struct query_cursor *at, int64_t until_ms, int64_t rows, struct query_page *out, struct err *err)
{
    struct look l = { .p = p, .err = err, .rows = rows };
    struct span span = { at, until_ms };
    enum api_outcome outcome;
    struct err passed;
    strbuf_init(&l.sql, 1 << 16);
    outcome = ask_less(&l, write_history, &span);
    *out = (struct query_page){ .last = true };
    if (outcome == API_OK) {
        out->last = is_last(&l);
        out->runs = ARENA_ARRAY(&p->arena, struct run, l.n + 1);
        for (struct json row = json_first(l.list); json_kind(row) != JSON_ABSENT; row = json_next(row)) {
            struct run *run = &out->runs[out->n];
            if (row_decode(&p->arena, row, run, &passed) < 0) continue;
            query_cursor_set(at, run->id);
            if (run->finished_ms != RUN_TIME_NONE) at->ms = run->finished_ms;
            out->n++;
        }
    }
    strbuf_fini(&l.sql);
    return outcome;
}
