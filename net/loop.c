/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdlib.h>

#include "base/bug.h"
#include "net/loop.h"

/*
 * On a virtual clock time may only move when nothing is under way.  What goes
 * over loopback sockets is there at once, but for a kernel thread now and then;
 * so the loop listens for a moment of true time before it moves on, longer while
 * something is known to be in flight, and while a job is done for as long as it takes.
 */
enum { LISTEN_US = 1000, LISTEN_IN_FLIGHT_US = 200000 };

/*
 * When a thousand connections have something to say at once, timers and those that
 * came first do not wait for all of them: what is to be called later, and what
 * events tell, gets so long in each turn.
 */
enum { PART_US = 5000 };

static void call_laters(struct loop *l);

static struct timer *
timer_of(struct heap_entry *e)
{
	return (struct timer *)((char *)e - offsetof(struct timer, entry));
}

static void
paused(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;                      /* the pause is over: nothing else to do */
}

void
loop_begin(struct loop *l, struct clock *clock)
{
	struct event_config *config = event_config_new();

	*l = (struct loop){ .clock = clock };
	bug_if(config == NULL);
	/* Milliseconds are what timers here know: a precise one costs a call of the kernel a turn. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	l->base = event_base_new_with_config(config);
	bug_if(l->base == NULL);
	event_config_free(config);
	event_assign(&l->pause, l->base, -1, 0, paused, NULL);
	l->last = &l->first;
	l->scratch = must_alloc(LOOP_SCRATCH);
}

/* What is still to be called is memory to be freed: everybody else has cancelled his. */
void
loop_end(struct loop *l)
{
	l->stopping = false;
	while (l->first != NULL)
		call_laters(l);
	event_del(&l->pause);
	heap_free(&l->timers);
	heap_free(&l->chores);
	event_base_free(l->base);
	free(l->scratch);
}

/* --- later ---------------------------------------------------------------- */

void
loop_later(struct loop *l, struct later *later, void (*call)(void *), void *arg)
{
	later->call = call;
	later->arg = arg;
	if (later->waiting)
		return;
	later->waiting = true;
	later->next = NULL;
	*l->last = later;
	l->last = &later->next;
}

void
later_cancel(struct loop *l, struct later *later)
{
	struct later **at = &l->first;

	if (!later->waiting)
		return;
	while (*at != later)
		at = &(*at)->next;
	*at = later->next;
	if (l->last == &later->next)
		l->last = at;
	later->waiting = false;
}

/* Has this part of the turn lasted long enough?  A virtual clock stands still meanwhile. */
static bool
part_over(struct loop *l)
{
	int64_t now;

	if (l->clock->is_virtual)
		return false;
	now = clock_micros();
	if (l->begun == 0)
		l->begun = now;
	return now - l->begun > PART_US;
}

void
loop_happened(struct loop *l)
{
	l->happened++;
	if (part_over(l))
		event_base_loopbreak(l->base);  /* after this one; the others keep their turn */
}

static void
call_laters(struct loop *l)
{
	struct later *later;

	l->begun = 0;
	while ((later = l->first) != NULL && !l->stopping) {
		later_cancel(l, later);
		l->happened++;
		later->call(later->arg);
		if (part_over(l))
			return;
	}
}

/* --- timers --------------------------------------------------------------- */

static struct heap *
heap_of(struct loop *l, const struct timer *t)
{
	return t->chore ? &l->chores : &l->timers;
}

static void
set(struct loop *l, struct timer *t, bool chore, int64_t after)
{
	bug_if(after < 0);
	timer_clear(l, t);
	t->chore = chore;
	heap_put(heap_of(l, t), &t->entry, clock_ticks(l->clock) + after);
}

void
timer_set(struct loop *l, struct timer *t, int64_t after, void (*fired)(void *), void *arg)
{
	t->fired = fired;
	t->arg = arg;
	set(l, t, false, after);
}

void
timer_set_chore(struct loop *l, struct timer *t, int64_t after, void (*fired)(void *), void *arg)
{
	t->fired = fired;
	t->arg = arg;
	set(l, t, true, after);
}

void
timer_clear(struct loop *l, struct timer *t)
{
	heap_remove(heap_of(l, t), &t->entry);
}

/* The next one to fire; of equal ones a chore comes last. */
static struct heap_entry *
first_timer(const struct loop *l)
{
	struct heap_entry *timer = heap_first(&l->timers), *chore = heap_first(&l->chores);

	return chore == NULL || (timer != NULL && timer->when <= chore->when) ? timer : chore;
}

static void
fire_timers(struct loop *l)
{
	struct heap_entry *e;
	int64_t now = clock_ticks(l->clock);

	while ((e = first_timer(l)) != NULL && e->when <= now && !l->stopping) {
		struct timer *t = timer_of(e);

		timer_clear(l, t);
		l->happened++;
		t->fired(t->arg);
		call_laters(l);
	}
}

/* --- turning --------------------------------------------------------------- */

/* Wait for events, at most `us` microseconds; negative: as long as it takes. */
static void
wait_for_events(struct loop *l, int64_t us)
{
	struct timeval time = { us / 1000000, us % 1000000 };

	l->begun = 0;
	if (us == 0) {
		event_base_loop(l->base, EVLOOP_NONBLOCK);
		return;
	}
	if (us > 0)
		event_add(&l->pause, &time);
	event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
	event_del(&l->pause);
}

void
loop_run(struct loop *l)
{
	bug_if(l->clock->is_virtual);
	while (!l->stopping) {
		struct heap_entry *e;
		int64_t wait = -1;

		call_laters(l);
		fire_timers(l);
		if (l->stopping)
			break;
		if ((e = first_timer(l)) != NULL) {
			wait = 1000 * (e->when - clock_ticks(l->clock));
			wait = wait < 0 ? 0 : wait;
		}
		wait_for_events(l, l->first != NULL ? 0 : wait);
	}
	l->stopping = false;
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
	event_base_loopbreak(l->base);
}

/* Nothing is left to do, unless something comes that was sent a moment ago. */
static void
listen_a_moment(struct loop *l)
{
	bool spoke = l->spoke;

	l->spoke = false;
	if (l->working > 0)
		wait_for_events(l, -1);
	else if (l->in_flight > 0 || spoke)
		wait_for_events(l, l->in_flight > 0 ? LISTEN_IN_FLIGHT_US : LISTEN_US);
}

/* Do all that is due at this instant of the virtual clock. */
static void
settle(struct loop *l)
{
	uint64_t before;

	do {
		uint64_t called;

		before = l->happened;
		call_laters(l);
		fire_timers(l);
		called = l->happened;
		wait_for_events(l, 0);
		l->spoke |= l->happened != called;
		if (l->happened == before && !l->stopping)
			listen_a_moment(l);
	} while (l->happened != before && !l->stopping);
}

void
loop_run_until(struct loop *l, int64_t now)
{
	bug_if(!l->clock->is_virtual);
	l->spoke = true;                /* whoever called may have */
	for (;;) {
		struct heap_entry *e;
		int64_t left, step;

		settle(l);
		left = now - l->clock->now;
		if (l->stopping || left <= 0)
			break;
		e = heap_first(&l->timers);
		step = e != NULL ? e->when - l->clock->ticks : left;
		clock_move(l->clock, step < left ? step : left);
	}
	l->stopping = false;
}
