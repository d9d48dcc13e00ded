/* SPDX-License-Identifier: ISC */
/*
 * judge -- what a session with a host of the plan proved, and what follows.
 *
 * delivery/secure says what must be proved, delivery/verify reads off the
 * connection what was, and here the two are compared: one place decides that a
 * message may go on.  The sentence of a refusal names the rule and the host.
 */
#ifndef DELIVERY_JUDGE_H
#define DELIVERY_JUDGE_H

#include "delivery/plan.h"

enum { FOUND_TEXT = 200 };

/* What a session with one address of a host has found so far. */
struct secure_found {
	bool starttls;                  /* EHLO named it */
	bool handshake;                 /* TLS stands; else it was refused or broke off */
	bool clear_retry;               /* this is the retry in clear text: nothing was tried */
	bool certificate;               /* the server showed one */
	bool resumed;                   /* a session of the same key, proved when it was made */
	int  verify;                    /* X509_V_ERR_*; 0: good */
	bool matched;                   /* a TLSA record did … */
	int  depth;                     /* … a certificate at this depth: 0 is the host's own */
	bool greeted;                   /* EHLO inside TLS was answered … */
	bool requiretls;                /* … and named REQUIRETLS */
	/* For people, harmless to show: */
	char seen[FOUND_TEXT];          /* of a certificate that failed: names, last day, issuer */
	char broke[FOUND_TEXT];         /* how the handshake broke off: alert, version, … */
};

enum secure_verdict {
	SECURE_GO_ON,
	SECURE_CLEAR_RETRY,             /* once, on a new connection to the same address */
	SECURE_NEXT_HOST,               /* QUIT and say no more */
};

/* How a delivery was protected, for log and Received (Postfix's words). */
enum secure_trust { TRUST_NONE, TRUST_ANONYMOUS, TRUST_UNTRUSTED, TRUST_TRUSTED, TRUST_VERIFIED };

struct secure_judgement {
	enum secure_verdict verdict;
	enum secure_trust   trust;      /* TRUST_VERIFIED: as the policy demands */
	bool                counted;    /* a session for TLSRPT; count it once, with … */
	enum tlsrpt_result  result;     /* … SUCCESS or the failure, also when the mail goes on */
	const char         *reason;     /* "failure-reason-code"; may be empty */
	struct status       why;        /* of SECURE_NEXT_HOST; its text lies in the arena */
};

/*
 * Asked when EHLO showed no STARTTLS, when STARTTLS was refused, when the handshake is
 * over or hangs, and again after EHLO inside TLS.  Connections that break before are not
 * its business.
 */
void secure_judge(struct secure_judgement *, const struct plan_host *, const struct secure_found *,
    struct arena *);

const char *secure_trust_name(enum secure_trust);       /* "none" … "verified" */

#endif
