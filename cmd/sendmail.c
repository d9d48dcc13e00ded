/* SPDX-License-Identifier: ISC */
/*
 * sendmail -- what programs on this machine call to send mail.
 *
 * The message is handed over by SMTP to a listener of the configuration: no
 * right is needed that another client on this machine has not, and it passes the
 * same checks.  That listener should have `allow relay from 127.0.0.1`.  It is
 * all or nothing: when one recipient is refused nobody gets it, and the exit
 * code tells.  A message without From, Date or Message-ID gets one (RFC 6409 8).
 *
 *     -t          recipients are those of To, Cc and Bcc, and Bcc goes
 *     -i, -oi     a line with a dot alone is a line
 *     -f, -r A    the envelope's sender
 *     -bs         SMTP on standard input and output
 *     -N LIST     never, or some of success, failure and delay: reports (RFC 3461 4.1)
 *     -bp         the queue
 *     -q          everything in the queue is tried now
 *     -bi         nothing to do: aliases are read anew by themselves
 *     -C FILE     the configuration; other options are taken and mean nothing
 */
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "cmd/cmd.h"
#include "cmd/faces.h"
#include "conf/load.h"
#include "config.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"
#include "net/peer.h"

enum { MESSAGE_MOST = 64 << 20, MEMORY = 32 << 20, RECIPIENTS = 1000, LINE = 2048, WAIT_MS = 300000 };

struct sending {
	struct arena *arena;
	struct files  files;
	struct conf  *conf;             /* NULL: it cannot be read; then port 25 of this machine */
	const char   *file, *from, *notify;
	char          mode;             /* of -b */
	bool          from_header, dots_stay, flush;
	struct address sender;
	struct address to[RECIPIENTS];
	size_t        count;
	struct buf    message;          /* with CRLF and dots doubled */
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

/* --- the message -------------------------------------------------------------------------- */

/* Up to the end, or a dot alone; line ends become CRLF. */
static void
read_message(const struct sending *s, struct buf *to)
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
}

static bool
add_recipient(struct sending *s, const struct address *a)
{
	if (s->count == RECIPIENTS)
		return false;
	s->to[s->count++] = *a;
	return true;
}

static bool
add_recipients_of(struct sending *s, const struct field *f)
{
	struct mailbox *found = arena_get(s->arena, RECIPIENTS * sizeof *found);
	size_t n = 0;

	if (found == NULL || !mailboxes_parse(f->value, s->arena, found, RECIPIENTS, &n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!add_recipient(s, &found[i].address))
			return false;
	return true;
}

static bool
take_recipients(struct sending *s, const struct header *h)
{
	static const char *const names[] = { "To", "Cc", "Bcc" };

	for (size_t i = 0; i < h->count; i++)
		for (size_t j = 0; j < sizeof names / sizeof *names; j++)
			if (field_is(&h->fields[i], names[j]) && !add_recipients_of(s, &h->fields[i]))
				return false;
	return true;
}

/* Dots in front of lines are doubled (RFC 5321 4.5.2). */
static void
add_text(struct buf *to, struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, '\n') + 1;
		struct slice line = slice_head(text, n);

		if (*line.p == '.')
			buf_byte(to, '.');
		buf_add(to, line);
		text = slice_skip(text, line.n);
	}
}

static void
add_missing_fields(struct sending *s, const struct header *h)
{
	struct clock clock = { 0 };
	struct rng rng = rng_random();
	int64_t now = clock_now(&clock);
	char date[DATE_TEXT + 1];

	date_text(now, date);
	if (header_find(h, "From") == NULL)
		buf_printf(&s->message, "From: <%.*s>\r\n", FMT(s->sender.text));
	if (header_find(h, "Date") == NULL)
		buf_printf(&s->message, "Date: %s\r\n", date);
	if (header_find(h, "Message-ID") == NULL)
		buf_printf(&s->message, "Message-ID: <%llx.%llx@%.*s>\r\n", (unsigned long long)now,
		    (unsigned long long)rng_next(&rng), FMT(s->sender.domain));
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
			add_text(&s->message, h.fields[i].whole);
	if (!slice_starts(body, S("\r\n")))
		buf_add(&s->message, S("\r\n"));
	add_text(&s->message, body);
	return !s->message.full || error_set(why, "the message is too large");
}

/* --- who sends ------------------------------------------------------------------------------ */

static struct slice
our_domain(const struct sending *s)
{
	static char name[256];

	if (s->conf != NULL && s->conf->hostname.n > 0)
		return s->conf->hostname;
	if (gethostname(name, sizeof name - 1) == -1)
		snprintf(name, sizeof name, "localhost");
	return slice(name);
}

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

static int
hand_over(struct sending *s)
{
	char end[64];
	int code;

	if ((code = reply(s)) != 220 || (code = say(s, "EHLO ", our_domain(s), "")) != 250 ||
	    (code = say(s, "MAIL FROM:<", s->sender.text, ">")) != 250)
		return refused(s, code, NONE);
	end_of_rcpt(s, end, sizeof end);
	for (size_t i = 0; i < s->count; i++)
		if ((code = say(s, "RCPT TO:<", s->to[i].text, end)) / 100 != 2)
			return refused(s, code, s->to[i].text);
	if ((code = say(s, "DATA", NONE, "")) != 354)
		return refused(s, code, NONE);
	if (!file_write(s->fd, buf_slice(&s->message), NULL) || (code = say(s, ".", NONE, "")) != 250)
		return refused(s, code, NONE);
	say(s, "QUIT", NONE, "");
	return 0;
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
	for (int c; (c = next_option(argc, argv, "+itvUmnf:r:F:b:o:B:C:N:R:V:X:O:p:h:q::A:")) != -1;)
		switch (c) {
		case 'i': s->dots_stay = true; break;
		case 't': s->from_header = true; break;
		case 'f':
		case 'r': s->from = optarg; break;
		case 'C': s->file = optarg; break;
		case 'o': s->dots_stay = s->dots_stay || strcmp(optarg, "i") == 0; break;
		case 'q': s->flush = true; break;
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
	if (code == 0) {
		read_message(s, &raw);
		if (raw.full || !make_message(s, buf_slice(&raw), &why))
			code = fail(EX_DATAERR, raw.full ? "the message is too large" : why.text, "");
	}
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
	struct flaws flaws;
	int code;

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
