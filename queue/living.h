/* SPDX-License-Identifier: ISC */
/*
 * living -- which messages there are, and where in the segments they and what
 * was said about them lie.
 *
 * It is kept in memory, one entry a message: 48 bytes and its place in a map of
 * 16-byte slots, about 80 bytes in all, and 32 more once a recipient has a
 * state.  Nothing of an envelope is in it; the segments have it.
 *
 * living_apply() is the one meaning of a record, for what was just written, for
 * replaying and for rebuilding.  Records may come in the order of the log in
 * which an old message was copied forward: its states may come before it.  Until
 * it comes the entry is a ghost; ghosts that are left at the end are nothing.
 * Applying the end of the log a second time changes nothing.  Pure.
 */
#ifndef QUEUE_LIVING_H
#define QUEUE_LIVING_H

#include "base/error.h"
#include "base/idmap.h"
#include "queue/record.h"

/* A record with its header and the zeros behind; segment 0: nowhere. */
struct spot {
	uint32_t segment, offset, length;
};

enum { SEALS_MOST = 64 };               /* routes of one message with a seal */

struct seal_place {
	uint32_t     route;             /* route_number() */
	struct spot at;
};

struct state_places { uint32_t n; struct spot at[]; };
struct seal_places  { uint32_t n; struct seal_place at[]; };

struct whereabouts {
	uint64_t     id;
	struct spot message;           /* nowhere: a ghost */
	uint32_t     in_flight : 28;    /* records about it on their way to the disk */
	bool         going : 1;         /* the one that ends it is among them */
	bool         large : 1;         /* its content has a file of its own */
	bool         rowed : 1;         /* the catalogue has rows of it */
	struct state_places *states;    /* by recipient; those without one are nowhere */
	struct seal_places  *seals;
};

struct living {
	struct idmap  by_id;
	size_t        messages;         /* ghosts are not counted */
	uint64_t     *bytes;            /* of living records, by segment from `first` on */
	size_t        segments;
	uint32_t      first;
};

/* { 0 } is a valid empty one. */
void living_free(struct living *);

/* What a record changed, for the catalogue. */
struct change {
	enum { CHANGED_NOTHING, CHANGED_MESSAGE, CHANGED_STATE, CHANGED_SEAL, CHANGED_GONE } what;
	uint64_t id;
	uint32_t number;                /* STATE: the recipient; SEAL: the route */
};

struct change living_apply(struct living *, const struct spool_record *, struct spot);

/* The same for what a catalogue remembers. */
void living_message(struct living *, uint64_t id, bool large, struct spot);
void living_state(struct living *, uint64_t id, uint32_t recipient, struct spot);
void living_seal(struct living *, uint64_t id, uint32_t route, struct spot);

struct whereabouts *living_find(const struct living *, uint64_t id);    /* ghosts too */
/* Make a ghost, for a message that is on its way to the disk. */
struct whereabouts *living_expect(struct living *, uint64_t id);
void living_forget(struct living *, uint64_t id);
void living_forget_ghosts(struct living *);
/*
 * Whatever is said to lie in this segment is nowhere: it cannot be read.  Tells
 * each message that is lost by it.
 */
void living_forget_segment(struct living *, uint32_t segment,
    void (*lost)(void *arg, uint64_t id), void *arg);

struct whereabouts *living_next(const struct living *, size_t *at);     /* as idmap_next() */
struct spot state_place(const struct whereabouts *, uint32_t recipient);
struct spot seal_place(const struct whereabouts *, uint32_t route);
/* Does this record still count: is it where the newest of its kind is said to be? */
bool living_has(const struct living *, const struct spool_record *, struct spot);

uint64_t living_bytes(const struct living *, uint32_t segment);
uint64_t living_bytes_all(const struct living *);
/* The segments up to this one are no more: their counters go. */
void     living_trim(struct living *, uint32_t segment);

/* False, with the first difference, when they do not say the same. */
bool living_equal(const struct living *, const struct living *, struct error *why);

static inline bool
place_eq(struct spot a, struct spot b)
{
	return a.segment == b.segment && a.offset == b.offset;
}

#endif
