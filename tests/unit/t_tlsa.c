/* SPDX-License-Identifier: ISC */
/* TLSA records: which can be used (RFC 7672 3.1, RFC 7671 9) and where they stand (7672 2.2). */
#include <openssl/evp.h>

#include "base/buf.h"
#include "base/text.h"
#include "delivery/tlsa.h"
#include "dns/zone.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(4 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

#define H32 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define H64 H32 H32
/* A P-256 public key, as SubjectPublicKeyInfo. */
#define SPKI "3059301306072a8648ce3d020106082a8648ce3d03010703420004c5a4ffa008eebc0369b974799f9479cb47360544fa" \
	"fc02c4204fb3df31e88a1a4f18c85831e93f985c5b231094541b4316b5cb1c9c0c950886fe1143f39f6109"
/* A certificate with that key. */
#define CERT "3081ec308193a003020102020101300a06082a8648ce3d0403023000301e170d3135313231343030313033345a170d31" \
	"35313231333030313033345a30003059301306072a8648ce3d020106082a8648ce3d03010703420004c5a4ffa008eebc0369b9" \
	"74799f9479cb47360544fafc02c4204fb3df31e88a1a4f18c85831e93f985c5b231094541b4316b5cb1c9c0c950886fe1143f3" \
	"9f6109300a06082a8648ce3d040302034800304502206ae7b7a870df21081e9a9896020aaf8560984875c812b36d671631abc8" \
	"79f872022100b0889ad2b3814ee64bddd5a7f6a98dea43cb435049469cb50a4404cbdeee1fd6"

/* Each record "u s m hex", with "," between; the expected letters: usable, weaker, unusable. */
static const struct { const char *records, *uses; } sets[] = {
	{ "3 1 1 " H32, "u" },                                  /* RFC 7672 3.1.1 */
	{ "3 0 1 " H32, "u" },
	{ "3 1 2 " H64, "u" },
	{ "3 0 2 " H64, "u" },
	{ "2 0 1 " H32, "u" },                                  /* 3.1.2 */
	{ "2 1 1 " H32, "u" },
	{ "2 1 2 " H64, "u" },
	{ "3 1 0 " SPKI, "u" },
	{ "2 1 0 " SPKI, "u" },
	{ "3 0 0 " CERT, "u" },
	{ "2 0 0 " CERT, "u" },
	{ "3 0 0 " SPKI, "-" },                                 /* a key is no certificate … */
	{ "3 1 0 " CERT, "-" },
	{ "3 0 0 " CERT "00", "-" },                            /* … and nothing may stand behind it */
	{ "3 1 0 " SPKI "00", "-" },
	{ "3 1 0 00", "-" },
	{ "3 1 0", "-" },
	{ "0 0 1 " H32, "-" },                                  /* 3.1.3: PKIX-TA, PKIX-EE */
	{ "0 1 1 " H32, "-" },
	{ "1 0 1 " H32, "-" },
	{ "1 1 1 " H32, "-" },
	{ "4 1 1 " H32, "-" },
	{ "255 1 1 " H32, "-" },
	{ "3 2 1 " H32, "-" },                                  /* unknown selector, matching type */
	{ "3 255 1 " H32, "-" },
	{ "3 1 3 " H32, "-" },
	{ "3 1 9 " H32, "-" },
	{ "3 1 255 " H64, "-" },
	{ "3 1 1 ", "-" },                                      /* lengths */
	{ "3 1 1 00", "-" },
	{ "3 1 1 " H32 "00", "-" },
	{ "3 1 1 " H64, "-" },
	{ "3 1 2 " H32, "-" },
	{ "3 1 2 " H64 "00", "-" },
	/* RFC 7671 9: digest agility, per usage and selector; sorted by their bytes */
	{ "3 1 1 " H32 ",3 1 2 " H64, "wu" },
	{ "3 1 2 " H64 ",3 1 1 " H32, "wu" },
	{ "3 0 1 " H32 ",3 1 2 " H64, "uu" },
	{ "2 1 1 " H32 ",3 1 2 " H64, "uu" },
	{ "3 1 0 " SPKI ",3 1 1 " H32 ",3 1 2 " H64, "uwu" },
	{ "3 1 1 " H32 ",3 1 2 " H32, "u-" },                   /* a broken strong one is none */
	{ "1 1 2 " H64 ",3 1 1 " H32, "-u" },
	{ "3 1 1 " H32 ",9 9 9 00", "u-" },                     /* RFC 7671 5: mixed */
	{ "3 1 1 " H32 ",3 1 1 11" H32, "u-" },
	{ "1 1 1 " H32 ",0 0 1 " H32, "--" },
	{ "", "" },
};

/* A fact with these records; rdata is given as it stands, also when it is too short. */
static struct fact
fact_of(struct slice text)
{
	struct fact f = { .state = FACT_KNOWN, .answer = ANSWER_FOUND, .type = RR_TLSA };
	struct slice one;

	f.records = arena_get(arena, 16 * sizeof *f.records);
	while (slice_cut(&text, ',', &one)) {
		struct buf rdata = BUF(4096);
		struct slice word;
		uint64_t number;

		for (int i = 0; i < 3 && slice_word(&one, &word) && slice_number(word, 255, &number); i++)
			buf_byte(&rdata, (char)number);
		while (slice_word(&one, &word))
			assert_true(hex_decode(&rdata, word));
		f.records[f.count++].data = arena_copy(arena, buf_slice(&rdata));
		buf_free(&rdata);
	}
	return f;
}

static void
which_records_can_be_used(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sets); i++) {
		struct fact f = fact_of(slice(sets[i].records));
		struct tlsa_set set;
		char uses[16] = "";
		size_t usable = 0;

		assert_true(tlsa_read(&set, &f, arena));
		for (size_t j = 0; j < set.count; j++) {
			uses[j] = "uw-"[set.records[j].use];
			usable += set.records[j].use == TLSA_USABLE;
		}
		assert_case(strcmp(uses, sets[i].uses) == 0, i, uses);
		assert_int_equal(set.usable, usable);
	}
}

/* Postfix 20260524: TLSA of length 0 to 3 crashed it, and resolvers pass them on. */
static void
every_length_is_survived(void **state)
{
	char bytes[100];

	(void)state;
	memset(bytes, 3, sizeof bytes);
	for (uint8_t matching = 0; matching < 4; matching++)
		for (size_t n = 0; n < sizeof bytes; n++) {
			struct record r = { 0, slice_of(bytes, n) };
			struct fact f = { .count = 1, .records = &r };
			struct tlsa_set set;
			bool good = (matching == 1 && n == 35) || (matching == 2 && n == 67);

			bytes[1] = 1, bytes[2] = (char)matching;
			assert_true(tlsa_read(&set, &f, arena));
			assert_int_equal(set.usable, good);
			assert_true(tlsa_text(&set.records[0], arena).n >= 2 * (n < 3 ? n : n - 3));
		}
}

static void
records_as_reports_show_them(void **state)
{
	struct fact f = fact_of(S("3 1 1 00ffAb,3 0,255 255 255"));
	struct tlsa_set set;

	(void)state;
	assert_true(tlsa_read(&set, &f, arena));
	assert_slice(tlsa_text(&set.records[0], arena), "\\# 2 0300");         /* RFC 3597 5 */
	assert_slice(tlsa_text(&set.records[1], arena), "3 1 1 00FFAB");       /* RFC 8460 4.4 */
	assert_slice(tlsa_text(&set.records[2], arena), "255 255 255 ");
}

static void
a_thousand_records_are_read(void **state)
{
	struct record records[1000];
	struct fact f = { .count = 1000, .records = records };
	struct tlsa_set set;
	char bytes[1000][35];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		memset(bytes[i], i, 35);
		bytes[i][0] = 3, bytes[i][1] = 1, bytes[i][2] = 1;
		bytes[i][3] = (char)(i >> 8);
		records[i] = (struct record){ 0, slice_of(bytes[i], 35) };
	}
	assert_true(tlsa_read(&set, &f, arena));
	assert_int_equal(set.usable, 1000);
}

/* --- where they stand ------------------------------------------------------ */

#define TLSA(name) "_25._tcp." name ". TLSA 3 1 1 " H32 "\n"
#define BAD(name)  "_25._tcp." name ". TLSA 1 1 1 " H32 "\n"

static const struct { const char *zone, *found; } places[] = {
	/* secure, no CNAME */
	{ "@secure .\nmx.test A 192.0.2.1\n" TLSA("mx.test"), "usable at mx.test" },   /* RFC 7672 2.2.2 */
	{ "@secure .\nmx.test A 192.0.2.1\n" BAD("mx.test"), "unusable at mx.test" },
	{ "@secure .\nmx.test A 192.0.2.1\n", "absent: it has no secure TLSA records" },
	{ "@secure .\nmx.test A 192.0.2.1\n_tcp.mx.test SOA .", "absent: it has no secure TLSA records" },
	{ "@secure .\nmx.test A 192.0.2.1\n_25._tcp.mx.test TLSA !servfail",
	  "unknown: the TLSA records of mx.test cannot be looked up: SERVFAIL" },         /* 2.1.2 */
	{ "@secure .\nmx.test A 192.0.2.1\n_25._tcp.mx.test TLSA !bogus",
	  "unknown: the TLSA records of mx.test cannot be looked up: DNSSEC validation failed" },
	{ "@secure .\nmx.test A 192.0.2.1\n_25._tcp.mx.test TLSA !timeout",
	  "unknown: the TLSA records of mx.test cannot be looked up: timeout" },
	/* a CNAME at the TLSA name is followed, while it stays secure */
	{ "@secure .\nmx.test A 192.0.2.1\n_25._tcp.mx.test CNAME dane.test\ndane.test TLSA 3 1 1 " H32,
	  "usable at mx.test" },
	{ "@secure mx.test\nmx.test A 192.0.2.1\n_25._tcp.mx.test CNAME dane.test\ndane.test TLSA 3 1 1 " H32,
	  "absent: it has no secure TLSA records" },
	/* insecure, no CNAME: not even asked */
	{ "mx.test A 192.0.2.1\n_25._tcp.mx.test TLSA !servfail", "absent: its addresses are not signed" },
	{ "@secure _25._tcp.mx.test\nmx.test A 192.0.2.1\n" TLSA("mx.test"),
	  "absent: its addresses are not signed" },
	/* CNAMEs, all secure: the end of the chain first, then the own name, none in between */
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("y.test"), "usable at y.test" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("mx.test"), "usable at mx.test" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("mx.test") TLSA("y.test"),
	  "usable at y.test" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("mx.test") BAD("y.test"),
	  "unusable at y.test" },
	{ "@secure .\nmx.test CNAME y.test\ny.test CNAME z.test\nz.test A 192.0.2.1\n" TLSA("y.test"),
	  "absent: it has no secure TLSA records" },
	{ "@secure .\nmx.test CNAME y.test\ny.test CNAME z.test\nz.test A 192.0.2.1\n" TLSA("y.test") TLSA("z.test"),
	  "usable at z.test" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n", "absent: it has no secure TLSA records" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n_25._tcp.y.test TLSA !bogus\n" TLSA("mx.test"),
	  "unknown: the TLSA records of y.test cannot be looked up: DNSSEC validation failed" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n_25._tcp.mx.test TLSA !servfail",
	  "unknown: the TLSA records of mx.test cannot be looked up: SERVFAIL" },
	{ "@secure .\nmx.test CNAME y.test\ny.test A 192.0.2.1\n_25._tcp.mx.test TLSA !servfail\n" TLSA("y.test"),
	  "usable at y.test" },
	/* CNAMEs that end insecurely: only the own name, and only when the first link is signed */
	{ "@secure mx.test\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("mx.test"), "usable at mx.test" },
	{ "@secure mx.test\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("y.test"),
	  "absent: it has no secure TLSA records" },
	{ "@secure mx.test\nmx.test CNAME y.test\ny.test A 192.0.2.1\n_25._tcp.mx.test TLSA !servfail",
	  "unknown: the TLSA records of mx.test cannot be looked up: SERVFAIL" },
	{ "@secure y.test\nmx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("y.test") TLSA("mx.test"),
	  "absent: its addresses are not signed" },
	{ "mx.test CNAME y.test\ny.test A 192.0.2.1\n" TLSA("y.test"), "absent: its addresses are not signed" },
};

static void
describe(const struct dane *d, struct buf *b)
{
	static const char *const states[] = { "absent", "usable", "unusable", "unknown" };

	buf_printf(b, "%s", states[d->state]);
	if (d->state == DANE_USABLE || d->state == DANE_UNUSABLE)
		buf_printf(b, " at %.*s", FMT(d->base));
	else
		buf_printf(b, ": %.*s", FMT(d->why));
}

static bool
look(struct dane *dane, struct facts *facts)
{
	struct mx_question q = { .domain = S("mx.test"), .fixed = true };
	struct mx mx;

	return mx_hosts(&mx, &q, facts, arena) && mx_addresses(&mx, &q, facts, arena) &&
	    dane_find(dane, &mx.hosts[0], 25, facts, arena);
}

static void
where_records_stand(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct error why;
		struct zone *zone = zone_parse(slice(places[i].zone), "zone", &why);
		struct buf got = BUF(4096);
		struct facts facts;
		struct dane dane;

		assert_non_null(zone);
		facts_begin(&facts, arena);
		while (!look(&dane, &facts))
			zone_answer_all(zone, &facts);
		describe(&dane, &got);
		if (!slice_eq(buf_slice(&got), slice(places[i].found)))
			print_error("case %zu: %s\n", i, places[i].zone);
		assert_slice(buf_slice(&got), places[i].found);
		buf_free(&got);
		zone_free(zone);
	}
}

/* RFC 7672 2.2.2: name servers of unsigned zones must not be bothered with TLSA. */
static void
insecure_hosts_are_not_asked(void **state)
{
	struct zone *zone = zone_parse(S("mx.test A 192.0.2.1\n" TLSA("mx.test")), "zone", NULL);
	struct facts facts;
	struct dane dane;

	(void)state;
	facts_begin(&facts, arena);
	while (!look(&dane, &facts))
		zone_answer_all(zone, &facts);
	for (const struct fact *f = facts.first; f != NULL; f = f->next)
		assert_int_not_equal(f->type, RR_TLSA);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(which_records_can_be_used, setup, teardown),
		cmocka_unit_test_setup_teardown(every_length_is_survived, setup, teardown),
		cmocka_unit_test_setup_teardown(records_as_reports_show_them, setup, teardown),
		cmocka_unit_test_setup_teardown(a_thousand_records_are_read, setup, teardown),
		cmocka_unit_test_setup_teardown(where_records_stand, setup, teardown),
		cmocka_unit_test_setup_teardown(insecure_hosts_are_not_asked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
