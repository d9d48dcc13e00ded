/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "net/listener.h"
#include "net/stream.h"
#include "web/responder.h"

struct visitor {
	struct visitor   *next, **back;         /* the newest first */
	struct responder *responder;
	struct stream    *stream;
	struct buf        out;
	size_t            said;                 /* of `out`, when it drips */
	int64_t           pause;
	bool              asked;
	struct timer      patience, drip;
};

struct responder {
	struct responder_options options;
	struct listener *listener;
	struct visitor  *visitors;
	unsigned         count;
};

enum { RESPONSE_MOST = 1 << 20 };

static void
free_visitor(struct visitor *v)
{
	struct responder *r = v->responder;

	if ((*v->back = v->next) != NULL)
		v->next->back = v->back;
	r->count--;
	timer_clear(r->options.loop, &v->patience);
	timer_clear(r->options.loop, &v->drip);
	buf_free(&v->out);
	free(v);
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
say(struct visitor *v, const struct response_plan *plan)
{
	struct loop *loop = v->responder->options.loop;

	v->asked = true;
	if (plan->reset) {
		end_visitor(v);
		return;
	}
	timer_set(loop, &v->patience, RESPONDER_WRITING, end_visitor, v);
	if (plan->silent)
		return;
	v->pause = plan->pause;
	http_response_add(&v->out, &plan->response, clock_now(loop->clock));
	if (v->pause > 0)
		drip(v);
	else
		stream_write(v->stream, buf_slice(&v->out));
}

static void
input(void *arg)
{
	struct visitor *v = arg;
	struct slice in = stream_input(v->stream);
	struct response_plan plan = { .pause = 0 };
	struct http_request request;
	unsigned status;

	if (v->asked) {
		stream_take(v->stream, in.n);   /* pipelined requests are not heard (RFC 9112 9.3.2) */
		return;
	}
	switch (http_request_read(in, &request, &status)) {
	case HTTP_MORE:
		return;
	case HTTP_REFUSED:
		plan.response = http_plain(status);
		break;
	case HTTP_REQUEST:
		v->responder->options.answer(v->responder->options.arg, &request, &plan);
		break;
	}
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

/* The oldest who has not asked; else the oldest of all. */
static struct visitor *
who_goes(const struct responder *r)
{
	struct visitor *oldest = NULL, *waiting = NULL;

	for (struct visitor *v = r->visitors; v != NULL; v = v->next) {
		oldest = v;
		waiting = v->asked ? waiting : v;
	}
	return waiting != NULL ? waiting : oldest;
}

static void
accepted(void *arg, int fd, struct peer from)
{
	struct responder *r = arg;
	struct visitor *v = must_alloc(sizeof *v);

	(void)from;
	if (r->count == r->options.most)
		end_visitor(who_goes(r));
	*v = (struct visitor){ .next = r->visitors, .back = &r->visitors, .responder = r,
	    .out = BUF(RESPONSE_MOST) };
	if (v->next != NULL)
		v->next->back = &v->next;
	r->visitors = v;
	r->count++;
	v->stream = stream_new(r->options.loop, fd, &USER, v);
	timer_set(r->options.loop, &v->patience, RESPONDER_PATIENCE, end_visitor, v);
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
	listener_end(r->listener);
	while (r->visitors != NULL)
		end_visitor(r->visitors);
	free(r);
}
