/* The loop: {MHD's epoll descriptor, one eventfd} -> finished requests -> MHD_run. libmicrohttpd's own epoll
 * loop stalls when a multiple of 128 sockets is ready at once, and notices a resume from another thread a
 * second late (design.md section 8, fact 1); so it is ours, and connections are resumed here only. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "http/internal.h"

const struct http_limits http_default_limits = {
    .header_ms = 10000, .body_ms = 10000, .body_rate = 1024, .idle_ms = 60000,
    .hold_start_ms = 4000, .hold_full_ms = 2000, .retry_ms = 20, .per_address = 0,
};

enum {
    HEADER_MEMORY = 16 * 1024, /* of a connection: the longest headers. MHD clears one and a half of it per
                                * request, which 24 KiB made measurably slower */
    TLS_FILE_MAX = 1024 * 1024,
    CHECK_MS = 1000,
    SPARE_FILES = 256
};

static void wake(struct http *h)
{
    uint64_t one = 1;
    if (write(h->event_fd, &one, sizeof one) < 0) { /* full: it is awake anyway */ }
}

void http_finished(struct http_request *r)
{
    struct http *h = r->http;
    struct http_request *head = atomic_load(&h->finished);
    do r->next = head;
    while (!atomic_compare_exchange_weak(&h->finished, &head, r));
    if (!head) wake(h); /* one write for all that finish before the loop looks */
}

void http_resume(struct http_request *r)
{
    r->stage = HTTP_ANSWER;
    if (r->mhd)
        MHD_resume_connection(r->mhd);
    else
        http_request_free(r);
}

static void take_finished(struct http *h)
{
    struct http_request *r = atomic_exchange(&h->finished, NULL), *in_order = NULL;
    while (r) {
        struct http_request *next = r->next;
        r->next = in_order;
        in_order = r;
        r = next;
    }
    while (in_order) {
        r = in_order;
        in_order = r->next;
        http_resume(r);
    }
}

/* --- requests that wait for room or for the pipeline ----------------------------------------------- */

void http_wait(struct http *h, struct http_request *r, int64_t for_ms)
{
    r->stage = HTTP_WAITING;
    r->wait_until_ms = h->now_ms + for_ms;
    r->next = NULL;
    *h->waiting.last = r;
    h->waiting.last = &r->next;
    atomic_fetch_add(&h->counters.held, 1);
}

static void waiting_shift(struct http *h)
{
    h->waiting.first = h->waiting.first->next;
    if (!h->waiting.first) h->waiting.last = &h->waiting.first;
}

/* In order: who came first gets the room. */
static void waiting_retry(struct http *h)
{
    struct http_request *r;
    while (h->attached && (r = h->waiting.first) != NULL) {
        struct http_request *next = r->next;
        if (!http_request_dispatch(r)) break;
        h->waiting.first = next; /* dispatch uses r->next for the list it went to */
        if (!next) h->waiting.last = &h->waiting.first;
    }
    while ((r = h->waiting.first) != NULL && r->wait_until_ms <= h->now_ms) {
        waiting_shift(h);
        atomic_fetch_add(&h->counters.busy, 1);
        http_busy(r, h->attached ? "the queue is full" : "starting");
        http_resume(r);
    }
    h->next_retry_ms = h->now_ms + h->limits.retry_ms;
}

/* --- orders from other threads --------------------------------------------------------------------- */

static void take_orders(struct http *h)
{
    struct config *old = NULL;
    pthread_mutex_lock(&h->lock);
    if (h->next_config) {
        old = h->config;
        h->config = h->next_config;
        h->next_config = NULL;
        h->generation++;
        h->log_requests = h->config->log_level == LOG_DEBUG;
    }
    if (h->has_next_backend) {
        h->backend = h->next_backend;
        h->has_next_backend = false;
        h->attached = true;
        h->next_retry_ms = 0;
    }
    pthread_mutex_unlock(&h->lock);
    config_unref(&old);
}

static int64_t grace_ends(struct http *h)
{
    bool stop;
    int64_t grace_ms;
    pthread_mutex_lock(&h->lock);
    stop = h->stop;
    grace_ms = h->stop_grace_ms;
    pthread_mutex_unlock(&h->lock);
    return stop ? h->now_ms + grace_ms : INT64_MAX;
}

/* --- the loop -------------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(struct http *h, int64_t until_ms)
{
    MHD_UNSIGNED_LONG_LONG asked;
    int64_t wait;
    if (h->waiting.first)
        until_ms = least(until_ms, h->attached ? h->next_retry_ms : h->waiting.first->wait_until_ms);
    if (h->conns) until_ms = least(until_ms, h->next_check_ms);
    wait = until_ms == INT64_MAX ? INT64_MAX : until_ms - clock_mono(h->clock).ms;
    if (wait > 0 && MHD_get_timeout(h->mhd, &asked) == MHD_YES && (int64_t)asked < wait)
        wait = (int64_t)asked;
    if (wait < 0) return 0;
    return wait > INT_MAX ? -1 : (int)wait;
}

static int64_t check_every(const struct http_limits *l)
{
    int64_t shortest = least(least(l->header_ms, l->body_ms), l->idle_ms) / 4;
    return shortest < 1 ? 1 : least(shortest, CHECK_MS);
}

static void turn(struct http *h, int64_t until_ms)
{
    struct pollfd fds[2] = { { .fd = h->epoll_fd, .events = POLLIN },
                             { .fd = h->event_fd, .events = POLLIN } };
    uint64_t count;
    int n = poll(fds, 2, wait_ms(h, until_ms));
    h->now_ms = clock_mono(h->clock).ms;
    if (n > 0 && fds[1].revents) {
        if (read(h->event_fd, &count, sizeof count) < 0) { /* somebody else's wake-up: fine */ }
        take_orders(h);
        take_finished(h);
    }
    if (h->waiting.first && h->now_ms >= (h->attached ? h->next_retry_ms : h->waiting.first->wait_until_ms))
        waiting_retry(h);
    MHD_run(h->mhd);
    if (h->to_flush && h->backend.flush) h->backend.flush(h->backend.ctx); /* who came together shares a commit */
    h->to_flush = false;
    if (h->now_ms >= h->next_check_ms) {
        http_conns_check(h);
        h->next_check_ms = h->now_ms + check_every(&h->limits);
    }
}

static void close_listener(struct http *h)
{
    if (h->listen_fd < 0) return;
    close(h->listen_fd);
    h->listen_fd = -1;
    if (h->unix_path) unlink(h->unix_path);
}

/* Suspended connections cannot be closed: resume what is left. Those requests stay the pipeline's. */
static void let_go(struct http *h)
{
    while (h->waiting.first) {
        struct http_request *r = h->waiting.first;
        waiting_shift(h);
        http_busy(r, "stopping");
        http_resume(r);
    }
    for (struct http_conn *c = h->conns; c; c = c->next)
        if (c->request && c->request->stage == HTTP_QUEUED) {
            c->request->conn = NULL;
            c->request->mhd = NULL;
            c->request = NULL;
            MHD_resume_connection(c->mhd);
        }
}

static void *loop_main(void *arg)
{
    struct http *h = arg;
    int64_t until_ms = INT64_MAX;
    while (!(h->draining && (h->active == 0 || h->now_ms >= until_ms))) {
        turn(h, until_ms);
        if (h->draining) continue;
        until_ms = grace_ends(h);
        if (until_ms == INT64_MAX) continue;
        h->draining = true;
        MHD_quiesce_daemon(h->mhd);
        close_listener(h);
    }
    h->closing = true;
    http_readers_stop(&h->readers);
    take_finished(h);
    let_go(h);
    MHD_run(h->mhd); /* writes what was resumed just now */
    MHD_stop_daemon(h->mhd);
    h->mhd = NULL;
    return NULL;
}

/* --- starting and stopping ------------------------------------------------------------------------- */

/* Raises the file limit as far as it goes; connections never take the last descriptors, which the store and
 * the destinations need. */
static unsigned most_connections(int64_t wanted)
{
    struct rlimit limit = { 0 };
    int64_t most = wanted;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return (unsigned)most;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < (rlim_t)(wanted + SPARE_FILES))
        most = (int64_t)limit.rlim_max - SPARE_FILES;
    if (most < wanted)
        log_warn("http.file_limit", LOG_I("connections", wanted), LOG_I("possible", most > 1 ? most : 1));
    return most > 1 ? (unsigned)most : 1;
}

__attribute__((format(printf, 2, 0))) static void mhd_log(void *ctx, const char *fmt, va_list ap)
{
    char line[240];
    (void)ctx;
    vsnprintf(line, sizeof line, fmt, ap);
    log_debug("http.library", LOG_S("text", str_trim(str_c(line))));
}

static int read_tls(struct http *h, struct err *err)
{
    const struct config_server *s = &h->config->server;
    struct arena a = { 0 };
    struct str cert, key;
    int rc = -1;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        err_set(err, ERR_CONFLICT, "server.tls: this libmicrohttpd was built without TLS");
    else if (file_read(&a, str_dup_c(&a, s->tls_cert), TLS_FILE_MAX, &cert, err) == 0 &&
             file_read(&a, str_dup_c(&a, s->tls_key), TLS_FILE_MAX, &key, err) == 0) {
        h->tls_cert = xstrdup(cert.p);
        h->tls_key = xstrdup(key.p);
        rc = 0;
    }
    arena_fini(&a);
    return rc;
}

static int start_daemon(struct http *h, struct err *err)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, h->tls_cert }, { MHD_OPTION_HTTPS_MEM_KEY, 0, h->tls_key },
        { MHD_OPTION_END, 0, NULL },
    };
    const union MHD_DaemonInfo *info;
    if (h->tls_cert) flags |= MHD_USE_TLS;
    h->mhd = MHD_start_daemon(
        flags, 0, http_conn_allowed, h, http_request_handle, h, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, h,
        MHD_OPTION_LISTEN_SOCKET, h->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        most_connections(h->config->server.connections), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
        http_conn_event, h, MHD_OPTION_URI_LOG_CALLBACK, http_request_begin, h, MHD_OPTION_NOTIFY_COMPLETED,
        http_request_end, h, MHD_OPTION_ARRAY, h->tls_cert ? tls : tls + 2, MHD_OPTION_END);
    if (!h->mhd)
        return err_set(err, ERR_IO,
                       h->tls_cert ? "the HTTP server cannot start: are server.tls.cert and key a pair?"
                                   : "the HTTP server cannot start");
    info = MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info) return err_set(err, ERR_IO, "the HTTP server has no epoll descriptor");
    h->epoll_fd = info->epoll_fd;
    return 0;
}

int http_suits(const struct http *h, const struct config *c, struct err *err)
{
    if (h->local || secret_present(&c->server.token)) return 0;
    return err_set(err, ERR_CONFLICT,
                   "server.listen %s can be reached from other machines: set server.token, or listen on "
                   "127.0.0.1",
                   h->address);
}

static int open_all(struct http *h, struct err *err)
{
    h->address = strndup(h->config->server.listen.p, h->config->server.listen.n);
    h->listen_fd = http_listen(str_c(h->address), &h->port, &h->unix_path, &h->local, err);
    if (h->listen_fd < 0 || http_suits(h, h->config, err) < 0) return -1;
    if (h->config->server.tls_cert.n && read_tls(h, err) < 0) return -1;
    h->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (h->event_fd < 0) return err_set(err, ERR_IO, "no eventfd: %m");
    if (start_daemon(h, err) < 0) return -1;
    h->readers = http_readers_start(h);
    if (pthread_create(&h->thread, NULL, loop_main, h) != 0) return err_set(err, ERR_IO, "no thread: %m");
    h->started = true;
    return 0;
}

static size_t most_body_bytes(const struct config *c)
{
    int64_t n = c->server.queue_bytes > c->server.body_bytes ? c->server.queue_bytes : c->server.body_bytes;
    return (size_t)n * 2;
}

struct http *http_start(const struct http_setup *setup, struct err *err)
{
    struct http *h = xcalloc(1, sizeof *h);
    h->clock = setup->clock;
    h->limits = setup->limits ? *setup->limits : http_default_limits;
    h->config = config_ref(setup->config);
    h->generation = 1;
    h->log_requests = h->config->log_level == LOG_DEBUG;
    h->listen_fd = h->epoll_fd = h->event_fd = -1;
    h->waiting.last = &h->waiting.first;
    h->body_ceiling = most_body_bytes(h->config);
    h->now_ms = clock_mono(h->clock).ms;
    if (!h->limits.per_address) h->limits.per_address = (size_t)h->config->server.connections / 8 + 1;
    pthread_mutex_init(&h->lock, NULL);
    if (open_all(h, err) == 0) return h;
    if (h->mhd) MHD_stop_daemon(h->mhd);
    h->mhd = NULL;
    close_listener(h);
    http_free(&h);
    return NULL;
}

void http_attach_backend(struct http *h, const struct http_backend *backend)
{
    pthread_mutex_lock(&h->lock);
    h->next_backend = *backend;
    h->has_next_backend = true;
    pthread_mutex_unlock(&h->lock);
    wake(h);
}

void http_reload(struct http *h, struct config *config)
{
    struct config *skipped;
    pthread_mutex_lock(&h->lock);
    skipped = h->next_config;
    h->next_config = config_ref(config);
    pthread_mutex_unlock(&h->lock);
    config_unref(&skipped);
    wake(h);
}

int http_port(const struct http *h)
{
    return h->port;
}

void http_stop(struct http *h, int64_t grace_ms)
{
    if (!h->started) return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    h->stop_grace_ms = grace_ms;
    pthread_mutex_unlock(&h->lock);
    wake(h);
    pthread_join(h->thread, NULL);
    h->started = false;
}

void http_free(struct http **at)
{
    struct http *h = *at;
    if (!h) return;
    take_finished(h);
    http_readers_stop(&h->readers);
    http_pool_fini(h);
    config_unref(&h->config);
    config_unref(&h->next_config);
    for (size_t i = 0; i < h->sources.n; i++) {
        free((char *)h->sources.v[i]->name.p);
        free(h->sources.v[i]);
    }
    vec_free(&h->sources);
    map_fini(&h->peers);
    if (h->event_fd >= 0) close(h->event_fd);
    if (h->tls_key) explicit_bzero(h->tls_key, strlen(h->tls_key));
    free(h->tls_key);
    free(h->tls_cert);
    free(h->unix_path);
    free(h->address);
    pthread_mutex_destroy(&h->lock);
    free(h);
    *at = NULL;
}
