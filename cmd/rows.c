/* SPDX-License-Identifier: ISC */
#include <stdlib.h>

#include "cmd/owner.h"
#include "cmd/rows.h"
#include "queue/state.h"

enum { KV_MEMORY = 1 << 20, ROWS_MOST = 1000, LINE_MOST = 4 << 20 };

static void
write_row(void *arg, json_t *row)
{
	json_dumpf(row, arg, JSON_COMPACT);
	fputc('\n', arg);
	json_decref(row);
}

static bool
take_row(void *arg, json_t *row)
{
	write_row(arg, row);
	return true;
}

static json_t *
request_of(enum queue_verb verb)
{
	return queue_request_json(&(struct queue_request){ .verb = verb });
}

/* From here on as the owner of the state, until close_caches(). */
static struct kv *
open_caches(struct house *h, struct error *why)
{
	struct kv_options o = { "caches", STATE_TABLES, &h->clock, KV_MEMORY, false };

	return owner_become(".", why) ? kv_open(&o, why) : NULL;
}

static void
close_caches(struct kv *kv)
{
	kv_close(kv);
	owner_leave();
}

bool
rows_dump(struct house *h, FILE *to, struct error *why)
{
	const struct answer_user user = { .row = take_row, .arg = to };
	size_t count;
	enum control_answer got = control_ask(h, request_of(QUEUE_DUMP), &user, &count, why);
	struct kv *kv;
	bool ok;

	if (got != CONTROL_NOBODY)
		return got == CONTROL_DONE;
	if ((kv = open_caches(h, why)) == NULL)
		return false;
	ok = state_dump(kv, write_row, to, why);
	close_caches(kv);
	return ok;
}

static bool
none(void *arg, json_t *row)
{
	(void)arg;
	json_decref(row);
	return true;
}

static bool
load_rows(struct house *h, json_t *rows, struct error *why)
{
	static const struct answer_user user = { .row = none };
	json_t *request = request_of(QUEUE_LOAD), *row;
	enum control_answer got;
	struct kv *kv;
	size_t i, count;
	bool ok = true;

	json_object_set(request, "rows", rows);
	got = control_ask(h, request, &user, &count, why);
	if (got != CONTROL_NOBODY)
		return got == CONTROL_DONE;
	if ((kv = open_caches(h, why)) == NULL)
		return false;
	json_array_foreach(rows, i, row)
		ok = ok && state_load(kv, row, why);
	ok = ok && kv_commit(kv, KV_SYNC, why);
	close_caches(kv);
	return ok;
}

static bool
load_line(struct house *h, json_t *rows, struct slice line, struct error *why)
{
	json_t *row = json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL);

	if (row == NULL)
		return error_set(why, "it is no JSON");
	json_array_append_new(rows, row);
	if (json_array_size(rows) < ROWS_MOST)
		return true;
	return load_rows(h, rows, why) && json_array_clear(rows) == 0;
}

bool
rows_load(struct house *h, FILE *from, size_t *count_r, struct error *why)
{
	json_t *rows = json_array();
	struct error flaw = { 0 };
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool ok = true;

	while (ok && (n = getline(&line, &room, from)) > 0)
		if ((ok = n < LINE_MOST && load_line(h, rows, slice_of(line, (size_t)n), &flaw)))
			++*count_r;
	ok = ok && (json_array_size(rows) == 0 || load_rows(h, rows, &flaw));
	json_decref(rows);
	free(line);
	return ok || error_set(why, "row %zu or before it: %.200s", *count_r + 1, flaw.text);
}
