/* SPDX-License-Identifier: ISC */
#include "delivery/results.h"
#include "unit.h"

/* Outcomes by letters: g good, d deferred, f failed. */
static struct order_result
result(uint64_t id, const char *outcomes)
{
	static struct order_outcome all[16];
	struct order_result r = { .number = id, .id = id, .outcomes = all };

	for (; outcomes[r.count] != '\0'; r.count++)
		all[r.count] = (struct order_outcome){ r.count, outcomes[r.count] == 'g'
		    ? STATUS(250, 2, 0, 0, "ok") : outcomes[r.count] == 'd'
		    ? STATUS(451, 4, 0, 0, "later") : STATUS(550, 5, 0, 0, "never") };
	return r;
}

/* "7:0g,2f 8:…": what was told, with the numbers of recipients. */
static void
note(void *arg, struct slice packed)
{
	struct buf *to = arg;
	struct arena *arena = arena_new(1 << 16);
	struct order_result r;

	assert_true(order_result_unpack(&r, packed, arena));
	buf_printf(to, "%s%u:", to->n ? " " : "", (unsigned)r.id);
	for (uint32_t i = 0; i < r.count; i++)
		buf_printf(to, "%s%u%c", i ? "," : "", r.outcomes[i].index,
		    status_good(r.outcomes[i].status) ? 'g' : status_transient(r.outcomes[i].status) ? 'd' : 'f');
	arena_free(arena);
}

static void
a_new_queue_is_told_what_the_old_one_may_have_missed(void **state)
{
	static const struct { const char *outcomes; bool told; int64_t later; const char *first, *second; } cases[] = {
		{ "g",   true,  0,     "1:0g",       "1:0g" },
		{ "gdf", true,  0,     "1:0g,2f",    "1:0g,2f" },
		{ "d",   true,  0,     "",           "" },              /* it is tried again at once */
		{ "g",   true,  10000, "1:0g",       "1:0g" },
		{ "g",   true,  10001, "",           "" },
		{ "gd",  false, 0,     "1:0g,1d",    "1:0g,1d" },
		{ "d",   false, 3600000, "1:0d",     "1:0d" },          /* an hour without a queue */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct results all;
		struct buf told = BUF(1000);
		struct order_result r = result(1, cases[i].outcomes);

		results_begin(&all);
		results_keep(&all, 1000, cases[i].told, &r);
		results_tell(&all, 1000 + cases[i].later, note, &told);
		assert_slice(buf_slice(&told), cases[i].first);
		buf_clear(&told);
		results_tell(&all, 1000 + cases[i].later, note, &told);
		assert_slice(buf_slice(&told), cases[i].second);
		results_tell(&all, 1000 + cases[i].later + 10001, note, &told);
		assert_slice(buf_slice(&told), cases[i].second);        /* nothing more */
		buf_free(&told);
		results_end(&all);
	}
}

static void
a_new_queue_is_waited_for_as_long_as_it_must_be_told(void **state)
{
	static const struct { const char *outcomes; bool told; int64_t later, wait; } cases[] = {
		{ "",   true,  0,       0 },                            /* nothing was said */
		{ "g",  true,  0,       10001 },
		{ "g",  true,  4000,    6001 },
		{ "g",  true,  10001,   0 },
		{ "d",  true,  0,       0 },                            /* need not be told again */
		{ "g",  false, 0,       10001 },
		{ "g",  false, 3600000, 10001 },                        /* nobody was there to hear it */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct results all;
		struct order_result r = result(1, cases[i].outcomes);

		results_begin(&all);
		if (r.count > 0)
			results_keep(&all, 1000, cases[i].told, &r);
		assert_int_equal(results_wait(&all, 1000 + cases[i].later), cases[i].wait);
		results_end(&all);
	}
}

static void
there_is_a_ceiling(void **state)
{
	static char text[1 << 20];
	struct results all;
	struct buf told = BUF(10000);

	(void)state;
	results_begin(&all);
	for (unsigned i = 1; i <= 70; i++) {
		struct order_result r = result(i, "g");

		r.story = slice_of(text, sizeof text);
		results_keep(&all, i, false, &r);
		assert_true(all.bytes <= RESULTS_MOST + 2 * sizeof text);
	}
	results_tell(&all, 100, note, &told);
	assert_true(slice_starts(buf_slice(&told), S("7:0g 8:0g")) ||
	    slice_starts(buf_slice(&told), S("8:0g 9:0g")));        /* the oldest went */
	buf_free(&told);
	results_end(&all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_queue_is_told_what_the_old_one_may_have_missed),
		cmocka_unit_test(a_new_queue_is_waited_for_as_long_as_it_must_be_told),
		cmocka_unit_test(there_is_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
