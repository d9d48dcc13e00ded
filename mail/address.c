/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/buf.h"
#include "base/text.h"
#include "mail/address.h"
#include "mail/domain.h"

enum { LOCAL_MAX = 64, COMMENT_DEPTH = 20 };

static bool
is_atext(char c)
{
	return is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL) ||
	    (unsigned char)c >= 0x80;
}

static bool
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

struct address
address_make(struct slice local, struct slice domain, struct arena *arena)
{
	struct address a = { local, domain, NONE };
	char *to = arena_get(arena, 2 * local.n + domain.n + 4);
	size_t n = 0;

	if (to == NULL)
		return a;
	if (is_dot_atom(local)) {
		memcpy(to, local.p, local.n);
		n = local.n;
	} else if (local.n > 0) {
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

/* How many bytes a quoted string at the front of s covers, or 0. */
static size_t
quoted_length(struct slice s, bool folds)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
		if (i >= s.n || s.p[i] == 0x7f || s.p[i] == '\0')
			return 0;
		if ((unsigned char)s.p[i] < ' ' && !(folds && is_space(s.p[i])))
			return 0;
	}
	return 0;
}

/* What stands between the quotes, pairs and folds undone. */
static struct slice
unquoted(struct slice quoted, struct arena *arena)
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

/* Local-part (RFC 5321 4.1.2), taken off the front of *s. */
static bool
take_local(struct slice *s, bool folds, struct arena *arena, struct slice *local)
{
	size_t n = 0;

	if (s->n && *s->p == '"') {
		if ((n = quoted_length(*s, folds)) == 0)
			return false;
		*local = unquoted(slice_head(*s, n), arena);
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
	}
	*s = slice_skip(*s, n);
	return domain->p != NULL;
}

/* A-d-l ":" -- "@a,@b:" is read and forgotten. */
static bool
skip_source_route(struct slice *s, struct arena *arena)
{
	struct slice domain;

	while (s->n && *s->p == '@') {
		*s = slice_skip(*s, 1);
		if (!take_domain(s, arena, &domain) || s->n == 0)
			return false;
		if (*s->p != ',' && *s->p != ':')
			return false;
		*s = slice_skip(*s, 1);
		if (s->p[-1] == ':')
			return true;
	}
	return true;
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
	struct slice s, local, domain = NONE;

	*address = (struct address){ 0 };
	if (n == 0)
		return PATH_SYNTAX;
	s = slice_skip(slice_head(*rest, n - 1), 1);
	*rest = slice_skip(*rest, n);
	if (!ascii_only(s) && (!utf8 || !utf8_valid(s)))
		return PATH_UTF8;
	if (s.n == 0)
		return PATH_OK;
	if (!skip_source_route(&s, arena) || !take_local(&s, false, arena, &local))
		return PATH_SYNTAX;
	if (local.n > LOCAL_MAX)
		return PATH_LONG;
	if (s.n == 0 && slice_eqi(local, S("postmaster"))) {
		*address = address_make(local, domain, arena);
		return PATH_OK;
	}
	if (s.n == 0 || *s.p != '@')
		return PATH_SYNTAX;
	s = slice_skip(s, 1);
	if (s.n > 255)
		return PATH_LONG;
	if (!take_domain(&s, arena, &domain) || s.n > 0)
		return PATH_DOMAIN;
	*address = address_make(local, domain, arena);
	return address->text.p != NULL ? PATH_OK : PATH_LONG;
}

bool
address_parse(struct slice s, struct arena *arena, struct address *address)
{
	struct slice local, domain;

	if (!utf8_valid(s) || !take_local(&s, false, arena, &local) || local.n > LOCAL_MAX)
		return false;
	if (s.n == 0 || *s.p != '@')
		return false;
	s = slice_skip(s, 1);
	if (!take_domain(&s, arena, &domain) || s.n > 0)
		return false;
	*address = address_make(local, domain, arena);
	return address->text.p != NULL;
}

/* --- RFC 5322 3.4 -------------------------------------------------------- */

struct list {
	struct slice    left;
	struct arena   *arena;
	struct mailbox *to;
	size_t          most, count;
};

/* Folding white space and comments; false inside an open comment. */
static bool
skip_cfws(struct slice *s)
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

/* phrase: words and, as everybody writes them, dots. Its bytes as they stand. */
static bool
take_phrase(struct slice *s, struct slice *phrase)
{
	const char *from = s->p;

	while (s->n) {
		size_t n = 1;

		if (*s->p == '"')
			n = quoted_length(*s, true);
		else if (!is_atext(*s->p) && *s->p != '.')
			break;
		if (n == 0)
			return false;
		*s = slice_skip(*s, n);
		*phrase = slice_of(from, (size_t)(s->p - from));
		if (!skip_cfws(s))
			return false;
	}
	return true;
}

static bool
take_addr_spec(struct slice *s, struct arena *arena, struct address *address)
{
	struct slice local, domain;

	if (!skip_cfws(s) || !take_local(s, true, arena, &local) || !skip_cfws(s))
		return false;
	if (s->n == 0 || *s->p != '@')
		return false;
	*s = slice_skip(*s, 1);
	if (!skip_cfws(s) || !take_domain(s, arena, &domain) || !skip_cfws(s))
		return false;
	*address = address_make(local, domain, arena);
	return address->text.p != NULL;
}

static bool
take_angle_addr(struct slice *s, struct arena *arena, struct address *address)
{
	*s = slice_skip(*s, 1);
	if (!take_addr_spec(s, arena, address) || s->n == 0 || *s->p != '>')
		return false;
	*s = slice_skip(*s, 1);
	return skip_cfws(s);
}

static void
add_mailbox(struct list *l, struct slice name, struct address address)
{
	if (l->count < l->most)
		l->to[l->count] = (struct mailbox){ name, address };
	l->count++;
}

static bool take_members(struct list *l);

/* One address: a mailbox with or without a display name, or a group. */
static bool
take_address(struct list *l, bool in_group)
{
	struct slice before = l->left, phrase = NONE;
	struct address address;

	if (take_addr_spec(&l->left, l->arena, &address)) {
		add_mailbox(l, NONE, address);
		return true;
	}
	l->left = before;
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

/* What stands in a group, behind its colon, up to and with its semicolon. */
static bool
take_members(struct list *l)
{
	for (;;) {
		if (!skip_cfws(&l->left) || l->left.n == 0)
			return false;
		if (*l->left.p == ';') {
			l->left = slice_skip(l->left, 1);
			return skip_cfws(&l->left);
		}
		if (*l->left.p == ',')
			l->left = slice_skip(l->left, 1);
		else if (!take_address(l, true) || l->left.n == 0 ||
		    (*l->left.p != ',' && *l->left.p != ';'))
			return false;
	}
}

bool
mailboxes_parse(struct slice value, struct arena *arena, struct mailbox *to, size_t most,
    size_t *count)
{
	struct list l = { value, arena, to, most, 0 };

	*count = 0;
	for (;;) {
		if (!skip_cfws(&l.left))
			return false;
		if (l.left.n == 0)
			break;
		if (*l.left.p == ',')
			l.left = slice_skip(l.left, 1);
		else if (!take_address(&l, false) || (l.left.n > 0 && *l.left.p != ','))
			return false;
	}
	*count = l.count;
	return true;
}
