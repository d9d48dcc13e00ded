/* SPDX-License-Identifier: ISC */
/*
 * chainmail trust -- what the word of sealers has changed here, and what it would
 * have changed if it were believed (queue/vouching.h): whom `arc { trust … }` could
 * name, and what those do who stand there.
 */
#include <stdio.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/owner.h"
#include "cmd/shown.h"
#include "config.h"

struct asking {
	struct house house;
	bool         json;
	size_t       count;
};

/* --- rows ---------------------------------------------------------------------------- */

static long long
number(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static void
print_row(const json_t *row, bool first)
{
	struct buf shown = BUF(4096);
	char day[SHOWN_DAY];

	shown_add(&shown, slice(json_string_value(json_object_get(row, "sealer"))));
	if (first)
		printf("%-40s %10s %10s  %s\n", "SEALER", "UNTRUSTED", "BELIEVED", "LAST");
	printf("%-40.*s %10lld %10lld  %s\n", FMT(buf_slice(&shown)), number(row, "untrusted"),
	    number(row, "believed"), shown_day(number(row, "last"), day));
	buf_free(&shown);
}

static bool
take_row(void *arg, json_t *row)
{
	struct asking *a = arg;

	if (a->json) {
		shown_print(row);
	} else {
		print_row(row, a->count == 0);
		json_decref(row);
	}
	a->count++;
	return true;
}

/* --- who is asked ------------------------------------------------------------------------ */

static bool
take_voucher(void *arg, const struct voucher *v)
{
	return take_row(arg, queue_voucher(v));
}

static bool
ask_disk(struct asking *a, struct error *why)
{
	struct kv *kv;
	bool ok;

	if (!house_caches(&a->house, &kv, why))
		return false;
	ok = kv == NULL || vouching_each(kv, take_voucher, a, why);
	kv_close(kv);
	owner_leave();
	return ok;
}

static bool
ask(struct asking *a, struct error *why)
{
	const struct queue_request request = { .verb = QUEUE_SEALERS };
	const struct answer_user user = { .row = take_row, .arg = a };
	enum control_answer got;
	size_t count;

	got = control_ask(&a->house, queue_request_json(&request), &user, &count, why);
	return got == CONTROL_NOBODY ? ask_disk(a, why) : got == CONTROL_DONE;
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
	struct words words = { .n = 0 };
	struct error why = { 0 };
	int code;

	if (!options_read(argc, argv, "trust", rows, &words, 0))
		return EX_USAGE;
	if ((code = house_enter(&a.house, "trust", file)) == 0 && !ask(&a, &why)) {
		fprintf(stderr, "chainmail trust: %s\n", why.text);
		code = EX_UNAVAILABLE;
	} else if (code == 0 && a.count == 0 && !a.json) {
		puts("no sealer's word would have changed anything");
	}
	house_leave(&a.house);
	return code;
}
