/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <limits.h>

#include "base/bug.h"
#include "base/hmac.h"

void
hmac_sha256(struct slice key, struct slice text, unsigned char mac[HMAC_BYTES])
{
	unsigned length = 0;

	bug_if(key.n == 0 || key.n > INT_MAX);
	bug_if(HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)text.p, text.n, mac,
	    &length) == NULL || length != HMAC_BYTES);
}

bool
equal_secretly(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}
