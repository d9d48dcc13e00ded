/* SPDX-License-Identifier: ISC */
/*
 * judge -- what a receiver concludes about one message, from a zone: the whole
 * way that the server takes, in one call.
 */
#ifndef TESTS_JUDGE_H
#define TESTS_JUDGE_H

#include "arc/chain.h"
#include "auth/dkim.h"
#include "dns/zone.h"

struct judged {
	struct arena *arena;
	struct header header;
	struct bodies bodies;
	struct facts  facts;
	struct keys  *keys;
	struct dkim   dkim;
	struct arc    arc;
	struct verifier verifier;
	unsigned      rounds;           /* how often questions had to be answered */
};

/* Header and body; false when the message has no proper header. */
static inline bool
judge_begin(struct judged *j, struct slice message)
{
	size_t n = header_length(message);

	*j = (struct judged){ .arena = arena_new(4 << 20), .keys = keys_new(16) };
	j->verifier = (struct verifier){ .bodies = &j->bodies, .keys = j->keys, .facts = &j->facts };
	facts_begin(&j->facts, j->arena);
	return header_parse(&j->header, slice_head(message, n), j->arena, NULL);
}

static inline void
judge_body(struct judged *j, struct slice message)
{
	bodies_update(&j->bodies, slice_skip(message, header_length(message) + 2));
	bodies_finish(&j->bodies);
}

static inline void
judge_dkim(struct judged *j, const struct zone *zone, int64_t now)
{
	j->verifier.now = now;
	while (!dkim_evaluate(&j->dkim, &j->verifier)) {
		zone_answer_all(zone, &j->facts);
		j->rounds++;
	}
}

static inline void
judge_arc(struct judged *j, const struct zone *zone, int64_t now)
{
	j->verifier.now = now;
	while (!arc_evaluate(&j->arc, &j->verifier)) {
		zone_answer_all(zone, &j->facts);
		j->rounds++;
	}
}

static inline void
judge_end(struct judged *j)
{
	keys_free(j->keys);
	bodies_free(&j->bodies);
	arena_free(j->arena);
}

#endif
