/* Any text as a rule file: read, compile, and match, explain and key a fixed run under what came out. */
#include <stddef.h>
#include <stdint.h>

#include "rule/rule_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char run_json[] =
    "{\"id\":\"run_f\",\"status\":\"CRASHED\",\"task\":\"render\",\"env\":\"prod\",\"tags\":[\"a\",\"b\"],\"attempt\":2,"
    "\"error\":{\"name\":\"E\",\"message\":\"boom\"},\"metadata\":{\"a\":{\"b\":[1,\"x\",null]},\"c\":5}}";

static void try_rule(const struct rule *r, struct rule_subject *s, struct strbuf *out)
{
    struct rule_key keys[8];
    struct json_writer w;
    if (rule_matches(r, s) && !matches_can_meet(&r->when, 1, NULL)) abort(); /* a hit of a rule that never hits */
    (void)rule_in_population(r, s);
    (void)rule_keys(r, s, keys, 8);
    strbuf_clear(out);
    json_writer_init(&w, out);
    rule_explain(r, s, &w);
    strbuf_clear(out);
    json_writer_init(&w, out);
    rule_view(r, s, &w);
}

static void try_ruleset(const struct ruleset *rs, struct arena *a)
{
    struct json root;
    struct err err;
    struct run run;
    struct rule_subject s;
    struct rule_scratch scratch = { 0 };
    struct strbuf out;
    const uint32_t *v;
    size_t n, at = 0;
    if (json_parse(a, str_c(run_json), &json_default_limits, &root, NULL, &err) != 0) abort();
    if (run_decode(a, root, &run, &err) != 0) abort();
    rule_subject_init(&s, a, &run, NULL, 1777803800000);
    strbuf_init(&out, 1 << 20);
    n = ruleset_candidates(rs, &s, &scratch, &v);
    for (size_t i = 0; i < rs->rule_count; i++) {
        while (at < n && v[at] < i) at++;
        if (rule_matches(rs->rules[i], &s) && (at == n ||
                                               v[at] != i)) abort(); /* a hit that is no candidate */
        try_rule(rs->rules[i], &s, &out);
    }
    strbuf_fini(&out);
    rule_scratch_fini(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct rule_destination destinations[] = {
        { .name = { "ops", 3 }, .type = { "slack", 5 }, .channel_pattern = { "#ops-*", 6 } },
        { .name = { "pager", 5 }, .type = { "pagerduty", 9 } },
    };
    struct arena a = { 0 };
    struct diags d;
    struct str text = { (const char *)data, size };
    struct rule_file file = { 0 };
    struct rule_world world = { .files = &file, .file_count = 1, .destinations = destinations,
                                .destination_count = 2 };
    struct ruleset *rs;
    diags_init(&d, &a);
    diags_add_source(&d, "fuzz.yaml", text);
    file.top = yaml_read(&a, "fuzz.yaml", text, &d);
    rs = ruleset_compile(&a, &world, &d);
    if (rs) try_ruleset(rs, &a);
    ruleset_fini(rs);
    diags_fini(&d);
    arena_fini(&a);
    return 0;
}
