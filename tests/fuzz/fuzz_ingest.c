/* Any bytes as the body of an event request; a leading N says that the sender calls it NDJSON. Every item is
 * either taken or has a fault, each once and in order, and what was taken has its place in a partition. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/webhook.h"

enum { ITEMS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

static void check_reports(const struct source_batch *b, unsigned char seen[ITEMS_MAX])
{
    for (size_t i = 0; i < b->report_count; i++) {
        const struct source_report *r = &b->reports[i];
        must(r->index < ITEMS_MAX && !seen[r->index]++);
        must(i == 0 || r->index > b->reports[i - 1].index);
        must(r->run.id.n > 0 && r->run.spelling.n > 0);
        must(str_eq_c(r->run.project, "default") && r->run.env.n > 0);
    }
}

static void check_faults(const struct source_batch *b, unsigned char seen[ITEMS_MAX])
{
    for (size_t i = 0; i < b->fault_count; i++) {
        must(b->faults[i].index < ITEMS_MAX && !seen[b->faults[i].index]++);
        must(i == 0 || b->faults[i].index > b->faults[i - 1].index);
        must(b->faults[i].text.n > 0);
    }
}

static void check(struct str body, bool ndjson)
{
    static const struct config_source source = { .type = SOURCE_WEBHOOK };
    struct arena a = { 0 };
    struct source_batch b;
    struct err err = { 0 };
    unsigned char seen[ITEMS_MAX] = { 0 };
    enum source_result result = source_webhook_decode(&a, &source, body, ndjson, ITEMS_MAX, &b, &err);
    must((result == SOURCE_DECODED) == (b.report_count > 0));
    must(result == SOURCE_DECODED || err.msg[0]);
    must(result != SOURCE_NOT_JSON || (b.offset <= body.n && b.fault_count == 0));
    check_reports(&b, seen);
    check_faults(&b, seen);
    for (size_t i = 0; i < b.report_count + b.fault_count; i++) must(seen[i]);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool ndjson = size > 0 && data[0] == 'N';
    check((struct str){ (const char *)data + ndjson, size - ndjson }, ndjson);
    return 0;
}
