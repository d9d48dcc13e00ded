/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/idmap.h"

void
idmap_free(struct idmap *m)
{
	free(m->entries);
	*m = (struct idmap){ 0 };
}

enum { NEIGHBOURS = 4 };        /* places of one line of the processor's cache */

/*
 * Identifiers count upwards: the multiplication spreads them over the places, four
 * that follow each other side by side, because they are often asked for in their order.
 */
static size_t
home_of(const struct idmap *m, uint64_t id)
{
	uint64_t spread = id / NEIGHBOURS * 0x9e3779b97f4a7c15u;

	return (size_t)((spread ^ spread >> 32) * NEIGHBOURS + id % NEIGHBOURS) & (m->room - 1);
}

/* Where the id stands, or the free place where it would. */
static struct idmap_entry *
find(const struct idmap *m, uint64_t id)
{
	size_t i = home_of(m, id);

	while (m->entries[i].value != NULL && m->entries[i].id != id)
		i = (i + 1) & (m->room - 1);
	return &m->entries[i];
}

static void
grow(struct idmap *m)
{
	struct idmap old = *m;

	m->room = old.room ? 2 * old.room : 16;
	m->entries = must_alloc(m->room * sizeof *m->entries);
	for (size_t i = 0; i < old.room; i++)
		if (old.entries[i].value != NULL)
			*find(m, old.entries[i].id) = old.entries[i];
	free(old.entries);
}

void *
idmap_get(const struct idmap *m, uint64_t id)
{
	return m->room ? find(m, id)->value : NULL;
}

void
idmap_put(struct idmap *m, uint64_t id, void *value)
{
	struct idmap_entry *e;

	bug_if(value == NULL);
	if (4 * (m->n + 1) > 3 * m->room)
		grow(m);
	e = find(m, id);
	if (e->value == NULL)
		m->n++;
	*e = (struct idmap_entry){ id, value };
}

void *
idmap_remove(struct idmap *m, uint64_t id)
{
	struct idmap_entry *e;
	void *value;
	size_t hole, i, home;

	if (m->room == 0 || (e = find(m, id))->value == NULL)
		return NULL;
	value = e->value;
	m->n--;
	/* Linear probing: move up what could not stand where the hole is now. */
	hole = i = (size_t)(e - m->entries);
	m->entries[hole].value = NULL;
	for (;;) {
		i = (i + 1) & (m->room - 1);
		if (m->entries[i].value == NULL)
			return value;
		home = home_of(m, m->entries[i].id);
		if (((i - home) & (m->room - 1)) < ((i - hole) & (m->room - 1)))
			continue;
		m->entries[hole] = m->entries[i];
		m->entries[i].value = NULL;
		hole = i;
	}
}

void *
idmap_next(const struct idmap *m, size_t *at)
{
	while (*at < m->room) {
		void *value = m->entries[(*at)++].value;

		if (value != NULL)
			return value;
	}
	return NULL;
}
