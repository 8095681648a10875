#include "run/run.h"

/* The canonical name of a state stands first among its spellings. */
static const struct spelling {
    const char *text;
    enum run_state state;
} spellings[] = {
    { "DELAYED", RUN_DELAYED },
    { "QUEUED", RUN_QUEUED },
    { "PENDING", RUN_QUEUED },
    { "PENDING_VERSION", RUN_PENDING_VERSION },
    { "WAITING_FOR_DEPLOY", RUN_PENDING_VERSION },
    { "DEQUEUED", RUN_DEQUEUED },
    { "EXECUTING", RUN_EXECUTING },
    { "REATTEMPTING", RUN_REATTEMPTING },
    { "RETRYING_AFTER_FAILURE", RUN_REATTEMPTING },
    { "WAITING", RUN_WAITING },
    { "WAITING_TO_RESUME", RUN_WAITING },
    { "FROZEN", RUN_WAITING },
    { "PAUSED", RUN_WAITING },
    { "COMPLETED", RUN_COMPLETED },
    { "COMPLETED_SUCCESSFULLY", RUN_COMPLETED },
    { "FAILED", RUN_FAILED },
    { "COMPLETED_WITH_ERRORS", RUN_FAILED },
    { "CRASHED", RUN_CRASHED },
    { "SYSTEM_FAILURE", RUN_SYSTEM_FAILURE },
    { "FAILED_TO_RUN", RUN_FAILED_TO_RUN },
    { "INTERRUPTED", RUN_INTERRUPTED },
    { "TIMED_OUT", RUN_TIMED_OUT },
    { "EXPIRED", RUN_EXPIRED },
    { "CANCELED", RUN_CANCELED },
    { "CANCELLED", RUN_CANCELED },
};
enum { SPELLINGS = sizeof spellings / sizeof *spellings, LONGEST_SPELLING = 22 };

static const unsigned classes[RUN_STATES] = {
    [RUN_UNKNOWN] = RUN_CLASS_ACTIVE,
    [RUN_DELAYED] = RUN_CLASS_ACTIVE,
    [RUN_QUEUED] = RUN_CLASS_ACTIVE,
    [RUN_PENDING_VERSION] = RUN_CLASS_ACTIVE,
    [RUN_DEQUEUED] = RUN_CLASS_ACTIVE,
    [RUN_EXECUTING] = RUN_CLASS_ACTIVE,
    [RUN_REATTEMPTING] = RUN_CLASS_ACTIVE | RUN_CLASS_RETRYING,
    [RUN_WAITING] = RUN_CLASS_ACTIVE,
    [RUN_COMPLETED] = RUN_CLASS_FINISHED | RUN_CLASS_SUCCESS,
    [RUN_FAILED] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_CRASHED] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_SYSTEM_FAILURE] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_FAILED_TO_RUN] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_INTERRUPTED] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_TIMED_OUT] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_EXPIRED] = RUN_CLASS_FINISHED | RUN_CLASS_FAILED,
    [RUN_CANCELED] = RUN_CLASS_FINISHED,
};

/* "Timed out" and "timed-out" as "TIMED_OUT"; false when no spelling is that long. */
static bool fold(struct str s, char out[LONGEST_SPELLING + 1])
{
    if (s.n == 0 || s.n > LONGEST_SPELLING) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        out[i] = c == ' ' || c == '-' ? '_' : c;
    }
    out[s.n] = '\0';
    return true;
}

enum run_state run_state_parse(struct str spelling)
{
    char name[LONGEST_SPELLING + 1];
    if (!fold(spelling, name)) return RUN_UNKNOWN;
    for (size_t i = 0; i < SPELLINGS; i++)
        if (spellings[i].text[0] == name[0] && str_eq_c((struct str){ name, spelling.n }, spellings[i].text))
            return spellings[i].state;
    return RUN_UNKNOWN;
}

const char *run_state_name(enum run_state s)
{
    static const char *const names[RUN_STATES] = {
        [RUN_UNKNOWN] = "", [RUN_DELAYED] = "DELAYED", [RUN_QUEUED] = "QUEUED",
        [RUN_PENDING_VERSION] = "PENDING_VERSION", [RUN_DEQUEUED] = "DEQUEUED", [RUN_EXECUTING] = "EXECUTING",
        [RUN_REATTEMPTING] = "REATTEMPTING", [RUN_WAITING] = "WAITING", [RUN_COMPLETED] = "COMPLETED",
        [RUN_FAILED] = "FAILED", [RUN_CRASHED] = "CRASHED", [RUN_SYSTEM_FAILURE] = "SYSTEM_FAILURE",
        [RUN_FAILED_TO_RUN] = "FAILED_TO_RUN", [RUN_INTERRUPTED] = "INTERRUPTED",
        [RUN_TIMED_OUT] = "TIMED_OUT", [RUN_EXPIRED] = "EXPIRED", [RUN_CANCELED] = "CANCELED",
    };
    return (unsigned)s < RUN_STATES ? names[s] : "";
}

unsigned run_state_class(enum run_state s)
{
    return (unsigned)s < RUN_STATES ? classes[s] : RUN_CLASS_ACTIVE;
}

bool run_class_parse(struct str name, unsigned *class_bit)
{
    static const struct {
        const char *name;
        unsigned bit;
    } names[] = {
        { "failed", RUN_CLASS_FAILED },     { "success", RUN_CLASS_SUCCESS },
        { "finished", RUN_CLASS_FINISHED }, { "active", RUN_CLASS_ACTIVE },
        { "retrying", RUN_CLASS_RETRYING },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq_c(name, names[i].name)) {
            *class_bit = names[i].bit;
            return true;
        }
    return false;
}

const char *const *run_state_spellings(void)
{
    static const char *const all[] = {
        "DELAYED", "QUEUED", "PENDING", "PENDING_VERSION", "WAITING_FOR_DEPLOY", "DEQUEUED", "EXECUTING",
        "REATTEMPTING", "RETRYING_AFTER_FAILURE", "WAITING", "WAITING_TO_RESUME", "FROZEN", "PAUSED",
        "COMPLETED", "COMPLETED_SUCCESSFULLY", "FAILED", "COMPLETED_WITH_ERRORS", "CRASHED", "SYSTEM_FAILURE",
        "FAILED_TO_RUN", "INTERRUPTED", "TIMED_OUT", "EXPIRED", "CANCELED", "CANCELLED", NULL,
    };
    _Static_assert(sizeof all / sizeof *all == SPELLINGS + 1, "every spelling is listed");
    return all;
}
