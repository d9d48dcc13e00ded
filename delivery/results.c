/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "delivery/results.h"

enum { PACKED_MOST = 4 << 20 };

struct kept_result {
	struct kept_result *next;
	int64_t             when;
	bool                told;
	struct buf          packed;
};

void
results_begin(struct results *all)
{
	*all = (struct results){ .last = &all->first };
}

static void
forget_first(struct results *all)
{
	struct kept_result *k = all->first;

	if ((all->first = k->next) == NULL)
		all->last = &all->first;
	all->bytes -= k->packed.n;
	buf_free(&k->packed);
	free(k);
}

void
results_end(struct results *all)
{
	while (all->first != NULL)
		forget_first(all);
}

static void
forget_old(struct results *all, int64_t now)
{
	while (all->first != NULL &&
	    ((all->first->told && now - all->first->when > RESULT_KEPT_MS) || all->bytes > RESULTS_MOST))
		forget_first(all);
}

/* The outcomes that no further attempt will change, in room for all. */
static uint32_t
final_outcomes(const struct order_result *r, struct order_outcome *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->count; i++)
		if (!status_transient(r->outcomes[i].status))
			to[n++] = r->outcomes[i];
	return n;
}

void
results_keep(struct results *all, int64_t now, bool told, const struct order_result *r)
{
	struct order_result part = *r;
	struct kept_result *k;

	forget_old(all, now);
	part.outcomes = must_alloc((r->count + 1) * sizeof *part.outcomes);
	if (told)
		part.count = final_outcomes(r, part.outcomes);
	else
		memcpy(part.outcomes, r->outcomes, r->count * sizeof *r->outcomes);
	if (part.count > 0) {
		k = must_alloc(sizeof *k);
		*k = (struct kept_result){ .when = now, .told = told, .packed = BUF(PACKED_MOST) };
		order_result_pack(&part, &k->packed);
		*all->last = k;
		all->last = &k->next;
		all->bytes += k->packed.n;
	}
	free(part.outcomes);
}

int64_t
results_wait(struct results *all, int64_t now)
{
	int64_t most = 0;

	forget_old(all, now);
	for (const struct kept_result *k = all->first; k != NULL; k = k->next) {
		int64_t until = (k->told ? k->when : now) + RESULT_KEPT_MS + 1;

		most = until - now > most ? until - now : most;
	}
	return most;
}

void
results_tell(struct results *all, int64_t now, void (*tell)(void *, struct slice), void *arg)
{
	forget_old(all, now);
	for (struct kept_result *k = all->first; k != NULL; k = k->next) {
		tell(arg, buf_slice(&k->packed));
		if (!k->told)
			k->when = now;
		k->told = true;
	}
}
