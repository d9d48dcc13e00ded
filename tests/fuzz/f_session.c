/* SPDX-License-Identifier: ISC */
/*
 * A client that says anything.  Every reply must be well formed (RFC 5321 4.2),
 * nobody but ours may be a recipient of what is accepted, and whatever way the
 * bytes are cut the conversation is the same.
 *
 * The first byte: what the listener offers, and where the input is cut.
 */
#include <stdlib.h>

#include "base/bug.h"
#include "base/text.h"
#include "smtpd/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

struct talk {
	struct session session;
	struct buf     said, texts;
	unsigned       accepted;
	size_t         kept;            /* of the texts: those of accepted messages */
};

static struct status
recipient(void *unused, const struct address *a)
{
	(void)unused;
	if (slice_eq(a->domain, S("local.test")) || a->domain.n == 0)
		return STATUS(250, 2, 1, 5, "ok");
	return STATUS(550, 5, 7, 1, "relaying is not allowed");
}

static void
take_piece(void *arg, struct slice piece)
{
	struct talk *t = arg;

	bug_if(piece.n == 0 || t->session.text.size > t->session.terms->size_most);
	buf_printf(&t->texts, "%llu:", (unsigned long long)t->session.texts);
	buf_add(&t->texts, piece);
}

/* RFC 5321 4.2: "250-" or "250 ", at most 512 octets, no controls. */
static void
check_reply(struct slice line)
{
	bug_if(line.n < 5 || line.n > 511 || line.p[line.n - 1] != '\r');
	bug_if(line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]));
	bug_if(line.p[3] != ' ' && line.p[3] != '-');
	for (size_t i = 4; i < line.n - 1; i++)
		bug_if((unsigned char)line.p[i] < ' ' || line.p[i] == 127);
}

static void
check_message(const struct session *s)
{
	unsigned n = 0;

	bug_if(!s->mail.begun || s->helo.n == 0 || s->mail.count == 0);
	bug_if(s->mail.count > s->terms->recipients_most);
	for (const struct session_recipient *r = s->mail.recipients; r != NULL; r = r->next, n++) {
		bug_if(!status_good(recipient(NULL, &r->address)) || r->address.local.n == 0);
		bug_if(!slice_starts(r->address.text, r->address.local) && *r->address.text.p != '"');
	}
	bug_if(n != s->mail.count);
	bug_if(s->mail.requiretls && !s->secure);
	bug_if(s->terms->tls_required && !s->secure);
}

static void
react(struct talk *t)
{
	struct session *s = &t->session;
	struct status flaw;

	if (s->want == SESSION_ACCEPT) {
		check_message(s);
		flaw = session_text_flaw(s);
		t->accepted += flaw.class == 0;
		if (flaw.class == 0)
			t->kept = t->texts.n;
		else
			t->texts.n = t->kept;
		session_finish(s, flaw.class ? flaw : STATUS(250, 2, 0, 0, "ok"));
	} else if (s->want == SESSION_TLS) {
		session_secured(s);
		bug_if(s->helo.n > 0 || s->mail.begun);
	}
}

static void
talk(struct talk *t, const struct session_terms *terms, struct slice input, size_t cut)
{
	struct buf wire = BUF(1 << 20);

	*t = (struct talk){ .said = BUF(16 << 20), .texts = BUF(16 << 20) };
	session_begin(&t->session, terms, take_piece, t);
	react(t);
	while (input.n > 0 && t->session.want != SESSION_CLOSE) {
		struct slice some, left;

		buf_add(&wire, slice_head(input, cut));
		input = slice_skip(input, cut);
		do {
			/* What the session keeps must not point into what is read. */
			char *copy = must_copy(wire.p, wire.n);

			some = left = slice_of(copy, wire.n);
			session_feed(&t->session, &left);
			free(copy);
			buf_drop(&wire, some.n - left.n);
			react(t);
		} while (left.n < some.n && t->session.want == SESSION_MORE);
	}
	buf_add(&t->said, buf_slice(&t->session.out));
	buf_free(&wire);
}

static void
end(struct talk *t)
{
	session_end(&t->session);
	buf_free(&t->said);
	buf_free(&t->texts);
}

/*
 * The texts of accepted messages, without the marks of their pieces.  Of one that
 * is too large the piece that passes the limit is not handed on, so how much came
 * before depends on how it was cut.
 */
static void
joined(const struct talk *t, struct buf *to)
{
	struct slice texts = slice_head(buf_slice(&t->texts), t->kept), line;

	while (slice_cut(&texts, ':', &line))
		for (size_t i = 0; i < line.n; i++)
			if (!is_digit(line.p[i]))
				buf_byte(to, line.p[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size > 0 ? data[0] : 0;
	struct session_terms terms = {
		.hostname = S("mx.local.test"), .tls_offered = how & 1, .tls_required = (how & 3) == 3,
		.bare = how & 4 ? BARE_REPAIR : BARE_KEEP, .size_most = 5000, .recipients_most = 5,
		.errors_most = 20, .idle_most = 50, .line_most = 1000, .recipient = recipient,
	};
	struct slice input = slice_skip(slice_of(data, size), 1), lines, line;
	struct talk whole, cut;
	struct buf a = BUF(16 << 20), b = BUF(16 << 20);

	talk(&whole, &terms, input, SIZE_MAX);
	for (lines = buf_slice(&whole.said); slice_cut(&lines, '\n', &line); )
		check_reply(line);
	if ((how & 1) == 0) {                   /* STARTTLS drops what was read with it */
		talk(&cut, &terms, input, 1 + how / 8);
		bug_if(!slice_eq(buf_slice(&whole.said), buf_slice(&cut.said)));
		bug_if(whole.accepted != cut.accepted);
		joined(&whole, &a);
		joined(&cut, &b);
		bug_if(!slice_eq(buf_slice(&a), buf_slice(&b)));
		end(&cut);
	}
	end(&whole);
	buf_free(&a);
	buf_free(&b);
	return 0;
}
