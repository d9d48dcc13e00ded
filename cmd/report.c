/* SPDX-License-Identifier: ISC */
/*
 * chainmail report show -- read a report on TLS sessions that somebody sent to us:
 * JSON, gzip, or the whole message (RFC 8460).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "sts/report_mail.h"

enum { FILE_MOST = 32 << 20, MEMORY = 128 << 20, TEXT_MOST = 64 << 20 };

static int
complain(const char *file, const char *what, int code)
{
	complaint("chainmail report: %s: %s", file, what);
	return code;
}

static bool
read_bytes(const char *file, struct buf *bytes, struct error *why)
{
	if (strcmp(file, "-") == 0)
		return file_read_fd(STDIN_FILENO, "standard input", bytes, why);
	return file_read(file, bytes, why);
}

static void
print(const struct tlsrpt_report *r, bool json)
{
	struct buf out = BUF(TEXT_MOST);

	if (json) {
		tlsrpt_report_write(r, &out);
		buf_byte(&out, '\n');
	} else {
		tlsrpt_report_text(r, &out);
	}
	fwrite(out.p, 1, out.n, stdout);
	buf_free(&out);
}

/* Beside the report, which is shown as far as it could be taken. */
static int
tell_notes(const char *file, struct slice notes)
{
	struct slice line;
	char *text;

	for (struct slice left = notes; slice_cut(&left, '\n', &line); free(text)) {
		text = must_copy(line.p, line.n);
		complain(file, text, 0);
	}
	return notes.n > 0 ? EX_DATAERR : 0;
}

static int
show(const char *file, bool as_json)
{
	struct arena *arena = arena_new(MEMORY);
	struct buf bytes = BUF(FILE_MOST), json = BUF(TLSRPT_REPORT_MOST);
	struct tlsrpt_report r;
	struct error why = { 0 };
	int code = 0;

	if (!read_bytes(file, &bytes, &why))
		code = complain(file, why.text, EX_NOINPUT);
	else if (!tlsrpt_open(buf_slice(&bytes), arena, &json, &why) ||
	    !tlsrpt_report_read(&r, buf_slice(&json), arena, &why))
		code = complain(file, why.text, EX_DATAERR);
	else
		print(&r, as_json), code = tell_notes(file, r.notes);
	buf_free(&bytes), buf_free(&json);
	arena_free(arena);
	return code;
}

int
cmd_report(int argc, char **argv)
{
	bool json = false;
	const struct option_row rows[] = {
		{ "--json", OPTION_FLAG, &json, NULL, "the report as we would write it" },
		{ NULL, OPTION_FLAG, NULL, NULL, NULL },
	};
	struct words words = { .n = 0 };
	int code = 0;

	if (!options_read(argc, argv, "report show FILE|-...", rows, &words,
	    sizeof words.word / sizeof *words.word))
		return EX_USAGE;
	if (words.n < 2 || strcmp(words.word[0], "show") != 0) {
		fputs("chainmail report: show which file? (- is standard input)\n", stderr);
		return EX_USAGE;
	}
	for (size_t i = 1; i < words.n; i++) {
		int one = show(words.word[i], json);

		code = code == 0 ? one : code;
	}
	return code;
}
