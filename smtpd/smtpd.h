/* SPDX-License-Identifier: ISC */
/*
 * smtpd -- the role that takes messages in.
 *
 * It talks to strangers, asks the DNS, evaluates, decides, and hands what it
 * takes to the queue; a message is acknowledged when the queue has said that it
 * is on the disk.  It opens no file and knows no signing key.  When the queue
 * role dies, what waits for its answer is asked again of the next one.
 */
#ifndef SMTPD_SMTPD_H
#define SMTPD_SMTPD_H

#include "base/counts.h"
#include "base/log.h"
#include "conf/route.h"
#include "conf/trust.h"
#include "dns/resolve.h"

struct smtpd;

struct smtpd_options {
	const struct conf   *conf;
	const struct routes *routes;
	const struct trust  *trust;
	const struct reader *files;     /* certificates and their keys */
	struct resolver     *resolver;
	struct log          *log;
	unsigned             slot;      /* base/ids.h; our row of the counts */
	struct ids_bound    *ids;       /* base/ids.h; NULL: nobody else gives names */
	struct counts       *counts;    /* of connections, by listen block; NULL: nobody else counts */
};

struct smtpd *smtpd_start(struct loop *, const struct smtpd_options *, struct error *why);
/* A listening socket of the listen block with that number. */
void          smtpd_door(struct smtpd *, uint32_t number, int fd);
/* A link to the queue: the first one, or in place of one that is gone. */
void          smtpd_queue(struct smtpd *, int fd);
/* Take no more connections; `idle` once the open ones have ended. */
void          smtpd_drain(struct smtpd *, void (*idle)(void *arg), void *arg);
/* While draining: 421 to clients, at once or behind the message that is under way. */
void          smtpd_hurry(struct smtpd *);
void          smtpd_end(struct smtpd *);

size_t        smtpd_visits(const struct smtpd *);

#endif
