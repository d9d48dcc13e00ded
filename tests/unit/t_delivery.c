/* SPDX-License-Identifier: ISC */
/*
 * Deliveries with real handshakes, in one process: an SMTP server and an HTTPS
 * server on the loop of the client, certificates made on the spot, the DNS from
 * a text, all addresses mapped to the two.  TLS sessions and their resumption,
 * policy files and posted reports over curl, policies, and whole orders with
 * what is told of their sessions.
 */
#include <netinet/in.h>
#include <sys/mman.h>

#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "base/gzip.h"
#include "conf/files.h"
#include "delivery/attempt.h"
#include "delivery/reports.h"
#include "delivery/sessions.h"
#include "dns/zone.h"
#include "net/link.h"
#include "net/listener.h"
#include "net/tls.h"
#include "queue/order.h"
#include "sts/tally.h"
#include "tlspair.h"
#include "unit.h"

enum { HTTPS = 443, SMTP = 25 };

/* Who shows what: the servers' certificates. */
static struct issued authority, good, self;

/* --- two servers ------------------------------------------------------------------------- */

struct guest {                          /* a client of ours */
	struct stream *stream;
	bool           https, secured;
	unsigned       address;         /* the last octet of the one that was asked for */
	struct buf     input;
	struct timer   wait;            /* before an answer, when all of them come late */
	const char    *late;
};

static struct world {
	struct clock     clock;
	struct loop      loop;
	struct arena    *arena;
	struct tls_server *shown;       /* by both servers; NULL: SMTP offers no STARTTLS */
	struct listener *smtp, *web;
	uint16_t         smtp_port, web_port;
	struct guest    *guests[40];
	bool             raised;        /* 192.0.2.9 is dead otherwise */
	size_t           connects;
	size_t           barred;        /* this one of them cannot be begun; 0: none */
	unsigned         asked;         /* the last octet of the newest address that was asked for */
	char             tried[200];    /* all of them: " 11 12" */
	const char      *greeting;      /* NULL: a friendly one */
	const char      *mute;          /* says no more from this command on, or in the "HANDSHAKE" … */
	unsigned         mute_below;    /* … at addresses up to this */
	int64_t          slow;          /* every answer takes so long */
	size_t           guest_count, taken, handshakes, resumed;
	const char      *response;      /* of the HTTPS server */
	struct buf       request;       /* the newest one */
	size_t           requests;
	SSL_CTX         *client;
	struct zone     *zone;
	struct resolver *resolver;
	struct fetcher  *fetcher;
	struct log       log;
} w;

static void
guest_end(struct guest *g)
{
	timer_clear(&w.loop, &g->wait);
	stream_end(g->stream);
	g->stream = NULL;
}

static void
guest_closed(void *arg, const struct error *why)
{
	(void)why;
	guest_end(arg);
}

static void
say_late(void *arg)
{
	struct guest *g = arg;

	stream_write(g->stream, slice(g->late));
}

static void
say(struct guest *g, const char *text)
{
	g->late = text;
	if (w.slow > 0)
		timer_set(&w.loop, &g->wait, w.slow, say_late, g);
	else
		say_late(g);
}

static bool
is_mute(const struct guest *g, struct slice at)
{
	return w.mute != NULL && g->address <= w.mute_below && slice_startsi(at, slice(w.mute));
}

static void
smtp_line(struct guest *g, struct slice line)
{
	if (is_mute(g, line))
		return;
	if (slice_startsi(line, S("EHLO")))
		say(g, g->secured || w.shown == NULL ? "250 mx.a.test\r\n" : "250-mx.a.test\r\n250 STARTTLS\r\n");
	else if (slice_startsi(line, S("STARTTLS"))) {
		say(g, "220 go\r\n");
		if (!is_mute(g, S("HANDSHAKE")))
			stream_secure_server(g->stream, tls_server_context(w.shown));
	} else if (slice_startsi(line, S("DATA")))
		say(g, "354 go\r\n");
	else if (slice_eq(line, S("."))) {
		w.taken++;
		say(g, "250 2.0.0 taken\r\n");
	} else if (slice_startsi(line, S("QUIT")))
		say(g, "221 bye\r\n");
	else if (slice_startsi(line, S("MAIL")) || slice_startsi(line, S("RCPT")))
		say(g, "250 2.0.0 ok\r\n");
}

static bool
request_complete(struct slice all)
{
	const char *head = all.n > 0 ? memmem(all.p, all.n, "\r\n\r\n", 4) : NULL;
	const char *length = head ? memmem(all.p, (size_t)(head - all.p), "Content-Length: ", 16) : NULL;

	return head != NULL &&
	    (length == NULL || all.n >= (size_t)(head + 4 - all.p) + strtoul(length + 16, NULL, 10));
}

static void
guest_input(void *arg)
{
	struct guest *g = arg;
	struct slice in = stream_input(g->stream), line;

	buf_add(&g->input, in);
	stream_take(g->stream, in.n);
	if (g->https) {
		if (request_complete(buf_slice(&g->input))) {
			buf_clear(&w.request);
			buf_add(&w.request, buf_slice(&g->input));
			w.requests++;
			say(g, w.response);
			stream_finish(g->stream);
			g->stream = NULL;
		}
		return;
	}
	while ((line = buf_slice(&g->input), slice_find(line, '\n') < line.n)) {
		size_t n = slice_find(line, '\n');

		smtp_line(g, slice_trim(slice_head(line, n)));
		buf_drop(&g->input, n + 1);
	}
}

static void
guest_secured(void *arg)
{
	struct guest *g = arg;

	g->secured = true;
	w.handshakes++;
	w.resumed += SSL_session_reused(stream_ssl(g->stream));
}

static const struct stream_user GUEST = { .input = guest_input, .secured = guest_secured, .closed = guest_closed };

static void
welcome(int fd, bool https)
{
	struct guest *g = must_alloc(sizeof *g);

	bug_if(w.guest_count == COUNT(w.guests));
	*g = (struct guest){ .https = https, .input = BUF(1 << 20), .address = w.asked };
	w.guests[w.guest_count++] = g;
	g->stream = stream_new(&w.loop, fd, &GUEST, g);
	if (https)
		stream_secure_server(g->stream, tls_server_context(w.shown));
	else if (!is_mute(g, S("GREETING")))
		say(g, w.greeting != NULL ? w.greeting : "220 mx.a.test\r\n");
}

static void on_smtp(void *arg, int fd, struct peer from) { (void)arg, (void)from; welcome(fd, false); }
static void on_web(void *arg, int fd, struct peer from)  { (void)arg, (void)from; welcome(fd, true); }

static struct listener *
listen_on(uint16_t *port, void (*accepted)(void *, int, struct peer))
{
	struct peer at = { .port = 0 };
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	struct error why;
	int fd;

	assert_true(ip_parse(S("127.0.0.1"), &at.ip));
	assert_int_not_equal(fd = peer_listen(&at, &why), -1);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
	*port = peer_of_sockaddr(&bound).port;
	return listener_new(&w.loop, fd, accepted, NULL);
}

/* Every address of the world is one of the two servers. */
static void
map(void *arg, struct peer *p)
{
	(void)arg;
	if (p->port == SMTP) {
		size_t n = strlen(w.tried);

		w.connects++;
		w.asked = p->ip.bytes[3];
		snprintf(w.tried + n, sizeof w.tried - n, " %u", w.asked);
	}
	if (w.barred != 0 && w.connects == w.barred) {
		*p = (struct peer){ .path = "/nowhere/x.sock" };
		return;
	}
	p->port = p->port != SMTP ? w.web_port : p->ip.bytes[3] != 9 || w.raised ? w.smtp_port : 1;
	assert_true(ip_parse(S("127.0.0.1"), &p->ip));
}

static void
show(const struct issued *certificate)
{
	struct buf chain = BUF(1 << 16), key = BUF(1 << 16);
	BIO *bio = BIO_new(BIO_s_mem());
	struct error why;
	char *p;
	long n;

	tls_server_free(w.shown);
	issued_pem(certificate, &chain);
	assert_int_equal(PEM_write_bio_PrivateKey(bio, certificate->key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	buf_add(&key, slice_of(p, (size_t)n));
	w.shown = tls_server_new(&(struct tls_identity){ buf_slice(&chain), buf_slice(&key), "x" }, 1, &why);
	assert_non_null(w.shown);
	BIO_free(bio);
	buf_free(&chain), buf_free(&key);
}

static void log_nowhere(void *arg, struct slice line) { (void)arg, (void)line; }

static void
know(const char *zone)
{
	struct error why;

	resolver_free(w.resolver);
	zone_free(w.zone);
	assert_non_null(w.zone = zone_parse(slice(zone), "zone", &why));
	w.resolver = resolver_new(&w.loop, &(struct resolver_options){ .facts = w.zone }, &why);
	assert_non_null(w.resolver);
}

static int
setup(void **state)
{
	struct buf roots = BUF(1 << 16);
	struct error why;

	(void)state;
	signal(SIGPIPE, SIG_IGN);               /* as in every role (cmd/role.c) */
	authority = issue(&(struct wish){ .subject = "Roots", .authority = true, .from = -1, .to = 30 });
	good = issue(&(struct wish){ .names = "DNS:mx.a.test,DNS:mta-sts.a.test", .issuer = &authority });
	self = issue(&(struct wish){ .subject = "mx.a.test" });
	w = (struct world){ .clock = clock_virtual(TLSPAIR_NOW), .request = BUF(1 << 20), .response = "" };
	w.log = (struct log){ &w.clock, LOG_DEBUG, false, log_nowhere, NULL, NULL };
	loop_begin(&w.loop, &w.clock);
	w.loop.map = map;
	w.arena = arena_new(64 << 20);
	show(&good);
	w.smtp = listen_on(&w.smtp_port, on_smtp);
	w.web = listen_on(&w.web_port, on_web);
	issued_pem(&authority, &roots);
	assert_non_null(w.client = tls_client_new(buf_slice(&roots), &why));
	w.fetcher = fetcher_new(&w.loop, w.client);
	buf_free(&roots);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fetcher_free(w.fetcher);
	for (size_t i = 0; i < w.guest_count; i++) {
		guest_end(w.guests[i]);
		buf_free(&w.guests[i]->input);
		free(w.guests[i]);
	}
	resolver_free(w.resolver);
	zone_free(w.zone);
	listener_end(w.smtp);
	listener_end(w.web);
	SSL_CTX_free(w.client);
	tls_server_free(w.shown);
	loop_end(&w.loop);
	buf_free(&w.request);
	arena_free(w.arena);
	issued_free(&authority), issued_free(&good), issued_free(&self);
	return 0;
}

static void run_for(int64_t ms) { loop_run_until(&w.loop, w.clock.now + ms); }

static struct ip
some_ip(void)
{
	struct ip ip;

	assert_true(ip_parse(S("192.0.2.1"), &ip));
	return ip;
}

/* --- TLS sessions --------------------------------------------------------------------------- */

static struct plan_host
host(enum need need)
{
	struct plan_host h = { .name = S("mx.a.test"), .go = true, .need = need, .watch = need,
	    .names = { S("mx.a.test") }, .name_count = 1, .sni = S("mx.a.test") };

	plan_make_key(&h, SMTP);
	return h;
}

static bool reached;
static struct connection *connection;

static void
is_ready(void *arg)
{
	(void)arg;
	reached = true;
	connection_quit(connection);
}

static void is_sent(void *arg)                                         { (void)arg; }
static void is_over(void *arg, const struct connection_end *end)       { (void)arg, (void)end; }
static const struct connection_user VISITOR = { is_ready, is_sent, is_over, NULL };

/* True when the plan let the visitor in. */
static bool
visit(struct sessions *sessions, const struct plan_host *h)
{
	struct connection_options o = { .loop = &w.loop, .tls = w.client, .hostname = S("us.test"),
	    .sessions = sessions };
	struct peer peer = { .ip = some_ip(), .port = SMTP };
	struct error why;

	reached = false;
	connection = connection_open(&o, h, peer, &VISITOR, NULL, &why);
	run_for(2 * SECOND);
	return reached;
}

static void
sessions_are_resumed_under_the_same_proof_only(void **state)
{
	struct sessions *s = sessions_new(&w.clock);
	struct plan_host strict = host(NEED_PKIX), lax = host(NEED_NOTHING);

	(void)state;
	assert_true(visit(s, &strict) && w.resumed == 0);
	assert_true(visit(s, &strict) && w.resumed == 1);
	assert_true(visit(s, &strict) && w.resumed == 2);       /* each brings a new ticket */
	assert_true(visit(s, &lax) && w.resumed == 2);          /* another plan: a full handshake */
	assert_true(visit(s, &lax) && w.resumed == 3);
	run_for(SESSION_LIFE);
	assert_true(visit(s, &strict) && w.resumed == 3);       /* too long ago */
	sessions_free(s);
}

/* A certificate that went bad must not hide behind a session from before, nor make one. */
static void
what_proved_nothing_is_not_kept(void **state)
{
	struct sessions *s = sessions_new(&w.clock);
	struct plan_host strict = host(NEED_PKIX), watching = host(NEED_NOTHING);

	(void)state;
	watching.watch = NEED_PKIX;
	plan_make_key(&watching, SMTP);
	show(&self);
	assert_false(visit(s, &strict));
	assert_true(visit(s, &watching));                       /* mode testing: it goes on … */
	assert_int_equal(sessions_count(s), 0);                 /* … and proves nothing */
	assert_int_equal(w.resumed, 0);
	sessions_free(s);
}

static void
sessions_have_a_ceiling(void **state)
{
	struct sessions *s = sessions_new(&w.clock);
	SSL_CTX *server = server_context(&good, &authority);
	SSL *ssl = SSL_new(w.client);
	struct plan_host h = host(NEED_NOTHING);
	struct peer peer = { .ip = some_ip(), .port = SMTP };

	(void)state;
	SSL_CTX_set_max_proto_version(server, TLS1_2_VERSION);
	assert_true(handshake(ssl, server, NULL));
	for (unsigned i = 0; i < SESSIONS_MOST + 50; i++) {
		peer.port = (uint16_t)(1000 + i);
		sessions_keep(s, ssl, &h, &peer);
		sessions_keep(s, ssl, &h, &peer);               /* one for each */
	}
	assert_int_equal(sessions_count(s), SESSIONS_MOST);
	SSL_free(ssl);
	SSL_CTX_free(server);
	sessions_free(s);
}

/* --- files by HTTPS ---------------------------------------------------------------------------- */

static struct sts_answer answered;
static struct slice answered_body;
static bool done;

static void
is_fetched(void *arg, const struct sts_answer *a)
{
	(void)arg;
	answered = *a;
	answered_body = arena_copy(w.arena, a->body);
	done = true;
}

static void
fetch_it(const char *response)
{
	struct ip ip = some_ip();

	w.response = response;
	done = false;
	fetch_begin(w.fetcher, S("a.test"), &ip, 1, is_fetched, NULL);
	for (int i = 0; i < 50 && !done; i++)
		run_for(100);
	assert_true(done);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

static void
policy_files_over_https(void **state)
{
	struct buf big = BUF(1 << 20);
	struct slice request;

	(void)state;
	fetch_it(OK_HEAD "Content-Length: 5\r\n\r\nhello");
	assert_true(answered.transport == STS_ANSWERED && answered.status == 200);
	assert_slice(answered_body, "hello");
	request = buf_slice(&w.request);
	assert_true(slice_starts(request, S("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.a.test\r\n")));
	fetch_it("HTTP/1.1 301 Moved\r\nLocation: https://mta-sts.a.test/x\r\nContent-Length: 0\r\n\r\n");
	assert_true(answered.transport == STS_ANSWERED && answered.status == 301);
	assert_int_equal(w.requests, 2);                        /* RFC 8461 3.3: never followed */
	buf_printf(&big, OK_HEAD "Content-Length: %d\r\n\r\n", STS_POLICY_MOST + 1);
	for (int i = 0; i <= STS_POLICY_MOST; i++)
		buf_byte(&big, 'x');
	buf_byte(&big, '\0');
	fetch_it(big.p);
	assert_int_equal(answered.transport, STS_TOO_BIG);
	buf_clear(&big);
	buf_add(&big, S(OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 80; i++)                            /* no length is said before */
		buf_printf(&big, "400\r\n%01024d\r\n", 7);
	buf_add(&big, S("0\r\n\r\n\0"));
	fetch_it(big.p);
	assert_int_equal(answered.transport, STS_TOO_BIG);
	fetch_it("");                                           /* hangs up */
	assert_int_equal(answered.transport, STS_UNREACHABLE);
	buf_free(&big);
}

static void
policy_hosts_prove_their_name_by_the_san(void **state)
{
	static const struct { const char *names, *subject; bool trusted, ok; } cases[] = {     /* RFC 8461 3.3 */
		{ "DNS:mta-sts.a.test", NULL, true, true },
		{ "DNS:*.a.test", NULL, true, true },
		{ "DNS:mta-sts.b.test", NULL, true, false },
		{ "DNS:*.mta-sts.a.test", NULL, true, false },
		{ "DNS:a.test", NULL, true, false },
		{ NULL, "mta-sts.a.test", true, false },        /* the common name does not count */
		{ "DNS:mta-sts.a.test", NULL, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct issued one = issue(&(struct wish){ .names = cases[i].names, .subject = cases[i].subject,
		    .issuer = cases[i].trusted ? &authority : NULL });

		show(&one);
		fetch_it(OK_HEAD "Content-Length: 0\r\n\r\n");
		assert_case((answered.transport == STS_ANSWERED) == cases[i].ok, i, cases[i].names);
		assert_case(cases[i].ok || (answered.transport == STS_UNTRUSTED && answered.verify != 0), i, "why");
		issued_free(&one);
	}
}

static const struct { const char *uri, *host; unsigned port; const char *path; } uris[] = {
	{ "https://r.a.test/v1?x=y", "r.a.test", 443, "/v1?x=y" },
	{ "HTTPS://R.A.test", "r.a.test", 443, "/" },
	{ "https://r.a.test?x", "r.a.test", 443, "/?x" },
	{ "https://r.a.test:8443/#top", "r.a.test", 8443, "/" },
	{ "https://r.a.test:0/", NULL, 0, NULL },
	{ "https://r.a.test:99999/", NULL, 0, NULL },
	{ "https://user@r.a.test/", NULL, 0, NULL },
	{ "https://192.0.2.1/", NULL, 0, NULL },                /* names only: what is asked is the DNS */
	{ "https://10.0.0.0xa/", NULL, 0, NULL },               /* another way to write 10.0.0.10 */
	{ "https://r.a.xn--test1/", "r.a.xn--test1", 443, "/" },
	{ "https://[::1]/", NULL, 0, NULL },
	{ "https://r..test/", NULL, 0, NULL },
	{ "https:///x", NULL, 0, NULL },
	{ "http://r.a.test/", NULL, 0, NULL },
	{ "mailto:a@b.test", NULL, 0, NULL },
};

static void
uris_to_report_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(uris); i++) {
		struct report_uri u;
		bool ok = report_uri_parse(&u, slice(uris[i].uri), w.arena);

		assert_case(ok == (uris[i].host != NULL), i, uris[i].uri);
		if (ok) {
			assert_slice(u.host, slice(uris[i].host).p);
			assert_slice(u.path, slice(uris[i].path).p);
			assert_int_equal(u.port, uris[i].port);
		}
	}
}

static struct buf told;                 /* the newest answer to the queue */
static unsigned told_kind;

static void
note_answer(void *arg, unsigned kind, struct slice payload)
{
	(void)arg;
	buf_clear(&told);
	buf_add(&told, payload);
	told_kind = kind;
}

static struct slice
post(struct reports *reports, const char *uri, bool *taken)
{
	struct buf b = BUF(4096);
	struct unpack u;

	pack_u64(&b, 7);
	pack_slice(&b, slice(uri));
	pack_slice(&b, S("zipped"));
	told_kind = 0;
	reports_post(reports, buf_slice(&b));
	buf_free(&b);
	for (int i = 0; i < 50 && told_kind == 0; i++)
		run_for(100);
	assert_int_equal(told_kind, FRAME_POSTED);
	u = (struct unpack){ .left = buf_slice(&told) };
	assert_int_equal(unpack_u64(&u), 7);
	*taken = unpack_u8(&u);
	return unpack_slice(&u);
}

/* RFC 8460 3, 5.4: the certificate there may be just what is wrong. */
static void
reports_are_posted(void **state)
{
	struct reports *reports;
	bool taken;

	(void)state;
	told = BUF(4096);
	know("r.a.test A 192.0.2.9\nhome.a.test A 127.0.0.1\nhome.a.test AAAA ::ffff:0.0.0.0\n"
	    "home.a.test A 169.254.169.254\nhome.a.test A 192.168.1.1\n"
	    "_smtp._tls.a.test TXT \"v=TLSRPTv1; rua=mailto:x@a.test\"\n");
	reports = reports_new(&(struct reports_options){ w.resolver, w.fetcher, &w.loop, false, note_answer, NULL });
	show(&self);
	w.response = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
	post(reports, "https://r.a.test:8443/v1?x", &taken);
	assert_true(taken);
	assert_true(slice_starts(buf_slice(&w.request), S("POST /v1?x HTTP/1.1\r\nHost: r.a.test:8443\r\n")));
	assert_non_null(memmem(w.request.p, w.request.n, "Content-Type: application/tlsrpt+gzip\r\n", 39));
	assert_true(slice_endsi(buf_slice(&w.request), S("\r\n\r\nzipped")));
	w.response = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	assert_slice(post(reports, "https://r.a.test/", &taken), "HTTP status 404");
	assert_false(taken);
	assert_slice(post(reports, "https://gone.a.test/", &taken), "the host has no address that can be used");
	assert_slice(post(reports, "https://home.a.test/", &taken), "the host has no address that can be used");
	assert_slice(post(reports, "ftp://r.a.test/", &taken), "no URI that can be used");
	reports_ask(reports, S("a.test"));
	run_for(SECOND);
	assert_int_equal(told_kind, FRAME_TLSRPT_IS);
	reports_ask(reports, S("b.test"));
	reports_free(reports);
	buf_free(&told);
}

/* --- whole orders ---------------------------------------------------------------------------------- */

struct house {                          /* a deliverer, and the queue's end of its link */
	struct files     files;
	struct conf     *conf;
	struct jobs     *jobs;
	struct delivery *delivery;
	struct link     *queue;
	struct slice     entry;         /* what the cache has for a.test */
	struct buf       kept;
	struct tlsrpt_session sessions[20];
	size_t           session_count;
	struct order_result result;
	bool             over;
};

static void
house_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct house *h = arg;
	struct slice copy = arena_copy(w.arena, payload);
	struct unpack u = { .left = copy };

	assert_int_equal(fd, -1);
	if (kind == FRAME_STS_ASK) {
		struct buf b = BUF(1 << 17);

		pack_slice(&b, payload);
		pack_slice(&b, h->entry);
		link_send(h->queue, FRAME_STS_IS, buf_slice(&b), -1);
		buf_free(&b);
	} else if (kind == FRAME_STS_KEEP) {
		unpack_slice(&u);
		buf_clear(&h->kept);
		buf_add(&h->kept, unpack_slice(&u));
	} else if (kind == FRAME_SESSION) {
		assert_true(h->session_count < COUNT(h->sessions));
		assert_true(session_unpack(&h->sessions[h->session_count++], copy, w.arena));
	} else if (kind == FRAME_RESULT) {
		assert_true(order_result_unpack(&h->result, copy, w.arena));
		h->over = true;
	}
}

static void house_gone(void *arg) { (void)arg; }
static const struct link_user HOUSE = { house_frame, house_gone };

static void
open_house(struct house *h, const char *zone)
{
	struct reader reader;
	struct flaws flaws;
	int ends[2];

	know(zone);
	*h = (struct house){ .kept = BUF(1 << 17) };
	reader = files_reader(&h->files);
	buf_add(&files_add(&h->files, S("/c/x.conf"), FILE_CONFIG)->bytes,
	    S("hostname us.test\nlisten mx { on 127.0.0.1:2525 }\n"));
	flaws_begin(&flaws);
	h->conf = conf_parse(S("/c/x.conf"), &reader, &flaws);
	assert_int_equal(flaws.errors, 0);
	flaws_end(&flaws);
	h->jobs = jobs_start(&w.loop, 0);
	h->delivery = delivery_start(&w.loop, &(struct delivery_options){ h->conf, w.resolver, w.client, h->jobs,
	    &w.log, 1 });
	link_pair(ends);
	h->queue = link_new(&w.loop, ends[0], &HOUSE, h);
	delivery_queue(h->delivery, ends[1]);
}

static void
close_house(struct house *h)
{
	delivery_end(h->delivery);
	jobs_stop(h->jobs);
	link_end(h->queue);
	conf_free(h->conf);
	files_free(&h->files);
	buf_free(&h->kept);
}

/* One message for x@a.test, until its result is there. */
static void
hand_over(struct house *h, bool uncounted)
{
	struct order_recipient to = { .address = S("x@a.test") };
	struct order o = { .number = 1, .id = 1, .domain = S("a.test"), .sender = S("s@us.test"), .recipients = &to,
	    .count = 1, .uncounted = uncounted, .tls_optional = uncounted, .head = S("Subject: x\r\n\r\n") };
	struct buf b = BUF(4096);

	order_pack(&o, &b);
	h->over = false;
	h->session_count = 0;
	link_send(h->queue, FRAME_ORDER, buf_slice(&b), -1);
	buf_free(&b);
	for (int i = 0; i < 1000 && !h->over; i++)
		run_for(i < 20 ? 100 : 10 * SECOND);
	assert_true(h->over);
}

static struct slice
status_text(const struct house *h)
{
	struct status s = h->result.outcomes[0].status;

	return arena_printf(w.arena, "%u.%u.%u %.*s", s.class, s.subject, s.detail, FMT(s.text));
}

/* The enhanced status with which it ends. */
static struct slice
deliver(struct house *h, bool uncounted)
{
	hand_over(h, uncounted);
	run_for(10 * SECOND);                                   /* idle connections go */
	return status_text(h);
}

#define MX_A "a.test MX 10 mx.a.test\nmx.a.test A 192.0.2.1\n"
#define MX_DEAD "a.test MX 10 mx.a.test\nmx.a.test A 192.0.2.9\nb.test MX 10 mx.a.test\n"
#define STS_A "_mta-sts.a.test TXT \"v=STSv1; id=1\"\nmta-sts.a.test A 192.0.2.2\n"
#define POLICY(mx) "version: STSv1\nmode: enforce\nmx: " mx "\nmax_age: 864000\n"
#define SERVED(mx) OK_HEAD "Connection: close\r\n\r\n" POLICY(mx)

static void note_idle(void *arg) { *(bool *)arg = true; }

/* The queue that heard it may be ending: the next one is told, or a message is delivered twice. */
static void
who_is_drained_stays_until_a_result_is_written_down(void **state)
{
	struct house h;
	bool idle = false;
	int ends[2];

	(void)state;
	open_house(&h, MX_A);
	hand_over(&h, false);
	delivery_drain(h.delivery, note_idle, &idle);
	run_for(5 * SECOND);
	assert_false(idle);
	link_end(h.queue);                                      /* it ends without having read it */
	link_pair(ends);
	h.over = false;
	h.queue = link_new(&w.loop, ends[0], &HOUSE, &h);
	delivery_queue(h.delivery, ends[1]);
	run_for(SECOND);
	assert_true(h.over && !idle);
	run_for(10 * SECOND);
	assert_true(idle);
	close_house(&h);
}

static void
nobody_waits_for_a_queue_that_stays(void **state)
{
	struct house h;
	bool idle = false;

	(void)state;
	open_house(&h, MX_A);
	delivery_drain(h.delivery, note_idle, &idle);
	assert_true(idle);                                      /* nothing was ever said */
	close_house(&h);

	open_house(&h, MX_A);
	idle = false;
	hand_over(&h, false);
	delivery_drain(h.delivery, note_idle, &idle);
	assert_false(idle);
	delivery_hurry(h.delivery);
	assert_true(idle);
	close_house(&h);
}

/* --- a text in a file -------------------------------------------------------------------------- */

enum { BODY = 200000 };

/* A file with so many octets of body behind a header, handed over with what it should add up to. */
static void
hand_file_over(struct house *h, uint64_t said, uint32_t wrong)
{
	struct order_recipient to = { .address = S("x@a.test") };
	struct slice head = S("Subject: x\r\n");
	struct order o = { .number = 1, .id = 1, .domain = S("a.test"), .sender = S("s@us.test"), .recipients = &to,
	    .count = 1, .head = head, .in_file = true, .file_at = head.n };
	struct buf text = BUF(1 << 20), b = BUF(4096);
	int fd = memfd_create("content", MFD_CLOEXEC);

	buf_add(&text, head);
	while (text.n < BODY)
		buf_add(&text, S("\r\n.a line\r\n"));
	assert_true(file_write(fd, buf_slice(&text), NULL));
	o.file_size = text.n - head.n + said;
	o.file_sum = (struct checksum){ true, crc32c(0, head), crc32c(0, buf_slice(&text)) ^ wrong };
	order_pack(&o, &b);
	h->over = false;
	link_send(h->queue, FRAME_ORDER, buf_slice(&b), fd);
	for (int i = 0; i < 100 && !h->over; i++)
		run_for(100);
	assert_true(h->over);
	buf_free(&text), buf_free(&b);
}

/*
 * The dot is said when all of the file has been read and is what it was; else nobody
 * gets it, neither this host nor the next, and the connection breaks (RFC 5321 4.1.1.10).
 */
static void
a_damaged_text_gets_no_dot(void **state)
{
	static const struct { uint64_t said; uint32_t wrong; bool whole; } cases[] = {
		{ 0, 0, true }, { 0, 1, false }, { 1, 0, false }, { 0, 0, true },
	};
	struct house h;

	(void)state;
	open_house(&h, "a.test MX 10 mx.a.test\na.test MX 20 mx2.a.test\nmx.a.test A 192.0.2.1\n"
	    "mx2.a.test A 192.0.2.2\n");
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t taken = w.taken, connects = w.connects;
		const struct status *s;

		hand_file_over(&h, cases[i].said, cases[i].wrong);
		s = &h.result.outcomes[0].status;
		assert_case(w.taken - taken == cases[i].whole, i, "taken");
		assert_case(h.result.unreadable == !cases[i].whole, i, "unreadable");
		assert_case(cases[i].whole ? status_good(*s) : status_transient(*s) && s->subject == 3, i, "status");
		run_for(10 * SECOND);
		assert_case(w.connects - connects <= 1, i, "nobody else is tried");
	}
	assert_true(w.handshakes >= 1);
	close_house(&h);
}

/* Sent away at the door is told apart from what is said of a message. */
static void
a_host_that_refuses_is_told_of(void **state)
{
	static const struct { const char *greeting, *status; bool refused; } cases[] = {
		{ "421 4.7.0 too many connections\r\n", "4.7.0 too many", true },
		{ "554 5.3.2 no mail here\r\n", "5.3.2 no mail", true },
		{ NULL, "2.0.0", false },
	};
	struct house h;

	(void)state;
	open_house(&h, MX_A);
	for (size_t i = 0; i < COUNT(cases); i++) {
		w.greeting = cases[i].greeting;
		assert_case(slice_starts(deliver(&h, false), slice(cases[i].status)), i, "status");
		assert_case(h.result.refused == cases[i].refused, i, "refused");
	}
	close_house(&h);
}

/* A dead host is not tried by each message, but after the first wait, or when somebody asks. */
static void
a_host_that_does_not_answer_is_left_alone(void **state)
{
	static const struct { int64_t later; bool asked, raised; const char *status; size_t connects; } cases[] = {
		{ 0, false, false, "4.4.1 ", 1 },
		{ 0, false, true, "4.4.1 nobody answered there 10 s ago", 1 },
		{ 0, true, false, "4.4.1 ", 2 },
		{ 4 * MINUTE, false, true, "4.4.1 nobody answered there 250 s ago", 2 },
		{ MINUTE, false, true, "2.0.0", 3 },
		{ 0, false, false, "4.4.1 ", 4 },       /* it was there a moment ago */
	};
	struct house h;

	(void)state;
	open_house(&h, MX_DEAD);
	for (size_t i = 0; i < COUNT(cases); i++) {
		run_for(cases[i].later);
		w.raised = cases[i].raised;
		if (cases[i].asked)
			link_send(h.queue, FRAME_TRY_ALL, NONE, -1);
		assert_case(slice_starts(deliver(&h, false), slice(cases[i].status)), i, "status");
		assert_case(w.connects == cases[i].connects, i, "connects");
	}
	close_house(&h);
}

/* In clear text is one host asked, whose TLS broke, and no other: also when he cannot be asked any more. */
static void
the_next_host_gets_tls_again(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, "a.test MX 10 mx.a.test\na.test MX 20 mx2.a.test\nmx.a.test A 192.0.2.1\n"
	    "mx2.a.test A 192.0.2.2\n");
	w.mute = "HANDSHAKE", w.mute_below = 1, w.barred = 2;
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));
	assert_string_equal(w.tried, " 1 1 2");
	assert_slice(h.result.tls, "TLSv1.3");
	close_house(&h);
}

#define MX_FIVE "a.test MX 10 mx1.a.test\na.test MX 20 mx2.a.test\na.test MX 30 mx3.a.test\n" \
    "a.test MX 40 mx4.a.test\na.test MX 50 mx5.a.test\nmx1.a.test A 192.0.2.11\nmx2.a.test A 192.0.2.12\n" \
    "mx3.a.test A 192.0.2.13\nmx4.a.test A 192.0.2.14\nmx5.a.test A 192.0.2.15\n"
#define MX_EVEN "a.test MX 10 mx1.a.test\na.test MX 10 mx2.a.test\na.test MX 10 mx3.a.test\n" \
    "a.test MX 10 mx4.a.test\na.test MX 10 mx5.a.test\nmx1.a.test A 192.0.2.11\nmx2.a.test A 192.0.2.12\n" \
    "mx3.a.test A 192.0.2.13\nmx4.a.test A 192.0.2.14\nmx5.a.test A 192.0.2.15\n"
#define MX_TWELVE "a.test MX 10 mx1.a.test\na.test MX 20 mx2.a.test\n" \
    "mx1.a.test A 192.0.2.11\nmx1.a.test A 192.0.2.12\nmx1.a.test A 192.0.2.13\nmx1.a.test A 192.0.2.14\n" \
    "mx1.a.test A 192.0.2.15\nmx1.a.test A 192.0.2.16\nmx2.a.test A 192.0.2.17\nmx2.a.test A 192.0.2.18\n" \
    "mx2.a.test A 192.0.2.19\nmx2.a.test A 192.0.2.20\nmx2.a.test A 192.0.2.21\nmx2.a.test A 192.0.2.22\n"

/* Each row is an attempt: whom it tries, for how long, and what becomes of the message. */
struct attempted {
	const char *zone, *greeting, *mute;     /* NULL: a new house; none; nothing */
	unsigned    mute_below;
	int64_t     slow;                       /* between attempts there are ten minutes */
	const char *tried, *status;
	int64_t     least, most;                /* minutes */
	bool        cut;
};

static const struct attempted attempts[] = {
	/* Hosts that hang after the greeting: the next attempt begins where this one stopped … */
	{ MX_FIVE, NULL, "EHLO", 14, 0, " 11 12", "4.4.2 the server did not answer in time", 10, 11, true },
	{ NULL, NULL, "EHLO", 14, 0, " 13 14", "4.4.2", 10, 11, true },
	{ NULL, NULL, "EHLO", 14, 0, " 15", "2.0.0 taken", 0, 1, false },
	{ NULL, NULL, NULL, 0, 0, " 11", "2.0.0 taken", 0, 1, false },          /* … and then as ever */
	{ MX_FIVE, NULL, "GREETING", 12, 0, " 11 12", "4.4.2", 10, 11, true },
	{ MX_FIVE, NULL, "MAIL", 11, 0, " 11 12", "2.0.0 taken", 5, 6, false },
	{ MX_FIVE, NULL, "RCPT", 11, 0, " 11 12", "2.0.0 taken", 5, 6, false },
	{ MX_FIVE, NULL, "DATA", 11, 0, " 11 12", "2.0.0 taken", 2, 3, false },
	{ MX_FIVE, NULL, ".", 15, 0, " 11", "4.4.2", 10, 11, false },           /* it may have arrived (A21.10) */
	/* Those who have other reasons. */
	{ MX_FIVE, "421 4.3.2 not now\r\n", NULL, 0, 0, " 11 12 13", "4.3.2 not now", 0, 1, true },
	{ NULL, "421 4.3.2 not now\r\n", NULL, 0, 0, " 14 15 11", "4.3.2 not now", 0, 1, true },
	{ MX_FIVE, "554 5.3.2 no mail\r\n", NULL, 0, 0, " 11 12 13 14 15", "5.3.2 no mail", 0, 1, false },
	{ MX_TWELVE, "554 5.3.2 no mail\r\n", NULL, 0, 0, " 11 12 13 14 15 16 17 18 19 20",
	    "4.3.2 no mail", 0, 1, true },                                      /* two may yet take it */
	{ NULL, NULL, NULL, 0, 0, " 21", "2.0.0 taken", 0, 1, false },
	/* Slow, but working: it has the minutes of RFC 5321 4.5.3.2, all of them together have an end. */
	{ MX_FIVE, NULL, NULL, 0, 110 * SECOND, " 11", "2.0.0 taken", 11, 12, false },
	{ MX_FIVE, NULL, NULL, 0, 290 * SECOND, " 11", "4.4.2 the server took too long before the text", 20, 21, true },
	/* A host that hangs is left alone by the next message. */
	{ MX_A, NULL, "EHLO", 9, 0, " 1", "4.4.2 the server did not answer in time", 5, 6, false },
};

static void
an_attempt_has_an_end(void **state)
{
	struct house h;
	bool open = false;

	(void)state;
	for (size_t i = 0; i < COUNT(attempts); i++) {
		const struct attempted *t = &attempts[i];
		int64_t begun;

		if (t->zone != NULL) {
			if (open)
				close_house(&h);
			open_house(&h, t->zone);
			open = true;
		}
		run_for(10 * MINUTE);
		w.greeting = t->greeting, w.mute = t->mute, w.mute_below = t->mute_below, w.slow = t->slow;
		w.tried[0] = '\0';
		tls_server_free(w.shown);
		w.shown = NULL;
		begun = w.clock.now;
		hand_over(&h, false);
		assert_in_range(w.clock.now - begun, t->least * MINUTE, t->most * MINUTE);
		assert_case(slice_starts(status_text(&h), slice(t->status)), i, status_text(&h).p);
		assert_case(strcmp(w.tried, t->tried) == 0, i, w.tried);
		assert_case((memmem(h.result.story.p, h.result.story.n, "not-tried left=", 15) != NULL) == t->cut, i, "cut");
	}
	w.mute = NULL;
	assert_true(slice_starts(deliver(&h, false), S("4.4.1 nobody answered there")));
	assert_non_null(memmem(h.result.story.p, h.result.story.n, "not-tried mx=mx.a.test why=", 27));
	close_house(&h);
}

/* Equal hosts stand in an order drawn by lot, but in the same one until all had their turn. */
static void
equal_hosts_have_their_turn_too(void **state)
{
	static const char order[] = " 11 12 13 14 15";
	struct house h;

	(void)state;
	for (int round = 0; round < 5; round++) {
		w.tried[0] = '\0';
		w.mute = "EHLO", w.mute_below = 15;
		open_house(&h, MX_EVEN);
		for (int i = 0; i < 3; i++) {
			hand_over(&h, false);
			run_for(10 * MINUTE);
		}
		assert_int_equal(strlen(w.tried), strlen(order) + 3);   /* and the first of them once more */
		for (const char *one = order; *one != '\0'; one += 3)
			assert_non_null(memmem(w.tried, strlen(w.tried), one, 3));
		close_house(&h);
	}
}

/* It is as good as one that broke: counted, named, and without a policy the mail goes in clear (F6.6). */
static void
a_handshake_that_hangs_has_failed(void **state)
{
	static const struct { const char *at, *words; int64_t after; } cases[] = {
		{ "HANDSHAKE", "nothing came for 60 s", MINUTE }, { "STARTTLS", "nothing came for 120 s", 2 * MINUTE },
	};
	struct house h;
	int64_t begun;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		w.mute = cases[i].at, w.mute_below = 255, w.response = SERVED("mx.a.test");
		for (int strict = 0; strict < 2; strict++) {
			open_house(&h, strict ? MX_A STS_A : MX_A);
			begun = w.clock.now;
			hand_over(&h, false);
			assert_in_range(w.clock.now - begun, cases[i].after, cases[i].after + 10 * SECOND);
			assert_case(slice_starts(status_text(&h), slice(strict
			    ? "4.7.5 MTA-STS: mx.a.test fails in the TLS handshake (" : "2.0.0")), i, status_text(&h).p);
			assert_int_equal(h.session_count, 1);
			assert_int_equal(h.sessions[0].result, TLSRPT_VALIDATION_FAILURE);
			assert_slice(h.sessions[0].reason, "tls-handshake-failed");
			assert_int_equal(h.sessions[0].label.type, strict ? TLSRPT_STS : TLSRPT_NO_POLICY_FOUND);
			assert_non_null(memmem(h.result.story.p, h.result.story.n, "tls-failed", 10));
			assert_non_null(memmem(h.result.story.p, h.result.story.n, cases[i].words, strlen(cases[i].words)));
			close_house(&h);
		}
	}
}

static void
a_session_without_a_policy_is_counted(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, MX_A);
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));
	assert_int_equal(h.session_count, 1);
	assert_int_equal(h.sessions[0].label.type, TLSRPT_NO_POLICY_FOUND);
	assert_int_equal(h.sessions[0].result, TLSRPT_SUCCESS);
	assert_slice(h.sessions[0].label.domain, "a.test");
	assert_slice(h.sessions[0].mx, "mx.a.test");
	assert_slice(h.sessions[0].helo, "mx.a.test");
	assert_true(ip_loopback(h.sessions[0].from));
	assert_true(slice_starts(deliver(&h, true), S("2.0.0")));       /* our own report: RFC 8460 3 */
	assert_int_equal(h.session_count, 0);
	assert_int_equal(w.taken, 2);
	close_house(&h);
}

static void
an_enforced_policy_is_fetched_kept_and_obeyed(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, MX_A STS_A);
	w.response = SERVED("mx.a.test");
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));
	assert_slice(h.result.policy, "sts-enforce");
	assert_slice(h.result.trust, "verified");
	assert_true(h.kept.n > 0 && w.requests == 1);
	assert_int_equal(h.sessions[0].label.type, TLSRPT_STS);
	assert_int_equal(h.sessions[0].label.string_count, 4);
	show(&self);                                            /* now the host cannot prove itself … */
	assert_true(slice_starts(deliver(&h, false), S("4.7.5 MTA-STS: the certificate of mx.a.test")));
	assert_int_equal(w.taken, 1);
	assert_int_equal(h.sessions[h.session_count - 1].label.type, TLSRPT_STS);
	close_house(&h);
}

/* RFC 8461 5: the publisher moved and forgot the id; before anybody gives up the policy is read again. */
static void
a_policy_that_refuses_everybody_is_read_again(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, MX_A STS_A);
	w.response = SERVED("old.a.test");
	assert_true(slice_starts(deliver(&h, false), S("4.7.5 MTA-STS: the policy of a.test")));
	assert_int_equal(w.requests, 1);                        /* it was fetched a moment ago: not again */
	assert_int_equal(h.sessions[0].result, TLSRPT_VALIDATION_FAILURE);
	run_for(10 * MINUTE);
	w.response = SERVED("mx.a.test");
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));
	assert_int_equal(w.requests, 2);
	close_house(&h);
}

static void
a_policy_that_cannot_be_fetched_is_told(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, MX_A STS_A);
	w.response = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));     /* F1.9: as if there was none */
	assert_int_equal(h.session_count, 2);
	assert_int_equal(h.sessions[0].result, TLSRPT_STS_POLICY_FETCH_ERROR);
	assert_int_equal(h.sessions[0].label.type, TLSRPT_STS);
	assert_slice(h.sessions[0].reason, "HTTP status 404");
	assert_int_equal(h.sessions[1].label.type, TLSRPT_NO_POLICY_FOUND);
	close_house(&h);
}

static void
without_starttls_an_enforced_policy_refuses(void **state)
{
	struct house h;
	struct sts_entry e = { .known = true, .id = S("1"), .fetched = TLSPAIR_NOW, .tried = TLSPAIR_NOW,
	    .tried_id = S("1"), .used = TLSPAIR_NOW, .expires = TLSPAIR_NOW + DAY };
	struct buf packed = BUF(STS_ENTRY_MOST);

	(void)state;
	open_house(&h, MX_A);                                   /* the record has vanished: F1.9 */
	assert_true(sts_policy_parse(&e.policy, S(POLICY("mx.a.test")), w.arena, NULL));
	sts_entry_pack(&e, &packed);
	h.entry = buf_slice(&packed);
	tls_server_free(w.shown);
	w.shown = NULL;
	assert_true(slice_starts(deliver(&h, false), S("4.7.5 MTA-STS: mx.a.test offers no STARTTLS")));
	assert_int_equal(h.sessions[0].result, TLSRPT_STARTTLS_NOT_SUPPORTED);
	assert_true(slice_starts(deliver(&h, true), S("2.0.0")));       /* TLS-Required: No (RFC 8689 4.2.2) */
	buf_free(&packed);
	close_house(&h);
}

static void
a_refresh_without_mail_is_made(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, MX_A STS_A);
	w.response = SERVED("mx.a.test");
	link_send(h.queue, FRAME_STS_REFRESH, S("a.test"), -1);
	for (int i = 0; i < 50 && h.kept.n == 0; i++)
		run_for(100);
	assert_true(h.kept.n > 0 && w.requests == 1);
	link_send(h.queue, FRAME_STS_REFRESH, S("a.test"), -1); /* a good one a moment ago is no hindrance */
	run_for(5 * SECOND);
	assert_int_equal(w.requests, 2);
	link_send(h.queue, FRAME_STS_FORGET, S("a.test"), -1);
	link_send(h.queue, FRAME_STS_REFRESH, S("nothing.test"), -1);
	run_for(SECOND);
	assert_int_equal(w.requests, 2);                        /* no record, no discovery */
	close_house(&h);
}

/* A policy host at an address that only we can reach is none (sts/reach.h); mail goes all the same. */
static void
a_policy_host_leads_nowhere_near_us(void **state)
{
	struct house h;

	(void)state;
	open_house(&h, MX_A "_mta-sts.a.test TXT \"v=STSv1; id=1\"\nmta-sts.a.test A 169.254.169.254\n"
	    "mta-sts.a.test A 10.0.0.1\nmta-sts.a.test AAAA ::ffff:0.0.0.0\nmta-sts.a.test AAAA fd00::1\n");
	w.response = SERVED("mx.other.test");
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));
	assert_int_equal(w.requests, 0);
	assert_int_equal(h.sessions[0].result, TLSRPT_STS_POLICY_FETCH_ERROR);
	close_house(&h);
}

/* Whoever writes to many domains makes no memory grow without end. */
static void
not_every_domain_is_remembered(void **state)
{
	struct house h;
	char domain[32];

	(void)state;
	open_house(&h, MX_A STS_A);
	for (int i = 0; i < POLICIES_MOST + 300; i++) {
		snprintf(domain, sizeof domain, "d%d.test", i);
		link_send(h.queue, FRAME_STS_REFRESH, slice(domain), -1);
		if (i % 100 == 0)
			run_for(10);
	}
	run_for(SECOND);
	assert_int_equal(policies_count(h.delivery->policies), POLICIES_MOST);
	w.response = SERVED("mx.a.test");                       /* and those that came later still work */
	assert_true(slice_starts(deliver(&h, false), S("2.0.0")));
	assert_slice(h.result.policy, "sts-enforce");
	close_house(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sessions_are_resumed_under_the_same_proof_only, setup, teardown),
		cmocka_unit_test_setup_teardown(what_proved_nothing_is_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(sessions_have_a_ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(policy_files_over_https, setup, teardown),
		cmocka_unit_test_setup_teardown(policy_hosts_prove_their_name_by_the_san, setup, teardown),
		cmocka_unit_test_setup_teardown(uris_to_report_to, setup, teardown),
		cmocka_unit_test_setup_teardown(reports_are_posted, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_drained_stays_until_a_result_is_written_down, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_for_a_queue_that_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_text_gets_no_dot, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_that_refuses_is_told_of, setup, teardown),
		cmocka_unit_test_setup_teardown(a_host_that_does_not_answer_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(an_attempt_has_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_hosts_have_their_turn_too, setup, teardown),
		cmocka_unit_test_setup_teardown(the_next_host_gets_tls_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_handshake_that_hangs_has_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_without_a_policy_is_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(an_enforced_policy_is_fetched_kept_and_obeyed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_that_refuses_everybody_is_read_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_that_cannot_be_fetched_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(without_starttls_an_enforced_policy_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refresh_without_mail_is_made, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_host_leads_nowhere_near_us, setup, teardown),
		cmocka_unit_test_setup_teardown(not_every_domain_is_remembered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
