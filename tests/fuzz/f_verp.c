/* SPDX-License-Identifier: ISC */
/* A path: as a member it comes back from its sender, as a bounce it names a proper address. */
#include "base/bug.h"
#include "mail/verp.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
there_and_back(const struct address *bounces, const struct address *member, struct arena *arena)
{
	struct address sender, came, found;
	struct slice path;

	if (!verp_make(bounces, member, arena, &sender))
		return;
	path = arena_printf(arena, "<%.*s>", FMT(sender.text));
	bug_if(path_parse(&path, true, arena, &came) != PATH_OK);
	bug_if(!verp_member(bounces, &came, arena, &found) || !address_eq(&found, member));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size), path;
	struct arena *arena = arena_new(1 << 20);
	struct address bounces, a, member, again;

	bug_if(!address_parse(S("l-b@list.test"), arena, &bounces));
	if (path_parse(&input, true, arena, &a) == PATH_OK) {
		there_and_back(&bounces, &a, arena);
		if (verp_member(&bounces, &a, arena, &member)) {
			path = arena_printf(arena, "<%.*s>", FMT(member.text));
			bug_if(path_parse(&path, true, arena, &again) != PATH_OK);
		}
	}
	arena_free(arena);
	return 0;
}
