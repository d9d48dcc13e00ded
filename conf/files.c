/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdlib.h>

#include "base/bug.h"
#include "conf/files.h"

const char *
file_purpose_name(enum file_purpose purpose)
{
	static const char *const NAMES[FILE_PURPOSES] = {
		[FILE_CONFIG] = "configuration", [FILE_TLS_CERTIFICATE] = "tls certificate",
		[FILE_WEB_CERTIFICATE] = "web certificate", [FILE_WEB_KEY] = "web key",
		[FILE_TLS_KEY] = "tls key", [FILE_SIGNING_KEY] = "signing key",
		[FILE_ROOTS] = "certificate authorities", [FILE_ANCHOR] = "trust anchor",
		[FILE_FACTS] = "facts", [FILE_NAMESERVERS] = "name servers",
		[FILE_ALIASES] = "aliases", [FILE_MEMBERS] = "members", [FILE_USERS] = "users",
		[FILE_TRUST] = "trusted sealers", [FILE_LISTS] = "addresses of a list manager",
		[FILE_SECRETS] = "secrets",
	};

	return NAMES[purpose];
}

/* --- patterns --------------------------------------------------------------- */

static size_t
last_slash(struct slice name)
{
	size_t n = name.n;

	while (n > 0 && name.p[n - 1] != '/')
		n--;
	return n;                       /* behind it, or 0 */
}

bool
file_pattern(struct slice name)
{
	struct slice last = slice_skip(name, last_slash(name));

	return slice_find(last, '*') < last.n || slice_find(last, '?') < last.n;
}

/* `*` stands for any bytes, `?` for one; linear but for one point to go back to. */
static bool
wild(struct slice pattern, struct slice name)
{
	size_t p = 0, n = 0, star = pattern.n, resume = 0;

	while (n < name.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			resume = n;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == name.p[n])) {
			p++;
			n++;
		} else if (star < pattern.n) {
			p = star + 1;
			n = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool
file_matches(struct slice pattern, struct slice name)
{
	size_t p = last_slash(pattern), n = last_slash(name);

	if (!slice_eq(slice_head(pattern, p), slice_head(name, n)))
		return false;
	if (n < name.n && name.p[n] == '.' && pattern.p[p] != '.')
		return false;
	return wild(slice_skip(pattern, p), slice_skip(name, n));
}

/* --- the set ----------------------------------------------------------------- */

static struct slice
name_of(const struct file *f)
{
	return slice_of(f->name, f->name_length);
}

static void
file_free(struct file *f)
{
	buf_free(&f->bytes);
	free(f->name);
	free(f);
}

void
files_free(struct files *files)
{
	for (size_t i = 0; i < files->count; i++)
		file_free(files->file[i]);
	free(files->file);
	*files = (struct files){ 0 };
}

static struct file *
find(const struct files *files, struct slice name, enum file_purpose purpose)
{
	for (size_t i = 0; i < files->count; i++)
		if (files->file[i]->purpose == purpose && slice_eq(name_of(files->file[i]), name))
			return files->file[i];
	return NULL;
}

const struct file *
files_find(const struct files *files, struct slice name, enum file_purpose purpose)
{
	return find(files, name, purpose);
}

struct file *
files_add(struct files *files, struct slice name, enum file_purpose purpose)
{
	struct file *f = find(files, name, purpose);

	if (f != NULL) {
		buf_clear(&f->bytes);
		return f;
	}
	if (files->count == files->room) {
		files->room = files->room ? 2 * files->room : 16;
		files->file = must_grow(files->file, files->room * sizeof(struct file *));
	}
	f = must_alloc(sizeof *f);
	f->name = must_copy(name.p, name.n);
	f->name_length = name.n;
	f->purpose = purpose;
	f->bytes = BUF(FILE_MOST_BYTES);
	files->file[files->count++] = f;
	return f;
}

void
files_drop(struct files *files, struct file *f)
{
	bug_if(files->count == 0 || files->file[files->count - 1] != f);
	files->count--;
	file_free(f);
}

/* --- the reader over a set ---------------------------------------------------- */

static int
by_name(const void *a, const void *b)
{
	const struct file *left = *(struct file *const *)a, *right = *(struct file *const *)b;

	return strcmp(left->name, right->name);
}

/* The turn-th of the configuration files that match, by name. */
static const struct file *
nth_match(struct files *files, struct slice pattern, unsigned turn)
{
	struct file **found = must_alloc((files->count + 1) * sizeof *found), *f;
	size_t n = 0;

	for (size_t i = 0; i < files->count; i++)
		if (files->file[i]->purpose == FILE_CONFIG &&
		    file_matches(pattern, name_of(files->file[i])))
			found[n++] = files->file[i];
	qsort(found, n, sizeof(struct file *), by_name);
	f = turn < n ? found[turn] : NULL;
	free(found);
	return f;
}

static enum reading
read_from_set(void *arg, struct slice name, enum file_purpose purpose, unsigned turn,
    struct slice *name_r, struct slice *bytes_r, struct error *why)
{
	bool pattern = purpose == FILE_CONFIG && file_pattern(name);
	const struct file *f;

	if (turn > 0 && !pattern)
		return READ_NO_MORE;
	f = pattern ? nth_match(arg, name, turn) : find(arg, name, purpose);
	if (f == NULL && pattern)
		return READ_NO_MORE;
	if (f == NULL) {
		error_set(why, "%.*s is not among the files that were read", FMT(name));
		return READ_FAILED;
	}
	*name_r = name_of(f);
	*bytes_r = buf_slice(&f->bytes);
	return READ_FILE;
}

struct reader
files_reader(struct files *files)
{
	return (struct reader){ read_from_set, files };
}

/* --- between processes ---------------------------------------------------------- */

static bool
wanted(const struct file *f, unsigned purposes)
{
	return (purposes >> f->purpose & 1) != 0;
}

void
files_pack(const struct files *files, unsigned purposes, struct buf *b)
{
	uint32_t n = 0;

	for (size_t i = 0; i < files->count; i++)
		n += wanted(files->file[i], purposes);
	pack_u32(b, n);
	for (size_t i = 0; i < files->count; i++) {
		if (!wanted(files->file[i], purposes))
			continue;
		pack_u8(b, (uint8_t)files->file[i]->purpose);
		pack_slice(b, name_of(files->file[i]));
		pack_slice(b, buf_slice(&files->file[i]->bytes));
	}
}

bool
files_unpack(struct files *files, struct unpack *u)
{
	uint32_t n = unpack_u32(u);

	while (n-- > 0 && !u->bad) {
		unsigned purpose = unpack_u8(u);
		struct slice name = unpack_slice(u), bytes = unpack_slice(u);

		if (u->bad || purpose >= FILE_PURPOSES)
			return false;
		if (!buf_add(&files_add(files, name, (enum file_purpose)purpose)->bytes, bytes))
			return false;
	}
	return !u->bad;
}
