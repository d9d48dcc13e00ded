/* SPDX-License-Identifier: ISC */
/* pure */
#include "mail/header.h"

size_t
header_length(struct slice message)
{
	size_t at = 0;

	while (at < message.n) {
		struct slice rest = slice_skip(message, at);
		size_t lf = slice_find(rest, '\n');

		if (slice_starts(rest, S("\r\n")))
			return at;
		if (lf == rest.n)
			break;
		at += lf + 1;
	}
	return message.n;
}

/* A line and the lines that continue it. */
static struct slice
first_field(struct slice rest)
{
	size_t n = 0;

	do {
		size_t lf = slice_find(slice_skip(rest, n), '\n');

		n = n + lf < rest.n ? n + lf + 1 : rest.n;
	} while (n < rest.n && is_wsp(rest.p[n]));
	return slice_head(rest, n);
}

static bool
name_printable(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return false;
	return name.n > 0;
}

static bool
parse_field(struct field *f, struct slice whole, size_t number, struct error *why)
{
	size_t colon = slice_find(whole, ':');
	struct slice value = slice_skip(whole, colon + 1);

	if (is_wsp(*whole.p))
		return error_set(why, "header line %zu continues nothing", number);
	if (colon == whole.n)
		return error_set(why, "header field %zu has no colon", number);
	f->whole = whole;
	f->name = slice_head(whole, colon);
	while (f->name.n && is_wsp(f->name.p[f->name.n - 1]))
		f->name.n--;
	f->value = slice_endsi(value, S("\r\n")) ? slice_head(value, value.n - 2) : value;
	if (!name_printable(f->name))
		return error_set(why, "header field %zu has no proper name", number);
	return true;
}

static size_t
count_fields(struct slice block)
{
	size_t n = 0;

	for (; block.n; block = slice_skip(block, first_field(block).n))
		if (++n > HEADER_FIELDS + HEADER_OURS)
			break;
	return n;
}

bool
header_parse(struct header *h, struct slice block, struct arena *arena, struct error *why)
{
	size_t count = count_fields(block);

	*h = (struct header){ .block = block };
	if (count > HEADER_FIELDS + HEADER_OURS)
		return error_set(why, "more than %d header fields", HEADER_FIELDS);
	if ((h->fields = arena_get(arena, (count + 1) * sizeof *h->fields)) == NULL)
		return error_set(why, "the header is too large");
	while (block.n) {
		struct slice whole = first_field(block);

		if (!parse_field(&h->fields[h->count], whole, h->count + 1, why))
			return false;
		h->count++;
		block = slice_skip(block, whole.n);
	}
	return true;
}

bool
field_is(const struct field *f, const char *name)
{
	return slice_eqi(f->name, slice(name));
}

const struct field *
header_find(const struct header *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++)
		if (field_is(&h->fields[i], name))
			return &h->fields[i];
	return NULL;
}

size_t
header_count(const struct header *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++)
		n += field_is(&h->fields[i], name);
	return n;
}

struct slice
field_unfolded(const struct field *f, struct arena *arena)
{
	struct slice value = slice_trim(f->value);
	char *to = arena_get(arena, value.n + 1);
	size_t n = 0;

	if (to == NULL)
		return NONE;
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			to[n++] = value.p[i];
	return slice_of(to, n);
}
