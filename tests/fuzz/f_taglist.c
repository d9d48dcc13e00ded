/* SPDX-License-Identifier: ISC */
/* What was read as a list of tags and is written again reads the same. */
#include "auth/taglist.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct taglist t, again;
	struct buf text = BUF(1 << 20);

	if (!taglist_parse(&t, slice_of(data, size), NULL))
		return 0;
	bug_if(t.count == 0 || t.count > TAGS_MOST);
	for (size_t i = 0; i < t.count; i++) {
		buf_add(&text, t.tags[i].name);
		buf_byte(&text, '=');
		buf_add(&text, t.tags[i].raw);
		buf_byte(&text, ';');
	}
	bug_if(!taglist_parse(&again, buf_slice(&text), NULL) || again.count != t.count);
	for (size_t i = 0; i < t.count; i++) {
		struct slice items = t.tags[i].value, item;

		bug_if(!slice_eq(again.tags[i].value, t.tags[i].value));
		while (taglist_item(&items, &item))
			bug_if(item.n && !taglist_lists(t.tags[i].value, item));
	}
	buf_free(&text);
	return 0;
}
