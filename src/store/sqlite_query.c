/* Statements: prepared once, bound, stepped; errors told in our words. */
#include <errno.h>
#include <string.h>

#include "store/sqlite_internal.h"

static int io_error(sqlite3 *db, int rc, const char *path, const char *what, struct err *err)
{
    errno = sqlite3_system_errno(db); /* 0 when SQLite has forgotten it */
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
        return err_set(err, ERR_UNCERTAIN,
                       "the disk failed to sync store %s; what was written last may or may not be there",
                       path);
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(err, ERR_LIMIT, "cannot %s store %s: no room on the disk; free some", what, path);
    if (errno) return err_set(err, ERR_IO, "cannot %s store %s: %s: %m", what, path, sqlite3_errstr(rc));
    return err_set(err, ERR_IO, "cannot %s store %s: %s", what, path, sqlite3_errstr(rc));
}

int sq_error(sqlite3 *db, const char *path, const char *what, struct err *err)
{
    int rc = sqlite3_extended_errcode(db);
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return err_set(err, ERR_LIMIT, "cannot %s store %s: no room on the disk; free some", what, path);
    case SQLITE_IOERR:
        return io_error(db, rc, path, what, err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, ERR_BUSY, "cannot %s store %s: another program holds it locked", what, path);
    case SQLITE_INTERRUPT:
        return err_set(err, ERR_LIMIT, "the query took more than %d s and was stopped: ask for less",
                       STORE_QUERY_MS / 1000);
    case SQLITE_CONSTRAINT:
        return err_set(err, ERR_CONFLICT, "cannot %s store %s: %s", what, path, sqlite3_errmsg(db));
    case SQLITE_NOTADB:
        return err_set(err, ERR_IO,
                       "%s is not a runbell store: move it away, or set store.url to another path", path);
    case SQLITE_CORRUPT:
        return err_set(err, ERR_IO,
                       "store %s is damaged: stop, keep a copy of it and its -wal, then restore a backup or "
                       "salvage it with sqlite3's .recover",
                       path);
    default:
        return err_set(err, ERR_IO, "cannot %s store %s: %s", what, path, sqlite3_errmsg(db));
    }
}

sqlite3_stmt *sq_get(struct sq_store *s, enum sq_query q, struct err *err)
{
    sqlite3_stmt **p = &s->prepared[q];
    if (!*p && sqlite3_prepare_v3(s->db, sq_sql[q], -1, SQLITE_PREPARE_PERSISTENT, p, NULL) != SQLITE_OK)
        sq_error(s->db, s->path, "use", err);
    return *p;
}

int sq_exec(struct sq_store *s, const char *sql, struct err *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK) return 0;
    return sq_error(s->db, s->path, "set up", err);
}

int sq_row(struct sq_store *s, sqlite3_stmt *q, struct err *err)
{
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) return 1;
    if (rc != SQLITE_DONE) sq_error(s->db, s->path, sqlite3_column_count(q) > 0 ? "read" : "write to", err);
    sqlite3_reset(q);
    return rc == SQLITE_DONE ? 0 : -1;
}

int sq_run(struct sq_store *s, sqlite3_stmt *q, struct err *err)
{
    int rc = sq_row(s, q, err);
    if (rc == 1) sqlite3_reset(q);
    return rc < 0 ? -1 : 0;
}

void sq_int(sqlite3_stmt *q, int at, int64_t v)
{
    sqlite3_bind_int64(q, at, v);
}

/* Texts are borrowed by the statement (SQLITE_STATIC): every caller steps it before the text goes. */
void sq_text(sqlite3_stmt *q, int at, struct str v)
{
    sqlite3_bind_text64(q, at, v.p ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}

void sq_text_after(sqlite3_stmt *q, int at, struct str v, const struct str *before)
{
    if (!before || v.p != before->p || v.n != before->n) sq_text(q, at, v);
}

void sq_maybe(sqlite3_stmt *q, int at, struct str v)
{
    if (str_absent(v))
        sqlite3_bind_null(q, at);
    else
        sq_text(q, at, v);
}

void sq_blob(sqlite3_stmt *q, int at, struct str v)
{
    sqlite3_bind_blob64(q, at, v.p ? v.p : "", v.n, SQLITE_STATIC);
}

int64_t sq_col_int(sqlite3_stmt *q, int at)
{
    return sqlite3_column_int64(q, at);
}

uint64_t sq_col_id(sqlite3_stmt *q, int at)
{
    return (uint64_t)sqlite3_column_int64(q, at);
}

struct str sq_col(sqlite3_stmt *q, int at)
{
    const char *p;
    if (sqlite3_column_type(q, at) == SQLITE_NULL) return STR_NONE;
    p = sqlite3_column_blob(q, at);
    return (struct str){ p ? p : "", (size_t)sqlite3_column_bytes(q, at) };
}

struct str sq_col_dup(struct arena *a, sqlite3_stmt *q, int at)
{
    struct str s = sq_col(q, at);
    return a && !str_absent(s) ? str_dup(a, s) : s;
}
