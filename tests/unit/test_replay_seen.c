/* replay: which names of the rules a log has: tasks, tags, queues, environments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "replay/seen.h"

static const struct rule_destination places[] = { { .name = { "chat", 4 }, .type = { "slack", 5 } } };

struct bed {
    struct arena a;
    struct diags d;
    struct ruleset *rules;
    struct store *store;
    struct store_reader *reader;
    struct store_batch batch;
    struct id_gen ids;
    struct seen seen;
};

static void bed_open(struct bed *b, const char *rules)
{
    struct err err;
    struct rule_file file;
    struct rule_world w = { &file, 1, places, 1, STR_NONE, false };
    *b = (struct bed){ .store = store_memory_open() };
    diags_init(&b->d, &b->a);
    store_batch_init(&b->batch);
    file = (struct rule_file){ yaml_read(&b->a, "t.yaml", str_c(rules), &b->d), false };
    b->rules = ruleset_compile(&b->a, &w, &b->d);
    assert_non_null(b->rules);
    b->reader = b->store->ops->reader_open(b->store, &err);
}

static void bed_close(struct bed *b)
{
    seen_fini(&b->seen);
    b->reader->ops->close(&b->reader);
    b->store->ops->close(&b->store);
    store_batch_fini(&b->batch);
    ruleset_fini(b->rules);
    diags_fini(&b->d);
    arena_fini(&b->a);
}

static void add(struct bed *b, const char *env, const char *body)
{
    struct err err;
    int64_t at_ms = 1777800000000 + (int64_t)b->ids.last % 7;
    *vec_push(&b->batch.events) = (struct store_event){ .id = id_next(&b->ids, at_ms), .source = STR("hook"), .project = STR("default"), .env = str_c(env),
        .run = STR("r"), .status = STR("FAILED"), .state = STR("FAILED"), .event_ms = at_ms, .arrival_ms = at_ms, .body = str_c(body) };
    assert_int_equal(b->store->ops->commit(b->store, &b->batch, &err), 0);
    store_batch_clear(&b->batch);
}

static void look(struct bed *b, int64_t deadline_ms)
{
    struct err err;
    assert_int_equal(seen_read(&b->seen, b->rules, b->reader, deadline_ms, &err), 0);
}

/* "task:a@3:10+ tag:x@3:20- ..." */
static const char *found(struct bed *b)
{
    static const char *const names[] = { [RULE_TASK] = "task", [RULE_TAGS] = "tag", [RULE_QUEUE] = "queue", [RULE_ENV] = "env" };
    static char text[1000];
    size_t at = 0;
    text[0] = '\0';
    for (size_t k = 0; k < b->seen.wanted_count; k++) {
        const struct rule_named *n = &b->seen.wanted[k].named;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:" STR_FMT "@%u:%u%s", k ? " " : "", names[n->field], STR_ARG(n->text), n->line, n->col, b->seen.wanted[k].found ? "+" : "-");
    }
    return text;
}

static void test_every_name_stands_somewhere(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, "defaults: {when: {env: prod}}\nrules:\n"
                 "  r: {when: {task: [sync, \"pay-*\"], any: [{queue: q1}, {not: {tags: vip}}], metadata.task: no}, notify: {switch: task, other: chat, else: chat}}\n"
                 "  s: {when: {task: {is: \"a*\"}, tags: {all: [t1], none: [t2]}}, notify: chat, resolve: {match: {task: done}}}\n"
                 "  t: {when: {task: {re: x}, status: failed}, notify: chat}\n");
    look(&b, INT64_MAX);
    assert_string_equal(found(&b), "task:sync@3:21- task:pay-*@3:27- queue:q1@3:51- tag:vip@3:69- env:prod@1:24- task:other@3:120- "
                                   "task:a*@4:25- tag:t1@4:45- tag:t2@4:57- task:done@4:102-");
    assert_int_equal(b.seen.events, 0);
    assert_int_equal(b.seen.missing, 10);
    bed_close(&b);
}

static void test_what_is_found(void **state)
{
    struct bed b;
    struct rule_named near = { .field = RULE_TASK, .text = STR("synk") };
    (void)state;
    bed_open(&b, "rules:\n  r: {when: {task: [sync, \"pay-*\", \"old-*\"], tags: [x, y], queue: {is: \"q*\"}, env: [prod, stg]}, notify: chat}\n");
    add(&b, "prod", "{\"id\":\"1\",\"task\":\"sync\",\"tags\":[\"a\",\"x\"],\"queue\":\"q1\",\"metadata\":{\"task\":\"old-1\",\"env\":\"stg\"}}");
    add(&b, "prod", "{\"id\":\"2\",\"task\":\"pay-7\"}");
    add(&b, "prod", "{not json");
    look(&b, INT64_MAX);
    assert_string_equal(found(&b), "task:sync@2:21+ task:pay-*@2:27+ task:old-*@2:36- tag:x@2:53+ tag:y@2:56- queue:q*@2:72- env:prod@2:85+ env:stg@2:91-");
    assert_int_equal(b.seen.missing, 4);
    assert_int_equal(b.seen.events, 3);
    assert_int_equal(b.seen.fields[SEEN_TASKS].list.n, 2);
    assert_int_equal(b.seen.fields[SEEN_TAGS].list.n, 2);
    assert_true(str_eq_c(seen_nearest(&b.seen, &near), "sync"));
    bed_close(&b);
}

/* The newest first: where all is found, the rest of a long log is not read; nor where there is no time. */
static void test_it_stops_early(void **state)
{
    struct bed b;
    (void)state;
    for (int late = 0; late < 2; late++) {
        bed_open(&b, late ? "rules:\n  r: {when: {task: gone}, notify: chat}\n" : "rules:\n  r: {when: {task: new}, notify: chat}\n");
        for (int k = 0; k < 2500; k++) add(&b, "prod", k < 2499 ? "{\"task\":\"old\"}" : "{\"task\":\"new\"}");
        look(&b, late ? 0 : INT64_MAX);
        assert_int_equal(b.seen.events, STORE_ROWS_MAX);
        assert_int_equal(b.seen.missing, late);
        assert_int_equal(b.seen.cut_short, late);
        bed_close(&b);
    }
}

/* Beyond the bound of distinct names each is still compared with the rules, and no more are held. */
static void test_many_distinct_names(void **state)
{
    struct bed b;
    (void)state;
    bed_open(&b, "rules:\n  r: {when: {tags: [rare, \"way-*\", none]}, notify: chat}\n");
    add(&b, "prod", "{\"tags\":[\"rare\",\"way-1\"]}");
    for (int k = 0; k < SEEN_DISTINCT_MAX / 100 + 1; k++) {
        struct strbuf tags;
        strbuf_init(&tags, 1 << 20);
        strbuf_c(&tags, "{\"tags\":[\"x\"");
        for (int i = 0; i < 100; i++) strbuf_printf(&tags, ",\"t%d-%d\"", k, i);
        strbuf_c(&tags, "]}");
        add(&b, "prod", tags.p);
        strbuf_fini(&tags);
    }
    look(&b, INT64_MAX);
    assert_string_equal(found(&b), "tag:rare@2:21+ tag:way-*@2:27+ tag:none@2:36-");
    assert_int_equal(b.seen.fields[SEEN_TAGS].list.n, SEEN_DISTINCT_MAX);
    assert_true(b.seen.fields[SEEN_TAGS].more);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_name_stands_somewhere),
        cmocka_unit_test(test_what_is_found),
        cmocka_unit_test(test_it_stops_early),
        cmocka_unit_test(test_many_distinct_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
