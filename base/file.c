/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { PATH_BYTES = 4096 };

bool
file_read_fd(int fd, const char *path, struct buf *b, struct error *why)
{
	for (;;) {
		char piece[16384];
		ssize_t n = read(fd, piece, sizeof piece);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(why, "cannot read %s", path);
		if (n == 0)
			return true;
		if (!buf_add(b, slice_of(piece, (size_t)n)))
			return error_set(why, "%s is larger than %zu bytes", path, b->ceiling);
	}
}

bool
file_read(const char *path, struct buf *b, struct error *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd == -1)
		return error_sys(why, "cannot open %s", path);
	ok = file_read_fd(fd, path, b, why);
	close(fd);
	return ok;
}

bool
file_write(int fd, struct slice s, struct error *why)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(why, "cannot write");
		s = slice_skip(s, (size_t)n);
	}
	return true;
}

bool
file_write_at(int fd, struct slice s, off_t at, struct error *why)
{
	while (s.n) {
		ssize_t n = pwrite(fd, s.p, s.n, at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(why, "cannot write");
		s = slice_skip(s, (size_t)n);
		at += n;
	}
	return true;
}

/* Take n bytes off the front of the pieces. */
static void
pieces_skip(struct iovec **piece, int *count, size_t n)
{
	while (*count > 0 && n >= (*piece)->iov_len) {
		n -= (*piece)->iov_len;
		(*piece)++;
		(*count)--;
	}
	if (*count > 0) {
		(*piece)->iov_base = (char *)(*piece)->iov_base + n;
		(*piece)->iov_len -= n;
	}
}

bool
file_write_pieces(int fd, struct iovec *piece, int count, off_t at, struct error *why)
{
	pieces_skip(&piece, &count, 0);         /* empty ones at the front */
	while (count > 0) {
		ssize_t n = pwritev(fd, piece, count < IOV_MAX ? count : IOV_MAX, at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return error_sys(why, "cannot write");
		pieces_skip(&piece, &count, (size_t)n);
		at += n;
	}
	return true;
}

bool
file_read_at(int fd, void *to, size_t n, off_t at, struct error *why)
{
	char *p = to;

	while (n) {
		ssize_t got = pread(fd, p, n, at);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return error_sys(why, "cannot read");
		if (got == 0)
			return error_set(why, "the file ends too early");
		p += got;
		n -= (size_t)got;
		at += got;
	}
	return true;
}

bool
file_flush(int fd, struct error *why)
{
	return fdatasync(fd) == 0 || error_sys(why, "cannot flush");
}

void
file_hasten(int fd, off_t at, off_t n)
{
	if (sync_file_range(fd, at, n, SYNC_FILE_RANGE_WRITE) != 0)
		return;                         /* then the flush does it */
}

bool
file_rename(const char *from, const char *to, struct error *why)
{
	return rename(from, to) == 0 || error_sys(why, "cannot rename %s to %s", from, to);
}

bool
file_exchange(const char *one, const char *other, struct error *why)
{
	return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0 ||
	    error_sys(why, "cannot exchange %s and %s", one, other);
}

bool
file_remove(const char *path, struct error *why)
{
	return unlink(path) == 0 || errno == ENOENT || error_sys(why, "cannot remove %s", path);
}

static size_t
without_slashes(const char *path, size_t n)
{
	while (n > 1 && path[n - 1] == '/')
		n--;
	return n;
}

/* The directory part of a path into a buffer of PATH_BYTES; of "a/b/" it is that of "a/b". */
static const char *
parent_of(const char *path, char *parent)
{
	size_t n = without_slashes(path, strlen(path));

	while (n > 0 && path[n - 1] != '/')
		n--;
	n = without_slashes(path, n);
	if (n == 0 || n >= PATH_BYTES)
		return ".";
	memcpy(parent, path, n);
	parent[n] = '\0';
	return parent;
}

bool
dir_flush(const char *path, struct error *why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok;

	if (fd == -1)
		return error_sys(why, "cannot open %s", path);
	ok = fsync(fd) == 0 || error_sys(why, "cannot flush %s", path);
	close(fd);
	return ok;
}

bool
dir_flush_name(const char *path, struct error *why)
{
	char parent[PATH_BYTES];

	if ((size_t)snprintf(parent, sizeof parent, "%s/..", path) >= sizeof parent)
		return error_set(why, "the name %.60s is too long", path);
	return dir_flush(parent, why);
}

static bool
write_new(const char *path, struct slice s, mode_t mode, struct error *why)
{
	/* In a directory where others may write it could be a link, to a file of ours. */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	bool ok;

	if (fd == -1)
		return error_sys(why, "cannot create %s", path);
	ok = file_write(fd, s, why) && file_flush(fd, why);
	if (close(fd) == -1 && ok)
		ok = error_sys(why, "cannot close %s", path);
	return ok;
}

bool
file_replace(const char *path, struct slice s, mode_t mode, struct error *why)
{
	char fresh[PATH_BYTES], parent[PATH_BYTES];

	if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh)
		return error_set(why, "the name %.60s… is too long", path);
	if (!write_new(fresh, s, mode, why)) {
		unlink(fresh);
		return false;
	}
	if (!file_rename(fresh, path, why)) {
		unlink(fresh);
		return false;
	}
	return dir_flush(parent_of(path, parent), why);
}

bool
dir_lock(const char *path, int *fd, struct error *why)
{
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd == -1)
		return error_sys(why, "cannot open %s", path);
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
		return true;
	error_sys(why, "%s is in use", path);
	close(*fd);
	*fd = -1;
	return false;
}

bool
dir_make(const char *path, mode_t mode, struct error *why)
{
	char parent[PATH_BYTES];
	const char *up = parent_of(path, parent);
	struct stat st;

	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) || error_set(why, "%s is not a directory", path);
	if (errno != ENOENT)
		return error_sys(why, "cannot look at %s", path);
	if (strcmp(up, path) != 0 && !dir_make(up, 0755, why))
		return false;
	if (mkdir(path, mode) == -1 && errno != EEXIST)
		return error_sys(why, "cannot make %s", path);
	return dir_flush(up, why);
}

bool
dir_remove(const char *path, struct error *why)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool ok = true;

	if (dir == NULL)
		return errno == ENOENT || error_sys(why, "cannot open %s", path);
	while (ok && (entry = readdir(dir)) != NULL) {
		char below[PATH_BYTES];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if ((size_t)snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >=
		    sizeof below)
			ok = error_set(why, "a name below %.60s is too long", path);
		else if (lstat(below, &st) == 0 && S_ISDIR(st.st_mode))
			ok = dir_remove(below, why);
		else if (unlink(below) == -1)
			ok = error_sys(why, "cannot remove %s", below);
	}
	closedir(dir);
	return ok && (rmdir(path) == 0 || error_sys(why, "cannot remove %s", path));
}
