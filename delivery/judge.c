/* SPDX-License-Identifier: ISC */
/* pure */
#include <openssl/x509_vfy.h>

#include "delivery/judge.h"

const char *
secure_trust_name(enum secure_trust trust)
{
	static const char *const names[] = {
		"none", "anonymous", "untrusted", "trusted", "verified",
	};

	return names[trust];
}

/* --- what was found ------------------------------------------------------ */

/* How a session falls short of `need`; SUCCESS when it does not. */
struct finding {
	enum tlsrpt_result result;
	const char        *reason;      /* for machines */
	const char        *says;        /* for people: what the host or its certificate … */
	bool               certificate; /* … does: of the certificate */
};

static struct finding
flawed_certificate(int verify)
{
	const struct certificate_flaw *flaw = certificate_flaw(verify);

	return (struct finding){ flaw->type, flaw->symbol, flaw->says, true };
}

static struct finding
compare(enum need need, const struct secure_found *f)
{
	static const struct finding good = { TLSRPT_SUCCESS, "", "", false };
	static const struct finding no_starttls = {
		TLSRPT_STARTTLS_NOT_SUPPORTED, "", "offers no STARTTLS", false };
	static const struct finding no_tls = {
		TLSRPT_VALIDATION_FAILURE, "tls-handshake-failed", "fails in the TLS handshake", false };
	static const struct finding nameless = {
		TLSRPT_CERTIFICATE_NOT_TRUSTED, "no-certificate", "shows no certificate", false };

	if (!f->starttls)
		return no_starttls;
	if (!f->handshake)
		return no_tls;
	if (need < NEED_PKIX)
		return good;
	if (!f->certificate)
		return nameless;
	if (f->verify != X509_V_OK)
		return flawed_certificate(f->verify);
	if (need == NEED_DANE && !f->matched && !f->resumed)
		return flawed_certificate(X509_V_ERR_DANE_NO_MATCH);
	return good;
}

/* --- what follows -------------------------------------------------------- */

/*
 * A policy's refusal waits for repair; REQUIRETLS gives the message back, but not
 * for a handshake that broke: that may have been the network (RFC 8689 4.2.1).
 */
static struct status
refusal(const struct plan_host *h, const struct secure_found *f, const struct finding *short_of,
    struct arena *arena)
{
	bool broke = f->starttls && !f->handshake;
	bool final = h->policy == PLAN_REQUIRETLS && !broke;
	struct status s = final ? STATUS(0, 5,7,10, "") : STATUS(0, 4,7,5, "");
	const char *more = short_of->certificate ? f->seen : broke ? f->broke : "";

	s.text = arena_printf(arena, short_of->certificate ? "%s: the certificate of %.*s %s%s%s%s"
	    : "%s: %.*s %s%s%s%s", plan_policy_title(h->policy), FMT(h->name), short_of->says,
	    *more ? " (" : "", more, *more ? ")" : "");
	return s;
}

static struct status
no_requiretls(const struct plan_host *h, struct arena *arena)
{
	struct status s = STATUS(0, 5,7,30, "");

	s.text = arena_printf(arena, "REQUIRETLS: %.*s does not support it", FMT(h->name));
	return s;
}

static enum secure_trust
trust(const struct plan_host *h, const struct secure_found *f, enum tlsrpt_result result)
{
	if (!f->handshake)
		return TRUST_NONE;
	if (!f->certificate)
		return TRUST_ANONYMOUS;
	if (h->watch >= NEED_PKIX && result == TLSRPT_SUCCESS)
		return TRUST_VERIFIED;
	return f->verify == X509_V_OK ? TRUST_TRUSTED : TRUST_UNTRUSTED;
}

/* What is told to the domain: what the session lacks, else what was known before it. */
static void
report(struct secure_judgement *j, const struct plan_host *h, const struct secure_found *f)
{
	struct finding seen = compare(h->watch, f);

	j->counted = true;
	j->result = seen.result != TLSRPT_SUCCESS ? seen.result : h->flaw;
	j->reason = seen.reason;
}

void
secure_judge(struct secure_judgement *judgement, const struct plan_host *h,
    const struct secure_found *f, struct arena *arena)
{
	struct secure_judgement j = { .verdict = SECURE_GO_ON, .reason = "" };
	struct finding short_of = compare(h->need, f);

	if (!f->clear_retry)
		report(&j, h, f);
	j.trust = trust(h, f, j.result);
	if (!h->go) {
		j.verdict = SECURE_NEXT_HOST;
		j.why = h->why_not;
	} else if (h->need == NEED_NOTHING) {
		if (f->starttls && !f->handshake && !f->clear_retry)
			j.verdict = SECURE_CLEAR_RETRY;
	} else if (short_of.result != TLSRPT_SUCCESS) {
		j.verdict = SECURE_NEXT_HOST;
		j.why = refusal(h, f, &short_of, arena);
	} else if (h->requiretls && f->greeted && !f->requiretls) {
		j.verdict = SECURE_NEXT_HOST;
		j.why = no_requiretls(h, arena);
	}
	*judgement = j;
}
