#include "cli/from_api.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/suggest.h"
#include "cli/cli.h"
#include "source/past.h"

enum { BAR_WIDTH = 40, PATH_SIZE = 320, SOURCES_MAX = 256 };

/* --- the folder ---------------------------------------------------------------------------------------------------- */
static const char *const file_names[] = { "history.db", "history.db-wal", "history.db-shm", "history.db-journal", "history.db.lock" };
enum { FILES = sizeof file_names / sizeof *file_names };
/* For whoever is interrupted: what is to be removed, written out before. */
static char leftovers[FILES][PATH_SIZE], leftover_folder[PATH_SIZE];

static void remove_leftovers(void)
{
    for (size_t k = 0; k < FILES; k++)
        if (leftovers[k][0]) unlink(leftovers[k]);
    if (leftover_folder[0]) rmdir(leftover_folder);
    leftover_folder[0] = '\0';
}

static void on_signal(int sig)
{
    remove_leftovers();
    signal(sig, SIG_DFL);
    raise(sig);
}

static void remember(const char *folder)
{
    const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    for (size_t k = 0; k < FILES; k++) snprintf(leftovers[k], sizeof leftovers[k], "%s/%s", folder, file_names[k]);
    snprintf(leftover_folder, sizeof leftover_folder, "%s", folder);
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++) signal(signals[k], on_signal);
}

static int make_store(struct from_api *f, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%.200s/runbell-history-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    if (!mkdtemp(f->folder)) {
        int rc = err_set(err, ERR_IO, "cannot make a folder for the history, %s: %m - set TMPDIR", f->folder);
        f->folder[0] = '\0';
        return rc;
    }
    remember(f->folder);
    f->store = store_open("sqlite:history.db", f->folder, err);
    return f->store ? 0 : -1;
}

void from_api_close(struct from_api *f)
{
    if (f->reader) f->reader->ops->close(&f->reader);
    if (f->store) f->store->ops->close(&f->store);
    if (f->folder[0]) remove_leftovers();
    f->folder[0] = '\0';
}

/* --- what comes in --------------------------------------------------------------------------------------------------- */
struct filling {
    struct store *store;
    struct store_batch batch;
    struct id_gen ids;
    struct arena arena;
    const char *source;
    int last_percent;
    bool drawn;
};

static void take_run(struct filling *x, const struct run *run, int64_t now_ms)
{
    struct run one = *run;
    struct run_known known = { .exists = false };
    struct transition t[TRANSITIONS_MAX];
    uint64_t id = id_next(&x->ids, now_ms);
    size_t n = run_transitions(&x->arena, &one, &known, now_ms, 0, id, t);
    struct json_draft d;
    if (n == 0) return;
    run_write(&one, json_draft_begin(&d, 16 << 20));
    *vec_push(&x->batch.events) = (struct store_event){
        .id = id, .source = str_c(x->source), .project = one.project, .env = one.env, .run = one.id, .status = one.spelling,
        .state = str_c(run_state_name(one.state)), .attempt = t[n - 1].attempt, .event_ms = t[n - 1].event_ms, .arrival_ms = now_ms,
        .body = json_draft_end(&d, &x->arena),
    };
}

static int submit(void *ctx, const struct poller_batch *b, struct err *err)
{
    struct filling *x = ctx;
    int64_t now_ms = clock_wall(clock_system()).ms;
    int rc;
    for (size_t k = 0; k < b->run_count; k++) take_run(x, &b->runs[k], now_ms);
    x->batch.now_ms = now_ms;
    rc = x->store->ops->commit(x->store, &x->batch, err);
    store_batch_clear(&x->batch);
    arena_reset(&x->arena);
    return rc;
}

static void show(void *ctx, int percent, uint64_t runs, const char *trouble)
{
    struct filling *x = ctx;
    const char *again = trouble[0] ? "; again after: " : "";
    if (isatty(STDERR_FILENO)) {
        x->drawn = true;
        fprintf(stderr, "\r[");
        for (int k = 0; k < BAR_WIDTH; k++) fputc(k < percent * BAR_WIDTH / 100 ? '#' : '.', stderr);
        fprintf(stderr, "] %3d%%  %llu runs read from %s%s%.60s\033[K", percent, (unsigned long long)runs, x->source, again, trouble);
    } else if (percent / 10 != x->last_percent / 10 || trouble[0]) {
        fprintf(stderr, "%d%%: %llu runs read from %s%s%s\n", percent, (unsigned long long)runs, x->source, again, trouble);
    }
    x->last_percent = percent;
}

/* --- which source ------------------------------------------------------------------------------------------------------ */
static int not_that_one(const struct config *c, const char *name, const struct config_source *other)
{
    struct str apis[SOURCES_MAX] = { { NULL, 0 } }, nearest;
    size_t n = 0;
    for (size_t k = 0; k < c->source_count && n < SOURCES_MAX; k++)
        if (c->sources[k].type == SOURCE_TRIGGER_API) apis[n++] = c->sources[k].name;
    nearest = suggest_nearest(str_c(name), apis, n);
    if (other)
        fprintf(stderr, "runbell backtest: source `%s` is of type %s, and history is read from one of type trigger-api", name, source_type_name(other->type));
    else
        fprintf(stderr, "runbell backtest: there is no source `%s`", name);
    if (!str_absent(nearest)) fprintf(stderr, "; did you mean `%.*s`?\n", STR_ARG(nearest));
    else if (n == 0) fprintf(stderr, "; the configuration has none of type trigger-api\n");
    else fprintf(stderr, "; there is `%.*s`\n", STR_ARG(apis[0]));
    return EXIT_WRONG;
}

static const struct config_source *source_named(const struct config *c, const char *name, int *status)
{
    const struct config_source *s = NULL;
    for (size_t k = 0; k < c->source_count && !s; k++)
        if (str_eq_c(c->sources[k].name, name)) s = &c->sources[k];
    *status = EXIT_WRONG;
    if (!s || s->type != SOURCE_TRIGGER_API) {
        *status = not_that_one(c, name, s);
        return NULL;
    }
    if (!config_secret_unresolved(&s->api.key)) return s;
    fprintf(stderr, "runbell backtest: the key of source `%s`, %.*s, cannot be resolved here\n", name, STR_ARG(s->api.key.reference));
    return NULL;
}

/* --- what the past does not tell ------------------------------------------------------------------------------------------ */
/* Of a run that ended, its row tells the end and how often it was tried, and not each state on the way. */
static bool sees(const struct rule *r, uint32_t tells)
{
    uint32_t needs = rule_needs(r), ends = 0, states = rule_states(r);
    for (size_t k = 0; k < r->by_count; k++) needs |= rule_field_reads(&r->by[k]);
    if (r->condition.of) needs |= rule_field_reads(r->condition.of);
    for (uint32_t k = 0; k < RUN_STATES; k++)
        if (run_state_class((enum run_state)k) & RUN_CLASS_FINISHED) ends |= 1u << k;
    if (tells & RUN_HAS_ATTEMPT) ends |= 1u << RUN_REATTEMPTING;
    return (states & ends) && !(needs & ~tells & ~(uint32_t)RUN_HAS_STATE);
}

static size_t blind_rules(const struct from_api_ask *ask, uint32_t tells, struct strbuf *names)
{
    size_t n = 0;
    for (size_t i = 0; i < ask->rule_sets; i++)
        for (size_t k = 0; k < ask->rules[i]->rule_count; k++) {
            const struct rule *r = ask->rules[i]->rules[k];
            if (sees(r, tells)) continue;
            if (names && names->n < 1000) strbuf_printf(names, "%s" STR_FMT, names->n ? ", " : "", STR_ARG(r->name));
            n++;
        }
    return n;
}

/* Queries tell more, lists tell metadata. */
static void choose_method(const struct from_api_ask *ask, struct config_source *s)
{
    if (s->api.method == METHOD_AUTO && blind_rules(ask, past_tells(METHOD_LIST), NULL) < blind_rules(ask, past_tells(METHOD_QUERY), NULL)) s->api.method = METHOD_LIST;
}

static void say_blind(const struct from_api_ask *ask, enum source_method method)
{
    struct strbuf names;
    strbuf_init(&names, 4096);
    if (blind_rules(ask, past_tells(method), &names))
        fprintf(stderr, "runbell backtest: runs that ended, by %s, do not tell what these rules ask for, and they miss what a server would see: %.*s\n",
                method == METHOD_LIST ? "lists (no queue, machine, error or attempts; only ends)" : "queries (no metadata or schedule; ends and retries only)", (int)names.n, names.p);
    strbuf_fini(&names);
}

/* --- all of it ----------------------------------------------------------------------------------------------------------------- */
static int fill(struct from_api *f, const struct from_api_ask *ask, const struct config_source *s, struct err *err)
{
    struct filling x = { .store = f->store, .source = ask->source, .last_percent = -10 };
    const struct past_setup setup = { .config = ask->config, .source = s, .clock = clock_system(), .since_ms = ask->since_ms,
                                      .sink = { .ctx = &x, .submit = submit }, .progress = show, .progress_ctx = &x };
    enum source_method method;
    enum past_outcome outcome;
    uint64_t runs;
    store_batch_init(&x.batch);
    outcome = past_read(&setup, &method, &runs, err);
    store_batch_fini(&x.batch);
    arena_fini(&x.arena);
    if (x.drawn) fprintf(stderr, "\r\033[K");
    if (outcome == PAST_READ) {
        fprintf(stderr, "%s: %llu runs that ended, by %s\n", ask->source, (unsigned long long)runs, source_method_name(method));
        say_blind(ask, method);
        return EXIT_FINE;
    }
    fprintf(stderr, "runbell backtest: source `%s`: %s\n", ask->source, err->msg);
    return outcome == PAST_DENIED ? EXIT_WRONG : EXIT_UNREACHED;
}

int from_api_open(struct from_api *f, const struct from_api_ask *ask)
{
    int status;
    struct err err = { 0 };
    const struct config_source *s = source_named(ask->config, ask->source, &status);
    struct config_source own;
    *f = (struct from_api){ .store = NULL };
    if (!s) return status;
    own = *s;
    choose_method(ask, &own);
    log_setup(LOG_LOGFMT, LOG_ERROR); /* how it goes is shown */
    if (make_store(f, &err) < 0) {
        fprintf(stderr, "runbell backtest: %s\n", err.msg);
        return EXIT_UNREACHED;
    }
    status = fill(f, ask, &own, &err);
    if (status != EXIT_FINE) return status;
    f->reader = f->store->ops->reader_open(f->store, &err);
    if (f->reader) return EXIT_FINE;
    fprintf(stderr, "runbell backtest: %s\n", err.msg);
    return EXIT_UNREACHED;
}
