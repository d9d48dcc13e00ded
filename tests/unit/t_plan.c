/* SPDX-License-Identifier: ISC */
/* Who gets what (queue/plan, lists): routes, aliases, lists, from the orders that come of them. */
#include "mail/header.h"
#include "queue_world.h"

static struct world w;

static int writes_left = -1;            /* so many the disk takes; -1: all */

/* In place of that of the C library: a disk that refuses after some writes, for a while. */
ssize_t
pwritev(int fd, const struct iovec *pieces, int n, off_t at)
{
	if (writes_left != 0) {
		writes_left -= writes_left > 0;
		return pwritev2(fd, pieces, n, at, 0);
	}
	errno = EIO;
	return -1;
}

static const char CONF[] =
    "domain local.test { deliver to maildir /m/%u; users ann, ben;\n"
    "  alias postmaster -> ann; alias team -> ann, ben, x@far.test; alias fwd -> x@far.test;\n"
    "  alias two -> y@far.test, y@other.test;\n"
    "  alias deep -> team, x@far.test, y@far.test; alias self -> self, y@far.test; alias toall -> staff;\n"
    "  list staff -> ann, m@far.test, n@far.test; list other -> ben;\n"
    "  list all -> other, m@far.test; list solo { members ann; skip sender }; list empty { members from file /c/empty } }\n"
    "domain lmtp.test { deliver to lmtp 127.0.0.1:8024 }\n"
    "domain drop.test { deliver to discard }\n"
    "domain all.test { deliver to maildir /m/%d/%u; catch-all root }\n"
    "delivery { retry after 5s, 10s; expire after 1m; expire reports after 30s; warn sender never\n"
    "  to .hub.test { via 192.0.2.5:26 } }\n";

static int
setup(void **state)
{
	(void)state;
	w.files = (struct files){ 0 };
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

/* --- orders as text --------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "maildir /m/ann: ann@local.test" */
static char *
order_line(const struct order *o)
{
	static const char *const kinds[] = { "smtp", "lmtp", "host", "maildir" };
	struct buf b = BUF(10000);
	char *line;

	buf_printf(&b, "%s %.*s:", kinds[o->kind], FMT(o->kind == ORDER_SMTP ? o->domain : o->place));
	for (uint32_t i = 0; i < o->count; i++)
		buf_printf(&b, " %.*s", FMT(o->recipients[i].address));
	line = arena_copy(w.arena, buf_slice(&b)).p == NULL ? NULL
	    : (char *)(uintptr_t)arena_printf(w.arena, "%.*s", FMT(buf_slice(&b))).p;
	buf_free(&b);
	return line;
}

/* The orders from that one on, in the order of the alphabet, "; " between them. */
static struct slice
orders_text(size_t from)
{
	char *lines[100];
	struct buf b = BUF(100000);
	struct slice text;
	size_t n = 0;

	for (size_t i = from; i < w.count && n < COUNT(lines); i++)
		lines[n++] = order_line(&w.orders[i].order);
	qsort(lines, n, sizeof *lines, compare);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i > 0 ? "; " : "", lines[i]);
	text = arena_copy(w.arena, buf_slice(&b));
	buf_free(&b);
	return text;
}

static void
answer_all(const char *text)
{
	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered)
			world_answer(&w, i, text);
	world_run(&w, 100);
}

/* --- recipients ---------------------------------------------------------------------------- */

static void
test_places(void **state)
{
	static const struct { const char *to, *orders; } cases[] = {
		{ "ann@local.test", "maildir /m/ann: ann@local.test" },
		{ "Ann+tag@LOCAL.test", "maildir /m/ann: Ann+tag@LOCAL.test" },
		{ "postmaster", "maildir /m/ann: ann@local.test" },
		{ "a@lmtp.test b@lmtp.test", "lmtp 127.0.0.1:8024: a@lmtp.test b@lmtp.test" },
		{ "a@drop.test", "" },
		{ "anybody@all.test", "maildir /m/all.test/root: root@all.test" },
		{ "a@far.test b@other.test c@FAR.test", "smtp far.test: a@far.test c@FAR.test; smtp other.test: b@other.test" },
		{ "fwd@local.test", "smtp far.test: x@far.test" },
		{ "team@local.test", "maildir /m/ann: ann@local.test; maildir /m/ben: ben@local.test; "
		    "smtp far.test: x@far.test" },
		{ "deep@local.test", "maildir /m/ann: ann@local.test; maildir /m/ben: ben@local.test; "
		    "smtp far.test: x@far.test y@far.test" },
		{ "self@local.test", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t before = w.count;

		world_store(&w, "", cases[i].to);
		world_run(&w, 100);
		if (i != 10)                    /* what self means is the business of conf/route */
			assert_slice(orders_text(before), cases[i].orders);
		answer_all("250 ok");
		assert_case(queue_messages(w.queue) == 0, i, cases[i].to);
		world_compare(&w);
	}
}

/* One hop for several domains: one order for all of them. */
static void
test_one_hop_for_many_domains(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "a@one.hub.test b@two.hub.test c@far.test");
	assert_int_equal(w.count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(w.orders[i].order.count, slice_eq(w.orders[i].order.domain, S("far.test")) ? 1 : 2);
}

/* What an alias made is written down: a new queue goes on with the same recipients. */
static void
test_expansion_is_kept(void **state)
{
	struct slice before;

	(void)state;
	world_store(&w, "s@sender.test", "team@local.test");
	before = orders_text(0);
	world_run(&w, 50);
	for (size_t i = 0; i < w.count; i++)
		if (w.orders[i].order.kind == ORDER_SMTP)
			world_answer(&w, i, "250 ok");
	world_run(&w, 50);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 50);
	assert_int_equal(w.count, 5);           /* the two that were not delivered, again */
	assert_slice(orders_text(3), "maildir /m/ann: ann@local.test; maildir /m/ben: ben@local.test");
	assert_slice(before, "maildir /m/ann: ann@local.test; maildir /m/ben: ben@local.test; "
	    "smtp far.test: x@far.test");
	for (size_t i = 3; i < 5; i++)
		world_answer(&w, i, "250 ok");
	world_run(&w, 100);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* A13.8: a single target inherits what the sender wanted, several do not report success. */
static void
test_wishes_behind_aliases(void **state)
{
	static const struct { const char *to; unsigned notify, passed; bool orcpt; } cases[] = {
		{ "fwd@local.test", NOTIFY_SUCCESS | NOTIFY_FAILURE, NOTIFY_SUCCESS | NOTIFY_FAILURE, true },
		{ "team@local.test", NOTIFY_SUCCESS | NOTIFY_FAILURE, NOTIFY_FAILURE, true },
		{ "team@local.test", NOTIFY_SUCCESS, NOTIFY_NEVER, true },
		{ "team@local.test", NOTIFY_NEVER, NOTIFY_NEVER, true },
		{ "team@local.test", 0, 0, true },
		{ "staff@local.test", NOTIFY_SUCCESS | NOTIFY_FAILURE, 0, false },
		{ "toall@local.test", NOTIFY_NEVER, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct envelope e = world_envelope(&w, "s@sender.test", cases[i].to);
		size_t before = w.count;

		e.recipients[0].notify = cases[i].notify;
		e.recipients[0].orcpt = S("rfc822;first@x.test");
		world_store_envelope(&w, &e);
		world_run(&w, 50);
		for (size_t j = before; j < w.count; j++) {
			const struct order_recipient *r = w.orders[j].order.recipients;

			if (w.orders[j].order.sender.n == 0)    /* a report */
				continue;
			assert_case(r->notify == cases[i].passed, i, "notify");
			assert_case((r->orcpt.n > 0) == cases[i].orcpt, i, "orcpt");
		}
		answer_all("250 ok");
		answer_all("250 ok");           /* and reports, where they were asked for */
	}
}

/* The report that lies in ben's mailbox as the newest order, or nothing. */
static struct slice
report_to_ben(void)
{
	for (size_t i = w.count; i-- > 0; )
		if (slice_eq(w.orders[i].order.place, S("/m/ben")) && w.orders[i].order.sender.n == 0)
			return w.orders[i].order.body;
	return NONE;
}

/* RFC 3461 5.2.7: who asked for it hears of the address he wrote to, once and of no other. */
static void
test_success_behind_aliases(void **state)
{
	static const struct { const char *to; unsigned notify; const char *said; } cases[] = {
		{ "fwd@local.test", NOTIFY_SUCCESS, "rfc822; x@far.test\r\nAction: relayed\r\n" },
		{ "two@local.test", NOTIFY_SUCCESS, "rfc822; two@local.test\r\nAction: expanded\r\nStatus: 2.0.0\r\n" },
		{ "two@local.test", NOTIFY_SUCCESS | NOTIFY_DELAY, "rfc822; two@local.test\r\nAction: expanded\r\n" },
		{ "two@local.test", NOTIFY_FAILURE, NULL },
		{ "two@local.test", 0, NULL },
		{ "staff@local.test", NOTIFY_SUCCESS, "rfc822; staff@local.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n" },
		{ "toall@local.test", NOTIFY_SUCCESS, "rfc822; staff@local.test\r\nAction: delivered\r\n" },
		{ "staff@local.test", NOTIFY_NEVER, NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice report;
		struct envelope e;

		teardown(NULL);
		setup(NULL);
		e = world_envelope(&w, "ben@local.test", cases[i].to);
		e.recipients[0].notify = cases[i].notify;
		world_store_envelope(&w, &e);
		for (int round = 0; round < 3; round++)
			answer_all("250 ok");
		report = report_to_ben();
		if (cases[i].said == NULL)
			assert_case(report.n == 0, i, cases[i].to);
		else
			assert_case(memmem(report.p, report.n, cases[i].said, strlen(cases[i].said)) != NULL &&
			    memmem(report.p, report.n, "rfc822; y@", 10) == NULL, i, cases[i].to);
		assert_int_equal(queue_messages(w.queue), 0);
		world_compare(&w);
	}
}

static void
answer_reports(const char *others)
{
	for (size_t i = 0; i < w.count; i++)
		if (!w.orders[i].answered)
			world_answer(&w, i, w.orders[i].order.sender.n == 0 ? "250 ok" : others);
	world_run(&w, 100);
}

/* What the sender was told of an alias he is not told again, and what is owed is told. */
static void
test_expanded_across_restarts(void **state)
{
	struct recipient_state owes = { .stage = RECIPIENT_EXPANDED, .last = STATUS(0, 2, 0, 0, "passed on") };
	struct envelope e = world_envelope(&w, "ben@local.test", "two@local.test ann@local.test");

	(void)state;
	e.recipients[0].notify = NOTIFY_SUCCESS;
	world_store_envelope(&w, &e);
	assert_true(report_to_ben().n > 0);
	answer_reports("450 4.2.0 later");
	world_restart(&w);
	deliverer_ready(&w);
	w.count = 0;
	world_run(&w, 100);
	assert_int_equal(report_to_ben().n, 0);
	assert_int_equal(schedule_find(&w.queue->schedule, e.id)->open, 3);
	spool_state(w.queue->spool, e.id, &owes, NULL, NULL);   /* as if the end had come before the report */
	world_run(&w, 100);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_true(report_to_ben().n > 0);
}

/* An alias target fails: the sender hears of the address he wrote to, and of the other one. */
static void
test_failure_behind_alias(void **state)
{
	struct slice report;

	(void)state;
	world_store(&w, "ben@local.test", "fwd@local.test");
	answer_all("550 5.1.1 no");
	report = world_text(&w, world_own(&w));
	assert_non_null(memmem(report.p, report.n, "rfc822; x@far.test\r\n", 20));
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* Two aliases that are together more than a message can be: one of them fails, and its sender knows. */
static void
test_more_than_a_message_can_have(void **state)
{
	enum { N = 60000 };
	struct buf conf = BUF(8 << 20);
	struct slice report;
	uint64_t id;

	teardown(state);
	buf_add(&conf, S("domain local.test { deliver to maildir /m/%u; users ann, ben;\n"));
	for (int k = 0; k < 2; k++) {
		buf_printf(&conf, "alias all%d -> ", k);
		for (int i = 0; i < N; i++)
			buf_printf(&conf, "%su%d@d%d.test", i > 0 ? ", " : "", i, k);
		buf_add(&conf, S(";\n"));
	}
	buf_add(&conf, slice_of("}\n", 3));
	w.files = (struct files){ 0 };
	world_begin(&w, conf.p);
	buf_free(&conf);
	id = world_store(&w, "ben@local.test", "all0@local.test all1@local.test x@far.test");
	world_run(&w, 100);
	report = world_text(&w, world_own(&w));
	assert_non_null(memmem(report.p, report.n, "Final-Recipient: rfc822; all1@local.test\r\nAction: failed\r\n"
	    "Status: 5.5.3\r\n", 73));
	assert_int_equal(schedule_find(&w.queue->schedule, id)->total, N + 3);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_int_equal(schedule_find(&w.queue->schedule, id)->open, N + 1);
	assert_false(world_said(&w, "alarm"));
}

/* --- lists ------------------------------------------------------------------------------------- */

static void
test_list(void **state)
{
	struct slice text;
	struct header h;
	uint64_t id, post;

	(void)state;
	id = world_store(&w, "s@sender.test", "staff@local.test");
	world_run(&w, 50);
	assert_slice(orders_text(0), "maildir /m/ann: ann@local.test; smtp far.test: m@far.test; smtp far.test: n@far.test");
	assert_null(schedule_find(&w.queue->schedule, id));
	post = world_own(&w);
	assert_true(schedule_find(&w.queue->schedule, post)->bulk);
	for (size_t i = 0; i < w.count; i++)    /* each member of another house has his own sender */
		for (size_t j = 0; j < i; j++)
			assert_false(slice_eq(w.orders[i].order.sender, w.orders[j].order.sender));
	text = world_text(&w, post);
	assert_true(header_parse(&h, arena_copy(w.arena, slice_head(text, header_length(text))), w.arena, NULL));
	assert_slice(slice_trim(header_find(&h, "List-Id")->value), "<staff.local.test>");
	assert_int_equal(header_count(&h, "Subject"), 1);
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/*
 * The queue died when the post was on the disk, and the end of the list's own recipient
 * was not: no member gets it twice.  Another list of the same message is posted to.
 */
static void
test_list_is_posted_to_once(void **state)
{
	struct envelope parent = world_envelope(&w, "s@sender.test", "staff@local.test other@local.test");
	struct envelope post = world_envelope(&w, "staff-bounces@local.test", "m@far.test");
	struct recipient_state s = { .recipient = 0, .stage = RECIPIENT_WAITING };

	(void)state;
	parent.hold = true;                     /* not yet: the rest is what a crash leaves */
	world_store_envelope(&w, &parent);
	post.parent = parent.id;
	post.parent_recipient = 0;
	world_store_envelope(&w, &post);
	assert_int_equal(w.count, 1);
	for (s.recipient = 0; s.recipient < 2; s.recipient++)
		spool_state(w.queue->spool, parent.id, &s, NULL, NULL);
	world_restart(&w);
	w.count = 0;
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_slice(orders_text(0), "maildir /m/ben: ben@local.test; smtp far.test: m@far.test");
	assert_null(schedule_find(&w.queue->schedule, parent.id));
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/*
 * The post is on the disk, which then refuses the end of the list's own recipient and takes
 * the ends of all members: no queue behind that posts it again.
 */
static void
test_list_is_posted_to_once_by_a_refusing_disk(void **state)
{
	(void)state;
	writes_left = 2;                        /* the message, and its post */
	world_store(&w, "s@sender.test", "staff@local.test");
	world_run(&w, 100);
	assert_int_equal(writes_left, 0);
	assert_int_equal(w.count, 3);
	writes_left = -1;
	answer_all("250 ok");
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_int_equal(w.count, 3);
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/*
 * Who gets it by one alias gets it once, also when the other one has its turn later; and
 * whom a released address stands for is not held by the rule that held that.
 */
static void
test_aliases_one_after_another(void **state)
{
	static const char rules[] =
	    "domain local.test { deliver to maildir /m/%u; users ann, ben, cas;\n"
	    "  alias team -> ann, ben, x@far.test; alias deep -> team, x@far.test, cas@local.test }\n"
	    "delivery { hold to deep@local.test; hold from s@sender.test }\n";
	struct recipient_state release = { .stage = RECIPIENT_WAITING };
	uint64_t id;

	(void)state;
	teardown(NULL);
	w.files = (struct files){ 0 };
	world_begin(&w, rules);
	id = world_store(&w, "s@sender.test", "team@local.test deep@local.test");
	spool_state(w.queue->spool, id, &release, NULL, NULL);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_slice(orders_text(0), "maildir /m/ann: ann@local.test; maildir /m/ben: ben@local.test; "
	    "smtp far.test: x@far.test");
	answer_all("250 ok");
	release.recipient = 1;
	spool_state(w.queue->spool, id, &release, NULL, NULL);
	world_restart(&w);
	deliverer_ready(&w);
	world_run(&w, 100);
	assert_slice(orders_text(3), "maildir /m/cas: cas@local.test");
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* To a list, and to an alias of it: one post. */
static void
test_list_and_its_alias(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "toall@local.test staff@local.test");
	world_run(&w, 100);
	assert_int_equal(w.count, 3);
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* A post with one more field, which has everything to do with what becomes of it. */
static void
post_with(const char *field, const char *to)
{
	struct envelope e = world_envelope(&w, "s@sender.test", to);
	struct buf text = BUF(1000);

	buf_printf(&text, "%s\r\nFrom: a@b.test\r\n", field);
	e.header_size = text.n;
	buf_add(&text, S("\r\nbody\r\n"));
	e.size = text.n;
	send_store(&w, &e, 0, buf_slice(&text));
	buf_free(&text);
	world_run(&w, 100);
	assert_int_equal(w.stored.reply, 250);
}

/* A post that comes back to its list goes no further (RFC 2919 8), also by way of another list. */
static void
test_list_loop(void **state)
{
	static const char *const fields[] = { "List-Id: <staff.local.test>",
	    "List-Id: <x.far.test>\r\nX-BeenThere: staff@local.test\r\nX-BeenThere: x@far.test" };

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		buf_clear(&w.said);
		post_with(fields[i], "staff@local.test");
		assert_int_equal(w.count, 0);
		assert_int_equal(queue_messages(w.queue), 0);
		assert_true(world_said(&w, "list-loop"));
		world_compare(&w);
	}
}

/* A list in a list: its post tells both. */
static void
test_umbrella(void **state)
{
	struct slice text;

	(void)state;
	world_store(&w, "s@sender.test", "all@local.test");
	world_run(&w, 100);
	assert_slice(orders_text(0), "maildir /m/ben: ben@local.test; smtp far.test: m@far.test");
	text = world_text(&w, world_own(&w));
	assert_non_null(memmem(text.p, text.n, "X-BeenThere: all@local.test\r\n", 29));
	assert_non_null(memmem(text.p, text.n, "X-BeenThere: other@local.test\r\n", 31));
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* RFC 3834: each member's vacation would get one and have one to answer.  Its sender hears of it. */
static void
test_list_takes_no_answers(void **state)
{
	(void)state;
	post_with("Auto-Submitted: auto-replied", "staff@local.test");
	assert_slice(orders_text(0), "smtp sender.test: s@sender.test");
	assert_true(world_said(&w, "bounced") && world_said(&w, "dsn=5.7.2"));
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

static void
test_list_behind_alias(void **state)
{
	(void)state;
	world_store(&w, "s@sender.test", "toall@local.test");
	world_run(&w, 50);
	assert_slice(orders_text(0), "maildir /m/ann: ann@local.test; smtp far.test: m@far.test; smtp far.test: n@far.test");
	answer_all("250 ok");
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
}

/* Whoever wrote it is the only member and wants no copy: nobody is left, and the log says so. */
static void
test_list_of_its_author(void **state)
{
	(void)state;
	world_store(&w, "ann@local.test", "solo@local.test");
	world_run(&w, 100);
	assert_int_equal(w.count, 0);
	assert_int_equal(queue_messages(w.queue), 0);
	assert_true(world_said(&w, "no-member"));
	world_compare(&w);
}

/* A list without a member, perhaps for a moment: a post waits, and in the end its sender is told. */
static void
test_list_of_nobody(void **state)
{
	(void)state;
	world_store(&w, "ann@far.test", "empty@local.test");
	world_run(&w, 100);
	assert_int_equal(w.count, 0);
	assert_int_equal(queue_messages(w.queue), 1);
	assert_true(world_said(&w, "alarm") && world_said(&w, "empty@local.test has no members now"));
	assert_false(world_said(&w, "no-member"));
	world_compare(&w);
	world_run(&w, 120000);
	assert_slice(orders_text(0), "smtp far.test: ann@far.test");
}

/* Many members of one place: a hundred in an order, each of them once. */
static void
test_many_recipients(void **state)
{
	struct buf many = BUF(100000);
	size_t n = 0;
	bool seen[1050] = { false };

	(void)state;
	for (unsigned i = 0; i < COUNT(seen); i++)
		buf_printf(&many, "r%u@far.test ", i);
	buf_byte(&many, '\0');
	world_store(&w, "s@sender.test", many.p);
	for (int round = 0; round < 10; round++)
		answer_all("250 ok");
	for (size_t i = 0; i < w.count; i++)
		for (uint32_t j = 0; j < w.orders[i].order.count; j++, n++) {
			uint32_t index = w.orders[i].order.recipients[j].index;

			assert_true(w.orders[i].order.count <= 100);
			assert_true(index < COUNT(seen) && !seen[index]);
			seen[index] = true;
		}
	assert_int_equal(n, COUNT(seen));
	assert_int_equal(queue_messages(w.queue), 0);
	world_compare(&w);
	buf_free(&many);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_places), T(test_one_hop_for_many_domains), T(test_expansion_is_kept),
		T(test_wishes_behind_aliases), T(test_success_behind_aliases),
		T(test_expanded_across_restarts), T(test_failure_behind_alias), T(test_list),
		T(test_list_is_posted_to_once), T(test_list_loop),
		T(test_list_is_posted_to_once_by_a_refusing_disk), T(test_aliases_one_after_another),
		T(test_list_and_its_alias),
		T(test_umbrella), T(test_list_takes_no_answers),
		T(test_more_than_a_message_can_have), T(test_list_behind_alias), T(test_list_of_nobody),
		T(test_list_of_its_author), T(test_many_recipients),
	};

	return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
