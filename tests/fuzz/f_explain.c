/* SPDX-License-Identifier: ISC */
/*
 * A message judged twice, once with every step told: the results are the same,
 * the tree is whole, and nothing that a stranger wrote moves a terminal's cursor.
 * The first octet of the input chooses how the DNS answers.
 */
#include "arc/explain.h"
#include "auth/signing_key.h"
#include "base/bug.h"
#include "cmd/story.h"
#include "keys.h"

#define NOW INT64_C(1795311000000)

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
int LLVMFuzzerInitialize(int *, char ***);

static struct buf record = { .ceiling = 4096 };

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct signing_key key;

	(void)argc;
	(void)argv;
	bug_if(!signing_key_parse(&key, slice(KEY_RSA_1024_PEM), NULL));
	signing_key_record(&key, &record);
	signing_key_free(&key);
	return 0;
}

/* --- a small DNS ----------------------------------------------------------------- */

static struct slice
text_for(struct slice name, unsigned how)
{
	static const struct slice policies[] = {
		S_INIT("v=spf1 include:a.example ptr mx a exists:%{i}.%{d} redirect=b.example"),
		S_INIT("v=spf1 ip4:192.0.2.0/24 -all exp=why.%{d2}"), S_INIT("v=spf1 a:%{p} ?all \x1b[2J"),
		S_INIT("v=spf1 -all"),
	};

	if (slice_find(name, '_') == name.n)
		return policies[(how + name.n) % 4];
	return slice_startsi(name, S("_dmarc.")) ? S("v=DMARC1; p=reject; sp=none; np=quarantine; t=y")
	    : buf_slice(&record);
}

static void
answer(struct facts *facts, unsigned how)
{
	for (struct fact *f; (f = facts_next_wanted(facts)) != NULL; ) {
		struct record *r = arena_get(facts->arena, sizeof *r);

		if (r == NULL || (how & 8 && f->name.n % 5 == 0)) {
			fact_known(facts, f, f->name.n & 1 ? ANSWER_NXDOMAIN : ANSWER_BROKEN, "no\x07");
			continue;
		}
		r->data = f->type == RR_TXT ? text_for(f->name, how) : f->type == RR_A ? S("\xc0\x00\x02\x07")
		    : f->type == RR_AAAA ? S("0123456789abcdef") : S("mail.a.example");
		f->records = r;
		f->count = 1;
		fact_known(facts, f, ANSWER_FOUND, "");
	}
}

/* --- one verdict -------------------------------------------------------------------- */

static void
look(const struct step *s, int depth)
{
	bug_if(depth > 100 || s->name == NULL || *s->name == '\0');
	for (const struct detail *d = s->details; d != NULL; d = d->next)
		bug_if(d->name == NULL || d->value.n == 0);
	for (s = s->first; s != NULL; s = s->next)
		look(s, depth + 1);
}

static void
look_printed(const struct step *root)
{
	struct buf text = BUF(64 << 20);
	json_t *json = story_json(root);

	story_results(&text, root);
	story_chain(&text, root);
	story_steps(&text, root);
	bug_if(text.full || json == NULL);
	for (size_t i = 0; i < text.n; i++)
		bug_if((unsigned char)text.p[i] < ' ' && text.p[i] != '\n');
	bug_if(memchr(text.p, 0x7f, text.n) != NULL);
	json_decref(json);
	buf_free(&text);
}

static void
judge(struct slice message, unsigned how, bool tell, struct buf *results)
{
	struct arena *arena = arena_new(8 << 20), *steps = arena_new(64 << 20);
	struct verdict_question q = { .client = { { 192, 0, 2, 7 }, 4 }, .helo = S("mail.a.example"),
	    .sender = { S("x"), S("a.example"), NONE }, .hostname = S("mx.example.org"), .now = NOW };
	struct policy policy = { 0 };
	struct keys *keys = keys_new(8);
	struct bodies bodies = { 0 };
	struct header header;
	struct facts facts;
	struct verdict v;
	struct authres a;
	struct step *story;
	size_t n = header_length(message);

	facts_begin(&facts, arena);
	if (header_parse(&header, slice_head(message, n), arena, NULL) &&
	    verdict_begin(&v, &header, &bodies, arena)) {
		if (tell)
			explain_begin(&v, &bodies, steps);
		bodies_update(&bodies, slice_skip(message, n + 2));
		bodies_finish(&bodies);
		while (!verdict_evaluate(&v, &q, &bodies, keys, &facts))
			answer(&facts, how);
		verdict_decide(&v, &q, &(struct verdict_terms){ .policy = &policy });
		verdict_results(&v, &q, S("mx.example.org"), &a);
		authres_write(&a, true, results);
		if (tell && (story = explain(&v, NULL, steps)) != NULL) {
			look(story, 0);
			look_printed(story);
		}
	}
	bodies_free(&bodies);
	keys_free(keys);
	arena_free(steps);
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf told = BUF(1 << 20), silent = BUF(1 << 20);
	unsigned how = size > 0 ? data[0] : 0;
	struct slice message = slice_skip(slice_of(data, size), 1);

	judge(message, how, true, &told);
	judge(message, how, false, &silent);
	bug_if(!slice_eq(buf_slice(&told), buf_slice(&silent)));
	buf_free(&told);
	buf_free(&silent);
	return 0;
}
