#include "replay/tests.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "base/timefmt.h"
#include "replay/replay.h"
#include "replay/test_event.h"
#include "replay/timeline.h"

enum { FAILURE_CEILING = 256 * 1024 };
/* Tests that do not say otherwise happen on a Monday noon, far from days on which clocks change. */
static const int64_t usual_start_ms = 1767614400000; /* 2026-01-05T12:00:00Z */

struct expectation {
    const struct yaml_node *n;
    bool has_at, has_until, has_resolved, has_open, resolved, open;
    int64_t at_ms, until_ms;
    struct str rule, key, sent, never, text;
    /* as judged: */
    bool missed;
    const struct replay_fact *fact; /* what met it, or what was not to be; NULL = none */
};

struct test_case {
    struct arena a;
    struct replay r;
    const struct ruleset *rules;
    struct diags *d;
    VEC(struct test_event) events;
    VEC(struct expectation) wanted;
    VEC(struct timeline_row) rows;
    int64_t start_ms;       /* wall time */
    int64_t end_ms;         /* of the longest expectation, since the start */
    struct strbuf failure;
};

/* --- expectations ---------------------------------------------------------------------------------------------------- */
#define AT(member) .offset = offsetof(struct expectation, member)
static const struct field expectation_fields[] = {
    { .name = "at", .type = FIELD_DURATION, AT(at_ms), .help = "It happens at that moment, from the start of the test." },
    { .name = "until", .type = FIELD_DURATION, AT(until_ms), .help = "It happens by then; with `never`, it does not." },
    { .name = "rule", .type = FIELD_TEXT, .required = true, AT(rule), .help = "The rule it is about." },
    { .name = "key", .type = FIELD_TEXT, AT(key), .help = "The incident's key; any when left out." },
    { .name = "sent", .type = FIELD_TEXT, AT(sent), .help = "A message goes to this destination; what a digest tells counts as it goes into it." },
    { .name = "never", .type = FIELD_TEXT, AT(never), .help = "No message goes to this destination, and no digest tells it." },
    { .name = "text", .type = FIELD_TEXT, AT(text), .help = "What the message says holds this text." },
    { .name = "resolved", .type = FIELD_BOOL, AT(resolved), .help = "An incident resolves, or does not." },
    { .name = "open", .type = FIELD_BOOL, AT(open), .help = "An incident is open then, or is not." },
};
static const struct field_table expectation_table = { "an expectation", expectation_fields, sizeof expectation_fields / sizeof *expectation_fields };

static bool unknown_expectation(void *ctx, const struct yaml_node *m)
{
    yaml_error_key(ctx, m, "an expectation has no `" STR_FMT "`", STR_ARG(m->key))->hint =
        STR("at or until, rule, key, and one of sent, resolved, open, never, text");
    return true;
}

/* A mistyped destination would never be told anything: `never` would hold for nothing. In a file of rules alone
 * the destinations are only those that its rules name, and another one may be meant. */
static void check_destination(struct test_case *t, const struct yaml_node *n, struct str name)
{
    struct str *names = ARENA_ARRAY(&t->a, struct str, t->rules->destination_count + 1), near;
    struct diag *d;
    if (str_absent(name)) return;
    for (size_t k = 0; k < t->rules->destination_count; k++) {
        if (str_eq(t->rules->destinations[k].name, name) || t->rules->destinations[k].type.n == 0) return;
        names[k] = t->rules->destinations[k].name;
    }
    near = suggest_nearest(name, names, t->rules->destination_count);
    d = yaml_error(t->d, n, "there is no destination `" STR_FMT "`", STR_ARG(name));
    if (near.n) d->hint = str_printf(t->d->arena, "did you mean `" STR_FMT "`?", STR_ARG(near));
}

static bool read_expectation(struct test_case *t, const struct yaml_node *n, struct expectation *e)
{
    size_t errors = t->d->errors;
    *e = (struct expectation){ .n = n, .rule = STR_NONE, .key = STR_NONE, .sent = STR_NONE, .never = STR_NONE, .text = STR_NONE };
    if (n->kind != YAML_MAP) {
        yaml_error(t->d, n, "an expectation is a map: {at: 4m, rule: NAME, sent: DESTINATION}");
        return false;
    }
    fields_decode(&expectation_table, &t->a, n, t->d, e, unknown_expectation, t->d);
    e->has_at = yaml_get(n, "at");
    e->has_until = yaml_get(n, "until");
    e->has_resolved = yaml_get(n, "resolved");
    e->has_open = yaml_get(n, "open");
    if (!e->has_at && !e->has_until && t->d->errors == errors) yaml_error(t->d, n, "the expectation has neither `at` nor `until`");
    if (yaml_get(n, "at") && yaml_get(n, "until")) yaml_error(t->d, n, "an expectation has `at` or `until`, not both");
    if (e->rule.p && !ruleset_find(t->rules, e->rule))
        yaml_error(t->d, yaml_get(n, "rule"), "there is no rule `" STR_FMT "`", STR_ARG(e->rule));
    check_destination(t, yaml_get(n, "sent"), e->sent);
    check_destination(t, yaml_get(n, "never"), e->never);
    if (t->d->errors == errors && str_absent(e->sent) && str_absent(e->never) && str_absent(e->text) && !e->has_resolved && !e->has_open)
        yaml_error(t->d, n, "nothing is expected")->hint = STR("add one of sent, resolved, open, never, text");
    return t->d->errors == errors;
}

static bool concerns(const struct expectation *e, const struct replay_fact *f)
{
    return str_eq(f->rule, e->rule) && (str_absent(e->key) || str_eq(f->key, e->key));
}

static bool in_time(const struct test_case *t, const struct expectation *e, const struct replay_fact *f)
{
    int64_t at = f->at_ms - t->start_ms;
    return e->has_at ? at == e->at_ms : at <= e->until_ms;
}

static bool says(struct test_case *t, const struct replay_fact *f, struct str text)
{
    struct json m;
    struct err err;
    struct strbuf b;
    bool found;
    if (str_absent(text)) return true;
    if (json_parse(&t->a, f->content, &json_own_limits, &m, NULL, &err) < 0) return false;
    strbuf_init(&b, 1 << 20);
    message_plain(m, &b);
    found = str_find_str(strbuf_view(&b), text) < b.n;
    strbuf_fini(&b);
    return found;
}

/* An incident that a digest speaks for has been told, though not in words of its own. */
static bool tells(const struct replay_fact *f)
{
    return f->kind == REPLAY_SENT || (f->kind == REPLAY_NOTE && f->destination.n > 0);
}

static const struct replay_fact *find_sent(struct test_case *t, const struct expectation *e, struct str destination)
{
    for (size_t k = 0; k < t->r.facts.n; k++) {
        const struct replay_fact *f = &t->r.facts.v[k];
        if (tells(f) && concerns(e, f) && in_time(t, e, f) && (str_absent(destination) || str_eq(f->destination, destination)) &&
            says(t, f, e->text))
            return f;
    }
    return NULL;
}

static const struct replay_fact *find_resolved(struct test_case *t, const struct expectation *e)
{
    for (size_t k = 0; k < t->r.facts.n; k++) {
        const struct replay_fact *f = &t->r.facts.v[k];
        if (f->kind == REPLAY_RESOLVED && concerns(e, f) && in_time(t, e, f)) return f;
    }
    return NULL;
}

/* Does fact k end an incident that had opened? A pending one that ends was never open. */
static bool closes(const struct test_case *t, size_t k)
{
    const struct replay_fact *f = &t->r.facts.v[k];
    if (f->kind != REPLAY_RESOLVED) return false;
    while (k-- > 0) {
        const struct replay_fact *g = &t->r.facts.v[k];
        if (g->kind != REPLAY_OPENED && g->kind != REPLAY_RESOLVED) continue;
        if (str_eq(f->rule, g->rule) && str_eq(f->key, g->key)) return g->kind == REPLAY_OPENED;
    }
    return false;
}

/* Open at the end of the moment e speaks of? */
static bool is_open(struct test_case *t, const struct expectation *e)
{
    int64_t until = t->start_ms + (e->has_at ? e->at_ms : e->until_ms);
    int open = 0;
    for (size_t k = 0; k < t->r.facts.n && t->r.facts.v[k].at_ms <= until; k++) {
        const struct replay_fact *f = &t->r.facts.v[k];
        if (!concerns(e, f)) continue;
        open += f->kind == REPLAY_OPENED;
        open -= closes(t, k);
    }
    return open > 0;
}

static void miss(struct test_case *t, struct expectation *e, const char *fmt, struct str what)
{
    char text[TIMEFMT_SIZE];
    struct str when = duration_format(e->has_at ? e->at_ms : e->until_ms, text);
    e->missed = true;
    strbuf_printf(&t->failure, "  line %u: %s " STR_FMT ", rule " STR_FMT, e->n->line, e->has_at ? "at" : "until", STR_ARG(when), STR_ARG(e->rule));
    if (!str_absent(e->key)) strbuf_printf(&t->failure, ", key " STR_FMT, STR_ARG(e->key));
    strbuf_printf(&t->failure, ": %s" STR_FMT, fmt, STR_ARG(what));
    if (!str_absent(e->text)) strbuf_printf(&t->failure, " that says \"" STR_FMT "\"", STR_ARG(e->text));
    strbuf_char(&t->failure, '\n');
}

/* One fact that should, or should not, be. */
static void judge_fact(struct test_case *t, struct expectation *e, const struct replay_fact *f, bool wanted, const char *says, struct str what)
{
    if (f) e->fact = f;
    if ((f != NULL) != wanted) miss(t, e, says, what);
}

static void judge(struct test_case *t, struct expectation *e)
{
    const struct str none = STR("");
    if (!str_absent(e->sent)) judge_fact(t, e, find_sent(t, e, e->sent), true, "expected a message to ", e->sent);
    if (!str_absent(e->never)) judge_fact(t, e, find_sent(t, e, e->never), false, "expected no message to ", e->never);
    if (str_absent(e->sent) && str_absent(e->never) && !str_absent(e->text))
        judge_fact(t, e, find_sent(t, e, STR_NONE), true, "expected a message", none);
    if (e->has_resolved) judge_fact(t, e, find_resolved(t, e), e->resolved, e->resolved ? "expected it to resolve" : "expected it not to resolve", none);
    if (e->has_open && is_open(t, e) != e->open) miss(t, e, e->open ? "expected it to be open" : "expected it not to be open", none);
}

/* The first line of what was said. */
static struct str said(struct test_case *t, const struct replay_fact *f)
{
    struct json m;
    struct err err;
    if (json_parse(&t->a, f->content, &json_own_limits, &m, NULL, &err) < 0) return STR("");
    return json_str(json_get_c(m, "title"));
}

/* --- the timeline: what happened beside what was expected ------------------------------------------------------------------ */
static struct str happened_text(struct test_case *t, const struct replay_fact *f)
{
    struct str who = str_printf(&t->a, STR_FMT " [" STR_FMT "]", STR_ARG(f->rule), STR_ARG(f->key));
    switch (f->kind) {
    case REPLAY_SENT:
        return str_printf(&t->a, STR_FMT " %s sent to " STR_FMT ": " STR_FMT, STR_ARG(who), message_kind_name(f->message), STR_ARG(f->destination),
                          STR_ARG(said(t, f)));
    case REPLAY_OPENED: return str_printf(&t->a, STR_FMT " opened", STR_ARG(who));
    case REPLAY_RESOLVED: return str_printf(&t->a, STR_FMT " resolved: " STR_FMT, STR_ARG(who), STR_ARG(f->reason));
    case REPLAY_NOTE:
    default: return str_printf(&t->a, STR_FMT " " STR_FMT, STR_ARG(who), STR_ARG(f->content));
    }
}

static struct str expected_text(struct test_case *t, const struct expectation *e)
{
    struct strbuf b;
    struct str text;
    strbuf_init(&b, 4096);
    strbuf_printf(&b, "line %u: " STR_FMT, e->n->line, STR_ARG(e->rule));
    if (!str_absent(e->key)) strbuf_printf(&b, " [" STR_FMT "]", STR_ARG(e->key));
    if (!str_absent(e->sent)) strbuf_printf(&b, " sent to " STR_FMT, STR_ARG(e->sent));
    if (!str_absent(e->never)) strbuf_printf(&b, " never to " STR_FMT, STR_ARG(e->never));
    if (e->has_resolved) strbuf_c(&b, e->resolved ? " resolved" : " not resolved");
    if (e->has_open) strbuf_c(&b, e->open ? " open" : " not open");
    if (!str_absent(e->text)) strbuf_printf(&b, ", says \"" STR_FMT "\"", STR_ARG(e->text));
    text = str_dup(&t->a, strbuf_view(&b));
    strbuf_fini(&b);
    return text;
}

/* Behind everything of its time. */
static void add_row(struct test_case *t, struct timeline_row row)
{
    size_t at = t->rows.n;
    (void)vec_push(&t->rows);
    for (; at && t->rows.v[at - 1].at_ms > row.at_ms; at--) t->rows.v[at] = t->rows.v[at - 1];
    t->rows.v[at] = row;
}

/* In the row of its fact, while that has room for one. */
static void add_expected(struct test_case *t, const struct expectation *e)
{
    struct timeline_row row = { .at_ms = e->has_at ? e->at_ms : e->until_ms, .happened = STR(""), .expected = expected_text(t, e), .missed = e->missed };
    struct str text = e->fact ? happened_text(t, e->fact) : STR("");
    for (size_t k = 0; e->fact && k < t->rows.n; k++) {
        struct timeline_row *r = &t->rows.v[k];
        if (r->at_ms != e->fact->at_ms - t->start_ms || r->expected.n || !str_eq(r->happened, text)) continue;
        r->expected = row.expected;
        r->missed = row.missed;
        return;
    }
    add_row(t, row);
}

static void show_timeline(struct test_case *t)
{
    for (size_t k = 0; k < t->r.facts.n; k++) {
        const struct replay_fact *f = &t->r.facts.v[k];
        add_row(t, (struct timeline_row){ .at_ms = f->at_ms - t->start_ms, .happened = happened_text(t, f), .expected = STR("") });
    }
    if (t->r.facts.n == 0) add_row(t, (struct timeline_row){ .happened = STR("nothing: no rule opened an incident"), .expected = STR("") });
    for (size_t k = 0; k < t->wanted.n; k++) add_expected(t, &t->wanted.v[k]);
    timeline_put(t->rows.v, t->rows.n, &t->failure);
    vec_free(&t->rows);
}

/* --- one case ------------------------------------------------------------------------------------------------------------------ */
static bool read_events(struct test_case *t, const struct yaml_node *n)
{
    size_t number = 0;
    bool ok = true;
    int64_t last = 0;
    if (!n || n->kind != YAML_SEQ) return false;
    for (const struct yaml_node *m = n->first; m; m = m->next) {
        struct test_event e;
        ok &= test_event_read(&t->a, m, number++, t->start_ms, t->d, &e);
        if (e.at_ms < last) {
            yaml_error(t->d, m, "events are told in the order of `at`");
            ok = false;
        }
        last = e.at_ms;
        *vec_push(&t->events) = e;
    }
    t->end_ms = last;
    return ok;
}

static bool play(struct test_case *t)
{
    struct err err;
    for (size_t k = 0; k < t->events.n; k++)
        if (replay_report(&t->r, &t->events.v[k].run, t->start_ms + t->events.v[k].at_ms, NULL, &err) < 0) goto failed;
    if (replay_until(&t->r, t->start_ms + t->end_ms, &err) == 0) return true;
failed:
    strbuf_printf(&t->failure, "  %s\n", err.msg);
    return false;
}

#define EXPECT_SCHEMA "{\"type\":\"array\",\"minItems\":1,\"items\":{\"$ref\":\"#/$defs/test.expectation\"}}"
static const struct field test_fields[] = {
    { .name = "name", .type = FIELD_TEXT, .required = true, .help = "What it shows, as a sentence." },
    { .name = "start", .type = FIELD_TEXT, .schema = "{\"type\":\"string\",\"format\":\"date-time\"}", .fallback = "2026-01-05T12:00:00Z",
      .help = "When the test begins, for rules with schedules and cron times." },
    { .name = "events", .type = FIELD_NODE, .required = true, .schema = "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/test.event\"}}",
      .help = "What is reported, in order." },
    { .name = "expect", .type = FIELD_NODE, .required = true, .schema = EXPECT_SCHEMA, .help = "What must follow from it." },
};
static const struct field_table test_table = { "a test", test_fields, sizeof test_fields / sizeof *test_fields };

const struct field_part *test_parts(size_t *n)
{
    static const struct field_part parts[] = {
        { .name = "test", .about = "One story on a virtual clock, without server and network: run it by `runbell test`.", .table = &test_table },
        { .name = "test.event", .about = "One report of a run.", .table = &test_event_table },
        { .name = "test.expectation", .about = "`at` or `until`, and one of `sent`, `never`, `text`, `resolved`, `open`.", .table = &expectation_table },
    };
    *n = sizeof parts / sizeof *parts;
    return parts;
}

static bool is_test_key(struct str key)
{
    for (size_t k = 0; k < test_table.n; k++)
        if (str_eq_c(key, test_fields[k].name)) return true;
    return false;
}

static bool keys_known(struct test_case *t, const struct yaml_node *n)
{
    size_t errors = t->d->errors;
    for (const struct yaml_node *m = n->first; m; m = m->next)
        if (!is_test_key(m->key))
            yaml_error_key(t->d, m, "a test has no `" STR_FMT "`", STR_ARG(m->key))->hint = STR("name, start, events and expect");
    return t->d->errors == errors;
}

static bool read_start(struct test_case *t, const struct yaml_node *n)
{
    if (!n) return true;
    if (n->kind == YAML_SCALAR && time_parse(n->text, &t->start_ms)) return true;
    yaml_error(t->d, n, "wants a time like 2026-03-29T00:30:00Z, or with an offset, 2026-03-29T01:30:00+01:00");
    return false;
}

static void run_case(struct test_case *t, const struct yaml_node *n)
{
    const struct yaml_node *expect = yaml_get(n, "expect");
    bool ok = keys_known(t, n);
    ok &= read_start(t, yaml_get(n, "start"));
    replay_init(&t->r, t->rules, STR_NONE, t->start_ms);
    ok &= read_events(t, yaml_get(n, "events"));
    if (!yaml_get(n, "events") || yaml_get(n, "events")->kind != YAML_SEQ || !expect || expect->kind != YAML_SEQ) {
        yaml_error(t->d, n, "a test has `events` and `expect`, both lists");
        ok = false;
    } else if (!expect->first) {
        yaml_error(t->d, expect, "a test that expects nothing cannot fail");
        ok = false;
    }
    for (const struct yaml_node *m = ok ? expect->first : NULL; m; m = m->next) {
        struct expectation e;
        ok &= read_expectation(t, m, &e);
        *vec_push(&t->wanted) = e;
        if (e.has_at && e.at_ms > t->end_ms) t->end_ms = e.at_ms;
        if (e.has_until && e.until_ms > t->end_ms) t->end_ms = e.until_ms;
    }
    if (!ok) strbuf_c(&t->failure, "  the test itself has mistakes: the errors name their lines\n");
    if (ok && play(t))
        for (size_t k = 0; k < t->wanted.n; k++) judge(t, &t->wanted.v[k]);
    if (ok && t->failure.n) show_timeline(t);
}

static void one(const struct ruleset *rules, const struct yaml_node *n, struct diags *d, test_report_fn report, void *ctx, struct test_counts *counts)
{
    struct test_case t = { .rules = rules, .d = d, .start_ms = usual_start_ms };
    const struct yaml_node *name = yaml_get(n, "name");
    strbuf_init(&t.failure, FAILURE_CEILING);
    if (n->kind != YAML_MAP || !name) {
        yaml_error(d, n, "a test is a map with `name`, `events` and `expect`");
        strbuf_c(&t.failure, "  the test has no name\n");
    } else {
        run_case(&t, n);
    }
    if (t.failure.n) counts->failed++;
    else counts->passed++;
    report(ctx, name ? name->text : STR("(no name)"), n, t.failure.n ? t.failure.p : NULL);
    replay_fini(&t.r);
    vec_free(&t.events);
    vec_free(&t.wanted);
    strbuf_fini(&t.failure);
    arena_fini(&t.a);
}

void tests_run(const struct ruleset *rules, const struct yaml_node *section, struct diags *d, test_report_fn report, void *ctx,
               struct test_counts *counts)
{
    if (section->kind != YAML_SEQ) {
        yaml_error(d, section, "tests is a list");
        counts->failed++;
        return;
    }
    for (const struct yaml_node *n = section->first; n; n = n->next) one(rules, n, d, report, ctx, counts);
}
