/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/bug.h"

struct block {
	struct block *next;
	size_t        used, size;
	max_align_t   bytes[];
};

struct arena {
	struct block *top;
	size_t        spent, ceiling;
	bool          full;
};

enum { BLOCK = 2048 - sizeof(struct block) - 16 };  /* a round number for malloc */

struct arena *
arena_new(size_t ceiling)
{
	struct arena *a = must_alloc(sizeof *a);

	a->ceiling = ceiling;
	return a;
}

static void
free_blocks(struct block *b)
{
	for (struct block *next; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	free_blocks(a->top);
	free(a);
}

void
arena_reset(struct arena *a)
{
	if (a->top != NULL) {
		free_blocks(a->top->next);
		a->top->next = NULL;
		memset(a->top->bytes, 0, a->top->used);
		a->top->used = 0;
	}
	a->spent = 0;
	a->full = false;
}

size_t
arena_spent(const struct arena *a)
{
	return a->spent;
}

bool
arena_full(const struct arena *a)
{
	return a->full;
}

static void
add_block(struct arena *a, size_t least)
{
	size_t size = least > BLOCK ? least : BLOCK;
	struct block *b;

	if (a->top != NULL && size < 2 * a->top->size && a->top->size < 65536)
		size = 2 * a->top->size;
	b = must_alloc(sizeof *b + size);
	b->size = size;
	b->next = a->top;
	a->top = b;
}

void *
arena_get(struct arena *a, size_t n)
{
	const size_t unit = sizeof(max_align_t);
	void *p;

	if (n > a->ceiling - a->spent || n > SIZE_MAX / 2) {
		a->full = true;
		return NULL;
	}
	a->spent += n;
	n = (n + unit - 1) / unit * unit;
	if (a->top == NULL || a->top->size - a->top->used < n)
		add_block(a, n);
	p = (char *)a->top->bytes + a->top->used;
	a->top->used += n;
	return p;
}

struct slice
arena_copy(struct arena *a, struct slice s)
{
	char *p = arena_get(a, s.n + 1);

	if (p == NULL)
		return NONE;
	if (s.n)
		memcpy(p, s.p, s.n);
	return slice_of(p, s.n);
}

struct slice
arena_lower(struct arena *a, struct slice s)
{
	char *p = arena_get(a, s.n + 1);

	if (p == NULL)
		return NONE;
	for (size_t i = 0; i < s.n; i++)
		p[i] = to_lower(s.p[i]);
	return slice_of(p, s.n);
}

/* Most texts are short: they are made once, here, and copied. */
struct slice
arena_printf(struct arena *a, const char *format, ...)
{
	char small[256];
	va_list args;
	int n;
	char *p;

	va_start(args, format);
	n = vsnprintf(small, sizeof small, format, args);
	va_end(args);
	bug_if(n < 0);
	if ((size_t)n < sizeof small)
		return arena_copy(a, slice_of(small, (size_t)n));
	if ((p = arena_get(a, (size_t)n + 1)) == NULL)
		return NONE;
	va_start(args, format);
	vsnprintf(p, (size_t)n + 1, format, args);
	va_end(args);
	return slice_of(p, (size_t)n);
}
