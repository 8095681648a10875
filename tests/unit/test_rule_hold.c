/* What holds messages, compiled: schedules, during, outside, unless, mutes and confirm. */
#include "rule_testing.h"

#include "base/timefmt.h"

static void expect_ok(struct bed *b)
{
    if (b->rs && b->d.warnings == 0) return;
    bed_print(b);
    fail_msg("does not compile, or not without a warning");
}

static const struct diag *find_diag(const struct bed *b, const char *text)
{
    for (size_t i = 0; i < b->d.items.n; i++)
        if (str_find_str(b->d.items.v[i].text, str_c(text)) < b->d.items.v[i].text.n) return &b->d.items.v[i];
    bed_print(b);
    fail_msg("no diagnostic says: %s", text);
    return NULL;
}

static bool covered(const struct schedule *s, const char *when)
{
    int64_t ms;
    assert_true(time_parse(str_c(when), &ms));
    return schedule_covers(s, ms);
}

#define SCHEDULES \
    "schedules:\n" \
    "  business: {days: mon-fri, hours: 09:00-18:00, zone: Europe/Berlin, except: [2026-12-25]}\n" \
    "  nightly: {days: all, hours: [22:00-01:00, 02:00-04:00], zone: UTC}\n" \
    "  weekend: {days: [sat, sun], zone: America/New_York}\n"
#define RULE(name, when, more) "  " name ":\n    when: " when "\n    notify: slack-ops\n" more

/* --- schedules -------------------------------------------------------------------------------------------- */
static void every_member(void **state)
{
    struct bed b;
    const struct rule *r, *s;
    (void)state;
    bed_compile(&b, SCHEDULES "rules:\n"
                RULE("r", "{status: failed}", "    during: business\n    outside: drop\n    confirm: true\n")
                "  s:\n    when: {status: CRASHED, task: x}\n"
                "    notify: [{to: pager, during: nightly}, {to: slack-cust, channel: \"#cust-{{metadata.c}}\", during: weekend}, pager]\n"
                "    escalate: {5m: {to: pager, during: weekend}}\n    outside: [slack-billing, {to: mail-support, during: weekend}]\n    during: nightly\n"
                "  t:\n    when: {status: CRASHED, task: y}\n    notify: anything\n");
    expect_ok(&b);
    r = b.rs->rules[0];
    s = b.rs->rules[1];
    assert_int_equal(b.rs->schedule_count, 3);
    assert_ptr_equal(r->during, b.rs->schedules[0]);
    assert_string_equal(schedule_name(r->during).p, "business");
    assert_true(covered(r->during, "2026-05-04T07:00:00Z") && !covered(r->during, "2026-05-04T16:00:00Z") && !covered(r->during, "2026-12-25T10:00:00Z"));
    assert_true(covered(s->during, "2026-05-04T00:30:00Z") && !covered(s->during, "2026-05-04T01:30:00Z") && covered(s->during, "2026-05-04T03:30:00Z"));
    assert_true(covered(b.rs->schedules[2], "2026-05-02T04:00:00Z") && !covered(b.rs->schedules[2], "2026-05-04T04:00:00Z"));
    assert_int_equal(r->outside, RULE_OUTSIDE_DROP);
    assert_int_equal(r->outside_to.n, 0);
    assert_true(r->confirm && !s->confirm);
    assert_int_equal(s->outside, RULE_OUTSIDE_ELSEWHERE);
    assert_int_equal(s->outside_to.n, 2);
    assert_ptr_equal(s->outside_to.v[1].during, b.rs->schedules[2]);
    assert_int_equal(s->notify.n, 3);
    assert_ptr_equal(s->notify.v[0].during, b.rs->schedules[1]);
    assert_ptr_equal(s->notify.v[1].during, b.rs->schedules[2]);
    assert_int_equal(s->notify.v[1].param_count, 1);
    assert_null(s->notify.v[2].during); /* the same destination at another time is another target */
    assert_ptr_equal(s->escalate[0].to.v[0].during, b.rs->schedules[2]);
    assert_null(b.rs->rules[2]->during);
    assert_int_equal(b.rs->rules[2]->outside, RULE_OUTSIDE_HOLD);
    bed_fini(&b);
}

static void defaults_and_always(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "defaults: {during: business, outside: pager, confirm: true}\n" SCHEDULES "rules:\n"
                RULE("r", "{status: failed}", "    outside: hold\n") RULE("s", "{status: success}", "    during: always\n    confirm: false\n")
                RULE("t", "{status: CANCELED}", "    during: weekend\n    unless: []\n") "  n: {when: {task: y}, notify: {to: pager, during: nightly}, during: always}\n");
    expect_ok(&b);
    assert_string_equal(schedule_name(b.rs->rules[0]->during).p, "business");
    assert_int_equal(b.rs->rules[0]->outside, RULE_OUTSIDE_HOLD);
    assert_int_equal(b.rs->rules[0]->outside_to.n, 0);
    assert_true(b.rs->rules[0]->confirm);
    assert_null(b.rs->rules[1]->during);
    assert_false(b.rs->rules[1]->confirm);
    assert_string_equal(schedule_name(b.rs->rules[2]->during).p, "weekend");
    assert_int_equal(b.rs->rules[2]->outside, RULE_OUTSIDE_ELSEWHERE);
    assert_int_equal(b.rs->rules[2]->outside_to.n, 1);
    bed_fini(&b);
}

/* A rule of any file names a schedule of any other; a name is unique over all. */
static void over_files(void **state)
{
    static const char *const good[] = { "rules:\n" RULE("r", "{status: failed}", "    during: late\n    unless: s\n"),
                                        "schedules:\n  late: {hours: 22:00-24:00, zone: UTC}\nrules:\n" RULE("s", "{task: a, status: success}", "") };
    static const char *const bad[] = { SCHEDULES "mutes:\n  m: {when: {task: a}, during: nightly, why: x}\n",
                                       "schedules:\n  x: {days: mon, zone: UTC}\n  nightly: {days: mo, zone: UTC}\nmutes:\n  m: {when: {task: b}, during: weekend, why: y}\n"
                                       "rules:\n" RULE("r", "{task: a}", "    during: nightly\n") RULE("s", "{task: b}", "    during: business\n") };
    struct bed b;
    const struct diag *d;
    (void)state;
    bed_init(&b);
    bed_compile_files(&b, good, 2);
    expect_ok(&b);
    assert_string_equal(schedule_name(b.rs->rules[0]->during).p, "late");
    assert_int_equal(b.rs->rules[0]->unless_count, 1);
    assert_int_equal(b.rs->rules[0]->unless[0], 1);
    bed_fini(&b);
    bed_init(&b);
    bed_compile_files(&b, bad, 2);
    assert_null(b.rs);
    d = find_diag(&b, "schedule `nightly` exists already, at a.yaml:3");
    assert_string_equal(d->file, "b.yaml");
    assert_int_equal(d->line, 3);
    find_diag(&b, "got `mo`");
    d = find_diag(&b, "mute `m` exists already, at a.yaml:6");
    assert_int_equal(d->line, 5);
    assert_int_equal(b.d.errors, 3);
    bed_fini(&b);
}

/* What stands in hours and zones stays text, whatever YAML 1.1 takes it for. */
static void yaml_traps(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "schedules:\n  on: {days: all, hours: [01:00-04:00, \"05:00-06:30\", '07:00-08:00'], zone: \"UTC\", except: [2026-12-25, \"2026-12-26\"]}\n"
                "  y: {days: [sat-sun], zone: UTC, except: []}\n  no: {days: \"mon\", hours: 10:30-20:30, zone: UTC, except: 2026-01-01}\nrules:\n"
                RULE("r", "{status: failed}", "    during: on\n") RULE("s", "{status: success}", "    during: no\n") RULE("t", "{status: CANCELED}", "    during: y\n"));
    expect_ok(&b);
    assert_true(covered(b.rs->schedules[0], "2026-12-24T06:29:00Z") && !covered(b.rs->schedules[0], "2026-12-26T06:29:00Z"));
    assert_true(covered(b.rs->schedules[1], "2026-05-03T23:59:59Z"));
    assert_true(covered(b.rs->schedules[2], "2026-05-04T10:30:00Z") && !covered(b.rs->schedules[2], "2026-05-04T10:29:59Z"));
    bed_fini(&b);
}

/* --- mistakes ------------------------------------------------------------------------------------------------ */
struct mistake { const char *text; uint32_t line, col; const char *says, *hint; };
#define AS_SCHEDULE(flow) "schedules:\n  s: " flow "\n"
#define AS_MUTE(flow) "schedules:\n  nightly: {hours: 01:00-02:00, zone: UTC}\nmutes:\n  m: " flow "\n"
#define AS_RULE(more) "schedules: {nightly: {hours: 01:00-02:00, zone: UTC}}\nrules:\n" RULE("r", "{task: a}", more) RULE("other", "{task: b}", "")
static const struct mistake mistakes[] = {
    { AS_SCHEDULE("{days: Mon-Fri, zone: UTC}"), 2, 13, "wants days: all, one of mon", "did you mean `mon-fri`?" },
    { AS_SCHEDULE("{days: [mon, Friday], zone: UTC}"), 2, 19, "got `Friday`", "did you mean `fri`?" },
    { AS_SCHEDULE("{days: weekdays, zone: UTC}"), 2, 13, "got `weekdays`", "did you mean `mon-fri`?" },
    { AS_SCHEDULE("{days: weekend, zone: UTC}"), 2, 13, "got `weekend`", "did you mean `sat-sun`?" },
    { AS_SCHEDULE("{days: [], zone: UTC}"), 2, 0, "the list is empty", NULL },
    { AS_SCHEDULE("{days: {mon: fri}, zone: UTC}"), 2, 0, "wants days like mon-fri", NULL },
    { AS_SCHEDULE("{days: all, hours: 9:00-18:00, zone: UTC}"), 2, 25, "wants hours like 09:00-18:00", "did you mean `09:00-18:00`?" },
    { AS_SCHEDULE("{days: all, hours: 09:00, zone: UTC}"), 2, 25, "got `09:00`", NULL },
    { AS_SCHEDULE("{days: all, hours: [01:00-02:00, 00:00-00:00], zone: UTC}"), 2, 39, "got `00:00-00:00`", "the whole day is 00:00-24:00" },
    { AS_SCHEDULE("{days: all, hours: 09:00-24:01, zone: UTC}"), 2, 25, "got `09:00-24:01`", NULL },
    { AS_SCHEDULE("{days: all, hours: 09:00-18:00}"), 2, 3, "missing key `zone` in schedule", NULL },
    { AS_SCHEDULE("{days: all, zone: Europe/Berln}"), 2, 24, "no time zone is called `Europe/Berln`", "did you mean `Europe/Berlin`?" },
    { AS_SCHEDULE("{days: all, zone: Berlin}"), 2, 24, "no time zone is called `Berlin`", "did you mean `Europe/Berlin`?" },
    { AS_SCHEDULE("{days: all, zone: ../UTC}"), 2, 24, "is no name of a time zone", NULL },
    { AS_SCHEDULE("{days: all, zone: +02:00}"), 2, 24, "`+02:00` is no name of a time zone: write one like Europe/Berlin, or UTC", NULL },
    { AS_SCHEDULE("{days: all, zone: [UTC]}"), 2, 24, "wants text, got a list", NULL },
    { AS_SCHEDULE("{days: all, zone: UTC, except: [2026-02-29]}"), 2, 38, "wants a date that exists, like 2026-12-25, got `2026-02-29`", NULL },
    { AS_SCHEDULE("{days: all, zone: UTC, except: {a: b}}"), 2, 0, "a date or a list of dates", NULL },
    { AS_SCHEDULE("{zone: UTC}"), 2, 3, "has neither `days` nor `hours`: it would cover all the time", NULL },
    { AS_SCHEDULE("{day: mon, hours: 01:00-02:00, zone: UTC}"), 2, 7, "unknown key `day` in schedule", "did you mean `days`?" },
    { AS_SCHEDULE("all"), 2, 6, "schedule wants a map", NULL },
    { "schedules:\n  S: {days: mon, zone: UTC}\n", 2, 3, "`S` is no schedule's name", NULL },
    { "schedules:\n  always: {days: mon, zone: UTC}\n", 2, 3, "`always` is what `during` says for no schedule at all", NULL },
    { "schedules: [a]\n", 1, 12, "`schedules` wants a map of names and schedules", NULL },
    { "mutes: [a]\n", 1, 8, "`mutes` wants a map of names and mutes", NULL },
    { AS_MUTE("{when: {task: a}, during: nigtly, why: x}"), 4, 32, "no schedule is called `nigtly`", "did you mean `nightly`?" },
    { AS_MUTE("{when: {task: a}, during: always, why: x}"), 4, 32, "no schedule is called `always`", NULL },
    { AS_MUTE("{when: {tsk: a}, during: nightly, why: x}"), 4, 14, "tsk", "did you mean `task`?" },
    { AS_MUTE("{when: {}, during: nightly, why: x}"), 4, 0, "this mutes every run: name a field", "{env: \"*\"}" },
    { AS_MUTE("{during: nightly, why: x}"), 4, 3, "missing key `when` in mute", NULL },
    { AS_MUTE("{when: {task: a}, why: x}"), 4, 3, "missing key `during` in mute", NULL },
    { AS_MUTE("{when: {task: a}, during: nightly}"), 4, 3, "missing key `why` in mute", NULL },
    { AS_MUTE("{when: {task: a}, during: nightly, why: \" \"}"), 4, 46, "says nothing", NULL },
    { AS_MUTE("{when: {task: a}, during: nightly, why: x, until: y}"), 4, 49, "unknown key `until` in mute", NULL },
    { AS_RULE("    during: nigtly\n"), 6, 13, "no schedule is called `nigtly`", "did you mean `nightly`?" },
    { AS_RULE("    during: [nightly]\n"), 6, 13, "wants text, got a list", NULL },
    { AS_RULE("    during: nightly\n    outside: hodl\n"), 7, 14, "`outside` is hold, drop or who hears of it instead, got `hodl`", "did you mean `hold`?" },
    { AS_RULE("    during: nightly\n    outside: pagr\n"), 7, 14, "no destination is called `pagr`", "did you mean `pager`?" },
    { AS_RULE("    during: nightly\n    outside: [hold, pager]\n"), 7, 15, "no destination is called `hold`", NULL },
    { AS_RULE("    confirm: \"true\"\n"), 6, 14, "wants true or false", "without quotes" },
    { AS_RULE("    unless: othr\n"), 6, 13, "no rule is called `othr`", "did you mean `other`?" },
    { AS_RULE("    unless: [other, r]\n"), 6, 21, "rule `r` would hold its own messages", NULL },
    { AS_RULE("    unless: [[other]]\n"), 6, 14, "wants a rule's name", NULL },
    { AS_RULE("    unless: {other: true}\n"), 6, 0, "a rule's name or a list of names", NULL },
    { AS_RULE("    escalate: {5m: {to: pager, during: nope}}\n"), 6, 40, "no schedule is called `nope`", NULL },
};

static void each_mistake_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const struct mistake *m = &mistakes[i];
        const struct diag *d;
        struct bed b;
        bed_compile(&b, m->text);
        assert_null(b.rs);
        d = find_diag(&b, m->says);
        if (b.d.errors != 1 || (m->line && d->line != m->line) || (m->col && d->col != m->col) || (m->hint && str_find_str(d->hint, str_c(m->hint)) == d->hint.n)) {
            bed_print(&b);
            fail_msg("wanted one error at %u:%u with hint %s for:\n%s", m->line, m->col, m->hint ? m->hint : "-", m->text);
        }
        bed_fini(&b);
    }
}

/* Of what may stand behind a syntax error nobody says that it is not there. */
static void a_file_cut_short(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "rules:\n" RULE("r", "{task: a}", "    during: nightly\n    unless: other\n") "schedules:\n  nightly: {days: [mon\n");
    if (b.d.errors != 1) bed_print(&b);
    assert_int_equal(b.d.errors, 1);
    bed_fini(&b);
}

static void too_many(void **state)
{
    struct bed b;
    struct strbuf text;
    (void)state;
    strbuf_init(&text, 1 << 16);
    strbuf_c(&text, "schedules:\n  s:\n    zone: UTC\n    hours: [");
    for (int k = 0; k < SCHEDULE_HOURS_MOST + 1; k++) strbuf_printf(&text, "%s%02d:00-%02d:30", k ? ", " : "", k, k);
    strbuf_c(&text, "]\n    except: [");
    for (int k = 0; k < SCHEDULE_EXCEPT_MOST + 1; k++) strbuf_printf(&text, "%s2026-12-25", k ? ", " : "");
    strbuf_c(&text, "]\n");
    bed_compile(&b, text.p);
    assert_int_equal(b.d.errors, 2);
    find_diag(&b, "at most 16 stretches of hours");
    find_diag(&b, "at most 1000 exceptions");
    bed_fini(&b);
    strbuf_fini(&text);
}

/* --- unless --------------------------------------------------------------------------------------------------- */
static void unless_names_become_indexes(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "defaults: {unless: down}\nrules:\n" RULE("a", "{task: a}", "    unless: [c, b, c]\n") "  off: {when: {task: o}, notify: pager, enabled: false}\n" RULE("b", "{task: b}", "")
                RULE("c", "{task: c}", "    unless: []\n") RULE("down", "{task: d}", ""));
    expect_ok(&b);
    assert_int_equal(b.rs->rules[0]->unless_count, 2);
    assert_int_equal(b.rs->rules[0]->unless[0], 2);
    assert_int_equal(b.rs->rules[0]->unless[1], 1);
    assert_int_equal(b.rs->rules[1]->unless_count, 1); /* by default */
    assert_int_equal(b.rs->rules[1]->unless[0], 3);
    assert_int_equal(b.rs->rules[2]->unless_count, 0); /* not by default */
    assert_int_equal(b.rs->rules[3]->unless_count, 0); /* not itself */
    bed_fini(&b);
}

static void circles_are_named(void **state)
{
    static const struct { const char *rules, *says; uint32_t line; } all[] = {
        { RULE("a", "{task: a}", "    unless: b\n") RULE("b", "{task: b}", "    unless: a\n"), "in a circle: a -> b -> a", 9 },
        { RULE("x", "{task: x}", "    unless: a\n") RULE("a", "{task: a}", "    unless: [b]\n") RULE("b", "{task: b}", "    unless: [c]\n") RULE("c", "{task: c}", "    unless: [a]\n"),
          "in a circle: a -> b -> c -> a", 17 },
    };
    struct bed b;
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bed_init(&b);
        const char *text = str_printf(&b.a, "rules:\n%s", all[i].rules).p;
        bed_compile_files(&b, &text, 1);
        assert_null(b.rs);
        assert_int_equal(b.d.errors, 1);
        assert_int_equal(find_diag(&b, all[i].says)->line, all[i].line);
        bed_fini(&b);
    }
    /* a default that a rule's own `unless` turns into a circle */
    bed_compile(&b, "defaults: {unless: down}\nrules:\n" RULE("a", "{task: a}", "") RULE("down", "{task: d}", "    unless: a\n"));
    assert_null(b.rs);
    assert_int_equal(b.d.errors, 1);
    find_diag(&b, "in a circle: a -> down -> a");
    bed_fini(&b);
}

/* Ten thousand rules in a row, and back: no deeper than the memory for it. */
static void a_long_circle(void **state)
{
    enum { RULES = 10000 };
    struct bed b;
    struct strbuf text;
    (void)state;
    strbuf_init(&text, 4 << 20);
    strbuf_c(&text, "rules:\n");
    for (int k = 0; k < RULES; k++) strbuf_printf(&text, "  r%d: {when: {task: t%d}, notify: pager, unless: r%d}\n", k, k, (k + 1) % RULES);
    bed_compile(&b, text.p);
    assert_null(b.rs);
    assert_int_equal(b.d.errors, 1);
    find_diag(&b, "in a circle: r0 -> r1 -> r2 -> r3 -> r4 -> r5 -> r6 -> r7 -> ... -> r9999 -> r0");
    bed_fini(&b);
    strbuf_fini(&text);
}

static void a_disabled_rule_holds_nothing(void **state)
{
    struct bed b;
    const struct diag *d;
    (void)state;
    bed_compile(&b, "rules:\n" RULE("a", "{task: a}", "    unless: off\n") "  off: {when: {task: o}, notify: pager, enabled: false, unless: a}\n");
    assert_non_null(b.rs);
    assert_int_equal(b.d.warnings, 1);
    d = find_diag(&b, "rule `off` is not enabled, so it never holds anything");
    assert_int_equal(d->line, 5);
    assert_int_equal(d->col, 13);
    assert_int_equal(b.rs->rules[0]->unless_count, 0);
    bed_fini(&b);
}

/* With a mistake elsewhere nobody knows whether a rule is disabled or only wrong. Of two names as near, the first in the alphabet. */
static void beside_other_mistakes(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "rules:\n" RULE("a", "{task: a}", "    unless: wrong\n") RULE("wrong", "{task: b}", "    wait: soon\n"));
    assert_int_equal(b.d.errors, 1);
    assert_int_equal(b.d.warnings, 0);
    bed_fini(&b);
    bed_compile(&b, "rules:\n" RULE("x", "{task: a}", "    unless: aaad\n") RULE("aaac", "{task: c}", "") RULE("aaab", "{task: b}", "") RULE("aaae", "{task: e}", ""));
    assert_string_equal(find_diag(&b, "no rule is called `aaad`")->hint.p, "did you mean `aaab`?");
    bed_fini(&b);
}

/* Two rules of one run that wait for one another are meant so: no warning of two messages. */
static void unless_is_the_remedy_of_overlaps(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "rules:\n" RULE("wide", "{status: failed}", "") RULE("narrow", "{status: failed, task: a}", ""));
    assert_non_null(b.rs);
    find_diag(&b, "every hit of rule `narrow` is one of `wide`, too");
    bed_fini(&b);
    bed_compile(&b, "rules:\n" RULE("wide", "{status: failed}", "") RULE("narrow", "{status: failed, task: a}", "    unless: wide\n"));
    expect_ok(&b);
    bed_fini(&b);
    bed_compile(&b, "rules:\n" RULE("wide", "{status: failed}", "    unless: narrow\n") RULE("narrow", "{status: failed, task: a}", ""));
    expect_ok(&b);
    bed_fini(&b);
    bed_compile(&b, SCHEDULES "rules:\n" RULE("wide", "{status: failed}", "    during: business\n") RULE("narrow", "{status: failed, task: a}", "    during: weekend\n")
                RULE("other", "{task: b}", "    during: nightly\n"));
    expect_ok(&b);
    bed_fini(&b);
    bed_compile(&b, SCHEDULES "rules:\n" RULE("wide", "{status: failed}", "    during: business\n") RULE("narrow", "{status: failed, task: a}", "    during: business\n"));
    find_diag(&b, "every hit of rule `narrow`");
    bed_fini(&b);
}

/* --- mutes ---------------------------------------------------------------------------------------------------- */
static void mutes(void **state)
{
    struct bed b;
    struct testing_run run;
    (void)state;
    bed_compile(&b, SCHEDULES "mutes:\n  rebuild: {when: {task: \"etl-*\", metadata.tier: gold}, during: nightly, why: planned rebuild}\n"
                "  works: {when: {env: stg}, during: weekend, why: \"moving house\"}\nrules:\n" RULE("r", "{status: failed}", "    during: business\n"));
    expect_ok(&b);
    assert_int_equal(b.rs->mute_count, 2);
    assert_string_equal(b.rs->mutes[0].name.p, "rebuild");
    assert_string_equal(b.rs->mutes[0].why.p, "planned rebuild");
    assert_string_equal(schedule_name(b.rs->mutes[1].during).p, "weekend");
    testing_run(&b.a, "{\"id\":\"run_1\",\"status\":\"FAILED\",\"task\":\"etl-a\",\"metadata\":{\"tier\":\"gold\"}}", &run);
    assert_true(rule_match_holds(b.rs->mutes[0].when, &run.subject));
    assert_false(rule_match_holds(b.rs->mutes[1].when, &run.subject));
    assert_true(b.rs->rules[0]->reads & RUN_HAS_METADATA); /* a fuller report may show that the hit is muted */
    bed_fini(&b);
}

/* Policies say nothing of what an incident is: a change of them leaves it open. */
static void shapes_stay(void **state)
{
    static const char plain[] = SCHEDULES "rules:\n" RULE("r", "{status: failed}", "");
    static const char held[] = SCHEDULES "mutes:\n  m: {when: {env: stg}, during: weekend, why: x}\nrules:\n"
        RULE("r", "{status: failed}", "    during: business\n    outside: {to: pager, during: nightly}\n    unless: s\n    confirm: true\n") RULE("s", "{task: a}", "");
    struct bed b, c;
    (void)state;
    bed_compile(&b, plain);
    bed_compile(&c, held);
    assert_non_null(b.rs);
    assert_non_null(c.rs);
    assert_string_equal(b.rs->rules[0]->shape, c.rs->rules[0]->shape);
    bed_fini(&b);
    bed_fini(&c);
}

static void what_templates_outside_read(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, SCHEDULES "rules:\n" RULE("r", "{status: failed}", "    during: business\n    outside: {to: slack-cust, channel: \"#cust-{{metadata.c}}\"}\n"));
    assert_non_null(b.rs);
    assert_true(b.rs->rules[0]->reads & RUN_HAS_METADATA);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member), cmocka_unit_test(defaults_and_always), cmocka_unit_test(over_files), cmocka_unit_test(yaml_traps), cmocka_unit_test(each_mistake_at_its_place),
        cmocka_unit_test(a_file_cut_short), cmocka_unit_test(too_many), cmocka_unit_test(unless_names_become_indexes), cmocka_unit_test(circles_are_named), cmocka_unit_test(a_long_circle),
        cmocka_unit_test(a_disabled_rule_holds_nothing), cmocka_unit_test(unless_is_the_remedy_of_overlaps), cmocka_unit_test(mutes), cmocka_unit_test(shapes_stay), cmocka_unit_test(beside_other_mistakes),
        cmocka_unit_test(what_templates_outside_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
