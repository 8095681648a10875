/* holds: what would hold the messages of a rule about a run at a moment, by the rules alone: hours, mutes, rules that it stands behind.
 * Silences are the server's: it tells of them (explain RUN). */
#ifndef REPLAY_HOLDS_H
#define REPLAY_HOLDS_H
#include "rule/rule.h"

/* A JSON array of texts: "outside day", "mute etl (planned)", "stands behind platform-down: held while it has an open incident". */
void holds_write(const struct ruleset *rules, const struct rule *r, struct rule_subject *s, int64_t at_ms, struct json_writer *w);
#endif
