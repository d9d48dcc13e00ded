/* SPDX-License-Identifier: ISC */
/*
 * crash -- lives of a spool, ended and disturbed at every file operation.
 *
 *     crash sample|all             the suite, as TAP: some of the points, or all
 *     crash work NAME DIR LEDGER   one life; the shim stands between it and the disk
 *
 * After each end the spool is opened again and must be what the ledger says.  Where
 * flushes are faked something must be lost, or none of this proves anything.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/rng.h"
#include "tests/crash/disk.h"
#include "tests/crash/work.h"

enum { PATH_BYTES = 300, SECONDS = 60, LEDGER_BYTES = 1 << 20 };

static char base[100], self[PATH_BYTES], shim[PATH_BYTES];
static bool all;
static struct rng rng = { 20261122 };

/* --- running a life --------------------------------------------------------------------- */

struct disturbance {
	const char *mode;
	uint64_t    at;
	int         number;             /* errno */
	bool        ever;
	const char *fake;
};

static const char *
path_in(const char *name, char path[PATH_BYTES])
{
	snprintf(path, PATH_BYTES, "%s/%s", base, name);
	return path;
}

static void
set_number(const char *name, uint64_t number)
{
	char text[32];

	snprintf(text, sizeof text, "%llu", (unsigned long long)number);
	setenv(name, text, 1);
}

static _Noreturn void
become_work(const char *work, const struct disturbance *d)
{
	char dir[PATH_BYTES], ledger[PATH_BYTES], log[PATH_BYTES];

	path_in("spool", dir);
	path_in("ledger", ledger);
	setenv("LD_PRELOAD", shim, 1);
	setenv("SHIM_DIR", dir, 1);
	setenv("SHIM_LEDGER", ledger, 1);
	setenv("SHIM_LOG", path_in("log", log), 1);
	setenv("SHIM_MODE", d->mode, 1);
	set_number("SHIM_AT", d->at);
	set_number("SHIM_ERRNO", (uint64_t)d->number);
	if (d->ever)
		setenv("SHIM_EVER", "1", 1);
	if (d->fake != NULL)
		setenv("SHIM_FAKE", d->fake, 1);
	alarm(SECONDS);
	execl(self, self, "work", work, dir, ledger, (char *)NULL);
	_exit(99);
}

static void
empty(void)
{
	char path[PATH_BYTES];

	bug_if(!dir_remove(path_in("spool", path), NULL) || mkdir(path, 0700) == -1);
	bug_if(!file_remove(path_in("ledger", path), NULL) || !file_remove(path_in("log", path), NULL));
}

static int
wait_for(pid_t child)
{
	int status;

	bug_if(waitpid(child, &status, 0) != child);
	return status;
}

/* How the life ended, as waitpid() tells it. */
static int
live(const char *work, const struct disturbance *d)
{
	pid_t child;

	empty();
	fflush(NULL);
	child = fork();
	if (child == 0)
		become_work(work, d);
	return wait_for(child);
}

/* --- looking at what is left -------------------------------------------------------------------- */

struct finding {
	bool     good;
	unsigned lost;
	char     text[256];
};

/* In a process of its own: Berkeley DB may fall over what it finds. */
static int
check_once(const char *dir, struct slice ledger, bool damage_allowed, struct finding *f)
{
	int ends[2], status;
	pid_t child;
	ssize_t n;

	fflush(NULL);
	bug_if(pipe(ends) == -1);
	child = fork();
	if (child == 0) {
		struct finding found = { 0 };
		struct error why = { 0 };

		alarm(SECONDS);
		found.good = work_check(dir, ledger, damage_allowed, &found.lost, &why);
		snprintf(found.text, sizeof found.text, "%s", why.text);
		_exit(write(ends[1], &found, sizeof found) != sizeof found);
	}
	close(ends[1]);
	n = read(ends[0], f, sizeof *f);
	close(ends[0]);
	status = wait_for(child);
	return n == sizeof *f ? 0 : status;
}

static unsigned falls;                  /* starts that brought the process down */

/* Whoever runs the spool starts it again; three falls in a row must be enough. */
static struct finding
check(const char *dir, struct slice ledger, bool damage_allowed)
{
	struct finding f = { 0 };
	int status;

	for (int attempt = 0; attempt < 4; attempt++, falls++)
		if ((status = check_once(dir, ledger, damage_allowed, &f)) == 0)
			return f;
	f = (struct finding){ 0 };
	snprintf(f.text, sizeof f.text, "opening ends with status %d every time", status);
	return f;
}

static struct finding
check_left(bool damage_allowed)
{
	struct buf ledger = BUF(LEDGER_BYTES);
	char path[PATH_BYTES], dir[PATH_BYTES];
	struct finding f;

	file_read(path_in("ledger", path), &ledger, NULL);      /* none: nothing was promised */
	f = check(path_in("spool", dir), buf_slice(&ledger), damage_allowed);
	buf_free(&ledger);
	return f;
}

/* --- TAP ------------------------------------------------------------------------------------------- */

static unsigned failures;

struct tally {
	const char *work, *what;
	unsigned    runs, bad;
};

static void
count(struct tally *t, uint64_t at, bool good, const char *text)
{
	t->runs++;
	t->bad += !good;
	if (!good && t->bad <= 5)
		printf("# %s, %s, at %llu: %s\n", t->work, t->what, (unsigned long long)at, text);
}

static void
finish(const struct tally *t)
{
	failures += t->bad > 0;
	printf("%s - %s: %s, %u times\n", t->bad ? "not ok" : "ok", t->work, t->what, t->runs);
	fflush(stdout);
}

/* --- ends and faults ---------------------------------------------------------------------------------- */

static uint64_t
count_operations(const char *work)
{
	struct disturbance none = { .mode = "count" };
	struct buf text = BUF(100);
	struct slice number;
	char path[PATH_BYTES];
	uint64_t n = 0;

	bug_if(live(work, &none) != WORK_DONE);
	bug_if(!file_read(path_in("log", path), &text, NULL));
	number = slice_trim(buf_slice(&text));
	bug_if(!slice_number(number, UINT32_MAX, &n));
	buf_free(&text);
	return n;
}

/* Every point, or `some` of them, each in its own part of the life. */
static uint64_t
next_point(uint64_t at, uint64_t points, unsigned some)
{
	uint64_t part = points / some + 1;

	return all ? at + 1 : at + 1 + rng_below(&rng, 2 * part);
}

static void
kill_at_points(const char *work, uint64_t points, const char *mode, unsigned some)
{
	char what[60];
	struct tally t = { work, what, 0, 0 };

	snprintf(what, sizeof what, "%s", strcmp(mode, "kill") == 0 ? "killed" : "killed in the middle of a write");
	for (uint64_t at = next_point(0, points, some); at <= points; at = next_point(at, points, some)) {
		struct disturbance d = { .mode = mode, .at = at };
		struct finding f;

		live(work, &d);
		f = check_left(false);
		count(&t, at, f.good, f.text);
	}
	finish(&t);
}

static bool
ended_well(int status, bool must_be_well)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	return code == WORK_DONE || (!must_be_well && (code == WORK_UNWELL || code == WORK_CLOSED));
}

/*
 * A fault that passes must leave a spool that takes messages again, in the same
 * life; one that stays must leave what was promised.
 */
static void
fail_at_points(const char *work, uint64_t points, struct disturbance d, const char *what, unsigned some)
{
	struct tally t = { work, what, 0, 0 };

	for (d.at = next_point(0, points, some); d.at <= points; d.at = next_point(d.at, points, some)) {
		int status = live(work, &d);
		char text[100];
		struct finding f;

		snprintf(text, sizeof text, "the life ended with status %#x", (unsigned)status);
		if (!ended_well(status, !d.ever)) {
			count(&t, d.at, false, text);
			continue;
		}
		f = check_left(false);
		count(&t, d.at, f.good, f.text);
	}
	finish(&t);
}

static void
disturb(const char *work, uint64_t points)
{
	struct disturbance shorter = { .mode = "short" };
	struct tally t = { work, "every write is short", 0, 0 };
	struct finding f;
	int status = live(work, &shorter);

	f = check_left(false);
	count(&t, 0, ended_well(status, true) && f.good, f.text);
	finish(&t);
	fail_at_points(work, points, (struct disturbance){ .mode = "interrupt" }, "a write is interrupted", 2);
	fail_at_points(work, points, (struct disturbance){ .mode = "fail", .number = 5 }, "EIO once", 5);
	fail_at_points(work, points, (struct disturbance){ .mode = "fail", .number = 28 }, "ENOSPC once", 5);
	fail_at_points(work, points, (struct disturbance){ .mode = "fail", .number = 5, .ever = true },
	    "EIO for ever", 4);
	fail_at_points(work, points, (struct disturbance){ .mode = "fail", .number = 28, .ever = true },
	    "ENOSPC for ever", 4);
}

/* --- power cuts ------------------------------------------------------------------------------------------ */

static struct finding
cut(const struct disk_log *log, size_t at, enum disk_mode mode, uint64_t seed)
{
	struct buf told = BUF(LEDGER_BYTES);
	char dir[PATH_BYTES];
	struct finding f;

	bug_if(!dir_remove(path_in("disk", dir), NULL));
	disk_build(log, at, mode, seed, dir, &told);
	f = check(dir, buf_slice(&told), false);
	buf_free(&told);
	return f;
}

static void
cut_at_points(const char *work, const struct disk_log *log, enum disk_mode mode, unsigned some)
{
	static const char *const words[] = { "power cut, nothing unflushed there", "power cut, all there",
		"power cut, some pages there", "power cut, some sectors there" };
	struct tally t = { work, words[mode], 0, 0 };

	for (uint64_t at = next_point(0, log->count, some); at <= log->count; at = next_point(at, log->count, some)) {
		struct finding f = cut(log, at, mode, at * 4 + mode);

		count(&t, at, f.good, f.text);
	}
	finish(&t);
}

static void
record(const char *work, const char *fake, struct disk_log *log)
{
	struct disturbance d = { .mode = "record", .fake = fake };
	char path[PATH_BYTES];

	bug_if(live(work, &d) != WORK_DONE);
	disk_log_read(log, path_in("log", path));
}

static void
cut_power(const char *work)
{
	struct disk_log log;

	record(work, NULL, &log);
	for (int mode = 0; mode < DISK_MODES; mode++)
		cut_at_points(work, &log, mode, mode < DISK_PAGES ? 4 : 5);
	disk_log_free(&log);
}

/* Without flushes the same cut must lose what was acknowledged. */
static void
fake_flushes(const char *work, const char *fake, const char *what)
{
	struct tally t = { work, what, 0, 0 };
	struct disk_log log;
	struct finding f;

	record(work, fake, &log);
	f = cut(&log, log.count, DISK_DROP, 1);
	count(&t, log.count, !f.good && f.lost > 0, "nothing was lost");
	finish(&t);
	disk_log_free(&log);
}

/* --- all of it ----------------------------------------------------------------------------------------------- */

static void
suite(void)
{
	for (size_t i = 0; WORKS[i] != NULL; i++) {
		bool threads = strcmp(WORKS[i], "threads") == 0;
		uint64_t points = count_operations(WORKS[i]);

		kill_at_points(WORKS[i], points, "kill", 12);
		kill_at_points(WORKS[i], points, "half", 4);
		if (!threads)
			disturb(WORKS[i], points);
		cut_power(WORKS[i]);
	}
	fake_flushes("accept small", "all", "must lose when flushes are faked");
	fake_flushes("accept large", "all", "must lose when flushes are faked");
	fake_flushes("copy forward", "dirs", "must lose when directories are not flushed");
	printf("# starts that fell over what Berkeley DB found: %u\n", falls);
}

static void
find_ourselves(void)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	bug_if(n <= 0);
	self[n] = '\0';
	snprintf(shim, sizeof shim, "%s", self);
	slash = strrchr(shim, '/');
	snprintf(slash + 1, sizeof shim - (size_t)(slash + 1 - shim), "shim.so");
}

int
main(int argc, char **argv)
{
	char path[PATH_BYTES];

	if (argc == 5 && strcmp(argv[1], "work") == 0)
		return work_run(argv[2], argv[3], argv[4]);
	if (argc != 2 || (strcmp(argv[1], "all") != 0 && strcmp(argv[1], "sample") != 0)) {
		fputs("usage: crash sample|all\n", stderr);
		return 64;
	}
	all = strcmp(argv[1], "all") == 0;
	find_ourselves();
	snprintf(base, sizeof base, "%s/chainmail-crash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	bug_if(mkdtemp(base) == NULL);
	suite();
	bug_if(!dir_remove(path_in("", path), NULL));
	return failures > 0;
}
