/* SPDX-License-Identifier: ISC */
/*
 * v_decorate -- every message of the mime-torture suites gets a footer and stays
 * readable, with each of its bytes.
 *
 *     v_decorate TAG FOOTER < message > message       one message, for other tests:
 *                                                     what was chosen is in X-Choice
 */
#include <dirent.h>
#include <unistd.h>

#include "tests/decorated.h"
#include "tap.h"

enum { MESSAGE_MOST = 16 << 20, STEPS = 4 };

static const size_t STEP[STEPS] = { 1, 7, 4096, MESSAGE_MOST };

static const struct decoration FOOTERS[] = {
	{ S_INIT("[m]"), S_INIT("-- \nthe list\n"), S_INIT("=_decorated_9E107D9D372BB682") },
	{ S_INIT("[\xc3\xbc]"), S_INIT("-- \ndie Liste f\xc3\xbcr alle\n"), S_INIT("=_decorated_9E107D9D372BB682") },
};

static bool
read_all(FILE *in, struct buf *b)
{
	char *p;
	size_t n;

	while ((p = buf_room(b, 65536)) != NULL && (n = fread(p, 1, 65536, in)) > 0)
		b->n += n;
	return p != NULL && ferror(in) == 0;
}

/* As it would have come by SMTP: every line ends with CRLF. */
static void
add_crlf(struct buf *to, struct slice text)
{
	struct slice line;

	while (text.n) {
		bool ends = slice_find(text, '\n') < text.n;

		slice_cut(&text, '\n', &line);
		buf_add(to, slice_endsi(line, S("\r")) ? slice_head(line, line.n - 1) : line);
		if (ends)
			buf_add(to, S("\r\n"));
	}
}

/* A file that begins with an envelope line of mbox is its message without it. */
static struct slice
without_envelope(struct slice message)
{
	return slice_starts(message, S("From ")) ? slice_skip(message, slice_find(message, '\n') + 1) : message;
}

/* What is wrong, or NULL; *choice_r what was chosen. */
static const char *
decorate_flaw(struct slice message, const struct decoration *what, size_t step, const char **choice_r)
{
	static struct error why;
	struct decorated m;
	const char *flaw = NULL;

	*choice_r = "refused";
	if (decorated_make(&m, message, what, step, &why)) {
		flaw = decorated_flaw(&m);
		*choice_r = decorate_choice_name(m.d.choice);
	} else if (header_parse(&m.old, slice_head(message, header_length(message)), m.arena, NULL)) {
		flaw = why.text;
	}
	decorated_free(&m);
	return flaw;
}

static bool
read_message(const char *path, struct buf *message)
{
	struct buf raw = BUF(MESSAGE_MOST);
	FILE *in = fopen(path, "rb");
	bool good = in != NULL && read_all(in, &raw);

	add_crlf(message, buf_slice(&raw));
	buf_free(&raw);
	if (in != NULL)
		fclose(in);
	return good && !message->full;
}

static void
run_file(const char *folder, const char *name)
{
	char path[4096];
	struct buf message = BUF(2 * MESSAGE_MOST);
	bool readable;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	readable = read_message(path, &message);
	for (size_t f = 0; f < sizeof FOOTERS / sizeof *FOOTERS; f++) {
		const char *flaw = readable ? NULL : "cannot be read", *choice = "";

		for (int i = 0; flaw == NULL && i < STEPS; i++)
			flaw = decorate_flaw(without_envelope(buf_slice(&message)), &FOOTERS[f], STEP[i], &choice);
		tap_ok(flaw == NULL, "%s, footer %zu: %s", name, f + 1, flaw != NULL ? flaw : choice);
	}
	buf_free(&message);
}

static bool
is_message(const char *name)
{
	return slice_endsi(slice(name), S(".eml")) ||
	    (slice_endsi(slice(name), S(".txt")) && !slice_startsi(slice(name), S("license")));
}

static void
run_folder(const char *under)
{
	const char *suites = getenv("CONFORMANCE");
	char folder[3000];
	struct dirent **entries;
	int n;

	snprintf(folder, sizeof folder, "%s/mime-torture/%s",
	    suites != NULL ? suites : "../shared/conformance", under);
	if ((n = scandir(folder, &entries, NULL, alphasort)) < 0) {
		tap_skip("%s is not there", folder);
		return;
	}
	for (int i = 0; i < n; i++) {
		if (is_message(entries[i]->d_name))
			run_file(folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

/* --- one message ------------------------------------------------------------------- */

static int
filter(const char *tag, const char *footer)
{
	struct decoration what = { slice(tag), slice(footer), FOOTERS[0].boundary };
	struct buf message = BUF(MESSAGE_MOST);
	struct error why = { .text = "cannot be read" };
	struct decorated m = { .body = BUF(0) };

	if (!read_all(stdin, &message) || !decorated_make(&m, buf_slice(&message), &what, 4096, &why)) {
		fprintf(stderr, "v_decorate: %s\n", why.text);
		return 1;
	}
	printf("X-Choice: %s\r\n", decorate_choice_name(m.d.choice));
	for (size_t i = 0; i < m.edit.header.count; i++)
		fwrite(m.edit.header.fields[i].whole.p, 1, m.edit.header.fields[i].whole.n, stdout);
	printf("\r\n");
	fwrite(m.body.p, 1, m.body.n, stdout);
	decorated_free(&m);
	buf_free(&message);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 3)
		return filter(argv[1], argv[2]);
	run_folder("python-email");
	run_folder("mail-parser/rfc");
	run_folder("mail-parser/malformed");
	run_folder("haraka");
	return tap_end();
}
