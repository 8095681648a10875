#include "replay/seen.h"

#include "base/clock.h"
#include "base/glob.h"
#include "base/suggest.h"

/* --- what is looked for ------------------------------------------------------------------------------------------- */
static const enum rule_field_id field_ids[SEEN_FIELDS] = { [SEEN_TASKS] = RULE_TASK, [SEEN_TAGS] = RULE_TAGS, [SEEN_QUEUES] = RULE_QUEUE, [SEEN_ENVS] = RULE_ENV };

const struct seen_field *seen_field_of(const struct seen *s, enum rule_field_id id)
{
    size_t k = 0;
    while (k + 1 < SEEN_FIELDS && field_ids[k] != id) k++;
    return &s->fields[k];
}

static void want(struct seen *s, const struct ruleset *rs)
{
    struct rule_named *names = ruleset_names(rs, &s->arena, &s->wanted_count);
    s->wanted = ARENA_ARRAY(&s->arena, struct seen_name, s->wanted_count + 1);
    for (size_t i = 0; i < s->wanted_count; i++) s->wanted[i].named = names[i];
    s->missing = s->wanted_count;
    for (size_t k = 0; k < SEEN_FIELDS; k++) s->fields[k].id = field_ids[k];
}

/* --- what is met ---------------------------------------------------------------------------------------------------- */
static void find(struct seen *s, const struct seen_field *f, struct str text)
{
    for (size_t i = 0; i < s->wanted_count; i++) {
        struct seen_name *w = &s->wanted[i];
        if (w->found || w->named.field != f->id) continue;
        w->found = w->named.glob ? glob_match(w->named.text, text) : str_eq(w->named.text, text);
        s->missing -= w->found;
    }
}

/* The rules are asked about each name once: there are few. Beyond the bound, each time. */
static void meet(struct seen *s, struct seen_field *f, struct str text)
{
    struct str kept;
    if (text.n == 0 || map_get(&f->names, text)) return;
    find(s, f, text);
    f->more = f->list.n >= SEEN_DISTINCT_MAX;
    if (f->more) return;
    kept = str_dup(&s->arena, text);
    map_put(&f->names, kept, f);
    *vec_push(&f->list) = kept;
}

static int take(void *ctx, const struct store_event *e, struct err *err)
{
    struct seen *s = ctx;
    struct json root;
    s->events++;
    s->oldest_ms = e->arrival_ms;
    meet(s, &s->fields[SEEN_ENVS], e->env);
    if (json_parse(&s->scratch, e->body, &json_own_limits, &root, NULL, err) == 0) {
        struct json tags = json_get_c(root, "tags");
        meet(s, &s->fields[SEEN_TASKS], json_str(json_get_c(root, "task")));
        meet(s, &s->fields[SEEN_QUEUES], json_str(json_get_c(root, "queue")));
        for (struct json t = json_first(tags); json_kind(t) != JSON_ABSENT; t = json_next(t)) meet(s, &s->fields[SEEN_TAGS], json_str(t));
    }
    arena_reset(&s->scratch);
    return 0;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */
struct page { struct seen *s; uint64_t last; };

static int take_of_page(void *ctx, const struct store_event *e, struct err *err)
{
    struct page *p = ctx;
    p->last = e->id;
    return take(p->s, e, err);
}

int seen_read(struct seen *s, const struct ruleset *rs, struct store_reader *r, int64_t deadline_ms, struct err *err)
{
    struct page p = { s, UINT64_MAX };
    size_t n = 1;
    *s = (struct seen){ .wanted = NULL };
    want(s, rs);
    while (n > 0 && s->missing > 0 && !s->cut_short) {
        if (r->ops->events_back(r, p.last, STORE_ROWS_MAX, take_of_page, &p, &n, err) < 0) return -1;
        s->cut_short = n > 0 && clock_mono(clock_system()).ms >= deadline_ms;
    }
    return 0;
}

void seen_fini(struct seen *s)
{
    for (size_t k = 0; k < SEEN_FIELDS; k++) {
        map_fini(&s->fields[k].names);
        vec_free(&s->fields[k].list);
    }
    arena_fini(&s->scratch);
    arena_fini(&s->arena);
}

struct str seen_nearest(const struct seen *s, const struct rule_named *n)
{
    const struct seen_field *f = seen_field_of(s, n->field);
    return suggest_nearest(n->text, f->list.v, f->list.n);
}
