/* api: calls of one Trigger.dev server with one key, within a share of its rate limit. Repeats what may heal: obeys
 * x-should-retry, waits out 429, backs off with jitter (trigger-dev-api.md section 4). One thread; blocks. */
#ifndef SOURCE_API_H
#define SOURCE_API_H
#include "base/clock.h"
#include "base/rng.h"
#include "json/json.h"
#include "source/budget.h"
#include "source/fetch.h"

enum api_outcome {
    API_OK,
    API_NOT_FOUND,   /* 404, 405: no such run, or no such endpoint on this server */
    API_BAD_REQUEST, /* 400, 422: it does not understand what was asked */
    API_DENIED,      /* 401, 403: the key */
    API_TOO_LARGE,   /* ask for less at once */
    API_FAILED,      /* it may heal: transport, 429, 5xx, garbage */
    API_INTERRUPTED
};
struct api_answer {
    enum api_outcome outcome;
    int status;
    struct json root;   /* API_OK */
    int64_t server_ms;  /* when it was asked, by the server's clock, or by ours where it has no Date; never later than that */
};
struct api_usage { uint64_t requests, limited, failed; int64_t waited_ms; };
struct api {
    const struct config_trigger_api *settings; /* borrowed */
    struct fetch *fetch;
    struct clock *clock;
    struct budget budget;
    struct rng rng;
    struct api_usage usage;
    void (*on_again)(void *ctx, const struct err *err); /* a request is made again because of err; NULL: it is over. May be NULL */
    void *ctx;
    int64_t server_ahead_ms; /* of our wall clock, by its Date headers: whole seconds, rounded down */
};
int api_init(struct api *a, const struct config_trigger_api *settings, struct clock *clock, struct err *err);
void api_fini(struct api *a);
/* path: below the server's address, query string included. body: STR_NONE for a GET. err says what is wrong, for every
 * outcome but API_OK. */
enum api_outcome api_call(struct api *a, struct arena *arena, struct str path, struct str body, struct api_answer *out, struct err *err);
int64_t api_server_now(struct api *a); /* by the server's clock, as last heard */
int64_t api_room(struct api *a); /* calls that may be made without waiting */
/* Percent-encodes text for a query string. */
void api_encode(struct strbuf *out, struct str text);
#endif
