/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/rng.h"

struct rng
rng_seeded(uint64_t seed)
{
	return (struct rng){ seed };
}

/* splitmix64: one addition and a mixing function, every state gives 2^64 values. */
uint64_t
rng_next(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t
rng_below(struct rng *r, uint64_t n)
{
	bug_if(n == 0);
	return (uint64_t)(((unsigned __int128)rng_next(r) * n) >> 64);
}
