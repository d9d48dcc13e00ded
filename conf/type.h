/* SPDX-License-Identifier: ISC */
/* type -- the kinds of values a shape can ask for: DURATION, DOMAIN, FILE, … */
#ifndef CONF_TYPE_H
#define CONF_TYPE_H

#include "base/arena.h"

struct type {
	const char *name;               /* "DURATION" */
	const char *meaning;            /* "a duration such as 30s, 5m, 4h or 5d" */
	bool      (*fits)(struct slice, struct arena *scratch);
};

const struct type *type_find(struct slice name);        /* NULL: there is none */
/* The types one by one, by turn from 0; NULL at the end. */
const struct type *type_nth(size_t turn);

#endif
