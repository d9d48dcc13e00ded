/* SPDX-License-Identifier: ISC */
/*
 * dispatch -- tasks become orders, results become states.
 *
 *     a task's turn -> read the message -> who goes together -> sign and seal
 *     -> an order over a link -> a result -> states, reports, the next time
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/text.h"
#include "conf/events.h"
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

static int64_t
patience(const struct queue *q, const struct message *m)
{
	const struct delivery_conf *c = &q->options.conf->delivery;

	return m->report && c->expire_reports < c->expire ? c->expire_reports : c->expire;
}

/* --- results ------------------------------------------------------------------------------ */

/* How one attempt went, for all its recipients. */
struct outcome {
	struct queue   *queue;
	struct message *message;
	const struct envelope *envelope;
	const struct order_result *result;
	const char     *kind;           /* "maildir", "lmtp", or NULL */
	uint32_t        attempts;
	int64_t         now, next;
};

static void
log_seconds(struct log_line *l, const char *key, int64_t ms)
{
	char text[32];
	struct buf b = BUF(sizeof text);

	buf_printf(&b, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
	log_slice(l, key, buf_slice(&b));
	buf_free(&b);
}

static void
log_host(struct log_line *l, const struct outcome *o)
{
	struct buf mx = BUF(600);

	if (o->kind != NULL)
		log_slice(l, o->kind, o->result->host);
	else if (o->result->host.n > 0) {
		buf_printf(&mx, "%.*s[%.*s]", FMT(o->result->host), FMT(o->result->peer));
		log_slice(l, "mx", buf_slice(&mx));
	}
	buf_free(&mx);
	if (o->result->tls.n > 0)
		log_slice(l, "tls", o->result->tls);
	if (o->result->policy.n > 0)
		log_slice(l, "policy", o->result->policy);
}

static void
log_dsn(struct log_line *l, const struct status *s)
{
	struct buf text = BUF(2000);

	buf_printf(&text, "%u.%u.%u", s->class, s->subject, s->detail);
	log_slice(l, "dsn", buf_slice(&text));
	buf_clear(&text);
	if (s->reply > 0)
		buf_printf(&text, "%u ", s->reply);
	buf_add(&text, s->text);
	log_slice(l, "reply", buf_slice(&text));
	buf_free(&text);
}

static void
log_outcome(const struct outcome *o, const struct event_kind *kind, const struct recipient *r,
    const struct status *s)
{
	struct log_line l = log_event(o->queue->options.log, kind, o->message->id);

	log_path(&l, "to", r->address);
	if (r->parent < o->envelope->count)
		log_path(&l, "orig-to", o->envelope->recipients[r->parent].address);
	if (kind != &EVENT_EXPIRED)
		log_host(&l, o);
	if (kind == &EVENT_DELIVERED && o->result->trust.n > 0)
		log_slice(&l, "verified", o->result->trust);
	log_dsn(&l, s);
	log_seconds(&l, "delay", o->now - o->message->arrival);
	log_number(&l, "try", o->attempts);
	if (kind == &EVENT_DEFERRED)
		log_number(&l, "next", (o->next - o->now) / 1000);
	log_end(&l);
}

static struct recipient_state
state_after(const struct outcome *o, uint32_t number, enum recipient_stage stage, struct status s)
{
	return (struct recipient_state){ .recipient = number, .stage = stage, .tried = o->now,
	    .until = stage == RECIPIENT_WAITING ? o->next : 0, .attempts = o->attempts,
	    .told = o->message->warned ? NOTIFY_DELAY : 0, .host = o->result->host, .last = s };
}

/* Recipients that failed for good: first the sender is told, then they are finished. */
struct failure {
	struct queue *queue;
	uint64_t      id;
	struct arena *arena;
	struct told  *told;
	struct recipient_state *states;
	size_t        count;
	struct timer  again;
};

static void tell_failure(void *arg);

static void
failure_told(void *arg, struct status status)
{
	struct failure *f = arg;
	struct queue *q = f->queue;

	if (!status_good(status)) {             /* the disk: they are not finished before it is told */
		timer_set(q->loop, &f->again, 10 * SECOND, tell_failure, f);
		return;
	}
	for (size_t i = 0; i < f->count; i++) {
		struct message *m = schedule_find(&q->schedule, f->id);

		if (m != NULL)
			plan_recipient_over(q, m, f->states[i].recipient, &f->states[i]);
	}
	arena_free(f->arena);
	free(f);
	q->telling--;
	queue_work_over(q);
}

static void
tell_failure(void *arg)
{
	struct failure *f = arg;

	tell_sender(f->queue, f->id, f->told, f->count, failure_told, f);
}

static struct failure *
new_failure(struct queue *q, uint64_t id, size_t most)
{
	struct failure *f = must_alloc(sizeof *f);

	*f = (struct failure){ .queue = q, .id = id, .arena = arena_new(WORK_MEMORY) };
	f->told = arena_get(f->arena, most * sizeof *f->told);
	f->states = arena_get(f->arena, most * sizeof *f->states);
	bug_if(f->states == NULL);
	return f;
}

static void
add_failure(struct failure *f, const struct outcome *o, uint32_t number, struct status s)
{
	struct slice host = arena_copy(f->arena, o->result->host);

	s.text = arena_copy(f->arena, s.text);
	f->told[f->count] = (struct told){ number, TELL_FAILED, s, host };
	f->states[f->count] = state_after(o, number, RECIPIENT_FAILED, s);
	f->states[f->count].told |= NOTIFY_FAILURE;
	f->states[f->count++].host = host;
}

static void
warned(void *arg, struct status status)
{
	(void)arg;
	(void)status;                           /* it was worth a try; the message goes on waiting */
}

static void
maybe_warn(struct queue *q, struct message *m, const struct told *late, size_t n)
{
	int64_t warn = q->options.conf->delivery.warn, now = clock_now(q->loop->clock);

	if (n == 0 || m->warned || warn == 0 || now - m->arrival < warn)
		return;
	m->warned = true;
	tell_sender(q, m->id, late, n, warned, NULL);
}

/* Nobody could be spoken to: it is about the destination, not about this message. */
static bool
unreachable(const struct order_result *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (!status_transient(r->outcomes[i].status) || r->outcomes[i].status.subject != 4)
			return false;
	return r->count > 0;
}

static const struct order_outcome *
outcome_of(const struct order_result *r, uint32_t number)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->outcomes[i].index == number)
			return &r->outcomes[i];
	return NULL;
}

/*
 * What became of each recipient of a task.  The task waits again with those that
 * are left, or is removed.
 */
static void
settle(struct queue *q, struct task *t, const struct envelope *e,
    const struct recipient *const *recipients, const struct order_result *r, const char *kind)
{
	struct message *m = t->message;
	struct outcome o = { q, m, e, r, kind, t->attempts + 1, clock_now(q->loop->clock), 0 };
	bool expired = o.now - m->arrival >= patience(q, m);
	uint32_t count = t->count, left = 0, open = m->open;
	uint32_t *keep = must_alloc(count * sizeof *keep), *done = must_alloc(count * sizeof *done);
	struct told *late = must_alloc(count * sizeof *late);
	struct status *last = must_alloc(count * sizeof *last);
	struct failure *f = new_failure(q, m->id, count);
	uint32_t delivered = 0;

	o.next = o.now + retry_delay(q, t->attempts);
	if (o.next > m->arrival + patience(q, m))
		o.next = m->arrival + patience(q, m);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = task_recipients(t)[i];
		const struct order_outcome *got = outcome_of(r, number);
		struct status s = got != NULL ? got->status
		    : STATUS(0, 4, 3, 0, "the deliverer said nothing about this recipient");

		if (status_good(s)) {
			log_outcome(&o, &EVENT_DELIVERED, recipients[i], &s);
			last[delivered] = s;
			done[delivered++] = number;
		} else if (status_permanent(s) || expired) {
			log_outcome(&o, expired && !status_permanent(s) ? &EVENT_EXPIRED : &EVENT_BOUNCED,
			    recipients[i], &s);
			if (!status_permanent(s))
				s.class = 4, s.subject = 4, s.detail = 7;       /* A22.7 */
			add_failure(f, &o, number, s);
		} else {
			struct recipient_state waiting = state_after(&o, number, RECIPIENT_WAITING, s);

			log_outcome(&o, &EVENT_DEFERRED, recipients[i], &s);
			spool_state(q->spool, m->id, &waiting, NULL, NULL);
			late[left] = (struct told){ number, TELL_DELAYED, s, r->host };
			keep[left++] = number;
		}
	}
	if (unreachable(r))
		destination_unreachable(&q->schedule, t->destination, o.next);
	else
		destination_reached(&q->schedule, t->destination);
	if (left > 0) {
		t->attempts++;
		task_keep(t, keep, left);
		task_wait(&q->schedule, t, o.next);
		maybe_warn(q, m, late, left);
	} else {
		task_remove(&q->schedule, t);
	}
	for (uint32_t i = 0; i < delivered; i++) {
		struct recipient_state s = state_after(&o, done[i], RECIPIENT_DONE, last[i]);

		plan_recipient_over(q, m, done[i], &s);
		if (--open == 0)
			break;                  /* the message is gone */
	}
	free(keep);
	free(done);
	free(late);
	free(last);
	if (f->count > 0) {
		q->telling++;
		tell_failure(f);
	} else {
		arena_free(f->arena);
		free(f);
	}
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
	settle(q, t, &w->stored.envelope, w->recipients, &r, NULL);
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
 * the others get tasks of their own.  False: somebody cannot be found.
 */
static bool
gather(struct work *w)
{
	struct queue *q = w->queue;
	struct task *t = w->task;
	uint32_t *keep = must_alloc(t->count * sizeof *keep), kept = 0;

	w->recipients = arena_get(w->arena, t->count * sizeof *w->recipients);
	for (uint32_t i = 0; i < t->count && w->recipients != NULL; i++) {
		uint32_t number = task_recipients(t)[i];
		const struct recipient *r =
		    plan_find_recipient(q, &w->stored.envelope, number, w->arena);
		struct place_to_go place;

		if (r == NULL) {
			w->recipients = NULL;
			break;
		}
		place_find(q, &w->stored.envelope, r, w->arena, &place);
		if (i == 0)
			w->place = place;
		if (i > 0 && (!same_place(&place, &w->place) || kept == TOGETHER_MOST)) {
			schedule_add(&q->schedule, t->message, place.key, &place.terms, &number, 1, 0,
			    t->attempts);
			continue;
		}
		w->recipients[kept] = r;
		keep[kept++] = number;
	}
	if (w->recipients != NULL)
		task_keep(t, keep, kept);
	free(keep);
	return w->recipients != NULL;
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
	/* Until the result only the envelope is of interest; the text may be large. */
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
		task_wait(&q->schedule, t, clock_now(q->loop->clock) + HOUR);
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
		settle(q, w->task, &w->stored.envelope, w->recipients, &r, kind_word(w));
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
			if (t->stage != TASK_ACTIVE && outcome_of(r, task_recipients(t)[i]) != NULL)
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
