/* SPDX-License-Identifier: ISC */
/*
 * map -- from a name to what is known under it.
 *
 * Keys are compared without regard to the case of ASCII letters and are NOT
 * copied: a key must live as long as its entry (it usually lies in the value).
 * Values belong to the caller.  { 0 } is a valid empty map.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/slice.h"

struct map_entry {
	struct slice key;
	void        *value;             /* NULL: this place is free */
};

struct map {
	struct map_entry *entries;
	size_t            n, room;      /* room is a power of two */
};

void  map_free(struct map *);                           /* not the values */
void *map_get(const struct map *, struct slice key);    /* or NULL */
void  map_put(struct map *, struct slice key, void *value); /* replaces; value not NULL */
void *map_remove(struct map *, struct slice key);       /* what was there, or NULL */

/* Every entry in no useful order: start with *at = 0; NULL at the end. */
void *map_next(const struct map *, size_t *at);

#endif
