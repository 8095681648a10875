/* fetch: one HTTP request at a time, over a kept connection: no redirects, no proxy but the configured one, TLS 1.2 at
 * least and verified. Blocks; fetch_interrupt from another thread makes it come back at once. */
#ifndef SOURCE_FETCH_H
#define SOURCE_FETCH_H
#include "base/arena.h"
#include "config/config.h"

struct fetch_header { struct str name, value; };
struct fetch_request {
    struct str url;                     /* whole */
    struct str body;                    /* STR_NONE: GET; else POST of JSON */
    const struct fetch_header *headers; /* beside those of every request */
    size_t header_count;
    int64_t timeout_ms;
    size_t bytes_most;                  /* of an answer; above it the rest is not read */
};
struct fetch_answer { /* lives in the arena given */
    int status;             /* 0: there is none, and `trouble` says why */
    struct str trouble;     /* our own words, without the URL; STR_NONE when the answer is whole */
    struct str body;
    struct fetch_header *headers;
    size_t header_count;
    bool too_large, interrupted;
    int64_t server_ms;      /* by its Date header; RUN_TIME_NONE */
};
struct fetch;
/* settings are borrowed: certificate authority, proxy, key, branch. */
struct fetch *fetch_new(const struct config_trigger_api *settings, struct err *err);
void fetch_free(struct fetch **f);
void fetch_do(struct fetch *f, struct arena *a, const struct fetch_request *r, struct fetch_answer *out);
bool fetch_sleep(struct fetch *f, int64_t ms); /* false: interrupted */
void fetch_wake(struct fetch *f);              /* any thread: ends a fetch_sleep, or the next one where nobody sleeps */
void fetch_interrupt(struct fetch *f);         /* any thread; for good */
struct str fetch_header(const struct fetch_answer *a, const char *name); /* STR_NONE */
#endif
