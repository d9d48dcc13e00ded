/* SPDX-License-Identifier: ISC */
/* A word, or the member of one: what is read is written the same again, what is written can be read. */
#include "base/bug.h"
#include "mail/unsubscribe.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct slice KEY = S_INIT("key");
static const struct secrets KEYS = { &KEY, 1 };

static void
write_and_read(struct slice member, struct arena *arena)
{
	struct buf word = BUF(UNSUBSCRIBE_MOST);
	struct slice list, again;

	if (member.n > 0 && unsubscribe_add(&word, S("l@list.test"), member, KEYS)) {
		bug_if(!unsubscribe_read(buf_slice(&word), KEYS, arena, &list, &again));
		bug_if(!slice_eq(list, S("l@list.test")) || !slice_eqi(again, member));
	}
	buf_free(&word);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size), list, member;
	struct arena *arena = arena_new(1 << 20);
	struct buf word = BUF(UNSUBSCRIBE_MOST);

	write_and_read(input, arena);
	if (unsubscribe_read(input, KEYS, arena, &list, &member)) {
		bug_if(!unsubscribe_add(&word, list, member, KEYS));
		bug_if(!slice_eq(buf_slice(&word), input));
	}
	buf_free(&word);
	arena_free(arena);
	return 0;
}
