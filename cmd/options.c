/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"

enum { COMPLAINT = 64 << 10 };

void
complaint(const char *format, ...)
{
	struct buf shown = BUF(4 * COMPLAINT);
	char line[COMPLAINT];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	shown_add(&shown, slice(line));
	fprintf(stderr, "%.*s\n", FMT(buf_slice(&shown)));
	buf_free(&shown);
}

void
output_now(struct slice bytes)
{
	fwrite(bytes.p, 1, bytes.n, stdout);
	fflush(stdout);
}

/* `chainmail queue list | head`: that is no failure. */
static bool
nobody_reads(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO };

	return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

int
output_end(int code)
{
	bool failed = ferror(stdout) != 0;      /* of an earlier write: its errno is gone */

	errno = 0;
	if (fflush(stdout) == 0 && !failed)
		return code;
	if (errno == EPIPE || nobody_reads())
		return code;
	complaint("chainmail: cannot write to standard output%s%s", failed ? "" : ": ",
	    failed ? "; what it got is not all" : strerror(errno));
	return EX_IOERR;
}

static void
print_help(const char *synopsis, const struct option_row *rows)
{
	printf("usage: chainmail %s\n", synopsis);
	for (const struct option_row *r = rows; r->name != NULL; r++)
		printf("  %s%s%-*s  %s\n", r->name, r->value ? " " : "",
		    (int)(26 - strlen(r->name)), r->value ? r->value : "", r->help);
	exit(output_end(0));
}

static const struct option_row *
find(const struct option_row *rows, struct slice name)
{
	for (; rows->name != NULL; rows++)
		if (slice_eq(name, slice(rows->name)))
			return rows;
	return NULL;
}

static const char *
nearest(const struct option_row *rows, struct slice name)
{
	for (; rows->name != NULL; rows++)
		if (word_distance(name, slice(rows->name)) <= 2)
			return rows->name;
	return NULL;
}

static bool
unknown(const char *command, const struct option_row *rows, struct slice name)
{
	const char *meant = nearest(rows, name);

	complaint("chainmail %s: there is no option %.*s%s%s%s", command, FMT(name),
	    meant != NULL ? "; did you mean " : "", meant != NULL ? meant : "", meant != NULL ? "?" : "");
	return false;
}

static bool
complain(const char *command, const char *what, const char *word)
{
	complaint("chainmail %s: %s %s", command, what, word);
	return false;
}

static bool
set(const struct option_row *row, const char *value, const char *command)
{
	struct words *list = row->to;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)row->to = true;
		return true;
	case OPTION_TEXT:
		*(const char **)row->to = value;
		return true;
	default:
		if (list->n == sizeof list->word / sizeof *list->word)
			return complain(command, "too many of", row->name);
		list->word[list->n++] = value;
		return true;
	}
}

bool
options_read(int argc, char **argv, const char *synopsis, const struct option_row *rows,
    struct words *operands, size_t most)
{
	bool options_over = false;

	for (int i = 1; i < argc; i++) {
		struct slice word = slice(argv[i]), name = slice_head(word, slice_find(word, '='));
		const struct option_row *row;
		const char *value;

		if (!options_over && slice_eq(word, S("--"))) {
			options_over = true;
			continue;
		}
		if (options_over || word.n < 2 || *word.p != '-') {
			if (operands->n == most)
				return complain(argv[0], "nothing was expected at", argv[i]);
			operands->word[operands->n++] = argv[i];
			continue;
		}
		if (slice_eq(word, S("--help")) || slice_eq(word, S("-h")))
			print_help(synopsis, rows);
		if ((row = find(rows, name)) == NULL)
			return unknown(argv[0], rows, name);
		value = name.n < word.n ? name.p + name.n + 1 : NULL;
		if (row->kind == OPTION_FLAG && value != NULL)
			return complain(argv[0], "no value is expected behind", row->name);
		if (row->kind != OPTION_FLAG && value == NULL && (value = argv[++i]) == NULL)
			return complain(argv[0], "a value is missing behind", row->name);
		if (!set(row, value, argv[0]))
			return false;
	}
	return true;
}

/* A file that was saved on a Unix system has bare LFs: give it back its CRLFs. */
static bool
with_crlf(struct buf *from, struct buf *to, size_t *bare)
{
	struct slice left = buf_slice(from), line;

	while (left.n) {
		size_t lf = slice_find(left, '\n');

		if (lf == left.n) {                     /* no line end at the very end */
			buf_add(to, left);
			break;
		}
		line = slice_head(left, lf);
		left = slice_skip(left, lf + 1);
		if (slice_endsi(line, S("\r")))
			line.n--;
		else
			++*bare;
		buf_add(to, line);
		buf_add(to, S("\r\n"));
	}
	return !to->full;
}

bool
message_from_file(int fd, const char *name, struct buf *message, size_t ceiling, size_t *bare)
{
	struct buf raw = BUF(ceiling);
	struct error why;
	bool ok;

	*bare = 0;
	*message = BUF(2 * ceiling);
	if ((ok = file_read_fd(fd, name, &raw, &why)))
		ok = with_crlf(&raw, message, bare);
	else
		complaint("chainmail: %s", why.text);
	buf_free(&raw);
	return ok;
}

bool
message_from_stdin(struct buf *message, size_t ceiling)
{
	size_t bare;

	return message_from_file(STDIN_FILENO, "standard input", message, ceiling, &bare);
}
