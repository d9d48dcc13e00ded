/* SPDX-License-Identifier: ISC */
/*
 * plan -- where a message may go, in which order, and what TLS must prove there.
 *
 * What delivery/secure decides, the client carries out, `chainmail route`
 * prints, the log names and TLSRPT counts.  A host that must not be used stands
 * in the plan too, with the reason.  Everything lies in the arena, the facts
 * and the policy the plan was made from.
 */
#ifndef DELIVERY_PLAN_H
#define DELIVERY_PLAN_H

#include "base/buf.h"
#include "delivery/tlsa.h"
#include "sts/policy.h"
#include "sts/result.h"

/* What a session must prove, from the least to the most. */
enum need {
	NEED_NOTHING,                   /* TLS when it is offered; clear text is allowed */
	NEED_TLS,                       /* TLS, whatever the certificate */
	NEED_PKIX,                      /* a trusted authority's certificate for one of `names` */
	NEED_DANE,                      /* what `tlsa` says; DANE-TA for one of `names` */
};

/* Which rule had the last word. */
enum plan_policy {
	PLAN_OPPORTUNISTIC,
	PLAN_DANE,
	PLAN_DANE_UNUSABLE,             /* only unusable TLSA records: TLS without proof */
	PLAN_STS_ENFORCE,
	PLAN_STS_TESTING,
	PLAN_ENCRYPT, PLAN_VERIFIED, PLAN_REQUIRE_DANE, PLAN_REQUIRE_STS, PLAN_REQUIRE_DANE_OR_STS,
	PLAN_REQUIRETLS,                /* RFC 8689 */
};

enum {
	PLAN_NAMES_MOST = 4,
	PLAN_STRINGS_MOST = 512,        /* lines of a policy in a report; more are left out */
	PLAN_KEY = 32,
};

struct plan_host {
	struct slice     name;
	uint16_t         preference;
	const struct ip *addresses;
	size_t           address_count;

	bool             go;
	struct status    why_not;       /* of a host not to go to; class 4 or 5 */

	enum need        need;          /* less than this: on to the next host */
	enum need        watch;         /* not less than need: what is looked at and reported */
	struct slice     names[PLAN_NAMES_MOST];        /* reference identifiers, the first first */
	size_t           name_count;
	struct slice     sni;           /* empty: none; of NEED_DANE the TLSA base domain */
	struct tlsa_set  tlsa;
	bool             requiretls;    /* EHLO inside TLS must name REQUIRETLS */

	enum plan_policy policy;        /* the word for the log */
	struct tlsrpt_label label;      /* how TLSRPT calls the policy */
	enum tlsrpt_result flaw;        /* known without a session; counted also when !go */

	/*
	 * What a TLS session made under this plan may be resumed for, and a
	 * connection used again: the same host, port, rule, names and records, and
	 * REQUIRETLS in both or in neither.  So a session made without proof never
	 * serves where proof is needed, and what was judged need not be judged again.
	 */
	unsigned char    key[PLAN_KEY];
};

struct plan {
	struct plan_host *hosts;
	size_t            count;
	uint16_t          port;
	struct status     status;       /* class 0: there is a host to go to; else how it ends */
};

const char *need_name(enum need);               /* "nothing", "tls", "pkix", "dane" */
const char *plan_policy_name(enum plan_policy); /* "dane", "sts-enforce", … */
const char *plan_policy_title(enum plan_policy); /* how sentences begin: "MTA-STS" */

/* For whoever makes a plan. */
void plan_add_name(struct plan_host *, struct slice);   /* once each */
void plan_label_tlsa(struct plan_host *, struct slice base, const struct tlsa_set *,
    struct arena *);
struct tlsrpt_label plan_sts_label(struct slice domain, const struct sts_policy *, struct arena *);
void plan_label_sts(struct plan_host *, struct slice domain, const struct sts_policy *,
    struct arena *);
void plan_make_key(struct plan_host *, uint16_t port);

/*
 * One line per host, without addresses, or one for all when there is none:
 *     10 mx.example.org  needs dane 3.1.1, names mx.example.org example.org; tlsa mx.example.org
 *     20 mx.backup.test  no: 4.7.5 MTA-STS: …
 */
void plan_text(const struct plan *, struct buf *);

#endif
