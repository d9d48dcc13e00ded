/* SPDX-License-Identifier: ISC */
/*
 * cfws -- the small tokens of structured fields: comments, folding white space,
 * quoted strings (RFC 5322 3.2).
 *
 * Whoever reads a structured field reads it with these, so that no two readers
 * of ours disagree about where a comment ends.
 */
#ifndef MAIL_CFWS_H
#define MAIL_CFWS_H

#include "base/arena.h"
#include "base/buf.h"

enum { COMMENT_DEPTH = 20 };            /* comments nested deeper are refused */

/* RFC 5322 3.2.3; bytes of UTF-8 are letters (RFC 6532 3.2). */
bool is_atext(char);
/* RFC 2045 5.1: a character of a token; bytes of UTF-8 too. */
bool is_token_char(char);
/* 1*atext *("." 1*atext) and nothing else. */
bool is_dot_atom(struct slice);

/*
 * Take white space and comments off the front of *s.  False inside a comment
 * that does not end: nothing may be concluded from what stands there.
 */
bool cfws_skip(struct slice *s);

/*
 * How many bytes a quoted string at the front of s covers, its quotes
 * included, or 0 when there is none.  `folds`: white space of a folded field
 * may stand in it; on an SMTP command line it may not.
 */
size_t quoted_length(struct slice s, bool folds);
/* What it says: quotes, quoted pairs and folds undone; NONE above the ceiling. */
struct slice quoted_text(struct slice quoted, struct arena *);
/*
 * The other way: a quoted string that says it.  Control characters become '?',
 * and so does what is not ASCII, unless it is UTF-8 and `utf8` allows that.
 * Nothing in the result ends a line.
 */
void quoted_add(struct buf *, struct slice text, bool utf8);

#endif
