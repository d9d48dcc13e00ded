/* SPDX-License-Identifier: ISC */
/*
 * events -- what the hosts of a world said in their logs, in the order in which
 * they said it: the only source of what a lab tells about deliveries.
 */
#ifndef LAB_EVENTS_H
#define LAB_EVENTS_H

#include <jansson.h>

#include "base/arena.h"

struct event_line {
	struct event_line *next;
	struct slice       host;        /* name in the scenario */
	const char        *name;        /* "delivered" */
	json_t            *keys;
};

struct events {
	struct event_line *first, **last;
	size_t             count;
};

enum { EVENTS_MOST = 1000000 };

void events_begin(struct events *);
void events_end(struct events *);
/* One line in JSON; `host` must outlive the events. */
void events_add(struct events *, struct slice host, struct slice line);

/* A key as text, numbers too (in the arena); NONE when it is not there. */
struct slice event_text(const struct event_line *, const char *key, struct arena *);
int64_t      event_number(const struct event_line *, const char *key);   /* 0: not there */
bool         event_is(const struct event_line *, const char *name);
/* The key holds this address. */
bool         event_about(const struct event_line *, const char *key, struct slice address);

#endif
