/* SPDX-License-Identifier: ISC */
/*
 * certificates -- those our listeners show: has somebody put new ones there, and
 * when do they end?
 *
 * An ACME client replaces the files whenever it likes; nobody shall need to tell
 * us.  Looking costs a stat() a file.  Their end is foretold 14, 7 and 1 days
 * ahead and when it has come: once each, unless the certificate changes.
 */
#ifndef CMD_CERTIFICATES_H
#define CMD_CERTIFICATES_H

#include "base/log.h"
#include "conf/load.h"

enum { CERTIFICATES_MOST = 64 };        /* files that are watched; further ones are not */

/* How a file looks from outside. */
struct look {
	uint64_t inode, size, seconds, nanoseconds;
};

struct certificates {
	struct look look[2 * CERTIFICATES_MOST];        /* certificate and key of each listener */
	int         told[CERTIFICATES_MOST];            /* the newest stage that was told of each */
	bool        known, moving;                      /* somebody is at it: wait until he is done */
};

/* True once the files differ from those seen at the first call and have stayed so for one call. */
bool certificates_changed(struct certificates *, const struct conf *);
/* They were read anew: what is there now is what is known, and nothing was told. */
void certificates_begin(struct certificates *, const struct conf *);

/* Tell what is about to end; `files` hold what is in force. */
void certificates_warn(struct certificates *, const struct conf *, const struct files *, int64_t now,
    struct log *);

/* Days of the warning that is due so long before the end: 14, 7, 1, 0 behind it; -1: none yet. */
int certificate_stage(int64_t left_ms);

#endif
