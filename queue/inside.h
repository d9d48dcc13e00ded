/* SPDX-License-Identifier: ISC */
/*
 * inside -- what the files of the queue role share with each other, and nobody
 * else sees.
 *
 *     queue.c     beginning, end, links, the spool's voice
 *     entry.c     messages coming in from listeners
 *     plan.c      who gets what next: recipients to tasks, expansion
 *     dispatch.c  tasks to orders, results to states
 *     outgoing.c  what a message looks like when it leaves: signatures and seals
 *     lists.c     the post of a list
 *     tell.c      reports to senders
 *     commands.c  the queue commands
 */
#ifndef QUEUE_INSIDE_H
#define QUEUE_INSIDE_H

#include "auth/key.h"
#include "base/ids.h"
#include "base/kv.h"
#include "net/job.h"
#include "net/link.h"
#include "queue/queue.h"
#include "queue/schedule.h"
#include "queue/spool.h"

/* A signing key of the configuration, with its place in it. */
struct queue_key {
	const struct key_conf *conf;
	struct signing_key     key;
};

struct queue {
	struct loop           *loop;
	struct queue_options   options;
	struct spool          *spool;
	struct kv             *kv;              /* policies and counters; NULL: they cannot be kept */
	struct kv_table       *sts;
	struct schedule        schedule;
	struct jobs           *jobs;
	struct ids             ids;
	struct queue_key      *keys;
	size_t                 key_count;
	struct event           spool_rings;
	struct timer           tidy, wake;
	struct later           dispatch, again;
	struct smtpd_link     *smtpds;
	struct delivery_link  *deliveries;
	struct commands       *commands;
	struct work           *works;           /* attempts under way */
	uint64_t               order_number;
	size_t                 under_way, expanding, telling;   /* attempts, recipients becoming others, reports */
	struct buf             scratch;         /* for reading a message; RECORD_MOST */
	bool                   draining, loaded;
	struct later           drained;
	void                 (*idle)(void *arg);
	void                  *idle_arg;
};

/* --- queue.c ------------------------------------------------------------------------ */

/* Look again at what can be tried; cheap, and done once a turn. */
void queue_look(struct queue *);
void queue_alarm(struct queue *, const char *what, const char *why);
/* One attempt less: maybe everything is done. */
void queue_work_over(struct queue *);

/* --- entry.c ------------------------------------------------------------------------- */

void smtpd_link_new(struct queue *, int fd);
void smtpd_links_end(struct queue *);

/*
 * A message of our own (a list's post, a report) goes into the spool; `done` as in
 * spool_store().  The content may be of any size and is copied.
 */
void queue_store_own(struct queue *, const struct envelope *, struct slice content,
    void (*done)(void *arg, struct status), void *arg);

/* --- plan.c -------------------------------------------------------------------------- */

/* A message is in the spool: make tasks for recipients that are open. */
void plan_message(struct queue *, const struct envelope *, const struct recipient_state *, size_t n);
/* The same for everything that lives, at the start. */
bool plan_all(struct queue *, struct error *why);

/* Where a recipient goes now. */
enum place_kind { PLACE_SMTP, PLACE_LMTP, PLACE_MAILDIR, PLACE_DISCARD, PLACE_EXPAND, PLACE_NOWHERE };

struct place_to_go {
	enum place_kind kind;
	struct slice    key;            /* of the destination: "mx x.test", "maildir /m/ann" */
	struct slice    domain, place;  /* for the order */
	struct slice    seal;           /* the domain that seals, or empty */
	struct destination_terms terms;
	struct route    route;
};

/* A recipient by its number, also one that an expansion made; NULL: there is none. */
const struct recipient *plan_find_recipient(struct queue *, const struct envelope *, uint32_t number,
    struct arena *);

void place_find(struct queue *, const struct envelope *, const struct recipient *, struct arena *,
    struct place_to_go *);

/* PLACE_EXPAND: replace the recipient by what the configuration makes of it. */
void plan_expand(struct queue *, struct task *);

/* A recipient is finished for good; the message goes when it was the last one. */
void plan_recipient_over(struct queue *, struct message *, uint32_t recipient,
    const struct recipient_state *);

/* --- dispatch.c ------------------------------------------------------------------------ */

void dispatch_turn(struct queue *);             /* start what can be started */
void delivery_link_new(struct queue *, int fd);
void delivery_links_end(struct queue *);
void works_end(struct queue *);
/* When a task that failed so often is tried next, in ms from now. */
int64_t retry_delay(const struct queue *, uint32_t attempts);

/* --- outgoing.c ------------------------------------------------------------------------- */

struct outgoing;

/*
 * The bytes in front of the body for one message and one sealing domain: our
 * seal and signature (when it leaves this house), the trace, what is left of the
 * header.  It is made in a job
 * and given to `made`, from the loop; `head` is valid until outgoing_free().
 */
struct outgoing *outgoing_make(struct queue *, const struct stored *, struct slice seal_domain,
    bool leaves, void (*made)(void *arg, struct slice head), void *arg);
void             outgoing_free(struct outgoing *);      /* also before it is made; NULL is fine */
/* The fields that were made, to be kept for retries; empty: none. */
struct slice     outgoing_fields(const struct outgoing *);

/* --- lists.c ------------------------------------------------------------------------------ */

/* Make the list's post from a message; `done` with a good status when it is stored. */
void list_post(struct queue *, const struct stored *, uint32_t recipient, const struct list *,
    void (*done)(void *arg, struct status), void *arg);

/* --- tell.c ---------------------------------------------------------------------------------- */

struct told {
	uint32_t           recipient;   /* in the message */
	enum { TELL_FAILED, TELL_DELAYED } kind;
	struct status      status;
	struct slice       host;
};

/*
 * Tell the sender, if he is to be told (RFC 3461, 3464): one report about all of
 * them.  `done` comes when it is stored, or at once from the loop when nobody is
 * told; with a bad status nothing was stored and it must be asked again.
 */
void tell_sender(struct queue *, uint64_t id, const struct told *, size_t n,
    void (*done)(void *arg, struct status), void *arg);

/* --- commands.c --------------------------------------------------------------------------------- */

struct commands *commands_new(struct queue *, int fd);
void             commands_end(struct commands *);       /* NULL is fine */

#endif
