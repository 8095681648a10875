/* Any bytes as the answer of the query endpoint. A row that is taken has an id and a state, and can be stored and read
 * back; one that is refused says why. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static struct str written(struct arena *a, const struct run *r)
{
    struct json_draft d;
    run_write(r, json_draft_begin(&d, 64 << 20));
    return json_draft_end(&d, a);
}

static void take_row(struct arena *a, struct json row)
{
    struct run r, again;
    struct json root;
    struct err err = { 0 };
    struct str text;
    struct strbuf sql;
    if (row_decode(a, row, &r, &err) < 0) {
        must(err.msg[0] != '\0');
        return;
    }
    must(run_id_usable(r.id) && r.spelling.n > 0 && (r.present & RUN_HAS_STATE));
    must(r.finished_ms == RUN_TIME_NONE || r.finished_ms > 0);
    must(r.attempt_count >= -1 && r.attempt_count <= RUN_ATTEMPT_MAX);
    text = written(a, &r);
    must(json_parse(a, text, &json_own_limits, &root, NULL, &err) == 0);
    must(run_restore(a, root, &again, &err) == 0);
    must(str_eq(written(a, &again), text));
    strbuf_init(&sql, 1024);
    row_quote(&sql, r.id); /* as the next page is asked for */
    must(strbuf_ok(&sql) && sql.p[0] == '\'' && sql.p[sql.n - 1] == '\'');
    strbuf_fini(&sql);
    if (r.finished_ms != RUN_TIME_NONE) must(row_time(a, r.finished_ms).n == sizeof "2026-05-03 10:16:41.702" - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct json root;
    struct err err;
    if (json_parse(&a, (struct str){ (const char *)data, size }, &json_default_limits, &root, NULL, &err) == 0)
        for (struct json v = json_first(json_get_c(root, "results")); json_kind(v) != JSON_ABSENT; v = json_next(v)) take_row(&a, v);
    arena_fini(&a);
    return 0;
}
