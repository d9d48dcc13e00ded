/* SPDX-License-Identifier: ISC */
/*
 * The transport decision as a table: what stands in the DNS, what the domain's
 * MTA-STS policy, the configuration and the message say -> the plan, in its own
 * words (plan_text).  Mail is for a.test, and this host is us.test.
 *
 * Second table: what a session found -> what follows.
 */
#include <openssl/x509_vfy.h>

#include "delivery/judge.h"
#include "delivery/secure.h"
#include "dns/zone.h"
#include "unit.h"

#define H31 "112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define H32 "00" H31
#define H64 H32 H32

#define SIGNED "@secure a.test\n"
#define MX     "a.test MX 10 mx.a.test\n"
#define MX2    "a.test MX 20 mx2.a.test\n"
#define HOST   "mx.a.test A 192.0.2.1\n"
#define HOST2  "mx2.a.test A 192.0.2.2\n"
#define EE     "_25._tcp.mx.a.test TLSA 3 1 1 " H32 "\n"          /* usable: DANE-EE … */
#define TA     "_25._tcp.mx.a.test TLSA 2 1 1 " H32 "\n"          /* … and DANE-TA */
#define BAD    "_25._tcp.mx.a.test TLSA 1 1 1 " H32 "\n"          /* unusable */
#define BOGUS_TLSA "_25._tcp.mx.a.test TLSA !bogus\n"

/*
 * The words of `with`:
 *     MODE=PATTERN,…    the domain's MTA-STS policy: enforce, testing, none
 *     encrypt verified require-dane require-sts require-dane-or-sts    tls …
 *     dane-off sts-off  via=HOST  port=N                               the configuration
 *     requiretls optional null-sender                                  the message
 *     to=[ADDRESS]                                                     another destination
 */
static const struct { const char *rfc, *zone, *with, *plan; } rows[] = {

	/* --- there is nobody to go to: STANDARDS J1, A18, A21 --- */
	{ "5321 5.1", "b.test A 192.0.2.1\n", "",
	  "no: 5.1.2 there is no domain a.test\n" },
	{ "7505 3", "a.test MX 0 .\n" HOST, "",
	  "no: 5.1.10 a.test takes no mail (null MX)\n" },
	{ "5321 5.1", "a.test MX !servfail\n" HOST, "",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: SERVFAIL\n" },
	{ "5321 5.1", "a.test MX !timeout\n" HOST, "",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: timeout\n" },
	{ "7672 2.1.2", "a.test MX !bogus\n" HOST, "",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: DNSSEC validation failed\n" },
	{ "7672 2.1.2", "a.test MX !bogus\n" HOST, "optional",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: DNSSEC validation failed\n" },
	{ "5321 5.1", MX "mx.a.test TXT x\n", "",
	  "no: 5.4.4 mx.a.test has no usable address\n" },
	{ "5321 5.1", MX "mx.a.test A !servfail\n", "",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: SERVFAIL\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test A !bogus\n" EE, "",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: DNSSEC validation failed\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test A !bogus\n" EE, "optional",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: DNSSEC validation failed\n" },
	{ "5321 5.1", "a.test MX 10 us.test\n", "",
	  "no: 5.4.6 mail for a.test loops back to this host\n" },
	{ "5321 5.1", "a.test TXT x\n", "",
	  "no: 5.4.4 a.test has no usable address\n" },
	{ "5321 5.1", MX "mx.a.test A 127.0.0.1\n", "",
	  "no: 5.4.4 mx.a.test has no usable address\n" },

	/* --- nothing is published: opportunistic TLS (RFC 7435, RFC 3207) --- */
	{ "7672 2.2", MX HOST, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "5321 5.1", "a.test A 192.0.2.1\n", "",
	  "0 a.test  needs nothing; no-policy-found a.test\n" },
	{ "5321 5.1", "a.test CNAME c.test\nc.test MX 10 mx.a.test\n" HOST, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "5321 5.1", "a.test CNAME c.test\nc.test A 192.0.2.1\n", "",
	  "0 a.test  needs nothing; no-policy-found a.test\n" },
	{ "5321 5.1", "a.test MX 20 mx2.a.test\n" MX HOST HOST2, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n"
	  "20 mx2.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2", MX HOST EE, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "5321 5.1", "", "to=[192.0.2.1]",
	  "0 [192.0.2.1]  needs nothing; no-policy-found [192.0.2.1]\n" },
	{ "8461 3.1", "", "to=[192.0.2.1] enforce=mx.a.test",
	  "0 [192.0.2.1]  needs nothing; no-policy-found [192.0.2.1]\n" },
	{ "7672 2.2.1", "@secure mx.a.test\n@secure _25._tcp.mx.a.test\n" MX HOST EE, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2.1", "@secure mx.a.test\n" MX HOST BOGUS_TLSA, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },

	/* --- DANE: the states of MX, address and TLSA answers (STANDARDS J8) --- */
	{ "7672 2.2.3", SIGNED MX HOST, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2", SIGNED MX HOST EE, "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2", SIGNED MX HOST TA, "",
	  "10 mx.a.test  needs dane 2.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2", SIGNED MX HOST BAD, "",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "7672 3.1.3", SIGNED MX HOST "_25._tcp.mx.a.test TLSA 0 1 1 " H32 "\n", "",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "7671 5", SIGNED MX HOST EE BAD, "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7671 9", SIGNED MX HOST EE "_25._tcp.mx.a.test TLSA 3 1 2 " H64 "\n", "",
	  "10 mx.a.test  needs dane 3.1.2, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7671 8.1", SIGNED MX HOST EE "_25._tcp.mx.a.test TLSA 3 1 1 ff" H31 "\n", "",
	  "10 mx.a.test  needs dane 3.1.1 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 3.1", SIGNED MX HOST EE TA, "",
	  "10 mx.a.test  needs dane 2.1.1 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.1.2", SIGNED MX HOST BOGUS_TLSA, "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "7672 2.1.2", SIGNED MX HOST "_25._tcp.mx.a.test TLSA !servfail\n", "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: SERVFAIL; tlsa mx.a.test "
	  "dnssec-invalid\n" },
	{ "7672 2.1.2", SIGNED MX HOST "_25._tcp.mx.a.test TLSA !timeout\n", "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: timeout; tlsa mx.a.test "
	  "dnssec-invalid\n" },
	{ "7672 2.2.2", "@secure a.test\n" "a.test MX 10 mx.b.test\n" "mx.b.test A 192.0.2.1\n"
	  "_25._tcp.mx.b.test TLSA !servfail\n", "",
	  "10 mx.b.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2.2", "@secure a.test\n" "@secure b.test\n" "a.test MX 10 mx.b.test\n" "mx.b.test A 192.0.2.1\n"
	  "_25._tcp.mx.b.test TLSA 3 1 1 " H32 "\n", "",
	  "10 mx.b.test  needs dane 3.1.1, names mx.b.test a.test; tlsa mx.b.test\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test A !servfail\nmx.a.test AAAA 2001:db8::1\n" EE, "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2.3", SIGNED MX HOST "_25._tcp.mx.a.test CNAME tlsa.b.test\ntlsa.b.test TLSA 3 1 1 " H32 "\n", "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2.3", SIGNED "@secure b.test\n" MX HOST "_25._tcp.mx.a.test CNAME tlsa.b.test\ntlsa.b.test TLSA 3 1 1 "
	  H32 "\n", "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2.2", SIGNED MX HOST "_2525._tcp.mx.a.test TLSA 3 1 1 " H32 "\n", "port=2525",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2.2", SIGNED MX HOST EE, "port=2525",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 6", SIGNED MX HOST EE, "dane-off",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 6", SIGNED MX HOST BOGUS_TLSA, "dane-off",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },

	{ "7672 2.2", SIGNED MX HOST "_25._tcp.mx.a.test TLSA 3 1 1 0011223344556677\n", "",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "7671 5", SIGNED MX HOST "_25._tcp.mx.a.test TLSA 3 2 1 " H32 "\n", "",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "7672 2.2", SIGNED MX HOST "_25._tcp.mx.a.test TLSA 255 1 1 " H32 "\n", "",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test AAAA 2001:db8::1\n" EE, "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.1.2", SIGNED MX "mx.a.test A !timeout\n" EE, "",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: timeout\n" },

	/* --- DANE: no MX records, CNAMEs, and the names a certificate may have (RFC 7672 2.2.2, 3.2.2) --- */
	{ "7672 2.2.2", SIGNED "a.test A 192.0.2.1\n_25._tcp.a.test TLSA 2 1 1 " H32 "\n", "",
	  "0 a.test  needs dane 2.1.1, names a.test; tlsa a.test\n" },
	{ "7672 2.2.2", SIGNED "@secure c.test\na.test CNAME c.test\nc.test A 192.0.2.1\n_25._tcp.c.test TLSA 2 1 1 " H32
	  "\n", "",
	  "0 a.test  needs dane 2.1.1, names c.test a.test; tlsa c.test\n" },
	{ "7672 2.2.1", SIGNED "a.test CNAME c.test\nc.test A 192.0.2.1\n_25._tcp.a.test TLSA 2 1 1 " H32 "\n", "",
	  "0 a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 3.2.2", SIGNED "@secure c.test\na.test CNAME c.test\nc.test MX 10 mx.a.test\n" HOST TA, "",
	  "10 mx.a.test  needs dane 2.1.1, names mx.a.test a.test c.test; tlsa mx.a.test\n" },
	{ "7672 2.2.1", SIGNED "a.test CNAME c.test\nc.test MX 10 mx.a.test\n" HOST TA, "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2.2", SIGNED MX "@secure b.test\n" "mx.a.test CNAME mx.b.test\n" "mx.b.test A 192.0.2.1\n"
	  "_25._tcp.mx.b.test TLSA 2 1 1 " H32 "\n", "",
	  "10 mx.a.test  needs dane 2.1.1, names mx.b.test a.test; tlsa mx.b.test\n" },
	{ "7672 2.2.2", SIGNED MX "@secure b.test\nmx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n" TA, "",
	  "10 mx.a.test  needs dane 2.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n" TA, "",
	  "10 mx.a.test  needs dane 2.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n" BOGUS_TLSA, "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "7672 2.2.2", SIGNED MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n_25._tcp.mx.b.test TLSA 2 1 1 " H32
	  "\n", "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2.2", SIGNED MX "@secure b.test\n" "mx.a.test CNAME y.b.test\n" "y.b.test CNAME mx.b.test\n"
	  "mx.b.test A 192.0.2.1\n" "_25._tcp.y.b.test TLSA 2 1 1 " H32 "\n", "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.1.2", SIGNED MX "@secure b.test\n" "mx.a.test CNAME mx.b.test\n" "mx.b.test A 192.0.2.1\n"
	  "_25._tcp.mx.b.test TLSA !bogus\n" TA, "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.b.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "7672 2.1.2", SIGNED MX "mx.a.test CNAME mx.b.test\nmx.b.test A !bogus\n" TA, "",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: DNSSEC validation failed\n" },

	/* --- MTA-STS alone (RFC 8461 4, 5) --- */
	{ "8461 5", MX HOST, "enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 4.1", MX HOST, "enforce=*.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 4.1", MX HOST, "enforce=mx.b.test,MX.A.TEST",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 4.1", MX HOST, "enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 4.1", MX HOST, "enforce=*.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 4.1", MX HOST, "enforce=a.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 5", MX HOST, "testing=mx.a.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test\n" },
	{ "8461 5", MX HOST, "testing=mx.b.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test validation-failure\n" },
	{ "8461 8.3", MX HOST, "none=mx.a.test",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "8461 5", MX HOST, "enforce=mx.a.test sts-off",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "8461 4.1", "a.test A 192.0.2.1\n", "enforce=a.test",
	  "0 a.test  needs pkix, names a.test; sts a.test\n" },
	{ "8461 4.1", "a.test A 192.0.2.1\n", "enforce=mx.a.test",
	  "0 a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 4.1", MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n", "enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 4.1", MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n", "enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 4.1", "a.test CNAME c.test\nc.test MX 10 mx.a.test\n" HOST, "enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 5", MX "mx.a.test A !servfail\n", "enforce=mx.a.test",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: SERVFAIL\n" },

	{ "8461 5", "a.test MX !servfail\n" HOST, "enforce=mx.a.test",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: SERVFAIL\n" },
	{ "8461 5", "a.test MX !timeout\n" HOST, "enforce=mx.a.test",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: timeout\n" },
	{ "8461 2", "a.test MX !bogus\n" HOST, "enforce=mx.a.test",
	  "no: 4.4.3 DNS: the MX records of a.test cannot be looked up: DNSSEC validation failed\n" },
	{ "7505 3", "a.test MX 0 .\n", "enforce=mx.a.test",
	  "no: 5.1.10 a.test takes no mail (null MX)\n" },

	/* --- DANE and MTA-STS on one domain (RFC 8461 2; STANDARDS F5) --- */
	{ "8461 2", SIGNED MX HOST, "enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST, "enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 2", SIGNED MX HOST, "testing=mx.a.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST, "testing=mx.b.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test validation-failure\n" },
	{ "8461 2", SIGNED MX HOST, "none=mx.a.test",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "enforce=mx.a.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "enforce=mx.b.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "testing=mx.a.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "testing=mx.b.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "none=mx.a.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST BAD, "enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST BAD, "enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 2", SIGNED MX HOST BAD, "testing=mx.a.test",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "8461 2", SIGNED MX HOST BAD, "testing=mx.b.test",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "8461 2", SIGNED MX HOST BAD, "none=mx.a.test",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "testing=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "testing=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "none=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 2", SIGNED MX HOST "_25._tcp.mx.a.test TLSA !servfail\n", "enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: SERVFAIL; tlsa mx.a.test "
	  "dnssec-invalid\n" },
	{ "8461 2", SIGNED MX HOST "_25._tcp.mx.a.test TLSA !timeout\n", "enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: timeout; tlsa mx.a.test "
	  "dnssec-invalid\n" },
	{ "8461 2", SIGNED "a.test A 192.0.2.1\n_25._tcp.a.test TLSA 3 1 1 " H32 "\n", "enforce=mx.a.test",
	  "0 a.test  needs dane 3.1.1, names a.test; tlsa a.test\n" },
	{ "7672 2.2.1", MX HOST EE, "enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "enforce=mx.a.test dane-off",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "enforce=mx.a.test dane-off",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "enforce=mx.b.test sts-off",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },

	/* --- several hosts: each by itself, in the order of the MX records --- */
	{ "7672 2.2.1", SIGNED MX MX2 HOST HOST2 EE, "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n"
	  "20 mx2.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.2.1", SIGNED MX MX2 HOST HOST2 "_25._tcp.mx2.a.test TLSA 3 1 1 " H32 "\n", "",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n"
	  "20 mx2.a.test  needs dane 3.1.1, names mx2.a.test a.test; tlsa mx2.a.test\n" },
	{ "7672 2.1.2", SIGNED MX MX2 HOST HOST2 BOGUS_TLSA, "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n"
	  "20 mx2.a.test  needs nothing; no-policy-found a.test\n" },
	{ "7672 2.1.2", SIGNED MX MX2 HOST HOST2 BOGUS_TLSA "_25._tcp.mx2.a.test TLSA !servfail\n", "",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n"
	  "20 mx2.a.test  no: 4.7.5 DANE: the TLSA records of mx2.a.test cannot be looked up: SERVFAIL; tlsa "
	  "mx2.a.test dnssec-invalid\n" },
	{ "8461 4.1", MX MX2 HOST HOST2, "enforce=mx2.a.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n"
	  "20 mx2.a.test  needs pkix, names mx2.a.test; sts a.test\n" },
	{ "8461 4.1", MX MX2 HOST HOST2, "enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n"
	  "20 mx2.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx2.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 5", MX MX2 HOST2 "mx.a.test A !timeout\n", "enforce=mx2.a.test",
	  "10 mx.a.test  no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: timeout; no-policy-found a.test\n"
	  "20 mx2.a.test  needs pkix, names mx2.a.test; sts a.test\n" },
	{ "8461 5", MX MX2 HOST "mx2.a.test TXT x\n", "enforce=mx2.a.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n"
	  "20 mx2.a.test  no: 5.4.4 mx2.a.test has no usable address; no-policy-found a.test\n" },
	{ "8461 2", SIGNED MX MX2 HOST HOST2 EE, "enforce=mx2.a.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n"
	  "20 mx2.a.test  needs pkix, names mx2.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX MX2 HOST HOST2 EE, "enforce=mx.a.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n"
	  "20 mx2.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx2.a.test; sts a.test "
	  "validation-failure\n" },
	{ "7672 2.2.1", SIGNED MX "a.test MX 20 mx.b.test\nmx.b.test A 192.0.2.2\n" HOST EE, "",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n"
	  "20 mx.b.test  needs nothing; no-policy-found a.test\n" },

	/* --- `tls require encrypt` --- */
	{ "3207 4.1", MX HOST, "encrypt",
	  "10 mx.a.test  needs tls; no-policy-found a.test\n" },
	{ "3207 4.1", "", "to=[192.0.2.1] encrypt",
	  "0 [192.0.2.1]  needs tls; no-policy-found [192.0.2.1]\n" },
	{ "7672 2.2", SIGNED MX HOST EE, "encrypt",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2", SIGNED MX HOST BAD, "encrypt",
	  "10 mx.a.test  needs tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "8461 5", MX HOST, "encrypt enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 5", MX HOST, "encrypt testing=mx.a.test",
	  "10 mx.a.test  needs tls, watches pkix, names mx.a.test; sts a.test\n" },

	/* --- `tls require verified` --- */
	{ "7435 3", MX HOST, "verified",
	  "10 mx.a.test  needs pkix, names mx.a.test a.test; no-policy-found a.test\n" },
	{ "7435 3", SIGNED MX HOST, "verified",
	  "10 mx.a.test  needs pkix, names mx.a.test a.test; no-policy-found a.test\n" },
	{ "7672 2.2", SIGNED MX HOST EE, "verified",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 2.2", SIGNED MX HOST BAD, "verified",
	  "10 mx.a.test  needs pkix, names mx.a.test a.test; tlsa mx.a.test tlsa-invalid\n" },
	{ "7672 2.1.2", SIGNED MX HOST BOGUS_TLSA, "verified",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 5", MX HOST, "verified enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 5", MX HOST, "verified enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 5", MX HOST, "verified testing=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "5321 4.1.3", "", "to=[192.0.2.1] verified",
	  "0 [192.0.2.1]  no: 4.7.5 tls require verified: no certificate proves the address [192.0.2.1]; "
	  "no-policy-found [192.0.2.1]\n" },

	/* --- `tls require dane` (RFC 7672 6) --- */
	{ "7672 6", SIGNED MX HOST EE, "require-dane",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "7672 6", SIGNED MX HOST, "require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: it has no secure TLSA "
	  "records; tlsa mx.a.test dane-required\n" },
	{ "7672 6", SIGNED MX HOST BAD, "require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: none of its TLSA records is "
	  "usable; tlsa mx.a.test dane-required\n" },
	{ "7672 6", SIGNED MX HOST BOGUS_TLSA, "require-dane",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "7672 6", MX HOST EE, "require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: the MX records are not "
	  "signed; tlsa mx.a.test dane-required\n" },
	{ "7672 6", SIGNED MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n", "require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: it has no secure TLSA "
	  "records; tlsa mx.a.test dane-required\n" },
	{ "7672 6", "@secure a.test\na.test MX 10 mx.b.test\nmx.b.test A 192.0.2.1\n", "require-dane",
	  "10 mx.b.test  no: 4.7.5 tls require dane: mx.b.test cannot be proved by DANE: its addresses are not signed; "
	  "tlsa mx.b.test dane-required\n" },
	{ "7672 6", MX HOST, "require-dane enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: the MX records are not "
	  "signed; tlsa mx.a.test dane-required\n" },
	{ "7672 6", SIGNED MX HOST EE, "require-dane dane-off",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: DANE is off here; tlsa "
	  "mx.a.test dane-required\n" },
	{ "7672 6", "", "to=[192.0.2.1] require-dane",
	  "0 [192.0.2.1]  no: 4.7.5 tls require dane: [192.0.2.1] cannot be proved by DANE: an address has no TLSA "
	  "records; tlsa [192.0.2.1] dane-required\n" },
	{ "7672 6", SIGNED MX MX2 HOST HOST2 "_25._tcp.mx2.a.test TLSA 3 1 1 " H32 "\n", "require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: it has no secure TLSA "
	  "records; tlsa mx.a.test dane-required\n"
	  "20 mx2.a.test  needs dane 3.1.1, names mx2.a.test a.test; tlsa mx2.a.test\n" },

	/* --- `tls require sts` --- */
	{ "8461 5", MX HOST, "require-sts enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 5", MX HOST, "require-sts testing=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 5", MX HOST, "require-sts enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 5", MX HOST, "require-sts testing=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 tls require sts: the policy of a.test (mode testing) does not list mx.a.test; sts "
	  "a.test validation-failure\n" },
	{ "8461 5", MX HOST, "require-sts none=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 tls require sts: no MTA-STS policy of a.test applies; no-policy-found a.test\n" },
	{ "8461 5", MX HOST, "require-sts",
	  "10 mx.a.test  no: 4.7.5 tls require sts: no MTA-STS policy of a.test applies; no-policy-found a.test\n" },
	{ "8461 5", MX HOST, "require-sts sts-off enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 tls require sts: no MTA-STS policy of a.test applies; no-policy-found a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "require-sts enforce=mx.a.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "require-sts enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 tls require sts: the policy of a.test (mode enforce) does not list mx.a.test; sts "
	  "a.test validation-failure\n" },
	{ "8461 2", SIGNED MX HOST EE, "require-sts",
	  "10 mx.a.test  no: 4.7.5 tls require sts: no MTA-STS policy of a.test applies; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "require-sts enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 3.1", "", "to=[192.0.2.1] require-sts enforce=mx.a.test",
	  "0 [192.0.2.1]  no: 4.7.5 tls require sts: no MTA-STS policy of [192.0.2.1] applies; no-policy-found "
	  "[192.0.2.1]\n" },

	/* --- `tls require dane-or-sts` --- */
	{ "8461 2", SIGNED MX HOST EE, "require-dane-or-sts",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", SIGNED MX HOST EE, "require-dane-or-sts enforce=mx.b.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8461 2", MX HOST, "require-dane-or-sts enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", MX HOST, "require-dane-or-sts testing=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", MX HOST, "require-dane-or-sts enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8461 2", SIGNED MX HOST BAD, "require-dane-or-sts",
	  "10 mx.a.test  no: 4.7.5 tls require dane-or-sts: no MTA-STS policy of a.test applies, and DANE cannot prove "
	  "the host; tlsa mx.a.test tlsa-invalid\n" },
	{ "8461 2", SIGNED MX HOST BAD, "require-dane-or-sts enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8461 2", SIGNED MX HOST BOGUS_TLSA, "require-dane-or-sts enforce=mx.a.test",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8461 2", MX HOST, "require-dane-or-sts",
	  "10 mx.a.test  no: 4.7.5 tls require dane-or-sts: no MTA-STS policy of a.test applies, and DANE cannot prove "
	  "the host; no-policy-found a.test\n" },

	/* --- TLS-Required: No (RFC 8689 3, 4.2.2): policies are looked at, and let pass --- */
	{ "8689 4.2.2", MX HOST, "optional",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional",
	  "10 mx.a.test  needs nothing, watches dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8689 4.2.2", SIGNED MX HOST BAD, "optional",
	  "10 mx.a.test  needs nothing, watches tls; tlsa mx.a.test tlsa-invalid\n" },
	{ "8689 4.2.2", SIGNED MX HOST BOGUS_TLSA, "optional",
	  "10 mx.a.test  needs nothing; tlsa mx.a.test dnssec-invalid\n" },
	{ "8689 4.2.2", MX HOST, "optional enforce=mx.a.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test\n" },
	{ "8689 4.2.2", MX HOST, "optional enforce=mx.b.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test validation-failure\n" },
	{ "8689 4.2.2", MX HOST, "optional testing=mx.a.test",
	  "10 mx.a.test  needs nothing, watches pkix, names mx.a.test; sts a.test\n" },
	{ "8689 4.2.2", MX HOST, "optional encrypt",
	  "10 mx.a.test  needs tls; no-policy-found a.test\n" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional encrypt",
	  "10 mx.a.test  needs tls, watches dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional verified",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8689 4.2.2", SIGNED MX HOST BOGUS_TLSA, "optional verified",
	  "10 mx.a.test  needs pkix, names mx.a.test a.test; tlsa mx.a.test dnssec-invalid\n" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional require-dane",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8689 4.2.2", SIGNED MX HOST BOGUS_TLSA, "optional require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: the TLSA records of mx.a.test "
	  "cannot be looked up: DNSSEC validation failed; tlsa mx.a.test dnssec-invalid\n" },
	{ "8689 4.2.2", MX HOST, "optional require-sts enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },
	{ "8689 4.2.2", MX HOST, "optional require-sts enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 tls require sts: the policy of a.test (mode enforce) does not list mx.a.test; sts "
	  "a.test validation-failure\n" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional require-dane-or-sts",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },

	/* --- REQUIRETLS (RFC 8689 4.2.1) --- */
	{ "8689 4.2.1", SIGNED MX HOST EE, "requiretls",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test, requiretls; tlsa mx.a.test\n" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls",
	  "10 mx.a.test  needs pkix, names mx.a.test, requiretls; no-policy-found a.test\n" },
	{ "8689 4.2.1", SIGNED MX HOST BAD, "requiretls",
	  "10 mx.a.test  needs pkix, names mx.a.test, requiretls; tlsa mx.a.test tlsa-invalid\n" },
	{ "8689 4.2.1", SIGNED MX HOST BOGUS_TLSA, "requiretls",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8689 4.2.1", MX HOST, "requiretls",
	  "10 mx.a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to mx.a.test: its MX records "
	  "are not signed and no MTA-STS policy lists the host; no-policy-found a.test\n" },
	{ "8689 4.2.1", MX HOST, "requiretls enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test, requiretls; sts a.test\n" },
	{ "8689 4.2.1", MX HOST, "requiretls testing=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test, requiretls; sts a.test\n" },
	{ "8689 4.2.1", MX HOST, "requiretls enforce=mx.b.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n" },
	{ "8689 4.2.1", MX HOST, "requiretls testing=mx.b.test",
	  "10 mx.a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to mx.a.test: its MX records "
	  "are not signed and no MTA-STS policy lists the host; sts a.test validation-failure\n" },
	{ "8689 4.2.1", MX HOST, "requiretls none=mx.a.test",
	  "10 mx.a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to mx.a.test: its MX records "
	  "are not signed and no MTA-STS policy lists the host; no-policy-found a.test\n" },
	{ "8689 4.2.1", SIGNED MX HOST EE, "requiretls dane-off",
	  "10 mx.a.test  needs pkix, names mx.a.test, requiretls; no-policy-found a.test\n" },
	{ "8689 4.2.1", SIGNED "a.test A 192.0.2.1\n", "requiretls",
	  "0 a.test  needs pkix, names a.test, requiretls; no-policy-found a.test\n" },
	{ "8689 4.2.1", "a.test A 192.0.2.1\n", "requiretls",
	  "0 a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to a.test: its MX records are not "
	  "signed and no MTA-STS policy lists the host; no-policy-found a.test\n" },
	{ "8689 4.2.1", "", "to=[192.0.2.1] requiretls",
	  "0 [192.0.2.1]  no: 5.7.10 REQUIRETLS: no certificate proves the address [192.0.2.1]; no-policy-found "
	  "[192.0.2.1]\n" },
	{ "8689 4.2.1", MX HOST, "requiretls encrypt",
	  "10 mx.a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to mx.a.test: its MX records "
	  "are not signed and no MTA-STS policy lists the host; no-policy-found a.test\n" },
	{ "8689 4.2.1", MX MX2 HOST HOST2, "requiretls enforce=mx2.a.test",
	  "10 mx.a.test  no: 4.7.5 MTA-STS: the policy of a.test (mode enforce) does not list mx.a.test; sts a.test "
	  "validation-failure\n"
	  "20 mx2.a.test  needs pkix, names mx2.a.test, requiretls; sts a.test\n" },
	{ "8689 4.2.1", MX "mx.a.test A !servfail\n", "requiretls",
	  "no: 4.4.3 DNS: the addresses of mx.a.test cannot be looked up: SERVFAIL\n" },
	{ "8689 4.2.1", MX MX2 HOST "mx2.a.test A !servfail\n", "requiretls",
	  "10 mx.a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to mx.a.test: its MX records "
	  "are not signed and no MTA-STS policy lists the host; no-policy-found a.test\n"
	  "20 mx2.a.test  no: 4.4.3 DNS: the addresses of mx2.a.test cannot be looked up: SERVFAIL; no-policy-found "
	  "a.test\n" },
	{ "8689 4.2.1", SIGNED MX HOST TA, "requiretls",
	  "10 mx.a.test  needs dane 2.1.1, names mx.a.test a.test, requiretls; tlsa mx.a.test\n" },
	{ "8689 4.2.1", SIGNED MX HOST "_25._tcp.mx.a.test TLSA !servfail\n", "requiretls",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: SERVFAIL; tlsa mx.a.test "
	  "dnssec-invalid\n" },
	{ "8689 4.2.1", SIGNED MX HOST EE, "requiretls enforce=mx.b.test",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test, requiretls; tlsa mx.a.test\n" },
	{ "8689 4.2.1", MX HOST, "requiretls enforce=mx.a.test sts-off",
	  "10 mx.a.test  no: 5.7.10 REQUIRETLS: nothing proves that mail for a.test goes to mx.a.test: its MX records "
	  "are not signed and no MTA-STS policy lists the host; no-policy-found a.test\n" },
	{ "8689 4.2.1", MX HOST, "requiretls require-sts enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test, requiretls; sts a.test\n" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls require-dane",
	  "10 mx.a.test  no: 4.7.5 tls require dane: mx.a.test cannot be proved by DANE: it has no secure TLSA "
	  "records; tlsa mx.a.test dane-required\n" },
	{ "8689 4.2.1", "@secure r.test\nr.test A 192.0.2.7\n_25._tcp.r.test TLSA 2 1 1 " H32 "\n", "via=r.test requiretls",
	  "0 r.test  needs dane 2.1.1, names r.test, requiretls; tlsa r.test\n" },
	{ "8689 5", SIGNED MX HOST EE, "requiretls null-sender",
	  "10 mx.a.test  needs dane 3.1.1, names mx.a.test a.test; tlsa mx.a.test\n" },
	{ "8689 5", SIGNED MX HOST BOGUS_TLSA, "requiretls null-sender",
	  "10 mx.a.test  no: 4.7.5 DANE: the TLSA records of mx.a.test cannot be looked up: DNSSEC validation failed; "
	  "tlsa mx.a.test dnssec-invalid\n" },
	{ "8689 5", MX HOST, "requiretls null-sender",
	  "10 mx.a.test  needs nothing; no-policy-found a.test\n" },
	{ "8689 5", MX HOST, "requiretls null-sender enforce=mx.a.test",
	  "10 mx.a.test  needs pkix, names mx.a.test; sts a.test\n" },

	/* --- a fixed next hop: `via HOST` (RFC 7672 2.2.2) --- */
	{ "7672 2.2.2", "r.test MX 10 mx.a.test\nr.test A 192.0.2.7\n" HOST, "via=r.test",
	  "0 r.test  needs nothing; no-policy-found r.test\n" },
	{ "7672 2.2.2", "@secure r.test\nr.test A 192.0.2.7\n_25._tcp.r.test TLSA 2 1 1 " H32 "\n", "via=r.test",
	  "0 r.test  needs dane 2.1.1, names r.test; tlsa r.test\n" },
	{ "7672 2.2.2", "@secure r.test\n" "@secure s.test\n" "r.test CNAME s.test\n" "s.test A 192.0.2.7\n"
	  "_25._tcp.s.test TLSA 2 1 1 " H32 "\n", "via=r.test",
	  "0 r.test  needs dane 2.1.1, names s.test r.test; tlsa s.test\n" },
	{ "7672 2.1.2", "@secure r.test\nr.test A 192.0.2.7\n_587._tcp.r.test TLSA !bogus\n", "via=r.test port=587",
	  "0 r.test  no: 4.7.5 DANE: the TLSA records of r.test cannot be looked up: DNSSEC validation failed; tlsa "
	  "r.test dnssec-invalid\n" },
	{ "8461 3.1", "r.test A 192.0.2.7\n", "via=r.test enforce=r.test",
	  "0 r.test  needs pkix, names r.test; sts r.test\n" },
	{ "8461 3.1", "r.test A 192.0.2.7\n", "via=r.test enforce=mx.a.test",
	  "0 r.test  no: 4.7.5 MTA-STS: the policy of r.test (mode enforce) does not list r.test; sts r.test "
	  "validation-failure\n" },
	{ "7435 3", "r.test A 192.0.2.7\n", "via=r.test verified",
	  "0 r.test  needs pkix, names r.test; no-policy-found r.test\n" },
	{ "7672 6", "r.test A 192.0.2.7\n", "via=r.test require-dane",
	  "0 r.test  no: 4.7.5 tls require dane: r.test cannot be proved by DANE: its addresses are not signed; tlsa "
	  "r.test dane-required\n" },
	{ "5321 5.1", "r.test A !servfail\n", "via=r.test",
	  "no: 4.4.3 DNS: the addresses of r.test cannot be looked up: SERVFAIL\n" },
	{ "5321 5.1", "a.test A 192.0.2.1\n", "via=r.test",
	  "no: 5.4.4 r.test has no usable address\n" },
	{ "8689 4.2.1", "r.test A 192.0.2.7\n", "via=r.test requiretls",
	  "0 r.test  needs pkix, names r.test, requiretls; no-policy-found r.test\n" },
	{ "8689 4.2.1", "r.test A 127.0.0.1\n", "via=r.test requiretls",
	  "0 r.test  needs nothing; no-policy-found r.test\n" },
	{ "8689 4.2.1", "", "via=[127.0.0.1] requiretls",
	  "0 [127.0.0.1]  needs nothing; no-policy-found [127.0.0.1]\n" },
	{ "8689 4.2.1", "", "via=[192.0.2.7] requiretls",
	  "0 [192.0.2.7]  no: 5.7.10 REQUIRETLS: no certificate proves the address [192.0.2.7]; no-policy-found "
	  "[192.0.2.7]\n" },
	{ "5321 4.1.3", "", "via=[192.0.2.7] encrypt",
	  "0 [192.0.2.7]  needs tls; no-policy-found [192.0.2.7]\n" },
};

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(4 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

/* --- the words of `with` ---------------------------------------------------- */

static const char *const FLOORS[] = {
	"opportunistic", "encrypt", "verified", "require-dane", "require-sts", "require-dane-or-sts",
};

static const struct sts_policy *
read_policy(struct slice mode, struct slice patterns)
{
	struct sts_policy *p = arena_get(arena, sizeof *p);
	struct buf text = BUF(4096);
	struct slice pattern;

	buf_printf(&text, "version: STSv1\nmode: %.*s\nmax_age: 86400\n", FMT(mode));
	while (slice_cut(&patterns, ',', &pattern))
		buf_printf(&text, "mx: %.*s\n", FMT(pattern));
	assert_true(sts_policy_parse(p, buf_slice(&text), arena, NULL));
	buf_free(&text);
	return p;
}

static void
read_word(struct secure_question *q, struct slice word)
{
	struct slice value = word, name;
	uint64_t number;

	slice_cut(&value, '=', &name);
	if (slice_eq(name, S("via")))
		q->where.domain = value, q->where.fixed = true;
	else if (slice_eq(name, S("to")))
		q->where.domain = value;
	else if (slice_eq(name, S("port")) && slice_number(value, 65535, &number))
		q->port = (uint16_t)number;
	else if (value.n > 0)
		q->sts = read_policy(name, value);
	else if (slice_eq(name, S("dane-off")))
		q->dane_off = true;
	else if (slice_eq(name, S("sts-off")))
		q->sts_off = true;
	else if (slice_eq(name, S("requiretls")))
		q->message = MESSAGE_REQUIRETLS;
	else if (slice_eq(name, S("optional")))
		q->message = MESSAGE_TLS_OPTIONAL;
	else if (slice_eq(name, S("null-sender")))
		q->null_sender = true;
	else {
		while (!slice_eq(name, slice(FLOORS[q->floor])))
			assert_true(++q->floor < COUNT(FLOORS));
	}
}

static struct secure_question
read_question(const char *with)
{
	static const struct slice own[] = { S_INIT("us.test") };
	struct secure_question q = { .where = { .domain = S("a.test"), .own_names = own,
	    .own_name_count = 1 } };
	struct slice words = slice(with), word;

	while (slice_word(&words, &word))
		read_word(&q, word);
	return q;
}

/* --- plans -------------------------------------------------------------------- */

/* How many rounds of questions it took. */
static int
run(const char *text, const struct secure_question *q, struct plan *plan)
{
	struct error why = { 0 };
	struct zone *zone = zone_parse(slice(text), "zone", &why);
	struct facts facts;
	int rounds = 0;

	if (zone == NULL)
		print_error("%s\n", why.text);
	assert_non_null(zone);
	facts_begin(&facts, arena);
	while (!secure_plan(plan, q, &facts, arena)) {
		assert_true(facts_pending(&facts));
		zone_answer_all(zone, &facts);
		rounds++;
	}
	zone_free(zone);
	return rounds;
}

static void
the_plan(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct secure_question q = read_question(rows[i].with);
		struct buf got = BUF(65536);
		struct plan plan;

		run(rows[i].zone, &q, &plan);
		plan_text(&plan, &got);
		if (!slice_eq(buf_slice(&got), slice(rows[i].plan))) {
			print_error("row %zu (RFC %s) with \"%s\"\n%sgot\n%.*swant\n%s\n", i, rows[i].rfc,
			    rows[i].with, rows[i].zone, FMT(buf_slice(&got)), rows[i].plan);
			bad++;
		}
		buf_free(&got);
		arena_reset(arena);
	}
	assert_int_equal(bad, 0);
}

/* What holds for every plan, whatever the table says. */
static void
what_every_plan_keeps(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct secure_question q = read_question(rows[i].with);
		struct plan plan;
		bool go = false;
		int rounds = run(rows[i].zone, &q, &plan);

		assert_case(rounds <= 3, i, "rounds");
		for (size_t j = 0; j < plan.count; j++) {
			const struct plan_host *h = &plan.hosts[j];

			go |= h->go;
			assert_case(h->watch >= h->need, i, "watch");
			assert_case(h->go == (h->why_not.class == 0), i, "why_not");
			assert_case(h->go || h->why_not.text.n > 0, i, "a sentence");
			assert_case(!h->go || h->address_count > 0, i, "addresses");
			assert_case(h->watch < NEED_PKIX || !h->go || h->name_count > 0, i, "names");
			assert_case(h->watch != NEED_DANE || h->tlsa.usable > 0, i, "records");
			assert_case(j == 0 || h->preference >= h[-1].preference, i, "order");
		}
		assert_case(go == (plan.status.class == 0), i, "status");
		assert_case(go || plan.status.text.n > 0, i, "why");
		arena_reset(arena);
	}
}

/* Rows are situations: none comes twice, and each names what it shows. */
static void
every_row_is_another_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsigned rfc, section;

		assert_case(sscanf(rows[i].rfc, "%u %u", &rfc, &section) == 2, i, rows[i].rfc);
		for (size_t j = 0; j < i; j++)
			assert_case(strcmp(rows[i].zone, rows[j].zone) != 0 ||
			    strcmp(rows[i].with, rows[j].with) != 0, i, rows[i].zone);
	}
	assert_true(COUNT(rows) >= 120);
}

/* Together with the addresses where the zone is known to be signed; else one round more. */
static void
as_few_rounds_as_possible(void **state)
{
	static const struct { const char *zone; int rounds; } cases[] = {
		{ "a.test MX 0 .", 1 },
		{ MX HOST, 2 },
		{ SIGNED MX HOST EE, 2 },
		{ SIGNED MX MX2 HOST HOST2 EE, 2 },
		{ SIGNED "a.test A 192.0.2.1\n", 2 },
		{ "@secure .\na.test MX 10 mx.b.test\nmx.b.test A 192.0.2.1\n", 3 },
		{ SIGNED MX "mx.a.test CNAME mx.b.test\nmx.b.test A 192.0.2.1\n" TA, 3 },
		{ "@secure .\na.test MX 10 x.b.test\nx.b.test CNAME y.c.test\ny.c.test A 192.0.2.1\n", 3 },
		{ "@secure .\n@insecure c.test\na.test MX 10 x.b.test\nx.b.test CNAME y.c.test\n"
		  "y.c.test A 192.0.2.1\n", 3 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct secure_question q = read_question("");
		struct plan plan;

		assert_case(run(cases[i].zone, &q, &plan) == cases[i].rounds, i, cases[i].zone);
	}
}

/* A host that is asked ahead and turns out unsigned is not waited for. */
static void
a_question_asked_too_early_is_not_waited_for(void **state)
{
	struct zone *zone = zone_parse(S("@secure a.test\na.test MX 10 sub.a.test\n"), "zone", NULL);
	struct secure_question q = read_question("");
	struct facts facts;
	struct plan plan;
	struct fact *f;

	(void)state;
	facts_begin(&facts, arena);
	assert_false(secure_plan(&plan, &q, &facts, arena));
	zone_answer_all(zone, &facts);
	assert_false(secure_plan(&plan, &q, &facts, arena));
	while ((f = facts_next_wanted(&facts)) != NULL) {
		if (f->type == RR_TLSA)
			continue;                       /* nobody answers */
		f->records = arena_get(arena, sizeof *f->records);
		f->records->data = slice_of("\300\0\2\1", f->type == RR_A ? 4 : 0);
		f->count = f->type == RR_A;
		fact_known(&facts, f, f->count ? ANSWER_FOUND : ANSWER_NODATA, "");
	}
	assert_true(secure_plan(&plan, &q, &facts, arena));
	assert_int_equal(plan.hosts[0].need, NEED_NOTHING);
	zone_free(zone);
}

static void
the_domain_whose_policy_counts(void **state)
{
	struct mx_question q = { .domain = S("a.test") };

	(void)state;
	assert_slice(secure_policy_domain(&q), "a.test");       /* RFC 8461 3.1 */
	q.fixed = true;
	q.domain = S("relay.test");
	assert_slice(secure_policy_domain(&q), "relay.test");
	q.domain = S("[192.0.2.1]");
	assert_slice(secure_policy_domain(&q), "");
}

/* --- labels for reports --------------------------------------------------------- */

static void
show_label(const struct tlsrpt_label *label, struct buf *b)
{
	buf_printf(b, "%s %.*s:", tlsrpt_policy_name(label->type), FMT(label->domain));
	for (size_t i = 0; i < label->string_count; i++)
		buf_printf(b, " \"%.*s\"", FMT(label->strings[i]));
	for (size_t i = 0; i < label->mx_count; i++)
		buf_printf(b, " %.*s", FMT(label->mx[i]));
}

static void
labels_as_tlsrpt_wants_them(void **state)
{
	static const struct { const char *zone, *with, *label; } cases[] = {    /* RFC 8460 4.4 */
		{ MX HOST, "", "no-policy-found a.test:" },
		{ MX HOST, "enforce=mx.a.test,*.b.test", "sts a.test: \"version: STSv1\" \"mode: enforce\" "
		  "\"max_age: 86400\" \"mx: mx.a.test\" \"mx: *.b.test\" mx.a.test *.b.test" },
		{ SIGNED MX HOST "_25._tcp.mx.a.test TLSA 3 1 9 ABcd\n", "", "tlsa mx.a.test: \"3 1 9 ABCD\"" },
		{ SIGNED MX HOST "_25._tcp.mx.a.test TLSA 9 9 9 ff\n_25._tcp.mx.a.test TLSA 0 0 0 ee\n", "",
		  "tlsa mx.a.test: \"0 0 0 EE\" \"9 9 9 FF\"" },
		{ SIGNED MX HOST BOGUS_TLSA, "", "tlsa mx.a.test:" },
		{ MX HOST, "require-dane", "tlsa mx.a.test:" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct secure_question q = read_question(cases[i].with);
		struct buf got = BUF(4096);
		struct plan plan;

		run(cases[i].zone, &q, &plan);
		show_label(&plan.hosts[0].label, &got);
		assert_slice(buf_slice(&got), cases[i].label);
		buf_free(&got);
	}
}

/* --- keys: who may use whose session (STANDARDS F5.5, DEPENDENCIES 3) --------------- */

static void
make_key(const char *zone, const char *with, unsigned char key[PLAN_KEY])
{
	struct secure_question q = read_question(with);
	struct plan plan;

	run(zone, &q, &plan);
	assert_int_equal(plan.status.class, 0);
	memcpy(key, plan.hosts[0].key, PLAN_KEY);
}

static void
sessions_are_shared_only_under_the_same_proof(void **state)
{
	static const struct { const char *zone, *with; } different[] = {
		{ MX HOST, "" },
		{ MX HOST, "port=587" },
		{ MX HOST, "encrypt" },
		{ MX HOST, "verified" },
		{ MX HOST, "enforce=mx.a.test" },
		{ MX HOST, "testing=mx.a.test" },
		{ "a.test MX 10 mx2.a.test\n" HOST2, "" },
		{ SIGNED MX HOST EE, "" },
		{ SIGNED MX HOST TA, "" },
		{ SIGNED MX HOST EE TA, "" },
		{ SIGNED MX HOST "_25._tcp.mx.a.test TLSA 3 1 1 ff" H31 "\n", "" },
		{ SIGNED MX HOST EE, "optional" },
		{ SIGNED MX HOST EE, "requiretls" },     /* RFC 8689 4.2.1: who promised it is asked for it */
		{ SIGNED MX HOST, "requiretls" },
	};
	unsigned char keys[COUNT(different)][PLAN_KEY], again[PLAN_KEY];

	(void)state;
	for (size_t i = 0; i < COUNT(different); i++) {
		make_key(different[i].zone, different[i].with, keys[i]);
		for (size_t j = 0; j < i; j++)
			assert_case(memcmp(keys[i], keys[j], PLAN_KEY) != 0, i, different[j].with);
	}
	make_key(SIGNED MX HOST, "", again);                    /* the same, for another reason */
	assert_memory_equal(again, keys[0], PLAN_KEY);
	make_key(MX HOST, "enforce=*.a.test", again);           /* a policy of other words */
	assert_memory_equal(again, keys[4], PLAN_KEY);
	make_key(SIGNED MX HOST TA EE, "", again);              /* the order of the DNS */
	assert_memory_equal(again, keys[9], PLAN_KEY);
}

/* --- the judge -------------------------------------------------------------------- */

enum { OK = X509_V_OK, EXPIRED = X509_V_ERR_CERT_HAS_EXPIRED, NAME = X509_V_ERR_HOSTNAME_MISMATCH,
       SELF = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, NO_MATCH = X509_V_ERR_DANE_NO_MATCH };

/* Words: starttls tls cert match resumed retry ehlo requiretls, and what verification said. */
static const struct { const char *rfc, *zone, *with, *found; int verify; const char *judgement; } judged[] = {
	/* nothing demanded: anything goes */
	{ "3207 4.1", MX HOST, "", "", OK, "go on, none, starttls-not-supported" },
	{ "3207 4.1", MX HOST, "", "starttls tls cert", OK, "go on, trusted, success" },
	{ "7435 3", MX HOST, "", "starttls tls cert", SELF, "go on, untrusted, success" },
	{ "7435 3", MX HOST, "", "starttls tls cert", EXPIRED, "go on, untrusted, success" },
	{ "7435 3", MX HOST, "", "starttls tls", OK, "go on, anonymous, success" },
	{ "7435 3", MX HOST, "", "starttls", OK, "clear retry, none, validation-failure tls-handshake-failed" },
	{ "7435 3", MX HOST, "", "starttls retry", OK, "go on, none, not counted" },
	{ "7435 3", MX HOST, "", "retry", OK, "go on, none, not counted" },
	/* TLS demanded, whatever the certificate */
	{ "3207 4.1", MX HOST, "encrypt", "", OK,
	  "next host, none, starttls-not-supported: 4.7.5 tls require encrypt: mx.a.test offers no STARTTLS" },
	{ "3207 4.1", MX HOST, "encrypt", "starttls", OK, "next host, none, validation-failure "
	  "tls-handshake-failed: 4.7.5 tls require encrypt: mx.a.test fails in the TLS handshake" },
	{ "3207 4.1", MX HOST, "encrypt", "starttls tls cert", SELF, "go on, untrusted, success" },
	{ "3207 4.1", MX HOST, "encrypt", "starttls tls", OK, "go on, anonymous, success" },
	{ "7672 2.2", SIGNED MX HOST BAD, "", "starttls tls cert", SELF, "go on, untrusted, tlsa-invalid" },
	{ "7672 2.2", SIGNED MX HOST BAD, "", "", OK,
	  "next host, none, starttls-not-supported: 4.7.5 DANE: mx.a.test offers no STARTTLS" },
	{ "7672 2.2", SIGNED MX HOST BAD, "", "starttls", OK, "next host, none, validation-failure "
	  "tls-handshake-failed: 4.7.5 DANE: mx.a.test fails in the TLS handshake" },
	/* DANE */
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls tls cert match", OK, "go on, verified, success" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "", OK,
	  "next host, none, starttls-not-supported: 4.7.5 DANE: mx.a.test offers no STARTTLS" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls", OK, "next host, none, validation-failure "
	  "tls-handshake-failed: 4.7.5 DANE: mx.a.test fails in the TLS handshake" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls tls cert", NO_MATCH, "next host, untrusted, "
	  "validation-failure X509_V_ERR_DANE_NO_MATCH: 4.7.5 DANE: the certificate of mx.a.test matches no TLSA record" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls tls cert", OK, "next host, trusted, "
	  "validation-failure X509_V_ERR_DANE_NO_MATCH: 4.7.5 DANE: the certificate of mx.a.test matches no TLSA record" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls tls", OK, "next host, anonymous, "
	  "certificate-not-trusted no-certificate: 4.7.5 DANE: mx.a.test shows no certificate" },
	{ "7672 3.2.2", SIGNED MX HOST TA, "", "starttls tls cert match", NAME, "next host, untrusted, "
	  "certificate-host-mismatch X509_V_ERR_HOSTNAME_MISMATCH: "
	  "4.7.5 DANE: the certificate of mx.a.test is for another name" },
	{ "7672 3.1.2", SIGNED MX HOST TA, "", "starttls tls cert match", EXPIRED, "next host, untrusted, "
	  "certificate-expired X509_V_ERR_CERT_HAS_EXPIRED: 4.7.5 DANE: the certificate of mx.a.test has expired" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls tls cert resumed", OK, "go on, verified, success" },
	{ "7672 2.2", SIGNED MX HOST EE, "", "starttls tls cert resumed", NO_MATCH, "next host, untrusted, "
	  "validation-failure X509_V_ERR_DANE_NO_MATCH: 4.7.5 DANE: the certificate of mx.a.test matches no TLSA record" },
	/* a good MTA-STS policy does not rescue it */
	{ "8461 2", SIGNED MX HOST EE, "enforce=mx.a.test", "starttls tls cert", NO_MATCH, "next host, untrusted, "
	  "validation-failure X509_V_ERR_DANE_NO_MATCH: 4.7.5 DANE: the certificate of mx.a.test matches no TLSA record" },
	{ "8461 2", SIGNED MX HOST EE, "testing=mx.a.test", "", OK,
	  "next host, none, starttls-not-supported: 4.7.5 DANE: mx.a.test offers no STARTTLS" },
	/* MTA-STS, enforced */
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "starttls tls cert", OK, "go on, verified, success" },
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "", OK,
	  "next host, none, starttls-not-supported: 4.7.5 MTA-STS: mx.a.test offers no STARTTLS" },
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "starttls", OK, "next host, none, validation-failure "
	  "tls-handshake-failed: 4.7.5 MTA-STS: mx.a.test fails in the TLS handshake" },
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "starttls tls", OK, "next host, anonymous, "
	  "certificate-not-trusted no-certificate: 4.7.5 MTA-STS: mx.a.test shows no certificate" },
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "starttls tls cert", SELF, "next host, untrusted, "
	  "certificate-not-trusted X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: "
	  "4.7.5 MTA-STS: the certificate of mx.a.test is signed by itself" },
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "starttls tls cert", NAME, "next host, untrusted, "
	  "certificate-host-mismatch X509_V_ERR_HOSTNAME_MISMATCH: "
	  "4.7.5 MTA-STS: the certificate of mx.a.test is for another name" },
	{ "8461 4.2", MX HOST, "enforce=mx.a.test", "starttls tls cert", EXPIRED, "next host, untrusted, "
	  "certificate-expired X509_V_ERR_CERT_HAS_EXPIRED: 4.7.5 MTA-STS: the certificate of mx.a.test has expired" },
	/* … and tested: the mail goes on, the domain is told */
	{ "8461 5", MX HOST, "testing=mx.a.test", "starttls tls cert", OK, "go on, verified, success" },
	{ "8461 5", MX HOST, "testing=mx.a.test", "", OK, "go on, none, starttls-not-supported" },
	{ "8461 5", MX HOST, "testing=mx.a.test", "starttls tls cert", EXPIRED,
	  "go on, untrusted, certificate-expired X509_V_ERR_CERT_HAS_EXPIRED" },
	{ "8461 5", MX HOST, "testing=mx.a.test", "starttls", OK,
	  "clear retry, none, validation-failure tls-handshake-failed" },
	{ "8461 5", MX HOST, "testing=mx.b.test", "starttls tls cert", OK, "go on, trusted, validation-failure" },
	{ "8461 5", MX HOST, "testing=mx.b.test", "starttls tls cert", NAME,
	  "go on, untrusted, certificate-host-mismatch X509_V_ERR_HOSTNAME_MISMATCH" },
	{ "8461 5", MX HOST, "testing=mx.a.test encrypt", "", OK,
	  "next host, none, starttls-not-supported: 4.7.5 tls require encrypt: mx.a.test offers no STARTTLS" },
	/* `tls require …` */
	{ "7435 3", MX HOST, "verified", "starttls tls cert", OK, "go on, verified, success" },
	{ "7435 3", MX HOST, "verified", "starttls tls cert", SELF, "next host, untrusted, "
	  "certificate-not-trusted X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: "
	  "4.7.5 tls require verified: the certificate of mx.a.test is signed by itself" },
	{ "8461 5", MX HOST, "require-sts testing=mx.a.test", "starttls tls cert", NAME, "next host, untrusted, "
	  "certificate-host-mismatch X509_V_ERR_HOSTNAME_MISMATCH: 4.7.5 tls require sts: "
	  "the certificate of mx.a.test is for another name" },
	/* TLS-Required: No */
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional", "", OK, "go on, none, starttls-not-supported" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional", "starttls tls cert", NO_MATCH,
	  "go on, untrusted, validation-failure X509_V_ERR_DANE_NO_MATCH" },
	{ "8689 4.2.2", SIGNED MX HOST EE, "optional", "starttls tls cert match", OK,
	  "go on, verified, success" },
	{ "8689 4.2.2", SIGNED MX HOST BOGUS_TLSA, "optional", "starttls tls cert", OK,
	  "go on, trusted, dnssec-invalid" },
	{ "8689 4.2.2", MX HOST, "optional enforce=mx.a.test", "starttls", OK,
	  "clear retry, none, validation-failure tls-handshake-failed" },
	{ "8689 4.2.2", MX HOST, "optional enforce=mx.b.test", "starttls tls cert", OK,
	  "go on, trusted, validation-failure" },
	/* REQUIRETLS: refusals give the message back, what may be the network does not */
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls", "starttls tls cert", OK, "go on, verified, success" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls", "starttls tls cert ehlo requiretls", OK,
	  "go on, verified, success" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls", "starttls tls cert ehlo", OK,
	  "next host, verified, success: 5.7.30 REQUIRETLS: mx.a.test does not support it" },
	{ "8689 4.2.1", SIGNED MX HOST EE, "requiretls", "starttls tls cert match ehlo", OK,
	  "next host, verified, success: 5.7.30 REQUIRETLS: mx.a.test does not support it" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls", "", OK,
	  "next host, none, starttls-not-supported: 5.7.10 REQUIRETLS: mx.a.test offers no STARTTLS" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls", "starttls", OK, "next host, none, validation-failure "
	  "tls-handshake-failed: 4.7.5 REQUIRETLS: mx.a.test fails in the TLS handshake" },
	{ "8689 4.2.1", SIGNED MX HOST EE, "requiretls", "starttls tls cert", NO_MATCH, "next host, untrusted, "
	  "validation-failure X509_V_ERR_DANE_NO_MATCH: 5.7.10 REQUIRETLS: the certificate of mx.a.test matches no TLSA record" },
	{ "8689 4.2.1", SIGNED MX HOST, "requiretls", "starttls tls cert", EXPIRED, "next host, untrusted, "
	  "certificate-expired X509_V_ERR_CERT_HAS_EXPIRED: 5.7.10 REQUIRETLS: the certificate of mx.a.test has expired" },
	{ "8689 5", SIGNED MX HOST, "requiretls null-sender", "starttls tls cert ehlo", SELF, "go on, untrusted, success" },
};

static struct secure_found
read_found(const char *words, int verify)
{
	return (struct secure_found){
		.starttls = strstr(words, "starttls") != NULL, .handshake = strstr(words, " tls") != NULL,
		.certificate = strstr(words, "cert") != NULL, .matched = strstr(words, "match") != NULL,
		.resumed = strstr(words, "resumed") != NULL, .clear_retry = strstr(words, "retry") != NULL,
		.greeted = strstr(words, "ehlo") != NULL, .requiretls = strstr(words, "requiretls") != NULL,
		.verify = verify,
	};
}

static void
show_judgement(const struct secure_judgement *j, struct buf *b)
{
	static const char *const verdicts[] = { "go on", "clear retry", "next host" };

	buf_printf(b, "%s, %s, %s", verdicts[j->verdict], secure_trust_name(j->trust),
	    j->counted ? tlsrpt_result_name(j->result) : "not counted");
	if (*j->reason != '\0')
		buf_printf(b, " %s", j->reason);
	if (j->why.class != 0)
		buf_printf(b, ": %u.%u.%u %.*s", j->why.class, j->why.subject, j->why.detail, FMT(j->why.text));
}

static void
the_judgement(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(judged); i++) {
		struct secure_question q = read_question(judged[i].with);
		struct secure_found found = read_found(judged[i].found, judged[i].verify);
		struct buf got = BUF(4096);
		struct secure_judgement j;
		struct plan plan;

		run(judged[i].zone, &q, &plan);
		assert_int_equal(plan.count, 1);
		secure_judge(&j, &plan.hosts[0], &found, arena);
		show_judgement(&j, &got);
		if (!slice_eq(buf_slice(&got), slice(judged[i].judgement)))
			print_error("row %zu (RFC %s) with \"%s\" found \"%s\"\n", i, judged[i].rfc, judged[i].with,
			    judged[i].found);
		assert_slice(buf_slice(&got), judged[i].judgement);
		buf_free(&got);
		arena_reset(arena);
	}
}

/*
 * The promise itself: in every plan where something must be proved, no session
 * that found less goes on, and clear text is never retried.
 */
static void
nothing_less_ever_goes_on(void **state)
{
	static const int verify[] = { OK, EXPIRED, NAME, SELF, NO_MATCH };

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct secure_question q = read_question(rows[i].with);
		struct plan plan;

		run(rows[i].zone, &q, &plan);
		for (size_t j = 0; j < plan.count; j++)
			for (unsigned bits = 0; bits < 64; bits++)
				for (size_t v = 0; v < COUNT(verify); v++) {
					const struct plan_host *h = &plan.hosts[j];
					struct secure_found f = { .starttls = bits & 1, .handshake = bits & 2,
					    .certificate = bits & 4, .matched = bits & 8, .clear_retry = bits & 16,
					    .greeted = bits & 32, .verify = verify[v] };
					bool tls = f.starttls && f.handshake, pkix = tls && f.certificate && v == 0;
					bool proved = h->need == NEED_NOTHING || (h->need == NEED_TLS && tls) ||
					    (h->need == NEED_PKIX && pkix) || (h->need == NEED_DANE && pkix && f.matched);
					struct secure_judgement got;

					secure_judge(&got, h, &f, arena);
					if (!h->go || (h->requiretls && f.greeted))
						proved = false;
					assert_case((got.verdict == SECURE_NEXT_HOST) == !proved, i, rows[i].with);
					assert_case(got.verdict != SECURE_CLEAR_RETRY || h->need == NEED_NOTHING, i, "clear");
					assert_case(proved || got.why.class >= 4, i, "why");
				}
		arena_reset(arena);
	}
}

static void
the_worst_of_an_attempt(void **state)
{
	struct status none = { 0 }, later = STATUS(0, 4,7,5, "a"), later2 = STATUS(0, 4,4,3, "b"),
	    never = STATUS(0, 5,4,4, "c"), never2 = STATUS(0, 5,7,10, "d");

	(void)state;
	assert_slice(secure_worse(none, never).text, "c");
	assert_slice(secure_worse(never, later).text, "a");     /* J1: what may change wins */
	assert_slice(secure_worse(later, never).text, "a");
	assert_slice(secure_worse(later, later2).text, "a");
	assert_slice(secure_worse(never, never2).text, "c");
}

static void
a_full_arena_never_loses_protection(void **state)
{
	struct zone *zone = zone_parse(S(SIGNED MX HOST EE), "zone", NULL);
	struct secure_question q = read_question("");
	struct plan plan;

	(void)state;
	for (size_t ceiling = 0; ceiling < 16384; ceiling += 32) {
		struct arena *small = arena_new(ceiling);
		struct facts facts;

		facts_begin(&facts, arena);
		while (!secure_plan(&plan, &q, &facts, small))
			zone_answer_all(zone, &facts);
		if (plan.status.class == 0)
			assert_int_equal(plan.hosts[0].need, NEED_DANE);
		else
			assert_int_equal(plan.status.class, 4);
		arena_free(small);
		arena_reset(arena);
	}
	assert_int_equal(plan.status.class, 0);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_plan, setup, teardown),
		cmocka_unit_test_setup_teardown(what_every_plan_keeps, setup, teardown),
		cmocka_unit_test(every_row_is_another_one),
		cmocka_unit_test_setup_teardown(as_few_rounds_as_possible, setup, teardown),
		cmocka_unit_test_setup_teardown(a_question_asked_too_early_is_not_waited_for, setup, teardown),
		cmocka_unit_test(the_domain_whose_policy_counts),
		cmocka_unit_test_setup_teardown(labels_as_tlsrpt_wants_them, setup, teardown),
		cmocka_unit_test_setup_teardown(sessions_are_shared_only_under_the_same_proof, setup, teardown),
		cmocka_unit_test_setup_teardown(the_judgement, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_less_ever_goes_on, setup, teardown),
		cmocka_unit_test(the_worst_of_an_attempt),
		cmocka_unit_test_setup_teardown(a_full_arena_never_loses_protection, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
