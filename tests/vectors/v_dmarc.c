/* SPDX-License-Identifier: ISC */
/*
 * v_dmarc -- the DMARC suites: evaluations by RFC 9989, records, alignment.
 *
 * A case is a zone in JSON; it becomes a text and its facts come from there,
 * as in the server's own tests.
 */
#include "auth/dmarc.h"
#include "dns/zone.h"
#include "mail/domain.h"
#include "suites.h"

/* --- a zone in JSON to a zone as text ------------------------------------- */

static void
add_string(struct buf *to, struct slice s)
{
	buf_byte(to, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(to, '\\');
		buf_byte(to, s.p[i]);
	}
	buf_byte(to, '"');
}

static void
add_record(struct buf *to, const char *owner, const char *type, json_t *data)
{
	buf_printf(to, "%s %s ", owner, type);
	if (strcmp(type, "TXT") == 0)
		add_string(to, json_slice(data));
	else if (strcmp(type, "MX") == 0)
		buf_printf(to, "%" JSON_INTEGER_FORMAT " %s", json_integer_value(json_array_get(data, 0)),
		    json_string_value(json_array_get(data, 1)));
	else
		buf_add(to, json_slice(data));
	buf_byte(to, '\n');
}

static struct zone *
zone_of(json_t *json)
{
	struct buf text = BUF(1 << 16);
	const char *owner, *type;
	struct error why = { 0 };
	struct zone *zone;
	json_t *types, *records, *data;
	size_t i;

	json_object_foreach(json, owner, types)
		json_object_foreach(types, type, records) {
			if (json_is_string(records))
				buf_printf(&text, "%s %s !servfail\n", owner, type);
			json_array_foreach(records, i, data)
				add_record(&text, owner, type, data);
		}
	zone = zone_parse(buf_slice(&text), "zone", &why);
	if (zone == NULL)
		printf("# %s\n", why.text);
	buf_free(&text);
	return zone;
}

/* --- evaluations ---------------------------------------------------------- */

static struct dmarc_identity
identity_of(json_t *json)
{
	struct slice result = json_slice(json_object_get(json, "result"));

	return (struct dmarc_identity){
		.domain = json_slice(json_object_get(json, "domain")),
		.evidence = slice_eq(result, S("pass")) ? DMARC_PROVEN :
		    slice_eq(result, S("temperror")) ? DMARC_UNSURE : DMARC_UNPROVEN,
	};
}

static bool
is_text(json_t *want, const char *got)
{
	return want == NULL || slice_eq(json_slice(want), slice(got));
}

static bool
is_slice(json_t *want, struct slice got)
{
	return want == NULL || slice_eq(json_slice(want), got);
}

static bool
is_bool(json_t *want, bool got)
{
	return want == NULL || json_is_true(want) == got;
}

/* The walk of the Author Domain, name by name. */
static bool
is_walk(json_t *names, const struct dmarc_walk *walk)
{
	json_t *name;
	size_t i;

	if (names != NULL && json_array_size(names) != walk->count)
		return false;
	json_array_foreach(names, i, name)
		if (!slice_eq(json_slice(name), walk->steps[i].name))
			return false;
	return true;
}

static bool
as_expected(const struct dmarc *d, json_t *want)
{
	json_t *if_fail = json_object_get(want, "disposition_if_fail");
	json_t *names = json_object_get(want, "author_queries");

	return is_text(json_object_get(want, "result"), dmarc_result_name(d->result)) &&
	    is_slice(json_object_get(want, "org_domain"), d->org_domain) &&
	    is_slice(json_object_get(want, "policy_domain"), d->policy_domain) &&
	    is_bool(json_object_get(want, "spf_aligned"), d->spf_aligned) &&
	    is_bool(json_object_get(want, "dkim_aligned"), d->dkim_aligned) &&
	    is_bool(json_object_get(want, "spf_strict"), d->record.aspf_strict) &&
	    is_bool(json_object_get(want, "dkim_strict"), d->record.adkim_strict) &&
	    (d->policy_domain.n == 0 || is_text(if_fail, dmarc_policy_name(d->policy))) &&
	    is_walk(names != NULL ? names : json_object_get(want, "queries"), &d->walk);
}

static void
evaluate(struct dmarc *d, json_t *c, struct arena *arena)
{
	struct dmarc_identity dkim[DMARC_SIGNATURES];
	struct dmarc_question q = {
		.author.domain = domain_normal(json_slice(json_object_get(c, "from")), arena),
		.spf = identity_of(json_object_get(c, "spf")), .dkim = dkim,
	};
	struct zone *zone = zone_of(json_object_get(c, "zone"));
	struct facts facts;
	json_t *signature;
	size_t i;

	json_array_foreach(json_object_get(c, "dkim"), i, signature)
		if (i < DMARC_SIGNATURES)
			dkim[q.dkim_count++] = identity_of(signature);
	facts_begin(&facts, arena);
	while (!dmarc_evaluate(d, &q, &facts))
		zone_answer_all(zone, &facts);
	zone_free(zone);
}

static void
run_cases(json_t *suite)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "cases"), i, c) {
		const char *id = json_string_value(json_object_get(c, "id"));
		struct arena *arena = arena_new(1 << 20);
		struct dmarc d = { 0 };
		bool ok, ours = contested("dmarc", id);

		evaluate(&d, c, arena);
		ok = as_expected(&d, json_object_get(c, "expect"));
		tap_ok(ours ? !ok : ok, "%s: %s at %.*s%s", id, dmarc_result_name(d.result),
		    FMT(d.policy_domain), ours ? ", contested" : "");
		arena_free(arena);
	}
}

/* --- records and alignment ------------------------------------------------ */

static void
run_records(json_t *suite)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "records"), i, c) {
		json_t *want = json_object_get(c, "rfc9989");
		struct dmarc_record r;
		bool is = dmarc_record_parse(json_slice(json_object_get(c, "txt")), &r);

		tap_ok(is_bool(json_object_get(want, "dmarc_record"), is) &&
		    (!is || is_bool(json_object_get(want, "usable"), r.usable)) &&
		    (!is || !r.usable || is_text(json_object_get(want, "p"), dmarc_policy_name(r.p))),
		    "record %zu: \"%s\"", i + 1, json_string_value(json_object_get(c, "txt")));
	}
}

/* Does a signature of b stand for a, when the last two labels have the only record? */
static bool
aligned(struct slice a, struct slice b, bool strict, struct arena *arena)
{
	struct dmarc_identity dkim = { domain_normal(b, arena), DMARC_PROVEN, false };
	struct dmarc_question q = {
		.author.domain = domain_normal(a, arena), .dkim = &dkim, .dkim_count = 1,
	};
	struct slice text = arena_printf(arena, "_dmarc.%.*s TXT \"v=DMARC1; p=reject; adkim=%s\"\n",
	    FMT(domain_tail(q.author.domain, 2)), strict ? "s" : "r");
	struct zone *zone = zone_parse(q.author.domain.n > 0 ? text : NONE, "zone", NULL);
	struct facts facts;
	struct dmarc d = { 0 };

	facts_begin(&facts, arena);
	while (!dmarc_evaluate(&d, &q, &facts))
		zone_answer_all(zone, &facts);
	zone_free(zone);
	return d.dkim_aligned;
}

/* Pairs of OpenDMARC, from the days of the Public Suffix List. */
static void
run_pairs(json_t *suite)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "opendmarc_alignment"), i, c) {
		const char *a = json_string_value(json_object_get(c, "a"));
		const char *b = json_string_value(json_object_get(c, "b"));
		const char *mode = json_string_value(json_object_get(c, "mode"));
		struct arena *arena = arena_new(1 << 20);
		bool is = aligned(slice(a), slice(b), strcmp(mode, "STRICT") == 0, arena);
		char name[20];
		bool ours;

		snprintf(name, sizeof name, "pair/%d", (int)i + 1);
		ours = contested("dmarc", name);
		tap_ok(is == (json_is_true(json_object_get(c, "aligned")) != ours), "%s: %s %s %s: %s%s",
		    name, a, b, mode, is ? "aligned" : "not aligned", ours ? ", contested" : "");
		arena_free(arena);
	}
}

int
main(void)
{
	json_t *cases = conformance("dmarc-cases/cases.json");
	json_t *records = conformance("dmarc-cases/records.json");

	if (cases == NULL || records == NULL) {
		tap_skip("dmarc-cases is not there");
	} else {
		run_cases(cases);
		run_records(records);
		run_pairs(records);
	}
	json_decref(cases);
	json_decref(records);
	return tap_end();
}
