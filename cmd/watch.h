/* SPDX-License-Identifier: ISC */
/*
 * watch -- have files changed that others write and tell nobody?  Aliases, users,
 * members, trusted sealers, the addresses of a list manager, and the certificates
 * that an ACME client renews.
 *
 * A change of bytes, owner or rights counts once a file has looked the same twice, so
 * that one that is being written is left alone, and it is told once.
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

/*
 * Watch those of them that change without a signal, as they are now; what was written
 * between the two times (ms since 1970), while they were read, counts as a change.
 */
void watch_begin(struct watch *, const struct files *, int64_t since, int64_t now);
void watch_end(struct watch *);
/* To be asked now and then. */
bool watch_changed(struct watch *);

#endif
