/* SPDX-License-Identifier: ISC */
/*
 * ticket -- what we saw when a message arrived, carried through a list manager.
 *
 * A list manager changes a message and hands it back; evaluated then, it would
 * fail.  So the message gets one field on its way in, with the verdict of its
 * arrival, and loses it on its way out:
 *
 *     X-Chainmail-Ticket: v=2; id=…; t=…; arc=pass; from=…; proved=…; ar=…; h=…
 *
 * `h` is an HMAC-SHA256 over all before it and the first Message-ID: nobody else can
 * write a ticket, nor put one onto another message.  White space within does
 * not count, because list managers fold lines anew.
 *
 * Every message to a list manager has one, whatever a stranger wrote: so what comes
 * back with none is the manager's own.
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
	TICKET_AUTHOR_MOST = 1000,      /* and of an address */
	TICKET_DAYS = 30,               /* it is good for: a moderator may be on holiday */
};

struct ticket {
	uint64_t     id;                /* ours, of the message that arrived */
	int64_t      arrived;           /* milliseconds since 1970; whole seconds travel */
	struct slice arc;               /* "none", "pass" or "fail": its chain (RFC 8617 4.4) */
	struct slice from;              /* the address in From, or empty: none that can be read alone */
	struct slice proved;            /* the Author Domain if it was proved (arc/verdict.h), or empty */
	struct slice results;           /* the payload of our Authentication-Results, or empty */
};

/* Whether this field is a ticket, whoever wrote it; for edit_remove() and for whoever sends. */
bool ticket_field(const struct field *);

/*
 * Append the whole field, folded, ended by CRLF; what is over its limit travels as
 * empty.  False when there is nothing to bind it to (a Message-ID) or the buf is
 * full: then nothing was appended.
 */
bool ticket_add(struct buf *, const struct ticket *, const struct header *, struct secrets);

enum ticket_result {
	TICKET_VALID,
	TICKET_NONE,                    /* there is none */
	TICKET_MALFORMED,               /* or there are two, or no Message-ID */
	TICKET_FORGED,
	TICKET_EXPIRED,                 /* or from the future */
};

/* Read the ticket of a message that came back.  *ticket_r lies in the arena and is set when valid. */
enum ticket_result ticket_read(const struct header *, struct secrets, int64_t now, struct arena *,
    struct ticket *ticket_r);

const char *ticket_result_name(enum ticket_result);

#endif
