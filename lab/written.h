/* SPDX-License-Identifier: ISC */
/*
 * written -- the message of a `send` statement, and what it asks of those who
 * carry it: as our sender sends it, and as gallery.json gives it to others.
 *
 * The text is what goes over the wire but for doubled dots (RFC 5321 4.5.2); its
 * lines end with CRLF, except where `hide message` wants something else.  Then
 * stands behind a dot what a host that took it for the end of the text would
 * read as a second message from the same sender.
 */
#ifndef LAB_WRITTEN_H
#define LAB_WRITTEN_H

#include "base/error.h"
#include "lab/scenario.h"

enum { WRITTEN_MOST = 64 << 20 };        /* octets of a message */

struct written {
	struct slice from;              /* empty: null */
	struct slice text;
	bool         eight_bit;         /* RFC 6152 */
	bool         smtputf8;          /* an address or the header is not in ASCII (RFC 6531) */
	bool         requiretls;        /* RFC 8689 */
};

struct written_by {
	uint64_t seed;
	int64_t  now;                   /* for Date */
	unsigned number;                /* for Message-ID: of this among all messages */
};

/* Everything lies in the arena. False: there is no such file, or it is too long. */
bool written_make(struct written *, const struct statement *send, const struct written_by *,
    struct arena *, struct error *why);

#endif
