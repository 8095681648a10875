/* rule_internal: what the files of this room share: the condition tree, the compiler's state, the index. */
#ifndef RULE_RULE_INTERNAL_H
#define RULE_RULE_INTERNAL_H
#include "base/map.h"
#include "base/regex.h"
#include "base/vec.h"
#include "rule/rule.h"

/* --- fields (field.c) ---------------------------------------------------------------------------------- */
enum field_shape {
    SHAPE_STATUS, SHAPE_TEXT, SHAPE_LIST, SHAPE_BOOL, SHAPE_NUMBER, SHAPE_DURATION, SHAPE_JSON
};
enum field_shape rule_field_shape(enum rule_field_id id);
const char *rule_field_name(enum rule_field_id id); /* "metadata" for RULE_METADATA */
bool rule_field_same(const struct rule_field *f, const struct rule_field *g);
/* "task", "error.code", "metadata.a.0.\"b.c\"". -1 with err->msg saying what is wrong; *nearest is a name to
 * suggest or STR_NONE. Borrows text. */
int rule_field_parse(struct arena *a, struct str text, struct rule_field *out, struct str *nearest,
                     struct err *err) WUR;
enum { RULE_MATCH_KEYS = RULE_FIELDS + 3 }; /* the fields, any, all, not */
extern const struct field rule_match_fields[RULE_MATCH_KEYS];

/* --- values of a subject (subject.c) ------------------------------------------------------------------- */
enum run_state rule_subject_state(const struct rule_subject *s);
/* False: it failed, but the report does not say how (a legacy alert). */
bool rule_subject_exact(const struct rule_subject *s);
struct str rule_subject_spelling(const struct rule_subject *s); /* the status as its sender wrote it */
struct str rule_subject_text(enum rule_field_id id, struct rule_subject *s); /* SHAPE_TEXT; n 0 = absent */
bool rule_subject_number(enum rule_field_id id, const struct rule_subject *s, double *out);
struct json rule_subject_json(const struct rule_field *f, const struct rule_subject *s);
/* rule_field_values in the exact form that keys want: folded states, exact durations, scalars only. */
size_t rule_subject_key_values(const struct rule_field *f, struct rule_subject *s, struct str *out,
                               size_t max);

/* --- the condition tree (match.c) ---------------------------------------------------------------------- */
enum match_kind { MATCH_ALL, MATCH_ANY, MATCH_NOT, MATCH_TEST };
enum match_op { OP_IN, OP_NONE, OP_ALL, OP_GT, OP_GTE, OP_LT, OP_LTE, OP_EXISTS };
struct match_value {
    struct str text;
    double number;           /* SHAPE_NUMBER, SHAPE_DURATION, and SHAPE_JSON when numeric */
    bool numeric, glob;
    const struct regex *re;  /* text is its pattern */
    uint32_t line, col;      /* where it stands; 0 = nobody wrote it */
};
struct match {
    enum match_kind kind;
    uint32_t line, col;
    const char *file;
    const struct match **children; /* ALL, ANY; NOT has one */
    size_t child_count;
    /* MATCH_TEST: */
    struct rule_field field;
    enum match_op op;
    bool implicit;           /* the `kind: run` nobody wrote */
    bool wanted;             /* OP_EXISTS, and the value of a SHAPE_BOOL */
    uint32_t states;         /* SHAPE_STATUS: bit per enum run_state; values: texts of unknown ones */
    struct match_value *values;
    size_t value_count;
    double bound;            /* OP_GT.. */
};
/* The tests of a map like {gt: 5m}, one by one: STR_NONE at the end. fits: does it fit a field of that shape?
 * What it wants: a value or several, a text or several, one bound, true or false. */
enum match_wants { MATCH_WANTS_VALUES, MATCH_WANTS_TEXTS, MATCH_WANTS_BOUND, MATCH_WANTS_BOOL };
struct str match_test_name(size_t k, enum field_shape shape, bool *fits, enum match_wants *wants);
bool match_eval(const struct match *m, struct rule_subject *s);
bool match_value_is(const struct match_value *v, struct str text);
bool match_takes_failures(const struct match *m);
bool match_states_hit(const struct match *m, const struct rule_subject *s);
/* The test as text: `in ["CRASHED", "TIMED_OUT"]`. Canonical: equal tests give equal texts. */
void match_test_text(const struct match *m, struct strbuf *out);
/* The whole tree in canonical form, whatever the order of clauses and values (canonical.c). */
void match_canonical(const struct match *m, struct strbuf *out);
/* m without its outcome tests; never NULL (canonical.c). */
const struct match *match_population(struct arena *a, const struct match *m);
/* Why no run can meet a match: what it wants of one field, or that no branch of an `any` can hold beside the rest. */
enum { CONFLICT_TESTS = 4 };
struct match_conflict {
    const struct match *any;                  /* NULL: the tests of one field are it */
    const struct match *tests[CONFLICT_TESTS];
    bool negated[CONFLICT_TESTS];
    size_t n;
};
/* Could some run meet all of them? True where it cannot be told, so that false is certain (possible.c). */
bool matches_can_meet(const struct match *const *m, size_t n, struct match_conflict *why);
bool match_names_field(const struct match *m, enum rule_field_id id);
/* States that a hit can be in: a superset. */
uint32_t match_states(const struct match *m);
enum { MATCH_ALL_STATES = (1 << RUN_STATES) - 1 };

/* --- what only this room reads of a rule --------------------------------------------------------------- */
struct rule_texts { struct str *v; size_t n, cap; };
struct rule_filter { const struct match **tests; size_t n; }; /* on one list field in `by` */
struct rule_extra {
    struct rule_filter *filters; /* one per `by` field */
};
struct rule_pattern { struct regex *re; struct rule_pattern *next; };
enum { RULE_BY_MAX = 8 };

/* --- compiling (compile.c and the parse files) --------------------------------------------------------- */
struct schedule_entry { const struct yaml_node *node; const struct schedule *schedule; /* NULL: it has a mistake */ bool used; };
/* Do the hours of t ever come inside (or outside) those of s? (doubts.c) */
struct hours_pair { const struct schedule *s, *t; bool inside, meet; };
/* A name in some `unless`; rule is compile.base for those of the defaults. */
struct unless_ref { struct rule *rule; const struct yaml_node *item; bool inherited; };
struct compile {
    struct arena *a;
    struct diags *d;
    const struct rule_world *world;
    struct ruleset *rs;
    const char *file;          /* of what is being compiled, copied */
    struct rule base;          /* what defaults give */
    bool base_enabled;
    int base_confirm;          /* as the defaults say; -1 = they do not */
    const struct match *always; /* defaults.when, or NULL */
    VEC(struct rule *) rules;
    struct map names;          /* every rule's name -> const struct yaml_node *, disabled ones too */
    struct map schedules, mute_names; /* the same of those */
    VEC(struct schedule_entry *) schedule_entries;
    VEC(struct rule_mute) mutes;
    VEC(struct unless_ref) unless;
    VEC(struct hours_pair) hours_pairs;
    size_t unless_base;        /* the first so many are of the defaults */
};
/* NULL when a mistake was found (and told). */
const struct match *match_parse(struct compile *c, const struct yaml_node *n);
struct match *match_new(struct compile *c, enum match_kind kind, const struct yaml_node *at);
const struct match *match_both(struct compile *c, const struct match *m, const struct match *n);
/* The values of a test; false when one was wrong. */
bool match_values_parse(struct compile *c, struct match *m, const struct yaml_node *n, bool globs);
bool match_states_parse(struct compile *c, struct match *m, const struct yaml_node *n, bool globs);
bool match_patterns_parse(struct compile *c, struct match *m, const struct yaml_node *n, bool regex);
/* Calls fn for a scalar, or for each element of a list; an error for anything else or an empty list. */
typedef bool (*compile_item_fn)(struct compile *c, const struct yaml_node *item, void *ctx);
bool compile_each(struct compile *c, const struct yaml_node *n, const char *what, compile_item_fn fn,
                  void *ctx);
bool compile_field(struct compile *c, const struct yaml_node *n, struct str text, bool at_key,
                   struct rule_field *out);
struct diag *compile_nearest(struct diag *at, struct compile *c, struct str nearest); /* sets the hint */
/* Is it a section to go through? An error when it is no map; NULL and nothing are none. */
bool compile_named(struct compile *c, const struct yaml_node *section, const char *name);
/* Takes the name of what n is; an error when it is no name or when it stands in *names already: then false. */
bool compile_name(struct compile *c, struct map *names, const struct yaml_node *n, const char *what);
bool compile_is_cut(const struct compile *c); /* a syntax error ended some file: what is not there may stand behind it */

struct rule_draft;
bool condition_parse(struct compile *c, const struct rule_draft *draft, struct rule_condition *out);
/* What the condition and the rest of the rule mean together; once `when` and `by` are known. */
void condition_check(struct compile *c, const struct yaml_node *n, struct rule *r);
void condition_shape(const struct rule_condition *c, struct strbuf *out);
/* absent.c */
bool absent_parse(struct compile *c, const struct yaml_node *n, struct rule_condition *out);
void absent_check(struct compile *c, const struct yaml_node *n, struct rule *r);
struct str absent_text(const struct rule_condition *c, struct arena *a);
void absent_shape(const struct rule_condition *c, struct strbuf *out);
enum { RULE_WORDS_MAX = 8 };
/* Splits at blanks; more than RULE_WORDS_MAX words give RULE_WORDS_MAX + 1. */
size_t rule_words(struct str text, struct str words[RULE_WORDS_MAX]);
bool resolve_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
/* All matches of `resolve` in one (ends.c); NULL = none. ends_check: warns of those that nothing can meet. */
const struct match *ends_of(struct compile *c, const struct rule *r);
void ends_check(struct compile *c, const char *file, const struct rule *r);
bool repeat_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
bool by_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
bool limit_parse(struct compile *c, const struct yaml_node *n, struct rule_limit *out);
bool targets_parse(struct compile *c, const struct yaml_node *n, struct rule_targets *out);
bool escalate_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
/* `notify`: targets, or a switch between them (route.c). */
bool notify_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
/* Once `when` and `by` are known; at: where its `notify` stands, or the rule. */
void route_check(struct compile *c, const struct yaml_node *at, const struct rule *r);
bool rule_by_has(const struct rule *r, const struct rule_field *f); /* project and env are in every key, and not in `by` */
/* Sections and what names their members (schedule_parse.c, mute.c, unless.c). */
void schedules_parse(struct compile *c, const struct yaml_node *section);
void schedules_take(struct compile *c);
bool schedule_find(struct compile *c, const struct yaml_node *n, const struct schedule **out);
bool during_parse(struct compile *c, const struct yaml_node *n, const struct schedule **out); /* a schedule's name, or always */
bool outside_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
void mutes_parse(struct compile *c, const struct yaml_node *section);
void mutes_take(struct compile *c);
uint32_t mutes_read(const struct compile *c, const struct match *when); /* those that hits of it may meet */
void unless_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
void unless_inherit(struct compile *c, struct rule *r);
void unless_resolve(struct compile *c, bool clean); /* clean: there was no error, so every rule that is not there is disabled */
uint32_t match_reads(const struct match *m);
/* Warnings (doubts.c). own: `when` as the rule has it; outside: the rule's own key, NULL = it has none. */
void never_hits_check(struct compile *c, const struct match *own, const struct rule *r);
void mute_never_check(struct compile *c, const struct yaml_node *n, const struct match *when);
void hours_check(struct compile *c, const struct yaml_node *outside, const struct rule *r);
void unless_place_check(struct compile *c, const struct yaml_node *item, const struct rule *r, const struct rule *other);
void unused_check(struct compile *c);
const struct template *template_parse(struct compile *c, const struct yaml_node *n);
bool message_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
bool labels_parse(struct compile *c, const struct yaml_node *n, struct rule *r);
uint32_t template_reads(struct compile *c, const struct template *t);
/* What the tables decode into (tables.c). */
struct rule_draft {
    const struct yaml_node *when, *count, *streak, *first, *flaps, *rate, *absent, *lasts, *by, *repeat, *resolve, *notify, *escalate, *limit, *message;
    const struct yaml_node *labels, *during, *outside, *unless, *confirm;
    int64_t at_least, wait_ms, update_ms, linger_ms;
    int severity;
    struct str runbook;
    bool enabled;
};
struct schedule_draft { const struct yaml_node *days, *hours, *zone, *except; };
struct mute_draft { const struct yaml_node *when, *during; struct str why; };
struct flaps_draft { int64_t n, in_ms; };
struct rate_draft { const struct yaml_node *over, *under; int64_t last, in_ms, min; };
struct count_draft { int64_t n, in_ms; const struct yaml_node *of; };
struct absent_draft { int64_t every_ms, grace_ms; struct str cron, zone; };
struct resolve_draft { int64_t successes, quiet_ms; const struct yaml_node *match; };
struct message_draft { const struct yaml_node *title, *body, *fields; };
enum { RULE_COUNT_MAX = 100000, RULE_SUCCESSES_MAX = 1000, RULE_STREAK_MAX = 1000, RULE_RATE_MAX = 10000 };
enum rule_table { RULE_TABLE_RULE, RULE_TABLE_MATCH, RULE_TABLE_COUNT, RULE_TABLE_FLAPS, RULE_TABLE_RATE, RULE_TABLE_ABSENT, RULE_TABLE_RESOLVE, RULE_TABLE_MESSAGE,
                  RULE_TABLE_DEFAULTS, RULE_TABLE_SCHEDULE, RULE_TABLE_MUTE, RULE_TABLES };
extern const struct field_table rule_tables[RULE_TABLES];
bool defaults_parse(struct compile *c, const struct yaml_node *n);
void rule_parse(struct compile *c, const struct yaml_node *n);
void rule_finish(struct compile *c, struct rule *r); /* derived members: population, reads, shape, filters */

/* Does whatever meets one list of values meet the other, too? (overlap.c) */
bool match_test_within(const struct match *m, const struct match *wide);
/* The same of whole trees, as far as their clauses show it. */
bool match_within(struct arena *a, const struct match *m, const struct match *wide);
/* Warns of rules whose hits are all another's, at the same destination (overlap.c). */
void overlaps_check(struct compile *c);

/* --- the candidate index (index.c, index_build.c) ------------------------------------------------------ */
enum index_key_kind { INDEX_LITERAL, INDEX_PREFIX, INDEX_NUMBER, INDEX_STATE, INDEX_ALWAYS };
struct posting { uint32_t rule, states; };
struct posting_list { uint32_t first, count; };
struct index_key {
    uint64_t hash; /* 0 = free */
    uint32_t slot;
    enum index_key_kind kind;
    struct str text;
    struct posting_list list;
};
struct index_slot { /* one field that some rule is found by */
    struct rule_field field;
    uint64_t prefixes; /* bit n-1: some prefix has n bytes */
    bool literals, numbers;
};
struct index_table {
    struct index_key *keys;
    size_t mask;
    uint64_t *filter; /* a bit per hash, 1 in 16 or fewer set: most look-ups find nothing and end here */
    size_t filter_mask;
    struct posting *postings;
    struct index_slot *slots;
    size_t slot_count;
    struct posting_list states[RUN_STATES], always;
};
struct rule_index {
    struct index_table hits, successes, populations, lasts, ends;
    struct map names; /* name -> struct rule * */
};
enum { INDEX_PREFIX_MAX = 64, INDEX_PATHS_MAX = 64 };
uint64_t index_hash_step(uint64_t h, unsigned char c);
uint64_t index_hash_seed(uint32_t slot, enum index_key_kind kind);
uint64_t index_hash_end(uint64_t h);
uint64_t index_hash(uint32_t slot, enum index_key_kind kind, struct str text);
void index_build(struct arena *a, struct ruleset *rs);
#endif
