/* SPDX-License-Identifier: ISC */
/* pure */
#include "delivery/search.h"

bool
search_goes_on(const struct search *s, int64_t now)
{
	return s->addresses < SEARCH_ADDRESSES_MOST && s->put_off < SEARCH_PUT_OFF_MOST &&
	    now - s->begun < SEARCH_MS;
}

size_t
left_off_at(const struct left_off *l, struct slice destination, size_t count)
{
	uint64_t hash = slice_hash(destination);
	const struct left_place *p = &l->places[hash % LEFT_OFF_MOST];

	return p->destination == hash && count > 0 ? p->at % count : 0;
}

uint64_t
left_off_seed(const struct left_off *l, struct slice destination, uint64_t fresh)
{
	uint64_t hash = slice_hash(destination);
	const struct left_place *p = &l->places[hash % LEFT_OFF_MOST];

	return p->destination == hash && p->at > 0 ? p->seed : fresh;
}

void
left_off_note(struct left_off *l, struct slice destination, size_t at, uint64_t seed)
{
	uint64_t hash = slice_hash(destination);
	struct left_place *p = &l->places[hash % LEFT_OFF_MOST];

	if (at > 0 || p->destination == hash)
		*p = (struct left_place){ hash, seed, (unsigned)at };
}
