/* timeline: what happened beside what was expected, row by row, for people. */
#ifndef REPLAY_TIMELINE_H
#define REPLAY_TIMELINE_H
#include "base/str.h"
#include "base/strbuf.h"

struct timeline_row {
    int64_t at_ms;               /* since the start of the test */
    struct str happened;         /* n 0: nothing did */
    struct str expected;         /* n 0: nothing was */
    bool missed;                 /* the expectation was not met */
};
/* rows in order of time. Long ones are cut; of very many, those without an expectation are left out and counted. */
void timeline_put(const struct timeline_row *rows, size_t n, struct strbuf *out);
#endif
