#include "source/past.h"

#include "source/poll_internal.h"

enum { PATIENCE = 5, PAUSE_MS = 1000 }; /* pages that fail one after another, each after tries of its own */

struct past {
    const struct past_setup *setup;
    struct pollers all;
    struct poll *poll;
};

static int percent_of(const struct history *h)
{
    int64_t whole = h->until_ms - h->since_ms, part = h->at.ms - h->since_ms;
    return h->state == HISTORY_DONE || whole <= 0 ? 100 : (int)(part * 100 / whole);
}

static void tell(const struct past *x, const char *trouble)
{
    const struct past_setup *s = x->setup;
    if (s->progress) s->progress(s->progress_ctx, percent_of(&x->poll->history), x->poll->history.runs, trouble);
}

static void on_again(void *ctx, const struct err *err)
{
    tell(ctx, err ? err->msg : "");
}

static void on_fault(void *ctx, struct str topic, struct str title, struct str body)
{
    (void)ctx; /* there is no operator here: whoever asked is told by the outcome */
    (void)topic;
    (void)title;
    (void)body;
}

/* One page after another. What may heal is waited for, a while. */
static enum api_outcome read_pages(struct past *x, struct err *err)
{
    struct poll *p = x->poll;
    bool last = false;
    for (int failures = 0; !last;) {
        enum api_outcome outcome;
        poll_reset(p);
        outcome = history_step(p, &last, err);
        if (outcome != API_OK && (outcome != API_FAILED || ++failures == PATIENCE)) return outcome;
        if (outcome == API_OK) failures = 0;
        tell(x, outcome == API_OK ? "" : err->msg);
        if (outcome != API_OK && !fetch_sleep(p->api.fetch, PAUSE_MS)) return API_INTERRUPTED;
    }
    return API_OK;
}

static enum api_outcome read_all(struct past *x, struct err *err)
{
    struct poll *p = x->poll;
    struct history *h = &p->history;
    enum api_outcome outcome;
    poll_take_rules(p);
    outcome = poll_settle(p, err);
    if (outcome != API_OK) return outcome;
    *h = (struct history){ .loaded = true, .state = HISTORY_RUNNING, .since_ms = x->setup->since_ms, .at.ms = x->setup->since_ms, .until_ms = api_server_now(&p->api) };
    return read_pages(x, err);
}

enum past_outcome past_read(const struct past_setup *s, enum source_method *method, uint64_t *runs, struct err *err)
{
    struct past x = { .setup = s, .all = { .clock = s->clock, .sink = s->sink } };
    enum api_outcome outcome;
    struct err why = { 0 };
    x.all.sink.fault = on_fault;
    pthread_mutex_init(&x.all.lock, NULL);
    x.poll = poll_make(&x.all, s->config, s->source);
    x.poll->api.on_again = on_again;
    x.poll->api.ctx = &x;
    outcome = read_all(&x, &why);
    *method = x.poll->method;
    *runs = x.poll->history.runs;
    poll_free(x.poll);
    pthread_mutex_destroy(&x.all.lock);
    if (outcome == API_OK) return PAST_READ;
    err_set(err, why.code ? why.code : ERR_IO, "%.150s%s", why.msg, poll_remedy(outcome));
    return outcome == API_DENIED ? PAST_DENIED : PAST_FAILED;
}

uint32_t past_tells(enum source_method m)
{
    return poll_tells(m);
}
