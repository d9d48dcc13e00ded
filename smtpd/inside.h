/* SPDX-License-Identifier: ISC */
/*
 * inside -- what the files of the smtpd role share, and nobody else sees.
 *
 *     smtpd.c     doors, policy, the end
 *     visit.c     one client's connection: bytes between stream and session
 *     accept.c    from the final dot to the reply
 *     storage.c   requests to the queue, and its answers
 *     witness.c   what the queue is told for `chainmail why`
 */
#ifndef SMTPD_INSIDE_H
#define SMTPD_INSIDE_H

#include "arc/verdict.h"
#include "base/ids.h"
#include "conf/secrets.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/tls.h"
#include "queue/envelope.h"
#include "queue/vouching.h"
#include "smtpd/intake.h"
#include "smtpd/session.h"
#include "smtpd/smtpd.h"

struct door {
	struct smtpd             *smtpd;
	const struct listen_conf *conf;
	struct tls_server        *tls;          /* NULL: none is offered */
	struct listener         **listeners;
	size_t                    listener_count;
};

struct smtpd {
	struct loop         *loop;
	struct smtpd_options options;
	struct door         *doors;             /* one for each listen block */
	struct counts       *counts, own;       /* of their connections; our own when nobody gave any */
	struct policy        policy;
	struct keys         *keys;              /* parsed public keys */
	struct ids           ids;
	struct visit        *visits;
	size_t               visit_count;
	struct storage      *storage;
	struct rates        *rates;
	struct arena        *arena;             /* of the secrets */
	struct secret_set    secrets;           /* of SRS addresses and tickets */
	struct asked        *asked;
	struct witness      *witness;           /* NULL: nothing is kept of the past */
	bool                 draining, hurried;
	struct later         drained;
	void               (*idle)(void *arg);
	void                *idle_arg;
};

/* --- visit.c ------------------------------------------------------------------- */

struct visit;

void visit_begin(struct door *, int fd, struct peer);
void visits_end(struct smtpd *);                /* at once */
void visits_goodbye(struct smtpd *);            /* 421 to those who are idle */
void smtpd_visit_over(struct smtpd *);

/* --- accept.c -------------------------------------------------------------------- */

/* What is known of the client and his connection. */
struct accept_client {
	const struct listen_conf *listener;
	struct ip     ip;
	bool          relay;
	const char   *tls, *cipher;             /* NULL in the clear */
};

struct accept;

/*
 * A whole message has come: evaluate, decide, store.  `done` is called once, from
 * the loop, with what is to be said.  Session and intake must stay as they are
 * until then, or until accept_forget(), which is for a client that went away:
 * a message that is stored by then is delivered all the same (RFC 5321 6.1).
 */
struct accept *accept_begin(struct smtpd *, const struct accept_client *, const struct session *,
    struct intake *, void (*done)(void *arg, struct status), void *arg);
void           accept_forget(struct accept *);  /* NULL is fine */

/* --- storage.c --------------------------------------------------------------------- */

struct storage *storage_new(struct smtpd *);
void            storage_end(struct storage *);
void            storage_link(struct storage *, int fd);

struct storing;

/*
 * Have a message stored; everything is copied.  `file` is the number of a file
 * from storage_space(), or 0 and the content is in memory.
 */
struct storing *storage_store(struct storage *, const struct envelope *, uint64_t file,
    struct slice content, void (*done)(void *arg, struct status), void *arg);
/*
 * A file for a large message: its number and its descriptor, or a bad status.  It
 * goes with the queue that gave it; storing it then fails, to be tried again.
 */
struct storing *storage_space(struct storage *,
    void (*done)(void *arg, struct status, uint64_t file, int fd), void *arg);
void            storage_forget(struct storing *);       /* nobody waits any more; NULL is fine */
void            storage_drop_space(struct storage *, uint64_t file);

/* Lines for the history (FRAME_PAST); false: there is no queue now, or it is slow. */
bool            storage_tell(struct storage *, struct slice lines);
/* What the word of a sealer has changed, or would have, is counted there (FRAME_VOUCHED). */
void            storage_vouched(struct storage *, enum vouched, struct slice sealer);
void            storage_flush(struct storage *);        /* before the process ends */

/* --- witness.c ----------------------------------------------------------------------- */

struct witness *witness_new(struct smtpd *);            /* the log is read along from now on */
void            witness_tell(struct witness *);         /* at once; NULL is fine */
void            witness_free(struct witness *);

/* --- rates.c ------------------------------------------------------------------------- */

struct rates *rates_new(void);
void          rates_free(struct rates *);
/* One more of a client within his rate; counted in this process. */
bool          rates_allow(struct rates *, struct ip, struct rate, int64_t now);

/* --- asked.c: messages that we asked to have again, known to this process --------------- */

struct asked *asked_new(void);
void          asked_free(struct asked *);
bool          asked_before(const struct asked *, struct slice sender, const struct header *);
void          asked_again(struct asked *, struct slice sender, const struct header *);

#endif
