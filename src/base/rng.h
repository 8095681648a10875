/* rng: randomness that can be replayed from a seed (jitter, property tests). Not for secrets. */
#ifndef BASE_RNG_H
#define BASE_RNG_H
#include <stddef.h>
#include <stdint.h>

struct rng { uint64_t state; };

void rng_seed(struct rng *r, uint64_t seed);
void rng_seed_system(struct rng *r); /* from the kernel */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n); n > 0 */
/* Bytes from the kernel, fit for secrets. Aborts when the kernel has none. */
void rng_secure(void *p, size_t n);
#endif
