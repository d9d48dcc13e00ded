/* SPDX-License-Identifier: ISC */
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "queue/spool_inside.h"

enum { SEGMENT_BYTES = 64 << 20, WAITING_BYTES = 64 << 20, SEGMENT_LEAST = 4 * SPOOL_BLOCK,
	QUICK = 300, FEW = 4, MANY = 8192, WALK_ROWS = 500, PIECE = 256 << 10 };

/* --- small words ------------------------------------------------------------------------ */

const char *
spool_path(const struct spool *s, char path[SPOOL_PATH], const char *format, ...)
{
	int n = snprintf(path, SPOOL_PATH, "%s/", s->dir);
	va_list args;

	va_start(args, format);
	n += vsnprintf(path + n, SPOOL_PATH - (size_t)n, format, args);
	va_end(args);
	bug_if(n >= SPOOL_PATH);
	return path;
}

const char *
spool_content_path(const struct spool *s, uint64_t id, char path[SPOOL_PATH])
{
	char text[ID_TEXT + 1];

	id_text(id, text);
	return spool_path(s, path, "content/%s", text);
}

void
spool_say(struct spool *s, enum spool_news what, const char *format, ...)
{
	char text[512];
	va_list args;

	if (s->options.news == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	s->options.news(s->options.arg, what, text);
}

struct status
spool_status(const struct error *why)
{
	if (why->number == ENOSPC || why->number == EDQUOT)
		return STATUS(452, 4, 3, 1, "no space to keep the message");
	return STATUS(451, 4, 3, 0, "cannot keep the message now");
}

void
line_begin(struct line *l)
{
	*l = (struct line){ .first = NULL };
	l->last = &l->first;
}

void
line_put(struct line *l, struct submission *m)
{
	m->next = NULL;
	*l->last = m;
	l->last = &m->next;
	l->n++;
	l->bytes += m->length;
}

struct submission *
line_take(struct line *l)
{
	struct submission *m = l->first;

	if (m == NULL)
		return NULL;
	if ((l->first = m->next) == NULL)
		l->last = &l->first;
	l->n--;
	l->bytes -= m->length;
	return m;
}

void
line_append(struct line *l, struct line *more)
{
	if (more->first == NULL)
		return;
	*l->last = more->first;
	l->last = more->last;
	l->n += more->n;
	l->bytes += more->bytes;
	line_begin(more);
}

void
spool_ring(struct spool *s)
{
	const uint64_t one = 1;

	bug_if(write(s->bell, &one, sizeof one) != sizeof one);
}

void
spool_nudge(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->wanted = s->todo.first != NULL;
	if (s->wanted && s->options.threadless)
		spool_ring(s);
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

int
spool_fd(const struct spool *s)
{
	return s->bell;
}

/* --- reading ------------------------------------------------------------------------------ */

struct segment *
spool_segment(struct spool *s, uint32_t number)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->segments[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count && s->segments[low].number == number ? &s->segments[low] : NULL;
}

static bool
open_segment(struct spool *s, struct segment *g, struct error *why)
{
	char path[SPOOL_PATH];

	if (g->fd == -1)
		g->fd = open(spool_path(s, path, "seg/%08u", g->number), O_RDONLY | O_CLOEXEC);
	return g->fd != -1 || error_sys(why, "cannot open segment %u", g->number);
}

static bool
read_record(struct spool *s, struct spot at, struct spool_record *r, struct error *why)
{
	struct segment *g = spool_segment(s, at.segment);
	struct error local = { 0 };

	if (g == NULL)
		return error_set(why, "segment %u is not there", at.segment);
	buf_clear(&s->record);
	if (buf_room(&s->record, at.length) == NULL)
		return error_set(why, "a record of %u bytes cannot be", at.length);
	s->record.n = at.length;
	if (!open_segment(s, g, why))
		return false;
	if (!file_read_at(g->fd, s->record.p, at.length, at.offset, &local)) {
		errno = local.number;
		return local.number != 0
		    ? error_sys(why, "cannot read the record at %u of segment %u", at.offset, at.segment)
		    : error_set(why, "segment %u ends before its record at %u", at.segment, at.offset);
	}
	return record_read(buf_slice(&s->record), s->salt, r) || error_set(why,
	    "the record at %u of segment %u is damaged", at.offset, at.segment);
}

static bool
read_or_say(void *arg, struct spot at, struct spool_record *r, struct error *why)
{
	struct spool *s = arg;
	struct error local = { 0 };

	if (read_record(s, at, r, &local))
		return true;
	spool_say(s, SPOOL_DAMAGE, "%s", local.text);
	if (why != NULL)
		*why = local;
	return false;
}

struct record_reader
spool_reader(struct spool *s)
{
	return (struct record_reader){ read_or_say, s };
}

bool
spool_living(const struct spool *s, uint64_t id)
{
	const struct whereabouts *w = living_find(&s->living, id);

	return w != NULL && w->message.segment != 0;
}

static bool
open_content(struct spool *s, struct stored *m, struct error *why)
{
	char path[SPOOL_PATH];
	struct stat st;

	m->fd = open(spool_content_path(s, m->envelope.id, path), O_RDONLY | O_CLOEXEC);
	if (m->fd == -1)
		return error_sys(why, "cannot open %s", path);
	if (fstat(m->fd, &st) == 0 && (uint64_t)st.st_size == m->envelope.size)
		return true;
	close(m->fd);
	m->fd = -1;
	return error_set(why, "%s does not have the length it had", path);
}

static bool
sum_up(int fd, uint64_t size, struct checksum *sum, struct error *why)
{
	char *piece = must_alloc(PIECE);
	bool ok = true;

	for (uint64_t at = 0; ok && at < size; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;

		ok = file_read_at(fd, piece, n, (off_t)at, why);
		checksum_add(sum, slice_of(piece, ok ? n : 0));
	}
	free(piece);
	return ok;
}

bool
content_check(int fd, const struct envelope *e, struct error *why)
{
	struct checksum sum = envelope_checksum(e);
	struct error local = { 0 };
	char id[ID_TEXT + 1];

	id_text(e->id, id);
	if (!sum_up(fd, e->size, &sum, &local)) {
		error_set(why, "content/%s: %.200s", id, local.text);
		if (why != NULL)
			why->number = local.number;
		return false;
	}
	return checksum_right(&sum) ||
	    error_set(why, "content/%s is damaged: it does not have the checksum it had", id);
}

/* The record has rotted: whose message it was the catalogue may know. */
static void
recall(struct spool *s, uint64_t id, struct buf *bytes, struct arena *arena, struct envelope *e)
{
	if (s->catalogue == NULL || !catalogue_recall(s->catalogue, id, bytes, arena, e))
		e->count = 0;
}

bool
spool_read(struct spool *s, uint64_t id, struct buf *bytes, struct arena *arena,
    struct stored *m, struct error *why)
{
	const struct whereabouts *w = living_find(&s->living, id);
	struct error local = { 0 };
	struct message_payload p;
	struct spool_record r;

	*m = (struct stored){ .fd = -1 };
	buf_clear(bytes);
	if (w == NULL || w->message.segment == 0)
		return error_set(why, "there is no such message");
	if (!read_or_say(s, w->message, &r, &local)) {
		if (!read_refused(&local))
			recall(s, id, bytes, arena, &m->envelope);
		if (why != NULL)
			*why = local;
		return false;
	}
	if (!buf_add(bytes, r.payload))
		return error_set(why, "the message is longer than %zu bytes", bytes->ceiling);
	if (r.id != id || !message_read(buf_slice(bytes), &p))
		return error_set(why, "the message's record is damaged");
	m->content = p.content;
	if (!envelope_unpack(&m->envelope, p.envelope, arena, why)) {
		m->envelope.count = 0;
		return false;
	}
	return !p.in_file || open_content(s, m, why);
}

bool
spool_read_seal(struct spool *s, uint64_t id, struct slice route, struct buf *fields)
{
	const struct whereabouts *w = living_find(&s->living, id);
	struct spot at = w ? seal_place(w, route_number(route)) : (struct spot){ 0, 0, 0 };
	struct slice of, made;
	struct spool_record r;

	return at.segment != 0 && read_or_say(s, at, &r, NULL) && r.id == id &&
	    seal_read(r.payload, &of, &made) && slice_eq(of, route) && buf_add(fields, made);
}

bool
spool_look(struct spool *s, uint64_t id, bool (*each)(void *, const struct found *), void *arg,
    struct error *why)
{
	const struct record_reader reader = spool_reader(s);
	const struct whereabouts *w = living_find(&s->living, id);

	if (w == NULL || w->message.segment == 0)
		return error_set(why, "there is no such message");
	return living_look(w, &reader, each, arg, why);
}

/* --- putting in ----------------------------------------------------------------------------- */

struct submission *
submission_new(enum record_kind kind, uint64_t id, struct slice first, struct slice second)
{
	size_t payload = first.n + second.n, length = record_length(payload);
	struct submission *m = malloc(sizeof *m + length);

	bug_if(m == NULL);
	*m = (struct submission){ .kind = kind, .id = id, .payload = payload, .length = length,
		.content = { -1, 0 } };
	if (first.n)
		memcpy(m->bytes + RECORD_HEADER, first.p, first.n);
	if (second.n)
		memcpy(m->bytes + RECORD_HEADER + first.n, second.p, second.n);
	return m;
}

/*
 * A quick flush costs less than to wake the committer and be woken by him: then the
 * loop writes a few small things itself, in its next turn.  Where many come the
 * committer gathers more of them, and the loop goes on meanwhile.
 */
static bool
better_here(const struct spool *s, const struct submission *m)
{
	return s->usage.flushes > 0 && s->pace < s->options.quick && !s->wanted && !s->busy && !s->troubled &&
	    s->todo.n < FEW && m->done != NULL && m->content.fd == -1;
}

void
spool_enqueue(struct spool *s, struct submission *m)
{
	bool here, first;
	struct whereabouts *w = living_expect(&s->living, m->id);

	m->counted = !m->copy;          /* a copy may be overtaken, and does not overtake */
	w->in_flight += m->counted;
	w->going = w->going || m->kind == RECORD_GONE;
	s->submitted++;
	m->serial = ++s->asked;
	pthread_mutex_lock(&s->lock);
	here = better_here(s, m);
	line_put(&s->todo, m);
	first = s->todo.n == 1;
	s->here = s->here || here;
	s->wanted = s->wanted || (m->done != NULL && !here);
	pthread_mutex_unlock(&s->lock);
	if (here || s->options.threadless)
		spool_ring(s);
	else if (m->done != NULL || first)
		pthread_cond_signal(&s->wake);
}

bool
spool_content_begin(struct spool *s, struct spool_content *c, struct error *why)
{
	char path[SPOOL_PATH];

	c->number = ++s->contents;
	spool_path(s, path, "content/new-%llu", (unsigned long long)c->number);
	c->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (c->fd != -1)
		return true;
	error_sys(why, "cannot create %s", path);
	s->usage.refused++;
	return false;
}

void
spool_content_drop(struct spool *s, struct spool_content *c)
{
	char path[SPOOL_PATH];

	if (c->fd == -1)
		return;
	close(c->fd);
	c->fd = -1;
	file_remove(spool_path(s, path, "content/new-%llu", (unsigned long long)c->number), NULL);
}

/* It does not even get into the line. */
static void
refuse(struct spool *s, struct submission *m, struct status status)
{
	spool_content_drop(s, &m->content);
	m->status = status;
	s->submitted++;
	pthread_mutex_lock(&s->lock);
	line_put(&s->finished, m);
	pthread_mutex_unlock(&s->lock);
	spool_ring(s);
}

static bool
line_is_full(struct spool *s, const struct submission *m)
{
	size_t most = s->options.waiting, waiting;

	if (m->done == NULL)
		most *= 2;              /* knowledge that cannot be asked for again */
	pthread_mutex_lock(&s->lock);
	waiting = s->todo.bytes;
	pthread_mutex_unlock(&s->lock);
	return waiting + m->length > most;
}

/* The record was made in `scratch`; a message must be new, all else about a stored one. */
static void
submit(struct spool *s, struct submission *m, spool_done *done, void *arg)
{
	struct whereabouts *w = living_find(&s->living, m->id);
	bool stored = w != NULL && w->message.segment != 0 && !w->going;

	m->done = done;
	m->arg = arg;
	if (s->scratch.full)
		refuse(s, m, STATUS(552, 5, 3, 4, "the envelope is too large"));
	else if (m->kind == RECORD_MESSAGE && w != NULL)
		refuse(s, m, STATUS(451, 4, 3, 0, "the identifier is in use"));
	else if (m->kind != RECORD_MESSAGE && !stored)
		refuse(s, m, STATUS(554, 5, 3, 0, "there is no such message"));
	else if (line_is_full(s, m))
		refuse(s, m, STATUS(452, 4, 3, 1, "too much waits for the disk"));
	else
		spool_enqueue(s, m);
}

static struct submission *
message_new(struct spool *s, const struct envelope *e, bool in_file, struct slice content)
{
	bug_if(e->id == 0 || e->id > ID_MOST);
	buf_clear(&s->scratch);
	message_pack(in_file, e, &s->scratch);
	return submission_new(RECORD_MESSAGE, e->id, buf_slice(&s->scratch), content);
}

void
spool_store(struct spool *s, const struct envelope *e, struct slice content, spool_done *done,
    void *arg)
{
	bug_if(content.n > SMALL_CONTENT || content.n != e->size);
	submit(s, message_new(s, e, false, content), done, arg);
}

void
spool_store_file(struct spool *s, const struct envelope *e, struct spool_content content,
    spool_done *done, void *arg)
{
	struct submission *m = message_new(s, e, true, NONE);

	m->content = content;
	m->size = e->size;
	submit(s, m, done, arg);
}

void
spool_state(struct spool *s, uint64_t id, const struct recipient_state *state, spool_done *done,
    void *arg)
{
	buf_clear(&s->scratch);
	state_pack(state, &s->scratch);
	bug_if(state->recipient >= RECIPIENTS_MOST);
	submit(s, submission_new(RECORD_STATE, id, buf_slice(&s->scratch), NONE), done, arg);
}

void
spool_seal(struct spool *s, uint64_t id, struct slice route, struct slice fields,
    spool_done *done, void *arg)
{
	buf_clear(&s->scratch);
	seal_pack(route, fields, &s->scratch);
	submit(s, submission_new(RECORD_SEAL, id, buf_slice(&s->scratch), NONE), done, arg);
}

void
spool_gone(struct spool *s, uint64_t id, spool_done *done, void *arg)
{
	buf_clear(&s->scratch);
	submit(s, submission_new(RECORD_GONE, id, NONE, NONE), done, arg);
}

/* --- completing ------------------------------------------------------------------------------- */

/* The committer began a segment: it shows with the first record that comes from it. */
static void
know_segment(struct spool *s, const struct submission *m)
{
	uint32_t number = m->reach.at.segment;

	if (s->count > 0 && s->segments[s->count - 1].number >= number)
		return;
	s->segments = must_grow(s->segments, (s->count + 1) * sizeof *s->segments);
	s->segments[s->count++] = (struct segment){ number, -1, m->reach.sequence, false };
}

static void
apply(struct spool *s, const struct submission *m, struct whereabouts *w)
{
	const struct spool_record r = { m->kind, m->reach.sequence, 0, m->id,
		slice_of(m->bytes + RECORD_HEADER, m->payload) };
	bool rowed = w->rowed, large = w->large;
	struct change c;

	know_segment(s, m);
	c = living_apply(&s->living, &r, m->reach.at);
	s->newest = m->reach;
	if (s->catalogue != NULL)
		catalogue_note(s->catalogue, &c, rowed, m->reach);
	if (m->kind == RECORD_GONE && large)
		spool_chore(s, CHORE_REMOVE, m->id);
}

static void
come_back_failed(struct spool *s, const struct submission *m, struct whereabouts *w)
{
	s->usage.refused += !m->copy;
	if (w == NULL)
		return;
	if (m->kind == RECORD_GONE)
		w->going = false;
	if (w->message.segment == 0 && w->in_flight == 0)
		living_forget(&s->living, m->id);
}

static void
complete_one(struct spool *s, struct submission *m)
{
	struct whereabouts *w = m->counted || m->copy ? living_find(&s->living, m->id) : NULL;

	s->submitted--;
	bug_if((m->counted || m->copy) && w == NULL);
	if (m->counted)
		w->in_flight--;
	if (m->copy) {
		s->copying.in_flight--;
		s->copying.failed = s->copying.failed || !status_good(m->status);
		s->usage.copied += status_good(m->status);
	}
	if (status_good(m->status))
		apply(s, m, w);
	else
		come_back_failed(s, m, w);
	if (m->content.fd != -1)
		close(m->content.fd);
	if (m->done != NULL)
		m->done(m->arg, m->status);
	free(m);
}

static void
tell_news(struct spool *s)
{
	struct error trouble;
	bool troubled, told;

	pthread_mutex_lock(&s->lock);
	troubled = s->troubled;
	told = s->told;
	trouble = s->trouble;
	s->told = troubled;
	pthread_mutex_unlock(&s->lock);
	if (troubled && !told)
		spool_say(s, SPOOL_TROUBLE, "the spool cannot write: %s", trouble.text);
	else if (told && !troubled)
		spool_say(s, SPOOL_WELL, "the spool can write again");
}

void
spool_complete(struct spool *s)
{
	struct submission *m;
	struct line finished;
	uint64_t rings;

	if (s->options.threadless)
		while (spool_commit_some(s))
			;
	else
		spool_commit_here(s);
	(void)!read(s->bell, &rings, sizeof rings);
	line_begin(&finished);
	pthread_mutex_lock(&s->lock);
	line_append(&finished, &s->finished);
	pthread_mutex_unlock(&s->lock);
	while ((m = line_take(&finished)) != NULL)
		complete_one(s, m);
	tell_news(s);
}

/* The disk refuses, and is not being tried again just now; with the lock. */
static bool
is_hopeless(const struct spool *s)
{
	return s->troubled && !s->wanted && !s->busy && s->finished.first == NULL;
}

bool
spool_drain(struct spool *s)
{
	struct pollfd bell = { s->bell, POLLIN, 0 };
	bool hopeless = false;

	spool_nudge(s);
	while (s->submitted > 0 && !hopeless) {
		spool_complete(s);
		pthread_mutex_lock(&s->lock);
		hopeless = is_hopeless(s);
		pthread_mutex_unlock(&s->lock);
		if (s->submitted > 0 && !hopeless)
			poll(&bell, 1, 100);
	}
	return s->submitted == 0;
}

uint64_t
spool_mark(struct spool *s)
{
	spool_nudge(s);
	return s->asked;
}

enum spool_progress
spool_progress(struct spool *s, uint64_t mark)
{
	uint64_t oldest = UINT64_MAX;           /* of those that are not on the disk */
	enum spool_progress progress;

	pthread_mutex_lock(&s->lock);
	if (s->busy)
		oldest = s->batch;
	else if (s->todo.first != NULL)
		oldest = s->todo.first->serial;
	progress = oldest > mark && s->finished.first == NULL ? SPOOL_WRITTEN
	    : is_hopeless(s) ? SPOOL_REFUSED : SPOOL_UNDER_WAY;
	pthread_mutex_unlock(&s->lock);
	return progress;
}

/* --- all that lives ----------------------------------------------------------------------------- */

void
spool_doubt_catalogue(struct spool *s, const char *because)
{
	spool_say(s, SPOOL_NOTE, "the catalogue will be made again: %s", because);
	spool_wait_for_checkpoint(s);
	catalogue_close(s->catalogue);
	s->catalogue = NULL;
}

struct step {
	struct spool_walk *walk;
	bool (*each)(void *arg, const struct found *);
	void  *arg;
	bool   stopped;
};

static bool
take_step(void *arg, const struct found *f)
{
	struct step *step = arg;

	if (step->walk->ids == NULL)
		step->walk->after = f->summary.id;
	step->stopped = !step->each(step->arg, f);
	return !step->stopped;
}

bool
spool_walk_ready(struct spool *s)
{
	const struct record_reader reader = spool_reader(s);
	struct error why = { 0 };

	if (s->catalogue == NULL || catalogue_due(s->catalogue) == 0)
		return true;
	if (catalogue_write_some(s->catalogue, &s->living, &reader, WALK_ROWS, &why))
		return catalogue_due(s->catalogue) == 0;
	spool_doubt_catalogue(s, why.text);
	return true;
}

/* It is one read from front to back. */
static bool
walk_catalogue(struct spool *s, struct step *step)
{
	const struct record_reader reader = spool_reader(s);
	struct error why = { 0 };
	bool ok;

	if (s->catalogue == NULL || catalogue_reach(s->catalogue) == 0)
		return false;
	ok = catalogue_write_all(s->catalogue, &s->living, &reader, &why);
	if (ok && catalogue_reach(s->catalogue) == 0)
		return false;
	ok = ok && catalogue_each(s->catalogue, step->walk->after, take_step, step, &why);
	if (!ok)
		spool_doubt_catalogue(s, why.text);
	return ok;
}

/* What cannot be read is passed over: the reader has raised the alarm. */
static void
walk_segments(struct spool *s, struct step *step)
{
	struct spool_walk *walk = step->walk;

	if (walk->ids == NULL)
		walk->ids = living_ids(&s->living, walk->after, &walk->count);
	while (walk->at < walk->count && !step->stopped) {
		uint64_t id = walk->ids[walk->at++];
		struct error why = { 0 };

		if (!spool_look(s, id, take_step, step, &why) && read_refused(&why) && walk->refused != NULL)
			walk->refused(step->arg, id);
	}
}

bool
spool_walk(struct spool *s, struct spool_walk *walk, bool (*each)(void *, const struct found *),
    void *arg)
{
	struct step step = { walk, each, arg, false };

	if (s->living.messages > 0 && (walk->ids != NULL || !walk_catalogue(s, &step)) && !step.stopped)
		walk_segments(s, &step);
	return step.stopped;
}

void
spool_walk_end(struct spool_walk *walk)
{
	free(walk->ids);
	*walk = (struct spool_walk){ 0 };
}

void
spool_each(struct spool *s, bool (*each)(void *, const struct found *), void *arg)
{
	struct spool_walk walk = { 0 };

	spool_walk(s, &walk, each, arg);
	spool_walk_end(&walk);
}

/* Bytes of the files in one of the directories whose names begin so. */
static uint64_t
bytes_in(const struct spool *s, const char *below, const char *beginning, size_t *count_r)
{
	char path[SPOOL_PATH];
	DIR *dir = opendir(spool_path(s, path, "%s", below));
	uint64_t bytes = 0;
	struct stat st;

	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.' && slice_starts(slice(e->d_name), slice(beginning)) &&
		    fstatat(dirfd(dir), e->d_name, &st, 0) == 0) {
			bytes += (uint64_t)st.st_size;
			++*count_r;
		}
	if (dir != NULL)
		closedir(dir);
	return bytes;
}

bool
spool_behind(const struct spool *s)
{
	return s->submitted > MANY && !s->troubled;
}

void
spool_usage(struct spool *s, struct spool_usage *u)
{
	size_t all = 0;

	pthread_mutex_lock(&s->lock);
	*u = s->usage;
	u->troubled = s->troubled;
	pthread_mutex_unlock(&s->lock);
	u->messages = s->living.messages;
	u->segments = s->count;
	u->waiting = s->submitted;
	u->catalogued = s->catalogue != NULL && catalogue_reach(s->catalogue) != 0;
	u->living_bytes = living_bytes_all(&s->living);
	u->spares = u->large = 0;
	u->spare_bytes = bytes_in(s, "seg", "spare-", &u->spares);
	u->segment_bytes = bytes_in(s, "seg", "", &all) - u->spare_bytes;
	u->content_bytes = bytes_in(s, "content", "", &u->large);
}

/* --- opening and closing --------------------------------------------------------------------------- */

static void
set_options(struct spool *s, const struct spool_options *o)
{
	s->options = *o;
	s->dir = must_copy(o->dir, strlen(o->dir));
	s->options.dir = s->dir;
	if (s->options.segment == 0)
		s->options.segment = SEGMENT_BYTES;
	if (s->options.spares == 0)
		s->options.spares = 1;
	if (s->options.waiting == 0)
		s->options.waiting = WAITING_BYTES;
	if (s->options.quick == 0)
		s->options.quick = QUICK;
	bug_if(s->options.segment < SEGMENT_LEAST || s->options.segment > (uint64_t)1 << 30);
	bug_if(s->options.segment % SPOOL_BLOCK != 0 || s->options.spares > SPARES_MOST);
}

static struct spool *
spool_new(const struct spool_options *o)
{
	struct spool *s = must_alloc(sizeof *s);
	pthread_condattr_t monotonic;

	set_options(s, o);
	s->lock_fd = s->head.fd = -1;
	s->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	bug_if(s->bell == -1);
	s->record = BUF(RECORD_MOST);
	s->scratch = BUF(RECORD_MOST - RECORD_HEADER - SMALL_CONTENT);
	line_begin(&s->todo);
	line_begin(&s->finished);
	s->chores_last = &s->chores;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&s->work, NULL);
	return s;
}

static void
start_threads(struct spool *s)
{
	if (s->options.threadless)
		return;
	bug_if(pthread_create(&s->committer, NULL, spool_committer, s) != 0);
	bug_if(pthread_create(&s->caretaker, NULL, spool_caretaker, s) != 0);
}

static void
stop_threads(struct spool *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (s->options.threadless) {
		spool_chores(s);
		return;
	}
	pthread_join(s->committer, NULL);
	pthread_join(s->caretaker, NULL);
}

static void
spool_free(struct spool *s)
{
	struct submission *m;

	catalogue_close(s->catalogue);
	living_free(&s->living);
	living_free(&s->witness.living);
	while ((m = line_take(&s->todo)) != NULL || (m = line_take(&s->finished)) != NULL)
		free(m);
	for (struct chore *c = s->chores, *next; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	for (size_t i = 0; i < s->count; i++)
		if (s->segments[i].fd != -1)
			close(s->segments[i].fd);
	if (s->head.fd != -1)
		close(s->head.fd);
	if (s->lock_fd != -1)
		close(s->lock_fd);
	close(s->bell);
	buf_free(&s->scratch);
	buf_free(&s->record);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	pthread_cond_destroy(&s->work);
	free(s->segments);
	free(s->doomed);
	free(s->dir);
	free(s);
}

struct spool *
spool_open(const struct spool_options *o, struct error *why)
{
	struct spool *s = spool_new(o);

	if (spool_recover(s, why)) {
		start_threads(s);
		return s;
	}
	spool_free(s);
	return NULL;
}

void
spool_close(struct spool *s)
{
	const struct record_reader reader = s != NULL ? spool_reader(s)
	    : (struct record_reader){ NULL, NULL };

	if (s == NULL)
		return;
	spool_drain(s);
	stop_threads(s);
	spool_complete(s);
	if (s->catalogue != NULL && !catalogue_write_all(s->catalogue, &s->living, &reader, NULL))
		spool_doubt_catalogue(s, "it cannot be written");
	spool_free(s);
}
