/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/spf_macro.h"
#include "auth/spf_record.h"

enum { VERSION = 6 };                   /* "v=spf1" */

enum argument { NOTHING, MAYBE_DOMAIN, DOMAIN, MAYBE_DOMAIN_CIDR, NETWORK };

static const struct mechanism {
	struct slice  name;
	enum spf_kind kind;
	enum argument argument;
} MECHANISMS[] = {
	{ S_INIT("all"),     TERM_ALL,     NOTHING },
	{ S_INIT("include"), TERM_INCLUDE, DOMAIN },
	{ S_INIT("a"),       TERM_A,       MAYBE_DOMAIN_CIDR },
	{ S_INIT("mx"),      TERM_MX,      MAYBE_DOMAIN_CIDR },
	{ S_INIT("ptr"),     TERM_PTR,     MAYBE_DOMAIN },
	{ S_INIT("ip4"),     TERM_IP4,     NETWORK },
	{ S_INIT("ip6"),     TERM_IP6,     NETWORK },
	{ S_INIT("exists"),  TERM_EXISTS,  DOMAIN },
};

bool
spf_record_is(struct slice text)
{
	return slice_startsi(text, S("v=spf1")) && (text.n == VERSION || text.p[VERSION] == ' ');
}

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) */
static struct slice
take_name(struct slice *s)
{
	struct slice name = slice_head(*s, 0);

	if (s->n > 0 && is_alpha(*s->p))
		while (name.n < s->n && (is_alnum(s->p[name.n]) ||
		    (s->p[name.n] != '\0' && strchr("-_.", s->p[name.n]) != NULL)))
			name.n++;
	*s = slice_skip(*s, name.n);
	return name;
}

/* "+" / "-" / "?" / "~"; without one a match is a pass (RFC 7208 4.6.2). */
static bool
take_qualifier(struct slice *s, enum spf_result *result)
{
	*result = SPF_PASS;
	switch (s->n > 0 ? *s->p : '\0') {
	case '+':
		break;
	case '-':
		*result = SPF_FAIL;
		break;
	case '?':
		*result = SPF_NEUTRAL;
		break;
	case '~':
		*result = SPF_SOFTFAIL;
		break;
	default:
		return false;
	}
	*s = slice_skip(*s, 1);
	return true;
}

/*
 * Take a prefix length with the slashes before it off the end of *s, if there
 * is one: "/" ( "0" / %x31-39 *DIGIT ) and not more than `most`.
 */
static const char *
cut_prefix(struct slice *s, const char *slashes, unsigned most, unsigned *bits)
{
	size_t n = s->n, wanted = strlen(slashes);
	struct slice digits;
	uint64_t number;

	*bits = most;
	while (n > 0 && is_digit(s->p[n - 1]))
		n--;
	digits = slice_skip(*s, n);
	if (digits.n == 0 || !slice_endsi(slice_head(*s, n), slice(slashes)))
		return NULL;
	if (!slice_number(digits, most, &number) || (digits.n > 1 && *digits.p == '0'))
		return "the prefix length is not a number from 0 to 32 or 128";
	*bits = (unsigned)number;
	s->n = n - wanted;
	return NULL;
}

/* [ ":" domain-spec ] */
static const char *
read_domain(struct slice s, bool needed, struct spf_term *t)
{
	if (s.n == 0)
		return needed ? "the domain is missing" : NULL;
	if (*s.p != ':')
		return "what stands behind the name of the mechanism makes no sense";
	t->target = slice_skip(s, 1);
	return spf_domain_flaw(t->target);
}

/* [ ":" domain-spec ] [ dual-cidr-length ], read from the end: a domain-spec may hold "/". */
static const char *
read_domain_cidr(struct slice s, struct spf_term *t)
{
	const char *flaw = cut_prefix(&s, "//", 128, &t->bits6);

	if (flaw == NULL)
		flaw = cut_prefix(&s, "/", 32, &t->bits4);
	return flaw != NULL ? flaw : read_domain(s, false, t);
}

/* ":" ip4-network [ "/" prefix ], and the same for ip6 (RFC 7208 5.6) */
static const char *
read_network(struct slice s, struct spf_term *t)
{
	unsigned most = t->kind == TERM_IP4 ? 32 : 128, *bits = most == 32 ? &t->bits4 : &t->bits6;
	const char *flaw = cut_prefix(&s, "/", most, bits);

	if (flaw != NULL)
		return flaw;
	if (s.n == 0 || *s.p != ':' || !ip_parse(slice_skip(s, 1), &t->network) ||
	    8 * t->network.n != most)
		return most == 32 ? "this is not an IPv4 address" : "this is not an IPv6 address";
	return NULL;
}

static const char *
read_mechanism(struct slice name, struct slice rest, struct spf_term *t)
{
	const struct mechanism *m = MECHANISMS, *end = m + sizeof MECHANISMS / sizeof *m;

	while (m < end && !slice_eqi(m->name, name))
		m++;
	if (m == end)
		return "there is no such mechanism";
	t->kind = m->kind;
	switch (m->argument) {
	case NOTHING:
		return rest.n == 0 ? NULL : "all takes nothing behind it";
	case NETWORK:
		return read_network(rest, t);
	case MAYBE_DOMAIN_CIDR:
		return read_domain_cidr(rest, t);
	default:
		return read_domain(rest, m->argument == DOMAIN, t);
	}
}

/* A known name never counts as an unknown modifier, however wrong its value is. */
static const char *
read_modifier(struct slice name, struct slice value, struct spf_term *t)
{
	t->target = value;
	t->kind = slice_eqi(name, S("redirect")) ? TERM_REDIRECT
	    : slice_eqi(name, S("exp")) ? TERM_EXP : TERM_OTHER;
	return t->kind == TERM_OTHER ? spf_macro_flaw(value) : spf_domain_flaw(value);
}

/* directive = [ qualifier ] mechanism; modifier = name "=" value */
static const char *
read_term(struct spf_term *t)
{
	struct slice rest = t->text, name;
	bool qualified = take_qualifier(&rest, &t->result);

	name = take_name(&rest);
	if (!qualified && name.n > 0 && rest.n > 0 && *rest.p == '=')
		return read_modifier(name, slice_skip(rest, 1), t);
	return read_mechanism(name, rest, t);
}

bool
spf_term_next(struct slice record, size_t *at, struct spf_term *t, const char **flaw)
{
	struct slice rest;

	if (*at < VERSION)
		*at = VERSION;
	while (*at < record.n && record.p[*at] == ' ')
		++*at;
	rest = slice_skip(record, *at);
	*t = (struct spf_term){ .text = slice_head(rest, slice_find(rest, ' ')), .at = *at };
	*at += t->text.n;
	*flaw = t->text.n > 0 ? read_term(t) : NULL;
	return t->text.n > 0 && *flaw == NULL;
}

/* "These two modifiers MUST NOT appear in a record more than once each" (RFC 7208 6). */
static const char *
keep_modifier(struct spf_record *r, const struct spf_term *t)
{
	struct spf_term *place = t->kind == TERM_REDIRECT ? &r->redirect : &r->exp;

	if (place->text.n > 0)
		return "this modifier stands there twice";
	*place = *t;
	return NULL;
}

const char *
spf_record_read(struct slice text, struct spf_record *r, struct spf_term *t)
{
	const char *flaw = NULL;
	size_t at = 0;

	*r = (struct spf_record){ .text = text };
	while (flaw == NULL && spf_term_next(text, &at, t, &flaw)) {
		r->has_all = r->has_all || t->kind == TERM_ALL;
		if (t->kind == TERM_REDIRECT || t->kind == TERM_EXP)
			flaw = keep_modifier(r, t);
	}
	return flaw;
}
