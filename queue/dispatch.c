/* SPDX-License-Identifier: ISC */
/*
 * dispatch -- tasks become orders, and results find their tasks again.
 *
 *     a task's turn -> read the message -> who goes together -> sign and seal
 *     -> an order over a link -> a result -> settle.c
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "queue/inside.h"
#include "queue/order.h"

enum {
	WORKS_MOST = 500,               /* attempts under way, in all */
	TOGETHER_MOST = 100,            /* recipients of one order (RFC 5321 4.5.3.1.8) */
	WORK_MEMORY = 8 << 20,
	ORDER_MOST = LINK_FRAME_MOST,
	HEAD_MOST = 1 << 20,
};

/* --- links to deliverers --------------------------------------------------------------- */

struct delivery_link {
	struct delivery_link *next, **back;
	struct queue         *queue;
	struct link          *link;
	bool                  settled;  /* it has told what it is doing already */
};

/* One attempt under way. */
struct work {
	struct work          *next, **back;
	struct queue         *queue;
	struct task          *task;     /* ACTIVE */
	uint64_t              number;
	struct delivery_link *link;     /* NULL: not sent yet */
	struct arena         *arena;
	struct buf            bytes;
	struct stored         stored;
	struct place_to_go    place;
	const struct recipient **recipients;    /* in the order of the task's */
	struct outgoing      *outgoing;
	int64_t               begun;
};

static void
free_work(struct work *w)
{
	if ((*w->back = w->next) != NULL)
		w->next->back = w->back;
	w->queue->under_way--;
	outgoing_free(w->outgoing);
	if (w->stored.fd != -1)
		close(w->stored.fd);
	buf_free(&w->bytes);
	arena_free(w->arena);
	free(w);
}

static struct work *
new_work(struct queue *q, struct task *t)
{
	struct work *w = must_alloc(sizeof *w);

	*w = (struct work){ .next = q->works, .back = &q->works, .queue = q, .task = t,
	    .arena = arena_new(WORK_MEMORY), .bytes = BUF(RECORD_MOST), .stored.fd = -1,
	    .begun = clock_now(q->loop->clock), .number = ++q->order_number };
	if (w->next != NULL)
		w->next->back = &w->next;
	q->works = w;
	q->under_way++;
	t->work = w;
	return w;
}

static bool
all_settled(const struct queue *q)
{
	for (const struct delivery_link *d = q->deliveries; d != NULL; d = d->next)
		if (!d->settled)
			return false;
	return q->deliveries != NULL;
}

/* One destination always to the same deliverer: he has its connections. */
static struct delivery_link *
link_for(const struct queue *q, struct slice destination)
{
	size_t n = 0, pick;
	struct delivery_link *d;

	for (d = q->deliveries; d != NULL; d = d->next)
		n++;
	pick = (size_t)(slice_hash(destination) % n);
	for (d = q->deliveries; pick > 0; pick--)
		d = d->next;
	return d;
}

int64_t
retry_delay(const struct queue *q, uint32_t attempts)
{
	const struct delivery_conf *c = &q->options.conf->delivery;

	return attempts < c->retry_count ? c->retry[attempts] : c->retry_every;
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
	settle(q, &(struct tried){ t, &w->stored.envelope, w->recipients, &r, NULL });
	free(r.outcomes);
	free_work(w);
	queue_work_over(q);
	queue_look(q);
}

static bool
same_place(const struct place_to_go *a, const struct place_to_go *b)
{
	return a->kind == b->kind && slice_eq(a->key, b->key) && slice_eq(a->place, b->place) &&
	    (a->place.n > 0 || slice_eqi(a->domain, b->domain)) && slice_eqi(a->seal, b->seal);
}

/*
 * Those who can go in one transaction with the first recipient stay in the task;
 * the others go to another one.  False: somebody cannot be found.
 */
static bool
gather(struct work *w)
{
	struct queue *q = w->queue;
	struct task *t = w->task;
	uint32_t count = t->count, kept = 0, others = 0, *keep, *other;
	struct place_to_go place;

	w->recipients = plan_find_recipients(q, &w->stored.envelope, task_recipients(t), count, w->arena);
	if (w->recipients == NULL)
		return false;
	keep = must_alloc(count * sizeof *keep);
	other = must_alloc(count * sizeof *other);
	for (uint32_t i = 0; i < count; i++) {
		const struct recipient *r = w->recipients[i];

		if (kept < TOGETHER_MOST)
			place_find(q, &w->stored.envelope, r, w->arena, &place);
		if (i == 0)
			w->place = place;
		if (kept < TOGETHER_MOST && same_place(&place, &w->place)) {
			w->recipients[kept] = r;
			keep[kept++] = task_recipients(t)[i];
		} else {
			other[others++] = task_recipients(t)[i];
		}
	}
	if (others > 0) {
		task_keep(t, keep, kept);
		schedule_add(&q->schedule, t->message, t->destination->key, NULL, other, others, 0,
		    t->attempts);
	}
	free(keep);
	free(other);
	return true;
}

static enum order_kind
order_kind(enum place_kind kind)
{
	return kind == PLACE_MAILDIR ? ORDER_MAILDIR : kind == PLACE_LMTP ? ORDER_LMTP : ORDER_SMTP;
}

static struct order
order_of(struct work *w, struct slice head)
{
	const struct envelope *e = &w->stored.envelope;
	uint64_t body = e->header_size < e->size ? e->header_size : e->size;
	struct order o = {
		.number = w->number, .id = e->id, .kind = order_kind(w->place.kind),
		.domain = w->place.domain, .sender = e->sender, .count = w->task->count,
		.eight_bit = e->eight_bit, .smtputf8 = e->smtputf8, .requiretls = e->requiretls,
		.tls_optional = e->tls_optional, .ret = e->ret, .envid = e->envid,
		.arrived = e->arrival, .head = head,
	};

	if (o.kind != ORDER_SMTP)
		o.place = w->place.place;
	if (w->stored.fd == -1) {
		o.body = slice_skip(w->stored.content, (size_t)body);
	} else {
		o.in_file = true;
		o.file_at = body;
		o.file_size = e->size - body;
	}
	o.recipients = arena_get(w->arena, o.count * sizeof *o.recipients);
	bug_if(o.recipients == NULL);
	for (uint32_t i = 0; i < o.count; i++)
		o.recipients[i] = (struct order_recipient){ task_recipients(w->task)[i],
		    w->recipients[i]->address, w->recipients[i]->orcpt, w->recipients[i]->notify };
	return o;
}

/* RFC 5321 4.4: who delivers for good writes down the envelope. */
static struct slice
with_return_path(struct work *w, struct slice head)
{
	struct buf b = BUF(HEAD_MOST);
	struct slice all;

	if (w->place.kind != PLACE_MAILDIR)
		return head;
	buf_printf(&b, "Return-Path: <%.*s>\r\nDelivered-To: %.*s\r\n", FMT(w->stored.envelope.sender),
	    FMT(w->recipients[0]->address));
	buf_add(&b, head);
	all = arena_copy(w->arena, buf_slice(&b));
	buf_free(&b);
	return all.p != NULL ? all : head;
}

static void
send_order(void *arg, struct slice head)
{
	struct work *w = arg;
	struct queue *q = w->queue;
	struct order o;
	struct buf packed = BUF(ORDER_MOST);

	if (!all_settled(q)) {                  /* the deliverer died meanwhile */
		task_wait(&q->schedule, w->task, 0);
		free_work(w);
		queue_work_over(q);
		return;
	}
	o = order_of(w, with_return_path(w, head));
	order_pack(&o, &packed);
	if (packed.full) {
		buf_free(&packed);
		settle_here(w, STATUS(0, 5, 3, 4, "the message is too large to be handed over"));
		return;
	}
	w->link = link_for(q, w->task->destination->key);
	link_send(w->link->link, FRAME_ORDER, buf_slice(&packed), w->stored.fd);
	w->stored.fd = -1;
	buf_free(&packed);
}

static void
begin(struct queue *q, struct task *t)
{
	struct work *w;
	struct error why = { 0 };

	if (slice_eq(t->destination->key, S("expand"))) {
		plan_expand(q, t);
		return;
	}
	w = new_work(q, t);
	if (!spool_read(q->spool, t->message->id, &w->bytes, w->arena, &w->stored, &why) || !gather(w)) {
		queue_alarm(q, "message", why.text);
		task_wait(&q->schedule, t, clock_now(q->loop->clock) + retry_delay(q, t->attempts));
		t->attempts++;
		free_work(w);
		return;
	}
	switch (w->place.kind) {
	case PLACE_EXPAND:                      /* the configuration changed */
		free_work(w);
		plan_expand(q, t);
		break;
	case PLACE_DISCARD:
		settle_here(w, STATUS(250, 2, 0, 0, "discarded, as the configuration says"));
		break;
	case PLACE_NOWHERE:
		settle_here(w, w->place.route.refusal.class != 0 ? w->place.route.refusal
		    : STATUS(0, 5, 1, 1, "there is no such address"));
		break;
	default:
		w->outgoing = outgoing_make(q, &w->stored, w->place.seal, w->place.kind == PLACE_SMTP,
		    send_order, w);
	}
}

void
dispatch_turn(struct queue *q)
{
	int64_t now = clock_now(q->loop->clock);
	struct task *t;

	if (!q->loaded || q->draining || !all_settled(q))
		return;
	while (q->under_way + q->expanding < WORKS_MOST && (t = schedule_next(&q->schedule, now)) != NULL)
		begin(q, t);
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

static void
take_result(struct delivery_link *d, struct slice payload)
{
	struct arena *arena = arena_new(WORK_MEMORY);
	struct queue *q = d->queue;
	struct order_result r;
	struct work *w;

	if (order_result_unpack(&r, payload, arena) && (w = find_work(d, r.number, r.id)) != NULL) {
		if (w->place.kind == PLACE_MAILDIR)
			r.host = w->place.place;
		keep_seal(w, &r);
		settle(q, &(struct tried){ w->task, &w->stored.envelope, w->recipients, &r, kind_word(w) });
		free_work(w);
		queue_work_over(q);
		queue_look(q);
	}
	arena_free(arena);
}

/*
 * A deliverer works on something that an earlier queue asked for: its recipients
 * are taken out of their tasks into one that is active, so that nobody else tries
 * them, and the result finds it.
 */
static void
adopt(struct delivery_link *d, const struct order_result *r)
{
	struct queue *q = d->queue;
	struct message *m = schedule_find(&q->schedule, r->id);
	struct task *found = NULL;
	struct work *w;
	struct error why;

	for (struct task *t = m ? m->tasks : NULL; t != NULL && found == NULL; t = t->next_of_message)
		for (uint32_t i = 0; i < t->count; i++)
			if (t->stage != TASK_ACTIVE && order_outcome_of(r, task_recipients(t)[i]) != NULL)
				found = t;
	if (found == NULL || !schedule_take(&q->schedule, found))
		return;
	w = new_work(q, found);
	w->number = r->number;
	w->link = d;
	if (r->number > q->order_number)
		q->order_number = r->number;
	if (!spool_read(q->spool, r->id, &w->bytes, w->arena, &w->stored, &why) || !gather(w)) {
		task_wait(&q->schedule, found, 0);
		free_work(w);
	}
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

/* --- policies that deliverers fetched ------------------------------------------------------------- */

static void
answer_policy(struct delivery_link *d, struct slice domain)
{
	struct buf entry = BUF(1 << 20), b = BUF(LINK_FRAME_MOST);

	if (d->queue->sts == NULL ||
	    kv_get(d->queue->sts, slice_head(domain, KV_KEY), &entry, NULL) != KV_FOUND)
		buf_clear(&entry);
	pack_slice(&b, domain);
	pack_slice(&b, buf_slice(&entry));
	link_send(d->link, FRAME_STS_IS, buf_slice(&b), -1);
	buf_free(&entry);
	buf_free(&b);
}

static void
keep_policy(struct queue *q, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), entry = unpack_slice(&u);
	int64_t until = (int64_t)unpack_u64(&u);
	struct error why;

	if (!unpack_done(&u) || q->sts == NULL || domain.n == 0 || domain.n > KV_KEY)
		return;
	/* Losing it would open a window for a downgrade: it goes to the disk now. */
	if (!kv_put_until(q->sts, domain, entry, until, &why) || !kv_commit(q->kv, KV_SYNC, &why))
		queue_alarm(q, "policies", why.text);
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
	case FRAME_STS_ASK:
		answer_policy(d, payload);
		break;
	case FRAME_STS_KEEP:
		keep_policy(d->queue, payload);
		break;
	default:
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

/* He died, or was replaced: what he worked on is tried again, perhaps a second time. */
static void
on_gone(void *arg)
{
	struct delivery_link *d = arg;
	struct queue *q = d->queue;

	for (struct work *w = q->works, *next; w != NULL; w = next) {
		next = w->next;
		if (w->link != d)
			continue;
		task_wait(&q->schedule, w->task, 0);
		free_work(w);
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
		if (w->stored.envelope.id == id)
			free_work(w);
	}
	queue_work_over(q);
}
