/* SPDX-License-Identifier: ISC */
#include "conf/grammar.h"
#include "conf/token.h"
#include "unit.h"

/* Files that a test has in its hands. */
static const struct { const char *name, *text; } FILES[] = {
	{ "/c/one.conf", "hostname one\n" },
	{ "/c/d/b.conf", "b\n" },
	{ "/c/d/a.conf", "a; include sub.inc\n" },
	{ "/c/d/sub.inc", "sub $x\n" },
	{ "/c/self.conf", "include self.conf\n" },
	{ "/c/round.conf", "include back.conf\n" },
	{ "/c/back.conf", "include round.conf\n" },
	{ "/c/brace.conf", "inner }\n" },
	{ "/c/bad.conf", "good\n\"not a statement\"\n" },
};

static void
fill(struct files *files, const char *main_text)
{
	for (size_t i = 0; i < COUNT(FILES); i++)
		buf_add(&files_add(files, slice(FILES[i].name), FILE_CONFIG)->bytes, slice(FILES[i].text));
	buf_add(&files_add(files, S("/c/x.conf"), FILE_CONFIG)->bytes, slice(main_text));
}

/* "words of a statement{block}" and so on; strings in quotes. */
static void
render(const struct statement *s, struct buf *out)
{
	for (; s != NULL; s = s->next) {
		for (const struct word *w = s->words; w != NULL; w = w->next)
			buf_printf(out, "%s%s%.*s%s", w == s->words ? "" : " ",
			    w->kind == WORD_STRING ? "\"" : "", FMT(w->text), w->kind == WORD_STRING ? "\"" : "");
		if (s->has_block) {
			buf_byte(out, '{');
			render(s->block, out);
			buf_byte(out, '}');
		}
		buf_byte(out, '|');
	}
}

static const struct {
	const char *text, *tree;
	const char *flaw;               /* the first one, from its line on; NULL: none */
} cases[] = {
	/* UX 2.2: what ends a statement */
	{ "", "", NULL },
	{ "\n\n;;\n", "", NULL },
	{ "a b\nc", "a b|c|", NULL },
	{ "a; b;c", "a|b|c|", NULL },
	{ "a { b; c }", "a{b|c|}|", NULL },
	{ "a { b\nc\n}\nd", "a{b|c|}|d|", NULL },
	{ "a{b}c{}", "a{b|}|c{}|", NULL },
	{ "a { b { c } } d", "a{b{c|}|}|d|", NULL },
	{ "a\r\nb\r\n", "a|b|", NULL },
	{ "\xef\xbb\xbf" "a", "a|", NULL },
	/* arguments */
	{ "a -> b, c", "a -> b , c|", NULL },
	{ "a b,c", "a b , c|", NULL },
	{ "a b,\n  c,\n\n  d\ne", "a b , c , d|e|", NULL },
	{ "a b, # why\n c", "a b , c|", NULL },
	{ "a->b", "a->b|", NULL },
	{ "a \"x y\"", "a \"x y\"|", NULL },
	{ "a \"\\\" \\\\ \\n\"", "a \"\" \\ \n\"|", NULL },
	{ "a \"->\" \",\"", "a \"->\" \",\"|", NULL },
	{ "a b\"c\"d", "a b \"c\" d|", NULL },
	{ "a # b\nc#d", "a|c|", NULL },
	{ "a \"# no comment\"", "a \"# no comment\"|", NULL },
	{ "a %u:/=[::1]:25*\xc3\xa4", "a %u:/=[::1]:25*\xc3\xa4|", NULL },
	/* let */
	{ "let x = /y\na $x $x/b p$x-q", "a /y /y/b p/y-q|", NULL },
	{ "let x = \"a b\"\nlet y = $x!\na $y", "a a b!|", NULL },
	{ "let x = 1\na \"$x\"", "a \"$x\"|", NULL },
	{ "b { let x = 1 }\na $x", "b{}|a 1|", NULL },
	{ "a $x\nlet x = 1", "", "1:3: error: \"$x\" was not set by a let before" },
	{ "let dir = 1\na $dri/b", "", "2:3: error: \"$dri\" was not set by a let before|did you mean \"$dir\"?" },
	{ "a b $", "", "1:5: error: expected a name behind \"$\"|a word with a \"$\" of its own is written in quotes" },
	{ "let x = 1\nlet x = 2", "", "2:5: error: \"$x\" is set twice|first set here: /c/x.conf:1" },
	{ "let x 1", "", "1:5: error: expected let NAME = value" },
	{ "let x = 1 2", "", "1:5: error: expected let NAME = value" },
	{ "let x = ,", "", "1:5: error: expected let NAME = value" },
	{ "let", "", "1:4: error: expected let NAME = value" },
	{ "let 1x = 2", "", "1:5: error: expected a name of letters, digits and \"_\", not \"1x\"" },
	/* include */
	{ "include one.conf\nb", "hostname one|b|", NULL },
	{ "include /c/one.conf", "hostname one|", NULL },
	{ "x { include one.conf }", "x{hostname one|}|", NULL },
	{ "let x = 5\ninclude d/*.conf\nc", "a|sub 5|b|c|", NULL },
	{ "include d/?.conf", "a|b|", "1:5: error: \"$x\" was not set by a let before" },
	{ "let d = one\ninclude $d.conf", "hostname one|", NULL },
	{ "include \"one.conf\"", "hostname one|", NULL },
	{ "include none/*.conf\na", "a|", NULL },
	{ "include gone.conf\na", "a|", "1:9: error: /c/gone.conf is not among the files that were read" },
	{ "include one.conf two.conf", "", "1:9: error: expected include FILE" },
	{ "include", "", "1:8: error: expected include FILE" },
	{ "include self.conf", "", "1:9: error: /c/self.conf includes itself" },
	{ "include round.conf", "", "1:9: error: /c/round.conf includes itself" },
	{ "include x.conf", "", "1:9: error: /c/x.conf includes itself" },
	{ "x { include brace.conf }", "x{inner|}|", "1:7: error: there is no block to close" },
	{ "include bad.conf\nz", "good|z|", "2:1: error: expected a statement, not a string" },
	/* what is no statement */
	{ "\"a\" b", "", "1:1: error: expected a statement, not a string" },
	{ ", a", "", "1:1: error: expected a statement, not \",\"" },
	{ "-> a", "", "1:1: error: expected a statement, not \"->\"" },
	{ "a\n{ b }\nc", "a|c|",
	    "2:1: error: expected a statement, not \"{\"|a block opens on the line of its statement" },
	{ "a }\nb", "a|b|", "1:3: error: there is no block to close" },
	{ "a {\nb", "a{b|}|", "1:3: error: this block is not closed" },
	{ "a { b {\nc }", "a{b{c|}|}|", "1:3: error: this block is not closed" },
	/* bad tokens spoil their statement and no other */
	{ "a \"b\nc", "c|", "1:3: error: the string is not closed on its line" },
	{ "a \"b\\", "", "1:3: error: the string is not closed on its line" },
	{ "a \"\\q\"\nc", "c|", "1:3: error: only \\\" \\\\ and \\n stand behind a backslash" },
	{ "a \x01\nc", "c|", "1:3: error: a control character" },
	{ "a b\x7f\nc", "c|", "1:4: error: a control character" },
	{ "a \"\x02\"\nc", "c|", "1:3: error: a control character in a string" },
	{ "a \xff\nc", "c|", "1:3: error: the word is not UTF-8" },
	{ "a \"\xc3\"\nc", "c|", "1:3: error: the string is not UTF-8" },
	{ "a\rb\nc", "c|", "1:2: error: a control character" },
};

static void
check_flaw(const struct flaws *flaws, const char *want, size_t i)
{
	struct buf got = BUF(4096);
	const struct flaw *f = flaws->first;

	if (want == NULL) {
		if (f != NULL)
			flaw_add_text(&got, f);
		assert_case(f == NULL, i, got.n ? got.p : "");
		return;
	}
	assert_case(f != NULL, i, want);
	buf_printf(&got, "%u:%u: error: %.*s%s%.*s", f->line, f->column, FMT(f->text),
	    f->hint.n ? "|" : "", FMT(f->hint));
	if (!slice_eq(buf_slice(&got), slice(want)))
		print_error("got  %.*s\nwant %s\n", FMT(buf_slice(&got)), want);
	assert_case(slice_eq(buf_slice(&got), slice(want)), i, cases[i].text);
	buf_free(&got);
}

static void
the_grammar(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct files files = { 0 };
		struct reader reader = files_reader(&files);
		struct flaws flaws;
		struct buf out = BUF(4096);
		struct tree *tree;

		fill(&files, cases[i].text);
		flaws_begin(&flaws);
		tree = tree_parse(S("/c/x.conf"), &reader, &flaws);
		render(tree->first, &out);
		if (!slice_eq(buf_slice(&out), slice(cases[i].tree)))
			print_error("got %.*s\n", FMT(buf_slice(&out)));
		assert_case(slice_eq(buf_slice(&out), slice(cases[i].tree)), i, cases[i].text);
		check_flaw(&flaws, cases[i].flaw, i);
		buf_free(&out);
		tree_free(tree);
		flaws_end(&flaws);
		files_free(&files);
	}
}

static void
words_know_their_place(void **state)
{
	struct flaws flaws;
	struct tree *tree;
	const struct word *w;

	(void)state;
	flaws_begin(&flaws);
	tree = tree_parse_text(S("x.conf"), S("a\n\tbb  ccc,\n \"d d\" {\n e }"), &flaws);
	w = tree->first->next->words;
	assert_int_equal(w->place.line, 2);
	assert_int_equal(place_column(w->place), 2);
	w = w->next;
	assert_int_equal(place_column(w->place), 6);
	assert_int_equal(w->place.width, 3);
	w = w->next->next;
	assert_int_equal(w->place.line, 3);
	assert_int_equal(place_column(w->place), 2);
	assert_int_equal(w->place.width, 5);
	assert_int_equal(tree->first->next->block->words->place.line, 4);
	tree_free(tree);
	flaws_end(&flaws);
}

static void
a_flaw_shows_its_line(void **state)
{
	static const struct { const char *text, *shown; } shown[] = {
		{ "\tab \"c\n", "x.conf:1:5: error: the string is not closed on its line\n"
		    "    1 | \tab \"c\n      | \t   ^^\n" },
		{ "a \xc3\xa4\xc3\xb6 \x01", "x.conf:1:8: error: a control character\n"
		    "    1 | a \xc3\xa4\xc3\xb6 \\x01\n      |      ^^^^\n" },
		{ "a\n\n{ b }", "x.conf:3:1: error: expected a statement, not \"{\"\n"
		    "    3 | { b }\n      | ^ a block opens on the line of its statement\n" },
		{ "let", "x.conf:1:4: error: expected let NAME = value\n    1 | let\n      |    ^\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(shown); i++) {
		struct flaws flaws;
		struct buf out = BUF(4096);

		flaws_begin(&flaws);
		tree_free(tree_parse_text(S("x.conf"), slice(shown[i].text), &flaws));
		flaw_add_text(&out, flaws.first);
		assert_slice(buf_slice(&out), shown[i].shown);
		buf_free(&out);
		flaws_end(&flaws);
	}
}

/* A text of `n` times the same, around a middle. */
static struct tree *
parse_repeated(const char *before, const char *middle, const char *after, size_t n, struct buf *text,
    struct flaws *flaws)
{
	for (size_t i = 0; i < n; i++)
		buf_add(text, slice(before));
	buf_add(text, slice(middle));
	for (size_t i = 0; i < n; i++)
		buf_add(text, slice(after));
	return tree_parse_text(S("x.conf"), buf_slice(text), flaws);
}

static void
nothing_grows_without_a_ceiling(void **state)
{
	static const struct { const char *before, *middle, *after; size_t n; const char *flaw; } big[] = {
		{ "a {", "b", "}", TREE_DEPTH, NULL },
		{ "a {", "b", "}", TREE_DEPTH + 1, "blocks stand in each other more than 16 deep" },
		{ "a {", "b", "}", 100000, "blocks stand in each other more than 16 deep" },
		{ "x", "", "", WORD_BYTES, NULL },
		{ "x", "", "", WORD_BYTES + 1, "the word is longer than 4096 bytes" },
		{ "a ", "", "", TREE_WORDS + 1, "the configuration has more than a million words" },
		{ "a \"12345678901234567890\" \n", "", "", 700000, "the configuration is larger than 16 MB" },
		/* each let doubles the one before: no billion laughs */
		{ "", "let a = xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\nlet b = $a$a$a$a$a$a$a$a$a$a\n"
		    "let c = $b$b$b$b$b$b$b$b$b$b\nlet d = $c$c", "", 1, "the word is longer than 4096 bytes" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(big); i++) {
		struct buf text = BUF(64 << 20);
		struct flaws flaws;

		flaws_begin(&flaws);
		tree_free(parse_repeated(big[i].before, big[i].middle, big[i].after, big[i].n, &text, &flaws));
		if (big[i].flaw == NULL)
			assert_case(flaws.errors == 0, i, "no flaw");
		else
			assert_slice(flaws.first->text, big[i].flaw);
		flaws_end(&flaws);
		buf_free(&text);
	}
}

static void
only_so_many_flaws_are_kept(void **state)
{
	struct buf text = BUF(65536);
	struct flaws flaws;
	size_t n = 0;

	(void)state;
	flaws_begin(&flaws);
	tree_free(parse_repeated("\"s\"\n", "", "", 1000, &text, &flaws));
	for (const struct flaw *f = flaws.first; f != NULL; f = f->next)
		n++;
	assert_int_equal(n, FLAWS_MOST);
	assert_int_equal(flaws.errors, 1000);
	flaws_end(&flaws);
	buf_free(&text);
}

static void
patterns_match_names_of_files(void **state)
{
	static const struct { const char *pattern, *name; bool matches; } names[] = {
		{ "/c/*.conf", "/c/a.conf", true }, { "/c/*.conf", "/c/.conf", false },
		{ "/c/*", "/c/.hidden", false }, { "/c/.*", "/c/.hidden", true },
		{ "/c/*", "/c/d/a", false }, { "/*/a", "/c/a", false }, { "a?c", "abc", true },
		{ "a?c", "ac", false }, { "*a*b", "xaybzb", true }, { "*a*b", "xaybz", false },
		{ "**", "x", true }, { "*", "", true }, { "?", "", false }, { "abc", "abc", true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		assert_case(file_matches(slice(names[i].pattern), slice(names[i].name)) == names[i].matches,
		    i, names[i].pattern);
	assert_true(file_pattern(S("/c/*.conf")));
	assert_true(file_pattern(S("a?")));
	assert_false(file_pattern(S("/*/a")));
	assert_false(file_pattern(S("a")));
}

static void
files_travel_by_purpose(void **state)
{
	struct files from = { 0 }, to = { 0 };
	struct buf packed = BUF(4096);
	struct unpack u;

	(void)state;
	buf_add(&files_add(&from, S("/c"), FILE_CONFIG)->bytes, S("config"));
	buf_add(&files_add(&from, S("/k"), FILE_SIGNING_KEY)->bytes, S("secret"));
	buf_add(&files_add(&from, S("/k"), FILE_TLS_KEY)->bytes, S("other secret"));
	files_pack(&from, 1u << FILE_CONFIG | 1u << FILE_TLS_KEY, &packed);
	for (size_t n = 0; n < packed.n; n++) {
		struct files part = { 0 };

		u = (struct unpack){ slice_head(buf_slice(&packed), n), false };
		assert_false(files_unpack(&part, &u));
		files_free(&part);
	}
	u = (struct unpack){ buf_slice(&packed), false };
	assert_true(files_unpack(&to, &u));
	assert_true(unpack_done(&u));
	assert_int_equal(to.count, 2);
	assert_null(files_find(&to, S("/k"), FILE_SIGNING_KEY));
	assert_slice(buf_slice(&files_find(&to, S("/k"), FILE_TLS_KEY)->bytes), "other secret");
	assert_slice(buf_slice(&files_find(&to, S("/c"), FILE_CONFIG)->bytes), "config");
	for (enum file_purpose p = 0; p < FILE_PURPOSES; p++)
		assert_non_null(file_purpose_name(p));
	buf_free(&packed);
	files_free(&from);
	files_free(&to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grammar),
		cmocka_unit_test(words_know_their_place),
		cmocka_unit_test(a_flaw_shows_its_line),
		cmocka_unit_test(nothing_grows_without_a_ceiling),
		cmocka_unit_test(only_so_many_flaws_are_kept),
		cmocka_unit_test(patterns_match_names_of_files),
		cmocka_unit_test(files_travel_by_purpose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
