/* SPDX-License-Identifier: ISC */
/*
 * `chainmail lab gallery [FILE]`: how our own sender fares with every domain of the
 * gallery (or of a scenario like it), as a table for people, JSON, TAP or JUnit.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/lab.h"
#include "conf/load.h"
#include "lab/gallery.h"

enum { TABLE_MEMORY = 16 << 20, TABLE_MOST = 4 << 20, DOMAIN_WIDTH = 36, EXPECTED_WIDTH = 44 };

struct count {
	unsigned right, all;
};

static struct count
count_rows(const struct gallery_row *first)
{
	struct count c = { 0, 0 };

	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		c.all++;
		c.right += r->right;
	}
	return c;
}

/* --- four forms ---------------------------------------------------------------------------- */

static void
tell_people(const struct gallery_row *first, struct buf *b)
{
	struct count c = count_rows(first);

	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		buf_printf(b, "%-*.*s %-*.*s %-5s %-16.*s %.*s\n", DOMAIN_WIDTH, FMT(r->domain),
		    EXPECTED_WIDTH, FMT(r->expected), r->right ? "ok" : "WRONG", FMT(r->rfc), FMT(r->flaw));
		if (!r->right)
			buf_printf(b, "    got: %.*s\n    last attempt: %.*s\n", FMT(r->got), FMT(r->reply));
	}
	buf_printf(b, "%u of %u domains are served as they should be\n", c.right, c.all);
}

static json_t *
text(struct slice s)
{
	return json_stringn(s.n > 0 ? s.p : "", s.n);
}

static void
tell_json(const struct gallery_row *first, struct buf *b)
{
	struct count c = count_rows(first);
	json_t *rows = json_array(), *all;
	char *out;

	for (const struct gallery_row *r = first; r != NULL; r = r->next)
		json_array_append_new(rows, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "domain",
		    text(r->domain), "flaw", text(r->flaw), "rfc", text(r->rfc), "expected",
		    text(r->expected), "got", text(r->got), "reply", text(r->reply), "right", r->right));
	all = json_pack("{s:i, s:i, s:o}", "right", (int)c.right, "of", (int)c.all, "rows", rows);
	bug_if(all == NULL || (out = json_dumps(all, JSON_INDENT(2))) == NULL);
	buf_printf(b, "%s\n", out);
	free(out);
	json_decref(all);
}

static void
tell_tap(const struct gallery_row *first, struct buf *b)
{
	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		buf_printf(b, "%s - %.*s: %.*s (%.*s): %.*s\n", r->right ? "ok" : "not ok", FMT(r->domain),
		    FMT(r->expected), FMT(r->rfc), FMT(r->flaw));
		if (!r->right)
			buf_printf(b, "#   got: %.*s\n#   last attempt: %.*s\n", FMT(r->got), FMT(r->reply));
	}
	buf_printf(b, "1..%u\n", count_rows(first).all);
}

/* What stands in an attribute; replies may have any byte in them (XML 1.0 2.2). */
static void
add_xml(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c > '~' || c == '"' || c == '&' || c == '<' || c == '>')
			buf_printf(b, "&#%u;", c < ' ' || c > '~' ? '?' : c);
		else
			buf_byte(b, (char)c);
	}
}

static void
add_attribute(struct buf *b, const char *name, struct slice value)
{
	buf_printf(b, " %s=\"", name);
	add_xml(b, value);
	buf_add(b, S("\""));
}

static void
tell_junit(const struct gallery_row *first, struct buf *b)
{
	struct count c = count_rows(first);

	buf_printf(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<testsuite name=\"gallery\" tests=\"%u\" failures=\"%u\">\n", c.all, c.all - c.right);
	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		buf_add(b, S("  <testcase"));
		add_attribute(b, "name", r->domain);
		add_attribute(b, "classname", r->rfc);
		if (r->right) {
			buf_add(b, S("/>\n"));
			continue;
		}
		buf_add(b, S(">\n    <failure"));
		add_attribute(b, "message", r->got);
		buf_add(b, S("/>\n  </testcase>\n"));
	}
	buf_add(b, S("</testsuite>\n"));
}

static int
tell(const struct gallery_row *first, enum lab_form form)
{
	static void (*const forms[])(const struct gallery_row *, struct buf *) = {
		[LAB_PEOPLE] = tell_people, [LAB_JSON] = tell_json, [LAB_TAP] = tell_tap,
		[LAB_JUNIT] = tell_junit,
	};
	struct buf b = BUF(TABLE_MOST);
	struct count c = count_rows(first);

	forms[form](first, &b);
	file_write(STDOUT_FILENO, buf_slice(&b), NULL);
	buf_free(&b);
	return c.right == c.all ? 0 : EX_BAD;
}

/* --- the run ---------------------------------------------------------------------------------- */

static int
play(struct scenario *sc, enum lab_form form, const char *directory)
{
	struct error why;
	struct world *w = world_new(sc, directory, &why);
	struct arena *arena;
	struct play p;
	int code;

	if (w == NULL)
		return lab_failed("gallery", &why);
	arena = arena_new(TABLE_MEMORY);
	if (play_run(&p, w, &why)) {
		struct gallery_row *rows = gallery_rows(sc, arena);

		gallery_judge(rows, &p, arena);
		code = tell(rows, form);
	} else {
		code = lab_failed("gallery", &why);
	}
	play_end(&p);
	arena_free(arena);
	world_free(w);
	return code;
}

static int
play_in_directory(struct scenario *sc, enum lab_form form)
{
	char directory[1000];
	struct error why;
	int code;

	if (!lab_directory(directory, sizeof directory, &why))
		return lab_failed("gallery", &why);
	code = play(sc, form, directory);
	dir_remove(directory, NULL);
	return code;
}

struct scenario *
lab_world(const char *file, struct files *files, int *code)
{
	struct reader reader = file != NULL ? disk_reader(files) : files_reader(files);
	struct scenario *sc;
	struct flaws flaws;

	if (file == NULL)
		gallery_files(files);
	flaws_begin(&flaws);
	sc = scenario_read(file != NULL ? slice(file) : GALLERY_NAME, &reader, &flaws);
	if (flaws.errors > 0) {
		*code = lab_flaws(&flaws);
		scenario_free(sc);
		sc = NULL;
	}
	flaws_end(&flaws);
	return sc;
}

int
lab_gallery(const char *file, enum lab_form form)
{
	struct files files = { 0 };
	struct scenario *sc;
	int code;

	lab_watchdog();
	if ((sc = lab_world(file, &files, &code)) != NULL)
		code = play_in_directory(sc, form);
	scenario_free(sc);
	files_free(&files);
	return code;
}
