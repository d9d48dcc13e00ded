/* SPDX-License-Identifier: ISC */
#include "arc/forecast.h"
#include "dns/zone.h"
#include "unit.h"

/* We are mx.us.test with 192.0.2.1 and 2001:db8::1; us.test is ours. */
static const char ZONE[] =
    "mx.us.test. A 192.0.2.1\nmx.us.test. AAAA 2001:db8::1\n"
    "us.test. TXT \"v=spf1 a:mx.us.test -all\"\n"
    "_dmarc.us.test. TXT \"v=DMARC1; p=reject\"\n"
    "strict.test. TXT \"v=spf1 ip4:203.0.113.1 -all\"\n_dmarc.strict.test. TXT \"v=DMARC1; p=reject\"\n"
    "soft.test. TXT \"v=spf1 ip4:203.0.113.1 ~all\"\n_dmarc.soft.test. TXT \"v=DMARC1; p=quarantine\"\n"
    "open.test. TXT \"v=spf1 ?all\"\n_dmarc.open.test. TXT \"v=DMARC1; p=none\"\n"
    "names.test. TXT \"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all\"\n"
    "_dmarc.names.test. TXT \"v=DMARC1; p=reject\"\n"
    "half.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"        /* knows our IPv4 address only */
    "wrong.test. TXT \"v=spf1 ip4:nonsense -all\"\nslow.test. TXT !timeout\n"
    "silent.test. A 192.0.2.9\n"
    "test.us.test. TXT \"v=spf1 -all\"\n";

static struct zone *zone;
static struct arena *arena;

static int
setup(void **state)
{
	struct error why = { 0 };

	(void)state;
	arena = arena_new(8 << 20);
	zone = zone_parse(slice(ZONE), "zone", &why);
	return zone == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	zone_free(zone);
	arena_free(arena);
	return 0;
}

static struct address
address(const char *text)
{
	struct address a = { .text = NONE };

	if (*text != '\0')
		assert_true(address_parse(slice(text), arena, &a));
	return a;
}

/* --- SPF --------------------------------------------------------------------------- */

static const struct { const char *hostname, *sender; enum spf_result result; bool hurts; } senders[] = {
	{ "mx.us.test", "a@us.test", SPF_PASS, false },
	{ "mx.us.test", "a@names.test", SPF_PASS, false },
	{ "mx.us.test", "a@half.test", SPF_FAIL, true },        /* the worst of our addresses */
	{ "mx.us.test", "a@strict.test", SPF_FAIL, true },
	{ "mx.us.test", "a@soft.test", SPF_SOFTFAIL, true },
	{ "mx.us.test", "a@wrong.test", SPF_PERMERROR, true },
	{ "mx.us.test", "a@open.test", SPF_NEUTRAL, false },
	{ "mx.us.test", "a@silent.test", SPF_NONE, false },
	{ "mx.us.test", "a@slow.test", SPF_TEMPERROR, false },
	/* a host name without an address: nobody names what stands for it */
	{ "no.us.test", "a@strict.test", SPF_FAIL, true },
	{ "no.us.test", "a@names.test", SPF_FAIL, true },
	{ "no.us.test", "a@silent.test", SPF_NONE, false },
	{ "no.us.test", "a@open.test", SPF_NEUTRAL, false },
};

static void
spf_is_that_of_our_worst_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		struct address sender = address(senders[i].sender);
		struct forecast_spf got = { 0 };
		struct facts facts;

		facts_begin(&facts, arena);
		while (!forecast_spf(&got, slice(senders[i].hostname), &sender, 0, &facts))
			zone_answer_all(zone, &facts);
		assert_case(got.worst == senders[i].result, i, senders[i].sender);
		assert_case(forecast_spf_hurts(got.worst) == senders[i].hurts, i, senders[i].sender);
	}
}

/* What a forecast of so many names spends, when all answers come at once or one by one. */
static size_t
spent(bool at_once)
{
	struct address sender = address("a@long.test");
	struct arena *of_this = arena_new(8 << 20);
	struct forecast_spf got = { 0 };
	struct buf text = BUF(1 << 12);
	struct zone *world;
	struct facts facts;
	struct fact *f;
	size_t n;

	buf_add(&text, S("mx.us.test. A 192.0.2.1\nlong.test. TXT \"v=spf1 mx mx:b.test mx:c.test ~all\"\n"));
	for (int i = 0; i < 10; i++)
		buf_printf(&text, "long.test. MX 1 a%d.test.\nb.test. MX 1 b%d.test.\nc.test. MX 1 c%d.test.\n"
		    "a%d.test. A 192.0.2.9\nb%d.test. A 192.0.2.9\nc%d.test. A 192.0.2.9\n", i, i, i, i, i, i);
	world = zone_parse(buf_slice(&text), "world", NULL);
	assert_non_null(world);
	facts_begin(&facts, of_this);
	while (!forecast_spf(&got, S("mx.us.test"), &sender, 0, &facts))
		while ((f = facts_next_wanted(&facts)) != NULL) {
			zone_answer(world, &facts, f);
			if (!at_once)
				break;
		}
	assert_int_equal(got.worst, SPF_SOFTFAIL);
	n = arena_spent(of_this);
	zone_free(world);
	arena_free(of_this);
	buf_free(&text);
	return n;
}

static void
what_has_been_read_is_not_read_again(void **state)
{
	(void)state;
	assert_true(spent(false) < spent(true) + 1000);
}

/* --- the whole ----------------------------------------------------------------------- */

enum { PLAIN = 0, LIST = 1, CHANGED = 2, FROM = 4, NO_SRS = 8, OURS = 16 };

static const struct {
	const char *sender, *author;
	unsigned    how;
	/* what the next hop finds */
	bool        rewritten;
	enum spf_result spf;
	const char *leaving_author;
	enum dmarc_result dmarc, unsigned_;
	bool        seal;
} cases[] = {
	/* forwards */
	{ "a@strict.test", "strict.test", PLAIN, true, SPF_PASS, "strict.test", DMARC_PASS, DMARC_FAIL, true },
	{ "a@strict.test", "strict.test", NO_SRS, false, SPF_FAIL, "strict.test", DMARC_PASS, DMARC_FAIL, true },
	{ "a@soft.test", "soft.test", PLAIN, true, SPF_PASS, "soft.test", DMARC_PASS, DMARC_FAIL, true },
	{ "a@names.test", "names.test", PLAIN, false, SPF_PASS, "names.test", DMARC_PASS, DMARC_PASS, false },
	{ "a@silent.test", "silent.test", PLAIN, false, SPF_NONE, "silent.test", DMARC_NONE, DMARC_NONE, false },
	{ "a@us.test", "us.test", OURS, false, SPF_PASS, "us.test", DMARC_PASS, DMARC_PASS, false },
	{ "a@open.test", "strict.test", PLAIN, false, SPF_NEUTRAL, "strict.test", DMARC_PASS, DMARC_FAIL, true },
	{ "a@strict.test", "", PLAIN, true, SPF_PASS, "", DMARC_PERMERROR, DMARC_PERMERROR, false },
	/* lists that change nothing */
	{ "a@strict.test", "strict.test", LIST, true, SPF_PASS, "strict.test", DMARC_PASS, DMARC_FAIL, true },
	{ "a@strict.test", "strict.test", LIST | FROM, true, SPF_PASS, "strict.test", DMARC_PASS, DMARC_FAIL, true },
	/* lists that do */
	{ "a@strict.test", "strict.test", LIST | CHANGED, true, SPF_PASS, "strict.test", DMARC_FAIL, DMARC_FAIL, true },
	{ "a@strict.test", "strict.test", LIST | CHANGED | FROM, true, SPF_PASS, "us.test", DMARC_PASS, DMARC_PASS, false },
	{ "a@open.test", "open.test", LIST | CHANGED | FROM, true, SPF_PASS, "open.test", DMARC_FAIL, DMARC_FAIL, true },
	{ "a@us.test", "us.test", LIST | CHANGED | FROM | OURS, true, SPF_PASS, "us.test", DMARC_PASS, DMARC_PASS, false },
};

static void
the_next_hop_finds_what_is_left(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned how = cases[i].how;
		struct forecast_question q = { .hostname = S("mx.us.test"), .own = S("us.test"),
		    .sender = address(cases[i].sender), .sender_is_ours = how & OURS,
		    .author = slice(cases[i].author), .passage = how & LIST ? PASSAGE_LIST : PASSAGE_FORWARD,
		    .srs = !(how & NO_SRS), .changed = how & CHANGED, .rewrites_from = how & FROM };
		struct forecast f = { 0 };
		struct facts facts;
		int rounds = 0;

		facts_begin(&facts, arena);
		for (; !forecast_evaluate(&f, &q, &facts); rounds++)
			zone_answer_all(zone, &facts);
		assert_case(rounds <= 4, i, cases[i].sender);
		assert_case(f.rewritten == cases[i].rewritten && f.spf == cases[i].spf, i, cases[i].sender);
		assert_slice(f.author, cases[i].leaving_author);
		assert_case(f.dmarc == cases[i].dmarc, i, dmarc_result_name(f.dmarc));
		assert_case(f.unsigned_ == cases[i].unsigned_, i, dmarc_result_name(f.unsigned_));
		assert_case(f.seal == cases[i].seal, i, f.why);
		assert_non_null(f.why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spf_is_that_of_our_worst_address),
		cmocka_unit_test(what_has_been_read_is_not_read_again),
		cmocka_unit_test(the_next_hop_finds_what_is_left),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
