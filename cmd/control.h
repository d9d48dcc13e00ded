/* SPDX-License-Identifier: ISC */
/*
 * control -- asking the queue of the program that runs, over its control socket;
 * and where its files lie, for when nobody runs.
 */
#ifndef CMD_CONTROL_H
#define CMD_CONTROL_H

#include "conf/load.h"
#include "queue/commands.h"

/* A configuration for whoever gives a command: only its words count, not what it names. */
struct house {
	struct files files;
	struct flaws flaws;
	struct conf *conf;
	struct clock clock;
};

/*
 * Read its texts and go to the state directory, where socket and spool are named from: a
 * path may be longer than the kernel takes.  Texts with errors do, if they say `state`.
 * 0, or an exit code after a message.
 * house_leave() is needed in any case.
 */
int  house_enter(struct house *, const char *command, const char *file);
/* The same; where the directory is not there, it is made for the account. */
int  house_build(struct house *, const char *command, const char *file);
void house_leave(struct house *);

struct answer_user {
	/* A message, valid during the call.  NULL: none are expected. */
	bool (*message)(void *arg, const struct queue_row *);
	/* What is not a message; it is the callee's.  NULL: no such are expected. */
	bool (*row)(void *arg, json_t *row);
	/* Of both, false: that was enough, no end is waited for. */
	void (*bytes)(void *arg, struct slice);         /* NULL: none are expected */
	void  *arg;
	bool  *missing_r;       /* it failed, but only as ids that were named are not there; or NULL */
	/* What was answered holds only as long as the program does not hang up: else CONTROL_LOST. */
	bool   lasts;
};

enum control_answer {
	CONTROL_NOBODY,                 /* nobody runs */
	CONTROL_LOST,                   /* its queue ended, or was replaced, before it had answered */
	CONTROL_FAILED,                 /* it says why not, or cannot be reached */
	CONTROL_DONE,
};

/*
 * The control socket of that state directory, where we stand.  -1: there is none, or
 * nobody listens (*nobody_r), which is no failure; or it cannot be reached, and then
 * somebody may well run.
 */
int control_connect(struct slice state, bool *nobody_r, struct error *why);

/* The request is given up.  `count_r` gets how many messages or rows it was about. */
enum control_answer control_ask(struct house *, json_t *request, const struct answer_user *,
    size_t *count_r, struct error *why);

/*
 * The spool of that state directory; fails while the program runs.  Root is the
 * directory's owner from here on, until owner_leave().
 */
struct spool *house_spool(struct house *, struct error *why);

#endif
