/* SPDX-License-Identifier: ISC */
/*
 * stream -- bytes both ways with a peer, in the clear or over TLS.
 *
 * A stream has one user, who is called from the loop: when bytes have come,
 * when all that was written has left, when TLS stands, when it is over.  After
 * stream_end() or stream_finish() the user hears nothing more and forgets the
 * pointer; both may be called from within any callback.
 *
 * Bytes that came are looked at with stream_input() and taken with
 * stream_take(); what is not taken is shown again together with what follows.
 * Idle streams hold no buffers.  Timeouts are the user's business.
 *
 * TLS is OpenSSL directly on the non-blocking socket.  Whatever came in the
 * clear before the handshake is dropped, on both sides (RFC 3207 4.2).
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/error.h"
#include "net/loop.h"

struct stream;

struct stream_user {
	void (*connected)(void *arg);                   /* after stream_connect() only */
	void (*input)(void *arg);
	void (*drained)(void *arg);                     /* may be NULL */
	void (*secured)(void *arg);                     /* NULL: never uses TLS */
	/*
	 * The peer closed, or something failed: `why` has one sentence.  What he had said, also
	 * when a write failed, was shown before.  The user ends it.
	 */
	void (*closed)(void *arg, const struct error *why);
};

/* Takes over a connected, non-blocking socket. */
struct stream *stream_new(struct loop *, int fd, const struct stream_user *, void *arg);
/* NULL with *why when it cannot even be begun. `from` as in peer_connect(). */
struct stream *stream_connect(struct loop *, struct peer, const struct ip *from,
    const struct stream_user *, void *arg, struct error *why);

void stream_end(struct stream *);               /* at once; NULL is fine */
/* Let everything written leave, close TLS and the connection properly, then end. */
void stream_finish(struct stream *);

struct slice stream_input(const struct stream *);
void stream_take(struct stream *, size_t n);    /* at most what stream_input() shows */
void stream_pause(struct stream *);             /* no input() until … */
void stream_resume(struct stream *);            /* also for what has not been taken */

/* Written at the end of this turn of the loop, all in one. */
void   stream_write(struct stream *, struct slice);
size_t stream_unwritten(const struct stream *);

/*
 * TLS, once everything written has left.  The server's side makes its SSL from
 * the context; the client's side brings an SSL with all that must be proved.
 */
void stream_secure_server(struct stream *, SSL_CTX *);
void stream_secure_client(struct stream *, SSL *);      /* takes the SSL */
SSL *stream_ssl(const struct stream *);                 /* NULL in the clear; valid in closed() */
bool stream_secure(const struct stream *);              /* the handshake is done */

struct peer stream_local(const struct stream *);        /* this side */

#endif
