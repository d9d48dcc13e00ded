/* SPDX-License-Identifier: ISC */
/* pure */
#include "sts/reach.h"

static bool
may_reach(struct ip ip, bool local_allowed)
{
	enum ip_place place = ip_place(ip);

	return place == IP_PUBLIC || (place == IP_OURS && local_allowed);
}

/* The next ones behind `n`, as long as there is room. */
static size_t
add(const struct fact *f, bool local_allowed, struct ip *to, size_t n, size_t most)
{
	for (size_t i = 0; f->answer == ANSWER_FOUND && i < f->count && n < most; i++) {
		struct ip ip = ip_unmapped(ip_of(f->records[i].data));

		if (may_reach(ip, local_allowed))
			to[n++] = ip;
	}
	return n;
}

size_t
reach_addresses(const struct fact *v6, const struct fact *v4, bool local_allowed,
    struct ip to[REACH_MOST])
{
	size_t n = add(v6, local_allowed, to, 0, REACH_MOST / 2);

	return add(v4, local_allowed, to, n, REACH_MOST);
}
