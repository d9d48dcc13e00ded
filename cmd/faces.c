/* SPDX-License-Identifier: ISC */
/*
 * The words of Postfix's tools, as far as they have a meaning here:
 *
 *     mailq                       queue list
 *     postqueue -p | -j           queue list [--json]
 *     postqueue -f | -i ID        queue retry all | ID
 *     postqueue -s SITE           queue retry --to SITE
 *     postsuper -h|-H|-d ID       queue hold|release|drop ID; ALL is all, - reads IDs
 *     postsuper -r ID             queue release ID, then queue retry ID
 *     postsuper -f ID             queue bounce ID
 *     postcat -q ID               queue show --text ID
 *     postcat -ehbq ID            the same with --envelope, --header, --body
 *     newaliases                  nothing: files of aliases are read anew by themselves
 *
 * -c FILE names our configuration.  Names of Postfix's queues are refused: there
 * is one queue, and "-d ALL deferred" must not drop all of it.  So is postsuper -e:
 * it leaves what is held alone, and here nothing does that.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/faces.h"

enum { WORDS_MOST = 16, ID_LINE = 100 };

/* The command line of `chainmail queue`. */
struct line {
	char *word[WORDS_MOST];
	int   n;
};

static void
add(struct line *l, const char *word)
{
	if (l->n < WORDS_MOST - 1)
		l->word[l->n++] = (char *)(uintptr_t)word;
}

static int
ask(const char *file, const char *verb, const char *option, const char *what)
{
	struct line l = { .n = 0 };

	add(&l, "queue");
	add(&l, verb);
	if (file != NULL) {
		add(&l, "-c");
		add(&l, file);
	}
	if (option != NULL)
		add(&l, option);
	if (what != NULL)
		add(&l, what);
	return cmd_queue(l.n, l.word);
}

int
next_option(int argc, char **argv, const char *letters)
{
	int c;

	opterr = 0;
	if ((c = getopt(argc, argv, letters)) == '?')
		complaint("%s: there is no -%c here, or it lacks its word", argv[0], optopt);
	return c;
}

static int
misused(const char *name, const char *usage)
{
	complaint("usage: %s %s", name, usage);
	return EX_USAGE;
}

/* --- listing ------------------------------------------------------------------------------ */

static int
mailq(int argc, char **argv)
{
	const char *file = NULL;

	for (int c; (c = next_option(argc, argv, "c:v")) != -1;)
		if (c == 'c')
			file = optarg;
		else if (c != 'v')
			return misused("mailq", "[-c FILE]");
	return ask(file, "list", NULL, NULL);
}

static int
postqueue(int argc, char **argv)
{
	static const char usage[] = "[-c FILE] -p | -j | -f | -i ID | -s SITE";
	const char *file = NULL, *what = NULL;
	int asked = 0;

	for (int c; (c = next_option(argc, argv, "c:pjfi:s:v")) != -1;)
		if (c == 'c')
			file = optarg;
		else if (c == '?' || (c != 'v' && asked != 0))
			return misused("postqueue", usage);
		else if (c != 'v')
			asked = c, what = optarg;
	if (optind < argc)
		return misused("postqueue", usage);
	switch (asked) {
	case 'p': return ask(file, "list", NULL, NULL);
	case 'j': return ask(file, "list", "--json", NULL);
	case 'f': return ask(file, "retry", NULL, "all");
	case 'i': return ask(file, "retry", NULL, what);
	case 's': return ask(file, "retry", "--to", what);
	default:  return misused("postqueue", usage);
	}
}

static int
postcat(int argc, char **argv)
{
	static const char usage[] = "[-c FILE] [-e] [-h] [-b] -q ID";
	struct line l = { .n = 0 };
	bool queue = false, parts = false;

	add(&l, "queue");
	add(&l, "show");
	for (int c; (c = next_option(argc, argv, "c:qehbv")) != -1;) {
		if (c == '?')
			return misused("postcat", usage);
		queue = queue || c == 'q';
		parts = parts || c == 'e' || c == 'h' || c == 'b';
		if (c == 'c')
			add(&l, "-c"), add(&l, optarg);
		else if (c == 'e' || c == 'h' || c == 'b')
			add(&l, c == 'e' ? "--envelope" : c == 'h' ? "--header" : "--body");
	}
	if (!queue || optind + 1 != argc)
		return misused("postcat", usage);
	if (!parts)
		add(&l, "--text");
	add(&l, argv[optind]);
	return cmd_queue(l.n, l.word);
}

/* --- changing ------------------------------------------------------------------------------ */

/* What is held is requeued too: released first, then tried. */
static const char REQUEUE[] = "requeue";

static int
ask_to(const char *file, const char *verb, const char *what)
{
	int code;

	if (verb != REQUEUE)
		return ask(file, verb, NULL, what);
	code = ask(file, "release", NULL, what);
	return code != 0 ? code : ask(file, "retry", NULL, what);
}

/* An ID only: "all" is a word of ours, and stands in nobody's list of IDs by intent. */
static int
ask_for_one(const char *file, const char *verb, const char *id)
{
	uint64_t number;

	if (id_parse(slice(id), &number))
		return ask_to(file, verb, id);
	complaint("postsuper: \"%s\" is not the ID of a message", id);
	return EX_USAGE;
}

/* IDs on standard input, one a line. */
static int
ask_for_lines(const char *file, const char *verb)
{
	char line[ID_LINE];
	int worst = 0;

	while (fgets(line, sizeof line, stdin) != NULL) {
		int code;

		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] != '\0' && (code = ask_for_one(file, verb, line)) != 0)
			worst = code;
	}
	return worst;
}

static int
ask_for(const char *file, const char *verb, const char *what)
{
	if (strcmp(what, "-") == 0)
		return ask_for_lines(file, verb);
	return strcmp(what, "ALL") == 0 ? ask_to(file, verb, "all") : ask_for_one(file, verb, what);
}

static int
no_expiry_of_some(void)
{
	complaint("postsuper: -e would leave alone what is held; here -f, or `chainmail queue bounce ID`, "
	    "returns to its sender what is held as well as what is not");
	return EX_USAGE;
}

static int
postsuper(int argc, char **argv)
{
	static const char usage[] = "[-c FILE] [-h|-H|-d|-r|-f ID|ALL|-]...";
	static const struct { int letter; const char *verb; } verbs[] = {
		{ 'h', "hold" }, { 'H', "release" }, { 'd', "drop" }, { 'r', REQUEUE }, { 'f', "bounce" },
	};
	struct { const char *verb, *what; } asked[WORDS_MOST];
	size_t n = 0;
	const char *file = NULL;
	int worst = 0;

	for (int c; (c = next_option(argc, argv, "c:h:H:d:r:e:f:v")) != -1;) {
		if (c == 'e')
			return no_expiry_of_some();
		if (c == '?' || n == WORDS_MOST)
			return misused("postsuper", usage);
		if (c == 'c')
			file = optarg;
		for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
			if (verbs[i].letter == c) {
				asked[n].verb = verbs[i].verb;
				asked[n++].what = optarg;
			}
	}
	if (optind < argc || n == 0)
		return misused("postsuper", usage);
	for (size_t i = 0; i < n; i++) {
		int code = ask_for(file, asked[i].verb, asked[i].what);

		worst = code != 0 ? code : worst;
	}
	return worst;
}

/* Installers of packages call it behind each change of aliases. */
static int
newaliases(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	puts("newaliases: nothing to do: the running program reads changed aliases by itself");
	return 0;
}

int
(*face_of(const char *name))(int, char **)
{
	static const struct { const char *name; int (*run)(int, char **); } faces[] = {
		{ "mailq", mailq }, { "postqueue", postqueue }, { "postsuper", postsuper },
		{ "postcat", postcat }, { "newaliases", newaliases }, { "sendmail", face_sendmail },
	};

	for (size_t i = 0; i < sizeof faces / sizeof *faces; i++)
		if (strcmp(name, faces[i].name) == 0)
			return faces[i].run;
	return NULL;
}
