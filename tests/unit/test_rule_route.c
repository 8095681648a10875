/* `switch` in notify: what it takes, what it refuses, which VALUE wins. */
#include "rule_testing.h"

static const struct diag *find_diag(const struct bed *b, const char *text)
{
    for (size_t i = 0; i < b->d.items.n; i++)
        if (str_find_str(b->d.items.v[i].text, str_c(text)) < b->d.items.v[i].text.n) return &b->d.items.v[i];
    bed_print(b);
    fail_msg("no diagnostic says: %s", text);
    return NULL;
}

/* --- which VALUE wins -------------------------------------------------------------------------------------- */
/* The one destination that the run's n-th key is told at; "" = nobody. */
static const char *told(struct bed *b, const char *run, size_t n)
{
    struct testing_run t;
    struct rule_key keys[8];
    const struct rule *r = b->rs->rules[0];
    const struct rule_targets *to;
    testing_run(&b->a, run, &t);
    assert_true(rule_keys(r, &t.subject, keys, 8) > n);
    to = rule_routed(r, &t.subject, keys[n].key);
    assert_true(to->n <= 1);
    return to->n ? b->rs->destinations[to->v[0].destination].name.p : "";
}

static void bed_route(struct bed *b, const char *by, const char *notify)
{
    struct arena a = { 0 };
    bed_compile(b, str_printf(&a, "rules:\n  r:\n    when: {}\n    by: %s\n    notify: %s\n", by, notify).p);
    if (!b->rs) {
        bed_print(b);
        fail_msg("does not compile: %s", notify);
    }
    arena_fini(&a);
}

#define RUN(more) "{\"id\":\"r1\",\"status\":\"FAILED\",\"taskIdentifier\":\"sync\"" more "}"

static void the_first_value_that_fits(void **state)
{
    struct bed b;
    (void)state;
    bed_route(&b, "[task, metadata.customer]", "{switch: metadata.customer, acme: pager, \"a*\": slack-ops, 5: mail-support, else: slack-billing}");
    assert_string_equal(told(&b, RUN(",\"metadata\":{\"customer\":\"acme\"}"), 0), "pager");
    assert_string_equal(told(&b, RUN(",\"metadata\":{\"customer\":\"ajax\"}"), 0), "slack-ops");
    assert_string_equal(told(&b, RUN(",\"metadata\":{\"customer\":5.0}"), 0), "mail-support");
    assert_string_equal(told(&b, RUN(",\"metadata\":{\"customer\":\"(none)\"}"), 0), "slack-billing");
    assert_string_equal(told(&b, RUN(""), 0), "slack-billing");
    bed_fini(&b);
    bed_route(&b, "task", "{switch: env, prod: pager, \"st*\": slack-ops}");
    assert_string_equal(told(&b, RUN(",\"env\":{\"slug\":\"prod\"}"), 0), "pager");
    assert_string_equal(told(&b, RUN(",\"env\":{\"slug\":\"stg\"}"), 0), "slack-ops");
    assert_string_equal(told(&b, RUN(",\"env\":{\"slug\":\"dev\"}"), 0), "");
    bed_fini(&b);
    bed_route(&b, "[task, status]", "{switch: status, CRASHED: pager, failed: slack-ops, else: mail-support}"); /* as a test of the field */
    assert_string_equal(told(&b, RUN(""), 0), "slack-ops");
    assert_string_equal(told(&b, "{\"id\":\"r1\",\"status\":\"CRASHED\",\"taskIdentifier\":\"sync\"}", 0), "pager");
    assert_string_equal(told(&b, "{\"id\":\"r1\",\"status\":\"COMPLETED\",\"taskIdentifier\":\"sync\"}", 0), "mail-support");
    bed_fini(&b);
    bed_route(&b, "[task, test]", "{switch: test, true: mail-support, false: pager}");
    assert_string_equal(told(&b, RUN(",\"isTest\":true"), 0), "mail-support");
    assert_string_equal(told(&b, RUN(""), 0), "pager");
    bed_fini(&b);
}

/* One incident for each tag: its own tag decides; where that one is not named, the first VALUE that the run has. */
static void lists_have_one_incident_for_each_element(void **state)
{
    static const char tagged[] = RUN(",\"tags\":[\"invoices\",\"vip\",\"x\"]");
    struct bed b;
    (void)state;
    bed_route(&b, "tags", "{switch: tags, vip: pager, invoices: slack-billing, else: slack-ops}");
    assert_string_equal(told(&b, tagged, 0), "slack-billing");
    assert_string_equal(told(&b, tagged, 1), "pager");
    assert_string_equal(told(&b, tagged, 2), "pager");
    assert_string_equal(told(&b, RUN(",\"tags\":[\"x\"]"), 0), "slack-ops");
    bed_fini(&b);
    bed_route(&b, "metadata.teams", "{switch: metadata.teams, b: pager, a: slack-ops}");
    assert_string_equal(told(&b, RUN(",\"metadata\":{\"teams\":[\"a\",\"b\"]}"), 0), "slack-ops");
    assert_string_equal(told(&b, RUN(",\"metadata\":{\"teams\":[\"a\",\"b\"]}"), 1), "pager");
    bed_fini(&b);
}

/* The key is what is kept of an incident: slashes and backslashes of a value stand in it with escapes. */
static void values_are_read_back_from_keys(void **state)
{
    struct bed b;
    const struct rule *r;
    (void)state;
    bed_route(&b, "[task, queue, version]", "{switch: queue, \"a/b\\\\c\": pager, else: slack-ops}");
    r = b.rs->rules[0];
    assert_string_equal(told(&b, RUN(",\"queue\":\"a/b\\\\c\""), 0), "pager");
    assert_true(str_eq_c(rule_key_value(r, &b.a, STR("x\\/y/q\\\\/v"), &r->by[0]), "x/y"));
    assert_true(str_eq_c(rule_key_value(r, &b.a, STR("x\\/y/q\\\\/v"), &r->by[1]), "q\\"));
    assert_true(str_eq_c(rule_key_value(r, &b.a, STR("x\\/y/q\\\\/v"), &r->by[2]), "v"));
    assert_true(str_eq_c(rule_key_value(r, &b.a, STR("x/\\"), &r->by[1]), "\\")); /* cut short */
    assert_true(str_absent(rule_key_value(r, &b.a, STR("x"), &r->by[1])));
    assert_true(str_absent(rule_key_value(r, &b.a, STR("x"), &(struct rule_field){ .id = RULE_RUN })));
    bed_fini(&b);
}

static void what_stands_for_many_keys_goes_to_else(void **state)
{
    struct bed b;
    struct testing_run t;
    (void)state;
    bed_route(&b, "queue", "{switch: queue, q: pager, else: slack-ops}");
    testing_run(&b.a, RUN(",\"queue\":\"q\""), &t);
    assert_string_equal(b.rs->destinations[rule_routed(b.rs->rules[0], &t.subject, STR_NONE)->v[0].destination].name.p, "slack-ops");
    bed_fini(&b);
    bed_route(&b, "queue", "{switch: queue, q: pager}"); /* rather that one than nobody */
    assert_string_equal(b.rs->destinations[rule_routed(b.rs->rules[0], &t.subject, STR_NONE)->v[0].destination].name.p, "pager");
    bed_fini(&b);
}

/* --- what it reads ------------------------------------------------------------------------------------------- */
static void it_reads_its_fields(void **state)
{
    struct bed b;
    (void)state;
    bed_route(&b, "[]", "{switch: env, prod: {to: slack-cust, channel: \"#cust-{{queue}}\"}, else: {to: slack-cust, channel: \"#cust-{{version}}\"}}");
    assert_true(b.rs->rules[0]->reads & RUN_HAS_QUEUE);
    assert_true(b.rs->rules[0]->reads & RUN_HAS_VERSION);
    bed_fini(&b);
    bed_route(&b, "env", "{switch: task, a: pager, else: slack-ops}");
    assert_true(b.rs->rules[0]->reads & RUN_HAS_TASK);
    bed_fini(&b);
}

/* Whom it tells is no part of what a rule is about: a change ends no incident. */
static void it_is_no_part_of_the_shape(void **state)
{
    struct bed a, b;
    (void)state;
    bed_route(&a, "task", "{switch: env, prod: pager, else: slack-ops}");
    bed_route(&b, "task", "pager");
    assert_string_equal(a.rs->rules[0]->shape, b.rs->rules[0]->shape);
    bed_fini(&a);
    bed_fini(&b);
}

/* --- mistakes ------------------------------------------------------------------------------------------------ */
struct mistake { const char *notify; uint32_t col; const char *text, *hint; };
/* Behind `    notify: `, which is 12 columns. */
static const struct mistake errors[] = {
    { "{switch: queue, a: pager}", 22, "`queue` is not in `by`", "`by: [task, queue]`" },
    { "{switch: queu, a: pager}", 22, "unknown field `queu`", "`queue`" },
    { "{switch: [env], a: pager}", 22, "wants a field's name", NULL },
    { "{switch: env}", 13, "wants a VALUE or more", NULL },
    { "{switch: env, else: pager}", 13, "wants a VALUE or more", NULL },
    { "{switch: env, prod: pagr}", 33, "no destination is called `pagr`", "`pager`" },
    { "{switch: env, prod: pager, else: pagr}", 46, "no destination is called `pagr`", "`pager`" },
    { "{switch: env, prod: []}", 33, "the list is empty", NULL },
    { "{switch: env, prod: {to: slack-cust, channel: \"#oops\"}}", 59, "does not fit `#cust-*`", NULL },
    { "{switch: env, prod: slack-cust}", 33, "none is named here", NULL },
    { "{switch: env, prod: {switch: task, a: pager}}", 34, "stands in no list, no escalation and no other switch", "name destinations here" },
    { "[pager, {switch: env, a: pager}]", 22, "stands in no list", NULL },
};

static void each_mistake_at_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct bed b;
        const struct diag *d;
        bed_init(&b);
        const char *text = str_printf(&b.a, "rules:\n  r:\n    when: {env: prod}\n    notify: %s\n", errors[i].notify).p;
        bed_compile_files(&b, &text, 1);
        assert_null(b.rs);
        d = find_diag(&b, errors[i].text);
        if (b.d.errors != 1 || d->line != 4 || d->col != errors[i].col || (errors[i].hint && !strstr(d->hint.p, errors[i].hint))) {
            bed_print(&b);
            fail_msg("wanted one error at 4:%u for %s", errors[i].col, errors[i].notify);
        }
        bed_fini(&b);
    }
}

static void not_in_escalations(void **state)
{
    struct bed b;
    (void)state;
    bed_when(&b, "{env: prod}", "    escalate: {5m: {switch: env, prod: pager}}\n");
    assert_null(b.rs);
    assert_int_equal(b.d.errors, 1);
    assert_int_equal(find_diag(&b, "no escalation")->col, 21);
    bed_fini(&b);
}

/* A default holds for rules with another `by`, too: each of them is asked. */
static void as_a_default(void **state)
{
    struct bed b;
    const struct diag *d;
    (void)state;
    bed_compile(&b, "defaults: {notify: {switch: queue, a: pager, else: slack-ops}}\nrules:\n  r: {when: {}, by: queue}\n  s: {when: {}, notify: pager}\n  t: {when: {}}\n");
    assert_null(b.rs);
    assert_int_equal(b.d.errors, 1);
    d = find_diag(&b, "`queue` is not in `by`");
    assert_int_equal(d->line, 5);
    assert_int_equal(d->col, 3);
    bed_fini(&b);
    bed_compile(&b, "defaults: {notify: {switch: env, a: pager, else: slack-ops}}\nrules:\n  r: {when: {}}\n  s: {when: {}, notify: pager}\n");
    assert_non_null(b.rs);
    assert_non_null(b.rs->rules[0]->route);
    assert_null(b.rs->rules[1]->route); /* its own replaces it */
    assert_int_equal(b.rs->rules[1]->notify.n, 1);
    bed_fini(&b);
}

/* --- warnings -------------------------------------------------------------------------------------------------- */
static size_t warnings(const char *when, const char *notify, const char *says)
{
    struct bed b;
    size_t n;
    bed_init(&b);
    const char *text = str_printf(&b.a, "rules:\n  r:\n    when: %s\n    by: [task, tags, status, metadata.c, test]\n    notify: %s\n", when, notify).p;
    bed_compile_files(&b, &text, 1);
    if (!b.rs) bed_print(&b);
    assert_non_null(b.rs);
    n = b.d.warnings;
    if (n && says) find_diag(&b, says);
    bed_fini(&b);
    return n;
}

static void others_tell_nobody(void **state)
{
    static const char says[] = "is recorded and tells nobody";
    (void)state;
    assert_int_equal(warnings("{}", "{switch: env, prod: pager}", says), 1);
    assert_int_equal(warnings("{}", "{switch: env, prod: pager, else: slack-ops}", says), 0);
    assert_int_equal(warnings("{}", "{switch: env, prod: pager, \"*\": slack-ops}", says), 0);
    assert_int_equal(warnings("{}", "{switch: tags, prod: pager, \"*\": slack-ops}", says), 1); /* a run may have no tag */
    assert_int_equal(warnings("{}", "{switch: test, true: pager, false: slack-ops}", says), 0);
    assert_int_equal(warnings("{env: [prod, stg]}", "{switch: env, prod: pager, \"s*\": slack-ops}", says), 0); /* `when` lets no others through */
    assert_int_equal(warnings("{task: x, env: [prod, stg]}", "{switch: env, prod: pager}", says), 1);
    assert_int_equal(warnings("{status: failed}", "{switch: status, failed: pager}", says), 0);
    assert_int_equal(warnings("{not: {env: prod}}", "{switch: env, prod: pager}", says), 1);
}

static void values_that_never_win(void **state)
{
    static const char says[] = "a VALUE above takes all of";
    (void)state;
    assert_int_equal(warnings("{}", "{switch: env, \"p*\": pager, prod: slack-ops, else: slack-ops}", says), 1);
    assert_int_equal(warnings("{}", "{switch: status, failed: pager, CRASHED: slack-ops, else: slack-ops}", says), 1);
    assert_int_equal(warnings("{}", "{switch: status, CRASHED: pager, failed: slack-ops, else: slack-ops}", says), 0);
    assert_int_equal(warnings("{}", "{switch: env, prod: pager, \"p*\": slack-ops, else: slack-ops}", says), 0);
    assert_int_equal(warnings("{}", "{switch: env, \"a, b\": pager, else: slack-ops}", "one value"), 0);
    assert_int_equal(warnings("{}", "\n      switch: env\n      a, b: pager\n      else: slack-ops", "`a, b` is one value with a comma in it"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_value_that_fits),
        cmocka_unit_test(lists_have_one_incident_for_each_element),
        cmocka_unit_test(values_are_read_back_from_keys),
        cmocka_unit_test(what_stands_for_many_keys_goes_to_else),
        cmocka_unit_test(it_reads_its_fields),
        cmocka_unit_test(it_is_no_part_of_the_shape),
        cmocka_unit_test(each_mistake_at_its_place),
        cmocka_unit_test(not_in_escalations),
        cmocka_unit_test(as_a_default),
        cmocka_unit_test(others_tell_nobody),
        cmocka_unit_test(values_that_never_win),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
