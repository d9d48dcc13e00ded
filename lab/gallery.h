/* SPDX-License-Identifier: ISC */
/*
 * gallery -- many mail domains in one world, each right or broken in one way, and
 * how a correct sender fares with them.
 *
 * The scenarios of lab/gallery/ are built into the program and read as one.  An
 * expectation that says `flaw` is a row of the table; the row is about the domain
 * of its address, and right when all that it expects holds.
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
	const struct statement *statement;
	struct slice            domain, flaw, rfc;      /* "sts-ok.test", "none", "RFC 8461 5" */
	struct slice            outcome;        /* "delivered", "deferred", "bounced" */
	struct slice            tls;            /* "verified by sts"; empty: nothing is said of it */
	struct slice            expected;       /* all of it: "delivered; tls verified by sts" */
	bool                    changes;        /* only right after something has changed */
	/* After a play: */
	bool                    right;
	struct slice            got;            /* what came, in the words of `expected` */
	struct slice            reply;          /* how the last attempt ended */
};

/* In the order of the scenario; everything lies in the arena and in the scenario. */
struct gallery_row *gallery_rows(const struct scenario *, struct arena *);
/* What became of them. */
void gallery_judge(struct gallery_row *first, const struct play *, struct arena *);

#endif
