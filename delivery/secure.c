/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdarg.h>
#include <stdio.h>

#include "delivery/secure.h"
#include "mail/domain.h"

enum { SMTP_PORT = 25, SENTENCE = 600 };

/* One host and everything that has a say in it. */
struct decision {
	const struct secure_question *q;
	const struct mx          *mx;
	const struct mx_host     *host;
	struct dane               dane;
	const struct sts_policy  *sts;          /* NULL: none applies */
	bool                      listed;       /* by it */
	struct arena             *arena;
	struct plan_host         *plan;
};

struct slice
secure_policy_domain(const struct mx_question *q)
{
	return q->domain.n > 0 && *q->domain.p == '[' ? NONE : q->domain;
}

/* --- refusing ------------------------------------------------------------ */

/* The sentence names the rule, then what is wrong; the first refusal stands. */
__attribute__((format(printf, 3, 4))) static void
refuse(struct decision *d, struct status status, const char *format, ...)
{
	char text[SENTENCE];
	va_list args;

	if (!d->plan->go)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	d->plan->go = false;
	d->plan->why_not = status;
	d->plan->why_not.text = arena_copy(d->arena, slice(text));
}

static const struct status NOT_NOW = STATUS_INIT(0, 4,7,5, "");

/* --- rules 2 to 6: what the destination publishes ------------------------- */

static void
demand(struct decision *d, enum need need)
{
	if (d->plan->need < need)
		d->plan->need = need;
	if (d->plan->watch < need)
		d->plan->watch = need;
}

static void
reference_names(struct decision *d, struct slice first)
{
	d->plan->name_count = 0;
	d->plan->sni = d->mx->literal ? NONE : first;
	plan_add_name(d->plan, first);
}

static void
dane_unknown(struct decision *d)
{
	d->plan->policy = PLAN_DANE;
	d->plan->flaw = TLSRPT_DNSSEC_INVALID;
	plan_label_tlsa(d->plan, d->dane.base, &d->dane.set, d->arena);
	refuse(d, NOT_NOW, "DANE: %.*s", FMT(d->dane.why));
}

/*
 * RFC 7672 3.2.2: the TLSA base domain, then the name we set out for and what
 * its CNAMEs make of it.
 */
static void
prove_by_dane(struct decision *d)
{
	d->plan->policy = PLAN_DANE;
	d->plan->tlsa = d->dane.set;
	reference_names(d, d->dane.base);
	plan_add_name(d->plan, d->q->where.domain);
	if (!d->q->where.fixed && !d->mx->implicit)
		plan_add_name(d->plan, d->mx->canonical);
	plan_label_tlsa(d->plan, d->dane.base, &d->dane.set, d->arena);
	demand(d, NEED_DANE);
}

/* RFC 7672 2.2: the records say that there is TLS, if nothing else. */
static void
dane_unusable(struct decision *d)
{
	d->plan->policy = PLAN_DANE_UNUSABLE;
	d->plan->flaw = TLSRPT_TLSA_INVALID;
	plan_label_tlsa(d->plan, d->dane.base, &d->dane.set, d->arena);
	demand(d, NEED_TLS);
}

static void
sts_testing(struct decision *d)
{
	d->plan->policy = PLAN_STS_TESTING;
	d->plan->watch = NEED_PKIX;
	d->plan->flaw = d->listed ? TLSRPT_SUCCESS : TLSRPT_VALIDATION_FAILURE;
	plan_label_sts(d->plan, d->q->where.domain, d->sts, d->arena);
}

static void
not_listed(struct decision *d)
{
	d->plan->flaw = TLSRPT_VALIDATION_FAILURE;
	refuse(d, NOT_NOW, "%s: the policy of %.*s (mode %s) does not list %.*s",
	    plan_policy_title(d->plan->policy), FMT(d->q->where.domain),
	    sts_mode_name(d->sts->mode), FMT(d->host->name));
}

/* RFC 8461 4.1, 4.2: the name of the MX record, not where its CNAMEs lead. */
static void
prove_by_sts(struct decision *d, enum plan_policy policy)
{
	d->plan->policy = policy;
	d->plan->flaw = TLSRPT_SUCCESS;
	reference_names(d, d->host->name);
	plan_label_sts(d->plan, d->q->where.domain, d->sts, d->arena);
	demand(d, NEED_PKIX);
	if (!d->listed)
		not_listed(d);
}

static void
published(struct decision *d)
{
	if (d->dane.state == DANE_UNKNOWN)
		dane_unknown(d);
	else if (d->dane.state == DANE_USABLE)
		prove_by_dane(d);
	else if (d->sts != NULL && d->sts->mode == STS_ENFORCE)
		prove_by_sts(d, PLAN_STS_ENFORCE);
	else if (d->dane.state == DANE_UNUSABLE)
		dane_unusable(d);
	else if (d->sts != NULL)
		sts_testing(d);
}

/* RFC 8689 4.2.2: the sender would rather have it arrive than have it safe. */
static void
relax(struct decision *d)
{
	d->plan->need = NEED_NOTHING;
	d->plan->go = true;
	d->plan->why_not = (struct status){ 0 };
}

/* --- what the administrator requires -------------------------------------- */

/* Something that authenticates: DANE where it was found, else an authority's certificate. */
static void
require_verified(struct decision *d)
{
	if (d->plan->watch == NEED_DANE) {
		demand(d, NEED_DANE);
	} else if (d->mx->literal) {
		refuse(d, NOT_NOW, "tls require verified: no certificate proves the address %.*s",
		    FMT(d->host->name));
	} else if (d->plan->need < NEED_PKIX) {
		d->plan->policy = PLAN_VERIFIED;
		if (d->plan->watch < NEED_PKIX)
			plan_add_name(d->plan, d->q->where.domain);
		demand(d, NEED_PKIX);
	}
}

static void
require_dane(struct decision *d)
{
	if (d->dane.state == DANE_USABLE) {
		demand(d, NEED_DANE);
		return;
	}
	if (d->plan->flaw != TLSRPT_DNSSEC_INVALID) {
		d->plan->flaw = TLSRPT_DANE_REQUIRED;
		plan_label_tlsa(d->plan, d->dane.base, &d->dane.set, d->arena);
	}
	d->plan->policy = PLAN_REQUIRE_DANE;
	refuse(d, NOT_NOW, "tls require dane: %.*s cannot be proved by DANE: %.*s",
	    FMT(d->host->name), FMT(d->dane.why));
}

/* The policy must list the host; what proves the host may still be DANE (rule 3). */
static void
require_sts(struct decision *d, enum plan_policy policy)
{
	if (d->sts == NULL) {
		d->plan->policy = policy;
		refuse(d, NOT_NOW, "%s: no MTA-STS policy of %.*s applies%s",
		    plan_policy_title(policy), FMT(d->q->where.domain),
		    policy == PLAN_REQUIRE_STS ? "" : ", and DANE cannot prove the host");
	} else if (d->dane.state == DANE_USABLE && d->listed) {
		demand(d, NEED_DANE);
	} else {
		prove_by_sts(d, policy);
	}
}

static void
configured(struct decision *d)
{
	if (!d->plan->go)
		return;
	switch (d->q->floor) {
	case FLOOR_OPPORTUNISTIC:
		break;
	case FLOOR_ENCRYPT:
		if (d->plan->need == NEED_NOTHING)
			d->plan->policy = PLAN_ENCRYPT;
		demand(d, NEED_TLS);
		break;
	case FLOOR_VERIFIED:
		require_verified(d);
		break;
	case FLOOR_DANE:
		require_dane(d);
		break;
	case FLOOR_STS:
		require_sts(d, PLAN_REQUIRE_STS);
		break;
	case FLOOR_DANE_OR_STS:
		if (d->dane.state == DANE_USABLE)
			demand(d, NEED_DANE);
		else
			require_sts(d, PLAN_REQUIRE_DANE_OR_STS);
		break;
	}
}

/* --- what the message requires (RFC 8689 4.2.1) ---------------------------- */

/* A filter or relay of our own on this machine is not the internet. */
static bool
is_next_door(const struct decision *d)
{
	bool all = d->q->where.fixed;

	for (size_t i = 0; i < d->host->count; i++)
		all = all && ip_loopback(d->host->addresses[i]);
	return all;
}

static void
require_tls(struct decision *d)
{
	static const struct status no_way = STATUS_INIT(0, 5,7,10, "");

	if (d->mx->literal) {
		refuse(d, no_way, "REQUIRETLS: no certificate proves the address %.*s",
		    FMT(d->host->name));
	} else if (!d->q->where.fixed && d->mx->security != DNS_SECURE && !d->listed) {
		refuse(d, no_way, "REQUIRETLS: nothing proves that mail for %.*s goes to %.*s: "
		    "its MX records are not signed and no MTA-STS policy lists the host",
		    FMT(d->q->where.domain), FMT(d->host->name));
	} else if (d->plan->need < NEED_PKIX) {
		reference_names(d, d->host->name);
		demand(d, NEED_PKIX);
	}
	d->plan->policy = PLAN_REQUIRETLS;
	d->plan->requiretls = true;
}

/* --- one host ------------------------------------------------------------- */

static bool
reachable(struct decision *d)
{
	static const struct status broken = STATUS_INIT(0, 4,4,3, ""), none = STATUS_INIT(0, 5,4,4, "");

	if (d->host->count > 0)
		return true;
	if (d->host->broken)
		refuse(d, broken, "DNS: the addresses of %.*s cannot be looked up: %.*s",
		    FMT(d->host->name), FMT(d->host->why));
	else
		refuse(d, none, "%.*s has no usable address", FMT(d->host->name));
	return false;
}

static void
decide(struct decision *d)
{
	const struct secure_question *q = d->q;

	*d->plan = (struct plan_host){
		.name = d->host->name, .preference = d->host->preference, .go = true,
		.addresses = d->host->addresses, .address_count = d->host->count,
		.label = { .domain = q->where.domain },
	};
	if (!reachable(d))
		return;
	reference_names(d, d->host->name);
	published(d);
	if (q->message == MESSAGE_TLS_OPTIONAL)
		relax(d);
	configured(d);
	if (q->message == MESSAGE_REQUIRETLS && !q->null_sender && !is_next_door(d))
		require_tls(d);
}

/* --- all hosts ------------------------------------------------------------ */

static uint16_t
port_of(const struct secure_question *q)
{
	return q->port != 0 ? q->port : SMTP_PORT;
}

/* Why DANE is not even looked for; empty: it is. */
static struct slice
no_dane(const struct secure_question *q, const struct mx *mx)
{
	if (q->dane_off)
		return S("DANE is off here");
	if (mx->literal)
		return S("an address has no TLSA records");
	if (!q->where.fixed && mx->security != DNS_SECURE)
		return S("the MX records are not signed");
	return NONE;
}

/* The hosts in the zone that has just proved to be signed will be signed too. */
static void
ask_ahead(const struct secure_question *q, const struct mx *mx, struct facts *facts)
{
	if (no_dane(q, mx).n > 0 || q->where.fixed)
		return;
	for (size_t i = 0; i < mx->count; i++)
		if (domain_within(mx->hosts[i].name, q->where.domain))
			dane_ask(&mx->hosts[i], port_of(q), facts);
}

/* Every host's TLSA records; all hosts ask before one of them waits. */
static bool
find_dane(struct decision *all, const struct secure_question *q, const struct mx *mx,
    struct facts *facts, struct arena *arena)
{
	struct slice none = no_dane(q, mx);
	bool known = true;

	for (size_t i = 0; i < mx->count; i++) {
		const struct mx_host *h = &mx->hosts[i];

		if (none.n > 0 || h->count == 0)
			all[i].dane = (struct dane){ .base = h->name, .why = none };
		else if (!dane_find(&all[i].dane, h, port_of(q), facts, arena))
			known = false;
	}
	return known;
}

static const struct sts_policy *
applying_policy(const struct secure_question *q, const struct mx *mx)
{
	bool none = q->sts == NULL || q->sts_off || mx->literal || q->sts->mode == STS_NONE;

	return none ? NULL : q->sts;
}

struct status
secure_worse(struct status so_far, struct status next)
{
	if (so_far.class == 0 || (status_permanent(so_far) && status_transient(next)))
		return next;
	return so_far;
}

static void
conclude(struct plan *plan)
{
	struct status worst = { 0 };

	for (size_t i = 0; i < plan->count; i++) {
		if (plan->hosts[i].go) {
			plan->status = (struct status){ 0 };
			return;
		}
		worst = secure_worse(worst, plan->hosts[i].why_not);
	}
	plan->status = worst;
}

static bool
out_of_memory(struct plan *plan)
{
	plan->count = 0;
	plan->status = STATUS(0, 4,3,0, "no memory left for the hosts");
	return true;
}

bool
secure_plan(struct plan *plan, const struct secure_question *q, struct facts *facts,
    struct arena *arena)
{
	struct decision all[MX_HOSTS_MOST] = { 0 };
	struct mx mx;

	if (!mx_hosts(&mx, &q->where, facts, arena))
		return false;
	ask_ahead(q, &mx, facts);
	if (!mx_addresses(&mx, &q->where, facts, arena))
		return false;
	*plan = (struct plan){ .port = port_of(q), .status = mx.status };
	if (mx.status.class != 0)
		return true;
	if (!find_dane(all, q, &mx, facts, arena))
		return false;
	if ((plan->hosts = arena_get(arena, mx.count * sizeof *plan->hosts)) == NULL)
		return out_of_memory(plan);
	for (; plan->count < mx.count; plan->count++) {
		struct decision *d = &all[plan->count];

		d->q = q, d->mx = &mx, d->host = &mx.hosts[plan->count], d->arena = arena;
		d->plan = &plan->hosts[plan->count];
		d->sts = applying_policy(q, &mx);
		d->listed = d->sts != NULL && sts_policy_lists(d->sts, d->host->name);
		decide(d);
		plan_make_key(d->plan, plan->port);
	}
	conclude(plan);
	return true;
}
