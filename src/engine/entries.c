/* entries: what a window holds, in order. A busy window is stored in chunks, so that a batch rewrites what it changed and not
 * the whole: its newest entries stand in the window's own cell, older ones in cells of their own, up to CHUNK_MOST in each.
 * In memory they are one array all the same; a chunk is a stretch of it. */
#include <string.h>

#include "engine/engine_internal.h"

enum {
    CHUNK = 32,             /* so many are sealed at a time, once */
    CHUNK_MOST = 2 * CHUNK, /* a window's own cell and a chunk with late events may hold */
    GAP = 1 << 20           /* between the numbers of two chunks: room for those that are split */
};

/* --- room in memory ------------------------------------------------------------------------------------------------ */
static size_t dead(const struct window *w)
{
    return w->chunks ? w->chunks->dead : 0;
}

static struct window_entry *base(const struct window *w)
{
    return w->entries.v - dead(w);
}

/* Most windows hold one entry or two, and there may be a million: those stand in the window itself. */
static void resize(struct window *w, size_t cap)
{
    struct window_entry *old = base(w), *v;
    if (old != w->few) {
        v = xrealloc(old, cap * sizeof *v);
    } else {
        v = xmalloc(cap * sizeof *v);
        memcpy(v, old, (dead(w) + w->entries.n) * sizeof *v);
    }
    w->entries.v = v + dead(w);
    w->entries.cap = (uint32_t)cap;
}

/* Makes a hole of n in front of entry `at`. */
static void open_gap(struct window *w, size_t at, size_t n)
{
    size_t need = dead(w) + w->entries.n + n, cap = w->entries.cap;
    while (cap < need) cap *= 2;
    if (cap > w->entries.cap) resize(w, cap);
    memmove(w->entries.v + at + n, w->entries.v + at, (w->entries.n - at) * sizeof *w->entries.v);
    w->entries.n += (uint32_t)n;
}

/* Takes n away from the front of the array, dead ones first. */
static void cut_front(struct window *w, size_t n)
{
    struct window_entry *b = base(w);
    size_t all = dead(w) + w->entries.n, left = dead(w) > n ? dead(w) - n : 0;
    memmove(b, b + n, (all - n) * sizeof *b);
    if (w->chunks) w->chunks->dead = (uint32_t)left;
    w->entries.v = b + left;
    w->entries.n = (uint32_t)(all - n - left);
    if (w->entries.cap > CHUNK_MOST && all - n < w->entries.cap / 4) resize(w, w->entries.cap / 2);
}

void entries_init(struct window *w)
{
    w->entries.v = w->few;
    w->entries.cap = sizeof w->few / sizeof *w->few;
}

void entries_free(struct window *w)
{
    if (base(w) != w->few) free(base(w));
    if (w->chunks) vec_free(&w->chunks->list);
    free(w->chunks);
}

/* --- chunks ---------------------------------------------------------------------------------------------------------- */
static struct window_chunks *chunks_of(struct window *w)
{
    if (!w->chunks) w->chunks = xcalloc(1, sizeof *w->chunks);
    return w->chunks;
}

static void chunk_gone(struct engine *e, const struct window *w, const struct window_chunk *chunk)
{
    struct arena a = { 0 };
    cell_gone(e, window_chunk_key(&a, w, chunk->number));
    arena_fini(&a);
}

static void put_chunk(struct window_chunks *c, size_t at, struct window_chunk chunk)
{
    (void)vec_push(&c->list);
    memmove(c->list.v + at + 1, c->list.v + at, (c->list.n - 1 - at) * sizeof *c->list.v);
    c->list.v[at] = chunk;
}

static void all_anew(struct engine *e, struct window *w)
{
    for (size_t k = 0; k < w->chunks->list.n; k++) chunk_gone(e, w, &w->chunks->list.v[k]);
    vec_clear(&w->chunks->list);
    if (w->chunks->dead > 0) cut_front(w, w->chunks->dead);
    w->chunks->sealed = 0;
}

void entries_seal(struct engine *e, struct window *w)
{
    while (dead(w) + w->entries.n - (w->chunks ? w->chunks->sealed : 0) > CHUNK_MOST) {
        struct window_chunks *c = chunks_of(w);
        int64_t last = c->list.n ? c->list.v[c->list.n - 1].number : 0;
        if (last > INT64_MAX - 2 * (int64_t)GAP) {
            all_anew(e, w);
            continue;
        }
        *vec_push(&c->list) = (struct window_chunk){ last + GAP, CHUNK, true };
        c->sealed += CHUNK;
    }
}

/* The chunk of the entry; the number of chunks when it stands in the window's own cell. */
static size_t chunk_at(const struct window *w, size_t at)
{
    const struct window_chunks *c = w->chunks;
    size_t k = 0, behind = 0;
    if (!c) return 0;
    at += c->dead;
    if (at >= c->sealed) return c->list.n;
    while ((behind += c->list.v[k].n) <= at) k++;
    return k;
}

/* A chunk that has taken too many late ones becomes two, if there is a number between it and the next. */
static void split(struct engine *e, struct window *w, size_t k)
{
    struct window_chunks *c = w->chunks;
    struct window_chunk *x = &c->list.v[k];
    int64_t next = k + 1 < c->list.n ? x[1].number : x->number + 2 * (int64_t)GAP, middle = x->number + (next - x->number) / 2;
    if (middle == x->number) {
        all_anew(e, w);
        return;
    }
    put_chunk(c, k + 1, (struct window_chunk){ middle, x->n - CHUNK, true });
    c->list.v[k].n = CHUNK;
}

/* Chunks that hold nothing any more go; so do those of which little is left, when there are many. */
static void clear_chunks(struct engine *e, struct window *w)
{
    struct window_chunks *c = w->chunks;
    size_t kept = 0;
    if (!c) return;
    for (size_t k = 0; k < c->list.n; k++) {
        struct window_chunk x = c->list.v[k];
        if (x.n > (kept == 0 ? c->dead : 0)) {
            c->list.v[kept++] = x;
            continue;
        }
        chunk_gone(e, w, &x);
        c->sealed -= x.n;
        if (x.n > 0) cut_front(w, x.n); /* what is left of it is dead */
    }
    c->list.n = kept;
    if (kept * (CHUNK / 8) > c->sealed) all_anew(e, w);
}

/* --- changes ------------------------------------------------------------------------------------------------------------ */
void entries_insert(struct engine *e, struct window *w, struct window_entry entry)
{
    size_t at = w->entries.n, k;
    while (at > 0 && w->entries.v[at - 1].event_ms > entry.event_ms) at--;
    k = chunk_at(w, at);
    open_gap(w, at, 1);
    w->entries.v[at] = entry;
    if (!w->chunks || k == w->chunks->list.n) return;
    w->chunks->sealed++;
    w->chunks->list.v[k].dirty = true;
    if (++w->chunks->list.v[k].n <= CHUNK_MOST) return;
    split(e, w, k);
    clear_chunks(e, w); /* half of the first one may be dead */
}

/* In a chunk they are dead until all of it is: the window's cell says how many they are, and the chunk is not rewritten. */
void entries_drop_first(struct engine *e, struct window *w, size_t n)
{
    struct window_chunks *c = w->chunks;
    if (n == 0) return;
    if (!c || c->list.n == 0) {
        cut_front(w, n);
        return;
    }
    while (c->list.n > 0 && c->dead + n >= c->list.v[0].n) {
        size_t all = c->list.v[0].n;
        n -= all - c->dead;
        chunk_gone(e, w, &c->list.v[0]);
        cut_front(w, all);
        c->sealed -= (uint32_t)all;
        memmove(c->list.v, c->list.v + 1, --c->list.n * sizeof *c->list.v);
    }
    if (c->list.n == 0) {
        cut_front(w, n);
        return;
    }
    c->dead += (uint32_t)n;
    w->entries.v += n;
    w->entries.n -= (uint32_t)n;
}

/* Those from `from` to `to` that stay move to *kept; gives how many went. */
static size_t sift(struct window *w, size_t from, size_t to, size_t *kept, entry_goes_fn goes, void *ctx)
{
    size_t before = *kept;
    for (size_t k = from; k < to; k++)
        if (!goes(ctx, k, &w->entries.v[k])) w->entries.v[(*kept)++] = w->entries.v[k];
    return to - from - (*kept - before);
}

void entries_remove_if(struct engine *e, struct window *w, entry_goes_fn goes, void *ctx)
{
    struct window_chunks *c = w->chunks;
    size_t from = 0, kept = 0;
    for (size_t k = 0; c && k < c->list.n; k++) {
        size_t to = from + c->list.v[k].n - (k == 0 ? c->dead : 0), gone = sift(w, from, to, &kept, goes, ctx);
        c->list.v[k].n -= (uint32_t)gone;
        c->list.v[k].dirty |= gone > 0;
        c->sealed -= (uint32_t)gone;
        from = to;
    }
    sift(w, from, w->entries.n, &kept, goes, ctx);
    w->entries.n = (uint32_t)kept;
    clear_chunks(e, w);
}

void entries_changed(struct window *w, size_t at)
{
    size_t k = chunk_at(w, at);
    if (w->chunks && k < w->chunks->list.n) w->chunks->list.v[k].dirty = true;
}

void entries_gone(struct engine *e, const struct window *w)
{
    for (size_t k = 0; w->chunks && k < w->chunks->list.n; k++) chunk_gone(e, w, &w->chunks->list.v[k]);
}

/* --- restoring, in any order ---------------------------------------------------------------------------------------------- */
struct window_entry *entries_restore_chunk(struct window *w, int64_t number, size_t n)
{
    struct window_chunks *c = chunks_of(w);
    size_t k = 0, at = 0;
    for (; k < c->list.n && c->list.v[k].number < number; k++) at += c->list.v[k].n;
    put_chunk(c, k, (struct window_chunk){ number, (uint32_t)n, false });
    c->sealed += (uint32_t)n;
    open_gap(w, at, n);
    return w->entries.v + at;
}

struct window_entry *entries_restore_own(struct window *w, size_t n, size_t in_chunks, size_t over)
{
    size_t at = w->entries.n;
    if (in_chunks > 0 || w->chunks) {
        chunks_of(w)->expected = (uint32_t)in_chunks;
        w->chunks->skip = (uint32_t)over;
    }
    open_gap(w, at, n);
    return w->entries.v + at;
}

/* A version that knew of no chunks may have written all of a window into its own cell: then chunks are left-overs. */
void entries_restored(struct engine *e, struct window *w)
{
    struct window_chunks *c = w->chunks;
    size_t sealed;
    if (!c) return;
    sealed = c->sealed;
    if (sealed != c->expected || c->skip > sealed) {
        all_anew(e, w);
        cut_front(w, sealed);
        c->skip = 0;
    }
    c->dead = c->skip;
    w->entries.v += c->skip;
    w->entries.n -= c->skip;
}
