/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "base/bug.h"
#include "delivery/aim.h"

enum { SMTP_PORT = 25, ADDRESSES_MOST = 64 };

/* Addresses of doors: mail that would go there comes back to us (RFC 5321 5.1). */
void
aim_begin(struct aim *a, const struct conf *conf, struct arena *arena)
{
	struct ip *own = arena_get(arena, ADDRESSES_MOST * sizeof *own);

	bug_if(own == NULL);
	*a = (struct aim){ .conf = conf, .own = own };
	for (size_t i = 0; i < conf->listen_count; i++)
		for (size_t j = 0; j < conf->listen[i].on_count; j++) {
			const struct endpoint *e = &conf->listen[i].on[j];

			if (e->kind == ENDPOINT_IP && e->port == SMTP_PORT && a->own_count < ADDRESSES_MOST)
				own[a->own_count++] = e->ip;
		}
	a->local_allowed = conf_on_loopback(conf);
}

static enum secure_floor
floor_of(enum tls_need need)
{
	static const enum secure_floor floors[] = {
		[TLS_OPPORTUNISTIC] = FLOOR_OPPORTUNISTIC, [TLS_ENCRYPT] = FLOOR_ENCRYPT,
		[TLS_VERIFIED] = FLOOR_VERIFIED, [TLS_DANE] = FLOOR_DANE, [TLS_STS] = FLOOR_STS,
		[TLS_DANE_OR_STS] = FLOOR_DANE_OR_STS,
	};

	return floors[need];
}

static void
plan_socket(struct slice path, struct arena *arena, struct plan *plan)
{
	static const struct ip nowhere;
	struct plan_host *h = arena_get(arena, sizeof *h);

	bug_if(h == NULL);
	*h = (struct plan_host){ .name = path, .addresses = &nowhere, .address_count = 1, .go = true };
	*plan = (struct plan){ .hosts = h, .count = 1 };
	plan_make_key(h, 0);
}

bool
aim_at_endpoint(const struct endpoint *e, struct arena *arena, struct secure_question *q,
    struct plan *plan)
{
	char literal[IP_TEXT + 8];

	if (e->kind == ENDPOINT_UNIX) {
		plan_socket(e->host, arena, plan);
		return false;
	}
	q->where.fixed = true;
	q->where.local_allowed = true;
	q->port = e->port;
	q->where.domain = e->host;
	if (e->kind == ENDPOINT_IP) {
		ip_literal(e->ip, literal);
		q->where.domain = arena_lower(arena, slice(literal));
	}
	return true;
}

bool
aim_at_domain(const struct aim *a, struct slice domain, struct rng rng, struct arena *arena,
    struct secure_question *q, struct plan *plan)
{
	const struct destination_conf *dest = route_destination(a->conf, domain);

	*q = (struct secure_question){
		.where = { .domain = domain, .local_allowed = a->local_allowed, .rng = rng,
		    .own_names = &a->conf->hostname, .own_name_count = 1, .own_addresses = a->own,
		    .own_address_count = a->own_count },
		.port = SMTP_PORT, .floor = floor_of(dest->tls),
		.dane_off = !dest->dane, .sts_off = !dest->sts,
	};
	return dest->via.kind == ENDPOINT_NONE || aim_at_endpoint(&dest->via, arena, q, plan);
}

struct peer
aim_peer(const struct plan *plan, size_t host, size_t address)
{
	const struct plan_host *h = &plan->hosts[host];
	struct peer p = { .ip = h->addresses[address], .port = plan->port };

	if (plan->port == 0)                    /* a socket of this machine */
		snprintf(p.path, sizeof p.path, "%.*s", FMT(h->name));
	return p;
}

const struct ip *
aim_source(const struct aim *a, const struct peer *to)
{
	const struct delivery_conf *c = &a->conf->delivery;
	const struct ip *source = to->ip.n == 4 ? &c->source4 : &c->source6;

	if (to->path[0] != '\0' || source->n == 0 || (ip_loopback(to->ip) && !ip_loopback(*source)))
		return NULL;
	return source;
}
