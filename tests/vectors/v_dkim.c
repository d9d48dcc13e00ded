/* SPDX-License-Identifier: ISC */
/*
 * The public DKIM suites.  With a directory as its argument: the suite in there,
 * of the same shape (cases.json, which may say what time it is: "now", in
 * seconds), instead of them.
 */
#include <unistd.h>

#include "judge.h"
#include "mailsuite.h"

static int64_t now;                     /* milliseconds */

/* --- one message ------------------------------------------------------------------- */

static bool
read_message(const char *directory, struct slice name, bool bare_lf, struct buf *message)
{
	struct buf raw = BUF(16 << 20);
	char path[4096];
	bool ok;

	snprintf(path, sizeof path, "%s/%.*s", directory, FMT(name));
	ok = file_read(path, &raw, NULL);
	suite_message(buf_slice(&raw), bare_lf, message);
	buf_free(&raw);
	return ok;
}

/* The results of all signatures, joined with ','; "none" without any, "error" without a header. */
static void
judge(struct slice message, const struct zone *zone, struct buf *results)
{
	struct judged j;

	if (!judge_begin(&j, message)) {
		buf_add(results, S("error"));
		judge_end(&j);
		return;
	}
	dkim_begin(&j.dkim, &j.header, NONE, &j.bodies, j.arena);
	judge_body(&j, message);
	judge_dkim(&j, zone, now);
	for (size_t i = 0; i < j.dkim.count; i++)
		buf_printf(results, "%s%s", i ? "," : "",
		    dkim_result_name(dkim_result(&j.dkim.signatures[i])));
	if (j.dkim.count == 0)
		buf_add(results, S("none"));
	judge_end(&j);
}

/* --- what the suites expect --------------------------------------------------------- */

static bool
has(struct slice results, const char *result)
{
	struct slice word;

	while (slice_cut(&results, ',', &word))
		if (slice_eq(word, slice(result)))
			return true;
	return false;
}

/* "sigs": a word for each signature, "a-or-b" being two. */
static bool
agrees_each(struct slice results, json_t *sigs)
{
	struct slice word;
	json_t *want;
	size_t i;

	json_array_foreach(sigs, i, want) {
		struct slice wanted = json_slice(want);

		if (!slice_cut(&results, ',', &word))
			return false;
		if (!slice_eq(word, wanted) && !(slice_eq(wanted, S("permerror-or-fail")) &&
		    (slice_eq(word, S("permerror")) || slice_eq(word, S("fail")))))
			return false;
	}
	return results.n == 0;
}

/* "upstream": one word for the message; "invalid" is every way of not being judged. */
static bool
agrees_over_all(struct slice results, struct slice upstream, json_t *test)
{
	bool good = has(results, "pass"), bad = has(results, "fail");
	bool plain = json_array_size(json_object_get(test, "rfc8301_caveat")) == 0;

	if (slice_eq(upstream, S("pass")))
		return good;
	return !good && (!plain || bad == slice_eq(upstream, S("fail")));
}

static bool
agrees(struct slice results, json_t *test)
{
	json_t *sigs = json_object_get(test, "sigs"), *error = json_object_get(test, "error");

	if (json_is_string(error))
		return slice_eq(results, S("error"));
	return sigs != NULL ? agrees_each(results, sigs)
	    : agrees_over_all(results, json_slice(json_object_get(test, "upstream")), test);
}

/* --- suites -------------------------------------------------------------------------- */

/* The records of a case: its own, the default of the suite, or those beside it. */
static json_t *
records_of(json_t *suite, json_t *test, json_t *beside)
{
	json_t *own = json_object_get(test, "txt");

	return json_is_object(own) ? own : json_is_string(own) ? json_object_get(suite, "default_txt")
	    : json_is_object(beside) ? beside : json_object_get(suite, "txt");
}

static void
run_case(const char *name, const char *directory, json_t *suite, json_t *test, json_t *beside)
{
	const char *id = json_string_value(json_object_get(test, "id"));
	struct zone *zone = suite_zone(records_of(suite, test, beside));
	struct buf message = BUF(16 << 20), results = BUF(4096);
	bool lf = slice_eq(json_slice(json_object_get(test, "eol")), S("lf"));

	if (zone == NULL || !read_message(directory, json_slice(json_object_get(test, "message")), lf, &message)) {
		tap_ok(false, "%s %s cannot be read", name, id);
	} else {
		judge(buf_slice(&message), zone, &results);
		suite_tell(name, id, buf_slice(&results), agrees(buf_slice(&results), test), S(""));
	}
	zone_free(zone);
	buf_free(&message);
	buf_free(&results);
}

static void
run_suite(const char *name, const char *directory)
{
	char path[4096];
	json_t *suite, *beside, *test;
	size_t i;

	snprintf(path, sizeof path, "%s/cases.json", directory);
	suite = json_load_file(path, 0, NULL);
	snprintf(path, sizeof path, "%s/dns.json", directory);
	beside = json_load_file(path, 0, NULL);
	now = suite_now(suite);
	json_array_foreach(json_object_get(suite, "cases"), i, test)
		run_case(name, directory, suite, test, beside);
	if (suite == NULL)
		tap_skip("%s is not there", directory);
	json_decref(suite);
	json_decref(beside);
}

/* --- dkimpy's files, whose expectations stand in its programs -------------------------- */

#define GMAIL_P "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1Kd87/UeJjenpabgbFwh+eBCsSTrqmwIYYvywlbhbqoo" \
	"2DymndFkbjOVIPIldNs/m40KF+yzMn1skyoxcTUGCQs8g3FgD2Ap3ZB5DekAo5wMmk4wimDO+U8QzI3SD07y2+07wlNWwIt8svnx" \
	"gdxGkVbbhzY8i+RQ9DpSVpPbF7ykQxtKXkv/ahW3KjViiAH+ghvvIhkx4xYSIc9oSwVmAl5OctMEeWUwg8Istjqz8BZeTWbf41fb" \
	"Nhte7Y+YqZOwq1Sd0DbvYAD9NOZK9vlfuac0598HY+vtSBczUiKERHv1yRbcaQtZFh5wtiRrN04BLUTD21MycBX5jYchHjPY/wIDAQAB"
#define FOOTBALL "brisbane._domainkey.football.example.com TXT \"v=DKIM1; k=ed25519; " \
	"p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n" \
	"test._domainkey.football.example.com TXT \"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHl" \
	"OQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+" \
	"PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\"\n"

static const struct { const char *message; bool lf; const char *zone, *want; } dkimpy_messages[] = {
	{ "test2.message", true, "20120113._domainkey.gmail.com TXT \"k=rsa; " GMAIL_P "\"\n", "pass" },
	{ "test2.message", true, "20120113._domainkey.gmail.com TXT \"" GMAIL_P "\"\n", "pass" },
	{ "rfc6376.signed.msg", true, FOOTBALL, "pass,pass" },
	{ "rfc6376.signed.rsa.msg", true, FOOTBALL, "pass" },
	{ "rfc6376.msg", true, FOOTBALL, "none" },
	{ "ed25519test2.msg", false, "sed._domainkey.test.ex TXT \"v=DKIM1; k=ed25519; "
	  "p=sPs07Vu29FpHT/80UXUcYHFOHifD4o2ZlP2+XUh9g6E=\"\n", "pass" },
	{ "test.message.baddomain", true, "test._domainkey.legitimate.com TXT \"p=\"\n", "permerror" },
};

static const struct { const char *file; enum key_flaw flaw; bool for_mail; } dkimpy_keys[] = {
	{ "test.txt", KEY_OK, true },
	{ "test2.txt", KEY_OK, true },
	{ "1024_testkey_wo_markers.pub.txt", KEY_OK, true },
	{ "1024_testkey_wo_markers.pub.rsa.txt", KEY_OK, true },
	{ "2048_testkey_wo_markers.pub.txt", KEY_OK, true },
	{ "2048_testkey_wo_markers.pub.rsa.txt", KEY_OK, true },
	{ "2048_testkey_PKCS8.key.pub.txt", KEY_OK, true },
	{ "ed25519test.dns", KEY_OK, true },
	{ "eximtest.dns", KEY_OK, true },
	{ "test_tlsrpt.txt", KEY_OK, false },
	{ "badk.txt", KEY_UNKNOWN_TYPE, false },
	{ "badversion.txt", KEY_VERSION, false },
	{ "test_bad.txt", KEY_ENCODING, false },
};

static void
run_dkimpy_messages(const char *directory)
{
	for (size_t i = 0; i < sizeof dkimpy_messages / sizeof *dkimpy_messages; i++) {
		struct zone *zone = zone_parse(slice(dkimpy_messages[i].zone), "zone", NULL);
		struct buf message = BUF(1 << 20), results = BUF(4096);

		if (read_message(directory, slice(dkimpy_messages[i].message), dkimpy_messages[i].lf, &message))
			judge(buf_slice(&message), zone, &results);
		tap_ok(slice_eq(buf_slice(&results), slice(dkimpy_messages[i].want)), "dkim-dkimpy %s: %.*s",
		    dkimpy_messages[i].message, FMT(buf_slice(&results)));
		zone_free(zone);
		buf_free(&message);
		buf_free(&results);
	}
}

static void
run_dkimpy_keys(const char *directory)
{
	for (size_t i = 0; i < sizeof dkimpy_keys / sizeof *dkimpy_keys; i++) {
		struct buf record = BUF(8192);
		struct key key = { 0 };
		enum key_flaw flaw = KEY_SYNTAX;

		if (read_message(directory, slice(dkimpy_keys[i].file), false, &record))
			flaw = key_parse(&key, slice_trim(buf_slice(&record)));
		tap_ok(flaw == dkimpy_keys[i].flaw && (flaw != KEY_OK || key.for_mail == dkimpy_keys[i].for_mail),
		    "dkim-dkimpy %s: %s", dkimpy_keys[i].file, key_flaw_text(flaw));
		key_free(&key);
		buf_free(&record);
	}
}

int
main(int argc, char **argv)
{
	static const char *const suites[] = {
		"dkim-verifier-addon", "dkim-chasquid", "dkim-jdkim", "dkim-mail-dkim",
	};
	const char *top = getenv("CONFORMANCE") != NULL ? getenv("CONFORMANCE") : "../shared/conformance";
	char directory[4096];

	if (argc > 1) {
		run_suite("suite", argv[1]);
	} else {
		for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
			snprintf(directory, sizeof directory, "%s/%s", top, suites[i]);
			run_suite(suites[i], directory);
		}
		snprintf(directory, sizeof directory, "%s/dkim-dkimpy/data", top);
		if (access(directory, R_OK) == 0) {
			run_dkimpy_messages(directory);
			run_dkimpy_keys(directory);
		} else {
			tap_skip("dkim-dkimpy is not there");
		}
	}
	return tap_end();
}
