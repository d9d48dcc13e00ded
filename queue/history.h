/* SPDX-License-Identifier: ISC */
/*
 * history -- what became of messages, on the disk, for `chainmail why`.
 *
 * STATE/history is a Berkeley DB of its own (base/kv.h) with two tables, blocks
 * of lines and their indexes (queue/past.h), both by the number of the block, the
 * newest first.  It is no promise: lines are gathered and written every few
 * seconds without a flush, so a crash costs the last of them and nothing else, and
 * a 250 never waits for it.  It is bounded by age (`history` in the configuration)
 * and by size; the oldest blocks go first.
 */
#ifndef QUEUE_HISTORY_H
#define QUEUE_HISTORY_H

#include "base/kv.h"
#include "queue/past.h"

/* Open it where it is, or make it; NULL on failure. */
struct kv *history_open(const char *dir, const struct clock *, struct error *why);

enum { HISTORY_WORDS = 64, HISTORY_PAGE = 4 * PAST_BLOCK };

struct history_question {
	uint32_t hashes[HISTORY_WORDS]; /* past_hash() of what is looked for: any of them */
	size_t   count;
	uint64_t below;                 /* 0: from the newest block on; else what was said before */
	int64_t  since;                 /* what ended before is not told */
};

/*
 * A part of the answer, which is bounded in time and size: lines in the order of
 * their blocks, the newest first, in a buf of HISTORY_PAGE.  Ask again with *below_r;
 * 0: that was all.
 */
bool history_look(struct kv *, const struct history_question *, struct buf *lines, uint64_t *below_r,
    struct error *why);

#endif
