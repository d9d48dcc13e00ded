/* SPDX-License-Identifier: ISC */
/*
 * Whoever brings a message can drive every part of its verdict to its limit at once.
 * What is found out about the author must not become uncertain by it, and answers
 * that come one by one must not make anybody work who does not wait for them.
 */
#include "arc/verdict.h"
#include "base/text.h"
#include "dns/zone.h"
#include "unit.h"

enum {
	MEMORY = 8 << 20,               /* smtpd/intake.h, INTAKE_ARENA */
	TAKEN = 2 << 20,                /* with 71 keys of 38 KiB: 8 of each are kept */
};

#define NOW INT64_C(1795311000000)

/* --- a world in which everything is as long as it may be ----------------------------- */

/* Ten terms with ten hosts each, and an explanation with the client's names in it. */
static void
add_wide_spf(struct buf *to, const char *domain)
{
	buf_printf(to, "%s. TXT \"v=spf1", domain);
	for (int i = 0; i < 10; i++)
		buf_printf(to, " mx:m%d.%s", i, domain);
	buf_printf(to, " -all exp=e.%s\"\ne.%s. TXT \"not %%{p}\"\n", domain, domain);
	for (int i = 0; i < 10; i++)
		for (int j = 0; j < 10; j++)
			buf_printf(to, "m%d.%s. MX 10 h%d-%d.%s.\nh%d-%d.%s. A 192.0.2.77\n", i, domain, i, j,
			    domain, i, j, domain);
}

static struct zone *
wide_world(void)
{
	struct buf text = BUF(1 << 20);
	struct error why = { 0 };
	struct zone *zone;

	add_wide_spf(&text, "e1.evil.test");
	add_wide_spf(&text, "e2.evil.test");
	add_wide_spf(&text, "wide.test");
	buf_add(&text, S("_dmarc.wide.test. TXT \"v=DMARC1; p=reject\"\n"
	    "_dmarc.bank.test. TXT \"v=DMARC1; p=reject; sp=none; np=reject\"\n"
	    "bank.test. TXT \"v=spf1 include:i.bank.test include:j.bank.test -all\"\n"
	    "i.bank.test. TXT \"v=spf1 a mx:k.bank.test -all\"\nj.bank.test. TXT \"v=spf1 a include:k.bank.test -all\"\n"
	    "k.bank.test. TXT \"v=spf1 a -all\"\nk.bank.test. MX 10 j.bank.test.\n"
	    "i.bank.test. A 192.0.2.1\nj.bank.test. A 192.0.2.1\nk.bank.test. A 192.0.2.1\n"));
	for (int i = 0; i < 10; i++)
		buf_printf(&text, "7.2.0.192.in-addr.arpa. PTR p%d.evil.test.\np%d.evil.test. A 192.0.2.8\n", i, i);
	for (int i = 0; i < 6; i++) {           /* key records that need not all be kept */
		buf_add(&text, S("*._domainkey.evil.test. TXT"));
		for (int k = 0; k < 32; k++)
			buf_printf(&text, " \"n=%d%0200d\"", i, k);
		buf_add(&text, S("\n"));
	}
	zone = zone_parse(buf_slice(&text), "wide", &why);
	assert_non_null(zone);
	buf_free(&text);
	return zone;
}

#define HASH "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
#define SIGNED "bh=" HASH "; b=AAAA\r\n"

/* 50 sets and ten signatures of nobody: each has a key of its own. */
static void
add_signatures(struct buf *to, const char *signer)
{
	for (int i = 50; i >= 1; i--)
		buf_printf(to, "ARC-Seal: i=%d; a=rsa-sha256; cv=%s; d=evil.test; s=s%d; b=AAAA\r\n"
		    "ARC-Message-Signature: i=%d; a=rsa-sha256; d=evil.test; s=m%d; h=from; " SIGNED
		    "ARC-Authentication-Results: i=%d; evil.test; none\r\n", i, i == 1 ? "none" : "pass", i, i, i, i);
	for (int i = 0; i < 10; i++)
		buf_printf(to, "DKIM-Signature: v=1; a=rsa-sha256; d=%s; s=k%d; h=from; " SIGNED, signer, i);
}

/* --- one message --------------------------------------------------------------------- */

struct judged {
	struct arena  *arena;
	struct keys   *keys;
	struct bodies  bodies;
	struct header  header;
	struct facts   facts;
	struct verdict verdict;
	struct verdict_question question;
};

static void
begin(struct judged *j, const struct buf *message, const char *sender, const char *helo)
{
	*j = (struct judged){ .arena = arena_new(MEMORY), .keys = keys_new(16) };
	j->question = (struct verdict_question){ .helo = slice(helo), .hostname = S("mx.here.test"),
	    .sender = { S("ceo"), slice(sender), NONE }, .now = NOW };
	ip_parse(S("192.0.2.7"), &j->question.client);
	facts_begin(&j->facts, j->arena);
	assert_true(header_parse(&j->header, buf_slice(message), j->arena, NULL));
	assert_true(verdict_begin(&j->verdict, &j->header, &j->bodies, j->arena));
	bodies_finish(&j->bodies);
}

static bool
evaluated(struct judged *j)
{
	return verdict_evaluate(&j->verdict, &j->question, &j->bodies, j->keys, &j->facts);
}

static void
end(struct judged *j)
{
	keys_free(j->keys);
	bodies_free(&j->bodies);
	arena_free(j->arena);
}

/* What the author's domain is asked is answered when nothing else is open. */
static void
answer_author_last(const struct zone *zone, struct facts *facts, struct slice author)
{
	struct fact *late[DMARC_QUESTIONS + SPF_QUESTIONS], *f;
	size_t n = 0;
	bool any = false;

	for (f = facts->first; f != NULL; f = f->next)
		if (f->state == FACT_WANTED && slice_endsi(f->name, author) && n < COUNT(late))
			late[n++] = f;
		else if (f->state == FACT_WANTED && (any = true))
			zone_answer(zone, facts, f);
	for (size_t i = 0; !any && i < n; i++)
		zone_answer(zone, facts, late[i]);
}

/* The author, who says so (MAIL FROM, HELO), what SPF must say of the sender. */
static const struct { const char *author, *sender, *helo; enum spf_result spf; } forgeries[] = {
	{ "nobody.bank.test", "e1.evil.test", "e2.evil.test", SPF_FAIL },       /* np= asks whether it exists */
	{ "bank.test", "bank.test", "e2.evil.test", SPF_FAIL },
	{ "wide.test", "wide.test", "e2.evil.test", SPF_FAIL },
	{ "a.b.c.d.e.f.g.h.wide.test", "wide.test", "e1.evil.test", SPF_FAIL },
};

static void
a_flood_of_questions_does_not_make_the_author_uncertain(void **state)
{
	struct zone *zone = wide_world();

	(void)state;
	for (size_t i = 0; i < COUNT(forgeries); i++) {
		struct verdict_terms terms = { .policy = &(struct policy){ 0 } };
		struct buf message = BUF(1 << 20);
		struct judged j;

		add_signatures(&message, "evil.test");
		buf_printf(&message, "From: ceo@%s\r\n", forgeries[i].author);
		begin(&j, &message, forgeries[i].sender, forgeries[i].helo);
		while (!evaluated(&j))
			answer_author_last(zone, &j.facts, slice(forgeries[i].author));
		verdict_decide(&j.verdict, &j.question, &terms);
		assert_true(j.facts.count > FACTS_MOST);
		assert_true(arena_spent(j.arena) < TAKEN);
		assert_case(j.verdict.mail.result == forgeries[i].spf, i, forgeries[i].author);
		assert_case(j.verdict.helo.result == SPF_FAIL, i, forgeries[i].helo);
		assert_int_equal(j.verdict.iprev.result, IPREV_FAIL);
		assert_false(j.verdict.arc.temporary);
		assert_case(j.verdict.dmarc.result == DMARC_FAIL, i, forgeries[i].author);
		assert_int_equal(j.verdict.decision.action, POLICY_REJECT);
		assert_int_equal(j.verdict.decision.status.reply, 550);
		buf_free(&message);
		end(&j);
	}
	zone_free(zone);
}

/* SPF of a long record takes some room each time: nobody does it for a key of somebody's. */
static void
an_answer_wakes_only_who_waits_for_it(void **state)
{
	struct zone *zone = wide_world();
	struct buf message = BUF(1 << 20);
	struct judged j;
	size_t spent, woken = 0;

	(void)state;
	add_signatures(&message, "evil.test");
	buf_add(&message, S("From: ceo@bank.test\r\n"));
	begin(&j, &message, "e1.evil.test", "e2.evil.test");
	assert_false(evaluated(&j));
	for (struct fact *f = j.facts.first; f != NULL; f = f->next)
		if (f->state == FACT_WANTED && slice_find(f->name, '_') < f->name.n) {
			zone_answer(zone, &j.facts, f);
			spent = arena_spent(j.arena);
			assert_false(evaluated(&j));
			woken += arena_spent(j.arena) > spent;
		}
	assert_int_equal(woken, 1);             /* when all keys are there, ARC says why it failed */
	for (struct fact *f = j.facts.first; f != NULL; f = f->next)
		if (f->state == FACT_WANTED && slice_starts(f->name, S("e1."))) {
			zone_answer(zone, &j.facts, f);
			break;
		}
	spent = arena_spent(j.arena);
	assert_false(evaluated(&j));
	assert_true(arena_spent(j.arena) > spent);      /* that one was for SPF */
	buf_free(&message);
	zone_free(zone);
	end(&j);
}

/* HACKING 8 says how many that are. */
static void
a_verdict_can_ask_so_many_questions(void **state)
{
	(void)state;
	assert_int_equal(SPF_QUESTIONS, 123);
	assert_int_equal(IPREV_QUESTIONS + DKIM_QUESTIONS + ARC_QUESTIONS, 11 + 10 + 61);
	assert_int_equal(DMARC_QUESTIONS, 97);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_of_questions_does_not_make_the_author_uncertain),
		cmocka_unit_test(an_answer_wakes_only_who_waits_for_it),
		cmocka_unit_test(a_verdict_can_ask_so_many_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
