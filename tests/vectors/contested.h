/* SPDX-License-Identifier: ISC */
/*
 * contested -- the cases of public suites that we judge otherwise: one line each
 * in tests/vectors/CONTESTED,
 *
 *     suite | case | RFC section | our result: reason
 *
 * A case that stands there must have exactly that result, and the suite must
 * want another: a line that is no longer true fails.
 */
#ifndef TESTS_CONTESTED_H
#define TESTS_CONTESTED_H

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"

struct contested {
	struct buf text;
};

static inline struct contested
contested_load(void)
{
	struct contested c = { BUF(1 << 20) };
	const char *top = getenv("srcdir");
	char path[4096];

	snprintf(path, sizeof path, "%s/tests/vectors/CONTESTED", top != NULL ? top : ".");
	file_read(path, &c.text, NULL);
	return c;
}

static inline struct slice
contested_part(struct slice *line)
{
	struct slice part = NONE;

	slice_cut(line, '|', &part);
	return slice_trim(part);
}

/* Our result for that case, with *section_r the RFC that decides; NONE: it is not contested. */
static inline struct slice
contested_result(const struct contested *c, const char *suite, const char *name, struct slice *section_r)
{
	struct slice left = buf_slice(&c->text), line;

	while (slice_cut(&left, '\n', &line)) {
		if (!slice_eq(contested_part(&line), slice(suite)) ||
		    !slice_eq(contested_part(&line), slice(name)))
			continue;
		*section_r = contested_part(&line);
		line = slice_trim(line);
		return slice_head(line, slice_find(line, ':'));
	}
	return NONE;
}

#endif
