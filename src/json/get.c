#include <assert.h>
#include <string.h>

#include "json/json_internal.h"

static const struct json_node *node_of(struct json v)
{
    static const struct json_node absent = { .kind = JSON_ABSENT };
    return v.doc ? &v.doc->nodes[v.at] : &absent;
}

static struct json value_at(struct json near, uint32_t at)
{
    return at ? (struct json){ near.doc, at } : (struct json){ 0 };
}

/* Node of the first value in a container, 0 = empty. */
static uint32_t first_in(const struct json_node *container, uint32_t at)
{
    if (container->n == 0) return 0;
    return container->kind == JSON_OBJECT ? at + 2 : at + 1;
}

static bool same_key(const struct json_node *a, const struct json_node *b)
{
    return a->n == b->n && memcmp(a->u.text, b->u.text, a->n) == 0;
}

/* Few members: each against its elders. */
static uint32_t check_pairs(const struct json_node *nodes, uint32_t object)
{
    for (uint32_t v = first_in(&nodes[object], object); v; v = nodes[v].next)
        for (uint32_t w = object + 2; w != v; w = nodes[w].next)
            if (same_key(&nodes[v - 1], &nodes[w - 1])) return v;
    return 0;
}

/* Where the search for a key begins. Only an object with many members is worth an attack, and only there the
 * keyed hash worth its price: in a small one the worst walk is short. */
static uint32_t slot_of(struct str key, uint32_t slots)
{
    uint64_t first = 0, last = 0;
    size_t n = key.n < sizeof first ? key.n : sizeof first;
    if (slots > JSON_WEAK_SLOTS) return (uint32_t)str_hash(key) & (slots - 1);
    if (n) memcpy(&first, key.p, n);
    if (n) memcpy(&last, key.p + key.n - n, n);
    first = (first ^ (last << 7 | last >> 57) ^ key.n) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(first >> 40) & (slots - 1);
}

uint32_t json_index_object(struct arena *a, struct json_node *nodes, uint32_t object)
{
    uint32_t slots, *index;
    if (nodes[object].n <= JSON_SCAN_MEMBERS) return check_pairs(nodes, object);
    slots = json_index_slots(nodes[object].n);
    index = ARENA_ARRAY(a, uint32_t, slots);
    for (uint32_t v = object + 2; v; v = nodes[v].next) {
        uint32_t at = slot_of(json_node_text(&nodes[v - 1]), slots);
        for (; index[at]; at = (at + 1) & (slots - 1))
            if (same_key(&nodes[v - 1], &nodes[index[at] - 1])) return v;
        index[at] = v;
    }
    nodes[object].u.index = index;
    return 0;
}

enum json_kind json_kind(struct json v)
{
    return (enum json_kind)node_of(v)->kind;
}

bool json_present(struct json v)
{
    return json_kind(v) > JSON_NULL;
}

static bool key_is(const struct json_node *value, struct str key)
{
    return value[-1].n == key.n && memcmp(value[-1].u.text, key.p, key.n) == 0;
}

static uint32_t look_up(const struct json_doc *doc, const struct json_node *object, struct str key)
{
    uint32_t slots = json_index_slots(object->n);
    uint32_t at = slot_of(key, slots);
    for (; object->u.index[at]; at = (at + 1) & (slots - 1))
        if (key_is(&doc->nodes[object->u.index[at]], key)) break;
    return object->u.index[at];
}

struct json json_get(struct json object, struct str key)
{
    const struct json_node *node = node_of(object);
    uint32_t v;
    if (node->kind != JSON_OBJECT) return (struct json){ 0 };
    if (!key.p) key.p = ""; /* memcmp wants a pointer for no bytes too */
    if (node->n > JSON_SCAN_MEMBERS) return value_at(object, look_up(object.doc, node, key));
    v = first_in(node, object.at);
    while (v && !key_is(&object.doc->nodes[v], key)) v = object.doc->nodes[v].next;
    return value_at(object, v);
}

struct json json_at(struct json array, size_t index)
{
    const struct json_node *node = node_of(array);
    struct json v;
    if (node->kind != JSON_ARRAY || index >= node->n) return (struct json){ 0 };
    v = json_first(array);
    while (index-- > 0) v = json_next(v);
    return v;
}

struct json json_path(struct json v, const struct str *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t index;
        if (json_kind(v) != JSON_ARRAY) v = json_get(v, parts[i]);
        else if (str_to_i64(parts[i], &index) && index >= 0) v = json_at(v, (size_t)index);
        else return (struct json){ 0 };
    }
    return v;
}

size_t json_count(struct json v)
{
    const struct json_node *node = node_of(v);
    return node->kind == JSON_ARRAY || node->kind == JSON_OBJECT ? node->n : 0;
}

struct json json_first(struct json v)
{
    const struct json_node *node = node_of(v);
    if (node->kind != JSON_ARRAY && node->kind != JSON_OBJECT) return (struct json){ 0 };
    return value_at(v, first_in(node, v.at));
}

struct json json_next(struct json v)
{
    return value_at(v, node_of(v)->next);
}

struct str json_key(struct json member)
{
    const struct json_node *node = node_of(member);
    return node->member ? json_node_text(node - 1) : STR_NONE;
}

struct str json_str(struct json v)
{
    const struct json_node *node = node_of(v);
    return node->kind == JSON_STRING ? json_node_text(node) : STR_NONE;
}

struct str json_text(struct json v)
{
    const struct json_node *node = node_of(v);
    if (node->kind == JSON_ABSENT) return STR_NONE;
    return (struct str){ v.doc->text.p + node->start, node->end - node->start };
}

bool json_i64(struct json v, int64_t *out)
{
    return json_kind(v) == JSON_NUMBER && str_to_i64(json_text(v), out);
}

bool json_f64(struct json v, double *out)
{
    return json_kind(v) == JSON_NUMBER && str_to_f64(json_text(v), out);
}

bool json_bool(struct json v, bool fallback)
{
    const struct json_node *node = node_of(v);
    if (node->kind != JSON_BOOL) return fallback;
    return v.doc->text.p[node->start] == 't';
}

struct str json_scalar(struct json v)
{
    switch (json_kind(v)) {
    case JSON_STRING: return json_str(v);
    case JSON_NUMBER:
    case JSON_BOOL: return json_text(v);
    case JSON_ABSENT:
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    return STR_NONE;
}
