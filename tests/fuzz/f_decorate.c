/* SPDX-License-Identifier: ISC */
/*
 * The first byte says which footer and how the body is cut, the rest is a post.
 * Whatever it is: the result holds every byte of it and the footer once, and
 * nothing of the body was held on the way.
 */
#include <stdio.h>

#include "tests/decorated.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct decoration WHAT[] = {
	{ S_INIT("[members]"), S_INIT("-- \nmembers mailing list"), S_INIT("=_AB7D") },
	{ S_INIT("[\xc3\xbc]"), S_INIT("-- \n\xc3\xbc" "ber = \xf0\x9f\x93\xa7 \n"), S_INIT("=_AB7D") },
	{ S_INIT("=?"), S_INIT("\n"), S_INIT("B") },
	{ NONE, NONE, NONE },
};

static size_t
memory_allowed(const struct decorated *m)
{
	return 65536 + m->old.count * 3 * sizeof(struct field) + 4 * edit_size(&m->edit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_skip(slice_of(data, size), 1);
	const struct decoration *what = &WHAT[size ? data[0] % 4 : 0];
	size_t step = size ? data[0] / 4 * 7 % 61 + 1 : 1;
	struct error why = { 0 };
	struct decorated m;

	if (decorated_make(&m, message, what, step, &why)) {
		const char *flaw = decorated_flaw(&m);

		if (flaw != NULL)
			fprintf(stderr, "%s: %s\n", decorate_choice_name(m.d.choice), flaw);
		bug_if(flaw != NULL);
		bug_if(arena_spent(m.arena) > memory_allowed(&m));
	}
	decorated_free(&m);
	return 0;
}
