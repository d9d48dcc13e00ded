/* SPDX-License-Identifier: ISC */
/* pure */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "base/sha256.h"

void
sha256_begin(struct sha256 *h)
{
	SHA256_Init(&h->state);
}

void
sha256_add(struct sha256 *h, struct slice s)
{
	SHA256_Update(&h->state, s.p, s.n);
}

void
sha256_end(struct sha256 *h, unsigned char digest[SHA256_BYTES])
{
	SHA256_Final(digest, &h->state);
}

void
sha256_of(struct slice s, unsigned char digest[SHA256_BYTES])
{
	struct sha256 h;

	sha256_begin(&h);
	sha256_add(&h, s);
	sha256_end(&h, digest);
}
