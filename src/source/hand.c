/* What a look found, on its way to the pipeline: oldest first, in portions, the position with the last of them. */
#include "base/log.h"
#include "source/poll_internal.h"
#include "source/webhook.h"

enum { RUN_BYTES = 512, TRY_AGAIN_MS = 500 };

static size_t bytes_of(const struct run *run)
{
    return RUN_BYTES + json_text(run->metadata).n + run->error.stack.n + run->error.message.n;
}

void poll_found(struct poll *p, const struct run *run)
{
    *vec_push(&p->found) = *run;
    source_settle(p->source, &p->found.v[p->found.n - 1]);
    p->found_bytes += bytes_of(run);
}

static int64_t time_of(const struct run *r)
{
    if (r->finished_ms != RUN_TIME_NONE) return r->finished_ms;
    if (r->updated_ms != RUN_TIME_NONE) return r->updated_ms;
    return INT64_MAX; /* as of now */
}

static int by_time(const void *x, const void *y)
{
    const struct run *a = x, *b = y;
    int64_t s = time_of(a), t = time_of(b);
    return s != t ? (s < t ? -1 : 1) : str_cmp(a->id, b->id);
}

/* Waits until it is durable: a full disk or queue heals, and until then nothing is passed over. */
static int submit(struct poll *p, const struct poller_batch *b, struct err *err)
{
    const struct poller_sink *sink = &p->all->sink;
    static struct log_once once;
    while (sink->submit(sink->ctx, b, err) < 0) {
        log_write_limited(&once, 5000, LOG_WARN, "source.not_stored", LOG_FIELDS(LOG_S("source", p->name), LOG_E(err)));
        if (!fetch_sleep(p->api.fetch, TRY_AGAIN_MS)) return err_set(err, ERR_BUSY, "stopping");
    }
    return 0;
}

static void note_newest(struct poll *p, const struct run *r)
{
    int64_t t = time_of(r);
    if (t != INT64_MAX && t > p->newest_ms) p->newest_ms = t;
}

/* As many of them as are handed over at once. */
static void fill_portion(struct poller_batch *b, const struct run *v, size_t n)
{
    b->runs = v;
    b->run_count = b->bytes = 0;
    while (b->run_count < n && b->run_count < SUBMIT_RUNS && b->bytes < SUBMIT_BYTES) b->bytes += bytes_of(&v[b->run_count++]);
}

int poll_hand_over(struct poll *p, bool with_position, struct err *err)
{
    size_t n = p->found.n;
    struct poller_batch b = { .config = p->settings, .source = p->source, .start_ms = p->start_ms, .position = STR_NONE, .attempts_followed = p->position.attempts, .reread = p->rereading };
    if (n > 1) qsort(p->found.v, n, sizeof *p->found.v, by_time);
    for (size_t at = 0; at < n || with_position; at += b.run_count) {
        fill_portion(&b, p->found.v + at, n - at);
        if (with_position && at + b.run_count == n) b.position = position_text(p, &p->arena);
        if (submit(p, &b, err) < 0) return -1;
        for (size_t k = 0; k < b.run_count; k++) note_newest(p, &b.runs[k]);
        if (at + b.run_count >= n) break;
    }
    if (with_position) p->position_stored_ms = poll_mono(p);
    p->transitions += n;
    vec_clear(&p->found);
    p->found_bytes = 0;
    return 0;
}
