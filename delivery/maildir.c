/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "delivery/maildir.h"

enum { PATH_BYTES = 4096, PIECE = 65536 };

void
maildir_name(int64_t arrived, uint64_t id, unsigned index, struct slice host, char name[128])
{
	char text[ID_TEXT + 1];

	id_text(id, text);
	snprintf(name, 128, "%lld.%sr%u.%.*s", (long long)(arrived / 1000), text, index,
	    FMT(slice_head(host, 64)));
}

static bool
path_of(char to[PATH_BYTES], const char *directory, const char *sub, const char *name,
    struct error *why)
{
	if ((size_t)snprintf(to, PATH_BYTES, "%s/%s/%s", directory, sub, name) >= PATH_BYTES)
		return error_set(why, "the name of the maildir is too long");
	return true;
}

static bool
make_directories(const char *directory, struct error *why)
{
	static const char *const subs[] = { "tmp", "new", "cur" };
	char path[PATH_BYTES];

	if (!dir_make(directory, 0700, why))
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (!path_of(path, directory, subs[i], "", why))
			return false;
		path[strlen(path) - 1] = '\0';
		if (!dir_make(path, 0700, why))
			return false;
	}
	return true;
}

/* CRLF becomes LF; a CR at the end of a piece waits for the next one. */
struct unix_lines {
	int         fd;
	bool        cr;
	struct buf  out;
};

static bool
write_lines(struct unix_lines *u, struct slice s, struct error *why)
{
	while (s.n) {
		size_t cr = slice_find(s, '\r');

		if (u->cr && *s.p != '\n')
			buf_byte(&u->out, '\r');
		u->cr = cr < s.n;
		buf_add(&u->out, slice_head(s, cr));
		s = slice_skip(s, cr + 1);
		if (u->out.n >= PIECE) {
			if (!file_write(u->fd, buf_slice(&u->out), why))
				return false;
			buf_clear(&u->out);
		}
	}
	return true;
}

static bool
write_content(struct unix_lines *u, const struct maildir_mail *m, bool *unreadable, struct error *why)
{
	struct checksum sum = m->sum;
	char piece[16384];
	off_t at = m->from;

	for (uint64_t left = m->size; m->content != -1 && left > 0;) {
		size_t n = left < sizeof piece ? (size_t)left : sizeof piece;

		*unreadable = !file_read_at(m->content, piece, n, at, why);
		if (*unreadable || !write_lines(u, slice_of(piece, n), why))
			return false;
		checksum_add(&sum, slice_of(piece, n));
		at += (off_t)n;
		left -= n;
	}
	*unreadable = !checksum_right(&sum);
	return !*unreadable || error_set(why, "its text is damaged here");
}

static bool
write_all(int fd, const struct maildir_mail *m, bool *unreadable, struct error *why)
{
	struct unix_lines u = { .fd = fd, .out = BUF(4 * PIECE) };
	bool ok = true;

	for (size_t i = 0; i < m->count && ok; i++)
		for (struct slice s = m->pieces[i]; s.n > 0 && ok; s = slice_skip(s, PIECE))
			ok = write_lines(&u, slice_head(s, PIECE), why);
	ok = ok && write_content(&u, m, unreadable, why);
	if (u.cr)
		buf_byte(&u.out, '\r');
	ok = ok && file_write(fd, buf_slice(&u.out), why) && file_flush(fd, why);
	buf_free(&u.out);
	return ok;
}

static bool
write_tmp(const char *path, const struct maildir_mail *m, bool *unreadable, struct error *why)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok;

	if (fd == -1)
		return error_sys(why, "cannot create a file in the maildir");
	ok = write_all(fd, m, unreadable, why);
	if (close(fd) == -1)
		ok = ok && error_sys(why, "cannot close a file in the maildir");
	return ok;
}

static bool
deliver(const struct maildir_mail *m, bool *unreadable, struct error *why)
{
	char tmp[PATH_BYTES], new[PATH_BYTES], directory[PATH_BYTES];
	struct stat st;
	bool ok;

	if (!path_of(tmp, m->directory, "tmp", m->name, why) ||
	    !path_of(new, m->directory, "new", m->name, why) ||
	    !path_of(directory, m->directory, "new", "", why))
		return false;
	if (stat(new, &st) == 0)
		return dir_flush(directory, why);       /* an earlier try got that far */
	if (!make_directories(m->directory, why))
		return false;
	ok = write_tmp(tmp, m, unreadable, why) &&
	    (rename(tmp, new) == 0 || error_sys(why, "cannot move a file into the maildir")) &&
	    dir_flush(directory, why);
	if (!ok)
		unlink(tmp);
	return ok;
}

struct status
maildir_deliver(const struct maildir_mail *m, bool *unreadable, struct error *why)
{
	*unreadable = false;
	if (deliver(m, unreadable, why))
		return STATUS(0, 2, 0, 0, "delivered to the maildir");
	if (why->number == ENOSPC || why->number == EDQUOT)
		return status_make(0, 4, 2, 2, slice(why->text));
	return status_make(0, 4, 3, 0, slice(why->text));
}
