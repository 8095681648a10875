/* bench_store: how many events per second the store makes durable. Each event is a row of its own, a look-up
 * of its run and an upsert of that run; a run sees three events (queued, executing, failed), as live ones do.
 *     bench_store [DIR [SECONDS]]     one table: batch size x order of run ids
 *     bench_store DIR fill N          a store with N events stays in DIR, and how long opening it takes
 *     bench_store DIR deliveries N    N deliveries in lanes of two: in, due, out */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rng.h"
#include "store/store.h"

enum { BODY_BYTES = 900, KNOWN_BYTES = 420, EVENTS_PER_RUN = 3, OPEN_RUNS = 3000, EVENT_MS = 1777800000 };

struct bench {
    struct store *store;
    struct store_batch batch;
    struct arena arena;
    struct id_gen ids;
    struct rng rng;
    bool random;
    uint64_t made;
    char body[BODY_BYTES], known[KNOWN_BYTES];
    double worst_ms, checkpoint_ms;
    uint64_t checkpoints;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const struct err *err)
{
    fprintf(stderr, "bench_store: %s\n", err->msg);
    exit(1);
}

/* Runs overlap: the n-th event is the first of a run, the second of one begun OPEN_RUNS runs ago, and so on.
 */
static struct str run_name(struct bench *b, uint64_t event)
{
    uint64_t stage = event % EVENTS_PER_RUN, number = event / EVENTS_PER_RUN;
    number = number >= stage * OPEN_RUNS ? number - stage * OPEN_RUNS : number;
    if (b->random) {
        struct rng r;
        rng_seed(&r, number);
        return str_printf(&b->arena, "run_%016llx%08llx", (unsigned long long)rng_u64(&r),
                          (unsigned long long)number);
    }
    return str_printf(&b->arena, "run_cm%012llu%010x", (unsigned long long)number, 0x12345678u);
}

static void add_event(struct bench *b)
{
    struct str run = run_name(b, b->made);
    uint64_t id = id_next(&b->ids, 1777800000000 + (int64_t)(b->made / 50));
    *vec_push(&b->batch.events) = (struct store_event){ .id = id,
                                                        .source = STR("trigger"),
                                                        .project = STR("proj_yubjwjsfkxnylobaqvqz"),
                                                        .env = STR("prod"),
                                                        .run = run,
                                                        .status = STR("COMPLETED_SUCCESSFULLY"),
                                                        .state = STR("completed"),
                                                        .attempt = 1,
                                                        .event_ms = EVENT_MS,
                                                        .arrival_ms = EVENT_MS,
                                                        .body = { b->body, sizeof b->body } };
    *vec_push(&b->batch.runs) = (struct store_run){ .project = STR("proj_yubjwjsfkxnylobaqvqz"),
                                                    .env = STR("prod"),
                                                    .run = run,
                                                    .known = { b->known, sizeof b->known },
                                                    .updated_ms = EVENT_MS,
                                                    .last_event = id };
    b->made++;
}

static void commit(struct bench *b)
{
    struct err err;
    double start = now_s(), ms;
    struct str *known = ARENA_ARRAY(&b->arena, struct str, b->batch.runs.n + 1);
    if (b->store->ops->fetch_runs(b->store, &b->arena, b->batch.runs.v, b->batch.runs.n, known, &err) ||
        b->store->ops->commit(b->store, &b->batch, &err))
        die(&err);
    ms = (now_s() - start) * 1e3;
    if (ms > b->worst_ms) b->worst_ms = ms;
    if (b->store->ops->upkeep_due(b->store)) {
        start = now_s();
        if (b->store->ops->upkeep(b->store, false, &err)) die(&err);
        ms = (now_s() - start) * 1e3;
        if (ms > 1) b->checkpoints++;
        if (ms > b->checkpoint_ms) b->checkpoint_ms = ms;
    }
    store_batch_clear(&b->batch);
    arena_reset(&b->arena);
}

static void bench_open(struct bench *b, const char *dir, bool keep)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
    struct err err;
    char path[4096];
    memset(b, 0, sizeof *b);
    memset(b->body, 'x', sizeof b->body);
    memset(b->known, 'y', sizeof b->known);
    rng_seed(&b->rng, 1);
    for (size_t i = 0; i < 4 && !keep; i++) {
        snprintf(path, sizeof path, "%s/bench.db%s", dir, ends[i]);
        unlink(path);
    }
    b->store = store_open("sqlite:bench.db", dir, &err);
    if (!b->store) die(&err);
}

static void bench_close(struct bench *b)
{
    b->store->ops->close(&b->store);
    store_batch_fini(&b->batch);
    arena_fini(&b->arena);
}

static void one_rate(const char *dir, size_t batch, bool random, double seconds)
{
    struct bench b;
    double start, took, cpu;
    bench_open(&b, dir, false);
    b.random = random;
    start = now_s();
    cpu = cpu_s();
    do {
        for (size_t i = 0; i < batch; i++) add_event(&b);
        commit(&b);
        took = now_s() - start;
    } while (took < seconds);
    printf("%-8s %6zu %9.0f %13.1f %10.2f %6llu %14.1f\n", random ? "random" : "ordered", batch,
           (double)b.made / took, (cpu_s() - cpu) * 1e6 / (double)b.made, b.worst_ms,
           (unsigned long long)b.checkpoints, b.checkpoint_ms);
    fflush(stdout);
    bench_close(&b);
}

static void rates(const char *dir, double seconds)
{
    static const size_t batches[] = { 1, 10, 100, 1000 };
    printf("%-8s %6s %9s %13s %10s %6s %14s\n", "run ids", "batch", "events/s", "cpu us/event", "worst ms",
           "ckpts", "worst ckpt ms");
    for (size_t i = 0; i < 4; i++)
        for (int random = 0; random < 2; random++) one_rate(dir, batches[i], random, seconds);
}

static void fill(const char *dir, uint64_t n)
{
    struct bench b;
    struct err err;
    double start;
    struct store_counts c;
    struct store_reader *r;
    bench_open(&b, dir, false);
    while (b.made < n) {
        for (int i = 0; i < 500; i++) add_event(&b);
        commit(&b);
    }
    bench_close(&b);
    start = now_s();
    bench_open(&b, dir, true);
    printf("open with %llu events: %.1f ms\n", (unsigned long long)n, (now_s() - start) * 1e3);
    r = b.store->ops->reader_open(b.store, &err);
    start = now_s();
    if (!r || r->ops->counts(r, &c, &err)) die(&err);
    printf("counts: %.2f ms (%lld events, %lld runs, %lld MB)\n", (now_s() - start) * 1e3,
           (long long)c.events, (long long)c.runs, (long long)c.size_bytes >> 20);
    r->ops->close(&r);
    bench_close(&b);
}

/* Two deep: half of the rows are heads, half wait behind one. */
static void deliveries(const char *dir, uint64_t n)
{
    struct bench b;
    struct err err;
    struct store_delivery due[64];
    size_t got;
    int64_t next;
    double start;
    double worst = 0;
    bench_open(&b, dir, false);
    start = now_s();
    for (uint64_t i = 0; i < n; i++) {
        *vec_push(&b.batch.deliveries) =
            (struct store_delivery){ .id = id_next(&b.ids, EVENT_MS),
                                     .message = i + 1,
                                     .incident = i % 100000 + 1,
                                     .destination = STR("slack"),
                                     .lane = str_printf(&b.arena, "inc_%llu",
                                                        (unsigned long long)(i % (n / 2 + 1))),
                                     .content = { b.body, sizeof b.body },
                                     .created_ms = EVENT_MS,
                                     .due_ms = EVENT_MS,
                                     .expires_ms = EVENT_MS + 86400000 };
        if (i % 500 == 499) commit(&b);
    }
    commit(&b);
    printf("in:  %.0f deliveries/s\n", (double)n / (now_s() - start));
    start = now_s();
    for (uint64_t done = 0; done < n && done < 200000; done += got) {
        double t = now_s();
        if (b.store->ops->due_deliveries(b.store, &b.arena, STR("slack"), INT64_MAX, 64, due, &got, &next,
                                         &err))
            die(&err);
        t = (now_s() - t) * 1e3;
        if (t > worst) worst = t;
        for (size_t i = 0; i < got; i++)
            *vec_push(&b.batch.attempts) = (struct store_attempt){ .delivery = due[i].id,
                                                                   .at_ms = EVENT_MS,
                                                                   .state = DELIVERY_DELIVERED };
        commit(&b);
        if (got == 0) break;
        if (done + got >= n || done + got >= 200000)
            printf("out: %.0f deliveries/s in batches of 64\n", (double)(done + got) / (now_s() - start));
    }
    printf("due_deliveries, worst: %.2f ms\n", worst);
    bench_close(&b);
}

int main(int argc, char **argv)
{
    const char *dir = argc > 1 ? argv[1] : ".";
    if (argc > 3 && strcmp(argv[2], "fill") == 0)
        fill(dir, strtoull(argv[3], NULL, 10));
    else if (argc > 3 && strcmp(argv[2], "deliveries") == 0)
        deliveries(dir, strtoull(argv[3], NULL, 10));
    else
        rates(dir, argc > 2 ? strtod(argv[2], NULL) : 5);
    return 0;
}
