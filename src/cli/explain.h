/* explain: what is common to `explain RUN` and `explain --event FILE`. */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H
#include "json/json.h"

/* A clause of rule_explain's JSON, and those inside it. */
void print_clause(struct json c, int depth);
/* What windows of conditions held (replay/windows.h), a line each. */
void print_windows(struct arena *a, struct json windows, int indent);
/* Asks the running server about a run; gives the exit status. */
int explain_stored(const char *run, const char *url, const char *config, bool json);
#endif
