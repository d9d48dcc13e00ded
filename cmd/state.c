/* SPDX-License-Identifier: ISC */
/*
 * state -- dump and load what is kept beside mail (cmd/rows.h), by standard output
 * and input.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "config.h"

static int
fail(const char *why)
{
	complaint("chainmail state: %s", why);
	return EX_UNAVAILABLE;
}

int
cmd_state(int argc, char **argv)
{
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf", *verb;
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	struct error why = { 0 };
	struct house h;
	size_t count = 0;
	bool loading, ok;
	int code;

	if (!options_read(argc, argv, "state dump|load", rows, &words, 1))
		return EX_USAGE;
	verb = words.n == 1 ? words.word[0] : NULL;
	loading = verb != NULL && strcmp(verb, "load") == 0;
	if (!loading && (verb == NULL || strcmp(verb, "dump") != 0))
		return fail("dump writes to standard output, load reads standard input"), EX_USAGE;
	if ((code = house_enter(&h, "state", file)) == 0) {
		ok = loading ? rows_load(&h, stdin, &count, &why) : rows_dump(&h, stdout, &why);
		code = ok ? 0 : fail(why.text);
		if (ok && loading)
			printf("load: %zu row%s\n", count, count == 1 ? "" : "s");
	}
	house_leave(&h);
	return code;
}
