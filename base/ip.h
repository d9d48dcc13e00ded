/* SPDX-License-Identifier: ISC */
/* ip -- an IPv4 or IPv6 address, without a port. */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/slice.h"

struct ip {
	unsigned char bytes[16];        /* network order; IPv4 takes the first four */
	unsigned      n;                /* 4, 16, or 0: none */
};

enum { IP_TEXT = 46 };                  /* with its NUL */

bool ip_parse(struct slice text, struct ip *);  /* "192.0.2.1", "2001:db8::1" */
void ip_text(struct ip, char text_r[IP_TEXT]);
/* From the 4 or 16 bytes of an A or AAAA record. */
struct ip ip_of(struct slice bytes);
/* An IPv4-mapped IPv6 address (::ffff:192.0.2.1) is the IPv4 address it stands for. */
struct ip ip_unmapped(struct ip);
bool ip_eq(struct ip, struct ip);
/* Both in the same network of `bits` leading bits; of one family only. */
bool ip_in(struct ip, struct ip network, unsigned bits);
/* "1.2.0.192.in-addr.arpa" (RFC 1035 3.5), "….ip6.arpa" (RFC 3596 2.5). */
enum { IP_REVERSE = 74 };
void ip_reverse(struct ip, char name_r[IP_REVERSE]);
bool ip_loopback(struct ip);

/*
 * Whose an address is, also one that stands for an IPv4 address: what a stranger's
 * record may lead us to depends on it.
 */
enum ip_place {
	IP_PUBLIC,
	IP_PRIVATE,                     /* of a network somebody uses by himself (RFC 1918, 4193, 6598) */
	IP_OURS,                        /* loopback: this host */
	IP_NOWHERE,                     /* this host or its link by other words, many hosts, or none */
};
enum ip_place ip_place(struct ip);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]": as a domain (RFC 5321 4.1.3). */
void ip_literal(struct ip, char text_r[IP_TEXT + 8]);

#endif
