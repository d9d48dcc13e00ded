/* SPDX-License-Identifier: ISC */
#include "conf/keywords.h"
#include "conf/type.h"
#include "conf/value.h"
#include "unit.h"

static const struct {
	const char *text;
	const char *flaws;              /* "line:column: what|hint", one behind the other; "" none */
} cases[] = {
	/* unknown statements, and where they belong (UX 2.4) */
	{ "hostname a.test", "" },
	{ "hostnmae a.test", "1:1: \"hostnmae\" is not a statement|did you mean \"hostname\"?\n" },
	{ "delivery {\n expires after 5d\n}",
	    "2:2: \"expires\" is not a statement in a delivery block|did you mean \"expire\"?\n" },
	{ "arc { xyzzy }", "1:7: \"xyzzy\" is not a statement in an arc block\n" },
	{ "expire after 5d", "1:1: \"expire\" is not a statement|it stands in a delivery block\n" },
	{ "delivery { hostname a.test }",
	    "1:12: \"hostname\" is not a statement in a delivery block|it stands outside of blocks\n" },
	{ "host a.test { }", "1:1: \"host\" is not a statement\n" },            /* the lab's, not ours */
	{ "listen a { limit mesages 1/s per client }",
	    "1:18: expected \"messages\", \"connections\" or \"size\", not \"mesages\"|did you mean \"messages\"?\n" },
	{ "listen a { limit }", "1:17: expected \"messages\", \"connections\" or \"size\"\n" },
	{ "delivery { expire 5d }", "1:19: expected \"after\" or \"reports\", not \"5d\"\n" },
	{ "policy { dmarc rejcet strict }",
	    "1:16: expected \"reject\" or \"temperror\", not \"rejcet\"|did you mean \"reject\"?\n" },
	/* several in one run */
	{ "domian a.test { }\nhostname a.test\nstat /x",
	    "1:1: \"domian\" is not a statement|did you mean \"domain\"?\n"
	    "3:1: \"stat\" is not a statement|did you mean \"state\"?\n" },
	/* a block is looked into although its statement is wrong */
	{ "domain { aliass a -> b }",
	    "1:7: expected a domain such as example.org|domain DOMAIN { ... }\n"
	    "1:10: \"aliass\" is not a statement in a domain block|did you mean \"alias\"?\n" },
	/* shapes: words */
	{ "log json", "" }, { "log text debug", "" },
	{ "log", "1:4: expected \"text\" or \"json\"|log (text | json) [debug | info | warn | error]\n" },
	{ "log jsno", "1:5: expected \"text\" or \"json\", not \"jsno\"|did you mean \"json\"?\n" },
	{ "log \"json\"", "1:5: expected \"text\" or \"json\", not \"json\"|did you mean \"json\"?\n" },
	{ "log json loud", "1:10: expected \"debug\", \"info\", \"warn\", \"error\" or the end of the statement, "
	    "not \"loud\"|log (text | json) [debug | info | warn | error]\n" },
	{ "log json info x", "1:15: expected the end of the statement, not \"x\"|"
	    "log (text | json) [debug | info | warn | error]\n" },
	{ "listen a { tls cert /c }", "1:23: expected \"key\"|tls cert FILE key FILE\n" },
	{ "listen a { tls cert /c kye /k }", "1:24: expected \"key\", not \"kye\"|did you mean \"key\"?\n" },
	{ "listen a { tls cert /c key /k }", "" }, { "listen a { tls implicit }", "" },
	{ "listen a { tls implicit now }", "1:25: expected the end of the statement, not \"now\"|tls implicit\n" },
	{ "delivery { tls require dnae }",
	    "1:24: expected \"encrypt\", \"verified\", \"dane\", \"sts\" or \"dane-or-sts\", not \"dnae\"|"
	    "did you mean \"dane\"?\n" },
	{ "delivery { tls require dane-or-sts }", "" },
	/* shapes: lists */
	{ "arc { trust a.test }", "" }, { "arc { trust a.test, .b.test,\n c.test }", "" },
	{ "arc { trust from file /x }", "" }, { "arc { trust \"from\" }", "" },
	{ "arc { trust a.test b.test }",
	    "1:20: expected \",\" or the end of the statement, not \"b.test\"|trust from file FILE | PATTERN, ...\n" },
	{ "arc { trust a.test, }",
	    "1:20: expected a domain such as example.org, or .example.org for what is below it|"
	    "trust from file FILE | PATTERN, ...\n" },
	{ "arc { trust a.test,, b.test }",
	    "1:20: expected a domain such as example.org, or .example.org for what is below it, not \",\"|"
	    "trust from file FILE | PATTERN, ...\n" },
	{ "arc { trust from fiel /x }", "1:18: expected \"file\", not \"fiel\"|did you mean \"file\"?\n" },
	{ "arc { seal forwards, lists }", "" }, { "arc { seal all }", "" },
	{ "arc { seal forwards, all }",
	    "1:22: expected \"forwards\" or \"lists\", not \"all\"|seal off | all | (forwards | lists), ...\n" },
	{ "delivery { retry after 5m, 10m, then every 2h }", "" }, { "delivery { retry after 5m }", "" },
	{ "delivery { retry after 5m, 10x }",
	    "1:28: expected a duration such as 30s, 5m, 4h or 5d or \"then\", not \"10x\"|"
	    "retry after DURATION, ... [, then every DURATION]\n" },
	{ "delivery { retry after 5m, then evry 2h }",
	    "1:33: expected \"every\", not \"evry\"|did you mean \"every\"?\n" },
	{ "domain a.test { alias a, b -> c, d@e.test }", "" },
	{ "domain a.test { alias a -> }",
	    "1:27: expected a name such as ann or an address such as ann@example.org|"
	    "alias from file FILE | MAILBOX, ... -> MAILBOX, ...\n" },
	{ "domain a.test { alias a->b }", "1:27: expected \",\" or \"->\"|"
	    "alias from file FILE | MAILBOX, ... -> MAILBOX, ...\n" },
	{ "domain a.test { alias a b->c }", "1:25: expected \",\" or \"->\", not \"b->c\"|blanks stand around \"->\"\n" },
	/* shapes: blocks */
	{ "domain a.test", "1:14: expected a block|domain DOMAIN { ... }\n" },
	{ "domain a.test b.test { }", "1:15: expected a block, not \"b.test\"|domain DOMAIN { ... }\n" },
	{ "hostname a.test { }", "1:16: \"hostname\" has no block\n" },
	{ "domain a.test { list l -> a, b }", "" }, { "domain a.test { list l { members a } }", "" },
	{ "domain a.test { list l }", "1:23: expected \"->\" or a block|list MAILBOX (-> MAILBOX, ... | { ... })\n" },
	{ "domain a.test { list l -> a { } }", "1:28: \"list\" has no block\n" },
	{ "delivery { to a.test, .b.test { tls require sts } }", "" },
	{ "delivery { to { } }",
	    "1:14: expected a domain such as example.org, or .example.org for what is below it|to PATTERN, ... { ... }\n" },
	/* what stands twice */
	{ "hostname a.test\nhostname b.test",
	    "2:1: \"hostname\" is set twice|first set here: x.conf:1\n" },
	{ "delivery { expire after 1d }\ndelivery { expire after 2d }",           /* one block in two parts */
	    "2:12: \"expire after\" is set twice|first set here: x.conf:1\n" },
	{ "delivery { expire after 1d }\ndelivery { expire reports after 2d; hold on }", "" },
	{ "listen a { on *:25 }\nlisten b { on *:26 }", "" },
	{ "listen a { on *:25 }\nlisten a { on *:26 }",
	    "2:8: listen \"a\" is there twice|first set here: x.conf:1\n" },
	{ "domain a.test { catch-all x }\ndomain A.TEST { catch-all x }",
	    "2:8: domain \"A.TEST\" is there twice|first set here: x.conf:1\n" },
	{ "domain a.test { catch-all x; catch-all y }",
	    "1:30: \"catch-all\" is set twice|first set here: x.conf:1\n" },
	{ "domain a.test { alias a -> b; alias c -> d; users a; users b }", "" },
	{ "domain a.test { list l -> a; list l -> b }", "1:35: list \"l\" is there twice|first set here: x.conf:1\n" },
	{ "delivery { to a.test { rate 1/s }; to b.test { rate 1/s } }", "" },
	{ "delivery { to a.test { rate 1/s; rate 2/s } }",
	    "1:34: \"rate\" is set twice|first set here: x.conf:1\n" },
};

static struct slice
found(const char *text, const struct vocabulary *v, struct buf *out)
{
	struct flaws flaws;
	struct tree *tree;

	flaws_begin(&flaws);
	tree = tree_parse_text(S("x.conf"), slice(text), &flaws);
	keywords_check(v, tree->first, "", tree->arena, &flaws);
	for (const struct flaw *f = flaws.first; f != NULL; f = f->next)
		buf_printf(out, "%u:%u: %.*s%s%.*s\n", f->line, f->column, FMT(f->text),
		    f->hint.n ? "|" : "", FMT(f->hint));
	tree_free(tree);
	flaws_end(&flaws);
	return buf_slice(out);
}

static void
errors_say_what_was_expected_and_where(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf out = BUF(65536);
		struct slice got = found(cases[i].text, &CONF_VOCABULARY, &out);

		if (!slice_eq(got, slice(cases[i].flaws)))
			print_error("got  %.*swant %s", FMT(got), cases[i].flaws);
		assert_case(slice_eq(got, slice(cases[i].flaws)), i, cases[i].text);
		buf_free(&out);
	}
}

/* --- types ---------------------------------------------------------------------- */

#define TEN "0123456789"

static const struct { const char *row, *good[8], *bad[10]; } types[] = {
	{ "hostname %s", { "a.test", "A.Test.", "mx-1.a.test", "b\xc3\xbc" "cher.example" },
	    { "a..test", "a_b!", ".", "http://a" } },
	{ "delivery { expire after %s }", { "30s", "5m", "4h", "5d", "1s" },
	    { "5", "5w", "0s", "-5m", "5 m", "99999d", "5M", "1.5h", "99999999999999999999s" } },
	{ "limits { size %s }", { "1B", "64kB", "25MB", "1GB" }, { "25", "25mb", "25M", "0MB", "25KB", "99999999GB" } },
	{ "limits { errors %s }", { "1", "1000000" }, { "0", "-1", "1000001", "0x5", "1e3" } },
	{ "delivery { hold %s }", { "on", "off" }, { "yes", "On", "1" } },
	{ "delivery { rate %s }", { "20/s", "60/min", "500/h" }, { "20", "20/d", "/s", "0/s", "20/m", "1/sec" } },
	{ "listen a { on %s }", { "127.0.0.1:25", "[::1]:25", "*:65535", "\"*:25\"" },
	    { "127.0.0.1", "::1:25", "*:0", "*:65536", "mx.test:25", "unix:/x", "[127.0.0.1]:25", "[*]:25", ":25" } },
	{ "delivery { via %s }", { "127.0.0.1:25", "[::1]:25", "mx.test:25", "mx1:587", "mx" },
	    { "*:25", "unix:/x", "300.0.0.1:25", "1.2.3:25", "mx.test", "[mx.test]:25", "::1" } },
	{ "resolver { server %s }", { "127.0.0.1:53", "[::1]:53" }, { "127.0.0.1", "localhost:53", "*:53" } },
	{ "domain a.test { deliver to lmtp %s }", { "unix:/run/x", "127.0.0.1:24", "[::1]:24", "lmtp.test:24",
	    "unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456" },
	    { "unix:x", "/run/x", "*:24", "unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567" } },
	{ "domain a.test { deliver to maildir %s }", { "/x/%u", "/x/%d/%u/%%", "/x" }, { "x/%u", "/x/%n", "/x/%" } },
	{ "listen a { allow relay from %s }", { "127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32", "192.0.2.4/30" },
	    { "10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "localhost", "2001:db8::1/32", "10.0.0.0/", "*" } },
	{ "domain a.test { catch-all %s }", { "ann", "ann@b.test", "a.b", "\"a b\"", "\"\\\"a b\\\"@b.test\"", "j\xc3\xb6rg" },
	    { "ann@", "@b.test", "|cmd", "/file", ":include:/x", "a@b@c", "\"\"", "ann@b..test" } },
	{ "key %s { domain a.test; file /k }", { "k2026", "a-b_c", "1" }, { "a.b", "-a", "\"a b\"", "\xc3\xa4" } },
	{ "key k { selector %s }", { "s1", "mail.s1", "a_b" }, { "a..b", ".a", "a.", "\"a b\"" } },
	{ "arc { trust %s }", { "a.test", ".a.test", "a" }, { ".", "..a", "*.a.test", "a/b" } },
};

static void
values_have_one_spelling(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++)
		for (int good = 0; good <= 1; good++)
			for (const char *const *v = good ? types[i].good : types[i].bad; *v != NULL; v++) {
				struct slice row = slice(types[i].row), head = slice_head(row, slice_find(row, '%'));
				struct buf text = BUF(4096), out = BUF(65536);

				buf_printf(&text, "%.*s%s%.*s%c", FMT(head), *v, FMT(slice_skip(row, head.n + 2)), 0);
				found(text.p, &CONF_VOCABULARY, &out);
				if ((out.n == 0) != good)
					print_error("%s: %.*s\n", text.p, FMT(buf_slice(&out)));
				assert_case((out.n == 0) == good, i, *v);
				buf_free(&text);
				buf_free(&out);
			}
}

static void
values_are_written_as_they_are_read(void **state)
{
	static const char *const durations[] = { "1s", "90s", "5m", "4h", "5d", "36h" };
	static const char *const sizes[] = { "500B", "64kB", "25MB", "1GB" };
	static const char *const endpoints[] = { "127.0.0.1:25", "[::1]:25", "*:25", "mx.test:25", "unix:/x" };
	struct arena *arena = arena_new(65536);
	struct buf b = BUF(4096);
	int64_t ms;
	uint64_t bytes;
	struct endpoint e;
	struct network n;
	struct rate r;

	(void)state;
#define SAME(array, read, write) for (size_t i = 0; i < COUNT(array); i++, buf_clear(&b)) { \
		assert_true(read); write; assert_slice(buf_slice(&b), array[i]); }
	SAME(durations, value_duration(slice(durations[i]), &ms), value_add_duration(&b, ms))
	SAME(sizes, value_size(slice(sizes[i]), &bytes), value_add_size(&b, bytes))
	SAME(endpoints, value_endpoint(slice(endpoints[i]), arena, &e), value_add_endpoint(&b, e))
	assert_true(value_network(S("10.0.0.0/8"), &n));
	assert_true(value_rate(S("60/min"), &r));
	value_add_network(&b, n);
	value_add_rate(&b, r);
	assert_slice(buf_slice(&b), "10.0.0.0/860/min");
	assert_int_equal(r.per, 60000);
	buf_free(&b);
	arena_free(arena);
}

/* --- the table itself ------------------------------------------------------------- */

static bool
context_exists(const char *context)
{
	for (size_t i = 0; i < CONF_VOCABULARY.count; i++)
		if (slice_eq(keyword_block(&CONF_VOCABULARY.rows[i]), slice(context)))
			return true;
	return *context == '\0';
}

static void
every_row_is_documented_and_its_default_fits(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONF_VOCABULARY.count; i++) {
		const struct keyword *row = &CONF_VOCABULARY.rows[i];
		struct slice meaning = slice(row->meaning);
		struct buf text = BUF(4096), out = BUF(4096);

		assert_case(context_exists(row->context), i, row->words);
		assert_case(meaning.n > 10 && meaning.p[meaning.n - 1] == '.', i, row->meaning);
		assert_case(*row->since != '\0', i, row->words);
		assert_case(row->usual == NULL || row->times == ONCE, i, row->words);
		if (row->usual == NULL)
			continue;
		/* as it would be written, in its context */
		buf_printf(&text, "%s %s%c", row->words, row->usual, 0);
		{
			struct flaws flaws;
			struct tree *tree;

			flaws_begin(&flaws);
			tree = tree_parse_text(S("x"), slice(text.p), &flaws);
			keywords_check(&CONF_VOCABULARY, tree->first, row->context, tree->arena, &flaws);
			assert_case(flaws.errors == 0, i, text.p);
			assert_ptr_equal(tree->first->keyword, row);
			tree_free(tree);
			flaws_end(&flaws);
		}
		buf_free(&text);
		buf_free(&out);
	}
}

static void
every_type_in_a_shape_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < CONF_VOCABULARY.count; i++) {
		struct slice shape = slice(CONF_VOCABULARY.rows[i].shape), word;

		while (slice_word(&shape, &word)) {
			word = slice_head(word, slice_find(word, ','));
			if (word.n > 1 && *word.p >= 'A' && *word.p <= 'Z')
				assert_case(type_find(word) != NULL, i, word.p);
		}
	}
	for (size_t i = 0; type_nth(i) != NULL; i++)
		assert_ptr_equal(type_find(slice(type_nth(i)->name)), type_nth(i));
}

/* --- a further table, as the lab has one --------------------------------------------- */

static const struct keyword LAB_ROWS[] = {
	{ "", "lab", "{ lab }", MERGED, NULL, "0.1", "A world.", 0 },
	{ "lab", "host", "DOMAIN { host }", NAMED, NULL, "0.1", "A host in it.", 1 },
	{ "domain", "capture", "", ONCE, NULL, "0.1", "Mail is kept in memory.", 2 },
	{ "host", "seal arc", "", ONCE, NULL, "0.1", "This host seals.", 3 },
};
static const struct context_link LAB_LINKS[] = { { "host", "" }, { NULL, NULL } };
static const struct vocabulary LAB = { LAB_ROWS, COUNT(LAB_ROWS), LAB_LINKS, &CONF_VOCABULARY };

static void
another_table_may_add_words_but_not_to_ours(void **state)
{
	static const char world[] = "lab { host a.test { domain a.test { capture }; arc { trust b.test }\n seal arc } }";
	struct buf out = BUF(4096);

	(void)state;
	found(world, &LAB, &out);
	assert_slice(buf_slice(&out), "");
	found("lab { host a.test { domain a.test { captrue } } }", &LAB, &out);
	assert_slice(buf_slice(&out),
	    "1:37: \"captrue\" is not a statement in a domain block|did you mean \"capture\"?\n");
	buf_clear(&out);
	found("lab { domain a.test { } }", &LAB, &out);
	assert_slice(buf_slice(&out), "1:7: \"domain\" is not a statement in a lab block|it stands outside of blocks\n");
	buf_clear(&out);
	found("domain a.test { capture }", &CONF_VOCABULARY, &out);
	assert_slice(buf_slice(&out), "1:17: \"capture\" is not a statement in a domain block\n");
	buf_clear(&out);
	found("lab { }", &CONF_VOCABULARY, &out);
	assert_slice(buf_slice(&out), "1:1: \"lab\" is not a statement\n");
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_say_what_was_expected_and_where),
		cmocka_unit_test(values_have_one_spelling),
		cmocka_unit_test(values_are_written_as_they_are_read),
		cmocka_unit_test(every_row_is_documented_and_its_default_fits),
		cmocka_unit_test(every_type_in_a_shape_is_known),
		cmocka_unit_test(another_table_may_add_words_but_not_to_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
