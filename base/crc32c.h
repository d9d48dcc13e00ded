/* SPDX-License-Identifier: ISC */
/*
 * crc32c -- the checksum of RFC 3720 12.1 (Castagnoli), for what lies on the disk.
 *
 * Start with 0; feed the result back in to go on.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/slice.h"

uint32_t crc32c(uint32_t crc, struct slice bytes);

/* Bytes that come piece by piece, and what all of them shall add up to, if that is known. */
struct checksum {
	bool     known;
	uint32_t sum;                   /* of those that came */
	uint32_t whole;
};

static inline void
checksum_add(struct checksum *c, struct slice s)
{
	if (c->known)
		c->sum = crc32c(c->sum, s);
}

/* All have come: they are what they shall be, as far as anybody knows. */
static inline bool
checksum_right(const struct checksum *c)
{
	return !c->known || c->sum == c->whole;
}

#endif
