/* SPDX-License-Identifier: ISC */
/* Decoding never grows; what we encode decodes to what it was, or to '?' where it was none. */
#include <stdlib.h>

#include "base/bug.h"
#include "base/text.h"
#include "mail/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct buf says = BUF(size), words = BUF(20 * size + 100), again = BUF(3 * size + 100);

	words_decode(&says, text);
	bug_if(says.full);
	words_encode(&words, text);
	bug_if(words.full || !ascii_only(buf_slice(&words)));
	words_decode(&again, buf_slice(&words));
	bug_if(again.full || !clean(buf_slice(&again)));
	bug_if(clean(text) && !slice_eq(buf_slice(&again), text));
	buf_free(&says);
	buf_free(&words);
	buf_free(&again);
	return 0;
}
