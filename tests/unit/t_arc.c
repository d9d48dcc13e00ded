/* SPDX-License-Identifier: ISC */
#include "arc/chain.h"
#include "arc/trust.h"
#include "hops.h"
#include "unit.h"

static const char MESSAGE[] =
    "From: A <a@a.example>\r\n"
    "To: list@hop1.example\r\n"
    "Subject: a subject\r\n"
    "\r\n"
    "Hi,\r\n"
    "there.\r\n";

/* --- structure (RFC 8617 4.2, 5.2 steps 1 to 3) ---------------------------------- */

#define AAR(i) "ARC-Authentication-Results: i=" #i "; mx.example; dmarc=pass\r\n"
#define AMS(i) "ARC-Message-Signature: i=" #i "; a=rsa-sha256; d=hop.example; s=s; h=from; b=AAAA;" \
	" bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
#define AS(i, cv) "ARC-Seal: i=" #i "; a=rsa-sha256; cv=" #cv "; d=hop.example; s=s; b=AAAA\r\n"
#define SET(i, cv) AS(i, cv) AMS(i) AAR(i)

/* What begins well has no reason yet; "none" is a message without a chain. */
static const struct { const char *fields, *reason; unsigned count; bool ended; } structures[] = {
	{ "", "none", 0, false },
	{ "X-ARC-Seal: i=1\r\nArc: x\r\n", "none", 0, false },
	{ SET(1, none), "", 1, false },
	{ SET(2, pass) SET(1, none), "", 2, false },
	{ SET(1, none) SET(2, pass), "", 2, false },                    /* the order of the fields is free */
	{ AAR(1) AMS(1) AS(1, none), "", 1, false },
	{ "arc-seal: i=1; a=rsa-sha256; cv=none; d=hop.example; s=s; b=AAAA\r\n" AMS(1) AAR(1), "", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: (c(o)m\\)) i (x) = 1\r\n ; mx\r\n", "", 1, false },
	{ AS(01, none) AMS(1) AAR(1), "", 1, false },
	{ AS(1, none) AMS(1), "set 1: there is no ARC-Authentication-Results", 1, false },
	{ AS(1, none) AAR(1), "set 1: there is no ARC-Message-Signature", 1, false },
	{ AMS(1) AAR(1), "set 1: there is no ARC-Seal", 1, false },
	{ AAR(1), "set 1: there is no ARC-Message-Signature", 1, false },
	{ SET(1, none) AS(1, none), "set 1: there are two ARC-Seal", 1, false },
	{ SET(1, none) AMS(1), "set 1: there are two ARC-Message-Signature", 1, false },
	{ SET(1, none) AAR(1), "set 1: there are two ARC-Authentication-Results", 1, false },
	{ SET(2, pass), "set 1: there is none", 2, false },
	{ SET(3, pass) SET(1, none), "set 2: there is none", 3, false },
	{ SET(1, pass), "set 1: its cv= must be none", 1, false },      /* RFC 8617 5.2, 3.C */
	{ SET(2, none) SET(1, none), "set 2: its cv= must be pass", 2, false },
	{ SET(2, pass) SET(1, fail), "set 1: its cv= must be none", 2, false },
	{ SET(3, pass) SET(2, fail) SET(1, none), "set 2: its cv= must be pass", 3, false },
	{ SET(1, fail), "set 1: its sealer found the chain failed (cv=fail)", 1, true },
	{ SET(2, fail) SET(1, none), "set 2: its sealer found the chain failed (cv=fail)", 2, true },
	{ SET(2, fail), "set 2: its sealer found the chain failed (cv=fail)", 2, true },
	{ SET(0, none), "a field ARC-Seal has no proper instance (i=)", 0, false },
	{ SET(-1, none), "a field ARC-Seal has no proper instance (i=)", 0, false },
	{ SET(100, none), "a field ARC-Seal has no proper instance (i=)", 0, false },
	{ SET(51, pass) SET(1, none), "an instance is above 50", 1, false },
	{ AS(, none) AMS(1) AAR(1), "a field ARC-Seal has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(x) AAR(1), "a field ARC-Message-Signature has no proper instance (i=)", 1, false },
	{ "ARC-Seal: i=1; cv\r\n" AMS(1) AAR(1), "a field ARC-Seal has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: mx.example; i=1; dmarc=pass\r\n",
	  "a field ARC-Authentication-Results has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: i=1 mx.example; dmarc=pass\r\n",
	  "a field ARC-Authentication-Results has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: I=1; mx.example\r\n",
	  "a field ARC-Authentication-Results has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: i=001; mx.example\r\n",
	  "a field ARC-Authentication-Results has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: (null)=pass\r\n",
	  "a field ARC-Authentication-Results has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results:\r\n",
	  "a field ARC-Authentication-Results has no proper instance (i=)", 1, false },
	{ AS(1, none) AMS(1) "ARC-Authentication-Results: i=1; (\r\n", "", 1, false },
};

static void
begin(struct judged *j, struct slice fields)
{
	assert_true(judge_begin(j, fields));
	assert_true(arc_begin(&j->arc, &j->header, &j->bodies, j->arena));
}

static void
the_structure_is_checked_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(structures); i++) {
		struct judged j;

		begin(&j, slice(structures[i].fields));
		if (strcmp(structures[i].reason, "none") == 0) {
			assert_true(j.arc.concluded);
			assert_int_equal(j.arc.result, ARC_NONE);
		} else {
			assert_slice(j.arc.reason, structures[i].reason);
			assert_case(j.arc.concluded == (j.arc.reason.n > 0), i, structures[i].fields);
			assert_case((j.arc.result == ARC_FAIL) == j.arc.concluded, i, structures[i].fields);
		}
		assert_case(j.arc.count == structures[i].count, i, structures[i].fields);
		assert_case(j.arc.ended == structures[i].ended, i, structures[i].fields);
		judge_end(&j);
	}
}

static void
there_is_an_end_to_sets(void **state)
{
	(void)state;
	for (unsigned sets = ARC_SETS - 1; sets <= ARC_SETS + 1; sets++) {
		struct buf fields = BUF(1 << 20);
		struct judged j;

		for (unsigned i = 1; i <= sets; i++)
			buf_printf(&fields, "ARC-Seal: i=%u; a=rsa-sha256; cv=%s; d=hop.example; s=s; b=AAAA\r\n"
			    "ARC-Message-Signature: i=%u; a=rsa-sha256; d=hop.example; s=s; h=from; b=AAAA;"
			    " bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n"
			    "ARC-Authentication-Results: i=%u; mx\r\n", i, i == 1 ? "none" : "pass", i, i);
		begin(&j, buf_slice(&fields));
		assert_int_equal(j.arc.result == ARC_FAIL, sets > ARC_SETS);
		assert_int_equal(j.arc.full, sets >= ARC_SETS);
		judge_end(&j);
		buf_free(&fields);
	}
}

static void
a_flood_of_fields_is_cut_off(void **state)
{
	struct buf fields = BUF(1 << 20);
	struct judged j;

	(void)state;
	for (int i = 0; i < HEADER_FIELDS; i++)
		buf_add(&fields, S(AS(1, none)));
	begin(&j, buf_slice(&fields));
	assert_int_equal(j.arc.result, ARC_FAIL);
	assert_true(j.arc.full);
	judge_end(&j);
	buf_free(&fields);
}

static void
a_full_arena_is_an_outcome(void **state)
{
	bool fits = false;

	(void)state;
	for (size_t size = 0; size < 4000; size += 50) {
		struct arena *small = arena_new(size);
		struct judged j;
		bool begun;

		assert_true(judge_begin(&j, S(SET(2, pass) SET(1, none))));
		begun = arc_begin(&j.arc, &j.header, &j.bodies, small);
		assert_true(begun || !fits);
		if (begun)                      /* want of memory is never taken for a flaw */
			assert_false(j.arc.concluded);
		fits |= begun;
		arena_free(small);
		judge_end(&j);
	}
	assert_true(fits);
}

static void
an_aar_tells_its_results(void **state)
{
	struct judged j;

	(void)state;
	begin(&j, S(AS(1, none) AMS(1) "ARC-Authentication-Results: i=1;\r\n mx.example; spf=pass;\r\n dmarc=pass \r\n"));
	assert_slice(j.arc.sets[0]->results, "mx.example; spf=pass;\r\n dmarc=pass");
	judge_end(&j);
}

/* --- the signatures (RFC 8617 5.2 steps 4 to 7) -------------------------------------- */

static void
honest_chains_pass(void **state)
{
	struct zone *zone = hop_zone(5, "");

	(void)state;
	for (unsigned hops = 0; hops <= 5; hops++) {
		struct buf message = hops_message(MESSAGE, hops);
		struct judged j;

		hops_judge(&j, buf_slice(&message), zone);
		assert_slice(j.arc.reason, "");
		assert_int_equal(j.arc.result, hops == 0 ? ARC_NONE : ARC_PASS);
		assert_int_equal(j.arc.count, hops);
		assert_int_equal(j.arc.oldest_pass, 0);
		assert_true(j.rounds <= 1);
		for (unsigned i = 0; i < hops; i++) {
			assert_int_equal(j.arc.sets[i]->ams.state, SIGNATURE_GOOD);
			assert_int_equal(j.arc.sets[i]->seal.state, SIGNATURE_GOOD);
		}
		judge_end(&j);
		buf_free(&message);
	}
	zone_free(zone);
}

/*
 * Three hops; a change before hop `at` seals (4: after all of them). The states
 * of the message signatures and of the seals, newest first.
 */
static const struct {
	unsigned    at;
	const char *from, *to;
	const char *reason;             /* "" when the chain passes all the same */
	unsigned    oldest_pass;
	const char *ams, *seals;
} changes[] = {
	/* A list changes the message and seals: only older message signatures break. */
	{ 1, "there.", "here.", "", 0, "ok,ok,ok", "ok,ok,ok" },
	{ 2, "there.", "here.", "", 2, "ok,ok,body changed", "ok,ok,ok" },
	{ 3, "there.", "here.", "", 3, "ok,body changed,body changed", "ok,ok,ok" },
	{ 3, "Subject: ", "Subject: [l] ", "", 3, "ok,does not verify,does not verify", "ok,ok,ok" },
	{ 2, "To:", "List-Id: <l>\r\nTo:", "", 0, "ok,ok,ok", "ok,ok,ok" },
	/* Changed behind the last seal. */
	{ 4, "there.", "here.", "the message signature of set 3: the body hash differs", 4,
	  "body changed,body changed,body changed", "ok,ok,ok" },
	{ 4, "From: A", "From: B", "the message signature of set 3: the signature does not verify", 4,
	  "does not verify,does not verify,does not verify", "ok,ok,ok" },
	/* What the sets themselves say is sealed. */
	{ 4, "i=3; mx.hop3", "i=3; mx.HOP3", "the seal of set 3: the signature does not verify", 0, "ok,ok,ok",
	  "does not verify,ok,ok" },
	{ 4, "i=1; mx.hop1", "i=1; mx.evil", "the seal of set 3: the signature does not verify", 0, "ok,ok,ok",
	  "does not verify,does not verify,does not verify" },
	{ 3, "i=1; mx.hop1", "i=1; mx.evil", "the seal of set 2: the signature does not verify", 0, "ok,ok,ok",
	  "ok,does not verify,does not verify" },
	{ 2, "i=1; mx.hop1", "i=1; mx.evil", "the seal of set 1: the signature does not verify", 0, "ok,ok,ok",
	  "ok,ok,does not verify" },
	{ 4, "ARC-Authentication-Results: i=2; mx", "aRC-Authentication-Results  :\r\n\ti=2;  mx", "", 0, "ok,ok,ok",
	  "ok,ok,ok" },                                                 /* relaxed */
	{ 4, "ARC-Authentication-Results: i=2; mx", "ARC-Authentication-Results: i=2;mx",
	  "the seal of set 3: the signature does not verify", 0, "ok,ok,ok", "does not verify,does not verify,ok" },
	/* A set taken away, and one put in its place. */
	{ 4, "ARC-Seal: i=3", "X-Seal: i=3", "set 3: there is no ARC-Seal", 0, "open,open,open", "open,open,open" },
	{ 4, "d=hop3.example", "d=hop1.example", "the seal of set 3: the signature does not verify", 0, "ok,ok,ok",
	  "does not verify,ok,ok" },
	{ 4, "ARC-Seal: i=3; a=rsa-sha256", "ARC-Seal: i=3; a=rsa-sha1",
	  "the seal of set 3: rsa-sha1 is no longer accepted (RFC 8301)", 0, "ok,ok,ok", "algorithm refused,ok,ok" },
	{ 4, "ARC-Seal: i=3; ", "ARC-Seal: i=3; h=from; ", "the seal of set 3: h= has no place in a seal", 0,
	  "ok,ok,ok", "malformed,ok,ok" },                              /* RFC 8617 4.1.3 */
	{ 4, "h=from:from:", "h=arc-seal:from:", "the message signature of set 3: h= names ARC-Seal", 4,
	  "malformed,ok,ok", "does not verify,ok,ok" },
	{ 4, "h=from:from:", "l=1; h=from:from:", "the message signature of set 3: the body hash differs", 4,
	  "body changed,ok,ok", "does not verify,ok,ok" },
};

static void
states_are(const struct arc *a, bool seals, const char *want)
{
	struct buf got = BUF(1000);

	for (unsigned i = a->count; i >= 1; i--)
		buf_printf(&got, "%s%s", got.n ? "," : "",
		    signature_state_name(seals ? a->sets[i - 1]->seal.state : a->sets[i - 1]->ams.state));
	assert_slice(buf_slice(&got), want);
	buf_free(&got);
}

static void
each_change_is_found_where_it_was_made(void **state)
{
	struct zone *zone = hop_zone(3, "");

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct buf message = BUF(1 << 20);
		struct judged j;

		buf_add(&message, slice(MESSAGE));
		for (unsigned hop = 1; hop <= 4; hop++) {
			if (hop == changes[i].at)
				hops_replace(&message, changes[i].from, changes[i].to);
			if (hop <= 3)
				hop_seals(&message, hop, hop == 1 ? ARC_NONE : ARC_PASS);
		}
		hops_judge(&j, buf_slice(&message), zone);
		assert_slice(j.arc.reason, changes[i].reason);
		assert_case((j.arc.result == ARC_PASS) == (*changes[i].reason == '\0'), i, changes[i].to);
		assert_case(j.arc.oldest_pass == changes[i].oldest_pass, i, changes[i].to);
		if (j.arc.sets[2]->seal.field != NULL) {
			states_are(&j.arc, false, changes[i].ams);
			states_are(&j.arc, true, changes[i].seals);
		}
		assert_false(j.arc.temporary);
		judge_end(&j);
		buf_free(&message);
	}
	zone_free(zone);
}

/* Two hops whose keys are not there: key failures are told from signature failures. */
static const struct { const char *zone, *reason; bool temporary; const char *seals; } keys[] = {
	{ "s._domainkey.hop2.example. TXT !servfail\n", "the message signature of set 2: SERVFAIL", true,
	  "could not find out,key missing" },
	{ "", "the message signature of set 2: there is no key record", false, "key missing,key missing" },
	{ "s._domainkey.hop2.example. TXT \"p=\"\n", "the message signature of set 2: the key is revoked (p= is empty)",
	  false, "key revoked,key missing" },
	{ "s._domainkey.hop2.example. TXT \"p=AAAA\"\n", "the message signature of set 2: p= holds no such key", false,
	  "key unfit,key missing" },
};

static void
key_failures_are_no_signature_failures(void **state)
{
	struct buf message = hops_message(MESSAGE, 2);

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct zone *zone = hop_zone(0, keys[i].zone);
		struct judged j;

		hops_judge(&j, buf_slice(&message), zone);
		assert_int_equal(j.arc.result, ARC_FAIL);
		assert_slice(j.arc.reason, keys[i].reason);
		states_are(&j.arc, true, keys[i].seals);
		assert_true(signature_key_failed(j.arc.sets[0]->seal.state));
		judge_end(&j);
		zone_free(zone);
	}
	buf_free(&message);
}

/* RFC 8617 5.2.1: it failed for good; but whoever defers mail wants to know. */
static void
a_failure_for_want_of_an_answer_is_marked(void **state)
{
	struct buf message = hops_message(MESSAGE, 2);

	(void)state;
	for (int changed = 0; changed < 2; changed++) {
		struct zone *zone = hop_zone(1, "s._domainkey.hop2.example. TXT !timeout\n");
		struct judged j;

		if (changed)
			hops_replace(&message, "i=1; mx.hop1", "i=1; mx.evil");
		hops_judge(&j, buf_slice(&message), zone);
		assert_int_equal(j.arc.result, ARC_FAIL);
		assert_int_equal(j.arc.temporary, !changed);    /* set 1 fails for another reason then */
		judge_end(&j);
		zone_free(zone);
	}
	buf_free(&message);
}

static void
only_some_older_signatures_are_looked_at(void **state)
{
	struct zone *zone = hop_zone(ARC_OLDER + 3, "");
	struct buf message = hops_message(MESSAGE, ARC_OLDER + 3);
	struct judged j;

	(void)state;
	hops_judge(&j, buf_slice(&message), zone);
	assert_int_equal(j.arc.result, ARC_PASS);
	assert_int_equal(j.arc.oldest_pass, 3);
	assert_int_equal(j.arc.sets[1]->ams.state, SIGNATURE_OPEN);
	assert_int_equal(j.arc.sets[2]->ams.state, SIGNATURE_GOOD);
	assert_int_equal(j.arc.sets[1]->seal.state, SIGNATURE_GOOD);
	judge_end(&j);
	buf_free(&message);
	zone_free(zone);
}

/* --- trust ------------------------------------------------------------------------------ */

static const struct {
	const char *patterns[3];
	bool        broken;             /* the chain */
	unsigned    trusted, believed;  /* how many sets; which instance */
} trusts[] = {
	{ { NULL }, false, 0, 0 },                                      /* the list is empty by default */
	{ { "hop3.example" }, false, 1, 3 },
	{ { "hop3.example", "hop2.example" }, false, 2, 2 },
	{ { ".example" }, false, 3, 1 },
	{ { "hop2.example", "hop1.example" }, false, 0, 0 },            /* the run begins at the last hop */
	{ { "hop3.example", "hop1.example" }, false, 1, 3 },            /* and is not broken */
	{ { "example" }, false, 0, 0 },
	{ { ".hop3.example" }, false, 0, 0 },
	{ { ".example" }, true, 3, 0 },                                 /* trusted, but the chain is not valid */
	{ { NULL }, true, 0, 0 },
};

static struct trust *
trust_in(struct slice *patterns, size_t n)
{
	struct arc_conf conf = { .trust = patterns, .trust_count = n };

	return trust_new(&conf, NULL, NULL);
}

static void
trust_is_a_run_from_the_last_hop_back(void **state)
{
	struct zone *zone = hop_zone(3, "");

	(void)state;
	for (size_t i = 0; i < COUNT(trusts); i++) {
		struct buf message = hops_message(MESSAGE, 3);
		struct slice patterns[3];
		struct trust *trust;
		struct arc_trust t;
		struct judged j;
		size_t n = 0;

		for (; n < 3 && trusts[i].patterns[n] != NULL; n++)
			patterns[n] = slice(trusts[i].patterns[n]);
		if (trusts[i].broken)
			hops_replace(&message, "there.", "here.");
		hops_judge(&j, buf_slice(&message), zone);
		trust = trust_in(patterns, n);
		t = arc_trust(&j.arc, trust);
		assert_case(t.valid == !trusts[i].broken, i, "valid");
		assert_case(t.trusted == trusts[i].trusted, i, "trusted");
		assert_case((t.believed ? t.believed->instance : 0) == trusts[i].believed, i, "believed");
		assert_case((t.untrusting != NULL) == t.valid, i, "untrusting");
		if (t.valid)
			assert_slice(t.untrusting->results,
			    "mx.hop1.example; arc=none;\r\n dmarc=pass header.from=a.example");
		judge_end(&j);
		trust_free(trust);
		buf_free(&message);
	}
	zone_free(zone);
}

static void
no_chain_and_a_broken_one_are_trusted_by_nobody(void **state)
{
	static const char *const fields[] = { "From: a\r\n", AS(1, none), SET(3, pass) };
	struct slice all = S(".example");
	struct trust *trust = trust_in(&all, 1);

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct arc_trust t;
		struct judged j;

		begin(&j, slice(fields[i]));
		t = arc_trust(&j.arc, trust);
		assert_false(t.valid);
		assert_null(t.believed);
		assert_null(t.untrusting);
		judge_end(&j);
	}
	trust_free(trust);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_structure_is_checked_first),
		cmocka_unit_test(there_is_an_end_to_sets),
		cmocka_unit_test(a_flood_of_fields_is_cut_off),
		cmocka_unit_test(a_full_arena_is_an_outcome),
		cmocka_unit_test(an_aar_tells_its_results),
		cmocka_unit_test(honest_chains_pass),
		cmocka_unit_test(each_change_is_found_where_it_was_made),
		cmocka_unit_test(key_failures_are_no_signature_failures),
		cmocka_unit_test(a_failure_for_want_of_an_answer_is_marked),
		cmocka_unit_test(only_some_older_signatures_are_looked_at),
		cmocka_unit_test(trust_is_a_run_from_the_last_hop_back),
		cmocka_unit_test(no_chain_and_a_broken_one_are_trusted_by_nobody),
	};

	return cmocka_run_group_tests(tests, hops_setup, hops_teardown);
}
