/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bug.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "cmd/owner.h"
#include "net/link.h"

enum { PATH_BYTES = 4096, ROWS_MOST = QUEUE_ROW_MOST + LINK_FRAME_MOST, ROW_MEMORY = 256 << 20 };

/* --- the house -------------------------------------------------------------------------- */

static int
tell_flaws(const struct house *h)
{
	struct buf out = BUF(1 << 20);

	flaws_add_text(&out, &h->flaws);
	fwrite(out.p, 1, out.n, stderr);
	buf_free(&out);
	return EX_CONFIG;
}

/*
 * A text with errors, or none of that name, may have meant another place than the usual
 * one: nothing is dropped there by mistake.
 */
static bool
names_its_state(const struct conf *conf)
{
	return conf->state_place.at != conf->begin.at;
}

static int
read_texts(struct house *h, const char *file)
{
	*h = (struct house){ .conf = NULL };
	flaws_begin(&h->flaws);
	h->conf = conf_load_texts(file, &h->files, &h->flaws);
	return h->flaws.errors == 0 || names_its_state(h->conf) ? 0 : tell_flaws(h);
}

/* As far as one may go: whoever may not is not of this house. */
static int
go_there(struct house *h, const char *command)
{
	char state[PATH_BYTES];
	int number;

	snprintf(state, sizeof state, "%.*s", FMT(h->conf->state));
	if (chdir(state) == 0)
		return 0;
	number = errno;
	if (h->flaws.errors > 0)
		return tell_flaws(h);
	complaint("chainmail %s: cannot go to %s: %s%s", command, state, strerror(number),
	    number == EACCES ? "; only root and the account of the program may ask" : "");
	return EX_NOINPUT;
}

int
house_enter(struct house *h, const char *command, const char *file)
{
	int code = read_texts(h, file);

	return code != 0 ? code : go_there(h, command);
}

int
house_build(struct house *h, const char *command, const char *file)
{
	int code = read_texts(h, file);
	struct error why;

	if (code != 0 || h->flaws.errors > 0)
		return code != 0 ? code : tell_flaws(h);
	if (!owner_make_state(h->conf, &why)) {
		complaint("chainmail %s: %s", command, why.text);
		return EX_CANTCREAT;
	}
	return go_there(h, command);
}

void
house_leave(struct house *h)
{
	conf_free(h->conf);
	files_free(&h->files);
	flaws_end(&h->flaws);
}

/* A command is the only one to tell of it. */
static void
tell_news(void *arg, enum spool_news kind, const char *sentence)
{
	(void)arg;
	if (kind == SPOOL_TROUBLE || kind == SPOOL_DAMAGE)
		complaint("chainmail: %s", sentence);
}

struct spool *
house_spool(struct house *h, struct error *why)
{
	struct spool_options o = { .dir = "queue", .clock = &h->clock, .threadless = true,
	    .news = tell_news };

	return owner_become(".", why) ? spool_open(&o, why) : NULL;
}

/* --- asking -------------------------------------------------------------------------------- */

struct asking {
	const struct answer_user *user;
	struct loop         loop;
	enum control_answer answer;
	size_t              count;
	struct buf          rows;       /* the beginning of one that has not come in full */
	struct arena       *arena;      /* of one */
	struct error       *why;
};

static void
take_end(struct asking *a, json_t *end)
{
	const char *error = json_string_value(json_object_get(end, "error"));

	a->count = (size_t)json_integer_value(json_object_get(end, "count"));
	a->answer = error != NULL ? CONTROL_FAILED : CONTROL_DONE;
	if (error != NULL)
		error_set(a->why, "%s", error);
	if (a->user->missing_r != NULL)
		*a->user->missing_r = json_is_true(json_object_get(end, "missing"));
	json_decref(end);
	loop_stop(&a->loop);
}

static void
enough(struct asking *a)
{
	a->answer = CONTROL_DONE;
	loop_stop(&a->loop);
}

static void
misunderstand(struct asking *a)
{
	error_set(a->why, "the program's answer cannot be understood");
	loop_stop(&a->loop);
}

static void
take_rows(struct asking *a, struct slice part)
{
	enum row_answer got = ROW_BAD;
	struct queue_row row;
	struct slice left;
	bool more = true;

	buf_add(&a->rows, part);
	left = buf_slice(&a->rows);
	while (more && !a->rows.full && (got = row_unpack(&row, &left, a->arena)) == ROW_GOT) {
		more = a->user->message != NULL && a->user->message(a->user->arg, &row);
		arena_reset(a->arena);
	}
	buf_drop(&a->rows, a->rows.n - left.n);
	if (!more)
		enough(a);
	else if (got == ROW_BAD)
		misunderstand(a);
}

static void
take_json(struct asking *a, unsigned kind, struct slice payload)
{
	json_t *j = json_loadb(payload.p, payload.n, JSON_ALLOW_NUL, NULL);

	if (j == NULL)
		misunderstand(a);
	else if (kind == FRAME_END)
		take_end(a, j);
	else if (a->user->row == NULL || !a->user->row(a->user->arg, j))
		enough(a);
}

static void
on_frame(void *arg, unsigned kind, struct slice payload, int fd)
{
	struct asking *a = arg;

	if (fd != -1)
		close(fd);
	if (kind == FRAME_ROWS)
		take_rows(a, payload);
	else if (kind != FRAME_BYTES)
		take_json(a, kind, payload);
	else if (a->user->bytes != NULL)
		a->user->bytes(a->user->arg, payload);
}

static void
on_gone(void *arg)
{
	struct asking *a = arg;

	if (a->answer == CONTROL_LOST)
		error_set(a->why, "the program ended before it answered");
	loop_stop(&a->loop);
}

static const struct link_user PROGRAM = { on_frame, on_gone };

static bool
hung_up(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);

	return n == 0 || (n == -1 && errno != EAGAIN);
}

static void
converse(struct asking *a, struct house *h, int fd, const char *request)
{
	struct link *link;

	loop_begin(&a->loop, &h->clock);
	link = link_new(&a->loop, fd, &PROGRAM, a);
	link_send(link, FRAME_REQUEST, slice(request), -1);
	loop_run(&a->loop);
	if (a->answer == CONTROL_DONE && a->user->lasts && hung_up(link_fd(link)))
		a->answer = CONTROL_LOST;
	link_end(link);
	loop_end(&a->loop);
}

int
control_connect(struct slice state, bool *nobody_r, struct error *why)
{
	struct peer at = { .path = "control" };
	struct error flaw = { 0 };
	int fd = peer_connect(&at, NULL, &flaw);

	*nobody_r = fd == -1 && (flaw.number == ENOENT || flaw.number == ECONNREFUSED);
	if (fd == -1)
		error_set(why, "cannot connect to %.*s/control: %s", FMT(state), strerror(flaw.number));
	return fd;
}

enum control_answer
control_ask(struct house *h, json_t *request, const struct answer_user *user, size_t *count_r,
    struct error *why)
{
	struct asking a = { .user = user, .answer = CONTROL_LOST, .why = why,
	    .rows = BUF(ROWS_MOST), .arena = arena_new(ROW_MEMORY) };
	char *text = json_dumps(request, JSON_COMPACT);
	bool nobody;
	int fd = control_connect(h->conf->state, &nobody, why);

	bug_if(text == NULL);
	if (fd == -1)
		a.answer = nobody ? CONTROL_NOBODY : CONTROL_FAILED;
	else
		converse(&a, h, fd, text);
	buf_free(&a.rows);
	arena_free(a.arena);
	free(text);
	json_decref(request);
	*count_r = a.count;
	return a.answer;
}
