/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/authres.h"
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/domain.h"

enum { LINE = 78, TAB = 8 };            /* RFC 5322 2.1.1 */

/* --- build ---------------------------------------------------------------- */

void
authres_begin(struct authres *a, struct slice authserv_id, struct arena *arena)
{
	*a = (struct authres){ .arena = arena, .authserv_id = authserv_id };
	a->last = &a->results;
}

void
authres_add(struct authres *a, const char *method, const char *result)
{
	struct authres_result *r = NULL;

	if (a->count < AUTHRES_RESULTS)
		r = arena_get(a->arena, sizeof *r);
	a->newest = r;
	if (r == NULL) {
		a->full = true;
		return;
	}
	r->method = slice(method);
	r->result = slice(result);
	r->version = 1;
	r->last = &r->properties;
	*a->last = r;
	a->last = &r->next;
	a->count++;
}

void
authres_property(struct authres *a, const char *property, struct slice value)
{
	struct authres_result *r = a->newest;
	struct authres_property *p = NULL;

	if (r == NULL || value.n == 0 || value.n > AUTHRES_VALUE)
		return;
	if (r->count < AUTHRES_PROPERTIES)
		p = arena_get(a->arena, sizeof *p);
	if (p == NULL) {
		a->full = true;
		return;
	}
	p->name = slice(property);
	slice_cut(&p->name, '.', &p->ptype);
	p->value = value;
	*r->last = p;
	r->last = &p->next;
	r->count++;
}

void
authres_reason(struct authres *a, struct slice reason)
{
	if (a->newest != NULL && reason.n <= AUTHRES_VALUE)
		a->newest->reason = reason;
}

/* --- write ---------------------------------------------------------------- */

static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char(s.p[i]))
			return false;
	return s.n > 0 && ascii_only(s);
}

/* [ [ local-part ] "@" ] domain-name, in ASCII and without quotes. */
static bool
is_plain_address(struct slice s)
{
	size_t at = slice_find(s, '@');
	struct slice local = slice_head(s, at), domain = slice_skip(s, at + 1);

	return at < s.n && ascii_only(local) && (local.n == 0 || is_dot_atom(local)) &&
	    is_dot_atom(domain) && is_token(domain);
}

/* As it is, or as a quoted string. */
static void
add_value(struct slice value, bool bare, bool utf8, struct buf *to)
{
	if (bare)
		buf_add(to, value);
	else
		quoted_add(to, value, utf8);
}

static size_t
value_width(struct slice value, bool bare)
{
	size_t width = value.n + (bare ? 0 : 2);

	for (size_t i = 0; i < value.n && !bare; i++)
		width += value.p[i] == '"' || value.p[i] == '\\';
	return width;
}

/*
 * A word of a result: on this line, or on the next when it would be too long.
 * A property may be an address without quotes, a reason not.
 */
static void
add_word(struct slice ptype, struct slice name, struct slice value, bool utf8, size_t *column,
    struct buf *to)
{
	bool bare = is_token(value) || (ptype.n > 0 && is_plain_address(value));
	size_t width = ptype.n + (ptype.n > 0) + name.n + 1 + value_width(value, bare);
	bool fold = *column + 1 + width > LINE;

	buf_add(to, fold ? S("\r\n\t") : S(" "));
	*column = (fold ? TAB : *column + 1) + width;
	buf_add(to, ptype);
	if (ptype.n > 0)
		buf_byte(to, '.');
	buf_add(to, name);
	buf_byte(to, '=');
	add_value(value, bare, utf8, to);
}

static void
write_result(const struct authres_result *r, bool utf8, struct buf *to)
{
	size_t column = TAB + r->method.n + 1 + r->result.n;

	buf_printf(to, ";\r\n\t%.*s=%.*s", FMT(r->method), FMT(r->result));
	if (r->reason.n > 0)
		add_word(NONE, S("reason"), r->reason, utf8, &column, to);
	for (const struct authres_property *p = r->properties; p != NULL; p = p->next)
		add_word(p->ptype, p->name, p->value, utf8, &column, to);
}

void
authres_write(const struct authres *a, bool utf8, struct buf *to)
{
	struct slice id = a->authserv_id;

	if (!utf8 && !ascii_only(id))
		id = domain_normal(id, a->arena);
	add_value(id, is_token(id), utf8, to);
	if (a->count == 0)
		buf_add(to, S("; none"));       /* RFC 8601 2.2, no-result */
	for (const struct authres_result *r = a->results; r != NULL; r = r->next)
		write_result(r, utf8, to);
}
