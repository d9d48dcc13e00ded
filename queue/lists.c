/* SPDX-License-Identifier: ISC */
/*
 * lists -- the post of a list (RFC 5321 3.9.2): a new message, made from one
 * that came in, with the list's marks on it and the list's owner as sender.
 *
 * The message that came in stays as it is; what was seen at its arrival goes
 * with the post and is what the seal will say (RFC 8617 5.1).
 */
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/decorate.h"
#include "mail/listheader.h"
#include "queue/inside.h"

enum { POST_MEMORY = 32 << 20, PIECE = 65536, HEADER_MOST = 1 << 20 };

struct post {
	struct queue       *queue;
	const struct stored *stored;    /* of the message that came in */
	const struct list  *list;
	struct arena       *arena;
	struct header       header;     /* as it would leave without the list */
	struct edit         edit;
	struct decorate     decorate;
	struct decoration   what;
	struct own          own;
	struct envelope     envelope;
	struct error        why;
};

/* --- the header -------------------------------------------------------------------- */

/* Trace and header without what was left out at arrival. */
static bool
read_header(struct post *p)
{
	const struct envelope *e = &p->stored->envelope;
	struct buf raw = BUF(HEADER_MOST), all = BUF(HEADER_MOST);
	struct slice block;
	bool ok = stored_header(p->stored, &raw, &p->why);

	if (ok)
		header_leaving(e, buf_slice(&raw), &all);
	block = arena_copy(p->arena, buf_slice(&all));
	ok = ok && !all.full && block.p != NULL && header_parse(&p->header, block, p->arena, &p->why);
	buf_free(&raw);
	buf_free(&all);
	return ok;
}

/* "members.list.test": what readers sort by (RFC 2919 3). */
static struct list_identity
identity(const struct post *p)
{
	const struct address *a = &p->list->conf->address.address;
	struct buf owner = BUF(1000);
	struct list_identity id = {
		.id = arena_printf(p->arena, "%.*s.%.*s", FMT(a->local), FMT(a->domain)),
		.address = *a,
	};

	mailto_add(&owner, &p->list->conf->owner.address);
	id.owner = arena_copy(p->arena, buf_slice(&owner));
	buf_free(&owner);
	return id;
}

/* --- the body ------------------------------------------------------------------------- */

/* Go over the body of the message that came in, piece by piece. */
static bool
each_piece(struct post *p, void (*piece)(struct post *, struct slice))
{
	const struct stored *s = p->stored;
	uint64_t at = s->envelope.header_size + 2;      /* behind the empty line */
	char *room;
	bool ok = true;

	if (s->fd == -1) {
		piece(p, slice_skip(s->content, (size_t)at));
		return true;
	}
	room = must_alloc(PIECE);
	while (ok && at < s->envelope.size) {
		uint64_t left = s->envelope.size - at;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		ok = file_read_at(s->fd, room, n, (off_t)at, &p->why);
		if (ok)
			piece(p, slice_of(room, n));
		at += n;
	}
	free(room);
	return ok;
}

static void
look_at(struct post *p, struct slice piece)
{
	decorate_look(&p->decorate, piece);
}

static void
write_piece(struct post *p, struct slice piece)
{
	struct slice out;

	while (decorate_next(&p->decorate, &piece, &out))
		own_add_body(&p->own, out);
}

/* --- the whole --------------------------------------------------------------------------- */

static void
decide_marks(struct post *p)
{
	const struct list_conf *c = p->list->conf;
	char id[ID_TEXT + 1];

	id_text(p->envelope.id, id);
	p->what = (struct decoration){ .tag = c->tag, .footer = c->footer,
	    .boundary = arena_printf(p->arena, "=_%s", id) };
}

static bool
make(struct post *p, const struct list_identity *id)
{
	edit_begin(&p->edit, &p->header, p->arena);
	listheader_write(&p->edit, id);
	if (!decorate_begin(&p->decorate, &p->what, &p->header, p->arena, &p->why) ||
	    !each_piece(p, look_at) || !decorate_plan(&p->decorate, &p->edit, &p->why))
		return false;
	if (p->edit.full)
		return error_set(&p->why, "the header is too much for this machine");
	own_begin(p->queue, &p->own);
	for (size_t i = 0; i < p->edit.header.count; i++)
		own_add(&p->own, p->edit.header.fields[i].whole);
	own_header_done(&p->own);
	return each_piece(p, write_piece);
}

static bool
name_members(struct post *p)
{
	const struct list *l = p->list;
	struct recipient *to = arena_get(p->arena, (l->member_count + 1) * sizeof *to);

	if (to == NULL || l->member_count == 0)
		return error_set(&p->why, "the list has no members, or too many");
	p->envelope.recipients = to;
	for (const struct target *t = l->members; t != NULL; t = t->next)
		to[p->envelope.count++] = (struct recipient){ .address = t->address.text,
		    .parent = NO_RECIPIENT };
	return true;
}

static void
fill_envelope(struct post *p, uint32_t recipient)
{
	const struct envelope *from = &p->stored->envelope;

	p->envelope.id = ids_next(&p->queue->ids);
	p->envelope.arrival = clock_now(p->queue->loop->clock);
	p->envelope.sender = p->list->conf->owner.address.text;
	p->envelope.smtputf8 = from->smtputf8;
	p->envelope.eight_bit = from->eight_bit || !ascii_only(p->list->conf->footer);
	p->envelope.requiretls = from->requiretls;      /* RFC 8689 6 */
	p->envelope.tls_optional = from->tls_optional;
	p->envelope.verdict = from->verdict;
	p->envelope.parent = from->id;
	p->envelope.parent_recipient = recipient;
}

static void
log_post(const struct post *p)
{
	struct log_line l = log_event(p->queue->options.log, &EVENT_QUEUED, p->envelope.id);
	char parent[ID_TEXT + 1];

	id_text(p->envelope.parent, parent);
	log_path(&l, "from", p->envelope.sender);
	log_number(&l, "rcpts", (int64_t)p->envelope.count);
	log_number(&l, "size", (int64_t)p->own.size);
	log_text(&l, "parent", parent);
	log_text(&l, "reason", "list");
	log_end(&l);
}

static void
log_loop(const struct post *p)
{
	struct log_line l = log_event(p->queue->options.log, &EVENT_DROPPED, p->stored->envelope.id);

	log_path(&l, "from", p->stored->envelope.sender);
	log_path(&l, "to", p->list->conf->address.address.text);
	log_text(&l, "reason", "list-loop");
	log_end(&l);
}

void
list_post(struct queue *q, const struct stored *stored, uint32_t recipient, const struct list *list,
    void (*done)(void *, struct status), void *arg)
{
	struct post p = { .queue = q, .stored = stored, .list = list, .arena = arena_new(POST_MEMORY),
	    .own.file.fd = -1 };
	struct list_identity id;

	fill_envelope(&p, recipient);
	decide_marks(&p);
	id = identity(&p);
	if (read_header(&p) && listheader_loops(&p.header, &id)) {
		log_loop(&p);
		queue_later_status(q, STATUS(250, 2, 0, 0, "it has been through this list"), done, arg);
	} else if (p.header.count > 0 && name_members(&p) && make(&p, &id)) {
		log_post(&p);
		own_store(&p.own, &p.envelope, done, arg);
	} else {
		queue_alarm(q, "list", p.why.text);
		if (p.own.queue != NULL)
			own_drop(&p.own);
		queue_later_status(q, STATUS(451, 4, 3, 0, "the post cannot be made now"), done, arg);
	}
	arena_free(p.arena);
}
