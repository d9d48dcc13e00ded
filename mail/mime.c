/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/mime.h"

/* --- what a header says ------------------------------------------------------ */

/* White space and comments; a comment is a doubt: half of the readers do not know them. */
static bool
skip_blank(struct slice *s, struct mime_value *v)
{
	while (s->n && is_space(*s->p))
		*s = slice_skip(*s, 1);
	if (s->n == 0 || *s->p != '(')
		return true;
	v->doubtful = true;
	return cfws_skip(s);
}

static bool
take_token(struct slice *s, struct arena *arena, struct slice *token)
{
	size_t n = 0;

	while (n < s->n && is_token_char(s->p[n]))
		n++;
	*token = arena_lower(arena, slice_head(*s, n));
	*s = slice_skip(*s, n);
	return n > 0 && token->p != NULL;
}

/* Parameters that say how the body is read: about these there may be no doubt. */
static bool
decides(struct slice name)
{
	name = slice_head(name, slice_find(name, '*'));
	return slice_eq(name, S("boundary")) || slice_eq(name, S("charset")) ||
	    slice_eq(name, S("format"));
}

static bool
is_known(const struct mime_value *v, struct slice name)
{
	for (size_t i = 0; i < v->count; i++)
		if (slice_eq(v->parameters[i].name, name))
			return true;
	return false;
}

/* A token with letters in it that ask for quotes: read by all, if nothing decides by it. */
static size_t
loose_length(struct slice s, bool *proper)
{
	size_t n = 0;

	*proper = true;
	while (n < s.n && !is_space(s.p[n]) && strchr(";(\"", s.p[n]) == NULL)
		*proper = is_token_char(s.p[n++]) && *proper;
	return n;
}

static bool
take_parameter_value(struct slice *s, struct mime_value *v, struct arena *arena,
    struct mime_parameter *p)
{
	size_t n = quoted_length(*s, true);
	struct slice raw;
	bool proper;

	if (n > 0) {
		raw = slice_head(*s, n);
		p->value = quoted_text(raw, arena);
		proper = slice_find(raw, '\\') == n && slice_find(raw, '\n') == n;
	} else {
		n = loose_length(*s, &proper);
		p->value = slice_head(*s, n);
	}
	*s = slice_skip(*s, n);
	if (decides(p->name) && (!proper || is_known(v, p->name) ||
	    slice_find(p->name, '*') < p->name.n))
		v->doubtful = true;
	return n > 0 && p->value.p != NULL;
}

/* ";" attribute "=" value; a lonely ";" at the end is written every day. */
static bool
take_parameter(struct slice *s, struct mime_value *v, struct arena *arena)
{
	struct mime_parameter p;

	if (*s->p != ';')
		return false;
	*s = slice_skip(*s, 1);
	if (!skip_blank(s, v))
		return false;
	if (s->n == 0)
		return true;
	if (!take_token(s, arena, &p.name) || s->n == 0 || *s->p != '=')
		return false;
	*s = slice_skip(*s, 1);
	if (!take_parameter_value(s, v, arena, &p) || v->count == MIME_PARAMETERS)
		return false;
	v->parameters[v->count++] = p;
	return skip_blank(s, v);
}

static bool
take_type(struct slice *s, struct mime_value *v, struct arena *arena)
{
	if (!skip_blank(s, v) || !take_token(s, arena, &v->type))
		return false;
	if (s->n && *s->p == '/') {
		*s = slice_skip(*s, 1);
		if (!take_token(s, arena, &v->subtype))
			return false;
	}
	return skip_blank(s, v);
}

void
mime_value_parse(struct mime_value *v, struct slice s, struct arena *arena)
{
	bool good;

	*v = (struct mime_value){ 0 };
	good = take_type(&s, v, arena);
	while (good && s.n)
		good = take_parameter(&s, v, arena);
	v->doubtful = v->doubtful || !good;
}

struct slice
mime_parameter(const struct mime_value *v, const char *name)
{
	for (size_t i = 0; i < v->count; i++)
		if (slice_eq(v->parameters[i].name, slice(name)))
			return v->parameters[i].value;
	return NONE;
}

static enum mime_encoding
encoding_named(struct slice name)
{
	static const struct { struct slice name; enum mime_encoding encoding; } names[] = {
		{ S_INIT("7bit"), MIME_7BIT }, { S_INIT("8bit"), MIME_8BIT },
		{ S_INIT("binary"), MIME_BINARY }, { S_INIT("base64"), MIME_BASE64 },
		{ S_INIT("quoted-printable"), MIME_QUOTED_PRINTABLE },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_eqi(name, names[i].name))
			return names[i].encoding;
	return MIME_OTHER;
}

void
mime_entity_of(const struct header *h, struct arena *arena, struct mime_entity *e)
{
	const struct field *type = header_find(h, "content-type");
	const struct field *encoding = header_find(h, "content-transfer-encoding");
	const struct field *disposition = header_find(h, "content-disposition");
	struct mime_value where;

	*e = (struct mime_entity){ .encoding = MIME_7BIT };
	e->type.type = S("text"), e->type.subtype = S("plain");
	if (type != NULL)
		mime_value_parse(&e->type, type->value, arena);
	if (encoding != NULL)
		e->encoding = encoding_named(slice_trim(encoding->value));
	if (disposition != NULL) {
		mime_value_parse(&where, disposition->value, arena);
		e->attached = !slice_eq(where.type, S("inline"));
	}
	e->doubtful = e->type.doubtful || e->type.subtype.n == 0 ||
	    header_count(h, "content-type") > 1 ||
	    header_count(h, "content-transfer-encoding") > 1 ||
	    header_count(h, "content-disposition") > 1;
}

/* --- where parts begin ------------------------------------------------------- */

/*
 * RFC 2046 5.1.1 has 1 to 70 of certain letters, not ending with a blank.  In
 * the field they are often others, and more; what is printable is found by all.
 */
struct slice
mime_boundary(const struct mime_value *v)
{
	struct slice b = mime_parameter(v, "boundary");

	if (b.n == 0 || b.n > BOUNDARY_MOST || is_wsp(b.p[b.n - 1]))
		return NONE;
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < ' ' || b.p[i] > '~')
			return NONE;
	return b;
}

enum {
	MATCHING,       /* at the start of a line: so far it is "--" and the boundary */
	MATCHED,        /* all of that was there */
	DASH,           /* and a hyphen */
	PADDING,        /* and another one, or white space */
	ENDING,         /* and a CR */
	ENDED,          /* and a LF */
	BETWEEN,        /* inside a line that is no delimiter */
};

static void
line_begins(struct multipart *m)
{
	m->at = MATCHING;
	m->begun = m->taken;
	m->matched = 0;
	m->closes = m->cr = false;
}

void
multipart_begin(struct multipart *m, struct slice boundary)
{
	*m = (struct multipart){ .boundary = boundary };
	line_begins(m);
}

/* Inside a line that is no delimiter: to its end, or to the end of the input. */
static void
skip_line(struct multipart *m, struct slice *input)
{
	size_t n = slice_find(*input, '\n');
	struct slice line = slice_head(*input, n);
	bool ends = n < input->n, cr = n > 0 ? line.p[n - 1] == '\r' : m->cr;
	bool crlf = ends && cr;

	/* m->cr: what came last ended with a CR, and only a LF makes that a line end. */
	m->stray = m->stray || (m->cr && n > 0) || slice_find(line, '\r') + 1 < n ||
	    (ends && !crlf) || slice_find(line, '\0') < n;
	m->cr = !ends && cr;
	m->taken += n + ends;
	*input = slice_skip(*input, n + ends);
	if (crlf)
		line_begins(m);
}

static char
wanted_byte(const struct multipart *m)
{
	return m->matched < 2 ? '-' : m->boundary.p[m->matched - 2];
}

/* delimiter := "--" boundary ["--"] *LWSP CRLF; where byte c leads, BETWEEN if it is none of it. */
static int
led_by(const struct multipart *m, char c)
{
	switch (m->at) {
	case MATCHING:
		if (c != wanted_byte(m))
			return BETWEEN;
		return m->matched + 1 < m->boundary.n + 2 ? MATCHING : MATCHED;
	case MATCHED:
		return c == '-' ? DASH : is_wsp(c) ? PADDING : c == '\r' ? ENDING : BETWEEN;
	case DASH:
		return c == '-' ? PADDING : BETWEEN;
	case PADDING:
		return is_wsp(c) ? PADDING : c == '\r' ? ENDING : BETWEEN;
	case ENDING:
		return c == '\n' ? ENDED : BETWEEN;
	default:
		return BETWEEN;
	}
}

/* What looked like a delimiter goes on as none: the next byte is not taken yet. */
static void
give_up(struct multipart *m)
{
	m->odd = m->odd || m->at != MATCHING;
	m->stray = m->stray || m->at == ENDING;
	m->at = BETWEEN;
}

static void
delimiter_ends(struct multipart *m)
{
	m->line = m->begun;
	m->closed = m->closes;
	m->parts += !m->closes;
	line_begins(m);
}

bool
multipart_next(struct multipart *m, struct slice *input)
{
	while (input->n && !m->closed) {
		int to = m->at == BETWEEN ? BETWEEN : led_by(m, *input->p);

		if (m->at == BETWEEN) {
			skip_line(m, input);
		} else if (to == BETWEEN) {
			give_up(m);
		} else {
			m->taken++;
			*input = slice_skip(*input, 1);
			m->matched += m->at == MATCHING;
			m->closes = m->closes || m->at == DASH;
			m->at = to;
			if (to == ENDED) {
				delimiter_ends(m);
				return true;
			}
		}
	}
	m->taken += input->n;
	*input = slice_skip(*input, input->n);
	return false;
}

bool
multipart_finish(struct multipart *m)
{
	m->stray = m->stray || m->cr || m->at == ENDING;
	m->odd = m->odd || m->at == DASH;
	if (m->at != MATCHED && m->at != PADDING && m->at != ENDING)
		return false;
	delimiter_ends(m);
	return true;
}

/* --- text in transfer encodings ------------------------------------------------ */

enum { LINE_MOST = 76, BYTES_A_LINE = LINE_MOST / 4 * 3 };

/* RFC 2045 6.7 rules 2 and 3: white space may not end a line. */
static bool
stands_for_itself(struct slice line, size_t at)
{
	char c = line.p[at];

	return is_wsp(c) ? at + 1 < line.n : c > ' ' && c <= '~' && c != '=';
}

static void
add_printable_line(struct buf *b, struct slice line)
{
	size_t column = 0;

	for (size_t i = 0; i < line.n; i++) {
		bool itself = stands_for_itself(line, i);
		size_t width = itself ? 1 : 3, last = i + 1 == line.n;

		if (column + width + !last > LINE_MOST) {       /* rule 5 */
			buf_add(b, S("=\r\n"));
			column = 0;
		}
		if (itself)
			buf_byte(b, line.p[i]);
		else
			buf_printf(b, "=%02X", (unsigned char)line.p[i]);
		column += width;
	}
	buf_add(b, S("\r\n"));
}

void
quoted_printable_add(struct buf *b, struct slice text)
{
	struct slice line;

	while (slice_cut(&text, '\n', &line))
		add_printable_line(b, slice_endsi(line, S("\r")) ? slice_head(line, line.n - 1) : line);
}

static int
hex_value(char c)
{
	c = to_lower(c);
	return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A line without its end; false when the next one goes on in it (rule 5). */
static bool
decode_line(struct buf *b, struct slice line)
{
	while (line.n > 0 && is_wsp(line.p[line.n - 1]))        /* rule 3: added on the way */
		line.n--;
	for (size_t i = 0; i < line.n; i++) {
		int high = i + 2 < line.n ? hex_value(line.p[i + 1]) : -1;
		int low = i + 2 < line.n ? hex_value(line.p[i + 2]) : -1;

		if (line.p[i] == '=' && i + 1 == line.n)
			return false;
		if (line.p[i] != '=' || high == -1 || low == -1) {
			buf_byte(b, line.p[i]);
			continue;
		}
		buf_byte(b, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}

void
quoted_printable_decode(struct buf *b, struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, '\n');
		struct slice line = slice_head(text, n), end = n < text.n ? S("\n") : NONE;

		text = slice_skip(text, n + 1);
		if (slice_endsi(line, S("\r"))) {
			line.n--;
			end = end.n > 0 ? S("\r\n") : S("\r");
		}
		if (decode_line(b, line))
			buf_add(b, end);
	}
}

void
base64_lines_add(struct buf *b, struct slice bytes)
{
	for (; bytes.n; bytes = slice_skip(bytes, BYTES_A_LINE)) {
		base64_add(b, slice_head(bytes, BYTES_A_LINE));
		buf_add(b, S("\r\n"));
	}
}
