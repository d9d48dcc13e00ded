/* SPDX-License-Identifier: ISC */
#include "auth/taglist.h"
#include "unit.h"

/* What a list reads as: "name<raw>" joined with '|'; NULL: invalid as a whole. */
static const struct { const char *text, *tags; } cases[] = {
	{ "v=1", "v<1>" },
	{ "v=1;", "v<1>" },
	{ "v=1; \t", "v<1>" },
	{ " v = 1 ; a=b ", "v< 1 >|a<b >" },
	{ "p=", "p<>" },                                        /* an empty value is a value */
	{ "p= ; a=b", "p< >|a<b>" },
	{ "b=AB\r\n CD", "b<AB\r\n CD>" },
	{ "i=a=b=c", "i<a=b=c>" },
	{ "a_1=x; A_1=y", "a_1<x>|A_1<y>" },                     /* names are case-sensitive */
	{ "n=gr\xc3\xbc\xc3\x9f", "n<gr\xc3\xbc\xc3\x9f>" },     /* RFC 8616 5 */
	{ "", NULL },
	{ " ", NULL },
	{ ";", NULL },
	{ "; v=1", NULL },
	{ "v=1;; a=b", NULL },                                  /* RFC 6376 3.2: no empty tag-spec */
	{ "v=1; ; a=b", NULL },
	{ "v=1;;", NULL },
	{ "v=1; ;", NULL },
	{ "v", NULL },
	{ "v=1; s", NULL },
	{ "=1", NULL },
	{ "1v=1", NULL },                                       /* tag-name = ALPHA *ALNUMPUNC */
	{ "v-1=1", NULL },
	{ "v w=1", NULL },
	{ "v=1; v=1", NULL },                                   /* RFC 6376 3.2: no duplicates */
	{ "v=1; v =2", NULL },
	{ "v=a\001b", NULL },
	{ "v=a\177b", NULL },
};

static void
a_list_is_valid_as_a_whole_or_not_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct taglist t;
		struct buf out = BUF(4096);
		struct error why = { 0 };
		bool ok = taglist_parse(&t, slice(cases[i].text), &why);

		assert_case(ok == (cases[i].tags != NULL), i, cases[i].text);
		assert_case(ok == (why.text[0] == '\0'), i, why.text);
		for (size_t j = 0; ok && j < t.count; j++)
			buf_printf(&out, "%s%.*s<%.*s>", j ? "|" : "", FMT(t.tags[j].name), FMT(t.tags[j].raw));
		if (ok)
			assert_slice(buf_slice(&out), cases[i].tags);
		buf_free(&out);
	}
}

static void
values_are_trimmed_and_found_by_name(void **state)
{
	struct taglist t;

	(void)state;
	assert_true(taglist_parse(&t, S("v=1; d= example.org\r\n ; p="), NULL));
	assert_slice(taglist_find(&t, "d")->value, "example.org");
	assert_slice(taglist_find(&t, "d")->raw, " example.org\r\n ");
	assert_int_equal(taglist_find(&t, "p")->value.n, 0);
	assert_null(taglist_find(&t, "D"));
	assert_null(taglist_find(&t, "x"));
}

static void
a_value_may_hold_a_nul_only_to_be_refused(void **state)
{
	struct taglist t;

	(void)state;
	assert_false(taglist_parse(&t, S("v=a\0b"), NULL));
	assert_false(taglist_parse(&t, S("v\0=a"), NULL));
}

static void
there_is_an_end_to_tags(void **state)
{
	(void)state;
	for (int n = TAGS_MOST; n <= TAGS_MOST + 1; n++) {
		struct buf text = BUF(4096);
		struct taglist t;

		for (int i = 0; i < n; i++)
			buf_printf(&text, "t%d=%d;", i, i);
		assert_int_equal(taglist_parse(&t, buf_slice(&text), NULL), n == TAGS_MOST);
		buf_free(&text);
	}
}

static void
items_stand_between_colons(void **state)
{
	static const struct { const char *list, *items; } lists[] = {
		{ "from", "<from>" },
		{ "from:to", "<from><to>" },
		{ " from :\r\n to ", "<from><to>" },
		{ "from::to", "<from><><to>" },
		{ "from:", "<from>" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct slice list = slice(lists[i].list), item;
		struct buf out = BUF(4096);

		while (taglist_item(&list, &item))
			buf_printf(&out, "<%.*s>", FMT(item));
		assert_slice(buf_slice(&out), lists[i].items);
		buf_free(&out);
	}
	assert_true(taglist_lists(S("sha1 : sha256"), S("sha256")));
	assert_false(taglist_lists(S("sha1:SHA256"), S("sha256")));
	assert_false(taglist_lists(S(""), S("sha256")));
}

/* --- writing --------------------------------------------------------------- */

static void
a_field_is_folded_before_column_78(void **state)
{
	struct buf to = BUF(4096);
	struct tagwriter w = tagwriter_begin(&to, "X-Tags");
	char bytes[100];

	(void)state;
	memset(bytes, 0, sizeof bytes);
	tagwriter_add(&w, "v", S("1"));
	tagwriter_add(&w, "d", S("a-rather-long-name-of-a-domain.example.org"));
	tagwriter_add(&w, "s", S("a-rather-long-selector"));
	tagwriter_list(&w, "h", S("from:to:subject:date:message-id:mime-version:content-type:"
	    "content-transfer-encoding:from:to:subject"));
	tagwriter_open(&w, "b");
	tagwriter_end(&w, slice_of(bytes, sizeof bytes));
	assert_slice(buf_slice(&to),
	    "X-Tags: v=1; d=a-rather-long-name-of-a-domain.example.org;\r\n"
	    " s=a-rather-long-selector; h=from:to:subject:date:message-id:mime-version:\r\n"
	    " content-type:content-transfer-encoding:from:to:subject; b=AAAAAAAAAAAAAAAAAAA\r\n"
	    " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n"
	    " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\r\n");
	buf_free(&to);
}

static void
what_is_written_reads_the_same(void **state)
{
	(void)state;
	for (size_t length = 1; length < 200; length++) {
		char value[200];
		struct buf to = BUF(4096);
		struct tagwriter w = tagwriter_begin(&to, "DKIM-Signature");
		struct slice text, line;
		struct taglist t;

		memset(value, 'x', sizeof value);
		tagwriter_add(&w, "v", S("1"));
		tagwriter_add(&w, "n", slice_of(value, length));
		tagwriter_list(&w, "h", S("from:to"));
		tagwriter_open(&w, "b");
		tagwriter_end(&w, S("signature"));
		text = slice_skip(buf_slice(&to), strlen("DKIM-Signature:"));
		assert_true(taglist_parse(&t, text, NULL));
		assert_true(slice_eq(taglist_find(&t, "n")->value, slice_of(value, length)));
		while (slice_cut(&text, '\n', &line))
			assert_true(line.n <= 79 || length > 70);
		buf_free(&to);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_valid_as_a_whole_or_not_at_all),
		cmocka_unit_test(values_are_trimmed_and_found_by_name),
		cmocka_unit_test(a_value_may_hold_a_nul_only_to_be_refused),
		cmocka_unit_test(there_is_an_end_to_tags),
		cmocka_unit_test(items_stand_between_colons),
		cmocka_unit_test(a_field_is_folded_before_column_78),
		cmocka_unit_test(what_is_written_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
