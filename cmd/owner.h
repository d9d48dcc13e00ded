/* SPDX-License-Identifier: ISC */
/*
 * owner -- root that opens spool or caches, or writes beside them, does it as the
 * account they belong to: what it leaves there, a log of the database or a lock, must
 * not be closed to the program that comes after.
 *
 * These are the effective ids of the process, which has one thread then.  A
 * command that is not root's is who it is, and nothing here changes that.
 */
#ifndef CMD_OWNER_H
#define CMD_OWNER_H

#include <pwd.h>
#include <sys/types.h>

#include "conf/conf.h"

/* From here on as the owner of that directory; a second time is fine. */
bool owner_become(const char *dir, struct error *why);

/* file_replace() as the owner of the directory where the file lies; afterwards who one was. */
bool owner_replace(const char *path, struct slice, mode_t, struct error *why);

/* Who one was, to be that again. */
struct owner {
	uid_t user;
	gid_t group;
};

/* Be who gave the command: for what lies outside, where he may write and read. */
struct owner owner_leave(void);
void         owner_return(struct owner);

/* Whom the roles become: the account of the configuration, when we are root and there is one. */
const struct passwd *owner_account(const struct conf *);

/*
 * The directory of a path up to its first % (see value_mail_path), or all of it, is there
 * afterwards.  One that was missing is made for the account.
 */
bool owner_make(const struct conf *, struct slice path, mode_t, struct error *why);
/* So is the state directory; the account gets it, too, when it is empty and another's. */
bool owner_make_state(const struct conf *, struct error *why);

#endif
