/* SPDX-License-Identifier: ISC */
/* When the end of a certificate is foretold. */
#include "cmd/certificates.h"
#include "tlspair.h"
#include "unit.h"

static const struct { int64_t left; int stage; } stages[] = {
	{ 90 * DAY, -1 }, { 14 * DAY + 1, -1 }, { 14 * DAY, 14 }, { 7 * DAY + 1, 14 }, { 7 * DAY, 7 },
	{ DAY + 1, 7 }, { DAY, 1 }, { 1, 1 }, { 0, 0 }, { -DAY, 0 },
};

static void
warnings_have_their_days(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(stages); i++)
		assert_case(certificate_stage(stages[i].left) == stages[i].stage, i, "stage");
}

static struct identity_conf ours[] = { { .cert = S_INIT("/c/cert.pem") }, { .cert = S_INIT("/c/second.pem") } };
static struct listen_conf door = { .tls = ours, .tls_count = 2 };
static struct identity_conf shown = { .cert = S_INIT("/c/web.pem") };
static const struct conf conf = { .listen = &door, .listen_count = 1 };
static const struct conf web = { .web = { .tls = &shown, .tls_count = 1 } };

static unsigned lines;
static struct buf said;

static void
note(void *arg, struct slice line)
{
	(void)arg;
	lines++;
	buf_clear(&said);
	buf_add(&said, line);
}

static void
each_warning_is_said_once(void **state)
{
	struct clock clock = clock_virtual(TLSPAIR_NOW);
	struct log log = { &clock, LOG_DEBUG, false, note, NULL, NULL };
	struct issued one = issue(&(struct wish){ .names = "DNS:mx.a.test", .from = -1, .to = 20 });
	struct files files = { 0 };
	struct certificates c;

	(void)state;
	said = BUF(4096);
	lines = 0;
	issued_pem(&one, &files_add(&files, ours[0].cert, FILE_TLS_CERTIFICATE)->bytes);
	certificates_begin(&c, &conf, &files);
	for (int64_t t = 0; t < 30 * DAY; t += HOUR)
		certificates_warn(&c, TLSPAIR_NOW + t, &log);
	assert_int_equal(lines, 4);                             /* 14, 7, 1 days ahead, and when it is over */
	assert_non_null(memmem(said.p, said.n, "expired", 7));
	certificates_begin(&c, &conf, &files);                  /* a new one begins anew */
	certificates_warn(&c, TLSPAIR_NOW + 19 * DAY, &log);
	assert_int_equal(lines, 5);
	certificates_begin(&c, &web, &files);                   /* nor is it that of the web door */
	certificates_warn(&c, TLSPAIR_NOW + 19 * DAY, &log);
	assert_int_equal(lines, 5);
	issued_pem(&one, &files_add(&files, ours[1].cert, FILE_TLS_CERTIFICATE)->bytes);
	certificates_begin(&c, &conf, &files);
	certificates_warn(&c, TLSPAIR_NOW + 19 * DAY, &log);
	assert_int_equal(lines, 7);                             /* each of a listener */
	assert_non_null(memmem(said.p, said.n, "second.pem", 10));
	issued_pem(&one, &files_add(&files, shown.cert, FILE_WEB_CERTIFICATE)->bytes);
	certificates_begin(&c, &web, &files);
	files_free(&files);                                     /* it is read once, not whenever one looks */
	certificates_warn(&c, TLSPAIR_NOW + 19 * DAY, &log);
	assert_int_equal(lines, 8);
	assert_non_null(memmem(said.p, said.n, "web.pem", 7));
	issued_free(&one);
	buf_free(&said);
}

/* MX, submission and the web door show the same file: whoever renews it does so once. */
static void
what_several_doors_show_is_said_once(void **state)
{
	static struct identity_conf same = { .cert = S_INIT("/c/cert.pem") };
	static struct listen_conf doors[CERTIFICATES_MOST + 1];
	struct conf all = { .listen = doors, .web = { .tls = &shown, .tls_count = 1 } };
	struct clock clock = clock_virtual(TLSPAIR_NOW);
	struct log log = { &clock, LOG_DEBUG, false, note, NULL, NULL };
	struct issued one = issue(&(struct wish){ .names = "DNS:mx.a.test", .from = -1, .to = 20 });
	struct files files = { 0 };
	struct certificates c;

	(void)state;
	said = BUF(4096);
	lines = 0;
	for (; all.listen_count < COUNT(doors); all.listen_count++)
		doors[all.listen_count] = (struct listen_conf){ .tls = &same, .tls_count = 1 };
	issued_pem(&one, &files_add(&files, same.cert, FILE_TLS_CERTIFICATE)->bytes);
	issued_pem(&one, &files_add(&files, shown.cert, FILE_WEB_CERTIFICATE)->bytes);
	certificates_begin(&c, &all, &files);
	certificates_warn(&c, TLSPAIR_NOW + 19 * DAY, &log);
	assert_int_equal(lines, 2);
	assert_non_null(memmem(said.p, said.n, "web.pem", 7));
	files_free(&files);
	issued_free(&one);
	buf_free(&said);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(warnings_have_their_days),
		cmocka_unit_test(each_warning_is_said_once),
		cmocka_unit_test(what_several_doors_show_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
