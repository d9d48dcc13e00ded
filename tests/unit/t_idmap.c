/* SPDX-License-Identifier: ISC */
#include "base/idmap.h"
#include "base/rng.h"
#include "unit.h"

/* Against an array that says for each of a few hundred ids whether it is in. */
static void
an_idmap_agrees_with_a_list(void **state)
{
	enum { IDS = 300 };
	struct idmap m = { 0 };
	struct rng rng = rng_seeded(1);
	static char values[IDS];
	bool in[IDS] = { false };
	size_t count = 0;

	(void)state;
	for (int turn = 0; turn < 20000; turn++) {
		size_t i = (size_t)rng_below(&rng, IDS);
		uint64_t id = (uint64_t)i << 52 | 7;    /* alike in their low bits */

		assert_ptr_equal(idmap_get(&m, id), in[i] ? &values[i] : NULL);
		if (rng_below(&rng, 2)) {
			count += !in[i];
			in[i] = true;
			idmap_put(&m, id, &values[i]);
		} else {
			count -= in[i];
			assert_ptr_equal(idmap_remove(&m, id), in[i] ? &values[i] : NULL);
			in[i] = false;
		}
		assert_int_equal(m.n, count);
	}
	idmap_free(&m);
}

static void
every_value_comes_once(void **state)
{
	struct idmap m = { 0 };
	static char values[100];
	int seen = 0;
	size_t at = 0;

	(void)state;
	assert_null(idmap_next(&m, &at));
	for (uint64_t id = 0; id < 100; id++)
		idmap_put(&m, id, &values[id]);
	for (char *v; (v = idmap_next(&m, &at)) != NULL; seen++)
		assert_int_equal((*v)++, 0);
	assert_int_equal(seen, 100);
	idmap_free(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idmap_agrees_with_a_list),
		cmocka_unit_test(every_value_comes_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
