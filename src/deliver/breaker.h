/* breaker: keeps a dead destination from being asked again and again. Closed: all pass. Open: nobody passes
 * until the cool-down is over; then one probe does, and its outcome closes the breaker or opens it for twice
 * as long. Pure; the caller says what time it is. One thread. */
#ifndef DELIVER_BREAKER_H
#define DELIVER_BREAKER_H
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum {
    BREAKER_CONSECUTIVE = 5,          /* failures in a row open it */
    BREAKER_LEAST = 20,               /* or half of at least so many outcomes within the window */
    BREAKER_SLOTS = 12, BREAKER_SLOT_MS = 5000, /* the window: 60 s */
    BREAKER_COOL_MS = 10000, BREAKER_COOL_MOST_MS = 300000
};
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };
enum breaker_outcome {
    BREAKER_OK,     /* it answered: it lives */
    BREAKER_FAILED, /* no answer, or one that says it is not well */
    BREAKER_BROKEN  /* it can never work like this (revoked token): opens at once */
};
enum breaker_change { BREAKER_SAME, BREAKER_OPENED, BREAKER_CLOSED_AGAIN };
struct breaker {
    enum breaker_state state;
    int consecutive;
    struct { int64_t slot; int ok, failed; } window[BREAKER_SLOTS];
    int64_t cool_ms;    /* of the present or the last opening */
    struct mono until;  /* OPEN: when a probe may go */
};
void breaker_init(struct breaker *b);
/* May a request go now? OPEN: when the cool-down is over (it is the probe: say so with breaker_probe). */
bool breaker_allows(const struct breaker *b, struct mono now);
void breaker_probe(struct breaker *b);
/* probe: the outcome is that of the probe. What was under way before the breaker opened changes nothing any
 * more. A probe that failed gives BREAKER_OPENED again. */
enum breaker_change breaker_record(struct breaker *b, enum breaker_outcome o, bool probe, struct mono now);
#endif
