/* SPDX-License-Identifier: ISC */
/*
 * maildir -- into a Maildir, durably and at most once.
 *
 * The file is written in tmp/, flushed, moved into new/ and the directory
 * flushed; only then is it delivered.  Content that is not what was stored never
 * leaves tmp/.  Its name is made of the message and the
 * recipient, so that a second try after a crash finds the first one in new/ and
 * does nothing.  Lines end with LF there, as every reader of Maildirs expects.
 * Missing directories are made (0700).
 *
 * This blocks: it is the work of a job.
 */
#ifndef DELIVERY_MAILDIR_H
#define DELIVERY_MAILDIR_H

#include <sys/types.h>

#include "base/crc32c.h"
#include "base/error.h"
#include "mail/status.h"

struct maildir_mail {
	const char         *directory;
	const char         *name;       /* unique to message and recipient, no slash */
	const struct slice *pieces;     /* the message as it shall stand there, with CRLF */
	size_t              count;
	int                 content;    /* a file whose bytes follow the pieces, or -1 */
	off_t               from;       /* where in it */
	uint64_t            size;       /* and how many */
	struct checksum     sum;        /* of all the file; what stands before `from` is in it */
};

/*
 * 2.0.0, or 4.x.x when it may be tried again.  The text lies in *error_r or is constant.
 * `unreadable_r`: it was the content that could not be read, or was damaged.
 */
struct status maildir_deliver(const struct maildir_mail *, bool *unreadable_r, struct error *error_r);

/*
 * The name: "SECONDS.IDrINDEX.HOST" (PEERS 6.4: a host without slash or colon).
 * `arrived` in ms, `index` of the recipient in the message.
 */
void maildir_name(int64_t arrived, uint64_t id, unsigned index, struct slice host,
    char name_r[128]);

#endif
