#include "base/id.h"

#include <string.h>

enum { SEQUENCE_BITS = 20, DIGITS = 13 };
/* Letters that cannot be mistaken for one another or for digits; sorted, so text order is id order. */
static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

uint64_t id_next(struct id_gen *g, int64_t wall_ms)
{
    uint64_t id = (uint64_t)(wall_ms > 0 ? wall_ms : 0) << SEQUENCE_BITS;
    if (id <= g->last) id = g->last + 1;
    g->last = id;
    return id;
}

struct str id_format(const char *prefix, uint64_t id, char out[ID_SIZE])
{
    size_t n = strlen(prefix);
    if (n > 7) n = 7;
    memcpy(out, prefix, n);
    out[n++] = '_';
    for (size_t i = DIGITS; i-- > 0; id >>= 5) out[n + i] = alphabet[id & 31];
    out[n + DIGITS] = '\0';
    return (struct str){ out, n + DIGITS };
}

bool id_parse(const char *prefix, struct str text, uint64_t *id)
{
    size_t n = strlen(prefix);
    uint64_t v = 0;
    if (text.n != n + 1 + DIGITS || memcmp(text.p, prefix, n) != 0 || text.p[n] != '_') return false;
    for (size_t i = n + 1; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i]) : NULL;
        if (!at || (i == n + 1 && at - alphabet > 15)) return false; /* 13 x 5 is one bit too many */
        v = v << 5 | (uint64_t)(at - alphabet);
    }
    *id = v;
    return true;
}

int64_t id_wall_ms(uint64_t id)
{
    return (int64_t)(id >> SEQUENCE_BITS);
}
