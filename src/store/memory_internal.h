/* The memory store's data, for src/store/memory*.c only. */
#ifndef STORE_MEMORY_INTERNAL_H
#define STORE_MEMORY_INTERNAL_H
#include <pthread.h>

#include "base/map.h"
#include "store/store.h"

struct mem_lane {
    struct str key, captures;
};
struct mem_store {
    struct store store;             /* first */
    pthread_mutex_t lock;           /* readers are other threads */
    struct arena texts;             /* every text ever stored: freed at close only */
    VEC(struct store_event) events; /* by id, as are the next four */
    VEC(struct engine_incident_row) incidents;
    VEC(struct store_delivery) deliveries;
    VEC(struct store_rejected) rejected;
    VEC(struct store_run *) runs; /* in order of first sight */
    struct map run_by_key;
    VEC(struct store_note) notes; /* in order of making, as are attempts */
    VEC(struct store_attempt) attempts;
    VEC(struct engine_cell_row) cells;
    VEC(struct store_meta) meta;
    VEC(struct mem_lane) lanes; /* those with captures */
    enum err_code fail_code;
    size_t fail_commits;
};

/* Index of the first element whose id is not below id. v begins with the id. */
size_t mem_lower_bound(const void *v, size_t n, size_t size, uint64_t id);
void *mem_find_id(void *v, size_t n, size_t size, uint64_t id);
#define MEM_FIND(vec, want) mem_find_id((vec)->v, (vec)->n, sizeof *(vec)->v, (want))

struct str mem_run_key(struct arena *a, const struct store_run *r);
struct store_run *mem_find_run(struct mem_store *s, const struct store_run *id);
struct str mem_lane_key(struct arena *a, struct str destination, struct str lane);
void mem_put_captures(struct mem_store *s, const struct store_delivery *d, struct str captures);
void mem_copy_delivery(struct mem_store *s, struct arena *a, const struct store_delivery *d,
                       struct store_delivery *out);
bool mem_waits(const struct store_delivery *d);
/* The captures of a lane, or NULL. */
struct mem_lane *mem_lane_find(struct mem_store *s, struct str destination, struct str lane);

/* --- operations of store_ops, by file --- */
int mem_load(struct store *s, const struct store_load *l, struct err *err);
int mem_fetch_runs(struct store *s, struct arena *a, const struct store_run *ids, size_t n, struct str *out,
                   struct err *err);
int mem_fetch_cell(struct store *s, struct arena *a, struct str key, struct str *blob, struct err *err);
int mem_fetch_detail(struct store *s, struct arena *a, uint64_t incident, struct str *detail,
                     struct err *err);
int mem_meta_get(struct store *s, struct arena *a, struct str key, struct str *value, struct err *err);
int mem_due_deliveries(struct store *s, struct arena *a, struct str destination, int64_t now_ms, size_t max,
                       struct store_delivery *out, size_t *n, int64_t *next_due_ms, struct err *err);
int mem_lane_head(struct store *s, struct arena *a, struct str destination, struct str lane,
                  struct store_delivery *out, struct err *err);
int mem_purge(struct store *s, const struct store_keep *keep, int64_t now_ms, size_t max_rows,
              size_t *deleted, struct err *err);
struct store_reader *mem_reader_open(struct store *s, struct err *err);
#endif
