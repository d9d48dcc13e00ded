/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "cmd/lease.h"
#include "cmd/owner.h"

enum {
	AHEAD = 60 * 60 * 1000,         /* ms, of the clock */
	NEAR = AHEAD / 2,
	BEHIND_LEAST = 60 * 1000,       /* room for a counter, when the clock is behind us */
	TEXT_MOST = 32,
};

static bool
write_down(const struct lease *l, int64_t end, struct error *why)
{
	struct buf text = BUF(TEXT_MOST);
	bool ok;

	buf_printf(&text, "%lld\n", (long long)end);
	ok = owner_replace(l->path, buf_slice(&text), 0600, why);
	buf_free(&text);
	return ok;
}

/* 0: there was none, or it rotted; the queue knows at least the messages that live. */
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
	*end = slice_number(slice_trim(buf_slice(&text)), INT64_MAX, &number) ? (int64_t)number : 0;
	buf_free(&text);
	return true;
}

/* On the disk first: from then on names may be given up to there. */
static bool
move_on(struct lease *l, const struct clock *clock, struct error *why)
{
	int64_t end = ids_now(clock) + AHEAD, least = atomic_load(&l->bound->newest) + BEHIND_LEAST;

	if (end < least)
		end = least;
	if (!write_down(l, end, why))
		return false;
	atomic_store(&l->bound->end, end);
	return true;
}

bool
lease_begin(struct lease *l, struct slice state, const struct clock *clock, struct error *why)
{
	int64_t end;
	bool there;

	snprintf(l->path, sizeof l->path, "%.*s/ids", FMT(state));
	if (!read_end(l, &end, &there, why) || (l->bound = ids_bound_make(&l->fd, why)) == NULL)
		return false;
	atomic_store(&l->bound->newest, end);
	atomic_store(&l->bound->end, end);
	return move_on(l, clock, why) || there;
}

bool
lease_renew(struct lease *l, const struct clock *clock, struct error *why)
{
	int64_t end = atomic_load(&l->bound->end), newest = atomic_load(&l->bound->newest);

	return (ids_now(clock) < end - NEAR && newest < end) || move_on(l, clock, why);
}

void
lease_end(struct lease *l)
{
	write_down(l, atomic_load(&l->bound->newest), NULL);
	munmap(l->bound, sizeof *l->bound);
	close(l->fd);
	*l = (struct lease){ .fd = -1 };
}
