/* SPDX-License-Identifier: ISC */
#include "mail/verp.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static struct address
address(const char *text)
{
	struct slice path = arena_printf(arena, "<%s>", text);
	struct address a;

	assert_int_equal(path_parse(&path, true, arena, &a), PATH_OK);
	return a;
}

/* NULL: it does not fit. */
static const struct { const char *member, *sender; } cases[] = {
	{ "user@dom.example", "list-bounces+user=dom.example@list.example" },
	{ "a+b@dom.example", "list-bounces+a+b=dom.example@list.example" },
	{ "a=b@dom.example", "list-bounces+a=b=dom.example@list.example" },
	{ "+=@dom.example", "list-bounces++==dom.example@list.example" },
	{ "\"a@b\"@dom.example", "\"list-bounces+a@b=dom.example\"@list.example" },
	{ "\"a b\"@dom.example", "\"list-bounces+a b=dom.example\"@list.example" },
	{ "\"a\\\"\\\\\"@dom.example", "\"list-bounces+a\\\"\\\\=dom.example\"@list.example" },
	{ "u@[192.0.2.1]", "\"list-bounces+u=[192.0.2.1]\"@list.example" },
	{ "\xc3\xa4@dom.example", "list-bounces+\xc3\xa4=dom.example@list.example" },
	{ "list-bounces+x=y.test@list.example", "list-bounces+list-bounces+x=y.test=list.example@list.example" },
	/* 64 octets of local part, quotes counted */
	{ "123456789012345678901234567890123456789@dom.example",
	    "list-bounces+123456789012345678901234567890123456789=dom.example@list.example" },
	{ "1234567890123456789012345678901234567890@dom.example", NULL },
	{ "\"123456789012345678901234567890123456 \"@dom.example",
	    "\"list-bounces+123456789012345678901234567890123456 =dom.example\"@list.example" },
	{ "\"1234567890123456789012345678901234567 \"@dom.example", NULL },
};

static void
members_go_there_and_back(void **state)
{
	struct address bounces = address("list-bounces@list.example");

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address member = address(cases[i].member), sender, came, found;
		bool fits = verp_make(&bounces, &member, arena, &sender);

		assert_case(fits == (cases[i].sender != NULL), i, cases[i].member);
		if (!fits)
			continue;
		assert_slice(sender.text, cases[i].sender);
		came = address(cases[i].sender);                /* as it comes in RCPT TO */
		assert_true(verp_member(&bounces, &came, arena, &found));
		assert_case(address_eq(&found, &member), i, cases[i].member);
		came = address(arena_lower(arena, slice(cases[i].sender)).p);
		assert_true(verp_member(&bounces, &came, arena, &found));
		assert_true(slice_eqi(found.text, member.text));
	}
}

static void
other_addresses_are_none(void **state)
{
	static const char *const others[] = {
		"list-bounces@list.example", "list-bounces+@list.example", "list-bounces+user@list.example",
		"list-bounces+user=@list.example", "list-bounces+=dom.example@list.example",
		"list-bounces-user=dom.example@list.example", "list+user=dom.example@list.example",
		"list-bounces+user=dom.example@other.example", "other-bounces+user=dom.example@list.example",
		"list-bounces+user=-.example@list.example", "list-bounces+user=-@list.example",
	};
	struct address bounces = address("list-bounces@list.example"), found;

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		struct address a = address(others[i]);

		assert_case(!verp_member(&bounces, &a, arena, &found), i, others[i]);
	}
}

static void
nobody_without_an_address(void **state)
{
	struct address bounces = address("list-bounces@list.example"), nobody = { 0 }, sender;

	(void)state;
	assert_false(verp_make(&bounces, &nobody, arena, &sender));
}

static void
a_full_arena_is_an_outcome(void **state)
{
	struct address bounces = address("list-bounces@list.example"), member = address("user@dom.example");
	struct address sender, found;
	bool done = false;

	(void)state;
	for (size_t ceiling = 0; ceiling < 300; ceiling++) {
		struct arena *small = arena_new(ceiling);

		if (verp_make(&bounces, &member, small, &sender)) {
			assert_slice(sender.text, cases[0].sender);
			done = true;
		}
		sender = address(cases[0].sender);
		if (verp_member(&bounces, &sender, small, &found))
			assert_slice(found.text, "user@dom.example");
		arena_free(small);
	}
	assert_true(done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(members_go_there_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(other_addresses_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_without_an_address, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_arena_is_an_outcome, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
