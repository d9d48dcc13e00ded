/* SPDX-License-Identifier: ISC */
/* pure */
#include "arc/trust.h"
#include "base/bug.h"

/* Both signatures of a set must be of somebody we named. */
static bool
set_trusted(const struct arc_set *set, const struct trust *trust)
{
	return set != NULL && trust != NULL &&
	    trust_holds(trust, set->seal.domain, set->seal.selector) &&
	    trust_holds(trust, set->ams.domain, set->ams.selector);
}

struct arc_trust
arc_trust(const struct arc *a, const struct trust *trust)
{
	struct arc_trust t = { .valid = a->result == ARC_PASS };

	bug_if(!a->concluded);
	while (t.trusted < a->count && set_trusted(a->sets[a->count - 1 - t.trusted], trust))
		t.trusted++;
	if (!t.valid)
		return t;
	t.untrusting = a->sets[0];
	if (t.trusted > 0)
		t.believed = a->sets[a->count - t.trusted];
	return t;
}
