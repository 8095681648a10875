/* What the tests of run/ share: reading texts and fixtures, writing runs back. */
#ifndef TESTS_RUN_SUPPORT_H
#define TESTS_RUN_SUPPORT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/transition.h"

#define COUNT_OF(t) (sizeof(t) / sizeof *(t))
#define FIXTURES "tests/fixtures/trigger-dev/"

static inline struct json parse(struct arena *a, struct str text)
{
    struct json root = { 0 };
    struct err err = { 0 };
    if (json_parse(a, text, &json_default_limits, &root, NULL, &err))
        fail_msg("%s: " STR_FMT, err.msg, STR_ARG(text));
    return root;
}

static inline struct json load(struct arena *a, const char *name)
{
    struct str text = STR_NONE, path = str_printf(a, FIXTURES "%s", name);
    struct err err = { 0 };
    if (file_read(a, path.p, 1 << 20, &text, &err)) fail_msg("%s", err.msg);
    return parse(a, text);
}

static inline struct run decode(struct arena *a, struct json object)
{
    struct run r;
    struct err err = { 0 };
    if (run_decode(a, object, &r, &err)) fail_msg("%s", err.msg);
    return r;
}

/* For texts in tests: ' stands for ". */
static inline struct json parse_text(struct arena *a, const char *text)
{
    char *quoted = arena_memdup(a, text, strlen(text));
    for (char *p = quoted; *p; p++)
        if (*p == '\'') *p = '"';
    return parse(a, str_c(quoted));
}

static inline struct run decode_text(struct arena *a, const char *text)
{
    return decode(a, parse_text(a, text));
}

static inline struct str write_run(struct arena *a, const struct run *r)
{
    struct json_draft d;
    run_write(r, json_draft_begin(&d, 1 << 20));
    assert_true(strbuf_ok(&d.text));
    return json_draft_end(&d, a);
}

/* want: a ' in it stands for either quote; NULL wants absence. */
static inline void check_str(struct str got, const char *want)
{
    bool same = want ? !str_absent(got) && got.n == strlen(want) : str_absent(got);
    for (size_t i = 0; want && same && i < got.n; i++)
        same = got.p[i] == want[i] || (want[i] == '\'' && got.p[i] == '"');
    if (!same) fail_msg("got '" STR_FMT "', want '%s'", STR_ARG(got), want ? want : "(absent)");
}

/* --- transitions ------------------------------------------------------------------------------------- */

enum { START_S = 0, ARRIVAL_S = 100000 }; /* seconds after BASE: the source's start, every report's arrival */
#define BASE_MS 1777802400000 /* 2026-05-03T10:00:00Z */

static inline struct str write_known(struct arena *a, const struct run_known *k)
{
    struct json_draft d;
    run_known_write(k, json_draft_begin(&d, 1 << 20));
    assert_true(strbuf_ok(&d.text));
    return json_draft_end(&d, a);
}

static inline void store_and_load(struct arena *a, struct run_known *k)
{
    struct str text = write_known(a, k);
    struct err err = { 0 };
    if (run_known_restore(a, parse(a, text), k, &err)) fail_msg("%s: " STR_FMT, err.msg, STR_ARG(text));
    assert_string_equal(write_known(a, k).p, text.p);
}

static inline struct run report(const char *status, int64_t at_s, int64_t attempt)
{
    struct run r;
    run_init(&r);
    r.id = STR("run_1");
    r.spelling = str_c(status);
    r.state = run_state_parse(r.spelling);
    r.present = RUN_HAS_STATE | RUN_HAS_UPDATED | (attempt > 0 ? RUN_HAS_ATTEMPT : 0u);
    r.updated_ms = BASE_MS + at_s * 1000;
    r.attempt = attempt;
    return r;
}

static inline size_t judge(struct arena *a, struct run_known *k, struct run r,
                    struct transition out[TRANSITIONS_MAX])
{
    return run_transitions(a, &r, k, BASE_MS + ARRIVAL_S * 1000LL, BASE_MS, 1, out);
}
#endif
