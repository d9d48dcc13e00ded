/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/dsn.h"

/* The octet of "+XX", or -1: no controls are smuggled in. */
static int
hexchar(struct slice two)
{
	struct buf one = BUF(1);
	int c = -1;

	if (two.n == 2 && hex_decode(&one, two) && *one.p >= ' ' && *one.p <= '~')
		c = *one.p;
	buf_free(&one);
	return c;
}

bool
xtext_decode(struct slice text, struct buf *bytes)
{
	for (size_t i = 0; i < text.n; i++) {
		int c = text.p[i];

		if (c <= ' ' || c > '~' || c == '=')
			return false;
		if (c == '+') {
			c = hexchar(slice_head(slice_skip(text, i + 1), 2));
			i += 2;
		}
		if (c == -1 || !buf_byte(bytes, (char)c))
			return false;
	}
	return true;
}
