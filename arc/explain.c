/* SPDX-License-Identifier: ISC */
/* pure */
#include "arc/explain.h"
#include "auth/hint.h"
#include "auth/taglist.h"

enum { FRESH_MOST = 1000 };             /* octets of a list of field names */

struct telling {
	struct verdict *v;
	const struct trust *trust;
	struct arena   *arena;          /* of the steps, and of texts that are made for them */
};

static struct facts *
facts_of(const struct telling *t)
{
	return t->v->verifier.facts;
}

/* What was asked already; never a new question. */
static const struct fact *
known(const struct telling *t, struct slice name, uint16_t type)
{
	for (const struct fact *f = facts_of(t)->first; f != NULL; f = f->next)
		if (f->type == type && f->state == FACT_KNOWN && slice_eqi(f->name, name))
			return f;
	return NULL;
}

/* --- SPF --------------------------------------------------------------------------- */

void
explain_begin(struct verdict *v, struct bodies *bodies, struct arena *arena)
{
	v->mail.steps = step_new("spf", NONE, arena);
	v->helo.steps = step_new("spf", NONE, arena);
	bodies_remember(bodies, EXPLAIN_LINES);
}

static struct slice
spf_reason(const struct telling *t, const struct spf *spf)
{
	if (spf->why.n > 0)
		return spf->why;
	if (spf->term.text.n == 0)
		return S("no term matched");
	return arena_printf(t->arena, "\"%.*s\" matched", FMT(spf->term.text));
}

static const char *
alignment_name(const struct dmarc_identifier *id)
{
	static const char *const names[] = {
		[DMARC_UNALIGNED] = "none", [DMARC_RELAXED] = "relaxed", [DMARC_STRICT] = "strict",
	};

	return names[id->alignment];
}

/* Without a policy nobody has looked at it. */
static void
alignment_detail(struct telling *t, struct step *s, const struct dmarc_identifier *id)
{
	if (t->v->dmarc.policy_domain.n > 0)
		step_detail(s, "alignment", slice(alignment_name(id)));
}

static void
tell_spf(struct telling *t, struct step *root, const struct spf *spf)
{
	struct step *s = spf->steps;

	if (s == NULL)
		return;
	s->subject = spf->domain;
	step_end(s, spf_result_name(spf->result), "RFC 7208 2.6");
	step_why(s, spf_reason(t, spf));
	step_detail(s, "identity", slice(spf_identity_name(spf->identity)));
	step_detail(s, "explanation", spf->explanation);
	step_number(s, "lookups", spf->lookups);
	step_number(s, "void_lookups", spf->voids);
	if (spf->identity == SPF_MAILFROM)      /* RFC 9989 4.4.2: only that one counts */
		alignment_detail(t, s, &t->v->dmarc.spf);
	step_put(root, s);
}

/* --- signatures: DKIM and ARC-Message-Signature ---------------------------------------- */

static const char *
signature_rule(const struct signature *s)
{
	static const char *const rules[] = {
		[SIGNATURE_GOOD] = "RFC 6376 6.1.3", [SIGNATURE_MALFORMED] = "RFC 6376 6.1.1",
		[SIGNATURE_REFUSED] = "RFC 8301 3.1", [SIGNATURE_EXPIRED] = "RFC 6376 3.5",
		[SIGNATURE_FUTURE] = "RFC 6376 3.5", [SIGNATURE_UNDECIDED] = "RFC 6376 6.1.2",
		[SIGNATURE_KEY_MISSING] = "RFC 6376 6.1.2", [SIGNATURE_KEY_REVOKED] = "RFC 6376 6.1.2",
		[SIGNATURE_KEY_UNFIT] = "RFC 6376 6.1.2", [SIGNATURE_BODY_CHANGED] = "RFC 6376 6.1.3",
		[SIGNATURE_BODY_SHORT] = "RFC 6376 3.5", [SIGNATURE_WRONG] = "RFC 6376 6.1.3",
	};

	if (s->state == SIGNATURE_GOOD && signature_partial(s))
		return "RFC 6376 8.2";
	return s->state < sizeof rules / sizeof *rules ? rules[s->state] : NULL;
}

static struct slice
signer_of(const struct telling *t, const struct signature *s)
{
	if (s->domain.n == 0)
		return NONE;
	return arena_printf(t->arena, "%.*s/%.*s", FMT(s->domain), FMT(s->selector));
}

static void
tell_key(struct telling *t, struct step *under, const struct signature *s)
{
	struct step *key = s->key_name.n > 0 ? step_add(under, "key", s->key_name) : NULL;
	const struct fact *f = known(t, s->key_name, RR_TXT);

	if (key == NULL || f == NULL)
		return;
	step_asked(key, f, NULL);
	step_end(key, s->key_bits > 0 ? "fit" : "not fit", "RFC 6376 3.6.1");
	if (s->key_bits > 0)
		step_number(key, "bits", s->key_bits);
	if (s->testing)
		step_detail(key, "testing", S("yes"));
}

/* A signature that could be read: whatever became of it, its body hash was made. */
static const struct body_hash *
body_of(const struct telling *t, const struct signature *s)
{
	const struct bodies *b = t->v->verifier.bodies;

	return s->names.n > 0 && b != NULL ? bodies_get(b, s->body_canon, s->limit) : NULL;
}

static bool
body_differs(const struct telling *t, const struct signature *s)
{
	const struct body_hash *h = body_of(t, s);

	return h != NULL && memcmp(h->digest, s->body_hash, SHA256_BYTES) != 0;
}

static void
hint_body(struct telling *t, struct step *under, const struct signature *s)
{
	const struct bodies *b = t->v->verifier.bodies;
	uint64_t kept, added;

	if (s->limit != BODY_WHOLE || b->remembered == 0)
		return;
	if (bodies_without_tail(b, s->body_canon, s->body_hash, &kept, &added))
		step_add(under, "hint", arena_printf(t->arena, "body hash is right again without the last "
		    "%llu line%s (a footer was added at line %llu)", (unsigned long long)added,
		    added == 1 ? "" : "s", (unsigned long long)kept + 1));
	else
		step_add(under, "hint", arena_printf(t->arena, "the body was rewritten: it is not the signed "
		    "one with up to %d lines added behind it", EXPLAIN_LINES));
}

static void
tell_body(struct telling *t, struct step *under, const struct signature *s)
{
	const struct body_hash *h = body_of(t, s);
	struct step *body = h != NULL ? step_add(under, "body", slice(canon_name(s->body_canon))) : NULL;

	if (body == NULL)
		return;
	step_end(body, body_differs(t, s) ? "differs" : "right", "RFC 6376 3.7");
	step_number(body, "octets", (int64_t)h->length);
	if (s->limit != BODY_WHOLE)
		step_number(body, "limit", (int64_t)s->limit);
	if (body_differs(t, s))
		hint_body(t, body, s);
}

static void
hint_tag(struct telling *t, struct step *under, const struct signature *s, const struct field_order *order)
{
	struct slice subject, now;

	if (!hint_subject(s, order, &t->v->verifier, t->arena, &subject))
		return;
	now = field_unfolded(header_find(order->header, "Subject"), t->arena);
	step_add(under, "hint", arena_printf(t->arena, "header hash is right again with Subject \"%.*s\" "
	    "instead of \"%.*s\"", FMT(subject), FMT(now)));
}

/* h= as one word. */
static struct slice
signed_names(const struct telling *t, const struct signature *s)
{
	struct slice left = s->names, name, copy;
	struct buf names = BUF(s->names.n);

	while (taglist_item(&left, &name)) {
		if (names.n > 0)
			buf_byte(&names, ':');
		buf_add(&names, name);
	}
	copy = arena_copy(t->arena, buf_slice(&names));
	buf_free(&names);
	return copy;
}

/* Only where there was a key to try it with. */
static void
tell_header(struct telling *t, struct step *under, const struct signature *s,
    const struct field_order *order)
{
	struct step *header;

	if (s->state != SIGNATURE_GOOD && s->state != SIGNATURE_WRONG && s->state != SIGNATURE_BODY_CHANGED)
		return;
	header = step_add(under, "header", slice(canon_name(s->header_canon)));
	step_detail(header, "fields", signed_names(t, s));
	if (s->state == SIGNATURE_GOOD || hint_header(s, order, &t->v->verifier)) {
		step_end(header, "right", "RFC 6376 3.7");
		return;
	}
	step_end(header, "differs", "RFC 6376 3.7");
	hint_tag(t, header, s, order);
}

static void
tell_signature(struct telling *t, struct step *under, const struct signature *s,
    const struct field_order *order)
{
	if (s->signed_at >= 0)
		step_number(under, "signed_at", s->signed_at);
	if (s->expires_at >= 0)
		step_number(under, "expires_at", s->expires_at);
	tell_key(t, under, s);
	tell_body(t, under, s);
	tell_header(t, under, s, order);
}

static void
tell_left_out(struct telling *t, struct step *root)
{
	size_t n = t->v->dkim.left_out;
	struct step *step;

	if (n == 0)
		return;
	step = step_add(root, "dkim", NONE);
	step_end(step, "left out", "RFC 6376 6.1");
	step_number(step, "left_out", (int64_t)n);
	step_why(step, arena_printf(t->arena, "%zu more signature%s not looked at: %d are, the nearest to "
	    "From first", n, n == 1 ? " is" : "s are", DKIM_SIGNATURES));
}

static void
tell_dkim(struct telling *t, struct step *root)
{
	const struct dkim *d = &t->v->dkim;

	if (d->count == 0)
		step_end(step_add(root, "dkim", NONE), "none", "RFC 8601 2.7.1");
	for (size_t i = 0; i < d->count; i++) {
		const struct signature *s = &d->signatures[i];
		struct step *step = step_add(root, "dkim", signer_of(t, s));

		step_end(step, dkim_result_name(dkim_result(s)), signature_rule(s));
		step_why(step, dkim_reason(s));
		if (s->names.n > 0)
			step_detail(step, "algorithm", slice(key_algorithm(s->algorithm)));
		step_detail(step, "identity", s->identity);
		if (i < t->v->dmarc.dkim_count)
			alignment_detail(t, step, &t->v->dmarc.dkim[i]);
		tell_signature(t, step, s, &d->order);
	}
	tell_left_out(t, root);
}

/* --- the chain --------------------------------------------------------------------------- */

/* "spf=pass; dkim=pass(bank.test); dmarc=pass": a hop's results on one line. */
static struct slice
results_line(const struct telling *t, const struct authres *a)
{
	struct slice line = NONE;

	for (const struct authres_result *r = a->results; r != NULL; r = r->next) {
		struct slice d = authres_value(r, "header.d");

		line = arena_printf(t->arena, "%.*s%s%.*s=%.*s%s%.*s%s", FMT(line), line.n ? " " : "",
		    FMT(r->method), FMT(r->result), d.n ? "(" : "", FMT(d), d.n ? ")" : "");
	}
	return line;
}

static void
tell_what_it_saw(struct telling *t, struct step *step, const struct arc_set *set)
{
	struct authres saw;

	if (set->aar == NULL)
		return;
	if (!authres_parse(set->results, t->arena, &saw)) {
		step_detail(step, "saw", S("cannot be read"));
		return;
	}
	step_detail(step, "authserv_id", saw.authserv_id);
	step_detail(step, "saw", saw.count > 0 ? results_line(t, &saw) : S("nothing"));
}

/* "ok", "body changed", …: also of one that is not there, or was not looked at. */
static struct slice
state_of(const struct telling *t, const struct signature *s)
{
	bool only = s->state == SIGNATURE_OPEN && t->v->arc.result == ARC_PASS;

	if (s->field == NULL)
		return S("missing");
	if (only)
		return S("not looked at");
	return slice(signature_state_name(s->state));
}

static bool
is_trusted(const struct telling *t, const struct arc_set *set)
{
	return t->trust != NULL && trust_holds(t->trust, set->seal.domain, set->seal.selector) &&
	    trust_holds(t->trust, set->ams.domain, set->ams.selector);
}

static void
tell_set(struct telling *t, struct step *arc, const struct arc_set *set)
{
	struct step *step = step_add(arc, "set", signer_of(t, &set->seal));
	struct step *seal;

	step_number(step, "instance", set->instance);
	step_detail(step, "sealer", set->seal.domain);
	step_detail(step, "cv", set->seal.cv);
	step_detail(step, "ams", state_of(t, &set->ams));
	step_detail(step, "as", state_of(t, &set->seal));
	step_detail(step, "trusted", is_trusted(t, set) ? S("yes") : S("no"));
	tell_what_it_saw(t, step, set);
	if (set->ams.field != NULL) {
		struct step *ams = step_add(step, "ams", signer_of(t, &set->ams));

		step_end(ams, signature_state_name(set->ams.state), "RFC 8617 4.1.2");
		step_why(ams, set->ams.reason);
		tell_signature(t, ams, &set->ams, &t->v->arc.order);
	}
	seal = set->seal.field != NULL ? step_add(step, "as", signer_of(t, &set->seal)) : NULL;
	step_end(seal, signature_state_name(set->seal.state), "RFC 8617 4.1.3");
	step_why(seal, set->seal.reason);
	tell_key(t, seal, &set->seal);
}

static const struct arc_set *
set_of(const struct arc *a, unsigned instance)
{
	return instance >= 1 && instance <= a->count ? a->sets[instance - 1] : NULL;
}

static bool
names_list(struct slice list, struct slice name)
{
	struct slice item;

	while (taglist_item(&list, &item))
		if (slice_eqi(item, name))
			return true;
	return false;
}

/* Names in the next h= that this one does not have: fields that came, or that it signs besides. */
static struct slice
newly_signed(const struct telling *t, const struct arc_set *before, const struct arc_set *after)
{
	struct slice left = after->ams.names, name, copy;
	struct buf fresh = BUF(FRESH_MOST);

	while (taglist_item(&left, &name))
		if (!names_list(before->ams.names, name) && !names_list(buf_slice(&fresh), name)) {
			if (fresh.n > 0)
				buf_byte(&fresh, ':');
			buf_add(&fresh, name);
		}
	copy = arena_copy(t->arena, buf_slice(&fresh));
	buf_free(&fresh);
	return copy;
}

/* The body is not what this hop signed, but it is what the next one did: it changed in between. */
static void
tell_change(struct telling *t, struct step *arc, const struct arc_set *before, const struct arc_set *after)
{
	struct slice between = after == NULL ? S("here")
	    : arena_printf(t->arena, "set %u (%.*s)", after->instance, FMT(after->seal.domain));
	struct step *step;

	if (!body_differs(t, &before->ams) || (after != NULL && body_differs(t, &after->ams)))
		return;
	step = step_add(arc, "change", arena_printf(t->arena,
	    "the body changed between set %u (%.*s) and %.*s",
	    before->instance, FMT(before->seal.domain), FMT(between)));
	if (after != NULL)
		step_detail(step, "newly_signed", newly_signed(t, before, after));
}

static struct slice
chain_reason(const struct telling *t)
{
	const struct arc *a = &t->v->arc;

	if (a->result != ARC_PASS)
		return a->reason;
	if (a->oldest_pass == 0)
		return S("every message signature verifies");
	if (a->oldest_pass == a->count)
		return S("the newest message signature verifies");
	return arena_printf(t->arena, "message signatures verify back to set %u", a->oldest_pass);
}

static void
tell_arc(struct telling *t, struct step *root)
{
	const struct arc *a = &t->v->arc;
	struct step *step = step_add(root, "arc", a->count == 0 ? NONE
	    : arena_printf(t->arena, "%u set%s", a->count, a->count == 1 ? "" : "s"));

	step_end(step, arc_result_name(a->result), "RFC 8617 5.2");
	step_why(step, a->count > 0 || a->result == ARC_FAIL ? chain_reason(t) : NONE);
	if (a->result == ARC_PASS)
		step_number(step, "oldest_pass", a->oldest_pass);
	step_number(step, "trusted_sets", t->v->trust.trusted);
	step_detail(step, "believed", t->v->trust.believed ? t->v->trust.believed->seal.domain : NONE);
	for (unsigned i = 1; i <= a->count; i++)
		if (set_of(a, i) != NULL)
			tell_set(t, step, set_of(a, i));
	for (unsigned i = 1; i <= a->count; i++)
		if (set_of(a, i) != NULL)
			tell_change(t, step, set_of(a, i), set_of(a, i + 1));
}

/* --- iprev --------------------------------------------------------------------------------- */

/* The names up to the one that decided: what the others lead to may not even be known. */
static void
tell_names(struct telling *t, struct step *step, const struct fact *names)
{
	const struct iprev *v = &t->v->iprev;

	for (size_t i = 0; i < names->count && i < IPREV_NAMES; i++) {
		struct slice name = names->records[i].data;

		step_asked(step, known(t, name, v->client.n == 4 ? RR_A : RR_AAAA), NULL);
		if (v->name.n > 0 && slice_eqi(name, v->name))
			return;
	}
}

static void
tell_iprev(struct telling *t, struct step *root)
{
	const struct iprev *v = &t->v->iprev;
	char text[IP_TEXT], reverse[IP_REVERSE];
	const struct fact *f;
	struct step *step;

	ip_text(v->client, text);
	ip_reverse(v->client, reverse);
	step = step_add(root, "iprev", slice(text));
	step_end(step, iprev_result_name(v->result), "RFC 8601 3");
	step_why(step, v->name);
	f = known(t, slice(reverse), RR_PTR);
	step_asked(step, f, NULL);
	if (f != NULL)
		tell_names(t, step, f);
}

/* --- DMARC ---------------------------------------------------------------------------------- */

static void
tell_walk(struct telling *t, struct step *under, const struct dmarc_walk *w)
{
	struct step *step = w->count > 0 ? step_add(under, "walk", w->start) : NULL;

	for (size_t i = 0; i < w->count && step != NULL; i++)
		step_asked(step, known(t, w->steps[i].name, RR_TXT), NULL);
	step_end(step, w->broken ? "broken" : "done", "RFC 9989 4.10");
	step_detail(step, "org_domain", w->org);
}

static void
tell_identifier(struct telling *t, struct step *under, const char *method, const struct dmarc_identifier *id)
{
	static const char *const evidence[] = {
		[DMARC_UNPROVEN] = "not proven", [DMARC_PROVEN] = "proven", [DMARC_UNSURE] = "not known",
	};
	struct step *step;

	if (id->identity.domain.n == 0)
		return;
	step = step_add(under, "identifier", id->identity.domain);
	step_end(step, evidence[id->identity.evidence], "RFC 9989 4.10.2");
	step_detail(step, "method", slice(method));
	step_detail(step, "alignment", slice(alignment_name(id)));
	tell_walk(t, step, &id->walk);
}

static void
tell_policy(struct telling *t, struct step *step)
{
	const struct dmarc *d = &t->v->dmarc;

	step_detail(step, "org_domain", d->walk.org);
	if (d->policy_domain.n == 0)
		return;
	step_detail(step, "policy_domain", d->policy_domain);
	step_detail(step, "tag", slice(d->tag));
	step_detail(step, "requested", slice(dmarc_policy_name(d->requested)));
	step_detail(step, "policy", slice(dmarc_policy_name(d->policy)));
	step_number(step, "queries", d->queries);
	tell_identifier(t, step, "spf", &d->spf);
	for (size_t i = 0; i < d->dkim_count; i++)
		tell_identifier(t, step, "dkim", &d->dkim[i]);
}

static void
tell_dmarc(struct telling *t, struct step *root)
{
	const struct dmarc *d = &t->v->dmarc;
	struct step *step = step_add(root, "dmarc", d->author);

	step_end(step, dmarc_result_name(d->result), d->author.n > 0 ? "RFC 9989 5.3" : "RFC 9989 5.3.1");
	step_why(step, d->why);
	tell_walk(t, step, &d->walk);
	tell_policy(t, step);
}

/* --- the decision ----------------------------------------------------------------------------- */

static void
tell_decision(struct telling *t, struct step *root)
{
	const struct verdict *v = t->v;
	struct step *step = step_add(root, "decision", slice(policy_action_name(v->decision.action)));

	step_end(step, v->decision.disposition, "RFC 9989 5.4");
	step_why(step, v->decision.why);
	if (v->decision.reason != REASON_NONE)
		step_detail(step, "override", slice(policy_reason_name(v->decision.reason)));
	step_detail(step, "comment", v->decision.comment);
	step_detail(step, "voucher", v->voucher);
	step_detail(step, "would_vouch", v->would_vouch);
}

struct step *
explain(struct verdict *v, const struct trust *trust, struct arena *arena)
{
	struct telling t = { .v = v, .trust = trust, .arena = arena };
	struct step *root = step_new("message", v->from.address.n > 0 ? v->from.address : v->from.domain,
	    arena);

	if (v->spf_asked) {
		tell_spf(&t, root, &v->mail);
		tell_spf(&t, root, &v->helo);
	}
	tell_dkim(&t, root);
	tell_arc(&t, root);
	if (v->spf_asked)
		tell_iprev(&t, root);
	tell_dmarc(&t, root);
	tell_decision(&t, root);
	return arena_full(arena) ? NULL : root;
}
