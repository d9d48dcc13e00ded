/* SPDX-License-Identifier: ISC */
/* pure */
#include "conf/type.h"
#include "conf/value.h"
#include "mail/domain.h"

#define FITS(type) static bool fits_##type(struct slice s, struct arena *arena)

FITS(name)     { (void)arena; return value_name(s); }
FITS(domain)   { return domain_normal(s, arena).p != NULL; }
FITS(pattern)  { struct slice x; return value_pattern(s, arena, &x); }
FITS(whom)     { struct slice x; return value_whom(s, arena, &x); }
FITS(mailbox)  { struct address x; return value_mailbox(s, S("x.test"), arena, &x); }
FITS(selector) { (void)arena; return value_selector(s); }
FITS(file)     { (void)arena; return s.n > 0; }
FITS(path)     { (void)arena; return value_mail_path(s); }
FITS(text)     { (void)arena; (void)s; return true; }
FITS(duration) { int64_t x; (void)arena; return value_duration(s, &x); }
FITS(size)     { uint64_t x; (void)arena; return value_size(s, &x); }
FITS(number)   { unsigned x; (void)arena; return value_number(s, &x); }
FITS(switch)   { bool x; (void)arena; return value_switch(s, &x); }
FITS(rate)     { struct rate x; (void)arena; return value_rate(s, &x); }
FITS(address)  { struct ip x; (void)arena; return ip_parse(s, &x); }
FITS(network)  { struct network x; (void)arena; return value_network(s, &x); }

static bool
fits_endpoint(struct slice s, struct arena *arena, unsigned kinds)
{
	struct endpoint e;

	return value_endpoint(s, arena, &e) && (kinds >> e.kind & 1) != 0;
}

enum { IP = 1 << ENDPOINT_IP, ANY = 1 << ENDPOINT_ANY, HOST = 1 << ENDPOINT_HOST,
	UNIX = 1 << ENDPOINT_UNIX };

FITS(listen)   { return fits_endpoint(s, arena, IP | ANY); }
FITS(server)   { return fits_endpoint(s, arena, IP); }
FITS(host)     { return fits_endpoint(s, arena, IP | HOST); }
FITS(socket)   { return fits_endpoint(s, arena, IP | HOST | UNIX); }

static const struct type TYPES[] = {
	{ "ADDRESS", "an address such as 192.0.2.1 or 2001:db8::1", fits_address },
	{ "DIR", "the name of a directory", fits_file },
	{ "DOMAIN", "a domain such as example.org", fits_domain },
	{ "DURATION", "a duration such as 30s, 5m, 4h or 5d", fits_duration },
	{ "FILE", "the name of a file", fits_file },
	{ "HOST", "a host with a port such as mx.example.org:25, 192.0.2.1:25 or [2001:db8::1]:25",
	    fits_host },
	{ "LISTEN", "an address with a port such as 127.0.0.1:25, [::1]:25 or *:25", fits_listen },
	{ "MAILBOX", "a name such as ann or an address such as ann@example.org", fits_mailbox },
	{ "NAME", "a name of letters, digits, - and _", fits_name },
	{ "NETWORK", "an address or a network such as 192.0.2.0/24 or 2001:db8::/32", fits_network },
	{ "NUMBER", "a number from 1 to 1000000", fits_number },
	{ "PATH", "an absolute path, in which only %u, %d and %% stand behind a %", fits_path },
	{ "PATTERN", "a domain such as example.org, or .example.org for what is below it", fits_pattern },
	{ "RATE", "a rate such as 20/s, 60/min or 500/h", fits_rate },
	{ "SELECTOR", "a selector such as s2026 or mail.s2026", fits_selector },
	{ "SERVER", "an address with a port such as 127.0.0.1:53 or [::1]:53", fits_server },
	{ "SIZE", "a size such as 500B, 64kB, 25MB or 1GB", fits_size },
	{ "SOCKET", "a socket such as unix:/run/lmtp, 127.0.0.1:24, [::1]:24 or lmtp.example.org:24",
	    fits_socket },
	{ "SWITCH", "on or off", fits_switch },
	{ "TEXT", "a text", fits_text },
	{ "WHOM", "an address such as ann@example.org, a domain, or .example.org for what is below it",
	    fits_whom },
};

enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

const struct type *
type_find(struct slice name)
{
	for (int i = 0; i < TYPE_COUNT; i++)
		if (slice_eq(name, slice(TYPES[i].name)))
			return &TYPES[i];
	return NULL;
}

const struct type *
type_nth(size_t turn)
{
	return turn < TYPE_COUNT ? &TYPES[turn] : NULL;
}
