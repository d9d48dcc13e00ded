/* SPDX-License-Identifier: ISC */
/*
 * words -- the encoded words of a header (RFC 2047), "=?utf-8?q?J=C3=BCrgen?=",
 * and display names.
 *
 * Charsets are not converted.  What is decoded is bytes to be searched or
 * compared; to be shown it would need its charset.
 */
#ifndef MAIL_WORDS_H
#define MAIL_WORDS_H

#include "base/buf.h"

enum { WORD_MOST = 75 };                /* octets of one encoded word (RFC 2047 2) */

/*
 * The encoded word at the front of s, in bytes, or 0.  Longer ones than allowed
 * are seen too: they are written and read every day.
 */
size_t encoded_word_length(struct slice s);

/*
 * What an unstructured field says: encoded words undone, with the white space
 * between two of them; folds undone; everything else as it stands.
 */
void words_decode(struct buf *, struct slice text);

/*
 * UTF-8 as encoded words, as many as it takes, folded between them.  They may
 * stand in a text and in a phrase (RFC 2047 5), behind the first 16 columns of a
 * line.  What is no UTF-8, and control characters, become "?".
 */
void words_encode(struct buf *, struct slice utf8);

/* The same for a display name: ASCII becomes one quoted string, all else encoded words. */
void phrase_add(struct buf *, struct slice utf8);

#endif
