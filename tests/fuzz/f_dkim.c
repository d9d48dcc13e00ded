/* SPDX-License-Identifier: ISC */
/*
 * A message with signatures, and the key of RFC 6376 A.2 under every name.  What
 * the parser took must hold what its header promises; nothing that was made up
 * by a fuzzer may verify, but the seeds do.
 */
#include "auth/dkim.h"
#include "auth/hint.h"
#include "base/bug.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const char RECORD[] = "v=DKIM1; t=y; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3"
    "/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0"
    "fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB";

static void
answer(struct facts *facts)
{
	for (struct fact *f; (f = facts_next_wanted(facts)) != NULL; ) {
		f->records = arena_get(facts->arena, sizeof *f->records);
		bug_if(f->records == NULL);
		f->records->data = S(RECORD);
		f->count = 1;
		fact_known(facts, f, ANSWER_FOUND, "");
	}
}

static void
look(const struct signature *s)
{
	bug_if(s->state == SIGNATURE_OPEN);
	bug_if(s->state == SIGNATURE_GOOD && s->reason.n);
	if (s->state == SIGNATURE_MALFORMED || s->state == SIGNATURE_REFUSED)
		return;
	bug_if(s->domain.n == 0 || s->selector.n == 0 || s->b.n == 0 || s->identity.n == 0);
	bug_if(s->b_raw.p < s->field->whole.p ||
	    s->b_raw.p + s->b_raw.n > s->field->whole.p + s->field->whole.n);
	bug_if(dkim_result(s) == DKIM_PASS && s->limit < s->body_length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice message = slice_of(data, size), subject;
	size_t n = header_length(message);
	struct arena *arena = arena_new(1 << 20);
	struct keys *keys = keys_new(4);
	struct bodies bodies = { 0 };
	struct header header;
	struct facts facts;
	struct dkim dkim;
	struct verifier v = { .bodies = &bodies, .keys = keys, .facts = &facts, .now = 1795311000000 };

	facts_begin(&facts, arena);
	if (header_parse(&header, slice_head(message, n), arena, NULL) &&
	    dkim_begin(&dkim, &header, S("a.example.org"), &bodies, arena)) {
		bodies_update(&bodies, slice_skip(message, n + 2));
		bodies_finish(&bodies);
		while (!dkim_evaluate(&dkim, &v))
			answer(&facts);
		for (size_t i = 0; i < dkim.count; i++) {
			look(&dkim.signatures[i]);
			hint_subject(&dkim.signatures[i], &dkim.order, &v, arena, &subject);
		}
	}
	keys_free(keys);
	arena_free(arena);
	return 0;
}
