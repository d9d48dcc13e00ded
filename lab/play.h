/* SPDX-License-Identifier: ISC */
/*
 * play -- go through a scenario: what happens, happens; what is expected, is
 * looked at there and then, in the hosts' logs and in the Maildirs.
 */
#ifndef LAB_PLAY_H
#define LAB_PLAY_H

#include "lab/capture.h"
#include "lab/sender.h"

/* One expectation: a statement, or one of its block's. */
struct verdict_line {
	struct verdict_line    *next;
	const struct statement *statement;
	struct slice            about;          /* "message to ann@sts.test: arc pass with 1 set" */
	bool                    holds;
	struct slice            came;           /* what came: instead, when it does not hold */
};

struct play {
	struct world        *world;
	struct senders      *senders;
	struct captures      captures;
	struct arena        *arena;
	struct verdict_line *first, **last;
	unsigned             expected, held;
};

/* False with *why when the scenario itself cannot be played; expectations go to the list. */
bool play_run(struct play *, struct world *, struct error *why);
void play_end(struct play *);

/* --- expect.c ---------------------------------------------------------------------- */

/* One `expect` statement; its lines are added to the play's. */
bool expect(struct play *, const struct statement *, struct error *why);

/* The last attempt to an address by whoever is not its own host's Maildir, or NULL. */
const struct event_line *last_attempt(const struct world *, struct slice address);

/* A statement as it stands in the text, on one line. */
struct slice statement_words(const struct statement *, struct arena *);

#endif
