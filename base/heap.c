/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/heap.h"

void
heap_free(struct heap *h)
{
	for (size_t i = 1; i <= h->n; i++)
		h->entries[i]->place = 0;
	free(h->entries);
	*h = (struct heap){ 0 };
}

static bool
before(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->when < b->when || (a->when == b->when && a->turn < b->turn);
}

static void
set(struct heap *h, size_t place, struct heap_entry *e)
{
	h->entries[place] = e;
	e->place = place;
}

static void
rise(struct heap *h, struct heap_entry *e)
{
	size_t at = e->place;

	for (; at > 1 && before(e, h->entries[at / 2]); at /= 2)
		set(h, at, h->entries[at / 2]);
	set(h, at, e);
}

static void
sink(struct heap *h, struct heap_entry *e)
{
	size_t at = e->place, child;

	while ((child = 2 * at) <= h->n) {
		if (child < h->n && before(h->entries[child + 1], h->entries[child]))
			child++;
		if (!before(h->entries[child], e))
			break;
		set(h, at, h->entries[child]);
		at = child;
	}
	set(h, at, e);
}

void
heap_put(struct heap *h, struct heap_entry *e, int64_t when)
{
	if (e->place == 0) {
		if (h->n + 1 >= h->room) {
			h->room = h->room ? 2 * h->room : 16;
			h->entries = must_grow(h->entries, h->room * sizeof(struct heap_entry *));
		}
		set(h, ++h->n, e);
	}
	e->when = when;
	e->turn = ++h->turns;
	rise(h, e);
	sink(h, e);
}

void
heap_remove(struct heap *h, struct heap_entry *e)
{
	size_t place = e->place;
	struct heap_entry *last;

	if (place == 0)
		return;
	bug_if(place > h->n || h->entries[place] != e);
	e->place = 0;
	last = h->entries[h->n--];
	if (last == e)
		return;
	set(h, place, last);
	rise(h, last);
	sink(h, last);
}

struct heap_entry *
heap_first(const struct heap *h)
{
	return h->n ? h->entries[1] : NULL;
}
