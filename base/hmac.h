/* SPDX-License-Identifier: ISC */
/*
 * hmac -- HMAC-SHA256 (RFC 2104): a mark that only we can make.
 *
 * Keys are rotated: the first of a row marks, each of them is believed.  What a
 * stranger shows is compared in a time that does not tell him how far he was
 * right.
 */
#ifndef BASE_HMAC_H
#define BASE_HMAC_H

#include "base/slice.h"

enum { HMAC_BYTES = 32 };

struct secrets {
	const struct slice *each;
	size_t              count;      /* at least one to mark something */
};

void hmac_sha256(struct slice key, struct slice text, unsigned char mac_r[HMAC_BYTES]);

bool equal_secretly(struct slice, struct slice);

#endif
