/* SPDX-License-Identifier: ISC */
/*
 * spool -- messages on the disk, from the moment we answer for them until they
 * are gone.
 *
 *     DIR                    locked while the spool is open
 *     DIR/seg/NNNNNNNN       segments: the log of everything (record.h)
 *     DIR/seg/spare-N        segments to come: zeros, or one that was used before
 *     DIR/content/ID         content of more than SMALL_CONTENT bytes
 *     DIR/content/new-N      content that is being received
 *     DIR/catalogue/         what is living, as far as it is known; a cache
 *     DIR/damaged/           what could not be read, set aside
 *
 * A message is accepted at one instant: when the flush that covers its record has
 * returned.  What stands on the disk, what it means, and what a crash makes of it:
 *
 *     on the disk                         meaning             after a crash
 *     ----------------------------------  ------------------  --------------------------
 *     content/new-N                       being received      removed
 *     content/ID, no record of it         not accepted        removed
 *     a record, torn or cut               not accepted        the run ends before it; what
 *                                                             follows goes to a new segment
 *     a record, whole, flush not          not yet accepted:   it may be there or not; if it
 *     returned                            no answer given     is, it is delivered
 *     a message's record, flushed         accepted            it is there
 *     a newer state of a recipient        what happened to    the newest whole one counts;
 *                                         him                 one not flushed is lost: its
 *                                                             attempt may be made again
 *     a seal, flushed or not              fields made for     there, or made again
 *                                         a route
 *     GONE, flushed                       all is done         the message is not there
 *     GONE not flushed                    all is done         the message may be there, with
 *                                                             its newest states
 *     content/ID, and GONE flushed        all is done         removed
 *     a segment without a living record   nothing             used again, or removed
 *     a record twice, in an old segment   it was copied       the later one counts
 *     and copied forward
 *     the oldest segment renamed to       nothing living      a spare; the directory was
 *     spare-N                             was in it           flushed before it is written to
 *     NNNNNNNN with the head of another   being begun         removed, nothing was in it; if it
 *     or none, the newest                                     has records, its head is mended
 *     NNNNNNNN with a damaged head, and   damage              the head is made again of what is
 *     records                                                 left of it and of the records; where
 *                                                             that cannot be, named and set aside
 *     content/ID, its record in a write   not accepted        as for a whole record: it may be
 *     that failed                                             there or not
 *     a record that rotted, others        damage              named, passed over; its segment
 *     flushed behind it                                       goes to damaged/ when its turn
 *                                                             comes
 *     numbers that a later segment        a write that        void: they were refused, or
 *     begins with again                   failed              written again there
 *     catalogue behind the segments       a cache             replayed from where it ends
 *     catalogue damaged, or ahead, or     a cache             made again from the segments; whom
 *     missing                                                 it lists and they have not is named
 *     what the disk refuses to read       not known           the start fails, naming it, and has
 *                                                             touched nothing
 *
 * Names in seg/ have eight digits, and more when those are used up.  Nothing that is
 * put into damaged/ replaces what is there.
 *
 * Segments are emptied oldest first and never out of turn.  So the records that
 * end a message outlive it, what is left is always one run of numbers without a
 * gap, and a gap is damage.  Survivors of the oldest are copied to the end when it
 * is nearly dead, or when the dead bytes are more than the living ones and some
 * segments.  The newest segment is never used again: it holds the last number.
 *
 * When a write or a flush fails, nothing is tried again on that segment: the
 * kernel may have dropped the pages.  Who waits is told 452 4.3.1 (no space) or
 * 451 4.3.0; what nobody waits for is kept in memory and written first to a new
 * segment, which is begun with the next record or the next spool_tidy().  Reading
 * goes on all the time.
 *
 * All that waits is written and flushed together, while the next ones gather: by a
 * thread of its own, or, while flushes are quicker than to wake one and be woken by
 * it, in spool_complete().  There are never two at it.
 *
 * Upgrading: the format stands in the head of every segment.  A program reads
 * formats up to its own, refuses to open a newer one, and writes its own into
 * segments it begins; old ones vanish as their messages do.
 *
 * A record guards what is in it by its CRC32C.  What lies in content/ID is guarded by
 * the checksum that its writer made of it and put into the envelope; whoever reads all
 * of it compares.  A content of format 1 has none, and is as good as its length.
 *
 * Everything here belongs to the loop's thread.  Results come through callbacks
 * out of spool_complete(), never out of the call that asked.
 */
#ifndef QUEUE_SPOOL_H
#define QUEUE_SPOOL_H

#include "queue/catalogue.h"

struct spool;

enum spool_news {
	SPOOL_TROUBLE,                  /* the disk refuses; new mail cannot be taken */
	SPOOL_WELL,                     /* it takes again */
	SPOOL_DAMAGE,                   /* something could not be read and is set aside */
	SPOOL_NOTE,                     /* worth a line in the log */
};

struct spool_options {
	const char         *dir;        /* made when it is not there */
	const struct clock *clock;
	bool                threadless; /* the work is done in spool_complete(), in order */
	uint64_t            segment;    /* bytes of a segment; 0: 64 MiB */
	unsigned            spares;     /* kept ready, at most SPARES_MOST; 0: 1 */
	size_t              waiting;    /* bytes that may wait for the disk; 0: 64 MiB */
	int64_t             quick;      /* flushes of fewer microseconds are the loop's own; 0: 300 */
	void              (*news)(void *arg, enum spool_news, const char *sentence);
	void               *arg;
};

enum { SPARES_MOST = 8 };

/*
 * Recovers what is there; news may come already.  NULL when the disk refuses to read,
 * the format is a newer one, or another process has it: try again later.
 */
struct spool *spool_open(const struct spool_options *, struct error *why);
/* Waits for the disk and calls back everybody who still waits; NULL is fine. */
void spool_close(struct spool *);

int  spool_fd(const struct spool *);            /* readable: call spool_complete() */
void spool_complete(struct spool *);
/*
 * Housekeeping in small portions: catalogue, recycling, copying forward, another
 * try after trouble.  Once a second, and as long as it returns true.
 */
bool spool_tidy(struct spool *);
/* Block until nothing is on its way; false when the disk refuses. */
bool spool_drain(struct spool *);

/*
 * For whoever may not block: the mark stands for all records that were asked for until
 * now, and a refusing disk is tried once more for them.  Progress is asked for between
 * calls of spool_complete(); what the disk refuses is kept as said below.
 */
enum spool_progress { SPOOL_UNDER_WAY, SPOOL_WRITTEN, SPOOL_REFUSED };

uint64_t            spool_mark(struct spool *);
enum spool_progress spool_progress(struct spool *, uint64_t mark);

/* --- putting in -------------------------------------------------------------------- */

/*
 * Each of these queues one record and returns.  `done` gets a good status once it
 * is on the disk, or why it is not; the bytes were copied.  Without `done` the
 * record rides along with others, some milliseconds later at most, and is kept
 * through trouble: at worst a crash loses it, and an attempt is made twice.
 */
typedef void spool_done(void *arg, struct status);

/* A message of at most SMALL_CONTENT bytes; envelope.size is their number. */
void spool_store(struct spool *, const struct envelope *, struct slice content,
    spool_done *, void *arg);

/* A file for a larger one; whoever receives it writes to the fd, from its start. */
struct spool_content {
	int      fd;
	uint64_t number;
};

bool spool_content_begin(struct spool *, struct spool_content *, struct error *why);
void spool_content_drop(struct spool *, struct spool_content *);
/*
 * The file must have envelope.size bytes, and envelope.content_sum is theirs.  The
 * content is taken, whatever becomes of it.
 */
void spool_store_file(struct spool *, const struct envelope *, struct spool_content,
    spool_done *, void *arg);

void spool_state(struct spool *, uint64_t id, const struct recipient_state *, spool_done *,
    void *arg);
void spool_seal(struct spool *, uint64_t id, struct slice route, struct slice fields,
    spool_done *, void *arg);
/* The message is no more; its content is removed once that is on the disk. */
void spool_gone(struct spool *, uint64_t id, spool_done *, void *arg);

/* --- looking ----------------------------------------------------------------------- */

/* A message as it was stored.  Slices point into `bytes`, arrays lie in the arena. */
struct stored {
	struct envelope envelope;
	struct slice    content;        /* when fd is -1 */
	int             fd;             /* the content from offset 0, for the caller to close */
};

bool spool_living(const struct spool *, uint64_t id);
/*
 * `bytes` is cleared first; its ceiling should be RECORD_MOST.  False also when
 * only the content cannot be opened: then the envelope is there (its count is not 0).
 * Of a message whose record has rotted it is envelope_summary(), if the catalogue has that.
 */
bool spool_read(struct spool *, uint64_t id, struct buf *bytes, struct arena *, struct stored *,
    struct error *why);
/*
 * Is this file the content that was stored with the envelope?  It is read whole, which
 * takes as long as the disk does; any thread may ask.
 */
bool content_check(int fd, const struct envelope *, struct error *why);
/* The fields made for a route are added to `fields`; false when there are none. */
bool spool_read_seal(struct spool *, uint64_t id, struct slice route, struct buf *fields);
/* Summary and states of one message; false when it cannot be read. */
bool spool_look(struct spool *, uint64_t id, bool (*each)(void *arg, const struct found *),
    void *arg, struct error *why);
/* Of all messages, until `each` returns false; what cannot be read is passed over. */
void spool_each(struct spool *, bool (*each)(void *arg, const struct found *), void *arg);

/*
 * The same in steps: true when `each` stopped it, and the next call goes on behind
 * that message.  Between steps messages come and go: each that stays is given once.
 * { 0 } is a walk at its beginning, { .refused = … } too.
 */
struct spool_walk {
	uint64_t  after;                /* given: all up to this one … */
	uint64_t *ids;                  /* … and without a catalogue, of these the first `at` */
	size_t    count, at;
	void    (*refused)(void *arg, uint64_t id);     /* told of what the disk refuses, if not NULL */
};

/*
 * A walk first writes the rows that the catalogue owes.  For whoever has no time for
 * many of them at once: each call writes some, and true means that none are left.
 */
bool spool_walk_ready(struct spool *);
bool spool_walk(struct spool *, struct spool_walk *, bool (*each)(void *arg, const struct found *),
    void *arg);
void spool_walk_end(struct spool_walk *);

struct spool_usage {
	size_t   messages, large;       /* living; those with a file of their own */
	size_t   segments, spares;
	uint64_t segment_bytes, spare_bytes, content_bytes;     /* on the disk */
	uint64_t living_bytes;          /* of segment_bytes */
	size_t   waiting;               /* records on their way to the disk */
	uint64_t records, flushes, copied, refused;     /* since the start */
	int64_t  slowest_flush;         /* in microseconds */
	bool     troubled, catalogued;  /* the disk refuses; the catalogue is complete */
	/* of the start */
	uint64_t replayed;              /* records */
	bool     rebuilt;               /* from all segments */
	size_t   damages, orphans;
};

void spool_usage(struct spool *, struct spool_usage *);
/* Many records are on their way to a disk that takes them: who writes much waits a little. */
bool spool_behind(const struct spool *);

/*
 * Keep still: nothing is removed, renamed or used again until spool_go_on().  What
 * was acknowledged by now stands in the segments up to that one, of it in so many
 * bytes; a copy of them, and of the content afterwards, is a spool.  It may be
 * asked several times, and let go as often.  Mail is taken meanwhile.
 */
void spool_keep_still(struct spool *, uint32_t *segment_r, uint64_t *bytes_r);
void spool_go_on(struct spool *);

/* Throw the catalogue away and make it again of what is in memory. */
void spool_rebuild(struct spool *);

/*
 * Read all segments again: do they say what is in memory, does the catalogue, and
 * has each message its content?  Nothing may be on its way.
 */
bool spool_verify(struct spool *, struct error *why);
/*
 * content_check() of all messages that have a file.  Each that is damaged is told as
 * news and counted in usage.damages; `why` names them.
 */
bool spool_verify_contents(struct spool *, struct error *why);
/* The sentence about damaged contents, with one more: the first as it is, of others the ids. */
void contents_name(struct error *why, uint64_t id, const struct error *one);

#endif
