/* SPDX-License-Identifier: ISC */
/*
 * shape -- what may follow the words of a statement, and whether it does.
 *
 *     shape    = sequence { "|" sequence } .
 *     sequence = { item [ ",..." ] } .                 with ",...": a list with commas
 *     item     = word | "->" | "," | TYPE | "(" shape ")" | "[" shape "]" | "{" context "}" .
 *
 * All parts stand apart by blanks.  A word stands for itself, a TYPE (type.h)
 * for a value; what is in square brackets may be left out; the block at the end
 * holds statements of a context.  The first alternative whose first item fits is
 * the one: nothing is tried twice, and a long list costs what it is long.
 */
#ifndef CONF_SHAPE_H
#define CONF_SHAPE_H

#include "conf/grammar.h"

enum { EXPECTED_MOST = 16 };

struct match {
	const struct statement *statement;
	struct arena *scratch;
	struct word  *at;               /* NULL: behind the last one */
	unsigned      index;            /* of it */
	bool          block;            /* the shape's block was reached */

	/* Where the statement went furthest, and what could have stood there. */
	unsigned      furthest;
	struct word  *found;            /* NULL: the statement is over */
	struct slice  expected[EXPECTED_MOST];
	size_t        count;
};

/* Begin behind the first n words of the statement. */
void match_begin(struct match *, const struct statement *, size_t n, struct arena *scratch);
/* All the rest of the statement fits; sets the types of its words. */
bool match_shape(struct match *, const char *shape);
/* Something else was expected where the match stands: always false. */
bool match_expected(struct match *, struct slice what);
/* Why it does not fit. `usage` is the hint when no word is near; NULL: none. */
void match_tell(const struct match *, const struct keyword *usage, struct flaws *);

/* The word itself, not in quotes. */
bool word_is(const struct word *, struct slice literal);

/* The context of the block in a shape; empty: it has none. */
struct slice shape_block(const char *shape);
/* A shape for people: "FILE key FILE", "from file FILE | MAILBOX, ...". */
void shape_add(struct buf *, const char *shape);

#endif
