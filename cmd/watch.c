/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "base/bug.h"
#include "base/clock.h"
#include "cmd/watch.h"

static struct stat
look_at(const char *name)
{
	struct stat st;

	if (stat(name, &st) == -1)
		st = (struct stat){ .st_ino = 0 };
	return st;
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* With the time of the inode: rights that are given after the bytes are a change, too. */
static bool
same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	    same_time(&a->st_mtim, &b->st_mtim) && same_time(&a->st_ctim, &b->st_ctim);
}

/* What was read of it may be older. */
static bool
is_written_between(const struct stat *st, int64_t since, int64_t now)
{
	int64_t at = (int64_t)st->st_ctim.tv_sec * SECOND + st->st_ctim.tv_nsec / 1000000;

	return at >= since && at <= now;
}

static bool
is_watched(const struct file *f)
{
	return f->purpose == FILE_ALIASES || f->purpose == FILE_USERS || f->purpose == FILE_MEMBERS ||
	    f->purpose == FILE_TRUST || f->purpose == FILE_LISTS ||
	    f->purpose == FILE_TLS_CERTIFICATE || f->purpose == FILE_TLS_KEY ||
	    f->purpose == FILE_WEB_CERTIFICATE || f->purpose == FILE_WEB_KEY;
}

void
watch_begin(struct watch *w, const struct files *files, int64_t since, int64_t now)
{
	watch_end(w);
	w->each = must_alloc((files->count + 1) * sizeof *w->each);
	for (size_t i = 0; i < files->count; i++) {
		const struct file *f = files->file[i];
		struct watched *t = &w->each[w->count];

		if (!is_watched(f))
			continue;
		t->name = must_copy(f->name, f->name_length);
		t->known = t->seen = look_at(f->name);
		if (is_written_between(&t->seen, since, now))
			t->known.st_ino = 0;
		w->count++;
	}
}

void
watch_end(struct watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->each[i].name);
	free(w->each);
	*w = (struct watch){ .count = 0 };
}

bool
watch_changed(struct watch *w)
{
	bool changed = false;

	for (size_t i = 0; i < w->count; i++) {
		struct watched *t = &w->each[i];
		struct stat now = look_at(t->name);

		if (same(&now, &t->seen) && !same(&now, &t->known)) {
			t->known = now;
			changed = true;
		}
		t->seen = now;
	}
	return changed;
}
