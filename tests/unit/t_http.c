/* SPDX-License-Identifier: ISC */
#include "base/clock.h"
#include "unit.h"
#include "web/http.h"

#define HEAD "Host: mta-sts.a.test\r\n"
#define FIELD64(f) FIELD16(f) FIELD16(f) FIELD16(f) FIELD16(f)
#define FIELD16(f) f f f f f f f f f f f f f f f f

static const struct {
	const char *text;
	int         reading;            /* HTTP_REQUEST, HTTP_MORE, or the status */
	const char *path, *host;
} cases[] = {
	{ "GET / HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/", "mta-sts.a.test" },
	{ "GET /.well-known/mta-sts.txt HTTP/1.1\r\nhost:MTA-STS.a.test:443\r\nAccept: */*\r\n\r\n",
	    HTTP_REQUEST, "/.well-known/mta-sts.txt", "MTA-STS.a.test" },
	{ "GET /a?b=c HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/a", "mta-sts.a.test" },
	{ "GET / HTTP/1.0\r\n\r\n", HTTP_REQUEST, "/", "" },
	{ "\r\nGET / HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/", "mta-sts.a.test" },   /* RFC 9112 2.2 */
	{ "GET / HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n", HTTP_REQUEST, "/", "mta-sts.a.test" },
	{ "HEAD /a HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/a", "mta-sts.a.test" },       /* RFC 9110 9.1 */
	/* not yet */
	{ "", HTTP_MORE, NULL, NULL }, { "GET / HT", HTTP_MORE, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD, HTTP_MORE, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD "\r", HTTP_MORE, NULL, NULL },
	/* the request line (RFC 9112 3) */
	{ "GET /\r\n\r\n", 400, NULL, NULL }, { "GET  / HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1 \r\n" HEAD "\r\n", 400, NULL, NULL }, { " GET / HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "G@T / HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL }, { "GET / http/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/2.0\r\n" HEAD "\r\n", 505, NULL, NULL }, { "GET / HTTP/0.9\r\n" HEAD "\r\n", 505, NULL, NULL },
	{ "GET / HTTP/1.2\r\n" HEAD "\r\n", HTTP_REQUEST, "/", "mta-sts.a.test" },       /* RFC 9110 6.2 */
	{ "GET / HTTP/1.2\r\n\r\n", 400, NULL, NULL }, { "GET / HTTP/1.10\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1,1\r\n" HEAD "\r\n", 400, NULL, NULL }, { "GET / HTTP/x.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/\r\n" HEAD "\r\n", 400, NULL, NULL },
	/* the whole URI: its host counts, and the field must be there (RFC 9112 3.2.2) */
	{ "GET https://b.test/a HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/a", "b.test" },
	{ "GET HTTPS://b.test:443/a?b=/ HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/a", "b.test" },
	{ "GET http://b.test HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/", "b.test" },
	{ "GET https://b.test?c/d HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/", "b.test" },
	{ "GET https://b.test/ HTTP/1.1\r\n\r\n", 400, NULL, NULL },
	{ "GET https://b.test/ HTTP/1.1\r\nHost: a b\r\n\r\n", 400, NULL, NULL },
	{ "GET https:///a HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },                   /* RFC 9110 4.2.2 */
	{ "GET https://u@b.test/ HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },            /* RFC 9110 4.2.4 */
	{ "GET https://b.test:x/ HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET https:/b.test/ HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET ftp://b.test/ HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET b.test/ HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET /\x80 HTTP/1.1\r\n" HEAD "\r\n", 400, NULL, NULL },
	{ "PUT / HTTP/1.1\r\n" HEAD "\r\n", 405, NULL, NULL }, { "HEADS / HTTP/1.1\r\n" HEAD "\r\n", 405, NULL, NULL },
	{ "get / HTTP/1.1\r\n" HEAD "\r\n", 405, NULL, NULL },                           /* case counts */
	/* Host (RFC 9112 3.2) */
	{ "GET / HTTP/1.1\r\n\r\n", 400, NULL, NULL }, { "GET / HTTP/1.1\r\n" HEAD HEAD "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\nHost: a.test:\r\n\r\n", HTTP_REQUEST, "/", "a.test" },    /* RFC 3986 3.2.3 */
	{ "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n", HTTP_REQUEST, "/", "a.test" },
	{ "GET / HTTP/1.1\r\nHost: a.test.:443\r\n\r\n", HTTP_REQUEST, "/", "a.test" },
	{ "GET https://b.test.:/a HTTP/1.1\r\n" HEAD "\r\n", HTTP_REQUEST, "/a", "b.test" },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", HTTP_REQUEST, "/", "" },
	/* fields (RFC 9112 5) */
	{ "GET / HTTP/1.1\r\n" HEAD "X : y\r\n\r\n", 400, NULL, NULL },                  /* 5.1 */
	{ "GET / HTTP/1.1\r\n" HEAD " folded: y\r\n\r\n", 400, NULL, NULL },             /* 5.2 */
	{ "GET / HTTP/1.1\r\n" HEAD "no colon\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD "X: a\001b\r\n\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD "X: y\nZ: z\r\n\r\n", 400, NULL, NULL },             /* a bare LF */
	{ "GET / HTTP/1.1\n" HEAD "\r\n", 400, NULL, NULL },
	{ "GET / HTTP/1.1\n", 400, NULL, NULL }, { "\n", 400, NULL, NULL },              /* at once: RFC 9112 2.2 */
	{ "GET / HTTP/1.1\r\n" HEAD "\n", 400, NULL, NULL }, { "\r\n\n", 400, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 2\r\n\r\na\n", HTTP_REQUEST, "/u", "mta-sts.a.test" },
	{ "GET / HTTP/1.1\r\n" HEAD FIELD64("A: b\r\n") "\r\n", 431, NULL, NULL },
	/* a body: of a POST alone, its length said once and before (RFC 9112 6) */
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello", HTTP_REQUEST, "/u", "mta-sts.a.test" },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n", HTTP_REQUEST, "/u", "mta-sts.a.test" },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhell", HTTP_MORE, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "\r\n", 411, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n", 411, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 4097\r\n\r\n", 413, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 99999999999999999999\r\n\r\n", 413, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: +5\r\n\r\nhello", 400, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length:\r\n\r\n", 400, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, NULL, NULL },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello", 411, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello", 413, NULL, NULL },
	/* RFC 9110 10.1.1 */
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\nhello",
	    HTTP_REQUEST, "/u", "mta-sts.a.test" },
	{ "POST /u HTTP/1.1\r\n" HEAD "Content-Length: 5\r\nExpect: tea\r\n\r\nhello", 417, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD "Expect: 100-continue\r\n\r\n", HTTP_REQUEST, "/", "mta-sts.a.test" },
	{ "GET / HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n", 413, NULL, NULL },
	{ "HEAD / HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\nhello", 413, NULL, NULL },
	{ "GET / HTTP/1.1\r\n" HEAD "Content-Length: 0, 5\r\n\r\n", 400, NULL, NULL },
};

static int
reading_of(struct slice input, struct http_request *r)
{
	unsigned status = 0;
	enum http_reading reading = http_request_read(input, r, &status);

	return reading == HTTP_REFUSED ? (int)status : (int)reading;
}

static void
requests_are_read_strictly(void **state)
{
	struct http_request r;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_case(reading_of(slice(cases[i].text), &r) == cases[i].reading, i, cases[i].text);
		if (cases[i].path == NULL)
			continue;
		assert_slice(r.path, cases[i].path);
		assert_slice(r.host, cases[i].host);
	}
}

/* Byte by byte: nothing is concluded before the empty line is there. */
static void
a_request_comes_whole_or_not(void **state)
{
	struct http_request r;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice text = slice(cases[i].text);

		if (cases[i].reading == HTTP_REQUEST)
			for (size_t n = 0; n < text.n; n++)
				assert_case(reading_of(slice_head(text, n), &r) == HTTP_MORE, i, cases[i].text);
	}
}

static void
what_never_ends_is_refused(void **state)
{
	char *text = test_malloc(HTTP_HEAD_MOST);
	struct http_request r;

	(void)state;
	memset(text, 'a', HTTP_HEAD_MOST);
	assert_int_equal(reading_of(slice_of(text, HTTP_HEAD_MOST - 1), &r), HTTP_MORE);
	assert_int_equal(reading_of(slice_of(text, HTTP_HEAD_MOST), &r), 431);
	memcpy(text, "GET /", 5);
	memcpy(text + HTTP_TARGET_MOST + 100, " HTTP/1.1\r\n" HEAD "\r\n", sizeof " HTTP/1.1\r\n" HEAD "\r\n");
	assert_int_equal(reading_of(slice_of(text, HTTP_TARGET_MOST + 200), &r), 414);
	for (size_t i = 0; i < HTTP_HEAD_MOST; i++)     /* empty lines before it count too (RFC 9112 2.2) */
		text[i] = "\r\n"[i % 2];
	assert_int_equal(reading_of(slice_of(text, HTTP_HEAD_MOST - 1), &r), HTTP_MORE);
	assert_int_equal(reading_of(slice_of(text, HTTP_HEAD_MOST), &r), 431);
	test_free(text);
}

static void
what_stands_behind_the_question_mark(void **state)
{
	static const struct { const char *target, *path, *query; } targets[] = {        /* RFC 3986 3.4 */
		{ "/a", "/a", "" }, { "/a?", "/a", "" }, { "/a?b=c", "/a", "b=c" },
		{ "/a?b=c&d=%20?e", "/a", "b=c&d=%20?e" }, { "/?x", "/", "x" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct http_request r;
		char text[100];

		snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n" HEAD "\r\n", targets[i].target);
		assert_int_equal(reading_of(slice(text), &r), HTTP_REQUEST);
		assert_slice(r.path, targets[i].path);
		assert_slice(r.query, targets[i].query);
	}
}

static const struct {
	struct http_response response;
	const char *text;
} responses[] = {
	{ { 200, S_INIT("text/plain"), { NULL, 0 }, S_INIT("a policy\r\n") },
	    "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
	    "Content-Length: 10\r\nConnection: close\r\n\r\na policy\r\n" },
	{ { 301, { NULL, 0 }, S_INIT("https://b.test/"), { NULL, 0 } },
	    "HTTP/1.1 301 Moved Permanently\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\n"
	    "Location: https://b.test/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" },
	{ { 405, S_INIT("text/plain"), { NULL, 0 }, S_INIT("Method Not Allowed") },
	    "HTTP/1.1 405 Method Not Allowed\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"
	    "Allow: GET, HEAD\r\nContent-Length: 18\r\nConnection: close\r\n\r\nMethod Not Allowed" },
	{ { 299, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } },
	    "HTTP/1.1 299 Status\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\nContent-Length: 0\r\n"
	    "Connection: close\r\n\r\n" },
};

static void
responses_are_written(void **state)
{
	struct buf b = BUF(1000);
	struct http_response plain = http_plain(405);

	(void)state;
	for (size_t i = 0; i < COUNT(responses); i++) {
		buf_clear(&b);
		http_response_add(&b, &responses[i].response, false, 1780315200000);
		assert_slice(buf_slice(&b), responses[i].text);
	}
	buf_clear(&b);
	http_response_add(&b, &plain, false, 1780315200000);
	assert_slice(buf_slice(&b), responses[2].text);
	buf_free(&b);
}

/* RFC 9110 9.3.2, 8.6: the same head, with the length that the body would have. */
static void
to_head_the_body_is_only_measured(void **state)
{
	struct buf b = BUF(1000);

	(void)state;
	for (size_t i = 0; i < COUNT(responses); i++) {
		struct slice whole = slice(responses[i].text);

		buf_clear(&b);
		http_response_add(&b, &responses[i].response, true, 1780315200000);
		assert_true(slice_eq(buf_slice(&b), slice_head(whole, whole.n - responses[i].response.body.n)));
	}
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_strictly),
		cmocka_unit_test(a_request_comes_whole_or_not),
		cmocka_unit_test(what_stands_behind_the_question_mark),
		cmocka_unit_test(what_never_ends_is_refused),
		cmocka_unit_test(responses_are_written),
		cmocka_unit_test(to_head_the_body_is_only_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
