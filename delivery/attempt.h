/* SPDX-License-Identifier: ISC */
/*
 * attempt -- one order, carried out: find out where to and how safely, connect,
 * hand over, say how it went.
 *
 * Private to the role: attempt.c has the steps, delivery.c the link to the
 * queue and the idle connections.
 */
#ifndef DELIVERY_ATTEMPT_H
#define DELIVERY_ATTEMPT_H

#include "delivery/aim.h"
#include "delivery/connection.h"
#include "delivery/delivery.h"
#include "delivery/results.h"
#include "delivery/search.h"
#include "delivery/secure.h"
#include "delivery/sessions.h"
#include "delivery/silence.h"
#include "queue/order.h"
#include "sts/tally.h"

enum { IDLE_MOST = 64 };                /* connections kept for a next message */

struct delivery {
	struct loop            *loop;
	struct delivery_options options;
	struct policies        *policies;
	struct fetcher         *fetcher;
	struct reports         *reports;
	struct sessions        *sessions;
	struct link            *queue;          /* NULL: none now */
	struct results          results;
	struct silence          silence;
	struct left_off         left_off;
	struct attempt         *attempts;
	struct idle            *idle;
	size_t                  idle_count;
	struct rng              rng;
	struct aim              aim;
	struct arena           *arena;
	void                  (*drained)(void *arg);
	void                   *drained_arg;
	bool                    draining, hurried;
	struct timer            linger;         /* drained, and a queue may still ask */
};

/* Takes the descriptor (-1: none); the bytes of the order are copied. False: no order. */
bool attempt_begin(struct delivery *, struct slice packed, int fd);
void attempt_end_all(struct delivery *);        /* without a word to the queue */
/* What is under way, for a queue that does not know. */
void attempt_tell_under_way(struct delivery *);

/* An idle connection to that host and address that proved what is needed, or NULL. */
struct connection *idle_take(struct delivery *, const struct plan_host *, const struct peer *);
void               idle_put(struct delivery *, struct connection *);
void               idle_end_all(struct delivery *);

void delivery_send(struct delivery *, unsigned kind, struct slice payload);
void delivery_result(struct delivery *, const struct order_result *);
/* A session for the reports of the day (RFC 8460). */
void delivery_count(struct delivery *, const struct tlsrpt_session *);
void delivery_attempt_over(struct delivery *);  /* one less: maybe we are drained */

#endif
