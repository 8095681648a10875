/* store_fixture: a store in a folder of its own, short ways to write rows, and a dump of all that can be
 * seen. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/strbuf.h"
#include "store/store.h"

enum { T0 = 1777800000 }; /* seconds; ids and times of the tests are near it */
#define AT(ms) (T0 * INT64_C(1000) + (ms))
#define DAY INT64_C(86400000)

struct fixture {
    char dir[64];
    char path[96];
    bool memory;
    struct store *store;
    struct store_batch batch;
    struct arena arena;
    struct id_gen ids;
    VEC(uint64_t) made; /* deliveries of the random history */
};

void fixture_make(struct fixture *f, bool memory);
void fixture_drop(struct fixture *f);
void fixture_open(struct fixture *f);
void fixture_reopen(struct fixture *f); /* memory: does nothing */
struct store_reader *fixture_reader(struct fixture *f);
uint64_t new_id(struct fixture *f, int64_t at_ms);

void add_event(struct fixture *f, uint64_t id, const char *run);
void add_run(struct fixture *f, const char *run, const char *env, const char *known, uint64_t last_event);
struct engine_incident_row *add_incident(struct fixture *f, uint64_t id, enum incident_state state);
void add_note(struct fixture *f, uint64_t incident, const char *what);
struct store_delivery *add_delivery(struct fixture *f, uint64_t id, const char *destination,
                                    const char *lane);
struct store_attempt *add_attempt(struct fixture *f, uint64_t delivery, enum delivery_state state,
                                  int64_t due_ms);
void add_rejected(struct fixture *f, uint64_t id);
int try_commit(struct fixture *f, struct err *err); /* and clears the batch */
void commit(struct fixture *f);                     /* must work */

/* Ids of the due heads, "1 2 3", and the time of the next, as differences from AT(0). */
const char *due_text(struct fixture *f, const char *destination, int64_t now_ms, size_t max);
uint64_t head_of(struct fixture *f, const char *destination, const char *lane); /* 0 = none */
struct store_counts counts_of(struct fixture *f);
/* All that load and readers show, as text in the arena. */
struct str dump(struct fixture *f);
size_t purge(struct fixture *f, int64_t events_ms, int64_t incidents_ms, int64_t size_bytes, int64_t now_ms,
             size_t max);

/* For the conformance suite. */
void assert_str(struct str got, const char *wanted);
void assert_same(struct str a, struct str b); /* tells the first line that differs */
void add_cell(struct fixture *f, const char *key, const char *blob);
void add_meta(struct fixture *f, const char *key, const char *value);
void add_all(struct fixture *f, uint64_t base); /* one row of every kind */
struct str detail_of(struct fixture *f, uint64_t id);
struct str cell_of(struct fixture *f, const char *key);
int setup_sqlite(void **state);
int setup_memory(void **state);
int teardown(void **state);
#define BOTH(test) \
    { #test " (memory)", test, setup_memory, teardown, NULL }, \
    { \
#test " (sqlite)", test, setup_sqlite, teardown, NULL \
    }
#endif
