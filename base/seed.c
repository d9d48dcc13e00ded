/* SPDX-License-Identifier: ISC */
#include <sys/random.h>

#include "base/bug.h"
#include "base/rng.h"

/* Apart from rng.c: whoever is given a state may choose, and stays pure. */
struct rng
rng_random(void)
{
	struct rng r;

	bug_if(getrandom(&r.state, sizeof r.state, 0) != sizeof r.state);
	return r;
}
