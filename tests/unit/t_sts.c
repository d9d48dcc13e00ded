/* SPDX-License-Identifier: ISC */
/* MTA-STS and TLSRPT: records, policies, answers of policy hosts, the cache's decision. */
#include <openssl/x509_vfy.h>

#include "dns/zone.h"
#include "sts/cache.h"
#include "sts/reach.h"
#include "unit.h"

static struct arena *arena;

static int setup(void **state)    { (void)state; arena = arena_new(8 << 20); return 0; }
static int teardown(void **state) { (void)state; arena_free(arena); return 0; }

static const char *const LIVE[] = { "none", "valid", "broken", "unknown" };

/* --- records -------------------------------------------------------------- */

static const struct { const char *text; enum live live; const char *id; } sts_records[] = {
	{ "v=STSv1; id=1;", LIVE_VALID, "1" },                  /* RFC 8461 3.1 */
	{ "v=STSv1;id=1", LIVE_VALID, "1" },
	{ "v=STSv1; id=20160831085700Z", LIVE_VALID, "20160831085700Z" },
	{ "v=STSv1; \t id=a  \t;", LIVE_VALID, "a" },
	{ "v=STSv1 ; id=a", LIVE_VALID, "a" },                  /* sts-field-delim: *WSP ";" *WSP */
	{ "v=STSv1; id=a ", LIVE_VALID, "a" },
	{ "v=STSv1; id=a; more=a; ext_2.-x=!:~", LIVE_VALID, "a" },
	{ "v=STSv1; more=a; id=a", LIVE_VALID, "a" },
	{ "v=STSv1; id=a; id=b", LIVE_VALID, "a" },             /* 3.2: the first counts */
	{ "v=STSv1; id=a; id=b-c", LIVE_VALID, "a" },
	{ "v=STSv1; id=12345678901234567890123456789012", LIVE_VALID,
	  "12345678901234567890123456789012" },
	{ "v=STSv1; id=123456789012345678901234567890123", LIVE_BROKEN, "" },
	{ "v=STSv1", LIVE_NONE, "" },                           /* 3.1: does not begin with "v=STSv1;" */
	{ "v=STSv1;", LIVE_BROKEN, "" },
	{ "v=STSv1; id=", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a-b", LIVE_BROKEN, "" },
	{ "v=STSv1; id = a", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a;;", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; ; b=c", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; b", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; b=", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; b==", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; b=c d", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; _b=c", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; b%=c", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; a12345678901234567890123456789012=1", LIVE_BROKEN, "" },
	{ "v=STSv1; id=a; b=\xc3\xa4", LIVE_BROKEN, "" },
	{ "v=STSv1, id=a", LIVE_NONE, "" },
	{ "v=STSv10; id=a", LIVE_NONE, "" },
	{ "V=STSv1; id=a", LIVE_NONE, "" },
	{ " v=STSv1; id=a", LIVE_NONE, "" },
	{ "", LIVE_NONE, "" },
};

static void
sts_txt_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sts_records); i++) {
		struct sts_record r;
		enum live live = sts_record_parse(slice(sts_records[i].text), &r);

		assert_case(live == sts_records[i].live && r.live == live, i, sts_records[i].text);
		if (live == LIVE_VALID)
			assert_slice(r.id, sts_records[i].id);
	}
}

static const struct { const char *text; enum live live; const char *uris; } tlsrpt_records[] = {
	{ "v=TLSRPTv1; rua=mailto:a@b.example", LIVE_VALID, "mailto:a@b.example|" },   /* RFC 8460 3 */
	{ "v=TLSRPTv1;rua=https://b.example/v1?x=y;", LIVE_VALID, "https://b.example/v1?x=y|" },
	{ "v=TLSRPTv1; rua=mailto:a@b.example , \t https://b.example/v1  ", LIVE_VALID,
	  "mailto:a@b.example|https://b.example/v1|" },
	{ "v=TLSRPTv1; ext=1; rua=MAILTO:a@b.example", LIVE_VALID, "MAILTO:a@b.example|" },
	{ "v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@d.example", LIVE_VALID,
	  "mailto:a@b.example|mailto:c@d.example|" },
	{ "v=TLSRPTv1; rua=mailto:a%2Cb@c.example", LIVE_VALID, "mailto:a%2Cb@c.example|" },
	{ "v=TLSRPTv1; rua=ftp://x/,mailto:a@b.example", LIVE_VALID, "mailto:a@b.example|" },
	{ "v=TLSRPTv1; rua=ftp://x/", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=http://x/", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=https://", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.example!10m", LIVE_BROKEN, "" },  /* "!" must be encoded */
	{ "v=TLSRPTv1; rua=mailto:a@b.example,", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.example,,mailto:c@d.example", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:a%2@b.example", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.example%", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:a b@b.example", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.example; x==", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=,, ,", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1; rua=", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1;", LIVE_BROKEN, "" },
	{ "v=TLSRPTv1", LIVE_NONE, "" },
	{ "v=tlsrptv1; rua=mailto:a@b.example", LIVE_NONE, "" },
	{ "v=TLSRPTv10; rua=mailto:a@b.example", LIVE_NONE, "" },
	{ "v=TLSRPTv1; rua=mailto:a@x,mailto:b@x,mailto:c@x,mailto:d@x,mailto:e@x,mailto:f@x,"
	  "mailto:g@x,mailto:h@x,mailto:i@x,mailto:j@x,mailto:k@x", LIVE_VALID,
	  "mailto:a@x|mailto:b@x|mailto:c@x|mailto:d@x|mailto:e@x|mailto:f@x|mailto:g@x|mailto:h@x|"
	  "mailto:i@x|mailto:j@x|" },
};

static void
tlsrpt_txt_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tlsrpt_records); i++) {
		struct tlsrpt_record r;
		struct buf uris = BUF(4096);
		enum live live = tlsrpt_record_parse(slice(tlsrpt_records[i].text), &r);

		for (size_t j = 0; j < r.count; j++)
			buf_printf(&uris, "%.*s|", FMT(r.uris[j]));
		assert_case(live == tlsrpt_records[i].live && r.live == live, i, tlsrpt_records[i].text);
		assert_slice(buf_slice(&uris), tlsrpt_records[i].uris);
		buf_free(&uris);
	}
}

static const struct { const char *zone; enum live sts, tlsrpt; } places[] = {
	{ "a.test A 192.0.2.1", LIVE_NONE, LIVE_NONE },
	{ "_mta-sts.a.test TXT \"v=STS\" \"v1; id=1\"\n"        /* F1.2: strings are joined */
	  "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mail\" \"to:a@b.test\"", LIVE_VALID, LIVE_VALID },
	{ "_mta-sts.a.test TXT \"unrelated\"\n_mta-sts.a.test TXT \"v=STSv1; id=1\"\n"
	  "_smtp._tls.a.test TXT \"unrelated\"", LIVE_VALID, LIVE_NONE },
	{ "_mta-sts.a.test TXT \"v=STSv1; id=1\"\n_mta-sts.a.test TXT \"v=STSv1; id=2\"\n"
	  "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mailto:a@b\"\n"
	  "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mailto:c@d\"", LIVE_BROKEN, LIVE_BROKEN },
	{ "_mta-sts.a.test TXT \"v=STSv1; id=1\"\n_mta-sts.a.test TXT \"v=STSv1; id=-\"",
	  LIVE_BROKEN, LIVE_NONE },
	{ "_mta-sts.a.test CNAME x.test\nx.test CNAME y.test\ny.test TXT \"v=STSv1; id=1\"\n"
	  "_smtp._tls.a.test CNAME z.test\nz.test TXT \"v=TLSRPTv1; rua=mailto:a@b\"",
	  LIVE_VALID, LIVE_VALID },                             /* RFC 8461 8.2 */
	{ "_mta-sts.a.test TXT !servfail\n_smtp._tls.a.test TXT !timeout", LIVE_UNKNOWN, LIVE_UNKNOWN },
	{ "_mta-sts.a.test TXT !bogus", LIVE_UNKNOWN, LIVE_NONE },
	{ "_mta-sts.test TXT \"v=STSv1; id=1\"", LIVE_NONE, LIVE_NONE },    /* 3.4: never a parent */
};

static void
records_at_a_domain(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		struct zone *zone = zone_parse(slice(places[i].zone), "zone", NULL);
		struct facts facts;
		struct sts_record sts;
		struct tlsrpt_record tlsrpt;

		facts_begin(&facts, arena);
		assert_non_null(zone);
		assert_false(sts_record_find(&sts, S("a.test"), &facts));
		assert_false(tlsrpt_record_find(&tlsrpt, S("a.test"), &facts));
		zone_answer_all(zone, &facts);
		assert_true(sts_record_find(&sts, S("a.test"), &facts));
		assert_true(tlsrpt_record_find(&tlsrpt, S("a.test"), &facts));
		assert_case(sts.live == places[i].sts, i, LIVE[sts.live]);
		assert_case(tlsrpt.live == places[i].tlsrpt, i, LIVE[tlsrpt.live]);
		zone_free(zone);
	}
}

static void
a_name_too_long_for_the_dns_has_no_record(void **state)
{
	char name[300] = "";
	struct facts facts;
	struct sts_record sts;

	(void)state;
	facts_begin(&facts, arena);
	for (size_t n = 0; n < 248; n += 8)
		memcpy(name + n, "abcdefg.", 9);
	memcpy(name + 248, "test", 5);
	assert_true(sts_record_find(&sts, slice(name), &facts));
	assert_int_equal(sts.live, LIVE_NONE);
}

/* --- policies ------------------------------------------------------------- */

static const struct { const char *text, *policy; } policies[] = {
	/* text -> "mode max_age pattern…", or what is wrong with it */
	{ "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n",
	  "enforce 604800 mail.example.com *.example.net" },    /* RFC 8461 3.2 */
	{ "version: STSv1\r\nmode: testing\r\nmx: a.test\r\nmax_age: 0\r\n", "testing 0 a.test" },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1", "enforce 1 a.test" },
	{ "version:STSv1\nmode:\tenforce\t\nmx:  a.test \nmax_age:\t 1 ", "enforce 1 a.test" },
	{ "mx: a.test\nmax_age: 1\nmode: enforce\nversion: STSv1\n", "enforce 1 a.test" },
	{ "version: STSv1\nmode: none\nmax_age: 86400\n", "none 86400" },
	{ "version: STSv1\nmode: none\nmax_age: 86400\nmx: a.test", "none 86400 a.test" },
	{ "version: STSv1\nmode: enforce\nmode: none\nmx: a.test\nmax_age: 1\nmax_age: x\nversion: 2\n",
	  "enforce 1 a.test" },                                 /* the first counts */
	{ "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 31557600\n", "testing 31557600 a.test" },
	{ "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 31557601\n", "testing 31557600 a.test" },
	{ "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 9999999999\n", "testing 31557600 a.test" },
	{ "version: STSv1\nmode: testing\nmx: a.test\nmax_age: 0000000007\n", "testing 7 a.test" },
	{ "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 1\nmore.x-y_z: b\xc3\xbc cher\n",
	  "enforce 1 a.test" },                                 /* unknown keys */
	{ "version: STSv1\n\n  \nmode: enforce\nmx: a.test\nmax_age: 1\n\n", "enforce 1 a.test" },
	{ "version: STSv1\nmode: enforce\nmx: mx*.a.test\nmx: a.test\nmax_age: 1\n", "enforce 1 a.test" },
	{ "version: STSv1\nmode: enforce\nmx: A.xn--bcher-kva.TEST\nmax_age: 1\n",
	  "enforce 1 A.xn--bcher-kva.TEST" },
	/* J7: these `mx` are no patterns, and nothing else is there */
	{ "version: STSv1\nmode: enforce\nmx: mx*.a.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: *\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: *.*.a.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: *.\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: .a.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: a.test.\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: a..test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: -a.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: a-.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: a_b.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: enforce\nmx: b\xc3\xbc" "cher.test\nmax_age: 1\n",
	  "mode enforce without an mx" },                       /* A-labels only */
	{ "version: STSv1\nmode: enforce\nmx: a.test b.test\nmax_age: 1\n", "mode enforce without an mx" },
	{ "version: STSv1\nmode: testing\nmax_age: 1\n", "mode testing without an mx" },
	{ "", "no version" },
	{ "mode: none\nmax_age: 1\n", "no version" },
	{ "Version: STSv1\nmode: none\nmax_age: 1\n", "no version" },
	{ "version: STSv2\nmode: none\nmax_age: 1\n", "the version is not STSv1" },
	{ "version: stsv1\nmode: none\nmax_age: 1\n", "the version is not STSv1" },
	{ "version: STSv1\nmax_age: 1\nmx: a.test\n", "no mode" },
	{ "version: STSv1\nMode: enforce\nmax_age: 1\nmx: a.test\n", "no mode" },
	{ "version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.test\n",
	  "the mode is neither enforce, testing nor none" },
	{ "version: STSv1\nmode: none\n", "no max_age" },
	{ "version: STSv1\nmode: none\nmax_age: -1\n", "max_age is not a number of seconds" },
	{ "version: STSv1\nmode: none\nmax_age: 1s\n", "max_age is not a number of seconds" },
	{ "version: STSv1\nmode: none\nmax_age: 01234567890\n", "max_age is not a number of seconds" },
	{ "version: STSv1\nmode : none\nmax_age: 1\n", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\nmx:\n", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\next:\n", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\n_x: y\n", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\nx: \xff\n", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\nx: y\x01\n", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\na12345678901234567890123456789012: x\n",
	  "a line is not \"key: value\"" },
	{ "version: STSv1\rmode: none\rmax_age: 1\r", "a line is not \"key: value\"" },
	{ "version: STSv1\nmode: none\nmax_age: 1\r", "a line is not \"key: value\"" },
	{ "<html><body>not found</body></html>", "a line is not \"key: value\"" },
};

/* A policy as the table writes it. */
static void
describe(const struct sts_policy *p, struct buf *b)
{
	buf_printf(b, "%s %u", sts_mode_name(p->mode), p->max_age);
	for (size_t i = 0; i < p->mx_count; i++)
		buf_printf(b, " %.*s", FMT(p->mx[i]));
}

static void
policy_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(policies); i++) {
		struct buf got = BUF(4096);
		struct sts_policy p;
		struct error why = { 0 };

		if (sts_policy_parse(&p, slice(policies[i].text), arena, &why)) {
			describe(&p, &got);
			assert_slice(p.text, policies[i].text);
		} else {
			buf_printf(&got, "%s", why.text);
		}
		assert_case(slice_eq(buf_slice(&got), slice(policies[i].policy)), i, policies[i].text);
		buf_free(&got);
	}
}

/* RFC 8461 knows no most of them; the size is the one limit (3.3). */
static void
a_policy_has_as_many_hosts_as_fit(void **state)
{
	struct arena *small = arena_new(STS_POLICY_MEMORY);
	struct buf text = BUF(1 << 20);
	struct sts_policy p;
	struct error why = { .text = "" };
	size_t n = 0;

	(void)state;
	buf_add(&text, S("version: STSv1\nmode: enforce\nmax_age: 1\n"));
	for (; text.n + sizeof "mx:a\nmx:h\n" <= STS_POLICY_MOST; n++)
		buf_add(&text, S("mx:a\n"));
	buf_add(&text, S("mx:h\n"));
	assert_case(sts_policy_parse(&p, buf_slice(&text), small, &why), n, why.text);
	assert_int_equal(p.mx_count, n + 1);
	assert_in_range(p.mx_count, 257, STS_MX_MOST);
	assert_true(sts_policy_lists(&p, S("h")));
	while (text.n <= STS_POLICY_MOST)
		buf_add(&text, S("x: filler\n"));
	assert_false(sts_policy_parse(&p, buf_slice(&text), arena, &why));
	assert_string_equal(why.text, "longer than 65536 bytes");
	buf_free(&text);
	arena_free(small);
}

static const struct { const char *pattern, *host; bool matches; } matches[] = {
	{ "mail.example.com", "mail.example.com", true },       /* RFC 8461 4.1 */
	{ "mail.example.com", "MX.example.com", false },
	{ "*.example.com", "mx.example.com", true },
	{ "*.example.com", "example.com", false },
	{ "*.example.com", ".example.com", false },
	{ "*.example.com", "a.b.example.com", false },
	{ "*.example.com", "mx.example.com.", true },
	{ "MX.Example.COM", "mx.example.com.", true },
	{ "*.EXAMPLE.com", "a.example.COM", true },
	{ "example.com", "xexample.com", false },
	{ "*.example.com", "xexample.com", false },
	{ "*.com", "example.com", true },
	{ "*.com", "com", false },
	{ "a.example", "", false },
};

static void
patterns(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(matches); i++)
		assert_case(sts_mx_matches(slice(matches[i].pattern), slice(matches[i].host)) ==
		    matches[i].matches, i, matches[i].host);
}

/* --- answers of policy hosts ---------------------------------------------- */

#define GOOD_FILE "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 86400\n"

static const struct {
	enum sts_transport transport;
	int                verify;
	unsigned           status;
	const char        *type, *body, *result;
} answers[] = {
	{ STS_ANSWERED, 0, 200, "text/plain", GOOD_FILE, "success" },   /* RFC 8461 3.3 */
	{ STS_ANSWERED, 0, 200, "Text/Plain ; charset=utf-8", GOOD_FILE, "success" },
	{ STS_ANSWERED, 0, 200, "text/html", GOOD_FILE,
	  "sts-policy-fetch-error the file is not text/plain" },
	{ STS_ANSWERED, 0, 200, "text/plainer", GOOD_FILE,
	  "sts-policy-fetch-error the file is not text/plain" },
	{ STS_ANSWERED, 0, 200, "", GOOD_FILE, "sts-policy-fetch-error the file is not text/plain" },
	{ STS_ANSWERED, 0, 200, "text/plain", "x", "sts-policy-invalid a line is not \"key: value\"" },
	{ STS_ANSWERED, 0, 200, "text/plain", "", "sts-policy-invalid no version" },
	{ STS_ANSWERED, 0, 301, "text/plain", GOOD_FILE,
	  "sts-policy-fetch-error HTTP status 301: redirects are not followed" },
	{ STS_ANSWERED, 0, 307, "text/plain", GOOD_FILE,
	  "sts-policy-fetch-error HTTP status 307: redirects are not followed" },
	{ STS_ANSWERED, 0, 404, "text/plain", GOOD_FILE, "sts-policy-fetch-error HTTP status 404" },
	{ STS_ANSWERED, 0, 500, "text/plain", GOOD_FILE, "sts-policy-fetch-error HTTP status 500" },
	{ STS_ANSWERED, 0, 201, "text/plain", GOOD_FILE, "sts-policy-fetch-error HTTP status 201" },
	{ STS_ANSWERED, 0, 206, "text/plain", GOOD_FILE, "sts-policy-fetch-error HTTP status 206" },
	{ STS_ANSWERED, 0, 0, "text/plain", GOOD_FILE, "sts-policy-fetch-error HTTP status 0" },
	{ STS_UNREACHABLE, 0, 200, "text/plain", GOOD_FILE,
	  "sts-policy-fetch-error the policy host cannot be reached" },
	{ STS_TIMEOUT, 0, 200, "text/plain", GOOD_FILE,
	  "sts-policy-fetch-error the policy host did not answer in time" },
	{ STS_TOO_BIG, 0, 200, "text/plain", GOOD_FILE, "sts-policy-fetch-error the file is too big" },
	{ STS_UNTRUSTED, X509_V_ERR_CERT_HAS_EXPIRED, 200, "text/plain", GOOD_FILE,
	  "sts-webpki-invalid certificate-expired" },
	{ STS_UNTRUSTED, X509_V_ERR_HOSTNAME_MISMATCH, 200, "text/plain", GOOD_FILE,
	  "sts-webpki-invalid certificate-host-mismatch" },
	{ STS_UNTRUSTED, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 200, "text/plain", GOOD_FILE,
	  "sts-webpki-invalid certificate-not-trusted" },
	{ STS_UNTRUSTED, 0, 200, "text/plain", GOOD_FILE, "sts-webpki-invalid certificate-not-trusted" },
};

static void
what_a_policy_host_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct sts_answer a = { answers[i].transport, answers[i].verify, answers[i].status,
		    slice(answers[i].type), slice(answers[i].body) };
		struct buf got = BUF(4096);
		struct sts_fetch f;

		sts_answer_judge(&f, &a, arena);
		buf_printf(&got, "%s%s%.*s", tlsrpt_result_name(f.result), f.reason.n ? " " : "",
		    FMT(f.reason));
		assert_case(slice_eq(buf_slice(&got), slice(answers[i].result)), i, answers[i].result);
		assert_int_equal(f.policy.mx_count, f.result == TLSRPT_SUCCESS);
		buf_free(&got);
	}
}

static void
every_flaw_has_a_type(void **state)
{
	static const struct { int number; const char *type; } flaws[] = {
		{ X509_V_OK, "success" },
		{ X509_V_ERR_CERT_HAS_EXPIRED, "certificate-expired" },
		{ X509_V_ERR_CERT_NOT_YET_VALID, "certificate-not-trusted" },
		{ X509_V_ERR_HOSTNAME_MISMATCH, "certificate-host-mismatch" },
		{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "certificate-not-trusted" },
		{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "certificate-not-trusted" },
		{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "certificate-not-trusted" },
		{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "certificate-not-trusted" },
		{ X509_V_ERR_DANE_NO_MATCH, "validation-failure" },
		{ 4711, "certificate-not-trusted" },
		{ -1, "certificate-not-trusted" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(flaws); i++) {
		const struct certificate_flaw *f = certificate_flaw(flaws[i].number);

		assert_case(strcmp(tlsrpt_result_name(f->type), flaws[i].type) == 0, i, f->symbol);
		assert_true(strncmp(f->symbol, "X509_V_", 7) == 0 && f->says[0] != '\0');
	}
}

/* --- the cache's decision (STANDARDS J7) ----------------------------------- */

#define T0 (INT64_C(1795000000) * SECOND)

/*
 * A cached policy is written "id@AGE/MAX_AGE", its age and life in minutes,
 * with a last try that failed as "!id@AGE" behind it; the result as
 *     WISH applies [report] [store] [again+MINUTES]
 */
static const struct {
	const char *live;               /* "-" none, "!" broken, "?" DNS trouble, or an id */
	const char *cached;
	const char *fetch;              /* NULL: none made; else "mode/MAX_AGE" in minutes, or a result */
	const char *expected;
} decisions[] = {
	/* RFC 8461 3.1: without a live record nothing is discovered; the cache lives on */
	{ "-", "", NULL, "content nothing" },
	{ "!", "", NULL, "content nothing" },
	{ "?", "", NULL, "content nothing" },
	{ "-", "a@60/1440", NULL, "content a again+660" },
	{ "!", "a@60/1440", NULL, "content a again+660" },
	{ "?", "a@60/1440", NULL, "content a again+660" },
	{ "-", "a@1440/1440", NULL, "content nothing" },        /* expired to the minute */
	{ "-", "a@1439/1440", NULL, "content a again+60" },
	{ "-", "a@721/1440", NULL, "content a again+60" },      /* refresh due, but nothing to ask for */
	/* the same id */
	{ "a", "a@60/1440", NULL, "content a again+660" },
	{ "a", "a@60/40320", NULL, "content a again+1380" },    /* a day, not half of four weeks */
	{ "a", "a@720/1440", NULL, "refresh a again+60" },
	{ "a", "a@1441/40320", NULL, "refresh a again+60" },
	{ "a", "a@1441/1440", NULL, "fetch nothing" },          /* expired */
	/* another id */
	{ "b", "", NULL, "fetch nothing" },
	{ "b", "a@60/1440", NULL, "fetch a again+660" },
	{ "b", "a@1441/1440", NULL, "fetch nothing" },
	/* a good fetch replaces at once */
	{ "b", "", "enforce/1440", "content b store again+720" },
	{ "b", "a@60/1440", "enforce/1440", "content b store again+720" },
	{ "b", "a@60/1440", "none/60", "content b store again+30" },
	{ "a", "a@720/1440", "enforce/1440", "content a store again+720" },   /* the time is renewed */
	{ "b", "a@1441/1440", "testing/1440", "content b store again+720" },
	{ "b", "", "enforce/0", "content b store" },            /* for this message, not for the next */
	/* a failed one leaves the cache in force (RFC 8461 5.1) */
	{ "b", "a@60/1440", "sts-policy-fetch-error", "content a sts-policy-fetch-error store again+60" },
	{ "b", "a@60/1440", "sts-policy-invalid", "content a sts-policy-invalid store again+60" },
	{ "b", "a@60/1440", "sts-webpki-invalid", "content a sts-webpki-invalid store again+60" },
	{ "a", "a@720/1440", "sts-policy-fetch-error", "content a sts-policy-fetch-error store again+60" },
	{ "b", "", "sts-policy-fetch-error", "content nothing sts-policy-fetch-error store" },
	{ "b", "a@1441/1440", "sts-policy-fetch-error", "content nothing sts-policy-fetch-error store" },
	/* 3.3: not again for five minutes, for the same id */
	{ "b", "!b@4", NULL, "content nothing" },
	{ "b", "!b@5", NULL, "fetch nothing" },
	{ "b", "!c@4", NULL, "fetch nothing" },
	{ "b", "a@60/1440!b@4", NULL, "content a again+56" },
	{ "b", "a@60/1440!b@5", NULL, "fetch a again+55" },
	{ "c", "a@60/1440!b@4", NULL, "fetch a again+56" },
	{ "a", "a@800/1440!a@30", NULL, "content a again+30" },
	{ "a", "a@800/1440!a@61", NULL, "refresh a again+60" },
	{ "b", "!b@-60", NULL, "fetch nothing" },               /* the clock was set back */
	{ "a", "a@-60/1440", NULL, "refresh a again+60" },
	{ "a", "a@-60/1440!a@-1", NULL, "refresh a again+60" },
	{ "a", "a@-60/1440!a@1", NULL, "content a again+59" },
	{ "-", "a@-60/1440", NULL, "content a again+60" },
	{ "a", "a@-60/1440", "enforce/1440", "content a store again+720" },
	{ "a", "a@1/0", NULL, "fetch nothing" },                /* no life at all: for each message */
	/* short lives: refreshed at half, retried no sooner than after five minutes */
	{ "a", "a@1/10", NULL, "content a again+4" },
	{ "a", "a@5/10", NULL, "refresh a again+5" },
	{ "a", "a@6/10!a@1", NULL, "content a again+4" },
};

/* "id@AGE/LIFE" at the front of *text, into the entry. */
static void
read_cached(const char *text, struct sts_entry *e)
{
	char id[8], failed[8];
	int age, life, tried;

	if (sscanf(text, "%7[a-z]@%d/%d", id, &age, &life) == 3) {
		struct slice file = arena_printf(arena,
		    "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: %d\n", life * 60);

		assert_true(sts_policy_parse(&e->policy, file, arena, NULL));
		e->known = true;
		e->id = arena_copy(arena, slice(id));
		e->fetched = e->tried = T0 - (int64_t)age * MINUTE;
		e->tried_id = e->id;
		e->expires = e->fetched + (int64_t)life * MINUTE;
	}
	if (strchr(text, '!') != NULL && sscanf(strchr(text, '!'), "!%7[a-z]@%d", failed, &tried) == 2) {
		e->tried = T0 - (int64_t)tried * MINUTE;
		e->tried_id = arena_copy(arena, slice(failed));
		e->failed = TLSRPT_STS_POLICY_FETCH_ERROR;
	}
	e->used = T0;
}

static void
read_fetch(const char *text, struct sts_fetch *f)
{
	char mode[16];
	int life;

	*f = (struct sts_fetch){ .result = TLSRPT_SUCCESS };
	if (sscanf(text, "%15[a-z]/%d", mode, &life) == 2) {
		struct slice file = arena_printf(arena,
		    "version: STSv1\nmode: %s\nmx: a.test\nmax_age: %d\n", mode, life * 60);

		assert_true(sts_policy_parse(&f->policy, file, arena, NULL));
		return;
	}
	while (strcmp(tlsrpt_result_name(f->result), text) != 0)
		f->result++;
}

static struct sts_record
live_record(const char *live)
{
	return *live == '-' ? (struct sts_record){ LIVE_NONE, NONE }
	    : *live == '!' ? (struct sts_record){ LIVE_BROKEN, NONE }
	    : *live == '?' ? (struct sts_record){ LIVE_UNKNOWN, NONE }
	    : (struct sts_record){ LIVE_VALID, slice(live) };
}

static void
show(const struct sts_decision *d, struct buf *b)
{
	static const char *const wishes[] = { "content", "refresh", "fetch" };

	buf_printf(b, "%s ", wishes[d->wish]);
	if (d->applies)
		buf_add(b, d->id);
	else
		buf_add(b, S("nothing"));
	if (d->report != TLSRPT_SUCCESS)
		buf_printf(b, " %s", tlsrpt_result_name(d->report));
	if (d->store)
		buf_add(b, S(" store"));
	if (d->again != 0)
		buf_printf(b, " again+%d", (int)((d->again - T0) / MINUTE));
}

static void
decide_row(size_t i, struct sts_decision *d)
{
	struct sts_record record = live_record(decisions[i].live);
	struct sts_entry entry = { 0 };
	struct sts_fetch fetch;
	struct sts_question q = { .record = &record, .entry = &entry, .now = T0, .mail = true };

	read_cached(decisions[i].cached, &entry);
	if (decisions[i].fetch != NULL) {
		read_fetch(decisions[i].fetch, &fetch);
		q.fetch = &fetch;
	}
	sts_decide(d, &q);
}

static void
which_policy_applies(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(decisions); i++) {
		struct buf got = BUF(4096);
		struct sts_decision d;

		decide_row(i, &d);
		show(&d, &got);
		if (!slice_eq(buf_slice(&got), slice(decisions[i].expected)))
			print_error("live %s cached %s: got \"%.*s\"\n", decisions[i].live,
			    decisions[i].cached, FMT(buf_slice(&got)));
		assert_slice(buf_slice(&got), decisions[i].expected);
		buf_free(&got);
	}
}

/* What is decided from an entry does not change by storing it. */
static void
entries_survive_the_cache(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(decisions); i++) {
		struct buf first = BUF(STS_ENTRY_MOST), second = BUF(STS_ENTRY_MOST);
		struct sts_entry again;
		struct sts_decision d;

		decide_row(i, &d);
		sts_entry_pack(&d.entry, &first);
		assert_true(sts_entry_unpack(&again, buf_slice(&first), arena));
		sts_entry_pack(&again, &second);
		assert_true(slice_eq(buf_slice(&first), buf_slice(&second)));
		assert_int_equal(again.policy.mx_count, d.entry.policy.mx_count);
		for (size_t n = 0; n < first.n; n++)
			assert_false(sts_entry_unpack(&again, slice_of(first.p, n), arena));
		buf_free(&first);
		buf_free(&second);
	}
}

static void
a_damaged_entry_is_nothing(void **state)
{
	struct sts_entry e = { .tried = T0, .tried_id = S("a") }, got = { .tried = 7 };
	struct buf b = BUF(STS_ENTRY_MOST);

	(void)state;
	sts_entry_pack(&e, &b);
	for (size_t i = 0; i < 3; i++) {                        /* form, known, failed */
		char was = b.p[i];

		b.p[i] = 0x7f;
		assert_false(sts_entry_unpack(&got, buf_slice(&b), arena));
		b.p[i] = was;
	}
	for (size_t i = 3 + 7; i < 3 + 32; i += 8) {            /* the high byte of each time */
		b.p[i] = (char)0x80;
		assert_false(sts_entry_unpack(&got, buf_slice(&b), arena));
		b.p[i] = 0;
	}
	b.p[1] = 1;                                             /* a policy that is none */
	assert_false(sts_entry_unpack(&got, buf_slice(&b), arena));
	assert_int_equal(got.tried, 7);
	buf_free(&b);
}

static void
an_entry_ends_when_it_says_nothing_more(void **state)
{
	struct sts_entry e = { 0 };

	(void)state;
	read_cached("a@60/1440", &e);
	assert_int_equal(sts_entry_end(&e), T0 + (1440 - 60) * MINUTE);
	e = (struct sts_entry){ 0 };
	read_cached("!b@4", &e);
	assert_int_equal(sts_entry_end(&e), T0 + MINUTE);
	read_cached("a@1440/1440!b@4", &e);
	assert_int_equal(sts_entry_end(&e), T0 + MINUTE);
}

/* RFC 8461 5: before a message is given up, a newer policy is looked for. */
static void
a_policy_that_refused_is_looked_at_again(void **state)
{
	struct sts_record record = { LIVE_VALID, S("a") };
	struct sts_entry entry = { 0 };
	struct sts_decision d;
	struct sts_question q = { .record = &record, .entry = &entry, .now = T0, .mail = true,
	    .refused = true };

	(void)state;
	read_cached("a@60/1440", &entry);
	sts_decide(&d, &q);
	assert_int_equal(d.wish, STS_FETCH);
	read_cached("a@60/1440!a@4", &entry);
	sts_decide(&d, &q);
	assert_int_equal(d.wish, STS_CONTENT);
	entry = (struct sts_entry){ 0 };
	read_cached("a@4/1440", &entry);                        /* it is fresh: it is what it is */
	sts_decide(&d, &q);
	assert_int_equal(d.wish, STS_CONTENT);
	record.live = LIVE_NONE;
	read_cached("a@60/1440", &entry);
	sts_decide(&d, &q);
	assert_int_equal(d.wish, STS_CONTENT);
}

/* RFC 8461 3.3: an administrator waits after a failure, and after nothing else. */
static void
a_fetch_that_is_wanted_waits_for_failures_only(void **state)
{
	static const struct { const char *entry; enum sts_wish wish, unwanted; } waits[] = {
		{ "a@4/1440", STS_FETCH, STS_CONTENT },
		{ "a@60/1440", STS_FETCH, STS_CONTENT },
		{ "a@60/1440!a@4", STS_CONTENT, STS_CONTENT },
		{ "a@60/1440!a@6", STS_FETCH, STS_CONTENT },
		{ "a@60/1440!b@4", STS_FETCH, STS_CONTENT },
		{ "!a@4", STS_CONTENT, STS_CONTENT },
	};
	struct sts_record record = { LIVE_VALID, S("a") };

	(void)state;
	for (size_t i = 0; i < COUNT(waits); i++) {
		struct sts_entry entry = { 0 };
		struct sts_question q = { .record = &record, .entry = &entry, .now = T0, .wanted = true };
		struct sts_decision d;

		read_cached(waits[i].entry, &entry);
		sts_decide(&d, &q);
		assert_case(d.wish == waits[i].wish, i, waits[i].entry);
		q.wanted = false;
		sts_decide(&d, &q);
		assert_case(d.wish == waits[i].unwanted, i, waits[i].entry);
	}
}

/* F1.10: a domain that has withdrawn its policy is not blamed for a missing file. */
static void
failures_are_not_reported_against_mode_none(void **state)
{
	struct sts_record record = { LIVE_VALID, S("b") };
	struct sts_entry entry = { 0 };
	struct sts_fetch fetch = { .result = TLSRPT_STS_POLICY_FETCH_ERROR };
	struct sts_decision d;
	struct sts_question q = { .record = &record, .entry = &entry, .fetch = &fetch, .now = T0 };

	(void)state;
	read_cached("a@60/1440", &entry);
	entry.policy.mode = STS_NONE;
	sts_decide(&d, &q);
	assert_int_equal(d.report, TLSRPT_SUCCESS);
	assert_true(d.applies && d.store);
	entry.expires = T0;
	sts_decide(&d, &q);
	assert_int_equal(d.report, TLSRPT_STS_POLICY_FETCH_ERROR);
}

static void
refreshes_are_spread_and_end_with_disuse(void **state)
{
	struct sts_record record = { LIVE_VALID, S("a") };
	struct sts_entry entry = { 0 };
	struct sts_decision d;
	struct sts_question q = { .record = &record, .entry = &entry, .now = T0 };
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	read_cached("a@0/40320", &entry);
	for (uint64_t i = 0; i < 1000; i++) {
		q.jitter = i * UINT64_C(0x9e3779b97f4a7c15);
		sts_decide(&d, &q);
		least = d.again < least ? d.again : least;
		most = d.again > most ? d.again : most;
	}
	assert_true(least >= T0 + 18 * HOUR && least < T0 + 19 * HOUR);
	assert_true(most <= T0 + 24 * HOUR && most > T0 + 23 * HOUR);
	entry.used = T0 - STS_UNUSED - 1;
	sts_decide(&d, &q);
	assert_int_equal(d.again, 0);
	assert_true(d.applies && !d.store);
	q.mail = true;                                          /* somebody writes again */
	sts_decide(&d, &q);
	assert_true(d.again > T0 && d.store);
	assert_int_equal(d.entry.used, T0);
}

/* --- which addresses a stranger's host may have ---------------------------- */

static const struct { const char *address; bool here, outside; } reaches[] = {
	{ "192.0.2.1", true, true },
	{ "2001:db8::1", true, true },
	{ "::ffff:192.0.2.1", true, true },
	{ "127.0.0.1", true, false },
	{ "127.255.1.2", true, false },
	{ "::1", true, false },
	{ "::ffff:127.0.0.1", true, false },
	{ "0.0.0.0", false, false },
	{ "0.1.2.3", false, false },
	{ "::", false, false },
	{ "::ffff:0.0.0.0", false, false },
	{ "::127.0.0.1", false, false },
	{ "169.254.169.254", false, false },
	{ "::ffff:169.254.169.254", false, false },
	{ "64:ff9b::a9fe:a9fe", false, false },                 /* RFC 6052 3.1 */
	{ "64:ff9b::c000:201", true, true },
	{ "fe80::1", false, false },
	{ "febf::1", false, false },
	{ "224.0.0.1", false, false },
	{ "255.255.255.255", false, false },
	{ "ff02::1", false, false },
	{ "10.1.2.3", false, false },
	{ "100.64.0.1", false, false },
	{ "100.127.255.255", false, false },
	{ "100.128.0.1", true, true },
	{ "172.16.0.1", false, false },
	{ "172.31.255.255", false, false },
	{ "172.32.0.1", true, true },
	{ "192.168.0.1", false, false },
	{ "192.0.0.8", false, false },                          /* RFC 6890 2.2.2 */
	{ "192.0.1.1", true, true },
	{ "198.18.0.1", false, false },
	{ "198.19.255.255", false, false },
	{ "198.20.0.1", true, true },
	{ "64:ff9b:1::a00:1", false, false },                   /* RFC 8215 */
	{ "64:ff9b:2::a00:1", true, true },
	{ "fc00::1", false, false },
	{ "fd12:3456::1", false, false },
	{ "fec0::1", false, false },
};

/* How many of its addresses may be asked; the first one in *first. */
static size_t
reached(const char *text, bool local_allowed, struct ip *first)
{
	struct zone *zone = zone_parse(slice(text), "zone", NULL);
	struct ip ips[REACH_MOST];
	const struct fact *v6, *v4;
	struct facts facts;
	size_t n;

	assert_non_null(zone);
	facts_begin(&facts, arena);
	fact(&facts, S("h.test"), RR_AAAA), fact(&facts, S("h.test"), RR_A);
	zone_answer_all(zone, &facts);
	v6 = fact(&facts, S("h.test"), RR_AAAA), v4 = fact(&facts, S("h.test"), RR_A);
	n = reach_addresses(v6, v4, local_allowed, ips);
	if (n > 0)
		*first = ips[0];
	zone_free(zone);
	return n;
}

static void
a_stranger_leads_us_to_public_addresses_only(void **state)
{
	struct ip ip, want;

	(void)state;
	for (size_t i = 0; i < COUNT(reaches); i++) {
		const char *address = reaches[i].address;
		struct slice text = arena_printf(arena, "h.test %s %s\n",
		    strchr(address, ':') ? "AAAA" : "A", address);

		assert_case(reached(text.p, true, &ip) == reaches[i].here, i, address);
		assert_case(reached(text.p, false, &ip) == reaches[i].outside, i, address);
		assert_true(ip_parse(slice(address), &want));
		assert_case(!reaches[i].outside || ip_eq(ip, ip_unmapped(want)), i, address);
	}
}

/* An IPv6 that leads nowhere does not hide IPv4. */
static void
both_families_are_tried(void **state)
{
	struct buf zone = BUF(4096);
	struct ip ip;

	(void)state;
	for (int i = 1; i <= 10; i++)
		buf_printf(&zone, "h.test AAAA 2001:db8::%d\nh.test A 192.0.2.%d\n", i, i);
	buf_byte(&zone, '\0');
	assert_int_equal(reached(zone.p, false, &ip), REACH_MOST);
	assert_int_equal(ip.n, 16);
	assert_int_equal(reached("h.test A 192.0.2.1\n", false, &ip), 1);
	assert_int_equal(reached("h.test TXT x\n", false, &ip), 0);
	buf_free(&zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sts_txt_records),
		cmocka_unit_test(tlsrpt_txt_records),
		cmocka_unit_test_setup_teardown(records_at_a_domain, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_too_long_for_the_dns_has_no_record, setup, teardown),
		cmocka_unit_test_setup_teardown(policy_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_has_as_many_hosts_as_fit, setup, teardown),
		cmocka_unit_test(patterns),
		cmocka_unit_test_setup_teardown(what_a_policy_host_says, setup, teardown),
		cmocka_unit_test(every_flaw_has_a_type),
		cmocka_unit_test_setup_teardown(which_policy_applies, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_survive_the_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_entry_is_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(an_entry_ends_when_it_says_nothing_more, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_that_refused_is_looked_at_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_fetch_that_is_wanted_waits_for_failures_only, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_not_reported_against_mode_none, setup, teardown),
		cmocka_unit_test_setup_teardown(refreshes_are_spread_and_end_with_disuse, setup, teardown),
		cmocka_unit_test_setup_teardown(a_stranger_leads_us_to_public_addresses_only, setup, teardown),
		cmocka_unit_test_setup_teardown(both_families_are_tried, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
