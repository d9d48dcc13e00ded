/* SPDX-License-Identifier: ISC */
/*
 * v_mime -- messages that torture MIME parsers.  A mail server only has to
 * survive them: find where the body begins, cut the header into fields without
 * losing a byte, find From and Message-ID, or say what is wrong.
 *
 * The files hold LF; they become CRLF once, by mail/lines, as at submission.
 * Some have an expected parse beside them, made by mail-parser.
 */
#include "auth/from.h"
#include "suites.h"

/* Every byte of the header is in exactly one field. */
static bool
nothing_is_lost(const struct header *h)
{
	const char *at = h->block.p;

	for (size_t i = 0; i < h->count; i++) {
		if (h->fields[i].whole.p != at)
			return false;
		at += h->fields[i].whole.n;
	}
	return at == h->block.p + h->block.n;
}

/* The value of a header of that name in the expected parse, or NULL. */
static json_t *
expected_field(json_t *headers, const char *name)
{
	json_t *field;
	size_t i;

	json_array_foreach(headers, i, field)
		if (slice_eq(json_slice(json_object_get(field, "name")), slice(name)))
			return json_object_get(field, "value");
	return NULL;
}

/* The one address mail-parser saw in From, or nothing when it saw none or more. */
static struct slice
expected_from(json_t *headers)
{
	json_t *list = json_object_get(json_object_get(expected_field(headers, "from"), "Address"), "List");

	if (json_array_size(list) != 1)
		return NONE;
	return json_slice(json_object_get(json_array_get(list, 0), "address"));
}

static bool
same_message_id(const struct header *h, json_t *headers)
{
	struct slice want = json_slice(json_object_get(expected_field(headers, "message_id"), "Text"));
	const struct field *f = header_find(h, "Message-ID");
	struct slice got = f != NULL ? slice_trim(f->value) : NONE;

	if (slice_starts(got, S("<")) && slice_endsi(got, S(">")))
		got = slice_head(slice_skip(got, 1), got.n - 2);
	return slice_eq(got, want);
}

/* Where the body begins; some of its files had another line end when it was asked. */
static bool
same_body(struct slice bytes, const struct header *h, json_t *part)
{
	size_t want = (size_t)json_integer_value(json_object_get(part, "offset_body"));
	struct buf before = BUF(SUITE_FILE);
	size_t lines = 1;
	bool same;

	for (size_t i = 0; i < h->block.n; i++)
		lines += h->block.p[i] == '\n';
	suite_crlf(slice_head(bytes, want), &before);
	same = before.n == h->block.n + 2 || want == h->block.n + 2 - lines;
	buf_free(&before);
	return same;
}

static void
compare(const char *path, struct slice bytes, const struct header *h, const struct from *from)
{
	char json_path[SUITE_PATH];
	json_t *json, *part, *headers;

	snprintf(json_path, sizeof json_path, "%.*s.json", (int)(strlen(path) - 4), path);
	if ((json = conformance(json_path)) == NULL)
		return;
	part = json_array_get(json_object_get(json, "parts"), 0);
	headers = json_object_get(part, "headers");
	tap_ok(same_body(bytes, h, part), "%s: the body begins at %zu", path, h->block.n + 2);
	tap_ok(json_array_size(headers) == h->count, "%s: %zu fields", path, h->count);
	tap_ok(slice_eq(from->address, expected_from(headers)), "%s: From is \"%.*s\" (%s)", path,
	    FMT(from->address), from_flaw_name(from->flaw));
	tap_ok(same_message_id(h, headers), "%s: its Message-ID", path);
	json_decref(json);
}

static void
run_message(const char *path)
{
	struct buf bytes = suite_file(path), message = BUF(2 * SUITE_FILE);
	struct arena *arena = arena_new(1 << 22);
	struct error why = { 0 };
	struct header h;
	struct from from;
	size_t length;

	suite_crlf(buf_slice(&bytes), &message);
	length = header_length(buf_slice(&message));
	if (header_parse(&h, slice_head(buf_slice(&message), length), arena, &why)) {
		from = from_read(&h, arena);
		tap_ok(nothing_is_lost(&h), "%s: %zu fields keep their bytes", path, h.count);
		compare(path, buf_slice(&bytes), &h, &from);
	} else {
		tap_ok(contested("mime", path), "%s: refused, %s", path, why.text);
	}
	arena_free(arena);
	buf_free(&message);
	buf_free(&bytes);
}

int
main(void)
{
	static const struct { const char *folder, *end; } folders[] = {
		{ "mime-torture/mail-parser/rfc", ".eml" },
		{ "mime-torture/mail-parser/malformed", ".eml" },
		{ "mime-torture/python-email", ".txt" },
		{ "mime-torture/haraka", ".txt" },
	};

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (!suite_folder(folders[i].folder, folders[i].end, run_message))
			tap_skip("%s is not there", folders[i].folder);
	return tap_end();
}
