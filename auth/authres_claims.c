/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/authres.h"
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/domain.h"

/*
 * What an honest writer puts in front of the first semicolon is an id, perhaps
 * a version, perhaps a comment.  Above these bounds nobody is honest, and the
 * work a stranger can cause stays small.
 */
enum { FRONT_MOST = 1000, PIECES_MOST = 32, FOREIGN_MOST = 8 };

struct claim {
	struct slice  id;               /* normal */
	struct arena *arena;
	unsigned      foreign;          /* how many words were not ASCII */
};

static struct slice
without_dot(struct slice id)
{
	while (id.n > 0 && id.p[id.n - 1] == '.')
		id.n--;
	return id;
}

static struct slice
normal_id(struct slice id, struct arena *arena)
{
	struct slice normal = domain_normal(without_dot(id), arena);

	return normal.p != NULL ? normal : arena_lower(arena, without_dot(id));
}

/* Before the first semicolon that is in no comment and no quotes; all, when one is open. */
static struct slice
front_of(struct slice payload)
{
	struct slice s = payload;

	while (cfws_skip(&s) && s.n > 0 && *s.p != ';') {
		size_t n = quoted_length(s, true);

		if (*s.p == '"' && n == 0)
			return payload;
		s = slice_skip(s, n > 0 ? n : *s.p == '\\' ? 2 : 1);
	}
	return s.n > 0 && *s.p == ';' ? slice_head(payload, payload.n - s.n) : payload;
}

static bool
is_name_char(char c)
{
	return is_alnum(c) || c == '.' || c == '-' || c == '_' || (unsigned char)c >= 0x80;
}

static bool
same(struct claim *c, struct slice word)
{
	if (ascii_only(word))
		return slice_eqi(without_dot(word), c->id);
	if (++c->foreign > FOREIGN_MOST || (word = normal_id(word, c->arena)).p == NULL)
		return true;
	return slice_eqi(word, c->id);
}

/* Any word of it, whether it stands in a comment or in quotes or not. */
static bool
named_somewhere(struct claim *c, struct slice front)
{
	for (size_t n; front.n > 0; front = slice_skip(front, n)) {
		for (n = 0; n < front.n && is_name_char(front.p[n]); n++)
			;
		if (n > 0 && same(c, slice_head(front, n)))
			return true;
		n += n == 0;
	}
	return false;
}

/*
 * The pieces of it, joined as if what stands between them were not there:
 * "mx.(x)exa\r\n mple.net" is read as one name by those who drop comments and
 * white space first.
 */
static bool
named_when_joined(struct claim *c, struct slice front)
{
	char joined[FRONT_MOST];
	size_t starts[PIECES_MOST + 1], pieces = 0, n = 0;

	while (cfws_skip(&front) && front.n > 0) {
		size_t length = 0;

		while (length < front.n && is_name_char(front.p[length]))
			length++;
		if (length > 0 && pieces == PIECES_MOST)
			return true;
		if (length > 0)
			starts[pieces++] = n;
		memcpy(joined + n, front.p, length);
		n += length;
		front = slice_skip(front, length > 0 ? length : 1);
	}
	starts[pieces] = n;
	for (size_t i = 0; i < pieces; i++)
		for (size_t j = i + 1; j <= pieces; j++)
			if (same(c, slice_of(joined + starts[i], starts[j] - starts[i])))
				return true;
	return false;
}

/*
 * By the grammar: our id, or none.  "dkim=pass …" names nobody, and a reader may
 * think that it is from here.
 */
static bool
named_properly(struct claim *c, struct slice front)
{
	struct slice id, s = front;
	unsigned version;

	if (!cfws_skip(&s) || s.n == 0)
		return true;
	if (!authres_head(&s, c->arena, &id, &version))
		return slice_find(front, '=') < front.n;
	return id.n == 0 || same(c, id);
}

bool
authres_claims(struct slice payload, struct slice authserv_id, struct arena *arena)
{
	struct claim c = { .id = normal_id(authserv_id, arena), .arena = arena };
	struct slice front = front_of(payload);

	if (c.id.p == NULL || front.n > FRONT_MOST)
		return true;
	return named_properly(&c, front) || named_somewhere(&c, front) ||
	    named_when_joined(&c, front);
}

/* RFC 8601 5: of a version we do not know, so that nobody behind us guesses. */
static bool
of_another_version(struct slice payload, struct arena *arena)
{
	unsigned version = 1;
	struct slice id;

	authres_head(&payload, arena, &id, &version);
	return version != 1;
}

static bool
is_forged(const struct field *f, const struct slice *ids, size_t count, struct arena *arena)
{
	bool plain = field_is(f, "Authentication-Results");

	if (!plain && !field_is(f, "X-Authentication-Results"))
		return false;
	for (size_t i = 0; i < count; i++)
		if (authres_claims(f->value, ids[i], arena))
			return true;
	return plain && of_another_version(f->value, arena);
}

bool
authres_forged(const struct header *h, const struct slice *ids, size_t count, struct arena *arena,
    struct authres_forged *forged)
{
	size_t most = header_count(h, "Authentication-Results") +
	    header_count(h, "X-Authentication-Results");

	forged->count = 0;
	if ((forged->fields = arena_get(arena, (most + 1) * sizeof *forged->fields)) == NULL)
		return false;
	for (size_t i = 0; i < h->count; i++)
		if (is_forged(&h->fields[i], ids, count, arena))
			forged->fields[forged->count++] = &h->fields[i];
	return true;
}
