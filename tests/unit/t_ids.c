/* SPDX-License-Identifier: ISC */
/* No name twice, whoever dies and wherever the clock goes (base/ids, cmd/lease). */
#include <unistd.h>

#include "base/file.h"
#include "cmd/lease.h"
#include "unit.h"

#define NOON (INT64_C(20775) * DAY + 12 * HOUR)         /* of a day in 2026 */

enum { NAMES = 40000, TIME_SHIFT = 19 };

static char dir[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/chainmail-unit-XXXXXX");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	return dir_remove(dir, NULL) ? 0 : -1;
}

static void
begin(struct lease *l, const struct clock *clock)
{
	struct error why = { 0 };

	if (!lease_begin(l, slice(dir), clock, &why))
		fail_msg("%s", why.text);
}

/* So many names; all are greater than those that were given before. */
static void
give(struct ids *ids, int n, uint64_t *newest)
{
	for (int i = 0; i < n; i++) {
		uint64_t id = ids_next(ids);

		assert_true(id > *newest);
		*newest = id;
	}
}

static const struct { const char *name; int64_t moved; bool orderly; } restarts[] = {
	{ "an orderly end, the clock goes on", 1000, true },
	{ "an orderly end, the same millisecond", 0, true },
	{ "a crash, the same millisecond", 0, false },
	{ "an orderly end, seven seconds back", -7000, true },
	{ "a crash, seven seconds back", -7000, false },
	{ "a crash, a day back", -DAY, false },
	{ "an orderly end, six years back", -6 * 365 * DAY, true },
	{ "a crash, a day on", DAY, false },
};

/* The whole program ends and begins again: the same slot, and the clock is elsewhere. */
static void
a_later_program_gives_later_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(restarts); i++) {
		struct clock clock = clock_virtual(NOON);
		struct lease l;
		struct ids ids;
		uint64_t newest = 0;

		for (int start = 0; start < 3; start++) {
			begin(&l, &clock);
			ids_begin(&ids, &clock, 3, l.bound);
			give(&ids, NAMES, &newest);
			if (restarts[i].orderly)
				lease_end(&l);
			clock.now += restarts[i].moved;
		}
		assert_case((newest >> TIME_SHIFT) > 0, i, restarts[i].name);
		dir_remove(dir, NULL);
		assert_true(dir_make(dir, 0700, NULL));
	}
}

/* There is no room for another file, and segments that are there still take mail. */
static void
a_crash_on_a_full_disk_gives_no_name_again(void **state)
{
	struct clock clock = clock_virtual(NOON);
	uint64_t newest = 0;
	char path[80];
	struct lease l;
	struct ids ids;

	(void)state;
	begin(&l, &clock);
	lease_end(&l);
	snprintf(path, sizeof path, "%s/ids.new", dir);
	assert_true(dir_make(path, 0700, NULL));
	for (int start = 0; start < 4; start++) {
		begin(&l, &clock);
		ids_begin(&ids, &clock, 3, l.bound);
		give(&ids, NAMES, &newest);
	}
}

/* One process dies, another gets its slot while the clock stands or goes back. */
static void
who_gets_a_slot_goes_on_behind_the_one_before(void **state)
{
	struct clock clock = clock_virtual(NOON);
	struct lease l;
	struct ids first, second, other;
	uint64_t newest = 0, others = 0;

	(void)state;
	begin(&l, &clock);
	ids_begin(&first, &clock, 7, l.bound);
	ids_begin(&other, &clock, 8, l.bound);
	give(&first, NAMES, &newest);
	give(&other, NAMES, &others);
	clock.now -= HOUR;
	ids_begin(&second, &clock, 7, l.bound);
	give(&second, NAMES, &newest);
	give(&other, NAMES, &others);
	lease_end(&l);
}

static int64_t
written(void)
{
	struct buf text = BUF(100);
	char path[80];
	int64_t end;

	snprintf(path, sizeof path, "%s/ids", dir);
	assert_true(file_read(path, &text, NULL));
	buf_byte(&text, '\0');
	end = atoll(text.p);
	buf_free(&text);
	return end;
}

/* What the disk says is ahead of every name, also when the clock jumps over the end. */
static void
no_name_passes_the_end_on_the_disk(void **state)
{
	struct clock clock = clock_virtual(NOON);
	struct lease l;
	struct ids ids;
	uint64_t newest = 0;

	(void)state;
	begin(&l, &clock);
	ids_begin(&ids, &clock, 0, l.bound);
	for (int day = 0; day < 3; day++) {
		int64_t end = written();

		give(&ids, NAMES, &newest);
		clock.now += DAY;
		give(&ids, NAMES, &newest);
		assert_true((int64_t)(newest >> TIME_SHIFT) < end);
		assert_true(lease_renew(&l, &clock, NULL));
		assert_true(written() > end);
		give(&ids, 1, &newest);
		assert_true(ids_time(newest) == clock.now);
	}
	lease_end(&l);
	assert_int_equal(written(), newest >> TIME_SHIFT);
}

/* The disk refuses for days: names differ, and what is on it stays true. */
static void
without_a_disk_names_go_on(void **state)
{
	struct clock clock = clock_virtual(NOON);
	struct lease l;
	struct ids ids;
	uint64_t newest = 0;
	int64_t end;

	(void)state;
	begin(&l, &clock);
	end = written();
	ids_begin(&ids, &clock, 0, l.bound);
	snprintf(l.path, sizeof l.path, "%s/nowhere/ids", dir);
	for (int day = 0; day < 3; day++) {
		clock.now += DAY;
		assert_false(lease_renew(&l, &clock, NULL));
		give(&ids, NAMES, &newest);
	}
	assert_true((int64_t)(newest >> TIME_SHIFT) < end);
}

/* The file was lost or rotted: the living tell enough to go on behind them. */
static void
names_pass_those_that_live(void **state)
{
	struct clock clock = clock_virtual(NOON);
	struct lease l;
	struct ids queue, smtpd;
	uint64_t newest = ((uint64_t)(ids_now(&clock) + DAY) << TIME_SHIFT) + 5;
	char path[80];
	int fd;

	(void)state;
	snprintf(path, sizeof path, "%s/ids", dir);
	assert_true(file_replace(path, S("rotten\n"), 0600, NULL));
	begin(&l, &clock);
	ids_begin(&smtpd, &clock, 1, l.bound);
	assert_true(ids_next(&smtpd) < newest);
	ids_begin(&queue, &clock, 0, l.bound);
	ids_pass(&queue, newest);
	give(&queue, NAMES, &newest);
	assert_true(ids_next(&smtpd) >> TIME_SHIFT >= newest >> TIME_SHIFT);
	assert_true(lease_renew(&l, &clock, NULL));
	assert_true(written() > (int64_t)(newest >> TIME_SHIFT));
	fd = dup(l.fd);
	assert_int_equal(ftruncate(fd, 0), -1);         /* whoever could would end the others */
	close(fd);
	lease_end(&l);
}

/* A process that was taken over writes what it likes: names stay names. */
static void
nonsense_in_the_bound_breaks_nobody(void **state)
{
	static const int64_t nonsense[] = { INT64_MAX, INT64_MIN, -1, INT64_C(1) << 41 };
	struct clock clock = clock_virtual(NOON);

	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		struct ids_bound bound = { nonsense[i], nonsense[i] };
		struct ids ids;

		ids_begin(&ids, &clock, 31, &bound);
		for (int n = 0; n < NAMES; n++) {
			uint64_t id = ids_next(&ids);

			assert_true(id > 0 && id >> 60 == 0);
		}
	}
}

/* Nor does the master write it down for those who come after: their time is the clock's. */
static void
nonsense_in_the_bound_ends_with_the_program(void **state)
{
	static const int64_t nonsense[] = { INT64_MAX, INT64_MIN, -1, INT64_C(1) << 41 };
	struct clock clock = clock_virtual(NOON);
	struct lease l;
	struct ids ids;

	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		begin(&l, &clock);
		atomic_store(&l.bound->newest, nonsense[i]);
		atomic_store(&l.bound->end, nonsense[i]);
		clock.now += DAY;
		assert_true(lease_renew(&l, &clock, NULL));
		assert_true(written() > ids_now(&clock));
		lease_end(&l);
		clock.now += DAY;
		begin(&l, &clock);
		ids_begin(&ids, &clock, 3, l.bound);
		assert_true(ids_time(ids_next(&ids)) == clock.now);
		lease_end(&l);
	}
}

/* No name has such a time, so nobody wrote it. */
static const char *const rotten[] = {
	"", "-1\n", "2199023255552\n", "9223372036854775807\n", "99999999999999999999\n",
	"1000000000000000000000000000000000000000\n",
};

static void
what_rotted_is_as_what_is_not_there(void **state)
{
	struct clock clock = clock_virtual(NOON);
	char path[80];

	(void)state;
	snprintf(path, sizeof path, "%s/ids", dir);
	for (size_t i = 0; i < COUNT(rotten); i++) {
		struct lease l;
		struct ids ids;

		assert_true(file_replace(path, slice(rotten[i]), 0600, NULL));
		begin(&l, &clock);
		ids_begin(&ids, &clock, 3, l.bound);
		assert_case(ids_time(ids_next(&ids)) == clock.now, i, rotten[i]);
		assert_true(written() < ids_now(&clock) + DAY);
		lease_end(&l);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_later_program_gives_later_names, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crash_on_a_full_disk_gives_no_name_again, setup, teardown),
		cmocka_unit_test_setup_teardown(who_gets_a_slot_goes_on_behind_the_one_before, setup, teardown),
		cmocka_unit_test_setup_teardown(no_name_passes_the_end_on_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_disk_names_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(names_pass_those_that_live, setup, teardown),
		cmocka_unit_test(nonsense_in_the_bound_breaks_nobody),
		cmocka_unit_test_setup_teardown(nonsense_in_the_bound_ends_with_the_program, setup, teardown),
		cmocka_unit_test_setup_teardown(what_rotted_is_as_what_is_not_there, setup, teardown),
	};

	return cmocka_run_group_tests_name("ids", tests, NULL, NULL);
}
