/* SPDX-License-Identifier: ISC */
/*
 * catalogue -- what is living, as rows in a key-value store, so that a start
 * need not read all segments.
 *
 * It is a cache of the truth: the segments are the truth.  A row is written a
 * while after the record it stands for, and only if the message still lives;
 * most messages are delivered before they get one.  With each commit stands how
 * far the rows reach ("everything up to record N"), how many there are and a sum
 * over them; at a start the segments are replayed from N on.  When N is missing,
 * the sum is wrong, a row points to where nothing is, or anything fails, the
 * rows are worth nothing: they are thrown away and made again from the segments,
 * in steps, while the queue works.
 *
 * Commits are not flushed: after a power cut N may be older than it was.
 *
 *     living  id u64 | 'm'                 place, large u8, envelope_summary()
 *             id u64 | 's' | recipient u32 place, struct recipient_state
 *             id u64 | 'z' | route u32     place
 *     reach   "reach"                      format, sequence, place, rows, sum
 *
 * Numbers in keys are big-endian, so that the rows of a message follow each other.
 */
#ifndef QUEUE_CATALOGUE_H
#define QUEUE_CATALOGUE_H

#include "base/clock.h"
#include "queue/living.h"
#include "queue/row.h"

struct catalogue;

/* Reads and checks a record; the bytes it points to are valid until the next call. */
struct record_reader {
	bool (*read)(void *arg, struct spot, struct spool_record *, struct error *why);
	void  *arg;
};

/* The disk refused, which may pass; what is damaged or gone has no such excuse. */
bool read_refused(const struct error *);

/* NULL: it cannot be used now; the queue works without it, and a start takes longer. */
struct catalogue *catalogue_open(const char *dir, const struct clock *, bool anew,
    struct error *why);
void catalogue_close(struct catalogue *);       /* NULL is fine */
/* Where a damaged one was put, or NULL. */
const char *catalogue_aside(const struct catalogue *);

/* A record, and that everything before it has been applied. */
struct reach {
	uint64_t     sequence;
	struct spot at;
};

/*
 * Fill an empty `living` with what the rows say.  False, with `why`, when they
 * are not to be believed, then living is empty again.  `valid` tells whether a
 * place can be in the segments that are there.
 */
bool catalogue_load(struct catalogue *, struct living *,
    bool (*valid)(void *arg, struct spot), void *arg, struct reach *, struct error *why);

/* Nothing was ever committed to it: the program ended within a second or two of making it. */
bool catalogue_blank(struct catalogue *);

/* A record was applied; its row is due. */
void catalogue_note(struct catalogue *, const struct change *, bool rowed, struct reach);
/* All rows are due: nothing is in it yet. */
void catalogue_note_all(struct catalogue *, const struct living *, struct reach newest);

/*
 * A second has passed: what was due when this was called the last time is ripe.
 * What is younger waits, in the hope that it need not be written at all.
 */
void   catalogue_ripen(struct catalogue *);
/* Write at most `most` of the ripe rows, and commit.  False: it failed and must be closed. */
bool   catalogue_write(struct catalogue *, struct living *, const struct record_reader *, size_t most,
    struct error *why);
/* Ripe or not. */
bool   catalogue_write_some(struct catalogue *, struct living *, const struct record_reader *,
    size_t most, struct error *why);
bool   catalogue_write_all(struct catalogue *, struct living *, const struct record_reader *,
    struct error *why);
size_t catalogue_due(const struct catalogue *);
size_t catalogue_ripe(const struct catalogue *);
/* Up to which record the rows reach; 0 while they do not say everything. */
uint64_t catalogue_reach(const struct catalogue *);
bool   catalogue_checkpoint(struct catalogue *, struct error *why);     /* see kv.h */

/* --- all that lives --------------------------------------------------------------- */

/*
 * Each living message with a higher id than `after`, in the order of ids, until
 * `each` returns false.  A row that cannot be understood is a failure.  Nothing may
 * be due, and catalogue_reach() must not be 0.  What is found is valid during the call.
 */
bool catalogue_each(struct catalogue *, uint64_t after,
    bool (*each)(void *arg, const struct found *), void *arg, struct error *why);
/*
 * For when there is no catalogue: their ids, in the order in which they lie in the
 * segments; for the caller to free().
 */
uint64_t *living_ids(const struct living *, uint64_t after, size_t *count_r);

/* One of them; false when it is not there or cannot be read. */
bool living_look(const struct whereabouts *, const struct record_reader *,
    bool (*each)(void *arg, const struct found *), void *arg, struct error *why);

/*
 * What it remembers of a message whose record has rotted: the summary, in `bytes` and the
 * arena.  False: nothing.
 */
bool catalogue_recall(struct catalogue *, uint64_t id, struct buf *bytes, struct arena *,
    struct envelope *);

/* Are the rows exactly those that belong to `living`?  Nothing may be due. */
bool catalogue_check(struct catalogue *, const struct living *, const struct record_reader *,
    struct error *why);

#endif
