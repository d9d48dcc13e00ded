/* SPDX-License-Identifier: ISC */
/*
 * unsubscribe -- the word behind which one member leaves one list with a click
 * (RFC 8058 3.1):
 *
 *     list LF member, in base64url "." HMAC-SHA256 of it, in base64url
 *
 * Nobody else can write one, and whoever has one can do this and nothing more.  It
 * has no time in it: it is good as long as its key (conf/secrets.h).  Addresses are
 * in small letters, so that one member has one word.
 */
#ifndef MAIL_UNSUBSCRIBE_H
#define MAIL_UNSUBSCRIBE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/hmac.h"

enum { UNSUBSCRIBE_MOST = 700 };        /* octets of a word */

/*
 * Append the word.  False, and nothing was appended, when it would be too long for
 * a header field, or the buf is full: then the member gets none.
 */
bool unsubscribe_add(struct buf *, struct slice list, struct slice member, struct secrets);

/* Who it is about, in the arena; false when it is not a word of ours. */
bool unsubscribe_read(struct slice word, struct secrets, struct arena *, struct slice *list_r,
    struct slice *member_r);

#endif
