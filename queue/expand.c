/* SPDX-License-Identifier: ISC */
/*
 * expand -- one recipient becomes others: what an alias makes of it, the post of a
 * list, the moderator, or the stranger behind an SRS address.
 *
 * It is done once and written down with the state of the recipient.  A crash before
 * that does it again: what an alias makes stands in that state alone, and the post of a
 * list, which is stored before it, is recognised and not made again.
 */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/events.h"
#include "queue/inside.h"

enum { PLACE_MEMORY = 16 << 10, EXPAND_MEMORY = 64 << 20 };

/* One recipient that becomes others, or a list's post. */
struct expansion_work {
	struct queue   *queue;
	uint64_t        id;
	uint32_t        recipient, attempts;
	struct arena   *arena;
	struct opened  *opened;
	struct stored   stored;         /* of `opened` */
	const struct recipient *from;   /* who becomes others */
	struct recipient_state state;
	bool            posted;         /* the list's post is on the disk */
	struct map     *seen;           /* addresses that get the message already; while it is begun */
};

static void
free_expansion(struct expansion_work *w)
{
	struct message *m = schedule_find(&w->queue->schedule, w->id);

	opened_drop(w->opened);
	w->queue->expanding--;
	if (m != NULL)
		m->expanding--;
	arena_free(w->arena);
	free(w);
}

/* --- posts that were made already ------------------------------------------------- */

void
expand_note_post(struct queue *q, uint64_t parent, uint32_t recipient)
{
	size_t n = q->made_post_count;

	if ((n & (n - 1)) == 0)                 /* it doubles */
		q->made_posts = must_grow(q->made_posts, (n > 0 ? 2 * n : 1) * sizeof *q->made_posts);
	q->made_posts[n] = (struct made_post){ parent, recipient };
	q->made_post_count++;
}

static bool
waits_for_expansion(const struct queue *q, const struct made_post *p)
{
	const struct message *m = schedule_find(&q->schedule, p->parent);

	for (const struct task *t = m != NULL ? m->tasks : NULL; t != NULL; t = t->next_of_message) {
		if (!slice_eq(t->destination->key, S("expand")))
			continue;
		for (uint32_t i = 0; i < t->count; i++)
			if (task_recipients(t)[i] == p->recipient)
				return true;
	}
	return false;
}

/* No more than were being expanded at a time: of most posts the parent knows, or is gone. */
void
expand_keep_open_posts(struct queue *q)
{
	size_t kept = 0;

	for (size_t i = 0; i < q->made_post_count; i++)
		if (waits_for_expansion(q, &q->made_posts[i]))
			q->made_posts[kept++] = q->made_posts[i];
	q->made_posts = must_grow(q->made_posts, (2 * kept + 1) * sizeof *q->made_posts);
	q->made_post_count = kept;
}

static bool
posted_before(const struct expansion_work *w)
{
	for (size_t i = 0; i < w->queue->made_post_count; i++)
		if (w->queue->made_posts[i].parent == w->id &&
		    w->queue->made_posts[i].recipient == w->recipient)
			return true;
	return false;
}

/* --- how it ends ------------------------------------------------------------------- */

/* Numbers of recipients that are not made after all, if nobody else got later ones. */
static void
give_numbers_back(const struct expansion_work *w, struct message *m)
{
	if (w->state.count > 0 && m->total == w->state.first + w->state.count)
		m->total = w->state.first;
}

/* It did not work out: like any other recipient it is tried again later. */
static void
try_later(struct expansion_work *w)
{
	struct queue *q = w->queue;
	struct message *m = schedule_find(&q->schedule, w->id);
	struct destination_terms terms = { .most = 1 };

	if (m != NULL)
		give_numbers_back(w, m);
	if (m != NULL)
		schedule_add(&q->schedule, m, S("expand"), &terms, &w->recipient, 1,
		    clock_now(q->loop->clock) + retry_delay(q, w->attempts), w->attempts + 1);
	free_expansion(w);
	queue_work_over(q);
	queue_look(q);
}

static void expanded(void *arg, struct status status);

static void
log_refusal(const struct expansion_work *w, const struct recipient *from)
{
	const struct status *s = &w->state.last;
	struct log_line l = log_event(w->queue->options.log, &EVENT_BOUNCED, w->id);
	char dsn[32];

	snprintf(dsn, sizeof dsn, "%u.%u.%u", s->class, s->subject, s->detail);
	log_path(&l, "to", from->address);
	log_text(&l, "dsn", dsn);
	log_slice(&l, "reply", s->text);
	log_end(&l);
}

/* A failure, of which the sender hears. */
static void
fail_for_good(struct expansion_work *w, struct status status)
{
	w->state = (struct recipient_state){ .recipient = w->recipient, .stage = RECIPIENT_FAILED,
	    .tried = clock_now(w->queue->loop->clock), .attempts = w->attempts + 1, .last = status };
	log_refusal(w, w->from);
	spool_state(w->queue->spool, w->id, &w->state, expanded, w);
}

static void
expanded(void *arg, struct status status)
{
	struct expansion_work *w = arg;
	struct queue *q = w->queue;
	struct message *m = schedule_find(&q->schedule, w->id);

	if (status_permanent(status) && w->state.count > 0 && m != NULL) {
		give_numbers_back(w, m);
		fail_for_good(w, STATUS(0, 5, 5, 3, "the addresses it stands for are too much text"));
		return;
	}
	if (!status_good(status) && w->posted && m != NULL) {
		/* Its post is out: what nobody waits for is on the disk before that one's end is. */
		spool_state(q->spool, w->id, &w->state, NULL, NULL);
	} else if (!status_good(status)) {
		try_later(w);
		return;
	}
	if (m != NULL && w->state.count > 0)
		message_note_made(m, w->recipient, w->state.first, w->state.count);
	for (size_t i = 0; m != NULL && i < w->state.count; i++)
		plan_recipient(q, m, &w->stored.envelope, w->state.first + (uint32_t)i,
		    &w->state.made[i], NULL);
	if (m != NULL && settle_owes(&w->state))
		settle_owed(q, m, &w->state, 1);
	else if (m != NULL)
		plan_last(q, m);
	free_expansion(w);
	queue_work_over(q);
	queue_look(q);
}

static bool
mark_told(void *arg, const struct found *f)
{
	const struct expansion_work *w = arg;
	const struct recipient_state *found = state_find(f->states, f->count, w->recipient);
	struct recipient_state s;

	if (found == NULL || found->stage != RECIPIENT_EXPANDED)
		return true;
	s = *found;
	s.told |= NOTIFY_SUCCESS;
	spool_state(w->queue->spool, w->id, &s, NULL, NULL);
	return true;
}

void
expand_told(struct queue *q, struct message *m, uint32_t recipient)
{
	struct expansion_work w = { .queue = q, .id = m->id, .recipient = recipient };

	if (!plan_last(q, m))
		spool_look(q->spool, w.id, mark_told, &w, NULL);
}

/* RFC 3461 5.2.7: its end as far as the sender is concerned, who asked for it. */
static void
owe_report(struct expansion_work *w, const struct recipient *from, struct status status)
{
	if (from->notify & NOTIFY_SUCCESS) {
		w->state.tried = clock_now(w->queue->loop->clock);
		w->state.last = status;
	}
}

static void
posted(void *arg, struct status status)
{
	struct expansion_work *w = arg;

	w->posted = status_good(status);
	if (w->posted)
		spool_state(w->queue->spool, w->id, &w->state, expanded, w);
	else if (status_permanent(status))
		fail_for_good(w, status);
	else
		try_later(w);
}

/* The keys lie beside the values, each in one piece. */
static void
seen_add(struct map *seen, struct slice text)
{
	struct slice *copy;

	if (map_get(seen, text) != NULL)
		return;
	copy = must_alloc(sizeof *copy + text.n);
	*copy = slice_of(copy + 1, text.n);
	memcpy(copy + 1, text.p, text.n);
	map_put(seen, *copy, copy);
}

static void
seen_free(struct map *seen)
{
	void *copy;

	for (size_t at = 0; (copy = map_next(seen, &at)) != NULL; )
		free(copy);
	map_free(seen);
}

/* Who gets it already, by another alias or directly, gets it once. */
static bool
seen_before(const struct expansion_work *w, const struct reached *r)
{
	struct slice text = r->path->address.text;
	const struct slice *before = map_get(w->seen, text);

	/* Local parts of others may differ in case alone (RFC 5321 2.4). */
	return before != NULL && (r->route.kind != ROUTE_REMOTE || slice_eq(text, *before));
}

/* With them the message would have more recipients than anybody could read again. */
static bool
too_many(const struct expansion_work *w, const struct expansion *x, const struct message *m)
{
	size_t n = 0;

	for (const struct reached *r = x->first; r != NULL; r = r->next)
		n += !seen_before(w, r);
	return n > RECIPIENTS_MOST - m->total;
}

/*
 * RFC 3461 5.2.7, aliases: to a single target all goes on that the sender asked for; of
 * several none reports success, for their alias does.  A wish for nothing but success is
 * then one for nothing.  The parent is always one of the envelope: whom a stranger wrote to.
 */
static bool
make_recipients(struct expansion_work *w, const struct expansion *x, struct message *m,
    const struct recipient *from)
{
	uint32_t parent = from->parent != NO_RECIPIENT ? from->parent : w->recipient;
	size_t n = 0;

	w->state.first = m->total;
	w->state.made = arena_get(w->arena, (x->count + 1) * sizeof *w->state.made);
	if (w->state.made == NULL)
		return false;
	for (const struct reached *r = x->first; r != NULL; r = r->next) {
		struct recipient *to = &w->state.made[n];

		if (seen_before(w, r))
			continue;
		seen_add(w->seen, r->path->address.text);
		n++;
		*to = (struct recipient){ .address = r->path->address.text, .parent = parent,
		    .orcpt = from->orcpt, .notify = from->notify };
		if (x->count > 1 && from->notify & NOTIFY_SUCCESS)
			to->notify = from->notify == NOTIFY_SUCCESS ? NOTIFY_NEVER
			    : from->notify & ~(unsigned)NOTIFY_SUCCESS;
	}
	w->state.count = n;
	m->total += (uint32_t)n;
	return true;
}

static void
expand_alias(struct expansion_work *w, struct message *m, const struct recipient *from,
    const struct address *a)
{
	struct expansion x;
	bool reached = route_expand(w->queue->options.routes, a, w->arena, &x) && x.count > 0;

	if (reached && too_many(w, &x, m)) {
		fail_for_good(w, STATUS(0, 5, 5, 3,
		    "too many recipients: with these the message has more than 100,000"));
		return;
	}
	if (!reached || !make_recipients(w, &x, m, from)) {
		queue_alarm(w->queue, "alias", "an alias leads to nobody, in a circle, or to too many");
		try_later(w);
		return;
	}
	if (x.count > 1)
		owe_report(w, from, STATUS(0, 2, 0, 0, "it was passed on to several addresses"));
	spool_state(w->queue->spool, w->id, &w->state, expanded, w);
}

/* Something came back to a list: its owner gets it, the log says whom it is about. */
static void
log_bounce(struct queue *q, const struct envelope *e, const struct route *r, const struct address *to,
    struct arena *arena)
{
	struct address member;
	struct log_line l;

	if (r->bounces == NULL)
		return;
	l = log_event(q->options.log, &EVENT_LIST_BOUNCE, e->id);
	log_path(&l, "from", e->sender);
	log_slice(&l, "list", r->bounces->conf->address.address.text);
	if (sender_member(r, to, arena, &member))
		log_path(&l, "member", member.text);
	log_end(&l);
}

/* What the configuration makes of it now. */
static void
expand_now(struct expansion_work *w, struct message *m, const struct recipient *r)
{
	struct queue *q = w->queue;
	const struct envelope *e = &w->stored.envelope;
	struct place_to_go place;
	struct address a = plan_address(r, w->arena);
	bool expands;

	place_find(q, e, r, w->arena, &place);
	expands = place.kind == PLACE_EXPAND;
	if (expands && place.instead.text.n > 0) {
		expand_alias(w, m, r, &place.instead);
	} else if (expands && place.route.kind == ROUTE_LIST) {
		owe_report(w, r, STATUS(0, 2, 0, 0, "the mailing list has taken it"));
		if (posted_before(w))
			queue_later_status(q, STATUS(250, 2, 0, 0, "its post is here"), posted, w);
		else
			list_post(q, &w->stored, w->recipient, place.route.list, posted, w);
	} else if (expands) {
		log_bounce(q, e, &place.route, &a, w->arena);
		expand_alias(w, m, r, &a);
	} else {                                /* the configuration changed meanwhile */
		plan_recipient(q, m, e, w->recipient, r, NULL);
		m->open--;
		free_expansion(w);
		queue_work_over(q);
	}
}

static void
expand_one(struct queue *q, struct message *m, uint32_t number, uint32_t attempts,
    struct map *seen)
{
	struct expansion_work *w = must_alloc(sizeof *w);
	const struct recipient **found;
	struct error why = { 0 };

	*w = (struct expansion_work){ .queue = q, .id = m->id, .recipient = number, .attempts = attempts,
	    .arena = arena_new(EXPAND_MEMORY), .seen = seen };
	w->state = (struct recipient_state){ .recipient = number, .stage = RECIPIENT_EXPANDED };
	q->expanding++;
	m->expanding++;
	w->opened = opened_get(q, m->id, &why);
	w->stored = w->opened->stored;
	if (!w->opened->whole ||
	    (found = opened_recipients(q, w->opened, &number, 1, w->arena, &why)) == NULL) {
		queue_unreadable(q, m, &why);
		try_later(w);
		return;
	}
	w->from = found[0];
	expand_now(w, m, w->from);
}

struct seeing {
	struct queue *queue;
	struct map   *seen;
};

/* Whoever is written to directly, or was made of another alias at an earlier turn. */
static bool
see_others(void *arg, const struct found *f)
{
	struct seeing *d = arg;
	struct arena *arena = arena_new(PLACE_MEMORY);

	for (size_t i = 0; i < f->summary.count; i++) {
		struct place_to_go place;

		place_find(d->queue, &f->summary, &f->summary.recipients[i], arena, &place);
		if (place.kind == PLACE_EXPAND ? place.route.kind == ROUTE_LIST : place.kind != PLACE_NOWHERE)
			seen_add(d->seen, f->summary.recipients[i].address);
		arena_reset(arena);
	}
	for (size_t i = 0; i < f->count; i++)
		for (size_t j = 0; f->states[i].stage == RECIPIENT_EXPANDED && j < f->states[i].count; j++)
			seen_add(d->seen, f->states[i].made[j].address);
	arena_free(arena);
	return true;
}

/* Not now: others of the message become what they stand for, and these are to know whom. */
static void
wait_for_others(struct queue *q, struct task *t)
{
	task_wait(&q->schedule, t, clock_now(q->loop->clock) + SECOND);
}

static void
wait_for_disk(struct queue *q, struct task *t, const struct error *why)
{
	queue_unreadable(q, t->message, why);
	task_wait(&q->schedule, t, clock_now(q->loop->clock) + retry_delay(q, t->attempts));
	t->attempts++;
}

static void
expand_all(struct queue *q, struct task *t, struct map *seen)
{
	struct message *m = t->message;
	uint32_t count = t->count, attempts = t->attempts, *numbers = must_alloc(count * sizeof *numbers);

	memcpy(numbers, task_recipients(t), count * sizeof *numbers);
	task_remove(&q->schedule, t);
	for (uint32_t i = 0; i < count; i++)
		expand_one(q, m, numbers[i], attempts, seen);
	free(numbers);
}

void
plan_expand(struct queue *q, struct task *t)
{
	struct map seen = { 0 };
	struct seeing seeing = { q, &seen };
	struct error why = { 0 };

	if (t->message->expanding > 0)
		wait_for_others(q, t);
	else if (!spool_look(q->spool, t->message->id, see_others, &seeing, &why))
		wait_for_disk(q, t, &why);
	else
		expand_all(q, t, &seen);
	seen_free(&seen);
}
