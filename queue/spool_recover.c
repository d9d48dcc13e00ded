/* SPDX-License-Identifier: ISC */
/*
 * Opening what is there.  The segments are the truth; the catalogue saves reading
 * most of them.  Nothing that stands on the disk can make this fail, but a newer
 * format, a disk that refuses, or another process that has the spool open.
 */
#include <sys/file.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "queue/spool_inside.h"

/* --- directories ------------------------------------------------------------------------- */

static bool
lock_dir(struct spool *s, struct error *why)
{
	s->lock_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock_fd == -1)
		return error_sys(why, "cannot open %s", s->dir);
	return flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0 || error_sys(why, "%s is in use", s->dir);
}

static bool
make_dirs(struct spool *s, struct error *why)
{
	static const char *const below[] = { "seg", "content", "damaged" };
	char path[SPOOL_PATH];

	if (!dir_make(s->dir, 0700, why) || !lock_dir(s, why))
		return false;
	for (size_t i = 0; i < sizeof below / sizeof *below; i++)
		if (!dir_make(spool_path(s, path, "%s", below[i]), 0700, why))
			return false;
	return true;
}

/* Call `each` for every name in a directory below. */
static bool
for_names(struct spool *s, const char *below, void (*each)(struct spool *, struct slice),
    struct error *why)
{
	char path[SPOOL_PATH];
	DIR *dir = opendir(spool_path(s, path, "%s", below));

	if (dir == NULL)
		return error_sys(why, "cannot open %s", path);
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.')
			each(s, slice(e->d_name));
	closedir(dir);
	return true;
}

static void
remove_in(struct spool *s, const char *below, struct slice name)
{
	char path[SPOOL_PATH];

	file_remove(spool_path(s, path, "%s/%.*s", below, FMT(name)), NULL);
}

static void
set_aside(struct spool *s, const char *below, struct slice name)
{
	char from[SPOOL_PATH], to[SPOOL_PATH];

	spool_path(s, from, "%s/%.*s", below, FMT(name));
	spool_path(s, to, "damaged/%.*s", FMT(name));
	file_rename(from, to, NULL);
}

/* --- which segments there are --------------------------------------------------------------- */

static void
add_spare(struct spool *s, struct slice name)
{
	char path[SPOOL_PATH];
	uint64_t number;
	struct stat st;

	if (!slice_number(slice_skip(name, strlen("spare-")), UINT32_MAX, &number) ||
	    s->spares == s->options.spares ||
	    stat(spool_path(s, path, "seg/%.*s", FMT(name)), &st) == -1 ||
	    (uint64_t)st.st_size < s->options.segment) {
		remove_in(s, "seg", name);      /* half made, or of another size */
		return;
	}
	s->spare[s->spares++] = (uint32_t)number;
	if (number > s->spare_names)
		s->spare_names = (uint32_t)number;
}

static void
add_segment(struct spool *s, struct slice name)
{
	uint64_t number;

	if (slice_starts(name, S("spare-"))) {
		add_spare(s, name);
		return;
	}
	if (name.n != 8 || !slice_number(name, 99999999, &number) || number == 0)
		return;                         /* not ours */
	s->segments = must_grow(s->segments, (s->count + 1) * sizeof *s->segments);
	s->segments[s->count++] = (struct segment){ (uint32_t)number, -1, 0, false };
}

static int
by_number(const void *a, const void *b)
{
	uint32_t p = ((const struct segment *)a)->number, q = ((const struct segment *)b)->number;

	return (p > q) - (p < q);
}

/* False when it cannot be opened; a head that is none leaves h->format 0. */
static bool
read_head(const struct spool *s, const struct segment *g, struct segment_head *h,
    struct error *why)
{
	char path[SPOOL_PATH], block[SPOOL_BLOCK];
	int fd = open(spool_path(s, path, "seg/%08u", g->number), O_RDONLY | O_CLOEXEC);
	bool ok;

	if (fd == -1)
		return error_sys(why, "cannot open %s", path);
	ok = file_read_at(fd, block, sizeof block, 0, NULL) &&
	    segment_head_read(slice_of(block, sizeof block), h) && h->number == g->number;
	close(fd);
	if (!ok)
		h->format = 0;
	return true;
}

static bool
read_heads(struct spool *s, struct error *why)
{
	struct segment_head h;

	for (size_t i = 0; i < s->count; i++) {
		if (!read_head(s, &s->segments[i], &h, why))
			return false;
		if (h.format > SEGMENT_FORMAT)
			return error_set(why, "segment %08u has format %u, this program knows up to %d",
			    h.number, h.format, SEGMENT_FORMAT);
		if (h.format != 0) {
			s->segments[i].first = h.first;
			s->salt = h.salt;       /* the same in all */
		}
	}
	return true;
}

/*
 * The number of the first record in a segment that has no head, or 0.  A record
 * of an earlier life of the file is older than anything in the segments before.
 */
static uint64_t
first_without_head(const struct spool *s, const struct segment *g, uint64_t before)
{
	char path[SPOOL_PATH];
	struct scan c;
	uint64_t first;

	if (s->salt == 0 ||
	    !scan_begin(&c, spool_path(s, path, "seg/%08u", g->number), s->salt, NULL))
		return 0;
	scan_from(&c, SPOOL_BLOCK, 0, NO_LIMIT);
	first = walk_first(&c.walk);
	scan_end(&c);
	return first > before ? first : 0;
}

/*
 * Without a head and records: it was being begun, nothing in it was accepted.  If it
 * is not the newest, its beginning failed and another one was begun; should anything
 * be missing, the numbers will show it, so it is not thrown away.
 */
static void
dispose(struct spool *s, const struct segment *g, bool newest)
{
	char text[9];
	struct slice name = slice_of(text, 8);

	snprintf(text, sizeof text, "%08u", g->number);
	if (newest) {
		remove_in(s, "seg", name);
		return;
	}
	spool_say(s, SPOOL_NOTE, "segment %s has no head and no record and is set aside", text);
	set_aside(s, "seg", name);
}

/*
 * With records: the power was cut when it was begun, and its head was not written,
 * or the head is damaged.  What it must say is known.
 */
static void
mend_head(struct spool *s, const struct segment *g, bool newest)
{
	const struct segment_head h = { SEGMENT_FORMAT, g->number, g->first, s->salt };
	char path[SPOOL_PATH], block[SPOOL_BLOCK];
	int fd = open(spool_path(s, path, "seg/%08u", g->number), O_WRONLY | O_CLOEXEC);

	segment_head_pack(&h, block);
	if (fd != -1) {
		file_write_at(fd, slice_of(block, sizeof block), 0, NULL);
		file_flush(fd, NULL);
		close(fd);
	}
	s->usage.damages += !newest;
	spool_say(s, newest ? SPOOL_NOTE : SPOOL_DAMAGE,
	    "the head of segment %08u was damaged and is written again", g->number);
}

static void
keep_readable(struct spool *s)
{
	uint64_t before = 0;
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct segment *g = &s->segments[i];
		bool newest = i + 1 == s->count, headless = g->first == 0;

		if (headless)
			g->first = first_without_head(s, g, before);
		if (g->first == 0) {
			dispose(s, g, newest);
			continue;
		}
		if (headless)
			mend_head(s, g, newest);
		before = g->first;
		s->segments[n++] = *g;
	}
	s->count = n;
}

static bool
find_segments(struct spool *s, struct error *why)
{
	struct rng rng = rng_random();

	if (!for_names(s, "seg", add_segment, why))
		return false;
	if (s->count > 0)
		qsort(s->segments, s->count, sizeof *s->segments, by_number);
	s->next_segment = s->count > 0 ? s->segments[s->count - 1].number + 1 : 1;
	if (!read_heads(s, why))
		return false;
	while (s->salt == 0)
		s->salt = rng_next(&rng);
	keep_readable(s);
	return true;
}

/* --- what they say --------------------------------------------------------------------------- */

static uint64_t
limit_of(const struct spool *s, size_t i)
{
	return i + 1 < s->count ? s->segments[i + 1].first : NO_LIMIT;
}

static void
replay_record(struct spool *s, const struct spool_record *r, struct reach reach, bool note)
{
	struct whereabouts *w = living_find(&s->living, r->id);
	bool rowed = w != NULL && w->rowed;
	struct change c = living_apply(&s->living, r, reach.at);

	s->newest = reach;
	s->usage.replayed++;
	if (note)
		catalogue_note(s->catalogue, &c, rowed, reach);
}

static void
name_damage(struct spool *s, struct segment *g, const struct damage *d)
{
	g->damaged = true;
	s->usage.damages++;
	spool_say(s, SPOOL_DAMAGE, "segment %08u: %llu bytes from %llu on cannot be read, "
	    "%llu records from number %llu on are lost", g->number, (unsigned long long)d->n,
	    (unsigned long long)d->at, (unsigned long long)d->count, (unsigned long long)d->first);
}

/*
 * What is believed here must be on the disk: a process that was killed may have
 * left it in the kernel's memory only.
 */
static bool
replay_segment(struct spool *s, size_t i, uint64_t at, uint64_t expect, bool note,
    struct error *why)
{
	struct segment *g = &s->segments[i];
	char path[SPOOL_PATH];
	struct damage d;
	struct spool_record r;
	struct scan c;
	enum walked what;
	bool ok;

	if (!scan_begin(&c, spool_path(s, path, "seg/%08u", g->number), s->salt, why))
		return false;
	scan_from(&c, at, expect, limit_of(s, i));
	while ((what = scan_next(&c, &r, &at, &d)) != WALK_END)
		if (what == WALK_DAMAGE)
			name_damage(s, g, &d);
		else
			replay_record(s, &r, (struct reach){ r.sequence, { g->number, (uint32_t)at,
			    (uint32_t)record_length(r.payload.n) } }, note);
	s->sequence = c.walk.expect;
	ok = file_flush(c.fd, why);
	scan_end(&c);
	return ok;
}

static bool
place_is_valid(void *arg, struct spot at)
{
	struct spool *s = arg;
	struct segment *g = spool_segment(s, at.segment);

	return g != NULL && at.offset >= SPOOL_BLOCK && at.length >= RECORD_HEADER;
}

/* What the catalogue says, if it says anything and its last record is where it says. */
static bool
load_catalogue(struct spool *s, struct reach *reach, struct error *why)
{
	const struct record_reader reader = spool_reader(s);
	struct spool_record r;

	if (!catalogue_load(s->catalogue, &s->living, place_is_valid, s, reach, why))
		return false;
	if (place_is_valid(s, reach->at) && reader.read(reader.arg, reach->at, &r, why) &&
	    r.sequence == reach->sequence)
		return true;
	living_free(&s->living);
	return error_set(why, "it ends with a record that is not there");
}

static bool
use_catalogue(struct spool *s, struct reach *reach)
{
	char path[SPOOL_PATH];
	struct error why = { 0 };

	s->catalogue = catalogue_open(spool_path(s, path, "catalogue"), s->options.clock, false, &why);
	if (s->catalogue != NULL && catalogue_aside(s->catalogue) != NULL)
		spool_say(s, SPOOL_NOTE, "the catalogue was damaged and is set aside as %s",
		    catalogue_aside(s->catalogue));
	if (s->catalogue != NULL && load_catalogue(s, reach, &why))
		return true;
	s->usage.rebuilt = s->count > 0;
	if (s->count > 0 && (s->catalogue == NULL || !catalogue_blank(s->catalogue)))
		spool_doubt_catalogue(s, why.text);
	catalogue_close(s->catalogue);
	s->catalogue = catalogue_open(path, s->options.clock, true, &why);
	if (s->catalogue == NULL)
		spool_say(s, SPOOL_NOTE, "working without a catalogue: %s", why.text);
	return false;
}

static bool
replay(struct spool *s, struct error *why)
{
	struct reach reach = { 0 };
	bool loaded = use_catalogue(s, &reach);
	size_t i = loaded ? (size_t)(spool_segment(s, reach.at.segment) - s->segments) : 0;

	s->sequence = 1;
	if (loaded && !replay_segment(s, i++, reach.at.offset, reach.sequence, true, why))
		return false;
	for (; i < s->count; i++)
		if (!replay_segment(s, i, SPOOL_BLOCK, s->segments[i].first, loaded, why))
			return false;
	living_forget_ghosts(&s->living);
	if (!loaded && s->catalogue != NULL)
		catalogue_note_all(s->catalogue, &s->living, s->newest);
	return true;
}

/* --- content ------------------------------------------------------------------------------------ */

/* Found files are counted down from the number that there should be. */
static void
check_content(struct spool *s, struct slice name)
{
	struct whereabouts *w;
	uint64_t id;

	if (slice_starts(name, S("new-"))) {
		remove_in(s, "content", name);
		return;
	}
	if (!id_parse(name, &id))
		return;                         /* not ours */
	w = living_find(&s->living, id);
	if (w != NULL && w->large) {
		s->usage.large++;
		return;
	}
	s->usage.orphans++;
	if (s->usage.damages > 0)
		set_aside(s, "content", name);  /* perhaps of a record that was lost */
	else
		remove_in(s, "content", name);
}

static bool
has_content(const struct spool *s, const struct whereabouts *w)
{
	char path[SPOOL_PATH];

	return !w->large || access(spool_content_path(s, w->id, path), F_OK) == 0;
}

static void
name_missing_contents(struct spool *s)
{
	struct whereabouts *w;
	char id[ID_TEXT + 1];
	size_t at = 0, large = 0;

	while ((w = living_next(&s->living, &at)) != NULL)
		large += w->large;
	if (large == s->usage.large)
		return;
	for (at = 0; (w = living_next(&s->living, &at)) != NULL;)
		if (!has_content(s, w)) {
			id_text(w->id, id);
			s->usage.damages++;
			spool_say(s, SPOOL_DAMAGE, "the content of message %s is not there", id);
		}
}

bool
spool_recover(struct spool *s, struct error *why)
{
	char path[SPOOL_PATH];

	if (!make_dirs(s, why) || !find_segments(s, why) || !replay(s, why) ||
	    !dir_flush(spool_path(s, path, "seg"), why) ||
	    !for_names(s, "content", check_content, why))
		return false;
	name_missing_contents(s);
	return dir_flush(spool_path(s, path, "content"), why);
}

/* --- checking ------------------------------------------------------------------------------------- */

static bool
read_truth(struct spool *s, struct living *truth, struct error *why)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct segment *g = &s->segments[i];
		char path[SPOOL_PATH];
		struct damage d;
		struct spool_record r;
		struct scan c;
		enum walked what;
		uint64_t at;

		if (!scan_begin(&c, spool_path(s, path, "seg/%08u", g->number), s->salt, why))
			return false;
		scan_from(&c, SPOOL_BLOCK, g->first, limit_of(s, i));
		while ((what = scan_next(&c, &r, &at, &d)) != WALK_END)
			if (what == WALK_RECORD)
				living_apply(truth, &r, (struct spot){ g->number, (uint32_t)at,
				    (uint32_t)record_length(r.payload.n) });
		scan_end(&c);
	}
	living_forget_ghosts(truth);
	return true;
}

static bool
contents_are_there(const struct spool *s, struct error *why)
{
	const struct whereabouts *w;
	char id[ID_TEXT + 1];
	size_t at = 0;

	while ((w = living_next(&s->living, &at)) != NULL)
		if (!has_content(s, w)) {
			id_text(w->id, id);
			return error_set(why, "the content of message %s is not there", id);
		}
	return true;
}

static bool
catalogue_is_right(struct spool *s, struct error *why)
{
	const struct record_reader reader = spool_reader(s);

	if (s->catalogue == NULL)
		return true;
	return catalogue_write_all(s->catalogue, &s->living, &reader, why) &&
	    catalogue_check(s->catalogue, &s->living, &reader, why);
}

static bool
counts_are_right(const struct spool *s, const struct living *truth, struct error *why)
{
	for (size_t i = 0; i < s->count; i++) {
		uint32_t n = s->segments[i].number;

		if (living_bytes(&s->living, n) != living_bytes(truth, n))
			return error_set(why, "%llu bytes live in segment %u, %llu are counted",
			    (unsigned long long)living_bytes(truth, n), n,
			    (unsigned long long)living_bytes(&s->living, n));
	}
	return true;
}

bool
spool_verify(struct spool *s, struct error *why)
{
	struct living truth = { 0 };
	bool ok;

	bug_if(s->submitted != 0);
	ok = read_truth(s, &truth, why) && living_equal(&s->living, &truth, why) &&
	    counts_are_right(s, &truth, why) && contents_are_there(s, why) &&
	    catalogue_is_right(s, why);
	living_free(&truth);
	return ok;
}
