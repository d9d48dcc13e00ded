/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/text.h"
#include "sts/ours.h"

enum sts_mode
ours_mode(enum sts_serving serving)
{
	bug_if(serving == SERVE_OFF);
	return serving == SERVE_ENFORCE ? STS_ENFORCE : serving == SERVE_TESTING ? STS_TESTING : STS_NONE;
}

void
ours_policy_add(struct buf *b, const struct domain_conf *d)
{
	if (d->sts == SERVE_OFF)
		return;
	buf_printf(b, "version: STSv1\r\nmode: %s\r\n", sts_mode_name(ours_mode(d->sts)));
	/* Who takes a policy back names no hosts: there may be none any more. */
	for (size_t i = 0; d->sts != SERVE_NONE && i < d->mx_count; i++)
		buf_printf(b, "mx: %.*s\r\n", FMT(d->mx[i]));
	buf_printf(b, "max_age: %lld\r\n", (long long)(d->sts_max_age / SECOND));
}

void
ours_id(struct slice policy, char id[OURS_ID + 1])
{
	unsigned char digest[SHA256_BYTES];
	struct buf hex = BUF(OURS_ID + 1);

	sha256_of(policy, digest);
	hex_add(&hex, slice_of(digest, OURS_ID / 2));
	snprintf(id, OURS_ID + 1, "%.*s", FMT(buf_slice(&hex)));
	buf_free(&hex);
}

struct slice
ours_host(struct slice domain, struct arena *arena)
{
	return arena_printf(arena, "mta-sts.%.*s", FMT(domain));
}
