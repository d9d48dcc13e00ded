/* SPDX-License-Identifier: ISC */
/*
 * answer -- what a policy host said, and whether it is a policy (RFC 8461 3.3).
 *
 * The shell fetches https://mta-sts.DOMAIN/.well-known/mta-sts.txt, follows no
 * redirect, proves the host's certificate for that one name by its SAN, stops
 * at the limits below, and decides nothing: it writes down what happened.  Only
 * a 200 of type text/plain that holds a valid policy is one.
 */
#ifndef STS_ANSWER_H
#define STS_ANSWER_H

#include "base/clock.h"
#include "sts/policy.h"
#include "sts/result.h"

enum { STS_FETCH_TIME = 30 * SECOND };  /* for all of it; the RFC suggests a minute */

enum sts_transport {
	STS_ANSWERED,                   /* an HTTP response came, to its end */
	STS_UNREACHABLE,                /* no address, refused, reset, no TLS */
	STS_TIMEOUT,
	STS_TOO_BIG,                    /* more than STS_POLICY_MOST; reading was stopped */
	STS_UNTRUSTED,                  /* the certificate: `verify` says why */
};

struct sts_answer {
	enum sts_transport transport;
	int                verify;      /* X509_V_ERR_*, of STS_UNTRUSTED */
	unsigned           status;      /* of HTTP */
	struct slice       type;        /* Content-Type; empty: none */
	struct slice       body;
};

/* A fetch that is over. */
struct sts_fetch {
	enum tlsrpt_result result;      /* TLSRPT_SUCCESS: `policy` is one */
	struct slice       reason;      /* of a failure: short, for log and report */
	struct sts_policy  policy;
};

void sts_answer_judge(struct sts_fetch *, const struct sts_answer *, struct arena *);

#endif
