/* SPDX-License-Identifier: ISC */
/*
 * dsn -- what a sender may wish about reports (RFC 3461), in words that the
 * listener, the spool and the deliverer share.
 */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

#include "base/buf.h"

enum notify {                           /* RFC 3461 4.1; 0: nothing was said */
	NOTIFY_NEVER = 1, NOTIFY_SUCCESS = 2, NOTIFY_FAILURE = 4, NOTIFY_DELAY = 8,
};

enum ret { RET_UNSAID, RET_FULL, RET_HDRS };    /* RFC 3461 4.3 */

/*
 * RFC 3461 4: "+XX" for what is not printable, "+" and "=".  Decoding fails on
 * anything else that is odd, on controls, and when the buf is full.
 */
bool xtext_decode(struct slice text, struct buf *bytes);

#endif
