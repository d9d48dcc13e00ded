/* SPDX-License-Identifier: ISC */
/*
 * anchor -- DNSSEC trust anchors as a text: DS and DNSKEY records, one a line, as a
 * zone file has them (RFC 1035 5.1), behind `;` a comment.
 *
 * What the resolver is not told to trust it calls insecure, and for mail to a host
 * with DANE insecure means opportunistic (RFC 7672 2.1.1).  So a text in which the
 * resolver would find nothing that it can use for the root must not count as one.
 */
#ifndef CONF_ANCHOR_H
#define CONF_ANCHOR_H

#include "base/error.h"
#include "base/slice.h"

enum anchor_line {
	ANCHOR_END,
	ANCHOR_ROOT,                    /* of the root, and libunbound can use it */
	ANCHOR_ELSEWHERE,               /* of another name, to be used too */
	ANCHOR_UNKNOWN,                 /* right, but no algorithm of ours (RFC 4035 5.2): ignored */
	ANCHOR_BAD,                     /* no such record; why_r says what is wrong */
};

/* The next record and where it stands; `text` loses what was read, `number` counts lines. */
enum anchor_line anchor_next(struct slice *text, struct slice *line_r, unsigned *number,
    struct error *why_r);

/* No line is bad, and one at least is a usable one of the root. */
bool anchor_covers_root(struct slice text, struct error *why);

#endif
