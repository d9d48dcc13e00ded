/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/cfws.h"

bool
is_atext(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) ||
	    (unsigned char)c >= 0x80;
}

bool
is_token_char(char c)
{
	static const bool special[256] = {
		['('] = true, [')'] = true, ['<'] = true, ['>'] = true, ['@'] = true, [','] = true,
		[';'] = true, [':'] = true, ['\\'] = true, ['"'] = true, ['/'] = true, ['['] = true,
		[']'] = true, ['?'] = true, ['='] = true, [0x7f] = true,
	};

	return (unsigned char)c > ' ' && !special[(unsigned char)c];
}

bool
is_dot_atom(struct slice s)
{
	struct slice atom;

	if (s.n == 0 || s.p[s.n - 1] == '.')
		return false;
	while (slice_cut(&s, '.', &atom)) {
		if (atom.n == 0)
			return false;
		for (size_t i = 0; i < atom.n; i++)
			if (!is_atext(atom.p[i]))
				return false;
	}
	return true;
}

bool
cfws_skip(struct slice *s)
{
	unsigned depth = 0;

	for (; s->n; *s = slice_skip(*s, 1)) {
		char c = *s->p;

		if (c == '(') {
			if (++depth > COMMENT_DEPTH)
				return false;
		} else if (depth > 0 && c == ')') {
			depth--;
		} else if (depth > 0 && c == '\\') {
			*s = slice_skip(*s, 1);
		} else if (depth == 0 && !is_space(c)) {
			break;
		}
	}
	return depth == 0;
}

/* What may stand between quotes; behind a backslash no fold, and in a path ASCII only. */
static bool
is_quotable(char c, bool folds, bool escaped)
{
	if (escaped && (unsigned char)c >= 0x80)
		return folds;           /* RFC 6532 3.2 has it, RFC 6531 3.3 not */
	if (folds && (c == '\t' || (!escaped && is_space(c))))
		return true;
	return (unsigned char)c >= ' ' && c != 0x7f;
}

size_t
quoted_length(struct slice s, bool folds)
{
	bool escaped = false;

	if (s.n == 0 || *s.p != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (!escaped && s.p[i] == '"')
			return i + 1;
		if (!is_quotable(s.p[i], folds, escaped))
			return 0;
		escaped = !escaped && s.p[i] == '\\';
	}
	return 0;
}

struct slice
quoted_text(struct slice quoted, struct arena *arena)
{
	char *to = arena_get(arena, quoted.n);
	size_t n = 0;

	if (to == NULL)
		return NONE;
	for (size_t i = 1; i + 1 < quoted.n; i++) {
		if (quoted.p[i] == '\\')
			i++;
		if (quoted.p[i] != '\r' && quoted.p[i] != '\n')
			to[n++] = quoted.p[i];
	}
	return slice_of(to, n);
}

void
quoted_add(struct buf *to, struct slice text, bool utf8)
{
	utf8 = utf8 && utf8_valid(text);
	buf_byte(to, '"');
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool shown = (unsigned char)c >= 0x80 ? utf8 : c >= ' ' && c != 0x7f;

		if (c == '"' || c == '\\')
			buf_byte(to, '\\');
		buf_byte(to, shown ? c : '?');
	}
	buf_byte(to, '"');
}
