/* SPDX-License-Identifier: ISC */
/*
 * from -- whose message it says it is: the Author Domain (RFC 9989 5.3.1).
 *
 * A proper message has one From field (RFC 5322 3.6) and it names one domain.
 * Everything else has a flaw, and a flawed From has no Author Domain: two
 * readers would show two authors, and the one that was checked need not be the
 * one that is shown.  The only grace: several addresses of one domain, which
 * RFC 5322 3.6.2 allows and which leave no doubt about the domain.
 */
#ifndef AUTH_FROM_H
#define AUTH_FROM_H

#include "mail/header.h"

enum from_flaw {
	FROM_OK,
	FROM_NONE,                      /* no From field, or an empty one */
	FROM_NOBODY,                    /* it says something, but no address (RFC 6854: a group of nobody) */
	FROM_FIELDS,                    /* more than one field */
	FROM_ADDRESSES,                 /* more than one address, all of one domain */
	FROM_DOMAINS,                   /* more than one domain */
	FROM_MANY,                      /* more addresses than anybody looks at */
	FROM_UNPARSABLE,
};

enum { FROM_MOST = 16 };                /* addresses */

struct from {
	enum from_flaw flaw;
	struct slice   domain;          /* of FROM_OK and FROM_ADDRESSES: normal (mail/domain.h), */
	                                /* or a literal in brackets; otherwise empty */
	struct slice   address;         /* of FROM_OK: the whole address */
};

struct from from_read(const struct header *, struct arena *);

const char *from_flaw_name(enum from_flaw);             /* "ok", "none", "nobody", … */

#endif
