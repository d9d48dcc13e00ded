/* SPDX-License-Identifier: ISC */
/*
 * bug -- what cannot happen.
 *
 * bug_if(condition) ends the process when the condition holds.  It stays in
 * production: the files are safe at every instant, the parent starts the
 * process again, and a wrong program that goes on is worse than one that stops.
 */
#ifndef BASE_BUG_H
#define BASE_BUG_H

#include <stddef.h>

_Noreturn void bug(const char *file, int line, const char *what);

#define bug_if(condition) \
	do { \
		if (__builtin_expect(!!(condition), 0)) \
			bug(__FILE__, __LINE__, #condition); \
	} while (0)

/* Memory or the end of the process: never NULL.  Zeroed. */
void *must_alloc(size_t n);
/* As realloc, never NULL.  The grown part is not zeroed. */
void *must_grow(void *, size_t n);
/* A copy of n bytes with a NUL behind it, to be freed by the caller. */
char *must_copy(const void *, size_t n);

#endif
