/* SPDX-License-Identifier: ISC */
#include "auth/iprev.h"
#include "auth/received_spf.h"
#include "dns/zone.h"
#include "unit.h"

#define PTR "25.2.0.192.in-addr.arpa PTR "

static const struct {
	const char *client, *zone, *result, *name;
	unsigned    rounds;
} cases[] = {
	{ "192.0.2.25", PTR "mx.a.test.\nmx.a.test A 192.0.2.25", "pass", "mx.a.test", 2 },
	{ "192.0.2.25", PTR "MX.A.test.\nmx.a.test A 192.0.2.1\nmx.a.test A 192.0.2.25", "pass", "mx.a.test", 2 },
	{ "192.0.2.25", PTR "x.a.test.\n" PTR "y.a.test.\ny.a.test A 192.0.2.25", "pass", "y.a.test", 2 },
	{ "192.0.2.25", PTR "alias.test.\nalias.test CNAME mx.a.test.\nmx.a.test A 192.0.2.25", "pass", "alias.test", 2 },
	{ "::ffff:192.0.2.25", PTR "mx.a.test.\nmx.a.test A 192.0.2.25", "pass", "mx.a.test", 2 },
	{ "2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.a.test.\n"
	  "six.a.test AAAA 2001:db8::1", "pass", "six.a.test", 2 },
	/* RFC 8601 2.7.3 */
	{ "192.0.2.25", PTR "mx.a.test.\nmx.a.test A 192.0.2.1", "fail", "", 2 },
	{ "192.0.2.25", PTR "gone.test.", "fail", "", 2 },
	{ "192.0.2.25", PTR "mx.a.test.\nmx.a.test AAAA 2001:db8::1", "fail", "", 2 },
	{ "192.0.2.25", "", "permerror", "", 1 },
	{ "192.0.2.25", "25.2.0.192.in-addr.arpa TXT \"x\"", "permerror", "", 1 },
	{ "192.0.2.25", PTR "!servfail", "temperror", "", 1 },
	{ "192.0.2.25", PTR "slow.test.\nslow.test A !timeout", "temperror", "", 2 },
	{ "192.0.2.25", PTR "slow.test.\n" PTR "mx.a.test.\nslow.test A !timeout\nmx.a.test A 192.0.2.25",
	  "pass", "mx.a.test", 2 },
	/* only ten names are looked at */
	{ "192.0.2.25", PTR "a.test.\n" PTR "b.test.\n" PTR "c.test.\n" PTR "d.test.\n" PTR "e.test.\n" PTR "f.test.\n"
	  PTR "g.test.\n" PTR "h.test.\n" PTR "i.test.\n" PTR "j.test.\n" PTR "k.test.\nk.test A 192.0.2.25",
	  "fail", "", 2 },
};

static struct ip
ip(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(slice(text), &ip));
	return ip;
}

static void
a_name_is_verified_when_it_leads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *arena = arena_new(1 << 18);
		struct error why = { 0 };
		struct zone *zone = zone_parse(slice(cases[i].zone), "zone", &why);
		struct facts facts;
		struct iprev v = { 0 };
		unsigned rounds = 0;

		assert_case(zone != NULL, i, why.text);
		facts_begin(&facts, arena);
		for (; !iprev_evaluate(&v, ip(cases[i].client), &facts); rounds++)
			zone_answer_all(zone, &facts);
		assert_case(strcmp(iprev_result_name(v.result), cases[i].result) == 0, i, cases[i].zone);
		assert_slice(v.name, cases[i].name);
		assert_int_equal(rounds, cases[i].rounds);
		assert_true(facts.count <= 1 + IPREV_NAMES);
		zone_free(zone);
		arena_free(arena);
	}
}

/* A PTR record is what a stranger writes: it must not come out as a name. */
static void
what_is_no_name_is_not_shown(void **state)
{
	static const char *const bad[] = { "evil.test) by mx (x", "a b.test", "x\r\nEvil: yes", "", "a..b" };
	struct record records[COUNT(bad)];
	struct arena *arena = arena_new(1 << 18);
	struct facts facts;
	struct fact *f;
	struct iprev v = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		records[i] = (struct record){ .data = slice(bad[i]) };
	facts_begin(&facts, arena);
	assert_false(iprev_evaluate(&v, ip("192.0.2.25"), &facts));
	f = facts_next_wanted(&facts);
	f->records = records;
	f->count = COUNT(bad);
	fact_known(&facts, f, ANSWER_FOUND, "");
	assert_true(iprev_evaluate(&v, ip("192.0.2.25"), &facts));
	assert_int_equal(v.result, IPREV_FAIL);
	assert_int_equal(facts.count, 1);
	arena_free(arena);
}

static void
it_is_written_as_registered(void **state)
{
	struct iprev v = { .result = IPREV_PASS, .client = ip("2001:db8::1") };
	struct arena *arena = arena_new(1 << 16);
	struct buf text = BUF(4096);
	struct authres a;

	(void)state;
	authres_begin(&a, S("id"), arena);
	iprev_authres(&v, &a);
	v = (struct iprev){ .result = IPREV_PERMERROR, .client = ip("192.0.2.25") };
	iprev_authres(&v, &a);
	authres_write(&a, false, &text);
	assert_slice(buf_slice(&text), "id;\r\n\tiprev=pass policy.iprev=\"2001:db8::1\";"
	    "\r\n\tiprev=permerror policy.iprev=192.0.2.25");
	buf_free(&text);
	arena_free(arena);
}

static void
received_spf(void **state)
{
	struct received_spf r = {
		.result = "pass", .client = ip("192.0.2.1"), .envelope_from = S("myname@example.com"),
		.helo = S("foo.example.com"), .identity = "mailfrom", .receiver = S("mybox.example.org"),
		.mechanism = S("ip4:192.0.2.0/24"),
	};
	struct buf text = BUF(4096);

	(void)state;
	received_spf_write(&r, false, &text);                                   /* RFC 7208 9.1 */
	assert_slice(buf_slice(&text), "pass\r\n\tclient-ip=192.0.2.1;\r\n\tenvelope-from=\"myname@example.com\";"
	    "\r\n\thelo=foo.example.com;\r\n\tidentity=mailfrom;\r\n\treceiver=mybox.example.org;"
	    "\r\n\tmechanism=\"ip4:192.0.2.0/24\"");
	r = (struct received_spf){ .result = "permerror", .client = ip("2001:db8::1"), .identity = "helo",
		.helo = S("x\r\nEvil: \"yes"), .problem = S("b\xc3\xbc") };
	buf_clear(&text);
	received_spf_write(&r, false, &text);
	assert_slice(buf_slice(&text), "permerror\r\n\tclient-ip=\"2001:db8::1\";\r\n\tenvelope-from=\"\";"
	    "\r\n\thelo=\"x??Evil: \\\"yes\";\r\n\tidentity=helo;\r\n\treceiver=\"\";\r\n\tproblem=\"b??\"");
	buf_free(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_verified_when_it_leads_back),
		cmocka_unit_test(what_is_no_name_is_not_shown),
		cmocka_unit_test(it_is_written_as_registered),
		cmocka_unit_test(received_spf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
