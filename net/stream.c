/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bug.h"
#include "net/stream.h"

enum {
	IN_MOST = 1 << 20,              /* not yet taken; a user takes more than this at once */
	OUT_MOST = 8 << 20,             /* not yet written */
	OUT_HIGH = 256 << 10,           /* above it no more input is read */
	READS_A_TURN = 4,               /* then others have their turn */
	GOODBYE_MS = 2000,
};

enum phase { CONNECTING, CLEAR, HANDSHAKE, TLS, OVER };

struct stream {
	struct loop             *loop;
	const struct stream_user *user; /* NULL: finished or ended */
	void                    *arg;
	int                      fd;
	enum phase               phase;
	bool                     paused, reading, writing, finishing, shut;
	SSL                     *ssl;
	struct slice             view;  /* in the loop's scratch, during input() */
	struct buf               in, out;
	struct event             readable, writable;
	struct later             flush, again, fail, free;
	struct timer             goodbye;
	struct error             why;
};

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);
static void flush(void *arg);
static void again(void *arg);

/* --- beginning and ending -------------------------------------------------- */

static void
want_read(struct stream *s, bool want)
{
	if (want == s->reading)
		return;
	s->reading = want;
	if (want)
		event_add(&s->readable, NULL);
	else
		event_del(&s->readable);
}

static void
want_write(struct stream *s, bool want)
{
	if (want == s->writing)
		return;
	s->writing = want;
	if (want)
		event_add(&s->writable, NULL);
	else
		event_del(&s->writable);
}

struct stream *
stream_new(struct loop *loop, int fd, const struct stream_user *user, void *arg)
{
	struct stream *s = must_alloc(sizeof *s);

	s->loop = loop;
	s->user = user;
	s->arg = arg;
	s->fd = fd;
	s->phase = CLEAR;
	s->in = BUF(IN_MOST);
	s->out = BUF(OUT_MOST);
	event_assign(&s->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, s);
	event_assign(&s->writable, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, s);
	want_read(s, true);
	return s;
}

struct stream *
stream_connect(struct loop *loop, struct peer to, const struct ip *from,
    const struct stream_user *user, void *arg, struct error *why)
{
	struct stream *s;
	int fd;

	if (loop->map != NULL)
		loop->map(loop->map_arg, &to);
	if ((fd = peer_connect(&to, from, why)) == -1)
		return NULL;
	loop->spoke = true;
	s = stream_new(loop, fd, user, arg);
	s->phase = CONNECTING;
	want_read(s, false);
	want_write(s, true);
	return s;
}

static void
free_stream(void *arg)
{
	struct stream *s = arg;

	buf_free(&s->in);
	buf_free(&s->out);
	free(s);
}

/* The memory stays until the loop is back at its top: a caller may stand in it. */
void
stream_end(struct stream *s)
{
	if (s == NULL || s->fd == -1)
		return;
	s->user = NULL;
	s->phase = OVER;
	want_read(s, false);
	want_write(s, false);
	later_cancel(s->loop, &s->flush);
	later_cancel(s->loop, &s->again);
	later_cancel(s->loop, &s->fail);
	timer_clear(s->loop, &s->goodbye);
	SSL_free(s->ssl);
	s->ssl = NULL;
	close(s->fd);
	s->fd = -1;
	s->loop->spoke = true;
	loop_later(s->loop, &s->free, free_stream, s);
}

static void
tell_closed(void *arg)
{
	struct stream *s = arg;

	if (s->user != NULL)
		s->user->closed(s->arg, &s->why);
	else
		stream_end(s);
}

/* Never tells the user inside a call of his own. */
static void
over(struct stream *s)
{
	if (s->phase == OVER)
		return;
	s->phase = OVER;
	want_read(s, false);
	want_write(s, false);
	later_cancel(s->loop, &s->flush);
	later_cancel(s->loop, &s->again);
	loop_later(s->loop, &s->fail, tell_closed, s);
}

static void
over_sys(struct stream *s, const char *doing)
{
	if (errno == ECONNRESET || errno == EPIPE)
		error_set(&s->why, "the connection was reset");
	else
		error_sys(&s->why, "%s", doing);
	over(s);
}

/* --- TLS: one way to look at what OpenSSL said ----------------------------- */

enum tls_want { TLS_DONE, TLS_READ, TLS_WRITE, TLS_OVER };

static void
tls_reason(struct stream *s, const char *doing)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	long verify = SSL_get_verify_result(s->ssl);

	if (s->phase == HANDSHAKE && verify != X509_V_OK &&
	    SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE)
		error_set(&s->why, "%s: %s", doing, X509_verify_cert_error_string(verify));
	else
		error_set(&s->why, "%s: %s", doing, reason ? reason : "unknown TLS error");
}

static enum tls_want
tls_wants(struct stream *s, int result, const char *doing)
{
	int saved = errno;

	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_NONE:
		return TLS_DONE;
	case SSL_ERROR_WANT_READ:
		return TLS_READ;
	case SSL_ERROR_WANT_WRITE:
		return TLS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		error_set(&s->why, "closed by the peer");
		break;
	case SSL_ERROR_SYSCALL:
		if (saved == 0)
			error_set(&s->why, "%s: the peer closed without a word", doing);
		else if (saved == ECONNRESET || saved == EPIPE)
			error_set(&s->why, "%s: the connection was reset", doing);
		else
			errno = saved, error_sys(&s->why, "%s", doing);
		break;
	default:
		tls_reason(s, doing);
	}
	return TLS_OVER;
}

static void
before_tls_call(void)
{
	ERR_clear_error();
	errno = 0;
}

static void
handshake(struct stream *s)
{
	int result;

	before_tls_call();
	result = SSL_do_handshake(s->ssl);
	switch (result == 1 ? TLS_DONE : tls_wants(s, result, "TLS handshake failed")) {
	case TLS_READ:
		want_write(s, false);
		want_read(s, true);
		return;
	case TLS_WRITE:
		want_write(s, true);
		return;
	case TLS_OVER:
		over(s);
		return;
	default:
		s->phase = TLS;
		want_write(s, false);
		want_read(s, !s->paused);
		if (s->out.n > 0)
			loop_later(s->loop, &s->flush, flush, s);
		/* What came right behind the handshake is in OpenSSL's buffer already: no socket rings. */
		if (SSL_has_pending(s->ssl))
			loop_later(s->loop, &s->again, again, s);
		if (s->user != NULL)
			s->user->secured(s->arg);
	}
}

/* The handshake begins when all that was said in the clear has left. */
static void
begin_handshake(struct stream *s)
{
	SSL_set_mode(s->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	if (SSL_set_fd(s->ssl, s->fd) != 1) {
		tls_reason(s, "TLS handshake failed");
		over(s);
		return;
	}
	handshake(s);
}

static void
secure(struct stream *s, SSL *ssl)
{
	bug_if(s->ssl != NULL || s->user->secured == NULL);
	buf_free(&s->in);
	s->view = NONE;
	want_read(s, false);
	s->paused = false;
	if (s->phase == OVER || ssl == NULL) {
		SSL_free(ssl);
		if (s->phase != OVER)           /* else that has its reason already */
			error_set(&s->why, "TLS handshake failed: no memory");
		over(s);
		return;
	}
	s->ssl = ssl;
	s->phase = HANDSHAKE;
	loop_later(s->loop, &s->flush, flush, s);
}

void
stream_secure_server(struct stream *s, SSL_CTX *context)
{
	SSL *ssl = SSL_new(context);

	if (ssl != NULL)
		SSL_set_accept_state(ssl);
	secure(s, ssl);
}

void
stream_secure_client(struct stream *s, SSL *ssl)
{
	SSL_set_connect_state(ssl);
	secure(s, ssl);
}

/* --- reading ---------------------------------------------------------------- */

/* Show the user what there is; what he does not take is kept. */
static void
show(struct stream *s, struct slice fresh)
{
	if (s->in.n > 0) {
		if (!buf_add(&s->in, fresh)) {
			error_set(&s->why, "more input than anybody takes");
			over(s);
			return;
		}
		fresh = NONE;
	}
	s->view = fresh;
	s->user->input(s->arg);
	if (s->fd != -1 && s->view.n > 0)
		buf_add(&s->in, s->view);
	s->view = NONE;
	if (s->fd != -1 && s->in.n == 0)
		buf_free(&s->in);
}

/* Read some; false when there is nothing more for now. */
static bool
read_some(struct stream *s, size_t *n)
{
	ssize_t got;

	if (s->phase == TLS) {
		before_tls_call();
		int result = SSL_read_ex(s->ssl, s->loop->scratch, LOOP_SCRATCH, n);

		switch (result == 1 ? TLS_DONE : tls_wants(s, result, "TLS failed")) {
		case TLS_DONE:
			return true;
		case TLS_WRITE:
			want_write(s, true);
			return false;
		case TLS_OVER:
			over(s);
			return false;
		default:
			return false;
		}
	}
	got = recv(s->fd, s->loop->scratch, LOOP_SCRATCH, 0);
	if (got > 0) {
		*n = (size_t)got;
		return true;
	}
	if (got == 0)
		error_set(&s->why, "closed by the peer"), over(s);
	else if (errno != EAGAIN && errno != EINTR)
		over_sys(s, "cannot read");
	return false;
}

/* Nobody wants it; whoever goes on sending has his turns like others, until the goodbye is over. */
static void
drain_goodbye(struct stream *s)
{
	size_t n;

	for (int i = 0; i < READS_A_TURN && s->phase != OVER && read_some(s, &n); i++)
		continue;
}

static void
read_turn(struct stream *s)
{
	for (int i = 0; i < READS_A_TURN; i++) {
		size_t n;

		if (s->user == NULL || (s->phase != CLEAR && s->phase != TLS))
			return;                 /* the one before may have said goodbye */
		if (s->paused || s->out.n > OUT_HIGH) {
			want_read(s, false);
			return;
		}
		if (!read_some(s, &n))
			return;
		show(s, slice_of(s->loop->scratch, n));
		/* In the clear a short read says that the socket is empty. */
		if (s->fd == -1 || (s->phase == CLEAR && n < LOOP_SCRATCH))
			return;
	}
}

/*
 * What OpenSSL has read already rings at no socket.  Where too much is unwritten nothing
 * is read, and all_written() goes on: to come again meanwhile would be to turn in circles.
 */
static void
come_again(struct stream *s)
{
	if (s->fd != -1 && s->phase == TLS && s->reading && !s->paused && SSL_has_pending(s->ssl))
		loop_later(s->loop, &s->again, again, s);
}

static void
again(void *arg)
{
	struct stream *s = arg;

	if (s->user == NULL || s->paused || s->phase == OVER)
		return;
	if (s->in.n > 0)
		show(s, NONE);
	if (s->fd == -1 || s->paused || s->phase == OVER)
		return;
	read_turn(s);
	come_again(s);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	loop_happened(s->loop);
	if (s->phase == HANDSHAKE) {
		handshake(s);
	} else if (s->user == NULL) {
		drain_goodbye(s);
	} else {
		read_turn(s);
		come_again(s);
	}
}

struct slice
stream_input(const struct stream *s)
{
	return s->in.n > 0 ? buf_slice(&s->in) : s->view;
}

void
stream_take(struct stream *s, size_t n)
{
	if (s->in.n > 0) {
		buf_drop(&s->in, n);
		return;
	}
	bug_if(n > s->view.n);
	s->view = slice_skip(s->view, n);
}

void
stream_pause(struct stream *s)
{
	s->paused = true;               /* whoever sends nothing meanwhile costs no call of the kernel */
}

void
stream_resume(struct stream *s)
{
	if (!s->paused || s->phase == OVER)
		return;
	s->paused = false;
	if (s->phase != CLEAR && s->phase != TLS)
		return;
	want_read(s, true);             /* the loop tells again what the socket has */
	if (s->in.n > 0 || (s->phase == TLS && SSL_has_pending(s->ssl)))
		loop_later(s->loop, &s->again, again, s);
}

/* --- writing ----------------------------------------------------------------- */

void
stream_write(struct stream *s, struct slice bytes)
{
	if (s->phase == OVER)
		return;
	if (!buf_add(&s->out, bytes)) {
		error_set(&s->why, "the peer does not read what it is sent");
		over(s);
		return;
	}
	if (!s->writing)
		loop_later(s->loop, &s->flush, flush, s);
}

size_t
stream_unwritten(const struct stream *s)
{
	return s->out.n;
}

/* Who has gone may have said why: that is heard first. */
static void
hear_the_last(struct stream *s)
{
	size_t n;

	for (int i = 0; i < READS_A_TURN && s->user != NULL && !s->paused &&
	    (s->phase == CLEAR || s->phase == TLS) && read_some(s, &n); i++)
		show(s, slice_of(s->loop->scratch, n));
}

/* Write some of what there is; false when nothing more goes for now. */
static bool
write_some(struct stream *s, struct slice bytes, size_t *n)
{
	ssize_t sent;

	if (s->phase == TLS) {
		before_tls_call();
		int result = SSL_write_ex(s->ssl, bytes.p, bytes.n, n);

		switch (result == 1 ? TLS_DONE : tls_wants(s, result, "TLS failed")) {
		case TLS_DONE:
			return true;
		case TLS_OVER:
			hear_the_last(s);
			over(s);
			return false;
		default:
			return false;
		}
	}
	sent = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	if (sent >= 0) {
		*n = (size_t)sent;
		return true;
	}
	if (errno != EAGAIN && errno != EINTR) {
		int number = errno;

		hear_the_last(s);
		errno = number;
		over_sys(s, "cannot write");
	}
	return false;
}

static void
shut_down(struct stream *s)
{
	if (s->phase == TLS) {
		before_tls_call();
		SSL_shutdown(s->ssl);
	}
	shutdown(s->fd, SHUT_WR);
	s->shut = true;
	drain_goodbye(s);               /* so that no RST destroys what is still under way */
	if (s->phase != OVER)
		want_read(s, true);
}

/* All that was written has left. */
static void
all_written(struct stream *s)
{
	want_write(s, false);
	if (s->phase == HANDSHAKE && SSL_get_fd(s->ssl) == -1) {
		begin_handshake(s);
	} else if (s->finishing) {
		if (!s->shut)
			shut_down(s);
	} else if (s->user != NULL) {
		if (!s->paused && !s->reading) {        /* it was stopped for too much output */
			want_read(s, true);
			loop_later(s->loop, &s->again, again, s);
		}
		if (s->user->drained != NULL)
			s->user->drained(s->arg);
	}
}

static void
flush(void *arg)
{
	struct stream *s = arg;
	size_t done = 0, n;

	s->loop->spoke = true;
	if (s->phase == CONNECTING || s->phase == OVER)
		return;
	if (s->phase == HANDSHAKE && SSL_get_fd(s->ssl) != -1)
		return;                 /* from here on only encrypted, and not yet */
	while (done < s->out.n &&
	    write_some(s, slice_skip(buf_slice(&s->out), done), &n))
		done += n;
	if (done < s->out.n) {
		buf_drop(&s->out, done);
		if (s->phase != OVER)
			want_write(s, true);
		return;
	}
	buf_free(&s->out);
	all_written(s);
}

static void
on_connected(struct stream *s)
{
	int number = 0;
	socklen_t size = sizeof number;

	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &number, &size);
	want_write(s, false);
	if (number != 0) {
		errno = number;
		error_sys(&s->why, "cannot connect");
		over(s);
		return;
	}
	s->phase = CLEAR;
	want_read(s, !s->paused);
	if (s->user != NULL && s->user->connected != NULL)
		s->user->connected(s->arg);
	if (s->fd != -1 && s->out.n > 0)
		loop_later(s->loop, &s->flush, flush, s);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	loop_happened(s->loop);
	if (s->phase == CONNECTING)
		on_connected(s);
	else if (s->phase == HANDSHAKE && SSL_get_fd(s->ssl) != -1)
		handshake(s);
	else
		flush(s);
}

static void
goodbye_over(void *arg)
{
	stream_end(arg);
}

void
stream_finish(struct stream *s)
{
	if (s == NULL || s->fd == -1)
		return;
	if (s->phase == OVER || s->phase == CONNECTING || s->phase == HANDSHAKE) {
		stream_end(s);
		return;
	}
	s->user = NULL;
	s->finishing = true;
	s->view = NONE;
	later_cancel(s->loop, &s->again);
	timer_set(s->loop, &s->goodbye, GOODBYE_MS, goodbye_over, s);
	loop_later(s->loop, &s->flush, flush, s);
}

/* --- looking ------------------------------------------------------------------ */

SSL *
stream_ssl(const struct stream *s)
{
	return s->ssl;
}

bool
stream_secure(const struct stream *s)
{
	return s->phase == TLS;
}

struct peer
stream_local(const struct stream *s)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof address;

	getsockname(s->fd, (struct sockaddr *)&address, &size);
	return peer_of_sockaddr(&address);
}
