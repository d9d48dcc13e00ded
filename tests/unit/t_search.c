/* SPDX-License-Identifier: ISC */
/* How long an attempt looks for a host (delivery/search), and where the next one begins. */
#include "delivery/search.h"
#include "unit.h"

static void
an_attempt_ends(void **state)
{
	static const struct { struct search s; int64_t now; bool on; } cases[] = {
		{ { 1000, 0, 0 }, 1000, true },
		{ { 1000, SEARCH_ADDRESSES_MOST - 1, 0 }, 1000, true },
		{ { 1000, SEARCH_ADDRESSES_MOST, 0 }, 1000, false },
		{ { 1000, 0, SEARCH_PUT_OFF_MOST - 1 }, 1000, true },
		{ { 1000, 0, SEARCH_PUT_OFF_MOST }, 1000, false },
		{ { 1000, 0, 0 }, 1000 + SEARCH_MS - 1, true },
		{ { 1000, 0, 0 }, 1000 + SEARCH_MS, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_case(search_goes_on(&cases[i].s, cases[i].now) == cases[i].on, i, "goes on");
	assert_true(SEARCH_MS + 5 * MINUTE <= ATTEMPT_MS);      /* RFC 5321 4.5.3.2: the last one too */
}

static void
the_next_one_begins_there(void **state)
{
	static struct left_off l;

	(void)state;
	assert_int_equal(left_off_at(&l, S("a.test"), 20), 0);
	left_off_note(&l, S("a.test"), 3, 7);
	left_off_note(&l, S("b.test"), 19, 7);
	assert_int_equal(left_off_at(&l, S("a.test"), 20), 3);
	assert_int_equal(left_off_at(&l, S("b.test"), 20), 19);
	assert_int_equal(left_off_at(&l, S("b.test"), 7), 5);   /* it has fewer hosts by now */
	assert_int_equal(left_off_at(&l, S("b.test"), 0), 0);
	assert_int_equal(left_off_seed(&l, S("a.test"), 99), 7);
	assert_int_equal(left_off_seed(&l, S("c.test"), 99), 99);
	left_off_note(&l, S("c.test"), 0, 7);
	left_off_note(&l, S("a.test"), 0, 7);
	assert_int_equal(left_off_at(&l, S("a.test"), 20), 0);
	assert_int_equal(left_off_seed(&l, S("a.test"), 99), 99);       /* drawn anew, as ever */
	assert_int_equal(left_off_at(&l, S("b.test"), 20), 19);
}

/* However many there are: a place is taken from somebody else, never two mixed up. */
static void
strangers_begin_with_the_first(void **state)
{
	static struct left_off l;
	char name[32];
	size_t kept = 0;

	(void)state;
	for (unsigned i = 0; i < 4 * LEFT_OFF_MOST; i++) {
		snprintf(name, sizeof name, "d%u.test", i);
		assert_case(left_off_at(&l, slice(name), 100) == 0, i, name);
		left_off_note(&l, slice(name), 1 + i % 50, 7);
		assert_case(left_off_at(&l, slice(name), 100) == 1 + i % 50, i, name);
	}
	for (unsigned i = 0; i < 4 * LEFT_OFF_MOST; i++) {
		snprintf(name, sizeof name, "d%u.test", i);
		kept += left_off_at(&l, slice(name), 100) != 0;
	}
	assert_in_range(kept, 1, LEFT_OFF_MOST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_attempt_ends),
		cmocka_unit_test(the_next_one_begins_there),
		cmocka_unit_test(strangers_begin_with_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
