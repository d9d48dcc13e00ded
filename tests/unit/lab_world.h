/* SPDX-License-Identifier: ISC */
/*
 * lab_world -- a world with every kind of zone, and what is true of its names:
 * asked in memory by t_lab_zones, over sockets by t_lab_dns, and by foreign
 * validators in tests/system/test_lab_dns.py.
 */
#ifndef TESTS_LAB_WORLD_H
#define TESTS_LAB_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "lab/zones.h"
#include "unit.h"

static const int64_t NOW = 1780315200000;       /* 2026-06-01T12:00:00Z */
enum { LONG_TEXT = 30000 };            /* nearly all that a fact keeps */
#define YEARS(n) ((n) * 365 * DAY)

static const struct {
	const char        *name;
	enum zone_security security;
	enum zone_denial   denial;
} domains[] = {
	{ "secure.test", ZONE_SECURE, ZONE_NSEC },
	{ "insecure.test", ZONE_INSECURE, ZONE_NSEC },
	{ "bogus.test", ZONE_BOGUS, ZONE_NSEC },
	{ "tampered.test", ZONE_SECURE, ZONE_NSEC },
	{ "nsec3.test", ZONE_SECURE, ZONE_NSEC3 },
	{ "opt-out.test", ZONE_SECURE, ZONE_NSEC3_OPT_OUT },
	{ "child.opt-out.test", ZONE_INSECURE, ZONE_NSEC },
	{ "child.secure.test", ZONE_SECURE, ZONE_NSEC },
	{ "child.insecure.test", ZONE_SECURE, ZONE_NSEC },
	{ "child.bogus.test", ZONE_SECURE, ZONE_NSEC },
	{ "example.org", ZONE_SECURE, ZONE_NSEC },
};

static const struct { const char *name; uint16_t type; const char *data; } records[] = {
	{ "secure.test", RR_MX, "10 mx.secure.test." },
	{ "secure.test", RR_TXT, "\"v=spf1 mx -all\"" },
	{ "mx.secure.test", RR_A, "127.0.42.2" },
	{ "mx.secure.test", RR_AAAA, "2001:db8::2" },
	{ "_25._tcp.mx.secure.test", RR_TLSA, "3 1 1 00112233445566778899aabbccddeeff"
	    "00112233445566778899aabbccddeeff" },
	{ "*.wild.secure.test", RR_TXT, "\"any\"" },
	{ "a.b.c.secure.test", RR_A, "127.0.42.9" },
	{ "alias.secure.test", RR_CNAME, "alias2.secure.test." },
	{ "alias2.secure.test", RR_CNAME, "mx.secure.test." },
	{ "_25._tcp.alias.secure.test", RR_CNAME, "_25._tcp.mx.secure.test." },
	{ "to-insecure.secure.test", RR_CNAME, "mx.insecure.test." },
	{ "to-bogus.secure.test", RR_CNAME, "mx.bogus.test." },
	{ "to-nothing.secure.test", RR_CNAME, "nothing.example.org." },
	{ "null.secure.test", RR_MX, "0 ." },
	{ "insecure.test", RR_MX, "10 mx.insecure.test." },
	{ "mx.insecure.test", RR_A, "127.0.42.3" },
	{ "_25._tcp.mx.insecure.test", RR_TLSA, "3 1 1 ab" },
	{ "to-secure.insecure.test", RR_CNAME, "mx.secure.test." },
	{ "bogus.test", RR_MX, "10 mx.bogus.test." },
	{ "mx.bogus.test", RR_A, "127.0.42.4" },
	{ "tampered.test", RR_MX, "10 mx.tampered.test." },
	{ "mx.tampered.test", RR_A, "127.0.42.5" },
	{ "_25._tcp.mx.tampered.test", RR_TLSA, "3 1 1 cd" },
	{ "nsec3.test", RR_TXT, "\"three\"" },
	{ "*.wild.nsec3.test", RR_TXT, "\"any\"" },
	{ "a.b.c.nsec3.test", RR_A, "127.0.42.6" },
	{ "opt-out.test", RR_TXT, "\"out\"" },
	{ "child.opt-out.test", RR_TXT, "\"child\"" },
	{ "child.secure.test", RR_TXT, "\"child\"" },
	{ "child.insecure.test", RR_TXT, "\"child\"" },
	{ "child.bogus.test", RR_TXT, "\"child\"" },
	{ "example.org", RR_MX, "10 mx.secure.test." },
	{ "2.42.0.127.in-addr.arpa", RR_PTR, "mx.secure.test." },
};

struct expected {
	const char   *name;
	uint16_t      type;
	enum answer   answer;
	enum security security;
	const char   *canonical;        /* NULL: the name itself */
};

#define FOUND     ANSWER_FOUND
#define NODATA    ANSWER_NODATA
#define NXDOMAIN  ANSWER_NXDOMAIN
#define BROKEN    ANSWER_BROKEN
#define SECURE    DNS_SECURE
#define INSECURE  DNS_INSECURE
#define BOGUS     DNS_BOGUS

static const struct expected world_cases[] = {
	{ "secure.test", RR_MX, FOUND, SECURE, NULL },
	{ "SECURE.test", RR_TXT, FOUND, SECURE, NULL },
	{ "mx.secure.test", RR_A, FOUND, SECURE, NULL },
	{ "mx.secure.test", RR_AAAA, FOUND, SECURE, NULL },
	{ "_25._tcp.mx.secure.test", RR_TLSA, FOUND, SECURE, NULL },
	{ "long.secure.test", RR_TXT, FOUND, SECURE, NULL },
	{ "null.secure.test", RR_MX, FOUND, SECURE, NULL },
	/* what is not there */
	{ "secure.test", RR_AAAA, NODATA, SECURE, NULL },
	{ "c.secure.test", RR_A, NODATA, SECURE, NULL },                /* an empty non-terminal */
	{ "nothing.secure.test", RR_A, NXDOMAIN, SECURE, NULL },
	{ "_25._tcp.secure.test", RR_TLSA, NXDOMAIN, SECURE, NULL },
	{ "nothing.test", RR_MX, NXDOMAIN, SECURE, NULL },
	{ "nothing.at.all", RR_A, NXDOMAIN, SECURE, NULL },
	{ "gmail.com", RR_MX, NXDOMAIN, SECURE, NULL },
	{ "org", RR_TXT, NODATA, SECURE, NULL },                        /* above example.org */
	/* wildcards (RFC 4592) */
	{ "x.wild.secure.test", RR_TXT, FOUND, SECURE, NULL },
	{ "y.x.wild.secure.test", RR_TXT, FOUND, SECURE, NULL },
	{ "x.wild.secure.test", RR_MX, NODATA, SECURE, NULL },
	{ "wild.secure.test", RR_TXT, NODATA, SECURE, NULL },
	/* CNAMEs: as secure as the weakest of the chain */
	{ "alias.secure.test", RR_A, FOUND, SECURE, "mx.secure.test" },
	{ "_25._tcp.alias.secure.test", RR_TLSA, FOUND, SECURE, "_25._tcp.mx.secure.test" },
	{ "to-insecure.secure.test", RR_A, FOUND, INSECURE, "mx.insecure.test" },
	{ "to-secure.insecure.test", RR_A, FOUND, INSECURE, "mx.secure.test" },
	{ "to-bogus.secure.test", RR_A, BROKEN, BOGUS, NULL },
	{ "to-nothing.secure.test", RR_A, NXDOMAIN, SECURE, "nothing.example.org" },
	/* not signed */
	{ "insecure.test", RR_MX, FOUND, INSECURE, NULL },
	{ "mx.insecure.test", RR_A, FOUND, INSECURE, NULL },
	{ "_25._tcp.mx.insecure.test", RR_TLSA, FOUND, INSECURE, NULL },
	{ "nothing.insecure.test", RR_A, NXDOMAIN, INSECURE, NULL },
	{ "child.insecure.test", RR_TXT, FOUND, INSECURE, NULL },
	/* signed, but not as it should be */
	{ "bogus.test", RR_MX, BROKEN, BOGUS, NULL },
	{ "mx.bogus.test", RR_A, BROKEN, BOGUS, NULL },
	{ "nothing.bogus.test", RR_A, BROKEN, BOGUS, NULL },
	{ "mx.bogus.test", RR_AAAA, BROKEN, BOGUS, NULL },
	{ "child.bogus.test", RR_TXT, BROKEN, BOGUS, NULL },
	{ "tampered.test", RR_MX, FOUND, SECURE, NULL },
	{ "mx.tampered.test", RR_A, FOUND, SECURE, NULL },
	{ "_25._tcp.mx.tampered.test", RR_TLSA, BROKEN, BOGUS, NULL },
	/* NSEC3 */
	{ "nsec3.test", RR_TXT, FOUND, SECURE, NULL },
	{ "nsec3.test", RR_MX, NODATA, SECURE, NULL },
	{ "c.nsec3.test", RR_A, NODATA, SECURE, NULL },
	{ "nothing.nsec3.test", RR_A, NXDOMAIN, SECURE, NULL },
	{ "x.wild.nsec3.test", RR_TXT, FOUND, SECURE, NULL },
	{ "x.wild.nsec3.test", RR_MX, NODATA, SECURE, NULL },
	{ "opt-out.test", RR_TXT, FOUND, SECURE, NULL },
	{ "nothing.opt-out.test", RR_A, NXDOMAIN, INSECURE, NULL },    /* RFC 5155 9.2 */
	{ "child.opt-out.test", RR_TXT, FOUND, INSECURE, NULL },
	/* elsewhere */
	{ "child.secure.test", RR_TXT, FOUND, SECURE, NULL },
	{ "example.org", RR_MX, FOUND, SECURE, NULL },
	{ "2.42.0.127.in-addr.arpa", RR_PTR, FOUND, SECURE, NULL },
	{ "3.42.0.127.in-addr.arpa", RR_PTR, NXDOMAIN, SECURE, NULL },
	{ "1.1.168.192.in-addr.arpa", RR_PTR, NXDOMAIN, SECURE, NULL },
	{ "1.0.0.127.in-addr.arpa", RR_PTR, NXDOMAIN, SECURE, NULL },
	{ "nothing.invalid", RR_A, NXDOMAIN, SECURE, NULL },
	{ "ns.test", RR_A, FOUND, SECURE, NULL },
	{ "test", RR_NS, FOUND, SECURE, NULL },
	{ "", RR_NS, NXDOMAIN, INSECURE, NULL },                       /* no name for a fact */
};

static char directory[100] = "/tmp/chainmail-lab-XXXXXX";

static void
make_directory(void)
{
	bug_if(mkdtemp(directory) == NULL);
}

/* Where ldns-signzone is; NULL: nowhere, and these tests are skipped. */
static const char *
signer(void)
{
	static char path[1000];
	struct slice dirs = slice(getenv("PATH")), dir;

	while (slice_cut(&dirs, ':', &dir)) {
		snprintf(path, sizeof path, "%.*s/ldns-signzone", FMT(dir));
		if (access(path, X_OK) == 0)
			return path;
	}
	puts("ok - zones are signed # skip ldns-signzone is not there (Debian package ldnsutils)");
	return NULL;
}

static struct zones *
new_zones(const char *name, struct error *why)
{
	char path[200];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return zones_new(&(struct zones_options){ .directory = path, .seed = 42, .now = NOW }, why);
}

static struct zones *
new_world(const char *name)
{
	struct error why = { 0 };
	struct zones *zs = new_zones(name, &why);
	char *long_text = must_alloc(LONG_TEXT);

	for (size_t i = 0; i < COUNT(domains); i++)
		if (!zones_domain(zs, slice(domains[i].name), domains[i].security, domains[i].denial,
		    &why))
			fail_msg("%s", why.text);
	for (size_t i = 0; i < COUNT(records); i++)
		if (!zones_add_text(zs, slice(records[i].name), records[i].type,
		    slice(records[i].data), &why))
			fail_msg("%s", why.text);
	memset(long_text, 'x', LONG_TEXT);
	assert_true(zones_add(zs, S("long.secure.test"), RR_TXT,
	    &(struct record){ .data = slice_of(long_text, LONG_TEXT) }, &why));
	free(long_text);
	zones_tamper(zs, S("_25._tcp.mx.tampered.test"), RR_TLSA, true);
	if (!zones_publish(zs, &why))
		fail_msg("%s", why.text);
	return zs;
}

static struct zones *zones;             /* of the whole world, for tests that change nothing */

static inline int
begin(void **state)
{
	(void)state;
	make_directory();
	zones = new_world("world");
	return 0;
}

static inline int
end(void **state)
{
	(void)state;
	zones_free(zones);
	dir_remove(directory, NULL);
	return 0;
}

#endif
