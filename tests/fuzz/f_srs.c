/* SPDX-License-Identifier: ISC */
/*
 * A path, as in MAIL and RCPT.  What is rewritten can be received, is ours, and
 * goes back to where it came from; what was not made by us goes nowhere.
 */
#include "base/bug.h"
#include "mail/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct slice SECRET = S_INIT("the fuzzer does not know this");
static const int64_t NOW = 1795311000000;

static void
there_and_back(const struct srs *srs, const struct address *sender, struct arena *arena)
{
	struct address sent, came, back;
	struct slice path;

	if (srs_forward(srs, sender, NOW, arena, &sent) != SRS_OK)
		return;
	path = arena_printf(arena, "<%.*s>", FMT(sent.text));
	bug_if(path_parse(&path, true, arena, &came) != PATH_OK || !srs_is(&came));
	bug_if(srs_back(srs, &came, NOW, arena, &back) != SRS_OK);
	if (slice_starts(sent.local, S("SRS0")))
		bug_if(!address_eq(&back, sender));
	else if (slice_startsi(sender->local, S("SRS0")))       /* its letters as we write them */
		bug_if(!slice_eqi(back.text, sender->text));
	else                                                    /* over the head of the second one */
		bug_if(!slice_starts(back.local, S("SRS0")) ||
		    !slice_endsi(sender->local, slice_skip(back.local, 4)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct srs srs = { S("fwd.test"), { &SECRET, 1 } };
	struct slice input = slice_of(data, size);
	struct arena *arena = arena_new(1 << 20);
	struct address a, found;

	if (path_parse(&input, true, arena, &a) == PATH_OK) {
		there_and_back(&srs, &a, arena);
		bug_if(srs_back(&srs, &a, NOW, arena, &found) == SRS_OK);
	}
	arena_free(arena);
	return 0;
}
