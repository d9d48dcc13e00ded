/* SPDX-License-Identifier: ISC */
/* Who counts as proved, and what of ours would speak for whom nothing proved. */
#include "arc/verdict.h"
#include "base/pack.h"
#include "dns/zone.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(8 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

/* --- proved ------------------------------------------------------------------------------- */

static const char ZONE[] =
    "_dmarc.reject.test. TXT \"v=DMARC1; p=reject\"\n"
    "_dmarc.strict.test. TXT \"v=DMARC1; p=reject; adkim=s; aspf=s\"\n"
    "_dmarc.broken.test. TXT !servfail\n";

#define PASS DMARC_PROVEN

static const struct {
	const char *author, *spf;
	enum dmarc_evidence spf_said;
	const char *dkim;
	enum dmarc_evidence dkim_said;
	bool ignored, proved;
} proofs[] = {
	/* a policy: as DMARC says */
	{ "reject.test", "reject.test", PASS, "x.test", PASS, false, true },
	{ "reject.test", "x.test", PASS, "reject.test", PASS, false, true },
	{ "reject.test", "x.test", PASS, "x.test", PASS, false, false },
	{ "a.reject.test", "x.test", PASS, "b.reject.test", PASS, false, true },
	{ "a.strict.test", "x.test", PASS, "strict.test", PASS, false, false },
	/* none: the same domain, or one above it */
	{ "silent.test", "x.test", PASS, "silent.test", PASS, false, true },
	{ "silent.test", "silent.test", PASS, "x.test", PASS, false, true },
	{ "a.silent.test", "x.test", PASS, "silent.test", PASS, false, true },
	{ "silent.test", "x.test", PASS, "a.silent.test", PASS, false, false },
	{ "silent.test", "x.test", PASS, "notsilent.test", PASS, false, false },
	{ "silent.test", "silent.test", DMARC_UNPROVEN, "silent.test", DMARC_UNSURE, false, false },
	{ "silent.test", "x.test", PASS, "silent.test", PASS, true, false },
	/* it could not be looked up */
	{ "broken.test", "x.test", PASS, "broken.test", PASS, false, true },
	{ "broken.test", "broken.test", PASS, "x.test", PASS, false, true },
	{ "broken.test", "x.test", PASS, "x.test", PASS, false, false },
	{ "broken.test", "broken.test", DMARC_UNSURE, "broken.test", DMARC_UNPROVEN, false, false },
	/* nobody is never proved */
	{ "", "x.test", PASS, "x.test", PASS, false, false },
};

static void
an_author_is_proved_by_what_passed(void **state)
{
	struct zone *zone = zone_parse(S(ZONE), "proofs", NULL);

	(void)state;
	assert_non_null(zone);
	for (size_t i = 0; i < COUNT(proofs); i++) {
		struct dmarc_identity dkim = { slice(proofs[i].dkim), proofs[i].dkim_said, proofs[i].ignored };
		struct dmarc_question q = { .author.domain = slice(proofs[i].author),
		    .spf = { slice(proofs[i].spf), proofs[i].spf_said, false }, .dkim = &dkim, .dkim_count = 1 };
		struct dmarc d = { 0 };
		struct facts facts;

		if (*proofs[i].author == '\0')
			q.author.flaw = FROM_DOMAINS;
		facts_begin(&facts, arena);
		while (!dmarc_evaluate(&d, &q, &facts))
			zone_answer_all(zone, &facts);
		assert_case(dmarc_author_proved(&d) == proofs[i].proved, i, proofs[i].author);
	}
	zone_free(zone);
}

/* --- misused ------------------------------------------------------------------------------ */

static const struct { const char *author, *org; bool proved; const char *own; bool misused; } uses[] = {
	{ "local.test", "local.test", false, "local.test", true },
	{ "local.test", "local.test", false, "lists.local.test", true },
	{ "a.local.test", "local.test", false, "local.test", true },
	{ "a.local.test", "local.test", false, "Lists.Local.test", true },
	{ "a.local.test", "a.local.test", false, "local.test", false },         /* psd=n at the author's */
	{ "local.test", "local.test", false, "test", false },
	/* the Organizational Domain was not found out */
	{ "a.local.test", "", false, "local.test", true },
	{ "a.co.test", "", false, "b.co.test", true },
	{ "a.far.test", "", false, "local.test", false },
	{ "local.test", "local.test", true, "local.test", false },
	{ "far.test", "far.test", false, "local.test", false },
	{ "local.test", "local.test", false, "notlocal.test", false },
	{ "", "", false, "local.test", true },          /* whoever can be read into it */
	{ "", "", true, "local.test", false },          /* we wrote it */
};

static void
who_was_not_proved_is_not_spoken_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(uses); i++) {
		struct verdict_record r = { .author = slice(uses[i].author), .org = slice(uses[i].org),
		    .proved = uses[i].proved };

		assert_case(verdict_misuses(&r, slice(uses[i].own)) == uses[i].misused, i, uses[i].own);
	}
}

/* --- kept --------------------------------------------------------------------------------- */

static void
a_record_comes_back(void **state)
{
	struct verdict_record r = { .arc = ARC_PASS, .sets = 3, .asked = DMARC_P_REJECT,
	    .action = POLICY_QUARANTINE, .author = S("a.test"), .org = S("test"), .results = S("x; none") };

	(void)state;
	for (int proved = 0; proved < 2; proved++) {
		struct verdict_record back;
		struct buf b = BUF(1000);

		r.proved = proved;
		verdict_pack(&r, &b);
		assert_true(verdict_unpack(&back, buf_slice(&b)));
		assert_true(back.proved == r.proved && back.arc == r.arc && back.sets == r.sets);
		assert_true(back.asked == r.asked && back.action == r.action);
		assert_slice(back.author, "a.test");
		assert_slice(back.org, "test");
		assert_slice(back.results, "x; none");
		for (size_t n = 0; n < b.n; n++)
			assert_false(verdict_unpack(&back, slice_head(buf_slice(&b), n)));
		b.p[3] = 2;                             /* neither proved nor not */
		assert_false(verdict_unpack(&back, buf_slice(&b)));
		buf_free(&b);
	}
}

/* In the spools of older programs `dmarc` stands where `proved` does. */
static const struct { unsigned version, dmarc; bool good, proved; } olds[] = {
	{ 1, DMARC_NONE, true, true }, { 1, DMARC_FAIL, true, true }, { 1, 9, false, false },
	{ 2, DMARC_NONE, true, true }, { 2, DMARC_PASS, true, true }, { 2, DMARC_FAIL, true, false },
	{ 2, DMARC_TEMPERROR, true, false }, { 2, DMARC_PERMERROR, true, false }, { 2, 5, false, false },
	{ 0, DMARC_PASS, false, false }, { 4, 1, false, false },
};

static void
older_records_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(olds); i++) {
		struct verdict_record back;
		struct buf b = BUF(1000);

		pack_u8(&b, (uint8_t)olds[i].version);
		pack_u8(&b, ARC_NONE);
		pack_u8(&b, 0);
		pack_u8(&b, (uint8_t)olds[i].dmarc);
		pack_u8(&b, DMARC_P_NONE);
		pack_u8(&b, POLICY_ACCEPT);
		pack_slice(&b, S("a.test"));
		pack_slice(&b, S("x; none"));
		if (olds[i].version > 1)
			pack_slice(&b, S("a.test"));
		assert_case(verdict_unpack(&back, buf_slice(&b)) == olds[i].good, i, "read");
		assert_case(!olds[i].good || back.proved == olds[i].proved, i, "proved");
		buf_free(&b);
	}
}

/* --- seen again --------------------------------------------------------------------------- */

static const struct { const char *results; bool unproved; } seen[] = {
	{ "us; dmarc=fail header.from=a.test", true },
	{ "us; dmarc=FAIL header.from=A.test", true },
	{ "us; dkim=pass header.d=a.test; dmarc=fail header.from=a.test", true },
	{ "us; dmarc=pass header.from=a.test", false },
	{ "us; dmarc=none header.from=a.test", true },
	{ "us; dkim=fail header.d=a.test; dmarc=none header.from=a.test", true },
	{ "us; dkim=pass header.d=x.test; dmarc=none header.from=a.test", true },
	{ "us; dkim=fail header.d=a.test; dkim=pass header.d=a.test; dmarc=none header.from=a.test", false },
	{ "us; dkim=pass header.d=a.test; dmarc=temperror header.from=a.test", false },
	{ "us; spf=pass smtp.mailfrom=a.test; dmarc=none header.from=a.test", false },
	{ "us; spf=pass smtp.mailfrom=b@a.test; dmarc=none header.from=a.test", false },
	{ "us; spf=softfail smtp.mailfrom=a.test; dmarc=none header.from=a.test", true },
	{ "us; dmarc=fail header.from=b.test", false },         /* of somebody else */
	{ "us; spf=fail smtp.mailfrom=a.test", false },
	{ "us; none", false },
};

static void
what_we_said_before_is_remembered(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(seen); i++) {
		struct authres saw;

		assert_true(authres_parse(slice(seen[i].results), arena, &saw));
		assert_case(verdict_was_unproved(&saw, S("a.test")) == seen[i].unproved, i, seen[i].results);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_author_is_proved_by_what_passed, setup, teardown),
		cmocka_unit_test_setup_teardown(who_was_not_proved_is_not_spoken_for, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(older_records_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(what_we_said_before_is_remembered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
