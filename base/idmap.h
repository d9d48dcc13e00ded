/* SPDX-License-Identifier: ISC */
/*
 * idmap -- from a number (a queue identifier) to what is known under it.
 *
 * Sixteen bytes a place, at most three quarters of the places taken: a million
 * entries need 32 MiB.  Values belong to the caller.  { 0 } is a valid empty map.
 */
#ifndef BASE_IDMAP_H
#define BASE_IDMAP_H

#include <stddef.h>
#include <stdint.h>

struct idmap_entry {
	uint64_t id;
	void    *value;                 /* NULL: this place is free */
};

struct idmap {
	struct idmap_entry *entries;
	size_t              n, room;    /* room is a power of two */
};

void  idmap_free(struct idmap *);                       /* not the values */
void *idmap_get(const struct idmap *, uint64_t id);     /* or NULL */
void  idmap_put(struct idmap *, uint64_t id, void *value); /* replaces; value not NULL */
void *idmap_remove(struct idmap *, uint64_t id);        /* what was there, or NULL */

/*
 * Every value in no useful order: start with *at = 0; NULL at the end.  The map
 * may not change in between.
 */
void *idmap_next(const struct idmap *, size_t *at);

#endif
