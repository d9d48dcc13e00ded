/* SPDX-License-Identifier: ISC */
#include "lab/authority.h"
#include "lab/scenario.h"
#include "lab/scripted.h"
#include "unit.h"

#define AB "host a.test { domain a.test { } }\nhost b.test { domain b.test { } }\n"

static const struct {
	const char *text;
	const char *flaws;              /* "line:column: what|hint", one behind the other; "" none */
} cases[] = {
	{ "lab { }", "1:1: there is nothing in the lab block|lab { ... }\n" },
	{ "", "1:1: there is no lab block in it|lab { ... }\n" },
	{ "lab { seed 7 }", "" }, { "lab { seed 7 }\nlab { clock 2026-06-01T12:00:00Z }", "" },
	{ "lab { seed 7 }\nlab { seed 8 }", "2:7: \"seed\" is set twice|first set here: x.lab:1\n" },
	{ "seed 7", "1:1: \"seed\" is not a statement in a scenario block|it stands in a lab block\n" },
	{ "lab { clock yesterday }", "1:13: \"yesterday\" is no time|2026-06-01T12:00:00Z\n" },
	{ "lab { clock 2026-02-30T12:00:00Z }",
	    "1:13: \"2026-02-30T12:00:00Z\" is no time|2026-06-01T12:00:00Z\n" },
	/* a host is a configuration and more */
	{ "lab {\n" AB "}", "" },
	{ "lab { host a.test { certificate wrong-name; seal arc; domain a.test { alias x -> y; sts enforce } } }", "" },
	{ "lab { host a.test { arc { trust b.test }; delivery { retry after 1m } } }", "" },
	{ "lab { host a.test { certificate wrong-nmae } }",
	    "1:33: expected \"none\", \"good\", \"root-sent\", \"root-sent-expired\", \"root-sent-wrong-name\", "
	    "\"intermediate\", \"intermediate-missing\", \"expired\", "
	    "\"not-yet-valid\", \"wrong-name\", \"common-name-only\", \"self-signed\", \"unknown-authority\" or \"weak\", "
	    "not \"wrong-nmae\"|did you mean \"wrong-name\"?\n" },
	{ "lab { host a.test { domain a.test { sgin dkim } } }",
	    "1:37: \"sgin\" is not a statement in a domain block|did you mean \"sign\"?\n" },
	{ "lab { host a.test { lab { } } }", "1:21: \"lab\" is not a statement in a host block|"
	    "it stands in a scenario block\n" },
	{ "lab { host a.test { domain x.test { } }; host b.test { domain x.test { } } }",
	    "1:63: domain \"x.test\" is there twice|first set here: x.lab:1\n" },
	{ "lab { host a.test { }; host A.test { } }", "1:29: host \"A.test\" is there twice|first set here: x.lab:1\n" },
	/* domains */
	{ "lab { domain x.test { zone bogus nsec3; mx null; spf none; dmarc reject } }", "" },
	{ "lab { domain x.test { dmarc \"v=DMARC1; p=none\"; mx mx1.x.test, mx2.x.test } }", "" },
	{ "lab { domain x.test { sign dkim; dane; sts none } }", "" },
	{ "lab { domain x.test { sign dkim both; dane ta wrong; dane; dane form \"3 0 2\"; tampered x.test MX } }", "" },
	{ "lab { domain x.test { zone secret } }",
	    "1:28: expected \"secure\", \"insecure\" or \"bogus\", not \"secret\"|did you mean \"secure\"?\n" },
	{ "lab { domain x.test { sts enforce { mx mx.x.test; status 404; max-age 1d } } }", "" },
	{ "lab { domain x.test { sts enforce { mod x } } }", "1:37: \"mod\" is not a statement in a sts block\n" },
	{ "lab { domain x.test { record _x.x.test TXT \"a b\" } }", "" },
	/* what happens */
	{ "lab {\n" AB "send from x@a.test to y@b.test, z@b.test }", "" },
	{ "lab {\n" AB "send from x@c.test to y@b.test }",
	    "4:11: no host has the domain \"c.test\"|at HOST, in a block, sends as a stranger\n" },
	{ "lab {\n" AB "send from x@c.test to y@b.test { at b.test } }", "" },
	{ "lab {\n" AB "send from x@c.test to y@b.test { at b.tset } }",
	    "4:37: there is no host \"b.tset\"|did you mean \"b.test\"?\n" },
	{ "lab {\n" AB "send from null to y@b.test }",
	    "4:1: no host is known for this sender|at HOST, in a block\n" },
	{ "lab {\n" AB "send from null to y@b.test { at b.test; as 127.0.42.9 } }", "" },
	{ "lab {\n" AB "send from x@a.test to y@b.test file f.eml }", "" },
	{ "lab {\n" AB "send x@a.test to y@b.test }", "4:6: expected \"from\", not \"x@a.test\"|"
	    "send from (null | MAILBOX) to MAILBOX, ... [file FILE] [{ ... }]\n" },
	{ "lab {\n" AB "advance 5d; stop a.test; start a.test }", "" },
	{ "lab {\n" AB "advance soon }",
	    "4:9: expected a duration such as 30s, 5m, 4h or 5d, not \"soon\"|advance DURATION\n" },
	{ "lab {\n" AB "stop bb.test }", "4:6: there is no host \"bb.test\"|did you mean \"b.test\"?\n" },
	{ "lab { scripted x.test { on rcpt once say \"450 later\"; on mail say \"421 no\", close; "
	    "on data once say nothing } }", "" },
	{ "lab { change record x.test MX \"10 a.test\", \"20 b.test\"; change record x.test TXT gone }", "" },
	{ "lab { change sts x.test none { record \"v=STSv1; id=1\"; max-age 1d } }", "" },
	{ "lab { change sts x.test }", "1:24: expected \"enforce\", \"testing\" or \"none\"|"
	    "change sts DOMAIN (enforce | testing | none) [{ ... }]\n" },
	{ "lab { expect deferred to x@a.test { dsn 4.7.5; flaw \"x\"; rfc \"8461 5\" }; expect delivered to x@a.test "
	    "{ tls verified by dane } }", "" },
	/* faults */
	{ "lab {\n" AB "fault f { when connect to b.test; times 1; reply 421 } }", "" },
	{ "lab {\n" AB "fault f { when dns mx.b.test TLSA; servfail } }", "" },
	{ "lab {\n" AB "fault f { when https to x.test; http 404; probability 50 } }", "" },
	{ "lab {\n" AB "fault f { times 1 } }", "4:1: the fault does not say when|when connect to HOST\n" },
	{ "lab {\n" AB "fault f { when rcpt to elsewhere.test; reset } }", "4:24: there is no host \"elsewhere.test\"\n" },
	{ "lab {\n" AB "fault f { when dns x.test; reply 421 } }",
	    "4:28: \"reply\" is nothing that can fail then\n" },
	{ "lab {\n" AB "fault f { when connect to b.test; servfail } }",
	    "4:35: \"servfail\" is nothing that can fail then\n" },
	{ "lab {\n" AB "fault f { when mail to b.test; times 2 } }",
	    "4:1: the fault does not say what|reply CODE, reset, silence, servfail, ...\n" },
	/* what is expected */
	{ "lab {\n" AB "expect message to y@b.test { arc pass with 1 set; dmarc fail, accepted because arc l.test; "
	    "tls verified by sts; attempts 2; spf pass; dkim fail for c.test } }", "" },
	{ "lab {\n" AB "expect no message elsewhere\nexpect no message to y@b.test\nexpect no delivery to y@b.test "
	    "{ why x }\nexpect deferred to y@b.test { dsn 4.7.5 }\nexpect refused to y@b.test }", "" },
	{ "lab {\n" AB "expect mesage to y@b.test }", "4:8: expected \"delivered\", \"deferred\", \"bounced\", "
	    "\"expired\" or \"refused\", not \"mesage\"|"
	    "expect (delivered | deferred | bounced | expired | refused) to MAILBOX [{ ... }]\n" },
	{ "lab {\n" AB "expect message to y@b.test { tls verified by dnae } }",
	    "4:46: expected \"sts\", \"dane\", \"pkix\" or \"requiretls\", not \"dnae\"|did you mean \"dane\"?\n" },
};

static struct scenario *
read_text(const char *text, struct flaws *flaws, struct files *files)
{
	struct reader reader = files_reader(files);

	buf_add(&files_add(files, S("x.lab"), FILE_CONFIG)->bytes, slice(text));
	flaws_begin(flaws);
	return scenario_read(S("x.lab"), &reader, flaws);
}

static void
flaws_have_places_and_hints(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct files files = { 0 };
		struct flaws flaws;
		struct scenario *sc = read_text(cases[i].text, &flaws, &files);
		struct buf out = BUF(65536);

		for (const struct flaw *f = flaws.first; f != NULL; f = f->next)
			buf_printf(&out, "%u:%u: %.*s%s%.*s\n", f->line, f->column, FMT(f->text),
			    f->hint.n > 0 ? "|" : "", FMT(f->hint));
		if (!slice_eq(buf_slice(&out), slice(cases[i].flaws)))
			print_error("%s\n", cases[i].text);
		assert_slice(buf_slice(&out), cases[i].flaws);
		buf_free(&out);
		scenario_free(sc);
		flaws_end(&flaws);
		files_free(&files);
	}
}

static void
a_scenario_has_a_seed_and_a_clock(void **state)
{
	struct files files = { 0 };
	struct flaws flaws;
	struct scenario *sc = read_text("lab { host a.test { }\n }", &flaws, &files);

	(void)state;
	assert_int_equal(sc->seed, 42);
	assert_true(sc->clock == 1780315200000);
	assert_int_equal(statement_id(sc->first), LAB_HOST);
	assert_slice(statement_text(sc->first, LAB_HOST), "a.test");
	assert_slice(statement_text(sc->first->block, LAB_HOST_CERTIFICATE), "good");
	assert_slice(statement_text(NULL, LAB_ZONE_SPF), "v=spf1 mx -all");
	assert_slice(statement_text(NULL, LAB_STS_BODY), "");
	scenario_free(sc);
	flaws_end(&flaws);
	files_free(&files);
}

static const struct { const char *text; bool ok; int64_t ms; } times[] = {
	{ "1990-01-01T00:00:00Z", true, 631152000000 }, { "2026-06-01T12:00:00Z", true, 1780315200000 },
	{ "2024-02-29T23:59:59Z", true, 1709251199000 }, { "2023-02-29T00:00:00Z", false, 0 },
	{ "1989-12-31T23:59:59Z", false, 0 }, { "2026-13-01T00:00:00Z", false, 0 },
	{ "2026-00-01T00:00:00Z", false, 0 }, { "2026-06-31T00:00:00Z", false, 0 },
	{ "2026-06-01T24:00:00Z", false, 0 }, { "2026-06-01T12:60:00Z", false, 0 },
	{ "2026-06-01T12:00:60Z", false, 0 }, { "2026-06-01 12:00:00Z", false, 0 },
	{ "2026-06-01T12:00:00", false, 0 }, { "2026-06-01T12:00:00ZZ", false, 0 },
	{ "26-06-01T12:00:00Z", false, 0 }, { "", false, 0 }, { "2026-6-1T12:00:00Z", false, 0 },
};

static void
times_are_in_utc(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		int64_t ms = 0;

		assert_case(time_parse(slice(times[i].text), &ms) == times[i].ok, i, times[i].text);
		assert_case(ms == times[i].ms, i, times[i].text);
	}
}

static const struct { const char *line; enum script_moment moment; } lines[] = {
	{ "EHLO x", SCRIPT_HELO }, { "helo x", SCRIPT_HELO }, { "STARTTLS", SCRIPT_STARTTLS },
	{ "MAIL FROM:<>", SCRIPT_MAIL }, { "rcpt to:<a@b.test>", SCRIPT_RCPT }, { "DATA", SCRIPT_DATA },
	{ "QUIT", SCRIPT_QUIT }, { "NOOP", SCRIPT_OTHER }, { "", SCRIPT_OTHER }, { "MAILX", SCRIPT_OTHER },
	{ "connect", SCRIPT_OTHER }, { "text", SCRIPT_OTHER },  /* moments, but no commands */
};

static void
a_script_knows_the_moments(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_case(script_moment_of_line(slice(lines[i].line)) == lines[i].moment, i, lines[i].line);
	assert_int_equal(script_moment_of(S("text")), SCRIPT_TEXT);
	assert_int_equal(script_moment_of(S("nothing")), SCRIPT_MOMENTS);
}

/* What the table offers and what the authority makes are the same words. */
static void
all_certificates_can_be_named(void **state)
{
	(void)state;
	for (int kind = 0; kind < CERTIFICATE_KINDS; kind++) {
		char text[200];
		struct files files = { 0 };
		struct flaws flaws;
		struct scenario *sc;

		snprintf(text, sizeof text, "lab { host a.test { certificate %s } }",
		    certificate_kind_name((enum certificate_kind)kind));
		sc = read_text(text, &flaws, &files);
		assert_case(flaws.errors == 0, (size_t)kind, text);
		scenario_free(sc);
		flaws_end(&flaws);
		files_free(&files);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flaws_have_places_and_hints),
		cmocka_unit_test(a_scenario_has_a_seed_and_a_clock),
		cmocka_unit_test(times_are_in_utc),
		cmocka_unit_test(a_script_knows_the_moments),
		cmocka_unit_test(all_certificates_can_be_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
