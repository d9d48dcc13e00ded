/* SPDX-License-Identifier: ISC */
/*
 * verdict -- everything that SPF, DKIM, DMARC, ARC and iprev found out about one
 * message, and what we do about it.
 *
 *     verdict_begin()      when the header is there: which body hashes are wanted
 *     verdict_evaluate()   when the body has passed: until all methods have concluded
 *     verdict_decide()     local policy, with the trusted sealers
 *     verdict_results()    as Authentication-Results
 *     verdict_record()     what the queue needs to seal the message when it leaves
 *
 * Pure over facts.  All methods run beside each other; each is concluded once.
 * Each is a part of its own (dns/facts.h) with as many questions as it can come
 * to by its own limits, and DKIM and ARC have a budget of work each: nobody makes
 * a result uncertain by having us ask or do much for another one.  So the verdict
 * does not depend on the order in which the answers come.
 * The struct is large and lives in the transaction's arena.
 */
#ifndef ARC_VERDICT_H
#define ARC_VERDICT_H

#include "arc/trust.h"
#include "auth/dkim.h"
#include "auth/dmarc.h"
#include "auth/iprev.h"
#include "auth/policy.h"
#include "auth/spf.h"
#include "conf/trust.h"
#include "mail/address.h"

/* What is known beside the message. */
struct verdict_question {
	struct ip      client;          /* n == 0: not from a network; no SPF, no iprev */
	struct slice   helo;
	struct address sender;          /* empty: the null reverse-path */
	struct slice   hostname;        /* ours */
	int64_t        now;             /* ms */
};

struct verdict {
	struct arena        *arena;
	const struct header *header;
	struct from          from;
	struct spf           helo, mail;        /* of the HELO name, of MAIL FROM */
	bool                 spf_asked;         /* there is a client to ask about */
	struct iprev         iprev;
	struct dkim          dkim;
	bool                 dkim_known;        /* all signatures are concluded */
	struct arc           arc;
	struct verifier      verifier;
	struct dmarc         dmarc;

	/* behind verdict_decide() */
	struct arc_trust     trust;
	struct slice         voucher;           /* a trusted sealer who saw this author proved, or empty */
	struct slice         would_vouch;       /* the same, if everybody were trusted */
	struct decision      decision;
	bool                 trust_matters;     /* it would be another one if everybody were trusted */
};

/* False when the arena is full: a 452. */
bool verdict_begin(struct verdict *, const struct header *, struct bodies *, struct arena *);

/* False while facts are missing.  The bodies are finished, or there are none to come. */
bool verdict_evaluate(struct verdict *, const struct verdict_question *, const struct bodies *,
    struct keys *, struct facts *);

struct verdict_terms {
	const struct policy *policy;
	const struct trust  *trust;             /* sealers whose word counts; NULL: nobody's */
	bool                 will_be_sealed;
	bool                 deferred_before;
};

void verdict_decide(struct verdict *, const struct verdict_question *, const struct verdict_terms *);

/* All results, in the order of B7.6; `authserv_id` is ours. */
void verdict_results(const struct verdict *, const struct verdict_question *, struct slice authserv_id,
    struct authres *);

/* --- what stays with the message (envelope.verdict) ------------------------------ */

struct verdict_record {
	enum arc_result arc;            /* at arrival: cv= of a seal of ours */
	unsigned        sets;
	enum dmarc_policy asked;        /* p= that applies, after t= */
	enum policy_action action;
	bool            proved;         /* the author: by what passed, or one of our own clients sent it */
	struct slice    author;         /* the Author Domain, or empty: none or several, never proved */
	struct slice    org;            /* its Organizational Domain, or empty: not found out */
	struct slice    results;        /* payload of Authentication-Results, our id in front */
};

struct verdict_record verdict_record(const struct verdict *, struct slice results);
/* What an own message has: nobody is to be proved. */
struct verdict_record verdict_record_own(void);
/*
 * Nothing proved the author, and `own` could be aligned with him (RFC 9989 4.4): a
 * signature by that domain of ours, or an envelope sender in it, would make the next
 * receiver believe that the author wrote this.  Where no author can be read, the next
 * reader may find any there.
 */
bool verdict_misuses(const struct verdict_record *, struct slice own);
void verdict_pack(const struct verdict_record *, struct buf *);
/* Slices point into the bytes. False: no record. */
bool verdict_unpack(struct verdict_record *, struct slice);

/*
 * Results of ours that stand on a message when it comes by again: do they name this
 * Author Domain, and nothing that proved it?
 */
bool verdict_was_unproved(const struct authres *, struct slice author);

#endif
