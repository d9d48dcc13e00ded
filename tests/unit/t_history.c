/* SPDX-License-Identifier: ISC */
/* What became of messages: kept by a queue on a virtual clock, found, and bounded (queue/history.h). */
#include <sys/stat.h>

#include "bare_queue.h"
#include "base/text.h"
#include "queue/history.h"

static struct bare_queue w;

static int
setup(void **state)
{
	(void)state;
	bare_begin(&w, LOG_ERROR, true);
	bare_conf(&w, "history 7d\n");
	bare_start(&w);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return bare_end(&w);
}

static void
restart(void)
{
	queue_end(w.queue);
	bare_start(&w);
}

/* A line of that message, as a listener tells it. */
static void
tell(int number)
{
	struct buf line = BUF(1000);
	char when[LOG_TIME + 1], id[ID_TEXT + 1];

	log_time(w.clock.now, when);
	id_text((uint64_t)number + 1, id);
	buf_printf(&line, "%s info %s received client=192.0.2.1 from=<from@a.test> to=<to%d@b.test> note=%0400d\n",
	    when, id, number, number);
	history_keep(w.queue, buf_slice(&line));
	buf_free(&line);
}

/* How many lines name it; asked page for page, from the end to the beginning. */
static size_t
find(const char *word, int64_t since)
{
	struct buf request = BUF(1000), lines = BUF(HISTORY_PAGE);
	uint64_t below = 0;
	size_t count = 0, pages = 0;
	struct error why = { 0 };

	do {
		struct slice all, line;
		uint64_t before = below;

		buf_clear(&request), buf_clear(&lines);
		buf_printf(&request, "{\"hashes\":[%u],\"below\":%llu,\"since\":%lld}", past_hash(slice(word)),
		    (unsigned long long)below, (long long)since);
		assert_true(history_answer(w.queue, buf_slice(&request), &lines, &below, &why));
		assert_true(below == 0 || before == 0 || below < before);       /* it comes to an end */
		for (all = buf_slice(&lines); slice_cut(&all, '\n', &line); count++)
			assert_non_null(memmem(line.p, line.n, word, strlen(word)));
		assert_true(pages++ < 1000);
	} while (below != 0);
	buf_free(&request), buf_free(&lines);
	return count;
}

static void
lines_are_found_also_by_the_next_queue(void **state)
{
	(void)state;
	assert_int_equal(find("from@a.test", 0), 0);
	for (int i = 0; i < 3000; i++) {
		tell(i);
		if (i % 50 == 0)
			bare_run(&w, SECOND);
	}
	for (int turn = 0; turn < 3; turn++) {
		assert_int_equal(find("from@a.test", 0), 3000);
		assert_int_equal(find("to0@b.test", 0), 1);
		assert_int_equal(find("to2999@b.test", 0), 1);
		assert_int_equal(find("000000000001", 0), 1);
		assert_int_equal(find("to3000@b.test", 0), 0);
		restart();
	}
	tell(3000);
	assert_int_equal(find("from@a.test", 0), 3001);
	assert_int_equal(find("from@a.test", w.clock.now + 1), 0);
	assert_int_equal(w.logged.n, 0);
}

/* What the queue itself logs of messages is kept, whatever the log looks like. */
static void
the_queues_own_lines_are_kept(void **state)
{
	struct log_line l = log_event(w.queue->options.log, &(struct event_kind){ "dropped", LOG_WARN,
	    "from reason", "" }, 42);

	(void)state;
	log_path(&l, "from", S("x@y.test"));
	log_text(&l, "reason", "command");
	log_end(&l);
	l = log_event(w.queue->options.log, &(struct event_kind){ "alarm", LOG_WARN, "from", "" }, 0);
	log_path(&l, "from", S("x@y.test"));
	log_end(&l);
	assert_int_equal(find("x@y.test", 0), 1);
	assert_int_equal(w.logged.n, 0);
}

static void
the_oldest_go_when_their_time_is_over(void **state)
{
	(void)state;
	queue_end(w.queue);
	bare_conf(&w, "history 7h\n");
	bare_start(&w);
	for (int hour = 0; hour < 10; hour++) {
		for (int i = 0; i < 200; i++)
			tell(1000 * hour + i);
		bare_run(&w, HOUR);
	}
	/* An hour after the last of them: those of seven hours are there, by blocks. */
	assert_in_range(find("from@a.test", 0), 6 * 200, 7 * 200 + 160);
	assert_int_equal(find("to0@b.test", 0), 0);
	assert_int_equal(find("to9199@b.test", 0), 1);
	bare_run(&w, 8 * HOUR);
	assert_int_equal(find("from@a.test", 0), 0);
}

static void
the_oldest_go_when_there_is_too_much(void **state)
{
	size_t kept;

	(void)state;
	w.most = 1 << 20;
	restart();
	for (int i = 0; i < 10000; i++) {
		tell(i);
		if (i % 100 == 0)
			bare_run(&w, SECOND);
	}
	kept = find("from@a.test", 0);
	assert_in_range(kept, 1500, 2600);              /* of about 480 bytes each */
	assert_int_equal(find("to9999@b.test", 0), 1);
	assert_int_equal(find("to0@b.test", 0), 0);
	restart();
	assert_int_equal(find("from@a.test", 0), kept);
	bare_run(&w, 2 * MINUTE);
	assert_int_equal(find("from@a.test", 0), kept);
	assert_int_equal(w.logged.n, 0);
}

static void
never_keeps_nothing_and_forgets(void **state)
{
	struct stat st;
	char path[100];

	(void)state;
	for (int i = 0; i < 200; i++)
		tell(i);
	assert_int_equal(find("from@a.test", 0), 200);
	queue_end(w.queue);
	bare_conf(&w, "history never\n");
	bare_start(&w);
	tell(500);
	assert_int_equal(find("from@a.test", 0), 200);
	bare_run(&w, 2 * MINUTE);
	assert_int_equal(find("from@a.test", 0), 0);
	queue_end(w.queue);
	snprintf(path, sizeof path, "%s/history", w.dir);
	assert_true(dir_remove(path, NULL));
	bare_start(&w);
	tell(501);
	bare_run(&w, 2 * MINUTE);
	assert_int_equal(stat(path, &st), -1);          /* nor is it made to be empty */
}

/* Without a disk for it there is one alarm, and mail flows. */
static void
a_history_that_cannot_be_kept_is_no_harm(void **state)
{
	struct buf request = BUF(100), lines = BUF(HISTORY_PAGE);
	char path[100];
	struct error why = { 0 };
	uint64_t below;

	(void)state;
	snprintf(path, sizeof path, "%s/history", w.dir);
	assert_true(file_replace(path, S("in the way"), 0600, &why));
	for (int i = 0; i < 500; i++) {
		tell(i);
		if (i % 10 == 0)
			bare_run(&w, SECOND);
	}
	assert_non_null(memmem(w.logged.p, w.logged.n, "\"what\":\"history\"", 16));
	assert_int_equal(slice_find(buf_slice(&w.logged), '\n'), w.logged.n - 1);
	buf_printf(&request, "{\"hashes\":[1]}");
	assert_false(history_answer(w.queue, buf_slice(&request), &lines, &below, &why));
	assert_false(history_answer(w.queue, S("{}"), &lines, &below, &why));
	buf_free(&request), buf_free(&lines);
	remove(path);
	bare_run(&w, 2 * MINUTE);                       /* the disk is well, and so is it again */
	tell(1000);
	bare_run(&w, 10 * SECOND);
	assert_int_equal(find("to1000@b.test", 0), 1);
	restart();
	assert_int_equal(find("to1000@b.test", 0), 1);
	assert_int_equal(slice_find(buf_slice(&w.logged), '\n'), w.logged.n - 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines_are_found_also_by_the_next_queue),
		T(the_queues_own_lines_are_kept),
		T(the_oldest_go_when_their_time_is_over),
		T(the_oldest_go_when_there_is_too_much),
		T(never_keeps_nothing_and_forgets),
		T(a_history_that_cannot_be_kept_is_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
