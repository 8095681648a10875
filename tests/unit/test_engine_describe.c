/* engine: what is told of a condition's window: the row, the changes, the share, what was seen before. */
#include "engine_testing.h"

static struct str window(struct bench *b, const char *key, int64_t at_ms, enum engine_window wanted)
{
    struct engine_window_name name = { STR("r"), STR("default"), STR("prod"), str_c(key), STR("") };
    struct json_draft d;
    enum engine_window is = engine_describe_window(b->e, &name, start_ms + at_ms, json_draft_begin(&d, 1 << 20));
    struct str text = json_draft_end(&d, &b->a);
    if (is != wanted) fail_msg("%d instead of %d: " STR_FMT, (int)is, (int)wanted, STR_ARG(text));
    return text;
}

static void expect(struct str text, const char *wanted)
{
    if (!str_eq_c(text, wanted)) fail_msg("\n" STR_FMT "\ninstead of\n%s", STR_ARG(text), wanted);
}

static void finish(struct bench *b, const char *outcomes)
{
    for (int k = 0; outcomes[k]; k++) {
        const char *run = str_printf(&b->a, "run_%d", k).p;
        report(b, (struct report){ run, "job", outcomes[k] == 'x' ? RUN_FAILED : RUN_COMPLETED, .at_ms = k * MINUTE, .error = outcomes[k] == 'x' ? "boom" : NULL });
    }
}

#define AT(minute) "\"2026-01-05T12:0" #minute ":00.000Z\""

static void test_count(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r: {when: {status: failed}, count: 3 in 10m, notify: chat}\n");
    finish(&b, "xx");
    expect(window(&b, "job", MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"3 hits in 10m\",\"count\":2,\"of\":3,\"what\":\"hits\",\"in\":\"10m\",\"oldest\":" AT(0) ",\"newest\":" AT(1) ",\"holds\":false}");
    expect(window(&b, "other", 0, ENGINE_WINDOW), "{\"key\":\"other\",\"wants\":\"3 hits in 10m\",\"count\":0,\"of\":3,\"what\":\"hits\",\"in\":\"10m\",\"holds\":false}");
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 2 * MINUTE });
    (void)window(&b, "job", MINUTE, ENGINE_WINDOW_HOLDS);
    bench_close(&b);
    bench_open(&b, "rules:\n  r: {when: {status: failed}, count: 2 of metadata.c in 10m, notify: chat}\n");
    for (int k = 0; k < 3; k++) report(&b, (struct report){ "run", "job", RUN_FAILED, .at_ms = k * MINUTE, .metadata = k < 2 ? "{\"c\":1}" : "{\"c\":2}", .attempt = k });
    expect(window(&b, "job", MINUTE, ENGINE_WINDOW_HOLDS), "{\"key\":\"job\",\"wants\":\"2 of metadata.c in 10m\",\"count\":2,\"of\":2,\"what\":\"values of metadata.c\",\"in\":\"10m\",\"oldest\":" AT(0) ",\"newest\":" AT(2) ",\"holds\":true}");
    bench_close(&b);
    bench_open(&b, SIMPLE(""));
    (void)window(&b, "job", 0, ENGINE_NO_WINDOW);
    bench_close(&b);
}

static void test_streak(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r: {when: {status: failed}, streak: 3, notify: chat}\n");
    finish(&b, "xoxx");
    expect(window(&b, "job", 3 * MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"3 in a row\",\"count\":2,\"of\":3,\"what\":\"in a row\",\"row\":[{\"at\":" AT(1) ",\"hit\":false},{\"at\":" AT(2) ",\"hit\":true},{\"at\":" AT(3) ",\"hit\":true}],\"holds\":false}");
    bench_close(&b);
    bench_open(&b, "rules:\n  r: {when: {status: failed}, streak: 3, notify: chat, by: [task, error.message]}\n");
    finish(&b, "oxxx");
    (void)window(&b, "job/boom", 3 * MINUTE, ENGINE_WINDOW_HOLDS);
    expect(window(&b, "job/bang", 3 * MINUTE, ENGINE_WINDOW), "{\"key\":\"job/bang\",\"wants\":\"3 in a row\",\"count\":0,\"of\":3,\"what\":\"in a row\",\"row\":[{\"at\":" AT(1) ",\"hit\":false},{\"at\":" AT(2) ",\"hit\":false},{\"at\":" AT(3) ",\"hit\":false}],\"holds\":false}");
    bench_close(&b);
    bench_open(&b, "rules:\n  r: {when: {status: failed}, streak: 100, notify: chat}\n"); /* shown is the end of it */
    finish(&b, "xxxxxxxxxxxxxxxxxxxxxxxxx");
    {
        struct str text = window(&b, "job", 24 * MINUTE, ENGINE_WINDOW);
        size_t shown = 0;
        for (size_t at = 0; (at += str_find_str(str_sub(text, at, text.n), STR("\"hit\":true"))) < text.n; at++) shown++;
        assert_int_equal(shown, 20);
        assert_non_null(strstr(text.p, "\"count\":25,\"of\":100"));
    }
    bench_close(&b);
}

static void test_flaps(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r: {when: {status: failed}, flaps: 2 in 2m, notify: chat}\n");
    finish(&b, "xxoo");
    expect(window(&b, "job", 3 * MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"2 changes of outcome in 2m\",\"count\":1,\"of\":2,\"what\":\"changes\",\"in\":\"2m\",\"row\":[{\"at\":" AT(1) ",\"hit\":true},{\"at\":" AT(2) ",\"hit\":false},{\"at\":" AT(3) ",\"hit\":false}],\"holds\":false}");
    bench_close(&b);
    bench_open(&b, "rules:\n  r: {when: {status: failed}, flaps: 2 in 1h, notify: chat}\n");
    finish(&b, "xox");
    (void)window(&b, "job", 2 * MINUTE, ENGINE_WINDOW_HOLDS);
    bench_close(&b);
}

static void test_rate(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r: {when: {status: failed}, rate: over 50% of last 3 runs, notify: chat}\n");
    finish(&b, "xo");
    expect(window(&b, "job", MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"over 50% of last 3 runs\",\"hits\":1,\"runs\":2,\"percent\":50,\"oldest\":" AT(0) ",\"newest\":" AT(1) ",\"holds\":false}");
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 2 * MINUTE });
    (void)window(&b, "job", 2 * MINUTE, ENGINE_WINDOW_HOLDS);
    expect(window(&b, "other", 0, ENGINE_WINDOW), "{\"key\":\"other\",\"wants\":\"over 50% of last 3 runs\",\"hits\":0,\"runs\":0,\"percent\":0,\"holds\":false}");
    bench_close(&b);
}

/* Asked before the hit: what would it find? */
static void test_first(void **state)
{
    struct bench b;
    (void)state;
    bench_open(&b, "rules:\n  r: {when: {status: failed}, first: 5m, notify: chat}\n");
    expect(window(&b, "job", 0, ENGINE_WINDOW_HOLDS), "{\"key\":\"job\",\"wants\":\"the first hit in 5m\",\"what\":\"first\",\"in\":\"5m\",\"holds\":true}");
    report(&b, (struct report){ "run_0", "job", RUN_FAILED, .at_ms = 0 });
    report(&b, (struct report){ "run_1", "job", RUN_FAILED, .at_ms = 2 * MINUTE }); /* one stretch with the first */
    report(&b, (struct report){ "run_2", "job", RUN_FAILED, .at_ms = 8 * MINUTE });
    expect(window(&b, "job", 3 * MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"the first hit in 5m\",\"what\":\"first\",\"in\":\"5m\",\"last_seen\":" AT(2) ",\"next_seen\":" AT(8) ",\"holds\":false}");
    expect(window(&b, "job", 1 * MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"the first hit in 5m\",\"what\":\"first\",\"in\":\"5m\",\"last_seen\":" AT(0) ",\"next_seen\":" AT(2) ",\"holds\":false}");
    expect(window(&b, "job", 9 * MINUTE, ENGINE_WINDOW), "{\"key\":\"job\",\"wants\":\"the first hit in 5m\",\"what\":\"first\",\"in\":\"5m\",\"last_seen\":" AT(8) ",\"holds\":false}");
    (void)window(&b, "job", 13 * MINUTE, ENGINE_WINDOW_HOLDS);
    assert_int_equal(count_said(&b, "chat", MESSAGE_OPEN), 1); /* the incident of the first is open still */
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_streak),
        cmocka_unit_test(test_flaps),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
