/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/spf_macro.h"
#include "base/bug.h"
#include "base/ip.h"

enum { PARTS_ALL = 0, PARTS_MOST = 1000 };      /* no value has more parts than that */

/* A macro-string is a row of these. */
struct piece {
	enum { PIECE_TEXT, PIECE_SIGN, PIECE_MACRO, PIECE_BAD } kind;
	struct slice text;              /* TEXT, and what a SIGN stands for */
	const char  *flaw;              /* of what is BAD */
	char         letter;            /* of a MACRO, in lower case */
	bool         escape;            /* it was an upper-case letter */
	unsigned     parts;             /* how many to keep, counted from the right */
	bool         reverse;
	struct slice delimiters;
};

/* --- reading (RFC 7208 7.1) ------------------------------------------------ */

static bool
among(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static void
bad(struct piece *p, const char *flaw)
{
	p->kind = PIECE_BAD;
	p->flaw = flaw;
}

/* transformers = *DIGIT [ "r" ]; the number may not be zero. */
static bool
take_transformers(struct slice *s, struct piece *p)
{
	bool digits = s->n > 0 && is_digit(*s->p);

	for (; s->n > 0 && is_digit(*s->p); *s = slice_skip(*s, 1))
		if (p->parts < PARTS_MOST)
			p->parts = p->parts * 10 + (unsigned)(*s->p - '0');
	if (s->n > 0 && to_lower(*s->p) == 'r') {
		p->reverse = true;
		*s = slice_skip(*s, 1);
	}
	return !digits || p->parts > 0;
}

/* "%{" macro-letter transformers *delimiter "}" */
static void
take_macro(struct slice *rest, struct piece *p)
{
	struct slice inside = slice_head(slice_skip(*rest, 2), slice_find(slice_skip(*rest, 2), '}'));

	p->kind = PIECE_MACRO;
	if (inside.n + 2 == rest->n) {
		bad(p, "a macro is not closed by }");
		return;
	}
	*rest = slice_skip(*rest, inside.n + 3);
	if (inside.n == 0 || !among(to_lower(*inside.p), "slodipvhcrt")) {
		bad(p, "there is no such macro letter");
		return;
	}
	p->letter = to_lower(*inside.p);
	p->escape = p->letter != *inside.p;
	inside = slice_skip(inside, 1);
	if (!take_transformers(&inside, p))
		bad(p, "a macro keeps no part");
	p->delimiters = inside;
	for (size_t i = 0; i < inside.n; i++)
		if (!among(inside.p[i], ".-+,/_="))
			bad(p, "a macro has more than a letter, a number, r and delimiters");
}

/* "%%", "%_", "%-" and "%{…}" */
static void
take_percent(struct slice *rest, struct piece *p)
{
	p->kind = PIECE_SIGN;
	switch (rest->n > 1 ? rest->p[1] : '\0') {
	case '{':
		take_macro(rest, p);
		return;
	case '%':
		p->text = S("%");
		break;
	case '_':
		p->text = S(" ");
		break;
	case '-':
		p->text = S("%20");
		break;
	default:
		bad(p, "behind % stands none of { % _ -");
		return;
	}
	*rest = slice_skip(*rest, 2);
}

/* Cut the next piece off the front of *rest; false at the end. */
static bool
next_piece(struct slice *rest, struct piece *p)
{
	*p = (struct piece){ .kind = PIECE_TEXT };
	if (rest->n == 0)
		return false;
	if (*rest->p == '%') {
		take_percent(rest, p);
		return true;
	}
	p->text = slice_head(*rest, slice_find(*rest, '%'));
	*rest = slice_skip(*rest, p->text.n);
	return true;
}

/* --- checking -------------------------------------------------------------- */

/* macro-literal = %x21-24 / %x26-7E, and in an explanation SP. */
static bool
visible(struct slice text, bool spaces)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] > '~' || text.p[i] < (spaces ? ' ' : '!'))
			return false;
	return true;
}

/* The flaw of a macro-string, and its last piece. */
static const char *
check_pieces(struct slice s, bool explanation, struct piece *last)
{
	struct piece p;

	while (next_piece(&s, &p)) {
		if (p.kind == PIECE_BAD)
			return p.flaw;
		if (p.kind == PIECE_TEXT && !visible(p.text, explanation))
			return "a byte is not visible ASCII";
		if (p.kind == PIECE_MACRO && !explanation && among(p.letter, "crt"))
			return "the macros c, r and t are for explanations only";
		*last = p;
	}
	return NULL;
}

const char *
spf_macro_flaw(struct slice s)
{
	struct piece last;

	return check_pieces(s, false, &last);
}

const char *
spf_explanation_flaw(struct slice s)
{
	struct piece last;

	return check_pieces(s, true, &last);
}

/*
 * toplabel = ( *alphanum ALPHA *alphanum ) /
 *            ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
 */
static bool
is_toplabel(struct slice s)
{
	bool letter = false, hyphen = false;

	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
		letter = letter || is_alpha(s.p[i]);
		hyphen = hyphen || s.p[i] == '-';
	}
	return letter || hyphen;
}

/* "." toplabel [ "." ] at the end of a text. */
static bool
ends_in_toplabel(struct slice s)
{
	size_t n;

	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	for (n = s.n; n > 0 && s.p[n - 1] != '.'; n--)
		;
	return n > 0 && is_toplabel(slice_skip(s, n));
}

/* domain-spec = macro-string domain-end; domain-end = ( "." toplabel [ "." ] ) / macro-expand */
const char *
spf_domain_flaw(struct slice s)
{
	struct piece last = { .kind = PIECE_TEXT };
	const char *flaw = check_pieces(s, false, &last);
	struct ip ip;

	if (flaw != NULL || last.kind != PIECE_TEXT || ends_in_toplabel(last.text))
		return flaw;
	if (s.n == 0)
		return "the domain is missing";
	return ip_parse(s, &ip) ? "an address belongs behind ip4: or ip6:"
	                        : "the domain does not end in a dot and a name";
}

bool
spf_macro_uses(struct slice s, const char *letters)
{
	struct piece p;

	while (next_piece(&s, &p) && p.kind != PIECE_BAD)
		if (p.kind == PIECE_MACRO && among(p.letter, letters))
			return true;
	return false;
}

/* --- expanding (RFC 7208 7.3) ---------------------------------------------- */

static struct slice
value_of(char letter, const struct spf_values *v)
{
	switch (letter) {
	case 's': return v->sender;
	case 'l': return v->local;
	case 'o': return v->sender_domain;
	case 'd': return v->domain;
	case 'i': return v->address;
	case 'p': return v->validated;
	case 'v': return v->family;
	case 'h': return v->helo;
	case 'c': return v->readable;
	case 'r': return v->receiver;
	default:  return v->time;
	}
}

static bool
is_delimiter(const struct piece *p, char c)
{
	return slice_find(p->delimiters, c) < p->delimiters.n;
}

static unsigned
count_parts(const struct piece *p, struct slice value)
{
	unsigned n = 1;

	for (size_t i = 0; i < value.n; i++)
		n += is_delimiter(p, value.p[i]);
	return n;
}

/* Without its first n parts. */
static struct slice
skip_parts(const struct piece *p, struct slice value, unsigned n)
{
	for (; n > 0 && value.n > 0; value = slice_skip(value, 1))
		n -= is_delimiter(p, *value.p);
	return value;
}

/* The part at the end of *value, which is taken off with its delimiter. */
static struct slice
last_part(const struct piece *p, struct slice *value)
{
	struct slice part;
	size_t n = value->n;

	while (n > 0 && !is_delimiter(p, value->p[n - 1]))
		n--;
	part = slice_skip(*value, n);
	*value = slice_head(*value, n > 0 ? n - 1 : 0);
	return part;
}

/* With its delimiters written as dots; an upper-case letter escapes like a URL (RFC 3986 2.3). */
static void
add_parts(struct buf *b, const struct piece *p, struct slice value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = is_delimiter(p, value.p[i]) ? '.' : value.p[i];

		if (!p->escape || is_alnum(c) || among(c, "-._~"))
			buf_byte(b, c);
		else
			buf_printf(b, "%%%02X", (unsigned char)c);
	}
}

/* Of the reversed parts the `keep` rightmost are the `keep` leftmost of the value. */
static void
add_reversed(struct buf *b, const struct piece *p, struct slice value, unsigned keep)
{
	value = slice_head(value, value.n - skip_parts(p, value, keep).n);
	if (value.n > 0 && keep < count_parts(p, value))
		value.n--;                      /* the delimiter behind the last part that stays */
	for (; keep > 0; keep--) {
		add_parts(b, p, last_part(p, &value));
		if (keep > 1)
			buf_byte(b, '.');
	}
}

static void
add_macro(struct buf *b, struct piece *p, const struct spf_values *values)
{
	struct slice value = value_of(p->letter, values);
	unsigned parts, keep;

	if (p->delimiters.n == 0)
		p->delimiters = S(".");
	parts = count_parts(p, value);
	keep = p->parts == PARTS_ALL || p->parts > parts ? parts : p->parts;
	if (p->reverse)
		add_reversed(b, p, value, keep);
	else
		add_parts(b, p, skip_parts(p, value, parts - keep));
}

bool
spf_macro_expand(struct buf *b, struct slice s, const struct spf_values *values)
{
	struct piece p;

	while (next_piece(&s, &p) && !b->full) {
		bug_if(p.kind == PIECE_BAD);
		if (p.kind == PIECE_MACRO)
			add_macro(b, &p, values);
		else
			buf_add(b, p.text);
	}
	return !b->full;
}
