/* SPDX-License-Identifier: ISC */
/*
 * ours -- the MTA-STS policy of a domain of ours, as its configuration wants it
 * (RFC 8461 3.2).
 *
 * The text follows from the domain block and from nothing else, and the id from
 * the text: it changes when the policy does and at no other time (3.1).  So
 * every command, the web role and a file on somebody's web server say the same.
 */
#ifndef STS_OURS_H
#define STS_OURS_H

#include "base/buf.h"
#include "conf/conf.h"
#include "sts/policy.h"

enum {
	OURS_ID = 20,                   /* characters of an id; 32 are the most (3.1) */
	OURS_POLICY_MOST = STS_POLICY_MOST,
};

/* The file, its lines ended by CRLF; nothing when the domain has `sts off`. */
void ours_policy_add(struct buf *, const struct domain_conf *);
/* Of such a text. */
void ours_id(struct slice policy, char id_r[OURS_ID + 1]);

/* What the configuration's word for a mode means in a policy; not of SERVE_OFF. */
enum sts_mode ours_mode(enum sts_serving);

/* The host that serves it: "mta-sts." and the domain (3.3). In the arena. */
struct slice ours_host(struct slice domain, struct arena *);

#define OURS_PATH "/.well-known/mta-sts.txt"

#endif
