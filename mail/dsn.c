/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/dsn.h"

static int
upper_hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octet of "+XX", or -1: no controls are smuggled in. */
static int
hexchar(struct slice two)
{
	int high = two.n == 2 ? upper_hex(two.p[0]) : -1, low = two.n == 2 ? upper_hex(two.p[1]) : -1;
	int c = 16 * high + low;

	return high != -1 && low != -1 && c >= ' ' && c <= '~' ? c : -1;
}

bool
xtext_decode(struct slice text, struct buf *bytes)
{
	for (size_t i = 0; i < text.n; i++) {
		int c = text.p[i];

		if (c <= ' ' || c > '~' || c == '=')
			return false;
		if (c == '+') {
			c = hexchar(slice_head(slice_skip(text, i + 1), 2));
			i += 2;
		}
		if (c == -1 || !buf_byte(bytes, (char)c))
			return false;
	}
	return true;
}

/* --- ORCPT ------------------------------------------------------------------------- */

static bool
is_atom(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_atext(s.p[i]))
			return false;
	return s.n > 0 && ascii_only(s);
}

/* RFC 6533 3: beside UTF-8 only what stands for itself; controls of Unicode do not. */
static bool
is_unitext(struct slice s)
{
	struct buf shown = BUF(4 * ORCPT_MOST);
	bool ok = utf8_valid(s);

	for (size_t i = 0; ok && i < s.n; i++)
		ok = s.p[i] != '+' && s.p[i] != '=' && s.p[i] != ' ';
	harmless_add(&shown, s);
	ok = ok && slice_eq(buf_slice(&shown), s);
	buf_free(&shown);
	return ok;
}

bool
orcpt_valid(struct slice value, bool smtputf8)
{
	struct slice type = slice_head(value, slice_find(value, ';'));
	struct slice address = slice_skip(value, type.n + 1);
	struct buf decoded = BUF(ORCPT_MOST);
	bool ok = value.n <= ORCPT_MOST && is_atom(type) && address.n > 0;

	if (ok && smtputf8 && slice_eqi(type, S("utf-8")) && !ascii_only(address))
		ok = is_unitext(address);
	else
		ok = ok && xtext_decode(address, &decoded);
	buf_free(&decoded);
	return ok;
}

/* What a letter of several octets stands for; it is valid. */
static unsigned
code_point(struct slice letter)
{
	unsigned point = (unsigned char)letter.p[0] & (0x7fu >> letter.n);

	for (size_t i = 1; i < letter.n; i++)
		point = point << 6 | ((unsigned char)letter.p[i] & 0x3f);
	return point;
}

/* Letters that are not ASCII, and these, as EmbeddedUnicodeChar (RFC 6533 3). */
static bool
add_embedded(struct buf *b, struct slice value, struct slice these)
{
	if (!utf8_valid(value))
		return false;
	for (size_t n; value.n > 0; value = slice_skip(value, n)) {
		unsigned char first = (unsigned char)*value.p;

		n = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
		if (n > 1)
			buf_printf(b, "\\x{%X}", code_point(slice_head(value, n)));
		else if (slice_find(these, (char)first) < these.n)
			buf_printf(b, "\\x{%02X}", first);
		else
			buf_byte(b, *value.p);
	}
	return !b->full;
}

bool
orcpt_add_ascii(struct buf *b, struct slice value)
{
	return add_embedded(b, value, NONE);
}

bool
address_add_ascii(struct buf *b, struct slice address)
{
	return add_embedded(b, address, S("+=\\ "));
}
