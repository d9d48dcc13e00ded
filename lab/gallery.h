/* SPDX-License-Identifier: ISC */
/*
 * gallery -- many mail domains in one world, each right or broken in one way, and
 * how a correct sender fares with them.
 *
 * The scenarios of lab/gallery/ are built into the program and read as one.  An
 * expectation that says `flaw` is a row of the table; the row is about the domain
 * of its address, and right when all that it expects holds.
 *
 * Our own sender is judged by a play, which knows all that it did.  Of somebody
 * else's only so much can be seen as reaches the world: that he asked for a
 * domain, and that a host took a message, under TLS or in the clear, for this
 * address or another.  What he proved, and whether he will come again, he keeps to
 * himself.
 */
#ifndef LAB_GALLERY_H
#define LAB_GALLERY_H

#include "conf/files.h"
#include "lab/play.h"

/* The texts, as files; scenario_read(GALLERY_NAME, files_reader(), …) reads them. */
#define GALLERY_NAME S("gallery.lab")
void gallery_files(struct files *);

struct gallery_row {
	struct gallery_row     *next;
	const struct statement *statement, *send;       /* who sends to it; NULL: nobody does */
	struct slice            address;        /* "x@sts-ok.test" */
	struct slice            domain, flaw, rfc;      /* "sts-ok.test", "none", "RFC 8461 5" */
	struct slice            outcome;        /* "delivered", "deferred", "bounced" */
	struct slice            tls;            /* "verified by sts"; empty: nothing is said of it */
	struct slice            expected;       /* all of it: "delivered; tls verified by sts" */
	bool                    changes;        /* only right after something has changed */
	bool                    alone;          /* nothing may come with the message */
	bool                    convertible;    /* who makes it ASCII may deliver it */
	/* What an open world has seen: */
	bool                    asked;          /* for its MX records */
	unsigned                encrypted, clear;       /* messages that a host took */
	bool                    company;        /* one was for another address */
	bool                    eight_bit;      /* one was not all ASCII */
	/* After judgement: */
	const char             *skipped;        /* why there is none; NULL: there is one */
	bool                    right;
	struct slice            got;            /* what came, in the words of `expected` */
	struct slice            reply;          /* how the last attempt ended; empty: nobody knows */
};

/* In the order of the scenario; everything lies in the arena and in the scenario. */
struct gallery_row *gallery_rows(const struct scenario *, struct arena *);
/* What became of them. */
void gallery_judge(struct gallery_row *first, const struct play *, struct arena *);

/* --- somebody else's sender --------------------------------------------------------- */

/* The name server of the world was asked for the MX records of this name. */
void gallery_asked(struct gallery_row *first, struct slice name);
/* A host has taken a message for this address. */
void gallery_took(struct gallery_row *first, struct slice address, bool encrypted, bool ascii);
/* What became of the rows so far; may be asked again. */
void gallery_judge_seen(struct gallery_row *first);

#endif
