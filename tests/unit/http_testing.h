/* http_testing: what the tests of the http room share: a pipeline that only pretends to commit, a server on a
 * free port, a client that speaks plain sockets. */
#ifndef HTTP_TESTING_H
#define HTTP_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/id.h"
#include "config_testing.h"
#include "http/http.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))
#define USED __attribute__((unused))

/* --- a pipeline that pretends ---------------------------------------------------------------------- */

struct stub {
    pthread_t thread;
    struct queue *queue;
    atomic_bool full, slow; /* refuse everything; keep everything until told otherwise */
    atomic_uint_fast64_t submits;
    unsigned commit_us;     /* how long a batch pretends to be written */
    pthread_mutex_t lock;   /* what follows: what the last request was */
    uint64_t next_id, requests, reports;
    enum pipeline_kind kind;
    enum engine_command command;
    int64_t for_ms;
    uint64_t incident, redeliver;
    char run[80], project[32], env[32], reason[240], who[32], why[32], destination[32];
    atomic_int readers_open;
    atomic_int read_slowly, slow_now; /* incidents of the rule `slow` are read for as long as the first is set */
};

USED static void keep_text(char *to, size_t n, struct str s)
{
    snprintf(to, n, STR_FMT, STR_ARG(s));
}

static void stub_reports(struct stub *s, struct pipeline_request *r)
{
    for (size_t i = 0; i < r->report_count; i++) {
        struct pipeline_report *p = &r->reports[i];
        p->duplicate = str_starts(p->run.id, STR("run_again"));
        p->event_id = ++s->next_id;
        if (str_starts(p->run.id, STR("run_fail"))) {
            r->status = PIPELINE_FAILED;
            err_set(&r->err, ERR_LIMIT, "disk full");
        }
    }
    s->reports += r->report_count;
    keep_text(s->run, sizeof s->run, r->reports[0].run.id);
    keep_text(s->project, sizeof s->project, r->reports[0].run.project);
    keep_text(s->env, sizeof s->env, r->reports[0].run.env);
}

static void stub_one(struct stub *s, struct pipeline_request *r)
{
    pthread_mutex_lock(&s->lock);
    s->requests++;
    s->kind = r->kind;
    r->status = PIPELINE_DONE;
    if (r->kind == PIPELINE_REPORTS) stub_reports(s, r);
    if (r->kind == PIPELINE_REJECTED) keep_text(s->reason, sizeof s->reason, r->rejected.reason);
    if (r->kind == PIPELINE_COMMAND) {
        s->command = r->command.what;
        s->incident = r->command.incident;
        s->for_ms = r->command.for_ms;
        keep_text(s->who, sizeof s->who, r->command.who);
        keep_text(s->why, sizeof s->why, r->command.why);
        if (r->command.incident == 404) r->status = PIPELINE_NOT_FOUND;
    }
    if (r->kind == PIPELINE_REDELIVER) s->redeliver = r->redeliver;
    if (r->kind == PIPELINE_SEND) {
        keep_text(s->destination, sizeof s->destination, r->send.destination);
        r->send.delivery = 77;
    }
    pthread_mutex_unlock(&s->lock);
    r->done(r->ctx, r);
}

static void *stub_main(void *arg)
{
    struct stub *s = arg;
    struct queue_item *i;
    while ((i = queue_take(s->queue, -1, 1000, SIZE_MAX)) != NULL) {
        while (atomic_load(&s->slow)) usleep(1000); /* until a test ends it */
        if (s->commit_us) usleep(s->commit_us);
        while (i) {
            struct queue_item *next = i->next;
            stub_one(s, (struct pipeline_request *)(void *)i);
            i = next;
        }
    }
    return NULL;
}

static bool stub_submit(void *ctx, struct pipeline_request *r)
{
    struct stub *s = ctx;
    atomic_fetch_add(&s->submits, 1);
    return !atomic_load(&s->full) && queue_put(s->queue, &r->item, false);
}

static bool stub_ready(void *ctx, struct err *why)
{
    struct stub *s = ctx;
    if (atomic_load(&s->full)) err_set(why, ERR_LIMIT, "disk full");
    return !atomic_load(&s->full);
}

static struct pipeline_stats stub_stats(void *ctx)
{
    (void)ctx;
    return (struct pipeline_stats){ .events_accepted = 41,
                                    .events_duplicate = 3,
                                    .commits = 7,
                                    .commit_us_total = 1500000,
                                    .queue_length = 2,
                                    .unknown_states = 1,
                                    .started_ms = 1000,
                                    .engine = { .incidents_open = 5 } };
}

static struct deliver_stats stub_deliver_stats(void *ctx)
{
    (void)ctx;
    return (struct deliver_stats){ .delivered = 12, .breakers_open = 1 };
}

static void stub_describe(void *ctx, struct json_writer *w)
{
    (void)ctx;
    json_put_raw(w, STR("[{\"name\":\"ops\",\"type\":\"console\",\"state\":\"ok\"}]"));
}

/* --- a store reader with a few rows ---------------------------------------------------------------- */

struct stub_reader { struct store_reader reader; struct stub *stub; };

static void reader_close(struct store_reader **r)
{
    struct stub_reader *own = (struct stub_reader *)(void *)*r;
    atomic_fetch_sub(&own->stub->readers_open, 1);
    free(own);
    *r = NULL;
}

/* Ten incidents, 1 to 10, newest first. */
static struct engine_incident_row incident_row(uint64_t id)
{
    return (struct engine_incident_row){
        .id = id,
        .project = STR("default"),
        .env = STR("prod"),
        .rule = STR("r"),
        .key = STR("k"),
        .label = STR("task=t"),
        .state = INCIDENT_OPEN,
        .severity = SEVERITY_ERROR,
        .opened_ms = 1000,
        .hits = 3,
        .runs = 2,
        .title = STR("t failed \"twice\""),
    };
}

static int reader_incidents(struct store_reader *r, struct arena *a, const struct store_incident_filter *f,
                            struct engine_incident_row *out, size_t *n, struct err *err)
{
    struct stub *stub = ((struct stub_reader *)(void *)r)->stub;
    (void)a;
    *n = 0;
    if (str_eq_c(f->rule, "slow")) atomic_fetch_add(&stub->slow_now, 1);
    while (str_eq_c(f->rule, "slow") && atomic_load(&stub->read_slowly)) sched_yield();
    if (str_eq_c(f->rule, "broken")) return err_set(err, ERR_IO, "no disk");
    if (str_eq_c(f->task, "none")) return 0;
    for (uint64_t id = f->before ? f->before - 1 : 10; id > 0 && *n < f->limit; id--)
        out[(*n)++] = incident_row(id);
    return 0;
}

static int reader_incident(struct store_reader *r, struct arena *a, uint64_t id,
                           struct engine_incident_row *out, struct err *err)
{
    (void)r, (void)a, (void)err;
    *out = incident_row(id);
    return id <= 10;
}

static int reader_notes(struct store_reader *r, struct arena *a, uint64_t incident, struct store_note *out,
                        size_t max, size_t *n, struct err *err)
{
    (void)r, (void)a, (void)max, (void)err;
    out[0] = (struct store_note){ incident, 1000, STR("opened"), STR("{\"event\":\"evt_1\"}") };
    *n = 1;
    return 0;
}

static int reader_deliveries(struct store_reader *r, struct arena *a, const struct store_delivery_filter *f,
                             struct store_delivery *out, size_t *n, struct err *err)
{
    (void)r, (void)a, (void)err;
    *n = 0;
    if (f->state == DELIVERY_PENDING) return 0;
    out[(*n)++] = (struct store_delivery){ .id = 9,
                                           .message = 8,
                                           .incident = f->incident,
                                           .destination = STR("ops"),
                                           .state = DELIVERY_DEAD,
                                           .created_ms = 1000,
                                           .attempts = 4,
                                           .last_error = STR("HTTP 500") };
    return 0;
}

static int reader_attempts(struct store_reader *r, struct arena *a, uint64_t delivery,
                           struct store_attempt *out, size_t max, size_t *n, struct err *err)
{
    (void)r, (void)a, (void)max, (void)err;
    out[0] = (struct store_attempt){
        .delivery = delivery, .at_ms = 1000, .took_ms = 5, .class = VERDICT_RETRY, .status = 500
    };
    *n = 1;
    return 0;
}

static int reader_run(struct store_reader *r, struct arena *a, struct str project, struct str env,
                      struct str run, struct store_run *out, size_t max, size_t *n, struct err *err)
{
    struct run_seen seen = { .event_ms = 1000, .state = RUN_CRASHED, .event_id = 5 };
    struct run_known known = { .exists = true, .seen = &seen, .seen_count = 1, .task = STR("render") };
    struct json_draft d;
    (void)r, (void)project, (void)env, (void)max, (void)err;
    *n = str_eq_c(run, "run_known");
    run_known_write(&known, json_draft_begin(&d, 4096));
    out[0] = (struct store_run){ STR("default"), STR("prod"), run, json_draft_end(&d, a), 1000, 5 };
    return 0;
}

static int reader_event(struct store_reader *r, struct arena *a, uint64_t id, struct store_event *out,
                        struct err *err)
{
    (void)r, (void)a, (void)err;
    *out = (struct store_event){ .id = id,
                                 .source = STR("push"),
                                 .status = STR("CRASHED"),
                                 .state = STR("CRASHED"),
                                 .event_ms = 1000,
                                 .arrival_ms = 2000,
                                 .body = STR("{\"id\":\"run_known\"}") };
    return 1;
}

static int reader_rejected(struct store_reader *r, struct arena *a, uint64_t before,
                           struct store_rejected *out, size_t max, size_t *n, struct err *err)
{
    (void)r, (void)a, (void)before, (void)max, (void)err;
    out[0] = (struct store_rejected){ 6, 1000, STR("push"), STR("no id"), STR("{}\xff") };
    *n = 1;
    return 0;
}

static int reader_counts(struct store_reader *r, struct store_counts *out, struct err *err)
{
    (void)r, (void)err;
    *out = (struct store_counts){ .events = 44, .deliveries_dead = 1 };
    return 0;
}

static struct store_reader *stub_reader(void *ctx, struct err *err)
{
    static const struct store_reader_ops ops = {
        .close = reader_close,
        .incidents = reader_incidents,
        .incident = reader_incident,
        .notes = reader_notes,
        .deliveries = reader_deliveries,
        .attempts = reader_attempts,
        .run = reader_run,
        .event = reader_event,
        .rejected = reader_rejected,
        .counts = reader_counts,
    };
    struct stub_reader *own = xcalloc(1, sizeof *own);
    (void)err;
    own->reader.ops = &ops;
    own->stub = ctx;
    atomic_fetch_add(&own->stub->readers_open, 1);
    return &own->reader;
}

/* --- the server ------------------------------------------------------------------------------------ */

struct server {
    struct stub stub;
    struct http *http;
    struct config *config;
    int port;
};

#define YAML_TAIL "destinations:\n  ops: {type: console}\n" \
    "rules:\n  any-crash:\n    when: {status: CRASHED}\n    notify: ops\n"
#define YAML_PLAIN                                                                                           \
    "version: 1\nserver: {listen: \"127.0.0.1:0\"}\nsources:\n  push: {type: webhook}\n" YAML_TAIL

USED static void server_attach(struct server *s)
{
    struct http_backend b = { .ctx = &s->stub,
                              .submit = stub_submit,
                              .ready = stub_ready,
                              .stats = stub_stats,
                              .reader = stub_reader,
                              .deliver_stats = stub_deliver_stats,
                              .describe_destinations = stub_describe };
    http_attach_backend(s->http, &b);
}

USED static void server_listen(struct server *s, const char *yaml, const struct http_limits *limits)
{
    struct err err = { 0 };
    struct http_setup setup = { .clock = clock_system(), .limits = limits };
    memset(s, 0, sizeof *s);
    log_setup(LOG_LOGFMT, LOG_ERROR);
    s->config = config_of(yaml);
    setup.config = s->config;
    s->stub.queue = queue_new(1 << 26);
    pthread_mutex_init(&s->stub.lock, NULL);
    assert_int_equal(pthread_create(&s->stub.thread, NULL, stub_main, &s->stub), 0);
    s->http = http_start(&setup, &err);
    if (!s->http) fail_msg("%s", err.msg);
    s->port = http_port(s->http);
}

USED static void server_start(struct server *s, const char *yaml, const struct http_limits *limits)
{
    server_listen(s, yaml, limits);
    server_attach(s);
}

USED static void server_stop(struct server *s)
{
    http_stop(s->http, 2000);
    assert_int_equal(atomic_load(&s->stub.readers_open), 0);
    atomic_store(&s->stub.slow, false);
    queue_close(s->stub.queue);
    pthread_join(s->stub.thread, NULL);
    queue_free(&s->stub.queue);
    http_free(&s->http);
    config_unref(&s->config);
    pthread_mutex_destroy(&s->stub.lock);
}

/* --- the client ------------------------------------------------------------------------------------ */

struct answer {
    int status; /* 0: closed without one */
    char text[65536];
    size_t n;
    const char *body;
};

USED static int dial(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = { .tv_sec = 10 };
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail_msg("connect: %m");
    return fd;
}

USED static bool say(int fd, const char *p, size_t n)
{
    return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

USED static bool say_all(int fd, const char *text)
{
    return say(fd, text, strlen(text));
}

USED static void hear(int fd, struct answer *a)
{
    size_t want = 0;
    memset(a, 0, offsetof(struct answer, text) + 1);
    a->n = 0;
    a->body = "";
    while (want == 0 || a->n < want) {
        ssize_t n = recv(fd, a->text + a->n, sizeof a->text - 1 - a->n, 0);
        char *end, *length;
        if (n < 0 && errno == EAGAIN) fail_msg("no answer within 10 s");
        if (n <= 0) break;
        a->n += (size_t)n;
        a->text[a->n] = '\0';
        end = strstr(a->text, "\r\n\r\n");
        if (!end) continue;
        length = strcasestr(a->text, "\r\nContent-Length:");
        a->body = end + 4;
        want = (size_t)(end + 4 - a->text) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        if (strncmp(a->text, "HTTP/1.1 100", 12) == 0) { /* Continue: the real one follows */
            memmove(a->text, end + 4, a->n - (size_t)(end + 4 - a->text) + 1);
            a->n -= (size_t)(end + 4 - a->text);
            want = 0;
            a->body = "";
        }
    }
    if (a->n > 12) a->status = (int)strtol(a->text + 9, NULL, 10);
}

/* True when the other side has closed: the next read ends. */
USED static bool is_closed(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

USED static void exchange(int fd, const char *request, struct answer *a)
{
    assert_true(say_all(fd, request));
    hear(fd, a);
}

/* One request on a connection of its own. headers: whole lines, each with its \r\n. */
USED static void ask(const struct server *s, const char *line, const char *headers, const char *body,
                     struct answer *a)
{
    char request[8192];
    int fd = dial(s->port), n;
    n = snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
                 line, headers, strlen(body), body);
    assert_true(n > 0 && (size_t)n < sizeof request);
    exchange(fd, request, a);
    close(fd);
}
#endif
