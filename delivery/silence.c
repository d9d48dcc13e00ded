/* SPDX-License-Identifier: ISC */
/* pure */
#include <string.h>

#include "delivery/silence.h"

static size_t
place_of(const struct peer *p)
{
	return (size_t)((slice_hash(slice_of(p->ip.bytes, p->ip.n)) + p->port) % SILENCE_MOST);
}

static bool
is_at(const struct silent_place *at, const struct peer *p)
{
	return p->ip.n > 0 && at->port == p->port && ip_eq(at->ip, p->ip);
}

void
silence_note(struct silence *s, const struct peer *p, int64_t now, int64_t until)
{
	if (p->ip.n > 0)
		s->places[place_of(p)] = (struct silent_place){ p->ip, p->port, now, until };
}

int64_t
silence_age(const struct silence *s, const struct peer *p, int64_t now)
{
	const struct silent_place *at = &s->places[place_of(p)];

	return is_at(at, p) && now < at->until ? now - at->since : -1;
}

void
silence_over(struct silence *s, const struct peer *p)
{
	struct silent_place *at = &s->places[place_of(p)];

	if (is_at(at, p))
		at->until = 0;
}

void
silence_forget(struct silence *s)
{
	memset(s, 0, sizeof *s);
}
