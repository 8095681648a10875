/* call: what commands share that talk to a running server. */
#ifndef CLI_CALL_H
#define CLI_CALL_H
#include "cli/cli.h"
#include "cli/client.h"

struct call { /* the options these commands share */
    const char *config, *url;
    bool json;
    struct client client;
    struct json answer;
    int status;
};
#define CALL_OPTIONS(c) \
    { "config", 'c', "FILE", "configuration, to learn the server's address and token", &(c)->config, NULL }, \
    { "url", 0, "URL", "address of the server (or RUNBELL_URL); token from RUNBELL_TOKEN", &(c)->url, NULL }, \
    { "json", 0, NULL, "the answer as JSON", NULL, &(c)->json }

/* 0 when the server answered 2xx; else an exit status after saying why. */
int call(struct call *c, const char *method, const char *path, struct str body);
/* Prints the answer where JSON was asked for, and closes. rc: what call gave; the same comes back. */
int call_finish(struct call *c, int rc);
struct str call_text(struct json v, const char *name); /* a scalar member */
struct str call_ago(struct arena *a, struct str when); /* "3m 12s ago" of an RFC 3339 time */
#endif
