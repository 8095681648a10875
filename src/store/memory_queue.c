/* What the writer asks of the memory store: no lock, since only the writer changes anything. */
#include "store/memory_internal.h"

int mem_load(struct store *store, const struct store_load *l, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    for (size_t i = 0; i < s->incidents.n; i++) {
        struct engine_incident_row row = s->incidents.v[i];
        row.detail = STR_NONE;
        if (row.state != INCIDENT_RESOLVED && l->incident(l->ctx, &row, err)) return -1;
    }
    for (size_t i = 0; i < s->cells.n; i++)
        if (l->cell(l->ctx, &s->cells.v[i], err)) return -1;
    return 0;
}

int mem_fetch_runs(struct store *store, struct arena *a, const struct store_run *ids, size_t n,
                   struct str *out, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        struct store_run *r = mem_find_run(s, &ids[i]);
        out[i] = r ? str_dup(a, r->known) : STR_NONE;
    }
    return 0;
}

int mem_fetch_detail(struct store *store, struct arena *a, uint64_t incident, struct str *detail,
                     struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    struct engine_incident_row *i = MEM_FIND(&s->incidents, incident);
    (void)err;
    *detail = i && !str_absent(i->detail) ? str_dup(a, i->detail) : STR_NONE;
    return 0;
}

int mem_fetch_cell(struct store *store, struct arena *a, struct str key, struct str *blob, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    size_t i = 0;
    (void)err;
    while (i < s->cells.n && !str_eq(s->cells.v[i].key, key)) i++;
    *blob = i < s->cells.n ? str_dup(a, s->cells.v[i].blob) : STR_NONE;
    return 0;
}

int mem_meta_get(struct store *store, struct arena *a, struct str key, struct str *value, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    (void)err;
    *value = STR_NONE;
    for (size_t i = 0; i < s->meta.n && str_absent(*value); i++)
        if (str_eq(s->meta.v[i].key, key)) *value = str_dup(a, s->meta.v[i].value);
    return !str_absent(*value);
}

void mem_copy_delivery(struct mem_store *s, struct arena *a, const struct store_delivery *d,
                       struct store_delivery *out)
{
    struct mem_lane *l = mem_lane_find(s, d->destination, d->lane);
    *out = *d;
    out->captures = l ? str_dup(a, l->captures) : STR_NONE;
}

static int by_due(const void *x, const void *y)
{
    const struct store_delivery *a = *(struct store_delivery *const *)x,
                                *b = *(struct store_delivery *const *)y;
    if (a->due_ms != b->due_ms) return a->due_ms < b->due_ms ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

struct heads {
    VEC(struct store_delivery *) at;
};

/* Ids ascend, so the first undelivered one of a lane that we meet is its head. */
static void find_heads(struct mem_store *s, struct str destination, struct heads *h)
{
    struct arena a = { 0 };
    struct map seen = { 0 };
    for (size_t i = 0; i < s->deliveries.n; i++) {
        struct store_delivery *d = &s->deliveries.v[i];
        if (!mem_waits(d) || (!str_absent(destination) && !str_eq(destination, d->destination))) continue;
        if (!map_put(&seen, mem_lane_key(&a, d->destination, d->lane), d)) *vec_push(&h->at) = d;
    }
    map_fini(&seen);
    arena_fini(&a);
    // NOLINTNEXTLINE(bugprone-sizeof-expression): elements are pointers
    if (h->at.n) qsort(h->at.v, h->at.n, sizeof *h->at.v, by_due);
}

int mem_due_deliveries(struct store *store, struct arena *a, struct str destination, int64_t now_ms,
                       size_t max, struct store_delivery *out, size_t *n, int64_t *next_due_ms,
                       struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    struct heads h = { 0 };
    (void)err;
    find_heads(s, destination, &h);
    for (*n = 0; *n < max && *n < h.at.n && h.at.v[*n]->due_ms <= now_ms; ++*n)
        mem_copy_delivery(s, a, h.at.v[*n], &out[*n]);
    if (next_due_ms) *next_due_ms = *n < h.at.n ? h.at.v[*n]->due_ms : ENGINE_NEVER;
    vec_free(&h.at);
    return 0;
}

int mem_lane_head(struct store *store, struct arena *a, struct str destination, struct str lane,
                  struct store_delivery *out, struct err *err)
{
    struct mem_store *s = (struct mem_store *)store;
    (void)err;
    for (size_t i = 0; i < s->deliveries.n; i++) {
        struct store_delivery *d = &s->deliveries.v[i];
        if (!mem_waits(d) || !str_eq(d->destination, destination) || !str_eq(d->lane, lane)) continue;
        mem_copy_delivery(s, a, d, out);
        return 1;
    }
    return 0;
}
