/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "mail/edit.h"
#include "mail/ticket.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(4 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const int64_t MINUTE = 60000, DAY = 86400000, NOW = 1795311000123;

static const struct slice KEYS[] = { S_INIT("key one"), S_INIT("key zero") };
static const struct secrets ONE = { KEYS, 1 }, BOTH = { KEYS, 2 }, OTHER = { KEYS + 1, 1 };

static const struct ticket SEEN = {
	.id = 0x123456789abcdef, .arrived = 1795311000123, .arc = S_INIT("pass"),
	.from = S_INIT("ceo@bank.test"), .proved = S_INIT("bank.test"),
	.results = S_INIT("lists.test; spf=pass smtp.mailfrom=bank.test;\r\n\tdkim=pass header.d=bank.test; dmarc=pass"),
};

#define ID "Message-ID: <a@bank.test>\r\n"

static struct header
header(struct slice block)
{
	struct header h;

	assert_true(header_parse(&h, arena_copy(arena, block), arena, NULL));
	return h;
}

/* A message with its ticket, as it goes to the list manager. */
static struct slice
ticketed(const char *block)
{
	struct header h = header(slice(block));
	struct buf b = BUF(100000);
	struct slice s;

	assert_true(ticket_add(&b, &SEEN, &h, ONE));
	buf_add(&b, slice(block));
	s = arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	return s;
}

static enum ticket_result
read(struct slice block, struct secrets keys, int64_t now, struct ticket *t)
{
	struct header h = header(block);

	return ticket_read(&h, keys, now, arena, t);
}

static void
a_ticket_is_one_folded_field(void **state)
{
	struct slice s = ticketed(ID), line;
	struct header h = header(s);

	(void)state;
	assert_true(ticket_field(&h.fields[0]));
	assert_false(ticket_field(&h.fields[1]));
	while (slice_cut(&s, '\n', &line))
		assert_true(line.n <= 78);
	/* Made with python's hmac and base64: a ticket outlives an update of ours. */
	assert_slice(h.fields[0].whole,
	    "X-Chainmail-Ticket:\r\n v=2;\r\n id=28T5CY4TQKFF;\r\n t=1795311000;\r\n arc=pass;\r\n"
	    " from=Y2VvQGJhbmsudGVzdA==;\r\n proved=YmFuay50ZXN0;\r\n"
	    " ar=bGlzdHMudGVzdDsgc3BmPXBhc3Mgc210cC5tYWlsZnJvbT1iYW5rLnRlc3Q7DQoJZGt\r\n"
	    " pbT1wYXNzIGhlYWRlci5kPWJhbmsudGVzdDsgZG1hcmM9cGFzcw==;\r\n"
	    " h=2d6d25da51d14801a8684f69000b7bcb3c6ff58e0ab66f4630656489e402df63\r\n");
}

static void
what_was_seen_comes_back(void **state)
{
	struct ticket t;

	(void)state;
	assert_int_equal(read(ticketed(ID "Subject: x\r\n"), ONE, NOW, &t), TICKET_VALID);
	assert_true(t.id == SEEN.id && t.arrived == SEEN.arrived / 1000 * 1000);
	assert_true(slice_eq(t.arc, SEEN.arc) && slice_eq(t.results, SEEN.results));
	assert_true(slice_eq(t.from, SEEN.from) && slice_eq(t.proved, SEEN.proved));
}

/* Replace the first `from` by `to`; what a list manager, or somebody else, might do. */
static struct slice
changed(struct slice block, const char *from, const char *to)
{
	struct slice head = block;

	while (head.n && !slice_starts(head, slice(from)))
		head = slice_skip(head, 1);
	assert_true(head.n > 0);
	return arena_printf(arena, "%.*s%s%.*s", (int)(block.n - head.n), block.p, to,
	    FMT(slice_skip(head, strlen(from))));
}

static const struct { const char *from, *to; enum ticket_result result; } changes[] = {
	/* allowed: a list manager's work */
	{ "Subject: x", "Subject: [m] x", TICKET_VALID },
	{ "Ticket:\r\n v=2;\r\n id", "Ticket: v=2; id", TICKET_VALID },
	{ "v=2;\r\n ", "v=2;", TICKET_VALID },
	{ "X-Chainmail-Ticket", "x-chainmail-TICKET", TICKET_VALID },
	{ "ar=", "a\r\n\tr = ", TICKET_VALID },
	{ "Message-ID: <a@", "Message-ID:\r\n <a@", TICKET_VALID },
	/* another message */
	{ "<a@bank.test>", "<b@bank.test>", TICKET_FORGED },
	{ "Message-ID: <a@bank.test>\r\n", "", TICKET_MALFORMED },
	{ "Message-ID: <a@bank.test>\r\n", "Message-ID: <b@bank.test>\r\n" ID, TICKET_FORGED },
	{ "Message-ID: <a@bank.test>\r\n", ID "Message-ID: <b@bank.test>\r\n", TICKET_VALID },
	/* another verdict */
	{ "arc=pass", "arc=none", TICKET_FORGED },
	{ "arc=pass", "arc=PASS", TICKET_MALFORMED },
	{ "t=17953", "t=17954", TICKET_FORGED },
	{ "t=17953", "t=017953", TICKET_FORGED },
	{ "id=28T5", "id=18T5", TICKET_FORGED },
	{ "ar=bGlz", "ar=bGlY", TICKET_FORGED },
	{ "ar=bGlz", "ar=bGl", TICKET_MALFORMED },
	{ "from=Y2VvQGJhbmsudGVzdA==", "from=eEBiYW5rLnRlc3Q=", TICKET_FORGED },
	{ "proved=YmFuay50ZXN0", "proved=", TICKET_FORGED },
	{ "proved=YmFuay50ZXN0", "proved=c2Fuay50ZXN0", TICKET_FORGED },
	{ "h=", "h=0", TICKET_FORGED },
	/* something else */
	{ "v=2", "v=1", TICKET_MALFORMED },
	{ "v=2", "v=3", TICKET_MALFORMED },
	{ "v=2;", "", TICKET_MALFORMED },
	{ "v=2;", "v=2; v=2;", TICKET_MALFORMED },
	{ "from=", "from=!", TICKET_MALFORMED },
	{ "proved=", "x=", TICKET_MALFORMED },
	{ "id=28T5", "id=U8T5", TICKET_MALFORMED },
	{ "t=17", "t=-17", TICKET_MALFORMED },
	{ "t=17", "t=9999999999999999999917", TICKET_MALFORMED },
	{ "h=", "x=", TICKET_MALFORMED },
	{ "h=", "x=y; h=", TICKET_MALFORMED },
	{ "\r\nMessage", "; x=y\r\nMessage", TICKET_MALFORMED },
	{ "X-Chainmail-Ticket", "X-Chainmail-Tickets", TICKET_NONE },
	{ "Subject: x\r\n", "X-Chainmail-Ticket: v=1\r\n", TICKET_MALFORMED },
};

static void
only_white_space_may_change(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct slice s = changed(ticketed(ID "Subject: x\r\n"), changes[i].from, changes[i].to);
		struct ticket t;
		enum ticket_result result = read(s, ONE, NOW, &t);

		if (result != changes[i].result)
			print_error("%s\n", ticket_result_name(result));
		assert_case(result == changes[i].result, i, changes[i].to);
	}
}

/* Every single byte of the value counts. */
static void
no_byte_can_be_changed(void **state)
{
	struct slice s = ticketed(ID);
	size_t end = header(s).fields[0].whole.n;

	(void)state;
	for (size_t i = sizeof TICKET_FIELD; i < end; i++) {
		struct slice forged = arena_copy(arena, s);
		struct ticket t;

		if (is_space(s.p[i]))
			continue;
		((char *)forged.p)[i] = s.p[i] == 'a' ? 'b' : 'a';
		assert_case(read(forged, BOTH, NOW, &t) != TICKET_VALID, i, "byte");
	}
}

static void
tickets_expire(void **state)
{
	struct slice s = ticketed(ID);
	const int64_t arrived = NOW / 1000 * 1000;
	struct ticket t;

	(void)state;
	assert_int_equal(read(s, ONE, arrived + TICKET_DAYS * DAY, &t), TICKET_VALID);
	assert_int_equal(read(s, ONE, arrived + TICKET_DAYS * DAY + 1, &t), TICKET_EXPIRED);
	assert_int_equal(read(s, ONE, arrived - MINUTE, &t), TICKET_VALID);     /* a clock set back */
	assert_int_equal(read(s, ONE, arrived - MINUTE - 1, &t), TICKET_EXPIRED);
}

static void
keys_are_rotated(void **state)
{
	static const struct slice next[] = { S_INIT("key two"), S_INIT("key one") };
	struct slice s = ticketed(ID);
	struct ticket t;

	(void)state;
	assert_int_equal(read(s, BOTH, NOW, &t), TICKET_VALID);
	assert_int_equal(read(s, OTHER, NOW, &t), TICKET_FORGED);
	assert_int_equal(read(s, (struct secrets){ next, 2 }, NOW, &t), TICKET_VALID);
	assert_int_equal(read(s, (struct secrets){ next, 1 }, NOW, &t), TICKET_FORGED);
	assert_int_equal(read(s, (struct secrets){ 0 }, NOW, &t), TICKET_FORGED);
}

/* However odd; only one that has no Message-ID has nothing to be bound to. */
static void
every_message_gets_one(void **state)
{
	static const char *const blocks[] = { ID, ID ID, "Message-ID: \r\n", "Message-ID: a\r\nMessage-ID: b\r\n" };
	struct header without = header(S("Subject: x\r\n")), h = header(S(ID));
	struct buf b = BUF(100000), small = BUF(100), large = BUF(600000);
	struct ticket t;

	(void)state;
	for (size_t i = 0; i < COUNT(blocks); i++)
		assert_case(read(ticketed(blocks[i]), ONE, NOW, &t) == TICKET_VALID, i, blocks[i]);
	buf_add(&large, S("Message-ID: <"));
	while (large.n < 50000)
		buf_byte(&large, 'x');
	buf_add(&large, S(">\r\n\0"));
	assert_int_equal(read(ticketed(arena_copy(arena, buf_slice(&large)).p), ONE, NOW, &t), TICKET_VALID);
	assert_false(ticket_add(&b, &SEEN, &without, ONE));
	assert_int_equal(b.n, 0);
	buf_add(&small, S("before"));
	assert_false(ticket_add(&small, &SEEN, &h, ONE));
	assert_slice(buf_slice(&small), "before");
	buf_free(&b);
	buf_free(&small);
	buf_free(&large);
}

static const struct { size_t from, proved, results; bool travel[3]; } sizes[] = {
	{ 0, 0, 0, { true, true, true } },
	{ TICKET_AUTHOR_MOST, TICKET_AUTHOR_MOST, TICKET_RESULTS_MOST, { true, true, true } },
	{ TICKET_AUTHOR_MOST + 1, 9, 9, { false, true, true } },
	{ 9, TICKET_AUTHOR_MOST + 1, 9, { true, false, true } },
	{ 9, 9, TICKET_RESULTS_MOST + 1, { true, true, false } },
};

static void
what_is_too_long_travels_as_empty(void **state)
{
	struct header h = header(S(ID));
	struct buf letters = BUF(100000);
	struct slice all;

	(void)state;
	while (letters.n <= TICKET_RESULTS_MOST)
		buf_byte(&letters, 'r');
	all = buf_slice(&letters);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buf b = BUF(100000);
		struct ticket t, seen = SEEN;

		seen.from = slice_head(all, sizes[i].from);
		seen.proved = slice_head(all, sizes[i].proved);
		seen.results = slice_head(all, sizes[i].results);
		assert_true(ticket_add(&b, &seen, &h, ONE));
		buf_add(&b, S(ID));
		assert_case(read(buf_slice(&b), ONE, NOW, &t) == TICKET_VALID, i, "valid");
		assert_int_equal(t.from.n, sizes[i].travel[0] ? sizes[i].from : 0);
		assert_int_equal(t.proved.n, sizes[i].travel[1] ? sizes[i].proved : 0);
		assert_int_equal(t.results.n, sizes[i].travel[2] ? sizes[i].results : 0);
		buf_free(&b);
	}
	buf_free(&letters);
}

static void
a_strangers_ticket_costs_little(void **state)
{
	struct buf b = BUF(2 << 20);
	struct header h = { 0 };
	struct ticket t;
	size_t before;

	(void)state;
	buf_add(&b, S(TICKET_FIELD ": v=1; id="));
	while (b.n < 1 << 20)
		buf_byte(&b, 'A');
	buf_add(&b, S("\r\n" ID));
	assert_true(header_parse(&h, buf_slice(&b), arena, NULL));
	before = arena_spent(arena);
	assert_int_equal(ticket_read(&h, ONE, NOW, arena, &t), TICKET_MALFORMED);
	assert_true(arena_spent(arena) == before);
	buf_free(&b);
}

/* From outside and to outside: none is left. */
static void
all_are_left_out(void **state)
{
	struct header h = header(S("X-CHAINMAIL-Ticket : v=1\r\nSubject: x\r\nx-chainmail-ticket:\r\n"));
	struct edit e;

	(void)state;
	edit_begin(&e, &h, arena);
	edit_remove(&e, ticket_field);
	assert_int_equal(e.header.count, 1);
	assert_slice(e.header.fields[0].whole, "Subject: x\r\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_ticket_is_one_folded_field, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_seen_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(only_white_space_may_change, setup, teardown),
		cmocka_unit_test_setup_teardown(no_byte_can_be_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(tickets_expire, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_are_rotated, setup, teardown),
		cmocka_unit_test_setup_teardown(every_message_gets_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_long_travels_as_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(a_strangers_ticket_costs_little, setup, teardown),
		cmocka_unit_test_setup_teardown(all_are_left_out, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
