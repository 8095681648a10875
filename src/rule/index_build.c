/* Builds the candidate index. A rule's cover is a set of keys of which every hit shows at least one: of the
 * clauses that must hold, the most selective one; of an `any`, the covers of all its branches. */
#include "base/glob.h"
#include "rule/rule_internal.h"

enum { NO_COVER = 1000, RANK_ID = 0, RANK_TASK = 1, RANK_TAG = 2, RANK_METADATA = 3, RANK_GLOB = 4,
       RANK_PLACE = 5, RANK_ENV = 6, RANK_STATUS = 7 };

struct entry {
    uint32_t slot;
    enum index_key_kind kind;
    struct str text;
    struct posting posting;
};
struct build {
    struct arena *a;
    struct index_table *t;
    VEC(struct index_slot) slots;
    size_t paths; /* metadata slots */
    VEC(struct entry) entries;
    struct posting posting; /* of the rule at hand */
};

/* --- which clause -------------------------------------------------------------------------------------- */
static int field_rank(enum rule_field_id id)
{
    switch ((int)id) { /* the indexable fields */
    case RULE_RUN: case RULE_ROOT: case RULE_PARENT: case RULE_BATCH: case RULE_SCHEDULE: return RANK_ID;
    case RULE_TASK: case RULE_QUEUE: return RANK_TASK;
    case RULE_TAGS: return RANK_TAG;
    case RULE_METADATA: case RULE_ERROR_CODE: case RULE_ERROR_NAME: return RANK_METADATA;
    case RULE_VERSION: case RULE_MACHINE: case RULE_REGION: case RULE_KIND: return RANK_PLACE;
    case RULE_ENV: case RULE_PROJECT: return RANK_ENV;
    default: return NO_COVER;
    }
}

static size_t slot_of(struct build *b, const struct rule_field *f)
{
    for (size_t i = 0; i < b->slots.n; i++)
        if (rule_field_same(&b->slots.v[i].field, f)) return i;
    /* Each path costs a look-up per event. */
    if (f->id == RULE_METADATA && b->paths++ >= INDEX_PATHS_MAX) return SIZE_MAX;
    *vec_push(&b->slots) = (struct index_slot){ .field = *f };
    return b->slots.n - 1;
}

static size_t literal_prefix(struct str glob)
{
    size_t star = str_find(glob, '*', 0), any = str_find(glob, '?', 0);
    size_t n = star < any ? star : any;
    return n < INDEX_PREFIX_MAX ? n : INDEX_PREFIX_MAX;
}

static int value_rank(const struct match *m, const struct match_value *v)
{
    int rank = field_rank(m->field.id);
    if (v->re) return NO_COVER;
    if (!v->glob) return rank;
    if (literal_prefix(v->text) == 0) return NO_COVER;
    return rank < RANK_GLOB ? RANK_GLOB : rank;
}

static const struct match_value *best_value(const struct match *m)
{
    const struct match_value *best = NULL;
    for (size_t i = 0; i < m->value_count; i++)
        if (!best || value_rank(m, &m->values[i]) < value_rank(m, best)) best = &m->values[i];
    return best;
}

static int test_rank(struct build *b, const struct match *m)
{
    int rank = 0;
    if (rule_field_shape(m->field.id) == SHAPE_STATUS)
        return match_states(m) == MATCH_ALL_STATES ? NO_COVER : RANK_STATUS;
    if (m->implicit || field_rank(m->field.id) == NO_COVER) return NO_COVER;
    if ((m->op != OP_IN && m->op != OP_ALL) || m->value_count == 0) return NO_COVER;
    if (slot_of(b, &m->field) == SIZE_MAX) return NO_COVER;
    if (m->op == OP_ALL) return value_rank(m, best_value(m));
    for (size_t i = 0; i < m->value_count; i++) {
        int r = value_rank(m, &m->values[i]);
        if (r > rank) rank = r;
    }
    return rank;
}

static int cover_rank(struct build *b, const struct match *m)
{
    int rank = m->kind == MATCH_ANY && m->child_count > 0 ? 0 : NO_COVER;
    if (m->kind == MATCH_TEST) return test_rank(b, m);
    if (m->kind == MATCH_NOT) return NO_COVER;
    for (size_t i = 0; i < m->child_count; i++) {
        int r = cover_rank(b, m->children[i]);
        if (m->kind == MATCH_ANY ? r > rank : r < rank) rank = r;
    }
    return rank;
}

/* --- its keys ------------------------------------------------------------------------------------------ */
static void entry_add(struct build *b, size_t slot, enum index_key_kind kind, struct str text)
{
    *vec_push(&b->entries) = (struct entry){ (uint32_t)slot, kind, text, b->posting };
}

static struct str number_bytes(struct build *b, double number)
{
    number += 0.0;
    return (struct str){ arena_memdup(b->a, &number, sizeof number), sizeof number };
}

static void value_cover(struct build *b, const struct match *m, const struct match_value *v)
{
    size_t slot = slot_of(b, &m->field);
    struct index_slot *s = &b->slots.v[slot];
    size_t n = v->glob ? literal_prefix(v->text) : 0;
    if (v->glob) {
        s->prefixes |= (uint64_t)1 << (n - 1);
        entry_add(b, slot, INDEX_PREFIX, str_sub(v->text, 0, n));
        return;
    }
    s->literals = true;
    entry_add(b, slot, INDEX_LITERAL, v->text);
    if (!v->numeric || m->field.id != RULE_METADATA) return;
    s->numbers = true;
    entry_add(b, slot, INDEX_NUMBER, number_bytes(b, v->number));
}

static void test_cover(struct build *b, const struct match *m)
{
    if (rule_field_shape(m->field.id) == SHAPE_STATUS) {
        uint32_t states = match_states(m);
        for (uint32_t s = 0; s < RUN_STATES; s++)
            if (states >> s & 1) entry_add(b, s, INDEX_STATE, STR_NONE);
    } else if (m->op == OP_ALL) {
        value_cover(b, m, best_value(m));
    } else {
        for (size_t i = 0; i < m->value_count; i++) value_cover(b, m, &m->values[i]);
    }
}

static void cover(struct build *b, const struct match *m)
{
    const struct match *best = NULL;
    int rank = NO_COVER;
    if (m->kind == MATCH_TEST) {
        test_cover(b, m);
        return;
    }
    for (size_t i = 0; i < m->child_count; i++) {
        int r = cover_rank(b, m->children[i]);
        if (m->kind == MATCH_ANY) cover(b, m->children[i]);
        else if (r < rank) {
            rank = r;
            best = m->children[i];
        }
    }
    if (best) cover(b, best);
}

static void add_rule(struct build *b, const struct rule *r, const struct match *m)
{
    b->posting = (struct posting){ (uint32_t)r->index, match_states(m) };
    if (cover_rank(b, m) < NO_COVER) cover(b, m);
    else entry_add(b, 0, INDEX_ALWAYS, STR_NONE);
}

/* --- the table ----------------------------------------------------------------------------------------- */
static int entry_key_cmp(const struct entry *a, const struct entry *b)
{
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->slot != b->slot) return a->slot < b->slot ? -1 : 1;
    return str_cmp(a->text, b->text);
}

static int entry_cmp(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int by_key = entry_key_cmp(a, b);
    if (by_key) return by_key;
    return (a->posting.rule > b->posting.rule) - (a->posting.rule < b->posting.rule);
}

static void key_place(struct index_table *t, const struct entry *e, struct posting_list list)
{
    uint64_t hash = index_hash(e->slot, e->kind, e->text);
    size_t i = hash & t->mask;
    while (t->keys[i].hash) i = (i + 1) & t->mask;
    t->keys[i] = (struct index_key){ hash, e->slot, e->kind, e->text, list };
    t->filter[hash >> 32 & t->filter_mask] |= (uint64_t)1 << (hash >> 26 & 63);
}

static void list_place(struct index_table *t, const struct entry *e, struct posting_list list)
{
    if (e->kind == INDEX_STATE) t->states[e->slot] = list;
    else if (e->kind == INDEX_ALWAYS) t->always = list;
    else key_place(t, e, list);
}

static void table_fill(struct build *b)
{
    struct index_table *t = b->t;
    const struct entry *v = b->entries.v;
    size_t cap = 8, n = b->entries.n;
    while (cap < 2 * n) cap *= 2;
    t->keys = ARENA_ARRAY(b->a, struct index_key, cap);
    t->mask = cap - 1;
    t->filter = ARENA_ARRAY(b->a, uint64_t, cap / 8); /* 8 bits per slot, of which half are taken at most */
    t->filter_mask = cap / 8 - 1;
    t->postings = ARENA_ARRAY(b->a, struct posting, n);
    if (n > 0) qsort(b->entries.v, n, sizeof *v, entry_cmp);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && entry_key_cmp(&v[from], &v[to]) == 0; to++) t->postings[to] = v[to].posting;
        list_place(t, &v[from], (struct posting_list){ (uint32_t)from, (uint32_t)(to - from) });
    }
}

static void slots_take(struct build *b)
{
    b->t->slots = ARENA_ARRAY(b->a, struct index_slot, b->slots.n);
    b->t->slot_count = b->slots.n;
    if (b->slots.n) memcpy(b->t->slots, b->slots.v, b->slots.n * sizeof *b->slots.v);
}

static void build_end(struct build *b)
{
    table_fill(b);
    slots_take(b);
    vec_free(&b->entries);
    vec_free(&b->slots);
}

/* Whose incidents does the end of a run concern? One that is keyed by the run follows it to the end. */
static bool hears_of_ends(const struct rule *r)
{
    if (r->by_run) return true;
    for (size_t i = 0; i < r->resolve_count; i++)
        if (r->resolve[i].kind == RULE_SUCCESS) return true;
    return false;
}

void index_build(struct arena *a, struct ruleset *rs)
{
    struct rule_index *index = ARENA_NEW(a, struct rule_index);
    struct build hits = { .a = a, .t = &index->hits }, successes = { .a = a, .t = &index->successes },
                 populations = { .a = a, .t = &index->populations }, lasts = { .a = a, .t = &index->lasts }, ends = { .a = a, .t = &index->ends };
    for (size_t i = 0; i < rs->rule_count; i++) {
        struct rule *r = rs->rules[i];
        add_rule(&hits, r, r->when);
        if (hears_of_ends(r)) add_rule(&successes, r, r->population);
        if (rule_on_population(&r->condition)) add_rule(&populations, r, r->population);
        if (r->condition.kind == RULE_LASTS) add_rule(&lasts, r, r->when);
        if (r->ends) add_rule(&ends, r, r->ends);
        (void)map_put(&index->names, r->name, r);
    }
    build_end(&hits);
    build_end(&successes);
    build_end(&populations);
    build_end(&lasts);
    build_end(&ends);
    rs->index = index;
}
