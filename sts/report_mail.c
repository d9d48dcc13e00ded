/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/clock.h"
#include "base/gzip.h"
#include "base/text.h"
#include "mail/date.h"
#include "mail/lines.h"
#include "mail/mime.h"
#include "sts/report_mail.h"

enum { DEPTH_MOST = 5, PARTS_MOST = 100, URI_MOST = 1000 };

/* --- writing ------------------------------------------------------------------------ */

/* "sender!policy-domain!begin!end!unique.json.gz" (RFC 8460 5.1) */
static struct slice
file_name(const struct tlsrpt_letter *l, struct arena *arena)
{
	struct slice unique = slice_head(l->id, slice_find(l->id, '@'));

	return arena_printf(arena, "%.*s!%.*s!%lld!%lld!%.*s.json.gz", FMT(l->submitter), FMT(l->domain),
	    (long long)(l->begin / SECOND), (long long)(l->end / SECOND), FMT(unique));
}

static void
write_header(const struct tlsrpt_letter *l, struct buf *b)
{
	char date[DATE_TEXT + 1];

	date_text(l->now, date);
	buf_printf(b, "From: <%.*s>\r\nTo: <%.*s>\r\n", FMT(l->contact), FMT(l->to));
	buf_printf(b, "Subject: Report Domain: %.*s\r\n\tSubmitter: %.*s\r\n\tReport-ID: <%.*s>\r\n",
	    FMT(l->domain), FMT(l->submitter), FMT(l->id));
	buf_printf(b, "Date: %s\r\nMessage-ID: <%.*s>\r\n", date, FMT(l->id));
	buf_printf(b, "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %.*s\r\n", FMT(l->domain),
	    FMT(l->submitter));
	/* It may tell that TLS does not work there: it must arrive without (RFC 8460 3, RFC 8689 3). */
	buf_add(b, S("TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"));
}

void
tlsrpt_letter_write(const struct tlsrpt_letter *l, struct arena *arena, struct buf *b)
{
	struct slice name = file_name(l, arena);
	struct slice boundary = arena_printf(arena, "=_%.*s", FMT(slice_head(l->id, slice_find(l->id, '@'))));

	write_header(l, b);
	buf_printf(b, "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
	    "\tboundary=\"%.*s\"\r\n\r\n", FMT(boundary));
	buf_printf(b, "--%.*s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", FMT(boundary));
	buf_printf(b, "This is an aggregate report on TLS sessions with %.*s,\r\n"
	    "from %.*s (RFC 8460).\r\n\r\n",
	    FMT(l->domain), FMT(l->submitter));
	buf_printf(b, "--%.*s\r\nContent-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n\tfilename=\"%.*s\"\r\n\r\n", FMT(boundary), FMT(name));
	base64_lines_add(b, l->gzip);
	buf_printf(b, "\r\n--%.*s--\r\n", FMT(boundary));
}

/* --- mailto: -------------------------------------------------------------------------- */

static bool
add_decoded(struct buf *b, struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		struct slice hex = slice_head(slice_skip(text, i + 1), 2);

		if (text.p[i] != '%') {
			buf_byte(b, text.p[i]);
			continue;
		}
		if (hex.n != 2 || !hex_decode(b, hex))
			return false;
		i += 2;
	}
	return !b->full;
}

bool
tlsrpt_mailto(struct slice uri, struct arena *arena, struct address *to)
{
	struct buf text = BUF(URI_MOST);
	struct slice rest;
	bool ok;

	if (!slice_startsi(uri, S("mailto:")))
		return false;
	rest = slice_skip(uri, 7);
	rest = slice_head(rest, slice_find(rest, '?'));
	rest = slice_head(rest, slice_find(rest, ','));
	ok = add_decoded(&text, rest) && ascii_only(buf_slice(&text)) &&
	    address_parse(arena_copy(arena, buf_slice(&text)), arena, to) && to->domain.n > 0;
	buf_free(&text);
	return ok;
}

/* --- opening ---------------------------------------------------------------------------- */

struct opening {
	struct arena *arena;
	struct buf   *json;
	struct error *why;
	unsigned      depth, parts;
};

static bool open_entity(struct opening *o, struct slice entity);

static bool
unzip_or_copy(struct opening *o, struct slice bytes)
{
	if (is_gzip(bytes))
		return gunzip_add(o->json, bytes, o->why);
	return buf_add(o->json, bytes) || error_set(o->why, "the report is too large");
}

static bool
decode(struct opening *o, enum mime_encoding encoding, struct slice body)
{
	struct buf bytes = BUF(TLSRPT_REPORT_MOST);
	bool ok;

	if (encoding == MIME_OTHER)
		return error_set(o->why, "the report is in an unknown transfer encoding");
	if (encoding == MIME_BASE64)
		ok = base64_decode(&bytes, body) || error_set(o->why, "the report is no proper base64");
	else if (encoding == MIME_QUOTED_PRINTABLE)
		ok = (quoted_printable_decode(&bytes, body), !bytes.full) ||
		    error_set(o->why, "the report is too large");
	else
		return unzip_or_copy(o, body);
	ok = ok && unzip_or_copy(o, buf_slice(&bytes));
	buf_free(&bytes);
	return ok;
}

static bool
ends_so(struct slice name)
{
	return slice_endsi(name, S(".json")) || slice_endsi(name, S(".json.gz"));
}

/* Who knows no media type of it names the file as RFC 8460 5.1 wants it. */
static bool
is_named_so(const struct header *h, const struct mime_value *type, struct arena *arena)
{
	const struct field *f = header_find(h, "Content-Disposition");
	struct mime_value disposition = { .count = 0 };

	if (f != NULL)
		mime_value_parse(&disposition, f->value, arena);
	return slice_eq(type->type, S("application")) && slice_eq(type->subtype, S("octet-stream")) &&
	    (ends_so(mime_parameter(type, "name")) || ends_so(mime_parameter(&disposition, "filename")));
}

/* RFC 8460 6.4, 6.5, and what is sent instead. */
static bool
holds_report(const struct mime_value *type)
{
	static const char *const subtypes[] = {
		"tlsrpt+gzip", "tlsrpt+json", "tlsrpt", "gzip", "x-gzip", "json",
	};

	for (size_t i = 0; i < sizeof subtypes / sizeof *subtypes; i++)
		if (slice_eq(type->type, S("application")) && slice_eq(type->subtype, slice(subtypes[i])))
			return true;
	return false;
}

/* The first part that holds one. */
static bool
open_parts(struct opening *o, struct slice boundary, struct slice body)
{
	struct slice left = body;
	struct multipart m;
	uint64_t begun = 0;

	multipart_begin(&m, boundary);
	while (multipart_next(&m, &left) || multipart_finish(&m)) {
		uint64_t end = m.line >= begun + 2 ? m.line - 2 : begun;
		struct slice part = slice_head(slice_skip(body, (size_t)begun), (size_t)(end - begun));

		if (begun > 0 && open_entity(o, part))
			return true;
		if (m.closed || left.n == 0 || ++o->parts > PARTS_MOST)
			return false;
		begun = m.taken;
	}
	/* The closing delimiter is missing: the last part goes to the end. */
	return begun > 0 && open_entity(o, slice_skip(body, (size_t)begun));
}

static bool
open_entity(struct opening *o, struct slice entity)
{
	size_t header = header_length(entity);
	struct slice body = slice_skip(entity, header + 2), boundary;
	struct mime_entity e;
	struct header h;
	bool found = false;

	if (o->depth == DEPTH_MOST || !header_parse(&h, slice_head(entity, header), o->arena, NULL))
		return false;
	mime_entity_of(&h, o->arena, &e);
	boundary = slice_eq(e.type.type, S("multipart")) ? mime_boundary(&e.type) : NONE;
	o->depth++;
	if (boundary.n > 0)
		found = open_parts(o, boundary, body);
	else if (holds_report(&e.type) || is_named_so(&h, &e.type, o->arena))
		found = decode(o, e.encoding, body);
	o->depth--;
	return found;
}

/* What a mail program saved as a file of its own may begin with "From " (RFC 4155). */
static struct slice
without_from_line(struct slice message)
{
	size_t end = slice_find(message, '\n');

	return slice_starts(message, S("From ")) && end < message.n ? slice_skip(message, end + 1) : message;
}

static bool
open_message(struct opening *o, struct slice file)
{
	struct text framer = { .counted = true, .bare = BARE_REPAIR };
	struct buf message = BUF(2 * TLSRPT_REPORT_MOST);
	struct slice piece;
	bool found;

	while (text_next(&framer, &file, &piece))
		buf_add(&message, piece);
	buf_add(&message, text_finish(&framer));
	error_set(o->why, "there is no report on TLS in it");
	found = !message.full && open_entity(o, without_from_line(buf_slice(&message)));
	buf_free(&message);
	return found;
}

bool
tlsrpt_open(struct slice file, struct arena *arena, struct buf *json, struct error *why)
{
	struct error unsaid;
	struct opening o = { arena, json, why != NULL ? why : &unsaid, 0, 0 };
	struct slice trimmed = slice_trim(json_without_mark(file));

	if (is_gzip(file))
		return gunzip_add(json, file, o.why);
	if (trimmed.n > 0 && *trimmed.p == '{')
		return unzip_or_copy(&o, file);
	return open_message(&o, file);
}
