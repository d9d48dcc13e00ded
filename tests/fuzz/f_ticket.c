/* SPDX-License-Identifier: ISC */
/*
 * A header block, and the same bytes as results: no header of a stranger holds a
 * valid ticket, every ticket of ours is valid and says what it said.
 */
#include "base/bug.h"
#include "base/buf.h"
#include "mail/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct slice KEY = S_INIT("the fuzzer does not know this");
static const int64_t NOW = 1795311000000;

static void
there_and_back(struct slice results, struct secrets keys, struct arena *arena)
{
	struct ticket seen = { .id = 1, .arrived = NOW, .arc = S("none"), .from = results,
	    .proved = results, .results = results }, back;
	struct header without = { 0 }, with = { 0 };
	struct buf b = BUF(1 << 20);

	bug_if(!header_parse(&without, S("Message-ID: <a@x.test>\r\n"), arena, NULL));
	bug_if(!ticket_add(&b, &seen, &without, keys));
	buf_add(&b, without.block);
	bug_if(!header_parse(&with, buf_slice(&b), arena, NULL));
	bug_if(ticket_read(&with, keys, NOW, arena, &back) != TICKET_VALID);
	bug_if(back.id != seen.id);
	bug_if(!slice_eq(back.from, results.n <= TICKET_AUTHOR_MOST ? results : NONE));
	bug_if(!slice_eq(back.proved, back.from));
	bug_if(!slice_eq(back.results, results.n <= TICKET_RESULTS_MOST ? results : NONE));
	buf_free(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	struct arena *arena = arena_new(8 << 20);
	struct secrets keys = { &KEY, 1 };
	struct header h = { 0 };
	struct ticket t;

	if (header_parse(&h, input, arena, NULL)) {
		size_t before = arena_spent(arena);

		bug_if(ticket_read(&h, keys, NOW, arena, &t) == TICKET_VALID);
		bug_if(arena_spent(arena) - before > 4 * TICKET_RESULTS_MOST);
	}
	there_and_back(input, keys, arena);
	arena_free(arena);
	return 0;
}
