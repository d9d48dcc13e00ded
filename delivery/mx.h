/* SPDX-License-Identifier: ISC */
/*
 * mx -- the hosts that take mail for a domain, in the order to try them (RFC 5321 5.1).
 *
 * A destination is a mail domain, an address literal, or a host the
 * administrator named; only a mail domain has MX records.  The result says
 * either which hosts there are or, with a status, why there are none: no such
 * domain, null MX (RFC 7505), no address, ourselves, DNS trouble.  With each
 * answer stands what RFC 7672 needs to know of its DNSSEC state.
 *
 * Pure over facts, in two rounds: mx_hosts() asks for the names, then
 * mx_addresses() for all their addresses.  Both return false until the DNS has
 * answered.  Everything lies in the arena or in the facts.
 */
#ifndef DELIVERY_MX_H
#define DELIVERY_MX_H

#include "base/ip.h"
#include "base/rng.h"
#include "dns/facts.h"
#include "mail/status.h"

enum {
	MX_HOSTS_MOST = 20,             /* the best ones; others are not looked at */
	MX_ADDRESSES_MOST = 10,         /* of one host */
};

struct mx_question {
	struct slice domain;            /* normal (mail/domain.h), or an address literal */
	bool         fixed;             /* named by the administrator: it is the host itself */
	bool         local_allowed;     /* loopback addresses are good: labs and tests */
	struct rng   rng;               /* orders equal preferences by name; the same gives the same */
	const struct slice *own_names;          /* how this host is called, normal … */
	size_t       own_name_count;
	const struct ip *own_addresses;         /* … and reached: mail must not come back */
	size_t       own_address_count;
};

struct mx_host {
	struct slice     name;          /* of the MX record; a literal in brackets */
	uint16_t         preference;
	const struct ip *addresses;     /* IPv6 and IPv4 in turn, each in the DNS's order */
	size_t           count;
	bool             broken;        /* no address because the DNS did not tell; `why` */
	struct slice     why;
	enum security    security;      /* of the address answers, CNAMEs included */
	struct slice     canonical;     /* where they stand: another name behind CNAMEs */
};

struct mx {
	struct mx_host *hosts;
	size_t          count;
	bool            literal;        /* an address: neither a name nor DNSSEC */
	bool            implicit;       /* there are no MX records: the domain is the host */
	enum security   security;       /* of the MX answer, or of its denial */
	struct slice    canonical;      /* of the domain, behind CNAMEs */
	struct status   status;         /* class 0: there are hosts */
};

bool mx_hosts(struct mx *, const struct mx_question *, struct facts *, struct arena *);
/* After mx_hosts(); may leave fewer hosts, or none and a status. */
bool mx_addresses(struct mx *, const struct mx_question *, struct facts *, struct arena *);

#endif
