/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"

_Noreturn void
bug(const char *file, int line, const char *what)
{
	fprintf(stderr, "chainmail: bug at %s:%d: %s\n", file, line, what);
	abort();
}

void *
must_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	bug_if(p == NULL);
	return p;
}

void *
must_grow(void *old, size_t n)
{
	void *p = realloc(old, n ? n : 1);

	bug_if(p == NULL);
	return p;
}

char *
must_copy(const void *from, size_t n)
{
	char *p = must_alloc(n + 1);

	if (n)
		memcpy(p, from, n);
	return p;
}
