/* SPDX-License-Identifier: ISC */
/*
 * row -- a message that waits, as it is shown: `queue list`, `show`, `why`.
 *
 * The queue makes a row of what it found, or whoever opens the spool when nobody
 * runs; everything that is shown of it is made from that, in one place.  Between
 * processes rows are a stream of bytes, cut into frames anywhere, because a row
 * can be longer than a frame.  Pure.
 */
#ifndef QUEUE_ROW_H
#define QUEUE_ROW_H

#include <jansson.h>

#include "base/pack.h"
#include "queue/envelope.h"

enum { QUEUE_ROW_MOST = 256 << 20 };          /* bytes of one row, packed */

/* What is known of a living message.  Whoever gives one says how long it is valid. */
struct found {
	struct envelope         summary;        /* envelope_summary() */
	struct recipient_state *states;         /* of those that have one, in their order */
	size_t                  count;
};

/*
 * Each recipient that is not finished, with his state, or NULL when he has none;
 * until `each` returns false, then false.
 */
bool found_each_open(const struct found *,
    bool (*each)(void *arg, uint32_t number, const struct recipient *, const struct recipient_state *),
    void *arg);

struct queue_row {
	struct found found;
	bool         active;            /* it is being tried, or about to be */
	int64_t      expires;           /* ms since 1970; 0: not known */
};

/* "active", "hold", "deferred" or "incoming", as Postfix has them. */
const char *row_queue(const struct queue_row *);
/* Why a recipient still waits: "host: 451 4.4.1 what it said"; nothing when nothing happened yet. */
void row_reason_add(struct buf *, const struct recipient_state *);

/*
 * The keys of `postqueue -j` (queue_name, queue_id, arrival_time, message_size,
 * forced_expire, sender, recipients) and ours (attempts, last_attempt, next_attempt,
 * orig_address, expires, parent).  The caller's.
 */
json_t *row_json(const struct queue_row *);
/* A stranger's words as a JSON string: made harmless where they are no UTF-8. */
json_t *row_text(struct slice);

void row_pack(const struct queue_row *, struct buf *);

/*
 * The next row of a stream: ROW_PART when the rest of it has not come yet.
 * Arrays lie in the arena, slices point into the stream.
 */
enum row_answer { ROW_GOT, ROW_PART, ROW_BAD };
enum row_answer row_unpack(struct queue_row *, struct slice *stream, struct arena *);

#endif
