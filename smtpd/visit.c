/* SPDX-License-Identifier: ISC */
/*
 * visit -- one client's connection: bytes between its stream and the session,
 * and how long anybody may take.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "conf/events.h"
#include "mail/srs.h"
#include "smtpd/inside.h"

enum {
	TEXT_LEAST = 4096,              /* octets of a text in each span of the idle limit */
	HANDSHAKE_MS = 60 * SECOND,
};

struct visit {
	struct visit        *next, **back;
	struct door         *door;
	struct smtpd        *smtpd;
	struct stream       *stream;
	struct peer          peer;
	struct session_terms terms;
	struct session       session;
	struct intake       *intake;    /* while a text comes in … */
	uint64_t             text;      /* … and the number of that text */
	struct accept       *accept;
	struct storing      *space;     /* a file was asked for */
	struct timer         patience;
	uint64_t             text_seen; /* at the last look */
	unsigned             messages;
	int64_t              begun;
};

static void pump(struct visit *v);

/* --- what the session asks ---------------------------------------------------------- */

/* An SRS address of ours takes bounces, and only while it is good (mail/srs.h). */
static struct status
say_rewritten(struct visit *v, const struct address *address, struct arena *arena)
{
	struct srs srs = { address->domain, v->smtpd->secrets.srs };
	struct address back;
	enum srs_result r = srs_back(&srs, address, clock_now(v->smtpd->loop->clock), arena, &back);

	if (r != SRS_OK)
		return status_make(550, 5, 1, 1, arena_printf(arena,
		    "no such user here: the forwarding address is %s", srs_result_name(r)));
	if (v->session.mail.sender.text.n > 0)
		return STATUS(550, 5, 7, 1, "a forwarding address takes bounces only");
	return STATUS(250, 2, 1, 5, "recipient ok");
}

/* RFC 3463 3.3: X.2.4, a list that cannot be expanded. */
static struct status
say_post(const struct visit *v, const struct list *list)
{
	if (list->member_count == 0)
		return STATUS(450, 4, 2, 4, "the list has no members now");
	if (route_may_post(list, &v->session.mail.sender) ||
	    (list->moderator != NULL && v->session.mail.sender.text.n > 0))
		return STATUS(250, 2, 1, 5, "recipient ok");
	if (v->session.mail.sender.text.n == 0)
		return STATUS(550, 5, 7, 2, "a post needs a sender");
	return list->conf->post == POST_MEMBERS
	    ? STATUS(550, 5, 7, 2, "only members may send to this list")
	    : STATUS(550, 5, 7, 2, "only its moderator may send to this list");
}

static struct status
say_recipient(void *arg, const struct address *address)
{
	struct visit *v = arg;
	struct arena *arena = v->session.mail.arena;
	struct route r = route_local(v->smtpd->options.routes, address, arena);

	if (r.kind != ROUTE_REMOTE && srs_is(address))
		return say_rewritten(v, address, arena);
	switch (r.kind) {
	case ROUTE_REMOTE:
		return v->terms.relay ? STATUS(250, 2, 1, 5, "recipient ok")
		    : STATUS(550, 5, 7, 1, "relaying is not allowed");
	case ROUTE_NO_USER:
		return r.refusal;
	case ROUTE_LIST:
		return say_post(v, r.list);
	default:
		return STATUS(250, 2, 1, 5, "recipient ok");
	}
}

static void
log_refused(void *arg, struct slice verb, struct status status)
{
	struct visit *v = arg;
	struct log_line l = log_event(v->smtpd->options.log, &EVENT_REFUSED, 0);
	char ip[IP_TEXT], dsn[40];

	ip_text(v->peer.ip, ip);
	log_slice(&l, "listener", v->door->conf->name);
	log_text(&l, "client", ip);
	log_slice(&l, "helo", v->session.helo);
	if (v->session.mail.begun)
		log_path(&l, "from", v->session.mail.sender.text);
	if (v->session.about.n > 0)
		log_path(&l, "to", v->session.about);
	log_slice(&l, "verb", verb);
	log_number(&l, "reply", status.reply);
	if (status.class != 0) {
		snprintf(dsn, sizeof dsn, "%u.%u.%u", status.class, status.subject, status.detail);
		log_text(&l, "dsn", dsn);
	}
	log_slice(&l, "why", status.text);
	log_end(&l);
}

/* --- the end of a visit ------------------------------------------------------------------ */

static void
drop_intake(struct visit *v)
{
	if (v->intake == NULL)
		return;
	if (v->intake->file_number != 0)
		storage_drop_space(v->smtpd->storage, v->intake->file_number);
	intake_end(v->intake);
	free(v->intake);
	v->intake = NULL;
}

static void
log_disconnected(const struct visit *v, const char *reason)
{
	struct log_line l = log_event(v->smtpd->options.log, &EVENT_DISCONNECTED, 0);
	char ip[IP_TEXT];

	ip_text(v->peer.ip, ip);
	log_slice(&l, "listener", v->door->conf->name);
	log_text(&l, "client", ip);
	log_slice(&l, "helo", v->session.helo);
	log_number(&l, "messages", v->messages);
	log_number(&l, "errors", v->session.errors);
	log_text(&l, "reason", reason);
	log_end(&l);
}

static unsigned
door_number(const struct door *d)
{
	return (unsigned)(d - d->smtpd->doors);
}

static void
end_visit(struct visit *v, const char *reason)
{
	struct smtpd *s = v->smtpd;

	log_disconnected(v, reason);
	if ((*v->back = v->next) != NULL)
		v->next->back = v->back;
	s->visit_count--;
	counts_leave(s->counts, s->options.slot, door_number(v->door));
	timer_clear(s->loop, &v->patience);
	accept_forget(v->accept);
	storage_forget(v->space);
	drop_intake(v);
	stream_end(v->stream);
	session_end(&v->session);
	free(v);
	smtpd_visit_over(s);
}

/* What was said last still goes out. */
static void
close_visit(struct visit *v, const char *reason)
{
	stream_finish(v->stream);
	v->stream = NULL;
	end_visit(v, reason);
}

static void
say_out(struct visit *v)
{
	if (v->session.out.n > 0)
		stream_write(v->stream, buf_slice(&v->session.out));
	buf_free(&v->session.out);
}

static void
goodbye(struct visit *v, struct status status, const char *reason)
{
	if (v->session.want != SESSION_TLS) {
		session_close(&v->session, status);
		say_out(v);
	}
	close_visit(v, reason);
}

/* --- time -------------------------------------------------------------------------------- */

static void out_of_patience(void *arg);

static void
wait_for_client(struct visit *v)
{
	int64_t ms = v->smtpd->options.conf->limits.idle;

	v->text_seen = v->intake != NULL ? v->intake->size : 0;
	timer_set(v->smtpd->loop, &v->patience, ms, out_of_patience, v);
}

/* A text may take long, but not for ever: it must move. */
static void
out_of_patience(void *arg)
{
	struct visit *v = arg;

	if (v->intake != NULL && v->intake->size - v->text_seen >= TEXT_LEAST) {
		wait_for_client(v);
		return;
	}
	goodbye(v, STATUS(421, 4, 4, 2, "too slow, goodbye"), "timeout");
}

/* --- a message ------------------------------------------------------------------------------ */

/* For the text of now: chunks of one that was given up must not get into the next. */
static struct intake *
intake_of(struct visit *v)
{
	if (v->text != v->session.texts)
		drop_intake(v);
	if (v->intake == NULL) {
		v->intake = must_alloc(sizeof *v->intake);
		intake_begin(v->intake, v->smtpd->options.conf->key_count > 0);
		v->text = v->session.texts;
	}
	return v->intake;
}

static void
take_text(void *arg, struct slice piece)
{
	intake_add(intake_of(arg), piece);
}

static void
space_given(void *arg, struct status status, uint64_t file, int fd)
{
	struct visit *v = arg;

	v->space = NULL;
	if (fd == -1 || v->intake == NULL) {
		if (fd != -1) {
			close(fd);
			storage_drop_space(v->smtpd->storage, file);
		}
		if (v->intake != NULL)
			intake_refuse(v->intake, status);
	} else {
		intake_file(v->intake, fd, file);
	}
	stream_resume(v->stream);
	if (v->session.want == SESSION_ACCEPT)
		pump(v);
}

/* The text is larger than fits here: no more of it before there is a file. */
static bool
waits_for_file(struct visit *v)
{
	if (v->intake == NULL || !v->intake->wants_file)
		return false;
	if (v->space == NULL)
		v->space = storage_space(v->smtpd->storage, space_given, v);
	stream_pause(v->stream);
	timer_clear(v->smtpd->loop, &v->patience);
	return true;
}

static void
accepted(void *arg, struct status status)
{
	struct visit *v = arg;

	v->accept = NULL;
	if (status_good(status))
		v->messages++;
	session_finish(&v->session, status);
	drop_intake(v);
	say_out(v);
	if (v->session.want == SESSION_CLOSE || v->smtpd->hurried) {
		goodbye(v, STATUS(421, 4, 3, 2, "this server goes down, goodbye"), "shutdown");
		return;
	}
	wait_for_client(v);
	stream_resume(v->stream);
}

static void
accept_message(struct visit *v)
{
	SSL *ssl = stream_ssl(v->stream);
	struct accept_client client = { v->door->conf, v->peer.ip, v->terms.relay,
	    ssl ? tls_version(ssl) : NULL, ssl ? tls_cipher(ssl) : NULL };

	intake_of(v);                           /* also of a message without a byte */
	timer_clear(v->smtpd->loop, &v->patience);
	stream_pause(v->stream);
	if (!rates_allow(v->smtpd->rates, v->peer.ip, v->door->conf->messages,
	    clock_ticks(v->smtpd->loop->clock)))
		intake_refuse(v->intake, STATUS(451, 4, 7, 0, "too many messages from you; try later"));
	intake_finish(v->intake);
	v->accept = accept_begin(v->smtpd, &client, &v->session, v->intake, accepted, v);
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void
start_tls(struct visit *v)
{
	say_out(v);
	timer_set(v->smtpd->loop, &v->patience, HANDSHAKE_MS, out_of_patience, v);
	stream_secure_server(v->stream, tls_server_context(v->door->tls));
}

static void
pump(struct visit *v)
{
	struct slice input = stream_input(v->stream);
	size_t before = input.n;

	if (v->session.want == SESSION_MORE)
		session_feed(&v->session, &input);
	stream_take(v->stream, before - input.n);
	if (!v->session.mail.begun)
		drop_intake(v);
	if (waits_for_file(v))
		return;
	switch (v->session.want) {
	case SESSION_MORE:
		if (input.n < before && v->intake == NULL)
			wait_for_client(v);     /* a whole command came */
		say_out(v);
		break;
	case SESSION_ACCEPT:
		say_out(v);
		accept_message(v);
		break;
	case SESSION_TLS:
		start_tls(v);
		break;
	case SESSION_CLOSE:
		say_out(v);
		close_visit(v, "quit");
		break;
	}
}

static void
on_input(void *arg)
{
	struct visit *v = arg;

	if (v->accept == NULL && v->space == NULL)
		pump(v);
}

static void
on_secured(void *arg)
{
	struct visit *v = arg;

	session_secured(&v->session);
	wait_for_client(v);
	say_out(v);
}

static void
on_closed(void *arg, const struct error *why)
{
	struct visit *v = arg;

	if (v->session.want == SESSION_TLS) {
		struct log_line l = log_event(v->smtpd->options.log, &EVENT_TLS_FAILED, 0);
		char ip[IP_TEXT];

		ip_text(v->peer.ip, ip);
		log_slice(&l, "listener", v->door->conf->name);
		log_text(&l, "client", ip);
		log_text(&l, "direction", "in");
		log_text(&l, "why", why->text);
		log_end(&l);
	}
	end_visit(v, why->text);
}

static const struct stream_user STREAM = { NULL, on_input, NULL, on_secured, on_closed };

/* --- beginning -------------------------------------------------------------------------------- */

static bool
may_relay(const struct listen_conf *c, struct ip ip)
{
	for (size_t i = 0; i < c->relay_count; i++)
		if (ip_in(ip, c->relay[i].ip, c->relay[i].bits))
			return true;
	return false;
}

/* An envelope has no room for more. */
static unsigned
recipients_most(const struct conf *conf)
{
	return conf->limits.recipients < RECIPIENTS_MOST ? conf->limits.recipients : RECIPIENTS_MOST;
}

static struct session_terms
terms_of(struct visit *v)
{
	const struct conf *conf = v->smtpd->options.conf;
	const struct listen_conf *c = v->door->conf;
	bool relay = may_relay(c, v->peer.ip);

	return (struct session_terms){
		.hostname = conf->hostname, .tls_offered = v->door->tls != NULL,
		.tls_at_once = c->tls_implicit, .relay = relay,
		.bare = conf->policy.bare_newline_normalize || relay ? BARE_REPAIR : BARE_KEEP,
		.size_most = c->size > 0 ? c->size : conf->limits.size,
		.recipients_most = recipients_most(conf), .errors_most = conf->limits.errors,
		.idle_most = conf->limits.commands, .line_most = (size_t)conf->limits.line,
		.recipient = say_recipient, .refused = log_refused, .arg = v,
	};
}

static void
log_connected(const struct visit *v)
{
	struct log_line l = log_event(v->smtpd->options.log, &EVENT_CONNECTED, 0);
	char ip[IP_TEXT];

	ip_text(v->peer.ip, ip);
	log_slice(&l, "listener", v->door->conf->name);
	log_text(&l, "client", ip);
	log_number(&l, "port", v->peer.port);
	log_end(&l);
}

/* Too many: a word, and away, without a visit. */
static void
turn_away(struct door *d, int fd)
{
	static const char words[] = "421 4.7.0 too many connections, try later\r\n";

	(void)d;
	if (send(fd, words, sizeof words - 1, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		(void)0;                        /* he will notice anyway */
	close(fd);
}

void
visit_begin(struct door *d, int fd, struct peer peer)
{
	struct smtpd *s = d->smtpd;
	struct visit *v;

	if (!counts_enter(s->counts, s->options.slot, door_number(d), d->conf->connections)) {
		turn_away(d, fd);
		return;
	}
	v = must_alloc(sizeof *v);
	*v = (struct visit){ .next = s->visits, .back = &s->visits, .door = d, .smtpd = s, .peer = peer };
	if (v->next != NULL)
		v->next->back = &v->next;
	s->visits = v;
	s->visit_count++;
	v->terms = terms_of(v);
	v->stream = stream_new(s->loop, fd, &STREAM, v);
	session_begin(&v->session, &v->terms, take_text, v);
	log_connected(v);
	if (v->session.want == SESSION_TLS) {
		start_tls(v);
		return;
	}
	wait_for_client(v);
	say_out(v);
}

void
visits_end(struct smtpd *s)
{
	while (s->visits != NULL)
		end_visit(s->visits, "shutdown");
}

/* Those who have nothing under way may go now; the others when they are done. */
void
visits_goodbye(struct smtpd *s)
{
	for (struct visit *v = s->visits, *next; v != NULL; v = next) {
		next = v->next;
		if (v->accept == NULL && v->intake == NULL && v->session.want != SESSION_TLS)
			goodbye(v, STATUS(421, 4, 3, 2, "this server goes down, goodbye"), "shutdown");
	}
}
