/* budget: the share of a rate limit that one source may use. The limit belongs to the environment: the user's own
 * application draws from the same bucket (trigger-dev-api.md section 4). Pure; times are monotonic. */
#ifndef SOURCE_BUDGET_H
#define SOURCE_BUDGET_H
#include <stdint.h>

enum { BUDGET_LIMIT_DEFAULT = 750 }; /* what a bucket holds where the server does not say */
struct budget {
    int64_t percent;
    int64_t limit, remaining; /* as last told; remaining -1 = never told */
    double tokens;
    int64_t filled_ms;        /* when tokens was brought up to date */
    int64_t hold_until_ms;    /* told to wait, or the others need what is left */
};
void budget_init(struct budget *b, int64_t percent, int64_t now_ms);
/* How long until the next request may go; 0 = now, and it is counted. */
int64_t budget_take(struct budget *b, int64_t now_ms);
int64_t budget_room(struct budget *b, int64_t now_ms); /* requests that may go at once */
double budget_per_minute(const struct budget *b);
/* What an answer said: reset_in_ms from now, -1 = not told. */
void budget_told(struct budget *b, int64_t now_ms, int64_t limit, int64_t remaining, int64_t reset_in_ms);
void budget_hold(struct budget *b, int64_t until_ms);  /* a 429: nothing before that */
#endif
