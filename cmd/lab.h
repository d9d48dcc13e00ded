/* SPDX-License-Identifier: ISC */
/*
 * lab -- what the words of `chainmail lab` have in common.
 */
#ifndef CMD_LAB_H
#define CMD_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "conf/files.h"
#include "conf/flaw.h"
#include "lab/scenario.h"

enum lab_form { LAB_PEOPLE, LAB_JSON, LAB_TAP, LAB_JUNIT };

/* Our own sender through the gallery, on the virtual clock; prints the table. `file` NULL: ours. */
int lab_gallery(const char *file, enum lab_form);

/* What stands behind the options of an open world; NULL: as is usual. */
struct lab_up {
	const char *directory, *smtp, *https, *dns, *http, *wait;
};

/*
 * The same world, open to other MTAs until SIGTERM: name server, mail hosts and
 * policy hosts on their addresses, what was received as JSON lines, and at
 * http://127.0.0.1/lab/v1/gallery how the rows stand.
 */
int lab_up(const char *file, const struct lab_up *);
/* The same for so long as `wait` says; then the table is printed, of somebody else's sender. */
int lab_sender(const char *file, enum lab_form, const struct lab_up *);

/* A new directory below $TMPDIR, which goes when it is given up, or this process ends in whatever way. */
struct lab_place {
	char  path[1000];
	pid_t keeper;                   /* removes it when … */
	int   held;                     /* … nobody holds this end of a pipe any more */
};

bool lab_place_begin(struct lab_place *, struct error *why);
void lab_place_end(struct lab_place *);
/* It stays. */
void lab_place_keep(struct lab_place *);
/* The scenario in a file, or (NULL) the gallery. NULL: it has flaws, *code_r is the exit code. */
struct scenario *lab_world(const char *file, struct files *, int *code_r);
/* Ends the program when a run hangs. */
void lab_watchdog(void);
/* Tell it; both return the exit code. */
int  lab_failed(const char *what, const struct error *why);
int  lab_flaws(struct flaws *);

#endif
