/* SPDX-License-Identifier: ISC */
/*
 * sendmail -- what programs on this machine call to send mail.
 *
 * The message is handed over by SMTP to a listener of the configuration: no
 * right is needed that another client on this machine has not, and it passes the
 * same checks.  That listener should have `allow relay from 127.0.0.1`.  A message
 * without From, Date or Message-ID gets one (RFC 6409 8).
 *
 * A name without a domain, as cron's root, is one of conf_home(): the hostname where
 * that is a domain of ours, else the first of ours.
 *
 * Recipients that the listener refuses for good do not keep the others from getting it:
 * their sender gets a report, or postmaster where the listener refuses him as well.
 * When all are refused, or one for now, nobody gets it, and the exit code tells.
 *
 *     -t          recipients are those of To, Cc and Bcc, and Bcc goes
 *     -i, -oi     a line with a dot alone is a line
 *     -f, -r A    the envelope's sender
 *     -bs         SMTP on standard input and output
 *     -N LIST     never, or some of success, failure and delay: reports (RFC 3461 4.1)
 *     -bp         the queue
 *     -q          everything in the queue is tried now
 *     -bi, -I     nothing to do: aliases are read anew by themselves
 *     -C FILE     the configuration; other options are taken and mean nothing
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/faces.h"
#include "conf/load.h"
#include "config.h"
#include "mail/address.h"
#include "mail/cfws.h"
#include "mail/date.h"
#include "mail/header.h"
#include "net/peer.h"
#include "queue/envelope.h"
#include "queue/report.h"

enum { MESSAGE_MOST = 64 << 20, MEMORY = 32 << 20, RECIPIENTS = 1000, LINE = 2048, WAIT_MS = 300000 };

struct sending {
	struct arena *arena;
	struct files  files;
	struct conf  *conf;             /* NULL: it cannot be read; then port 25 of this machine */
	const char   *file, *from, *notify;
	char          mode;             /* of -b */
	bool          from_header, dots_stay, flush;
	struct address sender;
	struct mailbox found[RECIPIENTS];       /* in one field */
	struct address to[RECIPIENTS];
	size_t        count;
	struct report_recipient refused[RECIPIENTS];
	size_t        refused_count;
	struct buf    message;          /* with CRLF */
	int           fd;
	bool          dsn;              /* the listener offers DSN */
	FILE         *answers;
	char          line[LINE];       /* the newest answer */
};

static int
fail(int code, const char *what, const char *why)
{
	complaint("sendmail: %s%s%s", what, why[0] != '\0' ? ": " : "", why);
	return code;
}

/* --- where we are -------------------------------------------------------------------------- */

static struct slice
our_host(const struct sending *s)
{
	static char name[256];

	if (s->conf != NULL && s->conf->hostname.n > 0)
		return s->conf->hostname;
	if (gethostname(name, sizeof name - 1) == -1)
		snprintf(name, sizeof name, "localhost");
	return slice(name);
}

static struct slice
our_domain(const struct sending *s)
{
	return s->conf != NULL && s->conf->hostname.n > 0 ? conf_home(s->conf) : our_host(s);
}

/* --- the message -------------------------------------------------------------------------- */

/* Up to the end, or a dot alone; line ends become CRLF.  False: it cannot be read, or is too large. */
static bool
read_message(const struct sending *s, struct buf *to, struct error *why)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0 && !to->full) {
		struct slice text = slice_of(line, (size_t)n);

		if (slice_endsi(text, S("\n")))
			text.n--;
		if (slice_endsi(text, S("\r")))
			text.n--;
		if (!s->dots_stay && slice_eq(text, S(".")))
			break;
		buf_add(to, text);
		buf_add(to, S("\r\n"));
	}
	free(line);
	if (ferror(stdin))
		return error_sys(why, "the message cannot be read");
	return !to->full || error_set(why, "the message is too large");
}

static bool
add_recipient(struct sending *s, const struct address *a)
{
	if (s->count == RECIPIENTS)
		return false;
	s->to[s->count] = a->domain.n > 0 ? *a : address_make(a->local, our_domain(s), s->arena);
	s->count++;
	return true;
}

static bool
add_mailboxes(struct sending *s, struct slice value)
{
	size_t n = 0;

	if (!mailboxes_parse(value, s->arena, s->found, RECIPIENTS, &n) || n > RECIPIENTS)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!add_recipient(s, &s->found[i].address))
			return false;
	return true;
}

/* "root, ann@example.org": on this machine a name alone may stand there as well. */
static bool
add_recipients_of(struct sending *s, struct slice value)
{
	struct slice word;

	if (add_mailboxes(s, value))
		return true;
	while (slice_cut(&value, ',', &word)) {
		struct address a = address_make(slice_trim(word), NONE, s->arena);

		if (is_dot_atom(a.local) ? !add_recipient(s, &a) : !add_mailboxes(s, word))
			return false;
	}
	return true;
}

static bool
take_recipients(struct sending *s, const struct header *h)
{
	static const char *const names[] = { "To", "Cc", "Bcc" };

	for (size_t i = 0; i < h->count; i++)
		for (size_t j = 0; j < sizeof names / sizeof *names; j++)
			if (field_is(&h->fields[i], names[j]) && !add_recipients_of(s, h->fields[i].value))
				return false;
	return true;
}

/* Who wrote it, for all that is known: the null sender is nobody's name. */
static struct address
author_of(const struct sending *s)
{
	return s->sender.text.n > 0 ? s->sender : address_make(S("mailer-daemon"), our_domain(s), s->arena);
}

static void
add_missing_fields(struct sending *s, const struct header *h)
{
	const struct address author = author_of(s);
	struct clock clock = { 0 };
	struct rng rng = rng_random();
	int64_t now = clock_now(&clock);
	char date[DATE_TEXT + 1];

	date_text(now, date);
	if (header_find(h, "From") == NULL)
		buf_printf(&s->message, "From: <%.*s>\r\n", FMT(author.text));
	if (header_find(h, "Date") == NULL)
		buf_printf(&s->message, "Date: %s\r\n", date);
	if (header_find(h, "Message-ID") == NULL)
		buf_printf(&s->message, "Message-ID: <%llx.%llx@%.*s>\r\n", (unsigned long long)now,
		    (unsigned long long)rng_next(&rng), FMT(author.domain));
}

/* What was read, as it goes onto the wire; false when it is no message. */
static bool
make_message(struct sending *s, struct slice raw, struct error *why)
{
	size_t length = header_length(raw);
	struct slice block = slice_head(raw, length), body = slice_skip(raw, length);
	struct header h;

	if (slice_endsi(block, S("\r\n\r\n"))) {        /* the empty line is the body's */
		block.n -= 2;
		body = slice_of(body.p - 2, body.n + 2);
	}
	if (!header_parse(&h, block, s->arena, why)) {
		if (s->from_header)
			return false;
		h = (struct header){ .count = 0 };      /* all of it is text */
		body = raw;
	}
	if (s->from_header && !take_recipients(s, &h))
		return error_set(why, "To, Cc or Bcc cannot be understood");
	add_missing_fields(s, &h);
	for (size_t i = 0; i < h.count; i++)
		if (!s->from_header || !field_is(&h.fields[i], "Bcc"))
			buf_add(&s->message, h.fields[i].whole);
	if (!slice_starts(body, S("\r\n")))
		buf_add(&s->message, S("\r\n"));
	buf_add(&s->message, body);
	return !s->message.full || error_set(why, "the message is too large");
}

/* --- who sends ------------------------------------------------------------------------------ */

static bool
find_sender(struct sending *s)
{
	const struct passwd *p = getpwuid(getuid());
	struct slice local = slice(p != NULL ? p->pw_name : "nobody");

	if (s->from == NULL) {
		s->sender = address_make(local, our_domain(s), s->arena);
		return true;
	}
	if (s->from[0] == '\0' || strcmp(s->from, "<>") == 0)   /* the null reverse-path */
		return true;
	if (strchr(s->from, '@') != NULL)
		return address_parse(slice(s->from), s->arena, &s->sender);
	s->sender = address_make(slice(s->from), our_domain(s), s->arena);
	return true;
}

static bool
add_argument(struct sending *s, const char *word)
{
	struct address a;

	if (strchr(word, '@') != NULL) {
		if (!address_parse(slice(word), s->arena, &a))
			return false;
	} else {
		a = address_make(slice(word), our_domain(s), s->arena);
	}
	return add_recipient(s, &a);
}

/* --- to whom we speak ------------------------------------------------------------------------- */

/* Lets this machine relay; otherwise any will do, for addresses of this house. */
static bool
lets_relay(const struct listen_conf *l)
{
	for (size_t i = 0; i < l->relay_count; i++)
		if (ip_loopback(l->relay[i].ip))
			return true;
	return false;
}

static struct peer
peer_of(const struct endpoint *e)
{
	struct peer peer = { .ip = e->ip, .port = e->port };

	if (e->kind == ENDPOINT_UNIX)
		snprintf(peer.path, sizeof peer.path, "%.*s", FMT(e->host));
	else if (e->kind == ENDPOINT_ANY)
		ip_parse(S("127.0.0.1"), &peer.ip);
	return peer;
}

static struct peer
find_listener(const struct sending *s)
{
	const struct listen_conf *found = NULL;
	struct peer usual = { .port = 25 };

	for (size_t i = 0; s->conf != NULL && i < s->conf->listen_count; i++) {
		const struct listen_conf *l = &s->conf->listen[i];

		if (!l->tls_implicit && l->on_count > 0 &&
		    (found == NULL || (lets_relay(l) && !lets_relay(found))))
			found = l;
	}
	ip_parse(S("127.0.0.1"), &usual.ip);
	return found != NULL ? peer_of(&found->on[0]) : usual;
}

static bool
connect_out(struct sending *s, struct error *why)
{
	struct peer peer = find_listener(s);
	struct pollfd p = { .events = POLLOUT };
	const struct timeval patience = { .tv_sec = WAIT_MS / 1000 };
	int flaw = 0;
	socklen_t size = sizeof flaw;

	if ((s->fd = peer_connect(&peer, NULL, why)) == -1)
		return false;
	p.fd = s->fd;
	if (poll(&p, 1, WAIT_MS) != 1 ||
	    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &flaw, &size) == -1 || flaw != 0) {
		errno = flaw != 0 ? flaw : ETIMEDOUT;
		return error_sys(why, "cannot connect");
	}
	fcntl(s->fd, F_SETFL, fcntl(s->fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	return true;
}

/* --- SMTP --------------------------------------------------------------------------------------- */

static bool
offers_dsn(const char *line)
{
	return (line[3] == '-' || line[3] == ' ') && strncasecmp(line + 4, "DSN", 3) == 0 &&
	    strspn(line + 7, "\r\n") == strlen(line + 7);
}

/* The code of a reply; its last line stays in s->line.  0: the connection is lost. */
static int
reply(struct sending *s)
{
	do {
		if (fgets(s->line, sizeof s->line, s->answers) == NULL)
			return 0;
		s->dsn = s->dsn || (strlen(s->line) > 6 && offers_dsn(s->line));
	} while (strlen(s->line) > 3 && s->line[3] == '-');
	s->line[strcspn(s->line, "\r\n")] = '\0';
	return (int)strtol(s->line, NULL, 10);
}

static int
say(struct sending *s, const char *verb, struct slice path, const char *end)
{
	struct buf b = BUF(LINE);
	bool ok;

	buf_printf(&b, "%s%.*s%s\r\n", verb, FMT(path), end);
	ok = !b.full && file_write(s->fd, buf_slice(&b), NULL);
	buf_free(&b);
	return ok ? reply(s) : 0;
}

static int
refused(const struct sending *s, int code, struct slice about)
{
	int exit_code = code == 0 || code / 100 == 4 ? EX_TEMPFAIL : about.n > 0 ? EX_NOUSER : EX_UNAVAILABLE;
	const char *why = code == 0 ? "the connection was lost" : s->line;

	if (about.n > 0)
		complaint("sendmail: %.*s: %s", FMT(about), why);
	else
		complaint("sendmail: %s", why);
	return exit_code;
}

/* What stands behind the path in RCPT. */
static void
end_of_rcpt(const struct sending *s, char *text, size_t size)
{
	bool said = s->dsn && s->notify != NULL;

	snprintf(text, size, ">%s%s", said ? " NOTIFY=" : "", said ? s->notify : "");
}

/* Dots in front of lines are doubled (RFC 5321 4.5.2); then the dot alone.  The code of the reply. */
static int
say_text(struct sending *s, struct slice text)
{
	struct buf b = BUF(2 * MESSAGE_MOST);
	bool ok;

	while (text.n > 0) {
		struct slice line = slice_head(text, slice_find(text, '\n') + 1);

		if (*line.p == '.')
			buf_byte(&b, '.');
		buf_add(&b, line);
		text = slice_skip(text, line.n);
	}
	ok = !b.full && file_write(s->fd, buf_slice(&b), NULL);
	buf_free(&b);
	return ok ? say(s, ".", NONE, "") : 0;
}

static int
say_data(struct sending *s, struct slice text)
{
	int code = say(s, "DATA", NONE, "");

	return code == 354 ? say_text(s, text) : code;
}

/* --- those who do not get it ---------------------------------------------------------------- */

static void
note_refused(struct sending *s, const struct address *to, int code)
{
	struct slice text = arena_copy(s->arena, slice_skip(slice(s->line), 4));

	s->refused[s->refused_count++] = (struct report_recipient){ .address = to->text,
	    .action = REPORT_FAILED, .status = status_of_reply((unsigned)code, text) };
}

static uint64_t
any_id(struct rng *rng)
{
	return (rng_next(rng) & ID_MOST) | 1;
}

/* RFC 3464: as the queue would have written it. */
static void
write_report(const struct sending *s, struct slice to, struct buf *text)
{
	struct clock clock = { 0 };
	struct rng rng = rng_random();
	int64_t now = clock_now(&clock);
	struct report r = {
		.hostname = our_host(s), .to = to, .id = any_id(&rng), .about = any_id(&rng),
		.arrived = now, .now = now, .recipients = s->refused, .count = s->refused_count,
		.original = buf_slice(&s->message), .full = true,
	};

	report_write(text, &r);
}

static bool
send_report_to(struct sending *s, struct slice to)
{
	struct buf text = BUF(2 * REPORT_NAMES_MOST);
	bool ok;

	write_report(s, to, &text);
	ok = !text.full && say(s, "MAIL FROM:<", NONE, ascii_only(buf_slice(&text)) ? ">"
	    : "> BODY=8BITMIME") == 250 && say(s, "RCPT TO:<", to, ">") / 100 == 2 &&
	    say_data(s, buf_slice(&text)) == 250;
	if (!ok)
		say(s, "RSET", NONE, "");
	buf_free(&text);
	return ok;
}

/* RFC 3461 4.1: failures, unless he said that he does not want to hear of them. */
static bool
wants_report(const struct sending *s)
{
	return s->notify == NULL || strcasestr(s->notify, "failure") != NULL;
}

/* The others have it; somebody must hear of these, or the caller does. */
static int
tell_refused(struct sending *s)
{
	struct slice postmaster = address_make(S("postmaster"), our_domain(s), s->arena).text;

	for (size_t i = 0; i < s->refused_count; i++)
		complaint("sendmail: %.*s: %u %.*s", FMT(s->refused[i].address), s->refused[i].status.reply,
		    FMT(s->refused[i].status.text));
	if (s->refused_count == 0 || !wants_report(s))
		return 0;
	if ((s->sender.text.n > 0 && send_report_to(s, s->sender.text)) || send_report_to(s, postmaster))
		return 0;
	return EX_NOUSER;
}

/* --- the conversation ------------------------------------------------------------------------- */

/* 0: at least one of them was taken, and the others were refused for good. */
static int
name_recipients(struct sending *s)
{
	char end[64];
	int code = 0;

	end_of_rcpt(s, end, sizeof end);
	for (size_t i = 0; i < s->count; i++) {
		code = say(s, "RCPT TO:<", s->to[i].text, end);
		if (code / 100 == 5)
			note_refused(s, &s->to[i], code);
		else if (code / 100 != 2)
			return refused(s, code, s->to[i].text);
		if (s->refused_count == s->count)
			return refused(s, code, s->to[i].text);
	}
	return 0;
}

static int
hand_over(struct sending *s)
{
	int code;

	if ((code = reply(s)) != 220 || (code = say(s, "EHLO ", our_host(s), "")) != 250 ||
	    (code = say(s, "MAIL FROM:<", s->sender.text, ">")) != 250)
		return refused(s, code, NONE);
	if ((code = name_recipients(s)) != 0)
		return code;
	if ((code = say_data(s, buf_slice(&s->message))) != 250)
		return refused(s, code, NONE);
	code = tell_refused(s);
	say(s, "QUIT", NONE, "");
	return code;
}

/* -bs: what one says the other hears. */
static int
pass_on(const struct sending *s)
{
	struct pollfd p[2] = { { STDIN_FILENO, POLLIN, 0 }, { s->fd, POLLIN, 0 } };
	char bytes[LINE];

	while (poll(p, 2, WAIT_MS) > 0)
		for (int i = 0; i < 2; i++) {
			ssize_t n = p[i].revents != 0 ? read(p[i].fd, bytes, sizeof bytes) : -1;

			if (p[i].revents == 0)
				continue;
			if (n <= 0 && i == 1)
				return 0;
			if (n <= 0) {                   /* the server answers what it still can */
				shutdown(s->fd, SHUT_WR);
				p[0].fd = -1;
			} else if (!file_write(i == 0 ? s->fd : STDOUT_FILENO,
			    slice_of(bytes, (size_t)n), NULL)) {
				return EX_TEMPFAIL;
			}
		}
	return EX_TEMPFAIL;
}

/* --- the command line ---------------------------------------------------------------------------- */

static bool
is_notify(const char *list)
{
	static const char *const words[] = { "success", "failure", "delay" };
	struct slice rest = slice(list), word;

	if (strcasecmp(list, "never") == 0)
		return true;
	if (rest.n == 0 || slice_endsi(rest, S(",")) || rest.n > 40)
		return false;
	while (slice_cut(&rest, ',', &word)) {
		bool known = false;

		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			known = known || slice_eqi(word, slice(words[i]));
		if (!known)
			return false;
	}
	return true;
}

/* -bm, -bs, -bp, -bi; others are for somebody who is not here. */
static bool
read_mode(struct sending *s, const char *word)
{
	if (strlen(word) != 1 || strchr("mspi", word[0]) == NULL) {
		fail(0, word, "-b knows m, s, p and i; to ask about an address: chainmail route ADDRESS");
		return false;
	}
	s->mode = word[0];
	return true;
}

static bool
read_options(struct sending *s, int argc, char **argv)
{
	for (int c; (c = next_option(argc, argv, "+itvUmnGIf:r:F:b:o:B:C:L:N:R:V:X:O:p:h:q::A:")) != -1;)
		switch (c) {
		case 'i': s->dots_stay = true; break;
		case 't': s->from_header = true; break;
		case 'f':
		case 'r': s->from = optarg; break;
		case 'C': s->file = optarg; break;
		case 'o': s->dots_stay = s->dots_stay || strcmp(optarg, "i") == 0; break;
		case 'q': s->flush = true; break;
		case 'I': s->mode = 'i'; break;
		case 'N':
			if (!is_notify(s->notify = optarg)) {
				fail(0, optarg, "-N takes never, or some of success,failure,delay");
				return false;
			}
			break;
		case 'b':
			if (!read_mode(s, optarg))
				return false;
			break;
		case '?': return false;
		default: break;                         /* of no meaning here */
		}
	return true;
}

static int
ask_queue(const struct sending *s, const char *verb, const char *what)
{
	char *words[] = { (char *)"queue", (char *)(uintptr_t)verb, (char *)"-c",
	    (char *)(uintptr_t)s->file, (char *)(uintptr_t)what, NULL };

	return cmd_queue(what != NULL ? 5 : 4, words);
}

static int
prepare(struct sending *s, int argc, char **argv)
{
	struct buf raw = BUF(MESSAGE_MOST);
	struct error why = { 0 };
	int code = 0;

	if (!find_sender(s))
		code = fail(EX_USAGE, s->from, "is no address");
	for (int i = optind; code == 0 && i < argc; i++)
		if (!add_argument(s, argv[i]))
			code = fail(EX_NOUSER, argv[i], "is no address, or one too many");
	if (code == 0 && s->count == 0 && !s->from_header)
		code = fail(EX_USAGE, "to whom? Addresses, or -t", "");
	if (code == 0 && (!read_message(s, &raw, &why) || !make_message(s, buf_slice(&raw), &why)))
		code = fail(EX_DATAERR, why.text, "");
	if (code == 0 && s->count == 0)
		code = fail(EX_NOUSER, "the message names no recipient", "");
	buf_free(&raw);
	return code;
}

static int
send_it(struct sending *s, int argc, char **argv)
{
	struct error why = { 0 };
	int code = s->mode == 's' ? 0 : prepare(s, argc, argv);

	if (code != 0)
		return code;
	if (!connect_out(s, &why))
		return fail(EX_TEMPFAIL, why.text, "");
	if (s->mode == 's')
		return pass_on(s);
	if ((s->answers = fdopen(dup(s->fd), "r")) == NULL)
		return fail(EX_OSERR, strerror(errno), "");
	code = hand_over(s);
	fclose(s->answers);
	return code;
}

int
face_sendmail(int argc, char **argv)
{
	static struct sending s;
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct flaws flaws;
	int code;

	sigaction(SIGPIPE, &ignore, NULL);      /* a listener that hangs up is an exit code, not a death */
	s = (struct sending){ .file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf", .fd = -1,
	    .message = BUF(2 * MESSAGE_MOST), .arena = arena_new(MEMORY) };
	if (!read_options(&s, argc, argv))
		return EX_USAGE;
	if (s.mode == 'i')
		return 0;
	if (s.mode == 'p' || s.flush)
		return s.flush ? ask_queue(&s, "retry", "all") : ask_queue(&s, "list", NULL);
	flaws_begin(&flaws);
	if (access(s.file, R_OK) == 0)
		s.conf = conf_load_texts(s.file, &s.files, &flaws);
	code = send_it(&s, argc, argv);
	if (s.fd != -1)
		close(s.fd);
	conf_free(s.conf);
	files_free(&s.files);
	flaws_end(&flaws);
	buf_free(&s.message);
	arena_free(s.arena);
	return code;
}
