/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "cmd/cmd.h"
#include "config.h"

int
cmd_version(int argc, char **argv)
{
	const struct option_row rows[] = { { NULL, OPTION_FLAG, NULL, NULL, NULL } };
	struct words none = { .n = 0 };

	if (!options_read(argc, argv, "version", rows, &none, 0))
		return EX_USAGE;
	puts("chainmail " CHAINMAIL_VERSION);
	return 0;
}
