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

enum {
	ENVID_MOST = 100,               /* RFC 3461 4.4 */
	ORCPT_MOST = 500,               /* RFC 3461 4.2 */
};

enum ret { RET_UNSAID, RET_FULL, RET_HDRS };    /* RFC 3461 4.3 */

/*
 * RFC 3461 4: "+XX", in upper case, for what is not printable, "+" and "=".  Decoding
 * fails on anything else that is odd, on controls, and when the buf is full.
 */
bool xtext_decode(struct slice text, struct buf *bytes);

/*
 * The value of ORCPT (RFC 3461 4.2): a type, which is an atom, ";" and xtext.  In a
 * transaction with SMTPUTF8 an address of the type utf-8 may stand there as it is
 * (RFC 6533 3, utf-8-addr-unitext).
 */
bool orcpt_valid(struct slice value, bool smtputf8);
/* The same without SMTPUTF8 (utf-8-addr-xtext); false: it is none, or the buf is full. */
bool orcpt_add_ascii(struct buf *, struct slice value);

/* An address as utf-8-addr-xtext, for what must be ASCII; false: as above. */
bool address_add_ascii(struct buf *, struct slice address);

#endif
