/* SPDX-License-Identifier: ISC */
/* pure */
#include <limits.h>

#include "auth/dkim.h"
#include "auth/taglist.h"
#include "base/text.h"
#include "mail/domain.h"

/* --- which of them (RFC 9989 4.4.1: alignment begins at the top of the name) -------- */

struct choosing {
	struct slice  author;
	struct arena *arena;
	unsigned      foreign;          /* how many d= may still be not ASCII: those are dear */
	struct { const struct field *field; unsigned nearness; } best[DKIM_SIGNATURES];
	size_t        count;            /* of the best: the nearest first, then from the top */
};

/* How many labels at their ends are the same. */
static unsigned
labels_shared(struct slice a, struct slice b)
{
	unsigned labels = 0;

	while (a.n > 0 && b.n > 0 && to_lower(a.p[a.n - 1]) == to_lower(b.p[b.n - 1])) {
		labels += a.p[--a.n] == '.';
		b.n--;
	}
	return labels + ((a.n == 0 || a.p[a.n - 1] == '.') && (b.n == 0 || b.p[b.n - 1] == '.'));
}

/* The author's own domain before those around it, those before others. */
static unsigned
nearness_of(struct choosing *c, const struct field *f)
{
	struct taglist tags;
	const struct tag *tag = taglist_parse(&tags, f->value, NULL) ? taglist_find(&tags, "d") : NULL;
	struct slice domain = tag != NULL ? tag->value : NONE;

	if (!ascii_only(domain))
		domain = c->foreign > 0 && c->foreign-- > 0 ? domain_normal(domain, c->arena) : NONE;
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n == 0 || c->author.n == 0)
		return 0;
	return slice_eqi(domain, c->author) ? UINT_MAX : labels_shared(domain, c->author);
}

static void
consider(struct choosing *c, const struct field *f)
{
	unsigned nearness = nearness_of(c, f);
	size_t at = c->count;

	while (at > 0 && c->best[at - 1].nearness < nearness)
		at--;
	if (at == DKIM_SIGNATURES)
		return;
	c->count += c->count < DKIM_SIGNATURES;
	memmove(&c->best[at + 1], &c->best[at], (c->count - at - 1) * sizeof c->best[0]);
	c->best[at].field = f;
	c->best[at].nearness = nearness;
}

/* Where the i-th best stands among them in the header. */
static unsigned
place_of(const struct choosing *c, size_t i)
{
	unsigned above = 0;

	for (size_t j = 0; j < c->count; j++)
		above += c->best[j].field < c->best[i].field;
	return above;
}

bool
dkim_begin(struct dkim *d, const struct header *header, struct slice author, struct bodies *bodies,
    struct arena *arena)
{
	struct choosing c = { .author = author, .arena = arena, .foreign = DKIM_FOREIGN };
	size_t all = 0;

	*d = (struct dkim){ .header = header };
	for (size_t i = 0; i < header->count; i++)
		if (field_is(&header->fields[i], "DKIM-Signature")) {
			consider(&c, &header->fields[i]);
			all++;
		}
	if (all == 0)
		return true;
	d->left_out = all - c.count;
	d->signatures = arena_get(arena, c.count * sizeof *d->signatures);
	if (d->signatures == NULL || !field_order_make(&d->order, header, arena))
		return false;
	for (; d->count < c.count; d->count++) {
		unsigned place = d->turns[d->count] = place_of(&c, d->count);

		signature_parse(&d->signatures[place], SIGNATURE_DKIM, c.best[d->count].field, arena);
		signature_want_body(&d->signatures[place], bodies);
	}
	return !arena_full(arena);
}

bool
dkim_evaluate(struct dkim *d, struct verifier *v)
{
	bool known = true;

	for (size_t i = 0; i < d->count; i++)
		known &= signature_key_known(&d->signatures[i], v->facts);
	v->work = 0;
	for (size_t i = 0; known && i < d->count; i++)
		signature_verify(&d->signatures[d->turns[i]], &d->order, v);
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
		[SIGNATURE_UNCHECKED] = DKIM_NEUTRAL,         /* RFC 8601 2.7.1: could not be processed */
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
