/* SPDX-License-Identifier: ISC */
/*
 * Recovery over arbitrary bytes: it ends, stays in bounds, and gives no record
 * whose CRC does not match.  Three bytes choose how; the rest is a segment from
 * its second block on.  With the first bit set, headers are completed first, so
 * that what stands behind the CRC is reached.
 */
#include <stdlib.h>

#include "base/crc32c.h"
#include "base/pack.h"
#include "queue/catalogue.h"

enum { SALT = 0x77 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice segment;

static void
must(bool condition)
{
	if (!condition)
		abort();
}

/* Lengths, numbers and kinds stay as they are, as far as they fit. */
static void
complete_headers(char *p, size_t n)
{
	while (n >= RECORD_HEADER) {
		struct unpack u = { slice_of(p + 8, RECORD_HEADER - 8), false };
		size_t length = unpack_u32(&u) % (n - RECORD_HEADER + 1);
		struct spool_record r = { (enum record_kind)(unpack_u8(&u) % 6), 0, 0, 0, NONE };

		u.left = slice_skip(u.left, 3);
		r.sequence = unpack_u64(&u) % 256;
		r.batch = unpack_u64(&u) % 256;
		r.id = unpack_u64(&u) % 8;
		r.payload = slice_of(p + RECORD_HEADER, length);
		if (record_length(length) > n)
			return;
		record_finish(&r, SALT, p);
		p += record_length(length);
		n -= record_length(length);
	}
}

static bool
read_place(void *arg, struct spot at, struct spool_record *r, struct error *why)
{
	(void)arg;
	return record_read(slice_skip(segment, at.offset - SPOOL_BLOCK), SALT, r) ||
	    error_set(why, "damaged");
}

/* The CRC by a second hand, from the format as record.h tells it. */
static void
must_match(const struct spool_record *r, uint64_t at)
{
	struct slice whole = slice_of(segment.p + (at - SPOOL_BLOCK), RECORD_HEADER + r->payload.n);
	struct unpack u = { slice_skip(whole, 4), false };
	struct buf salted = BUF(RECORD_MOST + 8);

	pack_u64(&salted, SALT);
	buf_add(&salted, slice_skip(whole, 8));
	must(unpack_u32(&u) == crc32c(0, buf_slice(&salted)));
	must(unpack_u32(&u) == r->payload.n);
	must(r->payload.p == whole.p + RECORD_HEADER);
	buf_free(&salted);
}

static bool
look(void *arg, const struct found *f)
{
	++*(size_t *)arg;
	must(f->summary.id > 0 && f->summary.id <= ID_MOST && f->count <= RECIPIENTS_MOST);
	must(f->summary.trace.n == 0);
	return true;
}

static void
walk(struct walk *w, struct living *living)
{
	uint64_t last = w->expect - 1, end = w->at, at;
	struct damage d;
	struct spool_record r;
	enum walked what;

	for (size_t turns = 0; (what = walk_next(w, &r, &at, &d)) != WALK_END; turns++) {
		must(turns < segment.n / 8 + 2);
		if (what == WALK_DAMAGE) {
			must(d.first == last + 1 && d.count + d.n > 0 && d.at >= end);
			must(d.at + d.n <= SPOOL_BLOCK + segment.n || d.n == 0);
			last += d.count;
			end = d.at + d.n;
			continue;
		}
		must(r.sequence == last + 1 && r.sequence < w->limit && at >= end);
		must_match(&r, at);
		living_apply(living, &r, (struct spot){ 1, (uint32_t)at,
			(uint32_t)record_length(r.payload.n) });
		last = r.sequence;
		end = at + RECORD_HEADER + r.payload.n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct record_reader reader = { read_place, NULL };
	struct living living = { 0 };
	struct segment_head head;
	struct walk w;
	size_t given = 0, count;
	uint64_t *ids;
	char *own;

	if (size < 3)
		return 0;
	own = malloc(size);
	memcpy(own, data, size);
	segment = slice_of(own + 3, size - 3);
	segment_head_read(segment, &head);
	if (data[0] & 1)
		complete_headers(own + 3, size - 3);
	w = (struct walk){ segment, SPOOL_BLOCK, SPOOL_BLOCK, 1u + data[1] % 4,
		data[0] & 2 ? data[2] : NO_LIMIT, SALT };
	if (data[0] & 4)
		w.expect = walk_first(&(struct walk){ segment, SPOOL_BLOCK, SPOOL_BLOCK, 0, NO_LIMIT, SALT });
	if (w.expect > 0)
		walk(&w, &living);
	living_forget_ghosts(&living);
	ids = living_ids(&living, 0, &count);
	must(count <= living.messages);
	for (size_t i = 0; i < count; i++)
		living_look(living_find(&living, ids[i]), &reader, look, &given, NULL);
	free(ids);
	must(given <= living.messages);
	living_free(&living);
	free(own);
	return 0;
}
