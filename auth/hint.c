/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/hint.h"

bool
hint_header(const struct signature *s, const struct field_order *o, const struct verifier *v)
{
	struct verifier headers_only = *v;
	struct field_order order = *o;
	struct signature again = *s;

	headers_only.bodies = NULL;
	headers_only.work = 0;
	again.state = SIGNATURE_OPEN;
	if (s->names.n == 0 || !signature_key_known(&again, v->facts))
		return false;
	signature_verify(&again, &order, &headers_only);
	return again.state == SIGNATURE_GOOD;
}

/* " [tag] the rest" without its tag; false when there is none. */
static bool
without_tag(struct slice value, struct slice *rest)
{
	size_t close;

	while (value.n && is_space(*value.p))
		value = slice_skip(value, 1);
	close = slice_find(value, ']');
	if (value.n == 0 || *value.p != '[' || close + 1 >= value.n || !is_space(value.p[close + 1]))
		return false;
	*rest = slice_trim(slice_skip(value, close + 1));
	return true;
}

/* The same header with another Subject; the signature stays where it was. */
static bool
with_subject(const struct header *from, const struct field *subject, struct slice text,
    struct signature *s, struct header *to, struct arena *arena)
{
	struct field *f;

	*to = *from;
	if ((to->fields = arena_get(arena, from->count * sizeof *to->fields)) == NULL)
		return false;
	memcpy(to->fields, from->fields, from->count * sizeof *to->fields);
	f = &to->fields[subject - from->fields];
	f->whole = arena_printf(arena, "%.*s: %.*s\r\n", FMT(f->name), FMT(text));
	s->field = &to->fields[s->field - from->fields];
	return f->whole.p != NULL;
}

bool
hint_subject(const struct signature *s, const struct field_order *o, const struct verifier *v,
    struct arena *arena, struct slice *subject)
{
	const struct field *f = header_find(o->header, "Subject");
	struct field_order order;
	struct signature moved = *s;
	struct header changed;
	struct slice text;

	if (f == NULL || (s->state != SIGNATURE_WRONG && s->state != SIGNATURE_BODY_CHANGED))
		return false;
	if (!without_tag(f->value, &text) || hint_header(s, o, v))
		return false;
	if (!with_subject(o->header, f, text, &moved, &changed, arena) ||
	    !field_order_make(&order, &changed, arena) || !hint_header(&moved, &order, v))
		return false;
	*subject = text;
	return true;
}
