/* SPDX-License-Identifier: ISC */
/*
 * v_decorate -- every message of the mime-torture suites gets a footer and stays
 * readable, with each of its bytes.
 *
 *     v_decorate TAG FOOTER < message > message       one message, for other tests:
 *                                                     what was chosen is in X-Choice
 */
#include "tests/decorated.h"
#include "suites.h"

enum { MESSAGE_MOST = 2 * SUITE_FILE, STEPS = 4 };

static const size_t STEP[STEPS] = { 1, 7, 4096, MESSAGE_MOST };

static const struct decoration FOOTERS[] = {
	{ S_INIT("[m]"), S_INIT("-- \nthe list\n"), S_INIT("=_decorated_9E107D9D372BB682") },
	{ S_INIT("[\xc3\xbc]"), S_INIT("-- \ndie Liste f\xc3\xbcr alle\n"), S_INIT("=_decorated_9E107D9D372BB682") },
};

/* What is wrong, or NULL; *choice_r what was chosen. */
static const char *
decorate_flaw(const char *path, struct slice message, const struct decoration *what, size_t step,
    const char **choice_r)
{
	static struct error why;
	struct decorated m;
	const char *flaw = NULL;

	if (decorated_make(&m, message, what, step, &why)) {
		flaw = decorated_flaw(&m);
		*choice_r = decorate_choice_name(m.d.choice);
	} else if (contested("mime", path)) {
		*choice_r = "has no proper header";
	} else {
		flaw = why.text;
	}
	decorated_free(&m);
	return flaw;
}

static void
run_message(const char *path)
{
	struct buf bytes = suite_file(path), message = BUF(MESSAGE_MOST);

	suite_crlf(buf_slice(&bytes), &message);
	for (size_t f = 0; f < sizeof FOOTERS / sizeof *FOOTERS; f++) {
		const char *flaw = NULL, *choice = "";

		for (int i = 0; flaw == NULL && i < STEPS; i++)
			flaw = decorate_flaw(path, buf_slice(&message), &FOOTERS[f], STEP[i], &choice);
		tap_ok(flaw == NULL, "%s, footer %zu: %s", path, f + 1, flaw != NULL ? flaw : choice);
	}
	buf_free(&message);
	buf_free(&bytes);
}

/* --- one message ------------------------------------------------------------------- */

static int
filter(const char *tag, const char *footer)
{
	struct decoration what = { slice(tag), slice(footer), FOOTERS[0].boundary };
	struct buf message = BUF(MESSAGE_MOST);
	struct error why;
	struct decorated m = { 0 };

	if (!file_read_fd(0, "standard input", &message, &why) || !decorated_make(&m, buf_slice(&message), &what, 4096, &why)) {
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
	static const struct { const char *folder, *end; } folders[] = {
		{ "mime-torture/mail-parser/rfc", ".eml" },
		{ "mime-torture/mail-parser/malformed", ".eml" },
		{ "mime-torture/python-email", ".txt" },
		{ "mime-torture/haraka", ".txt" },
	};

	if (argc == 3)
		return filter(argv[1], argv[2]);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (!suite_folder(folders[i].folder, folders[i].end, run_message))
			tap_skip("%s is not there", folders[i].folder);
	return tap_end();
}
