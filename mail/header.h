/* SPDX-License-Identifier: ISC */
/*
 * header -- the fields of a message in their order, byte for byte.
 *
 * A header is parsed once per message and everybody looks at the same fields:
 * two parsers of the same bytes are two opinions, and attackers live between
 * them.  Nothing is unfolded, decoded or repaired here.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/arena.h"
#include "base/error.h"

struct field {
	struct slice name;              /* without the white space before the colon */
	struct slice value;             /* behind the colon, folding kept, without the last CRLF */
	struct slice whole;             /* name, colon, value and CRLF */
};

struct header {
	struct slice  block;            /* all fields; the empty line is not in it */
	struct field *fields;
	size_t        count;
};

enum {
	HEADER_FIELDS = 2000,           /* a message that arrives with more is refused */
	HEADER_OURS = 100,              /* so many more may be in front: what we have added since */
};

/*
 * Cut a header block, each line ended by CRLF, into fields.  The fields lie in
 * the arena and point into the block.  Fails on a line that is no field (no
 * colon, an empty or unprintable name, a continuation of nothing), on more than
 * HEADER_FIELDS and HEADER_OURS, and above the arena's ceiling.  (RFC 5322 2.2, 3.6.8)
 */
bool header_parse(struct header *, struct slice block, struct arena *, struct error *why);

/* Where the body begins: behind the first empty line, or all of it without one. */
size_t header_length(struct slice message);

bool field_is(const struct field *, const char *name);
/* The first field of that name from the top, or NULL. */
const struct field *header_find(const struct header *, const char *name);
size_t header_count(const struct header *, const char *name);

/* The value on one line: folding undone (RFC 5322 2.2.3), ends trimmed. */
struct slice field_unfolded(const struct field *, struct arena *);

#endif
