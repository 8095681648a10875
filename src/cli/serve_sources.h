/* serve_sources: polling sources of a server: what they find goes into its pipeline. */
#ifndef CLI_SERVE_SOURCES_H
#define CLI_SERVE_SOURCES_H
#include "pipeline/pipeline.h"
#include "source/poller.h"

/* To be stopped (pollers_stop) before the pipeline. */
struct pollers *sources_start(struct config *c, struct pipeline *p);
void sources_stop(struct pollers **all, struct pipeline *p);
#endif
