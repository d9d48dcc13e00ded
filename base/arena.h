/* SPDX-License-Identifier: ISC */
/*
 * arena -- memory that lives exactly as long as one connection or transaction.
 *
 * Allocate freely, free once.  An arena has a ceiling: a request above it
 * gives NULL, which is an outcome (a 452, a temperror), not a bug.
 * Nothing in an arena can be freed on its own, and pointers never move.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

struct arena;

struct arena *arena_new(size_t ceiling);        /* in bytes */
void          arena_free(struct arena *);       /* NULL is fine */
void          arena_reset(struct arena *);      /* empty again; keeps one block */
size_t        arena_spent(const struct arena *);
/* A request was refused, since the start or the last reset: look once at the end. */
bool          arena_full(const struct arena *);

/* Zeroed and aligned for anything; NULL above the ceiling. */
void         *arena_get(struct arena *, size_t);
/* A copy with a NUL behind it; { NULL, 0 } above the ceiling. */
struct slice  arena_copy(struct arena *, struct slice);
/* The same, ASCII letters in lower case. */
struct slice  arena_lower(struct arena *, struct slice);
struct slice  arena_printf(struct arena *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
