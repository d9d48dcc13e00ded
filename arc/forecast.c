/* SPDX-License-Identifier: ISC */
/* pure */
#include "arc/forecast.h"

/* --- our addresses --------------------------------------------------------------- */

struct addresses {
	struct ip ip[FORECAST_ADDRESSES];
	size_t    n;
};

static void
take(struct addresses *a, const struct fact *f)
{
	for (size_t i = 0; i < f->count && a->n < FORECAST_ADDRESSES; i++)
		a->ip[a->n++] = ip_of(f->records[i].data);
}

static bool
our_addresses(struct addresses *a, struct slice hostname, struct facts *facts)
{
	const struct fact *four = fact(facts, hostname, RR_A), *six = fact(facts, hostname, RR_AAAA);

	a->n = 0;
	if (four == NULL || six == NULL)
		return false;
	take(a, four);
	take(a, six);
	if (a->n == 0)
		a->ip[a->n++] = (struct ip){ .n = 4 };  /* 0.0.0.0: nobody sends from there */
	return true;
}

/* --- SPF ---------------------------------------------------------------------------- */

bool
forecast_spf_hurts(enum spf_result r)
{
	return r == SPF_FAIL || r == SPF_SOFTFAIL || r == SPF_PERMERROR;
}

static bool
is_worse(enum spf_result a, enum spf_result b)
{
	static const int badness[] = { [SPF_PASS] = 0, [SPF_NONE] = 1, [SPF_NEUTRAL] = 2,
	    [SPF_TEMPERROR] = 3, [SPF_SOFTFAIL] = 4, [SPF_PERMERROR] = 5, [SPF_FAIL] = 6 };

	return badness[a] > badness[b];
}

bool
forecast_spf(struct forecast_spf *f, struct slice hostname, const struct address *sender, int64_t now,
    struct facts *facts)
{
	struct addresses from;
	bool known = true;

	f->worst = SPF_PASS;
	if (!our_addresses(&from, hostname, facts))
		return false;
	for (size_t i = 0; i < from.n; i++) {
		struct spf_question q = { .client = from.ip[i], .helo = hostname, .local = sender->local,
		    .domain = sender->domain, .identity = SPF_MAILFROM, .receiver = hostname, .now = now };

		if (!spf_evaluate(&f->each[i], &q, facts))
			known = false;          /* the others may ask as well */
		else if (is_worse(f->each[i].result, f->worst))
			f->worst = f->each[i].result;
	}
	return known;
}

/* --- the sender as it leaves ----------------------------------------------------------- */

static bool
needs_srs(const struct forecast_question *q, enum spf_result as_it_is)
{
	return q->srs && !q->sender_is_ours && q->sender.domain.n > 0 && forecast_spf_hurts(as_it_is);
}

static bool
find_sender(struct forecast *f, const struct forecast_question *q, struct facts *facts)
{
	struct address ours = address_make(S("postmaster"), q->own, facts->arena);
	bool known = forecast_spf(&f->of_sender, q->hostname, &q->sender, q->now, facts);

	/* Ours is asked for at the same time: it costs no round trip then. */
	known = forecast_spf(&f->of_ours, q->hostname, &ours, q->now, facts) && known;
	if (!known)
		return false;
	f->as_it_is = f->of_sender.worst;
	f->rewritten = q->passage == PASSAGE_LIST || needs_srs(q, f->as_it_is);
	f->sender = f->rewritten ? q->own : q->sender.domain;
	f->spf = f->rewritten ? f->of_ours.worst : f->as_it_is;
	return true;
}

/* --- DMARC --------------------------------------------------------------------------------- */

static bool
dmarc_there(const struct forecast *f, struct slice author, bool signature, struct facts *facts,
    struct dmarc *d)
{
	struct dmarc_identity dkim = { author, signature ? DMARC_PROVEN : DMARC_UNPROVEN, false };
	struct dmarc_question q = { .author = { .flaw = author.n > 0 ? FROM_OK : FROM_NONE,
	    .domain = author }, .dkim = &dkim, .dkim_count = 1 };

	q.spf = (struct dmarc_identity){ f->sender,
	    f->spf == SPF_PASS ? DMARC_PROVEN : f->spf == SPF_TEMPERROR ? DMARC_UNSURE : DMARC_UNPROVEN,
	    false };
	*d = (struct dmarc){ 0 };
	return dmarc_evaluate(d, &q, facts);
}

static const char *
reason(const struct forecast *f, const struct forecast_question *q)
{
	if (f->author.n == 0)
		return "there is no author to be proved";
	if (!slice_eqi(f->author, q->author))
		return "the list is the author";
	if (f->dmarc == DMARC_NONE)
		return "the author's domain asks for nothing";
	if (f->dmarc != DMARC_PASS)
		return q->changed ? "the author's signature breaks, and the sender is not of his domain"
		                  : "nothing that the author's domain has vouched for is left";
	return f->unsigned_ == DMARC_PASS ? "the sender proves the author there too"
	    : "a signature of the author's domain survives; without one SPF was the only proof";
}

/* The policy is that of who wrote it, also when the list writes in its own name. */
static bool
find_dmarc(struct forecast *f, const struct forecast_question *q, struct facts *facts)
{
	struct dmarc with, without;
	bool known = dmarc_there(f, q->author, f->signature, facts, &with);

	known = dmarc_there(f, q->author, false, facts, &without) && known;
	if (!known)
		return false;
	f->asked = with.policy_domain.n > 0 ? with.policy : DMARC_P_NONE;
	f->author = q->author;
	f->dmarc = with.result;
	f->unsigned_ = without.result;
	if (!q->rewrites_from || f->asked == DMARC_P_NONE || q->sender_is_ours || f->dmarc == DMARC_PASS)
		return true;
	f->author = q->own;
	f->signature = true;                    /* ours */
	if (!dmarc_there(f, q->own, true, facts, &with) || !dmarc_there(f, q->own, false, facts, &without))
		return false;
	f->dmarc = with.result;
	f->unsigned_ = without.result;
	return true;
}

bool
forecast_evaluate(struct forecast *f, const struct forecast_question *q, struct facts *facts)
{
	*f = (struct forecast){ .signature = !q->changed, .of_sender = f->of_sender, .of_ours = f->of_ours };
	if (!find_sender(f, q, facts) || !find_dmarc(f, q, facts))
		return false;
	f->seal = f->author.n > 0 && slice_eqi(f->author, q->author) && f->dmarc != DMARC_NONE &&
	    (f->dmarc != DMARC_PASS || f->unsigned_ != DMARC_PASS);
	f->why = reason(f, q);
	return true;
}
