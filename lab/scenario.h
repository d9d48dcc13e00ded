/* SPDX-License-Identifier: ISC */
/*
 * scenario -- a text about a world, what happens in it, and what is expected.
 *
 * Its grammar is that of the configuration (conf/grammar.h), its statements are
 * in scenario.def; chainmail-lab(5) explains them.  Here the text is read and
 * checked as far as it can be without a world: flaws have their places, and who
 * is named must be there.  Pure.
 *
 * The checked tree is the model: world.h makes the hosts, play.h goes through
 * the statements in their order.
 */
#ifndef LAB_SCENARIO_H
#define LAB_SCENARIO_H

#include "base/ip.h"
#include "conf/keywords.h"

enum scenario_keyword {
	LAB_FIRST = 10000,              /* apart from the configuration's own */
#define KEYWORD(id, ...) LAB_##id,
#include "lab/scenario.def"
#undef KEYWORD
	LAB_END
};

/* The statements of scenarios, and inside of hosts those of the configuration. */
extern const struct vocabulary SCENARIO_VOCABULARY;

struct scenario {
	struct slice      name;         /* of the text */
	struct tree      *tree;
	const struct statement *first;  /* of the lab block */
	uint64_t          seed;
	int64_t           clock;        /* ms since 1970 */
};

/* Read a text; `reader` as for a configuration. Never NULL. */
struct scenario *scenario_read(struct slice name, const struct reader *, struct flaws *);
void             scenario_free(struct scenario *);      /* NULL is fine */

/* The id of a checked statement: LAB_…, or KEYWORD_… inside a host. */
int statement_id(const struct statement *);
/* The first statement with that id in a list, or NULL. */
const struct statement *statement_find(const struct statement *first, int id);
/* Its first value or other word, or that of the table's default, or NONE. */
struct slice statement_text(const struct statement *first, int id);

/* "2026-06-01T12:00:00Z" in ms since 1970. */
bool time_parse(struct slice, int64_t *ms_r);

/* The scenario's manual page, in mdoc. */
void scenario_manual(struct buf *);

#endif
