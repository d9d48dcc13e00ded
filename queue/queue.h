/* SPDX-License-Identifier: ISC */
/*
 * queue -- the role that owns the spool: takes messages in for good, decides
 * when and where each of them is tried, seals what leaves, tells senders.
 *
 * It holds the DKIM and ARC keys and never touches the network.  Listeners
 * (smtpd) and deliverers are other processes on links; any of them may die and
 * come back with a new link at any time.
 */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/ids.h"
#include "base/log.h"
#include "conf/route.h"
#include "net/loop.h"

enum {                                  /* kinds of frames between smtpd and queue */
	FRAME_STORE = 1,                /* number u64, file u64 (0: none), envelope, content */
	FRAME_STORED,                   /* number u64, a status */
	FRAME_SPACE,                    /* number u64: a file for a large message, please */
	FRAME_SPACE_IS,                 /* number u64, file u64, a status; its descriptor */
	FRAME_SPACE_DROP,               /* file u64: not needed any more */
	FRAME_PAST,                     /* lines of the log about messages (queue/past.h) */
	FRAME_VOUCHED,                  /* u8 of enum vouched, the sealer (queue/vouching.h) */
	FRAME_REPEATED,                 /* what another queue did not answer has been asked again */
};

enum {                                  /* kinds of frames between web and queue */
	FRAME_LEAVE = 1,                /* door u32, visitor u64, a word (mail/unsubscribe.h) */
	FRAME_LEFT,                     /* door u32, visitor u64, u8 of enum left */
};

enum left {
	LEFT_DONE,                      /* he is off the list, and the disk knows it */
	LEFT_UNKNOWN,                   /* the word is not ours, or the list is no more */
	LEFT_LATER,                     /* it cannot be written down now */
};

struct queue;

struct queue_options {
	const struct conf   *conf;
	const struct routes *routes;
	const struct reader *files;     /* signing keys */
	struct log          *log;
	unsigned             slot;      /* base/ids.h */
	struct ids_bound    *ids;       /* the same; NULL: nobody else gives names */
	unsigned             sealers;   /* threads for signatures; 0: on the loop, in order */
	bool                 threadless;        /* the spool too */
	uint64_t             segment;   /* bytes of a segment; 0: the default */
	uint64_t             history;   /* bytes of lines that are kept; 0: the default */
};

struct queue *queue_start(struct loop *, const struct queue_options *, struct error *why);
/* A link to a listener or a deliverer, new or in place of one that is gone. */
void          queue_smtpd(struct queue *, int fd);
void          queue_delivery(struct queue *, int fd);
void          queue_web(struct queue *, int fd);
/* A listening socket for the queue commands. */
void          queue_commands(struct queue *, int fd);
/*
 * Start no more attempts; `idle` once everything that was taken is on the disk.  Attempts under
 * way go on: their deliverers tell the next queue how they went.
 */
void          queue_drain(struct queue *, void (*idle)(void *arg), void *arg);
void          queue_end(struct queue *);

/* How many messages live, and how many attempts run: for ready, status, tests. */
size_t        queue_messages(const struct queue *);
size_t        queue_active(const struct queue *);

#endif
