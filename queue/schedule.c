/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "queue/schedule.h"

enum {
	LIMIT_FIRST = 5,                /* attempts at once, before a destination is known */
	FEW_TASKS = 16,                 /* of a message, that are looked through quickly */
	WAKES = 100,                    /* tasks that are due are put in line by one call, at most */
};

static void
line_begin(struct destination *d)
{
	for (int bulk = 0; bulk < 2; bulk++)
		d->line[bulk].last = &d->line[bulk].first;
}

void
schedule_begin(struct schedule *s)
{
	*s = (struct schedule){ .stopped = false };
	s->turns_last = &s->turns;
}

static void
free_message(struct message *m)
{
	if (m->fitting != NULL)
		idmap_free(m->fitting);
	free(m->fitting);
	numbers_free(&m->warned);
	free(m->made);
	free(m);
}

static void
free_task(struct task *t)
{
	if (t->count > 1)
		free(t->recipients.many);
	free(t);
}

static void
free_destination(struct destination *d)
{
	for (int bulk = 0; bulk < 2; bulk++)
		for (struct lane *lane = d->line[bulk].first, *next; lane != NULL; lane = next) {
			next = lane->next;
			free(lane);
		}
	free((void *)(uintptr_t)d->key.p);
	free(d);
}

void
schedule_end(struct schedule *s)
{
	struct message *m;
	struct destination *d;

	for (size_t at = 0; (m = idmap_next(&s->messages, &at)) != NULL; ) {
		for (struct task *t = m->tasks, *next; t != NULL; t = next) {
			next = t->next_of_message;
			free_task(t);
		}
		free_message(m);
	}
	for (size_t at = 0; (d = map_next(&s->destinations, &at)) != NULL; )
		free_destination(d);
	idmap_free(&s->messages);
	map_free(&s->destinations);
	free(s->waiting.entries);
	free(s->late.entries);
	free(s->resting.entries);
}

/* --- turns ------------------------------------------------------------------------ */

static bool
wants_turn(const struct destination *d)
{
	return d->rests_until == 0 && d->active < d->limit &&
	    (d->line[0].first != NULL || d->line[1].first != NULL);
}

static void
leave_turns(struct schedule *s, struct destination *d)
{
	if (!d->in_turn)
		return;
	if ((*d->back = d->next) != NULL)
		d->next->back = d->back;
	else
		s->turns_last = d->back;
	d->in_turn = false;
}

static void
join_turns(struct schedule *s, struct destination *d)
{
	if (d->in_turn || !wants_turn(d))
		return;
	d->next = NULL;
	d->back = s->turns_last;
	*s->turns_last = d;
	s->turns_last = &d->next;
	d->in_turn = true;
}

/* --- lines ------------------------------------------------------------------------ */

static void
join_line(struct line *l, struct lane *lane)
{
	lane->next = NULL;
	lane->back = l->last;
	*l->last = lane;
	l->last = &lane->next;
	l->lanes++;
}

static void
leave_line(struct line *l, struct lane *lane)
{
	if ((*lane->back = lane->next) != NULL)
		lane->next->back = lane->back;
	else
		l->last = lane->back;
	l->lanes--;
}

/* The sender's own; a new one at the end; or, when there are too many, somebody's. */
static struct lane *
lane_of(struct line *l, uint32_t sender)
{
	struct lane *lane;

	for (lane = l->first; lane != NULL; lane = lane->next)
		if (lane->sender == sender)
			return lane;
	if (l->lanes == LANES_MOST) {
		lane = l->first;
		for (unsigned i = sender % LANES_MOST; i > 0; i--)
			lane = lane->next;
		return lane;
	}
	lane = must_alloc(sizeof *lane);
	lane->last = &lane->first;
	lane->sender = sender;
	join_line(l, lane);
	return lane;
}

static int64_t
late_at(const struct schedule *s, const struct task *t)
{
	const struct message *m = t->message;
	int64_t end = m->report ? s->patience.report : s->patience.message, warn = s->patience.warn;

	if (warn > 0 && !m->report && !t->late && (end == 0 || warn < end))
		return m->arrival + warn;
	return end > 0 ? m->arrival + end : INT64_MAX;
}

static void
put_in_line(struct schedule *s, struct task *t)
{
	int64_t late = late_at(s, t);
	struct destination *d = t->destination;
	struct lane *lane = lane_of(&d->line[t->message->bulk], t->message->sender);

	t->stage = TASK_IN_LINE;
	t->lane = lane;
	t->next = NULL;
	t->back = lane->last;
	*lane->last = t;
	lane->last = &t->next;
	if (late < INT64_MAX)
		heap_put(&s->late, &t->due, late);
	join_turns(s, d);
}

static void
take_from_line(struct schedule *s, struct task *t)
{
	struct lane *lane = t->lane;

	heap_remove(&s->late, &t->due);
	if ((*t->back = t->next) != NULL)
		t->next->back = t->back;
	else
		lane->last = t->back;
	if (lane->first != NULL)
		return;
	leave_line(&t->destination->line[t->message->bulk], lane);
	free(lane);
}

static struct line *
line_to_serve(struct destination *d)
{
	struct line *people = &d->line[0], *bulk = &d->line[1];

	if (people->first != NULL && (bulk->first == NULL || d->before_bulk < PEOPLE_BEFORE_BULK)) {
		d->before_bulk = bulk->first != NULL ? d->before_bulk + 1 : 0;
		return people;
	}
	d->before_bulk = 0;
	return bulk;
}

/* The sender whose turn it was goes behind the others. */
static struct task *
first_in_line(struct destination *d)
{
	struct line *l = line_to_serve(d);
	struct lane *lane = l->first;

	leave_line(l, lane);
	join_line(l, lane);
	return lane->first;
}

/* --- messages and tasks ------------------------------------------------------------- */

struct message *
schedule_find(const struct schedule *s, uint64_t id)
{
	return idmap_get(&s->messages, id);
}

struct message *
schedule_message(struct schedule *s, uint64_t id, int64_t arrival)
{
	struct message *m = schedule_find(s, id);

	if (m != NULL)
		return m;
	m = must_alloc(sizeof *m);
	m->id = id;
	m->arrival = arrival;
	idmap_put(&s->messages, id, m);
	return m;
}

void
schedule_forget(struct schedule *s, struct message *m)
{
	while (m->tasks != NULL)
		task_remove(s, m->tasks);
	idmap_remove(&s->messages, m->id);
	free_message(m);
}

void
message_note_made(struct message *m, uint32_t by, uint32_t first, size_t count)
{
	uint32_t n = m->made_count;

	if ((n & (n - 1)) == 0)                 /* it doubles */
		m->made = must_grow(m->made, (n > 0 ? 2 * (size_t)n : 1) * sizeof *m->made);
	m->made[m->made_count++] = (struct made_range){ by, first, (uint32_t)count };
}

uint32_t
message_maker(const struct message *m, uint32_t recipient)
{
	for (uint32_t i = 0; i < m->made_count; i++)
		if (recipient >= m->made[i].first && recipient - m->made[i].first < m->made[i].count)
			return m->made[i].by;
	return UINT32_MAX;
}

static struct destination *
destination_of(struct schedule *s, struct slice key, const struct destination_terms *terms)
{
	struct destination *d = map_get(&s->destinations, key);

	if (d == NULL) {
		d = must_alloc(sizeof *d);
		d->key = slice_of(must_copy(key.p, key.n), key.n);
		d->limit = LIMIT_FIRST;
		d->most = 1;
		line_begin(d);
		map_put(&s->destinations, d->key, d);
	}
	if (terms == NULL)
		return d;
	d->most = terms->most > 0 ? terms->most : 1;
	if (d->limit > d->most)
		d->limit = d->most;
	d->rate_count = terms->rate_count;
	d->rate_per = terms->rate_per;
	return d;
}

static void
rest(struct schedule *s, struct destination *d, int64_t until)
{
	leave_turns(s, d);
	d->rests_until = until;
	heap_put(&s->resting, &d->rest, until);
}

/*
 * Nobody needs it now: what was learnt about it is kept only as long as it matters.
 * With a rate it rests until the next attempt is allowed, and is forgotten then.
 */
static void
maybe_forget_destination(struct schedule *s, struct destination *d)
{
	if (d->waiting > 0 || d->active > 0 || d->rests_until != 0)
		return;
	if (d->allowance != 0) {
		rest(s, d, d->allowance);
		return;
	}
	leave_turns(s, d);
	map_remove(&s->destinations, d->key);
	free_destination(d);
}

static bool
waits_until(const struct task *t, int64_t due)
{
	if (due == UNTIL_RELEASED)
		return t->stage == TASK_HELD;
	return t->stage == TASK_WAITING && t->due.when == due;
}

/* --- which tasks of a message can be joined -------------------------------------------- */

static uint64_t
key_of(const struct destination *d)
{
	return (uintptr_t)d;
}

static void
join_fitting(struct task *t)
{
	struct idmap *fitting = t->message->fitting;
	struct task *first = idmap_get(fitting, key_of(t->destination));

	t->next_fitting = first;
	if (first != NULL)
		first->previous_fitting = t;
	idmap_put(fitting, key_of(t->destination), t);
}

static void
leave_fitting(struct task *t)
{
	struct idmap *fitting = t->message->fitting;

	if (fitting == NULL || t->alone)
		return;
	if (t->next_fitting != NULL)
		t->next_fitting->previous_fitting = t->previous_fitting;
	if (t->previous_fitting != NULL)
		t->previous_fitting->next_fitting = t->next_fitting;
	else if (t->next_fitting != NULL)
		idmap_put(fitting, key_of(t->destination), t->next_fitting);
	else
		idmap_remove(fitting, key_of(t->destination));
}

/* Most messages have few tasks, and no map of them. */
static void
make_fitting(struct message *m)
{
	m->fitting = must_alloc(sizeof *m->fitting);
	for (struct task *t = m->tasks; t != NULL; t = t->next_of_message)
		if (!t->alone)
			join_fitting(t);
}

static bool
fits(const struct task *t, const struct destination *d, int64_t due, uint32_t attempts)
{
	return !t->alone && t->destination == d && waits_until(t, due) && t->attempts == attempts;
}

static struct task *
fitting_task(const struct message *m, const struct destination *d, int64_t due, uint32_t attempts)
{
	struct task *t;

	if (m->fitting == NULL) {
		for (t = m->tasks; t != NULL && !fits(t, d, due, attempts); t = t->next_of_message)
			;
		return t;
	}
	t = idmap_get(m->fitting, key_of(d));
	while (t != NULL && !fits(t, d, due, attempts))
		t = t->next_fitting;
	return t;
}

static void
add_recipients(struct task *t, const uint32_t *recipients, uint32_t count)
{
	uint32_t all = t->count + count, *to;

	bug_if(count == 0 || all < count);
	if (all == 1) {
		t->recipients.one = *recipients;
		t->count = 1;
		return;
	}
	if (t->count > 1) {
		to = must_grow(t->recipients.many, all * sizeof *to);
	} else {
		to = must_alloc(all * sizeof *to);
		if (t->count == 1)
			to[0] = t->recipients.one;
	}
	memcpy(to + t->count, recipients, count * sizeof *to);
	t->recipients.many = to;
	t->count = all;
}

static void
join_message(struct message *m, struct task *t)
{
	t->next_of_message = m->tasks;
	t->back_of_message = &m->tasks;
	if (m->tasks != NULL)
		m->tasks->back_of_message = &t->next_of_message;
	m->tasks = t;
	m->task_count++;
	if (m->fitting != NULL && !t->alone)
		join_fitting(t);
	else if (m->fitting == NULL && m->task_count > FEW_TASKS)
		make_fitting(m);
}

static void
leave_message(struct task *t)
{
	leave_fitting(t);
	if ((*t->back_of_message = t->next_of_message) != NULL)
		t->next_of_message->back_of_message = t->back_of_message;
	t->message->task_count--;
}

static struct task *
new_task(struct schedule *s, struct message *m, struct destination *d, int64_t due,
    uint32_t attempts, bool alone)
{
	struct task *t = must_alloc(sizeof *t);

	t->message = m;
	t->destination = d;
	t->attempts = attempts;
	t->stage = TASK_WAITING;
	t->alone = alone;
	join_message(m, t);
	s->tasks++;
	d->waiting++;
	heap_put(&s->waiting, &t->due, due);
	if (due == UNTIL_RELEASED)
		task_hold(s, t);
	return t;
}

struct task *
schedule_add(struct schedule *s, struct message *m, struct slice key,
    const struct destination_terms *terms, const uint32_t *recipients, uint32_t count, int64_t due,
    uint32_t attempts)
{
	struct destination *d = destination_of(s, key, terms);
	struct task *t = fitting_task(m, d, due, attempts);

	if (t == NULL)
		t = new_task(s, m, d, due, attempts, false);
	add_recipients(t, recipients, count);
	return t;
}

struct task *
schedule_add_alone(struct schedule *s, struct message *m, struct slice key,
    const struct destination_terms *terms, const uint32_t *recipients, uint32_t count, int64_t due,
    uint32_t attempts)
{
	struct task *t = new_task(s, m, destination_of(s, key, terms), due, attempts, true);

	add_recipients(t, recipients, count);
	return t;
}

void
task_keep(struct task *t, const uint32_t *recipients, uint32_t count)
{
	uint32_t *old = t->count > 1 ? t->recipients.many : NULL;

	bug_if(count == 0 || count > t->count);
	if (count == 1) {
		t->recipients.one = *recipients;
		free(old);
	} else {
		memmove(old, recipients, count * sizeof *old);
	}
	t->count = count;
}

/* Out of wherever it stands. */
static void
leave_stage(struct schedule *s, struct task *t)
{
	struct destination *d = t->destination;

	switch (t->stage) {
	case TASK_WAITING:
		heap_remove(&s->waiting, &t->due);
		break;
	case TASK_IN_LINE:
		take_from_line(s, t);
		if (!wants_turn(d))
			leave_turns(s, d);
		break;
	case TASK_ACTIVE:
		s->active--;
		d->active--;
		d->waiting++;
		join_turns(s, d);
		break;
	case TASK_HELD:
		s->held--;
		break;
	}
}

void
task_remove(struct schedule *s, struct task *t)
{
	struct destination *d = t->destination;

	leave_stage(s, t);
	d->waiting--;
	s->tasks--;
	leave_message(t);
	free_task(t);
	maybe_forget_destination(s, d);
}

/* --- time and turns --------------------------------------------------------------------- */

static struct task *
task_of(struct heap_entry *e)
{
	return (struct task *)((char *)e - offsetof(struct task, due));
}

static struct destination *
destination_of_rest(struct heap_entry *e)
{
	return (struct destination *)((char *)e - offsetof(struct destination, rest));
}

static void
wake_due(struct schedule *s, int64_t now)
{
	struct heap_entry *e;
	int left = WAKES;

	while ((e = heap_first(&s->resting)) != NULL && e->when <= now) {
		struct destination *d = destination_of_rest(e);

		heap_remove(&s->resting, e);
		d->rests_until = 0;
		if (d->allowance <= now)
			d->allowance = 0;
		join_turns(s, d);
		maybe_forget_destination(s, d);
	}
	while ((e = heap_first(&s->waiting)) != NULL && e->when <= now && left-- > 0) {
		heap_remove(&s->waiting, e);
		put_in_line(s, task_of(e));
	}
}

/* A rate: attempts begin no closer to each other than it says. False: not yet. */
static bool
rate_allows(struct schedule *s, struct destination *d, int64_t now)
{
	if (d->rate_count == 0)
		return true;
	if (d->allowance > now) {
		rest(s, d, d->allowance);
		return false;
	}
	d->allowance = now + d->rate_per / d->rate_count;
	return true;
}

static void
activate(struct schedule *s, struct task *t)
{
	t->stage = TASK_ACTIVE;
	s->active++;
	t->destination->active++;
	t->destination->waiting--;
}

bool
schedule_take(struct schedule *s, struct task *t)
{
	if (t->stage == TASK_ACTIVE)
		return false;
	if (t->stage == TASK_HELD)
		t->wish = WISH_HOLD;            /* it is held again when it is back */
	leave_stage(s, t);
	activate(s, t);
	return true;
}

struct task *
schedule_next(struct schedule *s, int64_t now)
{
	struct destination *d;
	struct task *t;

	wake_due(s, now);
	if (s->stopped)
		return NULL;
	do
		if ((d = s->turns) == NULL)
			return NULL;
	while (!rate_allows(s, d, now));
	leave_turns(s, d);
	t = first_in_line(d);
	take_from_line(s, t);
	activate(s, t);
	join_turns(s, d);                       /* behind the others */
	return t;
}

struct task *
schedule_late(struct schedule *s, int64_t now)
{
	struct heap_entry *e = heap_first(&s->late);
	struct task *t;

	if (s->stopped || e == NULL || e->when > now)
		return NULL;
	t = task_of(e);
	leave_stage(s, t);
	activate(s, t);
	t->late = true;
	return t;
}

int64_t
schedule_wake(const struct schedule *s, int64_t now)
{
	const struct heap_entry *task = heap_first(&s->waiting), *rest = heap_first(&s->resting);
	const struct heap_entry *late = heap_first(&s->late);
	int64_t when = INT64_MAX;

	if (s->turns != NULL && !s->stopped)
		return now;
	if (task != NULL && task->when < when)
		when = task->when;
	if (rest != NULL && rest->when < when)
		when = rest->when;
	if (late != NULL && late->when < when && !s->stopped)
		when = late->when;
	return when;
}

void
task_wait(struct schedule *s, struct task *t, int64_t until)
{
	enum task_wish wish = t->wish;

	leave_stage(s, t);
	t->wish = WISH_NONE;
	t->stage = TASK_WAITING;
	heap_put(&s->waiting, &t->due, until);
	if (wish == WISH_HOLD)
		task_hold(s, t);
	else if (wish == WISH_RETRY)
		task_retry(s, t);
}

void
task_retry(struct schedule *s, struct task *t)
{
	if (t->stage == TASK_HELD || t->wish == WISH_HOLD)
		return;
	if (t->stage == TASK_ACTIVE) {
		t->wish = WISH_RETRY;
		return;
	}
	if (t->stage == TASK_WAITING)
		heap_put(&s->waiting, &t->due, 0);
	destination_wake(s, t->destination);
}

void
task_hold(struct schedule *s, struct task *t)
{
	if (t->stage == TASK_ACTIVE)
		t->wish = WISH_HOLD;
	if (t->stage == TASK_ACTIVE || t->stage == TASK_HELD)
		return;
	leave_stage(s, t);
	t->stage = TASK_HELD;
	s->held++;
}

void
task_release(struct schedule *s, struct task *t)
{
	t->wish = WISH_NONE;
	if (t->stage != TASK_HELD)
		return;
	leave_stage(s, t);
	t->stage = TASK_WAITING;
	heap_put(&s->waiting, &t->due, 0);
}

static void
set_task_back(struct schedule *s, struct task *t, int64_t now, int64_t longest)
{
	int64_t late = late_at(s, t);

	if (t->stage == TASK_WAITING && t->due.when > now + longest)
		heap_put(&s->waiting, &t->due, now);
	else if (t->stage == TASK_IN_LINE && late < INT64_MAX)
		heap_put(&s->late, &t->due, late);
}

static void
set_destination_back(struct schedule *s, struct destination *d, int64_t now, int64_t longest)
{
	if (d->allowance > now + longest)
		d->allowance = now;
	if (d->rests_until <= now + longest)
		return;
	d->rests_until = now;
	heap_put(&s->resting, &d->rest, now);
}

void
schedule_set_back(struct schedule *s, int64_t now, int64_t longest)
{
	struct message *m;
	struct destination *d;

	for (size_t at = 0; (m = idmap_next(&s->messages, &at)) != NULL; ) {
		if (m->arrival > now)
			m->arrival = now;
		for (struct task *t = m->tasks; t != NULL; t = t->next_of_message)
			set_task_back(s, t, now, longest);
	}
	for (size_t at = 0; (d = map_next(&s->destinations, &at)) != NULL; )
		set_destination_back(s, d, now, longest);
}

void
destination_reached(struct schedule *s, struct destination *d)
{
	if (d->limit < d->most)
		d->limit++;
	destination_wake(s, d);                 /* another attempt failed, but it is there */
	join_turns(s, d);
}

static void
fewer_at_once(struct destination *d)
{
	d->limit = d->limit > 2 ? d->limit / 2 : 1;
}

void
destination_refused(struct schedule *s, struct destination *d, int64_t until)
{
	fewer_at_once(d);
	if (!wants_turn(d))
		leave_turns(s, d);
	if (d->active <= 1 && until > d->rests_until)
		rest(s, d, until);
}

void
destination_unreachable(struct schedule *s, struct destination *d, int64_t until)
{
	fewer_at_once(d);
	if (until > d->rests_until)
		rest(s, d, until);
}

void
destination_wake(struct schedule *s, struct destination *d)
{
	if (d->rests_until == 0)
		return;
	heap_remove(&s->resting, &d->rest);
	d->rests_until = 0;
	join_turns(s, d);
}
