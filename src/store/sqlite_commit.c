/* One batch, one transaction; and the checkpoint that follows it. */
#include "base/failpoint.h"
#include "store/sqlite_internal.h"

/* Pages (4 KiB) in the log that make a checkpoint worth its two syncs: when nothing else is to do, and at any
 * rate. Measured (bench_store): 1,000 cost up to a third of the rate of random run ids; 4,000 and 8,000 are
 * alike, but the checkpoint takes 35 ms or 70. */
enum { IDLE_PAGES = 256, BUSY_PAGES = 4000 };

/* before: what the row before it in this batch had there; NULL = it is the first. */
static int apply_event(struct sq_store *s, sqlite3_stmt *q, const struct store_event *e, const struct store_event *before, struct err *err)
{
    sq_int(q, 1, (int64_t)e->id);
    sq_int(q, 2, e->arrival_ms);
    sq_int(q, 3, e->event_ms);
    sq_int(q, 4, e->attempt);
    sq_text_after(q, 5, e->source, before ? &before->source : NULL);
    sq_text_after(q, 6, e->project, before ? &before->project : NULL);
    sq_text_after(q, 7, e->env, before ? &before->env : NULL);
    sq_text(q, 8, e->run);
    sq_text(q, 9, e->status);
    sq_text_after(q, 10, e->state, before ? &before->state : NULL);
    sq_text(q, 11, e->body);
    s->counts.events++;
    return sq_run(s, q, err);
}

static int apply_events(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_EVENT_INSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->events.n; i++) {
        if (i == b->events.n / 2) failpoint("store.half");
        if (apply_event(s, q, &b->events.v[i], i ? &b->events.v[i - 1] : NULL, err)) return -1;
    }
    return 0;
}

/* SQLite leaves the last rowid alone when an upsert updates: that tells a new row without asking first. */
static int run_upsert(struct sq_store *s, sqlite3_stmt *q, int64_t *inserted, struct err *err)
{
    sqlite3_set_last_insert_rowid(s->db, 0);
    if (sq_run(s, q, err)) return -1;
    if (sqlite3_last_insert_rowid(s->db) != 0) ++*inserted;
    return 0;
}

static int apply_runs(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_RUN_UPSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->runs.n; i++) {
        const struct store_run *r = &b->runs.v[i], *before = i ? r - 1 : NULL;
        sq_int(q, 1, r->updated_ms);
        sq_int(q, 2, (int64_t)r->last_event);
        sq_text_after(q, 3, r->project, before ? &before->project : NULL);
        sq_text_after(q, 4, r->env, before ? &before->env : NULL);
        sq_text(q, 5, r->run);
        sq_text(q, 6, r->known);
        if (run_upsert(s, q, &s->counts.runs, err)) return -1;
    }
    return 0;
}

static void bind_incident(sqlite3_stmt *q, const struct engine_incident_row *i)
{
    sq_int(q, 1, (int64_t)i->id);
    sq_text(q, 2, i->project);
    sq_text(q, 3, i->env);
    sq_text(q, 4, i->rule);
    sq_text(q, 5, i->key);
    sq_text(q, 6, i->label);
    sq_int(q, 7, i->state);
    sq_int(q, 8, i->severity);
    sq_int(q, 9, i->opened_ms);
    sq_int(q, 10, i->updated_ms);
    sq_int(q, 11, i->resolved_ms);
    sq_int(q, 12, i->hits);
    sq_int(q, 13, i->runs);
    sq_maybe(q, 14, i->title);
    sq_maybe(q, 15, i->task);
    sq_maybe(q, 16, i->last_run);
    sq_blob(q, 17, i->state == INCIDENT_RESOLVED ? STR("") : i->state_blob);
}

/* The detail is a row of its own: it changes seldom, and the hot row stays small. */
static int apply_detail(struct sq_store *s, const struct engine_incident_row *i, struct err *err)
{
    sqlite3_stmt *q;
    if (str_absent(i->detail)) return 0;
    q = sq_get(s, SQ_DETAIL_UPSERT, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)i->id);
    sq_blob(q, 2, i->detail);
    return sq_run(s, q, err);
}

static int apply_incidents(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_INCIDENT_UPSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->incidents.n; i++) {
        bind_incident(q, &b->incidents.v[i]);
        if (run_upsert(s, q, &s->counts.incidents, err) || apply_detail(s, &b->incidents.v[i], err))
            return -1;
    }
    return 0;
}

static int apply_cells(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    for (size_t i = 0; i < b->cells.n; i++) {
        const struct engine_cell_row *c = &b->cells.v[i];
        sqlite3_stmt *q = sq_get(s, str_absent(c->blob) ? SQ_CELL_DELETE : SQ_CELL_UPSERT, err);
        if (!q) return -1;
        sq_text(q, 1, c->key);
        if (!str_absent(c->blob)) sq_blob(q, 2, c->blob);
        if (sq_run(s, q, err)) return -1;
    }
    return 0;
}

static int apply_notes(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_NOTE_INSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->notes.n; i++) {
        sq_int(q, 1, (int64_t)b->notes.v[i].incident);
        sq_int(q, 2, b->notes.v[i].at_ms);
        sq_text(q, 3, b->notes.v[i].what);
        sq_text(q, 4, b->notes.v[i].body);
        if (sq_run(s, q, err)) return -1;
    }
    return 0;
}

static int apply_rejected(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_REJECTED_INSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->rejected.n; i++) {
        const struct store_rejected *r = &b->rejected.v[i];
        sq_int(q, 1, (int64_t)r->id);
        sq_int(q, 2, r->at_ms);
        sq_text(q, 3, r->source);
        sq_text(q, 4, r->reason);
        sq_blob(q, 5, r->body);
        s->counts.rejected++;
        if (sq_run(s, q, err)) return -1;
    }
    return 0;
}

static int apply_meta(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_META_UPSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->meta.n; i++) {
        sq_text(q, 1, b->meta.v[i].key);
        sq_text(q, 2, b->meta.v[i].value);
        if (sq_run(s, q, err)) return -1;
    }
    return 0;
}

static int apply(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    typedef int (*part_fn)(struct sq_store * s, const struct store_batch *b, struct err *err);
    static const part_fn parts[] = { apply_events, apply_runs,          apply_incidents,   apply_cells,
                                     apply_notes,  sq_apply_deliveries, sq_apply_attempts, apply_rejected,
                                     apply_meta,   sq_apply_redeliver };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i](s, b, err)) return -1;
    return 0;
}

static int run_plain(struct sq_store *s, enum sq_query which, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, which, err);
    return q ? sq_run(s, q, err) : -1;
}

static void roll_back(struct sq_store *s)
{
    struct err ignored;
    if (sqlite3_get_autocommit(s->db)) return; /* SQLite did it on its own, as after a failed write */
    if (run_plain(s, SQ_ROLLBACK, &ignored))
        s->sync_failed = true; /* cannot happen; then let no later commit through */
}

int sq_finish(struct sq_store *s, int rc, const struct sq_counts *before, struct err *err)
{
    if (rc == 0 && memcmp(before, &s->counts, sizeof *before) != 0) rc = sq_save_counts(s, err);
    if (rc == 0) {
        failpoint("store.before_commit");
        rc = run_plain(s, SQ_COMMIT, err);
    }
    if (rc == 0) {
        s->disk_full = false;
        return 0;
    }
    s->disk_full = err->code == ERR_LIMIT;
    s->sync_failed = s->sync_failed || err->code == ERR_UNCERTAIN;
    roll_back(s);
    s->counts = *before;
    return -1;
}

static int refuse_after_sync(const struct sq_store *s, struct err *err)
{
    return err_set(err, ERR_UNCERTAIN, "store %s: an earlier sync to disk failed; restart to recover",
                   s->path);
}

int sq_commit(struct store *store, const struct store_batch *b, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    struct sq_counts before = s->counts;
    if (s->sync_failed) return refuse_after_sync(s, err);
    failpoint("store.begin");
    if (run_plain(s, SQ_BEGIN, err)) return -1;
    if (sq_finish(s, apply(s, b, err), &before, err)) return -1;
    failpoint("store.after_commit");
    return 0;
}

/* --- checkpoint ----------------------------------------------------------------------------------------- */
static int pages_waiting(const struct sq_store *s)
{
    return s->log_pages - s->log_copied;
}

bool sq_upkeep_due(struct store *store)
{
    const struct sq_store *s = (const struct sq_store *)store;
    return !s->sync_failed && (pages_waiting(s) >= IDLE_PAGES || (s->disk_full && pages_waiting(s) > 0));
}

/* Passive: it waits for nobody. What a reader still needs stays for the next time. */
int sq_upkeep(struct store *store, bool idle, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    int log = 0, copied = 0, rc;
    if (s->sync_failed) return refuse_after_sync(s, err);
    if (idle) sqlite3_db_release_memory(s->db); /* what a rush filled the cache with */
    if (!s->disk_full && pages_waiting(s) < (idle ? IDLE_PAGES : BUSY_PAGES)) return 0;
    s->disk_full = false;
    failpoint("store.checkpoint");
    rc = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log, &copied);
    failpoint("store.checkpointed");
    if (rc != SQLITE_OK && rc != SQLITE_BUSY) {
        sq_error(s->db, s->path, "checkpoint", err);
        s->sync_failed = err->code == ERR_UNCERTAIN;
        return -1;
    }
    if (rc == SQLITE_OK && log >= 0) {
        s->log_pages = log;
        s->log_copied = copied;
    }
    return 0;
}
