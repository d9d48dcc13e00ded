/* SPDX-License-Identifier: ISC */
/*
 * ids -- names for messages: 60 bits, sortable by time, never given twice on
 * one machine.
 *
 *     41 bits  milliseconds since 2020
 *      5 bits  the slot of the process that gave it; no two live ones share a slot
 *     14 bits  a counter within the millisecond
 *
 * A clock that is set back does not bring names back.  Time here never goes back: not
 * in a process, not in all processes that see one ids_bound together, and not for
 * those who come after them, for the bound has an end, and whoever made it has
 * written that end down before any name came near it (cmd/lease.h).  At the end, or
 * behind the clock, time stands still and the counter goes on: it has room for
 * a thousand million names of a process a minute.  As text: id_text() (base/text.h).
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"

enum { ID_SLOTS = 32 };

#define IDS_TIME_MOST ((INT64_C(1) << 41) - 1)  /* the last time that a name can have */

/* In memory that several processes see; both in ms since 2020. */
struct ids_bound {
	_Atomic int64_t newest;         /* no name was given for a later time */
	_Atomic int64_t end;            /* none is given for a later one because of the clock */
};

struct ids {
	const struct clock *clock;
	unsigned            slot;
	struct ids_bound   *bound;      /* NULL: this process is alone, and nobody comes after it */
	int64_t             last;       /* ms since 2020 */
	unsigned            count;
};

/* Whoever had the slot before may have given all names of the newest time. */
void     ids_begin(struct ids *, const struct clock *, unsigned slot, struct ids_bound *);
uint64_t ids_next(struct ids *);        /* never 0 */
/* That name was given, who knows by whom: all that come are later. */
void     ids_pass(struct ids *, uint64_t id);
/* When it was given, in ms since 1970; and what the clock says, in ms since 2020. */
int64_t  ids_time(uint64_t id);
int64_t  ids_now(const struct clock *);
/* A time that names can have, whatever a process that was taken over has written there. */
int64_t  ids_newest(const struct ids_bound *);

/* The memory: one makes it, the others get its descriptor, which is closed here. */
struct ids_bound *ids_bound_make(int *fd_r, struct error *why);         /* NULL: there is none */
struct ids_bound *ids_bound_take(int fd, struct error *why);

#endif
