/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/text.h"
#include "mail/words.h"
#include "unit.h"

static const struct { const char *text, *says; } decode_cases[] = {
	{ "", "" },
	{ "plain words", "plain words" },
	{ "=?utf-8?q?J=C3=BCrgen?=", "J\xc3\xbcrgen" },
	{ "=?UTF-8?B?SsO8cmdlbg==?=", "J\xc3\xbcrgen" },
	{ "=?us-ascii?Q?a_b?=", "a b" },                                /* RFC 2047 4.2 (2) */
	{ "=?iso-8859-1?q?J=FCrgen?=", "J\xfcrgen" },                   /* bytes, not letters */
	{ "=?utf-8*de?q?a?=", "a" },                                    /* RFC 2231 5 */
	{ "=?utf-8?q?a?= =?utf-8?q?b?=", "ab" },                        /* RFC 2047 6.2 */
	{ "=?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab" },
	{ "=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c" },
	{ "Re: =?utf-8?q?a?=", "Re: a" },
	{ "folded\r\n text", "folded text" },
	{ "=?utf-8?q?a_?= =?utf-8?q?b?=", "a b" },
	{ "[=?utf-8?q?a?=]", "[a]" },                                   /* not allowed, but read */
	/* no encoded words */
	{ "=?utf-8?q?a b?=", "=?utf-8?q?a b?=" },
	{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
	{ "=?utf-8?q?a?", "=?utf-8?q?a?" },
	{ "=?utf-8?q?a", "=?utf-8?q?a" },
	{ "=?" "?q?a?=", "=?" "?q?a?=" },
	{ "=?", "=?" },
	{ "a =? b", "a =? b" },
	/* broken inside: what stands there */
	{ "=?utf-8?b?a?=", "a" },
	{ "=?utf-8?q?=ZZ=4?=", "=ZZ=4" },
};

static void
encoded_words_say_something(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(decode_cases); i++) {
		struct slice text = slice(decode_cases[i].text);
		struct buf b = BUF(text.n);             /* it never grows */

		words_decode(&b, text);
		assert_false(b.full);
		assert_case(slice_eq(buf_slice(&b), slice(decode_cases[i].says)), i, decode_cases[i].text);
		buf_free(&b);
	}
}

static const struct { const char *text, *words; } encode_cases[] = {
	{ "", "=?utf-8?q?" "?=" },
	{ "J\xc3\xbcrgen", "=?utf-8?q?J=C3=BCrgen?=" },
	{ "a b", "=?utf-8?q?a_b?=" },
	{ "a_b=c?d\"", "=?utf-8?q?a=5Fb=3Dc=3Fd=22?=" },
	{ "a\r\nb\x7f", "=?utf-8?q?a=3F=3Fb=3F?=" },                    /* nothing ends a line */
	{ "\x80\x80", "=?utf-8?q?=3F=3F?=" },
	{ "\xc3(", "=?utf-8?q?=3F=28?=" },
	{ "\xf0\x9f\x93\xa7", "=?utf-8?q?=F0=9F=93=A7?=" },
};

static void
text_becomes_encoded_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(encode_cases); i++) {
		struct buf b = BUF(1000);

		words_encode(&b, slice(encode_cases[i].text));
		assert_case(slice_eq(buf_slice(&b), slice(encode_cases[i].words)), i, encode_cases[i].text);
		buf_free(&b);
	}
}

static void
display_names(void **state)
{
	static const struct { const char *name, *phrase; } cases[] = {
		{ "Ann", "\"Ann\"" },
		{ "", "\"\"" },
		{ "Ann \"B\" \\", "\"Ann \\\"B\\\" \\\\\"" },
		{ "a\r\nBcc: b", "\"a??Bcc: b\"" },
		{ "J\xc3\xbcrgen \"B\"", "=?utf-8?q?J=C3=BCrgen_=22B=22?=" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf b = BUF(1000);

		phrase_add(&b, slice(cases[i].name));
		assert_case(slice_eq(buf_slice(&b), slice(cases[i].phrase)), i, cases[i].name);
		buf_free(&b);
	}
}

/* Every word is whole: no character is cut, none is over the limits (RFC 2047 2, 5). */
static void
long_texts_become_many_words(void **state)
{
	struct buf text = BUF(4000), words = BUF(20000), back = BUF(4000), one = BUF(4000);
	struct slice left;

	(void)state;
	for (int i = 0; i < 300; i++)
		buf_add(&text, i % 3 ? S("\xe2\x82\xac") : i % 2 ? S("x y") : S("\xf0\x9f\x93\xa7"));
	words_encode(&words, buf_slice(&text));
	words_decode(&back, buf_slice(&words));
	assert_true(slice_eq(buf_slice(&back), buf_slice(&text)));
	for (left = buf_slice(&words); left.n; left = slice_skip(left, is_space(*left.p) ? 3 : 0)) {
		size_t n = encoded_word_length(left);

		assert_true(n > 0 && n <= 60 && n <= WORD_MOST);
		buf_clear(&one);
		words_decode(&one, slice_head(left, n));
		assert_true(utf8_valid(buf_slice(&one)));
		left = slice_skip(left, n);
		if (left.n == 0)
			break;
		assert_true(slice_starts(left, S("\r\n ")));
	}
	buf_free(&text);
	buf_free(&words);
	buf_free(&back);
	buf_free(&one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoded_words_say_something),
		cmocka_unit_test(text_becomes_encoded_words),
		cmocka_unit_test(display_names),
		cmocka_unit_test(long_texts_become_many_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
