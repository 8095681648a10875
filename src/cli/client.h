/* client: one HTTP request, for commands that talk to a running server. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H
#include "base/err.h"
#include "base/str.h"
#include "base/strbuf.h"
#include "json/json.h"

struct client {
    struct arena arena;
    struct str base;  /* "http://127.0.0.1:8484" */
    struct str unix_path; /* for unix:PATH; STR_NONE */
    struct str certificate; /* the server's own, by its configuration: the only one that is believed; STR_NONE */
    struct str token;
};
/* Where the server is: --url, else RUNBELL_URL, else the configuration's server.listen. Token: RUNBELL_TOKEN, else the
 * configuration's. -1 with err when neither can be had. */
int client_open(struct client *c, const char *url, const char *config, struct err *err) WUR;
void client_close(struct client *c);
/* status and parsed answer (absent when there is none). -1 when the server cannot be reached. body STR_NONE: GET, unless
 * method says otherwise. */
int client_request(struct client *c, const char *method, const char *path, struct str body, int *status, struct json *answer,
                   struct err *err) WUR;
/* A plain GET of any URL, answer thrown away: for the heartbeat. Status, or -1. */
int client_ping(const char *url, int64_t timeout_ms);
/* s percent-encoded for a path or query. */
struct str client_encode(struct arena *a, struct str s);
#endif
