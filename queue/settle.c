/* SPDX-License-Identifier: ISC */
/*
 * settle -- what became of each recipient of an attempt.
 *
 *     good        delivered; the sender hears of it if he asked to
 *     transient   waits for the next attempt, unless it has waited long enough
 *     permanent   failed; the sender is told, and only then it is finished
 */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/events.h"
#include "queue/inside.h"

enum {
	ENDING_WORDS = 64 << 20,        /* of servers, about all recipients of a message */
	ENDING_FIRST = 16,              /* recipients that there is room for at first */
	LATE_MS = 2000,                 /* who becomes late within that goes into it too */
};

struct settling {
	struct queue         *queue;
	struct message       *message;
	const struct tried   *tried;
	uint32_t              attempts;         /* with this one */
	int64_t               now, next;        /* ms */
	bool                  expired;
	uint32_t             *waiting;          /* those who are tried again */
	uint32_t              left;
	bool                  late;             /* the sender shall hear of one of them */
	struct recipient_state *done;           /* those who are finished at once */
	uint32_t              delivered;
	struct ending        *failed, *succeeded;       /* those whose sender is told first */
};

/* --- the log ----------------------------------------------------------------------------- */

static void
log_seconds(struct log_line *l, const char *key, int64_t ms)
{
	char text[32];

	snprintf(text, sizeof text, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
	log_text(l, key, text);
}

/* mx.b.example[192.0.2.1]:25 */
static void
add_host(struct buf *b, struct slice host, struct slice peer)
{
	size_t colon = slice_find(peer, ':');

	if (host.p[0] != '[')                   /* a literal is its own name */
		buf_add(b, host);
	if (host.p[0] == '[' || peer.n == 0 || peer.p[0] == '[')
		buf_add(b, peer);
	else
		buf_printf(b, "[%.*s]%.*s", FMT(slice_head(peer, colon)), FMT(slice_skip(peer, colon)));
}

static void
log_host(struct log_line *l, const struct tried *t)
{
	const struct order_result *r = t->result;
	struct buf mx = BUF(600);

	if (t->kind != NULL) {
		log_slice(l, t->kind, r->peer.n > 0 ? r->peer : r->host);
	} else if (r->host.n > 0) {
		add_host(&mx, r->host, r->peer);
		log_slice(l, "mx", buf_slice(&mx));
	}
	buf_free(&mx);
	if (r->tls.n > 0)
		log_slice(l, "tls", r->tls);
	if (r->policy.n > 0)
		log_slice(l, "policy", r->policy);
}

static void
log_status(struct log_line *l, const struct status *s)
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
log_outcome(const struct settling *x, const struct event_kind *kind, const struct recipient *r,
    const struct status *s)
{
	struct log_line l = log_event(x->queue->options.log, kind, x->message->id);
	const struct envelope *e = x->tried->envelope;

	log_path(&l, "to", r->address);
	if (r->parent < e->count)
		log_path(&l, "orig-to", e->recipients[r->parent].address);
	log_host(&l, x->tried);
	if (x->tried->result->trust.n > 0)
		log_slice(&l, "verified", x->tried->result->trust);
	log_status(&l, s);
	log_seconds(&l, "delay", x->now - x->message->arrival);
	log_number(&l, "try", x->attempts);
	if (kind == &EVENT_DEFERRED)
		log_number(&l, "next", (x->next - x->now) / 1000);
	log_end(&l);
}

/* --- first the sender is told, then they are finished, or marked as told -------------------- */

struct ending {
	struct queue *queue;            /* NULL: it has ended, and the next one will owe it */
	struct ending *next, *previous;
	uint64_t      id;
	struct arena *arena;            /* of the words */
	struct slice  host, text;       /* the newest of them */
	struct told  *told;
	struct recipient_state *states;
	size_t        count, room;
	size_t        over;             /* of them: their report is stored */
	struct timer  again;
	bool          warning;          /* they wait, and go on waiting */
	bool          asked;            /* tell_sender() has it and will answer */
};

static void tell_ending(void *arg);

static void
ending_free(struct ending *e)
{
	arena_free(e->arena);
	free(e->told);
	free(e->states);
	free(e);
}

static void
ending_leave(struct ending *e)
{
	if (e->previous != NULL)
		e->previous->next = e->next;
	else
		e->queue->endings = e->next;
	if (e->next != NULL)
		e->next->previous = e->previous;
}

/* Nobody may have dropped the message meanwhile; it goes with the last one. */
static void
ending_keep(const struct ending *e, size_t n)
{
	const struct recipient_state *states = e->states + e->over;
	struct queue *q = e->queue;
	struct message *m = schedule_find(&q->schedule, e->id);

	if (e->warning) {
		if (m != NULL)
			late_keep(q, m, e->told + e->over, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if ((m = schedule_find(&q->schedule, e->id)) == NULL)
			return;
		if (states[i].stage == RECIPIENT_EXPANDED)
			expand_told(q, m, states[i].recipient);
		else
			plan_recipient_over(q, m, &states[i]);
	}
}

static void
ending_over(struct ending *e)
{
	struct queue *q = e->queue;

	ending_leave(e);
	ending_free(e);
	q->telling--;
	queue_work_over(q);
}

/* Those whom one report names are over with it; the others get the next one. */
static void
ending_told(void *arg, struct status status, size_t told)
{
	struct ending *e = arg;
	struct queue *q = e->queue;

	e->asked = false;
	if (q == NULL) {
		ending_free(e);
		return;
	}
	if (!status_good(status)) {             /* the disk: nobody is finished before it is told */
		timer_set(q->loop, &e->again, 10 * SECOND, tell_ending, e);
		return;
	}
	ending_keep(e, told);
	e->over += told;
	if (e->over < e->count)
		tell_ending(e);
	else
		ending_over(e);
}

static void
tell_ending(void *arg)
{
	struct ending *e = arg;

	e->asked = true;
	tell_sender(e->queue, e->id, e->told + e->over, e->count - e->over, ending_told, e);
}

static struct ending *
ending_new(struct queue *q, uint64_t id)
{
	struct ending *e = must_alloc(sizeof *e);

	*e = (struct ending){ .queue = q, .id = id, .arena = arena_new(ENDING_WORDS) };
	return e;
}

/* Mostly all were told the same.  Above the ceiling words are lost, and nobody else. */
static struct slice
keep_words(struct ending *e, struct slice words, struct slice *newest)
{
	if (words.n == 0)
		return NONE;
	if (!slice_eq(words, *newest))
		*newest = arena_copy(e->arena, words);
	return *newest;
}

/* At most all recipients of a message (RECIPIENTS_MOST). */
static void
ending_grow(struct ending *e)
{
	if (e->count < e->room)
		return;
	e->room = e->room > 0 ? 2 * e->room : ENDING_FIRST;
	e->told = must_grow(e->told, e->room * sizeof *e->told);
	e->states = must_grow(e->states, e->room * sizeof *e->states);
}

static void
ending_add(struct ending *e, enum report_action action, struct recipient_state state, struct slice host)
{
	ending_grow(e);
	state.host = keep_words(e, state.host, &e->host);
	state.last.text = keep_words(e, state.last.text, &e->text);
	e->told[e->count] = (struct told){ state.recipient, action, state.last,
	    keep_words(e, host, &e->host), state.tried };
	e->states[e->count++] = state;
}

static void
ending_join(struct ending *e)
{
	struct queue *q = e->queue;

	e->next = q->endings;
	if (e->next != NULL)
		e->next->previous = e;
	q->endings = e;
}

static void
ending_start(struct ending *e)
{
	if (e == NULL)
		return;
	ending_join(e);
	e->queue->telling++;
	tell_ending(e);
}

void
settle_end(struct queue *q)
{
	struct ending *next;

	for (struct ending *e = q->endings; e != NULL; e = next) {
		next = e->next;
		timer_clear(q->loop, &e->again);
		e->queue = NULL;
		if (!e->asked)
			ending_free(e);
	}
	q->endings = NULL;
}

bool
settle_owes(const struct recipient_state *s)
{
	if (s->stage == RECIPIENT_DONE)
		return (s->told & NOTIFY_NEVER) != 0;
	if (s->stage == RECIPIENT_EXPANDED)
		return s->last.class != 0 && (s->told & NOTIFY_SUCCESS) == 0;
	return s->stage == RECIPIENT_FAILED && (s->told & NOTIFY_FAILURE) == 0;
}

/* RFC 3461 5.2.7: what a list has taken is delivered, an alias of several is expanded. */
static void
ending_add_owed(struct ending *e, struct recipient_state state)
{
	bool failed = state.stage == RECIPIENT_FAILED, done = state.stage == RECIPIENT_DONE;

	state.told &= ~(unsigned)NOTIFY_NEVER;
	state.told |= failed ? NOTIFY_FAILURE : NOTIFY_SUCCESS;
	ending_add(e, failed ? REPORT_FAILED : done && state.host.n > 0 ? REPORT_RELAYED
	    : state.count > 0 ? REPORT_EXPANDED : REPORT_DELIVERED, state, done ? state.host : NONE);
}

void
settle_owed(struct queue *q, struct message *m, const struct recipient_state *states, size_t n)
{
	struct ending *e = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!settle_owes(&states[i]))
			continue;
		if (e == NULL)
			e = ending_new(q, m->id);
		ending_add_owed(e, states[i]);
	}
	if (e == NULL)
		return;
	ending_join(e);
	q->telling++;
	timer_set(q->loop, &e->again, 0, tell_ending, e);
}

/* --- one recipient ---------------------------------------------------------------------------- */

static struct recipient_state
state_after(const struct settling *x, uint32_t number, enum recipient_stage stage, struct status s)
{
	return (struct recipient_state){ .recipient = number, .stage = stage,
	    .tried = x->tried->late ? 0 : x->now,
	    .until = stage == RECIPIENT_WAITING ? x->next : 0, .attempts = x->attempts,
	    .told = numbers_has(&x->message->warned, number) ? NOTIFY_DELAY : 0,
	    .host = x->tried->result->host, .last = s };
}

/* Who said so, for the sender: another host.  Our mailboxes are nobody's business. */
static struct slice
host_to_tell(const struct settling *x)
{
	return x->tried->kind == NULL ? x->tried->result->host : NONE;
}

/* He has it, whenever the report can be stored: should the queue end before, the next one owes it. */
static void
owe_success(const struct settling *x, struct recipient_state state)
{
	state.told |= NOTIFY_NEVER;
	state.host = host_to_tell(x);
	spool_state(x->queue->spool, x->message->id, &state, NULL, NULL);
}

/* RFC 3461 5.2.2: a host that knows DSN takes over what the sender asked for. */
static void
settle_delivered(struct settling *x, uint32_t number, const struct recipient *r, struct status s)
{
	struct recipient_state state = state_after(x, number, RECIPIENT_DONE, s);

	log_outcome(x, &EVENT_DELIVERED, r, &s);
	if ((r->notify & NOTIFY_SUCCESS) == 0 || x->tried->result->dsn_passed) {
		x->done[x->delivered++] = state;
		return;
	}
	if (x->succeeded == NULL)
		x->succeeded = ending_new(x->queue, x->message->id);
	owe_success(x, state);
	ending_add(x->succeeded, x->tried->kind != NULL ? REPORT_DELIVERED : REPORT_RELAYED, state,
	    host_to_tell(x));
}

static void
settle_failed(struct settling *x, uint32_t number, const struct recipient *r, struct status s)
{
	struct recipient_state state;

	log_outcome(x, status_permanent(s) ? &EVENT_BOUNCED : &EVENT_EXPIRED, r, &s);
	state = state_after(x, number, RECIPIENT_FAILED, s);
	state.told |= NOTIFY_FAILURE;
	if (x->failed == NULL)
		x->failed = ending_new(x->queue, x->message->id);
	ending_add(x->failed, REPORT_FAILED, state, host_to_tell(x));
}

static void
settle_deferred(struct settling *x, uint32_t number, const struct recipient *r, struct status s)
{
	/* Somebody may have held it while it was tried. */
	enum recipient_stage stage = x->tried->task->wish == WISH_HOLD ? RECIPIENT_HELD : RECIPIENT_WAITING;
	struct recipient_state state = state_after(x, number, stage, s);

	log_outcome(x, &EVENT_DEFERRED, r, &s);
	spool_state(x->queue->spool, x->message->id, &state, NULL, NULL);
	x->late = x->late || late_untold(x->message, number, r);
	x->waiting[x->left++] = number;
}

static void
settle_recipient(struct settling *x, uint32_t number, const struct recipient *r)
{
	const struct order_outcome *got = order_outcome_of(x->tried->result, number);
	struct status s = got != NULL ? got->status
	    : STATUS(0, 4, 3, 0, "the deliverer said nothing about this recipient");

	if (status_good(s))
		settle_delivered(x, number, r, s);
	else if (status_permanent(s) || (x->expired && x->tried->task->wish != WISH_HOLD))
		settle_failed(x, number, r, s);
	else
		settle_deferred(x, number, r, s);
}

/* --- the task ------------------------------------------------------------------------------------ */

static void
warn_of(void *arg, const struct late *l)
{
	struct ending *e = arg;
	const struct recipient_state state = { .recipient = l->number, .last = l->status,
	    .tried = l->tried };

	ending_add(e, REPORT_DELAYED, state, l->host);
}

/* Nobody may be left who waits. */
static void
warn_now(void *arg)
{
	struct ending *e = arg;
	struct message *m = schedule_find(&e->queue->schedule, e->id);

	e->queue->telling++;
	if (m != NULL) {
		m->warning = false;
		late_each(e->queue, m, warn_of, e);
	}
	if (e->count > 0)
		tell_ending(e);
	else
		ending_over(e);
}

/*
 * One report about all that are late by now (RFC 5321 4.5.4.1), whatever they wait for,
 * or several when they are many (REPORT_RECIPIENTS_MOST); what is being tried at the
 * same time has a moment to end.
 */
static void
maybe_warn(const struct settling *x)
{
	int64_t warn = x->queue->options.conf->delivery.warn;
	struct message *m = x->message;
	struct ending *e;

	if (!x->late || m->warning || m->report || warn == 0 || x->now - m->arrival < warn)
		return;
	m->warning = true;
	e = ending_new(x->queue, m->id);
	e->warning = true;
	ending_join(e);
	timer_set(x->queue->loop, &e->again, LATE_MS, warn_now, e);
}

/* Nobody could be spoken to: it is about the destination, not about this message. */
static bool
unreachable(const struct order_result *r)
{
	for (uint32_t i = 0; i < r->count; i++) {
		const struct status *s = &r->outcomes[i].status;

		if (!status_transient(*s) || s->subject != 4 || s->reply != 0)
			return false;
	}
	return r->count > 0;
}

/* The host went in the middle of it (RFC 5321 3.8): of one message, or of too many. */
static bool
sent_away(const struct order_result *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (r->outcomes[i].status.reply == 421)
			return true;
	return false;
}

static void
settle_destination(const struct settling *x)
{
	struct schedule *s = &x->queue->schedule;
	struct destination *d = x->tried->task->destination;
	const struct order_result *r = x->tried->result;

	if (x->tried->here)
		return;
	if (unreachable(r))
		destination_unreachable(s, d, x->next);
	else if (r->refused)
		destination_refused(s, d, x->left > 0 ? x->next : 0);
	else if (sent_away(r))
		destination_refused(s, d, 0);
	else
		destination_reached(s, d);
}

static void
settle_task(struct settling *x)
{
	struct schedule *s = &x->queue->schedule;
	struct task *t = x->tried->task;

	settle_destination(x);
	if (x->left == 0) {
		task_remove(s, t);
		return;
	}
	t->attempts = x->attempts;
	t->lost = false;
	task_keep(t, x->waiting, x->left);
	task_wait(s, t, x->next);
	maybe_warn(x);
}

static void
settle_message(struct settling *x)
{
	struct message *m = x->message;
	uint32_t open = m->open;                /* the message goes with the last one */

	for (uint32_t i = 0; i < x->delivered && open > 0; i++, open--)
		plan_recipient_over(x->queue, m, &x->done[i]);
	ending_start(x->succeeded);
	ending_start(x->failed);
}

void
settle(struct queue *q, const struct tried *tried)
{
	struct task *t = tried->task;
	struct settling x = { .queue = q, .message = t->message, .tried = tried,
	    .attempts = t->attempts + !tried->late, .now = clock_now(q->loop->clock) };
	int64_t end = x.message->arrival + conf_patience(q->options.conf, x.message->report);
	uint32_t count = t->count;

	x.expired = x.now >= end;
	x.next = x.now + retry_delay(q, t->attempts);
	if (x.next > end)
		x.next = end;
	x.waiting = must_alloc(count * sizeof *x.waiting);
	x.done = must_alloc(count * sizeof *x.done);
	for (uint32_t i = 0; i < count; i++)
		settle_recipient(&x, task_recipients(t)[i], tried->recipients[i]);
	settle_task(&x);
	settle_message(&x);
	free(x.waiting);
	free(x.done);
}
