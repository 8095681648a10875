/* A disk that lies, fails, fills up and loses power, under the SQLite store. The disk is an SQLite VFS around
 * the real one. It remembers what was written since the last sync of each file; when the power goes, a random
 * subset of that is kept, torn at 512 bytes, in any order. */
#include "store_fixture.inc"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/rng.h"
#include "store/sqlite_internal.h"

enum { SECTOR = 512, FILES = 8, SEEDS = 200, ROWS = 8, STEPS = 60 };

struct write {
    int64_t at;
    struct str data;
};              /* data absent: the file was cut to `at` */
struct shadow { /* of one open file */
    char path[512];
    struct strbuf durable; /* its content when it was last synced */
    VEC(struct write) pending;
    bool used;
};
static struct disk {
    sqlite3_vfs vfs, *real;
    struct shadow files[FILES];
    struct rng rng;
    int64_t ops_left; /* until the power goes; negative = it stays */
    int64_t room;     /* bytes files may still grow; negative = no bound */
    bool syncs_fail;
} disk;

struct disk_file {
    sqlite3_file base;
    struct shadow *shadow;
    int64_t size;
    sqlite3_file *real; /* lies behind this struct */
};

/* --- the power goes ------------------------------------------------------------------------------------- */
static void grow_to(struct strbuf *b, size_t n)
{
    static const char zeros[SECTOR];
    while (b->n < n) strbuf_add(b, zeros, n - b->n < SECTOR ? n - b->n : SECTOR);
}

/* keep: of 8 sectors, how many survive. */
static void survive(struct strbuf *b, const struct write *w, uint64_t keep)
{
    if (str_absent(w->data)) {
        if (rng_below(&disk.rng, 8) < keep && (size_t)w->at < b->n) strbuf_cut(b, (size_t)w->at);
        return;
    }
    for (size_t done = 0; done < w->data.n;) {
        size_t at = (size_t)w->at + done, n = SECTOR - at % SECTOR;
        if (n > w->data.n - done) n = w->data.n - done;
        if (rng_below(&disk.rng, 8) < keep) {
            grow_to(b, at + n);
            memcpy(b->p + at, w->data.p + done, n);
        }
        done += n;
    }
}

static void shuffle(struct shadow *s)
{
    for (size_t i = s->pending.n; i > 1; i--) {
        size_t j = rng_below(&disk.rng, i);
        struct write swap = s->pending.v[i - 1];
        s->pending.v[i - 1] = s->pending.v[j];
        s->pending.v[j] = swap;
    }
}

static void lose_power(void)
{
    uint64_t keep = rng_below(&disk.rng, 9);
    for (int i = 0; i < FILES; i++) {
        struct shadow *s = &disk.files[i];
        int fd;
        if (!s->used) continue;
        if (rng_below(&disk.rng, 2)) shuffle(s);
        for (size_t k = 0; k < s->pending.n; k++) survive(&s->durable, &s->pending.v[k], keep);
        fd = open(s->path, O_WRONLY | O_TRUNC);
        if (fd < 0 || write(fd, s->durable.p, s->durable.n) != (ssize_t)s->durable.n) _exit(90);
        close(fd);
    }
    _exit(9);
}

static void count_down(void)
{
    if (disk.ops_left >= 0 && disk.ops_left-- == 0) lose_power();
}

/* --- files ---------------------------------------------------------------------------------------------- */
static struct disk_file *file_of(sqlite3_file *f)
{
    return (struct disk_file *)f;
}

static void forget(struct shadow *s)
{
    for (size_t i = 0; i < s->pending.n; i++) free((void *)(uintptr_t)s->pending.v[i].data.p);
    vec_clear(&s->pending);
}

static void drop(struct shadow *s)
{
    if (!s || !s->used) return;
    forget(s);
    vec_free(&s->pending);
    strbuf_fini(&s->durable);
    s->used = false;
}

/* A file that was closed with writes not synced keeps its shadow: the power can still take them. */
static struct shadow *shadow_for(const char *path)
{
    struct shadow *s = NULL;
    struct arena a = { 0 };
    struct str content;
    struct err err;
    for (int i = 0; i < FILES; i++)
        if (disk.files[i].used && strcmp(disk.files[i].path, path) == 0) return &disk.files[i];
    for (int i = 0; i < FILES && !s; i++)
        if (!disk.files[i].used) s = &disk.files[i];
    if (!s) _exit(91);
    s->used = true;
    snprintf(s->path, sizeof s->path, "%s", path);
    strbuf_init(&s->durable, 1 << 28);
    if (file_read(&a, path, 1 << 28, &content, &err) == 0) strbuf_str(&s->durable, content);
    arena_fini(&a);
    return s;
}

static void note_write(struct disk_file *f, int64_t at, struct str data)
{
    char *copy = NULL;
    if (!f->shadow) return;
    if (!str_absent(data)) copy = memcpy(xmalloc(data.n), data.p, data.n);
    *vec_push(&f->shadow->pending) = (struct write){ at, { copy, data.n } };
}

static int disk_close(sqlite3_file *file)
{
    return file_of(file)->real->pMethods->xClose(file_of(file)->real);
}

static int disk_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
    return file_of(file)->real->pMethods->xRead(file_of(file)->real, p, n, at);
}

static int disk_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
    struct disk_file *f = file_of(file);
    int64_t growth = at + n - f->size;
    count_down();
    if (f->shadow && growth > 0) {
        if (disk.room >= 0 && growth > disk.room) return SQLITE_FULL;
        if (disk.room >= 0) disk.room -= growth;
        f->size = at + n;
    }
    note_write(f, at, (struct str){ p, (size_t)n });
    return f->real->pMethods->xWrite(f->real, p, n, at);
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct disk_file *f = file_of(file);
    count_down();
    note_write(f, size, STR_NONE);
    f->size = size;
    return f->real->pMethods->xTruncate(f->real, size);
}

/* The real sync is left out: nothing here depends on the real disk, and 200 runs are to be quick. */
static int disk_sync(sqlite3_file *file, int flags)
{
    struct disk_file *f = file_of(file);
    (void)flags;
    count_down();
    if (disk.syncs_fail) return SQLITE_IOERR_FSYNC;
    if (!f->shadow) return SQLITE_OK;
    for (size_t i = 0; i < f->shadow->pending.n; i++)
        survive(&f->shadow->durable, &f->shadow->pending.v[i], 8);
    forget(f->shadow);
    return SQLITE_OK;
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return file_of(file)->real->pMethods->xFileSize(file_of(file)->real, size);
}

static int disk_lock(sqlite3_file *file, int level)
{
    return file_of(file)->real->pMethods->xLock(file_of(file)->real, level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
    return file_of(file)->real->pMethods->xUnlock(file_of(file)->real, level);
}

static int disk_reserved(sqlite3_file *file, int *out)
{
    return file_of(file)->real->pMethods->xCheckReservedLock(file_of(file)->real, out);
}

static int disk_control(sqlite3_file *file, int op, void *arg)
{
    return file_of(file)->real->pMethods->xFileControl(file_of(file)->real, op, arg);
}

static int disk_sector(sqlite3_file *file)
{
    return file_of(file)->real->pMethods->xSectorSize(file_of(file)->real);
}

static int disk_traits(sqlite3_file *file)
{
    return file_of(file)->real->pMethods->xDeviceCharacteristics(file_of(file)->real);
}

static int disk_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return file_of(file)->real->pMethods->xShmMap(file_of(file)->real, page, size, extend, out);
}

static int disk_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return file_of(file)->real->pMethods->xShmLock(file_of(file)->real, offset, n, flags);
}

static void disk_shm_barrier(sqlite3_file *file)
{
    file_of(file)->real->pMethods->xShmBarrier(file_of(file)->real);
}

static int disk_shm_unmap(sqlite3_file *file, int del)
{
    return file_of(file)->real->pMethods->xShmUnmap(file_of(file)->real, del);
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    static const sqlite3_io_methods methods = {
        2,           disk_close,   disk_read,     disk_write,       disk_truncate,  disk_sync,
        disk_size,   disk_lock,    disk_unlock,   disk_reserved,    disk_control,   disk_sector,
        disk_traits, disk_shm_map, disk_shm_lock, disk_shm_barrier, disk_shm_unmap, NULL,
        NULL,
    };
    struct disk_file *f = file_of(file);
    sqlite3_int64 size = 0;
    bool ours = name && (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL));
    int rc;
    (void)vfs;
    f->base.pMethods = NULL;
    f->real = (sqlite3_file *)(f + 1);
    rc = disk.real->xOpen(disk.real, name, f->real, flags, out);
    if (rc != SQLITE_OK) return rc;
    f->shadow = ours ? shadow_for(name) : NULL;
    f->real->pMethods->xFileSize(f->real, &size);
    f->size = size;
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

/* What a folder holds is taken to be durable at once. */
static int disk_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
    (void)vfs;
    count_down();
    for (int i = 0; i < FILES; i++)
        if (disk.files[i].used && strcmp(disk.files[i].path, name) == 0) drop(&disk.files[i]);
    return disk.real->xDelete(disk.real, name, sync_dir);
}

static void disk_attach(void)
{
    disk.real = sqlite3_vfs_find("unix");
    disk.vfs = *disk.real;
    disk.vfs.zName = "disk";
    disk.vfs.pNext = NULL;
    disk.vfs.szOsFile = (int)sizeof(struct disk_file) + disk.real->szOsFile;
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
    disk.ops_left = disk.room = -1;
    disk.syncs_fail = false;
    sqlite3_vfs_register(&disk.vfs, 1);
}

static void disk_detach(void)
{
    sqlite3_vfs_unregister(&disk.vfs);
    sqlite3_vfs_register(disk.real, 1);
    for (int i = 0; i < FILES; i++) drop(&disk.files[i]);
}

/* --- the power-cut test --------------------------------------------------------------------------------- */
static char body[6000];

static void add_step(struct fixture *f, uint64_t step)
{
    for (uint64_t i = 1; i <= ROWS; i++) {
        add_event(f, step * 100 + i, "run_1");
        f->batch.events.v[i - 1].body = (struct str){ body, sizeof body };
    }
    add_run(f, "run_1", "prod", "k", step * 100 + ROWS);
    add_incident(f, step % 7 + 1, INCIDENT_OPEN)->hits = (int64_t)step;
    add_delivery(f, step, "slack", "a")->incident = step % 7 + 1;
    if (step > 1) add_attempt(f, step - 1, DELIVERY_DELIVERED, 0);
}

static void child_runs(struct fixture *f, uint64_t with_seed, int out)
{
    struct err err = { 0 };
    rng_seed(&disk.rng, with_seed);
    disk_attach();
    disk.ops_left = (int64_t)rng_below(&disk.rng, rng_below(&disk.rng, 4) ? 2500 : 120);
    for (uint64_t step = 1; step <= STEPS; step++) {
        if (!f->store) f->store = store_open("sqlite:test.db", f->dir, &err);
        if (!f->store) _exit(2);
        add_step(f, step);
        if (f->store->ops->commit(f->store, &f->batch, &err)) _exit(3);
        if (write(out, "x", 1) != 1) _exit(4);
        store_batch_clear(&f->batch);
        if (f->store->ops->upkeep_due(f->store) && f->store->ops->upkeep(f->store, true, &err)) _exit(5);
        if (rng_below(&disk.rng, 25) == 0) f->store->ops->close(&f->store);
    }
    lose_power();
}

static void check_after(struct fixture *f, int told)
{
    struct store_reader *r;
    struct store_event e;
    struct engine_incident_row row;
    struct store_counts c;
    struct err err = { 0 };
    uint64_t steps;
    fixture_open(f);
    c = counts_of(f);
    steps = (uint64_t)c.events / ROWS;
    assert_int_equal(c.events % ROWS, 0); /* whole batches */
    assert_in_range(steps, (uint64_t)told, (uint64_t)told + 1);
    assert_int_equal(c.deliveries_undelivered, steps > 0);
    assert_int_equal(head_of(f, "slack", "a"), steps);
    r = fixture_reader(f);
    for (uint64_t s = 1; s <= steps; s++)
        for (uint64_t i = 1; i <= ROWS; i++) {
            assert_int_equal(r->ops->event(r, &f->arena, s * 100 + i, &e, &err), 1);
            assert_int_equal(e.body.n, sizeof body);
        }
    if (steps) assert_int_equal(r->ops->incident(r, &f->arena, steps % 7 + 1, &row, &err), 1);
    if (steps) assert_int_equal(row.hits, steps);
    r->ops->close(&r);
    add_step(f, steps + 1);
    commit(f);
}

static void check_integrity(struct fixture *f)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(q, 0), "ok");
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static int run_until_the_cut(struct fixture *f, uint64_t with_seed)
{
    int back[2], status, told = 0;
    char byte;
    pid_t child;
    assert_int_equal(pipe(back), 0);
    child = fork();
    if (child == 0) child_runs(f, with_seed, back[1]);
    close(back[1]);
    while (read(back[0], &byte, 1) == 1) told++;
    close(back[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 9) fail_msg("the writer ended with %d", status);
    return told;
}

static uint64_t seed; /* of the run under way; 0 = none */

static int tell_seed(void **state)
{
    (void)state;
    if (seed) print_message("failed with SEED=%llu\n", (unsigned long long)seed);
    return 0;
}

static void test_power_cuts_lose_nothing(void **state)
{
    const char *only = getenv("SEED"), *count = getenv("SEEDS");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, last = only    ? first
                                                                 : count ? strtoull(count, NULL, 10)
                                                                         : SEEDS;
    int told = 0;
    (void)state;
    memset(body, 'b', sizeof body);
    for (seed = first; seed <= last; seed++) {
        struct fixture f;
        int n;
        fixture_make(&f, false);
        f.store->ops->close(&f.store);
        unlink(f.path);
        n = run_until_the_cut(&f, seed);
        check_after(&f, n);
        f.store->ops->close(&f.store);
        check_integrity(&f);
        fixture_drop(&f);
        told += n;
    }
    seed = 0;
    print_message("%d commits, none lost\n", told);
    if (!only) assert_true(told > 10 * (int)last); /* cuts late enough to mean something */
}

/* --- a full disk, a failing sync ------------------------------------------------------------------------ */
static int setup_disk(void **state)
{
    memset(body, 'b', sizeof body);
    disk_attach();
    *state = xcalloc(1, sizeof(struct fixture));
    fixture_make(*state, false);
    return 0;
}

static int teardown_disk(void **state)
{
    disk.room = -1;
    disk.syncs_fail = false;
    fixture_drop(*state);
    free(*state);
    disk_detach();
    return 0;
}

static void test_a_full_disk_refuses_and_heals(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    struct str before;
    uint64_t step = 1;
    disk.room = 1 << 20;
    for (;; step++) {
        add_step(f, step);
        if (try_commit(f, &err)) break;
        assert_true(step < 100);
    }
    assert_true(step > 5);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.msg, "no room on the disk"));
    before = dump(f);
    assert_true(f->store->ops->upkeep_due(f->store)); /* the log may be reused, once it is copied */
    if (f->store->ops->upkeep(f->store, false, &err)) assert_int_equal(err.code, ERR_LIMIT);
    for (int i = 0; i < 5; i++) {
        add_step(f, step);
        assert_int_equal(try_commit(f, &err), -1);
        assert_int_equal(err.code, ERR_LIMIT);
    }
    {
        struct str now = dump(f);
        assert_true(str_eq(before, now));
    }
    disk.room = -1;
    for (uint64_t k = 0; k < 5; k++) {
        add_step(f, step + k);
        commit(f);
    }
    fixture_reopen(f);
    assert_int_equal(counts_of(f).events, (step + 4) * ROWS);
    f->store->ops->close(&f->store);
    check_integrity(f);
    fixture_open(f);
}

static void test_a_failed_sync_is_the_end(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    size_t deleted;
    struct store_keep keep = { DAY, 0, 0 };
    add_step(f, 1);
    commit(f);
    disk.syncs_fail = true;
    add_step(f, 2);
    assert_int_equal(try_commit(f, &err), -1);
    assert_int_equal(err.code, ERR_UNCERTAIN);
    disk.syncs_fail = false; /* never tried again all the same */
    add_step(f, 3);
    assert_int_equal(try_commit(f, &err), -1);
    assert_int_equal(err.code, ERR_UNCERTAIN);
    assert_false(f->store->ops->upkeep_due(f->store));
    assert_int_equal(f->store->ops->upkeep(f->store, true, &err), -1);
    assert_int_equal(err.code, ERR_UNCERTAIN);
    assert_int_equal(f->store->ops->purge(f->store, &keep, AT(0), 10, &deleted, &err), -1);
    assert_int_equal(err.code, ERR_UNCERTAIN);
    fixture_reopen(f);
    assert_in_range(counts_of(f).events, ROWS, 2 * ROWS); /* it may or may not be there */
    add_event(f, 999, "run_1");
    commit(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_full_disk_refuses_and_heals, setup_disk, teardown_disk),
        cmocka_unit_test_setup_teardown(test_a_failed_sync_is_the_end, setup_disk, teardown_disk),
        cmocka_unit_test_teardown(test_power_cuts_lose_nothing, tell_seed),
    };
    if (access("/dev/shm", W_OK) == 0) fixture_root = "/dev/shm"; /* the real disk does not matter here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
