/* SPDX-License-Identifier: ISC */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/sink.h"

enum { INPUT = 64 << 10 };

struct door {
	struct watcher watcher;
	int            fd;
};

struct guest {
	struct watcher watcher;
	int            fd;
	bool           in_text;
	size_t         have;
	char           input[INPUT];
};

static struct door door;
static int poller;
static void (*got_message)(void);

static void
answer(struct guest *g, const char *line)
{
	size_t n = strlen(line);

	if (write(g->fd, line, n) != (ssize_t)n)
		abort();                        /* a few octets always fit */
}

static void
end_guest(struct guest *g)
{
	close(g->fd);
	free(g);
}

/* False: the guest has gone. */
static bool
take_command(struct guest *g, const char *line)
{
	if (strncasecmp(line, "DATA", 4) == 0) {
		g->in_text = true;
		answer(g, "354 go on\r\n");
	} else if (strncasecmp(line, "EHLO", 4) == 0) {
		answer(g, "250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		answer(g, "221 bye\r\n");
		end_guest(g);
		return false;
	} else {
		answer(g, "250 ok\r\n");
	}
	return true;
}

/* What of the text can go; the last octets stay, the end may be cut there. */
static size_t
pass_text(struct guest *g)
{
	static const char end[] = "\r\n.\r\n";
	const char *at = memmem(g->input, g->have, end, sizeof end - 1);

	if (at == NULL)
		return g->have < sizeof end ? 0 : g->have - sizeof end;
	got_message();
	g->in_text = false;
	answer(g, "250 2.0.0 taken\r\n");
	return (size_t)(at - g->input) + sizeof end - 1;
}

static bool
take_some(struct guest *g, size_t *used)
{
	const char *end = memchr(g->input, '\n', g->have);

	if (g->in_text) {
		*used = pass_text(g);
		return true;
	}
	*used = end == NULL ? 0 : (size_t)(end - g->input) + 1;
	return end == NULL || take_command(g, g->input);
}

static void
hear(struct watcher *w, uint32_t events)
{
	struct guest *g = (struct guest *)w;
	ssize_t n = read(g->fd, g->input + g->have, INPUT - g->have);
	size_t used;

	(void)events;
	if (n <= 0) {
		end_guest(g);
		return;
	}
	g->have += (size_t)n;
	do {
		if (!take_some(g, &used))
			return;
		g->have -= used;
		memmove(g->input, g->input + used, g->have);
	} while (used > 0);
}

static void
let_in(struct watcher *w, uint32_t events)
{
	struct guest *g = calloc(1, sizeof *g);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = g };
	int on = 1;

	(void)w;
	(void)events;
	g->watcher.ready = hear;
	g->fd = accept4(door.fd, NULL, NULL, SOCK_CLOEXEC);
	if (g->fd == -1) {
		free(g);
		return;
	}
	setsockopt(g->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	epoll_ctl(poller, EPOLL_CTL_ADD, g->fd, &e);
	answer(g, "220 sink.bench.test ESMTP\r\n");
}

bool
sink_open(int in_poller, int port, void (*got)(void))
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = &door };
	int on = 1;

	poller = in_poller;
	got_message = got;
	door.watcher.ready = let_in;
	door.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(door.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return bind(door.fd, (void *)&here, sizeof here) == 0 && listen(door.fd, 128) == 0 &&
	    epoll_ctl(poller, EPOLL_CTL_ADD, door.fd, &e) == 0;
}
