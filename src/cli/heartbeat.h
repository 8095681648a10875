/* heartbeat: runbell's own dead-man switch: a URL asked for while the pipeline is ready, so that somebody
 * else notices when runbell is gone. A thread of its own. */
#ifndef CLI_HEARTBEAT_H
#define CLI_HEARTBEAT_H
#include "config/config.h"
#include "pipeline/pipeline.h"

struct heartbeat;
struct heartbeat *heartbeat_start(struct config *c, struct pipeline *p);
void heartbeat_stop(struct heartbeat **h); /* NULL inside is fine */
#endif
