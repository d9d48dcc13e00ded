/* SPDX-License-Identifier: ISC */
/*
 * suites -- files of the public suites that are not JSON, and the list of cases
 * that we judge otherwise (CONTESTED: suite, case, the RFC section that
 * decides, why).
 */
#ifndef TESTS_SUITES_H
#define TESTS_SUITES_H

#include <dirent.h>

#include "base/file.h"
#include "mail/lines.h"
#include "tap.h"

enum { SUITE_FILE = 1 << 22, SUITE_PATH = 1024, SUITE_FULL = 4096 };

static inline void
suite_path(const char *path, char full[SUITE_FULL])
{
	const char *folder = getenv("CONFORMANCE");

	snprintf(full, SUITE_FULL, "%s/%s", folder != NULL ? folder : "../shared/conformance", path);
}

/* A whole file below $CONFORMANCE; empty when it is not there. */
static inline struct buf
suite_file(const char *path)
{
	struct buf bytes = BUF(SUITE_FILE);
	char full[SUITE_FULL];

	suite_path(path, full);
	file_read(full, &bytes, NULL);
	return bytes;
}

/* With the line ends of mail, made once, by mail/lines, as at submission. */
static inline void
suite_crlf(struct slice bytes, struct buf *to)
{
	struct text framer = { .counted = true, .bare = BARE_REPAIR };
	struct slice piece;

	while (text_next(&framer, &bytes, &piece))
		buf_add(to, piece);
	buf_add(to, text_finish(&framer));
}

/* Every file of a folder whose name ends so, by name; false when there is no folder. */
static inline bool
suite_folder(const char *path, const char *end, void (*each)(const char *path))
{
	struct dirent **names;
	char full[SUITE_FULL], file[SUITE_PATH];
	int n;

	suite_path(path, full);
	if ((n = scandir(full, &names, NULL, alphasort)) < 0)
		return false;
	for (int i = 0; i < n; i++) {
		if (slice_endsi(slice(names[i]->d_name), slice(end)) &&
		    !slice_starts(slice(names[i]->d_name), S("LICENSE"))) {
			snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
			each(file);
		}
		free(names[i]);
	}
	free(names);
	return true;
}

/*
 * What tests/vectors/CONTESTED says of this case of this suite, behind its name,
 * as the whole of *why; false: it does not name it.
 */
static inline bool
contested_why(const char *suite, const char *name, struct buf *why)
{
	const char *srcdir = getenv("srcdir");
	struct buf text = BUF(SUITE_FILE);
	struct slice rest, line, word;
	char path[SUITE_FULL];
	bool found = false;

	snprintf(path, sizeof path, "%s/tests/vectors/CONTESTED", srcdir != NULL ? srcdir : ".");
	file_read(path, &text, NULL);
	for (rest = buf_slice(&text); !found && slice_cut(&rest, '\n', &line);)
		found = slice_word(&line, &word) && slice_eq(word, slice(suite)) &&
		    slice_word(&line, &word) && slice_eq(word, slice(name));
	if (found)
		buf_add(why, slice_trim(line));
	buf_free(&text);
	return found;
}

/* Does it name this case at all? */
static inline bool
contested(const char *suite, const char *name)
{
	struct buf why = BUF(SUITE_PATH);
	bool found = contested_why(suite, name, &why);

	buf_free(&why);
	return found;
}

#endif
