/* SPDX-License-Identifier: ISC */
/*
 * answers -- who answers the DNS questions of a command (spf, seal, verify).
 *
 *     --dns FILE       the text of that file (dns/zone.h), and nobody is asked
 *     -c FILE          the resolver block of that configuration
 *     neither          the installed configuration, if there is one that may be read;
 *                      else the servers of /etc/resolv.conf, without DNSSEC
 *
 * With --dns no configuration is read unless -c names one: what comes out then
 * depends on nothing but what was given.
 */
#ifndef CMD_ANSWERS_H
#define CMD_ANSWERS_H

#include "cmd/resolving.h"
#include "conf/trust.h"

struct answers_options {
	const char *dns, *config;
};

#define ANSWERS_ROWS(o) \
	{ "--dns", OPTION_TEXT, &(o)->dns, "FILE", "answer from this file and ask nobody" }, \
	{ "-c", OPTION_TEXT, &(o)->config, "FILE", "the configuration, for its resolver" }

struct answers {
	const char      *command;
	struct clock     clock;
	struct loop      loop;
	struct files     files;
	struct reader    reader;        /* of the files that the configuration names */
	struct conf     *conf;          /* never NULL behind answers_begin(): the defaults at least */
	struct zone     *zone;          /* of --dns */
	struct resolving dns;
	struct inquiry   inquiry;
	bool           (*evaluate)(void *arg, struct facts *);
	void            *arg;
};

/*
 * 0, or the exit code after a message.  The facts will lie in the arena.
 * answers_end() is needed in any case.
 */
int  answers_begin(struct answers *, const char *command, const struct answers_options *, struct arena *);
void answers_end(struct answers *);

/* Call `evaluate` with what is known, ask what it lacks, and again, until it is true. */
void answers_run(struct answers *, bool (*evaluate)(void *arg, struct facts *), void *arg);

#endif
