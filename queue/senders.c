/* SPDX-License-Identifier: ISC */
/*
 * senders -- whose name stands in MAIL FROM when a message goes on, and the way
 * back of what comes to such a name.
 *
 *     a forward whose sender would fail SPF     an SRS address of the domain that forwards
 *     the post of a list                        one address for each member (VERP)
 *     everything else                           its sender
 */
#include "arc/verdict.h"
#include "base/bug.h"
#include "mail/srs.h"
#include "mail/verp.h"
#include "queue/inside.h"

static struct slice
domain_of(struct slice address)
{
	size_t n = address.n;

	while (n > 0 && address.p[n - 1] != '@')
		n--;
	return n > 0 ? slice_skip(address, n) : NONE;
}

/* --- forwards -------------------------------------------------------------------- */

/* An address of that domain would prove an author of ours whom nothing proved here. */
static bool
would_lie(const struct envelope *e, struct slice domain)
{
	struct verdict_record v;

	return verdict_unpack(&v, e->verdict) && verdict_misuses(&v, domain);
}

/* In the domain that forwards: it is ours, and so is what comes back to it. */
static struct slice
srs_sender(const struct queue *q, const struct envelope *e, const struct recipient *first,
    struct arena *arena)
{
	struct srs srs = { domain_of(first->address), q->secrets.srs };
	struct address sender, made;

	if (!q->options.conf->delivery.srs || srs.secrets.count == 0 ||
	    map_get(&q->options.conf->domains, srs.domain) == NULL || would_lie(e, srs.domain) ||
	    !address_parse(e->sender, arena, &sender))
		return e->sender;
	return srs_forward(&srs, &sender, clock_now(q->loop->clock), arena, &made) == SRS_OK ? made.text
	    : e->sender;
}

bool
sender_back(const struct queue *q, const struct address *to, struct arena *arena,
    struct address *back)
{
	struct srs srs = { to->domain, q->secrets.srs };

	return srs_back(&srs, to, clock_now(q->loop->clock), arena, back) == SRS_OK;
}

/* --- lists ------------------------------------------------------------------------- */

static struct slice
member_sender(const struct queue *q, const struct envelope *e, const struct recipient *r,
    struct arena *arena)
{
	struct address bounces, member, made;
	struct route route;

	if (!address_parse(e->sender, arena, &bounces) || !address_parse(r->address, arena, &member))
		return e->sender;
	route = route_local(q->options.routes, &bounces, arena);
	if (route.kind != ROUTE_ALIAS || route.bounces == NULL || !route.bounces->conf->verp ||
	    !verp_make(&bounces, &member, arena, &made))
		return e->sender;
	return made.text;
}

bool
sender_member(const struct route *r, const struct address *to, struct arena *arena,
    struct address *member)
{
	struct address bounces;

	if (r->kind != ROUTE_ALIAS || r->bounces == NULL)
		return false;
	bounces = listing_address(r->bounces->conf, "-bounces", arena);
	return bounces.text.p != NULL && verp_member(&bounces, to, arena, member);
}

/* --- the choice ---------------------------------------------------------------------- */

struct slice
sender_onward(const struct queue *q, const struct envelope *e, const struct recipient *r,
    struct arena *arena)
{
	if (e->sender.n == 0)
		return e->sender;
	if (e->parent != 0)
		return member_sender(q, e, r, arena);
	if (e->srs && r->parent < e->count)
		return srs_sender(q, e, &e->recipients[r->parent], arena);
	return e->sender;
}
