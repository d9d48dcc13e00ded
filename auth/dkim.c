/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/dkim.h"

bool
dkim_begin(struct dkim *d, const struct header *header, struct bodies *bodies, struct arena *arena)
{
	size_t count = header_count(header, "DKIM-Signature");

	*d = (struct dkim){ .header = header };
	if (count > DKIM_SIGNATURES) {
		d->ignored = count - DKIM_SIGNATURES;
		count = DKIM_SIGNATURES;
	}
	if (count == 0)
		return true;
	d->signatures = arena_get(arena, count * sizeof *d->signatures);
	if (d->signatures == NULL || !field_order_make(&d->order, header, arena))
		return false;
	for (size_t i = 0; d->count < count; i++)
		if (field_is(&header->fields[i], "DKIM-Signature")) {
			struct signature *s = &d->signatures[d->count++];

			signature_parse(s, SIGNATURE_DKIM, &header->fields[i], arena);
			signature_want_body(s, bodies);
		}
	return !arena_full(arena);
}

bool
dkim_evaluate(struct dkim *d, struct verifier *v)
{
	bool known = true;

	for (size_t i = 0; i < d->count; i++)
		known &= signature_key_known(&d->signatures[i], v->facts);
	for (size_t i = 0; known && i < d->count; i++)
		signature_verify(&d->signatures[i], &d->order, v);
	return known;
}

enum dkim_result
dkim_result(const struct signature *s)
{
	static const enum dkim_result results[] = {
		[SIGNATURE_OPEN] = DKIM_NEUTRAL,
		[SIGNATURE_GOOD] = DKIM_PASS,
		[SIGNATURE_MALFORMED] = DKIM_PERMERROR,         /* RFC 6376 6.1.1 */
		[SIGNATURE_REFUSED] = DKIM_PERMERROR,           /* RFC 8301 3.1 */
		[SIGNATURE_EXPIRED] = DKIM_PERMERROR,
		[SIGNATURE_FUTURE] = DKIM_POLICY,
		[SIGNATURE_UNCHECKED] = DKIM_POLICY,
		[SIGNATURE_UNDECIDED] = DKIM_TEMPERROR,         /* RFC 6376 6.1.2 */
		[SIGNATURE_KEY_MISSING] = DKIM_PERMERROR,
		[SIGNATURE_KEY_REVOKED] = DKIM_PERMERROR,
		[SIGNATURE_KEY_UNFIT] = DKIM_PERMERROR,
		[SIGNATURE_BODY_CHANGED] = DKIM_FAIL,
		[SIGNATURE_BODY_SHORT] = DKIM_FAIL,
		[SIGNATURE_WRONG] = DKIM_FAIL,
	};

	if (s->state == SIGNATURE_GOOD && signature_partial(s))
		return DKIM_POLICY;
	return results[s->state];
}

const char *
dkim_result_name(enum dkim_result result)
{
	static const char *const names[] = {
		"none", "pass", "fail", "policy", "neutral", "temperror", "permerror",
	};

	return names[result];
}

struct slice
dkim_reason(const struct signature *s)
{
	if (s->state == SIGNATURE_GOOD && signature_partial(s))
		return S("l= leaves out part of the body");
	return s->reason;
}

/* --- hints --------------------------------------------------------------------- */

/* Does the signature verify over that header, whatever became of the body? */
static bool
header_verifies(const struct signature *s, struct field_order *o, const struct verifier *v)
{
	struct verifier headers_only = *v;
	struct signature again = *s;

	headers_only.bodies = NULL;
	again.state = SIGNATURE_OPEN;
	if (!signature_key_known(&again, v->facts))
		return false;
	signature_verify(&again, o, &headers_only);
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
dkim_hint_subject(const struct dkim *d, const struct signature *s, struct verifier *v, struct arena *arena,
    struct slice *subject)
{
	const struct field *f = header_find(d->header, "Subject");
	struct field_order order = d->order;
	struct signature moved = *s;
	struct header changed;
	struct slice text;

	if (f == NULL || (s->state != SIGNATURE_WRONG && s->state != SIGNATURE_BODY_CHANGED))
		return false;
	if (!without_tag(f->value, &text) || header_verifies(s, &order, v))
		return false;
	if (!with_subject(d->header, f, text, &moved, &changed, arena) ||
	    !field_order_make(&order, &changed, arena) ||
	    !header_verifies(&moved, &order, v))
		return false;
	*subject = text;
	return true;
}
