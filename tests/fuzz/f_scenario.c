/* SPDX-License-Identifier: ISC */
/*
 * Scenarios: nothing crashes, every flaw has a place, and of a good one every
 * statement can be looked at.
 */
#include "lab/scenario.h"
#include "texts.h"

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
	struct texts in = { slice_of(data, size), S("seed 7") };
	struct reader reader = { texts_read, &in };
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
