/* SPDX-License-Identifier: ISC */
/*
 * token -- the smallest parts of a configuration text.
 *
 *     WORD    a run of characters except space { } ; , " #
 *     STRING  "…" with \" \\ and \n, on one line
 *     comment "#" to the end of the line
 *
 * A carriage return before a line feed is white space, a byte order mark at the
 * front too.  Control characters, what is not UTF-8, words over WORD_BYTES and
 * strings over STRING_BYTES are bad tokens; the caller tells and goes on.
 */
#ifndef CONF_TOKEN_H
#define CONF_TOKEN_H

#include "conf/flaw.h"

enum { WORD_BYTES = 4096, STRING_BYTES = 65536 };

enum token_kind {
	TOKEN_WORD, TOKEN_STRING, TOKEN_ARROW, TOKEN_COMMA,
	TOKEN_OPEN, TOKEN_CLOSE, TOKEN_SEMICOLON, TOKEN_NEWLINE, TOKEN_COMMENT, TOKEN_END,
	TOKEN_BAD,
};

struct token {
	enum token_kind kind;
	struct place    place;
	struct slice    raw;            /* as it stands, quotes too; its place's width is its length */
	const char     *why;            /* of a bad one: what is wrong with it */
};

struct lexer {
	const struct source *source;
	size_t               offset;
	unsigned             line;
};

void         lexer_begin(struct lexer *, const struct source *);
struct token lexer_next(struct lexer *);        /* TOKEN_END again and again at the end */

/* What a string token says; `to` must hold raw.n bytes. */
struct slice string_value(struct slice raw, char *to);

#endif
