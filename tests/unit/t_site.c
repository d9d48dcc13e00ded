/* SPDX-License-Identifier: ISC */
/* Our own MTA-STS policies: their text, their id, and how they are served. */
#include "lab/authority.h"
#include "lab/places.h"
#include "sts/fetch.h"
#include "sts/ours.h"
#include "sts/record.h"
#include "unit.h"
#include "web/responder.h"
#include "web/site.h"

static const int64_t NOW = 1780315200000;       /* 2026-06-01T12:00:00Z */

/* A configuration with these domain blocks. */
struct read {
	struct files files;
	struct flaws flaws;
	struct conf *conf;
};

static const struct conf *
begin(struct read *r, const char *domains)
{
	struct reader reader;
	struct buf *text;

	*r = (struct read){ 0 };
	reader = files_reader(&r->files);
	text = &files_add(&r->files, S("/c"), FILE_CONFIG)->bytes;
	buf_add(text, S("hostname mx.a.test\nlisten mx { tls cert /c key /k }\nweb { tls cert /w key /v }\n"));
	buf_add(text, slice(domains));
	flaws_begin(&r->flaws);
	r->conf = conf_parse(S("/c"), &reader, &r->flaws);
	assert_int_equal(r->flaws.errors, 0);
	return r->conf;
}

static void
end(struct read *r)
{
	conf_free(r->conf);
	flaws_end(&r->flaws);
	files_free(&r->files);
}

/* --- the text and its id --------------------------------------------------------------- */

#define A_TEST(statements) "domain a.test { deliver to discard; " statements " }"

static const struct { const char *domain, *policy; } policies[] = {
	{ A_TEST("sts off"), "" },
	{ A_TEST(""), "" },
	{ A_TEST("sts testing"), "version: STSv1\r\nmode: testing\r\nmx: mx.a.test\r\nmax_age: 604800\r\n" },
	{ A_TEST("sts enforce max-age 1d; mx MX1.b.test, mx2.b.test"),
	    "version: STSv1\r\nmode: enforce\r\nmx: mx1.b.test\r\nmx: mx2.b.test\r\nmax_age: 86400\r\n" },
	{ A_TEST("sts none max-age 90m"), "version: STSv1\r\nmode: none\r\nmax_age: 5400\r\n" },       /* RFC 8461 8.3 */
	{ A_TEST("sts enforce max-age 365d"),
	    "version: STSv1\r\nmode: enforce\r\nmx: mx.a.test\r\nmax_age: 31536000\r\n" },
};

static void
the_policy_follows_from_the_configuration(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(policies); i++) {
		struct arena *arena = arena_new(1 << 20);
		struct buf text = BUF(OURS_POLICY_MOST);
		struct sts_policy parsed;
		struct error why;
		struct read r;
		const struct conf *c = begin(&r, policies[i].domain);

		ours_policy_add(&text, &c->domain[0]);
		if (!slice_eq(buf_slice(&text), slice(policies[i].policy)))
			print_error("got %.*s", FMT(buf_slice(&text)));
		assert_case(slice_eq(buf_slice(&text), slice(policies[i].policy)), i, policies[i].domain);
		if (text.n > 0) {       /* and senders can read it */
			assert_case(sts_policy_parse(&parsed, buf_slice(&text), arena, &why), i, why.text);
			assert_int_equal(parsed.mode, ours_mode(c->domain[0].sts));
			assert_int_equal(parsed.max_age, c->domain[0].sts_max_age / SECOND);
		}
		buf_free(&text);
		arena_free(arena);
		end(&r);
	}
}

/* The longest that the configuration takes is still a policy (RFC 8461 3.3). */
static void
the_longest_policy_can_be_read(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct buf domains = BUF(1 << 20), label = BUF(100), text = BUF(OURS_POLICY_MOST);
	struct sts_policy parsed;
	struct error why;
	struct read r;
	const struct conf *c;

	(void)state;
	for (int i = 0; i < 56; i++)
		buf_byte(&label, 'x');
	buf_add(&domains, S("domain a.test { deliver to discard; sts enforce; mx "));
	for (int i = 0; i < 100; i++)
		buf_printf(&domains, "%sm%d.%.*s.%.*s.%.*s.%.*s.test", i ? ", " : "", i, FMT(buf_slice(&label)),
		    FMT(buf_slice(&label)), FMT(buf_slice(&label)), FMT(buf_slice(&label)));
	buf_printf(&domains, " }%c", '\0');
	c = begin(&r, domains.p);
	ours_policy_add(&text, &c->domain[0]);
	assert_true(!text.full && sts_policy_parse(&parsed, buf_slice(&text), arena, &why));
	assert_int_equal(parsed.mx_count, 100);
	buf_free(&domains), buf_free(&label), buf_free(&text);
	arena_free(arena);
	end(&r);
}

/* RFC 8461 3.1: 1 to 32 letters and digits; another one exactly when the policy is. */
static void
the_id_changes_with_the_policy_alone(void **state)
{
	static const struct { const char *domain; bool same; } changes[] = {
		{ A_TEST("sts testing"), true }, { A_TEST("sts testing max-age 7d"), true },
		{ A_TEST("sts testing; mx MX.A.TEST"), true },
		{ A_TEST("sts testing; users ann; catch-all ann; tag subject x"), true },
		{ A_TEST("sts enforce"), false }, { A_TEST("sts testing max-age 8d"), false },
		{ A_TEST("sts testing; mx mx.a.test, mx2.a.test"), false }, { A_TEST("sts none"), false },
	};
	char first[OURS_ID + 1] = "", id[OURS_ID + 1];
	struct sts_record record;

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		struct buf text = BUF(OURS_POLICY_MOST), txt = BUF(100);
		struct read r;

		ours_policy_add(&text, &begin(&r, changes[i].domain)->domain[0]);
		ours_id(buf_slice(&text), id);
		if (i == 0)
			memcpy(first, id, sizeof first);
		assert_case((strcmp(id, first) == 0) == changes[i].same, i, changes[i].domain);
		buf_printf(&txt, "v=STSv1; id=%s", id);
		assert_case(sts_record_parse(buf_slice(&txt), &record) == LIVE_VALID &&
		    slice_eq(record.id, slice(id)), i, id);
		buf_free(&text), buf_free(&txt);
		end(&r);
	}
}

/* --- answers --------------------------------------------------------------------------------- */

static const char TWO[] = A_TEST("sts enforce") "\ndomain b.test { deliver to discard; sts none }\n"
    "domain c.test { deliver to discard }\n";

static const struct { const char *host, *path; unsigned status; } answers[] = {
	{ "mta-sts.a.test", "/.well-known/mta-sts.txt", 200 },
	{ "MTA-STS.A.test", "/.well-known/mta-sts.txt", 200 },
	{ "mta-sts.b.test", "/.well-known/mta-sts.txt", 200 },
	{ "mta-sts.c.test", "/.well-known/mta-sts.txt", 404 },          /* it has none */
	{ "a.test", "/.well-known/mta-sts.txt", 404 }, { "", "/.well-known/mta-sts.txt", 404 },
	{ "mta-sts.d.test", "/.well-known/mta-sts.txt", 404 },
	{ "mta-sts.a.test.", "/.well-known/mta-sts.txt", 404 },
	{ "mta-sts.a.test", "/.well-known/MTA-STS.txt", 404 }, { "mta-sts.a.test", "/", 404 },
	{ "mta-sts.a.test", "/.well-known/mta-sts.txt/", 404 },
	{ "mta-sts.a.test", "/.well-known/../.well-known/mta-sts.txt", 404 },
	{ "mta-sts.a.test", "/.well-known/mta-sts%2etxt", 404 },
	{ "mta-sts.a.test", "//.well-known/mta-sts.txt", 404 },
};

static void
policies_are_answered_and_nothing_else(void **state)
{
	struct read r;
	struct site *site = site_new(begin(&r, TWO));

	(void)state;
	end(&r);                                        /* the site needs it no more */
	for (size_t i = 0; i < COUNT(answers); i++) {
		struct http_request request = { .method = S("GET"), .path = slice(answers[i].path),
		    .host = slice(answers[i].host) };
		struct http_response response = site_answer(site, &request);

		assert_case(response.status == answers[i].status, i, answers[i].path);
		if (response.status != 200)
			continue;
		assert_slice(response.type, "text/plain");      /* RFC 8461 3.2 */
		assert_true(slice_starts(response.body, S("version: STSv1\r\n")));
		request.method = S("HEAD");                     /* RFC 9110 9.1 */
		assert_true(slice_eq(site_answer(site, &request).body, response.body));
		request.method = S("POST");
		assert_int_equal(site_answer(site, &request).status, 405);
	}
	site_free(site);
	site_free(NULL);
}

/* --- leaving a list (RFC 8058) ------------------------------------------------------------------ */

static const char LEAVING[] = "key k { domain l.test; file /k }\n"
    "domain l.test { list a { members x@y.test; one-click https://h.test/leave }\n"
    "  list b { members x@y.test; one-click https://h.test/deep/way/ }; list c { members x@y.test } }\n";

#define PAIR "List-Unsubscribe=One-Click"
#define PART(value) "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\n" value "\r\n--x--\r\n"

static const struct { const char *method, *path, *body, *word; unsigned status; } clicks[] = {
	{ "GET", "/leave/w.m", "", NULL, 200 }, { "HEAD", "/leave/w.m", "", NULL, 200 },
	 { "GET", "/deep/way/w.m", "", NULL, 200 },
	{ "POST", "/leave/w.m", PAIR, "w.m", 0 }, { "POST", "/deep/way/w.m", PAIR, "w.m", 0 },
	{ "POST", "/leave/w.m", PART("One-Click"), "w.m", 0 },
	{ "POST", "/leave/w.m", PART("No-Click"), NULL, 400 }, { "POST", "/leave/w.m", PART("One-Clicks"), NULL, 400 },
	{ "POST", "/leave/w.m", "", NULL, 400 }, { "POST", "/leave/w.m", "x=" PAIR, NULL, 400 },
	{ "POST", "/leave/w.m", PAIR "&x=y", NULL, 400 },
	{ "POST", "/leave", PAIR, NULL, 404 }, { "POST", "/leave/", PAIR, NULL, 404 }, { "POST", "/", PAIR, NULL, 404 },
	{ "POST", "/leave/x/w.m", PAIR, NULL, 404 }, { "POST", "/deep/w.m", PAIR, NULL, 404 },
	{ "GET", "/leave/../leave/w.m", "", NULL, 404 }, { "POST", "/.well-known/mta-sts.txt", PAIR, NULL, 404 },
};

static void
lists_are_left_with_a_post_alone(void **state)
{
	struct read r;
	struct site *site = site_new(begin(&r, LEAVING));

	(void)state;
	end(&r);
	for (size_t i = 0; i < COUNT(clicks); i++) {
		struct http_request request = { .method = slice(clicks[i].method),
		    .path = slice(clicks[i].path), .host = S("any.test"), .body = slice(clicks[i].body) };
		struct slice word = NONE;
		bool leaves = site_leaves(site, &request, &word);

		assert_case(leaves == (clicks[i].word != NULL), i, clicks[i].path);
		if (leaves)
			assert_slice(word, clicks[i].word);
		else
			assert_case(site_answer(site, &request).status == clicks[i].status, i, clicks[i].path);
	}
	assert_int_equal(site_left(LEFT_DONE).status, 200);
	assert_int_equal(site_left(LEFT_UNKNOWN).status, 404);
	assert_int_equal(site_left(LEFT_LATER).status, 503);
	site_free(site);
}

/* --- what senders get: our own fetcher asks our own door --------------------------------------- */

static struct sts_fetch fetched;
static unsigned fetches;
static struct arena *kept;

static void
note(void *arg, const struct sts_answer *answer)
{
	(void)arg;
	fetches++;
	sts_answer_judge(&fetched, answer, kept);
}

static void
answer_from(void *arg, const struct http_request *request, struct response_plan *plan)
{
	plan->response = site_answer(arg, request);
}

static void
identify(struct authority *authority, const char *host, struct certificate *made, struct tls_identity *id)
{
	const struct slice name = slice(host);

	certificate_make(authority, CERTIFICATE_GOOD, &name, 1, made);
	*id = (struct tls_identity){ buf_slice(&made->chain), buf_slice(&made->key), host };
}

static void
senders_get_the_policy_of_each_domain(void **state)
{
	static const struct { const char *domain; enum tlsrpt_result result; enum sts_mode mode; } asks[] = {
		{ "a.test", TLSRPT_SUCCESS, STS_ENFORCE }, { "b.test", TLSRPT_SUCCESS, STS_NONE },
		{ "c.test", TLSRPT_STS_WEBPKI_INVALID, STS_NONE },      /* the first certificate, never an alert */
	};
	const struct peer door = { .ip = { { 127, 0, 42, 9 }, 4 }, .port = 443 };
	struct clock clock = clock_virtual(NOW);
	struct certificate made[2];
	struct tls_identity ids[2];
	struct places places = { 0 };
	struct loop loop;
	struct error why;
	struct read r;
	struct site *site = site_new(begin(&r, TWO));
	struct authority *authority = authority_new(1, NOW);
	struct tls_server *server;
	struct responder *responder;
	struct fetcher *fetcher;
	SSL_CTX *client = tls_client_new(authority_root(authority), &why);

	(void)state;
	kept = arena_new(1 << 20);
	loop_begin(&loop, &clock);
	loop.map = places_map;
	loop.map_arg = &places;
	identify(authority, "mta-sts.a.test", &made[0], &ids[0]);
	identify(authority, "mta-sts.b.test", &made[1], &ids[1]);
	server = tls_server_new(ids, 2, &why);
	assert_true(server != NULL && client != NULL);
	responder = responder_new(&(struct responder_options){ &loop, server, 9, 0, answer_from, site },
	    places_listen(&places, &door, &why));
	fetcher = fetcher_new(&loop, client);
	for (size_t i = 0; i < COUNT(asks); i++) {
		fetch_begin(fetcher, slice(asks[i].domain), &door.ip, 1, note, NULL);
		loop_run_until(&loop, clock_now(&clock) + MINUTE);
		assert_int_equal(fetches, i + 1);
		assert_case(fetched.result == asks[i].result, i, asks[i].domain);
		if (fetched.result == TLSRPT_SUCCESS)
			assert_case(fetched.policy.mode == asks[i].mode, i, asks[i].domain);
	}
	fetcher_free(fetcher);
	responder_free(responder);
	places_leave(&places, &door);
	tls_server_free(server);
	SSL_CTX_free(client);
	certificate_free(&made[0]), certificate_free(&made[1]);
	authority_free(authority);
	loop_end(&loop);
	arena_free(kept);
	site_free(site);
	end(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_policy_follows_from_the_configuration),
		cmocka_unit_test(the_longest_policy_can_be_read),
		cmocka_unit_test(the_id_changes_with_the_policy_alone),
		cmocka_unit_test(policies_are_answered_and_nothing_else),
		cmocka_unit_test(lists_are_left_with_a_post_alone),
		cmocka_unit_test(senders_get_the_policy_of_each_domain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
