/* SPDX-License-Identifier: ISC */
#include "delivery/client.h"
#include "unit.h"

/*
 * A play: what the server says, what we say to it, and how it ends.  Server's
 * lines begin with "<", ours with ">"; "!" is an action of the caller.
 */
struct play {
	const char *name;
	bool        lmtp;
	struct client_mail mail;        /* recipients a@x.test, b@x.test, … by count */
	const char *lines[40];
	const char *end;                /* want, failure, then the class.subject.detail of each recipient */
};

static const char *const WANTS[] = {
	"reply", "hello", "tls", "ready", "text", "done", "failed", "close",
};

static const struct play plays[] = {
	{ "one message, pipelined (RFC 2920)", false, { S_INIT("s@y.test"), NULL, 2, 100, .ret = 0 }, {
	    "<220 mx.x.test hello", ">EHLO me.test", "<250-mx.x.test", "<250-PIPELINING", "<250 SIZE 1000",
	    "!mail", ">MAIL FROM:<s@y.test> SIZE=100", ">RCPT TO:<a@x.test>", ">RCPT TO:<b@x.test>", ">DATA",
	    "<250 2.1.0 ok", "<250 2.1.5 ok", "<550 5.1.1 no b", "<354 go", "!text", ">.", "<250 2.0.0 queued",
	}, "done 2.0.0 5.1.1" },
	{ "one at a time without PIPELINING", false, { S_INIT(""), NULL, 2, 5, .ret = 0 }, {
	    "<220-mx", "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<250 ok", ">RCPT TO:<b@x.test>", "<251 ok", ">DATA", "<354 go", "!text",
	    ">.", "<451 4.3.0 later",
	}, "done 4.3.0 4.3.0" },
	{ "MAIL refused", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<550 5.7.1 not you",
	}, "done 5.7.1" },
	{ "MAIL refused, but all was said already: a 354 gets a lone dot", false,
	    { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 PIPELINING", "!mail", ">MAIL FROM:<s@y.test>",
	    ">RCPT TO:<a@x.test>", ">DATA", "<450 4.7.1 grey", "<503 no mail", "<354 whatever", ">.",
	    "<554 no",
	}, "done 4.7.1" },
	{ "all recipients refused", false, { S_INIT("s@y.test"), NULL, 2, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<550 no", ">RCPT TO:<b@x.test>", "<452 4.5.3 too many",
	}, "done 5.0.0 4.5.3" },
	{ "552 to RCPT is 452 (RFC 5321 4.5.3.1.10)", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<552 5.5.3 too many",
	}, "done 4.5.3" },
	{ "DATA refused", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<250 ok", ">DATA", "<554 5.7.0 no",
	}, "done 5.7.0" },
	{ "DATA answered as if there had been a message", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<250 ok", ">DATA", "<250 done",
	}, "failed 4.5.0 the server answered DATA as if there had been a message -" },
	{ "STARTTLS answered with a 250", false, { .count = 1 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 STARTTLS", "!starttls", ">STARTTLS", "<250 2.0.0 ok",
	}, "failed 4.5.0 ok" },
	{ "354 where none is due", false, { S_INIT("s@y.test"), NULL, 2, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<354 go", ">RCPT TO:<b@x.test>", "<250 ok", ">DATA", "<354 go", "!text", ">.",
	    "<354 more",
	}, "done 4.5.0 4.5.0" },
	{ "the host does not want to talk", false, { .count = 1 }, { "<554 5.3.2 go away" },
	    "failed 5.3.2 go away" },
	{ "421 in the middle (RFC 5321 3.8)", false, { S_INIT("s@y.test"), NULL, 2, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 PIPELINING", "!mail", ">MAIL FROM:<s@y.test>",
	    ">RCPT TO:<a@x.test>", ">RCPT TO:<b@x.test>", ">DATA", "<250 ok", "<550 5.1.1 no",
	    "<421 4.3.2 closing",
	}, "failed 4.3.2 closing 5.1.1 -" },
	{ "EHLO unknown: HELO", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "!helo", "<220 mx", ">EHLO me.test", "<502 what", ">HELO me.test", "<250 mx", "!mail",
	    ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>",
	}, "reply -" },
	{ "EHLO unknown where a policy needs it", false, { .count = 1 }, {
	    "<220 mx", ">EHLO me.test", "<502 5.5.1 what",
	}, "failed 5.5.1 what" },
	{ "STARTTLS: what was offered before is forgotten (RFC 3207 4.2)", false,
	    { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250-PIPELINING", "<250 STARTTLS", "!starttls", ">STARTTLS",
	    "<220 go", "!secured", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>",
	}, "reply -" },
	{ "speaking in the clear behind STARTTLS's reply (J3 14)", false, { .count = 1 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 STARTTLS", "!starttls", ">STARTTLS",
	    "<220 go|250-evil",
	}, "failed 4.7.0 the server spoke in the clear behind its STARTTLS reply" },
	{ "STARTTLS not now", false, { .count = 1 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 STARTTLS", "!starttls", ">STARTTLS", "<454 4.7.0 not now",
	}, "failed 4.7.0 not now" },
	{ "larger than the server takes", false, { S_INIT("s@y.test"), NULL, 1, 2000, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 SIZE 1000", "!mail",
	}, "done 5.3.4" },
	{ "internationalized mail to a server that is not (RFC 6531 3.4)", false,
	    { S_INIT("s@y.test"), NULL, 1, 5, .smtputf8 = true, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 8BITMIME", "!mail",
	}, "done 5.6.7" },
	{ "8-bit mail to a server that is not (RFC 6152 3)", false,
	    { S_INIT("s@y.test"), NULL, 1, 5, .eight_bit = true, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail",
	}, "done 5.6.3" },
	{ "REQUIRETLS to a server without it (RFC 8689 4.2.1)", false,
	    { S_INIT("s@y.test"), NULL, 1, 5, .requiretls = true, .requiretls_needed = true, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail",
	}, "done 5.7.30" },
	{ "REQUIRETLS that need not be, to a server without it (RFC 8689 5)", false,
	    { S_INIT(""), NULL, 1, 5, .requiretls = true, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<>",
	}, "reply -" },
	{ "all parameters", false,
	    { S_INIT("s@y.test"), NULL, 1, 5, .eight_bit = true, .smtputf8 = true, .requiretls = true,
	      .ret = RET_HDRS, .envid = S_INIT("a+b c") }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250-8BITMIME", "<250-SMTPUTF8", "<250-DSN", "<250 REQUIRETLS",
	    "!mail", ">MAIL FROM:<s@y.test> BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=a+2Bb+20c",
	}, "reply -" },
	{ "LMTP: a reply for each accepted recipient (RFC 2033 4.2)", true,
	    { S_INIT("s@y.test"), NULL, 3, 5, .ret = 0 }, {
	    "<220 mx", ">LHLO me.test", "<250-mx", "<250 PIPELINING", "!mail", ">MAIL FROM:<s@y.test>",
	    ">RCPT TO:<a@x.test>", ">RCPT TO:<b@x.test>", ">RCPT TO:<c@x.test>", ">DATA", "<250 ok", "<250 ok",
	    "<550 5.1.1 no", "<250 ok", "<354 go", "!text", ">.", "<250 2.0.0 stored", "<452 4.2.2 full",
	}, "done 2.0.0 5.1.1 4.2.2" },
	{ "LMTP: the connection ends between the replies (A19.4)", true,
	    { S_INIT("s@y.test"), NULL, 2, 5, .ret = 0 }, {
	    "<220 mx", ">LHLO me.test", "<250-mx", "<250 PIPELINING", "!mail", ">MAIL FROM:<s@y.test>",
	    ">RCPT TO:<a@x.test>", ">RCPT TO:<b@x.test>", ">DATA", "<250 ok", "<250 ok", "<250 ok", "<354 go",
	    "!text", ">.", "<250 2.0.0 stored", "<421 4.3.2 bye",
	}, "failed 4.3.2 bye 2.0.0 -" },
	{ "refused before the end of the text", false, { S_INIT("s@y.test"), NULL, 2, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250-mx", "<250 PIPELINING", "!mail", ">MAIL FROM:<s@y.test>",
	    ">RCPT TO:<a@x.test>", ">RCPT TO:<b@x.test>", ">DATA", "<250 ok", "<250 ok", "<550 5.1.1 no", "<354 go",
	    "!gone 552 5.3.4 too much",
	}, "failed 5.3.4 too much 5.3.4 5.1.1" },
	{ "put off before the end of the text", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<250 ok", ">DATA", "<354 go", "!gone 452 4.3.1 full",
	}, "failed 4.3.1 full -" },
	{ "taken before the end of the text", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<250 ok", ">DATA", "<354 go", "!gone 250 2.0.0 queued",
	}, "failed 4.5.0 the server spoke out of turn -" },
	{ "gone before the end of the text", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
	    ">RCPT TO:<a@x.test>", "<250 ok", ">DATA", "<354 go", "!gone ",
	}, "text -" },
	{ "no reply at all", false, { .count = 1 }, { "<hello" }, "failed 4.5.0 the server's reply makes no sense" },
	{ "two codes in one reply", false, { .count = 1 }, { "<220-a", "<250 b" },
	    "failed 4.5.0 the server's reply makes no sense" },
	{ "hostile text in a reply", false, { S_INIT("s@y.test"), NULL, 1, 5, .ret = 0 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!mail", ">MAIL FROM:<s@y.test>", "<550 5.7.1 \x1b[2J",
	}, "done 5.7.1" },
	{ "goodbye", false, { .count = 1 }, {
	    "<220 mx", ">EHLO me.test", "<250 mx", "!quit", ">QUIT", "<221 bye",
	}, "close" },
};

struct stage {
	struct client           client;
	struct client_mail      mail;
	struct client_recipient recipients[4];
};

static void
act(struct stage *s, const char *action)
{
	struct client *c = &s->client;
	char said[100];

	snprintf(said, sizeof said, "%s\r\n", strchr(action, ' ') != NULL ? strchr(action, ' ') + 1 : "");
	if (strncmp(action, "gone ", 5) == 0)
		client_gone_in_text(c, action[5] != '\0' ? slice(said) : NONE);
	else if (strcmp(action, "helo") == 0)
		client_allow_helo(c);
	else if (strcmp(action, "mail") == 0)
		client_mail(c, &s->mail);
	else if (strcmp(action, "text") == 0)
		client_text_sent(c);
	else if (strcmp(action, "starttls") == 0)
		client_starttls(c);
	else if (strcmp(action, "secured") == 0)
		client_secured(c);
	else
		client_quit(c);
}

/* A '|' in a server's line is a line end in the same segment. */
static void
feed(struct client *c, const char *line, size_t step)
{
	struct buf wire = BUF(4096), held = BUF(4096);

	for (; *line != '\0'; line++)
		buf_add(&wire, *line == '|' ? S("\r\n") : slice_of(line, 1));
	buf_add(&wire, S("\r\n"));
	for (struct slice left = buf_slice(&wire); left.n > 0; left = slice_skip(left, step)) {
		struct slice input;

		buf_add(&held, slice_head(left, step));
		input = buf_slice(&held);
		client_feed(c, &input);
		buf_drop(&held, held.n - input.n);
	}
	buf_free(&wire);
	buf_free(&held);
}

static void
take_line(struct client *c, const char *want, const char *name)
{
	struct slice out = buf_slice(&c->out), line = slice_head(out, slice_find(out, '\n') + 1);

	if (!slice_endsi(line, S("\r\n")) || !slice_eq(slice_head(line, line.n - 2), slice(want))) {
		print_error("%s: we said \"%.*s\", not \"%s\"\n", name, FMT(line), want);
		fail();
	}
	buf_drop(&c->out, line.n);
}

static void
ending(struct stage *s, char *text, size_t size)
{
	struct client *c = &s->client;
	int n = snprintf(text, size, "%s", WANTS[c->want]);

	if (c->want == CLIENT_FAILED)
		n += snprintf(text + n, size - (size_t)n, " %u.%u.%u %.*s", c->failure.class,
		    c->failure.subject, c->failure.detail, FMT(c->failure.text));
	for (size_t i = 0; c->mail != NULL && i < c->mail->count; i++) {
		struct status st = s->recipients[i].status;

		if (st.class == 0)
			n += snprintf(text + n, size - (size_t)n, " -");
		else
			n += snprintf(text + n, size - (size_t)n, " %u.%u.%u", st.class, st.subject, st.detail);
	}
}

static void
perform(const struct play *p, size_t step)
{
	static const char *const addresses[] = { "a@x.test", "b@x.test", "c@x.test", "d@x.test" };
	struct stage s = { .mail = p->mail };
	char text[400];

	for (size_t i = 0; i < s.mail.count; i++)
		s.recipients[i] = p->mail.recipients != NULL ? p->mail.recipients[i]
		    : (struct client_recipient){ .address = slice(addresses[i]) };
	s.mail.recipients = s.recipients;
	client_begin(&s.client, S("me.test"), p->lmtp);
	for (size_t i = 0; p->lines[i] != NULL; i++) {
		const char *line = p->lines[i];

		if (*line == '<')
			feed(&s.client, line + 1, strchr(line, '|') ? 1000 : step);
		else if (*line == '>')
			take_line(&s.client, line + 1, p->name);
		else
			act(&s, line + 1);
	}
	ending(&s, text, sizeof text);
	if (strcmp(text, p->end) != 0) {
		print_error("%s: ended with \"%s\", not \"%s\"\n", p->name, text, p->end);
		fail();
	}
	if (s.client.out.n > 0 && s.client.want != CLIENT_REPLY) {
		print_error("%s: more to say: \"%.*s\"\n", p->name, FMT(buf_slice(&s.client.out)));
		fail();
	}
	client_end(&s.client);
}

static void
conversations(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(plays); i++) {
		perform(&plays[i], 1000);
		perform(&plays[i], 1);
	}
}

/* RFC 6533 3: as it was given where the transaction is UTF-8, spelled out elsewhere. */
static void
an_original_recipient_beyond_ascii(void **state)
{
	static struct client_recipient to[] = {
		{ .address = S_INIT("a@x.test"), .orcpt = S_INIT("utf-8;\xc3\xbc\xf0\x9f\x93\xa7@y.test") },
	};
	static const struct play cases[] = {
		{ "in a UTF-8 transaction", false, { S_INIT("s@y.test"), to, 1, 5, .smtputf8 = true, .ret = 0 }, {
		    "<220 mx", ">EHLO me.test", "<250-mx", "<250-SMTPUTF8", "<250 DSN", "!mail",
		    ">MAIL FROM:<s@y.test> SMTPUTF8", "<250 ok",
		    ">RCPT TO:<a@x.test> ORCPT=utf-8;\xc3\xbc\xf0\x9f\x93\xa7@y.test",
		}, "reply -" },
		{ "in another", false, { S_INIT("s@y.test"), to, 1, 5, .ret = 0 }, {
		    "<220 mx", ">EHLO me.test", "<250-mx", "<250 DSN", "!mail", ">MAIL FROM:<s@y.test>", "<250 ok",
		    ">RCPT TO:<a@x.test> ORCPT=utf-8;\\x{FC}\\x{1F4E7}@y.test",
		}, "reply -" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		perform(&cases[i], 1000);
}

static void
limits_of_the_server_are_read(void **state)
{
	struct client c;
	struct slice input = S("220 mx.x.test hi\r\n250-mx.x.test\r\n"
	    "250-LIMITS MAILMAX=5 RCPTMAX=0100 RCPTMAX=20 X=1 RCPTDOMAINMAX=1\r\n250 SIZE\r\n");

	(void)state;
	client_begin(&c, S("me.test"), false);
	client_feed(&c, &input);
	assert_int_equal(c.want, CLIENT_HELLO);
	assert_int_equal(c.offers.mails_most, 5);
	assert_int_equal(c.offers.recipients_most, 20);
	assert_true(c.offers.size && c.offers.size_most == 0);
	assert_slice(c.greeting, "mx.x.test");
	client_end(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations),
		cmocka_unit_test(an_original_recipient_beyond_ascii),
		cmocka_unit_test(limits_of_the_server_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
