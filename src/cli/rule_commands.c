/* Commands about rules that need no server: explain --event, render. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/timefmt.h"
#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/table.h"
#include "replay/holds.h"
#include "replay/replay.h"
#include "replay/windows.h"
#include "source/trigger_webhook.h"

enum { EVENT_CEILING = 16 << 20, EVENTS_MAX = 1000 };

/* --- events from a file ------------------------------------------------------------------------------------------------ */
struct event_file {
    struct arena a;
    struct source_batch batch;
};

static const struct config_source *source_of(const struct config *c, enum source_type type, const struct config_source *fallback)
{
    for (size_t k = 0; k < c->source_count; k++)
        if (c->sources[k].type == type) return &c->sources[k];
    return c->source_count ? &c->sources[0] : fallback;
}

static bool holds_alert(struct arena *a, struct str body)
{
    struct json root;
    struct err err;
    return json_parse(a, body, &json_default_limits, &root, NULL, &err) == 0 && source_is_alert(root);
}

/* As it would be posted to a webhook source, or one of Trigger.dev's alerts, whenever it was made. */
static enum source_result decode_file(const struct config *c, struct str body, struct event_file *f, struct err *err)
{
    const struct config_source any = { .name = STR("file") };
    struct config_source alerts = *source_of(c, SOURCE_TRIGGER_WEBHOOK, &any);
    alerts.replays = true;
    if (holds_alert(&f->a, body)) return source_trigger_decode(&f->a, &alerts, body, 0, &f->batch, err);
    return source_webhook_decode(&f->a, source_of(c, SOURCE_WEBHOOK, &any), body, false, EVENTS_MAX, &f->batch, err);
}

/* 0, or an exit status after saying why. */
static int read_events(const char *path, const struct config *c, struct event_file *f)
{
    struct err err;
    struct str body;
    enum source_result rc;
    if (file_read(&f->a, path, EVENT_CEILING, &body, &err) < 0) {
        fprintf(stderr, "runbell: %s\n", err.msg);
        return EXIT_UNREACHED;
    }
    rc = decode_file(c, body, f, &err);
    for (size_t k = 0; k < f->batch.fault_count; k++)
        fprintf(stderr, "runbell: %s, item %zu: %.*s\n", path, f->batch.faults[k].index, STR_ARG(f->batch.faults[k].text));
    if (rc == SOURCE_DECODED) return EXIT_FINE;
    fprintf(stderr, "runbell: %s:%u:%u: %s\n", path, err.line, err.col, err.msg);
    return EXIT_WRONG;
}

static int64_t moment_of(const struct run *run)
{
    int64_t now = clock_wall(clock_system()).ms;
    int64_t at = run->updated_ms != RUN_TIME_NONE ? run->updated_ms : run->finished_ms;
    return at != RUN_TIME_NONE && at < now ? at : now;
}

/* --- explain --------------------------------------------------------------------------------------------------------------- */
const char explain_help[] =
    "explain RUN asks the running server about a run it has seen: for each of its transitions and each rule what every\n"
    "clause saw, what the window held, the incident that was joined, what was told or held back, and what comes next.\n"
    "explain --event FILE needs no server: it reads a run event (a run object as posted to /v1/events, or an alert of\n"
    "Trigger.dev's; - is standard input) and says for every rule which of its clauses held and which did not. Of a file\n"
    "of several events, as a JSON array or lines, it also says what the windows of conditions hold behind each of them.\n"
    "Exit status 0 when some rule is hit, 1 when none is.";

static void print_explained(struct arena *a, struct json e, const struct rule *r, size_t hits)
{
    bool hit = json_bool(json_get_c(e, "hit"), false);
    struct json keys = json_get_c(e, "keys"), clauses = json_get_c(e, "clauses");
    printf("%s: %s (%s:%u)\n", r->name.p, hit ? "HIT" : "no", r->file, r->line);
    for (struct json c = json_first(clauses); json_kind(c) != JSON_ABSENT; c = json_next(c)) print_clause(c, 0);
    if (hit) printf("  key: %.*s\n", STR_ARG(json_text(keys)));
    if (hit && hits > 1) printf("  hits: %zu\n", hits);
    if (hit && r->condition.kind != RULE_EVERY_HIT) printf("  rings %s %.*s\n", r->condition.kind == RULE_ABSENT ? "when from then on there is" : "at", STR_ARG(rule_condition_text(&r->condition, a)));
    print_windows(a, json_get_c(e, "windows"), 2);
    for (struct json h = json_first(json_get_c(e, "holds")); json_kind(h) != JSON_ABSENT; h = json_next(h)) printf("  messages: %.*s\n", STR_ARG(printable(a, json_str(h))));
}

/* What one report tells: its own state, and the retries that follow from the attempts it tells. */
struct told_by {
    struct transition t[TRANSITIONS_MAX];
    size_t n, own;
};

static struct told_by told_by(struct arena *a, struct run *run)
{
    struct run_known known = { 0 };
    struct told_by told = { .own = 0 };
    told.n = run_transitions(a, run, &known, moment_of(run), 0, 1, told.t); /* a run of now, as render and test see it */
    for (size_t k = 0; k < told.n; k++)
        if (!told.t[k].derived) told.own = k;
    return told;
}

static void print_told(const struct run *run, const struct told_by *told)
{
    printf("%.*s %.*s, task %.*s, status %.*s\n", STR_ARG(run->kind), STR_ARG(run->id), STR_ARG(run->task), STR_ARG(run->spelling));
    for (size_t k = 0; k < told->n; k++)
        if (told->t[k].derived) printf("also REATTEMPTING, attempt %lld: it follows from the attempts told\n", (long long)told->t[k].attempt);
    printf("\n");
}

/* The first of what is told that the rule hits, else the report's own state; *hits: how many it hits. */
static struct rule_subject subject_for(const struct rule *r, struct arena *a, struct run *run, struct told_by *told, size_t *hits)
{
    struct rule_subject s, chosen;
    *hits = 0;
    rule_subject_init(&chosen, a, run, &told->t[told->own], moment_of(run));
    for (size_t k = 0; k < told->n; k++) {
        rule_subject_init(&s, a, run, &told->t[k], moment_of(run));
        if (!rule_matches(r, &s)) continue;
        if ((*hits)++ == 0) chosen = s;
    }
    return chosen;
}

/* The events of the file so far, folded: one alone is no history, and no windows are told of it. */
struct explaining {
    const struct config *config;
    struct arena *a;
    struct replay *replay; /* NULL = none */
    bool json;
};

static struct str explained(const struct explaining *x, const struct rule *r, struct rule_subject *s, struct str windows)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, 4 << 20);
    json_object_begin(w);
    rule_explain_members(r, s, w);
    if (windows.n) {
        json_put_key(w, STR("windows"));
        json_put_raw(w, windows);
    }
    if (rule_matches(r, s)) {
        json_put_key(w, STR("holds"));
        holds_write(x->config->rules, r, s, moment_of(s->run), w);
    }
    json_object_end(w);
    return json_draft_end(&d, x->a);
}

static struct str *windows_of(const struct explaining *x, struct run *run, struct told_by *told, bool before, struct str *out)
{
    bool holds;
    size_t n;
    for (size_t k = 0; x->replay && k < x->config->rules->rule_count; k++) {
        const struct rule *r = x->config->rules->rules[k];
        struct rule_subject s = subject_for(r, x->a, run, told, &n);
        if (windows_asked_before(r) == before) out[k] = windows_text(x->replay->engine, r, &s, x->a, &holds);
    }
    return out;
}

static int fold_one(const struct explaining *x, struct run *run)
{
    int64_t at = moment_of(run);
    struct err err;
    if (!x->replay || replay_report(x->replay, run, at > x->replay->now_ms ? at : x->replay->now_ms, NULL, &err) == 0) return 0;
    fprintf(stderr, "runbell explain: %s\n", err.msg);
    return -1;
}

static size_t explain_one(const struct explaining *x, struct run *run, struct json_writer *w)
{
    struct told_by told = told_by(x->a, run);
    struct str *windows = ARENA_ARRAY(x->a, struct str, x->config->rules->rule_count + 1);
    size_t hits = 0, n;
    windows_of(x, run, &told, true, windows);
    if (fold_one(x, run) == 0) windows_of(x, run, &told, false, windows);
    if (!x->json) print_told(run, &told);
    for (size_t k = 0; k < x->config->rules->rule_count; k++) {
        const struct rule *r = x->config->rules->rules[k];
        struct rule_subject s = subject_for(r, x->a, run, &told, &n);
        struct str text = explained(x, r, &s, windows[k]);
        struct json v;
        struct err err;
        hits += n;
        if (x->json) json_put_raw(w, text);
        else if (json_parse(x->a, text, &json_default_limits, &v, NULL, &err) == 0) print_explained(x->a, v, r, n);
    }
    if (!x->json && hits == 0) printf("\nno rule is hit by this event\n");
    return hits;
}

static size_t explain_events(const struct config *c, struct event_file *f, bool json, struct json_writer *w)
{
    struct replay replay;
    struct explaining x = { c, &f->a, f->batch.report_count > 1 ? &replay : NULL, json };
    size_t hits = 0;
    if (x.replay) replay_init(&replay, c->rules, STR_NONE, moment_of(&f->batch.reports[0].run));
    for (size_t k = 0; k < f->batch.report_count; k++) {
        if (k && !json) printf("\n");
        hits += explain_one(&x, &f->batch.reports[k].run, w);
    }
    if (x.replay) replay_fini(&replay);
    return hits;
}

int cli_explain(int argc, char **argv)
{
    const char *path = NULL, *event = NULL, *url = NULL;
    bool json = false;
    struct config *c;
    struct event_file f = { 0 };
    struct strbuf out;
    struct json_writer w;
    size_t hits = 0;
    int operands, rc, status;
    const struct arg_option options[] = {
        { "config", 'c', "FILE", "configuration (runbell.yaml, or RUNBELL_CONFIG)", &path, NULL },
        { "event", 'e', "FILE", "the run event as JSON; - is standard input", &event, NULL },
        { "url", 0, "URL", "address of the server (or RUNBELL_URL); token from RUNBELL_TOKEN", &url, NULL },
        { "json", 0, NULL, "the result as JSON", NULL, &json },
    };
    rc = args_parse(command_find("explain"), options, 4, argc, argv, &operands, 0, 1);
    if (rc >= 0) return rc;
    if ((operands == 1) == (event != NULL)) {
        fprintf(stderr, "runbell explain: wants RUN, or --event FILE\nTry: runbell explain --help\n");
        return EXIT_USAGE;
    }
    if (operands == 1) return explain_stored(argv[1], url, path, json);
    c = config_or_explain(config_path(path), true, false, &status);
    if (!c) return status;
    rc = read_events(event, c, &f);
    strbuf_init(&out, 64 << 20);
    json_writer_init(&w, &out);
    json_array_begin(&w);
    if (rc == EXIT_FINE) hits = explain_events(c, &f, json, &w);
    json_array_end(&w);
    if (json && rc == EXIT_FINE) printf("%s\n", out.p);
    strbuf_fini(&out);
    arena_fini(&f.a);
    config_unref(&c);
    return rc == EXIT_FINE && hits == 0 ? EXIT_WRONG : rc;
}

/* --- render ------------------------------------------------------------------------------------------------------------------ */
const char render_help[] =
    "Prints the exact request each destination of the rule would get if this event opened an incident of it:\n"
    "method, address, headers and body. Secrets are shown as ***. Conditions such as `count` and `rate`, and `wait`, are passed\n"
    "over: one hit is enough here. Of a rule with `absent` it is what they get when no other hit follows this one.";

/* This process renders one rule: its own copy of the configuration may be bent. */
static struct rule *only_matching(struct config *c, struct str name)
{
    struct rule *found = NULL;
    for (size_t k = 0; k < c->rules->rule_count; k++)
        if (str_eq(c->rules->rules[k]->name, name)) found = c->rules->rules[k];
    if (!found) return NULL;
    if (found->condition.kind != RULE_ABSENT) {
        found->condition = (struct rule_condition){ .kind = RULE_EVERY_HIT };
        found->at_least = 1;
    }
    found->wait_ms = 0;
    found->limit.n = 0;
    return found;
}

static struct str shown_url(const struct notify_destination *d, struct arena *a, const struct notify_request *q)
{
    struct str url = notify_mask(d, a, q->url);
    return str_eq_c(url, "***") ? str_printf(a, "%.*s/***", STR_ARG(q->url_shown)) : url;
}

static void print_request(const struct notify_destination *d, struct arena *a, const struct notify_request *q)
{
    struct str body = notify_mask(d, a, q->body);
    if (d->transport == NOTIFY_HTTP) printf("%.*s %.*s\n", STR_ARG(q->method), STR_ARG(shown_url(d, a, q)));
    for (size_t k = 0; k < q->header_count; k++)
        printf("%.*s: %.*s\n", STR_ARG(q->headers[k].name), STR_ARG(notify_mask(d, a, q->headers[k].value)));
    printf("\n%.*s\n", (int)body.n, body.p ? body.p : "");
}

static void put_request(const struct notify_destination *d, struct arena *a, const struct notify_request *q, struct json_writer *w)
{
    json_put_key(w, STR("request"));
    if (q->skip) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    if (d->transport == NOTIFY_HTTP) {
        json_field_str(w, "method", q->method);
        json_field_str(w, "url", shown_url(d, a, q));
    }
    json_put_key(w, STR("headers"));
    json_object_begin(w);
    for (size_t k = 0; k < q->header_count; k++) {
        json_put_key(w, q->headers[k].name);
        json_put_str(w, notify_mask(d, a, q->headers[k].value));
    }
    json_object_end(w);
    json_field_str(w, "body", notify_mask(d, a, q->body));
    json_object_end(w);
}

/* As JSON into w, or printed when w is NULL. */
static int print_fact(const struct config *c, struct arena *a, const struct replay_fact *f, struct json_writer *w)
{
    const struct notify_destination *d = config_destination(c, f->destination);
    struct notify_attempt at = { .delivery = 1, .message = 1, .now_ms = f->at_ms };
    struct notify_request q;
    struct json message, params = { 0 }, none = { 0 };
    struct err err;
    if (json_parse(a, f->content, &json_own_limits, &message, NULL, &err) < 0 ||
        (f->params.n && json_parse(a, f->params, &json_own_limits, &params, NULL, &err) < 0) ||
        notify_build(d, message, params, none, &at, a, &q, &err) < 0) {
        fprintf(stderr, "runbell render: %s: %s\n", d->name.p, err.msg);
        return EXIT_WRONG;
    }
    if (w) {
        json_object_begin(w);
        json_field_str(w, "destination", d->name);
        json_field_str(w, "type", d->type);
        json_field_str(w, "kind", str_c(message_kind_name(f->message)));
        put_request(d, a, &q, w);
        json_object_end(w);
        return EXIT_FINE;
    }
    printf("# %s to %s (%.*s)\n", message_kind_name(f->message), d->name.p, STR_ARG(d->type));
    if (q.skip)
        printf("# this destination is told nothing at this moment\n");
    else
        print_request(d, a, &q);
    return EXIT_FINE;
}

/* What is told of the event's own key: rules that wait may be waiting for others, too. */
static bool is_of(const struct rule *r, struct arena *a, const struct run *run, const struct replay_fact *fact)
{
    struct transition t = { .kind = TRANSITION_NEW, .state = run->state };
    struct rule_subject s;
    struct rule_key key;
    if (fact->kind != REPLAY_SENT || fact->message != MESSAGE_OPEN || !str_eq(fact->rule, r->name)) return false;
    if (r->condition.kind != RULE_ABSENT) return true;
    rule_subject_init(&s, a, run, &t, moment_of(run));
    return rule_matches(r, &s) && rule_keys(r, &s, &key, 1) == 1 && str_eq(key.key, fact->key);
}

/* The event; and where the rule waits for the next, time until that is missed. */
static int play(struct replay *replay, const struct rule *r, struct run *run, struct err *err)
{
    int64_t at = moment_of(run), due_ms, slot_ms;
    if (replay_report(replay, run, at, NULL, err) < 0) return -1;
    if (r->condition.kind != RULE_ABSENT) return 0;
    due_ms = rule_absent_due(&r->condition, at, &slot_ms);
    return due_ms == SCHEDULE_NEVER ? 0 : replay_until(replay, due_ms, err);
}

static bool has_nobody(const struct replay *r, struct str rule)
{
    for (size_t k = 0; k < r->facts.n; k++)
        if (r->facts.v[k].kind == REPLAY_NOTE && str_eq(r->facts.v[k].rule, rule) && str_eq_c(r->facts.v[k].content, "nobody to tell")) return true;
    return false;
}

static int render(struct config *c, struct rule *r, struct event_file *f, const char *to, struct json_writer *w)
{
    struct replay replay;
    struct err err;
    struct run *run = &f->batch.reports[0].run;
    int rc = EXIT_FINE;
    size_t shown = 0;
    bool nobody;
    replay_init(&replay, c->rules, c->server.public_url, moment_of(run));
    if (c->source_count) replay.dashboard = c->sources[0].dashboard;
    if (play(&replay, r, run, &err) < 0) {
        fprintf(stderr, "runbell render: %s\n", err.msg);
        rc = EXIT_WRONG;
    }
    for (size_t k = 0; k < replay.facts.n && rc == EXIT_FINE; k++) {
        const struct replay_fact *fact = &replay.facts.v[k];
        if (!is_of(r, &f->a, run, fact)) continue;
        if (to && !str_eq_c(fact->destination, to)) continue;
        rc = print_fact(c, &f->a, fact, w);
        shown++;
    }
    nobody = has_nobody(&replay, r->name);
    replay_fini(&replay);
    if (rc == EXIT_FINE && nobody) {
        fprintf(stderr, "runbell render: %.*s tells nobody of this event: no VALUE of its switch fits, and it has no `else`\n", STR_ARG(r->name));
        rc = EXIT_WRONG;
    } else if (rc == EXIT_FINE && shown == 0) {
        fprintf(stderr, "runbell render: the event is no hit of %.*s%s%s; see: runbell explain --event FILE\n", STR_ARG(r->name),
                to ? ", or it does not notify " : "", to ? to : "");
        rc = EXIT_WRONG;
    }
    return rc;
}

int cli_render(int argc, char **argv)
{
    const char *path = NULL, *event = NULL, *to = NULL;
    bool json = false;
    struct strbuf out;
    struct json_writer w;
    struct config *c;
    struct rule *r;
    struct event_file f = { 0 };
    int operands, rc, status;
    const struct arg_option options[] = {
        { "config", 'c', "FILE", "configuration (runbell.yaml, or RUNBELL_CONFIG)", &path, NULL },
        { "event", 'e', "FILE", "the run event as JSON; - is standard input", &event, NULL },
        { "to", 't', "DEST", "only this destination", &to, NULL },
        { "json", 0, NULL, "the requests as JSON", NULL, &json },
    };
    rc = args_parse(command_find("render"), options, 4, argc, argv, &operands, 1, 1);
    if (rc >= 0) return rc;
    if (!event) {
        fprintf(stderr, "runbell render: wants --event FILE\nTry: runbell render --help\n");
        return EXIT_USAGE;
    }
    c = config_or_explain(config_path(path), true, false, &status);
    if (!c) return status;
    r = only_matching(c, str_c(argv[1]));
    if (!r) {
        fprintf(stderr, "runbell render: there is no rule %s\n", argv[1]);
        rc = EXIT_WRONG;
    } else {
        rc = read_events(event, c, &f);
        strbuf_init(&out, 64 << 20);
        json_writer_init(&w, &out);
        json_array_begin(&w);
        if (rc == EXIT_FINE) rc = render(c, r, &f, to, json ? &w : NULL);
        json_array_end(&w);
        if (json && rc == EXIT_FINE) printf("%s\n", out.p);
        strbuf_fini(&out);
    }
    arena_fini(&f.a);
    config_unref(&c);
    return rc;
}
