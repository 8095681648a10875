/* The store in one SQLite file: opening and closing, and the small operations. */
#include "store/sqlite_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strbuf.h"

static void name_holder(int fd, const char *path, struct err *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    while (n > 0 && (pid[n - 1] < '0' || pid[n - 1] > '9')) pid[--n] = '\0';
    if (n > 0)
        err_set(err, ERR_CONFLICT, "store %s is in use by another runbell (pid %s)", path, pid);
    else
        err_set(err, ERR_CONFLICT, "store %s is in use by another runbell", path);
}

static int refuse_folder(const char *path, struct err *err)
{
    if (errno == ENOENT)
        return err_set(err, ERR_NOT_FOUND, "cannot open store %s: its folder does not exist; create it",
                       path);
    return err_set(err, ERR_IO,
                   "cannot write beside store %s: %m; runbell's user must be able to write its folder", path);
}

/* The lock is a file of its own: SQLite's locks on the database come and go, and any close of it in this
 * process would drop ours. The file stays when we leave; removing it could take it from under a new holder.
 */
static int take_lock(struct sq_store *s, struct err *err)
{
    struct strbuf name;
    strbuf_init(&name, 8192);
    strbuf_printf(&name, "%s.lock", s->path);
    s->lock_fd = open(name.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    strbuf_fini(&name);
    if (s->lock_fd < 0) return refuse_folder(s->path, err);
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK) return err_set(err, ERR_IO, "cannot lock store %s: %m", s->path);
        name_holder(s->lock_fd, s->path, err);
        return -1;
    }
    /* The number only makes the other's message better. */
    if (ftruncate(s->lock_fd, 0) == 0 && dprintf(s->lock_fd, "%ld\n", (long)getpid()) < 0) return 0;
    return 0;
}

/* SQLite would quietly begin anew on an empty file and throw the log away: that is a lost database. */
static int check_not_lost(const char *path, struct err *err)
{
    struct stat db, log;
    struct strbuf name;
    int rc;
    if (stat(path, &db) == 0 && db.st_size > 0) return 0;
    strbuf_init(&name, 8192);
    strbuf_printf(&name, "%s-wal", path);
    rc = stat(name.p, &log);
    strbuf_fini(&name);
    if (rc || log.st_size == 0) return 0;
    return err_set(
        err, ERR_IO,
        "store %s is missing or empty but its %s-wal holds data: put the database back beside it, or move "
        "the -wal away to begin anew",
        path, path);
}

/* Made here and not by SQLite so that it is ours alone from its first moment; -wal and -shm take over its
 * mode. */
static int make_file(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0 && errno == EISDIR) return err_set(err, ERR_TYPE, "store %s is a folder; name a file", path);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open store %s for writing: %m; runbell's user must own it", path);
    if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return err_set(err, ERR_TYPE, "store %s is no plain file", path);
    }
    close(fd);
    return 0;
}

static int count_log_pages(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct sq_store *s = ctx;
    (void)db, (void)name;
    if (pages < s->log_copied) s->log_copied = 0; /* the log began anew */
    s->log_pages = pages;
    return SQLITE_OK;
}

/* Pages of 4 KiB: of 8, a commit of one event and its incident writes twice as much (measured: its notification comes
 * 2.5 times as late on a busy disk), and batches gain a twentieth at most. cache_size bounds our memory (KiB); mmap would
 * turn a read error into a signal; secure_delete, on in this build, writes every purged page. */
static const char setup_sql[] =
    "PRAGMA page_size = 4096; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -6144; "
    "PRAGMA mmap_size = 0;"
    "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = OFF; PRAGMA trusted_schema = OFF;"
    "PRAGMA journal_size_limit = 67108864;";

static int set_wal(struct sq_store *s, struct err *err)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &q, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(q);
    if (rc == SQLITE_ROW && !str_eq_c(sq_col(q, 0), "wal"))
        err_set(err, ERR_IO, "store %s: its file system cannot do write-ahead logging; use a local disk",
                s->path);
    else if (rc == SQLITE_ROW)
        rc = SQLITE_OK;
    else
        sq_error(s->db, s->path, "open", err);
    sqlite3_finalize(q);
    return rc == SQLITE_OK ? 0 : -1;
}

static int load_counts(struct sq_store *s, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_COUNTS_LOAD, err);
    int rc = q ? sq_row(s, q, err) : -1;
    if (rc == 0)
        return err_set(err, ERR_IO, "store %s is damaged: its counts are gone; restore a backup", s->path);
    if (rc < 0) return -1;
    s->counts = (struct sq_counts){ sq_col_int(q, 0), sq_col_int(q, 1), sq_col_int(q, 2),
                                    sq_col_int(q, 3), sq_col_int(q, 4), sq_col_int(q, 5) };
    sqlite3_reset(q);
    return 0;
}

int sq_save_counts(struct sq_store *s, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_COUNTS_SAVE, err);
    if (!q) return -1;
    sq_int(q, 1, s->counts.events);
    sq_int(q, 2, s->counts.runs);
    sq_int(q, 3, s->counts.incidents);
    sq_int(q, 4, s->counts.undelivered);
    sq_int(q, 5, s->counts.dead);
    sq_int(q, 6, s->counts.rejected);
    return sq_run(s, q, err);
}

static int open_database(struct sq_store *s, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (check_not_lost(s->path, err) || make_file(s->path, err)) return -1;
    if (sqlite3_open_v2(s->path, &s->db, flags, NULL) != SQLITE_OK)
        return sq_error(s->db, s->path, "open", err);
    sqlite3_busy_timeout(s->db,
                         1000); /* a backup tool's reader that comes first after a crash recovers the log */
    if (sq_exec(s, setup_sql, err)) return -1;
    sqlite3_wal_hook(s->db, count_log_pages, s); /* after the pragma, which sets a hook of its own */
    return 0;
}

/* --- operations ----------------------------------------------------------------------------------------- */
static void sq_close(struct store **store)
{
    struct sq_store *s = (struct sq_store *)*store;
    if (!s) return;
    for (int i = 0; i < SQ_QUERIES; i++) sqlite3_finalize(s->prepared[i]);
    /* After a failed sync the log is all there is to trust: leave it for the recovery of the next start. */
    if (s->db && s->sync_failed) sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close(s->db);
    if (s->lock_fd >= 0) close(s->lock_fd);
    free(s->path);
    free(s);
    *store = NULL;
}

static int load_incidents(struct sq_store *s, const struct store_load *l, struct err *err)
{
    struct engine_incident_row row;
    sqlite3_stmt *q = sq_get(s, SQ_LOAD_INCIDENTS, err);
    int rc = q ? 1 : -1;
    while (rc == 1 && (rc = sq_row(s, q, err)) == 1) {
        sq_incident_read(q, NULL, &row);
        row.state_blob = sq_col(q, SQ_INCIDENT_WIDTH);
        if (l->incident(l->ctx, &row, err)) rc = -1;
    }
    sqlite3_reset(q);
    return rc;
}

static int load_cells(struct sq_store *s, const struct store_load *l, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_LOAD_CELLS, err);
    int rc = q ? 1 : -1;
    while (rc == 1 && (rc = sq_row(s, q, err)) == 1) {
        struct engine_cell_row row = { sq_col(q, 0), sq_col(q, 1) };
        if (l->cell(l->ctx, &row, err)) rc = -1;
    }
    sqlite3_reset(q);
    return rc;
}

static int sq_load(struct store *store, const struct store_load *l, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    return load_incidents(s, l, err) || load_cells(s, l, err) ? -1 : 0;
}

/* 1, 0, -1; the first column of the first row. */
static int fetch_one(struct sq_store *s, sqlite3_stmt *q, struct arena *a, struct str *out, struct err *err)
{
    int rc = sq_row(s, q, err);
    *out = rc == 1 ? sq_col_dup(a, q, 0) : STR_NONE;
    if (rc == 1) sqlite3_reset(q);
    return rc;
}

static int sq_fetch_runs(struct store *store, struct arena *a, const struct store_run *ids, size_t n,
                         struct str *out, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    sqlite3_stmt *q = sq_get(s, SQ_RUN_KNOWN, err);
    int rc = 0;
    if (!q || sq_exec(s, "BEGIN", err)) return -1; /* one lock for all of them, not one each */
    for (size_t i = 0; i < n && rc == 0; i++) {
        sq_text(q, 1, ids[i].run);
        sq_text_after(q, 2, ids[i].project, i ? &ids[i - 1].project : NULL);
        sq_text_after(q, 3, ids[i].env, i ? &ids[i - 1].env : NULL);
        if (fetch_one(s, q, a, &out[i], err) < 0) rc = -1;
    }
    if (sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK && rc == 0)
        rc = sq_error(s->db, s->path, "read", err);
    return rc;
}

static int sq_fetch_detail(struct store *store, struct arena *a, uint64_t incident, struct str *detail,
                           struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    sqlite3_stmt *q = sq_get(s, SQ_DETAIL, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)incident);
    return fetch_one(s, q, a, detail, err) < 0 ? -1 : 0;
}

static int sq_fetch_cell(struct store *store, struct arena *a, struct str key, struct str *blob, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    sqlite3_stmt *q = sq_get(s, SQ_CELL, err);
    if (!q) return -1;
    sq_text(q, 1, key);
    return fetch_one(s, q, a, blob, err) < 0 ? -1 : 0;
}

static int sq_meta_get(struct store *store, struct arena *a, struct str key, struct str *value,
                       struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    sqlite3_stmt *q = sq_get(s, SQ_META, err);
    if (!q) return -1;
    sq_text(q, 1, key);
    return fetch_one(s, q, a, value, err);
}

static const struct store_ops sqlite_ops = {
    .close = sq_close,
    .load = sq_load,
    .fetch_runs = sq_fetch_runs,
    .fetch_detail = sq_fetch_detail,
    .fetch_cell = sq_fetch_cell,
    .commit = sq_commit,
    .due_deliveries = sq_due_deliveries,
    .lane_head = sq_lane_head,
    .meta_get = sq_meta_get,
    .purge = sq_purge,
    .upkeep_due = sq_upkeep_due,
    .upkeep = sq_upkeep,
    .reader_open = sq_reader_open,
};

static void configure_once(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS,
                   0); /* a lock around every allocation, for a number nobody reads */
}

struct store *store_sqlite_open(const char *path, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sq_store *s = xcalloc(1, sizeof *s);
    struct store *store = &s->store;
    pthread_once(&once, configure_once);
    s->store.ops = &sqlite_ops;
    s->path = xstrdup(path);
    s->lock_fd = -1;
    if (take_lock(s, err) == 0 && open_database(s, err) == 0 && sq_schema_ready(s, err) == 0 &&
        set_wal(s, err) == 0 && load_counts(s, err) == 0)
        return store;
    sq_close(&store);
    return NULL;
}
