/* SPDX-License-Identifier: ISC */
/*
 * change -- what is left to do until a policy of ours is published as the
 * configuration wants it, in the order in which it is safe (RFC 8461 8).
 *
 *     first the hosts, then the policy, then its id (8.1): who sees a new id must
 *     find the new policy.  What senders took before, they keep for its max_age.
 *     A policy is not taken away but replaced by one of mode none (8.3), until
 *     the one before it has run out everywhere; then the record goes, and then the
 *     policy.  Whether it has run out we cannot see: people know, and are asked.
 *
 * Steps are sentences for people; when there is none, all is as it shall be.
 */
#ifndef STS_CHANGE_H
#define STS_CHANGE_H

#include "conf/conf.h"
#include "sts/answer.h"
#include "sts/record.h"

/* What the DNS says of the domain's MX. */
enum change_mx {
	CHANGE_MX_FOUND,
	CHANGE_MX_NONE,                 /* mail goes to the domain itself (RFC 5321 5.1) */
	CHANGE_MX_NULL,                 /* it takes no mail (RFC 7505) */
	CHANGE_MX_UNKNOWN,
};

struct change_question {
	const struct domain_conf *domain;       /* what is wanted */
	bool                      here;         /* our own web door serves it */
	/* What the world sees. */
	const struct sts_record  *record;
	const struct sts_fetch   *fetch;
	enum change_mx            mx_is;
	const struct slice       *mx;           /* the hosts of its MX records */
	size_t                    mx_count;
};

enum { CHANGE_STEPS = 6 };

struct change {
	struct slice step[CHANGE_STEPS];
	size_t       count;
	struct slice note;                      /* when all is done: what may come next, or empty */
};

/* The sentences lie in the arena. */
void sts_change(struct change *, const struct change_question *, struct arena *);

#endif
