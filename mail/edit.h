/* SPDX-License-Identifier: ISC */
/*
 * edit -- a header made from another one: fields left out, replaced, added.
 *
 * What is not named stays byte for byte and in its order.  The bytes of the
 * first header stay its owner's; new fields lie in the arena.  An addition that
 * does not fit adds nothing and sets `full`, which stays set: a writer may
 * change ten fields and look once at the end.
 */
#ifndef MAIL_EDIT_H
#define MAIL_EDIT_H

#include "base/buf.h"
#include "mail/header.h"

struct edit {
	struct header header;           /* as it stands now; there is no block */
	bool          full;             /* something is missing: do not use it */

	/* private */
	struct arena *arena;
	size_t        room;
};

typedef bool field_question(const struct field *);

void edit_begin(struct edit *, const struct header *, struct arena *);
/* Every field that it is true of. */
void edit_remove(struct edit *, field_question *);
/*
 * A whole field: name, colon, value, CRLF; copied.  At the end, or in place of
 * one that header_find() has found in e->header.
 */
void edit_add(struct edit *, struct slice whole);
void edit_replace(struct edit *, const struct field *at, struct slice whole);
/* The same with what was written into a buf, which is freed. */
void edit_add_buf(struct edit *, struct buf *whole);
void edit_replace_buf(struct edit *, const struct field *at, struct buf *whole);
/* All fields, without the empty line behind them. */
size_t edit_size(const struct edit *);

#endif
