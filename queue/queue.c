/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include "base/bug.h"
#include "conf/events.h"
#include "queue/inside.h"

enum { PATH_BYTES = 4096, TIDY_MS = 1000, SECRETS_MEMORY = 64 << 10, HEAD_MOST = 1 << 20,
	DISK_ALARM_MS = MINUTE };

/* --- voice ----------------------------------------------------------------------------- */

static void
queue_say(struct queue *q, const struct event_kind *kind, const char *what, const char *why)
{
	struct log_line l = log_event(q->options.log, kind, 0);

	log_text(&l, "what", what);
	log_text(&l, "why", why);
	log_end(&l);
}

void
queue_alarm(struct queue *q, const char *what, const char *why)
{
	queue_say(q, &EVENT_ALARM, what, why);
}

void
queue_disk_alarm(struct queue *q, const char *what, const char *why)
{
	int64_t now = clock_ticks(q->loop->clock);
	bool told = q->disk_refuses && now - q->disk_told < DISK_ALARM_MS;

	queue_say(q, told ? &EVENT_NOTE : &EVENT_ALARM, what, why);
	if (!told)
		q->disk_told = now;
	q->disk_refuses = true;
}

void
queue_note(struct queue *q, const char *what, const char *why)
{
	queue_say(q, &EVENT_NOTE, what, why);
}

bool
queue_unreadable(struct queue *q, struct message *m, const struct error *why)
{
	bool refused = read_refused(why);

	if (m == NULL || !m->alarmed)
		(refused ? queue_disk_alarm : queue_alarm)(q, "message", why->text);
	if (m != NULL)
		m->alarmed = true;
	return refused;
}

static void
spool_says(void *arg, enum spool_news news, const char *sentence)
{
	static const struct {
		const char *what;
		void      (*say)(struct queue *, const char *, const char *);
	} words[] = {
		[SPOOL_TROUBLE] = { "spool-trouble", queue_disk_alarm },
		[SPOOL_WELL] = { "spool-well", queue_note },
		[SPOOL_DAMAGE] = { "spool-damage", queue_alarm },
		[SPOOL_NOTE] = { "spool", queue_note },
	};
	struct queue *q = arg;

	words[news].say(q, words[news].what, sentence);
	if (news == SPOOL_WELL)
		q->disk_refuses = false;
}

struct later_status {
	struct later  later;
	struct queue *queue;
	struct status status;
	void        (*done)(void *arg, struct status);
	void         *arg;
};

static void
say_status(void *arg)
{
	struct later_status *l = arg;
	struct later_status copy = *l;

	free(l);
	copy.done(copy.arg, copy.status);
}

void
queue_later_status(struct queue *q, struct status status, void (*done)(void *, struct status),
    void *arg)
{
	struct later_status *l = must_alloc(sizeof *l);

	*l = (struct later_status){ .queue = q, .status = status, .done = done, .arg = arg };
	loop_later(q->loop, &l->later, say_status, l);
}

/* --- turns --------------------------------------------------------------------------------- */

static void
wake_up(void *arg)
{
	queue_look(arg);
}

/* Start what can be started, and ask for the next time. */
static void
take_turn(void *arg)
{
	struct queue *q = arg;
	int64_t now = clock_now(q->loop->clock), when;
	bool more = dispatch_turn(q, now);

	when = dispatch_wake(q, now);
	if (more)
		queue_look(q);
	else if (when == INT64_MAX)
		timer_clear(q->loop, &q->wake);
	else if (when > now)
		timer_set(q->loop, &q->wake, when - now, wake_up, q);
}

void
queue_look(struct queue *q)
{
	loop_later(q->loop, &q->dispatch, take_turn, q);
}

static void
spool_rang(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	(void)fd;
	(void)what;
	loop_happened(q->loop);
	spool_complete(q->spool);
}

/* Ticks go on, whatever somebody does to the clock; what waits for a time of the old one waits too long. */
static void
mind_clock(struct queue *q)
{
	int64_t now = clock_now(q->loop->clock), ahead = now - clock_ticks(q->loop->clock);
	int64_t back = q->ahead - ahead;

	if (back > MINUTE) {
		queue_note(q, "clock", "it was set back");
		schedule_set_back(&q->schedule, now, retry_longest(q));
		queue_look(q);
	}
	if (back > MINUTE || back < -MINUTE)
		q->ahead = ahead;
}

static void
tidy(void *arg)
{
	struct queue *q = arg;
	bool more = spool_tidy(q->spool);

	mind_clock(q);
	opened_tidy(q);
	timer_set_chore(q->loop, &q->tidy, more ? 0 : TIDY_MS, tidy, q);
}

/* --- draining --------------------------------------------------------------------------------- */

/* Attempts under way are not waited for: their deliverers tell the next queue how they went. */
static bool
busy(const struct queue *q)
{
	return q->expanding + q->telling + q->storing > 0;
}

static void
finish_draining(void *arg)
{
	struct queue *q = arg;

	if (q->idle == NULL || busy(q))
		return;
	delivery_links_take(q);         /* who told us something may be gone already */
	if (busy(q))
		return;
	spool_drain(q->spool);

	void (*idle)(void *) = q->idle;

	q->idle = NULL;
	idle(q->idle_arg);
}

void
queue_work_over(struct queue *q)
{
	if (q->draining && !busy(q))
		loop_later(q->loop, &q->drained, finish_draining, q);
}

void
queue_drain(struct queue *q, void (*idle)(void *), void *arg)
{
	q->draining = true;
	q->idle = idle;
	q->idle_arg = arg;
	queue_work_over(q);
}

/* --- beginning and ending ------------------------------------------------------------------------ */

static bool
read_keys(struct queue *q, struct error *why)
{
	const struct conf *conf = q->options.conf;

	q->keys = must_alloc((conf->key_count + 1) * sizeof *q->keys);
	for (size_t i = 0; i < conf->key_count; i++) {
		const struct reader *r = q->options.files;
		struct slice name, bytes;
		struct error flaw;

		if (r->read(r->arg, conf->key[i].file, FILE_SIGNING_KEY, 0, &name, &bytes, why) != READ_FILE)
			return error_set(why, "cannot read the key %.*s", FMT(conf->key[i].file));
		if (!signing_key_parse(&q->keys[i].key, bytes, &flaw))
			return error_set(why, "%.100s: %.120s", conf->key[i].file.p, flaw.text);
		q->keys[i].conf = &conf->key[i];
		q->key_count++;
	}
	return true;
}

static void
path_below(const struct queue *q, char path[PATH_BYTES], const char *name)
{
	snprintf(path, PATH_BYTES, "%.*s/%s", FMT(q->options.conf->state), name);
}

static bool
open_spool(struct queue *q, struct error *why)
{
	char path[PATH_BYTES];
	struct spool_options o = { .dir = path, .clock = q->loop->clock,
	    .threadless = q->options.threadless, .segment = q->options.segment, .news = spool_says,
	    .arg = q };

	path_below(q, path, "queue");
	if ((q->spool = spool_open(&o, why)) == NULL)
		return false;
	event_assign(&q->spool_rings, q->loop->base, spool_fd(q->spool), EV_READ | EV_PERSIST,
	    spool_rang, q);
	event_add(&q->spool_rings, NULL);
	plan_all(q);
	return true;
}

static void
free_keys(struct queue *q)
{
	for (size_t i = 0; i < q->key_count; i++)
		signing_key_free(&q->keys[i].key);
	free(q->keys);
}

struct queue *
queue_start(struct loop *loop, const struct queue_options *o, struct error *why)
{
	struct queue *q = must_alloc(sizeof *q);

	q->loop = loop;
	q->ahead = clock_now(loop->clock) - clock_ticks(loop->clock);
	q->options = *o;
	history_begin(q);
	ids_begin(&q->ids, loop->clock, o->slot, o->ids);
	schedule_begin(&q->schedule);
	q->schedule.patience = (struct patience){ o->conf->delivery.warn, conf_patience(o->conf, false),
	    conf_patience(o->conf, true) };
	q->arena = arena_new(SECRETS_MEMORY);
	secrets_read(&q->secrets, o->files, q->arena);
	q->sealed_post = (struct sealed_post){ .domain = BUF(1000), .fields = BUF(HEAD_MOST) };
	if (!read_keys(q, why) || !open_spool(q, why)) {
		settle_end(q);
		opened_end(q);
		free_keys(q);
		free(q->made_posts);
		arena_free(q->arena);
		schedule_end(&q->schedule);
		history_end(q);
		free(q);
		return NULL;
	}
	q->schedule.stopped = o->conf->delivery.hold;
	q->jobs = jobs_start(loop, o->sealers);
	caches_open(q);
	q->loaded = true;
	timer_set_chore(loop, &q->tidy, TIDY_MS, tidy, q);
	queue_look(q);
	return q;
}

void
queue_smtpd(struct queue *q, int fd)
{
	smtpd_link_new(q, fd);
}

void
queue_delivery(struct queue *q, int fd)
{
	delivery_link_new(q, fd);
}

void
queue_web(struct queue *q, int fd)
{
	leaving_link_new(q, fd);
}

void
queue_commands(struct queue *q, int fd)
{
	callers_end(q->callers);
	q->callers = callers_new(q, fd);
}

size_t
queue_messages(const struct queue *q)
{
	return q->schedule.messages.n;
}

size_t
queue_active(const struct queue *q)
{
	return q->under_way + q->expanding + q->telling + q->storing;
}

void
queue_end(struct queue *q)
{
	if (q == NULL)
		return;
	callers_end(q->callers);
	delivery_links_end(q);
	leaving_links_end(q);
	works_end(q);
	jobs_stop(q->jobs);
	spool_close(q->spool);          /* stores that wait are answered here */
	settle_end(q);
	opened_end(q);
	smtpd_links_end(q);
	caches_close(q);
	event_del(&q->spool_rings);
	timer_clear(q->loop, &q->tidy);
	timer_clear(q->loop, &q->wake);
	timer_clear(q->loop, &q->plan_again);
	free(q->unplanned);
	later_cancel(q->loop, &q->dispatch);
	later_cancel(q->loop, &q->drained);
	schedule_end(&q->schedule);
	free_keys(q);
	free(q->made_posts);
	buf_free(&q->sealed_post.domain);
	buf_free(&q->sealed_post.fields);
	arena_free(q->arena);
	history_end(q);
	free(q);
}
