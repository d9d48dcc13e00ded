/* SPDX-License-Identifier: ISC */
/*
 * record -- how the spool lies on the disk: segments, records, and finding the
 * records of a segment again, also in one that is torn or damaged.
 *
 * All numbers are little-endian.  A segment is a file of blocks of 4096 bytes:
 *
 *     block 0     "chainmail spool\n", format u32, number u32, first u64, salt u64, crc u32
 *     then        batches, each beginning at a block; behind a batch zeros up to
 *                 the next block; behind the last batch anything
 *
 * A batch is what one write and one flush brought; its records follow each other
 * at multiples of 8 bytes:
 *
 *     magic u32       0x43524d43, exclusive-or the upper half of the salt
 *     crc u32         CRC32C over the salt, the rest of the header and the payload
 *     length u32      of the payload, in bytes
 *     kind u8, 3 zeros
 *     sequence u64    1, 2, 3 … over all segments, without a gap
 *     batch u64       sequence number of the first record of its batch
 *     id u64          of the message it is about
 *     payload, zeros up to a multiple of 8
 *
 * The salt is drawn once for a spool and repeated in every segment.  It is known
 * to nobody outside: a message cannot contain bytes that pass for a record.
 *
 * Why it is found again: segments are used again without being emptied, so stale
 * records stand behind the newest; their sequence numbers are too low.  A torn
 * write leaves records that do not match their CRC; the valid run ends there.  A
 * record that was flushed and has rotted since looks the same, but its batch was
 * flushed before a later batch was begun: when a record stands behind it whose
 * `batch` is greater than the missing number, or a later segment begins with a
 * greater one, the missing one is damage, and the walk goes on behind it.
 * A segment whose `first` is not greater than numbers in the one before makes
 * those void: they belong to a write that failed and was done again.
 *
 * A new format gets a new number here.  A program reads all formats up to its own
 * and writes its own; old segments vanish as they are recycled.
 *
 *     1       content in a file of its own has no checksum
 *     2       the envelope of such a message may have one (envelope.h); a record that
 *             was copied out of a segment of format 1 has none
 *
 * Pure.
 */
#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include "base/buf.h"
#include "queue/envelope.h"

enum {
	SEGMENT_FORMAT = 2,
	SPOOL_BLOCK = 4096,
	RECORD_HEADER = 40,
	SMALL_CONTENT = 256 << 10,      /* a longer one has a file of its own */
	RECORD_MOST = RECORD_HEADER + ENVELOPE_MOST + SMALL_CONTENT + 64,
};

#define NO_LIMIT UINT64_MAX

/* --- segments ---------------------------------------------------------------- */

struct segment_head {
	uint32_t format, number;
	uint64_t first;                 /* sequence number of its first record */
	uint64_t salt;
};

void segment_head_pack(const struct segment_head *, char block_r[SPOOL_BLOCK]);
/* False when it is no head; whether the format is known is for the caller to see. */
bool segment_head_read(struct slice block, struct segment_head *);
/* The name is the number in decimal, with at least 8 digits; none is 0. */
bool segment_number(struct slice name, uint32_t *number_r);

/* --- records ------------------------------------------------------------------- */

enum record_kind {
	RECORD_MESSAGE = 1,             /* in_file u8, envelope, content or nothing */
	RECORD_STATE,                   /* struct recipient_state */
	RECORD_SEAL,                    /* route, header fields made for it */
	RECORD_GONE,                    /* nothing: the message is no more */
};

struct spool_record {
	enum record_kind kind;          /* also kinds that are not known yet */
	uint64_t         sequence, batch, id;
	struct slice     payload;
};

/* With header and zeros behind it. */
static inline size_t
record_length(size_t payload)
{
	return (RECORD_HEADER + payload + 7) / 8 * 8;
}

/* The payload stands at bytes + RECORD_HEADER; write the header, and the zeros behind. */
void record_finish(const struct spool_record *, uint64_t salt, char *bytes);
/* The record at the front; the payload points into the bytes. */
bool record_read(struct slice bytes, uint64_t salt, struct spool_record *);

/*
 * A head that cannot be believed, and all that stands behind it, from block 1 on.
 * The salt that makes the first record there one, and that something else agrees
 * with: another record, or what is left of the head.  Or 0.
 */
uint64_t salt_behind(struct slice head, uint32_t number, struct slice rest);
/*
 * How many blocks look like the beginning of a batch with a number between these
 * two.  It takes no salt and no CRC, so they may be nothing; where there are none
 * nothing was accepted.  A batch was flushed if another one begins behind it.
 */
size_t batches_behind(struct slice rest, uint64_t after, uint64_t limit);

struct message_payload {
	bool         in_file;           /* the content is in a file of its own */
	struct slice envelope;          /* packed */
	struct slice content;
};

/* Everything but the content, which follows. */
void message_pack(bool in_file, const struct envelope *, struct buf *payload);
bool message_read(struct slice payload, struct message_payload *);
void seal_pack(struct slice route, struct slice fields, struct buf *payload);
bool seal_read(struct slice payload, struct slice *route_r, struct slice *fields_r);
/* A number for a route, so that a newer seal is known to replace an older one. */
uint32_t route_number(struct slice route);

/* --- finding them again ---------------------------------------------------------- */

struct walk {
	struct slice bytes;             /* of the segment, from offset `base` on */
	uint64_t     base;              /* a multiple of SPOOL_BLOCK */
	uint64_t     at;                /* offset of the next record in the segment */
	uint64_t     expect;            /* its sequence number */
	uint64_t     limit;             /* `first` of the next segment, or NO_LIMIT */
	uint64_t     salt;
};

enum walked {
	WALK_RECORD,
	WALK_DAMAGE,                    /* something flushed cannot be read; more may follow */
	WALK_END,
};

struct damage {
	uint64_t at, n;                 /* bytes of the segment */
	uint64_t first, count;          /* sequence numbers that are lost; maybe none */
};

/*
 * The next thing.  On WALK_RECORD the record is at `*at_r` and walk.at behind it.
 * DAMAGE and END hold only when the bytes reach to the end of the segment.
 */
enum walked walk_next(struct walk *, struct spool_record *, uint64_t *at_r, struct damage *);
/* Up to which offset the bytes should reach for the next record, as far as can be seen. */
uint64_t walk_wants(const struct walk *);
/* Do these bytes, or the limit, show that the expected record was flushed once? */
bool walk_proven(const struct walk *);
/* The sequence number of the record at walk.at, when the head does not tell; or 0. */
uint64_t walk_first(const struct walk *);

#endif
