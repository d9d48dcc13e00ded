/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "lab/written.h"
#include "unit.h"

enum { MEMORY = 1 << 20 };

#define HEADER(from, to) "From: " from "\r\nTo: " to "\r\nSubject: hello\r\n" \
	"Date: Mon, 01 Jun 2026 12:00:00 +0000\r\nMessage-ID: <7.42@a.test>\r\n"
#define PLAIN HEADER("x@a.test", "y@b.test") "\r\nHello\r\n"
#define HIDDEN "MAIL FROM:<x@a.test>\r\nRCPT TO:<z@b.test>\r\nDATA\r\n" \
	"From: x@a.test\r\nTo: z@b.test\r\nSubject: smuggled\r\n\r\nsmuggled\r\n"
#define HIDE "x@a.test to y@b.test { hide message to z@b.test behind "

enum { EIGHT = 1, UTF8 = 2, TLS = 4 };

static const struct { const char *send, *text; unsigned asks; } cases[] = {
	{ "x@a.test to y@b.test", PLAIN, 0 },
	{ "x@a.test to y@b.test, u@b.test { require tls }", PLAIN, TLS },
	{ "x@a.test to y@b.test { text \"one\\n.\\ntwo\" }",
	    HEADER("x@a.test", "y@b.test") "\r\none\r\n.\r\ntwo\r\n", 0 },
	{ "x@a.test to y@b.test { header \"TLS-Required: No\" }",
	    HEADER("x@a.test", "y@b.test") "TLS-Required: No\r\n\r\nHello\r\n", 0 },
	/* 8BITMIME is for the text, SMTPUTF8 for what stands before it (RFC 6152 3, RFC 6531 3.4) */
	{ "x@a.test to y@b.test { text \"\303\274\" }", HEADER("x@a.test", "y@b.test") "\r\n\303\274\r\n", EIGHT },
	{ "x@a.test to y@b.test { header \"Comments: \303\274\" }",
	    HEADER("x@a.test", "y@b.test") "Comments: \303\274\r\n\r\nHello\r\n", EIGHT | UTF8 },
	{ "\"\303\274@a.test\" to y@b.test", HEADER("\303\274@a.test", "y@b.test") "\r\nHello\r\n", EIGHT | UTF8 },
	{ "x@a.test to y@b.test, \"\303\274@b.test\"", PLAIN, UTF8 },
	/* what only a careless host takes for the end (RFC 5321 4.1.1.4) */
	{ HIDE "lf-lf }", PLAIN "here it seems to end\n.\n" HIDDEN, 0 },
	{ HIDE "lf-crlf }", PLAIN "here it seems to end\n.\r\n" HIDDEN, 0 },
	{ HIDE "crlf-lf }", PLAIN "here it seems to end\r\n.\n" HIDDEN, 0 },
	{ HIDE "cr-cr }", PLAIN "here it seems to end\r.\r" HIDDEN, 0 },
	{ HIDE "cr-crlf }", PLAIN "here it seems to end\r.\r\n" HIDDEN, 0 },
	{ HIDE "crlf-crlf }", PLAIN "here it seems to end\r\n.\r\n" HIDDEN, 0 },
};

static struct scenario *
read_scenario(struct files *files, const char *send)
{
	struct reader reader = files_reader(files);
	struct scenario *sc;
	struct flaws flaws;

	buf_printf(&files_add(files, S("x.lab"), FILE_CONFIG)->bytes,
	    "lab {\n host a.test { domain a.test { } }\n send from %s\n}\n", send);
	flaws_begin(&flaws);
	sc = scenario_read(S("x.lab"), &reader, &flaws);
	assert_case(flaws.errors == 0, 0, send);
	flaws_end(&flaws);
	return sc;
}

static void
a_message_is_written(void **state)
{
	const struct written_by by = { 42, (int64_t)1780315200 * SECOND, 7 };    /* 2026-06-01T12:00:00Z */

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct files files = { 0 };
		struct scenario *sc = read_scenario(&files, cases[i].send);
		struct arena *arena = arena_new(MEMORY);
		struct written w;
		struct error why;

		assert_true(written_make(&w, statement_find(sc->first, LAB_SEND), &by, arena, &why));
		assert_slice(w.text, cases[i].text);
		assert_case(w.eight_bit == !!(cases[i].asks & EIGHT), i, "8BITMIME");
		assert_case(w.smtputf8 == !!(cases[i].asks & UTF8), i, "SMTPUTF8");
		assert_case(w.requiretls == !!(cases[i].asks & TLS), i, "REQUIRETLS");
		arena_free(arena);
		scenario_free(sc);
		files_free(&files);
	}
}

static void
a_file_that_is_not_there_is_told(void **state)
{
	const struct written_by by = { 42, 0, 1 };
	struct files files = { 0 };
	struct scenario *sc = read_scenario(&files, "x@a.test to y@b.test file \"/no/such/file\"");
	struct arena *arena = arena_new(MEMORY);
	struct written w;
	struct error why;

	(void)state;
	assert_false(written_make(&w, statement_find(sc->first, LAB_SEND), &by, arena, &why));
	assert_non_null(strstr(why.text, "/no/such/file"));
	arena_free(arena);
	scenario_free(sc);
	files_free(&files);
}

/* What no text of a scenario can say goes as it is: a file is the message, to the octet. */
static void
a_file_is_sent_to_the_octet(void **state)
{
	static const char text[] = "Subject: x\n\na\0b\r\nc\rd\n";
	const struct written_by by = { 42, 0, 1 };
	char path[] = "/tmp/t_written.XXXXXX", send[100];
	struct files files = { 0 };
	struct arena *arena = arena_new(MEMORY);
	struct scenario *sc;
	struct written w;
	struct error why;
	int fd = mkstemp(path);

	(void)state;
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, slice_of(text, sizeof text - 1), &why));
	close(fd);
	snprintf(send, sizeof send, "x@a.test to y@b.test file \"%s\"", path);
	sc = read_scenario(&files, send);
	assert_true(written_make(&w, statement_find(sc->first, LAB_SEND), &by, arena, &why));
	assert_true(slice_eq(w.text, S("Subject: x\r\n\r\na\0b\r\nc\rd\r\n")));
	unlink(path);
	arena_free(arena);
	scenario_free(sc);
	files_free(&files);
}

/* With the line ends of the wire it is longer: nothing of it is cut in silence. */
static void
a_file_that_is_too_long_is_told(void **state)
{
	const struct written_by by = { 42, 0, 1 };
	char path[] = "/tmp/t_written.XXXXXX", send[100], *lines = test_malloc(WRITTEN_MOST - 1);
	struct files files = { 0 };
	struct arena *arena = arena_new(2 * (size_t)WRITTEN_MOST);
	struct scenario *sc;
	struct written w;
	struct error why;
	int fd = mkstemp(path);

	(void)state;
	memset(lines, 'a', WRITTEN_MOST - 1);
	for (size_t i = 1; i < 10; i++)
		lines[i * 1000] = '\n';
	assert_int_not_equal(fd, -1);
	assert_true(file_write(fd, slice_of(lines, WRITTEN_MOST - 1), &why));
	close(fd);
	snprintf(send, sizeof send, "x@a.test to y@b.test file \"%s\"", path);
	sc = read_scenario(&files, send);
	assert_false(written_make(&w, statement_find(sc->first, LAB_SEND), &by, arena, &why));
	assert_string_equal(why.text, "the message is too long");
	unlink(path);
	test_free(lines);
	arena_free(arena);
	scenario_free(sc);
	files_free(&files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_written),
		cmocka_unit_test(a_file_that_is_not_there_is_told),
		cmocka_unit_test(a_file_is_sent_to_the_octet),
		cmocka_unit_test(a_file_that_is_too_long_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
