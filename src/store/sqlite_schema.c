/* The schema, its migrations, and every statement of the writer. */
#include <string.h>

#include "store/sqlite_internal.h"

#define APPLICATION_ID 0x52554e42 /* "RUNB" */

_Static_assert(INCIDENT_RESOLVED == 3 && DELIVERY_DELIVERED == 2 && DELIVERY_DEAD == 4,
               "the SQL below and every store out there hold these numbers");

/* Number n brings a store from version n to n + 1. A released one is never changed. */
static const char *const migrations[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE counts(one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL, runs INTEGER"
    " NOT NULL, incidents INTEGER NOT NULL, undelivered INTEGER NOT NULL, dead INTEGER NOT NULL, rejected"
    " INTEGER NOT NULL);"
    "INSERT INTO counts VALUES(1, 0, 0, 0, 0, 0, 0);"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, arrival_ms INTEGER NOT NULL, event_ms INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL, source TEXT NOT NULL, project TEXT NOT NULL, env TEXT NOT NULL, run TEXT"
    " NOT NULL, status TEXT NOT NULL, state TEXT NOT NULL, body TEXT NOT NULL);"
    /* The run comes first in the key: runs of all environments then share one right edge, and a run is found
     * without its project. Rows apart from the key: runs with random ids touch one page of keys each and
     * not one of rows. */
    "CREATE TABLE runs(id INTEGER PRIMARY KEY, updated_ms INTEGER NOT NULL, last_event INTEGER NOT NULL,"
    " project TEXT NOT NULL, env TEXT NOT NULL, run TEXT NOT NULL, known TEXT NOT NULL, UNIQUE(run,"
    " project, env));"
    "CREATE TABLE incidents(id INTEGER PRIMARY KEY, project TEXT NOT NULL, env TEXT NOT NULL, rule TEXT"
    " NOT NULL, key TEXT NOT NULL, label TEXT NOT NULL, state INTEGER NOT NULL, severity INTEGER NOT NULL,"
    " opened_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, resolved_ms INTEGER NOT NULL, hits INTEGER"
    " NOT NULL, runs INTEGER NOT NULL, title TEXT NOT NULL, task TEXT NOT NULL, last_run TEXT NOT NULL,"
    " state_blob BLOB);"
    /* load, lists, counts */
    "CREATE INDEX incidents_live ON incidents(state) WHERE state < 3;"
    /* purge */
    "CREATE INDEX incidents_done ON incidents(resolved_ms) WHERE state = 3;"
    "CREATE TABLE details(incident INTEGER PRIMARY KEY, detail BLOB NOT NULL);"
    "CREATE TABLE notes(incident INTEGER, seq INTEGER, at_ms INTEGER NOT NULL, what TEXT NOT NULL, body"
    " TEXT NOT NULL, PRIMARY KEY(incident, seq)) WITHOUT ROWID;"
    "CREATE TABLE cells(key TEXT PRIMARY KEY, blob BLOB NOT NULL) WITHOUT ROWID;"
    /* turn: 1 = head of its lane, 0 = waits behind the head, NULL = delivered or dead. Kept up to date by the
     * writer, so that due heads are a walk along an index however long the lanes are. */
    "CREATE TABLE deliveries(id INTEGER PRIMARY KEY, message INTEGER NOT NULL, incident INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, state INTEGER NOT NULL, turn INTEGER, created_ms INTEGER NOT NULL, due_ms"
    " INTEGER NOT NULL, expires_ms INTEGER NOT NULL, done_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " destination TEXT NOT NULL, lane TEXT NOT NULL, last_error TEXT NOT NULL, params TEXT, content TEXT"
    " NOT NULL);"
    /* due_deliveries */
    "CREATE INDEX deliveries_heads ON deliveries(destination, due_ms) WHERE turn = 1;"
    /* who is next */
    "CREATE INDEX deliveries_lanes ON deliveries(destination, lane) WHERE turn IS NOT NULL;"
    /* lists, the oldest */
    "CREATE INDEX deliveries_states ON deliveries(state) WHERE state <> 2;"
    /* lists, purge */
    "CREATE INDEX deliveries_incident ON deliveries(incident);"
    "CREATE TABLE attempts(delivery INTEGER, n INTEGER, at_ms INTEGER NOT NULL, took_ms INTEGER NOT NULL,"
    " class INTEGER NOT NULL, status INTEGER NOT NULL, state INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
    " detail TEXT NOT NULL, captures TEXT, PRIMARY KEY(delivery, n)) WITHOUT ROWID;"
    "CREATE TABLE captures(destination TEXT, lane TEXT, captures TEXT NOT NULL, PRIMARY KEY(destination,"
    " lane)) WITHOUT ROWID;"
    "CREATE TABLE rejected(id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, source TEXT NOT NULL, reason"
    " TEXT NOT NULL, body BLOB NOT NULL);",
    /* 2: no other tables, but cells that a runbell of version 1 would misread: windows in several, watched runs, absences, silences. */
    "",
};
enum { SCHEMA_VERSION = sizeof migrations / sizeof *migrations };

#define DELIVERY_FROM \
    " FROM deliveries d LEFT JOIN captures c ON c.destination = d.destination AND c.lane = d.lane "

const char *const sq_sql[SQ_QUERIES] = {
    [SQ_BEGIN] = "BEGIN IMMEDIATE",
    [SQ_COMMIT] = "COMMIT",
    [SQ_ROLLBACK] = "ROLLBACK",
    [SQ_EVENT_INSERT] =
        "INSERT INTO events(id, arrival_ms, event_ms, attempt, source, project, env, run, status, state,"
        " body) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [SQ_RUN_UPSERT] =
        "INSERT INTO runs(updated_ms, last_event, project, env, run, known) VALUES(?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT(run, project, env) DO UPDATE SET updated_ms = ?1, last_event = ?2, known = ?6",
    [SQ_RUN_KNOWN] = "SELECT known FROM runs WHERE run = ?1 AND project = ?2 AND env = ?3",
    [SQ_INCIDENT_UPSERT] =
        "INSERT INTO incidents VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
        " coalesce(?14, ''), coalesce(?15, ''), coalesce(?16, ''), ?17) ON CONFLICT(id) DO UPDATE SET"
        " label = ?6, state = ?7, severity = ?8, opened_ms = ?9, updated_ms = ?10, resolved_ms = ?11, hits"
        " = ?12, runs = ?13, title = coalesce(?14, title), task = coalesce(?15, task), last_run ="
        " coalesce(?16, last_run), state_blob = ?17",
    [SQ_DETAIL_UPSERT] = "INSERT INTO details VALUES(?1, ?2) ON CONFLICT(incident) DO UPDATE SET detail = ?2",
    [SQ_DETAIL] = "SELECT detail FROM details WHERE incident = ?1",
    [SQ_NOTE_INSERT] =
        "INSERT INTO notes(incident, seq, at_ms, what, body) VALUES(?1, (SELECT coalesce(max(seq), 0) + 1"
        " FROM notes WHERE incident = ?1), ?2, ?3, ?4)",
    [SQ_CELL_UPSERT] = "INSERT INTO cells VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET blob = ?2",
    [SQ_CELL_DELETE] = "DELETE FROM cells WHERE key = ?1",
    [SQ_REJECTED_INSERT] = "INSERT INTO rejected(id, at_ms, source, reason, body) VALUES(?1, ?2, ?3, ?4, ?5)",
    [SQ_META_UPSERT] = "INSERT INTO meta VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2",
    [SQ_META] = "SELECT value FROM meta WHERE key = ?1",
    [SQ_COUNTS_LOAD] = "SELECT events, runs, incidents, undelivered, dead, rejected FROM counts",
    [SQ_COUNTS_SAVE] =
        "UPDATE counts SET events = ?1, runs = ?2, incidents = ?3, undelivered = ?4, dead = ?5, rejected ="
        " ?6 WHERE one = 1",
    [SQ_LOAD_INCIDENTS] = "SELECT " SQ_INCIDENT_COLUMNS ", i.state_blob FROM incidents i WHERE i.state < 3",
    [SQ_CELL] = "SELECT blob FROM cells WHERE key = ?1",
    [SQ_LOAD_CELLS] = "SELECT key, blob FROM cells",

    [SQ_DELIVERY_INSERT] =
        "INSERT INTO deliveries(id, message, incident, kind, state, turn, created_ms, due_ms, expires_ms,"
        " done_ms, attempts, destination, lane, last_error, params, content) VALUES(?1, ?2, ?3, ?4, ?5,"
        " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [SQ_DELIVERY_STATE] = "SELECT state, turn, attempts, destination, lane FROM deliveries WHERE id = ?1",
    /* Does not name turn: a retry then leaves the index of lanes alone. */
    [SQ_DELIVERY_WAIT] =
        "UPDATE deliveries SET state = ?2, attempts = ?3, due_ms = ?4, last_error = coalesce(?5,"
        " last_error) WHERE id = ?1",
    [SQ_DELIVERY_END] =
        "UPDATE deliveries SET state = ?2, attempts = ?3, done_ms = ?4, last_error = ?5, turn = NULL WHERE"
        " id = ?1",
    [SQ_DELIVERY_COUNT] = "UPDATE deliveries SET attempts = ?2 WHERE id = ?1",
    [SQ_DELIVERY_AGAIN] =
        "UPDATE deliveries SET state = ?2, turn = ?3, due_ms = ?4, done_ms = 0, expires_ms ="
        " max(expires_ms, ?4 + expires_ms - created_ms) WHERE id = ?1",
    [SQ_DELIVERY] = "SELECT " SQ_DELIVERY_COLUMNS DELIVERY_FROM "WHERE d.id = ?1",
    [SQ_LANE_HEAD] =
        "SELECT id FROM deliveries WHERE destination = ?1 AND lane = ?2 AND turn IS NOT NULL ORDER BY id"
        " LIMIT 1",
    [SQ_TURN_SET] = "UPDATE deliveries SET turn = ?2 WHERE id = ?1",
    [SQ_ATTEMPT_INSERT] =
        "INSERT INTO attempts(delivery, n, at_ms, took_ms, class, status, state, due_ms, detail, captures)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [SQ_CAPTURES_UPSERT] =
        "INSERT INTO captures VALUES(?1, ?2, ?3) ON CONFLICT(destination, lane) DO UPDATE SET captures ="
        " ?3",
    [SQ_CAPTURES_DELETE] = "DELETE FROM captures WHERE destination = ?1 AND lane = ?2",
    [SQ_DUE_IDS] =
        "SELECT id, due_ms FROM deliveries WHERE turn = 1 AND destination = ?1 ORDER BY due_ms, id LIMIT"
        " ?2",
    [SQ_DUE_DESTINATION] = "SELECT min(destination) FROM deliveries WHERE turn = 1 AND destination > ?1",

    [SQ_PURGE_EVENT_LAST] =
        "SELECT max(id), count(*) FROM (SELECT id FROM events WHERE id < ?1 ORDER BY id LIMIT ?2)",
    [SQ_PURGE_RUNS] =
        "DELETE FROM runs WHERE id IN (SELECT r.id FROM events e CROSS JOIN runs r ON r.run = e.run AND"
        " r.project = e.project AND r.env = e.env WHERE e.id <= ?1 AND r.last_event <= e.id)",
    [SQ_PURGE_EVENTS] = "DELETE FROM events WHERE id <= ?1",
    [SQ_PURGE_REJECTED_LAST] =
        "SELECT max(id), count(*) FROM (SELECT id FROM rejected WHERE id < ?1 ORDER BY id LIMIT ?2)",
    [SQ_PURGE_REJECTED] = "DELETE FROM rejected WHERE id <= ?1",
    [SQ_PURGE_INCIDENT_FIND] =
        "SELECT i.id, (SELECT count(*) FROM deliveries d WHERE d.incident = i.id AND d.state = 4) FROM"
        " incidents i WHERE i.state = 3 AND i.resolved_ms < ?1 AND NOT EXISTS (SELECT 1 FROM deliveries d"
        " WHERE d.incident = i.id AND d.turn IS NOT NULL) ORDER BY i.resolved_ms LIMIT 1",
    [SQ_PURGE_NOTES] =
        "DELETE FROM notes WHERE incident = ?1 AND seq < (SELECT min(seq) FROM notes WHERE incident = ?1)"
        " + ?2",
    [SQ_PURGE_ATTEMPTS] =
        "DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE incident = ?1)",
    [SQ_PURGE_CAPTURES] =
        "DELETE FROM captures WHERE (destination, lane) IN (SELECT destination, lane FROM deliveries WHERE"
        " incident = ?1)",
    [SQ_PURGE_DELIVERIES] = "DELETE FROM deliveries WHERE incident = ?1",
    [SQ_PURGE_DETAIL] = "DELETE FROM details WHERE incident = ?1",
    [SQ_PURGE_INCIDENT] = "DELETE FROM incidents WHERE id = ?1",
    [SQ_PURGE_LOOSE_FIND] =
        "SELECT id, state FROM deliveries WHERE incident = 0 AND id < ?2 AND turn IS NULL AND done_ms < ?1"
        " ORDER BY id LIMIT 1",
    [SQ_PURGE_DELIVERY] = "DELETE FROM deliveries WHERE id = ?1",
    [SQ_PURGE_DELIVERY_ATTEMPTS] = "DELETE FROM attempts WHERE delivery = ?1",
    [SQ_PAGES] =
        "SELECT (c.page_count - f.freelist_count) * s.page_size FROM pragma_page_count c,"
        " pragma_freelist_count f, pragma_page_size s",
};

static int read_number(sqlite3 *db, const char *path, const char *sql, int64_t *out, struct err *err)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) *out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return rc == SQLITE_ROW ? 0 : sq_error(db, path, "read", err);
}

/* A file that is a database of somebody else must not be written to. */
static int check_ours(sqlite3 *db, const char *path, int64_t *version, struct err *err)
{
    int64_t application = 0, objects = 0;
    if (read_number(db, path, "PRAGMA application_id", &application, err) ||
        read_number(db, path, "PRAGMA user_version", version, err) ||
        read_number(db, path, "SELECT count(*) FROM sqlite_schema", &objects, err))
        return -1;
    if (application != APPLICATION_ID && (objects > 0 || application != 0 || *version != 0))
        return err_set(err, ERR_TYPE,
                       "%s is a database, but not a runbell store: set store.url to another path", path);
    if (*version < 0 || (application == APPLICATION_ID && *version == 0))
        return err_set(err, ERR_IO, "store %s is damaged: it holds no schema version; restore a backup",
                       path);
    if (*version > SCHEMA_VERSION)
        return err_set(
            err, ERR_TYPE,
            "store %s was written by a newer runbell (schema %lld, this one knows %d): install the "
            "newer version, or restore a backup made before it",
            path, (long long)*version, SCHEMA_VERSION);
    return 0;
}

static int migrate(struct sq_store *s, int64_t version, struct err *err)
{
    char tail[96];
    if (snprintf(tail, sizeof tail, "PRAGMA application_id = %d; PRAGMA user_version = %lld; COMMIT",
                 APPLICATION_ID, (long long)version + 1) < 0)
        return err_set(err, ERR_IO, "cannot format a number");
    if (sq_exec(s, "BEGIN IMMEDIATE", err) == 0 && sq_exec(s, migrations[version], err) == 0 &&
        sq_exec(s, tail, err) == 0)
        return 0;
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return -1;
}

int sq_schema_ready(struct sq_store *s, struct err *err)
{
    int64_t version = 0;
    if (check_ours(s->db, s->path, &version, err)) return -1;
    for (; version < SCHEMA_VERSION; version++)
        if (migrate(s, version, err)) return -1;
    return 0;
}

int sq_schema_known(sqlite3 *db, const char *path, struct err *err)
{
    int64_t version = 0;
    if (check_ours(db, path, &version, err)) return -1;
    if (version == SCHEMA_VERSION) return 0;
    if (version == 0) return err_set(err, ERR_NOT_FOUND, "store %s holds nothing yet: no server has run with it", path);
    return err_set(err, ERR_TYPE, "store %s was written by an older runbell (schema %lld, this one knows %d): start this version's "
                   "server once, which brings it up to date", path, (long long)version, SCHEMA_VERSION);
}
