/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "lab/written.h"
#include "mail/date.h"

/* Lines as they go over the wire: each ends with CRLF. */
static void
add_lines(struct buf *b, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		buf_add(b, line);
		buf_add(b, S("\r\n"));
	}
}

/* --- a second message in the first ---------------------------------------------------------- */

static const struct { const char *name, *before, *behind; } ENDS[] = {
	{ "crlf-crlf", "\r\n", "\r\n" }, { "lf-lf", "\n", "\n" }, { "lf-crlf", "\n", "\r\n" },
	{ "crlf-lf", "\r\n", "\n" }, { "cr-cr", "\r", "\r" }, { "cr-crlf", "\r", "\r\n" },
};

static void
add_hidden(struct buf *b, const struct statement *hide, struct slice from)
{
	struct slice to = value_first(hide)->text;

	for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++)
		if (statement_says(hide, ENDS[i].name))
			buf_printf(b, "here it seems to end%s.%s", ENDS[i].before, ENDS[i].behind);
	buf_printf(b, "MAIL FROM:<%.*s>\r\nRCPT TO:<%.*s>\r\nDATA\r\n", FMT(from), FMT(to));
	buf_printf(b, "From: %.*s\r\nTo: %.*s\r\nSubject: smuggled\r\n\r\nsmuggled\r\n", FMT(from), FMT(to));
}

/* --- the text --------------------------------------------------------------------------------- */

static void
add_header(struct buf *b, const struct statement *send, struct slice from, struct slice to,
    const struct written_by *by)
{
	struct slice author = statement_text(send->block, LAB_SEND_AUTHOR), domain;
	char date[DATE_TEXT + 1];

	if (author.n == 0)
		author = from.n > 0 ? from : S("postmaster@client.test");
	domain = slice_skip(author, slice_find(author, '@') + 1);
	buf_printf(b, "From: %.*s\r\nTo: %.*s\r\nSubject: %.*s\r\n", FMT(author), FMT(to),
	    FMT(statement_text(send->block, LAB_SEND_SUBJECT)));
	date_text(by->now, date);
	buf_printf(b, "Date: %s\r\n", date);
	buf_printf(b, "Message-ID: <%u.%llu@%.*s>\r\n", by->number, (unsigned long long)by->seed,
	    FMT(domain));
	for (const struct statement *s = send->block; s != NULL; s = s->next)
		if (statement_id(s) == LAB_SEND_HEADER)
			add_lines(b, value_first(s)->text);
}

static void
add_message(struct buf *b, const struct statement *send, struct slice from, struct slice to,
    const struct written_by *by)
{
	const struct statement *hide = statement_find(send->block, LAB_SEND_HIDE);

	add_header(b, send, from, to, by);
	buf_add(b, S("\r\n"));
	add_lines(b, statement_text(send->block, LAB_SEND_TEXT));
	if (hide != NULL)
		add_hidden(b, hide, from);
}

static bool
add_file(struct buf *b, const struct word *file, struct arena *arena, struct error *why)
{
	struct slice name = tree_path(file->text, file->place, arena);
	struct buf text = BUF(WRITTEN_MOST);
	char *path = must_copy(name.p, name.n);
	bool ok = file_read(path, &text, why);

	if (ok)
		add_lines(b, buf_slice(&text));
	buf_free(&text);
	free(path);
	return ok;
}

/* --- the whole ----------------------------------------------------------------------------------- */

static const struct word *
file_of(const struct statement *send)
{
	const struct word *w = value_first(send);

	while (w != NULL && strcmp(w->type, "FILE") != 0)
		w = value_next(w);
	return w;
}

/* The header and the empty line behind it. */
static struct slice
header_of(struct slice text)
{
	const char *end = memmem(text.p, text.n, "\r\n\r\n", 4);

	return end != NULL ? slice_head(text, (size_t)(end - text.p)) : text;
}

static bool
addresses_ascii(const struct statement *send)
{
	for (const struct word *w = value_first(send); w != NULL; w = value_next(w))
		if (strcmp(w->type, "FILE") != 0 && !ascii_only(w->text))
			return false;
	return true;
}

static void
ask(struct written *w, const struct statement *send)
{
	w->eight_bit = !ascii_only(w->text);
	w->smtputf8 = !addresses_ascii(send) || !ascii_only(header_of(w->text));
	w->requiretls = statement_find(send->block, LAB_SEND_REQUIRE_TLS) != NULL;
}

bool
written_make(struct written *w, const struct statement *send, const struct written_by *by,
    struct arena *arena, struct error *why)
{
	const struct word *to = value_first(send), *file = file_of(send);
	struct buf b = BUF(WRITTEN_MOST);
	bool ok = true;

	*w = (struct written){ .from = NONE };
	if (!statement_says(send, "null")) {
		w->from = to->text;
		to = value_next(to);
	}
	if (file != NULL)
		ok = add_file(&b, file, arena, why);
	else
		add_message(&b, send, w->from, to->text, by);
	w->text = b.full ? NONE : arena_copy(arena, buf_slice(&b));
	buf_free(&b);
	if (ok && w->text.p == NULL)
		return error_set(why, "the message is too long");
	if (ok)
		ask(w, send);
	return ok;
}
