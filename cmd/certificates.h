/* SPDX-License-Identifier: ISC */
/*
 * certificates -- when those end that our listeners and our web door show.
 *
 * It is foretold 14, 7 and 1 days ahead and said when it has come: once each,
 * unless the certificate changes.
 */
#ifndef CMD_CERTIFICATES_H
#define CMD_CERTIFICATES_H

#include "base/log.h"
#include "conf/load.h"

enum { CERTIFICATES_MOST = 128 };       /* those of further listeners are not looked at */

struct certificates {
	int told[CERTIFICATES_MOST];    /* the newest stage that was told of each */
};

/* Nothing was told yet. */
void certificates_begin(struct certificates *);

/* Tell what is about to end; `files` hold what is in force. */
void certificates_warn(struct certificates *, const struct conf *, const struct files *, int64_t now,
    struct log *);

/* Days of the warning that is due so long before the end: 14, 7, 1, 0 behind it; -1: none yet. */
int certificate_stage(int64_t left_ms);

#endif
