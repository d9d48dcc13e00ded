/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "base/map.h"
#include "conf/grammar.h"
#include "conf/token.h"

/* A text that is being read, and the one that included it. */
struct reading_text {
	struct reading_text *up;
	const struct source *source;
	struct lexer         lexer;
	struct token         token;     /* the next one, comments left out */
	unsigned             includes;
};

struct parser {
	struct tree         *tree;
	const struct reader *reader;
	struct flaws        *flaws;
	struct reading_text *text;
	struct map           lets;      /* name -> struct word, the value */
	size_t               sources, words, bytes, expanded;
	bool                 stopped;   /* a ceiling was reached: read no further */
};

void *
tree_get(struct arena *arena, size_t n)
{
	void *p = arena_get(arena, n);

	bug_if(p == NULL);
	return p;
}

/* --- tokens ------------------------------------------------------------------- */

static void
stop(struct parser *p, struct place place, const char *why)
{
	if (!p->stopped)
		flaw_error(p->flaws, place, "%s", why);
	p->stopped = true;
}

static void
advance(struct parser *p)
{
	struct reading_text *text = p->text;

	do
		text->token = lexer_next(&text->lexer);
	while (text->token.kind == TOKEN_COMMENT);
	if (++p->words > TREE_WORDS)
		stop(p, text->token.place, "the configuration has more than a million words");
	if (p->stopped)
		text->token.kind = TOKEN_END;
}

static struct place
behind(struct place place)
{
	if (place.at != NULL)
		place.at += place.width;
	place.width = 0;
	return place;
}

static const char *
token_name(enum token_kind kind)
{
	switch (kind) {
	case TOKEN_OPEN:   return "\"{\"";
	case TOKEN_CLOSE:  return "\"}\"";
	case TOKEN_COMMA:  return "\",\"";
	case TOKEN_ARROW:  return "\"->\"";
	case TOKEN_STRING: return "a string";
	default:           return "a word";
	}
}

/* --- $NAME ---------------------------------------------------------------------- */

static bool
is_name_letter(char c)
{
	return is_alnum(c) || c == '_';
}

static bool
is_let_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_name_letter(s.p[i]))
			return false;
	return s.n > 0 && !is_digit(*s.p);
}

/* The part of a word's place that `part` covers. */
static struct place
part_of(struct place place, struct slice part)
{
	place.at = part.p;
	place.width = (unsigned)part.n;
	return place;
}

static void
unknown_let(struct parser *p, struct slice name, struct place place)
{
	struct guess guess = { .word = name };
	const struct map_entry *e = p->lets.entries;

	flaw_error(p->flaws, place, "\"$%.*s\" was not set by a let before", FMT(name));
	for (size_t i = 0; p->flaws->latest != NULL && i < p->lets.room; i++)
		if (e[i].value != NULL)
			guess_add(&guess, e[i].key);
	if (guess.meant.p != NULL)
		flaw_hint(p->flaws, "did you mean \"$%.*s\"?", FMT(guess.meant));
}

/* One "$NAME" at the front of *rest: its value into `to`. */
static bool
expand_one(struct parser *p, struct slice *rest, struct place place, struct buf *to)
{
	struct slice name = slice_skip(*rest, 1);
	const struct word *value;
	size_t n = 0;

	while (n < name.n && is_name_letter(name.p[n]))
		n++;
	place = part_of(place, slice_head(*rest, n + 1));
	name = slice_head(name, n);
	*rest = slice_skip(*rest, n + 1);
	if (n == 0) {
		flaw_error(p->flaws, place, "expected a name behind \"$\"");
		flaw_hint(p->flaws, "a word with a \"$\" of its own is written in quotes");
		return false;
	}
	if ((value = map_get(&p->lets, name)) == NULL || !buf_add(to, value->text)) {
		if (value == NULL)
			unknown_let(p, name, place);
		else
			flaw_error(p->flaws, place, "the word is longer than 4096 bytes");
		return false;
	}
	return true;
}

/* A bare word with its $NAMEs replaced. */
static bool
expand(struct parser *p, struct word *word)
{
	struct slice rest = word->text;
	struct buf to = BUF(WORD_BYTES);
	bool ok = true;

	while (ok && rest.n > 0) {
		size_t n = slice_find(rest, '$');

		ok = buf_add(&to, slice_head(rest, n));
		rest = slice_skip(rest, n);
		if (ok && rest.n > 0)
			ok = expand_one(p, &rest, word->place, &to);
	}
	p->expanded += to.n;
	if (p->expanded > TREE_BYTES) {
		stop(p, word->place, "what stands for $NAMEs is longer than 16 MB");
		ok = false;
	}
	if (ok)
		word->text = arena_copy(p->tree->arena, buf_slice(&to));
	buf_free(&to);
	return ok;
}

/* --- words ------------------------------------------------------------------------ */

static bool
is_word_token(enum token_kind kind)
{
	return kind <= TOKEN_COMMA || kind == TOKEN_BAD;
}

/* The word under the cursor; NULL after a flaw. */
static struct word *
make_word(struct parser *p)
{
	const struct token *t = &p->text->token;
	struct word *w;

	if (t->kind == TOKEN_BAD) {
		flaw_error(p->flaws, t->place, "%s", t->why);
		return NULL;
	}
	w = tree_get(p->tree->arena, sizeof *w);
	w->kind = (enum word_kind)t->kind;
	w->place = t->place;
	w->text = t->raw;
	if (w->kind == WORD_STRING)
		w->text = string_value(t->raw, tree_get(p->tree->arena, t->raw.n));
	else if (slice_find(t->raw, '$') < t->raw.n && !expand(p, w))
		return NULL;
	return w;
}

/*
 * The words up to what ends them, a line end behind a comma skipped.  False
 * when one of them was bad: then the statement means nothing.
 */
static bool
take_words(struct parser *p, struct statement *s)
{
	struct word **last = &s->words;
	bool good = true, comma = false;

	while (is_word_token(p->text->token.kind) ||
	    (comma && p->text->token.kind == TOKEN_NEWLINE)) {
		struct word *w;

		if (p->text->token.kind == TOKEN_NEWLINE) {
			advance(p);
			continue;
		}
		comma = p->text->token.kind == TOKEN_COMMA;
		s->end = behind(p->text->token.place);
		if ((w = make_word(p)) == NULL) {
			good = false;
		} else {
			*last = w;
			last = &w->next;
		}
		advance(p);
	}
	return good;
}

/* --- include and let ----------------------------------------------------------------- */

struct slice
tree_path(struct slice name, struct place from, struct arena *arena)
{
	size_t n = from.source->name.n;

	while (n > 0 && from.source->name.p[n - 1] != '/')
		n--;
	if (n == 0 || (name.n > 0 && *name.p == '/'))
		return name;
	return arena_printf(arena, "%.*s%.*s", (int)n, from.source->name.p, FMT(name));
}

static void
take_let(struct parser *p, const struct statement *s)
{
	const struct word *name = s->words->next, *equals = name ? name->next : NULL;
	const struct word *value = equals ? equals->next : NULL, *old;

	if (value == NULL || value->next != NULL || s->has_block || name->kind != WORD_BARE ||
	    !slice_eq(equals->text, S("=")) || value->kind > WORD_STRING) {
		flaw_error(p->flaws, name ? name->place : s->end, "expected let NAME = value");
		return;
	}
	if (!is_let_name(name->text)) {
		flaw_error(p->flaws, name->place,
		    "expected a name of letters, digits and \"_\", not \"%.*s\"", FMT(name->text));
		return;
	}
	if ((old = map_get(&p->lets, name->text)) != NULL) {
		flaw_error(p->flaws, name->place, "\"$%.*s\" is set twice", FMT(name->text));
		flaw_hint_first(p->flaws, old->place);
		return;
	}
	map_put(&p->lets, name->text, (void *)(uintptr_t)value);
}

static void parse_source(struct parser *, struct slice name, struct slice bytes,
    struct statement ***last);

static bool
being_read(const struct parser *p, struct slice name)
{
	for (const struct reading_text *t = p->text; t != NULL; t = t->up)
		if (slice_eq(t->source->name, name))
			return true;
	return false;
}

/* One of the files an include names. */
static void
include_file(struct parser *p, struct slice name, struct slice bytes, struct place place,
    struct statement ***last)
{
	if (being_read(p, name))
		flaw_error(p->flaws, place, "%.*s includes itself", FMT(name));
	else if (p->text->includes == TREE_INCLUDES)
		flaw_error(p->flaws, place, "files include each other more than %d deep", TREE_INCLUDES);
	else if (++p->sources > TREE_SOURCES)
		stop(p, place, "more than 1000 files are included");
	else if ((p->bytes += bytes.n) > TREE_BYTES)
		stop(p, place, "the configuration is larger than 16 MB");
	else
		parse_source(p, name, bytes, last);
}

static void
take_include(struct parser *p, const struct statement *s, struct statement ***last)
{
	const struct word *word = s->words->next;
	struct slice path, name, bytes;
	struct error why;

	if (word == NULL || word->next != NULL || s->has_block || word->kind > WORD_STRING) {
		flaw_error(p->flaws, word ? word->place : s->end, "expected include FILE");
		return;
	}
	path = tree_path(word->text, word->place, p->tree->arena);
	for (unsigned turn = 0; !p->stopped; turn++)
		switch (p->reader->read(p->reader->arg, path, FILE_CONFIG, turn, &name, &bytes, &why)) {
		case READ_FILE:
			include_file(p, name, bytes, word->place, last);
			break;
		case READ_FAILED:
			flaw_error(p->flaws, word->place, "%s", why.text);
			return;
		default:
			return;
		}
}

/* --- statements ------------------------------------------------------------------------ */

static void parse_block(struct parser *, struct statement ***last, unsigned depth);

/* Behind "{": the statements up to the "}" that belongs to it. */
static void
take_block(struct parser *p, struct statement *s, unsigned depth)
{
	struct statement **last = &s->block;
	struct place open = p->text->token.place;

	s->has_block = true;
	advance(p);
	if (depth == TREE_DEPTH)
		stop(p, open, "blocks stand in each other more than 16 deep");
	parse_block(p, &last, depth + 1);
	if (p->text->token.kind == TOKEN_CLOSE)
		advance(p);
	else if (!p->stopped)
		flaw_error(p->flaws, open, "this block is not closed");
}

static void
finish(struct parser *p, struct statement *s, struct statement ***last)
{
	struct slice name = s->words->text;

	if (s->words->kind != WORD_BARE) {
		flaw_error(p->flaws, s->words->place, "expected a statement, not %s",
		    token_name((enum token_kind)s->words->kind));
	} else if (slice_eq(name, S("let"))) {
		take_let(p, s);
	} else if (slice_eq(name, S("include"))) {
		take_include(p, s, last);
	} else {
		**last = s;
		*last = &s->next;
	}
}

static void
parse_statement(struct parser *p, struct statement ***last, unsigned depth)
{
	struct statement *s = tree_get(p->tree->arena, sizeof *s);
	bool good = take_words(p, s);

	if (p->text->token.kind == TOKEN_OPEN)
		take_block(p, s, depth);
	if (good && s->words != NULL)
		finish(p, s, last);
}

/* Statements up to the "}" of this block, or the end of the text. */
static void
parse_block(struct parser *p, struct statement ***last, unsigned depth)
{
	for (;;) {
		const struct token *t = &p->text->token;

		switch (t->kind) {
		case TOKEN_END:
			return;
		case TOKEN_CLOSE:
			if (depth > 0)
				return;
			flaw_error(p->flaws, t->place, "there is no block to close");
			advance(p);
			break;
		case TOKEN_OPEN:
			flaw_error(p->flaws, t->place, "expected a statement, not \"{\"");
			flaw_hint(p->flaws, "a block opens on the line of its statement");
			take_block(p, tree_get(p->tree->arena, sizeof(struct statement)), depth);
			break;
		case TOKEN_NEWLINE:
		case TOKEN_SEMICOLON:
			advance(p);
			break;
		default:
			parse_statement(p, last, depth);
		}
	}
}

static void
parse_source(struct parser *p, struct slice name, struct slice bytes, struct statement ***last)
{
	struct source *source = tree_get(p->tree->arena, sizeof *source);
	struct reading_text text = {
		.up = p->text, .source = source, .includes = p->text ? p->text->includes + 1 : 0,
	};

	*source = (struct source){ arena_copy(p->tree->arena, name), bytes };
	if (p->tree->begin.source == NULL)
		p->tree->begin = (struct place){ source, bytes.p, 1, 0 };
	lexer_begin(&text.lexer, source);
	p->text = &text;
	advance(p);
	parse_block(p, last, 0);
	p->text = text.up;
}

/* --- the whole --------------------------------------------------------------------------- */

static void
unreadable(struct parser *p, struct slice name, const char *why)
{
	struct source *source = tree_get(p->tree->arena, sizeof *source);

	source->name = arena_copy(p->tree->arena, name);
	p->tree->begin = (struct place){ .source = source };
	flaw_error(p->flaws, p->tree->begin, "%s", why);
}

struct tree *
tree_parse(struct slice name, const struct reader *reader, struct flaws *flaws)
{
	struct tree *tree = must_alloc(sizeof *tree);
	struct parser p = { .tree = tree, .reader = reader, .flaws = flaws };
	struct statement **last = &tree->first;
	struct slice bytes;
	struct error why = { .text = "no file has a name like this" };

	tree->arena = arena_new((size_t)4 << 30);
	if (reader->read(reader->arg, name, FILE_CONFIG, 0, &name, &bytes, &why) != READ_FILE)
		unreadable(&p, name, why.text);
	else if ((p.bytes = bytes.n) > TREE_BYTES)
		unreadable(&p, name, "the configuration is larger than 16 MB");
	else
		parse_source(&p, name, bytes, &last);
	map_free(&p.lets);
	return tree;
}

struct text_to_read {
	struct slice name, text;
};

static enum reading
read_text(void *arg, struct slice name, enum file_purpose purpose, unsigned turn,
    struct slice *name_r, struct slice *bytes_r, struct error *why)
{
	const struct text_to_read *t = arg;

	(void)purpose;
	if (turn > 0)
		return READ_NO_MORE;
	if (!slice_eq(name, t->name)) {
		error_set(why, "%.*s cannot be included here", FMT(name));
		return READ_FAILED;
	}
	*name_r = name;
	*bytes_r = t->text;
	return READ_FILE;
}

struct tree *
tree_parse_text(struct slice name, struct slice text, struct flaws *flaws)
{
	struct text_to_read t = { name, text };

	return tree_parse(name, &(struct reader){ read_text, &t }, flaws);
}

void
tree_free(struct tree *tree)
{
	if (tree == NULL)
		return;
	arena_free(tree->arena);
	free(tree);
}
