/* SPDX-License-Identifier: ISC */
/* pure */
#include "auth/authres.h"
#include "base/text.h"
#include "mail/cfws.h"
#include "mail/domain.h"

/*
 * What an honest writer puts in front of the first semicolon is an id, perhaps
 * a version, perhaps a comment.  Above these bounds nobody is honest, and the
 * work a stranger can cause stays small: to compare a word that is not ASCII
 * costs a thousand times as much.
 */
enum {
	FRONT_MOST = 1000, PIECES_MOST = 32, RECEIVERS_MOST = 4,
	FOREIGN_MOST = 8, FOREIGN_OF_MESSAGE = 64,
};

struct claim {
	struct slice  id;               /* normal */
	struct arena *arena;
	unsigned     *foreign;          /* how many words may still be not ASCII */
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

/*
 * White space of Unicode, and what nobody sees: readers behind us strip it from
 * an id, as Python's str.strip() does.  0x85 and 0xA0 by themselves are that to
 * whoever takes bytes that are no UTF-8 for Latin-1.
 */
static bool
is_blank(struct slice c)
{
	static const struct slice blanks[] = {
		S_INIT("\x85"), S_INIT("\xa0"), S_INIT("\xc2\x85"), S_INIT("\xc2\xa0"),
		S_INIT("\xc2\xad"), S_INIT("\xe1\x9a\x80"), S_INIT("\xe1\xa0\x8e"),
		S_INIT("\xe2\x80\xa8"), S_INIT("\xe2\x80\xa9"), S_INIT("\xe2\x80\xaf"),
		S_INIT("\xe2\x81\x9f"), S_INIT("\xe2\x81\xa0"), S_INIT("\xe3\x80\x80"),
		S_INIT("\xef\xbb\xbf"),
	};

	for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
		if (slice_eq(c, blanks[i]))
			return true;
	return slice_starts(c, S("\xe2\x80")) && (unsigned char)c.p[2] <= 0x8f;   /* U+2000 to U+200F */
}

/* A copy with such letters as spaces, as many as they had octets. */
static struct slice
with_spaces(struct slice front, char room[FRONT_MOST])
{
	struct slice left = front;

	memcpy(room, front.p, front.n);
	for (size_t n; left.n > 0; left = slice_skip(left, n)) {
		n = (unsigned char)*left.p < 0x80 ? 1 : utf8_length(left);
		n += n == 0;
		if ((unsigned char)*left.p >= 0x80 && is_blank(slice_head(left, n)))
			memset(room + (left.p - front.p), ' ', n);
	}
	return slice_of(room, front.n);
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
same_ascii(const struct claim *c, struct slice word)
{
	return slice_eqi(without_dot(word), c->id);
}

static bool
same(struct claim *c, struct slice word)
{
	if (ascii_only(word))
		return same_ascii(c, word);
	if (*c->foreign == 0)
		return true;
	--*c->foreign;
	word = normal_id(word, c->arena);
	return word.p == NULL || slice_eqi(word, c->id);
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
	bool ascii = ascii_only(front);         /* asked once: there are 500 ways to join 32 pieces */

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
		for (size_t j = i + 1; j <= pieces; j++) {
			struct slice word = slice_of(joined + starts[i], starts[j] - starts[i]);

			if (ascii ? same_ascii(c, word) : same(c, word))
				return true;
		}
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

static bool
is_named_in(struct claim *c, struct slice text, bool (*properly)(struct claim *, struct slice))
{
	char room[FRONT_MOST];

	if (c->id.p == NULL || text.n > FRONT_MOST)
		return true;
	text = with_spaces(text, room);
	return (properly != NULL && properly(c, text)) || named_somewhere(c, text) ||
	    named_when_joined(c, text);
}

static bool
claims(struct claim *c, struct slice payload)
{
	struct slice front = front_of(payload);

	return front.n == 0 || is_named_in(c, front, named_properly);
}

/* --- Received-SPF (RFC 7208 9.1) ----------------------------------------------------- */

/* A word, a quoted string, or an octet of something else; false: quotes that stay open. */
static bool
take_token(struct slice *s, struct slice *token)
{
	size_t n = 0;

	while (n < s->n && is_name_char(s->p[n]))
		n++;
	if (n == 0)
		n = quoted_length(*s, true);
	if (n == 0 && *s->p == '"')
		return false;
	*token = slice_head(*s, n > 0 ? n : 1);
	*s = slice_skip(*s, token->n);
	return true;
}

/*
 * Who wrote it stands in the comment behind the result, "(mx.example.org: domain of
 * …)", and as receiver=.  A comment or quotes without an end may hide that, and so
 * may more of receiver= than anybody honest writes.
 */
static bool
claims_receiver(struct claim *c, struct slice payload)
{
	struct slice front = slice_head(payload, slice_find(payload, '=')), token, before = NONE;
	unsigned receivers = 0;
	bool whole;

	if (is_named_in(c, slice_head(front, slice_find(front, ':')), NULL))
		return true;
	for (; (whole = cfws_skip(&payload)) && payload.n > 0; before = token) {
		if (!take_token(&payload, &token))
			return true;
		if (slice_eq(token, S("=")) && slice_eqi(before, S("receiver")) &&
		    (++receivers > RECEIVERS_MOST || is_named_in(c, front_of(payload), NULL)))
			return true;
	}
	return !whole;
}

/* --- the fields of a message ----------------------------------------------------------- */

bool
authres_claims(struct slice payload, struct slice authserv_id, struct arena *arena)
{
	unsigned foreign = FOREIGN_MOST;
	struct claim c = { normal_id(authserv_id, arena), arena, &foreign };

	return claims(&c, payload);
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
is_named(const struct field *f)
{
	return field_is(f, "Authentication-Results") || field_is(f, "X-Authentication-Results") ||
	    field_is(f, "Received-SPF");
}

static bool
is_forged(const struct field *f, struct claim *claim, size_t count)
{
	bool (*claims_us)(struct claim *, struct slice) =
	    field_is(f, "Received-SPF") ? claims_receiver : claims;

	for (size_t i = 0; i < count; i++)
		if (claims_us(&claim[i], f->value))
			return true;
	return field_is(f, "Authentication-Results") && of_another_version(f->value, claim->arena);
}

bool
authres_forged(const struct header *h, const struct slice *ids, size_t count, struct arena *arena,
    struct authres_forged *forged)
{
	struct claim *claim = arena_get(arena, (count + 1) * sizeof *claim);
	unsigned foreign = FOREIGN_OF_MESSAGE;
	size_t most = 0;

	for (size_t i = 0; i < h->count; i++)
		most += is_named(&h->fields[i]);
	forged->count = 0;
	forged->fields = arena_get(arena, (most + 1) * sizeof *forged->fields);
	if (claim == NULL || forged->fields == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		claim[i] = (struct claim){ normal_id(ids[i], arena), arena, &foreign };
	for (size_t i = 0; i < h->count; i++)
		if (is_named(&h->fields[i]) && is_forged(&h->fields[i], claim, count))
			forged->fields[forged->count++] = &h->fields[i];
	return true;
}
