/* SPDX-License-Identifier: ISC */
/*
 * build -- inside of conf.c and take.c: a struct conf while it is being made.
 */
#ifndef CONF_BUILD_H
#define CONF_BUILD_H

#include "conf/conf.h"

struct build {
	struct conf        *conf;
	struct flaws       *flaws;
	struct domain_conf *domain;     /* whose block is being read */
	const struct statement **to;    /* blocks that wait for the defaults of delivery */
	size_t              to_count;
	bool                usual;      /* reading defaults */
};

/* Each statement into the struct of its block; those of other tables are not ours. (take.c) */
void take_statements(struct build *, const struct statement *first, void *owner);
/* The defaults of a context likewise. */
void take_defaults(struct build *, const char *context, void *owner);
/* A listen block without statements. */
struct listen_conf *add_listen(struct build *, struct slice name, struct place);

/*
 * Room for one more element of an array in the arena.  The array doubles
 * whenever it is full, so elements move while an array grows.
 */
void *build_more(struct build *, void *array, size_t *count, size_t size);

#define MORE(b, array, count) build_more((b), &(array), &(count), sizeof *(array))

#endif
