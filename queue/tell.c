/* SPDX-License-Identifier: ISC */
/*
 * tell -- reports to senders (RFC 3461 5.2, RFC 3464).
 *
 * A report is a message of ours with the null sender; it is stored like any
 * other.  None is ever made about a message whose sender is null, and none for
 * a recipient whose sender said NOTIFY=NEVER or left this kind out.
 *
 * One exception (RFC 5321 6.1): a report of ours to an address of this house that does
 * not arrive, as to the sender of cron's mail, goes to our postmaster.  What he does not
 * get either goes nowhere; and a sender elsewhere, mostly a forged one, is not his business.
 */
#include <stdlib.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "conf/events.h"
#include "mail/header.h"
#include "queue/inside.h"

enum { TELL_MEMORY = 16 << 20, TEXT_MOST = 2 * REPORT_NAMES_MOST };

struct telling {
	struct queue *queue;
	struct arena *arena;
	struct opened *opened;          /* the message it is about */
	struct stored stored;           /* of `opened` */
	bool          doubted;          /* it was unreadable before */
	const struct recipient **recipients;    /* those it is about */
	struct slice  to;               /* the sender; or postmaster */
	struct report report;
	struct buf    text;
	struct envelope envelope;
	struct recipient recipient;
	size_t        told;             /* of those it was asked about */
	void        (*done)(void *arg, struct status, size_t told);
	void         *arg;
	struct status status;
	struct later  later;
};

static void
finish(void *arg)
{
	struct telling *t = arg;
	void (*done)(void *, struct status, size_t) = t->done;
	void *waiter = t->arg;
	struct status status = t->status;
	size_t told = t->told;

	opened_drop(t->opened);
	buf_free(&t->text);
	arena_free(t->arena);
	free(t);
	done(waiter, status, told);
}

static void
finish_later(struct telling *t, struct status status)
{
	t->status = status;
	loop_later(t->queue->loop, &t->later, finish, t);
}

/* --- who is told ------------------------------------------------------------------ */

/* Of this house, also by its hostname alone. */
static bool
is_ours(const struct conf *conf, const struct address *a)
{
	return map_get(&conf->domains, a->domain) != NULL || slice_eq(a->domain, conf->hostname);
}

/* A report of which only postmaster can be told, and somebody is postmaster here: to him. */
static bool
tell_postmaster(struct telling *t, const struct told *about)
{
	const struct queue_options *o = &t->queue->options;
	const struct envelope *e = &t->stored.envelope;
	struct address to, postmaster;
	enum route_kind kind;

	if (e->sender.n > 0 || e->parent == 0 || e->count != 1 || about->action != REPORT_FAILED ||
	    !address_parse(e->recipients[0].address, t->arena, &to) || !is_ours(o->conf, &to) ||
	    slice_eqi(to.local, S("postmaster")))
		return false;
	postmaster = address_make(S("postmaster"), conf_home(o->conf), t->arena);
	kind = postmaster.text.n > 0 ? route_local(o->routes, &postmaster, t->arena).kind : ROUTE_NO_USER;
	if (kind == ROUTE_REMOTE || kind == ROUTE_NO_USER)
		return false;
	t->to = postmaster.text;
	return true;
}

/* RFC 3461 4.1, 5.2: who asked for nothing hears of failures and delays. */
static bool
wants_to_know(const struct telling *telling, const struct recipient *r, const struct told *t)
{
	if (telling->report.lost)
		return true;
	switch (t->action) {
	case REPORT_FAILED:
		return r->notify == 0 || (r->notify & NOTIFY_FAILURE) != 0;
	case REPORT_DELAYED:
		return r->notify == 0 || (r->notify & NOTIFY_DELAY) != 0;
	default:
		return (r->notify & NOTIFY_SUCCESS) != 0;
	}
}

static const struct recipient **
recipients_of(struct telling *t, const struct told *about, size_t n, struct error *why)
{
	uint32_t *numbers = arena_get(t->arena, n * sizeof *numbers);

	for (size_t i = 0; numbers != NULL && i < n; i++)
		numbers[i] = about[i].recipient;
	return numbers == NULL ? NULL
	    : opened_names(t->queue, t->opened, numbers, n, t->arena, why);
}

/* All up to the first one who does not fit into the report any more. */
static size_t
choose(struct telling *t, const struct told *about, size_t n)
{
	struct report_recipient *to = arena_get(t->arena, n * sizeof *to);
	size_t count = 0, names = 0;

	for (size_t i = 0; i < n && to != NULL; i++) {
		const struct recipient *r = t->recipients[i];

		/* Whoever stands for several (opened_names) is told of once. */
		if (!wants_to_know(t, r, &about[i]) || (i > 0 && r == t->recipients[i - 1]))
			continue;
		to[count] = (struct report_recipient){ r->address, r->orcpt, about[i].action,
		    about[i].status, about[i].host, about[i].tried };
		names += report_name_most(&to[count]);
		if (count > 0 && names > REPORT_NAMES_MOST) {
			t->told = i;
			break;
		}
		count++;
	}
	t->report.recipients = to;
	return count;
}

/* --- what it is about ---------------------------------------------------------------- */

/* The message as it was received, or its front when it is large. */
static struct slice
received(struct telling *t)
{
	const struct stored *s = &t->stored;
	size_t n = s->envelope.size < REPORT_FULL_MOST + 1 ? (size_t)s->envelope.size
	    : (size_t)s->envelope.header_size;
	char *to;

	if (s->fd == -1)
		return s->content;
	if (t->doubted && !content_check(s->fd, &s->envelope, NULL))
		return NONE;
	to = arena_get(t->arena, n);
	return to != NULL && file_read_at(s->fd, to, n, 0, NULL) ? slice_of(to, n) : NONE;
}

/* What was left out at arrival, forged results and tickets, stays with us. */
static struct slice
original(struct telling *t)
{
	const struct envelope *e = &t->stored.envelope;
	struct slice all = received(t), left;
	struct buf b = BUF(all.n);
	struct piece piece;

	if (e->omitted == 0)
		return all;
	for (size_t at = 0; envelope_piece(e, &at, &piece); )
		if (!piece.trace && piece.span.at < all.n)
			buf_add(&b, slice_head(slice_skip(all, (size_t)piece.span.at), (size_t)piece.span.n));
	left = arena_copy(t->arena, buf_slice(&b));
	buf_free(&b);
	return left;
}

static void
fill_report(struct telling *t)
{
	struct queue *q = t->queue;
	const struct envelope *e = &t->stored.envelope;
	struct report *r = &t->report;

	r->hostname = q->options.conf->hostname;
	r->to = t->to;
	r->envid = e->envid;
	r->id = ids_next(&q->ids);
	r->about = e->id;
	r->arrived = e->arrival;
	r->now = clock_now(q->loop->clock);
	r->until = e->arrival + q->options.conf->delivery.expire;
	r->original = original(t);
	/* RFC 3461 4.3: all of it unless headers were asked for; RFC 8689 5: never with REQUIRETLS. */
	r->full = e->ret != RET_HDRS && !e->requiretls && r->recipients[0].action == REPORT_FAILED &&
	    e->size <= REPORT_FULL_MOST;
}

static void
fill_envelope(struct telling *t)
{
	const struct envelope *about = &t->stored.envelope;

	t->recipient = (struct recipient){ .address = t->to, .notify = NOTIFY_NEVER,
	    .parent = NO_RECIPIENT };                       /* RFC 3461 6.1 */
	t->envelope = (struct envelope){
		.id = t->report.id, .arrival = t->report.now, .recipients = &t->recipient, .count = 1,
		.smtputf8 = report_utf8(&t->report), .requiretls = about->requiretls,
		.parent = about->id, .parent_recipient = NO_RECIPIENT,
	};
	t->envelope.eight_bit = report_eight_bit(&t->report);
}

/* The report goes into the spool like any other message. */
static void
store_report(struct telling *t, void (*stored)(void *, struct status))
{
	struct slice text = buf_slice(&t->text);
	size_t header = header_length(text);
	struct own own;

	own_begin(t->queue, &own);
	own_add(&own, slice_head(text, header));
	own_header_done(&own);
	own_add_body(&own, slice_skip(text, header + 2));
	own_store(&own, &t->envelope, stored, t);
}

static void
stored(void *arg, struct status status)
{
	struct telling *t = arg;

	finish_later(t, status);
}

static void
log_report(const struct telling *t)
{
	struct log_line l = log_event(t->queue->options.log, &EVENT_REPORT, t->report.id);
	char of[ID_TEXT + 1];

	id_text(t->report.about, of);
	log_text(&l, "kind", report_word(t->report.recipients[0].action));
	log_path(&l, "to", t->report.to);
	log_text(&l, "of", of);
	log_end(&l);
}

/* Nobody is told: the log says so, or a message would be gone without a trace. */
static void
log_silence(struct telling *t, size_t n, const char *reason)
{
	for (size_t i = 0; i < n; i++) {
		struct log_line l = log_event(t->queue->options.log, &EVENT_DROPPED, t->stored.envelope.id);

		log_path(&l, "from", t->stored.envelope.sender);
		if (t->recipients != NULL)
			log_path(&l, "to", t->recipients[i]->address);
		log_text(&l, "reason", reason);
		log_end(&l);
	}
}

/* False when it is finished without a report: later, for a disk that refuses now, or for good. */
static bool
open_message(struct telling *t, uint64_t id)
{
	struct message *m = schedule_find(&t->queue->schedule, id);
	struct error why = { 0 };

	t->doubted = m != NULL && m->alarmed;
	t->opened = opened_get(t->queue, id, &why);
	t->stored = t->opened->stored;
	if (t->opened->whole)
		return true;
	if (queue_unreadable(t->queue, m, &why))
		finish_later(t, STATUS(451, 4, 3, 0, "the message cannot be read now"));
	else if (t->stored.envelope.count == 0)
		finish_later(t, STATUS(250, 2, 0, 0, "nothing is left to report about"));
	else
		return true;            /* its content is gone: the report tells that, and goes without it */
	return false;
}

/* The same of those it is about; whom an expansion made stands in a record of its own. */
static bool
find_recipients(struct telling *t, uint64_t id, const struct told *about, size_t n)
{
	struct error why = { 0 };

	t->recipients = recipients_of(t, about, n, &why);
	if (t->recipients != NULL)
		return true;
	if (queue_unreadable(t->queue, schedule_find(&t->queue->schedule, id), &why)) {
		finish_later(t, STATUS(451, 4, 3, 0, "the recipients cannot be read now"));
		return false;
	}
	log_silence(t, n, "unreadable");
	finish_later(t, STATUS(250, 2, 0, 0, "nothing is left to report about"));
	return false;
}

static void
tell_nobody(struct telling *t, const struct told *about)
{
	if (about[0].action == REPORT_FAILED)
		log_silence(t, t->told, t->stored.envelope.sender.n > 0 ? "notify" : "null-sender");
	finish_later(t, STATUS(250, 2, 0, 0, "nobody wants to know"));
}

void
tell_sender(struct queue *q, uint64_t id, const struct told *about, size_t n,
    void (*done)(void *, struct status, size_t), void *arg)
{
	struct telling *t = must_alloc(sizeof *t);

	*t = (struct telling){ .queue = q, .arena = arena_new(TELL_MEMORY), .text = BUF(TEXT_MOST),
	    .told = n, .done = done, .arg = arg };
	if (!open_message(t, id))
		return;
	t->told = n = n < REPORT_RECIPIENTS_MOST ? n : REPORT_RECIPIENTS_MOST;
	if (!find_recipients(t, id, about, n))
		return;
	t->to = t->stored.envelope.sender;
	t->report.lost = tell_postmaster(t, about);
	t->report.count = t->to.n > 0 ? choose(t, about, n) : 0;
	if (t->report.count == 0) {
		tell_nobody(t, about);
		return;
	}
	fill_report(t);
	report_write(&t->text, &t->report);
	bug_if(t->text.full);
	fill_envelope(t);
	log_report(t);
	store_report(t, stored);
}
