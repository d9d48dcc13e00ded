/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/bug.h"
#include "base/text.h"
#include "conf/table.h"

void
table_begin(struct table *t, const struct source *source)
{
	*t = (struct table){ source, source->bytes, 0 };
	if (slice_starts(t->left, S("\xef\xbb\xbf")))
		t->left = slice_skip(t->left, 3);
}

/* The next line as it stands, its end taken off. */
static bool
physical_line(struct table *t, struct slice *line)
{
	if (!slice_cut(&t->left, '\n', line))
		return false;
	if (slice_endsi(*line, S("\r")))
		line->n--;
	t->line++;
	return true;
}

static bool
says_nothing(struct slice line)
{
	line = slice_trim(line);
	return line.n == 0 || *line.p == '#';
}

bool
table_next(struct table *t, struct slice *line)
{
	do
		if (!physical_line(t, line))
			return false;
	while (says_nothing(*line));
	*line = slice_trim(*line);
	return true;
}

struct place
table_place(const struct table *t, struct slice part)
{
	return (struct place){ t->source, part.p, t->line, (unsigned)part.n };
}

/* --- transport(5) ------------------------------------------------------------------ */

/* Brackets mean "no MX" there; here only an IPv6 address has some. */
static struct slice
without_brackets(struct slice s, struct arena *arena)
{
	size_t close = slice_find(s, ']');
	struct slice host = slice_head(slice_skip(s, 1), close - 1);

	if (!slice_starts(s, S("[")) || close < 2 || !slice_starts(slice_skip(s, close), S("]:")))
		return s;
	if (slice_startsi(host, S("ipv6:")))
		host = slice_skip(host, 5);
	return arena_printf(arena, slice_find(host, ':') < host.n ? "[%.*s]%.*s" : "%.*s%.*s", FMT(host),
	    FMT(slice_skip(s, close + 1)));
}

bool
transport_parse(struct slice s, struct arena *arena, struct transport *t)
{
	struct endpoint *to = &t->to;

	t->smtp = slice_startsi(s, S("smtp:"));
	if ((!t->smtp && !slice_startsi(s, S("lmtp:"))) || slice_find(s, '\0') < s.n)
		return false;                   /* no path has a NUL in it */
	s = slice_skip(s, 5);
	if (slice_startsi(s, S("inet:")))
		s = slice_skip(s, 5);
	return value_endpoint(without_brackets(s, arena), arena, to) && to->kind != ENDPOINT_ANY;
}

/* --- aliases(5) ------------------------------------------------------------------ */

void
aliases_begin(struct aliases *a, const struct source *source, bool included, struct arena *arena,
    struct flaws *flaws)
{
	*a = (struct aliases){ .arena = arena, .flaws = flaws, .included = included };
	table_begin(&a->table, source);
}

/* How many bytes the string at the front of s covers; more than s has: it is not closed. */
static size_t
string_length(struct slice s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return i + 1;
	}
	return s.n + 1;
}

/* How many bytes stand before a separator, strings skipped; more than s has: one is not closed. */
static size_t
entry_length(struct slice s, const char *separators)
{
	size_t n = 0;

	while (n < s.n && (s.p[n] == '\0' || strchr(separators, s.p[n]) == NULL))
		n += s.p[n] == '"' ? string_length(slice_skip(s, n)) : 1;
	return n;
}

/* What a text says that stands in quotes as a whole; any other text as it is. */
static struct slice
unquoted(struct slice s, struct arena *arena)
{
	char *to;
	size_t n = 0;

	if (s.n < 2 || *s.p != '"' || string_length(s) != s.n)
		return s;
	to = arena_get(arena, s.n);
	bug_if(to == NULL);
	for (size_t i = 1; i + 1 < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		to[n++] = s.p[i];
	}
	return slice_of(to, n);
}

/* The name in front of a colon; what stands behind it becomes the rest. */
static bool
take_name(struct aliases *a, struct slice line, struct slice *name, struct place *place)
{
	size_t n = entry_length(line, ":");
	struct slice text = slice_trim(slice_head(line, n));

	*place = table_place(&a->table, text);
	if (n >= line.n || text.n == 0) {
		flaw_error(a->flaws, table_place(&a->table, line), "expected a name and a colon");
		flaw_hint(a->flaws, "name: target, target");
		return false;
	}
	*name = unquoted(text, a->arena);
	a->rest = slice_skip(line, n + 1);
	return true;
}

bool
aliases_name(struct aliases *a, struct slice *name, struct place *place)
{
	struct slice line;

	while (physical_line(&a->table, &line)) {
		if (says_nothing(line) || (a->skipping && is_wsp(*line.p)))
			continue;
		a->skipping = false;
		if (is_wsp(*line.p))
			flaw_error(a->flaws, table_place(&a->table, slice_trim(line)),
			    "this line goes on, but none begins before it");
		else if (take_name(a, line, name, place))
			return true;
		a->skipping = true;
	}
	return false;
}

/* The next line, when it belongs to the same entry. */
static bool
continued(struct aliases *a)
{
	struct table before = a->table;
	struct slice line;

	while (physical_line(&a->table, &line)) {
		if (says_nothing(line))
			continue;
		if (!a->included && !is_wsp(*line.p))
			break;
		a->rest = line;
		return true;
	}
	a->table = before;
	return false;
}

static bool
refused(struct aliases *a, struct place place, const char *why, struct slice text)
{
	flaw_error(a->flaws, place, "%s: \"%.*s\"", why, FMT(text));
	return false;
}

/* What kind of target this is, its marks taken off. False: none that is taken. */
static bool
take_target(struct aliases *a, struct slice raw, enum alias_kind *kind, struct slice *text)
{
	struct place place = table_place(&a->table, raw);

	*text = unquoted(raw, a->arena);
	*kind = ALIAS_MAILBOX;
	if (text->n == 0)
		return refused(a, place, "a target without a name", raw);
	if (text->p == raw.p && entry_length(raw, " \t") < raw.n)
		return refused(a, place, "a comma is missing between targets", raw);
	if (*text->p == '|')
		return refused(a, place, "commands are not run", raw);
	if (*text->p == '/')
		return refused(a, place, "files are not written", raw);
	if (*text->p == '\\') {
		*kind = ALIAS_FINAL;
		*text = slice_skip(*text, 1);
	} else if (slice_startsi(*text, S(":include:")) && !a->included) {
		*kind = ALIAS_INCLUDE;
		*text = slice_trim(slice_skip(*text, sizeof ":include:" - 1));
	} else if (*text->p == ':') {
		return refused(a, place, "this target is not known here", raw);
	}
	return true;
}

bool
aliases_target(struct aliases *a, enum alias_kind *kind, struct slice *text, struct place *place)
{
	for (;;) {
		struct slice raw;
		bool closed;
		size_t n;

		a->rest = slice_trim(a->rest);
		if (a->rest.n == 0) {
			if (!continued(a))
				return false;
			continue;
		}
		n = entry_length(a->rest, ",");
		raw = slice_trim(slice_head(a->rest, n));
		*place = table_place(&a->table, raw);
		closed = n <= a->rest.n || refused(a, *place, "a string is not closed", raw);
		a->rest = slice_skip(a->rest, n + 1);
		if (closed && raw.n > 0 && take_target(a, raw, kind, text))
			return true;
	}
}
