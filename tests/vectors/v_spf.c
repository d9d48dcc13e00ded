/* SPDX-License-Identifier: ISC */
/*
 * The public suite of RFC 7208 and pyspf's own cases, through the same code as
 * the server's: the zone of a case becomes a text for dns/zone.
 */
#include "auth/spf.h"
#include "base/buf.h"
#include "dns/wire.h"
#include "dns/zone.h"
#include "mail/domain.h"
#include "tap.h"

enum { ZONE_TEXT = 1 << 20, ROUNDS_MOST = 100 };

/* Judged otherwise, with what we say; the reasons stand in the file CONTESTED. */
static const struct { const char *id; enum spf_result ours; } CONTESTED[] = {
	{ "pyspf-4/default-modifier", SPF_NEUTRAL },
	{ "pyspf-4/default-modifier-harsh", SPF_NEUTRAL },
};

/* --- a zone of the suite as text ------------------------------------------- */

static void
add_name(struct buf *b, struct slice name)
{
	if (slice_endsi(name, S(".")))
		name.n--;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '.')
			buf_byte(b, '.');
		else
			label_byte_add(b, name.p[i]);
	buf_byte(b, '.');
}

static void
add_strings(struct buf *b, json_t *strings)
{
	size_t i;
	json_t *string;

	buf_add(b, S(" \"\""));
	json_array_foreach(strings, i, string) {
		struct slice s = json_slice(string);

		buf_add(b, S(" \""));
		for (size_t j = 0; j < s.n; j++)
			buf_printf(b, "\\%03u", (unsigned char)s.p[j]);
		buf_byte(b, '"');
	}
}

static void
add_record(struct buf *b, struct slice owner, struct slice type, json_t *value)
{
	if (slice_eq(type, S("SPF")))
		return;                         /* RFC 7208 3.1: never asked for */
	add_name(b, owner);
	buf_printf(b, " %.*s ", FMT(type));
	if (slice_eq(json_slice(value), S("TIMEOUT"))) {
		buf_add(b, S("!timeout"));
	} else if (slice_eq(type, S("TXT"))) {
		add_strings(b, value);
	} else if (slice_eq(type, S("MX"))) {
		buf_printf(b, "%d ", (int)json_integer_value(json_array_get(value, 0)));
		add_name(b, json_slice(json_array_get(value, 1)));
	} else if (slice_eq(type, S("A")) || slice_eq(type, S("AAAA"))) {
		buf_add(b, json_slice(value));
	} else {
		add_name(b, json_slice(value));
	}
	buf_byte(b, '\n');
}

static bool
has_type(json_t *records, struct slice type)
{
	size_t i;
	json_t *record;

	json_array_foreach(records, i, record)
		if (slice_eq(json_slice(json_array_get(record, 0)), type))
			return true;
	return false;
}

/* "*": every query of a type that is not listed. */
static void
add_rest(struct buf *b, struct slice owner, json_t *records, json_t *value)
{
	static const struct slice types[] = {
		S_INIT("TXT"), S_INIT("A"), S_INIT("AAAA"), S_INIT("MX"), S_INIT("PTR"),
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (!has_type(records, types[i]))
			add_record(b, owner, types[i], value);
}

static struct zone *
read_zone(json_t *owners, const char *name)
{
	struct buf b = BUF(ZONE_TEXT);
	struct error why;
	struct zone *zone;
	const char *owner;
	json_t *records, *record;
	size_t i;

	json_object_foreach(owners, owner, records)
		json_array_foreach(records, i, record) {
			struct slice type = json_slice(json_array_get(record, 0));

			if (slice_eq(type, S("*")))
				add_rest(&b, slice(owner), records, json_array_get(record, 1));
			else
				add_record(&b, slice(owner), type, json_array_get(record, 1));
		}
	if ((zone = zone_parse(buf_slice(&b), name, &why)) == NULL) {
		printf("Bail out! %s\n", why.text);
		exit(1);
	}
	buf_free(&b);
	return zone;
}

/* --- a case ------------------------------------------------------------------ */

static struct spf_question
question_of(json_t *test)
{
	struct slice from = json_slice(json_object_get(test, "mailfrom"));
	struct spf_question q = { .helo = json_slice(json_object_get(test, "helo")) };
	size_t at = from.n;

	while (at > 0 && from.p[at - 1] != '@')
		at--;
	q.domain = slice_skip(from, at);
	q.local = slice_head(from, at > 0 ? at - 1 : 0);
	if (!ip_parse(json_slice(json_object_get(test, "ip")), &q.client))
		printf("# %s: not an address\n", json_string_value(json_object_get(test, "id")));
	return q;
}

static const enum spf_result *
contested(const char *id)
{
	for (size_t i = 0; i < sizeof CONTESTED / sizeof *CONTESTED; i++)
		if (strcmp(CONTESTED[i].id, id) == 0)
			return &CONTESTED[i].ours;
	return NULL;
}

static bool
is_expected(json_t *test, const char *id, enum spf_result result)
{
	size_t i;
	json_t *expected;

	if (contested(id) != NULL)
		return result == *contested(id);
	json_array_foreach(json_object_get(test, "expect"), i, expected)
		if (slice_eq(json_slice(expected), slice(spf_result_name(result))))
			return true;
	return false;
}

/* "DEFAULT" is the receiver's own text: the domain gave none. */
static bool
is_explained(json_t *test, struct slice explanation)
{
	json_t *wanted = json_object_get(test, "explanation");

	if (wanted == NULL)
		return true;
	return slice_eq(explanation, slice_eq(json_slice(wanted), S("DEFAULT")) ? NONE : json_slice(wanted));
}

static void
run_case(json_t *test, const struct zone *zone)
{
	const char *id = json_string_value(json_object_get(test, "id"));
	struct spf_question question = question_of(test);
	struct arena *arena = arena_new(4 << 20);
	struct facts facts;
	struct spf spf = { 0 };
	unsigned rounds = 0;

	facts_begin(&facts, arena);
	while (!spf_evaluate(&spf, &question, &facts) && rounds++ < ROUNDS_MOST)
		zone_answer_all(zone, &facts);
	tap_ok(spf.done && is_expected(test, id, spf.result) && is_explained(test, spf.explanation),
	    "%s%s", id, contested(id) != NULL ? " (contested)" : "");
	if (!spf.done || !is_expected(test, id, spf.result))
		printf("# %s: %.*s\n", spf_result_name(spf.result), FMT(spf.why));
	else if (!is_explained(test, spf.explanation))
		printf("# explanation: \"%.*s\"\n", FMT(spf.explanation));
	arena_free(arena);
}

static void
run_suite(const char *path)
{
	json_t *suite = conformance(path), *test;
	size_t i;

	if (suite == NULL) {
		tap_skip("%s is not there", path);
		return;
	}
	json_array_foreach(json_object_get(suite, "cases"), i, test) {
		const char *name = json_string_value(json_object_get(test, "zone"));
		struct zone *zone = read_zone(json_object_get(json_object_get(suite, "zones"), name), name);

		run_case(test, zone);
		zone_free(zone);
	}
	json_decref(suite);
}

int
main(void)
{
	run_suite("spf-openspf/rfc7208-tests.json");
	run_suite("spf-openspf/test.json");
	return tap_end();
}
