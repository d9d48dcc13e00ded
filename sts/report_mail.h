/* SPDX-License-Identifier: ISC */
/*
 * report_mail -- a report on TLS sessions as a message (RFC 8460 5.3): written
 * for those who asked by mailto, and found again in what others sent to us.
 */
#ifndef STS_REPORT_MAIL_H
#define STS_REPORT_MAIL_H

#include "mail/address.h"
#include "sts/report.h"

struct tlsrpt_letter {
	struct slice submitter;         /* our name; `contact` is an address there */
	struct slice contact, to;       /* addresses */
	struct slice domain;            /* whose policy it was */
	struct slice id;                /* of the report: "left@right" */
	int64_t      now;               /* ms, as the next two: what the report is about */
	int64_t      begin, end;
	struct slice gzip;              /* the report */
};

/* Appends the whole message, header and body, with CRLF. */
void tlsrpt_letter_write(const struct tlsrpt_letter *, struct arena *, struct buf *);

/*
 * The address of a mailto: URI (RFC 6068): the first one, header fields behind it
 * do not count.  False when there is none that can be written to.
 */
bool tlsrpt_mailto(struct slice uri, struct arena *, struct address *);

/*
 * The JSON in a file that somebody got: JSON, gzip, or a message with either in
 * one of its parts, whatever the line ends.  False with *why.
 */
bool tlsrpt_open(struct slice file, struct arena *, struct buf *json, struct error *why);

#endif
