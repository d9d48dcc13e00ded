/* SPDX-License-Identifier: ISC */
/*
 * bare_queue -- a queue on a virtual clock with nobody around it, for tests of what
 * it keeps beside mail.  (queue_world.h puts a listener and a deliverer beside it.)
 */
#ifndef TESTS_BARE_QUEUE_H
#define TESTS_BARE_QUEUE_H

#include <unistd.h>

#include "base/file.h"
#include "keys.h"
#include "queue/inside.h"
#include "unit.h"

#define NOON (INT64_C(20775) * DAY + 12 * HOUR)         /* of a day in 2026 */

struct bare_queue {
	char           dir[64];
	struct clock   clock;
	struct loop    loop;
	struct files   files;
	struct reader  reader;
	struct conf   *conf;
	struct routes *routes;
	struct log     log;
	struct buf     logged;
	uint64_t       most;            /* of the history, in bytes; 0: the usual */
	struct queue  *queue;
};

static inline void
bare_log(void *arg, struct slice line)
{
	buf_add(arg, line);
}

/* These lines behind hostname and state; another one's place is taken. k.pem is a key. */
static inline void
bare_conf(struct bare_queue *b, const char *lines)
{
	struct flaws flaws;

	routes_free(b->routes);
	conf_free(b->conf);
	files_free(&b->files);
	b->files = (struct files){ 0 };
	b->reader = files_reader(&b->files);
	buf_printf(&files_add(&b->files, S("/c/x.conf"), FILE_CONFIG)->bytes, "hostname us.test\nstate %s\n%s",
	    b->dir, lines);
	buf_add(&files_add(&b->files, S("/c/k.pem"), FILE_SIGNING_KEY)->bytes, slice(KEY_RSA_2048_PEM));
	flaws_begin(&flaws);
	b->conf = conf_parse(S("/c/x.conf"), &b->reader, &flaws);
	b->routes = routes_new(b->conf, &b->reader, &flaws);
	assert_int_equal(flaws.errors, 0);
	flaws_end(&flaws);
}

static inline void
bare_start(struct bare_queue *b)
{
	struct queue_options o = { .conf = b->conf, .routes = b->routes, .files = &b->reader, .log = &b->log,
	    .slot = 1, .threadless = true, .segment = 1 << 20, .history = b->most };
	struct error why = { 0 };

	b->queue = queue_start(&b->loop, &o, &why);
	if (b->queue == NULL)
		fail_msg("%s", why.text);
}

/* Everything but the queue itself: bare_conf(), then bare_start(). */
static inline void
bare_begin(struct bare_queue *b, enum log_level least, bool json)
{
	*b = (struct bare_queue){ .clock = clock_virtual(NOON), .logged = BUF(1 << 20) };
	/* What a flush means is the business of the tests of kv: in memory it is quick. */
	snprintf(b->dir, sizeof b->dir, "%s/chainmail-unit-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	b->log = (struct log){ &b->clock, least, json, bare_log, &b->logged, NULL };
	loop_begin(&b->loop, &b->clock);
}

static inline int
bare_end(struct bare_queue *b)
{
	queue_end(b->queue);
	loop_end(&b->loop);
	routes_free(b->routes);
	conf_free(b->conf);
	files_free(&b->files);
	buf_free(&b->logged);
	return dir_remove(b->dir, NULL) ? 0 : -1;
}

static inline void
bare_run(struct bare_queue *b, int64_t ms)
{
	loop_run_until(&b->loop, b->clock.now + ms);
}

#endif
