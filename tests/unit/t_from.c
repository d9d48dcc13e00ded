/* SPDX-License-Identifier: ISC */
#include "auth/from.h"
#include "unit.h"

static const struct {
	const char    *header;
	enum from_flaw flaw;
	const char    *domain;
} cases[] = {
	{ "From: a@x.test\r\n", FROM_OK, "x.test" },
	{ "from: Ann <a@X.Test>\r\n", FROM_OK, "x.test" },
	{ "From : a@x.test\r\n", FROM_OK, "x.test" },                   /* RFC 5322 4.5 */
	{ "From: Ann\r\n (my\r\n address) <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: \"b@y.test\" <a@x.test>\r\n", FROM_OK, "x.test" },      /* a name says anything */
	{ "From: =?utf-8?q?b=40y.test?= <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: (b@y.test) a@x.test\r\n", FROM_OK, "x.test" },
	{ "From: \"b@y.test\\\" <c@z.test>\" <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: a@b\xc3\xbc" "cher.test\r\n", FROM_OK, "xn--bcher-kva.test" }, /* RFC 9989 5.3.1 */
	{ "From: a@[192.0.2.1]\r\n", FROM_OK, "[192.0.2.1]" },
	{ "From: <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: a@x.test <a@x.test>\r\n", FROM_OK, "x.test" },         /* no phrase, but no doubt */
	{ "From: 'a@x.test' <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: 'o'neil@X.test' (c) <o'neil@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: 'Ann' <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: 'a@x.test <a@x.test>\r\n", FROM_OK, "x.test" },         /* 'a is a local part */
	{ "From: [x] Ann [via y] <a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: \"a\" . b @x.test\r\n", FROM_OK, "x.test" },            /* RFC 5322 4.4 */
	{ "From: <@y.test:a@x.test>\r\n", FROM_OK, "x.test" },          /* RFC 5322 4.4, obs-route */
	{ "From: Ann <@y.test,@z.test:a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: < (c) @y.test ,, @z.test, : a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: <@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t:a@x.test>\r\n", FROM_OK, "x.test" },
	{ "From: Group: a@x.test;\r\n", FROM_OK, "x.test" },            /* RFC 6854 */
	{ "Sender: s@z.test\r\nFrom: a@x.test\r\nResent-From: b@y.test\r\n", FROM_OK, "x.test" },

	{ "To: a@x.test\r\n", FROM_NONE, "" },                          /* RFC 5322 3.6 */
	{ "From: \r\n", FROM_NONE, "" },
	{ "From:\r\n \r\n", FROM_NONE, "" },
	{ "From: ,\r\n", FROM_NOBODY, "" },
	{ "From: Nobody:;\r\n", FROM_NOBODY, "" },                      /* RFC 6854 */
	{ "From: \"CEO <ceo@x.test>\":;\r\n", FROM_NOBODY, "" },       /* people are shown x.test */
	{ "From: ceo at x.test:;\r\n", FROM_NOBODY, "" },
	{ "From: (ceo@x.test)\r\n", FROM_NOBODY, "" },

	{ "From: a@x.test\r\nFrom: a@x.test\r\n", FROM_FIELDS, "" },
	{ "From: a@x.test\r\nFROM : b@y.test\r\n", FROM_FIELDS, "" },

	{ "From: a@x.test, b@X.test\r\n", FROM_ADDRESSES, "x.test" },   /* RFC 5322 3.6.2 */
	{ "From: G: a@x.test, b@x.test;\r\n", FROM_ADDRESSES, "x.test" },
	{ "From: a@x.test, b@y.test\r\n", FROM_DOMAINS, "" },           /* RFC 9989 11.5 */
	{ "From: a@x.test, b@sub.x.test\r\n", FROM_DOMAINS, "" },
	{ "From: a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,"
	  "a@a.t,a@a.t,a@a.t,b@b.t\r\n", FROM_MANY, "" },
	{ "From: a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,a@a.t,"
	  "a@a.t,a@a.t,a@a.t,a@a.t\r\n", FROM_MANY, "" },

	/* Of these, one reader sees x.test and another y.test. */
	{ "From: <a@x.test> <b@y.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: b@y.test <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: 'b@y.test' <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: 'b@y.test' <a@x.test> Ann <c@z.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: 'b@y.test', <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: 'b@y.test' 'a@x.test' <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: 'a@x.test' b@y.test <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: 'a@x.test'\r\n", FROM_UNPARSABLE, "" },
	{ "From: Ann, 'a@x.test' <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: .@x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@y..x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@x.test b@y.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@y.test (c) . x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@y.test(c).x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@y.test a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@y.test @z.test:a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@y.test:@z.test:a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@:a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@y.test:>\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@y.test,\r\n", FROM_UNPARSABLE, "" },
	{ "From: @y.test:a@x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: <@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t,@a.t:a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@y.test@x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: <b@y.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@y.test\\,@x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: Ann, B. <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: \"Ann <b@y.test> <a@x.test>\r\n", FROM_UNPARSABLE, "" },
	{ "From: (open <b@y.test> a@x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: <<b@y.test><a@x.test>>\r\n", FROM_UNPARSABLE, "" },
	{ "From: b@y.test;a@x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: From: <a@x.test>\r\n", FROM_UNPARSABLE, "" },

	{ "From: Ann\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@\r\n", FROM_UNPARSABLE, "" },
	{ "From: @x.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@-x-.test\r\n", FROM_UNPARSABLE, "" },
	{ "From: a@x.test.\r\n", FROM_UNPARSABLE, "" },
};

static void
one_field_with_one_domain_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena *arena = arena_new(1 << 16);
		struct header h;
		struct from from;

		assert_true(header_parse(&h, slice(cases[i].header), arena, NULL));
		from = from_read(&h, arena);
		if (from.flaw != cases[i].flaw)
			print_error("got \"%s\"\n", from_flaw_name(from.flaw));
		assert_case(from.flaw == cases[i].flaw, i, cases[i].header);
		assert_slice(from.domain, cases[i].domain);
		assert_case((from.address.n > 0) == (from.flaw == FROM_OK), i, cases[i].header);
		arena_free(arena);
	}
}

static void
a_full_arena_is_no_author(void **state)
{
	struct arena *arena = arena_new(1 << 16), *small = arena_new(16);
	struct header h;

	(void)state;
	assert_true(header_parse(&h, S("From: ann.of.the.long.local.part@x.test\r\n"), arena, NULL));
	assert_int_equal(from_read(&h, small).flaw, FROM_UNPARSABLE);
	arena_free(small);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_field_with_one_domain_and_nothing_else),
		cmocka_unit_test(a_full_arena_is_no_author),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
