/* absent: the keys that rules with `absent` wait for. For files of this room only.
 *
 * A key is armed, and due at a time that its last hit decides; when that passes without another hit it has run out, and
 * waits for one. The keys of one (rule, project, env) stand in one heap: what can be said of them depends on how far its
 * sources have told what happened. */
#ifndef ENGINE_ABSENT_H
#define ENGINE_ABSENT_H
#include "engine/engine_internal.h"

enum absent_state { ABSENT_ARMED, ABSENT_OUT }; /* stored */
struct absent_key { /* its text lies behind it; there may be a million */
    struct absent_group *group;
    uint32_t at;        /* index in the group's heap + 1; 0 = it waits for nothing but a hit */
    uint32_t key_hash, key_bytes;
    uint8_t state;
    bool hit;           /* there was one, at since_ms */
    bool named;         /* by the rule's text: never forgotten */
    bool dirty;
    int64_t since_ms;   /* event time of the last hit */
    int64_t start_ms;   /* when its clock was started without one; 0 = by a hit */
    int64_t slot_ms;    /* when the hit is, or was, expected, grace not counted */
    int64_t due_ms;     /* armed: when it runs out; out: when it is given up */
};
struct absent_group { /* of one (rule, project, env) */
    struct timer timer; /* first; due when the first of its keys is, unless that is over and its sources have not told of it yet */
    uint64_t id;        /* the same in every process */
    struct engine_rule *rule;
    struct part *part;
    int64_t told_ms;    /* until then everything has been told; ENGINE_NEVER: it is told at once */
    int64_t heard_ms;   /* since then somebody listens */
    VEC(struct absent_key *) heap; /* by due_ms, then by key */
};
struct absent_rule { /* what an engine_rule needs to wait for keys */
    int64_t loaded_ms;  /* 0 = not yet */
    size_t keys;
    bool dirty;
};
static inline struct str absent_key_text(const struct absent_key *k)
{
    return (struct str){ (const char *)(k + 1), k->key_bytes };
}

/* absent_keys.c */
struct absent_rule *absent_rule_get(struct engine_rule *r);
struct absent_group *absent_group_get(struct engine *e, struct engine_rule *r, struct part *p);
struct absent_key *absent_key_find(struct engine *e, struct engine_rule *r, struct part *p, struct str key);
struct absent_key *absent_key_new(struct engine *e, struct absent_group *g, struct str key);
void absent_key_wait(struct engine *e, struct absent_key *k, int64_t due_ms); /* ENGINE_NEVER: no more */
void absent_group_rearm(struct engine *e, struct absent_group *g);
void absent_key_touch(struct engine *e, struct absent_key *k);
void absent_key_drop(struct engine *e, struct absent_key *k); /* and its cell */
/* What the sources have told by now, for every group. */
void absent_listen(struct engine *e);
void absent_rule_touch(struct engine *e, struct engine_rule *r);
/* absent_names.c */
/* Keys that the rules' texts name, in the environments they name and those that live. Those that are there already stay as they are. */
void absent_register(struct step_context *c);
/* absent.c */
void absent_start(struct step_context *c, struct absent_key *k); /* its clock begins now */
#endif
