/* SPDX-License-Identifier: ISC */
/* pure */
#include "mail/date.h"
#include "web/http.h"

/* --- reading ------------------------------------------------------------------------ */

static bool
is_token(struct slice s)                /* RFC 9110 5.6.2 */
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && (s.p[i] == '\0' || strchr("!#$%&'*+-.^_`|~", s.p[i]) == NULL))
			return false;
	return s.n > 0;
}

static bool
is_visible(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return true;
}

/* Some take it for the end of a line and some do not: such a request is refused (RFC 9112 2.2). */
static bool
has_bare_lf(struct slice head)
{
	for (size_t i = 0; i < head.n; i++)
		if (head.p[i] == '\n' && (i == 0 || head.p[i - 1] != '\r'))
			return true;
	return false;
}

/* The next line without its CRLF; false when it has none. */
static bool
next_line(struct slice *left, struct slice *line)
{
	size_t at = slice_find(*left, '\n');

	if (at == left->n || at == 0 || left->p[at - 1] != '\r')
		return false;
	*line = slice_head(*left, at - 1);
	*left = slice_skip(*left, at + 1);
	return true;
}

/* Where the head ends, behind its empty line; 0: not yet. */
static size_t
head_length(struct slice input)
{
	const char *end = input.n >= 4 ? memmem(input.p, input.n, "\r\n\r\n", 4) : NULL;

	return end != NULL ? (size_t)(end - input.p) + 4 : 0;
}

/* What is known of a request while its head is read. */
struct reading {
	struct http_request *request;
	bool     old;                   /* HTTP/1.0 */
	bool     named;                 /* the target says the host */
	unsigned hosts, lengths;
	uint64_t length;                /* of the body */
	bool     coded;                 /* it would come in another way */
};

static bool
is_post(const struct http_request *r)
{
	return slice_eq(r->method, S("POST"));
}

bool
http_is_head(const struct http_request *r)
{
	return slice_eq(r->method, S("HEAD"));
}

bool
http_is_safe(const struct http_request *r)
{
	return slice_eq(r->method, S("GET")) || http_is_head(r);
}

/* RFC 9112 2.3; RFC 9110 2.5: what is 1.x can be read as 1.1 (6.2). */
static unsigned
read_version(struct slice version, struct reading *h)
{
	struct slice digits = slice_skip(version, 5);

	if (!slice_starts(version, S("HTTP/")) || digits.n != 3 || !is_digit(digits.p[0]) ||
	    digits.p[1] != '.' || !is_digit(digits.p[2]))
		return 400;
	h->old = slice_eq(digits, S("1.0"));
	return digits.p[0] == '1' ? 0 : 505;
}

/*
 * "mta-sts.example.org:443" to the name alone (RFC 9110 7.2).  The port may be empty
 * (RFC 3986 3.2.3), and the last dot of a full name says nothing more.
 */
static bool
read_host(struct slice value, struct slice *host)
{
	struct slice name = slice_head(value, slice_find(value, ':'));
	struct slice digits = slice_skip(value, name.n + 1);
	uint64_t port;

	if (!is_visible(value) || (digits.n > 0 && !slice_number(digits, 65535, &port)))
		return false;
	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	*host = name;
	return true;
}

/* "https://mta-sts.example.org/x" to "/x": RFC 9112 3.2.2; nobody in it but the host: RFC 9110 4.2.4. */
static bool
read_absolute(struct slice *target, struct reading *h)
{
	struct slice scheme = slice_head(*target, slice_find(*target, ':')), authority;
	size_t n;

	if ((!slice_eqi(scheme, S("https")) && !slice_eqi(scheme, S("http"))) ||
	    !slice_starts(slice_skip(*target, scheme.n), S("://")))
		return false;
	*target = slice_skip(*target, scheme.n + 3);
	n = slice_find(*target, '/');
	n = slice_find(slice_head(*target, n), '?');
	authority = slice_head(*target, n);
	*target = slice_skip(*target, n);
	h->named = read_host(authority, &h->request->host) && h->request->host.n > 0 &&
	    slice_find(authority, '@') == authority.n;
	return h->named;
}

static bool
read_target(struct slice target, struct reading *h)
{
	struct http_request *r = h->request;

	if (!is_visible(target) || (!slice_starts(target, S("/")) && !read_absolute(&target, h)))
		return false;
	r->path = slice_head(target, slice_find(target, '?'));
	r->query = slice_skip(target, r->path.n + (r->path.n < target.n));
	if (r->path.n == 0)
		r->path = S("/");
	return true;
}

/* "GET /x HTTP/1.1" (RFC 9112 3): 0, or the status that refuses it. */
static unsigned
read_request_line(struct slice line, struct reading *h)
{
	struct http_request *r = h->request;
	struct slice target;
	unsigned status;

	if (!slice_cut(&line, ' ', &r->method) || !slice_cut(&line, ' ', &target) || !is_token(r->method))
		return 400;
	if ((status = read_version(line, h)) != 0)
		return status;
	if (target.n > HTTP_TARGET_MOST)
		return 414;
	if (!read_target(target, h))
		return 400;
	return http_is_safe(r) || is_post(r) ? 0 : 405;
}

/* RFC 9112 3.2.2: where the target says the host, the field must be there and is not heard. */
static unsigned
read_host_field(struct slice value, struct reading *h)
{
	struct slice host;

	if (++h->hosts > 1 || !read_host(value, &host))
		return 400;
	if (!h->named)
		h->request->host = host;
	return 0;
}

/* RFC 9112 6.3: digits alone, once; how many bytes are too many is another matter. */
static unsigned
read_length(struct slice value, struct reading *h)
{
	size_t digits = 0;

	while (digits < value.n && is_digit(value.p[digits]))
		digits++;
	if (digits == 0 || digits < value.n || ++h->lengths > 1)
		return 400;
	return slice_number(value, HTTP_BODY_MOST, &h->length) ? 0 : 413;
}

/* One field: 0, or the status. */
static unsigned
read_field(struct slice line, struct reading *h)
{
	struct slice name = slice_head(line, slice_find(line, ':')), value;

	if (name.n == line.n || !is_token(name))
		return 400;             /* folded lines too: RFC 9112 5.1, 5.2 */
	value = slice_trim(slice_skip(line, name.n + 1));
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return 400;
	if (slice_eqi(name, S("Host")))
		return read_host_field(value, h);
	if (slice_eqi(name, S("Content-Length")))
		return read_length(value, h);
	if (slice_eqi(name, S("Expect"))) {
		h->request->expects = !h->old;
		return slice_eqi(value, S("100-continue")) ? 0 : 417;   /* RFC 9110 10.1.1 */
	}
	h->coded |= slice_eqi(name, S("Transfer-Encoding"));
	return 0;
}

/* What the fields say together. */
static unsigned
judge_head(const struct reading *h)
{
	if (h->hosts != 1 && !h->old)
		return 400;             /* RFC 9112 3.2 */
	if (is_post(h->request))
		return h->coded || h->lengths == 0 ? 411 : 0;
	return h->coded || h->length > 0 ? 413 : 0;
}

static unsigned
read_head(struct slice head, struct reading *h)
{
	unsigned fields = 0, status;
	struct slice line;

	if (!next_line(&head, &line))
		return 400;
	if ((status = read_request_line(line, h)) != 0)
		return status;
	while (next_line(&head, &line) && line.n > 0)
		if (++fields > HTTP_FIELDS_MOST)
			return 431;
		else if ((status = read_field(line, h)) != 0)
			return status;
	return judge_head(h);
}

enum http_reading
http_request_read(struct slice input, struct http_request *r, unsigned *status)
{
	struct reading h = { .request = r };
	struct slice head = slice_head(input, HTTP_HEAD_MOST);
	bool all = input.n >= HTTP_HEAD_MOST;
	size_t n;

	*r = (struct http_request){ .host = NONE };
	while (slice_starts(head, S("\r\n")))   /* RFC 9112 2.2; they count, or there is no end of them */
		head = slice_skip(head, 2), input = slice_skip(input, 2);
	n = head_length(head);
	if (has_bare_lf(n > 0 ? slice_head(head, n) : head)) {
		*status = 400;
		return HTTP_REFUSED;
	}
	if (n == 0 && !all)
		return HTTP_MORE;
	*status = n == 0 ? 431 : read_head(slice_head(input, n), &h);
	if (*status != 0)
		return HTTP_REFUSED;
	r->body = slice_head(slice_skip(input, n), (size_t)h.length);
	return r->body.n == h.length ? HTTP_REQUEST : HTTP_MORE;
}

/* --- writing -------------------------------------------------------------------------- */

static const struct { unsigned status; struct slice reason; } REASONS[] = {
	{ 200, S_INIT("OK") }, { 301, S_INIT("Moved Permanently") }, { 302, S_INIT("Found") },
	{ 400, S_INIT("Bad Request") }, { 403, S_INIT("Forbidden") }, { 404, S_INIT("Not Found") },
	{ 405, S_INIT("Method Not Allowed") }, { 408, S_INIT("Request Timeout") },
	{ 411, S_INIT("Length Required") },
	{ 413, S_INIT("Content Too Large") }, { 414, S_INIT("URI Too Long") },
	{ 417, S_INIT("Expectation Failed") },
	{ 429, S_INIT("Too Many Requests") }, { 431, S_INIT("Request Header Fields Too Large") },
	{ 500, S_INIT("Internal Server Error") }, { 503, S_INIT("Service Unavailable") },
	{ 505, S_INIT("HTTP Version Not Supported") },
};

static struct slice
reason_of(unsigned status)
{
	for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
		if (REASONS[i].status == status)
			return REASONS[i].reason;
	return S("Status");
}

struct http_response
http_plain(unsigned status)
{
	return (struct http_response){ .status = status, .type = S("text/plain"), .body = reason_of(status) };
}

/* "Mon, 01 Jun 2026 12:00:00 GMT" (RFC 9110 5.6.7): as in mail, but for the zone. */
static void
add_date(struct buf *b, int64_t now)
{
	char text[DATE_TEXT + 1];

	date_text(now, text);
	buf_printf(b, "Date: %.*s GMT\r\n", (int)(sizeof "Mon, 01 Jun 2026 12:00:00" - 1), text);
}

void
http_response_add(struct buf *b, const struct http_response *r, bool head, int64_t now)
{
	buf_printf(b, "HTTP/1.1 %03u %.*s\r\n", r->status, FMT(reason_of(r->status)));
	add_date(b, now);
	if (r->type.n > 0)
		buf_printf(b, "Content-Type: %.*s\r\n", FMT(r->type));
	if (r->location.n > 0)
		buf_printf(b, "Location: %.*s\r\n", FMT(r->location));
	if (r->status == 405)
		buf_add(b, S("Allow: GET, HEAD\r\n"));
	buf_printf(b, "Content-Length: %zu\r\nConnection: close\r\n\r\n", r->body.n);
	if (!head)
		buf_add(b, r->body);
}
