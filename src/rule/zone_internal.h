/* zone_internal: what zones, schedules and cron share: what a zone's clock does over time. Times are in seconds here. */
#ifndef RULE_ZONE_INTERNAL_H
#define RULE_ZONE_INTERNAL_H
#include "base/civil.h"
#include "rule/schedule.h"

#define ZONE_NEVER INT64_MAX
enum { DAY_S = 86400, ZONE_OFFSET_BELOW_S = 26 * 3600 /* RFC 8536: between -25 and +26 hours */ };
/* Moments beyond these are taken for these: years -9999 to 9999. */
static const int64_t zone_first_ms = INT64_C(-377705116800000), zone_last_ms = INT64_C(253402300799999);

/* --- the rule for times behind the table: POSIX TZ (zone_rule.c) ----------------------------------------- */
enum zone_day_kind { ZONE_DAY_JULIAN /* 1-365, never 29 February */, ZONE_DAY_OF_YEAR /* 0-365 */, ZONE_DAY_OF_MONTH };
struct zone_day { /* once a year */
    enum zone_day_kind kind;
    int day;         /* of the year; ZONE_DAY_OF_MONTH: 0 is Sunday */
    int month, week; /* ZONE_DAY_OF_MONTH: the week-th of its days, 5 is the last */
    int32_t clock_s; /* then, by the clock that ends */
};
struct zone_rule {
    bool exists, changes; /* changes: std and dst, else std alone */
    int32_t std_s, dst_s; /* Europe/Dublin: its "dst" is winter and behind */
    struct zone_day to_dst, to_std;
};
bool zone_rule_parse(struct str text, struct zone_rule *out); /* "CET-1CEST,M3.5.0,M10.5.0/3" */
int32_t zone_rule_offset(const struct zone_rule *r, int64_t at_s);
int64_t zone_rule_changes_at(const struct zone_rule *r, int64_t after_s);

/* --- zones (zone.c, tzif.c) -------------------------------------------------------------------------------- */
struct zone_change { int64_t at_s; int32_t offset_s; /* from then on */ };
struct zone {
    struct str name;
    int32_t first_s; /* before the first change */
    struct zone_change *changes;
    size_t n;
    struct zone_rule rule; /* behind the last change */
};
/* A TZif file, version 1 to 4, without leap seconds. */
int tzif_read(struct arena *a, struct str bytes, struct zone *out, struct err *err) WUR;
int32_t zone_offset_at(const struct zone *z, int64_t at_s);
/* The next moment at which the offset may be another; ZONE_NEVER when there is none. */
int64_t zone_changes_at(const struct zone *z, int64_t after_s);
/* The first moment at which the zone's clock shows local_s or later: local time skipped is the jump, local time that comes
 * twice is its first. */
int64_t zone_reaches(const struct zone *z, int64_t local_s);
/* at_ms as seconds, within bounds that arithmetic can take. */
int64_t zone_seconds(int64_t at_ms);
#endif
