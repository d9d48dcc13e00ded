/* SPDX-License-Identifier: ISC */
/*
 * role -- one process of the running program, from its birth to its end.
 *
 * The master starts `chainmail role` with a link on descriptor ROLE_FD and says
 * over it what the process is, which files it may see (their bytes, not their
 * names), which doors it keeps and to whom it is linked; then GO.  The role
 * prepares everything that needs the world, gives up its rights, starts, says
 * READY.  It is never reconfigured, only replaced: DRAIN lets it finish.
 * When the link breaks the master is dead, and so is everybody.
 */
#ifndef CMD_ROLE_H
#define CMD_ROLE_H

#include "base/counts.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "conf/route.h"
#include "conf/trust.h"
#include "net/loop.h"

enum { ROLE_FD = 3 };

enum {                                  /* frames between master and role */
	CONTROL_ROLE = 1,               /* kind u8, slot u8, name of the configuration */
	CONTROL_FILES,                  /* a descriptor: files_pack() of what it may see */
	CONTROL_DOOR,                   /* number u32 of the listen block (0: web); a listening socket */
	CONTROL_LINK,                   /* kind u8 of the other role; a descriptor */
	CONTROL_COUNTS,                 /* a descriptor: base/counts.h, of connections by listen block */
	CONTROL_IDS,                    /* a descriptor: the bound of identifiers (base/ids.h) */
	CONTROL_GO,
	CONTROL_READY,                  /* what the sandbox lacked */
	CONTROL_FAILED,                 /* a sentence */
	CONTROL_DRAIN,                  /* finish and end */
	CONTROL_HURRY,                  /* there is not much time left for it */
};

enum role_number { ROLE_SMTPD, ROLE_QUEUE, ROLE_DELIVERY, ROLE_WEB, ROLE_NUMBERS };

/* The socket of the queue commands: a door with this number, for the queue. */
#define CONTROL_DOOR_COMMANDS UINT32_MAX

struct role;

struct role_kind {
	const char *name;
	unsigned    purposes;           /* bits 1 << enum file_purpose: what it may see */
	/* Before the rights are gone: files of the system, contexts, the resolver. */
	bool      (*prepare)(struct role *, struct error *why);
	/* What it still needs. */
	struct sandbox_rights (*rights)(struct role *);
	bool      (*start)(struct role *, struct error *why);
	void      (*door)(struct role *, uint32_t number, int fd);
	void      (*link)(struct role *, enum role_number, int fd);
	/* Finish what is under way, then role_done(). */
	void      (*drain)(struct role *);
	void      (*hurry)(struct role *);      /* NULL: it never waits for others longer than it must */
};

extern const struct role_kind ROLE_KINDS[ROLE_NUMBERS];

struct role {
	const struct role_kind *kind;
	unsigned       slot;            /* no two live processes share one (base/ids.h) */
	struct counts  counts;          /* what all smtpd count together; no other role has any */
	struct ids_bound *ids;          /* for those who name messages: smtpd and queue */
	struct loop    loop;
	struct clock   clock;
	struct log     log;
	struct files   files;
	struct reader  reader;
	struct conf   *conf;
	struct routes *routes;          /* and trust: NULL when it may not see the tables */
	struct trust  *trust;
	void          *state;           /* of the kind */
};

void role_done(struct role *);          /* end the process, successfully */

#endif
