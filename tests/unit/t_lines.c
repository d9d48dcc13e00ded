/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "mail/lines.h"
#include "unit.h"

/* --- lines: what comes out of a stream, "kind:line" joined with '|' ------- */

static const char *const KINDS[] = { "part", "whole", "long", "bare", "nul" };

#define BYTES(s) { s, sizeof(s) - 1 }

static const struct { struct slice stream; const char *lines; } line_cases[] = {
	{ BYTES("EHLO a\r\nNOOP\r\n"), "whole:EHLO a|whole:NOOP|" },
	{ BYTES("EHLO a"), "" },
	{ BYTES("\r\n"), "whole:|" },
	{ BYTES("a\nb\r\n"), "bare:a|whole:b|" },                  /* RFC 5321 2.3.8 */
	{ BYTES("a\rb\r\n"), "bare:a\rb|" },
	{ BYTES("a\r\r\n"), "bare:a\r|" },
	{ BYTES("a\0b\r\n"), "nul:a" },                            /* shown up to the NUL */
	{ BYTES("0123456789abcdef\r\nb\r\n"), "long:0123456789abcdef|whole:b|" },
	{ BYTES("0123456789abcd\r\nb\r\n"), "whole:0123456789abcd|whole:b|" },
};

/* Push `step` bytes at a time, as a network would. */
static void
run_lines(struct slice stream, size_t step, struct buf *out)
{
	struct lines l = { .ceiling = 16 };
	struct buf held = BUF(4096);

	while (stream.n) {
		struct slice input, line;
		enum line_kind kind;

		buf_add(&held, slice_head(stream, step));
		stream = slice_skip(stream, step);
		input = buf_slice(&held);
		while ((kind = lines_next(&l, &input, &line)) != LINE_PART)
			buf_printf(out, "%s:%.*s|", KINDS[kind], kind == LINE_LONG ? 0 : (int)line.n,
			    line.p);
		buf_drop(&held, held.n - input.n);
	}
	buf_free(&held);
}

static void
lines_end_with_crlf_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(line_cases); i++)
		for (size_t step = 1; step < 20; step++) {
			struct buf out = BUF(4096);
			struct slice want = slice(line_cases[i].lines);

			run_lines(line_cases[i].stream, step, &out);
			if (slice_starts(want, S("long:"))) {   /* its text is not kept */
				assert_true(slice_starts(buf_slice(&out), S("long:|whole:b|")));
			} else {
				assert_case(slice_starts(buf_slice(&out), want), i, line_cases[i].lines);
			}
			buf_free(&out);
		}
}

static void
an_endless_line_needs_no_memory(void **state)
{
	struct lines l = { .ceiling = 512 };
	char many[4096];
	struct slice line, input;

	(void)state;
	memset(many, 'x', sizeof many);
	for (int i = 0; i < 1000; i++) {
		input = slice_of(many, sizeof many);
		assert_int_equal(lines_next(&l, &input, &line), LINE_PART);
		assert_int_equal(input.n, 0);
	}
	input = S("\r\nNOOP\r\n");
	assert_int_equal(lines_next(&l, &input, &line), LINE_LONG);
	assert_int_equal(lines_next(&l, &input, &line), LINE_WHOLE);
	assert_slice(line, "NOOP");
}

/* --- text: DATA ----------------------------------------------------------- */

static const struct {
	struct slice wire;
	const char  *text;
	bool         ended, cr, lf;
	const char  *left;              /* behind the end */
} text_cases[] = {
	{ BYTES(".\r\n"), "", true, false, false, "" },            /* RFC 5321 4.1.1.4 */
	{ BYTES("a\r\n.\r\nQUIT\r\n"), "a\r\n", true, false, false, "QUIT\r\n" },
	{ BYTES("..a\r\n...\r\n.b\r\n.\r\n"), ".a\r\n..\r\nb\r\n", true, false, false, "" }, /* 4.5.2 */
	{ BYTES("a\r\n\r\n.\r\n"), "a\r\n\r\n", true, false, false, "" },
	/* None of these ends a text (J3, 1 to 8). */
	{ BYTES("a\n.\nX"), "a\n.\nX", false, false, true, "" },
	{ BYTES("a\n.\r\nX"), "a\n.\r\nX", false, false, true, "" },
	{ BYTES("a\r\n.\nX"), "a\r\n\nX", false, false, true, "" },
	{ BYTES("a\r.\rX"), "a\r.\rX", false, true, false, "" },
	{ BYTES("a\r\n.\rX"), "a\r\n\rX", false, true, false, "" },
	{ BYTES("a\r.\r\nX"), "a\r.\r\nX", false, true, false, "" },
	{ BYTES("a\n.\r\r\nX"), "a\n.\r\r\nX", false, true, true, "" },
	{ BYTES("a\r\r\n.\r\nX"), "a\r\r\n", true, true, false, "X" },
	{ BYTES("\n.\r\n"), "\n.\r\n", false, false, true, "" },
};

static void
run_text(struct text *t, struct slice wire, size_t step, struct buf *out, struct buf *left)
{
	while (wire.n) {
		struct slice input = slice_head(wire, step), piece;

		wire = slice_skip(wire, step);
		while (text_next(t, &input, &piece))
			buf_add(out, piece);
		buf_add(left, input);
	}
}

static void
only_crlf_dot_crlf_ends_a_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(text_cases); i++)
		for (size_t step = 1; step < 30; step++) {
			struct text t = { 0 };
			struct buf out = BUF(4096), left = BUF(4096);

			run_text(&t, text_cases[i].wire, step, &out, &left);
			assert_case(slice_eq(buf_slice(&out), slice(text_cases[i].text)), i,
			    text_cases[i].text);
			assert_case(slice_eq(buf_slice(&left), slice(text_cases[i].left)), i,
			    text_cases[i].left);
			assert_case(t.ended == text_cases[i].ended, i, "ended");
			assert_case(t.bare_cr == text_cases[i].cr, i, "bare CR");
			assert_case(t.bare_lf == text_cases[i].lf, i, "bare LF");
			assert_int_equal(t.size, out.n);
			buf_free(&out);
			buf_free(&left);
		}
}

static void
repair_makes_line_ends_but_no_ends_of_text(void **state)
{
	static const struct { struct slice wire; const char *text; bool ended; } cases[] = {
		{ BYTES("a\nb\r\n.\r\n"), "a\r\nb\r\n", true },
		{ BYTES("a\n.\nX\r\n.\r\n"), "a\r\n.\r\nX\r\n", true },
		{ BYTES("a\rb\r\n.\r\n"), "a\r\nb\r\n", true },
		{ BYTES("a\n.\r\nX"), "a\r\n.\r\nX", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t step = 1; step < 20; step++) {
			struct text t = { .bare = BARE_REPAIR };
			struct buf out = BUF(4096), left = BUF(4096);

			run_text(&t, cases[i].wire, step, &out, &left);
			assert_case(slice_eq(buf_slice(&out), slice(cases[i].text)), i, cases[i].text);
			assert_int_equal(t.ended, cases[i].ended);
			buf_free(&out);
			buf_free(&left);
		}
}

static void
a_counted_text_has_no_dots_and_no_end(void **state)
{
	struct text t = { .counted = true };
	struct buf out = BUF(4096), left = BUF(4096);

	(void)state;
	run_text(&t, S("a\r\n.\r\n..b\r\n\r"), 3, &out, &left);
	buf_add(&out, text_finish(&t));
	assert_slice(buf_slice(&out), "a\r\n.\r\n..b\r\n\r");
	assert_true(t.bare_cr);
	assert_false(t.ended);
	assert_int_equal(left.n, 0);
	buf_free(&out);
	buf_free(&left);
}

static void
the_longest_line_is_known(void **state)
{
	struct text t = { 0 };
	struct buf out = BUF(4096), left = BUF(4096);

	(void)state;
	run_text(&t, S("abc\r\nabcdefg\r\nab\r\n"), 4, &out, &left);
	assert_int_equal(t.longest, 7);
	buf_free(&out);
	buf_free(&left);
}

/* --- stuffing -------------------------------------------------------------- */

static void
stuff(struct slice text, size_t step, struct buf *wire)
{
	struct stuffing s = { 0 };

	while (text.n) {
		struct slice input = slice_head(text, step), piece;
		bool dot;

		text = slice_skip(text, step);
		while (stuffing_next(&s, &input, &dot, &piece)) {
			if (dot)
				buf_byte(wire, '.');
			buf_add(wire, piece);
		}
	}
}

static void
what_was_stuffed_comes_back(void **state)
{
	static const struct slice texts[] = {
		BYTES("a\r\n"), BYTES(".\r\n"), BYTES("..\r\n.a\r\nb.\r\n"), BYTES("\r\n.\r\n\r\n"),
		BYTES("\r\n.\r\n.\r\n"), BYTES("x\n.\r\n"), BYTES("x\r.\r\n"),
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		for (size_t step = 1; step < 12; step++) {
			struct buf wire = BUF(4096), out = BUF(4096), left = BUF(4096);
			struct text t = { 0 };

			stuff(texts[i], step, &wire);
			buf_add(&wire, S(".\r\n"));
			run_text(&t, buf_slice(&wire), 1, &out, &left);
			assert_true(t.ended);
			assert_case(slice_eq(buf_slice(&out), texts[i]), i, "text");
			buf_free(&wire);
			buf_free(&out);
			buf_free(&left);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_end_with_crlf_and_nothing_else),
		cmocka_unit_test(an_endless_line_needs_no_memory),
		cmocka_unit_test(only_crlf_dot_crlf_ends_a_text),
		cmocka_unit_test(repair_makes_line_ends_but_no_ends_of_text),
		cmocka_unit_test(a_counted_text_has_no_dots_and_no_end),
		cmocka_unit_test(the_longest_line_is_known),
		cmocka_unit_test(what_was_stuffed_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
