/* SPDX-License-Identifier: ISC */
/* pure */
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

/* The header alone, as far as it can be believed without its CRC. */
static bool
header_read(struct slice bytes, uint64_t salt, struct spool_record *r, uint32_t *length_r,
    uint32_t *crc_r)
{
	struct unpack u = { bytes, false };

	if (bytes.n < RECORD_HEADER || unpack_u32(&u) != magic_of(salt))
		return false;
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
