/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "auth/signed.h"
#include "auth/taglist.h"
#include "base/bug.h"

/* --- the fields by name ---------------------------------------------------------- */

/* Any order will do that puts equal names together; lengths are compared soonest. */
static int
by_name(struct slice a, struct slice b)
{
	return a.n != b.n ? (a.n > b.n) - (a.n < b.n) : strncasecmp(a.p, b.p, a.n);
}

static int
by_name_then_upwards(const void *a, const void *b)
{
	const struct field *f = *(const struct field *const *)a, *g = *(const struct field *const *)b;
	int order = by_name(f->name, g->name);

	return order != 0 ? order : (f < g) - (f > g);
}

bool
field_order_make(struct field_order *o, const struct header *header, struct arena *arena)
{
	o->header = header;
	o->sorted = arena_get(arena, (header->count + 1) * sizeof *o->sorted);
	o->taken = arena_get(arena, (header->count + 1) * sizeof *o->taken);
	if (o->sorted == NULL || o->taken == NULL)
		return false;
	for (size_t i = 0; i < header->count; i++)
		o->sorted[i] = &header->fields[i];
	qsort(o->sorted, header->count, sizeof *o->sorted, by_name_then_upwards);
	return true;
}

/* Where the fields of that name begin, or would. */
static size_t
first_of(const struct field_order *o, struct slice name)
{
	size_t low = 0, high = o->header->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (by_name(o->sorted[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The next field of that name, from the bottom of the header up; NULL: no more. */
static const struct field *
take_field(struct field_order *o, struct slice name, const struct field *self)
{
	size_t first = first_of(o, name);

	for (;;) {
		size_t at = first + o->taken[first];
		const struct field *f = at < o->header->count ? o->sorted[at] : NULL;

		if (f == NULL || !slice_eqi(f->name, name))
			return NULL;
		o->taken[first]++;
		if (f != self)
			return f;
	}
}

/* --- the text ------------------------------------------------------------------------ */

struct signed_text
signed_text_begin(enum canon canon, size_t longest_field)
{
	struct signed_text t = { .canon = canon, .room = BUF(longest_field + 3) };

	sha256_begin(&t.hash);
	return t;
}

static struct slice
canonical(struct signed_text *t, struct slice whole)
{
	buf_clear(&t->room);
	bug_if(!canon_field(t->canon, whole, &t->room));
	t->octets += whole.n;
	return buf_slice(&t->room);
}

void
signed_text_add(struct signed_text *t, struct slice whole)
{
	sha256_add(&t->hash, canonical(t, whole));
}

void
signed_text_add_names(struct signed_text *t, struct field_order *o, struct slice names,
    const struct field *self)
{
	struct slice name;

	memset(o->taken, 0, (o->header->count + 1) * sizeof *o->taken);
	while (taglist_item(&names, &name)) {
		const struct field *f = take_field(o, name, self);

		if (f != NULL)
			signed_text_add(t, f->whole);
	}
}

void
signed_text_digest(struct signed_text *t, struct slice own, struct slice b_raw,
    unsigned char digest[SHA256_BYTES])
{
	struct sha256 hash = t->hash;
	struct buf without = BUF(own.n);
	struct slice text;

	buf_add(&without, slice_head(own, (size_t)(b_raw.p - own.p)));
	buf_add(&without, slice_skip(own, (size_t)(b_raw.p - own.p) + b_raw.n));
	text = canonical(t, buf_slice(&without));
	sha256_add(&hash, slice_endsi(text, S("\r\n")) ? slice_head(text, text.n - 2) : text);
	sha256_end(&hash, digest);
	buf_free(&without);
}

void
signed_text_free(struct signed_text *t)
{
	buf_free(&t->room);
}
