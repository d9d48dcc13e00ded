/* SPDX-License-Identifier: ISC */
/*
 * cmd -- the subcommands: one function each, one file each, one row in main.c.
 *
 * A command gets the words behind its name (argv[0] is the name) and gives the
 * exit code of UX.md: 0 done or good, 1 verdict bad, then those of sysexits.h.
 * Tables for people go to standard output, notes and errors to standard error.
 */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stddef.h>
#include <sysexits.h>           /* EX_USAGE 64, EX_DATAERR 65, … */

#include "base/buf.h"

enum { EX_BAD = 1 };            /* the verdict is bad, a check failed */

/*
 * One line to standard error, without its line end: "chainmail spf: …".  Words and
 * files of strangers stand in it, so it is written as shown_add() shows it.
 */
void complaint(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The end of every command: `code`, when all it printed went out, or to a pipe whose
 * reader had enough; otherwise a complaint, and EX_IOERR.
 */
int output_end(int code);
/* These bytes to standard output, now. */
void output_now(struct slice);

/*
 * One option of a command. A flag sets *(bool *)to; a text is stored in
 * *(const char **)to; a list appends to *(struct words *)to.
 */
struct words {
	const char *word[16384];        /* as many identifiers as xargs puts on a line */
	size_t      n;
};

struct option_row {
	const char *name;                       /* "--ip" */
	enum { OPTION_FLAG, OPTION_TEXT, OPTION_LIST } kind;
	void       *to;
	const char *value, *help;               /* "ADDRESS", "the client's address" */
};

struct command {
	const char *name, *arguments, *help;
	int       (*run)(int argc, char **argv);
};

/*
 * Read the options; the operands are gathered in *operands (at most `most`).
 * The rows end with { 0 }.  "--" ends options; "--name=value" works too.  False
 * after a message that names the word that was wrong: the caller returns
 * EX_USAGE.  `--help` prints the rows and exits.
 */
bool options_read(int argc, char **argv, const char *synopsis, const struct option_row *,
    struct words *operands, size_t most);

/*
 * All of an open file (`name` is for messages), at most `ceiling` bytes.  Programs
 * that save mail convert its line ends: lines ended by a bare LF get CRLF, and
 * *bare_r says how many they were.
 */
bool message_from_file(int fd, const char *name, struct buf *, size_t ceiling, size_t *bare_r);
/* The same from standard input. */
bool message_from_stdin(struct buf *, size_t ceiling);

int cmd_backup(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_dns_records(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_lists(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_role(int argc, char **argv);
int cmd_route(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_seal(int argc, char **argv);
int cmd_sign(int argc, char **argv);
int cmd_spf(int argc, char **argv);
int cmd_state(int argc, char **argv);
int cmd_sts(int argc, char **argv);
int cmd_trust(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_version(int argc, char **argv);
int cmd_why(int argc, char **argv);

#endif
