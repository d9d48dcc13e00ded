/* SPDX-License-Identifier: ISC */
/*
 * config -- check, show, explain and format the configuration.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/premises.h"
#include "cmd/shown.h"
#include "conf/load.h"
#include "conf/show.h"
#include "config.h"

static const char DEFAULT_FILE[] = CHAINMAIL_SYSCONFDIR "/chainmail/chainmail.conf";

enum { OUTPUT_BYTES = 64 << 20 };

/* A configuration with everything that was found about it. */
struct loaded {
	struct files   files;
	struct flaws   flaws, again;    /* the tables are read twice; their flaws are told once */
	struct conf   *conf;
	struct routes *routes;          /* both only without errors */
	struct trust  *trust;
};

struct given {
	const char *file;
	bool        json, defaults;
	const char *word;               /* of explain */
};

static int
print(struct buf *out, FILE *to, int code)
{
	fwrite(out->p, 1, out->n, to);
	buf_free(out);
	return code;
}

static void
load(struct loaded *l, const char *file)
{
	struct reader reader;

	*l = (struct loaded){ 0 };
	flaws_begin(&l->flaws);
	flaws_begin(&l->again);
	l->conf = conf_load(file, &l->files, &l->flaws);
	flaws_sort(&l->flaws);
	if (l->flaws.errors > 0)
		return;
	reader = files_reader(&l->files);
	l->routes = routes_new(l->conf, &reader, &l->again);
	l->trust = trust_new(&l->conf->arc, &reader, &l->again);
}

static void
unload(struct loaded *l)
{
	trust_free(l->trust);
	routes_free(l->routes);
	conf_free(l->conf);
	files_free(&l->files);
	flaws_end(&l->flaws);
	flaws_end(&l->again);
}

/* Errors of what was loaded, on standard error; the exit code. */
static int
tell_flaws(const struct loaded *l)
{
	struct buf out = BUF(OUTPUT_BYTES);

	flaws_add_text(&out, &l->flaws);
	return print(&out, stderr, l->flaws.errors > 0 ? EX_CONFIG : 0);
}

/* --- check -------------------------------------------------------------------------- */

static json_t *
flaw_json(const struct flaw *f)
{
	json_t *o = json_pack("{s:s, s:o, s:i, s:i, s:s%}",
	    "severity", f->severity == FLAW_ERROR ? "error" : "warning",
	    "file", shown_json(f->file), "line", (int)f->line, "column", (int)f->column,
	    "message", f->text.p, f->text.n);

	if (f->hint.n > 0)
		json_object_set_new(o, "hint", json_stringn(f->hint.p, f->hint.n));
	return o;
}

static int
tell_json(const struct loaded *l)
{
	json_t *list = json_array(), *o;

	for (const struct flaw *f = l->flaws.first; f != NULL; f = f->next)
		json_array_append_new(list, flaw_json(f));
	o = json_pack("{s:b, s:i, s:i, s:o}", "ok", l->flaws.errors == 0,
	    "errors", (int)l->flaws.errors, "warnings", (int)l->flaws.warnings, "flaws", list);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
	return l->flaws.errors > 0 ? EX_CONFIG : 0;
}

/* Root may check what another machine, or a service with its own user, will run: a warning. */
static void
check_account(struct loaded *l)
{
	struct error why;

	if (!premises_roles_are_safe(l->conf, &why))
		flaw_warning(&l->flaws, l->conf->user_place, "%s", why.text);
}

static int
check(const struct given *g)
{
	const struct clock machine = { 0 };
	struct loaded l;
	int code;

	load(&l, g->file);
	if (l.flaws.errors == 0)
		world_check(l.conf, &l.files, clock_now(&machine), &l.flaws);
	if (l.flaws.errors == 0)
		check_account(&l);
	flaws_sort(&l.flaws);
	code = g->json ? tell_json(&l) : tell_flaws(&l);
	if (code == 0 && !g->json)
		printf("%s: no errors\n", g->file);
	unload(&l);
	return code;
}

/* --- the others ----------------------------------------------------------------------- */

static int
show(const struct given *g)
{
	struct buf out = BUF(OUTPUT_BYTES);
	struct loaded l;
	int code;

	load(&l, g->file);
	if ((code = tell_flaws(&l)) == 0)
		show_tree(&out, &CONF_VOCABULARY, l.conf->tree, g->defaults);
	unload(&l);
	return print(&out, stdout, code);
}

static int
explain(const struct given *g)
{
	struct buf out = BUF(OUTPUT_BYTES);
	struct loaded l;
	int code;

	if (g->word != NULL) {
		if (explain_word(&out, &CONF_VOCABULARY, slice(g->word)))
			return print(&out, stdout, 0);
		complaint("chainmail config explain: no statement begins with \"%s\"", g->word);
		return EX_USAGE;
	}
	load(&l, g->file);
	if ((code = tell_flaws(&l)) == 0)
		explain_conf(&out, l.conf, l.routes, l.trust);
	unload(&l);
	return print(&out, stdout, code);
}

/* One text as it stands: what it includes is formatted on its own. */
static int
format(const struct given *g)
{
	struct buf text = BUF(TREE_BYTES), out = BUF(OUTPUT_BYTES);
	struct source source = { .name = slice(g->file) };
	struct error why;
	int code = 0;

	if (!file_read(g->file, &text, &why)) {
		complaint("chainmail: %s", why.text);
		return EX_NOINPUT;
	}
	source.bytes = buf_slice(&text);
	if (!show_formatted(&out, &source)) {
		complaint("chainmail: %s has errors; `config check` tells them", g->file);
		buf_clear(&out);
		code = EX_CONFIG;
	}
	buf_free(&text);
	return print(&out, stdout, code);
}

static int
defaults(const struct given *g)
{
	struct buf out = BUF(OUTPUT_BYTES);

	(void)g;
	show_defaults(&out, &CONF_VOCABULARY);
	return print(&out, stdout, 0);
}

static int
manual(const struct given *g)
{
	struct buf out = BUF(OUTPUT_BYTES);

	(void)g;
	manual_conf(&out, &CONF_VOCABULARY);
	return print(&out, stdout, 0);
}

/* --- the command ------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int       (*run)(const struct given *);
	const char *operand, *help;
} VERBS[] = {
	{ "check", check, "[FILE]", "tell everything that is wrong with it" },
	{ "show", show, "[FILE]", "print it with the origin of each statement" },
	{ "explain", explain, "[WORD]", "say what it does, or what the statements with a word mean" },
	{ "fmt", format, "[FILE]", "print it with blanks and line breaks in order" },
	{ "defaults", defaults, "", "print all statements that have a default" },
	{ "manual", manual, "", "print chainmail.conf(5)" },
};

enum { VERB_COUNT = sizeof VERBS / sizeof *VERBS };

static int
usage(void)
{
	fputs("usage: chainmail config VERB [-c FILE] [OPTION]...\n", stderr);
	for (int i = 0; i < VERB_COUNT; i++)
		fprintf(stderr, "  %-9s %-8s %s\n", VERBS[i].name, VERBS[i].operand, VERBS[i].help);
	return EX_USAGE;
}

int
cmd_config(int argc, char **argv)
{
	struct given g = { .file = DEFAULT_FILE };
	struct words operands = { .n = 0 };
	const struct option_row rows[] = {
		{ "-c", OPTION_TEXT, &g.file, "FILE", "the configuration" },
		{ "--json", OPTION_FLAG, &g.json, NULL, "check: one JSON object" },
		{ "--defaults", OPTION_FLAG, &g.defaults, NULL, "show: what is not set, too" },
		{ 0 },
	};
	int verb = 0;

	if (!options_read(argc, argv, "config check|show|explain|fmt|defaults|manual [OPTION]...",
	    rows, &operands, 2))
		return EX_USAGE;
	while (operands.n > 0 && verb < VERB_COUNT && strcmp(operands.word[0], VERBS[verb].name) != 0)
		verb++;
	if (operands.n == 0 || verb == VERB_COUNT)
		return usage();
	if (operands.n == 2 && VERBS[verb].run == explain)
		g.word = operands.word[1];
	else if (operands.n == 2 && *VERBS[verb].operand == '[')
		g.file = operands.word[1];
	else if (operands.n == 2)
		return usage();
	return VERBS[verb].run(&g);
}
