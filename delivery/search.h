/* SPDX-License-Identifier: ISC */
/*
 * search -- how long one attempt looks for a host that takes its message.
 *
 * A domain may name twenty hosts with ten addresses each, and each of them may keep us
 * waiting for as long as RFC 5321 4.5.3.2 wants it to.  So an attempt connects to some
 * addresses only, is put off by a few hosts that are there, and begins no other one
 * after a while.  A host that it began with in time still has the minutes of the RFC,
 * until the attempt as a whole has had its own.
 *
 * What is left over comes first at the next attempt for that destination.  Where that
 * begins is a memory of one process, with LEFT_OFF_MOST places: a destination has one
 * place, and takes it from whoever had it before; the only loss is that an attempt
 * begins with the best host.  Places are counted, not named: with the place goes the
 * seed that put equal hosts in order (delivery/mx), so that it means the same host
 * again.  Several addresses of one host come as the DNS gives them.  Pure.
 */
#ifndef DELIVERY_SEARCH_H
#define DELIVERY_SEARCH_H

#include "base/clock.h"
#include "base/slice.h"

enum {
	SEARCH_ADDRESSES_MOST = 10,     /* connected to, or in vain */
	SEARCH_PUT_OFF_MOST = 3,        /* hosts that took the connection, and not the message */
	SEARCH_MS = 7 * MINUTE,         /* then no other one is begun */
	ATTEMPT_MS = 20 * MINUTE,       /* then none has taken it, unless its text is under way */
	LEFT_OFF_MOST = 1024,
};

struct search {
	int64_t  begun;                 /* ticks */
	unsigned addresses, put_off;
};

/* May one more address be tried? */
bool search_goes_on(const struct search *, int64_t now);

struct left_off {                       /* { 0 } is a valid empty one */
	struct left_place {
		uint64_t destination, seed;
		unsigned at;
	} places[LEFT_OFF_MOST];
};

/* With which of `count` places an attempt begins; 0 for a stranger. */
size_t left_off_at(const struct left_off *, struct slice destination, size_t count);
/* The seed of the attempt that stopped there; for a stranger a fresh one. */
uint64_t left_off_seed(const struct left_off *, struct slice destination, uint64_t fresh);
/* The next one begins there; 0: with the first, as ever. */
void   left_off_note(struct left_off *, struct slice destination, size_t at, uint64_t seed);

#endif
