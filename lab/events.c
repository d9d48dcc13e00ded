/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "lab/events.h"

void
events_begin(struct events *e)
{
	*e = (struct events){ .last = &e->first };
}

void
events_end(struct events *e)
{
	struct event_line *l;

	while ((l = e->first) != NULL) {
		e->first = l->next;
		json_decref(l->keys);
		free(l);
	}
}

void
events_add(struct events *e, struct slice host, struct slice line)
{
	json_t *keys = json_loadb(line.p, line.n, 0, NULL);
	struct event_line *l;

	bug_if(!json_is_object(keys) || json_string_value(json_object_get(keys, "event")) == NULL);
	if (e->count++ >= EVENTS_MOST) {
		json_decref(keys);
		return;
	}
	l = must_alloc(sizeof *l);
	*l = (struct event_line){ .host = host, .keys = keys,
	    .name = json_string_value(json_object_get(keys, "event")) };
	*e->last = l;
	e->last = &l->next;
}

struct slice
event_text(const struct event_line *l, const char *key, struct arena *arena)
{
	const json_t *value = json_object_get(l->keys, key);

	if (json_is_string(value))
		return slice_of(json_string_value(value), json_string_length(value));
	if (json_is_integer(value))
		return arena_printf(arena, "%lld", (long long)json_integer_value(value));
	return NONE;
}

int64_t
event_number(const struct event_line *l, const char *key)
{
	return json_integer_value(json_object_get(l->keys, key));
}

bool
event_is(const struct event_line *l, const char *name)
{
	return strcmp(l->name, name) == 0;
}

bool
event_about(const struct event_line *l, const char *key, struct slice address)
{
	const char *value = json_string_value(json_object_get(l->keys, key));

	return value != NULL && slice_eqi(slice(value), address);
}
