/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/bug.h"

void
buf_free(struct buf *b)
{
	free(b->p);
	*b = BUF(b->ceiling);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

char *
buf_room(struct buf *b, size_t n)
{
	size_t room;

	if (n > b->ceiling || b->n > b->ceiling - n) {
		b->full = true;
		return NULL;
	}
	if (b->room - b->n >= n && b->p != NULL)
		return b->p + b->n;
	room = b->room ? b->room : 64;
	while (room < b->n + n)
		room *= 2;
	if (room > b->ceiling)
		room = b->ceiling;
	b->p = must_grow(b->p, room);
	b->room = room;
	return b->p + b->n;
}

bool
buf_add(struct buf *b, struct slice s)
{
	char *p = buf_room(b, s.n);

	if (p == NULL)
		return false;
	if (s.n)
		memcpy(p, s.p, s.n);
	b->n += s.n;
	return true;
}

bool
buf_byte(struct buf *b, char c)
{
	return buf_add(b, slice_of(&c, 1));
}

/* Most texts are short: they are made once, here, and copied. */
bool
buf_printf(struct buf *b, const char *format, ...)
{
	char small[256], *text = small;
	va_list args;
	bool ok;
	int n;

	va_start(args, format);
	n = vsnprintf(small, sizeof small, format, args);
	va_end(args);
	bug_if(n < 0);
	if ((size_t)n >= sizeof small) {
		if (buf_room(b, (size_t)n) == NULL)
			return false;
		text = must_alloc((size_t)n + 1);
		va_start(args, format);
		vsnprintf(text, (size_t)n + 1, format, args);
		va_end(args);
	}
	ok = buf_add(b, slice_of(text, (size_t)n));
	if (text != small)
		free(text);
	return ok;
}

void
buf_drop(struct buf *b, size_t n)
{
	bug_if(n > b->n);
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
}
