#include "store/store.h"

#include <string.h>

static const char *const state_names[] = {
    [DELIVERY_PENDING] = "pending",   [DELIVERY_SENDING] = "sending", [DELIVERY_DELIVERED] = "delivered",
    [DELIVERY_RETRYING] = "retrying", [DELIVERY_DEAD] = "dead",
};

const char *delivery_state_name(enum delivery_state s)
{
    return state_names[s];
}

bool delivery_state_parse(struct str name, enum delivery_state *out)
{
    for (int s = DELIVERY_PENDING; s <= DELIVERY_DEAD; s++) {
        if (!str_eq_c(name, state_names[s])) continue;
        *out = (enum delivery_state)s;
        return true;
    }
    return false;
}

void store_batch_init(struct store_batch *b)
{
    memset(b, 0, sizeof *b);
}

void store_batch_clear(struct store_batch *b)
{
    vec_clear(&b->events);
    vec_clear(&b->runs);
    vec_clear(&b->incidents);
    vec_clear(&b->cells);
    vec_clear(&b->notes);
    vec_clear(&b->deliveries);
    vec_clear(&b->attempts);
    vec_clear(&b->rejected);
    vec_clear(&b->meta);
    vec_clear(&b->redeliver);
    b->now_ms = 0;
}

void store_batch_fini(struct store_batch *b)
{
    vec_free(&b->events);
    vec_free(&b->runs);
    vec_free(&b->incidents);
    vec_free(&b->cells);
    vec_free(&b->notes);
    vec_free(&b->deliveries);
    vec_free(&b->attempts);
    vec_free(&b->rejected);
    vec_free(&b->meta);
    vec_free(&b->redeliver);
}

/* The path that a sqlite: url names, in a; NULL with err. */
static const char *sqlite_path(struct str path, const char *dir, struct arena *a, struct err *err)
{
    if (path.n == 0 || memchr(path.p, '\0', path.n)) {
        err_set(err, ERR_SYNTAX, "store url: a path must follow \"sqlite:\"");
        return NULL;
    }
    if (path.p[0] == '/' || !dir || !*dir) return str_dup_c(a, path);
    return str_printf(a, "%s/" STR_FMT, dir, STR_ARG(path)).p;
}

static void refuse_url(struct str u, struct err *err)
{
    if (str_starts(u, STR("postgres")))
        err_set(err, ERR_TYPE, "store url: this build has no PostgreSQL store; use sqlite:PATH");
    else
        err_set(err, ERR_SYNTAX, "store url \"" STR_FMT "\": expected sqlite:PATH", STR_ARG(u));
}

struct store *store_open(const char *url, const char *dir, struct err *err)
{
    struct str u = str_c(url);
    struct arena a = { 0 };
    struct store *s = NULL;
    const char *path;
    if (str_eq_c(u, "memory:")) return store_memory_open();
    if (str_starts(u, STR("sqlite:"))) {
        path = sqlite_path(str_sub(u, 7, u.n), dir, &a, err);
        if (path) s = store_sqlite_open(path, err);
    } else {
        refuse_url(u, err);
    }
    arena_fini(&a);
    return s;
}

struct store_reader *store_reader_open(const char *url, const char *dir, struct err *err)
{
    struct str u = str_c(url);
    struct arena a = { 0 };
    struct store_reader *r = NULL;
    const char *path;
    if (str_eq_c(u, "memory:")) {
        err_set(err, ERR_TYPE, "store url: a memory: store is the server's alone; only sqlite:PATH can be read beside it");
    } else if (str_starts(u, STR("sqlite:"))) {
        path = sqlite_path(str_sub(u, 7, u.n), dir, &a, err);
        if (path) r = store_sqlite_reader_open(path, err);
    } else {
        refuse_url(u, err);
    }
    arena_fini(&a);
    return r;
}
