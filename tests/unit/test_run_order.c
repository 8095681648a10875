/* Property: neither order nor repetition of a run's reports changes what is found to have happened. */
#include "base/rng.h"
#include "run_support.h"

enum { HISTORY_MAX = 64, MARKS_MAX = 256 };
struct history {
    struct run reports[HISTORY_MAX];
    size_t n;
    bool active_too; /* each active state occurs once, so that they can be compared as well */
};

static void add_report(struct history *h, const char *status, int64_t attempts, bool created)
{
    struct run r = report(status, (int64_t)h->n * 10, 0);
    if (r.state == RUN_REATTEMPTING) r.attempt = attempts;
    else r.attempt_count = attempts;
    if (attempts >= 0) r.present |= RUN_HAS_ATTEMPT;
    r.started_ms = BASE_MS;
    r.present |= RUN_HAS_STARTED | (created ? RUN_HAS_CREATED : 0u);
    if (created) r.created_ms = BASE_MS;
    assert_true(h->n < HISTORY_MAX);
    h->reports[h->n++] = r;
}

static const char *pick(struct rng *rng, const char *const *from, size_t n)
{
    return from[rng_below(rng, n)];
}

/* A run as the API tells it, a run as hooks tell it, and one without retries. */
static void make_history(struct rng *rng, struct history *h)
{
    static const char *const ends[] = { "COMPLETED", "FAILED",    "CRASHED",
                                        "TIMED_OUT", "CANCELLED", "SYSTEM_FAILURE" };
    int64_t retries = (int64_t)rng_below(rng, 8);
    bool hooks = rng_below(rng, 2), created = rng_below(rng, 2);
    h->n = 0;
    h->active_too = retries == 0;
    add_report(h, "QUEUED", hooks ? -1 : 0, created);
    h->reports[0].started_ms = RUN_TIME_NONE;
    h->reports[0].present &= ~(uint32_t)RUN_HAS_STARTED;
    if (rng_below(rng, 2)) add_report(h, "DEQUEUED", hooks ? -1 : 0, created);
    add_report(h, "EXECUTING", hooks ? -1 : 1, created);
    for (int64_t attempt = 2; attempt < retries + 2; attempt++) {
        if (hooks) add_report(h, "REATTEMPTING", attempt, created);
        else if (rng_below(rng, 2)) add_report(h, "QUEUED", attempt - 1, created);
        add_report(h, "EXECUTING", hooks ? -1 : attempt, created);
    }
    add_report(h, pick(rng, ends, COUNT_OF(ends)), hooks ? -1 : retries + 1, created);
}

static int compare_marks(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The identities of what was new, sorted: a final state, the attempts, and active states if asked for. */
static size_t marks_of(struct arena *a, const struct history *h, const size_t *order, size_t n,
                       int64_t marks[MARKS_MAX])
{
    struct run_known k = { 0 };
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        struct transition out[TRANSITIONS_MAX];
        size_t found = judge(a, &k, h->reports[order[i]], out);
        for (size_t t = 0; t < found; t++) {
            bool final = (run_state_class(out[t].state) & RUN_CLASS_FINISHED) != 0,
                 retry = out[t].state == RUN_REATTEMPTING;
            if (out[t].kind != TRANSITION_NEW || (!final && !retry && !h->active_too)) continue;
            assert_true(count < MARKS_MAX);
            marks[count++] = final ? 0 : retry ? 1000 + out[t].attempt : (int64_t)out[t].state;
        }
        if (i % 4 == 0) store_and_load(a, &k);
    }
    qsort(marks, count, sizeof *marks, compare_marks);
    return count;
}

static size_t shuffle(struct rng *rng, size_t n, size_t order[2 * HISTORY_MAX])
{
    size_t total = n + rng_below(rng, n + 1); /* some are told twice */
    for (size_t i = 0; i < total; i++) order[i] = i < n ? i : rng_below(rng, n);
    for (size_t i = total; i > 1; i--) {
        size_t k = rng_below(rng, i), swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
    return total;
}

static void order_and_repetition_change_nothing(void **state)
{
    const char *given = getenv("RUNBELL_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 0;
    struct arena a = { 0 };
    struct rng rng;
    (void)state;
    rng_seed_system(&rng);
    if (!given) seed = rng_u64(&rng);
    rng_seed(&rng, seed);
    print_message("RUNBELL_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int round = 0; round < 3000; round++) {
        struct history h;
        size_t order[2 * HISTORY_MAX], n, count, again;
        int64_t want[MARKS_MAX], got[MARKS_MAX];
        make_history(&rng, &h);
        for (size_t i = 0; i < h.n; i++) order[i] = i;
        count = marks_of(&a, &h, order, h.n, want);
        n = shuffle(&rng, h.n, order);
        again = marks_of(&a, &h, order, n, got);
        if (again != count || memcmp(want, got, count * sizeof *got) != 0)
            fail_msg("round %d differs", round);
        arena_reset(&a);
    }
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_repetition_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
