/* SPDX-License-Identifier: ISC */
#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "cmd/lease.h"

enum {
	AHEAD = 60 * 60 * 1000,         /* ms, of the clock */
	NEAR = AHEAD / 2,
	BEHIND_LEAST = 60 * 1000,       /* room for a counter, when the clock is behind us */
	TEXT_MOST = 32,
};

/* Over what stands there, which has that length: it needs no space. */
static bool
write_over(const struct lease *l, struct slice text)
{
	int fd = open(l->path, O_WRONLY | O_CLOEXEC);
	struct stat st;
	bool ok = fd != -1 && fstat(fd, &st) == 0 && (uint64_t)st.st_size == text.n &&
	    file_write_at(fd, text, 0, NULL) && file_flush(fd, NULL);

	if (fd != -1)
		close(fd);
	return ok;
}

/* Where a full disk has no room for another file it still takes mail: then in place. */
static bool
write_down(const struct lease *l, int64_t end, struct error *why)
{
	struct buf text = BUF(TEXT_MOST);
	bool ok;

	buf_printf(&text, "%014lld\n", (long long)end);
	ok = file_replace(l->path, buf_slice(&text), 0600, why) || write_over(l, buf_slice(&text));
	buf_free(&text);
	return ok;
}

/*
 * 0: there was none, or it rotted; the queue knows at least the messages that live.
 * Behind the last time there are no names, so that one is no end to go on from either.
 */
static bool
read_end(const struct lease *l, int64_t *end, bool *there, struct error *why)
{
	struct buf text = BUF(TEXT_MOST);
	struct error missing = { 0 };
	uint64_t number = 0;

	*there = file_read(l->path, &text, &missing);
	if (!*there && missing.number != ENOENT && missing.number != 0) {
		buf_free(&text);
		return error_set(why, "%s", missing.text);
	}
	*end = slice_number(slice_trim(buf_slice(&text)), IDS_TIME_MOST - 1, &number) ? (int64_t)number : 0;
	buf_free(&text);
	return true;
}

/* On the disk first: from then on names may be given up to there. */
static bool
move_on(struct lease *l, const struct clock *clock, struct error *why)
{
	int64_t end = ids_now(clock) + AHEAD, least = ids_newest(l->bound) + BEHIND_LEAST;

	if (end < least)
		end = least;
	if (!write_down(l, end, why))
		return false;
	l->end = end;
	atomic_store(&l->bound->end, end);
	return true;
}

bool
lease_begin(struct lease *l, struct slice state, const struct clock *clock, struct error *why)
{
	bool there;

	snprintf(l->path, sizeof l->path, "%.*s/ids", FMT(state));
	if (!read_end(l, &l->end, &there, why) || (l->bound = ids_bound_make(&l->fd, why)) == NULL)
		return false;
	atomic_store(&l->bound->newest, l->end);
	atomic_store(&l->bound->end, l->end);
	return move_on(l, clock, why) || there;
}

bool
lease_renew(struct lease *l, const struct clock *clock, struct error *why)
{
	return (ids_now(clock) < l->end - NEAR && ids_newest(l->bound) < l->end) || move_on(l, clock, why);
}

void
lease_end(struct lease *l)
{
	write_down(l, ids_newest(l->bound), NULL);
	munmap(l->bound, sizeof *l->bound);
	close(l->fd);
	*l = (struct lease){ .fd = -1 };
}
