/* from_api: history of a trigger-api source as a log of its own, in a folder that is removed with it. */
#ifndef CLI_FROM_API_H
#define CLI_FROM_API_H
#include "config/config.h"
#include "store/store.h"

struct from_api {
    struct store *store;
    struct store_reader *reader;
    char folder[256];
};
/* Reads what ended at the source since since_ms; shows how far it is. c: whose source it is; rules[0..n): for which rules,
 * of which those are named that see nothing of it. 0, or an exit status after saying why; from_api_close in either case. */
struct from_api_ask { struct config *config; const char *source; int64_t since_ms; const struct ruleset *const *rules; size_t rule_sets; };
int from_api_open(struct from_api *f, const struct from_api_ask *ask);
void from_api_close(struct from_api *f);
#endif
