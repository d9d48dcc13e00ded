/* SPDX-License-Identifier: ISC */
/* A file of secrets: whatever stands in it, renewing it gives one that reads the same. */
#include "base/bug.h"
#include "conf/secrets.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The new one comes first; those that stay are believed as before, in their order. */
static void
renewed(struct slice text, const struct secret_set *before, struct arena *arena)
{
	static const unsigned char fresh[SECRET_BYTES] = { 1, 2, 3 };
	struct secret_set after;
	struct buf next = BUF(1 << 16);
	size_t found = 1;

	if (secrets_renew(text, (int64_t)1795311000000, fresh, &next)) {
		secrets_parse(&after, buf_slice(&next), arena);
		bug_if(after.srs.count == 0 || after.srs.count > before->srs.count + 1);
		for (size_t i = 0; i < before->srs.count && found < after.srs.count; i++)
			found += slice_eq(before->srs.each[i], after.srs.each[found]);
		bug_if(found != after.srs.count);
	} else {
		bug_if(before->srs.count == 0 || next.n > 0);
	}
	buf_free(&next);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct arena *arena = arena_new(1 << 20);
	struct secret_set set;

	secrets_parse(&set, text, arena);
	bug_if(set.srs.count != set.tickets.count || set.srs.count > SECRETS_MOST);
	renewed(text, &set, arena);
	arena_free(arena);
	return 0;
}
