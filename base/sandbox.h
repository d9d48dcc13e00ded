/* SPDX-License-Identifier: ISC */
/*
 * sandbox -- giving up rights, once, for ever, as root and as anybody.
 *
 * A role says what it still needs; everything else is gone afterwards: new
 * privileges, core dumps, files (Landlock), TCP ports (Landlock), system calls
 * (seccomp).  What the kernel cannot do is told, not hidden; what it can do and
 * refuses is a failure.  Threads must be started afterwards, so that all of
 * them are inside.
 */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

enum sandbox_net {
	SANDBOX_NO_SOCKETS,             /* makes none; uses those it was given */
	SANDBOX_RESOLVE,                /* asks the DNS: UDP, and TCP to `ports` only */
	SANDBOX_CONNECT,                /* connects anywhere, listens nowhere */
};

struct sandbox_rights {
	const char *const *writable;    /* directories with all below them; ends with NULL */
	const char *const *readable;
	enum sandbox_net   net;
	const uint16_t    *ports;       /* for SANDBOX_RESOLVE; ends with 0 */
};

/*
 * *lacking_r (a buf of the caller's) gets words like "landlock-net" for what
 * this kernel does not have.
 */
bool sandbox_enter(const struct sandbox_rights *, struct buf *lacking_r, struct error *why);

/*
 * Become that user: groups, group, user, for good.  Only root can; for anybody
 * else it succeeds when he is that user already.
 */
bool sandbox_become(const char *user, struct error *why);

#endif
