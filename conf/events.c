/* SPDX-License-Identifier: ISC */
/* pure */
#include "conf/events.h"

#define EVENT(id, name, level, keys, meaning) \
	const struct event_kind EVENT_##id = { name, level, keys, meaning };
#include "conf/events.def"
#undef EVENT

static const struct event_kind *const ALL[] = {
#define EVENT(id, ...) &EVENT_##id,
#include "conf/events.def"
#undef EVENT
};

const struct event_kind *
event_nth(size_t turn)
{
	return turn < sizeof ALL / sizeof *ALL ? ALL[turn] : NULL;
}
