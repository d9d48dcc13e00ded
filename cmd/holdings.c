/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/bug.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/text.h"
#include "cmd/holdings.h"
#include "conf/secrets.h"

enum { PATH_BYTES = 4096, PIECE = 1 << 20, LIST_MOST = 1 << 30, WORD_BYTES = 64 };

static const char TITLE[] = "chainmail backup 1\n", UNREADABLE[] = " cannot be read";

/* --- what is there ------------------------------------------------------------------------ */

/* "99aabbcc" of a file, and its length. */
static bool
sum_up(int fd, uint64_t *bytes_r, uint32_t *crc_r)
{
	char *piece = must_alloc(PIECE);
	ssize_t n;

	*bytes_r = 0;
	*crc_r = 0;
	while ((n = read(fd, piece, PIECE)) > 0) {
		*crc_r = crc32c(*crc_r, slice_of(piece, (size_t)n));
		*bytes_r += (uint64_t)n;
	}
	free(piece);
	return n == 0;
}

/* A file that cannot be read gets a line that counts as equal to none, its own neither. */
static void
list_file(const char *path, const char *name, struct buf *list)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t bytes;
	uint32_t crc;
	bool ok = fd != -1 && sum_up(fd, &bytes, &crc);

	if (fd != -1)
		close(fd);
	if (ok)
		buf_printf(list, "%s %llu %08x\n", name, (unsigned long long)bytes, crc);
	else
		buf_printf(list, "%s%s\n", name, UNREADABLE);
}

static void
list_below(const char *dir, const char *below, const char *name, struct buf *list)
{
	char path[PATH_BYTES], word[PATH_BYTES];

	snprintf(path, sizeof path, "%s/queue/%s/%s", dir, below, name);
	snprintf(word, sizeof word, "%s/%s", below, name);
	list_file(path, word, list);
}

static void
list_secrets(const char *dir, struct buf *list)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "%s/" SECRETS_NAME, dir);
	if (access(path, F_OK) == 0)
		list_file(path, SECRETS_NAME, list);
}

static int
is_name(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static bool
list_files(const char *dir, const char *below, struct buf *list, struct error *why)
{
	char path[PATH_BYTES];
	struct dirent **names;
	int n;

	snprintf(path, sizeof path, "%s/queue/%s", dir, below);
	if ((n = scandir(path, &names, is_name, alphasort)) == -1)
		return error_sys(why, "cannot read %s", path);
	for (int i = 0; i < n; i++) {
		list_below(dir, below, names[i]->d_name, list);
		free(names[i]);
	}
	free(names);
	return !list->full || error_set(why, "%s has too many files", path);
}

static bool
list_all(const char *dir, struct buf *list, struct error *why)
{
	if (!list_files(dir, "content", list, why))
		return false;
	list_secrets(dir, list);
	return list_files(dir, "seg", list, why);
}

/* --- writing it down ------------------------------------------------------------------------ */

bool
holdings_write(const char *dir, uint64_t messages, size_t lacks, struct error *why)
{
	struct buf list = BUF(LIST_MOST);
	char path[PATH_BYTES];
	bool ok;

	snprintf(path, sizeof path, "%s/holds", dir);
	buf_printf(&list, "%s", TITLE);
	ok = list_all(dir, &list, why);
	buf_printf(&list, "lacks %zu\nmessages %llu\n", lacks, (unsigned long long)messages);
	ok = ok && file_replace(path, buf_slice(&list), 0600, why);
	buf_free(&list);
	return ok;
}

/* --- comparing ------------------------------------------------------------------------------ */

struct comparison {
	const char  *dir;
	void       (*say)(void *arg, const char *sentence);
	void        *arg;
	size_t      *lacks;
};

static void __attribute__((format(printf, 2, 3)))
tell(const struct comparison *c, const char *format, ...)
{
	char sentence[256];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	c->say(c->arg, sentence);
}

/* The name in front of a line, shortened: a stranger's list is only text. */
static struct slice
name_of(struct slice line)
{
	return slice_head(slice_head(line, slice_find(line, ' ')), WORD_BYTES);
}

static int
order_of(struct slice a, struct slice b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Both are sorted: `saved` line by line, and of the other those that stand before it. */
static void
compare_line(const struct comparison *c, struct slice saved, struct slice *there)
{
	struct slice name = name_of(saved), rest, line;

	for (rest = *there; slice_cut(&rest, '\n', &line) && line.n > 0; *there = rest) {
		int order = order_of(name_of(line), name);

		if (order > 0)
			break;
		if (order == 0) {
			*there = rest;
			if (slice_eq(line, saved) && !slice_endsi(line, slice(UNREADABLE)))
				return;
			++*c->lacks;
			tell(c, "%.*s is not what was saved", FMT(name));
			return;
		}
	}
	++*c->lacks;
	tell(c, "%.*s is not there", FMT(name));
}

static bool
compare_all(const struct comparison *c, struct slice saved, uint64_t *messages, struct error *why)
{
	struct buf there = BUF(LIST_MOST);
	struct slice left, line;
	uint64_t lacks = 0;
	bool cut = !slice_endsi(saved, S("\n")), ended = false, ok = list_all(c->dir, &there, why);

	for (left = buf_slice(&there); ok && !ended && slice_cut(&saved, '\n', &line);)
		if (slice_starts(line, S("lacks ")))
			slice_number(slice_skip(line, strlen("lacks ")), UINT32_MAX, &lacks);
		else if (slice_starts(line, S("messages ")))
			ended = slice_number(slice_skip(line, strlen("messages ")), UINT32_MAX, messages);
		else
			compare_line(c, line, &left);
	buf_free(&there);
	if (lacks > 0)
		tell(c, "%llu things could not be copied when it was made", (unsigned long long)lacks);
	*c->lacks += lacks;
	return ok && ((ended && !cut) || error_set(why, "%s/holds ends too early", c->dir));
}

bool
holdings_compare(const char *dir, void (*say)(void *, const char *), void *arg,
    uint64_t *messages_r, size_t *lacks_r, struct error *why)
{
	const struct comparison c = { dir, say, arg, lacks_r };
	struct buf saved = BUF(LIST_MOST);
	char path[PATH_BYTES];
	struct error local = { 0 };
	bool ok;

	*messages_r = 0;
	snprintf(path, sizeof path, "%s/holds", dir);
	if (!file_read(path, &saved, &local)) {
		buf_free(&saved);
		if (local.number == ENOENT)
			tell(&c, "there is no list of what it holds: it is of an older program");
		return local.number == ENOENT || error_set(why, "%s", local.text);
	}
	ok = slice_starts(buf_slice(&saved), slice(TITLE))
	    ? compare_all(&c, slice_skip(buf_slice(&saved), strlen(TITLE)), messages_r, why)
	    : error_set(why, "%s is no list of what a backup holds", path);
	buf_free(&saved);
	return ok;
}
