/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/clock.h"
#include "base/text.h"
#include "delivery/client.h"

enum {
	OUT_MOST = 1 << 20,
	LINE_MOST = 4096,               /* RFC 5321 says 512; real servers say more */
	REPLY_MOST = 16384,             /* of all lines of one reply */
	TEXT_KEPT = 400,                /* of a reply, for log and report */
	MAIL_MEMORY = 2 << 20,
};

void
client_begin(struct client *c, struct slice hostname, bool lmtp)
{
	*c = (struct client){ .hostname = hostname, .lmtp = lmtp };
	c->out = BUF(OUT_MOST);
	c->reply.text = BUF(REPLY_MOST);
	c->lines.ceiling = LINE_MOST;
	c->memory = arena_new(REPLY_MOST);
	c->arena = arena_new(MAIL_MEMORY);
}

void
client_end(struct client *c)
{
	buf_free(&c->out);
	buf_free(&c->reply.text);
	arena_free(c->memory);
	arena_free(c->arena);
}

void
client_allow_helo(struct client *c)
{
	c->helo_allowed = !c->lmtp;
}

/* --- ends ----------------------------------------------------------------------- */

/* A reply that is no refusal, where only a refusal ends it: try later. */
static struct status
no_success(struct status s)
{
	if (s.class != 4 && s.class != 5)
		s.class = 4, s.subject = 5, s.detail = 0;
	return s;
}

static void
fail(struct client *c, struct status why)
{
	c->failure = no_success(why);
	c->want = CLIENT_FAILED;
}

/* The reply as a status that lives as long as the transaction. */
static struct status
said(struct client *c)
{
	struct slice text = slice_head(buf_slice(&c->reply.text), TEXT_KEPT);
	struct status s = status_of_reply(c->reply.code, text);
	struct buf shown = BUF(4 * TEXT_KEPT);

	harmless_add(&shown, s.text);
	s.text = arena_copy(c->arena, buf_slice(&shown));
	buf_free(&shown);
	return status_good(s) ? s : no_success(s);
}

static void
decide_all(struct client *c, struct status status)
{
	for (size_t i = 0; i < c->mail->count; i++)
		if (c->mail->recipients[i].status.class == 0)
			c->mail->recipients[i].status = status;
}

static void
done(struct client *c)
{
	c->at = AT_IDLE;
	c->want = CLIENT_DONE;
}

/* --- greeting and EHLO ------------------------------------------------------------ */

static void
say_hello(struct client *c, const char *verb)
{
	c->offers = (struct client_extensions){ 0 };    /* RFC 9422 3.6, RFC 3207 4.2 */
	buf_printf(&c->out, "%s %.*s\r\n", verb, FMT(c->hostname));
	c->at = verb[0] == 'H' ? AT_HELO : AT_EHLO;
	c->want = CLIENT_REPLY;
}

static void
read_limits(struct client_extensions *o, struct slice rest)
{
	struct slice word, name;
	uint64_t number;

	while (slice_word(&rest, &word)) {
		slice_cut(&word, '=', &name);
		if (word.n == 0 || *word.p == '0' || !slice_number(word, 999999, &number))
			continue;                               /* RFC 9422 3.7 */
		if (slice_eqi(name, S("RCPTMAX")))
			o->recipients_most = (unsigned)number;
		else if (slice_eqi(name, S("MAILMAX")))
			o->mails_most = (unsigned)number;
	}
}

static void
read_keyword(struct client *c, struct slice line)
{
	struct client_extensions *o = &c->offers;
	struct slice word;
	uint64_t number;

	if (!slice_word(&line, &word))
		return;
	line = slice_trim(line);
	if (slice_eqi(word, S("STARTTLS")))
		o->starttls = true;
	else if (slice_eqi(word, S("PIPELINING")))
		o->pipelining = true;
	else if (slice_eqi(word, S("8BITMIME")))
		o->eight_bit = true;
	else if (slice_eqi(word, S("SMTPUTF8")))
		o->smtputf8 = true;
	else if (slice_eqi(word, S("DSN")))
		o->dsn = true;
	else if (slice_eqi(word, S("REQUIRETLS")))
		o->requiretls = true;
	else if (slice_eqi(word, S("CHUNKING")))
		o->chunking = true;
	else if (slice_eqi(word, S("LIMITS")))
		read_limits(o, line);
	else if (slice_eqi(word, S("SIZE"))) {
		o->size = true;
		if (slice_number(line, UINT64_MAX, &number))
			o->size_most = number;
	}
}

static void
greeted(struct client *c)
{
	struct slice text = buf_slice(&c->reply.text), word;

	if (c->reply.code / 100 != 2) {
		fail(c, said(c));
		return;
	}
	if (slice_word(&text, &word))
		c->greeting = arena_copy(c->memory, slice_head(word, 255));
	say_hello(c, c->lmtp ? "LHLO" : "EHLO");
}

static void
hello_answered(struct client *c)
{
	if (c->reply.code / 100 == 2) {
		c->at = AT_IDLE;
		c->want = CLIENT_HELLO;
	} else if (c->at == AT_EHLO && c->helo_allowed &&
	    (c->reply.code == 500 || c->reply.code == 502)) {
		say_hello(c, "HELO");
	} else {
		fail(c, said(c));
	}
}

void
client_starttls(struct client *c)
{
	bug_if(c->at != AT_IDLE || c->secure);
	buf_add(&c->out, S("STARTTLS\r\n"));
	c->at = AT_STARTTLS;
	c->want = CLIENT_REPLY;
}

bool
client_securing(const struct client *c)
{
	return c->at == AT_STARTTLS && !c->secure;
}

static void
starttls_answered(struct client *c, struct slice input)
{
	if (c->reply.code != 220) {
		c->tls_refused = c->reply.code != 421;
		fail(c, said(c));
	} else if (input.n > 0)           /* response injection (A10.4) */
		fail(c, STATUS(0, 4, 7, 0, "the server spoke in the clear behind its STARTTLS reply"));
	else
		c->want = CLIENT_TLS;
}

void
client_secured(struct client *c)
{
	bug_if(c->want != CLIENT_TLS);
	c->secure = true;
	c->lines = (struct lines){ .ceiling = LINE_MOST };
	say_hello(c, c->lmtp ? "LHLO" : "EHLO");
}

/* --- a transaction ------------------------------------------------------------------ */

/* RFC 3461 4: what is not printable, "+" and "=" become +XX. */
static void
add_xtext(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '+' || s.p[i] == '=')
			buf_printf(b, "+%02X", (unsigned char)s.p[i]);
		else
			buf_byte(b, s.p[i]);
}

static void
say_mail(struct client *c)
{
	const struct client_mail *m = c->mail;

	buf_printf(&c->out, "MAIL FROM:<%.*s>", FMT(m->sender));
	if (c->offers.size)
		buf_printf(&c->out, " SIZE=%llu", (unsigned long long)m->size);
	if (m->eight_bit && c->offers.eight_bit)
		buf_add(&c->out, S(" BODY=8BITMIME"));
	if (m->smtputf8)
		buf_add(&c->out, S(" SMTPUTF8"));
	if (m->requiretls && c->offers.requiretls)
		buf_add(&c->out, S(" REQUIRETLS"));
	if (c->offers.dsn && m->ret != RET_UNSAID)
		buf_add(&c->out, m->ret == RET_FULL ? S(" RET=FULL") : S(" RET=HDRS"));
	if (c->offers.dsn && m->envid.n > 0) {
		buf_add(&c->out, S(" ENVID="));
		add_xtext(&c->out, m->envid);
	}
	buf_add(&c->out, S("\r\n"));
}

static void
add_notify(struct buf *b, unsigned notify)
{
	static const struct { unsigned bit; const char *word; } words[] = {
		{ NOTIFY_NEVER, "NEVER" }, { NOTIFY_SUCCESS, "SUCCESS" },
		{ NOTIFY_FAILURE, "FAILURE" }, { NOTIFY_DELAY, "DELAY" },
	};
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (notify & words[i].bit) {
			buf_printf(b, "%s%s", before, words[i].word);
			before = ",";
		}
}

/* As it was given; without SMTPUTF8 in letters that need none (RFC 6533 3). */
static void
add_orcpt(struct client *c, struct slice orcpt)
{
	struct buf ascii = BUF(ORCPT_MOST);

	if (c->mail->smtputf8 || ascii_only(orcpt))
		buf_printf(&c->out, " ORCPT=%.*s", FMT(orcpt));
	else if (orcpt_add_ascii(&ascii, orcpt))
		buf_printf(&c->out, " ORCPT=%.*s", FMT(buf_slice(&ascii)));
	buf_free(&ascii);
}

static void
say_rcpt(struct client *c)
{
	const struct client_recipient *r = &c->mail->recipients[c->said++];

	buf_printf(&c->out, "RCPT TO:<%.*s>", FMT(r->address));
	if (c->offers.dsn) {
		add_notify(&c->out, r->notify);
		if (r->orcpt.n > 0)
			add_orcpt(c, r->orcpt);
	}
	buf_add(&c->out, S("\r\n"));
}

static void
say_data(struct client *c)
{
	buf_add(&c->out, S("DATA\r\n"));
	c->data_said = true;
}

/* What the server must be able to do for this message, or a status of class 0. */
static struct status
unable(const struct client *c, const struct client_mail *m)
{
	if (m->requiretls_needed && !c->offers.requiretls)
		return STATUS(0, 5, 7, 30, "the server does not offer REQUIRETLS");     /* RFC 8689 4.2.1 */
	if (m->smtputf8 && !c->offers.smtputf8)
		return STATUS(0, 5, 6, 7, "the server does not take internationalized mail");
	if (m->eight_bit && !c->offers.eight_bit && !m->eight_bit_anyway)
		return STATUS(0, 5, 6, 3, "the server does not take 8-bit mail");       /* RFC 6152 3 */
	if (c->offers.size_most > 0 && m->size > c->offers.size_most)
		return STATUS(0, 5, 3, 4, "the message is larger than the server takes");
	return (struct status){ 0 };
}

void
client_mail(struct client *c, struct client_mail *m)
{
	struct status no = unable(c, m);

	bug_if(c->at != AT_IDLE || m->count == 0);
	arena_reset(c->arena);
	c->mail = m;
	c->said = c->answered = c->accepted = c->ended = 0;
	c->data_said = c->mail_refused = false;
	if (no.class != 0) {
		decide_all(c, no);
		done(c);
		return;
	}
	c->mails++;
	say_mail(c);
	c->at = AT_MAIL;
	c->want = CLIENT_REPLY;
	if (c->offers.pipelining) {
		while (c->said < m->count)
			say_rcpt(c);
		say_data(c);
	}
}

static void
next_command(struct client *c)
{
	if (c->said < c->mail->count && !c->offers.pipelining) {
		say_rcpt(c);
		c->at = AT_RCPT;
	} else if (c->answered < c->said) {
		c->at = AT_RCPT;
	} else {
		if (!c->data_said)
			say_data(c);
		c->at = AT_DATA;
	}
}

static void
mail_answered(struct client *c)
{
	if (c->reply.code / 100 != 2) {
		decide_all(c, said(c));
		c->mail_refused = true;
		if (!c->offers.pipelining) {
			done(c);
			return;
		}
	}
	next_command(c);
}

static void
rcpt_answered(struct client *c)
{
	struct client_recipient *r = &c->mail->recipients[c->answered++];

	if (c->reply.code / 100 == 2) {
		c->accepted += !c->mail_refused;
	} else if (r->status.class == 0) {
		r->status = said(c);
		if (c->reply.code == 552)       /* too many recipients, RFC 5321 4.5.3.1.10 */
			r->status.class = 4;
	}
	if (c->answered == c->mail->count && c->accepted == 0 && !c->data_said)
		done(c);
	else
		next_command(c);
}

static void
data_answered(struct client *c)
{
	if (c->reply.code / 100 == 3 && c->accepted > 0) {
		c->at = AT_TEXT;
		c->want = CLIENT_TEXT;
	} else if (c->reply.code / 100 == 3) {
		buf_add(&c->out, S(".\r\n"));                   /* RFC 2920 3.1: nothing to deliver */
		c->at = AT_END;
	} else if (c->reply.code / 100 == 2) {          /* nothing was sent that it could have taken */
		fail(c, STATUS(0, 4, 5, 0, "the server answered DATA as if there had been a message"));
	} else {
		decide_all(c, said(c));
		done(c);
	}
}

void
client_text_sent(struct client *c)
{
	bug_if(c->at != AT_TEXT);
	buf_add(&c->out, S(".\r\n"));
	c->at = AT_END;
	c->want = CLIENT_REPLY;
}

/* RFC 2033 4.2: one reply for each accepted recipient, in their order. */
static void
lmtp_ended(struct client *c)
{
	struct client_mail *m = c->mail;

	while (c->ended < m->count && m->recipients[c->ended].status.class != 0)
		c->ended++;
	if (c->ended < m->count)
		m->recipients[c->ended].status = said(c);
	for (size_t i = 0; i < m->count; i++)
		if (m->recipients[i].status.class == 0)
			return;
	done(c);
}

static void
text_answered(struct client *c)
{
	if (c->lmtp && c->accepted > 0) {
		lmtp_ended(c);
		return;
	}
	decide_all(c, said(c));
	done(c);
}

/* Read only when the server has gone: who is still there is told all of the text. */
static void
text_interrupted(struct client *c)
{
	if (c->reply.code / 100 == 5)
		decide_all(c, said(c));
	fail(c, c->reply.code / 100 >= 4 ? said(c)
	    : STATUS(0, 4, 5, 0, "the server spoke out of turn"));
}

void
client_quit(struct client *c)
{
	buf_add(&c->out, S("QUIT\r\n"));
	c->at = AT_QUIT;
	c->want = CLIENT_REPLY;
}

/* --- replies -------------------------------------------------------------------------- */

static void
answered(struct client *c, struct slice rest)
{
	/* 421 can stand anywhere and means that the server goes (RFC 5321 3.8). */
	if (c->reply.code == 421 && c->at != AT_QUIT) {
		fail(c, said(c));
		return;
	}
	switch (c->at) {
	case AT_GREETING:
		greeted(c);
		break;
	case AT_EHLO:
	case AT_HELO:
		hello_answered(c);
		break;
	case AT_STARTTLS:
		starttls_answered(c, rest);
		break;
	case AT_MAIL:
		mail_answered(c);
		break;
	case AT_RCPT:
		rcpt_answered(c);
		break;
	case AT_DATA:
		data_answered(c);
		break;
	case AT_TEXT:
		text_interrupted(c);
		break;
	case AT_END:
		text_answered(c);
		break;
	case AT_QUIT:
		c->want = CLIENT_CLOSE;
		break;
	default:
		fail(c, STATUS(0, 4, 5, 0, "the server spoke out of turn"));
	}
}

/* 3 digits, then a blank, a hyphen or the end (RFC 5321 4.2.1); false when it is no reply. */
static bool
read_reply_line(struct client *c, struct slice line, bool *last)
{
	struct client_reply *r = &c->reply;
	uint64_t code;

	if (line.n < 3 || !slice_number(slice_head(line, 3), 599, &code) || code < 200)
		return false;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return false;
	if (r->started && r->code != code)
		return false;
	*last = line.n == 3 || line.p[3] == ' ';
	line = slice_skip(line, 4);
	if (c->at == AT_EHLO && r->started)             /* the first line is the server's name */
		read_keyword(c, line);
	if (r->started)
		buf_byte(&r->text, ' ');
	buf_add(&r->text, line);
	r->code = (unsigned)code;
	r->started = true;
	return !r->text.full;
}

/* One reply, or false when it has not come whole. */
static bool
take_reply(struct client *c, struct slice *input)
{
	struct slice line;
	bool last = false;

	for (;;) {
		switch (lines_next(&c->lines, input, &line)) {
		case LINE_PART:
			return false;
		case LINE_WHOLE:
		case LINE_BARE:                         /* some servers end lines with LF alone */
			if (!read_reply_line(c, line, &last)) {
				fail(c, STATUS(0, 4, 5, 0, "the server's reply makes no sense"));
				return false;
			}
			if (last)
				return true;
			break;
		default:
			fail(c, STATUS(0, 4, 5, 0, "a line of the server's reply is too long"));
			return false;
		}
	}
}

void
client_feed(struct client *c, struct slice *input)
{
	while (c->want == CLIENT_REPLY && take_reply(c, input)) {
		c->replies++;
		answered(c, *input);
		buf_clear(&c->reply.text);
		c->reply.code = 0;
		c->reply.started = false;
	}
}

void
client_gone_in_text(struct client *c, struct slice said)
{
	bug_if(c->want != CLIENT_TEXT);
	c->want = CLIENT_REPLY;
	client_feed(c, &said);
	if (c->want != CLIENT_FAILED)
		c->want = CLIENT_TEXT;
}

int64_t
client_patience(const struct client *c)
{
	switch (c->at) {
	case AT_STARTTLS:                       /* no RFC says; who hangs there may serve us in clear */
		return c->want == CLIENT_TLS ? MINUTE : 2 * MINUTE;
	case AT_DATA:
		return 2 * MINUTE;
	case AT_TEXT:
		return 3 * MINUTE;
	case AT_END:
		return 10 * MINUTE;
	case AT_QUIT:
		return 5 * SECOND;
	default:
		return 5 * MINUTE;
	}
}
