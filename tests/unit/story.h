/* story: rules, what happens to them, and exactly what came of it, as lines: for the tests of the rule language's section 5.
 * Reports are judged as a source's are (src/run), the engine is restored as at a start, and what is expected is all there is:
 *
 *     story_begin(&s, "rules: {r: {when: {status: failed}, notify: hook}}");
 *     happens(&s, "2m", "{run: run_a, task: sync, status: FAILED}");
 *     came(&s, "2m opened r sync", "2m open r sync -> hook");
 *
 * Lines are TIME WHAT RULE KEY [@ENV] [-> DESTINATION], those of one moment in the order of the alphabet; a key that is empty is
 * "-". Of the timeline of an incident only its opening, its end and its going into a digest are told. */
#ifndef STORY_H
#define STORY_H
#include "base/timefmt.h"
#include "engine_testing.h"
#include "replay/test_event.h"

struct story {
    struct bench b;
    struct map known; /* run -> struct run_known */
    struct map names; /* incident -> "RULE KEY [@ENV]" */
    size_t rows_seen, notes_shown, said_shown;
    const char *rules;
};
struct story_line { int64_t at_ms; const char *text; };

/* --- time ------------------------------------------------------------------------------------------------------------ */
UNUSED int64_t span(const char *text)
{
    int64_t ms;
    if (!duration_parse(str_c(text), &ms)) fail_msg("%s is no duration", text);
    return ms;
}

UNUSED void passes(struct story *s, const char *until_text)
{
    until(&s->b, span(until_text));
}

/* --- begin and end -------------------------------------------------------------------------------------------------- */
UNUSED void story_begin(struct story *s, const char *rules)
{
    memset(s, 0, sizeof *s);
    bench_open(&s->b, rules);
    restart(&s->b, s->b.rules); /* the rules are in force from now on */
}

UNUSED void story_end(struct story *s)
{
    map_fini(&s->known);
    map_fini(&s->names);
    bench_close(&s->b);
}

/* --- what happens ---------------------------------------------------------------------------------------------------- */
UNUSED struct run_known *story_known(struct story *s, const struct run *run)
{
    struct str key = str_printf(&s->b.a, STR_FMT "/" STR_FMT "/" STR_FMT, STR_ARG(run->project), STR_ARG(run->env), STR_ARG(run->id));
    struct run_known *k = map_get(&s->known, key);
    if (k) return k;
    k = ARENA_NEW(&s->b.a, struct run_known);
    map_put(&s->known, key, k);
    return k;
}

UNUSED void story_report(struct story *s, struct run *run)
{
    struct transition t[TRANSITIONS_MAX];
    struct run_known *known = story_known(s, run);
    struct engine_input in = { .kind = ENGINE_EVENT };
    size_t n;
    in.u.event.run = run;
    in.u.event.event_id = 1000 + s->b.events++;
    n = run_transitions(&s->b.a, run, known, s->b.now_ms, 0, in.u.event.event_id, t);
    for (size_t k = 0; k < n; k++) {
        in.u.event.transition = &t[k];
        in.u.event.since_succeeded = run_succeeded_since(known, &t[k]);
        in.u.event.known = known;
        if (t[k].kind != TRANSITION_DUPLICATE) step(&s->b, &in);
    }
    tick(&s->b); /* as every batch ends */
}

/* A report as in a `tests:` section, without its `at`: it arrives at that moment. */
UNUSED void happens(struct story *s, const char *at, const char *event)
{
    static size_t number;
    struct test_event e;
    struct yaml_node *top;
    passes(s, at);
    top = yaml_read(&s->b.a, "event", str_printf(&s->b.a, "event: {at: %s, %s", at, event + 1), &s->b.d);
    if (!top || !test_event_read(&s->b.a, yaml_get(top, "event"), number++, start_ms, &s->b.d, &e)) fail_msg("%s is no event", event);
    story_report(s, &e.run);
}

/* A run object as it is posted; times are texts. */
UNUSED void happens_json(struct story *s, const char *at, const char *object)
{
    struct json v;
    struct run *run = ARENA_NEW(&s->b.a, struct run);
    struct err err;
    passes(s, at);
    if (json_parse(&s->b.a, str_c(object), &json_default_limits, &v, NULL, &err) < 0 || run_decode(&s->b.a, v, run, &err) < 0) fail_msg("%s: %s", object, err.msg);
    if (run->project.n == 0) run->project = STR("default");
    if (run->env.n == 0) run->env = STR("default");
    story_report(s, run);
}

/* n of them in one moment, run_PREFIX0 and so on, with the rest of the event behind the run. */
UNUSED void happen(struct story *s, const char *at, int n, const char *prefix, const char *rest)
{
    for (int k = 0; k < n; k++) happens(s, at, str_printf(&s->b.a, "{run: run_%s%d, %s}", prefix, k, rest).p);
}

/* --- names of incidents ------------------------------------------------------------------------------------------------ */
UNUSED const char *story_name(struct story *s, uint64_t incident)
{
    char id[ID_SIZE];
    const char *found;
    for (; s->rows_seen < s->b.rows.n; s->rows_seen++) {
        const struct engine_incident_row *row = &s->b.rows.v[s->rows_seen];
        struct str text = id_format("inc", row->id, id);
        bool named_env = !str_eq_c(row->env, "default");
        struct str key = row->key.n ? row->key : STR("-");
        if (map_get(&s->names, text)) continue;
        map_put(&s->names, str_dup(&s->b.a, text),
                (void *)(uintptr_t)str_printf(&s->b.a, STR_FMT " " STR_FMT "%s" STR_FMT, STR_ARG(row->rule), STR_ARG(key), named_env ? " @" : "",
                                              STR_ARG(named_env ? row->env : STR(""))).p);
    }
    found = map_get(&s->names, id_format("inc", incident, id));
    return found ? found : "-";
}

/* The newest incident of that name. */
UNUSED uint64_t incident_of(struct story *s, const char *name)
{
    for (size_t k = s->b.rows.n; k-- > 0;)
        if (strcmp(story_name(s, s->b.rows.v[k].id), name) == 0) return s->b.rows.v[k].id;
    fail_msg("there is no incident %s", name);
    return 0;
}

/* --- commands ---------------------------------------------------------------------------------------------------------- */
UNUSED void acknowledged(struct story *s, const char *at, const char *name)
{
    passes(s, at);
    assert_int_equal(command(&s->b, ENGINE_ACK, incident_of(s, name), 0), 0);
}

UNUSED void snoozed(struct story *s, const char *at, const char *name, const char *for_text)
{
    passes(s, at);
    assert_int_equal(command(&s->b, ENGINE_SNOOZE, incident_of(s, name), span(for_text)), 0);
}

UNUSED void resolved_by_hand(struct story *s, const char *at, const char *name)
{
    passes(s, at);
    assert_int_equal(command(&s->b, ENGINE_RESOLVE, incident_of(s, name), 0), 0);
}

UNUSED void silenced(struct story *s, const char *at, const char *when, const char *for_text)
{
    struct engine_input in = { .kind = ENGINE_COMMAND };
    passes(s, at);
    in.u.command.what = ENGINE_SILENCE;
    in.u.command.when = str_c(when);
    in.u.command.rule = STR("");
    in.u.command.who = STR("ann");
    in.u.command.why = STR("known");
    in.u.command.for_ms = span(for_text);
    assert_int_equal(step(&s->b, &in), 0);
}

UNUSED void reloaded(struct story *s, const char *at, const char *rules)
{
    passes(s, at);
    reload(&s->b, compile(&s->b, rules));
}

/* It was killed at one moment, and is started again at another. */
UNUSED void down(struct story *s, const char *from, const char *to, const char *rules)
{
    passes(s, from);
    s->b.now_ms = start_ms + span(to);
    restart(&s->b, compile(&s->b, rules));
    passes(s, to);
}

/* --- what came of it ------------------------------------------------------------------------------------------------- */
UNUSED int by_moment(const void *a, const void *b)
{
    const struct story_line *x = a, *y = b;
    if (x->at_ms != y->at_ms) return x->at_ms < y->at_ms ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* Days, not weeks: that is how the tests count. */
UNUSED struct str moment(struct story *s, int64_t at_ms)
{
    char text[TIMEFMT_SIZE];
    const int64_t day_ms = 24 * HOUR, ms = at_ms - start_ms;
    if (ms < day_ms) return str_dup(&s->b.a, duration_format(ms, text));
    return str_printf(&s->b.a, "%lldd" STR_FMT, (long long)(ms / day_ms), STR_ARG(ms % day_ms ? duration_format(ms % day_ms, text) : STR("")));
}

UNUSED const char *story_since(struct story *s)
{
    VEC(struct story_line) lines = { 0 };
    struct str all = STR("");
    for (; s->notes_shown < s->b.notes.n; s->notes_shown++) {
        const struct engine_note *n = &s->b.notes.v[s->notes_shown];
        bool digest = strcmp(n->what, "limited") == 0 || strcmp(n->what, "told in a digest") == 0;
        if (!digest && strcmp(n->what, "opened") != 0 && strcmp(n->what, "resolved") != 0) continue;
        *vec_push(&lines) = (struct story_line){ n->at_ms, str_printf(&s->b.a, "%s %s", digest ? "in-a-digest" : n->what, story_name(s, n->incident)).p };
    }
    for (; s->said_shown < s->b.said.n; s->said_shown++) {
        const struct said *m = &s->b.said.v[s->said_shown];
        *vec_push(&lines) = (struct story_line){ m->at_ms, str_printf(&s->b.a, "%s %s -> " STR_FMT, message_kind_name(m->kind), story_name(s, m->incident), STR_ARG(m->destination)).p };
    }
    if (lines.n) qsort(lines.v, lines.n, sizeof *lines.v, by_moment);
    for (size_t k = 0; k < lines.n; k++)
        all = str_printf(&s->b.a, STR_FMT STR_FMT " %s\n", STR_ARG(all), STR_ARG(moment(s, lines.v[k].at_ms)), lines.v[k].text);
    vec_free(&lines);
    return all.n ? all.p : "";
}

/* Everything since the last time, and nothing else. */
UNUSED void came_lines(struct story *s, const char *const *lines, size_t n, const char *file, int line)
{
    struct str wanted = STR("");
    const char *got = story_since(s);
    for (size_t k = 0; k < n; k++) wanted = str_printf(&s->b.a, STR_FMT "%s\n", STR_ARG(wanted), lines[k]);
    if (strcmp(got, wanted.n ? wanted.p : "") == 0) return;
    print_error("%s:%d: expected\n%sbut what came is\n%s", file, line, wanted.n ? wanted.p : "(nothing)\n", got[0] ? got : "(nothing)\n");
    fail();
}
#define came(s, ...) came_lines(s, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), __FILE__, __LINE__)
#define nothing_came(s) came_lines(s, NULL, 0, __FILE__, __LINE__)

/* Whatever came meanwhile is not what the test is about. */
UNUSED void forget(struct story *s)
{
    (void)story_since(s);
}

/* The last message to that destination, as people read it. */
UNUSED const char *text_to(struct story *s, const char *destination)
{
    struct json m;
    struct err err;
    struct strbuf b;
    struct str text;
    assert_int_equal(json_parse(&s->b.a, last_said(&s->b, destination)->content, &json_own_limits, &m, NULL, &err), 0);
    strbuf_init(&b, 1 << 20);
    message_plain(m, &b);
    text = str_dup(&s->b.a, strbuf_view(&b));
    strbuf_fini(&b);
    return str_printf(&s->b.a, STR_FMT, STR_ARG(text)).p;
}

UNUSED void says(struct story *s, const char *destination, const char *part)
{
    const char *text = text_to(s, destination);
    if (!strstr(text, part)) fail_msg("\"%s\" is not in what %s was told:\n%s", part, destination, text);
}

/* --- the check --------------------------------------------------------------------------------------------------------- */
UNUSED const char *checked(struct arena *a, const char *rules, bool *fine)
{
    struct diags d;
    struct strbuf b;
    struct str text = str_printf(a, "version: 1\n%s", rules);
    struct rule_file file;
    struct rule_world w = { &file, 1, bench_places, BENCH_PLACES, STR("ops"), false };
    struct ruleset *rs;
    const char *out;
    diags_init(&d, a);
    file = (struct rule_file){ yaml_read(a, "test.yaml", text, &d), false };
    rs = ruleset_compile(a, &w, &d);
    *fine = rs != NULL;
    strbuf_init(&b, 1 << 20);
    diags_print(&d, &b, false);
    out = str_printf(a, "%s", b.p ? b.p : "").p;
    strbuf_fini(&b);
    ruleset_fini(rs);
    diags_fini(&d);
    return out;
}

/* An error of the check, or a warning, that says this. */
UNUSED void check_says(const char *rules, bool fine, const char *part)
{
    struct arena a = { 0 };
    bool was_fine;
    const char *text = checked(&a, rules, &was_fine);
    if (was_fine != fine || (part ? !strstr(text, part) : text[0] != '\0')) fail_msg("the check %s and says:\n%s\nof\n%s", was_fine ? "passes" : "fails", text, rules);
    arena_fini(&a);
}
#define refused(rules, part) check_says(rules, false, part)
#define warned(rules, part) check_says(rules, true, part)
#define accepted(rules) check_says(rules, true, NULL)
#endif
