/* SPDX-License-Identifier: ISC */
/*
 * trust -- whose word about earlier hops we take.
 *
 * A valid chain says that nobody changed what the sealers wrote; it does not say
 * that any of it is true (RFC 8617 9.4): any sealer can write anything.  So a
 * chain counts only as far as its newest sets, in one unbroken run from the last
 * hop back, are sealed by domains that the administrator named.  The oldest of
 * them saw the message before the others did, and its results are believed.
 * Reading them is left to the caller (auth/authres.h).
 */
#ifndef ARC_TRUST_H
#define ARC_TRUST_H

#include "arc/chain.h"
#include "conf/trust.h"

struct arc_trust {
	bool     valid;                 /* the chain passes: one fact */
	unsigned trusted;               /* so many of the newest sets: the other fact */
	const struct arc_set *believed; /* NULL unless both hold */
	/* What would be believed if every sealer were trusted; NULL without a valid chain. */
	const struct arc_set *untrusting;
};

/*
 * A set is trusted when its seal is of a domain (and selector) that the
 * administrator named, and its message signature too.  With NULL nobody is
 * trusted.  The chain must be concluded.
 */
struct arc_trust arc_trust(const struct arc *, const struct trust *);

#endif
