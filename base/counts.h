/* SPDX-License-Identifier: ISC */
/*
 * counts -- how many there are of something, counted by several processes together.
 *
 * One makes the counts, the others get its descriptor: memory that all of them
 * see, of a size that nobody can change.  Each process has a row to itself and
 * adds only there; a count is the sum of its column.  What a process that died
 * has counted is forgotten by the one who made them.  A process that was taken
 * over can say wrong numbers, and nothing else.
 */
#ifndef BASE_COUNTS_H
#define BASE_COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { COUNTS_ROWS = 32 };

struct counts {                         /* { 0 } is none */
	_Atomic uint32_t *cells;        /* column by column */
	unsigned          columns;
	int               fd;           /* for the others; the maker's */
};

bool counts_make(struct counts *, unsigned columns, struct error *why);
/* Those of another process; the descriptor is closed here. */
bool counts_take(struct counts *, int fd, struct error *why);
void counts_free(struct counts *);

/*
 * One more, unless there are `most`; never is one too many let in.  Of two that
 * come at once for the last place it may be that neither gets it.
 */
bool counts_enter(struct counts *, unsigned row, unsigned column, uint32_t most);
void counts_leave(struct counts *, unsigned row, unsigned column);
void counts_forget(struct counts *, unsigned row);

#endif
