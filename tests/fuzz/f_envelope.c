/* SPDX-License-Identifier: ISC */
/*
 * What unpacks, packs again to the same bytes, and its pieces are in bounds.
 * The first byte chooses: an envelope or a recipient's state.
 */
#include <stdlib.h>

#include "queue/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool condition)
{
	if (!condition)
		abort();
}

static void
pieces_in_bounds(const struct envelope *e)
{
	uint64_t sum = 0, end = 0;
	struct piece p;
	size_t at = 0;

	while (envelope_piece(e, &at, &p)) {
		uint64_t most = p.trace ? e->trace.n : e->size;

		must(p.span.n > 0 && p.span.at <= most && p.span.n <= most - p.span.at);
		must(p.trace || p.span.at >= end);
		end = p.trace ? 0 : p.span.at + p.span.n;
		sum += p.span.n;
	}
	must(sum == envelope_size(e));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(16 << 20);
	struct buf again = BUF(ENVELOPE_MOST);
	struct slice bytes = slice_skip(slice_of(data, size), 1);
	struct recipient_state s;
	struct envelope e;

	if (size > 0 && data[0] % 2 == 0 && envelope_unpack(&e, bytes, arena, NULL)) {
		pieces_in_bounds(&e);
		envelope_pack(&e, &again);
		must(slice_eq(buf_slice(&again), bytes));
	}
	if (size > 0 && data[0] % 2 == 1 && state_unpack(&s, bytes, arena, NULL)) {
		must(state_recipient(bytes) == s.recipient);
		state_pack(&s, &again);
		must(slice_eq(buf_slice(&again), bytes));
	}
	buf_free(&again);
	arena_free(arena);
	return 0;
}
