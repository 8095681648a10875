/* http/target: the request target ("/v1/incidents/inc_1?state=open") taken apart. Pure.
 * Segments are decoded after the path was cut, so that "%2F" inside a name stays part of the name. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { TARGET_SEGMENTS_MAX = 8, TARGET_PAIRS_MAX = 16 };
struct target_pair { struct str name, value; };
struct target {
    struct str path; /* raw, without the query */
    struct str segments[TARGET_SEGMENTS_MAX]; /* decoded; "/" has none */
    size_t segment_count;
    struct target_pair query[TARGET_PAIRS_MAX]; /* decoded; "+" is a blank */
    size_t query_count;
};
/* Borrows from raw and a. -1 with ERR_SYNTAX: not in origin form ("/..."), a broken "%" escape, a control
 * character or bad UTF-8 once decoded, a parameter given twice, or too many parts. */
int target_parse(struct arena *a, struct str raw, struct target *out, struct err *err) WUR;
/* The path part of a raw target. */
struct str target_path(struct str raw);
/* A query parameter's value, STR_NONE when it is not there. */
struct str target_query(const struct target *t, const char *name);
/* "v1/incidents/" followed by any one segment and "/ack" is written "v1/incidents/{}/ack". */
bool target_matches(const struct target *t, const char *pattern);
#endif
