/* suggest: the nearest of several names to a mistyped one. Pure. */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H
#include "base/str.h"

/* The best candidate within about a third of its length in edits (insert, delete, replace, swap of
 * neighbours), or STR_NONE. Candidates longer than 63 bytes are passed over. */
struct str suggest_nearest(struct str word, const struct str *candidates, size_t n);
#endif
