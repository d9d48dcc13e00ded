/* SPDX-License-Identifier: ISC */
/*
 * A server that says anything.  The engine must come to an end, say only whole
 * lines without anything a stranger could have put there, and give everybody a
 * status that makes sense: nobody is delivered without a good reply behind the
 * text.
 *
 * The first byte: LMTP, what the message needs.
 */
#include "base/bug.h"
#include "delivery/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { RECIPIENTS = 3 };

struct talk {
	struct client client;
	struct client_mail mail;
	struct client_recipient recipients[RECIPIENTS];
	struct buf    said;
	bool          begun, text_sent, over;
};

static void
check_lines(struct slice said)
{
	struct slice line;

	while (slice_cut(&said, '\n', &line)) {
		bug_if(line.n == 0 || line.n > 1000 || line.p[line.n - 1] != '\r');
		for (size_t i = 0; i < line.n - 1; i++)
			bug_if((unsigned char)line.p[i] < ' ' || line.p[i] == 127);
	}
}

static void
check_statuses(const struct talk *t)
{
	for (size_t i = 0; i < t->mail.count; i++) {
		const struct status *s = &t->recipients[i].status;

		bug_if(s->class != 2 && s->class != 4 && s->class != 5);
		bug_if(status_good(*s) && !t->text_sent);
		bug_if(s->reply != 0 && s->reply / 100 != s->class && s->class != 4);
		for (size_t j = 0; j < s->text.n; j++)
			bug_if((unsigned char)s->text.p[j] < ' ');
	}
}

static void
begin_mail(struct talk *t)
{
	t->begun = true;
	for (size_t i = 0; i < RECIPIENTS; i++)
		t->recipients[i].status = (struct status){ 0 };
	client_mail(&t->client, &t->mail);
}

static void
react(struct talk *t)
{
	struct client *c = &t->client;

	buf_add(&t->said, buf_slice(&c->out));
	buf_clear(&c->out);
	switch (c->want) {
	case CLIENT_HELLO:
		if (c->offers.starttls && !c->secure)
			client_starttls(c);
		else
			begin_mail(t);
		break;
	case CLIENT_TLS:
		client_secured(c);
		break;
	case CLIENT_READY:
		begin_mail(t);
		break;
	case CLIENT_TEXT:
		t->text_sent = true;
		client_text_sent(c);
		break;
	case CLIENT_DONE:
		check_statuses(t);
		t->over = true;
		break;
	case CLIENT_FAILED:
		bug_if(c->failure.class != 4 && c->failure.class != 5);
		t->over = true;
		break;
	case CLIENT_CLOSE:
		t->over = true;
		break;
	case CLIENT_REPLY:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how = size > 0 ? data[0] : 0;
	struct slice input = slice_skip(slice_of(data, size), 1);
	struct talk t = { .said = BUF(1 << 20), .mail = { .sender = S("s@sender.test"), .count = RECIPIENTS,
	    .size = 100, .eight_bit = how & 2, .smtputf8 = how & 4, .requiretls = how & 8,
	    .ret = RET_HDRS, .envid = S("an id=+") } };
	enum client_want want;

	t.mail.recipients = t.recipients;
	t.recipients[0] = (struct client_recipient){ .address = S("a@x.test"), .notify = NOTIFY_NEVER };
	t.recipients[1] = (struct client_recipient){ .address = S("b@x.test"), .orcpt = S("rfc822;b@y.test") };
	t.recipients[2] = (struct client_recipient){ .address = S("\"c d\"@x.test") };
	client_begin(&t.client, S("mx.local.test"), how & 1);
	if (how & 16)
		client_allow_helo(&t.client);
	for (size_t before = SIZE_MAX; !t.over && (input.n < before || t.client.want != CLIENT_REPLY); ) {
		before = input.n;
		want = t.client.want;
		if (want == CLIENT_REPLY)
			client_feed(&t.client, &input);
		react(&t);
	}
	check_lines(buf_slice(&t.said));
	buf_free(&t.said);
	client_end(&t.client);
	return 0;
}
