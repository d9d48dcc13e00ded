/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "delivery/connection.h"
#include "delivery/sessions.h"
#include "delivery/verify.h"
#include "net/tls.h"

enum {
	CONNECT_MS = 30 * SECOND,
	UNWRITTEN_HIGH = 256 << 10,     /* more of a text is fetched when less than this waits */
	PIECE = 65536,
	MAILS_MOST = 100,               /* then a fresh connection */
	MEMORY = 64 << 10,
};

struct connection {
	struct connection_options     options;
	struct plan_host              host;
	struct peer                   peer;
	struct ip                     from;
	const struct connection_user *user;
	void                         *arg;
	struct stream                *stream;
	struct client                 client;
	struct arena                 *arena;
	struct secure_found           found;
	struct secure_judgement       judgement;
	bool                          connected, judged, text_sent, ended;
	struct letter                *letter;
	struct stuffing               stuffing;
	struct timer                  patience;
	struct later                  tell;
	struct connection_end         end;
};

static void react(struct connection *c);
static void tls_broke(struct connection *c, const struct error *why);

/* --- ends ---------------------------------------------------------------------- */

void
connection_end(struct connection *c)
{
	if (c == NULL)
		return;
	timer_clear(c->options.loop, &c->patience);
	later_cancel(c->options.loop, &c->tell);
	stream_end(c->stream);
	client_end(&c->client);
	arena_free(c->arena);
	free(c);
}

static void
tell_over(void *arg)
{
	struct connection *c = arg;

	if (c->user != NULL)
		c->user->over(c->arg, &c->end);
	connection_end(c);
}

/* Say QUIT and let the stream finish by itself; whatever is answered does not matter. */
static void
say_goodbye(struct connection *c)
{
	if (c->stream == NULL)
		return;
	client_quit(&c->client);
	stream_write(c->stream, buf_slice(&c->client.out));
	stream_finish(c->stream);
	c->stream = NULL;
}

/* It is over, and the user hears of it from the loop. */
static void
over(struct connection *c, struct status why)
{
	if (c->ended)
		return;
	c->ended = true;
	stream_end(c->stream);
	c->stream = NULL;
	timer_clear(c->options.loop, &c->patience);
	c->end.why = why;
	c->end.why.text = arena_copy(c->arena, why.text);
	c->end.text_sent = c->text_sent;
	loop_later(c->options.loop, &c->tell, tell_over, c);
}

static void
timed_out(void *arg)
{
	struct connection *c = arg;
	struct error why;

	c->end.silent = c->client.want != CLIENT_TEXT && !c->text_sent;
	if (client_securing(&c->client)) {
		error_set(&why, "nothing came for %d s", (int)(client_patience(&c->client) / SECOND));
		tls_broke(c, &why);
		return;
	}
	over(c, STATUS(0, 4, 4, 2, "the server did not answer in time"));
}

static void
wait_for_reply(struct connection *c)
{
	timer_set(c->options.loop, &c->patience, client_patience(&c->client), timed_out, c);
}

void
connection_give_up(struct connection *c)
{
	bool waits = c->client.want == CLIENT_REPLY || c->client.want == CLIENT_TLS;

	if (waits && !c->text_sent)
		over(c, STATUS(0, 4, 4, 2, "the server took too long before the text"));
}

void
connection_quit(struct connection *c)
{
	if (c == NULL)
		return;
	say_goodbye(c);
	connection_end(c);
}

/* --- what the judge says ----------------------------------------------------------- */

static void
refused_by_judge(struct connection *c)
{
	c->end.clear_retry = c->judgement.verdict == SECURE_CLEAR_RETRY;
	say_goodbye(c);
	over(c, c->judgement.why);
}

/* True when the conversation may go on. */
static bool
judge(struct connection *c)
{
	secure_judge(&c->judgement, &c->host, &c->found, c->arena);
	if (c->judgement.counted && !c->judged && c->user != NULL && c->user->judged != NULL)
		c->user->judged(c->arg, &c->judgement);
	c->judged = c->judged || c->judgement.counted;
	if (c->judgement.verdict == SECURE_GO_ON)
		return true;
	refused_by_judge(c);
	return false;
}

static void
tell_ready(void *arg)
{
	struct connection *c = arg;

	c->client.want = CLIENT_READY;
	if (c->user != NULL)
		c->user->ready(c->arg);
}

/* Kept only when it proved whatever the plan looks at: a resumption proves nothing anew. */
static void
keep_session(struct connection *c)
{
	if (c->options.sessions != NULL && stream_secure(c->stream) &&
	    c->judgement.result == TLSRPT_SUCCESS &&
	    (c->host.watch < NEED_PKIX || c->judgement.trust == TRUST_VERIFIED))
		sessions_keep(c->options.sessions, stream_ssl(c->stream), &c->host, &c->peer);
}

/* EHLO was answered: TLS first, or ready, or away. */
static void
said_hello(struct connection *c)
{
	bool secure = stream_secure(c->stream);

	c->found.greeted = secure;
	c->found.requiretls = secure && c->client.offers.requiretls;
	c->found.starttls = secure || c->client.offers.starttls;
	if (!secure && c->client.offers.starttls && !c->options.in_clear) {
		client_starttls(&c->client);
		react(c);
		return;
	}
	if (judge(c)) {
		keep_session(c);
		loop_later(c->options.loop, &c->tell, tell_ready, c);
	}
}

static void
begin_tls(struct connection *c)
{
	SSL *ssl = SSL_new(c->options.tls);
	struct error why = { 0 };
	const struct clock *clock = c->options.loop->clock;

	bug_if(ssl == NULL);
	if (!verify_setup(ssl, &c->host, clock->is_virtual ? clock_now(clock) : 0, &why)) {
		SSL_free(ssl);
		over(c, status_make(0, 4, 7, 5, slice(why.text)));
		return;
	}
	if (c->options.sessions != NULL)
		sessions_resume(c->options.sessions, ssl, &c->host, &c->peer);
	tls_watch(ssl);
	stream_secure_client(c->stream, ssl);
}

static void
show_words(char text[FOUND_TEXT], struct slice words)
{
	struct buf b = BUF(4 * sizeof ((struct error *)NULL)->text);

	shown_add(&b, words);
	snprintf(text, FOUND_TEXT, "%.*s", FMT(buf_slice(&b)));
	buf_free(&b);
}

/* STARTTLS was offered and then refused: as a handshake that broke, a matter for the judge. */
static void
refused_tls(struct connection *c)
{
	struct error words;

	error_set(&words, "STARTTLS was refused: %.*s", FMT(c->client.failure.text));
	c->found.starttls = true;
	show_words(c->found.broke, slice(words.text));
	if (judge(c))
		over(c, c->client.failure);
}

/* --- the text ------------------------------------------------------------------------ */

static void
write_stuffed(struct connection *c, struct slice text)
{
	struct slice piece;
	bool dot;

	while (stuffing_next(&c->stuffing, &text, &dot, &piece)) {
		if (dot)
			stream_write(c->stream, S("."));
		stream_write(c->stream, piece);
	}
}

/* So the other side gets no dot; no other host would get a better text. */
static void
text_unreadable(struct connection *c, struct status why)
{
	c->end.unreadable = true;
	over(c, why);
}

/* One more piece of the letter; false when there is none. */
static bool
next_piece(struct connection *c, char *room, struct slice *piece)
{
	struct letter *l = c->letter;
	struct slice *from = l->head.n > 0 ? &l->head : &l->body;
	struct error why;
	size_t n;

	if (from->n > 0) {
		*piece = slice_head(*from, PIECE);
		*from = slice_skip(*from, PIECE);
		return true;
	}
	if (l->fd == -1 || l->left == 0)
		return false;
	n = l->left < PIECE ? (size_t)l->left : PIECE;
	if (!file_read_at(l->fd, room, n, l->at, &why)) {
		text_unreadable(c, status_make(0, 4, 3, 0, slice(why.text)));
		return false;
	}
	checksum_add(&l->sum, slice_of(room, n));
	l->at += (off_t)n;
	l->left -= n;
	*piece = slice_of(room, n);
	return true;
}

/* All pieces were written. */
static void
end_text(struct connection *c)
{
	if (!checksum_right(&c->letter->sum)) {
		text_unreadable(c, STATUS(0, 4, 3, 0, "its text is damaged here"));
		return;
	}
	if (c->stuffing.mid_line)
		stream_write(c->stream, S("\r\n"));
	client_text_sent(&c->client);
	c->text_sent = true;
}

static void
send_text(struct connection *c)
{
	char *room = must_alloc(PIECE);
	struct slice piece;

	while (stream_unwritten(c->stream) < UNWRITTEN_HIGH) {
		if (next_piece(c, room, &piece)) {
			write_stuffed(c, piece);
			continue;
		}
		if (c->stream != NULL)
			end_text(c);
		break;
	}
	free(room);
	if (c->stream != NULL)
		wait_for_reply(c);
}

void
connection_send(struct connection *c, struct client_mail *mail, struct letter *letter)
{
	bug_if(c->client.want != CLIENT_READY && c->client.want != CLIENT_DONE);
	c->letter = letter;
	c->stuffing = (struct stuffing){ 0 };
	c->text_sent = false;
	client_mail(&c->client, mail);
	react(c);
}

static void
tell_sent(void *arg)
{
	struct connection *c = arg;

	c->text_sent = false;
	if (c->user != NULL)
		c->user->sent(c->arg);
}

/* --- following the client ---------------------------------------------------------------- */

static void
write_out(struct connection *c)
{
	if (c->client.out.n > 0)
		stream_write(c->stream, buf_slice(&c->client.out));
	buf_clear(&c->client.out);
}

static void
react(struct connection *c)
{
	if (c->stream == NULL)
		return;
	write_out(c);
	switch (c->client.want) {
	case CLIENT_REPLY:
		wait_for_reply(c);
		break;
	case CLIENT_HELLO:
		timer_clear(c->options.loop, &c->patience);
		said_hello(c);
		break;
	case CLIENT_TLS:
		wait_for_reply(c);
		begin_tls(c);
		break;
	case CLIENT_TEXT:
		send_text(c);
		if (c->stream != NULL)
			write_out(c);
		break;
	case CLIENT_DONE:
		timer_clear(c->options.loop, &c->patience);
		loop_later(c->options.loop, &c->tell, tell_sent, c);
		break;
	case CLIENT_FAILED:
		if (c->client.tls_refused) {
			refused_tls(c);
			break;
		}
		say_goodbye(c);
		over(c, c->client.failure);
		break;
	case CLIENT_READY:
	case CLIENT_CLOSE:
		break;
	}
}

static void
on_connected(void *arg)
{
	struct connection *c = arg;

	c->connected = true;
	c->from = stream_local(c->stream).ip;
	wait_for_reply(c);
}

/* Between two messages a server has nothing to say: 421, or a mistake; either way it is over. */
static void
on_input(void *arg)
{
	struct connection *c = arg;
	struct slice input = stream_input(c->stream);
	size_t before = input.n;
	uint64_t replies = c->client.replies;

	if (c->client.want == CLIENT_READY || c->client.want == CLIENT_DONE) {
		over(c, STATUS(0, 4, 4, 2, "the server closed the idle connection"));
		return;
	}
	client_feed(&c->client, &input);
	if (c->stream != NULL)
		stream_take(c->stream, before - input.n);
	/* Also of commands sent together each has its own time (RFC 5321 4.5.3.2). */
	if (c->client.want != CLIENT_REPLY || c->client.replies != replies)
		react(c);
}

static void
on_drained(void *arg)
{
	struct connection *c = arg;

	if (c->client.want == CLIENT_TEXT)
		react(c);
}

static void
on_secured(void *arg)
{
	struct connection *c = arg;

	c->found.starttls = c->found.handshake = true;
	verify_read(stream_ssl(c->stream), &c->found);
	if (!judge(c))
		return;
	client_secured(&c->client);
	react(c);
}

/* Who has only older versions of TLS says so in an alert, and people need both sides of it. */
static void
tell_break(struct connection *c, const struct error *why)
{
	struct buf words = BUF(1024);

	buf_printf(&words, "%s; ", why->text);
	tls_versions_add(&words, stream_ssl(c->stream));
	show_words(c->found.broke, buf_slice(&words));
	buf_free(&words);
}

/* Between STARTTLS and the end of the handshake it broke off or hung: a matter for the judge. */
static void
tls_broke(struct connection *c, const struct error *why)
{
	struct error words;

	c->found.starttls = true;
	if (c->client.want == CLIENT_TLS) {
		tell_break(c, why);
		verify_read(stream_ssl(c->stream), &c->found);
	} else {
		error_set(&words, "STARTTLS: %s", why->text);
		show_words(c->found.broke, slice(words.text));
	}
	if (judge(c))
		over(c, status_make(0, 4, 7, 5, slice(c->found.broke)));
}

static void
on_closed(void *arg, const struct error *why)
{
	struct connection *c = arg;

	if (client_securing(&c->client)) {
		tls_broke(c, why);
		return;
	}
	if (c->client.want == CLIENT_TEXT)
		client_gone_in_text(&c->client, stream_input(c->stream));
	over(c, c->client.want == CLIENT_FAILED ? c->client.failure
	    : status_make(0, 4, 4, c->connected ? 2 : 1, slice(why->text)));
}

static const struct stream_user STREAM = {
	on_connected, on_input, on_drained, on_secured, on_closed,
};

/* --- beginning ---------------------------------------------------------------------------- */

struct connection *
connection_open(const struct connection_options *o, const struct plan_host *host,
    struct peer peer, const struct connection_user *user, void *arg, struct error *why)
{
	struct connection *c = must_alloc(sizeof *c);

	c->options = *o;
	c->host = *host;
	c->peer = peer;
	c->user = user;
	c->arg = arg;
	c->arena = arena_new(MEMORY);
	c->host.name = arena_copy(c->arena, host->name);        /* it may outlive the plan */
	c->found = (struct secure_found){ .clear_retry = o->in_clear, .depth = -1 };
	client_begin(&c->client, o->hostname, o->lmtp);
	if (host->need == NEED_NOTHING && !host->requiretls)
		client_allow_helo(&c->client);
	c->stream = stream_connect(o->loop, peer, o->from, &STREAM, c, why);
	if (c->stream == NULL) {
		connection_end(c);
		return NULL;
	}
	timer_set(o->loop, &c->patience, CONNECT_MS, timed_out, c);
	return c;
}

void
connection_hand(struct connection *c, const struct connection_user *user, void *arg)
{
	c->user = user;
	c->arg = arg;
}

static bool
peer_eq(const struct peer *a, const struct peer *b)
{
	return ip_eq(a->ip, b->ip) && a->port == b->port && strcmp(a->path, b->path) == 0;
}

bool
connection_serves(const struct connection *c, const struct plan_host *host, const struct peer *peer)
{
	return c->stream != NULL && !connection_worn(c) && peer_eq(&c->peer, peer) &&
	    memcmp(c->host.key, host->key, sizeof host->key) == 0;
}

bool
connection_worn(const struct connection *c)
{
	unsigned most = c->client.offers.mails_most;

	return c->client.mails >= MAILS_MOST || (most > 0 && c->client.mails >= most);
}

struct connection_facts
connection_facts(const struct connection *c)
{
	const SSL *ssl = c->stream != NULL && stream_secure(c->stream) ? stream_ssl(c->stream) : NULL;

	return (struct connection_facts){
		.host = c->host.name, .peer = c->peer, .from = c->from, .seen = slice(c->found.seen),
		.broke = slice(c->found.broke), .greeting = c->client.greeting,
		.tls = ssl ? tls_version(ssl) : NULL, .cipher = ssl ? tls_cipher(ssl) : NULL,
		.trust = c->judgement.trust, .policy = c->host.policy, .mails = c->client.mails,
		.dsn = c->client.offers.dsn,
	};
}

struct slice
connection_certificate(struct connection *c)
{
	if (c->stream != NULL && stream_secure(c->stream))
		verify_describe(stream_ssl(c->stream), c->found.seen);
	return slice(c->found.seen);
}
