/* tests: the `tests:` sections of rule files, run on a virtual clock (rule-language.md section 3). */
#ifndef REPLAY_TESTS_H
#define REPLAY_TESTS_H
#include "base/strbuf.h"
#include "rule/rule.h"
#include "yaml/yaml.h"

struct test_counts { size_t passed, failed; };
/* Called once per case: name, its place, NULL or what went wrong with the timeline beside it (borrowed). */
typedef void (*test_report_fn)(void *ctx, struct str name, const struct yaml_node *at, const char *failure);
/* Runs one `tests:` section. Mistakes in it are added to d, and its case counts as failed. */
void tests_run(const struct ruleset *rules, const struct yaml_node *section, struct diags *d, test_report_fn report, void *ctx,
               struct test_counts *counts);
/* What a test is made of, for schema and reference. */
const struct field_part *test_parts(size_t *n);
#endif
