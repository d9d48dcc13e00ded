/* SPDX-License-Identifier: ISC */
/*
 * children -- the processes of the roles: how they are born, linked to each other
 * and told to end.  When any of this is to happen is decided in cmd/master.c.
 *
 * A child has a slot as long as its process has a body, and a link as long as it
 * can be talked to.  Each belongs to a generation, which is a configuration: those
 * of an older one are not replaced, they leave when the new ones are ready.
 */
#ifndef CMD_CHILDREN_H
#define CMD_CHILDREN_H

#include "base/ids.h"
#include "cmd/premises.h"
#include "cmd/role.h"
#include "net/link.h"

enum { CHILDREN_MOST = ID_SLOTS };

struct children;

struct child {
	struct children  *all;
	enum role_number  role;
	unsigned          slot, generation;
	pid_t             pid;
	struct link      *link;         /* NULL: it has gone, only its body is missing */
	bool              ready, draining, hurried;
	int64_t           started;
	struct timer      patience;
};

struct children {
	struct loop         *loop;
	const struct files  *files;     /* of the configuration in force */
	const struct premises *premises;
	struct counts       *counts;    /* of this generation's listeners */
	int                  ids;       /* of the bound of identifiers (base/ids.h) */
	bool                 lists_are_left;    /* with one click, in that configuration */
	/* What a child says (CONTROL_READY, CONTROL_FAILED). */
	void               (*hear)(void *arg, struct child *, unsigned kind, struct slice payload);
	void                *arg;
	unsigned             generation;
	struct child        *each[CHILDREN_MOST];       /* by slot */
};

/* Those of the generation in force that are not leaving. */
unsigned      children_count(const struct children *, enum role_number);
bool          children_none(const struct children *);
bool          children_ready(const struct children *);          /* all of the generation in force */
struct child *children_queue(const struct children *);          /* of any generation, or NULL */
struct child *children_find(const struct children *, pid_t);

/* False when the system has no room for one more, or we have none. */
bool child_start(struct children *, enum role_number);
/* Finish and end, in minutes; end soon, or be killed; both. */
void child_drain(struct child *);
void child_hurry(struct child *);
void child_end(struct child *);
/* Its process is gone, and so is it. */
void child_forget(struct child *);

void children_kill(const struct children *);
/* Whoever is of an older generation may finish; the queue has been told before. */
void children_drain_old(const struct children *);
/*
 * So many slots are needed.  Whoever was replaced before he was ready has nothing to finish;
 * where that is not enough, those who have had time to finish get no more, and at last those
 * who serve until the new ones are ready: who comes meanwhile waits at the door.
 */
void children_make_room(const struct children *, unsigned wanted);

#endif
