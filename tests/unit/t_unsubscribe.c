/* SPDX-License-Identifier: ISC */
#include "mail/unsubscribe.h"
#include "unit.h"

static const struct slice NEW_KEYS[] = { S_INIT("the newest key"), S_INIT("an older key") };
static const struct slice OLD_KEYS[] = { S_INIT("an older key") }, OTHER_KEYS[] = { S_INIT("somebody's") };
static const struct secrets NEW = { NEW_KEYS, 2 }, OLD = { OLD_KEYS, 1 }, OTHER = { OTHER_KEYS, 1 }, NO = { NULL, 0 };

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const struct { const char *list, *member, *list_r, *member_r; } cases[] = {
	{ "news@list.test", "ann@x.test", "news@list.test", "ann@x.test" },
	{ "News@LIST.test", "Ann@X.Test", "news@list.test", "ann@x.test" },
	{ "a@b", "x@y", "a@b", "x@y" }, { "a@b", "xx@y", "a@b", "xx@y" }, { "a@b", "xxx@y", "a@b", "xxx@y" },
	{ "l@list.test", "\"a b\"@x.test", "l@list.test", "\"a b\"@x.test" },
	{ "l@list.test", "\xc3\xa4@\xc3\xbc.test", "l@list.test", "\xc3\xa4@\xc3\xbc.test" },
};

static void
a_word_names_list_and_member(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf word = BUF(UNSUBSCRIBE_MOST);
		struct slice list, member;

		assert_case(unsubscribe_add(&word, slice(cases[i].list), slice(cases[i].member), NEW), i, cases[i].list);
		for (size_t k = 0; k < word.n; k++)             /* nothing that a URI or a header would mind */
			assert_case(is_alnum(word.p[k]) || strchr("-_.", word.p[k]) != NULL, i, "a letter");
		assert_case(unsubscribe_read(buf_slice(&word), NEW, arena, &list, &member), i, cases[i].list);
		assert_slice(list, cases[i].list_r);
		assert_slice(member, cases[i].member_r);
		buf_free(&word);
	}
}

/* Of every key that is still kept, and of no other one. */
static void
a_word_is_good_as_long_as_its_key(void **state)
{
	struct buf word = BUF(UNSUBSCRIBE_MOST);
	struct slice list, member;

	(void)state;
	assert_true(unsubscribe_add(&word, S("a@b"), S("x@y"), OLD));
	assert_true(unsubscribe_read(buf_slice(&word), NEW, arena, &list, &member));
	assert_false(unsubscribe_read(buf_slice(&word), OTHER, arena, &list, &member));
	assert_false(unsubscribe_read(buf_slice(&word), NO, arena, &list, &member));
	buf_clear(&word);
	assert_true(unsubscribe_add(&word, S("a@b"), S("x@y"), NEW));   /* by the newest one */
	assert_false(unsubscribe_read(buf_slice(&word), OLD, arena, &list, &member));
	buf_clear(&word);
	assert_false(unsubscribe_add(&word, S("a@b"), S("x@y"), NO));
	assert_int_equal(word.n, 0);
	buf_free(&word);
}

static void
nobody_else_can_write_one(void **state)
{
	static const char *const bad[] = { "", ".", "x", "x.", ".x", "YUBiCnhAeQ.", "YUBiCnhAeQ", "YUBiCnhAeQ==.AAAA",
	    "a+b/.AAAA" };
	struct buf word = BUF(UNSUBSCRIBE_MOST);
	struct slice list, member;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_case(!unsubscribe_read(slice(bad[i]), NEW, arena, &list, &member), i, bad[i]);
	assert_true(unsubscribe_add(&word, S("a@b"), S("x@y"), NEW));
	for (size_t i = 0; i < word.n; i++) {
		char was = word.p[i];

		word.p[i] = was == 'A' ? 'B' : 'A';
		assert_case(!unsubscribe_read(buf_slice(&word), NEW, arena, &list, &member), i, "changed");
		word.p[i] = was;
		assert_case(!unsubscribe_read(slice_head(buf_slice(&word), i), NEW, arena, &list, &member), i, "cut");
	}
	assert_true(unsubscribe_read(buf_slice(&word), NEW, arena, &list, &member));
	buf_free(&word);
}

/* What is too long for a line of the header is not written. */
static void
who_has_a_very_long_address_gets_none(void **state)
{
	struct buf word = BUF(10 * UNSUBSCRIBE_MOST), member = BUF(2000);
	size_t last = 0;

	(void)state;
	while (member.n < 1000) {
		buf_byte(&member, 'x');
		buf_clear(&word);
		if (!unsubscribe_add(&word, S("a@b"), buf_slice(&member), NEW))
			break;
		assert_true(word.n <= UNSUBSCRIBE_MOST);
		last = member.n;
	}
	assert_int_equal(word.n, 0);
	assert_in_range(last, 320, 520);        /* an ordinary one is far from it (RFC 5321 4.5.3.1) */
	buf_free(&word), buf_free(&member);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_names_list_and_member),
		cmocka_unit_test(a_word_is_good_as_long_as_its_key),
		cmocka_unit_test(nobody_else_can_write_one),
		cmocka_unit_test(who_has_a_very_long_address_gets_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
