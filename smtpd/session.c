/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "smtpd/session.h"
#include "smtpd/verbs.h"

enum {
	OUT_MOST = 1 << 20,
	SENDER_MEMORY = 64 << 10,       /* all of a transaction but its recipients */
};

/* --- saying things ----------------------------------------------------------- */

/* RFC 2034 4: an enhanced code in every reply but greeting, HELO, EHLO and 3yz. */
void
session_say(struct session *s, struct status status)
{
	buf_printf(&s->out, "%u ", status.reply);
	if (status.class != 0)
		buf_printf(&s->out, "%u.%u.%u ", status.class, status.subject, status.detail);
	buf_add(&s->out, slice_head(status.text, 480));
	buf_add(&s->out, S("\r\n"));
}

void
session_close(struct session *s, struct status status)
{
	session_say(s, status);
	s->want = SESSION_CLOSE;
}

void
session_refuse(struct session *s, struct status status)
{
	session_say(s, status);
	if (s->terms->refused != NULL)
		s->terms->refused(s->terms->arg, s->verb, status);
	if (++s->errors > s->terms->errors_most)
		session_close(s, STATUS(421, 4, 7, 0, "too many errors, goodbye"));
}

static void
greet(struct session *s)
{
	buf_printf(&s->out, "220 %.*s ESMTP Chainmail\r\n", FMT(s->terms->hostname));
}

/* --- beginning and ending ------------------------------------------------------ */

/* An idle session holds no memory but its own struct. */
void
transaction_clear(struct session *s)
{
	arena_free(s->mail.arena);
	s->mail = (struct transaction){ 0 };
	s->mail.last = &s->mail.recipients;
	s->chunked = s->chunk_refused = false;
}

void
session_begin(struct session *s, const struct session_terms *terms,
    void (*sink)(void *, struct slice), void *arg)
{
	*s = (struct session){ .terms = terms, .sink = sink, .sink_arg = arg };
	s->out = BUF(OUT_MOST);
	s->lines.ceiling = COMMAND_MOST;
	s->mail.last = &s->mail.recipients;
	if (terms->tls_at_once)
		s->want = SESSION_TLS;
	else
		greet(s);
}

void
session_end(struct session *s)
{
	arena_free(s->mail.arena);
	buf_free(&s->out);
}

void
session_secured(struct session *s)
{
	bool at_once = s->terms->tls_at_once && !s->secure;

	bug_if(s->want != SESSION_TLS);
	s->secure = true;
	s->want = SESSION_MORE;
	s->helo = NONE;
	s->extended = false;
	s->lines = (struct lines){ .ceiling = COMMAND_MOST };
	transaction_clear(s);
	if (at_once)
		greet(s);
}

/* --- commands ---------------------------------------------------------------------- */

/* A ceiling: what is used grows with what is said. */
static size_t
transaction_memory(const struct session_terms *t)
{
	size_t most = (TRANSACTION_MOST - SENDER_MEMORY) / RECIPIENT_MEMORY;

	return SENDER_MEMORY + RECIPIENT_MEMORY * (t->recipients_most < most ? t->recipients_most : most);
}

static void
answer(struct session *s, struct slice line)
{
	struct slice argument;
	const struct verb *verb = verb_find(line, &argument);

	s->verb = slice_head(line, verb != NULL ? strlen(verb->name) : 20);
	if (s->mail.arena == NULL)
		s->mail.arena = arena_new(transaction_memory(s->terms));
	if (verb == NULL || !verb->bounded)
		s->idle++;
	if (s->idle > s->terms->idle_most)
		session_close(s, STATUS(421, 4, 7, 0, "too many commands without mail, goodbye"));
	else if (verb == NULL)
		session_refuse(s, STATUS(500, 5, 5, 1, "unknown command"));
	else if (s->terms->tls_required && !s->secure && !verb->before_tls)
		session_refuse(s, STATUS(530, 5, 7, 0, "say STARTTLS first"));
	else
		verb->run(s, argument);
}

static void
feed_command(struct session *s, struct slice *input)
{
	struct slice line;

	s->verb = NONE;
	switch (lines_next(&s->lines, input, &line)) {
	case LINE_PART:
		return;
	case LINE_WHOLE:
		answer(s, line);
		return;
	case LINE_LONG:
		session_refuse(s, STATUS(500, 5, 5, 2, "the line is too long"));
		return;
	case LINE_BARE:
		session_refuse(s, STATUS(500, 5, 5, 2, "lines end with CRLF and nothing else"));
		return;
	case LINE_NUL:
		session_refuse(s, STATUS(500, 5, 5, 2, "no NUL in a command"));
		return;
	}
}

/* --- text ---------------------------------------------------------------------------- */

/* What is too much is counted, not kept. */
static void
keep(struct session *s, struct slice piece)
{
	if (piece.n > 0 && s->text.size <= s->terms->size_most)
		s->sink(s->sink_arg, piece);
}

static void
feed_text(struct session *s, struct slice *input)
{
	struct slice piece;

	while (text_next(&s->text, input, &piece))
		keep(s, piece);
	if (s->text.ended)
		s->want = SESSION_ACCEPT;
}

static void
chunk_ended(struct session *s)
{
	s->reading = READ_COMMAND;
	if (s->chunk_refused)
		session_refuse(s, STATUS(503, 5, 5, 1, "BDAT is out of order here"));
	else if (s->chunk_last)
		s->want = SESSION_ACCEPT;
	else
		session_say(s, STATUS(250, 2, 0, 0, "chunk taken"));
}

/* Exactly the announced octets belong to the chunk, also when it is refused (RFC 3030 2). */
static void
feed_chunk(struct session *s, struct slice *input)
{
	uint64_t n = s->chunk_left < input->n ? s->chunk_left : input->n;
	struct slice chunk = slice_head(*input, (size_t)n), piece;

	*input = slice_skip(*input, chunk.n);
	s->chunk_left -= chunk.n;
	while (!s->chunk_refused && text_next(&s->text, &chunk, &piece))
		keep(s, piece);
	if (s->chunk_left > 0)
		return;
	if (!s->chunk_refused && s->chunk_last)
		keep(s, text_finish(&s->text));
	chunk_ended(s);
}

void
session_feed(struct session *s, struct slice *input)
{
	size_t left;
	int reading;

	do {
		left = input->n;
		reading = s->reading;
		switch (s->reading) {
		case READ_COMMAND:
			feed_command(s, input);
			break;
		case READ_TEXT:
			feed_text(s, input);
			break;
		case READ_CHUNK:
			feed_chunk(s, input);
			break;
		}
		/* A chunk of no octets ends without taking any; there may be more behind it. */
	} while (s->want == SESSION_MORE && (input->n < left || (int)s->reading != reading));
}

struct status
session_text_flaw(const struct session *s)
{
	const struct text *t = &s->text;

	if (t->size > s->terms->size_most)
		return STATUS(552, 5, 3, 4, "the message is larger than what is taken here");
	if (s->terms->bare == BARE_KEEP && (t->bare_cr || t->bare_lf))
		return STATUS(550, 5, 5, 2, "lines end with CRLF; a CR or LF stood alone");
	if (t->nul)
		return STATUS(550, 5, 6, 0, "the message holds a NUL");
	if (t->longest > s->terms->line_most)
		return STATUS(550, 5, 6, 0, "a line of the message is too long");
	return (struct status){ 0 };
}

void
session_finish(struct session *s, struct status status)
{
	bug_if(s->want != SESSION_ACCEPT);
	s->want = SESSION_MORE;
	s->reading = READ_COMMAND;
	if (status_good(status))
		s->idle = 0;            /* a client that brings mail may stay */
	if (status.reply == 421)
		session_close(s, status);
	else
		session_say(s, status);
	transaction_clear(s);
}

const char *
session_protocol(const struct session *s)
{
	if (s->mail.smtputf8)
		return s->secure ? "UTF8SMTPS" : "UTF8SMTP";
	if (!s->extended)
		return "SMTP";          /* nobody has registered a word for HELO under TLS */
	return s->secure ? "ESMTPS" : "ESMTP";
}
