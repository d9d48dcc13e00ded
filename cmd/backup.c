/* SPDX-License-Identifier: ISC */
/*
 * backup, restore -- a copy of everything that is on the disk, made while the
 * program runs; and the way back.
 *
 *     DIR/queue/seg, DIR/queue/content     a spool (queue/spool.h)
 *     DIR/state                            rows (cmd/rows.h)
 *
 * The queue keeps still while the copy is made: segments first, up to what was
 * acknowledged when it began, then the content, which none of them lacks then.
 * A backup is opened as any spool before it is called one.
 *
 * Root writes a backup, and reads one, as root; what it does to the state directory
 * it does as its owner (cmd/owner.h).
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
#include "cmd/owner.h"
#include "cmd/rows.h"
#include "config.h"

enum { PATH_BYTES = 4096, PIECE = 1 << 20 };

/* --- copying -------------------------------------------------------------------------------- */

/* What lies elsewhere may be closed to the owner of the state. */
static int
open_source(const char *from)
{
	struct owner owner = owner_leave();
	int fd = open(from, O_RDONLY | O_CLOEXEC);

	owner_return(owner);
	return fd;
}

/* At most so many bytes; what has vanished meanwhile is fine when `may_vanish`. */
static bool
copy_file(const char *from, const char *to, uint64_t most, bool may_vanish, struct error *why)
{
	int in = open_source(from), out;
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
	int fd;

	snprintf(path, sizeof path, "%s/%s", c->from, below);
	if ((fd = open_source(path)) == -1 || (dir = fdopendir(fd)) == NULL)
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
	const struct queue_request ask = { .verb = QUEUE_BACKUP };
	size_t count;
	enum control_answer got = control_ask(h, queue_request_json(&ask), &user, &count, why);
	struct owner owner;
	struct spool *s;

	if (got != CONTROL_NOBODY)
		return got == CONTROL_DONE && b.ok;
	if ((s = house_spool(h, why)) == NULL)
		return false;
	spool_keep_still(s, &b.copying.segment, &b.copying.bytes);
	owner = owner_leave();
	b.ok = copy_spool(&b.copying, why);
	owner_return(owner);
	spool_go_on(s);
	spool_close(s);
	owner_leave();
	return b.ok;
}

static bool
write_state(struct house *h, const char *path, struct error *why)
{
	FILE *f = fopen(path, "wxe");
	bool ok;

	if (f == NULL)
		return error_sys(why, "cannot create %s", path);
	ok = rows_dump(h, f, why) &&
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
	int fd = open_source(path);
	FILE *f = fd != -1 ? fdopen(fd, "r") : NULL;
	size_t count = 0;
	bool ok;

	if (f == NULL)
		return errno == ENOENT || error_sys(why, "cannot open %s", path);
	ok = rows_load(h, f, &count, why);
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
	complaint("chainmail %s: %s", command, why);
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
