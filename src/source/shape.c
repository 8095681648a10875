#include "source/shape.h"

#include <string.h>

#include "base/mem.h"
#include "json/json.h"
#include "source/api.h"

enum { BODY_MOST = 32 << 20, KEY_MOST = 512, OBJECT_MOST = 4 << 20 };
static const struct json_limits limits = { BODY_MOST, 4 << 20, 64 };

/* Columns that are kept between messages, and what the API calls them. */
enum column { TASK, CREATED, UPDATED, STARTED, DELAYED, COMPLETED, TEST, TAGS, COST, COLUMNS };
static const struct { const char *column, *member; } columns[COLUMNS] = {
    [TASK] = { "taskIdentifier", "taskIdentifier" }, [CREATED] = { "createdAt", "createdAt" }, [UPDATED] = { "updatedAt", "updatedAt" },
    [STARTED] = { "startedAt", "startedAt" }, [DELAYED] = { "delayUntil", "delayedUntil" }, [COMPLETED] = { "completedAt", "finishedAt" },
    [TEST] = { "isTest", "isTest" }, [TAGS] = { "runTags", "tags" }, [COST] = { "costInCents", "costInCents" },
};

/* --- a subscription ------------------------------------------------------------------------------------ */
void shape_init(struct shape *s)
{
    *s = (struct shape){ .handle = "" };
}

static void row_free(struct shape_row *r)
{
    free((char *)r->key.p);
    free((char *)r->id.p);
    free((char *)r->status.p);
    for (size_t k = 0; k < COLUMNS; k++) free((char *)r->text[k].p);
    free(r);
}

void shape_fini(struct shape *s)
{
    struct map_entry *e;
    size_t at = 0;
    while ((e = map_next(&s->rows, &at))) row_free(e->value);
    map_fini(&s->rows);
}

void shape_restart(struct shape *s)
{
    s->handle[0] = s->offset[0] = s->cursor[0] = '\0';
    s->up_to_date = s->swept = false;
    s->generation++;
}

static void drop_row(struct shape *s, struct shape_row *r)
{
    (void)map_remove(&s->rows, r->key);
    row_free(r);
}

/* The whole has been told: what was not among it has left the feed, and would be kept for ever. */
static void sweep(struct shape *s)
{
    struct map_entry *e;
    size_t at = 0;
    if (s->swept || !s->up_to_date) return;
    s->swept = true;
    while ((e = map_next(&s->rows, &at))) {
        struct shape_row *r = e->value;
        if (r->generation != s->generation) drop_row(s, r);
    }
}

static void add_param(struct strbuf *b, const char *name, const char *value)
{
    strbuf_printf(b, "%s%s=", b->n ? "&" : "", name);
    api_encode(b, str_c(value));
}

struct str shape_query(const struct shape *s, struct arena *a, const char *window, struct str skip_columns)
{
    struct str out;
    struct strbuf b;
    strbuf_init(&b, 16384);
    add_param(&b, "createdAt", window);
    add_param(&b, "skipColumns", str_dup_c(a, skip_columns));
    add_param(&b, "log", "full");
    add_param(&b, "offset", s->handle[0] ? s->offset : "-1");
    if (s->handle[0]) add_param(&b, "handle", s->handle);
    if (s->handle[0] && s->up_to_date) {
        add_param(&b, "live", "true");
        add_param(&b, "cursor", s->cursor);
    }
    out = str_dup(a, strbuf_view(&b));
    strbuf_fini(&b);
    return out;
}

/* --- Postgres texts ------------------------------------------------------------------------------------ */
/* {a,"b \"q\""} -> a JSON list. Anything else gives an empty one. */
static void put_tags(struct json_writer *w, struct arena *a, struct str s)
{
    char *text = arena_alloc(a, s.n + 1);
    json_array_begin(w);
    if (s.n >= 2 && s.p[0] == '{' && s.p[s.n - 1] == '}') {
        size_t i = 1, end = s.n - 1;
        while (i < end) {
            bool quoted = s.p[i] == '"';
            size_t n = 0;
            for (i += quoted; i < end && s.p[i] != (quoted ? '"' : ','); i++) {
                if (s.p[i] == '\\' && i + 1 < end) i++;
                text[n++] = s.p[i];
            }
            if (quoted) i++;
            json_put_str(w, (struct str){ text, n });
            i++; /* the comma */
        }
    }
    json_array_end(w);
}

static void put_column(struct json_writer *w, struct arena *a, enum column c, struct str text)
{
    double n;
    if (str_absent(text)) return;
    json_put_key(w, str_c(columns[c].member));
    switch (c) {
    case CREATED: case UPDATED: case STARTED: case DELAYED: case COMPLETED: { /* without a zone, in UTC */
        bool zoned = str_ends(text, STR("Z"));
        json_put_str(w, str_printf(a, STR_FMT "%s", STR_ARG(text), zoned ? "" : "Z"));
        break;
    }
    case TEST: json_put_bool(w, str_eq_c(text, "t") || str_eq_c(text, "true")); break;
    case TAGS: put_tags(w, a, text); break;
    case COST: json_put_f64(w, str_to_f64(text, &n) ? n : 0); break;
    case TASK:
    case COLUMNS:
    default: json_put_str(w, text); break;
    }
}

/* A column that holds JSON text. */
static void put_json(struct json_writer *w, struct arena *a, const char *member, struct str text)
{
    struct json root;
    struct err err;
    if (str_absent(text) || json_parse(a, text, &json_default_limits, &root, NULL, &err) < 0 || json_kind(root) != JSON_OBJECT) return;
    json_put_key(w, str_c(member));
    json_put_value(w, root);
}

/* --- rows ---------------------------------------------------------------------------------------------- */
static void keep(struct str *to, struct str text)
{
    char *copy = NULL;
    if (!str_absent(text)) { /* there may be a NUL in it */
        copy = xmalloc(text.n + 1);
        memcpy(copy, text.p, text.n);
    }
    free((char *)to->p);
    *to = copy ? (struct str){ copy, text.n } : STR_NONE;
}

static struct shape_row *row_of(struct shape *s, struct str key, struct str id)
{
    struct shape_row *r = map_get(&s->rows, key);
    if (r || id.n == 0) return r;
    r = xcalloc(1, sizeof *r);
    keep(&r->key, key);
    keep(&r->id, id);
    (void)map_put(&s->rows, r->key, r);
    return r;
}

static void merge(struct shape_row *r, struct json value)
{
    for (size_t k = 0; k < COLUMNS; k++) {
        struct json v = json_get_c(value, columns[k].column);
        if (json_kind(v) == JSON_STRING) keep(&r->text[k], json_str(v));
        else if (json_kind(v) == JSON_NULL) keep(&r->text[k], STR_NONE);
    }
}

static struct str object_of(const struct shape_row *r, struct arena *a, struct json value)
{
    struct json_draft d;
    struct json_writer *w = json_draft_begin(&d, OBJECT_MOST);
    json_object_begin(w);
    json_field_str(w, "id", r->id);
    json_field_str(w, "status", r->status);
    for (size_t k = 0; k < COLUMNS; k++) put_column(w, a, (enum column)k, r->text[k]);
    put_json(w, a, "error", json_str(json_get_c(value, "error")));
    put_json(w, a, "metadata", json_str(json_get_c(value, "metadata")));
    json_object_end(w);
    return json_draft_end(&d, a);
}

static void take_change(struct shape *s, struct arena *a, struct json message, shape_change_fn fn, void *ctx)
{
    struct json value = json_get_c(message, "value");
    struct str key = json_str(json_get_c(message, "key")), status = json_str(json_get_c(value, "status"));
    bool known = map_get(&s->rows, key) != NULL;
    struct shape_row *r = key.n && key.n < KEY_MOST ? row_of(s, key, json_str(json_get_c(value, "friendlyId"))) : NULL;
    struct str before;
    if (!r) return; /* an update of a row that was over, or never told */
    if (str_eq_c(json_str(json_get_c(json_get_c(message, "headers"), "operation")), "delete")) {
        drop_row(s, r);
        return;
    }
    s->changed = true;
    r->generation = s->generation;
    merge(r, value);
    before = str_dup(a, r->status);
    if (status.n) keep(&r->status, status);
    if (r->status.n) fn(ctx, object_of(r, a, value), before, known);
    if (run_state_class(run_state_parse(r->status)) & RUN_CLASS_FINISHED) drop_row(s, r);
}

/* --- answers ------------------------------------------------------------------------------------------- */
static void header_into(const struct fetch_answer *answer, const char *name, const char *legacy, char *to)
{
    struct str text = fetch_header(answer, name);
    if (text.n == 0 && legacy) text = fetch_header(answer, legacy);
    if (text.n == 0 || text.n >= SHAPE_TEXT) return;
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
}

static void take_control(struct shape *s, struct str control, bool *restart)
{
    if (str_eq_c(control, "up-to-date")) s->up_to_date = true;
    if (str_eq_c(control, "must-refetch")) *restart = true;
}

int shape_take(struct shape *s, struct arena *a, const struct fetch_answer *answer, shape_change_fn fn, void *ctx, struct err *err)
{
    struct json root = { 0 };
    bool restart = false;
    if (answer->body.n && json_parse(a, answer->body, &limits, &root, NULL, err) < 0) return -1;
    if (answer->body.n && json_kind(root) != JSON_ARRAY) return err_set(err, ERR_IO, "the feed's answer is no list");
    header_into(answer, "electric-handle", "electric-shape-id", s->handle);
    header_into(answer, "electric-offset", "electric-chunk-last-offset", s->offset);
    header_into(answer, "electric-cursor", NULL, s->cursor);
    if (!s->handle[0] || !s->offset[0]) return err_set(err, ERR_IO, "the feed's answer has no handle or offset");
    s->news = s->up_to_date;
    s->changed = false;
    s->up_to_date = !str_absent(fetch_header(answer, "electric-up-to-date"));
    for (struct json m = json_first(root); json_kind(m) != JSON_ABSENT; m = json_next(m)) {
        struct str control = json_str(json_get_c(json_get_c(m, "headers"), "control"));
        if (control.n) take_control(s, control, &restart);
        else take_change(s, a, m, fn, ctx);
    }
    if (restart) shape_restart(s);
    else sweep(s);
    return 0;
}
