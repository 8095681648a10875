/* explain RUN: what the running server says of a run it has seen. */
#include "cli/explain.h"

#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/table.h"

void print_clause(struct json c, int depth)
{
    static const char *const groups[] = { "all", "any", "not" };
    const char *mark = json_bool(json_get_c(c, "hit"), false) ? "yes" : "NO ";
    for (size_t k = 0; k < 3; k++) {
        struct json inner = json_get_c(c, groups[k]);
        if (json_kind(inner) == JSON_ABSENT) continue;
        printf("  %*s%s  %s:\n", depth * 2, "", mark, groups[k]);
        for (struct json i = json_first(inner); json_kind(i) != JSON_ABSENT; i = json_next(i)) print_clause(i, depth + 1);
        return;
    }
    printf("  %*s%s  %.*s: wants %.*s, saw %.*s\n", depth * 2, "", mark, STR_ARG(json_str(json_get_c(c, "field"))),
           STR_ARG(json_str(json_get_c(c, "test"))), STR_ARG(json_text(json_get_c(c, "value"))));
}

/* A member as text that may be printed. */
static struct str shown(struct arena *a, struct json v, const char *name)
{
    struct str text = json_scalar(json_get_c(v, name));
    return str_absent(text) ? STR("") : printable(a, text);
}

/* A number, a time or a text behind words of its own; nothing when it is not there. */
static void print_if(struct arena *a, struct json v, const char *before, const char *name)
{
    if (json_present(json_get_c(v, name))) printf("%s%.*s", before, STR_ARG(shown(a, v, name)));
}

static void print_first(struct arena *a, struct json w)
{
    bool seen = json_present(json_get_c(w, "last_seen"));
    print_if(a, w, "last seen at ", "last_seen");
    print_if(a, w, seen ? ", then at " : "then seen at ", "next_seen");
    if (!seen && !json_present(json_get_c(w, "next_seen"))) printf("not seen before");
}

static void print_row(struct json row)
{
    if (json_kind(row) != JSON_ARRAY || json_count(row) == 0) return;
    printf("; the row, newest last:");
    for (struct json e = json_first(row); json_kind(e) != JSON_ABSENT; e = json_next(e)) fputs(json_bool(json_get_c(e, "hit"), false) ? " hit" : " other", stdout);
}

static void print_window(struct arena *a, struct json w)
{
    struct str key = shown(a, w, "key");
    printf("window%s%.*s: ", key.n ? " of " : "", STR_ARG(key));
    if (str_eq_c(json_str(json_get_c(w, "what")), "first")) print_first(a, w);
    print_if(a, w, "", "hits");
    print_if(a, w, " hits of ", "runs");
    print_if(a, w, " runs, ", "percent");
    if (json_present(json_get_c(w, "percent"))) printf("%%");
    print_if(a, w, "", "count");
    print_if(a, w, " of ", "of");
    if (json_present(json_get_c(w, "count"))) print_if(a, w, " ", "what");
    if (json_present(json_get_c(w, "count"))) print_if(a, w, " in ", "in");
    print_if(a, w, ", the oldest at ", "oldest");
    print_row(json_get_c(w, "row"));
    printf("; wants %.*s: %s\n", STR_ARG(shown(a, w, "wants")), json_bool(json_get_c(w, "holds"), false) ? "it holds" : "it does not hold");
}

void print_windows(struct arena *a, struct json windows, int indent)
{
    for (struct json w = json_first(windows); json_kind(w) != JSON_ABSENT; w = json_next(w)) {
        printf("%*s", indent, "");
        print_window(a, w);
    }
}

/* Of `lasts`: since when it is so, and until when that is all right. */
static void print_stays(struct arena *a, struct json rule)
{
    for (struct json s = json_first(json_get_c(rule, "stays")); json_kind(s) != JSON_ABSENT; s = json_next(s)) {
        struct str key = shown(a, s, "key");
        printf("      stay%s%.*s: since %.*s, %s at %.*s, when %.*s are over", key.n ? " in " : "", STR_ARG(key), STR_ARG(shown(a, s, "since")),
               json_bool(json_get_c(s, "over"), false) ? "rang" : "rings", STR_ARG(shown(a, s, "rings_at")), STR_ARG(shown(a, s, "lasts")));
        if (json_bool(json_get_c(s, "confirming"), false)) printf("; it is being read again first");
        printf("; %.*s runs of this key were over their time then\n", STR_ARG(shown(a, s, "still")));
    }
}

/* What the keys of an `absent` wait for now. */
static void print_waits(struct arena *a, struct json rule)
{
    for (struct json k = json_first(json_get_c(rule, "waits")); json_kind(k) != JSON_ABSENT; k = json_next(k)) {
        struct str key = shown(a, k, "key");
        printf("      key%s%.*s is %.*s:", key.n ? " " : "", STR_ARG(key), STR_ARG(shown(a, k, "state")));
        for (struct json m = json_next(json_next(json_first(k))); json_kind(m) != JSON_ABSENT; m = json_next(m))
            printf(" %.*s=%.*s", STR_ARG(printable(a, json_key(m))), STR_ARG(printable(a, json_scalar(m))));
        printf("\n");
    }
}

static void print_members(struct arena *a, struct json v)
{
    for (struct json m = json_first(v); json_kind(m) != JSON_ABSENT; m = json_next(m))
        printf(" %.*s=%.*s", STR_ARG(printable(a, json_key(m))), STR_ARG(printable(a, json_scalar(m))));
}

/* Its due times: members of what the engine tells that end in _at or _until. */
static void print_waiting(struct arena *a, struct json now)
{
    for (struct json m = json_first(now); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        struct str key = json_key(m);
        if (str_eq_c(key, "held_by")) printf("        held by %.*s, since %.*s: its clocks stand still\n", STR_ARG(printable(a, json_scalar(m))), STR_ARG(shown(a, now, "held_since")));
        if (str_ends(key, STR("_at")) || str_ends(key, STR("_until"))) printf("        waits: %.*s %.*s\n", STR_ARG(key), STR_ARG(printable(a, json_scalar(m))));
    }
    for (struct json s = json_first(json_get_c(now, "escalations")); json_kind(s) != JSON_ABSENT; s = json_next(s))
        printf("        waits: escalation to %.*s at %.*s\n", STR_ARG(shown(a, s, "destination")), STR_ARG(shown(a, s, "due")));
}

static void print_incidents(struct arena *a, struct json rule)
{
    for (struct json i = json_first(json_get_c(rule, "incidents")); json_kind(i) != JSON_ABSENT; i = json_next(i)) {
        struct str key = shown(a, i, "key");
        printf("      %.*s%s%.*s is %.*s: %.*s hits of %.*s runs\n", STR_ARG(shown(a, i, "id")), key.n ? " of " : "", STR_ARG(key),
               STR_ARG(shown(a, i, "state")), STR_ARG(shown(a, i, "hits")), STR_ARG(shown(a, i, "runs")));
        for (struct json n = json_first(json_get_c(i, "timeline")); json_kind(n) != JSON_ABSENT; n = json_next(n)) {
            printf("        %.*s %.*s", STR_ARG(shown(a, n, "at")), STR_ARG(shown(a, n, "what")));
            print_members(a, json_get_c(n, "detail"));
            printf("\n");
        }
        print_waiting(a, json_get_c(i, "now"));
    }
}

static bool print_rule(struct arena *a, struct json rule)
{
    struct json match = json_get_c(rule, "match"), clauses = json_get_c(match, "clauses");
    bool hit = json_bool(json_get_c(match, "hit"), false);
    printf("  %.*s: %s%.*s (%.*s:%.*s)\n", STR_ARG(shown(a, match, "rule")), hit ? "HIT, " : "", STR_ARG(shown(a, rule, "verdict")),
           STR_ARG(shown(a, match, "file")), STR_ARG(shown(a, match, "line")));
    for (struct json c = json_first(clauses); json_kind(c) != JSON_ABSENT; c = json_next(c)) print_clause(c, 2);
    print_windows(a, json_get_c(rule, "windows"), 6);
    if (json_present(json_get_c(rule, "windows_note"))) printf("      window: %.*s\n", STR_ARG(shown(a, rule, "windows_note")));
    print_stays(a, rule);
    print_waits(a, rule);
    print_incidents(a, rule);
    return hit;
}

static size_t print_transition(struct arena *a, struct json t)
{
    size_t hits = 0;
    printf("\n%.*s", STR_ARG(shown(a, t, "status").n ? shown(a, t, "status") : shown(a, t, "state")));
    if (json_present(json_get_c(t, "attempt"))) printf(", attempt %.*s", STR_ARG(shown(a, t, "attempt")));
    printf(", at %.*s", STR_ARG(shown(a, t, "at")));
    if (json_present(json_get_c(t, "received_at"))) printf(", received %.*s from %.*s", STR_ARG(shown(a, t, "received_at")), STR_ARG(shown(a, t, "source")));
    if (json_bool(json_get_c(t, "derived"), false)) printf(", concluded from the attempts told");
    if (json_bool(json_get_c(t, "fuller"), false)) printf(", told again with more");
    printf("%s\n", json_bool(json_get_c(t, "last_known"), false) ? " (last known state)" : "");
    if (json_present(json_get_c(t, "gone"))) printf("  %.*s\n", STR_ARG(shown(a, t, "gone")));
    if (json_present(json_get_c(t, "not_evaluated"))) printf("  not evaluated: %.*s\n", STR_ARG(shown(a, t, "not_evaluated")));
    for (struct json r = json_first(json_get_c(t, "rules")); json_kind(r) != JSON_ABSENT; r = json_next(r)) hits += print_rule(a, r);
    return hits;
}

static size_t print_seen(struct arena *a, struct json answer)
{
    size_t hits = 0;
    for (struct json s = json_first(json_get_c(answer, "seen")); json_kind(s) != JSON_ABSENT; s = json_next(s)) {
        printf("%.*s, task %.*s, project %.*s, env %.*s\n", STR_ARG(shown(a, answer, "id")), STR_ARG(shown(a, s, "task")),
               STR_ARG(shown(a, s, "project")), STR_ARG(shown(a, s, "env")));
        print_if(a, s, "windows are counted again from the log since ", "windows_from");
        if (json_present(json_get_c(s, "windows_from"))) printf("\n");
        for (struct json t = json_first(json_get_c(s, "transitions")); json_kind(t) != JSON_ABSENT; t = json_next(t)) hits += print_transition(a, t);
    }
    return hits;
}

static size_t count_hits(struct json answer)
{
    size_t hits = 0;
    for (struct json s = json_first(json_get_c(answer, "seen")); json_kind(s) != JSON_ABSENT; s = json_next(s))
        for (struct json t = json_first(json_get_c(s, "transitions")); json_kind(t) != JSON_ABSENT; t = json_next(t))
            for (struct json r = json_first(json_get_c(t, "rules")); json_kind(r) != JSON_ABSENT; r = json_next(r))
                hits += json_bool(json_get_c(json_get_c(r, "match"), "hit"), false);
    return hits;
}

static int refused(int status, struct json answer)
{
    struct str title = json_str(json_get_c(answer, "title")), detail = json_str(json_get_c(answer, "detail"));
    fprintf(stderr, "runbell: the server answered %d: %.*s%s%.*s\n", status, STR_ARG(title), detail.n ? ": " : "", STR_ARG(detail));
    if (status == 401) fprintf(stderr, "Set RUNBELL_TOKEN, or name the configuration that has server.token with -c\n");
    return EXIT_WRONG;
}

int explain_stored(const char *run, const char *url, const char *config, bool json)
{
    struct client client = { 0 };
    struct json answer = { 0 };
    struct err err;
    int status = 0, rc = EXIT_UNREACHED;
    size_t hits;
    if (client_open(&client, url, config, &err) < 0 ||
        client_request(&client, "GET", str_printf(&client.arena, "/v1/runs/%.*s/explain", STR_ARG(client_encode(&client.arena, str_c(run)))).p,
                       STR_NONE, &status, &answer, &err) < 0) {
        fprintf(stderr, "runbell: %s\n", err.msg);
    } else if (status < 200 || status >= 300) {
        rc = refused(status, answer);
    } else {
        hits = json ? count_hits(answer) : print_seen(&client.arena, answer);
        if (json) printf("%.*s\n", (int)json_text(answer).n, json_text(answer).p);
        else if (hits == 0) printf("\nno rule is hit by this run\n");
        rc = hits ? EXIT_FINE : EXIT_WRONG;
    }
    client_close(&client);
    return rc;
}
