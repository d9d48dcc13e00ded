/* SPDX-License-Identifier: ISC */
/*
 * report -- the text of a delivery status notification (RFC 3464, RFC 6522,
 * RFC 6533): for people, for programs, and what it is about.
 *
 * Pure: whoever sends it has decided that there shall be one.  Words of other
 * servers stand in it only as one harmless line each.
 */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include "base/buf.h"
#include "mail/status.h"

enum report_action {                    /* RFC 3464 2.3.3 */
	REPORT_FAILED, REPORT_DELAYED, REPORT_DELIVERED, REPORT_RELAYED, REPORT_EXPANDED,
};

/* Who failed with a transient status was tried for too long: that is 4.4.7 (RFC 3463 3.5). */
struct report_recipient {
	struct slice       address;     /* where it was last sent to */
	struct slice       orcpt;       /* "rfc822;…" as the sender gave it; may be empty */
	enum report_action action;
	struct status      status;      /* its reply is 0 when no server said it */
	struct slice       host;        /* the server that said it; may be empty */
	int64_t            tried;       /* ms; 0: never */
};

struct report {
	struct slice hostname;          /* who reports */
	struct slice to;                /* the sender of the message */
	struct slice envid;             /* decoded; may be empty */
	uint64_t     id, about;         /* of the report, and of the message */
	int64_t      arrived, now;      /* ms */
	int64_t      until;             /* of delayed ones: tried until then */
	const struct report_recipient *recipients;
	size_t       count;
	bool         lost;              /* about a report of ours, for postmaster: nobody else hears of it */
	struct slice original;          /* the message as it was received, header first; empty: lost */
	bool         full;              /* attach all of it, if it is not too large */
};

enum {
	REPORT_RECIPIENTS_MOST = 1000,  /* more of them, or more text: several reports */
	REPORT_NAMES_MOST = 512 << 10,  /* by report_name_most() */
	REPORT_FULL_MOST = 100 << 10,   /* larger messages: header only (K7) */
	REPORT_HEADER_MOST = 64 << 10,
};

/*
 * Whether the report itself needs SMTPUTF8: the address it goes to is not ASCII.  To
 * others every address is told in ASCII, and what else is UTF-8 goes in base64, so that
 * it arrives where SMTPUTF8 is not known (RFC 6533 3, 4).
 */
bool report_utf8(const struct report *);
/* Whether it needs 8BITMIME: for that, or for what goes with it as it is. */
bool report_eight_bit(const struct report *);

/* Octets that it takes to name this one, at most: in the parts for people and for programs. */
size_t report_name_most(const struct report_recipient *);

/* "failed", as it stands in the Action field. */
const char *report_word(enum report_action);

/* Appends the whole message, header and body, with CRLF.  It has room in two REPORT_NAMES_MOST. */
void report_write(struct buf *, const struct report *);

#endif
