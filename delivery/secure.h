/* SPDX-License-Identifier: ISC */
/*
 * secure -- what must TLS prove before a message goes to a host?  One answer,
 * from everything that has a say in it.
 *
 * Hosts are tried in the order of their MX preference; security never changes
 * the order (RFC 7672 2.2.1).  For each host the first rule that fits decides:
 *
 *  1. Its addresses cannot be looked up: not now.  It has none: not at all.
 *  2. A look-up that DANE needs has failed or is bogus: not now, whatever else
 *     holds.  "Could not find out" is never taken for "has no DANE".
 *  3. It has usable TLSA records and all that leads to them is signed: DANE.
 *     MTA-STS is not asked, and never rescues what DANE refuses (RFC 8461 2).
 *  4. The domain's MTA-STS policy is in mode enforce: the policy must list the
 *     host, and a trusted authority's certificate must name it.
 *  5. Its TLSA records are signed but unusable: TLS, whatever the certificate.
 *  6. Mode testing: as 7, but what enforce would have said is reported.
 *  7. Otherwise: TLS when it is offered, clear text when it is not.
 *
 * An unsigned MX answer rules DANE out: whoever can forge it picks the host, and
 * the host's own records prove nothing about the domain (RFC 7672 2.2.1).
 * "TLS-Required: No" makes 2 to 6 a matter of reporting for that one message.
 * `tls require …` of the configuration comes on top and holds for it as well.
 * REQUIRETLS comes on top of that: the way to the host and the host itself must
 * be proved, or the message goes back (RFC 8689 4.2.1).
 *
 * A host that fails is left before MAIL, for the next one.  When none is left
 * the message waits: policies are repaired, so refusals are 4yz and only the
 * queue's patience ends them.  Each attempt asks everything anew; that is the
 * look at the policy's id which RFC 8461 5 wants before giving up.
 */
#ifndef DELIVERY_SECURE_H
#define DELIVERY_SECURE_H

#include "delivery/plan.h"

enum secure_floor {                     /* `tls …` of a destination */
	FLOOR_OPPORTUNISTIC,            /* what the destination publishes decides */
	FLOOR_ENCRYPT,                  /* no clear text */
	FLOOR_VERIFIED,                 /* DANE, else a certificate for the host or the domain */
	FLOOR_DANE,
	FLOOR_STS,                      /* under an MTA-STS policy, even one in mode testing */
	FLOOR_DANE_OR_STS,
};

enum message_tls {
	MESSAGE_ORDINARY,
	MESSAGE_REQUIRETLS,             /* MAIL FROM … REQUIRETLS; outranks the header field */
	MESSAGE_TLS_OPTIONAL,           /* the header field "TLS-Required: No" */
};

struct secure_question {
	struct mx_question where;
	uint16_t           port;        /* 0: 25 */
	enum secure_floor  floor;
	bool               dane_off, sts_off;
	const struct sts_policy *sts;   /* that applies now to secure_policy_domain(); NULL: none */
	enum message_tls   message;
	bool               null_sender; /* bounces are not held up by REQUIRETLS (RFC 8689 5) */
};

/* The domain whose MTA-STS policy counts: none for an address literal (RFC 8461 3.1). */
struct slice secure_policy_domain(const struct mx_question *);

/*
 * False until the DNS has answered; asks in at most three rounds.  A host that
 * lies in the domain of a signed MX answer is asked for its TLSA records
 * together with its addresses.
 */
bool secure_plan(struct plan *, const struct secure_question *, struct facts *, struct arena *);

/* How an attempt ends that no host has taken: what may still change wins, then what came first. */
struct status secure_worse(struct status so_far, struct status next);

#endif
