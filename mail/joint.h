/* SPDX-License-Identifier: ISC */
/*
 * joint -- where a text can be joined to the end of another one that streams
 * by, in the transfer encoding of that one.
 *
 * The other text is looked at once, in pieces of any size; nothing is kept but
 * how it ends.  It stays byte for byte, except that in base64 the last group of
 * letters, if it holds fewer than three bytes, is written again with what follows.
 */
#ifndef MAIL_JOINT_H
#define MAIL_JOINT_H

#include "mail/mime.h"

struct joint {
	enum mime_encoding encoding;    /* 7bit, 8bit, quoted-printable or base64 */
	uint64_t taken;                 /* bytes so far */

	/* private */
	bool     mid_line, cr;          /* how the bytes end */
	bool     equals, soft;          /* quoted-printable: '=' came last; before the last line end */
	uint32_t bits;                  /* base64: the group that is not whole */
	unsigned letters, pads;
	uint64_t group;                 /* where it begins */
	bool     group_mid_line;
	char     said;                  /* the last byte decoded, "\n" before the first */
	bool     broken;
};

void joint_begin(struct joint *, enum mime_encoding);
void joint_look(struct joint *, struct slice);
/*
 * What has to stand at *at_r, and nothing of the other text behind it: `text`,
 * its lines ended by CRLF, beginning on a line of its own.  False when the other
 * is broken (base64 that does not decode): nobody knows what would follow it.
 */
bool joint_make(const struct joint *, struct slice text, struct buf *, uint64_t *at_r);

#endif
