/* SPDX-License-Identifier: ISC */
/* The record of a verdict that the spool keeps: anything may stand there after damage. */
#include "arc/verdict.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(16 << 20);
	struct slice bytes = slice_of(data, size);
	struct verdict_record r;
	struct authres results;

	if (verdict_unpack(&r, bytes)) {
		bug_if(arc_result_name(r.arc) == NULL || r.asked > DMARC_P_REJECT);
		bug_if(r.author.n + r.results.n + r.org.n + (*data > 1 ? 18 : 14) != size);
		/* What a seal of ours would repeat. */
		authres_parse(r.results, arena, &results);
	}
	arena_free(arena);
	return 0;
}
