/* SPDX-License-Identifier: ISC */
/* TLSRPT (RFC 8460): sessions counted, reports written and read, letters made and opened. */
#include <jansson.h>

#include "base/gzip.h"
#include "base/text.h"
#include "mail/header.h"
#include "sts/report_mail.h"
#include "sts/tally.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(32 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

#define NOW (INT64_C(1795000000) * SECOND)      /* 2026-11-18T11:06:40Z */

/* --- gzip ------------------------------------------------------------------------- */

static void
gzip_both_ways(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 32768, 32769, 200000 };
	struct buf text = BUF(1 << 20), small = BUF(1 << 20), again = BUF(1 << 20);

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		buf_clear(&text), buf_clear(&small), buf_clear(&again);
		for (size_t k = 0; k < sizes[i]; k++)
			buf_byte(&text, (char)(k * k >> 3));
		assert_true(gzip_add(&small, buf_slice(&text)) && is_gzip(buf_slice(&small)));
		assert_true(gunzip_add(&again, buf_slice(&small), NULL));
		assert_true(slice_eq(buf_slice(&text), buf_slice(&again)));
	}
	buf_free(&text), buf_free(&small), buf_free(&again);
}

/* RFC 1952 2.2 */
static void
two_gzip_members_are_one_file(void **state)
{
	struct buf both = BUF(4096), out = BUF(4096);

	(void)state;
	gzip_add(&both, S("one "));
	gzip_add(&both, S("two"));
	assert_true(gunzip_add(&out, buf_slice(&both), NULL));
	assert_slice(buf_slice(&out), "one two");
	buf_free(&both), buf_free(&out);
}

static void
gzip_that_is_none_or_too_much(void **state)
{
	struct buf bomb = BUF(1 << 20), zeros = BUF(8 << 20), out = BUF(1 << 16);
	struct error why;

	(void)state;
	buf_room(&zeros, 4 << 20);
	memset(zeros.p, 0, 4 << 20);
	zeros.n = 4 << 20;
	assert_true(gzip_add(&bomb, buf_slice(&zeros)) && bomb.n < 8192);
	buf_add(&out, S("kept"));
	assert_false(gunzip_add(&out, buf_slice(&bomb), &why));         /* past the ceiling */
	assert_slice(buf_slice(&out), "kept");
	for (size_t n = 0; n < 40; n++)                                 /* cut short anywhere */
		assert_false(gunzip_add(&out, slice_head(buf_slice(&bomb), n), &why));
	bomb.p[bomb.n - 6] ^= 1;                                        /* the checksum */
	out.ceiling = 8 << 20;
	assert_false(gunzip_add(&out, buf_slice(&bomb), &why));
	assert_slice(buf_slice(&out), "kept");
	buf_free(&bomb), buf_free(&zeros), buf_free(&out);
}

/* --- sessions and tallies ---------------------------------------------------------- */

static const struct slice POLICY[] = { S_INIT("version: STSv1"), S_INIT("mode: enforce") };
static const struct slice MX[] = { S_INIT("*.b.test") };

static struct ip
ip(const char *text)
{
	struct ip made;

	assert_true(ip_parse(slice(text), &made));
	return made;
}

static struct tlsrpt_session
session(enum tlsrpt_result result, const char *mx)
{
	return (struct tlsrpt_session){
		.label = { TLSRPT_STS, S("b.test"), POLICY, COUNT(POLICY), MX, COUNT(MX) },
		.result = result, .mx = slice(mx), .helo = S("hello.b.test"),
		.reason = result == TLSRPT_CERTIFICATE_EXPIRED ? S("X509_V_ERR_CERT_HAS_EXPIRED") : NONE,
		.from = ip("192.0.2.1"), .to = ip("2001:db8::25"),
	};
}

static void
a_session_crosses_the_link(void **state)
{
	struct tlsrpt_session s = session(TLSRPT_CERTIFICATE_EXPIRED, "mx.b.test"), got;
	struct buf b = BUF(TALLY_MOST);

	(void)state;
	session_pack(&s, &b);
	assert_true(session_unpack(&got, buf_slice(&b), arena));
	assert_true(got.label.type == TLSRPT_STS && got.result == TLSRPT_CERTIFICATE_EXPIRED);
	assert_slice(got.label.domain, "b.test");
	assert_true(got.label.string_count == 2 && got.label.mx_count == 1);
	assert_slice(got.label.strings[1], "mode: enforce");
	assert_slice(got.label.mx[0], "*.b.test");
	assert_slice(got.mx, "mx.b.test");
	assert_slice(got.reason, "X509_V_ERR_CERT_HAS_EXPIRED");
	assert_true(ip_eq(got.from, s.from) && ip_eq(got.to, s.to));
	for (size_t n = 0; n < b.n; n++)                        /* a piece of one is none */
		assert_false(session_unpack(&got, slice_head(buf_slice(&b), n), arena));
	buf_clear(&b);
	s.from = s.to = (struct ip){ .n = 0 };                  /* a flaw without a session */
	session_pack(&s, &b);
	assert_true(session_unpack(&got, buf_slice(&b), arena) && got.to.n == 0);
	buf_free(&b);
}

static void
sessions_are_counted_by_how_they_failed(void **state)
{
	struct tlsrpt_counts c = { 0 }, again;
	struct tlsrpt_session good = session(TLSRPT_SUCCESS, "mx.b.test"),
	    late = session(TLSRPT_CERTIFICATE_EXPIRED, "mx.b.test"),
	    other = session(TLSRPT_CERTIFICATE_EXPIRED, "mx2.b.test");
	struct buf b = BUF(TALLY_MOST);

	(void)state;
	for (int i = 0; i < 3; i++)
		tally_add(&c, &good, arena);
	tally_add(&c, &late, arena);
	tally_add(&c, &other, arena);
	tally_pack(&c, &b);
	assert_true(tally_unpack(&again, buf_slice(&b), arena));
	tally_add(&again, &late, arena);
	assert_true(again.good == 3 && again.bad == 3 && again.failure_count == 2);
	assert_true(again.failures[0].count == 2 && again.failures[1].count == 1);
	assert_slice(again.failures[0].result, "certificate-expired");
	assert_slice(again.failures[0].sending_ip, "192.0.2.1");
	assert_slice(again.failures[0].receiving_ip, "2001:db8::25");
	assert_slice(again.failures[1].mx, "mx2.b.test");
	assert_slice(again.type, "sts");
	for (size_t n = 0; n < b.n; n++)
		assert_false(tally_unpack(&c, slice_head(buf_slice(&b), n), arena));
	buf_free(&b);
}

/* A host that calls itself otherwise each time cannot make a tally grow without end. */
static void
a_tally_has_a_ceiling(void **state)
{
	struct tlsrpt_counts c = { 0 };
	struct buf b = BUF(TALLY_MOST), big = BUF(1 << 20);
	struct slice *strings = arena_get(arena, 5000 * sizeof *strings);

	(void)state;
	for (int i = 0; i < 5000; i++)
		strings[i] = S("mx: a-host-in-a-policy-that-is-as-large-as-it-can-be.b.test");
	for (int i = 0; i < 300; i++) {
		struct tlsrpt_session s = session(TLSRPT_CERTIFICATE_EXPIRED, "mx.b.test");

		buf_clear(&big);
		for (int k = 0; k < 100; k++)
			buf_printf(&big, "%dabcdefghij", i);
		s.label.strings = strings, s.label.string_count = 5000;
		s.mx = s.helo = s.reason = arena_copy(arena, buf_slice(&big));
		tally_add(&c, &s, arena);
	}
	tally_pack(&c, &b);
	assert_false(b.full);
	assert_true(c.bad == 300 && c.failure_count == TALLY_FAILURES);
	assert_true(tally_unpack(&c, buf_slice(&b), arena));
	assert_true(c.string_count > 100 && c.string_count < 5000);
	buf_free(&b), buf_free(&big);
}

static void
keys_are_ordered_by_day_and_domain(void **state)
{
	struct tlsrpt_session s = session(TLSRPT_SUCCESS, "mx.b.test"), other = s;
	struct buf a = BUF(TALLY_KEY), b = BUF(TALLY_KEY), prefix = BUF(TALLY_KEY);
	struct slice domain;
	uint32_t day;

	(void)state;
	tally_key(&s.label, 20775, &a);
	tally_prefix(20775, S("B.Test"), &prefix);              /* the case of a domain is no matter */
	assert_true(slice_starts(buf_slice(&a), buf_slice(&prefix)));
	assert_true(tally_key_read(buf_slice(&a), &day, &domain) && day == 20775);
	assert_slice(domain, "b.test");
	assert_false(tally_key_read(buf_slice(&prefix), &day, &domain));
	other.label.string_count = 1;                           /* another policy: another key */
	tally_key(&other.label, 20775, &b);
	assert_true(b.n == a.n && !slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_clear(&b);
	tally_key(&s.label, 20776, &b);
	assert_true(memcmp(a.p, b.p, a.n) < 0);
	buf_clear(&b);
	tally_key(&s.label, 256 * 20775, &b);
	assert_true(memcmp(a.p, b.p, a.n) < 0);
	buf_free(&a), buf_free(&b), buf_free(&prefix);
}

/* RFC 8460 4.1: the day is one of UTC, and not everybody sends at midnight. */
static void
reports_are_spread_over_four_hours(void **state)
{
	unsigned hours[4] = { 0 };

	(void)state;
	assert_true(tally_day(0) == 0 && tally_day(DAY - 1) == 0 && tally_day(DAY) == 1);
	assert_true(tally_midnight(tally_day(NOW)) <= NOW && NOW - tally_midnight(tally_day(NOW)) < DAY);
	for (unsigned i = 0; i < 1000; i++) {
		struct slice domain = arena_printf(arena, "d%u.test", i);
		int64_t due = tally_due(20775, domain, 7), after = due - tally_midnight(20776);

		assert_true(after >= 0 && after < TALLY_DELAY_MOST);
		assert_true(due == tally_due(20775, domain, 7));
		hours[after / HOUR]++;
	}
	for (int i = 0; i < 4; i++)
		assert_true(hours[i] > 150);
	assert_slice(tally_time(NOW, arena), "2026-11-18T11:06:40Z");
}

/* --- reports ------------------------------------------------------------------------- */

static struct tlsrpt_report
report(void)
{
	static struct tlsrpt_counts c;

	c = (struct tlsrpt_counts){ 0 };
	tally_add(&c, &(struct tlsrpt_session){ .label = session(TLSRPT_SUCCESS, "").label }, arena);
	for (int i = 0; i < 2; i++) {
		struct tlsrpt_session s = session(TLSRPT_CERTIFICATE_EXPIRED, "mx.b.test");

		tally_add(&c, &s, arena);
	}
	return (struct tlsrpt_report){ S("us.test"), S("postmaster@us.test"), S("id@us.test"),
	    S("2026-11-17T00:00:00Z"), S("2026-11-18T00:00:00Z"), &c, 1, NONE };
}

static void
a_report_as_rfc_8460_4_4_has_it(void **state)
{
	struct tlsrpt_report r = report();
	struct buf json = BUF(1 << 16);

	(void)state;
	assert_true(tlsrpt_report_write(&r, &json));
	assert_slice(buf_slice(&json),
	    "{\"organization-name\":\"us.test\",\"date-range\":{\"start-datetime\":\"2026-11-17T00:00:00Z\","
	    "\"end-datetime\":\"2026-11-18T00:00:00Z\"},\"contact-info\":\"postmaster@us.test\","
	    "\"report-id\":\"id@us.test\",\"policies\":[{\"policy\":{\"policy-type\":\"sts\","
	    "\"policy-string\":[\"version: STSv1\",\"mode: enforce\"],\"policy-domain\":\"b.test\","
	    "\"mx-host\":[\"*.b.test\"]},\"summary\":{\"total-successful-session-count\":1,"
	    "\"total-failure-session-count\":2},\"failure-details\":[{\"result-type\":\"certificate-expired\","
	    "\"sending-mta-ip\":\"192.0.2.1\",\"receiving-mx-hostname\":\"mx.b.test\","
	    "\"receiving-mx-helo\":\"hello.b.test\",\"receiving-ip\":\"2001:db8::25\","
	    "\"failed-session-count\":2,\"failure-reason-code\":\"X509_V_ERR_CERT_HAS_EXPIRED\"}]}]}");
	buf_free(&json);
}

static void
what_was_written_is_read(void **state)
{
	struct tlsrpt_report r = report(), got;
	struct buf json = BUF(1 << 16), again = BUF(1 << 16), text = BUF(4096);

	(void)state;
	tlsrpt_report_write(&r, &json);
	assert_true(tlsrpt_report_read(&got, buf_slice(&json), arena, NULL));
	assert_true(tlsrpt_report_write(&got, &again));
	assert_true(slice_eq(buf_slice(&json), buf_slice(&again)));
	tlsrpt_report_text(&got, &text);
	assert_slice(buf_slice(&text),
	    "us.test <postmaster@us.test>  2026-11-17T00:00:00Z to 2026-11-18T00:00:00Z  id@us.test\n"
	    "b.test  sts  1 good, 2 failed\n"
	    "       2  certificate-expired  mx.b.test [2001:db8::25]  from 192.0.2.1  X509_V_ERR_CERT_HAS_EXPIRED\n");
	buf_free(&json), buf_free(&again), buf_free(&text);
}

/* What a stranger put into a banner must not make the report unreadable (RFC 7493 2.1). */
static void
odd_bytes_stay_json(void **state)
{
	struct tlsrpt_report r = report(), got;
	struct buf json = BUF(1 << 16);

	(void)state;
	r.policies[0].failures[0].helo = S("\xff\"\\\x01\x00 x");
	assert_true(tlsrpt_report_write(&r, &json) && utf8_valid(buf_slice(&json)));
	assert_true(tlsrpt_report_read(&got, buf_slice(&json), arena, NULL));
	assert_slice(got.policies[0].failures[0].helo, "\\xFF\"\\x5C\\x01\\x00 x");
	r.policies[0].good = UINT64_MAX;                        /* RFC 7493 2.2 */
	buf_clear(&json);
	tlsrpt_report_write(&r, &json);
	tlsrpt_report_read(&got, buf_slice(&json), arena, NULL);
	assert_true(got.policies[0].good == ((uint64_t)1 << 53) - 1);
	json.ceiling = 100;
	buf_free(&json);
	assert_false(tlsrpt_report_write(&r, &json));
}

static const struct { const char *json; bool ok; const char *text, *notes; } received[] = {
	{ "{}", false, "", "" },
	{ "", false, "", "" },
	{ "[]", false, "", "" },
	{ "{\"policies\":[]}", false, "", "" },
	{ "\xef\xbb\xbf{\"policies\":{}}", true, "(no organization)\n(no domain)  0 good, 0 failed\n", "" },
	{ "{\"policies\":{}}", true, "(no organization)\n(no domain)  0 good, 0 failed\n", "" },
	{ "{\"policies\":[{\"summary\":7}]}", true, "(no organization)\n(no domain)  0 good, 0 failed\n",
	  "summary is no object\n" },
	{ "{\"organization-name\":7,\"contact-info\":null,\"policies\":[{\"policy\":{\"policy-domain\":\"a.test\","
	  "\"policy-string\":5,\"mx-host\":[\"h\",1]},\"failure-details\":\"none\"}]}", true,
	  "(no organization)\na.test  0 good, 0 failed\n", "organization-name is no text\n"
	  "failure-details of a.test is no list\npolicy-string of a.test is no list\nmx-host of a.test is no text\n" },
	{ "{\"policies\":[{}],\"policies\":[{}]}", false, "", "" },                 /* RFC 7493 2.3 */
	{ "{\"organization-name\":\"x\\u001b[2J\",\"policies\":[{\"policy\":{\"policy-type\":\"new\","
	  "\"policy-string\":\"one\",\"policy-domain\":\"a.test\",\"mx-host\":\"h\"},\"summary\":"
	  "{\"total-failure-session-count\":-1,\"total-successful-session-count\":2}}]}", true,
	  "x\\x1B[2J\na.test  new  2 good, 0 failed\n", "total-failure-session-count of a.test is no count\n" },
	{ "{\"policies\":[{\"failure-details\":[{\"failed-session-count\":3}, 5, {\"result-type\":\"odd\"}]}]}", true,
	  "(no organization)\n(no domain)  0 good, 0 failed\n       3  (no result type)\n       0  odd\n",
	  "failure-details is none at place 2\n" },
	/* RFC 7493 2.2: the same number, written in other ways */
	{ "{\"policies\":[{\"summary\":{\"total-successful-session-count\":5326.0,\"total-failure-session-count\":3.03e2}}]}",
	  true, "(no organization)\n(no domain)  5326 good, 303 failed\n", "" },
	{ "{\"policies\":[{\"summary\":{\"total-successful-session-count\":\"5326\",\"total-failure-session-count\":0.5}}]}",
	  true, "(no organization)\n(no domain)  0 good, 0 failed\n",
	  "total-successful-session-count is no count\ntotal-failure-session-count is no count\n" },
	{ "{\"policies\":[{\"summary\":{\"total-successful-session-count\":1e300,\"total-failure-session-count\":null}}]}",
	  true, "(no organization)\n(no domain)  0 good, 0 failed\n",
	  "total-successful-session-count is no count\ntotal-failure-session-count is no count\n" },
	{ "{\"policies\":[1,{},null]}", true, "(no organization)\n(no domain)  0 good, 0 failed\n",
	  "policies is none at place 1\npolicies is none at place 3\n" },
	{ "{\"policies\":[1,2,null,\"x\"]}", false, "", "" },
};

static void
reports_of_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(received); i++) {
		struct tlsrpt_report r;
		struct buf text = BUF(4096);
		bool ok = tlsrpt_report_read(&r, slice(received[i].json), arena, NULL);

		assert_case(ok == received[i].ok, i, received[i].json);
		if (ok) {
			tlsrpt_report_text(&r, &text);
			assert_slice(buf_slice(&text), received[i].text);
			assert_slice(r.notes, received[i].notes);
		}
		buf_free(&text);
	}
}

/* Whatever stands in them: a line for each, and none of them broken. */
static void
notes_have_room_for_long_names(void **state)
{
	struct buf json = BUF(1 << 20);
	struct slice notes, line;
	struct tlsrpt_report r;
	size_t lines = 0;

	(void)state;
	buf_add(&json, S("{\"policies\":[{\"policy\":{\"policy-domain\":\""));
	for (size_t i = 0; i < TLSRPT_WORD_MOST + 1; i++)
		buf_add(&json, S("\\u0001"));
	buf_add(&json, S("\"},\"failure-details\":[1"));
	for (size_t i = 1; i < TLSRPT_NOTES_MOST + 5; i++)
		buf_add(&json, S(",1"));
	buf_add(&json, S("]}]}"));
	assert_true(tlsrpt_report_read(&r, buf_slice(&json), arena, NULL));
	notes = r.notes;
	while (slice_cut(&notes, '\n', &line)) {
		const char *end = lines == 0 ? "policy-domain is cut after 2000 octets" : "\\x01 is none at place ";

		lines += line.n > 0;
		assert_case(line.n == 0 || lines > TLSRPT_NOTES_MOST ||
		    memmem(line.p, line.n, end, strlen(end)) != NULL, lines, "a note");
	}
	assert_int_equal(lines, TLSRPT_NOTES_MOST + 1);
	assert_true(slice_endsi(r.notes, S("and 6 more like these\n")));
	buf_free(&json);
}

static void
what_is_too_much_is_told(void **state)
{
	struct buf json = BUF(1 << 20);
	struct tlsrpt_report r;

	(void)state;
	buf_add(&json, S("{\"policies\":["));
	for (size_t i = 0; i < TLSRPT_COUNTS_MOST + 5; i++)
		buf_printf(&json, "%s{}", i > 0 ? "," : "");
	buf_add(&json, S("]}"));
	assert_true(tlsrpt_report_read(&r, buf_slice(&json), arena, NULL) && r.count == TLSRPT_COUNTS_MOST);
	assert_slice(r.notes, "policies are too many: 5 of 1005 are left out\n");
	buf_clear(&json);
	buf_add(&json, S("{\"policies\":[{\"policy\":{\"policy-domain\":\"a.test\"},\"failure-details\":["));
	for (size_t i = 0; i < TLSRPT_COUNTS_MOST + 5; i++)
		buf_printf(&json, "%s{}", i > 0 ? "," : "");
	buf_add(&json, S("]}]}"));
	assert_true(tlsrpt_report_read(&r, buf_slice(&json), arena, NULL));
	assert_slice(r.notes, "failure-details of a.test are too many: 5 of 1005 are left out\n");
	buf_clear(&json);
	buf_add(&json, S("{\"policies\":[{\"policy\":{\"policy-domain\":\"a.test\",\"policy-string\":[\"x\""));
	for (size_t i = 1; i < TLSRPT_COUNTS_MOST + 5; i++)
		buf_add(&json, S(",\"x\""));
	buf_add(&json, S("],\"mx-host\":[\"y\""));
	for (size_t i = 1; i < TLSRPT_COUNTS_MOST + 1; i++)
		buf_add(&json, S(",\"y\""));
	buf_add(&json, S("]}}]}"));
	assert_true(tlsrpt_report_read(&r, buf_slice(&json), arena, NULL));
	assert_int_equal(r.policies[0].string_count, TLSRPT_COUNTS_MOST);
	assert_slice(r.notes, "policy-string of a.test are too many: 5 of 1005 are left out\n"
	    "mx-host of a.test are too many: 1 of 1001 are left out\n");
	buf_clear(&json);
	buf_add(&json, S("{\"policies\":[{}"));
	for (size_t i = 0; i < TLSRPT_NOTES_MOST + 5; i++)
		buf_add(&json, S(",7"));
	buf_add(&json, S("]}"));
	assert_true(tlsrpt_report_read(&r, buf_slice(&json), arena, NULL));
	assert_true(slice_starts(slice_skip(r.notes, r.notes.n - strlen("and 5 more like these\n")),
	    S("and 5 more like these\n")));
	buf_free(&json);
}

/* --- letters --------------------------------------------------------------------------- */

static const struct { const char *uri, *address; } mailtos[] = {
	{ "mailto:a@b.test", "a@b.test" },
	{ "MAILTO:a@b.test", "a@b.test" },
	{ "mailto:a%2Cb@b.test", NULL },                        /* a comma needs quotes in an address */
	{ "mailto:a%2Bb@b.test?subject=x", "a+b@b.test" },      /* RFC 6068 2 */
	{ "mailto:a@b.test,c@d.test", "a@b.test" },
	{ "mailto:", NULL },
	{ "mailto:b.test", NULL },
	{ "mailto:a@b.test%0d%0aBcc:%20x@y.test", NULL },
	{ "mailto:a@b.test%00", NULL },
	{ "mailto:a@b.test%4", NULL },
	{ "mailto:%C3%A4@b.test", NULL },
	{ "https://b.test/", NULL },
};

static void
addresses_in_uris(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mailtos); i++) {
		struct address a;
		bool ok = tlsrpt_mailto(slice(mailtos[i].uri), arena, &a);

		assert_case(ok == (mailtos[i].address != NULL), i, mailtos[i].uri);
		if (ok)
			assert_slice(a.text, mailtos[i].address);
	}
}

static struct tlsrpt_letter
letter(struct slice gzip)
{
	return (struct tlsrpt_letter){ S("us.test"), S("postmaster@us.test"), S("tls@b.test"), S("b.test"),
	    S("1ABC@us.test"), NOW, tally_midnight(20774), tally_midnight(20775), gzip };
}

static void
a_letter_as_rfc_8460_5_3_has_it(void **state)
{
	struct tlsrpt_letter l = letter(S("gzip"));
	struct buf b = BUF(1 << 16);

	(void)state;
	tlsrpt_letter_write(&l, arena, &b);
	assert_slice(buf_slice(&b),
	    "From: <postmaster@us.test>\r\nTo: <tls@b.test>\r\n"
	    "Subject: Report Domain: b.test\r\n\tSubmitter: us.test\r\n\tReport-ID: <1ABC@us.test>\r\n"
	    "Date: Wed, 18 Nov 2026 11:06:40 +0000\r\nMessage-ID: <1ABC@us.test>\r\n"
	    "TLS-Report-Domain: b.test\r\nTLS-Report-Submitter: us.test\r\nTLS-Required: No\r\n"
	    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"=_1ABC\"\r\n\r\n"
	    "--=_1ABC\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
	    "This is an aggregate report on TLS sessions with b.test,\r\nfrom us.test (RFC 8460).\r\n\r\n"
	    "--=_1ABC\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
	    "Content-Disposition: attachment;\r\n"
	    "\tfilename=\"us.test!b.test!1794873600!1794960000!1ABC.json.gz\"\r\n\r\nZ3ppcA==\r\n"
	    "\r\n--=_1ABC--\r\n");
	buf_free(&b);
}

static void
a_letter_is_opened_again(void **state)
{
	struct buf small = BUF(4096), b = BUF(1 << 16), json = BUF(1 << 16), bare = BUF(1 << 16);
	struct tlsrpt_letter l;

	(void)state;
	gzip_add(&small, S("{\"policies\":[{}]}"));
	l = letter(buf_slice(&small));
	tlsrpt_letter_write(&l, arena, &b);
	assert_true(tlsrpt_open(buf_slice(&b), arena, &json, NULL));
	assert_slice(buf_slice(&json), "{\"policies\":[{}]}");
	for (size_t i = 0; i < b.n; i++)                        /* as a Unix system keeps it */
		if (b.p[i] != '\r')
			buf_byte(&bare, b.p[i]);
	buf_clear(&json);
	assert_true(tlsrpt_open(buf_slice(&bare), arena, &json, NULL));
	assert_slice(buf_slice(&json), "{\"policies\":[{}]}");
	for (size_t n = 0; n < b.n; n += 7) {                   /* cut short: found, or said why not */
		struct error why = { 0 };

		buf_clear(&json);
		if (!tlsrpt_open(slice_head(buf_slice(&b), n), arena, &json, &why))
			assert_true(why.text[0] != '\0' && json.n == 0);
	}
	buf_free(&small), buf_free(&b), buf_free(&json), buf_free(&bare);
}

static const struct { const char *file, *json; } files[] = {
	{ " {\"a\":1}", " {\"a\":1}" },
	{ "\xef\xbb\xbf{}", "\xef\xbb\xbf{}" },                 /* the reader passes over it */
	{ "Content-Type: application/tlsrpt+json\n\n{}\n", "{}\r\n" },
	{ "Content-Type: application/json\nContent-Transfer-Encoding: quoted-printable\n\n{=7D=\n=20x \n", "{} x\r\n" },
	{ "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/x; boundary=b\n\n--b\n"
	  "Content-Type: application/tlsrpt\n\n{}\n--b--\n--a--\n", "{}" },
	{ "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n{}\n--a--\n", NULL },
	{ "Content-Type: application/tlsrpt+json\nContent-Transfer-Encoding: x-odd\n\n{}\n", NULL },
	{ "Content-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n\n!!!!\n", NULL },
	{ "Content-Type: application/octet-stream; name=\"a!b!1!2.JSON\"\n\n{}\n", "{}\r\n" },
	{ "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=x.json.gz\n\n{}\n", "{}\r\n" },
	{ "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=x.zip\n\n{}\n", NULL },
	{ "Content-Type: application/octet-stream\n\n{}\n", NULL },
	{ "From a@b.test Sun Nov 22 14:50:10 2026\nContent-Type: application/tlsrpt+json\n\n{}\n", "{}\r\n" },   /* RFC 4155 */
	{ "From a@b.test", NULL },
	{ "Subject: x\n\nhello\n", NULL },
	{ "", NULL },
};

static void
files_of_all_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		struct buf json = BUF(4096);
		bool ok = tlsrpt_open(slice(files[i].file), arena, &json, NULL);

		assert_case(ok == (files[i].json != NULL), i, files[i].file);
		if (ok)
			assert_slice(buf_slice(&json), files[i].json);
		buf_free(&json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_both_ways),
		cmocka_unit_test(two_gzip_members_are_one_file),
		cmocka_unit_test(gzip_that_is_none_or_too_much),
		cmocka_unit_test_setup_teardown(a_session_crosses_the_link, setup, teardown),
		cmocka_unit_test_setup_teardown(sessions_are_counted_by_how_they_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tally_has_a_ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_are_ordered_by_day_and_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(reports_are_spread_over_four_hours, setup, teardown),
		cmocka_unit_test_setup_teardown(a_report_as_rfc_8460_4_4_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_written_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_bytes_stay_json, setup, teardown),
		cmocka_unit_test_setup_teardown(reports_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(notes_have_room_for_long_names, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_too_much_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_in_uris, setup, teardown),
		cmocka_unit_test_setup_teardown(a_letter_as_rfc_8460_5_3_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_letter_is_opened_again, setup, teardown),
		cmocka_unit_test_setup_teardown(files_of_all_kinds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
