/* Retention. One call is one transaction of bounded size, so that it fits between two batches. */
#include "store/sqlite_internal.h"

enum { SIZE_CHUNK = 200 }; /* events between two looks at the size */

struct purge {
    size_t left, deleted;
};

static void took(struct purge *p, int64_t rows)
{
    size_t n = (size_t)rows;
    p->deleted += n;
    p->left -= n < p->left ? n : p->left;
}

/* Runs a DELETE and counts its rows. */
static int delete_rows(struct sq_store *s, enum sq_query which, int64_t arg, int64_t *rows, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, which, err);
    if (!q) return -1;
    sq_int(q, 1, arg);
    if (sq_run(s, q, err)) return -1;
    *rows = sqlite3_changes64(s->db);
    return 0;
}

/* The id that ends the first n rows below `before`, and how many these are. */
static int find_chunk(struct sq_store *s, enum sq_query which, int64_t before, size_t n, int64_t *last,
                      int64_t *rows, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, which, err);
    if (!q) return -1;
    sq_int(q, 1, before);
    sq_int(q, 2, (int64_t)n);
    if (sq_row(s, q, err) != 1) return -1; /* an aggregate always gives a row */
    *last = sq_col_int(q, 0);
    *rows = sq_col_int(q, 1);
    sqlite3_reset(q);
    return 0;
}

/* Oldest events, and the runs that nothing newer is known of. Half the room is for those. */
static int purge_events(struct sq_store *s, int64_t before, size_t most, struct purge *p, struct err *err)
{
    int64_t last, events, runs;
    size_t n = (p->left + 1) / 2;
    if (n > most) n = most;
    if (n == 0) return 0;
    if (find_chunk(s, SQ_PURGE_EVENT_LAST, before, n, &last, &events, err)) return -1;
    if (events == 0) return 0;
    if (delete_rows(s, SQ_PURGE_RUNS, last, &runs, err) ||
        delete_rows(s, SQ_PURGE_EVENTS, last, &events, err))
        return -1;
    s->counts.events -= events;
    s->counts.runs -= runs;
    took(p, events + runs);
    return 0;
}

static int purge_rejected(struct sq_store *s, int64_t before, struct purge *p, struct err *err)
{
    int64_t last, rows;
    if (p->left == 0) return 0;
    if (find_chunk(s, SQ_PURGE_REJECTED_LAST, before, p->left, &last, &rows, err)) return -1;
    if (rows == 0) return 0;
    if (delete_rows(s, SQ_PURGE_REJECTED, last, &rows, err)) return -1;
    s->counts.rejected -= rows;
    took(p, rows);
    return 0;
}

/* A timeline can be long: it goes in pieces, the incident with the last one. 1 = more of it is left. */
static int purge_notes(struct sq_store *s, int64_t incident, struct purge *p, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_PURGE_NOTES, err);
    size_t room = p->left;
    if (!q) return -1;
    sq_int(q, 1, incident);
    sq_int(q, 2, (int64_t)room);
    if (sq_run(s, q, err)) return -1;
    took(p, sqlite3_changes64(s->db));
    return p->left == 0;
}

static int purge_incident(struct sq_store *s, int64_t id, int64_t dead, struct purge *p, struct err *err)
{
    static const enum sq_query parts[] = { SQ_PURGE_ATTEMPTS, SQ_PURGE_CAPTURES, SQ_PURGE_DELIVERIES,
                                           SQ_PURGE_DETAIL, SQ_PURGE_INCIDENT };
    int rc = purge_notes(s, id, p, err);
    int64_t rows;
    if (rc) return rc < 0 ? -1 : 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (delete_rows(s, parts[i], id, &rows, err)) return -1;
        took(p, rows);
    }
    s->counts.incidents--;
    s->counts.dead -= dead;
    return 0;
}

/* 1 = one was there (and is gone, or smaller), 0 = none, -1. */
static int purge_next_incident(struct sq_store *s, int64_t before_ms, struct purge *p, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_PURGE_INCIDENT_FIND, err);
    int64_t id, dead;
    int rc;
    if (!q) return -1;
    sq_int(q, 1, before_ms);
    rc = sq_row(s, q, err);
    if (rc != 1) return rc;
    id = sq_col_int(q, 0);
    dead = sq_col_int(q, 1);
    sqlite3_reset(q);
    return purge_incident(s, id, dead, p, err) ? -1 : 1;
}

static int purge_incidents(struct sq_store *s, int64_t before_ms, struct purge *p, struct err *err)
{
    int rc = 1;
    while (p->left > 0 && rc == 1) rc = purge_next_incident(s, before_ms, p, err);
    return rc < 0 ? -1 : 0;
}

/* Deliveries of no incident: the operator's, digests, drills. 1 / 0 / -1 as above. */
static int purge_next_loose(struct sq_store *s, int64_t before_ms, int64_t before_id, struct purge *p,
                            struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_PURGE_LOOSE_FIND, err);
    int64_t id, attempts, rows;
    enum delivery_state state;
    int rc;
    if (!q) return -1;
    sq_int(q, 1, before_ms);
    sq_int(q, 2, before_id);
    rc = sq_row(s, q, err);
    if (rc != 1) return rc;
    id = sq_col_int(q, 0);
    state = (enum delivery_state)sq_col_int(q, 1);
    sqlite3_reset(q);
    if (delete_rows(s, SQ_PURGE_DELIVERY_ATTEMPTS, id, &attempts, err) ||
        delete_rows(s, SQ_PURGE_DELIVERY, id, &rows, err))
        return -1;
    s->counts.dead -= state == DELIVERY_DEAD;
    took(p, attempts + rows);
    return 1;
}

static int64_t first_id_at(int64_t wall_ms)
{
    struct id_gen g = { 0 };
    return wall_ms > 0 ? (int64_t)id_next(&g, wall_ms) : 0;
}

static int purge_by_age(struct sq_store *s, const struct store_keep *keep, int64_t now_ms, struct purge *p,
                        struct err *err)
{
    int rc = 1;
    if (keep->events_ms > 0) {
        int64_t before = first_id_at(now_ms - keep->events_ms);
        if (purge_events(s, before, SIZE_MAX, p, err) || purge_rejected(s, before, p, err)) return -1;
    }
    if (keep->incidents_ms > 0) {
        int64_t before_ms = now_ms - keep->incidents_ms;
        if (purge_incidents(s, before_ms, p, err)) return -1;
        while (p->left > 0 && rc == 1) rc = purge_next_loose(s, before_ms, first_id_at(before_ms), p, err);
    }
    return rc < 0 ? -1 : 0;
}

static int used_bytes(struct sq_store *s, int64_t *out, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_PAGES, err);
    if (!q || sq_row(s, q, err) != 1) return -1;
    *out = sq_col_int(q, 0);
    sqlite3_reset(q);
    return 0;
}

/* What is freed is used again, the file does not shrink: so "in use" is what counts. */
static int purge_by_size(struct sq_store *s, int64_t size_bytes, struct purge *p, struct err *err)
{
    size_t before;
    int64_t used;
    do {
        before = p->deleted;
        if (p->left == 0 || size_bytes <= 0) return 0;
        if (used_bytes(s, &used, err)) return -1;
        if (used <= size_bytes) return 0;
        if (purge_events(s, INT64_MAX, SIZE_CHUNK, p, err)) return -1;
        if (p->deleted == before && purge_rejected(s, INT64_MAX, p, err)) return -1;
        if (p->deleted == before && purge_next_incident(s, INT64_MAX, p, err) < 0) return -1;
    } while (p->deleted > before);
    return 0;
}

int sq_purge(struct store *store, const struct store_keep *keep, int64_t now_ms, size_t max_rows,
             size_t *deleted, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    struct sq_counts before = s->counts;
    struct purge p = { max_rows, 0 };
    int rc;
    *deleted = 0;
    if (s->sync_failed)
        return err_set(err, ERR_UNCERTAIN, "store %s: an earlier sync to disk failed", s->path);
    if (sq_exec(s, "BEGIN IMMEDIATE", err)) return -1;
    rc = purge_by_age(s, keep, now_ms, &p, err);
    if (rc == 0) rc = purge_by_size(s, keep->size_bytes, &p, err);
    rc = sq_finish(s, rc, &before, err);
    if (rc == 0) *deleted = p.deleted;
    return rc;
}
