/* SPDX-License-Identifier: ISC */
/*
 * A segment is read through a window, from front to back: jumping from header to
 * header takes ten times as long on a cold disk.  What a disk cannot read is not
 * what is damaged: the scan ends there, and says so.
 */
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "queue/spool_inside.h"

enum { WINDOW = 1 << 20 };

bool
scan_begin(struct scan *c, const char *path, uint64_t salt, struct error *why)
{
	struct stat st;

	*c = (struct scan){ .fd = open(path, O_RDONLY | O_CLOEXEC), .window = BUF(SIZE_MAX / 4) };
	c->walk.salt = salt;
	if (c->fd == -1)
		return error_sys(why, "cannot open %s", path);
	if (fstat(c->fd, &st) == 0) {
		c->size = (uint64_t)st.st_size;
		return true;
	}
	error_sys(why, "cannot look at %s", path);
	close(c->fd);
	return false;
}

void
scan_end(struct scan *c)
{
	close(c->fd);
	buf_free(&c->window);
}

/* The window now begins at the block of `at` and has n bytes, or all that are left. */
static void
load(struct scan *c, uint64_t at, uint64_t n)
{
	uint64_t base = at / SPOOL_BLOCK * SPOOL_BLOCK;

	if (base > c->size)
		base = c->size / SPOOL_BLOCK * SPOOL_BLOCK;
	if (n > c->size - base)
		n = c->size - base;
	buf_clear(&c->window);
	if (n > 0 && !file_read_at(c->fd, buf_room(&c->window, n), n, (off_t)base, &c->trouble)) {
		c->unreadable = true;
		n = 0;
	}
	c->window.n = n;
	c->walk.bytes = buf_slice(&c->window);
	c->walk.base = base;
}

void
scan_from(struct scan *c, uint64_t at, uint64_t expect, uint64_t limit)
{
	c->walk.at = at;
	c->walk.expect = expect;
	c->walk.limit = limit;
	load(c, at, WINDOW);
}

static uint64_t
loaded_to(const struct scan *c)
{
	return c->walk.base + c->walk.bytes.n;
}

/*
 * The window ended where the walk stopped.  True when it was moved or has grown
 * and the walk should try again.
 */
static bool
move_on(struct scan *c)
{
	uint64_t wanted = walk_wants(&c->walk), base = c->walk.at / SPOOL_BLOCK * SPOOL_BLOCK;

	if (base > c->walk.base) {
		load(c, c->walk.at, WINDOW);
		return true;
	}
	if (wanted <= loaded_to(c) || wanted > c->size)
		return false;
	load(c, c->walk.at, wanted - base);
	return true;
}

void
scan_whole(struct scan *c)
{
	load(c, 0, c->size);
}

bool
scan_was_read(const struct scan *c, const char *path, struct error *why)
{
	if (!c->unreadable)
		return true;
	error_set(why, "%s: %s", path, c->trouble.text);
	if (why != NULL)
		why->number = c->trouble.number;
	return false;
}

/* Does anything behind the window show that the expected record was flushed? */
static bool
proven_behind(struct scan *c)
{
	struct scan ahead = { .fd = c->fd, .size = c->size, .window = BUF(WINDOW), .walk = c->walk };
	bool proven = walk_proven(&c->walk);

	for (uint64_t at = loaded_to(c); !proven && !ahead.unreadable && at < c->size; at += WINDOW) {
		load(&ahead, at, WINDOW);
		proven = walk_proven(&ahead.walk);
	}
	if (ahead.unreadable) {
		c->unreadable = true;
		c->trouble = ahead.trouble;
	}
	buf_free(&ahead.window);
	return proven;
}

enum walked
scan_next(struct scan *c, struct spool_record *r, uint64_t *at, struct damage *d)
{
	struct walk before;
	enum walked what;

	do {
		if (c->unreadable)
			return WALK_END;        /* nothing follows from bytes that were not read */
		before = c->walk;
		what = walk_next(&c->walk, r, at, d);
		if (what == WALK_RECORD || loaded_to(c) >= c->size || before.expect >= before.limit)
			return what;
		c->walk = before;
	} while (move_on(c));
	if (!proven_behind(c))
		return WALK_END;
	load(c, c->walk.at, c->size);   /* damage, which is rare: look at all that is left */
	return c->unreadable ? WALK_END : walk_next(&c->walk, r, at, d);
}
