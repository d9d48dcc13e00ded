/* SPDX-License-Identifier: ISC */
/* The server's side of SMTP: how many recipients a transaction has room for, and who is named twice. */
#include "queue/envelope.h"
#include "smtpd/session.h"
#include "unit.h"

static struct session s;
static struct buf line = { .ceiling = COMMAND_MOST };

static struct status
anybody(void *unused, const struct address *address)
{
	(void)unused;
	(void)address;
	return STATUS(250, 2, 1, 5, "ok");
}

static void
no_text(void *unused, struct slice piece)
{
	(void)unused;
	(void)piece;
}

/* The reply's code. */
static uint64_t
say(struct slice words)
{
	struct slice input;
	uint64_t code = 0;

	buf_clear(&s.out);
	buf_clear(&line);
	buf_printf(&line, "%.*s\r\n", FMT(words));
	input = buf_slice(&line);
	session_feed(&s, &input);
	assert_true(slice_number(slice_head(buf_slice(&s.out), 3), 599, &code));
	return code;
}

static void
begin(struct session_terms *terms, unsigned recipients)
{
	*terms = (struct session_terms){ .hostname = S("mx.test"), .size_most = 1000,
		.recipients_most = recipients, .errors_most = 5, .idle_most = 10, .line_most = 1000,
		.recipient = anybody };
	session_begin(&s, terms, no_text, NULL);
	say(S("EHLO a.test"));
	assert_int_equal(say(S("MAIL FROM:<a@b.test> SMTPUTF8")), 250);
}

/* How many are taken of so many; all others are told to come again, and nothing else. */
static unsigned
taken(unsigned many, const char *domain, unsigned orcpt)
{
	struct buf b = BUF(COMMAND_MOST);
	unsigned n = 0;

	for (unsigned i = 0; i < many; i++) {
		uint64_t code;

		buf_clear(&b);
		buf_printf(&b, "RCPT TO:<u%06u@%s>", i, domain);
		for (unsigned k = 0; k < orcpt; k++)
			buf_add(&b, k == 0 ? S(" ORCPT=rfc822;") : S("o"));
		code = say(buf_slice(&b));
		assert_true(code == 250 || code == 452);
		n += code == 250;
	}
	buf_free(&b);
	assert_int_equal(n, s.mail.count);
	return n;
}

/* Whatever was taken can be stored: with all that stands in an envelope besides recipients. */
static void
fits_into_an_envelope(void)
{
	size_t n = 512 << 10;

	for (const struct session_recipient *r = s.mail.recipients; r != NULL; r = r->next)
		n += r->address.text.n + r->orcpt.n + 13;
	assert_true(n <= ENVELOPE_MOST);
}

#define LONG "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

/* RFC 5321 4.5.3.1.10: what there is no room for is no fault of the address. */
static void
test_room_for_recipients(void **state)
{
	static const struct { unsigned limit, said; const char *domain; unsigned orcpt, least, most; } cases[] = {
		{ 10, 20, "far.test", 0, 10, 10 },
		{ 1000, 1010, "far.test", 0, 1000, 1000 },
		{ 1000, 1010, LONG "." LONG "." LONG "." LONG, 490, 1000, 1000 },
		{ 100000, 100010, "far.test", 0, 100000, 100000 },
		{ 100000, 40000, LONG "." LONG, 490, 10000, 39000 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct session_terms terms;
		unsigned n;

		begin(&terms, cases[i].limit);
		n = taken(cases[i].said, cases[i].domain, cases[i].orcpt);
		assert_case(n >= cases[i].least && n <= cases[i].most, i, "taken");
		fits_into_an_envelope();
		assert_int_equal(say(S("DATA")), 354);
		session_end(&s);
	}
}

static void
test_named_twice(void **state)
{
	static const struct { const char *path; unsigned count; } cases[] = {
		{ "<ann@b.test>", 1 }, { "<ann@B.TEST>", 1 }, { "<Ann@b.test>", 2 }, { "<ann@b.test>", 2 },
		{ "<\"ann\"@b.test>", 2 }, { "<an@b.test>", 3 }, { "<anna@b.test>", 4 }, { "<postmaster>", 5 },
		{ "<ann@b.test.test>", 6 }, { "<Postmaster>", 7 }, { "<an@b.test>", 7 }, { "<postmaster>", 7 },
	};
	struct session_terms terms;
	struct buf b = BUF(COMMAND_MOST);

	(void)state;
	begin(&terms, 100);
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_clear(&b);
		buf_printf(&b, "RCPT TO:%s", cases[i].path);
		assert_case(say(buf_slice(&b)) == 250, i, "code");
		assert_case(s.mail.count == cases[i].count, i, "count");
	}
	buf_free(&b);
	session_end(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_for_recipients), cmocka_unit_test(test_named_twice),
	};
	int failed = cmocka_run_group_tests_name("session", tests, NULL, NULL);

	buf_free(&line);
	return failed;
}
