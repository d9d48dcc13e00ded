/* SPDX-License-Identifier: ISC */
/*
 * heap -- what comes first, second, third in time.
 *
 * Entries are embedded in what they stand for (a timer, a waiting message).
 * An entry is in at most one heap; `place` is 0 when it is in none.  Equal
 * times come out in the order in which they went in.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_entry {
	int64_t  when;
	uint64_t turn;                  /* which of the equal ones came first */
	size_t   place;
};

struct heap {
	struct heap_entry **entries;    /* entries[1] is the first */
	size_t              n, room;
	uint64_t            turns;
};

void heap_free(struct heap *);                          /* not the entries */
void heap_put(struct heap *, struct heap_entry *, int64_t when); /* or move it */
void heap_remove(struct heap *, struct heap_entry *);   /* if it is in */
struct heap_entry *heap_first(const struct heap *);     /* NULL when empty */

#endif
