/* SPDX-License-Identifier: ISC */
/*
 * loop -- waiting for what happens next, and doing one thing at a time.
 *
 * A role has one loop and one thread on it.  Sockets are watched by libevent;
 * timers are ours and run on base/clock, so that a virtual clock drives them:
 * then the loop moves the clock to the next timer as soon as nothing else is
 * left to do (loop_run_until).
 *
 * The rule of waiting: nobody is called back before the call in which he asked
 * has returned.  loop_later() is how a callback that is due now is kept to it.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/clock.h"
#include "base/heap.h"
#include "net/peer.h"

struct later {
	struct later *next;
	bool          waiting;
	void        (*call)(void *);
	void         *arg;
};

enum { LOOP_SCRATCH = 256 << 10 };     /* large mail comes in as few pieces as may be */

struct loop {
	struct event_base *base;
	struct clock      *clock;
	struct heap        timers, chores;
	struct event       pause;
	struct later      *first, **last;
	char              *scratch;     /* LOOP_SCRATCH bytes for one read, valid during a callback */
	uint64_t           happened;    /* callbacks so far: did the last turn do anything? */
	int64_t            begun;       /* microseconds: when this part of the turn began; 0: not yet */
	unsigned           working;     /* jobs: each of them ends */
	unsigned           in_flight;   /* transfers: what is not answered ends when its time is over */
	bool               spoke;       /* something was sent: an answer may be coming */
	bool               stopping;
	/* The lab's map of addresses, below all protocols; NULL outside the lab. */
	void             (*map)(void *arg, struct peer *);
	void              *map_arg;
};

void loop_begin(struct loop *, struct clock *);
void loop_end(struct loop *);

void loop_run(struct loop *);                   /* until loop_stop() */
/* Said by whoever is called by an event, first of all. */
void loop_happened(struct loop *);
void loop_stop(struct loop *);
/*
 * With a virtual clock: do everything that is due up to `now` (ms since 1970)
 * and leave the clock there; earlier when loop_stop() is called.  The clock
 * stops for every timer, but not for chores: those that are due by then come in
 * passing, once.
 */
void loop_run_until(struct loop *, int64_t now);

/* Call soon, from the loop. A `later` is embedded in what it calls for. */
void loop_later(struct loop *, struct later *, void (*call)(void *), void *arg);
void later_cancel(struct loop *, struct later *);

/* A timer is embedded, { 0 } at first; setting it again moves it. */
struct timer {
	struct heap_entry entry;
	bool              chore;
	void            (*fired)(void *);
	void             *arg;
};

void timer_set(struct loop *, struct timer *, int64_t after_ms, void (*fired)(void *), void *arg);
/* Housekeeping, to be done again and again: virtual time does not stand still for it. */
void timer_set_chore(struct loop *, struct timer *, int64_t after_ms, void (*fired)(void *), void *arg);
void timer_clear(struct loop *, struct timer *);
static inline bool timer_is_set(const struct timer *t) { return t->entry.place != 0; }

#endif
