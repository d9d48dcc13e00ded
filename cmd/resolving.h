/* SPDX-License-Identifier: ISC */
/*
 * resolving -- a resolver as the configuration wants it, for roles and commands.
 *
 * Either a text answers (`resolver { facts FILE }`) and nobody is asked, or the
 * servers that are named do, or those of /etc/resolv.conf.
 */
#ifndef CMD_RESOLVING_H
#define CMD_RESOLVING_H

#include "conf/conf.h"
#include "dns/resolve.h"

enum { RESOLVING_SERVERS = 8 };         /* conf/check.c refuses more */

struct resolving {
	struct resolver *resolver;
	struct zone     *facts;
	uint16_t         ports[RESOLVING_SERVERS + 2];  /* where it asks; ends with 0 */
};

/* Opens its sockets now.  resolving_end() is needed in any case, before the loop ends. */
bool resolving_begin(struct resolving *, struct loop *, const struct resolver_conf *,
    const struct reader *, struct error *why);
void resolving_end(struct resolving *);

#endif
