/* SPDX-License-Identifier: ISC */
/*
 * sha256 -- SHA-256 as a value (FIPS 180-4).
 *
 * The state lies where it is put, needs no allocation, cannot fail, and a copy
 * of it goes on from the same place: `struct sha256 here = so_far;`.  OpenSSL's
 * EVP interface gives none of these; its older functions do, and are used in
 * sha256.c alone.
 */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <openssl/sha.h>

#include "base/slice.h"

enum { SHA256_BYTES = 32 };

struct sha256 {
	SHA256_CTX state;
};

void sha256_begin(struct sha256 *);
void sha256_add(struct sha256 *, struct slice);
void sha256_end(struct sha256 *, unsigned char digest_r[SHA256_BYTES]);
/* All at once. */
void sha256_of(struct slice, unsigned char digest_r[SHA256_BYTES]);

#endif
