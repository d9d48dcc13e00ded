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
fail(int code, const char *why)
{
	complaint("chainmail state: %s", why);
	return code;
}

static int
load(struct house *h)
{
	struct error why = { 0 };
	size_t count = 0;
	int code = rows_load(h, stdin, &count, &why);

	if (code != 0)
		return fail(code, why.text);
	printf("load: %zu row%s\n", count, count == 1 ? "" : "s");
	return 0;
}

static int
dump(struct house *h)
{
	struct error why = { 0 };

	return rows_dump(h, stdout, &why) ? 0 : fail(EX_UNAVAILABLE, why.text);
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
	struct house h;
	bool loading;
	int code;

	if (!options_read(argc, argv, "state dump|load", rows, &words, 1))
		return EX_USAGE;
	verb = words.n == 1 ? words.word[0] : NULL;
	loading = verb != NULL && strcmp(verb, "load") == 0;
	if (!loading && (verb == NULL || strcmp(verb, "dump") != 0))
		return fail(EX_USAGE, "dump writes to standard output, load reads standard input");
	if ((code = house_enter(&h, "state", file)) == 0)
		code = loading ? load(&h) : dump(&h);
	house_leave(&h);
	return code;
}
