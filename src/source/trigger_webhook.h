/* source/trigger_webhook: one of Trigger.dev's signed alert webhooks -> one report (trigger-dev-api.md section 6).
 * Every type and payload version: runs that failed, deployments (kind deployment), error groups (kind error), and the
 * bare bodies of channels made long ago, which say that a run failed but not how. Pure: no clock, no I/O. */
#ifndef SOURCE_TRIGGER_WEBHOOK_H
#define SOURCE_TRIGGER_WEBHOOK_H
#include "source/webhook.h"

#define TRIGGER_SIGNATURE_HEADER "x-trigger-signature-hmacsha256"
enum { TRIGGER_SIGNATURE_BYTES = 64, TRIGGER_REPLAY_MS = 24 * 3600 * 1000 };

/* Could this be a signature: 64 hex digits in lower case, nothing before them? */
bool trigger_signature_shaped(struct str signature);
/* Did one of the source's secrets sign exactly these bytes? How long it takes tells nothing of which, or of how much
 * of it was right. */
bool trigger_signature_right(const struct config_source *source, struct str body, struct str signature);
/* Call it with bodies whose signature is right. now_ms: the wall clock, to refuse what was made more than a day ago.
 * Reports borrow from the body and the arena. err is filled for every result but SOURCE_DECODED. */
enum source_result source_trigger_decode(struct arena *a, const struct config_source *source, struct str body,
                                         int64_t now_ms, struct source_batch *out, struct err *err);
#endif
