/* SPDX-License-Identifier: ISC */
/*
 * premises -- what the program holds on the machine before it has a role: its
 * directories, the lock of the state directory, and the sockets it listens on.
 *
 * All of it is opened by the master, which may be root; what it makes in the state
 * directory, and the directory, belongs to the account of the configuration, so that
 * the next start may be the account's own.  A door outlives configurations:
 * one that names the same address has the same socket, so that no connection is
 * refused between two of them.
 */
#ifndef CMD_PREMISES_H
#define CMD_PREMISES_H

#include "cmd/role.h"
#include "conf/load.h"
#include "net/peer.h"

enum { DOORS_MOST = 128 };

/* A listening socket. */
struct door {
	char         text[PEER_TEXT];
	int          fd;
	enum role_number role;          /* whose it is, and … */
	uint32_t     number;            /* … the listen block in the configuration in force */
	bool         wanted;
};

struct premises {                       /* { 0 } holds nothing */
	struct door door[DOORS_MOST];
	size_t      door_count;
	int         commands;           /* the socket of the queue commands */
	int         lock;               /* held until the program ends */
};

/*
 * Make the directories, take the lock, open the socket of the commands.  It
 * fails when another program runs with the state directory, when files there are
 * closed to the account, and when there is no account but root's for the roles, unless
 * all doors are on loopback.
 */
bool premises_take(struct premises *, const struct conf *, struct error *why);

/*
 * A command that found nobody running has the queue, the caches or the history open,
 * for as long as whoever reads its output takes.  Block until it ends; `say` gets a
 * sentence when that is not at once.  Commands that come after premises_take() find
 * the program's socket.
 */
void premises_wait(const struct conf *, void (*say)(void *arg, const char *sentence), void *arg);

/* False: `run` would refuse it, for there is no account but root's for roles that talk to strangers. */
bool premises_roles_are_safe(const struct conf *, struct error *why);

/*
 * The state directory and those of Maildirs are there, and what lies in the first is the
 * account's; of a further configuration, too.
 */
bool premises_prepare(const struct conf *, struct error *why);

/*
 * The doors of a configuration are open, and still those of the one before; when
 * one of them cannot be opened, call it again with the old one, and close the others.
 */
bool premises_open_doors(struct premises *, const struct conf *, struct error *why);
/* Close the doors that the newest call did not name. */
void premises_close_unwanted(struct premises *);

#endif
