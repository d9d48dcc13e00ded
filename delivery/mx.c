/* SPDX-License-Identifier: ISC */
/* pure */
#include "delivery/mx.h"
#include "mail/domain.h"

/* --- ends ---------------------------------------------------------------- */

static bool
conclude(struct mx *mx, struct status status, struct slice text)
{
	mx->count = 0;
	mx->status = status;
	mx->status.text = text;
	return true;
}

static bool
loops_back(struct mx *mx, const struct mx_question *q, struct arena *arena)
{
	return conclude(mx, STATUS(0, 5,4,6, ""), arena_printf(arena,
	    "mail for %.*s loops back to this host", FMT(q->domain)));
}

static bool
dns_trouble(struct mx *mx, const char *what, struct slice name, struct slice why,
    struct arena *arena)
{
	return conclude(mx, STATUS(0, 4,4,3, ""), arena_printf(arena,
	    "DNS: the %s of %.*s cannot be looked up: %.*s", what, FMT(name), FMT(why)));
}

static bool
no_memory(struct mx *mx)
{
	return conclude(mx, STATUS(0, 4,3,0, ""), S("no memory left for the hosts"));
}

/* --- the names (RFC 5321 5.1) -------------------------------------------- */

/* The root is nobody's: without a configuration our own name is empty too. */
static bool
is_own_name(const struct mx_question *q, struct slice name)
{
	for (size_t i = 0; name.n > 0 && i < q->own_name_count; i++)
		if (slice_eqi(q->own_names[i], name))
			return true;
	return false;
}

/* The domain is the only host: a literal, a fixed host, or no MX records at all. */
static bool
only_host(struct mx *mx, const struct mx_question *q, struct arena *arena)
{
	if (!q->fixed && is_own_name(q, q->domain))
		return loops_back(mx, q, arena);
	mx->hosts = arena_get(arena, sizeof *mx->hosts);
	if (mx->hosts == NULL)
		return no_memory(mx);
	mx->hosts[0].name = mx->hosts[0].canonical = q->domain;
	mx->count = 1;
	return true;
}

static bool
is_null_mx(const struct fact *f)
{
	return f->count == 1 && f->records[0].data.n == 0 && f->records[0].preference == 0;
}

struct choice {
	struct slice name;
	uint16_t     preference;
	uint64_t     lot;               /* decides among equal preferences */
};

/* The best hosts, each once, the best first. */
struct choices {
	struct choice list[MX_HOSTS_MOST];
	size_t        n;
};

static bool
is_better(const struct choice *a, const struct choice *b)
{
	return a->preference != b->preference ? a->preference < b->preference : a->lot < b->lot;
}

/* A host that is listed twice counts once, where it is best. */
static bool
is_listed_better(struct choices *c, const struct choice *one)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!slice_eqi(c->list[i].name, one->name))
			continue;
		if (!is_better(one, &c->list[i]))
			return true;
		c->n--;
		memmove(&c->list[i], &c->list[i + 1], (c->n - i) * sizeof *c->list);
		return false;
	}
	return false;
}

/* By the name: the same seed gives the same order however the DNS turns its answer around. */
static uint64_t
draw(const struct mx_question *q, struct slice name)
{
	struct rng rng = q->rng;

	rng = rng_seeded(rng_next(&rng) ^ slice_hash(name));
	return rng_next(&rng);
}

/* At its place among the others; the worst one falls off a full list. */
static void
insert(struct choices *c, const struct choice *one)
{
	size_t at = c->n;

	while (at > 0 && is_better(one, &c->list[at - 1]))
		at--;
	if (at == MX_HOSTS_MOST)
		return;
	if (c->n < MX_HOSTS_MOST)
		c->n++;
	memmove(&c->list[at + 1], &c->list[at], (c->n - 1 - at) * sizeof *c->list);
	c->list[at] = *one;
}

/* What is no host name (the root beside others, blanks, …) is as good as not there. */
static void
consider(struct choices *c, const struct choice *one)
{
	if (domain_valid(one->name) && !is_listed_better(c, one))
		insert(c, one);
}

/* Everything as good as our own record or worse would send the mail in a circle. */
static unsigned
own_preference(const struct mx_question *q, const struct fact *f)
{
	unsigned least = UINT16_MAX + 1;

	for (size_t i = 0; i < f->count; i++)
		if (f->records[i].preference < least && is_own_name(q, f->records[i].data))
			least = f->records[i].preference;
	return least;
}

static bool
take_choices(struct mx *mx, const struct choices *c, struct arena *arena)
{
	if ((mx->hosts = arena_get(arena, c->n * sizeof *mx->hosts)) == NULL)
		return no_memory(mx);
	for (size_t i = 0; i < c->n; i++)
		mx->hosts[i] = (struct mx_host){ .name = c->list[i].name,
			.canonical = c->list[i].name, .preference = c->list[i].preference };
	mx->count = c->n;
	return true;
}

static bool
listed_hosts(struct mx *mx, const struct mx_question *q, const struct fact *f, struct arena *arena)
{
	unsigned own = own_preference(q, f);
	struct choices choices = { .n = 0 };
	bool before_us = false;

	for (size_t i = 0; i < f->count; i++) {
		struct choice one = { f->records[i].data, f->records[i].preference,
			draw(q, f->records[i].data) };

		if (one.preference >= own)
			continue;
		before_us = true;
		consider(&choices, &one);
	}
	if (!before_us)
		return loops_back(mx, q, arena);
	if (choices.n > 0)
		return take_choices(mx, &choices, arena);
	return conclude(mx, STATUS(0, 5,4,4, ""), arena_printf(arena,
	    "none of the MX records of %.*s names a host", FMT(q->domain)));
}

static bool
from_mx_records(struct mx *mx, const struct mx_question *q, const struct fact *f,
    struct arena *arena)
{
	mx->security = f->security;
	mx->canonical = f->canonical;
	switch (f->answer) {
	case ANSWER_FOUND:
		if (is_null_mx(f))
			return conclude(mx, STATUS(0, 5,1,10, ""), arena_printf(arena,
			    "%.*s takes no mail (null MX)", FMT(q->domain)));
		return listed_hosts(mx, q, f, arena);
	case ANSWER_NODATA:
		mx->implicit = true;
		return only_host(mx, q, arena);
	case ANSWER_NXDOMAIN:
		return conclude(mx, STATUS(0, 5,1,2, ""), arena_printf(arena,
		    "there is no domain %.*s", FMT(q->domain)));
	case ANSWER_BROKEN:
		break;
	}
	return dns_trouble(mx, "MX records", q->domain, f->why, arena);
}

bool
mx_hosts(struct mx *mx, const struct mx_question *q, struct facts *facts, struct arena *arena)
{
	unsigned char address[16];
	const struct fact *f;

	*mx = (struct mx){ .canonical = q->domain };
	mx->literal = domain_literal(q->domain, address) > 0;
	if (mx->literal || q->fixed)
		return only_host(mx, q, arena);
	f = fact(facts, q->domain, RR_MX);
	return f != NULL && from_mx_records(mx, q, f, arena);
}

/* --- the addresses ------------------------------------------------------- */

/* RFC 3927; that of IPv6 needs an interface, which no record and no literal names. */
static bool
on_link(struct ip ip)
{
	static const struct ip network = { { 169, 254 }, 4 };

	return ip_in(ip, network, 16);
}

/*
 * Where only this host itself, or nobody, can be is nobody's mail exchanger.  On our link
 * is no stranger's, but the administrator may have one there: the host of a container.
 */
static bool
usable(const struct mx_question *q, struct ip ip)
{
	enum ip_place place = ip_place(ip);

	if (q->fixed && on_link(ip))
		return true;
	return place == IP_OURS ? q->fixed || q->local_allowed : place != IP_NOWHERE;
}

/* The usable ones of a whole answer; at most `most`. */
static size_t
take_addresses(const struct mx_question *q, const struct fact *f, struct ip *ips, size_t most)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count && n < most; i++) {
		struct ip ip = ip_unmapped(ip_of(f->records[i].data));

		if (usable(q, ip))
			ips[n++] = ip;
	}
	return n;
}

/* Both families in turn, so that a dead one costs one try and not ten. */
static void
alternate(struct mx_host *h, struct ip *to, const struct ip *six, size_t n6,
    const struct ip *four, size_t n4)
{
	size_t i6 = 0, i4 = 0, n = 0;

	while (n < MX_ADDRESSES_MOST && (i6 < n6 || i4 < n4)) {
		if (i6 < n6)
			to[n++] = six[i6++];
		if (i4 < n4 && n < MX_ADDRESSES_MOST)
			to[n++] = four[i4++];
	}
	h->addresses = to;
	h->count = n;
}

/*
 * One address that was found is enough; the host is out of reach only when the
 * one answer is broken and the other gives nothing.  It is secure when one of
 * them is: nobody can put an insecure answer into a signed zone.
 */
static void
note_state(struct mx_host *h, const struct fact *six, const struct fact *four)
{
	const struct fact *best = six->answer == ANSWER_FOUND ? six : four;
	const struct fact *worst = six->answer == ANSWER_BROKEN ? six : four;

	h->security = best->security;
	h->canonical = best->canonical;
	if (four->answer == ANSWER_FOUND && four->security == DNS_SECURE)
		h->security = DNS_SECURE;
	h->broken = h->count == 0 && worst->answer == ANSWER_BROKEN;
	h->why = worst->why;
}

static bool
ask_addresses(const struct mx_host *h, struct facts *facts)
{
	const struct fact *six = fact(facts, h->name, RR_AAAA), *four = fact(facts, h->name, RR_A);

	return six != NULL && four != NULL;
}

static void
host_addresses(struct mx_host *h, const struct mx_question *q, struct facts *facts,
    struct arena *arena)
{
	const struct fact *six = fact(facts, h->name, RR_AAAA), *four = fact(facts, h->name, RR_A);
	struct ip ips6[MX_ADDRESSES_MOST], ips4[MX_ADDRESSES_MOST], *to;
	size_t n6 = take_addresses(q, six, ips6, MX_ADDRESSES_MOST);
	size_t n4 = take_addresses(q, four, ips4, MX_ADDRESSES_MOST);

	if ((to = arena_get(arena, (n6 + n4) * sizeof *to)) != NULL)
		alternate(h, to, ips6, n6, ips4, n4);
	note_state(h, six, four);
	if (to == NULL)
		h->broken = true, h->why = S("no memory left for the addresses");
}

static void
literal_address(struct mx_host *h, const struct mx_question *q, struct arena *arena)
{
	unsigned char bytes[16];
	size_t n = domain_literal(h->name, bytes);
	struct ip ip = ip_unmapped(ip_of(slice_of(bytes, n))), *to = arena_get(arena, sizeof *to);

	if (to == NULL) {
		h->broken = true, h->why = S("no memory left for the addresses");
	} else if (usable(q, ip)) {
		*to = ip;
		h->addresses = to;
		h->count = 1;
	}
}

static bool
has_own_address(const struct mx_host *h, const struct mx_question *q)
{
	for (size_t i = 0; i < h->count; i++)
		for (size_t j = 0; j < q->own_address_count; j++)
			if (ip_eq(h->addresses[i], q->own_addresses[j]))
				return true;
	return false;
}

/* The rule of own_preference(), now for hosts that are us by their address. */
static bool
drop_own(struct mx *mx, const struct mx_question *q, struct arena *arena)
{
	size_t keep = 0;

	for (size_t i = 0; i < mx->count && !q->fixed; i++)
		if (has_own_address(&mx->hosts[i], q)) {
			while (keep < i && mx->hosts[keep].preference < mx->hosts[i].preference)
				keep++;
			mx->count = keep;
			return keep > 0 || loops_back(mx, q, arena);
		}
	return true;
}

static bool
some_address(struct mx *mx, const struct mx_question *q, struct arena *arena)
{
	const struct mx_host *broken = NULL;

	if (mx->status.class != 0)
		return true;
	for (size_t i = mx->count; i-- > 0; ) {
		if (mx->hosts[i].count > 0)
			return true;
		if (mx->hosts[i].broken)
			broken = &mx->hosts[i];
	}
	if (broken != NULL)
		return dns_trouble(mx, "addresses", broken->name, broken->why, arena);
	return conclude(mx, STATUS(0, 5,4,4, ""), mx->count == 1
	    ? arena_printf(arena, "%.*s has no usable address", FMT(mx->hosts[0].name))
	    : arena_printf(arena, "none of the %zu mail hosts of %.*s has a usable address",
	        mx->count, FMT(q->domain)));
}

bool
mx_addresses(struct mx *mx, const struct mx_question *q, struct facts *facts, struct arena *arena)
{
	bool known = true;

	if (mx->status.class != 0)
		return true;
	for (size_t i = 0; i < mx->count && !mx->literal; i++)
		known = ask_addresses(&mx->hosts[i], facts) && known;
	if (!known)
		return false;
	for (size_t i = 0; i < mx->count; i++)
		if (mx->literal)
			literal_address(&mx->hosts[i], q, arena);
		else
			host_addresses(&mx->hosts[i], q, facts, arena);
	return drop_own(mx, q, arena) && some_address(mx, q, arena);
}
