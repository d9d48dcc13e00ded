/* SPDX-License-Identifier: ISC */
/*
 * ticket -- what we saw when a message arrived, carried through a list manager.
 *
 * A list manager changes a message and hands it back; evaluated then, it would
 * fail.  So the message gets one field on its way in, with the verdict of its
 * arrival, and loses it on its way out:
 *
 *     X-Chainmail-Ticket: v=1; id=…; t=…; arc=pass; ar=…; h=…
 *
 * `h` is an HMAC-SHA256 over all before it and the Message-ID: nobody else can
 * write a ticket, nor put one onto another message.  White space within does
 * not count, because list managers fold lines anew.
 *
 * Every ticket field is left out of what comes from outside and of what leaves
 * (ticket_field); a ticket from an archive is worth nothing.
 */
#ifndef MAIL_TICKET_H
#define MAIL_TICKET_H

#include "base/hmac.h"
#include "mail/header.h"

#define TICKET_FIELD "X-Chainmail-Ticket"

enum {
	TICKET_RESULTS_MOST = 16384,    /* octets of Authentication-Results in a ticket */
	TICKET_DAYS = 5,                /* it is good for */
};

struct ticket {
	uint64_t     id;                /* ours, of the message that arrived */
	int64_t      arrived;           /* milliseconds since 1970; whole seconds travel */
	struct slice arc;               /* "none", "pass" or "fail": its chain (RFC 8617 4.4) */
	struct slice results;           /* the payload of our Authentication-Results */
};

/* Whether this field is a ticket, whoever wrote it; for edit_remove() and for whoever sends. */
bool ticket_field(const struct field *);

/*
 * Append the whole field, folded, ended by CRLF.  False when there is nothing to
 * bind it to (the header must have one Message-ID), when the results are over
 * their limit, or the buf is full: then the message goes without, and nothing
 * was appended.
 */
bool ticket_add(struct buf *, const struct ticket *, const struct header *, struct secrets);

enum ticket_result {
	TICKET_VALID,
	TICKET_NONE,                    /* there is none */
	TICKET_MALFORMED,               /* or there are two, or no single Message-ID */
	TICKET_FORGED,
	TICKET_EXPIRED,                 /* or from the future */
};

/* Read the ticket of a message that came back.  *ticket_r lies in the arena and is set when valid. */
enum ticket_result ticket_read(const struct header *, struct secrets, int64_t now, struct arena *,
    struct ticket *ticket_r);

const char *ticket_result_name(enum ticket_result);

#endif
