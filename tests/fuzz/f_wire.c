/* SPDX-License-Identifier: ISC */
/*
 * Answers of the DNS as they come over the network.  The first octet says what
 * was asked, the rest is the packet.  Whatever it holds, the question is
 * concluded, the data have the form of their type, and the record of it
 * (facts_to_text) can be replayed.
 */
#include "base/bug.h"
#include "dns/wire.h"
#include "dns/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t TYPES[] = {
	RR_A, RR_AAAA, RR_MX, RR_TXT, RR_CNAME, RR_TLSA, RR_PTR, RR_NS,
};

static void
check_data(const struct fact *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct slice data = f->records[i].data;

		bug_if(data.p == NULL);
		bug_if(f->type == RR_A && data.n != 4);
		bug_if(f->type == RR_AAAA && data.n != 16);
		for (size_t j = 0; j < data.n && f->type != RR_A && f->type != RR_AAAA; j++)
			if (f->type != RR_TXT && f->type != RR_TLSA)
				bug_if(data.p[j] <= ' ' || data.p[j] >= 0x7f);
	}
}

/* The record of a case is the case: the same answer, and the same data but for double ones. */
static void
check_replay(const struct facts *facts, const struct fact *f, struct arena *arena)
{
	struct buf text = BUF(1 << 23);
	struct facts second;
	struct zone *zone;
	const struct fact *again;

	facts_to_text(facts, &text);
	bug_if((zone = zone_parse(buf_slice(&text), "replay", NULL)) == NULL);
	facts_begin(&second, arena);
	fact(&second, f->name, f->type);
	zone_answer_all(zone, &second);
	again = fact(&second, f->name, f->type);
	bug_if(again == NULL || again->answer != f->answer || again->count > f->count);
	for (size_t i = 0; i < f->count; i++) {
		size_t j = 0;

		while (j < again->count && !slice_eq(f->records[i].data, again->records[j].data))
			j++;
		bug_if(j == again->count);
	}
	zone_free(zone);
	buf_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena;
	struct facts facts;
	const struct fact *f;
	uint16_t type;

	if (size == 0)
		return 0;
	arena = arena_new(1 << 24);
	type = TYPES[data[0] % (sizeof TYPES / sizeof *TYPES)];
	facts_begin(&facts, arena);
	fact(&facts, S("x.test"), type);
	wire_read(&facts, facts_next_wanted(&facts), slice_of(data + 1, size - 1));
	f = fact(&facts, S("x.test"), type);
	bug_if(f == NULL || (f->answer == ANSWER_FOUND) != (f->count > 0));
	check_data(f);
	check_replay(&facts, f, arena);
	arena_free(arena);
	return 0;
}
