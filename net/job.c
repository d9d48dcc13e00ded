/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/bug.h"
#include "net/job.h"

struct item {
	struct item *next;
	void       (*work)(void *), (*done)(void *);
	void        *arg;
};

struct line {
	struct item *first, **last;
};

struct jobs {
	struct loop    *loop;
	pthread_mutex_t lock;           /* guards the lines and `stopping` */
	pthread_cond_t  some;
	struct line     todo, finished;
	bool            stopping;
	int             bell;
	struct event    rung;
	struct later    turn;           /* without threads */
	unsigned        n;
	pthread_t       thread[];
};

static void
line_begin(struct line *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void
line_put(struct line *l, struct item *i)
{
	i->next = NULL;
	*l->last = i;
	l->last = &i->next;
}

static struct item *
line_take(struct line *l)
{
	struct item *i = l->first;

	if (i != NULL && (l->first = i->next) == NULL)
		l->last = &l->first;
	return i;
}

static void
ring(struct jobs *js)
{
	const uint64_t one = 1;

	bug_if(write(js->bell, &one, sizeof one) != sizeof one);
}

static void *
worker(void *arg)
{
	struct jobs *js = arg;
	struct item *i;

	pthread_mutex_lock(&js->lock);
	for (;;) {
		while ((i = line_take(&js->todo)) == NULL && !js->stopping)
			pthread_cond_wait(&js->some, &js->lock);
		if (i == NULL)
			break;
		pthread_mutex_unlock(&js->lock);
		i->work(i->arg);
		pthread_mutex_lock(&js->lock);
		if (js->finished.first == NULL)
			ring(js);
		line_put(&js->finished, i);
	}
	pthread_mutex_unlock(&js->lock);
	return NULL;
}

static void
finish(struct jobs *js, struct item *i)
{
	js->loop->working--;
	i->done(i->arg);
	free(i);
}

static void
finish_all(struct jobs *js)
{
	struct line finished;
	struct item *i;

	pthread_mutex_lock(&js->lock);
	finished = js->finished;
	if (finished.first == NULL)
		line_begin(&finished);
	line_begin(&js->finished);
	pthread_mutex_unlock(&js->lock);
	while ((i = line_take(&finished)) != NULL)
		finish(js, i);
}

static void
rung(evutil_socket_t fd, short what, void *arg)
{
	struct jobs *js = arg;
	uint64_t count;

	(void)what;
	loop_happened(js->loop);
	if (read(fd, &count, sizeof count) == sizeof count)
		finish_all(js);
}

/* Without threads: one job, then the loop again. */
static void
take_turn(void *arg)
{
	struct jobs *js = arg;
	struct item *i = line_take(&js->todo);

	if (js->todo.first != NULL)
		loop_later(js->loop, &js->turn, take_turn, js);
	i->work(i->arg);
	finish(js, i);
}

struct jobs *
jobs_start(struct loop *loop, unsigned threads)
{
	struct jobs *js = must_alloc(sizeof *js + threads * sizeof js->thread[0]);

	js->loop = loop;
	pthread_mutex_init(&js->lock, NULL);
	pthread_cond_init(&js->some, NULL);
	line_begin(&js->todo);
	line_begin(&js->finished);
	js->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bug_if(js->bell == -1);
	event_assign(&js->rung, loop->base, js->bell, EV_READ | EV_PERSIST, rung, js);
	event_add(&js->rung, NULL);
	for (; js->n < threads; js->n++)
		bug_if(pthread_create(&js->thread[js->n], NULL, worker, js) != 0);
	return js;
}

void
job(struct jobs *js, void (*work)(void *), void (*done)(void *), void *arg)
{
	struct item *i = must_alloc(sizeof *i);

	*i = (struct item){ NULL, work, done, arg };
	js->loop->working++;
	pthread_mutex_lock(&js->lock);
	line_put(&js->todo, i);
	pthread_cond_signal(&js->some);
	pthread_mutex_unlock(&js->lock);
	if (js->n == 0)
		loop_later(js->loop, &js->turn, take_turn, js);
}

void
jobs_stop(struct jobs *js)
{
	struct item *i;

	pthread_mutex_lock(&js->lock);
	js->stopping = true;
	pthread_cond_broadcast(&js->some);
	pthread_mutex_unlock(&js->lock);
	for (unsigned t = 0; t < js->n; t++)
		pthread_join(js->thread[t], NULL);
	do {                            /* a done() may ask for one more */
		while ((i = line_take(&js->todo)) != NULL) {
			i->work(i->arg);
			finish(js, i);
		}
		finish_all(js);
	} while (js->todo.first != NULL);
	later_cancel(js->loop, &js->turn);
	event_del(&js->rung);
	close(js->bell);
	pthread_mutex_destroy(&js->lock);
	pthread_cond_destroy(&js->some);
	free(js);
}
