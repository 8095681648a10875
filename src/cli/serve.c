/* serve: wires store, pipeline, deliver and http; signals; reload; heartbeat. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/heartbeat.h"
#include "cli/serve_sources.h"
#include "http/http.h"
#include "pipeline/pipeline.h"
#include "store/store.h"

const char serve_help[] =
    "Starts the server with the configuration and stays in the foreground; logs go to stderr, console\n"
    "destinations to stdout. SIGHUP reloads configuration and rules (whole or not at all), SIGTERM and SIGINT\n"
    "finish what is under way and leave. What is accepted with 202 is durable.";

enum { GRACE_MS = 8000 };

struct server {
    struct config *config;
    struct pipeline *pipeline;
    struct http *http;
    struct heartbeat *heartbeat;
    struct pollers *pollers;
    pthread_mutex_t lock;
    struct config *reloaded; /* under the lock: taken over by the pipeline, to be taken over by the sources */
    struct rng rng;
    atomic_bool broken;
    int wake;       /* write end of a pipe that wakes the main thread */
    bool json_logs;
};

/* --- telling the service manager ---------------------------------------------------------------------------- */
static void notify_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = path ? strlen(path) : 0;
    int fd;
    if (n == 0 || n >= sizeof to.sun_path) return;
    memcpy(to.sun_path, path, n);
    if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        log_debug("manager.unreached");
    close(fd);
}

/* --- reload -------------------------------------------------------------------------------------------------------- */
static void submit_fault(struct server *s, const char *topic, const char *title, struct str body);

/* Stopping a source waits for what it has handed to the writer: that is the main thread's to do. */
static void tell_sources(struct server *s, struct config *c)
{
    struct config *old;
    pthread_mutex_lock(&s->lock);
    old = s->reloaded;
    s->reloaded = config_ref(c);
    pthread_mutex_unlock(&s->lock);
    if (old) config_unref(&old);
    if (write(s->wake, "r", 1) < 0) abort();
}

static void reload_sources(struct server *s)
{
    struct config *c;
    pthread_mutex_lock(&s->lock);
    c = s->reloaded;
    s->reloaded = NULL;
    pthread_mutex_unlock(&s->lock);
    if (!c) return;
    pollers_reload(s->pollers, c);
    config_unref(&c);
}

static void reload_done(void *ctx, struct pipeline_request *r)
{
    struct server *s = ctx;
    if (r->status == PIPELINE_DONE) {
        http_reload(s->http, r->config);
        tell_sources(s, r->config);
        log_setup(s->json_logs ? LOG_JSON : r->config->log_format, r->config->log_level);
    } else {
        log_error("config.reload_failed", LOG_E(&r->err));
    }
    config_unref(&r->config);
    arena_fini(r->arena);
    free(r->arena);
    free(r);
}

static struct pipeline_request *request_new(enum pipeline_kind kind)
{
    struct pipeline_request *r = xcalloc(1, sizeof *r);
    r->kind = kind;
    r->arena = xcalloc(1, sizeof *r->arena);
    r->item.weight_bytes = sizeof *r;
    return r;
}

static void plain_done(void *ctx, struct pipeline_request *r)
{
    (void)ctx;
    arena_fini(r->arena);
    free(r->arena);
    free(r);
}

static void submit_fault(struct server *s, const char *topic, const char *title, struct str body)
{
    struct pipeline_request *r = request_new(PIPELINE_FAULT);
    r->fault.topic = str_c(topic);
    r->fault.title = str_c(title);
    r->fault.body = str_dup(r->arena, body);
    r->done = plain_done;
    if (!pipeline_submit(s->pipeline, r)) plain_done(NULL, r);
}

static void log_diags(const struct diags *d)
{
    for (size_t k = 0; k < d->items.n; k++) {
        const struct diag *x = &d->items.v[k];
        log_write(x->level == DIAG_ERROR ? LOG_ERROR : LOG_WARN, "config.diagnostic",
                  LOG_FIELDS(LOG_C("file", x->file), LOG_I("line", x->line), LOG_I("col", x->col), LOG_S("text", x->text)));
    }
}

static void warn_unless(bool same, const char *key)
{
    if (!same) log_warn("config.needs_restart", LOG_C("key", key));
}

/* Some settings are bound at start; a reload that changes them says that they wait for a restart. */
static void warn_fixed(const struct config *was, const struct config *now)
{
    const struct config_server *a = &was->server, *b = &now->server;
    warn_unless(str_eq(a->listen, b->listen), "server.listen");
    warn_unless(str_eq(a->tls_cert, b->tls_cert) && str_eq(a->tls_key, b->tls_key), "server.tls");
    warn_unless(a->queue_bytes == b->queue_bytes, "server.limits.queue");
    warn_unless(a->connections == b->connections, "server.limits.connections");
    warn_unless(str_eq(secret_reveal(&was->store.url), secret_reveal(&now->store.url)), "store.url");
    warn_unless(was->heartbeat.every_ms == now->heartbeat.every_ms &&
                    str_eq(secret_reveal(&was->heartbeat.url), secret_reveal(&now->heartbeat.url)), "heartbeat");
}

/* For the operator, somewhere else: places and what is wrong there, but no lines of the files. What is written into
 * them wrongly may be a secret that nobody recognizes as one. */
static void print_places(struct diags *d, struct strbuf *out)
{
    for (size_t k = 0; k < d->items.n; k++) d->items.v[k].source_line = STR_NONE;
    diags_print(d, out, false);
}

static bool suits(const struct server *s, const struct config *c, struct diags *d)
{
    struct err err;
    if (!c || http_suits(s->http, c, &err) == 0) return c != NULL;
    diag_add(d, DIAG_ERROR, c->path.p, 0, 0, "%s", err.msg);
    return false;
}

static void refuse_reload(struct server *s, struct diags *d)
{
    struct strbuf text;
    strbuf_init(&text, 64 * 1024);
    print_places(d, &text);
    log_error("config.reload_refused", LOG_I("errors", (int64_t)d->errors));
    submit_fault(s, "reload", "A reload was refused: the rules before it stay in force", strbuf_view(&text));
    strbuf_fini(&text);
}

static void reload(struct server *s)
{
    struct arena a = { 0 };
    struct diags d;
    struct config *c;
    bool good;
    diags_init(&d, &a);
    c = config_load(s->config->path.p, false, &d);
    good = suits(s, c, &d);
    log_diags(&d);
    if (!good) {
        refuse_reload(s, &d);
        config_unref(&c); /* what d holds lives in it */
    } else {
        struct pipeline_request *r = request_new(PIPELINE_RELOAD);
        warn_fixed(s->config, c);
        r->config = c;
        r->done = reload_done;
        r->ctx = s;
        if (!pipeline_submit(s->pipeline, r)) reload_done(s, r);
    }
    diags_fini(&d);
    arena_fini(&a);
}

/* --- start and stop -------------------------------------------------------------------------------------------------- */
static void on_broken(void *ctx, const struct err *why)
{
    struct server *s = ctx;
    log_error("store.broken", LOG_E(why));
    atomic_store(&s->broken, true);
    if (write(s->wake, "b", 1) < 0) abort();
}

static int open_server(struct server *s, struct err *err)
{
    struct http_setup http = { .config = s->config, .clock = clock_system() };
    struct pipeline_setup setup = { .config = s->config, .clock = clock_system(), .rng = &s->rng, .broken = on_broken, .broken_ctx = s };
    struct secret *url = &s->config->store.url;
    s->http = http_start(&http, err);
    if (!s->http) return -1;
    setup.store = store_open(str_dup_c(&s->config->arena, secret_reveal(url)), s->config->dir.p, err);
    if (!setup.store) return -1;
    s->pipeline = pipeline_start(&setup, err);
    if (!s->pipeline) return -1;
    http_attach(s->http, s->pipeline);
    s->pollers = sources_start(s->config, s->pipeline);
    http_attach_pollers(s->http, s->pollers);
    if (s->config->heartbeat.every_ms > 0) s->heartbeat = heartbeat_start(s->config, s->pipeline);
    return 0;
}

static void close_server(struct server *s)
{
    heartbeat_stop(&s->heartbeat);
    if (s->http) http_stop(s->http, GRACE_MS);
    sources_stop(&s->pollers, s->pipeline);
    if (s->pipeline) pipeline_stop(&s->pipeline, GRACE_MS / 2);
    if (s->http) http_free(&s->http);
}

static void say_listening(const struct server *s)
{
    const struct config *c = s->config;
    log_info("serve.ready", LOG_S("listen", c->server.listen), LOG_I("port", http_port(s->http)), LOG_I("rules", (int64_t)c->rules->rule_count),
             LOG_I("sources", (int64_t)c->source_count), LOG_I("destinations", (int64_t)c->destination_count), LOG_C("version", RUNBELL_VERSION));
    if (!secret_present(&c->server.token)) log_info("serve.no_token", LOG_C("note", "without server.token only loopback may listen, and anybody there may read"));
    for (size_t k = 0; k < c->source_count; k++)
        if (c->sources[k].type == SOURCE_WEBHOOK && !secret_present(&c->sources[k].token)) log_warn("source.no_token", LOG_S("source", c->sources[k].name));
}

/* How often the service manager wants to hear that all is well: half of WATCHDOG_USEC; -1 = never. */
static int watchdog_ms(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    int64_t us;
    if (!text || !str_to_i64(str_c(text), &us) || us <= 0) return -1;
    return us / 2000 > 3600000 ? 3600000 : (int)(us / 2000);
}

static int loop(struct server *s, int signals, int wake)
{
    struct pollfd fds[2] = { { signals, POLLIN, 0 }, { wake, POLLIN, 0 } };
    struct signalfd_siginfo info;
    char byte;
    int beat_ms = watchdog_ms();
    for (;;) {
        int n = poll(fds, 2, beat_ms);
        if (n < 0 && errno != EINTR) return EXIT_WRONG;
        if (atomic_load(&s->broken)) return EXIT_WRONG;
        if (beat_ms > 0) notify_manager("WATCHDOG=1"); /* not ready is no reason to be killed: a full disk heals */
        if (n > 0 && fds[1].revents & POLLIN && read(wake, &byte, 1) == 1) reload_sources(s);
        if (n <= 0 || !(fds[0].revents & POLLIN) || read(signals, &info, sizeof info) != (ssize_t)sizeof info) continue;
        if (info.ssi_signo != SIGHUP) break;
        notify_manager("RELOADING=1");
        reload(s);
        notify_manager("READY=1");
    }
    log_info("serve.stopping");
    notify_manager("STOPPING=1");
    return EXIT_FINE;
}

/* Before anything else: a signal that comes during the start waits for the loop instead of ending it. */
static void hold_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

static int run(struct server *s, const sigset_t *set)
{
    struct err err = { .code = ERR_OK };
    int signals, pipe_fds[2], rc = EXIT_WRONG;
    signals = signalfd(-1, set, SFD_CLOEXEC);
    if (signals < 0 || pipe(pipe_fds) < 0) {
        fprintf(stderr, "runbell serve: %m\n");
        return EXIT_WRONG;
    }
    s->wake = pipe_fds[1];
    pthread_mutex_init(&s->lock, NULL);
    if (open_server(s, &err) < 0) {
        log_error("serve.failed", LOG_E(&err));
        fprintf(stderr, "runbell serve: %s\n", err.msg);
        rc = err.code == ERR_CONFLICT ? EXIT_WRONG : EXIT_UNREACHED;
    } else {
        say_listening(s);
        notify_manager("READY=1");
        rc = loop(s, signals, pipe_fds[0]);
    }
    close_server(s);
    if (s->reloaded) config_unref(&s->reloaded);
    pthread_mutex_destroy(&s->lock);
    close(signals);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return rc;
}

int cli_serve(int argc, char **argv)
{
    const char *path = NULL;
    bool json_logs = false;
    struct server s = { 0 };
    sigset_t set;
    int operands, status;
    const struct arg_option options[] = {
        { "config", 'c', "FILE", "configuration (runbell.yaml, or RUNBELL_CONFIG)", &path, NULL },
        { "json", 0, NULL, "log lines as JSON, whatever the configuration says", NULL, &json_logs },
    };
    int rc = args_parse(command_find("serve"), options, 2, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    umask(077);
    hold_signals(&set);
    s.config = config_or_explain(config_path(path), false, false, &status);
    if (!s.config) return status;
    log_setup(json_logs ? LOG_JSON : s.config->log_format, s.config->log_level);
    s.json_logs = json_logs;
    rng_seed_system(&s.rng);
    rc = run(&s, &set);
    config_unref(&s.config);
    return rc;
}
