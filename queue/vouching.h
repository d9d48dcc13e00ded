/* SPDX-License-Identifier: ISC */
/*
 * vouching -- how often the word of a sealer of ARC sets would have changed what
 * became of a message, and how often it has: for whoever thinks about whom to
 * trust (`arc { trust … }`), also while nobody is trusted.
 *
 * A row for each sealer, beside mail (queue/state.h).  Strangers choose the names:
 * there are VOUCHING_MOST rows at most, and for a new one that goes which has
 * counted least.  A sealer that is not heard of for VOUCHING_KEPT is forgotten.
 * It is no promise: a crash may cost the last counts.
 */
#ifndef QUEUE_VOUCHING_H
#define QUEUE_VOUCHING_H

#include "base/kv.h"

enum { VOUCHING_MOST = 1000 };
#define VOUCHING_KEPT (90 * DAY)

enum vouched {
	VOUCHED_UNTRUSTED,              /* the message would have fared otherwise, were it believed */
	VOUCHED_BELIEVED,               /* a DMARC failure was overridden */
	VOUCHED_WORDS,
};

struct voucher {
	struct slice sealer;            /* a domain */
	uint64_t     count[VOUCHED_WORDS];
	int64_t      last;              /* ms: when it was counted last */
};

/* All rows, until `each` returns false. `each` may not call kv. */
bool vouching_each(struct kv *, bool (*each)(void *arg, const struct voucher *), void *arg,
    struct error *why);
/* Count one more, at `now` (ms). Not committed. */
bool vouching_count(struct kv *, enum vouched, struct slice sealer, int64_t now, struct error *why);

#endif
