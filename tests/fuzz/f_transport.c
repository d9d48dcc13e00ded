/* SPDX-License-Identifier: ISC */
/* What stands behind an address in a list manager's map: LMTP and somewhere to go, or nothing. */
#include "base/bug.h"
#include "conf/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct arena *arena = arena_new(1 << 20);
	struct endpoint to, again;

	if (transport_lmtp(text, arena, &to)) {
		struct buf said = BUF(size + 100);

		bug_if(to.kind == ENDPOINT_NONE || to.kind == ENDPOINT_ANY);
		bug_if(to.kind != ENDPOINT_UNIX && to.port == 0);
		buf_add(&said, to.kind == ENDPOINT_UNIX ? S("lmtp:") : S("lmtp:inet:"));
		value_add_endpoint(&said, to);
		bug_if(!transport_lmtp(buf_slice(&said), arena, &again));
		bug_if(to.kind != again.kind || to.port != again.port || !slice_eq(to.host, again.host) ||
		    !ip_eq(to.ip, again.ip));
		buf_free(&said);
	}
	arena_free(arena);
	return 0;
}
