/* SPDX-License-Identifier: ISC */
/*
 * chainmail lists -- who has left a list of ours with one click (queue/leaving.h),
 * and letting somebody be a member again.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/rows.h"
#include "cmd/shown.h"
#include "config.h"

struct asking {
	bool         json;
	enum queue_verb verb;
	struct slice list, member;      /* or empty */
	size_t       count;
};

/* --- rows ---------------------------------------------------------------------------- */

static void
print_row(const json_t *row)
{
	struct buf shown = BUF(4096);
	char day[SHOWN_DAY];

	shown_add(&shown, slice(json_string_value(json_object_get(row, "list"))));
	buf_byte(&shown, ' ');
	shown_add(&shown, slice(json_string_value(json_object_get(row, "member"))));
	printf("%s  %.*s\n", shown_day(json_integer_value(json_object_get(row, "since")), day),
	    FMT(buf_slice(&shown)));
	buf_free(&shown);
}

static bool
take_row(void *arg, json_t *row)
{
	struct asking *a = arg;

	if (a->json) {
		shown_print(row);
	} else {
		print_row(row);
		json_decref(row);
	}
	return true;
}

/* --- both verbs ----------------------------------------------------------------------------- */

static int
tell(const struct asking *a)
{
	if (a->verb == QUEUE_LEFT) {
		if (a->count == 0 && !a->json)
			puts("nobody has left a list with one click");
		return 0;
	}
	if (a->count == 0) {
		complaint("chainmail lists forget: that member has not left that list");
		return EX_BAD;
	}
	if (!a->json)
		puts("forgotten: posts go there again if the list has this member");
	return 0;
}

static int
run(struct asking *a, const char *file)
{
	const struct queue_request request = { .verb = a->verb, .from = a->list, .to = a->member };
	struct error why = { 0 };
	struct house house;
	int code = house_enter(&house, "lists", file);

	if (code == 0 && !rows_ask(&house, &request, NULL, take_row, a, &a->count, &why)) {
		complaint("chainmail lists: %s", why.text);
		code = EX_UNAVAILABLE;
	} else if (code == 0) {
		code = tell(a);
	}
	house_leave(&house);
	return code;
}

int
cmd_lists(int argc, char **argv)
{
	struct asking a = { .verb = QUEUE_LEFT };
	const char *file = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &a.json, NULL, "an object a line" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	const char *verb;

	if (!options_read(argc, argv, "lists [left [LIST] | forget LIST MEMBER]", rows, &words, 3))
		return EX_USAGE;
	verb = words.n > 0 ? words.word[0] : "left";
	if (strcmp(verb, "forget") == 0)
		a.verb = QUEUE_FORGET;
	if ((a.verb == QUEUE_LEFT && strcmp(verb, "left") != 0) || (a.verb == QUEUE_LEFT && words.n > 2) ||
	    (a.verb == QUEUE_FORGET && words.n != 3)) {
		complaint("chainmail lists: left [LIST], or forget LIST MEMBER");
		return EX_USAGE;
	}
	a.list = words.n > 1 ? slice(words.word[1]) : NONE;
	a.member = words.n > 2 ? slice(words.word[2]) : NONE;
	return run(&a, file);
}
