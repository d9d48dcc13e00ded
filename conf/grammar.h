/* SPDX-License-Identifier: ISC */
/*
 * grammar -- a configuration text as a tree of statements.
 *
 *     config    = { statement } .
 *     statement = WORD { arg } ( NEWLINE | ";" | "{" { statement } "}" ) .
 *     arg       = WORD | STRING | "->" | "," .     a line ending in "," goes on
 *
 * What ends a block also ends its last statement.  Two statements are done here
 * and do not stand in the tree:
 *
 *     include FILE-or-PATTERN    the statements of other files, in this place
 *     let NAME = value           from here on $NAME in a word (not in a string) stands for
 *                                value; names are compared without regard to case
 *
 * Relative names are taken from the directory of the text they stand in.  What
 * the statements mean is not known here (keywords.h).
 *
 * Everything lies in the tree's arena; the bytes of the texts belong to what is
 * behind the reader and must live as long as the tree.
 */
#ifndef CONF_GRAMMAR_H
#define CONF_GRAMMAR_H

#include "conf/files.h"
#include "conf/flaw.h"

struct keyword;

enum word_kind { WORD_BARE, WORD_STRING, WORD_ARROW, WORD_COMMA };

struct word {
	struct word   *next;
	enum word_kind kind;
	struct slice   text;            /* quotes and $NAMEs undone */
	struct place   place;
	const char    *type;            /* set by keywords_check(): "DURATION"; NULL: a literal word */
};

struct statement {
	struct statement     *next;
	struct word          *words;    /* at least one */
	struct statement     *block;    /* its first statement */
	bool                  has_block;
	struct place          end;      /* just behind its last word */
	const struct keyword *keyword;  /* set by keywords_check() */
};

struct tree {
	struct arena     *arena;
	struct statement *first;
	struct place      begin;        /* of the text */
};

enum {
	TREE_DEPTH    = 16,             /* blocks in blocks */
	TREE_INCLUDES = 16,             /* files in files */
	TREE_SOURCES  = 1000,
	TREE_WORDS    = 1000000,
	TREE_BYTES    = 16 << 20,       /* of all texts; and of all that $NAMEs became */
};

/*
 * Read the text `name` and what it includes.  Never NULL: flaws tell what was
 * left out.  Words and blocks beyond the ceilings above are flaws.
 */
struct tree *tree_parse(struct slice name, const struct reader *, struct flaws *);
/* The same of one text that includes nothing. */
struct tree *tree_parse_text(struct slice name, struct slice text, struct flaws *);
void         tree_free(struct tree *);

/* Memory of the tree's arena, whose ceiling what TREE_WORDS allows cannot reach. */
void *tree_get(struct arena *, size_t);

/* `name` taken from the directory of the text in which `from` stands. */
struct slice tree_path(struct slice name, struct place from, struct arena *);

#endif
