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
