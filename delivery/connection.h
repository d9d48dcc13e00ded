/* SPDX-License-Identifier: ISC */
/*
 * connection -- one conversation with one host: connect, EHLO, TLS as the plan
 * demands, then one message after another, then QUIT.
 *
 * It joins the pure client (delivery/client) and the pure judge
 * (delivery/judge) to a stream and to time, and decides nothing itself.
 * Nothing of a message is said before the judge has let it.
 *
 * A text that turns out to be damaged at its end, when most of it is with the other
 * side, gets no final dot: the connection breaks, and who has seen no dot cancels
 * the transaction (RFC 5321 4.1.1.10).
 *
 * The user is called from the loop, never inside a call of his own.  After
 * over() the connection is gone.  A connection without a user says QUIT.
 */
#ifndef DELIVERY_CONNECTION_H
#define DELIVERY_CONNECTION_H

#include "base/crc32c.h"
#include "delivery/client.h"
#include "delivery/judge.h"
#include "net/stream.h"

struct connection;

/* Where the text of a message comes from: the head, then the body, then so much of a file. */
struct letter {
	struct slice head, body;
	int          fd;                /* -1: none */
	off_t        at;
	uint64_t     left;
	struct checksum sum;            /* of all the file: before the dot it must be right */
};

struct connection_end {
	struct status why;              /* its text is valid during the call */
	bool          clear_retry;      /* the judge allows a retry in clear text, once */
	bool          text_sent;        /* the final dot was sent: what became of it is not known */
	bool          silent;           /* nothing was heard in time: others may leave it alone for now */
	bool          unreadable;       /* the text is damaged, or cannot be read: no dot was sent */
};

struct connection_user {
	void (*ready)(void *arg);       /* connection_send() */
	void (*sent)(void *arg);        /* every recipient of the mail has a status */
	void (*over)(void *arg, const struct connection_end *);
	/* What one session proved, for TLSRPT; before ready() or over(). */
	void (*judged)(void *arg, const struct secure_judgement *);
};

struct connection_options {
	struct loop   *loop;
	SSL_CTX       *tls;
	struct slice   hostname;        /* for EHLO */
	bool           lmtp;
	bool           in_clear;        /* the retry without TLS */
	const struct ip *from;          /* our address, or NULL */
	struct sessions *sessions;      /* to be resumed; NULL: full handshakes only */
};

/* The plan host is copied; NULL with *why when there is not even a socket. */
struct connection *connection_open(const struct connection_options *, const struct plan_host *,
    struct peer, const struct connection_user *, void *arg, struct error *why);
/* Somebody else's turn: a ready, idle connection gets a new user. NULL: none for now. */
void connection_hand(struct connection *, const struct connection_user *, void *arg);
/* The mail and the letter must live until sent() or over(). */
void connection_send(struct connection *, struct client_mail *, struct letter *);
/* It takes too long: over, unless the text is under way or something was said of every recipient. */
void connection_give_up(struct connection *);
void connection_quit(struct connection *);      /* politely, and forgotten by the user */
void connection_end(struct connection *);       /* at once */

/* The same plan, and the same address: what is needed to send another message through it. */
bool connection_serves(const struct connection *, const struct plan_host *, const struct peer *);
/* The server asked for a fresh connection after so many messages (RFC 9422), or we do. */
bool connection_worn(const struct connection *);

/* For log and reports; valid while the connection is. */
struct connection_facts {
	struct slice      host;
	struct peer       peer;
	const char       *tls, *cipher; /* NULL in the clear */
	enum secure_trust trust;
	enum plan_policy  policy;
	struct slice      greeting;
	struct slice      seen;         /* of a certificate that failed: names, last day, issuer; or empty */
	struct slice      broke;        /* how the handshake broke off, or empty */
	struct ip         from;         /* our address; n 0: never connected */
	unsigned          mails;        /* sent through it before */
	bool              dsn;          /* it knows RFC 3461 */
};
struct connection_facts connection_facts(const struct connection *);
/* The same of any certificate; empty without one. */
struct slice connection_certificate(struct connection *);

#endif
