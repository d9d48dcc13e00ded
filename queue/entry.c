/* SPDX-License-Identifier: ISC */
/*
 * entry -- messages come in: from listeners over their links, and from ourselves.
 *
 * A listener is told "stored" when the spool has said so, which is when the
 * flush has returned; then it says 250.  It may ask twice: when the queue died
 * between the two, it repeats the request to the next one, which knows the
 * message already.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "queue/inside.h"

enum { STORE_MEMORY = 32 << 20, REPLY_MOST = 4096, SPACES_MOST = 1024,
	TOLD_MS = 2000 };                       /* an older listener does not say it */

/* A file for a large message that a listener is writing to. */
struct space {
	struct space        *next;
	struct spool_content content;
};

struct smtpd_link {
	struct smtpd_link *next, **back;
	struct queue      *queue;
	struct link       *link;        /* NULL: it has gone, but stores of it are under way */
	struct space      *spaces;
	size_t             space_count;
	size_t             under_way;
	struct timer       patience;
	bool               told;        /* he has asked again what he must */
};

/* A store under way. */
struct storing {
	struct queue      *queue;
	struct smtpd_link *from;        /* NULL: it is our own */
	uint64_t           number;
	struct arena      *arena;
	struct envelope    envelope;
	void             (*done)(void *arg, struct status);
	void              *arg;
};

/* --- answers ------------------------------------------------------------------------- */

static void
answer(struct smtpd_link *d, unsigned kind, uint64_t number, uint64_t file, struct status s, int fd)
{
	struct buf b = BUF(REPLY_MOST);

	pack_u64(&b, number);
	if (kind == FRAME_SPACE_IS)
		pack_u64(&b, file);
	pack_u16(&b, (uint16_t)s.reply);
	pack_u8(&b, (uint8_t)s.class);
	pack_u16(&b, (uint16_t)s.subject);
	pack_u16(&b, (uint16_t)s.detail);
	pack_slice(&b, s.text);
	if (d->link != NULL)
		link_send(d->link, kind, buf_slice(&b), fd);
	else if (fd != -1)
		close(fd);
	buf_free(&b);
}

static void
free_smtpd_link(struct smtpd_link *d)
{
	if (d->link != NULL || d->under_way > 0)
		return;
	if ((*d->back = d->next) != NULL)
		d->next->back = d->back;
	free(d);
}

/* --- storing ------------------------------------------------------------------------------ */

/* It is on the disk: from here on it is ours. */
static void
stored(void *arg, struct status status)
{
	struct storing *s = arg;
	struct queue *q = s->queue;

	if (status_good(status)) {
		plan_message(q, &s->envelope, NULL, 0);
		queue_look(q);
	}
	if (s->from != NULL) {
		answer(s->from, FRAME_STORED, s->number, 0, status, -1);
		s->from->under_way--;
		free_smtpd_link(s->from);
	} else {
		s->done(s->arg, status);
	}
	arena_free(s->arena);
	free(s);
	q->storing--;
	queue_work_over(q);
}

static struct storing *
new_storing(struct queue *q)
{
	struct storing *s = must_alloc(sizeof *s);

	s->queue = q;
	s->arena = arena_new(STORE_MEMORY);
	q->storing++;
	return s;
}

static struct space *
take_space(struct smtpd_link *d, uint64_t number)
{
	for (struct space **at = &d->spaces; *at != NULL; at = &(*at)->next)
		if ((*at)->content.number == number) {
			struct space *found = *at;

			*at = found->next;
			d->space_count--;
			return found;
		}
	return NULL;
}

static bool
consistent(const struct envelope *e, struct slice content, const struct space *space)
{
	return e->id != 0 && e->count > 0 && e->header_size <= e->size &&
	    (space != NULL || content.n == e->size) && (space != NULL) == (e->size > SMALL_CONTENT);
}

/*
 * A listener repeats its request to the octet.  All else that comes under a name
 * that is taken is another message, and never gets a 250 for the one that is here.
 */
static bool
same_message(const struct envelope *a, struct slice content, const struct stored *b)
{
	struct buf one = BUF(ENVELOPE_MOST), other = BUF(ENVELOPE_MOST);
	bool same;

	envelope_pack(a, &one);
	envelope_pack(&b->envelope, &other);
	same = !one.full && slice_eq(buf_slice(&one), buf_slice(&other)) &&
	    (b->fd != -1 || slice_eq(content, b->content));
	buf_free(&one);
	buf_free(&other);
	return same;
}

static bool
is_repeat(struct storing *s, struct slice content)
{
	struct buf bytes = BUF(RECORD_MOST);
	struct stored there;
	bool repeat = spool_read(s->queue->spool, s->envelope.id, &bytes, s->arena, &there, NULL) &&
	    same_message(&s->envelope, content, &there);

	if (there.fd != -1)
		close(there.fd);
	buf_free(&bytes);
	return repeat;
}

static void
refuse_store(struct storing *s, struct status status)
{
	struct queue *q = s->queue;

	answer(s->from, FRAME_STORED, s->number, 0, status, -1);
	s->from->under_way--;
	arena_free(s->arena);
	free(s);
	q->storing--;
}

static void
take_store(struct smtpd_link *d, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct storing *s = new_storing(d->queue);
	uint64_t file;
	struct slice packed, content;
	struct space *space = NULL;
	struct error why;

	s->from = d;
	d->under_way++;
	s->number = unpack_u64(&u);
	file = unpack_u64(&u);
	packed = arena_copy(s->arena, unpack_slice(&u));        /* the envelope points into it */
	content = unpack_slice(&u);
	if (file != 0)
		space = take_space(d, file);
	if (!unpack_done(&u) || !envelope_unpack(&s->envelope, packed, s->arena, &why) ||
	    !consistent(&s->envelope, content, space)) {
		if (space != NULL)
			spool_content_drop(d->queue->spool, &space->content);
		refuse_store(s, STATUS(451, 4, 3, 0, "the message cannot be kept; try again"));
	} else if (spool_living(d->queue->spool, s->envelope.id)) {
		if (space != NULL)
			spool_content_drop(d->queue->spool, &space->content);
		refuse_store(s, is_repeat(s, content) ? STATUS(250, 2, 0, 0, "it is here already")
		    : STATUS(451, 4, 3, 0, "the identifier is in use; try again"));
	} else if (space != NULL) {
		spool_store_file(d->queue->spool, &s->envelope, space->content, stored, s);
	} else {
		spool_store(d->queue->spool, &s->envelope, content, stored, s);
	}
	free(space);
}

/* --- files for large messages --------------------------------------------------------------- */

/* No file can be made: no inodes, no descriptors.  Somebody is told once, until one can. */
static bool
begin_space(struct queue *q, struct spool_content *content)
{
	struct error why = { 0 };
	bool ok = spool_content_begin(q->spool, content, &why);

	if (!ok && !q->no_files)
		queue_disk_alarm(q, "spool", why.text);
	if (ok && q->no_files)
		q->disk_refuses = false;
	q->no_files = !ok;
	return ok;
}

static void
give_space(struct smtpd_link *d, struct slice payload)
{
	struct unpack u = { .left = payload };
	uint64_t number = unpack_u64(&u);
	struct space *space = must_alloc(sizeof *space);

	if (d->space_count >= SPACES_MOST || !begin_space(d->queue, &space->content)) {
		free(space);
		answer(d, FRAME_SPACE_IS, number, 0, STATUS(452, 4, 3, 1, "no space for a large message now"),
		    -1);
		return;
	}
	space->next = d->spaces;
	d->spaces = space;
	d->space_count++;
	answer(d, FRAME_SPACE_IS, number, space->content.number, STATUS(250, 2, 0, 0, "ok"),
	    dup(space->content.fd));
}

static void
drop_space(struct smtpd_link *d, struct space *space)
{
	spool_content_drop(d->queue->spool, &space->content);
	free(space);
}

static void
drop_all_spaces(struct smtpd_link *d)
{
	for (struct space *s = d->spaces, *next; s != NULL; s = next) {
		next = s->next;
		drop_space(d, s);
	}
	d->spaces = NULL;
	d->space_count = 0;
}

static void
give_back_space(struct smtpd_link *d, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct space *space = take_space(d, unpack_u64(&u));

	if (space != NULL)
		drop_space(d, space);
}

/* --- the link ---------------------------------------------------------------------------------- */

static void
has_told(void *arg)
{
	struct smtpd_link *d = arg;

	timer_clear(d->queue->loop, &d->patience);
	d->told = true;
	queue_look(d->queue);
}

/* Whoever comes later is new, and has nothing to ask again. */
bool
listeners_told(struct queue *q)
{
	bool told = true;

	for (const struct smtpd_link *d = q->smtpds; d != NULL; d = d->next)
		told = told && (d->told || d->link == NULL);
	q->heard = q->heard || told;
	return q->heard;
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct smtpd_link *d = arg;

	if (fd != -1)
		close(fd);
	if (kind == FRAME_STORE)
		take_store(d, payload);
	else if (kind == FRAME_SPACE)
		give_space(d, payload);
	else if (kind == FRAME_SPACE_DROP)
		give_back_space(d, payload);
	else if (kind == FRAME_PAST)
		history_keep(d->queue, payload);
	else if (kind == FRAME_VOUCHED)
		vouching_take(d->queue, payload);
	else if (kind == FRAME_REPEATED)
		has_told(d);
}

static void
on_gone(void *arg)
{
	struct smtpd_link *d = arg;

	link_end(d->link);
	d->link = NULL;
	has_told(d);
	drop_all_spaces(d);
	free_smtpd_link(d);
}

static const struct link_user SMTPD = { on_frame, on_gone };

void
smtpd_link_new(struct queue *q, int fd)
{
	struct smtpd_link *d = must_alloc(sizeof *d);

	*d = (struct smtpd_link){ .next = q->smtpds, .back = &q->smtpds, .queue = q };
	if (d->next != NULL)
		d->next->back = &d->next;
	q->smtpds = d;
	d->link = link_new(q->loop, fd, &SMTPD, d);
	timer_set(q->loop, &d->patience, TOLD_MS, has_told, d);
}

void
smtpd_links_end(struct queue *q)
{
	for (struct smtpd_link *d = q->smtpds, *next; d != NULL; d = next) {
		next = d->next;
		if (d->link != NULL)
			link_flush(d->link, LINK_PATIENCE_MS);    /* the last answers */
		on_gone(d);
	}
}

/* --- our own messages ------------------------------------------------------------------------------ */

void
own_begin(struct queue *q, struct own *o)
{
	*o = (struct own){ .queue = q, .small = BUF(SMALL_CONTENT), .file = { .fd = -1 } };
	bodies_add(&o->bodies, CANON_RELAXED, BODY_WHOLE);
}

static bool
write_own(struct own *o, struct slice bytes)
{
	o->sum = crc32c(o->sum, bytes);
	return file_write(o->file.fd, bytes, &o->why);
}

static bool
to_file(struct own *o, struct slice bytes)
{
	if (o->file.fd == -1) {
		if (!spool_content_begin(o->queue->spool, &o->file, &o->why) ||
		    !write_own(o, buf_slice(&o->small)))
			return false;
		buf_free(&o->small);
	}
	return write_own(o, bytes);
}

void
own_add(struct own *o, struct slice bytes)
{
	o->size += bytes.n;
	if (o->failed)
		return;
	if (o->file.fd == -1 && o->small.n + bytes.n <= SMALL_CONTENT)
		buf_add(&o->small, bytes);
	else
		o->failed = !to_file(o, bytes);
}

void
own_header_done(struct own *o)
{
	o->header_size = o->size;
	own_add(o, S("\r\n"));
}

void
own_add_body(struct own *o, struct slice bytes)
{
	own_add(o, bytes);
	bodies_update(&o->bodies, bytes);
}

void
own_drop(struct own *o)
{
	if (o->file.fd != -1)
		spool_content_drop(o->queue->spool, &o->file);
	buf_free(&o->small);
	bodies_free(&o->bodies);
}

/* The envelope is copied by packing it: its slices may be gone before it is stored. */
static bool
copy_envelope(struct storing *s, const struct envelope *e)
{
	struct buf packed = BUF(ENVELOPE_MOST);
	bool ok;

	envelope_pack(e, &packed);
	ok = !packed.full && envelope_unpack(&s->envelope, arena_copy(s->arena, buf_slice(&packed)),
	    s->arena, NULL);
	buf_free(&packed);
	return ok;
}

void
own_store(struct own *o, struct envelope *e, void (*done)(void *, struct status), void *arg)
{
	struct queue *q = o->queue;
	struct storing *s = new_storing(q);

	bodies_finish(&o->bodies);
	e->size = o->size;
	e->header_size = o->header_size;
	e->summed = o->file.fd != -1;
	e->content_sum = o->sum;
	e->hashed = true;
	memcpy(e->body_hash, bodies_get(&o->bodies, CANON_RELAXED, BODY_WHOLE)->digest, BODY_HASH);
	s->done = done;
	s->arg = arg;
	if (o->failed || !copy_envelope(s, e)) {
		own_drop(o);
		queue_later_status(q, STATUS(452, 4, 3, 1, "no space for a message of our own"), stored, s);
		return;
	}
	if (o->file.fd != -1)
		spool_store_file(q->spool, &s->envelope, o->file, stored, s);
	else
		spool_store(q->spool, &s->envelope, buf_slice(&o->small), stored, s);
	o->file.fd = -1;
	own_drop(o);
}
