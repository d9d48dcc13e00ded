/* SPDX-License-Identifier: ISC */
#include "base/bug.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/domain.h"
#include "mail/header.h"
#include "mail/status.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static void
a_header_keeps_its_bytes(void **state)
{
	struct slice block = S("Subject: a\r\n b\r\nX-Empty:\r\nFrom : me@x.test\r\n\tmore\r\nsubject: c\r\n");
	struct header h;

	(void)state;
	assert_true(header_parse(&h, block, arena, NULL));
	assert_int_equal(h.count, 4);
	assert_slice(h.fields[0].name, "Subject");
	assert_slice(h.fields[0].value, " a\r\n b");
	assert_slice(h.fields[0].whole, "Subject: a\r\n b\r\n");
	assert_slice(h.fields[1].value, "");
	assert_slice(h.fields[2].name, "From");
	assert_slice(field_unfolded(&h.fields[2], arena), "me@x.test\tmore");
	assert_int_equal(header_count(&h, "SUBJECT"), 2);
	assert_ptr_equal(header_find(&h, "subject"), &h.fields[0]);
	assert_null(header_find(&h, "to"));
}

static void
what_is_no_header_is_refused(void **state)
{
	static const char *const bad[] = {
		" leading: white space\r\n", "no colon here\r\n", ": no name\r\n", "two words: x\r\n",
		"a: b\r\nFrom me@x Mon\r\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct header h;
		struct error why = { 0 };

		assert_case(!header_parse(&h, slice(bad[i]), arena, &why), i, bad[i]);
		assert_true(why.text[0] != '\0');
	}
}

static void
the_body_begins_behind_the_first_empty_line(void **state)
{
	(void)state;
	assert_int_equal(header_length(S("a: b\r\n\r\nbody\r\n\r\n")), 6);
	assert_int_equal(header_length(S("\r\nbody")), 0);
	assert_int_equal(header_length(S("a: b\r\n")), 6);
	assert_int_equal(header_length(S("")), 0);
}

#define LETTERS60 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh"
#define LETTERS64 LETTERS60 "ijkl"

static const struct {
	const char    *text;
	enum path_flaw flaw;
	const char    *address;         /* as it is written again */
	bool           utf8;
} path_cases[] = {
	{ "<>", PATH_OK, "", false },
	{ "<a@x.test>", PATH_OK, "a@x.test", false },
	{ "<A.b+c@X.Test>", PATH_OK, "A.b+c@x.test", false },
	{ "<\"a b\"@x.test>", PATH_OK, "\"a b\"@x.test", false },       /* RFC 5321 4.1.2 */
	{ "<\"abc\"@x.test>", PATH_OK, "abc@x.test", false },
	{ "<\"a\\\"b\"@x.test>", PATH_OK, "\"a\\\"b\"@x.test", false },
	{ "<\">\"@x.test>", PATH_OK, "\">\"@x.test", false },
	{ "<@a.test,@b.test:u@c.test>", PATH_OK, "u@c.test", false },   /* RFC 5321 C */
	{ "<postmaster>", PATH_OK, "postmaster", false },
	{ "<Postmaster>", PATH_OK, "Postmaster", false },
	{ "<a@[192.0.2.1]>", PATH_OK, "a@[192.0.2.1]", false },
	{ "<a@[IPv6:2001:db8::1]>", PATH_OK, "a@[ipv6:2001:db8::1]", false },
	{ "<a@[300.0.2.1]>", PATH_DOMAIN, "", false },
	{ "<a>", PATH_SYNTAX, "", false },
	{ "a@x.test", PATH_SYNTAX, "", false },
	{ "<a@x.test", PATH_SYNTAX, "", false },
	{ "<a b@x.test>", PATH_SYNTAX, "", false },
	{ "<.a@x.test>", PATH_SYNTAX, "", false },
	{ "<a.@x.test>", PATH_SYNTAX, "", false },
	{ "<a..b@x.test>", PATH_SYNTAX, "", false },
	{ "<a@>", PATH_DOMAIN, "", false },
	{ "<a@x..test>", PATH_DOMAIN, "", false },
	{ "<a@-x/.test>", PATH_DOMAIN, "", false },
	{ "<a@b@x.test>", PATH_DOMAIN, "", false },
	{ "<@:a@x.test>", PATH_SYNTAX, "", false },
	{ "<@a.test,u@c.test>", PATH_SYNTAX, "", false },
	{ "<@a.test:@b.test:u@c.test>", PATH_SYNTAX, "", false },
	{ "<\"\"@x.test>", PATH_OK, "\"\"@x.test", false },
	{ "<a@-x.test>", PATH_DOMAIN, "", false },                      /* RFC 5321 4.1.2 */
	{ "<a@x-.test>", PATH_DOMAIN, "", false },
	{ "<a@x.test.>", PATH_DOMAIN, "", false },
	{ "<a@_x.test>", PATH_OK, "a@_x.test", false },                 /* RFC 8616 */
	{ "<" LETTERS64 "@x.test>", PATH_OK, LETTERS64 "@x.test", false },      /* RFC 5321 4.5.3.1.1 */
	{ "<" LETTERS64 "x@x.test>", PATH_LONG, "", false },
	{ "<" LETTERS64 "@" LETTERS60 "." LETTERS60 "." LETTERS60 ".bcdef>", PATH_OK,
	  LETTERS64 "@" LETTERS60 "." LETTERS60 "." LETTERS60 ".bcdef", false },
	{ "<" LETTERS64 "@" LETTERS60 "." LETTERS60 "." LETTERS60 ".bcdefgh>", PATH_LONG, "", false },
	{ "<\xc3\xa4@x.test>", PATH_UTF8, "", false },                 /* RFC 6531 3.2 */
	{ "<\xc3\xa4@x.test>", PATH_OK, "\xc3\xa4@x.test", true },
	{ "<\xc3\x28@x.test>", PATH_UTF8, "", true },
	{ "<\"\\\xc3\xa4\"@x.test>", PATH_SYNTAX, "", true },            /* RFC 6531 3.3 */
	{ "<a@b\xc3\xbc" "cher.test>", PATH_OK, "a@xn--bcher-kva.test", true },
};

static void
paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(path_cases); i++) {
		char input[400];
		struct slice rest = slice(path_cases[i].text);
		struct address a, again;
		enum path_flaw flaw;

		assert_true(rest.n < sizeof input);
		memcpy(input, rest.p, rest.n);
		rest.p = input;
		flaw = path_parse(&rest, path_cases[i].utf8, arena, &a);
		memset(input, '!', sizeof input);       /* the line is gone, the address stays */
		assert_case(flaw == path_cases[i].flaw, i, path_cases[i].text);
		if (flaw == PATH_OK) {
			assert_slice(a.text, path_cases[i].address);
			again = address_make(a.local, a.domain, arena);
			assert_slice(again.text, path_cases[i].address);
		}
	}
}

static const struct { const char *field; bool ok; const char *addresses; } from_cases[] = {
	{ "a@x.test", true, "a@x.test|" },
	{ " Ann <a@x.test>", true, "a@x.test|" },
	{ "\"Ann, B.\" <a@x.test>, c@y.test", true, "a@x.test|c@y.test|" },
	{ "John Q. Public <j@x.test>", true, "j@x.test|" },
	{ "=?utf-8?q?a?= <j@x.test>", true, "j@x.test|" },
	{ "(comment (nested)) a@x.test (more)", true, "a@x.test|" },
	{ "a (c) @ (d) x.test", true, "a@x.test|" },
	{ "Ann\r\n <a@x.test>", true, "a@x.test|" },
	{ "Group: a@x.test, b@x.test;", true, "a@x.test|b@x.test|" },
	{ "Undisclosed:;", true, "" },
	{ "\"a b\"@x.test", true, "\"a b\"@x.test|" },
	{ "Ann <a@X.TEST>,", true, "a@x.test|" },
	{ "a@x.test <a@x.test>", true, "a@x.test|" },
	{ "a@x.test (c) <b@X.test>, c@y.test", true, "b@x.test|c@y.test|" },
	{ "[x] Ann <a@x.test>", true, "a@x.test|" },
	{ "a . \"b c\" (d) .e@x.test", true, "\"a.b c.e\"@x.test|" },       /* RFC 5322 4.4 */
	{ "\"\\\xc3\xa4\"@x.test", true, "\xc3\xa4@x.test|" },             /* RFC 6532 3.2 */
	{ "\"a\r\n b\"@x.test", true, "\"a b\"@x.test|" },
	{ "\"a\\\r\n b\"@x.test", false, "" },
	{ "a@x (c) .test", false, "" },
	{ "<@y.test:a@x.test>, B <@y.test, @z.test :b@x.test>", true, "a@x.test|b@x.test|" },
	{ "<@y.test;a@x.test>", false, "" },
	{ "a.@x.test", false, "" },
	{ ".a@x.test", false, "" },
	{ "a..b@x.test", false, "" },
	{ "'a@x.test' <b@x.test>, 'c'd@y.test'(e)\r\n <c@y.test>", true, "b@x.test|c@y.test|" },
	{ "'b@y.test' <a@x.test>", false, "" },
	{ "", true, "" },
	{ "Ann", false, "" },
	{ "<a@x.test> <b@y.test>", false, "" },
	{ "a@x.test b@y.test", false, "" },
	{ "b@y.test <a@x.test>", false, "" },
	{ "Ann <a@x.test", false, "" },
	{ "a@x.test (open", false, "" },
	{ "\"open <a@x.test>", false, "" },
	{ "G: h: a@x.test;;", false, "" },
};

static void
mailboxes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(from_cases); i++) {
		struct mailbox box[4];
		size_t count = 99;
		char text[200] = "";
		bool ok = mailboxes_parse(slice(from_cases[i].field), arena, box, 4, &count);

		assert_case(ok == from_cases[i].ok, i, from_cases[i].field);
		for (size_t j = 0; ok && j < count; j++)
			snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s|",
			    FMT(box[j].address.text));
		assert_case(strcmp(text, from_cases[i].addresses) == 0, i, from_cases[i].field);
	}
}

static void
many_mailboxes_are_not_counted(void **state)
{
	struct mailbox box[2];
	size_t count;

	(void)state;
	assert_true(mailboxes_parse(S("a@x.test, b@x.test"), arena, box, 2, &count));
	assert_int_equal(count, 2);
	assert_true(mailboxes_parse(S("a@x.test, b@x.test, c@x.test, d@x.test"), arena, box, 2, &count));
	assert_int_equal(count, 3);
	assert_true(mailboxes_parse(S("G: a@x.test, b@x.test, c@x.test, d@x.test;"), arena, box, 2, &count));
	assert_int_equal(count, 3);
	assert_false(mailboxes_parse(S("G: a@x.test, b@x.test"), arena, box, 2, &count));
}

static void
domains(void **state)
{
	unsigned char bytes[16];

	(void)state;
	assert_slice(domain_normal(S("Mail.Example.ORG."), arena), "mail.example.org");
	assert_slice(domain_normal(S("_dmarc.example.org"), arena), "_dmarc.example.org");
	assert_slice(domain_normal(S("b\xc3\xbc" "cher.example"), arena), "xn--bcher-kva.example");
	assert_null(domain_normal(S("a..b"), arena).p);
	assert_null(domain_normal(S(""), arena).p);
	assert_null(domain_normal(S("."), arena).p);
	assert_null(domain_normal(S("a b"), arena).p);
	assert_true(domain_valid(S("_x.Mail-1.example")));
	assert_false(domain_valid(S("")));
	assert_false(domain_valid(S("mail.example.")));
	assert_false(domain_valid(S("a..b")));
	assert_false(domain_valid(S("a b.example")));
	assert_false(domain_valid(S("b\xc3\xbc" "cher.example")));
	assert_int_equal(domain_labels(S("a.b.c")), 3);
	assert_int_equal(domain_labels(S("")), 0);
	assert_slice(domain_parent(S("a.b.c")), "b.c");
	assert_slice(domain_parent(S("c")), "");
	assert_slice(domain_tail(S("a.b.c.d"), 2), "c.d");
	assert_slice(domain_tail(S("d"), 2), "d");
	assert_true(domain_within(S("a.b"), S("b")));
	assert_true(domain_within(S("b"), S("b")));
	assert_false(domain_within(S("ab"), S("b")));
	assert_true(domain_matches(S(".b"), S("a.b")));
	assert_false(domain_matches(S(".b"), S("b")));
	assert_true(domain_matches(S("b"), S("B")));
	assert_int_equal(domain_literal(S("[192.0.2.1]"), bytes), 4);
	assert_int_equal(domain_literal(S("[IPv6:::1]"), bytes), 16);
	assert_int_equal(domain_literal(S("[::1]"), bytes), 0);
	assert_int_equal(domain_literal(S("192.0.2.1"), bytes), 0);
}

static void
statuses_of_other_servers(void **state)
{
	struct status s = status_of_reply(550, S("5.1.1 no such user"));

	(void)state;
	assert_true(status_permanent(s) && s.subject == 1 && s.detail == 1 && !s.uncoded);
	assert_slice(s.text, "no such user");
	s = status_of_reply(450, S("5.1.1 lies about its class"));
	assert_true(status_transient(s) && s.subject == 0 && s.uncoded);
	assert_slice(s.text, "5.1.1 lies about its class");
	s = status_of_reply(250, S("ok"));
	assert_true(status_good(s) && s.uncoded);
	assert_slice(s.text, "ok");
	s = status_of_reply(421, S("4.3.2"));
	assert_true(s.class == 4 && s.subject == 3 && s.detail == 2);
	s = status_of_reply(550, S("5.1234.1 too long a number"));
	assert_int_equal(s.subject, 0);
}

static void
dates(void **state)
{
	char text[DATE_TEXT + 1];

	(void)state;
	date_text(1795311000000, text);
	assert_string_equal(text, "Sun, 22 Nov 2026 01:30:00 +0000");
	date_text(0, text);
	assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 +0000");
}

/* A session forgets the line before the address is used. */
static void
an_address_outlives_what_it_was_read_from(void **state)
{
	static const char *const paths[] = { "<good@lists.test>", "<\"a b\"@lists.test>", "<postmaster>" };

	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		char *line = must_copy(paths[i], strlen(paths[i]));
		struct slice rest = slice(line);
		struct address kept, wanted;

		assert_int_equal(path_parse(&rest, false, arena, &kept), PATH_OK);
		memset(line, 'x', strlen(line));
		free(line);
		rest = slice(paths[i]);
		assert_int_equal(path_parse(&rest, false, arena, &wanted), PATH_OK);
		assert_case(address_eq(&kept, &wanted) && slice_eq(kept.text, wanted.text), i, paths[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_address_outlives_what_it_was_read_from, setup, teardown),
		cmocka_unit_test_setup_teardown(a_header_keeps_its_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_header_is_refused, setup, teardown),
		cmocka_unit_test(the_body_begins_behind_the_first_empty_line),
		cmocka_unit_test_setup_teardown(paths, setup, teardown),
		cmocka_unit_test_setup_teardown(mailboxes, setup, teardown),
		cmocka_unit_test_setup_teardown(many_mailboxes_are_not_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(domains, setup, teardown),
		cmocka_unit_test(statuses_of_other_servers),
		cmocka_unit_test(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
