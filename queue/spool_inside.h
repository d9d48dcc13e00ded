/* SPDX-License-Identifier: ISC */
/*
 * spool_inside -- what the chapters of the spool share; for nobody else.
 *
 *     spool.c           putting in, taking out, completing
 *     spool_commit.c    the committer: one write, one flush for all that wait
 *     spool_recover.c   opening what is there, and checking it
 *     spool_recycle.c   housekeeping: retiring, copying forward, chores
 *     spool_scan.c      reading a segment from its start, in windows
 *
 * Three threads: the loop's, the committer and the caretaker.  Without threads the
 * loop does their work, in spool_complete() and spool_tidy().
 */
#ifndef QUEUE_SPOOL_INSIDE_H
#define QUEUE_SPOOL_INSIDE_H

#include <pthread.h>
#include <sys/types.h>

#include "queue/spool.h"

enum { SPOOL_PATH = 4096 };

/* One record on its way to the disk. */
struct submission {
	struct submission   *next;
	enum record_kind     kind;
	uint64_t             id;
	uint64_t             serial;    /* of all that were asked for: lines are in its order */
	bool                 counted;   /* in whereabouts.in_flight */
	bool                 copy;      /* of a living record; its failure is no loss */
	struct spool_content content;   /* fd -1: none */
	uint64_t             size;      /* that the content must have */
	spool_done          *done;
	void                *arg;
	struct status        status;
	struct reach         reach;     /* where it came to lie */
	size_t               payload;   /* bytes of it, behind the header */
	size_t               length;
	char                 bytes[];   /* header, payload, zeros */
};

struct line {
	struct submission *first, **last;
	size_t             n, bytes;
};

struct segment {
	uint32_t number;
	int      fd;                    /* for reading; -1: not open */
	uint64_t first;                 /* sequence number */
	bool     damaged;
};

struct chore {
	struct chore *next;
	enum { CHORE_RETIRE, CHORE_ASIDE, CHORE_REMOVE } kind;
	uint64_t      number;           /* of a segment, or an id */
};

/*
 * What a catalogue said that does not fit the segments, brought up to date by what
 * they say behind its end: whoever lives in it and not in them is lost.
 */
struct witness {
	struct living living;
	struct reach  reach;            /* sequence 0: nobody saw anything */
};

/* Reading one segment record by record. */
struct scan {
	int         fd;
	uint64_t    size;
	struct buf  window;
	struct walk walk;
	bool        unreadable;         /* the disk refused: what follows is not known */
	struct error trouble;
};

struct spool {
	struct spool_options options;
	char        *dir;
	int          lock_fd, bell;
	uint64_t     salt;

	/* the loop's */
	struct living     living;
	struct witness    witness;      /* of the start */
	struct catalogue *catalogue;    /* NULL: cannot be used now */
	struct reach      newest;       /* applied */
	struct segment   *segments;     /* ascending; the last one is never retired */
	size_t            count;
	struct buf        scratch, record;
	size_t            submitted;    /* not completed */
	uint64_t          asked;        /* the newest serial */
	uint64_t          contents;     /* the newest content/new-N */
	unsigned          turns;        /* of spool_tidy() */
	int64_t           ripened;      /* when the catalogue last was */
	struct {
		uint32_t segment;       /* that is being copied forward; 0: none */
		uint64_t at, expect;
		size_t   in_flight;
		bool     failed, walked, refused;
	} copying;
	struct spool_usage usage;       /* what is counted; `lock` guards flushes and the like */

	/* under the lock */
	pthread_mutex_t lock;
	pthread_cond_t  wake, work;     /* the committer; the caretaker, and who waits for it */
	struct line     todo, finished;
	bool            wanted;         /* the committer should look */
	bool            here;           /* the loop was rung to commit, see spool_enqueue() */
	bool            busy, stopping;
	uint64_t        batch;          /* while busy: the serial of the first one in work */
	int64_t         pace;           /* microseconds that a flush takes lately */
	bool            troubled, told; /* told: `troubled` is what the news say */
	struct error    trouble;
	uint32_t        spare[SPARES_MOST];
	size_t          spares;
	uint32_t        spare_names;    /* the newest spare-N */
	bool            tight;          /* there was no space for a spare */
	struct chore   *chores, **chores_last;
	bool            checkpoint_due, checkpointing;
	unsigned        still;          /* who wants that no chore is done */
	bool            caring;         /* a chore is being done */

	/* the committer's */
	struct {
		int      fd;            /* -1: none was begun */
		uint32_t number;
		uint64_t offset;
		bool     empty;         /* nothing of it was ever flushed */
	} head;
	uint64_t *doomed;               /* ids of a failed write, whose content must go */
	size_t   dooms;
	uint64_t sequence;              /* the next */
	uint32_t next_segment;
	pthread_t committer, caretaker;
};

/* A path below the spool's directory. */
const char *spool_path(const struct spool *, char path[SPOOL_PATH], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *spool_content_path(const struct spool *, uint64_t id, char path[SPOOL_PATH]);
void spool_say(struct spool *, enum spool_news, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct status spool_status(const struct error *);       /* what a client is told */

void line_begin(struct line *);
void line_put(struct line *, struct submission *);
struct submission *line_take(struct line *);            /* or NULL */
void line_append(struct line *, struct line *);         /* empties the second */

/* spool.c */
void spool_ring(struct spool *);
void spool_nudge(struct spool *);               /* the committer may try again */
void spool_enqueue(struct spool *, struct submission *);
struct submission *submission_new(enum record_kind, uint64_t id, struct slice, struct slice);
struct segment *spool_segment(struct spool *, uint32_t number); /* or NULL */
/* The reader of living records; what cannot be read is told as news. */
struct record_reader spool_reader(struct spool *);
/* The catalogue failed, or says what is not so: it will be made again. */
void spool_doubt_catalogue(struct spool *, const char *because);

/* spool_commit.c */
bool  spool_commit_some(struct spool *);        /* one batch; true when there is more to do */
void  spool_commit_here(struct spool *);        /* what spool_enqueue() left to the loop, if anything */
void *spool_committer(void *);
void  spool_abandon(struct spool *);            /* close the segment at the head */

/* spool_scan.c */
bool scan_begin(struct scan *, const char *path, uint64_t salt, struct error *why);
void scan_end(struct scan *);
void scan_from(struct scan *, uint64_t at, uint64_t expect, uint64_t limit);
void scan_whole(struct scan *);                 /* all of it is in the window */
/* False, with the path, when the disk refused some of it: then an END is not the end. */
bool scan_was_read(const struct scan *, const char *path, struct error *why);
enum walked scan_next(struct scan *, struct spool_record *, uint64_t *at_r, struct damage *);

/* spool_recover.c */
bool spool_recover(struct spool *, struct error *why);
/* Into damaged/, under a name that is free there: nothing in it is ever replaced. */
bool spool_aside(const struct spool *, const char *below, struct slice name, struct error *why);

/* spool_recycle.c */
void  spool_chore(struct spool *, int kind, uint64_t number);
void  spool_chores(struct spool *);             /* all that are waiting, and spares */
void *spool_caretaker(void *);
void  spool_wait_for_checkpoint(struct spool *);

#endif
