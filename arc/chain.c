/* SPDX-License-Identifier: ISC */
/* pure */
#include "arc/chain.h"

const char *
arc_result_name(enum arc_result result)
{
	static const char *const names[] = { "none", "pass", "fail" };

	return names[result];
}

static void
fail(struct arc *a, struct slice reason)
{
	if (a->result == ARC_FAIL)
		return;                 /* the first flaw is the reason */
	a->result = ARC_FAIL;
	a->reason = reason;
	a->concluded = true;
}

static void
fail_at(struct arc *a, unsigned instance, const char *what)
{
	fail(a, arena_printf(a->arena, "set %u: %s", instance, what));
}

/* --- the sets (RFC 8617 4.1, 5.2 step 1) --------------------------------------- */

/* White space and comments. */
static struct slice
skip_cfws(struct slice s)
{
	unsigned depth = 0;

	while (s.n && (depth > 0 || is_space(*s.p) || *s.p == '(')) {
		depth += *s.p == '(';
		depth -= *s.p == ')';
		s = slice_skip(s, *s.p == '\\' && depth ? 2 : 1);
	}
	return s;
}

/* "i=1; …" (RFC 8617 4.1.1): its instance, 0 when there is none, and what follows. */
static unsigned
read_aar(struct slice value, struct slice *results)
{
	uint64_t instance;
	size_t digits = 0;

	value = skip_cfws(value);
	if (value.n == 0 || *value.p != 'i')
		return 0;
	value = skip_cfws(slice_skip(value, 1));
	if (value.n == 0 || *value.p != '=')
		return 0;
	value = skip_cfws(slice_skip(value, 1));
	while (digits < value.n && is_digit(value.p[digits]))
		digits++;
	if (digits > 2 || !slice_number(slice_head(value, digits), 99, &instance))
		return 0;
	value = skip_cfws(slice_skip(value, digits));
	if (value.n == 0 || *value.p != ';')
		return 0;
	*results = slice_trim(slice_skip(value, 1));
	return (unsigned)instance;
}

/* The set of that instance; NULL when there can be none, or no room for it. */
static struct arc_set *
set_at(struct arc *a, unsigned instance)
{
	struct arc_set **set = &a->sets[instance - 1];

	if (*set == NULL && (*set = arena_get(a->arena, sizeof **set)) != NULL)
		(*set)->instance = instance;
	if (instance > a->count)
		a->count = instance;
	return *set;
}

static bool
instance_ok(struct arc *a, unsigned instance, const char *name)
{
	if (instance == 0)
		fail(a, arena_printf(a->arena, "a field %s has no proper instance (i=)", name));
	else if (instance > ARC_SETS)
		fail(a, S("an instance is above 50"));
	a->full |= instance >= ARC_SETS;
	return instance > 0 && instance <= ARC_SETS;
}

static void
take_aar(struct arc *a, const struct field *field)
{
	struct slice results = NONE;
	unsigned instance = read_aar(field->value, &results);
	struct arc_set *set;

	if (!instance_ok(a, instance, "ARC-Authentication-Results") ||
	    (set = set_at(a, instance)) == NULL)
		return;
	if (set->aar != NULL)
		fail_at(a, instance, "there are two ARC-Authentication-Results");
	set->aar = field;
	set->results = results;
}

static void
take_signature(struct arc *a, const struct field *field, enum signature_kind kind, const char *name)
{
	struct signature signature, *place;
	struct arc_set *set;

	signature_parse(&signature, kind, field, a->arena);
	if (!instance_ok(a, signature.instance, name) ||
	    (set = set_at(a, signature.instance)) == NULL)
		return;
	place = kind == SIGNATURE_AMS ? &set->ams : &set->seal;
	if (place->field != NULL)
		fail_at(a, signature.instance, kind == SIGNATURE_AMS
		    ? "there are two ARC-Message-Signature" : "there are two ARC-Seal");
	*place = signature;
}

/* All fields of the sets, as far as the arena holds them. */
static void
collect(struct arc *a)
{
	unsigned fields = 0;

	for (size_t i = 0; i < a->header->count && fields <= 3 * ARC_SETS; i++) {
		const struct field *f = &a->header->fields[i];

		if (field_is(f, "ARC-Authentication-Results"))
			take_aar(a, f);
		else if (field_is(f, "ARC-Message-Signature"))
			take_signature(a, f, SIGNATURE_AMS, "ARC-Message-Signature");
		else if (field_is(f, "ARC-Seal"))
			take_signature(a, f, SIGNATURE_SEAL, "ARC-Seal");
		else
			continue;
		fields++;
	}
	if (fields > 3 * ARC_SETS) {
		fail(a, S("there are more than 50 sets"));
		a->full = true;
	}
	if (fields == 0)
		a->concluded = true;
}

/* --- the structure (steps 2 and 3) ------------------------------------------------ */

static bool
cv_is(const struct arc_set *set, const char *cv)
{
	return set->seal.field != NULL && slice_eq(set->seal.cv, slice(cv));
}

static const char *
set_flaw(const struct arc_set *set, unsigned instance)
{
	if (set == NULL)
		return "there is none";
	if (set->aar == NULL)
		return "there is no ARC-Authentication-Results";
	if (set->ams.field == NULL)
		return "there is no ARC-Message-Signature";
	if (set->seal.field == NULL)
		return "there is no ARC-Seal";
	if (set->seal.state == SIGNATURE_OPEN && !cv_is(set, instance == 1 ? "none" : "pass"))
		return instance == 1 ? "its cv= must be none" : "its cv= must be pass";
	return NULL;
}

static void
check_structure(struct arc *a)
{
	if (a->count > 0 && a->sets[a->count - 1] != NULL && cv_is(a->sets[a->count - 1], "fail")) {
		a->ended = true;
		fail_at(a, a->count, "its sealer found the chain failed (cv=fail)");
	}
	for (unsigned i = 1; i <= a->count; i++) {
		const char *flaw = set_flaw(a->sets[i - 1], i);

		if (flaw != NULL)
			fail_at(a, i, flaw);
	}
}

/* The newest AMS, and so many of the older ones. */
static bool
ams_wanted(const struct arc *a, unsigned instance)
{
	return instance + ARC_OLDER >= a->count;
}

bool
arc_begin(struct arc *a, const struct header *header, struct bodies *bodies, struct arena *arena)
{
	*a = (struct arc){ .header = header, .arena = arena };
	collect(a);
	if (arena_full(arena))
		return false;
	check_structure(a);
	if (a->concluded)
		return true;
	for (unsigned i = a->count; bodies != NULL && i >= 1; i--)
		if (ams_wanted(a, i))
			signature_want_body(&a->sets[i - 1]->ams, bodies);
	return field_order_make(&a->order, header, arena) && !arena_full(arena);
}

/* --- the signatures (steps 4 to 7) ------------------------------------------------- */

static bool
keys_known(const struct arc *a, struct facts *facts)
{
	bool known = true;

	for (unsigned i = a->count; i >= 1; i--) {
		const struct arc_set *set = a->sets[i - 1];

		if (ams_wanted(a, i))
			known &= signature_key_known(&set->ams, facts);
		known &= signature_key_known(&set->seal, facts);
	}
	return known;
}

static void
add_set(const struct arc_set *set, struct signed_text *t)
{
	signed_text_add(t, set->aar->whole);
	signed_text_add(t, set->ams.field->whole);
}

void
arc_seal_text(const struct arc *a, unsigned sets, struct signed_text *t)
{
	for (unsigned i = 1; i <= sets; i++) {
		add_set(a->sets[i - 1], t);
		signed_text_add(t, a->sets[i - 1]->seal.field->whole);
	}
}

/* Each seal is over all sets up to its own: one text that grows serves them all. */
static void
verify_seals(struct arc *a, struct verifier *v)
{
	struct signed_text t = signed_text_begin(CANON_RELAXED, a->header->block.n);
	unsigned char digest[SHA256_BYTES];

	for (unsigned i = 1; i <= a->count; i++) {
		struct signature *seal = &a->sets[i - 1]->seal;

		add_set(a->sets[i - 1], &t);
		if (seal->state == SIGNATURE_OPEN) {
			signed_text_digest(&t, seal->field->whole, seal->b_raw, digest);
			signature_verify_digest(seal, digest, v);
		}
		signed_text_add(&t, seal->field->whole);
	}
	signed_text_free(&t);
}

/* What decides comes first, while there is work to spend. */
static void
verify_all(struct arc *a, struct verifier *v)
{
	v->work = 0;
	signature_verify(&a->sets[a->count - 1]->ams, &a->order, v);
	verify_seals(a, v);
	for (unsigned i = a->count - 1; i >= 1 && ams_wanted(a, i); i--)
		signature_verify(&a->sets[i - 1]->ams, &a->order, v);
}

/* An AMS that leaves out part of the body says nothing about what came later. */
static bool
ams_good(const struct signature *ams)
{
	return ams->state == SIGNATURE_GOOD && !signature_partial(ams);
}

static unsigned
oldest_pass(const struct arc *a)
{
	for (unsigned i = a->count; i >= 1; i--)
		if (!ams_wanted(a, i) || !ams_good(&a->sets[i - 1]->ams))
			return i + 1;
	return 0;
}

static void
signature_failed(struct arc *a, const char *what, const struct signature *s)
{
	a->temporary = s->state == SIGNATURE_UNDECIDED && (a->result != ARC_FAIL || a->temporary);
	fail(a, arena_printf(a->arena, "%s %u: %.*s", what, s->instance,
	    FMT(s->reason.n ? s->reason : S("l= leaves out part of the body"))));
}

bool
arc_evaluate(struct arc *a, struct verifier *v)
{
	const struct signature *newest;

	if (a->concluded)
		return true;
	if (!keys_known(a, v->facts))
		return false;
	verify_all(a, v);
	newest = &a->sets[a->count - 1]->ams;
	a->oldest_pass = oldest_pass(a);
	a->result = ARC_PASS;
	if (!ams_good(newest))
		signature_failed(a, "the message signature of set", newest);
	for (unsigned i = a->count; i >= 1; i--)
		if (a->sets[i - 1]->seal.state != SIGNATURE_GOOD)
			signature_failed(a, "the seal of set", &a->sets[i - 1]->seal);
	a->concluded = true;
	return true;
}
