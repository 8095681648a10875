/* regex: PCRE2 with match, depth and heap limits, so that no pattern and no text can stall a thread.
 * A compiled pattern is immutable and may be used by any thread. */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H
#include "base/err.h"
#include "base/str.h"

struct regex;
enum regex_result { REGEX_NO, REGEX_YES, REGEX_LIMIT }; /* LIMIT: given up, counts as no */

/* UTF-8, unanchored, case-sensitive; (?i) and the like work. NULL on a bad pattern: err->msg holds the
 * reason and err->col the 1-based byte of the pattern. */
struct regex *regex_new(struct str pattern, struct err *err);
void regex_free(struct regex **re);
enum regex_result regex_match(const struct regex *re, struct str text);
#endif
