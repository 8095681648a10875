/* test_event: one event of a test, in the rule language's own field names -> a run report. */
#ifndef REPLAY_TEST_EVENT_H
#define REPLAY_TEST_EVENT_H
#include "run/run.h"
#include "yaml/yaml.h"

struct test_event {
    int64_t at_ms; /* since the start of the test */
    struct run run;
};
/* number: position of the event, for the id of a run that is not named. Times are offsets from start_ms. false after an
 * error in d. */
bool test_event_read(struct arena *a, const struct yaml_node *n, size_t number, int64_t start_ms, struct diags *d, struct test_event *out);
extern const struct field_table test_event_table; /* its fields: they decode, and are shown to people and editors */
/* YAML as JSON: plain true, false, null and numbers keep their type, everything else is text. */
void test_yaml_to_json(const struct yaml_node *n, struct json_writer *w);
#endif
