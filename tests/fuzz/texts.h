/* SPDX-License-Identifier: ISC */
/*
 * texts -- what the targets share that read blocks and statements: a reader of two
 * texts, and what is true of every flaw.
 */
#ifndef TESTS_TEXTS_H
#define TESTS_TEXTS_H

#include "base/bug.h"
#include "conf/files.h"
#include "conf/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct texts {
	struct slice first;             /* of /c/x, which is read first, … */
	struct slice other;             /* … and of every file that it names */
};

static inline enum reading
texts_read(void *arg, struct slice name, enum file_purpose purpose, unsigned turn,
    struct slice *name_r, struct slice *bytes_r, struct error *why)
{
	const struct texts *t = arg;

	(void)why;
	(void)purpose;
	if (turn > 0)
		return READ_NO_MORE;
	*name_r = name;
	*bytes_r = slice_eq(name, S("/c/x")) ? t->first : t->other;
	return READ_FILE;
}

/* Each has a place and a text, and they can be shown. */
static inline void
check_flaws(const struct flaws *flaws)
{
	struct buf out = BUF(1 << 22);

	for (const struct flaw *f = flaws->first; f != NULL; f = f->next)
		bug_if(f->line == 0 || f->column == 0 || f->file.n == 0 || f->text.n == 0);
	flaws_add_text(&out, flaws);
	bug_if(flaws->errors > 0 && out.n == 0);
	for (size_t i = 0; i < out.n; i++)
		bug_if((unsigned char)out.p[i] < ' ' && out.p[i] != '\n' && out.p[i] != '\t');
	buf_free(&out);
}

#endif
