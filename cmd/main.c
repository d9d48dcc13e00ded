/* SPDX-License-Identifier: ISC */
/*
 * main -- `chainmail COMMAND …`: find the command and run it.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/faces.h"

static const struct command COMMANDS[] = {
	{ "backup", "DIR [-c FILE]", "copy queue and state, while the program runs", cmd_backup },
	{ "config", "VERB [-c FILE]", "check, show, explain the configuration", cmd_config },
	{ "dns-records", "[DOMAIN]", "the lines to publish in the DNS", cmd_dns_records },
	{ "lab", "run FILE...", "a whole mail world in one process: play scenarios", cmd_lab },
	{ "lists", "[left [LIST]|forget LIST MEMBER]", "who has left a list with one click", cmd_lists },
	{ "queue", "[VERB] [ID...|all] [-c FILE]", "what waits: list, show, retry, hold, bounce, ...",
	    cmd_queue },
	{ "report", "show FILE|-", "read a report on TLS that somebody sent (RFC 8460)", cmd_report },
	{ "restore", "DIR [--damaged] [-c FILE]", "put a backup in place of a lost queue", cmd_restore },
	{ "role", NULL, NULL, cmd_role },
	{ "route", "ADDRESS [--connect]", "where mail goes from here, and what TLS must prove there",
	    cmd_route },
	{ "run", "[-c FILE]", "be the mail server, in the foreground", cmd_run },
	{ "seal", "--domain D ... --authserv-id ID", "verify the ARC chain and add a set to it",
	    cmd_seal },
	{ "sign", "--domain D --selector S --key F", "put a DKIM-Signature on a message", cmd_sign },
	{ "spf", "--ip A --helo H --mail-from F", "may this client use that domain (RFC 7208)", cmd_spf },
	{ "state", "dump|load [-c FILE]", "what is kept beside mail, as text", cmd_state },
	{ "sts", "[VERB] [DOMAIN...]", "MTA-STS policies: those kept, and what is left to do for ours",
	    cmd_sts },
	{ "trust", "[--json] [-c FILE]", "what trusting sealers of ARC sets changes, or would", cmd_trust },
	{ "verify", "[--ip A] [--helo H] ... < message", "judge a message: SPF, DKIM, DMARC, ARC",
	    cmd_verify },
	{ "version", "", "which version this is", cmd_version },
	{ "why", "ID|ADDRESS|MESSAGE-ID", "what became of a message, also of one that was refused", cmd_why },
};

enum { COMMAND_COUNT = sizeof COMMANDS / sizeof *COMMANDS };

static int
print_commands(FILE *to, int code)
{
	fputs("usage: chainmail COMMAND [OPTION]...   (chainmail COMMAND --help tells more)\n", to);
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (COMMANDS[i].help != NULL)
			fprintf(to, "  %-11s %-34s %s\n", COMMANDS[i].name, COMMANDS[i].arguments,
			    COMMANDS[i].help);
	return code;
}

static int
unknown_command(const char *name)
{
	const char *meant = NULL;

	for (int i = 0; i < COMMAND_COUNT && meant == NULL; i++)
		if (COMMANDS[i].help != NULL && word_distance(slice(name), slice(COMMANDS[i].name)) <= 2)
			meant = COMMANDS[i].name;
	complaint("chainmail: there is no command \"%s\"%s%s%s (chainmail help lists them)", name,
	    meant != NULL ? "; did you mean \"" : "", meant != NULL ? meant : "", meant != NULL ? "\"?" : "");
	return EX_USAGE;
}

static int
run(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	int (*face)(int, char **) = face_of(slash != NULL ? slash + 1 : argv[0]);

	if (face != NULL)
		return face(argc, argv);
	if (argc < 2)
		return print_commands(stderr, EX_USAGE);
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return print_commands(stdout, 0);
	for (int i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(argv[1], COMMANDS[i].name) == 0)
			return COMMANDS[i].run(argc - 1, argv + 1);
	return unknown_command(argv[1]);
}

int
main(int argc, char **argv)
{
	return output_end(run(argc, argv));
}
