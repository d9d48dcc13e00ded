/* SPDX-License-Identifier: ISC */
/*
 * The answers of the DNS come in whatever order they like.  What is concluded of a
 * message, and what is told about it, is always the same: hard messages, each in
 * its world, judged with the answers all at once and one by one in many orders.
 */
#include "arc/explain.h"
#include "base/text.h"
#include "hops.h"

enum { ORDERS = 60, JUNK_SETS = 26 };

#define EMPTY_BODY "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="

/* --- worlds ------------------------------------------------------------------------- */

#define CLIENT "192.0.2.7"

#define WORLD \
	"_dmarc.a.example. TXT \"v=DMARC1; p=reject\"\n" \
	"_dmarc.b.example. TXT \"v=DMARC1; p=reject; sp=none; np=reject\"\n" \
	"_dmarc.in.c.example. TXT \"v=DMARC1; p=reject; psd=n\"\n" \
	"_dmarc.c.example. TXT \"v=DMARC1; p=none\"\n" \
	"_dmarc.slow.example. TXT !timeout\n" \
	/* a name that fails stands before one that matches, and behind one */ \
	"a.example. TXT \"v=spf1 mx:hosts.example include:wide.example -all exp=why.a.example\"\n" \
	"why.a.example. TXT \"%{p} is not one of %{d}\"\n" \
	"hosts.example. MX 10 h1.example.\nhosts.example. MX 20 h2.example.\n" \
	"hosts.example. MX 30 h3.example.\n" \
	"h1.example. A 198.51.100.1\nh2.example. A !timeout\nh3.example. A " CLIENT "\n" \
	"wide.example. TXT \"v=spf1 a:no1.example a:h1.example include:%{p}.deep.example -all\"\n" \
	/* voids: the third is one too many */ \
	"b.example. TXT \"v=spf1 a:no1.example include:in.b.example a:no3.example ?all\"\n" \
	"in.b.example. TXT \"v=spf1 exists:%{ir}.no2.example mx:hosts2.example -all\"\n" \
	"hosts2.example. MX 10 h1.example.\n" \
	"c.example. TXT \"v=spf1 include:one.c.example redirect=two.c.example\"\n" \
	"one.c.example. TXT \"v=spf1 include:three.c.example a:h1.example -all\"\n" \
	"two.c.example. TXT \"v=spf1 ptr:nowhere.example a:h3.example -all\"\n" \
	"three.c.example. TXT \"v=spf1 exists:%{h}.x.example ~all\"\n" \
	"7.2.0.192.in-addr.arpa. PTR p1.example.\n7.2.0.192.in-addr.arpa. PTR p2.example.\n" \
	"7.2.0.192.in-addr.arpa. PTR p3.example.\n" \
	"p1.example. A !timeout\np2.example. A " CLIENT "\np3.example. A " CLIENT "\n"

/* A key of 8192 bits whose owner nobody is. */
static void
add_dear_key(struct buf *zone)
{
	struct buf der = BUF(2048);

	buf_add(&der, S("\x30\x82\x04\x0a\x02\x82\x04\x01\x00\x80"));
	while (der.n < 8 + 1024)
		buf_byte(&der, 1);
	buf_add(&der, S("\x01\x02\x03\x01\x00\x01"));
	buf_add(zone, S("dear._domainkey.bad.example. TXT \"p="));
	base64_add(zone, buf_slice(&der));
	buf_add(zone, S("\"\n"));
	buf_free(&der);
}

static struct zone *
world(void)
{
	struct buf text = BUF(1 << 20), record = BUF(4096);
	static const char *const signers[] = { "a.example", "x.y.b.example", "deep.in.c.example" };
	struct zone *zone;

	buf_add(&text, slice(WORLD));
	add_dear_key(&text);
	signing_key_record(&hop_key, &record);
	for (size_t i = 0; i < COUNT(signers); i++)
		buf_printf(&text, "s._domainkey.%s. TXT \"%.*s\"\n", signers[i], FMT(buf_slice(&record)));
	buf_byte(&text, '\0');
	zone = hop_zone(3, text.p);
	buf_free(&text);
	buf_free(&record);
	return zone;
}

/* --- messages ------------------------------------------------------------------------ */

static void
put_above(struct buf *message, struct buf *above)
{
	buf_add(above, buf_slice(message));
	buf_free(message);
	*message = *above;
}

static void
sign(struct buf *message, const char *domain)
{
	struct signer signer = { .domain = slice(domain), .selector = S("s"), .key = &hop_key };
	struct buf field = BUF(1 << 20);
	struct error why = { 0 };
	struct judged j;

	assert_true(judge_begin(&j, buf_slice(message)));
	bodies_add(&j.bodies, CANON_RELAXED, BODY_WHOLE);
	judge_body(&j, buf_slice(message));
	assert_true(dkim_sign(&signer, &j.header, j.bodies.hashes[0].digest, NOW, &field, &why));
	judge_end(&j);
	put_above(message, &field);
}

static void
add_dear_b(struct buf *to)
{
	buf_add(to, S("b="));
	for (int i = 0; i < 1366; i++)
		buf_byte(to, 'A');
	buf_add(to, S("==\r\n"));
}

/* Seals that are nobody's and dear to look at. */
static void
add_junk_sets(struct buf *message)
{
	struct buf sets = BUF(1 << 20);

	for (int i = JUNK_SETS; i >= 1; i--) {
		buf_printf(&sets, "ARC-Seal: i=%d; a=rsa-sha256; cv=%s; d=bad.example; s=dear; ", i,
		    i == 1 ? "none" : "pass");
		add_dear_b(&sets);
		buf_printf(&sets, "ARC-Message-Signature: i=%d; a=rsa-sha256; d=bad.example; s=dear; h=from; "
		    "bh=" EMPTY_BODY "; b=AAAA\r\nARC-Authentication-Results: i=%d; bad.example; none\r\n", i, i);
	}
	put_above(message, &sets);
}

/* The same as signatures, over a header that is long to hash: the sets above it are honest. */
static void
add_junk_signatures(struct buf *message)
{
	struct buf fields = BUF(1 << 20);

	for (int i = 0; i < DKIM_SIGNATURES; i++) {
		buf_printf(&fields, "DKIM-Signature: v=1; a=rsa-sha256; d=bad.example; s=dear; bh=" EMPTY_BODY "; "
		    "l=%d; h=from", i % 2);
		for (int k = 0; k < 900; k++)
			buf_add(&fields, S(":x"));
		buf_add(&fields, S("; "));
		add_dear_b(&fields);
	}
	put_above(message, &fields);
}

enum junk { NO_JUNK, SETS, SIGNATURES };

struct letter {
	const char *text, *sender, *helo;
	const char *signers[4];         /* the first one signs first */
	unsigned    hops;
	enum junk   junk;
	const char *told;               /* what must be among it */
};

static const struct letter letters[] = {
	{ "From: a@a.example\r\n\r\n", "a.example", "h1.example", { "a.example" }, 0, SETS, "dmarc=pass" },
	{ "From: a@a.example\r\n\r\n", "a.example", "h1.example", { "a.example" }, 3, NO_JUNK, "arc=pass" },
	{ "From: a@a.example\r\n\r\n", "c.example", "a.example", { NULL }, 2, SIGNATURES, "arc=pass" },
	{ "From: a@a.example\r\n\r\n", "a.example", "p2.example", { NULL }, 0, SETS, "spf=temperror" },
	{ "From: a@x.b.example\r\n\r\n", "b.example", "c.example", { "x.y.b.example" }, 1, NO_JUNK, "dmarc=pass" },
	{ "From: a@no.b.example\r\n\r\n", "b.example", "b.example", { NULL }, 0, NO_JUNK, "spf=permerror" },
	{ "From: a@c.example\r\n\r\n", "c.example", "p3.example", { "deep.in.c.example" }, 0, NO_JUNK, "spf=pass" },
	{ "From: a@deep.in.c.example\r\n\r\n", "c.example", "wide.example", { "deep.in.c.example", "a.example" }, 1,
	  NO_JUNK, "dmarc=pass" },
	{ "From: a@x.slow.example\r\n\r\n", "a.example", "a.example", { "a.example", "deep.in.c.example" }, 0, NO_JUNK,
	  "dmarc=temperror" },
	{ "From: a@a.example, b@b.example\r\n\r\n", "", "c.example", { "a.example" }, 3, SIGNATURES, "dmarc=permerror" },
};

static struct buf
written(const struct letter *letter)
{
	struct buf message = BUF(1 << 20);

	buf_add(&message, slice(letter->text));
	for (size_t i = 0; i < COUNT(letter->signers) && letter->signers[i] != NULL; i++)
		sign(&message, letter->signers[i]);
	if (letter->junk == SIGNATURES)
		add_junk_signatures(&message);
	for (unsigned i = 1; i <= letter->hops; i++)
		assert_int_equal(hop_seals(&message, i, i == 1 ? ARC_NONE : ARC_PASS), ARC_SEALED);
	if (letter->junk == SETS)
		add_junk_sets(&message);
	return message;
}

/* --- the verdict ------------------------------------------------------------------------ */

/* Small and the same everywhere (Knuth); order 0 gives all answers at once. */
static unsigned
chance(unsigned *seed, unsigned below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % below;
}

static void
answer_one(const struct zone *zone, struct facts *facts, unsigned *seed)
{
	struct fact *open[FACTS_MOST * FACTS_PARTS], *f;
	size_t n = 0;

	for (f = facts->first; f != NULL && n < COUNT(open); f = f->next)
		if (f->state == FACT_WANTED)
			open[n++] = f;
	zone_answer(zone, facts, open[chance(seed, (unsigned)n)]);
}

/* Everything that is told: what was done, what came out and why. */
static void
add_steps(struct buf *to, const struct step *under)
{
	for (const struct step *s = under->first; s != NULL; s = s->next) {
		buf_printf(to, "%s %.*s=%s %.*s", s->name, FMT(s->subject), s->result != NULL ? s->result : "",
		    FMT(s->why));
		for (const struct detail *d = s->details; d != NULL; d = d->next)
			buf_printf(to, " %s=%.*s", d->name, FMT(d->value));
		buf_byte(to, '\n');
		add_steps(to, s);
	}
}

static void
add_whole(struct buf *to, struct verdict *v, const struct verdict_question *q, struct arena *steps)
{
	struct verdict_terms terms = { .policy = &(struct policy){ 0 } };
	struct verdict_record record;
	struct authres results;
	struct step *story;

	verdict_decide(v, q, &terms);
	verdict_results(v, q, S("mx.here.test"), &results);
	authres_write(&results, true, to);
	buf_printf(to, "\n%d %.*s\n", v->decision.status.reply, FMT(v->decision.status.text));
	assert_non_null(story = explain(v, NULL, steps));
	add_steps(to, story);
	buf_byte(to, '\0');
	record = verdict_record(v, NONE);
	verdict_pack(&record, to);
}

static void
judge(const struct letter *letter, struct slice message, const struct zone *zone, unsigned order, struct buf *told)
{
	struct verdict_question q = { .helo = slice(letter->helo), .hostname = S("mx.here.test"),
	    .sender = { S("a"), slice(letter->sender), NONE }, .now = NOW };
	struct arena *arena = arena_new(8 << 20), *steps = arena_new(8 << 20);
	struct verdict *v = arena_get(arena, sizeof *v);
	struct keys *keys = keys_new(16);
	struct bodies bodies = { 0 };
	struct header header;
	struct facts facts;
	unsigned seed = order;

	assert_true(ip_parse(S(CLIENT), &q.client));
	facts_begin(&facts, arena);
	assert_true(header_parse(&header, slice_head(message, header_length(message)), arena, NULL));
	assert_true(verdict_begin(v, &header, &bodies, arena));
	explain_begin(v, &bodies, steps);
	bodies_update(&bodies, slice_skip(message, header_length(message) + 2));
	bodies_finish(&bodies);
	while (!verdict_evaluate(v, &q, &bodies, keys, &facts))
		if (order == 0)
			zone_answer_all(zone, &facts);
		else
			answer_one(zone, &facts, &seed);
	add_whole(told, v, &q, steps);
	keys_free(keys);
	bodies_free(&bodies);
	arena_free(arena);
	arena_free(steps);
}

/* Both, from the line on that differs. */
static void
assert_same(struct slice got, struct slice want, size_t letter, unsigned order)
{
	struct slice line = NONE, other = NONE;

	if (slice_eq(got, want))
		return;
	while (slice_cut(&got, '\n', &line) && slice_cut(&want, '\n', &other) && slice_eq(line, other))
		;
	print_error("letter %zu, order %u:\n  %.*s\nat once:\n  %.*s\n", letter, order, FMT(line), FMT(other));
	fail();
}

static void
every_order_gives_the_same_verdict(void **state)
{
	struct zone *zone = world();

	(void)state;
	for (size_t i = 0; i < COUNT(letters); i++) {
		struct buf message = written(&letters[i]), first = BUF(1 << 20), again = BUF(1 << 20);

		judge(&letters[i], buf_slice(&message), zone, 0, &first);
		assert_case(strstr(first.p, letters[i].told) != NULL, i, first.p);
		for (unsigned order = 1; order <= ORDERS; order++) {
			buf_clear(&again);
			judge(&letters[i], buf_slice(&message), zone, order, &again);
			assert_same(buf_slice(&again), buf_slice(&first), i, order);
		}
		buf_free(&message);
		buf_free(&first);
		buf_free(&again);
	}
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_gives_the_same_verdict),
	};

	return cmocka_run_group_tests(tests, hops_setup, hops_teardown);
}
