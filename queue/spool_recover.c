/* SPDX-License-Identifier: ISC */
/*
 * Opening what is there.  The segments are the truth; the catalogue saves reading
 * most of them.  Nothing that stands on the disk can make this fail, but a newer
 * format, a disk that refuses, or another process that has the spool open.
 *
 * What cannot be read is not what is damaged.  A disk that refuses to read ends the
 * start with the file's name, and nothing has been touched: whoever tries again later
 * finds everything.  What was read and makes no sense goes to damaged/ and is named.
 */
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

enum {
	ASIDE_MOST = 9999,              /* files of one name in damaged/ */
	NEAR = 1000,                    /* so far ahead a number without a segment still counts */
	VERIFY_MEMORY = 32 << 20,       /* for the envelope of one message */
};

/* --- directories ------------------------------------------------------------------------- */

static bool
make_dirs(struct spool *s, struct error *why)
{
	static const char *const below[] = { "seg", "content", "damaged" };
	char path[SPOOL_PATH];

	if (!dir_make(s->dir, 0700, why) || !dir_lock(s->dir, &s->lock_fd, why))
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
	bool ok;

	if (dir == NULL)
		return error_sys(why, "cannot open %s", path);
	errno = 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL; errno = 0)
		if (e->d_name[0] != '.')
			each(s, slice(e->d_name));
	ok = errno == 0 || error_sys(why, "cannot read %s", path);
	closedir(dir);
	return ok;
}

static void
remove_in(struct spool *s, const char *below, struct slice name)
{
	char path[SPOOL_PATH];

	file_remove(spool_path(s, path, "%s/%.*s", below, FMT(name)), NULL);
}

bool
spool_aside(const struct spool *s, const char *below, struct slice name, struct error *why)
{
	char from[SPOOL_PATH], to[SPOOL_PATH];

	spool_path(s, from, "%s/%.*s", below, FMT(name));
	spool_path(s, to, "damaged/%.*s", FMT(name));
	for (unsigned i = 2; access(to, F_OK) == 0 && i <= ASIDE_MOST; i++)
		spool_path(s, to, "damaged/%.*s.%u", FMT(name), i);
	return file_rename(from, to, why);
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

/* What is not a file is not ours; one that cannot be looked at is met when it is opened. */
static bool
is_file(const struct spool *s, struct slice name)
{
	char path[SPOOL_PATH];
	struct stat st;

	return lstat(spool_path(s, path, "seg/%.*s", FMT(name)), &st) == -1 || S_ISREG(st.st_mode);
}

static void
add_segment(struct spool *s, struct slice name)
{
	uint32_t number;

	if (slice_starts(name, S("spare-"))) {
		add_spare(s, name);
		return;
	}
	if (!segment_number(name, &number) || !is_file(s, name))
		return;                         /* not ours */
	s->segments = must_grow(s->segments, (s->count + 1) * sizeof *s->segments);
	s->segments[s->count++] = (struct segment){ number, -1, 0, false };
}

static int
by_number(const void *a, const void *b)
{
	uint32_t p = ((const struct segment *)a)->number, q = ((const struct segment *)b)->number;

	return (p > q) - (p < q);
}

/* False when it cannot be read; a head that is none leaves h->format 0. */
static bool
read_head(const struct spool *s, const struct segment *g, struct segment_head *h,
    struct error *why)
{
	char path[SPOOL_PATH], block[SPOOL_BLOCK];
	struct error local = { 0 };
	int fd = open(spool_path(s, path, "seg/%08u", g->number), O_RDONLY | O_CLOEXEC);
	bool read;

	*h = (struct segment_head){ 0 };
	if (fd == -1)
		return error_sys(why, "cannot open %s", path);
	read = file_read_at(fd, block, sizeof block, 0, &local);
	close(fd);
	if (!read && local.number != 0) {
		errno = local.number;
		return error_sys(why, "cannot read %s", path);
	}
	if (!read || !segment_head_read(slice_of(block, sizeof block), h) || h->number != g->number)
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

/* --- without a head ------------------------------------------------------------------------ */

/* What a segment has whose head is none; `bytes` are all of them. */
struct headless {
	struct segment *segment;
	bool            newest;
	uint64_t        before, limit;  /* its numbers are above the one and below the other */
	struct slice    bytes;
};

/*
 * The number of the first record, or 0.  A record of an earlier life of the file is
 * older than anything in the segments before.
 */
static uint64_t
first_record(struct spool *s, const struct headless *h)
{
	struct slice rest = slice_skip(h->bytes, SPOOL_BLOCK);
	struct walk w = { rest, SPOOL_BLOCK, SPOOL_BLOCK, h->before + 1, h->limit, s->salt };

	if (w.salt == 0)
		w.salt = salt_behind(slice_head(h->bytes, SPOOL_BLOCK), h->segment->number, rest);
	if (walk_first(&w) == 0)
		return 0;
	s->salt = w.salt;
	return walk_first(&w);
}

static bool
all_zeros(struct slice s)
{
	return s.n == 0 || (s.p[0] == '\0' && memcmp(s.p, s.p + 1, s.n - 1) == 0);
}

/*
 * Without a head and a first record.  The newest was being begun and nothing in it
 * was accepted, if it has nothing that looks like a batch, or one alone and torn.  If
 * it is not the newest, its beginning failed and another one was begun; should
 * anything be missing, the numbers will show it.  So much for crashes; but only what
 * holds nothing is removed, and where a flushed batch seems to be it is damage.
 */
static void
dispose(struct spool *s, const struct headless *h)
{
	size_t batches = batches_behind(slice_skip(h->bytes, SPOOL_BLOCK), h->before, h->limit);
	bool nothing = all_zeros(h->bytes) || (batches == 0 && h->before > 0), lost;
	char text[16];
	struct slice name = slice_of(text,
	    (size_t)snprintf(text, sizeof text, "%08u", h->segment->number));

	if (nothing && h->newest) {
		remove_in(s, "seg", name);
		return;
	}
	lost = batches > (h->newest ? 1 : 0);
	s->usage.damages += lost;
	if (lost)
		spool_say(s, SPOOL_DAMAGE, "segment %s has no head that can be read and is set aside in "
		    "damaged, with the records that seem to be in it", text);
	else
		spool_say(s, SPOOL_NOTE, "segment %s has no head and no record that can be read and is "
		    "set aside", text);
	spool_aside(s, "seg", name, NULL);
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

static bool
judge_headless(struct spool *s, struct headless *h, struct error *why)
{
	char path[SPOOL_PATH];
	struct scan c;
	bool ok;

	if (!scan_begin(&c, spool_path(s, path, "seg/%08u", h->segment->number), 0, why))
		return false;
	scan_whole(&c);
	ok = scan_was_read(&c, path, why);
	h->bytes = c.walk.bytes;
	if (ok && (h->segment->first = first_record(s, h)) != 0)
		mend_head(s, h->segment, h->newest);
	else if (ok)
		dispose(s, h);
	scan_end(&c);
	return ok;
}

static uint64_t
next_first(const struct spool *s, size_t i)
{
	while (++i < s->count)
		if (s->segments[i].first != 0)
			return s->segments[i].first;
	return NO_LIMIT;
}

static bool
keep_readable(struct spool *s, struct error *why)
{
	uint64_t before = 0;
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		struct segment *g = &s->segments[i];
		struct headless h = { g, i + 1 == s->count, before, next_first(s, i), NONE };

		if (g->first == 0 && !judge_headless(s, &h, why))
			return false;
		if (g->first == 0)
			continue;
		before = g->first;
		s->segments[n++] = *g;
	}
	s->count = n;
	return true;
}

/*
 * Behind all that are there, also behind those that were just set aside, if they are
 * near: a stray file does not take us to where numbers end.
 */
static uint32_t
next_number(const struct spool *s, const uint32_t *seen, size_t count)
{
	uint32_t last = s->count > 0 ? s->segments[s->count - 1].number : 0;

	for (size_t i = 0; i < count; i++)
		if (seen[i] > last && seen[i] - last <= NEAR)
			last = seen[i];
	return last + 1;
}

/* All are read before anything is touched. */
static bool
take_segments(struct spool *s, struct error *why)
{
	struct rng rng = rng_random();
	size_t count = s->count;
	uint32_t *seen = must_alloc((count + 1) * sizeof *seen);
	bool ok = read_heads(s, why);

	for (size_t i = 0; i < count; i++)
		seen[i] = s->segments[i].number;
	ok = ok && keep_readable(s, why);
	s->next_segment = ok ? next_number(s, seen, count) : 0;
	while (s->salt == 0)
		s->salt = rng_next(&rng);
	free(seen);
	return ok;
}

static bool
find_segments(struct spool *s, struct error *why)
{
	if (!for_names(s, "seg", add_segment, why))
		return false;
	if (s->count > 0)
		qsort(s->segments, s->count, sizeof *s->segments, by_number);
	return take_segments(s, why);
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
	if (s->witness.reach.sequence != 0 && r->sequence > s->witness.reach.sequence)
		living_apply(&s->witness.living, r, reach.at);
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
	ok = scan_was_read(&c, path, why) && file_flush(c.fd, why);
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

/* False with a number when it could not be read: then nobody knows. */
static bool
reach_is_there(struct spool *s, const struct reach *reach, struct error *why)
{
	const struct record_reader reader = spool_reader(s);
	struct spool_record r;

	if (place_is_valid(s, reach->at) && reader.read(reader.arg, reach->at, &r, why) &&
	    r.sequence == reach->sequence)
		return true;
	return why->number == 0 && error_set(why, "it ends with a record that is not there");
}

static bool
any_place(void *arg, struct spot at)
{
	(void)arg;
	return at.segment != 0;
}

/*
 * A catalogue that is whole and does not fit the segments has seen what is missing:
 * its rows are written after their records were flushed.  One that ends before the
 * segments begin is an old one, of before a power cut, and those it lists may have
 * ended in between.
 */
static void
call_witness(struct spool *s)
{
	struct witness *w = &s->witness;

	if (!catalogue_load(s->catalogue, &w->living, any_place, NULL, &w->reach, NULL))
		w->reach.sequence = 0;
	if (s->count > 0 && w->reach.sequence + 1 < s->segments[0].first) {
		living_free(&w->living);
		w->reach.sequence = 0;
	}
}

/* Who is lost; the first of them stands for all. */
static void
hear_witness(struct spool *s)
{
	struct whereabouts *w;
	uint64_t first = 0;
	size_t at = 0, lost = 0;
	char id[ID_TEXT + 1];

	while ((w = living_next(&s->witness.living, &at)) != NULL)
		if (w->message.segment != 0 && living_find(&s->living, w->id) == NULL) {
			lost++;
			first = first == 0 || w->id < first ? w->id : first;
		}
	living_free(&s->witness.living);
	if (lost == 0)
		return;
	id_text(first, id);
	s->usage.damages += lost;
	spool_say(s, SPOOL_DAMAGE, "%zu messages are in the catalogue and in no segment any more, "
	    "the first of them %s: they are lost unless what went missing comes back", lost, id);
}

/* False when nobody knows, because the disk refused; `loaded_r` tells what it is worth. */
static bool
load_catalogue(struct spool *s, struct reach *reach, bool *loaded_r, struct error *doubt,
    struct error *why)
{
	*loaded_r = false;
	if (s->catalogue == NULL ||
	    !catalogue_load(s->catalogue, &s->living, place_is_valid, s, reach, doubt))
		return true;
	*doubt = (struct error){ 0 };
	*loaded_r = reach_is_there(s, reach, doubt);
	if (*loaded_r)
		return true;
	living_free(&s->living);
	return doubt->number == 0 || error_set(why, "%s", doubt->text);
}

/* It is made again when the segments were read in its place, and not before. */
static bool
use_catalogue(struct spool *s, struct reach *reach, bool *loaded_r, struct error *why)
{
	char path[SPOOL_PATH];
	struct error doubt = { 0 };

	s->catalogue = catalogue_open(spool_path(s, path, "catalogue"), s->options.clock, false, &doubt);
	if (s->catalogue != NULL && catalogue_aside(s->catalogue) != NULL)
		spool_say(s, SPOOL_NOTE, "the catalogue was damaged and is set aside as %s",
		    catalogue_aside(s->catalogue));
	if (!load_catalogue(s, reach, loaded_r, &doubt, why))
		return false;
	if (*loaded_r)
		return true;
	if (s->catalogue != NULL)
		call_witness(s);
	s->usage.rebuilt = s->count > 0;
	if (s->count > 0 && (s->catalogue == NULL || !catalogue_blank(s->catalogue)))
		spool_doubt_catalogue(s, doubt.text);
	catalogue_close(s->catalogue);
	s->catalogue = NULL;
	return true;
}

static void
begin_catalogue(struct spool *s)
{
	char path[SPOOL_PATH];
	struct error why = { 0 };

	s->catalogue = catalogue_open(spool_path(s, path, "catalogue"), s->options.clock, true, &why);
	if (s->catalogue == NULL)
		spool_say(s, SPOOL_NOTE, "working without a catalogue: %s", why.text);
	else
		catalogue_note_all(s->catalogue, &s->living, s->newest);
}

static bool
replay(struct spool *s, struct error *why)
{
	struct reach reach = { 0 };
	bool loaded;
	size_t i;

	if (!use_catalogue(s, &reach, &loaded, why))
		return false;
	i = loaded ? (size_t)(spool_segment(s, reach.at.segment) - s->segments) : 0;
	s->sequence = 1;
	if (loaded && !replay_segment(s, i++, reach.at.offset, reach.sequence, true, why))
		return false;
	for (; i < s->count; i++)
		if (!replay_segment(s, i, SPOOL_BLOCK, s->segments[i].first, loaded, why))
			return false;
	living_forget_ghosts(&s->living);
	hear_witness(s);
	if (!loaded)
		begin_catalogue(s);
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
		spool_aside(s, "content", name, NULL);  /* perhaps of a record that was lost */
	else
		remove_in(s, "content", name);
}

static bool
has_content(const struct spool *s, const struct whereabouts *w)
{
	char path[SPOOL_PATH];

	return !w->large || access(spool_content_path(s, w->id, path), F_OK) == 0 || errno != ENOENT;
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
		bool read;

		if (!scan_begin(&c, spool_path(s, path, "seg/%08u", g->number), s->salt, why))
			return false;
		scan_from(&c, SPOOL_BLOCK, g->first, limit_of(s, i));
		while ((what = scan_next(&c, &r, &at, &d)) != WALK_END)
			if (what == WALK_RECORD)
				living_apply(truth, &r, (struct spot){ g->number, (uint32_t)at,
				    (uint32_t)record_length(r.payload.n) });
		read = scan_was_read(&c, path, why);
		scan_end(&c);
		if (!read)
			return false;
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

void
contents_name(struct error *why, uint64_t id, const struct error *one)
{
	static const char more[] = ", and more";
	size_t n = strlen(why->text), room = sizeof why->text - n;
	char text[ID_TEXT + 1];

	id_text(id, text);
	if (n == 0)
		*why = *one;
	else if (room > ID_TEXT + 30)
		snprintf(why->text + n, room, "%s%s",
		    strstr(why->text, "; so is ") == NULL ? "; so is " : ", ", text);
	else if (strstr(why->text, more) == NULL && room > sizeof more)
		memcpy(why->text + n, more, sizeof more);
}

/* One message.  That its record is damaged the reader tells, that it has no file the start. */
static bool
content_is_right(struct spool *s, const struct whereabouts *w, struct error *why)
{
	struct arena *arena = arena_new(VERIFY_MEMORY);
	struct buf bytes = BUF(RECORD_MOST);
	struct error local = { 0 };
	struct stored m;
	bool ok = spool_read(s, w->id, &bytes, arena, &m, &local) &&
	    (m.fd == -1 || content_check(m.fd, &m.envelope, &local));

	if (m.fd != -1)
		close(m.fd);
	buf_free(&bytes);
	arena_free(arena);
	if (ok)
		return true;
	if (m.envelope.count > 0 && has_content(s, w)) {        /* else it was told already */
		s->usage.damages++;
		spool_say(s, SPOOL_DAMAGE, "%s", local.text);
	}
	contents_name(why, w->id, &local);
	return false;
}

bool
spool_verify_contents(struct spool *s, struct error *why)
{
	const struct whereabouts *w;
	struct error all = { 0 };
	size_t at = 0;
	bool right = true;

	while ((w = living_next(&s->living, &at)) != NULL)
		if (w->large && w->message.segment != 0)
			right = content_is_right(s, w, &all) && right;
	return right || error_set(why, "%s", all.text);
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
