/* SPDX-License-Identifier: ISC */
/* pure */
#include "mail/lines.h"

static enum line_kind
kind_of(struct slice line, bool crlf)
{
	if (slice_find(line, '\0') < line.n)
		return LINE_NUL;
	if (!crlf || slice_find(line, '\r') < line.n)
		return LINE_BARE;
	return LINE_WHOLE;
}

/* No line end within the ceiling: forget what there is, and the rest as it comes. */
static void
drop(struct lines *l, struct slice *input)
{
	/* A CR at the end may be the first half of the line end. */
	size_t keep = input->n && input->p[input->n - 1] == '\r';

	l->dropping = true;
	l->scanned = 0;
	*input = slice_skip(*input, input->n - keep);
}

enum line_kind
lines_next(struct lines *l, struct slice *input, struct slice *line)
{
	size_t from = l->scanned < input->n ? l->scanned : input->n;
	size_t lf = from + slice_find(slice_skip(*input, from), '\n');
	bool crlf, fits = !l->dropping && lf + 1 <= l->ceiling;

	*line = NONE;
	if (lf == input->n) {
		l->scanned = input->n;
		if (!fits)
			drop(l, input);
		return LINE_PART;
	}
	crlf = lf > 0 && input->p[lf - 1] == '\r';
	*line = slice_head(*input, lf - crlf);
	*input = slice_skip(*input, lf + 1);
	l->scanned = 0;
	l->dropping = false;
	return fits ? kind_of(*line, crlf) : LINE_LONG;
}

enum {
	START,          /* behind a CRLF, or at the very beginning */
	DOT,            /* behind a dot at the start of a line */
	DOT_CR,         /* and behind a CR after it */
	MIDDLE,         /* inside a line */
	CR,             /* behind a CR, which has not been given out yet */
};

static void
count(struct text *t, size_t n)
{
	t->size += n;
	t->line += n;
	if (t->line > t->longest)
		t->longest = t->line;
}

static struct slice
line_end(struct text *t)
{
	t->state = START;
	t->size += 2;
	t->line = 0;
	return S("\r\n");
}

/* A CR with no LF behind it, or a LF with no CR before it: it never ends a line (J3). */
static struct slice
stray(struct text *t, bool cr)
{
	struct slice piece = cr ? S("\r") : S("\n");

	*(cr ? &t->bare_cr : &t->bare_lf) = true;
	if (t->bare == BARE_REPAIR)
		piece = line_end(t);
	else
		count(t, 1);
	t->state = MIDDLE;
	return piece;
}

/* The good lines at the front of `input`, up to one that begins with a dot. */
static struct slice
whole_lines(struct text *t, struct slice input)
{
	size_t n = 0;

	while (n < input.n) {
		struct slice rest = slice_skip(input, n);
		size_t lf = slice_find(rest, '\n');

		if (n > 0 && *rest.p == '.' && !t->counted)
			break;
		if (lf == rest.n || lf == 0 || slice_find(rest, '\r') != lf - 1)
			break;
		count(t, lf - 1);
		line_end(t);
		n += lf + 1;
	}
	return slice_head(input, n);
}

/* Inside a line: whole lines, or what stands before the next CR or LF, or a stray LF. */
static struct slice
inside(struct text *t, struct slice *input)
{
	struct slice piece = whole_lines(t, *input);
	size_t end;

	if (piece.n > 0) {
		*input = slice_skip(*input, piece.n);
		return piece;
	}
	end = slice_find(slice_head(*input, slice_find(*input, '\n')), '\r');
	piece = slice_head(*input, end);
	*input = slice_skip(*input, end);
	count(t, end);
	t->state = MIDDLE;
	if (input->n > 0 && *input->p == '\r') {
		*input = slice_skip(*input, 1);
		t->state = CR;
	} else if (end == 0) {
		*input = slice_skip(*input, 1);
		return stray(t, false);
	}
	return piece;
}

bool
text_next(struct text *t, struct slice *input, struct slice *piece)
{
	*piece = NONE;
	if (t->ended || input->n == 0)
		return false;
	if (t->state == START && *input->p == '.' && !t->counted) {
		t->state = DOT;
	} else if (t->state == DOT && *input->p == '\r') {
		t->state = DOT_CR;
	} else if (t->state == DOT_CR && *input->p == '\n') {
		t->ended = true;
	} else if (t->state == CR && *input->p == '\n') {
		*piece = line_end(t);
	} else if (t->state == DOT_CR || t->state == CR) {
		*piece = stray(t, true);
		return true;            /* the byte behind the CR is still to come */
	} else {
		*piece = inside(t, input);
		t->nul = t->nul || slice_find(*piece, '\0') < piece->n;
		return true;
	}
	*input = slice_skip(*input, 1);
	return true;
}

struct slice
text_finish(struct text *t)
{
	return t->state == CR ? stray(t, true) : NONE;
}

bool
stuffing_next(struct stuffing *s, struct slice *text, bool *dot, struct slice *piece)
{
	size_t n = 0;

	if (text->n == 0)
		return false;
	*dot = !s->mid_line && *text->p == '.';
	while (n < text->n) {
		struct slice rest = slice_skip(*text, n);
		size_t lf = slice_find(rest, '\n');

		if (n > 0 && !s->mid_line && *rest.p == '.')
			break;
		if (lf == rest.n) {
			s->mid_line = true;
			s->cr = rest.p[rest.n - 1] == '\r';
			n = text->n;
			break;
		}
		s->mid_line = !(lf > 0 ? rest.p[lf - 1] == '\r' : s->cr);
		s->cr = false;
		n += lf + 1;
	}
	*piece = slice_head(*text, n);
	*text = slice_skip(*text, n);
	return true;
}
