/* The SQLite store's own face, for the files src/store/sqlite*.c only.
 *
 * Debian's SQLite can corrupt a log that two connections write or checkpoint at once. So one connection, used
 * by the writer thread alone, does both; readers open read-only and do not checkpoint; a lock file keeps a
 * second process away. Layout: what grows without end (events, runs) is appended at the right edge of its
 * table, and every index is there for a query that is named beside it (sqlite_schema.c). */
#ifndef STORE_SQLITE_INTERNAL_H
#define STORE_SQLITE_INTERNAL_H
#include <sqlite3.h>

#include "store/store.h"

enum sq_query {
    SQ_BEGIN, SQ_COMMIT, SQ_ROLLBACK,
    SQ_EVENT_INSERT, SQ_RUN_UPSERT, SQ_RUN_KNOWN,
    SQ_INCIDENT_UPSERT, SQ_DETAIL_UPSERT, SQ_DETAIL, SQ_NOTE_INSERT, SQ_CELL_UPSERT, SQ_CELL_DELETE,
    SQ_REJECTED_INSERT, SQ_META_UPSERT, SQ_META, SQ_COUNTS_LOAD, SQ_COUNTS_SAVE,
    SQ_LOAD_INCIDENTS, SQ_CELL, SQ_LOAD_CELLS,
    SQ_DELIVERY_INSERT, SQ_DELIVERY_STATE, SQ_DELIVERY_WAIT, SQ_DELIVERY_END, SQ_DELIVERY_COUNT,
    SQ_DELIVERY_AGAIN, SQ_DELIVERY, SQ_LANE_HEAD, SQ_TURN_SET, SQ_ATTEMPT_INSERT, SQ_CAPTURES_UPSERT,
    SQ_CAPTURES_DELETE,
    SQ_DUE_IDS, SQ_DUE_DESTINATION,
    SQ_PURGE_EVENT_LAST, SQ_PURGE_RUNS, SQ_PURGE_EVENTS, SQ_PURGE_REJECTED_LAST, SQ_PURGE_REJECTED,
    SQ_PURGE_INCIDENT_FIND, SQ_PURGE_NOTES, SQ_PURGE_ATTEMPTS, SQ_PURGE_CAPTURES, SQ_PURGE_DELIVERIES,
    SQ_PURGE_DETAIL, SQ_PURGE_INCIDENT, SQ_PURGE_LOOSE_FIND, SQ_PURGE_DELIVERY, SQ_PURGE_DELIVERY_ATTEMPTS,
    SQ_PAGES,
    SQ_QUERIES
};
extern const char *const sq_sql[SQ_QUERIES];

/* Kept beside the rows and saved in the transaction that changes them, so that counting never scans. */
struct sq_counts {
    int64_t events, runs, incidents, undelivered, dead, rejected;
};

struct sq_store {
    struct store store; /* first */
    sqlite3 *db;        /* the one connection that writes and checkpoints */
    char *path;
    int lock_fd;
    sqlite3_stmt *prepared[SQ_QUERIES];
    struct sq_counts counts;
    int log_pages;  /* in the write-ahead log */
    int log_copied; /* of these, already copied into the database */
    bool disk_full; /* the last commit found no room: a checkpoint lets the log be reused */
    bool sync_failed; /* nothing may be written any more: the kernel may have dropped what was not synced */
};

/* --- sqlite_schema.c --- */
/* Checks that the file is ours and of a version we know; migrates. */
int sq_schema_ready(struct sq_store *s, struct err *err) WUR;
/* For who only reads: is it ours, and of exactly the version we know? */
int sq_schema_known(sqlite3 *db, const char *path, struct err *err) WUR;

/* --- sqlite_query.c --- */
/* Fills err from the connection's last error. what: "open", "write to", ... (the path follows). Always -1. */
int sq_error(sqlite3 *db, const char *path, const char *what, struct err *err);
/* The statement, prepared once and reset; NULL on failure. */
sqlite3_stmt *sq_get(struct sq_store *s, enum sq_query q, struct err *err) WUR;
int sq_exec(struct sq_store *s, const char *sql, struct err *err) WUR;
/* Runs a statement that gives no row / gives the next row: 1 row, 0 end, -1 failed. After 0 and -1 it is
 * reset. */
int sq_run(struct sq_store *s, sqlite3_stmt *q, struct err *err) WUR;
int sq_row(struct sq_store *s, sqlite3_stmt *q, struct err *err) WUR;
void sq_int(sqlite3_stmt *q, int at, int64_t v);
void sq_text(sqlite3_stmt *q, int at, struct str v);  /* STR_NONE is stored as "" */
/* The same where the statement is still bound to *before, which is often the very same text; NULL = to nothing. */
void sq_text_after(sqlite3_stmt *q, int at, struct str v, const struct str *before);
void sq_maybe(sqlite3_stmt *q, int at, struct str v); /* STR_NONE is stored as NULL */
void sq_blob(sqlite3_stmt *q, int at, struct str v);
int64_t sq_col_int(sqlite3_stmt *q, int at);
uint64_t sq_col_id(sqlite3_stmt *q, int at);
struct str sq_col(sqlite3_stmt *q, int at); /* borrowed until the next step; NULL gives STR_NONE */
struct str sq_col_dup(struct arena *a, sqlite3_stmt *q, int at);

/* --- sqlite_row.c: columns <-> rows; the columns' lists are used by writer and reader --- */
#define SQ_INCIDENT_COLUMNS \
    "i.id, i.project, i.env, i.rule, i.key, i.label, i.state, i.severity, i.opened_ms, " \
    "i.updated_ms, i.resolved_ms, i.hits, i.runs, i.title, i.task, i.last_run"
#define SQ_DELIVERY_COLUMNS \
    "d.id, d.message, d.incident, d.destination, d.lane, d.params, d.content, d.kind, d.state, " \
    "d.created_ms, d.due_ms, d.expires_ms, d.done_ms, d.attempts, d.last_error, c.captures"
enum { SQ_INCIDENT_WIDTH = 16, SQ_DELIVERY_WIDTH = 16 };
/* Texts are copied into a, or with a NULL borrowed until the next step. */
void sq_incident_read(sqlite3_stmt *q, struct arena *a, struct engine_incident_row *out);
void sq_delivery_read(sqlite3_stmt *q, struct arena *a, struct store_delivery *out);

/* --- the operations --- */
int sq_commit(struct store *s, const struct store_batch *b, struct err *err);
int sq_upkeep(struct store *s, bool idle, struct err *err);
bool sq_upkeep_due(struct store *s);
int sq_save_counts(struct sq_store *s, struct err *err) WUR;
/* Ends a transaction: commits when rc is 0, else rolls back and restores the counts. */
int sq_finish(struct sq_store *s, int rc, const struct sq_counts *before, struct err *err) WUR;

int sq_apply_deliveries(struct sq_store *s, const struct store_batch *b, struct err *err) WUR;
int sq_apply_attempts(struct sq_store *s, const struct store_batch *b, struct err *err) WUR;
int sq_apply_redeliver(struct sq_store *s, const struct store_batch *b, struct err *err) WUR;
int sq_due_deliveries(struct store *s, struct arena *a, struct str destination, int64_t now_ms, size_t max,
                      struct store_delivery *out, size_t *n, int64_t *next_due_ms, struct err *err);
int sq_lane_head(struct store *s, struct arena *a, struct str destination, struct str lane,
                 struct store_delivery *out, struct err *err);
int sq_purge(struct store *s, const struct store_keep *keep, int64_t now_ms, size_t max_rows, size_t *deleted,
             struct err *err);
struct store_reader *sq_reader_open(struct store *s, struct err *err);
#endif
