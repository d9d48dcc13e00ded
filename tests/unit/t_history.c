/* SPDX-License-Identifier: ISC */
/* What became of messages: kept by a queue on a virtual clock, found, and bounded (queue/history.h). */
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "queue/history.h"
#include "queue/inside.h"
#include "unit.h"

#define NOON (INT64_C(20775) * DAY + 12 * HOUR)

struct world {
	char           dir[64];
	struct clock   clock;
	struct loop    loop;
	struct files   files;
	struct reader  reader;
	struct conf   *conf;
	struct routes *routes;
	struct log     log;
	struct buf     logged;
	uint64_t       most;
	struct queue  *queue;
};

static struct world w;

static void
log_it(void *arg, struct slice line)
{
	buf_add(arg, line);
}

static void
run_for(int64_t ms)
{
	loop_run_until(&w.loop, w.clock.now + ms);
}

static void
start(void)
{
	struct queue_options o = { .conf = w.conf, .routes = w.routes, .files = &w.reader, .log = &w.log,
	    .slot = 1, .threadless = true, .segment = 1 << 20, .history = w.most };
	struct error why = { 0 };

	w.queue = queue_start(&w.loop, &o, &why);
	assert_non_null(w.queue);
}

static void
restart(void)
{
	queue_end(w.queue);
	start();
}

static void
read_conf(const char *history)
{
	struct flaws flaws;

	routes_free(w.routes);
	conf_free(w.conf);
	files_free(&w.files);
	w.files = (struct files){ 0 };
	w.reader = files_reader(&w.files);
	buf_printf(&files_add(&w.files, S("/c/x.conf"), FILE_CONFIG)->bytes, "hostname us.test\nstate %s\n"
	    "history %s\n", w.dir, history);
	flaws_begin(&flaws);
	w.conf = conf_parse(S("/c/x.conf"), &w.reader, &flaws);
	w.routes = routes_new(w.conf, &w.reader, &flaws);
	assert_int_equal(flaws.errors, 0);
	flaws_end(&flaws);
}

static int
setup(void **state)
{
	(void)state;
	w = (struct world){ .clock = clock_virtual(NOON), .logged = BUF(1 << 20) };
	snprintf(w.dir, sizeof w.dir, "/tmp/chainmail-unit-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	w.log = (struct log){ &w.clock, LOG_ERROR, true, log_it, &w.logged, NULL };
	loop_begin(&w.loop, &w.clock);
	read_conf("7d");
	start();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	queue_end(w.queue);
	loop_end(&w.loop);
	routes_free(w.routes);
	conf_free(w.conf);
	files_free(&w.files);
	buf_free(&w.logged);
	return dir_remove(w.dir, NULL) ? 0 : -1;
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
			run_for(SECOND);
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
	read_conf("7h");
	start();
	for (int hour = 0; hour < 10; hour++) {
		for (int i = 0; i < 200; i++)
			tell(1000 * hour + i);
		run_for(HOUR);
	}
	/* An hour after the last of them: those of seven hours are there, by blocks. */
	assert_in_range(find("from@a.test", 0), 6 * 200, 7 * 200 + 160);
	assert_int_equal(find("to0@b.test", 0), 0);
	assert_int_equal(find("to9199@b.test", 0), 1);
	run_for(8 * HOUR);
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
			run_for(SECOND);
	}
	kept = find("from@a.test", 0);
	assert_in_range(kept, 1500, 2600);              /* of about 480 bytes each */
	assert_int_equal(find("to9999@b.test", 0), 1);
	assert_int_equal(find("to0@b.test", 0), 0);
	restart();
	assert_int_equal(find("from@a.test", 0), kept);
	run_for(2 * MINUTE);
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
	read_conf("never");
	start();
	tell(500);
	assert_int_equal(find("from@a.test", 0), 200);
	run_for(2 * MINUTE);
	assert_int_equal(find("from@a.test", 0), 0);
	queue_end(w.queue);
	snprintf(path, sizeof path, "%s/history", w.dir);
	assert_true(dir_remove(path, NULL));
	start();
	tell(501);
	run_for(2 * MINUTE);
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
			run_for(SECOND);
	}
	assert_non_null(memmem(w.logged.p, w.logged.n, "\"what\":\"history\"", 16));
	assert_int_equal(slice_find(buf_slice(&w.logged), '\n'), w.logged.n - 1);
	buf_printf(&request, "{\"hashes\":[1]}");
	assert_false(history_answer(w.queue, buf_slice(&request), &lines, &below, &why));
	assert_false(history_answer(w.queue, S("{}"), &lines, &below, &why));
	buf_free(&request), buf_free(&lines);
	remove(path);
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
