/* Filters that turn text into text. */
#include "base/utf8.h"
#include "template/escape.h"
#include "template/template_internal.h"

/* Ranges whose capitals lie a fixed distance away. Others (and letters without a single partner) stay. */
static const struct { uint32_t low, high, distance; } cases[] = {
    { 'a', 'z', 32 },         { 0xe0, 0xf6, 32 },     { 0xf8, 0xfe, 32 },     { 0x3b1, 0x3c1, 32 },
    { 0x3c3, 0x3c9, 32 },     { 0x430, 0x44f, 32 },   { 0x450, 0x45f, 80 },   { 0x561, 0x586, 48 },
};

static uint32_t change_case(uint32_t cp, bool upper)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t d = cases[i].distance, low = cases[i].low - (upper ? 0 : d),
                 high = cases[i].high - (upper ? 0 : d);
        if (cp >= low && cp <= high) return upper ? cp - d : cp + d;
    }
    /* Latin Extended-A: neighbours. 0x138 and 0x149 stand between the two ways of counting */
    if ((cp >= 0x100 && cp <= 0x12f) || (cp >= 0x132 && cp <= 0x137) || (cp >= 0x14a && cp <= 0x177))
        return upper ? cp & ~1u : cp | 1u;
    if ((cp >= 0x139 && cp <= 0x148) || (cp >= 0x179 && cp <= 0x17e))
        return upper ? cp - (cp % 2 == 0) : cp + (cp % 2 == 1);
    return cp;
}

static int recase(struct filter_run *r, struct filter_value *v, bool upper)
{
    struct str s = filter_text(r, v);
    struct strbuf b;
    strbuf_init(&b, r->bytes);
    for (size_t at = 0, next; at < s.n; at = next) {
        char utf8[4];
        if (!utf8_sequence(s, at)) {
            next = at + 1;
            strbuf_char(&b, s.p[at]);
            continue;
        }
        strbuf_add(&b, utf8, utf8_encode(change_case(utf8_decode(s, at, &next), upper), utf8));
    }
    return filter_set(v, filter_take(r, &b));
}

int filter_upper(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    (void)call;
    return recase(r, v, true);
}

int filter_lower(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    (void)call;
    return recase(r, v, false);
}

int filter_trim(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    (void)call;
    return filter_set(v, str_trim(filter_text(r, v)));
}

int filter_truncate(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    return filter_set(v, text_truncate(r->a, filter_text(r, v), (size_t)call->number, TEXT_CHARS));
}

int filter_urlencode(struct filter_run *r, const struct filter_call *call, struct filter_value *v)
{
    struct strbuf b;
    (void)call;
    strbuf_init(&b, r->bytes);
    escape_by_name(STR("url_query"))(filter_text(r, v), &b);
    return filter_set(v, filter_take(r, &b));
}
