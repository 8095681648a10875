/* Fuzzes the reading of run reports: what was decoded survives writing and restoring, and the judge of
 * transitions neither crashes nor counts anything twice. Input: a run object, or an array of them, which
 * are then taken as reports of one run. */
#include <assert.h>
#include <stdint.h>

#include "run/transition.h"

enum { ARRIVAL_MS = 1777802400, FINALS = 0, ATTEMPTS = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str write_run(struct arena *a, const struct run *r, const struct run_known *k)
{
    struct strbuf out;
    struct json_writer w;
    struct str copy;
    strbuf_init(&out, 64 << 20);
    json_writer_init(&w, &out);
    if (r) run_write(r, &w);
    else run_known_write(k, &w);
    assert(strbuf_ok(&out));
    copy = str_dup(a, strbuf_view(&out));
    strbuf_fini(&out);
    return copy;
}

static struct json parse(struct arena *a, struct str text)
{
    const struct json_limits wide = { 64 << 20, 8 << 20, 80 };
    struct json root = { 0 };
    struct err err;
    if (json_parse(a, text, &wide, &root, NULL, &err)) abort();
    return root;
}

static void check_run(struct arena *a, const struct run *r)
{
    struct str text = write_run(a, r, NULL);
    struct run back;
    struct err err;
    if (run_restore(a, parse(a, text), &back, &err)) abort();
    assert(str_eq(write_run(a, &back, NULL), text));
    assert(back.present == r->present && back.state == r->state && str_eq(back.spelling, r->spelling));
    assert(run_error_fingerprint(a, r).n == run_error_fingerprint(a, &back).n);
}

static void check_known(struct arena *a, struct run_known *k)
{
    struct str text = write_run(a, NULL, k);
    struct err err;
    if (run_known_restore(a, parse(a, text), k, &err)) abort();
    assert(str_eq(write_run(a, NULL, k), text));
    assert(k->exists && k->seen_count >= 1 && k->seen_count <= RUN_SEEN_MAX);
    for (size_t i = 1; i < k->seen_count; i++) assert(k->seen[i - 1].event_ms <= k->seen[i].event_ms);
}

/* counted: how often a final state (at 0) and each attempt was new. */
static void check_transitions(const struct transition *t, size_t n, unsigned counted[ATTEMPTS])
{
    assert(n >= 1 && n <= TRANSITIONS_MAX);
    for (size_t i = 0; i < n; i++) {
        assert(i == 0 || t[i - 1].event_ms <= t[i].event_ms);
        assert((t[i].kind == TRANSITION_FULLER) == (t[i].gained != 0));
        assert(t[i].kind != TRANSITION_DUPLICATE || n == 1);
        if (t[i].kind != TRANSITION_NEW) continue;
        if (run_state_class(t[i].state) & RUN_CLASS_FINISHED) assert(++counted[FINALS] == 1 && t[i].current);
        if (t[i].state == RUN_REATTEMPTING && t[i].attempt < ATTEMPTS) assert(++counted[t[i].attempt] == 1);
    }
}

static void judge(struct arena *a, struct run report, struct run_known *k, unsigned counted[ATTEMPTS])
{
    struct transition out[TRANSITIONS_MAX];
    for (int again = 0; again < 2; again++) {
        struct run r = report;
        size_t n = run_transitions(a, &r, k, ARRIVAL_MS, ARRIVAL_MS / 2, 7, out);
        check_transitions(out, n, counted);
        /* A full list may have forgotten the active state; finals and attempts are counted above. */
        assert(!again || out[0].kind == TRANSITION_DUPLICATE || k->seen_count == RUN_SEEN_MAX);
        check_run(a, &r);
        check_known(a, k);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned counted[ATTEMPTS + 2] = { 0 };
    struct arena a = { 0 };
    struct run_known k = { 0 };
    struct run r;
    struct json root = { 0 }, item;
    struct err err;
    if (json_parse(&a, (struct str){ (const char *)data, size }, &json_default_limits, &root, NULL, &err) ==
        0) {
        item = json_kind(root) == JSON_ARRAY ? json_first(root) : root;
        for (int i = 0; i < 100 && json_kind(item) != JSON_ABSENT; i++, item = json_next(item)) {
            if (run_decode(&a, item, &r, &err)) continue;
            check_run(&a, &r);
            judge(&a, r, &k, counted);
            if (json_kind(root) != JSON_ARRAY) break;
        }
    }
    arena_fini(&a);
    return 0;
}
