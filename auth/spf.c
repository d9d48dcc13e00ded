/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdarg.h>
#include <stdio.h>

#include "auth/spf.h"
#include "auth/spf_macro.h"
#include "auth/spf_record.h"
#include "auth/steps.h"
#include "base/bug.h"
#include "base/text.h"
#include "dns/wire.h"
#include "mail/domain.h"

/* Every question inside an evaluation ends in one of these. */
enum outcome {
	YES, NO,
	ERROR,                          /* it ends the evaluation: check.error says how */
	UNKNOWN,                        /* a fact is missing: this round is given up */
};

struct check {
	const struct spf_question *question;
	struct facts     *facts;
	struct spf       *answer;
	struct spf_values values;       /* of the macros; `domain` is the current one */
	struct ip         client;
	unsigned          depth;        /* of include and redirect */
	unsigned          includes;     /* of them: inside these, exp= is not ours */
	bool              named;        /* %{p} has been counted */
	bool              explaining;   /* the result stands; nothing is counted any more */
	struct spf_place  exp;          /* of the record that decided */
	enum spf_result   error;
	struct slice      why;
	struct step      *step;         /* where we are, for whoever wants to know */
	char              address[64], readable[IP_TEXT], time[24];
};

/* A name made for a question: every byte of it may be written as \DDD. */
struct name {
	char   text[4 * DOMAIN_MAX];
	size_t n;
};

/* What a term's target stands for: always the same, so it is made once for all rounds. */
struct spf_made {
	bool         done;
	enum outcome outcome;           /* YES or NO of make_name() */
	bool         by_name;           /* %{p} is in it: that is counted in each round */
	struct slice name;
};

static enum outcome check_host(struct check *, struct slice domain, enum spf_result *);

/* --- how an evaluation ends early ------------------------------------------ */

static void __attribute__((format(printf, 2, 0)))
say(struct check *c, const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof text, format, args);
	c->why = arena_copy(c->facts->arena, slice(text));
}

static enum outcome __attribute__((format(printf, 2, 3)))
permerror(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, format, args);
	va_end(args);
	c->error = SPF_PERMERROR;
	return ERROR;
}

static enum outcome __attribute__((format(printf, 2, 3)))
temperror(struct check *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, format, args);
	va_end(args);
	c->error = SPF_TEMPERROR;
	return ERROR;
}

/* No policy: an answer, not an error; but include and redirect make it one. */
static enum outcome __attribute__((format(printf, 3, 4)))
none(struct check *c, enum spf_result *result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, format, args);
	va_end(args);
	*result = SPF_NONE;
	return YES;
}

static void
stand_at(struct check *c, const struct spf_term *t)
{
	c->answer->term = (struct spf_place){ t->text, c->values.domain, t->at };
}

/* --- look-ups and their limits (RFC 7208 4.6.4) ----------------------------- */

static enum outcome
count_term(struct check *c)
{
	if (++c->answer->lookups <= SPF_TERMS_MOST)
		return YES;
	return permerror(c, "more than %d terms that need look-ups (RFC 7208 4.6.4)", SPF_TERMS_MOST);
}

static enum outcome
count_void(struct check *c, uint16_t type, struct slice name)
{
	if (++c->answer->voids <= SPF_VOIDS_MOST)
		return NO;
	return permerror(c, "more than %d look-ups found nothing, the last one %s of %.*s"
	    " (RFC 7208 4.6.4)", SPF_VOIDS_MOST, rr_name(type), FMT(name));
}

/* YES: found; NO: there is no such thing, or nobody can be asked for it. */
static enum outcome
look_up(struct check *c, struct slice name, uint16_t type, const struct fact **f)
{
	if (!domain_lengths_ok(name))
		return NO;
	if ((*f = fact(c->facts, name, type)) == NULL)
		return UNKNOWN;
	step_asked(c->step, *f, NULL);
	if ((*f)->answer == ANSWER_BROKEN)
		return temperror(c, "looking up %s of %.*s failed: %.*s", rr_name(type), FMT(name),
		    FMT((*f)->why));
	return (*f)->answer == ANSWER_FOUND ? YES : NO;
}

/* The same for a look-up that is counted when it finds nothing. */
static enum outcome
look_up_counted(struct check *c, struct slice name, uint16_t type, const struct fact **f)
{
	enum outcome o = look_up(c, name, type, f);

	return o == NO && domain_lengths_ok(name) ? count_void(c, type, name) : o;
}

static uint16_t
address_type(const struct check *c)
{
	return c->client.n == 4 ? RR_A : RR_AAAA;
}

static bool
holds_client(const struct check *c, const struct fact *f, unsigned bits)
{
	for (size_t i = 0; i < f->count; i++)
		if (ip_in(c->client, ip_of(f->records[i].data), bits))
			return true;
	return false;
}

/* --- the client's names (RFC 7208 5.5) --------------------------------------- */

static const struct fact *
client_names(struct check *c)
{
	char reverse[IP_REVERSE];
	const struct fact *f;

	ip_reverse(c->client, reverse);
	f = fact(c->facts, slice(reverse), RR_PTR);
	step_asked(c->step, f, NULL);
	return f;
}

static size_t
names_used(const struct fact *f)
{
	if (f->answer != ANSWER_FOUND)
		return 0;
	return f->count < SPF_PTR_MOST ? f->count : SPF_PTR_MOST;
}

/* Does the name lead back to the client?  One whose look-up fails does not (RFC 7208 5.5). */
static enum outcome
validated(struct check *c, struct slice name)
{
	const struct fact *f = fact(c->facts, name, address_type(c));

	if (f == NULL)
		return UNKNOWN;
	step_asked(c->step, f, NULL);
	return f->answer == ANSWER_FOUND && holds_client(c, f, 8 * c->client.n) ? YES : NO;
}

/* How well a name suits %{p}: the domain itself, one below it, any other (RFC 7208 7.3). */
static unsigned
suits(const struct check *c, struct slice name)
{
	return slice_eqi(name, c->values.domain) ? 3 : domain_within(name, c->values.domain) ? 2 : 1;
}

/* What %{p} stands for in the current domain; a name with escapes is no host's. */
static enum outcome
find_validated(struct check *c)
{
	const struct fact *f = client_names(c);
	enum outcome all = YES;
	unsigned best = 0;

	c->values.validated = S("unknown");
	if (!c->named && !c->explaining && count_term(c) == ERROR)
		return ERROR;
	c->named = true;
	if (f == NULL)
		return UNKNOWN;
	for (size_t i = 0; i < names_used(f); i++) {
		struct slice name = f->records[i].data;
		enum outcome o = slice_find(name, '\\') < name.n ? NO : validated(c, name);

		if (o == UNKNOWN)
			all = UNKNOWN;
		if (o == YES && suits(c, name) > best) {
			best = suits(c, name);
			c->values.validated = name;
		}
	}
	return all;
}

/* --- names out of domain-specs (RFC 7208 4.8, 7.3) ---------------------------- */

/* "by removing successive domain labels (and their following dots)" from the left (7.3) */
static struct slice
cut_to_fit(struct slice name)
{
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	while (name.n > DOMAIN_MAX)
		name = domain_parent(name);
	return name;
}

static bool
is_printable(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

/* As the house writes names.  With other than printable ASCII in it, it is none: empty. */
static void
write_name(struct slice from, struct name *to)
{
	struct buf b = BUF(sizeof to->text);

	to->n = 0;
	if (!is_printable(from))
		return;
	for (size_t i = 0; i < from.n; i++)
		if (from.p[i] == '.')
			buf_byte(&b, '.');
		else
			label_byte_add(&b, from.p[i]);
	memcpy(to->text, b.p, to->n = b.n);
	buf_free(&b);
}

/*
 * The name a domain-spec stands for; empty or too long when it cannot be one.
 * NO: the spec wants a local part that is not ASCII; then its term does not
 * match, whatever it is (RFC 8616 4).
 */
static enum outcome
make_name(struct check *c, struct slice spec, struct name *name)
{
	struct buf b = BUF(SPF_EXPANSION_MOST);
	enum outcome o = YES;

	name->n = 0;
	if (!ascii_only(c->values.local) && spf_macro_uses(spec, "sl"))
		return NO;
	if (spf_macro_uses(spec, "p"))
		o = find_validated(c);
	if (o == YES && !spf_macro_expand(&b, spec, &c->values))
		o = permerror(c, "the domain is longer than %d octets", SPF_EXPANSION_MOST);
	if (o == YES)
		write_name(cut_to_fit(buf_slice(&b)), name);
	buf_free(&b);
	return o;
}

static struct slice
name_slice(const struct name *name)
{
	return slice_of(name->text, name->n);
}

static void
copy_name(struct name *to, struct slice from)
{
	memcpy(to->text, from.p, to->n = from.n);
}

static enum outcome
make_first(struct check *c, const struct spf_term *t, struct name *name)
{
	enum outcome o = make_name(c, t->target, name);
	struct slice copy = o == YES || o == NO ? arena_copy(c->facts->arena, name_slice(name)) : NONE;

	if (copy.p != NULL)
		*t->made = (struct spf_made){ true, o, o == YES && spf_macro_uses(t->target, "p"), copy };
	return o;
}

/* The <target-name> of a term: its domain-spec, or the current domain (RFC 7208 4.8). */
static enum outcome
target_name(struct check *c, const struct spf_term *t, struct name *name)
{
	const struct spf_made *made = t->made;
	enum outcome o;

	if (t->target.n == 0) {
		copy_name(name, c->values.domain);
		return YES;
	}
	if (!made->done)
		return make_first(c, t, name);
	copy_name(name, made->name);
	o = made->by_name ? find_validated(c) : YES;
	return o == YES ? made->outcome : o;
}

/* --- mechanisms (RFC 7208 5) --------------------------------------------------- */

static unsigned
bits_of(const struct check *c, const struct spf_term *t)
{
	return c->client.n == 4 ? t->bits4 : t->bits6;
}

static enum outcome
match_host(struct check *c, const struct spf_term *t, struct slice host)
{
	const struct fact *f;
	enum outcome o = look_up_counted(c, host, address_type(c), &f);

	return o != YES ? o : holds_client(c, f, bits_of(c, t)) ? YES : NO;
}

static enum outcome
match_a(struct check *c, const struct spf_term *t)
{
	struct name name;
	enum outcome o = target_name(c, t, &name);

	return o == YES ? match_host(c, t, name_slice(&name)) : o;
}

static bool
stands_before(const struct record *a, const struct record *b)
{
	size_t n = a->data.n < b->data.n ? a->data.n : b->data.n;
	int order = n ? memcmp(a->data.p, b->data.p, n) : 0;

	if (a->preference != b->preference)
		return a->preference < b->preference;
	return order != 0 ? order < 0 : a->data.n < b->data.n;
}

/* By preference and name: the order must not depend on how a server turned its answer. */
static void
sort_hosts(const struct fact *f, struct slice hosts[SPF_MX_MOST])
{
	const struct record *sorted[SPF_MX_MOST];

	for (size_t i = 0; i < f->count; i++) {
		size_t at = i;

		for (; at > 0 && stands_before(&f->records[i], sorted[at - 1]); at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = &f->records[i];
	}
	for (size_t i = 0; i < f->count; i++)
		hosts[i] = sorted[i]->data;
}

static enum outcome
match_mx(struct check *c, const struct spf_term *t)
{
	struct slice hosts[SPF_MX_MOST];
	const struct fact *f;
	struct name name;
	enum outcome o = target_name(c, t, &name);

	if (o == YES)
		o = look_up_counted(c, name_slice(&name), RR_MX, &f);
	if (o != YES)
		return o;
	if (f->count > SPF_MX_MOST)
		return permerror(c, "%.*s has more than %d MX hosts (RFC 7208 4.6.4)",
		    FMT(f->name), SPF_MX_MOST);
	sort_hosts(f, hosts);
	for (size_t i = 0; i < f->count; i++)   /* all at once: one round trip */
		if (domain_lengths_ok(hosts[i]))
			fact_ahead(c->facts, hosts[i], address_type(c));
	for (size_t i = 0; i < f->count; i++)
		if ((o = match_host(c, t, hosts[i])) != NO)
			return o;
	return NO;
}

/*
 * Only names at or below the target can decide, so only they are looked up.
 * "If a DNS error occurs while doing the PTR RR lookup, then this mechanism
 * fails to match" (RFC 7208 5.5).
 */
static enum outcome
match_ptr(struct check *c, const struct spf_term *t)
{
	struct name target;
	const struct fact *f = client_names(c);
	enum outcome o = target_name(c, t, &target), all = NO;

	if (o != YES || f == NULL)
		return o != YES ? o : UNKNOWN;
	if (f->answer != ANSWER_FOUND)
		return f->answer == ANSWER_BROKEN ? NO : count_void(c, RR_PTR, f->name);
	for (size_t i = 0; i < names_used(f); i++) {
		struct slice name = f->records[i].data;

		if (target.n == 0 || !domain_within(name, name_slice(&target)))
			continue;
		if ((o = validated(c, name)) == YES)
			return YES;
		if (o == UNKNOWN)
			all = UNKNOWN;
	}
	return all;
}

/* "The lookup type is A even when the connection type is IPv6" (RFC 7208 5.7). */
static enum outcome
match_exists(struct check *c, const struct spf_term *t)
{
	const struct fact *f;
	struct name name;
	enum outcome o = target_name(c, t, &name);

	return o == YES ? look_up_counted(c, name_slice(&name), RR_A, &f) : o;
}

/* The table of RFC 7208 5.2. */
static enum outcome
match_include(struct check *c, const struct spf_term *t)
{
	struct name name;
	enum spf_result result = SPF_NONE;
	enum outcome o = target_name(c, t, &name);

	if (o != YES)
		return o;
	c->includes++;
	o = check_host(c, name_slice(&name), &result);
	c->includes--;
	if (o == YES && result == SPF_NONE) {
		c->error = SPF_PERMERROR;       /* check_host() has said why */
		return ERROR;
	}
	return o == YES && result != SPF_PASS ? NO : o;
}

/* The mechanisms that "cause DNS queries" (RFC 7208 4.6.4); redirect counts for itself. */
static bool
is_counted(enum spf_kind kind)
{
	return kind == TERM_INCLUDE || kind == TERM_A || kind == TERM_MX || kind == TERM_PTR ||
	    kind == TERM_EXISTS;
}

static enum outcome
match(struct check *c, const struct spf_term *t)
{
	switch (t->kind) {
	case TERM_ALL:
		return YES;
	case TERM_INCLUDE:
		return match_include(c, t);
	case TERM_A:
		return match_a(c, t);
	case TERM_MX:
		return match_mx(c, t);
	case TERM_PTR:
		return match_ptr(c, t);
	case TERM_IP4:
	case TERM_IP6:
		return ip_in(c->client, t->network, bits_of(c, t)) ? YES : NO;
	case TERM_EXISTS:
		return match_exists(c, t);
	default:
		return NO;                      /* modifiers have their turn later, or none */
	}
}

/* --- telling what was done ----------------------------------------------------- */

static const char *
rule_of(enum spf_kind kind)
{
	static const char *const rules[] = {
		[TERM_ALL] = "RFC 7208 5.1", [TERM_INCLUDE] = "RFC 7208 5.2", [TERM_A] = "RFC 7208 5.3",
		[TERM_MX] = "RFC 7208 5.4", [TERM_PTR] = "RFC 7208 5.5", [TERM_IP4] = "RFC 7208 5.6",
		[TERM_IP6] = "RFC 7208 5.6", [TERM_EXISTS] = "RFC 7208 5.7",
		[TERM_REDIRECT] = "RFC 7208 6.1", [TERM_EXP] = "RFC 7208 6.2", [TERM_OTHER] = "RFC 7208 6",
	};

	return rules[kind];
}

/* What is done from now on belongs to this step; gives the one it was before. */
static struct step *
step_into(struct check *c, const char *name, struct slice subject)
{
	struct step *outer = c->step;

	c->step = step_add(outer, name, subject);
	return outer;
}

static void
step_out(struct check *c, struct step *outer, const char *result, const char *rule)
{
	step_end(c->step, result, rule);
	c->step = outer;
}

static const char *
match_name(enum outcome o)
{
	return o == YES ? "match" : o == NO ? "no match" : o == ERROR ? "error" : "not known yet";
}

static const char *
result_name(const struct check *c, enum outcome o, enum spf_result result)
{
	return o == UNKNOWN ? "not known yet" : spf_result_name(o == ERROR ? c->error : result);
}

/* --- which terms matter --------------------------------------------------------- */

/* It matches, and nobody need be asked for that. */
static bool
decides_alone(const struct check *c, const struct spf_term *t)
{
	return t->kind == TERM_ALL || ((t->kind == TERM_IP4 || t->kind == TERM_IP6) &&
	    ip_in(c->client, t->network, bits_of(c, t)));
}

/* Whoever wants to know why sees them all. */
static bool
matters(const struct check *c, const struct spf_term *t)
{
	return is_counted(t->kind) || decides_alone(c, t) || c->answer->steps != NULL;
}

/*
 * The terms that matter to this client go to `terms`, if that is not NULL; gives
 * their number.  What stands behind one that decides, or behind the 11th that
 * asks, is never reached.
 */
static size_t
pick_terms(const struct check *c, struct slice text, struct spf_term *terms)
{
	size_t at = 0, count = 0, asking = 0;
	bool reached = true;
	struct spf_term t;
	const char *flaw;

	while (reached && spf_term_next(text, &at, &t, &flaw)) {
		if (!matters(c, &t))
			continue;
		if (terms != NULL)
			terms[count] = t;
		count++;
		asking += is_counted(t.kind);
		reached = asking <= SPF_TERMS_MOST && !decides_alone(c, &t);
	}
	return count;
}

/* So a round walks over a dozen of them, however long the record is.  False: no memory. */
static bool
keep_terms(const struct check *c, struct spf_record *r)
{
	struct arena *arena = c->facts->arena;
	struct spf_made *made;

	r->count = pick_terms(c, r->text, NULL);
	r->terms = arena_get(arena, (r->count + 1) * sizeof *r->terms);
	made = arena_get(arena, (r->count + 1) * sizeof *made);
	if (r->terms == NULL || made == NULL)
		return false;
	pick_terms(c, r->text, r->terms);
	for (size_t i = 0; i < r->count; i++)
		r->terms[i].made = made++;
	r->redirect.made = made;
	return true;
}

/* --- records (RFC 7208 4.5 to 4.7, 6.1) --------------------------------------- */

static void
ask_record(struct check *c, struct slice spec)
{
	struct name name;

	if (slice_find(spec, '%') < spec.n)
		return;
	write_name(cut_to_fit(spec), &name);
	if (domain_lengths_ok(name_slice(&name)))
		fact_ahead(c->facts, name_slice(&name), RR_TXT);
}

/*
 * This round is given up.  The records that the rest of this one names outright
 * are asked for together with what is missing: a policy then costs round trips
 * by its depth, not by its breadth.  Only as many as could still count; and
 * nothing but records, because an `a`, `mx` or `exists` that is never reached
 * must not burden, or tell, anybody.
 */
static void
ask_ahead(struct check *c, const struct spf_record *r, const struct spf_term *t)
{
	for (; t < r->terms + r->count; t++) {
		if (decides_alone(c, t))
			return;
		if (is_counted(t->kind) && ++c->answer->lookups <= SPF_TERMS_MOST &&
		    t->kind == TERM_INCLUDE)
			ask_record(c, t->target);
	}
	if (r->redirect.text.n > 0 && ++c->answer->lookups <= SPF_TERMS_MOST)
		ask_record(c, r->redirect.target);
}

/* redirect= is check_host() again; without a record there it is an error (RFC 7208 6.1). */
static enum outcome
follow_redirect(struct check *c, const struct spf_term *t, enum spf_result *result)
{
	struct name name;
	enum outcome o = count_term(c);

	if (o == YES)
		o = target_name(c, t, &name);
	if (o == NO)
		return permerror(c, "the local part is not ASCII and cannot be part of a name");
	if (o == YES)
		o = check_host(c, name_slice(&name), result);
	if (o != YES || *result != SPF_NONE)
		return o;
	c->error = SPF_PERMERROR;
	return ERROR;
}

static enum outcome
redirect(struct check *c, const struct spf_term *t, enum spf_result *result)
{
	struct step *outer = step_into(c, "term", t->text);
	enum outcome o;

	stand_at(c, t);
	o = follow_redirect(c, t, result);
	step_out(c, outer, result_name(c, o, *result), rule_of(t->kind));
	return o;
}

static enum outcome
try_term(struct check *c, const struct spf_term *t)
{
	struct step *outer = step_into(c, "term", t->text);
	enum outcome o = is_counted(t->kind) ? count_term(c) : YES;

	if (o == YES)
		o = match(c, t);
	step_out(c, outer, match_name(o), rule_of(t->kind));
	return o;
}

/* The first term that matches decides (RFC 7208 4.6.2); without one redirect, else neutral. */
static enum outcome
walk(struct check *c, const struct spf_record *r, enum spf_result *result)
{
	for (const struct spf_term *t = r->terms; t < r->terms + r->count; t++) {
		enum outcome o;

		stand_at(c, t);
		if ((o = try_term(c, t)) == NO)
			continue;
		if (o == UNKNOWN)
			ask_ahead(c, r, t + 1);
		if (o == YES)
			stand_at(c, t);         /* an include had moved away */
		if (o == YES && c->includes == 0)
			c->exp = (struct spf_place){ r->exp.target, c->values.domain, 0 };
		*result = t->result;
		return o;
	}
	if (r->redirect.text.n > 0)
		return redirect(c, &r->redirect, result);
	c->answer->term = (struct spf_place){ 0 };
	*result = SPF_NEUTRAL;
	return YES;
}

/* The one record among the TXT records (RFC 7208 4.5). */
static enum outcome
choose_record(struct check *c, const struct fact *f, struct slice *text)
{
	size_t count = 0;

	for (size_t i = 0; i < f->count; i++)
		if (spf_record_is(f->records[i].data)) {
			*text = f->records[i].data;
			count++;
		}
	if (f->left_out > 0)
		return permerror(c, "the TXT records of %.*s are longer than %d octets", FMT(f->name),
		    FACT_OCTETS);
	if (count > 1)
		return permerror(c, "%.*s has %zu SPF records (RFC 7208 4.5)", FMT(f->name), count);
	if (count == 1 && text->n > SPF_RECORD_MOST)
		return permerror(c, "the SPF record of %.*s is longer than %d octets", FMT(f->name),
		    SPF_RECORD_MOST);
	return count == 1 ? YES : NO;
}

/* All of it is checked before any of it counts (RFC 7208 4.6); what has been read stays read. */
static enum outcome
read_record(struct check *c, struct slice text, const struct spf_record **record)
{
	struct spf_record *r;
	struct spf_term bad;
	const char *flaw;

	for (r = c->answer->records; r != NULL; r = r->next)
		if (r->text.p == text.p) {
			*record = r;
			return YES;
		}
	if ((*record = r = arena_get(c->facts->arena, sizeof *r)) == NULL)
		return temperror(c, "no memory left for an SPF evaluation");
	if ((flaw = spf_record_read(text, r, &bad)) != NULL) {
		stand_at(c, &bad);
		return permerror(c, "\"%.*s\" in the SPF record of %.*s: %s",
		    FMT(slice_head(bad.text, 100)), FMT(c->values.domain), flaw);
	}
	if (!keep_terms(c, r))
		return temperror(c, "no memory left for an SPF evaluation");
	r->next = c->answer->records;
	c->answer->records = r;
	return YES;
}

/* Walk through a record, with its domain as the current one. */
static enum outcome
evaluate(struct check *c, struct slice domain, struct slice text, enum spf_result *result)
{
	struct slice outer = c->values.domain;
	const struct spf_record *record;
	enum outcome o;

	bug_if(c->depth > SPF_TERMS_MOST);      /* each level has counted a term */
	c->values.domain = domain;
	c->depth++;
	o = read_record(c, text, &record);
	if (o == YES)
		o = walk(c, record, result);
	c->depth--;
	c->values.domain = outer;
	return o;
}

static enum outcome
find_and_evaluate(struct check *c, struct slice domain, enum spf_result *result)
{
	const struct fact *f = NULL;
	struct slice text = NONE;
	enum outcome o;

	if (!domain_lengths_ok(domain) || domain_labels(domain) < 2)
		return none(c, result, "\"%.*s\" is not the name of a domain (RFC 7208 4.3)",
		    FMT(slice_head(domain, 100)));
	o = look_up(c, domain, RR_TXT, &f);
	if (o == YES)
		o = choose_record(c, f, &text);
	if (o == NO)
		return none(c, result, "%.*s has no SPF record", FMT(f->name));
	return o == YES ? evaluate(c, f->name, text, result) : o;
}

/* check_host() (RFC 7208 4) */
static enum outcome
check_host(struct check *c, struct slice domain, enum spf_result *result)
{
	struct step *outer = step_into(c, "record", domain);
	enum outcome o = find_and_evaluate(c, domain, result);

	if (o == ERROR || (o == YES && *result == SPF_NONE))
		step_why(c->step, c->why);
	step_out(c, outer, result_name(c, o, *result), "RFC 7208 4");
	return o;
}

/* --- the explanation of a fail (RFC 7208 6.2) ---------------------------------- */

static enum outcome
expand_explanation(struct check *c, struct slice text)
{
	struct buf b = BUF(SPF_EXPLANATION_MOST);
	enum outcome o = YES;

	if (spf_explanation_flaw(text) != NULL)
		return NO;
	if (spf_macro_uses(text, "p"))
		o = find_validated(c);
	if (o == YES && spf_macro_expand(&b, text, &c->values) && is_printable(buf_slice(&b)))
		c->answer->explanation = arena_copy(c->facts->arena, buf_slice(&b));
	buf_free(&b);
	return o;
}

/* Whatever goes wrong: "proceed as if no exp modifier was given".  False when a fact is missing. */
static bool
explain(struct check *c)
{
	const struct fact *f;
	struct name name;
	enum outcome o;

	if (c->exp.text.n == 0)
		return true;
	c->explaining = true;
	c->values.domain = c->exp.domain;
	c->step = step_add(c->step, "explanation", c->exp.text);
	o = make_name(c, c->exp.text, &name);
	if (o == YES)
		o = look_up(c, name_slice(&name), RR_TXT, &f);
	if (o == YES && f->count == 1)
		o = expand_explanation(c, f->records[0].data);
	step_end(c->step, c->answer->explanation.n > 0 ? "expanded" : "none", "RFC 7208 6.2");
	return o != UNKNOWN;
}

/* --- the story ------------------------------------------------------------------ */

/*
 * "%{i}" of an IPv6 address: its digits with dots between them (RFC 7208 7.3),
 * in upper case, as the public suite wants them in an explanation; in a name
 * the case is lost anyway.
 */
static void
dotted(struct ip ip, char text[64])
{
	static const char digits[] = "0123456789ABCDEF";

	for (unsigned i = 0; i < ip.n; i++) {
		*text++ = digits[ip.bytes[i] >> 4];
		*text++ = '.';
		*text++ = digits[ip.bytes[i] & 15];
		*text++ = i + 1 < ip.n ? '.' : '\0';
	}
}

static void
set_client(struct check *c)
{
	struct spf_values *v = &c->values;

	c->client = ip_unmapped(c->question->client);
	bug_if(c->client.n == 0);
	ip_text(c->client, c->readable);
	dotted(c->client, c->address);
	snprintf(c->time, sizeof c->time, "%lld", (long long)(c->question->now / 1000));
	v->readable = slice(c->readable);
	v->address = c->client.n == 4 ? v->readable : slice(c->address);
	v->family = c->client.n == 4 ? S("in-addr") : S("ip6");
	v->receiver = c->question->receiver.n ? c->question->receiver : S("unknown");
	v->time = slice(c->time);
}

/* The sender by identity (RFC 7208 2.3, 2.4, 4.3); the domain in A-labels (RFC 8616 4). */
static enum outcome
set_sender(struct check *c, enum spf_result *result)
{
	const struct spf_question *q = c->question;
	struct spf_values *v = &c->values;
	struct arena *arena = c->facts->arena;
	bool by_helo = q->identity == SPF_HELO || q->domain.n == 0;
	struct slice domain = by_helo ? q->helo : q->domain;
	struct slice a_labels = ascii_only(q->helo) ? NONE : domain_normal(q->helo, arena);

	v->helo = a_labels.p != NULL ? a_labels : q->helo;
	v->local = by_helo || q->local.n == 0 ? S("postmaster") : q->local;
	v->sender_domain = domain_normal(domain, arena);
	v->sender = arena_printf(arena, "%.*s@%.*s", FMT(v->local), FMT(v->sender_domain));
	if (v->sender.p == NULL ||
	    (v->sender_domain.p == NULL && arena_get(arena, 4 * DOMAIN_MAX) == NULL))
		return temperror(c, "no memory left for an SPF evaluation");
	if (v->sender_domain.p == NULL) {
		none(c, result, "\"%.*s\" is not the name of a domain (RFC 7208 4.3)",
		    FMT(slice_head(domain, 100)));
		return NO;
	}
	c->answer->domain = v->sender_domain;
	return YES;
}

static void
conclude(struct check *c, enum outcome o, enum spf_result result)
{
	struct spf *answer = c->answer;

	answer->done = true;
	answer->result = o == ERROR ? c->error : result;
	if (o == ERROR || result == SPF_NONE)
		answer->why = c->why;
}

bool
spf_evaluate(struct spf *answer, const struct spf_question *question, struct facts *facts)
{
	struct check c = { .question = question, .facts = facts, .answer = answer, .step = answer->steps };
	enum spf_result result = SPF_NONE;
	enum outcome o;

	if (answer->done)
		return true;
	*answer = (struct spf){ .steps = answer->steps, .identity = question->identity,
	    .records = answer->records };
	step_clear(answer->steps);
	set_client(&c);
	o = set_sender(&c, &result);
	if (o == YES)
		o = check_host(&c, c.values.sender_domain, &result);
	if (o == UNKNOWN || (o == YES && result == SPF_FAIL && !explain(&c)))
		return false;
	conclude(&c, o, result);
	return true;
}

const char *
spf_result_name(enum spf_result result)
{
	static const char *const names[] = {
		"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror",
	};

	return names[result];
}

const char *
spf_identity_name(enum spf_identity identity)
{
	return identity == SPF_HELO ? "helo" : "mailfrom";
}
