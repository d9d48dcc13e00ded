/* SPDX-License-Identifier: ISC */
/*
 * received_spf -- the Received-SPF field (RFC 7208 9.1), for those who read it.
 *
 * Authentication-Results says the same and more; this one is written only
 * where the configuration wants it, above our Received field, without comments.
 */
#ifndef AUTH_RECEIVED_SPF_H
#define AUTH_RECEIVED_SPF_H

#include "base/buf.h"
#include "base/ip.h"

struct received_spf {
	const char  *result;            /* a word of RFC 7208 2.6 */
	struct ip    client;
	struct slice envelope_from;     /* empty: <> */
	struct slice helo;
	const char  *identity;          /* "mailfrom" or "helo" */
	struct slice receiver;          /* our host name */
	struct slice mechanism;         /* the term that decided; empty: none did */
	struct slice problem;           /* of an error; empty: none */
};

/* The field's value, folded, without a line end.  `utf8` as in auth/authres.h. */
void received_spf_write(const struct received_spf *, bool utf8, struct buf *);

#endif
