/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "dns/wire.h"
#include "dns/zone.h"
#include "unit.h"

static struct arena *arena;
static struct facts facts;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(1 << 20);
	facts_begin(&facts, arena);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void
unknown_facts_are_noted_once(void **state)
{
	struct fact *f;

	(void)state;
	assert_null(fact(&facts, S("a.test"), RR_TXT));
	assert_null(fact(&facts, S("A.TEST"), RR_TXT));
	assert_null(fact(&facts, S("a.test"), RR_A));
	assert_true(facts_pending(&facts));
	assert_non_null(f = facts_next_wanted(&facts));
	assert_slice(f->name, "a.test");
	fact_known(&facts, f, ANSWER_NODATA, "");
	assert_non_null(fact(&facts, S("a.test"), RR_TXT));
	facts_expire(&facts);
	assert_false(facts_pending(&facts));
	assert_int_equal(fact(&facts, S("a.test"), RR_A)->answer, ANSWER_BROKEN);
	assert_null(facts_next_wanted(&facts));
}

static void
there_is_an_end_to_questions(void **state)
{
	char name[20];

	(void)state;
	for (int i = 0; i < FACTS_MOST; i++) {
		snprintf(name, sizeof name, "n%d.test", i);
		assert_null(fact(&facts, slice(name), RR_A));
	}
	assert_int_equal(fact(&facts, S("more.test"), RR_A)->answer, ANSWER_BROKEN);
}

/* Of the same facts, as two evaluators ask for them. */
static void
each_part_has_its_own_questions(void **state)
{
	struct fact *f;

	(void)state;
	assert_true(facts_turn(&facts, 1, 1));
	assert_null(fact(&facts, S("a.test"), RR_A));
	assert_int_equal(fact(&facts, S("b.test"), RR_A)->answer, ANSWER_BROKEN);       /* one too many */
	assert_true(facts_turn(&facts, 2, 2));
	assert_null(fact(&facts, S("a.test"), RR_A));   /* noted already: it costs nothing */
	assert_null(fact(&facts, S("b.test"), RR_A));
	fact_ahead(&facts, S("c.test"), RR_A);
	assert_false(facts_turn(&facts, 1, 1));
	assert_false(facts_turn(&facts, 2, 2));
	assert_non_null(f = facts_next_wanted(&facts));
	fact_known(&facts, f, ANSWER_NODATA, "");       /* both wait for it */
	assert_true(facts_turn(&facts, 1, 1));
	assert_true(facts_turn(&facts, 2, 2));
	assert_false(facts_turn(&facts, 2, 2));
	assert_non_null(f = facts_next_wanted(&facts));
	fact_known(&facts, f, ANSWER_NODATA, "");       /* b.test: one of them does */
	assert_false(facts_turn(&facts, 1, 1));
	assert_true(facts_turn(&facts, 2, 2));
	assert_non_null(f = facts_next_wanted(&facts));
	fact_known(&facts, f, ANSWER_NODATA, "");       /* c.test: nobody does yet */
	assert_false(facts_turn(&facts, 2, 2));
}

static void
what_is_no_name_does_not_exist(void **state)
{
	static const char *const bad[] = { "", "a..b", ".a", "a.",
	    "0123456789012345678901234567890123456789012345678901234567890123.test" };

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		const struct fact *f = fact(&facts, slice(bad[i]), RR_A);

		assert_case(f != NULL && f->answer == ANSWER_NXDOMAIN, i, bad[i]);
	}
}

static const char ZONE[] =
    "; a comment\n"
    "Example.test.   TXT  \"v=spf1 \" \"-all\"   ; joined\n"
    "example.test    TXT  \"second \\\"quoted\\\" \\065\"\n"
    "example.test.   300 IN MX  10 mx.example.test.\n"
    "null.test.      MX   0 .\n"
    "mx.example.test. A   192.0.2.1\n"
    "mx.example.test. AAAA 2001:db8::1\n"
    "alias.test.     CNAME mx.example.test.\n"
    "loop.test.      CNAME loop.test.\n"
    "_25._tcp.mx.example.test. TLSA 3 1 1 00ff aa\n"
    "slow.test.      TXT  !timeout\n"
    "bad.test.       TXT  !bogus\n"
    "fail.test.      A    !servfail\n"
    "late.test.      A    !timeout \"no answer \\\"in\\\" time; \\010\"  ; in other words\n"
    "mute.test.      A    !timeout \"\"\n"
    "forged.test.    A    !bogus \"no signature by \" \"mute.test\"\n"
    "gone.test.      !nxdomain\n"
    "odd.test.       TXT  !nxdomain\n"
    "odd.test.       A    192.0.2.8\n"
    "x.odd.test.     A    192.0.2.8\n"
    "a.b.deep.test.  A    192.0.2.7\n"
    "*.wild.test.    A    192.0.2.9\n"
    "@secure         example.test.\n";

static const struct {
	const char   *name;
	uint16_t      type;
	enum answer   answer;
	enum security security;
	size_t        count;
	const char   *first;            /* of the data, when it is text */
} zone_cases[] = {
	{ "example.test", RR_TXT, ANSWER_FOUND, DNS_SECURE, 2, "v=spf1 -all" },
	{ "example.test", RR_MX, ANSWER_FOUND, DNS_SECURE, 1, "mx.example.test" },
	{ "example.test", RR_A, ANSWER_NODATA, DNS_SECURE, 0, NULL },
	{ "no.example.test", RR_A, ANSWER_NXDOMAIN, DNS_SECURE, 0, NULL },
	{ "null.test", RR_MX, ANSWER_FOUND, DNS_INSECURE, 1, "" },
	{ "alias.test", RR_A, ANSWER_FOUND, DNS_INSECURE, 1, NULL },
	{ "alias.test", RR_CNAME, ANSWER_FOUND, DNS_INSECURE, 1, "mx.example.test" },
	{ "loop.test", RR_A, ANSWER_BROKEN, DNS_INSECURE, 0, NULL },
	{ "slow.test", RR_TXT, ANSWER_BROKEN, DNS_INSECURE, 0, NULL },
	{ "slow.test", RR_A, ANSWER_NODATA, DNS_INSECURE, 0, NULL },
	{ "bad.test", RR_TXT, ANSWER_BROKEN, DNS_BOGUS, 0, NULL },
	{ "fail.test", RR_A, ANSWER_BROKEN, DNS_INSECURE, 0, NULL },
	{ "late.test", RR_A, ANSWER_BROKEN, DNS_INSECURE, 0, NULL },
	{ "mute.test", RR_A, ANSWER_BROKEN, DNS_INSECURE, 0, NULL },
	{ "forged.test", RR_A, ANSWER_BROKEN, DNS_BOGUS, 0, NULL },
	{ "gone.test", RR_A, ANSWER_NXDOMAIN, DNS_INSECURE, 0, NULL },
	{ "odd.test", RR_TXT, ANSWER_NXDOMAIN, DNS_INSECURE, 0, NULL },
	{ "odd.test", RR_A, ANSWER_FOUND, DNS_INSECURE, 1, NULL },
	{ "odd.test", RR_AAAA, ANSWER_NODATA, DNS_INSECURE, 0, NULL },
	{ "x.odd.test", RR_A, ANSWER_FOUND, DNS_INSECURE, 1, NULL },
	{ "b.deep.test", RR_A, ANSWER_NODATA, DNS_INSECURE, 0, NULL },    /* empty non-terminal */
	{ "x.wild.test", RR_A, ANSWER_FOUND, DNS_INSECURE, 1, NULL },
	{ "x.y.wild.test", RR_A, ANSWER_FOUND, DNS_INSECURE, 1, NULL },
};

static void
a_text_answers_like_the_dns(void **state)
{
	struct error why = { 0 };
	struct zone *z = zone_parse(slice(ZONE), "zone", &why);

	(void)state;
	assert_non_null(z);
	for (size_t i = 0; i < COUNT(zone_cases); i++) {
		const struct fact *f;

		fact(&facts, slice(zone_cases[i].name), zone_cases[i].type);
		zone_answer_all(z, &facts);
		f = fact(&facts, slice(zone_cases[i].name), zone_cases[i].type);
		assert_non_null(f);
		assert_case(f->answer == zone_cases[i].answer, i, zone_cases[i].name);
		assert_case(f->security == zone_cases[i].security, i, zone_cases[i].name);
		assert_case(f->count == zone_cases[i].count, i, zone_cases[i].name);
		if (zone_cases[i].first != NULL)
			assert_slice(f->records[0].data, zone_cases[i].first);
	}
	assert_slice(fact(&facts, S("slow.test"), RR_TXT)->why, "timeout");
	assert_slice(fact(&facts, S("late.test"), RR_A)->why, "no answer \"in\" time; \n");
	assert_slice(fact(&facts, S("mute.test"), RR_A)->why, "");
	assert_slice(fact(&facts, S("forged.test"), RR_A)->why, "no signature by mute.test");
	assert_slice(fact(&facts, S("alias.test"), RR_A)->canonical, "mx.example.test");
	assert_slice(fact(&facts, S("example.test"), RR_TXT)->records[1].data, "second \"quoted\" A");
	zone_free(z);
}

static void
a_bad_line_is_named(void **state)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "a.test. TXT \"x\"\nb.test. BOX x\n", "z:2: \"BOX\" is not a record type" },
		{ "a.test. A 1.2.3\n", "z:1: this is not the data of a A record" },
		{ "a.test.\n", "z:1: a line is NAME TYPE DATA" },
		{ "a.test. TXT \"open\n", "z:1:" },
		{ "a.test. TXT !timeout \"open\n", "z:1: this is no reason in quotes" },
		{ "a..test. A 1.2.3.4\n", "z:1: \"a..test\" is not a domain name" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct error why = { 0 };

		assert_null(zone_parse(slice(bad[i].text), "z", &why));
		assert_case(strstr(why.text, bad[i].why) != NULL, i, why.text);
	}
}

static void
recorded_facts_can_be_replayed(void **state)
{
	struct zone *z = zone_parse(slice(ZONE), "zone", NULL), *again;
	struct facts second;
	struct buf text = BUF(100000);

	(void)state;
	for (size_t i = 0; i < COUNT(zone_cases); i++)
		fact(&facts, slice(zone_cases[i].name), zone_cases[i].type);
	zone_answer_all(z, &facts);
	facts_to_text(&facts, &text);
	again = zone_parse(buf_slice(&text), "again", NULL);
	assert_non_null(again);
	facts_begin(&second, arena);
	for (size_t i = 0; i < COUNT(zone_cases); i++) {
		const struct fact *f;

		fact(&second, slice(zone_cases[i].name), zone_cases[i].type);
		zone_answer_all(again, &second);
		f = fact(&second, slice(zone_cases[i].name), zone_cases[i].type);
		assert_case(f->answer == zone_cases[i].answer, i, zone_cases[i].name);
		assert_case(f->count == zone_cases[i].count, i, zone_cases[i].name);
		assert_case(slice_eq(f->why, fact(&facts, slice(zone_cases[i].name), zone_cases[i].type)->why), i,
		    zone_cases[i].name);
	}
	buf_free(&text);
	zone_free(z);
	zone_free(again);
}

/* What was secure stays so, what was not stays that, and odd names stay what they are. */
static void
a_record_of_a_case_is_the_case(void **state)
{
	static const char world[] =
	    "@secure a.test\n@secure b.test\n@insecure sub.a.test\n"
	    "a.test MX 10 mx.sub.a.test\nmx.sub.a.test A 192.0.2.1\n"
	    "_25._tcp.a.test TLSA \\# 2 0301\n"
	    "alias.a.test CNAME x.b.test\nx.b.test A 192.0.2.2\n"
	    "half.a.test CNAME y.c.test\ny.c.test A 192.0.2.3\n"
	    "far.a.test CNAME far.b.test\nfar.b.test CNAME x.b.test\n"
	    "dead.a.test CNAME gone.b.test\nbare.a.test CNAME mx.sub.a.test\n"
	    "a\\032b\\000\\059.a.test TXT \"odd\"\n@secure.a.test MX 10 \\059.a.test\n";
	static const struct {
		struct slice  name;
		uint16_t      type;
		enum security security;
		enum answer   answer;
	} asked[] = {
		{ S_INIT("far.a.test"), RR_CNAME, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("far.a.test"), RR_A, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("dead.a.test"), RR_A, DNS_SECURE, ANSWER_NXDOMAIN },
		{ S_INIT("dead.a.test"), RR_CNAME, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("bare.a.test"), RR_AAAA, DNS_INSECURE, ANSWER_NODATA },
		{ S_INIT("bare.a.test"), RR_A, DNS_INSECURE, ANSWER_FOUND },
		{ S_INIT("a.test"), RR_MX, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("mx.sub.a.test"), RR_A, DNS_INSECURE, ANSWER_FOUND },
		{ S_INIT("_25._tcp.a.test"), RR_TLSA, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("alias.a.test"), RR_A, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("half.a.test"), RR_A, DNS_INSECURE, ANSWER_FOUND },
		{ S_INIT("half.a.test"), RR_CNAME, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("a\\032b\\000\\059.a.test"), RR_TXT, DNS_SECURE, ANSWER_FOUND },
		{ S_INIT("@secure.a.test"), RR_MX, DNS_SECURE, ANSWER_FOUND },
	};
	struct zone *zone = zone_parse(slice(world), "world", NULL), *again;
	struct buf text = BUF(65536);
	struct facts replayed;

	(void)state;
	assert_non_null(zone);
	for (size_t i = 0; i < COUNT(asked); i++)
		fact(&facts, asked[i].name, asked[i].type);
	zone_answer_all(zone, &facts);
	facts_to_text(&facts, &text);
	assert_non_null(again = zone_parse(buf_slice(&text), "again", NULL));
	facts_begin(&replayed, arena);
	for (size_t i = 0; i < COUNT(asked); i++) {
		const struct fact *f = fact(&facts, asked[i].name, asked[i].type), *g;

		fact(&replayed, asked[i].name, asked[i].type);
		zone_answer_all(again, &replayed);
		g = fact(&replayed, asked[i].name, asked[i].type);
		assert_case(f->answer == asked[i].answer && g->answer == f->answer, i, asked[i].name.p);
		assert_case(f->security == asked[i].security && g->security == f->security, i, asked[i].name.p);
		assert_true(f->count == g->count);
		if (f->count > 0)
			assert_true(slice_eq(g->records[0].data, f->records[0].data));
		assert_true(slice_eq(g->canonical, f->canonical));
	}
	assert_slice(fact(&facts, S("_25._tcp.a.test"), RR_TLSA)->records[0].data, "\3\1");
	buf_free(&text);
	zone_free(zone);
	zone_free(again);
}

/* A header and a question for x.test MX; answers follow. */
#define HEAD(rcode, answers) "\x12\x34\x81" rcode "\0\1\0" answers "\0\0\0\0" \
	"\1x\4test\0\0\x0f\0\1"

static void
answers_from_the_wire(void **state)
{
	static const char mx[] = HEAD("\x80", "\2")
	    "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\7\0\x0a\2MX\xc0\x0c"
	    "\xc0\x0c\0\x0f\0\1\0\0\0\x1e\0\3\0\x14\0";
	static const char alias[] = HEAD("\x80", "\2")
	    "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1y\xc0\x0e"
	    "\1y\xc0\x0e\0\x0f\0\1\0\0\0\x3c\0\5\0\x0a\1z\0";
	const struct fact *f;

	(void)state;
	fact(&facts, S("x.test"), RR_MX);
	wire_read(&facts, facts_next_wanted(&facts), S(mx));
	f = fact(&facts, S("x.test"), RR_MX);
	assert_int_equal(f->answer, ANSWER_FOUND);
	assert_int_equal(f->count, 2);
	assert_int_equal(f->ttl, 30);
	assert_int_equal(f->records[0].preference, 10);
	assert_slice(f->records[0].data, "mx.x.test");
	assert_slice(f->records[1].data, "");

	facts_begin(&facts, arena);
	fact(&facts, S("x.test"), RR_MX);
	wire_read(&facts, facts_next_wanted(&facts), S(alias));
	f = fact(&facts, S("x.test"), RR_MX);
	assert_int_equal(f->answer, ANSWER_FOUND);
	assert_slice(f->canonical, "y.test");
	assert_slice(f->records[0].data, "z");
}

/* 600 of them: what has no place is left out, as it is of an answer from a zone. */
static void
of_a_long_answer_some_records_are_kept(void **state)
{
	static const char head[] = HEAD("\x80", "\0"), address[] = "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1";
	struct buf packet = BUF(1 << 16);
	const struct fact *f;

	(void)state;
	buf_add(&packet, S(head));
	packet.p[6] = 600 >> 8;
	packet.p[7] = 600 & 255;
	for (int i = 0; i < 600; i++)
		buf_add(&packet, S(address));
	fact(&facts, S("x.test"), RR_A);
	wire_read(&facts, facts_next_wanted(&facts), buf_slice(&packet));
	f = fact(&facts, S("x.test"), RR_A);
	assert_int_equal(f->answer, ANSWER_FOUND);
	assert_int_equal(f->count, 512);
	assert_int_equal(f->left_out, 88);
	fact(&facts, S("x.test"), RR_TXT);      /* one may stand behind the 512th */
	wire_read(&facts, facts_next_wanted(&facts), buf_slice(&packet));
	assert_int_equal(fact(&facts, S("x.test"), RR_TXT)->answer, ANSWER_BROKEN);
	buf_free(&packet);
}

static void
records_can_be_shown(void **state)
{
	static const struct { uint16_t type; struct record record; const char *text; } cases[] = {
		{ RR_A, { 0, S_INIT("\xc0\0\2\1") }, "192.0.2.1" },
		{ RR_MX, { 10, S_INIT("mx.test") }, "10 mx.test." },
		{ RR_MX, { 0, S_INIT("") }, "0 ." },
		{ RR_PTR, { 0, S_INIT("a.test") }, "a.test." },
		{ RR_TXT, { 0, S_INIT("") }, "\"\"" },
		{ RR_TXT, { 0, S_INIT("a\\b\"\033[31m\xc3") }, "\"a\\\\b\\\"\\027[31m\\195\"" },
		{ RR_TLSA, { 0, S_INIT("\3\1\1\xab\xcd") }, "3 1 1 abcd" },
	};
	char longer[300], want[310] = "\"";
	struct buf b = BUF(1000);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		buf_clear(&b);
		record_to_text(&b, cases[i].type, &cases[i].record);
		assert_slice(buf_slice(&b), cases[i].text);
	}
	buf_clear(&b);
	memset(longer, 'x', sizeof longer);
	memset(want + 1, 'x', 303);
	memcpy(want + 256, "\" \"", 3);
	want[304] = '"';
	record_to_text(&b, RR_TXT, &(struct record){ 0, slice_of(longer, 300) });
	assert_slice(buf_slice(&b), want);
	buf_free(&b);
}

static void
odd_bytes_of_a_label_are_escaped(void **state)
{
	static const char mx[] = HEAD("\x80", "\1")
	    "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\x0e\0\x0a\x0a;A.b c\\\"\xc3\0\0";
	struct buf text = BUF(1000);
	struct zone *z;
	const struct fact *f;

	(void)state;
	fact(&facts, S("x.test"), RR_MX);
	wire_read(&facts, facts_next_wanted(&facts), S(mx));
	f = fact(&facts, S("x.test"), RR_MX);
	assert_int_equal(f->answer, ANSWER_FOUND);
	assert_slice(f->records[0].data, "\\059a\\046b\\032c\\092\\034\\195\\000");
	fact(&facts, f->records[0].data, RR_A);
	fact_known(&facts, facts_next_wanted(&facts), ANSWER_NODATA, "");
	facts_to_text(&facts, &text);           /* what was recorded can be read again */
	z = zone_parse(buf_slice(&text), "z", NULL);
	assert_non_null(z);
	facts_begin(&facts, arena);
	fact(&facts, S("\\059a\\046b\\032c\\092\\034\\195\\000"), RR_A);
	zone_answer_all(z, &facts);
	assert_int_equal(facts.first->answer, ANSWER_NODATA);
	zone_free(z);
	buf_free(&text);
}

static enum answer
answer_to(struct slice packet)
{
	facts_begin(&facts, arena);
	fact(&facts, S("x.test"), RR_MX);
	wire_read(&facts, facts_next_wanted(&facts), packet);
	return fact(&facts, S("x.test"), RR_MX)->answer;
}

static void
broken_packets_are_broken_answers(void **state)
{
	static const char mx[] = HEAD("\x80", "\1") "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\7\0\x0a\2mx\xc0\x0c";
	static const char loop[] = HEAD("\x80", "\1") "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\4\0\x0a\xc0\x26";

	(void)state;
	assert_int_equal(answer_to(S(mx)), ANSWER_FOUND);
	for (size_t n = 0; n < sizeof mx - 1; n++)
		assert_int_equal(answer_to(slice_of(mx, n)), ANSWER_BROKEN);
	assert_int_equal(answer_to(S(loop)), ANSWER_BROKEN);
	assert_int_equal(answer_to(S(HEAD("\x83", "\0"))), ANSWER_NXDOMAIN);
	assert_int_equal(answer_to(S(HEAD("\x80", "\0"))), ANSWER_NODATA);
	assert_int_equal(answer_to(S(HEAD("\x82", "\0"))), ANSWER_BROKEN);
}

static const struct { uint16_t type; const char *text, *same; } record_cases[] = {
	{ RR_A, "192.0.2.1", "192.0.2.1" },
	{ RR_AAAA, "2001:DB8:0::1", "2001:db8::1" },
	{ RR_MX, "10 MX.example.org.", "10 mx.example.org." },
	{ RR_MX, "0 .", "0 ." },                                /* RFC 7505 3 */
	{ RR_CNAME, "www.example.org", "www.example.org." },
	{ RR_PTR, "mx.example.org.", "mx.example.org." },
	{ RR_TXT, "\"one \" two", "\"one two\"" },
	{ RR_TXT, "\"a\\\"b\\\\\\007\"", "\"a\\\"b\\\\\\007\"" },
	{ RR_TXT, "\"\"", "\"\"" },
	{ RR_TLSA, "3 1 1 AB cd", "3 1 1 abcd" },
	{ RR_A, "192.0.2.256", NULL }, { RR_AAAA, "192.0.2.1", NULL }, { RR_MX, "mx.test.", NULL },
	{ RR_MX, "65536 mx.test.", NULL }, { RR_CNAME, "a..b", NULL }, { RR_TLSA, "3 1 256 ab", NULL },
	{ RR_TLSA, "3 1 1 abc", NULL }, { RR_TXT, "\"open", NULL }, { RR_CNAME, "", NULL },
};

static void
data_of_a_record_as_text_and_back(void **state)
{
	char octets[600];

	(void)state;
	for (size_t i = 0; i < COUNT(record_cases); i++) {
		struct record r;
		struct buf text = BUF(1000);
		bool ok = record_parse(record_cases[i].type, slice(record_cases[i].text), arena, &r);

		assert_case(ok == (record_cases[i].same != NULL), i, record_cases[i].text);
		if (ok) {
			record_to_text(&text, record_cases[i].type, &r);
			assert_slice(buf_slice(&text), record_cases[i].same);
		}
		buf_free(&text);
	}
	for (size_t n = 0; n < sizeof octets; n++)
		octets[n] = (char)n;
	for (size_t n = 253; n < sizeof octets; n += 1) {       /* strings of 255 bytes at most */
		struct record r = { .data = slice_of(octets, n) }, again;
		struct buf text = BUF(10000);

		record_to_text(&text, RR_TXT, &r);
		assert_true(record_parse(RR_TXT, buf_slice(&text), arena, &again));
		assert_true(slice_eq(r.data, again.data));
		buf_free(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unknown_facts_are_noted_once, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_an_end_to_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(each_part_has_its_own_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_name_does_not_exist, setup, teardown),
		cmocka_unit_test_setup_teardown(a_text_answers_like_the_dns, setup, teardown),
		cmocka_unit_test(a_bad_line_is_named),
		cmocka_unit_test_setup_teardown(recorded_facts_can_be_replayed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_record_of_a_case_is_the_case, setup, teardown),
		cmocka_unit_test_setup_teardown(data_of_a_record_as_text_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_from_the_wire, setup, teardown),
		cmocka_unit_test_setup_teardown(of_a_long_answer_some_records_are_kept, setup, teardown),
		cmocka_unit_test(records_can_be_shown),
		cmocka_unit_test_setup_teardown(odd_bytes_of_a_label_are_escaped, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_packets_are_broken_answers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
