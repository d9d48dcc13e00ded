/* SPDX-License-Identifier: ISC */
/*
 * flaw -- what is wrong with a text, where, and what was probably meant.
 *
 * Everything that reads texts of the administrator adds to one list of flaws
 * and goes on, so that a run tells all of them; whoever started the run prints
 * the list.  The list keeps copies: it may outlive the texts.
 *
 *     /etc/chainmail/chainmail.conf:31:5: error: "expires" is not a statement in a delivery block
 *        31 |     expires after 5d
 *           |     ^^^^^^^ did you mean "expire"?
 */
#ifndef CONF_FLAW_H
#define CONF_FLAW_H

#include "base/arena.h"
#include "base/buf.h"

/* A text that was read. The bytes belong to whoever read it. */
struct source {
	struct slice name;
	struct slice bytes;
};

/* Some bytes of a source. Lines count from 1; the column is found when it is asked. */
struct place {
	const struct source *source;
	const char          *at;
	unsigned             line;
	unsigned             width;             /* in bytes; 0: just behind something */
};

unsigned place_column(struct place);            /* in bytes, from 1 */

enum severity { FLAW_ERROR, FLAW_WARNING };

struct flaw {
	struct flaw  *next;
	enum severity severity;
	struct slice  file;
	unsigned      line, column;
	struct slice  text;                     /* one sentence without an end */
	struct slice  hint;                     /* or empty */
	struct slice  source_line;              /* as it can be shown */
	struct slice  pointer;                  /* what stands below it: blanks and carets */
};

enum { FLAWS_MOST = 20 };                       /* of each severity; the rest is only counted */

struct flaws {
	struct arena *arena;
	struct flaw  *first, **last, *latest;
	unsigned      errors, warnings;
};

void flaws_begin(struct flaws *);
void flaws_end(struct flaws *);                 /* gives everything back */

void flaw_error(struct flaws *, struct place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void flaw_warning(struct flaws *, struct place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What stands behind the carets of the flaw that was added just now. */
void flaw_hint(struct flaws *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The hint "first set here: FILE:LINE" of something that stands twice. */
void flaw_hint_first(struct flaws *, struct place first);

/* By file, line and column; equal places stay in the order in which they were added. */
void flaws_sort(struct flaws *);

/* The three lines above; the last two only where the place has a line to show. */
void flaw_add_text(struct buf *, const struct flaw *);
/* All of them, and "2 errors, 1 warning" when there are any. */
void flaws_add_text(struct buf *, const struct flaws *);
void flaws_add_count(struct buf *, const struct flaws *);

/* --- "did you mean" -------------------------------------------------------- */

struct guess {
	struct slice word, meant;               /* meant is NONE as long as nothing is near */
	unsigned     distance;
};

/* Look at one more candidate: at most two letters away, and not most of the word. */
void guess_add(struct guess *, struct slice candidate);
/* The hint `did you mean "…"?`, if something is near. */
void flaw_hint_guess(struct flaws *, const struct guess *);

#endif
