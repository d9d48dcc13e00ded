/* SPDX-License-Identifier: ISC */
/* A key record: read it, and when it is a key let it look at a signature. */
#include "auth/key.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char digest[SHA256_BYTES];
	struct slice record = slice_of(data, size);
	struct key k;

	if (key_parse(&k, record) != KEY_OK) {
		bug_if(k.pkey != NULL);
		return 0;
	}
	bug_if(k.type == KEY_RSA && (k.bits < KEY_BITS_LEAST || k.bits > KEY_BITS_MOST));
	bug_if(key_verifies(&k, digest, record));
	key_free(&k);
	return 0;
}
