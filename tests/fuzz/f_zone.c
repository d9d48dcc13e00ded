/* SPDX-License-Identifier: ISC */
/*
 * Any text as a zone.  What it takes it answers from, for every name in it; an
 * error names its line.
 */
#include <stdio.h>

#include "base/bug.h"
#include "dns/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t TYPES[] = { RR_A, RR_AAAA, RR_MX, RR_TXT, RR_CNAME, RR_TLSA, RR_PTR };

enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

/* Names are asked for as the house writes them (label_byte_add). */
static bool
in_house_form(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ';' || name.p[i] == '"')
			return false;
	return true;
}

/* Ask for whatever the text begins its lines with. */
static void
ask_all(struct slice text, struct facts *facts)
{
	struct slice line, name;

	while (slice_cut(&text, '\n', &line))
		if (slice_word(&line, &name) && in_house_form(name))
			for (size_t i = 0; i < TYPE_COUNT; i++)
				fact(facts, name.p[name.n - 1] == '.' ? slice_head(name, name.n - 1) : name,
				    TYPES[i]);
}

static void
check_answers(const struct facts *facts)
{
	for (const struct fact *f = facts->first; f != NULL; f = f->next) {
		bug_if(f->state != FACT_KNOWN);
		bug_if((f->answer == ANSWER_FOUND) != (f->count > 0));
		bug_if(f->security == DNS_BOGUS && f->answer != ANSWER_BROKEN);
	}
}

/* What we write we can read, and every answer that was found is found again. */
static void
check_again(const struct facts *facts, struct slice written, struct arena *arena)
{
	struct error why = { 0 };
	struct zone *zone = zone_parse(written, "again", &why);
	struct facts again;

	if (zone == NULL)
		fprintf(stderr, "%s\n", why.text);
	bug_if(zone == NULL);
	facts_begin(&again, arena);
	for (const struct fact *f = facts->first; f != NULL; f = f->next)
		fact(&again, f->name, f->type);
	zone_answer_all(zone, &again);
	for (const struct fact *f = facts->first, *g = again.first; f != NULL; f = f->next, g = g->next)
		if (f->answer == ANSWER_FOUND)
			bug_if(g->answer != ANSWER_FOUND || g->count != f->count);
	zone_free(zone);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct error why = { 0 };
	struct zone *zone = zone_parse(text, "z", &why);
	struct buf written = BUF(1 << 24);
	struct arena *arena;
	struct facts facts;

	if (zone == NULL) {
		bug_if(strncmp(why.text, "z:", 2) != 0);
		return 0;
	}
	arena = arena_new(1 << 24);
	facts_begin(&facts, arena);
	ask_all(text, &facts);
	zone_answer_all(zone, &facts);
	check_answers(&facts);
	facts_to_text(&facts, &written);
	check_again(&facts, buf_slice(&written), arena);
	buf_free(&written);
	arena_free(arena);
	zone_free(zone);
	return 0;
}
