/* memory: what is known of many runs, each in one block of the heap: to read it back costs nothing. One thread. */
#ifndef REPLAY_MEMORY_H
#define REPLAY_MEMORY_H
#include "run/transition.h"

struct memory { struct run_known *known; }; /* zero: a run never heard of */
/* What is known, to be handed to run_transitions; it borrows the block until the next memory_keep. */
struct run_known memory_recall(const struct memory *m);
/* Copies all of known, which may borrow what was recalled. */
void memory_keep(struct memory *m, const struct run_known *known);
void memory_fini(struct memory *m);
#endif
