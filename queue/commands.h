/* SPDX-License-Identifier: ISC */
/*
 * commands -- what `chainmail queue` asks, and what the queue answers.
 *
 * The program that runs is asked over its control socket; when nobody runs the
 * command opens the spool itself.  Both ways are the same functions: select
 * messages, show them, change how their recipients stand.
 *
 * On the socket one request goes one way, then a row of answers the other (net/link).
 */
#ifndef QUEUE_COMMANDS_H
#define QUEUE_COMMANDS_H

#include <jansson.h>

#include "queue/spool.h"

enum {                                  /* frames on the control socket */
	FRAME_REQUEST = 1,              /* JSON of a queue_request */
	FRAME_ROW,                      /* JSON: a message (queue_row) */
	FRAME_BYTES,                    /* a part of a message's text, for `show` */
	FRAME_END,                      /* JSON: {"count":2} or {"error":"…"} */
	/*
	 * JSON: {"verb":"list"|"show"|"refresh"|"forget", "domain":"x.test"}, about the
	 * MTA-STS policies in the cache; answered by FRAME_BYTES, each a domain and its
	 * entry (sts/cache.h) as pack_slice() has them, and FRAME_END.
	 */
	FRAME_STS_REQUEST,
};

enum queue_verb {
	QUEUE_LIST,
	QUEUE_SHOW,                     /* with the header of the message, or all of it */
	QUEUE_RETRY,                    /* now, whatever it waits for */
	QUEUE_HOLD,                     /* not until somebody releases it */
	QUEUE_RELEASE,
	QUEUE_DROP,                     /* for good; nobody is told */
	QUEUE_BOUNCE,                   /* for good; the sender is told */
	/* about the whole spool */
	QUEUE_STATS,                    /* a row: queue_stats() */
	QUEUE_VERIFY,                   /* do segments, content and catalogue agree? */
	QUEUE_REBUILD,                  /* make the catalogue again, then the same */
	QUEUE_BACKUP,                   /* a row: {"segment", "bytes"} of spool_keep_still(), and no end */
	QUEUE_DUMP,                     /* rows of queue/state.h */
	QUEUE_LOAD,                     /* the same back: "rows" of the request */
	QUEUE_WHY,                      /* lines of the past: history_answer() */
	QUEUE_VERBS,
};

struct queue_request {
	enum queue_verb verb;
	bool            text;           /* SHOW: all of the message, not only its header */
	bool            all;            /* every message; otherwise: */
	uint64_t       *ids;            /* these, if there are any, … */
	size_t          id_count;
	struct slice    from, to;       /* … and only with this sender, this recipient: address or domain */
};

const char *queue_verb_word(enum queue_verb);
bool        queue_verb_parse(struct slice, enum queue_verb *);

json_t *queue_request_json(const struct queue_request *);
/* Slices and ids lie in the arena. False: it is no request; or it does not say which messages. */
bool    queue_request_read(struct queue_request *, struct slice json, struct arena *);

/* --- messages ---------------------------------------------------------------------- */

/*
 * Go over the messages that are selected; `each` may change them.  An id that is
 * not there is an error, but the others are gone over.
 */
bool queue_select(struct spool *, const struct queue_request *,
    bool (*each)(void *arg, const struct found *), void *arg, struct error *why);

/*
 * A message with the keys of `postqueue -j` (queue_name, queue_id, arrival_time,
 * message_size, forced_expire, sender, recipients) and ours.  `expires` in ms.
 */
json_t *queue_row(const struct found *, bool active, int64_t expires);

/* How the spool is: what spool_usage() tells, in the order of interest. */
json_t *queue_stats(struct spool *);
/* Nothing may be on its way. */
bool queue_verify(struct spool *, enum queue_verb, struct error *why);

/* Its text, piece by piece: the header, or all of it. */
bool queue_text(struct spool *, uint64_t id, bool all, void (*piece)(void *arg, struct slice),
    void *arg, struct error *why);

/* RETRY, HOLD, RELEASE, DROP, BOUNCE, as far as the disk is concerned. */
void queue_change(struct spool *, enum queue_verb, const struct found *);
/* How the recipients stand after it, but for DROP. */
void queue_change_each(enum queue_verb, const struct found *,
    void (*each)(void *arg, const struct recipient_state *), void *arg);

#endif
