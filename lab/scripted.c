/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/text.h"
#include "lab/scripted.h"
#include "net/listener.h"
#include "net/stream.h"

enum { LINE_MOST = 64 << 10, REPLY_MOST = 64 << 10, PATHS_MOST = 65536 };

struct guest {
	struct guest    *next, **back;
	struct scripted *host;
	struct stream   *stream;
	bool             in_text, handshake_next;
	bool             waiting;       /* until all is said, or for ever: nothing is heard */
	const struct script_row *row;   /* that is being obeyed after its delay */
	enum script_moment moment;
	struct timer     delay;         /* before it speaks, and between two bytes */
	struct buf       reply;         /* that is being said … */
	size_t           said;          /* … to here */
	struct buf       from, to;      /* of the transaction */
	size_t           bytes;
	bool             eight_bit;     /* something in it is not ASCII */
};

struct scripted {
	struct scripted_options options;
	struct listener *listener;
	struct guest    *guests;
	bool            *spent;         /* rows that were for once */
};

static const char *const MOMENTS[SCRIPT_MOMENTS] = {
	"connect", "helo", "starttls", "mail", "rcpt", "data", "text", "quit", "other",
};

enum script_moment
script_moment_of(struct slice name)
{
	enum script_moment m = 0;

	while (m < SCRIPT_MOMENTS && !slice_eqi(name, slice(MOMENTS[m])))
		m++;
	return m;
}

enum script_moment
script_moment_of_line(struct slice line)
{
	struct slice verb = NONE;
	enum script_moment m;

	slice_word(&line, &verb);
	if (slice_eqi(verb, S("EHLO")))
		return SCRIPT_HELO;
	m = script_moment_of(verb);
	return m == SCRIPT_MOMENTS || m == SCRIPT_CONNECT || m == SCRIPT_TEXT ? SCRIPT_OTHER : m;
}

static void
end_guest(void *arg)
{
	struct guest *g = arg;

	if ((*g->back = g->next) != NULL)
		g->next->back = g->back;
	timer_clear(g->host->options.loop, &g->delay);
	stream_end(g->stream);
	buf_free(&g->reply);
	buf_free(&g->from);
	buf_free(&g->to);
	free(g);
}

/* --- what a plain server says ----------------------------------------------------------- */

static void
say_extensions(struct guest *g, struct buf *b)
{
	const struct script *s = g->host->options.script;
	struct slice offers = s->offers, word;

	buf_printf(b, "250-%.*s\r\n", FMT(s->hostname));
	if (g->host->options.tls != NULL && !stream_secure(g->stream))
		buf_add(b, S("250-STARTTLS\r\n"));
	while (slice_word(&offers, &word))
		if (stream_secure(g->stream) || !slice_eqi(word, S("REQUIRETLS")))
			buf_printf(b, "250-%.*s\r\n", FMT(word));
	buf_add(b, S("250 ENHANCEDSTATUSCODES\r\n"));
}

static void
say_as_usual(struct guest *g, struct buf *b)
{
	const struct script *s = g->host->options.script;

	switch (g->moment) {
	case SCRIPT_CONNECT:
		buf_printf(b, "220 %.*s ESMTP\r\n", FMT(s->hostname));
		break;
	case SCRIPT_HELO:
		say_extensions(g, b);
		break;
	case SCRIPT_STARTTLS:
		g->handshake_next = g->host->options.tls != NULL && !stream_secure(g->stream);
		buf_add(b, g->handshake_next ? S("220 2.0.0 go ahead\r\n") : S("502 5.5.1 no TLS here\r\n"));
		break;
	case SCRIPT_DATA:
		g->in_text = true;
		buf_add(b, S("354 go ahead\r\n"));
		break;
	case SCRIPT_QUIT:
		buf_add(b, S("221 2.0.0 goodbye\r\n"));
		break;
	default:
		buf_add(b, S("250 2.0.0 Ok\r\n"));
	}
}

/* --- moments ------------------------------------------------------------------------------ */

static const struct script_row *
find_row(const struct guest *g)
{
	const struct script *s = g->host->options.script;

	for (size_t i = 0; i < s->count; i++)
		if (s->rows[i].when == g->moment && !(s->rows[i].once && g->host->spent[i])) {
			g->host->spent[i] = true;
			return &s->rows[i];
		}
	return NULL;
}

static void act(void *arg);
static void on_input(void *arg);

/* --- what it takes --------------------------------------------------------------------------- */

static void
forget_transaction(struct guest *g)
{
	buf_clear(&g->from);
	buf_clear(&g->to);
	g->bytes = 0;
	g->eight_bit = false;
}

/* The path of "MAIL FROM:<ann@a.test> SIZE=1", without its brackets. */
static struct slice
path_of(struct slice line)
{
	struct slice path = slice_skip(line, slice_find(line, '<'));

	path = slice_skip(path, path.n > 0);
	return slice_head(path, slice_find(path, '>'));
}

static void
note_line(struct guest *g, enum script_moment moment, struct slice line)
{
	if (moment == SCRIPT_MAIL) {
		forget_transaction(g);
		buf_add(&g->from, path_of(line));
	} else if (moment == SCRIPT_RCPT) {
		buf_add(&g->to, g->to.n > 0 ? S(" ") : NONE);
		buf_add(&g->to, path_of(line));
	}
	g->eight_bit |= !ascii_only(line);
}

/* After the reply to the end of a message: a 2yz has taken it. */
static void
tell_of_message(struct guest *g)
{
	const struct scripted_options *o = &g->host->options;
	struct script_visit v = { buf_slice(&g->from), buf_slice(&g->to), NULL, g->bytes,
	    !g->eight_bit };

	if (o->took == NULL || (g->row != NULL && !slice_starts(g->row->say, S("2"))))
		return;
	if (stream_secure(g->stream))
		v.tls = tls_version(stream_ssl(g->stream));
	o->took(o->arg, &v);
}

/* All of it is said, and what follows from that. False: the guest is gone. */
static bool
has_said(struct guest *g)
{
	if (g->moment == SCRIPT_TEXT)
		tell_of_message(g);
	if (g->moment == SCRIPT_QUIT || (g->row != NULL && g->row->then == SCRIPT_CLOSE)) {
		stream_finish(g->stream);
		g->stream = NULL;
		end_guest(g);
		return false;
	}
	if (g->handshake_next) {
		g->handshake_next = false;
		stream_secure_server(g->stream, tls_server_context(g->host->options.tls));
	}
	return true;
}

static void
drip(void *arg)
{
	struct guest *g = arg;

	stream_write(g->stream, slice_head(slice_skip(buf_slice(&g->reply), g->said++), 1));
	if (g->said < g->reply.n) {
		timer_set(g->host->options.loop, &g->delay, g->host->options.script->pause, drip, g);
		return;
	}
	g->waiting = false;
	if (has_said(g))
		on_input(g);
}

/* False: the guest is gone. */
static bool
say(struct guest *g)
{
	int64_t pause = g->host->options.script->pause;

	g->said = 0;
	if (pause > 0 && g->reply.n > 0) {
		g->waiting = true;
		timer_set(g->host->options.loop, &g->delay, pause, drip, g);
		return true;
	}
	if (g->reply.n > 0)
		stream_write(g->stream, buf_slice(&g->reply));
	return has_said(g);
}

/* The moment has come: what the script says, or what is usual. False: the guest is gone. */
static bool
obey(struct guest *g)
{
	const struct script_row *row = g->row;

	if (row != NULL && row->then == SCRIPT_RESET) {
		end_guest(g);           /* a RST: see accepted() */
		return false;
	}
	if (row != NULL && row->then == SCRIPT_SILENCE)
		return g->waiting = true;
	buf_clear(&g->reply);
	if (row != NULL && row->say.n > 0)
		buf_add(&g->reply, row->say);
	else
		say_as_usual(g, &g->reply);
	return say(g);
}

static bool
meet(struct guest *g, enum script_moment moment)
{
	g->moment = moment;
	g->row = find_row(g);
	if (g->row == NULL || g->row->delay == 0)
		return obey(g);
	g->waiting = true;
	timer_set(g->host->options.loop, &g->delay, g->row->delay, act, g);
	return true;
}

static void
act(void *arg)
{
	struct guest *g = arg;

	g->waiting = false;
	if (obey(g))
		on_input(g);
}

/* Where the first line ends, and behind its end; false: there is no whole one. */
static bool
find_line(const struct guest *g, struct slice in, size_t *end, size_t *behind)
{
	*end = slice_find(in, '\n');
	*behind = *end + 1;
	if (g->host->options.script->bare_cr) {
		size_t cr = slice_find(in, '\r');

		if (cr + 1 < *end && cr + 1 < in.n) {
			*end = cr;
			*behind = cr + 1;
		}
	}
	if (*end < in.n)
		return true;
	*behind = in.n;
	return in.n >= LINE_MOST;
}

/* The next whole line without its end; one without an end counts once it is too long. */
static bool
next_line(struct guest *g, struct slice *line, size_t *behind)
{
	struct slice in = stream_input(g->stream);
	size_t end;

	if (!find_line(g, in, &end, behind))
		return false;
	*line = slice_head(in, end);
	if (line->n > 0 && line->p[line->n - 1] == '\r')
		line->n--;
	return true;
}

/* A line of a message means nothing, a line with nothing but a dot ends it. */
static bool
take_moment(struct guest *g, struct slice line, enum script_moment *moment)
{
	bool dot = slice_eq(line, S("."));

	*moment = g->in_text ? SCRIPT_TEXT : script_moment_of_line(line);
	if (g->in_text && !dot) {
		g->bytes += line.n + 2;
		g->eight_bit |= !ascii_only(line);
		return false;
	}
	g->in_text = false;
	return true;
}

static void
on_input(void *arg)
{
	struct guest *g = arg;
	enum script_moment moment;
	struct slice line;
	size_t behind;

	while (!g->waiting && next_line(g, &line, &behind)) {
		bool comes = take_moment(g, line, &moment);

		if (comes)
			note_line(g, moment, line);
		stream_take(g->stream, behind);
		if (comes && !meet(g, moment))
			return;
	}
}

static void
on_secured(void *arg)
{
	(void)arg;
}

static void
on_closed(void *arg, const struct error *why)
{
	(void)why;
	end_guest(arg);
}

static const struct stream_user GUEST = { NULL, on_input, NULL, on_secured, on_closed };

/* --- coming in ------------------------------------------------------------------------------ */

static void
accepted(void *arg, int fd, struct peer from)
{
	struct scripted *h = arg;
	struct guest *g = must_alloc(sizeof *g);
	struct linger none = { .l_onoff = 1, .l_linger = 0 };

	(void)from;
	/* A connection that is not finished politely is reset (RFC 9293 3.10.4). */
	if (h->options.script->count > 0 && h->options.script->rows[0].then == SCRIPT_RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	*g = (struct guest){ .next = h->guests, .back = &h->guests, .host = h,
	    .reply = BUF(REPLY_MOST), .from = BUF(PATHS_MOST), .to = BUF(PATHS_MOST) };
	if (g->next != NULL)
		g->next->back = &g->next;
	h->guests = g;
	g->stream = stream_new(h->options.loop, fd, &GUEST, g);
	meet(g, SCRIPT_CONNECT);
}

struct scripted *
scripted_new(const struct scripted_options *o, int fd)
{
	struct scripted *h = must_alloc(sizeof *h);

	h->options = *o;
	h->spent = must_alloc(o->script->count * sizeof *h->spent + 1);
	h->listener = listener_new(o->loop, fd, accepted, h);
	return h;
}

void
scripted_free(struct scripted *h)
{
	if (h == NULL)
		return;
	listener_end(h->listener);
	while (h->guests != NULL)
		end_guest(h->guests);
	free(h->spent);
	free(h);
}
