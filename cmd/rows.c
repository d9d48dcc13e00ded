/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/owner.h"
#include "cmd/rows.h"
#include "queue/state.h"

/* So many rows at once, of about so many bytes: a frame of net/link.h holds them. */
enum { KV_MEMORY = 1 << 20, ROWS_MOST = 1000, BYTES_MOST = 4 << 20, LINE_MOST = 4 << 20 };

/* --- who is asked ----------------------------------------------------------------------- */

/* As the owner of the state, for so long; where nothing was kept yet there is nothing to ask. */
static bool
ask_disk(struct house *h, const struct queue_request *r, const json_t *rows,
    bool (*each)(void *, json_t *), void *arg, size_t *count_r, struct error *why)
{
	struct kv_options o = { "caches", STATE_TABLES, &h->clock, KV_MEMORY, false };
	const struct owner was = { geteuid(), getegid() };
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
	owner_return(was);
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

struct loading {
	struct house *house;
	json_t       *rows;             /* that were read, and … */
	size_t        bytes, count;     /* … of how many bytes; all that were read */
};

static bool
load_rows(struct loading *l, struct error *why)
{
	const struct queue_request request = { .verb = QUEUE_LOAD };
	size_t count;
	bool ok = json_array_size(l->rows) == 0 ||
	    rows_ask(l->house, &request, l->rows, NULL, NULL, &count, why);

	json_array_clear(l->rows);
	l->bytes = 0;
	return ok;
}

static int
load_line(struct loading *l, struct slice line, struct error *why)
{
	json_t *row = line.n < LINE_MOST ? json_loadb(line.p, line.n, JSON_ALLOW_NUL, NULL) : NULL;
	struct error flaw = { .text = "it is no JSON" };

	if (row == NULL || !state_check(row, &flaw)) {
		error_set(why, "row %zu: %.200s", l->count + 1,
		    line.n < LINE_MOST ? flaw.text : "it is too long");
		json_decref(row);
		return EX_DATAERR;
	}
	json_array_append_new(l->rows, row);
	l->count++;
	l->bytes += line.n;
	if (json_array_size(l->rows) < ROWS_MOST && l->bytes < BYTES_MOST)
		return 0;
	return load_rows(l, why) ? 0 : EX_UNAVAILABLE;
}

static int
load_lines(struct loading *l, FILE *from, struct error *why)
{
	struct error flaw = { 0 };
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int code = 0;

	while (code == 0 && (n = getline(&line, &room, from)) > 0)
		code = load_line(l, slice_of(line, (size_t)n), why);
	if (code == 0 && ferror(from)) {
		error_sys(why, "cannot read behind row %zu", l->count);
		code = EX_IOERR;
	}
	free(line);
	if (load_rows(l, &flaw))        /* also what came before a bad one */
		return code;
	error_set(why, "%s", flaw.text);
	return EX_UNAVAILABLE;
}

int
rows_load(struct house *h, FILE *from, size_t *count_r, struct error *why)
{
	struct loading l = { .house = h, .rows = json_array() };
	int code = load_lines(&l, from, why);

	*count_r = l.count;
	json_decref(l.rows);
	return code;
}
