/* Reading for the API: a read-only connection of its own per thread, bounded in rows and time. */
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "store/sqlite_internal.h"

struct sq_reader {
    struct store_reader reader; /* first */
    sqlite3 *db;
    char *path;
    int64_t until_ms; /* monotonic: when the running query is stopped */
};

/* Values for the ?s of a query that is put together from filters. */
enum { VALUES_MAX = 16 };
struct value {
    struct str text;
    int64_t number;
    bool is_text;
};
struct select {
    struct strbuf sql;
    struct value values[VALUES_MAX];
    int n;
};

static void select_init(struct select *s, const char *sql)
{
    strbuf_init(&s->sql, 8192);
    strbuf_c(&s->sql, sql);
    s->n = 0;
}

static void add_number(struct select *s, const char *sql, int64_t v)
{
    if (s->n == VALUES_MAX) return; /* no query here has so many */
    strbuf_c(&s->sql, sql);
    s->values[s->n++] = (struct value){ STR_NONE, v, false };
}

static void add_text(struct select *s, const char *sql, struct str v)
{
    if (s->n == VALUES_MAX || str_absent(v)) return;
    strbuf_c(&s->sql, sql);
    s->values[s->n++] = (struct value){ v, 0, true };
}

static int64_t cursor(uint64_t before)
{
    return before == 0 || before > INT64_MAX ? INT64_MAX : (int64_t)before;
}

static size_t row_limit(size_t wanted)
{
    return wanted < STORE_ROWS_MAX ? wanted : STORE_ROWS_MAX;
}

static int over_time(void *ctx)
{
    const struct sq_reader *r = ctx;
    return clock_mono(clock_system()).ms > r->until_ms;
}

static int reader_fail(struct sq_reader *r, struct err *err)
{
    return sq_error(r->db, r->path, "read", err);
}

/* Prepares and binds; the query's time starts now. NULL on failure. Frees what s holds. */
static sqlite3_stmt *start(struct sq_reader *r, struct select *s, struct err *err)
{
    sqlite3_stmt *q = NULL;
    r->until_ms = clock_mono(clock_system()).ms + STORE_QUERY_MS;
    if (!strbuf_ok(&s->sql))
        err_set(err, ERR_LIMIT, "the query is too long");
    else if (sqlite3_prepare_v2(r->db, s->sql.p, -1, &q, NULL) != SQLITE_OK)
        reader_fail(r, err);
    for (int i = 0; q && i < s->n; i++) {
        if (s->values[i].is_text)
            sq_text(q, i + 1, s->values[i].text);
        else
            sq_int(q, i + 1, s->values[i].number);
    }
    strbuf_fini(&s->sql);
    return q;
}

/* 1 row, 0 end, -1; finished after 0 and -1. */
static int next(struct sq_reader *r, sqlite3_stmt *q, struct err *err)
{
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) return 1;
    if (rc != SQLITE_DONE) reader_fail(r, err);
    sqlite3_finalize(q);
    return rc == SQLITE_DONE ? 0 : -1;
}

/* --- incidents ------------------------------------------------------------------------------------------ */
static void add_incident_state(struct select *s, struct str name)
{
    if (str_absent(name)) return;
    if (str_eq_c(name, "unresolved")) {
        strbuf_c(&s->sql, " AND i.state < 3");
        return;
    }
    for (int i = INCIDENT_PENDING; i <= INCIDENT_RESOLVED; i++) {
        if (!str_eq_c(name, incident_state_name((enum incident_state)i))) continue;
        add_number(s, " AND i.state = ?", i);
        if (i != INCIDENT_RESOLVED) strbuf_c(&s->sql, " AND i.state < 3"); /* lets incidents_live be used */
        return;
    }
    strbuf_c(&s->sql, " AND 0");
}

static void add_search(struct select *s, struct str q)
{
    if (str_absent(q) || q.n == 0) return;
    add_text(s, " AND (instr(lower(i.title), lower(?))", q);
    add_text(s, " OR instr(lower(i.key), lower(?))", q);
    add_text(s, " OR instr(lower(i.last_run), lower(?)))", q);
}

static int sq_incidents(struct store_reader *reader, struct arena *a, const struct store_incident_filter *f,
                        struct engine_incident_row *out, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc = 1;
    *n = 0;
    select_init(&s, "SELECT " SQ_INCIDENT_COLUMNS " FROM incidents i WHERE ");
    add_number(&s, "i.id < ?", cursor(f->before));
    add_incident_state(&s, f->state);
    add_text(&s, " AND i.rule = ?", f->rule);
    add_text(&s, " AND i.task = ?", f->task);
    add_text(&s, " AND i.env = ?", f->env);
    add_text(&s, " AND i.project = ?", f->project);
    add_text(&s, " AND i.key = ?", f->key);
    add_search(&s, f->q);
    add_number(&s, " ORDER BY i.id DESC LIMIT ?", (int64_t)row_limit(f->limit));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1) sq_incident_read(q, a, &out[(*n)++]);
    return rc;
}

static int sq_incident(struct store_reader *reader, struct arena *a, uint64_t id,
                       struct engine_incident_row *out, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    select_init(&s, "SELECT " SQ_INCIDENT_COLUMNS ", i.state_blob, x.detail FROM incidents i"
                    " LEFT JOIN details x ON x.incident = i.id WHERE ");
    add_number(&s, "i.id = ?", (int64_t)id);
    q = start(r, &s, err);
    if (!q) return -1;
    rc = next(r, q, err);
    if (rc != 1) return rc;
    sq_incident_read(q, a, out);
    out->state_blob = sq_col_dup(a, q, SQ_INCIDENT_WIDTH);
    out->detail = sq_col_dup(a, q, SQ_INCIDENT_WIDTH + 1);
    sqlite3_finalize(q);
    return 1;
}

static int sq_notes(struct store_reader *reader, struct arena *a, uint64_t incident, struct store_note *out,
                    size_t max, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *n = 0;
    select_init(&s, "SELECT at_ms, what, body FROM (SELECT * FROM notes WHERE ");
    add_number(&s, "incident = ?", (int64_t)incident);
    add_number(&s, " ORDER BY seq DESC LIMIT ?) ORDER BY seq", (int64_t)row_limit(max));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1)
        out[(*n)++] =
            (struct store_note){ incident, sq_col_int(q, 0), sq_col_dup(a, q, 1), sq_col_dup(a, q, 2) };
    return rc;
}

/* --- deliveries ----------------------------------------------------------------------------------------- */
static int sq_deliveries(struct store_reader *reader, struct arena *a, const struct store_delivery_filter *f,
                         struct store_delivery *out, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *n = 0;
    select_init(&s, "SELECT " SQ_DELIVERY_COLUMNS " FROM deliveries d LEFT JOIN captures c"
                    " ON c.destination = d.destination AND c.lane = d.lane WHERE ");
    add_number(&s, "d.id < ?", cursor(f->before));
    if (f->state >= 0) add_number(&s, " AND d.state = ?", f->state);
    if (f->state >= 0 && f->state != DELIVERY_DELIVERED)
        strbuf_c(&s.sql, " AND d.state <> 2"); /* deliveries_states */
    if (f->incident) add_number(&s, " AND d.incident = ?", (int64_t)f->incident);
    add_text(&s, " AND d.destination = ?", f->destination);
    add_number(&s, " ORDER BY d.id DESC LIMIT ?", (int64_t)row_limit(f->limit));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1) sq_delivery_read(q, a, &out[(*n)++]);
    return rc;
}

static int sq_attempts(struct store_reader *reader, struct arena *a, uint64_t delivery,
                       struct store_attempt *out, size_t max, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *n = 0;
    select_init(&s, "SELECT at_ms, took_ms, class, status, state, due_ms, detail, captures FROM (SELECT * "
                    "FROM attempts WHERE ");
    add_number(&s, "delivery = ?", (int64_t)delivery);
    add_number(&s, " ORDER BY n DESC LIMIT ?) ORDER BY n", (int64_t)row_limit(max));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1)
        out[(*n)++] = (struct store_attempt){ .delivery = delivery,
                                              .at_ms = sq_col_int(q, 0),
                                              .took_ms = sq_col_int(q, 1),
                                              .class = (int)sq_col_int(q, 2),
                                              .status = (int)sq_col_int(q, 3),
                                              .state = (enum delivery_state)sq_col_int(q, 4),
                                              .due_ms = sq_col_int(q, 5),
                                              .detail = sq_col_dup(a, q, 6),
                                              .captures = sq_col_dup(a, q, 7) };
    return rc;
}

/* --- runs, events, rejected ----------------------------------------------------------------------------- */
static int sq_run_find(struct store_reader *reader, struct arena *a, struct str project, struct str env,
                       struct str run, struct store_run *out, size_t max, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *n = 0;
    select_init(&s, "SELECT project, env, known, updated_ms, last_event FROM runs");
    add_text(&s, " WHERE run = ?", run.p ? run : STR(""));
    add_text(&s, " AND project = ?", project);
    add_text(&s, " AND env = ?", env);
    add_number(&s, " ORDER BY project, env LIMIT ?", (int64_t)row_limit(max));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1)
        out[(*n)++] = (struct store_run){ sq_col_dup(a, q, 0), sq_col_dup(a, q, 1), str_dup(a, run),
                                          sq_col_dup(a, q, 2), sq_col_int(q, 3),    sq_col_id(q, 4) };
    return rc;
}

#define EVENT_COLUMNS "id, arrival_ms, event_ms, attempt, source, project, env, run, status, state, body"

/* Texts are copied into a, or with a NULL borrowed until the next step. */
static void read_event(sqlite3_stmt *q, struct arena *a, struct store_event *out)
{
    struct str *const texts[] = { &out->source, &out->project, &out->env, &out->run, &out->status, &out->state, &out->body };
    out->id = sq_col_id(q, 0);
    out->arrival_ms = sq_col_int(q, 1);
    out->event_ms = sq_col_int(q, 2);
    out->attempt = sq_col_int(q, 3);
    for (int i = 0; i < 7; i++) *texts[i] = a ? sq_col_dup(a, q, 4 + i) : sq_col(q, 4 + i);
}

static int sq_event(struct store_reader *reader, struct arena *a, uint64_t id, struct store_event *out,
                    struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    select_init(&s, "SELECT " EVENT_COLUMNS " FROM events WHERE ");
    add_number(&s, "id = ?", (int64_t)id);
    q = start(r, &s, err);
    if (!q) return -1;
    rc = next(r, q, err);
    if (rc != 1) return rc;
    read_event(q, a, out);
    sqlite3_finalize(q);
    return 1;
}

/* A page of the log. */
static int read_page(struct sq_reader *r, struct select *s, store_event_fn fn, void *ctx, size_t *n, struct err *err)
{
    struct store_event e;
    sqlite3_stmt *q = start(r, s, err);
    int rc;
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1) {
        read_event(q, NULL, &e);
        ++*n;
        if (fn(ctx, &e, err) == 0) continue;
        sqlite3_finalize(q);
        return -1;
    }
    return rc;
}

static int sq_events(struct store_reader *reader, uint64_t after, size_t max, store_event_fn fn, void *ctx, size_t *n, struct err *err)
{
    struct select s;
    *n = 0;
    if (after > INT64_MAX) return 0;
    select_init(&s, "SELECT " EVENT_COLUMNS " FROM events WHERE ");
    add_number(&s, "id > ?", (int64_t)after);
    add_number(&s, " ORDER BY id LIMIT ?", (int64_t)row_limit(max));
    return read_page((struct sq_reader *)reader, &s, fn, ctx, n, err);
}

static int sq_events_back(struct store_reader *reader, uint64_t before, size_t max, store_event_fn fn, void *ctx, size_t *n, struct err *err)
{
    struct select s;
    *n = 0;
    select_init(&s, "SELECT " EVENT_COLUMNS " FROM events WHERE ");
    add_number(&s, "id < ?", before > INT64_MAX ? INT64_MAX : (int64_t)before);
    add_number(&s, " ORDER BY id DESC LIMIT ?", (int64_t)row_limit(max));
    return read_page((struct sq_reader *)reader, &s, fn, ctx, n, err);
}

static int sq_events_of(struct store_reader *reader, const uint64_t *ids, size_t n, store_event_fn fn, void *ctx, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct store_event e;
    struct select s;
    sqlite3_stmt *q;
    int rc = 0;
    select_init(&s, "SELECT " EVENT_COLUMNS " FROM events WHERE ");
    add_number(&s, "id = ?", 0);
    q = start(r, &s, err);
    if (!q) return -1;
    for (size_t i = 0; i < row_limit(n) && rc == 0; i++) {
        int step;
        sqlite3_reset(q);
        sq_int(q, 1, ids[i] > INT64_MAX ? 0 : (int64_t)ids[i]);
        step = sqlite3_step(q);
        if (step == SQLITE_ROW) {
            read_event(q, NULL, &e);
            rc = fn(ctx, &e, err);
        } else if (step != SQLITE_DONE) {
            rc = reader_fail(r, err);
        }
    }
    sqlite3_finalize(q);
    return rc < 0 ? -1 : 0;
}

static int sq_rejected(struct store_reader *reader, struct arena *a, uint64_t before,
                       struct store_rejected *out, size_t max, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *n = 0;
    select_init(&s, "SELECT id, at_ms, source, reason, body FROM rejected WHERE ");
    add_number(&s, "id < ?", cursor(before));
    add_number(&s, " ORDER BY id DESC LIMIT ?", (int64_t)row_limit(max));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1)
        out[(*n)++] = (struct store_rejected){ sq_col_id(q, 0), sq_col_int(q, 1), sq_col_dup(a, q, 2),
                                               sq_col_dup(a, q, 3), sq_col_dup(a, q, 4) };
    return rc;
}

static int by_key(struct store_reader *reader, struct arena *a, const char *sql, struct str key, struct str *value, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *value = STR_NONE;
    select_init(&s, sql);
    add_text(&s, "key = ?", key);
    q = start(r, &s, err);
    if (!q) return -1;
    rc = next(r, q, err);
    if (rc != 1) return rc;
    *value = sq_col_dup(a, q, 0);
    sqlite3_finalize(q);
    return 1;
}

static int sq_cells(struct store_reader *reader, struct arena *a, struct str prefix, struct engine_cell_row *out, size_t max, size_t *n, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct str behind = str_printf(a, STR_FMT "\xff", STR_ARG(prefix));
    struct select s;
    sqlite3_stmt *q;
    int rc;
    *n = 0;
    select_init(&s, "SELECT key, blob FROM cells WHERE ");
    add_text(&s, "key >= ?", prefix);
    add_text(&s, " AND key < ?", behind);
    add_number(&s, " ORDER BY key LIMIT ?", (int64_t)row_limit(max));
    q = start(r, &s, err);
    if (!q) return -1;
    while ((rc = next(r, q, err)) == 1) out[(*n)++] = (struct engine_cell_row){ sq_col_dup(a, q, 0), sq_col_dup(a, q, 1) };
    return rc;
}

static int sq_meta(struct store_reader *r, struct arena *a, struct str key, struct str *value, struct err *err)
{
    return by_key(r, a, "SELECT value FROM meta WHERE ", key, value, err);
}

static int sq_cell(struct store_reader *r, struct arena *a, struct str key, struct str *blob, struct err *err)
{
    return by_key(r, a, "SELECT blob FROM cells WHERE ", key, blob, err);
}

/* The counters of the writer, and three things the small partial indexes tell: unresolved incidents, and the
 * oldest of each undelivered state (0 pending, 3 retrying). No table is scanned. */
static const char counts_sql[] =
    "SELECT c.events, c.runs, c.incidents, c.undelivered, c.dead, c.rejected,"
    " (SELECT count(*) FROM incidents WHERE state < 3 AND state IN (1, 2)),"
    " (SELECT created_ms FROM deliveries WHERE state <> 2 AND state = 0 ORDER BY id LIMIT 1),"
    " (SELECT created_ms FROM deliveries WHERE state <> 2 AND state = 3 ORDER BY id LIMIT 1),"
    " (p.page_count - f.freelist_count) * z.page_size,"
    " max(coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM rejected), 0))"
    " FROM counts c, pragma_page_count p, pragma_freelist_count f, pragma_page_size z";

static int64_t oldest(sqlite3_stmt *q, int at, int64_t than)
{
    int64_t ms = sq_col_int(q, at);
    if (sqlite3_column_type(q, at) == SQLITE_NULL) return than;
    return than == 0 || ms < than ? ms : than;
}

static int sq_counts(struct store_reader *reader, struct store_counts *out, struct err *err)
{
    struct sq_reader *r = (struct sq_reader *)reader;
    struct select s;
    sqlite3_stmt *q;
    int rc;
    select_init(&s, counts_sql);
    q = start(r, &s, err);
    if (!q) return -1;
    rc = next(r, q, err);
    if (rc != 1)
        return rc == 0 ? err_set(err, ERR_IO, "store %s is damaged: its counts are gone", r->path) : -1;
    *out = (struct store_counts){ .events = sq_col_int(q, 0),
                                  .runs = sq_col_int(q, 1),
                                  .incidents = sq_col_int(q, 2),
                                  .deliveries_undelivered = sq_col_int(q, 3),
                                  .deliveries_dead = sq_col_int(q, 4),
                                  .rejected = sq_col_int(q, 5),
                                  .incidents_open = sq_col_int(q, 6),
                                  .oldest_undelivered_ms = oldest(q, 7, oldest(q, 8, 0)),
                                  .size_bytes = sq_col_int(q, 9),
                                  .newest_event = sq_col_id(q, 10) };
    sqlite3_finalize(q);
    return 0;
}

/* --- open and close ------------------------------------------------------------------------------------- */
static void sq_reader_close(struct store_reader **reader)
{
    struct sq_reader *r = (struct sq_reader *)*reader;
    if (!r) return;
    sqlite3_close(r->db);
    free(r->path);
    free(r);
    *reader = NULL;
}

static const struct store_reader_ops reader_ops = {
    .close = sq_reader_close,
    .incidents = sq_incidents,
    .incident = sq_incident,
    .notes = sq_notes,
    .deliveries = sq_deliveries,
    .attempts = sq_attempts,
    .run = sq_run_find,
    .event = sq_event,
    .events = sq_events,
    .events_back = sq_events_back,
    .events_of = sq_events_of,
    .rejected = sq_rejected,
    .counts = sq_counts,
    .meta = sq_meta,
    .cells = sq_cells,
    .cell = sq_cell,
};

static struct store_reader *open_reader(const char *path, struct err *err)
{
    struct sq_reader *r = xcalloc(1, sizeof *r);
    struct store_reader *reader = &r->reader;
    int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    r->reader.ops = &reader_ops;
    r->path = xstrdup(path);
    if (sqlite3_open_v2(r->path, &r->db, flags, NULL) == SQLITE_OK &&
        sqlite3_db_config(r->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL) == SQLITE_OK &&
        sqlite3_exec(r->db,
                     "PRAGMA cache_size = -1024; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
                     "PRAGMA query_only = ON;",
                     NULL, NULL, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(r->db, 1000);
        sqlite3_progress_handler(r->db, 10000, over_time, r);
        return reader;
    }
    reader_fail(r, err);
    sq_reader_close(&reader);
    return NULL;
}

struct store_reader *sq_reader_open(struct store *store, struct err *err)
{
    return open_reader(((const struct sq_store *)store)->path, err);
}

struct store_reader *store_sqlite_reader_open(const char *path, struct err *err)
{
    struct store_reader *reader;
    struct stat st;
    if (stat(path, &st) != 0) {
        err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot open store %s: %m", path);
        return NULL;
    }
    reader = open_reader(path, err);
    if (reader && sq_schema_known(((struct sq_reader *)reader)->db, path, err) < 0) sq_reader_close(&reader);
    return reader;
}
