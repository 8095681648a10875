/* zones: what the code says of zones, schedules and cron times, for judges in Python (tests/zones). One request a line:
 *   offset ZONE SECOND...                                  offsets from UTC
 *   covers ZONE DAYS HOURS EXCEPT FROM STEP COUNT          1 and 0 for COUNT moments
 *   changes ZONE DAYS HOURS EXCEPT FROM COUNT              when that changes, COUNT times one after another, or never
 *   cron ZONE AFTER COUNT MINUTE HOUR DAY MONTH WEEKDAY    COUNT times one after another, or never
 * Lists have commas, EXCEPT may be -. Moments are seconds since 1970. What is wrong is answered with "error: ...". */
#include <stdio.h>

#include "base/civil.h"
#include "rule/rule_internal.h"

enum { WORDS = 4096 };
struct request { struct str w[WORDS]; size_t n; };

static int64_t number(struct str s)
{
    int64_t v = 0;
    if (!str_to_i64(s, &v)) printf("error: no number ");
    return v;
}

static void put_time(int64_t ms)
{
    if (ms == SCHEDULE_NEVER) printf("never ");
    else printf("%lld ", (long long)(ms / 1000));
}

static const struct schedule *schedule_of(struct arena *a, const struct zone *z, const struct str *w)
{
    struct schedule_hours hours[SCHEDULE_HOURS_MOST];
    int64_t except[SCHEDULE_EXCEPT_MOST];
    struct schedule_spec spec = { .name = STR("s"), .hours = hours, .except = except, .zone = z };
    struct str rest = w[0], part;
    while (str_split(&rest, ',', &part))
        if (!schedule_days_parse(part, &spec.days)) return NULL;
    for (rest = w[1]; str_split(&rest, ',', &part) && spec.hour_count < SCHEDULE_HOURS_MOST;)
        if (!schedule_hours_parse(part, &hours[spec.hour_count++])) return NULL;
    for (rest = str_eq_c(w[2], "-") ? STR_NONE : w[2]; str_split(&rest, ',', &part) && spec.except_count < SCHEDULE_EXCEPT_MOST;)
        if (!civil_parse(part, &except[spec.except_count++])) return NULL;
    return schedule_make(a, &spec);
}

static void answer_schedule(const struct schedule *s, const struct request *r)
{
    int64_t at = number(r->w[5]) * 1000;
    if (str_eq_c(r->w[0], "covers")) {
        int64_t step = number(r->w[6]) * 1000;
        for (int64_t k = number(r->w[7]); k > 0; k--, at += step) putchar(schedule_covers(s, at) ? '1' : '0');
        return;
    }
    for (int64_t k = number(r->w[6]); k > 0 && at != SCHEDULE_NEVER; k--) {
        at = schedule_changes_at(s, at);
        put_time(at);
    }
}

static void answer_cron(struct arena *a, const struct zone *z, const struct request *r)
{
    struct err err = { 0 };
    struct str text = str_printf(a, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(r->w[4]), STR_ARG(r->w[5]), STR_ARG(r->w[6]),
                                 STR_ARG(r->w[7]), STR_ARG(r->w[8]));
    const struct cron *c = cron_parse(a, text, &err);
    int64_t at = number(r->w[2]) * 1000;
    if (!c) printf("error: %s", err.msg);
    for (int64_t k = number(r->w[3]); c && k > 0 && at != SCHEDULE_NEVER; k--) {
        at = cron_next(c, z, at);
        put_time(at);
    }
}

static void answer(struct arena *a, const struct request *r)
{
    struct err err = { 0 };
    const struct zone *z = r->n > 1 ? zone_load(a, r->w[1], &err) : NULL;
    const struct schedule *s;
    if (!z) {
        printf("error: %s", err.msg);
    } else if (str_eq_c(r->w[0], "offset")) {
        for (size_t k = 2; k < r->n; k++) printf("%d ", (int)zone_offset_s(z, number(r->w[k]) * 1000));
    } else if (str_eq_c(r->w[0], "cron") && r->n == 9) {
        answer_cron(a, z, r);
    } else if (r->n >= 7) {
        s = schedule_of(a, z, r->w + 2);
        if (s) answer_schedule(s, r);
        else printf("error: no schedule");
    }
    putchar('\n');
}

int main(void)
{
    struct request r;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct arena a = { 0 };
        struct str rest = str_trim((struct str){ line, (size_t)n }), word;
        for (r.n = 0; r.n < WORDS && str_split(&rest, ' ', &word);)
            if (word.n) r.w[r.n++] = word;
        answer(&a, &r);
        arena_fini(&a);
    }
    free(line);
    return 0;
}
