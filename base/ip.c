/* SPDX-License-Identifier: ISC */
/* pure */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/bug.h"
#include "base/ip.h"

bool
ip_parse(struct slice s, struct ip *ip)
{
	char text[IP_TEXT];
	struct ip got = { .n = slice_find(s, ':') < s.n ? 16 : 4 };

	if (s.n == 0 || s.n >= sizeof text || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (inet_pton(got.n == 4 ? AF_INET : AF_INET6, text, got.bytes) != 1)
		return false;
	*ip = got;
	return true;
}

/* inet_ntop() does it with sprintf(), and this is asked often. */
static void
ipv4_text(const unsigned char bytes[4], char *to)
{
	for (unsigned i = 0; i < 4; i++) {
		if (bytes[i] >= 100)
			*to++ = (char)('0' + bytes[i] / 100);
		if (bytes[i] >= 10)
			*to++ = (char)('0' + bytes[i] / 10 % 10);
		*to++ = (char)('0' + bytes[i] % 10);
		*to++ = i < 3 ? '.' : '\0';
	}
}

void
ip_text(struct ip ip, char text[IP_TEXT])
{
	text[0] = '\0';
	if (ip.n == 4)
		ipv4_text(ip.bytes, text);
	else if (ip.n > 0)
		bug_if(inet_ntop(AF_INET6, ip.bytes, text, IP_TEXT) == NULL);
}

struct ip
ip_of(struct slice bytes)
{
	struct ip ip = { .n = (unsigned)bytes.n };

	bug_if(bytes.n != 4 && bytes.n != 16);
	memcpy(ip.bytes, bytes.p, bytes.n);
	return ip;
}

struct ip
ip_unmapped(struct ip ip)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip.n != 16 || memcmp(ip.bytes, mapped, 12) != 0)
		return ip;
	return ip_of(slice_of(ip.bytes + 12, 4));
}

bool
ip_eq(struct ip a, struct ip b)
{
	return a.n == b.n && memcmp(a.bytes, b.bytes, a.n) == 0;
}

bool
ip_in(struct ip ip, struct ip network, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (ip.n != network.n || ip.n == 0 || bits > 8 * ip.n)
		return false;
	if (memcmp(ip.bytes, network.bytes, whole) != 0)
		return false;
	return rest == 0 || (ip.bytes[whole] ^ network.bytes[whole]) >> (8 - rest) == 0;
}

void
ip_reverse(struct ip ip, char name[IP_REVERSE])
{
	static const char digits[] = "0123456789abcdef";
	char *to = name;

	if (ip.n == 4) {
		snprintf(name, IP_REVERSE, "%u.%u.%u.%u.in-addr.arpa",
		    ip.bytes[3], ip.bytes[2], ip.bytes[1], ip.bytes[0]);
		return;
	}
	for (int i = 15; i >= 0; i--) {
		*to++ = digits[ip.bytes[i] & 15];
		*to++ = '.';
		*to++ = digits[ip.bytes[i] >> 4];
		*to++ = '.';
	}
	memcpy(to, "ip6.arpa", sizeof "ip6.arpa");
}

bool
ip_loopback(struct ip ip)
{
	static const unsigned char one[16] = { [15] = 1 };

	return ip.n == 4 ? ip.bytes[0] == 127 : ip.n == 16 && memcmp(ip.bytes, one, 16) == 0;
}

/* Registered in RFC 6890; what stands in no row is public. */
static const struct { struct ip network; unsigned bits; enum ip_place place; } PLACES[] = {
	{ { { 0 }, 4 }, 8, IP_NOWHERE },                /* "this network": Linux connects to itself */
	{ { { 10 }, 4 }, 8, IP_PRIVATE },
	{ { { 100, 64 }, 4 }, 10, IP_PRIVATE },         /* behind a carrier's NAT */
	{ { { 127 }, 4 }, 8, IP_OURS },
	{ { { 169, 254 }, 4 }, 16, IP_NOWHERE },        /* link-local; clouds tell secrets there */
	{ { { 172, 16 }, 4 }, 12, IP_PRIVATE },
	{ { { 192, 0, 0 }, 4 }, 24, IP_PRIVATE },       /* between the ends of a tunnel (RFC 6333 5.7) */
	{ { { 192, 168 }, 4 }, 16, IP_PRIVATE },
	{ { { 198, 18 }, 4 }, 15, IP_PRIVATE },         /* of test beds (RFC 2544) */
	{ { { 224 }, 4 }, 3, IP_NOWHERE },              /* multicast, reserved, broadcast */
	{ { { [15] = 1 }, 16 }, 128, IP_OURS },
	{ { { 0 }, 16 }, 96, IP_NOWHERE },              /* ::, and the compatible ones (RFC 4291 2.5.5.1) */
	{ { { 0, 0x64, 0xff, 0x9b, 0, 1 }, 16 }, 48, IP_PRIVATE },      /* a translator (RFC 8215) */
	{ { { 0xfc }, 16 }, 7, IP_PRIVATE },
	{ { { 0xfe, 0x80 }, 16 }, 10, IP_NOWHERE },
	{ { { 0xfe, 0xc0 }, 16 }, 10, IP_PRIVATE },     /* site-local, once (RFC 3879) */
	{ { { 0xff }, 16 }, 8, IP_NOWHERE },
};

/* A translator takes us to the IPv4 address at the end (RFC 6052 2.1). */
static struct ip
untranslated(struct ip ip)
{
	static const unsigned char prefix[12] = { 0, 0x64, 0xff, 0x9b };

	return ip.n == 16 && memcmp(ip.bytes, prefix, 12) == 0 ? ip_of(slice_of(ip.bytes + 12, 4)) : ip;
}

enum ip_place
ip_place(struct ip ip)
{
	ip = untranslated(ip_unmapped(ip));
	for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
		if (ip_in(ip, PLACES[i].network, PLACES[i].bits))
			return PLACES[i].place;
	return IP_PUBLIC;
}

void
ip_literal(struct ip ip, char text[IP_TEXT + 8])
{
	char plain[IP_TEXT];

	ip_text(ip, plain);
	snprintf(text, IP_TEXT + 8, ip.n == 4 ? "[%s]" : "[IPv6:%s]", plain);
}
