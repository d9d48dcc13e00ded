/* SPDX-License-Identifier: ISC */
/*
 * certificates -- when those end that our listeners and our web door show.
 *
 * It is foretold 14, 7 and 1 days ahead and said when it has come: once each,
 * unless the certificate changes, however many doors show it.
 */
#ifndef CMD_CERTIFICATES_H
#define CMD_CERTIFICATES_H

#include "base/log.h"
#include "conf/load.h"

enum { CERTIFICATES_MOST = 128 };       /* files; further ones are not looked at */

struct certificates {
	struct {
		struct slice file;      /* of the configuration */
		int64_t      end;       /* ms since 1970; 0: it cannot be read, which others have told */
		int          told;      /* the newest stage that was told */
	} each[CERTIFICATES_MOST];
	size_t count;
};

/*
 * Those of the configuration that comes into force, whose bytes `files` hold; it
 * outlives this.  Nothing was told yet.
 */
void certificates_begin(struct certificates *, const struct conf *, const struct files *);

/* Tell what is about to end; to be asked now and then, and it reads nothing. */
void certificates_warn(struct certificates *, int64_t now, struct log *);

/* Days of the warning that is due so long before the end: 14, 7, 1, 0 behind it; -1: none yet. */
int certificate_stage(int64_t left_ms);

#endif
