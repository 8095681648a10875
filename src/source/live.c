/* The realtime feed of a source: hears of changes at once. An accelerator only: what it misses or cannot tell, looking
 * finds; so it keeps no position, and says nothing of runs whose rules read what the feed does not have. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "source/poll_internal.h"
#include "source/shape.h"
#include "source/webhook.h"

enum {
    HOLD_MS = 60000, /* a live request is held for about 20 s */
    BYTES_MOST = 32 << 20, BACKOFF_MS = 500, BACKOFF_MOST_MS = 30000, ENV_WAIT_MS = 200,
    PACE_MS = 100, QUICK_MS = 1000, QUICK_FEW = 4, QUICK_WAIT_MS = 100, QUICK_WAIT_MOST_MS = 5000,
    FEED_TELLS = RUN_HAS_STATE | RUN_HAS_TASK | RUN_HAS_TAGS | RUN_HAS_TEST | RUN_HAS_CREATED | RUN_HAS_UPDATED | RUN_HAS_STARTED |
                 RUN_HAS_FINISHED | RUN_HAS_DELAYED | RUN_HAS_COST | RUN_HAS_ERROR | RUN_HAS_METADATA,
    RETRIEVE_LACKS = RUN_HAS_QUEUE | RUN_HAS_MACHINE
};
static const char *const windows[] = { "24h", "6h", "1h" }; /* shorter where the whole is too large */

struct live {
    struct poll *p;
    struct shape shape;
    struct arena arena, demand_arena;
    struct config *rules;
    struct rule_demand demand;
    char env[128];           /* slug; "" = not known yet */
    int64_t start_ms;        /* of the source; RUN_TIME_NONE = not known yet */
    size_t window;
    int64_t started_ms;      /* by the server's clock; 0 = not known yet */
    VEC(struct run) found;
    uint64_t reports;
    unsigned quick;          /* answers in a row that came at once and told nothing */
    bool metadata;           /* the subscription has that column */
};

static void say(struct live *l, bool ok, const char *trouble)
{
    struct poll *p = l->p;
    pthread_mutex_lock(&p->lock);
    p->status.live_ok = ok;
    p->status.live_reports = l->reports;
    snprintf(p->status.live_trouble, sizeof p->status.live_trouble, "%.150s", trouble);
    pthread_mutex_unlock(&p->lock);
}

static void take_rules(struct live *l)
{
    struct config *next;
    pthread_mutex_lock(&l->p->lock);
    next = l->p->live_rules;
    l->p->live_rules = NULL;
    pthread_mutex_unlock(&l->p->lock);
    if (!next) return;
    if (l->rules) config_unref(&l->rules);
    l->rules = next;
    arena_reset(&l->demand_arena);
    ruleset_demand(l->rules->rules, &l->demand_arena, l->p->source->project.n ? l->p->source->project : STR("default"), l->p->source->env, &l->demand);
    if (l->metadata != ((l->demand.reads & RUN_HAS_METADATA) != 0)) shape_restart(&l->shape); /* other columns: another feed */
    l->metadata = (l->demand.reads & RUN_HAS_METADATA) != 0;
}

/* --- changes ------------------------------------------------------------------------------------------- */
enum how { NOT_AT_ALL, AS_IT_IS, BY_ID };

/* A rule that could hit and reads what the feed does not tell would make a key without it. */
static enum how how_to_tell(struct live *l, const struct run *run)
{
    struct transition t = { .kind = TRANSITION_NEW, .state = run->state, .event_ms = run_event_time(run, poll_wall(l->p)) };
    struct rule_subject s;
    uint32_t known = run->present | FEED_TELLS | RULE_KNOWS_KIND | RULE_KNOWS_RUN | RULE_KNOWS_PROJECT | RULE_KNOWS_ENV, lacks = 0;
    const struct ruleset *rs = l->rules->rules;
    rule_subject_init(&s, &l->arena, run, &t, poll_wall(l->p));
    for (size_t k = 0; k < rs->rule_count; k++)
        if ((rs->rules[k]->reads & ~(uint32_t)FEED_TELLS) && rule_could_hit(rs->rules[k], &s, known)) lacks |= rs->rules[k]->reads & ~(uint32_t)FEED_TELLS;
    if (lacks & RETRIEVE_LACKS) return NOT_AT_ALL;
    return lacks ? BY_ID : AS_IT_IS;
}

static int by_text(const void *x, const void *y)
{
    return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static bool is_wanted(const struct live *l, const struct run *run)
{
    const struct rule_names *tasks = &l->demand.tasks;
    bool retry = l->demand.attempts && (run->state == RUN_EXECUTING || run->state == RUN_QUEUED) && run->started_ms != RUN_TIME_NONE;
    if (!tasks->all && !bsearch(&run->task, tasks->v, tasks->n, sizeof *tasks->v, by_text)) return false;
    return l->demand.states >> run->state & 1 || retry;
}

static void on_change(void *ctx, struct str object, struct str before, bool known)
{
    struct live *l = ctx;
    struct json root;
    struct run run;
    struct err err;
    bool over;
    if (json_parse(&l->arena, object, &json_own_limits, &root, NULL, &err) < 0 || run_decode(&l->arena, root, &run, &err) < 0) return;
    over = run_state_class(run.state) & RUN_CLASS_FINISHED;
    if (known && str_eq(before, run.spelling)) return;
    /* How things stand is for looking to tell, and so is what ended before; some servers send it more than once. */
    if (!known && (over ? run.finished_ms < l->started_ms : !l->shape.news)) return;
    if (!is_wanted(l, &run)) return;
    run.env = str_c(l->env);
    source_settle(l->p->source, &run);
    switch (how_to_tell(l, &run)) {
    case AS_IT_IS: *vec_push(&l->found) = run; break;
    case BY_ID: poll_hint(l->p, run.id); break;
    case NOT_AT_ALL:
    default: break;
    }
}

static void hand_over(struct live *l)
{
    const struct poller_sink *sink = &l->p->all->sink;
    struct poller_batch b = { .config = l->p->settings, .source = l->p->source, .start_ms = l->start_ms, .position = STR_NONE };
    struct err err;
    for (size_t at = 0; at < l->found.n; at += SUBMIT_RUNS) {
        b.runs = l->found.v + at;
        b.run_count = l->found.n - at < SUBMIT_RUNS ? l->found.n - at : SUBMIT_RUNS;
        b.bytes = b.run_count * 1024;
        if (sink->submit(sink->ctx, &b, &err) < 0) break; /* looking will find them */
        l->reports += b.run_count;
    }
    vec_clear(&l->found);
}

/* --- the feed ------------------------------------------------------------------------------------------ */
static struct str columns_to_skip(const struct live *l)
{
    return l->metadata
               ? STR("payload,payloadType,output,outputType,number,realtimeStreams,usageDurationMs,baseCostInCents,ttl,queuedAt,expiredAt")
               : STR("payload,payloadType,output,outputType,number,realtimeStreams,usageDurationMs,baseCostInCents,ttl,queuedAt,expiredAt,metadata,metadataType");
}

static int ask(struct live *l, struct err *err)
{
    static const struct fetch_header version[] = { { STR("x-trigger-electric-version"), STR("1.0.0-beta.1") } };
    struct poll *p = l->p;
    struct fetch_answer answer;
    struct str query = shape_query(&l->shape, &l->arena, windows[l->window], columns_to_skip(l));
    struct fetch_request r = { .url = str_printf(&l->arena, STR_FMT "/realtime/v1/runs?" STR_FMT, STR_ARG(p->source->api.url), STR_ARG(query)),
                               .body = STR_NONE, .headers = version, .header_count = 1, .timeout_ms = HOLD_MS, .bytes_most = BYTES_MOST };
    fetch_do(p->live_fetch, &l->arena, &r, &answer);
    if (answer.interrupted) return err_set(err, ERR_BUSY, "stopping");
    if (answer.too_large && l->window + 1 < sizeof windows / sizeof *windows) {
        l->window++;
        shape_restart(&l->shape);
        return 0;
    }
    if (answer.status == 409) { /* the feed has moved: begin again, under the handle it names */
        shape_restart(&l->shape);
        return 0;
    }
    if (answer.status == 0) return err_set(err, ERR_IO, STR_FMT, STR_ARG(answer.trouble));
    if (answer.status != 200) return err_set(err, ERR_IO, "HTTP %d", answer.status);
    if (l->started_ms == 0) l->started_ms = answer.server_ms != RUN_TIME_NONE ? answer.server_ms : poll_wall(p);
    if (shape_take(&l->shape, &l->arena, &answer, on_change, l, err) == 0) return 0;
    shape_restart(&l->shape);
    return -1;
}

/* The feed does not name its environment; where the key does not either, looking has seen a run of it first. */
static bool learn_env(struct live *l)
{
    pthread_mutex_lock(&l->p->lock);
    memcpy(l->env, l->p->env, sizeof l->env);
    pthread_mutex_unlock(&l->p->lock);
    return l->env[0] != '\0';
}

/* Which runs are older than the source, looking knows first. */
static bool learn_start(struct live *l)
{
    pthread_mutex_lock(&l->p->lock);
    l->start_ms = l->p->start_ms;
    pthread_mutex_unlock(&l->p->lock);
    return l->start_ms != RUN_TIME_NONE;
}

static void close_live(struct live *l)
{
    if (l->rules) config_unref(&l->rules);
    shape_fini(&l->shape);
    vec_free(&l->found);
    arena_fini(&l->arena);
    arena_fini(&l->demand_arena);
}

/* A server (or what stands before it) that does not hold requests, or sends back to the start each time, is not to be
 * asked as fast as it answers. */
static int64_t pause_after(struct live *l, int64_t took_ms)
{
    unsigned over;
    int64_t wait_ms;
    if (took_ms >= QUICK_MS || l->shape.changed) {
        l->quick = 0;
        return took_ms < PACE_MS ? PACE_MS - took_ms : 0; /* a busy feed has news at any moment: a tenth of a second's at once */
    }
    if (++l->quick <= QUICK_FEW) return 0;
    over = l->quick - QUICK_FEW - 1;
    wait_ms = (int64_t)QUICK_WAIT_MS << (over < 6 ? over : 6);
    return wait_ms < QUICK_WAIT_MOST_MS ? wait_ms : QUICK_WAIT_MOST_MS;
}

static int64_t one_turn(struct live *l, int64_t *backoff_ms)
{
    static struct log_once once;
    struct err err = { 0 };
    int64_t began = poll_mono(l->p);
    arena_reset(&l->arena);
    take_rules(l);
    l->shape.changed = false;
    if (!learn_start(l) || (!l->env[0] && !learn_env(l))) return ENV_WAIT_MS;
    if (ask(l, &err) == 0) {
        hand_over(l);
        fetch_wake(l->p->api.fetch); /* for hints */
        say(l, true, "");
        *backoff_ms = BACKOFF_MS;
        return pause_after(l, poll_mono(l->p) - began);
    }
    vec_clear(&l->found);
    say(l, false, err.msg);
    log_write_limited(&once, 30000, LOG_WARN, "source.live_failed", LOG_FIELDS(LOG_S("source", l->p->name), LOG_E(&err)));
    *backoff_ms = *backoff_ms * 2 > BACKOFF_MOST_MS ? BACKOFF_MOST_MS : *backoff_ms * 2;
    return *backoff_ms;
}

void *live_run(void *poll)
{
    struct live l = { .p = poll };
    int64_t backoff_ms = BACKOFF_MS;
    shape_init(&l.shape);
    while (fetch_sleep(l.p->live_fetch, one_turn(&l, &backoff_ms))) {}
    close_live(&l);
    return NULL;
}
