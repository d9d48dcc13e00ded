/* SPDX-License-Identifier: ISC */
/*
 * signer -- DNSSEC for zone files, by ldns-signzone (Debian's ldnsutils).
 *
 * A foreign program signs, so that a mistake of ours cannot hide in both what
 * makes the signatures and what reads them.  The keys are ours (keys.h): one
 * Ed25519 key a zone (RFC 8080), from the seed and the zone's name, so that a
 * world has the same bytes every time.  ldns-keygen could not do that.
 */
#ifndef LAB_SIGNER_H
#define LAB_SIGNER_H

#include "base/buf.h"
#include "base/error.h"

struct zone_key {
	char dnskey[80];                /* the data of its DNSKEY record, as text */
	char ds[100];                   /* of the DS record in the parent (SHA-256, RFC 4509) */
	char private[120];              /* what ldns-signzone reads */
};

/* `name` as in facts.h, empty for the root. */
void zone_key_make(uint64_t seed, struct slice name, struct zone_key *);

enum zone_denial {
	ZONE_NSEC,
	ZONE_NSEC3,                     /* no salt, no further iterations (RFC 9276 3.1) */
	ZONE_NSEC3_OPT_OUT,
};

/* One zone to sign: BASE.zone by BASE.private into BASE.signed. */
struct signing {
	const char      *base;
	enum zone_denial denial;
	int              process;
	bool             done;          /* by sign_zones(): BASE.signed is there */
};

/*
 * Several at a time, as many as there are processors; waits for all.  Times in
 * ms since 1970.  False with the first thing that went wrong; `done` tells
 * which zones are signed all the same.
 */
bool sign_zones(struct signing *, size_t n, int64_t from, int64_t until, struct error *why);

/*
 * A signed zone's text with some signatures broken: one letter of each is
 * another one, and ";bogus" stands behind (records.h), as if the data had been
 * changed after signing.  `breaks` tells which, by owner (as facts have it) and type.
 */
void signatures_break(struct slice text, bool (*breaks)(void *arg, struct slice owner,
    struct slice type), void *arg, struct buf *to);

#endif
