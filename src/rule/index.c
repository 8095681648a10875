/* Which rules might an event hit? Each rule is found by one necessary clause of it (index_build.c), so the
 * cost is a few look-ups per field in use and what they find, not the number of rules. */
#include "base/mem.h"
#include "rule/rule_internal.h"

/* FNV-1a, mixed at the end: the table is built from rules, which are trusted, and never grows with events. */
uint64_t index_hash_step(uint64_t h, unsigned char c)
{
    return (h ^ c) * 0x100000001b3u;
}

uint64_t index_hash_seed(uint32_t slot, enum index_key_kind kind)
{
    return 0xcbf29ce484222325u ^ ((uint64_t)slot << 3 | (uint64_t)kind) * 0x9e3779b97f4a7c15u;
}

uint64_t index_hash_end(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    return h ? h : 1;
}

uint64_t index_hash(uint32_t slot, enum index_key_kind kind, struct str text)
{
    uint64_t h = index_hash_seed(slot, kind);
    for (size_t i = 0; i < text.n; i++) h = index_hash_step(h, (unsigned char)text.p[i]);
    return index_hash_end(h);
}

struct gather {
    const struct index_table *t;
    struct rule_scratch *scratch;
    size_t n;
    enum run_state state;
};

static void take(struct gather *g, const struct posting_list *list)
{
    const struct posting *p = g->t->postings + list->first;
    for (uint32_t i = 0; i < list->count; i++) {
        uint64_t *word = &g->scratch->seen[p[i].rule / 64], bit = (uint64_t)1 << p[i].rule % 64;
        if (!(p[i].states >> g->state & 1) || *word & bit) continue;
        *word |= bit;
        g->scratch->list[g->n++] = p[i].rule;
    }
}

static void look(struct gather *g, uint64_t hash, uint32_t slot, enum index_key_kind kind, struct str text)
{
    if (!(g->t->filter[hash >> 32 & g->t->filter_mask] >> (hash >> 26 & 63) & 1)) return;
    for (size_t i = hash & g->t->mask;; i = (i + 1) & g->t->mask) {
        const struct index_key *k = &g->t->keys[i];
        if (k->hash == 0) return;
        if (k->hash != hash || k->slot != slot || k->kind != kind || !str_eq(k->text, text)) continue;
        take(g, &k->list);
        return;
    }
}

static void look_prefixes(struct gather *g, uint32_t slot, uint64_t lengths, struct str text)
{
    uint64_t h = index_hash_seed(slot, INDEX_PREFIX);
    for (size_t n = 1; n <= text.n && n <= INDEX_PREFIX_MAX && lengths >> (n - 1); n++) {
        h = index_hash_step(h, (unsigned char)text.p[n - 1]);
        if (lengths >> (n - 1) & 1) look(g, index_hash_end(h), slot, INDEX_PREFIX, str_sub(text, 0, n));
    }
}

static void look_text(struct gather *g, uint32_t slot, struct str text)
{
    const struct index_slot *s = &g->t->slots[slot];
    if (s->literals) look(g, index_hash(slot, INDEX_LITERAL, text), slot, INDEX_LITERAL, text);
    if (s->prefixes) look_prefixes(g, slot, s->prefixes, text);
}

static void look_json(struct gather *g, uint32_t slot, struct json v)
{
    double number;
    struct str text = json_scalar(v);
    if (str_absent(text)) return;
    look_text(g, slot, text);
    if (!g->t->slots[slot].numbers || json_kind(v) != JSON_NUMBER || !json_f64(v, &number)) return;
    number += 0.0; /* -0 is 0 */
    text = (struct str){ (const char *)&number, sizeof number };
    look(g, index_hash(slot, INDEX_NUMBER, text), slot, INDEX_NUMBER, text);
}

static void look_slot(struct gather *g, uint32_t slot, struct rule_subject *s)
{
    const struct index_slot *found_by = &g->t->slots[slot];
    const struct rule_field *f = &found_by->field;
    if (!found_by->literals && !found_by->prefixes) return; /* weighed and not chosen */
    if (f->id == RULE_TAGS) {
        for (size_t i = 0; i < s->run->tag_count; i++) look_text(g, slot, s->run->tags[i]);
    } else if (f->id == RULE_METADATA) {
        struct json v = rule_subject_json(f, s);
        if (json_kind(v) != JSON_ARRAY) look_json(g, slot, v);
        else for (v = json_first(v); json_kind(v) != JSON_ABSENT; v = json_next(v)) look_json(g, slot, v);
    } else {
        struct str text = rule_subject_text(f->id, s);
        if (text.n > 0) look_text(g, slot, text);
    }
}

static void scratch_fit(struct rule_scratch *s, size_t rules)
{
    size_t words = rules / 64 + 1;
    if (s->words < words) {
        s->seen = xrealloc(s->seen, words * sizeof *s->seen);
        memset(s->seen + s->words, 0, (words - s->words) * sizeof *s->seen);
        s->words = words;
    }
    if (s->list_cap < rules + 1) {
        s->list = xrealloc(s->list, (rules + 1) * sizeof *s->list);
        s->list_cap = rules + 1;
    }
}

enum { SORT_MOST = 32 };

static void sort_few(uint32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t x = v[i];
        size_t j = i;
        for (; j > 0 && v[j - 1] > x; j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

static void list_from_seen(struct rule_scratch *s, size_t rules)
{
    size_t n = 0;
    for (size_t w = 0; w * 64 < rules; w++)
        for (uint64_t bits = s->seen[w]; bits; bits &= bits - 1)
            s->list[n++] = (uint32_t)(w * 64 + (size_t)__builtin_ctzll(bits));
}

/* Into ruleset order, and the marks gone again. */
static void settle(struct gather *g, size_t rules)
{
    struct rule_scratch *s = g->scratch;
    if (g->n <= SORT_MOST) sort_few(s->list, g->n);
    else list_from_seen(s, rules);
    for (size_t i = 0; i < g->n; i++) s->seen[s->list[i] / 64] = 0;
}

static size_t gather(const struct ruleset *rs, const struct index_table *t, struct rule_subject *s,
                     struct rule_scratch *scratch, const uint32_t **indexes)
{
    struct gather g = { .t = t, .scratch = scratch, .state = rule_subject_state(s) };
    scratch_fit(scratch, rs->rule_count);
    for (uint32_t slot = 0; slot < t->slot_count; slot++) look_slot(&g, slot, s);
    take(&g, &t->states[g.state]);
    take(&g, &t->always);
    settle(&g, rs->rule_count);
    *indexes = scratch->list;
    return g.n;
}

size_t ruleset_candidates(const struct ruleset *rs, struct rule_subject *s, struct rule_scratch *scratch,
                          const uint32_t **indexes)
{
    return gather(rs, &rs->index->hits, s, scratch, indexes);
}

size_t ruleset_success_candidates(const struct ruleset *rs, struct rule_subject *s,
                                  struct rule_scratch *scratch, const uint32_t **indexes)
{
    return gather(rs, &rs->index->successes, s, scratch, indexes);
}

size_t ruleset_population_candidates(const struct ruleset *rs, struct rule_subject *s,
                                     struct rule_scratch *scratch, const uint32_t **indexes)
{
    return gather(rs, &rs->index->populations, s, scratch, indexes);
}

size_t ruleset_lasts_candidates(const struct ruleset *rs, struct rule_subject *s, struct rule_scratch *scratch, const uint32_t **indexes)
{
    return gather(rs, &rs->index->lasts, s, scratch, indexes);
}

size_t ruleset_end_candidates(const struct ruleset *rs, struct rule_subject *s, struct rule_scratch *scratch,
                              const uint32_t **indexes)
{
    return gather(rs, &rs->index->ends, s, scratch, indexes);
}

void rule_scratch_fini(struct rule_scratch *s)
{
    free(s->seen);
    free(s->list);
    *s = (struct rule_scratch){ 0 };
}
