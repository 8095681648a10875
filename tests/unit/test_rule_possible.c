/* Matches that no run can meet, and other things that can be compiled and will hardly have been meant. */
#include "rule_testing.h"

static const struct diag *find_diag(const struct bed *b, const char *text)
{
    for (size_t i = 0; i < b->d.items.n; i++)
        if (str_find_str(b->d.items.v[i].text, str_c(text)) < b->d.items.v[i].text.n) return &b->d.items.v[i];
    return NULL;
}

static const struct diag *wanted_diag(const struct bed *b, const char *text)
{
    const struct diag *d = find_diag(b, text);
    if (d) return d;
    bed_print(b);
    fail_msg("no diagnostic says: %s", text);
    return NULL;
}

/* --- never ------------------------------------------------------------------------------------------------ */
struct never { const char *when; uint32_t col; const char *of, *hint; };
static const struct never nevers[] = {
    { "{status: [CRASHED], not: {status: failed}}", 37, "of `status`", "is \"CRASHED\"; not in [" },
    { "{status: failed, not: {status: [failed, CRASHED]}}", 0, "of `status`", NULL },
    { "{status: success, not: {status: COMPLETED_SUCCESSFULLY}}", 0, "of `status`", NULL },
    { "{status: {is: FAILED, not: FAILED}}", 0, "of `status`", NULL },
    { "{status: {exists: false}}", 0, "of `status`", NULL },
    { "{status: CRASHED, not: {not: {status: TIMED_OUT}}}", 0, "of `status`", NULL },
    { "{status: CRASHED, all: [{task: a}, {status: TIMED_OUT}]}", 0, "of `status`", NULL },
    { "{task: a, not: {task: \"a*\"}}", 0, "of `task`", NULL },
    { "{task: \"a-*\", not: {task: \"a-*\"}}", 0, "of `task`", NULL },
    { "{task: [a, b], not: {any: [{task: a}, {task: b}]}}", 0, "of `task`", NULL },
    { "{task: {in: [a, b], re: \"^c\"}}", 0, "of `task`", NULL },
    { "{task: {is: a, glob: \"b*\"}}", 0, "of `task`", NULL },
    { "{task: {is: a, not: \"*\"}}", 0, "of `task`", NULL },
    { "{task: {glob: \"a?\", not: \"*\"}}", 0, "of `task`", NULL },
    { "{task: {re: \"^a\", not: [b, \"*\"]}}", 0, "of `task`", NULL },
    { "{task: a, all: [{task: {exists: false}}]}", 0, "of `task`", NULL },
    { "{task: {exists: true}, not: {task: {exists: true}}}", 0, "of `task`", NULL },
    { "{task: \"\"}", 0, "of `task`", NULL },
    { "{kind: deployment, all: [{kind: error}]}", 0, "of `kind`", NULL },
    { "{error.code: {is: E1, not: [E2, E1]}}", 0, "of `error.code`", NULL },
    { "{tags: {all: [x, y], none: [y, z]}}", 32, "of `tags`", "all of [\"x\", \"y\"]; none of" },
    { "{tags: {all: [x], none: \"x*\"}}", 0, "of `tags`", NULL },
    { "{tags: [x, y], not: {tags: [\"?\"]}}", 0, "of `tags`", NULL },
    { "{tags: {all: x}, not: {tags: {all: x}}}", 0, "of `tags`", NULL },
    { "{tags: x, all: [{tags: {exists: false}}]}", 0, "of `tags`", NULL },
    { "{metadata.a: x, not: {metadata.a: x}}", 0, "of `metadata.a`", NULL },
    { "{metadata.a: 5, not: {metadata.a: [4, 5]}}", 0, "of `metadata.a`", NULL },
    { "{metadata.a: {exists: true}, all: [{metadata.a: {exists: false}}]}", 0, "of `metadata.a`", NULL },
    { "{test: true, not: {test: true}}", 0, "of `test`", NULL },
    { "{test: false, all: [{test: true}]}", 0, "of `test`", NULL },
    { "{duration: {gt: 5m, lt: 5m}}", 0, "of `duration`", NULL },
    { "{duration: {gte: 6m, lte: 5m}}", 0, "of `duration`", NULL },
    { "{duration: {gt: 5m, lte: 5m}}", 0, "of `duration`", NULL },
    { "{duration: {gt: 5m}, not: {duration: {gt: 1m}}}", 0, "of `duration`", NULL },
    { "{cost: {gt: 1, exists: false}}", 0, "of `cost`", NULL },
    { "{cost: [1, 2], not: {cost: {lt: 3}}}", 0, "of `cost`", NULL },
    { "{attempt: {gt: 2, lt: 3}}", 0, "of `attempt`", NULL },
    { "{attempt: {lt: 1}}", 0, "of `attempt`", NULL },
    { "{attempt: 0}", 0, "of `attempt`", NULL },
    { "{attempt: [1, 2], all: [{attempt: {gte: 3}}]}", 0, "of `attempt`", NULL },
    { "{attempt: {exists: true}, not: {attempt: {exists: true}}}", 0, "of `attempt`", NULL },
    { "{any: [{task: a}, {task: b}], task: c}", 0, "of one of these", "none of its branches" },
    { "{any: [{task: a, status: FAILED}, {status: CRASHED}], status: TIMED_OUT}", 0, "of one of these", NULL },
    { "{task: c, not: {all: [{task: c}, {not: {task: d}}]}}", 0, "of one of these", NULL },
    { "{any: [{any: [{task: a}, {task: b}]}, {all: [{task: c}, {status: FAILED}]}], task: [c, d], not: {status: failed}}", 0, "of one of these", NULL },
};

static void what_no_run_can_meet(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof nevers / sizeof *nevers; i++) {
        const struct never *n = &nevers[i];
        const struct diag *d;
        struct bed b;
        bed_when(&b, n->when, "");
        assert_non_null(b.rs);
        d = find_diag(&b, "rule `r` never hits: no run meets all that `when` wants");
        if (!d || str_find_str(d->text, str_c(n->of)) == d->text.n || d->line != 3 || (n->col && d->col != n->col) ||
            (n->hint && str_find_str(d->hint, str_c(n->hint)) == d->hint.n)) {
            bed_print(&b);
            fail_msg("%s: wanted %s at column %u", n->when, n->of, n->col);
        }
        bed_fini(&b);
    }
}

/* Near to those, and possible. */
static const char *const possible[] = {
    "{}", "{status: failed, not: {status: CRASHED}}", "{status: {glob: \"C*\"}, not: {status: CRASHED}}", "{status: NEW_STATE, not: {status: failed}}", "{status: active, not: {status: [EXECUTING, X]}, any: [{task: a}, {status: Y}]}",
    "{status: {re: x}, not: {status: failed}}", "{task: \"a*\", not: {task: ab}}", "{task: {glob: \"a*\", re: \"^b\"}}", "{task: [a, b], not: {task: a}}", "{not: {task: a}, all: [{not: {task: {exists: true}}}]}",
    "{tags: [x, y], not: {tags: x}}", "{tags: x, all: [{tags: y}]}", "{tags: {all: [x, y]}, not: {tags: {all: [y, z]}}}", "{tags: {none: x}, not: {tags: {exists: true}}}",
    "{metadata.a: 5, not: {metadata.a: \"5\"}}", "{metadata.a: 5, not: {metadata.a: \"?\"}}", "{metadata.a: x, all: [{metadata.a: y}]}", "{metadata.a: {gt: 5, lt: 3}}",
    "{metadata.a: x, not: {metadata.b: x}}", "{metadata.a: {not: x}, all: [{metadata.a: {exists: false}}]}", "{metadata.a: null-ish, all: [{metadata.a: {exists: false}}]}",
    "{duration: {gte: 5m, lte: 5m}}", "{duration: {gt: 5m, lt: 6m}}", "{not: {any: [{duration: {gt: 1m}}, {duration: {lte: 1m}}]}}", "{cost: {lt: 1e300}}", "{cost: {lt: -5}}", "{status: failed, not: {any: [{status: FAILED}, {status: CRASHED}, {status: SYSTEM_FAILURE}, {status: FAILED_TO_RUN}, {status: INTERRUPTED}, {status: TIMED_OUT}, {status: EXPIRED}]}}", "{cost: {gt: 1e300}}", "{cost: {not: 1}}", "{cost: {gt: -1e308, lt: 1e308}}",
    "{attempt: {gt: 2.5, lt: 3.5}}", "{attempt: {gt: 1, lt: 3}}", "{attempt: {gt: 1e18}}", "{attempt: {lt: 1000}}", "{attempt: {not: [1, 2, 3]}}", "{attempt: {exists: false}}",
    "{test: false, not: {test: true}}", "{any: [{task: a}, {task: c}], task: c}", "{any: [{task: a}, {status: FAILED}], all: [{any: [{task: b}, {status: CRASHED}]}]}",
    "{not: {all: [{task: a}, {status: FAILED}]}, task: a}", "{any: [{task: a}, {task: b}], not: {task: a}}",
};

static void what_some_run_can_meet(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof possible / sizeof *possible; i++) {
        struct bed b;
        bed_when(&b, possible[i], "");
        if (!b.rs || find_diag(&b, "never hits")) {
            bed_print(&b);
            fail_msg("%s", possible[i]);
        }
        bed_fini(&b);
    }
}

/* --- never where some run does meet it: random matches against random runs ------------------------------------ */
static uint64_t seed;
static unsigned roll(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}
#define PICK(list) list[roll(sizeof list / sizeof *list)]

static void random_match(struct strbuf *out, int depth)
{
    static const char *const tests[] = {
        "status: failed", "status: [CRASHED, FAILED]", "status: {not: [CRASHED, active]}", "status: {glob: \"*ED\"}", "status: success", "status: WOBBLY", "status: {not: failed}", "status: [FAILED, CRASHED, SYSTEM_FAILURE, FAILED_TO_RUN, INTERRUPTED, TIMED_OUT, EXPIRED]",
        "task: a", "task: [a, ab]", "task: \"a*\"", "task: {not: \"a*\"}", "task: {re: b, not: b}", "task: {exists: false}", "task: {not: [a, \"*b\"]}",
        "tags: x", "tags: [x, y]", "tags: {none: [x]}", "tags: {all: [x, y]}", "tags: {exists: false}", "tags: {none: \"?\"}", "tags: \"x*\"",
        "attempt: 2", "attempt: {gt: 1}", "attempt: {lt: 2}", "attempt: {not: [1, 2]}", "attempt: {gte: 3, exists: true}", "attempt: {lte: 1.5}",
        "duration: {gt: 0s}", "duration: {lte: 1m}", "duration: {exists: false}", "duration: {not: 1m}", "test: true", "test: {not: true}",
        "metadata.m: 5", "metadata.m: \"5\"", "metadata.m: {not: 5}", "metadata.m: {none: [\"5\", x]}", "metadata.m: {all: [x, 5]}", "metadata.m: {exists: false}", "metadata.m: \"?\"", "metadata.m: {gt: 4}", "metadata.m: {lt: 5}",
        "metadata.m: \"null\"", "metadata.m: {not: \"*\"}",
    };
    static const char *const kinds[] = { "any", "all", "not" };
    unsigned n = 1 + roll(3);
    strbuf_c(out, "{all: [");
    for (unsigned i = 0; i < n; i++) {
        const char *kind = PICK(kinds);
        if (i) strbuf_c(out, ", ");
        if (depth == 0 || roll(2)) {
            strbuf_printf(out, "{%s}", PICK(tests));
            continue;
        }
        strbuf_printf(out, "{%s: %s", kind, kind[0] == 'n' ? "" : "[");
        random_match(out, depth - 1);
        if (kind[0] != 'n' && roll(2)) {
            strbuf_c(out, ", ");
            random_match(out, depth - 1);
        }
        strbuf_c(out, kind[0] == 'n' ? "}" : "]}");
    }
    strbuf_c(out, "]}");
}

static void random_run(struct arena *a, struct testing_run *run)
{
    static const char *const states[] = { "FAILED", "CRASHED", "TIMED_OUT", "COMPLETED", "EXECUTING", "WOBBLY", "CANCELED", "REATTEMPTING", "QUEUED", "SYSTEM_FAILURE", "EXPIRED" };
    static const char *const tasks[] = { "", "\"task\":\"a\",", "\"task\":\"ab\",", "\"task\":\"b\",", "\"task\":\"c\"," };
    static const char *const tags[] = { "", "\"tags\":[\"x\"],", "\"tags\":[\"y\"],", "\"tags\":[\"x\",\"y\"],", "\"tags\":[\"xx\"]," };
    static const char *const attempts[] = { "", "\"attempt\":1,", "\"attempt\":2,", "\"attempt\":3," };
    static const char *const metadata[] = { "", "\"metadata\":{\"m\":5},", "\"metadata\":{\"m\":\"5\"},", "\"metadata\":{\"m\":5.0},", "\"metadata\":{\"m\":[\"x\",5.0]},", "\"metadata\":{\"m\":[\"x\",\"5\"]},", "\"metadata\":{\"m\":null},", "\"metadata\":{\"m\":\"x\"},", "\"metadata\":{\"m\":{}}," };
    static const char *const ends[] = { "", "\"startedAt\":\"2026-05-03T10:00:00Z\",\"finishedAt\":\"2026-05-03T10:01:00Z\",", "\"startedAt\":\"2026-05-03T10:00:00Z\",\"finishedAt\":\"2026-05-03T10:00:00Z\",",
                                        "\"startedAt\":\"2026-05-03T10:00:00Z\",\"finishedAt\":\"2026-05-03T10:09:00Z\"," };
    static const char *const is_test[] = { "", "\"isTest\":true,", "\"isTest\":false," };
    testing_run(a, str_printf(a, "{\"id\":\"run_1\",%s%s%s%s%s%s\"status\":\"%s\"}", PICK(tasks), PICK(tags), PICK(attempts), PICK(metadata), PICK(ends), PICK(is_test), PICK(states)).p, run);
    if (run->run.state == RUN_FAILED && roll(2)) run->run.present &= ~(uint32_t)RUN_HAS_STATE; /* "failed in some way" */
}

static void no_warning_of_what_can_be_met(void **state)
{
    enum { RUNS = 400 };
    const char *most = getenv("SEEDS");
    int64_t seeds = 40, trees, warned = 0;
    struct arena a = { 0 };
    struct testing_run *runs = ARENA_ARRAY(&a, struct testing_run, RUNS);
    (void)state;
    if (most) assert_true(str_to_i64(str_c(most), &seeds));
    trees = 50 * seeds;
    seed = 42;
    for (int k = 0; k < RUNS; k++) random_run(&a, &runs[k]);
    for (int64_t t = 0; t < trees; t++) {
        struct strbuf when;
        struct bed b;
        bool never;
        strbuf_init(&when, 1 << 16);
        random_match(&when, 2);
        bed_when(&b, when.p, "");
        assert_non_null(b.rs);
        never = find_diag(&b, "never hits") != NULL;
        warned += never;
        for (int k = 0; never && k < RUNS; k++)
            if (rule_matches(b.rs->rules[0], &runs[k].subject)) fail_msg("tree %d is met by run %d: %s", (int)t, k, when.p);
        bed_fini(&b);
        strbuf_fini(&when);
    }
    assert_true(warned > trees / 50 && warned < trees / 2);
    arena_fini(&a);
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */
#define DAY_NIGHT \
    "schedules:\n  day: {days: mon-fri, hours: 09:00-17:00, zone: Europe/Berlin}\n  night: {hours: 22:00-06:00, zone: Europe/Berlin}\n  la: {days: mon-fri, hours: 08:00-17:00, zone: America/Los_Angeles}\n"
#define USED "  u: {when: {task: u}, notify: [{to: pager, during: day}, {to: pager, during: night}, {to: pager, during: la}]}\n"
struct doubt { const char *text; uint32_t line, col; const char *says, *hint; };
static const struct doubt doubts[] = {
    { "defaults: {when: {env: prod}}\nrules:\n  r: {when: {env: stg}, notify: pager}\n", 3, 3, "no run meets all that `when` and `defaults.when` want of `env`", "is \"stg\"; is \"prod\"" },
    { "defaults: {when: {kind: run}}\nrules:\n  r: {when: {kind: deployment}, notify: pager}\n", 3, 3, "`defaults.when` want of `kind`", NULL },
    { DAY_NIGHT "mutes:\n  m: {when: {task: a, not: {task: a}}, during: day, why: x}\nrules:\n" USED, 6, 13, "this mutes nothing: no run meets all that `when` wants of `task`", NULL },
    { DAY_NIGHT "  nobody: {days: sun, zone: UTC}\nrules:\n" USED, 5, 3, "nothing uses schedule `nobody`", "during: nobody" },
    { "rules:\n  r: {when: {task: a}, outside: drop, notify: pager}\n", 2, 33, "`outside` does nothing here", "during: business" },
    { "schedules: {day: {days: mon, zone: UTC}}\ndefaults: {during: day}\nrules:\n  r: {when: {task: a}, outside: drop, during: always, notify: pager}\n", 4, 33, "`outside` does nothing here", NULL },
    { DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, outside: pager, notify: pager}\n", 7, 46, "this tells the same as `notify`", NULL },
    { DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, outside: [mail-support, pager], notify: [pager, mail-support]}\n", 7, 0, "this tells the same as `notify`", NULL },
    { DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: [pager, {to: mail-support, during: night}]}\n", 7, 3, "destination `mail-support` never hears of rule `r`: `night` is never within `day`", NULL },
    { DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: pager, escalate: {5m: {to: mail-support, during: night}}}\n", 7, 3, "`night` is never within `day`", NULL },
    { DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: {to: pager, during: day}, outside: {to: mail-support, during: day}}\n", 7, 3, "`day` is never outside `day`", NULL },
    { "rules:\n  r: {when: {task: a, not: {env: prod}}, unless: s, notify: pager}\n  s: {when: {task: b, env: prod}, notify: pager}\n", 2, 50, "have no environment in common", "not is \"prod\"; is \"prod\"" },
    { "rules:\n  r: {when: {task: a, env: stg}, unless: s, notify: pager}\n  s: {when: {task: b, env: [prod, dev]}, notify: pager}\n", 2, 42, "this never holds anything: rules `r` and `s` have no environment in common", "is \"stg\"; in [\"dev\", \"prod\"]" },
};

static void doubts_at_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof doubts / sizeof *doubts; i++) {
        const struct doubt *t = &doubts[i];
        const struct diag *d;
        struct bed b;
        bed_compile(&b, t->text);
        assert_non_null(b.rs);
        d = wanted_diag(&b, t->says);
        if (b.d.warnings != 1 || d->line != t->line || (t->col && d->col != t->col) || (t->hint && str_find_str(d->hint, str_c(t->hint)) == d->hint.n)) {
            bed_print(&b);
            fail_msg("wanted one warning at %u:%u for:\n%s", t->line, t->col, t->text);
        }
        bed_fini(&b);
    }
}

static const char *const no_doubts[] = {
    DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: [pager, {to: mail-support, during: la}]}\n", /* 17:00 in Berlin is 08:00 there, and in March an hour of it is within */
    DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: pager, outside: {to: pager, during: night}}\n",
    DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: pager, outside: [pager, mail-support]}\n",
    DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, during: day, notify: [pager, mail-support], outside: pager}\n",
    DAY_NIGHT "defaults: {outside: drop}\nrules:\n" USED "  r: {when: {task: a}, notify: pager}\n",
    DAY_NIGHT "rules:\n" USED "  r: {when: {task: a}, notify: {to: pager, during: night}}\n",
    "rules:\n  r: {when: {task: a, env: stg}, unless: s, notify: pager}\n  s: {when: {task: b, env: [prod, stg]}, notify: pager}\n",
    "defaults: {unless: s}\nrules:\n  r: {when: {task: a, env: stg}, notify: pager}\n  s: {when: {task: b, env: prod}, notify: pager}\n",
    "rules:\n  r: {when: {task: a, not: {env: prod}}, unless: s, notify: pager}\n  s: {when: {task: b, env: {not: stg}}, notify: pager}\n",
};

static void no_doubt_of_what_is_meant(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof no_doubts / sizeof *no_doubts; i++) {
        struct bed b;
        bed_compile(&b, no_doubts[i]);
        if (!b.rs || b.d.warnings) {
            bed_print(&b);
            fail_msg("%s", no_doubts[i]);
        }
        bed_fini(&b);
    }
}

/* Of mutes, a rule reads what those read that its own hits may meet. */
static void mutes_that_cannot_meet_cost_nothing(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, DAY_NIGHT "mutes:\n  m: {when: {task: \"etl-1\", metadata.a: x}, during: day, why: x}\nrules:\n" USED
                "  r: {when: {task: sync}, notify: mail-support}\n  s: {when: {task: \"etl-*\"}, notify: mail-support}\n");
    assert_non_null(b.rs);
    assert_false(b.rs->rules[1]->reads & RUN_HAS_METADATA);
    assert_true(b.rs->rules[2]->reads & RUN_HAS_METADATA);
    bed_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_run_can_meet), cmocka_unit_test(what_some_run_can_meet), cmocka_unit_test(no_warning_of_what_can_be_met), cmocka_unit_test(doubts_at_their_place),
        cmocka_unit_test(no_doubt_of_what_is_meant), cmocka_unit_test(mutes_that_cannot_meet_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
