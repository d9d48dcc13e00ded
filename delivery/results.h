/* SPDX-License-Identifier: ISC */
/*
 * results -- what became of orders, kept for a queue that did not hear it.
 *
 * The queue role may die between reading a result and writing it down.  The
 * message would be delivered again; so each result is kept for a while, and a
 * new queue is told of all that are kept.  What it knows already it ignores.
 *
 * A result that nobody could be told (there was no queue) is kept whole until
 * it is told.  Of one that was told only what is final is kept, for ten
 * seconds: an attempt that is to be repeated may as well be repeated at once.
 * Beyond a ceiling of bytes the oldest are forgotten; their messages may
 * arrive twice, none is lost.
 */
#ifndef DELIVERY_RESULTS_H
#define DELIVERY_RESULTS_H

#include "queue/order.h"

enum { RESULT_KEPT_MS = 10000, RESULTS_MOST = 64 << 20 };

struct kept_result;

struct results {
	struct kept_result *first, **last;
	size_t              bytes;
};

void results_begin(struct results *);
void results_end(struct results *);

/* `told`: a queue was there, but it may not have finished with it.  `now` in ms. */
void results_keep(struct results *, int64_t now, bool told, const struct order_result *);
/* Each of them, packed, oldest first. */
void results_tell(struct results *, int64_t now, void (*tell)(void *arg, struct slice packed),
    void *arg);

/* So long a new queue may still need to be told, in ms; 0: of nothing any more. */
int64_t results_wait(struct results *, int64_t now);

#endif
