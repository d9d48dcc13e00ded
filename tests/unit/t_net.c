/* SPDX-License-Identifier: ISC */
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bug.h"
#include "net/job.h"
#include "net/link.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tls.h"
#include "unit.h"

static struct loop loop;
static struct clock clock_;

static int
setup(void **state)
{
	(void)state;
	clock_ = clock_virtual(1000000);
	loop_begin(&loop, &clock_);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	loop_end(&loop);
	return 0;
}

/* --- loop ------------------------------------------------------------------- */

static struct buf story;

static void tell(void *arg) { buf_printf(&story, "%s@%lld ", (char *)arg, (long long)clock_.now); }

static void
a_virtual_clock_runs_timers_in_order(void **state)
{
	struct timer a = { 0 }, b = { 0 }, c = { 0 };
	struct later l = { 0 };

	(void)state;
	story = BUF(1000);
	timer_set(&loop, &a, 5 * DAY, tell, (void *)"a");
	timer_set(&loop, &b, 100, tell, (void *)"b");
	timer_set(&loop, &c, 100, tell, (void *)"c");
	loop_later(&loop, &l, tell, (void *)"l");
	loop_run_until(&loop, 1000000 + 6 * DAY);
	assert_slice(buf_slice(&story), "l@1000000 b@1000100 c@1000100 a@433000000 ");
	assert_true(clock_.now == 1000000 + 6 * DAY);
	buf_free(&story);
}

static struct timer again;

static void
tell_again(void *arg)
{
	tell(arg);
	timer_set_chore(&loop, &again, 10, tell_again, arg);
}

/* Time does not stop for a chore; it comes in passing, once, when the clock stops for something. */
static void
chores_come_in_passing(void **state)
{
	struct timer a = { 0 }, b = { 0 };

	(void)state;
	story = BUF(1000);
	timer_set_chore(&loop, &again, 10, tell_again, (void *)"chore");
	timer_set(&loop, &a, 1000, tell, (void *)"a");
	timer_set_chore(&loop, &b, 500, tell, (void *)"never");
	timer_clear(&loop, &b);
	loop_run_until(&loop, 1002000);
	assert_slice(buf_slice(&story), "chore@1001000 a@1001000 chore@1002000 ");
	timer_set(&loop, &again, 1, tell, (void *)"timer");    /* the same one, no chore any more */
	loop_run_until(&loop, 1003000);
	assert_slice(buf_slice(&story), "chore@1001000 a@1001000 chore@1002000 timer@1002001 ");
	buf_free(&story);
}

static void
a_later_can_be_taken_back(void **state)
{
	struct later a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	story = BUF(1000);
	loop_later(&loop, &a, tell, (void *)"a");
	loop_later(&loop, &b, tell, (void *)"b");
	loop_later(&loop, &c, tell, (void *)"c");
	later_cancel(&loop, &c);
	later_cancel(&loop, &a);
	loop_later(&loop, &a, tell, (void *)"a");
	loop_run_until(&loop, 1000000);
	assert_slice(buf_slice(&story), "b@1000000 a@1000000 ");
	buf_free(&story);
}

/* --- jobs -------------------------------------------------------------------- */

struct sum { int in, out; bool done; };

static void add_one(void *arg) { struct sum *s = arg; s->out = s->in + 1; }
static void note_done(void *arg) { ((struct sum *)arg)->done = true; }

static struct jobs *asked_again;

static void
ask_again(void *arg)
{
	job(asked_again, add_one, note_done, arg);
}

static void
jobs_run_with_and_without_threads(void **state)
{
	(void)state;
	for (unsigned threads = 0; threads < 3; threads++) {
		struct sum sums[50] = { { 0 } };
		struct jobs *js = jobs_start(&loop, threads);

		for (int i = 0; i < 50; i++) {
			sums[i].in = i;
			job(js, add_one, note_done, &sums[i]);
			assert_false(sums[i].done);     /* never inside the asking call */
		}
		loop_run_until(&loop, clock_.now);
		for (int i = 0; i < 50; i++)
			assert_true(sums[i].done && sums[i].out == i + 1);
		job(js, add_one, note_done, &sums[0]);
		asked_again = js;
		sums[1].done = false;
		job(js, add_one, ask_again, &sums[1]);
		jobs_stop(js);                          /* waits */
		assert_true(sums[0].done && sums[1].done);
		assert_int_equal(loop.in_flight, 0);
	}
}

static void take_long(void *unused) { (void)unused; poll(NULL, 0, 300); }

/* However long that takes: a virtual clock stands still while a thread is at work. */
static void
time_waits_for_a_job(void **state)
{
	struct jobs *js = jobs_start(&loop, 1);
	struct timer a = { 0 };

	(void)state;
	story = BUF(1000);
	timer_set(&loop, &a, 1000, tell, (void *)"a");
	job(js, take_long, tell, (void *)"job");
	loop_run_until(&loop, 1002000);
	assert_slice(buf_slice(&story), "job@1000000 a@1001000 ");
	jobs_stop(js);
	buf_free(&story);
}

/* --- links --------------------------------------------------------------------- */

struct end { struct link *link; struct buf got; bool closed; };

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct end *e = arg;

	buf_printf(&e->got, "%u:%zu", kind, payload.n);
	if (payload.n > 0 && payload.n < 10)
		buf_printf(&e->got, ":%.*s", FMT(payload));
	if (fd != -1) {
		char c = '?';

		assert_int_equal(read(fd, &c, 1), 1);
		buf_printf(&e->got, ":fd %c", c);
		close(fd);
	}
	buf_byte(&e->got, '|');
}

static void on_gone(void *arg) { ((struct end *)arg)->closed = true; }

static const struct link_user LINK_USER = { on_frame, on_gone };

static int
file_with(char c)
{
	int ends[2];

	bug_if(pipe(ends) == -1 || write(ends[1], &c, 1) != 1);
	close(ends[1]);
	return ends[0];
}

static void
frames_arrive_whole_in_order_with_their_descriptors(void **state)
{
	int fds[2];
	struct end a = { .got = BUF(100000) }, b = { .got = BUF(100000) };
	char *large = must_alloc(3 << 20);

	(void)state;
	link_pair(fds);
	a.link = link_new(&loop, fds[0], &LINK_USER, &a);
	b.link = link_new(&loop, fds[1], &LINK_USER, &b);
	link_send(a.link, 1, S("one"), -1);
	link_send(a.link, 2, S("two"), file_with('x'));
	link_send(a.link, 3, slice_of(large, 3 << 20), file_with('y'));
	link_send(a.link, 4, NONE, -1);
	link_send(a.link, 5, S("five"), file_with('z'));
	link_send(b.link, 6, S("back"), -1);
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "1:3:one|2:3:two:fd x|3:3145728:fd y|4:0|5:4:five:fd z|");
	assert_slice(buf_slice(&a.got), "6:4:back|");
	link_end(a.link);
	loop_run_until(&loop, clock_.now);
	assert_true(b.closed);
	link_end(b.link);
	buf_free(&a.got);
	buf_free(&b.got);
	free(large);
}

/* Sends on when it is told that there is room. */
struct pump {
	struct end end;
	char      *large;
	unsigned   sent;
	size_t     most_unsent;
};

static void
pump(void *arg)
{
	struct pump *p = arg;

	if (link_unsent(p->end.link) > p->most_unsent)
		p->most_unsent = link_unsent(p->end.link);
	if (p->sent++ < 5) {
		link_send(p->end.link, p->sent, slice_of(p->large, 1 << 20), -1);
		link_when_low(p->end.link, 1000, pump, p);
	}
}

static void
who_sends_much_waits_until_little_is_left(void **state)
{
	struct pump a = { .end.got = BUF(1000), .large = must_alloc(1 << 20) };
	struct end b = { .got = BUF(1000) };
	int fds[2];

	(void)state;
	link_pair(fds);
	a.end.link = link_new(&loop, fds[0], &LINK_USER, &a.end);
	b.link = link_new(&loop, fds[1], &LINK_USER, &b);
	link_when_low(a.end.link, 0, pump, &a);
	assert_int_equal(a.sent, 0);                    /* never inside the asking call */
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "1:1048576|2:1048576|3:1048576|4:1048576|5:1048576|");
	assert_int_equal(a.sent, 6);
	assert_in_range(a.most_unsent, 0, 1000);
	link_when_low(a.end.link, 0, pump, &a);
	link_end(a.end.link);                           /* and is told nothing any more */
	loop_run_until(&loop, clock_.now);
	assert_int_equal(a.sent, 6);
	link_end(b.link);
	buf_free(&a.end.got);
	buf_free(&b.got);
	free(a.large);
}

/* A process that ends takes what has arrived, without a turn of its loop. */
static void
what_has_arrived_is_taken_at_once(void **state)
{
	static char large[LINK_READ * 2 + 5];
	struct end a = { .got = BUF(1000) }, b = { .got = BUF(1000) };
	struct buf wanted = BUF(100);
	int fds[2];

	(void)state;
	link_pair(fds);
	a.link = link_new(&loop, fds[0], &LINK_USER, &a);
	b.link = link_new(&loop, fds[1], &LINK_USER, &b);
	link_take_all(b.link);
	assert_int_equal(b.got.n, 0);                   /* nothing is there, and nobody waits */
	link_send(a.link, 1, S("one"), -1);
	link_send(a.link, 2, slice_of(large, sizeof large), file_with('x'));
	assert_true(link_flush(a.link, 1000));
	link_end(a.link);
	link_take_all(b.link);
	buf_printf(&wanted, "1:3:one|2:%zu:fd x|", sizeof large);
	assert_true(slice_eq(buf_slice(&b.got), buf_slice(&wanted)));
	assert_false(b.closed);                         /* that is told by the loop */
	loop_run_until(&loop, clock_.now);
	assert_true(b.closed);
	link_end(b.link);
	buf_free(&a.got);
	buf_free(&b.got);
	buf_free(&wanted);
}

/* What somebody said before he went is heard, also by one who speaks to him meanwhile. */
static void
the_last_words_are_heard(void **state)
{
	struct end a = { .got = BUF(1000) }, b = { .got = BUF(1000) };
	int fds[2];

	(void)state;
	link_pair(fds);
	a.link = link_new(&loop, fds[0], &LINK_USER, &a);
	b.link = link_new(&loop, fds[1], &LINK_USER, &b);
	link_send(a.link, 1, S("one"), -1);
	link_send(a.link, 2, S("two"), file_with('x'));
	assert_true(link_flush(a.link, 1000));
	link_end(a.link);
	for (int i = 0; i < 100; i++)
		link_send(b.link, 3, S("are you there?"), i < 50 ? -1 : file_with('y'));
	assert_false(link_flush(b.link, 1000));
	link_send(b.link, 4, NONE, file_with('z'));
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "1:3:one|2:3:two:fd x|");
	assert_true(b.closed);
	link_end(b.link);
	buf_free(&a.got);
	buf_free(&b.got);
}

/* Who ends does not wait for one that reads no more, nor for one that is gone. */
static void
a_flush_has_an_end(void **state)
{
	struct end a = { .got = BUF(1000) };
	char *large = must_alloc(3 << 20);
	int fds[2];

	(void)state;
	link_pair(fds);
	a.link = link_new(&loop, fds[0], &LINK_USER, &a);
	link_send(a.link, 1, slice_of(large, 3 << 20), -1);
	assert_false(link_flush(a.link, 1));
	close(fds[1]);
	assert_false(link_flush(a.link, 1));
	link_end(a.link);
	buf_free(&a.got);
	free(large);
}

/* Whose descriptor is lost gets none, and nobody else's. */
static void
a_descriptor_that_finds_no_room_is_missing_where_it_belongs(void **state)
{
	int fds[2];
	struct end a = { .got = BUF(1000) }, b = { .got = BUF(1000) };
	struct rlimit before, none;
	struct buf wanted = BUF(100);
	char *large = must_alloc(LINK_READ + 9);

	(void)state;
	link_pair(fds);
	a.link = link_new(&loop, fds[0], &LINK_USER, &a);
	b.link = link_new(&loop, fds[1], &LINK_USER, &b);
	link_send(a.link, 1, slice_of(large, LINK_READ + 9), file_with('x'));
	link_send(a.link, 2, S("there"), file_with('y'));
	assert_true(link_flush(a.link, 1000));
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	event_base_loop(loop.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);      /* the front of the first */
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(b.got.n, 0);
	loop_run_until(&loop, clock_.now);
	buf_printf(&wanted, "1:%d|2:5:there:fd y|", LINK_READ + 9);
	assert_true(slice_eq(buf_slice(&b.got), buf_slice(&wanted)));
	link_end(a.link);
	link_end(b.link);
	buf_free(&a.got);
	buf_free(&b.got);
	buf_free(&wanted);
	free(large);
}

static void
a_frame_that_is_too_long_ends_the_link(void **state)
{
	int fds[2];
	struct end b = { .got = BUF(1000) };
	char rest[10];

	(void)state;
	link_pair(fds);
	b.link = link_new(&loop, fds[1], &LINK_USER, &b);
	assert_int_equal(write(fds[0], "\xff\xff\xff\x7f\1\0\0\0xxxx", 12), 12);
	link_take_all(b.link);
	assert_int_equal(write(fds[0], "xxxx", 4), 4);
	link_take_all(b.link);                          /* nobody hears that any more */
	assert_int_equal(recv(fds[1], rest, sizeof rest, MSG_PEEK), 4);
	loop_run_until(&loop, clock_.now);
	assert_true(b.closed);
	assert_int_equal(b.got.n, 0);
	link_end(b.link);
	close(fds[0]);
	buf_free(&b.got);
}

/* --- streams -------------------------------------------------------------------- */

/* One side: writes down what happens to it. */
struct side {
	struct stream *stream;
	struct buf     got;
	bool           connected, secured, closed, keep;
	const char    *greet;           /* said in one flight with the end of the handshake */
	struct slice   answer;          /* said to whatever comes first */
	bool           finish;          /* when something comes */
	struct error   why;
};

static void side_connected(void *arg) { ((struct side *)arg)->connected = true; }

static void
side_secured(void *arg)
{
	struct side *s = arg;

	s->secured = true;
	if (s->greet != NULL)
		SSL_write(stream_ssl(s->stream), s->greet, (int)strlen(s->greet));
}

static void
side_input(void *arg)
{
	struct side *s = arg;
	struct slice input = stream_input(s->stream);

	if (s->keep)
		return;
	buf_add(&s->got, input);
	stream_take(s->stream, input.n);
	if (s->answer.n > 0)
		stream_write(s->stream, s->answer);
	s->answer = NONE;
	if (s->finish) {
		stream_finish(s->stream);
		s->stream = NULL;
	}
}

static void
side_closed(void *arg, const struct error *why)
{
	struct side *s = arg;

	s->closed = true;
	s->why = *why;
	stream_end(s->stream);
	s->stream = NULL;
}

static const struct stream_user SIDE = { side_connected, side_input, NULL, side_secured, side_closed };

static void
pair(struct side *a, struct side *b)
{
	int fds[2];

	bug_if(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == -1);
	*a = (struct side){ .got = BUF(8 << 20) };
	*b = (struct side){ .got = BUF(8 << 20) };
	a->stream = stream_new(&loop, fds[0], &SIDE, a);
	b->stream = stream_new(&loop, fds[1], &SIDE, b);
}

static void
unpair(struct side *a, struct side *b)
{
	stream_end(a->stream);
	stream_end(b->stream);
	buf_free(&a->got);
	buf_free(&b->got);
	loop_run_until(&loop, clock_.now);
}

static void
bytes_go_both_ways_and_a_finish_loses_none(void **state)
{
	struct side a, b;
	char *large = must_alloc(3 << 20);

	(void)state;
	memset(large, 'x', 3 << 20);
	pair(&a, &b);
	stream_write(a.stream, S("hello"));
	stream_write(b.stream, slice_of(large, 3 << 20));
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "hello");
	assert_int_equal(a.got.n, 3 << 20);
	stream_write(a.stream, S(" and goodbye"));
	stream_finish(a.stream);
	a.stream = NULL;
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "hello and goodbye");
	assert_true(b.closed);
	assert_string_equal(b.why.text, "closed by the peer");
	unpair(&a, &b);
	free(large);
}

static void
what_is_not_taken_is_shown_again(void **state)
{
	struct side a, b;

	(void)state;
	pair(&a, &b);
	b.keep = true;
	stream_write(a.stream, S("one "));
	loop_run_until(&loop, clock_.now);
	stream_pause(b.stream);
	stream_write(a.stream, S("two"));
	loop_run_until(&loop, clock_.now);
	assert_slice(stream_input(b.stream), "one ");
	b.keep = false;
	stream_resume(b.stream);
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "one two");
	unpair(&a, &b);
}

/* Neither what nobody takes nor what nobody reads is kept without end. */
static void
both_ways_have_a_ceiling(void **state)
{
	struct side a, b;
	char *large = must_alloc(8 << 20);

	(void)state;
	pair(&a, &b);
	b.keep = true;
	stream_write(a.stream, slice_of(large, 4 << 20));
	loop_run_until(&loop, clock_.now);
	assert_true(b.closed);
	assert_string_equal(b.why.text, "more input than anybody takes");
	unpair(&a, &b);

	pair(&a, &b);
	stream_pause(b.stream);
	stream_write(a.stream, slice_of(large, 8 << 20));
	assert_false(a.closed);
	stream_write(a.stream, S("x"));
	assert_false(a.closed);                         /* never inside the asking call */
	loop_run_until(&loop, clock_.now);
	assert_true(a.closed);
	assert_string_equal(a.why.text, "the peer does not read what it is sent");
	unpair(&a, &b);
	free(large);
}

/* He read a part of it, said why he wants no more, and went. */
static void
who_goes_is_heard_before(void **state)
{
	struct side a, b;
	char *large = must_alloc(2 << 20);

	(void)state;
	pair(&a, &b);
	stream_pause(b.stream);
	stream_write(a.stream, slice_of(large, 2 << 20));
	loop_run_until(&loop, clock_.now);
	stream_write(b.stream, S("552 too much"));
	loop_run_until(&loop, clock_.now);
	assert_int_equal(a.got.n, 0);                   /* he has too much to say himself */
	stream_end(b.stream);
	b.stream = NULL;
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&a.got), "552 too much");
	assert_true(a.closed);
	unpair(&a, &b);
	free(large);
}

static void
a_finish_does_not_wait_for_ever(void **state)
{
	struct side a, b;

	(void)state;
	pair(&a, &b);
	stream_pause(b.stream);
	stream_write(a.stream, S("bye"));
	stream_finish(a.stream);
	a.stream = NULL;
	loop_run_until(&loop, clock_.now + 10 * SECOND);
	stream_resume(b.stream);
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "bye");
	unpair(&a, &b);
}

/* A certificate for mx.test, signed by itself, as PEM. */
static void
make_identity(struct buf *certificate, struct buf *key_pem)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:mx.test");
	char *p;
	long n;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_add_ext(x, san, -1);
	X509_sign(x, key, EVP_sha256());
	PEM_write_bio_X509(bio, x);
	n = BIO_get_mem_data(bio, &p);
	buf_add(certificate, slice_of(p, (size_t)n));
	BIO_reset(bio);
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(bio, &p);
	buf_add(key_pem, slice_of(p, (size_t)n));
	BIO_free(bio);
	X509_EXTENSION_free(san);
	X509_free(x);
	EVP_PKEY_free(key);
}

static struct tls_server *
make_server(void)
{
	struct buf certificate = BUF(10000), key = BUF(10000);
	struct error why = { 0 };
	struct tls_server *server;

	make_identity(&certificate, &key);
	server = tls_server_new(&(struct tls_identity){ buf_slice(&certificate), buf_slice(&key), "x" },
	    1, &why);
	buf_free(&certificate);
	buf_free(&key);
	assert_non_null(server);
	return server;
}

#define BROKEN "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"

/* One that cannot be read: of our own chain all of it must be there, of many roots the others are. */
static void
a_broken_certificate_is_told_or_passed_over(void **state)
{
	struct buf certificate = BUF(10000), key = BUF(10000), roots = BUF(20000);
	struct tls_identity id;
	struct error why = { 0 };
	SSL_CTX *client;

	(void)state;
	make_identity(&certificate, &key);
	buf_add(&roots, S(BROKEN));
	buf_add(&roots, buf_slice(&certificate));
	assert_non_null(client = tls_client_new(buf_slice(&roots), &why));
	SSL_CTX_free(client);
	assert_null(tls_client_new(S(BROKEN), &why));
	assert_string_equal(why.text, "roots: no certificate authority in the file");
	buf_add(&certificate, S(BROKEN));
	id = (struct tls_identity){ buf_slice(&certificate), buf_slice(&key), "x" };
	assert_null(tls_server_new(&id, 1, &why));
	assert_string_equal(why.text, "x: its certificates cannot be read: bad base64 decode");
	id.certificate = NONE;
	assert_null(tls_server_new(&id, 1, &why));
	assert_string_equal(why.text, "x: its certificates cannot be read: no start line");
	buf_free(&certificate);
	buf_free(&key);
	buf_free(&roots);
}

static void
tls_begins_in_the_middle_and_drops_what_came_in_the_clear(void **state)
{
	struct side a, b;
	struct tls_server *server = make_server();
	SSL_CTX *client = tls_client_new(NONE, NULL);
	char *large = must_alloc(2 << 20);

	(void)state;
	pair(&a, &b);
	b.keep = true;
	stream_write(a.stream, S("STARTTLS\r\nRSET\r\n"));      /* J3 13 */
	loop_run_until(&loop, clock_.now);
	b.keep = false;
	stream_write(b.stream, S("220 go\r\n"));
	stream_secure_server(b.stream, tls_server_context(server));
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&a.got), "220 go\r\n");
	stream_secure_client(a.stream, SSL_new(client));
	loop_run_until(&loop, clock_.now);
	assert_true(a.secured && b.secured);
	assert_true(stream_secure(a.stream));
	memset(large, 'y', 2 << 20);
	stream_write(a.stream, S("EHLO\r\n"));
	stream_write(b.stream, slice_of(large, 2 << 20));
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "EHLO\r\n");            /* no RSET */
	assert_int_equal(a.got.n, (2 << 20) + 8);
	stream_finish(a.stream);
	a.stream = NULL;
	loop_run_until(&loop, clock_.now);
	assert_true(b.closed);
	unpair(&a, &b);
	free(large);
	SSL_CTX_free(client);
	tls_server_free(server);
}

static void
secured_pair(struct side *a, struct side *b, struct tls_server *server, SSL_CTX *client)
{
	pair(a, b);
	stream_secure_server(b->stream, tls_server_context(server));
	stream_secure_client(a->stream, SSL_new(client));
	loop_run_until(&loop, clock_.now);
	assert_true(a->secured && b->secured);
}

/* A client that knows what it wants says it in one flight with the end of its handshake. */
static void
what_comes_along_with_the_handshake_is_seen(void **state)
{
	struct side a, b;
	struct tls_server *server = make_server();
	SSL_CTX *client = tls_client_new(NONE, NULL);

	(void)state;
	pair(&a, &b);
	stream_secure_server(b.stream, tls_server_context(server));
	stream_secure_client(a.stream, SSL_new(client));
	a.greet = "EHLO\r\n";
	loop_run_until(&loop, clock_.now);
	assert_true(a.secured && b.secured);
	assert_slice(buf_slice(&b.got), "EHLO\r\n");
	unpair(&a, &b);
	SSL_CTX_free(client);
	tls_server_free(server);
}

/* More has come than is read while much is unwritten: OpenSSL has it, and nobody turns in circles for it. */
static void
what_openssl_has_waits_until_what_was_written_has_left(void **state)
{
	struct side a, b;
	struct tls_server *server = make_server();
	SSL_CTX *client = tls_client_new(NONE, NULL);
	char *large = must_alloc(4 << 20);

	(void)state;
	secured_pair(&a, &b, server, client);
	a.answer = slice_of(large, 4 << 20);
	stream_pause(b.stream);
	assert_int_equal(SSL_write(stream_ssl(b.stream), "one ", 4), 4);
	assert_int_equal(SSL_write(stream_ssl(b.stream), "two", 3), 3);
	alarm(60);                                              /* or it would never come back */
	loop_run_until(&loop, clock_.now);
	alarm(0);
	assert_slice(buf_slice(&a.got), "one ");
	stream_resume(b.stream);
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&a.got), "one two");
	assert_int_equal(b.got.n, 4 << 20);
	unpair(&a, &b);
	free(large);
	SSL_CTX_free(client);
	tls_server_free(server);
}

/* Whoever said goodbye hears nothing more, whatever came along with what he answered. */
static void
a_goodbye_in_the_middle_is_the_last_word(void **state)
{
	struct side a, b;
	struct tls_server *server = make_server();
	SSL_CTX *client = tls_client_new(NONE, NULL);

	(void)state;
	secured_pair(&a, &b, server, client);
	b.answer = S("221 goodbye\r\n");
	b.finish = true;
	assert_int_equal(SSL_write(stream_ssl(a.stream), "QUIT\r\n", 6), 6);
	assert_int_equal(SSL_write(stream_ssl(a.stream), "NOOP\r\n", 6), 6);
	loop_run_until(&loop, clock_.now);
	assert_slice(buf_slice(&b.got), "QUIT\r\n");
	assert_slice(buf_slice(&a.got), "221 goodbye\r\n");
	assert_true(a.closed && !b.closed);
	unpair(&a, &b);
	SSL_CTX_free(client);
	tls_server_free(server);
}

static void
a_failed_handshake_says_why(void **state)
{
	struct side a, b;
	struct tls_server *server = make_server();
	SSL_CTX *client = tls_client_new(NONE, NULL);
	SSL *ssl = SSL_new(client);

	(void)state;
	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	pair(&a, &b);
	stream_secure_server(b.stream, tls_server_context(server));
	stream_secure_client(a.stream, ssl);
	loop_run_until(&loop, clock_.now);
	assert_true(a.closed && !a.secured);
	assert_string_equal(a.why.text, "TLS handshake failed: self-signed certificate");
	assert_true(b.closed);
	unpair(&a, &b);

	pair(&a, &b);                                           /* no TLS at all on the other side */
	stream_secure_client(a.stream, SSL_new(client));
	stream_write(b.stream, S("421 go away\r\n"));
	loop_run_until(&loop, clock_.now);
	assert_true(a.closed);
	assert_string_equal(a.why.text, "TLS handshake failed: wrong version number");
	unpair(&a, &b);
	SSL_CTX_free(client);
	tls_server_free(server);
}

/* --- listening and connecting -------------------------------------------------------- */

static struct side accepted_side;

static void
accepted(void *arg, int fd, struct peer from)
{
	(void)arg;
	assert_true(ip_loopback(from.ip));
	accepted_side = (struct side){ .got = BUF(1000) };
	accepted_side.stream = stream_new(&loop, fd, &SIDE, &accepted_side);
}

static void
a_connection_is_made_and_refused(void **state)
{
	struct peer at, there;
	struct error why = { 0 };
	struct side a = { .got = BUF(1000) };
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	char text[PEER_TEXT];
	struct listener *listener;
	int fd;

	(void)state;
	assert_true(peer_parse(S("127.0.0.1:0"), &at));
	fd = peer_listen(&at, &why);
	assert_true(fd != -1);
	getsockname(fd, (struct sockaddr *)&bound, &size);
	there = peer_of_sockaddr(&bound);
	peer_text(&there, text);
	listener = listener_new(&loop, fd, accepted, NULL);
	assert_int_equal(peer_listen(&there, &why), -1);
	assert_non_null(strstr(why.text, "cannot listen on 127.0.0.1:"));
	assert_non_null(strstr(why.text, "in use"));

	a.stream = stream_connect(&loop, there, NULL, &SIDE, &a, &why);
	stream_write(a.stream, S("hi"));
	loop_run_until(&loop, clock_.now);
	assert_true(a.connected);
	assert_slice(buf_slice(&accepted_side.got), "hi");
	stream_end(a.stream);
	stream_end(accepted_side.stream);
	listener_end(listener);

	a.stream = stream_connect(&loop, there, NULL, &SIDE, &a, &why);
	a.closed = false;
	loop_run_until(&loop, clock_.now);
	assert_true(a.closed);
	assert_string_equal(a.why.text, "cannot connect: Connection refused");
	loop_run_until(&loop, clock_.now);
	buf_free(&a.got);
	buf_free(&accepted_side.got);
}

/* Without a descriptor to spare it rests for a moment, and whoever waits outside comes in then. */
static void
a_listener_out_of_descriptors_rests(void **state)
{
	struct peer at, there;
	struct error why = { 0 };
	struct side a = { .got = BUF(1000) };
	struct sockaddr_storage bound;
	socklen_t size = sizeof bound;
	struct listener *listener;
	struct rlimit before, none;
	int fd;

	(void)state;
	assert_true(peer_parse(S("127.0.0.1:0"), &at));
	assert_true((fd = peer_listen(&at, &why)) != -1);
	getsockname(fd, (struct sockaddr *)&bound, &size);
	there = peer_of_sockaddr(&bound);
	listener = listener_new(&loop, fd, accepted, NULL);
	a.stream = stream_connect(&loop, there, NULL, &SIDE, &a, &why);
	accepted_side = (struct side){ .stream = NULL };
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	loop_run_until(&loop, clock_.now);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_null(accepted_side.stream);
	loop_run_until(&loop, clock_.now + 10);
	assert_null(accepted_side.stream);
	loop_run_until(&loop, clock_.now + 100);
	assert_non_null(accepted_side.stream);
	stream_end(a.stream);
	stream_end(accepted_side.stream);
	listener_end(listener);
	loop_run_until(&loop, clock_.now);
	buf_free(&a.got);
	buf_free(&accepted_side.got);
}

static void
peers_as_text(void **state)
{
	static const char *const good[] = { "127.0.0.1:25", "[2001:db8::1]:2525", "*:25", "unix:/run/x" };
	static const char *const bad[] = { "127.0.0.1", "::1:25", "[::1]", "127.0.0.1:65536", "unix:", "x:25", ":25" };

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct peer p;
		char text[PEER_TEXT];

		assert_case(peer_parse(slice(good[i]), &p), i, good[i]);
		peer_text(&p, text);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct peer p;

		assert_case(!peer_parse(slice(bad[i]), &p), i, bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_virtual_clock_runs_timers_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(chores_come_in_passing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_later_can_be_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(jobs_run_with_and_without_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(time_waits_for_a_job, setup, teardown),
		cmocka_unit_test_setup_teardown(frames_arrive_whole_in_order_with_their_descriptors,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(a_descriptor_that_finds_no_room_is_missing_where_it_belongs,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(who_sends_much_waits_until_little_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(what_has_arrived_is_taken_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(the_last_words_are_heard, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flush_has_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(a_frame_that_is_too_long_ends_the_link, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes_go_both_ways_and_a_finish_loses_none, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_taken_is_shown_again, setup, teardown),
		cmocka_unit_test_setup_teardown(both_ways_have_a_ceiling, setup, teardown),
		cmocka_unit_test_setup_teardown(who_goes_is_heard_before, setup, teardown),
		cmocka_unit_test_setup_teardown(a_finish_does_not_wait_for_ever, setup, teardown),
		cmocka_unit_test(a_broken_certificate_is_told_or_passed_over),
		cmocka_unit_test_setup_teardown(tls_begins_in_the_middle_and_drops_what_came_in_the_clear,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_along_with_the_handshake_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(what_openssl_has_waits_until_what_was_written_has_left, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(a_goodbye_in_the_middle_is_the_last_word, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_handshake_says_why, setup, teardown),
		cmocka_unit_test_setup_teardown(a_connection_is_made_and_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_listener_out_of_descriptors_rests, setup, teardown),
		cmocka_unit_test(peers_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
