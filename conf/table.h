/* SPDX-License-Identifier: ISC */
/*
 * table -- outside tables: an entry a line, and aliases(5).
 *
 * In all of them empty lines and lines that begin with `#` mean nothing, and a
 * line may end with CRLF.  What is read points into the text, or lies in the
 * arena where quotes had to be undone.
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "conf/flaw.h"
#include "conf/value.h"

struct table {
	const struct source *source;
	struct slice         left;
	unsigned             line;      /* of the last one given */
};

void table_begin(struct table *, const struct source *);
/* The next line that means something, without white space at its ends. */
bool table_next(struct table *, struct slice *line_r);
/* The place of a part of that line. */
struct place table_place(const struct table *, struct slice part);

/*
 * What stands behind an address in a list manager's map, in the words of
 * Postfix's transport(5): "lmtp:[127.0.0.1]:8024", "lmtp:unix:/run/lmtp",
 * "lmtp:inet:host:24", "smtp:[127.0.0.1]:2600".  False for anything else.
 */
struct transport {
	bool            smtp;           /* else LMTP */
	struct endpoint to;
};

bool transport_parse(struct slice, struct arena *, struct transport *);

/*
 * aliases(5):
 *
 *     name: target, target        a line that begins with white space goes on
 *     "a name": "a target"        where there are blanks or commas in it
 *     ann: \ann, ben@far.test     \: to the mailbox itself, no further aliases
 *     team: :include:/some/file   targets from a file
 *
 * Commands (|) and files (/) are refused: this program never runs as a user.
 */
struct aliases {
	struct table  table;
	struct slice  rest;             /* of the line that is being read */
	struct arena *arena;
	struct flaws *flaws;
	bool          included;         /* no names: all lines are targets */
	bool          skipping;         /* behind a line without a name */
};

enum alias_kind { ALIAS_MAILBOX, ALIAS_FINAL, ALIAS_INCLUDE };

/* `included`: the file of an :include:, whose lines are targets; it includes nothing. */
void aliases_begin(struct aliases *, const struct source *, bool included, struct arena *,
    struct flaws *);
/* The next name; lines without one are flaws. False at the end. */
bool aliases_name(struct aliases *, struct slice *name_r, struct place *);
/* Its next target, quotes and marks undone; refused ones are flaws. False at their end. */
bool aliases_target(struct aliases *, enum alias_kind *, struct slice *text_r, struct place *);

#endif
