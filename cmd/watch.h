/* SPDX-License-Identifier: ISC */
/*
 * watch -- have the outside tables changed?  Aliases, users, members, trusted
 * sealers, the addresses of a list manager: people and programs write them and
 * tell nobody.
 *
 * A change counts once a table has looked the same twice, so that one that is
 * being written is left alone, and it is told once.
 */
#ifndef CMD_WATCH_H
#define CMD_WATCH_H

#include <sys/stat.h>

#include "conf/files.h"

struct watched {
	char       *name;
	struct stat known, seen;        /* st_ino 0: it is not there */
};

struct watch {                          /* { 0 } watches nothing */
	struct watched *each;
	size_t          count;
};

/* Watch the tables among these files, as they are now. */
void watch_begin(struct watch *, const struct files *);
void watch_end(struct watch *);
/* To be asked now and then. */
bool watch_changed(struct watch *);

#endif
