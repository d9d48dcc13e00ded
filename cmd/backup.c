/* SPDX-License-Identifier: ISC */
/*
 * backup, restore -- a copy of everything that is on the disk, made while the
 * program runs; and the way back.
 *
 *     DIR/queue/seg, DIR/queue/content     a spool (queue/spool.h)
 *     DIR/state                            rows (cmd/rows.h)
 *     DIR/secrets                          conf/secrets.h; for nobody else's eyes
 *     DIR/holds                            what there is to be (cmd/holdings.h)
 *
 * The queue keeps still while the copy is made: segments first, up to what was
 * acknowledged when it began, then the content, which none of them lacks then.
 * When it is replaced meanwhile its link ends, and the copy begins again.
 * A backup is opened as any spool before it is called one.
 *
 * What cannot be copied is named and left out, bytes of a file that cannot be read
 * are zeros, and all else is copied: a backup is wanted most when a disk is dying.
 * Then it ends with EX_DATAERR, as does a restoration of what is not whole: that puts
 * nothing in place, unless --damaged says that what is left is better than nothing.
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
#include "cmd/holdings.h"
#include "cmd/owner.h"
#include "cmd/rows.h"
#include "conf/secrets.h"
#include "config.h"

#define RESTORED "queue-restored"       /* a spool that is not in its place yet */

enum { PATH_BYTES = 4096, PIECE = 1 << 20, BLOCK = 4096, SECRETS_BYTES = 4096,
	TRIES_MOST = 5 };               /* of a copy while the queue is replaced */

/* What became of it, besides true and false. */
struct outcome {
	const char *command;
	bool        damaged;            /* what is not whole is taken, too */
	size_t      messages, lacks;
};

static void
say_lack(const struct outcome *o, const char *what)
{
	complaint("chainmail %s: %s", o->command, what);
}

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

/* What the disk does not give is zeros, block by block. */
static size_t
read_or_zero(int fd, char *piece, size_t n, off_t at)
{
	size_t zeros = 0;

	if (file_read_at(fd, piece, n, at, NULL))
		return 0;
	for (size_t done = 0; done < n; done += BLOCK) {
		size_t part = n - done < BLOCK ? n - done : BLOCK;

		if (!file_read_at(fd, piece + done, part, at + (off_t)done, NULL)) {
			memset(piece + done, 0, part);
			zeros += part;
		}
	}
	return zeros;
}

static bool
copy_bytes(int in, int out, uint64_t size, uint64_t *zeros_r, struct error *why)
{
	char *piece = must_alloc(PIECE);
	bool ok = true;

	for (uint64_t at = 0; ok && at < size; at += PIECE) {
		size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;

		*zeros_r += read_or_zero(in, piece, n, (off_t)at);
		ok = file_write(out, slice_of(piece, n), why);
	}
	free(piece);
	return ok && file_flush(out, why);
}

struct copying {
	const char     *from, *to;      /* directories */
	uint32_t        segment;        /* the last one, … */
	uint64_t        bytes;          /* … and what is copied of it */
	struct outcome *outcome;
};

/* False when it cannot be written; what cannot be read is a lack. */
static bool
copy_open_file(const struct copying *c, int in, const char *from, const char *to, uint64_t most,
    struct error *why)
{
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t zeros = 0, size;
	char what[PATH_BYTES + 80];
	struct stat st;
	bool ok;

	if (out == -1)
		return error_sys(why, "cannot create %s", to);
	size = fstat(in, &st) == -1 ? 0 : (uint64_t)st.st_size < most ? (uint64_t)st.st_size : most;
	ok = copy_bytes(in, out, size, &zeros, why);
	close(out);
	if (zeros > 0) {
		snprintf(what, sizeof what, "%llu bytes of %s cannot be read",
		    (unsigned long long)zeros, from);
		say_lack(c->outcome, what);
		c->outcome->lacks++;
	}
	return ok;
}

/* At most so many bytes; what has vanished meanwhile is fine when `may_vanish`. */
static bool
copy_file(const struct copying *c, const char *from, const char *to, uint64_t most, bool may_vanish,
    struct error *why)
{
	int in = open_source(from);
	struct error local = { 0 };
	bool ok;

	if (in == -1) {
		if (may_vanish && errno == ENOENT)
			return true;
		error_sys(&local, "cannot open %s", from);
		say_lack(c->outcome, local.text);
		c->outcome->lacks++;
		return true;
	}
	ok = copy_open_file(c, in, from, to, most, why);
	close(in);
	return ok;
}

static bool
copy_segment(const struct copying *c, const char *name, struct error *why)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	uint32_t number;

	if (!segment_number(slice(name), &number) || number > c->segment)
		return true;                    /* a spare, or begun since */
	snprintf(from, sizeof from, "%s/seg/%s", c->from, name);
	snprintf(to, sizeof to, "%s/seg/%s", c->to, name);
	return copy_file(c, from, to, number == c->segment ? c->bytes : UINT64_MAX, false, why);
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
	return copy_file(c, from, to, UINT64_MAX, true, why);
}

/* Names that the disk does not give are a lack, too. */
static bool
copy_names(const struct copying *c, DIR *dir, const char *path,
    bool (*copy)(const struct copying *, const char *, struct error *), struct error *why)
{
	struct error local;
	bool ok = true;

	errno = 0;
	for (struct dirent *e; ok && (e = readdir(dir)) != NULL; errno = 0)
		ok = e->d_name[0] == '.' || copy(c, e->d_name, why);
	if (ok && errno != 0) {
		error_sys(&local, "cannot read all of %s", path);
		say_lack(c->outcome, local.text);
		c->outcome->lacks++;
	}
	return ok;
}

static bool
copy_all(const struct copying *c, const char *below,
    bool (*copy)(const struct copying *, const char *, struct error *), struct error *why)
{
	char path[PATH_BYTES];
	DIR *dir;
	bool ok;
	int fd;

	snprintf(path, sizeof path, "%s/%s", c->from, below);
	if ((fd = open_source(path)) == -1 || (dir = fdopendir(fd)) == NULL)
		return error_sys(why, "cannot open %s", path);
	ok = copy_names(c, dir, path, copy, why);
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

static void
hear(void *arg, enum spool_news what, const char *sentence)
{
	if (what == SPOOL_DAMAGE)
		say_lack(arg, sentence);
}

/* It is a spool, and says so itself; and what of it is damaged. */
static bool
prove(struct house *h, const char *dir, struct outcome *o, struct error *why)
{
	struct spool_options options = { .dir = dir, .clock = &h->clock, .threadless = true,
		.news = hear, .arg = o };
	struct spool_usage usage;
	struct error unsound = { 0 };
	struct spool *s = spool_open(&options, why);
	bool sound;

	if (s == NULL)
		return false;
	sound = spool_drain(s) && spool_verify(s, &unsound) && spool_verify_contents(s, &unsound);
	spool_usage(s, &usage);
	o->messages = usage.messages;
	o->lacks += usage.damages;
	spool_close(s);
	if (!sound && usage.damages == 0) {
		say_lack(o, unsound.text);
		o->lacks++;
	}
	return true;
}

/* --- backup ------------------------------------------------------------------------------------- */

struct backing_up {
	struct copying copying;
	bool           ok;
	struct error  *why;
};

/* The spool keeps still until we hang up, or until its queue does. */
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

/* Nobody runs: it is ours as long as we have it. */
static bool
copy_at_rest(struct house *h, struct backing_up *b)
{
	struct spool *s = house_spool(h, b->why);
	struct owner owner;

	if (s == NULL)
		return false;
	spool_keep_still(s, &b->copying.segment, &b->copying.bytes);
	owner = owner_leave();
	b->ok = copy_spool(&b->copying, b->why);
	owner_return(owner);
	spool_go_on(s);
	spool_close(s);
	owner_leave();
	return b->ok;
}

/* What was copied while another queue was at work already is no copy. */
static bool
begin_again(const char *to, struct outcome *o, struct error *why)
{
	complaint("chainmail %s: the queue was replaced meanwhile; the copy begins again", o->command);
	o->lacks = 0;
	return dir_remove(to, why);
}

/* A reload, a renewed certificate or new secrets replace the queue, and so does its death. */
static bool
copy_of_the_house(struct house *h, const char *to, struct outcome *o, struct error *why)
{
	const struct queue_request ask = { .verb = QUEUE_BACKUP };
	size_t count;

	for (int i = 0; i < TRIES_MOST; i++) {
		struct backing_up b = { .copying = { "queue", to, 0, 0, o }, .ok = true, .why = why };
		const struct answer_user user = { .row = copy_now, .arg = &b, .lasts = true };
		enum control_answer got = control_ask(h, queue_request_json(&ask), &user, &count, why);

		if (got == CONTROL_NOBODY)
			return copy_at_rest(h, &b);
		if (got != CONTROL_LOST || !b.ok)
			return got == CONTROL_DONE && b.ok;
		if (!begin_again(to, o, why))
			return false;
	}
	return error_set(why, "the queue was replaced each time: %d copies were begun", TRIES_MOST);
}

/* What the caches do not tell is a lack, as of files. */
static bool
write_state(struct house *h, const char *path, struct outcome *o, struct error *why)
{
	FILE *f = fopen(path, "wxe");
	struct error flaw = { 0 };
	bool ok;

	if (f == NULL)
		return error_sys(why, "cannot create %s", path);
	if (!rows_dump(h, f, &flaw)) {
		say_lack(o, flaw.text);
		o->lacks++;
	}
	ok = (!ferror(f) && fflush(f) == 0 && fsync(fileno(f)) == 0) ||
	    error_sys(why, "cannot write %s", path);
	fclose(f);
	return ok;
}

/* Without them a bounce to an SRS address, or a word to leave a list, is forged afterwards. */
static bool
copy_secrets(const char *to, struct outcome *o, struct error *why)
{
	const struct copying c = { .outcome = o };
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "%s/" SECRETS_NAME, to);
	return copy_file(&c, SECRETS_NAME, path, UINT64_MAX, true, why);
}

static bool
lies_in(const char *path, const char *directory)
{
	char whole[PATH_BYTES];
	size_t n;

	if (realpath(directory, whole) == NULL)
		return false;
	n = strlen(whole);
	return strncmp(path, whole, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* There it would grow what it copies, and be lost with it. */
static bool
lies_elsewhere(const struct house *h, const char *to, struct error *why)
{
	return !(lies_in(to, ".") || lies_in(to, "queue")) || error_set(why,
	    "a backup must not lie in the state directory, %.*s: it would copy itself", FMT(h->conf->state));
}

static bool
copy_house(struct house *h, const char *to, struct outcome *o, struct error *why)
{
	char spool[PATH_BYTES], state[PATH_BYTES];

	snprintf(spool, sizeof spool, "%s/queue", to);
	snprintf(state, sizeof state, "%s/state", to);
	return copy_of_the_house(h, spool, o, why) && prove(h, spool, o, why) &&
	    write_state(h, state, o, why) && copy_secrets(to, o, why) &&
	    holdings_write(to, o->messages, o->lacks, why) && dir_flush(to, why) &&
	    dir_flush_name(to, why);
}

/* All of it, or nothing: half of one would pass for a backup without a list, and keep the name. */
static bool
backup(struct house *h, const char *to, struct outcome *o, struct error *why)
{
	if (lies_elsewhere(h, to, why) && copy_house(h, to, o, why))
		return true;
	owner_leave();
	dir_remove(to, NULL);
	o->lacks = 0;
	return false;
}

/* --- restore ------------------------------------------------------------------------------------ */

/* Nobody runs, and nothing waits or was set aside that would be lost: the queue goes. */
static bool
nothing_here(struct house *h, struct error *why)
{
	struct spool *s = house_spool(h, why);
	struct spool_usage usage;

	if (s == NULL)
		return false;
	spool_usage(s, &usage);
	spool_close(s);
	if (usage.messages > 0)
		return error_set(why, "%zu messages wait in the queue here; export or drop them first",
		    usage.messages);
	return rmdir("queue/damaged") == 0 || errno == ENOENT ||
	    error_sys(why, "queue/damaged has what was set aside; move it away first");
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
	ok = rows_load(h, f, &count, why) == 0;
	fclose(f);
	return ok;
}

/* What is not there is empty. */
static bool
read_secrets(const char *path, struct buf *text, struct error *why)
{
	int fd = open_source(path);
	bool ok;

	if (fd == -1)
		return errno == ENOENT || error_sys(why, "cannot open %s", path);
	ok = file_read_fd(fd, path, text, why);
	close(fd);
	return ok;
}

/* Those that were made here since are believed as well. */
static bool
restore_secrets(const char *from, struct error *why)
{
	struct buf saved = BUF(SECRETS_BYTES), here = BUF(SECRETS_BYTES), joined = BUF(SECRETS_BYTES);
	char path[PATH_BYTES];
	bool ok;

	snprintf(path, sizeof path, "%s/" SECRETS_NAME, from);
	ok = read_secrets(path, &saved, why) && read_secrets(SECRETS_NAME, &here, why);
	secrets_join(buf_slice(&saved), buf_slice(&here), &joined);
	ok = ok && (joined.n == 0 || file_replace(SECRETS_NAME, buf_slice(&joined), 0600, why));
	buf_free(&saved);
	buf_free(&here);
	buf_free(&joined);
	return ok;
}

static void
say_difference(void *arg, const char *sentence)
{
	say_lack(arg, sentence);
}

/* It is still what it was when it was made. */
static bool
compare(const char *from, struct outcome *o, uint64_t *messages_r, struct error *why)
{
	struct owner owner = owner_leave();
	bool ok = holdings_compare(from, say_difference, o, messages_r, &o->lacks, why);

	owner_return(owner);
	return ok;
}

/* Nothing is put in place that lacks something, unless that is wanted. */
static bool
whole_enough(const struct outcome *o, struct error *why)
{
	return o->lacks == 0 || o->damaged || error_set(why,
	    "it is not whole and was not put in place; with --damaged what is left of it is");
}

/* The new spool, beside the one that is there. */
static bool
bring_spool(struct house *h, const char *from, uint64_t saved, struct outcome *o, struct error *why)
{
	char spool[PATH_BYTES], what[80];
	const struct copying c = { spool, RESTORED, UINT32_MAX, UINT64_MAX, o };

	snprintf(spool, sizeof spool, "%s/queue", from);
	if (!dir_remove(c.to, why) || !copy_spool(&c, why) || !prove(h, c.to, o, why))
		return false;
	if (o->messages < saved) {
		snprintf(what, sizeof what, "%zu messages of %llu are left", o->messages,
		    (unsigned long long)saved);
		say_lack(o, what);
		o->lacks++;
	}
	if (!whole_enough(o, why)) {
		dir_remove(c.to, NULL);
		return false;
	}
	return true;
}

/*
 * The queue that was here has no message.  Where a file system cannot exchange names it
 * goes first: whoever is stopped between the two has no queue, and restores once more.
 */
static bool
exchange(struct error *why)
{
	struct error flaw = { 0 };

	if (file_exchange(RESTORED, "queue", &flaw))
		return dir_flush(".", why) && dir_remove(RESTORED, why);
	if (flaw.number != EINVAL)
		return error_set(why, "%s", flaw.text);
	return dir_remove("queue", why) && file_rename(RESTORED, "queue", why) && dir_flush(".", why);
}

/* A program that was started since has the queue, or waits for this lock and opens the new one. */
static bool
take_place(struct house *h, struct error *why)
{
	bool ok;
	int lock;

	if (!nothing_here(h, why) || !dir_lock("queue", &lock, why))
		return false;
	ok = exchange(why);
	close(lock);
	return ok;
}

/*
 * The queue comes last, and with it all is done.  Before, nothing waits here: what was
 * stopped or failed is begun again, and rows and secrets may be taken twice.
 */
static bool
restore(struct house *h, const char *from, struct outcome *o, struct error *why)
{
	char state[PATH_BYTES];
	uint64_t saved = 0;

	snprintf(state, sizeof state, "%s/state", from);
	return nothing_here(h, why) && compare(from, o, &saved, why) && whole_enough(o, why) &&
	    bring_spool(h, from, saved, o, why) && restore_state(h, state, why) &&
	    restore_secrets(from, why) && take_place(h, why);
}

/* --- commands ------------------------------------------------------------------------------------- */

static const char default_file[] = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";

static bool
read_place(int argc, char **argv, const char *synopsis, const struct option_row *rows,
    const char **place)
{
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

static int
fail_with(int code, const char *command, const char *place)
{
	complaint("chainmail %s: %s: %s", command, place, strerror(errno));
	return code;
}

static int
act_in_house(struct house *h, struct outcome *o, const char *directory,
    bool (*act)(struct house *, const char *, struct outcome *, struct error *))
{
	struct error why = { 0 };
	int code = 0;

	if (act(h, directory, o, &why))
		printf("%s: %zu message%s\n", o->command, o->messages, o->messages == 1 ? "" : "s");
	else
		code = fail(o->command, why.text);
	return o->lacks > 0 && !o->damaged ? EX_DATAERR : code;
}

/* In the house, with a directory that was named before we went there. */
static int
with_directory(struct outcome *o, const char *file, const char *place,
    bool (*act)(struct house *, const char *, struct outcome *, struct error *))
{
	char directory[PATH_BYTES];
	struct house h;
	int code;

	if (realpath(place, directory) == NULL)
		return fail_with(EX_NOINPUT, o->command, place);
	code = act == restore ? house_build(&h, o->command, file) : house_enter(&h, o->command, file);
	if (code == 0)
		code = act_in_house(&h, o, directory, act);
	house_leave(&h);
	if (code != 0 && act == backup)
		rmdir(directory);               /* of a broken configuration; what has lacks is not empty */
	return code;
}

int
cmd_backup(int argc, char **argv)
{
	const char *file = default_file, *place = NULL;
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct outcome o = { .command = "backup" };

	if (!read_place(argc, argv, "backup DIR", rows, &place) || place == NULL)
		return place == NULL ? fail("backup", "into which new directory?"), EX_USAGE : EX_USAGE;
	if (mkdir(place, 0700) == -1)
		return fail_with(EX_CANTCREAT, "backup", place);
	return with_directory(&o, file, place, backup);
}

int
cmd_restore(int argc, char **argv)
{
	const char *file = default_file, *place = NULL;
	struct outcome o = { .command = "restore" };
	const struct option_row rows[] = {
		{ "--damaged", OPTION_FLAG, &o.damaged, NULL, "also of a backup that is not whole" },
		{ "-c", OPTION_TEXT, &file, "FILE", "the configuration" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};

	if (!read_place(argc, argv, "restore DIR", rows, &place) || place == NULL)
		return place == NULL ? fail("restore", "from which directory?"), EX_USAGE : EX_USAGE;
	return with_directory(&o, file, place, restore);
}
