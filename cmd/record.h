/* SPDX-License-Identifier: ISC */
/*
 * record -- a case of `chainmail verify` in a directory, to be judged again
 * anywhere with the same verdict:
 *
 *     message    as it was judged
 *     dns        every answer of the DNS, as dns/zone.h reads it
 *     options    what else was known, one option a line: --ip=192.0.2.1
 */
#ifndef CMD_RECORD_H
#define CMD_RECORD_H

#include "base/error.h"
#include "cmd/cmd.h"
#include "dns/facts.h"

enum { RECORD_OPTIONS = 64 << 10, RECORD_DNS = 64 << 20 };

/* "DIR/name"; the text is the caller's. */
char *record_path(const char *dir, const char *name);

/* The directory is made; files that are there are replaced. */
bool record_write(const char *dir, struct slice message, const struct facts *, struct slice options,
    struct error *why);

/* A line of `options`: nothing without a value, or with one that has a line end. */
void record_option(struct buf *options, const char *name, struct slice value);

/*
 * The options of a case, as if they had been typed; only those of the rows.
 * False after a message.  The texts lie in the arena.
 */
bool record_options(const char *dir, const struct option_row *, struct arena *);

#endif
