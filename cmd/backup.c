/* SPDX-License-Identifier: ISC */
/*
 * backup, restore -- a copy of everything that is on the disk, made while the
 * program runs; and the way back.
 *
 *     DIR/queue/seg, DIR/queue/content     a spool (queue/spool.h)
 *     DIR/state                            rows of queue/state.h, a line each
 *
 * The queue keeps still while the copy is made: segments first, up to what was
 * acknowledged when it began, then the content, which none of them lacks then.
 * A backup is opened as any spool before it is called one.
 *
 * What has been delivered since a backup was made is delivered again after its
 * restoration: it is for a state that was lost.
 */
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/control.h"
#include "config.h"
#include "queue/state.h"

enum { PATH_BYTES = 4096, PIECE = 1 << 20, KV_MEMORY = 1 << 20, ROWS_MOST = 1000, LINE_MOST = 4 << 20 };

/* --- copying -------------------------------------------------------------------------------- */

/* At most so many bytes; what has vanished meanwhile is fine when `may_vanish`. */
static bool
copy_file(const char *from, const char *to, uint64_t most, bool may_vanish, struct error *why)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	char *piece;
	ssize_t n = 1;
	bool ok = true;

	if (in == -1)
		return (may_vanish && errno == ENOENT) || error_sys(why, "cannot open %s", from);
	if ((out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) == -1) {
		close(in);
		return error_sys(why, "cannot create %s", to);
	}
	piece = must_alloc(PIECE);
	while (ok && most > 0 && (n = read(in, piece, most < PIECE ? (size_t)most : PIECE)) > 0) {
		ok = file_write(out, slice_of(piece, (size_t)n), why);
		most -= (uint64_t)n;
	}
	if (n == -1)
		ok = error_sys(why, "cannot read %s", from);
	ok = ok && file_flush(out, why);
	free(piece);
	close(in);
	close(out);
	return ok;
}

struct copying {
	const char *from, *to;          /* directories */
	uint32_t    segment;            /* the last one, … */
	uint64_t    bytes;              /* … and what is copied of it */
};

static bool
copy_segment(const struct copying *c, const char *name, struct error *why)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	uint64_t number;

	if (strlen(name) != 8 || !slice_number(slice(name), 99999999, &number) || number > c->segment)
		return true;                    /* a spare, or begun since */
	snprintf(from, sizeof from, "%s/seg/%s", c->from, name);
	snprintf(to, sizeof to, "%s/seg/%s", c->to, name);
	return copy_file(from, to, number == c->segment ? c->bytes : UINT64_MAX, false, why);
}

static bool
copy_content(const struct copying *c, const char *name, struct error *why)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	uint64_t id;

	if (!id_parse(slice(name), &id))
		return true;                    /* it is being received */
	snprintf(from, sizeof from, "%s/content/%s", c->from, name);
	snprintf(to, sizeof to, "%s/content/%s", c->to, name);
	return copy_file(from, to, UINT64_MAX, true, why);
}

static bool
copy_all(const struct copying *c, const char *below,
    bool (*copy)(const struct copying *, const char *, struct error *), struct error *why)
{
	char path[PATH_BYTES];
	bool ok = true;
	DIR *dir;

	snprintf(path, sizeof path, "%s/%s", c->from, below);
	if ((dir = opendir(path)) == NULL)
		return error_sys(why, "cannot open %s", path);
	for (struct dirent *e; ok && (e = readdir(dir)) != NULL;)
		ok = e->d_name[0] == '.' || copy(c, e->d_name, why);
	closedir(dir);
	snprintf(path, sizeof path, "%s/%s", c->to, below);
	return ok && dir_flush(path, why);
}

static bool
copy_spool(const struct copying *c, struct error *why)
{
	char seg[PATH_BYTES], content[PATH_BYTES];

	snprintf(seg, sizeof seg, "%s/seg", c->to);
	snprintf(content, sizeof content, "%s/content", c->to);
	return dir_make(seg, 0700, why) && dir_make(content, 0700, why) &&
	    copy_all(c, "seg", copy_segment, why) && copy_all(c, "content", copy_content, why);
}

/* It is a spool, and says so itself. */
static bool
prove(struct house *h, const char *dir, size_t *messages_r, struct error *why)
{
	struct spool_options o = { .dir = dir, .clock = &h->clock, .threadless = true };
	struct spool_usage usage;
	struct spool *s = spool_open(&o, why);
	bool ok;

	if (s == NULL)
		return false;
	ok = spool_drain(s) && spool_verify(s, why);
	spool_usage(s, &usage);
	*messages_r = usage.messages;
	spool_close(s);
	return ok && (usage.damages == 0 || error_set(why, "%zu records of it are damaged", usage.damages));
}

/* --- rows of the state ------------------------------------------------------------------------ */

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

static struct kv *
open_caches(struct house *h, struct error *why)
{
	struct kv_options o = { "caches", STATE_TABLES, &h->clock, KV_MEMORY, false };

	return kv_open(&o, why);
}

static bool
dump(struct house *h, FILE *to, struct error *why)
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
	kv_close(kv);
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
	kv_close(kv);
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

/* Line by line; so many rows go at once. */
static bool
load(struct house *h, FILE *from, size_t *count_r, struct error *why)
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

/* --- backup ------------------------------------------------------------------------------------- */

struct backing_up {
	struct copying copying;
	bool           ok;
	struct error  *why;
};

/* The spool keeps still until we hang up. */
static bool
copy_now(void *arg, json_t *row)
{
	struct backing_up *b = arg;

	b->copying.segment = (uint32_t)json_integer_value(json_object_get(row, "segment"));
	b->copying.bytes = (uint64_t)json_integer_value(json_object_get(row, "bytes"));
	json_decref(row);
	b->ok = copy_spool(&b->copying, b->why);
	return false;
}

static bool
copy_of_the_house(struct house *h, const char *to, struct error *why)
{
	struct backing_up b = { .copying = { "queue", to, 0, 0 }, .why = why };
	const struct answer_user user = { .row = copy_now, .arg = &b };
	size_t count;
	enum control_answer got = control_ask(h, request_of(QUEUE_BACKUP), &user, &count, why);
	struct spool *s;

	if (got != CONTROL_NOBODY)
		return got == CONTROL_DONE && b.ok;
	if ((s = house_spool(h, why)) == NULL)
		return false;
	spool_keep_still(s, &b.copying.segment, &b.copying.bytes);
	b.ok = copy_spool(&b.copying, why);
	spool_go_on(s);
	spool_close(s);
	return b.ok;
}

static bool
write_state(struct house *h, const char *path, struct error *why)
{
	FILE *f = fopen(path, "wxe");
	bool ok;

	if (f == NULL)
		return error_sys(why, "cannot create %s", path);
	ok = dump(h, f, why) &&
	    ((fflush(f) == 0 && fsync(fileno(f)) == 0) || error_sys(why, "cannot write %s", path));
	fclose(f);
	return ok;
}

static bool
backup(struct house *h, const char *to, size_t *messages_r, struct error *why)
{
	char spool[PATH_BYTES], state[PATH_BYTES];

	snprintf(spool, sizeof spool, "%s/queue", to);
	snprintf(state, sizeof state, "%s/state", to);
	return copy_of_the_house(h, spool, why) && prove(h, spool, messages_r, why) &&
	    write_state(h, state, why) && dir_flush(to, why);
}

/* --- restore ------------------------------------------------------------------------------------ */

/* Nobody runs, and nothing waits that would be lost. */
static bool
nothing_here(struct house *h, struct error *why)
{
	struct spool *s = house_spool(h, why);
	struct spool_usage usage;

	if (s == NULL)
		return false;
	spool_usage(s, &usage);
	spool_close(s);
	return usage.messages == 0 ||
	    error_set(why, "%zu messages wait in the queue here; export or drop them first", usage.messages);
}

static bool
restore_state(struct house *h, const char *path, struct error *why)
{
	FILE *f = fopen(path, "re");
	size_t count = 0;
	bool ok;

	if (f == NULL)
		return errno == ENOENT || error_sys(why, "cannot open %s", path);
	ok = load(h, f, &count, why);
	fclose(f);
	return ok;
}

/* The new spool takes its place in one step. */
static bool
restore(struct house *h, const char *from, size_t *messages_r, struct error *why)
{
	char spool[PATH_BYTES], state[PATH_BYTES];
	const struct copying c = { spool, "queue-restored", UINT32_MAX, 0 };

	snprintf(spool, sizeof spool, "%s/queue", from);
	snprintf(state, sizeof state, "%s/state", from);
	return nothing_here(h, why) && dir_remove(c.to, why) && copy_spool(&c, why) &&
	    prove(h, c.to, messages_r, why) && dir_remove("queue", why) &&
	    file_rename(c.to, "queue", why) && dir_flush(".", why) && restore_state(h, state, why);
}

/* --- commands ------------------------------------------------------------------------------------- */

static const char default_file[] = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";

static bool
read_place(int argc, char **argv, const char *synopsis, const char **file, const char **place)
{
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, file, "FILE", "the configuration" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };

	if (!options_read(argc, argv, synopsis, rows, &words, 1))
		return false;
	*place = words.n == 1 ? words.word[0] : NULL;
	return true;
}

static int
fail(const char *command, const char *why)
{
	fprintf(stderr, "chainmail %s: %s\n", command, why);
	return EX_UNAVAILABLE;
}

/* In the house, with a directory that was named before we went there. */
static int
with_directory(const char *command, const char *file, const char *place,
    bool (*act)(struct house *, const char *, size_t *, struct error *))
{
	char directory[PATH_BYTES];
	struct house h;
	struct error why = { 0 };
	size_t messages = 0;
	int code;

	if (realpath(place, directory) == NULL)
		return fail(command, strerror(errno));
	if ((code = house_enter(&h, command, file)) == 0) {
		if (act(&h, directory, &messages, &why))
			printf("%s: %zu message%s\n", command, messages, messages == 1 ? "" : "s");
		else
			code = fail(command, why.text);
	}
	house_leave(&h);
	return code;
}

int
cmd_backup(int argc, char **argv)
{
	const char *file = default_file, *place = NULL;

	if (!read_place(argc, argv, "backup DIR", &file, &place) || place == NULL)
		return place == NULL ? fail("backup", "into which new directory?"), EX_USAGE : EX_USAGE;
	if (mkdir(place, 0700) == -1)
		return fail("backup", strerror(errno));
	return with_directory("backup", file, place, backup);
}

int
cmd_restore(int argc, char **argv)
{
	const char *file = default_file, *place = NULL;

	if (!read_place(argc, argv, "restore DIR", &file, &place) || place == NULL)
		return place == NULL ? fail("restore", "from which directory?"), EX_USAGE : EX_USAGE;
	return with_directory("restore", file, place, restore);
}

int
cmd_state(int argc, char **argv)
{
	const char *file = default_file, *verb = NULL;
	struct error why = { 0 };
	struct house h;
	size_t count = 0;
	bool loading, ok;
	int code;

	if (!read_place(argc, argv, "state dump|load", &file, &verb))
		return EX_USAGE;
	loading = verb != NULL && strcmp(verb, "load") == 0;
	if (!loading && (verb == NULL || strcmp(verb, "dump") != 0))
		return fail("state", "dump writes to standard output, load reads standard input"), EX_USAGE;
	if ((code = house_enter(&h, "state", file)) == 0) {
		ok = loading ? load(&h, stdin, &count, &why) : dump(&h, stdout, &why);
		code = ok ? 0 : fail("state", why.text);
		if (ok && loading)
			printf("load: %zu row%s\n", count, count == 1 ? "" : "s");
	}
	house_leave(&h);
	return code;
}
