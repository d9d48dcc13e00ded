/* SPDX-License-Identifier: ISC */
/*
 * What the queue keeps beside mail: policies that deliverers fetched, and TLS
 * sessions that are reported the day after.  A queue on a virtual clock, with a
 * deliverer whose lines the test speaks.
 */
#include <dirent.h>

#include "bare_queue.h"
#include "base/gzip.h"
#include "base/text.h"
#include "queue/commands.h"
#include "queue/state.h"
#include "refusing_disk.h"
#include "sts/cache.h"
#include "sts/record.h"
#include "sts/report_mail.h"
#include "sts/tally.h"

/* An environment of Berkeley DB that has panicked cannot be closed without leaking. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libdb-5.3\n"; }

/* What the queue said to the deliverer or the command, newest last. */
struct said {
	unsigned     kind;
	struct slice payload;
};

static struct bare_queue w;

/* Who is there beside it. */
static struct {
	struct link  *deliverer, *caller;
	struct arena *arena;
	struct said   said[200];
	size_t        count, looked;
} t;

static void
note(void *arg, unsigned kind, struct slice payload, int fd)
{
	(void)arg;
	if (fd != -1)
		close(fd);
	assert_true(t.count < COUNT(t.said));
	t.said[t.count++] = (struct said){ kind, arena_copy(t.arena, payload) };
}

static void
gone(void *arg)
{
	struct link **link = arg;

	link_end(*link);
	*link = NULL;
}

static const struct link_user ANYBODY = { note, gone };

static void
run_for(int64_t ms)
{
	bare_run(&w, ms);
}

static void
deliverer_comes(void)
{
	int ends[2];

	link_pair(ends);
	queue_delivery(w.queue, ends[0]);
	t.deliverer = link_new(&w.loop, ends[1], &ANYBODY, &t.deliverer);
}

static void
stop_deliverer(void)
{
	link_end(t.deliverer);
	t.deliverer = NULL;
	run_for(SECOND);
}

static void
start_queue(void)
{
	bare_start(&w);
	deliverer_comes();
	link_send(t.deliverer, FRAME_UNDER_WAY_END, NONE, -1);
	run_for(2 * SECOND);
}

static void
stop_queue(void)
{
	queue_end(w.queue);
	link_end(t.deliverer);
	w.queue = NULL;
	t.deliverer = NULL;
}

static int
setup(void **state)
{
	(void)state;
	bare_begin(&w, LOG_DEBUG, false);
	memset(&t, 0, sizeof t);
	t.arena = arena_new(64 << 20);
	bare_conf(&w, "key k { domain us.test\n file k.pem }\n");
	start_queue();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	stop_queue();
	link_end(t.caller);
	arena_free(t.arena);
	return bare_end(&w);
}

/* The next frame of that kind that was not looked at; payload NULL: none came. */
__attribute__((noinline)) static struct slice
next(unsigned kind)
{
	for (size_t i = t.looked; i < t.count; i++)
		if (t.said[i].kind == kind) {
			t.looked = i + 1;
			return t.said[i].payload;
		}
	return NONE;
}

static void
tell(unsigned kind, struct buf *b)
{
	link_send(t.deliverer, kind, buf_slice(b), -1);
	buf_free(b);
	run_for(2 * SECOND);
}

static void
say_session(const char *domain, enum tlsrpt_result result)
{
	struct tlsrpt_session s = { .label = { .type = TLSRPT_NO_POLICY_FOUND, .domain = slice(domain) },
	    .result = result, .mx = S("mx.b.test") };
	struct buf b = BUF(TALLY_MOST);

	session_pack(&s, &b);
	tell(FRAME_SESSION, &b);
}

static void
say_where(const char *domain, enum live live, const char *one, const char *two)
{
	struct buf b = BUF(4096);

	pack_slice(&b, slice(domain));
	pack_u8(&b, (uint8_t)live);
	pack_u32(&b, (one != NULL) + (two != NULL));
	if (one != NULL)
		pack_slice(&b, slice(one));
	if (two != NULL)
		pack_slice(&b, slice(two));
	tell(FRAME_TLSRPT_IS, &b);
}

/* The number of a POST, and what it is about. */
static uint64_t
read_post(struct slice payload, struct slice *uri, struct slice *gzip)
{
	struct unpack u = { .left = payload };
	uint64_t number = unpack_u64(&u);

	*uri = unpack_slice(&u);
	*gzip = unpack_slice(&u);
	assert_true(unpack_done(&u));
	return number;
}

static void
say_posted(uint64_t number, bool taken)
{
	struct buf b = BUF(100);

	pack_u64(&b, number);
	pack_u8(&b, taken);
	pack_slice(&b, S("HTTP status"));
	tell(FRAME_POSTED, &b);
}

static bool
contains(struct slice text, const char *what)
{
	return text.n > 0 && memmem(text.p, text.n, what, strlen(what)) != NULL;
}

static uint64_t
tallies(void)
{
	uint64_t n = 0;

	assert_true(kv_count(kv_table(w.queue->kv, "tlsrpt"), &n, NULL));
	return n;
}

/* --- reports on TLS ------------------------------------------------------------------- */

static void
a_day_is_reported_to_all_who_are_named(void **state)
{
	struct buf json = BUF(1 << 16);
	struct slice uri, gzip;
	struct order o;
	uint64_t number;

	(void)state;
	for (int i = 0; i < 3; i++)
		say_session("b.test", TLSRPT_SUCCESS);
	stop_queue();                                           /* counters survive */
	start_queue();
	say_session("b.test", TLSRPT_STARTTLS_NOT_SUPPORTED);
	run_for(11 * HOUR);                                     /* still the same day */
	assert_null(next(FRAME_TLSRPT_ASK).p);
	while (next(FRAME_TLSRPT_ASK).p == NULL && w.clock.now < NOON + 17 * HOUR)
		run_for(MINUTE);                                /* RFC 8460 4.1: four hours behind midnight */
	assert_true(w.clock.now < NOON + 16 * HOUR + 2 * MINUTE);
	say_where("b.test", LIVE_VALID, "mailto:tls@c.test", "https://c.test/v1");
	assert_null(next(FRAME_TLSRPT_ASK).p);                  /* once */
	number = read_post(next(FRAME_POST), &uri, &gzip);
	assert_slice(uri, "https://c.test/v1");
	assert_true(gunzip_add(&json, gzip, NULL));
	assert_true(contains(buf_slice(&json), "\"total-successful-session-count\":3"));
	assert_true(contains(buf_slice(&json), "\"result-type\":\"starttls-not-supported\""));
	assert_true(contains(buf_slice(&json), "\"start-datetime\":\"2026-11-18T00:00:00Z\""));
	t.looked = 0;
	assert_true(order_unpack(&o, next(FRAME_ORDER), t.arena));
	assert_slice(o.domain, "c.test");
	assert_slice(o.recipients[0].address, "tls@c.test");
	assert_int_equal(o.sender.n, 0);                        /* nothing comes back … */
	assert_true(o.uncounted && o.tls_optional);             /* … and it is in no report (RFC 8460 3) */
	assert_true(contains(o.head, "DKIM-Signature:") && contains(o.head, "d=us.test"));
	assert_true(contains(o.head, "tls-report-domain:"));
	say_posted(number, false);                              /* one who has it is enough */
	assert_int_equal(tallies(), 0);
	buf_free(&json);
}

static void
whom_nobody_asks_is_not_told(void **state)
{
	(void)state;
	say_session("b.test", TLSRPT_SUCCESS);
	run_for(12 * HOUR);
	while (next(FRAME_TLSRPT_ASK).p == NULL)
		run_for(MINUTE);
	run_for(30 * MINUTE);
	assert_null(next(FRAME_TLSRPT_ASK).p);
	while (next(FRAME_TLSRPT_ASK).p == NULL)                /* nobody answered: later again */
		run_for(MINUTE);
	assert_int_equal(tallies(), 1);
	say_where("b.test", LIVE_NONE, NULL, NULL);
	assert_int_equal(tallies(), 0);
	run_for(DAY);
	assert_null(next(FRAME_TLSRPT_ASK).p);
}

/* RFC 8460 5.5: tried for a day, then given up. */
static void
what_cannot_be_sent_is_tried_for_a_day(void **state)
{
	struct slice uri, gzip, payload;
	unsigned tries = 0;

	(void)state;
	say_session("b.test", TLSRPT_SUCCESS);
	while (w.clock.now < NOON + 3 * DAY) {
		run_for(10 * MINUTE);
		if (next(FRAME_TLSRPT_ASK).p == NULL)
			continue;
		say_where("b.test", LIVE_VALID, "https://c.test/v1", NULL);
		if ((payload = next(FRAME_POST)).p == NULL)
			continue;                       /* it has expired between the two */
		say_posted(read_post(payload, &uri, &gzip), false);
		tries++;
	}
	assert_true(tries >= 20 && tries <= 28);
	assert_int_equal(tallies(), 0);
}

static void
an_unknown_record_is_asked_for_again(void **state)
{
	(void)state;
	say_session("b.test", TLSRPT_SUCCESS);
	run_for(12 * HOUR);
	while (next(FRAME_TLSRPT_ASK).p == NULL)
		run_for(MINUTE);
	say_where("b.test", LIVE_UNKNOWN, NULL, NULL);
	run_for(50 * MINUTE);
	assert_null(next(FRAME_TLSRPT_ASK).p);
	run_for(15 * MINUTE);
	assert_non_null(next(FRAME_TLSRPT_ASK).p);
}

static void
many_domains_have_their_turn(void **state)
{
	char domain[32];
	unsigned asked = 0;

	(void)state;
	for (int i = 0; i < 30; i++) {
		snprintf(domain, sizeof domain, "d%d.test", i);
		say_session(domain, TLSRPT_SUCCESS);
	}
	run_for(12 * HOUR);
	while (asked < 30 && w.clock.now < NOON + 17 * HOUR) {
		struct slice who;

		run_for(MINUTE);
		while ((who = next(FRAME_TLSRPT_ASK)).p != NULL) {
			snprintf(domain, sizeof domain, "%.*s", FMT(who));
			say_where(domain, LIVE_NONE, NULL, NULL);
			asked++;
		}
	}
	assert_int_equal(asked, 30);
	assert_int_equal(tallies(), 0);
}

/* Ask after ask until this domain is asked for; of all others the DNS does not tell. */
static bool
comes_to(const char *wanted, int64_t until)
{
	struct slice who;
	char domain[32];

	while (w.clock.now < until) {
		t.looked = t.count = 0;
		run_for(5 * MINUTE);
		while ((who = next(FRAME_TLSRPT_ASK)).p != NULL) {
			if (slice_eq(who, slice(wanted)))
				return true;
			snprintf(domain, sizeof domain, "%.*s", FMT(who));
			say_where(domain, LIVE_UNKNOWN, NULL, NULL);
		}
	}
	return false;
}

/* More tallies than one turn looks at, and none of them can be reported: those behind have their turn. */
static void
who_cannot_be_reported_to_is_in_nobodys_way(void **state)
{
	char domain[32];

	(void)state;
	for (int i = 0; i < 250; i++) {
		snprintf(domain, sizeof domain, "a%03d.test", i);
		say_session(domain, TLSRPT_SUCCESS);
	}
	say_session("z.test", TLSRPT_SUCCESS);
	run_for(12 * HOUR);
	assert_true(comes_to("z.test", NOON + 24 * HOUR));
}

/* A policy whose words JSON makes six times as long. */
static void
put_large_tally(unsigned i)
{
	static char words[4000];
	struct slice strings[8];
	struct tlsrpt_label label = { .type = TLSRPT_STS, .domain = S("b.test"), .strings = strings, .string_count = 8 };
	struct tlsrpt_counts counts = { .type = S("sts"), .domain = S("b.test"), .strings = strings,
	    .string_count = 8, .good = 1 };
	struct buf key = BUF(TALLY_KEY), value = BUF(TALLY_MOST);

	memset(words, 1, sizeof words);
	for (size_t k = 0; k < 8; k++)
		strings[k] = slice_of(words, sizeof words);
	strings[0] = arena_printf(t.arena, "x%u", i);
	tally_key(&label, tally_day(w.clock.now), &key);
	tally_pack(&counts, &value);
	assert_true(kv_put_until(kv_table(w.queue->kv, "tlsrpt"), buf_slice(&key), buf_slice(&value),
	    NOON + 3 * DAY, NULL));
	buf_free(&key), buf_free(&value);
}

static size_t
occurrences(struct slice text, struct slice what)
{
	size_t n = 0;
	const char *p;

	while ((p = memmem(text.p, text.n, what.p, what.n)) != NULL) {
		text = slice_skip(text, (size_t)(p - text.p) + what.n);
		n++;
	}
	return n;
}

/* What is more than a report holds is left out with one line, and the day is over. */
static void
a_report_that_is_too_large_is_cut(void **state)
{
	struct buf json = BUF(TLSRPT_REPORT_MOST), said = BUF(100);
	struct slice uri, gzip;
	uint64_t number;
	size_t told;

	(void)state;
	run_for(12 * HOUR - 5 * MINUTE);        /* they are looked at once a minute */
	for (unsigned i = 0; i < 300; i++)
		put_large_tally(i);
	assert_true(comes_to("b.test", NOON + 17 * HOUR));
	say_where("b.test", LIVE_VALID, "https://c.test/v1", NULL);
	number = read_post(next(FRAME_POST), &uri, &gzip);
	assert_true(gunzip_add(&json, gzip, NULL));
	told = occurrences(buf_slice(&json), S("\"policy-type\""));
	assert_in_range(told, 50, 200);
	assert_false(contains(buf_slice(&w.logged), "result=cut"));
	say_posted(number, true);
	assert_int_equal(tallies(), 0);
	buf_printf(&said, "result=cut why=\"%zu of 300 policies were left out\"", 300 - told);
	assert_int_equal(occurrences(buf_slice(&w.logged), buf_slice(&said)), 1);
	assert_int_equal(occurrences(buf_slice(&w.logged), S("tls-report")), 2);        /* and that it was sent */
	buf_free(&json), buf_free(&said);
}

/* One of whom the DNS never tells is left with its tallies: one line says so, and nothing asks on. */
static void
an_unknown_record_is_given_up(void **state)
{
	(void)state;
	say_session("b.test", TLSRPT_SUCCESS);
	assert_false(comes_to("nobody.test", NOON + 12 * HOUR + 4 * HOUR + DAY + 2 * HOUR));
	assert_true(contains(buf_slice(&w.logged), "tls-report domain=b.test day=2026-11-18 result=given-up"));
	run_for(DAY);
	assert_null(next(FRAME_TLSRPT_ASK).p);
	assert_int_equal(tallies(), 0);
}

static void
nonsense_of_a_deliverer_changes_nothing(void **state)
{
	static const unsigned kinds[] = { FRAME_SESSION, FRAME_TLSRPT_IS, FRAME_POSTED, FRAME_STS_KEEP,
	    FRAME_STS_REFRESHED };

	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++)
		for (int n = 0; n < 20; n++) {
			struct buf b = BUF(100);

			for (int k = 0; k < n; k++)
				buf_byte(&b, (char)(k * 37));
			tell(kinds[i], &b);
		}
	assert_int_equal(tallies(), 0);
	assert_int_equal(w.logged.n, 0);
}

/* --- policies ------------------------------------------------------------------------------ */

#define POLICY "version: STSv1\nmode: enforce\nmx: mx.b.test\nmax_age: 864000\n"        /* ten days */

static void
pack_policy(struct slice policy, struct buf *packed)
{
	struct sts_entry e = { .known = true, .id = S("1"), .fetched = w.clock.now, .tried = w.clock.now,
	    .tried_id = S("1"), .used = w.clock.now, .expires = w.clock.now + 10 * DAY };

	assert_true(sts_policy_parse(&e.policy, policy, t.arena, NULL));
	sts_entry_pack(&e, packed);
}

static void
keep_policy(const char *domain, struct slice policy)
{
	struct buf packed = BUF(STS_ENTRY_MOST), b = BUF(STS_ENTRY_MOST);

	pack_policy(policy, &packed);
	pack_slice(&b, slice(domain));
	pack_slice(&b, buf_slice(&packed));
	pack_u64(&b, (uint64_t)(w.clock.now + 10 * DAY));
	buf_free(&packed);
	link_send(t.deliverer, FRAME_STS_KEEP, buf_slice(&b), -1);
	buf_free(&b);
}

static void
keep(const char *domain)
{
	keep_policy(domain, S(POLICY));
	run_for(2 * SECOND);
}

static unsigned
logs_of_the_caches(void)
{
	char path[128];
	unsigned logs = 0;
	DIR *env;

	snprintf(path, sizeof path, "%s/caches/env", w.dir);
	assert_non_null(env = opendir(path));
	for (struct dirent *e; (e = readdir(env)) != NULL;)
		logs += strncmp(e->d_name, "log.", 4) == 0;
	closedir(env);
	return logs;
}

/* What was written over and over leaves no more on the disk than its last checkpoint. */
static void
logs_do_not_grow(void **state)
{
	struct buf policy = BUF(10000);

	(void)state;
	buf_printf(&policy, POLICY);
	for (int i = 0; i < 100; i++)
		buf_printf(&policy, "mx: host-%d.of.a.large.provider.test\n", i);
	for (int i = 0; i < 5000; i++) {
		char domain[40];

		snprintf(domain, sizeof domain, "d%d.test", i % 100);
		keep_policy(domain, buf_slice(&policy));
		if (i % 100 == 99)
			run_for(2 * MINUTE);
	}
	buf_free(&policy);
	assert_in_range(logs_of_the_caches(), 1, 8);            /* of 1 MiB; 20 MB were written */
}

/* RFC 8461 10.2: an attacker would have to keep us away for the policy's whole life. */
static void
a_policy_is_refreshed_though_no_mail_asks(void **state)
{
	(void)state;
	keep("b.test");
	stop_queue();                                           /* nor does a restart forget it */
	start_queue();
	run_for(17 * HOUR);
	assert_null(next(FRAME_STS_REFRESH).p);
	while (next(FRAME_STS_REFRESH).p == NULL)               /* a day, less up to a quarter of it */
		run_for(MINUTE);
	assert_true(w.clock.now < NOON + DAY + 2 * MINUTE);
}

/* A round looks at so many entries and no more; the rest have the next one. */
static void
however_many_stand_before_it(void **state)
{
	struct buf packed = BUF(STS_ENTRY_MOST);
	char domain[32];
	struct slice who;

	(void)state;
	keep("z.test");
	run_for(12 * HOUR);
	pack_policy(S(POLICY), &packed);
	for (int i = 0; i < 1100; i++) {                        /* as caches_keep(), and one flush for all */
		snprintf(domain, sizeof domain, "a%04d.test", i);
		assert_true(kv_put(kv_table(w.queue->kv, "sts"), slice(domain), buf_slice(&packed), NULL));
	}
	buf_free(&packed);
	while ((who = next(FRAME_STS_REFRESH)).p == NULL && w.clock.now < NOON + DAY + 10 * MINUTE)
		run_for(MINUTE);
	assert_slice(who, "z.test");
}

static void
ask(const char *verb, const char *domain)
{
	struct buf b = BUF(1000);

	buf_printf(&b, "{\"verb\":\"%s\",\"domain\":\"%s\"}", verb, domain);
	link_send(t.caller, FRAME_STS_REQUEST, buf_slice(&b), -1);
	buf_free(&b);
	run_for(2 * SECOND);
}

static void
call(void)
{
	struct peer at = { .path = "" };
	struct error why;

	snprintf(at.path, sizeof at.path, "%s/control", w.dir);
	queue_commands(w.queue, peer_listen(&at, &why));
	t.caller = link_new(&w.loop, peer_connect(&at, NULL, &why), &ANYBODY, &t.caller);
	run_for(SECOND);
}

static void
commands_about_policies(void **state)
{
	(void)state;
	keep("b.test");
	keep("c.test");
	call();
	ask("list", "");
	assert_true(contains(next(FRAME_BYTES), "b.test"));
	assert_true(contains(next(FRAME_BYTES), "c.test"));
	assert_slice(next(FRAME_END), "{\"count\":2}");
	ask("show", "c.test");
	assert_true(contains(next(FRAME_BYTES), "mx: mx.b.test"));
	assert_slice(next(FRAME_END), "{\"count\":1}");
	ask("forget", "c.test");
	assert_slice(next(FRAME_END), "{\"count\":1}");
	ask("show", "c.test");
	assert_slice(next(FRAME_END), "{\"count\":0}");
	ask("show", "../b");
	assert_slice(next(FRAME_END), "{\"count\":0,\"error\":\"the queue does not understand the request\"}");
	t.looked = 0;
	assert_slice(next(FRAME_STS_FORGET), "c.test");         /* the deliverer forgets it too */
}

static void
a_refresh_is_answered_when_it_is_over(void **state)
{
	struct buf b = BUF(100);

	(void)state;
	keep("b.test");
	call();
	ask("refresh", "b.test");
	assert_slice(next(FRAME_STS_REFRESH), "b.test");
	assert_null(next(FRAME_END).p);
	pack_slice(&b, S("b.test"));
	pack_slice(&b, S("HTTP status 404"));
	tell(FRAME_STS_REFRESHED, &b);
	assert_slice(next(FRAME_END), "{\"count\":0,\"error\":\"HTTP status 404\"}");
	ask("refresh", "b.test");
	run_for(2 * MINUTE);                                    /* but nobody waits for ever */
	assert_slice(next(FRAME_END), "{\"count\":0,\"error\":\"no answer in time\"}");
	ask("refresh", "b.test");                               /* and nobody is told who has gone */
	link_end(t.caller);
	t.caller = NULL;
	run_for(2 * MINUTE);
}

/* One who comes has not told yet what he is doing; one who goes takes nothing up any more. */
static void
who_takes_no_orders_is_asked_for_nothing(void **state)
{
	(void)state;
	keep("b.test");
	call();
	stop_deliverer();
	deliverer_comes();
	ask("refresh", "b.test");
	assert_slice(next(FRAME_END), "{\"count\":0,\"error\":\"there is no delivery role now\"}");
	link_send(t.deliverer, FRAME_UNDER_WAY_END, NONE, -1);
	link_send(t.deliverer, FRAME_LEAVING, NONE, -1);
	ask("refresh", "b.test");
	assert_slice(next(FRAME_END), "{\"count\":0,\"error\":\"there is no delivery role now\"}");
	assert_null(next(FRAME_STS_REFRESH).p);
	ask("forget", "b.test");
	assert_slice(next(FRAME_STS_FORGET), "b.test");         /* what is forgotten, all forget */
	assert_slice(next(FRAME_END), "{\"count\":1}");
}

/* Nor at the times when nobody asked for it. */
static void
what_is_due_waits_for_a_deliverer(void **state)
{
	(void)state;
	keep("b.test");
	say_session("b.test", TLSRPT_SUCCESS);
	stop_deliverer();
	deliverer_comes();
	run_for(20 * HOUR);
	assert_null(next(FRAME_STS_REFRESH).p);
	assert_null(next(FRAME_TLSRPT_ASK).p);
	link_send(t.deliverer, FRAME_UNDER_WAY_END, NONE, -1);
	run_for(HOUR);
	assert_slice(next(FRAME_TLSRPT_ASK), "b.test");
}

/* Where the directory should be there is a file: nobody can open them, as on a full disk. */
static void
block_caches(void)
{
	char path[100], command[300];

	snprintf(path, sizeof path, "%s/caches", w.dir);
	snprintf(command, sizeof command, "mv %s %s/away && : > %s", path, w.dir, path);
	assert_int_equal(system(command), 0);
}

static void
unblock_caches(void)
{
	char command[300];

	snprintf(command, sizeof command, "rm %s/caches && mv %s/away %s/caches", w.dir, w.dir, w.dir);
	assert_int_equal(system(command), 0);
}

static const char CANNOT[] = "{\"count\":0,\"error\":\"the caches cannot be opened\"}";

static void
caches_are_opened_as_soon_as_the_disk_lets_them(void **state)
{
	(void)state;
	keep("b.test");
	stop_queue();
	block_caches();
	start_queue();
	call();
	ask("show", "b.test");
	assert_slice(next(FRAME_END), CANNOT);
	unblock_caches();
	ask("show", "b.test");                                  /* a command tries again, … */
	assert_slice(next(FRAME_END), "{\"count\":1}");
	link_end(t.caller);
	t.caller = NULL;
	stop_queue();
	block_caches();
	start_queue();
	unblock_caches();
	run_for(2 * MINUTE);                                    /* … and time does */
	assert_non_null(w.queue->kv);
}

/* A post waits for who has left its list; its next try must not wait for our next start. */
static void
a_list_opens_them_as_well(void **state)
{
	const struct list_conf list = { .one_click = S_INIT("https://h.test/leave"),
	    .address.address.text = S_INIT("l@a.test") };
	struct arena *arena = arena_new(1 << 20);
	struct error why = { 0 };
	struct map gone = { 0 };

	(void)state;
	stop_queue();
	block_caches();
	start_queue();
	assert_false(leaving_gather(w.queue, &list, arena, &gone, &why));
	assert_null(memmem(w.logged.p, w.logged.n, "they are open again", 19));
	unblock_caches();
	assert_true(leaving_gather(w.queue, &list, arena, &gone, &why));
	assert_non_null(memmem(w.logged.p, w.logged.n, "they are open again", 19));
	map_free(&gone);
	arena_free(arena);
}

static void
caches_that_failed_are_opened_again(void **state)
{
	(void)state;
	keep("b.test");
	call();
	allow_bytes(0);
	keep("c.test");
	assert_false(kv_sound(w.queue->kv));
	ask("show", "b.test");
	assert_slice(next(FRAME_END), CANNOT);
	allow_bytes(RLIM_INFINITY);
	ask("show", "b.test");
	assert_slice(next(FRAME_END), "{\"count\":1}");
	keep("c.test");
	ask("show", "c.test");
	assert_slice(next(FRAME_END), "{\"count\":1}");
}

static void
damaged_caches_are_told_with_what_went(void **state)
{
	char command[400];

	(void)state;
	keep("b.test");
	stop_queue();
	snprintf(command, sizeof command, "for f in %s/caches/env/*; do "
	    "head -c $(stat -c %%s $f) /dev/zero | tr '\\0' Z >$f.new && mv $f.new $f || exit 1; done", w.dir);
	assert_int_equal(system(command), 0);
	start_queue();
	assert_true(contains(buf_slice(&w.logged), "they were damaged and are set aside as "));
	assert_true(contains(buf_slice(&w.logged), "/caches/damaged-1: the MTA-STS policies and "));
	call();
	ask("list", "");
	assert_slice(next(FRAME_END), "{\"count\":0}");
}

/* What lies on the disk while it runs is what a kill would leave: chainmail(8), FILES. */
static void
a_kill_costs_a_second(void **state)
{
	char command[300], path[100];
	struct kv_options o = { path, STATE_TABLES, &w.clock, 1 << 20, false };
	struct error why = { .text = "" };
	struct kv *left;
	uint64_t count = 0;

	(void)state;
	say_session("b.test", TLSRPT_SUCCESS);                  /* and two seconds later */
	snprintf(path, sizeof path, "%s/left", w.dir);
	snprintf(command, sizeof command, "cp -r %s/caches %s", w.dir, path);
	assert_int_equal(system(command), 0);
	left = kv_open(&o, &why);
	assert_true(left != NULL && kv_aside(left) == NULL);
	assert_true(kv_count(kv_table(left, "tlsrpt"), &count, &why));
	assert_int_equal(count, 1);
	kv_close(left);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_day_is_reported_to_all_who_are_named, setup, teardown),
		cmocka_unit_test_setup_teardown(whom_nobody_asks_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_sent_is_tried_for_a_day, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_record_is_asked_for_again, setup, teardown),
		cmocka_unit_test_setup_teardown(many_domains_have_their_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(who_cannot_be_reported_to_is_in_nobodys_way, setup, teardown),
		cmocka_unit_test_setup_teardown(a_report_that_is_too_large_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unknown_record_is_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_of_a_deliverer_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_policy_is_refreshed_though_no_mail_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(however_many_stand_before_it, setup, teardown),
		cmocka_unit_test_setup_teardown(logs_do_not_grow, setup, teardown),
		cmocka_unit_test_setup_teardown(commands_about_policies, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_caches_are_told_with_what_went, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kill_costs_a_second, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refresh_is_answered_when_it_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(who_takes_no_orders_is_asked_for_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_due_waits_for_a_deliverer, setup, teardown),
		cmocka_unit_test_setup_teardown(caches_are_opened_as_soon_as_the_disk_lets_them, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_opens_them_as_well, setup, teardown),
		cmocka_unit_test_setup_teardown(caches_that_failed_are_opened_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
