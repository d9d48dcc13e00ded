/* SPDX-License-Identifier: ISC */
/*
 * host -- one complete MTA of a lab's world: the three roles of the program
 * (smtpd, queue, delivery) on the lab's loop and clock, joined by the same links
 * as between processes.
 *
 * It is made of a configuration file and what that names, read as `chainmail
 * run` reads it.  What a lab changes lies outside of the program: where
 * addresses are (places.h), who answers for the DNS (zones.h), what time it is.
 * There are no threads, so that the same seed and clock give the same bytes.
 *
 * A host can be stopped in the middle of everything, as by `kill -9`, and
 * started again: its state is in its directory.
 */
#ifndef LAB_HOST_H
#define LAB_HOST_H

#include "base/log.h"
#include "dns/resolve.h"
#include "lab/places.h"
#include "net/loop.h"

struct host;

struct host_options {
	struct loop       *loop;
	struct places     *places;
	const char        *config;      /* the file; copied */
	uint64_t           seed;
	unsigned           number;      /* of the host in its world: names of messages differ by it */
	/* The world's DNS as it is now: asked at every start. */
	void             (*dns)(void *arg, struct resolver_options *);
	/* One line of its log, in JSON. */
	void             (*said)(void *arg, struct slice line);
	void              *arg;
};

struct host *host_new(const struct host_options *);     /* not yet running */
void         host_free(struct host *);                  /* stops it; NULL is fine */

/* False with *why: the first flaw of the configuration, a key that cannot be used, … */
bool         host_start(struct host *, struct error *why);
void         host_stop(struct host *);                  /* at once; stopped before is fine */
bool         host_runs(const struct host *);

#endif
