/* SPDX-License-Identifier: ISC */
/*
 * seal -- add our set to the Authenticated Received Chain (RFC 8617 5.1).
 *
 * The last thing that happens to a message before it leaves: after all changes
 * and after DKIM.  What is sealed about the past is what was seen at arrival.
 * The same input gives the same bytes.
 */
#ifndef ARC_SEAL_H
#define ARC_SEAL_H

#include "arc/chain.h"
#include "auth/sign.h"

enum arc_sealing {
	ARC_SEALED,
	ARC_ENDED,                      /* the newest seal says cv=fail: add nothing (5.1) */
	ARC_FULL,                       /* there are 50 sets */
	ARC_BROKEN,                     /* could not be done; *why says why */
};

struct arc_arrival {
	enum arc_result result;         /* of the chain, when the message came */
	struct slice    results;        /* what stands behind "ARC-Authentication-Results: i=N;" */
};

/*
 * The three fields of the new set, each with its CRLF, in the order in which they
 * go to the top of the header: ARC-Seal, ARC-Message-Signature,
 * ARC-Authentication-Results (RFC 8617 4.2.1 leaves it open; so every new field
 * stands above what it covers).  Only ARC_SEALED adds to the buf.
 *
 * `header` is the header as it leaves, without the new fields, with all sets
 * that came; body_hash is that of the body as it leaves, relaxed and whole.  The
 * key is an RSA key: receivers may not know others (RFC 8617 4.1.2 refers to
 * RFC 8301; RFC 8463 came too late for most).  `now` is in milliseconds.
 *
 * cv= is the result at arrival.  A chain that passed then but does not stand in
 * this header whole any more is sealed as failed; a set that says fail covers
 * itself only (5.1.2).  Where something on the way took all sets away, ours is
 * the first, and the first says none, or fail where the chain had failed.
 */
enum arc_sealing arc_seal(const struct signer *, const struct header *header,
    const unsigned char body_hash[SHA256_BYTES], const struct arc_arrival *, int64_t now,
    struct buf *to, struct error *why);

#endif
