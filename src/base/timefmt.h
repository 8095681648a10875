/* timefmt: RFC 3339 times and the rule language's durations as text. Pure. */
#ifndef BASE_TIMEFMT_H
#define BASE_TIMEFMT_H
#include "base/str.h"

enum { TIMEFMT_SIZE = 32 }; /* bytes an RFC 3339 time or a duration takes, NUL included */

/* "2026-05-03T10:16:41.377Z". Years 0001 to 9999; outside it is clamped. */
struct str time_format(int64_t wall_ms, char out[TIMEFMT_SIZE]);
/* RFC 3339 with any fraction and offset ("Z", "+02:00"; "t", "z" and a space for T pass too). False on
 * anything else, impossible dates included. Leap second :60 counts as :59.999. */
bool time_parse(struct str s, int64_t *wall_ms);
/* (INT ("ms"|"s"|"m"|"h"|"d"|"w"))+ as in rule-language.md section 3, "10m", "1h30m". False on anything
 * else or more than 100 years. */
bool duration_parse(struct str s, int64_t *ms);
/* Shortest exact form, largest units first: 90000 -> "1m30s"; 0 -> "0s". Negative gets a "-". */
struct str duration_format(int64_t ms, char out[TIMEFMT_SIZE]);
/* For people: two units at most, rounded down: "3m 12s", "2d 4h", "850ms". */
struct str duration_human(int64_t ms, char out[TIMEFMT_SIZE]);
#endif
