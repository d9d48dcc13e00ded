/* SPDX-License-Identifier: ISC */
/*
 * The lab's DNS server over true sockets, asked by libunbound as its forwarder
 * and by hand.
 *
 *     t_lab_dns serve DIRECTORY [ADDRESS:PORT]
 *
 * is for tests/system/test_lab_dns.py: it says where it answers and what our own
 * resolver thinks of each name, and serves until its standard input ends.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/file.h"
#include "dns/resolve.h"
#include "lab/answer.h"
#include "lab/dns_server.h"
#include "lab_world.h"
#include "net/stream.h"

static struct loop loop;
static struct clock clock_;
static struct arena *arena;
static struct dns_server *server;
static struct peer address = { .ip = { { 127, 0, 0, 1 }, 4 } };

static int
setup(void **state)
{
	struct error why = { 0 };

	(void)state;
	clock_ = (struct clock){ 0 };
	loop_begin(&loop, &clock_);
	arena = arena_new(4 << 20);
	server = dns_server_new(&loop, address, zones, &why);
	if (server == NULL)
		fail_msg("%s", why.text);
	return 0;
}

static int
setup_virtual(void **state)
{
	int code = setup(state);

	clock_ = clock_virtual(NOW);
	return code;
}

static int
teardown(void **state)
{
	(void)state;
	dns_server_free(server);
	arena_free(arena);
	loop_end(&loop);
	return 0;
}

static void stop(void *unused) { (void)unused; loop_stop(&loop); }

/* --- libunbound as its peer ----------------------------------------------------------- */

/* A resolver that has none of the zones, only an anchor and the server's address. */
static struct resolver *
new_resolver(int64_t at)
{
	struct resolver_options o = { .timeout = 5000 };
	struct buf text = BUF(10000);
	struct error why = { 0 };
	struct resolver *r;
	char path[200], peer[IP_TEXT];

	ip_text(dns_server_at(server).ip, peer);
	buf_printf(&text, "server:\n unblock-lan-zones: yes\n do-not-query-localhost: no\n"
	    " local-zone: \"test.\" nodefault\n local-zone: \"invalid.\" nodefault\n"
	    " local-zone: \"127.in-addr.arpa.\" nodefault\n"
	    "forward-zone:\n name: \".\"\n forward-addr: %s@%u\n", peer, dns_server_at(server).port);
	snprintf(path, sizeof path, "%s/forward.conf", directory);
	assert_true(file_replace(path, buf_slice(&text), 0600, &why));
	zones_resolver(zones, at, &o);
	o.config = path;
	r = resolver_new(&loop, &o, &why);
	if (r == NULL)
		fail_msg("%s", why.text);
	buf_free(&text);
	return r;
}

static const struct fact *
look_up(struct resolver *r, const char *name, uint16_t type)
{
	struct inquiry inq;
	const struct fact *f;

	inquiry_begin(&inq, r, arena);
	if ((f = fact(&inq.facts, slice(name), type)) == NULL) {
		inquiry_ask(&inq, stop, NULL);
		loop_run(&loop);
		f = fact(&inq.facts, slice(name), type);
	}
	assert_non_null(f);
	inquiry_end(&inq);
	return f;
}

static void
a_validator_agrees_on_every_name(void **state)
{
	struct resolver *r = new_resolver(NOW);

	(void)state;
	for (size_t i = 0; i < COUNT(world_cases); i++) {
		const struct expected *c = &world_cases[i];
		const struct fact *f;

		arena_reset(arena);
		f = look_up(r, c->name, c->type);
		if (f->answer != c->answer || f->security != c->security)
			print_error("%s %s: %s, %s: %.*s\n", c->name, rr_name(c->type),
			    answer_name(f->answer), security_name(f->security), FMT(f->why));
		assert_case(f->answer == c->answer && f->security == c->security, i, c->name);
		if (c->canonical != NULL)
			assert_slice(f->canonical, c->canonical);
	}
	arena_reset(arena);
	assert_int_equal(look_up(r, "long.secure.test", RR_TXT)->records[0].data.n, LONG_TEXT);
	resolver_free(r);
}

static void
changes_are_served_at_once(void **state)
{
	struct resolver *r;

	(void)state;
	r = new_resolver(NOW);
	assert_int_equal(look_up(r, "new.secure.test", RR_A)->answer, NXDOMAIN);
	resolver_free(r);
	assert_true(zones_add_text(zones, S("new.secure.test"), RR_A, S("127.0.42.99"), NULL));
	assert_true(zones_domain(zones, S("insecure.test"), ZONE_SECURE, ZONE_NSEC, NULL));
	assert_true(zones_publish(zones, NULL));
	r = new_resolver(NOW);
	assert_int_equal(look_up(r, "new.secure.test", RR_A)->security, SECURE);
	assert_int_equal(look_up(r, "insecure.test", RR_MX)->security, SECURE);
	resolver_free(r);
	zones_remove(zones, S("new.secure.test"), RR_A);
	assert_true(zones_domain(zones, S("insecure.test"), ZONE_INSECURE, ZONE_NSEC, NULL));
	assert_true(zones_publish(zones, NULL));
	r = new_resolver(NOW);
	assert_int_equal(look_up(r, "new.secure.test", RR_A)->answer, NXDOMAIN);
	assert_int_equal(look_up(r, "insecure.test", RR_MX)->security, INSECURE);
	resolver_free(r);
}

/* --- by hand ------------------------------------------------------------------------------ */

/* A question without EDNS that wants to know whether the answer is secure. */
static struct slice
question(const char *name, uint16_t type, struct buf *packet)
{
	buf_clear(packet);
	buf_add(packet, S("\x12\x34\1\x20\0\1\0\0\0\0\0\0"));
	assert_true(name_to_wire(slice(name), packet));
	buf_byte(packet, '\0');
	buf_byte(packet, (char)type);
	buf_add(packet, S("\0\1"));
	return buf_slice(packet);
}

static int
udp_client(void)
{
	struct peer there = dns_server_at(server);
	socklen_t size;
	struct sockaddr_storage to = peer_sockaddr(&there, &size);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	bug_if(fd == -1 || connect(fd, (struct sockaddr *)&to, size) == -1);
	return fd;
}

/* rcode, how many answers, TC, AD; or -1 when nothing comes. */
struct reply { int rcode, answers; bool cut, authentic; };

static struct reply
ask_once(int fd, const char *name, uint16_t type, int patience)
{
	struct buf packet = BUF(1000);
	struct slice q = question(name, type, &packet);
	struct pollfd answer = { fd, POLLIN, 0 };
	unsigned char in[65535];
	ssize_t n;

	assert_int_equal(send(fd, q.p, q.n, 0), q.n);
	do
		loop_run_until(&loop, clock_.now);
	while ((n = recv(fd, in, sizeof in, 0)) == -1 && patience-- > 0 && poll(&answer, 1, 10) != -1);
	buf_free(&packet);
	if (n < DNS_HEADER)
		return (struct reply){ .rcode = -1 };
	assert_true(n <= DNS_UDP_LEAST);
	return (struct reply){ in[3] & 15, in[6] << 8 | in[7], in[2] & 2, in[3] & 0x20 };
}

/* The kernel's thread for packets may be late: an answer is waited for, a minute. */
static struct reply
ask_udp(int fd, const char *name, uint16_t type)
{
	return ask_once(fd, name, type, 6000);
}

static void
datagrams_by_hand(void **state)
{
	int fd = udp_client();
	struct reply r;

	(void)state;
	r = ask_udp(fd, "mx.secure.test", RR_A);
	assert_true(r.rcode == 0 && r.answers == 1 && !r.cut);
	r = ask_udp(fd, "alias.secure.test", RR_A);
	assert_true(r.rcode == 0 && r.answers == 3);
	r = ask_udp(fd, "long.secure.test", RR_TXT);
	assert_true(r.rcode == 0 && r.answers == 0 && r.cut);
	r = ask_udp(fd, "mx.bogus.test", RR_A);
	assert_int_equal(r.rcode, 2);
	assert_int_equal(send(fd, "\x12\x34\x80", 3, 0), 3);    /* no question: no answer */
	loop_run_until(&loop, clock_.now);
	assert_int_equal(recv(fd, &r, sizeof r, 0), -1);
	close(fd);
}

/* RFC 6840 5.8: the server says by itself what a validator would find out. */
static void
flags_tell_what_is_secure(void **state)
{
	int fd = udp_client();

	(void)state;
	for (size_t i = 0; i < COUNT(world_cases); i++) {
		const struct expected *c = &world_cases[i];
		struct reply r;

		if (*c->name == '\0')
			continue;
		r = ask_udp(fd, c->name, c->type);
		assert_case((r.rcode == 2) == (c->security == BOGUS), i, c->name);
		assert_case((r.rcode == 3) == (c->answer == NXDOMAIN), i, c->name);
		assert_case(r.authentic == (c->security == SECURE), i, c->name);
	}
	close(fd);
}

static void
faults_are_for_everybody(void **state)
{
	int fd = udp_client();

	(void)state;
	zones_fault(zones, S("mx.secure.test"), RR_A, DNS_SERVFAIL);
	zones_fault(zones, S("mx.secure.test"), RR_AAAA, DNS_SILENCE);
	assert_int_equal(ask_udp(fd, "mx.secure.test", RR_A).rcode, 2);
	assert_int_equal(ask_once(fd, "mx.secure.test", RR_AAAA, 1).rcode, -1);
	assert_int_equal(ask_udp(fd, "mx.secure.test", RR_MX).rcode, 0);
	zones_fault(zones, S("mx.secure.test"), RR_A, DNS_NO_FAULT);
	zones_fault(zones, S("mx.secure.test"), RR_AAAA, DNS_NO_FAULT);
	assert_int_equal(ask_udp(fd, "mx.secure.test", RR_A).answers, 1);
	assert_int_equal(ask_udp(fd, "mx.secure.test", RR_AAAA).answers, 1);
	close(fd);
}

/* --- TCP ------------------------------------------------------------------------------------- */

struct client {
	struct stream *stream;
	size_t         got;
	bool           closed;
};

static void
client_input(void *arg)
{
	struct client *c = arg;
	struct slice in = stream_input(c->stream);

	c->got += in.n;
	stream_take(c->stream, in.n);
}

static void
client_closed(void *arg, const struct error *why)
{
	struct client *c = arg;

	(void)why;
	c->closed = true;
	stream_end(c->stream);
	c->stream = NULL;
}

static void client_connected(void *arg) { (void)arg; }

static const struct stream_user CLIENT = { client_connected, client_input, NULL, NULL, client_closed };

static void
dial(struct client *c)
{
	*c = (struct client){ 0 };
	c->stream = stream_connect(&loop, dns_server_at(server), NULL, &CLIENT, c, NULL);
	assert_non_null(c->stream);
}

static void
ask_tcp(struct client *c, const char *name, uint16_t type, int times)
{
	struct buf packet = BUF(1000), all = BUF(1 << 20);
	struct slice q = question(name, type, &packet);

	while (times-- > 0) {
		buf_byte(&all, '\0');
		buf_byte(&all, (char)q.n);
		buf_add(&all, q);
	}
	stream_write(c->stream, buf_slice(&all));
	loop_run_until(&loop, clock_.now);
	buf_free(&packet);
	buf_free(&all);
}

/* RFC 7766 6.2.1.1 and 8: many questions at once, and one in many pieces. */
static void
questions_over_tcp(void **state)
{
	struct client c;
	struct buf packet = BUF(1000);
	struct slice q = question("mx.secure.test", RR_A, &packet);
	const size_t one = 2 + q.n + 16;

	(void)state;
	dial(&c);
	ask_tcp(&c, "mx.secure.test", RR_A, 1);
	assert_int_equal(c.got, one);
	ask_tcp(&c, "mx.secure.test", RR_A, 100);
	assert_int_equal(c.got, 101 * one);
	stream_write(c.stream, slice_of("\0", 1));
	loop_run_until(&loop, clock_.now);
	stream_write(c.stream, slice_of(&(char){ (char)q.n }, 1));
	for (size_t i = 0; i < q.n; i++) {
		assert_int_equal(c.got, 101 * one);
		stream_write(c.stream, slice_of(q.p + i, 1));
		loop_run_until(&loop, clock_.now);
	}
	assert_int_equal(c.got, 102 * one);
	stream_end(c.stream);
	loop_run_until(&loop, clock_.now);
	buf_free(&packet);
}

/* Answers of 30 KB to questions of 34 bytes: no more is gathered than can leave. */
static void
long_answers_do_not_pile_up(void **state)
{
	struct client c;

	(void)state;
	dial(&c);
	stream_pause(c.stream);
	ask_tcp(&c, "long.secure.test", RR_TXT, 800);
	assert_int_equal(c.got, 0);
	stream_resume(c.stream);
	for (int i = 0; i < 1000 && c.got < (size_t)800 * LONG_TEXT; i++)
		loop_run_until(&loop, clock_.now);
	assert_true(c.got > (size_t)800 * LONG_TEXT && !c.closed);
	stream_end(c.stream);
	loop_run_until(&loop, clock_.now);
}

static void
who_says_nothing_or_too_much_is_cut_off(void **state)
{
	struct client silent, busy, large;

	(void)state;
	dial(&silent);
	dial(&busy);
	dial(&large);
	loop_run_until(&loop, NOW + 6000);
	ask_tcp(&busy, "mx.secure.test", RR_A, 1);
	stream_write(large.stream, S("\xff\xff"));
	loop_run_until(&loop, NOW + 9999);
	assert_true(large.closed);
	assert_false(silent.closed);
	loop_run_until(&loop, NOW + 10000);
	assert_true(silent.closed);
	loop_run_until(&loop, NOW + 15999);
	assert_false(busy.closed);
	loop_run_until(&loop, NOW + 16000);
	assert_true(busy.closed);
}

/* Of 70 the 6 that have been silent the longest go, and all others are heard. */
static void
connections_have_a_ceiling(void **state)
{
	struct client clients[70];
	size_t closed = 0, answered = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(clients); i++) {
		dial(&clients[i]);
		loop_run_until(&loop, clock_.now + 1);
		if (i == 1)
			ask_tcp(&clients[0], "mx.secure.test", RR_A, 1);
	}
	for (size_t i = 0; i < COUNT(clients); i++) {
		if (clients[i].closed)
			closed++;
		else if (i > 0)
			ask_tcp(&clients[i], "mx.secure.test", RR_A, 1);
		answered += clients[i].got > 0;
	}
	assert_int_equal(closed, 6);
	assert_true(clients[1].closed && !clients[COUNT(clients) - 1].closed);
	assert_int_equal(answered, 64 + clients[0].closed);
	for (size_t i = 0; i < COUNT(clients); i++)
		if (!clients[i].closed)
			stream_end(clients[i].stream);
	loop_run_until(&loop, clock_.now);
}

static void
a_server_that_cannot_be(void **state)
{
	struct error why = { 0 };
	struct zones *unpublished = new_zones("unpublished", &why);
	struct peer taken = dns_server_at(server), any = { .port = 0 };
	char text[PEER_TEXT];

	(void)state;
	assert_null(dns_server_new(&loop, taken, zones, &why));
	peer_text(&taken, text);
	assert_non_null(strstr(why.text, text));
	assert_non_null(strstr(why.text, "in use"));
	assert_null(dns_server_new(&loop, any, zones, &why));
	assert_non_null(strstr(why.text, "not *"));
	assert_null(dns_server_new(&loop, address, unpublished, &why));
	assert_string_equal(why.text, "the zones are not published");
	zones_free(unpublished);
}

/* --- for the system test --------------------------------------------------------------------- */

static void
on_stdin(evutil_socket_t fd, short what, void *arg)
{
	char c;

	(void)what, (void)arg;
	if (read(fd, &c, 1) <= 0)
		loop_stop(&loop);
}

/* What our own resolver, with the zones in memory, thinks. */
static void
print_verdicts(void)
{
	struct resolver_options o = { .timeout = 5000 };
	struct resolver *r;

	zones_resolver(zones, NOW, &o);
	bug_if((r = resolver_new(&loop, &o, NULL)) == NULL);
	for (size_t i = 0; i < COUNT(world_cases); i++) {
		const struct expected *c = &world_cases[i];
		const struct fact *f;

		if (*c->name == '\0')
			continue;
		arena_reset(arena);
		f = look_up(r, c->name, c->type);
		printf("verdict %s %s %s %s\n", c->name, rr_name(c->type), answer_name(f->answer),
		    security_name(f->security));
	}
	resolver_free(r);
}

static int
serve(const char *where)
{
	struct event ending;
	struct peer there;
	char text[PEER_TEXT];

	snprintf(directory, sizeof directory, "%s", where);
	zones = new_world("world");
	setup(NULL);
	there = dns_server_at(server);
	peer_text(&there, text);
	printf("at %s\nanchor %s/world/anchor\n", text, directory);
	print_verdicts();
	printf("ready\n");
	fflush(stdout);
	event_assign(&ending, loop.base, 0, EV_READ | EV_PERSIST, on_stdin, NULL);
	event_add(&ending, NULL);
	loop_run(&loop);
	event_del(&ending);
	teardown(NULL);
	zones_free(zones);
	return 0;
}

int
main(int argc, char **argv)
{
#define BY_CLOCK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define VIRTUAL(test)  cmocka_unit_test_setup_teardown(test, setup_virtual, teardown)
	const struct CMUnitTest tests[] = {
		BY_CLOCK(a_validator_agrees_on_every_name),
		BY_CLOCK(changes_are_served_at_once),
		VIRTUAL(datagrams_by_hand),
		VIRTUAL(flags_tell_what_is_secure),
		VIRTUAL(faults_are_for_everybody),
		VIRTUAL(questions_over_tcp),
		VIRTUAL(long_answers_do_not_pile_up),
		VIRTUAL(who_says_nothing_or_too_much_is_cut_off),
		VIRTUAL(connections_have_a_ceiling),
		BY_CLOCK(a_server_that_cannot_be),
	};

	if (signer() == NULL)
		return 0;
	if (argc >= 3 && strcmp(argv[1], "serve") == 0 &&
	    (argc == 3 || peer_parse(slice(argv[3]), &address)))
		return serve(argv[2]);
	return cmocka_run_group_tests(tests, begin, end);
}
