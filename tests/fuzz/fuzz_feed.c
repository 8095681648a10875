/* Any bytes as answers of the realtime feed: the first line is the offset that the header names, each further line an
 * answer. Whatever comes, the rows that are kept are active ones with an id, and the next request can be written. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static void on_change(void *ctx, struct str object, struct str before, bool known)
{
    struct arena *a = ctx;
    struct json root;
    struct run run;
    struct err err;
    must(known || before.n == 0);
    if (object.n == 0) return; /* larger than an object may be */
    must(json_parse(a, object, &json_own_limits, &root, NULL, &err) == 0);
    if (run_decode(a, root, &run, &err) == 0) must(run.spelling.n > 0);
}

static void check(const struct shape *s, struct arena *a)
{
    struct map_entry *e;
    size_t at = 0;
    while ((e = map_next(&s->rows, &at))) {
        const struct shape_row *r = e->value;
        must(r->id.n > 0 && str_eq(r->key, e->key));
        must(!(run_state_class(run_state_parse(r->status)) & RUN_CLASS_FINISHED));
    }
    must(shape_query(s, a, "24h", STR("payload")).n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = { (const char *)data, size }, line, offset = STR("0_0");
    struct shape s;
    struct err err;
    bool first = true;
    shape_init(&s);
    for (; str_split(&rest, '\n', &line); first = false) {
        struct arena a = { 0 };
        struct fetch_header headers[] = { { STR("electric-handle"), STR("h") }, { STR("electric-offset"), offset }, { STR("electric-up-to-date"), STR("") } };
        struct fetch_answer f = { .status = 200, .body = line, .headers = headers, .header_count = line.n % 2 ? 3 : 2 };
        if (first) offset = line;
        else if (shape_take(&s, &a, &f, on_change, &a, &err) < 0) shape_restart(&s);
        check(&s, &a);
        arena_fini(&a);
    }
    shape_fini(&s);
    return 0;
}
