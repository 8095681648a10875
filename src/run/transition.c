/* The judge. What a report says of the run's state, and which attempts it lets us conclude, are two
 * questions: the own transition, and the derived ones beside it. */
#include "run/transition.h"

#include "run/known.h"

struct judge {
    struct arena *a;
    struct run *report;
    struct run_known *known;
    int64_t event_ms;     /* the report's */
    uint64_t event_id;
    uint32_t readable;    /* fields rules can read: the report's and the carried-over */
    int64_t told;         /* highest attempt the report knows to have begun; 0 = none told */
    int64_t own_attempt;  /* the attempt of a literal REATTEMPTING; else 0 */
    int64_t requeued;     /* the attempt that a requeueing concludes; 0 = none */
    bool latest;
    struct transition *out;
    size_t n;
};

static bool is_final(enum run_state s)
{
    return (run_state_class(s) & RUN_CLASS_FINISHED) != 0;
}

static bool same_state(const struct run_seen *s, const struct run *r)
{
    return s->state == r->state && (s->state != RUN_UNKNOWN || str_eq(s->spelling, r->spelling));
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* --- looking up what is known --------------------------------------------------------------------------- */

static struct run_seen *find_final(const struct run_known *k)
{
    for (size_t i = k->seen_count; i-- > 0;)
        if (is_final(k->seen[i].state)) return &k->seen[i];
    return NULL;
}

static struct run_seen *find_attempt(const struct run_known *k, int64_t attempt)
{
    for (size_t i = k->seen_count; i-- > 0;)
        if (k->seen[i].state == RUN_REATTEMPTING && k->seen[i].attempt == attempt) return &k->seen[i];
    return NULL;
}

/* In a full list the lowest attempts have fallen out. */
static bool attempt_fell_out(const struct run_known *k, int64_t attempt)
{
    bool any = false;
    if (k->seen_count < RUN_SEEN_MAX) return false;
    for (size_t i = 0; i < k->seen_count; i++) {
        if (k->seen[i].state != RUN_REATTEMPTING) continue;
        if (k->seen[i].attempt <= attempt) return false;
        any = true;
    }
    return any;
}

static bool attempt_known(const struct run_known *k, int64_t attempt)
{
    return find_attempt(k, attempt) || attempt_fell_out(k, attempt);
}

/* The state reported just before / from place on; NULL when there is none. */
static struct run_seen *state_before(const struct run_known *k, size_t place)
{
    while (place > 0)
        if (!k->seen[--place].derived) return &k->seen[place];
    return NULL;
}

static struct run_seen *state_from(const struct run_known *k, size_t place)
{
    for (; place < k->seen_count; place++)
        if (!k->seen[place].derived) return &k->seen[place];
    return NULL;
}

static bool is_current(const struct run_known *k, const struct run_seen *s)
{
    if (is_final(s->state)) return true;
    return !find_final(k) && s == state_before(k, k->seen_count);
}

/* --- numbers of attempts -------------------------------------------------------------------------------- */

/* A REATTEMPTING without any number: each later updatedAt is the next attempt. */
static int64_t attempt_by_time(const struct run *r, const struct run_known *k, int64_t arrival_ms)
{
    int64_t event_ms = run_event_time(r, arrival_ms);
    const struct run_seen *last = state_before(k, known_place(k, event_ms));
    if (r->updated_ms == RUN_TIME_NONE && last && last->state == RUN_REATTEMPTING) return last->attempt;
    if (r->updated_ms != RUN_TIME_NONE)
        for (size_t i = k->seen_count; i-- > 0;)
            if (k->seen[i].state == RUN_REATTEMPTING && k->seen[i].event_ms == event_ms)
                return k->seen[i].attempt;
    return larger(k->attempts_known, 1) + 1;
}

static int64_t literal_attempt(const struct run *r, const struct run_known *k, int64_t arrival_ms)
{
    bool told = (r->present & RUN_HAS_ATTEMPT) != 0;
    if (told && r->attempt > 0) return r->attempt;
    if (told && r->attempts_listed > 0) return larger(r->attempts_finished + 1, 2);
    if (told && r->attempt_count > 0) return r->attempt_count + 1;
    return attempt_by_time(r, k, arrival_ms);
}

static int64_t told_attempt(const struct run *r)
{
    int64_t n = larger(r->attempt_count, r->attempts_listed);
    if (!(r->present & RUN_HAS_ATTEMPT)) return 0;
    return larger(n, r->state == RUN_REATTEMPTING ? 0 : r->attempt);
}

/* The last attempt that needs no telling: known already, or before our time. */
static int64_t attempts_settled(const struct judge *j, int64_t top, int64_t source_start_ms)
{
    const struct run *r = j->report;
    if (j->known->present & RUN_HAS_ATTEMPT) return larger(j->known->attempts_known, 1);
    if (r->created_ms != RUN_TIME_NONE && r->created_ms < source_start_ms) return larger(top, 1);
    return 1;
}

/* EXECUTING -> QUEUED of a started run is a retry after a long delay. Either end may be the late report. */
static int64_t requeued_attempt(const struct judge *j)
{
    const struct run *r = j->report;
    size_t place = known_place(j->known, j->event_ms);
    const struct run_seen *before = state_before(j->known, place), *after = state_from(j->known, place);
    bool counted = (j->known->present & RUN_HAS_ATTEMPT) != 0;
    if (r->state == RUN_QUEUED) {
        if (!(r->present & RUN_HAS_STARTED) || !before || before->state != RUN_EXECUTING) return 0;
        if (after && after->state == RUN_REATTEMPTING) return 0; /* told by its own name */
        /* Told late, and without a number: the attempt that followed may have been counted already. */
        if (counted && !(r->present & RUN_HAS_ATTEMPT) && place < j->known->seen_count) return 0;
    } else {
        if (r->state != RUN_EXECUTING || (before && before->state == RUN_EXECUTING)) return 0;
        if (!after || after->state != RUN_QUEUED || !(after->present & RUN_HAS_STARTED)) return 0;
        if (counted && !(r->present & RUN_HAS_ATTEMPT)) return 0; /* which one it was cannot be known */
    }
    if (r->present & RUN_HAS_ATTEMPT) return j->told + 1;
    return larger(j->known->attempts_known, 1) + 1;
}

/* --- transitions ---------------------------------------------------------------------------------------- */

static struct run_seen seen_of(const struct judge *j, enum run_state state, int64_t event_ms, int64_t attempt)
{
    return (struct run_seen){
        .event_ms = event_ms,
        .state = state,
        .attempt = attempt,
        .present = j->readable,
        .event_id = j->event_id,
        .spelling = state == RUN_UNKNOWN ? j->report->spelling : STR_NONE,
    };
}

static struct transition own_new(struct judge *j)
{
    struct run_seen s = seen_of(j, j->report->state, j->event_ms, j->own_attempt);
    known_insert(j->a, j->known, s);
    return (struct transition){
        .kind = TRANSITION_NEW, .state = s.state, .current = j->latest, .attempt = j->report->attempt,
        .event_ms = s.event_ms, .event_id = j->event_id,
    };
}

/* One more report of a transition that is known. */
static struct transition own_again(struct judge *j, struct run_seen *s)
{
    struct transition t = {
        .state = j->report->state, .current = is_current(j->known, s), .attempt = j->report->attempt,
        .event_ms = s->event_ms, .event_id = s->event_id, .gained = j->report->present & ~s->present,
    };
    t.kind = t.gained ? TRANSITION_FULLER : TRANSITION_DUPLICATE;
    s->present |= j->report->present;
    return t;
}

/* What a report that only says "failed" is now known to mean. */
static void take_exact(struct run *r, enum run_state s)
{
    r->state = s;
    r->spelling = str_c(run_state_name(s));
    r->present |= RUN_HAS_STATE;
}

/* The first final state wins, but "failed in some way" yields to the exact one. */
static struct transition own_final(struct judge *j)
{
    struct run_seen *s = find_final(j->known);
    struct run *r = j->report;
    bool exact = (r->present & RUN_HAS_STATE) != 0;
    if (!s) return own_new(j);
    if (s->present & RUN_HAS_STATE) {
        bool other = exact ? s->state != r->state : run_state_class(s->state) != run_state_class(r->state);
        if (other)
            return (struct transition){
                .kind = TRANSITION_DUPLICATE,
                .state = r->state,
                .attempt = r->attempt,
                .event_ms = s->event_ms,
                .event_id = s->event_id,
            };
        if (!exact) take_exact(r, s->state);
    }
    s->state = r->state;
    return own_again(j, s);
}

static struct transition own_active(struct judge *j)
{
    size_t place = known_place(j->known, j->event_ms);
    struct run_seen *before = state_before(j->known, place), *after = state_from(j->known, place);
    if (before && same_state(before, j->report)) return own_again(j, before);
    /* A late report of what was seen next anyway: the same stay in that state, told from its beginning. */
    if (after && same_state(after, j->report)) return own_again(j, after);
    return own_new(j);
}

static struct transition own_reattempting(struct judge *j)
{
    struct run_seen *s = find_attempt(j->known, j->own_attempt),
                    fallen = { .event_ms = j->event_ms, .present = ~(uint32_t)0 };
    struct transition t;
    if (!s && attempt_fell_out(j->known, j->own_attempt)) return own_again(j, &fallen);
    t = s ? own_again(j, s) : own_new(j);
    t.attempt = j->own_attempt;
    return t;
}

static void derive(struct judge *j, int64_t attempt)
{
    int64_t start_ms = run_attempt_start(j->report, attempt);
    struct run_seen s;
    if (attempt < 2 || attempt == j->own_attempt || attempt_known(j->known, attempt)) return;
    s = seen_of(j, RUN_REATTEMPTING,
                start_ms != RUN_TIME_NONE && start_ms < j->event_ms ? start_ms : j->event_ms, attempt);
    s.derived = true;
    known_insert(j->a, j->known, s);
    j->out[j->n++] = (struct transition){
        .kind = TRANSITION_NEW, .state = RUN_REATTEMPTING, .derived = true, .current = j->latest,
        .attempt = attempt, .event_ms = s.event_ms, .event_id = j->event_id,
    };
}

static void derive_all(struct judge *j, int64_t source_start_ms)
{
    struct run_known *k = j->known;
    int64_t top = larger(j->told, j->own_attempt - 1), from = attempts_settled(j, top, source_start_ms);
    if (top - from > TRANSITIONS_MAX - 2) from = top - (TRANSITIONS_MAX - 2);
    for (int64_t attempt = from + 1; attempt <= top; attempt++) derive(j, attempt);
    if (j->requeued) derive(j, j->requeued);
    k->attempts_known = larger(larger(k->attempts_known, top), larger(j->own_attempt, j->requeued));
}

static bool comes_before(const struct transition *a, const struct transition *b)
{
    if (a->event_ms != b->event_ms) return a->event_ms < b->event_ms;
    if (a->derived != b->derived) return a->derived;
    return a->state == RUN_REATTEMPTING && b->state == RUN_REATTEMPTING && a->attempt < b->attempt;
}

static void sort_transitions(struct transition *t, size_t n)
{
    for (size_t i = 1; i < n; i++)
        for (size_t k = i; k > 0 && comes_before(&t[k], &t[k - 1]); k--) {
            struct transition swap = t[k];
            t[k] = t[k - 1];
            t[k - 1] = swap;
        }
}

/* Everything about the report that must be settled before anything known changes. */
static void prepare(struct judge *j, int64_t arrival_ms)
{
    struct run *r = j->report;
    const struct run_seen *after;
    if (r->state == RUN_REATTEMPTING) r->attempt = j->own_attempt = literal_attempt(r, j->known, arrival_ms);
    j->told = told_attempt(r);
    j->event_ms = run_event_time(r, arrival_ms);
    j->readable = r->present | known_carry(j->known, r);
    after = state_from(j->known, known_place(j->known, j->event_ms));
    j->latest = !find_final(j->known) && (is_final(r->state) || !after);
    j->requeued = requeued_attempt(j);
    if (r->state != RUN_REATTEMPTING) {
        if (j->told > 0) r->attempt = j->told;
        else if (j->latest) r->attempt = j->known->attempts_known;
    }
}

size_t run_transitions(struct arena *a, struct run *report, struct run_known *known, int64_t arrival_ms,
                       int64_t source_start_ms, uint64_t event_id, struct transition out[TRANSITIONS_MAX])
{
    struct judge j = { .a = a, .report = report, .known = known, .event_id = event_id, .out = out };
    struct transition own;
    prepare(&j, arrival_ms);
    if (is_final(report->state)) own = own_final(&j);
    else if (report->state == RUN_REATTEMPTING) own = own_reattempting(&j);
    else own = own_active(&j);
    derive_all(&j, source_start_ms);
    if (own.kind != TRANSITION_DUPLICATE || j.n == 0) out[j.n++] = own;
    sort_transitions(out, j.n);
    known_learn(known, report, !j.latest);
    known->exists = true;
    return j.n;
}

const struct run_seen *run_known_state(const struct run_known *k)
{
    const struct run_seen *final = find_final(k);
    return final ? final : state_before(k, k->seen_count);
}

bool run_succeeded_since(const struct run_known *k, const struct transition *t)
{
    if (is_final(t->state)) return false;
    for (size_t i = 0; i < k->seen_count; i++)
        if (k->seen[i].state == RUN_COMPLETED && k->seen[i].event_ms >= t->event_ms) return true;
    return false;
}
