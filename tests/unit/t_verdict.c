/* SPDX-License-Identifier: ISC */
/* What the queue keeps of a verdict, and what it forbids. */
#include "arc/verdict.h"
#include "unit.h"

static const struct verdict_record KEPT = {
	.arc = ARC_PASS, .sets = 3, .dmarc = DMARC_FAIL, .asked = DMARC_P_REJECT,
	.action = POLICY_QUARANTINE, .author = S_INIT("a.bank.test"), .org = S_INIT("bank.test"),
	.results = S_INIT("mx.here.test; dmarc=fail"),
};

static void
a_record_comes_back(void **state)
{
	struct buf b = BUF(1000);
	struct verdict_record r;

	(void)state;
	verdict_pack(&KEPT, &b);
	assert_true(verdict_unpack(&r, buf_slice(&b)));
	assert_int_equal(r.arc, KEPT.arc);
	assert_int_equal(r.sets, KEPT.sets);
	assert_int_equal(r.dmarc, KEPT.dmarc);
	assert_int_equal(r.asked, KEPT.asked);
	assert_int_equal(r.action, KEPT.action);
	assert_slice(r.author, "a.bank.test");
	assert_slice(r.org, "bank.test");
	assert_slice(r.results, "mx.here.test; dmarc=fail");
	for (size_t n = 0; n < b.n; n++)
		assert_false(verdict_unpack(&r, slice_head(buf_slice(&b), n)));
	b.p[0] = 3;                     /* the version of a newer program */
	assert_false(verdict_unpack(&r, buf_slice(&b)));
	b.p[0] = 0;
	assert_false(verdict_unpack(&r, buf_slice(&b)));
	buf_free(&b);
}

/* It had no `org` behind `results`, and its `dmarc` may be that of a client of ours. */
static void
a_record_of_version_1_tells_nothing_of_dmarc(void **state)
{
	struct verdict_record old = KEPT, r;
	struct buf b = BUF(1000);

	(void)state;
	old.org = NONE;
	verdict_pack(&old, &b);
	b.p[0] = 1;
	assert_false(verdict_unpack(&r, buf_slice(&b)));
	assert_true(verdict_unpack(&r, slice_head(buf_slice(&b), b.n - sizeof(uint32_t))));
	assert_int_equal(r.dmarc, DMARC_NONE);
	assert_int_equal(r.org.n, 0);
	assert_slice(r.results, "mx.here.test; dmarc=fail");
	buf_free(&b);
}

static const struct {
	enum dmarc_result dmarc;
	const char *author, *org, *own;
	bool        misuses;
} cases[] = {
	{ DMARC_FAIL, "bank.test", "bank.test", "bank.test", true },
	{ DMARC_FAIL, "bank.test", "bank.test", "lists.bank.test", true },      /* aligned, relaxed */
	{ DMARC_FAIL, "a.bank.test", "bank.test", "Lists.Bank.test", true },
	{ DMARC_FAIL, "a.bank.test", "bank.test", "bank.test", true },
	{ DMARC_FAIL, "a.bank.test", "a.bank.test", "bank.test", false },       /* psd=n at the author's */
	{ DMARC_FAIL, "bank.test", "bank.test", "ourbank.test", false },
	{ DMARC_FAIL, "bank.test", "bank.test", "test", false },
	{ DMARC_TEMPERROR, "bank.test", "bank.test", "bank.test", true },
	{ DMARC_PERMERROR, "bank.test", "bank.test", "bank.test", true },
	{ DMARC_PASS, "bank.test", "bank.test", "bank.test", false },
	{ DMARC_NONE, "bank.test", "bank.test", "bank.test", false },           /* there nobody looks */
	/* the Organizational Domain was not found out */
	{ DMARC_TEMPERROR, "a.bank.test", "", "lists.bank.test", true },
	{ DMARC_TEMPERROR, "a.co.test", "", "b.co.test", true },
	{ DMARC_TEMPERROR, "a.bank.test", "", "here.test", false },
	/* no author */
	{ DMARC_PERMERROR, "", "", "bank.test", false },
};

/* RFC 9989 4.4: whose name would be aligned with an author whom nothing proved. */
static void
our_name_proves_nobody_whom_nothing_proved(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct verdict_record r = { .dmarc = cases[i].dmarc, .author = slice(cases[i].author),
		    .org = slice(cases[i].org) };

		assert_case(verdict_misuses(&r, slice(cases[i].own)) == cases[i].misuses, i, cases[i].own);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_comes_back),
		cmocka_unit_test(a_record_of_version_1_tells_nothing_of_dmarc),
		cmocka_unit_test(our_name_proves_nobody_whom_nothing_proved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
