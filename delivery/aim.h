/* SPDX-License-Identifier: ISC */
/*
 * aim -- from a destination and the configuration to the question that
 * delivery/secure answers.
 *
 * Deliverer and `chainmail route` both come by here: what is shown is what is
 * done.  Everything a question points to lies in the conf or in the arena.
 */
#ifndef DELIVERY_AIM_H
#define DELIVERY_AIM_H

#include "conf/route.h"
#include "delivery/secure.h"
#include "net/peer.h"

struct aim {
	const struct conf *conf;
	const struct ip   *own;         /* addresses we take mail on */
	size_t             own_count;
	bool               local_allowed;       /* to loopback: we are on no network ourselves */
};

/* The arena keeps what the aim needs. */
void aim_begin(struct aim *, const struct conf *, struct arena *);

/*
 * Mail for a remote domain, as its `to` block wants it.  False: to a socket of
 * this machine, where nothing is looked up and nothing must be proved: the plan
 * is there at once (RFC 2033 2).
 */
bool aim_at_domain(const struct aim *, struct slice domain, struct rng, struct arena *,
    struct secure_question *, struct plan *);
/* A host named in the configuration, by name or by address; false as above. */
bool aim_at_endpoint(const struct endpoint *, struct arena *, struct secure_question *, struct plan *);

/* The connection that a plan wants: its host, one of its addresses. */
struct peer aim_peer(const struct plan *, size_t host, size_t address);
/* The address the configuration wants us to come from, or NULL; to loopback only one of its own. */
const struct ip *aim_source(const struct aim *, const struct peer *);

#endif
