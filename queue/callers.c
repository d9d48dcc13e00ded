/* SPDX-License-Identifier: ISC */
/*
 * callers -- `chainmail queue` asks the running queue.  Only whoever may open
 * the control socket gets here, and still everything is read with bounds.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "conf/events.h"
#include "net/listener.h"
#include "queue/commands.h"
#include "queue/inside.h"

enum { REQUEST_MEMORY = 1 << 20, CALLERS_MOST = 16 };

struct caller {
	struct caller  *next, **back;
	struct callers *callers;
	struct link    *link;
};

struct callers {
	struct queue    *queue;
	struct listener *listener;
	struct caller   *first;
	size_t           count;
};

/* One request that is being answered. */
struct answering {
	struct queue        *queue;
	struct link         *link;
	struct queue_request request;
	uint64_t            *ids;       /* those that are selected */
	size_t               count, room;
};

/* --- answers ------------------------------------------------------------------------------ */

static void
send_json(struct link *link, unsigned kind, json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);

	bug_if(text == NULL);
	link_send(link, kind, slice_head(slice(text), LINK_FRAME_MOST), -1);
	free(text);
	json_decref(j);
}

static bool
is_active(const struct queue *q, uint64_t id)
{
	const struct message *m = schedule_find(&q->schedule, id);

	for (const struct task *t = m != NULL ? m->tasks : NULL; t != NULL; t = t->next_of_message)
		if (t->stage == TASK_ACTIVE || t->stage == TASK_IN_LINE)
			return true;
	return false;
}

static void
send_row(struct answering *a, const struct found *f)
{
	const struct queue *q = a->queue;

	send_json(a->link, FRAME_ROW, queue_row(f, is_active(q, f->summary.id),
	    f->summary.arrival + conf_patience(q->options.conf, f->summary.sender.n == 0)));
}

static void
send_piece(void *arg, struct slice piece)
{
	link_send(((struct answering *)arg)->link, FRAME_BYTES, piece, -1);
}

/* --- changes ------------------------------------------------------------------------------- */

static void
change_tasks(struct queue *q, struct message *m, enum queue_verb verb)
{
	for (struct task *t = m->tasks; t != NULL; t = t->next_of_message) {
		if (verb == QUEUE_HOLD)
			task_hold(&q->schedule, t);
		else if (verb == QUEUE_RELEASE)
			task_release(&q->schedule, t);
		else
			task_retry(&q->schedule, t);
	}
}

static void
log_drop(struct queue *q, const struct found *f)
{
	struct log_line l = log_event(q->options.log, &EVENT_DROPPED, f->summary.id);

	log_path(&l, "from", f->summary.sender);
	log_text(&l, "reason", "command");
	log_end(&l);
}

static void
change(struct answering *a, const struct found *f)
{
	struct queue *q = a->queue;
	struct message *m = schedule_find(&q->schedule, f->summary.id);

	queue_change(q->spool, a->request.verb, f);
	if (m == NULL)
		return;
	if (a->request.verb != QUEUE_DROP) {
		change_tasks(q, m, a->request.verb);
		return;
	}
	log_drop(q, f);
	works_forget(q, m->id);
	schedule_forget(&q->schedule, m);
}

/* --- a request -------------------------------------------------------------------------------- */

static bool
answer_one(void *arg, const struct found *f)
{
	struct answering *a = arg;
	struct error why;

	switch (a->request.verb) {
	case QUEUE_LIST:
		break;                          /* list_one() */
	case QUEUE_SHOW:
		send_row(a, f);
		queue_text(a->queue->spool, f->summary.id, a->request.text, send_piece, a, &why);
		break;
	default:
		change(a, f);
	}
	return true;
}

/* The spool is not changed while it is gone over: first which, then what. */
static bool
gather(void *arg, const struct found *f)
{
	struct answering *a = arg;

	if (a->count == a->room) {
		a->room = a->room ? 2 * a->room : 64;
		a->ids = must_grow(a->ids, a->room * sizeof *a->ids);
	}
	a->ids[a->count++] = f->summary.id;
	return true;
}

/* A list changes nothing; nor does it look at the messages themselves. */
static bool
list_one(void *arg, const struct found *f)
{
	struct answering *a = arg;

	a->count++;
	send_row(a, f);
	return true;
}

static void
answer(struct caller *c, struct slice payload)
{
	struct arena *arena = arena_new(REQUEST_MEMORY);
	struct answering a = { .queue = c->callers->queue, .link = c->link };
	struct error why = { 0 };
	bool ok = queue_request_read(&a.request, payload, arena);

	if (!ok)
		error_set(&why, "the queue does not understand the request");
	else
		ok = queue_select(a.queue->spool, &a.request,
		    a.request.verb == QUEUE_LIST ? list_one : gather, &a, &why);
	for (size_t i = 0; a.ids != NULL && i < a.count; i++)
		spool_look(a.queue->spool, a.ids[i], answer_one, &a, NULL);
	send_json(c->link, FRAME_END, ok ? json_pack("{s:I}", "count", (json_int_t)a.count)
	    : json_pack("{s:I, s:s}", "count", (json_int_t)a.count, "error", why.text));
	free(a.ids);
	arena_free(arena);
	queue_look(a.queue);
}

/* --- connections -------------------------------------------------------------------------------- */

static void
free_caller(struct caller *c)
{
	if ((*c->back = c->next) != NULL)
		c->next->back = c->back;
	c->callers->count--;
	caches_forget_link(c->callers->queue, c->link);
	link_end(c->link);
	free(c);
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct caller *c = arg;

	if (fd != -1)
		close(fd);
	if (kind == FRAME_REQUEST)
		answer(c, payload);
	else if (kind == FRAME_STS_REQUEST)
		caches_answer(c->callers->queue, payload, c->link);
}

static void
on_gone(void *arg)
{
	free_caller(arg);
}

static const struct link_user CALLER = { on_frame, on_gone };

static void
accepted(void *arg, int fd, struct peer from)
{
	struct callers *all = arg;
	struct caller *c;

	(void)from;
	if (all->count == CALLERS_MOST) {
		close(fd);
		return;
	}
	c = must_alloc(sizeof *c);
	*c = (struct caller){ .next = all->first, .back = &all->first, .callers = all };
	if (c->next != NULL)
		c->next->back = &c->next;
	all->first = c;
	all->count++;
	c->link = link_new(all->queue->loop, fd, &CALLER, c);
}

struct callers *
callers_new(struct queue *q, int fd)
{
	struct callers *all = must_alloc(sizeof *all);

	all->queue = q;
	all->listener = listener_new(q->loop, fd, accepted, all);
	return all;
}

void
callers_end(struct callers *all)
{
	if (all == NULL)
		return;
	listener_end(all->listener);
	while (all->first != NULL)
		free_caller(all->first);
	free(all);
}
