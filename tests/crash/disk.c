/* SPDX-License-Identifier: ISC */
#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/rng.h"
#include "tests/crash/disk.h"

enum { LOG_BYTES = 1 << 30, PATH_BYTES = 600, FILE_BYTES = 64 << 20 };

struct operation {
	struct log_head h;
	struct slice    bytes;
};

struct file {
	struct buf content;             /* as it was flushed */
	size_t    *pending, n, room;    /* operations since */
};

struct name {
	struct slice path;
	uint32_t     file;
	bool         is_dir;
};

struct disk {
	const struct disk_log *log;
	struct file *files;
	size_t       file_count;
	struct name *names;             /* as they were flushed */
	size_t       n, room;
	size_t      *pending, pendings, pending_room;   /* operations on names since */
	struct arena *arena;            /* paths that were put together */
	struct rng   rng;
};

/* --- the log --------------------------------------------------------------------------- */

void
disk_log_read(struct disk_log *l, const char *path)
{
	struct log_head h;
	size_t room = 0;

	*l = (struct disk_log){ .bytes = BUF(LOG_BYTES) };
	bug_if(!file_read(path, &l->bytes, NULL));
	for (size_t at = 0; at + sizeof h <= l->bytes.n; at += sizeof h + h.length) {
		memcpy(&h, l->bytes.p + at, sizeof h);
		if (l->count == room)
			l->at = must_grow(l->at, (room = room ? 2 * room : 1024) * sizeof *l->at);
		l->at[l->count++] = at;
	}
}

void
disk_log_free(struct disk_log *l)
{
	buf_free(&l->bytes);
	free(l->at);
}

static struct operation
operation_of(const struct disk *d, size_t i)
{
	struct operation o;

	memcpy(&o.h, d->log->bytes.p + d->log->at[i], sizeof o.h);
	o.bytes = slice_of(d->log->bytes.p + d->log->at[i] + sizeof o.h, o.h.length);
	return o;
}

/* --- content ----------------------------------------------------------------------------- */

static void
add_index(size_t **list, size_t *n, size_t *room, size_t i)
{
	if (*n == *room)
		*list = must_grow(*list, (*room = *room ? 2 * *room : 16) * sizeof **list);
	(*list)[(*n)++] = i;
}

static struct file *
file_of(struct disk *d, uint32_t number)
{
	if (number >= d->file_count) {
		d->files = must_grow(d->files, (number + 1u) * sizeof *d->files);
		while (d->file_count <= number)
			d->files[d->file_count++] = (struct file){ .content = BUF(FILE_BYTES) };
	}
	return &d->files[number];
}

static void
set_size(struct buf *content, size_t n)
{
	if (n > content->n) {
		bug_if(buf_room(content, n - content->n) == NULL);
		memset(content->p + content->n, 0, n - content->n);
	}
	content->n = n;
}

static void
put_bytes(struct buf *content, uint64_t at, struct slice bytes)
{
	if (at + bytes.n > content->n)
		set_size(content, (size_t)(at + bytes.n));
	if (bytes.n)
		memcpy(content->p + at, bytes.p, bytes.n);
}

/* Each piece that the disk writes at once is there, or not. */
static void
put_some(struct disk *d, struct buf *content, uint64_t at, struct slice bytes, size_t unit)
{
	while (bytes.n) {
		size_t n = unit - at % unit;
		struct slice piece = slice_head(bytes, n);

		if (rng_below(&d->rng, 2))
			put_bytes(content, at, piece);
		at += piece.n;
		bytes = slice_skip(bytes, piece.n);
	}
}

static void
apply_content(struct disk *d, struct file *f, const struct operation *o, enum disk_mode mode)
{
	bool some = mode == DISK_PAGES || mode == DISK_SECTORS;

	if (mode == DISK_DROP || (some && o->h.kind != LOG_WRITE && rng_below(&d->rng, 2)))
		return;
	if (o->h.kind == LOG_TRUNCATE)
		set_size(&f->content, (size_t)o->h.number);
	else if (o->h.kind == LOG_EXTEND && o->h.number > f->content.n)
		set_size(&f->content, (size_t)o->h.number);
	else if (o->h.kind == LOG_WRITE && some)
		put_some(d, &f->content, o->h.number, o->bytes, mode == DISK_PAGES ? 4096 : 512);
	else if (o->h.kind == LOG_WRITE)
		put_bytes(&f->content, o->h.number, o->bytes);
}

static void
settle_content(struct disk *d, struct file *f, enum disk_mode mode)
{
	for (size_t i = 0; i < f->n; i++) {
		struct operation o = operation_of(d, f->pending[i]);

		apply_content(d, f, &o, mode);
	}
	f->n = 0;
}

/* --- names --------------------------------------------------------------------------------- */

static struct slice
parent_of(struct slice path)
{
	size_t n = path.n;

	while (n > 0 && path.p[n - 1] != '/')
		n--;
	return slice_head(path, n > 0 ? n - 1 : 0);
}

static bool
is_at_or_below(struct slice path, struct slice top)
{
	return slice_starts(path, top) && (path.n == top.n || path.p[top.n] == '/');
}

static void
remove_name(struct disk *d, struct slice path)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n; i++)
		if (!is_at_or_below(d->names[i].path, path))
			d->names[kept++] = d->names[i];
	d->n = kept;
}

static void
add_name(struct disk *d, struct slice path, uint32_t file, bool is_dir)
{
	remove_name(d, path);
	if (d->n == d->room)
		d->names = must_grow(d->names, (d->room = d->room ? 2 * d->room : 64) * sizeof *d->names);
	d->names[d->n++] = (struct name){ path, file, is_dir };
}

static bool
is_named(const struct disk *d, struct slice path)
{
	for (size_t i = 0; i < d->n; i++)
		if (slice_eq(d->names[i].path, path))
			return true;
	return false;
}

static void
move_name(struct disk *d, struct slice from, struct slice to)
{
	if (!is_named(d, from))
		return;
	remove_name(d, to);
	for (size_t i = 0; i < d->n; i++)
		if (is_at_or_below(d->names[i].path, from))
			d->names[i].path = arena_printf(d->arena, "%.*s%.*s", FMT(to),
			    FMT(slice_skip(d->names[i].path, from.n)));
}

static void
apply_name(struct disk *d, const struct operation *o)
{
	struct slice to = o->bytes, from = NONE;

	switch (o->h.kind) {
	case LOG_CREATE: add_name(d, o->bytes, o->h.file, false); break;
	case LOG_MKDIR:  add_name(d, o->bytes, o->h.file, true); break;
	case LOG_UNLINK: remove_name(d, o->bytes); break;
	case LOG_RENAME: slice_cut(&to, '\0', &from); move_name(d, from, to); break;
	default:         bug_if(true);
	}
}

static bool
touches(const struct operation *o, struct slice dir)
{
	struct slice to = o->bytes, from = NONE;

	slice_cut(&to, '\0', &from);
	return slice_eq(parent_of(from), dir) || (o->h.kind == LOG_RENAME && slice_eq(parent_of(to), dir));
}

/* The names of this directory are flushed, the first `most` of them. */
static void
settle_names(struct disk *d, struct slice dir, size_t most)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->pendings; i++) {
		struct operation o = operation_of(d, d->pending[i]);

		if (most > 0 && touches(&o, dir)) {
			apply_name(d, &o);
			most--;
		} else {
			d->pending[kept++] = d->pending[i];
		}
	}
	d->pendings = kept;
}

static void
settle_all_names(struct disk *d, enum disk_mode mode)
{
	while (mode != DISK_DROP && d->pendings > 0) {
		struct operation o = operation_of(d, d->pending[0]);
		struct slice to = o.bytes, from = NONE, dir;
		size_t before;

		slice_cut(&to, '\0', &from);
		dir = parent_of(from);
		settle_names(d, dir, mode == DISK_KEEP ? 1 : rng_below(&d->rng, 8));
		before = d->pendings;
		if (mode == DISK_KEEP)
			continue;
		for (size_t i = d->pendings = 0; i < before; i++) {     /* the rest of it is lost */
			struct operation rest = operation_of(d, d->pending[i]);

			if (!touches(&rest, dir))
				d->pending[d->pendings++] = d->pending[i];
		}
	}
}

/* --- building ----------------------------------------------------------------------------------- */

static void
take_operation(struct disk *d, size_t i, struct buf *told)
{
	struct operation o = operation_of(d, i);
	struct file *f;

	switch (o.h.kind) {
	case LOG_CREATE:
	case LOG_MKDIR:
	case LOG_RENAME:
	case LOG_UNLINK:
		add_index(&d->pending, &d->pendings, &d->pending_room, i);
		break;
	case LOG_WRITE:
	case LOG_TRUNCATE:
	case LOG_EXTEND:
		f = file_of(d, o.h.file);
		add_index(&f->pending, &f->n, &f->room, i);
		break;
	case LOG_FLUSH:
		settle_content(d, file_of(d, o.h.file), DISK_KEEP);
		break;
	case LOG_FLUSH_DIR:
		settle_names(d, o.bytes, SIZE_MAX);
		break;
	case LOG_TOLD:
		buf_add(told, o.bytes);
		break;
	default:
		bug_if(true);
	}
}

/* Directories before what is in them. */
static int
shorter_first(const void *a, const void *b)
{
	size_t p = ((const struct name *)a)->path.n, q = ((const struct name *)b)->path.n;

	return (p > q) - (p < q);
}

static void
write_out(struct disk *d, const char *dir)
{
	char path[PATH_BYTES];

	bug_if(mkdir(dir, 0700) == -1);
	qsort(d->names, d->n, sizeof *d->names, shorter_first);
	for (size_t i = 0; i < d->n; i++) {
		const struct name *n = &d->names[i];
		int fd;

		snprintf(path, sizeof path, "%s%.*s", dir, FMT(n->path));
		if (n->is_dir) {
			mkdir(path, 0700);
			continue;
		}
		if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) == -1)
			continue;               /* its directory is not there */
		bug_if(!file_write(fd, buf_slice(&file_of(d, n->file)->content), NULL));
		close(fd);
	}
}

void
disk_build(const struct disk_log *log, size_t count, enum disk_mode mode, uint64_t seed,
    const char *dir, struct buf *told)
{
	struct disk d = { .log = log, .arena = arena_new(LOG_BYTES), .rng = rng_seeded(seed) };

	for (size_t i = 0; i < count && i < log->count; i++)
		take_operation(&d, i, told);
	for (size_t i = 0; i < d.file_count; i++)
		settle_content(&d, &d.files[i], mode);
	settle_all_names(&d, mode);
	write_out(&d, dir);
	for (size_t i = 0; i < d.file_count; i++) {
		buf_free(&d.files[i].content);
		free(d.files[i].pending);
	}
	free(d.files);
	free(d.names);
	free(d.pending);
	arena_free(d.arena);
}
