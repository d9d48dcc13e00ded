/* SPDX-License-Identifier: ISC */
/*
 * places -- where the addresses of a lab's world really are.
 *
 * In the world hosts listen on 127.0.42.10:25; on the machine that address has
 * a free high port instead, so that no root is needed and two labs do not meet.
 * places_map() goes below all protocols (net/loop.h): names, TLSA records,
 * policies and transcripts still say 25.
 *
 * A world that is open to others has the ports that places_open() names.
 *
 * Whatever nobody has taken leads to a port of the loopback address at which
 * nobody listens: a world has no way out.
 */
#ifndef LAB_PLACES_H
#define LAB_PLACES_H

#include "net/peer.h"

enum { PLACES_MOST = 1024, PLACES_OPEN_MOST = 4 };

/* Somebody who stands before a place for one connection: a fault. */
struct place_guard {
	/* True, with where to go instead, when he takes this connection. */
	bool (*takes)(void *arg, const struct peer *world, struct peer *real_r);
	void  *arg;
};

struct places {
	struct { struct peer world, real; } place[PLACES_MOST];
	size_t count;
	struct place_guard guard;
	struct { uint16_t world, real; } open[PLACES_OPEN_MOST];
	size_t open_count;
};

/* From here on this port of the world is that port of the same address on the machine. */
void places_open(struct places *, uint16_t world, uint16_t real);

/*
 * Listen in the world's place, at a free port of the same address, or an open one. -1 with *why
 * when that cannot be.  The descriptor is the caller's.
 */
int  places_listen(struct places *, const struct peer *world, struct error *why);
/* Nobody is there any more. */
void places_leave(struct places *, const struct peer *world);

/* For loop->map; arg is the places. */
void places_map(void *places, struct peer *);

#endif
