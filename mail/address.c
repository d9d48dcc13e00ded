/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/buf.h"
#include "base/text.h"
#include "mail/address.h"
#include "mail/cfws.h"
#include "mail/domain.h"

enum { LOCAL_MAX = 64, MAILBOX_MAX = 254 };     /* RFC 5321 4.5.3.1 */
enum { ROUTE_MOST = 10 };                       /* names of an obs-route */
enum { APOSTROPHES_MOST = MAILBOX_MAX + 64 };   /* octets of a name in apostrophes, and the bracket */

struct address
address_make(struct slice local, struct slice domain, struct arena *arena)
{
	struct address a = { NONE, NONE, NONE };
	char *to = arena_get(arena, 3 * local.n + domain.n + 4);
	size_t n = 0;

	if (to == NULL)
		return a;
	if (local.n > 0)
		memcpy(to, local.p, local.n);
	a.local = slice_of(to, local.n);
	to += local.n;
	if (is_dot_atom(local)) {
		memcpy(to, local.p, local.n);
		n = local.n;
	} else if (local.n > 0 || domain.n > 0) {       /* ""@x.test has an empty local part */
		to[n++] = '"';
		for (size_t i = 0; i < local.n; i++) {
			if (local.p[i] == '"' || local.p[i] == '\\')
				to[n++] = '\\';
			to[n++] = local.p[i];
		}
		to[n++] = '"';
	}
	if (domain.n > 0) {
		to[n++] = '@';
		memcpy(to + n, domain.p, domain.n);
		a.domain = slice_of(to + n, domain.n);
		n += domain.n;
	}
	a.text = slice_of(to, n);
	return a;
}

bool
address_eq(const struct address *a, const struct address *b)
{
	return slice_eq(a->local, b->local) && slice_eqi(a->domain, b->domain);
}

/* Local-part of a path (RFC 5321 4.1.2), taken off the front of *s. */
static bool
take_local(struct slice *s, struct arena *arena, struct slice *local)
{
	size_t n = 0;

	if (s->n && *s->p == '"') {
		if ((n = quoted_length(*s, false)) == 0)
			return false;
		*local = quoted_text(slice_head(*s, n), arena);
	} else {
		while (n < s->n && (is_atext(s->p[n]) || s->p[n] == '.'))
			n++;
		*local = slice_head(*s, n);
		if (!is_dot_atom(*local))
			return false;
	}
	*s = slice_skip(*s, n);
	return local->p != NULL;
}

/* RFC 5321 4.1.2: a label begins and ends with a letter or digit; no dot at the end. */
static bool
labels_ok(struct slice name)
{
	struct slice label;

	if (name.n && name.p[name.n - 1] == '.')
		return false;
	while (slice_cut(&name, '.', &label))
		if (label.n == 0 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
	return true;
}

static bool
take_domain(struct slice *s, struct arena *arena, struct slice *domain)
{
	unsigned char bytes[16];
	size_t n = 0;

	if (s->n && *s->p == '[') {
		n = slice_find(*s, ']') + 1;
		*domain = slice_head(*s, n);
		if (n > s->n || domain_literal(*domain, bytes) == 0)
			return false;
		*domain = arena_lower(arena, *domain);
	} else {
		while (n < s->n && (is_atext(s->p[n]) || s->p[n] == '.'))
			n++;
		*domain = domain_normal(slice_head(*s, n), arena);
		if (!labels_ok(slice_head(*s, n)))
			return false;
	}
	*s = slice_skip(*s, n);
	return domain->p != NULL;
}

/* A-d-l ":" -- "@a,@b:" is read and forgotten (RFC 5321 appendix C). */
static bool
skip_source_route(struct slice *s, struct arena *arena)
{
	struct slice domain;
	char behind = s->n && *s->p == '@' ? ',' : ':';

	while (behind == ',') {
		if (s->n == 0 || *s->p != '@')
			return false;
		*s = slice_skip(*s, 1);
		if (!take_domain(s, arena, &domain) || s->n == 0)
			return false;
		behind = *s->p;
		*s = slice_skip(*s, 1);
	}
	return behind == ':';
}

/* Mailbox (RFC 5321 4.1.2): all of s. */
static enum path_flaw
parse_mailbox(struct slice s, struct arena *arena, struct address *address)
{
	size_t length = s.n;
	struct slice local, domain = NONE;

	if (!take_local(&s, arena, &local))
		return PATH_SYNTAX;
	if (length - s.n > LOCAL_MAX || length > MAILBOX_MAX)
		return PATH_LONG;
	if (s.n == 0 ? !slice_eqi(local, S("postmaster")) : *s.p != '@')
		return PATH_SYNTAX;
	if (s.n > 0) {
		s = slice_skip(s, 1);
		if (!take_domain(&s, arena, &domain) || s.n > 0)
			return PATH_DOMAIN;
	}
	*address = address_make(local, domain, arena);
	return address->text.p != NULL ? PATH_OK : PATH_LONG;
}

/* Where the path ends: the first '>' that is not inside quotes. */
static size_t
path_length(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '>')
			return i + 1;
		if (s.p[i] == '"') {
			size_t n = quoted_length(slice_skip(s, i), false);

			if (n == 0)
				return 0;
			i += n - 1;
		}
	}
	return 0;
}

enum path_flaw
path_parse(struct slice *rest, bool utf8, struct arena *arena, struct address *address)
{
	size_t n = rest->n && *rest->p == '<' ? path_length(*rest) : 0;
	struct slice s;

	*address = (struct address){ 0 };
	if (n == 0)
		return PATH_SYNTAX;
	s = slice_skip(slice_head(*rest, n - 1), 1);
	*rest = slice_skip(*rest, n);
	if (!ascii_only(s) && (!utf8 || !utf8_valid(s)))
		return PATH_UTF8;
	if (s.n == 0)
		return PATH_OK;
	if (!skip_source_route(&s, arena))
		return PATH_SYNTAX;
	return parse_mailbox(s, arena, address);
}

bool
address_parse(struct slice s, struct arena *arena, struct address *address)
{
	return utf8_valid(s) && parse_mailbox(s, arena, address) == PATH_OK &&
	    address->domain.n > 0;
}

/* --- RFC 5322 3.4 -------------------------------------------------------- */

struct list {
	struct slice    left;
	struct arena   *arena;
	struct mailbox *to;
	size_t          most, count;
};

/*
 * phrase: words and, as everybody writes them, dots and brackets.  Its bytes as
 * they stand.
 */
static bool
take_phrase(struct slice *s, struct slice *phrase)
{
	const char *from = s->p;

	while (s->n) {
		size_t n = 1;

		if (*s->p == '"')
			n = quoted_length(*s, true);
		else if (!is_atext(*s->p) && *s->p != '.' && *s->p != '[' && *s->p != ']')
			break;
		if (n == 0)
			return false;
		*s = slice_skip(*s, n);
		*phrase = slice_of(from, (size_t)(s->p - from));
		if (!cfws_skip(s))
			return false;
	}
	return true;
}

/* An atom or a quoted string at the front of s, in bytes; 0: none. */
static size_t
word_length(struct slice s)
{
	size_t n = quoted_length(s, true);

	if (n == 0)
		while (n < s.n && is_atext(s.p[n]))
			n++;
	return n;
}

/*
 * local-part of the header: words and dots, with comments and white space
 * between them in the obsolete form (RFC 5322 3.4.1, 4.4).  What it says goes
 * to `to`, which is as large as *s; with NULL it is only looked for.
 */
static bool
take_words(struct slice *s, struct arena *arena, char *to, size_t *n)
{
	for (*n = 0;; *s = slice_skip(*s, 1)) {
		struct slice word;

		if (!cfws_skip(s) || (word = slice_head(*s, word_length(*s))).n == 0)
			return false;
		*s = slice_skip(*s, word.n);
		if (to != NULL && *word.p == '"' && (word = quoted_text(word, arena)).p == NULL)
			return false;
		if (to != NULL)
			memcpy(to + *n, word.p, word.n);
		*n += word.n;
		if (!cfws_skip(s))
			return false;
		if (s->n == 0 || *s->p != '.')
			return true;
		if (to != NULL)
			to[*n] = '.';
		++*n;
	}
}

static bool
take_header_local(struct slice *s, struct arena *arena, struct slice *local)
{
	struct slice ahead = *s;
	size_t n;
	char *to;

	if (!take_words(&ahead, arena, NULL, &n) || ahead.n == 0 || *ahead.p != '@')
		return false;
	if ((to = arena_get(arena, n + 1)) == NULL || !take_words(s, arena, to, &n))
		return false;
	*local = slice_of(to, n);
	return true;
}

/*
 * Comments may stand around the domain but not between its labels, though RFC
 * 5322 4.4 has that: of "bank.test (x) .evil.test" one reader sees the first
 * name and another the whole.
 */
static bool
take_addr_spec(struct slice *s, struct arena *arena, struct address *address)
{
	struct slice local, domain;

	if (!take_header_local(s, arena, &local))
		return false;
	*s = slice_skip(*s, 1);
	if (!cfws_skip(s) || !take_domain(s, arena, &domain) || !cfws_skip(s))
		return false;
	*address = address_make(local, domain, arena);
	return address->text.p != NULL;
}

/*
 * obs-route, "@a.test,@b.test:" (RFC 5322 4.4), is read and means nothing: the
 * address is what stands behind it, and more doubt than a display name makes
 * there is not.  Names are dear to read, so not many of them.
 */
static bool
skip_obs_route(struct slice *s, struct arena *arena)
{
	struct slice domain;

	for (int i = 0; i < ROUTE_MOST; i++) {
		*s = slice_skip(*s, 1);
		if (!cfws_skip(s) || !take_domain(s, arena, &domain) || !cfws_skip(s) || s->n == 0)
			return false;
		if (*s->p != ',' && *s->p != ':')
			return false;
		while (s->n > 0 && *s->p == ',') {
			*s = slice_skip(*s, 1);
			if (!cfws_skip(s))
				return false;
		}
		if (s->n > 0 && *s->p == ':') {
			*s = slice_skip(*s, 1);
			return true;
		}
		if (s->n == 0 || *s->p != '@')
			return false;
	}
	return false;
}

static bool
take_angle_addr(struct slice *s, struct arena *arena, struct address *address)
{
	*s = slice_skip(*s, 1);
	if (!cfws_skip(s) || (s->n > 0 && *s->p == '@' && !skip_obs_route(s, arena)))
		return false;
	if (!take_addr_spec(s, arena, address) || s->n == 0 || *s->p != '>')
		return false;
	*s = slice_skip(*s, 1);
	return cfws_skip(s);
}

static void
add_mailbox(struct list *l, struct slice name, struct address address)
{
	if (l->count < l->most)
		l->to[l->count] = (struct mailbox){ name, address };
	l->count++;
}

/*
 * "a@x.test <a@x.test>": no phrase, but written every day.  Both must have the
 * same domain; otherwise it would be left to the reader whose message this is.
 */
static bool
take_named_twice(struct list *l, struct slice before, struct address name)
{
	struct slice phrase = slice_of(before.p, (size_t)(l->left.p - before.p));
	struct address address;

	if (!take_angle_addr(&l->left, l->arena, &address) ||
	    !slice_eqi(name.domain, address.domain))
		return false;
	add_mailbox(l, slice_trim(phrase), address);
	return true;
}

/*
 * "'a@x.test' <a@x.test>" is the same, with apostrophes for quotes.  They may stand in
 * a local part, so the last one in front of the bracket counts; it is no far way there.
 */
static bool
take_apostrophes(struct list *l)
{
	struct slice before = l->left, name = slice_head(before, APOSTROPHES_MOST);
	size_t close = slice_find(name, '<');
	struct address address;

	if (name.n == 0 || *name.p != '\'' || close == name.n)
		return false;
	while (close > 1 && name.p[close - 1] != '\'')
		close--;
	name = slice_skip(slice_head(name, close - 1), 1);
	l->left = slice_skip(before, close);
	if (cfws_skip(&l->left) && l->left.n > 0 && *l->left.p == '<' &&
	    take_addr_spec(&name, l->arena, &address) && name.n == 0 && take_named_twice(l, before, address))
		return true;
	l->left = before;
	return false;
}

static bool take_members(struct list *l);

/* One address: a mailbox with or without a display name, or a group. */
static bool
take_address(struct list *l, bool in_group)
{
	struct slice before = l->left, phrase = NONE;
	struct address address;

	if (take_addr_spec(&l->left, l->arena, &address)) {
		if (l->left.n > 0 && *l->left.p == '<')
			return take_named_twice(l, before, address);
		add_mailbox(l, NONE, address);
		return true;
	}
	l->left = before;
	if (take_apostrophes(l))
		return true;
	if (!take_phrase(&l->left, &phrase) || l->left.n == 0)
		return false;
	if (*l->left.p == '<') {
		if (!take_angle_addr(&l->left, l->arena, &address))
			return false;
		add_mailbox(l, phrase, address);
		return true;
	}
	if (*l->left.p != ':' || in_group || phrase.n == 0)
		return false;
	l->left = slice_skip(l->left, 1);
	return take_members(l);
}

/* There are more than the caller can take: their number is of no interest. */
static bool
enough(const struct list *l)
{
	return l->count > l->most;
}

/* What stands in a group, behind its colon, up to and with its semicolon. */
static bool
take_members(struct list *l)
{
	for (;;) {
		if (!cfws_skip(&l->left) || l->left.n == 0)
			return false;
		if (*l->left.p == ';') {
			l->left = slice_skip(l->left, 1);
			return cfws_skip(&l->left);
		}
		if (*l->left.p == ',')
			l->left = slice_skip(l->left, 1);
		else if (!take_address(l, true))
			return false;
		else if (enough(l))
			return true;
		else if (l->left.n == 0 || (*l->left.p != ',' && *l->left.p != ';'))
			return false;
	}
}

bool
mailboxes_parse(struct slice value, struct arena *arena, struct mailbox *to, size_t most,
    size_t *count)
{
	struct list l = { value, arena, to, most, 0 };

	*count = 0;
	while (!enough(&l)) {
		if (!cfws_skip(&l.left))
			return false;
		if (l.left.n == 0)
			break;
		if (*l.left.p == ',')
			l.left = slice_skip(l.left, 1);
		else if (!take_address(&l, false))
			return false;
		else if (!enough(&l) && l.left.n > 0 && *l.left.p != ',')
			return false;
	}
	*count = l.count;
	return true;
}
