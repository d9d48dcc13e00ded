/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "base/bug.h"
#include "conf/show.h"

/*
 * The statements of a block; of blocks that are read as one, all of them: those
 * of every statement in the list `first` that has the keyword `merged`.
 */
struct level {
	const struct statement *first;
	const struct keyword   *merged;
};

struct show {
	struct buf              *out;
	const struct vocabulary *vocabulary;
	bool                     defaults;
};

static const struct statement *
next_merged(const struct level *level, const struct statement *outer)
{
	while (outer != NULL && (outer->keyword != level->merged || outer->block == NULL))
		outer = outer->next;
	return outer;
}

/* One statement of the level after the other: *outer holds the place, NULL before the first. */
static const struct statement *
level_next(const struct level *level, const struct statement **outer, const struct statement *s)
{
	if (level->merged == NULL)
		return s == NULL ? level->first : s->next;
	if (s != NULL && s->next != NULL)
		return s->next;
	*outer = next_merged(level, *outer == NULL ? level->first : (*outer)->next);
	return *outer != NULL ? (*outer)->block : NULL;
}

#define EACH(s, level, outer) \
	(s) = level_next((level), &(outer), NULL); (s) != NULL; (s) = level_next((level), &(outer), (s))

/* --- words -------------------------------------------------------------------------- */

static bool
needs_quotes(const struct word *w)
{
	if (w->kind == WORD_STRING || w->text.n == 0)
		return w->kind <= WORD_STRING;
	for (size_t i = 0; w->kind == WORD_BARE && i < w->text.n; i++)
		if (strchr(" \t{};,\"#$\n", w->text.p[i]) != NULL)
			return true;
	return false;
}

static void
add_quoted(struct buf *b, struct slice text)
{
	buf_byte(b, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_byte(b, '\\');
		if (text.p[i] == '\n')
			buf_add(b, S("\\n"));
		else
			buf_byte(b, text.p[i]);
	}
	buf_byte(b, '"');
}

static void
add_words(struct buf *b, const struct word *w)
{
	for (const struct word *first = w; w != NULL; w = w->next) {
		if (w != first && w->kind != WORD_COMMA)
			buf_byte(b, ' ');
		if (needs_quotes(w))
			add_quoted(b, w->text);
		else
			buf_add(b, w->text);
	}
}

static void
indent(struct buf *b, unsigned depth)
{
	buf_printf(b, "%*s", 4 * (int)depth, "");
}

/* --- canonical form --------------------------------------------------------------------- */

static void show_level(struct show *, const struct level *, const char *context, unsigned depth);

static void
show_block(struct show *x, const struct statement *s, const struct level *inner, unsigned depth)
{
	char context[32];

	snprintf(context, sizeof context, "%.*s", FMT(keyword_block(s->keyword)));
	show_level(x, inner, context, depth + 1);
	indent(x->out, depth);
	buf_add(x->out, S("}\n"));
}

static void
show_statement(struct show *x, const struct statement *s, const struct level *level, unsigned depth)
{
	struct level inner = { s->block, NULL };
	struct place at = s->words->place;

	if (s->keyword->times == MERGED)
		inner = (struct level){ level->first, s->keyword };
	indent(x->out, depth);
	add_words(x->out, s->words);
	buf_printf(x->out, "%s  # %.*s:%u\n", s->has_block ? " {" : "", FMT(at.source->name), at.line);
	if (s->has_block)
		show_block(x, s, &inner, depth);
}

static bool
stands_there(const struct level *level, const struct keyword *row)
{
	const struct statement *outer = NULL, *s;

	for (EACH(s, level, outer))
		if (s->keyword == row)
			return true;
	return false;
}

/* What is read although it is not written: defaults, and blocks that hold some. */
static void
show_missing(struct show *x, const struct level *level, const char *context, unsigned depth)
{
	const struct level empty = { NULL, NULL };
	const struct keyword *row;

	for (size_t i = 0; (row = keyword_nth(x->vocabulary, context, i)) != NULL; i++) {
		char block[32];

		snprintf(block, sizeof block, "%.*s", FMT(keyword_block(row)));
		if (stands_there(level, row))
			continue;
		if (row->usual != NULL) {
			indent(x->out, depth);
			buf_printf(x->out, "%s %s  # default\n", row->words, row->usual);
		} else if (row->times == MERGED || row == &CONF_VOCABULARY.rows[KEYWORD_LISTEN]) {
			indent(x->out, depth);
			buf_printf(x->out, "%s {  # default\n",
			    row->times == MERGED ? row->words : "listen mx");
			show_level(x, &empty, block, depth + 1);
			indent(x->out, depth);
			buf_add(x->out, S("}\n"));
		}
	}
}

/* The first of several statements whose blocks are read as one writes them all. */
static bool
written_before(const struct level *level, const struct statement *s)
{
	const struct statement *first = level->first;

	if (s->keyword->times != MERGED)
		return false;
	while (first != s && first->keyword != s->keyword)
		first = first->next;
	return first != s;
}

/* A statement of another table, as a lab has it beside ours, is not shown. */
static bool
is_known(const struct vocabulary *v, const struct keyword *row)
{
	for (; v != NULL; v = v->more)
		if (row >= v->rows && row < v->rows + v->count)
			return true;
	return false;
}

static void
show_level(struct show *x, const struct level *level, const char *context, unsigned depth)
{
	const struct statement *outer = NULL, *s;

	for (EACH(s, level, outer))
		if (is_known(x->vocabulary, s->keyword) && !written_before(level, s))
			show_statement(x, s, level, depth);
	if (x->defaults)
		show_missing(x, level, context, depth);
}

void
show_tree(struct buf *out, const struct vocabulary *v, const struct tree *tree, bool defaults)
{
	struct show x = { out, v, defaults };

	show_level(&x, &(struct level){ tree->first, NULL }, "", 0);
}

/* --- defaults ----------------------------------------------------------------------------- */

static void show_context_defaults(struct buf *, const struct vocabulary *, const char *context,
    unsigned depth);

/* A block with the defaults in it; nothing when it has none. */
static void
show_block_defaults(struct buf *out, const struct vocabulary *v, const struct keyword *row,
    unsigned depth)
{
	struct slice shape = slice(row->shape), type = NONE;
	struct buf inside = BUF(1 << 16);
	char block[32];

	snprintf(block, sizeof block, "%.*s", FMT(keyword_block(row)));
	if (*block != '\0')
		show_context_defaults(&inside, v, block, depth + 1);
	slice_word(&shape, &type);
	type = slice_eq(type, S("{")) ? NONE : slice_head(type, slice_find(type, ','));
	if (inside.n > 0) {
		indent(out, depth);
		buf_printf(out, "%s%s%.*s {\n%.*s", row->words, type.n ? " " : "", FMT(type),
		    FMT(buf_slice(&inside)));
		indent(out, depth);
		buf_add(out, S("}\n"));
	}
	buf_free(&inside);
}

static void
show_context_defaults(struct buf *out, const struct vocabulary *v, const char *context,
    unsigned depth)
{
	const struct keyword *row;

	for (size_t i = 0; (row = keyword_nth(v, context, i)) != NULL; i++) {
		if (row->usual == NULL) {
			show_block_defaults(out, v, row, depth);
			continue;
		}
		indent(out, depth);
		buf_printf(out, "# %s\n", row->meaning);
		indent(out, depth);
		buf_printf(out, "%s %s\n", row->words, row->usual);
	}
}

void
show_defaults(struct buf *out, const struct vocabulary *v)
{
	show_context_defaults(out, v, "", 0);
}
