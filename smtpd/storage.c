/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/pack.h"
#include "mail/domain.h"
#include "net/link.h"
#include "queue/queue.h"
#include "smtpd/inside.h"

enum { TELL_UNSENT_MOST = 4 << 20 };

/* A request that has no answer yet; it is repeated when the queue was replaced. */
struct storing {
	struct storing *next, **back;
	struct storage *storage;
	uint64_t        number;
	unsigned        kind;
	struct buf      request;
	bool            file;           /* names a file of a queue that is perhaps gone */
	void          (*stored)(void *arg, struct status);
	void          (*space)(void *arg, struct status, uint64_t file, int fd);
	void           *arg;
	struct later    fail;
};

/*
 * A file that the queue of now has opened for us.  A new queue counts its files
 * from the beginning: the number that we tell our user is one of ours.
 */
struct given {
	struct given *next;
	uint64_t      file, queues_file;
};

struct storage {
	struct smtpd   *smtpd;
	struct link    *link;           /* NULL: no queue now */
	struct storing *waiting;
	struct given   *given;
	uint64_t        number;
};

static void
free_storing(struct storing *s)
{
	if ((*s->back = s->next) != NULL)
		s->next->back = s->back;
	later_cancel(s->storage->smtpd->loop, &s->fail);
	buf_free(&s->request);
	free(s);
}

void
storage_forget(struct storing *s)
{
	if (s == NULL)
		return;
	s->stored = NULL;               /* the message may be stored all the same */
	s->space = NULL;
}

static struct storing *
new_storing(struct storage *all, unsigned kind, void *arg)
{
	struct storing *s = must_alloc(sizeof *s);

	*s = (struct storing){ .next = all->waiting, .back = &all->waiting, .storage = all,
	    .number = ++all->number, .kind = kind, .request = BUF(LINK_FRAME_MOST), .arg = arg };
	if (s->next != NULL)
		s->next->back = &s->next;
	all->waiting = s;
	pack_u64(&s->request, s->number);
	return s;
}

/* --- files ------------------------------------------------------------------------- */

static uint64_t
remember_file(struct storage *all, uint64_t queues_file)
{
	struct given *g = must_alloc(sizeof *g);

	*g = (struct given){ all->given, ++all->number, queues_file };
	all->given = g;
	return g->file;
}

/* What the queue calls it; 0: that queue has gone, and the file with it. */
static uint64_t
forget_file(struct storage *all, uint64_t file)
{
	for (struct given **at = &all->given; *at != NULL; at = &(*at)->next)
		if ((*at)->file == file) {
			struct given *found = *at;
			uint64_t queues_file = found->queues_file;

			*at = found->next;
			free(found);
			return queues_file;
		}
	return 0;
}

static void
forget_all_files(struct storage *all)
{
	while (all->given != NULL)
		forget_file(all, all->given->file);
}

/* --- answers ----------------------------------------------------------------------- */

static void
conclude(struct storing *s, struct status status, uint64_t file, int fd)
{
	void (*stored)(void *, struct status) = s->stored;
	void (*space)(void *, struct status, uint64_t, int) = s->space;
	void *arg = s->arg;
	struct storage *all = s->storage;

	free_storing(s);
	if (fd != -1)
		file = remember_file(all, file);
	if (stored != NULL) {
		stored(arg, status);
	} else if (space != NULL) {
		space(arg, status, file, fd);
	} else if (fd != -1) {
		close(fd);              /* nobody needs it any more */
		storage_drop_space(all, file);
	}
}

static struct storing *
find(struct storage *all, uint64_t number)
{
	for (struct storing *s = all->waiting; s != NULL; s = s->next)
		if (s->number == number)
			return s;
	return NULL;
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct unpack u = { .left = payload };
	struct storing *s = find(arg, unpack_u64(&u));
	uint64_t file = kind == FRAME_SPACE_IS ? unpack_u64(&u) : 0;
	struct status status = { .reply = unpack_u16(&u) };

	status.class = unpack_u8(&u);
	status.subject = unpack_u16(&u);
	status.detail = unpack_u16(&u);
	status.text = unpack_slice(&u);
	if (s == NULL || !unpack_done(&u)) {
		if (fd != -1)
			close(fd);
	} else if (file != 0 && fd == -1 && status_good(status)) {
		storage_drop_space(s->storage, file);
		conclude(s, STATUS(452, 4, 3, 1, "too many files are open for a large message now"), 0, -1);
	} else {
		conclude(s, status, file, fd);
	}
}

static void
file_is_lost(void *arg)
{
	conclude(arg, STATUS(451, 4, 3, 0, "the message was lost on its way to the queue; try again"), 0, -1);
}

/* The queue has gone, and with it the files it had opened; everything else is asked again. */
static void
on_gone(void *arg)
{
	struct storage *all = arg;

	link_end(all->link);
	all->link = NULL;
	forget_all_files(all);
	for (struct storing *s = all->waiting; s != NULL; s = s->next)
		if (s->file)
			loop_later(all->smtpd->loop, &s->fail, file_is_lost, s);
}

static const struct link_user QUEUE = { on_frame, on_gone };

static void
send_request(struct storing *s)
{
	if (s->storage->link != NULL)
		link_send(s->storage->link, s->kind, buf_slice(&s->request), -1);
}

void
storage_link(struct storage *all, int fd)
{
	if (all->link != NULL)
		on_gone(all);
	all->link = link_new(all->smtpd->loop, fd, &QUEUE, all);
	for (struct storing *s = all->waiting; s != NULL; s = s->next)
		if (!s->file)
			send_request(s);
	link_send(all->link, FRAME_REPEATED, NONE, -1);
}

/* --- requests ------------------------------------------------------------------------ */

struct storing *
storage_store(struct storage *all, const struct envelope *e, uint64_t file, struct slice content,
    void (*done)(void *, struct status), void *arg)
{
	struct storing *s = new_storing(all, FRAME_STORE, arg);
	struct buf packed = BUF(LINK_FRAME_MOST);

	s->stored = done;
	s->file = file != 0;
	if (s->file)
		file = forget_file(all, file);
	envelope_pack(e, &packed);
	pack_u64(&s->request, file);
	pack_slice(&s->request, buf_slice(&packed));
	pack_slice(&s->request, content);
	buf_free(&packed);
	if (s->request.full || (s->file && file == 0)) {
		buf_clear(&s->request);
		loop_later(all->smtpd->loop, &s->fail, file_is_lost, s);
	} else {
		send_request(s);
	}
	return s;
}

struct storing *
storage_space(struct storage *all, void (*done)(void *, struct status, uint64_t, int), void *arg)
{
	struct storing *s = new_storing(all, FRAME_SPACE, arg);

	s->space = done;
	send_request(s);
	return s;
}

void
storage_drop_space(struct storage *all, uint64_t file)
{
	struct buf b = BUF(8);

	file = forget_file(all, file);
	pack_u64(&b, file);
	if (all->link != NULL && file != 0)
		link_send(all->link, FRAME_SPACE_DROP, buf_slice(&b), -1);
	buf_free(&b);
}

/* The queue is not hurried for it. */
bool
storage_tell(struct storage *all, struct slice lines)
{
	if (all->link == NULL || link_unsent(all->link) > TELL_UNSENT_MOST)
		return false;
	link_send(all->link, FRAME_PAST, lines, -1);
	return true;
}

void
storage_vouched(struct storage *all, enum vouched what, struct slice sealer)
{
	struct buf b = BUF(DOMAIN_MAX + 10);

	pack_u8(&b, (uint8_t)what);
	pack_slice(&b, sealer);
	if (!b.full && all->link != NULL && link_unsent(all->link) <= TELL_UNSENT_MOST)
		link_send(all->link, FRAME_VOUCHED, buf_slice(&b), -1);
	buf_free(&b);
}

void
storage_flush(struct storage *all)
{
	if (all->link != NULL)
		link_flush(all->link, LINK_PATIENCE_MS);
}

struct storage *
storage_new(struct smtpd *smtpd)
{
	struct storage *all = must_alloc(sizeof *all);

	all->smtpd = smtpd;
	return all;
}

void
storage_end(struct storage *all)
{
	while (all->waiting != NULL)
		free_storing(all->waiting);
	forget_all_files(all);
	link_end(all->link);
	free(all);
}
