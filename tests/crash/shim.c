/* SPDX-License-Identifier: ISC */
/*
 * shim -- stands between a program and its disk (LD_PRELOAD).
 *
 * Every file operation below SHIM_DIR is numbered: open, write, flush, rename,
 * link, unlink, truncate, allocate, mkdir.  SHIM_MODE says what is done to them:
 *
 *     count      nothing; at the end SHIM_LOG says how many there were
 *     kill       the process dies in front of number SHIM_AT
 *     half       a write of number SHIM_AT is done by half, then the process dies
 *     short      every write is done by half, so that it must be gone on with
 *     interrupt  number SHIM_AT fails with EINTR
 *     fail       number SHIM_AT fails with SHIM_ERRNO; with SHIM_EVER all after it too
 *     record     all of them are written to SHIM_LOG, to build the disk again
 *
 * SHIM_SWITCH names a file (struct shim_switch) that says the same, at any time and to
 * all processes at once: for a program that runs.  It counts the forks too.
 *
 * SHIM_FAKE=all makes flushes do nothing and leave no trace, =dirs only those of
 * directories: then something must be lost.  Writes to SHIM_LEDGER stand in the
 * record as what the world was told.
 *
 * A record begins with: kind u8, file u32, number u64, length u32; bytes follow.
 */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/crash/log.h"

enum { FDS = 1024, FILES = 4096, PATH_BYTES = 512 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char     dir[PATH_BYTES], ledger[PATH_BYTES];
static char     mode[16];
static bool     ever, fake_files, fake_dirs, recording, ready;
static int      number_of_errno, log_fd = -1;
static uint64_t at, operations;
static struct shim_switch nothing, *control = &nothing;
static bool     halving;                /* the write under way is the last one, by half */

/* What an fd stands for: 0 nothing of ours, else 1 + the file's number. */
static struct { uint32_t file; bool is_dir, is_ledger; } fds[FDS];
static struct { char path[PATH_BYTES]; uint32_t file; } names[FILES];
static uint32_t files;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *
real(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	if (p == NULL)
		abort();
	return p;
}

static void
take(char *to, size_t room, const char *name)
{
	const char *value = getenv(name);

	snprintf(to, room, "%s", value ? value : "");
}

static void
map_switch(const char *path)
{
	int fd = path[0] == '\0' ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		abort();
	syscall(SYS_close, fd);
}

__attribute__((constructor)) static void
begin(void)
{
	char text[PATH_BYTES];

	take(dir, sizeof dir, "SHIM_DIR");
	take(ledger, sizeof ledger, "SHIM_LEDGER");
	take(mode, sizeof mode, "SHIM_MODE");
	take(text, sizeof text, "SHIM_AT");
	at = strtoull(text, NULL, 10);
	take(text, sizeof text, "SHIM_ERRNO");
	number_of_errno = (int)strtol(text, NULL, 10);
	ever = getenv("SHIM_EVER") != NULL;
	take(text, sizeof text, "SHIM_FAKE");
	fake_files = strcmp(text, "all") == 0;
	fake_dirs = fake_files || strcmp(text, "dirs") == 0;
	recording = strcmp(mode, "record") == 0;
	take(text, sizeof text, "SHIM_LOG");
	if (text[0] != '\0')
		log_fd = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	take(text, sizeof text, "SHIM_SWITCH");
	map_switch(text);
	ready = dir[0] != '\0';
}

__attribute__((destructor)) static void
end(void)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)operations);

	if (strcmp(mode, "count") == 0 && log_fd != -1)
		syscall(SYS_write, log_fd, text, n);
}

static bool
below(const char *path)
{
	size_t n = strlen(dir);

	return ready && path != NULL && strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* --- recording ------------------------------------------------------------------------ */

static void
note(enum log_kind kind, uint32_t file, uint64_t number, const void *p, size_t n)
{
	struct log_head h = { (uint8_t)kind, file, number, (uint32_t)n };
	struct iovec piece[] = { { &h, sizeof h }, { (void *)(uintptr_t)p, n } };

	if (recording && log_fd != -1)
		syscall(SYS_writev, log_fd, piece, 2);
}

static void
note_path(enum log_kind kind, uint32_t file, const char *path)
{
	note(kind, file, 0, path + strlen(dir), strlen(path + strlen(dir)));
}

static uint32_t *
name_of(const char *path)
{
	for (size_t i = 0; i < FILES; i++)
		if (strcmp(names[i].path, path) == 0)
			return &names[i].file;
	return NULL;
}

static const char *
path_of(uint32_t file)
{
	for (size_t i = 0; i < FILES; i++)
		if (names[i].path[0] != '\0' && names[i].file == file)
			return names[i].path;
	return dir;
}

static void
name_set(const char *path, uint32_t file)
{
	uint32_t *known = name_of(path);

	for (size_t i = 0; known == NULL && i < FILES; i++)
		if (names[i].path[0] == '\0') {
			snprintf(names[i].path, PATH_BYTES, "%s", path);
			known = &names[i].file;
		}
	if (known == NULL)
		abort();
	*known = file;
}

static void
name_remove(const char *path)
{
	for (size_t i = 0; i < FILES; i++)
		if (strcmp(names[i].path, path) == 0)
			names[i].path[0] = '\0';
}

/* A name, and with a directory all below it. */
static void
name_move(const char *from, const char *to)
{
	size_t n = strlen(from);
	char moved[2 * PATH_BYTES];

	name_remove(to);
	for (size_t i = 0; i < FILES; i++)
		if (strncmp(names[i].path, from, n) == 0 && (names[i].path[n] == '/' || names[i].path[n] == '\0')) {
			snprintf(moved, sizeof moved, "%s%s", to, names[i].path + n);
			memcpy(names[i].path, moved, PATH_BYTES);
		}
}

/* --- what happens to an operation --------------------------------------------------------- */

static bool
is(const char *what)
{
	return strcmp(mode, what) == 0;
}

static void
die(void)
{
	syscall(SYS_kill, (int)syscall(SYS_getpid), SIGKILL);
}

/* Is it this operation's turn, by the switch?  A turn that comes once is over with it. */
static bool
switched(enum shim_act act, enum shim_operation operation)
{
	if (control->act != (uint32_t)act || (control->operations & operation) == 0)
		return false;
	if (control->countdown == 0)
		return true;                            /* every one */
	if (--control->countdown > 0)
		return false;
	control->act = SHIM_NOTHING;
	return true;
}

/* False with errno set: it fails. */
static bool
allowed_by_switch(enum shim_operation operation, bool needs_space)
{
	control->seen++;
	if (switched(SHIM_KILL, operation))
		die();
	halving = operation == SHIM_WRITE && switched(SHIM_HALF, operation);
	if ((needs_space || control->number != ENOSPC) && switched(SHIM_FAIL, operation)) {
		errno = control->number;
		return false;
	}
	return true;
}

/*
 * True when the operation goes on; else errno is set and it fails.  A disk that is
 * full still opens what is there and removes it.
 */
static bool
allowed_if(enum shim_operation operation, bool needs_space)
{
	bool may_fail = needs_space || number_of_errno != ENOSPC;

	operations++;
	if (is("kill") && operations == at)
		die();
	if (is("interrupt") && operations == at) {
		errno = EINTR;
		return false;
	}
	if (is("fail") && (operations == at || (ever && operations > at)) && may_fail) {
		errno = number_of_errno;
		return false;
	}
	return allowed_by_switch(operation, needs_space);
}

/* Directories, renames and flushes are never interrupted: nobody repeats them. */
static bool
allowed_whole(enum shim_operation operation, bool needs_space)
{
	bool interrupt = is("interrupt") && operations + 1 == at;

	if (!interrupt)
		return allowed_if(operation, needs_space);
	operations++;
	return true;
}

static size_t
how_much(size_t n)
{
	bool half = halving || (is("half") && operations == at) || is("short") ||
	    switched(SHIM_SHORT, SHIM_WRITE);

	return n > 1 && half ? n / 2 : n;
}

static void
after_write(void)
{
	if (halving || (is("half") && operations == at))
		die();
}

/* --- opening and closing --------------------------------------------------------------------- */

static void
opened(int fd, const char *path, bool existed, int flags)
{
	struct stat st;
	uint32_t *known = name_of(path);

	if (fd >= FDS || fstat(fd, &st) == -1)
		abort();
	fds[fd].is_dir = S_ISDIR(st.st_mode);
	if (known == NULL) {
		name_set(path, ++files);
		known = name_of(path);
		if (!existed && !fds[fd].is_dir)
			note_path(LOG_CREATE, files, path);
	} else if ((flags & O_TRUNC) != 0) {
		note(LOG_TRUNCATE, *known, 0, NULL, 0);
	}
	fds[fd].file = 1 + *known;
}

static int
do_open(int at_fd, const char *path, int flags, mode_t rights)
{
	bool ours = below(path), existed;
	struct stat st;
	int fd;

	if (!ours) {
		fd = (int)syscall(SYS_openat, at_fd, path, flags, rights);
		if (ready && fd >= 0 && fd < FDS && ledger[0] && strcmp(path, ledger) == 0)
			fds[fd].is_ledger = true;
		return fd;
	}
	pthread_mutex_lock(&lock);
	existed = stat(path, &st) == 0;
	fd = allowed_whole(SHIM_OPEN, !existed) ? (int)syscall(SYS_openat, at_fd, path, flags, rights) : -1;
	if (fd != -1)
		opened(fd, path, existed, flags);
	pthread_mutex_unlock(&lock);
	return fd;
}

#define OPEN_RIGHTS(flags) \
	mode_t rights = 0; \
	if ((flags) & O_CREAT) { \
		va_list args; \
		va_start(args, flags); \
		rights = (mode_t)va_arg(args, int); \
		va_end(args); \
	}

int open(const char *path, int flags, ...)   { OPEN_RIGHTS(flags) return do_open(AT_FDCWD, path, flags, rights); }
int open64(const char *path, int flags, ...) { OPEN_RIGHTS(flags) return do_open(AT_FDCWD, path, flags, rights); }
int openat(int d, const char *path, int flags, ...)   { OPEN_RIGHTS(flags) return do_open(d, path, flags, rights); }
int openat64(int d, const char *path, int flags, ...) { OPEN_RIGHTS(flags) return do_open(d, path, flags, rights); }
int creat(const char *path, mode_t rights)   { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, rights); }
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __open_2(const char *path, int flags)    { return do_open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags)  { return do_open(AT_FDCWD, path, flags, 0); }

int
close(int fd)
{
	if (fd >= 0 && fd < FDS)
		memset(&fds[fd], 0, sizeof fds[fd]);
	return (int)syscall(SYS_close, fd);
}

static bool
watched(int fd)
{
	return ready && fd >= 0 && fd < FDS && fds[fd].file != 0;
}

static bool
tells(int fd)
{
	return ready && fd >= 0 && fd < FDS && fds[fd].is_ledger;
}

/* --- writing -------------------------------------------------------------------------------------- */

static ssize_t
do_write(int fd, const void *p, size_t n, off_t offset)
{
	ssize_t done = -1;

	pthread_mutex_lock(&lock);
	if (allowed_if(SHIM_WRITE, true)) {
		done = syscall(SYS_pwrite64, fd, p, how_much(n), offset);
		if (done > 0)
			note(LOG_WRITE, fds[fd].file - 1, (uint64_t)offset, p, (size_t)done);
		after_write();
	}
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	off_t offset;
	ssize_t done;

	if (tells(fd)) {
		pthread_mutex_lock(&lock);
		note(LOG_TOLD, 0, 0, p, n);
		pthread_mutex_unlock(&lock);
	}
	if (!watched(fd))
		return syscall(SYS_write, fd, p, n);
	offset = lseek(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
	done = do_write(fd, p, n, offset);
	if (done > 0)
		lseek(fd, offset + done, SEEK_SET);
	return done;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t offset)
{
	return watched(fd) ? do_write(fd, p, n, offset) : syscall(SYS_pwrite64, fd, p, n, offset);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t offset) { return pwrite(fd, p, n, offset); }

ssize_t
pwritev(int fd, const struct iovec *piece, int count, off_t offset)
{
	size_t all = 0;
	ssize_t done;
	char *flat;

	if (!watched(fd))
		return REAL(pwritev)(fd, piece, count, offset);
	for (int i = 0; i < count; i++)
		all += piece[i].iov_len;
	flat = malloc(all + 1);
	all = 0;
	for (int i = 0; i < count; all += piece[i++].iov_len)
		memcpy(flat + all, piece[i].iov_base, piece[i].iov_len);
	done = do_write(fd, flat, all, offset);
	free(flat);
	return done;
}

ssize_t pwritev64(int fd, const struct iovec *piece, int count, off_t offset) { return pwritev(fd, piece, count, offset); }

static int
do_truncate(int fd, off_t size)
{
	int done = -1;

	if (!watched(fd))
		return (int)syscall(SYS_ftruncate, fd, size);
	pthread_mutex_lock(&lock);
	if (allowed_whole(SHIM_MAKE, true) && (done = (int)syscall(SYS_ftruncate, fd, size)) == 0)
		note(LOG_TRUNCATE, fds[fd].file - 1, (uint64_t)size, NULL, 0);
	pthread_mutex_unlock(&lock);
	return done;
}

int ftruncate(int fd, off_t size)   { return do_truncate(fd, size); }
int ftruncate64(int fd, off_t size) { return do_truncate(fd, size); }

/* Only used to see whether there is room; the file goes at once. */
int
fallocate(int fd, int how, off_t offset, off_t n)
{
	int done = -1;

	if (!watched(fd))
		return (int)syscall(SYS_fallocate, fd, how, offset, n);
	pthread_mutex_lock(&lock);
	if (allowed_whole(SHIM_MAKE, true) && (done = (int)syscall(SYS_fallocate, fd, how, offset, n)) == 0)
		note(LOG_EXTEND, fds[fd].file - 1, (uint64_t)(offset + n), NULL, 0);
	pthread_mutex_unlock(&lock);
	return done;
}

int fallocate64(int fd, int how, off_t offset, off_t n) { return fallocate(fd, how, offset, n); }

/* --- flushing --------------------------------------------------------------------------------------- */

static int
do_flush(int fd, long call)
{
	bool faked;
	int done = -1;

	if (!watched(fd))
		return (int)syscall(call, fd);
	pthread_mutex_lock(&lock);
	faked = (fds[fd].is_dir ? fake_dirs : fake_files) || switched(SHIM_FAKE, SHIM_FLUSH);
	if (allowed_whole(SHIM_FLUSH, true)) {
		done = faked ? 0 : (int)syscall(call, fd);
		if (done == 0 && !faked && fds[fd].is_dir)
			note_path(LOG_FLUSH_DIR, 0, path_of(fds[fd].file - 1));
		else if (done == 0 && !faked)
			note(LOG_FLUSH, fds[fd].file - 1, 0, NULL, 0);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

int fsync(int fd)     { return do_flush(fd, SYS_fsync); }
int fdatasync(int fd) { return do_flush(fd, SYS_fdatasync); }

/* --- names --------------------------------------------------------------------------------------------- */

int
rename(const char *from, const char *to)
{
	char both[2 * PATH_BYTES];
	int done = -1, n;

	if (!below(from))
		return (int)syscall(SYS_rename, from, to);
	pthread_mutex_lock(&lock);
	if (allowed_whole(SHIM_NAME, true) && (done = (int)syscall(SYS_rename, from, to)) == 0) {
		n = snprintf(both, sizeof both, "%s%c%s", from + strlen(dir), 0, to + strlen(dir));
		note(LOG_RENAME, 0, 0, both, (size_t)n);
		name_move(from, to);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

static int
do_unlink(int at_fd, const char *path, int flags)
{
	int done = -1;

	if (!below(path))
		return (int)syscall(SYS_unlinkat, at_fd, path, flags);
	pthread_mutex_lock(&lock);
	if (allowed_whole(SHIM_NAME, false) && (done = (int)syscall(SYS_unlinkat, at_fd, path, flags)) == 0) {
		note_path(LOG_UNLINK, 0, path);
		name_remove(path);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

int unlink(const char *path)                        { return do_unlink(AT_FDCWD, path, 0); }
int rmdir(const char *path)                         { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }
int unlinkat(int d, const char *path, int flags)    { return do_unlink(d, path, flags); }

int
mkdir(const char *path, mode_t rights)
{
	int done = -1;

	if (!below(path))
		return (int)syscall(SYS_mkdir, path, rights);
	pthread_mutex_lock(&lock);
	if (allowed_whole(SHIM_MAKE, true) && (done = (int)syscall(SYS_mkdir, path, rights)) == 0) {
		name_set(path, ++files);
		note_path(LOG_MKDIR, files, path);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

/* Processes are no files, but the master must bear it when there are too many. */
pid_t
fork(void)
{
	if (switched(SHIM_FAIL, SHIM_FORK)) {
		errno = control->number;
		return -1;
	}
	return REAL(fork)();
}

/* Nobody here makes links or writes in other ways; if somebody begins to, this must learn it. */
int link(const char *from, const char *to)     { (void)from; (void)to; abort(); }
int linkat(int a, const char *from, int b, const char *to, int flags)
{
	(void)a; (void)from; (void)b; (void)to; (void)flags;
	abort();
}
int truncate(const char *path, off_t size)     { (void)path; (void)size; abort(); }
int posix_fallocate(int fd, off_t at_, off_t n) { (void)fd; (void)at_; (void)n; abort(); }
int renameat(int a, const char *from, int b, const char *to)
{
	(void)a; (void)from; (void)b; (void)to;
	abort();
}
