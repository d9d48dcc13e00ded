/* SPDX-License-Identifier: ISC */
/*
 * The listener's role between a client on a socket and a queue whose lines the
 * test speaks (smtpd/visit, accept, intake, storage, rates).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "dns/zone.h"
#include "net/link.h"
#include "queue/queue.h"
#include "smtpd/inside.h"
#include "unit.h"

enum { STORES_MOST = 20 };

/* A FRAME_STORE that came to the queue. */
struct store {
	uint64_t        number, file;
	struct envelope envelope;
	struct slice    content;
};

struct client {
	int        fd;
	struct buf got;                 /* replies */
	bool       gone;
};

static struct clock    clock_;
static struct loop     loop;
static struct files    files;
static struct reader   reader;
static struct conf    *conf;
static struct routes  *routes;
static struct zone    *zone;
static struct resolver *resolver;
static struct log      log_;
static struct buf      said;
static struct smtpd   *smtpd;
static struct link    *queue;
static struct arena   *arena;
static struct store    stores[STORES_MOST];
static size_t          store_count;
static uint64_t        spaces[STORES_MOST], drops[STORES_MOST];
static size_t          space_count, drop_count;
static struct buf      past;            /* what the queue was told for its history */

static const char CONFIG[] = "hostname mx.local.test\n"
    "listen mx { on 127.0.0.1:2525; allow relay from 192.0.2.7; limit messages 3/h per client; "
    "limit connections 3 }\n"
    "limits { size 1MB; received 5 }\n"
    "key k { domain local.test; selector s1; file /k }\n"
    "domain local.test { deliver to maildir /m/%u; users ann, ben; alias postmaster -> ann;\n"
    "list staff { members ann@local.test; post members }; list void { members from file /c/void } }\n";

static void
log_write(void *arg, struct slice line)
{
	buf_add(arg, line);
}

/* --- the queue ------------------------------------------------------------------------ */

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct unpack u = { .left = arena_copy(arena, payload) };

	(void)arg;
	assert_int_equal(fd, -1);
	if (kind == FRAME_PAST)
		buf_add(&past, payload);
	if (kind == FRAME_PAST || kind == FRAME_REPEATED)
		return;
	if (kind == FRAME_STORE) {
		struct store *s = &stores[store_count++];

		*s = (struct store){ .number = unpack_u64(&u), .file = unpack_u64(&u) };
		assert_true(envelope_unpack(&s->envelope, unpack_slice(&u), arena, NULL));
		s->content = unpack_slice(&u);
	} else if (kind == FRAME_SPACE) {
		spaces[space_count++] = unpack_u64(&u);
	} else {
		assert_int_equal(kind, FRAME_SPACE_DROP);
		drops[drop_count++] = unpack_u64(&u);
	}
	assert_true(unpack_done(&u));
}

static void
on_gone(void *arg)
{
	(void)arg;
	link_end(queue);
	queue = NULL;
}

static const struct link_user QUEUE = { on_frame, on_gone };

static void
queue_comes(void)
{
	int ends[2];

	link_pair(ends);
	link_end(queue);
	queue = link_new(&loop, ends[0], &QUEUE, NULL);
	smtpd_queue(smtpd, ends[1]);
}

static void
queue_dies(void)
{
	link_end(queue);
	queue = NULL;
	loop_run_until(&loop, clock_.now + 10);
}

static void
queue_says(unsigned kind, uint64_t number, uint64_t file, struct status s, int fd)
{
	struct buf b = BUF(1000);

	pack_u64(&b, number);
	if (kind == FRAME_SPACE_IS)
		pack_u64(&b, file);
	pack_u16(&b, (uint16_t)s.reply);
	pack_u8(&b, (uint8_t)s.class);
	pack_u16(&b, (uint16_t)s.subject);
	pack_u16(&b, (uint16_t)s.detail);
	pack_slice(&b, s.text);
	link_send(queue, kind, buf_slice(&b), fd);
	buf_free(&b);
	loop_run_until(&loop, clock_.now + 10);
}

static void
queue_stores(size_t n)
{
	queue_says(FRAME_STORED, stores[n].number, 0, STATUS(250, 2, 0, 0, "ok"), -1);
}

/* A file of that number for the request; the test reads what was written. */
static int
queue_gives(size_t n, uint64_t file)
{
	int fd = memfd_create("space", MFD_CLOEXEC);

	queue_says(FRAME_SPACE_IS, spaces[n], file, STATUS(250, 2, 0, 0, "ok"), dup(fd));
	return fd;
}

/* --- a client ---------------------------------------------------------------------------- */

static void
run(int64_t ms)
{
	loop_run_until(&loop, clock_.now + ms);
}

static void
hear(struct client *c)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buf_add(&c->got, slice_of(bytes, (size_t)n));
	c->gone = n == 0 || (n == -1 && errno == ECONNRESET);
}

static void
say_bytes(struct client *c, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = send(c->fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			s = slice_skip(s, (size_t)n);
		else if (errno != EAGAIN)
			return;
		run(1);
	}
	run(10);
	hear(c);
}

static void
say(struct client *c, const char *text)
{
	say_bytes(c, slice(text));
}

static void
connect_from(struct client *c, const char *ip)
{
	int ends[2];
	struct peer peer = { .port = 4000 };

	assert_true(ip_parse(slice(ip), &peer.ip));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	*c = (struct client){ .fd = ends[0], .got = BUF(1 << 20) };
	visit_begin(&smtpd->doors[0], ends[1], peer);
	run(10);
	hear(c);
}

static void
leave(struct client *c)
{
	close(c->fd);
	buf_free(&c->got);
	run(10);
}

/* The codes of all replies so far, "220 250 250 "; they are taken. */
static const char *
codes(struct client *c)
{
	static char text[400];
	struct slice all = buf_slice(&c->got), line;
	size_t n = 0;

	text[0] = '\0';
	while (slice_cut(&all, '\n', &line))
		if (line.n > 3 && line.p[3] == ' ' && n + 5 < sizeof text)
			n += (size_t)snprintf(text + n, sizeof text - n, "%.*s ", 3, line.p);
	buf_clear(&c->got);
	return text;
}

#define EXPECT(client, want) assert_string_equal(codes(client), want)

static bool
heard(const struct client *c, const char *words)
{
	return c->got.n > 0 && memmem(c->got.p, c->got.n, words, strlen(words)) != NULL;
}

/* --- beginning and ending ------------------------------------------------------------------ */

static int
setup(void **state)
{
	struct smtpd_options o;
	struct flaws flaws;
	struct error why = { 0 };

	(void)state;
	arena = arena_new(64 << 20);
	clock_ = clock_virtual(1795342332000);
	loop_begin(&loop, &clock_);
	said = BUF(1 << 20);
	past = BUF(1 << 20);
	log_ = (struct log){ .clock = &clock_, .write = log_write, .arg = &said };
	buf_add(&files_add(&files, S("/c/x.conf"), FILE_CONFIG)->bytes, slice(CONFIG));
	files_add(&files, S("/c/void"), FILE_MEMBERS);
	reader = files_reader(&files);
	flaws_begin(&flaws);
	conf = conf_parse(S("/c/x.conf"), &reader, &flaws);
	routes = routes_new(conf, &reader, &flaws);
	flaws_add_text(&said, &flaws);
	if (flaws.errors > 0)
		fail_msg("%.*s", FMT(buf_slice(&said)));
	flaws_end(&flaws);
	zone = zone_parse(S("sender.test MX 10 sender.test\nsender.test A 192.0.2.1\n"), "zone", NULL);
	resolver = resolver_new(&loop, &(struct resolver_options){ .facts = zone }, &why);
	assert_non_null(resolver);
	o = (struct smtpd_options){ .conf = conf, .routes = routes, .files = &reader,
		.resolver = resolver, .log = &log_ };
	assert_non_null(smtpd = smtpd_start(&loop, &o, &why));
	store_count = space_count = drop_count = 0;
	queue_comes();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	smtpd_end(smtpd);
	link_end(queue);
	queue = NULL;
	run(1000);                              /* nobody speaks after the end */
	resolver_free(resolver);
	zone_free(zone);
	loop_end(&loop);
	routes_free(routes);
	conf_free(conf);
	files_free(&files);
	files = (struct files){ 0 };
	buf_free(&said);
	buf_free(&past);
	arena_free(arena);
	return 0;
}

/* --- a message ---------------------------------------------------------------------------------- */

#define HELLO "EHLO client.test\r\n"
#define MAIL  "MAIL FROM:<s@sender.test>\r\nRCPT TO:<ann@local.test>\r\n"
#define TEXT  "From: s@sender.test\r\nSubject: one\r\n\r\nhello\r\n"

/* 250 comes after the queue's word and not before (RFC 5321 6.1). */
static void
test_message(void **state)
{
	struct client c;
	struct slice trace;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
	EXPECT(&c, "220 250 250 250 354 ");
	run(100);
	assert_int_equal(store_count, 1);
	hear(&c);
	EXPECT(&c, "");
	assert_slice(stores[0].content, TEXT);
	assert_slice(stores[0].envelope.sender, "s@sender.test");
	assert_slice(stores[0].envelope.recipients[0].address, "ann@local.test");
	assert_slice(stores[0].envelope.listener, "mx");
	assert_slice(stores[0].envelope.helo, "client.test");
	assert_true(stores[0].envelope.hashed && !stores[0].envelope.summed);
	trace = stores[0].envelope.trace;
	assert_true(slice_starts(trace, S("Authentication-Results: mx.local.test;")));
	assert_non_null(memmem(trace.p, trace.n, "for <ann@local.test>", 20));
	queue_stores(0);
	hear(&c);
	assert_true(heard(&c, "250 2.0.0 Ok: queued as "));
	say(&c, "QUIT\r\n");
	assert_true(c.gone);
	assert_int_equal(smtpd_visits(smtpd), 0);
	leave(&c);
}

/* RFC 7208 9.1: where it is wanted, and there above Received; a relay's mail was not judged. */
static void
test_received_spf(void **state)
{
	static const char want[] = "\r\nReceived-SPF: none\r\n\tclient-ip=192.0.2.1;\r\n"
	    "\tenvelope-from=\"s@sender.test\";\r\n\thelo=client.test;\r\n\tidentity=mailfrom;\r\n"
	    "\treceiver=mx.local.test\r\nReceived: from client.test";
	struct client c;

	(void)state;
	for (int on = 0; on < 2; on++) {
		struct slice trace;

		conf->policy.received_spf = on;
		connect_from(&c, "192.0.2.1");
		say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
		run(100);
		trace = stores[on].envelope.trace;
		assert_int_equal(memmem(trace.p, trace.n, want, sizeof want - 1) != NULL, on);
		assert_int_equal(memmem(trace.p, trace.n, "Received-SPF", 12) != NULL, on);
		leave(&c);
	}
}

/* RFC 5321 4.4: a Bcc must not be told to the others. */
static void
test_for_one_recipient_only(void **state)
{
	struct client c;
	struct slice trace;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "RCPT TO:<ben@local.test>\r\nDATA\r\n" TEXT ".\r\n");
	run(100);
	trace = stores[0].envelope.trace;
	assert_non_null(memmem(trace.p, trace.n, "Received: ", 10));
	assert_null(memmem(trace.p, trace.n, "for <", 5));
	assert_int_equal(stores[0].envelope.count, 2);
	leave(&c);
}

/* Names that come one by one, each where the one before stood in the buffer. */
static void
test_recipients_one_by_one(void **state)
{
	static const char *const names[] = { "ann", "ben", "ann", "postmaster", "ANN" };
	struct client c;
	struct buf all = BUF(1000);

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO);
	say(&c, "MAIL FROM:<s@sender.test>\r\n");
	for (size_t i = 0; i < COUNT(names); i++) {
		char text[100];

		snprintf(text, sizeof text, "RCPT TO:<%s@local.test>\r\n", names[i]);
		say(&c, text);
	}
	say(&c, "DATA\r\n" TEXT ".\r\n");
	run(100);
	assert_int_equal(store_count, 1);
	for (size_t i = 0; i < stores[0].envelope.count; i++)
		buf_printf(&all, "%.*s ", FMT(stores[0].envelope.recipients[i].address));
	assert_slice(buf_slice(&all), "ann@local.test ben@local.test postmaster@local.test ANN@local.test ");
	buf_free(&all);
	leave(&c);
}

/* What the queue refuses is refused; the next message may come. */
static void
test_queue_refuses(void **state)
{
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
	run(100);
	codes(&c);
	queue_says(FRAME_STORED, stores[0].number, 0, STATUS(452, 4, 3, 1, "no space"), -1);
	hear(&c);
	assert_true(heard(&c, "452 4.3.1 no space"));
	codes(&c);
	say(&c, MAIL);
	EXPECT(&c, "250 250 ");
	leave(&c);
}

/* --- the history ------------------------------------------------------------------------------------ */

static size_t
lines_with(const struct buf *b, const char *words)
{
	struct slice all = buf_slice(b), line;
	size_t n = 0;

	while (slice_cut(&all, '\n', &line))
		n += memmem(line.p, line.n, words, strlen(words)) != NULL;
	return n;
}

/* The queue hears a little later of who came, for whom, and who was sent away. */
static void
test_witness(void **state)
{
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, "EHLO bad..name\r\n" HELLO MAIL "RCPT TO:<nobody@local.test>\r\nDATA\r\n" TEXT ".\r\n");
	run(100);
	queue_stores(0);
	assert_int_equal(lines_with(&past, " received "), 0);
	run(200);
	assert_int_equal(lines_with(&past, " received "), 1);
	assert_int_equal(lines_with(&past, "from=<s@sender.test> to=<ann@local.test> rcpts=1"), 1);
	assert_int_equal(lines_with(&past, " refused "), 1);    /* the EHLO is about no message */
	assert_int_equal(lines_with(&past, "to=<nobody@local.test> verb=RCPT reply=550 dsn=5.1.1 why="), 1);
	leave(&c);
}

/* One client has twenty refusals a minute, all have 120; the rest is counted and said. */
static void
test_witness_of_a_flood(void **state)
{
	struct client c;
	char ip[20];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(ip, sizeof ip, "192.0.2.%d", 100 + i);
		for (int visit = 0; visit < 2; visit++) {
			connect_from(&c, ip);
			say(&c, HELLO "MAIL FROM:<s@sender.test>\r\n");
			for (int n = 0; n < 15; n++)
				say(&c, "RCPT TO:<nobody@local.test>\r\n");
			leave(&c);
		}
		run(200);
		assert_int_equal(lines_with(&past, "client=192.0.2.100 "), 20);
	}
	assert_int_equal(lines_with(&past, " refused "), 120);
	assert_int_equal(lines_with(&past, "not-kept"), 0);
	run(61 * SECOND);
	run(SECOND);
	assert_int_equal(lines_with(&past, "not-kept count=180"), 1);
	connect_from(&c, "192.0.2.100");
	say(&c, HELLO "MAIL FROM:<s@sender.test>\r\nRCPT TO:<nobody@local.test>\r\n");
	run(200);
	assert_int_equal(lines_with(&past, " refused "), 121);  /* a new minute */
	leave(&c);
}

/* Without a queue so much is kept for the next one, and no more. */
static void
test_witness_without_a_queue(void **state)
{
	struct client c;

	(void)state;
	queue_dies();
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO "MAIL FROM:<s@sender.test>\r\nRCPT TO:<nobody@local.test>\r\n");
	run(500);
	queue_comes();
	say(&c, "RCPT TO:<noone@local.test>\r\n");
	run(500);
	assert_int_equal(lines_with(&past, " refused "), 2);
	leave(&c);
}

/* --- chunks ---------------------------------------------------------------------------------------- */

/* Chunks that RSET gave up are not in the next message (RFC 3030 2). */
static void
test_chunks_given_up(void **state)
{
	static const char *const ways[] = {
		HELLO MAIL "BDAT 20\r\nFrom: evil@x.test\r\n\nRSET\r\n" MAIL "DATA\r\n" TEXT ".\r\n",
		HELLO MAIL "BDAT 20\r\nFrom: evil@x.test\r\n\n" HELLO MAIL "DATA\r\n" TEXT ".\r\n",
		HELLO MAIL "BDAT 20\r\nFrom: evil@x.test\r\n\nRSET\r\n" MAIL "BDAT 44 LAST\r\n" TEXT,
		HELLO MAIL "BDAT 20\r\nFrom: evil@x.test\r\n\nRSET\r\n" MAIL "BDAT 0\r\nBDAT 44 LAST\r\n" TEXT,
	};
	struct client c;

	(void)state;
	for (size_t i = 0; i < COUNT(ways); i++)
		for (int trickle = 0; trickle < 2; trickle++) {
			struct slice all = slice(ways[i]);

			teardown(state);
			setup(state);
			connect_from(&c, "192.0.2.1");
			for (; all.n > 0; all = slice_skip(all, trickle ? 1 : all.n))
				say_bytes(&c, slice_head(all, trickle ? 1 : all.n));
			run(100);
			hear(&c);
			if (store_count != 1)
				print_error("%zu: %.*s", i, FMT(buf_slice(&c.got)));
			assert_int_equal(store_count, 1);
			assert_slice(stores[0].content, TEXT);
			leave(&c);
		}
}

static void
test_empty_message_behind_chunks(void **state)
{
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.7");
	say(&c, HELLO MAIL "BDAT 20\r\nFrom: evil@x.test\r\n\nRSET\r\n" MAIL "BDAT 0 LAST\r\n");
	run(100);
	assert_int_equal(store_count, 1);
	assert_slice(stores[0].content, "");
	leave(&c);
}

/* --- queues that come and go ------------------------------------------------------------------------ */

static void
test_queue_is_replaced(void **state)
{
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
	run(100);
	codes(&c);
	queue_dies();
	run(1000);
	hear(&c);
	EXPECT(&c, "");
	queue_comes();
	run(10);
	assert_int_equal(store_count, 2);       /* the same request again */
	assert_int_equal(stores[1].envelope.id, stores[0].envelope.id);
	assert_true(slice_eq(stores[1].content, stores[0].content));
	queue_stores(1);
	queue_stores(1);                        /* once more, to nobody */
	hear(&c);
	EXPECT(&c, "250 ");
	leave(&c);
}

static void
test_no_queue_yet(void **state)
{
	struct client c;

	(void)state;
	queue_dies();
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
	run(100);
	assert_int_equal(store_count, 0);
	queue_comes();
	run(10);
	assert_int_equal(store_count, 1);
	queue_stores(0);
	codes(&c);
	hear(&c);
	EXPECT(&c, "250 ");
	leave(&c);
}

/* The client goes while the queue writes: nobody is told, nothing breaks. */
static void
test_client_goes(void **state)
{
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
	run(100);
	leave(&c);
	run(100);
	queue_stores(0);
	assert_int_equal(store_count, 1);
	/* And one that goes in the middle of its text leaves nothing. */
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\nSubject: half\r\n");
	leave(&c);
	run(100);
	assert_int_equal(store_count, 1);
	assert_int_equal(smtpd_visits(smtpd), 0);
}

/* --- large messages ------------------------------------------------------------------------------------ */

static void
fill(struct buf *b, size_t n, const char *line)
{
	buf_add(b, S("From: s@sender.test\r\n\r\n"));
	while (b->n < n)
		buf_add(b, slice(line));
}

static size_t
size_of(int fd)
{
	return (size_t)lseek(fd, 0, SEEK_END);
}

static void
test_large_message(void **state)
{
	struct client c;
	struct buf text = BUF(1 << 20);
	int fd;

	(void)state;
	fill(&text, 400000, "a line\r\n");
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n");
	say_bytes(&c, buf_slice(&text));
	say(&c, ".\r\nNOOP\r\n");
	assert_int_equal(space_count, 1);
	fd = queue_gives(0, 1);
	run(100);
	assert_int_equal(store_count, 1);
	assert_int_equal(stores[0].file, 1);
	assert_int_equal(stores[0].content.n, 0);
	assert_int_equal(stores[0].envelope.size, text.n);
	assert_true(stores[0].envelope.summed && stores[0].envelope.content_sum == crc32c(0, buf_slice(&text)));
	assert_int_equal(size_of(fd), text.n);
	codes(&c);
	queue_stores(0);
	hear(&c);
	EXPECT(&c, "250 250 ");
	assert_int_equal(drop_count, 0);
	close(fd);
	leave(&c);
	buf_free(&text);
}

static void
test_no_space(void **state)
{
	struct client c;
	struct buf text = BUF(1 << 20);

	(void)state;
	fill(&text, 400000, "a line\r\n");
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n");
	say_bytes(&c, buf_slice(&text));
	say(&c, ".\r\n");
	codes(&c);
	queue_says(FRAME_SPACE_IS, spaces[0], 0, STATUS(452, 4, 3, 1, "no space for a large message now"), -1);
	run(100);
	hear(&c);
	assert_true(heard(&c, "452 4.3.1"));
	assert_int_equal(store_count, 0);
	leave(&c);
	buf_free(&text);
}

/* The queue that gave the file dies before the message is whole: 451, whoever comes next. */
static void
test_file_goes_with_its_queue(void **state)
{
	struct client c, other;
	struct buf text = BUF(1 << 20);
	int fd, new;

	(void)state;
	for (int comes = 0; comes < 2; comes++) {
		buf_clear(&text);
		fill(&text, 400000, "a line\r\n");
		connect_from(&c, "192.0.2.1");
		say(&c, HELLO MAIL "DATA\r\n");
		say_bytes(&c, buf_slice(&text));
		fd = queue_gives(space_count - 1, 1);
		queue_dies();
		connect_from(&other, "192.0.2.2");
		if (comes) {                    /* the new one gives a file of that number to another */
			queue_comes();
			say(&other, HELLO MAIL "DATA\r\n");
			say_bytes(&other, buf_slice(&text));
			new = queue_gives(space_count - 1, 1);
		}
		codes(&c);
		say(&c, ".\r\n");
		run(100);
		hear(&c);
		EXPECT(&c, "451 ");
		assert_int_equal(store_count, 0);
		if (comes) {
			say(&other, ".\r\n");
			run(100);
			assert_int_equal(store_count, 1);
			assert_int_equal(stores[0].file, 1);
			assert_int_equal(size_of(new), text.n);
			close(new);
		}
		close(fd);
		leave(&c);
		leave(&other);
		if (!comes)
			queue_comes();
	}
	buf_free(&text);
}

/* Who goes before his message is whole gives the file back. */
static void
test_file_is_given_back(void **state)
{
	struct client c;
	struct buf text = BUF(1 << 20);

	(void)state;
	fill(&text, 400000, "a line\r\n");
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n");
	say_bytes(&c, buf_slice(&text));
	close(queue_gives(0, 41));
	leave(&c);
	assert_int_equal(drop_count, 1);
	assert_int_equal(drops[0], 41);
	connect_from(&c, "192.0.2.1");          /* he goes before it comes */
	say(&c, HELLO MAIL "DATA\r\n");
	say_bytes(&c, buf_slice(&text));
	leave(&c);
	close(queue_gives(1, 42));
	assert_int_equal(drop_count, 2);
	assert_int_equal(drops[1], 42);
	buf_free(&text);
}

static void
test_too_large(void **state)
{
	struct client c;
	struct buf text = BUF(2 << 20);

	(void)state;
	fill(&text, (1 << 20) + 100, "a line\r\n");
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\n");
	say_bytes(&c, slice_head(buf_slice(&text), 300000));
	close(queue_gives(0, 1));
	say_bytes(&c, slice_skip(buf_slice(&text), 300000));
	codes(&c);
	say(&c, ".\r\n");
	run(100);
	hear(&c);
	assert_true(heard(&c, "552 5.3.4"));
	assert_int_equal(store_count, 0);
	assert_int_equal(drop_count, 1);
	leave(&c);
	buf_free(&text);
}

/* --- who may -------------------------------------------------------------------------------------------- */

static void
test_recipients(void **state)
{
	static const struct { const char *from, *to, *stranger, *friend; } cases[] = {
		{ "s@sender.test", "ann@local.test", "250 ", "250 " },
		{ "s@sender.test", "ANN@Local.Test", "250 ", "250 " },
		{ "s@sender.test", "postmaster", "250 ", "250 " },
		{ "s@sender.test", "nobody@local.test", "550 ", "550 " },
		{ "s@sender.test", "x@far.test", "550 ", "250 " },
		{ "s@sender.test", "x%far.test@local.test", "550 ", "550 " },
		{ "s@sender.test", "x!far.test@local.test", "550 ", "550 " },
		{ "s@sender.test", "\"x@far.test\"@local.test", "550 ", "550 " },
		{ "s@sender.test", "@local.test:x@far.test", "550 ", "250 " },
		{ "s@sender.test", "x@[192.0.2.9]", "550 ", "250 " },
		{ "s@sender.test", "x@[127.0.0.1]", "550 ", "250 " },
		{ "s@sender.test", "x@sub.local.test", "550 ", "250 " },
		{ "s@sender.test", "x@local.test.far.test", "550 ", "250 " },
		{ "s@sender.test", "staff@local.test", "550 ", "550 " },
		{ "ann@local.test", "staff@local.test", "250 ", "250 " },
		{ "ann@local.test", "void@local.test", "450 ", "450 " },        /* its file is empty */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int may = 0; may < 2; may++) {
			struct client c;
			char text[300];

			connect_from(&c, may ? "192.0.2.7" : "192.0.2.8");
			snprintf(text, sizeof text, HELLO "MAIL FROM:<%s>\r\n", cases[i].from);
			say(&c, text);
			codes(&c);
			snprintf(text, sizeof text, "RCPT TO:<%s>\r\n", cases[i].to);
			say(&c, text);
			assert_case(strcmp(codes(&c), may ? cases[i].friend : cases[i].stranger) == 0, i,
			    cases[i].to);
			leave(&c);
		}
}

static void
test_rates(void **state)
{
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO);
	for (int i = 0; i < 4; i++) {
		say(&c, MAIL "DATA\r\n" TEXT ".\r\n");
		run(100);
		if (i < 3)
			queue_stores((size_t)i);
		hear(&c);
		assert_int_equal(heard(&c, "451 4.7.0"), i == 3);
	}
	assert_int_equal(store_count, 3);
	run(HOUR / 20);
	leave(&c);
	connect_from(&c, "192.0.2.2");          /* another client */
	say(&c, HELLO MAIL "DATA\r\n" TEXT ".\r\n");
	run(100);
	assert_int_equal(store_count, 4);
	leave(&c);
}

static void
test_rate_spans(void **state)
{
	static const struct { int64_t now; unsigned ip; bool allowed; } cases[] = {
		{ 5000, 1, true }, { 5000, 1, true }, { 5000, 1, false }, { 5000, 2, true },
		{ 5999, 1, false }, { 6000, 1, true }, { 6001, 1, true }, { 6999, 1, false }, { 7000, 1, true },
	};
	struct rates *rates = rates_new();
	struct ip ip = { { 192, 0, 2 }, 4 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		ip.bytes[3] = (unsigned char)cases[i].ip;
		assert_case(rates_allow(rates, ip, (struct rate){ .count = 2, .per = 1000 }, cases[i].now) == cases[i].allowed,
		    i, "rate");
	}
	for (int i = 0; i < 100; i++)           /* no rate is no limit */
		assert_true(rates_allow(rates, ip, (struct rate){ .count = 0 }, 7000));
	rates_free(rates);
}

static void
test_connections(void **state)
{
	struct client c[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		connect_from(&c[i], "192.0.2.1");
	assert_true(heard(&c[3], "421 4.7.0"));
	assert_true(c[3].gone);
	leave(&c[0]);
	leave(&c[3]);
	connect_from(&c[3], "192.0.2.1");
	EXPECT(&c[3], "220 ");
	for (int i = 1; i < 4; i++)
		leave(&c[i]);
	assert_int_equal(smtpd_visits(smtpd), 0);
}

/* --- the message itself ------------------------------------------------------------------------------------ */

static void
test_texts(void **state)
{
	static const struct { const char *text, *reply; bool stored; } cases[] = {
		{ "Received: a\r\nReceived: b\r\nReceived: c\r\nReceived: d\r\nReceived: e\r\nFrom: a@b.test\r\n",
		    NULL, true },
		{ "Received: a\r\nReceived: b\r\nReceived: c\r\nReceived: d\r\nReceived: e\r\nReceived: f\r\n",
		    "554 5.4.6", false },
		{ "From: a@b.test\r\n\r\none\ntwo\r\n", "550 5.5.2", false },
		{ "From: a@b.test\r\n\r\n\0\r\n", "550 5.6.0", false },
		{ "", NULL, true },
		{ "\r\nbody only\r\n", NULL, true },
		/* a client of ours is not judged, but told what nobody could sign for */
		{ "From: a@b.test\r\nFrom: a@b.test\r\n", "550 5.6.0", false },
		{ "From: a@b.test, a@c.test\r\n", "550 5.6.0", false },
		{ "From: Nobody:;\r\n", "550 5.6.0", false },
		{ "From: a@b.test, c@b.test\r\n", NULL, true },
		{ "From:\r\n", NULL, true },
	};
	static const size_t nul = 3;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct client c;
		struct slice text = slice(cases[i].text);

		teardown(state);
		setup(state);
		connect_from(&c, i < 4 ? "192.0.2.1" : "192.0.2.7");
		if (i == nul)
			text.n += 3;
		say(&c, HELLO MAIL "DATA\r\n");
		say_bytes(&c, text);
		say(&c, ".\r\n");
		run(100);
		hear(&c);
		assert_case(store_count == cases[i].stored, i, "stored");
		if (cases[i].reply != NULL)
			assert_case(heard(&c, cases[i].reply), i, cases[i].reply);
		leave(&c);
	}
}

/* RFC 8601 5: a field that claims to be ours does not go on. */
static void
test_forged_results(void **state)
{
	static const char forged[] = "Authentication-Results: mx.local.test; spf=pass\r\n";
	struct client c;

	(void)state;
	connect_from(&c, "192.0.2.1");
	say(&c, HELLO MAIL "DATA\r\nFrom: s@sender.test\r\nAuthentication-Results: mx.local.test; spf=pass\r\n"
	    "Authentication-Results: other.test; spf=pass\r\n\r\n.\r\n");
	run(100);
	assert_int_equal(stores[0].envelope.omitted, 1);
	assert_int_equal(stores[0].envelope.omit[0].at, 21);
	assert_int_equal(stores[0].envelope.omit[0].n, sizeof forged - 1);
	leave(&c);
}

/* A stranger's message with one field more, alone in its world. */
static void
send_with(void **state, const char *field)
{
	struct client c;
	char text[200];

	teardown(state);
	setup(state);
	connect_from(&c, "192.0.2.1");
	snprintf(text, sizeof text, HELLO MAIL "DATA\r\nFrom: s@sender.test\r\n%s\r\n.\r\n", field);
	say(&c, text);
	run(100);
	leave(&c);
}

static void
test_tls_required_no(void **state)
{
	static const struct { const char *field; bool optional; } cases[] = {
		{ "TLS-Required: No\r\n", true }, { "tls-required: no \r\n", true },
		{ "TLS-Required: Yes\r\n", false }, { "TLS-Required: No\r\nTLS-Required: No\r\n", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		send_with(state, cases[i].field);
		assert_case(stores[0].envelope.tls_optional == cases[i].optional, i, cases[i].field);
	}
}

/* What says so itself; people's mail says nothing. */
static void
test_bulk(void **state)
{
	static const struct { const char *field; bool bulk; } cases[] = {
		{ "Precedence: bulk\r\n", true }, { "PRECEDENCE : List \r\n", true },
		{ "Precedence: junk\r\n", true }, { "Precedence: first-class\r\n", false },
		{ "List-Id: <a.list.test>\r\n", true }, { "List-Idea: x\r\n", false }, { "", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		send_with(state, cases[i].field);
		assert_case(stores[0].envelope.bulk == cases[i].bulk, i, cases[i].field);
	}
}

/* --- time, and the end ---------------------------------------------------------------------------------------- */

static void
test_idle(void **state)
{
	struct client c, slow;

	(void)state;
	connect_from(&c, "192.0.2.1");
	connect_from(&slow, "192.0.2.1");
	say(&slow, HELLO MAIL "DATA\r\nSubject: x\r\n");
	run(conf->limits.idle - 1000);
	say(&slow, "one line in five minutes\r\n");
	hear(&c);
	assert_false(c.gone);
	run(2000);
	hear(&c);
	hear(&slow);
	assert_true(heard(&c, "421 4.4.2"));
	assert_true(c.gone);
	assert_true(heard(&slow, "421 4.4.2"));
	assert_int_equal(store_count, 0);
	leave(&c);
	leave(&slow);
}

static bool idle;

static void
is_idle(void *arg)
{
	(void)arg;
	idle = true;
}

/* The idle ones go now, who has a message under way when it is stored (RFC 5321 3.8). */
static void
test_drain(void **state)
{
	struct client c, busy;

	(void)state;
	connect_from(&c, "192.0.2.1");
	connect_from(&busy, "192.0.2.1");
	say(&busy, HELLO MAIL "DATA\r\nSubject: x\r\n");
	codes(&busy);
	smtpd_drain(smtpd, is_idle, NULL);
	run(10);
	hear(&c);
	assert_false(c.gone);                   /* nobody is in a hurry */
	smtpd_hurry(smtpd);
	run(10);
	hear(&c);
	assert_true(heard(&c, "421 4.3.2"));
	assert_true(c.gone);
	assert_false(idle);
	say(&busy, "\r\nlast words\r\n.\r\n");
	run(100);
	queue_stores(0);
	hear(&busy);
	EXPECT(&busy, "250 421 ");
	assert_true(busy.gone);
	assert_true(idle);
	leave(&c);
	leave(&busy);
}

/* --- intake alone ------------------------------------------------------------------------------------------------ */

/* What we put in front of it later must not make it a message that we cannot read ourselves. */
static void
test_intake_counts_fields(void **state)
{
	struct buf text = BUF(1 << 16);
	struct intake in;

	(void)state;
	for (int i = 0; i < HEADER_FIELDS; i++)
		buf_add(&text, S("A: b\r\n"));
	for (unsigned more = 0; more < 2; more++, buf_add(&text, S("A: b\r\n"))) {
		intake_begin(&in, false);
		intake_add(&in, buf_slice(&text));
		intake_add(&in, S("\r\nbody\r\n"));
		intake_finish(&in);
		assert_int_equal(in.flaw.reply, more == 0 ? 0 : 550);
		intake_end(&in);
	}
	for (int i = 2; i <= HEADER_OURS; i++) {
		struct arena *room = arena_new(1 << 20);
		struct header h;

		assert_true(header_parse(&h, buf_slice(&text), room, NULL));
		buf_add(&text, S("A: b\r\n"));
		assert_int_equal(header_parse(&h, buf_slice(&text), room, NULL), i < HEADER_OURS);
		arena_free(room);
	}
	buf_free(&text);
}

/* Pieces of every length make the same message. */
static void
test_intake_pieces(void **state)
{
	static const char text[] = "Subject: a\r\n folded\r\nFrom: a@b.test\r\n\r\nbody\r\n\r\n";
	unsigned char first[BODY_HASH];

	(void)state;
	for (size_t n = 1; n <= sizeof text; n++) {
		struct intake in;
		struct slice all = slice(text);

		intake_begin(&in, true);
		for (; all.n > 0; all = slice_skip(all, n))
			intake_add(&in, slice_head(all, n));
		intake_finish(&in);
		assert_int_equal(in.flaw.class, 0);
		assert_int_equal(in.header.count, 2);
		assert_int_equal(in.header.block.n, 37);
		assert_int_equal(in.size, sizeof text - 1);
		assert_false(in.eight_bit);
		if (n == 1)
			memcpy(first, bodies_get(&in.bodies, CANON_RELAXED, BODY_WHOLE)->digest, BODY_HASH);
		assert_memory_equal(first, bodies_get(&in.bodies, CANON_RELAXED, BODY_WHOLE)->digest, BODY_HASH);
		intake_end(&in);
	}
}

static void
test_intake_header_too_large(void **state)
{
	struct intake in;

	(void)state;
	intake_begin(&in, true);
	for (int i = 0; i <= INTAKE_HEADER / 10; i++)
		intake_add(&in, S("X: 345678\r\n"));
	assert_int_equal(in.flaw.reply, 552);
	intake_finish(&in);
	intake_end(&in);
	intake_begin(&in, true);
	intake_add(&in, S("no field at all\r\n\r\n"));
	assert_int_equal(in.flaw.reply, 550);
	intake_refuse(&in, STATUS(452, 4, 3, 1, "second"));     /* the first reason stays */
	assert_int_equal(in.flaw.reply, 550);
	intake_end(&in);
}

/* What nobody asks for is not made; what a signature asks for is. */
static void
test_intake_hashes(void **state)
{
#define SIGNED "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/%s; d=x.test; s=k; h=from; " \
    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=QUJD\r\n"
	static const struct { bool signs; const char *canon; bool relaxed, simple; } cases[] = {
		{ false, NULL, false, false }, { true, NULL, true, false },
		{ false, "relaxed", true, false }, { false, "simple", false, true },
		{ true, "simple", true, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text = BUF(10000);
		struct intake in;

		if (cases[i].canon != NULL)
			buf_printf(&text, SIGNED, cases[i].canon);
		buf_add(&text, S("From: a@x.test\r\n\r\nbody\r\n"));
		intake_begin(&in, cases[i].signs);
		intake_add(&in, buf_slice(&text));
		intake_finish(&in);
		assert_int_equal(in.flaw.class, 0);
		assert_case((bodies_get(&in.bodies, CANON_RELAXED, BODY_WHOLE) != NULL) == cases[i].relaxed,
		    i, "relaxed");
		assert_case((bodies_get(&in.bodies, CANON_SIMPLE, BODY_WHOLE) != NULL) == cases[i].simple,
		    i, "simple");
		intake_end(&in);
		buf_free(&text);
	}
}

/* However its pieces are cut, the file is the message. */
static void
test_intake_file(void **state)
{
	static const size_t cuts[] = { 1, 61, 4096, 4097, 40000, 100000 };
	enum { SIZE = 3 << 20 };
	char *text = must_alloc(SIZE), *back = must_alloc(SIZE);

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		text[i] = (char)('a' + i * i % 26);
	memcpy(text, "X: y\r\n\r\n", 8);
	for (size_t c = 0; c < COUNT(cuts); c++) {
		int fd = memfd_create("message", MFD_CLOEXEC);
		struct intake in;
		size_t at = 0;

		intake_begin(&in, false);
		for (size_t n = 0; at < SIZE; at += n) {
			/* one long, one short: as a framer cuts them */
			n = n == cuts[c] ? 3 : cuts[c];
			if (n > SIZE - at)
				n = SIZE - at;
			intake_add(&in, slice_of(text + at, n));
			if (in.wants_file)
				intake_file(&in, dup(fd), 1);
		}
		intake_finish(&in);
		assert_int_equal(in.flaw.class, 0);
		assert_int_equal(in.size, SIZE);
		assert_int_equal(lseek(fd, 0, SEEK_END), SIZE);
		assert_int_equal(pread(fd, back, SIZE, 0), SIZE);
		assert_memory_equal(back, text, SIZE);
		intake_end(&in);
		close(fd);
	}
	free(text);
	free(back);
}

static void
test_intake_full_disk(void **state)
{
	struct intake in;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_not_equal(fd, -1);
	intake_begin(&in, true);
	intake_add(&in, S("X: y\r\n\r\n"));
	while (!in.wants_file)
		intake_add(&in, S("0123456789012345678901234567890123456789012345678901234567\r\n"));
	intake_file(&in, fd, 1);
	assert_int_equal(in.flaw.reply, 452);
	intake_end(&in);

	/* The last piece is a short one: its space is missing at the end. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	intake_begin(&in, false);
	intake_add(&in, S("X: y\r\n\r\n"));
	intake_file(&in, fd, 1);
	intake_add(&in, S("short"));
	assert_int_equal(in.flaw.class, 0);
	assert_int_not_equal(dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), fd), -1);
	intake_finish(&in);
	assert_int_equal(in.flaw.reply, 452);
	intake_end(&in);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_message), T(test_for_one_recipient_only), T(test_recipients_one_by_one),
		T(test_queue_refuses),
		T(test_chunks_given_up), T(test_empty_message_behind_chunks), T(test_queue_is_replaced),
		T(test_no_queue_yet), T(test_client_goes), T(test_large_message), T(test_no_space),
		T(test_file_goes_with_its_queue), T(test_file_is_given_back), T(test_too_large),
		T(test_recipients), T(test_rates), T(test_rate_spans), T(test_connections), T(test_texts),
		T(test_forged_results), T(test_received_spf), T(test_tls_required_no), T(test_bulk), T(test_idle), T(test_drain),
		T(test_witness), T(test_witness_of_a_flood), T(test_witness_without_a_queue),
		T(test_intake_counts_fields), T(test_intake_pieces), T(test_intake_header_too_large), T(test_intake_hashes),
		T(test_intake_file), T(test_intake_full_disk),
	};

	return cmocka_run_group_tests_name("smtpd", tests, NULL, NULL);
}
