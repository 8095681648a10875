/* past: what ended since a moment, read at once from the API of one source: as an import reads it, on the calling thread,
 * within the source's budget of requests, with nothing looked for beside it and nothing told to a server. */
#ifndef SOURCE_PAST_H
#define SOURCE_PAST_H
#include "source/poller.h"

struct past_setup {
    struct config *config;
    const struct config_source *source; /* of it, or a copy that is changed: of type trigger-api */
    struct clock *clock;
    int64_t since_ms;                   /* wall */
    struct poller_sink sink;            /* only submit is called */
    /* How far it is. trouble: why a request is made again, or "". May be NULL. */
    void (*progress)(void *ctx, int percent, uint64_t runs, const char *trouble);
    void *progress_ctx;
};
enum past_outcome { PAST_READ, PAST_DENIED /* the key */, PAST_FAILED };
/* *method: by which it was read. err says what is wrong, and what to do about it. */
enum past_outcome past_read(const struct past_setup *s, enum source_method *method, uint64_t *runs, struct err *err);
/* RUN_HAS_* that the rows of a method tell; AUTO: of queries. What they do not tell, no rule sees of the past. */
uint32_t past_tells(enum source_method m);
#endif
