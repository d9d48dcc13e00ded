/* SPDX-License-Identifier: ISC */
/*
 * f_dmarc -- the first line names the Author Domain, the MAIL FROM domain and
 * the signing domains ("?" before one: a DNS error, "-": it failed), the rest
 * is a zone; all of it is a record as well.
 */
#include "auth/dmarc.h"
#include "base/bug.h"
#include "dns/zone.h"
#include "mail/domain.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct dmarc_identity
identity(struct slice word, struct arena *arena)
{
	struct dmarc_identity id = { .evidence = DMARC_PROVEN };

	if (word.n > 0 && (*word.p == '?' || *word.p == '-')) {
		id.evidence = *word.p == '?' ? DMARC_UNSURE : DMARC_UNPROVEN;
		word = slice_skip(word, 1);
	}
	id.domain = domain_normal(word, arena);
	return id;
}

static void
check(const struct dmarc *d)
{
	bug_if(d->result == DMARC_PASS && !d->spf_aligned && !d->dkim_aligned);
	bug_if(d->result != DMARC_PASS && (d->spf_aligned || d->dkim_aligned));
	bug_if(d->walk.count > DMARC_STEPS || d->policy > d->requested);
	bug_if(d->policy_domain.n > 0 && !domain_within(d->author, d->policy_domain));
	bug_if(d->org_domain.n > 0 && !domain_within(d->author, d->org_domain));
}

static void
evaluate(struct slice input)
{
	struct arena *arena = arena_new(1 << 22);
	struct dmarc_identity dkim[DMARC_SIGNATURES];
	struct dmarc_question q = { .dkim = dkim };
	struct slice line = NONE, word = NONE;
	struct facts facts;
	struct dmarc d = { 0 };
	struct zone *zone;
	int rounds = 0;

	slice_cut(&input, '\n', &line);
	slice_word(&line, &word);
	q.author.domain = domain_normal(word, arena);
	slice_word(&line, &word);
	q.spf = identity(word, arena);
	while (q.dkim_count < DMARC_SIGNATURES && slice_word(&line, &word))
		dkim[q.dkim_count++] = identity(word, arena);
	facts_begin(&facts, arena);
	if ((zone = zone_parse(input, "fuzz", NULL)) != NULL) {
		while (!dmarc_evaluate(&d, &q, &facts)) {
			bug_if(++rounds > 3);
			zone_answer_all(zone, &facts);
		}
		check(&d);
		zone_free(zone);
	}
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice input = slice_of(bytes, n), list, uri;
	struct dmarc_record r;

	if (dmarc_record_parse(input, &r)) {
		bug_if(!r.usable && r.p != DMARC_P_NONE);
		for (list = r.rua; dmarc_uri_next(&list, &uri);)
			bug_if(uri.n == 0);
	}
	evaluate(input);
	return 0;
}
