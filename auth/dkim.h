/* SPDX-License-Identifier: ISC */
/*
 * dkim -- the DKIM signatures of one message (RFC 6376, 8301, 8463, 8616).
 *
 * dkim_begin() reads the header and says which body hashes are wanted; the body
 * flows into them; dkim_evaluate() asks for the keys and concludes:
 *
 *     struct bodies bodies = { 0 };
 *     dkim_begin(&dkim, &header, from.domain, &bodies, arena);
 *     … bodies_update(&bodies, piece) …, bodies_finish(&bodies);
 *     struct verifier v = { .bodies = &bodies, .keys = keys, .facts = &facts, .now = now };
 *     while (!dkim_evaluate(&dkim, &v))
 *             … answer the questions …
 *
 * Header and arena must outlive the struct; nothing is to be freed.
 */
#ifndef AUTH_DKIM_H
#define AUTH_DKIM_H

#include "auth/signature.h"

/*
 * Of one message that many are checked: whoever brings the message can put any
 * number of his own above the author's.  Those come first whose d= is the Author
 * Domain, then those that share most labels with it (what is aligned shares the
 * Organizational Domain), then from the top.  Bounds on bodies and work are spent
 * in that order, too.
 */
enum {
	DKIM_SIGNATURES = 10,
	DKIM_FOREIGN = 32,              /* d= compared that are not ASCII */
	DKIM_QUESTIONS = DKIM_SIGNATURES,
};

enum dkim_result {                      /* RFC 8601 2.7.1 */
	DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_POLICY, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR,
};

struct dkim {
	const struct header *header;
	struct signature    *signatures;        /* from the top of the header down */
	size_t               count;
	size_t               left_out;          /* more DKIM-Signature fields, not looked at */
	unsigned             turns[DKIM_SIGNATURES];    /* in which order they are verified */
	struct field_order   order;
};

/* The author's domain is normal, or empty.  False when the arena is full. */
bool dkim_begin(struct dkim *, const struct header *, struct slice author, struct bodies *,
    struct arena *);

/*
 * True once all signatures are concluded; each of them is verified once.  The
 * bodies are those of dkim_begin(), finished.
 */
bool dkim_evaluate(struct dkim *, struct verifier *);

/*
 * What a signature is worth.  A good one whose l= leaves out part of the body
 * is DKIM_POLICY: anybody may have added what follows (RFC 6376 8.2).  A failed
 * one whose key is `testing` is no worse than none (RFC 6376 3.6.1).  The result
 * of a message without signatures is DKIM_NONE, and nobody asks this for it.
 */
enum dkim_result dkim_result(const struct signature *);
const char *dkim_result_name(enum dkim_result);
/* One clause for people; empty when it passed. */
struct slice dkim_reason(const struct signature *);

#endif
