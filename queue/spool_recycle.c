/* SPDX-License-Identifier: ISC */
/*
 * Housekeeping.  The loop decides what has become free; the caretaker renames,
 * removes and fills with zeros, one thing after the other, in the order in which
 * it was told: a segment may only vanish when all before it have.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "queue/spool_inside.h"

enum {
	ROWS = 2000,                    /* of the catalogue, written in one turn */
	DUE = 200000,                   /* so many wait no longer */
	COPIES = 256,                   /* records copied forward in one turn */
	COPY_BYTES = 1 << 20,
	SLACK = 4,                      /* segments that may be there whatever is in them */
	NEARLY_DEAD = 8,                /* an eighth of it lives, or less */
	ZEROS = 1 << 18,                /* written at once */
	PAUSE_MS = 10,                  /* after that, while records come */
	SOON = 2,                       /* turns between attempts to make a spare on a full disk */
	SELDOM = 64,                    /* between checkpoints, and attempts to make a catalogue */
};

/* --- chores --------------------------------------------------------------------------------- */

void
spool_chore(struct spool *s, int kind, uint64_t number)
{
	struct chore *c = must_alloc(sizeof *c);

	c->kind = kind;
	c->number = number;
	pthread_mutex_lock(&s->lock);
	*s->chores_last = c;
	s->chores_last = &c->next;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
}

/* Of the right size, and not too many: then it is used again as it is. */
static bool
good_as_spare(struct spool *s, const char *path)
{
	struct stat st;
	bool wanted;

	pthread_mutex_lock(&s->lock);
	wanted = s->spares < s->options.spares;
	pthread_mutex_unlock(&s->lock);
	return wanted && stat(path, &st) == 0 && (uint64_t)st.st_size >= s->options.segment &&
	    (uint64_t)st.st_size <= 2 * s->options.segment;
}

static void
offer_spare(struct spool *s, uint32_t number)
{
	pthread_mutex_lock(&s->lock);
	if (s->spares < SPARES_MOST)
		s->spare[s->spares++] = number;
	s->tight = false;
	pthread_mutex_unlock(&s->lock);
}

/*
 * The directory is flushed before anything else happens: not before may the file
 * be written to under another name, nor may the next segment go.
 */
static bool
retire(struct spool *s, uint32_t segment, struct error *why)
{
	char path[SPOOL_PATH], spare[SPOOL_PATH], dir[SPOOL_PATH];
	uint32_t number = s->spare_names + 1;
	bool keep;

	spool_path(s, path, "seg/%08u", segment);
	keep = good_as_spare(s, path);          /* not, when it went before the flush failed */
	if (keep ? !file_rename(path, spool_path(s, spare, "seg/spare-%u", number), why)
	    : !file_remove(path, why))
		return false;
	if (!dir_flush(spool_path(s, dir, "seg"), why))
		return false;
	if (keep) {
		s->spare_names = number;
		offer_spare(s, number);
	}
	return true;
}

static bool
put_aside(struct spool *s, uint32_t segment, struct error *why)
{
	char from[SPOOL_PATH], dir[SPOOL_PATH], name[16];
	size_t n = (size_t)snprintf(name, sizeof name, "%08u", segment);

	spool_path(s, from, "seg/%s", name);
	return (access(from, F_OK) == -1 || spool_aside(s, "seg", slice_of(name, n), why)) &&
	    dir_flush(spool_path(s, dir, "damaged"), why) &&
	    dir_flush(spool_path(s, dir, "seg"), why);
}

static bool
do_chore(struct spool *s, const struct chore *c, struct error *why)
{
	char path[SPOOL_PATH];

	switch (c->kind) {
	case CHORE_RETIRE: return retire(s, (uint32_t)c->number, why);
	case CHORE_ASIDE:  return put_aside(s, (uint32_t)c->number, why);
	case CHORE_REMOVE: return file_remove(spool_content_path(s, c->number, path), why);
	}
	return true;
}

/* The catalogue stays open while one runs. */
static void
checkpoint_if_due(struct spool *s)
{
	bool due;

	pthread_mutex_lock(&s->lock);
	due = s->checkpointing = s->checkpoint_due;
	s->checkpoint_due = false;
	pthread_mutex_unlock(&s->lock);
	if (!due)
		return;
	catalogue_checkpoint(s->catalogue, NULL);       /* if it fails, the next write tells */
	pthread_mutex_lock(&s->lock);
	s->checkpointing = false;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
}

void
spool_wait_for_checkpoint(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->checkpoint_due = false;
	while (s->checkpointing)
		pthread_cond_wait(&s->work, &s->lock);
	pthread_mutex_unlock(&s->lock);
}

/* --- spares ----------------------------------------------------------------------------------- */

static bool
stopping(struct spool *s)
{
	bool stop;

	pthread_mutex_lock(&s->lock);
	stop = s->stopping;
	pthread_mutex_unlock(&s->lock);
	return stop;
}

static uint64_t
records_so_far(struct spool *s)
{
	uint64_t n;

	pthread_mutex_lock(&s->lock);
	n = s->usage.records;
	pthread_mutex_unlock(&s->lock);
	return n;
}

/*
 * Whoever waits for a flush waits also for the zeros that are on their way.  So as
 * long as records come they are written in small pieces with pauses between; when
 * there is no spare in time, the segment grows as it is written.
 */
static void
let_pass(struct spool *s, uint64_t *before)
{
	static const struct timespec pause = { 0, PAUSE_MS * 1000000 };
	uint64_t now = records_so_far(s);

	if (now != *before)
		nanosleep(&pause, NULL);
	*before = now;
}

/* Blocks that were written once cost a third of the flush of blocks that were not. */
static bool
fill(struct spool *s, int fd, struct error *why)
{
	static const char zeros[ZEROS];
	uint64_t left = s->options.segment, records = records_so_far(s);

	for (off_t at = 0; left > 0; at += ZEROS) {
		size_t n = left < ZEROS ? left : ZEROS;

		if (stopping(s))
			return error_set(why, "the spool is being closed");
		if (!file_write_at(fd, slice_of(zeros, n), at, why) || !file_flush(fd, why))
			return false;
		left -= n;
		let_pass(s, &records);
	}
	return true;
}

/* A disk that is nearly full is not filled to the brim with zeros. */
static bool
is_room(const struct spool *s, struct error *why)
{
	struct statvfs v;

	if (statvfs(s->dir, &v) == -1)
		return error_sys(why, "cannot look at %s", s->dir);
	errno = ENOSPC;
	return (uint64_t)v.f_bavail * v.f_frsize >= 2 * s->options.segment ||
	    error_sys(why, "cannot make another segment");
}

static bool
make_spare(struct spool *s, struct error *why)
{
	char path[SPOOL_PATH], spare[SPOOL_PATH];
	uint32_t number = s->spare_names + 1;
	int fd;
	bool ok;

	if (!is_room(s, why))
		return false;
	spool_path(s, path, "seg/spare-new");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd == -1)
		return error_sys(why, "cannot create %s", path);
	ok = fill(s, fd, why);
	close(fd);
	if (ok && file_rename(path, spool_path(s, spare, "seg/spare-%u", number), why)) {
		s->spare_names = number;
		offer_spare(s, number);
		return true;
	}
	file_remove(path, NULL);
	return false;
}

/* --- the caretaker -------------------------------------------------------------------------------- */

static struct chore *
first_chore(struct spool *s)
{
	struct chore *c;

	pthread_mutex_lock(&s->lock);
	c = s->still > 0 && !s->stopping ? NULL : s->chores;
	s->caring = c != NULL;
	pthread_mutex_unlock(&s->lock);
	return c;
}

static void
care_no_more(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->caring = false;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
}

void
spool_keep_still(struct spool *s, uint32_t *segment_r, uint64_t *bytes_r)
{
	pthread_mutex_lock(&s->lock);
	s->still++;
	while (s->caring)
		pthread_cond_wait(&s->work, &s->lock);
	pthread_mutex_unlock(&s->lock);
	*segment_r = s->newest.at.segment;
	*bytes_r = (uint64_t)s->newest.at.offset + s->newest.at.length;
}

void
spool_go_on(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	bug_if(s->still == 0);
	s->still--;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
}

static void
chore_done(struct spool *s, struct chore *c)
{
	pthread_mutex_lock(&s->lock);
	s->chores = c->next;
	if (s->chores == NULL)
		s->chores_last = &s->chores;
	pthread_mutex_unlock(&s->lock);
	free(c);
}

static bool
spare_wanted(struct spool *s)
{
	bool wanted;

	pthread_mutex_lock(&s->lock);
	wanted = s->spares < s->options.spares && !s->tight && !s->stopping;
	pthread_mutex_unlock(&s->lock);
	return wanted;
}

/* A chore that fails stays the first: what comes behind it may depend on it. */
void
spool_chores(struct spool *s)
{
	struct chore *c;
	struct error why = { 0 };

	while ((c = first_chore(s)) != NULL && do_chore(s, c, &why))
		chore_done(s, c);
	care_no_more(s);
	checkpoint_if_due(s);
	if (c == NULL && spare_wanted(s) && !make_spare(s, &why) && why.number == ENOSPC) {
		pthread_mutex_lock(&s->lock);
		s->tight = true;                /* until there is one, or somebody looks again */
		pthread_mutex_unlock(&s->lock);
	}
}

/* It wakes up when there is something new, and, after a failure, with every turn of the loop. */
void *
spool_caretaker(void *arg)
{
	struct spool *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		pthread_mutex_unlock(&s->lock);
		spool_chores(s);
		pthread_mutex_lock(&s->lock);
		if (!s->stopping)
			pthread_cond_wait(&s->work, &s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	spool_chores(s);                        /* what is left; no spare */
	return NULL;
}

/* --- what has become free ------------------------------------------------------------------------- */

static uint64_t
disk_bytes(const struct spool *s)
{
	return s->count * s->options.segment;
}

/* The rows must not need its records any more. */
static bool
catalogue_needs(const struct spool *s, const struct segment *next)
{
	uint64_t reach = s->catalogue != NULL ? catalogue_reach(s->catalogue) : 0;

	return reach != 0 && reach < next->first;
}

static void
drop_oldest(struct spool *s, int how)
{
	struct segment *g = &s->segments[0];

	if (g->fd != -1)
		close(g->fd);
	living_trim(&s->living, g->number);
	spool_chore(s, how, g->number);
	s->count--;
	memmove(s->segments, s->segments + 1, s->count * sizeof *s->segments);
	s->copying.segment = 0;
}

static bool
retire_oldest(struct spool *s)
{
	if (s->count < 2 || living_bytes(&s->living, s->segments[0].number) > 0 ||
	    s->copying.in_flight > 0 || catalogue_needs(s, &s->segments[1]))
		return false;
	drop_oldest(s, s->segments[0].damaged ? CHORE_ASIDE : CHORE_RETIRE);
	return true;
}

/* --- copying forward ------------------------------------------------------------------------------- */

/* Is it worth copying what lives in the oldest? */
static bool
worth_copying(const struct spool *s)
{
	uint64_t living = living_bytes_all(&s->living);
	uint64_t oldest = s->count > 0 ? living_bytes(&s->living, s->segments[0].number) : 0;

	if (s->count <= SLACK || oldest == 0 || s->told)
		return false;
	return disk_bytes(s) > 2 * living + SLACK * s->options.segment ||
	    oldest * NEARLY_DEAD <= s->options.segment;
}

/* False when it must wait: the message has records on their way that would be overtaken. */
static bool
copy_record(struct spool *s, const struct spool_record *r, struct spot at)
{
	struct submission *m;

	if (!living_has(&s->living, r, at))
		return true;
	if (living_find(&s->living, r->id)->in_flight > 0)
		return false;
	m = submission_new(r->kind, r->id, r->payload, NONE);
	m->copy = true;
	s->copying.in_flight++;
	spool_enqueue(s, m);
	return true;
}

static void
begin_copying(struct spool *s)
{
	s->copying.segment = s->segments[0].number;
	s->copying.at = SPOOL_BLOCK;
	s->copying.expect = s->segments[0].first;
	s->copying.in_flight = 0;
	s->copying.failed = s->copying.walked = s->copying.refused = false;
}

static void
walk_some(struct spool *s, struct scan *c)
{
	size_t copied = 0, bytes = 0;
	struct damage d;
	struct spool_record r;
	uint64_t at;

	while (copied < COPIES && bytes < COPY_BYTES) {
		uint64_t before = c->walk.at, expect = c->walk.expect;
		enum walked what = scan_next(c, &r, &at, &d);
		struct spot place = { s->segments[0].number, (uint32_t)at, 0 };
		size_t in_flight = s->copying.in_flight;

		if (c->unreadable)
			return;
		s->copying.walked = what == WALK_END;
		if (what == WALK_DAMAGE)
			s->segments[0].damaged = true;
		if (s->copying.walked || (what == WALK_RECORD && !copy_record(s, &r, place))) {
			s->copying.at = before;
			s->copying.expect = expect;
			return;
		}
		s->copying.at = c->walk.at;
		s->copying.expect = c->walk.expect;
		bytes += s->copying.at - before;
		copied += s->copying.in_flight - in_flight;
	}
}

static void
message_lost(void *arg, uint64_t id)
{
	struct spool *s = arg;
	char text[ID_TEXT + 1];

	id_text(id, text);
	s->usage.damages++;
	spool_say(s, SPOOL_DAMAGE, "message %s cannot be read and is lost", text);
}

/* All was copied that can be read; what still is said to lie here cannot. */
static void
give_up_oldest(struct spool *s)
{
	living_forget_segment(&s->living, s->segments[0].number, message_lost, s);
	if (s->catalogue != NULL)
		spool_doubt_catalogue(s, "a segment is damaged");
	drop_oldest(s, CHORE_ASIDE);
}

static bool
copy_some(struct spool *s)
{
	char path[SPOOL_PATH];
	struct error why = { 0 };
	struct scan c;
	bool read;

	if (s->copying.refused && s->turns % SELDOM != 0)
		return false;
	if (s->copying.segment != s->segments[0].number)
		begin_copying(s);
	if (s->copying.walked) {
		if (s->copying.in_flight > 0)
			return false;
		if (s->copying.failed)
			begin_copying(s);
		else if (living_bytes(&s->living, s->segments[0].number) > 0)
			give_up_oldest(s);
		return true;
	}
	if (!scan_begin(&c, spool_path(s, path, "seg/%08u", s->copying.segment), s->salt, NULL))
		return false;
	scan_from(&c, s->copying.at, s->copying.expect, s->segments[1].first);
	walk_some(s, &c);
	read = scan_was_read(&c, path, &why);
	scan_end(&c);
	if (!read && !s->copying.refused)
		spool_say(s, SPOOL_DAMAGE, "%s; what lives in it stays there", why.text);
	s->copying.refused = !read;
	return read;
}

/* --- a turn --------------------------------------------------------------------------------------- */

static void
renew_catalogue(struct spool *s)
{
	char path[SPOOL_PATH];
	struct error why = { 0 };

	s->catalogue = catalogue_open(spool_path(s, path, "catalogue"), s->options.clock, true, &why);
	if (s->catalogue != NULL)
		catalogue_note_all(s->catalogue, &s->living, s->newest);
}

void
spool_rebuild(struct spool *s)
{
	if (s->catalogue != NULL)
		spool_doubt_catalogue(s, "somebody wants it");
	renew_catalogue(s);
}

static void
ask_for_checkpoint(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->checkpoint_due = true;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
}

static void
ripen_catalogue(struct spool *s)
{
	int64_t now = clock_ticks(s->options.clock);

	if (now - s->ripened < SECOND && catalogue_due(s->catalogue) < DUE)
		return;
	s->ripened = now;
	catalogue_ripen(s->catalogue);
}

static void
tidy_catalogue(struct spool *s)
{
	const struct record_reader reader = spool_reader(s);
	struct error why = { 0 };

	if (s->catalogue == NULL && s->turns % SELDOM == 0)
		renew_catalogue(s);
	if (s->catalogue == NULL)
		return;
	ripen_catalogue(s);
	if (!catalogue_write(s->catalogue, &s->living, &reader, ROWS, &why))
		spool_doubt_catalogue(s, why.text);
	else if (s->turns % SELDOM == 0)
		ask_for_checkpoint(s);
}

/* Trouble may be over: try what was left, and let the caretaker look again. */
static void
try_again(struct spool *s)
{
	spool_nudge(s);
	pthread_mutex_lock(&s->lock);
	if (s->turns % SOON == 0)
		s->tight = false;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (s->options.threadless)
		spool_chores(s);
}

bool
spool_tidy(struct spool *s)
{
	bool more = false;

	s->turns++;
	tidy_catalogue(s);
	while (retire_oldest(s))
		more = true;
	if (worth_copying(s))
		more = copy_some(s) || more;
	try_again(s);
	return more || (s->catalogue != NULL && catalogue_ripe(s->catalogue) > 0);
}
