/* SPDX-License-Identifier: ISC */
/* f_header -- a whole header: its fields, its author, what it forges, its traces. */
#include "auth/authres.h"
#include "auth/from.h"
#include "auth/policy.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_fields(const struct header *h)
{
	const char *at = h->block.p;

	for (size_t i = 0; i < h->count; i++) {
		const struct field *f = &h->fields[i];

		bug_if(f->whole.p != at || f->whole.n == 0);
		bug_if(f->name.p != at || f->value.p + f->value.n > at + f->whole.n);
		at += f->whole.n;
	}
	bug_if(at != h->block.p + h->block.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct slice ids[] = { S_INIT("mx.example.net"), S_INIT("mx.b\xc3\xbc" "cher.test") };
	struct slice message = slice_of(bytes, n);
	struct arena *arena = arena_new(1 << 24);
	size_t length = header_length(message);
	struct authres_forged forged;
	struct header h;
	struct from from;

	bug_if(length > n);
	if (header_parse(&h, slice_head(message, length), arena, NULL)) {
		check_fields(&h);
		from = from_read(&h, arena);
		bug_if((from.domain.n > 0) != (from.flaw == FROM_OK || from.flaw == FROM_ADDRESSES));
		if (authres_forged(&h, ids, 2, arena, &forged))
			bug_if(forged.count > h.count);
		traces_read(&h, from.address);
		for (size_t i = 0; i < h.count; i++)
			field_unfolded(&h.fields[i], arena);
	}
	arena_free(arena);
	return 0;
}
