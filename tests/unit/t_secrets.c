/* SPDX-License-Identifier: ISC */
#include "base/text.h"
#include "conf/secrets.h"
#include "unit.h"

#define DAY_MS ((int64_t)86400000)
#define ONES   "1111111111111111111111111111111111111111111111111111111111111111"
#define TWOS   "2222222222222222222222222222222222222222222222222222222222222222"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const struct { const char *text; size_t count; } texts[] = {
	{ "", 0 }, { "\n\n", 0 }, { "0 " ONES "\n", 1 }, { "0 " ONES, 1 },
	{ "10 " ONES "\n5 " TWOS "\n", 2 },
	{ "10 " ONES "\r\n5 " TWOS "\r\n", 2 },
	{ "x " ONES "\n5 " TWOS "\n", 1 },              /* no time */
	{ "10 11\n5 " TWOS "\n", 1 },                   /* too short */
	{ "10 " ONES "11\n", 0 },                       /* too long */
	{ "10 " ONES " x\n", 0 },
	{ "99999999999999999999999 " ONES "\n", 0 },
};

static void
lines_that_make_no_sense_are_passed_over(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct secret_set set;

		secrets_parse(&set, slice(texts[i].text), arena);
		assert_case(set.srs.count == texts[i].count && set.tickets.count == texts[i].count, i,
		    texts[i].text);
	}
}

static void
each_use_has_a_key_of_its_own(void **state)
{
	struct secret_set set, again;

	(void)state;
	secrets_parse(&set, S("10 " ONES "\n5 " TWOS "\n"), arena);
	secrets_parse(&again, S("5 " TWOS "\n"), arena);
	assert_int_equal(set.srs.each[0].n, HMAC_BYTES);
	assert_false(slice_eq(set.srs.each[0], set.srs.each[1]));
	assert_false(slice_eq(set.srs.each[0], set.tickets.each[0]));
	assert_false(slice_eq(set.leaves.each[0], set.tickets.each[0]));
	assert_false(slice_eq(set.leaves.each[0], set.srs.each[0]));
	assert_true(slice_eq(set.srs.each[1], again.srs.each[0]));      /* the key, not its place */
}

/* A bounce may come back SRS_DAYS after the last day on which a secret has marked something, a word to
 * leave a list is good for longer. */
static const struct { int64_t day; const char *text, *renewed; } renewals[] = {
	{ 100, "", "8640000 F\n" },
	{ 100, "rubbish", "8640000 F\n" },
	{ 129, "8640000 " ONES "\n", NULL },
	{ 130, "8640000 " ONES "\n", "11232000 F\n8640000 " ONES "\n" },
	{ 189, "8640000 " ONES "\n", "16329600 F\n8640000 " ONES "\n" },
	{ 190, "8640000 " ONES "\n", "16416000 F\n" },
	{ 160, "11232000 " ONES "\n8640000 " TWOS "\n", "13824000 F\n11232000 " ONES "\n8640000 " TWOS "\n" },
	{ 190, "11232000 " ONES "\n8640000 " TWOS "\n", "16416000 F\n11232000 " ONES "\n" },
	{ 99, "8640000 " ONES "\n", NULL },             /* a clock that is a little behind */
	{ 90, "8640000 " ONES "\n", "7776000 F\n8640000 " ONES "\n" },
};

static void
a_secret_is_renewed_and_kept_as_long_as_it_may_be_needed(void **state)
{
	unsigned char fresh[SECRET_BYTES];

	(void)state;
	memset(fresh, 0xff, sizeof fresh);
	for (size_t i = 0; i < COUNT(renewals); i++) {
		struct buf got = BUF(4096);
		bool due = secrets_renew(slice(renewals[i].text), renewals[i].day * DAY_MS, fresh, &got);
		struct slice want = NONE, left = buf_slice(&got), hex = S("ffffffffffffffffffffffffffffffff"
		    "ffffffffffffffffffffffffffffffff"), before;

		assert_case(due == (renewals[i].renewed != NULL), i, renewals[i].text);
		if (due) {                              /* F stands for the fresh one */
			want = slice(renewals[i].renewed);
			before = slice_head(want, slice_find(want, 'F'));
			assert_case(slice_starts(left, before), i, got.p);
			left = slice_skip(left, before.n);
			assert_case(slice_starts(left, hex), i, got.p);
			assert_case(slice_eq(slice_skip(left, hex.n), slice_skip(want, before.n + 1)), i, got.p);
		}
		buf_free(&got);
	}
}

static const struct { const char *one, *other, *joined; } joints[] = {
	{ "", "", "" },
	{ "10 " ONES "\n", "", "10 " ONES "\n" },
	{ "", "10 " ONES "\n", "10 " ONES "\n" },
	{ "10 " ONES "\n", "rubbish\n10 " ONES "\n", "10 " ONES "\n" },
	{ "10 " ONES "\n", "20 " TWOS "\n10 " ONES "\n", "20 " TWOS "\n10 " ONES "\n" },
	{ "20 " TWOS "\n10 " ONES "\n", "10 " ONES "\n", "20 " TWOS "\n10 " ONES "\n" },
	{ "30 " ONES "\n10 " ONES "\n", "20 " TWOS "\n5 " TWOS "\n",
	    "30 " ONES "\n20 " TWOS "\n10 " ONES "\n5 " TWOS "\n" },
	{ "10 " ONES "\n", "10 " TWOS "\n", "10 " ONES "\n10 " TWOS "\n" },
};

static void
two_files_become_one(void **state)
{
	struct buf many = BUF(8192), got = BUF(8192);
	struct secret_set set;

	(void)state;
	for (size_t i = 0; i < COUNT(joints); i++) {
		buf_clear(&got);
		secrets_join(slice(joints[i].one), slice(joints[i].other), &got);
		assert_case(slice_eq(buf_slice(&got), slice(joints[i].joined)), i, joints[i].joined);
	}
	for (int since = 100; since > 70; since--)
		buf_printf(&many, "%d %s\n", since, ONES);
	buf_clear(&got);
	secrets_join(buf_slice(&many), S("200 " TWOS "\n"), &got);
	assert_true(slice_starts(buf_slice(&got), S("200 " TWOS "\n100 " ONES "\n")));
	secrets_parse(&set, buf_slice(&got), arena);
	assert_int_equal(set.srs.count, SECRETS_MOST);
	assert_false(got.full);
	buf_free(&many);
	buf_free(&got);
}

static void
however_often_it_is_renewed_the_file_stays_small(void **state)
{
	unsigned char fresh[SECRET_BYTES] = { 1 };
	struct buf text = BUF(8192);

	(void)state;
	for (int64_t day = 0; day < 3650; day++) {
		struct buf next = BUF(8192);

		if (secrets_renew(buf_slice(&text), day * DAY_MS, fresh, &next)) {
			buf_free(&text);
			text = next;
		}
		assert_true(text.n <= 3 * 80);
	}
	buf_free(&text);
}

static void
they_come_through_the_reader(void **state)
{
	struct files files = { 0 };
	struct reader reader = files_reader(&files);
	struct secret_set set;

	(void)state;
	secrets_read(&set, &reader, arena);
	assert_int_equal(set.srs.count, 0);
	buf_add(&files_add(&files, S(SECRETS_NAME), FILE_SECRETS)->bytes, S("10 " ONES "\n"));
	secrets_read(&set, &reader, arena);
	assert_int_equal(set.srs.count, 1);
	files_free(&files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_make_no_sense_are_passed_over),
		cmocka_unit_test(each_use_has_a_key_of_its_own),
		cmocka_unit_test(a_secret_is_renewed_and_kept_as_long_as_it_may_be_needed),
		cmocka_unit_test(however_often_it_is_renewed_the_file_stays_small),
		cmocka_unit_test(two_files_become_one),
		cmocka_unit_test(they_come_through_the_reader),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
