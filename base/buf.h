/* SPDX-License-Identifier: ISC */
/*
 * buf -- bytes that grow, up to the ceiling they were created with.
 *
 * An addition that would pass the ceiling adds nothing, returns false and sets
 * `full`, which stays set: a writer may add ten things and look once at the
 * end.  The bytes are at p, n of them, and move when the buf grows.
 * { .ceiling = N } is a valid empty buf.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"

struct buf {
	char  *p;
	size_t n, room;
	size_t ceiling;
	bool   full;
};

#define BUF(most) ((struct buf){ .ceiling = (most) })

void buf_free(struct buf *);            /* empty, and the memory given back */
void buf_clear(struct buf *);           /* empty, the memory kept */
bool buf_add(struct buf *, struct slice);
bool buf_byte(struct buf *, char);
bool buf_printf(struct buf *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for n more bytes at p + n, to be filled by the caller, who adds to n. */
char *buf_room(struct buf *, size_t n);
/* Forget the first n bytes. */
void buf_drop(struct buf *, size_t n);

static inline struct slice
buf_slice(const struct buf *b)
{
	return slice_of(b->p, b->n);
}

#endif
