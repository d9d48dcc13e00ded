/* SPDX-License-Identifier: ISC */
/*
 * schedule -- what is to be tried next.  In memory; nothing here knows the disk,
 * a socket or a message's bytes.
 *
 * A task is some recipients of one message with one destination: what can go in
 * one transaction.  It waits until its time, then stands in the line of its
 * destination, then is active.  Destinations that have somebody in line and room
 * for one more take turns, so that neither a slow host nor a post to ten thousand
 * delays the others.  Within a destination people's mail goes before bulk, four to
 * one, and in each of the two lines envelope senders take turns: a lane holds what one
 * of them has waiting.  Of LANES_MOST senders and more, some share a lane.
 *
 *     WAITING --time--> IN LINE --turn--> ACTIVE --result--> WAITING or gone
 *     HELD: until somebody releases it
 *
 * A message's patience is its own: a task that stands in line when its sender is to be
 * warned, or when the message has had its time, is late, and leaves the line for that.
 *
 * A destination that could not be reached rests: nothing is tried before its
 * time, not even the next message.  How many attempts may run to it at once
 * grows with success and shrinks with failure.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "base/heap.h"
#include "base/idmap.h"
#include "base/map.h"
#include "base/numbers.h"

struct schedule;
struct message;
struct destination;

enum task_stage { TASK_WAITING, TASK_IN_LINE, TASK_ACTIVE, TASK_HELD };
/* What somebody asked for while it was active: it is done when it waits again. */
enum task_wish { WISH_NONE, WISH_RETRY, WISH_HOLD };

struct task {
	struct heap_entry   due;        /* WAITING: its place in time; IN LINE: when it is late */
	struct message     *message;
	struct task        *next_of_message, **back_of_message;
	struct task        *next_fitting, *previous_fitting;    /* of message.fitting */
	struct destination *destination;
	struct task        *next, **back;       /* IN LINE … */
	struct lane        *lane;               /* … and there in this one */
	enum task_stage     stage;
	enum task_wish      wish;
	bool                late;       /* it was once: the next time is the last */
	bool                alone;      /* nobody joins it */
	bool                lost;       /* its deliverer died, and nothing was heard of it since */
	uint32_t            attempts;
	uint32_t            count;              /* recipients */
	union {
		uint32_t    one;
		uint32_t   *many;               /* when count > 1 */
	} recipients;
};

/* Recipients `first` and so many more stand where this one stood. */
struct made_range {
	uint32_t by, first, count;
};

struct message {
	uint64_t     id;
	int64_t      arrival;           /* ms */
	struct task *tasks;
	struct idmap *fitting;          /* when they are many: those that can be joined, by destination */
	uint32_t     task_count;
	uint32_t     open;              /* recipients that are not finished */
	uint32_t     total;             /* recipients there ever were: the next one's number */
	uint32_t     expanding;         /* become others just now, and are in no task */
	struct made_range *made;        /* those who became others */
	uint32_t     made_count;
	bool         report;            /* its sender is null */
	bool         bulk;              /* people's mail goes before it; set before its tasks */
	bool         alarmed;           /* it could not be read, and somebody was told */
	uint32_t     sender;            /* a hash of the envelope's; set before its tasks */
	struct numbers warned;          /* those of whom the sender was told that they wait */
	bool         warning;           /* he will be told of others in a moment */
};

enum { LANES_MOST = 32, PEOPLE_BEFORE_BULK = 4 };

/* What one sender has in line: never empty. */
struct lane {
	struct lane *next, **back;
	struct task *first, **last;
	uint32_t     sender;
};

struct line {
	struct lane *first, **last;     /* they take turns */
	unsigned     lanes;
};

struct destination {
	struct slice key;               /* "mx example.org" */
	struct line  line[2];           /* people's mail, bulk */
	unsigned     before_bulk;       /* people's turns while bulk waited */
	struct destination *next, **back;       /* takes turns */
	bool         in_turn;
	unsigned     waiting;           /* tasks that are not active */
	unsigned     active, limit, most;
	int64_t      rests_until;       /* ms; 0: it does not rest */
	struct heap_entry rest;         /* in the schedule's heap while it rests */
	int64_t      rate_per;          /* ms for rate_count attempts; 0: no limit */
	unsigned     rate_count;
	int64_t      allowance;         /* when the next attempt may begin, for the rate; 0: at once */
};

/* How long after its arrival a message is late, in ms; 0: never. */
struct patience {
	int64_t warn;                   /* its sender is told, unless it is a report */
	int64_t message, report;        /* the end */
};

struct schedule {
	struct patience patience;       /* set before there are tasks */
	struct idmap messages;
	struct map   destinations;
	struct heap  waiting;           /* tasks by due */
	struct heap  late;              /* those in line, by the time when they are late */
	struct heap  resting;           /* destinations by rests_until */
	struct destination *turns, **turns_last;
	size_t       tasks, active, held;
	bool         stopped;           /* start nothing */
};

void schedule_begin(struct schedule *);
void schedule_end(struct schedule *);

/* --- messages and tasks ------------------------------------------------------- */

struct message *schedule_message(struct schedule *, uint64_t id, int64_t arrival);
struct message *schedule_find(const struct schedule *, uint64_t id);
void            schedule_forget(struct schedule *, struct message *);   /* with its tasks */
void            message_note_made(struct message *, uint32_t by, uint32_t first, size_t count);
/* Whom this one was made of; UINT32_MAX: of nobody. */
uint32_t        message_maker(const struct message *, uint32_t recipient);

/* What is known of a destination when it is first named. */
struct destination_terms {
	unsigned most;                  /* attempts at once */
	unsigned rate_count;            /* in rate_per ms; 0: no limit */
	int64_t  rate_per;
};

#define UNTIL_RELEASED INT64_MAX

/*
 * Put recipients of a message into the task of that destination which waits for
 * the same time, or into a new one.  `due` in ms since 1970, or UNTIL_RELEASED: it is
 * held.  Without terms the destination keeps those it has.
 */
struct task *schedule_add(struct schedule *, struct message *, struct slice destination,
    const struct destination_terms *, const uint32_t *recipients, uint32_t count, int64_t due,
    uint32_t attempts);
/* The same, always a task of its own: nobody can go in one transaction with it. */
struct task *schedule_add_alone(struct schedule *, struct message *, struct slice destination,
    const struct destination_terms *, const uint32_t *recipients, uint32_t count, int64_t due,
    uint32_t attempts);
void task_remove(struct schedule *, struct task *);

static inline const uint32_t *
task_recipients(const struct task *t)
{
	return t->count == 1 ? &t->recipients.one : t->recipients.many;
}

/* Keep only these recipients, a part of those it has. */
void task_keep(struct task *, const uint32_t *recipients, uint32_t count);

/* --- time and turns -------------------------------------------------------------- */

/*
 * The next task to be worked on, which is now ACTIVE; NULL: none at this time.  Of many
 * that are due at once it looks at some: schedule_wake() tells whether there are more.
 */
struct task *schedule_next(struct schedule *, int64_t now);
/* When none is next: one that stands in line and is late, which is now ACTIVE; or NULL. */
struct task *schedule_late(struct schedule *, int64_t now);
/* Make a task active out of turn, because it is being worked on already; false: it is. */
bool         schedule_take(struct schedule *, struct task *);
/* When to ask again, or INT64_MAX. */
int64_t      schedule_wake(const struct schedule *, int64_t now);

/* An active task waits again until then. */
void task_wait(struct schedule *, struct task *, int64_t until);
/* At once, whatever it waited for; an active one when it is back. */
void task_retry(struct schedule *, struct task *);
void task_hold(struct schedule *, struct task *);       /* an active one when it is back */
void task_release(struct schedule *, struct task *);

/*
 * The clock was set back: whoever would wait longer than that, as nobody is told to, has his
 * time now, and nobody comes from the future.
 */
void schedule_set_back(struct schedule *, int64_t now, int64_t longest);

/* How an attempt went: for the number of attempts at once, and for rest. */
void destination_reached(struct schedule *, struct destination *);
/*
 * It answered, but sent us away: fewer at once.  When this attempt was the only one it is not
 * our number that it minds, and it rests; `until` 0: never.
 */
void destination_refused(struct schedule *, struct destination *, int64_t until);
void destination_unreachable(struct schedule *, struct destination *, int64_t until);
/* Somebody wants it tried now. */
void destination_wake(struct schedule *, struct destination *);

#endif
