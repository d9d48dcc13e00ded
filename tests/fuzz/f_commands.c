/* SPDX-License-Identifier: ISC */
/* Requests at the control socket: what is understood is understood again the same way. */
#include <stdlib.h>

#include "base/bug.h"
#include "queue/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(4 << 20);
	struct queue_request r, again;
	json_t *j;
	char *text;

	if (queue_request_read(&r, slice_of(data, size), arena)) {
		bug_if(r.verb >= QUEUE_VERBS);
		bug_if(r.verb != QUEUE_LIST && !r.all && r.id_count == 0 && r.from.n == 0 && r.to.n == 0);
		j = queue_request_json(&r);
		text = json_dumps(j, 0);
		bug_if(text == NULL || !queue_request_read(&again, slice(text), arena));
		bug_if(again.verb != r.verb || again.all != r.all || again.text != r.text);
		bug_if(again.id_count != r.id_count || !slice_eq(again.from, r.from) || !slice_eq(again.to, r.to));
		free(text);
		json_decref(j);
	}
	arena_free(arena);
	return 0;
}
