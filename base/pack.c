/* SPDX-License-Identifier: ISC */
/* pure */
#include "base/pack.h"

static void
pack_number(struct buf *b, uint64_t number, size_t bytes)
{
	char *p = buf_room(b, bytes);

	if (p == NULL)
		return;
	for (size_t i = 0; i < bytes; i++)
		p[i] = (char)(number >> (8 * i));
	b->n += bytes;
}

void pack_u8(struct buf *b, uint8_t v)   { pack_number(b, v, 1); }
void pack_u16(struct buf *b, uint16_t v) { pack_number(b, v, 2); }
void pack_u32(struct buf *b, uint32_t v) { pack_number(b, v, 4); }
void pack_u64(struct buf *b, uint64_t v) { pack_number(b, v, 8); }

void
pack_slice(struct buf *b, struct slice s)
{
	if (s.n > UINT32_MAX) {
		b->full = true;
		return;
	}
	pack_u32(b, (uint32_t)s.n);
	buf_add(b, s);
}

size_t
pack_begin(struct buf *b)
{
	size_t begun = b->n;

	pack_u32(b, 0);
	return begun;
}

void
pack_end(struct buf *b, size_t begun)
{
	size_t n = b->n - begun - sizeof(uint32_t);

	if (b->full || n > UINT32_MAX) {
		b->full = true;
		return;
	}
	for (size_t i = 0; i < sizeof(uint32_t); i++)
		b->p[begun + i] = (char)(n >> (8 * i));
}

static uint64_t
unpack_number(struct unpack *u, size_t bytes)
{
	uint64_t number = 0;

	if (u->bad || u->left.n < bytes) {
		u->bad = true;
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		number |= (uint64_t)(unsigned char)u->left.p[i] << (8 * i);
	u->left = slice_skip(u->left, bytes);
	return number;
}

uint8_t  unpack_u8(struct unpack *u)  { return (uint8_t)unpack_number(u, 1); }
uint16_t unpack_u16(struct unpack *u) { return (uint16_t)unpack_number(u, 2); }
uint32_t unpack_u32(struct unpack *u) { return (uint32_t)unpack_number(u, 4); }
uint64_t unpack_u64(struct unpack *u) { return unpack_number(u, 8); }

struct slice
unpack_slice(struct unpack *u)
{
	uint32_t n = unpack_u32(u);
	struct slice s;

	if (u->bad || u->left.n < n) {
		u->bad = true;
		return NONE;
	}
	s = slice_head(u->left, n);
	u->left = slice_skip(u->left, n);
	return s;
}

bool
unpack_done(const struct unpack *u)
{
	return !u->bad && u->left.n == 0;
}
