/* SPDX-License-Identifier: ISC */
#include <time.h>

#include "base/bug.h"
#include "base/clock.h"

static int64_t
read_ns(clockid_t which)
{
	struct timespec t;

	bug_if(clock_gettime(which, &t) == -1);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t
clock_now(const struct clock *c)
{
	return c->is_virtual ? c->now : read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t
clock_ticks(const struct clock *c)
{
	return c->is_virtual ? c->ticks : read_ns(CLOCK_MONOTONIC) / 1000000;
}

struct clock
clock_virtual(int64_t now)
{
	return (struct clock){ .is_virtual = true, .now = now };
}

void
clock_move(struct clock *c, int64_t ms)
{
	bug_if(!c->is_virtual || ms < 0);
	c->now += ms;
	c->ticks += ms;
}

int64_t
clock_micros(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000;
}
