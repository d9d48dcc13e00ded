/* SPDX-License-Identifier: ISC */
/*
 * master -- the parent of all roles.
 *
 * It reads the configuration, opens key files and sockets (the only moments that
 * may need root), starts the roles, links them, watches them, replaces those
 * that die, and replaces all of them when the configuration is read again.  It
 * parses nothing from the network.
 */
#ifndef CMD_MASTER_H
#define CMD_MASTER_H

#include "conf/load.h"

struct master_options {
	const char *file;               /* the configuration */
	unsigned    smtpds, deliveries; /* processes */
};

/*
 * Runs until it is told to stop; gives the exit code.  A configuration that
 * cannot be used is told on standard error (exit 78).
 *
 *     SIGHUP   read the configuration again; children are replaced, no
 *              connection and no message is lost; a bad one changes nothing
 *     SIGTERM  finish and end
 *     SIGINT   end at once; what was acknowledged is on the disk
 */
int master_run(const struct master_options *);

#endif
