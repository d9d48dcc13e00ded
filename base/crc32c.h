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

#endif
