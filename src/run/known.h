/* known: what is remembered of a run: identity that later reports inherit, and the compact form in the
 * store. For files of this room only. */
#ifndef RUN_KNOWN_H
#define RUN_KNOWN_H
#include "run/transition.h"

/* Fills identity fields the report lacks. Gives the RUN_HAS_* of those that were filled. */
uint32_t known_carry(const struct run_known *k, struct run *report);
/* Remembers the report's own identity fields: a late report only fills gaps. */
void known_learn(struct run_known *k, const struct run *report, bool late);
/* Puts one more transition at its place by event time; the list stays within RUN_SEEN_MAX. The array is
 * made anew in a: pointers into the old one keep their old content. */
void known_insert(struct arena *a, struct run_known *k, struct run_seen s);
/* First place behind everything up to event_ms. */
size_t known_place(const struct run_known *k, int64_t event_ms);
#endif
