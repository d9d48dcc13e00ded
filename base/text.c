/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/text.h"

static const char BASE64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_add(struct buf *b, struct slice s)
{
	size_t n = (s.n + 2) / 3 * 4;
	char *to = buf_room(b, n);

	if (to == NULL)
		return;
	for (size_t i = 0; i < s.n; i += 3) {
		uint32_t v = 0;

		for (size_t j = 0; j < 3; j++)
			v = v << 8 | (i + j < s.n ? (unsigned char)s.p[i + j] : 0);
		for (int j = 3; j >= 0; j--, v >>= 6)
			to[j] = BASE64[v & 63];
		if (i + 2 >= s.n)
			to[3] = '=';
		if (i + 1 >= s.n)
			to[2] = '=';
		to += 4;
	}
	b->n += n;
}

int
base64_value(char c)
{
	/* One more than the value; 0: none of its letters. */
	static const unsigned char values[256] = {
		['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
		25, 26,
		['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
		48, 49, 50, 51, 52,
		['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
		['+'] = 63, ['/'] = 64,
	};

	return values[(unsigned char)c] - 1;
}

/* The lower three bytes of a number, the highest first. */
static bool
add_three(struct buf *b, uint32_t v)
{
	char *to = buf_room(b, 3);

	if (to == NULL)
		return false;
	to[0] = (char)(v >> 16);
	to[1] = (char)(v >> 8);
	to[2] = (char)v;
	b->n += 3;
	return true;
}

bool
base64_decode(struct buf *b, struct slice s)
{
	uint32_t v = 0;
	unsigned letters = 0, pads = 0;

	for (size_t i = 0; i < s.n; i++) {
		int value;

		if (is_space(s.p[i]))
			continue;
		if (s.p[i] == '=') {
			pads++;
			continue;
		}
		if (pads || (value = base64_value(s.p[i])) < 0)
			return false;
		v = v << 6 | (uint32_t)value;
		if (++letters % 4 == 0 && !add_three(b, v))
			return false;
	}
	switch (letters % 4) {
	case 0:
		return pads == 0;
	case 2:
		return pads == 2 && (v & 15) == 0 && buf_byte(b, (char)(v >> 4));
	case 3:
		return pads == 1 && (v & 3) == 0 && buf_byte(b, (char)(v >> 10)) &&
		    buf_byte(b, (char)(v >> 2));
	default:
		return false;
	}
}

void
hex_add(struct buf *b, struct slice s)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < s.n; i++) {
		buf_byte(b, digits[(unsigned char)s.p[i] >> 4]);
		buf_byte(b, digits[s.p[i] & 15]);
	}
}

static int
hex_value(char c)
{
	c = to_lower(c);
	return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_decode(struct buf *b, struct slice s)
{
	if (s.n % 2)
		return false;
	for (size_t i = 0; i < s.n; i += 2) {
		int high = hex_value(s.p[i]), low = hex_value(s.p[i + 1]);

		if (high < 0 || low < 0 || !buf_byte(b, (char)(high << 4 | low)))
			return false;
	}
	return true;
}

static const char CROCKFORD[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void
id_text(uint64_t id, char text[ID_TEXT + 1])
{
	bug_if(id >> 60);
	for (int i = ID_TEXT - 1; i >= 0; i--, id >>= 5)
		text[i] = CROCKFORD[id & 31];
	text[ID_TEXT] = '\0';
}

bool
id_parse(struct slice text, uint64_t *id_r)
{
	uint64_t id = 0;

	if (text.n != ID_TEXT)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		const char *at;

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c == '\0' || (at = strchr(CROCKFORD, c)) == NULL)
			return false;
		id = id << 5 | (uint64_t)(at - CROCKFORD);
	}
	*id_r = id;
	return true;
}

size_t
utf8_length(struct slice s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3
	         : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return 0;
	if (n > 1) {
		unsigned char second = (unsigned char)s.p[1];

		if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second >= 0xa0) ||
		    (c == 0xf0 && second < 0x90) || (c == 0xf4 && second >= 0x90))
			return 0;
	}
	return n;
}

bool
utf8_valid(struct slice s)
{
	while (s.n) {
		size_t n = utf8_length(s);

		if (n == 0)
			return false;
		s = slice_skip(s, n);
	}
	return true;
}

bool
ascii_only(struct slice s)
{
	for (; s.n >= sizeof(uint64_t); s = slice_skip(s, sizeof(uint64_t))) {
		uint64_t eight;

		memcpy(&eight, s.p, sizeof eight);
		if (eight & UINT64_C(0x8080808080808080))
			return false;
	}
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/*
 * U+0080 to U+009F are control characters to a terminal, U+2028 and U+2029 end lines,
 * and what sets the direction of text makes a line look like another one: U+061C,
 * U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069.
 */
static bool
utf8_harmless(struct slice s)
{
	unsigned char a = (unsigned char)s.p[0], b = (unsigned char)s.p[1];
	unsigned char c = s.n > 2 ? (unsigned char)s.p[2] : 0;

	if (s.n == 2)
		return !(a == 0xc2 && b < 0xa0) && !(a == 0xd8 && b == 0x9c);
	if (s.n != 3 || a != 0xe2)
		return true;
	return !(b == 0x80 && (c == 0x8e || c == 0x8f || (c >= 0xa8 && c <= 0xae))) &&
	    !(b == 0x81 && c >= 0xa6 && c <= 0xa9);
}

static bool
is_plain(char c)
{
	return c >= ' ' && c <= '~';
}

/* `escaped` is printable, and shown as \xHH all the same. */
static void
add_shown(struct buf *b, struct slice s, char escaped)
{
	while (s.n) {
		size_t n = 0, letter;

		while (n < s.n && is_plain(s.p[n]) && s.p[n] != escaped)
			n++;
		buf_add(b, slice_head(s, n));
		if ((s = slice_skip(s, n)).n == 0)
			return;
		letter = utf8_length(s);
		if (letter > 1 && utf8_harmless(slice_head(s, letter))) {
			buf_add(b, slice_head(s, letter));
		} else {
			buf_printf(b, "\\x%02X", (unsigned char)*s.p);
			letter = 1;
		}
		s = slice_skip(s, letter);
	}
}

void
shown_add(struct buf *b, struct slice s)
{
	add_shown(b, s, '\\');
}

void
harmless_add(struct buf *b, struct slice s)
{
	add_shown(b, s, '\0');
}

unsigned
word_distance(struct slice a, struct slice b)
{
	unsigned row[33];

	if (a.n > 31 || b.n > 31)
		return 32;
	for (unsigned j = 0; j <= b.n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned changed = diagonal +
			    (to_lower(a.p[i - 1]) != to_lower(b.p[j - 1]));
			unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

			diagonal = row[j];
			row[j] = changed < least ? changed : least;
		}
	}
	return row[b.n];
}
