/* SPDX-License-Identifier: ISC */
/*
 * load -- sends messages to an SMTP server as fast as it takes them, and says how
 * fast that was and how long the server thought about each.
 *
 *     load [-s SESSIONS] [-n MESSAGES] [-l OCTETS] [-1] [-f FROM] [-t TO] [-m FILE] ADDRESS PORT
 *     load -d PORT [-n MESSAGES] [-l OCTETS] ADDRESS PORT
 *     load -i [-s SESSIONS] ADDRESS PORT
 *
 * MAIL, RCPT and DATA go in one write (RFC 2920).  -1: a connection for each message.
 * -m: this message.  -d: one message at a time, measured until it has come to the
 * load's own sink on that port, which the server has for a next hop.  -i: sessions
 * that say EHLO and then nothing, until standard input ends.
 *
 * One line comes out: messages, seconds, messages per second, and the median and the
 * 99th percentile of the text's end to its reply (or to the sink), in ms.  It knows
 * nothing of Chainmail, so it is the same for everybody.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/sink.h"

enum { LINE = 4096, EVENTS = 256, SECONDS = 120 };

enum stage { GREETING, HELLO, ENVELOPE, TEXT };

struct session {
	struct watcher watcher;
	int        fd;
	enum stage stage;
	unsigned   replies;             /* still to come in this stage */
	size_t     sent, have;
	double     asked;               /* when the text had gone */
	char       line[LINE];
};

static struct {
	unsigned    sessions;
	size_t      messages, octets;
	bool        once, idle;
	int         sink;               /* its port, or 0 */
	const char *from, *to, *file;
} options = { 1, 1000, 4096, false, false, 0, "load@bench.test", "ann@local.test", NULL };

static struct sockaddr_in6 address6;
static struct sockaddr_in  address4;
static char  *text, *envelope;
static size_t text_size, envelope_size, begun, done, settled;
static struct session *relayed;         /* whose message is on its way to the sink */
static bool    replied, arrived;        /* what it waits for */
static double *waits;
static int     poller;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void
give_up(const char *what, const char *detail)
{
	fprintf(stderr, "load: %s: %s\n", what, detail);
	exit(1);
}

/* --- the text ------------------------------------------------------------------------ */

static void
read_text(void)
{
	FILE *f = fopen(options.file, "rb");
	char *block;
	size_t n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
		give_up(options.file, strerror(errno));
	n = (size_t)ftell(f);
	rewind(f);
	block = malloc(n + 6);
	if (block == NULL || fread(block, 1, n, f) != n)
		give_up(options.file, "cannot be read");
	fclose(f);
	memcpy(block + n, ".\r\n", 4);
	text = block;
	text_size = n + 3;
}

static void
make_text(void)
{
	static const char line[] = "All work and no play makes a dull server, says the load of the bench\r\n";
	FILE *f = open_memstream(&text, &text_size);

	fprintf(f, "From: <%s>\r\nTo: <%s>\r\nSubject: load\r\nMessage-ID: <load@bench.test>\r\n"
	    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n", options.from, options.to);
	fflush(f);
	while (text_size < options.octets) {
		size_t left = options.octets - text_size;

		fputs(left >= sizeof line - 1 ? line : line + sizeof line - 1 - (left < 3 ? 3 : left), f);
		fflush(f);
	}
	fputs(".\r\n", f);
	fclose(f);
}

static void
make_envelope(void)
{
	FILE *f = open_memstream(&envelope, &envelope_size);

	fprintf(f, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", options.from, options.to);
	fclose(f);
}

/* --- a session ------------------------------------------------------------------------- */

static void
watch(struct session *s, bool writing)
{
	struct epoll_event e = { .events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = s };

	epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
}

static void
connect_out(struct session *s)
{
	bool six = address6.sin6_family == AF_INET6;
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
	int on = 1;

	s->fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->fd == -1 || connect(s->fd, six ? (void *)&address6 : (void *)&address4,
	    six ? sizeof address6 : sizeof address4) != 0)
		give_up("cannot connect", strerror(errno));
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &e);
	s->stage = GREETING;
	s->replies = 1;
	s->have = 0;
}

static void
say(struct session *s, const char *p, size_t n)
{
	if (write(s->fd, p, n) != (ssize_t)n)
		give_up("cannot send", strerror(errno));
}

static void
send_text(struct session *s)
{
	while (s->sent < text_size) {
		ssize_t n;

		s->asked = now();               /* before: the reply may come first where one core is shared */
		n = write(s->fd, text + s->sent, text_size - s->sent);
		if (n == -1 && errno == EAGAIN) {
			watch(s, true);
			return;
		}
		if (n == -1)
			give_up("cannot send", strerror(errno));
		s->sent += (size_t)n;
	}
	watch(s, false);
	s->stage = TEXT;
	s->replies = 1;
}

static void
finish(struct session *s)
{
	if (write(s->fd, "QUIT\r\n", 6) == -1)
		give_up("cannot send", strerror(errno));
	close(s->fd);
	s->fd = -1;
}

static void
next_message(struct session *s)
{
	if (begun == options.messages) {
		finish(s);
		return;
	}
	begun++;
	relayed = s;
	say(s, envelope, envelope_size);
	s->stage = ENVELOPE;
	s->replies = 3;
}

static void
finished(struct session *s)
{
	done++;
	if (!options.once) {
		next_message(s);
		return;
	}
	finish(s);
	if (begun < options.messages)
		connect_out(s);
}

/* With a sink a message is over when both the reply and the sink say so. */
static void
relayed_when_both(void)
{
	if (replied && arrived) {
		replied = arrived = false;
		finished(relayed);
	}
}

static void
sink_has_it(void)
{
	arrived = true;
	waits[done] = now() - relayed->asked;
	relayed_when_both();
}

static void
taken(struct session *s)
{
	if (options.sink == 0) {
		waits[done] = now() - s->asked;
		finished(s);
	} else {
		replied = true;
		relayed_when_both();
	}
}

static void
stage_over(struct session *s)
{
	switch (s->stage) {
	case GREETING:
		say(s, "EHLO load.bench.test\r\n", 22);
		s->stage = HELLO;
		s->replies = 1;
		break;
	case HELLO:
		settled++;
		if (!options.idle)
			next_message(s);
		break;
	case ENVELOPE:
		s->sent = 0;
		send_text(s);
		break;
	case TEXT:
		taken(s);
		break;
	}
}

static void
answered(struct session *s, const char *line)
{
	if (line[0] != '2' && line[0] != '3')
		give_up("refused", line);
	if (line[3] != '-' && --s->replies == 0)
		stage_over(s);
}

static void
listen_to(struct session *s)
{
	ssize_t n = read(s->fd, s->line + s->have, sizeof s->line - 1 - s->have);
	char *end;

	if (n <= 0)
		give_up("connection lost", n == 0 ? "end of file" : strerror(errno));
	s->have += (size_t)n;
	while (s->fd != -1 && (end = memchr(s->line, '\n', s->have)) != NULL) {
		size_t used = (size_t)(end - s->line) + 1;
		char line[LINE];

		memcpy(line, s->line, used);
		line[used - 1] = 0;
		s->have -= used;
		memmove(s->line, s->line + used, s->have);
		answered(s, line);
	}
}

/* --- all of them ------------------------------------------------------------------------- */

static void
ready(struct watcher *w, uint32_t events)
{
	struct session *s = (struct session *)w;

	if (events & EPOLLOUT)
		send_text(s);
	else
		listen_to(s);
}

static void
turn(double start)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(poller, events, EVENTS, 1000);

	if (now() - start > SECONDS)
		give_up("gave up", "it takes too long");
	for (int i = 0; i < n; i++) {
		struct watcher *w = events[i].data.ptr;

		w->ready(w, events[i].events);
	}
}

static struct session *
connect_all(void)
{
	struct session *all = calloc(options.sessions, sizeof *all);

	for (unsigned i = 0; i < options.sessions; i++) {
		all[i].watcher.ready = ready;
		connect_out(&all[i]);
	}
	return all;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
run(void)
{
	double start = now();
	struct session *all = connect_all();

	while (done < options.messages)
		turn(start);
	start = now() - start;
	qsort(waits, done, sizeof *waits, compare);
	printf("%zu messages %.3f s %.1f per-second %.3f median-ms %.3f p99-ms\n", done, start,
	    (double)done / start, 1e3 * waits[done / 2], 1e3 * waits[done * 99 / 100]);
	free(all);
}

/* Those that do nothing. */
static void
stay(void)
{
	double start = now();
	struct session *all = connect_all();

	while (settled < options.sessions)
		turn(start);
	printf("%zu sessions %.3f s\n", settled, now() - start);
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	free(all);
}

static void
read_address(const char *name, const char *port)
{
	in_port_t number = htons((in_port_t)atoi(port));

	if (inet_pton(AF_INET6, name, &address6.sin6_addr) == 1) {
		address6.sin6_family = AF_INET6;
		address6.sin6_port = number;
	} else if (inet_pton(AF_INET, name, &address4.sin_addr) == 1) {
		address4.sin_family = AF_INET;
		address4.sin_port = number;
	} else {
		give_up(name, "is no address");
	}
}

static void
all_descriptors(void)
{
	struct rlimit most;

	getrlimit(RLIMIT_NOFILE, &most);
	most.rlim_cur = most.rlim_max;
	setrlimit(RLIMIT_NOFILE, &most);
}

int
main(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "s:n:l:1d:if:t:m:")) != -1;)
		switch (c) {
		case 's': options.sessions = (unsigned)atoi(optarg); break;
		case 'n': options.messages = (size_t)atol(optarg); break;
		case 'l': options.octets = (size_t)atol(optarg); break;
		case '1': options.once = true; break;
		case 'd': options.sink = atoi(optarg); break;
		case 'i': options.idle = true; break;
		case 'f': options.from = optarg; break;
		case 't': options.to = optarg; break;
		case 'm': options.file = optarg; break;
		default:  return 64;
		}
	if (argc - optind != 2 || options.sessions == 0 ||
	    (!options.idle && options.messages < options.sessions) ||
	    (options.sink != 0 && options.sessions > 1)) {
		fprintf(stderr, "usage: load [-s N] [-n N] [-l N] [-1] [-d PORT] [-i] [-f A] [-t A] [-m FILE] "
		    "ADDRESS PORT\n");
		return 64;
	}
	read_address(argv[optind], argv[optind + 1]);
	all_descriptors();
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (options.sink != 0 && !sink_open(poller, options.sink, sink_has_it))
		give_up("cannot listen", strerror(errno));
	if (options.idle) {
		stay();
		return 0;
	}
	if (options.file != NULL)
		read_text();
	else
		make_text();
	make_envelope();
	waits = calloc(options.messages, sizeof *waits);
	run();
	free(waits);
	free(text);
	free(envelope);
	return 0;
}
