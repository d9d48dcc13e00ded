/* SPDX-License-Identifier: ISC */
/*
 * address -- mailboxes: in the envelope (RFC 5321 4.1.2) and in the header
 * (RFC 5322 3.4), each by its own grammar.
 */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include "base/arena.h"

/*
 * An address in its plainest form: the local part with its quotes and quoted
 * pairs undone, the domain normal (domain.h) or a literal in brackets.  The
 * null reverse-path has neither; "postmaster" may stand without a domain.  All of
 * it lies in the arena: what it was read from may go.
 */
struct address {
	struct slice local;
	struct slice domain;
	struct slice text;              /* as it is written on the wire, quoted where it must be */
};

enum path_flaw {
	PATH_OK,
	PATH_SYNTAX,                    /* 501 5.1.3 or 5.1.7 */
	PATH_LONG,                      /* local part over 64 octets, or over 254 in all */
	PATH_UTF8,                      /* not ASCII, and SMTPUTF8 was not said */
	PATH_DOMAIN,                    /* no proper domain */
};

/*
 * The path "<…>" at the front of *rest, which is moved behind it.  A source
 * route is read and forgotten (RFC 5321 4.1.1.3, appendix C).  "<>" gives an
 * empty address; "<postmaster>" one without a domain.
 */
enum path_flaw path_parse(struct slice *rest, bool utf8, struct arena *, struct address *);

/* An address as administrators write it: local@domain, nothing around it. */
bool address_parse(struct slice, struct arena *, struct address *);
/* From its parts; the text is made, the parts are not checked. */
struct address address_make(struct slice local, struct slice domain, struct arena *);
bool address_eq(const struct address *, const struct address *); /* domain case aside */

/* One mailbox of a header field. */
struct mailbox {
	struct slice   name;            /* display name as it stands, maybe empty */
	struct address address;
};

/*
 * The mailboxes of an address-list (RFC 5322 3.4): comments skipped, groups
 * opened.  At most `most` are written; *count_r tells how many there were, or
 * most + 1: reading stops there, for a stranger may write many.  False when the
 * field is no address-list: then nothing may be concluded from it.
 *
 * Of the obsolete forms (RFC 5322 4.4) those are read that leave no doubt whose
 * address it is: words and dots apart in the local part, empty list members, a
 * route in front of an address, which is forgotten.  So is one that no RFC has: an
 * address of the same domain for a display name, bare or in apostrophes, as clients
 * write it.  Refused are those of which two readers see two domains: white space and
 * comments between the labels of one.
 */
bool mailboxes_parse(struct slice value, struct arena *, struct mailbox *, size_t most,
    size_t *count_r);

#endif
