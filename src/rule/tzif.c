/* TZif, the form in which a system keeps zones (RFC 8536): a table of changes, and a rule for what lies behind it. */
#include "rule/zone_internal.h"

struct reader { const unsigned char *p; size_t n; };
struct header { int version; uint32_t ut, std, leaps, times, types, chars; };
enum { HEADER_BYTES = 44 };

static uint64_t big_endian(const unsigned char *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < bytes; i++) v = v << 8 | p[i];
    return v;
}

static const unsigned char *take(struct reader *r, uint64_t n)
{
    const unsigned char *at = r->p;
    if (n > r->n) return NULL;
    r->p += n;
    r->n -= (size_t)n;
    return at;
}

static bool take_header(struct reader *r, struct header *h)
{
    const unsigned char *p = take(r, HEADER_BYTES);
    uint32_t *counts[] = { &h->ut, &h->std, &h->leaps, &h->times, &h->types, &h->chars };
    if (!p || memcmp(p, "TZif", 4) != 0) return false;
    h->version = p[4] ? p[4] - '0' : 1;
    for (size_t k = 0; k < 6; k++) *counts[k] = (uint32_t)big_endian(p + 20 + 4 * k, 4);
    return true;
}

/* Of what stands behind a header whose times have that many bytes. */
static uint64_t block_bytes(const struct header *h, uint64_t time)
{
    return h->times * (time + 1) + h->types * UINT64_C(6) + h->chars + h->leaps * (time + 4) + h->std + (uint64_t)h->ut;
}

static bool take_changes(struct arena *a, const struct header *h, const unsigned char *p, size_t time, struct zone *out)
{
    const unsigned char *which = p + time * h->times, *types = which + h->times;
    for (uint32_t k = 0; k < h->types; k++) {
        int32_t offset = (int32_t)big_endian(types + 6 * (size_t)k, 4);
        if (offset <= -ZONE_OFFSET_BELOW_S || offset >= ZONE_OFFSET_BELOW_S) return false;
        if (k == 0) out->first_s = offset;
    }
    out->changes = ARENA_ARRAY(a, struct zone_change, h->times + (size_t)1);
    for (uint32_t k = 0; k < h->times; k++) {
        uint64_t at = big_endian(p + time * k, time);
        struct zone_change *c = &out->changes[out->n];
        if (which[k] >= h->types) return false;
        c->at_s = time == 4 ? (int32_t)at : (int64_t)at;
        c->offset_s = (int32_t)big_endian(types + 6 * (size_t)which[k], 4);
        if (out->n > 0 && c->at_s <= c[-1].at_s) return false;
        out->n++;
    }
    return true;
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; between the lines nothing, when it is not known. */
static bool take_rule(struct reader *r, struct zone *out)
{
    struct str text = { (const char *)r->p, r->n };
    if (text.n < 2 || text.p[0] != '\n') return false;
    text = str_sub(text, 1, text.n);
    text = str_sub(text, 0, str_find(text, '\n', 0));
    return text.n == 0 || zone_rule_parse(text, &out->rule);
}

int tzif_read(struct arena *a, struct str bytes, struct zone *out, struct err *err)
{
    struct reader r = { (const unsigned char *)bytes.p, bytes.n };
    struct header h;
    const unsigned char *block;
    size_t time = 4;
    if (!take_header(&r, &h)) return err_set(err, ERR_SYNTAX, "it is no file of a time zone");
    if (h.version >= 2) { /* the same with times of 64 bits stands behind */
        if (!take(&r, block_bytes(&h, 4)) || !take_header(&r, &h)) return err_set(err, ERR_SYNTAX, "it ends too early");
        time = 8;
    }
    if (h.leaps) return err_set(err, ERR_TYPE, "its clock counts leap seconds, which no other clock here does");
    block = take(&r, block_bytes(&h, time));
    if (!block) return err_set(err, ERR_SYNTAX, "it ends too early");
    if (h.types == 0 || !take_changes(a, &h, block, time, out)) return err_set(err, ERR_SYNTAX, "its table is not in order");
    if (time == 8 && !take_rule(&r, out)) return err_set(err, ERR_SYNTAX, "its rule for later years is not in order");
    return 0;
}
