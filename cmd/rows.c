/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cmd/owner.h"
#include "cmd/rows.h"
#include "queue/state.h"

enum { KV_MEMORY = 1 << 20, ROWS_MOST = 1000, LINE_MOST = 4 << 20 };

/* --- who is asked ----------------------------------------------------------------------- */

/* From here on as the owner of the state; where nothing was kept yet there is nothing to ask. */
static bool
ask_disk(struct house *h, const struct queue_request *r, const json_t *rows,
    bool (*each)(void *, json_t *), void *arg, size_t *count_r, struct error *why)
{
	struct kv_options o = { "caches", STATE_TABLES, &h->clock, KV_MEMORY, false };
	struct kv *kv = NULL;
	struct stat st;
	bool ok;

	*count_r = 0;
	if (r->verb != QUEUE_LOAD && stat(o.dir, &st) == -1)
		return errno == ENOENT || error_sys(why, "cannot look at %.*s/%s",
		    FMT(h->conf->state), o.dir);
	ok = owner_become(".", why) && (kv = kv_open(&o, why)) != NULL &&
	    queue_kept(kv, r, rows, each, arg, count_r, why);
	kv_close(kv);
	owner_leave();
	return ok;
}

bool
rows_ask(struct house *h, const struct queue_request *r, json_t *rows, bool (*each)(void *, json_t *),
    void *arg, size_t *count_r, struct error *why)
{
	const struct answer_user user = { .row = each, .arg = arg };
	json_t *request = queue_request_json(r);
	enum control_answer got;

	if (rows != NULL)
		json_object_set(request, "rows", rows);
	got = control_ask(h, request, &user, count_r, why);
	return got == CONTROL_NOBODY ? ask_disk(h, r, rows, each, arg, count_r, why)
	    : got == CONTROL_DONE;
}

/* --- all of it, as text ----------------------------------------------------------------- */

static bool
write_row(void *arg, json_t *row)
{
	json_dumpf(row, arg, JSON_COMPACT);
	fputc('\n', arg);
	json_decref(row);
	return true;
}

bool
rows_dump(struct house *h, FILE *to, struct error *why)
{
	const struct queue_request request = { .verb = QUEUE_DUMP };
	size_t count;

	return rows_ask(h, &request, NULL, write_row, to, &count, why);
}

static bool
load_rows(struct house *h, json_t *rows, struct error *why)
{
	const struct queue_request request = { .verb = QUEUE_LOAD };
	size_t count;

	return rows_ask(h, &request, rows, NULL, NULL, &count, why);
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
