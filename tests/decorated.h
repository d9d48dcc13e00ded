/* SPDX-License-Identifier: ISC */
/*
 * decorated -- run mail/decorate over a message, and look at what became of it
 * with other eyes: every original byte still there, the footer there once.
 */
#ifndef TESTS_DECORATED_H
#define TESTS_DECORATED_H

#include "base/bug.h"
#include "base/text.h"
#include "mail/decorate.h"

struct decorated {
	struct decorate d;
	struct header   old;
	struct edit     edit;
	struct slice    old_body;
	struct buf      body;           /* the new one */
	struct arena   *arena;
};

enum { DECORATED_ROOM = 64 << 20 };

static inline void
decorated_free(struct decorated *m)
{
	buf_free(&m->body);
	arena_free(m->arena);
}

/* Both ways in pieces of `step` bytes.  False with a reason: to be freed all the same. */
static inline bool
decorated_make(struct decorated *m, struct slice message, const struct decoration *what, size_t step,
    struct error *why)
{
	size_t length = header_length(message);
	struct slice left, piece, out;

	*m = (struct decorated){ .arena = arena_new(DECORATED_ROOM), .body = BUF(DECORATED_ROOM) };
	m->old_body = slice_skip(message, length + 2);
	if (!header_parse(&m->old, slice_head(message, length), m->arena, why) ||
	    !decorate_begin(&m->d, what, &m->old, m->arena, why))
		return false;
	for (left = m->old_body; left.n; left = slice_skip(left, step))
		decorate_look(&m->d, slice_head(left, step));
	edit_begin(&m->edit, &m->old, m->arena);
	if (!decorate_plan(&m->d, &m->edit, why))
		return false;
	left = m->old_body;
	do {
		piece = slice_head(left, step);
		left = slice_skip(left, piece.n);
		while (decorate_next(&m->d, &piece, &out))
			buf_add(&m->body, out);
		bug_if(piece.n > 0);
	} while (left.n);
	return true;
}

/* --- other eyes ------------------------------------------------------------------ */

enum { PARTS_MOST = 1000 };

struct split {
	struct slice preamble, epilogue, parts[PARTS_MOST];
	size_t       count;
	bool         closed, odd;
};

/* All lines of a body, one by one; what stands between the delimiters. */
static inline void
split_body(struct slice body, struct slice boundary, struct split *s)
{
	struct slice *to = &s->preamble;
	size_t from = 0;

	*s = (struct split){ 0 };
	for (size_t at = 0; at <= body.n && !s->closed;) {
		struct slice rest = slice_skip(body, at), line = rest, tail;
		size_t next = body.n + 1;

		for (size_t i = at; i + 1 < body.n; i++)
			if (body.p[i] == '\r' && body.p[i + 1] == '\n') {
				line = slice_head(rest, i - at);
				next = i + 2;
				break;
			}
		tail = slice_skip(line, boundary.n + 2);
		if (slice_starts(line, S("--")) && slice_starts(slice_skip(line, 2), boundary)) {
			bool close = slice_starts(tail, S("--"));

			tail = slice_skip(tail, close ? 2 : 0);
			while (tail.n && is_wsp(*tail.p))
				tail = slice_skip(tail, 1);
			if (tail.n == 0) {
				*to = slice_of(body.p + from, at < from + 2 ? 0 : at - 2 - from);
				s->closed = close;
				to = close ? &s->epilogue : &s->parts[s->count];
				s->count += !close;
				bug_if(s->count >= PARTS_MOST);
				from = next < body.n ? next : body.n;
			} else {
				s->odd = true;
			}
		}
		at = next;
	}
	*to = slice_skip(body, from);
}

/* RFC 2045 6.7, as readers do it: white space at line ends goes, "=" at a line's end joins. */
static inline void
decode_quoted(struct slice s, struct buf *b)
{
	struct slice line;

	while (s.n) {
		bool ends = slice_find(s, '\n') < s.n, soft;

		slice_cut(&s, '\n', &line);
		while (line.n && (is_wsp(line.p[line.n - 1]) || line.p[line.n - 1] == '\r'))
			line.n--;
		soft = line.n && line.p[line.n - 1] == '=';
		line.n -= soft;
		for (; line.n; line = slice_skip(line, 1)) {
			if (*line.p == '=' && line.n > 2 && hex_decode(b, slice_head(slice_skip(line, 1), 2)))
				line = slice_skip(line, 2);
			else
				buf_byte(b, *line.p);
		}
		if (ends && !soft)
			buf_add(b, S("\r\n"));
	}
}

static inline void
decode_body(enum mime_encoding encoding, struct slice s, struct buf *b)
{
	if (encoding == MIME_QUOTED_PRINTABLE)
		decode_quoted(s, b);
	else if (encoding == MIME_BASE64)
		bug_if(!base64_decode(b, s));
	else
		buf_add(b, s);
}

static inline const char *
appended_flaw(const struct decorated *m, struct slice footer)
{
	struct buf old = BUF(DECORATED_ROOM), new = BUF(DECORATED_ROOM);
	const char *flaw = NULL;
	struct slice rest;

	decode_body(m->d.encoding, m->old_body, &old);
	decode_body(m->d.encoding, buf_slice(&m->body), &new);
	rest = slice_skip(buf_slice(&new), old.n);
	if (m->d.encoding != MIME_BASE64 && !slice_starts(buf_slice(&m->body), m->old_body))
		flaw = "the bytes of the text changed";
	else if (!slice_starts(buf_slice(&new), buf_slice(&old)))
		flaw = "the text changed";
	else if (old.n && old.p[old.n - 1] != '\n' && !slice_starts(rest, S("\r\n")))
		flaw = "the footer does not begin a line";
	else if (!slice_endsi(rest, footer) || rest.n > footer.n + 4)
		flaw = "something else than the footer was appended";
	buf_free(&old);
	buf_free(&new);
	return flaw;
}

static inline const char *
added_flaw(const struct decorated *m, struct slice boundary)
{
	static struct split old, new;

	split_body(m->old_body, boundary, &old);
	split_body(buf_slice(&m->body), boundary, &new);
	if (new.count != old.count + 1 || !new.closed || new.odd)
		return "the structure is broken";
	if (!slice_eq(old.preamble, new.preamble) || (old.closed && !slice_eq(old.epilogue, new.epilogue)))
		return "preamble or epilogue changed";
	for (size_t i = 0; i < old.count; i++)
		if (!slice_eq(old.parts[i], new.parts[i]))
			return "a part changed";
	if (!slice_eq(new.parts[old.count], slice_head(m->d.part, m->d.part.n - 2)))
		return "the last part is not the footer";
	return NULL;
}

/* Part one without its fields is the old body, and its fields are the old Content-*. */
static inline const char *
wrapped_flaw(const struct decorated *m, struct slice boundary)
{
	static struct split new;
	size_t fields = 0;

	split_body(buf_slice(&m->body), boundary, &new);
	if (new.count != 2 || !new.closed || new.odd || new.preamble.n || new.epilogue.n)
		return "the structure is broken";
	for (size_t i = 0; i < m->old.count; i++) {
		const struct field *f = &m->old.fields[i];

		if (!slice_startsi(f->name, S("content-")) || field_is(f, "content-length"))
			continue;
		if (!slice_starts(slice_skip(new.parts[0], fields), f->whole))
			return "a Content field changed";
		fields += f->whole.n;
		if (f->whole.p[f->whole.n - 1] != '\n')
			fields += 2;
	}
	if (!slice_starts(slice_skip(new.parts[0], fields), S("\r\n")) ||
	    !slice_eq(slice_skip(new.parts[0], fields + 2), m->old_body))
		return "the post changed";
	if (!slice_eq(new.parts[1], slice_head(m->d.part, m->d.part.n - 2)))
		return "the second part is not the footer";
	if (header_count(&m->edit.header, "content-type") != 1 || header_find(&m->edit.header, "mime-version") == NULL)
		return "the header does not say what the body is";
	return NULL;
}

static inline bool
may_change(const struct decorated *m, const struct field *f)
{
	return field_is(f, "subject") || field_is(f, "content-length") ||
	    (m->d.choice == DECORATE_WRAPPED && slice_startsi(f->name, S("content-")));
}

static inline const char *
header_flaw(const struct decorated *m)
{
	size_t at = 0;

	for (size_t i = 0; i < m->old.count; i++) {
		struct slice whole = m->old.fields[i].whole;

		if (may_change(m, &m->old.fields[i]))
			continue;
		while (at < m->edit.header.count && !slice_starts(m->edit.header.fields[at].whole, whole))
			at++;
		if (at++ == m->edit.header.count)
			return "a field is missing, changed or moved";
	}
	return NULL;
}

/* What is wrong with the result, or NULL. */
static inline const char *
decorated_flaw(const struct decorated *m)
{
	struct mime_entity e;

	if (m->d.size != m->body.n)
		return "the size is another one";
	if (header_flaw(m) != NULL)
		return header_flaw(m);
	mime_entity_of(&m->edit.header, m->arena, &e);
	switch (m->d.choice) {
	case DECORATE_APPENDED:
		return appended_flaw(m, m->d.text);
	case DECORATE_ADDED:
		return added_flaw(m, mime_boundary(&e.type));
	case DECORATE_WRAPPED:
		if (e.doubtful || !slice_eq(e.type.type, S("multipart")) || !slice_eq(e.type.subtype, S("mixed")))
			return "the header is not that of a multipart/mixed";
		return wrapped_flaw(m, mime_boundary(&e.type));
	default:
		return slice_eq(buf_slice(&m->body), m->old_body) ? NULL : "the body changed";
	}
}

#endif
