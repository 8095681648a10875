/* Any text as a duration. What is taken, written in its shortest form, is taken again and is the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size }, shortest;
    char exact[TIMEFMT_SIZE], human[TIMEFMT_SIZE];
    int64_t ms, again;
    if (!duration_parse(text, &ms)) return 0;
    must(ms >= 0 && ms <= INT64_C(100) * 366 * 86400000);
    shortest = duration_format(ms, exact);
    must(duration_parse(shortest, &again) && again == ms);
    must(duration_human(ms, human).n > 0);
    return 0;
}
