/* Compiling: what every setting comes to, what is refused by name, and where each mistake is shown. */
#include "rule_testing.h"

static void expect_ok(struct bed *b)
{
    if (b->rs) return;
    bed_print(b);
    fail_msg("does not compile");
}

static const struct diag *find_diag(const struct bed *b, const char *text)
{
    for (size_t i = 0; i < b->d.items.n; i++)
        if (str_find_str(b->d.items.v[i].text, str_c(text)) < b->d.items.v[i].text.n) return &b->d.items.v[i];
    bed_print(b);
    fail_msg("no diagnostic says: %s", text);
    return NULL;
}

/* --- rule-language.md, section 2: every example rule --------------------------------------------------- */
struct example { const char *text, *refused; }; /* refused: NULL = compiles */
static const struct example examples[] = {
    { "crashed-or-timed-out:\n    when: {status: [CRASHED, TIMED_OUT]}\n    notify: slack-ops\n", NULL },
    { "billing-failed:\n    when: {tags: [billing, invoices], status: failed}\n    notify: slack-billing\n",
      NULL },
    { "retry-storm:\n    when: {status: REATTEMPTING}\n    count: 3 in 10m\n    by: run\n    notify: slack-ops\n"
      "    escalate: {15m: pager}\n", NULL },
    { "failure-rate:\n    when: {status: failed}\n    rate: over 20% of last 50 runs\n    notify: slack-ops\n"
      "    escalate: {30m: pager}\n", NULL },
    { "sync-went-quiet:\n    when: {task: sync-orders, status: success}\n    absent: 2h\n    notify: pager\n", NULL },
    { "stuck-executing:\n    when: {status: EXECUTING}\n    lasts: 30m\n    notify: slack-ops\n", NULL },
    { "queue-backlog:\n    when: {status: QUEUED}\n    lasts: 10m\n    at_least: 20\n    by: queue\n    notify: slack-ops\n",
      NULL },
    { "payments-failed:\n    when: {task: \"payments-*\", status: failed, env: prod}\n    severity: critical\n"
      "    notify: slack-ops\n    escalate: {15m: pager, 45m: [pager, mail-support]}\n", NULL },
    { "report-failed:\n    when: {task: \"report-*\", status: failed}\n    during: business\n    outside: hold\n"
      "    notify: mail-support\nschedules:\n  business: {days: mon-fri, hours: 09:00-18:00, zone: Europe/Berlin, except: [2026-12-25]}\n", NULL },
    { "customer-failures:\n    when: {status: failed, metadata.customerId: {exists: true}}\n"
      "    by: [metadata.customerId, task]\n    notify:\n      switch: metadata.customerId\n"
      "      acme: {to: slack-cust, channel: \"#cust-acme\"}\n      globex: [slack-ops, pager]\n      else: mail-support\n",
      NULL },
    { "checkout-down:\n    when: {task: checkout, status: failed}\n    streak: 3\n    resolve: 3 successes\n    linger: 10m\n"
      "    notify: [slack-ops, pager]\n", NULL },
    { "nightly-export-missing:\n    when: {task: nightly-export, status: success}\n"
      "    absent: {cron: \"0 3 * * *\", grace: 30m, zone: Europe/Berlin}\n    notify: pager\n", NULL },
    { "new-error:\n    when: {status: failed, env: prod}\n    first: 7d\n    by: [task, error.fingerprint]\n"
      "    notify: slack-ops\n", NULL },
    { "many-customers:\n    when: {status: failed}\n    count: 5 of metadata.customerId in 15m\n    resolve: clears\n"
      "    severity: critical\n    notify: pager\n", NULL },
    { "slow-success:\n    when: {task: \"api-*\", status: success, duration: {gt: 2m}}\n    rate: over 5% in 1h, min 50\n"
      "    notify: slack-ops\n", NULL },
    { "platform-down:\n    when: {status: SYSTEM_FAILURE}\n    count: 10 runs in 5m\n    by: env\n    resolve: clears\n"
      "    notify: pager\n", NULL },
    { "tail-failures:\n    when: {status: failed, not: {status: SYSTEM_FAILURE}}\n    unless: platform-down\n"
      "    notify: slack-ops\n  platform-down:\n    when: {status: SYSTEM_FAILURE}\n    notify: pager\n", NULL },
    { "bad-version:\n    when: {status: [FAILED, CRASHED], env: prod}\n    rate: over 50% of last 20 runs\n"
      "    by: [task, version]\n    message: {title: \"{{task}} {{version}} fails {{rate.percent}}%\"}\n"
      "    notify: slack-ops\n", NULL },
    { "flapping:\n    when: {status: failed}\n    flaps: 4 in 1h\n    resolve: 1h quiet\n    repeat: 30m then 2h then 1d\n"
      "    notify: slack-ops\n", NULL },
};

static void the_pages_examples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        struct bed b;
        char text[1024], wanted[160];
        snprintf(text, sizeof text, "rules:\n  %s", examples[i].text);
        bed_compile(&b, text);
        if (!examples[i].refused) {
            expect_ok(&b);
            assert_true(b.rs->rule_count >= 1);
        } else {
            snprintf(wanted, sizeof wanted, "%s is not available in this version of runbell yet",
                     examples[i].refused);
            assert_null(b.rs);
            assert_int_equal(find_diag(&b, wanted)->level, DIAG_ERROR);
        }
        bed_fini(&b);
    }
}

/* --- what a rule comes to ------------------------------------------------------------------------------ */
static void built_in_defaults(void **state)
{
    struct bed b;
    const struct rule *r;
    (void)state;
    bed_when(&b, "{status: failed}", "");
    expect_ok(&b);
    r = b.rs->rules[0];
    assert_true(str_eq_c(r->name, "r"));
    assert_string_equal(r->file, "a.yaml");
    assert_int_equal(r->line, 2);
    assert_int_equal(r->col, 3);
    assert_int_equal(r->by_count, 1);
    assert_int_equal(r->by[0].id, RULE_TASK);
    assert_true(r->by_identity && !r->by_run);
    assert_int_equal(r->condition.kind, RULE_EVERY_HIT);
    assert_int_equal(r->at_least, 1);
    assert_int_equal(r->wait_ms, 0);
    assert_int_equal(r->update_ms, 30000);
    assert_int_equal(r->linger_ms, 300000);
    assert_int_equal(r->repeat_count, 1);
    assert_int_equal(r->repeat_ms[0], 4 * 3600000);
    assert_int_equal(r->resolve_count, 2);
    assert_int_equal(r->resolve[0].kind, RULE_SUCCESS);
    assert_int_equal(r->resolve[0].successes, 1);
    assert_int_equal(r->resolve[1].kind, RULE_QUIET);
    assert_int_equal(r->resolve[1].quiet_ms, 24 * 3600000);
    assert_int_equal(r->severity, 2);
    assert_int_equal(r->limit.n, 20);
    assert_int_equal(r->limit.per_ms, 60000);
    assert_false(r->own_limit);
    assert_int_equal(r->notify.n, 1);
    assert_int_equal(strlen(r->shape), 32);
    assert_ptr_equal(ruleset_find(b.rs, STR("r")), r);
    assert_null(ruleset_find(b.rs, STR("s")));
    bed_fini(&b);
}

static void every_setting(void **state)
{
    struct bed b;
    const struct rule *r;
    struct str text;
    (void)state;
    bed_when(&b, "{status: failed}",
             "    count: {n: 3, of: runs, in: 10m}\n    by: [run, env, tags, metadata.\"a.b\".c, project]\n    at_least: 4\n"
             "    wait: 1s\n    update: 2s\n    linger: 3s\n    repeat: 30m then 2h then 1d\n"
             "    resolve: [success, 3 successes, {successes: 4}, 1h quiet, {quiet: 2h}, clears]\n    severity: critical\n"
             "    escalate: {45m: [pager, mail-support], 15m: {to: slack-cust, channel: \"#cust-{{task}}\"}}\n"
             "    limit: {n: 5, per: 2m}\n    runbook: https://wiki.example.com/x\n    labels: {team: media}\n"
             "    message: {title: \"{{task}} {{hits}}\", body: \"{{error.message}}\", fields: {Customer: \"{{metadata.customerId}}\"}}\n");
    expect_ok(&b);
    r = b.rs->rules[0];
    assert_int_equal(r->condition.kind, RULE_COUNT);
    assert_int_equal(r->condition.n, 3);
    assert_int_equal(r->condition.window_ms, 600000);
    assert_true(r->condition.of_runs);
    assert_int_equal(r->by_count, 3);
    assert_true(r->by_run && r->by_identity);
    assert_int_equal(r->by[2].path_count, 2);
    assert_true(str_eq_c(r->by[2].path[0], "a.b"));
    assert_true(str_eq_c(r->by[2].text, "metadata.\"a.b\".c"));
    assert_int_equal(r->at_least, 4);
    assert_int_equal(r->wait_ms, 1000);
    assert_int_equal(r->update_ms, 2000);
    assert_int_equal(r->linger_ms, 3000);
    assert_int_equal(r->repeat_count, 3);
    assert_int_equal(r->repeat_ms[2], 86400000);
    assert_int_equal(r->resolve_count, 6);
    assert_int_equal(r->resolve[1].successes, 3);
    assert_int_equal(r->resolve[2].successes, 4);
    assert_int_equal(r->resolve[3].quiet_ms, 3600000);
    assert_int_equal(r->resolve[4].quiet_ms, 7200000);
    assert_int_equal(r->resolve[5].kind, RULE_CLEARS);
    assert_int_equal(r->severity, 3);
    assert_int_equal(r->escalate_count, 2);
    assert_int_equal(r->escalate[0].after_ms, 15 * 60000);
    assert_int_equal(r->escalate[0].to.v[0].param_count, 1);
    assert_int_equal(r->escalate[1].to.n, 2);
    assert_true(r->own_limit);
    assert_int_equal(r->limit.n, 5);
    assert_int_equal(r->limit.per_ms, 120000);
    assert_true(str_eq_c(r->runbook, "https://wiki.example.com/x"));
    assert_int_equal(r->label_count, 1);
    assert_true(template_is_literal(r->labels[0].value, &text) && str_eq_c(text, "media"));
    assert_non_null(r->title);
    assert_non_null(r->body);
    assert_int_equal(r->field_count, 1);
    assert_int_equal(r->reads,
                     RUN_HAS_STATE | RUN_HAS_TAGS | RUN_HAS_METADATA | RUN_HAS_TASK | RUN_HAS_ERROR);
    bed_fini(&b);
}

static void short_and_long_forms_are_one_rule(void **state)
{
    static const char *const pairs[][2] = {
        { "    count: 3 in 10m\n", "    count: {n: 3, in: 10m}\n" },
        { "    count: 3 runs in 10m\n", "    count: {n: 3, in: 600s, of: runs}\n" },
        { "    flaps: 4 in 1h\n", "    flaps: {in: 60m, n: 4}\n" },
        { "    rate: over 20% of last 50 runs\n", "    rate: {over: 20, last: 50, min: 50}\n" },
        { "    rate: under 2.5% in 1h, min 50\n", "    rate: {under: 2.5%, in: 60m, min: 50}\n" },
        { "    rate: over 2.5% in 1h\n", "    rate: over 2.5%   in 60m min 10\n" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct bed a, b;
        bed_when(&a, "{status: failed, tags: [x, y]}", pairs[i][0]);
        bed_when(&b, "{tags: [y, x, y], status: failed}", pairs[i][1]);
        expect_ok(&a);
        expect_ok(&b);
        assert_memory_equal(&a.rs->rules[0]->condition, &b.rs->rules[0]->condition,
                            sizeof a.rs->rules[0]->condition);
        assert_string_equal(a.rs->rules[0]->shape, b.rs->rules[0]->shape);
        bed_fini(&a);
        bed_fini(&b);
    }
}

static void counting_a_field(void **state)
{
    static const char *const forms[] = { "    count: 5 of metadata.c.id in 15m\n", "    count: {in: 15m, of: metadata.c.id, n: 5}\n" };
    char shape[33] = "";
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bed b;
        const struct rule_condition *c;
        bed_when(&b, "{status: failed}", forms[i]);
        expect_ok(&b);
        c = &b.rs->rules[0]->condition;
        assert_true(str_eq_c(rule_condition_text(c, &b.a), "5 of metadata.c.id in 15m"));
        assert_true(c->of && c->of->id == RULE_METADATA && c->of->path_count == 2 && !c->of_runs);
        assert_true(b.rs->rules[0]->reads & RUN_HAS_METADATA); /* so a fuller report is looked at */
        if (i) assert_string_equal(shape, b.rs->rules[0]->shape);
        memcpy(shape, b.rs->rules[0]->shape, sizeof shape);
        bed_fini(&b);
    }
    struct bed b;
    bed_when(&b, "{status: failed}", "    count: 2 of version in 15m\n    by: [task, version]\n");
    expect_ok(&b);
    assert_int_equal(find_diag(&b, "`version` is part of the key")->level, DIAG_WARNING);
    bed_fini(&b);
}

/* Kinds are numbered in shapes: one that moved would end every open incident at an update. */
static void shapes_do_not_move(void **state)
{
    struct bed b;
    (void)state;
    assert_int_equal(RULE_STREAK, 2);
    assert_int_equal(RULE_FIRST, 3);
    assert_int_equal(RULE_FLAPS, 4);
    assert_int_equal(RULE_RATE, 5);
    bed_when(&b, "{task: a, status: failed}", "    count: 3 runs in 10m\n");
    expect_ok(&b);
    assert_string_equal(b.rs->rules[0]->shape, "0e4e46198740e53040544d5d9ab956c9");
    bed_fini(&b);
}

/* What each number of a rate says; other numbers are another rule. */
static void numbers_of_a_rate(void **state)
{
    static const char *const others[] = { "over 20% of last 50 runs, min 10", "over 21% of last 50 runs, min 20", "under 20% of last 50 runs, min 20",
                                          "over 20% of last 49 runs, min 20", "over 20% in 50ms, min 20" };
    struct bed a;
    (void)state;
    bed_when(&a, "{status: failed}", "    rate: over 20% of last 50 runs, min 20\n");
    expect_ok(&a);
    assert_true(str_eq_c(rule_condition_text(&a.rs->rules[0]->condition, &a.a), "over 20% of last 50 runs, min 20"));
    assert_int_equal(a.rs->rules[0]->resolve_count, 1);
    assert_int_equal(a.rs->rules[0]->resolve[0].kind, RULE_CLEARS);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct bed b;
        char text[100];
        snprintf(text, sizeof text, "    rate: %s\n", others[i]);
        bed_when(&b, "{status: failed}", text);
        expect_ok(&b);
        assert_string_not_equal(a.rs->rules[0]->shape, b.rs->rules[0]->shape);
        bed_fini(&b);
    }
    bed_fini(&a);
}

struct shape_row { const char *when, *more; bool same; };
static void shape_follows_when_by_and_condition(void **state)
{
    static const struct shape_row rows[] = {
        { "{status: failed, task: a}", "", true },
        { "{task: a, status: failed}", "", true },
        { "{task: [a], status: [failed, CRASHED]}", "", true },
        { "{task: a, status: failed}", "    wait: 5m\n    severity: info\n    resolve: manual\n", true },
        { "{all: [{task: a}], status: failed}", "", true },
        { "{task: b, status: failed}", "", false },
        { "{task: {not: a}, status: failed}", "", false },
        { "{task: \"a*\", status: failed}", "", false },
        { "{task: {re: a}, status: failed}", "", false },
        { "{task: a, status: [failed, CANCELED]}", "", false },
        { "{task: a, status: failed}", "    by: [task, version]\n", false },
        { "{task: a, status: failed}", "    count: 2 in 10m\n", false },
        { "{task: a, status: failed}", "    count: 2 of queue in 10m\n", false },
        { "{task: a, status: failed}", "    streak: 2\n", false },
        { "{task: a, status: failed}", "    first: 2d\n", false },
        { "{task: a, status: failed}", "    rate: over 2% in 10m\n", false },
        { "{task: a, status: failed}", "    flaps: 2 in 10m\n", false },
    };
    struct bed first;
    (void)state;
    bed_when(&first, rows[0].when, rows[0].more);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        bed_when(&b, rows[i].when, rows[i].more);
        expect_ok(&b);
        if ((strcmp(first.rs->rules[0]->shape, b.rs->rules[0]->shape) == 0) != rows[i].same)
            fail_msg("shape of row %zu", i);
        bed_fini(&b);
    }
    bed_fini(&first);
}

static void defaults_reach_every_rule(void **state)
{
    struct bed b;
    struct testing_run run;
    (void)state;
    bed_compile(&b,
                "defaults:\n  when: {env: prod}\n  by: [task, version]\n  wait: 7s\n  linger: 9s\n  notify: pager\n"
                    "  limit: 3 per 1h\n  resolve: manual\n  repeat: never\n  severity: info\n"
                    "rules:\n  a:\n    when: {status: failed}\n"
                    "  b:\n    when: {status: failed}\n    by: run\n    wait: 0s\n    notify: slack-ops\n    limit: 1 per 1m\n"
                    "  c:\n    when: {status: failed}\n    enabled: false\n");
    expect_ok(&b);
    assert_int_equal(b.rs->rule_count, 2);
    assert_int_equal(b.rs->rules[0]->by_count, 2);
    assert_int_equal(b.rs->rules[0]->wait_ms, 7000);
    assert_int_equal(b.rs->rules[0]->linger_ms, 9000);
    assert_int_equal(b.rs->rules[0]->repeat_count, 0);
    assert_int_equal(b.rs->rules[0]->resolve[0].kind, RULE_MANUAL);
    assert_int_equal(b.rs->rules[0]->notify.v[0].destination, 4);
    assert_int_equal(b.rs->limit.n, 3);
    assert_int_equal(b.rs->rules[0]->limit.n, 3);
    assert_false(b.rs->rules[0]->own_limit);
    assert_int_equal(b.rs->rules[1]->wait_ms, 0);
    assert_int_equal(b.rs->rules[1]->notify.v[0].destination, 0);
    assert_true(b.rs->rules[1]->own_limit);
    assert_int_equal(b.rs->rules[1]->limit.n, 1);
    assert_null(ruleset_find(b.rs, STR("c")));
    testing_run(&b.a, "{\"id\":\"run_s\",\"status\":\"FAILED\",\"env\":\"dev\"}", &run);
    assert_false(rule_matches(b.rs->rules[0], &run.subject));
    run.run.env = STR("prod");
    assert_true(rule_matches(b.rs->rules[0], &run.subject));
    bed_fini(&b);
}

static void linger_of_a_rule_by_run(void **state)
{
    struct bed b;
    (void)state;
    bed_when(&b, "{status: failed}", "    by: run\n");
    expect_ok(&b);
    assert_int_equal(b.rs->rules[0]->linger_ms, 0);
    bed_fini(&b);
}

static void several_files(void **state)
{
    static const char *const texts[] = {
        "rules:\n  one:\n    when: {status: failed}\n    notify: pager\n",
        "rules:\n  two:\n    when: {status: failed}\n    notify: pager\n  one:\n    when: {task: x}\n    notify: pager\n",
    };
    struct bed b;
    const struct diag *d;
    (void)state;
    bed_init(&b);
    bed_compile_files(&b, texts, 2);
    assert_null(b.rs);
    assert_int_equal(b.d.errors, 1);
    d = find_diag(&b, "rule `one` exists already, at a.yaml:2");
    assert_string_equal(d->file, "b.yaml");
    assert_int_equal(d->line, 5);
    bed_fini(&b);
    bed_init(&b);
    bed_compile_files(&b, (const char *const[]){ texts[0],
                                                 "rules:\n  two:\n    when: {}\n    notify: pager\n" }, 2);
    expect_ok(&b);
    assert_int_equal(b.rs->rule_count, 2);
    assert_string_equal(b.rs->rules[1]->file, "b.yaml");
    bed_fini(&b);
}

/* --- mistakes ------------------------------------------------------------------------------------------ */
struct mistake { const char *rule; uint32_t line, col; const char *text, *hint; };
/* Rule r stands at line 2; its keys are lines 3.. at column 5. */
static const struct mistake mistakes[] = {
    { "    when: {statsu: failed}\n    notify: pager\n", 3, 12, "unknown field `statsu`", "`status`" },
    { "    when: {status: faild}\n    notify: pager\n", 3, 20, "no class of states is called `faild`",
      "`failed`" },
    { "    when: {status: crashed}\n    notify: pager\n", 3, 20, "no class of states is called `crashed`",
      "`CRASHED`" },
    { "    when: {task: {gt: 3}}\n    notify: pager\n", 3, 19, "`gt` does not fit `task`, which is one text",
      NULL },
    { "    when: {task: {iss: x}}\n    notify: pager\n", 3, 19, "unknown test `iss`", "`is`" },
    { "    when: {task: {re: \"a(b\"}}\n    notify: pager\n", 3, 27, "regular expression", NULL },
    { "    when: {task: []}\n    notify: pager\n", 3, 18, "the list is empty", NULL },
    { "    when: {task: {}}\n    notify: pager\n", 3, 18, "an empty test", NULL },
    { "    when: {task: [a, {b: c}]}\n    notify: pager\n", 3, 22, "wants one value", NULL },
    { "    when: {task: ~}\n    notify: pager\n", 3, 18, "{exists: false}", NULL },
    { "    when: {duration: {gt: 5 min}}\n    notify: pager\n", 3, 27, "duration", NULL },
    { "    when: {attempt: two}\n    notify: pager\n", 3, 21, "two", NULL },
    { "    when: {test: yes}\n    notify: pager\n", 3, 18, "yes", NULL },
    { "    when: {kind: deploment}\n    notify: pager\n", 3, 18, "`kind` is run", "`deployment`" },
    { "    when: {metadata: x}\n    notify: pager\n", 3, 12, "wants a path", NULL },
    { "    when: {metadata.a..b: x}\n    notify: pager\n", 3, 12, "an empty part", NULL },
    { "    when: {attempt: \">3\"}\n    notify: pager\n", 3, 21, "a comparison is a map, got `>3`", "{gt: 3}" },
    { "    when: {duration: {not: \"<= 5m\"}}\n    notify: pager\n", 3, 28, "a comparison is a map", "{lte: 5m}" },
    { "    when:\n      status: failed, crashed\n    notify: pager\n", 4, 15, "no class of states", "[failed, crashed]" },
    { "    when: {any: []}\n    notify: pager\n", 3, 17, "`any` wants a list of matches", NULL },
    { "    when: {any: [{task: a}, b]}\n    notify: pager\n", 3, 29, "wants a map of field tests", NULL },
    { "    when: {not: {}}\n    notify: pager\n", 3, 17, "`not` of nothing", NULL },
    { "    when: failed\n    notify: pager\n", 3, 11, "wants a map of field tests", NULL },
    { "    notify: pager\n", 2, 3, "rule `r` has no `when`", NULL },
    { "    when: {}\n", 2, 3, "rule `r` has no `notify`", NULL },
    { "    when: {}\n    notify: pagr\n", 4, 13, "no destination is called `pagr`", "`pager`" },
    { "    when: {}\n    notify: [pager, slack-op]\n", 4, 21, "no destination is called `slack-op`",
      "`slack-ops`" },
    { "    when: {}\n    notify: {too: pager}\n", 4, 13, "{to: DESTINATION", NULL },
    { "    when: {}\n    notify: {to: slack-cust, channel: \"#oops\"}\n", 4, 39, "does not fit `#cust-*`",
      NULL },
    { "    when: {}\n    notify: {to: slack-cust, chanel: \"#cust-a\"}\n", 4, 30,
      "does not let a rule set `chanel`", "`channel`" },
    { "    when: {}\n    notify: [pager, slack-cust]\n", 4, 21, "has the channels `#cust-*`, and none is named here", "{to: slack-cust, channel: ...}" },
    { "    when: {}\n    notify: pager\n    escalate: {5m: {to: slack-cust}}\n", 5, 20, "none is named here", NULL },
    { "    when: {}\n    notify: pager\n    message: {title: \"{{task}} {{>foot}}\"}\n", 5, 22, "there are no partials in rules", NULL },
    { "    when: {}\n    notify: {to: pager, channel: x}\n", 4, 25, "does not let a rule set `channel`",
      NULL },
    { "    when: {}\n    notify: {to: pager, during: business}\n", 4, 33, "no schedule is called `business`", "schedules: {business: {days: mon-fri" },
    { "    when: {}\n    notifi: pager\n    notify: pager\n", 4, 5, "unknown key `notifi`", "`notify`" },
    { "    when: {}\n    notify: pager\n    count: 3 within 10m\n", 5, 12, "wants a count like", NULL },
    { "    when: {}\n    notify: pager\n    count: 0 in 10m\n", 5, 12, "a count is 1 to", NULL },
    { "    when: {}\n    notify: pager\n    count: {n: 3}\n", 0, 0, "in", NULL },
    { "    when: {status: failed}\n    notify: pager\n    flaps: 4 per 1h\n", 5, 12, "a number of changes like `4 in 1h`", NULL },
    { "    when: {status: failed}\n    notify: pager\n    flaps: 0 in 1h\n", 5, 12, "1 to 1000 changes", NULL },
    { "    when: {status: failed}\n    notify: pager\n    flaps: {n: 4}\n", 0, 0, "in", NULL },
    { "    when: {status: QUEUED}\n    notify: pager\n    flaps: 4 in 1h\n", 3, 20, "takes a state that is not final", NULL },
    { "    when: {status: failed}\n    notify: pager\n    flaps: 4 in 1h\n    by: [task, error.name]\n", 5, 5, "`by` has `error.name`", "leave it out" },
    { "    when: {status: failed}\n    notify: pager\n    rate: 20% of last 50 runs\n", 5, 11, "a rate like `over 20% of last 50 runs`", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: over 20 of last 50 runs\n", 5, 11, "a rate like", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: over 20% of last 50 runs min\n", 5, 11, "a rate like", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: over 5% in 1h, min 0\n", 5, 11, "a rate like", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: over 100% in 1h\n", 5, 11, "no share is over 100%", "0 to 100" },
    { "    when: {status: failed}\n    notify: pager\n    rate: under 0% in 1h\n", 5, 11, "no share is under 0%", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: over 5% of last 20000 runs\n", 5, 11, "of the last 1 to 10000 runs", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: over 5% of last 20 runs, min 30\n", 5, 11, "of the last 20 runs there are never 30", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: {over: 5, under: 90, in: 1h}\n", 5, 11, "one of `over` and `under`", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: {over: 5}\n", 5, 11, "one of `last` and `in`", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: {over: few, in: 1h}\n", 5, 18, "a number of percent", NULL },
    { "    when: {status: EXECUTING}\n    notify: pager\n    rate: over 5% in 1h\n", 3, 20, "takes a state that is not final", NULL },
    { "    when: {status: failed}\n    notify: pager\n    rate: under 5% in 1h\n    by: error.name\n", 5, 5, "`by` has `error.name`", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: soon\n", 5, 13, "wants a time like `2h`", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: [2h]\n", 5, 13, "wants a time like `2h`", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: 0s\n", 5, 13, "a time above 0", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {every: 0s}\n", 5, 21, "a time above 0", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {evry: 2h}\n", 5, 14, "unknown key `evry` in absent", "`every`" },
    { "    when: {status: success}\n    notify: pager\n    absent: {grace: 10m}\n", 5, 13, "one of `every` and `cron`", "{every: 2h}" },
    { "    when: {status: success}\n    notify: pager\n    absent: {every: 2h, cron: \"@daily\"}\n", 5, 13, "one of `every` and `cron`", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {every: 2h, zone: UTC}\n", 5, 25, "`zone` belongs to `cron`", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {every: 2h, grace: ten}\n", 5, 32, "wants a duration", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {cron: \"0 3 * *\"}\n", 5, 20, "a cron time has five fields", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {cron: \"0 25 * * *\"}\n", 5, 20, "`25` is no hour: 0 to 23", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {cron: \"0 3 30 2 *\"}\n", 5, 20, "this time never comes", NULL },
    { "    when: {status: success}\n    notify: pager\n    absent: {cron: \"@daily\", zone: Europe/Berln}\n", 5, 36, "Europe/Berln", "`Europe/Berlin`" },
    { "    when: {status: success}\n    notify: pager\n    absent: {cron: \"@daily\", zone: Berlin}\n", 5, 36, "Berlin", "`Europe/Berlin`" },
    { "    when: {status: success}\n    notify: pager\n    absent: 2h\n    count: 3 in 5m\n", 5, 5, "a rule has one condition: `absent` stands beside `count`", "two rules" },
    { "    when: {status: success}\n    notify: pager\n    absent: 2h\n    by: run\n", 6, 5, "`by` has `run`, which no other run will ever have", "by: task" },
    { "    when: {status: failed}\n    notify: pager\n    absent: 2h\n    by: [task, error.name]\n", 6, 5, "`by` has `error.name`, which is known of hits only", "by: task" },
    { "    when: {status: success}\n    notify: pager\n    absent: 2h\n    at_least: 3\n", 6, 15, "this never rings", "leave out `at_least`" },
    { "    when: {status: failed}\n    notify: pager\n    first: 0s\n", 5, 12, "a time above 0", NULL },
    { "    when: {status: failed}\n    notify: pager\n    first: week\n", 5, 12, "wants a duration", NULL },
    { "    when: {status: failed}\n    notify: pager\n    streak: 0\n", 5, 13, "from 1 to 1000", NULL },
    { "    when: {status: failed}\n    notify: pager\n    streak: 3\n    count: 3 in 5m\n", 5, 5, "a rule has one condition: `streak` stands beside `count`", "two rules" },
    { "    when: {status: [failed, EXECUTING]}\n    notify: pager\n    streak: 3\n", 3, 20, "takes a state that is not final", "final states" },
    { "    when: {status: {not: success}}\n    notify: pager\n    streak: 3\n", 3, 20, "takes a state that is not final", NULL },
    { "    when: {status: EXECUTING}\n    notify: pager\n    lasts: 0s\n", 5, 12, "`lasts` wants a time above 0", "as soon as" },
    { "    when: {status: EXECUTING}\n    notify: pager\n    lasts: long\n", 5, 12, "duration", NULL },
    { "    when: {status: EXECUTING}\n    notify: pager\n    lasts: [30m]\n", 5, 12, "duration", NULL },
    { "    when: {status: EXECUTING}\n    notify: pager\n    lasts: 30m\n    count: 3 in 5m\n", 5, 5, "a rule has one condition: `lasts` stands beside `count`", "two rules" },
    { "    when: {status: [EXECUTING, CRASHED]}\n    notify: pager\n    lasts: 30m\n", 3, 20, "`when` takes CRASHED: a run stays in that for ever", "runs under way" },
    { "    when: {status: {not: success}}\n    notify: pager\n    lasts: 30m\n", 3, 20, "`when` takes FAILED: a run stays in that for ever", NULL },
    { "    when: {any: [{status: QUEUED}, {task: a}]}\n    notify: pager\n    lasts: 30m\n", 5, 12, "`when` takes COMPLETED: a run stays in that for ever", NULL },
    { "    when: {queue: bulk}\n    notify: pager\n    lasts: 30m\n", 5, 5, "`when` names no status: a run that has ended would stay a hit for ever", "status: active" },
    { "    when: {task: checkout}\n    notify: pager\n    streak: 3\n", 5, 5, "`when` names no outcome", "status: failed" },
    { "    when: {}\n    notify: pager\n    count: 3 of in 10m\n", 5, 12, "5 of metadata.customerId in 15m", NULL },
    { "    when: {}\n    notify: pager\n    count: {n: 3, of: tsk, in: 10m}\n", 5, 23, "unknown field `tsk`", "`task`" },
    { "    when: {}\n    notify: pager\n    count: 3 of metdata.x in 10m\n", 5, 12,
      "unknown field `metdata.x`", NULL },
    { "    when: {}\n    notify: pager\n    by: tsk\n", 5, 9, "unknown field `tsk`", "`task`" },
    { "    when: {}\n    notify: pager\n    by: [task, task]\n", 5, 16, "named twice", NULL },
    { "    when: {}\n    notify: pager\n    at_least: 0\n", 5, 15, "", NULL },
    { "    when: {}\n    notify: pager\n    wait: soon\n", 5, 11, "soon", NULL },
    { "    when: {}\n    notify: pager\n    repeat: 30m and 2h\n", 5, 13, "30m then 2h", NULL },
    { "    when: {}\n    notify: pager\n    repeat: [30m, 1ms]\n", 5, 19, "more often than every second",
      NULL },
    { "    when: {}\n    notify: pager\n    resolve: sucess\n", 5, 14, "wants success", NULL },
    { "    when: {}\n    notify: pager\n    resolve: [manual, success]\n", 5, 14, "stands alone", NULL },
    { "    when: {}\n    notify: pager\n    resolve: {match: {tsk: a}}\n", 5, 23, "unknown field `tsk`", "`task`" },
    { "    when: {}\n    notify: pager\n    resolve: {match: recovered}\n", 5, 22, "wants a map of field tests", NULL },
    { "    when: {}\n    notify: pager\n    resolve: {match: {task: a}, quiet: 1h}\n", 5, 14, "wants one of", NULL },
    { "    when: {}\n    notify: pager\n    resolve: [manual, {match: {task: a}}]\n", 5, 14, "stands alone", NULL },
    { "    when: {}\n    notify: pager\n    resolve: {quiet: 1h, successes: 2}\n", 5, 14, "wants one of",
      NULL },
    { "    when: {}\n    notify: pager\n    severity: fatal\n", 5, 15, "fatal", NULL },
    { "    when: {}\n    notify: pager\n    escalate: {soon: pager}\n", 5, 16, "wants a duration above 0",
      NULL },
    { "    when: {}\n    notify: pager\n    escalate: {1m: pager, 60s: pager}\n", 5, 27,
      "two steps after the same time", NULL },
    { "    when: {}\n    notify: pager\n    escalate: pager\n", 5, 15, "wants steps", NULL },
    { "    when: {}\n    notify: pager\n    limit: 20\n", 5, 12, "", NULL },
    { "    when: {}\n    notify: pager\n    message: {title: \"{{tsk}} failed\"}\n", 5, 0, "tsk", NULL },
    { "    when: {}\n    notify: pager\n    message: {title: \"{{{task}}}\"}\n", 5, 0, "", NULL },
    { "    when: {}\n    notify: pager\n    message: {titel: x}\n", 5, 15, "unknown key `titel`", "`title`" },
    { "    when: {}\n    notify: pager\n    labels: x\n", 5, 13, "wants a map", NULL },
    { "    when: {}\n    notify: pager\n    runbook: wiki\n", 5, 14, "a runbook is a link", NULL },
    { "    when: {}\n    notify: pager\n    enabled: no\n", 5, 14, "no", NULL },
    { "    when: {}\n    notify: pager\n    confirm: yes\n", 5, 14, "wants true or false", "write true" },
};

static void each_mistake_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        const struct mistake *m = &mistakes[i];
        const struct diag *d;
        struct bed b;
        char text[512];
        snprintf(text, sizeof text, "rules:\n  r:\n%s", m->rule);
        bed_compile(&b, text);
        assert_null(b.rs);
        d = find_diag(&b, m->text);
        if (b.d.errors != 1 || (m->line && d->line != m->line) || (m->col && d->col != m->col) ||
            (m->hint && str_find_str(d->hint, str_c(m->hint)) == d->hint.n)) {
            bed_print(&b);
            fail_msg("wanted one error at %u:%u with hint %s for:\n%s", m->line, m->col, m->hint ? m->hint
                     : "-", m->rule);
        }
        bed_fini(&b);
    }
}

struct place { uint32_t line, col; };
static void ten_mistakes_at_once(void **state)
{
    static const char text[] =
        "defaults:\n"
        "  wiat: 5s\n"                                   /* 1 */
        "rules:\n"
        "  Bad-Name:\n"                                  /* 2 */
        "    when: {status: failed}\n"
        "    notify: pager\n"
        "  a:\n"
        "    when: {task: {gt: 1}, statsu: failed}\n"    /* 3, 4 */
        "    notify: slack-op\n"                         /* 5 */
        "    absent: {evry: 1h}\n"                       /* 6 */
        "  b:\n"
        "    when: {error.message: {re: \"*x\"}}\n"      /* 7 */
        "    count: three in 10m\n"                      /* 8 */
        "    notify: pager\n"
        "    message: {title: \"{{nope}}\"}\n"           /* 9 */
        "  c:\n"                                         /* 10: no notify */
        "    when: {status: WOBBLING}\n"                 /* a warning */
        "schedules: 7\n";                               /* 11 */
    static const struct place places[] = {
        { 2, 3 }, { 4, 3 }, { 8, 19 }, { 8, 27 }, { 9, 13 }, { 10, 14 }, { 12, 33 }, { 13, 12 }, { 15, 0 },
            { 16, 3 },
        { 17, 20 }, { 18, 12 },
    };
    struct bed b;
    (void)state;
    bed_compile(&b, text);
    assert_null(b.rs);
    if (b.d.errors != 11 || b.d.warnings != 1) bed_print(&b);
    assert_int_equal(b.d.errors, 11);
    assert_int_equal(b.d.warnings, 1);
    for (size_t i = 0; i < 12; i++) {
        const struct diag *d = &b.d.items.v[i];
        if (d->line != places[i].line || (places[i].col && d->col != places[i].col)) {
            bed_print(&b);
            fail_msg("mistake %zu: at %u:%u, wanted %u:%u", i + 1, d->line, d->col, places[i].line,
                     places[i].col);
        }
    }
    bed_fini(&b);
}

static void absences(void **state)
{
    struct bed b;
    const struct rule *r;
    int64_t slot;
    (void)state;
    bed_compile(&b, "defaults: {by: run, at_least: 3, resolve: success}\n"
                    "rules:\n  a:\n    when: {task: [x, y], env: prod, status: success}\n    by: [env, task]\n    absent: {every: 2h, grace: 10m}\n    notify: pager\n"
                    "  b:\n    when: {any: [{task: x}, {task: \"y-*\"}], status: success}\n    by: task\n    absent: {cron: \"*/15 * * * *\", grace: 20m}\n    notify: pager\n"
                    "  c:\n    when: {task: x, status: success}\n    by: [task, queue]\n    absent: 1d\n    resolve: manual\n    notify: pager\n");
    if (!b.rs) bed_print(&b);
    assert_int_equal(b.d.errors, 0);
    assert_int_equal(b.d.warnings, 1);
    find_diag(&b, "`grace` reaches beyond the next time, 15m later");
    r = b.rs->rules[0];
    assert_true(r->watch->by_name && r->watch->tasks.n == 2 && r->watch->envs.n == 1 && !r->watch->envs.all && r->watch->projects.all);
    assert_int_equal(r->at_least, 0);
    assert_true(r->resolve_count == 1 && r->resolve[0].kind == RULE_CLEARS); /* not the default of the others */
    assert_true(str_eq_c(rule_condition_text(&r->condition, &b.a), "no hit for 2h and 10m of grace"));
    assert_int_equal(rule_absent_due(&r->condition, 1000, &slot), 1000 + 130 * 60000);
    r = b.rs->rules[1];
    assert_true(!r->watch->by_name && r->watch->tasks.all);
    assert_true(str_eq_c(rule_condition_text(&r->condition, &b.a), "no hit at */15 * * * * (UTC) or within 20m"));
    assert_int_equal(rule_absent_period(&r->condition), 35 * 60000);
    r = b.rs->rules[2];
    assert_true(!r->watch->by_name && !r->watch->tasks.all);
    assert_true(r->resolve[0].kind == RULE_MANUAL);
    assert_string_not_equal(b.rs->rules[0]->shape, b.rs->rules[2]->shape);
    bed_fini(&b);
    bed_compile(&b, "defaults: {by: run}\nrules:\n  a:\n    when: {status: success}\n    absent: 2h\n    notify: pager\n");
    assert_int_equal(b.d.errors, 1);
    assert_int_equal(find_diag(&b, "`by` has `run`")->line, 5); /* it stands in the defaults: told where it does harm */
    bed_fini(&b);
}

static void defaults_refuse_conditions(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "defaults: {count: 3 in 5m, lasts: 5m, unless: 7 up, name: y}\nrules: {}\n");
    assert_int_equal(b.d.errors, 4);
    find_diag(&b, "`count` cannot be a default");
    find_diag(&b, "`lasts` cannot be a default");
    find_diag(&b, "no rule is called `7 up`");
    find_diag(&b, "unknown key `name`");
    bed_fini(&b);
}

/* A state of things is over when it no longer is, and at the latest when it has been told long enough. */
static void lasts_and_its_defaults(void **state)
{
    static const char *const fine[] = { "{status: active}", "{status: [QUEUED, DELAYED], queue: a}", "{not: {status: finished}}", "{status: {none: [finished]}}",
                                        "{status: SOME_NEW_STATE}", "{any: [{status: QUEUED, queue: a}, {status: EXECUTING}]}" };
    (void)state;
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        struct bed b;
        const struct rule *r;
        bed_when(&b, fine[i], "    lasts: 1h30m\n");
        expect_ok(&b);
        r = b.rs->rules[0];
        assert_int_equal(r->condition.kind, RULE_LASTS);
        assert_int_equal(r->condition.window_ms, 90 * 60000);
        assert_int_equal(r->resolve_count, 2);
        assert_int_equal(r->resolve[0].kind, RULE_CLEARS);
        assert_int_equal(r->resolve[1].quiet_ms, 24 * 3600000);
        bed_fini(&b);
    }
}

static void lasts_in_a_state_that_never_is(void **state)
{
    struct bed b;
    (void)state;
    bed_when(&b, "{status: REATTEMPTING}", "    lasts: 30m\n    resolve: clears\n");
    expect_ok(&b);
    assert_int_equal(b.d.warnings, 1);
    assert_non_null(strstr(find_diag(&b, "no run stays in REATTEMPTING")->hint.p, "EXECUTING"));
    bed_fini(&b);
}

static void warnings_leave_a_ruleset(void **state)
{
    struct bed b;
    (void)state;
    bed_when(&b, "{status: [WOBBLING, CRASHD, \"X*\"]}",
             "    resolve: [clears, 1h quiet]\n    escalate: {1m: [pager, pager]}\n");
    expect_ok(&b);
    assert_int_equal(b.d.warnings, 5);
    assert_int_equal(b.d.errors, 0);
    find_diag(&b, "`clears` only makes sense with a condition");
    find_diag(&b, "no known state fits `X*`");
    find_diag(&b, "is named twice");
    assert_true(str_find_str(find_diag(&b, "`CRASHD`")->hint, STR("CRASHED")) > 0);
    bed_fini(&b);
}

/* Texts that match nothing a run will ever have; whoever means them says so with quotes. */
static void texts_that_were_meant_otherwise(void **state)
{
    struct bed b;
    (void)state;
    bed_compile(&b, "rules:\n  r:\n    notify: pager\n    when:\n      tags: billing, invoices\n      metadata.tries: \">=3\"\n      status: CRASHED, FAILED\n");
    expect_ok(&b);
    assert_int_equal(b.d.warnings, 3);
    assert_non_null(strstr(find_diag(&b, "`billing, invoices` is one text")->hint.p, "[billing, invoices]"));
    assert_non_null(strstr(find_diag(&b, "`>=3` is a text")->hint.p, "{gte: 3}"));
    assert_non_null(strstr(find_diag(&b, "no known state is called")->hint.p, "[CRASHED, FAILED]"));
    bed_fini(&b);
    bed_compile(&b, "rules:\n  r:\n    notify: pager\n    when: {task: \"a, b\", tags: [\"x, y\"], metadata.x: \"> all\", queue: \"a,b\"}\n");
    expect_ok(&b);
    assert_int_equal(b.d.warnings, 0);
    bed_fini(&b);
}

static void rules_that_tell_twice(void **state)
{
    static const struct { const char *a, *b, *narrow; } cases[] = {
        { "{when: {status: failed}, notify: pager}", "{when: {status: [CRASHED, TIMED_OUT]}, notify: pager}", "b" },
        { "{when: {status: CRASHED, task: x}, notify: pager}", "{when: {status: failed}, notify: [slack-ops, pager]}", "a" },
        { "{when: {status: CRASHED, task: \"pay-*\"}, notify: pager}", "{when: {task: pay-out, tags: x, status: CRASHED}, notify: pager}", "b" },
        { "{when: {tags: [a, b]}, notify: pager}", "{when: {tags: [b, a]}, notify: pager}", "b" },
        { "{when: {tags: [a, b]}, notify: pager}", "{when: {tags: [b, c]}, notify: pager}", NULL },
        { "{when: {status: failed}, notify: pager}", "{when: {status: CRASHED}, notify: slack-ops}", NULL },
        { "{when: {status: failed}, notify: pager}", "{when: {status: CRASHED}, count: 3 in 5m, notify: pager}", NULL },
        { "{when: {status: failed, not: {status: CRASHED}}, notify: pager}", "{when: {status: CRASHED}, notify: pager}", NULL },
        { "{when: {status: failed, attempt: {gt: 2}}, notify: pager}", "{when: {status: CRASHED, attempt: {gt: 1}}, notify: pager}", NULL },
        { "{when: {status: failed, env: prod}, notify: pager}", "{when: {status: CRASHED, env: {none: [prod]}}, notify: pager}", NULL },
        { "{when: {test: true}, notify: pager}", "{when: {test: false}, notify: pager}", NULL },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct bed b;
        char text[400];
        snprintf(text, sizeof text, "rules:\n  a: %s\n  b: %s\n", cases[k].a, cases[k].b);
        bed_compile(&b, text);
        expect_ok(&b);
        assert_int_equal(b.d.warnings, cases[k].narrow ? 1 : 0);
        if (cases[k].narrow) assert_int_equal(find_diag(&b, "both notify `pager`")->line, cases[k].narrow[0] == 'a' ? 2 : 3);
        bed_fini(&b);
    }
}

static void what_one_run_can_do(void **state)
{
    struct bed b;
    (void)state;
    bed_when(&b, "{status: failed}", "    by: [run, task]\n    at_least: 2\n    count: 3 runs in 5m\n");
    assert_int_equal(b.d.warnings, 2);
    assert_int_equal(find_diag(&b, "an incident has one run")->line, 6);
    expect_ok(&b);
    bed_fini(&b);
    bed_when(&b, "{status: failed}", "    at_least: 2\n    count: 3 runs in 5m\n    resolve: 3 successes\n");
    assert_int_equal(b.d.warnings, 0);
    bed_fini(&b);
    bed_when(&b, "{status: REATTEMPTING}", "    by: run\n    count: 3 in 5m\n");
    assert_int_equal(b.d.warnings, 0);
    bed_fini(&b);
}

static void a_placeholder_takes_any_parameter(void **state)
{
    struct bed b;
    (void)state;
    bed_when(&b, "{}", "    escalate: {1m: {to: anything, channel: \"#x\", colour: red}}\n");
    expect_ok(&b);
    assert_int_equal(b.rs->rules[0]->escalate[0].to.v[0].param_count, 2);
    bed_fini(&b);
}

static void names_in_templates(void **state)
{
    static const char *const known[] = { "task", "error", "error.message", "metadata.a.b", "key", "rule",
                                         "severity", "hits",
                                         "runs", "url", "count", "first_run", "env", "." };
    struct str suggestion = STR_NONE;
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_true(rule_template_known(NULL, str_c(known[i]), &suggestion));
    assert_false(rule_template_known(NULL, STR("taks"), &suggestion));
    assert_true(str_eq_c(suggestion, "task"));
    assert_false(rule_template_known(NULL, STR("any"), &suggestion));
}

static void tables_describe_the_language(void **state)
{
    size_t n;
    const struct field_table *tables = rule_field_tables(&n);
    (void)state;
    assert_true(n >= 3);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < tables[i].n; j++) assert_true(strlen(tables[i].fields[j].help) > 5);
    assert_string_equal(tables[0].name, "rule");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pages_examples),
        cmocka_unit_test(built_in_defaults),
        cmocka_unit_test(every_setting),
        cmocka_unit_test(short_and_long_forms_are_one_rule),
        cmocka_unit_test(counting_a_field), cmocka_unit_test(numbers_of_a_rate), cmocka_unit_test(shapes_do_not_move), cmocka_unit_test(shape_follows_when_by_and_condition),
        cmocka_unit_test(defaults_reach_every_rule),
        cmocka_unit_test(linger_of_a_rule_by_run),
        cmocka_unit_test(several_files),
        cmocka_unit_test(each_mistake_at_its_place),
        cmocka_unit_test(ten_mistakes_at_once),
        cmocka_unit_test(absences),
        cmocka_unit_test(defaults_refuse_conditions),
        cmocka_unit_test(lasts_and_its_defaults),
        cmocka_unit_test(lasts_in_a_state_that_never_is),
        cmocka_unit_test(warnings_leave_a_ruleset),
        cmocka_unit_test(a_placeholder_takes_any_parameter),
        cmocka_unit_test(what_one_run_can_do),
        cmocka_unit_test(rules_that_tell_twice),
        cmocka_unit_test(texts_that_were_meant_otherwise),
        cmocka_unit_test(names_in_templates),
        cmocka_unit_test(tables_describe_the_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
