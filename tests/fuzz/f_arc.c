/* SPDX-License-Identifier: ISC */
/*
 * A message that came through sealers, all with the same key.  What is concluded
 * must hold what the headers promise; and when we seal it, the next hop must find
 * the chain as good as we found it, or ended.
 */
#include "arc/seal.h"
#include "arc/trust.h"
#include "base/bug.h"
#include "keys.h"

enum { NOW_SECONDS = 1795311000 };
#define NOW (NOW_SECONDS * INT64_C(1000))

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerInitialize(int *, char ***);

static struct signing_key key;
static struct buf record = { .ceiling = 4096 };

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	bug_if(!signing_key_parse(&key, slice(KEY_RSA_1024_PEM), NULL));
	signing_key_record(&key, &record);
	return 0;
}

static void
answer(struct facts *facts)
{
	for (struct fact *f; (f = facts_next_wanted(facts)) != NULL; ) {
		f->records = arena_get(facts->arena, sizeof *f->records);
		bug_if(f->records == NULL);
		f->records->data = buf_slice(&record);
		f->count = 1;
		fact_known(facts, f, ANSWER_FOUND, "");
	}
}

static void
look(const struct arc *a)
{
	struct slice everybody[] = { S(".example"), S("example.org") };
	struct arc_conf conf = { .trust = everybody, .trust_count = 2 };
	struct trust *trust = trust_new(&conf, NULL, NULL);
	struct arc_trust t = arc_trust(a, trust);

	bug_if(!a->concluded || a->count > ARC_SETS);
	bug_if((a->result == ARC_FAIL) != (a->reason.n > 0));
	bug_if(a->result == ARC_NONE && a->count > 0);
	bug_if(a->ended && a->result != ARC_FAIL);
	bug_if(t.believed != NULL && (!t.valid || t.trusted == 0));
	for (unsigned i = 1; a->result == ARC_PASS && i <= a->count; i++)
		bug_if(a->sets[i - 1] == NULL || a->sets[i - 1]->instance != i ||
		    a->sets[i - 1]->seal.state != SIGNATURE_GOOD);
	trust_free(trust);
}

/* The result for one message; the new set, when it can be sealed. */
static enum arc_result
judge(struct slice message, struct arena *arena, struct keys *keys, struct buf *set, enum arc_sealing *done)
{
	struct signer signer = { S("sealer.example"), S("s"), &key, NONE };
	size_t n = header_length(message);
	struct bodies bodies = { 0 };
	struct arc_arrival seen = { ARC_NONE, S("sealer.example; none") };
	struct header header;
	struct facts facts;
	struct arc arc;
	struct verifier v = { .bodies = &bodies, .keys = keys, .facts = &facts, .now = NOW };

	facts_begin(&facts, arena);
	if (!header_parse(&header, slice_head(message, n), arena, NULL) ||
	    !arc_begin(&arc, &header, &bodies, arena))
		return ARC_NONE;
	bodies_add(&bodies, CANON_RELAXED, BODY_WHOLE);
	bodies_update(&bodies, slice_skip(message, n + 2));
	bodies_finish(&bodies);
	while (!arc_evaluate(&arc, &v))
		answer(&facts);
	look(&arc);
	bug_if(v.work > WORK_MOST);
	seen.result = arc.result;
	*done = arc_seal(&signer, &header, bodies_get(&bodies, CANON_RELAXED, BODY_WHOLE)->digest, &seen, NOW,
	    set, NULL);
	return arc.result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(1 << 22);
	struct keys *keys = keys_new(4);
	struct buf set = BUF(1 << 16), sealed = BUF(1 << 20), unused = BUF(1 << 16);
	enum arc_sealing done = ARC_BROKEN, again;
	enum arc_result before, after;

	before = judge(slice_of(data, size), arena, keys, &set, &done);
	if (done == ARC_SEALED) {
		buf_add(&sealed, buf_slice(&set));
		buf_add(&sealed, slice_of(data, size));
		after = judge(buf_slice(&sealed), arena, keys, &unused, &again);
		bug_if((before == ARC_FAIL) != (after == ARC_FAIL));
		bug_if(before != ARC_FAIL && after != ARC_PASS);
	}
	keys_free(keys);
	arena_free(arena);
	buf_free(&set);
	buf_free(&sealed);
	buf_free(&unused);
	return 0;
}
