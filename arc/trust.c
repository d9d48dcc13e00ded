/* SPDX-License-Identifier: ISC */
/* pure */
#include "arc/trust.h"
#include "base/bug.h"
#include "mail/domain.h"

static bool
named(struct slice domain, const struct slice *patterns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (domain_matches(patterns[i], domain))
			return true;
	return false;
}

static bool
set_trusted(const struct arc_set *set, const struct slice *patterns, size_t count)
{
	return set != NULL && set->seal.domain.n && named(set->seal.domain, patterns, count) &&
	    set->ams.domain.n && named(set->ams.domain, patterns, count);
}

struct arc_trust
arc_trust(const struct arc *a, const struct slice *patterns, size_t count)
{
	struct arc_trust t = { .valid = a->result == ARC_PASS };

	bug_if(!a->concluded);
	while (t.trusted < a->count && set_trusted(a->sets[a->count - 1 - t.trusted], patterns, count))
		t.trusted++;
	if (!t.valid)
		return t;
	t.untrusting = a->sets[0];
	if (t.trusted > 0)
		t.believed = a->sets[a->count - t.trusted];
	return t;
}
