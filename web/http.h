/* SPDX-License-Identifier: ISC */
/*
 * http -- HTTP/1.1 as far as a policy host, a lab, and the leaving of lists need it:
 * one GET, HEAD or POST, one response (RFC 9110, RFC 9112).
 *
 * A request is read whole or not at all, and strictly: what two readers could
 * understand differently is refused.  A GET or HEAD has no body; that of a POST is short,
 * and its length is said before it.  Every response ends its connection.  Slices of a
 * request point into what was read, but for the path of a target that has none.
 */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H

#include "base/buf.h"

enum { HTTP_HEAD_MOST = 8192, HTTP_FIELDS_MOST = 64, HTTP_TARGET_MOST = 2048, HTTP_BODY_MOST = 4096 };

struct http_request {
	struct slice method;            /* "GET", "HEAD" or "POST" */
	struct slice path;              /* what stands before a `?`, not decoded; begins with "/" */
	struct slice query;             /* what stands behind it, not decoded; may be empty */
	struct slice host;              /* the target's, else the field's, without port and last dot;
	                                 * may be empty of HTTP/1.0 */
	struct slice body;              /* of a POST */
	bool         expects;           /* to be told to go on before it sends that (RFC 9110 10.1.1) */
};

enum http_reading {
	HTTP_MORE,                      /* bring more, and what is there already again */
	HTTP_REQUEST,
	HTTP_REFUSED,                   /* answer with *status_r, and close */
};

/*
 * The method of what was refused stands there too, where it could be read; so does
 * `expects` of a request whose body is missing.
 */
enum http_reading http_request_read(struct slice input, struct http_request *, unsigned *status_r);

/* Who asks so wants to see and changes nothing (RFC 9110 9.2.1): GET, HEAD. */
bool http_is_safe(const struct http_request *);
bool http_is_head(const struct http_request *);

/* What it is told, once, when its head is there and its body is not. */
#define HTTP_CONTINUE S("HTTP/1.1 100 Continue\r\n\r\n")

struct http_response {
	unsigned     status;
	struct slice type;              /* Content-Type; empty: none */
	struct slice location;          /* of a redirect; empty: none */
	struct slice body;
};

/* A response whose body is one line that says what the status means. */
struct http_response http_plain(unsigned status);
/*
 * The whole response; to HEAD the same without the body (RFC 9110 9.3.2).  `now` in ms
 * since 1970.
 */
void http_response_add(struct buf *, const struct http_response *, bool head, int64_t now);

#endif
