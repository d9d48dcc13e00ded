/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "conf/events.h"
#include "delivery/attempt.h"
#include "delivery/reports.h"
#include "net/link.h"

enum { IDLE_MS = 5 * SECOND, ROLE_MEMORY = 1 << 20, LABEL_MEMORY = 256 << 10 };

/* --- connections that wait for a next message -------------------------------------- */

struct idle {
	struct idle       *next, **back;
	struct delivery   *delivery;
	struct connection *connection;
	struct timer       enough;
};

static void
forget_idle(struct idle *i)
{
	if ((*i->back = i->next) != NULL)
		i->next->back = i->back;
	timer_clear(i->delivery->loop, &i->enough);
	i->delivery->idle_count--;
	free(i);
}

static void
idle_enough(void *arg)
{
	struct idle *i = arg;
	struct connection *c = i->connection;

	forget_idle(i);
	connection_quit(c);
}

static void
idle_over(void *arg, const struct connection_end *end)
{
	(void)end;
	forget_idle(arg);               /* the connection ends itself */
}

static const struct connection_user IDLE = { .over = idle_over };

void
idle_put(struct delivery *d, struct connection *c)
{
	struct idle *i;

	if (d->draining || d->idle_count >= IDLE_MOST || connection_worn(c)) {
		connection_quit(c);
		return;
	}
	i = must_alloc(sizeof *i);
	*i = (struct idle){ d->idle, &d->idle, d, c, { .fired = NULL } };
	if (i->next != NULL)
		i->next->back = &i->next;
	d->idle = i;
	d->idle_count++;
	connection_hand(c, &IDLE, i);
	timer_set(d->loop, &i->enough, IDLE_MS, idle_enough, i);
}

struct connection *
idle_take(struct delivery *d, const struct plan_host *host, const struct peer *peer)
{
	for (struct idle *i = d->idle; i != NULL; i = i->next)
		if (connection_serves(i->connection, host, peer)) {
			struct connection *c = i->connection;

			forget_idle(i);
			return c;
		}
	return NULL;
}

void
idle_end_all(struct delivery *d)
{
	while (d->idle != NULL)
		idle_enough(d->idle);
}

/* --- the link to the queue ------------------------------------------------------------ */

void
delivery_send(struct delivery *d, unsigned kind, struct slice payload)
{
	if (d->queue != NULL)
		link_send(d->queue, kind, payload, -1);
}

/* The queue may die before it has written this down: the next one is told again. */
void
delivery_result(struct delivery *d, const struct order_result *r)
{
	struct buf packed = BUF(LINK_FRAME_MOST);

	order_result_pack(r, &packed);
	bug_if(packed.full);
	delivery_send(d, FRAME_RESULT, buf_slice(&packed));
	results_keep(&d->results, clock_ticks(d->loop->clock), d->queue != NULL, r);
	buf_free(&packed);
}

static void
tell_again(void *arg, struct slice packed)
{
	delivery_send(arg, FRAME_UNDER_WAY, packed);
	delivery_send(arg, FRAME_RESULT, packed);
}

static void
answer_queue(void *arg, unsigned kind, struct slice payload)
{
	delivery_send(arg, kind, payload);
}

static void
ask_policy(void *arg, struct slice domain)
{
	delivery_send(arg, FRAME_STS_ASK, domain);
}

static void
keep_policy(void *arg, struct slice domain, struct slice entry, int64_t until)
{
	struct buf b = BUF(LINK_FRAME_MOST);

	pack_slice(&b, domain);
	pack_slice(&b, entry);
	pack_u64(&b, (uint64_t)until);
	delivery_send(arg, FRAME_STS_KEEP, buf_slice(&b));
	buf_free(&b);
}

static void
policy_refreshed(void *arg, struct slice domain, struct slice why)
{
	struct buf b = BUF(4096);

	pack_slice(&b, domain);
	pack_slice(&b, slice_head(why, 1000));
	delivery_send(arg, FRAME_STS_REFRESHED, buf_slice(&b));
	buf_free(&b);
}

void
delivery_count(struct delivery *d, const struct tlsrpt_session *s)
{
	struct buf b = BUF(TALLY_MOST);

	if (d->options.conf->delivery.tls_reports) {
		session_pack(s, &b);
		delivery_send(d, FRAME_SESSION, buf_slice(&b));
	}
	buf_free(&b);
}

/* RFC 8460 4.3.2.2: told once a fetch, under the policy that could not be replaced. */
static void
policy_failed(void *arg, struct slice domain, const struct sts_decision *decision)
{
	struct tlsrpt_session s = { .label = { .type = TLSRPT_STS, .domain = domain },
	    .result = decision->report, .reason = decision->reason };
	struct arena *arena = arena_new(LABEL_MEMORY);

	if (decision->applies)
		s.label = plan_sts_label(domain, &decision->policy, arena);
	delivery_count(arg, &s);
	arena_free(arena);
}

static void
policy_is(struct delivery *d, struct slice payload)
{
	struct unpack u = { .left = payload };
	struct slice domain = unpack_slice(&u), entry = unpack_slice(&u);

	if (unpack_done(&u))
		policies_entry(d->policies, domain, entry);
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct delivery *d = arg;

	if (kind == FRAME_ORDER) {      /* also while draining: the queue may not know it yet */
		bug_if(!attempt_begin(d, payload, fd)); /* the queue is no stranger */
		return;
	}
	if (kind == FRAME_STS_IS)
		policy_is(d, payload);
	else if (kind == FRAME_STS_REFRESH)
		policies_refresh(d->policies, payload);
	else if (kind == FRAME_STS_FORGET)
		policies_drop(d->policies, payload);
	else if (kind == FRAME_TLSRPT_ASK)
		reports_ask(d->reports, payload);
	else if (kind == FRAME_POST)
		reports_post(d->reports, payload);
	else if (kind == FRAME_TRY_ALL)
		silence_forget(&d->silence);
	if (fd != -1)
		close(fd);
}

static void
on_gone(void *arg)
{
	struct delivery *d = arg;

	link_end(d->queue);
	d->queue = NULL;
}

static const struct link_user QUEUE = { on_frame, on_gone };

void
delivery_queue(struct delivery *d, int fd)
{
	link_end(d->queue);
	d->queue = link_new(d->loop, fd, &QUEUE, d);
	if (d->draining)
		delivery_send(d, FRAME_LEAVING, NONE);
	results_tell(&d->results, clock_ticks(d->loop->clock), tell_again, d);
	attempt_tell_under_way(d);
	delivery_send(d, FRAME_UNDER_WAY_END, NONE);
	policies_ask_again(d->policies);
}

/* --- the role ---------------------------------------------------------------------------- */

struct delivery *
delivery_start(struct loop *loop, const struct delivery_options *o)
{
	struct delivery *d = must_alloc(sizeof *d);

	d->loop = loop;
	d->options = *o;
	d->rng = rng_seeded(o->seed);
	d->arena = arena_new(ROLE_MEMORY);
	results_begin(&d->results);
	aim_begin(&d->aim, o->conf, d->arena);
	d->fetcher = fetcher_new(loop, o->tls);
	d->policies = policies_new(&(struct policies_options){ loop, o->resolver, d->fetcher, o->log,
	    d->aim.local_allowed, ask_policy, keep_policy, policy_refreshed, policy_failed, d });
	d->sessions = sessions_new(loop->clock);
	d->reports = reports_new(&(struct reports_options){ o->resolver, d->fetcher, loop,
	    d->aim.local_allowed, answer_queue, d });
	return d;
}

static void look_for_end(void *arg);

/* The queue may be about to go as well: its successor is told of the last results. */
static bool
still_needed(struct delivery *d)
{
	int64_t wait = d->hurried ? 0 : results_wait(&d->results, clock_ticks(d->loop->clock));

	if (wait > 0)
		timer_set(d->loop, &d->linger, wait, look_for_end, d);
	return wait > 0;
}

static void
look_for_end(void *arg)
{
	struct delivery *d = arg;
	void (*drained)(void *) = d->drained;

	if (!d->draining || d->attempts != NULL || drained == NULL || still_needed(d))
		return;
	d->drained = NULL;
	if (d->queue != NULL)
		link_flush(d->queue, LINK_PATIENCE_MS);
	drained(d->drained_arg);
}

void
delivery_attempt_over(struct delivery *d)
{
	look_for_end(d);
}

void
delivery_hurry(struct delivery *d)
{
	d->hurried = true;
	look_for_end(d);
}

void
delivery_drain(struct delivery *d, void (*idle)(void *), void *arg)
{
	d->draining = true;
	d->drained = idle;
	d->drained_arg = arg;
	idle_end_all(d);
	delivery_send(d, FRAME_LEAVING, NONE);
	delivery_attempt_over(d);
}

void
delivery_end(struct delivery *d)
{
	attempt_end_all(d);
	while (d->idle != NULL) {
		struct connection *c = d->idle->connection;

		forget_idle(d->idle);
		connection_end(c);
	}
	policies_free(d->policies);
	reports_free(d->reports);
	sessions_free(d->sessions);
	fetcher_free(d->fetcher);
	link_end(d->queue);
	timer_clear(d->loop, &d->linger);
	results_end(&d->results);
	arena_free(d->arena);
	free(d);
}
