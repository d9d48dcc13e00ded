/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "smtpd/inside.h"

/*
 * Clients by a hash of their address, several to a place when there are many:
 * bounded memory, and who shares a place with a flood shares its fate for a while.
 */
enum { PLACES = 4096 };

struct span_count {
	int64_t  began;                 /* ms; of the span that is counted */
	unsigned count;
};

struct rates {
	struct span_count places[PLACES];
};

struct rates *
rates_new(void)
{
	return must_alloc(sizeof(struct rates));
}

void
rates_free(struct rates *r)
{
	free(r);
}

bool
rates_allow(struct rates *r, struct ip ip, struct rate rate, int64_t now)
{
	struct span_count *p;

	if (rate.count == 0)
		return true;
	p = &r->places[slice_hash(slice_of(ip.bytes, ip.n)) % PLACES];
	if (now - p->began >= rate.per) {
		p->began = now;
		p->count = 0;
	}
	return p->count < rate.count && ++p->count > 0;
}
