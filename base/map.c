/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"

void
map_free(struct map *m)
{
	free(m->entries);
	*m = (struct map){ 0 };
}

/* Where the key stands, or the free place where it would. */
static struct map_entry *
find(const struct map *m, struct slice key)
{
	size_t i = slice_hash(key) & (m->room - 1);

	while (m->entries[i].value != NULL && !slice_eqi(m->entries[i].key, key))
		i = (i + 1) & (m->room - 1);
	return &m->entries[i];
}

static void
grow(struct map *m)
{
	struct map old = *m;

	m->room = old.room ? 2 * old.room : 16;
	m->entries = must_alloc(m->room * sizeof *m->entries);
	for (size_t i = 0; i < old.room; i++)
		if (old.entries[i].value != NULL)
			*find(m, old.entries[i].key) = old.entries[i];
	free(old.entries);
}

void *
map_get(const struct map *m, struct slice key)
{
	return m->room ? find(m, key)->value : NULL;
}

void
map_put(struct map *m, struct slice key, void *value)
{
	struct map_entry *e;

	bug_if(value == NULL);
	if (4 * (m->n + 1) > 3 * m->room)
		grow(m);
	e = find(m, key);
	if (e->value == NULL)
		m->n++;
	*e = (struct map_entry){ key, value };
}

void *
map_remove(struct map *m, struct slice key)
{
	struct map_entry *e;
	void *value;
	size_t hole, i;

	if (m->room == 0 || (e = find(m, key))->value == NULL)
		return NULL;
	value = e->value;
	m->n--;
	/* Linear probing: move up what could not stand where the hole is now. */
	hole = i = (size_t)(e - m->entries);
	m->entries[hole].value = NULL;
	for (;;) {
		size_t home;

		i = (i + 1) & (m->room - 1);
		if (m->entries[i].value == NULL)
			return value;
		home = slice_hash(m->entries[i].key) & (m->room - 1);
		if (((i - home) & (m->room - 1)) < ((i - hole) & (m->room - 1)))
			continue;
		m->entries[hole] = m->entries[i];
		m->entries[i].value = NULL;
		hole = i;
	}
}

void *
map_next(const struct map *m, size_t *at)
{
	while (*at < m->room) {
		void *value = m->entries[(*at)++].value;

		if (value != NULL)
			return value;
	}
	return NULL;
}
