/* schedule: hours of the week in a zone, and cron times (rule-language.md section 3: schedules, absent). Compiled once, read by any
 * thread; what the zone's clock does is read from the system's tzdata at compile time and never from libc's TZ. Pure but for loading. */
#ifndef RULE_SCHEDULE_H
#define RULE_SCHEDULE_H
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define SCHEDULE_NEVER INT64_MAX

/* --- zones ---------------------------------------------------------------------------------------------- */
struct zone;
/* An IANA name, "Europe/Berlin", or "UTC", which is there even without tzdata. The folder is TZDIR of the environment, else
 * /usr/share/zoneinfo. NULL with err->msg: no such zone, or no tzdata on this machine. Lives in a. */
const struct zone *zone_load(struct arena *a, struct str name, struct err *err);
struct str zone_name(const struct zone *z);
/* What is to be added to UTC at that moment, in seconds. */
int32_t zone_offset_s(const struct zone *z, int64_t at_ms);
/* The zone that a mistyped name may mean, "Berlin" and "europe/berlin" included; STR_NONE when none comes near. Reads a file. */
struct str zone_nearest(struct arena *a, struct str name);

/* --- schedules ------------------------------------------------------------------------------------------ */
/* A moment is covered when the zone's clock shows one of the hours on one of the days. Hours that pass midnight belong to the day on which
 * they begin, and an exception removes what begins on its date. So a time that a day skips covers nothing, and one that comes twice
 * covers twice. */
struct schedule;
struct str schedule_name(const struct schedule *s);
bool schedule_covers(const struct schedule *s, int64_t at_ms);
/* The first moment after after_ms at which schedule_covers() is another; SCHEDULE_NEVER when there is none. */
int64_t schedule_changes_at(const struct schedule *s, int64_t after_ms);

/* Making one. */
enum { SCHEDULE_ALL_DAYS = 0x7f, SCHEDULE_MINUTES = 24 * 60, SCHEDULE_HOURS_MOST = 16, SCHEDULE_EXCEPT_MOST = 1000 };
struct schedule_hours { int from, to; /* minutes of the day, to is not in; from above to: passes midnight */ };
struct schedule_spec {
    struct str name;
    unsigned days;                      /* bit 0 is Monday */
    const struct schedule_hours *hours; /* at least one, at most SCHEDULE_HOURS_MOST */
    size_t hour_count;
    const int64_t *except;              /* days since 1970-01-01, in any order */
    size_t except_count;
    const struct zone *zone;
};
bool schedule_days_parse(struct str text, unsigned *days);                  /* all, mon, mon-fri, sat-mon */
bool schedule_hours_parse(struct str text, struct schedule_hours *out);     /* 09:00-18:00, 22:00-06:00, 00:00-24:00 */
const struct schedule *schedule_make(struct arena *a, const struct schedule_spec *spec);

/* --- cron ------------------------------------------------------------------------------------------------ */
struct cron;
/* Five fields, names of months and days, lists, ranges, steps, @hourly and the like. NULL with err->msg. Lives in a. */
const struct cron *cron_parse(struct arena *a, struct str text, struct err *err);
struct str cron_text(const struct cron *c); /* as written */
/* The first time after after_ms; SCHEDULE_NEVER when there is none (30 February). A time that a day skips, as clocks go forward, is taken
 * at the moment of the jump; one that comes twice is taken the first time. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms);
#endif
