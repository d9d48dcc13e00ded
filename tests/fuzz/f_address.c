/* SPDX-License-Identifier: ISC */
/* f_address -- a path on the command line, and a list of addresses in a field. */
#include "base/bug.h"
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What was read, written again, is read as the same. */
static void
check_path(struct slice input, bool utf8)
{
	struct arena *arena = arena_new(1 << 20);
	struct slice rest = input;
	struct address a, again;

	if (path_parse(&rest, utf8, arena, &a) == PATH_OK && a.domain.n > 0) {
		bug_if(rest.n >= input.n);
		bug_if(!address_parse(a.text, arena, &again));
		bug_if(!address_eq(&a, &again) || !slice_eq(a.text, again.text));
	}
	arena_free(arena);
}

static void
check_list(struct slice input)
{
	struct arena *arena = arena_new(1 << 24);
	struct mailbox boxes[16], again;
	size_t count, one;

	if (mailboxes_parse(input, arena, boxes, 16, &count))
		for (size_t i = 0; i < count && i < 16; i++) {
			bug_if(boxes[i].address.domain.n == 0);
			bug_if(!mailboxes_parse(boxes[i].address.text, arena, &again, 1, &one) || one != 1);
			bug_if(!address_eq(&boxes[i].address, &again.address));
		}
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice input = slice_of(bytes, n);

	check_path(input, false);
	check_path(input, true);
	check_list(input);
	return 0;
}
