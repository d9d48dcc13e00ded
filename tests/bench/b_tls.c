/* SPDX-License-Identifier: ISC */
/*
 * What TLS costs on the way out.  All in one process and one thread: the delivery
 * role, a queue that only gives orders, a next hop with STARTTLS; so that one core does
 * both sides of everything, as it does for the bare handshake that is the measure.
 *
 *     deliveries a second, each with a full handshake      beside OpenSSL's handshakes
 *     deliveries a second through kept connections
 *     an MTA-STS policy from the cache
 *     1,000 destinations with a policy each, at once: the longest the loop stood still
 *
 *     obj/tests/bench/b_tls
 *
 * The last one wants port 25: as root, in a network namespace of its own.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/load.h"
#include "delivery/delivery.h"
#include "dns/zone.h"
#include "net/link.h"
#include "net/listener.h"
#include "net/tls.h"
#include "queue/order.h"
#include "tests/unit/tlspair.h"

enum {
	PAIRS = 7, RUN_MS = 500, HANDSHAKES = 150, DELIVERIES = 150, KEPT = 1500, DOMAINS = 1000,
	LOOKS = 20000, AT_ONCE = 10, MEMORY = 8 << 20, TEXT_MOST = 16 << 20, LINE_MOST = 1000, DAYS = 7300,
	PORT = 10027, TICK_MS = 1,
};

/* A next hop: takes everything; `once` ends the connection behind each message. */
struct hop {
	struct listener *listener;
	bool             once;
};

struct guest {
	struct hop    *hop;
	struct stream *stream;
	bool           in_text, leaving;
};

struct world {
	struct clock     clock;
	struct loop      loop;
	struct files     files;
	struct reader    reader;
	struct conf     *conf;
	struct zone     *zone;
	struct resolver *resolver;
	SSL_CTX         *client, *server;
	struct jobs     *jobs;
	struct delivery *delivery;
	struct link     *link;
	struct hop       hop;
	struct issued    authority, leaf;
	size_t           ordered, wanted, done, failed;
	char             trouble[300];
	int64_t          turned, stall;         /* microseconds; of the clock … */
	int64_t          worked, work;          /* … and of this thread's own time */
	struct timer     tick;
	const char    *(*domain)(struct world *, size_t i);
	char             name[64];
};

#define HOP_ADDRESS "198.51.100.1"

static struct world world;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "b_tls: %s: %s\n", what, why);
	exit(1);
}

/* --- the next hop ------------------------------------------------------------------------ */

static void
hop_says(struct guest *g, const char *line)
{
	stream_write(g->stream, slice(line));
}

static void
take_command(struct guest *g, struct slice line)
{
	if (slice_starts(line, S("EHLO"))) {
		hop_says(g, stream_secure(g->stream) ? "250-hop.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
		    : "250-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 STARTTLS\r\n");
	} else if (slice_starts(line, S("STARTTLS"))) {
		hop_says(g, "220 go on\r\n");
		stream_secure_server(g->stream, world.server);
	} else if (slice_starts(line, S("DATA"))) {
		g->in_text = true;
		hop_says(g, "354 go on\r\n");
	} else if (slice_starts(line, S("QUIT"))) {
		hop_says(g, "221 bye\r\n");
		g->leaving = true;
	} else {
		hop_says(g, "250 ok\r\n");
	}
}

static void
take_line(struct guest *g, struct slice line)
{
	if (!g->in_text) {
		take_command(g, line);
	} else if (slice_eq(line, S(".\r\n"))) {
		g->in_text = false;
		g->leaving = g->hop->once;
		hop_says(g, "250 2.0.0 taken\r\n");
	}
}

static void
hop_input(void *arg)
{
	struct guest *g = arg;

	while (!g->leaving) {
		struct slice in = stream_input(g->stream);
		size_t n = slice_find(in, '\n') + 1;
		char line[LINE_MOST];

		if (n > in.n)
			return;
		bug_if(n > sizeof line);
		memcpy(line, in.p, n);
		stream_take(g->stream, n);      /* before TLS, which forgets the input */
		take_line(g, slice_of(line, n));
	}
	stream_finish(g->stream);
	free(g);
}

static void
hop_secured(void *arg)
{
	(void)arg;
}

static void
hop_closed(void *arg, const struct error *why)
{
	struct guest *g = arg;

	(void)why;
	stream_end(g->stream);
	free(g);
}

static const struct stream_user GUEST = { NULL, hop_input, NULL, hop_secured, hop_closed };

static void
hop_accepts(void *arg, int fd, struct peer from)
{
	struct guest *g = must_alloc(sizeof *g);

	(void)from;
	*g = (struct guest){ .hop = arg, .stream = stream_new(&world.loop, fd, &GUEST, g) };
	hop_says(g, "220 hop.test ESMTP\r\n");
}

static bool
hop_listen(struct hop *h, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port),
		.sin_addr = { htonl(INADDR_ANY) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (fd == -1 || bind(fd, (struct sockaddr *)&at, sizeof at) == -1 || listen(fd, 1024) == -1) {
		close(fd);
		return false;
	}
	h->listener = listener_new(&world.loop, fd, hop_accepts, h);
	return true;
}

/* --- the queue ------------------------------------------------------------------------------ */

static void
order_next(struct world *w)
{
	static const char head[] = "From: <a@bank.test>\r\nSubject: one\r\n\r\n";
	struct order_recipient to = { .address = S("someone@far.test") };
	struct order o = { .number = ++w->ordered, .id = w->ordered, .kind = ORDER_SMTP,
		.sender = S("a@bank.test"), .recipients = &to, .count = 1,
		.arrived = clock_now(&w->clock), .head = slice(head), .body = S("Hello.\r\n") };
	struct buf b = BUF(LINK_FRAME_MOST);

	o.domain = slice(w->domain(w, w->ordered - 1));
	order_pack(&o, &b);
	link_send(w->link, FRAME_ORDER, buf_slice(&b), -1);
	buf_free(&b);
}

static void
order_done(struct world *w, struct slice payload)
{
	struct arena *arena = arena_new(MEMORY);
	struct order_result r;

	if (!order_result_unpack(&r, payload, arena) || r.count != 1 ||
	    !status_good(r.outcomes[0].status) || r.tls.n == 0) {
		w->failed++;
		snprintf(w->trouble, sizeof w->trouble, "%.*s", FMT(r.count ? r.outcomes[0].status.text : NONE));
	}
	arena_free(arena);
	w->done++;
	if (w->ordered < w->wanted)
		order_next(w);
	else if (w->done == w->wanted)
		loop_stop(&w->loop);
}

/* Each domain has a policy that names a host of its own. */
static void
say_policy(struct world *w, struct slice domain)
{
	struct buf text = BUF(1000), entry = BUF(STS_ENTRY_MOST), answer = BUF(LINK_FRAME_MOST);
	struct arena *arena = arena_new(MEMORY);
	int64_t now = clock_now(&w->clock);
	struct sts_entry e = { .known = true, .id = S("1"), .fetched = now, .tried = now, .tried_id = S("1"),
		.expires = now + 7 * DAY, .used = now };

	buf_printf(&text, "version: STSv1\nmode: enforce\nmx: mx.%.*s\nmax_age: 604800\n", FMT(domain));
	bug_if(!sts_policy_parse(&e.policy, buf_slice(&text), arena, NULL));
	sts_entry_pack(&e, &entry);
	pack_slice(&answer, domain);
	pack_slice(&answer, buf_slice(&entry));
	link_send(w->link, FRAME_STS_IS, buf_slice(&answer), -1);
	arena_free(arena);
	buf_free(&text);
	buf_free(&entry);
	buf_free(&answer);
}

static void
queue_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	bug_if(fd != -1);
	if (kind == FRAME_RESULT)
		order_done(arg, payload);
	else if (kind == FRAME_STS_ASK)
		say_policy(arg, payload);
}

static void
queue_gone(void *arg)
{
	(void)arg;
	die("the delivery role", "its link ended");
}

static const struct link_user QUEUE = { queue_frame, queue_gone };

/* --- beginning and ending ------------------------------------------------------------------- */

static void
add_zone(struct buf *to)
{
	for (int i = 0; i < DOMAINS; i++)
		buf_printf(to, "d%d.test. MX 10 mx.d%d.test.\nmx.d%d.test. A " HOP_ADDRESS "\n"
		    "_mta-sts.d%d.test. TXT \"v=STSv1; id=1;\"\n", i, i, i, i);
}

static void
begin_people(struct world *w)
{
	struct buf names = BUF(TEXT_MOST);
	const struct wish authority = { .subject = "bench CA", .authority = true, .from = -1,
		.to = DAYS };
	struct wish leaf = { .issuer = &w->authority, .from = -1, .to = DAYS };

	for (int i = 0; i < DOMAINS; i++)
		buf_printf(&names, "%sDNS:mx.d%d.test", i ? "," : "", i);
	buf_byte(&names, '\0');
	leaf.names = names.p;
	w->authority = issue(&authority);
	w->leaf = issue(&leaf);
	buf_free(&names);
}

static SSL_CTX *
hop_context(const struct world *w)
{
	SSL_CTX *c = server_context(&w->leaf, NULL);

	SSL_CTX_set_num_tickets(c, 0);          /* every handshake is a full one */
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	return c;
}

static void
begin(struct world *w, const char *conf)
{
	struct buf zone = BUF(TEXT_MOST), roots = BUF(TEXT_MOST);
	struct delivery_options o = { .seed = 1 };
	struct resolver_options dns = { 0 };
	struct flaws flaws;
	struct error why;
	int ends[2];

	*w = (struct world){ .authority = w->authority, .leaf = w->leaf };
	loop_begin(&w->loop, &w->clock);
	buf_printf(&files_add(&w->files, S("/x.conf"), FILE_CONFIG)->bytes, "hostname mx.bench.test\n%s", conf);
	w->reader = files_reader(&w->files);
	flaws_begin(&flaws);
	w->conf = conf_parse(S("/x.conf"), &w->reader, &flaws);
	bug_if(flaws.errors > 0);
	flaws_end(&flaws);
	add_zone(&zone);
	if ((w->zone = zone_parse(buf_slice(&zone), "zone", &why)) == NULL)
		die("zone", why.text);
	dns.facts = w->zone;
	issued_pem(&w->authority, &roots);
	if ((w->resolver = resolver_new(&w->loop, &dns, &why)) == NULL ||
	    (w->client = tls_client_new(buf_slice(&roots), &why)) == NULL)
		die("begin", why.text);
	w->server = hop_context(w);
	o.conf = w->conf, o.resolver = w->resolver, o.tls = w->client;
	o.jobs = w->jobs = jobs_start(&w->loop, 0);
	w->delivery = delivery_start(&w->loop, &o);
	link_pair(ends);
	w->link = link_new(&w->loop, ends[0], &QUEUE, w);
	delivery_queue(w->delivery, ends[1]);
	buf_free(&zone);
	buf_free(&roots);
}

static void
end(struct world *w)
{
	link_end(w->link);
	delivery_end(w->delivery);
	jobs_stop(w->jobs);
	listener_end(w->hop.listener);
	resolver_free(w->resolver);
	SSL_CTX_free(w->client);
	SSL_CTX_free(w->server);
	loop_end(&w->loop);
	zone_free(w->zone);
	conf_free(w->conf);
	files_free(&w->files);
}

/* --- what is measured --------------------------------------------------------------------- */

static const char *
one_domain(struct world *w, size_t i)
{
	(void)w;
	(void)i;
	return "far.test";
}

static const char *
each_domain(struct world *w, size_t i)
{
	snprintf(w->name, sizeof w->name, "d%zu.test", i % DOMAINS);
	return w->name;
}

/* Deliveries a second. */
static double
deliver(struct world *w, size_t messages, size_t at_once)
{
	int64_t begun = clock_micros();

	w->ordered = w->done = 0;
	w->wanted = messages;
	for (size_t i = 0; i < at_once; i++)
		order_next(w);
	loop_run(&w->loop);
	if (w->failed > 0)
		die("not all was delivered with TLS", w->trouble);
	return (double)messages * 1e6 / (double)(clock_micros() - begun);
}

/* Full handshakes a second, both sides. */
static double
handshakes(struct world *w)
{
	int64_t begun = clock_micros();

	for (int i = 0; i < HANDSHAKES; i++) {
		SSL *client = SSL_new(w->client);

		bug_if(!handshake(client, w->server, NULL));
		SSL_free(client);
	}
	return HANDSHAKES * 1e6 / (double)(clock_micros() - begun);
}

static int
ascending(const void *a, const void *b)
{
	double p = *(const double *)a, q = *(const double *)b;

	return (p > q) - (p < q);
}

static void
measure_deliveries(void)
{
	double full[PAIRS], bare[PAIRS], ratio[PAIRS], kept[PAIRS];
	struct world *w = &world;

	begin(w, "delivery { via 127.0.0.1:10027; tls require encrypt; dane off; sts off; connections 10 }\n");
	w->domain = one_domain;
	if (!hop_listen(&w->hop, PORT))
		die("127.0.0.1:10027", "is taken");
	for (int i = 0; i < PAIRS; i++) {
		w->hop.once = true;
		full[i] = deliver(w, DELIVERIES, AT_ONCE);
		bare[i] = handshakes(w);
		w->hop.once = false;
		kept[i] = deliver(w, KEPT, AT_ONCE);
		ratio[i] = full[i] / bare[i];
	}
	qsort(full, PAIRS, sizeof *full, ascending);
	qsort(bare, PAIRS, sizeof *bare, ascending);
	qsort(kept, PAIRS, sizeof *kept, ascending);
	qsort(ratio, PAIRS, sizeof *ratio, ascending);
	printf("tls: %.0f deliveries/s, each with a full handshake; bare OpenSSL %.0f handshakes/s\n"
	    "  %.2f of it (0.70 wanted; %.2f to %.2f of %d pairs); %.0f/s through kept connections\n",
	    full[PAIRS / 2], bare[PAIRS / 2], ratio[PAIRS / 2], ratio[0], ratio[PAIRS - 1], PAIRS,
	    kept[PAIRS / 2]);
	end(w);
}

static int64_t
work_micros(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* On a machine that others use too, only the thread's own time says what the loop did. */
static void
tick(void *arg)
{
	struct world *w = arg;
	int64_t now = clock_micros(), work = work_micros();

	if (now - w->turned > w->stall)
		w->stall = now - w->turned;
	if (work - w->worked > w->work)
		w->work = work - w->worked;
	w->turned = now;
	w->worked = work;
	timer_set(&w->loop, &w->tick, TICK_MS, tick, w);
}

static void
measure_many(void)
{
	struct world *w = &world;
	double rate;

	begin(w, "delivery { dane off }\n");
	w->domain = each_domain;
	if (!hop_listen(&w->hop, 25))
		die("port 25", "is taken");
	w->turned = clock_micros();
	w->worked = work_micros();
	tick(w);
	rate = deliver(w, DOMAINS, DOMAINS);
	printf("  1,000 destinations with a policy each, at once: %.0f/s; the loop did one thing for %.1f ms "
	    "at most (20 wanted),\n    %.1f ms by the wall clock\n", rate, (double)w->work / 1000,
	    (double)w->stall / 1000);
	timer_clear(&w->loop, &w->tick);
	end(w);
}

/* --- a policy from the cache ------------------------------------------------------------------ */

static struct policies *policies;
static size_t looks;

static void ask_again(void *arg);

static void
told(void *arg, const struct policy_answer *a)
{
	bug_if(!a->applies);
	if (++looks == LOOKS)
		loop_stop(&world.loop);
	else
		ask_again(arg);
}

static void
ask_again(void *arg)
{
	policies_ask(policies, slice(each_domain(&world, looks)), false, told, arg);
}

static void
entry_asked(void *arg, struct slice domain)
{
	say_policy(arg, domain);
}

static void
entry_told(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), entry = unpack_slice(&u);

	(void)arg;
	bug_if(kind != FRAME_STS_IS || fd != -1);
	policies_entry(policies, domain, entry);
}

static void
nothing_kept(void *arg, struct slice domain, struct slice entry, int64_t until)
{
	(void)arg;
	(void)domain;
	(void)entry;
	(void)until;
}

static const struct link_user CACHE = { entry_told, queue_gone };

static void
measure_looks(void)
{
	struct world *w = &world;
	struct policies_options o = { .loop = &w->loop, .ask = entry_asked, .keep = nothing_kept, .arg = w };
	struct link *cache;
	int64_t begun;
	int ends[2];

	begin(w, "");
	link_end(w->link);
	link_pair(ends);
	w->link = link_new(&w->loop, ends[0], &QUEUE, w);
	cache = link_new(&w->loop, ends[1], &CACHE, w);
	o.resolver = w->resolver;
	policies = policies_new(&o);
	for (int run = 0; run < 2; run++) {     /* the first fills the cache */
		looks = 0;
		begun = clock_micros();
		ask_again(w);
		loop_run(&w->loop);
	}
	printf("  a policy from the cache, with its TXT record from the resolver: %.1f us (5 wanted)\n",
	    (double)(clock_micros() - begun) / LOOKS);
	policies_free(policies);
	link_end(cache);
	end(w);
}

/*
 * Loopback, nobody else's ports on it, and an address that an MX may have: nobody
 * delivers to 127.0.0.1 because a stranger's zone says so.
 */
static bool
own_network(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	struct ifreq more = { .ifr_name = "lo:1" };
	struct sockaddr_in *address = (struct sockaddr_in *)&more.ifr_addr;
	int fd;
	bool ok;

	if (unshare(CLONE_NEWNET) == -1)
		return false;
	address->sin_family = AF_INET;
	inet_pton(AF_INET, HOP_ADDRESS, &address->sin_addr);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok = fd != -1 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && ioctl(fd, SIOCSIFADDR, &more) == 0;
	close(fd);
	return ok;
}

int
main(void)
{
	bool own;

	signal(SIGPIPE, SIG_IGN);
	own = own_network();
	begin_people(&world);
	measure_deliveries();
	if (own)
		measure_many();
	else
		printf("  1,000 destinations at once: skipped, there is no network namespace to be had\n");
	measure_looks();
	issued_free(&world.leaf);
	issued_free(&world.authority);
	return 0;
}
