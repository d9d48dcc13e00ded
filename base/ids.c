/* SPDX-License-Identifier: ISC */
#include "base/bug.h"
#include "base/ids.h"

#define EPOCH INT64_C(1577836800000)    /* 2020-01-01 */

enum { COUNT_BITS = 14, SLOT_BITS = 5 };

uint64_t
ids_next(struct ids *ids)
{
	int64_t now = clock_now(ids->clock) - EPOCH;

	bug_if(ids->slot >= ID_SLOTS);
	if (now < 1)
		now = 1;
	if (now > ids->last) {
		ids->last = now;
		ids->count = 0;
	} else if (++ids->count >> COUNT_BITS) {        /* a very full millisecond */
		ids->last++;
		ids->count = 0;
	}
	return (uint64_t)ids->last << (COUNT_BITS + SLOT_BITS) |
	    (uint64_t)ids->slot << COUNT_BITS | ids->count;
}

int64_t
ids_time(uint64_t id)
{
	return (int64_t)(id >> (COUNT_BITS + SLOT_BITS)) + EPOCH;
}
