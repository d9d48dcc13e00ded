/* SPDX-License-Identifier: ISC */
/*
 * pack -- values as bytes, for the spool and between processes.
 *
 * Numbers are little-endian and of fixed size, bytes carry a 32-bit length.
 * Writing goes into a buf, whose `full` tells when its ceiling was passed.
 * Reading never goes over the end: after the first value that does not fit,
 * `bad` is set and everything reads as zero or empty, so that a reader may
 * take ten values and look once.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buf.h"

void pack_u8(struct buf *, uint8_t);
void pack_u16(struct buf *, uint16_t);
void pack_u32(struct buf *, uint32_t);
void pack_u64(struct buf *, uint64_t);
void pack_slice(struct buf *, struct slice);
/* The same for bytes that are packed between the two. */
size_t pack_begin(struct buf *);
void   pack_end(struct buf *, size_t begun);

struct unpack {
	struct slice left;
	bool         bad;
};

uint8_t      unpack_u8(struct unpack *);
uint16_t     unpack_u16(struct unpack *);
uint32_t     unpack_u32(struct unpack *);
uint64_t     unpack_u64(struct unpack *);
struct slice unpack_slice(struct unpack *);     /* points into what is read */
/* True when all was read and nothing was bad. */
bool         unpack_done(const struct unpack *);

#endif
