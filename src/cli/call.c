/* call: one request to the running server, and what is said when it cannot be answered. */
#include "cli/call.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/timefmt.h"

int call(struct call *c, const char *method, const char *path, struct str body)
{
    struct err err;
    if (client_open(&c->client, c->url, c->config, &err) < 0 || client_request(&c->client, method, path, body, &c->status, &c->answer, &err) < 0) {
        fprintf(stderr, "runbell: %s\n", err.msg);
        return EXIT_UNREACHED;
    }
    if (c->status >= 200 && c->status < 300) return EXIT_FINE;
    {
        struct str title = json_str(json_get_c(c->answer, "title")), detail = json_str(json_get_c(c->answer, "detail"));
        fprintf(stderr, "runbell: the server answered %d: %.*s%s%.*s\n", c->status, STR_ARG(title), detail.n ? ": " : "", STR_ARG(detail));
        if (c->status == 401) fprintf(stderr, "Set RUNBELL_TOKEN, or name the configuration that has server.token with -c\n");
    }
    return EXIT_WRONG;
}

int call_finish(struct call *c, int rc)
{
    if (rc == EXIT_FINE && c->json) printf("%.*s\n", (int)json_text(c->answer).n, json_text(c->answer).p ? json_text(c->answer).p : "{}");
    client_close(&c->client);
    return rc;
}

struct str call_text(struct json v, const char *name)
{
    return json_scalar(json_get_c(v, name));
}

struct str call_ago(struct arena *a, struct str when)
{
    int64_t ms;
    char buf[TIMEFMT_SIZE];
    struct str span;
    if (!time_parse(when, &ms)) return STR("");
    span = duration_human(clock_wall(clock_system()).ms - ms, buf);
    return str_printf(a, "%.*s ago", STR_ARG(span));
}
