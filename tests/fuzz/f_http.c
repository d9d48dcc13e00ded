/* SPDX-License-Identifier: ISC */
/* A request is concluded once: what follows changes nothing, and nothing points outside of it. */
#include "base/bug.h"
#include "web/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
inside(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void
check_request(const struct http_request *r, struct slice input)
{
	bool post = slice_eq(r->method, S("POST"));

	bug_if(!post && (!http_is_safe(r) || r->body.n > 0));
	bug_if(r->path.n == 0 || *r->path.p != '/' || r->body.n > HTTP_BODY_MOST);
	bug_if((!slice_eq(r->path, S("/")) && !inside(r->path, input)) || !inside(r->host, input) || !inside(r->body, input));
	for (size_t i = 0; i < r->path.n; i++)
		bug_if(r->path.p[i] <= ' ' || r->path.p[i] == '?' || r->path.p[i] >= 0x7f);
}

/* A response has one empty line, behind the head, whatever stands in the body. */
static void
check_response(struct slice body)
{
	struct buf b = BUF(body.n + 1000);
	struct http_response r = { .status = 200, .type = S("text/plain"), .body = body };
	const char *end;

	http_response_add(&b, &r, false, 1780315200000);
	bug_if(b.full || (end = memmem(b.p, b.n, "\r\n\r\n", 4)) == NULL);
	bug_if(!slice_eq(slice_of(end + 4, (size_t)(b.p + b.n - end - 4)), body));
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct http_request whole, part;
	unsigned status = 0, earlier = 0;
	enum http_reading reading = http_request_read(input, &whole, &status);

	if (reading == HTTP_REQUEST)
		check_request(&whole, input);
	bug_if(reading == HTTP_REFUSED && (status < 400 || status > 599));
	for (size_t n = 0; n < size; n += 1 + size / 64) {
		enum http_reading before = http_request_read(slice_head(input, n), &part, &earlier);

		bug_if(before == HTTP_REQUEST && (reading != HTTP_REQUEST || !slice_eq(part.path, whole.path)));
		bug_if(before == HTTP_REFUSED && (reading != HTTP_REFUSED || status != earlier));
	}
	check_response(input);
	return 0;
}
