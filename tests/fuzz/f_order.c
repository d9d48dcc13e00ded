/* SPDX-License-Identifier: ISC */
/* What is an order or a result is packed to the same bytes again; the first byte chooses. */
#include "base/bug.h"
#include "queue/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(16 << 20);
	struct slice bytes = slice_skip(slice_of(data, size), 1);
	struct buf again = BUF(1 << 20);
	struct order_result r;
	struct order o;

	if (size > 0 && data[0] % 2 == 0 && order_unpack(&o, bytes, arena)) {
		order_pack(&o, &again);
		bug_if(again.n != bytes.n || o.count == 0);
		/* Bits that mean nothing are not kept. */
		bug_if(!order_unpack(&o, buf_slice(&again), arena));
	}
	if (size > 0 && data[0] % 2 == 1 && order_result_unpack(&r, bytes, arena)) {
		for (uint32_t i = 0; i < r.count; i++)
			bug_if(order_outcome_of(&r, r.outcomes[i].index) == NULL);
		order_result_pack(&r, &again);
		bug_if(again.n != bytes.n || !order_result_unpack(&r, buf_slice(&again), arena));
	}
	buf_free(&again);
	arena_free(arena);
	return 0;
}
