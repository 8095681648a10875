/* Any bytes as a page of the runs list, behind a cursor. Items that are taken are runs; the cursor is followed only if it
 * moves on and fits; what is wrong is said. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "source/list_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = { 0 };
    struct list_cursor at = { .text = "seed", .n = 4 };
    struct json root, items;
    struct run run;
    struct err err = { 0 };
    enum api_outcome outcome;
    if (json_parse(&a, (struct str){ (const char *)data, size }, &json_default_limits, &root, NULL, &err) == 0) {
        outcome = list_answer(root, &at, &items, &err);
        must(outcome == API_OK || (outcome == API_FAILED && err.msg[0]));
        must(outcome != API_OK || at.over || (at.n > 0 && at.n <= sizeof at.text && !str_eq(STR("seed"), (struct str){ at.text, at.n })));
        for (struct json v = json_first(items); outcome == API_OK && json_kind(v) != JSON_ABSENT; v = json_next(v))
            if (run_decode(&a, v, &run, &err) == 0) must(run_id_usable(run.id) && run.spelling.n > 0);
    }
    arena_fini(&a);
    return 0;
}
