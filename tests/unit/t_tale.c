/* SPDX-License-Identifier: ISC */
/* What became of a message, in sentences: lines of the log in, text out (cmd/tale.h). */
#include <stdlib.h>

#include "cmd/tale.h"
#include "unit.h"

#define ID   "1S3W6QK4T9ZC"
#define POST "1S3W6QK4TA00"
#define AT(time) "2026-11-22T" time ".412Z "
#define CAME AT("08:38:02") "info " ID " received listener=mx client=192.0.2.25 helo=mx.a.test from=<a@a.test> " \
	"to=<b@b.test> rcpts=1 size=18211 tls=1.3 spf=pass dkim=pass:a.test dmarc=pass arc=none message-id=<1@a.test>\n"
#define CAME_TOLD \
	"  2026-11-22 08:38:02  accepted from 192.0.2.25 (mx.a.test) over TLS 1.3, from <a@a.test> to <b@b.test>, " \
	"18211 bytes\n" \
	"                       Message-ID <1@a.test>\n" \
	"                       found spf=pass dkim=pass:a.test dmarc=pass arc=none\n"
#define LATER(time, try) AT(time) "warn " ID " deferred to=<b@b.test> mx=mx1.b.test[203.0.113.9]:25 " \
	"policy=sts-enforce dsn=4.7.5 reply=\"certificate of \\\"mx1\\\" expired\" delay=1.0 try=" try " next=600\n"
#define MORE "                       "

static const struct {
	const char *lines, *row, *text;
	enum tale_end end;
} cases[] = {
	{ CAME AT("08:38:03") "info " ID " sealed domain=us.test selector=s instance=1 cv=none dkim=us.test\n"
	    AT("08:38:04") "info " ID " delivered to=<b@b.test> orig-to=<l@us.test> mx=mx1.b.test[203.0.113.9]:25 tls=1.3 "
	    "policy=dane verified=verified dsn=2.0.0 reply=\"250 ok 8F2\" delay=2.0 try=1\n", NULL,
	    ID "  Delivered to 1 recipient.\n" CAME_TOLD
	    "  2026-11-22 08:38:03  sealed for us.test as instance 1, cv=none; signed for us.test\n"
	    "  2026-11-22 08:38:04  try 1: delivered to <b@b.test> (for <l@us.test>) at mx1.b.test[203.0.113.9]:25 over TLS 1.3"
	    ", policy dane, proved\n" MORE "250 2.0.0 ok 8F2\n", TALE_DELIVERED },
	{ CAME LATER("08:38:03", "1") LATER("08:48:03", "2") LATER("08:58:03", "3"),
	    "{\"queue_name\":\"deferred\",\"expires\":1795768682,\"recipients\":[{\"address\":\"b@b.test\","
	    "\"next_attempt\":1795339083,\"attempts\":3}]}",
	    ID "  Not delivered yet to 1 recipient; it will be tried until 2026-11-27 08:38:02 (4d23h). "
	    "The message is safe in the queue.\n" CAME_TOLD
	    "  2026-11-22 08:38:03  try 1: not delivered yet to <b@b.test> at mx1.b.test[203.0.113.9]:25, policy sts-enforce\n"
	    MORE "4.7.5 certificate of \"mx1\" expired\n"
	    MORE "and 2 more tries with the same end, the last at 2026-11-22 08:58:03\n"
	    "  2026-11-22 09:18:03  next: try 4 for <b@b.test>, in 18m03s\n"
	    "What you can do: chainmail queue retry " ID " (now), hold, bounce (tell the sender), drop.\n", TALE_WAITING },
	{ CAME AT("08:38:03") "info " ID " tls-failed mx=mx1.b.test direction=out policy=opportunistic "
	    "reason=starttls-not-supported why=\"STARTTLS was refused: not now\"\n"
	    AT("08:38:04") "info " ID " delivered to=<b@b.test> mx=mx1.b.test[203.0.113.9]:25 policy=opportunistic "
	    "verified=none dsn=2.0.0 reply=\"250 ok\" delay=2.0 try=1\n", NULL,
	    ID "  Delivered to 1 recipient.\n" CAME_TOLD
	    "  2026-11-22 08:38:03  no proof from mx1.b.test: STARTTLS was refused: not now (starttls-not-supported)\n"
	    "  2026-11-22 08:38:04  try 1: delivered to <b@b.test> at mx1.b.test[203.0.113.9]:25 in clear text"
	    ", policy opportunistic\n" MORE "250 2.0.0 ok\n", TALE_DELIVERED },
	{ CAME "" AT("08:38:03") "warn " ID " deferred to=<b@b.test> mx=mx1.b.test[203.0.113.9]:25 tls=1.3 policy=dane "
	    "verified=untrusted dsn=4.7.5 reply=\"no match\" delay=1.0 try=1 next=600\n", NULL,
	    ID "  It does not wait any more; its end is not in the history.\n" CAME_TOLD
	    "  2026-11-22 08:38:03  try 1: not delivered yet to <b@b.test> at mx1.b.test[203.0.113.9]:25 over TLS 1.3"
	    ", policy dane, not proved\n" MORE "4.7.5 no match\n", TALE_UNKNOWN },
	{ CAME, "{\"queue_name\":\"hold\",\"recipients\":[{\"address\":\"b@b.test\"}]}",
	    ID "  Held: it is not tried until somebody says chainmail queue release " ID ".\n" CAME_TOLD, TALE_HELD },
	{ CAME AT("08:38:03") "warn " ID " bounced to=<b@b.test> mx=mx1.b.test[203.0.113.9]:25 dsn=5.1.1 reply=\"550 no such\" "
	    "delay=1 try=1\n" AT("08:38:03") "info " POST " report kind=failed to=<a@a.test> of=" ID "\n", NULL,
	    ID "  It could not be delivered to 1 recipient. The sender was told.\n" CAME_TOLD
	    "  2026-11-22 08:38:03  try 1: refused for good for <b@b.test> at mx1.b.test[203.0.113.9]:25\n"
	    MORE "550 5.1.1 no such\n"
	    "  2026-11-22 08:38:03  the sender was told (failed): report " POST " to <a@a.test>\n", TALE_FAILED },
	{ AT("08:38:03") "warn " ID " expired to=<b@b.test> dsn=4.4.1 reply=\"no route\" delay=1 try=9\n"
	    AT("08:38:03") "warn " ID " dropped from=<> to=<b@b.test> reason=null-sender\n", NULL,
	    ID "  It could not be delivered to 1 recipient. Nobody was told.\n"
	    "  2026-11-22 08:38:03  try 9: given up after too long a time: <b@b.test>\n" MORE "4.4.1 no route\n"
	    "  2026-11-22 08:38:03  given up, nobody was told; recipient <b@b.test>; reason: null-sender\n", TALE_FAILED },
	{ AT("08:38:02") "warn " ID " rejected client=192.0.2.25 from=<a@a.test> to=<b@b.test> size=3 spf=fail dmarc=fail "
	    "untrusted=hop.test reply=550 dsn=5.7.26 why=\"DMARC of a.test\" message-id=<1@a.test>\n", NULL,
	    ID "  Refused: it was never taken in; whoever brought it was told so.\n"
	    "  2026-11-22 08:38:02  refused after its text was seen, from 192.0.2.25, from <a@a.test> to <b@b.test>, 3 bytes\n"
	    MORE "Message-ID <1@a.test>\n" MORE "found spf=fail dmarc=fail; not trusted to vouch for it: hop.test\n"
	    MORE "answered 550 5.7.26 DMARC of a.test\n", TALE_REFUSED },
	{ CAME AT("08:38:03") "info " POST " queued from=<l-bounces@us.test> rcpts=3 size=9 parent=" ID " reason=list\n", NULL,
	    ID "  Posted to a list.\n" CAME_TOLD "  2026-11-22 08:38:03  posted to the list as " POST " for 3 recipients\n",
	    TALE_PASSED_ON },
	{ AT("08:38:03") "warn " ID " dropped from=<a@a.test> reason=command\n", NULL,
	    ID "  Given up; nobody was told.\n"
	    "  2026-11-22 08:38:03  given up, nobody was told; reason: command\n", TALE_DROPPED },
	{ CAME, NULL, ID "  It does not wait any more; its end is not in the history.\n" CAME_TOLD, TALE_UNKNOWN },
	{ AT("08:38:03") "info " ID " newer-event some=thing\n", NULL,
	    ID "  It does not wait any more; the history knows a part of it.\n  2026-11-22 08:38:03  newer-event some=thing\n",
	    TALE_UNKNOWN },
};

enum { LINES = 100 };

static size_t
read_lines(const char *text, struct past_line *lines)
{
	struct slice all = slice(text), line;
	size_t n = 0;

	while (slice_cut(&all, '\n', &line))
		assert_true(n < LINES && past_line(line, &lines[n++]));
	return n;
}

static void
lines_become_a_tale(void **state)
{
	struct past_line lines[LINES];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *row = cases[i].row != NULL ? json_loads(cases[i].row, 0, NULL) : NULL, *j;
		struct tale t = { S(ID), lines, read_lines(cases[i].lines, lines), row, INT64_C(1795338000000) };
		struct buf text = BUF(100000);

		tale_add(&text, &t);
		if (!slice_eq(buf_slice(&text), slice(cases[i].text)))
			print_error("%.*s", FMT(buf_slice(&text)));
		assert_case(slice_eq(buf_slice(&text), slice(cases[i].text)), i, cases[i].text);
		assert_case(tale_end(&t) == cases[i].end, i, "its end");
		j = tale_json(&t);
		assert_string_equal(json_string_value(json_object_get(j, "end")), tale_end_word(cases[i].end));
		assert_int_equal(json_array_size(json_object_get(j, "events")), t.count);
		assert_true(json_is_null(json_object_get(j, "queue")) == (row == NULL));
		json_decref(j);
		json_decref(row);
		buf_free(&text);
	}
}

static void
a_line_for_programs_has_what_was_logged(void **state)
{
	struct past_line lines[LINES];
	json_t *j;
	char *text;

	(void)state;
	read_lines(LATER("08:38:03", "1"), lines);
	j = tale_line_json(lines);
	text = json_dumps(j, JSON_COMPACT);
	assert_string_equal(text, "{\"t\":\"2026-11-22T08:38:03.412Z\",\"id\":\"" ID "\",\"event\":\"deferred\","
	    "\"to\":\"<b@b.test>\",\"mx\":\"mx1.b.test[203.0.113.9]:25\",\"policy\":\"sts-enforce\",\"dsn\":\"4.7.5\","
	    "\"reply\":\"certificate of \\\"mx1\\\" expired\",\"delay\":\"1.0\",\"try\":\"1\",\"next\":\"600\"}");
	free(text);
	json_decref(j);
}

static void
the_same_refusal_is_told_once(void **state)
{
#define REFUSED(time, to) AT(time) "info - refused client=192.0.2.1 helo=h from=<a@a.test> to=<" to "> verb=RCPT " \
	"reply=550 dsn=5.1.1 why=\"no such user\"\n"
	struct past_line lines[LINES];
	size_t n = read_lines(REFUSED("08:00:00", "x@b.test") REFUSED("08:00:01", "y@b.test") REFUSED("08:00:02", "x@b.test"),
	    lines);
	struct buf text = BUF(10000);

	(void)state;
	tale_refusals_add(&text, lines, n);
	assert_slice(buf_slice(&text), "Refused before a message was sent:\n"
	    "  2026-11-22 08:00:00  RCPT refused from 192.0.2.1 (h), from <a@a.test> to <x@b.test>\n"
	    MORE "answered 550 5.1.1 no such user; and 1 more time\n"
	    "  2026-11-22 08:00:01  RCPT refused from 192.0.2.1 (h), from <a@a.test> to <y@b.test>\n"
	    MORE "answered 550 5.1.1 no such user\n");
	buf_clear(&text);
	tale_refusals_add(&text, lines, 0);
	assert_int_equal(text.n, 0);
	buf_free(&text);
}

/* Of ten thousand recipients only the first are told one by one. */
static void
many_are_told_in_short(void **state)
{
	struct past_line *lines = calloc(10000, sizeof *lines);
	struct buf all = BUF(4 << 20), text = BUF(1 << 20);
	struct slice left, line;
	struct tale t = { .id = S(ID), .lines = lines };

	(void)state;
	for (int i = 0; i < 10000; i++)
		buf_printf(&all, AT("08:00:00") "info " ID " delivered to=<%d@b.test> dsn=2.0.0 reply=\"250 ok\" try=1\n", i);
	for (left = buf_slice(&all); slice_cut(&left, '\n', &line); t.count++)
		assert_true(past_line(line, &lines[t.count]));
	tale_add(&text, &t);
	assert_true(slice_starts(buf_slice(&text), S(ID "  Delivered to 10000 recipients.\n")));
	assert_non_null(memmem(text.p, text.n, "<9@b.test>", 10));
	assert_null(memmem(text.p, text.n, "<10@b.test>", 11));
	assert_non_null(memmem(text.p, text.n, "and 9990 more of the same kinds", 31));
	buf_free(&all);
	buf_free(&text);
	free(lines);
}

/* Ten thousand deferrals of a post, each tried twice: the first ten recipients are told, with both. */
static void
many_that_wait_are_told_in_short(void **state)
{
	struct past_line *lines = calloc(20000, sizeof *lines);
	struct buf all = BUF(8 << 20), text = BUF(1 << 20);
	struct slice left, line;
	struct tale t = { .id = S(ID), .lines = lines };

	(void)state;
	for (int i = 0; i < 20000; i++)
		buf_printf(&all, AT("08:00:00") "warn " ID " deferred to=<%d@b.test> reply=\"451 no\" try=1\n", i % 10000);
	for (left = buf_slice(&all); slice_cut(&left, '\n', &line); t.count++)
		assert_true(past_line(line, &lines[t.count]));
	tale_add(&text, &t);
	assert_non_null(memmem(text.p, text.n, "<9@b.test>\n" MORE "451 no\n" MORE "and 1 more try", 65));
	assert_null(memmem(text.p, text.n, "<10@b.test>", 11));
	assert_non_null(memmem(text.p, text.n, "and 19980 more of the same kinds", 32));
	buf_free(&all);
	buf_free(&text);
	free(lines);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_a_tale),
		cmocka_unit_test(a_line_for_programs_has_what_was_logged),
		cmocka_unit_test(the_same_refusal_is_told_once),
		cmocka_unit_test(many_are_told_in_short),
		cmocka_unit_test(many_that_wait_are_told_in_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
