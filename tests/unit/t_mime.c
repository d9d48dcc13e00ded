/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "mail/mime.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(1 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

#define BYTES(s) { s, sizeof(s) - 1 }

/* --- what a field says: "type/subtype|name=value|…", '?' for a doubt --------- */

static const struct { const char *value, *says; } value_cases[] = {
	{ "text/plain", "text/plain" },
	{ " Text/PLAIN; Charset=UTF-8", "text/plain|charset=UTF-8" },   /* RFC 2045 5.1 */
	{ "text/plain;charset=\"utf-8\"", "text/plain|charset=utf-8" },
	{ "text/plain;\r\n\tcharset=utf-8;\r\n format=flowed", "text/plain|charset=utf-8|format=flowed" },
	{ "text/plain; charset=utf-8;", "text/plain|charset=utf-8" },
	{ "text/plain; charset=utf-8 ; ", "text/plain|charset=utf-8" },
	{ "multipart/mixed; boundary=\"a b;c\"", "multipart/mixed|boundary=a b;c" },
	{ "multipart/mixed; boundary=a'+_,-./b", "multipart/mixed|boundary=a'+_,-./b?" },
	{ "multipart/mixed; boundary=----=_Part_1", "multipart/mixed|boundary=----=_Part_1?" },
	{ "application/x-y; name=a/b=c", "application/x-y|name=a/b=c" },
	{ "application/x-y; name=\"a\\\"b\"", "application/x-y|name=a\"b" },
	{ "application/x-y; name*0*=utf-8''a; name*1=b", "application/x-y|name*0*=utf-8''a|name*1=b" },
	{ "inline", "inline/" },                                        /* RFC 2183 */
	{ "attachment; filename=\"\"", "attachment/|filename=" },
	/* what two readers read differently */
	{ "text/plain (comment); charset=utf-8", "text/plain|charset=utf-8?" },
	{ "text/plain; charset=utf-8 (comment)", "text/plain|charset=utf-8?" },
	{ "text/plain; charset=utf-8; charset=us-ascii", "text/plain|charset=utf-8|charset=us-ascii?" },
	{ "text/plain; charset*=us-ascii'en'utf-8", "text/plain|charset*=us-ascii'en'utf-8?" }, /* RFC 2231 */
	{ "multipart/mixed; boundary*0=a; boundary*1=b", "multipart/mixed|boundary*0=a|boundary*1=b?" },
	{ "multipart/mixed; boundary=\"a\\b\"", "multipart/mixed|boundary=ab?" },
	{ "multipart/mixed; boundary=\"a\r\n b\"", "multipart/mixed|boundary=a b?" },
	/* what does not follow the grammar */
	{ "", "/?" },
	{ "text / plain", "text/?" },
	{ "text/", "text/?" },
	{ "text/plain charset=utf-8", "text/plain?" },
	{ "text/plain; charset", "text/plain?" },
	{ "text/plain; charset=", "text/plain?" },
	{ "text/plain; charset =utf-8", "text/plain?" },
	{ "text/plain; =utf-8", "text/plain?" },
	{ "text/plain;; charset=utf-8", "text/plain?" },
	{ "text/plain; charset=\"utf-8", "text/plain?" },
	{ "text/plain; charset=utf-8 x", "text/plain|charset=utf-8?" },
	{ "text/plain; (open", "text/plain?" },
	{ "te<t/plain", "te/?" },
};

static void
add_says(struct buf *b, const struct mime_value *v)
{
	buf_printf(b, "%.*s/%.*s", FMT(v->type), FMT(v->subtype));
	for (size_t i = 0; i < v->count; i++)
		buf_printf(b, "|%.*s=%.*s", FMT(v->parameters[i].name), FMT(v->parameters[i].value));
	if (v->doubtful)
		buf_byte(b, '?');
}

static void
values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(value_cases); i++) {
		struct buf b = BUF(1000);
		struct mime_value v;

		mime_value_parse(&v, slice(value_cases[i].value), arena);
		add_says(&b, &v);
		if (!slice_eq(buf_slice(&b), slice(value_cases[i].says)))
			print_error("\"%.*s\"\n", FMT(buf_slice(&b)));
		assert_case(slice_eq(buf_slice(&b), slice(value_cases[i].says)), i, value_cases[i].value);
		buf_free(&b);
	}
}

static void
a_stranger_cannot_give_too_many_parameters(void **state)
{
	struct buf b = BUF(10000);
	struct mime_value v;

	(void)state;
	buf_add(&b, S("text/plain"));
	for (int i = 0; i < MIME_PARAMETERS; i++)
		buf_printf(&b, "; p%d=%d", i, i);
	mime_value_parse(&v, buf_slice(&b), arena);
	assert_false(v.doubtful);
	assert_slice(mime_parameter(&v, "p15"), "15");
	assert_null(mime_parameter(&v, "p16").p);
	buf_add(&b, S("; p16=16"));
	mime_value_parse(&v, buf_slice(&b), arena);
	assert_true(v.doubtful);
	assert_int_equal(v.count, MIME_PARAMETERS);
	buf_free(&b);
}

static const struct {
	const char *header, *type;
	enum mime_encoding encoding;
	bool attached, doubtful;
} entity_cases[] = {
	{ "", "text/plain", MIME_7BIT, false, false },                  /* RFC 2045 5.2, 6.1 */
	{ "Content-Type: text/html\r\n", "text/html", MIME_7BIT, false, false },
	{ "Content-Transfer-Encoding: 8BIT\r\n", "text/plain", MIME_8BIT, false, false },
	{ "Content-Transfer-Encoding: Base64 \r\n", "text/plain", MIME_BASE64, false, false },
	{ "Content-Transfer-Encoding: quoted-printable\r\n", "text/plain", MIME_QUOTED_PRINTABLE, false, false },
	{ "Content-Transfer-Encoding: binary\r\n", "text/plain", MIME_BINARY, false, false },
	{ "Content-Transfer-Encoding: base64 (x)\r\n", "text/plain", MIME_OTHER, false, false },
	{ "Content-Transfer-Encoding:\r\n", "text/plain", MIME_OTHER, false, false },
	{ "Content-Disposition: inline; filename=x\r\n", "text/plain", MIME_7BIT, false, false },
	{ "Content-Disposition: attachment\r\n", "text/plain", MIME_7BIT, true, false },
	{ "Content-Disposition: unheard-of\r\n", "text/plain", MIME_7BIT, true, false },  /* RFC 2183 2.8 */
	{ "Content-Type: text\r\n", "text/", MIME_7BIT, false, true },
	{ "Content-Type: text/html\r\nContent-Type: text/plain\r\n", "text/html", MIME_7BIT, false, true },
	{ "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n", "text/plain", MIME_7BIT, false, true },
	{ "Content-Disposition: inline\r\nContent-Disposition: inline\r\n", "text/plain", MIME_7BIT, false, true },
};

static void
entities(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(entity_cases); i++) {
		struct mime_entity e;
		char type[100];
		struct header h;

		assert_true(header_parse(&h, slice(entity_cases[i].header), arena, NULL));
		mime_entity_of(&h, arena, &e);
		snprintf(type, sizeof type, "%.*s/%.*s", FMT(e.type.type), FMT(e.type.subtype));
		assert_case(strcmp(type, entity_cases[i].type) == 0, i, "type");
		assert_case(e.encoding == entity_cases[i].encoding, i, "encoding");
		assert_case(e.attached == entity_cases[i].attached, i, "attached");
		assert_case(e.doubtful == entity_cases[i].doubtful, i, "doubtful");
	}
}

static void
boundaries_are_printable_and_bounded(void **state)
{
	static const struct { const char *value; bool good; } cases[] = {
		{ "multipart/mixed; boundary=a", true },
		{ "multipart/mixed; boundary=\"a b\"", true },
		{ "multipart/mixed; boundary=\"a%&#b\"", true },
		{ "multipart/mixed", false },
		{ "multipart/mixed; boundary=\"\"", false },
		{ "multipart/mixed; boundary=\"a \"", false },          /* RFC 2046 5.1.1 */
		{ "multipart/mixed; boundary=\"a\tb\"", false },
		{ "multipart/mixed; boundary=\"\xc3\xa4\"", false },
	};
	struct buf b = BUF(1000);
	struct mime_value v;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		mime_value_parse(&v, slice(cases[i].value), arena);
		assert_case((mime_boundary(&v).p != NULL) == cases[i].good, i, cases[i].value);
	}
	buf_add(&b, S("multipart/mixed; boundary="));
	for (int i = 0; i < BOUNDARY_MOST; i++)
		buf_byte(&b, 'b');
	mime_value_parse(&v, buf_slice(&b), arena);
	assert_int_equal(mime_boundary(&v).n, BOUNDARY_MOST);
	buf_byte(&b, 'b');
	mime_value_parse(&v, buf_slice(&b), arena);
	assert_null(mime_boundary(&v).p);
	buf_free(&b);
}

/* --- multiparts: each delimiter as "from-to", "!" the close, then ODD and STRAY --- */

static const struct { struct slice stream; const char *boundary, *says; } multipart_cases[] = {
	{ BYTES(""), "b", "" },
	{ BYTES("text\r\n"), "b", "" },
	{ BYTES("--b\r\n\r\nx\r\n--b--\r\n"), "b", "0-5 10-17! " },
	{ BYTES("preamble\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\nepilogue\r\n--b\r\n"), "b",
	    "10-15 20-25 30-37! " },
	{ BYTES("--b\r\n--b--\r\n"), "b", "0-5 5-12! " },
	{ BYTES("--b \t\r\nx\r\n--b-- \r\n"), "b", "0-7 10-18! " },     /* transport padding */
	{ BYTES("--b\r\nx\r\n--b--"), "b", "0-5 8-13! " },              /* no line end at the end */
	{ BYTES("--b\r\nx\r\n--b"), "b", "0-5 8-11 " },
	{ BYTES("--b\r\nx\r\n--b-- \r"), "b", "0-5 8-15! STRAY" },
	{ BYTES("--b\r\nx\r\n"), "b", "0-5 " },                         /* never closed */
	{ BYTES("--b--\r\n"), "b", "0-7! " },
	{ BYTES(" --b\r\nx--b\r\n-- b\r\n"), "b", "" },
	{ BYTES("--B\r\n"), "b", "" },                                  /* case counts */
	/* one boundary is the beginning of another (RFC 2046 5.1.1, notes) */
	{ BYTES("--bc\r\n--b\r\n--bc--\r\n--b--\r\n"), "b", "6-11 19-26! ODD" },
	{ BYTES("--bc\r\n--b\r\n--bc--\r\n--b--\r\n"), "bc", "0-6 11-19! " },
	{ BYTES("--b-\r\n--b\r\n"), "b", "6-11 ODD" },
	{ BYTES("--b--x\r\n--b\r\n"), "b", "8-13 ODD" },
	{ BYTES("--b x\r\n--b\r\n"), "b", "7-12 ODD" },
	{ BYTES("--b\r\n--b-"), "b", "0-5 ODD" },
	/* only CRLF ends a line */
	{ BYTES("x\n--b\r\n--b--\r\n"), "b", "7-14! STRAY" },
	{ BYTES("--b\n--b\r\n"), "b", "ODD STRAY" },
	{ BYTES("--b\r--b\r\n"), "b", "ODD STRAY" },
	{ BYTES("--b\r\r\n--b\r\n"), "b", "6-11 ODD STRAY" },
	{ BYTES("x\ry\r\n--b\r\n"), "b", "5-10 STRAY" },
	{ BYTES("x\r\r\n--b\r\n"), "b", "4-9 STRAY" },
	{ BYTES("\n--b\r\n"), "b", "STRAY" },
	{ BYTES("x\0y\r\n--b\r\n"), "b", "5-10 STRAY" },
	{ BYTES("--b\r\nx\r"), "b", "0-5 STRAY" },
	{ BYTES("--b--\r\nx\ny\r"), "b", "0-7! " },                     /* the epilogue is free */
	{ BYTES("----\r\n----x\r\n"), "--", "0-6 ODD" },
	{ BYTES("------\r\n"), "--", "0-8! " },
};

static void
run_multipart(struct slice stream, struct slice boundary, size_t step, struct buf *b)
{
	struct multipart m;

	multipart_begin(&m, boundary);
	while (stream.n) {
		struct slice input = slice_head(stream, step);

		stream = slice_skip(stream, step);
		while (multipart_next(&m, &input))
			buf_printf(b, "%d-%d%s ", (int)m.line, (int)m.taken, m.closed ? "!" : "");
		assert_int_equal(input.n, 0);
	}
	if (multipart_finish(&m))
		buf_printf(b, "%d-%d%s ", (int)m.line, (int)m.taken, m.closed ? "!" : "");
	buf_printf(b, "%s%s%s", m.odd ? "ODD" : "", m.odd && m.stray ? " " : "", m.stray ? "STRAY" : "");
}

static void
delimiters_are_found_in_a_stream(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(multipart_cases); i++)
		for (size_t step = 1; step < 40; step++) {
			struct buf b = BUF(1000);

			run_multipart(multipart_cases[i].stream, slice(multipart_cases[i].boundary), step, &b);
			if (!slice_eq(buf_slice(&b), slice(multipart_cases[i].says)))
				print_error("step %zu: \"%.*s\"\n", step, FMT(buf_slice(&b)));
			assert_case(slice_eq(buf_slice(&b), slice(multipart_cases[i].says)), i,
			    multipart_cases[i].says);
			buf_free(&b);
		}
}

/* A million multiparts in each other are a million lines. */
static void
depth_costs_nothing(void **state)
{
	struct multipart m;
	uint64_t seen = 0;

	(void)state;
	multipart_begin(&m, S("b"));
	for (int i = 0; i < 1000000; i++) {
		struct slice input = S("--c\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n");

		while (multipart_next(&m, &input))
			seen++;
	}
	assert_int_equal(seen, 0);
	assert_false(m.odd || m.stray || multipart_finish(&m));
}

/* --- transfer encodings ----------------------------------------------------------- */

static const struct { const char *text, *encoded; } quoted_cases[] = {
	{ "", "" },
	{ "a\r\n", "a\r\n" },
	{ "-- \r\n", "--=20\r\n" },                                     /* RFC 2045 6.7 (3) */
	{ "a b\tc\t\r\n", "a b\tc=09\r\n" },
	{ "a=b\r\n", "a=3Db\r\n" },
	{ "\xc3\xa4\r\n\r\n.\r\n", "=C3=A4\r\n\r\n.\r\n" },
	{ "no end", "no end\r\n" },
	{ "1234567890123456789012345678901234567890123456789012345678901234567890123456\r\n",
	    "1234567890123456789012345678901234567890123456789012345678901234567890123456\r\n" },
	{ "12345678901234567890123456789012345678901234567890123456789012345678901234567\r\n",
	    "123456789012345678901234567890123456789012345678901234567890123456789012345=\r\n67\r\n" },
	{ "1234567890123456789012345678901234567890123456789012345678901234567890123=\r\n",
	    "1234567890123456789012345678901234567890123456789012345678901234567890123=3D\r\n" },
	{ "12345678901234567890123456789012345678901234567890123456789012345678901234=\r\n",
	    "12345678901234567890123456789012345678901234567890123456789012345678901234=\r\n=3D\r\n" },
};

static void
quoted_printable(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(quoted_cases); i++) {
		struct buf b = BUF(1000);

		quoted_printable_add(&b, slice(quoted_cases[i].text));
		assert_case(slice_eq(buf_slice(&b), slice(quoted_cases[i].encoded)), i, quoted_cases[i].text);
		buf_free(&b);
	}
}

static void
base64_in_lines(void **state)
{
	struct buf b = BUF(1000);

	(void)state;
	base64_lines_add(&b, S(""));
	assert_int_equal(b.n, 0);
	base64_lines_add(&b, S("123456789012345678901234567890123456789012345678901234567"));
	base64_lines_add(&b, S("1234567890123456789012345678901234567890123456789012345678"));
	assert_slice(buf_slice(&b),
	    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\r\n"
	    "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\r\n"
	    "OA==\r\n");
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stranger_cannot_give_too_many_parameters, setup, teardown),
		cmocka_unit_test_setup_teardown(entities, setup, teardown),
		cmocka_unit_test_setup_teardown(boundaries_are_printable_and_bounded, setup, teardown),
		cmocka_unit_test(delimiters_are_found_in_a_stream),
		cmocka_unit_test(depth_costs_nothing),
		cmocka_unit_test(quoted_printable),
		cmocka_unit_test(base64_in_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
