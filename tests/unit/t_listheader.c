/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "mail/listheader.h"
#include "mail/words.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(4 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static struct address
address(const char *text)
{
	struct address a;

	assert_true(address_parse(slice(text), arena, &a));
	return a;
}

static struct list_identity
members(void)
{
	return (struct list_identity){ .id = S("members.list.test"), .address = address("members@list.test") };
}

static struct slice
text_of(const struct edit *e)
{
	struct buf b = BUF(1 << 20);
	struct slice s;

	assert_false(e->full);
	for (size_t i = 0; i < e->header.count; i++)
		buf_add(&b, e->header.fields[i].whole);
	s = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	return s;
}

static void
begin(struct edit *e, const char *block)
{
	struct header h;

	assert_true(header_parse(&h, slice(block), arena, NULL));
	edit_begin(e, &h, arena);
}

/* --- the fields of a list ------------------------------------------------------------ */

static void
a_small_list(void **state)
{
	struct list_identity l = members();
	struct edit e;

	(void)state;
	begin(&e, "From: a@x.test\r\nSubject: s\r\n");
	listheader_write(&e, &l);
	assert_slice(text_of(&e),
	    "From: a@x.test\r\nSubject: s\r\n"
	    "List-Id: <members.list.test>\r\n"
	    "List-Post: <mailto:members@list.test>\r\n"
	    "Precedence: list\r\nX-BeenThere: members@list.test\r\n");
}

static void
a_list_with_everything(void **state)
{
	struct list_identity l = members();
	struct edit e;

	(void)state;
	l.name = S("All \"members\"");
	l.sender = address("members-bounces@list.test");
	l.help = S("mailto:members-help@list.test");
	l.subscribe = S("mailto:members-subscribe@list.test");
	l.unsubscribe = S("mailto:members-unsubscribe@list.test");
	l.owner = S("mailto:members-owner@list.test");
	l.archive = S("https://list.test/archive/members/");
	l.one_click = S("https://list.test/u");
	assert_true(list_check(&l, NULL));
	begin(&e, "From: a@x.test\r\nSender: b@x.test\r\n");
	listheader_write(&e, &l);
	listheader_one_click(&e, S("https://list.test/u/Zm9v"));
	assert_slice(text_of(&e),
	    "From: a@x.test\r\n"
	    "List-Id: \"All \\\"members\\\"\" <members.list.test>\r\n"
	    "List-Post: <mailto:members@list.test>\r\n"
	    "List-Help: <mailto:members-help@list.test>\r\n"
	    "List-Subscribe: <mailto:members-subscribe@list.test>\r\n"
	    "List-Owner: <mailto:members-owner@list.test>\r\n"
	    "List-Archive: <https://list.test/archive/members/>\r\n"
	    "Precedence: list\r\nX-BeenThere: members@list.test\r\n"
	    "Sender: <members-bounces@list.test>\r\n"
	    "List-Unsubscribe: <https://list.test/u/Zm9v>,\r\n <mailto:members-unsubscribe@list.test>\r\n"
	    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");  /* RFC 8058 3.1 */
}

static void
only_what_there_is(void **state)
{
	struct list_identity l = members();
	struct edit e;

	(void)state;
	l.name = S("F\xc3\xbcr alle");
	l.no_posts = true;
	begin(&e, "");
	listheader_write(&e, &l);
	listheader_one_click(&e, S("https://list.test/u"));
	assert_slice(text_of(&e),
	    "List-Id: =?utf-8?q?F=C3=BCr_alle?= <members.list.test>\r\n"
	    "List-Post: NO\r\n"                                         /* RFC 2369 3.4 */
	    "Precedence: list\r\nX-BeenThere: members@list.test\r\n"
	    "List-Unsubscribe: <https://list.test/u>\r\n"
	    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
}

/* A poster, or another list, cannot speak for this one (RFC 2369 2, RFC 2919 3). */
static void
what_others_said_goes(void **state)
{
	struct list_identity l = members();
	struct edit e;

	(void)state;
	begin(&e,
	    "Return-Path: <a@x.test>\r\nReceived: by x\r\nDKIM-Signature: v=1\r\nlist-id: <other.test>\r\n"
	    "List-Unsubscribe: <https://evil.test>\r\nList-Unsubscribe-Post: x\r\nLIST-anything: y\r\n"
	    "Precedence: bulk\r\nX-Original-From: z\r\nFrom: a@x.test\r\nSender: b@x.test\r\nListing: stays\r\n");
	listheader_write(&e, &l);
	assert_slice(text_of(&e),
	    "Received: by x\r\nDKIM-Signature: v=1\r\nFrom: a@x.test\r\nSender: b@x.test\r\nListing: stays\r\n"
	    "List-Id: <members.list.test>\r\nList-Post: <mailto:members@list.test>\r\nPrecedence: list\r\n"
	    "X-BeenThere: members@list.test\r\n");
}

static void
addresses_in_uris_are_escaped(void **state)
{
	static const struct { const char *address, *uri; } cases[] = {
		{ "a.b+c@x.test", "mailto:a.b+c@x.test" },
		{ "a/b?c=d&e@x.test", "mailto:a%2Fb%3Fc%3Dd%26e@x.test" },     /* RFC 6068 2 */
		{ "\"a b>\"@x.test", "mailto:%22a%20b%3E%22@x.test" },
		{ "\"a@b\"@x.test", "mailto:%22a%40b%22@x.test" },
		{ "\xc3\xa4@x.test", "mailto:%C3%A4@x.test" },
		{ "a%b@x.test", "mailto:a%25b@x.test" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address a = address(cases[i].address);
		struct buf b = BUF(1000);

		mailto_add(&b, &a);
		assert_case(slice_eq(buf_slice(&b), slice(cases[i].uri)), i, cases[i].address);
		buf_free(&b);
	}
}

static void
lists_are_checked(void **state)
{
	static const struct { const char *id, *name, *uri, *one_click; bool good; } cases[] = {
		{ "a.b", "", "", "", true },
		{ "a.b", "N\xc3\xa4me", "mailto:x@y.test", "https://x.test/leave/", true },
		{ "a", "", "", "", false }, { "", "", "", "", false }, { "a..b", "", "", "", false },
		{ "a b.c", "", "", "", false }, { "a>.b", "", "", "", false }, { "\xc3\xa4.b", "", "", "", false },
		{ "a.b", "x\r\ny", "", "", false }, { "a.b", "\xff", "", "", false },
		{ "a.b", "", "x@y.test", "", false }, { "a.b", "", "mailto:", "", false }, { "a.b", "", ":x", "", false },
		{ "a.b", "", "mailto:x>,<y:", "", false }, { "a.b", "", "mailto:a b", "", false },
		{ "a.b", "", "mailto:a\r\nB: c", "", false }, { "a.b", "", "mailto:a,b", "", false },
		{ "a.b", "", "", "http://x.test", false }, { "a.b", "", "", "mailto:x@y", false },
		{ "a.b", "", "", "https://x.test", false }, { "a.b", "", "", "https://x.test/", false },
		{ "a.b", "", "", "https:///leave", false }, { "a.b", "", "", "https://x.test/a?b=", false },
		{ "a.b", "", "", "https://x.test/a#b", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct list_identity l = { .id = slice(cases[i].id), .name = slice(cases[i].name), .help = slice(cases[i].uri),
		    .one_click = slice(cases[i].one_click) };
		struct error why = { 0 };
		bool good = list_check(&l, &why);

		assert_case(good == cases[i].good && (why.text[0] == '\0') == good, i, why.text);
	}
}

static void
a_post_that_came_back_is_known(void **state)
{
	static const struct { const char *block; bool loops; } cases[] = {
		{ "", false },
		{ "List-Id: <members.list.test>\r\n", true },
		{ "LIST-ID: \"a <b>\" <Members.List.Test>\r\n", true },
		{ "List-Id: All of us\r\n <members.list.test>\r\n", true },
		{ "List-Id: members.list.test\r\n", true },
		{ "List-Id: <other.list.test>\r\nList-Id: < members.list.test >\r\n", true },
		{ "List-Id: <other.list.test>\r\n", false },
		{ "List-Id: <members.list.test.evil>\r\n", false },
		{ "List-Id: <members.list.test> <other>\r\n", false },
		{ "List-Id: <\r\n", false },
		{ "X-List-Id: <members.list.test>\r\n", false },
		/* another list put its own List-Id in place of ours */
		{ "X-BeenThere: members@list.test\r\nX-BeenThere: other@list.test\r\nList-Id: <other.list.test>\r\n", true },
		{ "x-beenthere:\r\n Members@LIST.test \r\n", true },
		{ "X-BeenThere: members@list.test.evil\r\nX-BeenThere: other@list.test\r\nX-BeenThere:\r\n", false },
	};
	struct list_identity l = members();

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header h;

		assert_true(header_parse(&h, slice(cases[i].block), arena, NULL));
		assert_case(listheader_loops(&h, &l) == cases[i].loops, i, cases[i].block);
	}
}

/* RFC 3834 5 */
static void
an_automatic_answer_is_known(void **state)
{
	static const struct { const char *block; bool answers; } cases[] = {
		{ "", false },
		{ "Auto-Submitted: auto-replied\r\n", true },
		{ "auto-submitted: (I am\r\n away) Auto-Replied; owner-email=\"a@b.test\"\r\n", true },
		{ "Auto-Submitted: auto-replied(vacation)\r\n", true },
		{ "Auto-Submitted: auto-generated\r\n", false },        /* of cron: a post like any other */
		{ "Auto-Submitted: no (auto-replied)\r\n", false },
		{ "Auto-Submitted: auto-replied-not\r\n", false },
		{ "Auto-Submitted: (auto-replied\r\n", false },
		{ "X-Auto-Submitted: auto-replied\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct header h;

		assert_true(header_parse(&h, slice(cases[i].block), arena, NULL));
		assert_case(listheader_answers(&h) == cases[i].answers, i, cases[i].block);
	}
}

/* --- in the list's name ---------------------------------------------------------------- */

static const struct { const char *from, *list_name, *rewritten; } from_cases[] = {
	{ " Ann <a@x.test>", "Members", "\"Ann via Members\" <members@list.test>" },
	{ " Ann <a@x.test>", "", "\"Ann via members\" <members@list.test>" },
	{ " a.b@x.test", "M", "\"a.b via M\" <members@list.test>" },
	{ " <\"a b\"@x.test>", "M", "\"a b via M\" <members@list.test>" },
	{ " \"Ann, B.\" <a@x.test>", "M", "\"Ann, B. via M\" <members@list.test>" },
	{ " John Q. Public <a@x.test>", "M", "\"John Q. Public via M\" <members@list.test>" },
	{ " \"Ann \\\"the\\\" \\\\ B\" <a@x.test>", "M", "\"Ann \\\"the\\\" \\\\ B via M\" <members@list.test>" },
	{ " Ann (of \"x\") B <a@x.test>", "M", "\"Ann B via M\" <members@list.test>" },
	{ " a@x.test (Ann)", "M", "\"a via M\" <members@list.test>" },
	{ " \"\" <a@x.test>", "M", "\"a via M\" <members@list.test>" },
	{ " \" \" <a@x.test>", "M", "\"a via M\" <members@list.test>" },
	{ "\r\n Ann\r\n B <a@x.test>", "M", "\"Ann B via M\" <members@list.test>" },
	{ " \"Ann\r\n B\" <a@x.test>", "M", "\"Ann B via M\" <members@list.test>" },
	{ " \"<evil@y.test>\" <a@x.test>", "M", "\"<evil@y.test> via M\" <members@list.test>" },
	{ " G: Ann <a@x.test>, b@x.test;", "M", "\"Ann via M\" <members@list.test>" },  /* RFC 6854 */
	{ " Ann <a@x.test>, Ben <b@x.test>", "M", "\"Ann via M\" <members@list.test>" },
	/* encoded words stay as they are */
	{ " =?utf-8?q?J=C3=BCrgen?= <a@x.test>", "M", "=?utf-8?q?J=C3=BCrgen?=\r\n \"via M\" <members@list.test>" },
	{ " =?koi8-r?B?78zYx8E=?= =?koi8-r?B?78zYx8E=?= <a@x.test>", "M",
	    "=?koi8-r?B?78zYx8E=?=\r\n =?koi8-r?B?78zYx8E=?=\r\n \"via M\" <members@list.test>" },
	{ " Ann =?utf-8?q?=C3=BC?= B <a@x.test>", "M", "\"Ann\"\r\n =?utf-8?q?=C3=BC?=\r\n \"B via M\" <members@list.test>" },
	{ " =?utf-8?q?=C3=BC?= <a@x.test>", "F\xc3\xbcr",
	    "=?utf-8?q?=C3=BC?=\r\n =?utf-8?q?_via_F=C3=BCr?= <members@list.test>" },
	{ " Ann <a@x.test>", "F\xc3\xbcr", "=?utf-8?q?Ann_via_F=C3=BCr?= <members@list.test>" },
	{ " \xc3\xbc <a@x.test>", "M", "=?utf-8?q?=C3=BC_via_M?= <members@list.test>" },
	{ " \xc3\xbc =?utf-8?q?b?= <a@x.test>", "M", "=?utf-8?q?=C3=BC_?=\r\n =?utf-8?q?b?=\r\n \"via M\" <members@list.test>" },
	/* what only looks like one */
	{ " \"=?utf-8?q?a?=\" <a@x.test>", "M", "\"=?utf-8?q?a?= via M\" <members@list.test>" },
	{ " =?utf-8?q?[a]?= <a@x.test>", "M", "\"=?utf-8?q?[a]?= via M\" <members@list.test>" },
	{ " =?utf-8?q?a <a@x.test>", "M", "\"=?utf-8?q?a via M\" <members@list.test>" },
	{ " \xff <a@x.test>", "M", "=?utf-8?q?=3F_via_M?= <members@list.test>" },
};

static void
any_name_can_write_through_the_list(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(from_cases); i++) {
		struct buf block = BUF(10000), want = BUF(10000);
		struct list_identity l = members();
		struct mailbox box;
		struct edit e;
		size_t count;

		l.name = slice(from_cases[i].list_name);
		buf_printf(&block, "To: t@x.test\r\nFrom:%s\r\nSubject: s\r\n", from_cases[i].from);
		buf_printf(&want, "From: %s\r\n", from_cases[i].rewritten);
		begin(&e, arena_copy(arena, buf_slice(&block)).p);
		listheader_from(&e, &l);
		if (!slice_eq(e.header.fields[1].whole, buf_slice(&want)))
			print_error("\"%.*s\"\n", FMT(e.header.fields[1].whole));
		assert_case(slice_eq(e.header.fields[1].whole, buf_slice(&want)), i, from_cases[i].from);
		/* and it is one mailbox again */
		assert_true(mailboxes_parse(e.header.fields[1].value, arena, &box, 1, &count) && count == 1);
		assert_true(address_eq(&box.address, &l.address));
		/* the author is kept as he stood */
		assert_slice(slice_trim(header_find(&e.header, "reply-to")->value),
		    arena_copy(arena, slice_trim(slice(from_cases[i].from))).p);
		assert_true(slice_eq(header_find(&e.header, "reply-to")->value,
		    header_find(&e.header, "x-original-from")->value));
		assert_true(slice_eq(header_find(&e.header, "reply-to")->value,
		    header_find(&e.header, "author")->value));
		buf_free(&block);
		buf_free(&want);
	}
}

/* Answers go where they would have gone. */
static const struct { const char *block, *rewritten; } reply_cases[] = {
	{ "From: a@x.test\r\n",
	    "From: \"a via M\" <members@list.test>\r\nReply-To: a@x.test\r\nX-Original-From: a@x.test\r\nAuthor: a@x.test\r\n" },
	{ "Reply-To: b@x.test\r\nFrom: a@x.test\r\n",
	    "Reply-To: b@x.test\r\nFrom: \"a via M\" <members@list.test>\r\nX-Original-From: a@x.test\r\nAuthor: a@x.test\r\n" },
	{ "Reply-To: \r\nFrom: a@x.test\r\n",
	    "From: \"a via M\" <members@list.test>\r\nReply-To: a@x.test\r\nX-Original-From: a@x.test\r\nAuthor: a@x.test\r\n" },
	{ "From: a@x.test\r\nAuthor: c@x.test\r\n",                     /* RFC 9057 3 */
	    "From: \"a via M\" <members@list.test>\r\nAuthor: c@x.test\r\nReply-To: a@x.test\r\nX-Original-From: a@x.test\r\n" },
	{ "Sender: s@x.test\r\nFrom: a@x.test, b@x.test\r\n",
	    "From: \"a via M\" <members@list.test>\r\nReply-To: a@x.test, b@x.test\r\n"
	    "X-Original-From: a@x.test, b@x.test\r\nAuthor: a@x.test, b@x.test\r\n" },
	/* a line that ends with a bare LF ends no header */
	{ "From: a@x.test\nTo: b@x.test\r\n",
	    "From: \"a via M\" <members@list.test>\r\nTo: b@x.test\r\nReply-To: a@x.test\r\n"
	    "X-Original-From: a@x.test\r\nAuthor: a@x.test\r\n" },
};

static void
answers_reach_the_author(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(reply_cases); i++) {
		struct list_identity l = members();
		struct slice got;
		struct edit e;

		l.name = S("M");
		begin(&e, reply_cases[i].block);
		listheader_from(&e, &l);
		got = text_of(&e);
		if (!slice_eq(got, slice(reply_cases[i].rewritten)))
			print_error("%.*s", FMT(got));
		assert_case(slice_eq(got, slice(reply_cases[i].rewritten)), i, reply_cases[i].block);
	}
}

static void
the_sender_is_the_list(void **state)
{
	struct list_identity l = members();
	struct edit e;

	(void)state;
	l.sender = address("members-bounces@list.test");
	begin(&e, "From: a@x.test\r\nSender: s@x.test\r\n");
	listheader_write(&e, &l);
	listheader_from(&e, &l);
	assert_int_equal(header_count(&e.header, "sender"), 1);
	assert_slice(header_find(&e.header, "sender")->value, " <members-bounces@list.test>");
	l.sender = l.address;                                           /* RFC 5322 3.6.2 */
	listheader_from(&e, &l);
	assert_int_equal(header_count(&e.header, "sender"), 0);
}

/* Somebody might read an author there, but it is the list that signs. */
static const struct { const char *block, *rewritten; } nobody_cases[] = {
	{ "Subject: s\r\n", "Subject: s\r\n" },
	{ "From: a@x.test\r\nFrom: b@x.test\r\n", "X-Original-From: a@x.test\r\n" },
	{ "From: \r\n", "X-Original-From: \r\n" },
	{ "From: nobody\r\n", "X-Original-From: nobody\r\n" },
	{ "From: <a@x.test> <b@y.test>\r\nSender: s@x.test\r\n",
	    "X-Original-From: <a@x.test> <b@y.test>\r\n" },
	{ "From: A@B CEO <ceo@x.test>\r\n", "X-Original-From: A@B CEO <ceo@x.test>\r\n" },
	{ "From: undisclosed:;\r\n", "X-Original-From: undisclosed:;\r\n" },
};

static void
for_whom_cannot_be_read_the_list_writes_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(nobody_cases); i++) {
		struct list_identity l = members();
		struct slice want = arena_printf(arena, "%sFrom: \"M\" <members@list.test>\r\n",
		    nobody_cases[i].rewritten);
		struct edit e;

		l.name = S("M");
		begin(&e, nobody_cases[i].block);
		listheader_from(&e, &l);
		assert_case(slice_eq(text_of(&e), want), i, text_of(&e).p);
	}
}

/* Nothing a poster calls himself makes a line longer than SMTP allows (RFC 5321 4.5.3.1.6). */
static void
endless_names_are_cut(void **state)
{
	static const char *const letters[] = { "x", "\xf0\x9f\x93\xa7", "\\\"", "=?utf-8?q?a?= ", "\" \"", "x ", "(c)", "[" };

	(void)state;
	for (size_t i = 0; i < COUNT(letters); i++)
		for (int quoted = 0; quoted < 2; quoted++) {
			struct buf block = BUF(100000);
			struct list_identity l = members();
			struct slice left, line;
			struct edit e;

			buf_printf(&block, "From: %s", quoted ? "\"" : "x ");
			while (block.n < 20000)
				buf_add(&block, slice(letters[i]));
			buf_printf(&block, "%s <a@x.test>\r\n", quoted ? "\"" : "");
			begin(&e, arena_copy(arena, buf_slice(&block)).p);
			listheader_from(&e, &l);
			assert_false(e.full);
			if (header_find(&e.header, "reply-to") != NULL) {
				left = e.header.fields[0].whole;
				assert_true(left.n < 2500 && (left.n > 200 || i == 4 || i == 6));       /* blanks, comments */
				while (slice_cut(&left, '\n', &line))
					assert_case(line.n <= 998, i, letters[i]);
			}
			buf_free(&block);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_small_list, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_with_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_there_is, setup, teardown),
		cmocka_unit_test_setup_teardown(what_others_said_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_in_uris_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_are_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_post_that_came_back_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(an_automatic_answer_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(any_name_can_write_through_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_reach_the_author, setup, teardown),
		cmocka_unit_test_setup_teardown(the_sender_is_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(for_whom_cannot_be_read_the_list_writes_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_names_are_cut, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
