/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "conf/keywords.h"
#include "conf/shape.h"
#include "conf/type.h"

/* --- reading a shape ----------------------------------------------------------------- */

struct item {
	struct slice text;              /* a word, or what stands in the brackets */
	char         open;              /* '(', '[', '{' or 0 */
	bool         list;
};

static bool
opens(struct slice token)
{
	return token.n == 1 && strchr("([{", *token.p) != NULL;
}

static bool
closes(struct slice token)
{
	return *token.p == ')' || *token.p == ']' || *token.p == '}';
}

static bool
next_item(struct slice *shape, struct item *item)
{
	struct slice token;
	const char *from;

	if (!slice_word(shape, &token))
		return false;
	*item = (struct item){ .text = token };
	if (opens(token)) {
		item->open = *token.p;
		from = shape->p;
		for (int depth = 1; depth > 0; ) {
			bug_if(!slice_word(shape, &token));
			depth += opens(token) - closes(token);
		}
		item->text = slice_of(from, (size_t)(token.p - from));
	}
	item->list = slice_endsi(token, S(",..."));
	if (item->list && !item->open)
		item->text.n -= sizeof ",..." - 1;
	return true;
}

/* Cut the shape at its next "|". */
static bool
next_alternative(struct slice *shape, struct slice *one)
{
	struct slice rest = *shape;
	struct item item;

	if (slice_trim(rest).n == 0)
		return false;
	*one = rest;
	while (next_item(&rest, &item))
		if (slice_eq(item.text, S("|"))) {
			*one = slice_of(shape->p, (size_t)(item.text.p - shape->p));
			break;
		}
	*shape = rest;
	return true;
}

struct slice
shape_block(const char *shape)
{
	struct slice s = slice(shape), inside = slice_skip(s, slice_find(s, '{') + 1);

	return slice_trim(slice_head(inside, slice_find(inside, '}')));
}

/* --- matching a statement with a shape ------------------------------------------------ */

static bool match_choice(struct match *, struct slice shape);
static bool choice_fits(struct match *, struct slice shape);

bool
word_is(const struct word *w, struct slice literal)
{
	return w != NULL && w->kind != WORD_STRING && slice_eq(w->text, literal);
}

bool
match_expected(struct match *m, struct slice what)
{
	if (m->index > m->furthest || m->count == 0) {
		m->furthest = m->index;
		m->found = m->at;
		m->count = 0;
	}
	if (m->index < m->furthest || m->count == EXPECTED_MOST)
		return false;
	for (size_t i = 0; i < m->count; i++)
		if (slice_eq(m->expected[i], what))
			return false;
	m->expected[m->count++] = what;
	return false;
}

static bool
item_fits(struct match *m, const struct item *item)
{
	const struct type *type;

	if (item->open == '{')
		return (m->at == NULL && m->statement->has_block) || match_expected(m, S("{"));
	if (item->open)
		return choice_fits(m, item->text);
	if ((type = type_find(item->text)) == NULL)
		return word_is(m->at, item->text) || match_expected(m, item->text);
	arena_reset(m->scratch);
	return (m->at != NULL && m->at->kind <= WORD_STRING && type->fits(m->at->text, m->scratch)) ||
	    match_expected(m, item->text);
}

static void
step(struct match *m)
{
	m->at = m->at->next;
	m->index++;
}

static bool
match_item(struct match *m, const struct item *item)
{
	const struct type *type;

	if (!item_fits(m, item))
		return false;
	if (item->open == '{')
		return m->block = true;
	if (item->open)
		return match_choice(m, item->text);
	if ((type = type_find(item->text)) != NULL)
		m->at->type = type->name;
	step(m);
	return true;
}

/* Items with commas between them, as long as behind a comma another one stands. */
static bool
match_list(struct match *m, const struct item *item)
{
	for (;;) {
		struct word *comma;

		if (!match_item(m, item))
			return false;
		if (!word_is(comma = m->at, S(","))) {
			match_expected(m, S(","));
			return true;
		}
		step(m);
		if (!item_fits(m, item)) {
			m->at = comma;
			m->index--;
			return true;
		}
	}
}

static bool
match_sequence(struct match *m, struct slice sequence)
{
	struct item item;

	while (next_item(&sequence, &item)) {
		if (item.open == '[' && !choice_fits(m, item.text))
			continue;
		if (!(item.list ? match_list : match_item)(m, &item))
			return false;
	}
	return true;
}

/* Of items that may be left out one fits, or what stands behind them, or nothing is left. */
static bool
sequence_fits(struct match *m, struct slice sequence)
{
	struct item item;

	while (next_item(&sequence, &item)) {
		if (item_fits(m, &item))
			return true;
		if (item.open != '[')
			return false;
	}
	return true;
}

static bool
choice_fits(struct match *m, struct slice shape)
{
	struct slice one;

	while (next_alternative(&shape, &one))
		if (sequence_fits(m, one))
			return true;
	return false;
}

static bool
match_choice(struct match *m, struct slice shape)
{
	struct slice one;

	if (slice_trim(shape).n == 0)
		return true;
	while (next_alternative(&shape, &one))
		if (sequence_fits(m, one))
			return match_sequence(m, one);
	return false;
}

void
match_begin(struct match *m, const struct statement *s, size_t n, struct arena *scratch)
{
	*m = (struct match){ .statement = s, .scratch = scratch, .at = s->words };
	while (n-- > 0)
		step(m);
}

bool
match_shape(struct match *m, const char *shape)
{
	if (!match_choice(m, slice(shape)))
		return false;
	return m->at == NULL || match_expected(m, NONE);
}

/* --- telling what was expected ---------------------------------------------------------- */

static void
add_expected(struct buf *b, struct slice what)
{
	const struct type *type = type_find(what);

	if (type != NULL)
		buf_add(b, slice(type->meaning));
	else if (slice_eq(what, S("{")))
		buf_add(b, S("a block"));
	else if (what.n == 0)
		buf_add(b, S("the end of the statement"));
	else
		buf_printf(b, "\"%.*s\"", FMT(what));
}

static void
add_all_expected(struct buf *b, const struct match *m)
{
	for (size_t i = 0; i < m->count; i++) {
		buf_add(b, i == 0 ? S("") : i + 1 == m->count ? S(" or ") : S(", "));
		add_expected(b, m->expected[i]);
	}
}

static bool
has_arrow(struct slice text)
{
	for (; text.n > 1; text = slice_skip(text, 1))
		if (slice_starts(text, S("->")))
			return true;
	return false;
}

/* What stands behind the carets: the nearest word, or how the statement looks. */
static void
hint(const struct match *m, const struct keyword *row, struct flaws *flaws)
{
	struct guess guess = { .word = m->found ? m->found->text : NONE };
	struct buf usage = BUF(1024);

	for (size_t i = 0; i < m->count; i++)
		if (type_find(m->expected[i]) == NULL)
			guess_add(&guess, m->expected[i]);
	if (guess.meant.p != NULL) {
		flaw_hint_guess(flaws, &guess);
	} else if (m->found != NULL && m->found->kind == WORD_BARE && has_arrow(m->found->text)) {
		flaw_hint(flaws, "blanks stand around \"->\"");
	} else if (row != NULL) {
		keyword_add_usage(&usage, row);
		flaw_hint(flaws, "%.*s", FMT(buf_slice(&usage)));
	}
	buf_free(&usage);
}

void
match_tell(const struct match *m, const struct keyword *row, struct flaws *flaws)
{
	struct buf what = BUF(1024);

	add_all_expected(&what, m);
	if (m->found != NULL)
		flaw_error(flaws, m->found->place, "expected %.*s, not \"%.*s\"",
		    FMT(buf_slice(&what)), FMT(m->found->text));
	else
		flaw_error(flaws, m->statement->end, "expected %.*s", FMT(buf_slice(&what)));
	hint(m, row, flaws);
	buf_free(&what);
}

/* --- for people ------------------------------------------------------------------------ */

/* Do these two stand without a blank between them? */
static bool
touch(struct slice before, struct slice token)
{
	if (slice_eq(before, S("{")) || slice_eq(token, S("}")))
		return false;
	return slice_eq(before, S("(")) || slice_eq(before, S("[")) || closes(token) ||
	    slice_eq(token, S(","));
}

void
shape_add(struct buf *b, const char *text)
{
	struct slice shape = slice(text), token, before = NONE;

	for (; slice_word(&shape, &token); before = token) {
		if (before.n > 0 && !touch(before, token))
			buf_byte(b, ' ');
		if (slice_eq(before, S("{")))
			buf_add(b, S("..."));   /* whatever its context is called */
		else if (slice_endsi(token, S(",...")))
			buf_printf(b, "%.*s, ...", (int)token.n - 4, token.p);
		else
			buf_add(b, token);
	}
}
