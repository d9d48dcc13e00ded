/* SPDX-License-Identifier: ISC */
/* What several processes count together (base/counts). */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/counts.h"
#include "unit.h"

enum { MOST = 100, PROCESSES = 4, ROUNDS = 20000 };

static struct counts counts;

static int
setup(void **state)
{
	(void)state;
	return counts_make(&counts, 3, NULL) ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	counts_free(&counts);
	return 0;
}

static void
a_column_has_room_for_so_many(void **state)
{
	struct counts other;

	(void)state;
	assert_true(counts_take(&other, fcntl(counts.fd, F_DUPFD_CLOEXEC, 0), NULL));
	assert_int_equal(other.columns, 3);
	assert_true(counts_enter(&counts, 0, 1, 2));
	assert_true(counts_enter(&other, 31, 1, 2));
	assert_false(counts_enter(&counts, 0, 1, 2));
	assert_false(counts_enter(&other, 5, 1, 2));
	assert_true(counts_enter(&other, 5, 2, 2));             /* another column, … */
	assert_false(counts_enter(&other, 5, 0, 0));            /* … and one for nobody */
	counts_leave(&counts, 0, 1);
	assert_true(counts_enter(&other, 5, 1, 2));
	counts_forget(&counts, 5);                              /* in all columns */
	assert_true(counts_enter(&counts, 0, 1, 2));
	assert_true(counts_enter(&counts, 0, 2, 1));
	assert_false(counts_enter(&counts, 0, 1, 2));
	counts_free(&other);
}

/* Whoever could make it smaller could end the process that looks at it. */
static void
nobody_changes_its_size(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(counts.fd, 0), -1);
	assert_int_equal(ftruncate(counts.fd, 1 << 20), -1);
}

/* In and out, and at last as many as find room; how many that were is the exit code. */
static void
come_and_go(unsigned row)
{
	int inside = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 3 != 0 && counts_enter(&counts, row, 0, MOST)) {
			inside++;
		} else if (inside > 0) {
			counts_leave(&counts, row, 0);
			inside--;
		}
	}
	while (counts_enter(&counts, row, 0, MOST))
		inside++;
	_exit(inside);
}

static int
room_left(void)
{
	int n = 0;

	while (counts_enter(&counts, COUNTS_ROWS - 1, 0, MOST))
		n++;
	counts_forget(&counts, COUNTS_ROWS - 1);
	return n;
}

static void
many_processes_agree(void **state)
{
	pid_t pids[PROCESSES];
	int status, inside = 0;

	(void)state;
	for (unsigned i = 0; i < PROCESSES; i++)
		if ((pids[i] = fork()) == 0)
			come_and_go(i);
	for (unsigned i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		inside += WEXITSTATUS(status);
	}
	assert_in_range(inside, 1, MOST);
	assert_int_equal(room_left(), MOST - inside);
	for (unsigned i = 0; i < PROCESSES; i++)
		counts_forget(&counts, i);
	assert_int_equal(room_left(), MOST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_column_has_room_for_so_many, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_changes_its_size, setup, teardown),
		cmocka_unit_test_setup_teardown(many_processes_agree, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
