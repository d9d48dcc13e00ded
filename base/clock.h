/* SPDX-License-Identifier: ISC */
/*
 * clock -- what time it is, for everybody who asks.
 *
 * Times are int64_t milliseconds: `now` since 1970 (it may jump when somebody
 * sets the machine's clock), `ticks` since some start (it never goes back).
 * A virtual clock stands still until it is moved; the lab drives whole mail
 * systems with one.  Timers belong to net/loop.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY ((int64_t)24 * HOUR)

struct clock {
	bool    is_virtual;
	int64_t now, ticks;             /* of a virtual clock */
};

/* { 0 } is the machine's clock. */
int64_t clock_now(const struct clock *);
int64_t clock_ticks(const struct clock *);

/* A virtual clock that stands at `now`. */
struct clock clock_virtual(int64_t now);
void clock_move(struct clock *, int64_t ms);    /* forward only */

/* Microseconds of the machine's steady clock, for measuring work. */
int64_t clock_micros(void);

#endif
