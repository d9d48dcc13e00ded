/* SPDX-License-Identifier: ISC */
/*
 * work -- short lives of a spool, told to a ledger, and what must be true after
 * any end of them.
 *
 * The ledger is written before something is asked for and after it was answered:
 *
 *     s ID SIZE    a message is submitted         a ID      and was acknowledged
 *     t ID N       a state of its recipient       T ID N    and was acknowledged
 *     g ID         it is to end                   G ID      and that was acknowledged
 */
#ifndef TESTS_CRASH_WORK_H
#define TESTS_CRASH_WORK_H

#include "base/error.h"
#include "base/slice.h"

extern const char *const WORKS[];       /* names, NULL behind the last */

enum work_end {
	WORK_DONE = 0,                  /* and at the end a message was taken */
	WORK_UNWELL = 10,               /* at the end none was taken */
	WORK_CLOSED,                    /* the spool could not be opened */
};

/* One life, in this process. */
enum work_end work_run(const char *name, const char *dir, const char *ledger);

/*
 * Is everything true that the ledger was told?  Opens the spool, looks, works a
 * little, opens it again.  False with the first lie; `lost_r` counts lost messages.
 */
bool work_check(const char *dir, struct slice ledger, bool damage_allowed, unsigned *lost_r,
    struct error *why);

#endif
