/* SPDX-License-Identifier: ISC */
/* pure */
#include "arc/verdict.h"
#include "base/pack.h"
#include "mail/domain.h"

bool
verdict_begin(struct verdict *v, const struct header *h, struct bodies *bodies, struct arena *arena)
{
	*v = (struct verdict){ .arena = arena, .header = h };
	v->from = from_read(h, arena);
	return dkim_begin(&v->dkim, h, v->from.domain, bodies, arena) && arc_begin(&v->arc, h, bodies, arena);
}

/* --- the methods -------------------------------------------------------------------- */

/*
 * The parts, and how many questions each can come to: the sums of its limits, so none
 * is ever refused one.  The author's walk is asked for early, by itself; what it asked
 * costs the judgement of DMARC nothing.
 */
enum part { ANYBODY, HELO, SENDER, IPREV, DKIM, ARC, AUTHOR, DMARC };

static const size_t QUESTIONS[] = {
	[ANYBODY] = FACTS_MOST, [HELO] = SPF_QUESTIONS, [SENDER] = SPF_QUESTIONS,
	[IPREV] = IPREV_QUESTIONS, [DKIM] = DKIM_QUESTIONS, [ARC] = ARC_QUESTIONS,
	[AUTHOR] = DMARC_QUESTIONS, [DMARC] = DMARC_QUESTIONS,
};

/* Only when something came that it waits for. */
static bool
has_turn(struct facts *facts, enum part part)
{
	return facts_turn(facts, part, QUESTIONS[part]);
}

static struct spf_question
spf_question(const struct verdict_question *q, enum spf_identity identity)
{
	return (struct spf_question){ q->client, q->helo, q->sender.local, q->sender.domain, identity,
	    q->hostname, q->now };
}

static bool
evaluate_client(struct verdict *v, const struct verdict_question *q, struct facts *facts)
{
	struct spf_question helo = spf_question(q, SPF_HELO), mail = spf_question(q, SPF_MAILFROM);

	v->spf_asked = q->client.n > 0;
	if (!v->spf_asked)
		return true;
	if (has_turn(facts, HELO))
		spf_evaluate(&v->helo, &helo, facts);
	if (has_turn(facts, SENDER))
		spf_evaluate(&v->mail, &mail, facts);
	if (has_turn(facts, IPREV))
		iprev_evaluate(&v->iprev, q->client, facts);
	return v->helo.done && v->mail.done && v->iprev.concluded;
}

static enum dmarc_evidence
evidence_of_spf(const struct spf *spf)
{
	return spf->result == SPF_PASS ? DMARC_PROVEN
	     : spf->result == SPF_TEMPERROR ? DMARC_UNSURE : DMARC_UNPROVEN;
}

static struct dmarc_identity
identity_of(const struct signature *s)
{
	enum dkim_result result = dkim_result(s);

	return (struct dmarc_identity){ s->domain,
	    result == DKIM_PASS || result == DKIM_POLICY ? DMARC_PROVEN
	    : result == DKIM_TEMPERROR ? DMARC_UNSURE : DMARC_UNPROVEN, result == DKIM_POLICY };
}

static bool
evaluate_dmarc(struct verdict *v, struct facts *facts)
{
	struct dmarc_identity dkim[DKIM_SIGNATURES];
	struct dmarc_question q = { .author = v->from, .dkim = dkim, .dkim_count = v->dkim.count };

	if (v->spf_asked)
		q.spf = (struct dmarc_identity){ v->mail.domain, evidence_of_spf(&v->mail), false };
	for (size_t i = 0; i < v->dkim.count; i++)
		dkim[i] = identity_of(&v->dkim.signatures[i]);
	return dmarc_evaluate(&v->dmarc, &q, facts);
}

/* DMARC judges what SPF and DKIM have found, but its own walk need not wait for them. */
static void
ask_for_author(const struct verdict *v, struct facts *facts)
{
	struct dmarc early = { 0 };

	if (has_turn(facts, AUTHOR))
		dmarc_evaluate(&early, &(struct dmarc_question){ .author = v->from }, facts);
}

bool
verdict_evaluate(struct verdict *v, const struct verdict_question *q, const struct bodies *bodies,
    struct keys *keys, struct facts *facts)
{
	bool client;

	v->verifier = (struct verifier){ bodies, keys, facts, q->now, 0 };
	client = evaluate_client(v, q, facts);
	if (has_turn(facts, DKIM))
		v->dkim_known = dkim_evaluate(&v->dkim, &v->verifier);
	if (has_turn(facts, ARC))
		arc_evaluate(&v->arc, &v->verifier);
	ask_for_author(v, facts);
	if (client && v->dkim_known && has_turn(facts, DMARC))
		evaluate_dmarc(v, facts);
	has_turn(facts, ANYBODY);       /* who asks beside us is none of our parts */
	return v->dmarc.concluded && v->arc.concluded;
}

/* --- the trusted sealer --------------------------------------------------------------- */

/* RFC 8617 7.2.1: did that hop see the author proved?  DMARC, or a method aligned with it. */
static bool
saw_author(const struct verdict *v, const struct authres *saw)
{
	const struct authres_result *r = NULL;
	struct slice org = v->dmarc.org_domain;
	struct arena *arena = v->arena;

	while ((r = authres_find(saw, "dmarc", r)) != NULL)
		if (slice_eqi(r->result, S("pass")) &&
		    slice_eqi(authres_value(r, "header.from"), v->from.domain))
			return true;
	if (org.n == 0)
		return false;
	while ((r = authres_find(saw, "dkim", r)) != NULL)
		if (slice_eqi(r->result, S("pass")) && domain_within(authres_value(r, "header.d"), org))
			return true;
	while ((r = authres_find(saw, "spf", r)) != NULL) {
		struct slice from = authres_value(r, "smtp.mailfrom");
		struct slice domain = slice_skip(from, slice_find(from, '@') + 1);

		domain = domain_normal(domain.n > 0 ? domain : from, arena);
		if (slice_eqi(r->result, S("pass")) && domain.n > 0 && domain_within(domain, org))
			return true;
	}
	return false;
}

static struct slice
voucher_of(const struct verdict *v, const struct arc_set *set)
{
	struct authres saw;

	if (set == NULL || v->from.domain.n == 0 ||
	    !authres_parse(set->results, v->arena, &saw) || !saw_author(v, &saw))
		return NONE;
	return set->seal.domain;
}

static struct slice
remote_ip_of(const struct verdict *v, const struct arc_set *set)
{
	struct authres saw;
	const struct authres_result *r;

	if (!authres_parse(set->results, v->arena, &saw) || (r = authres_find(&saw, "arc", NULL)) == NULL)
		return NONE;
	return authres_value(r, "smtp.remote-ip");
}

static size_t
list_seals(const struct verdict *v, struct policy_seal *to)
{
	size_t n = 0;

	if (v->arc.result != ARC_PASS)
		return 0;
	for (unsigned i = v->arc.count; i > 0; i--) {
		const struct arc_set *set = v->arc.sets[i - 1];

		to[n++] = (struct policy_seal){ i, set->seal.domain, set->seal.selector,
		    remote_ip_of(v, set) };
	}
	return n;
}

void
verdict_decide(struct verdict *v, const struct verdict_question *q, const struct verdict_terms *t)
{
	struct policy_seal seals[ARC_SETS];
	struct policy_evidence e = {
		.dmarc = &v->dmarc, .flaw = v->from.flaw,
		.spf_fail = v->spf_asked && v->mail.result == SPF_FAIL,
		.traces = traces_read(v->header, q->sender.local), .seals = seals,
		.will_be_sealed = t->will_be_sealed, .deferred_before = t->deferred_before,
	};

	v->trust = arc_trust(&v->arc, t->trust);
	v->voucher = voucher_of(v, v->trust.believed);
	v->would_vouch = voucher_of(v, v->trust.untrusting);
	e.chain = v->arc.result == ARC_PASS ? CHAIN_PASS : v->arc.result == ARC_NONE ? CHAIN_NONE
	    : v->arc.temporary ? CHAIN_UNSURE : CHAIN_FAIL;
	e.sealer = v->voucher;
	e.seal_count = list_seals(v, seals);
	v->decision = policy_decide(t->policy, &e, v->arena);
	e.sealer = v->would_vouch;
	v->trust_matters = v->would_vouch.n > 0 &&
	    policy_decide(t->policy, &e, v->arena).action != v->decision.action;
}

/* --- as Authentication-Results ------------------------------------------------------------ */

/* HELO's result says more unless it is that of MAIL FROM: the local part can make a difference. */
static void
add_spf(const struct verdict *v, struct authres *a)
{
	bool same = v->mail.result == v->helo.result && slice_eqi(v->mail.domain, v->helo.domain);

	authres_add(a, "spf", spf_result_name(v->mail.result));
	authres_property(a, "smtp.mailfrom", v->mail.domain);
	if (v->helo.result != SPF_NONE && !same) {
		authres_add(a, "spf", spf_result_name(v->helo.result));
		authres_property(a, "smtp.helo", v->helo.domain);
	}
}

/* RFC 6008 4: so much of b= that it is told from the others, at least 8 letters. */
static struct slice
b_shown(const struct verdict *v, const struct signature *s)
{
	size_t n = 8;

	for (const struct signature *t = v->dkim.signatures; t < v->dkim.signatures + v->dkim.count; t++)
		while (t != s && n < AUTHRES_VALUE && n <= s->b_text.n &&
		    slice_eq(slice_head(s->b_text, n), slice_head(t->b_text, n)))
			n++;
	return slice_head(s->b_text, n);
}

static void
add_dkim(const struct verdict *v, struct authres *a)
{
	if (v->dkim.count == 0)
		authres_add(a, "dkim", "none");
	for (size_t i = 0; i < v->dkim.count; i++) {
		const struct signature *s = &v->dkim.signatures[i];

		authres_add(a, "dkim", dkim_result_name(dkim_result(s)));
		if (dkim_result(s) != DKIM_PASS)
			authres_reason(a, dkim_reason(s));
		authres_property(a, "header.d", s->domain);
		authres_property(a, "header.s", s->selector);
		if (s->names.n > 0)
			authres_property(a, "header.a", slice(key_algorithm(s->algorithm)));
		authres_property(a, "header.b", b_shown(v, s));
	}
}

static void
add_dmarc(const struct verdict *v, struct authres *a)
{
	struct slice reason;

	dmarc_authres(&v->dmarc, a);
	if (v->decision.reason == REASON_NONE)
		return;
	reason = arena_printf(v->arena, "%s %.*s", policy_reason_name(v->decision.reason),
	    FMT(v->decision.comment));
	authres_reason(a, slice_trim(reason));
}

static void
add_arc(const struct verdict *v, const struct verdict_question *q, struct authres *a)
{
	char ip[IP_TEXT];

	authres_add(a, "arc", arc_result_name(v->arc.result));
	if (v->arc.result == ARC_FAIL)
		authres_reason(a, v->arc.reason);
	ip_text(q->client, ip);
	authres_property(a, "smtp.remote-ip", arena_copy(v->arena, slice(ip)));
	if (v->arc.result == ARC_PASS)
		authres_property(a, "header.oldest-pass",
		    arena_printf(v->arena, "%u", v->arc.oldest_pass));
}

void
verdict_results(const struct verdict *v, const struct verdict_question *q, struct slice id,
    struct authres *a)
{
	authres_begin(a, id, v->arena);
	if (v->spf_asked)
		add_spf(v, a);
	add_dkim(v, a);
	add_dmarc(v, a);
	add_arc(v, q, a);
	if (v->spf_asked)
		iprev_authres(&v->iprev, a);
}

/* --- what stays ------------------------------------------------------------------------------ */

/*
 * Version 1 had no `org`, and in `dmarc` a result of our own clients' mail too; version
 * 2 had `dmarc` where `proved` stands, with NONE for their mail and for no policy.
 */
enum { RECORD_VERSION = 3 };

struct verdict_record
verdict_record(const struct verdict *v, struct slice results)
{
	return (struct verdict_record){ .arc = v->arc.result, .sets = v->arc.count,
	    .proved = dmarc_author_proved(&v->dmarc),
	    .asked = v->dmarc.policy_domain.n > 0 ? v->dmarc.policy : DMARC_P_NONE,
	    .action = v->decision.action, .author = v->from.domain,
	    .org = v->dmarc.walk.org, .results = results };
}

struct verdict_record
verdict_record_own(void)
{
	return (struct verdict_record){ .arc = ARC_NONE, .asked = DMARC_P_NONE, .proved = true };
}

bool
verdict_misuses(const struct verdict_record *r, struct slice own)
{
	/* Where the walk found nothing, rather too much is taken for one organization. */
	return !r->proved && (r->author.n == 0 ||
	    domain_within(own, r->org.n > 0 ? r->org : domain_tail(r->author, 2)));
}

void
verdict_pack(const struct verdict_record *r, struct buf *b)
{
	pack_u8(b, RECORD_VERSION);
	pack_u8(b, r->arc);
	pack_u8(b, (uint8_t)r->sets);
	pack_u8(b, r->proved);
	pack_u8(b, (uint8_t)r->asked);
	pack_u8(b, r->action);
	pack_slice(b, r->author);
	pack_slice(b, r->results);
	pack_slice(b, r->org);
}

static bool
proof_is_good(unsigned version, unsigned proof)
{
	return proof <= (version > 2 ? 1 : DMARC_PERMERROR);
}

/* Of older records: as it was taken then. */
static bool
was_proved(unsigned version, unsigned proof)
{
	return version > 2 ? proof : version == 1 || proof == DMARC_NONE || proof == DMARC_PASS;
}

bool
verdict_unpack(struct verdict_record *r, struct slice bytes)
{
	struct unpack u = { .left = bytes };
	unsigned version = unpack_u8(&u), arc = unpack_u8(&u), sets = unpack_u8(&u);
	unsigned proof = unpack_u8(&u), asked = unpack_u8(&u), action = unpack_u8(&u);

	*r = (struct verdict_record){ .sets = sets, .proved = was_proved(version, proof) };
	r->author = unpack_slice(&u);
	r->results = unpack_slice(&u);
	if (version > 1)
		r->org = unpack_slice(&u);
	if (!unpack_done(&u) || version < 1 || version > RECORD_VERSION || arc > ARC_FAIL ||
	    !proof_is_good(version, proof) || asked > DMARC_P_REJECT || action > POLICY_DEFER)
		return false;
	r->arc = (enum arc_result)arc;
	r->asked = (enum dmarc_policy)asked;
	r->action = (enum policy_action)action;
	return true;
}

/* --- what stood there before ------------------------------------------------------------------ */

static bool
has_passed(const struct authres *saw, const char *method, const char *property, struct slice author)
{
	for (const struct authres_result *r = NULL; (r = authres_find(saw, method, r)) != NULL; ) {
		struct slice domain = authres_value(r, property);

		if (slice_find(domain, '@') < domain.n)
			domain = slice_skip(domain, slice_find(domain, '@') + 1);
		if (slice_eqi(r->result, S("pass")) && domain.n > 0 && domain_within(author, domain))
			return true;
	}
	return false;
}

bool
verdict_was_unproved(const struct authres *saw, struct slice author)
{
	const struct authres_result *dmarc = authres_find(saw, "dmarc", NULL);

	if (dmarc == NULL || !slice_eqi(authres_value(dmarc, "header.from"), author))
		return false;
	if (slice_eqi(dmarc->result, S("pass")) || slice_eqi(dmarc->result, S("fail")))
		return slice_eqi(dmarc->result, S("fail"));
	return !has_passed(saw, "dkim", "header.d", author) &&
	    !has_passed(saw, "spf", "smtp.mailfrom", author);
}
