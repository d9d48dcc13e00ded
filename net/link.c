/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/pack.h"
#include "net/link.h"

enum { HEAD = 8, FDS_WAITING_MOST = 64 };

/* A descriptor goes with the byte of the stream at which its frame begins. */
struct passenger {
	uint64_t at;
	int      fd;
};

struct link {
	struct loop            *loop;
	const struct link_user *user;
	void                   *arg;
	int                     fd;
	struct event            readable, writable;
	struct later            flush, gone, free, low;
	bool                    deaf;           /* the other side hears nothing any more */
	size_t                  low_mark;
	void                  (*on_low)(void *arg);     /* NULL: nobody waits for it */
	void                   *low_arg;
	struct buf              in, out;
	uint64_t                sent;           /* bytes that have left in all */
	struct passenger        leaving[FDS_WAITING_MOST];
	size_t                  leaving_n;
	int                     arrived[FDS_WAITING_MOST];
	size_t                  arrived_n;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

void
link_pair(int ends[2])
{
	int size = 1 << 20;

	bug_if(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == -1);
	for (int i = 0; i < 2; i++)
		setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

struct link *
link_new(struct loop *loop, int fd, const struct link_user *user, void *arg)
{
	struct link *k = must_alloc(sizeof *k);

	k->loop = loop;
	k->user = user;
	k->arg = arg;
	k->fd = fd;
	k->in = BUF(2 * LINK_FRAME_MOST);
	k->out = BUF(LINK_UNSENT_MOST);
	event_assign(&k->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, k);
	event_assign(&k->writable, loop->base, fd, EV_WRITE, on_writable, k);
	event_add(&k->readable, NULL);
	return k;
}

static void
free_link(void *arg)
{
	struct link *k = arg;

	buf_free(&k->in);
	buf_free(&k->out);
	free(k);
}

void
link_end(struct link *k)
{
	if (k == NULL || k->fd == -1)
		return;
	event_del(&k->readable);
	event_del(&k->writable);
	later_cancel(k->loop, &k->flush);
	later_cancel(k->loop, &k->gone);
	later_cancel(k->loop, &k->low);
	close(k->fd);
	k->fd = -1;
	for (size_t i = 0; i < k->leaving_n; i++)
		close(k->leaving[i].fd);
	for (size_t i = 0; i < k->arrived_n; i++)
		if (k->arrived[i] != -1)
			close(k->arrived[i]);
	loop_later(k->loop, &k->free, free_link, k);
}

int
link_fd(const struct link *k)
{
	return k->fd;
}

static void
tell_gone(void *arg)
{
	struct link *k = arg;

	k->user->closed(k->arg);
}

static void
gone(struct link *k)
{
	event_del(&k->readable);
	event_del(&k->writable);
	loop_later(k->loop, &k->gone, tell_gone, k);
}

/* --- sending ----------------------------------------------------------------- */

/* Send up to the next passenger, or the bytes with which he travels. */
static ssize_t
send_some(struct link *k, struct slice bytes)
{
	union {
		struct cmsghdr head;
		char           space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { (void *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (k->leaving_n > 0 && k->leaving[0].at > k->sent) {
		if (k->leaving[0].at - k->sent < part.iov_len)
			part.iov_len = (size_t)(k->leaving[0].at - k->sent);
	} else if (k->leaving_n > 0) {
		if (k->leaving_n > 1 && k->leaving[1].at - k->sent < part.iov_len)
			part.iov_len = (size_t)(k->leaving[1].at - k->sent);
		message.msg_control = control.space;
		message.msg_controllen = sizeof control.space;
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &k->leaving[0].fd, sizeof(int));
	}
	return sendmsg(k->fd, &message, MSG_NOSIGNAL);
}

static void
passenger_left(struct link *k)
{
	close(k->leaving[0].fd);
	k->leaving_n--;
	memmove(k->leaving, k->leaving + 1, k->leaving_n * sizeof *k->leaving);
}

static void
tell_low(void *arg)
{
	struct link *k = arg;
	void (*call)(void *) = k->on_low;

	k->on_low = NULL;
	call(k->low_arg);
}

static void
look_how_low(struct link *k)
{
	if (k->on_low != NULL && k->out.n <= k->low_mark)
		loop_later(k->loop, &k->low, tell_low, k);
}

/* Who has gone may have said something before: reading brings that, and then tells that he is gone. */
static void
cannot_send(struct link *k)
{
	if (errno == EAGAIN)
		event_add(&k->writable, NULL);
	else if (errno == EPIPE || errno == ECONNRESET)
		k->deaf = true;
	else
		gone(k);
}

/* False when the socket takes no more for now, or for ever. */
static bool
send_all(struct link *k)
{
	size_t done = 0;
	bool ok = true;

	while (ok && done < k->out.n) {
		bool with_fd = k->leaving_n > 0 && k->leaving[0].at == k->sent;
		ssize_t n = send_some(k, slice_skip(buf_slice(&k->out), done));

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			ok = false;
			cannot_send(k);
			break;
		}
		if (with_fd)
			passenger_left(k);
		k->sent += (uint64_t)n;
		done += (size_t)n;
	}
	if (done == k->out.n)
		buf_free(&k->out);
	else
		buf_drop(&k->out, done);
	look_how_low(k);
	return ok;
}

static void
flush_later(void *arg)
{
	((struct link *)arg)->loop->spoke = true;
	send_all(arg);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;

	(void)fd;
	(void)what;
	loop_happened(k->loop);
	send_all(k);
}

void
link_send(struct link *k, unsigned kind, struct slice payload, int fd)
{
	bug_if(payload.n > LINK_FRAME_MOST || kind > UINT16_MAX);
	if (k->fd == -1 || k->deaf) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (fd != -1) {
		bug_if(k->leaving_n == FDS_WAITING_MOST && !send_all(k) &&
		    k->leaving_n == FDS_WAITING_MOST);
		k->leaving[k->leaving_n++] = (struct passenger){ k->sent + k->out.n, fd };
	}
	pack_u32(&k->out, (uint32_t)payload.n);
	pack_u16(&k->out, (uint16_t)kind);
	pack_u16(&k->out, fd != -1);
	buf_add(&k->out, payload);
	bug_if(k->out.full);            /* a role that does not read for 256 MiB is no role */
	loop_later(k->loop, &k->flush, flush_later, k);
}

size_t
link_unsent(const struct link *k)
{
	return k->out.n;
}

void
link_when_low(struct link *k, size_t unsent, void (*call)(void *), void *arg)
{
	k->low_mark = unsent;
	k->on_low = call;
	k->low_arg = arg;
	if (k->fd != -1)
		look_how_low(k);
}

bool
link_flush(struct link *k, int patience_ms)
{
	while (k->fd != -1 && k->out.n > 0 && !send_all(k) && errno == EAGAIN) {
		struct pollfd wait = { k->fd, POLLOUT, 0 };

		if (poll(&wait, 1, patience_ms) == 0)
			return false;
	}
	return k->out.n == 0;
}

/* --- receiving --------------------------------------------------------------- */

static void
keep_descriptor(struct link *k, int fd)
{
	if (k->arrived_n < FDS_WAITING_MOST)
		k->arrived[k->arrived_n++] = fd;
	else if (fd != -1)
		close(fd);
}

/*
 * One that the kernel could not give us (EMFILE) leaves its place empty, or the
 * next frame's would be taken for it.  A call brings at most one.
 */
static void
keep_descriptors(struct link *k, struct msghdr *message)
{
	if ((message->msg_flags & MSG_CTRUNC) != 0 && CMSG_FIRSTHDR(message) == NULL)
		keep_descriptor(k, -1);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			keep_descriptor(k, fd);
		}
	}
}

static int
take_descriptor(struct link *k)
{
	int fd;

	if (k->arrived_n == 0)
		return -1;
	fd = k->arrived[0];
	k->arrived_n--;
	memmove(k->arrived, k->arrived + 1, k->arrived_n * sizeof *k->arrived);
	return fd;
}

/* Hand over one frame; false when there is none, or the link is over. */
static bool
deliver(struct link *k, size_t *at)
{
	struct unpack u = { .left = slice_skip(buf_slice(&k->in), *at) };
	uint32_t length = unpack_u32(&u);
	uint16_t kind = unpack_u16(&u), has_fd = unpack_u16(&u);

	if (u.bad)
		return false;
	if (length > LINK_FRAME_MOST) {
		gone(k);
		return false;
	}
	if (u.left.n < length)
		return false;
	*at += HEAD + length;
	k->user->frame(k->arg, kind, slice_head(u.left, length), has_fd ? take_descriptor(k) : -1);
	return k->fd != -1;
}

static void
deliver_all(struct link *k)
{
	size_t at = 0;

	while (deliver(k, &at))
		continue;
	if (k->fd == -1)
		return;
	buf_drop(&k->in, at);
	if (k->in.n == 0 && k->in.room > 2 * LINK_READ)
		buf_free(&k->in);
}

/* One piece; false: nothing more is there. */
static bool
receive(struct link *k)
{
	char control[CMSG_SPACE(FDS_WAITING_MOST * sizeof(int))];
	char *room = buf_room(&k->in, LINK_READ);
	struct iovec part = { room, LINK_READ };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
	    .msg_controllen = sizeof control };
	ssize_t n;

	bug_if(room == NULL);           /* deliver_all() leaves less than a frame */
	n = recvmsg(k->fd, &message, MSG_CMSG_CLOEXEC);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR;
	if (n <= 0) {
		gone(k);
		return false;
	}
	keep_descriptors(k, &message);
	k->in.n += (size_t)n;
	deliver_all(k);
	return true;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;

	(void)fd;
	(void)what;
	loop_happened(k->loop);
	receive(k);
}

void
link_take_all(struct link *k)
{
	while (k->fd != -1 && !k->gone.waiting && receive(k))
		continue;
}
