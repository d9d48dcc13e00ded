/* SPDX-License-Identifier: ISC */
#include "auth/policy.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

/* --- the truth table ------------------------------------------------------ */

/*
 * What DMARC said: result and, of a failure, requested>applied policy.  What
 * else is known: words of KNOWN below.  Then what is done with the switches of
 * the column: accept, quarantine, reject with its codes, or defer; and of the
 * first column the reason for reports behind a blank.
 */
static const struct {
	const char *dmarc, *known;
	const char *by_default, *strict, *never;
} table[] = {
	/* RFC 9989 5.4: p=none changes nothing */
	{ "none", "", "accept", "accept", "accept" },
	{ "pass none>none", "", "accept", "accept", "accept" },
	{ "pass reject>reject", "spf-fail", "accept", "accept", "accept" },
	{ "fail none>none", "", "accept", "accept", "accept" },
	{ "fail none>none", "list chain", "accept", "accept", "accept" },
	{ "temperror", "", "accept", "accept", "accept" },
	{ "permerror", "", "accept", "accept", "accept" },
	/* quarantine is quarantine, whatever dmarc_reject says */
	{ "fail quarantine>quarantine", "", "quarantine", "quarantine", "quarantine" },
	{ "fail quarantine>quarantine", "list", "quarantine", "quarantine", "quarantine" },
	{ "fail quarantine>quarantine", "chain", "quarantine", "quarantine", "quarantine" },
	{ "fail quarantine>quarantine", "sealer", "accept local_policy", "accept", "accept" },
	/* RFC 9989 7.4: p=reject alone is no reason */
	{ "fail reject>reject", "", "reject 550 5.7.26", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "spf-fail", "reject 550 5.7.26", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "list", "quarantine mailing_list", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "list chain", "quarantine mailing_list", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "resent", "quarantine local_policy", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "srs", "quarantine local_policy", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "chain", "quarantine local_policy", "reject 550 5.7.26", "quarantine" },
	{ "fail reject>reject", "chain-fail", "reject 550 5.7.26", "reject 550 5.7.26", "quarantine" }, /* E2.9 */
	{ "fail reject>reject", "sealer", "accept local_policy", "accept", "accept" },  /* E4.2 */
	{ "fail reject>reject", "sealer list", "accept local_policy", "accept", "accept" },
	/* t=y: one level lower (4.7) */
	{ "fail reject>quarantine", "", "quarantine policy_test_mode", "quarantine", "quarantine" },
	{ "fail reject>quarantine", "list", "quarantine policy_test_mode", "quarantine", "quarantine" },
	{ "fail reject>quarantine", "sealer", "accept local_policy", "accept", "accept" },
	{ "fail quarantine>none", "", "accept policy_test_mode", "accept", "accept" },
	/* a chain whose key cannot be had: once later, then as it is (E2.8) */
	{ "fail reject>reject", "unsure", "defer 451 4.4.3", "defer 451 4.4.3", "defer 451 4.4.3" },
	{ "fail reject>reject", "unsure again", "quarantine local_policy", "reject 550 5.7.26", "quarantine" },
	{ "fail quarantine>quarantine", "unsure", "defer 451 4.4.3", "defer 451 4.4.3", "defer 451 4.4.3" },
	{ "fail none>none", "unsure", "accept", "accept", "accept" },
	{ "pass reject>reject", "unsure", "accept", "accept", "accept" },
	{ "pass reject>reject", "unsure seal", "defer 451 4.4.3", "defer 451 4.4.3", "defer 451 4.4.3" },
	{ "pass reject>reject", "unsure seal again", "accept", "accept", "accept" },
	/* no Author Domain (C5.1, C5.3) */
	{ "permerror", "from-none", "accept", "accept", "accept" },
	{ "permerror", "from-nobody", "reject 550 5.6.0", "reject 550 5.6.0", "reject 550 5.6.0" },
	{ "permerror", "from-fields", "reject 550 5.6.0", "reject 550 5.6.0", "reject 550 5.6.0" },
	{ "permerror", "from-domains", "reject 550 5.6.0", "reject 550 5.6.0", "reject 550 5.6.0" },
	{ "permerror", "from-many", "reject 550 5.6.0", "reject 550 5.6.0", "reject 550 5.6.0" },
	{ "permerror", "from-unparsable", "reject 550 5.6.0", "reject 550 5.6.0", "reject 550 5.6.0" },
	{ "permerror", "from-fields sealer", "reject 550 5.6.0", "reject 550 5.6.0", "reject 550 5.6.0" },
	{ "fail none>none", "from-addresses", "accept", "accept", "accept" },           /* RFC 5322 3.6.2 */
	{ "pass reject>reject", "from-addresses", "accept", "accept", "accept" },
};

/* The same with one other switch. */
static const struct { const char *name, *word, *dmarc, *known, *outcome; } switched[] = {
	{ "dmarc_dns_temperror", "defer", "temperror", "", "defer 451 4.4.3" },
	{ "dmarc_dns_temperror", "defer", "temperror", "sealer", "accept" },
	{ "dmarc_dns_temperror", "defer", "none", "", "accept" },
	{ "dmarc_dns_temperror", "defer", "permerror", "", "accept" },
	{ "dmarc_dns_temperror", "defer", "fail reject>reject", "", "reject 550 5.7.26" },
	{ "from_multiple", "accept", "permerror", "from-fields", "accept" },
	{ "from_multiple", "accept", "permerror", "from-none", "accept" },
	{ "from_multiple", "accept", "permerror", "from-unparsable", "accept" },
	{ "spf_fail", "reject", "none", "spf-fail", "reject 550 5.7.23" },
	{ "spf_fail", "reject", "none", "", "accept" },
	{ "spf_fail", "reject", "permerror", "spf-fail", "reject 550 5.7.23" },
	{ "spf_fail", "reject", "pass none>none", "spf-fail", "accept" },               /* RFC 9989 7.1 */
	{ "spf_fail", "reject", "temperror", "spf-fail", "accept" },
	{ "spf_fail", "reject", "fail none>none", "spf-fail", "reject 550 5.7.23 local_policy" },
	{ "spf_fail", "reject", "fail quarantine>quarantine", "spf-fail", "reject 550 5.7.23 local_policy" },
	{ "spf_fail", "reject", "fail reject>reject", "spf-fail", "reject 550 5.7.26" },
	{ "spf_fail", "reject", "fail reject>reject", "spf-fail sealer", "accept local_policy" },
	{ "spf_fail", "reject", "fail none>none", "spf-fail sealer", "accept" },
	{ "arc_dns_temperror", "accept", "fail reject>reject", "unsure", "quarantine local_policy" },
	{ "arc_dns_temperror", "accept", "pass none>none", "unsure seal", "accept" },
};

static enum dmarc_policy
policy_word(struct slice word)
{
	return slice_eqi(word, S("reject")) ? DMARC_P_REJECT :
	    slice_eqi(word, S("quarantine")) ? DMARC_P_QUARANTINE : DMARC_P_NONE;
}

static struct dmarc
dmarc_of(const char *text)
{
	struct slice rest = slice(text), result = NONE, requested = NONE;
	struct dmarc d = { .concluded = true, .author = S("bank.test"), .why = S("as it is") };

	slice_cut(&rest, ' ', &result);
	slice_cut(&rest, '>', &requested);
	while (!slice_eq(result, slice(dmarc_result_name(d.result))))
		d.result++;
	d.requested = policy_word(requested);
	d.policy = policy_word(rest);
	return d;
}

static struct policy_evidence
evidence_of(const char *text, const struct dmarc *dmarc)
{
	struct policy_evidence e = { .dmarc = dmarc };
	struct slice rest = slice(text), word;

	while (slice_word(&rest, &word)) {
		if (slice_eqi(word, S("list")))            e.traces.list = true;
		else if (slice_eqi(word, S("resent")))     e.traces.resent = true;
		else if (slice_eqi(word, S("srs")))        e.traces.srs = true;
		else if (slice_eqi(word, S("spf-fail")))   e.spf_fail = true;
		else if (slice_eqi(word, S("chain")))      e.chain = CHAIN_PASS;
		else if (slice_eqi(word, S("chain-fail"))) e.chain = CHAIN_FAIL;
		else if (slice_eqi(word, S("unsure")))     e.chain = CHAIN_UNSURE;
		else if (slice_eqi(word, S("again")))      e.deferred_before = true;
		else if (slice_eqi(word, S("seal")))       e.will_be_sealed = true;
		else if (slice_eqi(word, S("sealer")))     e.chain = CHAIN_PASS, e.sealer = S("list.test");
		else
			while (!slice_eqi(slice_skip(word, 5), slice(from_flaw_name(e.flaw))))
				e.flaw++;
	}
	return e;
}

static const char *
outcome(const struct decision *d, bool with_reason)
{
	static char text[200];
	size_t n = (size_t)snprintf(text, sizeof text, "%s", policy_action_name(d->action));

	if (d->status.reply != 0)
		n += (size_t)snprintf(text + n, sizeof text - n, " %u %u.%u.%u", d->status.reply,
		    d->status.class, d->status.subject, d->status.detail);
	if (with_reason && d->reason != REASON_NONE)
		snprintf(text + n, sizeof text - n, " %s", policy_reason_name(d->reason));
	return text;
}

static void
assert_outcome(struct policy p, const char *dmarc, const char *known, bool with_reason, const char *want)
{
	struct dmarc said = dmarc_of(dmarc);
	struct policy_evidence e = evidence_of(known, &said);
	struct decision d = policy_decide(&p, &e, arena);

	if (strcmp(outcome(&d, with_reason), want) != 0)
		print_error("%s, %s: got %s, want %s\n", dmarc, known, outcome(&d, with_reason), want);
	assert_string_equal(outcome(&d, with_reason), want);
}

static void
every_row_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		struct policy p = { 0 };

		assert_outcome(p, table[i].dmarc, table[i].known, true, table[i].by_default);
		assert_true(policy_set(&p, S("dmarc_reject"), S("strict")));
		assert_outcome(p, table[i].dmarc, table[i].known, false, table[i].strict);
		assert_true(policy_set(&p, S("dmarc_reject"), S("never")));
		assert_outcome(p, table[i].dmarc, table[i].known, false, table[i].never);
	}
	for (size_t i = 0; i < COUNT(switched); i++) {
		struct policy p = { 0 };

		assert_true(policy_set(&p, slice(switched[i].name), slice(switched[i].word)));
		assert_outcome(p, switched[i].dmarc, switched[i].known, true, switched[i].outcome);
	}
}

static void
every_switch_says_its_word(void **state)
{
	static const char *const set[POLICY_SWITCHES][2] = {
		{ "dmarc_reject", "never" }, { "dmarc_dns_temperror", "defer" }, { "from_multiple", "accept" },
		{ "spf_fail", "reject" }, { "arc_dns_temperror", "accept" },
	};
	static const char *const defaults[] = { "evidence", "accept", "reject", "mark", "defer-once" };
	struct policy p = { 0 };

	(void)state;
	for (size_t i = 0; i < POLICY_SWITCHES; i++) {
		const char *name;

		assert_slice(policy_switch(&p, i, &name), defaults[i]);
		assert_string_equal(name, set[i][0]);
		assert_true(policy_set(&p, slice(name), slice(set[i][1])));
		assert_slice(policy_switch(&p, i, &name), set[i][1]);
		assert_false(policy_set(&p, slice(name), S("often")));
	}
}

/* --- what holds for every combination ------------------------------------- */

struct combination {
	struct policy          p;
	struct dmarc           dmarc;
	struct policy_evidence e;
};

/* Take the next value of a mixed-radix number. */
static unsigned
digit(unsigned *number, unsigned radix)
{
	unsigned value = *number % radix;

	*number /= radix;
	return value;
}

static bool
combination(unsigned number, struct combination *c)
{
	*c = (struct combination){ .dmarc = { .author = S("bank.test"), .why = S("as it is") } };
	c->p.dmarc_reject = digit(&number, 3);
	c->p.dmarc_dns_temperror = digit(&number, 2);
	c->p.from_multiple = digit(&number, 2);
	c->p.spf_fail = digit(&number, 2);
	c->p.arc_dns_temperror = digit(&number, 2);
	c->dmarc.result = digit(&number, 5);
	c->dmarc.requested = digit(&number, 3);
	c->dmarc.policy = digit(&number, 2) && c->dmarc.requested > 0 ? c->dmarc.requested - 1 : c->dmarc.requested;
	c->e.flaw = c->dmarc.result == DMARC_PERMERROR ? FROM_FIELDS : FROM_OK;
	c->e.spf_fail = digit(&number, 2);
	c->e.traces.list = digit(&number, 2);
	c->e.traces.srs = digit(&number, 2);
	c->e.chain = digit(&number, 4);
	c->e.sealer = digit(&number, 2) && c->e.chain == CHAIN_PASS ? S("list.test") : NONE;
	c->e.deferred_before = digit(&number, 2);
	c->e.will_be_sealed = digit(&number, 2);
	return number == 0;
}

static bool
same_report(const struct decision *d, enum dmarc_policy requested)
{
	return strcmp(d->disposition, dmarc_policy_name(requested)) == 0;
}

static void
what_always_holds(void **state)
{
	struct combination c;
	unsigned number;

	(void)state;
	for (number = 0; combination(number, &c); number++) {
		struct decision d;
		struct combination silent = c;
		bool refused;

		c.e.dmarc = &c.dmarc;
		d = policy_decide(&c.p, &c.e, arena);
		refused = d.action == POLICY_REJECT || d.action == POLICY_DEFER;
		assert_int_equal(refused, d.status.reply != 0);
		assert_int_equal(d.action == POLICY_REJECT, status_permanent(d.status));
		assert_int_equal(d.action == POLICY_DEFER, status_transient(d.status));
		assert_int_equal(refused, d.status.text.n > 0);
		assert_true(d.why.n > 0);
		if (d.action == POLICY_QUARANTINE || (d.action == POLICY_REJECT && d.status.detail == 26))
			assert_int_equal(c.dmarc.result, DMARC_FAIL);
		if (c.e.deferred_before && c.p.dmarc_dns_temperror == DMARC_DNS_ACCEPT)
			assert_int_not_equal(d.action, POLICY_DEFER);
		/* RFC 9990: a reason where a failing message met something else than was asked */
		if (c.dmarc.result == DMARC_FAIL && d.action != POLICY_DEFER)
			assert_true(same_report(&d, c.dmarc.requested) || d.reason != REASON_NONE);
		/* RFC 9989 5.4: p=none does what no policy does */
		if (c.dmarc.result == DMARC_FAIL && c.dmarc.policy == DMARC_P_NONE) {
			silent.dmarc.result = DMARC_NONE;
			silent.e.dmarc = &silent.dmarc;
			assert_int_equal(policy_decide(&silent.p, &silent.e, arena).action, d.action);
		}
		arena_reset(arena);
	}
	assert_int_equal(number, 3 * 2 * 2 * 2 * 2 * 5 * 3 * 2 * 2 * 2 * 2 * 4 * 2 * 2 * 2);
}

/* --- texts, reasons, switches, traces ------------------------------------- */

static void
replies_and_reasons_tell_what_happened(void **state)
{
	static const struct policy_seal seals[] = {
		{ 2, S_INIT("d2.example"), S_INIT("s2"), S_INIT("") },
		{ 1, S_INIT("d1.example"), S_INIT("s1"), S_INIT("2001:db8::1a") },
	};
	struct policy p = { 0 };
	struct dmarc dmarc = dmarc_of("fail reject>reject");
	struct policy_evidence e = evidence_of("", &dmarc);
	struct decision d = policy_decide(&p, &e, arena);
	struct arena *full = arena_new(8);

	(void)state;
	assert_slice(d.status.text, "refused by the DMARC policy of bank.test: neither SPF nor DKIM passed for it");
	assert_string_equal(d.disposition, "reject");
	d = policy_decide(&p, &e, full);
	assert_slice(d.status.text, "refused by the DMARC policy");
	arena_free(full);

	e = evidence_of("sealer", &dmarc);
	e.seals = seals;
	e.seal_count = 2;
	d = policy_decide(&p, &e, arena);
	assert_slice(d.comment,                                                 /* RFC 8617 7.2.2 */
	    "arc=pass as[2].d=d2.example as[2].s=s2 as[1].d=d1.example as[1].s=s1 remote-ip[1]=2001:db8::1a");
	assert_slice(d.why, "the trusted sealer list.test vouches for it");
	assert_string_equal(d.disposition, "none");

	dmarc = dmarc_of("pass quarantine>quarantine");
	e = evidence_of("", &dmarc);
	assert_string_equal(policy_decide(&p, &e, arena).disposition, "pass");
	dmarc = dmarc_of("pass none>none");
	assert_string_equal(policy_decide(&p, &e, arena).disposition, "none");
}

static void
switches_have_these_words_and_no_other(void **state)
{
	struct policy p = { 0 };

	(void)state;
	assert_true(policy_set(&p, S("dmarc_reject"), S("strict")));
	assert_int_equal(p.dmarc_reject, REJECT_STRICT);
	assert_true(policy_set(&p, S("dmarc_reject"), S("evidence")));
	assert_int_equal(p.dmarc_reject, REJECT_EVIDENCE);
	assert_true(policy_set(&p, S("dmarc_dns_temperror"), S("accept")));
	assert_true(policy_set(&p, S("from_multiple"), S("reject")));
	assert_true(policy_set(&p, S("spf_fail"), S("mark")));
	assert_true(policy_set(&p, S("arc_dns_temperror"), S("defer-once")));
	assert_memory_equal(&p, &(struct policy){ 0 }, sizeof p);               /* the defaults */
	assert_false(policy_set(&p, S("dmarc_reject"), S("always")));
	assert_false(policy_set(&p, S("dmarc_reject"), S("")));
	assert_false(policy_set(&p, S("spf_fail"), S("accept")));
	assert_false(policy_set(&p, S("no_such_switch"), S("reject")));
}

static const struct { const char *header, *local, *traces; } trace_cases[] = {
	{ "Subject: x\r\nFrom: a@x.test\r\n", "a", "" },
	{ "List-Id: <l.x.test>\r\n", "a", "list " },                            /* RFC 2919 */
	{ "list-post: <mailto:l@x.test>\r\n", "a", "list " },                   /* RFC 2369 */
	{ "Mailing-List: contact l\r\n", "a", "list " },
	{ "Precedence: List\r\n", "a", "list " },
	{ "Precedence: bulk\r\n", "a", "" },
	{ "List-Unsubscribe: <mailto:l@x.test>\r\n", "a", "" },                 /* every newsletter has it */
	{ "Resent-From: b@y.test\r\n", "a", "resent " },                        /* RFC 5322 3.6.6 */
	{ "Subject: x\r\n", "SRS0=HHH=TT=x.test=a", "srs " },
	{ "Subject: x\r\n", "srs1+HHH=y.test==HHH=TT=x.test=a", "srs " },
	{ "Subject: x\r\n", "SRS2=x", "" },
	{ "Subject: x\r\n", "srs0", "" },
	{ "Subject: x\r\n", "", "" },
};

static void
traces_of_somebody_in_between(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(trace_cases); i++) {
		struct header h;
		struct traces t;
		char text[40];

		assert_true(header_parse(&h, slice(trace_cases[i].header), arena, NULL));
		t = traces_read(&h, slice(trace_cases[i].local));
		snprintf(text, sizeof text, "%s%s%s", t.list ? "list " : "", t.resent ? "resent " : "",
		    t.srs ? "srs " : "");
		assert_case(strcmp(text, trace_cases[i].traces) == 0, i, text);
	}
}

/* What the configuration has and what the switches do are the same. */
static void
the_configuration_sets_every_switch(void **state)
{
	static const struct { struct policy_conf conf; const char *name, *word; } rows[] = {
		{ { .dmarc_reject = HEED_EVIDENCE }, "dmarc_reject", "evidence" },
		{ { .dmarc_reject = HEED_STRICT }, "dmarc_reject", "strict" },
		{ { .dmarc_reject = HEED_NEVER }, "dmarc_reject", "never" },
		{ { .dmarc_temperror_defer = true }, "dmarc_dns_temperror", "defer" },
		{ { .several_authors_accept = true }, "from_multiple", "accept" },
		{ { .spf_fail_reject = true }, "spf_fail", "reject" },
		{ { .arc_temperror_defer_once = true }, "arc_dns_temperror", "defer-once" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct policy got = policy_configured(&rows[i].conf), want = { 0 };

		/* The one switch whose default is to do something. */
		assert_true(policy_set(&want, S("arc_dns_temperror"), S("accept")));
		assert_true(policy_set(&want, slice(rows[i].name), slice(rows[i].word)));
		assert_case(memcmp(&got, &want, sizeof got) == 0, i, rows[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_row_of_the_table, setup, teardown),
		cmocka_unit_test_setup_teardown(what_always_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(replies_and_reasons_tell_what_happened, setup, teardown),
		cmocka_unit_test(every_switch_says_its_word),
		cmocka_unit_test(switches_have_these_words_and_no_other),
		cmocka_unit_test(the_configuration_sets_every_switch),
		cmocka_unit_test_setup_teardown(traces_of_somebody_in_between, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
