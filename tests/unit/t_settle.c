/* SPDX-License-Identifier: ISC */
/*
 * The queue plays with a deliverer who answers in any order, late, in part, or
 * never (queue/dispatch, settle, tell, entry); afterwards the spool says what
 * the memory says.
 */
#include <sys/uio.h>
#include <errno.h>

#include "base/bug.h"
#include "base/rng.h"
#include "keys.h"
#include "queue_world.h"

static struct world w;

static const char CONF[] = "domain local.test { deliver to maildir /m/%u; users ann, ben; alias postmaster -> ann }\n"
    "delivery { warn sender never }\n";

/* The same in seconds: a virtual minute is a matter of a moment, a day is not. */
static const char HURRY[] = "domain local.test { deliver to maildir /m/%u; users ann, ben }\n"
    "delivery { retry after 5s, 10s, then every 20s; expire after 4m; expire reports after 2m; "
    "warn sender after 1m }\n";

static int
setup(void **state)
{
	(void)state;
	world_begin(&w, CONF);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_end(&w);
	return 0;
}

/* --- one message ------------------------------------------------------------------ */

static void
test_delivered(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "ann@local.test");
	const struct order *o = &w.orders[0].order;

	(void)state;
	assert_int_equal(w.count, 1);
	assert_int_equal(o->id, id);
	assert_int_equal(o->kind, ORDER_MAILDIR);
	assert_slice(o->place, "/m/ann");
	assert_slice(o->head, "Return-Path: <s@sender.test>\r\nDelivered-To: ann@local.test\r\n"
	    "Received: x\r\nFrom: s@sender.test\r\nSubject: x\r\n");
	assert_slice(o->body, "\r\nbody\r\n");
	world_answer(&w, 0, "250 2.0.0 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* Who can go together goes together; each place has its order. */
static void
test_places(void **state)
{
	unsigned mx = 0, maildir = 0;

	(void)state;
	world_store(&w, "s@sender.test", "a@far.test b@far.test ann@local.test c@other.test ben@local.test");
	assert_int_equal(w.count, 4);
	for (size_t i = 0; i < w.count; i++) {
		mx += w.orders[i].order.kind == ORDER_SMTP;
		maildir += w.orders[i].order.kind == ORDER_MAILDIR;
		if (slice_eq(w.orders[i].order.domain, S("far.test")))
			assert_int_equal(w.orders[i].order.count, 2);
		world_answer(&w, i, "250 ok");
	}
	assert_int_equal(mx, 2);
	assert_int_equal(maildir, 2);
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* The same request twice, because the first answer was lost: stored once. */
static void
test_stored_once(void **state)
{
	struct envelope e = world_envelope(&w, "s@sender.test", "a@far.test");

	(void)state;
	world_store_envelope(&w, &e);
	world_store_envelope(&w, &e);
	assert_int_equal(w.answers, 2);
	assert_int_equal(queue_messages(w.queue), 1);
	assert_int_equal(w.count, 1);
}

/* Another message under a name that is taken: whatever differs, no 250 says that it is here. */
static void
test_a_name_that_is_taken(void **state)
{
	struct envelope e = world_envelope(&w, "s@sender.test", "a@far.test"), other;
	struct slice text = slice(CONTENT);

	(void)state;
	world_store_envelope(&w, &e);
	for (int i = 0; i < 4; i++) {
		other = world_envelope(&w, i == 0 ? "t@sender.test" : "s@sender.test",
		    i == 1 ? "b@far.test" : "a@far.test");
		other.id = e.id;
		other.arrival += i == 2;
		send_store(&w, &other, 0, i == 3 ? slice("From: s@sender.test\r\nSubject: y\r\n\r\nbody\r\n") : text);
		world_run(&w, 10);
		assert_int_equal(w.stored.reply, 451);
	}
	assert_int_equal(queue_messages(w.queue), 1);
	world_store_envelope(&w, &e);           /* a true repeat, after all that */
	assert_int_equal(queue_messages(w.queue), 1);
}

/*
 * A queue died between the flush and its answer.  The next one ends nothing before listeners
 * have asked again: it would not know the message any more, and take it a second time.
 */
static void
test_nothing_ends_before_it_was_asked_again(void **state)
{
	struct envelope e = world_envelope(&w, "s@sender.test", "a@far.test");

	(void)state;
	world_store_envelope(&w, &e);
	w.mute = true;
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, SECOND);
	assert_int_equal(w.count, 1);
	w.stored.reply = 0;
	send_store(&w, &e, 0, slice(CONTENT));
	link_send(w.listener, FRAME_REPEATED, NONE, -1);
	world_run(&w, 100);
	assert_int_equal(w.stored.reply, 250);
	assert_int_equal(w.count, 2);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, SECOND);
	assert_int_equal(w.count, 2);
	world_run(&w, 2 * SECOND);              /* one who never says it */
	assert_int_equal(w.count, 3);
}

static void
test_bad_requests(void **state)
{
	struct envelope e = world_envelope(&w, "s@sender.test", "a@far.test");

	(void)state;
	e.size++;                               /* more than there is */
	send_store(&w, &e, 0, slice(CONTENT));
	world_run(&w, 10);
	assert_int_equal(w.stored.reply, 451);
	e.size--;
	send_store(&w, &e, 99, slice(CONTENT)); /* of no file that was given: content is here */
	world_run(&w, 10);
	assert_int_equal(w.stored.reply, 250);
	e = world_envelope(&w, "s@sender.test", "");
	send_store(&w, &e, 0, slice(CONTENT));
	world_run(&w, 10);
	assert_int_equal(w.stored.reply, 451);
	assert_int_equal(queue_messages(w.queue), 1);
}

/* --- time --------------------------------------------------------------------------- */

static void
test_retry_terms(void **state)
{
	static const int minutes[] = { 5, 10, 20, 40, 120, 120 };

	(void)state;
	for (uint32_t i = 0; i < COUNT(minutes); i++)
		assert_int_equal(retry_delay(w.queue, i), minutes[i] * MINUTE);
	assert_int_equal(retry_delay(w.queue, UINT32_MAX), 120 * MINUTE);
}

static void
test_retries(void **state)
{
	static const int after[] = { 5, 10, 20, 20 };   /* seconds */
	int64_t before;

	(void)state;
	world_end(&w);
	world_begin(&w, HURRY);
	world_store(&w, "s@sender.test", "a@far.test");
	for (size_t i = 0; i < COUNT(after); i++) {
		assert_int_equal(w.count, i + 1);
		before = w.clock.now;
		world_answer(&w, i, "450 4.2.0 later");
		world_run(&w, 50);
		world_compare(&w);
		world_run(&w, after[i] * SECOND);
		assert_int_equal(w.count, i + 2);
		assert_in_range(w.orders[i + 1].at - before, after[i] * SECOND, after[i] * SECOND + 20);
	}
}

/* A new queue goes on where the old one was. */
static void
test_restart_keeps_time(void **state)
{
	int64_t before;

	(void)state;
	world_store(&w, "s@sender.test", "a@far.test");
	world_answer(&w, 0, "450 4.2.0 later");
	world_run(&w, 50);
	before = w.orders[0].at;
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 5 * MINUTE - 200);
	assert_int_equal(w.count, 1);
	world_run(&w, 500);
	assert_int_equal(w.count, 2);
	assert_in_range(w.orders[1].at - before, 5 * MINUTE, 5 * MINUTE + 100);
	world_answer(&w, 1, "450 4.2.0 later");
	world_run(&w, 10 * MINUTE);
	assert_int_equal(w.count, 3);
}

/* The host is dead: its other mail rests too; others do not wait. */
static void
test_dead_host(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "a@far.test");
	world_unreachable(&w, 0);
	world_run(&w, 10);
	world_store(&w, "s@sender.test", "b@far.test");
	assert_int_equal(w.count, 1);
	world_store(&w, "s@sender.test", "c@other.test");
	assert_int_equal(w.count, 2);
	world_run(&w, 5 * MINUTE);
	assert_true(w.count >= 3);
}

/* Nobody answers these: mail to others goes past them, up to a ceiling. */
static void
test_slow_hosts_do_not_stop_others(void **state)
{
	static const struct { int64_t later; size_t orders; } cases[] = {
		{ 0, 500 }, { 15 * SECOND, 500 }, { 10 * SECOND, 1000 }, { 25 * SECOND, 1500 },
		{ 10 * MINUTE, 1500 },
	};
	struct buf to = BUF(4096);

	(void)state;
	for (unsigned i = 1; i <= 1600; i++) {
		buf_printf(&to, "a@d%u.test ", i);
		if (i % 100 == 0) {
			buf_byte(&to, '\0');
			world_store(&w, "s@sender.test", to.p);
			buf_clear(&to);
		}
	}
	buf_free(&to);
	for (size_t i = 0; i < COUNT(cases); i++) {
		world_run(&w, cases[i].later);
		assert_case(w.count == cases[i].orders, i, "orders");
	}
	for (size_t i = 0; i < 3; i++)
		world_answer(&w, i, "250 ok");
	world_run(&w, 100);
	assert_int_equal(w.count, 1503);
}

/* What a host says of one recipient is no reason to leave the host alone. */
static void
test_host_that_answers_is_not_dead(void **state)
{
	static const char *const answers[] = { "450 4.2.1 mailbox busy", "451 4.4.1 no answer from behind me" };

	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		size_t before = w.count;

		world_store(&w, "s@sender.test", "a@far.test");
		assert_int_equal(w.count, before + 1);
		world_answer(&w, before, answers[i]);
		world_run(&w, 10);
	}
	world_store(&w, "s@sender.test", "b@far.test");
	assert_int_equal(w.count, 3);
}

/* A host that sends us away at its door gets fewer attempts at once, and in the end none. */
static void
test_host_that_refuses(void **state)
{
	const char *text = "421 4.7.0 too many connections from you";
	size_t before;

	(void)state;
	for (int i = 0; i < 20; i++)
		world_store(&w, "s@sender.test", "a@far.test");
	before = w.count;
	assert_int_equal(before, 5);
	for (size_t i = 0; i < before; i++) {
		struct order_result r = result_of(&w, &w.orders[i], &text, 1);

		r.refused = true;
		send_result(&w, &w.orders[i], &r, FRAME_RESULT);
		world_run(&w, 10);
	}
	assert_int_equal(w.count, before);
	world_store(&w, "s@sender.test", "c@other.test");
	assert_int_equal(w.count, before + 1);
	world_run(&w, 5 * MINUTE);
	assert_int_equal(w.count, before + 2);  /* one, to see */
}

/* 421 in the middle of a message is no rest for the others, and no reason for more of them. */
static void
test_host_that_goes(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++)
		world_store(&w, "s@sender.test", "a@far.test");
	for (size_t i = 0; i < 5; i++)
		world_answer(&w, i, "421 4.3.2 going down");
	world_run(&w, 10);
	assert_int_equal(w.count, 6);
	world_answer(&w, 5, "250 2.0.0 ok");
	world_run(&w, 10);
	assert_int_equal(w.count, 8);
}

/* --- the end ------------------------------------------------------------------------- */

static bool
has(struct slice text, const char *words)
{
	return memmem(text.p, text.n, words, strlen(words)) != NULL;
}

/* One of three fails for good: one report, about him; the others go on. */
static void
test_one_of_many_fails(void **state)
{
	const char *texts[] = { "250 2.0.0 ok", "550 5.1.1 nobody here", "450 4.2.0 later" };
	struct order_result r;
	struct slice report;

	(void)state;
	world_store(&w, "ann@local.test", "a@far.test b@far.test c@far.test");
	r = result_of(&w, &w.orders[0], texts, 3);
	send_result(&w, &w.orders[0], &r, FRAME_RESULT);
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 2);
	report = world_text(&w, world_own(&w));
	assert_true(has(report, "Final-Recipient: rfc822; b@far.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
	assert_true(has(report, "Diagnostic-Code: smtp; 550 5.1.1 nobody here\r\n"));
	assert_false(has(report, "rfc822; a@far.test"));
	assert_false(has(report, "rfc822; c@far.test"));
	assert_int_equal(w.count, 2);           /* the report, to ann */
	assert_slice(w.orders[1].order.sender, "");
	assert_slice(w.orders[1].order.place, "/m/ann");
	world_answer(&w, 1, "250 ok");
	world_run(&w, 100);
	world_compare(&w);
	world_run(&w, 5 * MINUTE);
	assert_int_equal(w.count, 3);
	assert_int_equal(w.orders[2].order.count, 1);
	assert_slice(w.orders[2].order.recipients[0].address, "c@far.test");
	world_answer(&w, 2, "250 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

static void
test_all_fail_in_one_report(void **state)
{
	struct slice report;

	(void)state;
	world_store(&w, "ann@local.test", "a@far.test b@far.test c@far.test");
	world_answer(&w, 0, "554 5.7.1 no");
	world_run(&w, 100);
	assert_int_equal(w.count, 2);
	assert_int_equal(queue_messages(w.queue), 1);
	report = world_text(&w, world_own(&w));
	for (const char *p = "abc"; *p; p++) {
		char line[64];

		snprintf(line, sizeof line, "Final-Recipient: rfc822; %c@far.test\r\n", *p);
		assert_true(has(report, line));
	}
}

/* --- many ends at once ------------------------------------------------------------------- */

enum { CROWD = 47000 };                 /* more than there once was memory for */

/* Whom the reports to ann name, each of them whole in itself. */
static size_t
count_told(unsigned char *told)
{
	struct ids_found all = { .n = 0 };
	size_t named = 0;

	spool_each(w.queue->spool, note_id, &all);
	for (size_t i = 0; i < all.n; i++) {
		struct slice text = NONE, line;
		bool closed = false;

		if (all.id[i] < 1000000)        /* not our own */
			continue;
		text = world_text(&w, all.id[i]);
		assert_true(text.n < 2 * REPORT_NAMES_MOST);
		while (slice_cut(&text, '\n', &line)) {
			uint64_t number = 0;

			closed = slice_starts(line, S("--=_")) && slice_endsi(line, S("--\r"));
			if (!slice_starts(line, S("Final-Recipient: rfc822; r")))
				continue;
			line = slice_skip(line, sizeof "Final-Recipient: rfc822; r" - 1);
			assert_true(slice_number(slice_head(line, slice_find(line, 'x')), CROWD - 1, &number));
			assert_int_equal(told[number]++, 0);
			named++;
		}
		assert_true(closed);
	}
	return named;
}

/* So many that wait; the deliverer says nothing to the first of them. */
static void
store_crowd(unsigned n, unsigned length)
{
	struct buf list = BUF(16 << 20);

	for (unsigned i = 0; i < n; i++)
		buf_printf(&list, "r%ux%0*d@far.test ", i, length, 0);
	buf_byte(&list, '\0');
	world_store(&w, "ann@local.test", list.p);
	buf_free(&list);
}

/* All of a great mailing have had their time: in portions, and nobody is forgotten. */
static void
test_a_crowd_expires(void **state)
{
	unsigned char *told = must_alloc(CROWD);
	size_t first;

	teardown(state);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 1h; expire after 3m; warn sender never }\n");
	store_crowd(CROWD, 1);
	world_run(&w, 1000);
	world_unreachable(&w, 0);
	world_run(&w, 4 * MINUTE);
	first = count_told(told);
	assert_true(first >= CROWD - 1000);     /* all but those who are with the deliverer */
	for (size_t i = 1; i < w.count; i++)
		if (w.orders[i].order.kind == ORDER_SMTP)
			world_unreachable(&w, i);
	world_run(&w, 1000);
	memset(told, 0, CROWD);
	assert_int_equal(count_told(told), CROWD);
	free(told);
}

/*
 * Some hundred with long names, failed by a command while nobody was there, are more
 * than one report can hold: several, and a recipient is over with the one that names him.
 */
static void
test_long_names_in_several_reports(void **state)
{
	enum { N = 900 };
	unsigned char *told = must_alloc(CROWD);
	char words[600];
	struct recipient_state s = { .stage = RECIPIENT_FAILED, .last = STATUS(0, 5, 7, 1, "") };

	(void)state;
	memset(words, 'y', sizeof words);
	s.last.text = slice_of(words, sizeof words);
	store_crowd(N, 200);
	for (s.recipient = 0; s.recipient < N; s.recipient++)
		spool_state(w.queue->spool, w.id, &s, NULL, NULL);
	world_restart(&w);
	world_run(&w, 100);
	assert_int_equal(count_told(told), N);
	assert_true(queue_messages(w.queue) > 2);
	assert_null(schedule_find(&w.queue->schedule, w.id));
	free(told);
}

/*
 * RFC 5321 6.1: a report to somebody of this house who cannot get it goes to postmaster,
 * and should he not get it either, nowhere.  By the hostname it is this house, too.
 */
static void
test_lost_report(void **state)
{
	static const char *const senders[] = { "gone@local.test", "root@mx.local.test" };

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		size_t first = w.count;

		world_store(&w, senders[i], "a@far.test");
		world_answer(&w, first, "550 5.1.1 no");
		world_run(&w, 100);
		if (i == 1)                     /* that host would be asked first */
			world_answer(&w, ++first, "550 5.4.6 this host again");
		world_run(&w, 100);
		assert_int_equal(w.count, first + 2);
		assert_slice(w.orders[first + 1].order.sender, "");
		assert_slice(w.orders[first + 1].order.place, "/m/ann");
		assert_non_null(memmem(w.orders[first + 1].order.head.p, w.orders[first + 1].order.head.n,
		    "To: <postmaster@local.test>", 27));
		assert_false(world_said(&w, "null-sender"));
		world_answer(&w, first + 1, "550 5.2.2 full");
		world_run(&w, 100);
		assert_int_equal(queue_messages(w.queue), 0);
		assert_true(world_said(&w, "null-sender"));
		buf_clear(&w.said);
		world_compare(&w);
	}
}

/* RFC 5321 4.5.5: nobody answers to the null sender, also not to a report that fails. */
static void
test_no_report_to_nobody(void **state)
{
	(void)state;
	world_store(&w, "", "a@far.test");
	world_answer(&w, 0, "550 5.1.1 no");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_true(world_said(&w, "null-sender"));
	world_store(&w, "s@sender.test", "a@far.test");
	world_answer(&w, 1, "550 5.1.1 no");
	world_run(&w, 100);
	assert_int_equal(w.count, 3);
	assert_slice(w.orders[2].order.sender, "");
	assert_slice(w.orders[2].order.recipients[0].address, "s@sender.test");
	assert_int_equal(w.orders[2].order.recipients[0].notify, NOTIFY_NEVER);
	world_answer(&w, 2, "550 5.1.1 no");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_int_equal(w.count, 3);
}

/* RFC 3461 4.1: who hears of what. */
static void
test_notify(void **state)
{
	static const struct { unsigned notify; const char *answer, *report; bool dsn; } cases[] = {
		{ 0, "250 ok", NULL, false },
		{ 0, "550 no", "failed", false },
		{ NOTIFY_NEVER, "550 no", NULL, false },
		{ NOTIFY_SUCCESS, "550 no", NULL, false },
		{ NOTIFY_DELAY, "550 no", NULL, false },
		{ NOTIFY_FAILURE, "550 no", "failed", false },
		{ NOTIFY_SUCCESS, "250 ok", "relayed", false },
		{ NOTIFY_SUCCESS, "250 ok", NULL, true },       /* the next host tells */
		{ NOTIFY_FAILURE, "250 ok", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct envelope e = world_envelope(&w, "ann@local.test", "a@far.test");
		size_t order = w.count;
		struct order_result r;

		e.recipients[0].notify = cases[i].notify;
		e.recipients[0].orcpt = S("rfc822;first+2B@far.test");
		world_store_envelope(&w, &e);
		r = result_of(&w, &w.orders[order], &cases[i].answer, 1);
		r.dsn_passed = cases[i].dsn;
		send_result(&w, &w.orders[order], &r, FRAME_RESULT);
		world_run(&w, 100);
		assert_case(w.count == order + 1 + (cases[i].report != NULL), i, "reports");
		if (cases[i].report != NULL) {
			struct slice report = world_text(&w, world_own(&w));
			char line[64];

			snprintf(line, sizeof line, "Action: %s\r\n", cases[i].report);
			assert_case(has(report, line), i, "action");
			assert_true(has(report, "Original-Recipient: rfc822;first+@far.test\r\n"));
			world_answer(&w, order + 1, "250 ok");
			world_run(&w, 100);
		}
		assert_int_equal(queue_messages(w.queue), 0);
	}
}

static void
test_delivered_at_home_is_reported(void **state)
{
	struct envelope e = world_envelope(&w, "ann@local.test", "ben@local.test");

	(void)state;
	e.recipients[0].notify = NOTIFY_SUCCESS;
	world_store_envelope(&w, &e);
	world_answer(&w, 0, "250 ok");
	world_run(&w, 100);
	assert_true(has(world_text(&w, world_own(&w)), "Action: delivered\r\nStatus: 2.0.0\r\n"));
}

static void
test_nobody_there(void **state)
{
	(void)state;
	world_store(&w, "ann@local.test", "nobody@local.test");
	world_run(&w, 100);
	assert_int_equal(w.count, 1);
	assert_true(has(world_text(&w, world_own(&w)), "Status: 5.1.1\r\n"));
}

/* --- expiry and warning ----------------------------------------------------------------- */

static void
test_expiry(void **state)
{
	struct slice report;

	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 10s; expire after 25s; warn sender after 15s }\n");
	world_store(&w, "ann@local.test", "a@far.test");
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < w.count; j++)
			if (!w.orders[j].answered)
				world_answer(&w, j, w.orders[j].order.sender.n ? "451 4.3.0 not now" : "250 ok");
		world_run(&w, i == 3 ? 100 : (i == 2 ? 5 : 10) * SECOND + 100);
		if (i == 2)
			assert_true(world_said(&w, "kind=delayed"));
		if (i == 0)
			assert_false(world_said(&w, "kind=delayed"));
	}
	report = world_text(&w, world_own(&w));
	assert_true(has(report, "Action: failed\r\nStatus: 4.4.7\r\n"));
	assert_true(has(report, "Diagnostic-Code: smtp; 451 4.3.0 not now\r\n"));
	assert_true(world_said(&w, "expired"));
	assert_true(w.clock.now <= (BEGIN_SECONDS + 26) * INT64_C(1000));
}

static const char WARNS[] = "domain local.test { deliver to maildir /m/%u; users ann }\n"
    "delivery { retry after 10s; expire after 1h; warn sender after 15s }\n";

static unsigned
times_said(const char *words)
{
	struct slice rest = buf_slice(&w.said);
	unsigned n = 0;

	for (const char *at; (at = memmem(rest.p, rest.n, words, strlen(words))) != NULL; n++)
		rest = slice_skip(rest, (size_t)(at + 1 - rest.p));
	return n;
}

/* Everybody else's server says no for now, ann's mailbox takes the reports. */
static void
answer_not_now(void)
{
	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered)
			world_answer(&w, i, w.orders[i].order.sender.n > 0 ? "451 4.3.0 not now" : "250 ok");
	world_run(&w, 100);
}

/* Each round answers everything, then waits for the next attempt. */
static void
warn_rounds(unsigned rounds)
{
	while (rounds-- > 0) {
		answer_not_now();
		world_run(&w, 10 * SECOND);
	}
}

static void
answer_reports(void)
{
	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered && w.orders[i].order.sender.n == 0)
			world_answer(&w, i, "250 ok");
	world_run(&w, 100);
}

/* Told once in a message's life, not once in a program's. */
static void
test_one_warning_across_restarts(void **state)
{
	(void)state;
	world_end(&w);
	world_begin(&w, WARNS);
	world_store(&w, "ann@local.test", "a@far.test");
	warn_rounds(2);
	answer_not_now();
	assert_int_equal(times_said("kind=delayed"), 0);
	world_run(&w, 6 * SECOND);
	assert_int_equal(times_said("kind=delayed"), 1);
	answer_reports();
	for (int i = 0; i < 2; i++) {
		world_restart(&w);
		deliverer_ready(&w);
		world_run(&w, 10 * SECOND);
		warn_rounds(2);
	}
	assert_int_equal(times_said("kind=delayed"), 1);
}

static void
not_now_from(const char *domain)
{
	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered && slice_eq(w.orders[i].order.domain, slice(domain)))
			world_answer(&w, i, "451 4.3.0 not now");
	world_run(&w, 100);
}

/* How many reports name it, and are there no others? */
static unsigned
reports_naming(const char *words)
{
	unsigned n = 0;

	for (size_t i = 0; i < w.count; i++)
		n += w.orders[i].order.sender.n == 0 && has(w.orders[i].order.body, words);
	return n;
}

/* RFC 3461 4.1: one report about all who are late and whose sender did not forbid it. */
static void
test_who_is_warned_about(void **state)
{
	static const struct { unsigned x, y, reports, x_named, y_named; } cases[] = {
		{ 0, 0, 1, 1, 1 },
		{ NOTIFY_NEVER, NOTIFY_DELAY, 1, 0, 1 },
		{ NOTIFY_DELAY, NOTIFY_NEVER, 1, 1, 0 },
		{ NOTIFY_FAILURE, NOTIFY_SUCCESS, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct envelope e;

		world_end(&w);
		world_begin(&w, WARNS);
		e = world_envelope(&w, "ann@local.test", "x@one.test y@two.test");
		e.recipients[0].notify = cases[i].x;
		e.recipients[1].notify = cases[i].y;
		world_store_envelope(&w, &e);
		for (int round = 0; round < 5; round++) {       /* never both under way at once */
			not_now_from("one.test");
			world_run(&w, 5 * SECOND);
			not_now_from("two.test");
			world_run(&w, 5 * SECOND);
		}
		answer_reports();
		assert_case(times_said("kind=delayed") == cases[i].reports, i, "reports");
		assert_case(reports_naming("rfc822; x@one.test") == cases[i].x_named, i, "x");
		assert_case(reports_naming("rfc822; y@two.test") == cases[i].y_named, i, "y");
	}
}

/* As many as one report names stand in it, the others in the next; nobody is left out, or told twice. */
static void
test_warned_in_several_reports(void **state)
{
	struct buf many = BUF(100000);

	(void)state;
	for (unsigned i = 0; i < REPORT_RECIPIENTS_MOST + 300; i++)
		buf_printf(&many, "r%u@far.test ", i);
	buf_byte(&many, '\0');
	world_end(&w);
	world_begin(&w, WARNS);
	world_store(&w, "ann@local.test", many.p);
	warn_rounds(2);
	answer_not_now();
	buf_clear(&w.said);
	world_run(&w, 6 * SECOND);
	assert_int_equal(times_said("kind=delayed"), 2);
	answer_reports();
	world_restart(&w);
	deliverer_ready(&w);
	buf_clear(&w.said);
	world_run(&w, 10 * SECOND);
	warn_rounds(2);
	assert_int_equal(times_said("kind=delayed"), 0);        /* all of them are marked as told */
	buf_free(&many);
}

/* Who is being tried while others are found late is named with them, or when it has ended. */
static void
test_warned_about_while_being_tried(void **state)
{
	static const struct { int64_t later; unsigned reports; } cases[] = { { SECOND, 1 }, { 8 * SECOND, 2 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		world_end(&w);
		world_begin(&w, WARNS);
		world_store(&w, "ann@local.test", "x@one.test y@two.test");
		warn_rounds(2);
		not_now_from("one.test");
		world_run(&w, cases[i].later);
		not_now_from("two.test");
		world_run(&w, 6 * SECOND);
		answer_reports();
		assert_case(times_said("kind=delayed") == cases[i].reports, i, "reports");
		assert_int_equal(reports_naming("rfc822; x@one.test"), 1);
		assert_int_equal(reports_naming("rfc822; y@two.test"), 1);
	}
}

/* Somebody waits for his turn, and was never tried. */
static void
test_warned_about_untried(void **state)
{
	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 10s; expire after 1h; warn sender after 15s;\n"
	    "  to two.test { connections 1 } }\n");
	world_store(&w, "", "slow@two.test");
	world_store(&w, "ann@local.test", "x@one.test y@two.test");
	for (int round = 0; round < 3; round++) {
		not_now_from("one.test");
		world_run(&w, 10 * SECOND);
	}
	assert_int_equal(times_said("kind=delayed"), 1);
	assert_int_equal(reports_naming("rfc822; y@two.test\r\nAction: delayed\r\nStatus: 4.4.5\r\n"
	    "Will-Retry-Until: "), 1);
	assert_int_equal(reports_naming("rfc822; x@one.test\r\nAction: delayed\r\nStatus: 4.3.0\r\n"), 1);
}

/* Behind a destination that rests each has his own warning and his own end, and no try. */
static void
test_late_behind_a_dead_host(void **state)
{
	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 1h; expire after 30s; expire reports after 10s; warn sender after 5s }\n");
	world_store(&w, "first@sender.test", "x@one.test");
	world_unreachable(&w, 0);
	world_run(&w, SECOND);
	world_store(&w, "ann@local.test", "y@one.test");
	world_store(&w, "", "z@one.test");
	assert_int_equal(w.count, 1);
	assert_int_equal(queue_messages(w.queue), 3);
	world_run(&w, 8 * SECOND);
	assert_int_equal(reports_naming("rfc822; y@one.test\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
	    "Will-Retry-Until: "), 1);
	assert_false(world_said(&w, "event=expired"));
	world_run(&w, 5 * SECOND);
	assert_int_equal(times_said("null-sender"), 1);         /* z has had its time */
	world_answer(&w, 1, "250 ok");                          /* the warning */
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 2);
	assert_int_equal(w.count, 2);
	world_compare(&w);
	world_run(&w, 17 * SECOND);                             /* the rest ends with x's time */
	assert_int_equal(w.count, 4);
}

/* --- deliverers that come and go ---------------------------------------------------------- */

/* He dies with work in hand: it is tried again when the next one is there, and not before. */
static void
test_deliverer_dies(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "a@far.test b@far.test");
	deliverer_dies(&w);
	world_run(&w, 1000);
	assert_int_equal(queue_active(w.queue), 0);
	world_compare(&w);
	world_store(&w, "s@sender.test", "c@far.test");
	assert_int_equal(w.count, 1);
	deliverer_comes(&w);
	world_run(&w, 1000);
	assert_int_equal(w.count, 1);           /* he has not said what he is doing */
	deliverer_ready(&w);
	world_run(&w, 10);
	assert_int_equal(w.count, 3);
	for (size_t i = 1; i < 3; i++)
		world_answer(&w, i, "250 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* Held while its last attempt ran: it is held, and expires when it was released. */
static void
test_held_at_its_end(void **state)
{
	uint64_t id;

	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 10s; expire after 60s; warn sender never }\n");
	id = world_store(&w, "ann@local.test", "a@far.test");
	task_hold(&w.queue->schedule, schedule_find(&w.queue->schedule, id)->tasks);
	world_run(&w, 70 * SECOND);
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 100);
	assert_int_equal(world_own(&w), 0);
	world_compare(&w);
	task_release(&w.queue->schedule, schedule_find(&w.queue->schedule, id)->tasks);
	queue_look(w.queue);
	world_run(&w, 100);
	world_answer(&w, 1, "451 4.3.0 not now");
	world_run(&w, 100);
	assert_int_not_equal(world_own(&w), 0);
}

/* What each of them dies with is not tried again and again at once, nor for ever. */
static void
test_deliverers_die_of_it(void **state)
{
	size_t tries[2];

	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 10s; expire after 60s; warn sender never }\n");
	world_store(&w, "ann@local.test", "a@far.test");
	for (int i = 0; i < 15; i++) {
		deliverer_dies(&w);
		world_run(&w, 10);
		deliverer_comes(&w);
		deliverer_ready(&w);
		world_run(&w, 10);
		if (i < 2)
			tries[i] = w.count;
		world_run(&w, 5 * SECOND);
	}
	assert_int_equal(tries[0], 2);          /* at once */
	assert_int_equal(tries[1], 2);          /* not any more */
	assert_true(has(world_text(&w, world_own(&w)), "its delivery ended here"));
	assert_int_equal(queue_messages(w.queue), 1);   /* the report */
}

/* A result of an order that nobody has, or that came twice, or of another deliverer: unheard. */
static void
test_strange_results(void **state)
{
	const char *ok = "250 ok";
	struct order_result r;

	(void)state;
	world_store(&w, "s@sender.test", "a@far.test");
	r = result_of(&w, &w.orders[0], &ok, 1);
	r.number++;
	send_result(&w, &w.orders[0], &r, FRAME_RESULT);
	r.number--;
	r.id++;
	send_result(&w, &w.orders[0], &r, FRAME_RESULT);
	link_send(w.deliverer, FRAME_RESULT, S("\1\2\3"), -1);
	link_send(w.deliverer, 99, S("?"), -1);
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 1);
	world_answer(&w, 0, "250 ok");
	world_answer(&w, 0, "550 no");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_int_equal(w.count, 1);
	world_compare(&w);
}

/* He says nothing of one recipient: that one is tried again, the other one is done. */
static void
test_partial_result(void **state)
{
	const char *ok = "250 ok";
	struct order_result r;

	(void)state;
	world_store(&w, "s@sender.test", "a@far.test b@far.test");
	r = result_of(&w, &w.orders[0], &ok, 1);
	r.count = 1;
	send_result(&w, &w.orders[0], &r, FRAME_RESULT);
	world_run(&w, 100);
	world_compare(&w);
	world_run(&w, 5 * MINUTE);
	assert_int_equal(w.count, 2);
	assert_int_equal(w.orders[1].order.count, 1);
	assert_slice(w.orders[1].order.recipients[0].address, "b@far.test");
}

/* What the deliverer has in hand when a new queue comes. */
static struct order_result
under_way(const struct seen *s, struct order_outcome *outcomes)
{
	struct order_result r = { .number = s->order.number, .id = s->order.id, .count = s->order.count,
		.outcomes = outcomes };

	for (uint32_t i = 0; i < r.count; i++)
		outcomes[i] = (struct order_outcome){ .index = s->order.recipients[i].index };
	return r;
}

/* The queue dies, the deliverer does not: nothing is sent twice. */
static void
test_adoption(void **state)
{
	struct order_outcome outcomes[10];
	struct order_result r;

	(void)state;
	world_store(&w, "s@sender.test", "a@far.test b@far.test");
	world_restart(&w);
	r = under_way(&w.orders[0], outcomes);
	send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
	deliverer_ready(&w);
	world_run(&w, 1000);
	assert_int_equal(w.count, 1);
	assert_int_equal(queue_active(w.queue), 1);
	world_store(&w, "s@sender.test", "c@far.test");
	assert_true(w.orders[1].order.number != w.orders[0].order.number);
	world_answer(&w, 1, "250 ok");
	world_answer(&w, 0, "250 ok");
	world_run(&w, 1000);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_int_equal(w.count, 2);
	world_compare(&w);
}

/* A queue that ends before it could tell a sender leaves that to the next one. */
static void
test_end_before_the_report(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");
	const struct recipient_state failed = { .recipient = 0, .stage = RECIPIENT_FAILED,
		.last = STATUS(550, 5, 1, 1, "nobody") };

	(void)state;
	spool_state(w.queue->spool, id, &failed, NULL, NULL);
	assert_true(spool_drain(w.queue->spool));
	world_restart(&w);
	assert_int_equal(queue_active(w.queue), 1);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 30 * SECOND);
	assert_int_equal(queue_active(w.queue), 1);             /* the report is under way */
	assert_int_equal(queue_messages(w.queue), 1);
	assert_true(world_own(&w) != 0);
}

/* He had two orders of one message for one place, each for a part of the recipients. */
static void
test_adoption_of_parts(void **state)
{
	struct buf many = BUF(100000);
	struct order_outcome outcomes[200];
	struct order_result r;
	bool told[250] = { false };

	(void)state;
	for (unsigned i = 0; i < 250; i++)
		buf_printf(&many, "r%u@far.test ", i);
	buf_byte(&many, '\0');
	world_store(&w, "s@sender.test", many.p);
	assert_int_equal(w.count, 3);
	world_answer(&w, 0, "450 4.2.0 later"); /* a part that waits for its time */
	world_run(&w, 100);
	world_restart(&w);
	r = under_way(&w.orders[2], outcomes);  /* the last ones, and not the others */
	send_result(&w, &w.orders[2], &r, FRAME_UNDER_WAY);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_int_equal(w.count, 4);           /* the second order again, and only it */
	for (size_t i = 2; i < 4; i++) {
		for (uint32_t j = 0; j < w.orders[i].order.count; j++) {
			assert_false(told[w.orders[i].order.recipients[j].index]);
			told[w.orders[i].order.recipients[j].index] = true;
		}
		world_answer(&w, i, "250 ok");
	}
	world_run(&w, 100);
	world_compare(&w);
	world_run(&w, 5 * MINUTE);
	assert_int_equal(w.count, 5);
	assert_int_equal(w.orders[4].order.count, 100);
	world_answer(&w, 4, "250 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	buf_free(&many);
}

/* He works on something that is over, or says it twice, or of recipients that are not there. */
static void
test_adoption_of_nothing(void **state)
{
	struct order_outcome outcomes[10] = { { .index = 0 } };
	struct order_result r;

	(void)state;
	world_store(&w, "s@sender.test", "a@far.test");
	world_restart(&w);
	r = under_way(&w.orders[0], outcomes);
	r.id = 999;
	send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
	r.id = w.orders[0].order.id;
	outcomes[0].index = 7;
	send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
	outcomes[0].index = 0;
	send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
	send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_int_equal(w.count, 1);
	assert_int_equal(queue_active(w.queue), 1);
	world_answer(&w, 0, "250 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* --- commands while it is under way ---------------------------------------------------------- */

static bool
change_it(void *arg, const struct found *f)
{
	queue_change(w.queue->spool, *(const enum queue_verb *)arg, f, NULL);
	return true;
}

/* Held while its attempt runs: held when it is back, in memory and on the disk. */
static void
test_held_under_way(void **state)
{
	uint64_t id = world_store(&w, "s@sender.test", "a@far.test");
	struct message *m = schedule_find(&w.queue->schedule, id);
	enum queue_verb hold = QUEUE_HOLD;

	(void)state;
	spool_look(w.queue->spool, id, change_it, &hold, NULL);
	task_hold(&w.queue->schedule, m->tasks);
	world_answer(&w, 0, "450 4.2.0 later");
	world_run(&w, 100);
	assert_int_equal(m->tasks->stage, TASK_HELD);
	world_compare(&w);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 6 * MINUTE);
	assert_int_equal(w.count, 1);
}

/* --- large messages ----------------------------------------------------------------------------- */

/* From ann to a@far.test, its content in a file; *size_r octets of body. */
static uint64_t
store_large(uint64_t *size_r)
{
	struct envelope e = world_envelope(&w, "ann@local.test", "a@far.test");
	struct buf big = BUF(1 << 20), b = BUF(100);

	buf_add(&big, S("From: a@b.test\r\n\r\n"));
	while (big.n < 300000)
		buf_add(&big, S("A line of a long message.\r\n"));
	pack_u64(&b, 5);
	link_send(w.listener, FRAME_SPACE, buf_slice(&b), -1);
	world_run(&w, 10);
	assert_true(file_write(w.space_fd, buf_slice(&big), NULL));
	e.size = big.n;
	e.header_size = 16;
	e.summed = true;
	e.content_sum = crc32c(0, buf_slice(&big));
	*size_r = big.n - e.header_size;
	send_store(&w, &e, w.space, NONE);
	world_run(&w, 10);
	assert_int_equal(w.stored.reply, 250);
	assert_int_equal(w.count, 1);
	buf_free(&big);
	buf_free(&b);
	return e.id;
}

static void
test_large_message(void **state)
{
	struct slice report;
	uint64_t size;

	(void)state;
	store_large(&size);
	assert_true(w.orders[0].order.in_file);
	assert_int_equal(w.orders[0].order.file_size, size);
	world_answer(&w, 0, "554 5.0.0 no");
	world_run(&w, 100);
	report = world_text(&w, world_own(&w));
	assert_true(has(report, "Content-Type: text/rfc822-headers\r\n"));      /* K7 */
	assert_false(has(report, "A line of a long"));
}

/* Where no file can be made large mail is told to come later, and somebody is told, once. */
static void
test_no_file_for_large_mail(void **state)
{
	char path[200], aside[200];
	uint64_t size;
	size_t told;

	(void)state;
	snprintf(path, sizeof path, "%s/queue/content", w.dir);
	snprintf(aside, sizeof aside, "%s/aside", w.dir);
	assert_int_equal(rename(path, aside), 0);
	for (int i = 0; i < 2; i++) {
		struct buf b = BUF(100);

		pack_u64(&b, 5);
		link_send(w.listener, FRAME_SPACE, buf_slice(&b), -1);
		world_run(&w, 10);
		assert_int_equal(w.space_fd, -1);
		assert_true(world_said(&w, "what=spool"));
		if (i == 0)
			told = w.said.n;
		buf_free(&b);
	}
	assert_int_equal(w.said.n, told);
	assert_int_equal(rename(aside, path), 0);
	store_large(&size);
}

/* A disk that refuses to read for a moment costs nothing; what is gone for good costs the text. */
static void
test_report_about_what_cannot_be_read(void **state)
{
	static const struct { bool returns; const char *told; } cases[] = {
		{ true, "Content-Type: text/rfc822-headers\r\n" },
		{ false, "Its text can no longer be read here" },
	};
	char path[200], aside[200], text[ID_TEXT + 1];

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice report;
		uint64_t size;

		if (i > 0) {
			teardown(state);
			setup(state);
		}
		id_text(store_large(&size), text);
		snprintf(path, sizeof path, "%s/queue/content/%s", w.dir, text);
		snprintf(aside, sizeof aside, "%s/aside", w.dir);
		assert_int_equal(rename(path, aside), 0);
		if (cases[i].returns)
			assert_int_equal(symlink(path, path), 0);       /* ELOOP, as EIO would be */
		world_answer(&w, 0, "554 5.0.0 no");
		world_run(&w, 5 * SECOND);
		if (cases[i].returns) {
			assert_int_equal(queue_messages(w.queue), 1);   /* it waits for its report */
			assert_int_equal(world_own(&w), 0);
			assert_int_equal(rename(aside, path), 0);
		}
		world_run(&w, 10 * SECOND);
		report = world_text(&w, world_own(&w));
		assert_true(has(report, "Action: failed\r\n"));
		for (size_t k = 0; k < COUNT(cases); k++)
			assert_int_equal(has(report, cases[k].told), k == i);
	}
}

/* What can no longer be read waits as long as other mail; then its sender is told, if he is known. */
static void
test_what_cannot_be_read_ends(void **state)
{
	char path[200], text[ID_TEXT + 1];

	(void)state;
	for (int spoilt = 0; spoilt < 3; spoilt++) {    /* 2: the catalogue knows the sender by then */
		bool known = spoilt != 1;
		uint64_t size, id;

		world_end(&w);
		world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
		    "delivery { retry after 10s; expire after 25s }\n");
		id = spoilt ? world_store(&w, "ann@local.test", "a@far.test") : store_large(&size);
		world_answer(&w, 0, "451 4.3.0 not now");
		world_run(&w, spoilt == 2 ? 5 * SECOND : 100);
		id_text(id, text);
		snprintf(path, sizeof path, "%s/queue/content/%s", w.dir, text);
		if (spoilt)
			world_spoil(&w, "a@far.test");
		else
			assert_int_equal(unlink(path), 0);
		world_run(&w, 15 * SECOND);
		assert_int_equal(queue_messages(w.queue), 1);
		assert_true(world_said(&w, "what=message"));
		world_run(&w, 15 * SECOND);
		assert_int_equal(world_said(&w, "reason=unreadable"), !known);
		if (known)
			assert_true(has(world_text(&w, world_own(&w)), "Its text can no longer be read here"));
		assert_int_equal(queue_messages(w.queue), known);       /* the report is under way */
	}
}

/* --- large messages that rot --------------------------------------------------------------------- */

static void
turn_a_byte(uint64_t id, off_t at)
{
	char path[200], text[ID_TEXT + 1], byte;
	int fd;

	id_text(id, text);
	snprintf(path, sizeof path, "%s/queue/content/%s", w.dir, text);
	assert_true((fd = open(path, O_RDWR)) != -1);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static size_t
alarms(void)
{
	struct slice left = buf_slice(&w.said), line;
	size_t n = 0;

	while (slice_cut(&left, '\n', &line))
		n += memmem(line.p, line.n, "what=message", strlen("what=message")) != NULL;
	return n;
}

/* What a deliverer says who has read another text than was stored. */
static void
answer_unreadable(size_t order)
{
	const char *text = "451 4.3.0 its text is damaged here";
	struct order_result r = result_of(&w, &w.orders[order], &text, 1);

	r.unreadable = true;
	send_result(&w, &w.orders[order], &r, FRAME_RESULT);
	world_run(&w, 100);
}

/* What the order says of the file: the header is in the sum already. */
static void
test_order_of_a_file_has_its_checksum(void **state)
{
	const struct order *o;
	uint64_t size;

	(void)state;
	store_large(&size);
	o = &w.orders[0].order;
	assert_true(o->file_sum.known && o->file_at == 16);
	assert_int_equal(o->file_sum.sum, crc32c(0, S("From: a@b.test\r\n")));
	assert_int_not_equal(o->file_sum.whole, o->file_sum.sum);
}

/*
 * A deliverer finds it once; from then on it is read here before anybody is troubled
 * with it.  Should it be whole again it goes out, else its sender is told, and gets
 * nothing of what it has become.
 */
static void
test_damaged_content_is_not_tried_again(void **state)
{
	static const struct { off_t at; bool mended; } cases[] = {
		{ 200000, false }, { 3, false }, { 200000, true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t size, id;

		world_end(&w);
		world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
		    "delivery { retry after 10s; expire after 35s }\n");
		id = store_large(&size);
		turn_a_byte(id, cases[i].at);
		answer_unreadable(0);
		assert_int_equal(alarms(), 1);
		world_run(&w, 15 * SECOND);
		assert_int_equal(w.count, 1);
		if (cases[i].mended)
			turn_a_byte(id, cases[i].at);
		world_run(&w, 30 * SECOND);
		assert_int_equal(alarms(), 1);
		if (cases[i].mended) {
			assert_int_equal(w.count, 2);
			world_answer(&w, 1, "250 2.0.0 ok");
			world_run(&w, 100);
			assert_int_equal(queue_messages(w.queue), 0);
			world_compare(&w);
		} else {
			struct slice report = world_text(&w, world_own(&w));

			assert_true(has(report, "its text cannot be read here"));
			assert_true(has(report, "Its text can no longer be read here"));
			assert_false(has(report, "From: a@b"));
			assert_int_equal(queue_messages(w.queue), 1);   /* the report */
		}
	}
}

/* While the program does not run. */
static void
command(enum queue_verb verb, uint64_t id)
{
	assert_true(spool_look(w.queue->spool, id, change_it, &verb, NULL));
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
}

static bool disk_refuses;
static off_t refuses_from;              /* what stands in front can be read */
static bool pieces_refused;             /* of a body that is read whole */
static bool record_refused;             /* one record alone; not the segment from its start to its end */

/* In place of that of the C library: a disk that cannot read, for a while. */
ssize_t
pread(int fd, void *to, size_t n, off_t at)
{
	struct iovec piece = { to, n };

	if (!(pieces_refused && n > 100 << 10) &&
	    !(record_refused && n < SPOOL_BLOCK && at > 0 && at % SPOOL_BLOCK == 0) &&
	    (!disk_refuses || at < refuses_from))
		return preadv(fd, &piece, 1, at);
	errno = EIO;
	return -1;
}

/* Those whom an alias made stand in a record of their own: a report waits until it can be read. */
static void
test_a_report_waits_for_the_recipients(void **state)
{
	struct slice report;

	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann; alias out -> a@far.test, b@far.test }\n");
	world_store(&w, "ann@local.test", "out@local.test");
	world_run(&w, 100);
	disk_refuses = true;
	world_answer(&w, 0, "550 5.1.1 no");
	world_run(&w, 60 * SECOND);
	assert_int_equal(queue_messages(w.queue), 1);
	assert_false(world_said(&w, "dropped"));
	assert_int_equal(world_own(&w), 0);
	disk_refuses = false;
	world_run(&w, 60 * SECOND);
	report = world_text(&w, world_own(&w));
	assert_true(has(report, "a@far.test") && has(report, "b@far.test"));
	assert_true(world_said(&w, "what=message"));
}

/* What the disk refuses has not rotted, also where it is the record of an expansion alone. */
static void
test_an_expansion_that_the_disk_refuses_waits(void **state)
{
	struct slice report;

	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann; alias out -> a@far.test, b@far.test }\n"
	    "delivery { retry after 10s; expire after 25s }\n");
	world_store(&w, "ann@local.test", "out@local.test");
	world_run(&w, 100);
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 100);
	refuses_from = 2 * SPOOL_BLOCK;         /* behind the head and the message */
	disk_refuses = true;
	world_run(&w, 60 * SECOND);
	disk_refuses = false;
	refuses_from = 0;
	assert_false(world_said(&w, "reason=unreadable"));
	assert_int_equal(queue_messages(w.queue), 1);
	world_run(&w, 15 * SECOND);
	world_answer(&w, w.count - 1, "451 4.3.0 not now");
	world_run(&w, 100);
	report = world_text(&w, world_own(&w));
	assert_true(has(report, "rfc822; a@far.test\r\n") && has(report, "rfc822; b@far.test\r\n"));
}

/*
 * A deliverer is at work on what the new queue cannot read: its file is gone, or the disk
 * refuses for a moment.  The result counts, and nobody gets it twice or hears that it failed.
 */
static void
test_adoption_of_what_cannot_be_read(void **state)
{
	(void)state;
	for (int gone = 0; gone < 2; gone++) {
		struct order_outcome outcomes[10] = { { .index = 0 } };
		char path[200], text[ID_TEXT + 1];
		struct order_result r;
		uint64_t size, id;

		world_end(&w);
		world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n");
		id = gone ? store_large(&size) : world_store(&w, "ann@local.test", "a@far.test");
		world_restart(&w);
		id_text(id, text);
		snprintf(path, sizeof path, "%s/queue/content/%s", w.dir, text);
		assert_int_equal(gone ? unlink(path) : 0, 0);
		disk_refuses = !gone;
		r = under_way(&w.orders[0], outcomes);
		send_result(&w, &w.orders[0], &r, FRAME_UNDER_WAY);
		deliverer_ready(&w);
		world_run(&w, 100);
		disk_refuses = false;
		world_answer(&w, 0, "250 ok");
		world_run(&w, 20 * MINUTE);
		assert_int_equal(w.count, 1);
		assert_int_equal(queue_messages(w.queue), 0);
		world_compare(&w);
	}
}

/*
 * A restart without a catalogue makes others anew of an alias whose record rotted: they get
 * no number under which the disk says of somebody else that he has it.
 */
static void
test_numbers_are_not_given_again(void **state)
{
	char path[100];
	uint64_t id;

	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann;\n"
	    "  alias out -> a@far.test, b@other.test }\n");
	id = world_store(&w, "ann@local.test", "out@local.test");
	world_run(&w, 100);
	assert_slice(w.orders[0].order.domain, "far.test");
	world_answer(&w, 0, "250 ok");
	world_run(&w, 100);
	world_spoil(&w, "b@other.test");
	snprintf(path, sizeof path, "%s/queue/catalogue", w.dir);
	queue_end(w.queue);
	remove_tree(path);
	world_start(&w);
	assert_int_equal(schedule_find(&w.queue->schedule, id)->total, 2);      /* 1 has it */
	deliverer_gone(&w);
	deliverer_comes(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_int_equal(w.count, 4);
	for (size_t i = 2; i < w.count; i++)
		assert_true(w.orders[i].order.recipients[0].index >= 2);
}

static size_t
count_in(struct slice text, const char *what)
{
	size_t n = 0;

	for (const char *at; (at = memmem(text.p, text.n, what, strlen(what))) != NULL; n++)
		text = slice_skip(text, (size_t)(at - text.p) + 1);
	return n;
}

/*
 * What an alias made rots while the queue runs.  Whoever stands beside them in their task is
 * tried all the same, whoever is held stays, and of the alias the sender hears: when its time
 * is over, or when a deliverer says at the same time that its members fail.
 */
static void
test_an_expansion_rots(void **state)
{
	static const char conf[] =
	    "domain local.test { deliver to maildir /m/%u; users ann;\n"
	    "  alias out -> a@far.test, b@far.test, b@other.test }\n"
	    "delivery { retry after 10s; expire after 25s; hold to held.test }\n";

	(void)state;
	for (int fails = 0; fails < 2; fails++) {
		struct slice report;
		uint64_t id;

		world_end(&w);
		world_begin(&w, conf);
		id = world_store(&w, "ann@local.test", "out@local.test c@far.test d@held.test");
		world_run(&w, 100);
		world_spoil(&w, "b@other.test");
		for (size_t i = 0, n = w.count; i < n; i++)
			world_answer(&w, i, fails ? "550 5.1.1 no" : "451 4.3.0 not now");
		world_run(&w, 11 * SECOND);
		if (!fails) {
			const struct order *o = &w.orders[w.count - 1].order;

			assert_slice(o->recipients[0].address, "c@far.test");
			world_answer(&w, w.count - 1, "250 2.0.0 ok");
			world_run(&w, 40 * SECOND);
		}
		assert_int_equal(schedule_find(&w.queue->schedule, id)->open, 1);       /* d, held */
		report = world_text(&w, world_own(&w));
		assert_int_equal(count_in(report, "Final-Recipient: rfc822; out@local.test\r\nAction: failed\r\n"), 1);
		assert_false(world_said(&w, "reason=unreadable"));
	}
}

/* Whom the configuration holds waits for a command, across restarts; those beside him do not. */
static void
test_rules_hold(void **state)
{
	static const char rules[] = "domain local.test { deliver to maildir /m/%u; users ann, ben }\n"
	    "delivery { hold to far.test, ben@local.test; hold from .spam.test }\n";
	uint64_t id, spam;

	(void)state;
	world_end(&w);
	world_begin(&w, rules);
	id = world_store(&w, "s@sender.test", "ann@local.test ben@local.test a@far.test b@far.test c@other.test");
	spam = world_store(&w, "x@a.spam.test", "ann@local.test");
	assert_int_equal(w.count, 2);                   /* ann, c@other.test */
	world_answer(&w, 0, "250 2.0.0 ok");
	world_answer(&w, 1, "250 2.0.0 ok");
	world_run(&w, 100);
	assert_true(world_said(&w, "held from=<s@sender.test> to=<a@far.test> reason=configuration "
	    "why=\"hold to far.test\""));
	assert_true(world_said(&w, "why=\"hold to ben@local.test\""));
	assert_true(world_said(&w, "why=\"hold from .spam.test\""));
	world_compare(&w);
	for (int i = 0; i < 2; i++) {
		world_run(&w, HOUR);
		assert_int_equal(w.count, 2);
		assert_int_equal(queue_messages(w.queue), 2);
		world_restart(&w);
		deliverer_ready(&w);
	}
	command(QUEUE_RELEASE, id);
	assert_int_equal(w.count, 4);                   /* ben; both of far.test in one */
	assert_int_equal(w.orders[2].order.count + w.orders[3].order.count, 3);
	world_answer(&w, 2, "451 4.3.0 not now");
	world_answer(&w, 3, "451 4.3.0 not now");
	world_run(&w, 100);
	command(QUEUE_RETRY, id);                       /* the rule does not hold them again */
	assert_int_equal(w.count, 6);
	world_answer(&w, 4, "250 2.0.0 ok");
	world_answer(&w, 5, "250 2.0.0 ok");
	world_run(&w, 100);
	command(QUEUE_RELEASE, spam);
	assert_int_equal(w.count, 7);
	world_answer(&w, 6, "250 2.0.0 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* Past its expiry too: who was promised a report gets it as soon as his name can be read. */
static void
test_what_the_disk_refuses_waits(void **state)
{
	(void)state;
	world_end(&w);
	world_begin(&w, "domain local.test { deliver to maildir /m/%u; users ann }\n"
	    "delivery { retry after 10s; expire after 25s }\n");
	world_store(&w, "ann@local.test", "a@far.test");
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 100);
	disk_refuses = true;
	world_run(&w, 60 * SECOND);
	disk_refuses = false;
	assert_int_equal(queue_messages(w.queue), 1);
	assert_true(world_said(&w, "what=message"));
	assert_false(world_said(&w, "reason=unreadable"));
	world_run(&w, 15 * SECOND);
	world_answer(&w, 1, "451 4.3.0 not now");
	world_run(&w, 100);
	assert_true(has(world_text(&w, world_own(&w)), "Action: failed\r\n"));
}

/* It came before there was a key, so its body is hashed now: unsigned it does not leave. */
static void
test_a_body_that_cannot_be_hashed_waits(void **state)
{
	uint64_t size;

	(void)state;
	store_large(&size);
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 100);
	queue_end(w.queue);
	routes_free(w.routes);
	conf_free(w.conf);
	buf_add(&files_add(&w.files, S("/c/k.pem"), FILE_SIGNING_KEY)->bytes, slice(KEY_RSA_2048_PEM));
	world_conf(&w, "domain local.test { deliver to maildir /m/%u; users ann }\nkey k { domain local.test; file k.pem }\n");
	world_start(&w);
	deliverer_gone(&w);
	deliverer_comes(&w);
	deliverer_ready(&w);
	pieces_refused = true;
	world_run(&w, 6 * MINUTE);
	pieces_refused = false;
	assert_int_equal(w.count, 1);
	assert_true(world_said(&w, "its text cannot be read here"));
	world_run(&w, HOUR);
	assert_int_equal(w.count, 2);
}

/* It was there when the segments were read, and not when its turn came to be planned. */
static void
test_what_the_disk_refuses_at_the_start_is_planned_later(void **state)
{
	char path[100];

	(void)state;
	snprintf(path, sizeof path, "%s/queue/catalogue", w.dir);
	world_store(&w, "ann@local.test", "a@far.test");
	world_answer(&w, 0, "451 4.3.0 not now");
	world_run(&w, 100);
	queue_end(w.queue);
	remove_tree(path);
	record_refused = true;
	world_start(&w);
	record_refused = false;
	deliverer_gone(&w);
	deliverer_comes(&w);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_true(world_said(&w, "cannot read the record"));
	deliverer_ready(&w);
	world_run(&w, 2 * MINUTE);
	assert_int_equal(queue_messages(w.queue), 1);
	world_run(&w, HOUR);
	assert_int_equal(w.count, 2);
	world_answer(&w, 1, "250 2.0.0 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
}

/*
 * Who has the message, and whose sender is to hear of that, has it once, although the report
 * could not be made before the queue ended; and it comes.
 */
static void
test_delivered_before_the_report(void **state)
{
	static const struct { const char *to, *action; } cases[] = {
		{ "a@far.test", "Action: relayed\r\n" }, { "ben@local.test", "Action: delivered\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct envelope e = world_envelope(&w, "ann@local.test", cases[i].to);
		size_t before = w.count;
		struct slice report;

		e.recipients[0].notify = NOTIFY_SUCCESS;
		world_store_envelope(&w, &e);
		assert_int_equal(w.count, before + 1);
		disk_refuses = true;
		world_answer(&w, before, "250 2.0.0 ok");
		world_run(&w, 100);
		disk_refuses = false;
		assert_int_equal(queue_messages(w.queue), 1);
		world_restart(&w);
		deliverer_ready(&w);
		world_run(&w, 100);
		report = world_text(&w, world_own(&w));
		assert_case(has(report, cases[i].action) && has(report, cases[i].to), i, cases[i].to);
		assert_case(has(report, "dns; mx.far.test") == (i == 0), i, cases[i].to);
		assert_int_equal(w.count, before + 2);          /* the report */
		world_answer(&w, before + 1, "250 2.0.0 ok");
		world_run(&w, 100);
		assert_int_equal(queue_messages(w.queue), 0);
		world_compare(&w);
	}
}

/* Somebody sets the clock back by years, while the queue runs or while it does not: nothing waits for them. */
static void
test_the_clock_is_set_back(void **state)
{
	(void)state;
	for (int down = 0; down < 2; down++) {
		size_t first;

		world_end(&w);
		world_begin(&w, CONF);
		world_store(&w, "ann@local.test", "a@far.test b@other.test");
		world_answer(&w, 0, "451 4.3.0 not now");
		world_unreachable(&w, 1);       /* its destination rests */
		world_run(&w, 100);
		first = w.count;
		w.clock.now -= 1000 * DAY;
		if (down) {
			world_restart(&w);
			deliverer_ready(&w);
		}
		world_run(&w, 2 * SECOND);
		assert_int_equal(w.count, first + 2);
		for (size_t i = 0; i < w.count; i++)
			if (!w.orders[i].answered)
				world_answer(&w, i, "451 4.3.0 not now");
		for (int days = 0; days < 7; days++) {  /* and it expires as it would have */
			world_run(&w, DAY);
			for (size_t i = 0; i < w.count; i++)
				if (!w.orders[i].answered)
					world_answer(&w, i, slice_eq(w.orders[i].order.sender, NONE) ? "250 ok"
					    : "451 4.3.0 not now");
		}
		assert_int_equal(queue_messages(w.queue), 0);
	}
}

/* --- everything at random -------------------------------------------------------------------------- */

static const char *const TEXTS[] = {
	"250 2.0.0 ok", "250 2.0.0 ok", "450 4.2.0 later", "421 4.3.2 closing", "550 5.1.1 no",
};

static void
random_answer(struct rng *rng, size_t order)
{
	struct seen *s = &w.orders[order];
	const char *texts[5];
	struct order_result r;

	for (int i = 0; i < 5; i++)
		texts[i] = TEXTS[rng_below(rng, COUNT(TEXTS))];
	r = result_of(&w, s, texts, 5);
	if (rng_below(rng, 10) == 0)
		r.count--;
	send_result(&w, s, &r, FRAME_RESULT);
}

static void
random_store(struct rng *rng)
{
	static const char *const senders[] = { "", "ann@local.test", "s@sender.test" };
	char to[200] = "";
	unsigned n = 1 + (unsigned)rng_below(rng, 5);

	for (unsigned i = 0; i < n; i++)
		snprintf(to + strlen(to), sizeof to - strlen(to), "r%u@d%u.test ", i, (unsigned)rng_below(rng, 3));
	world_store(&w, senders[rng_below(rng, 3)], to);
}

/* Orders that are not answered yet and whose deliverer lives. */
static size_t
open_order(struct rng *rng)
{
	size_t found = SIZE_MAX, n = 0;

	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered && w.orders[i].link == w.deliverer && rng_below(rng, ++n) == 0)
			found = i;
	return found;
}

static void
replace_deliverer(void)
{
	for (size_t i = 0; i < w.count; i++)
		w.orders[i].answered = true;    /* nobody will answer those */
	if (w.deliverer != NULL)
		deliverer_dies(&w);
	world_run(&w, 10);
	deliverer_comes(&w);
	deliverer_ready(&w);
}

/* The new queue hears of all that is under way. */
static void
replace_queue(void)
{
	struct link *old = w.deliverer;

	world_restart(&w);
	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered && w.orders[i].link == old) {
			struct order_outcome outcomes[5];
			struct order_result r = under_way(&w.orders[i], outcomes);

			send_result(&w, &w.orders[i], &r, FRAME_UNDER_WAY);
			w.orders[i].link = w.deliverer;
		}
	deliverer_ready(&w);
}

static void
random_life(struct rng *rng)
{
	size_t order;

	for (int i = 0; i < 150; i++)
		switch (rng_below(rng, 8)) {
		case 0:
		case 1:
			random_store(rng);
			break;
		case 2:
			if (rng_below(rng, 4) == 0)
				replace_deliverer();
			break;
		case 3:
			if (rng_below(rng, 4) == 0)
				replace_queue();
			break;
		case 4:
			world_run(&w, (int64_t)rng_below(rng, 10 * SECOND));
			break;
		default:
			if ((order = open_order(rng)) != SIZE_MAX)
				random_answer(rng, order);
			world_run(&w, 20);
		}
}

/* No recipient of one message is in two open orders, and none comes after its end. */
static void
test_random_lives(void **state)
{
	struct rng rng;
	size_t order;

	world_end(&w);
	for (uint64_t seed = 1; seed <= 6; seed++) {
		world_begin(&w, HURRY);
		rng = rng_seeded(seed);
		random_life(&rng);
		for (int round = 0; round < 300 && queue_messages(w.queue) > 0; round++) {
			while ((order = open_order(&rng)) != SIZE_MAX)
				random_answer(&rng, order);
			world_run(&w, 50);
			if (open_order(&rng) == SIZE_MAX) {
				world_compare(&w);
				world_run(&w, 20 * SECOND);
			}
		}
		assert_int_equal(queue_messages(w.queue), 0);
		world_compare(&w);
		world_end(&w);
	}
	setup(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_delivered), T(test_places), T(test_stored_once), T(test_a_name_that_is_taken),
		T(test_nothing_ends_before_it_was_asked_again),
		T(test_bad_requests),
		T(test_retry_terms), T(test_retries), T(test_restart_keeps_time), T(test_dead_host),
		T(test_slow_hosts_do_not_stop_others), T(test_host_that_answers_is_not_dead), T(test_host_that_refuses),
		T(test_host_that_goes), T(test_one_of_many_fails),
		T(test_all_fail_in_one_report), T(test_no_report_to_nobody), T(test_lost_report), T(test_notify),
		T(test_delivered_at_home_is_reported), T(test_nobody_there), T(test_expiry),
		T(test_one_warning_across_restarts), T(test_who_is_warned_about),
		T(test_warned_in_several_reports), T(test_warned_about_while_being_tried),
		T(test_warned_about_untried), T(test_late_behind_a_dead_host),
		T(test_deliverer_dies), T(test_deliverers_die_of_it), T(test_held_at_its_end),
		T(test_strange_results), T(test_partial_result), T(test_adoption),
		T(test_adoption_of_parts), T(test_adoption_of_nothing), T(test_end_before_the_report),
		T(test_held_under_way),
		T(test_large_message), T(test_report_about_what_cannot_be_read),
		T(test_order_of_a_file_has_its_checksum), T(test_damaged_content_is_not_tried_again),
		T(test_what_cannot_be_read_ends), T(test_what_the_disk_refuses_waits),
		T(test_what_the_disk_refuses_at_the_start_is_planned_later),
		T(test_a_body_that_cannot_be_hashed_waits),
		T(test_a_report_waits_for_the_recipients), T(test_rules_hold),
		T(test_an_expansion_rots), T(test_an_expansion_that_the_disk_refuses_waits),
		T(test_adoption_of_what_cannot_be_read), T(test_numbers_are_not_given_again),
		T(test_the_clock_is_set_back), T(test_delivered_before_the_report),
		T(test_no_file_for_large_mail), T(test_a_crowd_expires),
		T(test_long_names_in_several_reports), T(test_random_lives),
	};

	return cmocka_run_group_tests_name("settle", tests, NULL, NULL);
}
