/* Deliveries: lanes, turns, outcomes. Of each lane (destination, lane) exactly the oldest undelivered one has
 * turn = 1; whoever enters or leaves a lane keeps that true in the same transaction. */
#include "store/sqlite_internal.h"

struct delivery_now { /* what an outcome needs to know; texts are borrowed from the statement: copied */
    enum delivery_state state;
    bool head;
    int64_t attempts;
    struct str destination, lane;
};

static bool waits(enum delivery_state state)
{
    return state == DELIVERY_PENDING || state == DELIVERY_RETRYING;
}

static int set_turn(struct sq_store *s, int64_t id, int turn, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_TURN_SET, err);
    if (!q) return -1;
    sq_int(q, 1, id);
    sq_int(q, 2, turn);
    return sq_run(s, q, err);
}

/* Oldest undelivered of a lane: 1, 0, -1. */
static int find_head(struct sq_store *s, struct str destination, struct str lane, int64_t *id,
                     struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_LANE_HEAD, err);
    int rc;
    if (!q) return -1;
    sq_text(q, 1, destination);
    sq_text(q, 2, lane);
    rc = sq_row(s, q, err);
    if (rc == 1) {
        *id = sq_col_int(q, 0);
        sqlite3_reset(q);
    }
    return rc;
}

/* The turn that id gets in a lane it is about to enter. It may be older than the head: one sent again. */
static int enter_lane(struct sq_store *s, struct str destination, struct str lane, int64_t id, int *turn,
                      struct err *err)
{
    int64_t head = 0;
    int rc = find_head(s, destination, lane, &head, err);
    if (rc < 0) return -1;
    *turn = rc == 0 || id < head;
    s->counts.undelivered++;
    return rc == 1 && id < head ? set_turn(s, head, 0, err) : 0;
}

static int pass_turn(struct sq_store *s, struct str destination, struct str lane, struct err *err)
{
    int64_t next;
    int rc = find_head(s, destination, lane, &next, err);
    return rc == 1 ? set_turn(s, next, 1, err) : rc;
}

static int insert_delivery(struct sq_store *s, sqlite3_stmt *q, const struct store_delivery *d, int turn,
                           struct err *err)
{
    sq_int(q, 1, (int64_t)d->id);
    sq_int(q, 2, (int64_t)d->message);
    sq_int(q, 3, (int64_t)d->incident);
    sq_int(q, 4, d->kind);
    sq_int(q, 5, d->state == DELIVERY_SENDING ? DELIVERY_PENDING : d->state);
    if (turn < 0)
        sq_maybe(q, 6, STR_NONE);
    else
        sq_int(q, 6, turn);
    sq_int(q, 7, d->created_ms);
    sq_int(q, 8, d->due_ms);
    sq_int(q, 9, d->expires_ms);
    sq_int(q, 10, d->done_ms);
    sq_int(q, 11, d->attempts);
    sq_text(q, 12, d->destination);
    sq_text(q, 13, d->lane);
    sq_text(q, 14, d->last_error);
    sq_maybe(q, 15, d->params);
    sq_text(q, 16, d->content);
    return sq_run(s, q, err);
}

int sq_apply_deliveries(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DELIVERY_INSERT, err);
    if (!q) return -1;
    for (size_t i = 0; i < b->deliveries.n; i++) {
        const struct store_delivery *d = &b->deliveries.v[i];
        int turn = -1;
        if (d->state == DELIVERY_DEAD) s->counts.dead++;
        if (d->state != DELIVERY_DEAD && d->state != DELIVERY_DELIVERED &&
            enter_lane(s, d->destination, d->lane, (int64_t)d->id, &turn, err))
            return -1;
        if (insert_delivery(s, q, d, turn, err)) return -1;
    }
    return 0;
}

/* --- outcomes ------------------------------------------------------------------------------------------- */
/* 1, 0, -1; texts are copied into a. */
static int read_now(struct sq_store *s, uint64_t id, struct arena *a, struct delivery_now *out,
                    struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DELIVERY_STATE, err);
    int rc;
    if (!q) return -1;
    sq_int(q, 1, (int64_t)id);
    rc = sq_row(s, q, err);
    if (rc != 1) return rc;
    *out = (struct delivery_now){ (enum delivery_state)sq_col_int(q, 0), sq_col_int(q, 1) == 1,
                                  sq_col_int(q, 2), sq_col_dup(a, q, 3), sq_col_dup(a, q, 4) };
    sqlite3_reset(q);
    return 1;
}

static int insert_attempt(struct sq_store *s, const struct store_attempt *t, int64_t number, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_ATTEMPT_INSERT, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)t->delivery);
    sq_int(q, 2, number);
    sq_int(q, 3, t->at_ms);
    sq_int(q, 4, t->took_ms);
    sq_int(q, 5, t->class);
    sq_int(q, 6, t->status);
    sq_int(q, 7, t->state);
    sq_int(q, 8, t->due_ms);
    sq_text(q, 9, t->detail);
    sq_maybe(q, 10, t->captures);
    return sq_run(s, q, err);
}

static int save_captures(struct sq_store *s, const struct delivery_now *now, struct str captures,
                         struct err *err)
{
    bool forget = str_eq(captures, STR("{}"));
    sqlite3_stmt *q;
    if (str_absent(captures)) return 0;
    q = sq_get(s, forget ? SQ_CAPTURES_DELETE : SQ_CAPTURES_UPSERT, err);
    if (!q) return -1;
    sq_text(q, 1, now->destination);
    sq_text(q, 2, now->lane);
    if (!forget) sq_text(q, 3, captures);
    return sq_run(s, q, err);
}

static int end_delivery(struct sq_store *s, const struct store_attempt *t, const struct delivery_now *now,
                        int64_t attempts, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DELIVERY_END, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)t->delivery);
    sq_int(q, 2, t->state);
    sq_int(q, 3, attempts);
    sq_int(q, 4, t->at_ms);
    sq_text(q, 5, t->state == DELIVERY_DEAD ? t->detail : STR(""));
    if (sq_run(s, q, err)) return -1;
    s->counts.undelivered--;
    s->counts.dead += t->state == DELIVERY_DEAD;
    return now->head ? pass_turn(s, now->destination, now->lane, err) : 0;
}

static int retry_delivery(struct sq_store *s, const struct store_attempt *t, int64_t attempts,
                          struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DELIVERY_WAIT, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)t->delivery);
    sq_int(q, 2, t->state == DELIVERY_SENDING ? DELIVERY_PENDING : t->state);
    sq_int(q, 3, attempts);
    sq_int(q, 4, t->due_ms);
    sq_maybe(q, 5, t->postponed ? STR_NONE : t->detail);
    return sq_run(s, q, err);
}

static int count_attempt(struct sq_store *s, const struct store_attempt *t, int64_t attempts, struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DELIVERY_COUNT, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)t->delivery);
    sq_int(q, 2, attempts);
    return sq_run(s, q, err);
}

static int apply_attempt(struct sq_store *s, const struct store_attempt *t, struct arena *a, struct err *err)
{
    struct delivery_now now = { 0 };
    int64_t attempts;
    int rc = read_now(s, t->delivery, a, &now, err);
    char id[ID_SIZE];
    if (rc < 0) return -1;
    if (rc == 0)
        return err_set(err, ERR_CONFLICT, "attempt at %s, which is not in the store",
                       id_format("dlv", t->delivery, id).p);
    attempts = now.attempts + !t->postponed;
    if (!t->postponed && insert_attempt(s, t, attempts, err)) return -1;
    if (save_captures(s, &now, t->captures, err)) return -1;
    /* What is over stays over: only redeliver brings it back. */
    if (!waits(now.state)) return count_attempt(s, t, attempts, err);
    if (t->state == DELIVERY_DELIVERED || t->state == DELIVERY_DEAD)
        return end_delivery(s, t, &now, attempts, err);
    return retry_delivery(s, t, attempts, err);
}

int sq_apply_attempts(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    struct arena a = { 0 };
    int rc = 0;
    for (size_t i = 0; i < b->attempts.n && rc == 0; i++) {
        arena_reset(&a);
        rc = apply_attempt(s, &b->attempts.v[i], &a, err);
    }
    arena_fini(&a);
    return rc;
}

static int redeliver(struct sq_store *s, uint64_t id, int64_t now_ms, struct arena *a, struct err *err)
{
    struct delivery_now now;
    sqlite3_stmt *q;
    int turn, rc = read_now(s, id, a, &now, err);
    if (rc != 1 || now.state != DELIVERY_DEAD) return rc < 0 ? -1 : 0;
    if (enter_lane(s, now.destination, now.lane, (int64_t)id, &turn, err)) return -1;
    q = sq_get(s, SQ_DELIVERY_AGAIN, err);
    if (!q) return -1;
    sq_int(q, 1, (int64_t)id);
    sq_int(q, 2, DELIVERY_PENDING);
    sq_int(q, 3, turn);
    sq_int(q, 4, now_ms);
    s->counts.dead--;
    return sq_run(s, q, err);
}

int sq_apply_redeliver(struct sq_store *s, const struct store_batch *b, struct err *err)
{
    struct arena a = { 0 };
    int rc = 0;
    for (size_t i = 0; i < b->redeliver.n && rc == 0; i++)
        rc = redeliver(s, b->redeliver.v[i], b->now_ms, &a, err);
    arena_fini(&a);
    return rc;
}

/* --- what is due ---------------------------------------------------------------------------------------- */
struct due {
    int64_t id, due_ms;
};
struct due_list {
    VEC(struct due) at;
};

static int by_due(const void *x, const void *y)
{
    const struct due *a = x, *b = y;
    if (a->due_ms != b->due_ms) return a->due_ms < b->due_ms ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* The first heads of one destination, due or not: a walk along deliveries_heads. */
static int list_heads(struct sq_store *s, struct str destination, size_t max, struct due_list *list,
                      struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DUE_IDS, err);
    int rc;
    if (!q) return -1;
    sq_text(q, 1, destination);
    sq_int(q, 2, (int64_t)max);
    while ((rc = sq_row(s, q, err)) == 1)
        *vec_push(&list->at) = (struct due){ sq_col_int(q, 0), sq_col_int(q, 1) };
    return rc;
}

/* Of every destination: there are few, and each is one seek away from the one before. */
static int list_all_heads(struct sq_store *s, size_t max, struct due_list *list, struct err *err)
{
    struct arena a = { 0 };
    struct str destination = STR("");
    int rc = list_heads(s, destination, max, list, err);
    while (rc == 0) {
        sqlite3_stmt *q = sq_get(s, SQ_DUE_DESTINATION, err);
        if (!q) rc = -1;
        if (!q) break;
        sq_text(q, 1, destination);
        rc = sq_row(s, q, err) == 1 ? 0 : -1; /* min() always gives a row */
        if (rc) break;
        destination = sq_col_dup(&a, q, 0);
        sqlite3_reset(q);
        if (str_absent(destination)) break;
        rc = list_heads(s, destination, max, list, err);
    }
    arena_fini(&a);
    if (list->at.n) qsort(list->at.v, list->at.n, sizeof *list->at.v, by_due);
    return rc;
}

static int read_delivery(struct sq_store *s, struct arena *a, int64_t id, struct store_delivery *out,
                         struct err *err)
{
    sqlite3_stmt *q = sq_get(s, SQ_DELIVERY, err);
    int rc;
    if (!q) return -1;
    sq_int(q, 1, id);
    rc = sq_row(s, q, err);
    if (rc != 1) return rc;
    sq_delivery_read(q, a, out);
    sqlite3_reset(q);
    return 1;
}

int sq_due_deliveries(struct store *store, struct arena *a, struct str destination, int64_t now_ms,
                      size_t max, struct store_delivery *out, size_t *n, int64_t *next_due_ms,
                      struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    struct due_list list = { 0 };
    int rc = str_absent(destination) ? list_all_heads(s, max + 1, &list, err)
                                     : list_heads(s, destination, max + 1, &list, err);
    *n = 0;
    while (rc == 0 && *n < max && *n < list.at.n && list.at.v[*n].due_ms <= now_ms) {
        if (read_delivery(s, a, list.at.v[*n].id, &out[*n], err) != 1)
            rc = -1;
        else
            ++*n;
    }
    if (next_due_ms) *next_due_ms = *n < list.at.n ? list.at.v[*n].due_ms : ENGINE_NEVER;
    vec_free(&list.at);
    return rc;
}

int sq_lane_head(struct store *store, struct arena *a, struct str destination, struct str lane,
                 struct store_delivery *out, struct err *err)
{
    struct sq_store *s = (struct sq_store *)store;
    int64_t id;
    int rc = find_head(s, destination, lane, &id, err);
    return rc == 1 ? read_delivery(s, a, id, out, err) : rc;
}
