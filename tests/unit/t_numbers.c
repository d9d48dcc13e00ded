/* SPDX-License-Identifier: ISC */
#include "base/numbers.h"
#include "base/rng.h"
#include "unit.h"

enum { MOST = 3000 };

/* Against an array that says for each number whether it is in; few first, so that it grows. */
static void
a_set_agrees_with_a_list(void **state)
{
	struct numbers set = { NULL, 0 };
	struct rng rng = rng_seeded(1);
	bool in[MOST] = { false };

	(void)state;
	for (uint32_t below = 1; below <= MOST; below += below / 3 + 1) {
		uint32_t number = (uint32_t)rng_below(&rng, below);

		numbers_add(&set, number);
		in[number] = true;
		for (uint32_t i = 0; i < MOST; i++)
			assert_case(numbers_has(&set, i) == in[i], i, "is in, or is not");
	}
	numbers_free(&set);
}

static void
it_has_nothing_before_the_first_and_after_the_end(void **state)
{
	struct numbers set = { NULL, 0 };

	(void)state;
	assert_false(numbers_has(&set, 0));
	assert_false(numbers_has(&set, UINT32_MAX));
	numbers_add(&set, 8);
	numbers_add(&set, 8);
	assert_true(numbers_has(&set, 8));
	assert_false(numbers_has(&set, 7));
	assert_false(numbers_has(&set, 9));
	assert_int_equal(set.room, 2);
	numbers_free(&set);
	assert_false(numbers_has(&set, 8));
	assert_int_equal(set.room, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_agrees_with_a_list),
		cmocka_unit_test(it_has_nothing_before_the_first_and_after_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
