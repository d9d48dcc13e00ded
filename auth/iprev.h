/* SPDX-License-Identifier: ISC */
/*
 * iprev -- does the client's address belong to the name it has (RFC 8601 3)?
 *
 * The names of the address, then the addresses of the names: a name that leads
 * back is verified.  Only such a name may be shown as the client's (in
 * Received, say); a PTR record alone is what its owner likes to write.
 */
#ifndef AUTH_IPREV_H
#define AUTH_IPREV_H

#include "auth/authres.h"
#include "base/ip.h"
#include "dns/facts.h"

enum iprev_result {                     /* RFC 8601 2.7.3 */
	IPREV_PASS,
	IPREV_FAIL,                     /* no name leads back */
	IPREV_TEMPERROR,
	IPREV_PERMERROR,                /* the address has no name */
};

enum {
	IPREV_NAMES = 10,               /* further names of an address are not looked at */
	IPREV_QUESTIONS = 1 + IPREV_NAMES,
};

struct iprev {
	bool              concluded;
	enum iprev_result result;
	struct ip         client;
	struct slice      name;         /* of a pass: the verified name, normal (mail/domain.h) */
};

/* False while facts are missing.  { 0 } before the first call. */
bool iprev_evaluate(struct iprev *, struct ip client, struct facts *);

const char *iprev_result_name(enum iprev_result);
/* "iprev=pass policy.iprev=192.0.2.1" */
void iprev_authres(const struct iprev *, struct authres *);

#endif
