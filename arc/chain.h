/* SPDX-License-Identifier: ISC */
/*
 * chain -- the Authenticated Received Chain of one message, validated
 * (RFC 8617 5.2).
 *
 * It goes like auth/dkim.h: arc_begin() reads the header and says which body
 * hashes are wanted, arc_evaluate() asks for the keys and concludes.  A chain
 * whose structure is wrong has failed already behind arc_begin().
 *
 * RFC 8617 5.2: a failed chain is worth as much as none, no more and no less.
 * Every set keeps its own facts, for people and for /trust.
 *
 * Header and arena must outlive the struct; nothing is to be freed.
 */
#ifndef ARC_CHAIN_H
#define ARC_CHAIN_H

#include "auth/signature.h"

enum {
	ARC_SETS = 50,                  /* RFC 8617 4.2.1 */
	ARC_OLDER = 10,                 /* older AMS looked at for oldest-pass */
	ARC_QUESTIONS = ARC_SETS + 1 + ARC_OLDER,       /* keys: of every seal, and of those AMS */
};

enum arc_result { ARC_NONE, ARC_PASS, ARC_FAIL };       /* RFC 8617 4.4 */

const char *arc_result_name(enum arc_result);           /* "none", "pass", "fail", as in cv= */

/* One set: what one hop says it saw, its signature of the message, its seal. */
struct arc_set {
	unsigned            instance;
	const struct field *aar;        /* ARC-Authentication-Results */
	struct slice        results;    /* what stands in it behind "i=N;", as in auth/authres.h */
	struct signature    ams;        /* ARC-Message-Signature; no field: there is none */
	struct signature    seal;       /* ARC-Seal; the same */
};

struct arc {
	const struct header *header;
	struct arena        *arena;
	bool            concluded;
	enum arc_result result;
	struct slice    reason;         /* of a failed chain: one clause for people */
	bool            temporary;      /* it failed only because the DNS did not answer */
	unsigned        count;          /* the highest instance, N */
	struct arc_set *sets[ARC_SETS]; /* by instance - 1; of a broken chain some are NULL */
	bool            ended;          /* the newest seal says cv=fail: nothing more may be added */
	bool            full;           /* there are 50 sets, or more: the same */
	/*
	 * The oldest AMS down to which all verify, 0: all of them (RFC 8617 5.2, 5).
	 * Of the older ones ARC_OLDER are looked at.
	 */
	unsigned        oldest_pass;
	struct field_order order;
};

/* False when the arena is full. The bodies may be NULL when only the sets are of interest. */
bool arc_begin(struct arc *, const struct header *, struct bodies *, struct arena *);

/* True once concluded; every signature is verified once.  The bodies are finished. */
bool arc_evaluate(struct arc *, struct verifier *);

/*
 * What a seal is made over (RFC 8617 5.1.1): all fields of the sets 1 to `sets`,
 * in that order, each set as AAR, AMS, AS.
 */
void arc_seal_text(const struct arc *, unsigned sets, struct signed_text *);

#endif
