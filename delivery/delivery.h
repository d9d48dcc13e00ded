/* SPDX-License-Identifier: ISC */
/*
 * delivery -- the role that brings messages to where they go.
 *
 * The queue sends orders over a link and hears results.  This role connects
 * out, asks the DNS, fetches MTA-STS policies and writes Maildirs; it sees no
 * signing key and no spool.  When the link to the queue breaks (the queue role
 * died or is replaced) attempts go on, and a new link is first told how the last
 * ones ended (results.h) and which are under way, so that no message is tried
 * twice.
 */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "conf/conf.h"
#include "delivery/policies.h"
#include "net/job.h"
#include "net/stream.h"

struct delivery;

struct delivery_options {
	const struct conf *conf;
	struct resolver   *resolver;
	SSL_CTX           *tls;         /* tls_client_new() */
	struct jobs       *jobs;
	struct log        *log;
	uint64_t           seed;        /* the order of equal hosts, jitter */
};

struct delivery *delivery_start(struct loop *, const struct delivery_options *);
/* A link to the queue: the first one, or in place of one that is gone. */
void             delivery_queue(struct delivery *, int fd);
/*
 * Ask for no more orders; `idle` is called once nothing is under way and a queue
 * has had the time to write down the last result.
 */
void             delivery_drain(struct delivery *, void (*idle)(void *arg), void *arg);
/* This queue stays until we are gone, or there is no time: do not wait for it. */
void             delivery_hurry(struct delivery *);
void             delivery_end(struct delivery *);

#endif
