/* SPDX-License-Identifier: ISC */
/*
 * MTA-STS and TLSRPT: any bytes as a record, a policy, the answer of a policy
 * host, an entry of the cache.  What is taken must keep its promises.
 */
#include "base/bug.h"
#include "sts/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1000000000 };

static void
try_records(struct slice text)
{
	struct tlsrpt_record tlsrpt;
	struct sts_record sts;

	if (sts_record_parse(text, &sts) == LIVE_VALID)
		bug_if(sts.id.n == 0 || sts.id.n > 32);
	if (tlsrpt_record_parse(text, &tlsrpt) == LIVE_VALID)
		bug_if(tlsrpt.count == 0 || tlsrpt.count > TLSRPT_URIS_MOST);
}

/* A policy is its text: read again it is the same, and it lists what it names. */
static void
check_policy(const struct sts_policy *p, struct arena *arena)
{
	struct sts_policy again;

	bug_if(!sts_policy_parse(&again, p->text, arena, NULL));
	bug_if(again.mode != p->mode || again.max_age != p->max_age || again.mx_count != p->mx_count);
	bug_if(p->max_age > STS_MAX_AGE || p->mx_count > STS_MX_MOST);
	bug_if(p->mode != STS_NONE && p->mx_count == 0);
	for (size_t i = 0; i < p->mx_count; i++)
		if (*p->mx[i].p != '*')
			bug_if(!sts_policy_lists(p, p->mx[i]));
}

static void
try_answer(struct slice body, struct arena *arena)
{
	struct sts_answer answer = { .status = 200, .type = S("text/plain"), .body = body };
	struct sts_record record = { LIVE_VALID, S("id") };
	struct sts_fetch fetch;
	struct sts_question q = { .record = &record, .fetch = &fetch, .now = NOW, .mail = true };
	struct buf packed = BUF(STS_ENTRY_MOST);
	struct sts_decision d;
	struct sts_entry entry;

	sts_answer_judge(&fetch, &answer, arena);
	if (fetch.result == TLSRPT_SUCCESS)
		check_policy(&fetch.policy, arena);
	sts_decide(&d, &q);
	bug_if(d.applies != (fetch.result == TLSRPT_SUCCESS) || !d.store);
	sts_entry_pack(&d.entry, &packed);
	bug_if(packed.full || !sts_entry_unpack(&entry, buf_slice(&packed), arena));
	buf_free(&packed);
}

static void
try_entry(struct slice bytes, struct arena *arena)
{
	struct sts_record record = { LIVE_VALID, S("id") };
	struct sts_entry entry;
	struct sts_question q = { .record = &record, .entry = &entry, .now = NOW, .mail = true };
	struct sts_decision d;

	if (!sts_entry_unpack(&entry, bytes, arena))
		return;
	sts_decide(&d, &q);
	bug_if(d.applies && (!entry.known || entry.expires <= NOW));
	bug_if(sts_entry_end(&entry) < entry.tried);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 22);
	struct slice text = slice_of(data, size);

	try_records(text);
	try_answer(text, arena);
	try_entry(text, arena);
	arena_free(arena);
	return 0;
}
