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
/* An IANA name, "Europe/Berlin", or "UTC". NULL with err->msg: no such zone, or no tzdata on this machine. Lives in a. */
const struct zone *zone_load(struct arena *a, struct str name, struct err *err);
struct str zone_name(const struct zone *z);
/* What is to be added to UTC at that moment, in seconds. */
int32_t zone_offset_s(const struct zone *z, int64_t at_ms);

/* --- schedules ------------------------------------------------------------------------------------------ */
struct schedule;
struct str schedule_name(const struct schedule *s);
bool schedule_covers(const struct schedule *s, int64_t at_ms);
/* The first moment after after_ms at which schedule_covers() is another; SCHEDULE_NEVER when there is none. */
int64_t schedule_changes_at(const struct schedule *s, int64_t after_ms);

/* --- cron ------------------------------------------------------------------------------------------------ */
struct cron;
/* Five fields, names of months and days, lists, ranges, steps, @hourly and the like. NULL with err->msg. Lives in a. */
const struct cron *cron_parse(struct arena *a, struct str text, struct err *err);
/* The first time after after_ms; SCHEDULE_NEVER when there is none (30 February). A time that a day skips, as clocks go forward, is taken
 * at the moment of the jump; one that comes twice is taken the first time. */
int64_t cron_next(const struct cron *c, const struct zone *z, int64_t after_ms);
#endif
