/* The inside of a parsed document, for the files of json/ only. */
#ifndef JSON_JSON_INTERNAL_H
#define JSON_JSON_INTERNAL_H
#include "json/json.h"

enum {
    JSON_SCAN_MEMBERS = 8, /* objects with more members have an index */
    JSON_WEAK_SLOTS = 128  /* an index with more is hashed so that nobody can aim at one slot */
};

/* One value. Nodes lie in the order of the text; the key of a member is the node before its value. */
struct json_node {
    uint32_t start, end; /* in the text, quotes included; end is behind the last byte */
    uint32_t n;          /* string: decoded length; array, object: items */
    uint32_t next : 27;  /* next sibling value, 0 = last */
    uint32_t kind : 3;
    uint32_t member : 1;  /* node - 1 is its key */
    uint32_t escaped : 1; /* string: text lies outside the source */
    union {
        const char *text; /* string: decoded */
        uint32_t *index;  /* object over JSON_SCAN_MEMBERS: value nodes by hash of key, 0 = free */
    } u;
};
enum { JSON_MOST_NODES = (1 << 27) - 1 };

struct json_doc {
    struct str text;
    const struct json_node *nodes;
};

/* Slots of the index of an object with n members: a power of two, at most half full. */
static inline uint32_t json_index_slots(uint32_t n)
{
    uint32_t slots = 32;
    while (slots < 2 * n) slots *= 2;
    return slots;
}

static inline struct str json_node_text(const struct json_node *node)
{
    return (struct str){ node->u.text, node->n };
}

/* Index check and build at the end of an object: 0, or the value node that repeats an earlier key. */
uint32_t json_index_object(struct arena *a, struct json_node *nodes, uint32_t object);
#endif
