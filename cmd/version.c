/* SPDX-License-Identifier: ISC */
#include <stdio.h>

#include "cmd/cmd.h"
#include "config.h"

int
cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("chainmail " CHAINMAIL_VERSION);
	return 0;
}
