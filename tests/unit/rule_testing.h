/* rule_testing: what the tests of the rule room share: rules from text, subjects from JSON. */
#ifndef RULE_TESTING_H
#define RULE_TESTING_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rule/rule_internal.h"

static const struct rule_destination testing_destinations[] = {
    { .name = { "slack-ops", 9 }, .type = { "slack", 5 }, .edits = true, .channel_pattern = { "#ops", 4 } },
    { .name = { "slack-billing", 13 }, .type = { "slack", 5 }, .channel_pattern = { "#billing", 8 } },
    { .name = { "slack-cust", 10 }, .type = { "slack", 5 }, .channel_pattern = { "#cust-*", 7 } },
    { .name = { "mail-support", 12 }, .type = { "email", 5 } },
    { .name = { "pager", 5 }, .type = { "pagerduty", 9 }, .acks = true },
    { .name = { "anything", 8 } },
};

struct bed {
    struct arena a;
    struct diags d;
    struct ruleset *rs;
};

__attribute__((unused)) static void bed_init(struct bed *b)
{
    memset(b, 0, sizeof *b);
    diags_init(&b->d, &b->a);
}

__attribute__((unused)) static void bed_fini(struct bed *b)
{
    ruleset_fini(b->rs);
    diags_fini(&b->d);
    arena_fini(&b->a);
}

__attribute__((unused)) static void bed_compile_files(struct bed *b, const char *const *texts, size_t n)
{
    struct rule_file files[4];
    struct rule_world w = { .files = files, .file_count = n, .destinations = testing_destinations,
                            .destination_count = sizeof testing_destinations / sizeof *testing_destinations };
    static const char *const names[] = { "a.yaml", "b.yaml", "c.yaml", "d.yaml" };
    for (size_t i = 0; i < n; i++)
        files[i] = (struct rule_file){ yaml_read(&b->a, names[i], str_c(texts[i]), &b->d), i > 0 };
    b->rs = ruleset_compile(&b->a, &w, &b->d);
    diags_sort(&b->d);
}

__attribute__((unused)) static void bed_print(const struct bed *b)
{
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    diags_print(&b->d, &out, false);
    print_message("%s", out.p);
    strbuf_fini(&out);
}

__attribute__((unused)) static void bed_compile(struct bed *b, const char *text)
{
    bed_init(b);
    bed_compile_files(b, &text, 1);
}

/* One rule `r` with the given `when`, in flow style; the rest of the rule may follow on lines of its own. */
__attribute__((unused)) static void bed_when(struct bed *b, const char *when, const char *more)
{
    struct arena a = { 0 };
    bed_init(b);
    const char *text = str_printf(&b->a, "rules:\n  r:\n    when: %s\n    notify: slack-ops\n%s", when,
                                  more).p;
    bed_compile_files(b, &text, 1);
    arena_fini(&a);
}

struct testing_run {
    struct run run;
    struct transition transition;
    struct rule_subject subject;
};

enum { TESTING_ARRIVAL_MS = 1777803800 }; /* seconds; times 1000 */

__attribute__((unused)) static void testing_run(struct arena *a, const char *json, struct testing_run *out)
{
    struct err err = { 0 };
    struct json root;
    int64_t arrival = (int64_t)TESTING_ARRIVAL_MS * 1000;
    memset(out, 0, sizeof *out);
    if (json_parse(a, str_c(json), &json_default_limits, &root, NULL, &err) != 0)
        fail_msg("%s: %s", json, err.msg);
    if (run_decode(a, root, &out->run, &err) != 0) fail_msg("%s: %s", json, err.msg);
    if (out->run.env.n == 0) out->run.env = STR("default");
    if (out->run.project.n == 0) out->run.project = STR("default");
    out->transition = (struct transition){ .state = out->run.state, .attempt = out->run.attempt,
                                           .event_ms = run_event_time(&out->run, arrival), .current = true };
    rule_subject_init(&out->subject, a, &out->run, &out->transition, arrival);
}
#endif
