/* engine_internal: the state of the fold, for the files of this room. */
#ifndef ENGINE_ENGINE_INTERNAL_H
#define ENGINE_ENGINE_INTERNAL_H
#include "base/map.h"
#include "base/strbuf.h"
#include "engine/engine.h"

enum {
    CONTENT_CEILING = 256 * 1024, /* one message */
    METADATA_KEPT = 16 * 1024,    /* of the last hit, in an incident's detail */
    ERROR_KEPT = 16 * 1024,       /* of each of its error's texts */
    TAGS_KEPT = 16 * 1024,        /* of all its tags together */
    KEYS_PER_HIT = 16,
    MARKS_PER_HIT = 16,
    DIGEST_TITLES = 20
};

/* --- interned things: small, never freed before the engine is ------------------------------------------ */
struct part { /* (project, env) */
    struct str project, env;
    int64_t heard_ms;   /* event time of the last event, to the hour; 0 = none, or long ago */
    bool heard_dirty;
};
struct place { /* a destination by name; its index may change with a reload */
    struct str name;
    const struct rule_destination *now; /* NULL: not in the configuration any more */
};
struct gate { const struct part *part; uint32_t open; }; /* of a rule that others stand behind: its open incidents */
struct engine_rule { /* a rule by name, over reloads */
    struct str name;
    bool gate;              /* some rule's `unless` names it */
    VEC(struct gate) gates;
    const struct rule *now; /* never NULL: a gone rule has a stub */
    bool gone, changed; /* changed: of use while rules are switched */
    size_t open;            /* unresolved incidents */
    size_t windows;
    struct absent_rule *absent; /* absent.h; NULL = it waits for nothing */
    size_t stays;           /* of watched runs */
    int64_t came_ms;        /* of `lasts`: when it came as it is; 0 = with the engine */
    struct rule *stub;      /* stands in for a gone rule, so that its incidents can still say that they end */
};

/* --- timers: one heap entry per thing that waits ------------------------------------------------------- */
enum timer_kind { TIMER_INCIDENT, TIMER_DIGEST, TIMER_WINDOW, TIMER_GATES, TIMER_ABSENT, TIMER_WATCHED };
struct timer {
    int64_t due_ms; /* ENGINE_NEVER = not in the heap */
    uint32_t at;    /* index in the heap + 1; 0 = not in it */
    uint8_t kind;
};
struct heap_slot { int64_t due_ms; struct timer *timer; }; /* the time here, too: what is compared lies together */

/* --- incidents ------------------------------------------------------------------------------------------ */
enum due { /* what an incident may wait for */
    DUE_WAIT, DUE_UPDATE, DUE_REPEAT, DUE_LINGER, DUE_QUIET, DUE_CLEARS, DUE_LAPSE, DUE_LATER, DUE_KINDS, /* the order is stored */
    DUE_STEP = DUE_KINDS /* its next escalation */
};
enum { DUE_FEW = 2 }; /* most wait for a reminder and for the end of quiet */
enum criterion { BY_SUCCESS, BY_CLEARING, BY_MATCH, BY_QUIET }; /* why an incident lingers; the order is stored */
enum told_flag { /* stored */
    TOLD_SPOKE = 1, TOLD_DIRTY = 2, TOLD_DIGEST = 4,
    TOLD_LOUD = 8, /* what is outstanding rings: an opening, a reminder, an escalation */
    TOLD_LATER = 16, /* it is outside this target's hours: told when they begin */
    TOLD_LATER_STEP = 32, /* and that is an escalation */
    TOLD_CHOSEN = 64, /* by the switch, when it opened */
    TOLD_LATER_AGAIN = 128 /* what waits for its hours is a reminder */
};
struct told { /* what one destination has heard of an incident */
    struct place *place;
    char *params;      /* rendered {to: X, ...} values as JSON; NULL = none */
    uint64_t digest;      /* TOLD_DIGEST: which one */
    const char *during;   /* the name of its own hours; NULL = always */
    const char *later;    /* TOLD_LATER: the hours that it waits for, which begin at */
    int64_t later_ms;
    uint32_t outstanding; /* messages without a final verdict */
    uint32_t flags;
};
struct step { /* one escalation of one destination, frozen at opening */
    int64_t due_ms;
    struct place *place;
    char *params;
    int64_t after_ms;
    const char *during; /* the name of its own hours, interned; NULL = always */
};
struct hold { /* of an incident that something holds or held; few have one (hold.c) */
    int64_t since_ms;  /* held now, since then; 0 = not held */
    int64_t stood_ms;  /* since the last hit, quiet stood still for that long */
    int64_t held_ms;   /* for how long it was held last */
    uint64_t *marks;   /* sets of marks of the hits since its last message: how many, then their ids */
    char *why;         /* what held it last */
    uint32_t mark_words;
    uint8_t causes;
    bool unmarked;     /* some hit since its last message has no mark */
    bool spoken;       /* the next hit is the first since a message */
    bool dropped;      /* its opening fell outside hours and was dropped */
};
enum { REPEAT_OVER = UINT16_MAX }; /* incident.repeat_next: its run ended, no more reminders */
struct incident { /* by the 100,000: its key lies behind it; one run, one destination, few due times need no list */
    struct timer timer; /* due_ms = least of what it waits for and the next step */
    uint64_t id;
    struct engine_rule *rule;
    struct part *part;
    struct incident *sibling;  /* next with the same identity, when by holds outcome fields */
    int64_t first_ms, opened_ms, last_hit_ms, last_event_ms, last_told_ms, paused_ms;
    union { int64_t few[DUE_FEW], *many; } due; /* of what it waits for, in the order of enum due: see incident_due_ms() */
    union { struct told one, *many; } told;     /* told_count of them: see incident_told() */
    struct step *steps;        /* by due_ms; the first step_next are done */
    union { uint64_t one, *many; } runs; /* hashes of distinct runs, runs_kept of them: see incident_runs() */
    struct hold *hold;         /* NULL: nothing ever held it */
    char *detail;              /* last hit; NULL = paged out */
    char *first_run, *last_run; /* NULL: none, or equal to key */
    uint32_t detail_bytes, key_bytes, key_hash, identity_hash;
    uint32_t hits, run_count, runs_kept, successes;
    uint32_t still;            /* `lasts`: of its runs, those that still are what they were hits by */
    uint16_t told_count, step_count, step_next, repeat_next;
    uint8_t state;             /* enum incident_state */
    uint8_t last_state;        /* enum run_state of the last hit */
    uint8_t criterion;         /* enum criterion, while it lingers */
    uint8_t waits;             /* a bit for each of enum due */
    bool dirty, detail_dirty, ended, late, listed; /* listed: in engine.detailed */
    bool routed;               /* a switch has decided whom it tells: those with TOLD_CHOSEN, perhaps nobody */
    bool unconfirmed;          /* it opened without that its runs could be read again */
    bool queued;               /* in engine.released or .fresh: it does nothing before the step has seen all of them */
};

/* --- windows and digests ---------------------------------------------------------------------------------- */
struct window_entry {
    int64_t event_ms;
    uint64_t run;
    uint64_t mark; /* of `first`: event_ms of the last hit of a stretch that the entry begins;
                    * of `count: N of FIELD`: the value's hash; of a population: 0 = no hit, else whose (population.c) */
};
struct window_chunk { int64_t number; uint32_t n; bool dirty; }; /* n entries with a cell of their own; numbers ascend */
struct window_chunks { /* of a busy window: see entries.c */
    VEC(struct window_chunk) list;
    uint32_t sealed;         /* entries in them; what comes behind stands in the window's own cell */
    uint32_t dead;           /* of the first: dropped, and not gone yet */
    uint32_t expected, skip; /* while restoring: what the window's own cell says of the two */
};
struct window { /* of one (rule, project, env, key); of a population, one for all keys of an identity. By the million: its key lies behind it */
    struct timer timer; /* when all of it is over */
    struct engine_rule *rule;
    struct part *part;
    struct { struct window_entry *v; uint32_t n, cap; } entries; /* by event_ms; only entries.c adds and takes away */
    struct window_entry few[2];   /* most have no more */
    struct window_chunks *chunks; /* NULL: few entries, one cell */
    uint32_t key_hash, key_bytes;
    uint32_t collapsed;
    uint32_t dirty; /* place in engine.dirty_windows + 1; 0 = nothing to write */
};
struct limit_window { /* openings and escalations per (destination, project, env[, rule]) */
    struct str name;
    VEC(int64_t) times;
    bool dirty;
};
struct digest { /* what did not fit a limit, told as one message */
    struct timer timer;
    uint64_t id;
    struct place *place;
    char *params;        /* of those it gathers: what goes to one channel is not told in another; NULL = none */
    struct part *part;
    struct str name;     /* of its limit window */
    int64_t per_ms, opened_ms, last_sent_ms;
    int64_t total, open; /* incidents in it; exact */
    VEC(struct str) titles; /* of the first DIGEST_TITLES */
    int severity;
    uint32_t outstanding;
    bool changed, spoke, dirty, ended;
    bool held;           /* of openings that were held, and not of what a limit kept back */
};
struct silence { /* silence.c */
    struct arena memory; /* texts and match live here */
    uint64_t id;
    struct str rule, text, who, why, end;
    struct rule_when when; /* match NULL: any hit of the rule */
    int64_t made_ms, until_ms, ended_ms; /* ended_ms 0: it stands */
    bool until_resolved, dirty;
};
struct silence_text { struct str when, rule, who, why; };
struct gather { const struct place *place; const struct part *part; size_t openings; };
struct over { uint32_t key_hash; const struct engine_rule *rule; uint64_t incident; };
struct fault { struct str topic; int64_t last_ms; uint64_t held; bool dirty; };

/* A hash table of pointers whose hash the element keeps; see index.c. */
struct index { void **slots; size_t n, used, cap; };

/* --- absences: absent.h ------------------------------------------------------------------------------------ */
struct absences {
    struct index keys;
    VEC(struct absent_group *) groups;
    VEC(struct absent_key *) dirty_keys;
    VEC(struct engine_rule *) dirty_rules;
    VEC(struct part *) heard, dirty_heard; /* environments that live */
    VEC(struct engine_source) sources;
    struct arena source_texts;
    int64_t swept_ms;
    bool told;   /* of its sources */
    bool loaded; /* the rules are in force */
};
struct absence { /* of one key, for what is said of it */
    int64_t since_ms, slot_ms, due_ms, now_ms; /* the last hit, or since when it is watched; see absent_key */
    bool hit;
};

struct engine {
    const struct ruleset *rules;
    struct engine_limits limits;
    engine_detail_fn detail;
    engine_cell_fn cell;
    void *detail_ctx;
    struct str public_url;
    bool rereads;
    struct arena names; /* interned texts */
    struct map parts, places, hours, engine_rules, limit_windows, faults;
    struct engine_rule **by_index; /* ruleset index -> engine_rule */
    struct id_gen ids;
    uint64_t ids_kept;             /* ids.last as last handed out */
    int64_t now_ms;
    struct index incident_keys, incident_identities, windows;
    VEC(struct incident *) by_id;  /* ids ascend; ended ones are NULL until compacted */
    VEC(uint64_t) id_slots;        /* the ids in by_id, also of those that ended: what is searched */
    size_t by_id_dead;
    bool by_id_mixed; /* while restoring: not in order yet */
    VEC(struct digest *) digests;  /* the live ones, by id */
    VEC(struct heap_slot) heap;
    VEC(struct incident *) dirty;
    VEC(struct window *) dirty_windows;
    VEC(struct limit_window *) dirty_limits;
    VEC(struct fault *) dirty_faults;
    VEC(struct str) gone_cells;    /* keys to delete; heap */
    struct absences absences;
    size_t detail_bytes;
    VEC(struct over) over;         /* what the report over_event opened and ended in one: told once */
    uint64_t over_event;
    VEC(uint64_t) detailed;        /* incidents with a detail in memory, oldest first; for trimming */
    VEC(struct silence *) silences; /* by id */
    struct timer gates;            /* the next change of what holds: hours, ends of silences */
    int64_t gates_seen_ms;         /* they are as of then; a moment of their own, stored */
    VEC(uint64_t) confirming;      /* pending incidents whose run is being read again */
    VEC(uint64_t) muting;          /* mutes that marked then; stored with it */
    bool gates_dirty, gates_kept;  /* kept: there is a cell of it */
    bool switching;                /* rules are being switched: what holds is looked at when they all are */
    VEC(uint64_t) released, fresh; /* incidents; only within a step */
    VEC(struct gather) gathers;    /* openings that are released at once, by destination */
    struct rule_scratch scratch, success_scratch;
    struct lasts *lasts;           /* runs that are watched: lasts.h */
    struct engine_stats stats;
};

/* What a step carries through the room. */
struct step_context {
    struct engine *e;
    struct engine_output *out;
    int64_t now_ms;
    int64_t overdue_ms;  /* this timer fires that late; 0 = in time */
    struct err *err;
    bool failed;         /* a detail could not be paged in */
};

/* index.c */
typedef bool (*index_same_fn)(const void *element, const void *wanted);
void *index_find(const struct index *x, uint32_t hash, index_same_fn same, const void *wanted);
void index_put(struct index *x, uint32_t hash, void *element, uint32_t (*hash_of)(const void *));
void index_remove(struct index *x, uint32_t hash, const void *element);
/* The next element at or after *at, in no order; NULL at the end. Removing it meanwhile is fine. */
void *index_next(const struct index *x, size_t *at);
/* timers.c */
void timer_set(struct engine *e, struct timer *t, int64_t due_ms);
void timer_drop(struct engine *e, struct timer *t);
struct timer *timer_first(const struct engine *e);
void incident_rearm(struct engine *e, struct incident *i);
static inline unsigned incident_waits(const struct incident *i)
{
    return (unsigned)__builtin_popcount(i->waits);
}
/* When it is to do that; ENGINE_NEVER: it does not wait for it. */
static inline int64_t incident_due_ms(const struct incident *i, enum due what)
{
    const int64_t *list = incident_waits(i) > DUE_FEW ? i->due.many : i->due.few;
    if (!(i->waits & 1u << what)) return ENGINE_NEVER;
    return list[__builtin_popcount(i->waits & ((1u << what) - 1))];
}
int64_t incident_due_in_force(const struct incident *i, enum due what); /* ENGINE_NEVER, too, while it stands still */
void incident_wait_until(struct incident *i, enum due what, int64_t due_ms);
/* What i does next, and when; ENGINE_NEVER: nothing. What stands still is not counted. */
enum due incident_next(const struct incident *i, int64_t *due_ms);
bool incident_lingers(const struct incident *i);
/* Tells messages from here on how late they are, when due_ms is long over. */
void overdue_since(struct step_context *c, int64_t due_ms);
void engine_tick(struct step_context *c);
static inline bool incident_held(const struct incident *i)
{
    return i->hold && i->hold->since_ms != 0;
}
/* hold.c: what keeps messages back */
struct hold *hold_get(struct incident *i); /* makes it */
void hold_free(struct incident *i);
void hold_gate(struct step_context *c, const struct incident *of, int change); /* it opened: 1, it ended: -1 */
void hold_bind(struct engine *e); /* counts the open incidents of rules that others stand behind */
bool hold_outside(const struct step_context *c, const struct incident *i); /* its rule's hours */
bool hold_would(struct step_context *c, const struct incident *i);         /* be held, if it were open */
void hold_dropped(struct incident *i);                                     /* its opening was */
void hold_told_after_all(struct step_context *c, struct incident *i);
bool hold_drops(struct step_context *c, struct incident *i, const char *what); /* a message, for good: it is noted */
void hold_review(struct step_context *c, struct incident *i); /* is it held? What is released speaks at the end of the step, in hold_speak. */
void hold_review_all(struct step_context *c);
void hold_release(struct engine *e, struct incident *i);      /* it speaks in hold_speak, with all that are released in the step */
void hold_speak(struct step_context *c);
void hold_wait_fresh(struct step_context *c, struct incident *i);          /* it speaks in hold_fresh, at the end of the step */
void hold_fresh(struct step_context *c);
void hold_count_opening(struct step_context *c, struct incident *i, const struct place *place); /* that is released now */
bool hold_gathers(const struct engine *e, const struct place *place, const struct part *part); /* openings for it leave as one digest */
void hold_describe(const struct incident *i, struct json_writer *w);
void hold_write(const struct incident *i, struct json_writer *w);
void hold_restore(struct incident *i, struct json o);
/* marks.c: of its hits */
void hold_hit(struct step_context *c, struct incident *i, struct rule_subject *s); /* its marks */
void hold_absence(struct step_context *c, struct incident *i);                    /* the same of an absence */
void hold_begin(struct step_context *c, struct incident *i, const uint64_t *begun, size_t n); /* these begin to mark */
bool hold_has_mark(const struct incident *i, uint64_t marker);
bool hold_is_marked(struct step_context *c, const struct incident *i); /* by marks that stand, each of its hits */
void marks_drop(struct hold *h);
void marks_restore(struct hold *h, struct json list);
/* hours.c: the hours of single targets, by name: a reload may change them */
struct telling;
const char *hours_intern(struct engine *e, struct str name);        /* "" gives NULL */
const char *hours_name(struct engine *e, const struct schedule *s); /* interned; NULL for none */
const struct schedule *hours_find(const struct engine *e, const char *name);
bool hours_cover(const struct step_context *c, const char *name);   /* now */
void hours_postpone(struct step_context *c, struct incident *i, struct told *t, const struct telling *what);
void hours_told(struct told *t);                                    /* there is nothing left to tell it later */
void hours_due(struct step_context *c, struct incident *i);         /* targets whose hours have begun are told */
void hours_begun(struct step_context *c);                           /* releases incidents of which that is so */
void hours_count(struct step_context *c, struct incident *i);       /* their openings, by hold_count_opening() */
void hours_rebind(struct step_context *c);                          /* other rules may name others for a target */
void hours_switched(struct step_context *c);                        /* their hours may be others */
/* silence.c: silences and mutes */
bool markers_any(const struct step_context *c);
size_t markers_of(struct step_context *c, const struct engine_rule *r, struct rule_subject *s, uint64_t out[MARKS_PER_HIT]);
bool marker_is_about(const struct engine *e, uint64_t id, const struct engine_rule *r); /* it may mark hits of r */
bool marker_marks(const struct step_context *c, uint64_t id, const struct engine_rule *r, struct rule_subject *s);
bool marker_stands(const struct step_context *c, uint64_t id);
void markers_text(const struct step_context *c, const struct incident *i, struct strbuf *out);
void silence_begin(struct step_context *c, const struct engine_input *in);
void silence_end_by_hand(struct step_context *c, const struct engine_input *in);
void silence_resolved(struct step_context *c, const struct incident *i);
void silence_free(struct silence *s);
struct str silence_cell_key(struct arena *a, const struct silence *s);
void silence_write(const struct silence *s, struct json_writer *w);
int silence_restore(struct engine *e, struct json o, struct err *err);
void gates_arm(struct engine *e);
void gates_due(struct step_context *c);
void gates_look(struct step_context *c); /* mutes that begin */
/* state.c */
/* A name of several parts, "a/b/c": what is in a part can neither pass for a border nor end the text. */
struct str name_joined(struct arena *a, const struct str *parts, size_t n);
struct part *part_get(struct engine *e, struct str project, struct str env);
struct part *part_find(struct engine *e, struct str project, struct str env); /* NULL: not met yet */
struct place *place_get(struct engine *e, struct str name);
struct engine_rule *engine_rule_get(struct engine *e, struct str name);
struct incident *incident_find(struct engine *e, struct engine_rule *r, struct part *p, struct str key);
struct incident *incident_by_id(struct engine *e, uint64_t id);
struct incident *incident_first_by_identity(struct engine *e, struct engine_rule *r, struct part *p, struct str identity);
struct incident *incident_new(struct engine *e, struct engine_rule *r, struct part *p, struct str key, struct str identity, uint64_t id);
void incidents_restored(struct engine *e);
void incident_link_identity(struct engine *e, struct incident *i, uint32_t hash);
void incident_forget(struct engine *e, struct incident *i); /* out of every index; freed after the next collect */
void incident_free(struct engine *e, struct incident *i);
void incident_touch(struct engine *e, struct incident *i);
static inline struct str incident_key(const struct incident *i)
{
    return (struct str){ (const char *)(i + 1), i->key_bytes };
}
static inline const struct told *incident_told(const struct incident *i)
{
    return i->told_count > 1 ? i->told.many : &i->told.one;
}
static inline struct told *incident_told_at(struct incident *i, size_t k)
{
    return i->told_count > 1 ? &i->told.many[k] : &i->told.one;
}
struct told *incident_add_told(struct incident *i, struct told t); /* those had before have moved */
bool incident_add_run(struct engine *e, struct incident *i, struct str run); /* true: not seen before */
void incident_keep_run(struct incident *i, uint64_t hash);
static inline const uint64_t *incident_runs(const struct incident *i)
{
    return i->runs_kept > 1 ? i->runs.many : &i->runs.one;
}
bool incident_has_run(const struct incident *i, struct str run);
/* How many runs it is about, for `at_least`: those that ever hit, or that still do where that is what is asked for. */
static inline int64_t incident_affected(const struct incident *i)
{
    return i->rule->now->condition.kind == RULE_LASTS ? i->still : i->run_count;
}
static inline bool incident_run_ended(const struct incident *i)
{
    return i->repeat_next == REPEAT_OVER;
}
struct str incident_last_run(const struct incident *i);
struct str incident_first_run(const struct incident *i);
void incident_set_last_run(struct incident *i, struct str run); /* the first one set is the first run, too */
uint32_t key_hash(const struct engine_rule *r, const struct part *p, struct str key);
/* window.c */
static inline struct str window_key(const struct window *w)
{
    return (struct str){ (const char *)(w + 1), w->key_bytes };
}
struct window *window_find(struct engine *e, struct engine_rule *r, struct part *p, struct str key);
struct window *window_get(struct engine *e, struct engine_rule *r, struct part *p, struct str key);
void window_add(struct engine *e, struct window *w, struct window_entry entry);
struct window_span { size_t from, to; int64_t count; }; /* entries, and what the rule counts of them */
/* A hit for `first`. True: no other hit of the key is known that is nearer than the rule's time. */
bool window_first(struct engine *e, struct window *w, int64_t event_ms, struct str run);
/* The one run's entry of a population's window. Fresh: a new one; else it changes its mark, if it is still there. */
void window_put_run(struct engine *e, struct window *w, struct window_entry entry, bool fresh);
void window_drop_run(struct engine *e, struct window *w, uint64_t run);
/* A resolve: what stands for that mark is forgotten. */
void window_forget(struct engine *e, struct window *w, uint64_t mark);
/* The fullest window of the rule's length that holds event_ms. */
struct window_span window_best(const struct window *w, int64_t event_ms);
/* Does the condition hold in the window that ends now? *clears_ms: when, without more hits, it no longer will. */
bool window_holds(const struct window *w, int64_t now_ms, int64_t *clears_ms);
void window_runs(const struct window *w, struct window_span span, struct incident *i, struct engine *e);
void window_drop(struct engine *e, struct window *w);
struct str window_cell_key(struct arena *a, const struct window *w);
struct str window_chunk_key(struct arena *a, const struct window *w, int64_t number);
/* entries.c: each change is followed by window_touch or the like, which seals */
void entries_init(struct window *w);
void entries_free(struct window *w);
void entries_insert(struct engine *e, struct window *w, struct window_entry entry); /* behind those of the same moment */
void entries_drop_first(struct engine *e, struct window *w, size_t n);
typedef bool (*entry_goes_fn)(void *ctx, size_t at, const struct window_entry *entry);
void entries_remove_if(struct engine *e, struct window *w, entry_goes_fn goes, void *ctx);
void entries_changed(struct window *w, size_t at); /* that one, in place */
void entries_seal(struct engine *e, struct window *w); /* what is too much for one cell moves into chunks */
void entries_gone(struct engine *e, const struct window *w); /* the cells of all chunks */
/* Room for n restored entries, in a chunk or in the window's own cell, which says how many are in chunks and how many of those are over. */
struct window_entry *entries_restore_chunk(struct window *w, int64_t number, size_t n);
struct window_entry *entries_restore_own(struct window *w, size_t n, size_t in_chunks, size_t over);
void entries_restored(struct engine *e, struct window *w);
/* persist_window.c */
void collect_window(struct window *w, struct engine_changes *out);
void restore_window(struct engine *e, struct str key, struct json o);
void windows_restored(struct engine *e);
/* persist.c */
void put_cell(struct engine_changes *out, struct str key, struct str blob);
void cell_gone(struct engine *e, struct str key);
/* condition.c: does it hold? */
struct window *incident_window(struct engine *e, const struct incident *i); /* NULL = none */
uint64_t mark_of(const struct rule *r, struct str key);
/* Does a population's condition hold for the key with that mark, as of its newest run? *span: the runs it is about. */
bool population_holds(const struct window *w, uint64_t mark, struct window_span *span);
/* Of `rate`: the hits among the runs that it looks at, as of the newest run. */
struct share { int64_t hits, runs; };
struct share share_of(const struct window *w, uint64_t mark, struct window_span s);
double share_percent(struct share s); /* to a tenth */
bool incident_share(struct engine *e, const struct incident *i, struct share *out); /* false: nothing is known */
/* Has the condition of an incident cleared? If not, when it will without one more run (ENGINE_NEVER: not without one). */
bool incident_cleared(struct engine *e, const struct incident *i, int64_t now_ms, int64_t *clears_ms);
/* Does it hold (again), now? */
bool incident_holds(struct engine *e, const struct incident *i, int64_t now_ms);
/* hit.c */
struct hit {
    struct rule_subject *subject;
    struct engine_rule *rule;
    const struct engine_input *in;
    bool fuller;
    struct rule_key *counted; /* of a fuller report: the keys under which the thinner one counted already */
    size_t counted_count;
};
void incident_arm_clears(struct step_context *c, struct incident *i);
struct part *hit_part(struct step_context *c, const struct rule_subject *s);
struct incident *hit_find(struct step_context *c, const struct hit *h, struct part *p, struct rule_key *key); /* may turn key into the overflow's */
struct incident *hit_start(struct step_context *c, const struct hit *h, struct part *p, const struct rule_key *key);
void hit_details(struct step_context *c, struct incident *i, const struct hit *h); /* if there is no later hit */
void hit_join(struct step_context *c, struct incident *i, const struct hit *h);
void hit_refresh(struct step_context *c, const struct hit *h, struct incident *i);
void hit_note(struct step_context *c, uint64_t incident, const struct hit *h, const char *what);
/* What follows for the incident, which was there already or not. */
void hit_settle(struct step_context *c, const struct hit *h, struct incident *i, bool there);
/* The subject as it was before this fuller report. */
struct thinner { struct run run; struct transition transition; struct rule_subject subject; };
void hit_thinner(const struct rule_subject *s, struct thinner *out);
struct rule_key hit_overflow(void);
void engine_event(struct step_context *c, const struct engine_input *in);
/* ends.c: what `resolve: {match: ...}` names */
void engine_ends(struct step_context *c, const struct engine_input *in, struct rule_subject *s);
/* population.c */
struct str population_key(const struct rule *r, const struct rule_key *key); /* of the window */
void population_event(struct step_context *c, const struct engine_input *in, struct rule_subject *s);
/* absent.c, absent_names.c, absent_keys.c, absent_cells.c */
void absent_hit(struct step_context *c, const struct hit *h);
void absent_due(struct step_context *c, struct timer *t);
void absent_heard(struct step_context *c, struct str project, struct str env, int64_t event_ms); /* that it lives, whatever happened there */
void absent_loaded(struct step_context *c);
void absent_sources(struct step_context *c, const struct engine_source *v, size_t n);
void absent_forget(struct engine *e, struct engine_rule *r); /* the rule is another one, or gone */
void absent_fini(struct engine *e);
size_t absent_unknown(const struct engine *e);
uint64_t absent_group_id(const struct timer *t);
void absent_collect(struct engine *e, struct engine_changes *out);
bool absent_restore(struct engine *e, struct str key, struct json o); /* false: it is no cell of theirs */
/* absent_text.c */
struct str absent_title(struct arena *a, const struct incident *i, const struct absence *x);
struct str absent_body(struct arena *a, const struct incident *i, const struct absence *x);
void absent_view(struct arena *a, const struct incident *i, const struct absence *x, struct json_writer *w); /* what templates see of it */
struct str absent_lateness(struct arena *a, int64_t overdue_ms);
/* life.c: the life of an incident */
void incident_open(struct step_context *c, struct incident *i);
void incident_speak_first(struct step_context *c, struct incident *i);
/* A pending one that is over already: recorded, and told in one message, or in none where wait would have hidden it. */
void incident_open_over(struct step_context *c, struct incident *i, struct str reason);
void incident_criterion(struct step_context *c, struct incident *i, enum criterion why); /* linger, then resolve */
void incident_relapse(struct step_context *c, struct incident *i);
void incident_unpause(struct incident *i, int64_t now_ms);
void incident_arm_quiet(struct incident *i);
/* Now, by the clocks that stand still while something holds it: when that began. */
int64_t incident_clock(const struct incident *i, int64_t now_ms);
int64_t incident_repeat_wait(const struct incident *i); /* before the next reminder; 0 = there is none */
void incident_resolve(struct step_context *c, struct incident *i, struct str reason);
void incident_due(struct step_context *c, struct incident *i);
void incident_want_update(struct step_context *c, struct incident *i);
void engine_command_step(struct step_context *c, const struct engine_input *in);
void engine_verdict_step(struct step_context *c, const struct engine_input *in);
/* tell.c: messages */
struct say { enum message_kind kind; struct str reason; int64_t after_ms; struct str note; };
struct telling { struct place *place; const char *params; enum message_kind kind; struct str reason; int64_t after_ms; const struct schedule *during; };
bool tell_target(struct step_context *c, struct incident *i, const struct telling *what);
/* Openings and escalations of t itself, whatever its hours: counted by limits. */
bool tell_loud(struct step_context *c, struct incident *i, struct told *t, const struct say *say);
void tell_told(struct step_context *c, struct incident *i, struct told *t, enum message_kind kind, struct str reason);
void tell_say(struct step_context *c, struct incident *i, struct told *t, const struct say *say);
struct str told_lane(struct arena *a, const struct incident *i, const struct told *t);
bool same_params(const char *a, const char *b);
struct told *told_get(struct incident *i, struct place *place, const char *params); /* adds it */
/* route.c: whom an opening tells */
void incident_route(struct step_context *c, struct incident *i); /* when it opens: a switch decides, once */
void incident_tell_first(struct step_context *c, struct incident *i, enum message_kind kind, struct str reason);
/* Calls fn for each of those whom an opening told now would tell. */
typedef void (*opening_fn)(struct step_context *c, struct incident *i, const struct telling *what);
void incident_openings(struct step_context *c, struct incident *i, const struct telling *model, opening_fn fn);
char *target_params(struct step_context *c, struct incident *i, const struct rule_target *t);
void note(struct step_context *c, uint64_t incident, const char *what, struct str body);
struct str note_text(struct step_context *c, const char *name, struct str value);
/* reload.c */
void engine_rule_bind(struct engine *e, struct engine_rule *r, const struct rule *now);
void engine_bind_rules(struct engine *e, const struct ruleset *rules);
/* limit.c */
bool limit_passes(struct step_context *c, struct incident *i, struct place *place);
void digest_add(struct step_context *c, struct incident *i, struct told *t);
void digest_add_held(struct step_context *c, struct incident *i, struct told *t);
void digest_resolved(struct step_context *c, uint64_t digest);
void digest_due(struct step_context *c, struct digest *d);
void digest_verdict(struct step_context *c, uint64_t digest);
struct digest *digest_by_id(struct engine *e, uint64_t id);
void digest_free(struct engine *e, struct digest *d);
struct limit_window *limit_window_get(struct engine *e, struct str name);
/* content.c: what is said */
struct str content_incident(struct step_context *c, struct incident *i, const struct say *say, uint64_t message_id);
struct str content_title(struct step_context *c, struct incident *i);
struct str content_digest(struct step_context *c, struct digest *d, enum message_kind kind, bool resolved, uint64_t message_id);
struct str incident_label(struct arena *a, const struct incident *i);
struct str incident_key_part(struct arena *a, const struct incident *i, enum rule_field_id id); /* STR_NONE: not in the key */
/* detail.c: the last hit, paged */
void detail_set(struct step_context *c, struct incident *i, struct rule_subject *s, struct str dashboard);
struct detail { struct run run; struct transition transition; struct str dashboard, note; struct absence absence; };
void detail_set_absence(struct step_context *c, struct incident *i, const struct run *run, const struct absence *x); /* there is no hit */
int detail_get(struct step_context *c, struct incident *i, struct detail *out);
/* What is kept of a run to speak of it later, as text; false: it has no room. */
bool detail_write(const struct rule_subject *s, struct str dashboard, struct strbuf *out);
int detail_read(struct arena *a, struct str text, struct detail *out, struct err *err);
/* lasts.c: runs that are a hit of a rule for some time */
struct lasts *lasts_new(void);
void lasts_free(struct engine *e);
size_t lasts_runs(const struct engine *e);
void lasts_bind(struct engine *e); /* to the rules that are now in force */
void lasts_event(struct step_context *c, const struct engine_input *in);
void lasts_due(struct step_context *c, struct timer *t);
uint64_t lasts_timer_id(const struct timer *t);
/* A resolve that leaves nothing of its hits behind: the runs of it do not count for the next one. */
void lasts_forget_key(struct step_context *c, const struct incident *i);
void lasts_drop_rule(struct engine *e, struct engine_rule *r);
/* After rules came or changed: what is watched already is looked at by them, too. */
void lasts_look_again(struct step_context *c);
/* confirm.c: before an incident opens, its run is read again */
/* confirm_run.c: any other rule's run */
enum {
    CONFIRM_ANSWER_MS = 30000, /* so long an answer may take */
    CONFIRM_ASKED_MOST = 1000  /* at once */
};
bool confirm_run_waits(struct step_context *c, const struct hit *h, struct incident *i); /* it does not open yet */
void confirm_run_answered(struct step_context *c, const struct engine_input *in);
void confirm_run_unread(struct step_context *c, const struct engine_input *in);
void confirm_run_late(struct step_context *c, struct incident *i); /* nobody answered */
void confirm_run_ask_again(struct step_context *c);                /* after a restart or a reload */
void confirm_unread(struct step_context *c, const struct engine_input *in);
void confirm_ask_again(struct step_context *c); /* after a restart */
struct str confirm_note(struct arena *a, const struct incident *i); /* STR_NONE: there is nothing to say */
/* lasts_text.c: how it is said */
void lasts_title(const struct incident *i, struct str whose, struct strbuf *out); /* "sync: 3 runs EXECUTING for over 30m" */
struct str lasts_runs_text(struct arena *a, const struct incident *i);            /* "5, of which 3 still are" */
struct str lasts_since(struct arena *a, const struct incident *i, int64_t over_ms); /* of a run whose time was over then */
int lasts_describe(struct engine *e, const struct engine_window_name *name, struct json_writer *out);
bool lasts_lost(const struct engine *e, struct err *err); /* a run could not be read back when rows were written */
void lasts_trim(struct engine *e, size_t keep_bytes);
void lasts_collect(struct engine *e, struct engine_changes *out);
void lasts_restore(struct engine *e, struct json o);
void lasts_restore_rules(struct engine *e, struct json o);
/* fault.c */
void engine_fault(struct step_context *c, struct str topic, struct str title, struct str body);
#endif
