/* SPDX-License-Identifier: ISC */
#include <jansson.h>
#include <stdlib.h>

#include "base/bug.h"
#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/gallery_table.h"

enum { DOMAIN_WIDTH = 36, EXPECTED_WIDTH = 44 };

struct count {
	unsigned right, skipped, all;
};

static struct count
count_rows(const struct gallery_row *first)
{
	struct count c = { 0, 0, 0 };

	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		c.all++;
		c.right += r->right;
		c.skipped += r->skipped != NULL;
	}
	return c;
}

static unsigned
wrong(struct count c)
{
	return c.all - c.right - c.skipped;
}

static bool
is_wrong(const struct gallery_row *r)
{
	return !r->right && r->skipped == NULL;
}

/* --- for people ---------------------------------------------------------------------------- */

static void
add_wrong(struct buf *b, const char *margin, const struct gallery_row *r)
{
	buf_printf(b, "%sgot: %.*s\n", margin, FMT(r->got));
	if (r->reply.n > 0)
		buf_printf(b, "%slast attempt: %.*s\n", margin, FMT(r->reply));
}

static void
tell_people(const struct gallery_row *first, struct buf *b)
{
	struct count c = count_rows(first);

	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		buf_printf(b, "%-*.*s %-*.*s %-5s %-16.*s %.*s\n", DOMAIN_WIDTH, FMT(r->domain),
		    EXPECTED_WIDTH, FMT(r->expected), r->right ? "ok" : is_wrong(r) ? "WRONG" : "-",
		    FMT(r->rfc), FMT(r->flaw));
		if (is_wrong(r))
			add_wrong(b, "    ", r);
	}
	buf_printf(b, "%u of %u domains are served as they should be\n", c.right, c.all - c.skipped);
	if (c.skipped > 0)
		buf_printf(b, "%u were not asked for, or are only right after a change\n", c.skipped);
}

/* --- for programs ---------------------------------------------------------------------------- */

static json_t *
text(struct slice s)
{
	return json_stringn(s.n > 0 ? s.p : "", s.n);
}

static json_t *
row_json(const struct gallery_row *r)
{
	json_t *j = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "domain", text(r->domain), "flaw",
	    text(r->flaw), "rfc", text(r->rfc), "expected", text(r->expected), "got", text(r->got),
	    "reply", text(r->reply), "right", r->right);

	bug_if(j == NULL);
	if (r->skipped != NULL)
		json_object_set_new(j, "skipped", json_string(r->skipped));
	return j;
}

static void
tell_json(const struct gallery_row *first, struct buf *b)
{
	struct count c = count_rows(first);
	json_t *rows = json_array(), *all;
	char *out;

	for (const struct gallery_row *r = first; r != NULL; r = r->next)
		json_array_append_new(rows, row_json(r));
	all = json_pack("{s:i, s:i, s:i, s:o}", "right", (int)c.right, "skipped", (int)c.skipped, "of",
	    (int)c.all, "rows", rows);
	bug_if(all == NULL || (out = json_dumps(all, JSON_INDENT(2))) == NULL);
	buf_printf(b, "%s\n", out);
	free(out);
	json_decref(all);
}

static void
tell_tap(const struct gallery_row *first, struct buf *b)
{
	for (const struct gallery_row *r = first; r != NULL; r = r->next) {
		buf_printf(b, "%s - %.*s: %.*s (%.*s): %.*s", is_wrong(r) ? "not ok" : "ok", FMT(r->domain),
		    FMT(r->expected), FMT(r->rfc), FMT(r->flaw));
		buf_printf(b, r->skipped != NULL ? " # skip %s\n" : "\n", r->skipped);
		if (is_wrong(r))
			add_wrong(b, "#   ", r);
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

/* What a row has to say about itself when it is not right: "failure" or "skipped". */
static void
add_case(struct buf *b, const struct gallery_row *r)
{
	buf_add(b, S("  <testcase"));
	add_attribute(b, "name", r->domain);
	add_attribute(b, "classname", r->rfc);
	if (!r->right) {
		buf_printf(b, ">\n    <%s", r->skipped != NULL ? "skipped" : "failure");
		add_attribute(b, "message", r->got);
		buf_add(b, S("/>\n  </testcase>\n"));
	} else {
		buf_add(b, S("/>\n"));
	}
}

static void
tell_junit(const struct gallery_row *first, struct buf *b)
{
	struct count c = count_rows(first);

	buf_printf(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	    "<testsuite name=\"gallery\" tests=\"%u\" failures=\"%u\" skipped=\"%u\">\n", c.all, wrong(c),
	    c.skipped);
	for (const struct gallery_row *r = first; r != NULL; r = r->next)
		add_case(b, r);
	buf_add(b, S("</testsuite>\n"));
}

/* --- the forms ---------------------------------------------------------------------------------- */

static const struct {
	const char *name, *type;
	void      (*tell)(const struct gallery_row *, struct buf *);
} FORMS[] = {
	[LAB_PEOPLE] = { "people", "text/plain", tell_people },
	[LAB_JSON] = { "json", "application/json", tell_json },
	[LAB_TAP] = { "tap", "text/plain", tell_tap },
	[LAB_JUNIT] = { "junit", "application/xml", tell_junit },
};

void
gallery_table(const struct gallery_row *first, enum lab_form form, struct buf *b)
{
	FORMS[form].tell(first, b);
}

struct slice
gallery_table_type(enum lab_form form)
{
	return slice(FORMS[form].type);
}

bool
gallery_table_form(struct slice name, enum lab_form *form)
{
	for (*form = LAB_PEOPLE; !slice_eq(name, slice(FORMS[*form].name)); ++*form)
		if (*form == LAB_JUNIT)
			return false;
	return true;
}

int
gallery_tell(const struct gallery_row *first, enum lab_form form)
{
	struct buf b = BUF(GALLERY_TABLE_MOST);
	struct count c = count_rows(first);

	gallery_table(first, form, &b);
	output_now(buf_slice(&b));
	buf_free(&b);
	return c.right > 0 && wrong(c) == 0 ? 0 : EX_BAD;
}
