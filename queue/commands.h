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

#include "base/kv.h"
#include "base/numbers.h"
#include "queue/spool.h"

enum {                                  /* frames on the control socket */
	FRAME_REQUEST = 1,              /* JSON of a queue_request */
	FRAME_ROW,                      /* JSON: what is not a message */
	FRAME_BYTES,                    /* a part of a message's text, for `show` */
	FRAME_END,                      /* JSON: {"count":2}; "error":"…" and "missing" when it failed */
	/*
	 * JSON: {"verb":"list"|"show"|"refresh"|"forget", "domain":"x.test"}, about the
	 * MTA-STS policies in the cache; answered by FRAME_BYTES, each a domain and its
	 * entry (sts/cache.h) as pack_slice() has them, and FRAME_END.
	 */
	FRAME_STS_REQUEST,
	FRAME_ROWS,                     /* a part of a stream of messages (queue/row.h) */
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
	QUEUE_VERIFY,                   /* do segments, content and catalogue agree, to the byte? */
	QUEUE_REBUILD,                  /* make the catalogue again, then the same */
	QUEUE_BACKUP,                   /* a row: {"segment", "bytes"} of spool_keep_still(), and no end */
	QUEUE_DUMP,                     /* queue_kept() */
	QUEUE_LOAD,                     /* "rows" of the request */
	QUEUE_WHY,                      /* lines of the past: history_answer() */
	QUEUE_LEFT,                     /* of the list `from`, or of all */
	QUEUE_SEALERS,
	QUEUE_FORGET,                   /* the one of the list `from` and the member `to` */
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

/* How far a selection has come; { 0 } is its beginning. */
struct queue_selection {
	size_t            most;         /* messages to look at in one call; 0: all */
	struct spool_walk walk;
	size_t            ids;          /* of the request, so many are done */
	uint64_t          missing[10];  /* the first of them that are not there, … */
	size_t            missing_count;        /* … of all of these */
	struct error      why;          /* one of them cannot be read; or empty */
};

/*
 * Go over the messages that are selected.  True: it was stopped, by `each` returning
 * false or by `most`, and the next call goes on.  An id that is not there is noted, and
 * passed over.
 */
bool queue_select(struct spool *, const struct queue_request *, struct queue_selection *,
    bool (*each)(void *arg, const struct found *), void *arg);
void queue_selection_end(struct queue_selection *);
/* All that was asked for is there and can be read; else *why. */
bool queue_selection_whole(const struct queue_selection *, struct error *why);
/*
 * One that was selected; false when it has ended meanwhile or cannot be read.  What is
 * to be dropped need not be readable: then nothing but its id is known.
 */
bool queue_look_at(struct spool *, enum queue_verb, uint64_t id,
    bool (*each)(void *arg, const struct found *), void *arg, struct error *why);

/* How the spool is: what spool_usage() tells, in the order of interest. */
json_t *queue_stats(struct spool *);
/*
 * Of VERIFY and REBUILD all but the bytes of contents, which take their time:
 * spool_verify_contents().  Nothing may be on its way.
 */
bool queue_verify(struct spool *, enum queue_verb, struct error *why);

/* Its text, piece by piece: the header, or all of it. */
bool queue_text(struct spool *, uint64_t id, bool all, void (*piece)(void *arg, struct slice),
    void *arg, struct error *why);

/*
 * What a running queue knows of a message's recipients and the spool does not show yet:
 * a newer state may be on its way to the disk, and nothing older is written behind it.
 */
struct known {
	const uint32_t       *tries;    /* of each: its attempts and one; 0: leave it alone */
	uint32_t              count;
	const struct numbers *warned;   /* their sender was told that they wait */
};

/* Does it change anything?  RETRY leaves alone what is held.  No `known`: nobody runs. */
bool queue_changes(enum queue_verb, const struct found *, const struct known *);
/* RETRY, HOLD, RELEASE, DROP, BOUNCE, as far as the disk is concerned. */
void queue_change(struct spool *, enum queue_verb, const struct found *, const struct known *);
/* How the recipients stand after it, but for DROP. */
void queue_change_each(enum queue_verb, const struct found *, const struct known *,
    void (*each)(void *arg, const struct recipient_state *), void *arg);

/* --- what is kept beside mail ------------------------------------------------------- */

/*
 * DUMP, LOAD, LEFT, SEALERS, FORGET.  `each` gets the rows of the answer, which are its
 * own, until it returns false:
 *
 *     DUMP        queue/state.h
 *     LEFT        {"list", "member", "since"}
 *     SEALERS     {"sealer", "untrusted", "believed", "last"}
 *
 * LOAD takes `rows`, an array of the first; of it, what comes before one that cannot be
 * taken stays.  `count_r` gets how many rows were given, taken or forgotten.
 */
bool queue_kept(struct kv *, const struct queue_request *, const json_t *rows,
    bool (*each)(void *arg, json_t *row), void *arg, size_t *count_r, struct error *why);

#endif
