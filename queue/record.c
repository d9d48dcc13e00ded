/* SPDX-License-Identifier: ISC */
/* pure */
#include <stdio.h>

#include "base/bug.h"
#include "base/crc32c.h"
#include "base/pack.h"
#include "queue/record.h"

enum { HEAD_BYTES = 16 + 4 + 4 + 8 + 8 + 4, MAGIC = 0x43524d43 };

static const char TITLE[] = "chainmail spool\n";

/* --- segments ---------------------------------------------------------------- */

void
segment_head_pack(const struct segment_head *h, char block[SPOOL_BLOCK])
{
	struct buf b = BUF(HEAD_BYTES);

	buf_add(&b, S(TITLE));
	pack_u32(&b, h->format);
	pack_u32(&b, h->number);
	pack_u64(&b, h->first);
	pack_u64(&b, h->salt);
	pack_u32(&b, crc32c(0, buf_slice(&b)));
	bug_if(b.full || b.n != HEAD_BYTES);
	memset(block, 0, SPOOL_BLOCK);
	memcpy(block, b.p, HEAD_BYTES);
	buf_free(&b);
}

bool
segment_head_read(struct slice block, struct segment_head *h)
{
	struct unpack u = { slice_skip(block, sizeof TITLE - 1), false };

	if (block.n < HEAD_BYTES || !slice_starts(block, S(TITLE)))
		return false;
	h->format = unpack_u32(&u);
	h->number = unpack_u32(&u);
	h->first = unpack_u64(&u);
	h->salt = unpack_u64(&u);
	return unpack_u32(&u) == crc32c(0, slice_head(block, HEAD_BYTES - 4)) &&
	    h->number > 0 && h->first > 0;
}

bool
segment_number(struct slice name, uint32_t *number)
{
	char again[16];
	uint64_t n;

	if (name.n < 8 || !slice_number(name, UINT32_MAX, &n) || n == 0)
		return false;
	*number = (uint32_t)n;
	return slice_eq(name, slice_of(again, (size_t)snprintf(again, sizeof again, "%08u", *number)));
}

/* --- records ------------------------------------------------------------------- */

static void
put_number(char **p, uint64_t number, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*(*p)++ = (char)(number >> (8 * i));
}

static uint32_t
magic_of(uint64_t salt)
{
	return MAGIC ^ (uint32_t)(salt >> 32);
}

/* Over the salt and everything behind the crc itself. */
static uint32_t
checksum(uint64_t salt, struct slice rest)
{
	char salted[8], *p = salted;

	put_number(&p, salt, 8);
	return crc32c(crc32c(0, slice_of(salted, 8)), rest);
}

void
record_finish(const struct spool_record *r, uint64_t salt, char *bytes)
{
	size_t length = record_length(r->payload.n), used = RECORD_HEADER + r->payload.n;
	char *p = bytes + 8;

	bug_if(r->payload.n > RECORD_MOST - RECORD_HEADER);
	memset(bytes + used, 0, length - used);
	put_number(&p, r->payload.n, 4);
	put_number(&p, r->kind, 1);
	put_number(&p, 0, 3);
	put_number(&p, r->sequence, 8);
	put_number(&p, r->batch, 8);
	put_number(&p, r->id, 8);
	p = bytes;
	put_number(&p, magic_of(salt), 4);
	put_number(&p, checksum(salt, slice_of(bytes + 8, used - 8)), 4);
}

/* Of any spool: the upper half of its salt is what the magic makes it. */
static bool
any_header_read(struct slice bytes, uint32_t *magic_r, struct spool_record *r, uint32_t *length_r,
    uint32_t *crc_r)
{
	struct unpack u = { bytes, false };

	if (bytes.n < RECORD_HEADER)
		return false;
	*magic_r = unpack_u32(&u);
	*crc_r = unpack_u32(&u);
	*length_r = unpack_u32(&u);
	r->kind = (enum record_kind)unpack_u8(&u);
	u.left = slice_skip(u.left, 3);
	r->sequence = unpack_u64(&u);
	r->batch = unpack_u64(&u);
	r->id = unpack_u64(&u);
	r->payload = u.left;
	return *length_r <= RECORD_MOST - RECORD_HEADER &&
	    r->batch > 0 && r->batch <= r->sequence && r->id > 0 && r->id <= ID_MOST;
}

/* The header alone, as far as it can be believed without its CRC. */
static bool
header_read(struct slice bytes, uint64_t salt, struct spool_record *r, uint32_t *length_r,
    uint32_t *crc_r)
{
	uint32_t magic;

	return any_header_read(bytes, &magic, r, length_r, crc_r) && magic == magic_of(salt);
}

bool
record_read(struct slice bytes, uint64_t salt, struct spool_record *r)
{
	uint32_t length, crc;

	if (!header_read(bytes, salt, r, &length, &crc) || length > r->payload.n)
		return false;
	r->payload.n = length;
	return crc == checksum(salt, slice_of(bytes.p + 8, RECORD_HEADER - 8 + length));
}

void
message_pack(bool in_file, const struct envelope *e, struct buf *payload)
{
	struct buf packed = BUF(ENVELOPE_MOST);

	envelope_pack(e, &packed);
	pack_u8(payload, in_file);
	pack_slice(payload, buf_slice(&packed));
	payload->full = payload->full || packed.full;
	buf_free(&packed);
}

bool
message_read(struct slice payload, struct message_payload *m)
{
	struct unpack u = { payload, false };
	uint8_t in_file = unpack_u8(&u);

	m->in_file = in_file;
	m->envelope = unpack_slice(&u);
	m->content = u.left;
	return !u.bad && in_file <= 1 && (!m->in_file || m->content.n == 0);
}

void
seal_pack(struct slice route, struct slice fields, struct buf *payload)
{
	pack_slice(payload, route);
	pack_slice(payload, fields);
}

bool
seal_read(struct slice payload, struct slice *route, struct slice *fields)
{
	struct unpack u = { payload, false };

	*route = unpack_slice(&u);
	*fields = unpack_slice(&u);
	return unpack_done(&u);
}

uint32_t
route_number(struct slice route)
{
	return crc32c(0, route);
}

/* --- without a head -------------------------------------------------------------- */

enum { SALT_AT = 32, CRC_AT = 40 };     /* in a head */

static uint32_t
number_at(struct slice bytes, size_t at)
{
	struct unpack u = { slice_skip(bytes, at), false };

	return unpack_u32(&u);
}

/* One bit of crc32c() back: the polynomial's highest bit tells whether it was added. */
static uint32_t
bits_back(uint32_t crc, int bits)
{
	while (bits-- > 0)
		crc = crc & 0x80000000 ? (crc ^ 0x82f63b78) << 1 | 1 : crc << 1;
	return crc;
}

/*
 * The magic tells the upper half of the salt.  The lower half is the first that the
 * checksum eats, and it has as many bits: going back over all the rest leaves it.
 */
static uint64_t
salt_of(struct slice bytes)
{
	struct spool_record r;
	uint32_t magic, length, crc, upper;

	if (!any_header_read(bytes, &magic, &r, &length, &crc) || length > r.payload.n)
		return 0;
	upper = magic ^ MAGIC;
	crc = ~crc;
	for (size_t i = RECORD_HEADER + length; i-- > 8;)
		crc = bits_back(crc, 8) ^ (unsigned char)bytes.p[i];
	crc = bits_back(crc, 32) ^ upper;
	crc = bits_back(crc, 32) ^ UINT32_MAX;
	return (uint64_t)upper << 32 | crc;
}

/* Its checksum is that of a head, of any format there was, with this salt. */
static bool
head_agrees(uint64_t salt, const struct spool_record *first, struct slice head, uint32_t number)
{
	struct segment_head h = { 1, number, first->sequence, salt };
	char block[SPOOL_BLOCK];

	for (; h.format <= SEGMENT_FORMAT; h.format++) {
		segment_head_pack(&h, block);
		if (number_at(head, CRC_AT) == number_at(slice_of(block, sizeof block), CRC_AT))
			return true;
	}
	return false;
}

/* Any first record has a salt that fits; that it is the spool's somebody else must say. */
static bool
is_confirmed(uint64_t salt, const struct spool_record *first, struct slice head, uint32_t number,
    struct slice rest)
{
	struct walk w = { rest, SPOOL_BLOCK, SPOOL_BLOCK, first->sequence, NO_LIMIT, salt };
	struct spool_record r;
	struct damage d;
	uint64_t at;

	return head_agrees(salt, first, head, number) ||
	    (walk_next(&w, &r, &at, &d) == WALK_RECORD && walk_next(&w, &r, &at, &d) == WALK_RECORD);
}

uint64_t
salt_behind(struct slice head, uint32_t number, struct slice rest)
{
	struct unpack said = { slice_skip(head, SALT_AT), false };
	uint64_t salt = unpack_u64(&said);
	struct spool_record first;

	if (salt != 0 && record_read(rest, salt, &first))
		return salt;
	salt = salt_of(rest);
	return salt != 0 && record_read(rest, salt, &first) &&
	    is_confirmed(salt, &first, head, number, rest) ? salt : 0;
}

size_t
batches_behind(struct slice rest, uint64_t after, uint64_t limit)
{
	uint32_t magic, length, crc;
	struct spool_record r;
	size_t n = 0;

	for (; rest.n > 0; rest = slice_skip(rest, SPOOL_BLOCK))
		n += any_header_read(rest, &magic, &r, &length, &crc) && r.batch == r.sequence &&
		    r.sequence > after && r.sequence < limit;
	return n;
}

/* --- finding them again ---------------------------------------------------------- */

static bool
record_at(const struct walk *w, uint64_t at, struct spool_record *r)
{
	return at >= w->base && at - w->base <= w->bytes.n &&
	    record_read(slice_skip(w->bytes, (size_t)(at - w->base)), w->salt, r) &&
	    r->sequence >= w->expect && r->sequence < w->limit;
}

static uint64_t
block_up(uint64_t at)
{
	return (at + SPOOL_BLOCK - 1) / SPOOL_BLOCK * SPOOL_BLOCK;
}

/*
 * A later segment begins behind it, or a later batch does: batches begin at blocks.
 * The header of one is enough, it was written after the flush.
 */
bool
walk_proven(const struct walk *w)
{
	uint64_t from = w->at > w->base ? w->at : w->base;
	uint32_t length, crc;
	struct spool_record r;

	if (w->limit != NO_LIMIT)
		return true;
	for (uint64_t at = block_up(from); at - w->base < w->bytes.n; at += SPOOL_BLOCK)
		if (header_read(slice_skip(w->bytes, (size_t)(at - w->base)), w->salt, &r,
		    &length, &crc) && r.batch > w->expect)
			return true;
	return false;
}

uint64_t
walk_wants(const struct walk *w)
{
	uint64_t at = w->at, furthest = w->at + RECORD_HEADER;
	uint32_t length, crc;
	struct spool_record r;

	for (int turn = 0; turn < 2; turn++, at = block_up(at))
		if (header_read(slice_skip(w->bytes, (size_t)(at - w->base)), w->salt, &r,
		    &length, &crc) && at + record_length(length) > furthest)
			furthest = at + record_length(length);
	return furthest;
}

static enum walked
go_on_behind(struct walk *w, uint64_t at, uint64_t sequence, struct damage *d)
{
	*d = (struct damage){ w->at, at - w->at, w->expect, sequence - w->expect };
	w->at = at;
	w->expect = sequence;
	return WALK_DAMAGE;
}

static enum walked
pass_over(struct walk *w, struct damage *d)
{
	uint64_t end = w->base + w->bytes.n;
	struct spool_record r;

	if (!walk_proven(w))
		return WALK_END;
	for (uint64_t at = w->at; at < end; at += 8)
		if (record_at(w, at, &r))
			return go_on_behind(w, at, r.sequence, d);
	return w->limit == NO_LIMIT ? WALK_END : go_on_behind(w, end > w->at ? end : w->at, w->limit, d);
}

enum walked
walk_next(struct walk *w, struct spool_record *r, uint64_t *at_r, struct damage *d)
{
	uint64_t at = w->at;

	if (w->expect >= w->limit)
		return WALK_END;
	if (!record_at(w, at, r) || r->sequence != w->expect) {
		at = block_up(at);
		if (!record_at(w, at, r) || r->sequence != w->expect)
			return pass_over(w, d);
	}
	*at_r = at;
	w->at = at + record_length(r->payload.n);
	w->expect = r->sequence + 1;
	return WALK_RECORD;
}

uint64_t
walk_first(const struct walk *w)
{
	struct spool_record r;

	return record_at(w, w->at, &r) ? r.sequence : 0;
}
