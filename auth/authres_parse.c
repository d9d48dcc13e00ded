/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/authres.h"
#include "mail/cfws.h"

/* RFC 5321 4.1.2, Keyword */
static bool
is_keyword_char(char c)
{
	return is_alnum(c) || c == '-';
}

/* What stands for a value without quotes, in fields as they are. */
static bool
is_bare_char(char c)
{
	return (unsigned char)c >= 0x80 || (c > ' ' && c != 0x7f && strchr(";()\"\\", c) == NULL);
}

static struct slice
take_while(struct slice *s, bool (*is)(char))
{
	struct slice taken = *s;
	size_t n = 0;

	while (n < s->n && is(s->p[n]))
		n++;
	*s = slice_skip(*s, n);
	return slice_head(taken, n);
}

static bool
take_byte(struct slice *s, char c)
{
	if (s->n == 0 || *s->p != c)
		return false;
	*s = slice_skip(*s, 1);
	return true;
}

/* value = token / quoted-string */
static bool
take_value(struct slice *s, struct arena *arena, struct slice *value)
{
	size_t n = quoted_length(*s, true);

	if (n == 0) {
		*value = take_while(s, is_token_char);
		return value->n > 0;
	}
	*value = quoted_text(slice_head(*s, n), arena);
	*s = slice_skip(*s, n);
	return value->p != NULL;
}

/* pvalue = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS] */
static bool
take_pvalue(struct slice *s, struct arena *arena, struct slice *value)
{
	const char *from;
	size_t n;

	if (!cfws_skip(s))
		return false;
	from = s->p;
	n = quoted_length(*s, true);
	if (n > 0 && n < s->n && from[n] == '@') {
		*s = slice_skip(*s, n);
		take_while(s, is_bare_char);
		*value = slice_of(from, (size_t)(s->p - from));
	} else if (n > 0) {
		*value = quoted_text(slice_head(*s, n), arena);
		*s = slice_skip(*s, n);
	} else {
		*value = take_while(s, is_bare_char);
	}
	return value->p != NULL && cfws_skip(s);
}

/* 1*DIGIT; a number nobody uses is as good as any other. */
static bool
take_version(struct slice *s, unsigned *version)
{
	struct slice digits = take_while(s, is_digit);
	uint64_t number;

	*version = slice_number(digits, 999, &number) ? (unsigned)number : 999;
	return digits.n > 0;
}

/* methodspec = [CFWS] method [CFWS] "=" [CFWS] result */
static bool
take_methodspec(struct slice *s, struct authres_result *r)
{
	r->method = take_while(s, is_keyword_char);
	if (r->method.n == 0 || !cfws_skip(s))
		return false;
	if (take_byte(s, '/') && (!cfws_skip(s) || !take_version(s, &r->version) || !cfws_skip(s)))
		return false;
	if (!take_byte(s, '=') || !cfws_skip(s))
		return false;
	r->result = take_while(s, is_keyword_char);
	return r->result.n > 0 && cfws_skip(s);
}

static bool
keep_property(struct authres *a, struct authres_result *r, struct authres_property found)
{
	struct authres_property *p = NULL;

	if (r->count < AUTHRES_PROPERTIES)
		p = arena_get(a->arena, sizeof *p);
	if (p == NULL)
		return false;
	*p = found;
	*r->last = p;
	r->last = &p->next;
	r->count++;
	return true;
}

/* reasonspec or propspec: reason=value, ptype.property=pvalue */
static bool
take_propspec(struct slice *s, struct authres *a, struct authres_result *r)
{
	struct authres_property p = { .name = take_while(s, is_keyword_char) };

	if (p.name.n == 0 || !cfws_skip(s))
		return false;
	if (take_byte(s, '.')) {
		p.ptype = p.name;
		if (!cfws_skip(s))
			return false;
		p.name = take_while(s, is_keyword_char);
		if (p.name.n == 0 || !cfws_skip(s))
			return false;
	}
	if (!take_byte(s, '=') || !take_pvalue(s, a->arena, &p.value))
		return false;
	if (p.ptype.n == 0 && slice_eqi(p.name, S("reason")) && r->reason.p == NULL) {
		r->reason = p.value;
		return true;
	}
	return keep_property(a, r, p);
}

/* resinfo, without its semicolon */
static bool
take_resinfo(struct slice *s, struct authres *a)
{
	struct authres_result *r = NULL;

	if (a->count < AUTHRES_RESULTS)
		r = arena_get(a->arena, sizeof *r);
	if (r == NULL)
		return false;
	r->version = 1;
	r->last = &r->properties;
	if (!take_methodspec(s, r))
		return false;
	while (s->n > 0 && *s->p != ';')
		if (!take_propspec(s, a, r))
			return false;
	*a->last = r;
	a->last = &r->next;
	a->count++;
	return true;
}

/* no-result = [CFWS] ";" [CFWS] "none", and nothing behind it */
static bool
is_no_result(struct slice s)
{
	if (!slice_eqi(take_while(&s, is_keyword_char), S("none")) || !cfws_skip(&s))
		return false;
	return s.n == 0 || (take_byte(&s, ';') && cfws_skip(&s) && s.n == 0);
}

static bool
take_results(struct slice *s, struct authres *a)
{
	while (take_byte(s, ';')) {
		if (!cfws_skip(s))
			return false;
		if (a->count == 0 && is_no_result(*s))
			return true;
		if (s->n == 0)
			return a->count > 0;
		if (!take_resinfo(s, a))
			return false;
	}
	return a->count > 0 && s->n == 0;
}

bool
authres_head(struct slice *s, struct arena *arena, struct slice *authserv_id, unsigned *version)
{
	*version = 1;
	if (!cfws_skip(s) || !take_value(s, arena, authserv_id) || !cfws_skip(s))
		return false;
	if (s->n > 0 && is_digit(*s->p) && (!take_version(s, version) || !cfws_skip(s)))
		return false;
	return s->n == 0 || *s->p == ';';
}

bool
authres_parse(struct slice payload, struct arena *arena, struct authres *a)
{
	struct slice s = payload;
	unsigned version;

	authres_begin(a, NONE, arena);
	return authres_head(&s, arena, &a->authserv_id, &version) && version == 1 &&
	    take_results(&s, a);
}

const struct authres_result *
authres_find(const struct authres *a, const char *method, const struct authres_result *after)
{
	const struct authres_result *r = after != NULL ? after->next : a->results;

	while (r != NULL && !slice_eqi(r->method, slice(method)))
		r = r->next;
	return r;
}

struct slice
authres_value(const struct authres_result *r, const char *property)
{
	struct slice name = slice(property), ptype = NONE;

	slice_cut(&name, '.', &ptype);
	for (const struct authres_property *p = r->properties; p != NULL; p = p->next)
		if (slice_eqi(p->ptype, ptype) && slice_eqi(p->name, name))
			return p->value;
	return NONE;
}
