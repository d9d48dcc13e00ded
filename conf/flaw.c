/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdarg.h>
#include <stdio.h>

#include "base/bug.h"
#include "base/text.h"
#include "conf/flaw.h"

/* FLAWS_MOST of each kind, with at most this much text each: the arena never fills up. */
enum { TEXT_MOST = 1000, LINE_SHOWN = 160, ARENA_BYTES = 1 << 20 };

void
flaws_begin(struct flaws *flaws)
{
	*flaws = (struct flaws){ .arena = arena_new(ARENA_BYTES) };
	flaws->last = &flaws->first;
}

void
flaws_end(struct flaws *flaws)
{
	arena_free(flaws->arena);
	*flaws = (struct flaws){ 0 };
}

/* As shown_add() does, but a backslash stays one: it is the administrator's own text. */
static void
display(struct buf *b, struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, '\\');

		shown_add(b, slice_head(text, n));
		if (n < text.n)
			buf_byte(b, '\\');
		text = slice_skip(text, n + 1);
	}
}

/* --- where ------------------------------------------------------------------- */

static const char *
line_start(struct place place)
{
	const char *p = place.at;

	while (p > place.source->bytes.p && p[-1] != '\n')
		p--;
	return p;
}

static struct slice
line_of(struct place place)
{
	const char *start = line_start(place);
	struct slice rest = slice_skip(place.source->bytes,
	    (size_t)(start - place.source->bytes.p));

	return slice_head(rest, slice_find(rest, '\n'));
}

unsigned
place_column(struct place place)
{
	return place.at == NULL ? 1 : (unsigned)(place.at - line_start(place)) + 1;
}

/* One character of the line as it can be shown, and as many blanks. */
static size_t
show_character(struct buf *line, struct slice rest, char below, struct buf *pointer)
{
	size_t n = 1, from = line->n, columns = 0;

	while (n < rest.n && ((unsigned char)rest.p[n] & 0xc0) == 0x80)
		n++;
	if (*rest.p == '\t') {
		buf_byte(line, '\t');
		buf_byte(pointer, below == ' ' ? '\t' : below);
		return 1;
	}
	display(line, slice_head(rest, n));
	for (size_t i = from; i < line->n; i++)
		columns += ((unsigned char)line->p[i] & 0xc0) != 0x80;
	while (columns-- > 0)
		buf_byte(pointer, below);
	return n;
}

/* The line and what stands below it; of a long line the part around the place. */
static void
show_line(struct flaws *flaws, struct flaw *flaw, struct place place)
{
	struct buf line = BUF(8 * LINE_SHOWN), pointer = BUF(8 * LINE_SHOWN);
	struct slice text = line_of(place);
	size_t at = flaw->column - 1, end = at + (place.width ? place.width : 1);
	size_t i = at > LINE_SHOWN / 2 ? at - LINE_SHOWN / 4 : 0, stop = i + LINE_SHOWN;

	if (slice_endsi(text, S("\r")))
		text.n--;
	while (i < text.n && i < stop && ((unsigned char)text.p[i] & 0xc0) == 0x80)
		i++;
	for (size_t n; i < text.n && i < stop; i += n)
		n = show_character(&line, slice_skip(text, i), i >= at && i < end ? '^' : ' ', &pointer);
	if (at >= text.n)
		buf_byte(&pointer, '^');
	while (pointer.n > 0 && pointer.p[pointer.n - 1] != '^')
		pointer.n--;
	flaw->source_line = arena_copy(flaws->arena, buf_slice(&line));
	flaw->pointer = arena_copy(flaws->arena, buf_slice(&pointer));
	buf_free(&line);
	buf_free(&pointer);
}

/* --- adding ------------------------------------------------------------------- */

static struct slice __attribute__((format(printf, 2, 0)))
formatted(struct flaws *flaws, const char *format, va_list args)
{
	char text[TEXT_MOST];
	struct buf shown = BUF(4 * TEXT_MOST);
	struct slice copy;

	vsnprintf(text, sizeof text, format, args);
	display(&shown, slice(text));
	copy = arena_copy(flaws->arena, buf_slice(&shown));
	buf_free(&shown);
	bug_if(copy.p == NULL);
	return copy;
}

static void __attribute__((format(printf, 4, 0)))
add(struct flaws *flaws, enum severity severity, struct place place, const char *format,
    va_list args)
{
	unsigned *count = severity == FLAW_ERROR ? &flaws->errors : &flaws->warnings;
	struct flaw *flaw;

	flaws->latest = NULL;
	if (++*count > FLAWS_MOST)
		return;
	flaw = arena_get(flaws->arena, sizeof *flaw);
	bug_if(flaw == NULL);
	flaw->severity = severity;
	flaw->text = formatted(flaws, format, args);
	flaw->file = place.source != NULL ?
	    arena_copy(flaws->arena, slice_head(place.source->name, TEXT_MOST)) : S("-");
	flaw->line = place.line ? place.line : 1;
	flaw->column = place_column(place);
	if (place.at != NULL)
		show_line(flaws, flaw, place);
	*flaws->last = flaws->latest = flaw;
	flaws->last = &flaw->next;
}

void
flaw_error(struct flaws *flaws, struct place place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(flaws, FLAW_ERROR, place, format, args);
	va_end(args);
}

void
flaw_warning(struct flaws *flaws, struct place place, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(flaws, FLAW_WARNING, place, format, args);
	va_end(args);
}

void
flaw_hint(struct flaws *flaws, const char *format, ...)
{
	va_list args;

	if (flaws->latest == NULL)
		return;
	va_start(args, format);
	flaws->latest->hint = formatted(flaws, format, args);
	va_end(args);
}

void
flaw_hint_first(struct flaws *flaws, struct place first)
{
	flaw_hint(flaws, "first set here: %.*s:%u", FMT(first.source->name), first.line);
}

/* By file and place: then it reads like the text. */
static bool
stands_before(const struct flaw *a, const struct flaw *b)
{
	int order = a->file.n != b->file.n ? (a->file.n < b->file.n ? -1 : 1)
	          : memcmp(a->file.p, b->file.p, a->file.n);

	if (order != 0)
		return order < 0;
	return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void
flaws_sort(struct flaws *flaws)
{
	struct flaw *sorted = NULL, *f = flaws->first, *next;

	for (; f != NULL; f = next) {
		struct flaw **at = &sorted;

		next = f->next;
		while (*at != NULL && !stands_before(f, *at))
			at = &(*at)->next;
		f->next = *at;
		*at = f;
	}
	flaws->first = sorted;
	for (flaws->last = &flaws->first; *flaws->last != NULL; )
		flaws->last = &(*flaws->last)->next;
}

/* --- printing ------------------------------------------------------------------- */

void
flaw_add_text(struct buf *b, const struct flaw *flaw)
{
	display(b, flaw->file);
	buf_printf(b, ":%u:%u: %s: %.*s\n", flaw->line, flaw->column,
	    flaw->severity == FLAW_ERROR ? "error" : "warning", FMT(flaw->text));
	if (flaw->pointer.n > 0) {
		buf_printf(b, "%5u | %.*s\n", flaw->line, FMT(flaw->source_line));
		buf_printf(b, "      | %.*s%s%.*s\n", FMT(flaw->pointer),
		    flaw->hint.n ? " " : "", FMT(flaw->hint));
	} else if (flaw->hint.n > 0) {
		buf_printf(b, "      | %.*s\n", FMT(flaw->hint));
	}
}

void
flaws_add_count(struct buf *b, const struct flaws *flaws)
{
	if (flaws->errors > 0)
		buf_printf(b, "%u error%s", flaws->errors, flaws->errors == 1 ? "" : "s");
	if (flaws->errors > 0 && flaws->warnings > 0)
		buf_add(b, S(", "));
	if (flaws->warnings > 0)
		buf_printf(b, "%u warning%s", flaws->warnings, flaws->warnings == 1 ? "" : "s");
}

void
flaws_add_text(struct buf *b, const struct flaws *flaws)
{
	for (const struct flaw *f = flaws->first; f != NULL; f = f->next)
		flaw_add_text(b, f);
	if (flaws->errors + flaws->warnings == 0)
		return;
	flaws_add_count(b, flaws);
	if (flaws->errors > FLAWS_MOST || flaws->warnings > FLAWS_MOST)
		buf_printf(b, " (%d of a kind are shown)", FLAWS_MOST);
	buf_byte(b, '\n');
}

/* --- did you mean ----------------------------------------------------------------- */

/* "kye" for "key": two letters differ, but they are the same letters. */
static bool
turned_round(struct slice a, struct slice b)
{
	size_t i = 0;

	while (i < a.n && i < b.n && a.p[i] == b.p[i])
		i++;
	return a.n == b.n && i + 1 < a.n && a.p[i] == b.p[i + 1] && a.p[i + 1] == b.p[i];
}

void
guess_add(struct guess *guess, struct slice candidate)
{
	unsigned distance = word_distance(guess->word, candidate);

	if (candidate.n < 2 || !is_alpha(*candidate.p) || distance > 2)
		return;
	if ((2 * distance > candidate.n || 2 * distance > guess->word.n) &&
	    !turned_round(guess->word, candidate))
		return;
	if (guess->meant.p == NULL || distance < guess->distance) {
		guess->meant = candidate;
		guess->distance = distance;
	}
}

void
flaw_hint_guess(struct flaws *flaws, const struct guess *guess)
{
	if (guess->meant.p != NULL)
		flaw_hint(flaws, "did you mean \"%.*s\"?", FMT(guess->meant));
}
