/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/text.h"
#include "conf/anchor.h"

enum { KEY_MOST = 4096, FLAG_ZONE = 0x100, FLAG_REVOKED = 0x80, PROTOCOL_DNSSEC = 3 };

static enum anchor_line
bad(struct error *why, const char *what)
{
	error_set(why, "%s", what);
	return ANCHOR_BAD;
}

/* What libunbound validates with nettle. */
static bool
is_algorithm(uint64_t number)
{
	static const uint8_t KNOWN[] = { 5, 7, 8, 10, 13, 14, 15 };

	return memchr(KNOWN, (int)number, sizeof KNOWN) != NULL;
}

/* In octets; 0: unknown. */
static size_t
digest_size(uint64_t type)
{
	return type == 1 ? 20 : type == 2 ? 32 : type == 4 ? 48 : 0;
}

static bool
next_number(struct slice *text, uint64_t most, uint64_t *number_r)
{
	struct slice word;

	return slice_word(text, &word) && slice_number(word, most, number_r);
}

/* The words of it may stand apart. */
static bool
digest_decode(struct buf *digest, struct slice text)
{
	struct slice word;

	while (slice_word(&text, &word))
		if (!hex_decode(digest, word))
			return false;
	return digest->n > 0;
}

/* RFC 4034 5.3 */
static enum anchor_line
read_ds(struct slice text, struct error *why)
{
	uint64_t tag, algorithm, type;
	struct buf digest = BUF(KEY_MOST);
	size_t size;
	bool ok;

	if (!next_number(&text, UINT16_MAX, &tag) || !next_number(&text, UINT8_MAX, &algorithm) ||
	    !next_number(&text, UINT8_MAX, &type))
		return bad(why, "a DS record has a key tag, an algorithm and a digest type, all numbers");
	ok = digest_decode(&digest, text);
	size = digest.n;
	buf_free(&digest);
	if (!ok || (digest_size(type) != 0 && size != digest_size(type)))
		return bad(why, "the digest of this DS record is not right");
	return is_algorithm(algorithm) && digest_size(type) != 0 ? ANCHOR_ROOT : ANCHOR_UNKNOWN;
}

/* RFC 4034 2.2; a key that was revoked is none (RFC 5011 2.1). */
static enum anchor_line
read_dnskey(struct slice text, struct error *why)
{
	uint64_t flags, protocol, algorithm;
	struct buf key = BUF(KEY_MOST);
	bool ok;

	if (!next_number(&text, UINT16_MAX, &flags) || !next_number(&text, UINT8_MAX, &protocol) ||
	    !next_number(&text, UINT8_MAX, &algorithm))
		return bad(why, "a DNSKEY record has flags, a protocol and an algorithm, all numbers");
	ok = base64_decode(&key, text) && key.n > 0;
	buf_free(&key);
	if (!ok)
		return bad(why, "the key of this DNSKEY record is not base64");
	if ((flags & FLAG_ZONE) == 0 || (flags & FLAG_REVOKED) != 0 || protocol != PROTOCOL_DNSSEC)
		return bad(why, "this DNSKEY is no key of a zone, or was revoked");
	return is_algorithm(algorithm) ? ANCHOR_ROOT : ANCHOR_UNKNOWN;
}

/* TTL and class may stand before the type, in either order, or not. */
static bool
next_type(struct slice *text, struct slice *type_r)
{
	uint64_t ttl;

	while (slice_word(text, type_r))
		if (!slice_eqi(*type_r, S("IN")) && !slice_number(*type_r, INT32_MAX, &ttl))
			return true;
	return false;
}

static enum anchor_line
read_record(struct slice line, struct error *why)
{
	struct slice owner, type;
	enum anchor_line got;

	if (!slice_word(&line, &owner) || !next_type(&line, &type))
		return bad(why, "this is no DS or DNSKEY record");
	if (slice_eqi(type, S("DS")))
		got = read_ds(line, why);
	else if (slice_eqi(type, S("DNSKEY")))
		got = read_dnskey(line, why);
	else
		return bad(why, "this is no DS or DNSKEY record");
	return got == ANCHOR_ROOT && !slice_eq(owner, S(".")) ? ANCHOR_ELSEWHERE : got;
}

enum anchor_line
anchor_next(struct slice *text, struct slice *line_r, unsigned *number, struct error *why_r)
{
	while (slice_cut(text, '\n', line_r)) {
		++*number;
		*line_r = slice_trim(slice_head(*line_r, slice_find(*line_r, ';')));
		if (line_r->n > 0)
			return read_record(*line_r, why_r);
	}
	return ANCHOR_END;
}

bool
anchor_covers_root(struct slice text, struct error *why)
{
	enum anchor_line got;
	struct error flaw;
	struct slice line;
	unsigned number = 0;
	bool root = false;

	while ((got = anchor_next(&text, &line, &number, &flaw)) != ANCHOR_END) {
		if (got == ANCHOR_BAD)
			return error_set(why, "line %u: %s", number, flaw.text);
		root = root || got == ANCHOR_ROOT;
	}
	return root || error_set(why, "there is no DS or DNSKEY record of the root zone in it that the "
	    "resolver can use");
}
