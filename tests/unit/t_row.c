/* SPDX-License-Identifier: ISC */
/* Messages that wait, as they are shown and sent between processes (queue/row). */
#include <jansson.h>

#include "base/bug.h"
#include "queue/row.h"
#include "unit.h"

static struct arena *arena;
static struct buf    bytes;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	bytes = BUF(1 << 20);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	buf_free(&bytes);
	return 0;
}

static struct recipient TO[] = {
	{ S_INIT("a@x.test"), { NULL, 0 }, 0, NO_RECIPIENT },
	{ S_INIT("list@x.test"), { NULL, 0 }, 0, NO_RECIPIENT },
	{ S_INIT("c@y.test"), { NULL, 0 }, 0, NO_RECIPIENT },
}, MADE[] = {
	{ S_INIT("d@z.test"), { NULL, 0 }, 0, 1 }, { S_INIT("e@z.test"), { NULL, 0 }, 0, 1 },
};

/* The first waits after an attempt, the second became two, of whom one is done; the third is untried. */
static struct recipient_state STATES[] = {
	{ .recipient = 0, .stage = RECIPIENT_WAITING, .until = 9000, .tried = 8000, .attempts = 2,
	  .host = S_INIT("mx.x.test"), .last = STATUS_INIT(451, 4, 7, 1, "not \"now\"\x1b[2J") },
	{ .recipient = 1, .stage = RECIPIENT_EXPANDED, .first = 3, .made = MADE, .count = 2 },
	{ .recipient = 3, .stage = RECIPIENT_DONE },
};

static struct queue_row
a_row(void)
{
	return (struct queue_row){ .found = { { .id = 33, .arrival = 7999, .sender = S("s@x.test"),
	    .recipients = TO, .count = 3, .size = 1234567890123, .parent = 1,
	    .parent_recipient = NO_RECIPIENT }, STATES, 3 }, .expires = 100999 };
}

/* --- JSON ----------------------------------------------------------------------------------- */

static int
add_json(const char *p, size_t n, void *to)
{
	return buf_add(to, slice_of(p, n)) ? 0 : -1;
}

static void
print_row(struct buf *to, const struct queue_row *row)
{
	json_t *j = row_json(row);

	assert_int_equal(json_dump_callback(j, add_json, to, JSON_COMPACT), 0);
	json_decref(j);
}

static void
a_row_has_the_keys_of_postqueue_and_ours(void **state)
{
	struct queue_row row = a_row();

	(void)state;
	print_row(&bytes, &row);
	assert_slice(buf_slice(&bytes), "{\"queue_name\":\"deferred\",\"queue_id\":\"000000000011\","
	    "\"arrival_time\":7,\"message_size\":1234567890123,\"forced_expire\":false,"
	    "\"sender\":\"s@x.test\",\"recipients\":["
	    "{\"address\":\"a@x.test\",\"delay_reason\":\"mx.x.test: 451 4.7.1 not \\\"now\\\"\\u001B[2J\","
	    "\"attempts\":2,\"last_attempt\":8,\"next_attempt\":9},"
	    "{\"address\":\"c@y.test\",\"attempts\":0},"
	    "{\"address\":\"e@z.test\",\"orig_address\":\"list@x.test\",\"attempts\":0}],"
	    "\"expires\":100,\"parent\":\"000000000001\"}");
}

/* Whatever a stranger writes comes back from a reader of JSON; what is no text is made harmless. */
static void
strings_are_json(void **state)
{
	static const struct { struct slice sender; const char *read; size_t n; } cases[] = {
		{ S_INIT(""), "", 0 },
		{ S_INIT("\"\\/\b\f\n\r\t\x01\x1f\x7f"), "\"\\/\b\f\n\r\t\x01\x1f\x7f", 11 },
		{ S_INIT("\"a b\"@x.test"), "\"a b\"@x.test", 12 },
		{ S_INIT("\xc3\xa4@\xf0\x9f\x92\x8c.test"), "\xc3\xa4@\xf0\x9f\x92\x8c.test", 12 },
		{ S_INIT("a\0b"), "a\0b", 3 },
		{ S_INIT("\xff@x.test"), "\\xFF@x.test", 11 },
		{ S_INIT("\xed\xa0\x80"), "\\xED\\xA0\\x80", 12 },      /* a surrogate */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct queue_row row = { .found.summary = { .id = 1, .sender = cases[i].sender } };
		json_t *j, *sender;

		buf_clear(&bytes);
		print_row(&bytes, &row);
		j = json_loadb(bytes.p, bytes.n, JSON_ALLOW_NUL, NULL);
		sender = json_object_get(j, "sender");
		assert_case(slice_eq(slice_of(json_string_value(sender), json_string_length(sender)),
		    slice_of(cases[i].read, cases[i].n)), i, cases[i].read);
		json_decref(j);
	}
}

static void
the_queue_has_postfix_s_name(void **state)
{
	static const struct {
		const char *name;
		bool active, hold;
		size_t count;
		struct recipient_state states[2];
	} cases[] = {
		{ "incoming", false, false, 0, { { 0 } } },
		{ "active", true, true, 0, { { 0 } } },
		{ "hold", false, true, 0, { { 0 } } },
		{ "deferred", false, false, 1, { { .stage = RECIPIENT_WAITING, .attempts = 1 } } },
		{ "incoming", false, true, 1, { { .stage = RECIPIENT_WAITING } } },
		{ "incoming", false, false, 1, { { .stage = RECIPIENT_HELD } } },
		{ "hold", false, false, 2, { { .stage = RECIPIENT_HELD }, { .recipient = 1, .stage = RECIPIENT_HELD } } },
		{ "hold", false, false, 2, { { .stage = RECIPIENT_DONE, .attempts = 1 },
		    { .recipient = 1, .stage = RECIPIENT_HELD } } },
		{ "incoming", false, true, 2, { { .stage = RECIPIENT_DONE, .attempts = 1 },
		    { .recipient = 1, .stage = RECIPIENT_FAILED, .attempts = 1 } } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct recipient_state states[2] = { cases[i].states[0], cases[i].states[1] };
		struct queue_row row = { { { .recipients = TO, .count = 2, .hold = cases[i].hold },
		    states, cases[i].count }, cases[i].active, 0 };

		assert_case(strcmp(row_queue(&row), cases[i].name) == 0, i, row_queue(&row));
	}
}

/* --- recipients --------------------------------------------------------------------------------- */

static bool
note_number(void *arg, uint32_t number, const struct recipient *r, const struct recipient_state *s)
{
	buf_printf(arg, "%u%s%.*s ", number, s != NULL ? "+" : "-", FMT(r->address));
	return number != 2;
}

static void
open_recipients_come_until_it_is_enough(void **state)
{
	struct queue_row row = a_row();

	(void)state;
	assert_false(found_each_open(&row.found, note_number, &bytes));
	assert_slice(buf_slice(&bytes), "0+a@x.test 2-c@y.test ");
	row.found.summary.count = 2;
	buf_clear(&bytes);
	assert_true(found_each_open(&row.found, note_number, &bytes));
	assert_slice(buf_slice(&bytes), "0+a@x.test 4-e@z.test ");
}

static void
a_state_is_found_among_many(void **state)
{
	struct recipient_state many[7];

	(void)state;
	for (uint32_t i = 0; i < COUNT(many); i++)
		many[i] = (struct recipient_state){ .recipient = 3 * i + 1 };
	for (size_t n = 0; n <= COUNT(many); n++)
		for (uint32_t r = 0; r < 25; r++) {
			const struct recipient_state *s = state_find(many, n, r);

			assert_true(r % 3 == 1 && r / 3 < n ? s == &many[r / 3] : s == NULL);
		}
}

/* --- between processes ---------------------------------------------------------------------------- */

static void
rows_come_back_from_a_stream_cut_anywhere(void **state)
{
	struct queue_row row = a_row(), last = { .found.summary = { .id = 5 }, .active = true }, got;
	struct buf want = BUF(10000), again = BUF(10000);
	size_t first;

	(void)state;
	row_pack(&row, &bytes);
	first = bytes.n;
	row_pack(&last, &bytes);
	print_row(&want, &row);
	for (size_t n = 0; n <= bytes.n; n++) {
		struct slice stream = slice_head(buf_slice(&bytes), n);

		assert_int_equal(row_unpack(&got, &stream, arena), n >= first ? ROW_GOT : ROW_PART);
		assert_int_equal(stream.n, n >= first ? n - first : n);
		if (n < first)
			continue;
		buf_clear(&again);
		print_row(&again, &got);
		assert_true(slice_eq(buf_slice(&again), buf_slice(&want)));
		assert_int_equal(got.expires, row.expires);
		assert_int_equal(row_unpack(&got, &stream, arena), n == bytes.n ? ROW_GOT : ROW_PART);
		assert_int_equal(got.active, n == bytes.n);
		arena_reset(arena);
	}
	buf_free(&want);
	buf_free(&again);
}

/* Any change is noticed or leaves a row; nothing is read beyond the end. */
static void
a_changed_stream_is_no_danger(void **state)
{
	struct queue_row row = a_row(), got;

	(void)state;
	row_pack(&row, &bytes);
	for (size_t i = 0; i < bytes.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			char *own = must_copy(bytes.p, bytes.n);
			struct slice stream = slice_of(own, bytes.n);

			own[i] ^= (char)(1 << bit);
			if (row_unpack(&got, &stream, arena) == ROW_GOT)
				assert_int_equal(stream.n, 0);
			arena_reset(arena);
			free(own);
		}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_row_has_the_keys_of_postqueue_and_ours), T(strings_are_json), T(the_queue_has_postfix_s_name),
		T(open_recipients_come_until_it_is_enough), T(a_state_is_found_among_many),
		T(rows_come_back_from_a_stream_cut_anywhere), T(a_changed_stream_is_no_danger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
