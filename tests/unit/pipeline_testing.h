/* pipeline_testing: a pipeline that tests turn by hand, under a clock of their own: real engine, real store in
 * memory, the real deliver thread, and a receiver whose mood can be changed. */
#ifndef PIPELINE_TESTING_H
#define PIPELINE_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/id.h"
#include "config_testing.h"
#include "pipeline/pipeline_internal.h"
#include "source/webhook.h"

#define USED __attribute__((unused))
#define T0 INT64_C(1790000000000) /* when tests begin, by the wall */

/* --- a clock that two threads may read while the test moves it ---------------------------------------------- */
struct hand_clock {
    struct clock clock; /* first */
    atomic_int_least64_t wall_ms, mono_ms;
};

static struct wall hand_wall(struct clock *c)
{
    return (struct wall){ atomic_load(&((struct hand_clock *)(void *)c)->wall_ms) };
}

static struct mono hand_mono(struct clock *c)
{
    return (struct mono){ atomic_load(&((struct hand_clock *)(void *)c)->mono_ms) };
}

/* --- the receiver: one thread, many connections --------------------------------------------------------------- */
enum { HEARD_MAX = 4096, LINES_MAX = 32, LINE_BYTES = 65536 };
struct heard { char path[64], id[24], *body; int status; };
struct line { int fd; size_t n; char *buf; };
struct sink {
    int fd, port, stop[2];
    pthread_t thread;
    pthread_mutex_t lock;
    int status;             /* what it answers now */
    const char *answer;     /* with this body */
    struct heard heard[HEARD_MAX];
    size_t heard_count;
    struct line lines[LINES_MAX];
    size_t line_count;
};

static inline bool whole_request(const struct line *l, const char **head_end, size_t *length)
{
    const char *found;
    *head_end = strstr(l->buf, "\r\n\r\n");
    if (!*head_end) return false;
    found = strcasestr(l->buf, "content-length: ");
    *length = found ? strtoul(found + 16, NULL, 10) : 0;
    return l->n >= (size_t)(*head_end + 4 - l->buf) + *length;
}

static inline void hear(struct sink *s, struct line *l, const char *head_end, size_t length)
{
    const char *id = strcasestr(l->buf, "webhook-id: "), *path = strchr(l->buf, ' ') + 1;
    char answer[512];
    struct heard *h;
    int n;
    pthread_mutex_lock(&s->lock);
    assert_true(s->heard_count < HEARD_MAX);
    h = &s->heard[s->heard_count++];
    snprintf(h->path, sizeof h->path, "%.*s", (int)strcspn(path, " "), path);
    snprintf(h->id, sizeof h->id, "%.17s", id && id < head_end ? id + 12 : "");
    h->body = strndup(head_end + 4, length);
    h->status = s->status;
    n = snprintf(answer, sizeof answer, "HTTP/1.1 %d So\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", s->status,
                 strlen(s->answer), s->answer);
    pthread_mutex_unlock(&s->lock);
    if (send(l->fd, answer, (size_t)n, MSG_NOSIGNAL) < 0) return;
}

/* False: the other side has left. */
static inline bool line_read(struct sink *s, struct line *l)
{
    const char *head_end;
    size_t length, used;
    ssize_t got = recv(l->fd, l->buf + l->n, LINE_BYTES - 1 - l->n, 0);
    if (got <= 0) return false;
    l->n += (size_t)got;
    l->buf[l->n] = '\0';
    while (whole_request(l, &head_end, &length)) {
        hear(s, l, head_end, length);
        used = (size_t)(head_end + 4 - l->buf) + length;
        l->n -= used;
        memmove(l->buf, l->buf + used, l->n + 1);
    }
    return true;
}

static inline void line_close(struct sink *s, size_t at)
{
    close(s->lines[at].fd);
    free(s->lines[at].buf);
    s->lines[at] = s->lines[--s->line_count];
}

static void *sink_run(void *ctx)
{
    struct sink *s = ctx;
    for (;;) {
        struct pollfd p[LINES_MAX + 2] = { { s->stop[0], POLLIN, 0 }, { s->fd, POLLIN, 0 } };
        size_t n = s->line_count;
        for (size_t i = 0; i < n; i++) p[i + 2] = (struct pollfd){ s->lines[i].fd, POLLIN, 0 };
        if (poll(p, n + 2, -1) < 0 || p[0].revents) return NULL;
        for (size_t i = n; i-- > 0;)
            if (p[i + 2].revents && !line_read(s, &s->lines[i])) line_close(s, i);
        if (!p[1].revents) continue;
        assert_true(s->line_count < LINES_MAX);
        s->lines[s->line_count++] = (struct line){ accept(s->fd, NULL, NULL), 0, xcalloc(1, LINE_BYTES) };
    }
}

static inline struct sink *sink_open(void)
{
    struct sink *s = xcalloc(1, sizeof *s);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof a;
    s->status = 204;
    s->answer = "";
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a) | listen(s->fd, 64) | pipe(s->stop), 0);
    getsockname(s->fd, (struct sockaddr *)&a, &n);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, sink_run, s), 0);
    return s;
}

static inline void sink_close(struct sink *s)
{
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    pthread_join(s->thread, NULL);
    while (s->line_count) line_close(s, 0);
    for (size_t i = 0; i < s->heard_count; i++) free(s->heard[i].body);
    close(s->fd);
    close(s->stop[0]);
    close(s->stop[1]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static inline void sink_mood(struct sink *s, int status, const char *answer)
{
    pthread_mutex_lock(&s->lock);
    s->status = status;
    s->answer = answer;
    pthread_mutex_unlock(&s->lock);
}

/* How many requests were answered with status (0: any) and hold text in path, webhook-id or body. */
static inline size_t sink_count(struct sink *s, int status, const char *text)
{
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->heard_count; i++) {
        const struct heard *h = &s->heard[i];
        n += (status == 0 || h->status == status) && (strstr(h->path, text) || strstr(h->id, text) || strstr(h->body, text));
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline struct heard sink_last(struct sink *s)
{
    struct heard h = { 0 };
    pthread_mutex_lock(&s->lock);
    if (s->heard_count) h = s->heard[s->heard_count - 1];
    pthread_mutex_unlock(&s->lock);
    return h;
}

/* --- the world of one test -------------------------------------------------------------------------------------- */
struct world {
    struct hand_clock clock;
    struct rng rng;
    struct sink *sink;
    struct config *config;
    struct store *store;      /* outlives the pipeline: tests start another one on it */
    struct store_ops ops;     /* the store's, with some replaced */
    struct pipeline *p;
    atomic_int broken;
};

/* yaml: destinations, rules and what else is wanted; every "PORT" in it becomes the sink's. */
static inline struct config *world_config(struct world *w, const char *yaml)
{
    struct strbuf text;
    struct config *c;
    strbuf_init(&text, 1 << 20);
    strbuf_c(&text, "version: 1\nsources: {push: {type: webhook}}\n");
    for (const char *port; (port = strstr(yaml, "PORT")); yaml = port + 4) {
        strbuf_add(&text, yaml, (size_t)(port - yaml));
        strbuf_printf(&text, "%d", w->sink->port);
    }
    strbuf_c(&text, yaml);
    c = config_of(text.p);
    strbuf_fini(&text);
    return c;
}

static void store_stays(struct store **s)
{
    *s = NULL;
}

static void world_broken(void *ctx, const struct err *why)
{
    (void)why;
    atomic_fetch_add(&((struct world *)ctx)->broken, 1);
}

static inline struct pipeline_setup world_setup(struct world *w)
{
    return (struct pipeline_setup){ .config = w->config, .store = w->store, .clock = &w->clock.clock, .rng = &w->rng,
                                    .broken = world_broken, .broken_ctx = w };
}

static inline void world_start(struct world *w)
{
    struct pipeline_setup setup = world_setup(w);
    struct err err;
    w->p = pipeline_build(&setup, &err);
    if (!w->p) fail_msg("%s", err.msg);
}

/* `new` outlives the engine's caller: tests say what they want replaced in w->ops before world_start. */
static inline struct world *world_new(const char *yaml)
{
    struct world *w = xcalloc(1, sizeof *w);
    log_setup(LOG_LOGFMT, (enum log_level)(LOG_ERROR + 1));
    w->clock.clock = (struct clock){ hand_wall, hand_mono };
    atomic_store(&w->clock.wall_ms, T0);
    atomic_store(&w->clock.mono_ms, 1000);
    rng_seed(&w->rng, 1);
    w->sink = sink_open();
    w->config = world_config(w, yaml);
    w->store = store_memory_open();
    w->ops = *w->store->ops;
    w->ops.close = store_stays;
    w->store->ops = &w->ops;
    return w;
}

static inline struct world *world_open(const char *yaml)
{
    struct world *w = world_new(yaml);
    world_start(w);
    return w;
}

static inline void world_close(struct world *w)
{
    struct store *memory = store_memory_open(), *mine = w->store;
    pipeline_stop(&w->p, 0);
    mine->ops = memory->ops;
    mine->ops->close(&mine);
    memory->ops->close(&memory);
    config_unref(&w->config);
    sink_close(w->sink);
    free(w);
}

static inline void world_restart(struct world *w)
{
    pipeline_stop(&w->p, 0);
    world_start(w);
}

static inline void world_wait(struct world *w, int64_t ms)
{
    atomic_fetch_add(&w->clock.wall_ms, ms);
    atomic_fetch_add(&w->clock.mono_ms, ms);
}

/* Turns until nothing is queued and nothing is on its way. Where deliver itself waits for time to pass, it passes. */
static inline void world_settle(struct world *w)
{
    for (int idle = 0; idle < 2000;) {
        pipeline_turn(w->p, 0);
        if (queue_length(w->p->queue) == 0 && w->p->lanes.n == 0) return;
        if (queue_length(w->p->queue) > 0) continue;
        pipeline_turn(w->p, 20);
        if (w->p->lanes.n == 0 || queue_length(w->p->queue) > 0) continue;
        if (deliver_stats(w->p->deliver).in_flight > 0) continue;
        world_wait(w, 50);
        deliver_reload(w->p->deliver, w->p->config); /* it looks at the clock again */
        idle++;
    }
    fail_msg("the pipeline did not come to rest: %zu lanes", w->p->lanes.n);
}

/* So much time passes, in steps, and everything that becomes due happens. */
static inline void world_pass(struct world *w, int64_t ms, int64_t step_ms)
{
    for (int64_t at = 0; at < ms; at += step_ms) {
        world_wait(w, step_ms);
        world_settle(w);
    }
}

/* --- requests ----------------------------------------------------------------------------------------------------- */
struct asked {
    struct pipeline_request r; /* first */
    struct arena arena;
    struct pipeline *p;
    int done;
    /* a copy of what the answer holds, for when the request is gone */
    enum pipeline_status status;
    uint64_t ids[16];
    bool duplicates[16];
    struct err err;
};

/* As a real caller does: after the answer the memory is gone. */
static void asked_done(void *ctx, struct pipeline_request *r)
{
    struct asked *a = ctx;
    a->done++;
    a->status = r->status;
    a->err = r->err;
    for (size_t i = 0; i < r->report_count && i < 16; i++) {
        a->ids[i] = r->reports[i].event_id;
        a->duplicates[i] = r->reports[i].duplicate;
    }
    if (r->kind == PIPELINE_SEND) a->ids[0] = r->send.delivery;
    config_unref(&r->config);
    arena_fini(&a->arena);
    memset(r, 0xA5, sizeof *r);
}

static inline struct asked *ask(struct world *w, enum pipeline_kind kind)
{
    struct asked *a = xcalloc(1, sizeof *a);
    a->p = w->p;
    a->r.kind = kind;
    a->r.arena = &a->arena;
    a->r.item.weight_bytes = 1000;
    a->r.done = asked_done;
    a->r.ctx = a;
    return a;
}

/* JSON with ' for ": one run object or several. */
static inline struct asked *ask_reports(struct world *w, const char *json)
{
    struct asked *a = ask(w, PIPELINE_REPORTS);
    struct str body = str_dup(&a->arena, str_c(json));
    struct source_batch b;
    struct err err;
    for (size_t i = 0; i < body.n; i++)
        if (body.p[i] == '\'') ((char *)(uintptr_t)body.p)[i] = '"';
    a->r.config = config_ref(w->config);
    a->r.source = &w->config->sources[0];
    if (source_webhook_decode(&a->arena, a->r.source, body, false, 100, &b, &err) != SOURCE_DECODED) fail_msg("%s: %s", json, err.msg);
    a->r.reports = ARENA_ARRAY(&a->arena, struct pipeline_report, b.report_count);
    a->r.report_count = b.report_count;
    for (size_t i = 0; i < b.report_count; i++) a->r.reports[i] = (struct pipeline_report){ .run = b.reports[i].run, .index = i };
    return a;
}

static inline void submit(struct world *w, struct asked *a)
{
    assert_true(pipeline_submit(w->p, &a->r));
}

/* Submits, turns until it is answered, and gives the answer; the caller frees it. */
static inline struct asked *answered(struct world *w, struct asked *a)
{
    submit(w, a);
    while (!a->done) pipeline_turn(w->p, 0);
    return a;
}

static inline struct asked *post(struct world *w, const char *json)
{
    return answered(w, ask_reports(w, json));
}

/* A post that must be taken; gives the id of its first report. */
static inline uint64_t posted(struct world *w, const char *json)
{
    struct asked *a = post(w, json);
    uint64_t id = a->ids[0];
    if (a->status != PIPELINE_DONE) fail_msg("%s: %s", json, a->err.msg);
    free(a);
    return id;
}

static inline struct asked *ask_command(struct world *w, enum engine_command what, uint64_t incident)
{
    struct asked *a = ask(w, PIPELINE_COMMAND);
    a->r.command.what = what;
    a->r.command.incident = incident;
    a->r.command.who = STR("anna");
    return a;
}

static inline struct asked *ask_drill(struct world *w, const char *destination)
{
    struct asked *a = ask(w, PIPELINE_SEND);
    a->r.send.destination = str_dup(&a->arena, str_c(destination));
    return a;
}

static inline struct asked *ask_reload(struct world *w, const char *yaml)
{
    struct asked *a = ask(w, PIPELINE_RELOAD);
    a->r.config = world_config(w, yaml);
    return a;
}

static inline enum pipeline_status outcome(struct world *w, struct asked *a)
{
    enum pipeline_status s = answered(w, a)->status;
    free(a);
    return s;
}

/* --- looking into the store ------------------------------------------------------------------------------------------ */
static inline size_t deliveries(struct world *w, struct arena *a, int state, struct store_delivery out[64])
{
    struct store_delivery_filter f = { .state = state, .destination = STR_NONE, .limit = 64 };
    struct err err;
    size_t n = 64;
    assert_int_equal(w->p->reader->ops->deliveries(w->p->reader, a, &f, out, &n, &err), 0);
    return n; /* newest first */
}

static inline size_t count_deliveries(struct world *w, int state)
{
    struct store_delivery d[64];
    struct arena a = { 0 };
    size_t n = deliveries(w, &a, state, d);
    arena_fini(&a);
    return n;
}

static inline uint64_t only_incident(struct world *w)
{
    struct store_incident_filter f = { .state = STR_NONE, .rule = STR_NONE, .task = STR_NONE, .env = STR_NONE, .project = STR_NONE,
                                       .q = STR_NONE, .limit = 4 };
    struct engine_incident_row rows[4];
    struct arena a = { 0 };
    struct err err;
    size_t n = 4;
    assert_int_equal(w->p->reader->ops->incidents(w->p->reader, &a, &f, rows, &n, &err), 0);
    assert_int_equal(n, 1);
    arena_fini(&a);
    return rows[0].id;
}

static inline enum incident_state state_of(struct world *w, uint64_t incident)
{
    struct engine_incident_row row;
    struct arena a = { 0 };
    struct err err;
    assert_int_equal(w->p->reader->ops->incident(w->p->reader, &a, incident, &row, &err), 1);
    arena_fini(&a);
    return row.state;
}
#endif
