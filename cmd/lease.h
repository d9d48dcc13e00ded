/* SPDX-License-Identifier: ISC */
/*
 * lease -- until when names may be given to messages (base/ids.h), so that none is
 * ever given twice: not after a crash, not when the clock was set back by any amount.
 *
 * STATE/ids holds a time, in milliseconds since 2020, as a line of 14 digits: no name
 * was ever given for a later one.  It is an hour ahead of the clock and is moved on
 * before names come near it; what begins goes on behind it.  After an orderly end it is
 * the time of the newest name.  On a disk without room for another file it is written in
 * place; while the disk refuses that too it stands, and names go on within it by their
 * counter.
 *
 * The master keeps it, for it lives longer than all who give names.  A time that no
 * name can have does not outlive it: that was written by a process that was taken over.
 */
#ifndef CMD_LEASE_H
#define CMD_LEASE_H

#include "base/ids.h"
#include "base/slice.h"

struct lease {
	char              path[4096];
	int64_t           end;          /* what stands there; in the bound others may write */
	struct ids_bound *bound;
	int               fd;           /* of the bound, for those who give names */
};

/* False when the file cannot be read, or there is none and none can be made. */
bool lease_begin(struct lease *, struct slice state, const struct clock *, struct error *why);
/* Every few seconds; false when the disk refuses, which is bad after an hour only. */
bool lease_renew(struct lease *, const struct clock *, struct error *why);
/* Nobody gives names any more. */
void lease_end(struct lease *);

#endif
