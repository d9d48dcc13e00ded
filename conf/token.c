/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "conf/token.h"

void
lexer_begin(struct lexer *l, const struct source *source)
{
	*l = (struct lexer){ source, 0, 1 };
	if (slice_starts(source->bytes, S("\xef\xbb\xbf")))
		l->offset = 3;
}

static struct slice
left(const struct lexer *l)
{
	return slice_skip(l->source->bytes, l->offset);
}

/* A token over the next n bytes, which are taken. */
static struct token
take(struct lexer *l, enum token_kind kind, size_t n)
{
	struct slice raw = slice_head(left(l), n);
	struct token t = { kind, { l->source, raw.p, l->line, (unsigned)raw.n }, raw, NULL };

	l->offset += raw.n;
	l->line += kind == TOKEN_NEWLINE;
	return t;
}

static struct token
bad(struct lexer *l, size_t n, const char *why)
{
	struct token t = take(l, TOKEN_BAD, n);

	t.why = why;
	return t;
}

static bool
ends_word(char c)
{
	return c == '\0' || strchr(" \t\r\n{};,\"#", c) != NULL;
}

static bool
is_control(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

static struct token
take_string(struct lexer *l)
{
	struct slice s = left(l);
	size_t n = 1;
	const char *why = NULL;

	for (; n < s.n && s.p[n] != '"' && s.p[n] != '\n'; n++) {
		if (s.p[n] == '\\' && n + 1 < s.n && s.p[n + 1] != '\n') {
			n++;
			if (strchr("\"\\n", s.p[n]) == NULL || s.p[n] == '\0')
				why = "only \\\" \\\\ and \\n stand behind a backslash";
		}
		if (is_control(s.p[n]))
			why = "a control character in a string";
	}
	if (n >= s.n || s.p[n] != '"')
		return bad(l, n, "the string is not closed on its line");
	if (why == NULL && !utf8_valid(slice_head(s, n)))
		why = "the string is not UTF-8";
	if (n > STRING_BYTES)
		why = "the string is longer than 65536 bytes";
	return why != NULL ? bad(l, n + 1, why) : take(l, TOKEN_STRING, n + 1);
}

static struct token
take_word(struct lexer *l)
{
	struct slice s = left(l);
	size_t n = 0;

	while (n < s.n && !ends_word(s.p[n]) && !is_control(s.p[n]))
		n++;
	if (n == 0)
		return bad(l, 1, "a control character");
	if (n > WORD_BYTES)
		return bad(l, n, "the word is longer than 4096 bytes");
	if (!utf8_valid(slice_head(s, n)))
		return bad(l, n, "the word is not UTF-8");
	return take(l, slice_eq(slice_head(s, n), S("->")) ? TOKEN_ARROW : TOKEN_WORD, n);
}

struct token
lexer_next(struct lexer *l)
{
	struct slice s = left(l);

	while (s.n > 0 && (is_wsp(*s.p) || slice_starts(s, S("\r\n")))) {
		l->offset++;
		s = left(l);
	}
	if (s.n == 0)
		return take(l, TOKEN_END, 0);
	switch (*s.p) {
	case '\n': return take(l, TOKEN_NEWLINE, 1);
	case '{':  return take(l, TOKEN_OPEN, 1);
	case '}':  return take(l, TOKEN_CLOSE, 1);
	case ';':  return take(l, TOKEN_SEMICOLON, 1);
	case ',':  return take(l, TOKEN_COMMA, 1);
	case '"':  return take_string(l);
	case '#':  {
		size_t n = slice_find(s, '\n');

		return take(l, TOKEN_COMMENT, n > 0 && s.p[n - 1] == '\r' ? n - 1 : n);
	}
	default:   return take_word(l);
	}
}

struct slice
string_value(struct slice raw, char *to)
{
	size_t n = 0;

	for (size_t i = 1; i + 1 < raw.n; i++) {
		if (raw.p[i] == '\\')
			to[n++] = raw.p[++i] == 'n' ? '\n' : raw.p[i];
		else
			to[n++] = raw.p[i];
	}
	return slice_of(to, n);
}
