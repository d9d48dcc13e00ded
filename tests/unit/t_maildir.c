/* SPDX-License-Identifier: ISC */
/* Into a Maildir: durably, once, with the line ends of this system (delivery/maildir). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "delivery/maildir.h"
#include "unit.h"

static char root[64], box[96];
static bool unreadable;                 /* the newest delivery: it was the content */

static int
setup(void **state)
{
	(void)state;
	snprintf(root, sizeof root, "/tmp/chainmail-unit-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(box, sizeof box, "%s/ann", root);
	return 0;
}

static int
teardown(void **state)
{
	char command[200];

	(void)state;
	snprintf(command, sizeof command, "chmod -R u+rwx '%s'; rm -rf '%s'", root, root);
	return system(command);
}

static struct status
deliver(const char *name, const char *text)
{
	struct slice piece = slice(text);
	static struct error why;

	why = (struct error){ 0 };
	return maildir_deliver(&(struct maildir_mail){ .directory = box, .name = name, .pieces = &piece,
	    .count = 1, .content = -1 }, &unreadable, &why);
}

static unsigned
files_in(const char *sub)
{
	char path[200];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof path, "%s/%s", box, sub);
	if ((d = opendir(path)) == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL; )
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
assert_file(const char *path, const char *want)
{
	char whole[200];
	struct buf b = BUF(1 << 20);

	snprintf(whole, sizeof whole, "%s/%s", box, path);
	assert_true(file_read(whole, &b, NULL));
	assert_slice(buf_slice(&b), want);
	buf_free(&b);
}

/* The same message and recipient have the same name, others do not. */
static void
test_names(void **state)
{
	static const struct { int64_t arrived; uint64_t id; unsigned index; const char *host, *name; } cases[] = {
		{ 1795342332412, 5, 0, "mx.local.test", "1795342332.000000000005r0.mx.local.test" },
		{ 1795342332999, 5, 1, "mx.local.test", "1795342332.000000000005r1.mx.local.test" },
		{ 0, (uint64_t)1 << 59, 4000000000, "h", "0.G00000000000r4000000000.h" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char name[128];

		maildir_name(cases[i].arrived, cases[i].id, cases[i].index, slice(cases[i].host), name);
		assert_string_equal(name, cases[i].name);
	}
}

static void
test_delivered(void **state)
{
	struct stat st;

	(void)state;
	assert_true(status_good(deliver("one", "Subject: x\r\n\r\nbody\r\n")));
	assert_file("new/one", "Subject: x\n\nbody\n");
	assert_int_equal(files_in("tmp"), 0);
	assert_int_equal(files_in("cur"), 0);
	assert_int_equal(stat(box, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* A second try after a crash finds the first one, whole or half, and leaves one message. */
static void
test_again(void **state)
{
	char path[200];

	(void)state;
	assert_true(status_good(deliver("one", "first\r\n")));
	assert_true(status_good(deliver("one", "second\r\n")));
	assert_int_equal(files_in("new"), 1);
	assert_file("new/one", "first\n");
	snprintf(path, sizeof path, "%s/tmp/two", box);
	assert_true(file_replace(path, S("half of it, and mo"), 0600, NULL));
	assert_true(status_good(deliver("two", "whole\r\n")));
	assert_file("new/two", "whole\n");
	assert_int_equal(files_in("tmp"), 0);
}

/* CRLF becomes LF wherever a piece ends; a CR alone stays. */
static void
test_line_ends(void **state)
{
	static const char text[] = "a\r\nb\rc\r\r\nd\n\r\n\r";
	static const char want[] = "a\nb\rc\r\nd\n\n\r";
	char name[32];

	(void)state;
	for (size_t cut = 0; cut < sizeof text; cut++) {
		struct slice pieces[] = { slice_head(slice(text), cut), slice_skip(slice(text), cut) };
		struct maildir_mail m = { .directory = box, .name = name, .pieces = pieces, .count = 2,
			.content = -1 };
		struct error why = { 0 };
		char path[64];

		snprintf(name, sizeof name, "cut-%zu", cut);
		assert_true(status_good(maildir_deliver(&m, &unreadable, &why)));
		snprintf(path, sizeof path, "new/%s", name);
		assert_file(path, want);
	}
}

/* The body may stand in a file, from anywhere in it. */
static void
test_content_in_a_file(void **state)
{
	struct slice head = S("Subject: x\r\n");
	struct buf big = BUF(1 << 20), want = BUF(1 << 20);
	char path[200];
	struct error why = { 0 };
	struct maildir_mail m = { .directory = box, .name = "big", .pieces = &head, .count = 1, .from = 7 };

	(void)state;
	buf_add(&big, S("skipped"));
	buf_add(&want, S("Subject: x\n"));
	while (big.n < 200000) {
		buf_add(&big, S("a line of the body\r\n"));
		buf_add(&want, S("a line of the body\n"));
	}
	buf_byte(&want, '\0');
	snprintf(path, sizeof path, "%s/content", root);
	m.content = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file_write(m.content, buf_slice(&big), &why));
	m.size = big.n - 7;
	assert_true(status_good(maildir_deliver(&m, &unreadable, &why)));
	assert_file("new/big", want.p);
	m.name = "short";
	m.size += 1;                            /* more than there is: not a shorter message */
	assert_true(status_transient(maildir_deliver(&m, &unreadable, &why)) && unreadable);
	assert_int_equal(files_in("new"), 1);
	assert_int_equal(files_in("tmp"), 0);
	close(m.content);
	buf_free(&big);
	buf_free(&want);
}

/* What is not what was stored never leaves tmp, whether the flaw is in this part or before it. */
static void
test_damaged_content(void **state)
{
	static const struct { uint32_t before, whole; bool known, right; } cases[] = {
		{ 0, 0, true, true }, { 1, 0, true, false }, { 0, 1, true, false }, { 1, 1, false, true },
	};
	static const char text[] = "Subject: x\r\n\r\nbody\r\n";
	struct slice head = S("Subject: x\r\n"), all = slice(text);
	char path[200], name[32];

	(void)state;
	snprintf(path, sizeof path, "%s/content", root);
	assert_true(file_replace(path, all, 0600, NULL));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct maildir_mail m = { .directory = box, .name = name, .pieces = &head, .count = 1,
			.content = open(path, O_RDONLY | O_CLOEXEC), .from = (off_t)head.n, .size = all.n - head.n,
			.sum = { cases[i].known, crc32c(0, head) ^ cases[i].before,
			    crc32c(0, all) ^ cases[i].whole } };
		struct error why = { 0 };

		snprintf(name, sizeof name, "damaged-%zu", i);
		assert_case(status_good(maildir_deliver(&m, &unreadable, &why)) == cases[i].right, i, "status");
		assert_case(unreadable == !cases[i].right, i, "unreadable");
		assert_int_equal(files_in("tmp"), 0);
		close(m.content);
	}
	assert_int_equal(files_in("new"), 2);
}

/* Without room: later, and nothing is left lying about. */
static void
test_no_room(void **state)
{
	struct rlimit was, little = { 4096, 4096 };
	struct buf text = BUF(1 << 20);
	struct status s;

	(void)state;
	while (text.n < 100000)
		buf_add(&text, S("a line\r\n"));
	buf_byte(&text, '\0');
	assert_true(status_good(deliver("before", "x\r\n")));
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &was);
	little.rlim_max = was.rlim_max;
	setrlimit(RLIMIT_FSIZE, &little);
	s = deliver("large", text.p);
	setrlimit(RLIMIT_FSIZE, &was);
	assert_true(status_transient(s));
	assert_int_equal(s.reply, 0);           /* no server said it */
	assert_int_equal(files_in("new"), 1);
	assert_int_equal(files_in("tmp"), 0);
	buf_free(&text);
}

/* What is no directory, or cannot be written to, is a matter for later. */
static void
test_no_mailbox(void **state)
{
	char path[200];

	(void)state;
	snprintf(path, sizeof path, "%s/file", root);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	snprintf(box, sizeof box, "%s/file/ann", root);
	assert_true(status_transient(deliver("one", "x\r\n")));
	snprintf(box, sizeof box, "%s", root);
	memset(path, 'd', sizeof path - 1);
	path[sizeof path - 1] = '\0';
	assert_true(status_transient(deliver("a/b", "x\r\n")));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_names), T(test_delivered), T(test_again), T(test_line_ends), T(test_content_in_a_file),
		T(test_damaged_content), T(test_no_room), T(test_no_mailbox),
	};

	return cmocka_run_group_tests_name("maildir", tests, NULL, NULL);
}
