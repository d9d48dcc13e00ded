/* SPDX-License-Identifier: ISC */
/*
 * trace -- the Received field (RFC 5321 4.4): one per accepted message, on top.
 */
#ifndef SMTPD_TRACE_H
#define SMTPD_TRACE_H

#include "base/buf.h"
#include "base/ip.h"

struct trace {
	struct slice helo;              /* what the client called itself; may be empty */
	struct slice name;              /* its verified name; empty: unknown */
	struct ip    client;            /* n == 0: not from a network */
	struct slice by;                /* our host name */
	const char  *with;              /* "ESMTPS" (RFC 3848) */
	const char  *tls, *cipher;      /* NULL in the clear */
	uint64_t     id;
	struct slice recipient;         /* only when there is exactly one; else empty */
	int64_t      now;
};

/* Appends the whole field with its CRLF, folded. A stranger's words are made harmless. */
void trace_add(struct buf *, const struct trace *);

#endif
