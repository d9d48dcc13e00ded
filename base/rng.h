/* SPDX-License-Identifier: ISC */
/*
 * rng -- choices that need not be secret: the order of equal MX hosts, jitter,
 * boundaries, message identifiers.  The same seed gives the same choices.
 * Keys and tickets come from OpenSSL, never from here.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
	uint64_t state;
};

struct rng rng_seeded(uint64_t seed);
struct rng rng_random(void);                    /* seeded by the kernel */
uint64_t   rng_next(struct rng *);
uint64_t   rng_below(struct rng *, uint64_t n); /* 0 .. n-1; n > 0 */

#endif
