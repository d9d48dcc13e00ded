/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "lab/answer.h"
#include "lab/dns_server.h"
#include "net/listener.h"
#include "net/stream.h"

enum {
	CONNECTIONS_MOST = 64, IDLE_MS = 10000, DATAGRAMS_A_TURN = 64, TRIES_MOST = 16,
	QUESTION_MOST = 4096, UNSENT_MOST = 256 << 10, WORLD_BYTES = 1 << 30,
};

struct connection {
	struct connection *next, **back;
	struct dns_server *server;
	struct stream     *stream;
	struct timer       idle;
};

struct dns_server {
	struct loop       *loop;
	struct zones      *zones;
	struct peer        at;
	int                udp;
	struct event       readable;
	struct listener   *listener;
	struct connection *connections;
	unsigned           connection_count;
	struct buf         answer;
	void             (*asked)(void *arg, struct slice name, uint16_t type);  /* or NULL */
	void              *asked_arg;
	/* The world as it was read last. */
	uint64_t           generation;
	struct arena      *arena;
	struct dns_zone   *read;
	struct dns_world  *world;       /* NULL: what is published cannot be read */
};

/* --- the world ---------------------------------------------------------------------- */

static void
forget_world(struct dns_server *s)
{
	dns_world_free(s->world);
	arena_free(s->arena);
	free(s->read);
	s->world = NULL;
	s->arena = NULL;
	s->read = NULL;
}

static bool
read_world(struct dns_server *s, struct error *why)
{
	const struct published_zone *zones;
	size_t n = zones_published(s->zones, &zones);
	struct error line = { 0 };

	forget_world(s);
	s->generation = zones_generation(s->zones);
	if (n == 0)
		return error_set(why, "the zones are not published");
	s->arena = arena_new(WORLD_BYTES);
	s->read = must_alloc(n * sizeof *s->read);
	for (size_t i = 0; i < n; i++) {
		s->read[i].chain = zones[i].chain;
		if (!records_read(zones[i].name, zones[i].text, s->arena, &s->read[i].records, &line))
			return error_set(why, "%.*s.signed:%s", FMT(zones[i].name), line.text);
	}
	s->world = dns_world_new(s->read, n);
	return true;
}

/* --- one question ------------------------------------------------------------------------ */

static enum dns_fault
hear(const struct dns_server *s, const struct dns_question *q)
{
	char text[NAME_WIRE];
	struct slice name = dns_question_name(q, text);

	if (name.p == NULL)
		return DNS_NO_FAULT;
	if (s->asked != NULL)
		s->asked(s->asked_arg, name, q->type);
	return zones_fault_for(s->zones, name, q->type);
}

/* Into s->answer; false when there is none. `most` 0: as the question says. */
static bool
answer(struct dns_server *s, struct slice packet, size_t most)
{
	struct dns_question q;
	enum dns_fault fault;

	buf_clear(&s->answer);
	if (!dns_question_read(packet, &q))
		return false;
	if (zones_generation(s->zones) != s->generation)
		read_world(s, NULL);
	if ((fault = hear(s, &q)) == DNS_SILENCE)
		return false;
	if (most == 0)
		most = q.udp_size < DNS_UDP_MOST ? q.udp_size : DNS_UDP_MOST;
	if (fault == DNS_SERVFAIL || s->world == NULL)
		dns_refuse(&q, DNS_SERVER_FAILURE, &s->answer);
	else
		dns_answer(s->world, &q, most, &s->answer);
	return true;
}

/* --- UDP ------------------------------------------------------------------------------------ */

static void
on_datagrams(evutil_socket_t fd, short what, void *arg)
{
	struct dns_server *s = arg;
	struct sockaddr_storage from;

	(void)what;
	loop_happened(s->loop);
	for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
		socklen_t size = sizeof from;
		ssize_t n = recvfrom(fd, s->loop->scratch, LOOP_SCRATCH, 0, (struct sockaddr *)&from,
		    &size);

		if (n == -1)
			return;
		/* An answer that cannot leave now is lost, as datagrams are. */
		if (answer(s, slice_of(s->loop->scratch, (size_t)n), 0))
			(void)!sendto(fd, s->answer.p, s->answer.n, 0, (struct sockaddr *)&from, size);
	}
}

/* --- TCP (RFC 7766) --------------------------------------------------------------------------- */

static void
end_connection(struct connection *c)
{
	struct dns_server *s = c->server;

	stream_end(c->stream);
	timer_clear(s->loop, &c->idle);
	if ((*c->back = c->next) != NULL)
		c->next->back = c->back;
	s->connection_count--;
	free(c);
}

static void idle(void *arg) { end_connection(arg); }

static void
closed(void *arg, const struct error *why)
{
	(void)why;
	end_connection(arg);
}

static void
send_answer(struct connection *c)
{
	const struct buf *b = &c->server->answer;
	const char size[2] = { (char)(b->n >> 8), (char)b->n };

	stream_write(c->stream, slice_of(size, 2));
	stream_write(c->stream, buf_slice(b));
}

/* Each question with its length in front; the rest waits while too much is unsent. */
static void
take_questions(void *arg)
{
	struct connection *c = arg;
	struct slice in = stream_input(c->stream);
	size_t taken = 0;

	while (in.n >= 2 && stream_unwritten(c->stream) < UNSENT_MOST) {
		size_t size = (size_t)(unsigned char)in.p[0] << 8 | (unsigned char)in.p[1];

		if (size > QUESTION_MOST) {
			end_connection(c);
			return;
		}
		if (in.n < 2 + size)
			break;
		if (answer(c->server, slice_of(in.p + 2, size), DNS_TCP_MOST))
			send_answer(c);
		in = slice_skip(in, 2 + size);
		taken += 2 + size;
	}
	if (taken > 0)
		timer_set(c->server->loop, &c->idle, IDLE_MS, idle, c);
	stream_take(c->stream, taken);
}

static const struct stream_user USER = {
	.input = take_questions, .drained = take_questions, .closed = closed,
};

/* RFC 7766 6.2.3: where there are too many the one that has been silent the longest has to go. */
static void
make_room(struct dns_server *s)
{
	struct connection *longest = s->connections;

	for (struct connection *c = longest; c != NULL; c = c->next)
		if (c->idle.entry.when < longest->idle.entry.when)
			longest = c;
	end_connection(longest);
}

static void
accepted(void *arg, int fd, struct peer from)
{
	struct dns_server *s = arg;
	struct connection *c = must_alloc(sizeof *c);

	(void)from;
	if (s->connection_count == CONNECTIONS_MOST)
		make_room(s);
	*c = (struct connection){ s->connections, &s->connections, s, .stream = NULL };
	if (c->next != NULL)
		c->next->back = &c->next;
	s->connections = c;
	c->stream = stream_new(s->loop, fd, &USER, c);
	timer_set(s->loop, &c->idle, IDLE_MS, idle, c);
	s->connection_count++;
}

/* --- the server --------------------------------------------------------------------------------- */

static int
udp_socket(const struct peer *at)
{
	socklen_t size;
	struct sockaddr_storage address = peer_sockaddr(at, &size);
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd != -1 && bind(fd, (const struct sockaddr *)&address, size) == -1) {
		int number = errno;

		close(fd);
		errno = number;
		return -1;
	}
	return fd;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof address;

	bug_if(getsockname(fd, (struct sockaddr *)&address, &size) == -1);
	return peer_of_sockaddr(&address).port;
}

/* One port for both; a free one of UDP's may be taken in TCP: then another. */
static bool
open_sockets(struct dns_server *s, int *tcp, struct error *why)
{
	char text[PEER_TEXT];
	uint16_t wanted = s->at.port;

	for (int i = 0; i < TRIES_MOST; i++) {
		s->at.port = wanted;
		if ((s->udp = udp_socket(&s->at)) == -1)
			break;
		s->at.port = port_of(s->udp);
		if ((*tcp = peer_listen(&s->at, why)) != -1)
			return true;
		close(s->udp);
		s->udp = -1;
		if (wanted != 0)
			return false;
	}
	peer_text(&s->at, text);
	return error_sys(why, "cannot answer questions on %s", text);
}

struct dns_server *
dns_server_new(struct loop *loop, struct peer at, struct zones *zones, struct error *why)
{
	struct dns_server *s = must_alloc(sizeof *s);
	int tcp;

	*s = (struct dns_server){ .loop = loop, .zones = zones, .at = at, .udp = -1,
		.answer = BUF(DNS_TCP_MOST) };
	if (at.ip.n == 0)               /* an answer must leave from the address that was asked */
		error_set(why, "a DNS server needs an address of its own, not *");
	if (at.ip.n == 0 || !read_world(s, why) || !open_sockets(s, &tcp, why)) {
		dns_server_free(s);
		return NULL;
	}
	event_assign(&s->readable, loop->base, s->udp, EV_READ | EV_PERSIST, on_datagrams, s);
	event_add(&s->readable, NULL);
	s->listener = listener_new(loop, tcp, accepted, s);
	return s;
}

void
dns_server_free(struct dns_server *s)
{
	if (s == NULL)
		return;
	while (s->connections != NULL)
		end_connection(s->connections);
	if (s->listener != NULL)
		event_del(&s->readable);
	listener_end(s->listener);
	if (s->udp != -1)
		close(s->udp);
	forget_world(s);
	buf_free(&s->answer);
	free(s);
}

struct peer
dns_server_at(const struct dns_server *s)
{
	return s->at;
}

void
dns_server_watch(struct dns_server *s, void (*asked)(void *, struct slice, uint16_t), void *arg)
{
	s->asked = asked;
	s->asked_arg = arg;
}
