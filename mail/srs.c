/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "mail/domain.h"
#include "mail/srs.h"

enum { HASH_LETTERS = 6, LOCAL_MOST = 64, DAYS = 1024, DAY_MS = 86400000 };

static const char BASE32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const char *
srs_result_name(enum srs_result result)
{
	static const char *const names[] = {
		"rewritten", "not concerned", "too long", "malformed", "forged", "expired",
	};

	return names[result];
}

/* --- hash and day ---------------------------------------------------------------- */

/* Over lower case: on its way the local part may be folded. */
static void
make_hash(struct slice secret, struct slice tag, struct slice text, char hash[HASH_LETTERS])
{
	unsigned char mac[HMAC_BYTES];
	char signed_text[2 * LOCAL_MOST];
	uint64_t bits = 0;
	size_t n = 0;

	for (size_t i = 0; i < tag.n; i++)
		signed_text[n++] = to_lower(tag.p[i]);
	for (size_t i = 0; i < text.n && n < sizeof signed_text; i++)
		signed_text[n++] = to_lower(text.p[i]);
	hmac_sha256(secret, slice_of(signed_text, n), mac);
	for (int i = 0; i < 4; i++)
		bits = bits << 8 | mac[i];
	for (int i = 0; i < HASH_LETTERS; i++, bits <<= 5)
		hash[i] = BASE32[bits >> 27 & 31];
}

static bool
hash_holds(const struct srs *srs, struct slice tag, struct slice text, struct slice shown)
{
	char folded[HASH_LETTERS], hash[HASH_LETTERS];
	bool holds = false;

	if (shown.n != HASH_LETTERS)
		return false;
	for (size_t i = 0; i < HASH_LETTERS; i++)
		folded[i] = to_lower(shown.p[i]);
	for (size_t k = 0; k < srs->secrets.count; k++) {
		make_hash(srs->secrets.each[k], tag, text, hash);
		for (size_t i = 0; i < HASH_LETTERS; i++)
			hash[i] = to_lower(hash[i]);
		holds |= equal_secretly(slice_of(hash, sizeof hash), slice_of(folded, sizeof folded));
	}
	return holds;
}

static unsigned
day_of(int64_t now)
{
	return (unsigned)(now / DAY_MS % DAYS);
}

static bool
parse_day(struct slice text, unsigned *day)
{
	*day = 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = is_alpha(text.p[i]) ? (char)(to_lower(text.p[i]) - 'a' + 'A') : text.p[i];
		const char *at = c != '\0' ? strchr(BASE32, c) : NULL;

		if (at == NULL)
			return false;
		*day = *day << 5 | (unsigned)(at - BASE32);
	}
	return text.n == 2;
}

/* A clock beside ours may be a little ahead, at midnight of all times: one day. */
static bool
still_good(unsigned day, int64_t now)
{
	return (day_of(now) + DAYS + 1 - day) % DAYS <= SRS_DAYS + 1;
}

/* --- the forms -------------------------------------------------------------------- */

/* "SRS0" and a separator; what stands from the separator on. */
static bool
is_tagged(struct slice local, struct slice tag, struct slice *from_separator)
{
	*from_separator = slice_skip(local, tag.n);
	return slice_startsi(local, tag) && from_separator->n > 1 &&
	    (*from_separator->p == '=' || *from_separator->p == '+' || *from_separator->p == '-');
}

/* SRS0: separator hash "=" day "=" domain "=" local, which may be "" */
static bool
is_srs0(struct slice local, struct slice *from_separator)
{
	struct slice rest;

	if (!is_tagged(local, S("SRS0"), from_separator))
		return false;
	rest = slice_skip(*from_separator, 1);
	for (int i = 0; i < 3; i++) {
		size_t n = slice_find(rest, '=');

		if (n == 0 || n == rest.n)
			return false;
		rest = slice_skip(rest, n + 1);
	}
	return true;
}

/* SRS1: separator hash "=" first-forwarder "=" what it wrote behind its "SRS0" */
static bool
is_srs1(struct slice local, struct slice *hash, struct slice *text)
{
	struct slice rest, first;

	if (!is_tagged(local, S("SRS1"), &rest))
		return false;
	rest = slice_skip(rest, 1);
	if (!slice_cut(&rest, '=', hash))
		return false;
	*text = rest;
	return slice_cut(&rest, '=', &first) && first.n > 0 && rest.n > 1 &&
	    (*rest.p == '=' || *rest.p == '+' || *rest.p == '-');
}

bool
srs_is(const struct address *a)
{
	struct slice rest;

	return is_tagged(a->local, S("SRS0"), &rest) || is_tagged(a->local, S("SRS1"), &rest);
}

/* The limit is for what is written: quotes count, where it needs them. */
static enum srs_result
finish(struct slice local, struct slice domain, struct arena *arena, struct address *made)
{
	if (local.p == NULL || domain.p == NULL)
		return SRS_LONG;
	*made = address_make(local, domain, arena);
	return made->text.p != NULL && made->text.n <= LOCAL_MOST + 1 + domain.n ? SRS_OK : SRS_LONG;
}

/* --- forward ------------------------------------------------------------------------ */

/* tag "=" hash "=" text, at our domain */
static enum srs_result
make(const struct srs *srs, struct slice tag, struct slice text, struct arena *arena,
    struct address *made)
{
	char hash[HASH_LETTERS];
	struct slice local;

	if (text.p == NULL || tag.n + HASH_LETTERS + text.n + 2 > LOCAL_MOST)
		return SRS_LONG;
	make_hash(srs->secrets.each[0], tag, text, hash);
	local = arena_printf(arena, "%.*s=%.*s=%.*s", FMT(tag), HASH_LETTERS, hash, FMT(text));
	return finish(local, srs->domain, arena, made);
}

enum srs_result
srs_forward(const struct srs *srs, const struct address *sender, int64_t now, struct arena *arena,
    struct address *made)
{
	unsigned day = day_of(now);
	struct slice rest, hash, text;

	*made = *sender;
	if (sender->domain.n == 0 || slice_eqi(sender->domain, srs->domain))
		return SRS_NONE;
	if (is_srs1(sender->local, &hash, &text))
		return make(srs, S("SRS1"), text, arena, made);
	if (is_srs0(sender->local, &rest))
		return make(srs, S("SRS1"), arena_printf(arena, "%.*s=%.*s", FMT(sender->domain),
		    FMT(rest)), arena, made);
	return make(srs, S("SRS0"), arena_printf(arena, "%c%c=%.*s=%.*s", BASE32[day >> 5],
	    BASE32[day & 31], FMT(sender->domain), FMT(sender->local)), arena, made);
}

/* --- back ----------------------------------------------------------------------------- */

/* The day is looked at only behind a hash that holds: then it was ours. */
static enum srs_result
back_to_sender(const struct srs *srs, struct slice rest, int64_t now, struct arena *arena,
    struct address *found)
{
	struct slice hash = NONE, text, day_text = NONE, domain = NONE;
	unsigned day;

	rest = slice_skip(rest, 1);
	slice_cut(&rest, '=', &hash);
	text = rest;
	slice_cut(&rest, '=', &day_text);
	slice_cut(&rest, '=', &domain);
	if (!hash_holds(srs, S("SRS0"), text, hash))
		return SRS_FORGED;
	if (!parse_day(day_text, &day) || !still_good(day, now))
		return SRS_EXPIRED;
	return finish(rest, arena_lower(arena, domain), arena, found);
}

static enum srs_result
back_to_forwarder(const struct srs *srs, struct slice hash, struct slice text, struct arena *arena,
    struct address *found)
{
	struct slice first = NONE;

	if (!hash_holds(srs, S("SRS1"), text, hash))
		return SRS_FORGED;
	slice_cut(&text, '=', &first);
	return finish(arena_printf(arena, "SRS0%.*s", FMT(text)), arena_lower(arena, first), arena,
	    found);
}

enum srs_result
srs_back(const struct srs *srs, const struct address *recipient, int64_t now, struct arena *arena,
    struct address *found)
{
	struct slice rest, hash, text;

	*found = *recipient;
	if (!slice_eqi(recipient->domain, srs->domain) || !srs_is(recipient))
		return SRS_NONE;
	if (recipient->local.n > LOCAL_MOST)
		return SRS_MALFORMED;
	if (is_srs0(recipient->local, &rest))
		return back_to_sender(srs, rest, now, arena, found);
	if (is_srs1(recipient->local, &hash, &text))
		return back_to_forwarder(srs, hash, text, arena, found);
	return SRS_MALFORMED;
}
