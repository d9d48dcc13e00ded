/* SPDX-License-Identifier: ISC */
/*
 * v_authres -- the Authentication-Results of the dkim-verifier add-on.
 *
 *     v_authres           every message of the suite
 *     v_authres write     a filter for tests/system/test_authres_peer.py: each
 *                         line is a field as JSON, the answer is the field as
 *                         we write it, unfolded, and what our parser reads back:
 *                         {"id", "eai", "results": [{"method", "result",
 *                         "reason", "properties": [[name, value], …]}, …]}
 */
#include "auth/authres.h"
#include "mail/lines.h"
#include "suites.h"

/* --- the suite ------------------------------------------------------------ */

/*
 * Each field: "!" when it claims to be of example.net, then the id and the
 * methods with their results, or "-" when it cannot be read.
 */
static const struct { const char *name, *fields; } expected[] = {
	{ "alignment-auid_not_in_sdid", "!example.net dkim=pass" },
	{ "alignment-from_not_in_sdid", "!example.net dkim=pass" },
	{ "dkim-unknown_result", "!example.net dkim=timeout" },
	{ "fakePayPal", "!example.net dkim=pass" },
	{ "multiple_arh-newest_no_authserv", "!-, unrelated.com dkim=pass, !-" },
	{ "multiple_arh-newest_no_result", "!example.net, unrelated.com dkim=pass, !example.net dkim=pass" },
	{ "multiple_arh-newest_parsing_error_01", "!example.net dkim=pass, unrelated.com dkim=pass, !example.net dkim=pass" },
	{ "multiple_arh-newest_parsing_error_02", "-, unrelated.com dkim=pass, -" },
	{ "multiple_arh-newest_unknown_method", "!example.net foo=pass, unrelated.com dkim=pass, !example.net dkim=pass" },
	{ "multiple_arh-same_and_different_authserv", "!example.net spf=pass, !example.net dkim=pass, "
	  "!example.net dkim=pass, foo.example.net dkim=pass, unrelated.com dkim=pass, !-, !example.net dkim=pass" },
	{ "multiple_dkim_results", "!example.net dkim=fail dkim=pass dkim=pass dkim=fail dkim=fail dkim=fail dkim=pass" },
	{ "multiple_spf_and_dmarc_results", "!example.net spf=fail spf=pass spf=none spf=softfail spf=policy spf=neutral "
	  "spf=temperror spf=permerror dmarc=fail dmarc=pass dmarc=permerror dmarc=none dmarc=temperror" },
	{ "rfc6376-A.2-arh-failed-no_reason", "!example.net spf=pass dkim=fail" },
	{ "rfc6376-A.2-arh-failed", "!example.net spf=pass dkim=fail" },
	{ "rfc6376-A.2-arh-valid-a_tag", "!example.net spf=pass dkim=pass" },
	{ "rfc6376-A.2-arh-valid-a_tag_sha1", "!example.net spf=pass dkim=pass" },
	{ "rfc6376-A.2-arh-valid-auid", "!example.net spf=pass dkim=pass" },
	{ "rfc6376-A.2-arh-valid-no_sdid_or_auid", "!example.net spf=pass dkim=pass" },
	{ "rfc6376-A.2-arh-valid-sdid_and_auid", "!example.net spf=pass dkim=pass" },
	{ "rfc6376-A.2-arh-valid", "!example.net spf=pass dkim=pass" },
	{ "rfc6376-A.2-arh-valid_relaxed", "!example.net spf=pass dkim=pass" },
};

static void
show_field(const struct field *f, bool forged, struct arena *arena, struct buf *to)
{
	struct authres a;

	buf_printf(to, "%s%s", to->n > 0 ? ", " : "", forged ? "!" : "");
	if (!authres_parse(f->value, arena, &a)) {
		buf_byte(to, '-');
		return;
	}
	buf_add(to, a.authserv_id);
	for (const struct authres_result *r = a.results; r != NULL; r = r->next)
		buf_printf(to, " %.*s=%.*s", FMT(r->method), FMT(r->result));
}

static void
show_message(struct slice bytes, struct arena *arena, struct buf *to)
{
	static const struct slice ids[] = { S_INIT("example.net") };
	struct text framer = { .counted = true, .bare = BARE_REPAIR };
	struct buf message = BUF(SUITE_FILE);
	struct authres_forged forged;
	struct header h;
	struct slice piece;
	size_t next = 0;

	while (text_next(&framer, &bytes, &piece))
		buf_add(&message, piece);
	if (header_parse(&h, slice_head(buf_slice(&message), header_length(buf_slice(&message))), arena, NULL) &&
	    authres_forged(&h, ids, 1, arena, &forged))
		for (size_t i = 0; i < h.count; i++) {
			bool is = next < forged.count && forged.fields[next] == &h.fields[i];

			next += is;
			if (field_is(&h.fields[i], "Authentication-Results"))
				show_field(&h.fields[i], is, arena, to);
		}
	buf_free(&message);
}

static void
run_suite(void)
{
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		struct arena *arena = arena_new(1 << 20);
		struct buf bytes, shown = BUF(4096);
		char path[SUITE_PATH];

		snprintf(path, sizeof path, "dkim-verifier-addon/data/arh/%s.eml", expected[i].name);
		bytes = suite_file(path);
		show_message(buf_slice(&bytes), arena, &shown);
		if (bytes.n == 0)
			tap_skip("%s is not there", path);
		else
			tap_ok(slice_eq(buf_slice(&shown), slice(expected[i].fields)), "%s: %.*s",
			    expected[i].name, (int)shown.n, shown.p);
		buf_free(&bytes);
		buf_free(&shown);
		arena_free(arena);
	}
}

/* --- the filter ----------------------------------------------------------- */

static void
build(struct authres *a, json_t *json, struct arena *arena)
{
	json_t *result, *property;
	size_t i, j;

	authres_begin(a, json_slice(json_object_get(json, "id")), arena);
	json_array_foreach(json_object_get(json, "results"), i, result) {
		authres_add(a, json_string_value(json_object_get(result, "method")),
		    json_string_value(json_object_get(result, "result")));
		authres_reason(a, json_slice(json_object_get(result, "reason")));
		json_array_foreach(json_object_get(result, "properties"), j, property)
			authres_property(a, json_string_value(json_array_get(property, 0)),
			    json_slice(json_array_get(property, 1)));
	}
}

static json_t *
text_of(struct slice s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.n);

	return text != NULL ? text : json_null();
}

static json_t *
read_back(struct slice field, struct arena *arena)
{
	json_t *results = json_array();
	struct authres a;

	if (!authres_parse(field, arena, &a))
		return json_null();
	for (const struct authres_result *r = a.results; r != NULL; r = r->next) {
		json_t *properties = json_array();

		for (const struct authres_property *p = r->properties; p != NULL; p = p->next)
			json_array_append_new(properties, json_pack("[o,o]", text_of(
			    arena_printf(arena, "%.*s.%.*s", FMT(p->ptype), FMT(p->name))), text_of(p->value)));
		json_array_append_new(results, json_pack("{s:o,s:o,s:o,s:o}", "method", text_of(r->method),
		    "result", text_of(r->result), "reason", text_of(r->reason), "properties", properties));
	}
	return json_pack("{s:o,s:o}", "id", text_of(a.authserv_id), "results", results);
}

static int
run_filter(void)
{
	static char line[1 << 20];

	while (fgets(line, sizeof line, stdin) != NULL) {
		struct arena *arena = arena_new(1 << 22);
		struct buf field = BUF(1 << 20);
		json_t *json = json_loads(line, JSON_ALLOW_NUL, NULL), *answer;
		struct authres a;

		build(&a, json, arena);
		authres_write(&a, json_is_true(json_object_get(json, "eai")), &field);
		answer = json_pack("{s:o,s:o}", "field", text_of(buf_slice(&field)),
		    "read", read_back(buf_slice(&field), arena));
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
		putchar('\n');
		json_decref(answer);
		json_decref(json);
		buf_free(&field);
		arena_free(arena);
	}
	return 0;
}

int
main(int argc, char *argv[])
{
	if (argc > 1 && strcmp(argv[1], "write") == 0)
		return run_filter();
	run_suite();
	return tap_end();
}
