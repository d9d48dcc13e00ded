/* SPDX-License-Identifier: ISC */
/*
 * Lines of the input: client, HELO, MAIL FROM, a macro-string, a record (the
 * bytes of the sender's policy), and the rest is a zone.  What must hold of any
 * evaluation is checked, and that the order of answers changes nothing.
 */
#include <stdlib.h>

#include "auth/spf.h"
#include "auth/spf_macro.h"
#include "auth/spf_record.h"
#include "base/bug.h"
#include "base/buf.h"
#include "dns/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct input {
	struct spf_question question;
	struct slice        macro, record;
	struct zone        *zone;       /* NULL: nothing exists */
};

static struct slice
take_line(struct slice *s)
{
	struct slice line = slice_head(*s, slice_find(*s, '\n'));

	*s = slice_skip(*s, line.n + 1);
	return line;
}

static void
read_input(struct slice s, struct input *in)
{
	struct spf_question *q = &in->question;
	struct slice from;

	if (!ip_parse(take_line(&s), &q->client))
		ip_parse(S("192.0.2.1"), &q->client);
	q->helo = take_line(&s);
	from = take_line(&s);
	q->local = slice_head(from, slice_find(from, '@'));
	q->domain = slice_skip(from, q->local.n + 1);
	q->identity = q->domain.n % 8 == 7 ? SPF_HELO : SPF_MAILFROM;
	in->macro = take_line(&s);
	in->record = take_line(&s);
	in->zone = zone_parse(s, "zone", NULL);
}

/* The first question of all is for the sender's policy. */
static void
answer(const struct input *in, struct facts *facts, struct fact *f)
{
	if (f == facts->first && in->record.n > 0) {
		f->records = arena_get(facts->arena, sizeof *f->records);
		f->records[0].data = in->record;
		f->count = 1;
		fact_known(facts, f, ANSWER_FOUND, "");
	} else if (in->zone != NULL) {
		zone_answer(in->zone, facts, f);
	} else {
		fact_known(facts, f, ANSWER_NXDOMAIN, "");
	}
}

static struct fact *
last_wanted(struct facts *facts)
{
	struct fact *last = NULL;

	for (struct fact *f = facts->first; f != NULL; f = f->next)
		if (f->state == FACT_WANTED)
			last = f;
	return last;
}

static struct spf
run(const struct input *in, struct arena *arena, bool one_by_one)
{
	struct spf spf = { 0 };
	struct facts facts;
	struct fact *f;
	unsigned rounds = 0;

	facts_begin(&facts, arena);
	while (!spf_evaluate(&spf, &in->question, &facts)) {
		bug_if(!facts_pending(&facts) || rounds++ > FACTS_MOST);
		if (one_by_one)
			answer(in, &facts, last_wanted(&facts));
		while (!one_by_one && (f = facts_next_wanted(&facts)) != NULL)
			answer(in, &facts, f);
	}
	bug_if(facts.count > SPF_QUESTIONS);    /* no evaluation comes to more */
	return spf;
}

static void
check(const struct spf *spf)
{
	bug_if(spf->lookups > SPF_TERMS_MOST + 1 || spf->voids > SPF_VOIDS_MOST + 1);
	bug_if(spf->lookups > SPF_TERMS_MOST && spf->result != SPF_PERMERROR);
	bug_if(spf->voids > SPF_VOIDS_MOST && spf->result != SPF_PERMERROR);
	bug_if(spf->explanation.n > 0 && spf->result != SPF_FAIL);
	bug_if(spf->explanation.n > SPF_EXPLANATION_MOST);
	for (size_t i = 0; i < spf->explanation.n; i++)
		bug_if(spf->explanation.p[i] < ' ' || spf->explanation.p[i] > '~');
	bug_if((spf->result == SPF_PASS || spf->result == SPF_FAIL) && spf->term.text.n == 0);
	bug_if((spf->result == SPF_TEMPERROR || spf->result == SPF_PERMERROR) && spf->why.n == 0);
}

static void
check_macro(const struct input *in)
{
	const struct spf_values values = {
		.sender = in->question.helo, .local = in->question.local, .domain = in->question.domain,
		.helo = in->question.helo,
	};
	struct buf b = BUF(SPF_EXPANSION_MOST);

	if (spf_explanation_flaw(in->macro) == NULL)
		spf_macro_expand(&b, in->macro, &values);
	bug_if(spf_domain_flaw(in->macro) == NULL && spf_macro_flaw(in->macro) != NULL);
	bug_if(spf_macro_flaw(in->macro) == NULL && spf_explanation_flaw(in->macro) != NULL);
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new((size_t)64 << 20);
	struct input in = { 0 };
	struct spf once, slow;

	read_input(slice_of(data, size), &in);
	check_macro(&in);
	once = run(&in, arena, false);
	check(&once);
	slow = run(&in, arena, true);
	bug_if(once.result != slow.result || once.lookups != slow.lookups || once.voids != slow.voids);
	bug_if(!slice_eq(once.term.text, slow.term.text) || once.term.at != slow.term.at);
	bug_if(!slice_eq(once.explanation, slow.explanation) || !slice_eq(once.why, slow.why));
	zone_free(in.zone);
	arena_free(arena);
	return 0;
}
