/* SPDX-License-Identifier: ISC */
/* What is tried next (queue/schedule): time, turns, rest, wishes; and against a naive model. */
#include "base/clock.h"
#include "base/rng.h"
#include "queue/schedule.h"
#include "unit.h"

static struct schedule schedule;
static int64_t now;

static int
setup(void **state)
{
	(void)state;
	schedule_begin(&schedule);
	now = 1000;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	schedule_end(&schedule);
	return 0;
}

static const struct destination_terms MANY = { .most = 20 };

static struct task *
add(uint64_t id, const char *destination, uint32_t recipient, int64_t due)
{
	struct message *m = schedule_message(&schedule, id, now);

	m->open++;
	return schedule_add(&schedule, m, slice(destination), &MANY, &recipient, 1, due, 0);
}

static struct task *
next(void)
{
	return schedule_next(&schedule, now);
}

/* The identifier of the message whose turn it is; 0: nobody's. */
static uint64_t
next_id(void)
{
	struct task *t = next();

	return t != NULL ? t->message->id : 0;
}

static bool
knows(const char *destination)
{
	return map_get(&schedule.destinations, slice(destination)) != NULL;
}

/* --- time ---------------------------------------------------------------------- */

static void
test_order_of_time(void **state)
{
	static const int64_t due[] = { 5000, 0, 3000, 3000, 1001 };
	static const struct { int64_t now; uint64_t id; int64_t wake; } cases[] = {
		{ 1000, 2, 1001 }, { 1000, 0, 1001 }, { 1001, 5, 3000 }, { 2999, 0, 3000 },
		{ 3000, 3, 3000 }, { 3000, 4, 5000 }, { 9000, 1, INT64_MAX }, { 9000, 0, INT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(due); i++)
		add(i + 1, "mx a.test", 0, due[i]);
	for (size_t i = 0; i < COUNT(cases); i++) {
		now = cases[i].now;
		assert_int_equal(next_id(), cases[i].id);
		assert_case(schedule_wake(&schedule, now) == cases[i].wake, i, "wake");
	}
}

/* A thousand that are due together are not put in line by one call, and still all have their turn. */
static void
test_many_due_at_once(void **state)
{
	enum { ALL = 1000 };
	size_t done = 0, calls = 0;

	(void)state;
	for (uint64_t id = 1; id <= ALL; id++)
		task_wait(&schedule, add(id, "mx a.test", 0, 0), 5000);
	now = 5000;
	do {
		struct task *t = next();

		calls++;
		if (calls == 1)
			assert_true(schedule.waiting.n > ALL / 2);
		if (t != NULL) {
			task_remove(&schedule, t);
			done++;
		}
	} while (schedule_wake(&schedule, now) <= now);
	assert_int_equal(done, ALL);
	assert_true(calls <= ALL + 1);
}

/* A message to very many places: each is found again, whatever went before. */
static void
test_many_destinations_of_one_message(void **state)
{
	enum { PLACES = 1000 };
	struct task *at[PLACES], *alone;
	struct message *m = schedule_message(&schedule, 1, now);
	char name[32];

	(void)state;
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < PLACES; i++) {
			struct task *t;

			snprintf(name, sizeof name, "mx d%u.test", i);
			alone = schedule_add_alone(&schedule, m, slice(name), &MANY, &i, 1, 500, 0);
			t = add(1, name, round * PLACES + i, 500);
			assert_ptr_not_equal(t, alone);
			assert_true(t->count == round + 1 && (round == 0 || t == at[i]));
			assert_ptr_not_equal(add(1, name, 7, 501 + round), t);  /* another time, another task */
			at[i] = t;
		}
	}
	for (uint32_t i = 0; i < PLACES; i += 2)
		task_remove(&schedule, at[i]);
	for (uint32_t i = 0; i < PLACES; i++) {
		snprintf(name, sizeof name, "mx d%u.test", i);
		assert_int_equal(add(1, name, i, 500)->count, i % 2 == 0 ? 1 : 4);
	}
	schedule_forget(&schedule, m);
	assert_int_equal(schedule.tasks, 0);
	assert_int_equal(schedule.destinations.n, 0);
}

/* Who goes to one place at one time goes together; others do not. */
static void
test_tasks_are_joined(void **state)
{
	struct task *one = add(1, "mx a.test", 0, 500);

	(void)state;
	assert_ptr_equal(add(1, "mx A.test", 1, 500), one);
	assert_ptr_not_equal(add(1, "mx a.test", 2, 501), one);
	assert_ptr_not_equal(add(1, "mx b.test", 3, 500), one);
	assert_ptr_not_equal(add(2, "mx a.test", 0, 500), one);
	assert_int_equal(one->count, 2);
	assert_int_equal(task_recipients(one)[1], 1);
	task_keep(one, &(uint32_t){ 1 }, 1);
	assert_int_equal(one->count, 1);
	assert_int_equal(*task_recipients(one), 1);
	assert_int_equal(schedule.tasks, 4);
	schedule_forget(&schedule, schedule_find(&schedule, 1));
	assert_int_equal(schedule.tasks, 1);
	assert_false(knows("mx b.test"));
}

static void
test_nothing_when_stopped(void **state)
{
	(void)state;
	add(1, "mx a.test", 0, 0);
	add(2, "mx a.test", 0, 2000);
	schedule.stopped = true;
	assert_null(next());
	assert_int_equal(schedule_wake(&schedule, now), 2000);
	schedule.stopped = false;
	assert_int_equal(next_id(), 1);
}

/* --- turns ---------------------------------------------------------------------- */

/* Ten thousand recipients of one post do not stand before single messages. */
static void
test_post_and_single_messages(void **state)
{
	char name[32];
	unsigned seen = 0, turns = 0;

	(void)state;
	schedule_message(&schedule, 1, now)->bulk = true;
	for (uint32_t i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "mx d%u.test", i % 100);
		add(1, name, i, 0);
	}
	assert_non_null(next());                /* the post is in line everywhere */
	for (uint32_t i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "mx d%u.test", 10 * i);
		add(2 + i, name, 0, 0);
	}
	add(50, "mx other.test", 0, 0);
	for (struct task *t; seen < 11 && (t = next()) != NULL; turns++)
		seen += t->message->id > 1;
	assert_int_equal(seen, 11);
	assert_true(turns <= 110);              /* one round of all destinations */
}

static void
test_people_before_bulk(void **state)
{
	static const bool bulk[] = { true, false, true, false };
	static const uint64_t order[] = { 2, 4, 1, 3 };

	(void)state;
	for (size_t i = 0; i < COUNT(bulk); i++) {
		schedule_message(&schedule, i + 1, now)->bulk = bulk[i];
		add(i + 1, "mx a.test", 0, 0);
	}
	for (size_t i = 0; i < COUNT(order); i++)
		assert_int_equal(next_id(), order[i]);
}

/* Bulk that waits has every fifth turn, however much of people's mail there is. */
static void
test_bulk_is_not_starved(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= 40; id++) {
		schedule_message(&schedule, id, now)->bulk = id > 20;
		add(id, "mx a.test", 0, 0);
	}
	for (int turn = 1; turn <= 20; turn++) {
		struct task *t = next();

		assert_int_equal(t->message->bulk, turn % 5 == 0);
		schedule_forget(&schedule, t->message);
	}
}

/* One sender's many do not stand before another's one, nor do those of very many senders. */
static void
test_senders_take_turns(void **state)
{
	static const struct { uint32_t sender; unsigned messages; } senders[] = {
		{ 7, 80 }, { 8, 2 }, { 9, 1 },
	};
	static const uint32_t order[] = { 7, 8, 9, 7, 8, 7, 7, 7 };
	uint64_t id = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++)
		for (unsigned j = 0; j < senders[i].messages; j++) {
			schedule_message(&schedule, ++id, now)->sender = senders[i].sender;
			add(id, "mx a.test", 0, 0);
		}
	for (size_t i = 0; i < COUNT(order); i++) {
		struct task *t = next();

		assert_case(t->message->sender == order[i], i, "sender");
		schedule_forget(&schedule, t->message);
	}
}

/* However many they are: no more lanes than there may be, everybody has his turn, nothing stays. */
static void
test_more_senders_than_lanes(void **state)
{
	enum { SENDERS = 3 * LANES_MOST };
	struct destination *d;
	unsigned turns = 0;

	(void)state;
	for (uint32_t i = 0; i < SENDERS; i++) {
		schedule_message(&schedule, i + 1, now)->sender = i;
		add(i + 1, "mx a.test", 0, 0);
	}
	d = schedule_find(&schedule, 1)->tasks->destination;
	for (struct task *t; (t = next()) != NULL; turns++) {
		assert_true(d->line[0].lanes <= LANES_MOST);
		if (schedule.messages.n == 1)
			assert_null(d->line[0].first);
		schedule_forget(&schedule, t->message);
	}
	assert_int_equal(turns, SENDERS);
}

/* A destination with a long line takes one place in the round. */
static void
test_round(void **state)
{
	static const uint64_t order[] = { 1, 11, 21, 2, 12, 3 };

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		add(i, "mx a.test", 0, 0);
	add(11, "mx b.test", 0, 0);
	add(12, "mx b.test", 0, 0);
	add(21, "mx c.test", 0, 0);
	for (size_t i = 0; i < COUNT(order); i++)
		assert_int_equal(next_id(), order[i]);
}

static void
test_dead_destination_delays_nobody(void **state)
{
	unsigned dead = 0, alive = 0;

	(void)state;
	for (uint64_t i = 1; i <= 100; i++)
		add(i, i % 2 ? "mx dead.test" : "mx alive.test", 0, 0);
	for (struct task *t; (t = next()) != NULL; ) {
		if (t->message->id % 2) {
			dead++;                 /* hangs */
		} else {
			alive++;
			destination_reached(&schedule, t->destination);
			task_remove(&schedule, t);
		}
	}
	assert_int_equal(alive, 50);
	assert_int_equal(dead, 5);
	assert_int_equal(schedule_wake(&schedule, now), INT64_MAX);
}

/* --- how many at once ------------------------------------------------------------ */

static void
test_concurrency(void **state)
{
	struct destination *d;
	struct task *t = NULL, *first;
	unsigned n;

	(void)state;
	for (uint64_t i = 1; i <= 100; i++)
		add(i, "mx a.test", 0, 0);
	d = (first = next())->destination;
	for (n = 1; next() != NULL; n++)
		continue;
	assert_int_equal(n, 5);
	destination_reached(&schedule, d);      /* one more, though nobody has finished */
	assert_non_null(next());
	assert_null(next());
	for (unsigned i = 0; i < 50; i++)
		destination_reached(&schedule, d);
	assert_int_equal(d->limit, 20);
	while (next() != NULL)
		continue;
	assert_int_equal(d->active, 20);
	destination_unreachable(&schedule, d, now + 1);
	assert_int_equal(d->limit, 10);
	for (unsigned i = 0; i < 9; i++)
		destination_unreachable(&schedule, d, now + 1);
	assert_int_equal(d->limit, 1);
	now += 1;
	assert_null(next());                    /* 20 are under way still */
	for (struct message *m; d->active > 0; )
		for (uint64_t i = 1; i <= 100; i++)
			if ((m = schedule_find(&schedule, i)) != NULL && m->tasks->stage == TASK_ACTIVE)
				schedule_forget(&schedule, m);
	assert_non_null(t = next());
	assert_null(next());
	assert_ptr_not_equal(t, first);
}

/*
 * "421 too many connections": fewer at once, until there is nobody but the one who hears it;
 * then it rests.  Somebody who is let in ends the rest.
 */
static void
test_refusals_shrink(void **state)
{
	static const struct { unsigned limit, active; bool rests; } cases[] = {
		{ 2, 4, false }, { 1, 3, false }, { 1, 2, false }, { 1, 1, false }, { 1, 0, true },
	};
	struct destination *d = NULL;
	struct task *t, *active[5];

	(void)state;
	for (uint64_t i = 1; i <= 20; i++)
		add(i, "mx a.test", 0, 0);
	for (size_t i = 0; i < COUNT(active); i++)
		d = (active[i] = next())->destination;
	assert_null(next());
	for (size_t i = 0; i < COUNT(cases); i++) {
		destination_refused(&schedule, d, 6000);
		task_wait(&schedule, active[i], 6000);
		assert_case(d->limit == cases[i].limit && d->active == cases[i].active, i, "limit");
		assert_case((d->rests_until == 6000) == cases[i].rests, i, "rest");
		assert_null(next());
	}
	now = 6000;
	t = next();
	assert_non_null(t);
	assert_null(next());
	destination_refused(&schedule, d, 0);   /* said in the middle of one message: no rest */
	task_wait(&schedule, t, 9000);
	assert_non_null(next());
	destination_reached(&schedule, d);
	assert_int_equal(d->limit, 2);
}

static void
test_one_at_a_time_when_terms_say_so(void **state)
{
	static const struct destination_terms one = { .most = 1 };
	struct message *m = schedule_message(&schedule, 1, now);
	uint32_t r = 0;
	struct task *t;

	(void)state;
	t = schedule_add(&schedule, m, S("mx a.test"), &one, &r, 1, 0, 0);
	schedule_add(&schedule, m, S("mx a.test"), &one, &r, 1, 1, 0);
	assert_ptr_equal(next(), t);
	assert_null(next());
	task_remove(&schedule, t);
	assert_non_null(next());
}

/* Two attempts in a second: the third waits for its moment, others do not wait with it. */
static void
test_rate(void **state)
{
	static const struct destination_terms slow = { .most = 20, .rate_count = 2, .rate_per = 1000 };
	static const struct { int64_t now; uint64_t id; int64_t wake; } cases[] = {
		{ 1000, 1, 1000 }, { 1000, 9, 1000 }, { 1499, 0, 1500 }, { 1500, 2, 1500 }, { 1500, 0, 2000 },
		{ 9000, 3, 9000 }, { 9001, 0, 9500 }, { 9500, 4, INT64_MAX },
	};
	uint32_t r = 0;

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		schedule_add(&schedule, schedule_message(&schedule, i, now), S("mx slow.test"), &slow, &r, 1, 0, 0);
	add(9, "mx a.test", 0, 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		now = cases[i].now;
		assert_int_equal(next_id(), cases[i].id);
		assert_case(schedule_wake(&schedule, now) == cases[i].wake, i, "wake");
	}
}

/*
 * The rate holds between messages that never wait together: what is allowed when is known
 * until it is allowed, and no longer.
 */
static void
test_rate_of_single_messages(void **state)
{
	static const struct destination_terms slow = { .most = 20, .rate_count = 2, .rate_per = 1000 };
	static const struct { int64_t now; bool adds; uint64_t id; bool known; } cases[] = {
		{ 1000, true, 1, true }, { 1001, true, 0, true }, { 1499, false, 0, true },
		{ 1500, false, 2, true }, { 1999, false, 0, true }, { 2000, false, 0, false },
		{ 2001, true, 7, true }, { 9000, false, 0, false },
	};
	uint32_t r = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t id = i + 1;
		struct task *t;

		now = cases[i].now;
		if (cases[i].adds)
			schedule_add(&schedule, schedule_message(&schedule, id, now), S("mx slow.test"), &slow,
			    &r, 1, 0, 0);
		t = next();
		assert_int_equal(t != NULL ? t->message->id : 0, cases[i].id);
		if (t != NULL) {
			destination_reached(&schedule, t->destination);
			schedule_forget(&schedule, t->message);
		}
		assert_case(knows("mx slow.test") == cases[i].known, i, "known");
	}
	assert_int_equal(schedule_wake(&schedule, now), INT64_MAX);
}

/* --- rest -------------------------------------------------------------------------- */

static void
test_rest(void **state)
{
	struct task *t;

	(void)state;
	add(1, "mx a.test", 0, 0);
	t = next();
	destination_unreachable(&schedule, t->destination, 6000);
	task_wait(&schedule, t, 6000);
	add(2, "mx a.test", 0, 0);              /* not even the next message */
	assert_null(next());
	assert_int_equal(schedule_wake(&schedule, now), 6000);
	destination_unreachable(&schedule, t->destination, 5000);       /* never shorter */
	now = 5999;
	assert_null(next());
	now = 6000;
	assert_non_null(next());
	assert_null(next());                    /* the limit was halved twice: 5, 2, 1 */
}

/*
 * In line behind a destination that rests: first the warning's time, then the end, by the
 * message's own arrival.  Who can go is not late; who waits for his time is not either.
 */
static void
test_late(void **state)
{
	static const struct { int64_t now; uint64_t id; int64_t wake; } cases[] = {
		{ 2999, 0, 3000 },
		{ 3000, 3, 3500 },                      /* the report: its end */
		{ 3499, 0, 3500 },
		{ 3500, 2, 9000 },                      /* its warning; then it waits again */
		{ 8999, 0, 9000 },
		{ 9000, 2, 90000 },                     /* its end */
		{ 89999, 0, 90000 },
	};
	struct task *t;

	(void)state;
	schedule.patience = (struct patience){ .warn = 1500, .message = 7000, .report = 1000 };
	add(1, "mx a.test", 0, 0);
	t = next();
	destination_unreachable(&schedule, t->destination, 90000);
	task_wait(&schedule, t, 200000);
	now = 2000;
	add(2, "mx a.test", 0, 0);
	schedule_message(&schedule, 3, now)->report = true;
	add(3, "mx a.test", 0, 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		now = cases[i].now;
		assert_null(next());
		t = schedule_late(&schedule, now);
		assert_case((t != NULL ? t->message->id : 0) == cases[i].id, i, "late");
		assert_null(schedule_late(&schedule, now));
		if (t != NULL && i == 3)
			task_wait(&schedule, t, 4000);
		else if (t != NULL)
			schedule_forget(&schedule, t->message);
		next();
		assert_case(schedule_wake(&schedule, now) == (i == 3 ? 4000 : cases[i].wake), i, "wake");
	}
}

/* While everything is stopped nobody is late, and afterwards who can go goes. */
static void
test_nobody_is_late_when_stopped(void **state)
{
	(void)state;
	schedule.patience = (struct patience){ .message = 7000 };
	add(1, "mx a.test", 0, 0);
	schedule.stopped = true;
	now = 90000;
	assert_null(next());
	assert_null(schedule_late(&schedule, now));
	assert_int_equal(schedule_wake(&schedule, now), INT64_MAX);
	schedule.stopped = false;
	assert_int_equal(next_id(), 1);
	assert_null(schedule_late(&schedule, now));
}

/* One of several attempts failed; another one shows that somebody is there. */
static void
test_rest_ends_when_it_is_reached(void **state)
{
	struct task *bad, *good;

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		add(i, "mx a.test", 0, 0);
	bad = next();
	good = next();
	destination_unreachable(&schedule, bad->destination, 6000);
	task_wait(&schedule, bad, 6000);
	assert_null(next());
	destination_reached(&schedule, good->destination);
	task_remove(&schedule, good);
	assert_int_equal(next_id(), 3);
	assert_null(next());                    /* the one that failed has its own time */
	assert_int_equal(schedule_wake(&schedule, now), 6000);
}

/* What was learnt goes with the last task and the rest; also when somebody ended the rest. */
static void
test_destinations_are_forgotten(void **state)
{
	struct task *t;

	(void)state;
	add(1, "mx a.test", 0, 0);
	t = next();
	destination_unreachable(&schedule, t->destination, 6000);
	task_remove(&schedule, t);
	assert_true(knows("mx a.test"));
	now = 6000;
	assert_null(next());
	assert_false(knows("mx a.test"));

	add(1, "mx a.test", 0, 0);
	t = next();
	destination_unreachable(&schedule, t->destination, 9000);
	task_wait(&schedule, t, 9000);
	task_retry(&schedule, t);
	task_remove(&schedule, t);
	assert_false(knows("mx a.test"));
	assert_int_equal(schedule_wake(&schedule, now), INT64_MAX);
}

/* --- wishes -------------------------------------------------------------------------- */

static void
test_retry(void **state)
{
	struct task *t;

	(void)state;
	add(1, "mx a.test", 0, 0);
	t = next();
	task_wait(&schedule, t, 9000);
	assert_null(next());
	task_retry(&schedule, t);
	assert_ptr_equal(next(), t);            /* it waited for its time */

	destination_unreachable(&schedule, t->destination, 9000);
	task_wait(&schedule, t, 9000);
	task_retry(&schedule, t);
	assert_ptr_equal(next(), t);            /* its destination rested */

	destination_unreachable(&schedule, t->destination, 9000);
	task_wait(&schedule, t, 2000);
	now = 2000;
	assert_null(next());
	assert_int_equal(t->stage, TASK_IN_LINE);
	task_retry(&schedule, t);
	assert_ptr_equal(next(), t);            /* it stood in line of a destination that rested */

	task_retry(&schedule, t);               /* under way */
	destination_unreachable(&schedule, t->destination, 9000);
	task_wait(&schedule, t, 9000);
	assert_ptr_equal(next(), t);
	task_wait(&schedule, t, 9000);          /* once */
	assert_null(next());
}

static void
test_hold(void **state)
{
	struct task *waiting = add(1, "mx a.test", 0, 9000), *line, *active;

	(void)state;
	add(2, "mx a.test", 0, 0);
	add(3, "mx a.test", 0, 0);
	active = next();
	line = schedule_find(&schedule, 3)->tasks;
	task_hold(&schedule, waiting);
	task_hold(&schedule, line);
	task_hold(&schedule, active);
	assert_int_equal(schedule.held, 2);
	now = 10000;
	assert_null(next());
	task_wait(&schedule, active, 0);
	assert_int_equal(schedule.held, 3);
	assert_null(next());
	task_retry(&schedule, active);          /* held is held */
	assert_null(next());
	assert_int_equal(schedule_wake(&schedule, now), INT64_MAX);
	task_release(&schedule, line);
	task_release(&schedule, active);
	assert_int_equal(next_id(), 3);
	assert_int_equal(next_id(), 2);
	assert_null(next());
	task_remove(&schedule, waiting);
	assert_int_equal(schedule.held, 0);
}

static void
test_newest_wish(void **state)
{
	struct task *t = add(1, "mx a.test", 0, 0);

	(void)state;
	assert_ptr_equal(next(), t);
	task_hold(&schedule, t);
	task_retry(&schedule, t);               /* a held one is not tried */
	task_wait(&schedule, t, 9000);
	assert_int_equal(t->stage, TASK_HELD);
	task_release(&schedule, t);
	assert_ptr_equal(next(), t);
	task_hold(&schedule, t);
	task_release(&schedule, t);
	task_wait(&schedule, t, 9000);
	assert_int_equal(t->stage, TASK_WAITING);
}

/* Somebody works on it already: it leaves whatever it waits for, and goes back there. */
static void
test_take(void **state)
{
	struct task *t = add(1, "mx a.test", 0, 9000);

	(void)state;
	assert_true(schedule_take(&schedule, t));
	assert_false(schedule_take(&schedule, t));
	assert_int_equal(schedule.active, 1);
	task_wait(&schedule, t, 9000);
	task_hold(&schedule, t);
	assert_true(schedule_take(&schedule, t));
	assert_int_equal(schedule.held, 0);
	task_wait(&schedule, t, 0);
	assert_int_equal(t->stage, TASK_HELD);
}

/* --- against a naive model ------------------------------------------------------------ */

enum { TASKS = 40, PLACES = 6, SENDERS = 3, STEPS = 3000, MOST = 7 };

enum { GONE, WAITS, ACTIVE, HELD };

struct model_task {
	struct task *task;
	int          stage, place;
	bool         bulk;
	uint32_t     sender;
	int64_t      due, arrival;
	bool         late;
	enum task_wish wish;
};

struct model_place {
	int64_t  rests_until;
	unsigned limit, active, waits;  /* waits: turns of others while it could have gone */
	unsigned sender_waits[2][SENDERS];      /* of others in the same line */
	unsigned people;                /* turns of theirs while bulk could have gone */
};

static struct model_task  tasks[TASKS];
static struct model_place places[PLACES];
static struct rng rng;

enum { PATIENCE = 400, WARN = 200 };

static void
model_forget(int p)
{
	for (int i = 0; i < TASKS; i++)
		if (tasks[i].stage != GONE && tasks[i].place == p)
			return;
	if (places[p].rests_until == 0)
		places[p] = (struct model_place){ .limit = 5 };
}

static bool
can_go(const struct model_task *t)
{
	const struct model_place *p = &places[t->place];

	return t->stage == WAITS && t->due <= now && p->rests_until <= now && p->active < p->limit;
}

/* It stands in line, and its message has had its time, or half of it for the first time. */
static bool
is_late(const struct model_task *t)
{
	return t->stage == WAITS && t->due <= now && !can_go(t) &&
	    now >= t->arrival + (t->late ? PATIENCE : WARN);
}

static bool
place_can_go(int place)
{
	for (int i = 0; i < TASKS; i++)
		if (tasks[i].place == place && can_go(&tasks[i]))
			return true;
	return false;
}

static void
model_add(int i)
{
	struct model_task *t = &tasks[i];
	static const struct destination_terms terms = { .most = MOST };
	struct message *m;
	char name[32];
	uint32_t r = 0;

	*t = (struct model_task){ .stage = WAITS, .arrival = now, .place = (int)rng_below(&rng, PLACES),
	    .bulk = rng_below(&rng, 2), .sender = (uint32_t)rng_below(&rng, SENDERS),
	    .due = now + (int64_t)rng_below(&rng, 3) * 50 };
	snprintf(name, sizeof name, "mx %d.test", t->place);
	m = schedule_message(&schedule, (uint64_t)i + 1, now);
	m->bulk = t->bulk;
	m->sender = t->sender;
	t->task = schedule_add(&schedule, m, slice(name), &terms, &r, 1, t->due, 0);
}

/* Who left the line with the last he had in it comes back behind the others. */
static void
model_leaves_line(const struct model_task *t)
{
	places[t->place].sender_waits[t->bulk][t->sender] = 0;
}

static void
model_remove(int i)
{
	if (tasks[i].stage == ACTIVE)
		places[tasks[i].place].active--;
	schedule_forget(&schedule, tasks[i].task->message);
	tasks[i].stage = GONE;
	model_leaves_line(&tasks[i]);
	model_forget(tasks[i].place);
}

static bool
somebody_can_go(int place, bool bulk, uint32_t sender)
{
	for (int i = 0; i < TASKS; i++)
		if (tasks[i].place == place && tasks[i].bulk == bulk &&
		    (sender == SENDERS || tasks[i].sender == sender) && can_go(&tasks[i]))
			return true;
	return false;
}

/* People before bulk, but for every fifth turn. */
static void
model_line(const struct model_task *t)
{
	struct model_place *p = &places[t->place];
	bool other = somebody_can_go(t->place, !t->bulk, SENDERS);

	if (other)
		assert_int_equal(t->bulk, p->people == PEOPLE_BEFORE_BULK);
	p->people = other && !t->bulk ? p->people + 1 : 0;
}

/* Who has something in the same line is not passed over twice by the same other one. */
static void
model_sender(const struct model_task *t, uint32_t sender)
{
	unsigned *waits = &places[t->place].sender_waits[t->bulk][sender];

	*waits = sender != t->sender && somebody_can_go(t->place, t->bulk, sender) ? *waits + 1 : 0;
	assert_true(*waits < SENDERS);
}

/* Nobody can go: then somebody who is late has a turn of another kind. */
static void
model_late(void)
{
	struct task *got = schedule_late(&schedule, now);
	struct model_task *t = got != NULL ? &tasks[got->message->id - 1] : NULL;

	for (int j = 0; j < TASKS && t == NULL; j++)
		assert_false(is_late(&tasks[j]));
	if (t == NULL)
		return;
	assert_true(is_late(t));
	t->late = true;
	t->stage = ACTIVE;
	places[t->place].active++;
	model_leaves_line(t);
}

/* The turn of somebody who may go, and of nobody while somebody may. */
static void
model_turn(void)
{
	struct task *got = next();
	int i = got != NULL ? (int)got->message->id - 1 : -1;

	for (int p = 0; p < PLACES; p++)
		if (places[p].rests_until <= now) {
			places[p].rests_until = 0;
			model_forget(p);
		}
	for (int j = 0; j < TASKS && got == NULL; j++)
		assert_false(can_go(&tasks[j]));
	if (got == NULL) {
		model_late();
		return;
	}
	assert_true(can_go(&tasks[i]));
	model_line(&tasks[i]);
	for (uint32_t sender = 0; sender < SENDERS; sender++)
		model_sender(&tasks[i], sender);
	for (int p = 0; p < PLACES; p++) {
		places[p].waits = p != tasks[i].place && place_can_go(p) ? places[p].waits + 1 : 0;
		assert_true(places[p].waits <= PLACES);
	}
	tasks[i].stage = ACTIVE;
	places[tasks[i].place].active++;
}

static void
model_back(int i)
{
	struct model_task *t = &tasks[i];
	int64_t until = now + (int64_t)rng_below(&rng, 4) * 100;
	enum task_wish wish = t->wish;

	task_wait(&schedule, t->task, until);
	places[t->place].active--;
	t->wish = WISH_NONE;
	t->stage = wish == WISH_HOLD ? HELD : WAITS;
	t->due = wish == WISH_RETRY ? 0 : until;
	if (wish == WISH_RETRY)
		places[t->place].rests_until = 0;
}

static void
model_reach(int p, struct destination *d)
{
	int64_t until = now + 1 + (int64_t)rng_below(&rng, 300);
	bool refused = rng_below(&rng, 3) == 0;

	if (rng_below(&rng, 2)) {
		destination_reached(&schedule, d);
		places[p].limit += places[p].limit < MOST;
		places[p].rests_until = 0;
		return;
	}
	(refused ? destination_refused : destination_unreachable)(&schedule, d, until);
	places[p].limit = places[p].limit > 2 ? places[p].limit / 2 : 1;
	if (until > places[p].rests_until && (!refused || places[p].active == 1))
		places[p].rests_until = until;
}

static void
model_wish(struct model_task *t)
{
	switch (rng_below(&rng, 3)) {
	case 0:
		task_retry(&schedule, t->task);
		if (t->stage == WAITS)
			t->due = 0, places[t->place].rests_until = 0;
		else if (t->stage == ACTIVE && t->wish != WISH_HOLD)
			t->wish = WISH_RETRY;
		break;
	case 1:
		task_hold(&schedule, t->task);
		if (t->stage == ACTIVE)
			t->wish = WISH_HOLD;
		else
			t->stage = HELD;
		model_leaves_line(t);
		break;
	default:
		task_release(&schedule, t->task);
		t->wish = WISH_NONE;
		if (t->stage == HELD)
			t->stage = WAITS, t->due = 0;
	}
}

/* Asked to come back at that time: nothing can happen before it. */
static void
model_wake(void)
{
	int64_t wake = schedule_wake(&schedule, now), before = now;

	for (int i = 0; i < TASKS; i++)
		if (can_go(&tasks[i]) || is_late(&tasks[i]))
			assert_true(wake <= now);
	if (wake <= now) {
		now += 5;
		return;
	}
	if (wake == INT64_MAX)
		wake = now + 500;
	for (int step = 0; step < 4; step++) {
		now = before + (wake - 1 - before) * step / 4;
		for (int i = 0; i < TASKS && now > before; i++)
			assert_false(can_go(&tasks[i]) || is_late(&tasks[i]));
	}
	now = wake;
}

static void
model_count(void)
{
	size_t all = 0, active = 0, held = 0;

	for (int i = 0; i < TASKS; i++) {
		all += tasks[i].stage != GONE;
		active += tasks[i].stage == ACTIVE;
		held += tasks[i].stage == HELD;
	}
	assert_int_equal(schedule.tasks, all);
	assert_int_equal(schedule.active, active);
	assert_int_equal(schedule.held, held);
}

static void
model_step(void)
{
	int i = (int)rng_below(&rng, TASKS);
	struct model_task *t = &tasks[i];

	switch (rng_below(&rng, 6)) {
	case 0:
		if (t->stage == GONE)
			model_add(i);
		break;
	case 1:
		if (t->stage == ACTIVE)
			model_reach(t->place, t->task->destination);
		break;
	case 2:
		if (t->stage == ACTIVE)
			model_back(i);
		break;
	case 3:
		if (t->stage != GONE && rng_below(&rng, 3) == 0)
			model_remove(i);
		else if (t->stage != GONE)
			model_wish(t);
		break;
	case 4:
		model_wake();
		break;
	default:
		model_turn();
	}
	model_count();
}

static void
test_model(void **state)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		setup(state);
		rng = rng_seeded(seed);
		schedule.patience = (struct patience){ .warn = WARN, .message = PATIENCE };
		memset(tasks, 0, sizeof tasks);
		for (int p = 0; p < PLACES; p++)
			places[p] = (struct model_place){ .limit = 5 };
		for (int i = 0; i < STEPS; i++)
			model_step();
		for (int i = 0; i < TASKS; i++)
			if (tasks[i].stage != GONE)
				model_remove(i);
		now += DAY;
		assert_null(next());
		assert_int_equal(schedule.destinations.n, 0);
		schedule_end(&schedule);
	}
	setup(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_order_of_time), T(test_many_due_at_once), T(test_many_destinations_of_one_message),
		T(test_tasks_are_joined), T(test_nothing_when_stopped),
		T(test_post_and_single_messages), T(test_people_before_bulk), T(test_bulk_is_not_starved),
		T(test_senders_take_turns), T(test_more_senders_than_lanes), T(test_round),
		T(test_dead_destination_delays_nobody), T(test_concurrency), T(test_refusals_shrink),
		T(test_one_at_a_time_when_terms_say_so), T(test_rate),
		T(test_rate_of_single_messages), T(test_rest),
		T(test_rest_ends_when_it_is_reached),
		T(test_late), T(test_nobody_is_late_when_stopped), T(test_destinations_are_forgotten), T(test_retry),
		T(test_hold), T(test_newest_wish), T(test_take), T(test_model),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
