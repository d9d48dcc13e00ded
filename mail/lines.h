/* SPDX-License-Identifier: ISC */
/*
 * lines -- cut a byte stream into lines, the SMTP way.
 *
 * A line ends with CRLF and nothing else (RFC 5321 2.3.8).  A bare CR, a bare
 * LF and a NUL are seen here, so that nobody behind needs to think of them:
 * they are reported, and repaired only where the caller says so (submission).
 *
 * The framers own nothing and copy nothing: what they give are slices of the
 * bytes they were pushed.  They say how many bytes they took; the caller pushes
 * the rest again, with whatever came behind it.
 */
#ifndef MAIL_LINES_H
#define MAIL_LINES_H

#include "base/slice.h"

/* --- commands and replies ------------------------------------------------ */

enum line_kind {
	LINE_PART,                      /* no whole line yet */
	LINE_WHOLE,
	LINE_LONG,                      /* was longer than the ceiling; dropped to its end */
	LINE_BARE,                      /* held a bare CR, or ended with a bare LF */
	LINE_NUL,                       /* held a NUL */
};

struct lines {
	size_t ceiling;                 /* of a line with its CRLF, in bytes */
	size_t scanned;                 /* of what will be pushed again: no LF in it */
	bool   dropping;                /* in the middle of a line that is too long */
};

/*
 * Take one line off the front of *input; *line_r is the line without its end.
 * LINE_PART: there was no whole line; push what is left again, with more
 * behind it (a line that is too long is taken and forgotten as it comes).
 */
enum line_kind lines_next(struct lines *, struct slice *input, struct slice *line_r);

/* --- the text behind DATA (RFC 5321 4.5.2) and in BDAT ------------------- */

enum bare_policy { BARE_KEEP, BARE_REPAIR };    /* repair: a bare CR or LF becomes CRLF */

struct text {
	enum bare_policy bare;
	bool     counted;               /* BDAT: no dots, no end; the caller counts */
	int      state;                 /* private; 0 is the start of a text */
	bool     ended;                 /* CRLF.CRLF was seen */
	bool     bare_cr, bare_lf, nul; /* what was seen so far */
	uint64_t size;                  /* bytes given out so far */
	size_t   line, longest;         /* length of this and of the longest line, without CRLF */
};

/*
 * Take bytes off the front of *input and give the text in them, dots removed,
 * as a piece: a slice of the input, or a constant; it may be empty.  False when
 * there is nothing more to take.  What stands behind the end is never taken.
 */
bool text_next(struct text *, struct slice *input, struct slice *piece_r);
/* The last byte of a counted text that ended in the middle of a line end, or nothing. */
struct slice text_finish(struct text *);

/* --- and back onto the wire ---------------------------------------------- */

struct stuffing {
	bool mid_line, cr;              /* { 0 } is the start of a text */
};

/*
 * Take off the front of *text what can go out as it is; *dot_r says that a dot
 * must be sent before it.  False at the end of *text.
 */
bool stuffing_next(struct stuffing *, struct slice *text, bool *dot_r, struct slice *piece_r);

#endif
