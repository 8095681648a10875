/* Any bytes as a request target: path and query. What was understood, written again with every byte escaped,
 * is understood the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static void put_escaped(struct strbuf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) strbuf_printf(b, "%%%02X", (unsigned char)s.p[i]);
}

static void rewrite(const struct target *t, struct strbuf *b)
{
    strbuf_char(b, '/');
    for (size_t i = 0; i < t->segment_count; i++) {
        if (i) strbuf_char(b, '/');
        put_escaped(b, t->segments[i]);
    }
    for (size_t i = 0; i < t->query_count; i++) {
        strbuf_char(b, i ? '&' : '?');
        put_escaped(b, t->query[i].name);
        strbuf_char(b, '=');
        put_escaped(b, t->query[i].value);
    }
    must(strbuf_ok(b));
}

static void check_same(const struct target *a, const struct target *b)
{
    must(a->segment_count == b->segment_count && a->query_count == b->query_count);
    for (size_t i = 0; i < a->segment_count; i++) must(str_eq(a->segments[i], b->segments[i]));
    for (size_t i = 0; i < a->query_count; i++) {
        must(str_eq(a->query[i].name, b->query[i].name));
        must(str_eq(a->query[i].value, b->query[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct target t, again;
    struct strbuf b;
    struct err err = { 0 };
    if (target_parse(&a, (struct str){ (const char *)data, size }, &t, &err) < 0) {
        must(err.msg[0]);
    } else {
        strbuf_init(&b, 8 * size + 64);
        rewrite(&t, &b);
        must(target_parse(&a, strbuf_view(&b), &again, &err) == 0);
        check_same(&t, &again);
        (void)target_matches(&t, "v1/incidents/{}/ack");
        (void)target_query(&t, "state");
        strbuf_fini(&b);
    }
    arena_fini(&a);
    return 0;
}
