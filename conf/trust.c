/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/table.h"
#include "conf/trust.h"
#include "conf/type.h"
#include "mail/domain.h"

/* The selectors that count for a pattern. */
struct sealer {
	struct sealer *next;            /* of the same pattern */
	struct slice   selector;        /* empty: each of them */
};

struct trust {
	struct arena *arena;
	struct map    exact, below;     /* "x", and "x" for ".x" -> struct sealer */
	size_t        count;
};

static void
add(struct trust *trust, struct slice pattern, struct slice selector)
{
	bool below = *pattern.p == '.';
	struct map *map = below ? &trust->below : &trust->exact;
	struct slice key = slice_skip(pattern, below);
	struct sealer *s = tree_get(trust->arena, sizeof *s);

	*s = (struct sealer){ map_get(map, key), selector };
	map_put(map, key, s);
	trust->count++;
}

/* "example.org", "example.org s2026" */
static void
add_line(struct trust *trust, const struct table *table, struct slice line, struct flaws *flaws)
{
	struct slice word, selector = NONE, pattern;

	slice_word(&line, &word);
	if (!value_pattern(word, trust->arena, &pattern)) {
		flaw_error(flaws, table_place(table, word), "expected %s", type_find(S("PATTERN"))->meaning);
		return;
	}
	if (slice_word(&line, &selector) && !value_selector(selector))
		flaw_error(flaws, table_place(table, selector), "expected %s",
		    type_find(S("SELECTOR"))->meaning);
	else if ((line = slice_trim(line)).n > 0)
		flaw_error(flaws, table_place(table, line), "expected the end of the line");
	else
		add(trust, pattern, selector);
}

static void
add_file(struct trust *trust, const struct conf_file *file, const struct reader *reader,
    struct flaws *flaws)
{
	struct source *source = tree_get(trust->arena, sizeof *source);
	struct error why = { .text = "cannot be read" };
	struct table table;
	struct slice line;

	if (reader->read(reader->arg, file->name, file->purpose, 0, &source->name, &source->bytes,
	    &why) != READ_FILE) {
		flaw_error(flaws, file->place, "%s", why.text);
		return;
	}
	table_begin(&table, source);
	while (table_next(&table, &line))
		add_line(trust, &table, line, flaws);
}

struct trust *
trust_new(const struct arc_conf *conf, const struct reader *reader, struct flaws *flaws)
{
	struct trust *trust = must_alloc(sizeof *trust);

	trust->arena = arena_new((size_t)16 << 30);
	for (size_t i = 0; i < conf->trust_count; i++)
		add(trust, conf->trust[i], NONE);
	for (size_t i = 0; i < conf->trust_file_count; i++)
		add_file(trust, conf->trust_files[i], reader, flaws);
	return trust;
}

void
trust_free(struct trust *trust)
{
	if (trust == NULL)
		return;
	map_free(&trust->exact);
	map_free(&trust->below);
	arena_free(trust->arena);
	free(trust);
}

static bool
counts(const struct sealer *s, struct slice selector)
{
	while (s != NULL && s->selector.n > 0 && !slice_eqi(s->selector, selector))
		s = s->next;
	return s != NULL;
}

bool
trust_holds(const struct trust *trust, struct slice domain, struct slice selector)
{
	bool holds = counts(map_get(&trust->exact, domain), selector);

	while (!holds && (domain = domain_parent(domain)).n > 0)
		holds = counts(map_get(&trust->below, domain), selector);
	return holds;
}

size_t
trust_count(const struct trust *trust)
{
	return trust->count;
}
