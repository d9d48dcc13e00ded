/* SPDX-License-Identifier: ISC */
/* Lines of the log read back, and found by their words (queue/past.h). */
#include "queue/past.h"
#include "unit.h"

#define HEAD "2026-11-22T10:04:31.412Z info "

static void
add_word(void *arg, struct slice word)
{
	buf_printf(arg, "%.*s|", FMT(word));
}

static void
a_line_is_found_by_its_words(void **state)
{
	static const struct { const char *line, *words; } cases[] = {
		{ HEAD "1S3W6QK4T9ZC received client=192.0.2.1 from=<a@a.test> to=<b@b.test>,<c@c.test> rcpts=2 "
		    "message-id=<x.1@a.test>\n", "1S3W6QK4T9ZC|a@a.test|b@b.test|c@c.test|x.1@a.test|" },
		{ HEAD "- refused from=<> to=<b@b.test> why=\"550 to=<no@no.test> is not\"\n", "b@b.test|" },
		{ HEAD "1S3W6QK4T9ZC queued parent=000000000001 reason=list", "1S3W6QK4T9ZC|000000000001|" },
		{ HEAD "1S3W6QK4T9ZC report kind=failed to=<a@a.test> of=000000000001\n",
		    "1S3W6QK4T9ZC|a@a.test|000000000001|" },
		{ HEAD "- refused from=\"<\\\"a b\\\"@a.test>\" to=<x@y.test>\n", "\\\"a b\\\"@a.test|x@y.test|" },
		{ HEAD "1S3W6QK4T9ZC rejected message-id=\"no path at all\"\n", "1S3W6QK4T9ZC|no path at all|" },
		{ HEAD "1S3W6QK4T9ZC delivered to=<m@m.test> orig-to=<list@b.test> mx=h.test", "1S3W6QK4T9ZC|m@m.test|"
		    "list@b.test|" },
		{ HEAD "- not-kept count=4\n", "not-kept|" },
		{ HEAD "1S3W6QK4T9ZC dropped to=\"<open@a.test", "1S3W6QK4T9ZC|open@a.test|" },
		{ HEAD "1S3W6QK4T9ZC dropped to=\"\\", "1S3W6QK4T9ZC|\\|" },
		{ "one two", "" }, { "", "" }, { "a b c ", "" }, { "\n\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf got = BUF(1000);

		past_words(slice(cases[i].line), add_word, &got);
		assert_case(slice_eq(buf_slice(&got), slice(cases[i].words)), i, cases[i].line);
		buf_free(&got);
	}
}

static void
values_are_found_by_their_keys(void **state)
{
	struct past_line l;

	(void)state;
	assert_true(past_line(S(HEAD "- refused why=\"say \\\"EHLO\\\" first\" reply=503 to=<a=b@x.test>\n"), &l));
	assert_slice(l.when, "2026-11-22T10:04:31.412Z");
	assert_slice(l.event, "refused");
	assert_slice(past_value(&l, "why"), "say \\\"EHLO\\\" first");
	assert_slice(past_value(&l, "reply"), "503");
	assert_slice(past_value(&l, "to"), "<a=b@x.test>");
	assert_int_equal(past_value(&l, "EHLO").n, 0);
}

/* What is typed and what is logged of the same thing are the same word. */
static void
what_is_typed_is_a_word(void **state)
{
	static const struct { const char *typed, *word; } cases[] = {
		{ "a@b.test", "a@b.test" }, { "<a@b.test>", "a@b.test" }, { " A@B.TEST ", "a@b.test" },
		{ "1s3w6qk4t9zc", "1S3W6QK4T9ZC" }, { "\"a b\"@x.test", "\\\"a b\\\"@x.test" },
		{ "a\\b@x.test", "a\\x5Cb@x.test" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf word = BUF(100);

		past_word_add(&word, slice(cases[i].typed));
		assert_case(slice_eqi(buf_slice(&word), slice(cases[i].word)), i, cases[i].typed);
		assert_case(past_hash(buf_slice(&word)) == past_hash(slice(cases[i].word)), i, "its hash");
		buf_free(&word);
	}
}

static void
an_index_tells_what_is_in_its_block(void **state)
{
	struct past_block b;
	struct buf packed = BUF(PAST_INDEX), line = BUF(1000);
	struct past_index x;
	int count = 0;

	(void)state;
	past_block_begin(&b);
	for (;; count++) {
		buf_clear(&line);
		buf_printf(&line, HEAD "%012d received from=<s@a.test> to=<%d@b.test>\n", count, count);
		if (!past_block_add(&b, buf_slice(&line), 1000 + count))
			break;
	}
	assert_true(count > 500);
	past_index_add(&packed, &b);
	assert_false(packed.full);
	assert_true(past_index_read(&x, buf_slice(&packed)));
	assert_int_equal(x.last, 1000 + count - 1);
	assert_int_equal(x.bytes, b.text.n);
	assert_int_equal(x.hashes.n / 4, 2 * count + 1);        /* each word once */
	for (int i = 0; i < count; i++) {
		buf_clear(&line);
		buf_printf(&line, "%d@B.test", i);
		assert_true(past_index_has(&x, past_hash(buf_slice(&line))));
	}
	assert_true(past_index_has(&x, past_hash(S("S@a.test"))));
	assert_false(past_index_has(&x, past_hash(S("nobody@b.test"))));
	assert_false(past_index_read(&x, slice_head(buf_slice(&packed), 13)));
	assert_false(past_index_read(&x, slice_head(buf_slice(&packed), 11)));
	past_block_free(&b);
	buf_free(&packed);
	buf_free(&line);
}

/* Nobody fills a block with one line, nor an index with words. */
static void
long_lines_and_many_words_are_cut(void **state)
{
	struct past_block b;
	struct buf line = BUF(40000), packed = BUF(PAST_INDEX);

	(void)state;
	past_block_begin(&b);
	buf_add(&line, S(HEAD "1S3W6QK4T9ZC received to="));
	for (int i = 0; i < 6000; i++)
		buf_printf(&line, "%s<%d>", i > 0 ? "," : "", i % 10);
	buf_byte(&line, '\n');
	for (int i = 0; i < 100 && past_block_add(&b, buf_slice(&line), 1); i++)
		assert_int_equal(b.text.n, (size_t)(i + 1) * (PAST_LINE + 1));
	assert_true(b.text.n >= PAST_BLOCK / 2 && b.text.n <= PAST_BLOCK);
	past_index_add(&packed, &b);
	assert_false(packed.full);
	past_block_free(&b);
	buf_free(&line);
	buf_free(&packed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_found_by_its_words),
		cmocka_unit_test(values_are_found_by_their_keys),
		cmocka_unit_test(what_is_typed_is_a_word),
		cmocka_unit_test(an_index_tells_what_is_in_its_block),
		cmocka_unit_test(long_lines_and_many_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
