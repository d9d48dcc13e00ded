/* SPDX-License-Identifier: ISC */
/*
 * tale -- what became of a message, in sentences: from the lines that were logged
 * of it (queue/past.h) and from how it stands in the queue, and nothing else.
 *
 * Lines of others that name it belong to its tale too: the post that a list made
 * of it, the report that was sent about it.
 */
#ifndef CMD_TALE_H
#define CMD_TALE_H

#include <jansson.h>

#include "queue/past.h"

enum tale_end {
	TALE_WAITING,                   /* it is in the queue */
	TALE_HELD,                      /* the same, and is not tried */
	TALE_DELIVERED,                 /* to everybody we know of */
	TALE_FAILED,                    /* to some or to all it could not be delivered */
	TALE_REFUSED,                   /* it was never taken in */
	TALE_PASSED_ON,                 /* a list posted it */
	TALE_DROPPED,
	TALE_UNKNOWN,                   /* it came, and its end is not kept */
};

struct tale {
	struct slice            id;
	const struct past_line *lines;  /* in the order of time */
	size_t                  count;
	const json_t           *row;    /* row_json(), or NULL: it does not wait */
	int64_t                 now;    /* ms */
};

enum tale_end tale_end(const struct tale *);
const char   *tale_end_word(enum tale_end);     /* "waiting" */
void          tale_add(struct buf *, const struct tale *);

/* Commands that were refused, without a message: those that are the same in one line. */
void tale_refusals_add(struct buf *, const struct past_line *, size_t count);

/* {"id", "end", "events": [{"t", "id", "event", …keys as they are logged…}], "queue": row or null} */
json_t *tale_json(const struct tale *);
json_t *tale_line_json(const struct past_line *);

#endif
