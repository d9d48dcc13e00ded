/* SPDX-License-Identifier: ISC */
/*
 * show -- the configuration as text: canonical, formatted, explained, documented.
 *
 * All of it comes from the tree, the keyword table and the values; what is
 * shown can be read as a configuration again, but for explanations.
 */
#ifndef CONF_SHOW_H
#define CONF_SHOW_H

#include "conf/conf.h"
#include "conf/route.h"
#include "conf/trust.h"

/*
 * A checked tree in canonical form: one statement a line, includes and $NAMEs
 * resolved, blocks that are read as one written as one, each statement with
 * `# FILE:LINE`; with `defaults` also what is not set, with `# default`.
 * Statements of other tables than this vocabulary are left out.
 */
void show_tree(struct buf *, const struct vocabulary *, const struct tree *, bool defaults);

/* All statements that have a default, by context, with what they mean. */
void show_defaults(struct buf *, const struct vocabulary *);

/*
 * A text with its blanks and line breaks in order: four blanks a block, comments
 * kept, a block that stands on one line left there.  False: it has bad tokens.
 */
bool show_formatted(struct buf *, const struct source *);

/* What the configuration does, in sentences. */
void explain_conf(struct buf *, const struct conf *, const struct routes *, const struct trust *);
/* What the statements with this word mean; false: there is none. */
bool explain_word(struct buf *, const struct vocabulary *, struct slice word);

/* chainmail.conf(5), in mdoc. */
void manual_conf(struct buf *, const struct vocabulary *);
/* Of any manual page: the statements of a table, context by context, from `top` on. */
void manual_statements(struct buf *, const struct vocabulary *, const char *top);

#endif
