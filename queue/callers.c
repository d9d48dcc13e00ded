/* SPDX-License-Identifier: ISC */
/*
 * callers -- `chainmail queue` asks the running queue.  Only whoever may open
 * the control socket gets here, and still everything is read with bounds.
 */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/text.h"
#include "conf/events.h"
#include "net/listener.h"
#include "queue/commands.h"
#include "queue/history.h"
#include "queue/inside.h"

enum {
	REQUEST_MEMORY = 1 << 20, CALLERS_MOST = 16, CHECK_MEMORY = 32 << 20,
	/* What goes over the queue does so in steps of some milliseconds … */
	STEP_MESSAGES = 4096, STEP_BYTES = 512 << 10, FRAME_BYTES_OF_ROWS = 64 << 10,
	STEP_CHANGES = 256,
	/* … while the step before is being read, or written to the disk. */
	UNSENT_LOW = 128 << 10, UNWRITTEN_WAIT = 2,     /* ms */
};

struct caller {
	struct caller  *next, **back;
	struct callers *callers;
	struct link    *link;
	struct answering *under_way;    /* what is answered in steps, or NULL */
	struct checking *checking;      /* the content that is read for it just now, or NULL */
	struct timer    again;          /* its next one, when the disk is waited for */
	unsigned        still;          /* backups that are being taken */
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
	struct arena        *arena;     /* of the request */
	struct queue_request request;
	struct queue_selection selection;
	struct buf           rows;      /* of a list, not sent yet */
	size_t               step;      /* bytes of rows in this one */
	uint64_t            *ids;       /* those that are selected */
	size_t               count, room, at;
	size_t               late;      /* the first of them come once more */
	size_t               done;      /* of them; others have ended, or may not be changed */
	uint64_t             mark;      /* of the spool: their changes are before it */
	struct error         why;       /* one of them was not */
};

static struct answering *
answering_new(struct queue *q, struct link *link)
{
	struct answering *a = must_alloc(sizeof *a);

	*a = (struct answering){ .queue = q, .link = link, .arena = arena_new(REQUEST_MEMORY),
		.rows = BUF(QUEUE_ROW_MOST) };
	return a;
}

static void
answering_free(struct answering *a)
{
	if (a == NULL)
		return;
	queue_selection_end(&a->selection);
	buf_free(&a->rows);
	arena_free(a->arena);
	free(a->ids);
	free(a);
}

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
		if (t->stage == TASK_ACTIVE)
			return true;
	return false;
}

static void
send_rows(struct answering *a)
{
	for (struct slice left = buf_slice(&a->rows); left.n > 0; left = slice_skip(left, LINK_FRAME_MOST))
		link_send(a->link, FRAME_ROWS, slice_head(left, LINK_FRAME_MOST), -1);
	buf_clear(&a->rows);
}

/* One that is longer than a row can be is left out. */
static void
add_row(struct answering *a, const struct found *f)
{
	const struct queue *q = a->queue;
	const struct queue_row row = { *f, is_active(q, f->summary.id),
		f->summary.arrival + conf_patience(q->options.conf, f->summary.sender.n == 0) };
	size_t before = a->rows.n;

	row_pack(&row, &a->rows);
	if (a->rows.full)
		a->rows.n = before;
	a->rows.full = false;
	a->step += a->rows.n - before;
	if (a->rows.n >= FRAME_BYTES_OF_ROWS)
		send_rows(a);
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
log_drop_and_forget(struct queue *q, struct message *m, const struct found *f)
{
	log_drop(q, f);
	works_forget(q, m->id);
	schedule_forget(&q->schedule, m);
}

struct bouncing {
	struct recipient_state *states;
	size_t                  count, room;
};

static void
gather_state(void *arg, const struct recipient_state *s)
{
	struct bouncing *b = arg;

	if (b->count == b->room) {
		b->room = b->room ? 2 * b->room : 8;
		b->states = must_grow(b->states, b->room * sizeof *b->states);
	}
	b->states[b->count++] = *s;
}

/* They are tried no more; the report comes, and then they are finished. */
static void
bounce(struct queue *q, struct message *m, const struct found *f, const struct known *known)
{
	struct bouncing b = { .states = NULL };

	queue_change_each(QUEUE_BOUNCE, f, known, gather_state, &b);
	while (m->tasks != NULL)
		task_remove(&q->schedule, m->tasks);
	settle_owed(q, m, b.states, b.count);
	free(b.states);
}

/* What is under way can arrive: it is not told that it did not. */
static bool
may_change(struct answering *a, const struct message *m)
{
	char id[ID_TEXT + 1];

	if (a->request.verb != QUEUE_BOUNCE)
		return true;
	if (!deliveries_told(a->queue))
		return error_set(&a->why, "it is not known yet what is being tried; ask again in a moment");
	for (const struct task *t = m != NULL ? m->tasks : NULL; t != NULL; t = t->next_of_message)
		if (t->stage == TASK_ACTIVE) {
			id_text(m->id, id);
			return error_set(&a->why, "%s is being tried just now; hold it and ask again", id);
		}
	return m == NULL || m->tasks != NULL;           /* without a task it is bounced already */
}

/* What is held is not retried, what is not held is not released. */
static bool
is_for(const struct task *t, enum queue_verb verb)
{
	bool held = t->stage == TASK_HELD || t->wish == WISH_HOLD;

	return verb == QUEUE_RETRY ? !held : verb == QUEUE_RELEASE ? held : true;
}

/*
 * Whoever waits or is tried; all others have an end that may still be on its way to the
 * disk.  The tries are the caller's to free.
 */
static uint32_t *
tries_of(const struct message *m, enum queue_verb verb)
{
	uint32_t *tries = must_alloc((m->total + 1) * sizeof *tries);

	for (const struct task *t = m->tasks; t != NULL; t = t->next_of_message)
		for (uint32_t i = 0; i < t->count && is_for(t, verb); i++)
			tries[task_recipients(t)[i]] = t->attempts + 1;
	return tries;
}

static void
change_message(struct answering *a, struct message *m, const struct found *f,
    const struct known *known)
{
	struct queue *q = a->queue;

	if (!queue_changes(a->request.verb, f, known) || !may_change(a, m))
		return;
	a->done++;
	queue_change(q->spool, a->request.verb, f, known);
	if (m == NULL)
		return;
	if (a->request.verb == QUEUE_DROP)
		log_drop_and_forget(q, m, f);
	else if (a->request.verb == QUEUE_BOUNCE)
		bounce(q, m, f, known);
	else
		change_tasks(q, m, a->request.verb);
}

static void
change(struct answering *a, const struct found *f)
{
	struct message *m = schedule_find(&a->queue->schedule, f->summary.id);
	uint32_t *tries = m != NULL ? tries_of(m, a->request.verb) : NULL;
	const struct known known = { tries, m != NULL ? m->total : 0, m != NULL ? &m->warned : NULL };

	change_message(a, m, f, m != NULL ? &known : NULL);
	free(tries);
}

/* --- a request -------------------------------------------------------------------------------- */

static bool
answer_one(void *arg, const struct found *f)
{
	struct answering *a = arg;

	switch (a->request.verb) {
	case QUEUE_LIST:
		break;                          /* list_one() */
	case QUEUE_SHOW:
		add_row(a, f);
		send_rows(a);
		a->done += queue_text(a->queue->spool, f->summary.id, a->request.text, send_piece, a,
		    &a->why);
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

	if (a->request.verb > QUEUE_BOUNCE && f->summary.size <= SMALL_CONTENT)
		return true;                    /* to be verified: its record was read already */
	if (a->count == a->room) {
		a->room = a->room ? 2 * a->room : 64;
		a->ids = must_grow(a->ids, a->room * sizeof *a->ids);
	}
	a->ids[a->count++] = f->summary.id;
	return true;
}

/* `missing`: that ids are not there is all that failed. */
static void
send_end_of(struct link *link, size_t count, bool ok, const struct error *why, bool missing)
{
	send_json(link, FRAME_END, ok ? json_pack("{s:I}", "count", (json_int_t)count)
	    : json_pack("{s:I, s:s, s:b}", "count", (json_int_t)count, "error", why->text, "missing",
	    missing));
}

static void
send_end(struct link *link, size_t count, bool ok, const struct error *why)
{
	send_end_of(link, count, ok, why, false);
}

static void
end_about_messages(struct answering *a)
{
	bool ok = true, missing;

	if (a->request.verb == QUEUE_RETRY && a->queue->schedule.stopped)
		error_set(&a->why, "delivery is held by the configuration (hold on): nothing is tried");
	missing = a->why.text[0] == '\0' && a->selection.why.text[0] == '\0';
	if (a->why.text[0] == '\0')
		ok = queue_selection_whole(&a->selection, &a->why);
	send_end_of(a->link, a->done, ok && a->why.text[0] == '\0', &a->why, missing);
}

/* --- in steps ------------------------------------------------------------------------------- */

static void
finish(struct caller *c)
{
	end_about_messages(c->under_way);
	answering_free(c->under_way);
	c->under_way = NULL;
}

/* Done is what the disk has: "held" must not be forgotten by a crash. */
static void
finish_when_written(void *arg)
{
	struct caller *c = arg;
	struct answering *a = c->under_way;
	struct queue *q = a->queue;
	enum spool_progress progress = spool_progress(q->spool, a->mark);

	if (progress == SPOOL_UNDER_WAY) {
		timer_set(q->loop, &c->again, UNWRITTEN_WAIT, finish_when_written, c);
		return;
	}
	if (progress == SPOOL_REFUSED)
		error_set(&a->why, "the disk does not take the change; %zu message%s changed only until "
		    "the program ends, or for good when the disk takes it", a->done,
		    a->done == 1 ? " is" : "s are");
	finish(c);
}

static void
finish_change(struct caller *c)
{
	struct answering *a = c->under_way;

	if (a->request.verb == QUEUE_SHOW || a->done == 0) {
		finish(c);
		return;
	}
	a->mark = spool_mark(a->queue->spool);
	finish_when_written(c);
}

/* A recipient becomes others just now: they are meant too, and not there yet. */
static bool
comes_later(const struct answering *a, uint64_t id)
{
	const struct message *m = schedule_find(&a->queue->schedule, id);
	enum queue_verb verb = a->request.verb;

	return verb != QUEUE_SHOW && verb != QUEUE_DROP && m != NULL && m->expanding > 0;
}

static void
answer_next(struct answering *a)
{
	struct spool *spool = a->queue->spool;
	uint64_t id = a->ids[a->at++];
	struct error why = { 0 };

	if (comes_later(a, id))
		a->ids[a->late++] = id;
	else if (!queue_look_at(spool, a->request.verb, id, answer_one, a, &why) && spool_living(spool, id))
		a->why = why;
}

static void answer_some(void *arg);

static void
answer_late(struct caller *c)
{
	struct answering *a = c->under_way;

	a->count = a->late;
	a->at = a->late = 0;
	timer_set(a->queue->loop, &c->again, UNWRITTEN_WAIT, answer_some, c);
}

/* A message with all its text is a step of its own. */
static void
answer_some(void *arg)
{
	struct caller *c = arg;
	struct answering *a = c->under_way;
	struct queue *q = a->queue;
	size_t end = a->at + (a->request.verb == QUEUE_SHOW ? 1 : STEP_CHANGES);

	if (spool_behind(q->spool)) {
		timer_set(q->loop, &c->again, UNWRITTEN_WAIT, answer_some, c);
		return;
	}
	while (a->at < a->count && a->at < end)
		answer_next(a);
	queue_look(q);
	if (a->at < a->count)
		link_when_low(c->link, UNSENT_LOW, answer_some, c);
	else if (a->late > 0)
		answer_late(c);
	else
		finish_change(c);
}

/* --- contents, one after another, off the loop ----------------------------------------------- */

/* A content that is being read; the job has it, whoever leaves. */
struct checking {
	struct caller *caller;          /* NULL: gone */
	struct arena  *arena;
	struct buf     bytes;
	struct stored  stored;
	bool           right;
	struct error   why;
};

static void check_next(struct caller *);

static void
checking_free(struct checking *k)
{
	if (k->stored.fd != -1)
		close(k->stored.fd);
	buf_free(&k->bytes);
	arena_free(k->arena);
	free(k);
}

static void
check_job(void *arg)
{
	struct checking *k = arg;

	k->right = content_check(k->stored.fd, &k->stored.envelope, &k->why);
}

/* Its next try is warned, and somebody is told, once; the caller in any case. */
static void
note_damage(struct answering *a, uint64_t id, const struct error *why)
{
	queue_unreadable(a->queue, schedule_find(&a->queue->schedule, id), why);
	contents_name(&a->why, id, why);
}

static void
check_done(void *arg)
{
	struct checking *k = arg;
	struct caller *c = k->caller;

	if (c != NULL) {
		if (!k->right)
			note_damage(c->under_way, k->stored.envelope.id, &k->why);
		c->checking = NULL;
		check_next(c);
	}
	checking_free(k);
}

/* True when there is a file to be read; what cannot even be opened is told. */
static bool
begin_check(struct caller *c, uint64_t id)
{
	struct answering *a = c->under_way;
	struct checking *k = must_alloc(sizeof *k);

	*k = (struct checking){ .caller = c, .arena = arena_new(CHECK_MEMORY), .bytes = BUF(RECORD_MOST) };
	if (spool_read(a->queue->spool, id, &k->bytes, k->arena, &k->stored, &k->why) && k->stored.fd != -1) {
		c->checking = k;
		job(a->queue->jobs, check_job, check_done, k);
		return true;
	}
	if (k->why.text[0] != '\0' && spool_living(a->queue->spool, id))
		note_damage(a, id, &k->why);
	checking_free(k);
	return false;
}

static void
check_next(struct caller *c)
{
	struct answering *a = c->under_way;

	while (a->at < a->count)
		if (begin_check(c, a->ids[a->at++]))
			return;
	a->done = queue_messages(a->queue);
	finish(c);
}

static void
gather_some(void *arg)
{
	struct caller *c = arg;
	struct answering *a = c->under_way;

	if (queue_select(a->queue->spool, &a->request, &a->selection, gather, a))
		link_when_low(c->link, UNSENT_LOW, gather_some, c);
	else if (a->request.verb > QUEUE_BOUNCE)
		check_next(c);
	else
		answer_some(c);
}

/* Of a message that has ended, the record that says so may still be on its way to the disk. */
static bool
has_ended(const struct queue *q, uint64_t id)
{
	return schedule_find(&q->schedule, id) == NULL;
}

/* It changes nothing, nor does it look at the messages themselves. */
static bool
list_one(void *arg, const struct found *f)
{
	struct answering *a = arg;

	if (has_ended(a->queue, f->summary.id))
		return true;
	a->done++;
	add_row(a, f);
	return a->step < STEP_BYTES;
}

static void
list_some(void *arg)
{
	struct caller *c = arg;
	struct answering *a = c->under_way;
	bool more;

	a->step = 0;
	more = queue_select(a->queue->spool, &a->request, &a->selection, list_one, a);
	send_rows(a);
	if (more)
		link_when_low(c->link, UNSENT_LOW, list_some, c);
	else
		finish(c);
}

static void
begin_when_ready(void *arg)
{
	struct caller *c = arg;
	const struct queue_request *r = &c->under_way->request;

	if (r->id_count == 0 && !spool_walk_ready(c->under_way->queue->spool))
		link_when_low(c->link, UNSENT_LOW, begin_when_ready, c);
	else if (r->verb == QUEUE_LIST)
		list_some(c);
	else
		gather_some(c);
}

static void
answer_about_messages(struct caller *c, struct answering *a)
{
	a->selection.most = STEP_MESSAGES;
	c->under_way = a;
	if (a->request.verb == QUEUE_RETRY)
		deliveries_tell_all(a->queue, FRAME_TRY_ALL, NONE);
	begin_when_ready(c);
}

/* --- about all of it ------------------------------------------------------------------------ */

static void
send_stats(struct answering *a)
{
	const struct queue *q = a->queue;
	json_t *row = queue_stats(q->spool);

	json_object_set_new(row, "tasks", json_integer((json_int_t)q->schedule.tasks));
	json_object_set_new(row, "active", json_integer((json_int_t)queue_active(q)));
	json_object_set_new(row, "held", json_integer((json_int_t)q->schedule.held));
	json_object_set_new(row, "destinations", json_integer((json_int_t)q->schedule.destinations.n));
	send_json(a->link, FRAME_ROW, row);
	send_end(a->link, queue_messages(q), true, NULL);
}

/* Segments and catalogue at once, then the contents, which may be many. */
static bool
begin_verdict(struct caller *c, struct answering *a)
{
	struct error why = { 0 };

	if (queue_verify(a->queue->spool, a->request.verb, &why)) {
		answer_about_messages(c, a);
		return true;
	}
	send_end(a->link, queue_messages(a->queue), false, &why);
	return false;
}

/* The spool keeps still as long as the caller stays. */
static void
begin_backup(struct caller *c)
{
	uint32_t segment;
	uint64_t bytes;

	spool_keep_still(c->callers->queue->spool, &segment, &bytes);
	c->still++;
	send_json(c->link, FRAME_ROW, json_pack("{s:I, s:I}", "segment", (json_int_t)segment, "bytes",
	    (json_int_t)bytes));
}

static bool
send_row(void *arg, json_t *row)
{
	struct answering *a = arg;

	send_json(a->link, FRAME_ROW, row);
	return link_unsent(a->link) < LINK_UNSENT_MOST / 2 ||
	    error_set(&a->why, "there are more rows than the program can send at once");
}

static void
answer_about_kept(struct answering *a, struct slice payload)
{
	json_t *j = json_loadb(payload.p, payload.n, JSON_ALLOW_NUL, NULL);
	size_t count = 0;
	bool ok = caches_ready(a->queue)
	    ? queue_kept(a->queue->kv, &a->request, json_object_get(j, "rows"), send_row, a, &count, &a->why)
	    : error_set(&a->why, "the caches cannot be opened");

	send_end(a->link, count, ok && a->why.text[0] == '\0', &a->why);
	json_decref(j);
}

/* Lines, and from where on the rest is asked for. */
static void
answer_about_the_past(struct answering *a, struct slice payload)
{
	struct buf lines = BUF(HISTORY_PAGE);
	struct error why = { 0 };
	uint64_t below = 0;
	bool ok = history_answer(a->queue, payload, &lines, &below, &why);

	if (lines.n > 0)
		link_send(a->link, FRAME_BYTES, buf_slice(&lines), -1);
	send_json(a->link, FRAME_ROW, json_pack("{s:I}", "below", (json_int_t)below));
	send_end(a->link, 0, ok, &why);
	buf_free(&lines);
}

static void
answer(struct caller *c, struct slice payload)
{
	struct answering *a = answering_new(c->callers->queue, c->link);
	static const struct error unknown = { .text = "the queue does not understand the request" };

	if (!queue_request_read(&a->request, payload, a->arena)) {
		send_end(c->link, 0, false, &unknown);
	} else if (a->request.verb <= QUEUE_BOUNCE) {
		answer_about_messages(c, a);
		return;
	} else if (a->request.verb == QUEUE_STATS) {
		send_stats(a);
	} else if (a->request.verb == QUEUE_BACKUP) {
		begin_backup(c);
	} else if (a->request.verb == QUEUE_WHY) {
		answer_about_the_past(a, payload);
	} else if (a->request.verb == QUEUE_VERIFY || a->request.verb == QUEUE_REBUILD) {
		if (begin_verdict(c, a))
			return;
	} else {
		answer_about_kept(a, payload);
	}
	answering_free(a);
}

/* --- connections -------------------------------------------------------------------------------- */

static void
free_caller(struct caller *c)
{
	if ((*c->back = c->next) != NULL)
		c->next->back = c->back;
	c->callers->count--;
	caches_forget_link(c->callers->queue, c->link);
	while (c->still-- > 0)
		spool_go_on(c->callers->queue->spool);
	timer_clear(c->callers->queue->loop, &c->again);
	if (c->checking != NULL)
		c->checking->caller = NULL;
	answering_free(c->under_way);
	link_end(c->link);
	free(c);
}

/* Whoever asks again before his answer has ended mistakes the rest of it for the next. */
static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct caller *c = arg;

	if (fd != -1)
		close(fd);
	if (c->under_way != NULL)
		free_caller(c);
	else if (kind == FRAME_REQUEST)
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
