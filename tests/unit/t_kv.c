/* SPDX-License-Identifier: ISC */
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/kv.h"
#include "unit.h"

/*
 * A Berkeley DB environment that has panicked cannot be closed without leaking
 * its memory.  Without the tests of damage nothing leaks here.
 */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libdb-5.3\n"; }

static const char *const TABLES[] = { "fruit", "other", NULL };

static struct clock clock_;
static char         dir[64];
static struct kv_options options = { dir, TABLES, &clock_, 1 << 20, false };
static struct kv   *kv;
static struct kv_table *fruit;

static void
reopen(void)
{
	struct error why = { 0 };

	kv_close(kv);
	kv = kv_open(&options, &why);
	if (kv == NULL)
		print_error("%s\n", why.text);
	assert_non_null(kv);
	fruit = kv_table(kv, "fruit");
}

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/chainmail-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	clock_ = clock_virtual(1000);
	kv = NULL;
	reopen();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kv_close(kv);
	return dir_remove(dir, NULL) ? 0 : -1;
}

static void
put(const char *key, const char *value)
{
	assert_true(kv_put(fruit, slice(key), slice(value), NULL));
}

/* What stands under the key, "-" for nothing. */
static void
expect(const char *key, const char *want)
{
	struct buf b = BUF(100);

	if (kv_get(fruit, slice(key), &b, NULL) != KV_FOUND)
		buf_add(&b, S("-"));
	assert_slice(buf_slice(&b), want);
	buf_free(&b);
}

static bool
add_entry(void *arg, const struct kv_entry *e)
{
	return buf_printf(arg, "%.*s=%.*s ", FMT(e->key), FMT(e->value));
}

/* Adds what fits, and stops the range with the first that does not. */
static void
expect_range(const char *prefix, const char *from, size_t room, const char *want)
{
	struct buf b = BUF(room);

	assert_true(kv_range(fruit, slice(prefix), slice(from), add_entry, &b, NULL));
	assert_slice(buf_slice(&b), want);
	buf_free(&b);
}

static void
entries_stand_in_the_order_of_their_keys(void **state)
{
	uint64_t count;

	(void)state;
	put("pear", "3");
	put("apple", "1");
	put("apples", "2");
	put("plum", "4");
	put("plum", "5");
	assert_true(kv_put(fruit, S("\xff\x01"), S("6"), NULL));
	assert_true(kv_put(kv_table(kv, "other"), S("apple"), S("x"), NULL));
	expect("plum", "5");
	expect("peach", "-");
	expect_range("", "", 100, "apple=1 apples=2 pear=3 plum=5 \xff\x01=6 ");
	expect_range("p", "", 100, "pear=3 plum=5 ");
	expect_range("p", "pf", 100, "plum=5 ");
	expect_range("", "apples", 20, "apples=2 pear=3 ");
	expect_range("q", "", 100, "");
	assert_true(kv_count(fruit, &count, NULL));
	assert_int_equal(count, 5);
	assert_true(kv_delete(fruit, S("apple"), NULL));
	assert_true(kv_delete(fruit, S("apple"), NULL));
	expect_range("a", "", 100, "apples=2 ");
}

static void
values_of_any_length_come_back(void **state)
{
	static const size_t lengths[] = { 0, 1, 4000, 5000, 70000, 3000000 };
	struct buf got = BUF(4000000), small = BUF(10);
	char *bytes = malloc(3000000);
	uint64_t count;

	(void)state;
	for (size_t i = 0; i < 3000000; i++)
		bytes[i] = (char)(i * 7 >> 3);
	for (size_t i = 0; i < COUNT(lengths); i++) {
		char key[2] = { 'a', (char)i };

		assert_true(kv_put(fruit, slice_of(key, 2), slice_of(bytes, lengths[i]), NULL));
		buf_clear(&got);
		assert_int_equal(kv_get(fruit, slice_of(key, 2), &got, NULL), KV_FOUND);
		assert_true(slice_eq(buf_slice(&got), slice_of(bytes, lengths[i])));
	}
	assert_int_equal(kv_get(fruit, slice_of("a\5", 2), &small, NULL), KV_FAILED);
	assert_true(kv_count(fruit, &count, NULL));     /* larger than what is read at once */
	assert_int_equal(count, COUNT(lengths));
	buf_free(&got);
	buf_free(&small);
	free(bytes);
}

struct walk {
	struct buf keys;
	size_t     calls;
	char       refused;             /* this key is not taken */
};

static bool
note_key(void *arg, const struct kv_entry *e)
{
	struct walk *w = arg;

	w->calls++;
	if (*e->key.p == w->refused)
		return false;
	return buf_add(&w->keys, e->key);
}

static void
a_walk_takes_each_entry_once_a_round(void **state)
{
	static const struct { size_t most; char refused; const char *keys; bool ended; } steps[] = {
		{ 3, 0, "abc", false },
		{ 3, 0, "def", false },
		{ 3, 0, "g", true },
		{ 7, 0, "abcdefg", true },
		{ 4, 'c', "ab", false },        /* the next one begins with what was not taken */
		{ 4, 0, "cdef", false },
		{ 4, 'g', "", false },
		{ 1, 0, "g", true },
		{ 0, 0, "", false },
		{ 100, 0, "abcdefg", true },
	};
	struct buf cursor = BUF(KV_KEY);

	(void)state;
	for (char c = 'a'; c <= 'g'; c++)
		put((char [2]){ c }, "v");
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct walk w = { BUF(100), 0, steps[i].refused };

		assert_true(kv_walk(fruit, &cursor, steps[i].most, note_key, &w, NULL));
		assert_slice(buf_slice(&w.keys), steps[i].keys);
		assert_case((cursor.n == 0) == steps[i].ended, i, "end");
		assert_case(w.calls <= steps[i].most, i, "calls");
		buf_free(&w.keys);
	}
	buf_free(&cursor);
}

static void
what_has_expired_is_not_seen_and_swept_in_steps(void **state)
{
	size_t removed = 99, all = 0;

	(void)state;
	for (char c = 'a'; c <= 'j'; c++)
		assert_true(kv_put_until(fruit, slice_of(&c, 1), S("v"), c % 2 ? 2000 : 0, NULL));
	clock_move(&clock_, 999);
	expect("a", "v");
	clock_move(&clock_, 1);
	expect("a", "-");
	expect_range("", "", 100, "b=v d=v f=v h=v j=v ");
	put("a", "again");                              /* and this one stays for ever */
	for (int step = 0; step < 4; step++, all += removed) {
		assert_true(kv_sweep(fruit, 3, &removed, NULL));
		assert_in_range(removed, 0, 2);
	}
	assert_int_equal(all, 4);
	expect("a", "again");
	assert_true(kv_put_until(fruit, S("a"), S("v"), 2001, NULL));
	clock_move(&clock_, 1);
	for (int step = 0; step < 4; step++, all += removed)
		assert_true(kv_sweep(fruit, 3, &removed, NULL));
	assert_int_equal(all, 5);                       /* it went round and began anew */
}

/* --- crashes --------------------------------------------------------------- */

static void
run_and_die(void (*work)(void))
{
	int status;
	pid_t child;

	kv_close(kv);
	kv = NULL;
	child = fork();
	if (child == 0) {
		reopen();
		work();
		_exit(77);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 77);
	reopen();
}

static void
put_three(void)
{
	put("a", "1");
	kv_commit(kv, KV_QUICK, NULL);
	put("b", "2");
	kv_commit(kv, KV_SYNC, NULL);
	put("c", "3");
}

static void
what_was_committed_survives_a_crash(void **state)
{
	(void)state;
	run_and_die(put_three);
	assert_null(kv_aside(kv));
	expect_range("", "", 100, "a=1 b=2 ");
	put("d", "4");
	reopen();                                       /* closed without a commit */
	expect_range("", "", 100, "a=1 b=2 ");
}

static void
anew_is_empty(void **state)
{
	(void)state;
	put("a", "1");
	assert_true(kv_commit(kv, KV_SYNC, NULL));
	options.anew = true;
	reopen();
	options.anew = false;
	assert_null(kv_aside(kv));
	expect_range("", "", 100, "");
}

static void
one_opens_it_at_a_time(void **state)
{
	struct error why = { 0 };

	(void)state;
	assert_null(kv_open(&options, &why));
	assert_non_null(strstr(why.text, "is in use"));
	put("a", "still works");
	expect("a", "still works");
}

/* --- damage: every file of the environment, in several ways ----------------- */

static void
path_of(const char *name, char path[200])
{
	snprintf(path, 200, "%s/%s", dir, name);
}

static void
fill(void)
{
	for (int i = 0; i < 500; i++) {
		char key[20];

		snprintf(key, sizeof key, "%04d", i);
		put(key, "some value that takes its room");
	}
	assert_true(kv_commit(kv, KV_SYNC, NULL));
}

static void
overwrite(const char *name, off_t at, size_t n, const char *with)
{
	char path[200];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd != -1);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pwrite(fd, with, 1, at + (off_t)i), 1);
	close(fd);
}

static void
remove_file(const char *name)
{
	char path[200];

	path_of(name, path);
	assert_int_equal(unlink(path), 0);
}

static void a_page_is_garbage(void)  { overwrite("env/fruit.db", 8192, 512, "x"); }
static void the_head_is_zero(void)   { overwrite("env/fruit.db", 0, 4096, ""); }
static void the_log_is_garbage(void) { overwrite("env/log.0000000001", 0, 4000, "y"); }
static void the_log_is_gone(void)    { remove_file("env/log.0000000001"); }
static void a_table_is_gone(void)    { remove_file("env/fruit.db"); }
static void three_starts_died(void)  { overwrite("opening", 0, 3, "!"); }

static const struct {
	const char *name;
	void      (*damage)(void);
	bool        doubt;              /* with the marker that an earlier failure leaves */
} damages[] = {
	{ "a page of a table, seen because of the doubt", a_page_is_garbage, true },
	{ "the first page of a table", the_head_is_zero, false },
	{ "the log", the_log_is_garbage, false },
	{ "no log", the_log_is_gone, false },
	{ "three starts that did not come to their end", three_starts_died, false },
};

static void
a_damaged_environment_is_set_aside(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(damages); i++) {
		fill();
		kv_close(kv);
		kv = NULL;
		damages[i].damage();
		if (damages[i].doubt)
			overwrite("doubt", 0, 1, "!");
		reopen();
		assert_case(kv_aside(kv) != NULL, i, damages[i].name);
		assert_case(access(kv_aside(kv), F_OK) == 0, i, damages[i].name);
		expect_range("", "", 100, "");
		put("new", "life");
		reopen();
		assert_case(kv_aside(kv) == NULL, i, damages[i].name);
	}
}

static void
a_table_that_went_missing_is_no_crash(void **state)
{
	(void)state;
	fill();
	kv_close(kv);
	kv = NULL;
	a_table_is_gone();
	reopen();
	put("new", "life");
	expect("new", "life");
}

/* A page goes bad while it is open, and too little memory keeps it from being remembered. */
static void
damage_seen_late_is_a_failure_and_then_set_aside(void **state)
{
	struct error why = { 0 };
	struct buf b = BUF(100000);

	(void)state;
	fill();
	reopen();
	a_page_is_garbage();
	assert_false(kv_range(fruit, NONE, NONE, add_entry, &b, &why));
	assert_true(why.text[0] != '\0');
	assert_int_equal(kv_get(fruit, S("0001"), &b, &why), KV_FAILED);
	assert_false(kv_put(fruit, S("0001"), S("x"), &why));
	assert_false(kv_commit(kv, KV_SYNC, &why));
	reopen();
	assert_non_null(kv_aside(kv));
	buf_free(&b);
}

static void
only_the_newest_three_are_kept(void **state)
{
	char path[200];

	(void)state;
	for (int i = 0; i < 5; i++) {
		kv_close(kv);
		kv = NULL;
		three_starts_died();
		reopen();
	}
	for (int n = 1; n <= 6; n++) {
		char name[20];

		snprintf(name, sizeof name, "damaged-%d", n);
		path_of(name, path);
		assert_int_equal(access(path, F_OK) == 0, n >= 3 && n <= 5);
	}
}

static void
checkpoints_let_old_logs_go(void **state)
{
	char value[1000], path[200];
	DIR *env;
	int logs = 0;

	(void)state;
	memset(value, 'v', sizeof value);
	for (int i = 0; i < 60000; i++) {
		char key[20];

		snprintf(key, sizeof key, "%04d", i % 100);
		assert_true(kv_put(fruit, slice(key), slice_of(value, sizeof value), NULL));
		if (i % 1000 == 999) {
			assert_true(kv_commit(kv, KV_QUICK, NULL));
			assert_true(kv_checkpoint(kv, NULL));
		}
	}
	path_of("env", path);
	env = opendir(path);
	for (struct dirent *e; (e = readdir(env)) != NULL;)
		logs += strncmp(e->d_name, "log.", 4) == 0;
	closedir(env);
	assert_in_range(logs, 1, 10);                   /* of 1 MiB; 60 MB were written */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(entries_stand_in_the_order_of_their_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(values_of_any_length_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_walk_takes_each_entry_once_a_round, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_expired_is_not_seen_and_swept_in_steps, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_committed_survives_a_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(anew_is_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(one_opens_it_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_environment_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(a_table_that_went_missing_is_no_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_seen_late_is_a_failure_and_then_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(only_the_newest_three_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(checkpoints_let_old_logs_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
