/* SPDX-License-Identifier: ISC */
/* pure */
#include <time.h>

#include "base/bug.h"
#include "base/sha256.h"
#include "sts/tally.h"

enum { FORM = 1, DIGEST = 16, WORDS_MOST = 4096, WORD_MOST = 255 };

/* --- packing -------------------------------------------------------------------- */

/* As many of the words as there is space for. */
static void
pack_words(const struct slice *words, size_t count, size_t *space, struct buf *b)
{
	size_t n = 0, cost;

	for (; n < count && n < WORDS_MOST; n++) {
		cost = words[n].n + 4;
		if (cost > *space)
			break;
		*space -= cost;
	}
	pack_u32(b, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		pack_slice(b, words[i]);
}

static size_t
unpack_words(struct unpack *u, const struct slice **to, struct arena *arena)
{
	uint32_t n = unpack_u32(u);
	struct slice *words;

	if (n > WORDS_MOST || (words = arena_get(arena, (n + 1) * sizeof *words)) == NULL) {
		u->bad = true;
		return 0;
	}
	for (uint32_t i = 0; i < n; i++)
		words[i] = unpack_slice(u);
	*to = words;
	return n;
}

static void
pack_word(struct buf *b, struct slice s)
{
	pack_slice(b, slice_head(s, WORD_MOST));
}

static void
pack_ip(struct buf *b, struct ip ip)
{
	pack_slice(b, slice_of(ip.bytes, ip.n));
}

static struct ip
unpack_ip(struct unpack *u)
{
	struct slice bytes = unpack_slice(u);

	u->bad |= bytes.n != 0 && bytes.n != 4 && bytes.n != 16;
	return u->bad || bytes.n == 0 ? (struct ip){ 0 } : ip_of(bytes);
}

/* --- sessions --------------------------------------------------------------------- */

void
session_pack(const struct tlsrpt_session *s, struct buf *b)
{
	size_t space = TALLY_POLICY_MOST;

	pack_u8(b, FORM);
	pack_u8(b, s->label.type);
	pack_slice(b, s->label.domain);
	pack_words(s->label.strings, s->label.string_count, &space, b);
	pack_words(s->label.mx, s->label.mx_count, &space, b);
	pack_u8(b, s->result);
	pack_word(b, s->reason);
	pack_word(b, s->mx);
	pack_word(b, s->helo);
	pack_ip(b, s->from);
	pack_ip(b, s->to);
}

bool
session_unpack(struct tlsrpt_session *session, struct slice bytes, struct arena *arena)
{
	struct unpack u = { .left = bytes };
	struct tlsrpt_session s = { 0 };
	unsigned form = unpack_u8(&u), type = unpack_u8(&u), result;

	s.label.domain = unpack_slice(&u);
	s.label.string_count = unpack_words(&u, &s.label.strings, arena);
	s.label.mx_count = unpack_words(&u, &s.label.mx, arena);
	result = unpack_u8(&u);
	s.reason = unpack_slice(&u);
	s.mx = unpack_slice(&u);
	s.helo = unpack_slice(&u);
	s.from = unpack_ip(&u);
	s.to = unpack_ip(&u);
	if (!unpack_done(&u) || form != FORM || type > TLSRPT_STS || result >= TLSRPT_RESULTS ||
	    s.label.domain.n == 0 || s.label.domain.n > 253)
		return false;
	s.label.type = (enum tlsrpt_policy)type;
	s.result = (enum tlsrpt_result)result;
	*session = s;
	return true;
}

/* --- keys: day, domain, NUL, digest of the policy ---------------------------------------- */

static void
add_day(struct buf *key, uint32_t day)
{
	for (int shift = 24; shift >= 0; shift -= 8)    /* the highest first: they sort like days */
		buf_byte(key, (char)(day >> shift));
}

void
tally_prefix(uint32_t day, struct slice domain, struct buf *key)
{
	add_day(key, day);
	for (size_t i = 0; i < domain.n; i++)
		buf_byte(key, to_lower(domain.p[i]));
	buf_byte(key, '\0');
}

static void
digest_words(struct sha256 *s, const struct slice *words, size_t count)
{
	uint64_t n = count;

	sha256_add(s, slice_of(&n, sizeof n));
	for (size_t i = 0; i < count; i++) {
		n = words[i].n;
		sha256_add(s, slice_of(&n, sizeof n));
		sha256_add(s, words[i]);
	}
}

void
tally_key(const struct tlsrpt_label *l, uint32_t day, struct buf *key)
{
	unsigned char type = (unsigned char)l->type, digest[SHA256_BYTES];
	struct sha256 s;

	tally_prefix(day, l->domain, key);
	sha256_begin(&s);
	sha256_add(&s, slice_of(&type, 1));
	digest_words(&s, l->strings, l->string_count);
	digest_words(&s, l->mx, l->mx_count);
	sha256_end(&s, digest);
	buf_add(key, slice_of(digest, DIGEST));
}

bool
tally_key_read(struct slice key, uint32_t *day, struct slice *domain)
{
	struct slice rest = slice_skip(key, 4);
	size_t n = slice_find(rest, '\0');

	if (key.n < 4 || n == 0 || n + 1 + DIGEST != rest.n)
		return false;
	*day = 0;
	for (int i = 0; i < 4; i++)
		*day = *day << 8 | (unsigned char)key.p[i];
	*domain = slice_head(rest, n);
	return true;
}

/* --- counting --------------------------------------------------------------------------- */

static struct slice
ip_word(struct ip ip, struct arena *arena)
{
	char text[IP_TEXT];

	if (ip.n == 0)
		return NONE;
	ip_text(ip, text);
	return arena_copy(arena, slice(text));
}

static bool
alike(const struct tlsrpt_failure *a, const struct tlsrpt_failure *b)
{
	return slice_eq(a->result, b->result) && slice_eq(a->sending_ip, b->sending_ip) &&
	    slice_eqi(a->mx, b->mx) && slice_eqi(a->helo, b->helo) &&
	    slice_eq(a->receiving_ip, b->receiving_ip) && slice_eq(a->reason, b->reason);
}

static void
add_failure(struct tlsrpt_counts *c, const struct tlsrpt_failure *one, struct arena *arena)
{
	struct tlsrpt_failure *more;

	for (size_t i = 0; i < c->failure_count; i++)
		if (alike(&c->failures[i], one)) {
			c->failures[i].count++;
			return;
		}
	if (c->failure_count >= TALLY_FAILURES ||
	    (more = arena_get(arena, (c->failure_count + 1) * sizeof *more)) == NULL)
		return;
	if (c->failure_count > 0)
		memcpy(more, c->failures, c->failure_count * sizeof *more);
	more[c->failure_count] = *one;
	more[c->failure_count++].count = 1;
	c->failures = more;
}

void
tally_add(struct tlsrpt_counts *c, const struct tlsrpt_session *s, struct arena *arena)
{
	if (c->type.n == 0)
		*c = (struct tlsrpt_counts){ .type = slice(tlsrpt_policy_name(s->label.type)),
		    .domain = s->label.domain, .strings = s->label.strings, .mx = s->label.mx,
		    .string_count = s->label.string_count, .mx_count = s->label.mx_count };
	if (s->result == TLSRPT_SUCCESS) {
		c->good++;
		return;
	}
	c->bad++;
	add_failure(c, &(struct tlsrpt_failure){ .result = slice(tlsrpt_result_name(s->result)),
	    .sending_ip = ip_word(s->from, arena), .mx = s->mx, .helo = s->helo,
	    .receiving_ip = ip_word(s->to, arena), .reason = s->reason }, arena);
}

void
tally_pack(const struct tlsrpt_counts *c, struct buf *b)
{
	size_t space = TALLY_POLICY_MOST;

	pack_u8(b, FORM);
	pack_word(b, c->type);
	pack_word(b, c->domain);
	pack_words(c->strings, c->string_count, &space, b);
	pack_words(c->mx, c->mx_count, &space, b);
	pack_u64(b, c->good);
	pack_u64(b, c->bad);
	pack_u32(b, (uint32_t)c->failure_count);
	for (size_t i = 0; i < c->failure_count; i++) {
		const struct tlsrpt_failure *f = &c->failures[i];

		pack_word(b, f->result);
		pack_word(b, f->sending_ip);
		pack_word(b, f->mx);
		pack_word(b, f->helo);
		pack_word(b, f->receiving_ip);
		pack_word(b, f->reason);
		pack_u64(b, f->count);
	}
}

static bool
unpack_failures(struct unpack *u, struct tlsrpt_counts *c, struct arena *arena)
{
	c->failure_count = unpack_u32(u);
	if (c->failure_count > TALLY_FAILURES ||
	    (c->failures = arena_get(arena, (c->failure_count + 1) * sizeof *c->failures)) == NULL)
		return false;
	for (size_t i = 0; i < c->failure_count; i++) {
		struct tlsrpt_failure *f = &c->failures[i];

		f->result = unpack_slice(u);
		f->sending_ip = unpack_slice(u);
		f->mx = unpack_slice(u);
		f->helo = unpack_slice(u);
		f->receiving_ip = unpack_slice(u);
		f->reason = unpack_slice(u);
		f->count = unpack_u64(u);
	}
	return unpack_done(u);
}

bool
tally_unpack(struct tlsrpt_counts *counts, struct slice bytes, struct arena *arena)
{
	struct unpack u = { .left = bytes };
	struct tlsrpt_counts c = { 0 };
	unsigned form = unpack_u8(&u);

	c.type = unpack_slice(&u);
	c.domain = unpack_slice(&u);
	c.string_count = unpack_words(&u, &c.strings, arena);
	c.mx_count = unpack_words(&u, &c.mx, arena);
	c.good = unpack_u64(&u);
	c.bad = unpack_u64(&u);
	if (form != FORM || !unpack_failures(&u, &c, arena) || c.type.n == 0)
		return false;
	*counts = c;
	return true;
}

/* --- days ---------------------------------------------------------------------------------- */

uint32_t
tally_day(int64_t now)
{
	return now > 0 ? (uint32_t)(now / DAY) : 0;
}

int64_t
tally_midnight(uint32_t day)
{
	return (int64_t)day * DAY;
}

int64_t
tally_due(uint32_t day, struct slice domain, uint64_t salt)
{
	uint64_t spread = (slice_hash(domain) ^ salt) * UINT64_C(0x9e3779b97f4a7c15) ^ day;

	spread = (spread ^ spread >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	return tally_midnight(day + 1) + (int64_t)((spread >> 16) % TALLY_DELAY_MOST);
}

struct slice
tally_time(int64_t now, struct arena *arena)
{
	time_t seconds = (time_t)(now / SECOND);
	struct tm t;

	bug_if(now < 0 || gmtime_r(&seconds, &t) == NULL);
	return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", t.tm_year + 1900, t.tm_mon + 1,
	    t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}
