/* SPDX-License-Identifier: ISC */
/* The responder over real sockets and TLS, on a virtual clock. */
#include <sys/socket.h>

#include "base/bug.h"
#include "lab/authority.h"
#include "lab/places.h"
#include "net/stream.h"
#include "unit.h"
#include "web/responder.h"

enum { MOST = 4, CLIENTS_MOST = 12, HTTPS = 443 };

static const int64_t NOW = 1780315200000;       /* 2026-06-01T12:00:00Z */

static struct clock clock_;
static struct loop loop;
static struct places places;
static struct authority *authority;
static struct certificate certificate;
static struct tls_server *server_tls;
static SSL_CTX *client_tls;
static struct responder *responder;
static struct response_plan plan;               /* what is answered */
static const struct peer WORLD = { .ip = { { 127, 0, 42, 9 }, 4 }, .port = HTTPS };

struct client {
	struct stream *stream;
	struct slice   asks;            /* once TLS stands; empty: nothing */
	bool           tls, over;
	int64_t        ended;
	struct buf     got;
};

/* --- clients --------------------------------------------------------------------- */

static void
on_connected(void *arg)
{
	struct client *c = arg;
	SSL *ssl;

	if (!c->tls)
		return;                 /* he only stands there */
	bug_if((ssl = SSL_new(client_tls)) == NULL);
	stream_secure_client(c->stream, ssl);
}

static void
on_secured(void *arg)
{
	struct client *c = arg;

	stream_write(c->stream, c->asks);
}

static void
on_input(void *arg)
{
	struct client *c = arg;
	struct slice in = stream_input(c->stream);

	buf_add(&c->got, in);
	stream_take(c->stream, in.n);
}

static void
on_closed(void *arg, const struct error *why)
{
	struct client *c = arg;

	(void)why;
	c->over = true;
	c->ended = clock_.now;
	stream_end(c->stream);
	c->stream = NULL;
}

static const struct stream_user USER = { on_connected, on_input, NULL, on_secured, on_closed };

static void
come_from(struct client *c, const struct ip *from, bool tls, const char *asks)
{
	struct error why;

	*c = (struct client){ .tls = tls, .asks = slice(asks), .got = BUF(65536) };
	c->stream = stream_connect(&loop, WORLD, from, &USER, c, &why);
	assert_non_null(c->stream);
	loop_run_until(&loop, clock_.now);
}

static void
come(struct client *c, bool tls, const char *asks)
{
	come_from(c, NULL, tls, asks);
}

static void
leave(struct client *c)
{
	stream_end(c->stream);
	buf_free(&c->got);
}

static uint64_t asker;                  /* who has asked last */

/* --- the responder ------------------------------------------------------------------ */

static void
answer(void *arg, const struct http_request *request, struct response_plan *to)
{
	(void)arg;
	uint64_t visitor = to->visitor;

	*to = plan;
	to->visitor = asker = visitor;
	if (!slice_eq(request->path, S("/policy")))
		to->response = http_plain(404);
}

static int
setup(void **state)
{
	const struct slice name = S("mta-sts.a.test");
	struct tls_identity id = { .name = "test" };
	struct error why;
	int fd;

	(void)state;
	clock_ = clock_virtual(NOW);
	loop_begin(&loop, &clock_);
	loop.map = places_map;
	loop.map_arg = &places;
	authority = authority_new(1, NOW);
	certificate_make(authority, CERTIFICATE_GOOD, &name, 1, &certificate);
	id.certificate = buf_slice(&certificate.chain);
	id.key = buf_slice(&certificate.key);
	server_tls = tls_server_new(&id, 1, &why);
	client_tls = tls_client_new(authority_root(authority), &why);
	fd = places_listen(&places, &WORLD, &why);
	assert_true(server_tls != NULL && client_tls != NULL && fd != -1);
	responder = responder_new(&(struct responder_options){ &loop, server_tls, MOST, 0, answer, NULL }, fd);
	plan = (struct response_plan){ .response = { 200, S("text/plain"), NONE, S("a policy") } };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	responder_free(responder);
	places_leave(&places, &WORLD);
	tls_server_free(server_tls);
	SSL_CTX_free(client_tls);
	certificate_free(&certificate);
	authority_free(authority);
	loop_end(&loop);
	return 0;
}

#define ASK "GET /policy HTTP/1.1\r\nHost: mta-sts.a.test\r\n\r\n"

static bool
starts(const struct client *c, const char *text)
{
	return slice_starts(buf_slice(&c->got), slice(text));
}

static void
one_request_gets_one_response(void **state)
{
	static const struct { const char *asks, *answer; bool bare; } cases[] = {
		{ ASK, "HTTP/1.1 200 OK\r\n", false }, { ASK ASK, "HTTP/1.1 200 OK\r\n", false },
		/* RFC 9110 9.3.2: no body, also where it is refused */
		{ "HEAD /policy HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", true },
		{ "HEAD /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", true },
		{ "HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", true },
		{ "GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", false },
		{ "PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n", false },
		{ "what\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct client c;
		struct slice body;
		const char *end;

		come(&c, true, cases[i].asks);
		assert_case(starts(&c, cases[i].answer) && c.over, i, cases[i].asks);
		buf_byte(&c.got, '\0');
		assert_non_null(end = strstr(c.got.p, "\r\n\r\n"));
		assert_case((end[4] == '\0') == cases[i].bare, i, cases[i].asks);
		body = slice_skip(buf_slice(&c.got), 1);
		assert_null(memmem(body.p, body.n, "HTTP/1.1", 8));     /* the second one is not heard */
		leave(&c);
	}
}

/* RFC 9110 10.1.1: told once, when the head is there; HTTP/1.0 knows no such thing. */
static void
who_expects_it_is_told_to_go_on(void **state)
{
	static const struct { const char *head, *said; } cases[] = {
		{ "POST /policy HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
		    "HTTP/1.1 100 Continue\r\n\r\n" },
		{ "POST /policy HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", "" },
		{ "POST /policy HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct client c;

		come(&c, true, cases[i].head);
		assert_slice(buf_slice(&c.got), cases[i].said);
		stream_write(c.stream, S("ab"));
		loop_run_until(&loop, clock_.now);
		assert_slice(buf_slice(&c.got), cases[i].said);
		stream_write(c.stream, S("c"));
		loop_run_until(&loop, clock_.now);
		assert_case(c.over && slice_starts(slice_skip(buf_slice(&c.got), strlen(cases[i].said)),
		    S("HTTP/1.1 200 OK\r\n")), i, cases[i].head);
		leave(&c);
	}
}

/* The lab's own door has no TLS (responder_options.tls). */
static void
without_tls_it_answers_in_the_clear(void **state)
{
	static const struct peer here = { .ip = { { 127, 0, 42, 10 }, 4 }, .port = 80 };
	struct client c = { .got = BUF(65536) };
	struct responder *clear;
	struct error why;
	int fd = places_listen(&places, &here, &why);

	(void)state;
	assert_int_not_equal(fd, -1);
	clear = responder_new(&(struct responder_options){ .loop = &loop, .most = MOST, .answer = answer }, fd);
	c.stream = stream_connect(&loop, here, NULL, &USER, &c, &why);
	assert_non_null(c.stream);
	stream_write(c.stream, S(ASK));
	loop_run_until(&loop, clock_.now);
	assert_true(starts(&c, "HTTP/1.1 200 OK\r\n") && c.over);
	leave(&c);
	responder_free(clear);
	places_leave(&places, &here);
}

/* The answer comes when somebody else has said something; who has gone is not missed. */
static void
an_answer_may_come_later(void **state)
{
	const struct http_response page = { .status = 200, .body = S("at last") }, other = { .status = 404 };
	struct client one, two, gone;
	uint64_t first;

	(void)state;
	plan.later = true;
	come(&one, true, ASK);
	first = asker;
	come(&two, true, ASK);
	assert_true(one.got.n == 0 && two.got.n == 0 && first != asker);
	responder_answer(responder, first, &page);
	responder_answer(responder, first, &other);             /* he has been answered */
	loop_run_until(&loop, clock_.now);
	assert_true(starts(&one, "HTTP/1.1 200 OK\r\n") && one.over && two.got.n == 0);
	loop_run_until(&loop, NOW + RESPONDER_LATER - 1);
	assert_false(two.over);
	loop_run_until(&loop, NOW + RESPONDER_LATER);
	assert_true(starts(&two, "HTTP/1.1 503 Service Unavailable\r\n") && two.over);
	come(&gone, true, ASK);
	stream_end(gone.stream);
	gone.stream = NULL;
	loop_run_until(&loop, clock_.now + SECOND);
	responder_answer(responder, asker, &page);
	leave(&one), leave(&two), leave(&gone);
}

static void
who_says_nothing_is_sent_away(void **state)
{
	struct client in_clear, secured;

	(void)state;
	come(&in_clear, false, "");
	come(&secured, true, "GET /policy HTT");
	loop_run_until(&loop, NOW + RESPONDER_PATIENCE - 1);
	assert_false(in_clear.over || secured.over);
	loop_run_until(&loop, NOW + RESPONDER_PATIENCE);
	assert_true(in_clear.over && secured.over);
	assert_int_equal(secured.got.n, 0);
	leave(&in_clear);
	leave(&secured);
}

/* Many who only hold a place do not keep out one who asks. */
static void
who_asks_finds_a_place(void **state)
{
	struct client idle[CLIENTS_MOST], c;
	unsigned gone = 0;

	(void)state;
	for (size_t i = 0; i < CLIENTS_MOST; i++)
		come(&idle[i], i % 2 == 0, "GET /pol");
	come(&c, true, ASK);
	assert_true(starts(&c, "HTTP/1.1 200 OK\r\n"));
	for (size_t i = 0; i < CLIENTS_MOST; i++) {
		gone += idle[i].over;
		if (i > 0)
			assert_true(idle[i - 1].over || !idle[i].over);         /* the oldest first */
		leave(&idle[i]);
	}
	assert_int_equal(gone, CLIENTS_MOST - MOST + 1);
	leave(&c);
}

/* He was first, and is slow; but the others, who are many, make room for each other. */
static void
a_crowd_does_not_push_others_out(void **state)
{
	static const struct ip crowd = { { 127, 0, 0, 2 }, 4 }, alone = { { 127, 0, 0, 3 }, 4 };
	struct client many[CLIENTS_MOST], c;

	(void)state;
	come_from(&c, &alone, true, "GET /policy HTTP/1.1\r\n");
	for (size_t i = 0; i < CLIENTS_MOST; i++)
		come_from(&many[i], &crowd, true, "GET /pol");
	assert_false(c.over);
	stream_write(c.stream, S("Host: mta-sts.a.test\r\n\r\n"));
	loop_run_until(&loop, NOW + 1);
	assert_true(starts(&c, "HTTP/1.1 200 OK\r\n"));
	for (size_t i = 0; i < CLIENTS_MOST; i++)
		leave(&many[i]);
	leave(&c);
}

static void
note_idle(void *arg)
{
	++*(unsigned *)arg;
}

/* Who is in is served or runs out of time; nobody else comes in. */
static void
it_drains(void **state)
{
	struct client slow, good, late;
	unsigned idle = 0;

	(void)state;
	come(&slow, true, "GET /policy HTT");
	come(&good, true, "GET /policy HTTP/1.1\r\nHost: mta-sts.a.test\r\n");
	responder_drain(responder, note_idle, &idle);
	come(&late, true, ASK);
	assert_true(late.over && late.got.n == 0);
	stream_write(good.stream, S("\r\n"));
	loop_run_until(&loop, NOW + 1);
	assert_true(starts(&good, "HTTP/1.1 200 OK\r\n") && idle == 0);
	loop_run_until(&loop, NOW + RESPONDER_PATIENCE);
	assert_true(slow.over && idle == 1);
	leave(&slow);
	leave(&good);
	leave(&late);
	responder_free(responder);
	responder = NULL;
}

static void
nobody_is_waited_for_when_nobody_is_there(void **state)
{
	unsigned idle = 0;

	(void)state;
	responder_drain(responder, note_idle, &idle);
	assert_int_equal(idle, 0);                       /* never inside the call */
	loop_run_until(&loop, NOW);
	assert_int_equal(idle, 1);
}

static void
it_can_misbehave_for_a_lab(void **state)
{
	struct client c;

	(void)state;
	plan.pause = 100;
	come(&c, true, ASK);
	loop_run_until(&loop, NOW + 950);
	assert_int_equal(c.got.n, 10);
	loop_run_until(&loop, NOW + MINUTE);
	assert_true(c.over && c.ended - NOW == 100 * (int64_t)(c.got.n - 1));
	leave(&c);

	plan = (struct response_plan){ .silent = true };
	come(&c, true, ASK);
	loop_run_until(&loop, clock_.now + RESPONDER_WRITING);
	assert_true(c.over && c.got.n == 0);
	leave(&c);

	plan = (struct response_plan){ .reset = true };
	come(&c, true, ASK);
	assert_true(c.over && c.got.n == 0);
	leave(&c);
}

/* The map: a place leads to where its host really listens, everything else to nobody. */
static void
no_way_leads_out_of_the_world(void **state)
{
	static const char *const outside[] = { "192.0.2.1", "127.0.42.10", "2001:db8::1", "8.8.8.8", "::1" };
	struct peer p = WORLD;
	struct error why;

	(void)state;
	places_map(&places, &p);
	assert_true(ip_eq(p.ip, WORLD.ip) && p.port != HTTPS && p.port > 1024);
	assert_int_equal(places_listen(&places, &WORLD, &why), -1);     /* it is taken */
	for (size_t i = 0; i < COUNT(outside); i++) {
		p = (struct peer){ .port = HTTPS };
		assert_true(ip_parse(slice(outside[i]), &p.ip));
		places_map(&places, &p);
		assert_case(ip_loopback(p.ip) && p.port == 1, i, outside[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_request_gets_one_response, setup, teardown),
		cmocka_unit_test_setup_teardown(who_expects_it_is_told_to_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(without_tls_it_answers_in_the_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(an_answer_may_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(who_says_nothing_is_sent_away, setup, teardown),
		cmocka_unit_test_setup_teardown(who_asks_finds_a_place, setup, teardown),
		cmocka_unit_test_setup_teardown(a_crowd_does_not_push_others_out, setup, teardown),
		cmocka_unit_test_setup_teardown(it_drains, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_waited_for_when_nobody_is_there, setup, teardown),
		cmocka_unit_test_setup_teardown(it_can_misbehave_for_a_lab, setup, teardown),
		cmocka_unit_test_setup_teardown(no_way_leads_out_of_the_world, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
