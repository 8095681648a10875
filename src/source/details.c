/* Details of single runs. A retrieve costs as much as a page of a hundred runs, so it is made only for runs that some
 * rule could hit and whose rule or message reads what the page did not tell. */
#include <string.h>

#include "base/log.h"
#include "source/poll_internal.h"
#include "source/webhook.h"

enum {
    /* What a retrieve can add (trigger-dev-api.md section 3). */
    DETAILS = RUN_HAS_METADATA | RUN_HAS_ERROR | RUN_HAS_ATTEMPT | RUN_HAS_ROOT | RUN_HAS_PARENT | RUN_HAS_SCHEDULE | RUN_HAS_BATCH,
    KNOWN_ALWAYS = RULE_KNOWS_KIND | RULE_KNOWS_RUN | RULE_KNOWS_PROJECT | RULE_KNOWS_ENV,
    ROOM_KEPT = 4, /* requests for the next look's pages */
    LEAST_MS = 5000, PORTION_MS = 1000, LATE_PAUSE_MS = 1000, LATE_PAUSE_MOST_MS = 60000
};

void details_prepare(struct poll *p)
{
    const struct ruleset *rs = p->rules->rules;
    vec_clear(&p->detail_rules);
    vec_clear(&p->attempt_rules);
    for (size_t k = 0; rs && k < rs->rule_count; k++) {
        const struct rule *r = rs->rules[k];
        if (r->reads & ~p->tells & DETAILS) *vec_push(&p->detail_rules) = r;
        if ((rule_states(r) != (1u << RUN_STATES) - 1 && rule_states(r) >> RUN_REATTEMPTING & 1) || (r->reads & RUN_HAS_ATTEMPT))
            *vec_push(&p->attempt_rules) = r;
    }
}

/* --- which runs ---------------------------------------------------------------------------------------- */
static void subject_of(struct poll *p, const struct run *run, struct transition *t, struct rule_subject *s)
{
    *t = (struct transition){ .kind = TRANSITION_NEW, .state = run->state, .attempt = run->attempt, .event_ms = run_event_time(run, poll_wall(p)) };
    rule_subject_init(s, &p->arena, run, t, poll_wall(p));
}

bool details_attempts(struct poll *p, const struct run *run)
{
    struct transition t;
    struct rule_subject s;
    uint32_t known = ((run->present | p->tells) & ~(uint32_t)(RUN_HAS_STATE | RUN_HAS_ERROR | RUN_HAS_ATTEMPT | RUN_HAS_FINISHED)) | KNOWN_ALWAYS;
    if (run->present & RUN_HAS_ATTEMPT) return false;
    subject_of(p, run, &t, &s);
    for (size_t k = 0; k < p->attempt_rules.n; k++)
        if (rule_could_hit(p->attempt_rules.v[k], &s, known)) return true;
    return false;
}

/* The message of a failure says which error it was. */
static bool error_wanted(struct poll *p, const struct run *run)
{
    struct transition t;
    struct rule_subject s;
    const uint32_t *candidates;
    size_t n;
    if ((run->present | p->tells) & RUN_HAS_ERROR || !(run_state_class(run->state) & RUN_CLASS_FAILED)) return false;
    subject_of(p, run, &t, &s);
    n = ruleset_candidates(p->rules->rules, &s, &p->scratch, &candidates);
    for (size_t k = 0; k < n; k++)
        if (rule_matches(p->rules->rules->rules[candidates[k]], &s)) return true;
    return false;
}

static bool wanted(struct poll *p, const struct run *run)
{
    struct transition t;
    struct rule_subject s;
    uint32_t known = run->present | p->tells | KNOWN_ALWAYS;
    bool over = run_state_class(run->state) & RUN_CLASS_FINISHED;
    if (!str_absent(p->source->api.project_ref)) return false; /* a personal token cannot retrieve */
    if (over && details_attempts(p, run)) return true;
    subject_of(p, run, &t, &s);
    for (size_t k = 0; k < p->detail_rules.n; k++)
        if ((p->detail_rules.v[k]->reads & ~(run->present | p->tells) & DETAILS) && rule_could_hit(p->detail_rules.v[k], &s, known)) return true;
    return error_wanted(p, run);
}

/* --- fetching ------------------------------------------------------------------------------------------ */
static void fill_text(struct str *to, struct str from, uint32_t bit, struct run *run)
{
    if (to->n || !from.n) return;
    *to = from;
    run->present |= bit;
}

/* What rows tell and a retrieve does not. */
static void fill(struct run *full, const struct run *thin)
{
    fill_text(&full->env, thin->env, 0, full);
    fill_text(&full->queue, thin->queue, RUN_HAS_QUEUE, full);
    fill_text(&full->machine, thin->machine, RUN_HAS_MACHINE, full);
    fill_text(&full->region, thin->region, RUN_HAS_REGION, full);
    fill_text(&full->batch, thin->batch, RUN_HAS_BATCH, full);
    fill_text(&full->root, thin->root, RUN_HAS_ROOT, full);
    fill_text(&full->parent, thin->parent, RUN_HAS_PARENT, full);
    if (!(full->present & RUN_HAS_ERROR) && (thin->present & RUN_HAS_ERROR)) {
        full->error = thin->error;
        full->present |= RUN_HAS_ERROR;
    }
}

/* A retrieve brings payload and output: only the run itself is kept. */
static int keep(struct arena *a, struct arena *scratch, struct json root, struct str id, struct run *out, struct err *err)
{
    struct json_draft d;
    struct json copy;
    struct run run;
    struct str text;
    if (run_decode(scratch, root, &run, err) < 0) return -1;
    if (!str_eq(run.id, id)) return err_set(err, ERR_IO, "it answered with another run");
    run_write(&run, json_draft_begin(&d, 4 << 20));
    text = json_draft_end(&d, a);
    if (json_parse(a, text, &json_own_limits, &copy, NULL, err) < 0) return -1;
    return run_restore(a, copy, out, err);
}

enum api_outcome details_get(struct poll *p, struct arena *a, struct str id, const struct run *thin, struct run *out, struct err *err)
{
    struct api_answer answer;
    struct arena scratch = { 0 };
    struct strbuf path;
    enum api_outcome outcome;
    run_init(out);
    strbuf_init(&path, 4096);
    strbuf_c(&path, "/api/v3/runs/");
    api_encode(&path, id);
    outcome = api_call(&p->api, &scratch, strbuf_view(&path), STR_NONE, &answer, err);
    if (outcome == API_OK && keep(a, &scratch, answer.root, id, out, err) < 0) outcome = API_FAILED;
    strbuf_fini(&path);
    arena_fini(&scratch);
    if (outcome == API_OK) fill(out, thin);
    return outcome;
}

void details_put_off(struct poll *p, struct str id)
{
    for (size_t k = 0; k < p->late.n; k++) /* told again after a look that failed */
        if (str_eq(p->late.v[k], id)) return;
    if (p->late.n >= LATE_MOST) return;
    *vec_push(&p->late) = (struct str){ strndup(id.p, id.n), id.n };
}

void details_take(struct poll *p, struct run *run)
{
    source_settle(p->source, run);
    if (wanted(p, run)) *vec_push(&p->needy) = *run;
    else poll_found(p, run);
}

static void go_without(struct poll *p, const struct run *thin)
{
    p->thin++;
    poll_found(p, thin);
    details_put_off(p, thin->id);
}

/* The row's own state is told, too, where the run has moved on since: both were seen. */
static void take_full(struct poll *p, const struct run *thin, struct run *full)
{
    bool over = run_state_class(thin->state) & RUN_CLASS_FINISHED, full_over = run_state_class(full->state) & RUN_CLASS_FINISHED;
    if (over && !full_over) { /* from a copy of the database that lags: its details are those of before */
        go_without(p, thin);
        return;
    }
    if (over) { /* two spellings of one end */
        full->state = thin->state;
        full->spelling = thin->spelling;
    } else if (thin->state != full->state) {
        poll_found(p, thin);
    }
    poll_found(p, full);
}

/* -1: interrupted. */
static int settle_one(struct poll *p, const struct run *thin, bool in_time, struct err *err)
{
    struct run full;
    enum api_outcome outcome = in_time ? details_get(p, &p->details_arena, thin->id, thin, &full, err) : API_FAILED;
    if (outcome == API_INTERRUPTED) return -1;
    if (outcome == API_OK) take_full(p, thin, &full);
    else if (outcome == API_FAILED) go_without(p, thin);
    else poll_found(p, thin);
    return 0;
}

void details_begin(struct poll *p)
{
    p->details_left_ms = p->source->api.every_ms > LEAST_MS ? p->source->api.every_ms : LEAST_MS;
}

/* What has its details does not wait for the rest, and does not fill the memory. */
int details_settle(struct poll *p, struct err *err)
{
    int64_t began = poll_mono(p), handed = began, now = began;
    for (size_t k = 0; k < p->needy.n; k++) {
        if (settle_one(p, &p->needy.v[k], now - began < p->details_left_ms, err) < 0) return -1;
        now = poll_mono(p);
        if (now - handed < PORTION_MS && p->found_bytes < SUBMIT_BYTES) continue;
        handed = now;
        if (poll_hand_over(p, false, err) < 0) return -1;
        arena_reset(&p->details_arena);
    }
    p->details_left_ms -= now - began;
    vec_clear(&p->needy);
    return 0;
}

/* Its turn comes again behind all others, and not soon: a server that fails is not to be beaten. */
static int wait_for_late(struct poll *p, struct str id)
{
    (void)vec_push(&p->late);
    memmove(p->late.v + 1, p->late.v, (p->late.n - 1) * sizeof *p->late.v);
    p->late.v[0] = id;
    p->late_backoff_ms = p->late_backoff_ms ? p->late_backoff_ms * 2 : LATE_PAUSE_MS;
    if (p->late_backoff_ms > LATE_PAUSE_MOST_MS) p->late_backoff_ms = LATE_PAUSE_MOST_MS;
    p->late_pause_ms = poll_mono(p) + p->late_backoff_ms;
    log_info("source.details_later", LOG_S("source", p->name), LOG_S("run", id), LOG_I("waiting", (int64_t)p->late.n));
    return 0;
}

int details_late(struct poll *p, int64_t until_mono_ms, struct err *err)
{
    if (poll_mono(p) < p->late_pause_ms) return 0;
    while (p->late.n && poll_mono(p) < until_mono_ms && api_room(&p->api) > ROOM_KEPT) {
        struct str id = p->late.v[--p->late.n];
        const struct recalled *k = recall_get(&p->recall, id);
        struct run full, thin;
        enum api_outcome outcome;
        run_init(&thin);
        thin.env = k && k->env.n ? k->env : poll_env(p);
        outcome = thin.env.n ? details_get(p, &p->arena, id, &thin, &full, err) : API_NOT_FOUND;
        if (outcome == API_OK) {
            p->late_backoff_ms = 0;
            poll_found(p, &full);
        }
        if (outcome == API_FAILED) return wait_for_late(p, id);
        free((char *)id.p);
        if (outcome == API_INTERRUPTED || (p->found.n && poll_hand_over(p, false, err) < 0)) return -1;
        arena_reset(&p->arena);
    }
    return 0;
}

void details_fini(struct poll *p)
{
    for (size_t k = 0; k < p->late.n; k++) free((char *)p->late.v[k].p);
    vec_free(&p->late);
    vec_free(&p->needy);
    arena_fini(&p->details_arena);
    vec_free(&p->detail_rules);
    vec_free(&p->attempt_rules);
}
