/* SPDX-License-Identifier: ISC */
/*
 * lists -- the post of a list (RFC 5321 3.9.2): a new message, made from one
 * that came in, with the list's marks on it and NAME-bounces as sender.
 *
 * The message that came in stays as it is; what was seen at its arrival goes
 * with the post and is what the seal will say (RFC 8617 5.1).
 */
#include <stdlib.h>

#include "arc/verdict.h"
#include "auth/authres.h"
#include "auth/from.h"
#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/decorate.h"
#include "mail/domain.h"
#include "mail/listheader.h"
#include "queue/inside.h"

enum { POST_MEMORY = 32 << 20, PIECE = 65536, HEADER_MOST = 1 << 20, ADDRESSED_MOST = 1000 };

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
	struct list_identity id;
	struct verdict_record verdict;      /* of the arrival */
	struct slice        author;         /* address in From, or empty */
	bool                damaged;        /* so that nothing can be made of it */
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

/* Did a signature of the author's domain verify when the post came? */
static bool
author_signed(const struct post *p)
{
	const struct authres_result *r = NULL;
	struct authres saw;

	if (!authres_parse(p->verdict.results, p->arena, &saw))
		return false;
	while ((r = authres_find(&saw, "dkim", r)) != NULL)
		if (slice_eqi(r->result, S("pass")) &&
		    domain_within(p->verdict.author, authres_value(r, "header.d")))
			return true;
	return false;
}

/*
 * Would the author's domain have others refuse the post?  It asks for quarantine
 * or reject, and no signature of it is left: the list changed what was signed, or
 * there was none.  Our own domains have us sign; so an author of ours whom nothing
 * proved never gets his name on a post, whatever the list says.
 */
static bool
needs_our_name(const struct post *p)
{
	bool changed = p->decorate.choice != DECORATE_LEFT || p->what.tag.n > 0;

	if (verdict_misuses(&p->verdict, p->list->conf->address.address.domain))
		return true;
	return !p->list->conf->keep_from && p->verdict.asked != DMARC_P_NONE &&
	    map_get(&p->queue->options.conf->domains, p->verdict.author) == NULL &&
	    (changed || !author_signed(p));
}

static bool
make(struct post *p)
{
	edit_begin(&p->edit, &p->header, p->arena);
	listheader_write(&p->edit, &p->id);
	if (!decorate_begin(&p->decorate, &p->what, &p->header, p->arena, &p->why) ||
	    !each_piece(p, look_at) || !decorate_plan(&p->decorate, &p->edit, &p->why))
		return false;
	if (needs_our_name(p))
		listheader_from(&p->edit, &p->id);
	if (p->edit.full)
		return error_set(&p->why, "the header is too much for this machine");
	own_begin(p->queue, &p->own);
	for (size_t i = 0; i < p->edit.header.count; i++)
		own_add(&p->own, p->edit.header.fields[i].whole);
	own_header_done(&p->own);
	return each_piece(p, write_piece);
}

/* To and Cc: whom the post was sent to beside the list. */
static void
skip_addressed(const struct post *p, struct map *skipped)
{
	struct mailbox *box = arena_get(p->arena, ADDRESSED_MOST * sizeof *box);

	for (size_t i = 0; box != NULL && i < p->header.count; i++) {
		const struct field *f = &p->header.fields[i];
		size_t n = 0;

		if ((!field_is(f, "to") && !field_is(f, "cc")) ||
		    !mailboxes_parse(f->value, p->arena, box, ADDRESSED_MOST, &n))
			continue;
		for (size_t k = 0; k < n && k < ADDRESSED_MOST; k++)
			map_put(skipped, box[k].address.text, box);
	}
}

/* Members who have the post already. */
static void
find_skipped(const struct post *p, struct map *skipped)
{
	const struct list_conf *c = p->list->conf;
	void *yes = (void *)(uintptr_t)p;

	if (c->skip_sender && p->stored->envelope.sender.n > 0)
		map_put(skipped, p->stored->envelope.sender, yes);
	if (c->skip_sender && p->author.n > 0)
		map_put(skipped, p->author, yes);
	if (c->skip_addressed)
		skip_addressed(p, skipped);
}

static bool
name_members(struct post *p)
{
	const struct list *l = p->list;
	struct recipient *to = arena_get(p->arena, (l->member_count + 1) * sizeof *to);
	struct map skipped = { 0 };
	bool known;

	if (to == NULL)
		return error_set(&p->why, "the list has too many members");
	if (l->member_count == 0)       /* a file that is empty, or just being written, is nobody's wish */
		return error_set(&p->why, "%.*s has no members now", FMT(l->conf->address.address.text));
	find_skipped(p, &skipped);
	p->envelope.recipients = to;
	known = leaving_gather(p->queue, l->conf, p->arena, &skipped, &p->why);
	for (const struct target *t = l->members; known && t != NULL; t = t->next)
		if (map_get(&skipped, t->address.text) == NULL)
			to[p->envelope.count++] = (struct recipient){ .address = t->address.text,
			    .parent = NO_RECIPIENT };
	map_free(&skipped);
	if (known && p->envelope.count > RECIPIENTS_MOST)
		return error_set(&p->why, "the list has more members than a message may have recipients");
	return known;
}

static void
fill_envelope(struct post *p, uint32_t recipient)
{
	const struct envelope *from = &p->stored->envelope;

	p->envelope.id = ids_next(&p->queue->ids);
	p->envelope.arrival = clock_now(p->queue->loop->clock);
	p->envelope.sender = listing_address(p->list->conf, "-bounces", p->arena).text;
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

/*
 * Nothing is posted, and nobody needs to be told but the reader of the log: it was posted
 * before, or all members have left or wrote it themselves.
 */
static void
drop(const struct post *p, const char *reason, void (*done)(void *, struct status), void *arg)
{
	struct log_line l = log_event(p->queue->options.log, &EVENT_DROPPED, p->stored->envelope.id);

	log_path(&l, "from", p->stored->envelope.sender);
	log_path(&l, "to", p->list->conf->address.address.text);
	log_text(&l, "reason", reason);
	log_end(&l);
	queue_later_status(p->queue, STATUS(250, 2, 0, 0, "there is nothing to be posted"), done, arg);
}

/* A post has a checksum of its own: what it is made of must be right. */
static bool
is_whole(struct post *p)
{
	const struct stored *s = p->stored;

	p->damaged = s->fd != -1 && !content_check(s->fd, &s->envelope, &p->why);
	if (p->damaged)
		queue_unreadable(p->queue, schedule_find(&p->queue->schedule, s->envelope.id), &p->why);
	return !p->damaged;
}

/* Everything that is known before the post is made. */
static bool
look_at_message(struct post *p)
{
	p->id = listing_identity(p->list->conf, p->arena);
	if (!verdict_unpack(&p->verdict, p->stored->envelope.verdict))
		p->verdict = verdict_record_own();
	if (!read_header(p))
		return false;
	p->author = from_read(&p->header, p->arena).address;
	return name_members(p);
}

void
list_post(struct queue *q, const struct stored *stored, uint32_t recipient, const struct list *list,
    void (*done)(void *arg, struct status), void *arg)
{
	struct post p = { .queue = q, .stored = stored, .list = list, .arena = arena_new(POST_MEMORY),
	    .own.file.fd = -1 };
	bool known;

	fill_envelope(&p, recipient);
	decide_marks(&p);
	known = is_whole(&p) && look_at_message(&p);
	if (known && listheader_loops(&p.header, &p.id)) {
		drop(&p, "list-loop", done, arg);
	} else if (known && listheader_answers(&p.header)) {
		queue_later_status(q, STATUS(0, 5, 7, 2, "an automatic answer is not posted to a list"),
		    done, arg);
	} else if (known && p.envelope.count == 0) {
		drop(&p, "no-member", done, arg);
	} else if (known && make(&p)) {
		log_post(&p);
		own_store(&p.own, &p.envelope, done, arg);
	} else {
		if (!p.damaged)
			queue_alarm(q, "list", p.why.text);
		if (p.own.queue != NULL)
			own_drop(&p.own);
		queue_later_status(q, STATUS(451, 4, 3, 0, "the post cannot be made now"), done, arg);
	}
	arena_free(p.arena);
}
