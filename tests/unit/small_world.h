/* SPDX-License-Identifier: ISC */
/*
 * small_world -- four zones by hand, for tests of lab/answer: signed by NSEC,
 * with one broken signature; not signed; and RFC 5155's example.  No signature
 * is a true one: nobody validates here.
 */
#ifndef TESTS_SMALL_WORLD_H
#define TESTS_SMALL_WORLD_H

#include "base/bug.h"
#include "lab/answer.h"

#define SIG(name, type, zone) name " 60 IN RRSIG " type " 15 2 60 20360529120000 20210602120000 7 " \
	zone " c2lnbmVk"
#define SOA(zone) zone " 60 IN SOA ns.test. h.test. 1 1 1 1 1\n"

static const char ROOT[] = SOA(".") SIG(".", "SOA", ".") "\n"
    ". 60 IN NSEC test. NS SOA RRSIG NSEC\n" SIG(".", "NSEC", ".") "\n"
    "test. 60 IN NS ns.test.\n"
    "test. 60 IN DS 1 15 2 00\n" SIG("test.", "DS", ".") "\n"
    "test. 60 IN NSEC . NS DS RRSIG NSEC\n" SIG("test.", "NSEC", ".") "\n";

static const char TEST[] = SOA("test.") SIG("test.", "SOA", "test.") "\n"
    "test. 60 IN NSEC a.test. NS SOA RRSIG NSEC\n" SIG("test.", "NSEC", "test.") "\n"
    "a.test. 60 IN A 192.0.2.1\na.test. 60 IN A 192.0.2.2\n" SIG("a.test.", "A", "test.") "\n"
    "a.test. 60 IN TXT \"text\"\n" SIG("a.test.", "TXT", "test.") "\n"
    "a.test. 60 IN NSEC b.c.test. A TXT RRSIG NSEC\n" SIG("a.test.", "NSEC", "test.") "\n"
    "b.c.test. 60 IN CNAME a.test.\n" SIG("b.c.test.", "CNAME", "test.") "\n"
    "b.c.test. 60 IN NSEC f.test. CNAME RRSIG NSEC\n" SIG("b.c.test.", "NSEC", "test.") "\n"
    "f.test. 60 IN TXT \"false\"\n" SIG("f.test.", "TXT", "test.") " ;bogus\n"
    "f.test. 60 IN NSEC i.test. A RRSIG NSEC\n" SIG("f.test.", "NSEC", "test.") "\n"
    "i.test. 60 IN NS ns.test.\n"
    "i.test. 60 IN NSEC *.w.test. NS RRSIG NSEC\n" SIG("i.test.", "NSEC", "test.") "\n"
    "*.w.test. 60 IN MX 5 a.test.\n" SIG("*.w.test.", "MX", "test.") "\n"
    "*.w.test. 60 IN NSEC test. MX RRSIG NSEC\n" SIG("*.w.test.", "NSEC", "test.") "\n";

static const char INSECURE_ZONE[] = SOA("i.test.")
    "i.test. 60 IN TXT \"i\"\nl.i.test. 60 IN CNAME l.i.test.\nc.i.test. 60 IN CNAME a.test.\n";

/* The zone of RFC 5155, Appendix A, as far as its proofs need it. */
#define HASHED(one, next, types) one ".example. 60 IN NSEC3 1 1 12 aabbccdd " next " " types "\n"
static const char EXAMPLE[] = SOA("example.")
    "example. 60 IN NSEC3PARAM 1 0 12 aabbccdd\n"
    "a.example. 60 IN NS ns1.a.example.\n"
    "ns1.example. 60 IN A 192.0.2.1\n"
    "*.w.example. 60 IN MX 1 ai.example.\n"
    "x.w.example. 60 IN MX 1 xx.example.\n"
    "x.y.w.example. 60 IN MX 1 xx.example.\n"
    HASHED("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr", "MX NS SOA RRSIG")
    HASHED("2t7b4g4vsa5smi47k61mv5bv1a22bojr", "2vptu5timamqttgl4luu9kg21e0aor3s", "A RRSIG")
    HASHED("2vptu5timamqttgl4luu9kg21e0aor3s", "35mthgpgcu1qg68fab165klnsnk3dpvl", "MX RRSIG")
    HASHED("35mthgpgcu1qg68fab165klnsnk3dpvl", "b4um86eghhds6nea196smvmlo4ors995", "NS DS RRSIG")
    HASHED("b4um86eghhds6nea196smvmlo4ors995", "gjeqe526plbf1g8mklp59enfd789njgi", "MX RRSIG")
    HASHED("gjeqe526plbf1g8mklp59enfd789njgi", "ji6neoaepv8b5o6k4ev33abha8ht9fgc", "A RRSIG")
    HASHED("ji6neoaepv8b5o6k4ev33abha8ht9fgc", "k8udemvp1j2f7eg6jebps17vp3n8i58h", "")
    HASHED("k8udemvp1j2f7eg6jebps17vp3n8i58h", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi", "")
    HASHED("kohar7mbb8dc2ce8a9qvl8hon4k53uhi", "q04jkcevqvmu85r014c7dkba38o0ji5r", "A RRSIG")
    HASHED("q04jkcevqvmu85r014c7dkba38o0ji5r", "r53bq7cc2uvmubfu5ocmm6pers9tk9en", "A RRSIG")
    HASHED("r53bq7cc2uvmubfu5ocmm6pers9tk9en", "t644ebqk9bibcna874givr6joj62mlhv", "MX RRSIG")
    HASHED("t644ebqk9bibcna874givr6joj62mlhv", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "A RRSIG");

static struct dns_zone small_zones[4];

/* Lives as long as the arena. */
static struct dns_world *
small_world(struct arena *arena)
{
	static const struct { const char *name, *text; enum security chain; } from[] = {
		{ "", ROOT, DNS_SECURE }, { "test", TEST, DNS_SECURE },
		{ "i.test", INSECURE_ZONE, DNS_INSECURE }, { "example", EXAMPLE, DNS_INSECURE },
	};

	for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
		small_zones[i].chain = from[i].chain;
		bug_if(!records_read(slice(from[i].name), slice(from[i].text), arena,
		    &small_zones[i].records, NULL));
	}
	return dns_world_new(small_zones, sizeof from / sizeof *from);
}

#endif
