/* SPDX-License-Identifier: ISC */
/*
 * dmarc -- does the Author Domain stand behind this message (RFC 9989)?
 *
 * Policy discovery and alignment by DNS Tree Walks (4.10), one for the Author
 * Domain and one for each identifier that could be aligned with it.  All names
 * of a walk, at most eight, are asked at once, and all walks beside each other:
 * a message costs one round trip, rarely two.  What cannot matter is not asked:
 * the same name is aligned without a walk (4.10.2), a name in another tree is
 * not, and whether the Author Domain exists is of interest to np= alone.
 *
 * What came out is evidence.  What we do about it is auth/policy.
 */
#ifndef AUTH_DMARC_H
#define AUTH_DMARC_H

#include "auth/authres.h"
#include "auth/dmarc_record.h"
#include "auth/from.h"
#include "dns/facts.h"

enum dmarc_result { DMARC_NONE, DMARC_PASS, DMARC_FAIL, DMARC_TEMPERROR, DMARC_PERMERROR };

/* What SPF or DKIM said of an identifier. */
enum dmarc_evidence {
	DMARC_UNPROVEN,                 /* fail, none, neutral, permerror, …: it proves nothing */
	DMARC_PROVEN,                   /* pass */
	DMARC_UNSURE,                   /* temperror */
};

struct dmarc_identity {
	struct slice        domain;     /* normal (mail/domain.h) */
	enum dmarc_evidence evidence;
	bool                ignored;    /* a DKIM pass that does not count: policy, l= */
};

enum {
	DMARC_STEPS      = 8,           /* queries of one walk: RFC 9989 4.10 */
	DMARC_SIGNATURES = 10,          /* DKIM identities looked at: as many as auth/dkim verifies */
	/* Walks from the author, the sender and the signers; whether the author exists. */
	DMARC_QUESTIONS  = DMARC_STEPS * (2 + DMARC_SIGNATURES) + 1,
};

struct dmarc_question {
	struct from                  author;
	/*
	 * SPF of MAIL FROM only (4.4.2).  With a null reverse-path its identity is
	 * postmaster at the HELO name (RFC 7208 2.4), and that is the domain here.
	 */
	struct dmarc_identity        spf;
	const struct dmarc_identity *dkim;
	size_t                       dkim_count;
};

/* --- how it came out ------------------------------------------------------ */

struct dmarc_step {
	struct slice name;              /* "_dmarc.example.org" */
	enum answer  answer;
	unsigned     records;           /* DMARC records there; only one counts */
	struct slice text;              /* of that one */
};

struct dmarc_walk {
	struct slice      start;
	struct dmarc_step steps[DMARC_STEPS];
	size_t            count;        /* up to where the walk stopped; 0: there was no walk */
	struct slice      org;          /* Organizational Domain; empty when it was not found out */
	bool              broken;       /* a DNS error on the way */
	bool              done;         /* it has come to its end */
};

/* Of an identity that proves nothing only the same name is told. */
enum dmarc_alignment { DMARC_UNALIGNED, DMARC_RELAXED, DMARC_STRICT };

struct dmarc_identifier {
	struct dmarc_identity identity;
	struct dmarc_walk     walk;
	enum dmarc_alignment  alignment;
	bool                  unsure;   /* a DNS error hides whether it proves anything here */
};

struct dmarc {
	bool                    begun, concluded;
	enum dmarc_result       result;
	struct slice            why;            /* one sentence */
	struct slice            author;         /* Author Domain; empty: none or several */

	/* The policy; only when policy_domain is not empty. */
	struct slice            policy_domain;  /* where the applied record stands */
	struct slice            org_domain;     /* of the author; empty: not found out */
	struct dmarc_record     record;
	const char             *tag;            /* which one applies: "p", "sp", "np" */
	enum dmarc_policy       requested;      /* what it says */
	enum dmarc_policy       policy;         /* the same after t=y (4.7) */

	struct dmarc_walk       walk;           /* of the Author Domain */
	struct dmarc_identifier spf;
	struct dmarc_identifier dkim[DMARC_SIGNATURES];         /* in the order of the question */
	size_t                  dkim_count;
	bool                    spf_aligned, dkim_aligned;      /* proven and aligned */
	unsigned                queries;        /* that this evaluation needed */
};

/*
 * False while facts are missing (HACKING 2).  { 0 } before the first call; the
 * question stays the same: records that a walk has read are not read again.
 */
bool dmarc_evaluate(struct dmarc *, const struct dmarc_question *, struct facts *);

/*
 * Behind it: does the Author Domain stand behind this message?  With a policy that is
 * a pass; without one, or when it could not be looked up, what passed must be of the
 * Author Domain itself or of one above it: that is known without asking.
 */
bool dmarc_author_proved(const struct dmarc *);

const char *dmarc_result_name(enum dmarc_result);       /* as in RFC 8601 2.7 */

/*
 * "dmarc=fail header.from=… policy.dmarc=…" (RFC 9989 9.1): the policy to be
 * applied, which is the one after sp=, np= and t=.
 */
void dmarc_authres(const struct dmarc *, struct authres *);

#endif
