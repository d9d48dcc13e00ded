/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/master.h"
#include "config.h"

int
cmd_run(int argc, char **argv)
{
	struct master_options o = { CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf", 0, 0 };
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &o.file, "FILE", "the configuration" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words none = { .n = 0 };
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (!options_read(argc, argv, "run [-c FILE]", rows, &none, 0))
		return EX_USAGE;
	o.smtpds = cores < 1 ? 1 : cores > 4 ? 4 : (unsigned)cores;
	o.deliveries = 1;
	return master_run(&o);
}
