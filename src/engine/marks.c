/* marks: what silences and mutes have marked of an incident's hits since its last message. It is held while each of these hits has a mark
 * that stands (rule-language.md section 5, Messages). */
#include <stdlib.h>
#include <string.h>

#include "engine/engine_internal.h"

static bool id_in(const uint64_t *ids, size_t n, uint64_t id)
{
    for (size_t k = 0; k < n; k++)
        if (ids[k] == id) return true;
    return false;
}

/* A hit's set of marks: how many, then their ids. */
void marks_drop(struct hold *h)
{
    free(h->marks);
    h->marks = NULL;
    h->mark_words = 0;
}

enum { MARK_WORDS = 256 }; /* of an incident; over it, rather ring than stay silent */

static bool has_set(const struct hold *h, const uint64_t *ids, size_t n)
{
    for (size_t at = 0; at < h->mark_words; at += 1 + (size_t)h->marks[at])
        if (h->marks[at] == n && memcmp(h->marks + at + 1, ids, n * sizeof *ids) == 0) return true;
    return false;
}

static void add_set(struct hold *h, const uint64_t *ids, size_t n)
{
    if (h->unmarked || has_set(h, ids, n)) return;
    if (h->mark_words + 1 + n > MARK_WORDS) {
        h->unmarked = true;
        marks_drop(h);
        return;
    }
    h->marks = xrealloc(h->marks, (h->mark_words + 1 + n) * sizeof *h->marks);
    h->marks[h->mark_words] = n;
    memcpy(h->marks + h->mark_words + 1, ids, n * sizeof *ids);
    h->mark_words += (uint32_t)(1 + n);
}

static void set_marks(struct hold *h, const uint64_t *ids, size_t n)
{
    marks_drop(h);
    h->unmarked = n == 0;
    if (n > 0) add_set(h, ids, n);
}

static void mark_hit(struct step_context *c, struct incident *i, const uint64_t *ids, size_t n)
{
    if (i->hold) i->hold->stood_ms = 0;
    if (n == 0 && !i->hold && !markers_any(c)) return;
    if (!i->hold || i->hold->spoken) set_marks(hold_get(i), ids, n);
    else if (n > 0) add_set(i->hold, ids, n);
    else set_marks(i->hold, ids, 0);
    i->hold->spoken = false;
    hold_review(c, i);
}

void hold_hit(struct step_context *c, struct incident *i, struct rule_subject *s)
{
    uint64_t ids[MARKS_PER_HIT];
    mark_hit(c, i, ids, markers_of(c, i->rule, s, ids));
}

/* Is its last hit one that these mark? All of them, if n is 0. What marks it then. */
struct begun { const uint64_t *ids; size_t n; };

static bool begins(const struct step_context *c, const struct incident *i, struct rule_subject *s, struct begun b)
{
    bool any = b.n == 0;
    for (size_t k = 0; k < b.n && !any; k++) any = marker_marks(c, b.ids[k], i->rule, s);
    return any;
}

/* There may be very many that are asked: memory is its own. */
static size_t marks_of_last(struct step_context *c, struct incident *i, struct begun b, uint64_t ids[MARKS_PER_HIT])
{
    struct arena a = { 0 };
    struct engine_output scratch = { .arena = &a };
    struct step_context own = { .e = c->e, .out = &scratch, .now_ms = c->now_ms, .err = c->err };
    struct rule_subject s;
    struct detail d;
    size_t n = 0;
    if (i->hits > 0 && detail_get(&own, i, &d) == 0) {
        rule_subject_init(&s, &a, &d.run, &d.transition, c->now_ms);
        if (begins(c, i, &s, b)) n = markers_of(c, i->rule, &s, ids);
    }
    c->failed |= own.failed;
    engine_output_fini(&scratch);
    arena_fini(&a);
    return n;
}

void hold_absence(struct step_context *c, struct incident *i)
{
    uint64_t ids[MARKS_PER_HIT];
    mark_hit(c, i, ids, i->hold || markers_any(c) ? marks_of_last(c, i, (struct begun){ NULL, 0 }, ids) : 0);
}

static bool set_stands(struct step_context *c, const uint64_t *set)
{
    for (size_t k = 1; k <= set[0]; k++)
        if (marker_stands(c, set[k])) return true;
    return false;
}

bool hold_is_marked(struct step_context *c, const struct incident *i)
{
    const struct hold *h = i->hold;
    if (!h || h->unmarked || h->mark_words == 0) return false;
    for (size_t at = 0; at < h->mark_words; at += 1 + (size_t)h->marks[at])
        if (!set_stands(c, h->marks + at)) return false;
    return true;
}

/* Something begins to mark. What an incident is about now is its last hit; of earlier ones nothing but their marks is known. So a set of
 * those that stand like those of the last hit gains what begins; the other sets stay, unless it is not held by them anyway. */
static bool is_set_of(struct step_context *c, const uint64_t *set, const uint64_t *ids, size_t n, const uint64_t *begun, size_t begun_n)
{
    size_t standing = 0, wanted = 0;
    for (size_t k = 0; k < n; k++) wanted += !id_in(begun, begun_n, ids[k]);
    for (size_t k = 1; k <= set[0]; k++) {
        if (!marker_stands(c, set[k]) || id_in(begun, begun_n, set[k])) continue;
        if (!id_in(ids, n, set[k])) return false;
        standing++;
    }
    return standing == wanted;
}

static void widen_sets(struct step_context *c, struct hold *h, const uint64_t *ids, size_t n, const uint64_t *begun, size_t begun_n)
{
    struct hold before = *h;
    h->marks = NULL;
    h->mark_words = 0;
    add_set(h, ids, n);
    for (size_t at = 0; at < before.mark_words; at += 1 + (size_t)before.marks[at])
        if (!is_set_of(c, before.marks + at, ids, n, begun, begun_n)) add_set(h, before.marks + at + 1, (size_t)before.marks[at]);
    free(before.marks);
}

void hold_begin(struct step_context *c, struct incident *i, const uint64_t *begun, size_t begun_n)
{
    uint64_t ids[MARKS_PER_HIT];
    size_t n;
    bool about = false;
    for (size_t k = 0; k < begun_n && !about; k++) about = marker_is_about(c->e, begun[k], i->rule);
    n = about ? marks_of_last(c, i, (struct begun){ begun, begun_n }, ids) : 0;
    if (n == 0) return;
    if (hold_is_marked(c, i)) widen_sets(c, i->hold, ids, n, begun, begun_n);
    else set_marks(hold_get(i), ids, n);
    incident_touch(c->e, i);
}

bool hold_has_mark(const struct incident *i, uint64_t marker)
{
    const struct hold *h = i->hold;
    if (!h) return false;
    for (size_t at = 0; at < h->mark_words; at += 1 + (size_t)h->marks[at])
        for (size_t k = 1; k <= h->marks[at]; k++)
            if (h->marks[at + k] == marker) return true;
    return false;
}

static bool sets_fit(const struct hold *h)
{
    for (size_t at = 0; at < h->mark_words; at += 1 + (size_t)h->marks[at])
        if (h->marks[at] == 0 || h->marks[at] >= h->mark_words - at) return false;
    return true;
}

void marks_restore(struct hold *h, struct json list)
{
    size_t n = json_count(list);
    int64_t v;
    if (n == 0 || n > MARK_WORDS) return;
    h->marks = xcalloc(n, sizeof *h->marks);
    for (struct json m = json_first(list); json_kind(m) != JSON_ABSENT; m = json_next(m)) h->marks[h->mark_words++] = json_i64(m, &v) ? (uint64_t)v : 0;
    if (!sets_fit(h)) marks_drop(h);
}
