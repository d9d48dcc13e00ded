/* SPDX-License-Identifier: ISC */
/* A message is read once for many attempts, and never kept for nobody (queue/opened). */
#include "queue_world.h"

static struct world w;

static const char CONF[] =
    "domain local.test { deliver to maildir /m/%u; users ann; alias one -> a@far.test, b@far.test;\n"
    "  alias two -> c@far.test, d@far.test }\n"
    "delivery { retry after 1h; expire after 3h; warn sender never }\n";

static int
setup(void **state)
{
	(void)state;
	world_begin(&w, CONF);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_end(&w);
	return 0;
}

static uint64_t
store_many(unsigned n, const char *more)
{
	struct buf list = BUF(100000);
	uint64_t id;

	for (unsigned i = 0; i < n; i++)
		buf_printf(&list, "r%u@d%u.test ", i, i);
	buf_printf(&list, "%s", more);
	buf_byte(&list, '\0');
	id = world_store(&w, "s@sender.test", list.p);
	buf_free(&list);
	return id;
}

static const struct { unsigned recipients; bool kept; } sizes[] = {
	{ 1, false }, { 16, false }, { 17, true }, { 1000, true },
};

/* Where many attempts come it is the same one for all; where few come it is read again. */
static void
test_read_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint64_t id = store_many(sizes[i].recipients, "");
		struct opened *one = opened_get(w.queue, id, NULL), *other = opened_get(w.queue, id, NULL);

		assert_true(one->whole && other->whole);
		assert_int_equal(one->stored.envelope.count, sizes[i].recipients);
		assert_case((one == other) == sizes[i].kept, i, "kept");
		opened_drop(one);
		opened_drop(other);
	}
}

/* Those of whom nobody has heard for a while go, also when they are in use just now. */
static void
test_not_for_ever(void **state)
{
	struct opened *one, *other;
	uint64_t id;

	(void)state;
	deliverer_dies(&w);
	id = store_many(100, "");
	one = opened_get(w.queue, id, NULL);
	world_run(&w, 5 * SECOND);
	other = opened_get(w.queue, id, NULL);
	assert_ptr_equal(one, other);
	opened_drop(other);
	world_run(&w, 20 * SECOND);
	assert_null(w.queue->opened);
	assert_slice(one->stored.envelope.recipients[99].address, "r99@d99.test");
	opened_drop(one);
}

/* A crowd of them: the newest are kept, and each is the right one. */
static void
test_the_newest(void **state)
{
	struct opened *each[20], *again;
	uint64_t id[COUNT(each)];
	size_t kept = 0;

	(void)state;
	deliverer_dies(&w);
	for (size_t i = 0; i < COUNT(each); i++) {
		id[i] = store_many(50, "");
		each[i] = opened_get(w.queue, id[i], NULL);
		assert_int_equal(each[i]->stored.envelope.id, id[i]);
	}
	for (size_t i = COUNT(each); i-- > 0; ) {
		again = opened_get(w.queue, id[i], NULL);
		assert_int_equal(again->stored.envelope.id, id[i]);
		kept += again == each[i];
		opened_drop(again);
		opened_drop(each[i]);
	}
	assert_true(kept > 1 && kept < COUNT(each) / 2);
}

/* Who is made while it is open is found as well, and who was found stays where he is. */
static void
test_made_since(void **state)
{
	uint32_t numbers[4] = { 0, 50, 52, 53 };
	const struct recipient *const *before, *const *after;
	struct opened *o;
	uint64_t id;

	(void)state;
	deliverer_dies(&w);
	id = store_many(50, "one@local.test two@local.test");
	o = opened_get(w.queue, id, NULL);
	assert_non_null(before = opened_recipients(w.queue, o, numbers, 2, w.arena, NULL));
	assert_null(opened_recipients(w.queue, o, numbers, 4, w.arena, NULL));
	deliverer_comes(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_non_null(after = opened_recipients(w.queue, o, numbers, 4, w.arena, NULL));
	assert_ptr_equal(after[0], before[0]);
	assert_slice(after[2]->address, "a@far.test");
	assert_slice(after[3]->address, "b@far.test");
	numbers[0] = 55, numbers[1] = 52;
	assert_non_null(before = opened_recipients(w.queue, o, numbers, 2, w.arena, NULL));
	assert_slice(before[0]->address, "d@far.test");
	assert_ptr_equal(before[1], after[2]);
	numbers[0] = 56;
	assert_null(opened_recipients(w.queue, o, numbers, 1, w.arena, NULL));
	opened_drop(o);
}

/* What has ended is not there, whoever still has it open. */
static void
test_ended(void **state)
{
	struct opened *one, *other;
	uint64_t id;

	(void)state;
	deliverer_dies(&w);
	id = store_many(100, "");
	one = opened_get(w.queue, id, NULL);
	spool_gone(w.queue->spool, id, NULL, NULL);
	schedule_forget(&w.queue->schedule, schedule_find(&w.queue->schedule, id));
	world_run(&w, 100);
	other = opened_get(w.queue, id, NULL);
	assert_true(one->whole && !other->whole && other->stored.envelope.count == 0);
	opened_drop(one);
	opened_drop(other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_read_once), T(test_not_for_ever), T(test_the_newest), T(test_made_since), T(test_ended),
	};

	return cmocka_run_group_tests_name("opened", tests, NULL, NULL);
}
