#include "deliver/breaker.h"

#include <string.h>

void breaker_init(struct breaker *b)
{
    memset(b, 0, sizeof *b);
    for (size_t i = 0; i < BREAKER_SLOTS; i++) b->window[i].slot = -1;
}

bool breaker_allows(const struct breaker *b, struct mono now)
{
    return b->state == BREAKER_CLOSED || (b->state == BREAKER_OPEN && now.ms >= b->until.ms);
}

void breaker_probe(struct breaker *b)
{
    if (b->state == BREAKER_OPEN) b->state = BREAKER_PROBING;
}

static enum breaker_change open_it(struct breaker *b, struct mono now)
{
    int64_t cool = b->cool_ms ? b->cool_ms * 2 : BREAKER_COOL_MS;
    b->state = BREAKER_OPEN;
    b->cool_ms = cool < BREAKER_COOL_MOST_MS ? cool : BREAKER_COOL_MOST_MS;
    b->until.ms = now.ms + b->cool_ms;
    return BREAKER_OPENED;
}

static void count(struct breaker *b, bool ok, struct mono now)
{
    int64_t slot = now.ms / BREAKER_SLOT_MS;
    size_t at = (size_t)(slot % BREAKER_SLOTS);
    if (b->window[at].slot != slot) {
        b->window[at].slot = slot;
        b->window[at].ok = b->window[at].failed = 0;
    }
    if (ok) b->window[at].ok++;
    else b->window[at].failed++;
    b->consecutive = ok ? 0 : b->consecutive + 1;
}

static bool half_failed(const struct breaker *b, struct mono now)
{
    int64_t oldest = now.ms / BREAKER_SLOT_MS - BREAKER_SLOTS;
    int ok = 0, failed = 0;
    for (size_t i = 0; i < BREAKER_SLOTS; i++) {
        if (b->window[i].slot <= oldest || b->window[i].slot < 0) continue;
        ok += b->window[i].ok;
        failed += b->window[i].failed;
    }
    return ok + failed >= BREAKER_LEAST && failed >= ok;
}

enum breaker_change breaker_record(struct breaker *b, enum breaker_outcome o, bool probe, struct mono now)
{
    if (b->state != BREAKER_CLOSED) {
        if (!probe) return BREAKER_SAME;
        if (o != BREAKER_OK) return open_it(b, now);
        breaker_init(b);
        return BREAKER_CLOSED_AGAIN;
    }
    count(b, o == BREAKER_OK, now);
    if (o == BREAKER_OK) return BREAKER_SAME;
    if (o == BREAKER_BROKEN || b->consecutive >= BREAKER_CONSECUTIVE || half_failed(b, now))
        return open_it(b, now);
    return BREAKER_SAME;
}
