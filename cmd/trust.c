/* SPDX-License-Identifier: ISC */
/*
 * chainmail trust -- what the word of sealers has changed here, and what it would
 * have changed if it were believed (queue/vouching.h): whom `arc { trust … }` could
 * name, and what those do who stand there.
 */
#include <stdio.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/shown.h"
#include "config.h"

struct asking {
	bool json;
	bool headed;                    /* the heading has been printed */
};

static long long
number(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static void
print_row(struct asking *a, const json_t *row)
{
	struct buf shown = BUF(4096);
	char day[SHOWN_DAY];

	shown_add(&shown, slice(json_string_value(json_object_get(row, "sealer"))));
	if (!a->headed)
		printf("%-40s %10s %10s  %s\n", "SEALER", "UNTRUSTED", "BELIEVED", "LAST");
	printf("%-40.*s %10lld %10lld  %s\n", FMT(buf_slice(&shown)), number(row, "untrusted"),
	    number(row, "believed"), shown_day(number(row, "last"), day));
	a->headed = true;
	buf_free(&shown);
}

static bool
take_row(void *arg, json_t *row)
{
	struct asking *a = arg;

	if (a->json) {
		shown_print(row);
	} else {
		print_row(a, row);
		json_decref(row);
	}
	return true;
}

int
cmd_trust(int argc, char **argv)
{
	struct asking a = { .json = false };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &a.json, NULL, "an object a line" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	const struct queue_request request = { .verb = QUEUE_SEALERS };
	struct words words = { .n = 0 };
	struct error why = { 0 };
	struct house house;
	size_t count = 0;
	int code;

	if (!options_read(argc, argv, "trust", rows, &words, 0))
		return EX_USAGE;
	if ((code = house_enter(&house, "trust", file)) == 0 &&
	    !rows_ask(&house, &request, NULL, take_row, &a, &count, &why)) {
		complaint("chainmail trust: %s", why.text);
		code = EX_UNAVAILABLE;
	} else if (code == 0 && count == 0 && !a.json) {
		puts("no sealer's word would have changed anything");
	}
	house_leave(&house);
	return code;
}
