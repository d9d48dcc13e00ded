/* SPDX-License-Identifier: ISC */
/*
 * Scenarios: nothing crashes, every flaw has a place, and of a good one every
 * statement can be looked at.
 */
#include "base/bug.h"
#include "lab/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static enum reading
read_input(void *arg, struct slice name, enum file_purpose purpose, unsigned turn,
    struct slice *name_r, struct slice *bytes_r, struct error *why)
{
	(void)why;
	(void)purpose;
	if (turn > 0)
		return READ_NO_MORE;
	*name_r = name;
	*bytes_r = slice_eq(name, S("/c/x")) ? *(struct slice *)arg : S("seed 7");
	return READ_FILE;
}

static void
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

static void
look_at(const struct statement *s)
{
	for (; s != NULL; s = s->next) {
		bug_if(s->keyword == NULL);
		for (const struct word *w = value_first(s); w != NULL; w = value_next(w))
			bug_if(w->type == NULL);
		(void)statement_text(s, statement_id(s));
		look_at(s->block);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct reader reader = { read_input, &text };
	struct scenario *sc;
	struct flaws flaws;

	flaws_begin(&flaws);
	sc = scenario_read(S("/c/x"), &reader, &flaws);
	if (flaws.errors == 0) {
		bug_if(sc->first == NULL || sc->seed == 0 || sc->clock == 0);
		look_at(sc->first);
	}
	check_flaws(&flaws);
	scenario_free(sc);
	flaws_end(&flaws);
	return 0;
}
