/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "mail/edit.h"

enum { ADDED_MOST = 64 };

/* The last line of a message that ends within its header has no end: it gets one. */
static void
end_last_line(struct edit *e)
{
	struct header *h = &e->header;
	struct slice whole = h->count > 0 ? h->fields[h->count - 1].whole : S("\n");
	char *to;

	if (whole.p[whole.n - 1] == '\n')
		return;
	if ((to = arena_get(e->arena, whole.n + 2)) == NULL) {
		e->full = true;
		return;
	}
	memcpy(to, whole.p, whole.n);
	memcpy(to + whole.n, "\r\n", 2);
	h->fields[h->count - 1].whole = slice_of(to, whole.n + 2);
}

void
edit_begin(struct edit *e, const struct header *old, struct arena *arena)
{
	size_t room = old->count + ADDED_MOST;

	*e = (struct edit){ .arena = arena };
	e->header.fields = arena_get(arena, room * sizeof *e->header.fields);
	e->full = e->header.fields == NULL;
	if (e->full)
		return;
	e->room = room;
	if (old->count > 0)
		memcpy(e->header.fields, old->fields, old->count * sizeof *old->fields);
	e->header.count = old->count;
	end_last_line(e);
}

void
edit_remove(struct edit *e, field_question *is)
{
	size_t kept = 0;

	for (size_t i = 0; i < e->header.count; i++)
		if (!is(&e->header.fields[i]))
			e->header.fields[kept++] = e->header.fields[i];
	e->header.count = kept;
}

static bool
make_field(struct edit *e, struct slice whole, struct field *f)
{
	size_t colon = slice_find(whole, ':');

	bug_if(colon == whole.n || !slice_endsi(whole, S("\r\n")));
	f->whole = arena_copy(e->arena, whole);
	if (f->whole.p == NULL)
		return false;
	f->name = slice_head(f->whole, colon);
	f->value = slice_skip(slice_head(f->whole, whole.n - 2), colon + 1);
	return true;
}

void
edit_add(struct edit *e, struct slice whole)
{
	if (e->header.count == e->room || !make_field(e, whole, &e->header.fields[e->header.count]))
		e->full = true;
	else
		e->header.count++;
}

void
edit_replace(struct edit *e, const struct field *at, struct slice whole)
{
	struct field f;

	bug_if(at < e->header.fields || at >= e->header.fields + e->header.count);
	if (make_field(e, whole, &f))
		e->header.fields[at - e->header.fields] = f;
	else
		e->full = true;
}

void
edit_add_buf(struct edit *e, struct buf *whole)
{
	if (whole->full)
		e->full = true;
	else
		edit_add(e, buf_slice(whole));
	buf_free(whole);
}

void
edit_replace_buf(struct edit *e, const struct field *at, struct buf *whole)
{
	if (whole->full)
		e->full = true;
	else
		edit_replace(e, at, buf_slice(whole));
	buf_free(whole);
}

size_t
edit_size(const struct edit *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->header.count; i++)
		n += e->header.fields[i].whole.n;
	return n;
}
