/* SPDX-License-Identifier: ISC */
/*
 * v_address -- the public address suites: isemail (as a path, as a header
 * field), and the From fields of the DMARC suites.
 *
 * A message first passes through mail/lines and mail/header, as in the server:
 * what they refuse (bare CR and LF, NUL, a line that is no field) no parser of
 * addresses ever sees.
 */
#include "auth/from.h"
#include "mail/address.h"
#include "mail/lines.h"
#include "suites.h"

enum { TEXT_MOST = 4096 };

/* The field "From: value" behind the framer, or false when it never gets there. */
static bool
received(struct slice value, char text[TEXT_MOST], struct arena *arena, struct header *h)
{
	struct text framer = { .counted = true };
	struct slice block, input, piece;

	block = slice_of(text, (size_t)snprintf(text, TEXT_MOST, "From: "));
	memcpy(text + block.n, value.p, value.n);
	memcpy(text + block.n + value.n, "\r\n", 2);
	block.n += value.n + 2;
	for (input = block; text_next(&framer, &input, &piece);)
		;
	if (framer.bare_cr || framer.bare_lf || framer.nul || header_length(block) != block.n)
		return false;
	return header_parse(h, block, arena, NULL) && h->count == 1;
}

static bool
header_takes(struct slice address, struct arena *arena)
{
	struct mailbox box;
	struct header h;
	char text[TEXT_MOST];
	size_t count;

	return received(address, text, arena, &h) &&
	    mailboxes_parse(h.fields[0].value, arena, &box, 1, &count) && count == 1;
}

static bool
path_takes(struct slice address, struct arena *arena)
{
	char text[TEXT_MOST];
	struct slice rest = slice_of(text, address.n + 2);
	struct address a;

	text[0] = '<';
	memcpy(text + 1, address.p, address.n);
	text[address.n + 1] = '>';
	return path_parse(&rest, true, arena, &a) == PATH_OK && rest.n == 0 && a.domain.n > 0;
}

/* The suite's judgement, or ours when the case or its diagnosis is contested. */
static void
judge(const char *how, bool taken, bool valid, json_t *c)
{
	const char *diagnosis = json_string_value(json_object_get(c, "diagnosis"));
	char suite[40], name[100];
	bool ours;

	snprintf(suite, sizeof suite, "address-%s", how);
	snprintf(name, sizeof name, "%s/%s", json_string_value(json_object_get(c, "set")),
	    json_string_value(json_object_get(c, "id")));
	ours = contested(suite, name) || contested(suite, diagnosis);
	tap_ok(taken == (ours ? !valid : valid), "isemail %s %s is %s%s (%s)", how, name,
	    taken ? "taken" : "refused", ours ? ", contested" : "", diagnosis);
}

static void
run_isemail(json_t *suite)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "cases"), i, c) {
		struct slice address = json_slice(json_object_get(c, "address"));
		struct slice category = json_slice(json_object_get(c, "category"));
		struct arena *arena = arena_new(1 << 16);

		judge("path", path_takes(address, arena), slice_eq(category, S("ISEMAIL_VALID_CATEGORY")) ||
		    slice_eq(category, S("ISEMAIL_DNSWARN")) || slice_eq(category, S("ISEMAIL_RFC5321")), c);
		judge("field", header_takes(address, arena), !slice_eq(category, S("ISEMAIL_ERR")), c);
		arena_free(arena);
	}
}

/* The domain the suite sees in a From field; "none" when it sees none. */
static void
run_from(json_t *suite)
{
	json_t *c;
	size_t i;

	json_array_foreach(json_object_get(suite, "from_headers"), i, c) {
		struct slice want = json_slice(json_object_get(c, "domain"));
		struct arena *arena = arena_new(1 << 16);
		struct header h;
		char text[TEXT_MOST], name[40];
		struct from from = { .flaw = FROM_UNPARSABLE };
		bool ours;

		snprintf(name, sizeof name, "from/%zu", i + 1);
		ours = contested("dmarc-from", name);
		if (received(json_slice(json_object_get(c, "from")), text, arena, &h))
			from = from_read(&h, arena);
		tap_ok(slice_eq(from.domain, ours ? NONE : want), "From %s: %s %.*s%s (%s)", name,
		    from_flaw_name(from.flaw), FMT(from.domain), ours ? ", contested" : "",
		    json_string_value(json_object_get(c, "source")));
		arena_free(arena);
	}
}

int
main(void)
{
	json_t *isemail = conformance("address-parsing/isemail.json");
	json_t *dmarc = conformance("dmarc-cases/records.json");

	if (isemail == NULL)
		tap_skip("address-parsing/isemail.json is not there");
	else
		run_isemail(isemail);
	if (dmarc == NULL)
		tap_skip("dmarc-cases/records.json is not there");
	else
		run_from(dmarc);
	json_decref(isemail);
	json_decref(dmarc);
	return tap_end();
}
