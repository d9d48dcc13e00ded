/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/idmap.h"
#include "net/listener.h"
#include "net/stream.h"
#include "web/responder.h"

/* Who stands behind whom: the oldest first. */
struct row {
	struct visitor *first, *last;
	unsigned        count;
};

enum { CROWDS = 256 };

struct visitor {
	struct visitor   *next, *before;
	struct responder *responder;
	struct stream    *stream;
	struct buf        out;
	size_t            said;                 /* of `out`, when it drips */
	int64_t           pause;
	unsigned          crowd;
	bool              asked;
	bool              head;                 /* he wants no body */
	bool              told;                 /* to go on */
	uint64_t          number;               /* not 0: he waits for what is said later */
	struct timer      patience, drip;
};

struct responder {
	struct responder_options options;
	struct listener *listener;              /* NULL: nobody is let in any more */
	struct row       waiting[CROWDS];       /* who has not asked yet, by crowd */
	struct row       asked;
	unsigned         count;
	struct idmap     later;                 /* visitors by their numbers */
	uint64_t         last_number;
	void           (*idle)(void *arg);
	void            *idle_arg;
	struct later     gone;
};

enum { RESPONSE_MOST = 1 << 20 };

/* --- rows ------------------------------------------------------------------------------ */

static void
row_join(struct row *row, struct visitor *v)
{
	v->next = NULL;
	v->before = row->last;
	*(row->last != NULL ? &row->last->next : &row->first) = v;
	row->last = v;
	row->count++;
}

static void
row_leave(struct row *row, struct visitor *v)
{
	*(v->before != NULL ? &v->before->next : &row->first) = v->next;
	*(v->next != NULL ? &v->next->before : &row->last) = v->before;
	row->count--;
}

static struct row *
row_of(const struct visitor *v)
{
	return v->asked ? &v->responder->asked : &v->responder->waiting[v->crowd];
}

/* --- ends ------------------------------------------------------------------------------ */

static void
tell_idle(void *arg)
{
	struct responder *r = arg;

	r->idle(r->idle_arg);
}

static void
look_idle(struct responder *r)
{
	if (r->idle != NULL && r->count == 0)
		loop_later(r->options.loop, &r->gone, tell_idle, r);
}

static void
free_visitor(struct visitor *v)
{
	struct responder *r = v->responder;

	row_leave(row_of(v), v);
	r->count--;
	if (v->number != 0)
		idmap_remove(&r->later, v->number);
	timer_clear(r->options.loop, &v->patience);
	timer_clear(r->options.loop, &v->drip);
	buf_free(&v->out);
	free(v);
	look_idle(r);
}

static void
end_visitor(void *arg)
{
	struct visitor *v = arg;

	stream_end(v->stream);
	free_visitor(v);
}

/* What was written leaves by itself, within the stream's own patience. */
static void
finish_visitor(struct visitor *v)
{
	stream_finish(v->stream);
	free_visitor(v);
}

/* --- answering ------------------------------------------------------------------------ */

static void
drip(void *arg)
{
	struct visitor *v = arg;

	stream_write(v->stream, slice_head(slice_skip(buf_slice(&v->out), v->said++), 1));
	if (v->said < v->out.n)
		timer_set(v->responder->options.loop, &v->drip, v->pause, drip, v);
	else
		finish_visitor(v);
}

static void
drained(void *arg)
{
	struct visitor *v = arg;

	if (v->asked && v->pause == 0 && v->out.n > 0)
		finish_visitor(v);
}

static void
too_late(void *arg)
{
	struct visitor *v = arg;
	struct http_response r = http_plain(503);

	responder_answer(v->responder, v->number, &r);
}

static void
say(struct visitor *v, const struct response_plan *plan)
{
	struct loop *loop = v->responder->options.loop;

	if (plan->later) {
		v->number = plan->visitor;
		idmap_put(&v->responder->later, v->number, v);
		timer_set(loop, &v->patience, RESPONDER_LATER, too_late, v);
		return;
	}
	if (plan->reset) {
		end_visitor(v);
		return;
	}
	timer_set(loop, &v->patience, RESPONDER_WRITING, end_visitor, v);
	if (plan->silent)
		return;
	v->pause = plan->pause;
	http_response_add(&v->out, &plan->response, v->head, clock_now(loop->clock));
	if (v->pause > 0)
		drip(v);
	else
		stream_write(v->stream, buf_slice(&v->out));
}

void
responder_answer(struct responder *r, uint64_t visitor, const struct http_response *response)
{
	struct response_plan plan = { .response = *response };
	struct visitor *v = idmap_remove(&r->later, visitor);

	if (v == NULL)
		return;
	v->number = 0;
	say(v, &plan);
}

static void
has_asked(struct visitor *v)
{
	row_leave(row_of(v), v);
	v->asked = true;
	row_join(row_of(v), v);
}

/* What HTTP/1.0 need not say, the connection has said (RFC 9112 3.3): SNI, or nothing. */
static struct slice
name_of_handshake(const struct visitor *v)
{
	SSL *ssl = stream_ssl(v->stream);
	const char *name = ssl == NULL ? NULL : SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	return name == NULL ? NONE : slice(name);
}

static void
input(void *arg)
{
	struct visitor *v = arg;
	struct slice in = stream_input(v->stream);
	struct response_plan plan = { .visitor = ++v->responder->last_number };
	struct http_request request;
	unsigned status;

	if (v->asked) {
		stream_take(v->stream, in.n);   /* pipelined requests are not heard (RFC 9112 9.3.2) */
		return;
	}
	switch (http_request_read(in, &request, &status)) {
	case HTTP_MORE:
		if (request.expects && !v->told)
			stream_write(v->stream, HTTP_CONTINUE);
		v->told = request.expects;
		return;
	case HTTP_REFUSED:
		plan.response = http_plain(status);
		break;
	case HTTP_REQUEST:
		if (request.host.n == 0)
			request.host = name_of_handshake(v);
		v->responder->options.answer(v->responder->options.arg, &request, &plan);
		break;
	}
	v->head = http_is_head(&request);
	has_asked(v);
	stream_take(v->stream, in.n);
	say(v, &plan);
}

static void
secured(void *arg)
{
	(void)arg;
}

static void
closed(void *arg, const struct error *why)
{
	(void)why;
	end_visitor(arg);
}

static const struct stream_user USER = { NULL, input, drained, secured, closed };

/* --- coming in --------------------------------------------------------------------------- */

/* By the network: whoever has one address of a /64 has them all. */
static unsigned
crowd_of(const struct responder *r, struct ip ip)
{
	uint64_t h = r->options.seed ^ 0xcbf29ce484222325u;

	for (unsigned i = 0; i < (ip.n == 4 ? 4 : 8); i++) {
		h = (h ^ ip.bytes[i]) * 0xff51afd7ed558ccdu;
		h ^= h >> 33;           /* each bit of an address counts for each of the result */
	}
	return (unsigned)(h * 0xc4ceb9fe1a85ec53u >> 32) % CROWDS;
}

/* The oldest of the largest crowd that has not asked; else who asked first. */
static struct visitor *
who_goes(const struct responder *r)
{
	const struct row *largest = &r->waiting[0];

	for (size_t i = 1; i < CROWDS; i++)
		if (r->waiting[i].count > largest->count)
			largest = &r->waiting[i];
	return largest->count > 0 ? largest->first : r->asked.first;
}

static void
accepted(void *arg, int fd, struct peer from)
{
	struct responder *r = arg;
	struct visitor *v = must_alloc(sizeof *v);

	if (r->count == r->options.most)
		end_visitor(who_goes(r));
	*v = (struct visitor){ .responder = r, .crowd = crowd_of(r, from.ip), .out = BUF(RESPONSE_MOST) };
	row_join(row_of(v), v);
	r->count++;
	v->stream = stream_new(r->options.loop, fd, &USER, v);
	timer_set(r->options.loop, &v->patience, RESPONDER_PATIENCE, end_visitor, v);
	if (r->options.tls != NULL)
		stream_secure_server(v->stream, tls_server_context(r->options.tls));
}

struct responder *
responder_new(const struct responder_options *o, int fd)
{
	struct responder *r = must_alloc(sizeof *r);

	bug_if(o->most == 0);
	r->options = *o;
	r->listener = listener_new(o->loop, fd, accepted, r);
	return r;
}

void
responder_free(struct responder *r)
{
	if (r == NULL)
		return;
	r->idle = NULL;
	if (r->listener != NULL)
		listener_end(r->listener);
	while (r->count > 0)
		end_visitor(who_goes(r));
	later_cancel(r->options.loop, &r->gone);
	idmap_free(&r->later);
	free(r);
}

void
responder_drain(struct responder *r, void (*idle)(void *), void *arg)
{
	bug_if(r->listener == NULL);
	listener_end(r->listener);
	r->listener = NULL;
	r->idle = idle;
	r->idle_arg = arg;
	look_idle(r);
}
