/* lasts_text: how an incident of runs that are in a state for too long is said. */
#include "base/timefmt.h"
#include "engine/engine_internal.h"

enum { STATES_NAMED = 3 };

/* What a hit is: "EXECUTING", "QUEUED or DELAYED"; of many states, those together. */
static void put_states(const struct rule *r, const struct incident *i, struct strbuf *out)
{
    uint32_t states = rule_states(r) & ~(1u << RUN_UNKNOWN);
    unsigned named = 0, left = (unsigned)__builtin_popcount(states);
    if (left == 0) strbuf_c(out, i->last_state == RUN_UNKNOWN ? "in one state" : run_state_name((enum run_state)i->last_state));
    if (left > STATES_NAMED) strbuf_c(out, "under way");
    for (uint32_t s = 0; s < RUN_STATES && left && left <= STATES_NAMED; s++) {
        if (!(states >> s & 1)) continue;
        strbuf_printf(out, "%s%s", named == 0 ? "" : named + 1 == left ? " or " : ", ", run_state_name((enum run_state)s));
        named++;
    }
}

/* Those that still are; at the end, those that were. */
void lasts_title(const struct incident *i, struct str whose, struct strbuf *out)
{
    const struct rule *r = i->rule->now;
    uint32_t n = i->still ? i->still : i->run_count;
    char text[TIMEFMT_SIZE];
    struct str span = duration_format(r->condition.window_ms, text);
    strbuf_printf(out, STR_FMT ": %u run%s ", STR_ARG(whose), n, n == 1 ? "" : "s");
    put_states(r, i, out);
    strbuf_printf(out, " for over " STR_FMT, STR_ARG(span));
}

struct str lasts_runs_text(struct arena *a, const struct incident *i)
{
    if (i->still == i->run_count) return str_printf(a, "%u", i->run_count);
    if (i->still == 0) return str_printf(a, "%u, none of which still is", i->run_count);
    return str_printf(a, "%u, of which %u still %s", i->run_count, i->still, i->still == 1 ? "is" : "are");
}

struct str lasts_since(struct arena *a, const struct incident *i, int64_t over_ms)
{
    char text[TIMEFMT_SIZE];
    return str_dup(a, time_format(over_ms - i->rule->now->condition.window_ms, text));
}
