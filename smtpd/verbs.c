/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "mail/domain.h"
#include "smtpd/verbs.h"

/* --- HELO, EHLO ------------------------------------------------------------------ */

/* A domain or an address literal (RFC 5321 4.1.1.1); kept as it was written. */
static bool
take_helo(struct session *s, struct slice name)
{
	unsigned char bytes[16];
	bool proper = domain_literal(name, bytes) > 0 ||
	    (ascii_only(name) && domain_normal(name, s->mail.arena).p != NULL);

	if (!proper || name.n > sizeof s->helo_text)
		return false;
	memcpy(s->helo_text, name.p, name.n);
	s->helo = slice_of(s->helo_text, name.n);
	return true;
}

static void
helo(struct session *s, struct slice name)
{
	if (!take_helo(s, name)) {
		session_refuse(s, STATUS(501, 5, 5, 4, "HELO wants a domain name"));
		return;
	}
	s->extended = false;
	transaction_clear(s);
	buf_printf(&s->out, "250 %.*s\r\n", FMT(s->terms->hostname));
}

static void
ehlo(struct session *s, struct slice name)
{
	if (!take_helo(s, name)) {
		session_refuse(s, STATUS(501, 5, 5, 4, "EHLO wants a domain name"));
		return;
	}
	s->extended = true;
	transaction_clear(s);
	buf_printf(&s->out, "250-%.*s greets %.*s\r\n", FMT(s->terms->hostname),
	    FMT(s->helo));
	buf_add(&s->out, S("250-PIPELINING\r\n"));
	buf_printf(&s->out, "250-SIZE %llu\r\n", (unsigned long long)s->terms->size_most);
	if (s->terms->tls_offered && !s->secure)
		buf_add(&s->out, S("250-STARTTLS\r\n"));
	if (s->secure)
		buf_add(&s->out, S("250-REQUIRETLS\r\n"));
	buf_printf(&s->out, "250-LIMITS RCPTMAX=%u\r\n", s->terms->recipients_most);
	buf_add(&s->out, S("250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
	    "250-DSN\r\n250 SMTPUTF8\r\n"));
}

static void
starttls(struct session *s, struct slice argument)
{
	if (argument.n > 0) {
		session_refuse(s, STATUS(501, 5, 5, 4, "STARTTLS takes no argument"));
	} else if (s->secure) {
		session_refuse(s, STATUS(503, 5, 5, 1, "TLS is there already"));
	} else if (!s->terms->tls_offered) {
		session_refuse(s, STATUS(502, 5, 5, 1, "no TLS here"));
	} else {
		session_say(s, STATUS(220, 2, 0, 0, "begin TLS"));
		s->want = SESSION_TLS;
	}
}

/* --- parameters of MAIL and RCPT (RFC 5321 4.1.1.11) ----------------------------- */

struct parameter {
	struct slice name, value;
	bool         has_value;
};

static bool
next_parameter(struct slice *rest, struct parameter *p)
{
	struct slice word;
	size_t equals;

	if (!slice_word(rest, &word))
		return false;
	equals = slice_find(word, '=');
	*p = (struct parameter){ slice_head(word, equals), slice_skip(word, equals + 1),
	    equals < word.n };
	return true;
}

static const struct status TOO_MANY =
    STATUS_INIT(452, 4, 5, 3, "too many recipients for one message");
static const struct status BAD_VALUE = STATUS_INIT(501, 5, 5, 4, "bad value of a parameter");
static const struct status UNKNOWN_PARAMETER = STATUS_INIT(555, 5, 5, 4, "unknown parameter");
static const struct status FINE = { .class = 2 };

static struct status
mail_size(struct session *s, const struct parameter *p)
{
	uint64_t size;

	if (p->value.n > 20 || !slice_number(p->value, UINT64_MAX, &size))      /* RFC 1870 3 */
		return BAD_VALUE;
	if (size > s->terms->size_most)
		return STATUS(552, 5, 3, 4, "the message is larger than what is taken here");
	return FINE;
}

static struct status
mail_envid(struct transaction *m, struct slice value)
{
	struct buf decoded = BUF(ENVID_MOST);
	bool ok = m->envid.n == 0 && value.n > 0 && value.n <= ENVID_MOST && xtext_decode(value, &decoded);

	if (ok)
		m->envid = arena_copy(m->arena, buf_slice(&decoded));
	buf_free(&decoded);
	return ok ? FINE : BAD_VALUE;
}

static struct status
mail_parameter(struct session *s, const struct parameter *p)
{
	struct transaction *m = &s->mail;

	if (slice_eqi(p->name, S("SIZE")))
		return mail_size(s, p);
	if (slice_eqi(p->name, S("BODY"))) {
		m->eight_bit = slice_eqi(p->value, S("8BITMIME"));
		return m->eight_bit || slice_eqi(p->value, S("7BIT")) ? FINE : BAD_VALUE;
	}
	if (slice_eqi(p->name, S("SMTPUTF8"))) {
		m->smtputf8 = true;
		return p->has_value ? BAD_VALUE : FINE;
	}
	if (slice_eqi(p->name, S("REQUIRETLS"))) {
		m->requiretls = true;
		if (!s->secure)
			return STATUS(530, 5, 7, 0, "REQUIRETLS needs TLS");    /* RFC 8689 4.1 */
		return p->has_value ? BAD_VALUE : FINE;
	}
	if (slice_eqi(p->name, S("RET"))) {
		bool again = m->ret != RET_UNSAID;

		m->ret = slice_eqi(p->value, S("FULL")) ? RET_FULL
		    : slice_eqi(p->value, S("HDRS")) ? RET_HDRS : RET_UNSAID;
		return again || m->ret == RET_UNSAID ? BAD_VALUE : FINE;
	}
	if (slice_eqi(p->name, S("ENVID")))
		return mail_envid(m, p->value);
	return UNKNOWN_PARAMETER;
}

static struct status
read_notify(struct slice list, unsigned *notify)
{
	static const struct { struct slice name; unsigned bit; } words[] = {
		{ S_INIT("NEVER"), NOTIFY_NEVER }, { S_INIT("SUCCESS"), NOTIFY_SUCCESS },
		{ S_INIT("FAILURE"), NOTIFY_FAILURE }, { S_INIT("DELAY"), NOTIFY_DELAY },
	};
	struct slice word;

	if (*notify != 0 || slice_endsi(list, S(",")))
		return BAD_VALUE;
	while (slice_cut(&list, ',', &word)) {
		unsigned bit = 0;

		if (*notify & NOTIFY_NEVER)             /* it stands alone (RFC 3461 4.1) */
			return BAD_VALUE;

		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (slice_eqi(word, words[i].name))
				bit = words[i].bit;
		if (bit == 0)
			return BAD_VALUE;
		*notify |= bit;
	}
	if (*notify == 0 || ((*notify & NOTIFY_NEVER) && *notify != NOTIFY_NEVER))
		return BAD_VALUE;
	return FINE;
}

static struct status
read_orcpt(struct session *s, struct slice value, struct slice *orcpt)
{
	if (orcpt->n > 0 || !orcpt_valid(value, s->mail.smtputf8))
		return BAD_VALUE;
	*orcpt = arena_copy(s->mail.arena, value);
	return FINE;
}

static struct status
rcpt_parameter(struct session *s, const struct parameter *p, struct session_recipient *r)
{
	if (slice_eqi(p->name, S("NOTIFY")))
		return read_notify(p->value, &r->notify);
	if (slice_eqi(p->name, S("ORCPT")))
		return read_orcpt(s, p->value, &r->orcpt);
	return UNKNOWN_PARAMETER;
}

/* --- MAIL, RCPT --------------------------------------------------------------------- */

/* "FROM:" or "TO:" in front of the argument (RFC 5321 4.1.1.2, 4.1.1.3). */
static bool
take_word(struct slice *argument, struct slice word)
{
	if (!slice_startsi(*argument, word))
		return false;
	*argument = slice_skip(*argument, word.n);
	return true;
}

/* SMTPUTF8 stands behind the path, but says how the path is to be read (RFC 6531 3.4). */
static bool
says_smtputf8(struct slice argument)
{
	struct slice word;

	while (slice_word(&argument, &word))
		if (slice_eqi(word, S("SMTPUTF8")))
			return true;
	return false;
}

static struct status
path_status(enum path_flaw flaw, bool sender)
{
	switch (flaw) {
	case PATH_LONG:
		return sender ? STATUS(501, 5, 1, 7, "the address is too long")
		              : STATUS(501, 5, 1, 3, "the address is too long");
	case PATH_UTF8:
		return STATUS(553, 5, 6, 7, "such an address needs SMTPUTF8");
	case PATH_DOMAIN:
		return sender ? STATUS(501, 5, 1, 7, "there is no proper domain in the address")
		              : STATUS(501, 5, 1, 3, "there is no proper domain in the address");
	case PATH_SYNTAX:
		return sender ? STATUS(501, 5, 1, 7, "bad syntax; MAIL FROM:<address>")
		              : STATUS(501, 5, 1, 3, "bad syntax; RCPT TO:<address>");
	case PATH_OK:
		break;
	}
	return FINE;
}

static struct status
read_mail(struct session *s, struct slice argument)
{
	struct parameter p;
	struct status status;

	if (!take_word(&argument, S("FROM:")))
		return STATUS(501, 5, 5, 4, "bad syntax; MAIL FROM:<address>");
	status = path_status(path_parse(&argument, says_smtputf8(argument), s->mail.arena,
	    &s->mail.sender), true);
	if (!status_good(status))
		return status;
	if (argument.n > 0 && !is_wsp(*argument.p))
		return STATUS(501, 5, 5, 4, "bad syntax behind the address");
	while (next_parameter(&argument, &p))
		if (!status_good(status = mail_parameter(s, &p)))
			return status;
	return STATUS(250, 2, 1, 0, "sender ok");
}

static void
mail(struct session *s, struct slice argument)
{
	struct status status;

	if (s->helo.n == 0) {
		session_refuse(s, STATUS(503, 5, 5, 1, "say EHLO first"));
		return;
	}
	if (s->mail.begun) {
		session_refuse(s, STATUS(503, 5, 5, 1, "a transaction is open already"));
		return;
	}
	status = read_mail(s, argument);
	if (!status_good(status)) {
		transaction_clear(s);
		session_refuse(s, status);
		return;
	}
	s->mail.begun = true;
	s->chunked = s->chunk_refused = false;
	session_say(s, status);
}

static unsigned
bit_of(struct slice text, size_t n)
{
	return n / 8 < text.n ? (unsigned char)text.p[n / 8] >> (7 - n % 8) & 1 : 0;
}

/*
 * Where he stands who is named so, or would.  Each step follows one more bit of the
 * address, and no address has a NUL: whatever is named, no way is longer than it.
 */
static struct session_recipient **
place_of(struct transaction *m, const struct address *address)
{
	struct session_recipient **at = &m->tree;

	for (size_t n = 0; *at != NULL && !address_eq(&(*at)->address, address); n++)
		at = &(*at)->below[bit_of(address->text, n)];
	return at;
}

/* RFC 5321 4.1.1.3 allows to name somebody twice; he gets it once. */
static void
add_recipient(struct transaction *m, struct session_recipient *r)
{
	struct session_recipient **at = place_of(m, &r->address);

	if (*at != NULL)
		return;
	*at = r;
	*m->last = r;
	m->last = &r->next;
	m->count++;
}

static struct status
read_rcpt(struct session *s, struct slice argument, struct session_recipient *r)
{
	struct parameter p;
	struct status status;

	if (!take_word(&argument, S("TO:")))
		return STATUS(501, 5, 5, 4, "bad syntax; RCPT TO:<address>");
	status = path_status(path_parse(&argument, s->mail.smtputf8, s->mail.arena, &r->address),
	    false);
	if (!status_good(status))
		return status;
	if (r->address.local.n == 0 || (argument.n > 0 && !is_wsp(*argument.p)))
		return STATUS(501, 5, 1, 3, "bad syntax; RCPT TO:<address>");
	while (next_parameter(&argument, &p))
		if (!status_good(status = rcpt_parameter(s, &p, r)))
			return status;
	return s->terms->recipient(s->terms->arg, &r->address);
}

static void
rcpt(struct session *s, struct slice argument)
{
	struct session_recipient *r;
	struct status status;

	if (!s->mail.begun || s->chunked) {
		session_refuse(s, STATUS(503, 5, 5, 1, "say MAIL first"));
		return;
	}
	r = arena_get(s->mail.arena, sizeof *r);
	if (r == NULL || s->mail.count >= s->terms->recipients_most) {
		session_say(s, TOO_MANY);
		return;
	}
	status = read_rcpt(s, argument, r);
	if (arena_full(s->mail.arena)) {        /* then nothing is known about the address */
		session_say(s, TOO_MANY);
		return;
	}
	if (!status_good(status)) {
		s->about = r->address.text;
		session_refuse(s, status);
		s->about = NONE;
		return;
	}
	add_recipient(&s->mail, r);
	session_say(s, status);
}

/* --- DATA, BDAT ------------------------------------------------------------------------ */

static void
begin_text(struct session *s, bool counted)
{
	s->text = (struct text){ .bare = s->terms->bare, .counted = counted };
	s->texts++;
}

static void
data(struct session *s, struct slice argument)
{
	if (argument.n > 0) {
		session_refuse(s, STATUS(501, 5, 5, 4, "DATA takes no argument"));
	} else if (s->chunked) {
		session_refuse(s, STATUS(503, 5, 5, 1, "not between BDATs"));   /* RFC 3030 2 */
	} else if (s->mail.count == 0) {
		session_refuse(s, s->mail.begun ? STATUS(554, 5, 5, 1, "no valid recipients")
		                                : STATUS(503, 5, 5, 1, "say MAIL and RCPT first"));
	} else {
		session_say(s, (struct status){ .reply = 354, .text = S("end with CRLF.CRLF") });
		begin_text(s, false);
		s->reading = READ_TEXT;
	}
}

static bool
read_bdat(struct slice argument, uint64_t *size, bool *last)
{
	struct slice word;

	if (!slice_word(&argument, &word) || !slice_number(word, UINT64_MAX / 2, size))
		return false;
	*last = slice_word(&argument, &word);
	return (!*last || slice_eqi(word, S("LAST"))) && !slice_word(&argument, &word);
}

static void
bdat(struct session *s, struct slice argument)
{
	uint64_t size;
	bool last;

	if (!read_bdat(argument, &size, &last)) {
		/* How many octets follow is not known: there is no way on. */
		session_close(s, STATUS(501, 5, 5, 4, "bad syntax; BDAT size [LAST]"));
		return;
	}
	s->chunk_refused = s->chunk_refused || s->mail.count == 0;
	if (!s->chunked && !s->chunk_refused) {
		begin_text(s, true);
		s->chunked = true;
	}
	s->chunk_left = size;
	s->chunk_last = last;
	s->reading = READ_CHUNK;
}

/* --- the rest --------------------------------------------------------------------------- */

static void
rset(struct session *s, struct slice argument)
{
	if (argument.n > 0) {
		session_refuse(s, STATUS(501, 5, 5, 4, "RSET takes no argument"));
		return;
	}
	transaction_clear(s);
	session_say(s, STATUS(250, 2, 0, 0, "ok"));
}

static void
noop(struct session *s, struct slice argument)
{
	(void)argument;
	session_say(s, STATUS(250, 2, 0, 0, "ok"));
}

static void
quit(struct session *s, struct slice argument)
{
	(void)argument;
	session_close(s, STATUS(221, 2, 0, 0, "goodbye"));
}

static void
vrfy(struct session *s, struct slice argument)
{
	if (argument.n == 0)
		session_refuse(s, STATUS(501, 5, 5, 4, "VRFY wants an address"));
	else
		session_say(s, STATUS(252, 2, 5, 0, "send mail to it and see"));
}

static void
help(struct session *s, struct slice argument)
{
	(void)argument;
	session_say(s, STATUS(214, 2, 0, 0, "see RFC 5321"));
}

static void
not_here(struct session *s, struct slice argument)
{
	(void)argument;
	session_refuse(s, STATUS(502, 5, 5, 1, "not implemented"));
}

static const struct verb VERBS[] = {
	{ "HELO", helo, false, false }, { "EHLO", ehlo, true, false },
	{ "STARTTLS", starttls, true, false }, { "MAIL", mail, false, false },
	{ "RCPT", rcpt, false, true }, { "DATA", data, false, false },
	{ "BDAT", bdat, false, false }, { "RSET", rset, false, false },
	{ "NOOP", noop, true, false }, { "QUIT", quit, true, false },
	{ "VRFY", vrfy, false, false }, { "HELP", help, false, false },
	{ "EXPN", not_here, false, false }, { "AUTH", not_here, false, false },
	{ "ETRN", not_here, false, false }, { "TURN", not_here, false, false },
};

const struct verb *
verb_find(struct slice line, struct slice *argument)
{
	size_t n = 0;

	while (n < line.n && !is_wsp(line.p[n]))
		n++;
	*argument = slice_trim(slice_skip(line, n));
	for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
		if (slice_eqi(slice_head(line, n), slice(VERBS[i].name)))
			return &VERBS[i];
	return NULL;
}
