/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/text.h"
#include "mail/decorate.h"
#include "mail/words.h"

const char *
decorate_choice_name(enum decorate_choice choice)
{
	static const char *const names[] = { "left as it is", "appended", "part added", "wrapped" };

	return names[choice];
}

/* --- what is put on ----------------------------------------------------------- */

static bool
has_controls(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static bool
footer_check(struct slice footer, struct error *why)
{
	struct slice line;

	if (footer.n > FOOTER_MOST)
		return error_set(why, "the footer is longer than %d octets", FOOTER_MOST);
	if (!utf8_valid(footer))
		return error_set(why, "the footer is not UTF-8");
	while (slice_cut(&footer, '\n', &line)) {
		if (line.n > FOOTER_LINE_MOST)
			return error_set(why, "a line of the footer is longer than %d octets",
			    FOOTER_LINE_MOST);
		for (size_t i = 0; i < line.n; i++)
			if (line.p[i] != '\t' && has_controls(slice_of(line.p + i, 1)))
				return error_set(why, "the footer holds control characters");
	}
	return true;
}

bool
decoration_check(struct slice tag, struct slice footer, struct error *why)
{
	if (tag.n > TAG_MOST)
		return error_set(why, "the tag is longer than %d octets", TAG_MOST);
	if (!utf8_valid(tag) || has_controls(tag))
		return error_set(why, "the tag is not printable UTF-8");
	return footer_check(footer, why);
}

/* RFC 2046 5.1.1: 0*69<bchars> bcharsnospace */
static bool
boundary_good(struct slice b)
{
	for (size_t i = 0; i < b.n; i++)
		if (!is_alnum(b.p[i]) && (b.p[i] == '\0' || strchr("'()+_,-./:=? ", b.p[i]) == NULL))
			return false;
	return b.n > 0 && b.n <= 70 && b.p[b.n - 1] != ' ';
}

/* A buf that holds all it was given, as a slice in the arena; NONE: no room. */
static struct slice
kept(struct buf *b, struct arena *arena)
{
	struct slice s = b->full ? NONE : arena_copy(arena, buf_slice(b));

	buf_free(b);
	return s;
}

static struct slice
with_crlf(struct slice text, struct arena *arena)
{
	struct buf b = BUF(2 * text.n + 2);
	struct slice line;

	while (slice_cut(&text, '\n', &line)) {
		buf_add(&b, line);
		buf_add(&b, S("\r\n"));
	}
	return kept(&b, arena);
}

/* Seven bits in any case: it must not change what the message asks of its transport. */
static struct slice
footer_part(struct slice text, struct arena *arena)
{
	struct buf b = BUF(5 * text.n + 1000);
	bool ascii = ascii_only(text);

	buf_printf(&b, "Content-Type: text/plain; charset=%s\r\n", ascii ? "us-ascii" : "utf-8");
	if (!ascii)
		buf_add(&b, S("Content-Transfer-Encoding: quoted-printable\r\n"));
	buf_add(&b, S("Content-Disposition: inline\r\n\r\n"));
	if (ascii)
		buf_add(&b, text);
	else
		quoted_printable_add(&b, text);
	return kept(&b, arena);
}

/* --- what can be done ------------------------------------------------------------ */

static bool
is_type(const struct mime_entity *e, struct slice type, struct slice subtype)
{
	return slice_eq(e->type.type, type) && slice_eq(e->type.subtype, subtype);
}

/* Why text/plain cannot be continued with the footer; empty: it can. */
static struct slice
why_not_appended(const struct mime_entity *e, const struct header *h, bool ascii)
{
	struct slice charset = mime_parameter(&e->type, "charset");
	struct slice format = mime_parameter(&e->type, "format");
	bool utf8 = slice_eqi(charset, S("utf-8")) || slice_eqi(charset, S("utf8"));

	if (e->attached)
		return S("the text is an attachment");
	if (charset.n > 0 && !utf8 && !slice_eqi(charset, S("us-ascii")))
		return S("another charset");
	if (format.n > 0 && !slice_eqi(format, S("fixed")))
		return S("flowed text");                                /* RFC 3676 */
	if (e->encoding == MIME_BINARY || e->encoding == MIME_OTHER)
		return S("the transfer encoding");
	if (!ascii && (!utf8 || e->encoding == MIME_7BIT))
		return S("the footer is not ASCII");
	if (header_find(h, "content-md5") != NULL)
		return S("a checksum");                                 /* RFC 1864 */
	return NONE;
}

static bool
delimiter_in(struct slice text, struct slice boundary)
{
	struct multipart m;
	bool found;

	multipart_begin(&m, boundary);
	found = multipart_next(&m, &text);
	return multipart_finish(&m) || found || m.odd;
}

/* The same for a last part in a multipart/mixed. */
static struct slice
why_not_added(const struct decorate *d, const struct mime_entity *e)
{
	struct slice boundary = mime_boundary(&e->type);

	if (e->encoding > MIME_BINARY)                                  /* RFC 2045 6.4 */
		return S("an encoded multipart");
	if (boundary.n == 0)
		return S("no proper boundary");
	if (delimiter_in(d->part, boundary))
		return S("the boundary stands in the footer");
	return NONE;
}

/* What the header allows; the body may still forbid it. */
static void
choose(struct decorate *d, const struct mime_entity *e)
{
	d->choice = DECORATE_WRAPPED;
	if (e->doubtful) {
		d->reason = S("a doubtful header");
	} else if (is_type(e, S("text"), S("plain"))) {
		d->reason = why_not_appended(e, d->header, ascii_only(d->text));
		if (d->reason.n == 0)
			d->choice = DECORATE_APPENDED;
	} else if (is_type(e, S("multipart"), S("mixed"))) {
		d->reason = why_not_added(d, e);
		if (d->reason.n == 0)
			d->choice = DECORATE_ADDED;
	} else {
		d->reason = arena_printf(d->arena, "%.*s/%.*s", FMT(e->type.type),
		    FMT(e->type.subtype));
	}
}

bool
decorate_begin(struct decorate *d, const struct decoration *what, const struct header *header,
    struct arena *arena, struct error *why)
{
	struct mime_entity entity;

	*d = (struct decorate){ .what = what, .header = header, .arena = arena };
	if (!decoration_check(what->tag, what->footer, why))
		return false;
	if (what->footer.n == 0)
		return true;
	if (!boundary_good(what->boundary))
		return error_set(why, "the boundary is none");
	d->text = with_crlf(what->footer, arena);
	d->part = footer_part(d->text, arena);
	if (d->text.p == NULL || d->part.p == NULL)
		return error_set(why, "no room for the footer");
	if (delimiter_in(d->part, what->boundary))
		return error_set(why, "the boundary stands in the footer");
	mime_entity_of(header, arena, &entity);
	d->encoding = entity.encoding;
	choose(d, &entity);
	if (d->choice == DECORATE_APPENDED)
		joint_begin(&d->joint, entity.encoding);
	if (d->choice == DECORATE_ADDED)
		multipart_begin(&d->theirs, mime_boundary(&entity.type));
	multipart_begin(&d->ours, what->boundary);
	return true;
}

static void
find_delimiters(struct multipart *m, struct slice body)
{
	while (multipart_next(m, &body))
		;
}

void
decorate_look(struct decorate *d, struct slice body)
{
	d->taken += body.n;
	if (d->choice == DECORATE_LEFT)
		return;
	if (d->choice == DECORATE_APPENDED)
		joint_look(&d->joint, body);
	if (d->choice == DECORATE_ADDED)
		find_delimiters(&d->theirs, body);
	find_delimiters(&d->ours, body);
}

/* --- the new body ----------------------------------------------------------------- */

static bool
plan_appended(struct decorate *d)
{
	struct buf b = BUF(8 * d->text.n + 100);

	d->resume = d->taken;
	if (joint_make(&d->joint, d->text, &b, &d->at)) {
		d->insert = kept(&b, d->arena);
		return true;
	}
	buf_free(&b);
	d->reason = S("broken base64");
	return false;
}

static void
add_part(struct buf *b, struct slice boundary, struct slice part)
{
	buf_printf(b, "--%.*s\r\n", FMT(boundary));
	buf_add(b, part);
}

/*
 * Where the close stood, or at the end, closing what was left open.  The CRLF
 * before the close becomes that of our delimiter, so no part is changed.
 */
static bool
plan_added(struct decorate *d)
{
	struct multipart *m = &d->theirs;
	struct buf b = BUF(d->part.n + 3 * BOUNDARY_MOST);

	multipart_finish(m);
	if (m->parts == 0 || m->odd || m->stray) {
		d->reason = m->parts == 0 ? S("a multipart without parts")
		    : m->odd ? S("lines that begin like delimiters") : S("bare line ends");
		return false;
	}
	d->at = d->resume = m->closed ? m->line : d->taken;
	if (!m->closed)
		buf_add(&b, S("\r\n"));
	add_part(&b, m->boundary, d->part);
	if (!m->closed)
		buf_printf(&b, "--%.*s--\r\n", FMT(m->boundary));
	d->insert = kept(&b, d->arena);
	return true;
}

static bool
describes_content(const struct field *f)
{
	return slice_startsi(f->name, S("content-"));
}

static bool
is_content_length(const struct field *f)
{
	return field_is(f, "content-length");
}

/* The old body with its own Content-* fields is a part; what it said of itself is still true. */
static void
plan_wrapped(struct decorate *d, const struct edit *e)
{
	struct slice boundary = d->what->boundary;
	struct buf b = BUF(edit_size(e) + d->part.n + 1000);

	buf_printf(&b, "--%.*s\r\n", FMT(boundary));
	for (size_t i = 0; i < e->header.count; i++)
		if (describes_content(&e->header.fields[i]) &&
		    !is_content_length(&e->header.fields[i]))
			buf_add(&b, e->header.fields[i].whole);
	buf_add(&b, S("\r\n"));
	d->before = arena_copy(d->arena, buf_slice(&b));
	buf_clear(&b);
	buf_add(&b, S("\r\n"));
	add_part(&b, boundary, d->part);
	buf_printf(&b, "--%.*s--\r\n", FMT(boundary));
	d->at = d->resume = d->taken;
	d->insert = kept(&b, d->arena);
	d->choice = DECORATE_WRAPPED;
}

/* --- the new header ---------------------------------------------------------------- */

/* RFC 2045 6.4: a multipart is not encoded, but it says what its parts may hold. */
static void
describe_wrapping(const struct decorate *d, struct edit *e)
{
	struct buf b = BUF(1000);

	edit_remove(e, describes_content);
	if (header_find(&e->header, "mime-version") == NULL)
		edit_add(e, S("MIME-Version: 1.0\r\n"));
	buf_printf(&b, "Content-Type: multipart/mixed;\r\n\tboundary=\"%.*s\"\r\n",
	    FMT(d->what->boundary));
	edit_add_buf(e, &b);
	if (d->encoding == MIME_8BIT)
		edit_add(e, S("Content-Transfer-Encoding: 8bit\r\n"));
	if (d->encoding == MIME_BINARY)
		edit_add(e, S("Content-Transfer-Encoding: binary\r\n"));
}

static bool
contains(struct slice text, struct slice word)
{
	for (; text.n >= word.n; text = slice_skip(text, 1))
		if (slice_startsi(text, word))
			return true;
	return false;
}

/* Also in "Re: [members] x" and "=?utf-8?q?AW:_[members]_=C3=BC?=". */
static bool
is_tagged(struct slice value, struct slice tag)
{
	struct buf says = BUF(value.n);
	bool found;

	words_decode(&says, value);
	found = contains(buf_slice(&says), tag);
	buf_free(&says);
	return found;
}

/* The blank between two encoded words is none (RFC 2047 6.2): it must stand in one of them. */
static void
add_tag(struct buf *b, struct slice tag, struct slice before)
{
	char text[TAG_MOST + 1];
	size_t n = tag.n;

	if (ascii_only(tag)) {
		buf_add(b, tag);
		return;
	}
	memcpy(text, tag.p, tag.n);
	if (encoded_word_length(before) > 0)
		text[n++] = ' ';
	words_encode(b, slice_of(text, n));
}

/* Folds of the old subject stay where they were; a first line that would be long gets one. */
static void
tag_subject(struct edit *e, const struct field *f, struct slice tag)
{
	struct slice rest = slice_trim(f->value);
	struct buf b = BUF(f->whole.n + 8 * TAG_MOST);
	size_t line = slice_find(rest, '\r');

	if (is_tagged(f->value, tag))
		return;
	buf_printf(&b, "%.*s: ", FMT(f->name));
	add_tag(&b, tag, rest);
	if (rest.n > 0)
		buf_add(&b, b.n + 1 + line > 78 ? S("\r\n ") : S(" "));
	buf_add(&b, rest);
	buf_add(&b, S("\r\n"));
	edit_replace_buf(e, f, &b);
}

static void
tag_header(struct edit *e, struct slice tag)
{
	const struct field *f = header_find(&e->header, "subject");
	struct buf b = BUF(8 * TAG_MOST);

	if (f != NULL) {
		tag_subject(e, f, tag);
		return;
	}
	buf_add(&b, S("Subject: "));
	add_tag(&b, tag, NONE);
	buf_add(&b, S("\r\n"));
	edit_add_buf(e, &b);
}

/* --- both ---------------------------------------------------------------------------- */

static bool
boundary_seen(struct multipart *m)
{
	return multipart_finish(m) || m->parts > 0 || m->closed || m->odd;
}

bool
decorate_plan(struct decorate *d, struct edit *e, struct error *why)
{
	d->at = d->resume = d->taken;
	if (d->what->tag.n > 0)
		tag_header(e, d->what->tag);
	if (d->choice != DECORATE_LEFT) {
		if (!(d->choice == DECORATE_APPENDED && plan_appended(d)) &&
		    !(d->choice == DECORATE_ADDED && plan_added(d))) {
			if (boundary_seen(&d->ours))
				return error_set(why, "the boundary stands in the message");
			plan_wrapped(d, e);
			describe_wrapping(d, e);
		}
		edit_remove(e, is_content_length);
	}
	if (e->full || (d->choice != DECORATE_LEFT && d->insert.p == NULL) ||
	    (d->choice == DECORATE_WRAPPED && d->before.p == NULL))
		return error_set(why, "no room for the new message");
	d->size = d->before.n + d->at + d->insert.n + (d->taken - d->resume);
	return true;
}

static bool
give(struct slice *once, struct slice *piece)
{
	*piece = *once;
	*once = NONE;
	return piece->n > 0;
}

/* What of the body comes next, at most up to place `end`. */
static struct slice
take_body(struct decorate *d, struct slice *input, uint64_t end)
{
	uint64_t left = end - d->given;
	struct slice piece = slice_head(*input, left < input->n ? (size_t)left : input->n);

	*input = slice_skip(*input, piece.n);
	d->given += piece.n;
	return piece;
}

bool
decorate_next(struct decorate *d, struct slice *input, struct slice *piece)
{
	if (give(&d->before, piece))
		return true;
	if (d->given < d->at) {
		*piece = take_body(d, input, d->at);
		return piece->n > 0;
	}
	if (give(&d->insert, piece))
		return true;
	if (d->given < d->resume)
		take_body(d, input, d->resume);
	bug_if(input->n > d->taken - d->given);
	*piece = take_body(d, input, d->taken);
	return piece->n > 0;
}
