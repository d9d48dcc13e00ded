/* SPDX-License-Identifier: ISC */
/* What stands behind an address in a list manager's map: LMTP or SMTP, and somewhere to go, or nothing. */
#include "base/bug.h"
#include "conf/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of(data, size);
	struct arena *arena = arena_new(1 << 20);
	struct transport read, again;

	if (transport_parse(text, arena, &read)) {
		struct endpoint to = read.to;
		struct buf said = BUF(size + 100);

		bug_if(to.kind == ENDPOINT_NONE || to.kind == ENDPOINT_ANY);
		bug_if(to.kind != ENDPOINT_UNIX && to.port == 0);
		buf_printf(&said, "%s:%s", read.smtp ? "smtp" : "lmtp", to.kind == ENDPOINT_UNIX ? "" : "inet:");
		value_add_endpoint(&said, to);
		bug_if(!transport_parse(buf_slice(&said), arena, &again) || read.smtp != again.smtp);
		bug_if(to.kind != again.to.kind || to.port != again.to.port ||
		    !slice_eq(to.host, again.to.host) || !ip_eq(to.ip, again.to.ip));
		buf_free(&said);
	}
	arena_free(arena);
	return 0;
}
