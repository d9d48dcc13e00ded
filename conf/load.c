/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "conf/load.h"
#include "conf/route.h"
#include "conf/trust.h"

/* --- patterns -------------------------------------------------------------------- */

struct names {
	char **name;
	size_t n, room;
};

static void
names_add(struct names *names, struct slice directory, const char *entry)
{
	struct buf path = BUF(PATH_MAX);

	if (names->n == names->room) {
		names->room = names->room ? 2 * names->room : 16;
		names->name = must_grow(names->name, names->room * sizeof(char *));
	}
	if (buf_add(&path, directory) && buf_add(&path, slice(entry)))
		names->name[names->n++] = must_copy(path.p, path.n);
	buf_free(&path);
}

static void
names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->name[i]);
	free(names->name);
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files that match, in the order of their names. */
static bool
list_matches(struct slice pattern, struct names *names, struct error *why)
{
	size_t slash = pattern.n;
	struct slice directory;
	struct dirent *entry;
	char *path;
	DIR *dir;
	bool ok;

	while (slash > 0 && pattern.p[slash - 1] != '/')
		slash--;
	directory = slice_head(pattern, slash);
	path = slash > 0 ? must_copy(directory.p, directory.n) : must_copy(".", 1);
	dir = opendir(path);
	if (dir == NULL) {
		error_sys(why, "cannot open %s", path);
		free(path);
		return false;
	}
	errno = 0;
	for (; (entry = readdir(dir)) != NULL; errno = 0)
		if (file_matches(slice_skip(pattern, slash), slice(entry->d_name)))
			names_add(names, directory, entry->d_name);
	ok = errno == 0 || error_sys(why, "cannot read all of %s", path);
	free(path);
	closedir(dir);
	if (names->n > 0)
		qsort(names->name, names->n, sizeof(char *), by_bytes);
	return ok;
}

/* --- the reader -------------------------------------------------------------------- */

static enum reading
read_file(struct files *files, struct slice name, enum file_purpose purpose, struct slice *name_r,
    struct slice *bytes_r, struct error *why)
{
	const struct file *known = files_find(files, name, purpose);
	struct file *f;

	if (known == NULL) {
		f = files_add(files, name, purpose);
		if (!file_read(f->name, &f->bytes, why)) {
			files_drop(files, f);
			return READ_FAILED;
		}
		known = f;
	}
	*name_r = slice_of(known->name, known->name_length);
	*bytes_r = buf_slice(&known->bytes);
	return READ_FILE;
}

static enum reading
read_match(struct files *files, struct slice pattern, unsigned turn, struct slice *name_r,
    struct slice *bytes_r, struct error *why)
{
	struct names names = { 0 };
	enum reading got = READ_NO_MORE;

	if (!list_matches(pattern, &names, why))
		got = READ_FAILED;
	else if (turn < names.n)
		got = read_file(files, slice(names.name[turn]), FILE_CONFIG, name_r, bytes_r, why);
	names_free(&names);
	return got;
}

static enum reading
read_from_disk(void *arg, struct slice name, enum file_purpose purpose, unsigned turn,
    struct slice *name_r, struct slice *bytes_r, struct error *why)
{
	if (purpose == FILE_CONFIG && file_pattern(name))
		return read_match(arg, name, turn, name_r, bytes_r, why);
	if (turn > 0)
		return READ_NO_MORE;
	return read_file(arg, name, purpose, name_r, bytes_r, why);
}

struct reader
disk_reader(struct files *files)
{
	return (struct reader){ read_from_disk, files };
}

/* --- the whole ----------------------------------------------------------------------- */

/* Names in it are taken from its directory, and a role may stand in another one. */
static void
absolute(const char *path, char to[PATH_MAX])
{
	char here[PATH_MAX];

	if (*path == '/' || getcwd(here, sizeof here) == NULL ||
	    (size_t)snprintf(to, PATH_MAX, "%s/%s", here, path) >= PATH_MAX)
		snprintf(to, PATH_MAX, "%s", path);
}

/* As Mailman's map, which only its own group may read. */
static void
hint_rights(struct flaws *flaws, struct slice name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%.*s", FMT(name));
	if (access(path, R_OK) == -1 && errno == EACCES)
		flaw_hint(flaws, "let the user that runs this read it, or put him into a group that may");
}

static void
read_outside_files(const struct conf *conf, const struct reader *reader, struct flaws *flaws)
{
	for (size_t i = 0; i < conf->file_count; i++) {
		const struct conf_file *f = conf->file[i];
		struct slice name, bytes;
		struct error why;

		if (reader->read(reader->arg, f->name, f->purpose, 0, &name, &bytes, &why) ==
		    READ_FAILED && !f->usual) {
			flaw_error(flaws, f->place, "%s", why.text);
			hint_rights(flaws, f->name);
		}
	}
}

static struct conf *
load(const char *path, struct reader *reader, struct flaws *flaws)
{
	char name[PATH_MAX];
	struct conf *conf;

	absolute(path, name);
	conf = conf_parse(slice(name), reader, flaws);
	if (flaws->errors > 0)
		return conf;
	read_outside_files(conf, reader, flaws);
	if (flaws->errors > 0)
		return conf;
	/* Tables have flaws and includes of their own. */
	routes_free(routes_new(conf, reader, flaws));
	trust_free(trust_new(&conf->arc, reader, flaws));
	return conf;
}

struct conf *
conf_load(const char *path, struct files *files, struct flaws *flaws)
{
	struct reader reader = disk_reader(files);

	return load(path, &reader, flaws);
}

/* --- the same texts again ------------------------------------------------------------- */

struct renewal {
	struct reader texts, disk;
};

static enum reading
read_renewed(void *arg, struct slice name, enum file_purpose purpose, unsigned turn,
    struct slice *name_r, struct slice *bytes_r, struct error *why)
{
	struct renewal *r = arg;
	struct reader *from = purpose == FILE_CONFIG ? &r->texts : &r->disk;

	return from->read(from->arg, name, purpose, turn, name_r, bytes_r, why);
}

static void
copy_texts(const struct files *from, struct files *to)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct file *f = from->file[i];

		if (f->purpose == FILE_CONFIG)
			buf_add(&files_add(to, slice_of(f->name, f->name_length), FILE_CONFIG)->bytes,
			    buf_slice(&f->bytes));
	}
}

struct conf *
conf_load_renewed(const char *path, const struct files *in_force, struct files *files,
    struct flaws *flaws)
{
	struct renewal renewal = { files_reader(files), disk_reader(files) };
	struct reader reader = { read_renewed, &renewal };

	copy_texts(in_force, files);
	return load(path, &reader, flaws);
}
