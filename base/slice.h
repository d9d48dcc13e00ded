/* SPDX-License-Identifier: ISC */
/*
 * slice -- borrowed bytes: a pointer and a length.
 *
 * A slice never owns what it points to and need not end with NUL.  Whatever
 * came from the network, from a file or out of a message is a slice;
 * `const char *` is only our own text.  An empty slice may point to NULL.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *p;
	size_t      n;
};

#define S(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
#define S_INIT(literal) { (literal), sizeof(literal) - 1 } /* in static tables */
#define FMT(s)     (int)(s).n, (s).p               /* printf("%.*s", FMT(x)) */
#define NONE       ((struct slice){ NULL, 0 })

static inline struct slice
slice(const char *text)
{
	return (struct slice){ text, strlen(text) };
}

static inline struct slice
slice_of(const void *p, size_t n)
{
	return (struct slice){ p, n };
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Equal without regard to the case of ASCII letters. */
static inline bool
slice_eqi(struct slice a, struct slice b)
{
	/* Most that differ do so in their first letter, whatever its case. */
	return a.n == b.n &&
	    (a.n == 0 || (((*a.p ^ *b.p) & ~('a' ^ 'A')) == 0 && strncasecmp(a.p, b.p, a.n) == 0));
}

static inline bool
slice_starts(struct slice s, struct slice head)
{
	return s.n >= head.n && slice_eq((struct slice){ s.p, head.n }, head);
}

static inline bool
slice_startsi(struct slice s, struct slice head)
{
	return s.n >= head.n && slice_eqi((struct slice){ s.p, head.n }, head);
}

static inline bool
slice_endsi(struct slice s, struct slice tail)
{
	return s.n >= tail.n &&
	    (tail.n == 0 || slice_eqi((struct slice){ s.p + (s.n - tail.n), tail.n }, tail));
}

/* The first n bytes, or all there are. */
static inline struct slice
slice_head(struct slice s, size_t n)
{
	return (struct slice){ s.p, n < s.n ? n : s.n };
}

/* What is left behind the first n bytes. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
	return n >= s.n ? (struct slice){ s.p ? s.p + s.n : NULL, 0 }
	                : (struct slice){ s.p + n, s.n - n };
}

/* Where byte c stands first, or s.n. */
static inline size_t
slice_find(struct slice s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	return at ? (size_t)(at - s.p) : s.n;
}

/*
 * Cut *s at the first `sep`: *head gets what stands before it, *s what stands
 * behind.  Without a `sep` all of *s becomes the head.  False once *s was empty.
 */
static inline bool
slice_cut(struct slice *s, char sep, struct slice *head)
{
	size_t at = slice_find(*s, sep);

	if (s->n == 0)
		return false;
	*head = slice_head(*s, at);
	*s = slice_skip(*s, at + 1);
	return true;
}

static inline bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool
is_space(char c)                        /* white space of a folded header */
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool
is_alnum(char c)
{
	return is_alpha(c) || is_digit(c);
}

static inline char
to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Without white space (blank, tab, CR, LF) at both ends. */
static inline struct slice
slice_trim(struct slice s)
{
	while (s.n && is_space(*s.p))
		s = slice_skip(s, 1);
	while (s.n && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Of spaces and tabs alone: WSP of the RFCs' grammars. */
static inline struct slice
slice_trim_wsp(struct slice s)
{
	while (s.n && is_wsp(*s.p))
		s = slice_skip(s, 1);
	while (s.n && is_wsp(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* The next word between white space; false at the end. */
static inline bool
slice_word(struct slice *s, struct slice *word)
{
	size_t n = 0;

	while (s->n && is_space(*s->p))
		*s = slice_skip(*s, 1);
	while (n < s->n && !is_space(s->p[n]))
		n++;
	*word = slice_head(*s, n);
	*s = slice_skip(*s, n);
	return n > 0;
}

/*
 * A decimal number and nothing else.  False, with *number_r untouched, when s
 * is empty, holds anything but digits, or is greater than `most`.
 */
static inline bool
slice_number(struct slice s, uint64_t most, uint64_t *number_r)
{
	uint64_t number = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(s.p[i] - '0');

		if (!is_digit(s.p[i]) || digit > most || number > (most - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*number_r = number;
	return true;
}

/* FNV-1a over the bytes, letters folded to lower case: for maps and choices. */
static inline uint64_t
slice_hash(struct slice s)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)to_lower(s.p[i])) * 1099511628211u;
	return h;
}

#endif
