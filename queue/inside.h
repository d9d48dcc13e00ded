/* SPDX-License-Identifier: ISC */
/*
 * inside -- what the files of the queue role share with each other, and nobody
 * else sees.
 *
 *     queue.c     beginning, end, links, the spool's voice
 *     entry.c     messages coming in from listeners
 *     plan.c      who gets what next: recipients to tasks
 *     expand.c    one recipient becomes others
 *     opened.c    messages as they are read, once for many attempts
 *     dispatch.c  tasks to orders, and results back to their tasks
 *     settle.c    results to states, reports and the next time
 *     late.c      whom a warning of delay names
 *     senders.c   whose name stands in MAIL FROM, and the way back
 *     outgoing.c  what a message looks like when it leaves: signatures and seals
 *     lists.c     the post of a list
 *     leaving.c   members who leave it with one click
 *     tell.c      reports to senders
 *     callers.c   the queue commands, from the control socket
 *     caches.c    policies that deliverers fetched: kept, given, refreshed in time
 *     tlsrpt.c    TLS sessions counted, and reports on them
 *     vouching.c  what the word of sealers changed, or would have
 *     history.c   what became of messages, for `chainmail why`
 */
#ifndef QUEUE_INSIDE_H
#define QUEUE_INSIDE_H

#include "auth/canon.h"
#include "auth/signing_key.h"
#include "base/ids.h"
#include "base/kv.h"
#include "conf/listing.h"
#include "conf/secrets.h"
#include "net/job.h"
#include "net/link.h"
#include "queue/order.h"
#include "queue/queue.h"
#include "queue/report.h"
#include "queue/schedule.h"
#include "queue/spool.h"

/* A signing key of the configuration, with its place in it. */
struct queue_key {
	const struct key_conf *conf;
	struct signing_key     key;
};

/* What was made for the post that was sealed last, and who makes it for one now. */
struct sealed_post {
	uint64_t         id;            /* 0: none */
	struct buf       domain, fields;
	struct outgoing *maker;         /* or NULL */
};

/* The post of a list that lives, when its parent may not know yet that it was made. */
struct made_post {
	uint64_t parent;
	uint32_t recipient;             /* of the parent: the list */
};

struct queue {
	struct loop           *loop;
	struct queue_options   options;
	struct spool          *spool;
	struct kv             *kv;              /* policies and counters; NULL: they cannot be kept */
	struct caches         *caches;          /* NULL: the same */
	struct timer           caches_again;    /* then they are opened */
	struct tlsrpt         *tlsrpt;
	struct history        *history;
	struct schedule        schedule;
	struct jobs           *jobs;
	struct ids             ids;
	struct queue_key      *keys;
	size_t                 key_count;
	struct arena          *arena;           /* of the secrets */
	struct secret_set      secrets;         /* of SRS addresses and tickets */
	struct sealed_post     sealed_post;
	struct opened_inside  *opened;          /* messages that are kept open, the newest first */
	struct made_post      *made_posts;
	size_t                 made_post_count;
	struct event           spool_rings;
	struct timer           tidy, wake;
	struct later           dispatch, again;
	struct smtpd_link     *smtpds;
	struct delivery_link  *deliveries;
	struct leaving_link   *leavings;
	struct callers        *callers;
	struct work           *works;           /* attempts under way */
	struct ending         *endings;         /* recipients whose sender is told first */
	uint64_t               order_number;
	size_t                 under_way, expanding, telling, storing;  /* what is not finished */
	struct buf             scratch;         /* for reading a message; RECORD_MOST */
	bool                   no_files;        /* none can be made for large mail, and somebody was told */
	bool                   disk_refuses;    /* one way or another, and somebody was told then: */
	int64_t                disk_told;       /* ticks */
	int64_t                ahead;           /* of the ticks was the clock */
	bool                   draining, loaded;
	uint64_t              *unplanned;       /* messages that the disk refused to read at the start */
	size_t                 unplanned_count;
	struct timer           plan_again;
	bool                   heard;           /* listeners have asked again what they must */
	struct later           drained;
	void                 (*idle)(void *arg);
	void                  *idle_arg;
};

/* --- queue.c ------------------------------------------------------------------------ */

/* Look again at what can be tried; cheap, and done once a turn. */
void queue_look(struct queue *);
void queue_alarm(struct queue *, const char *what, const char *why);
/*
 * The disk refuses something: an alarm, unless there was one about something else that it
 * refused in the last minute and it is not well again; then a note.
 */
void queue_disk_alarm(struct queue *, const char *what, const char *why);
void queue_note(struct queue *, const char *what, const char *why);
/*
 * The message, or NULL when it has ended, cannot be read: told once, until it can.  True:
 * the disk refuses, and may read it later; false: what there was is gone or damaged.
 */
bool queue_unreadable(struct queue *, struct message *, const struct error *why);
/* Something that was under way is over: maybe everything is done. */
void queue_work_over(struct queue *);
/* Say a status from the loop, to somebody who must not hear it at once. */
void queue_later_status(struct queue *, struct status, void (*done)(void *arg, struct status),
    void *arg);

/* --- entry.c ------------------------------------------------------------------------- */

void smtpd_link_new(struct queue *, int fd);
void smtpd_links_end(struct queue *);
/*
 * Whatever the queue before did not answer has been asked again by now: a message that had
 * ended before that would not be known any more, and be taken a second time.
 */
bool listeners_told(struct queue *);

/*
 * A message of our own, a list's post or a report, of any size: its header, then
 * its body, then into the spool.  own_store() completes the envelope (sizes, hash)
 * and copies it; `done` as in spool_store().
 */
struct own {
	struct queue        *queue;
	struct buf           small;
	struct spool_content file;      /* fd -1: it is small */
	struct bodies        bodies;
	uint64_t             size, header_size;
	uint32_t             sum;       /* CRC32C of what is in the file */
	bool                 failed;
	struct error         why;
};

void own_begin(struct queue *, struct own *);
void own_add(struct own *, struct slice header);
void own_header_done(struct own *);             /* writes the empty line */
void own_add_body(struct own *, struct slice);
void own_store(struct own *, struct envelope *, void (*done)(void *arg, struct status), void *arg);
void own_drop(struct own *);                    /* instead of own_store() */

/* --- plan.c -------------------------------------------------------------------------- */

/* A message is in the spool: make tasks for recipients that are open. */
void plan_message(struct queue *, const struct envelope *, const struct recipient_state *, size_t n);
/* The same for everything that lives, at the start. */
void plan_all(struct queue *);

/* Where a recipient goes now. */
enum place_kind {
	PLACE_SMTP, PLACE_LMTP, PLACE_HOST, PLACE_MAILDIR, PLACE_DISCARD, PLACE_EXPAND, PLACE_NOWHERE,
};

struct place_to_go {
	enum place_kind kind;
	struct slice    key;            /* of the destination: "mx x.test", "maildir /m/ann" */
	struct slice    domain, place;  /* for the order */
	struct slice    seal;           /* the domain that seals, or empty */
	struct slice    sender;         /* for MAIL FROM */
	bool            alone;          /* the sender is made for this recipient */
	bool            ticket;         /* a list manager: with our verdict */
	struct slice    one_click;      /* the URI with which this member leaves the list, or empty */
	struct address  instead;        /* EXPAND: what it stands for, when no alias says it */
	struct destination_terms terms;
	struct route    route;
};

/* <postmaster> may stand without a domain (RFC 5321 4.5.1). */
struct address plan_address(const struct recipient *, struct arena *);

void place_find(struct queue *, const struct envelope *, const struct recipient *, struct arena *,
    struct place_to_go *);

/* A task for one recipient; `state` is NULL when there is nothing to tell of it yet. */
void plan_recipient(struct queue *, struct message *, const struct envelope *, uint32_t number,
    const struct recipient *, const struct recipient_state *state);

/* expand.c: PLACE_EXPAND: replace the recipients by what the configuration makes of them. */
void plan_expand(struct queue *, struct task *);
/*
 * At the start: a post that lives, and when all that live are planned.  It was stored
 * before its parent's recipient was said to be expanded; it is not made a second time.
 */
void expand_note_post(struct queue *, uint64_t parent, uint32_t recipient);
void expand_keep_open_posts(struct queue *);
/* The sender was told of the expansion: so says its state from now on. */
void expand_told(struct queue *, struct message *, uint32_t recipient);
/* A recipient needs no more; the message goes when it was the last one: true. */
bool plan_last(struct queue *, struct message *);

/* A recipient is finished for good; the message goes when it was the last one. */
void plan_recipient_over(struct queue *, struct message *, const struct recipient_state *);

/* --- opened.c -------------------------------------------------------------------------- */

/*
 * A message that was read, for whoever got it, until opened_drop().  Its descriptor is
 * read at offsets, by many at once, and is not theirs to close or to give away.
 */
struct opened {
	struct stored stored;
	bool          whole;            /* all of it: as spool_read() says */
};

struct opened *opened_get(struct queue *, uint64_t id, struct error *why);      /* never NULL */
void           opened_drop(struct opened *);                                    /* NULL is fine */
/*
 * Recipients by their numbers, also those that an expansion made; they live as long as
 * the message is open, the array as long as the arena.  NULL: one of them is not there,
 * or, with a number in *why, cannot be read now.
 */
const struct recipient **opened_recipients(struct queue *, struct opened *, const uint32_t *numbers,
    size_t n, struct arena *, struct error *why);
/*
 * The same, for whoever tells of them: in place of one who is not there any more, because
 * what said who he is has rotted, stands the one of whom he was made.
 */
const struct recipient **opened_names(struct queue *, struct opened *, const uint32_t *numbers, size_t n,
    struct arena *, struct error *why);
/* Was he found, when he or others were asked for? */
bool           opened_knows(struct opened *, uint32_t number);
void           opened_tidy(struct queue *);     /* once a second: what nobody needs any more */
void           opened_end(struct queue *);

/* --- senders.c ------------------------------------------------------------------------- */

/* The envelope sender for the way to this recipient. */
struct slice sender_onward(const struct queue *, const struct envelope *, const struct recipient *,
    struct arena *);
/* Where a bounce goes that came to an SRS address of ours; false: nowhere. */
bool sender_back(const struct queue *, const struct address *to, struct arena *,
    struct address *back_r);
/* The member of a list that a bounce is about; false: it does not say. */
bool sender_member(const struct route *, const struct address *to, struct arena *,
    struct address *member_r);

/* --- dispatch.c ------------------------------------------------------------------------ */

/* Start what can be started; true: more is due than was looked at, call it again. */
bool dispatch_turn(struct queue *, int64_t now);
/* When to do that again by itself: somebody's time comes, or there is room; INT64_MAX: never. */
int64_t dispatch_wake(const struct queue *, int64_t now);
void delivery_link_new(struct queue *, int fd);
void delivery_links_end(struct queue *);
/* Read what deliverers have sent already. */
void delivery_links_take(struct queue *);
void works_end(struct queue *);
/* All deliverers have said what they were doing when this queue began. */
bool deliveries_told(const struct queue *);
/* A message is dropped: whatever a deliverer says of it will not be heard. */
void works_forget(struct queue *, uint64_t id);
/* A word to the deliverer of that domain; false: nobody takes orders now. */
bool delivery_tell(struct queue *, struct slice domain, unsigned kind, struct slice payload);
/* A word to all deliverers, also to those who are leaving or have not told yet what they do. */
void deliveries_tell_all(struct queue *, unsigned kind, struct slice payload);
/* When a task that failed so often is tried next, in ms from now. */
int64_t retry_delay(const struct queue *, uint32_t attempts);
int64_t retry_longest(const struct queue *);    /* of all these */

struct told;                            /* tell.c */

/* --- settle.c --------------------------------------------------------------------------- */

struct tried {
	struct task                   *task;            /* active; it waits again afterwards, or is gone */
	const struct envelope         *envelope;
	const struct recipient *const *recipients;      /* in the order of the task's */
	const struct order_result     *result;
	const char                    *kind;            /* "maildir", "lmtp"; NULL: SMTP */
	bool                           here;            /* no deliverer was asked */
	bool                           late;            /* nor was it tried: it had no turn */
};

void settle(struct queue *, const struct tried *);
/* He was failed by a command, expanded or delivered, and his sender does not know it yet. */
bool settle_owes(const struct recipient_state *);
/* Tell the sender of those who owe it, then they are finished. */
void settle_owed(struct queue *, struct message *, const struct recipient_state *, size_t n);
void settle_end(struct queue *);                        /* nobody is told any more */

/* --- late.c ----------------------------------------------------------------------------- */

/* Shall the sender hear that this one waits?  He was not told, and did not forbid it. */
bool late_untold(const struct message *, uint32_t number, const struct recipient *);

/*
 * All of a message that wait and are untold, from now on counted as told.  Who is
 * being tried just now is not among them; his own result will tell.
 */
struct late {
	uint32_t      number;
	struct status status;           /* the newest; valid during the call */
	struct slice  host;             /* who said it, if it is another house; the same */
	int64_t       tried;            /* 0: never */
};

void late_each(struct queue *, struct message *, void (*each)(void *arg, const struct late *), void *arg);
/* The report about them is stored: their states tell the next queue. */
void late_keep(struct queue *, struct message *, const struct told *, size_t n);

/* --- outgoing.c ------------------------------------------------------------------------- */

struct outgoing;

/*
 * The bytes in front of the body for one message and where it goes: our seal and
 * signature (when it leaves this house), the trace, what is left of the header.  A
 * member's own way off the list stands in the header and is signed with it; then
 * nobody else gets the same.  It is made in a job and given to `made`, from the
 * loop; `head` is valid until outgoing_free().  `doubted`: the job reads the content
 * whole first.
 */
struct outgoing *outgoing_make(struct queue *, const struct stored *, const struct place_to_go *,
    bool doubted, void (*made)(void *arg, struct slice head), void *arg);
void             outgoing_free(struct outgoing *);      /* also before it is made; NULL is fine */
/* Once it is made: the content cannot be read, or is damaged, and nothing must leave; or NULL. */
const struct error *outgoing_flaw(const struct outgoing *);
/* What the content adds up to: the header, as it was read for this, is in it already. */
struct checksum  outgoing_checksum(const struct outgoing *);
/* The fields that were made, to be kept for retries; empty: none. */
struct slice     outgoing_fields(const struct outgoing *);

/* The header of a stored message as it was received. */
bool stored_header(const struct stored *, struct buf *, struct error *why);
/* The trace, then that header without what was left out at arrival. */
void header_leaving(const struct envelope *, struct slice header, struct buf *to);

/* --- lists.c ------------------------------------------------------------------------------ */

/*
 * Make the list's post from a message; `done` with a good status when it is stored, or
 * when nothing is to be posted.  A permanent one is for the sender: no post will be made.
 */
void list_post(struct queue *, const struct stored *, uint32_t recipient, const struct list *,
    void (*done)(void *arg, struct status), void *arg);

/* --- leaving.c (leaving.h) ------------------------------------------------------------------- */

/* The URI of this recipient of a list's post; empty: there is none for him. */
struct slice leaving_uri(const struct queue *, const struct envelope *, const struct recipient *,
    struct arena *);
/* Put those who have left the list into the map; its keys lie in the arena. */
bool leaving_gather(struct queue *, const struct list_conf *, struct arena *, struct map *,
    struct error *why);
void leaving_link_new(struct queue *, int fd);
void leaving_links_end(struct queue *);

/* --- tell.c ---------------------------------------------------------------------------------- */

struct told {
	uint32_t           recipient;   /* in the message */
	enum report_action action;
	struct status      status;
	struct slice       host;
	int64_t            tried;       /* ms; 0: never */
};

/*
 * Tell the sender, if he is to be told (RFC 3461, 3464): one report about as many of
 * them, from the first on, as it can name.  `done` comes when it is stored, or at once
 * from the loop when nobody is told, and says how many that were, at least one: for
 * the others it is asked again.  With a bad status nothing was stored, and none was told.
 */
void tell_sender(struct queue *, uint64_t id, const struct told *, size_t n,
    void (*done)(void *arg, struct status, size_t told), void *arg);

/* --- vouching.c (vouching.h) ------------------------------------------------------------------ */

void vouching_take(struct queue *, struct slice payload);       /* FRAME_VOUCHED */

/* --- caches.c ------------------------------------------------------------------------------- */

void caches_open(struct queue *);
void caches_close(struct queue *);
bool caches_ready(struct queue *);                      /* open; when they failed, tried once more */
void caches_changed(struct queue *);                    /* what was put goes to the disk soon */
/* The frames of deliverers: FRAME_STS_ASK, to be answered there; KEEP; REFRESHED. */
void caches_ask(struct queue *, struct slice domain, struct link *);
void caches_keep(struct queue *, struct slice payload);
void caches_refreshed(struct queue *, struct slice payload);
/* A request of `chainmail sts`, answered over the link, at once or when it is fetched. */
void caches_answer(struct queue *, struct slice request, struct link *);
void caches_forget_link(struct queue *, const struct link *);   /* it ends */

/* --- tlsrpt.c ------------------------------------------------------------------------------- */

void tlsrpt_begin(struct queue *);                      /* the caches are open */
void tlsrpt_end(struct queue *);                        /* before they are closed */
bool tlsrpt_idle(const struct queue *);                 /* nobody's answer is waited for */
bool tlsrpt_turn(struct queue *);                       /* once a minute; true: once a second */
/* The frames of deliverers. */
void tlsrpt_count(struct queue *, struct slice session);
void tlsrpt_where(struct queue *, struct slice payload);
void tlsrpt_posted(struct queue *, struct slice payload);

/* --- history.c ------------------------------------------------------------------------------ */

/* From now on the log is read along, unless the configuration says never. */
void history_begin(struct queue *);
void history_end(struct queue *);                       /* after everybody who may log */
/* Lines of a listener's log: FRAME_PAST. */
void history_keep(struct queue *, struct slice lines);
/* A request of `chainmail why`: JSON with "hashes", "below" and "since" of queue/history.h. */
bool history_answer(struct queue *, struct slice request, struct buf *lines, uint64_t *below_r,
    struct error *why);

/* --- callers.c ---------------------------------------------------------------------------- */

struct callers *callers_new(struct queue *, int fd);
void            callers_end(struct callers *);          /* NULL is fine */

#endif
