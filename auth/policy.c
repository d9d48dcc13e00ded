/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/policy.h"
#include "base/ip.h"

enum { SEALS_SHOWN = 10 };

/* --- switches ------------------------------------------------------------- */

/* Which of the words it is: 0, 1, …; false when it is none. */
static bool
pick(struct slice word, const char *words, unsigned *which)
{
	struct slice rest = slice(words), each;

	for (*which = 0; slice_word(&rest, &each); ++*which)
		if (slice_eqi(word, each))
			return true;
	return false;
}

/* In the order of the header. */
static const struct { const char *name, *words; } SWITCHES[POLICY_SWITCHES] = {
	{ "dmarc_reject", "evidence strict never" },
	{ "dmarc_dns_temperror", "accept defer" },
	{ "from_multiple", "reject accept" },
	{ "spf_fail", "mark reject" },
	{ "arc_dns_temperror", "defer-once accept" },
};

static void
turn(struct policy *p, size_t i, unsigned which)
{
	switch (i) {
	case 0: p->dmarc_reject = which; break;
	case 1: p->dmarc_dns_temperror = which; break;
	case 2: p->from_multiple = which; break;
	case 3: p->spf_fail = which; break;
	default: p->arc_dns_temperror = which;
	}
}

bool
policy_set(struct policy *p, struct slice name, struct slice word)
{
	unsigned which;
	size_t i = 0;

	while (i < POLICY_SWITCHES && !slice_eqi(name, slice(SWITCHES[i].name)))
		i++;
	if (i == POLICY_SWITCHES || !pick(word, SWITCHES[i].words, &which))
		return false;
	turn(p, i, which);
	return true;
}

struct slice
policy_switch(const struct policy *p, size_t i, const char **name)
{
	const unsigned which[POLICY_SWITCHES] = {
		p->dmarc_reject, p->dmarc_dns_temperror, p->from_multiple, p->spf_fail, p->arc_dns_temperror,
	};
	struct slice words = slice(SWITCHES[i].words), word = NONE;

	for (unsigned n = 0; n <= which[i]; n++)
		slice_word(&words, &word);
	*name = SWITCHES[i].name;
	return word;
}

struct policy
policy_configured(const struct policy_conf *c)
{
	static const int heed[] = {
		[HEED_EVIDENCE] = REJECT_EVIDENCE, [HEED_STRICT] = REJECT_STRICT, [HEED_NEVER] = REJECT_NEVER,
	};
	struct policy p = { .spf_fail = c->spf_fail_reject ? SPF_FAIL_REJECT : SPF_FAIL_MARK };

	p.dmarc_reject = heed[c->dmarc_reject];
	p.dmarc_dns_temperror = c->dmarc_temperror_defer ? DMARC_DNS_DEFER : DMARC_DNS_ACCEPT;
	p.from_multiple = c->several_authors_accept ? FROM_MULTIPLE_ACCEPT : FROM_MULTIPLE_REJECT;
	p.arc_dns_temperror = c->arc_temperror_defer_once ? ARC_DNS_DEFER_ONCE : ARC_DNS_ACCEPT;
	return p;
}

/* --- traces --------------------------------------------------------------- */

static bool
precedence_list(const struct header *h)
{
	const struct field *f = header_find(h, "Precedence");

	return f != NULL && slice_eqi(slice_trim(f->value), S("list"));
}

struct traces
traces_read(const struct header *h, struct slice mail_from_local)
{
	return (struct traces){
		.list = header_find(h, "List-Id") != NULL || header_find(h, "List-Post") != NULL ||
		    header_find(h, "Mailing-List") != NULL || precedence_list(h),
		.resent = header_find(h, "Resent-From") != NULL,
		.srs = mail_from_local.n > 4 && slice_startsi(mail_from_local, S("SRS")) &&
		    (mail_from_local.p[3] == '0' || mail_from_local.p[3] == '1') &&
		    strchr("=+-", mail_from_local.p[4]) != NULL,
	};
}

/* --- what can be done ----------------------------------------------------- */

static struct decision
take(enum policy_action action, enum policy_reason reason, struct slice why)
{
	return (struct decision){
		.action = action, .reason = reason, .why = why,
		.disposition = action == POLICY_QUARANTINE ? "quarantine" : "none",
	};
}

static struct decision
refuse(struct status status, struct slice why)
{
	bool reject = status_permanent(status);

	return (struct decision){
		.action = reject ? POLICY_REJECT : POLICY_DEFER, .status = status, .why = why,
		.disposition = reject ? "reject" : "none",
	};
}

/* The text with the Author Domain in it, or without when there is no room. */
static struct slice
about(struct arena *arena, const char *before, const struct dmarc *dmarc, const char *behind)
{
	struct slice text = arena_printf(arena, "%s of %.*s%s", before, FMT(dmarc->author), behind);

	return text.p != NULL ? text : slice(before);
}

static struct decision
refuse_from(enum from_flaw flaw)
{
	static const struct status replies[] = {
		[FROM_NOBODY] = STATUS_INIT(550, 5,6,0, "the From field names no address (RFC 5322 3.6.2)"),
		[FROM_FIELDS] = STATUS_INIT(550, 5,6,0, "there is more than one From field (RFC 5322 3.6)"),
		[FROM_DOMAINS] = STATUS_INIT(550, 5,6,0, "the From field names more than one domain"),
		[FROM_MANY] = STATUS_INIT(550, 5,6,0, "the From field names more than 16 addresses"),
		[FROM_UNPARSABLE] = STATUS_INIT(550, 5,6,0, "the From field is malformed (RFC 5322 3.6.2)"),
	};

	return refuse(replies[flaw], replies[flaw].text);
}

/* --- DMARC ---------------------------------------------------------------- */

/* "arc=pass as[2].d=… as[2].s=… as[1].d=… as[1].s=… remote-ip[1]=…" (RFC 8617 7.2.2) */
static struct slice
seals_comment(const struct policy_evidence *e, struct arena *arena)
{
	struct slice text = S("arc=pass");
	struct ip ip;

	for (size_t i = 0; i < e->seal_count && i < SEALS_SHOWN; i++)
		text = arena_printf(arena, "%.*s as[%u].d=%.*s as[%u].s=%.*s", FMT(text),
		    e->seals[i].instance, FMT(e->seals[i].domain),
		    e->seals[i].instance, FMT(e->seals[i].selector));
	for (size_t i = 0; i < e->seal_count && i < SEALS_SHOWN; i++)
		if (ip_parse(e->seals[i].remote_ip, &ip))
			text = arena_printf(arena, "%.*s remote-ip[%u]=%.*s", FMT(text),
			    e->seals[i].instance, FMT(e->seals[i].remote_ip));
	return text;
}

static struct decision
accept_vouched(const struct policy_evidence *e, struct arena *arena)
{
	struct decision d = take(POLICY_ACCEPT, REASON_LOCAL_POLICY,
	    arena_printf(arena, "the trusted sealer %.*s vouches for it", FMT(e->sealer)));

	d.comment = seals_comment(e, arena);
	return d;
}

/* p=reject: see the header. */
static struct decision
weigh_reject(const struct policy *p, const struct policy_evidence *e, struct arena *arena)
{
	struct decision d;

	if (p->dmarc_reject == REJECT_NEVER) {
		d = take(POLICY_QUARANTINE, REASON_LOCAL_POLICY, S("p=reject is never followed here"));
	} else if (p->dmarc_reject == REJECT_EVIDENCE && e->traces.list) {
		d = take(POLICY_QUARANTINE, REASON_MAILING_LIST, S("p=reject, but it came through a list"));
	} else if (p->dmarc_reject == REJECT_EVIDENCE && (e->traces.resent || e->traces.srs ||
	    e->chain == CHAIN_PASS || e->chain == CHAIN_UNSURE)) {
		d = take(POLICY_QUARANTINE, REASON_LOCAL_POLICY, S("p=reject, but it was forwarded"));
	} else {
		struct status status = STATUS(550, 5,7,26, "");

		status.text = about(arena, "refused by the DMARC policy", e->dmarc,
		    ": neither SPF nor DKIM passed for it");
		return refuse(status, S("p=reject, and no trace of a list or forwarder"));
	}
	d.comment = d.why;
	return d;
}

static struct decision
weigh_failure(const struct policy *p, const struct policy_evidence *e, struct arena *arena)
{
	bool test = e->dmarc->policy != e->dmarc->requested;
	enum policy_reason reason = test ? REASON_POLICY_TEST_MODE : REASON_NONE;

	if (e->dmarc->policy == DMARC_P_NONE)
		return take(POLICY_ACCEPT, reason, S("it failed, and the domain asks for nothing"));
	if (e->sealer.n > 0)
		return accept_vouched(e, arena);
	if (e->dmarc->policy == DMARC_P_QUARANTINE)
		return take(POLICY_QUARANTINE, reason, S("it failed, and the domain asks for quarantine"));
	return weigh_reject(p, e, arena);
}

static struct decision
weigh_dmarc(const struct policy *p, const struct policy_evidence *e, struct arena *arena)
{
	struct status later = STATUS(451, 4,4,3, "");
	struct decision d;

	switch (e->dmarc->result) {
	case DMARC_FAIL:
		return weigh_failure(p, e, arena);
	case DMARC_TEMPERROR:
		if (p->dmarc_dns_temperror == DMARC_DNS_ACCEPT || e->sealer.n > 0)
			break;
		later.text = about(arena, "cannot look up the DMARC policy", e->dmarc, ", try again later");
		return refuse(later, e->dmarc->why);
	case DMARC_PASS:
		d = take(POLICY_ACCEPT, REASON_NONE, e->dmarc->why);
		d.disposition = e->dmarc->policy != DMARC_P_NONE ? "pass" : "none";
		return d;
	case DMARC_NONE:
	case DMARC_PERMERROR:
		break;
	}
	return take(POLICY_ACCEPT, REASON_NONE, e->dmarc->why);
}

/* --- the story ------------------------------------------------------------ */

/* The chain could change what follows, or will be sealed as it is now. */
static bool
chain_is_worth_waiting(const struct policy *p, const struct policy_evidence *e)
{
	bool failing = e->dmarc->result == DMARC_FAIL && e->dmarc->policy != DMARC_P_NONE;

	return p->arc_dns_temperror == ARC_DNS_DEFER_ONCE && e->chain == CHAIN_UNSURE &&
	    !e->deferred_before && (failing || e->will_be_sealed);
}

/* RFC 9989 7.1: SPF alone refuses nothing that passes DMARC, or still might. */
static bool
spf_refuses(const struct policy *p, const struct policy_evidence *e)
{
	return p->spf_fail == SPF_FAIL_REJECT && e->spf_fail && e->sealer.n == 0 &&
	    e->dmarc->result != DMARC_PASS && e->dmarc->result != DMARC_TEMPERROR;
}

/*
 * No author at all is odd, but it pretends to be nobody.  A group of nobody may be
 * called as somebody's address, and so may a comment: that is what people are shown.
 */
static bool
from_misleads(enum from_flaw flaw)
{
	return flaw == FROM_NOBODY || flaw == FROM_FIELDS || flaw == FROM_DOMAINS || flaw == FROM_MANY ||
	    flaw == FROM_UNPARSABLE;
}

struct decision
policy_decide(const struct policy *p, const struct policy_evidence *e, struct arena *arena)
{
	struct decision d;

	if (p->from_multiple == FROM_MULTIPLE_REJECT && from_misleads(e->flaw))
		return refuse_from(e->flaw);
	if (chain_is_worth_waiting(p, e))
		return refuse(STATUS(451, 4,4,3, "cannot look up a key of the ARC chain, try again later"),
		    S("a DNS error hides whether the ARC chain is valid"));
	d = weigh_dmarc(p, e, arena);
	if (d.action <= POLICY_QUARANTINE && spf_refuses(p, e)) {
		d = refuse(STATUS(550, 5,7,23, "the sender's domain does not permit this client (SPF)"),
		    S("SPF fails, and that is refused here"));
		d.reason = e->dmarc->result == DMARC_FAIL ? REASON_LOCAL_POLICY : REASON_NONE;
		d.comment = d.reason != REASON_NONE ? d.why : NONE;
	}
	return d;
}

const char *
policy_action_name(enum policy_action action)
{
	static const char *const names[] = { "accept", "quarantine", "reject", "defer" };

	return names[action];
}

const char *
policy_reason_name(enum policy_reason reason)
{
	static const char *const names[] = {
		"none", "local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder",
	};

	return names[reason];
}
