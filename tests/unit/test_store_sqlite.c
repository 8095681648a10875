/* What is SQLite's own in the store: who may open it, what is refused, crashes, full disks, checkpoints,
 * plans. */
#include "store_fixture.inc"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/failpoint.h"
#include "store/sqlite_internal.h"

static void close_store(struct fixture *f)
{
    f->store->ops->close(&f->store);
}

static void assert_refused(struct fixture *f, enum err_code code, const char *says)
{
    struct err err = { 0 };
    struct store *s = store_open("sqlite:test.db", f->dir, &err);
    if (s) fail_msg("opened, wanted: %s", says);
    if (!strstr(err.msg, says)) fail_msg("got \"%s\", wanted \"%s\"", err.msg, says);
    assert_non_null(strstr(err.msg, f->dir)); /* names the file */
    assert_int_equal(err.code, code);
}

/* A connection beside the store's: only ever used while it is closed, or to look. */
static sqlite3 *raw_open(struct fixture *f)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    return db;
}

static void raw_exec(struct fixture *f, const char *sql)
{
    sqlite3 *db = raw_open(f);
    char *msg = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &msg) != SQLITE_OK) fail_msg("%s", msg);
    sqlite3_close(db);
}

static int64_t raw_number(struct fixture *f, const char *sql)
{
    sqlite3 *db = raw_open(f);
    sqlite3_stmt *q;
    int64_t out;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    out = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    return out;
}

static void assert_integrity(struct fixture *f)
{
    sqlite3 *db = raw_open(f);
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(q, 0), "ok");
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static void write_file(const char *path, const char *text, size_t n)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    fclose(file);
}

static const char *beside(struct fixture *f, const char *suffix)
{
    return str_printf(&f->arena, "%s%s", f->path, suffix).p;
}

static int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* --- who may open it ------------------------------------------------------------------------------------ */
static void test_second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    char wanted[64];
    int ready[2], hold[2], status;
    pid_t child;
    close_store(f);
    assert_int_equal(pipe(ready) + pipe(hold), 0);
    child = fork();
    if (child == 0) {
        struct err err;
        close(hold[1]);
        if (!store_open("sqlite:test.db", f->dir, &err) || write(ready[1], "x", 1) != 1) _exit(1);
        _exit((int)read(hold[0], wanted, 1)); /* holds the store as long as the parent lives */
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], wanted, 1), 1);
    snprintf(wanted, sizeof wanted, "is in use by another runbell (pid %ld)", (long)child);
    assert_refused(f, ERR_CONFLICT, wanted);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_open(f);                                              /* the lock died with its holder */
    assert_refused(f, ERR_CONFLICT, "in use by another runbell"); /* in one process, too */
    close(ready[0]);
    close(hold[0]);
    close(hold[1]);
}

static void test_only_we_can_read_it(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".lock" };
    struct fixture *f = *state;
    struct stat st;
    add_event(f, 1, "run_1");
    commit(f);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(stat(beside(f, ends[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* Permissions do not bind root: the child becomes nobody. */
static void refused_as_nobody(struct fixture *f, mode_t dir_mode, mode_t file_mode, const char *says)
{
    int status;
    pid_t child;
    assert_int_equal(chmod(f->dir, dir_mode), 0);
    assert_int_equal(chmod(f->path, file_mode), 0);
    child = fork();
    if (child == 0) {
        struct err err = { 0 };
        struct store *s;
        if (geteuid() == 0 && (setgid(65534) || setuid(65534))) _exit(3);
        s = store_open("sqlite:test.db", f->dir, &err);
        if (s || !strstr(err.msg, says)) fprintf(stderr, "got \"%s\", wanted \"%s\"\n", err.msg, says);
        _exit(s ? 1 : strstr(err.msg, says) ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(chmod(f->dir, 0700), 0);
    assert_int_equal(status, 0);
}

static void test_read_only_places_are_refused(void **state)
{
    struct fixture *f = *state;
    close_store(f);
    unlink(beside(f, ".lock"));
    refused_as_nobody(f, 0555, 0666, "must be able to write its folder");
    refused_as_nobody(f, 0777, 0444, "must own it");
    fixture_open(f);
}

/* --- what is no store of ours --------------------------------------------------------------------------- */
static void test_foreign_files_are_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    static const char text[] =
        "Dear diary, this is a text of mine and not a database, whatever the name says. Keep it.";
    char back[sizeof text] = "";
    FILE *file;
    close_store(f);
    unlink(f->path);
    write_file(f->path, text, sizeof text);
    assert_refused(f, ERR_IO, "is not a runbell store: move it away");
    file = fopen(f->path, "r");
    assert_int_equal(fread(back, 1, sizeof back, file), sizeof back);
    fclose(file);
    assert_string_equal(back, text);
    unlink(f->path);
    raw_exec(f, "CREATE TABLE songs(name); INSERT INTO songs VALUES('x')");
    assert_refused(f, ERR_TYPE, "not a runbell store");
    unlink(f->path);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_refused(f, ERR_TYPE, "is a folder");
    rmdir(f->path);
    fixture_open(f);
}

static void test_a_newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;
    add_event(f, 1, "run_1");
    commit(f);
    close_store(f);
    raw_exec(f, "PRAGMA user_version = 1000");
    assert_refused(f, ERR_TYPE, "newer runbell (schema 1000");
    raw_exec(f, "PRAGMA user_version = 0");
    assert_refused(f, ERR_IO, "holds no schema version");
    raw_exec(f, "PRAGMA user_version = 1"); /* an older one's store is brought up to date */
    fixture_open(f);
    assert_int_equal(counts_of(f).events, 1);
    assert_int_equal(raw_number(f, "PRAGMA user_version"), 2);
}

static void test_a_lost_or_damaged_file_is_never_a_new_start(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 1; i < 3000; i++) add_event(f, i, "run_1");
    commit(f);
    close_store(f);
    assert_int_equal(truncate(f->path, file_size(f->path) / 2), 0);
    assert_refused(f, ERR_IO, "is damaged");
    unlink(f->path);
    write_file(beside(f, "-wal"), "left from a database", 20);
    assert_refused(f, ERR_IO, "is missing or empty but its");
    write_file(f->path, "", 0);
    assert_refused(f, ERR_IO, "is missing or empty but its");
    assert_int_equal(file_size(beside(f, "-wal")), 20);
    unlink(beside(f, "-wal"));
    fixture_open(f);
}

/* --- crashes -------------------------------------------------------------------------------------------- */
static void add_numbered(struct fixture *f, uint64_t i)
{
    for (uint64_t k = 0; k < 20; k++) add_event(f, i * 100 + k, "run_1");
    add_run(f, "run_1", "prod", "k", i * 100);
    add_delivery(f, i, "slack", "a");
}

/* Commits until it is killed; tells each commit that returned. */
static void child_commits(struct fixture *f, const char *point, int out)
{
    struct err err;
    setenv("RUNBELL_FAILPOINT", point, 1);
    failpoint_setup();
    f->store = store_open("sqlite:test.db", f->dir, &err);
    if (!f->store) _exit(1);
    for (uint64_t i = 1; i < 200; i++) {
        add_numbered(f, i);
        if (f->store->ops->commit(f->store, &f->batch, &err)) _exit(2);
        if (write(out, "x", 1) != 1) _exit(3);
        store_batch_clear(&f->batch);
        if (f->store->ops->upkeep_due(f->store) && f->store->ops->upkeep(f->store, true, &err)) _exit(4);
    }
    _exit(0);
}

static void test_killed_at_every_point(void **state)
{
    static const struct {
        const char *point;
        int told, more;
    } cases[] = {
        { "store.begin:1", 0, 0 },       { "store.begin:7", 6, 0 },         { "store.half:1", 0, 0 },
        { "store.half:9", 8, 0 },        { "store.before_commit:5", 4, 0 }, { "store.after_commit:5", 4, 1 },
        { "store.checkpoint:1", -1, 0 }, { "store.checkpointed:1", -1, 0 }, { "store.checkpointed:2", -1, 0 },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status, back[2], told = 0;
        char byte;
        pid_t child;
        close_store(f);
        unlink(f->path);
        assert_int_equal(pipe(back), 0);
        child = fork();
        if (child == 0) child_commits(f, cases[i].point, back[1]);
        close(back[1]);
        while (read(back[0], &byte, 1) == 1) told++;
        close(back[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (cases[i].told >= 0)
            assert_int_equal(told, cases[i].told);
        else
            assert_in_range(told, 1, 198);
        fixture_open(f);
        assert_int_equal(counts_of(f).events, (told + cases[i].more) * 20);
        assert_int_equal(counts_of(f).deliveries_undelivered, told + cases[i].more);
        assert_int_equal(head_of(f, "slack", "a"), told + cases[i].more > 0 ? 1 : 0);
        add_numbered(f, 1000);
        commit(f);
        close_store(f);
        assert_integrity(f);
        fixture_open(f);
    }
}

/* --- short writes --------------------------------------------------------------------------------------- */
/* A limit on file sizes: a write that ends short. "No space left" is in test_store_powercut.c. */
static void test_a_short_write_refuses_and_heals(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, small;
    struct err err = { 0 };
    struct str was;
    const char *broken = NULL;
    signal(SIGXFSZ, SIG_IGN);
    add_numbered(f, 1);
    commit(f);
    was = dump(f);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = (rlim_t)file_size(beside(f, "-wal")) + 10000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 3; i++) {
        for (uint64_t k = 2; k < 50; k++) add_numbered(f, k);
        assert_int_equal(try_commit(f, &err), -1);
        if (err.code != ERR_IO || !strstr(err.msg, "cannot write to store")) broken = err.msg;
    }
    setrlimit(RLIMIT_FSIZE, &before);
    if (broken) fail_msg("%s", broken);
    {
        struct str now = dump(f);
        assert_true(str_eq(was, now));
    }
    for (uint64_t k = 2; k < 50; k++) add_numbered(f, k);
    commit(f);
    assert_int_equal(counts_of(f).deliveries_undelivered, 49);
    fixture_reopen(f);
    assert_int_equal(counts_of(f).events, 49 * 20);
    close_store(f);
    assert_integrity(f);
    fixture_open(f);
}

/* --- checkpoints and readers ---------------------------------------------------------------------------- */
static void fill(struct fixture *f, uint64_t from, uint64_t n)
{
    for (uint64_t i = from; i < from + n; i++) {
        add_numbered(f, i);
        commit(f);
    }
}

static void test_the_log_is_copied_back_when_told_to(void **state)
{
    struct fixture *f = *state;
    struct err err;
    int64_t log;
    assert_false(f->store->ops->upkeep_due(f->store));
    fill(f, 1, 3);
    assert_false(f->store->ops->upkeep_due(f->store)); /* a handful is not worth two syncs */
    fill(f, 4, 600);
    log = file_size(beside(f, "-wal"));
    assert_true(log > 1500 * 8192); /* nothing was copied behind our back */
    assert_true(f->store->ops->upkeep_due(f->store));
    assert_int_equal(f->store->ops->upkeep(f->store, true, &err), 0);
    assert_false(f->store->ops->upkeep_due(f->store));
    fill(f, 604, 100);
    assert_int_equal(file_size(beside(f, "-wal")), log); /* written over from its start */
    fill(f, 704, 100);
    assert_true(f->store->ops->upkeep_due(f->store));
    assert_int_equal(f->store->ops->upkeep(f->store, false, &err), 0);
    assert_true(f->store->ops->upkeep_due(f->store)); /* busy, and not yet long enough */
}

static void test_a_reader_neither_blocks_nor_checkpoints(void **state)
{
    struct fixture *f = *state;
    struct store_reader *r;
    struct store_counts c;
    struct store_event e;
    struct err err;
    int64_t size = file_size(f->path);
    fill(f, 1, 100);
    r = fixture_reader(f);
    assert_int_equal(r->ops->counts(r, &c, &err), 0);
    assert_int_equal(c.events, 2000);
    fill(f, 101, 1);
    assert_int_equal(r->ops->counts(r, &c, &err), 0);
    assert_int_equal(c.events, 2020);
    assert_int_equal(r->ops->event(r, &f->arena, 100, &e, &err), 1);
    assert_int_equal(r->ops->event(r, &f->arena, 99, &e, &err), 0);
    r->ops->close(&r);
    assert_null(r);
    assert_int_equal(file_size(f->path), size); /* all of it is still in the log */
}

/* --- plans: no statement of the hot paths walks a table that grows -------------------------------------- */
static bool scans(const char *plan)
{
    static const char *const grows[] = { "events", "runs",     "deliveries", "d", "incidents", "i",
                                         "notes",  "attempts", "captures",   "e", "r",         "c" };
    for (size_t i = 0; i < sizeof grows / sizeof *grows; i++) {
        char wanted[32];
        size_t n = (size_t)snprintf(wanted, sizeof wanted, "SCAN %s", grows[i]);
        if (strncmp(plan, wanted, n) == 0 && (plan[n] == '\0' || plan[n] == ' ') &&
            !strstr(plan, "USING INDEX incidents_live"))
            return true;
    }
    return false;
}

static void test_no_statement_scans(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db = raw_open(f);
    for (int i = 0; i < SQ_QUERIES; i++) {
        char sql[2048];
        sqlite3_stmt *q;
        if (!sq_sql[i]) fail_msg("statement %d is missing", i);
        if (i <= SQ_ROLLBACK || i == SQ_PAGES) continue;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sq_sql[i]);
        if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK)
            fail_msg("%s: %s", sql, sqlite3_errmsg(db));
        while (sqlite3_step(q) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(q, 3);
            if (scans(plan)) fail_msg("%s\n%s", sql, plan);
            if ((i == SQ_DUE_IDS || i == SQ_LANE_HEAD) && strstr(plan, "TEMP B-TREE"))
                fail_msg("%s\n%s", sql, plan);
        }
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_second_process_is_refused, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_only_we_can_read_it, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_read_only_places_are_refused, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_files_are_refused_and_left_alone, setup_sqlite,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_newer_schema_is_refused, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_or_damaged_file_is_never_a_new_start, setup_sqlite,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_killed_at_every_point, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_a_short_write_refuses_and_heals, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_is_copied_back_when_told_to, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_a_reader_neither_blocks_nor_checkpoints, setup_sqlite, teardown),
        cmocka_unit_test_setup_teardown(test_no_statement_scans, setup_sqlite, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
