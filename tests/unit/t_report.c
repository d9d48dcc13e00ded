/* SPDX-License-Identifier: ISC */
/*
 * Reports (RFC 3464, 6522, 6533), read again with our own header and MIME readers.
 * What is read is shown as text, so that a case is what a program would see.
 */
#include "base/text.h"
#include "mail/header.h"
#include "mail/mime.h"
#include "queue/report.h"
#include "unit.h"

enum { PARTS = 3, NOW_S = 1795342332 };
#define NOW (NOW_S * INT64_C(1000))

static struct arena *arena;
static struct buf    text;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(16 << 20);
	text = BUF(4 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	buf_free(&text);
	return 0;
}

/* --- reading ------------------------------------------------------------------------ */

struct parsed {
	struct header header;
	struct slice  part[PARTS];      /* header and body of each */
};

static struct slice
type_of(const struct header *h)
{
	struct mime_entity e;

	mime_entity_of(h, arena, &e);
	assert_false(e.doubtful);
	return arena_printf(arena, "%.*s", FMT(slice_trim(header_find(h, "Content-Type")->value)));
}

static void
parse_header(struct slice s, struct header *h)
{
	struct error why = { 0 };

	if (!header_parse(h, arena_copy(arena, slice_head(s, header_length(s))), arena, &why))
		fail_msg("%s", why.text);
}

/* Lines of at most 998 octets, ended by CRLF and nothing else. */
static void
check_lines(struct slice s)
{
	struct slice line;

	assert_true(slice_endsi(s, S("\r\n")));
	while (slice_cut(&s, '\n', &line)) {
		assert_true(line.n > 0 && line.n <= 999 && line.p[line.n - 1] == '\r');
		assert_int_equal(slice_find(line, '\r'), line.n - 1);
		assert_int_equal(slice_find(line, '\0'), line.n);
	}
}

static void
parse(struct parsed *p)
{
	struct slice all = buf_slice(&text), rest = all, body;
	struct mime_entity e;
	struct multipart m;
	size_t n = 0;
	uint64_t begin = 0;

	check_lines(all);
	parse_header(all, &p->header);
	mime_entity_of(&p->header, arena, &e);
	multipart_begin(&m, mime_boundary(&e.type));
	assert_true(m.boundary.n > 0);
	body = rest = slice_skip(all, header_length(all));
	while (multipart_next(&m, &rest)) {     /* the CRLF before a delimiter belongs to it */
		if (n > 0)
			p->part[n - 1] = slice_skip(slice_head(body, (size_t)m.line - 2), (size_t)begin);
		begin = m.taken;
		n++;
	}
	assert_true(m.closed && !m.odd && !m.stray);
	assert_int_equal(n, PARTS + 1);
}

static struct slice
body_of(struct slice part)
{
	return slice_skip(part, header_length(part) + 2);
}

static bool
has(struct slice s, const char *words)
{
	return memmem(s.p, s.n, words, strlen(words)) != NULL;
}

/* --- one of everything ----------------------------------------------------------------- */

static const struct report_recipient FAILED = {
	.address = S_INIT("b@far.test"), .orcpt = S_INIT("rfc822;b+2Bc@first.test"), .action = REPORT_FAILED,
	.status = STATUS_INIT(550, 5, 1, 1, "no such user"), .host = S_INIT("mx.far.test"), .tried = NOW,
};
static const char ORIGINAL[] = "From: s@sender.test\r\nSubject: hi\r\n\r\nthe body\r\n";

static struct report
report_about(const struct report_recipient *r, size_t n)
{
	return (struct report){ .hostname = S("mx.local.test"), .to = S("s@sender.test"), .id = 77,
	    .about = 5, .arrived = NOW - 60000, .now = NOW, .until = NOW + 3600000, .recipients = r,
	    .count = n, .original = slice(ORIGINAL), .full = true };
}

static void
test_failed(void **state)
{
	struct report r = report_about(&FAILED, 1);
	struct parsed p;
	struct header h;

	(void)state;
	r.envid = S("id <1>");
	report_write(&text, &r);
	parse(&p);
	assert_slice(type_of(&p.header), "multipart/report; report-type=delivery-status;\r\n"
	    "\tboundary=\"=_00000000002D_000000000005\"");
	assert_slice(slice_trim(header_find(&p.header, "From")->value),
	    "Mail Delivery System <MAILER-DAEMON@mx.local.test>");
	assert_slice(slice_trim(header_find(&p.header, "To")->value), "<s@sender.test>");
	assert_slice(slice_trim(header_find(&p.header, "Auto-Submitted")->value), "auto-replied");
	assert_slice(slice_trim(header_find(&p.header, "Date")->value), "Sun, 22 Nov 2026 10:12:12 +0000");
	assert_null(header_find(&p.header, "Content-Transfer-Encoding"));
	assert_int_equal(header_count(&p.header, "Message-ID"), 1);
	for (size_t i = 0; i < PARTS; i++) {
		static const char *const types[] = {
			"text/plain; charset=us-ascii", "message/delivery-status", "message/rfc822",
		};

		parse_header(p.part[i], &h);
		assert_slice(type_of(&h), types[i]);
	}
	assert_true(has(p.part[0], "<b@far.test>: failed\r\n    mx.far.test said: 550 no such user\r\n"));
	assert_slice(body_of(p.part[1]), "Original-Envelope-Id: id <1>\r\nReporting-MTA: dns; mx.local.test\r\n"
	    "Arrival-Date: Sun, 22 Nov 2026 10:11:12 +0000\r\n\r\n"
	    "Original-Recipient: rfc822;b+c@first.test\r\nFinal-Recipient: rfc822; b@far.test\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.far.test\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
	    "Last-Attempt-Date: Sun, 22 Nov 2026 10:12:12 +0000\r\n");
	assert_slice(body_of(p.part[2]), "From: s@sender.test\r\nSubject: hi\r\n\r\nthe body\r\n");
}

/* What each kind of news says, in the blocks of the second part. */
static void
test_actions(void **state)
{
	static const struct { struct report_recipient r; const char *subject, *block; } cases[] = {
		{ { S_INIT("a@x.test"), S_INIT(""), REPORT_DELAYED, STATUS_INIT(0, 4, 4, 1, "no answer"),
		    S_INIT(""), 0 }, "Your message is delayed, no need to send it again",
		    "Final-Recipient: rfc822; a@x.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
		    "Will-Retry-Until: Sun, 22 Nov 2026 11:12:12 +0000\r\n" },
		{ { S_INIT("a@x.test"), S_INIT(""), REPORT_DELIVERED, STATUS_INIT(0, 2, 0, 0, "into the mailbox"),
		    S_INIT(""), 0 }, "Your message was delivered",
		    "Final-Recipient: rfc822; a@x.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n" },
		{ { S_INIT("a@x.test"), S_INIT(""), REPORT_RELAYED, STATUS_INIT(250, 2, 1, 5, "ok"),
		    S_INIT("mx.x.test"), 0 }, "Your message was delivered",
		    "Final-Recipient: rfc822; a@x.test\r\nAction: relayed\r\nStatus: 2.1.5\r\n"
		    "Remote-MTA: dns; mx.x.test\r\nDiagnostic-Code: smtp; 250 2.1.5 ok\r\n" },
		{ { S_INIT("a@x.test"), S_INIT(""), REPORT_EXPANDED, STATUS_INIT(0, 2, 0, 0, ""), S_INIT(""), 0 },
		    "Your message was delivered",
		    "Final-Recipient: rfc822; a@x.test\r\nAction: expanded\r\nStatus: 2.0.0\r\n" },
		{ { S_INIT("a@x.test"), S_INIT(""), REPORT_FAILED, STATUS_INIT(451, 4, 3, 0, "not now"),
		    S_INIT(""), 0 }, "Your message could not be delivered",
		    "Final-Recipient: rfc822; a@x.test\r\nAction: failed\r\nStatus: 4.4.7\r\n"
		    "Diagnostic-Code: smtp; 451 4.3.0 not now\r\n" },
		{ { S_INIT("a@x.test"), S_INIT(""), REPORT_FAILED, { 553, 5, 0, 0, S_INIT("nope"), true },
		    S_INIT(""), 0 }, "Your message could not be delivered",
		    "Final-Recipient: rfc822; a@x.test\r\nAction: failed\r\nStatus: 5.0.0\r\n"
		    "Diagnostic-Code: smtp; 553 nope\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct report r = report_about(&cases[i].r, 1);
		struct slice body;
		struct parsed p;

		buf_clear(&text);
		report_write(&text, &r);
		parse(&p);
		assert_slice(slice_trim(header_find(&p.header, "Subject")->value), cases[i].subject);
		body = body_of(p.part[1]);
		assert_slice(slice_skip(body, header_length(body) + 2), cases[i].block);
	}
}

static void
test_several(void **state)
{
	struct report_recipient all[] = { FAILED, FAILED, FAILED };
	struct report r = report_about(all, COUNT(all));
	struct parsed p;
	struct slice rest;
	size_t blocks = 0;

	(void)state;
	all[1].action = REPORT_DELAYED;
	all[1].orcpt = NONE;
	all[2].host = NONE;
	report_write(&text, &r);
	parse(&p);
	for (rest = body_of(p.part[1]); rest.n > 0; rest = slice_skip(rest, header_length(rest) + 2)) {
		struct header h;

		parse_header(rest, &h);
		if (blocks++ == 0)
			continue;
		assert_int_equal(header_count(&h, "Final-Recipient"), 1);
		assert_int_equal(header_count(&h, "Original-Recipient"), blocks != 3);
		assert_int_equal(header_count(&h, "Remote-MTA"), blocks != 4);
		assert_int_equal(header_count(&h, "Will-Retry-Until"), blocks == 3);
	}
	assert_int_equal(blocks, 4);
}

/* --- how much of the message ------------------------------------------------------------- */

static void
test_original(void **state)
{
	static const struct { size_t header, body; bool full; const char *type; size_t least, most; } cases[] = {
		{ 100, 1000, true, "message/rfc822", 1100, 1200 },
		{ 100, 1000, false, "text/rfc822-headers", 100, 130 },
		{ 100, REPORT_FULL_MOST, true, "text/rfc822-headers", 100, 130 },
		{ 100, REPORT_FULL_MOST - 400, true, "message/rfc822", REPORT_FULL_MOST - 300, REPORT_FULL_MOST },
		{ REPORT_HEADER_MOST + 1000, 10, false, "text/rfc822-headers", REPORT_HEADER_MOST - 100,
		    REPORT_HEADER_MOST },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct report r = report_about(&FAILED, 1);
		struct buf original = BUF(1 << 20);
		struct parsed p;
		struct header h;

		while (original.n < cases[i].header)
			buf_add(&original, S("X-Field: some words of it\r\n"));
		buf_add(&original, S("\r\n"));
		for (size_t n = 0; n < cases[i].body; n += 24)
			buf_add(&original, S("22 octets of the body.\r\n"));
		r.original = buf_slice(&original);
		r.full = cases[i].full;
		buf_clear(&text);
		report_write(&text, &r);
		parse(&p);
		parse_header(p.part[2], &h);
		assert_slice(type_of(&h), cases[i].type);
		assert_in_range(body_of(p.part[2]).n, cases[i].least, cases[i].most);
		buf_free(&original);
	}
}

/* --- other alphabets ------------------------------------------------------------------------ */

/* RFC 6533: a sender whose address is not ASCII gets a report that is global as a whole. */
static void
test_utf8(void **state)
{
	struct report_recipient one = FAILED;
	struct report r = report_about(&one, 1);
	struct parsed p;
	struct header h;

	(void)state;
	assert_false(report_utf8(&r) || report_eight_bit(&r));
	one.address = S("b\xc3\xa4r@far.test");
	r.to = S("s\xc3\xb8r@sender.test");
	assert_true(report_utf8(&r) && report_eight_bit(&r));
	one.status.text = S("kein B\xc3\xa4r");
	report_write(&text, &r);
	parse(&p);
	assert_slice(slice_trim(header_find(&p.header, "Content-Transfer-Encoding")->value), "8bit");
	for (size_t i = 0; i < PARTS; i++) {
		static const char *const types[] = {
			"text/plain; charset=utf-8", "message/global-delivery-status", "message/global",
		};

		parse_header(p.part[i], &h);
		assert_slice(type_of(&h), types[i]);
		assert_int_equal(header_count(&h, "Content-Transfer-Encoding"), i < 2);
	}
	assert_true(has(p.part[1], "Final-Recipient: utf-8; b\xc3\xa4r@far.test\r\n"));
	assert_true(has(p.part[1], "550 5.1.1 kein B\xc3\xa4r\r\n"));
	r.full = false;
	buf_clear(&text);
	report_write(&text, &r);
	parse(&p);
	parse_header(p.part[2], &h);
	assert_slice(type_of(&h), "message/global-headers");
}

static struct slice
decoded(struct slice part)
{
	struct buf b = BUF(1 << 20);
	struct slice bytes;

	assert_true(base64_decode(&b, body_of(part)));
	bytes = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	return bytes;
}

/*
 * RFC 6533 3, 4: to a sender whose address is ASCII goes a report that a server without
 * SMTPUTF8 and without 8BITMIME takes, whatever it is about.
 */
static void
test_utf8_in_ascii(void **state)
{
	static const struct { const char *address, *original; bool full; const char *final, *type; } cases[] = {
		{ "b\xc3\xa4r@far.test", "Subject: hi\r\n\r\nbody\r\n", true,
		    "utf-8; b\\x{E4}r@far.test", "message/rfc822" },
		{ "b\xc3\xa4r+x=y@far.test", "Subject: hi\r\n\r\nbody\r\n", false,
		    "utf-8; b\\x{E4}r\\x{2B}x\\x{3D}y@far.test", "text/rfc822-headers" },
		{ "\"\xf0\x9f\x98\x80 \\q\"@far.test", "Subject: h\xc3\xaf\r\n\r\nb\xc3\xb6y\r\n", true,
		    "utf-8; \"\\x{1F600}\\x{20}\\x{5C}q\"@far.test", "message/global" },
		{ "b\xc3\xa4r@far.test", "Subject: h\xc3\xaf\r\n\r\nb\xc3\xb6y\r\n", false,
		    "utf-8; b\\x{E4}r@far.test", "message/global-headers" },
		{ "bear+x@far.test", "Subject: h\xc3\xaf\r\n\r\nbody\r\n", true,
		    "rfc822; bear+x@far.test", "message/global" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct report_recipient one = FAILED;
		struct report r = report_about(&one, 1);
		struct slice original = slice(cases[i].original);
		bool global = strstr(cases[i].type, "global") != NULL, ascii;
		struct header h;
		struct parsed p;
		char line[100];

		one.address = slice(cases[i].address);
		one.status.text = S("kein B\xc3\xa4r");
		r.original = original;
		r.full = cases[i].full;
		assert_false(report_utf8(&r) || report_eight_bit(&r));
		buf_clear(&text);
		report_write(&text, &r);
		assert_true(ascii_only(buf_slice(&text)));
		parse(&p);
		ascii = ascii_only(one.address);
		parse_header(p.part[0], &h);
		assert_slice(type_of(&h), ascii ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8");
		snprintf(line, sizeof line, "  <%s>: failed\r\n    mx.far.test said: 550 kein B%s\r\n",
		    cases[i].address, ascii ? "\\xC3\\xA4r" : "\xc3\xa4r");
		assert_case(has(ascii ? p.part[0] : decoded(p.part[0]), line), i, line);
		parse_header(p.part[1], &h);
		assert_slice(type_of(&h), "message/delivery-status");
		snprintf(line, sizeof line, "Final-Recipient: %s\r\n", cases[i].final);
		assert_case(has(p.part[1], line), i, line);
		parse_header(p.part[2], &h);
		assert_slice(type_of(&h), cases[i].type);
		if (!cases[i].full)
			original = slice_head(original, header_length(original));
		assert_true(slice_eq(global ? decoded(p.part[2]) : body_of(p.part[2]), original));
	}
}

/* RFC 2045 6.4: eight bits that only the attached message has. */
static void
test_eight_bit_original(void **state)
{
	struct report r = report_about(&FAILED, 1);
	struct parsed p;
	struct header h;

	(void)state;
	r.original = S("Subject: x\r\n\r\n\xff\r\n");
	assert_true(report_eight_bit(&r));
	assert_false(report_utf8(&r));
	report_write(&text, &r);
	parse(&p);
	assert_int_equal(header_count(&p.header, "Content-Transfer-Encoding"), 1);
	parse_header(p.part[2], &h);
	assert_int_equal(header_count(&h, "Content-Transfer-Encoding"), 1);
	parse_header(p.part[1], &h);
	assert_int_equal(header_count(&h, "Content-Transfer-Encoding"), 0);
	r.full = false;
	assert_false(report_eight_bit(&r));
}

/* --- strangers' words ------------------------------------------------------------------------- */

static void
test_hostile_words(void **state)
{
	static const struct { struct slice said; const char *shown; } cases[] = {
		{ S_INIT("two\r\nBcc: all@x.test"), "two\\x0D\\x0ABcc: all@x.test" },
		{ S_INIT("esc \x1b[31m"), "esc \\x1B[31m" },
		{ S_INIT("back\\slash \\\r\n"), "back\\slash \\" },
		{ S_INIT("nul\0nul"), "nul\\x00nul" },
		{ S_INIT("latin \xe4"), "latin \\xE4" },
		{ S_INIT("utf-8 \xc3\xa4"), "utf-8 \\xC3\\xA4" },
		{ S_INIT("--=_00000000002D_000000000005--"), "--=_00000000002D_000000000005--" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct report_recipient one = FAILED;
		struct report r = report_about(&one, 1);
		struct parsed p;

		one.status.text = cases[i].said;
		r.envid = cases[i].said;
		buf_clear(&text);
		report_write(&text, &r);
		parse(&p);
		assert_case(has(p.part[1], cases[i].shown), i, cases[i].shown);
		assert_case(has(p.part[0], cases[i].shown), i, cases[i].shown);
		assert_false(has(buf_slice(&text), "\nBcc:"));
	}
}

/* RFC 6533 3: spelled in ASCII in an ASCII report; what the sender spelled stays. */
static void
test_original_recipients(void **state)
{
	static const struct { struct slice to, orcpt; const char *shown; } cases[] = {
		{ S_INIT("s@sender.test"), S_INIT("rfc822;b+2Bc@x.test"), "rfc822;b+c@x.test" },
		{ S_INIT("s@sender.test"), S_INIT("utf-8;bad\\x{FC}@x.test"), "utf-8;bad\\x{FC}@x.test" },
		{ S_INIT("s\xc3\xbc@sender.test"), S_INIT("utf-8;bad\\x{FC}@x.test"), "utf-8;bad\\x{FC}@x.test" },
		{ S_INIT("s@sender.test"), S_INIT("utf-8;bad\xc3\xbc@x.test"), "utf-8;bad\\x{FC}@x.test" },
		{ S_INIT("s\xc3\xbc@sender.test"), S_INIT("utf-8;bad\xc3\xbc@x.test"), "utf-8;bad\xc3\xbc@x.test" },
		{ S_INIT("s@sender.test"), S_INIT("rfc822;a\r\nBcc: x"), "rfc822;a\\x0D\\x0ABcc: x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct report_recipient one = FAILED;
		struct report r = report_about(&one, 1);
		struct parsed p;
		char line[100];

		r.to = cases[i].to;
		one.orcpt = cases[i].orcpt;
		buf_clear(&text);
		report_write(&text, &r);
		parse(&p);
		snprintf(line, sizeof line, "Original-Recipient: %s\r\n", cases[i].shown);
		assert_case(has(p.part[1], line), i, line);
	}
}

static void
test_long_words(void **state)
{
	static const char *const words[] = { "x", "\xe4", "\xc3\xa4", "\x01" };

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct report_recipient one = FAILED;
			struct report r = report_about(&one, 1);
			struct buf many = BUF(10000);
			struct parsed p;

			while (many.n < 5000)
				buf_add(&many, slice(words[i]));
			one.status.text = one.orcpt = buf_slice(&many);
			if (utf8)
				r.to = S("\xc3\xa4@sender.test");
			buf_clear(&text);
			report_write(&text, &r);
			parse(&p);
			buf_free(&many);
		}
}

/* --- how much it takes ------------------------------------------------------------------ */

static size_t
length_with(const struct report_recipient *all, size_t n, const char *to)
{
	struct report r = report_about(all, n);

	r.to = slice(to);
	buf_clear(&text);
	report_write(&text, &r);
	return text.n;
}

/* One more of the longest takes no more than was said, whatever he and his host say. */
static void
test_room_for_a_name(void **state)
{
	static const char *const words[] = { "x", "\x01", "\xc3\xa4", "%", "+E4", "\\", "\r\n" };

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++)
		for (size_t n = 0; n < 3000; n += 149)
			for (int k = 0; k < 16; k++) {
				const char *sender = k & 8 ? "\xc3\xa4@sender.test" : "s@sender.test";
				struct report_recipient two[2] = { FAILED };
				struct buf many = BUF(8000), address = BUF(500);

				while (many.n < n)
					buf_add(&many, slice(words[i]));
				buf_printf(&address, "%s%0254d@far.test", k & 1 ? "\xc3\xa4" : "", 1);
				two[0].address = two[0].host = buf_slice(&address);
				two[0].status.text = buf_slice(&many);
				two[0].orcpt = arena_printf(arena, "%s%.*s", k & 2 ? "utf-8;" : "", FMT(buf_slice(&many)));
				two[0].action = k & 4 ? REPORT_DELAYED : REPORT_FAILED;
				two[1] = two[0];
				assert_true(length_with(two, 2, sender) - length_with(two, 1, sender) <=
				    report_name_most(&two[0]));
				buf_free(&many), buf_free(&address);
			}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_failed), T(test_actions), T(test_several), T(test_original), T(test_utf8),
		T(test_utf8_in_ascii), T(test_eight_bit_original), T(test_hostile_words),
		T(test_original_recipients), T(test_long_words),
		T(test_room_for_a_name),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
