/* SPDX-License-Identifier: ISC */
#include <unistd.h>

#include "base/file.h"
#include "dns/resolve.h"
#include "dns/zone.h"
#include "unit.h"

static struct loop loop;
static struct clock clock_;
static struct arena *arena;
static int woken, wanted;

static void
count_wake(void *unused)
{
	(void)unused;
	if (++woken == wanted)
		loop_stop(&loop);
}

static int
begin(struct clock clock)
{
	clock_ = clock;
	loop_begin(&loop, &clock_);
	arena = arena_new(1 << 20);
	woken = wanted = 0;
	return 0;
}

static int setup(void **state) { (void)state; return begin((struct clock){ 0 }); }
static int setup_virtual(void **state) { (void)state; return begin(clock_virtual(1000000)); }

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	loop_end(&loop);
	return 0;
}

static void turn_for(int64_t ms) { loop_run_until(&loop, clock_.now + ms); }

static void stop(void *unused) { (void)unused; loop_stop(&loop); }

/* By the real clock, for as long as that takes. */
static void
turn_until(int count)
{
	struct timer t = { 0 };

	wanted = count;
	timer_set(&loop, &t, MINUTE, stop, NULL);
	loop_run(&loop);
	timer_clear(&loop, &t);
	assert_int_equal(woken, count);
}

static void
facts_of_a_text_come_from_the_loop(void **state)
{
	struct zone *zone = zone_parse(S("a.test. A 192.0.2.1\n"), "zone", NULL);
	struct resolver *r = resolver_new(&loop, &(struct resolver_options){ .facts = zone }, NULL);
	struct inquiry inq;

	(void)state;
	inquiry_begin(&inq, r, arena);
	fact(&inq.facts, S("a.test"), RR_A);
	fact(&inq.facts, S("b.test"), RR_A);
	inquiry_ask(&inq, count_wake, NULL);
	assert_int_equal(woken, 0);             /* never before the asking call has returned */
	turn_for(1);
	assert_int_equal(woken, 1);             /* once */
	assert_int_equal(fact(&inq.facts, S("a.test"), RR_A)->answer, ANSWER_FOUND);
	assert_int_equal(fact(&inq.facts, S("b.test"), RR_A)->answer, ANSWER_NXDOMAIN);
	fact(&inq.facts, S("c.test"), RR_A);
	inquiry_ask(&inq, count_wake, NULL);
	inquiry_end(&inq);
	turn_for(1);
	assert_int_equal(woken, 1);             /* nobody is called after the end */
	resolver_free(r);
	zone_free(zone);
}

/* libunbound over a zone file of ours: its answers come inside the asking call. */
static void
libunbound_answers_from_the_loop_too(void **state)
{
	char dir[] = "/tmp/chainmail-unit-XXXXXX", zone[100], config[100], text[400];
	struct error why = { 0 };
	struct resolver *r;
	struct inquiry inq;
	const struct fact *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(zone, sizeof zone, "%s/zone", dir);
	snprintf(config, sizeof config, "%s/conf", dir);
	snprintf(text, sizeof text, "server:\n local-zone: \"test.\" nodefault\n"
	    "auth-zone:\n name: \".\"\n zonefile: \"%s\"\n for-downstream: no\n for-upstream: yes\n"
	    " fallback-enabled: no\n", zone);
	assert_true(file_replace(config, slice(text), 0600, &why));
	assert_true(file_replace(zone, S(". 60 IN SOA a. b. 1 2 3 4 5\n. 60 IN NS a.\n"
	    "x.test. 60 IN TXT \"one \" \"two\"\nx.test. 60 IN MX 5 mx.test.\n"
	    "y.test. 60 IN CNAME x.test.\n"), 0600, &why));
	r = resolver_new(&loop, &(struct resolver_options){ .config = config }, &why);
	assert_non_null(r);
	inquiry_begin(&inq, r, arena);
	fact(&inq.facts, S("x.test"), RR_TXT);
	fact(&inq.facts, S("y.test"), RR_MX);
	fact(&inq.facts, S("x.test"), RR_A);
	fact(&inq.facts, S("odd name;\x01.test"), RR_A);
	inquiry_ask(&inq, count_wake, NULL);
	assert_int_equal(woken, 0);
	turn_until(1);
	f = fact(&inq.facts, S("x.test"), RR_TXT);
	assert_non_null(f);
	assert_int_equal(f->answer, ANSWER_FOUND);
	assert_int_equal(f->security, DNS_INSECURE);
	assert_slice(f->records[0].data, "one two");
	f = fact(&inq.facts, S("y.test"), RR_MX);
	assert_slice(f->canonical, "x.test");
	assert_slice(f->records[0].data, "mx.test");
	assert_int_equal(fact(&inq.facts, S("x.test"), RR_A)->answer, ANSWER_NODATA);
	assert_int_equal(fact(&inq.facts, S("odd name;\x01.test"), RR_A)->answer, ANSWER_NXDOMAIN);
	inquiry_end(&inq);
	resolver_free(r);
	dir_remove(dir, &why);
}

/* A server that is silent: our own limits hold, whatever libunbound thinks. */
static void
silence_ends_at_the_limit(void **state)
{
	struct peer nobody;
	struct resolver *r;
	struct inquiry inq;
	struct error why = { 0 };

	(void)state;
	peer_parse(S("127.0.0.1:9"), &nobody);
	r = resolver_new(&loop, &(struct resolver_options){ .servers = &nobody, .server_count = 1,
	    .timeout = 50 }, &why);
	assert_non_null(r);
	inquiry_begin(&inq, r, arena);
	fact(&inq.facts, S("x.test"), RR_A);
	inquiry_ask(&inq, count_wake, NULL);
	turn_until(1);
	assert_int_equal(fact(&inq.facts, S("x.test"), RR_A)->answer, ANSWER_BROKEN);
	fact(&inq.facts, S("y.test"), RR_A);
	inquiry_limit(&inq, 10);
	inquiry_ask(&inq, count_wake, NULL);
	turn_until(2);
	assert_int_equal(fact(&inq.facts, S("y.test"), RR_A)->answer, ANSWER_BROKEN);
	inquiry_end(&inq);
	resolver_free(r);
}

static enum dns_fault
fault_by_first_letter(void *arg, struct slice name, uint16_t type)
{
	(*(int *)arg)++;
	return type != RR_A ? DNS_NO_FAULT : *name.p == 's' ? DNS_SERVFAIL
	    : *name.p == 'q' ? DNS_SILENCE : DNS_NO_FAULT;
}

/* The lab's faults: a question that fails at once, one that is never answered. */
static void
questions_fail_on_purpose(void **state)
{
	int asked = 0;
	struct peer nobody;
	struct resolver_options o = { .servers = &nobody, .server_count = 1, .timeout = 50,
	    .fault = fault_by_first_letter, .fault_arg = &asked };
	struct resolver *r;
	struct inquiry inq;

	(void)state;
	peer_parse(S("127.0.0.1:9"), &nobody);
	r = resolver_new(&loop, &o, NULL);
	inquiry_begin(&inq, r, arena);
	fact(&inq.facts, S("s.test"), RR_A);
	fact(&inq.facts, S("q.test"), RR_A);
	inquiry_ask(&inq, count_wake, NULL);
	assert_int_equal(woken, 0);
	turn_for(20);
	assert_int_equal(woken, 1);
	assert_int_equal(asked, 2);
	assert_slice(fact(&inq.facts, S("s.test"), RR_A)->why, "SERVFAIL");
	assert_int_equal(fact(&inq.facts, S("s.test"), RR_A)->security, DNS_INSECURE);
	assert_null(fact(&inq.facts, S("q.test"), RR_A));
	inquiry_ask(&inq, count_wake, NULL);
	turn_for(100);
	assert_int_equal(woken, 2);
	assert_slice(fact(&inq.facts, S("q.test"), RR_A)->why, "no answer in time");
	assert_int_equal(resolver_counts(r).failed, 2);
	assert_int_equal(resolver_counts(r).timeout, 1);
	fact(&inq.facts, S("q2.test"), RR_A);
	inquiry_ask(&inq, count_wake, NULL);
	inquiry_end(&inq);                      /* while it is under way */
	turn_for(100);
	assert_int_equal(woken, 2);
	resolver_free(r);
}

static void
a_bad_trust_anchor_is_told_at_the_start(void **state)
{
	static const char *const texts[] = {
		"; comment\nthis is no anchor\n", "; comment\n", "\n",
		". IN DS 12345 253 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d\n",
		"example.com. IN DS 20326 8 2 e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct resolver_options o = { .anchor = slice(texts[i]) };
		struct error why = { .text = "" };

		assert_case(resolver_new(&loop, &o, &why) == NULL, i, "there is a resolver");
		assert_case(strstr(why.text, "trust anchor") != NULL, i, why.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(facts_of_a_text_come_from_the_loop, setup_virtual, teardown),
		cmocka_unit_test_setup_teardown(libunbound_answers_from_the_loop_too, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_ends_at_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(questions_fail_on_purpose, setup_virtual, teardown),
		cmocka_unit_test_setup_teardown(a_bad_trust_anchor_is_told_at_the_start, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
