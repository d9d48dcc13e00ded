/* SPDX-License-Identifier: ISC */
#include "base/hmac.h"
#include "base/text.h"
#include "base/buf.h"
#include "mail/srs.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const int64_t DAY = 86400000, NOW = 1795311000000;       /* 2026-11-22 */

static const struct slice SECRETS[] = { S_INIT("today's secret"), S_INIT("yesterday's") };
static const struct srs FWD = { S_INIT("fwd.test"), { SECRETS, 1 } };
static const struct srs TWO = { S_INIT("two.test"), { SECRETS + 1, 1 } };
static const struct srs THREE = { S_INIT("three.test"), { SECRETS, 2 } };

static struct address
address(const char *text)
{
	struct slice path = arena_printf(arena, "<%s>", text);
	struct address a;

	assert_int_equal(path_parse(&path, true, arena, &a), PATH_OK);
	return a;
}

/* RFC 4231, cases 1 and 2: what everything here stands on. */
static void
hmac_is_that_of_the_rfc(void **state)
{
	static const struct { struct slice key, text; const char *mac; } cases[] = {
		{ S_INIT("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
		    S_INIT("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
		{ S_INIT("Jefe"), S_INIT("what do ya want for nothing?"),
		    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned char mac[HMAC_BYTES];
		struct buf b = BUF(100);

		hmac_sha256(cases[i].key, cases[i].text, mac);
		hex_add(&b, slice_of(mac, sizeof mac));
		assert_slice(buf_slice(&b), cases[i].mac);
		buf_free(&b);
	}
	assert_true(equal_secretly(S("abc"), S("abc")));
	assert_false(equal_secretly(S("abc"), S("abd")));
	assert_false(equal_secretly(S("abc"), S("ab")));
	assert_true(equal_secretly(NONE, S("")));
}

/* What is written, the hash aside; and it always comes back. */
static const struct { const char *sender; enum srs_result result; const char *head, *tail; } forward_cases[] = {
	{ "a@x.test", SRS_OK, "SRS0=", "=x.test=a@fwd.test" },
	{ "A.b+c@x.test", SRS_OK, "SRS0=", "=x.test=A.b+c@fwd.test" },
	{ "a=b=c@x.test", SRS_OK, "SRS0=", "=x.test=a=b=c@fwd.test" },
	{ "\"a b\"@x.test", SRS_OK, "\"SRS0=", "=x.test=a b\"@fwd.test" },
	{ "\"a@b\"@x.test", SRS_OK, "\"SRS0=", "=x.test=a@b\"@fwd.test" },
	{ "\"\\\"\"@x.test", SRS_OK, "\"SRS0=", "=x.test=\\\"\"@fwd.test" },
	{ "a@[192.0.2.1]", SRS_OK, "\"SRS0=", "=[192.0.2.1]=a\"@fwd.test" },
	{ "\"\"@x.test", SRS_OK, "SRS0=", "=x.test=@fwd.test" },
	{ "\xc3\xa4@x.test", SRS_OK, "SRS0=", "=x.test=\xc3\xa4@fwd.test" },
	{ "list-bounces+u=d.test@x.test", SRS_OK, "SRS0=", "=x.test=list-bounces+u=d.test@fwd.test" },
	/* rewritten elsewhere: the first forwarder is named, what it wrote is kept */
	{ "SRS0=AbC=TT=x.test=a@one.test", SRS_OK, "SRS1=", "=one.test==AbC=TT=x.test=a@fwd.test" },
	{ "SRS0+AbC=TT=x.test=a@one.test", SRS_OK, "SRS1=", "=one.test=+AbC=TT=x.test=a@fwd.test" },
	{ "srs0-AbC=TT=x.test=a@one.test", SRS_OK, "SRS1=", "=one.test=-AbC=TT=x.test=a@fwd.test" },
	{ "SRS1=HASH=one.test==AbC=TT=x.test=a@two.test", SRS_OK, "SRS1=", "=one.test==AbC=TT=x.test=a@fwd.test" },
	{ "SRS1+HASH=one.test=-AbC=TT=x.test=a@two.test", SRS_OK, "SRS1=", "=one.test=-AbC=TT=x.test=a@fwd.test" },
	/* names that only look so */
	{ "srs0-fan@x.test", SRS_OK, "SRS0=", "=x.test=srs0-fan@fwd.test" },
	{ "SRS0=a=b=@x.test", SRS_OK, "SRS0=", "=x.test=SRS0=a=b=@fwd.test" },
	{ "SRS1=a=b=c@x.test", SRS_OK, "SRS0=", "=x.test=SRS1=a=b=c@fwd.test" },
	{ "SRS0xAbC=TT=x.test=a@one.test", SRS_OK, "SRS0=", "=one.test=SRS0xAbC=TT=x.test=a@fwd.test" },
	{ "SRS0@x.test", SRS_OK, "SRS0=", "=x.test=SRS0@fwd.test" },
	/* no need */
	{ "", SRS_NONE, "", "" },
	{ "a@fwd.test", SRS_NONE, "a@", "fwd.test" },
	{ "SRS0=AbC=TT=x.test=a@FWD.test", SRS_NONE, "SRS0=AbC=", "TT=x.test=a@fwd.test" },
	/* 64 octets, quotes counted */
	{ "123456789012345678901234567890123456789012@x.test", SRS_OK, "SRS0=",
	    "=x.test=123456789012345678901234567890123456789012@fwd.test" },
	{ "1234567890123456789012345678901234567890123@x.test", SRS_LONG, "", "" },
	{ "\"123456789012345678901234567890123456789 \"@x.test", SRS_OK, "\"SRS0=",
	    "=x.test=123456789012345678901234567890123456789 \"@fwd.test" },
	{ "\"1234567890123456789012345678901234567890 \"@x.test", SRS_LONG, "", "" },
};

static void
senders_are_rewritten(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(forward_cases); i++) {
		struct address from = address(forward_cases[i].sender), to;
		enum srs_result result = srs_forward(&FWD, &from, NOW, arena, &to);

		assert_case(result == forward_cases[i].result, i, forward_cases[i].sender);
		if (result == SRS_LONG)
			continue;
		assert_case(slice_starts(to.text, slice(forward_cases[i].head)), i, forward_cases[i].sender);
		assert_case(slice_endsi(to.text, slice(forward_cases[i].tail)), i, forward_cases[i].sender);
		assert_true(to.text.n <= 64 + 9);
		if (result == SRS_OK)
			assert_case(srs_is(&to), i, "has the form");
	}
}

/* Made with python's hmac and base64: addresses that are out must stay good when we are updated. */
static void
the_form_is_for_ever(void **state)
{
	struct address from = address("ann@bank.test"), to;

	(void)state;
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
	assert_slice(to.text, "SRS0=XZRAH2=JL=bank.test=ann@fwd.test");
}

static void
check_return(const struct address *sent, int64_t now, enum srs_result want, const char *back)
{
	struct address found;
	enum srs_result result = srs_back(&FWD, sent, now, arena, &found);

	if (result != want)
		print_error("%.*s: %s\n", FMT(sent->text), srs_result_name(result));
	assert_int_equal(result, want);
	if (want == SRS_OK)
		assert_slice(found.text, back);
}

static void
bounces_come_back(void **state)
{
	static const char *const senders[] = {
		"a@x.test", "a=b=c@x.test", "\"a b\"@x.test", "\"a@b\"@x.test", "a@[192.0.2.1]", "\"\"@x.test", "\xc3\xa4@x.test",
		"SRS0=AbC=TT=x.test=a@one.test", "SRS0+AbC=TT=x.test=a@one.test", "srs0-fan@x.test",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		struct address from = address(senders[i]), to, again;

		assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
		again = address(arena_printf(arena, "%.*s", FMT(to.text)).p);
		assert_true(address_eq(&to, &again));           /* as it comes in RCPT TO */
		check_return(&again, NOW, SRS_OK, senders[i]);
		check_return(&again, NOW + SRS_DAYS * DAY, SRS_OK, senders[i]);
	}
}

/* Upper or lower, in whole or in part, by those on the way. */
static void
case_may_be_folded(void **state)
{
	struct address from = address("ann@bank.test"), to, folded;

	(void)state;
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
	folded = address(arena_lower(arena, to.text).p);
	check_return(&folded, NOW, SRS_OK, "ann@bank.test");
	from = address("SRS0=AbC=TT=x.test=a@one.test");
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
	folded = address(arena_lower(arena, to.text).p);
	check_return(&folded, NOW, SRS_OK, "SRS0=abc=tt=x.test=a@one.test");
}

static void
addresses_live_three_weeks(void **state)
{
	struct address from = address("ann@bank.test"), first = address("SRS0=AbC=TT=x.test=a@one.test"), to;

	(void)state;
	for (int64_t now = NOW; now < NOW + 1100 * DAY; now += 150 * DAY) {     /* over the wrap */
		assert_int_equal(srs_forward(&FWD, &from, now, arena, &to), SRS_OK);
		check_return(&to, now - 1, SRS_OK, "ann@bank.test");
		check_return(&to, now - DAY, SRS_OK, "ann@bank.test");  /* another clock */
		check_return(&to, now - 2 * DAY, SRS_EXPIRED, NULL);
		check_return(&to, now + SRS_DAYS * DAY, SRS_OK, "ann@bank.test");
		check_return(&to, now + (SRS_DAYS + 1) * DAY, SRS_EXPIRED, NULL);
		check_return(&to, now + 500 * DAY, SRS_EXPIRED, NULL);
	}
	/* The day of an SRS1 is the first forwarder's business. */
	assert_int_equal(srs_forward(&FWD, &first, NOW, arena, &to), SRS_OK);
	check_return(&to, NOW + 500 * DAY, SRS_OK, "SRS0=AbC=TT=x.test=a@one.test");
}

static void
secrets_are_rotated(void **state)
{
	static const struct slice next[] = { S_INIT("tomorrow's"), S_INIT("today's secret"), S_INIT("yesterday's") };
	struct srs later = { S("fwd.test"), { next, 3 } }, much_later = { S("fwd.test"), { next, 1 } };
	struct address from = address("ann@bank.test"), old, new, found;

	(void)state;
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &old), SRS_OK);
	assert_int_equal(srs_forward(&later, &from, NOW, arena, &new), SRS_OK);
	assert_false(address_eq(&old, &new));                   /* the first one signs */
	assert_int_equal(srs_back(&later, &old, NOW, arena, &found), SRS_OK);
	assert_int_equal(srs_back(&later, &new, NOW, arena, &found), SRS_OK);
	assert_int_equal(srs_back(&much_later, &new, NOW, arena, &found), SRS_OK);
	assert_int_equal(srs_back(&much_later, &old, NOW, arena, &found), SRS_FORGED);
	assert_int_equal(srs_back(&FWD, &new, NOW, arena, &found), SRS_FORGED);
}

/* Nothing of an address can be changed, in either form. */
static void
forgeries(void **state)
{
	static const char *const senders[] = { "ann@bank.test", "SRS0=AbC=TT=x.test=a@one.test" };

	(void)state;
	for (size_t s = 0; s < COUNT(senders); s++) {
		struct address from = address(senders[s]), to;

		assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
		for (size_t i = 5; i < to.local.n; i++) {
			struct slice changed = arena_copy(arena, to.local);
			struct address forged, found;
			enum srs_result result;

			((char *)changed.p)[i] = to_lower(to.local.p[i]) == 'x' ? 'y' : 'x';
			forged = address_make(changed, S("fwd.test"), arena);
			result = srs_back(&FWD, &forged, NOW, arena, &found);
			assert_case(result == SRS_FORGED || result == SRS_MALFORMED, i, forged.text.p);
		}
	}
}

/* The hash of one form is none of the other, nor is that of another forwarder. */
static void
hashes_belong_to_their_form(void **state)
{
	struct address from = address("a@x.test"), to, found, swapped;

	(void)state;
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
	swapped = address_make(arena_printf(arena, "SRS1%.*s", FMT(slice_skip(to.local, 4))), S("fwd.test"), arena);
	assert_int_not_equal(srs_back(&FWD, &swapped, NOW, arena, &found), SRS_OK);
	from = address("SRS0=AbC=TT=x.test=a@one.test");
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &to), SRS_OK);
	swapped = address_make(arena_printf(arena, "SRS0%.*s", FMT(slice_skip(to.local, 4))), S("fwd.test"), arena);
	assert_int_not_equal(srs_back(&FWD, &swapped, NOW, arena, &found), SRS_OK);
	swapped = address_make(to.local, S("two.test"), arena);
	assert_int_equal(srs_back(&TWO, &swapped, NOW, arena, &found), SRS_FORGED);
}

static void
what_is_no_such_address(void **state)
{
	static const struct { const char *recipient; enum srs_result result; } cases[] = {
		{ "ann@fwd.test", SRS_NONE },
		{ "srs0@fwd.test", SRS_NONE },
		{ "SRS0=ABCDEF=TT=x.test=a@other.test", SRS_NONE },
		{ "SRS0=ABCDEF=TT=x.test=a@fwd.test", SRS_FORGED },
		{ "SRS0==TT=x.test=a@fwd.test", SRS_MALFORMED },
		{ "SRS0=ABCDEF=TT=x.test@fwd.test", SRS_MALFORMED },
		{ "SRS0=ABCDEF=TT=x.test=@fwd.test", SRS_FORGED },
		{ "SRS0=ABCDEF=TT==a@fwd.test", SRS_MALFORMED },
		{ "SRS0-x@fwd.test", SRS_MALFORMED },
		{ "SRS1=ABCDEF=one.test==H=TT=x.test=a@fwd.test", SRS_FORGED },
		{ "SRS1=ABCDEF=one.test=x@fwd.test", SRS_MALFORMED },
		{ "SRS1=ABCDEF==one.test@fwd.test", SRS_MALFORMED },
		{ "SRS1=@fwd.test", SRS_NONE },
		{ "SRS1=ABCDEF@fwd.test", SRS_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address to = address(cases[i].recipient), found;

		assert_case(srs_back(&FWD, &to, NOW, arena, &found) == cases[i].result, i, cases[i].recipient);
		assert_true(address_eq(&found, &to));
	}
}

/* Nothing behind the 64 octets that we write is believed. */
static void
what_is_too_long_for_us(void **state)
{
	struct slice local = S("SRS0=ABCDEF=TT=x.test=0123456789012345678901234567890123456789012");
	struct address to = address_make(local, S("fwd.test"), arena), found;

	(void)state;
	assert_int_equal(local.n, 65);
	assert_int_equal(srs_back(&FWD, &to, NOW, arena, &found), SRS_MALFORMED);
	to = address_make(slice_head(local, 64), S("fwd.test"), arena);
	assert_int_equal(srs_back(&FWD, &to, NOW, arena, &found), SRS_FORGED);
}

/* ann -> fwd -> two -> three, and the bounce all the way home. */
static void
three_hops_and_home(void **state)
{
	struct address from = address("ann@bank.test"), a, b, c, back;

	(void)state;
	assert_int_equal(srs_forward(&FWD, &from, NOW, arena, &a), SRS_OK);
	assert_int_equal(srs_forward(&TWO, &a, NOW, arena, &b), SRS_OK);
	assert_int_equal(srs_forward(&THREE, &b, NOW, arena, &c), SRS_OK);
	assert_true(c.local.n == b.local.n);                    /* it grew once */
	assert_int_equal(srs_back(&THREE, &c, NOW, arena, &back), SRS_OK);
	assert_true(address_eq(&back, &a));                     /* the second one is passed over */
	assert_int_equal(srs_back(&FWD, &back, NOW, arena, &back), SRS_OK);
	assert_true(address_eq(&back, &from));
}

static void
a_full_arena_forges_nothing(void **state)
{
	struct address from = address("ann@bank.test"), to, found;
	bool done = false;

	(void)state;
	for (size_t ceiling = 0; ceiling < 400; ceiling++) {
		struct arena *small = arena_new(ceiling);
		enum srs_result result = srs_forward(&FWD, &from, NOW, small, &to);

		assert_true(result == SRS_OK || result == SRS_LONG);
		if (result == SRS_OK) {
			assert_int_equal(srs_back(&FWD, &to, NOW, arena, &found), SRS_OK);
			assert_true(address_eq(&found, &from));
			done = true;
		}
		arena_free(small);
	}
	assert_true(done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hmac_is_that_of_the_rfc),
		cmocka_unit_test_setup_teardown(senders_are_rewritten, setup, teardown),
		cmocka_unit_test_setup_teardown(the_form_is_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(bounces_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(case_may_be_folded, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_live_three_weeks, setup, teardown),
		cmocka_unit_test_setup_teardown(secrets_are_rotated, setup, teardown),
		cmocka_unit_test_setup_teardown(forgeries, setup, teardown),
		cmocka_unit_test_setup_teardown(hashes_belong_to_their_form, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_such_address, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_long_for_us, setup, teardown),
		cmocka_unit_test_setup_teardown(three_hops_and_home, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_arena_forges_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
