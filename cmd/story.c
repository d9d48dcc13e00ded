/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "base/text.h"
#include "cmd/shown.h"
#include "cmd/story.h"

enum { SUBJECT_COLUMN = 19, WHY_COLUMN = 47, NOTE_COLUMN = 84, STATE_COLUMN = 49 };

static bool
is_a(const struct step *s, const char *name)
{
	return strcmp(s->name, name) == 0;
}

static const struct step *
find(const struct step *under, const char *name)
{
	const struct step *s = under->first;

	while (s != NULL && !is_a(s, name))
		s = s->next;
	return s;
}

/* --- columns -------------------------------------------------------------------- */

/* A line with columns: where it begins in the buf. */
struct line {
	struct buf *to;
	size_t      start;
};

static size_t
letters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

/* To this column, but never without a space in between. */
static void
tab_to(struct line *l, size_t column)
{
	size_t at = letters(slice_skip(buf_slice(l->to), l->start));

	do {
		buf_byte(l->to, ' ');
	} while (++at < column);
}

static void
end_line(struct line *l)
{
	while (l->to->n > l->start && l->to->p[l->to->n - 1] == ' ')
		l->to->n--;
	buf_byte(l->to, '\n');
	l->start = l->to->n;
}

static struct line
begin_line(struct buf *to)
{
	return (struct line){ to, to->n };
}

/* --- results ---------------------------------------------------------------------- */

static void
add_policy(struct buf *b, const struct step *dmarc)
{
	struct slice at = step_value(dmarc, "policy_domain"), requested = step_value(dmarc, "requested"),
	    policy = step_value(dmarc, "policy"), queries = step_value(dmarc, "queries");

	if (at.n == 0) {
		shown_add(b, dmarc->why);
		return;
	}
	buf_printf(b, "policy %.*s=%.*s", FMT(step_value(dmarc, "tag")), FMT(requested));
	if (!slice_eq(policy, requested))
		buf_printf(b, " (in test, so %.*s)", FMT(policy));
	buf_add(b, S(" at _dmarc."));
	shown_add(b, at);
	buf_printf(b, " (tree walk, %.*s %s)", FMT(queries), slice_eq(queries, S("1")) ? "query" : "queries");
}

/* What a result means to DMARC: its identifier against the Author Domain. */
static void
add_alignment(struct buf *b, const struct step *s, struct slice author)
{
	struct slice alignment = step_value(s, "alignment");
	struct slice domain = slice_head(s->subject, slice_find(s->subject, '/'));
	bool pass = s->result != NULL && strcmp(s->result, "pass") == 0;

	if (alignment.n == 0 || domain.n == 0)
		return;
	if (slice_eq(alignment, S("none"))) {
		buf_add(b, S("not aligned: "));
		shown_add(b, domain);
		buf_add(b, S(" \xe2\x89\xa0 "));        /* not equal */
		shown_add(b, author);
	} else {
		buf_printf(b, pass ? "aligned (%.*s)" : "would be aligned (%.*s)", FMT(alignment));
	}
}

static void
add_hints(struct buf *b, const struct step *under, int depth)
{
	for (const struct step *s = under->first; s != NULL; s = s->next) {
		if (is_a(s, "hint")) {
			buf_printf(b, "%*shint: ", depth, "");
			shown_add(b, s->subject);
			buf_byte(b, '\n');
		}
		add_hints(b, s, depth);
	}
}

static void
add_result(struct buf *b, const struct step *s, struct slice author)
{
	struct line l = begin_line(b);

	buf_printf(b, "  %-6s %s", s->name, s->result != NULL ? s->result : "");
	tab_to(&l, SUBJECT_COLUMN);
	shown_add(b, s->subject);
	if (slice_eq(step_value(s, "identity"), S("helo")))
		buf_add(b, S(" (helo)"));
	tab_to(&l, WHY_COLUMN);
	shown_add(b, s->why);
	tab_to(&l, NOTE_COLUMN);
	add_alignment(b, s, author);
	end_line(&l);
	if (is_a(s, "dkim"))
		add_hints(b, s, SUBJECT_COLUMN);
}

void
story_results(struct buf *b, const struct step *root)
{
	const struct step *dmarc = find(root, "dmarc");
	struct line l = begin_line(b);

	buf_add(b, S("From "));
	shown_add(b, root->subject);
	tab_to(&l, SUBJECT_COLUMN + 6);
	add_policy(b, dmarc);
	end_line(&l);
	for (const struct step *s = root->first; s != NULL; s = s->next)
		if (!is_a(s, "decision"))
			add_result(b, s, dmarc->subject);
}

/* --- the chain ----------------------------------------------------------------------- */

static const char ARROW[] = "\xe2\x94\x80\xe2\x94\x80\xe2\x96\xb6";     /* two lines and a head */

static void
add_saw(struct buf *b, const struct step *set, int indent)
{
	struct slice saw = step_value(set, "saw"), id = step_value(set, "authserv_id");

	if (saw.n == 0)
		return;
	buf_printf(b, "%*ssaw  ", indent, "");
	shown_add(b, saw);
	if (id.n > 0) {
		buf_add(b, S("   (as "));
		shown_add(b, id);
		buf_byte(b, ')');
	}
	buf_byte(b, '\n');
}

/* Two facts, never one: is the chain valid, is the sealer trusted. */
static void
add_trust(struct buf *b, const struct step *arc, const struct step *set, int indent)
{
	struct slice sealer = step_value(set, "sealer"), believed = step_value(arc, "believed");

	if (slice_eq(step_value(set, "trusted"), S("yes"))) {
		buf_printf(b, "%*strusted sealer: yes%s\n", indent, "",
		    slice_eq(believed, sealer) ? ", and this hop's results are believed" : "");
		return;
	}
	buf_printf(b, "%*strusted sealer: no, so not used", indent, "");
	if (sealer.n > 0) {
		buf_add(b, S("   (config: arc { trust "));
		shown_add(b, sealer);
		buf_add(b, S(" })"));
	}
	buf_byte(b, '\n');
}

static void
add_set(struct buf *b, const struct step *arc, const struct step *set, int indent)
{
	struct line l = begin_line(b);

	buf_printf(b, "%*s%s [%.*s] ", indent, "", ARROW, FMT(step_value(set, "instance")));
	shown_add(b, step_value(set, "sealer"));
	tab_to(&l, STATE_COLUMN);
	buf_add(b, S("cv="));
	shown_add(b, step_value(set, "cv"));
	buf_printf(b, "   AMS %.*s   AS %.*s", FMT(step_value(set, "ams")), FMT(step_value(set, "as")));
	end_line(&l);
	add_saw(b, set, indent + 8);
	add_trust(b, arc, set, indent + 8);
	add_hints(b, set, indent + 8);
}

void
story_chain(struct buf *b, const struct step *root)
{
	const struct step *arc = find(root, "arc");
	int indent = 4;

	if (find(arc, "set") == NULL)
		return;
	buf_add(b, S("\n  "));
	shown_add(b, find(root, "dmarc")->subject);
	buf_byte(b, '\n');
	for (const struct step *s = arc->first; s != NULL; s = s->next)
		if (is_a(s, "set"))
			add_set(b, arc, s, indent);
	buf_printf(b, "%*s%s here: arc=%s", indent, "", ARROW, arc->result);
	if (step_value(arc, "oldest_pass").n > 0)
		buf_printf(b, ", oldest-pass %.*s", FMT(step_value(arc, "oldest_pass")));
	buf_byte(b, '\n');
	for (const struct step *s = arc->first; s != NULL; s = s->next)
		if (is_a(s, "change")) {
			buf_printf(b, "%*s", indent + 8, "");
			shown_add(b, s->subject);
			buf_byte(b, '\n');
		}
}

/* --- steps ------------------------------------------------------------------------------ */

/* What has been shown: an answer that served twice is shown in full once. */
struct shown {
	const struct fact *facts[FACTS_MOST];
	size_t             count;
};

static bool
shown_before(struct shown *shown, const struct fact *f)
{
	for (size_t i = 0; i < shown->count; i++)
		if (shown->facts[i] == f)
			return true;
	if (shown->count < FACTS_MOST)
		shown->facts[shown->count++] = f;
	return false;
}

static void
add_question(struct buf *b, const struct step *s, struct shown *shown)
{
	const struct fact *f = s->fact;

	buf_printf(b, "%s ", rr_name(f->type));
	shown_add(b, f->name);
	buf_printf(b, ": %s, %s", answer_name(f->answer), security_name(f->security));
	if (f->count == 0 && f->why.n == 0)
		return;
	buf_add(b, S("  "));
	if (f->count > 0 && shown_before(shown, f))
		buf_add(b, S("(as above)"));
	else
		shown_fact_add(b, f);
}

static void
add_what(struct buf *b, const struct step *s)
{
	buf_add(b, slice(s->name));
	if (s->subject.n > 0)
		buf_byte(b, ' ');
	shown_add(b, s->subject);
	if (s->result != NULL)
		buf_printf(b, ": %s", s->result);
	if (s->why.n > 0)
		buf_add(b, S(", "));
	shown_add(b, s->why);
	for (const struct detail *d = s->details; d != NULL; d = d->next) {
		buf_printf(b, "  %s=", d->name);
		shown_add(b, d->value);
	}
}

static void
add_steps(struct buf *b, const struct step *under, int depth, struct shown *shown)
{
	for (const struct step *s = under->first; s != NULL; s = s->next) {
		buf_printf(b, "%*s", 2 * depth, "");
		if (s->fact != NULL)
			add_question(b, s, shown);
		else
			add_what(b, s);
		if (s->rule != NULL)
			buf_printf(b, "   [%s]", s->rule);
		buf_byte(b, '\n');
		add_steps(b, s, depth + 1, shown);
	}
}

void
story_steps(struct buf *b, const struct step *root)
{
	struct shown shown = { .count = 0 };

	buf_add(b, S("\nstep by step\n"));
	add_steps(b, root, 1, &shown);
}

/* --- for programs ------------------------------------------------------------------------- */

static json_t *
detail_json(const struct detail *d)
{
	uint64_t number;

	if (d->is_number && slice_number(d->value, INT64_MAX, &number))
		return json_integer((json_int_t)number);
	return shown_json(d->value);
}

static void
set_text(json_t *json, const char *key, struct slice text)
{
	if (text.n > 0)
		json_object_set_new(json, key, shown_json(text));
}

json_t *
story_json(const struct step *step)
{
	json_t *json = json_pack("{s:s}", "step", step->name), *steps;

	set_text(json, "subject", step->subject);
	if (step->result != NULL)
		json_object_set_new(json, "result", json_string(step->result));
	set_text(json, "why", step->why);
	if (step->rule != NULL)
		json_object_set_new(json, "rule", json_string(step->rule));
	for (const struct detail *d = step->details; d != NULL; d = d->next)
		json_object_set_new(json, d->name, detail_json(d));
	if (step->fact != NULL)
		json_object_set_new(json, "query", shown_fact_json(step->fact));
	if (step->first == NULL)
		return json;
	steps = json_array();
	for (const struct step *s = step->first; s != NULL; s = s->next)
		json_array_append_new(steps, story_json(s));
	json_object_set_new(json, "steps", steps);
	return json;
}
