/* SPDX-License-Identifier: ISC */
/*
 * responder -- HTTPS (or, for a lab, HTTP) on sockets: one request, one response,
 * goodbye.
 *
 * What is answered the owner says, from what http.h has read (a host that HTTP/1.0
 * leaves out is the one of the handshake), at once or later; the responder decides
 * nothing.  Everything is bounded: connections, the time a client may
 * take to ask and to read (on the loop's clock), the length of a request.
 *
 * When all places are taken, somebody who has not asked yet goes: the oldest of
 * the crowd that waits for most.  Clients are in one crowd by their network (an
 * IPv4 address, an IPv6 /64), so that a thousand who drip, or come back as fast
 * as they are sent away, make room for each other and not for or from others.
 * Finding him costs the same however many there are.  A connection that was
 * answered lingers for the two seconds of stream_finish() beside them.
 */
#ifndef WEB_RESPONDER_H
#define WEB_RESPONDER_H

#include "base/error.h"
#include "net/loop.h"
#include "net/tls.h"
#include "web/http.h"

enum { RESPONDER_PATIENCE = 10 * SECOND, RESPONDER_WRITING = 60 * SECOND,
	RESPONDER_LATER = 20 * SECOND };

struct response_plan {
	struct http_response response;  /* copied */
	int64_t pause;                  /* not 0: a byte each so many ms, for a lab */
	bool    silent;                 /* say nothing, until the client gives up: the same */
	bool    reset;                  /* break the connection off: the same */
	bool    later;                  /* responder_answer() will say it; 503 after RESPONDER_LATER */
	uint64_t visitor;               /* who asks, for that; set before `answer` is called */
};

struct responder;

struct responder_options {
	struct loop       *loop;
	struct tls_server *tls;         /* must outlive the responder; NULL: in the clear */
	unsigned           most;        /* connections at a time */
	uint64_t           seed;        /* of the crowds: random, so that nobody can choose his */
	void             (*answer)(void *arg, const struct http_request *, struct response_plan *);
	void              *arg;
};

/* `fd` listens already and is taken over. */
struct responder *responder_new(const struct responder_options *, int fd);
void              responder_free(struct responder *);   /* NULL is fine */

/* Say what was to be said later.  Who has gone meanwhile is not missed. */
void              responder_answer(struct responder *, uint64_t visitor, const struct http_response *);

/* Let nobody in any more; `idle` is called once, from the loop, when the last one has gone. */
void              responder_drain(struct responder *, void (*idle)(void *arg), void *arg);

#endif
