/* SPDX-License-Identifier: ISC */
/* Which hosts take mail for a domain, and in which order (RFC 5321 5, STANDARDS A18, A21). */
#include "base/buf.h"
#include "delivery/mx.h"
#include "dns/zone.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(4 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const struct slice OWN_NAMES[] = { S_INIT("us.test"), S_INIT("mail.us.test"), S_INIT("") };

/* We are us.test, mail.us.test, 192.0.2.99 and 2001:db8::99. */
static struct mx_question
question(const char *domain)
{
	static struct ip own[2];

	assert_true(ip_parse(S("192.0.2.99"), &own[0]) && ip_parse(S("2001:db8::99"), &own[1]));
	return (struct mx_question){ .domain = slice(domain), .rng = rng_seeded(1),
	    .own_names = OWN_NAMES, .own_name_count = COUNT(OWN_NAMES), .own_addresses = own, .own_address_count = 2 };
}

static bool
find(struct mx *mx, const struct mx_question *q, struct facts *facts)
{
	return mx_hosts(mx, q, facts, arena) && mx_addresses(mx, q, facts, arena);
}

/* The rounds it took. */
static int
run(const char *text, const struct mx_question *q, struct mx *mx)
{
	struct zone *zone = zone_parse(slice(text), "zone", NULL);
	struct facts facts;
	int rounds = 0;

	assert_non_null(zone);
	facts_begin(&facts, arena);
	while (!find(mx, q, &facts)) {
		assert_true(facts_pending(&facts));
		zone_answer_all(zone, &facts);
		rounds++;
	}
	zone_free(zone);
	return rounds;
}

/* "10 mx.a.test 192.0.2.1 2001:db8::1|…", or "5.1.2 there is no …". */
static void
show(const struct mx *mx, struct buf *b)
{
	char text[IP_TEXT];

	if (mx->status.class != 0)
		buf_printf(b, "%u.%u.%u %.*s", mx->status.class, mx->status.subject, mx->status.detail,
		    FMT(mx->status.text));
	for (size_t i = 0; i < mx->count; i++) {
		const struct mx_host *h = &mx->hosts[i];

		buf_printf(b, "%u %.*s", h->preference, FMT(h->name));
		for (size_t j = 0; j < h->count; j++) {
			ip_text(h->addresses[j], text);
			buf_printf(b, " %s", text);
		}
		if (h->broken)
			buf_printf(b, " (%.*s)", FMT(h->why));
		if (h->security == DNS_SECURE)
			buf_add(b, S(" secure"));
		if (!slice_eq(h->canonical, h->name))
			buf_printf(b, " at %.*s", FMT(h->canonical));
		buf_byte(b, '|');
	}
}

#define A(n) "a" n ".test A 192.0.2." n "\n"

static const struct { const char *domain, *zone, *hosts; } cases[] = {
	/* RFC 5321 5.1: in the order of preference */
	{ "x.test", "x.test MX 20 a2.test\nx.test MX 10 a1.test\nx.test MX 30 a3.test\n" A("1") A("2") A("3"),
	  "10 a1.test 192.0.2.1|20 a2.test 192.0.2.2|30 a3.test 192.0.2.3|" },
	{ "x.test", "x.test MX 0 A1.Test.\n" A("1"), "0 a1.test 192.0.2.1|" },
	{ "x.test", "x.test MX 65535 a1.test\n" A("1"), "65535 a1.test 192.0.2.1|" },
	/* no MX: the domain itself */
	{ "x.test", "x.test A 192.0.2.1", "0 x.test 192.0.2.1|" },
	{ "x.test", "x.test A 192.0.2.1\nx.test AAAA 2001:db8::1", "0 x.test 2001:db8::1 192.0.2.1|" },
	{ "x.test", "x.test TXT \"no address\"", "5.4.4 x.test has no usable address" },
	{ "x.test", "x.test A !servfail", "4.4.3 DNS: the addresses of x.test cannot be looked up: SERVFAIL" },
	/* with MX records its own addresses never count */
	{ "x.test", "x.test MX 10 a1.test\nx.test A 192.0.2.9\na1.test TXT \"none\"",
	  "5.4.4 a1.test has no usable address" },
	/* no such domain; trouble */
	{ "x.test", "y.test A 192.0.2.1", "5.1.2 there is no domain x.test" },
	{ "x.test", "x.test MX !servfail", "4.4.3 DNS: the MX records of x.test cannot be looked up: SERVFAIL" },
	{ "x.test", "x.test MX !timeout\nx.test A 192.0.2.1",
	  "4.4.3 DNS: the MX records of x.test cannot be looked up: timeout" },
	{ "x.test", "x.test MX !bogus",
	  "4.4.3 DNS: the MX records of x.test cannot be looked up: DNSSEC validation failed" },
	/* RFC 7505 3: null MX is one record, preference 0, the root */
	{ "x.test", "x.test MX 0 .\nx.test A 192.0.2.1", "5.1.10 x.test takes no mail (null MX)" },
	{ "x.test", "x.test MX 0 .\nx.test MX 10 a1.test\n" A("1"), "10 a1.test 192.0.2.1|" },  /* A18.2 */
	{ "x.test", "x.test MX 10 .", "5.4.4 none of the MX records of x.test names a host" },
	{ "x.test", "x.test MX 0 .\nx.test MX 10 .", "5.4.4 none of the MX records of x.test names a host" },
	/* a CNAME at the domain: on with its target */
	{ "x.test", "x.test CNAME y.test\ny.test MX 10 a1.test\n" A("1"), "10 a1.test 192.0.2.1|" },
	{ "x.test", "x.test CNAME y.test\ny.test A 192.0.2.1", "0 x.test 192.0.2.1 at y.test|" },
	{ "x.test", "x.test CNAME y.test", "5.1.2 there is no domain x.test" },
	{ "x.test", "x.test CNAME y.test\ny.test CNAME x.test",
	  "4.4.3 DNS: the MX records of x.test cannot be looked up: the CNAMEs form a loop" },
	/* an MX that is a CNAME is used, under its own name */
	{ "x.test", "x.test MX 10 m.test\nm.test CNAME a1.test\n" A("1"), "10 m.test 192.0.2.1 at a1.test|" },
	/* one host broken or without address: the others are used */
	{ "x.test", "x.test MX 10 m.test\nx.test MX 20 a1.test\nm.test A !timeout\n" A("1"),
	  "10 m.test (timeout)|20 a1.test 192.0.2.1|" },
	{ "x.test", "x.test MX 10 m.test\nx.test MX 20 a1.test\n" A("1"), "10 m.test|20 a1.test 192.0.2.1|" },
	{ "x.test", "x.test MX 10 m.test\nx.test MX 20 n.test\nn.test A !servfail",
	  "4.4.3 DNS: the addresses of n.test cannot be looked up: SERVFAIL" },
	{ "x.test", "x.test MX 10 m.test\nx.test MX 20 n.test",
	  "5.4.4 none of the 2 mail hosts of x.test has a usable address" },
	/* one family is enough (J1) */
	{ "x.test", "x.test MX 10 m.test\nm.test A 192.0.2.1\nm.test AAAA !servfail", "10 m.test 192.0.2.1|" },
	{ "x.test", "x.test MX 10 m.test\nm.test AAAA 2001:db8::1\nm.test A !bogus", "10 m.test 2001:db8::1|" },
	{ "x.test", "x.test MX 10 m.test\nm.test AAAA !servfail",
	  "4.4.3 DNS: the addresses of m.test cannot be looked up: SERVFAIL" },
	/* A21.3: both families in turn */
	{ "x.test", "x.test MX 10 m.test\nm.test A 192.0.2.1\nm.test A 192.0.2.2\nm.test A 192.0.2.3\n"
	  "m.test AAAA 2001:db8::1\nm.test AAAA 2001:db8::2",
	  "10 m.test 2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3|" },
	{ "x.test", "x.test MX 10 m.test\nm.test AAAA ::ffff:192.0.2.7", "10 m.test 192.0.2.7|" },
	/* A21.4: ourselves, and what is as good or worse, would send it in a circle */
	{ "x.test", "x.test MX 10 a1.test\nx.test MX 20 Mail.US.test\nx.test MX 20 a2.test\n"
	  "x.test MX 30 a3.test\n" A("1") A("2") A("3"), "10 a1.test 192.0.2.1|" },
	{ "x.test", "x.test MX 10 us.test\nx.test MX 20 a1.test\n" A("1"),
	  "5.4.6 mail for x.test loops back to this host" },
	{ "x.test", "x.test MX 10 a1.test\nx.test MX 20 m.test\nx.test MX 20 a2.test\nx.test MX 30 a3.test\n"
	  "m.test A 192.0.2.50\nm.test A 192.0.2.99\n" A("1") A("2") A("3"), "10 a1.test 192.0.2.1|" },
	{ "x.test", "x.test MX 10 m.test\nm.test AAAA 2001:db8::99",
	  "5.4.6 mail for x.test loops back to this host" },
	{ "x.test", "x.test A 192.0.2.99", "5.4.6 mail for x.test loops back to this host" },
	{ "us.test", "us.test A 192.0.2.1", "5.4.6 mail for us.test loops back to this host" },
	/* A21.5: nobody's address */
	{ "x.test", "x.test MX 10 m.test\nm.test A 127.0.0.1\nm.test A 0.0.0.0\nm.test A 192.0.2.1\n"
	  "m.test AAAA ::1\nm.test AAAA ::\nm.test AAAA fe80::1\nm.test AAAA ff02::1\n"
	  "m.test AAAA ::ffff:127.0.0.1\nm.test A 169.254.1.1\nm.test A 224.0.0.1\nm.test A 255.255.255.255",
	  "10 m.test 192.0.2.1|" },
	{ "x.test", "x.test MX 10 localhost\nlocalhost A 127.0.0.1", "5.4.4 localhost has no usable address" },
	{ "x.test", "x.test MX 10 192.0.2.1\n", "5.4.4 192.0.2.1 has no usable address" },
	/* a host twice is one host, at its best */
	{ "x.test", "x.test MX 20 a1.test\nx.test MX 10 A1.test\nx.test MX 30 a2.test\n" A("1") A("2"),
	  "10 a1.test 192.0.2.1|30 a2.test 192.0.2.2|" },
	{ "x.test", "x.test MX 10 a1.test\nx.test MX 15 a2.test\nx.test MX 20 a1.test\n" A("1") A("2"),
	  "10 a1.test 192.0.2.1|15 a2.test 192.0.2.2|" },
	{ "x.test", "x.test MX 30 a1.test\nx.test MX 15 a2.test\nx.test MX 20 a3.test\nx.test MX 10 a1.test\n"
	  A("1") A("2") A("3"), "10 a1.test 192.0.2.1|15 a2.test 192.0.2.2|20 a3.test 192.0.2.3|" },
	/* A21.6: literals */
	{ "[192.0.2.1]", "", "0 [192.0.2.1] 192.0.2.1|" },
	{ "[ipv6:2001:db8::1]", "", "0 [ipv6:2001:db8::1] 2001:db8::1|" },
	{ "[192.0.2.99]", "", "5.4.6 mail for [192.0.2.99] loops back to this host" },
	{ "[127.0.0.1]", "", "5.4.4 [127.0.0.1] has no usable address" },
	/* DNSSEC */
	{ "x.test", "@secure x.test\nx.test MX 10 m.x.test\nm.x.test A 192.0.2.1",
	  "10 m.x.test 192.0.2.1 secure|" },
	{ "x.test", "@secure x.test\nx.test MX 10 m.x.test\nm.x.test CNAME a1.test\n" A("1"),
	  "10 m.x.test 192.0.2.1 at a1.test|" },
	{ "x.test", "@secure test\nx.test MX 10 m.test\nm.test CNAME a1.test\n" A("1"),
	  "10 m.test 192.0.2.1 secure at a1.test|" },
};

static void
hosts_of_domains(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mx_question q = question(cases[i].domain);
		struct buf got = BUF(4096);
		struct mx mx;

		run(cases[i].zone, &q, &mx);
		show(&mx, &got);
		if (!slice_eq(buf_slice(&got), slice(cases[i].hosts)))
			print_error("case %zu: %s\n", i, cases[i].zone);
		assert_slice(buf_slice(&got), cases[i].hosts);
		buf_free(&got);
		arena_reset(arena);
	}
}

/* The administrator's word: no MX, no loop check, loopback is fine. */
static void
a_fixed_host_is_itself(void **state)
{
	struct mx_question q = question("relay.test");
	struct buf got = BUF(4096);
	struct mx mx;

	(void)state;
	q.fixed = true;
	assert_int_equal(run("relay.test MX 10 a1.test\nrelay.test A 127.0.0.1\nrelay.test A 0.0.0.1", &q, &mx), 1);
	show(&mx, &got);
	assert_slice(buf_slice(&got), "0 relay.test 127.0.0.1|");
	buf_clear(&got);
	q.domain = S("us.test");
	run("us.test A 192.0.2.99", &q, &mx);
	show(&mx, &got);
	assert_slice(buf_slice(&got), "0 us.test 192.0.2.99|");
	buf_clear(&got);
	q.domain = S("[127.0.0.1]");
	assert_int_equal(run("", &q, &mx), 0);
	show(&mx, &got);
	assert_slice(buf_slice(&got), "0 [127.0.0.1] 127.0.0.1|");
	buf_clear(&got);
	q.domain = S("[169.254.1.2]");                          /* a container's host, say */
	assert_int_equal(run("", &q, &mx), 0);
	show(&mx, &got);
	assert_slice(buf_slice(&got), "0 [169.254.1.2] 169.254.1.2|");
	buf_free(&got);
}

static void
a_lab_may_use_loopback(void **state)
{
	struct mx_question q = question("x.test");
	struct mx mx;

	(void)state;
	q.local_allowed = true;
	run("x.test MX 10 m.test\nm.test A 127.0.0.7\nm.test A 0.0.0.0\nm.test AAAA ::1", &q, &mx);
	assert_int_equal(mx.count, 1);
	assert_int_equal(mx.hosts[0].count, 2);
}

static void
two_rounds_are_enough(void **state)
{
	struct mx_question q = question("x.test");
	struct mx mx;

	(void)state;
	assert_int_equal(run("x.test MX 10 a1.test\nx.test MX 20 a2.test\n" A("1") A("2"), &q, &mx), 2);
	assert_int_equal(run("x.test A 192.0.2.1", &q, &mx), 2);
	assert_int_equal(run("x.test MX 0 .", &q, &mx), 1);
}

static void
equal_preferences_are_shuffled_and_others_are_not(void **state)
{
	static const char zone[] = "x.test MX 10 a1.test\nx.test MX 10 a2.test\nx.test MX 10 a3.test\n"
	    "x.test MX 5 a4.test\n" A("1") A("2") A("3") A("4");
	static const char turned[] = "x.test MX 10 a3.test\nx.test MX 5 a4.test\nx.test MX 10 a1.test\n"
	    "x.test MX 10 a2.test\n" A("1") A("2") A("3") A("4");
	struct mx_question q = question("x.test");
	unsigned first[4] = { 0 };
	struct mx mx, again;

	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		q.rng = rng_seeded(seed);
		run(zone, &q, &mx);
		assert_int_equal(mx.count, 4);
		assert_slice(mx.hosts[0].name, "a4.test");
		first[mx.hosts[1].name.p[1] - '1']++;
		run(seed % 2 ? zone : turned, &q, &again);
		for (size_t i = 0; i < 4; i++)
			assert_true(slice_eq(mx.hosts[i].name, again.hosts[i].name));
		arena_reset(arena);
	}
	for (int i = 0; i < 3; i++)
		assert_true(first[i] > 60 && first[i] < 140);
}

/* Whichever of the equal ones comes first: who is as good as we are is dropped. */
static void
we_take_our_equals_with_us(void **state)
{
	static const char zone[] = "x.test MX 10 a1.test\nx.test MX 20 a2.test\nx.test MX 20 m.test\n"
	    "x.test MX 20 a3.test\nm.test A 192.0.2.99\n" A("1") A("2") A("3");
	struct mx_question q = question("x.test");
	struct mx mx;

	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		q.rng = rng_seeded(seed);
		run(zone, &q, &mx);
		assert_int_equal(mx.count, 1);
		assert_slice(mx.hosts[0].name, "a1.test");
	}
}

/* A validator that is unsure of one family must not take the other one's proof away. */
static void
one_secure_family_makes_a_secure_host(void **state)
{
	static const char bytes[16] = "\xc0\0\2\1";
	struct mx_question q = { .domain = S("x.test"), .fixed = true };

	(void)state;
	for (int secure = RR_A; secure <= RR_AAAA; secure += RR_AAAA - RR_A) {
		struct facts facts;
		struct fact *f;
		struct mx mx;

		facts_begin(&facts, arena);
		assert_false(find(&mx, &q, &facts));
		while ((f = facts_next_wanted(&facts)) != NULL) {
			f->records = arena_get(arena, sizeof *f->records);
			f->records->data = slice_of(bytes, f->type == RR_A ? 4 : 16);
			f->count = 1;
			f->security = f->type == secure ? DNS_SECURE : DNS_INSECURE;
			fact_known(&facts, f, ANSWER_FOUND, "");
		}
		assert_true(find(&mx, &q, &facts));
		assert_int_equal(mx.hosts[0].count, 2);
		assert_int_equal(mx.hosts[0].security, DNS_SECURE);
	}
}

static void
there_are_ceilings(void **state)
{
	struct buf zone = BUF(1 << 20);
	struct mx_question q = question("x.test");
	struct mx mx;

	(void)state;
	for (int i = 0; i < 500; i++)
		buf_printf(&zone, "x.test MX %d m%d.test\nm%d.test A 192.0.2.1\n", 1000 - i, i, i);
	for (int i = 0; i < 50; i++)
		buf_printf(&zone, "m499.test A 198.51.100.%d\nm499.test AAAA 2001:db8::%d\n", i, i + 100);
	buf_byte(&zone, '\0');
	run(zone.p, &q, &mx);
	assert_int_equal(mx.count, MX_HOSTS_MOST);
	assert_slice(mx.hosts[0].name, "m499.test");
	assert_int_equal(mx.hosts[0].count, MX_ADDRESSES_MOST);
	assert_int_equal(mx.hosts[0].addresses[0].n, 16);
	assert_int_equal(mx.hosts[0].addresses[1].n, 4);
	assert_int_equal(mx.hosts[19].preference, 501 + 19);
	buf_free(&zone);
}

/* Ourselves beyond the ceiling still count: the rule is about all records. */
static void
our_own_record_counts_wherever_it_stands(void **state)
{
	struct buf zone = BUF(1 << 20);
	struct mx_question q = question("x.test");
	struct mx mx;

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_printf(&zone, "x.test MX 10 m%d.test\nm%d.test A 192.0.2.1\n", i, i);
	buf_add(&zone, S("x.test MX 10 us.test\nx.test MX 5 best.test\nbest.test A 192.0.2.1\n"));
	buf_byte(&zone, '\0');
	run(zone.p, &q, &mx);
	assert_int_equal(mx.count, 1);
	assert_slice(mx.hosts[0].name, "best.test");
	buf_free(&zone);
}

static void
a_full_arena_is_a_transient_failure(void **state)
{
	struct mx_question q = question("x.test");
	struct zone *zone = zone_parse(S("x.test MX 10 a1.test\n" A("1")), "zone", NULL);
	struct arena *small;
	struct facts facts;
	struct mx mx;

	(void)state;
	for (size_t ceiling = 0; ceiling < 8192; ceiling += 16) {
		small = arena_new(ceiling);
		facts_begin(&facts, arena);
		while (!(mx_hosts(&mx, &q, &facts, small) && mx_addresses(&mx, &q, &facts, small)))
			zone_answer_all(zone, &facts);
		assert_true(mx.status.class == 0 || mx.status.class == 4);
		arena_free(small);
		arena_reset(arena);
	}
	assert_int_equal(mx.status.class, 0);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hosts_of_domains, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fixed_host_is_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lab_may_use_loopback, setup, teardown),
		cmocka_unit_test_setup_teardown(two_rounds_are_enough, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_preferences_are_shuffled_and_others_are_not, setup, teardown),
		cmocka_unit_test_setup_teardown(we_take_our_equals_with_us, setup, teardown),
		cmocka_unit_test_setup_teardown(one_secure_family_makes_a_secure_host, setup, teardown),
		cmocka_unit_test_setup_teardown(there_are_ceilings, setup, teardown),
		cmocka_unit_test_setup_teardown(our_own_record_counts_wherever_it_stands, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_arena_is_a_transient_failure, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
