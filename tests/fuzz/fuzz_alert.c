/* Any bytes as the body of an alert. What comes of it has an id and its place, is of a kind that is known, has ended, and
 * can be stored and read back; what is refused says why. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/trigger_webhook.h"

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

static void check_run(struct arena *a, const struct run *r)
{
    struct run again;
    struct json root;
    struct err err;
    struct str text = written(a, r);
    must(run_id_usable(r->id) && r->spelling.n > 0 && r->env.n > 0);
    must(str_eq_c(r->kind, "run") || str_eq_c(r->kind, "deployment") || str_eq_c(r->kind, "error"));
    must(run_state_class(r->state) & RUN_CLASS_FINISHED);
    must(json_parse(a, text, &json_own_limits, &root, NULL, &err) == 0);
    must(run_restore(a, root, &again, &err) == 0);
    must(str_eq(written(a, &again), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_source source = { .type = SOURCE_TRIGGER_WEBHOOK };
    struct str body = { (const char *)data, size };
    struct arena a = { 0 };
    struct source_batch b;
    struct err err = { 0 };
    enum source_result result = source_trigger_decode(&a, &source, body, INT64_C(1777800000000), &b, &err);
    must(b.report_count == (result == SOURCE_DECODED) && b.fault_count == (result == SOURCE_UNKNOWN));
    must(result == SOURCE_DECODED || err.msg[0]);
    must(result != SOURCE_NOT_JSON || b.offset <= size);
    if (b.report_count) check_run(&a, &b.reports[0].run);
    arena_fini(&a);
    return 0;
}
