/* SPDX-License-Identifier: ISC */
/* Reports on TLS of real senders: opened, read, written, read again; and the words of RFC 8460 4.3. */
#include "sts/report_mail.h"
#include "suites.h"

#define FOLDER "mta-sts-tlsrpt/samples/"

static struct arena *arena;

/* What the file says of itself, as one line. */
static const struct { const char *file, *says; } SAMPLES[] = {
	{ "mail-auth/rpt01.eml", "Company-X 1 policies: sts company-y.example 5326/303, 3 failures" },
	{ "mail-auth/rpt01.json", "Company-X 1 policies: sts company-y.example 5326/303, 3 failures" },
	{ "mail-auth/rpt02.eml", "Google Inc. 1 policies: sts example.com 23/1, 1 failures" },
	{ "mail-auth/rpt02.json", "Google Inc. 1 policies: sts example.com 23/1, 1 failures" },
	{ "mail-auth/rpt03.json", "Google Inc. 2 policies: no-policy-found  1/0, 0 failures; "
	  "invalid-policy-type  1/0, 0 failures" },
	{ "parsedmarc/google.com_smtp_tls_report.eml", "Google Inc. 1 policies: no-policy-found cardinalhealth.ca 48/0, "
	  "0 failures" },
	{ "parsedmarc/mail.ru.json", "Mail.ru 1 policies: sts example.com 0/1, 2 failures" },
	{ "parsedmarc/rfc8460.json", "Company-X 1 policies: sts company-y.example 5326/303, 3 failures" },
	{ "parsedmarc/smtp_tls.json", "Example Inc. 1 policies: sts example.com 0/3, 2 failures" },
};

static const char *
summary(const struct tlsrpt_report *r)
{
	struct buf b = BUF(4096);
	const char *text;

	buf_printf(&b, "%.*s %zu policies:", FMT(r->organization), r->count);
	for (size_t i = 0; i < r->count; i++)
		buf_printf(&b, "%s %.*s %.*s %d/%d, %zu failures", i ? ";" : "", FMT(r->policies[i].type),
		    FMT(r->policies[i].domain), (int)r->policies[i].good, (int)r->policies[i].bad,
		    r->policies[i].failure_count);
	text = arena_copy(arena, buf_slice(&b)).p;
	buf_free(&b);
	return text;
}

static void
try_again(const char *name, const struct tlsrpt_report *r, const char *says)
{
	struct buf json = BUF(TLSRPT_REPORT_MOST);
	struct tlsrpt_report again;

	tap_ok(tlsrpt_report_write(r, &json) &&
	    tlsrpt_report_read(&again, buf_slice(&json), arena, NULL) &&
	    strcmp(summary(&again), says) == 0, "%s: written, and read again", name);
	buf_free(&json);
}

static void
sample(const char *name, const char *says)
{
	char path[SUITE_PATH];
	struct buf file, json = BUF(TLSRPT_REPORT_MOST);
	struct tlsrpt_report r;
	struct error why = { 0 };

	snprintf(path, sizeof path, FOLDER "%s", name);
	file = suite_file(path);
	if (file.n == 0) {
		tap_skip("%s is not there", path);
	} else if (!tlsrpt_open(buf_slice(&file), arena, &json, &why) ||
	    !tlsrpt_report_read(&r, buf_slice(&json), arena, &why)) {
		tap_ok(false, "%s: %s", name, why.text);
	} else {
		tap_ok(strcmp(summary(&r), says) == 0, "%s: %s", name, summary(&r));
		try_again(name, &r, says);
	}
	buf_free(&file), buf_free(&json);
}

static void
result_types(json_t *types)
{
	json_t *type;
	size_t i;

	json_array_foreach(types, i, type) {
		bool known = false;

		for (int k = TLSRPT_SUCCESS + 1; k < TLSRPT_RESULTS; k++)
			known = known || slice_eq(json_slice(type), slice(tlsrpt_result_name((enum tlsrpt_result)k)));
		tap_ok(known, "result type %s", json_string_value(type));
	}
}

int
main(void)
{
	json_t *suite = conformance("mta-sts-tlsrpt/tlsrpt.json");

	arena = arena_new(64 << 20);
	for (size_t i = 0; i < sizeof SAMPLES / sizeof *SAMPLES; i++)
		sample(SAMPLES[i].file, SAMPLES[i].says);
	if (suite != NULL)
		result_types(json_object_get(suite, "result_types"));
	else
		tap_skip("the suite is not there");
	json_decref(suite);
	arena_free(arena);
	return tap_end();
}
