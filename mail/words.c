/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/words.h"

/* --- reading -------------------------------------------------------------- */

struct word {
	struct slice charset, encoding, text;
};

/* The printable bytes up to a '?', taken with it off the front of *s. */
static bool
take_part(struct slice *s, struct slice *part)
{
	size_t n = 0;

	while (n < s->n && s->p[n] > ' ' && s->p[n] != '?' && s->p[n] != 0x7f)
		n++;
	if (n == s->n || s->p[n] != '?')
		return false;
	*part = slice_head(*s, n);
	*s = slice_skip(*s, n + 1);
	return true;
}

/* encoded-word = "=?" charset "?" encoding "?" encoded-text "?=" (RFC 2047 2); its length */
static size_t
read_word(struct slice s, struct word *w)
{
	struct slice rest = slice_skip(s, 2);

	if (!slice_starts(s, S("=?")) || !take_part(&rest, &w->charset) ||
	    !take_part(&rest, &w->encoding) || !take_part(&rest, &w->text))
		return 0;
	if (w->charset.n == 0 || rest.n == 0 || *rest.p != '=')
		return 0;
	if (!slice_eqi(w->encoding, S("q")) && !slice_eqi(w->encoding, S("b")))
		return 0;
	return s.n - rest.n + 1;
}

size_t
encoded_word_length(struct slice s)
{
	struct word w;

	return read_word(s, &w);
}

/* RFC 2047 4.2; an escape that is none stands for itself. */
static void
decode_q(struct buf *b, struct slice text)
{
	for (; text.n; text = slice_skip(text, 1)) {
		if (*text.p == '=' && text.n > 2 &&
		    hex_decode(b, slice_head(slice_skip(text, 1), 2)))
			text = slice_skip(text, 2);
		else
			buf_byte(b, *text.p == '_' ? ' ' : *text.p);
	}
}

static void
decode_word(struct buf *b, const struct word *w)
{
	size_t before = b->n;

	if (slice_eqi(w->encoding, S("q"))) {
		decode_q(b, w->text);
	} else if (!base64_decode(b, w->text)) {
		b->n = before;
		buf_add(b, w->text);
	}
}

/* Folding white space is the white space in it (RFC 5322 2.2.3). */
static void
add_unfolded(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_byte(b, s.p[i]);
}

void
words_decode(struct buf *b, struct slice s)
{
	bool behind_word = false;

	while (s.n) {
		struct word w;
		size_t blank = 0, n;

		while (blank < s.n && is_space(s.p[blank]))
			blank++;
		n = read_word(slice_skip(s, blank), &w);
		if (n == 0 || !behind_word)
			add_unfolded(b, slice_head(s, blank));
		s = slice_skip(s, blank);
		behind_word = n > 0;
		if (n > 0) {
			decode_word(b, &w);
		} else if (s.n) {
			buf_byte(b, *s.p);
			n = 1;
		}
		s = slice_skip(s, n);
	}
}

/* --- writing -------------------------------------------------------------- */

enum { TEXT_MOST = 48 };        /* of one word: short enough behind a field's name */

/* What may stand for itself in every place (RFC 2047 5, rule 3). */
static bool
is_plain(char c)
{
	return is_alnum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/';
}

/* The first character of s, in bytes; *good_r: it is one. */
static size_t
character(struct slice s, bool *good)
{
	size_t n = 1;

	while (n < s.n && n < 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n++;
	*good = utf8_valid(slice_head(s, n)) && (unsigned char)*s.p >= ' ' && *s.p != 0x7f;
	return *good ? n : 1;
}

static void
encode_character(struct buf *b, struct slice c)
{
	if (c.n == 1 && *c.p == ' ')
		buf_byte(b, '_');
	else if (c.n == 1 && is_plain(*c.p))
		buf_byte(b, *c.p);
	else
		for (size_t i = 0; i < c.n; i++)
			buf_printf(b, "=%02X", (unsigned char)c.p[i]);
}

void
words_encode(struct buf *b, struct slice s)
{
	size_t start;

	buf_add(b, S("=?utf-8?q?"));
	start = b->n;
	while (s.n) {
		bool good;
		size_t n = character(s, &good);
		size_t most = n == 1 && is_plain(*s.p) ? 1 : 3 * n;

		if (b->n - start + most > TEXT_MOST) {
			buf_add(b, S("?=\r\n =?utf-8?q?"));
			start = b->n;
		}
		encode_character(b, good ? slice_head(s, n) : S("?"));
		s = slice_skip(s, n);
	}
	buf_add(b, S("?="));
}

void
phrase_add(struct buf *b, struct slice s)
{
	if (ascii_only(s))
		quoted_add(b, s, false);
	else
		words_encode(b, s);
}
