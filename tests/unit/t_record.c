/* SPDX-License-Identifier: ISC */
#include "base/bug.h"
#include "queue/record.h"
#include "unit.h"

enum { SALT = 0x5a17, ROOM = 64 << 10 };

/* A segment in memory, made of batches: "1 2 | 3 | 4" are three. */
struct segment {
	char   bytes[ROOM];
	size_t end;                     /* of the last batch */
	size_t at[100], n[100];         /* where each record stands, by number */
};

static struct segment *s;

static void
write_head(uint32_t format)
{
	struct segment_head h = { format, 1, 1, SALT };

	segment_head_pack(&h, s->bytes);
}

static int
setup(void **state)
{
	(void)state;
	s = must_alloc(sizeof *s);
	write_head(SEGMENT_FORMAT);
	s->end = SPOOL_BLOCK;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(s);
	return 0;
}

/* Payload: the number, so many times that records differ in length. */
static size_t
write_record(size_t at, uint64_t number, uint64_t batch)
{
	struct spool_record r = { RECORD_GONE, number, batch, 1000 + number, NONE };
	char *p = s->bytes + at;

	r.payload = slice_of(p + RECORD_HEADER, (size_t)(number * 37 % 300));
	memset(p + RECORD_HEADER, (int)number, r.payload.n);
	record_finish(&r, SALT, p);
	s->at[number % 100] = at;
	s->n[number % 100] = record_length(r.payload.n);
	return record_length(r.payload.n);
}

static void
write_batches(const char *text)
{
	struct slice all = slice(text), batch, word;

	while (slice_cut(&all, '|', &batch)) {
		size_t at = (s->end + SPOOL_BLOCK - 1) / SPOOL_BLOCK * SPOOL_BLOCK;
		uint64_t number = 0, first = 0;

		while (slice_word(&batch, &word)) {
			assert_true(slice_number(word, 1000000, &number));
			first = first ? first : number;
			at += write_record(at, number, first);
		}
		s->end = at;
	}
}

/* "1 2 !3+1 4": records and, with !, the first lost number and how many. */
static void
expect_walk(uint64_t expect, uint64_t limit, const char *want)
{
	struct walk w = { slice_of(s->bytes, ROOM), 0, SPOOL_BLOCK, expect, limit, SALT };
	struct buf got = BUF(10000);
	enum walked what;
	struct damage d;
	struct spool_record r;
	uint64_t at;

	while ((what = walk_next(&w, &r, &at, &d)) != WALK_END) {
		if (what == WALK_RECORD) {
			assert_int_equal(at, s->at[r.sequence % 100]);
			assert_int_equal(r.id, 1000 + r.sequence);
			buf_printf(&got, "%d ", (int)r.sequence);
		} else {
			assert_true(d.at + d.n <= ROOM);
			buf_printf(&got, "!%d+%d ", (int)d.first, (int)d.count);
		}
	}
	assert_slice(buf_slice(&got), want);
	buf_free(&got);
}

static void
hurt(uint64_t number, size_t byte)
{
	s->bytes[s->at[number] + byte] ^= 1;
}

static void
a_head_comes_back_and_a_wrong_one_does_not(void **state)
{
	struct segment_head h = { SEGMENT_FORMAT, 7, 1000, SALT }, got;
	char block[SPOOL_BLOCK];

	(void)state;
	segment_head_pack(&h, block);
	assert_true(segment_head_read(slice_of(block, sizeof block), &got));
	assert_true(got.format == SEGMENT_FORMAT && got.number == 7);
	assert_true(got.first == 1000 && got.salt == SALT);
	for (size_t n = 0; n < 44; n++) {
		block[n] ^= 4;
		assert_case(!segment_head_read(slice_of(block, sizeof block), &got), n, "byte");
		block[n] ^= 4;
		assert_false(segment_head_read(slice_of(block, n), &got));
	}
	memset(block, 0, sizeof block);
	assert_false(segment_head_read(slice_of(block, sizeof block), &got));
}

static void
a_record_with_any_wrong_byte_is_none(void **state)
{
	struct spool_record r;
	size_t n;

	(void)state;
	write_batches("5");
	n = s->n[5] = RECORD_HEADER + 5 * 37;
	for (size_t i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit++) {
			s->bytes[s->at[5] + i] ^= (char)(1 << bit);
			assert_case(!record_read(slice_of(s->bytes + s->at[5], n), SALT, &r), i, "byte");
			s->bytes[s->at[5] + i] ^= (char)(1 << bit);
		}
	assert_true(record_read(slice_of(s->bytes + s->at[5], n), SALT, &r));
	assert_false(record_read(slice_of(s->bytes + s->at[5], n - 1), SALT, &r));
	assert_false(record_read(slice_of(s->bytes + s->at[5], n), SALT + 1, &r));
	assert_false(record_read(slice_of(s->bytes + s->at[5], n), SALT ^ (uint64_t)1 << 32, &r));
}

static void
a_whole_segment_is_read(void **state)
{
	(void)state;
	expect_walk(1, NO_LIMIT, "");
	write_batches("1 2 3 | 4 | 5 6");
	expect_walk(1, NO_LIMIT, "1 2 3 4 5 6 ");
	expect_walk(1, 7, "1 2 3 4 5 6 ");
	expect_walk(7, NO_LIMIT, "");
}

static void
stale_records_of_an_earlier_life_are_not_read(void **state)
{
	(void)state;
	write_batches("1 2 | 3 4 | 5 6 | 7 | 8 9");
	s->end = SPOOL_BLOCK;
	write_batches("20 21 | 22");
	expect_walk(20, NO_LIMIT, "20 21 22 ");
	expect_walk(20, 23, "20 21 22 ");
}

static void
what_the_next_segment_repeats_is_void(void **state)
{
	(void)state;
	write_batches("1 2 | 3 4 | 5");
	expect_walk(1, 3, "1 2 ");
	hurt(4, 8);
	expect_walk(1, 3, "1 2 ");
}

/* The newest batch was never acknowledged: nothing of it counts behind the tear. */
static void
a_torn_tail_ends_the_run(void **state)
{
	static const size_t where[] = { 0, 5, 9, 12, 16, 24, 32, RECORD_HEADER };

	(void)state;
	write_batches("1 2 | 3 4 5");
	for (size_t i = 0; i < COUNT(where); i++) {
		hurt(4, where[i]);
		expect_walk(1, NO_LIMIT, "1 2 3 ");
		hurt(4, where[i]);
		hurt(3, where[i]);
		expect_walk(1, NO_LIMIT, "1 2 ");
		hurt(3, where[i]);
	}
}

/* A later batch shows that it was acknowledged: it is damage, and the rest counts. */
static void
damage_in_the_middle_is_passed_over(void **state)
{
	static const size_t where[] = { 0, 5, 9, 12, 16, 24, 32, RECORD_HEADER };

	(void)state;
	write_batches("1 2 | 3 4 5 | 6");
	for (size_t i = 0; i < COUNT(where); i++) {
		hurt(4, where[i]);
		expect_walk(1, NO_LIMIT, "1 2 3 !4+1 5 6 ");
		expect_walk(1, 7, "1 2 3 !4+1 5 6 ");
		hurt(3, where[i]);
		expect_walk(1, NO_LIMIT, "1 2 !3+2 5 6 ");
		hurt(1, where[i]);
		hurt(2, where[i]);
		expect_walk(1, NO_LIMIT, "!1+4 5 6 ");
		hurt(1, where[i]);
		hurt(2, where[i]);
		hurt(3, where[i]);
		hurt(4, where[i]);
	}
	hurt(6, 8);
	expect_walk(1, NO_LIMIT, "1 2 3 4 5 ");
	expect_walk(1, 7, "1 2 3 4 5 !6+1 ");           /* the next segment says it was there */
	hurt(5, 8);
	expect_walk(1, NO_LIMIT, "1 2 3 4 ");
	expect_walk(1, 7, "1 2 3 4 !5+2 ");
}

/* The salt is not known to who writes the message: a record inside a record is none. */
static void
a_record_inside_a_message_is_not_believed(void **state)
{
	struct spool_record forged = { RECORD_GONE, 2, 2, 9, S("x") };
	struct spool_record outer = { RECORD_MESSAGE, 1, 1, 1, NONE };
	char *p = s->bytes + SPOOL_BLOCK, *inner = p + 2 * RECORD_HEADER;

	(void)state;
	outer.payload = slice_of(p + RECORD_HEADER, 2000);
	inner[RECORD_HEADER] = 'x';
	record_finish(&forged, SALT + 99, inner);
	record_finish(&outer, SALT, p);
	s->end = SPOOL_BLOCK + record_length(2000);
	s->at[1] = SPOOL_BLOCK;
	write_batches("3");
	hurt(1, 12);
	expect_walk(1, NO_LIMIT, "!1+2 3 ");
}

static void
segments_have_names_of_eight_digits_or_more(void **state)
{
	static const struct { const char *name; uint32_t number; } cases[] = {
		{ "00000001", 1 }, { "99999999", 99999999 }, { "100000000", 100000000 },
		{ "4294967295", UINT32_MAX }, { "4294967296", 0 }, { "00000000", 0 }, { "1", 0 },
		{ "000000001", 0 }, { "0000001x", 0 }, { "", 0 }, { "spare-12", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t number = 0;

		assert_int_equal(segment_number(slice(cases[i].name), &number), cases[i].number != 0);
		if (cases[i].number != 0)
			assert_int_equal(number, cases[i].number);
	}
}

/*
 * Bytes of the head and of the first record are turned, and the salt is found all the
 * same, as long as something agrees.
 */
static void
the_salt_is_found_behind_a_wrong_head(void **state)
{
	static const struct { const char *batches; size_t at, n, rot; uint64_t salt; } cases[] = {
		{ "1 | 2", 0, 0, 0, SALT },
		{ "1", 8, 1, 0, SALT },         /* the head's own salt makes a record */
		{ "1", 0, 32, 0, SALT },
		{ "1", 32, 4, 0, SALT },        /* the head's sum agrees */
		{ "1", 32, 8, 0, SALT },
		{ "1", 32, 12, 0, 0 },          /* nobody does */
		{ "1 2", 0, 44, 0, SALT },      /* the next record does */
		{ "1 | 2", 0, 44, 0, SALT },
		{ "1 | 2", 0, 44, 50, 0 },      /* another salt would fit, and to this record only */
		{ "1 | 2", 0, 44, 13, 0 },      /* no header */
	};

	for (size_t i = 0; i < SEGMENT_FORMAT * COUNT(cases); i++) {
		struct slice head = slice_of(s->bytes, SPOOL_BLOCK);
		uint32_t format = 1 + (uint32_t)(i / COUNT(cases));

		write_head(format);
		write_batches(cases[i % COUNT(cases)].batches);
		for (size_t k = 0; k < cases[i % COUNT(cases)].n; k++)
			s->bytes[cases[i % COUNT(cases)].at + k] ^= 0x55;
		if (cases[i % COUNT(cases)].rot != 0)
			s->bytes[SPOOL_BLOCK + cases[i % COUNT(cases)].rot] ^= 0x55;
		assert_int_equal(salt_behind(head, 1, slice_of(s->bytes + SPOOL_BLOCK, s->end - SPOOL_BLOCK)),
		    cases[i % COUNT(cases)].salt);
		teardown(state);
		setup(state);
	}
}

static void
batches_are_counted_without_a_salt(void **state)
{
	static const struct { const char *batches; uint64_t after, limit; size_t n; } cases[] = {
		{ "", 0, NO_LIMIT, 0 }, { "1 2 3", 0, NO_LIMIT, 1 }, { "1 2 | 3 | 4 5", 0, NO_LIMIT, 3 },
		{ "1 2 | 3 | 4 5", 2, NO_LIMIT, 2 }, { "1 2 | 3 | 4 5", 0, 4, 2 },
		{ "1 2 | 3 | 4 5", 4, NO_LIMIT, 0 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		write_batches(cases[i].batches);
		s->bytes[SPOOL_BLOCK] ^= 1;             /* the magic of another salt */
		assert_int_equal(batches_behind(slice_of(s->bytes + SPOOL_BLOCK, s->end - SPOOL_BLOCK),
		    cases[i].after, cases[i].limit), cases[i].n);
		teardown(state);
		setup(state);
	}
	assert_int_equal(batches_behind(slice_of(s->bytes, 39), 0, NO_LIMIT), 0);
}

static void
messages_and_seals_come_back(void **state)
{
	struct envelope e = { .id = 5, .size = 3, .parent_recipient = NO_RECIPIENT };
	struct buf b = BUF(1000);
	struct message_payload m;
	struct slice route, fields;

	(void)state;
	message_pack(false, &e, &b);
	buf_add(&b, S("abc"));
	assert_true(message_read(buf_slice(&b), &m));
	assert_false(m.in_file);
	assert_slice(m.content, "abc");
	b.p[0] = 1;                                     /* in a file, and yet content */
	assert_false(message_read(buf_slice(&b), &m));
	b.n -= 3;
	assert_true(message_read(buf_slice(&b), &m) && m.in_file);
	b.p[0] = 2;
	assert_false(message_read(buf_slice(&b), &m));
	assert_false(message_read(S(""), &m));
	buf_clear(&b);
	seal_pack(S("lists"), S("ARC-Seal: i=1\r\n"), &b);
	assert_true(seal_read(buf_slice(&b), &route, &fields));
	assert_slice(route, "lists");
	assert_slice(fields, "ARC-Seal: i=1\r\n");
	for (size_t n = 0; n < b.n; n++)
		assert_false(seal_read(slice_head(buf_slice(&b), n), &route, &fields));
	buf_free(&b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_head_comes_back_and_a_wrong_one_does_not),
		T(a_record_with_any_wrong_byte_is_none),
		T(a_whole_segment_is_read),
		T(stale_records_of_an_earlier_life_are_not_read),
		T(what_the_next_segment_repeats_is_void),
		T(a_torn_tail_ends_the_run),
		T(damage_in_the_middle_is_passed_over),
		T(a_record_inside_a_message_is_not_believed),
		T(segments_have_names_of_eight_digits_or_more),
		T(the_salt_is_found_behind_a_wrong_head),
		T(batches_are_counted_without_a_salt),
		T(messages_and_seals_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
