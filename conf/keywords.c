/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "base/bug.h"
#include "base/map.h"
#include "conf/keywords.h"
#include "conf/shape.h"
#include "config.h"

static const struct keyword ROWS[KEYWORD_COUNT] = {
#define KEYWORD(id, context, words, shape, times, usual, since, meaning) \
	{ context, words, shape, times, usual, since, meaning, KEYWORD_##id },
#include "conf/keywords.def"
#undef KEYWORD
};

const struct vocabulary CONF_VOCABULARY = { ROWS, KEYWORD_COUNT, NULL, NULL };

/* --- rows ------------------------------------------------------------------------ */

static const char *
linked(const struct vocabulary *v, const char *context)
{
	for (; v != NULL; v = v->more)
		for (const struct context_link *l = v->links; l != NULL && l->context != NULL; l++)
			if (strcmp(l->context, context) == 0)
				return l->like;
	return context;
}

const struct keyword *
keyword_nth(const struct vocabulary *v, const char *context, size_t turn)
{
	const char *like = linked(v, context);

	for (; v != NULL; v = v->more)
		for (size_t i = 0; i < v->count; i++)
			if ((strcmp(v->rows[i].context, context) == 0 ||
			    strcmp(v->rows[i].context, like) == 0) && turn-- == 0)
				return &v->rows[i];
	return NULL;
}

/* How many words of the row stand at the front of the statement, of how many. */
static size_t
words_met(const struct keyword *row, const struct word *w, size_t *all)
{
	struct slice words = slice(row->words), word;
	size_t met = 0;

	for (*all = 0; slice_word(&words, &word); ++*all)
		if (met == *all && word_is(w, word)) {
			w = w->next;
			met++;
		}
	return met;
}

const struct keyword *
keyword_find(const struct vocabulary *v, const char *context, const struct statement *s)
{
	const struct keyword *best = NULL, *row;
	size_t most = 0, all;

	for (size_t i = 0; (row = keyword_nth(v, context, i)) != NULL; i++)
		if (words_met(row, s->words, &all) == all && all > most) {
			most = all;
			best = row;
		}
	return best;
}

struct slice
keyword_block(const struct keyword *row)
{
	return shape_block(row->shape);
}

void
keyword_add_usage(struct buf *b, const struct keyword *row)
{
	buf_add(b, slice(row->words));
	if (*row->shape != '\0')
		buf_byte(b, ' ');
	shape_add(b, row->shape);
}

/* --- the check ------------------------------------------------------------------------------ */

struct check {
	const struct vocabulary *vocabulary;
	struct arena *arena, *scratch;
	struct flaws *flaws;
	struct map    seen;             /* "SCOPE WORDS [NAME]" -> struct seen */
	unsigned      scopes;
};

/* A statement that stands there once, or a block that is continued. */
struct seen {
	struct place place;
	unsigned     scope;             /* of its block */
};

static bool
check_shape(struct check *c, struct statement *s, const struct keyword *row)
{
	struct match m;
	size_t all;

	words_met(row, s->words, &all);
	match_begin(&m, s, all, c->scratch);
	if (!match_shape(&m, row->shape)) {
		match_tell(&m, row, c->flaws);
		return false;
	}
	if (s->has_block && !m.block) {
		flaw_error(c->flaws, s->end, "\"%s\" has no block", row->words);
		return false;
	}
	return true;
}

static void
add_block_name(struct buf *b, const char *context)
{
	if (*context != '\0')
		buf_printf(b, " in %s %s block", strchr("aeiou", *context) ? "an" : "a", context);
}

/* The statement's first words are in no row of this context: which ones were meant? */
static void
tell_unknown(struct check *c, const struct statement *s, const char *context)
{
	struct guess guess = { .word = s->words->text };
	struct buf where = BUF(256);
	const struct keyword *row;
	const char *elsewhere = NULL;

	add_block_name(&where, context);
	flaw_error(c->flaws, s->words->place, "\"%.*s\" is not a statement%.*s", FMT(s->words->text),
	    FMT(buf_slice(&where)));
	for (size_t i = 0; (row = keyword_nth(c->vocabulary, context, i)) != NULL; i++)
		guess_add(&guess, slice_head(slice(row->words), slice_find(slice(row->words), ' ')));
	for (const struct vocabulary *v = c->vocabulary; v != NULL; v = v->more)
		for (size_t i = 0, all; i < v->count && elsewhere == NULL; i++)
			if (words_met(&v->rows[i], s->words, &all) == all)
				elsewhere = v->rows[i].context;
	if (guess.meant.p != NULL) {
		flaw_hint_guess(c->flaws, &guess);
	} else if (elsewhere != NULL) {
		buf_clear(&where);
		add_block_name(&where, elsewhere);
		flaw_hint(c->flaws, "it stands%.*s",
		    FMT(*elsewhere ? buf_slice(&where) : S(" outside of blocks")));
	}
	buf_free(&where);
}

/* The first words are known, but not what stands behind them: "limit mesages". */
static void
tell_unknown_behind(struct check *c, const struct statement *s, const char *context, size_t met)
{
	struct match m;
	const struct keyword *row, *only = NULL;

	match_begin(&m, s, met, c->scratch);
	for (size_t i = 0, all; (row = keyword_nth(c->vocabulary, context, i)) != NULL; i++) {
		struct slice words = slice(row->words), word = NONE;

		if (words_met(row, s->words, &all) < met)
			continue;
		for (size_t j = 0; j <= met; j++)
			slice_word(&words, &word);
		only = m.count == 0 ? row : NULL;
		match_expected(&m, word);
	}
	match_tell(&m, only, c->flaws);
}

static const struct keyword *
find_row(struct check *c, const struct statement *s, const char *context)
{
	const struct keyword *row = keyword_find(c->vocabulary, context, s);
	size_t met = 0, all;

	if (row != NULL)
		return row;
	for (size_t i = 0; (row = keyword_nth(c->vocabulary, context, i)) != NULL; i++) {
		size_t here = words_met(row, s->words, &all);

		met = here > met ? here : met;
	}
	if (met == 0)
		tell_unknown(c, s, context);
	else
		tell_unknown_behind(c, s, context, met);
	return NULL;
}

/* What must not stand twice: told when it does. The scope of its block. */
static unsigned
check_twice(struct check *c, const struct statement *s, const struct keyword *row, unsigned scope)
{
	const struct word *name = row->times == NAMED ? value_first(s) : NULL;
	struct slice key;
	struct seen *seen;

	if (row->times == MANY)
		return ++c->scopes;
	bug_if(row->times == NAMED && name == NULL);
	key = arena_printf(c->arena, "%u %s %.*s", scope, row->words, FMT(name ? name->text : NONE));
	bug_if(key.p == NULL);
	if ((seen = map_get(&c->seen, key)) == NULL) {
		seen = tree_get(c->arena, sizeof *seen);
		*seen = (struct seen){ s->words->place, ++c->scopes };
		map_put(&c->seen, key, seen);
	} else if (row->times == NAMED) {
		flaw_error(c->flaws, name->place, "%s \"%.*s\" is there twice", row->words,
		    FMT(name->text));
		flaw_hint_first(c->flaws, seen->place);
		return ++c->scopes;
	} else if (row->times == ONCE) {
		flaw_error(c->flaws, s->words->place, "\"%s\" is set twice", row->words);
		flaw_hint_first(c->flaws, seen->place);
	}
	return seen->scope;
}

static void
check_statements(struct check *c, struct statement *first, const char *context, unsigned scope)
{
	for (struct statement *s = first; s != NULL; s = s->next) {
		const struct keyword *row = find_row(c, s, context);
		char block[32];
		unsigned inner = ++c->scopes;

		if (row == NULL)
			continue;
		if (check_shape(c, s, row)) {
			s->keyword = row;
			inner = check_twice(c, s, row, scope);
		}
		snprintf(block, sizeof block, "%.*s", FMT(keyword_block(row)));
		if (s->has_block && *block != '\0')
			check_statements(c, s->block, block, inner);
	}
}

void
keywords_check(const struct vocabulary *v, struct statement *first, const char *context,
    struct arena *arena, struct flaws *flaws)
{
	struct check c = { v, arena, arena_new(1 << 16), flaws, { 0 }, 0 };

	check_statements(&c, first, context, 0);
	map_free(&c.seen);
	arena_free(c.scratch);
}

/* --- reading a checked statement --------------------------------------------------------------- */

static const struct word *
typed(const struct word *w)
{
	while (w != NULL && w->type == NULL)
		w = w->next;
	return w;
}

const struct word *
value_first(const struct statement *s)
{
	return typed(s->words);
}

const struct word *
value_next(const struct word *w)
{
	return typed(w->next);
}

bool
statement_says(const struct statement *s, const char *literal)
{
	const struct word *w = s->words;
	struct slice words = slice(s->keyword->words), word;

	while (slice_word(&words, &word))
		w = w->next;
	for (; w != NULL; w = w->next)
		if (w->type == NULL && word_is(w, slice(literal)))
			return true;
	return false;
}
