/* SPDX-License-Identifier: ISC */
/*
 * What a verdict tells of itself: the same verdict with and without the telling,
 * and in the tree every question, rule and hint that led to it.
 */
#include "arc/explain.h"
#include "hops.h"

#define RECORDS \
	"a.example. TXT \"v=spf1 include:in.example redirect=other.example\"\n" \
	"in.example. TXT \"v=spf1 a:gone.example mx ?exists:%{i}.l.example -all\"\n" \
	"in.example. MX 10 mx.in.example.\n" \
	"mx.in.example. A 198.51.100.1\n" \
	"other.example. TXT \"v=spf1 ip4:192.0.2.0/24 -all exp=why.example\"\n" \
	"twice.example. TXT \"v=spf1 -all\"\ntwice.example. TXT \"v=spf1 ~all\"\n" \
	"why.example. TXT \"%{i} is none of ours\"\n" \
	"_dmarc.a.example. TXT \"v=DMARC1; p=reject; t=y\"\n" \
	"7.2.0.192.in-addr.arpa. PTR mx.a.example.\n" \
	"mx.a.example. A 192.0.2.7\n" \
	"slow.example. TXT !timeout\n"

static const char LETTER[] =
    "From: Ann <ann@a.example>\r\n"
    "To: list@hop1.example\r\n"
    "Subject: Minutes\r\n"
    "\r\n"
    "one\r\n\r\ntwo\r\n";

/* --- one message, judged ------------------------------------------------------------ */

struct case_ {
	struct arena   *arena, *steps;
	struct header   header;
	struct bodies   bodies;
	struct facts    facts;
	struct keys    *keys;
	struct verdict  verdict;
	struct verdict_question question;
	struct step    *story;
	struct buf      told;           /* the tree, a path a line */
};

static const struct { const char *ip, *helo, *local, *domain; } FROM_HERE =
    { "192.0.2.7", "mx.a.example", "ann", "a.example" };

/* "spf a.example=pass / record a.example=pass / query a.example=found [RFC …]" */
static void
flatten(struct buf *b, struct slice path, const struct step *s)
{
	for (s = s->first; s != NULL; s = s->next) {
		size_t start = b->n;
		struct buf own = BUF(1 << 20);

		buf_printf(&own, "%.*s%s%s %.*s", FMT(path), path.n ? " / " : "", s->name, FMT(s->subject));
		if (s->result != NULL)
			buf_printf(&own, "=%s", s->result);
		buf_add(b, buf_slice(&own));
		if (s->rule != NULL)
			buf_printf(b, " [%s]", s->rule);
		if (s->why.n > 0)
			buf_printf(b, " (%.*s)", FMT(s->why));
		for (const struct detail *d = s->details; d != NULL; d = d->next)
			buf_printf(b, " %s=%.*s", d->name, FMT(d->value));
		buf_byte(b, '\n');
		assert_true(b->n > start);
		flatten(b, buf_slice(&own), s);
		buf_free(&own);
	}
}

static void
judge_case(struct case_ *c, struct slice message, const struct zone *zone, bool tell, bool slowly,
    const struct trust *trust)
{
	size_t n = header_length(message);
	struct policy policy = { 0 };
	struct verdict_terms terms = { .policy = &policy, .trust = trust };
	struct fact *f;

	*c = (struct case_){ .arena = arena_new(8 << 20), .steps = arena_new(8 << 20), .keys = keys_new(16),
	    .told = BUF(1 << 22) };
	c->question = (struct verdict_question){ .helo = slice(FROM_HERE.helo), .hostname = S("mx.here.test"),
	    .sender = { slice(FROM_HERE.local), slice(FROM_HERE.domain), NONE }, .now = NOW };
	assert_true(ip_parse(slice(FROM_HERE.ip), &c->question.client));
	facts_begin(&c->facts, c->arena);
	assert_true(header_parse(&c->header, slice_head(message, n), c->arena, NULL));
	assert_true(verdict_begin(&c->verdict, &c->header, &c->bodies, c->arena));
	if (tell)
		explain_begin(&c->verdict, &c->bodies, c->steps);
	bodies_update(&c->bodies, slice_skip(message, n + 2));
	bodies_finish(&c->bodies);
	while (!verdict_evaluate(&c->verdict, &c->question, &c->bodies, c->keys, &c->facts))
		if (slowly && (f = facts_next_wanted(&c->facts)) != NULL)
			zone_answer(zone, &c->facts, f);
		else
			zone_answer_all(zone, &c->facts);
	verdict_decide(&c->verdict, &c->question, &terms);
	if (!tell)
		return;
	c->story = explain(&c->verdict, trust, c->steps);
	assert_non_null(c->story);
	flatten(&c->told, NONE, c->story);
	buf_byte(&c->told, '\0');
}

static void
end_case(struct case_ *c)
{
	arena_free(c->arena);
	arena_free(c->steps);
	keys_free(c->keys);
	bodies_free(&c->bodies);
	buf_free(&c->told);
}

/* Ann's signature on it. */
static void
sign(struct buf *message)
{
	struct signer signer = { .domain = S("a.example"), .selector = S("s"), .key = &hop_key };
	struct buf whole = BUF(1 << 20);
	struct judged j;
	struct error why = { 0 };

	assert_true(judge_begin(&j, buf_slice(message)));
	bodies_add(&j.bodies, CANON_RELAXED, BODY_WHOLE);
	judge_body(&j, buf_slice(message));
	assert_true(dkim_sign(&signer, &j.header, j.bodies.hashes[0].digest, NOW, &whole, &why));
	judge_end(&j);
	buf_add(&whole, buf_slice(message));
	buf_free(message);
	*message = whole;
}

/* --- what is told -------------------------------------------------------------------- */

enum shape {
	PLAIN,                          /* Ann's own, as she sent it */
	LIST,                           /* over a list: a tag, a footer, a seal of hop1 */
	TWO_HOPS,                       /* then over hop2, who changed nothing */
	REWRITTEN,                      /* the body is another one */
	CUT_SEAL,                       /* a chain without its seal */
};

static struct buf
message_of(enum shape shape)
{
	struct buf m = BUF(1 << 20);

	buf_add(&m, slice(LETTER));
	sign(&m);
	if (shape == REWRITTEN)
		hops_replace(&m, "one\r\n", "One, and more\r\n");
	if (shape == LIST || shape == TWO_HOPS) {
		hops_replace(&m, "Subject: Minutes", "Subject: [l] Minutes");
		buf_add(&m, S("-- \r\nfooter\r\n"));
		assert_int_equal(hop_seals(&m, 1, ARC_NONE), ARC_SEALED);
	}
	if (shape == CUT_SEAL) {
		assert_int_equal(hop_seals(&m, 1, ARC_NONE), ARC_SEALED);
		hops_replace(&m, "ARC-Seal:", "X-Seal:");
	}
	if (shape == TWO_HOPS) {
		buf_add(&m, S("second footer\r\n"));
		hops_replace(&m, "To: list", "List-Id: <l.hop2.example>\r\nTo: list");
		assert_int_equal(hop_seals(&m, 2, ARC_PASS), ARC_SEALED);
	}
	return m;
}

static const struct { enum shape shape; const char *line; } lines[] = {
	{ PLAIN, "spf a.example=pass [RFC 7208 2.6] (\"ip4:192.0.2.0/24\" matched) identity=mailfrom" },
	{ PLAIN, "spf a.example=pass / record a.example=pass / query a.example=found\n" },
	{ PLAIN, "/ term include:in.example=no match [RFC 7208 5.2]\n" },
	{ PLAIN, "/ record in.example=fail / term a:gone.example=no match [RFC 7208 5.3]\n" },
	{ PLAIN, "/ term a:gone.example=no match / query gone.example=nxdomain\n" },
	{ PLAIN, "/ term mx=no match / query mx.in.example=found\n" },
	{ PLAIN, "/ term ?exists:%{i}.l.example=no match / query 192.0.2.7.l.example=nxdomain\n" },
	{ PLAIN, "/ term redirect=other.example=pass [RFC 7208 6.1]\n" },
	{ PLAIN, "/ record other.example=pass / term ip4:192.0.2.0/24=match [RFC 7208 5.6]\n" },
	{ PLAIN, "spf mx.a.example=none [RFC 7208 2.6] (mx.a.example has no SPF record) identity=helo" },
	{ PLAIN, "dkim a.example/s=pass [RFC 6376 6.1.3] algorithm=rsa-sha256 identity=@a.example alignment=strict" },
	{ PLAIN, "/ key s._domainkey.a.example=fit [RFC 6376 3.6.1] bits=1024\n" },
	{ PLAIN, "/ body relaxed=right [RFC 6376 3.7] octets=12\n" },
	{ PLAIN, "/ header relaxed=right [RFC 6376 3.7] fields=from:from:" },
	{ PLAIN, "arc =none [RFC 8617 5.2] trusted_sets=0\n" },
	{ PLAIN, "iprev 192.0.2.7=pass [RFC 8601 3] (mx.a.example)\n" },
	{ PLAIN, "iprev 192.0.2.7=pass / query mx.a.example=found\n" },
	{ PLAIN, "dmarc a.example=pass [RFC 9989 5.3] (an aligned signature verifies) org_domain=a.example "
	    "policy_domain=a.example tag=p requested=reject policy=quarantine queries=2\n" },
	{ PLAIN, "/ walk a.example=done / query _dmarc.example=nxdomain\n" },
	{ PLAIN, "/ identifier a.example=proven [RFC 9989 4.10.2] method=dkim alignment=strict\n" },
	{ PLAIN, "decision accept=pass [RFC 9989 5.4]" },
	{ LIST, "dkim a.example/s=fail [RFC 6376 6.1.3] (the body hash differs)" },
	{ LIST, "/ hint body hash is right again without the last 2 lines (a footer was added at line 4)\n" },
	{ LIST, "/ hint header hash is right again with Subject \"Minutes\" instead of \"[l] Minutes\"\n" },
	{ LIST, "arc 1 set=pass [RFC 8617 5.2] (every message signature verifies) oldest_pass=0 trusted_sets=1 "
	    "believed=hop1.example\n" },
	{ LIST, "/ set hop1.example/s instance=1 sealer=hop1.example cv=none ams=ok as=ok trusted=yes "
	    "authserv_id=mx.hop1.example saw=arc=none dmarc=pass\n" },
	{ TWO_HOPS, "arc 2 sets=pass [RFC 8617 5.2] (the newest message signature verifies) oldest_pass=2" },
	{ TWO_HOPS, "/ set hop1.example/s instance=1 sealer=hop1.example cv=none ams=body changed as=ok trusted=yes" },
	{ TWO_HOPS, "/ set hop2.example/s instance=2 sealer=hop2.example cv=pass ams=ok as=ok trusted=no" },
	{ TWO_HOPS, "/ hint body hash is right again without the last 1 line (a footer was added at line 6)\n" },
	{ TWO_HOPS, "/ change the body changed between set 1 (hop1.example) and set 2 (hop2.example) "
	    "newly_signed=list-id\n" },
	{ REWRITTEN, "/ hint the body was rewritten: it is not the signed one with up to 1000 lines added behind it\n" },
	{ REWRITTEN, "/ header relaxed=right [RFC 6376 3.7]" },
	{ CUT_SEAL, "arc 1 set=fail [RFC 8617 5.2] (set 1: there is no ARC-Seal)" },
	{ CUT_SEAL, "/ set  instance=1 ams=open as=missing trusted=no" },
};

/* hop1 and nobody else. */
static struct trust *
trust_hop1(void)
{
	struct slice pattern = S("hop1.example");
	struct flaws flaws;
	struct trust *trust;

	flaws_begin(&flaws);
	trust = trust_new(&(struct arc_conf){ .trust = &pattern, .trust_count = 1 }, NULL, &flaws);
	assert_int_equal(flaws.errors, 0);
	flaws_end(&flaws);
	return trust;
}

/* The records above, and the keys of Ann and of the hops. */
static struct zone *
whole_world(void)
{
	struct buf record = BUF(4096), text = BUF(1 << 16);
	struct zone *zone;

	signing_key_record(&hop_key, &record);
	buf_add(&text, S(RECORDS));
	buf_printf(&text, "s._domainkey.a.example. TXT \"%.*s\"\n", FMT(buf_slice(&record)));
	buf_byte(&text, '\0');
	zone = hop_zone(2, text.p);
	buf_free(&record);
	buf_free(&text);
	return zone;
}

static void
every_step_is_told(void **state)
{
	struct zone *zone = whole_world();
	struct trust *trust = trust_hop1();

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct buf message = message_of(lines[i].shape);
		struct case_ c;

		judge_case(&c, buf_slice(&message), zone, true, false, trust);
		if (strstr(c.told.p, lines[i].line) == NULL)
			print_error("%s", c.told.p);
		assert_case(strstr(c.told.p, lines[i].line) != NULL, i, lines[i].line);
		end_case(&c);
		buf_free(&message);
	}
	trust_free(trust);
	zone_free(zone);
}

/* The payload of Authentication-Results: all results in one text. */
static struct buf
results_of(struct case_ *c)
{
	struct authres a;
	struct buf text = BUF(1 << 16);

	verdict_results(&c->verdict, &c->question, S("mx.here.test"), &a);
	authres_write(&a, true, &text);
	return text;
}

static void
telling_changes_nothing(void **state)
{
	struct zone *zone = whole_world();

	(void)state;
	for (enum shape shape = PLAIN; shape <= CUT_SEAL; shape++) {
		struct buf message = message_of(shape), with, without, slow;
		struct case_ told, silent, slowly;

		judge_case(&told, buf_slice(&message), zone, true, false, NULL);
		judge_case(&silent, buf_slice(&message), zone, false, false, NULL);
		judge_case(&slowly, buf_slice(&message), zone, true, true, NULL);
		with = results_of(&told);
		without = results_of(&silent);
		slow = results_of(&slowly);
		assert_true(slice_eq(buf_slice(&with), buf_slice(&without)));
		assert_true(slice_eq(buf_slice(&with), buf_slice(&slow)));
		/* However many rounds it took, what was done is told once. */
		assert_string_equal(told.told.p, slowly.told.p);
		end_case(&told);
		end_case(&silent);
		end_case(&slowly);
		buf_free(&with);
		buf_free(&without);
		buf_free(&slow);
		buf_free(&message);
	}
	zone_free(zone);
}

/* --- SPF alone ------------------------------------------------------------------------- */

static const struct { const char *domain, *line; } endings[] = {
	{ "other.example", "explanation why.example=expanded [RFC 7208 6.2]\n" },
	{ "other.example", "explanation why.example=expanded / query why.example=found\n" },
	{ "twice.example", "record twice.example=permerror [RFC 7208 4] (twice.example has 2 SPF records" },
	{ "slow.example", "record slow.example=temperror [RFC 7208 4] (looking up TXT of slow.example failed" },
	{ "slow.example", "/ query slow.example=broken (timeout)\n" },
	{ "none.example", "record none.example=none [RFC 7208 4] (none.example has no SPF record)\n" },
	{ "in.example", "/ term -all=match [RFC 7208 5.1]\n" },
};

static void
spf_tells_how_it_ended(void **state)
{
	struct zone *zone = zone_parse(S(RECORDS), "zone", NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(endings); i++) {
		struct arena *arena = arena_new(1 << 20);
		struct facts facts;
		struct spf spf = { .steps = step_new("spf", NONE, arena) };
		struct spf_question q = { .helo = S("h.example"), .local = S("x"),
		    .domain = slice(endings[i].domain), .now = NOW };
		struct buf told = BUF(1 << 16);

		assert_true(ip_parse(S("203.0.113.9"), &q.client));
		facts_begin(&facts, arena);
		while (!spf_evaluate(&spf, &q, &facts))
			zone_answer_all(zone, &facts);
		flatten(&told, NONE, spf.steps);
		buf_byte(&told, '\0');
		assert_case(strstr(told.p, endings[i].line) != NULL, i, told.p);
		buf_free(&told);
		arena_free(arena);
	}
	zone_free(zone);
}

/* --- steps --------------------------------------------------------------------------------- */

static void
nobody_who_asks_costs_nothing(void **state)
{
	(void)state;
	assert_null(step_add(NULL, "x", S("y")));
	step_put(NULL, NULL);
	step_end(NULL, "x", "y");
	step_why(NULL, S("x"));
	step_detail(NULL, "x", S("y"));
	step_asked(NULL, NULL, NULL);
	step_clear(NULL);
}

static void
a_small_arena_gives_no_story(void **state)
{
	struct zone *zone = whole_world();
	struct buf message = message_of(TWO_HOPS);
	struct case_ c;

	(void)state;
	judge_case(&c, buf_slice(&message), zone, false, false, NULL);
	for (size_t size = 0; size < 8192; size += 512) {
		struct arena *small = arena_new(size);

		assert_null(explain(&c.verdict, NULL, small));
		arena_free(small);
	}
	end_case(&c);
	buf_free(&message);
	zone_free(zone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_is_told),
		cmocka_unit_test(telling_changes_nothing),
		cmocka_unit_test(spf_tells_how_it_ended),
		cmocka_unit_test(nobody_who_asks_costs_nothing),
		cmocka_unit_test(a_small_arena_gives_no_story),
	};

	return cmocka_run_group_tests(tests, hops_setup, hops_teardown);
}
