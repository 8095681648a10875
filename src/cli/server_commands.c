/* Commands that talk to a running server: status, incidents, ack, resolve, deliveries, retry, runs, send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/timefmt.h"
#include "cli/cli.h"
#include "cli/call.h"
#include "cli/table.h"

/* --- incidents ------------------------------------------------------------------------------------------------------ */
static void print_incidents(struct call *c)
{
    struct table t;
    struct json list = json_get_c(c->answer, "data");
    table_init(&t, (const char *const[]){ "ID", "STATE", "SEVERITY", "RULE", "ENV", "HITS", "OPENED", "WHAT" }, 8);
    for (struct json i = json_first(list); json_kind(i) != JSON_ABSENT; i = json_next(i)) {
        table_cell(&t, call_text(i, "id"));
        table_cell(&t, call_text(i, "state"));
        table_cell(&t, call_text(i, "severity"));
        table_cell(&t, call_text(i, "rule"));
        table_cell(&t, call_text(i, "env"));
        table_cell(&t, call_text(i, "hits"));
        table_cell(&t, call_ago(&c->client.arena, call_text(i, "opened_at")));
        table_cell(&t, call_text(i, "title"));
    }
    table_print(&t);
    table_fini(&t);
}

static struct str shown(struct call *c, struct json v, const char *name)
{
    return printable(&c->client.arena, call_text(v, name));
}

static void print_incident(struct call *c)
{
    struct json i = c->answer, list;
    printf("%.*s  %.*s  %.*s\n%.*s\n\nrule %.*s, key %.*s, project %.*s, env %.*s\n%.*s hits of %.*s runs, opened %.*s\n\nTimeline\n",
           STR_ARG(shown(c, i, "id")), STR_ARG(shown(c, i, "state")), STR_ARG(shown(c, i, "severity")), STR_ARG(shown(c, i, "title")), STR_ARG(shown(c, i, "rule")),
           STR_ARG(shown(c, i, "key")), STR_ARG(shown(c, i, "project")), STR_ARG(shown(c, i, "env")), STR_ARG(shown(c, i, "hits")), STR_ARG(shown(c, i, "runs")),
           STR_ARG(shown(c, i, "opened_at")));
    list = json_get_c(i, "timeline");
    for (struct json n = json_first(list); json_kind(n) != JSON_ABSENT; n = json_next(n)) {
        struct json body = json_get_c(n, "detail");
        printf("  %.*s  %-14.*s", STR_ARG(shown(c, n, "at")), STR_ARG(shown(c, n, "what")));
        for (struct json f = json_first(body); json_kind(f) != JSON_ABSENT; f = json_next(f))
            printf(" %.*s=%.*s", STR_ARG(json_key(f)), STR_ARG(printable(&c->client.arena, json_scalar(f))));
        printf("\n");
    }
}

int cli_incidents(int argc, char **argv)
{
    struct call c = { 0 };
    const char *state = NULL, *rule = NULL, *task = NULL, *env = NULL, *q = NULL;
    bool all = false;
    int operands, rc;
    const char *path = "/v1/incidents?limit=100";
    const struct arg_option options[] = {
        CALL_OPTIONS(&c),
        { "state", 0, "STATE", "pending, open, acknowledged, unresolved (the default) or resolved", &state, NULL },
        { "rule", 0, "NAME", "of this rule", &rule, NULL },
        { "task", 0, "TASK", "of this task", &task, NULL },
        { "env", 0, "ENV", "of this environment", &env, NULL },
        { "search", 'q', "TEXT", "with this text in title, key or run", &q, NULL },
        { "all", 'a', NULL, "resolved ones, too", NULL, &all },
    };
    rc = args_parse(command_find("incidents"), options, 9, argc, argv, &operands, 0, 1);
    if (rc >= 0) return rc;
    {
        struct arena a = { 0 };
        const char *names[] = { "state", "rule", "task", "env", "q" }, *values[] = { state, rule, task, env, q };
        struct str p = str_c(path);
        if (!state && !all) values[0] = "unresolved";
        for (size_t k = 0; k < 5; k++)
            if (values[k]) p = str_printf(&a, "%.*s&%s=%.*s", STR_ARG(p), names[k], STR_ARG(client_encode(&a, str_c(values[k]))));
        if (operands) p = str_printf(&a, "/v1/incidents/%.*s", STR_ARG(client_encode(&a, str_c(argv[1]))));
        rc = call(&c, "GET", p.p, STR_NONE);
        arena_fini(&a);
    }
    if (rc == EXIT_FINE && !c.json) {
        if (operands) print_incident(&c);
        else print_incidents(&c);
    }
    return call_finish(&c, rc);
}

/* --- ack, resolve ----------------------------------------------------------------------------------------------------- */
static int change_incident(const char *command, const char *verb, int argc, char **argv)
{
    struct call c = { 0 };
    const char *who = getenv("USER"), *why = NULL, *span = NULL;
    struct strbuf body;
    struct json_writer w;
    struct arena a = { 0 };
    int operands, rc;
    const struct arg_option options[] = {
        CALL_OPTIONS(&c),
        { "by", 0, "WHO", "who does it (your user name)", &who, NULL },
        { "why", 0, "TEXT", "the reason, for the timeline", &why, NULL },
        { "for", 0, "DUR", "ack: lapses after that long (a snooze)", &span, NULL },
    };
    rc = args_parse(command_find(command), options, strcmp(command, "ack") == 0 ? 6 : 5, argc, argv, &operands, 1, 1);
    if (rc >= 0) return rc;
    strbuf_init(&body, 65536);
    json_writer_init(&w, &body);
    json_object_begin(&w);
    json_field_opt(&w, "who", str_c(who));
    json_field_opt(&w, "why", str_c(why));
    json_field_opt(&w, "for", str_c(span));
    json_object_end(&w);
    rc = call(&c, "POST", str_printf(&a, "/v1/incidents/%.*s/%s", STR_ARG(client_encode(&a, str_c(argv[1]))), span ? "snooze" : verb).p,
              strbuf_view(&body));
    if (rc == EXIT_FINE && !c.json) printf("%s: %s\n", argv[1], span ? "snoozed" : strcmp(verb, "ack") == 0 ? "acknowledged" : "resolved");
    strbuf_fini(&body);
    arena_fini(&a);
    return call_finish(&c, rc);
}

int cli_ack(int argc, char **argv)
{
    return change_incident("ack", "ack", argc, argv);
}

int cli_resolve(int argc, char **argv)
{
    return change_incident("resolve", "resolve", argc, argv);
}

/* --- deliveries ----------------------------------------------------------------------------------------------------------- */
static void print_deliveries(struct call *c)
{
    struct table t;
    struct json list = json_get_c(c->answer, "data");
    table_init(&t, (const char *const[]){ "ID", "STATE", "DESTINATION", "KIND", "TRIES", "MADE", "INCIDENT", "LAST ERROR" }, 8);
    for (struct json d = json_first(list); json_kind(d) != JSON_ABSENT; d = json_next(d)) {
        table_cell(&t, call_text(d, "id"));
        table_cell(&t, call_text(d, "state"));
        table_cell(&t, call_text(d, "destination"));
        table_cell(&t, call_text(d, "kind"));
        table_cell(&t, call_text(d, "attempts"));
        table_cell(&t, call_ago(&c->client.arena, call_text(d, "created_at")));
        table_cell(&t, call_text(d, "incident"));
        table_cell(&t, call_text(d, "last_error"));
    }
    table_print(&t);
    table_fini(&t);
}

int cli_deliveries(int argc, char **argv)
{
    struct call c = { 0 };
    const char *state = NULL;
    struct arena a = { 0 };
    int operands, rc;
    const struct arg_option options[] = { CALL_OPTIONS(&c), { "state", 0, "STATE", "pending, retrying, delivered, dead (all)", &state, NULL } };
    rc = args_parse(command_find("deliveries"), options, 4, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    rc = call(&c, "GET", state ? str_printf(&a, "/v1/deliveries?limit=100&state=%.*s", STR_ARG(client_encode(&a, str_c(state)))).p : "/v1/deliveries?limit=100", STR_NONE);
    if (rc == EXIT_FINE && !c.json) print_deliveries(&c);
    arena_fini(&a);
    return call_finish(&c, rc);
}

/* Commands of one operand that post nothing but their path. */
static int post_simple(const char *command, const char *before, const char *after, const char *said, int argc, char **argv)
{
    struct call c = { 0 };
    struct arena a = { 0 };
    int operands, rc;
    const struct arg_option options[] = { CALL_OPTIONS(&c) };
    rc = args_parse(command_find(command), options, 3, argc, argv, &operands, 1, 1);
    if (rc >= 0) return rc;
    rc = call(&c, "POST", str_printf(&a, "%s%.*s%s", before, STR_ARG(client_encode(&a, str_c(argv[1]))), after).p, STR("{}"));
    if (rc == EXIT_FINE && !c.json) printf("%s: %s\n", argv[1], said);
    arena_fini(&a);
    return call_finish(&c, rc);
}

int cli_retry(int argc, char **argv)
{
    return post_simple("retry", "/v1/deliveries/", "/retry", "will be sent again, with the same idempotency key", argc, argv);
}

int cli_send(int argc, char **argv)
{
    return post_simple("send", "/v1/destinations/", "/send", "a drill is on its way; `runbell deliveries` shows what came of it", argc, argv);
}

/* --- runs, status ---------------------------------------------------------------------------------------------------------- */
static void print_tree(struct arena *a, struct json v, int depth)
{
    for (struct json m = json_first(v); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        bool inner = json_kind(m) == JSON_OBJECT || json_kind(m) == JSON_ARRAY;
        struct str key = json_kind(v) == JSON_OBJECT ? json_key(m) : STR("-");
        if (inner && json_count(m) == 0) continue;
        printf("%*s%.*s%s", depth * 2, "", STR_ARG(printable(a, key)), inner ? "\n" : ": ");
        if (inner)
            print_tree(a, m, depth + 1);
        else
            printf("%.*s\n", STR_ARG(printable(a, json_scalar(m))));
    }
}

int cli_runs(int argc, char **argv)
{
    struct call c = { 0 };
    struct arena a = { 0 };
    bool again = false;
    int operands, rc;
    const struct arg_option options[] = { CALL_OPTIONS(&c), { "reread", 0, NULL, "have it read again from Trigger.dev's API", NULL, &again } };
    rc = args_parse(command_find("runs"), options, 4, argc, argv, &operands, 1, 1);
    if (rc >= 0) return rc;
    if (again) {
        rc = call(&c, "POST", str_printf(&a, "/v1/runs/%.*s/reread", STR_ARG(client_encode(&a, str_c(argv[1])))).p, STR("{}"));
        if (rc == EXIT_FINE && !c.json) printf("%s: it is being read again; ask once more in a moment\n", argv[1]);
    } else {
        rc = call(&c, "GET", str_printf(&a, "/v1/runs/%.*s", STR_ARG(client_encode(&a, str_c(argv[1])))).p, STR_NONE);
        if (rc == EXIT_FINE && !c.json) print_tree(&c.client.arena, c.answer, 0);
    }
    arena_fini(&a);
    return call_finish(&c, rc);
}

int cli_status(int argc, char **argv)
{
    struct call c = { 0 };
    int operands, rc;
    const struct arg_option options[] = { CALL_OPTIONS(&c) };
    rc = args_parse(command_find("status"), options, 3, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    rc = call(&c, "GET", "/v1/status", STR_NONE);
    if (rc == EXIT_FINE && !c.json) print_tree(&c.client.arena, c.answer, 0);
    return call_finish(&c, rc);
}

int cli_healthcheck(int argc, char **argv)
{
    struct call c = { 0 };
    int operands, rc;
    const struct arg_option options[] = { CALL_OPTIONS(&c) };
    rc = args_parse(command_find("healthcheck"), options, 3, argc, argv, &operands, 0, 0);
    if (rc >= 0) return rc;
    rc = call(&c, "GET", "/readyz", STR_NONE);
    return call_finish(&c, rc);
}
