/* SPDX-License-Identifier: ISC */
/*
 * owner -- root that opens spool or caches does it as the account they belong to:
 * what it leaves there, a log of the database or a lock, must not be closed to
 * the program that comes after.
 *
 * These are the effective ids of the process, which has one thread then.  A
 * command that is not root's is who it is, and nothing here changes that.
 */
#ifndef CMD_OWNER_H
#define CMD_OWNER_H

#include <sys/types.h>

#include "base/error.h"

/* From here on as the owner of that directory; a second time is fine. */
bool owner_become(const char *dir, struct error *why);

/* Who one was, to be that again. */
struct owner {
	uid_t user;
	gid_t group;
};

/* Be who gave the command: for what lies outside, where he may write and read. */
struct owner owner_leave(void);
void         owner_return(struct owner);

#endif
