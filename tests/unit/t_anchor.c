/* SPDX-License-Identifier: ISC */
/* Which texts are a trust anchor for the root. */
#include "conf/anchor.h"
#include "unit.h"

#define DIGEST "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
#define DS "20326 8 2 " DIGEST
#define KEY "AwEAAaz/tAm8yTn4Mfeh5eyI96WS"

static const struct {
	const char *text;
	const char *why;                /* NULL: it is one */
} cases[] = {
	{ ". IN DS " DS "\n", NULL },
	{ ".\t172800\tIN\tDS\t" DS, NULL },                     /* RFC 1035 5.1: TTL and class … */
	{ ". IN 172800 DS " DS, NULL },                         /* … in either order */
	{ ". DS " DS, NULL },
	{ ". in ds 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D084 58E880409BBC683457104237C7F8EC8D", NULL },
	{ ". IN DNSKEY 257 3 8 " KEY " ;{id = 20326 (ksk)}\n", NULL },
	{ ". IN DNSKEY 256 3 13 AwEA Aaz/\r\n", NULL },
	{ "; the root\n\n. IN DS " DS " ; a comment\n", NULL },
	{ "example.com. IN DS " DS "\n. IN DS " DS "\n", NULL },
	{ ". IN DS 12345 253 2 " DIGEST "\n. IN DS " DS "\n", NULL },   /* RFC 4035 5.2: unknown is ignored */
	{ "", "there is no DS or DNSKEY record of the root zone" },
	{ "; a comment\n", "there is no DS or DNSKEY record of the root zone" },
	{ "example.com. IN DS " DS, "there is no DS or DNSKEY record of the root zone" },
	{ ". IN DS 12345 253 2 " DIGEST, "there is no DS or DNSKEY record of the root zone" },
	{ ". IN DS 12345 8 3 " DIGEST, "there is no DS or DNSKEY record of the root zone" },
	{ ". IN DNSKEY 257 3 16 " KEY, "there is no DS or DNSKEY record of the root zone" },
	{ "garbage\n", "line 1: this is no DS or DNSKEY record" },
	{ ". IN DS " DS "\n\nthis is no anchor\n", "line 3: this is no DS or DNSKEY record" },
	{ ". IN A 192.0.2.1\n", "line 1: this is no DS or DNSKEY record" },
	{ ". IN\n", "line 1: this is no DS or DNSKEY record" },
	{ ". IN DS 65536 8 2 " DIGEST, "line 1: a DS record has a key tag" },
	{ ". IN DS 20326 RSASHA256 2 " DIGEST, "line 1: a DS record has a key tag" },
	{ ". IN DS 20326 8 2 E06D\n", "line 1: the digest" },
	{ ". IN DS 20326 8 2\n", "line 1: the digest" },
	{ ". IN DS 20326 8 2 " DIGEST "zz\n", "line 1: the digest" },
	{ ". IN DNSKEY 257 3 8\n", "line 1: the key" },
	{ ". IN DNSKEY 257 3 8 (\n" KEY " )\n", "line 1: the key" },
	{ ". IN DNSKEY x 3 8 " KEY, "line 1: a DNSKEY record has flags" },
	{ ". IN DNSKEY 385 3 8 " KEY, "line 1: this DNSKEY is no key of a zone, or was revoked" },
	{ ". IN DNSKEY 1 3 8 " KEY, "line 1: this DNSKEY is no key of a zone" },
	{ ". IN DNSKEY 257 4 8 " KEY, "line 1: this DNSKEY is no key of a zone" },
};

static void
what_covers_the_root(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct error why = { .text = "" };
		bool covers = anchor_covers_root(slice(cases[i].text), &why);

		assert_case(covers == (cases[i].why == NULL), i, why.text);
		assert_case(covers || strncmp(why.text, cases[i].why, strlen(cases[i].why)) == 0, i, why.text);
	}
}

static void
each_record_is_told_apart(void **state)
{
	static const struct { enum anchor_line is; unsigned number; const char *line; } want[] = {
		{ ANCHOR_ELSEWHERE, 2, "example.com. DS " DS }, { ANCHOR_UNKNOWN, 3, ". DS 1 253 2 " DIGEST },
		{ ANCHOR_ROOT, 4, ". DS " DS }, { ANCHOR_BAD, 5, "x" }, { ANCHOR_END, 5, NULL },
	};
	struct slice text = S("\nexample.com. DS " DS "\n. DS 1 253 2 " DIGEST "\n. DS " DS " ;x\nx\n"), line;
	unsigned number = 0;
	struct error why;

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_case(anchor_next(&text, &line, &number, &why) == want[i].is, i, "what it is");
		assert_case(number == want[i].number, i, "its line");
		if (want[i].line != NULL)
			assert_slice(line, want[i].line);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_covers_the_root),
		cmocka_unit_test(each_record_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
