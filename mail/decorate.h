/* SPDX-License-Identifier: ISC */
/*
 * decorate -- what a list changes in a post: a tag before the subject, a footer
 * below the text.  The result is valid in every MIME shape, and what the author
 * wrote stays byte for byte:
 *
 *     text/plain, where the footer fits its charset and encoding:   appended
 *     multipart/mixed: a last part before the closing delimiter     added
 *     everything else: the post becomes the first part of a
 *     multipart/mixed, the footer the second one                    wrapped
 *
 * Whatever two readers of mail might read differently is wrapped: that is
 * always right.  Only in base64 the last letters may be written anew, because
 * the footer continues them (joint.h).
 *
 * A header goes out before its body, but only the end of a body tells whether
 * it can be continued.  So the body comes by twice: it is looked at, then it is
 * written.  Nothing of it is held; the size of the result is known in between.
 *
 *     decorate_begin(&d, &what, &header, arena, why);
 *     decorate_look(&d, piece) ...            all of the body
 *     decorate_plan(&d, &edit, why);          the new header; choice, reason, size
 *     for each piece of the body again:
 *             while (decorate_next(&d, &piece, &out))
 *                     write out
 *
 * The slices given to begin must live until the end.
 */
#ifndef MAIL_DECORATE_H
#define MAIL_DECORATE_H

#include "mail/edit.h"
#include "mail/joint.h"
#include "mail/mime.h"

enum { TAG_MOST = 100, FOOTER_MOST = 8192, FOOTER_LINE_MOST = 900 };

struct decoration {
	struct slice tag;               /* "[members]", UTF-8; empty: the subject stays */
	struct slice footer;            /* UTF-8, lines ended by \n; empty: the body stays */
	/* For wrapping: 1 to 70 letters (RFC 2046 5.1.1) that no author could foresee. */
	struct slice boundary;
};

enum decorate_choice { DECORATE_LEFT, DECORATE_APPENDED, DECORATE_ADDED, DECORATE_WRAPPED };

struct decorate {
	/* behind decorate_plan() */
	enum decorate_choice choice;
	struct slice         reason;    /* why it was wrapped; else empty */
	uint64_t             size;      /* of the new body */

	/* private */
	const struct decoration *what;
	const struct header     *header;
	struct arena            *arena;
	enum mime_encoding       encoding;
	struct slice             text, part;    /* the footer, and as a part with its header */
	struct joint             joint;
	struct multipart         theirs, ours;
	uint64_t                 taken;
	/* The new body: `before`, the old one to `at`, `insert`, the old one from `resume`. */
	struct slice             before, insert;
	uint64_t                 at, resume, given;
};

/* Whether a tag and a footer are what they must be; for the configuration. */
bool decoration_check(struct slice tag, struct slice footer, struct error *why);

/*
 * `header` is that of the post.  Fails when the decoration is not proper or the
 * arena is full.
 */
bool decorate_begin(struct decorate *, const struct decoration *, const struct header *,
    struct arena *, struct error *why);
void decorate_look(struct decorate *, struct slice body);
/*
 * Decide, and change the header in `edit`, which was begun from the same one.
 * What describes the body (Content-*) goes into the part that it is wrapped
 * into; a Content-Length is left out, whenever it would be wrong.
 * Fails when the arena is full, or when the boundary stands in the body.
 */
bool decorate_plan(struct decorate *, struct edit *, struct error *why);
/*
 * Take bytes of the body off the front of *input; *piece_r is what is to be
 * written.  False when there is nothing more to write for them.  For a body
 * without any bytes it is called with an empty input.
 */
bool decorate_next(struct decorate *, struct slice *input, struct slice *piece_r);

const char *decorate_choice_name(enum decorate_choice);         /* "wrapped" */

#endif
