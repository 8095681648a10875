/* rule: rule text -> compiled rules, the candidate index, matching and keys (rule-language.md sections 2-5).
 * A compiled ruleset is immutable and lives in the arena it was compiled into; any thread may read it. */
#ifndef RULE_RULE_H
#define RULE_RULE_H
#include "base/arena.h"
#include "json/json.h"
#include "rule/schedule.h"
#include "run/transition.h"
#include "template/template.h"
#include "yaml/yaml.h"

/* --- fields ------------------------------------------------------------------------------------------ */
enum rule_field_id {
    RULE_STATUS, RULE_TASK, RULE_TAGS, RULE_ENV, RULE_PROJECT, RULE_VERSION, RULE_QUEUE, RULE_RUN, RULE_ROOT,
    RULE_PARENT, RULE_MACHINE, RULE_REGION, RULE_SCHEDULE, RULE_BATCH, RULE_TEST, RULE_KIND, RULE_ATTEMPT,
    RULE_DURATION, RULE_QUEUE_TIME, RULE_COST, RULE_AGE, RULE_ERROR_MESSAGE, RULE_ERROR_NAME, RULE_ERROR_CODE,
    RULE_ERROR_FINGERPRINT, RULE_METADATA, RULE_FIELDS
};
struct rule_field {
    enum rule_field_id id;
    struct str *path; /* RULE_METADATA: its parts */
    size_t path_count;
    struct str text;  /* as written: "metadata.customerId" */
};
bool rule_field_is_outcome(enum rule_field_id id);       /* else it is identity (section 1.3) */
uint32_t rule_field_reads(const struct rule_field *f);   /* RUN_HAS_* bits it needs */

/* --- what is matched ----------------------------------------------------------------------------------- */
struct rule_subject {
    const struct run *run;
    const struct transition *transition;
    int64_t arrival_ms;
    struct arena *arena;     /* for derived values */
    struct str fingerprint;  /* computed at first use; zero it */
};
void rule_subject_init(struct rule_subject *s, struct arena *a, const struct run *run,
                       const struct transition *t, int64_t arrival_ms);
/* The field's value for people and for templates: number of values written to out (0 = absent; tags and
 * arrays give one per element, at most max). */
size_t rule_field_values(const struct rule_field *f, struct rule_subject *s, struct str *out, size_t max);

/* --- a compiled rule ------------------------------------------------------------------------------------ */
enum rule_condition_kind { RULE_EVERY_HIT, RULE_COUNT, RULE_STREAK, RULE_FIRST, RULE_FLAPS, RULE_RATE, RULE_LASTS, RULE_ABSENT }; /* the order is part of shapes */
struct rule_condition {
    enum rule_condition_kind kind;
    int64_t n, window_ms; /* RULE_COUNT, RULE_FLAPS; RULE_STREAK: n; RULE_FIRST, RULE_LASTS: window_ms; RULE_RATE: the last n runs or window_ms, the other is 0 */
    bool of_runs;         /* distinct runs instead of hits */
    const struct rule_field *of; /* or distinct values of a field; NULL = no */
    bool under;           /* RULE_RATE: under instead of over */
    double percent;       /* RULE_RATE: hits of the runs */
    int64_t min;          /* RULE_RATE: it holds with fewer runs never */
    bool canceled;        /* of a population: CANCELED counts, because `when` names it */
    int64_t grace_ms;     /* RULE_ABSENT, whose window_ms is `every` unless cron is set */
    const struct cron *cron; /* RULE_ABSENT: or the times at which a hit is due; NULL = no */
    const struct zone *zone; /* of cron */
};
/* RULE_ABSENT: when a hit is due after the last one, or after its clock was started, at that moment: *slot_ms, and with the grace
 * what is given back. SCHEDULE_NEVER: never. */
int64_t rule_absent_due(const struct rule_condition *c, int64_t after_ms, int64_t *slot_ms);
int64_t rule_absent_period(const struct rule_condition *c); /* about the longest time between two hits that are in time */
/* Is the condition about the finished runs of the population, one after another, and not about hits alone? */
bool rule_on_population(const struct rule_condition *c);
/* Bits of the states that then count. */
uint32_t rule_population_states(const struct rule_condition *c);
enum rule_resolve_kind { RULE_SUCCESS, RULE_QUIET, RULE_CLEARS, RULE_MANUAL, RULE_MATCH };
struct match; /* the compiled condition tree, rule_internal.h */
struct rule_resolve {
    enum rule_resolve_kind kind;
    int64_t successes; /* RULE_SUCCESS: consecutive ones wanted, 1 = plain "success" */
    int64_t quiet_ms;  /* RULE_QUIET */
    const struct match *match; /* RULE_MATCH, as written: see rule.ends */
};
struct rule_param { struct str name; const struct template *value; }; /* {to: X, channel: "..."} */
struct rule_target {
    size_t destination;              /* index into ruleset->destinations */
    struct rule_param *params;
    size_t param_count;
    const struct schedule *during;   /* outside it this target alone is held; NULL = always */
};
struct rule_targets { struct rule_target *v; size_t n; };
struct rule_step { int64_t after_ms; struct rule_targets to; };
/* {switch: FIELD, VALUE: ..., else: ...}: whom it tells is decided by one field, when the incident opens. */
struct rule_case { const struct match *value; struct rule_targets to; };
struct rule_switch {
    struct rule_field field;
    struct rule_case *cases; /* the first that fits wins */
    size_t case_count;
    struct rule_targets otherwise; /* n 0 = there is no `else` */
};
struct rule_limit { int64_t n, per_ms; };
struct rule_names { struct str *v; size_t n; bool all; /* others, too: v does not bound anything */ };
struct rule_watch { /* of RULE_ABSENT: whom its `when` names, whatever has been seen of them */
    struct rule_names tasks, envs, projects;
    bool by_name; /* and that is all that `by` asks: each of them is a key */
};
struct rule_message_field { struct str name; const struct template *value; };

enum rule_outside { RULE_OUTSIDE_HOLD, RULE_OUTSIDE_DROP, RULE_OUTSIDE_ELSEWHERE };

struct rule_extra; /* what only this room reads, rule_internal.h */
struct rule {
    struct str name;
    const char *file;
    uint32_t line, col;
    size_t index;                     /* in ruleset->rules */
    const struct match *when;         /* defaults.when and-ed in */
    const struct match *population;   /* when without its outcome tests (section 5, Conditions) */
    struct rule_condition condition;
    struct rule_field *by;            /* project and env are always part of the key, never listed here */
    size_t by_count;
    bool by_run;                      /* `run` is in by */
    bool by_identity;                 /* by holds identity fields only */
    const struct rule_watch *watch;   /* RULE_ABSENT; else NULL */
    int64_t at_least, wait_ms, update_ms, linger_ms;
    int64_t *repeat_ms;               /* the last one repeats; NULL = never */
    size_t repeat_count;
    struct rule_resolve *resolve;
    size_t resolve_count;
    const struct match *ends;         /* what `resolve: {match: ...}` wants of an event that ends an incident; NULL = no such */
    int severity;                     /* enum severity of message.h: 0 info .. 3 critical */
    struct rule_targets notify;
    const struct rule_switch *route;  /* decides instead of notify; NULL = none */
    struct rule_step *escalate;       /* by after_ms */
    size_t escalate_count;
    size_t *unless;                   /* indexes into ruleset->rules: while one of them has an open incident in the same env, messages are held */
    size_t unless_count;
    const struct schedule *during;    /* its hours; NULL = always */
    enum rule_outside outside;        /* what becomes of its messages beside them */
    struct rule_targets outside_to;   /* RULE_OUTSIDE_ELSEWHERE: who hears of them instead of notify */
    bool confirm;                     /* the run is read again before it opens, where a source can */
    struct rule_limit limit;          /* in force: the rule's own or defaults' */
    bool own_limit;
    const struct template *title, *body; /* NULL = built-in text */
    struct rule_message_field *fields;
    size_t field_count;
    struct str runbook;
    struct rule_message_field *labels; /* values are literal templates */
    size_t label_count;
    uint32_t reads;                   /* RUN_HAS_* that when, by or a template reads */
    char shape[33];                   /* hex fingerprint of when, by and condition: a change starts anew */
    const struct rule_extra *extra;
};

/* What the rules may name; given by config. */
struct rule_destination {
    struct str name;
    struct str type;
    bool edits;                /* can edit a message in place: gets updates */
    bool acks;                 /* wants to hear of acknowledgements (pagers) */
    const struct field_table *params; /* what {to: X, PARAM: ...} may set; NULL = nothing */
    struct str channel_pattern; /* glob a templated or literal `channel` must fit; STR_NONE = not settable */
    bool used;                 /* out: some rule names it */
    /* An empty type is a placeholder: any parameter may be set (config_load_rules). */
};
/* Hits that meet `when` while `during` covers the moment are marked: messages about nothing else are held. */
struct rule_mute {
    struct str name;
    const struct match *when;
    const struct schedule *during;
    struct str why;
    uint64_t hash; /* of its name and `when` */
};
struct ruleset {
    struct rule **rules; /* enabled ones, in file order */
    size_t rule_count;
    struct rule_destination *destinations;
    size_t destination_count;
    struct rule_limit limit; /* defaults.limit */
    struct rule_mute *mutes;
    size_t mute_count;
    const struct schedule **schedules; /* all there are */
    size_t schedule_count;
    struct str operator_destination; /* STR_NONE = none */
    struct rule_index *index;
    struct rule_pattern *patterns; /* compiled regular expressions: ruleset_fini */
};

/* One file that may hold rules: its whole top-level map (other sections are ignored here). */
struct rule_file { const struct yaml_node *top; bool included; };
struct rule_world {
    const struct rule_file *files;
    size_t file_count;
    const struct rule_destination *destinations; /* copied */
    size_t destination_count;
    struct str operator_destination;
    bool part;                 /* of a configuration: what is not used here may be used elsewhere */
};
/* Compiles all rules of all files against `defaults` of the first. All mistakes are added to d, at most 50.
 * NULL when there was any error. No key is ever ignored. Of the other
 * sections `schedules` and `mutes` are compiled, too, of all files. Texts are copied: the ruleset outlives the trees. */
struct ruleset *ruleset_compile(struct arena *a, const struct rule_world *w, struct diags *d);
/* Frees what the arena cannot (compiled regular expressions). Call before the arena goes; NULL is fine. */
void ruleset_fini(struct ruleset *rs);
const struct rule *ruleset_find(const struct ruleset *rs, struct str name);

/* Calls fn for each rule that might hit (a superset of those that do), each once, in ruleset order. Cost
 * hardly grows with the number of rules. `scratch` is per caller thread, zeroed at first, freed by
 * rule_scratch_fini. */
struct rule_scratch { uint64_t *seen; size_t words; uint32_t *list; size_t list_cap; };
void rule_scratch_fini(struct rule_scratch *s);
size_t ruleset_candidates(const struct ruleset *rs, struct rule_subject *s, struct rule_scratch *scratch,
                          const uint32_t **indexes);
/* The same over populations, only rules whose resolve counts successes or whose incidents are keyed by run: those
 * that the end of a run concerns. */
size_t ruleset_success_candidates(const struct ruleset *rs, struct rule_subject *s,
                                  struct rule_scratch *scratch, const uint32_t **indexes);
/* The same over populations, only rules whose condition is about their populations. */
size_t ruleset_population_candidates(const struct ruleset *rs, struct rule_subject *s,
                                     struct rule_scratch *scratch, const uint32_t **indexes);
/* Only rules with `lasts`. */
size_t ruleset_lasts_candidates(const struct ruleset *rs, struct rule_subject *s, struct rule_scratch *scratch, const uint32_t **indexes);
/* The same over what ends incidents. */
size_t ruleset_end_candidates(const struct ruleset *rs, struct rule_subject *s, struct rule_scratch *scratch,
                              const uint32_t **indexes);
bool rule_matches(const struct rule *r, struct rule_subject *s);          /* is it a hit? */
bool rule_ends(const struct rule *r, struct rule_subject *s);             /* does it meet `resolve: {match: ...}`, and is no hit? */
bool rule_in_population(const struct rule *r, struct rule_subject *s);
bool rule_match_holds(const struct match *m, struct rule_subject *s);     /* of a mute or a silence */
/* A `when` by itself, of a silence: YAML or JSON. It lives in a but for its patterns, which rule_when_fini frees. False: d says why,
 * and nothing is to be freed. */
struct rule_pattern;
struct rule_when { const struct match *match; struct rule_pattern *patterns; };
bool rule_when_compile(struct arena *a, struct str text, struct rule_when *out, struct diags *d);
void rule_when_fini(struct rule_when *w);

/* --- what rules ask for (demand.c) --------------------------------------------------------------------- */
/* Beside RUN_HAS_*: what else of a subject may be known. */
enum { RULE_KNOWS_ENV = 1 << 24, RULE_KNOWS_PROJECT = 1 << 25, RULE_KNOWS_KIND = 1 << 26, RULE_KNOWS_RUN = 1 << 27 };
/* Could the rule hit (or the run count in its population), if every field outside `known` (RUN_HAS_* and RULE_KNOWS_* bits) had a fitting value? */
bool rule_could_hit(const struct rule *r, struct rule_subject *s, uint32_t known);
uint32_t rule_states(const struct rule *r); /* bits of states that a hit can be in: a superset */
uint32_t rule_needs(const struct rule *r);  /* RUN_HAS_* without which there is no hit */
/* The literals of that field of which every hit has one: task, tags, env, project. */
void rule_literals(const struct rule *r, struct arena *a, enum rule_field_id id, struct rule_names *out);
uint32_t rule_ends_states(const struct rule *r); /* as rule_states, of what ends its incidents; 0 = it says nothing */
uint32_t rule_ends_needs(const struct rule *r);
bool rule_could_end(const struct rule *r, struct rule_subject *s, uint32_t known); /* as rule_could_hit */
struct rule_demand { /* of the rules that can concern runs of one environment */
    size_t rules;
    uint32_t hits;    /* states that are hits of some rule */
    uint32_t states;  /* those, and ends of runs that resolve or follow incidents */
    uint32_t reads;   /* RUN_HAS_* that some rule or its messages read */
    bool attempts;    /* retries are asked for, by state or by number */
    bool absent;      /* some rule waits for what may not come: how far a source is must be known, also when it found nothing */
    struct rule_names tasks, tags; /* every hit, or run of a population, has one of these, unless `all` */
};
/* project, env: STR_NONE when any. Lists live in a, sorted. */
void ruleset_demand(const struct ruleset *rs, struct arena *a, struct str project, struct str env, struct rule_demand *out);

/* --- names that rules write out (names.c) ---------------------------------------------------------------- */
struct rule_named {
    enum rule_field_id field; /* RULE_TASK, RULE_TAGS, RULE_QUEUE or RULE_ENV */
    struct str text;
    bool glob;
    const struct rule *rule;  /* the first that has it there; NULL = a mute */
    const char *file;
    uint32_t line, col;
};
/* Of `when`, `resolve: {match}`, switches and mutes, each place once; patterns of `re` are none. */
struct rule_named *ruleset_names(const struct ruleset *rs, struct arena *a, size_t *n);

/* Incident keys of a subject under a rule: `by` values joined with "/", "/" and "\" inside values escaped
 * with "\", a missing value is "(none)". A list field gives one key per element (only those that `when`
 * names, if it names some). At most max. `by` empty gives one key "". identity: the same over the identity
 * fields only (for successes). label: for people, "task=render-video, version=20260503.1". */
struct rule_key { struct str key, identity, label; };
size_t rule_keys(const struct rule *r, struct rule_subject *s, struct rule_key *out, size_t max);

/* The values that a hit adds to `count: N of FIELD`, exactly as in keys; none when the field is missing. At most max. */
size_t rule_counted_values(const struct rule *r, struct rule_subject *s, struct str *out, size_t max);
/* The condition as one would write it: "3 hits in 10m". */
struct str rule_condition_text(const struct rule_condition *c, struct arena *a);

/* What a key says of a field of `by`; STR_NONE when the field is not in `by`. */
struct str rule_key_value(const struct rule *r, struct arena *a, struct str key, const struct rule_field *f);

/* Whom the rule's switch tells of an incident with that key (STR_NONE: of many keys) and that last hit; n 0 = nobody. */
const struct rule_targets *rule_routed(const struct rule *r, struct rule_subject *s, struct str key);

/* The identity part of a key, as in rule_key.identity. */
struct str rule_identity_of(const struct rule *r, struct arena *a, struct str key);

/* Writes what each clause of the rule saw: {"rule","file","line","hit":bool,"clauses":[{"field","test",
 * "value","hit","line"}],"keys":[...]}; nested any/all/not as {"any":[...]}. */
void rule_explain(const struct rule *r, struct rule_subject *s, struct json_writer *w);
void rule_explain_members(const struct rule *r, struct rule_subject *s, struct json_writer *w); /* into an object that the caller has begun */

/* Field names known to templates in rules: the fields above plus key, rule, severity, hits, runs, url,
 * first_run, count, still, rate.percent, rate.hits, rate.runs, absent.for, absent.last, absent.due. Writes the view for a subject into w as one object: the run's fields ("error" and
 * "metadata" as objects; absent ones left out), "rule" and "severity". key, hits, runs, url, first_run, rate and
 * count are the incident's: whoever knows them adds them; rule_view_members writes the members alone, into an
 * object that the caller has begun. */
void rule_view_members(const struct rule *r, struct rule_subject *s, struct json_writer *w);
void rule_view(const struct rule *r, struct rule_subject *s, struct json_writer *w);
bool rule_template_known(void *ctx, struct str name, struct str *suggestion);
/* Documentation: the field tables of the language (rule, count, defaults). */
const struct field_table *rule_field_tables(size_t *n);
/* Every part of a rule: those tables, and what its short forms look like (language.c). */
const struct field_part *rule_parts(struct arena *a, size_t *n);
#endif
