/* SPDX-License-Identifier: ISC */
/* The Received field (RFC 5321 4.4), and the words for protocols (RFC 3848, RFC 6531 4.3). */
#include "mail/header.h"
#include "smtpd/session.h"
#include "smtpd/trace.h"
#include "unit.h"

static const struct ip FOUR = { { 192, 0, 2, 1 }, 4 };
static const struct ip SIX = { { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 }, 16 };

static const struct ip NOWHERE = { .n = 0 };

#define HEAD(ip, word) .client = ip, .by = S_INIT("mx.local.test"), .with = word, .id = 5, \
	.now = 1795342332000
#define TAIL " id 000000000005;\r\n\tSun, 22 Nov 2026 10:12:12 +0000\r\n"

static void
test_fields(void **state)
{
	const struct { struct trace trace; const char *text; } cases[] = {
		{ { HEAD(FOUR, "ESMTP"), .helo = S("client.test") },
		    "Received: from client.test (unknown [192.0.2.1])\r\n\tby mx.local.test with ESMTP" TAIL },
		{ { HEAD(FOUR, "ESMTP"), .helo = S("client.test"), .name = S("real.test") },
		    "Received: from client.test (real.test [192.0.2.1])\r\n\tby mx.local.test with ESMTP" TAIL },
		{ { HEAD(FOUR, "ESMTP") },
		    "Received: from [192.0.2.1] (unknown [192.0.2.1])\r\n\tby mx.local.test with ESMTP" TAIL },
		{ { HEAD(SIX, "ESMTP"), .helo = S("[IPv6:2001:db8::1]") },
		    "Received: from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])\r\n"
		    "\tby mx.local.test with ESMTP" TAIL },
		{ { HEAD(NOWHERE, "ESMTP") }, "Received: by mx.local.test with ESMTP" TAIL },
		{ { HEAD(NOWHERE, "ESMTPS"), .tls = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256" },
		    "Received: by mx.local.test with ESMTPS\r\n\t(version=TLSv1.3 cipher=TLS_AES_128_GCM_SHA256)" TAIL },
		{ { HEAD(NOWHERE, "ESMTP"), .recipient = S("ann@local.test") },
		    "Received: by mx.local.test with ESMTP id 000000000005\r\n\tfor <ann@local.test>;\r\n"
		    "\tSun, 22 Nov 2026 10:12:12 +0000\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = BUF(4096);

		trace_add(&b, &cases[i].trace);
		assert_slice(buf_slice(&b), cases[i].text);
		buf_free(&b);
	}
}

/* Whatever a client calls itself, and whatever a PTR record says: one field, whole lines. */
static void
test_hostile_names(void **state)
{
	struct arena *arena = arena_new(1 << 20);

	(void)state;
	for (unsigned c = 0; c < 256; c++)
		for (int where = 0; where < 2; where++) {
			char name[] = { 'a', (char)c, '\r', '\n', 'B', ':', ' ', 'c', '(', '\\' };
			struct trace t = { HEAD(FOUR, "ESMTP") };
			struct buf b = BUF(4096);
			struct header h;

			t.helo = where ? S("x.test") : slice_of(name, sizeof name);
			t.name = where ? slice_of(name, sizeof name) : NONE;
			trace_add(&b, &t);
			assert_true(header_parse(&h, buf_slice(&b), arena, NULL));
			assert_int_equal(h.count, 1);
			assert_null(memmem(b.p, b.n, "\nB", 2));
			assert_int_equal(memchr(b.p, '\\', b.n) != NULL, false);
			buf_free(&b);
		}
	arena_free(arena);
}

static void
test_long_names(void **state)
{
	char name[255];
	struct trace t = { HEAD(FOUR, "ESMTP") };
	struct buf b = BUF(4096);
	struct slice rest, line;

	(void)state;
	memset(name, 'a', sizeof name);
	t.helo = t.name = t.by = t.recipient = slice_of(name, sizeof name);
	t.tls = "TLSv1.3", t.cipher = "TLS_AES_256_GCM_SHA384";
	trace_add(&b, &t);
	rest = buf_slice(&b);
	while (slice_cut(&rest, '\n', &line))
		assert_true(line.n < 998);      /* RFC 5322 2.1.1 */
	buf_free(&b);
}

/* --- the words -------------------------------------------------------------------------- */

static struct status
anybody(void *unused, const struct address *a)
{
	(void)unused;
	(void)a;
	return STATUS(250, 2, 1, 5, "ok");
}

static void
no_text(void *unused, struct slice piece)
{
	(void)unused;
	(void)piece;
}

static void
test_protocols(void **state)
{
	static const struct { const char *hello, *mail; bool secure; const char *word; } cases[] = {
		{ "HELO a.test", "MAIL FROM:<>", false, "SMTP" },
		{ "HELO a.test", "MAIL FROM:<>", true, "SMTP" },
		{ "EHLO a.test", "MAIL FROM:<>", false, "ESMTP" },
		{ "EHLO a.test", "MAIL FROM:<>", true, "ESMTPS" },
		{ "EHLO a.test", "MAIL FROM:<> SMTPUTF8", false, "UTF8SMTP" },
		{ "EHLO a.test", "MAIL FROM:<> SMTPUTF8", true, "UTF8SMTPS" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct session_terms terms = { .hostname = S("mx.test"), .tls_at_once = cases[i].secure,
			.size_most = 1000, .recipients_most = 10, .errors_most = 5, .idle_most = 10,
			.line_most = 1000, .recipient = anybody };
		struct session s;
		struct buf b = BUF(1000);
		struct slice input;

		session_begin(&s, &terms, no_text, NULL);
		if (cases[i].secure)
			session_secured(&s);
		buf_printf(&b, "%s\r\n%s\r\n", cases[i].hello, cases[i].mail);
		input = buf_slice(&b);
		session_feed(&s, &input);
		assert_true(s.mail.begun);
		assert_string_equal(session_protocol(&s), cases[i].word);
		session_end(&s);
		buf_free(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields), cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_long_names), cmocka_unit_test(test_protocols),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
