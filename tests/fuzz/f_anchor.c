/* SPDX-License-Identifier: ISC */
/*
 * Trust anchors: each record is a line of the text, in order; and what covers the
 * root is what has a record that says so, and none that is bad.
 */
#include "base/bug.h"
#include "conf/anchor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size), rest = text, line;
	unsigned number = 0, before = 0;
	bool root = false, bad = false;
	enum anchor_line got;
	struct error why;

	while ((got = anchor_next(&rest, &line, &number, &why)) != ANCHOR_END) {
		bug_if(number <= before || line.n == 0);
		bug_if(line.p < text.p || line.p + line.n > text.p + text.n);
		before = number;
		root |= got == ANCHOR_ROOT;
		bad |= got == ANCHOR_BAD;
	}
	bug_if(anchor_covers_root(text, &why) != (root && !bad));
	return 0;
}
