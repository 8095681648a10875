/* wire: requests over HTTP with curl_multi: keep-alive, one DNS cache, no redirects, no proxy but the
 * configured one, TLS 1.2 at least and verified. One thread, but for wire_wake. */
#ifndef DELIVER_WIRE_H
#define DELIVER_WIRE_H
#include "deliver/deliver_internal.h"

struct wire;
/* core: where answers go (core_answered). NULL when libcurl cannot start. */
struct wire *wire_new(struct deliver_core *core, struct err *err);
void wire_free(struct wire **w); /* nothing in flight any more */
struct deliver_transport wire_transport(struct wire *w);
/* Moves what can move without waiting and hands over the answers that are complete. True: there were some. */
bool wire_run(struct wire *w);
void wire_wait(struct wire *w, int64_t wait_ms); /* until a socket moves, wire_wake or wait_ms are over */
void wire_wake(struct wire *w);                  /* any thread */
#endif
