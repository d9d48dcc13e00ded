/* SPDX-License-Identifier: ISC */
/*
 * dispatch -- tasks become orders, and results find their tasks again.
 *
 *     a task's turn -> read the message -> who goes together -> sign and seal
 *     -> an order over a link -> a result -> settle.c
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "arc/verdict.h"
#include "auth/from.h"
#include "base/bug.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/domain.h"
#include "mail/ticket.h"
#include "queue/inside.h"
#include "queue/order.h"

enum {
	WORKS_MOST = 500,               /* attempts under way … */
	SLOW_MS = 20 * SECOND,          /* … that are younger than this … */
	SLOW_MOST = 1000,               /* … and so many more that are not */
	TOGETHER_MOST = 100,            /* recipients of one order (RFC 5321 4.5.3.1.8) */
	LOOK_MOST = 400,                /* recipients looked at for one order */
	WORK_MEMORY = 8 << 20,
	LATE_AT_ONCE = 20,              /* tasks without a turn are looked at by one call */
	ORDER_MOST = LINK_FRAME_MOST,
	HEAD_MOST = 1 << 20,
};

/* --- links to deliverers --------------------------------------------------------------- */

struct delivery_link {
	struct delivery_link *next, **back;
	struct queue         *queue;
	struct link          *link;
	bool                  settled;  /* it has told what it is doing already */
	bool                  leaving;  /* it takes no more orders */
};

/* One attempt under way. */
struct work {
	struct work          *next, **back;
	struct queue         *queue;
	struct task          *task;     /* ACTIVE */
	uint64_t              number;
	struct delivery_link *link;     /* NULL: not sent yet */
	struct arena         *arena;
	struct opened        *opened;
	struct stored         stored;   /* of `opened` */
	struct place_to_go    place;
	const struct recipient **recipients;    /* in the order of the task's */
	struct outgoing      *outgoing;
	int64_t               begun;
	bool                  late;     /* it had no turn, and is not tried */
	bool                  doubted;  /* it was unreadable before: it is read whole first */
};

static void
free_work(struct work *w)
{
	if ((*w->back = w->next) != NULL)
		w->next->back = w->back;
	w->queue->under_way--;
	outgoing_free(w->outgoing);
	opened_drop(w->opened);
	arena_free(w->arena);
	free(w);
}

static struct work *
new_work(struct queue *q, struct task *t)
{
	struct work *w = must_alloc(sizeof *w);

	*w = (struct work){ .next = q->works, .back = &q->works, .queue = q, .task = t,
	    .arena = arena_new(WORK_MEMORY), .stored.fd = -1,
	    .begun = clock_now(q->loop->clock), .number = ++q->order_number };
	if (w->next != NULL)
		w->next->back = &w->next;
	q->works = w;
	q->under_way++;
	return w;
}

/* How many take orders; 0 as long as one of all has not told what he is doing. */
static size_t
deliverers(const struct queue *q)
{
	size_t n = 0;

	for (const struct delivery_link *d = q->deliveries; d != NULL; d = d->next) {
		if (!d->settled)
			return 0;
		n += !d->leaving;
	}
	return n;
}

bool
deliveries_told(const struct queue *q)
{
	bool told = q->deliveries != NULL;

	for (const struct delivery_link *d = q->deliveries; d != NULL; d = d->next)
		told = told && d->settled;
	return told;
}

/* One destination always to the same deliverer: he has its connections.  NULL: nobody takes orders. */
static struct delivery_link *
link_for(const struct queue *q, struct slice destination)
{
	size_t many = deliverers(q), pick;
	struct delivery_link *d;

	if (many == 0)
		return NULL;
	pick = (size_t)(slice_hash(destination) % many);
	for (d = q->deliveries; d->leaving || pick > 0; d = d->next)
		pick -= !d->leaving;
	return d;
}

int64_t
retry_delay(const struct queue *q, uint32_t attempts)
{
	const struct delivery_conf *c = &q->options.conf->delivery;

	return attempts < c->retry_count ? c->retry[attempts] : c->retry_every;
}

int64_t
retry_longest(const struct queue *q)
{
	const struct delivery_conf *c = &q->options.conf->delivery;
	int64_t longest = c->retry_every;

	for (size_t i = 0; i < c->retry_count; i++)
		longest = c->retry[i] > longest ? c->retry[i] : longest;
	return longest;
}

/* --- a task's turn ---------------------------------------------------------------------------- */

/* An end without a deliverer: nowhere to go, dropped by configuration, unreadable. */
static void
settle_here(struct work *w, struct status status)
{
	struct queue *q = w->queue;
	struct task *t = w->task;
	struct order_result r = { .count = t->count };

	r.outcomes = must_alloc(t->count * sizeof *r.outcomes);
	for (uint32_t i = 0; i < t->count; i++)
		r.outcomes[i] = (struct order_outcome){ task_recipients(t)[i], status };
	settle(q, &(struct tried){ t, &w->stored.envelope, w->recipients, &r, NULL, true, w->late });
	free(r.outcomes);
	free_work(w);
	queue_work_over(q);
	queue_look(q);
}

static bool
same_place(const struct place_to_go *a, const struct place_to_go *b)
{
	return a->kind == b->kind && slice_eq(a->key, b->key) && slice_eq(a->place, b->place) &&
	    (a->place.n > 0 || slice_eqi(a->domain, b->domain)) && slice_eqi(a->seal, b->seal) &&
	    slice_eq(a->sender, b->sender) && a->ticket == b->ticket;
}

/* Can the recipient with that number in the task go with the first one? */
static bool
goes_along(struct work *w, uint32_t i, uint32_t kept)
{
	struct place_to_go place;

	if (kept == TOGETHER_MOST || i >= LOOK_MOST || (i > 0 && w->place.alone))
		return false;
	place_find(w->queue, &w->stored.envelope, w->recipients[i], w->arena, &place);
	if (i == 0)
		w->place = place;
	return same_place(&place, &w->place);
}

/* The others go to a task of their own. */
static void
part_with(struct work *w, const uint32_t *keep, uint32_t kept, const uint32_t *other, uint32_t others)
{
	struct task *t = w->task;

	if (others == 0)
		return;
	task_keep(t, keep, kept);
	schedule_add(&w->queue->schedule, t->message, t->destination->key, NULL, other, others, 0,
	    t->attempts);
}

/* False when not all of it can be read; its envelope is there if that has recipients. */
static bool
open_message(struct work *w, struct error *why)
{
	w->opened = opened_get(w->queue, w->task->message->id, why);
	w->stored = w->opened->stored;
	return w->opened->whole;
}

/* The first so many of the task. */
static bool
find_recipients(struct work *w, uint32_t n, struct error *why)
{
	w->recipients = opened_recipients(w->queue, w->opened, task_recipients(w->task), n, w->arena, why);
	return w->recipients != NULL;
}

/* All of them, to be told of. */
static bool
name_recipients(struct work *w)
{
	const struct task *t = w->task;

	w->recipients = opened_names(w->queue, w->opened, task_recipients(t), t->count, w->arena, NULL);
	return w->recipients != NULL;
}

/* Those who can go in one transaction with the first recipient stay in the task. */
static bool
gather(struct work *w, struct error *why)
{
	struct task *t = w->task;
	uint32_t count = t->count, kept = 0, others = 0, *keep, *other;

	if (!find_recipients(w, count < LOOK_MOST ? count : LOOK_MOST, why))
		return false;
	keep = must_alloc(count * sizeof *keep);
	other = must_alloc(count * sizeof *other);
	for (uint32_t i = 0; i < count; i++) {
		if (goes_along(w, i, kept)) {
			w->recipients[kept] = w->recipients[i];
			keep[kept++] = task_recipients(t)[i];
		} else {
			other[others++] = task_recipients(t)[i];
		}
	}
	part_with(w, keep, kept, other, others);
	free(keep);
	free(other);
	return true;
}

static enum order_kind
order_kind(enum place_kind kind)
{
	switch (kind) {
	case PLACE_MAILDIR:
		return ORDER_MAILDIR;
	case PLACE_LMTP:
		return ORDER_LMTP;
	case PLACE_HOST:
		return ORDER_HOST;
	default:
		return ORDER_SMTP;
	}
}

static struct order
order_of(struct work *w, struct slice head)
{
	const struct envelope *e = &w->stored.envelope;
	uint64_t body = e->header_size < e->size ? e->header_size : e->size;
	struct order o = {
		.number = w->number, .id = e->id, .kind = order_kind(w->place.kind),
		.domain = w->place.domain, .sender = w->place.sender, .count = w->task->count,
		.eight_bit = e->eight_bit, .smtputf8 = e->smtputf8, .requiretls = e->requiretls,
		.tls_optional = e->tls_optional, .uncounted = e->uncounted, .ret = e->ret,
		.envid = e->envid, .arrived = e->arrival, .head = head,
	};

	if (o.kind != ORDER_SMTP)
		o.place = w->place.place;
	if (w->stored.fd == -1) {
		o.body = slice_skip(w->stored.content, (size_t)body);
	} else {
		o.in_file = true;
		o.file_at = body;
		o.file_size = e->size - body;
		o.file_sum = outgoing_checksum(w->outgoing);
	}
	o.recipients = arena_get(w->arena, o.count * sizeof *o.recipients);
	bug_if(o.recipients == NULL);
	for (uint32_t i = 0; i < o.count; i++)
		o.recipients[i] = (struct order_recipient){ task_recipients(w->task)[i],
		    w->recipients[i]->address, w->recipients[i]->orcpt, w->recipients[i]->notify };
	return o;
}

/* RFC 5321 4.4: who delivers for good writes down the envelope. */
static void
add_return_path(const struct work *w, struct buf *b)
{
	buf_printf(b, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n", FMT(w->stored.envelope.sender),
	    FMT(w->recipients[0]->address));
}

/* A ticket is bound to one.  Made of our ID it is the same at every attempt (RFC 5321 6.4). */
static struct slice
with_message_id(const struct work *w, struct slice head, struct buf *b)
{
	size_t at = b->n;
	char id[ID_TEXT + 1];

	id_text(w->stored.envelope.id, id);
	buf_printf(b, "Message-ID: <%s@%.*s>\r\n", id, FMT(w->queue->options.conf->hostname));
	return arena_printf(w->arena, "%.*s%.*s", FMT(slice_skip(buf_slice(b), at)), FMT(head));
}

/* A list manager gets our verdict with the post, and brings it back (mail/ticket.h). */
static void
add_ticket(const struct work *w, struct slice head, struct buf *b)
{
	const struct envelope *e = &w->stored.envelope;
	struct verdict_record v;
	struct header header;
	struct ticket t = { .id = e->id, .arrived = e->arrival };

	if (w->queue->secrets.tickets.count == 0 || !verdict_unpack(&v, e->verdict) ||
	    !header_parse(&header, head, w->arena, NULL))
		return;
	if (header_find(&header, "Message-ID") == NULL &&
	    !header_parse(&header, with_message_id(w, head, b), w->arena, NULL))
		return;
	t.arc = slice(arc_result_name(v.arc));
	t.from = from_read(&header, w->arena).address;
	t.proved = v.proved ? v.author : NONE;
	t.results = v.results;
	ticket_add(b, &t, &header, w->queue->secrets.tickets);
}

static struct slice
with_marks(struct work *w, struct slice head)
{
	struct buf b = BUF(HEAD_MOST);
	struct slice all;

	if (w->place.kind == PLACE_MAILDIR)
		add_return_path(w, &b);
	if (w->place.ticket)
		add_ticket(w, head, &b);
	if (b.n == 0)
		return head;
	buf_add(&b, head);
	all = arena_copy(w->arena, buf_slice(&b));
	buf_free(&b);
	return all.p != NULL ? all : head;
}

/* Like what the spool cannot read: tried as long as others are, then its sender is told. */
static void
settle_unreadable(struct work *w, const struct error *why)
{
	queue_unreadable(w->queue, w->task->message, why);
	settle_here(w, STATUS(0, 4, 3, 0, "its text cannot be read here"));
}

static void
send_order(void *arg, struct slice head)
{
	struct work *w = arg;
	struct queue *q = w->queue;
	struct delivery_link *to;
	struct order o;
	struct buf packed = BUF(ORDER_MOST);
	int fd;

	if (outgoing_flaw(w->outgoing) != NULL) {
		settle_unreadable(w, outgoing_flaw(w->outgoing));
		return;
	}
	if (w->doubted)
		w->task->message->alarmed = false;
	if ((to = link_for(q, w->task->destination->key)) == NULL) {    /* the deliverer died meanwhile */
		task_wait(&q->schedule, w->task, 0);
		free_work(w);
		queue_work_over(q);
		return;
	}
	o = order_of(w, with_marks(w, head));
	order_pack(&o, &packed);
	if (packed.full) {
		buf_free(&packed);
		settle_here(w, STATUS(0, 5, 3, 4, "the message is too large to be handed over"));
		return;
	}
	w->link = to;
	fd = w->stored.fd != -1 ? fcntl(w->stored.fd, F_DUPFD_CLOEXEC, 0) : -1;
	link_send(w->link->link, FRAME_ORDER, buf_slice(&packed), fd);  /* without it he knows: it was lost */
	buf_free(&packed);
}

static bool
has_expired(const struct queue *q, const struct message *m)
{
	return clock_now(q->loop->clock) >= m->arrival + conf_patience(q->options.conf, m->report);
}

/* Too late, or the configuration changed since it was planned. */
static void
begin_expanding(struct work *w)
{
	struct queue *q = w->queue;
	struct task *t = w->task;

	if (has_expired(q, t->message)) {
		settle_here(w, STATUS(0, 4, 3, 5, "the alias or list leads to nobody"));
		return;
	}
	free_work(w);
	plan_expand(q, t);
}

/*
 * Not even its sender is known.  Where a disk refuses it waits, for as long as that takes:
 * he is still to be told.  What is damaged is tried as long as others are, and is no more.
 */
static void
not_readable(struct queue *q, struct task *t, const struct error *why)
{
	struct message *m = t->message;
	struct log_line l;

	if (queue_unreadable(q, m, why) || !has_expired(q, m)) {
		task_wait(&q->schedule, t, clock_now(q->loop->clock) + retry_delay(q, t->attempts));
		t->attempts++;
		return;
	}
	l = log_event(q->options.log, &EVENT_DROPPED, m->id);
	log_text(&l, "reason", "unreadable");
	log_end(&l);
	spool_gone(q->spool, m->id, NULL, NULL);
	works_forget(q, m->id);
	schedule_forget(&q->schedule, m);
}

/* Those whom nobody knows any more stay in the task. */
static void
part_with_known(struct work *w)
{
	struct task *t = w->task;
	uint32_t *known = must_alloc(t->count * sizeof *known), *lost = must_alloc(t->count * sizeof *lost);
	uint32_t count = 0, kept = 0;

	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t number = task_recipients(t)[i];

		if (opened_knows(w->opened, number))
			known[count++] = number;
		else
			lost[kept++] = number;
	}
	if (kept > 0)
		part_with(w, lost, kept, known, count);
	free(known);
	free(lost);
}

/*
 * What said who they are cannot be read: they wait as what cannot be read at all does.  Should
 * it have rotted, others of the task go on; and in the end the sender hears of whom they were
 * made of, and nobody else of the message is concerned.
 */
static void
not_known(struct work *w, const struct error *why)
{
	struct queue *q = w->queue;
	struct task *t = w->task;
	bool rotten = !read_refused(why);

	if (rotten)
		part_with_known(w);
	if (rotten && has_expired(q, t->message) && name_recipients(w)) {
		settle_here(w, STATUS(0, 4, 3, 0, "whom it stands for cannot be read here any more"));
		return;
	}
	free_work(w);
	not_readable(q, t, why);
}

/* Who goes together is known, and where. */
static void
set_out(struct work *w)
{
	switch (w->place.kind) {
	case PLACE_EXPAND:
		begin_expanding(w);
		break;
	case PLACE_DISCARD:
		settle_here(w, STATUS(250, 2, 0, 0, "discarded, as the configuration says"));
		break;
	case PLACE_NOWHERE:
		settle_here(w, w->place.route.refusal.class != 0 ? w->place.route.refusal
		    : STATUS(0, 5, 1, 1, "there is no such address"));
		break;
	default:
		w->outgoing = outgoing_make(w->queue, &w->stored, &w->place, w->doubted, send_order, w);
	}
}

static void
begin(struct queue *q, struct task *t)
{
	struct work *w;
	struct error why = { 0 };
	bool read;

	if (slice_eq(t->destination->key, S("expand")) && !has_expired(q, t->message)) {
		plan_expand(q, t);
		return;
	}
	w = new_work(q, t);
	read = open_message(w, &why);
	if (w->stored.envelope.count == 0) {
		free_work(w);
		not_readable(q, t, &why);
		return;
	}
	if (!gather(w, &why)) {
		not_known(w, &why);
		return;
	}
	if (!read) {
		settle_unreadable(w, &why);
		return;
	}
	w->doubted = t->message->alarmed && w->stored.fd != -1;
	t->message->alarmed = w->doubted;
	set_out(w);
}

static struct status
why_late(const struct destination *d)
{
	if (d->rests_until != 0 && d->rests_until != d->allowance)
		return STATUS(0, 4, 4, 1, "nobody could be reached there of late; it had no turn");
	return STATUS(0, 4, 4, 5, "too many messages wait for this destination; it had no turn");
}

/* Its destination has no turn for it, and its time has come: a warning, or the end. */
static void
begin_late(struct queue *q, struct task *t)
{
	struct work *w = new_work(q, t);
	struct error why = { 0 };

	open_message(w, &why);
	w->late = true;
	if (w->stored.envelope.count == 0) {
		free_work(w);
		not_readable(q, t, &why);
		return;
	}
	if (!find_recipients(w, t->count, &why)) {
		not_known(w, &why);
		return;
	}
	settle_here(w, why_late(t->destination));
}

/*
 * Hosts that keep us waiting must not stop mail to others: an attempt has one of
 * WORKS_MOST places while it is young, then one of SLOW_MOST.  INT64_MIN: there is room
 * now; else when the next one will be old, or INT64_MAX: only once somebody has finished.
 */
static int64_t
room_at(const struct queue *q, int64_t now)
{
	size_t all = q->under_way + q->expanding, young = q->expanding;
	int64_t oldest = INT64_MIN;

	if (all < WORKS_MOST)
		return INT64_MIN;
	for (const struct work *w = q->works; w != NULL && now - w->begun < SLOW_MS; w = w->next) {
		young++;                        /* the youngest stands first */
		oldest = w->begun + SLOW_MS;
	}
	if (all >= WORKS_MOST + SLOW_MOST || (young >= WORKS_MOST && oldest == INT64_MIN))
		return INT64_MAX;
	return young < WORKS_MOST ? INT64_MIN : oldest;
}

int64_t
dispatch_wake(const struct queue *q, int64_t now)
{
	int64_t room = room_at(q, now);

	return room == INT64_MIN ? schedule_wake(&q->schedule, now) : room;
}

bool
dispatch_turn(struct queue *q, int64_t now)
{
	int late = LATE_AT_ONCE;
	struct task *t;

	if (!q->loaded || q->draining || deliverers(q) == 0 || !listeners_told(q))
		return false;
	while (room_at(q, now) == INT64_MIN) {
		if ((t = schedule_next(&q->schedule, now)) != NULL)
			begin(q, t);
		else if (late > 0 && (t = schedule_late(&q->schedule, now)) != NULL)
			late--, begin_late(q, t);
		else
			return schedule_wake(&q->schedule, now) <= now;
	}
	return false;
}

/* --- what deliverers say ------------------------------------------------------------------------- */

static struct work *
find_work(struct delivery_link *d, uint64_t number, uint64_t id)
{
	for (struct work *w = d->queue->works; w != NULL; w = w->next)
		if (w->number == number && w->link == d && w->task->message->id == id)
			return w;
	return NULL;
}

static const char *
kind_word(const struct work *w)
{
	return w->place.kind == PLACE_MAILDIR ? "maildir" : w->place.kind == PLACE_LMTP ? "lmtp" : NULL;
}

/* A seal that was made for a message which is not delivered yet is kept for the next time. */
static void
keep_seal(struct work *w, const struct order_result *r)
{
	struct slice fields = outgoing_fields(w->outgoing);
	bool again = false;

	for (uint32_t i = 0; i < r->count; i++)
		again = again || status_transient(r->outcomes[i].status);
	if (again && fields.n > 0)
		spool_seal(w->queue->spool, w->task->message->id, w->place.seal, fields, NULL, NULL);
}

/* The deliverer read another text than was stored; what was sealed for a list may be of it. */
static void
text_is_unreadable(struct work *w)
{
	struct queue *q = w->queue;
	char id[ID_TEXT + 1];
	struct error why = { 0 };

	id_text(w->task->message->id, id);
	error_set(&why, "content/%s is damaged or cannot be read: it was not delivered", id);
	queue_unreadable(q, w->task->message, &why);
	if (q->sealed_post.id == w->task->message->id)
		q->sealed_post.id = 0;
}

/* What its result is settled with: the text is the deliverer's, whatever became of ours. */
static bool
read_adopted(struct work *w)
{
	open_message(w, NULL);
	if (w->stored.envelope.count > 0 && name_recipients(w)) {
		place_find(w->queue, &w->stored.envelope, w->recipients[0], w->arena, &w->place);
		return true;
	}
	opened_drop(w->opened);
	w->opened = NULL;
	return false;
}

/* One that was adopted, and the disk refused then: if it still does it is tried again. */
static bool
is_read(struct work *w)
{
	struct queue *q = w->queue;

	if (w->recipients != NULL || read_adopted(w))
		return true;
	task_wait(&q->schedule, w->task, 0);
	free_work(w);
	queue_work_over(q);
	queue_look(q);
	return false;
}

static void
take_result(struct delivery_link *d, struct slice payload)
{
	struct arena *arena = arena_new(WORK_MEMORY);
	struct queue *q = d->queue;
	struct order_result r;
	struct work *w;

	if (order_result_unpack(&r, payload, arena) && (w = find_work(d, r.number, r.id)) != NULL &&
	    is_read(w)) {
		if (w->place.kind == PLACE_MAILDIR)
			r.host = w->place.place;
		if (r.unreadable)
			text_is_unreadable(w);
		else
			keep_seal(w, &r);
		history_keep(q, r.story);
		settle(q, &(struct tried){ w->task, &w->stored.envelope, w->recipients, &r, kind_word(w),
		    false, false });
		free_work(w);
		queue_work_over(q);
		queue_look(q);
	}
	arena_free(arena);
}

/* Who of an order still waits here for a try, and in the first of which tasks. */
static struct task *
find_in_hand(struct message *m, const struct order_result *r, uint32_t *numbers, uint32_t *count)
{
	struct task *first = NULL;

	*count = 0;
	for (struct task *t = m->tasks; t != NULL; t = t->next_of_message)
		for (uint32_t i = 0; t->stage != TASK_ACTIVE && i < t->count && *count < r->count; i++) {
			uint32_t number = task_recipients(t)[i];

			if (order_outcome_of(r, number) == NULL)
				continue;
			numbers[(*count)++] = number;
			first = first != NULL ? first : t;
		}
	return first;
}

/* Nobody else tries those who are in that task now. */
static void
take_from_others(struct queue *q, struct message *m, const struct task *to, const struct order_result *r)
{
	for (struct task *t = m->tasks, *next; t != NULL; t = next) {
		uint32_t kept = 0, *keep;

		next = t->next_of_message;
		if (t == to || t->stage == TASK_ACTIVE)
			continue;
		keep = must_alloc(t->count * sizeof *keep);
		for (uint32_t i = 0; i < t->count; i++)
			if (order_outcome_of(r, task_recipients(t)[i]) == NULL)
				keep[kept++] = task_recipients(t)[i];
		if (kept == 0)
			task_remove(&q->schedule, t);
		else if (kept < t->count)
			task_keep(t, keep, kept);
		free(keep);
	}
}

/* A task of their own for recipients that a deliverer has in hand; NULL: there are none. */
static struct task *
task_in_hand(struct queue *q, struct message *m, const struct order_result *r)
{
	uint32_t *numbers = must_alloc((r->count + 1) * sizeof *numbers), count;
	struct task *from = find_in_hand(m, r, numbers, &count), *t = NULL;

	if (from != NULL) {
		t = schedule_add_alone(&q->schedule, m, from->destination->key, NULL, numbers, count, 0,
		    from->attempts);
		schedule_take(&q->schedule, t);
		if (from->stage == TASK_HELD)
			task_hold(&q->schedule, t);
		take_from_others(q, m, t, r);
	}
	free(numbers);
	return t;
}

/*
 * A deliverer works on something that an earlier queue asked for, or has done so:
 * its recipients are taken out of their task into one that is active, so that
 * nobody else tries them, and the result finds it.  What is known to be finished
 * is in no task.
 */
static void
adopt(struct delivery_link *d, const struct order_result *r)
{
	struct queue *q = d->queue;
	struct message *m = schedule_find(&q->schedule, r->id);
	struct task *t = m != NULL ? task_in_hand(q, m, r) : NULL;
	struct work *w;

	if (t == NULL)
		return;
	w = new_work(q, t);
	w->number = r->number;
	w->link = d;
	if (r->number > q->order_number)
		q->order_number = r->number;
	read_adopted(w);                        /* or when its result comes */
}

static void
take_under_way(struct delivery_link *d, struct slice payload)
{
	struct arena *arena = arena_new(WORK_MEMORY);
	struct order_result r;

	if (order_result_unpack(&r, payload, arena))
		adopt(d, &r);
	arena_free(arena);
}

bool
delivery_tell(struct queue *q, struct slice domain, unsigned kind, struct slice payload)
{
	struct buf key = BUF(300);
	struct delivery_link *d;

	buf_printf(&key, "mx %.*s", FMT(slice_head(domain, DOMAIN_MAX)));       /* as in go_remote() */
	if ((d = link_for(q, buf_slice(&key))) != NULL)
		link_send(d->link, kind, payload, -1);
	buf_free(&key);
	return d != NULL;
}

void
deliveries_tell_all(struct queue *q, unsigned kind, struct slice payload)
{
	for (struct delivery_link *d = q->deliveries; d != NULL; d = d->next)
		link_send(d->link, kind, payload, -1);
}

/* What deliverers share with each other through us. */
static void
take_for_caches(struct delivery_link *d, unsigned kind, struct slice payload)
{
	switch (kind) {
	case FRAME_STS_ASK:
		caches_ask(d->queue, payload, d->link);
		break;
	case FRAME_STS_KEEP:
		caches_keep(d->queue, payload);
		break;
	case FRAME_STS_REFRESHED:
		caches_refreshed(d->queue, payload);
		break;
	case FRAME_SESSION:
		tlsrpt_count(d->queue, payload);
		break;
	case FRAME_TLSRPT_IS:
		tlsrpt_where(d->queue, payload);
		break;
	case FRAME_POSTED:
		tlsrpt_posted(d->queue, payload);
		break;
	default:
		break;
	}
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct delivery_link *d = arg;

	if (fd != -1)
		close(fd);
	switch (kind) {
	case FRAME_RESULT:
		take_result(d, payload);
		break;
	case FRAME_UNDER_WAY:
		take_under_way(d, payload);
		break;
	case FRAME_UNDER_WAY_END:
		d->settled = true;
		queue_look(d->queue);
		break;
	case FRAME_LEAVING:
		d->leaving = true;
		break;
	default:
		take_for_caches(d, kind, payload);
		break;
	}
}

static void
free_delivery_link(struct delivery_link *d)
{
	if ((*d->back = d->next) != NULL)
		d->next->back = d->back;
	link_end(d->link);
	free(d);
}

/*
 * It is tried again, perhaps a second time.  But what two of them in a row died with may be why
 * they did: from then on it waits like what a host deferred, and has an end.
 */
static void
lose(struct work *w)
{
	struct task *t = w->task;
	bool again = t->lost && w->recipients != NULL;

	t->lost = !t->lost;
	if (again) {
		settle_here(w, STATUS(0, 4, 3, 0, "its delivery ended here before it was known how it went"));
		return;
	}
	task_wait(&w->queue->schedule, t, 0);
	free_work(w);
}

/* He died, or was replaced. */
static void
on_gone(void *arg)
{
	struct delivery_link *d = arg;
	struct queue *q = d->queue;

	for (struct work *w = q->works, *next; w != NULL; w = next) {
		next = w->next;
		if (w->link == d)
			lose(w);
	}
	free_delivery_link(d);
	queue_work_over(q);
	queue_look(q);
}

static const struct link_user DELIVERY = { on_frame, on_gone };

void
delivery_link_new(struct queue *q, int fd)
{
	struct delivery_link *d = must_alloc(sizeof *d);

	*d = (struct delivery_link){ .next = q->deliveries, .back = &q->deliveries, .queue = q };
	if (d->next != NULL)
		d->next->back = &d->next;
	q->deliveries = d;
	d->link = link_new(q->loop, fd, &DELIVERY, d);
}

void
delivery_links_end(struct queue *q)
{
	while (q->deliveries != NULL)
		free_delivery_link(q->deliveries);
}

void
delivery_links_take(struct queue *q)
{
	for (struct delivery_link *d = q->deliveries; d != NULL; d = d->next)
		link_take_all(d->link);
}

void
works_end(struct queue *q)
{
	while (q->works != NULL)
		free_work(q->works);
}

void
works_forget(struct queue *q, uint64_t id)
{
	for (struct work *w = q->works, *next; w != NULL; w = next) {
		next = w->next;
		if (w->task->message->id == id)
			free_work(w);
	}
	queue_work_over(q);
}
