/* SPDX-License-Identifier: ISC */
/*
 * keywords -- the table of statements, and checking a tree against it.
 *
 * What may follow the words of a statement is its shape (shape.h).
 *
 * A further table may add statements to contexts and further contexts, for texts
 * that only their own program reads (the lab); the daemon's own is
 * CONF_VOCABULARY and nothing else.
 */
#ifndef CONF_KEYWORDS_H
#define CONF_KEYWORDS_H

#include "conf/grammar.h"

enum times { ONCE, MANY, NAMED, MERGED };

struct keyword {
	const char *context;            /* "" outside of all blocks */
	const char *words;              /* "limit messages" */
	const char *shape;
	enum times  times;
	const char *usual;              /* the default, as it would be written; or NULL */
	const char *since;
	const char *meaning;
	int         id;                 /* whose: the table's owner knows */
};

/* The block `context` takes the statements of the block `like` too. */
struct context_link {
	const char *context, *like;
};

struct vocabulary {
	const struct keyword      *rows;
	size_t                     count;
	const struct context_link *links;       /* ends with { 0 }; NULL: none */
	const struct vocabulary   *more;        /* the table this one adds to, or NULL */
};

enum keyword_id {
#define KEYWORD(id, ...) KEYWORD_##id,
#include "conf/keywords.def"
#undef KEYWORD
	KEYWORD_COUNT
};

extern const struct vocabulary CONF_VOCABULARY;

/*
 * Find the row of each statement, check its shape, and set `keyword` of the
 * statements and `type` of the words.  Tells unknown statements with the
 * nearest word, what was expected where, and what is set twice.  A statement
 * with a flaw is left with keyword NULL.
 */
void keywords_check(const struct vocabulary *, struct statement *first, const char *context,
    struct arena *, struct flaws *);

/* The row in a context whose words stand at the front of the statement, or NULL. */
const struct keyword *keyword_find(const struct vocabulary *, const char *context,
    const struct statement *);
/* The rows of a context one by one, by turn from 0; NULL at the end. */
const struct keyword *keyword_nth(const struct vocabulary *, const char *context, size_t turn);
/* The context of the block at the end of its shape; empty: it has none. */
struct slice keyword_block(const struct keyword *);

/* "tls cert FILE key FILE", "members from file FILE | MAILBOX, ...". */
void keyword_add_usage(struct buf *, const struct keyword *);

/* --- for whoever reads a checked statement ---------------------------------- */

/* The first value of a statement, or the next one behind a word; NULL at the end. */
const struct word *value_first(const struct statement *);
const struct word *value_next(const struct word *);
/* The word itself stands behind the words of the keyword, not as a value. */
bool statement_says(const struct statement *, const char *literal);

#endif
