#include "source/budget.h"

/* A bucket of L refills by a third every 10 s by default, that is 2 L a minute; no header tells the rate. */
enum { REFILL_PER_MINUTE = 2, MINUTE_MS = 60000, SCARCE_PERCENT = 10, SCARCE_HOLD_MS = 10000 };

static double most(const struct budget *b)
{
    double n = (double)b->limit * (double)b->percent / 100;
    return n < 1 ? 1 : n;
}

double budget_per_minute(const struct budget *b)
{
    return most(b) * REFILL_PER_MINUTE;
}

static void fill(struct budget *b, int64_t now_ms)
{
    b->tokens += budget_per_minute(b) * (double)(now_ms - b->filled_ms) / MINUTE_MS;
    if (b->tokens > most(b)) b->tokens = most(b);
    b->filled_ms = now_ms;
}

void budget_init(struct budget *b, int64_t percent, int64_t now_ms)
{
    *b = (struct budget){ .percent = percent, .limit = BUDGET_LIMIT_DEFAULT, .remaining = -1, .filled_ms = now_ms };
    b->tokens = most(b);
}

int64_t budget_take(struct budget *b, int64_t now_ms)
{
    fill(b, now_ms);
    if (now_ms < b->hold_until_ms) return b->hold_until_ms - now_ms;
    if (b->tokens < 1) return 1 + (int64_t)((1 - b->tokens) * MINUTE_MS / budget_per_minute(b));
    b->tokens -= 1;
    return 0;
}

int64_t budget_room(struct budget *b, int64_t now_ms)
{
    fill(b, now_ms);
    return now_ms < b->hold_until_ms ? 0 : (int64_t)b->tokens;
}

void budget_told(struct budget *b, int64_t now_ms, int64_t limit, int64_t remaining, int64_t reset_in_ms)
{
    fill(b, now_ms);
    if (limit > 0) b->limit = limit;
    b->remaining = remaining;
    if (remaining < 0 || remaining * 100 >= b->limit * SCARCE_PERCENT) return;
    /* Nearly empty: what is left is the application's. */
    if (reset_in_ms < 0 || reset_in_ms > SCARCE_HOLD_MS) reset_in_ms = SCARCE_HOLD_MS;
    budget_hold(b, now_ms + reset_in_ms);
}

void budget_hold(struct budget *b, int64_t until_ms)
{
    if (until_ms > b->hold_until_ms) b->hold_until_ms = until_ms;
}
