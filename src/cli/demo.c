/* demo: the story of the three sample rules, told with the real server: started on a store of its own, fed over
 * HTTP, printing what it sends. Times are seconds instead of minutes. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timefmt.h"
#include "cli/cli.h"
#include "cli/client.h"

const char demo_help[] =
    "Starts a server of its own on 127.0.0.1:8484 (or --listen), with a store in a temporary folder, posts run events\n"
    "of the kind Trigger.dev has, and shows every message as it is sent: a crash, a time-out, a tagged failure, a run\n"
    "that keeps REATTEMPTING until the pager rings, and the success that resolves it. Takes about ten seconds. On a\n"
    "terminal it then stays, so that you can look around with other commands, until Ctrl-C.";

static const char demo_config[] =
    "version: 1\n"
    "server: {listen: \"%s\"}\n"
    "store: {url: \"sqlite:demo.db\"}\n"
    "sources:\n"
    "  push: {type: webhook}\n"
    "destinations:\n"
    "  slack-ops:     {type: console}\n"
    "  slack-billing: {type: console}\n"
    "  pager:         {type: console}\n"
    "defaults: {linger: 1s, update: 1s}\n"
    "rules:\n"
    "  crashed-or-timed-out:\n"
    "    when: {status: [CRASHED, TIMED_OUT]}\n"
    "    notify: slack-ops\n"
    "  billing-failed:\n"
    "    when: {tags: [billing, invoices], status: failed}\n"
    "    notify: slack-billing\n"
    "  retry-storm:\n"
    "    when: {status: REATTEMPTING}\n"
    "    count: 3 in 10m\n"
    "    by: run\n"
    "    severity: critical\n"
    "    notify: slack-ops\n"
    "    escalate: {3s: pager}\n";

struct demo {
    struct arena a;
    char dir[64];
    const char *config, *listen;
    pid_t server;
    struct client client;
    bool color;
    int64_t delivered; /* messages seen so far */
};

/* --- the server ------------------------------------------------------------------------------------------------------ */
static int write_config(struct demo *d)
{
    FILE *f;
    const char *tmp = getenv("TMPDIR");
    snprintf(d->dir, sizeof d->dir, "%s/runbell-demo-XXXXXX", tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    if (!mkdtemp(d->dir)) return -1;
    d->config = str_printf(&d->a, "%s/demo.yaml", d->dir).p;
    f = fopen(d->config, "w");
    if (!f) return -1;
    fprintf(f, demo_config, d->listen);
    return fclose(f);
}

static void start_server(struct demo *d)
{
    const char *log = str_printf(&d->a, "%s/demo.log", d->dir).p;
    fflush(NULL);
    d->server = fork();
    if (d->server != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* it does not outlive the story */
    if (!freopen(log, "w", stderr)) _exit(EXIT_WRONG);
    execl("/proc/self/exe", "runbell", "serve", "-c", d->config, (char *)NULL);
    _exit(EXIT_WRONG);
}

static void pause_ms(int ms)
{
    poll(NULL, 0, ms);
}

static int get(struct demo *d, const char *path, struct json *answer)
{
    struct err err;
    int status;
    if (client_request(&d->client, "GET", path, STR_NONE, &status, answer, &err) < 0 || status != 200) return -1;
    return 0;
}

static bool somebody_answers(struct demo *d)
{
    struct json answer;
    struct err err;
    int status;
    return client_request(&d->client, "GET", "/healthz", STR_NONE, &status, &answer, &err) == 0;
}

static bool server_gone(struct demo *d)
{
    if (d->server <= 0 || waitpid(d->server, NULL, WNOHANG) != d->server) return false;
    d->server = 0;
    return true;
}

static int wait_ready(struct demo *d)
{
    struct json answer;
    for (int tries = 0; tries < 500 && !server_gone(d); tries++, pause_ms(20))
        if (get(d, "/readyz", &answer) == 0) return 0;
    return -1;
}

static void print_log(struct demo *d)
{
    char line[512];
    FILE *f = fopen(str_printf(&d->a, "%s/demo.log", d->dir).p, "r");
    while (f && fgets(line, sizeof line, f)) fprintf(stderr, "  %s", line);
    if (f) fclose(f);
}

static void stop_server(struct demo *d)
{
    static const char *const files[] = { "demo.yaml", "demo.log", "demo.db", "demo.db-wal", "demo.db-shm", "demo.db.lock" };
    if (d->server > 0) {
        kill(d->server, SIGTERM);
        waitpid(d->server, NULL, 0);
    }
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) unlink(str_printf(&d->a, "%s/%s", d->dir, files[k]).p);
    rmdir(d->dir);
}

/* --- telling it ---------------------------------------------------------------------------------------------------------- */
static void tell(struct demo *d, const char *text)
{
    printf("%s\n>>> %s%s\n", d->color ? "\033[1m" : "", text, d->color ? "\033[0m" : "");
    fflush(stdout);
}

/* Waits until that many messages are delivered in all. */
static int wait_messages(struct demo *d, int64_t n)
{
    struct json answer;
    for (int tries = 0; tries < 1000; tries++, pause_ms(20)) {
        struct json list;
        if (get(d, "/v1/deliveries?state=delivered&limit=100", &answer) < 0) return -1;
        list = json_get_c(answer, "data");
        if ((int64_t)json_count(list) >= n) {
            d->delivered = (int64_t)json_count(list);
            return 0;
        }
    }
    fprintf(stderr, "runbell demo: expected %lld messages by now\n", (long long)n);
    return -1;
}

struct sample { const char *id, *status, *task, *tags, *error; int finished; };

static void put_attempts(struct json_writer *w, const struct sample *s, int64_t now)
{
    json_put_key(w, STR("attempts"));
    json_array_begin(w);
    for (int k = 0; k < s->finished; k++) {
        json_object_begin(w);
        json_field_str(w, "status", STR("FAILED"));
        json_field_time(w, "startedAt", now - 1000);
        json_field_time(w, "completedAt", now);
        json_put_key(w, STR("error"));
        json_object_begin(w);
        json_field_str(w, "name", STR("Error"));
        json_field_str(w, "message", str_c(s->error));
        json_object_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static int post(struct demo *d, const struct sample *s)
{
    struct strbuf b;
    struct json_writer w;
    struct json answer;
    struct err err;
    int64_t now = clock_wall(clock_system()).ms;
    int status, rc;
    strbuf_init(&b, 65536);
    json_writer_init(&w, &b);
    json_object_begin(&w);
    json_field_str(&w, "id", str_c(s->id));
    json_field_str(&w, "status", str_c(s->status));
    json_field_str(&w, "taskIdentifier", str_c(s->task));
    json_field_str(&w, "version", STR("20260503.1"));
    json_field_time(&w, "createdAt", now - 60000);
    json_field_time(&w, "startedAt", now - 59000);
    json_field_time(&w, "updatedAt", now);
    json_put_key(&w, STR("tags"));
    json_put_raw(&w, str_c(s->tags));
    put_attempts(&w, s, now);
    json_object_end(&w);
    printf("    POST /v1/events  {\"id\":\"%s\",\"status\":\"%s\",\"taskIdentifier\":\"%s\",...}\n\n", s->id, s->status, s->task);
    fflush(stdout); /* before the server prints what comes of it */
    rc = client_request(&d->client, "POST", "/v1/events", strbuf_view(&b), &status, &answer, &err);
    strbuf_fini(&b);
    if (rc == 0 && status == 202) return 0;
    fprintf(stderr, "runbell demo: the server answered %d\n", status);
    return -1;
}

static int story(struct demo *d)
{
    struct sample crash = { "run_crash7x2m9q4w1z8", "CRASHED", "render-video", "[\"org_northwind\"]", "Process killed: out of memory (exit 137)", 1 };
    struct sample slow = { "run_tmout3k8p5r2v6y1", "TIMED_OUT", "sync-ledger", "[\"org_northwind\"]", "maxDuration of 300s exceeded", 1 };
    struct sample bill = { "run_bill4c7v1b9n3m5", "COMPLETED_WITH_ERRORS", "send-invoice", "[\"invoices\"]", "Card processor answered 502", 1 };
    struct sample retry = { "run_retry5b9n2c7x4m1", "REATTEMPTING", "sync-contacts", "[]", "SMTP 421 try again later", 1 };
    tell(d, "A run crashes. Rule crashed-or-timed-out tells slack-ops:");
    if (post(d, &crash) < 0 || wait_messages(d, 1) < 0) return -1;
    tell(d, "Another one runs into its time limit. Another task, so another incident:");
    if (post(d, &slow) < 0 || wait_messages(d, 2) < 0) return -1;
    tell(d, "A run tagged `invoices` fails. Rule billing-failed tells slack-billing:");
    if (post(d, &bill) < 0 || wait_messages(d, 3) < 0) return -1;
    tell(d, "A run keeps being retried. The first and the second time nobody is disturbed:");
    if (post(d, &retry) < 0) return -1;
    retry.finished = 2;
    if (post(d, &retry) < 0) return -1;
    tell(d, "The third retry within ten minutes: rule retry-storm tells slack-ops:");
    retry.finished = 3;
    if (post(d, &retry) < 0 || wait_messages(d, 4) < 0) return -1;
    tell(d, "Nobody reacts. Three seconds later (15 minutes in real life) the pager rings:");
    if (wait_messages(d, 5) < 0) return -1;
    tell(d, "The fourth attempt succeeds. The incident resolves, and whoever was told hears of it:");
    retry.status = "COMPLETED_SUCCESSFULLY";
    if (post(d, &retry) < 0 || wait_messages(d, 7) < 0) return -1;
    return 0;
}

static int show(struct demo *d, const char *title, int (*run)(int, char **), const char *name, const char *flag)
{
    char *argv[] = { (char *)(uintptr_t)name, (char *)(uintptr_t)"--url", (char *)(uintptr_t)d->client.base.p, (char *)(uintptr_t)flag, NULL };
    tell(d, title);
    fflush(stdout);
    return run(flag ? 4 : 3, argv);
}

static int stay(struct demo *d)
{
    sigset_t set;
    int sig;
    printf("\nThe server stays up on %s until Ctrl-C. Try in another terminal:\n  runbell incidents --url %s\n  runbell status --url %s\n", d->client.base.p,
           d->client.base.p, d->client.base.p);
    fflush(stdout);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigwait(&set, &sig);
    return EXIT_FINE;
}

static int run(struct demo *d, bool leave)
{
    struct err err;
    const char *url = str_printf(&d->a, "http://%s", d->listen).p;
    if (write_config(d) < 0) {
        fprintf(stderr, "runbell demo: cannot write to %s: %m\n", d->dir);
        return EXIT_UNREACHED;
    }
    if (client_open(&d->client, url, NULL, &err) < 0) return EXIT_UNREACHED;
    if (somebody_answers(d)) {
        fprintf(stderr, "runbell demo: something listens on %s already; try --listen 127.0.0.1:8485\n", d->listen);
        return EXIT_WRONG;
    }
    start_server(d);
    if (wait_ready(d) < 0) {
        fprintf(stderr, "runbell demo: the server did not start on %s (is the address taken? try --listen 127.0.0.1:8485):\n", d->listen);
        print_log(d);
        return EXIT_WRONG;
    }
    printf("runbell is up on http://%s with three rules; its destinations print here instead of calling Slack and a pager.\n", d->listen);
    if (story(d) < 0) {
        fprintf(stderr, "runbell demo: the story went wrong; the server's log:\n");
        print_log(d);
        return EXIT_WRONG;
    }
    show(d, "What happened, as `runbell incidents --all` tells it:", cli_incidents, "incidents", "--all");
    show(d, "Every message that was sent, as `runbell deliveries` tells it:", cli_deliveries, "deliveries", NULL);
    return !leave && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? stay(d) : EXIT_FINE;
}

int cli_demo(int argc, char **argv)
{
    struct demo d = { .listen = "127.0.0.1:8484" };
    bool leave = false;
    int operands, rc;
    const struct arg_option options[] = {
        { "listen", 0, "HOST:PORT", "where the demo's server listens (127.0.0.1:8484)", &d.listen, NULL },
        { "exit", 0, NULL, "end after the story, on a terminal, too", NULL, &leave },
    };
    rc = args_parse(command_find("demo"), options, 2, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    d.color = use_color(STDOUT_FILENO);
    rc = run(&d, leave);
    stop_server(&d);
    client_close(&d.client);
    arena_fini(&d.a);
    return rc;
}
