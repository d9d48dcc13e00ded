/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "net/listener.h"

enum { REST_MS = 100, ACCEPTS_A_TURN = 16 };

struct listener {
	struct loop *loop;
	int          fd;
	struct event readable;
	struct timer rest;
	void       (*accepted)(void *arg, int fd, struct peer from);
	void        *arg;
};

static void
rested(void *arg)
{
	struct listener *l = arg;

	event_add(&l->readable, NULL);
}

static void
on_connection(evutil_socket_t listening, short what, void *arg)
{
	struct listener *l = arg;

	(void)listening;
	(void)what;
	loop_happened(l->loop);
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage from = { 0 };
		socklen_t size = sizeof from;
		int on = 1, fd;

		fd = accept4(l->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
				event_del(&l->readable);
				timer_set(l->loop, &l->rest, REST_MS, rested, l);
			}
			return;
		}
		if (from.ss_family == AF_INET || from.ss_family == AF_INET6)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		l->accepted(l->arg, fd, peer_of_sockaddr(&from));
	}
}

struct listener *
listener_new(struct loop *loop, int fd, void (*accepted)(void *, int, struct peer), void *arg)
{
	struct listener *l = must_alloc(sizeof *l);

	*l = (struct listener){ .loop = loop, .fd = fd, .accepted = accepted, .arg = arg };
	event_assign(&l->readable, loop->base, fd, EV_READ | EV_PERSIST, on_connection, l);
	event_add(&l->readable, NULL);
	return l;
}

void
listener_end(struct listener *l)
{
	if (l == NULL)
		return;
	event_del(&l->readable);
	timer_clear(l->loop, &l->rest);
	close(l->fd);
	free(l);
}
