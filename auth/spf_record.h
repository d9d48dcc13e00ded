/* SPDX-License-Identifier: ISC */
/*
 * spf_record -- the syntax of an SPF record (RFC 7208 4.5, 4.6.1, 5, 6, 12).
 *
 * A record is read term by term, without memory of its own: once to check all
 * of it (RFC 7208 4.6: an error anywhere is an error everywhere), then again
 * by whoever evaluates it.  Slices point into the record.
 */
#ifndef AUTH_SPF_RECORD_H
#define AUTH_SPF_RECORD_H

#include "auth/spf.h"

enum spf_kind {
	TERM_ALL, TERM_INCLUDE, TERM_A, TERM_MX, TERM_PTR, TERM_IP4, TERM_IP6, TERM_EXISTS,
	TERM_REDIRECT, TERM_EXP, TERM_OTHER,            /* modifiers; OTHER is to be ignored */
};

struct spf_term {
	struct slice    text;           /* as it stands in the record */
	size_t          at;             /* the offset of its first byte */
	enum spf_kind   kind;
	enum spf_result result;         /* of a match, by the qualifier */
	struct slice    target;         /* domain-spec, or empty: the current domain */
	struct ip       network;        /* of ip4 and ip6 */
	unsigned        bits4, bits6;   /* of the network to compare, by the client's family */
	struct spf_made *made;          /* for whoever evaluates it; NULL when it was read */
};

struct spf_record {
	struct spf_record *next;        /* for whoever keeps several */
	struct slice    text;
	struct spf_term redirect, exp;  /* no text: the record has none */
	bool            has_all;        /* then redirect is not used (RFC 7208 6.1) */
	struct spf_term *terms;         /* for whoever evaluates it: those that matter to him */
	size_t          count;
};

/* "v=spf1" in any case, and then a space or nothing (RFC 7208 4.5). */
bool spf_record_is(struct slice text);

/*
 * The next term; *at begins with 0.  False at the end, and at a term with a
 * flaw: then *flaw_r is half a sentence, and the term has its text and place.
 */
bool spf_term_next(struct slice record, size_t *at, struct spf_term *, const char **flaw_r);

/* Check the whole.  NULL, or what is wrong with *bad_r. */
const char *spf_record_read(struct slice text, struct spf_record *, struct spf_term *bad_r);

#endif
