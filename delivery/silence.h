/* SPDX-License-Identifier: ISC */
/*
 * silence -- addresses where nobody answered a moment ago, or somebody fell silent in the
 * middle (RFC 5321 4.5.4.1: what is known of a host that cannot be reached serves all
 * messages for it).
 *
 * A deliverer remembers an address with its port for some minutes, so that a hundred
 * domains with the same dead host do not make a hundred attempts to reach it.  It is a
 * memory of one process, with SILENCE_MOST places: an address has one place, and takes
 * it from whoever had it before; the only loss is an attempt.  Pure.
 */
#ifndef DELIVERY_SILENCE_H
#define DELIVERY_SILENCE_H

#include "net/peer.h"

enum { SILENCE_MOST = 1024 };

struct silence {                        /* { 0 } is a valid empty one */
	struct silent_place {
		struct ip ip;
		uint16_t  port;
		int64_t   since, until; /* ticks */
	} places[SILENCE_MOST];
};

/* Nobody answered there; sockets of this machine are not remembered. */
void silence_note(struct silence *, const struct peer *, int64_t now, int64_t until);
/* For how long nobody has been asked there, in ms; -1: it may be tried. */
int64_t silence_age(const struct silence *, const struct peer *, int64_t now);
/* Somebody is there. */
void silence_over(struct silence *, const struct peer *);
/* Everybody is to be tried. */
void silence_forget(struct silence *);

#endif
