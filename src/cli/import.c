/* import: history of a trigger-api source into the running server's log. The server does it, beside its looking and
 * within the source's budget; this command asks for it and shows how far it is. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/timefmt.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"

const char import_help[] =
    "Brings runs that ended before the source began to look, or that no rule asked for then, into the server's\n"
    "log, for backtests. They are recorded and never evaluated: nothing rings. The server reads them beside its\n"
    "looking, within the source's budget, and goes on after a restart; this command shows how far it is, and may\n"
    "be left with Ctrl-C and called again with --watch.";

enum { WATCH_MS = 250, BAR = 40 };

struct import {
    const char *config, *url, *source, *since;
    bool json, watch;
    struct client client;
    struct json answer;
    int last_percent;
};

static int complain(const struct import *m, int status)
{
    struct str title = json_str(json_get_c(m->answer, "title")), detail = json_str(json_get_c(m->answer, "detail"));
    fprintf(stderr, "runbell import: the server answered %d: %.*s%s%.*s\n", status, STR_ARG(title), detail.n ? ": " : "", STR_ARG(detail));
    return EXIT_WRONG;
}

/* An exit status, or -1: fine. */
static int ask(struct import *m, const char *method, const char *path)
{
    struct err err;
    int status;
    if (client_request(&m->client, method, path, strcmp(method, "POST") == 0 ? STR("{}") : STR_NONE, &status, &m->answer, &err) < 0) {
        fprintf(stderr, "runbell import: %s\n", err.msg);
        return EXIT_UNREACHED;
    }
    return status >= 200 && status < 300 ? -1 : complain(m, status);
}

static struct json source_of(const struct import *m)
{
    struct json list = json_get_c(m->answer, "data");
    for (struct json s = json_first(list); json_kind(s) != JSON_ABSENT; s = json_next(s))
        if (str_eq_c(json_str(json_get_c(s, "name")), m->source)) return s;
    return (struct json){ 0 };
}

static void show(struct import *m, struct json i)
{
    int64_t percent = 0, runs = 0;
    struct str trouble = json_str(json_get_c(i, "trouble")), at = json_str(json_get_c(i, "at"));
    bool bar = isatty(STDERR_FILENO);
    json_i64(json_get_c(i, "percent"), &percent);
    json_i64(json_get_c(i, "runs"), &runs);
    if (bar) {
        fprintf(stderr, "\r[");
        for (int k = 0; k < BAR; k++) fputc(k < percent * BAR / 100 ? '#' : '.', stderr);
        fprintf(stderr, "] %3lld%%  %lld runs, at %.*s %.*s ", (long long)percent, (long long)runs, STR_ARG(str_sub(at, 0, 19)), STR_ARG(trouble));
    } else if (percent / 10 != m->last_percent / 10) {
        fprintf(stderr, "%lld%%: %lld runs, at %.*s%s%.*s\n", (long long)percent, (long long)runs, STR_ARG(at), trouble.n ? "; " : "", STR_ARG(trouble));
    }
    m->last_percent = (int)percent;
}

static int watch(struct import *m)
{
    const struct timespec pause = { 0, WATCH_MS * 1000000L };
    for (;;) {
        struct json i;
        struct str state;
        int rc = ask(m, "GET", "/v1/sources");
        if (rc >= 0) return rc;
        i = json_get_c(source_of(m), "import");
        state = json_str(json_get_c(i, "state"));
        if (state.n == 0 && str_eq_c(json_str(json_get_c(source_of(m), "state")), "starting")) {
            nanosleep(&pause, NULL);
            continue;
        }
        if (state.n == 0) {
            fprintf(stderr, "runbell import: no import of `%s` has been asked for\n", m->source);
            return EXIT_WRONG;
        }
        show(m, i);
        if (str_eq_c(state, "done")) {
            if (isatty(STDERR_FILENO)) fputc('\n', stderr);
            if (m->json) printf("%.*s\n", STR_ARG(json_text(i)));
            else printf("%s: %.*s runs are in the log\n", m->source, STR_ARG(json_scalar(json_get_c(i, "runs"))));
            return EXIT_FINE;
        }
        nanosleep(&pause, NULL);
    }
}

static int begin(struct import *m)
{
    struct arena a = { 0 };
    const char *path = str_printf(&a, "/v1/sources/%.*s/import?since=%.*s", STR_ARG(client_encode(&a, str_c(m->source))),
                                  STR_ARG(client_encode(&a, str_c(m->since)))).p;
    int rc = ask(m, "POST", path);
    arena_fini(&a);
    return rc;
}

int cli_import(int argc, char **argv)
{
    struct import m = { .last_percent = -10 };
    struct err err;
    int operands, rc;
    const struct arg_option options[] = {
        { "source", 0, "NAME", "the source of type trigger-api", &m.source, NULL },
        { "since", 0, "DUR", "how far back: 7d", &m.since, NULL },
        { "watch", 0, NULL, "show an import that was begun before", NULL, &m.watch },
        { "config", 'c', "FILE", "configuration, to learn the server's address and token", &m.config, NULL },
        { "url", 0, "URL", "address of the server (or RUNBELL_URL); token from RUNBELL_TOKEN", &m.url, NULL },
        { "json", 0, NULL, "the outcome as JSON", NULL, &m.json },
    };
    rc = args_parse(command_find("import"), options, 6, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    if (!m.source || (!m.since && !m.watch)) {
        fprintf(stderr, "runbell import: wants --source NAME and --since DUR, for example: runbell import --source prod --since 7d\n");
        return EXIT_USAGE;
    }
    if (client_open(&m.client, m.url, m.config, &err) < 0) {
        fprintf(stderr, "runbell import: %s\n", err.msg);
        return EXIT_UNREACHED;
    }
    rc = m.watch ? -1 : begin(&m);
    if (rc < 0) rc = watch(&m);
    client_close(&m.client);
    return rc;
}
