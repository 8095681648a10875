/* absent_text: what is said of what did not happen. */
#include "base/timefmt.h"
#include "engine/engine_internal.h"
#include "rule/schedule.h"

enum { SECONDS_BELOW_MS = 600000 };

/* --- times, as people read them -------------------------------------------------------------------------------- */
static int64_t local_ms(const struct rule *r, int64_t at_ms)
{
    const struct zone *z = r->condition.zone;
    return z ? at_ms + (int64_t)zone_offset_s(z, at_ms) * 1000 : at_ms;
}

static struct str zone_of(const struct rule *r)
{
    return r->condition.zone ? zone_name(r->condition.zone) : STR("UTC");
}

/* "03:12", on another day "2026-01-04 03:12"; seconds where minutes would tell too little. */
static struct str clock_text(struct arena *a, const struct rule *r, int64_t at_ms, int64_t now_ms)
{
    char text[TIMEFMT_SIZE], now_text[TIMEFMT_SIZE];
    struct str at = time_format(local_ms(r, at_ms), text), now = time_format(local_ms(r, now_ms), now_text);
    bool seconds = !r->condition.cron && r->condition.window_ms < SECONDS_BELOW_MS;
    struct str day = str_sub(at, 0, 10), hour = str_sub(at, 11, seconds ? 8 : 5);
    if (str_eq(day, str_sub(now, 0, 10))) return str_dup(a, hour);
    return str_printf(a, STR_FMT " " STR_FMT, STR_ARG(day), STR_ARG(hour));
}

/* --- what was expected -------------------------------------------------------------------------------------------- */
struct verb { const char *has_not, *did_not; };

static uint32_t states_of(unsigned class)
{
    uint32_t states = 0;
    for (uint32_t s = 0; s < RUN_STATES; s++)
        if (run_state_class((enum run_state)s) & class) states |= 1u << s;
    return states;
}

static struct verb verb_of(const struct rule *r)
{
    uint32_t states = rule_states(r);
    if (!(states & ~states_of(RUN_CLASS_SUCCESS))) return (struct verb){ "has not succeeded", "did not succeed" };
    if (!(states & ~states_of(RUN_CLASS_FAILED))) return (struct verb){ "has not failed", "did not fail" };
    if (!(states & ~states_of(RUN_CLASS_FINISHED))) return (struct verb){ "has not finished", "did not finish" };
    if (!(states & ~(1u << RUN_EXECUTING))) return (struct verb){ "has not begun a run", "did not begin a run" };
    return (struct verb){ "has not been seen", "was not seen" };
}

/* A key of its task alone is called by that name. */
static struct str who(struct arena *a, const struct incident *i)
{
    const struct rule *r = i->rule->now;
    struct str task = r->by_count == 1 ? incident_key_part(a, i, RULE_TASK) : STR_NONE, label = task.n ? task : incident_label(a, i);
    if (label.n) return label;
    if (r->watch && r->watch->tasks.n == 1 && !r->watch->tasks.all) return r->watch->tasks.v[0];
    return i->rule->name;
}

struct str absent_title(struct arena *a, const struct incident *i, const struct absence *x)
{
    const struct rule *r = i->rule->now;
    char text[TIMEFMT_SIZE];
    struct str name = who(a, i), env = i->part->env, where = STR(""), last = STR("");
    struct str span = duration_human(x->now_ms - x->since_ms, text);
    if (!str_eq_c(env, "default")) where = str_printf(a, " in " STR_FMT, STR_ARG(env));
    if (x->hit) {
        struct str at = clock_text(a, r, x->since_ms, x->now_ms), zone = r->condition.cron ? STR("") : STR(" UTC");
        last = str_printf(a, " (last at " STR_FMT STR_FMT ")", STR_ARG(at), STR_ARG(zone));
    }
    if (r->condition.cron) {
        struct str by = clock_text(a, r, x->due_ms, x->now_ms);
        return str_printf(a, STR_FMT STR_FMT " %s by " STR_FMT STR_FMT, STR_ARG(name), STR_ARG(where), verb_of(r).did_not, STR_ARG(by), STR_ARG(last));
    }
    return str_printf(a, STR_FMT STR_FMT " %s for " STR_FMT STR_FMT, STR_ARG(name), STR_ARG(where), verb_of(r).has_not, STR_ARG(span), STR_ARG(last));
}

struct str absent_body(struct arena *a, const struct incident *i, const struct absence *x)
{
    const struct rule *r = i->rule->now;
    char text[TIMEFMT_SIZE], grace_text[TIMEFMT_SIZE];
    struct str zone = zone_of(r), grace = duration_format(r->condition.grace_ms, grace_text), since = clock_text(a, r, x->since_ms, 0), due, more = STR("");
    const char *before = x->hit ? "The last one was at" : "None was seen since";
    if (r->condition.grace_ms) more = str_printf(a, ", with " STR_FMT " of grace", STR_ARG(grace));
    if (!r->condition.cron) {
        struct str every = duration_format(r->condition.window_ms, text);
        return str_printf(a, "One is expected every " STR_FMT STR_FMT ". %s " STR_FMT " " STR_FMT ".", STR_ARG(every), STR_ARG(more), before, STR_ARG(since), STR_ARG(zone));
    }
    due = clock_text(a, r, x->slot_ms, 0);
    if (x->since_ms == x->slot_ms && !x->hit) return str_printf(a, "It was due at " STR_FMT " " STR_FMT STR_FMT ".", STR_ARG(due), STR_ARG(zone), STR_ARG(more));
    return str_printf(a, "It was due at " STR_FMT " " STR_FMT STR_FMT ". %s " STR_FMT ".", STR_ARG(due), STR_ARG(zone), STR_ARG(more), before, STR_ARG(since));
}

static struct str moment(struct arena *a, const struct rule *r, int64_t at_ms)
{
    struct str at = clock_text(a, r, at_ms, 0), zone = zone_of(r);
    return str_printf(a, STR_FMT " " STR_FMT, STR_ARG(at), STR_ARG(zone));
}

void absent_view(struct arena *a, const struct incident *i, const struct absence *x, struct json_writer *w)
{
    const struct rule *r = i->rule->now;
    char text[TIMEFMT_SIZE];
    json_put_key(w, STR("absent"));
    json_object_begin(w);
    json_field_str(w, "for", duration_human(x->now_ms - x->since_ms, text));
    json_field_str(w, "due", moment(a, r, x->due_ms));
    if (x->hit) json_field_str(w, "last", moment(a, r, x->since_ms));
    json_object_end(w);
}

struct str absent_lateness(struct arena *a, int64_t overdue_ms)
{
    char text[TIMEFMT_SIZE];
    struct str span = duration_human(overdue_ms, text);
    return str_printf(a, "sent " STR_FMT " later than due: until then runbell, or a source, was not there to hear", STR_ARG(span));
}
