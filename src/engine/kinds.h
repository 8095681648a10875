/* kinds: what is said of hits that are no runs: deployments and error groups. Pure. For files of this room only. */
#ifndef ENGINE_KINDS_H
#define ENGINE_KINDS_H
#include "message/message.h"

bool kind_is(const struct run *run, const char *kind);
/* "Deployment 20260503.1 failed", "Error group TypeError: ... (regression) in task sync". n: how many are told of;
 * verb: what happened, "failed". STR_NONE for runs. */
struct str kind_title(struct arena *a, const struct run *run, unsigned n, const char *verb);
enum { KIND_FIELDS_MAX = 6 };
/* The fields beside task and version; their number. 0 for runs. */
size_t kind_fields(struct arena *a, const struct run *run, struct message_field out[KIND_FIELDS_MAX]);
/* Its page, under the address of the environment in the dashboard. */
struct str kind_page(struct arena *a, const struct run *run);
#endif
