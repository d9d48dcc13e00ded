/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/dmarc.h"
#include "mail/domain.h"

/*
 * Identities asked beside the Author Domain, before it is known which of them
 * can matter: few, because a stranger chooses them and questions are limited.
 */
enum { EARLY_SIGNATURES = 3 };

static const char *const RESULTS[] = { "none", "pass", "fail", "temperror", "permerror" };

/* --- the DNS Tree Walk (RFC 9989 4.10) ------------------------------------ */

#define LABEL "_dmarc."

static struct slice
domain_of(const struct dmarc_step *step)
{
	return slice_skip(step->name, sizeof LABEL - 1);
}

/* Ask for the records of a domain; false while they are not known. */
static bool
look(struct dmarc_step *step, struct slice domain, struct facts *facts)
{
	char name[sizeof LABEL + DOMAIN_MAX];
	const struct fact *f;

	if (domain.n > DOMAIN_MAX)
		return true;
	memcpy(name, LABEL, sizeof LABEL - 1);
	memcpy(name + sizeof LABEL - 1, domain.p, domain.n);
	f = fact(facts, slice_of(name, sizeof LABEL - 1 + domain.n), RR_TXT);
	if (f == NULL)
		return false;
	*step = (struct dmarc_step){ .name = f->name, .answer = f->answer };
	for (size_t i = 0; i < f->count; i++)
		if (dmarc_record_is(f->records[i].data)) {
			step->records++;
			step->text = f->records[i].data;
		}
	return true;
}

/* Several records are as none (4.10 step 2). */
static bool
step_record(const struct dmarc_step *step, struct dmarc_record *record)
{
	return step->records == 1 && dmarc_record_parse(step->text, record);
}

/* psd=n and psd=y end a walk; a DNS error leaves it open where it leads. */
static bool
walk_on(struct dmarc_walk *w, size_t step)
{
	struct dmarc_record record;
	struct slice domain = domain_of(&w->steps[step]);

	w->count = step + 1;
	if (w->steps[step].answer == ANSWER_BROKEN)
		w->broken = true;
	if (!step_record(&w->steps[step], &record))
		return true;
	if (record.psd == DMARC_PSD_Y && step > 0)
		w->org = domain_tail(w->start, domain_labels(domain) + 1);
	else
		w->org = domain;
	return record.psd == DMARC_PSD_U;
}

/*
 * The walk from `start`, which is the name itself, its last seven labels or
 * its parent, and so on up to one label.  False while an answer is missing; the
 * next call goes on from there.
 */
static bool
walk(struct dmarc_walk *w, struct slice start, struct facts *facts)
{
	bool known[DMARC_STEPS];
	struct slice name = start;
	size_t names = 0;

	if (w->done)
		return true;
	if (w->count == 0)
		*w = (struct dmarc_walk){ .start = start, .org = start };
	for (; name.n > 0 && names < DMARC_STEPS; names++) {
		known[names] = names < w->count || look(&w->steps[names], name, facts);
		name = domain_tail(domain_parent(name), DMARC_STEPS - 1);
	}
	for (size_t i = w->count; i < names; i++) {
		if (!known[i])
			return false;
		if (!walk_on(w, i))
			break;
	}
	if (w->broken)
		w->org = NONE;
	return w->done = true;
}

/* --- the policy (4.10.1) -------------------------------------------------- */

static bool
conclude(struct dmarc *d, enum dmarc_result result, struct slice why)
{
	d->result = result;
	d->why = why;
	return d->concluded = true;
}

/* The step whose record applies: at the Author Domain, at its Organizational Domain, at the PSD. */
static const struct dmarc_step *
policy_step(const struct dmarc_walk *w)
{
	const struct dmarc_step *last = &w->steps[w->count - 1];

	if (w->steps[0].records == 1)
		return &w->steps[0];
	for (size_t i = 0; i < w->count; i++)
		if (w->steps[i].records == 1 && slice_eqi(domain_of(&w->steps[i]), w->org))
			return &w->steps[i];
	return last->records == 1 ? last : NULL;
}

/* Only np= asks whether the Author Domain exists. */
static bool
existence_matters(const struct dmarc *d)
{
	return d->policy_domain.n > 0 && !slice_eqi(d->policy_domain, d->author) &&
	    d->record.np != d->record.sp;
}

/* p, sp or np; false while it is not known whether the Author Domain exists. */
static bool
select_tag(struct dmarc *d, bool *broken, struct facts *facts)
{
	const struct dmarc_record *r = &d->record;
	const struct fact *f;

	*broken = false;
	d->tag = "p";
	d->requested = r->p;
	if (slice_eqi(d->policy_domain, d->author))
		return true;
	d->tag = r->sp_said ? "sp" : "p";
	d->requested = r->sp;
	if (!existence_matters(d))
		return true;
	if ((f = fact(facts, d->author, RR_TXT)) == NULL)
		return false;
	*broken = f->answer == ANSWER_BROKEN;
	if (f->answer == ANSWER_NXDOMAIN) {             /* RFC 8020, not "no address" */
		d->tag = "np";
		d->requested = r->np;
	}
	return true;
}

static enum dmarc_policy
one_level_lower(enum dmarc_policy policy)
{
	return policy == DMARC_P_REJECT ? DMARC_P_QUARANTINE : DMARC_P_NONE;
}

/* --- alignment (4.10.2) --------------------------------------------------- */

static bool
may_prove(const struct dmarc_identifier *id)
{
	return id->identity.evidence != DMARC_UNPROVEN && !id->identity.ignored &&
	    id->identity.domain.n > 0;
}

/*
 * An Organizational Domain is the name itself or stands above it: what is not
 * below the author's has another.  Before that is known two common labels make
 * it worth asking.
 */
static void
ask_early(struct dmarc_identifier *id, struct slice author, struct facts *facts)
{
	struct slice domain = id->identity.domain;

	if (may_prove(id) && !slice_eqi(domain, author) &&
	    domain_within(domain, domain_tail(author, 2)))
		walk(&id->walk, domain, facts);
}

/* Only its Organizational Domain tells whether it is aligned. */
static bool
walk_decides(const struct dmarc_identifier *id, const struct dmarc *d, bool strict)
{
	return id->alignment != DMARC_STRICT && !strict && may_prove(id) && !d->walk.broken &&
	    domain_within(id->identity.domain, d->walk.org);
}

/* False while an answer is missing. */
static bool
align(struct dmarc_identifier *id, const struct dmarc *d, bool strict, struct facts *facts)
{
	struct slice domain = id->identity.domain;

	if (slice_eqi(domain, d->author))
		id->alignment = DMARC_STRICT;
	if (!walk_decides(id, d, strict)) {
		id->walk = (struct dmarc_walk){ 0 };
		id->unsure = d->walk.broken && id->alignment != DMARC_STRICT && !strict &&
		    may_prove(id) && domain_within(domain, domain_tail(d->author, 1));
		return true;
	}
	if (!walk(&id->walk, domain, facts))
		return false;
	id->unsure = id->walk.broken;
	if (slice_eqi(id->walk.org, d->walk.org))
		id->alignment = DMARC_RELAXED;
	return true;
}

/* All of them, so that what is missing is asked together. */
static bool
align_all(struct dmarc *d, struct facts *facts)
{
	bool known = align(&d->spf, d, d->record.aspf_strict, facts);

	for (size_t i = 0; i < d->dkim_count; i++)
		known &= align(&d->dkim[i], d, d->record.adkim_strict, facts);
	return known;
}

/* Proven and aligned; *unsure is set when only a DNS error stands in between. */
static bool
proves(struct dmarc_identifier *id, bool *unsure)
{
	if (!may_prove(id))
		return false;
	if (id->alignment != DMARC_UNALIGNED && id->identity.evidence == DMARC_UNSURE)
		id->unsure = true;
	*unsure |= id->unsure;
	return id->alignment != DMARC_UNALIGNED && id->identity.evidence == DMARC_PROVEN;
}

/* --- the story ------------------------------------------------------------ */

static void
begin(struct dmarc *d, const struct dmarc_question *q)
{
	*d = (struct dmarc){ .begun = true, .author = q->author.domain, .spf.identity = q->spf };
	for (size_t i = 0; i < q->dkim_count && i < DMARC_SIGNATURES; i++)
		d->dkim[d->dkim_count++].identity = q->dkim[i];
}

static bool
discover(struct dmarc *d, struct facts *facts)
{
	if (walk(&d->walk, d->author, facts))
		return true;
	ask_early(&d->spf, d->author, facts);
	for (size_t i = 0; i < d->dkim_count && i < EARLY_SIGNATURES; i++)
		ask_early(&d->dkim[i], d->author, facts);
	return false;
}

/* Names of steps are those of facts, and a question is one fact. */
static bool
asked(const struct dmarc_walk *const *walks, size_t count, struct slice name)
{
	for (size_t w = 0; w < count; w++)
		for (size_t i = 0; i < walks[w]->count; i++)
			if (walks[w]->steps[i].name.p == name.p)
				return true;
	return false;
}

/*
 * How many different questions were needed: existence, and the walks, which meet on
 * their ways up.  What was asked in advance for nothing is left to chance: not counted.
 */
static unsigned
count_queries(const struct dmarc *d)
{
	const struct dmarc_walk *walks[2 + DMARC_SIGNATURES] = { &d->walk, &d->spf.walk };
	size_t count = d->policy_domain.n > 0 ? 2 : 1;
	unsigned n = existence_matters(d) ? 1 : 0;

	for (size_t i = 0; count > 1 && i < d->dkim_count; i++)
		walks[count++] = &d->dkim[i].walk;
	for (size_t w = 0; w < count; w++)
		for (size_t i = 0; i < walks[w]->count; i++)
			n += !asked(walks, w, walks[w]->steps[i].name);
	return n;
}

static struct slice
first_broken(const struct dmarc_walk *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->steps[i].answer == ANSWER_BROKEN)
			return w->steps[i].name;
	return NONE;
}

static bool
pass_or_fail(struct dmarc *d, bool unsure)
{
	d->spf_aligned = proves(&d->spf, &unsure);
	for (size_t i = 0; i < d->dkim_count; i++)
		d->dkim_aligned |= proves(&d->dkim[i], &unsure);
	if (d->dkim_aligned || d->spf_aligned)          /* 5.3.5 */
		return conclude(d, DMARC_PASS, d->dkim_aligned ? S("an aligned signature verifies")
		    : S("the aligned sender passes SPF"));
	if (unsure)                                     /* 5.3.6 */
		return conclude(d, DMARC_TEMPERROR, S("a DNS error hides what would be aligned"));
	return conclude(d, DMARC_FAIL, S("nothing aligned passed"));
}

static bool
apply(struct dmarc *d, const struct dmarc_step *step, struct facts *facts)
{
	bool broken, known;

	if (!step_record(step, &d->record) || !d->record.usable)
		return conclude(d, DMARC_NONE, S("the record has no valid policy and no rua"));
	d->policy_domain = domain_of(step);
	d->org_domain = d->walk.org;
	known = select_tag(d, &broken, facts);
	if (!align_all(d, facts) || !known)
		return false;
	d->policy = d->record.test ? one_level_lower(d->requested) : d->requested;
	return pass_or_fail(d, broken);
}

static const struct slice FLAWS[] = {
	[FROM_NONE] = S_INIT("there is no From address"),
	[FROM_NOBODY] = S_INIT("the From field names no address"),
	[FROM_FIELDS] = S_INIT("there are several From fields"),
	[FROM_DOMAINS] = S_INIT("the From field names several domains"),
	[FROM_MANY] = S_INIT("the From field names too many addresses"),
	[FROM_UNPARSABLE] = S_INIT("the From field cannot be read"),
};

bool
dmarc_evaluate(struct dmarc *d, const struct dmarc_question *q, struct facts *facts)
{
	const struct dmarc_step *step;

	if (d->concluded)
		return true;
	if (!d->begun)
		begin(d, q);
	if (d->author.n == 0)
		return conclude(d, DMARC_PERMERROR, FLAWS[q->author.flaw]);
	if (*d->author.p == '[')
		return conclude(d, DMARC_NONE, S("an address literal has no policy"));
	if (!discover(d, facts))
		return false;
	step = policy_step(&d->walk);
	if (d->walk.steps[0].answer == ANSWER_BROKEN || (d->walk.broken && step != d->walk.steps))
		conclude(d, DMARC_TEMPERROR, arena_printf(facts->arena, "%.*s could not be looked up",
		    FMT(first_broken(&d->walk))));
	else if (step == NULL)
		conclude(d, DMARC_NONE, S("no policy is published"));
	else if (!apply(d, step, facts))
		return false;
	d->queries = count_queries(d);
	return true;
}

/* No record is needed to know that it speaks for the author. */
static bool
is_above_author(const struct dmarc_identifier *id, struct slice author)
{
	return may_prove(id) && id->identity.evidence == DMARC_PROVEN &&
	    domain_within(author, id->identity.domain);
}

bool
dmarc_author_proved(const struct dmarc *d)
{
	bool proved = is_above_author(&d->spf, d->author);

	if (d->author.n == 0 || d->result == DMARC_PASS || d->result == DMARC_FAIL)
		return d->result == DMARC_PASS;
	for (size_t i = 0; i < d->dkim_count; i++)
		proved |= is_above_author(&d->dkim[i], d->author);
	return proved;
}

const char *
dmarc_result_name(enum dmarc_result result)
{
	return RESULTS[result];
}

void
dmarc_authres(const struct dmarc *d, struct authres *a)
{
	authres_add(a, "dmarc", dmarc_result_name(d->result));
	if (d->result == DMARC_TEMPERROR || d->result == DMARC_PERMERROR)
		authres_reason(a, d->why);
	authres_property(a, "header.from", d->author);
	if (d->policy_domain.n > 0)
		authres_property(a, "policy.dmarc", slice(dmarc_policy_name(d->policy)));
}
